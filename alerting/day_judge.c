/* day_judge: exact comparisons of fractions. Widths: a figure's number is below 2^54, its divisor below 2^15
 * (day_statistic.h), a limit or amount below 2^63. */
#include "alerting/day_judge.h"

#include <stdlib.h>

#include "daemon/base/decimal.h"
#include "daemon/base/ensure.h"

enum { OVER_MAX = 90 };

struct fraction { /* divisor > 0 */
    __int128 number;
    int64_t divisor;
};

void day_state_init(struct day_state *state)
{
    *state = (struct day_state){.passed_ms = INT64_MIN};
}

static void end_run(struct day_state *state)
{
    state->first = 0;
    state->run = state->bridged = 0;
}

void day_state_end(struct day_state *state)
{
    end_run(state);
    state->active = PRIORITY_NONE;
}

/* ---- what a day says ---- */

enum verdict { NOT_JUDGED, INSIDE, BREACH };

static enum verdict verdict_of(bool breach)
{
    return breach ? BREACH : INSIDE;
}

static const struct day_figure *own_figure(const struct day_input *input)
{
    return &input->figures[input->before];
}

/* number / divisor beyond L: 2^15 * 2^63 = 2^78. */
static enum verdict judge_daily(const struct day_input *input)
{
    const struct rule_daily *daily = &input->rule->daily;
    const struct day_figure *figure = own_figure(input);
    bool low = input->side == SIDE_LOW;
    if (!day_has_data(figure, daily->day.min_readings))
        return NOT_JUDGED;
    if (!day_is_number(figure))
        return verdict_of((figure->divisor == DAY_BELOW) == low);
    __int128 limit = (__int128)daily->bound.limit[input->side] * figure->divisor;
    return verdict_of(low ? figure->number < limit : figure->number > limit);
}

/* Beyond a difference by more than a millionth, beyond a percent strictly; a percent of 0 is not compared.
 * `old` is a figure's, or the mean of two: number < 2 * 2^54 * 2^15 = 2^70, divisor < 2 * 2^15 * 2^15 = 2^31.
 * With both over one divisor, now < 2^54 * 2^31 = 2^85, old < 2^70 * 2^15 = 2^85, their difference < 2^86.
 *   amount:  (2^63 + 1) * 2^46 < 2^110
 *   percent: left  2^86 * 10^8 < 2^113
 *            right 2^63 * 2^85: may not fit, and is then greater than any left side */
static enum verdict compare_difference(const struct rule_difference *difference, enum rule_side side,
                                       const struct day_figure *figure, const struct fraction *old)
{
    __int128 now_number = (__int128)figure->number * old->divisor, old_number = old->number * figure->divisor;
    __int128 delta = side == SIDE_HIGH ? now_number - old_number : old_number - now_number;
    __int128 amount = difference->amount[side], right;
    if (!difference->percent[side])
        return verdict_of(delta > (amount + 1) * figure->divisor * old->divisor);
    if (old_number == 0)
        return NOT_JUDGED;
    bool wide = __builtin_mul_overflow(amount, old_number < 0 ? -old_number : old_number, &right);
    return verdict_of(delta > 0 && !wide && delta * 100 * DECIMAL_ONE > right);
}

static enum verdict judge_variation(const struct day_input *input)
{
    const struct rule_variation *variation = &input->rule->variation;
    const struct day_figure *figure = own_figure(input);
    unsigned least = variation->day.min_readings;
    if (input->before == 0 || !day_has_data(figure, least) || !day_is_number(figure))
        return NOT_JUDGED;
    const struct day_figure *old = figure - 1;
    if (!day_has_data(old, least) || !day_is_number(old) ||
        (variation->has_minimum && old->number < (__int128)variation->minimum * old->divisor))
        return NOT_JUDGED;
    struct fraction fraction = {old->number, old->divisor};
    return compare_difference(&variation->difference, input->side, figure, &fraction);
}

static int rank(const struct day_figure *figure)
{
    return figure->divisor == DAY_BELOW ? -1 : figure->divisor == DAY_ABOVE ? 1 : 0;
}

static int compare_figures(const void *left, const void *right)
{
    const struct day_figure *a = left, *b = right;
    if (rank(a) != 0 || rank(b) != 0)
        return rank(a) - rank(b);
    __int128 x = (__int128)a->number * b->divisor, y = (__int128)b->number * a->divisor;
    return x < y ? -1 : x > y;
}

