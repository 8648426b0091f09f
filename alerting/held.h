/* held: the readings that are held of one series, 12 bytes each: most of a series is one device's, measured
 * within weeks, sent within minutes or a batch at a time, unmarked. What is not so costs more, and is as
 * exact: an identifier of the sender 8 bytes for every reading of such a series, a reception of its own 8, a
 * correction, a void or a number out of the ordinary 56. Readings go in and come out as struct held.
 * Owner:   the series. Threads: the shard's alone. Holds:   what is put comes out equal, but for the version
 * time of an unmarked reading, which nothing asks for. Order is the caller's. */
#ifndef VIGIE_ALERTING_HELD_H
#define VIGIE_ALERTING_HELD_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/ensure.h"
#include "daemon/model/reading.h"

/* A reading's key within its series (RULES.md section 1); names by their numbers. */
struct reading_key {
    int64_t ms;
    uint32_t device, sensor;
};
static inline bool reading_key_equal(const struct reading_key *a, const struct reading_key *b)
{
    return a->ms == b->ms && a->device == b->device && a->sensor == b->sensor;
}

enum held_flag {
    HELD_ELIGIBLE = 1 << 0, /* may be a member: judged, possible, a moment, no test data */
    HELD_MEMBER = 1 << 1,   /* of the series */
    HELD_AMENDS = 1 << 2,   /* a correction or void that takes part */
    HELD_SIGN = 1 << 3,     /* a sign of life of its key: no void, not quarantined, no test data */
    HELD_NEW = 1 << 4,      /* brought by the unit of decision at hand */
    HELD_MUTE =
        1 << 5, /* says nothing to amendments: unjudged, or the preliminary of a held final's identity */
    HELD_AIMED = 1 << 6, /* an amendment by identifier whose reading was let go: it means nothing else */
    /* Of a quarantined reading, held beside its series: what a person said of it. */
    HELD_RELEASED = 1 << 7,
    HELD_DISCARDED = 1 << 8,
};

struct held { /* a held reading as one looks at it: a copy */
    struct reading_key key;
    int64_t value, received_ms;
    int64_t issued_ms; /* of a correction or void; INSTANT_NONE else */
    uint64_t alias;
    uint8_t comparator, status;
    uint16_t flags;
};

struct held_packed {
    uint32_t time, value, rest;
};
static_assert(sizeof(struct held_packed) == 12, "the size that memory planning counts with");

struct held_sender {
    uint32_t device, sensor;
};

struct held_rare; /* what most series do not have */

struct held_array {
    struct held_packed *items; /* items[start .. start + count) */
    uint64_t *aliases;         /* as long as items; NULL: none has one */
    struct held_rare *rare;
    int64_t origin_ms; /* of packed times */
    uint32_t start, count, capacity;
    struct held_sender sender; /* of most */
};

enum { /* of `rest`: held.c */
       HELD_WHOLE = 3,
       HELD_FLAGS_SHIFT = 2,
       HELD_FLAGS = HELD_ELIGIBLE | HELD_MEMBER | HELD_SIGN | HELD_NEW,
       HELD_TIME_SHIFT = 10,
};

void held_deinit(struct held_array *held);
const struct held *held__whole(const struct held_array *held, const struct held_packed *item);

/* Measured time and flags, which most walks look at alone. Modulo 2^64: the ends of time are times as others.
 */
static inline int64_t held_ms(const struct held_array *held, size_t index)
{
    const struct held_packed *item = held->items + held->start + index;
    if ((item->rest & HELD_WHOLE) == HELD_WHOLE)
        return held__whole(held, item)->key.ms;
    uint64_t high = item->rest >> HELD_TIME_SHIFT & 1;
    return (int64_t)((uint64_t)held->origin_ms + (high << 32 | item->time));
}
static inline unsigned held_flags(const struct held_array *held, size_t index)
{
    const struct held_packed *item = held->items + held->start + index;
    if ((item->rest & HELD_WHOLE) == HELD_WHOLE)
        return held__whole(held, item)->flags;
    return item->rest >> HELD_FLAGS_SHIFT & HELD_FLAGS;
}

static inline bool held_is_named(const struct held_array *held, size_t index, uint64_t alias)
{
    const struct held_packed *item = held->items + held->start + index;
    if ((item->rest & HELD_WHOLE) == HELD_WHOLE)
        return held__whole(held, item)->alias == alias;
    return held->aliases != NULL && held->aliases[held->start + index] == alias;
}

void held_get(const struct held_array *held, size_t index, struct held *ret);
void held_key(const struct held_array *held, size_t index, struct reading_key *ret);
/* All others stay as they were put. */
void held_set_flag(struct held_array *held, size_t index, enum held_flag flag, bool set);

/* Puts a reading in at `place`, in front of what stands there. */
void held_put(struct held_array *held, size_t place, const struct held *reading);
void held_remove(struct held_array *held, size_t index);
void held_drop(struct held_array *held, size_t count); /* the first ones */

/* Where `count` readings of one instant may be laid out, as long as there is no other such instant asked for.
 * Made by held_need_room() at the latest when they were put in. */
void held_need_room(struct held_array *held, size_t count);
struct held *held_room(const struct held_array *held, size_t count);

#endif
