/* judge_reference: RULES.md section 3, `reference`: r against the patient's reference in force at t. */
#include "alerting/judge_own.h"

static void step(struct judge_state *state, const struct judge_input *input, struct judge_outcome *ret)
{
    const struct held *value = instant_furthest(input->instant, input->side);
    if (input->rule == NULL || value == NULL)
        return;
    const struct rule_reference *rule = &input->rule->reference;
    const struct reference *reference =
        references_at(input->references, input->parameter, rule->name, input->instant->key.ms);
    bool judged = false;
    if (reference != NULL)
        ret->breach =
            difference_breaches(&rule->difference, input->side, value->value, reference->value, &judged);
    if (!judged || (state->own == NULL && !ret->breach && state->active == PRIORITY_NONE))
        return;
    struct reference_own *own = judge_own(state, sizeof *own);
    ret->deciding = value;
    ret->basis = BASIS_READING;
    judge_tally(state, &own->tally, input, ret);
}

static struct judge_compared compared(const void *own, const struct judge_input *input)
{
    const struct reference *reference = references_at(input->references, input->parameter,
                                                      input->rule->reference.name, input->instant->key.ms);
    return reference == NULL ? (struct judge_compared){COMPARED_NOTHING, 0}
                             : (struct judge_compared){COMPARED_REFERENCE, reference->value};
}

static void end(void *own)
{
    *(struct reference_own *)own = (struct reference_own){.tally = {.clear = 0}};
}

static bool is_blank(const struct judge_state *state)
{
    return judge_tally_is_blank(state, &((const struct reference_own *)state->own)->tally);
}

static void each_key(const void *own, judge_visit *visit, void *context)
{
    judge_tally_keys(&((const struct reference_own *)own)->tally, visit, context);
}

const struct judge_kind judge_reference = {
    .size = sizeof(struct reference_own),
    .step = step,
    .compared = compared,
    .end = end,
    .is_blank = is_blank,
    .each_key = each_key,
};