/* The median of the figures, which it sorts; false: it is no number. */
static bool median_of(struct day_figure *figures, size_t count, struct fraction *ret)
{
    qsort(figures, count, sizeof figures[0], compare_figures);
    const struct day_figure *upper = &figures[count / 2], *lower = &figures[(count - 1) / 2];
    if (!day_is_number(lower) || !day_is_number(upper))
        return false;
    if (lower == upper)
        *ret = (struct fraction){upper->number, upper->divisor};
    else
        *ret = (struct fraction){(__int128)lower->number * upper->divisor +
                                     (__int128)upper->number * lower->divisor,
                                 2 * (int64_t)lower->divisor * upper->divisor};
    return true;
}

static enum verdict judge_baseline(const struct day_input *input)
{
    const struct rule_baseline *baseline = &input->rule->baseline;
    const struct day_figure *figure = own_figure(input);
    struct day_figure past[OVER_MAX];
    struct fraction median;
    size_t count = 0;
    unsigned least = baseline->day.min_readings;
    ensure(baseline->over <= OVER_MAX);
    if (!day_has_data(figure, least) || !day_is_number(figure))
        return NOT_JUDGED;
    for (size_t back = 1; back <= baseline->over && back <= input->before; back++)
        if (day_has_data(figure - back, least))
            past[count++] = *(figure - back);
    if (count == 0 || count < baseline->min_days || !median_of(past, count, &median))
        return NOT_JUDGED;
    return compare_difference(&baseline->difference, input->side, figure, &median);
}

static enum verdict (*const judges[RULE_KIND_COUNT])(const struct day_input *) = {
    [RULE_DAILY] = judge_daily,
    [RULE_VARIATION] = judge_variation,
    [RULE_BASELINE] = judge_baseline,
};

/* ---- what becomes of it ---- */

static unsigned count_of(const struct rule *rule)
{
    return rule->kind == RULE_DAILY      ? rule->daily.days
           : rule->kind == RULE_BASELINE ? rule->baseline.days
                                         : 1;
}

static void miss(struct day_state *state, const struct rule *rule)
{
    bool bridges = rule != NULL && rule->kind == RULE_DAILY && rule->daily.skip && state->run > 0;
    if (!bridges || ++state->bridged > rule->daily.days + DAYS_BRIDGED_MORE)
        end_run(state);
}

static void count(struct day_state *state, int64_t day, bool breach)
{
    if (!breach) {
        end_run(state);
        return;
    }
    if (state->run++ == 0)
        state->first = (int32_t)day;
    state->bridged = 0;
}

static void decide(struct day_state *state, const struct rule *rule, struct day_outcome *ret)
{
    enum priority active = (enum priority)state->active, priority = rule->priority;
    if (ret->breach && state->run >= count_of(rule) && priority > active)
        ret->kind = active == PRIORITY_NONE ? EVENT_RAISED : EVENT_ESCALATED;
    else if (!ret->breach && active != PRIORITY_NONE)
        ret->kind = EVENT_CLEARED;
    else if (active > priority)
        ret->kind = EVENT_DEESCALATED;
    if (ret->kind == EVENT_COUNT)
        return;
    ret->priority = ret->kind == EVENT_CLEARED ? active : priority;
    state->active = (uint8_t)(ret->kind == EVENT_CLEARED ? PRIORITY_NONE : priority);
}

void day_judge(struct day_state *state, const struct day_input *input, struct day_outcome *ret)
{
    const struct rule *rule = input->rule;
    *ret = (struct day_outcome){.kind = EVENT_COUNT, .first = input->day};
    enum verdict verdict = NOT_JUDGED;
    if (rule != NULL && rule_has_side(rule, input->side)) {
        verdict = judges[rule->kind](input);
        if (day_has_data(own_figure(input), rule_days_of(rule)->min_readings)) {
            state->data_day = (int32_t)input->day;
            state->data_breach = verdict == BREACH;
        }
    }
    if (verdict == NOT_JUDGED) {
        miss(state, rule);
        return;
    }
    ret->judged = true;
    ret->breach = verdict == BREACH;
    count(state, input->day, ret->breach);
    decide(state, rule, ret);
    if (ret->breach && ret->kind != EVENT_DEESCALATED)
        ret->first = rule->kind == RULE_VARIATION ? input->day - 1 : state->first;
}

unsigned day_reach(const struct rule *rule)
{
    return rule->kind == RULE_BASELINE ? rule->baseline.over : rule->kind == RULE_VARIATION ? 1 : 0;
}
