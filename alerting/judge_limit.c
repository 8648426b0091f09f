/* judge_limit: RULES.md section 3.1, word by word. */
#include "alerting/grow.h"
#include "alerting/judge.h"

struct measure {
    enum priority level; /* highest priority breached */
    unsigned inside;     /* bit P: inside level P; every reading is inside of a level that is not there */
    const struct held *deciding;
};

/* A comparator on its own side: LO or HI is the end of the measuring range, where no level is far enough out.
 */
static bool ends_range(enum parameter parameter)
{
    return parameter == PARAMETER_GLUCOSE_BLOOD || parameter == PARAMETER_GLUCOSE_INTERSTITIAL ||
           parameter_row(parameter)->class == CLASS_CONTINUOUS;
}

static bool breaches(const struct judge_input *input, const struct held *held, int64_t limit)
{
    bool low = input->side == SIDE_LOW;
    if (held->comparator == COMPARATOR_NONE)
        return low ? held->value < limit : held->value > limit;
    if ((held->comparator == COMPARATOR_LESS) != low)
        return false;
    return ends_range(input->parameter) || (low ? held->value <= limit : held->value >= limit);
}

static bool is_inside(const struct judge_input *input, const struct held *held, int64_t limit)
{
    int64_t hysteresis = input->rule->limit.hysteresis;
    bool low = input->side == SIDE_LOW;
    if (held->comparator != COMPARATOR_NONE)
        return (held->comparator == COMPARATOR_LESS) != low;
    return low ? held->value >= limit + hysteresis : held->value <= limit - hysteresis;
}

static void measure_one(const struct judge_input *input, const struct held *held, struct measure *measure)
{
    const struct rule_levels *levels = &input->rule->limit.side[input->side];
    for (unsigned i = 0; i < levels->count; i++) {
        enum priority priority = levels->level[i].priority;
        if (breaches(input, held, levels->level[i].limit) && priority > measure->level) {
            measure->level = priority;
            measure->deciding = held;
        }
        if (!is_inside(input, held, levels->level[i].limit))
            measure->inside &= ~(1u << priority);
    }
}

/* An instant breaches if any of its values does, and is inside if all are. */
static struct measure measure_instant(const struct judge_input *input)
{
    struct measure measure = {PRIORITY_NONE, ~0u, NULL};
    const struct held *first = NULL;
    for (const struct held *held = input->instant->first; held < input->instant->end; held++)
        if (held->flags & HELD_MEMBER) {
            measure_one(input, held, &measure);
            first = first == NULL ? held : first;
        }
    if (measure.deciding == NULL)
        measure.deciding = first;
    ensure(measure.deciding != NULL);
    return measure;
}

static void count_run(struct judge_run *run, bool goes_on, const struct reading_key *key)
{
    if (!goes_on)
        run->count = 0;
    else if (run->count++ == 0)
        run->first = *key;
}

/* Highest level that is held: long enough in readings and in measured time. */
static enum priority highest_held(const struct judge_state *state, const struct judge_input *input)
{
    const struct rule_levels *levels = &input->rule->limit.side[input->side];
    enum priority highest = PRIORITY_NONE;
    for (unsigned i = 0; i < levels->count; i++) {
        const struct judge_run *run = &state->run[levels->level[i].priority];
        if (run->count > 0 && run->count >= input->rule->count &&
            input->instant->key.ms - run->first.ms >= input->rule->limit.for_ms &&
            levels->level[i].priority > highest)
            highest = levels->level[i].priority;
    }
    return highest;
}

static void decide(struct judge_state *state, const struct judge_input *input, struct judge_outcome *ret)
{
    enum priority held = highest_held(state, input), active = state->active;
    if (held > active) {
        ret->kind = active == PRIORITY_NONE ? EVENT_RAISED : EVENT_ESCALATED;
        ret->priority = state->active = held;
        ret->first = state->run[held].first;
        return;
    }
    while (state->active != PRIORITY_NONE && state->clear[state->active].count >= input->rule->clear_count)
        state->active--;
    if (state->active == active)
        return;
    ret->kind = state->active == PRIORITY_NONE ? EVENT_CLEARED : EVENT_DEESCALATED;
    ret->priority = state->active == PRIORITY_NONE ? active : state->active;
    ret->first = state->clear[active].first;
}

void judge_limit(struct judge_state *state, const struct judge_input *input, struct judge_outcome *ret)
{
    const struct reading_key *key = &input->instant->key;
    int64_t previous_ms = state->previous_ms;
    *ret = (struct judge_outcome){.kind = EVENT_COUNT};
    state->previous_ms = key->ms;
    if (input->rule == NULL)
        return;
    ensure(input->rule->kind == RULE_LIMIT);
    if (input->rule->limit.max_gap_ms > 0 && previous_ms != INSTANT_NONE &&
        key->ms - previous_ms > input->rule->limit.max_gap_ms)
        judge_reset_runs(state);

    struct measure measure = measure_instant(input);
    for (unsigned priority = PRIORITY_LOW; priority < PRIORITY_COUNT; priority++) {
        count_run(&state->run[priority], measure.level >= priority, key);
        count_run(&state->clear[priority], (measure.inside & 1u << priority) != 0, key);
    }
    ret->judged = true;
    ret->breach = measure.level != PRIORITY_NONE;
    ret->deciding = measure.deciding;
    decide(state, input, ret);
}
