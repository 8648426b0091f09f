/* judge_change: RULES.md section 3, `change`: r against the extreme of the readings in [t - D, t).
 *
 * The window is kept as candidates for the extreme (a monotonic queue): a reading that is at least as extreme
 * drives out all before it, so the latest of equals stays. Readings of one moment are pending until time
 * moves on, since a window ends before t. Candidates are kept for the longest window of any version: a later
 * version may look further. */
#include "alerting/grow.h"
#include "alerting/judge_own.h"

/* True when `a` is at least as extreme as `b`: the minimum for a rise, the maximum for a fall. */
static bool at_least_as_extreme(enum rule_side side, int64_t a, int64_t b)
{
    return side == SIDE_HIGH ? a <= b : a >= b;
}

static void add_candidate(struct window *window, enum rule_side side, const struct window_item *item)
{
    while (window->count > 0 &&
           at_least_as_extreme(side, item->value, window_at(window, window->count - 1)->value))
        window->count--;
    window_push(window, item);
}

/* Time moves on to t: what was pending is seen, what no window can see any more goes. */
static void advance(struct change_own *own, enum rule_side side, int64_t t, int64_t window_max_ms)
{
    if (own->has_pending && own->pending.key.ms < t) {
        add_candidate(&own->window, side, &own->pending);
        own->has_pending = false;
    }
    while (own->window.count > 0 && window_at(&own->window, 0)->key.ms < t - window_max_ms)
        window_drop_oldest(&own->window);
}

static void remember(struct change_own *own, enum rule_side side, const struct held *held)
{
    if (own->has_pending && !at_least_as_extreme(side, held->value, own->pending.value))
        return;
    own->pending = (struct window_item){held->key, held->value};
    own->has_pending = true;
}

/* The extreme of [from_ms, t); NULL when there is none. */
static const struct window_item *extreme_from(const struct window *window, int64_t from_ms)
{
    size_t low = 0, high = window->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (window_at(window, middle)->key.ms < from_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low < window->count ? window_at(window, low) : NULL;
}

static void judge_value(struct judge_state *state, const struct judge_input *input, const struct held *value,
                        struct judge_outcome *ret)
{
    const struct rule_change *change = &input->rule->change;
    struct change_own *own = state->own;
    const struct window_item *extreme =
        extreme_from(&own->window, input->instant->key.ms - change->within_ms);
    bool judged = false;
    if (extreme != NULL)
        ret->breach =
            difference_breaches(&change->difference, input->side, value->value, extreme->value, &judged);
    if (!judged)
        return;
    ret->deciding = value;
    ret->basis = BASIS_PAIR;
    ret->first = extreme->key;
    judge_tally(state, &own->tally, input, ret);
}

static void step(struct judge_state *state, const struct judge_input *input, struct judge_outcome *ret)
{
    const struct held *value = instant_furthest(input->instant, input->side);
    if (value == NULL && state->own == NULL)
        return;
    struct change_own *own = judge_own(state, sizeof *own);
    advance(own, input->side, input->instant->key.ms, input->window_max_ms);
    if (value == NULL)
        return;
    if (input->rule != NULL)
        judge_value(state, input, value, ret);
    remember(own, input->side, instant_number(input->instant));
}

static struct judge_compared compared(const void *state, const struct judge_input *input)
{
    const struct change_own *own = state;
    const struct window_item *extreme =
        own == NULL ? NULL
                    : extreme_from(&own->window, input->instant->key.ms - input->rule->change.within_ms);
    return extreme == NULL ? (struct judge_compared){COMPARED_NOTHING, 0}
                           : (struct judge_compared){COMPARED_EXTREME, extreme->value};
}

static int64_t window_ms(const struct rule *rule)
{
    return rule->change.within_ms;
}

static void end(void *own)
{
    ((struct change_own *)own)->tally = (struct judge_tally){.clear = 0};
}

static bool is_blank(const struct judge_state *state)
{
    const struct change_own *own = state->own;
    return own->window.count == 0 && !own->has_pending && judge_tally_is_blank(state, &own->tally);
}

static void copy(void *to, const void *from)
{
    window_copy(&((struct change_own *)to)->window, &((const struct change_own *)from)->window);
}

static void deinit(void *own)
{
    slab_give(((struct change_own *)own)->window.items);
}

static void each_key(const void *state, judge_visit *visit, void *context)
{
    const struct change_own *own = state;
    judge_tally_keys(&own->tally, visit, context);
    for (size_t i = 0; i < own->window.count; i++)
        visit(context, &window_at(&own->window, i)->key);
    if (own->has_pending)
        visit(context, &own->pending.key);
}

const struct judge_kind judge_change = {
    .size = sizeof(struct change_own),
    .window_ms = window_ms,
    .step = step,
    .compared = compared,
    .end = end,
    .is_blank = is_blank,
    .copy = copy,
    .deinit = deinit,
    .each_key = each_key,
};
