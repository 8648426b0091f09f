/* device_log: see device_log.h. Messages are few and searched by halves; names are numbers, but classes at
 * one instant are told apart by their texts, for a number tells who came first. */
#include "alerting/device_log.h"

#include <stdlib.h>
#include <string.h>

#include "alerting/grow.h"

struct device_log *device_log_new(void)
{
    struct device_log *log = zeroed(sizeof *log);
    log->cut_ms = INT64_MIN;
    log->oldest_ms = INT64_MAX;
    return log;
}

void device_log_free(struct device_log *log)
{
    if (log == NULL)
        return;
    slab_give(log->items);
    slab_give(log);
}

static int compare_numbers(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_episodes(const struct device_message *message, uint32_t device, uint32_t episode)
{
    int order = compare_numbers(message->device, device);
    return order != 0 ? order : compare_numbers(message->episode, episode);
}

static int compare(const struct device_message *a, const struct device_message *b, const struct names *names)
{
    int order = compare_episodes(a, b->device, b->episode);
    if (order == 0)
        order = compare_numbers(a->ms, b->ms);
    if (order == 0)
        order = (int)a->phase - (int)b->phase;
    if (order == 0 && a->class != b->class)
        order = strcmp(names_text(names, a->class), names_text(names, b->class));
    return order;
}

static size_t place_of(const struct device_log *log, const struct names *names,
                       const struct device_message *message)
{
    size_t low = 0, high = log->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&log->items[middle], message, names) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool device_log_has(const struct device_log *log, const struct names *names,
                    const struct device_message *message)
{
    size_t place = place_of(log, names, message);
    return place < log->count && compare(&log->items[place], message, names) == 0;
}

void device_log_insert(struct device_log *log, const struct names *names,
                       const struct device_message *message)
{
    size_t place = place_of(log, names, message);
    log->items = grow(log->items, log->count + 1, &log->capacity, sizeof log->items[0]);
    memmove(log->items + place + 1, log->items + place, (log->count - place) * sizeof log->items[0]);
    log->items[place] = *message;
    log->count++;
    log->changed = true;
    if (message->ms < log->oldest_ms)
        log->oldest_ms = message->ms;
}

bool device_log_append(struct device_log *log, const struct names *names,
                       const struct device_message *message)
{
    if (log->count > 0 && compare(&log->items[log->count - 1], message, names) >= 0)
        return false;
    device_log_insert(log, names, message);
    log->changed = false;
    return true;
}

/* The first message of that device episode, or of one behind it. */
static size_t episode_place(const struct device_log *log, uint32_t device, uint32_t episode)
{
    size_t low = 0, high = log->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_episodes(&log->items[middle], device, episode) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct device_episode device_log_find(const struct device_log *log, uint32_t device, uint32_t episode)
{
    if (log == NULL)
        return (struct device_episode){device, episode, NULL, NULL};
    size_t first = episode_place(log, device, episode), end = first;
    while (end < log->count && compare_episodes(&log->items[end], device, episode) == 0)
        end++;
    return (struct device_episode){device, episode, log->items + first, log->items + end};
}

bool device_log_next(const struct device_log *log, size_t *index, struct device_episode *ret)
{
    if (log == NULL || *index >= log->count)
        return false;
    const struct device_message *first = &log->items[*index];
    *ret = device_log_find(log, first->device, first->episode);
    *index = (size_t)(ret->end - log->items);
    return true;
}

bool device_log_has_from(const struct device_log *log, const struct names *names, const char *device,
                         const int64_t from_to_ms[2])
{
    for (size_t i = 0; log != NULL && i < log->count; i++) {
        const struct device_message *message = &log->items[i];
        if (message->ms >= from_to_ms[0] && message->ms < from_to_ms[1] &&
            strcmp(names_text(names, message->device), device) == 0)
            return true;
    }
    return false;
}

static int compare_times(const void *left, const void *right)
{
    return compare_numbers(*(const int64_t *)left, *(const int64_t *)right);
}

int64_t device_log_bound_ms(const struct device_log *log, int64_t cut_ms)
{
    if (log->count <= DEVICE_MESSAGES_MAX)
        return cut_ms;
    int64_t *times = slab_take(log->count * sizeof times[0]);
    for (size_t i = 0; i < log->count; i++)
        times[i] = log->items[i].ms;
    qsort(times, log->count, sizeof times[0], compare_times);
    /* A quarter goes at once: this is rare then, however many come. */
    int64_t bound_ms = times[log->count - DEVICE_MESSAGES_MAX + DEVICE_MESSAGES_MAX / 4 - 1] + 1;
    slab_give(times);
    return bound_ms > cut_ms ? bound_ms : cut_ms;
}

void device_log_drop(struct device_log *log, int64_t cut_ms)
{
    size_t kept = 0;
    log->oldest_ms = INT64_MAX;
    for (size_t i = 0; i < log->count; i++) {
        if (log->items[i].ms < cut_ms)
            continue;
        if (log->items[i].ms < log->oldest_ms)
            log->oldest_ms = log->items[i].ms;
        log->items[kept++] = log->items[i];
    }
    log->count = kept;
    if (cut_ms > log->cut_ms)
        log->cut_ms = cut_ms;
}
