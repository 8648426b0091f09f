/* spans: there are a handful of outages and suspensions in a look-back, so sorted arrays and short walks will
 * do. */
#include "alerting/spans.h"

#include <stdlib.h>
#include <string.h>

#include "alerting/grow.h"
#include "daemon/base/ensure.h"

void spans_deinit(struct spans *spans)
{
    slab_give(spans->items);
    *spans = (struct spans){0};
}

/* Index of the first span that ends at or after the instant. */
static size_t first_ending(const struct spans *spans, int64_t ms)
{
    size_t index = 0;
    while (index < spans->count && spans->items[index].to_ms < ms)
        index++;
    return index;
}

void spans_add(struct spans *spans, int64_t from_ms, int64_t to_ms)
{
    if (from_ms >= to_ms)
        return;
    size_t first = first_ending(spans, from_ms), end = first;
    while (end < spans->count && spans->items[end].from_ms <= to_ms) {
        from_ms = spans->items[end].from_ms < from_ms ? spans->items[end].from_ms : from_ms;
        to_ms = spans->items[end].to_ms > to_ms ? spans->items[end].to_ms : to_ms;
        end++;
    }
    if (end == first)
        spans->items = grow(spans->items, spans->count + 1, &spans->capacity, sizeof spans->items[0]);
    memmove(spans->items + first + 1, spans->items + end, (spans->count - end) * sizeof spans->items[0]);
    spans->items[first] = (struct span){from_ms, to_ms};
    spans->count = spans->count - (end - first) + 1;
    ensure(spans->count <= spans->capacity);
}

bool spans_touch(const struct spans *spans, int64_t from_ms, int64_t to_ms)
{
    for (size_t i = 0; i < spans->count; i++)
        if (spans->items[i].from_ms < to_ms && from_ms < spans->items[i].to_ms)
            return true;
    return false;
}

/* The stretch that covers `ms`, or else the next one; false without. */
static bool stretch_from(const struct spans *spans, int64_t ms, struct span *ret)
{
    for (size_t i = 0; i < spans->count; i++)
        if (spans->items[i].to_ms > ms) {
            *ret = spans->items[i];
            return true;
        }
    return false;
}

int64_t spans_reach(const struct spans *a, const struct spans *b, int64_t from_ms, int64_t amount_ms)
{
    ensure(amount_ms >= 0);
    for (;;) {
        struct span one = {INT64_MAX, INT64_MAX}, other = {INT64_MAX, INT64_MAX};
        bool any = stretch_from(a, from_ms, &one);
        any |= stretch_from(b, from_ms, &other);
        struct span next = one.from_ms <= other.from_ms ? one : other;
        if (!any || (next.from_ms >= from_ms && next.from_ms - from_ms >= amount_ms))
            return from_ms + amount_ms;
        if (next.from_ms > from_ms)
            amount_ms -= next.from_ms - from_ms;
        from_ms = next.to_ms;
    }
}

int64_t spans_next_edge(const struct spans *spans, int64_t after_ms, bool *ret_begins)
{
    for (size_t i = 0; i < spans->count; i++) {
        *ret_begins = true;
        if (spans->items[i].from_ms > after_ms)
            return spans->items[i].from_ms;
        *ret_begins = false;
        if (spans->items[i].to_ms > after_ms)
            return spans->items[i].to_ms;
    }
    return INT64_MAX;
}

int64_t spans_covered(const struct spans *spans, int64_t from_ms, int64_t to_ms)
{
    int64_t sum = 0;
    for (size_t i = 0; i < spans->count; i++) {
        int64_t begin = spans->items[i].from_ms > from_ms ? spans->items[i].from_ms : from_ms;
        int64_t end = spans->items[i].to_ms < to_ms ? spans->items[i].to_ms : to_ms;
        sum += end > begin ? end - begin : 0;
    }
    return sum;
}

int64_t spans_leave(const struct spans *spans, int64_t ms)
{
    for (size_t i = spans->count; i > 0 && spans->items[i - 1].to_ms > ms; i--)
        if (spans->items[i - 1].from_ms <= ms)
            return spans->items[i - 1].to_ms;
    return ms;
}
