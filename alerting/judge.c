/* judge: the state that the automata share. */
#include "alerting/judge.h"

#include <stdlib.h>
#include <string.h>

#include "alerting/grow.h"

void judge_state_init(struct judge_state *state)
{
    *state = (struct judge_state){.at_ms = INT64_MIN, .previous_ms = INSTANT_NONE};
}

void judge_state_deinit(struct judge_state *state)
{
    slab_give(state->window.items);
    judge_state_init(state);
}

void judge_state_copy(struct judge_state *to, const struct judge_state *from)
{
    struct window window = to->window;
    window.items = grow(window.items, from->window.count, &window.capacity, sizeof window.items[0]);
    if (from->window.count > 0)
        memcpy(window.items, from->window.items + from->window.start,
               from->window.count * sizeof window.items[0]);
    window.start = 0;
    window.count = from->window.count;
    window.pending = from->window.pending;
    window.has_pending = from->window.has_pending;
    *to = *from;
    to->window = window;
}

void judge_reset_runs(struct judge_state *state)
{
    memset(state->run, 0, sizeof state->run);
    memset(state->clear, 0, sizeof state->clear);
}

bool judge_has_side(const struct rule *rule, enum rule_side side)
{
    if (rule->kind == RULE_LIMIT)
        return rule->limit.side[side].count > 0;
    return rule->kind == RULE_CHANGE && rule->change.difference.has[side];
}
