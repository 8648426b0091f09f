/* judge_limit: RULES.md section 3.1, word by word. */
#include <string.h>

#include "alerting/judge_own.h"

struct measure {
    enum priority level; /* highest priority breached */
    unsigned inside;     /* bit P: inside level P; every reading is inside of a level that is not there */
    const struct held *deciding;
};

static void measure_one(const struct judge_input *input, const struct held *held, struct measure *measure)
{
    const struct rule_levels *levels = &input->rule->limit.side[input->side];
    for (unsigned i = 0; i < levels->count; i++) {
        enum priority priority = levels->level[i].priority;
        if (value_breaches(input, held, levels->level[i].limit) && priority > measure->level) {
            measure->level = priority;
            measure->deciding = held;
        }
        if (!value_is_inside(input, held, levels->level[i].limit, input->rule->limit.hysteresis))
            measure->inside &= ~(1u << priority);
    }
}

/* An instant breaches if any of its values does, and is inside if all are. */
static struct measure measure_instant(const struct judge_input *input)
{
    struct measure measure = {PRIORITY_NONE, ~0u, NULL};
    for (const struct held *held = input->instant->first; held < input->instant->end; held++)
        if (held->flags & HELD_MEMBER)
            measure_one(input, held, &measure);
    if (measure.deciding == NULL)
        measure.deciding = instant_first(input->instant);
    return measure;
}

static struct judge_run *run_of(struct judge_run *runs, enum priority priority)
{
    return &runs[priority - PRIORITY_LOW];
}

/* Highest level that is held: long enough in readings and in measured time. */
static enum priority highest_held(struct limit_own *own, const struct judge_input *input)
{
    const struct rule_levels *levels = &input->rule->limit.side[input->side];
    enum priority highest = PRIORITY_NONE;
    for (unsigned i = 0; i < levels->count; i++) {
        const struct judge_run *run = run_of(own->run, levels->level[i].priority);
        if (run->count > 0 && run->count >= input->rule->count &&
            input->instant->key.ms - run->first.ms >= input->rule->limit.for_ms &&
            levels->level[i].priority > highest)
            highest = levels->level[i].priority;
    }
    return highest;
}

static void decide(struct judge_state *state, struct limit_own *own, const struct judge_input *input,
                   struct judge_outcome *ret)
{
    enum priority held = highest_held(own, input), active = state->active, stays = active;
    if (held > active) {
        judge_become(state, held, ret);
        ret->first = run_of(own->run, held)->first;
        ret->began = run_of(own->run, PRIORITY_LOW)->first;
        ret->in_breach = run_of(own->run, PRIORITY_LOW)->count;
        return;
    }
    while (stays != PRIORITY_NONE && run_of(own->clear, stays)->count >= input->rule->clear_count)
        stays--;
    if (stays == active)
        return;
    judge_become(state, stays, ret);
    ret->first = run_of(own->clear, active)->first;
}

static void count(struct limit_own *own, enum priority active, const struct measure *measure,
                  const struct reading_key *key)
{
    for (enum priority priority = PRIORITY_LOW; priority < PRIORITY_COUNT; priority++) {
        judge_count_run(run_of(own->run, priority), measure->level >= priority, key);
        if (active != PRIORITY_NONE)
            judge_count_run(run_of(own->clear, priority), (measure->inside & 1u << priority) != 0, key);
    }
}

static void end(void *own)
{
    *(struct limit_own *)own = (struct limit_own){.run = {{.count = 0}}};
}

static void step(struct judge_state *state, const struct judge_input *input, struct judge_outcome *ret)
{
    const struct reading_key *key = &input->instant->key;
    if (input->rule == NULL)
        return;
    if (state->own != NULL && input->rule->limit.max_gap_ms > 0 && state->previous_ms != INSTANT_NONE &&
        key->ms - state->previous_ms > input->rule->limit.max_gap_ms)
        end(state->own);

    struct measure measure = measure_instant(input);
    ret->breach = measure.level != PRIORITY_NONE;
    ret->deciding = measure.deciding;
    if (state->own == NULL && !ret->breach && state->active == PRIORITY_NONE)
        return;
    struct limit_own *own = judge_own(state, sizeof *own);
    count(own, state->active, &measure, key);
    decide(state, own, input, ret);
    if (state->active == PRIORITY_NONE)
        memset(own->clear, 0, sizeof own->clear);
}

static bool is_blank(const struct judge_state *state)
{
    const struct limit_own *own = state->own;
    return state->active == PRIORITY_NONE && own->run[0].count == 0; /* the run of any breach */
}

static void each_key(const void *state, judge_visit *visit, void *context)
{
    const struct limit_own *own = state;
    for (unsigned i = 0; i < LEVELS; i++) {
        if (own->run[i].count > 0)
            visit(context, &own->run[i].first);
        if (own->clear[i].count > 0)
            visit(context, &own->clear[i].first);
    }
}

const struct judge_kind judge_limit = {
    .size = sizeof(struct limit_own),
    .step = step,
    .end = end,
    .is_blank = is_blank,
    .each_key = each_key,
};
