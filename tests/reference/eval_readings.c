/* eval_readings: the kinds that walk the series reading by reading, RULES.md sections 3, 3.1 and 3.2. */
#include <stdlib.h>

#include "tests/reference/eval_internal.h"

static const wide million = 1000000;

/* ---- what a reading is to a limit ---- */

enum reach reach_of(const struct fact_reading *reading, enum fact_side side, int64_t limit)
{
    if (reading->comparator == 0)
        return (side == LOW ? reading->value < limit : reading->value > limit) ? BREACH : INSIDE;
    int beyond = side == LOW ? 1 : 2; /* "<", ">" */
    const struct fact_parameter *parameter = &fact_parameters[reading->parameter];
    if (reading->comparator != beyond)
        return INSIDE;
    if (parameter->glucose || parameter->continuous)
        return BREACH; /* the end of the measuring range */
    return (side == LOW ? reading->value <= limit : reading->value >= limit) ? BREACH : NEITHER;
}

bool is_inside(const struct fact_reading *reading, enum fact_side side, int64_t limit, int64_t margin)
{
    if (reading->comparator == 0)
        return side == LOW ? reading->value >= limit + margin : reading->value <= limit - margin;
    return reach_of(reading, side, limit) == INSIDE;
}

static bool any_breach(const struct walk *walk, const struct instant *instant, int64_t limit)
{
    for (size_t i = instant->first; i < instant->end; i++)
        if (reach_of(walk->series->reading[i], walk->side, limit) == BREACH)
            return true;
    return false;
}

static bool all_inside(const struct walk *walk, const struct instant *instant, int64_t limit, int64_t margin)
{
    for (size_t i = instant->first; i < instant->end; i++)
        if (!is_inside(walk->series->reading[i], walk->side, limit, margin))
            return false;
    return true;
}

static void set_beginning(const struct walk *walk, struct episode *episode, const struct instant *instant)
{
    const struct fact_reading *reading = walk->series->reading[instant->first];
    episode->began_at = reading->measured_at;
    episode->began_device = reading->device;
    episode->began_sensor = reading->sensor;
}

/* ---- 3.1 limit ---- */

struct limit_state {
    int count[FACT_LEVELS + 1], clearing[FACT_LEVELS + 1];
    int64_t first[FACT_LEVELS + 1];
    const struct instant *began; /* first of the run of readings that breach any level */
};

static void limit_count(const struct walk *walk, const struct fact_rule *rule, const struct instant *instant,
                        struct limit_state *state)
{
    int level = 0;
    for (int p = 1; p <= FACT_LEVELS; p++)
        if (rule->level[p].has[walk->side] && any_breach(walk, instant, rule->level[p].limit[walk->side]))
            level = p;
    if (level == 0)
        state->began = NULL;
    else if (state->began == NULL)
        state->began = instant;
    for (int p = 1; p <= FACT_LEVELS; p++) {
        state->count[p] = level >= p ? state->count[p] + 1 : 0;
        if (state->count[p] == 1)
            state->first[p] = instant->t;
        bool inside = !rule->level[p].has[walk->side] ||
                      all_inside(walk, instant, rule->level[p].limit[walk->side], rule->hysteresis);
        state->clearing[p] = inside ? state->clearing[p] + 1 : 0;
    }
}

static void limit_decide(struct walk *walk, const struct fact_rule *rule, int64_t t,
                         struct limit_state *state)
{
    int held = 0;
    for (int p = 1; p <= FACT_LEVELS; p++)
        if (rule->level[p].has[walk->side] && state->count[p] >= rule->count &&
            t - state->first[p] >= rule->for_ms)
            held = p;
    if (held > walk->active) {
        if (walk->active == 0)
            set_beginning(walk, walk_raise(walk, t, held), state->began);
        else
            walk_step(walk, t, held);
        return;
    }
    int stays = walk->active;
    while (stays > 0 && state->clearing[stays] >= rule->clear_count)
        stays--;
    if (walk->active > 0 && stays == 0)
        walk_clear(walk, t, CLEARED);
    else if (stays < walk->active)
        walk_step(walk, t, stays);
}

