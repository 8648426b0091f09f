/* judge_occurrences: RULES.md section 3.2: N occurrences in (t - T, t], crossings or breaching readings.
 * Occurrences are kept for the longest window of any version: a later version may look further. */
#include <string.h>

#include "alerting/grow.h"
#include "alerting/judge_own.h"

/* An instant breaches if any of its values does, and is inside if all are. */
static const struct held *measure(const struct judge_input *input, bool *ret_breach, bool *ret_inside)
{
    const struct rule_occurrences *rule = &input->rule->occurrences;
    int64_t limit = rule->bound.limit[input->side];
    const struct held *deciding = NULL;
    *ret_inside = true;
    for (const struct held *held = input->instant->first; held < input->instant->end; held++) {
        if (!(held->flags & HELD_MEMBER))
            continue;
        if (deciding == NULL && value_breaches(input, held, limit))
            deciding = held;
        *ret_inside &= value_is_inside(input, held, limit, rule->rearm);
    }
    *ret_breach = deciding != NULL;
    return deciding != NULL ? deciding : instant_first(input->instant);
}

void occurrences_push(struct occurrences_own *own, const struct reading_key *key)
{
    if (own->start > 0 && own->start >= own->count) {
        memmove(own->items, own->items + own->start, own->count * sizeof own->items[0]);
        own->start = 0;
    }
    own->items = grow(own->items, own->start + own->count + 1, &own->capacity, sizeof own->items[0]);
    own->items[own->start + own->count++] = *key;
}

size_t occurrences_counted(const struct occurrences_own *own, int64_t ms, int64_t within_ms)
{
    size_t low = 0, high = own == NULL ? 0 : own->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (own->items[own->start + middle].ms <= ms - within_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return own == NULL ? 0 : own->count - low;
}

static void forget(struct occurrences_own *own, int64_t ms, int64_t window_max_ms)
{
    while (own->count > 0 && own->items[own->start].ms <= ms - window_max_ms) {
        own->start++;
        own->count--;
    }
}

static void decide(struct judge_state *state, const struct judge_input *input, bool occurred,
                   struct judge_outcome *ret)
{
    const struct rule *rule = input->rule;
    const struct occurrences_own *own = state->own;
    if (!occurred && state->active == PRIORITY_NONE)
        return;
    size_t n = occurrences_counted(own, input->instant->key.ms, rule->occurrences.within_ms);
    if (occurred && n >= rule->occurrences.times && rule->priority > state->active) {
        judge_become(state, rule->priority, ret);
        ret->began = own->items[own->start + own->count - n];
        ret->in_breach = (uint32_t)n;
    } else if (state->active != PRIORITY_NONE && n < rule->occurrences.times && (own == NULL || !own->in)) {
        judge_become(state, PRIORITY_NONE, ret);
    } else if (state->active > rule->priority) {
        judge_become(state, rule->priority, ret);
    }
    ret->first = n > 0 ? own->items[own->start + own->count - n] : input->instant->key;
}

static void step(struct judge_state *state, const struct judge_input *input, struct judge_outcome *ret)
{
    struct occurrences_own *own = state->own;
    bool breach, inside, was_in = own != NULL && own->in;
    if (own != NULL)
        forget(own, input->instant->key.ms, input->window_max_ms);
    if (input->rule == NULL)
        return;
    ret->deciding = measure(input, &breach, &inside);
    ret->basis = BASIS_COUNTED;
    ret->breach = breach;
    ret->settled = breach || inside;
    bool occurred = breach && (input->rule->occurrences.sample || !was_in);
    if (breach)
        own = judge_own(state, sizeof *own);
    if (own != NULL && ret->settled)
        own->in = breach;
    if (occurred)
        occurrences_push(own, &input->instant->key);
    decide(state, input, occurred, ret);
}

static struct judge_compared compared(const void *own, const struct judge_input *input)
{
    size_t n = occurrences_counted(own, input->instant->key.ms, input->rule->occurrences.within_ms);
    return (struct judge_compared){COMPARED_COUNT, (int64_t)n};
}

static int64_t window_ms(const struct rule *rule)
{
    return rule->occurrences.within_ms;
}

static void end(void *state)
{
    struct occurrences_own *own = state;
    own->in = false;
    own->start = own->count = 0;
}

static bool is_blank(const struct judge_state *state)
{
    const struct occurrences_own *own = state->own;
    return !own->in && own->count == 0;
}

static void copy(void *to_own, const void *from_own)
{
    struct occurrences_own *to = to_own;
    const struct occurrences_own *from = from_own;
    to->items = NULL;
    to->start = to->capacity = 0;
    to->items = grow(NULL, from->count, &to->capacity, sizeof to->items[0]);
    if (from->count > 0)
        memcpy(to->items, from->items + from->start, from->count * sizeof to->items[0]);
}

static void deinit(void *own)
{
    slab_give(((struct occurrences_own *)own)->items);
}

static void each_key(const void *state, judge_visit *visit, void *context)
{
    const struct occurrences_own *own = state;
    for (size_t i = 0; i < own->count; i++)
        visit(context, &own->items[own->start + i]);
}

const struct judge_kind judge_occurrences = {
    .size = sizeof(struct occurrences_own),
    .window_ms = window_ms,
    .step = step,
    .compared = compared,
    .end = end,
    .is_blank = is_blank,
    .copy = copy,
    .deinit = deinit,
    .each_key = each_key,
};
