/* judge_values: what an instant has to say, and a value against a bound or an older value; integers only,
 * never a division. */
#include "alerting/judge_own.h"

#include <string.h>

#include "alerting/grow.h"

const struct held *instant_first(const struct instant *instant)
{
    const struct held *held = instant->first;
    while (!(held->flags & HELD_MEMBER))
        held++;
    ensure(held < instant->end);
    return held;
}

const struct held *instant_number(const struct instant *instant)
{
    for (const struct held *held = instant->first; held < instant->end; held++)
        if ((held->flags & HELD_MEMBER) && held->comparator == COMPARATOR_NONE)
            return held;
    return NULL;
}

const struct held *instant_furthest(const struct instant *instant, enum rule_side side)
{
    const struct held *best = NULL;
    for (const struct held *held = instant->first; held < instant->end; held++)
        if ((held->flags & HELD_MEMBER) && held->comparator == COMPARATOR_NONE &&
            (best == NULL || (side == SIDE_HIGH ? held->value > best->value : held->value < best->value)))
            best = held;
    return best;
}

/* A comparator on its own side: LO or HI is the end of the measuring range, where no bound is far enough out.
 */
bool value_ends_range(enum parameter parameter)
{
    return parameter == PARAMETER_GLUCOSE_BLOOD || parameter == PARAMETER_GLUCOSE_INTERSTITIAL ||
           parameter_row(parameter)->class == CLASS_CONTINUOUS;
}

bool value_breaches(const struct judge_input *input, const struct held *held, int64_t limit)
{
    bool low = input->side == SIDE_LOW;
    if (held->comparator == COMPARATOR_NONE)
        return low ? held->value < limit : held->value > limit;
    if ((held->comparator == COMPARATOR_LESS) != low)
        return false;
    return value_ends_range(input->parameter) || (low ? held->value <= limit : held->value >= limit);
}

/* A comparator on the other side counts as inside; on its own side it breaches or says nothing. */
bool value_is_inside(const struct judge_input *input, const struct held *held, int64_t limit, int64_t margin)
{
    bool low = input->side == SIDE_LOW;
    if (held->comparator != COMPARATOR_NONE)
        return (held->comparator == COMPARATOR_LESS) != low;
    return low ? held->value >= limit + margin : held->value <= limit - margin;
}

/* A difference breaches beyond its limit by more than one millionth; a percent strictly. |difference| is
 * below 2^64, so its product with 10^8 is below 2^91; amount times base is below 2^127. */
bool difference_breaches(const struct rule_difference *difference, enum rule_side side, int64_t value,
                         int64_t old, bool *ret_judged)
{
    __int128 more = side == SIDE_HIGH ? (__int128)value - old : (__int128)old - value;
    *ret_judged = !difference->percent[side] || old != 0;
    if (!difference->percent[side])
        return more > (__int128)difference->amount[side] + 1;
    __int128 base = old < 0 ? -(__int128)old : old;
    return old != 0 && more > 0 && more * 100 * DECIMAL_ONE > (__int128)difference->amount[side] * base;
}

/* ---- windows ---- */

void window_push(struct window *window, const struct window_item *item)
{
    if (window->start > 0 && window->start >= window->count) {
        memmove(window->items, window->items + window->start, window->count * sizeof window->items[0]);
        window->start = 0;
    }
    window->items =
        grow(window->items, window->start + window->count + 1, &window->capacity, sizeof window->items[0]);
    window->items[window->start + window->count++] = *item;
}

void window_drop_oldest(struct window *window)
{
    window->start++;
    window->count--;
}

void window_copy(struct window *to, const struct window *from)
{
    *to = (struct window){.count = from->count};
    to->items = grow(NULL, from->count, &to->capacity, sizeof to->items[0]);
    if (from->count > 0)
        memcpy(to->items, from->items + from->start, from->count * sizeof to->items[0]);
}
