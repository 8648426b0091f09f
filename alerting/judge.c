/* judge: the table of kinds, and what the states share. */
#include "alerting/judge.h"

#include <string.h>

#include "alerting/grow.h"
#include "alerting/judge_own.h"

static const struct judge_kind *const kinds[RULE_KIND_COUNT] = {
    [RULE_LIMIT] = &judge_limit,   [RULE_OCCURRENCES] = &judge_occurrences,
    [RULE_CHANGE] = &judge_change, [RULE_REFERENCE] = &judge_reference,
    [RULE_RATE] = &judge_rate,
};

bool judges_readings(enum rule_kind kind)
{
    return kinds[kind] != NULL;
}

void judge_state_init(struct judge_state *state)
{
    *state = (struct judge_state){.at_ms = INT64_MIN, .previous_ms = INSTANT_NONE};
}

static void give_own(struct judge_state *state, enum rule_kind kind)
{
    if (state->own != NULL && kinds[kind]->deinit != NULL)
        kinds[kind]->deinit(state->own);
    slab_give(state->own);
    state->own = NULL;
}

void judge_state_deinit(struct judge_state *state, enum rule_kind kind)
{
    give_own(state, kind);
    judge_state_init(state);
}

void judge_state_copy(struct judge_state *to, const struct judge_state *from, enum rule_kind kind)
{
    give_own(to, kind);
    *to = *from;
    if (from->own == NULL)
        return;
    to->own = slab_take(kinds[kind]->size);
    memcpy(to->own, from->own, kinds[kind]->size);
    if (kinds[kind]->copy != NULL)
        kinds[kind]->copy(to->own, from->own);
}

void judge_make_own(struct judge_state *state, enum rule_kind kind)
{
    ensure(state->own == NULL);
    state->own = zeroed(kinds[kind]->size);
}

bool judge_is_blank(const struct judge_state *state, enum rule_kind kind)
{
    return kinds[kind]->is_blank(state);
}

static void drop_blank(struct judge_state *state, enum rule_kind kind)
{
    if (state->own != NULL && kinds[kind]->is_blank(state))
        give_own(state, kind);
}

void judge_end(struct judge_state *state, enum rule_kind kind)
{
    state->active = PRIORITY_NONE;
    if (state->own != NULL)
        kinds[kind]->end(state->own);
    drop_blank(state, kind);
}

void judge_step(enum rule_kind kind, struct judge_state *state, const struct judge_input *input,
                struct judge_outcome *ret)
{
    *ret = (struct judge_outcome){.kind = EVENT_COUNT};
    ensure(input->rule == NULL || input->rule->kind == kind);
    kinds[kind]->step(state, input, ret);
    state->previous_ms = input->instant->key.ms;
    drop_blank(state, kind);
}

struct judge_compared judge_compared(enum rule_kind kind, const struct judge_state *state,
                                     const struct judge_input *input)
{
    const struct judge_compared nothing = {COMPARED_NOTHING, 0};
    bool says = input->rule != NULL && kinds[kind]->compared != NULL;
    return says ? kinds[kind]->compared(state->own, input) : nothing;
}

int64_t judge_window_ms(const struct rule *rule)
{
    const struct judge_kind *kind = kinds[rule->kind];
    return kind == NULL || kind->window_ms == NULL ? 0 : kind->window_ms(rule);
}

void judge_each_key(const struct judge_state *state, enum rule_kind kind, judge_visit *visit, void *context)
{
    if (state->own != NULL)
        kinds[kind]->each_key(state->own, visit, context);
}

void *judge_own(struct judge_state *state, size_t size)
{
    if (state->own == NULL)
        state->own = zeroed(size);
    return state->own;
}
