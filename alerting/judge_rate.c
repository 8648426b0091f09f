/* judge_rate: RULES.md section 3, `rate`: the least-squares slope over the readings in (t - T, t].
 *
 * With n readings, x in milliseconds and y in millionths the slope is
 *     (n Σxy - Σx Σy) / (n Σx² - (Σx)²)
 * and does not depend on where x begins, so x is counted from an origin that follows the window; the five
 * sums gain a reading and lose one. No overflow: n <= 2^15 (what a series holds), x < 2^36 (the longest
 * look-back that a configuration may have is 400 days), |y| <= 2^56 (no possible value is near it), so
 * |Σxy| < 2^107, n Σxy and Σx Σy are below 2^122 and the divisor below 2^102. Their products with a limit are
 * compared in 192 bits. The divisor is positive unless all are of one instant.
 * A series that is denser than what is held of it has as its window what is held: its newest readings. */
#include "alerting/grow.h"
#include "alerting/judge_own.h"

#define ORIGIN_MOVES_MS ((int64_t)1 << 36)
static_assert(SERIES_HELD_CONTINUOUS_MAX <= 1 << 15 && SERIES_HELD_MAX <= 1 << 15, "the proof above");

/* ---- sums ---- */

static void sums_change(struct rate_own *own, const struct window_item *item, int sign)
{
    __int128 x = (__int128)(item->key.ms - own->origin_ms) * sign, y = item->value;
    own->x += x;
    own->xx += x * (item->key.ms - own->origin_ms);
    own->y += y * sign;
    own->xy += x * y;
}

/* x - d for all: the same slope. */
static void sums_move_origin(struct rate_own *own, int64_t origin_ms)
{
    __int128 d = origin_ms - own->origin_ms, n = (__int128)own->summed;
    own->xx += n * d * d - 2 * d * own->x;
    own->xy -= d * own->y;
    own->x -= n * d;
    own->origin_ms = origin_ms;
}

static const struct window_item *oldest_summed(const struct rate_own *own)
{
    return window_at(&own->window, own->window.count - own->summed);
}

/* Leaves (t - T, t]. */
static void sums_slide(struct rate_own *own, int64_t t)
{
    while (own->summed > 0 && oldest_summed(own)->key.ms <= t - own->sums_ms) {
        sums_change(own, oldest_summed(own), -1);
        own->summed--;
    }
}

/* The newest of the window joins the sums. */
static void sums_add(struct rate_own *own)
{
    const struct window_item *newest = window_at(&own->window, own->window.count - 1);
    if (own->summed == 0) {
        own->x = own->xx = own->y = own->xy = 0;
        own->origin_ms = newest->key.ms;
    } else if (newest->key.ms - own->origin_ms >= ORIGIN_MOVES_MS) {
        sums_move_origin(own, oldest_summed(own)->key.ms);
    }
    own->summed++;
    sums_change(own, newest, 1);
}

/* Of another window than before: the readings of (t - T, t] anew. */
static void sums_anew(struct rate_own *own, int64_t t, int64_t within_ms)
{
    size_t held = own->window.count;
    own->sums_ms = within_ms;
    own->summed = 0;
    for (own->window.count = 0; own->window.count < held;) {
        own->window.count++;
        if (window_at(&own->window, own->window.count - 1)->key.ms > t - within_ms)
            sums_add(own);
    }
}

/* ---- the window ---- */

static size_t readings_max(enum parameter parameter)
{
    return parameter_row(parameter)->class == CLASS_CONTINUOUS ? SERIES_HELD_CONTINUOUS_MAX : SERIES_HELD_MAX;
}

static void drop_oldest(struct rate_own *own)
{
    if (own->summed == own->window.count) {
        sums_change(own, window_at(&own->window, 0), -1);
        own->summed--;
    }
    window_drop_oldest(&own->window);
}

static void forget(struct rate_own *own, const struct judge_input *input, size_t room)
{
    struct window *window = &own->window;
    while (window->count > 0 &&
           (window_at(window, 0)->key.ms <= input->instant->key.ms - input->window_max_ms ||
            window->count + room > readings_max(input->parameter)))
        drop_oldest(own);
}

static void remember(struct rate_own *own, const struct judge_input *input, const struct held *number)
{
    ensure(number->value >= -RATE_VALUE_MAX && number->value <= RATE_VALUE_MAX);
    if (input->rule == NULL) { /* its window is not known */
        own->sums_ms = 0;
        own->summed = 0;
    }
    int64_t t = number->key.ms;
    sums_slide(own, t);
    window_push(&own->window, &(struct window_item){number->key, number->value});
    if (input->rule == NULL)
        return;
    if (own->sums_ms == input->rule->rate.within_ms)
        sums_add(own);
    else
        sums_anew(own, t, input->rule->rate.within_ms);
}

