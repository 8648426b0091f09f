/* judge_change: RULES.md section 3, `change`: r against the extreme of the readings in [t - D, t).
 *
 * The window is kept as candidates for the extreme (a monotonic queue): a reading that is at least as extreme
 * drives out all before it, so the latest of equals stays. Readings of one moment are pending until time
 * moves on, since a window ends before t. Candidates are kept for the longest window of any version: a later
 * version may look further. */
#include <string.h>

#include "alerting/grow.h"
#include "alerting/judge.h"

/* True when `a` is at least as extreme as `b`: the minimum for a rise, the maximum for a fall. */
static bool at_least_as_extreme(enum rule_side side, int64_t a, int64_t b)
{
    return side == SIDE_HIGH ? a <= b : a >= b;
}

static void window_push(struct window *window, enum rule_side side, const struct window_item *item)
{
    while (window->count > 0 &&
           at_least_as_extreme(side, item->value, window->items[window->start + window->count - 1].value))
        window->count--;
    if (window->start > 0 && window->start >= window->count) {
        memmove(window->items, window->items + window->start, window->count * sizeof window->items[0]);
        window->start = 0;
    }
    window->items =
        grow(window->items, window->start + window->count + 1, &window->capacity, sizeof window->items[0]);
    window->items[window->start + window->count++] = *item;
}

/* Time moves on to t: what was pending is seen, what no window can see any more goes. */
static void window_advance(struct window *window, enum rule_side side, int64_t t, int64_t window_max_ms)
{
    if (window->has_pending && window->pending.key.ms < t) {
        window_push(window, side, &window->pending);
        window->has_pending = false;
    }
    while (window->count > 0 && window->items[window->start].key.ms < t - window_max_ms) {
        window->start++;
        window->count--;
    }
}

static void window_remember(struct window *window, enum rule_side side, const struct held *held)
{
    if (window->has_pending && !at_least_as_extreme(side, held->value, window->pending.value))
        return;
    window->pending = (struct window_item){held->key, held->value};
    window->has_pending = true;
}

/* The extreme of [from_ms, t); NULL when there is none. */
static const struct window_item *window_extreme(const struct window *window, int64_t from_ms)
{
    size_t low = 0, high = window->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (window->items[window->start + middle].key.ms < from_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low < window->count ? &window->items[window->start + low] : NULL;
}

/* The number of the instant that goes furthest; any of its values may breach. NULL: comparators alone. */
static const struct held *furthest(const struct judge_input *input)
{
    const struct held *best = NULL;
    for (const struct held *held = input->instant->first; held < input->instant->end; held++)
        if ((held->flags & HELD_MEMBER) && held->comparator == COMPARATOR_NONE &&
            (best == NULL ||
             (input->side == SIDE_HIGH ? held->value > best->value : held->value < best->value)))
            best = held;
    return best;
}

/* The one value that an instant has in windows: its first number in series order. */
static const struct held *first_number(const struct judge_input *input)
{
    for (const struct held *held = input->instant->first; held < input->instant->end; held++)
        if ((held->flags & HELD_MEMBER) && held->comparator == COMPARATOR_NONE)
            return held;
    return NULL;
}

/* A difference breaches beyond its limit by more than one millionth; a percent strictly. Never divides. */
static bool breaches(const struct rule_change *change, enum rule_side side, int64_t value, int64_t old)
{
    __int128 difference = side == SIDE_HIGH ? (__int128)value - old : (__int128)old - value;
    if (!change->difference.percent[side])
        return difference > (__int128)change->difference.amount[side] + 1;
    __int128 base = old < 0 ? -(__int128)old : old;
    return difference > 0 &&
           difference * 100 * DECIMAL_ONE > (__int128)change->difference.amount[side] * base;
}

static void count_run(struct judge_run *run, bool goes_on, const struct reading_key *key)
{
    if (!goes_on)
        run->count = 0;
    else if (run->count++ == 0)
        run->first = *key;
}

static void decide(struct judge_state *state, const struct judge_input *input, struct judge_outcome *ret)
{
    const struct rule *rule = input->rule;
    enum priority active = state->active;
    if (ret->breach && state->run[PRIORITY_LOW].count >= rule->count && active != rule->priority) {
        ret->kind = active == PRIORITY_NONE   ? EVENT_RAISED
                    : rule->priority > active ? EVENT_ESCALATED
                                              : EVENT_DEESCALATED;
        ret->priority = state->active = rule->priority;
    } else if (!ret->breach && active != PRIORITY_NONE &&
               state->clear[PRIORITY_LOW].count >= rule->clear_count) {
        ret->kind = EVENT_CLEARED;
        ret->priority = active;
        state->active = PRIORITY_NONE;
    }
}

static void judge_value(struct judge_state *state, const struct judge_input *input, const struct held *value,
                        struct judge_outcome *ret)
{
    const struct rule_change *change = &input->rule->change;
    const struct window_item *extreme =
        window_extreme(&state->window, input->instant->key.ms - change->within_ms);
    if (extreme == NULL || (change->difference.percent[input->side] && extreme->value == 0))
        return;
    ret->judged = true;
    ret->breach = breaches(change, input->side, value->value, extreme->value);
    ret->deciding = value;
    ret->pair = true;
    ret->first = extreme->key;
    count_run(&state->run[PRIORITY_LOW], ret->breach, &input->instant->key);
    count_run(&state->clear[PRIORITY_LOW], !ret->breach, &input->instant->key);
    decide(state, input, ret);
}

void judge_change(struct judge_state *state, const struct judge_input *input, struct judge_outcome *ret)
{
    *ret = (struct judge_outcome){.kind = EVENT_COUNT};
    state->previous_ms = input->instant->key.ms;
    window_advance(&state->window, input->side, input->instant->key.ms, input->window_max_ms);
    const struct held *value = furthest(input);
    if (value == NULL)
        return;
    if (input->rule != NULL && judge_has_side(input->rule, input->side))
        judge_value(state, input, value, ret);
    window_remember(&state->window, input->side, first_number(input));
}
