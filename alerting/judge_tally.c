/* judge_tally: runs, and the decision of kinds of one priority (choices of judge.h). */
#include "alerting/judge_own.h"

void judge_become(struct judge_state *state, enum priority priority, struct judge_outcome *ret)
{
    ret->kind = priority == PRIORITY_NONE        ? EVENT_CLEARED
                : state->active == PRIORITY_NONE ? EVENT_RAISED
                : priority > state->active       ? EVENT_ESCALATED
                                                 : EVENT_DEESCALATED;
    ret->priority = priority == PRIORITY_NONE ? state->active : priority;
    state->active = priority;
}

void judge_count_run(struct judge_run *run, bool goes_on, const struct reading_key *key)
{
    if (!goes_on)
        *run = (struct judge_run){.count = 0};
    else if (run->count++ == 0)
        run->first = *key;
}

static void count(struct judge_tally *tally, enum priority active, const struct judge_input *input,
                  bool breach)
{
    judge_count_run(&tally->run, breach, &input->instant->key);
    if (active == PRIORITY_NONE)
        return;
    tally->clear = breach ? 0 : tally->clear + 1;
    tally->left = breach && active == input->rule->priority ? 0 : tally->left + 1;
}

void judge_tally(struct judge_state *state, struct judge_tally *tally, const struct judge_input *input,
                 struct judge_outcome *ret)
{
    const struct rule *rule = input->rule;
    count(tally, state->active, input, ret->breach);
    if (ret->breach && tally->run.count >= rule->count && rule->priority > state->active) {
        judge_become(state, rule->priority, ret);
        ret->began = tally->run.first;
        ret->in_breach = tally->run.count;
        tally->left = 0;
    } else if (state->active != PRIORITY_NONE && tally->clear >= rule->clear_count) {
        judge_become(state, PRIORITY_NONE, ret);
        tally->clear = tally->left = 0;
    } else if (state->active > rule->priority && tally->left >= rule->clear_count) {
        judge_become(state, rule->priority, ret);
        tally->left = tally->clear;
    }
}

bool judge_tally_is_blank(const struct judge_state *state, const struct judge_tally *tally)
{
    return state->active == PRIORITY_NONE && tally->run.count == 0;
}

void judge_tally_keys(const struct judge_tally *tally, judge_visit *visit, void *context)
{
    if (tally->run.count > 0)
        visit(context, &tally->run.first);
}