/* ---- the slope ---- */

struct wide { /* a number of 192 bits, most significant first */
    uint64_t limb[3];
};

static struct wide wide_product(unsigned __int128 a, uint64_t b)
{
    unsigned __int128 low = (unsigned __int128)(uint64_t)a * b;
    unsigned __int128 high = (unsigned __int128)(uint64_t)(a >> 64) * b + (uint64_t)(low >> 64);
    return (struct wide){{(uint64_t)(high >> 64), (uint64_t)high, (uint64_t)low}};
}

static bool wide_is_greater(const struct wide *a, const struct wide *b)
{
    for (unsigned i = 0; i < 3; i++)
        if (a->limb[i] != b->limb[i])
            return a->limb[i] > b->limb[i];
    return false;
}

/* False: not judged. Slope beyond limit per minute: num / den * 60000 > limit. */
static bool slope_breaches(const struct rate_own *own, const struct judge_input *input, bool *ret_breach)
{
    const __int128 ms_per_minute = 60000, n = (__int128)own->summed;
    __int128 rise = n * own->xy - own->x * own->y, run = n * own->xx - own->x * own->x;
    if (own->summed < input->rule->rate.readings || run == 0)
        return false;
    if (input->side == SIDE_LOW)
        rise = -rise;
    struct wide slope = wide_product((unsigned __int128)(rise > 0 ? rise : 0), (uint64_t)ms_per_minute);
    struct wide limit =
        wide_product((unsigned __int128)run, (uint64_t)input->rule->rate.per_minute.amount[input->side]);
    *ret_breach = wide_is_greater(&slope, &limit);
    return true;
}

static void step(struct judge_state *state, const struct judge_input *input, struct judge_outcome *ret)
{
    const struct held *number = instant_number(input->instant);
    if (number == NULL && state->own == NULL)
        return;
    struct rate_own *own = judge_own(state, sizeof *own);
    forget(own, input, number == NULL ? 0 : 1);
    if (number == NULL)
        return;
    remember(own, input, number);
    if (input->rule == NULL || !slope_breaches(own, input, &ret->breach))
        return;
    ret->deciding = number;
    ret->basis = BASIS_PAIR;
    ret->first = oldest_summed(own)->key;
    judge_tally(state, &own->tally, input, ret);
}

/* The one division, and it decides nothing. */
static struct judge_compared compared(const void *state, const struct judge_input *input)
{
    const struct rate_own *own = state;
    const __int128 ms_per_minute = 60000, n = own == NULL ? 0 : (__int128)own->summed;
    __int128 run = own == NULL ? 0 : n * own->xx - own->x * own->x;
    if (run == 0 || own->summed < input->rule->rate.readings || instant_number(input->instant) == NULL)
        return (struct judge_compared){COMPARED_NOTHING, 0};
    __int128 rise = n * own->xy - own->x * own->y, whole = rise / run;
    return (struct judge_compared){
        COMPARED_SLOPE, (int64_t)(whole * ms_per_minute + (rise - whole * run) * ms_per_minute / run)};
}

static int64_t window_ms(const struct rule *rule)
{
    return rule->rate.within_ms;
}

static void end(void *own)
{
    ((struct rate_own *)own)->tally = (struct judge_tally){.clear = 0};
}

static bool is_blank(const struct judge_state *state)
{
    const struct rate_own *own = state->own;
    return own->window.count == 0 && judge_tally_is_blank(state, &own->tally);
}

static void copy(void *to, const void *from)
{
    window_copy(&((struct rate_own *)to)->window, &((const struct rate_own *)from)->window);
}

static void deinit(void *own)
{
    slab_give(((struct rate_own *)own)->window.items);
}

static void each_key(const void *state, judge_visit *visit, void *context)
{
    const struct rate_own *own = state;
    judge_tally_keys(&own->tally, visit, context);
    for (size_t i = 0; i < own->window.count; i++)
        visit(context, &window_at(&own->window, i)->key);
}

const struct judge_kind judge_rate = {
    .size = sizeof(struct rate_own),
    .window_ms = window_ms,
    .step = step,
    .compared = compared,
    .end = end,
    .is_blank = is_blank,
    .copy = copy,
    .deinit = deinit,
    .each_key = each_key,
};