void walk_limit(struct walk *walk)
{
    struct limit_state state = {.began = NULL};
    for (size_t i = 0; i < walk->series->instants; i++) {
        const struct instant *instant = &walk->series->instant[i];
        while (walk_end(walk, instant->t))
            state = (struct limit_state){.began = NULL};
        const struct fact_rule *rule = versions_at(walk->timeline, instant->t);
        if (rule == NULL)
            continue;
        if (rule->max_gap_ms > 0 && i > 0 && instant->t - instant[-1].t > rule->max_gap_ms)
            state = (struct limit_state){.began = NULL};
        limit_count(walk, rule, instant, &state);
        limit_decide(walk, rule, instant->t, &state);
    }
    while (walk_end(walk, NEVER))
        ;
}

/* ---- change, reference, rate: whether the instant at hand breaches; -1: not judged ---- */

/* A percent compares with `old`; a difference must exceed its limit by more than one millionth. */
static int differs(const struct fact_rule *rule, enum fact_side side, int64_t value, int64_t old)
{
    wide delta = side == HIGH ? (wide)value - old : (wide)old - value;
    if (!rule->percent[side])
        return delta > (wide)rule->amount[side] + 1;
    if (old == 0)
        return -1;
    wide size = old < 0 ? -(wide)old : old;
    return delta > 0 && delta * 100 * million > (wide)rule->amount[side] * size;
}

/* As r, any value of the instant breaches. */
static int any_differs(const struct walk *walk, const struct fact_rule *rule, const struct instant *instant,
                       int64_t old)
{
    int verdict = -1;
    for (size_t i = instant->first; i < instant->end; i++) {
        const struct fact_reading *reading = walk->series->reading[i];
        int one = reading->comparator == 0 ? differs(rule, walk->side, reading->value, old) : -1;
        verdict = one > verdict ? one : verdict;
    }
    return verdict;
}

/* First instant of the series with t >= from. */
static size_t seek(const struct series *series, int64_t from)
{
    size_t low = 0, high = series->instants;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (series->instant[middle].t < from)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int breach_change(const struct walk *walk, const struct fact_rule *rule, size_t at)
{
    const struct series *series = walk->series;
    const struct instant *instant = &series->instant[at];
    const struct fact_reading *extreme = NULL;
    for (size_t i = seek(series, instant->t - rule->within_ms); series->instant[i].t < instant->t; i++) {
        const struct fact_reading *number = series->instant[i].number;
        if (number != NULL && (extreme == NULL || (walk->side == HIGH ? number->value < extreme->value
                                                                      : number->value > extreme->value)))
            extreme = number;
    }
    return extreme == NULL ? -1 : any_differs(walk, rule, instant, extreme->value);
}

static int breach_reference(const struct walk *walk, const struct fact_rule *rule, size_t at)
{
    const struct instant *instant = &walk->series->instant[at];
    const struct fact_dated *found = NULL;
    for (size_t i = 0; i < walk->facts->dateds; i++) {
        const struct fact_dated *one = &walk->facts->dated[i];
        if (one->name == rule->reference && one->parameter == rule->parameter && one->from <= instant->t &&
            (found == NULL || one->from > found->from ||
             (one->from == found->from && one->order > found->order)))
            found = one;
    }
    return found == NULL ? -1 : any_differs(walk, rule, instant, found->value);
}

/* Least squares over (t - T, t], nothing after the instant in series order: the slope per minute is
 * 60000 (n sum tv - sum t sum v) / (n sum tt - (sum t)^2), times from the first of the window. */
static int breach_rate(const struct walk *walk, const struct fact_rule *rule, size_t at)
{
    const struct series *series = walk->series;
    const struct instant *instant = &series->instant[at];
    wide n = 0, st = 0, sv = 0, stt = 0, stv = 0;
    if (instant->number == NULL)
        return -1;
    size_t first = seek(series, instant->t - rule->within_ms + 1);
    int64_t zero = series->instant[first].t, base = instant->number->value;
    for (size_t i = first; i <= at; i++) {
        if (series->instant[i].number == NULL)
            continue;
        wide t = series->instant[i].t - zero, v = (wide)series->instant[i].number->value - base;
        n++, st += t, sv += v, stt += t * t, stv += t * v;
    }
    wide below = n * stt - st * st, above = (n * stv - st * sv) * 60000;
    if (n < rule->readings || below == 0)
        return -1;
    return (walk->side == HIGH ? above : -above) > (wide)rule->amount[walk->side] * below;
}

static int breach_of(const struct walk *walk, const struct fact_rule *rule, size_t at)
{
    return rule->kind == CHANGE      ? breach_change(walk, rule, at)
           : rule->kind == REFERENCE ? breach_reference(walk, rule, at)
                                     : breach_rate(walk, rule, at);
}

/* Runs go on across versions; a priority that a newer version lacks is left like a level that every reading
 * is inside of: after clear_count judged instants. */
struct one_state {
    int breaches, others, inside;
    const struct instant *began;
};

static void one_decide(struct walk *walk, const struct fact_rule *rule, const struct instant *instant,
                       bool breach, struct one_state *state)
{
    if (breach && state->breaches++ == 0)
        state->began = instant;
    state->breaches = breach ? state->breaches : 0;
    state->others = breach ? 0 : state->others + 1;
    state->inside = breach && walk->active == rule->priority ? 0 : state->inside + 1;
    int before = walk->active;
    if (breach && state->breaches >= rule->count && rule->priority > walk->active) {
        if (walk->active == 0)
            set_beginning(walk, walk_raise(walk, instant->t, rule->priority), state->began);
        else
            walk_step(walk, instant->t, rule->priority);
    } else if (walk->active > 0 && state->others >= rule->clear_count) {
        walk_clear(walk, instant->t, CLEARED);
    } else if (walk->active > rule->priority && state->inside >= rule->clear_count) {
        walk_step(walk, instant->t, rule->priority);
    }
    if (walk->active != before)
        state->inside = state->others;
}

void walk_one_priority(struct walk *walk)
{
    struct one_state state = {.began = NULL};
    for (size_t i = 0; i < walk->series->instants; i++) {
        const struct instant *instant = &walk->series->instant[i];
        while (walk_end(walk, instant->t))
            state = (struct one_state){.began = NULL};
        const struct fact_rule *rule = versions_at(walk->timeline, instant->t);
        int breach = rule == NULL ? -1 : breach_of(walk, rule, i);
        if (breach >= 0)
            one_decide(walk, rule, instant, breach == 1, &state);
    }
    while (walk_end(walk, NEVER))
        ;
}

/* ---- 3.2 occurrences ---- */

void walk_occurrences(struct walk *walk)
{
    const struct series *series = walk->series;
    const struct instant **occurred = calloc(series->instants + 1, sizeof(struct instant *));
    size_t count = 0, oldest = 0;
    bool in = false;
    for (size_t i = 0; i < series->instants; i++) {
        const struct instant *instant = &series->instant[i];
        while (walk_end(walk, instant->t))
            in = false, count = 0;
        const struct fact_rule *rule = versions_at(walk->timeline, instant->t);
        if (rule == NULL)
            continue;
        bool breach = any_breach(walk, instant, rule->amount[walk->side]);
        bool occurs = breach && (rule->sample || !in);
        if (breach)
            in = true;
        else if (all_inside(walk, instant, rule->amount[walk->side], rule->rearm))
            in = false;
        if (occurs)
            occurred[count++] = instant;
        for (oldest = count; oldest > 0 && occurred[oldest - 1]->t > instant->t - rule->within_ms;)
            oldest--;
        int inside = (int)(count - oldest);
        if (occurs && inside >= rule->times && rule->priority > walk->active) {
            if (walk->active == 0)
                set_beginning(walk, walk_raise(walk, instant->t, rule->priority), occurred[oldest]);
            else
                walk_step(walk, instant->t, rule->priority);
        } else if (walk->active > 0 && !in && inside < rule->times) {
            walk_clear(walk, instant->t, CLEARED);
        } else if (walk->active > rule->priority) {
            walk_step(walk, instant->t, rule->priority);
        }
    }
    free(occurred);
    while (walk_end(walk, NEVER))
        ;
}
