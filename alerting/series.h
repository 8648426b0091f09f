/* series: the held readings of one patient and parameter, all versions of them, sorted as RULES.md section 1
 * sorts a series; which of them are its members ("winners") is decided here and only here, from the set
 * alone. Owner:   the patient's. Threads: the shard's alone. Holds:   items[start .. start + count) sorted;
 * members up to `tip` have been judged, later ones wait for the end of the unit; `dirty` says that something
 * up to the tip changed, so that all is judged again. Choices: a final of a preliminary's identity, and the
 * original of a correction's, are versions, else order would count; an identifier that comes with a duplicate
 * is forgotten with it. A void without a version time is never taken back. Amendments of one alias that no
 * reading carries are of one reading. */
#ifndef VIGIE_ALERTING_SERIES_H
#define VIGIE_ALERTING_SERIES_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/model/parameter.h"
#include "daemon/model/reading.h"

/* Names of devices, sources and sensors of one patient: equal names have equal numbers. 0 is "". A patient
 * has a few; a sender that makes up a new one every time is met by forgetting those that nothing names any
 * more. */
struct names {
    char **items; /* of number i + 1; NULL: free to use again */
    size_t count, capacity, used, sweep_at;
};
void names_deinit(struct names *names);
uint32_t names_intern(struct names *names, struct slice name);
const char *names_text(const struct names *names, uint32_t number);
/* True when it is time for a sweep; `named[number]` says what is named still. */
bool names_are_many(const struct names *names);
void names_sweep(struct names *names, const bool *named);

/* A reading's key within its series (RULES.md section 1). */
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
};

struct held {
    struct reading_key key;
    int64_t value, received_ms, issued_ms;
    uint64_t alias;
    uint8_t id[UUID_BYTES];
    uint8_t comparator, status;
    uint16_t flags;
    uint32_t unit; /* number of the unit of decision that brought it */
};
static_assert(sizeof(struct held) == 72, "the size that memory planning counts with");

struct series_mark { /* an amendment that takes part, to see at a glance what it may concern */
    uint64_t alias;
    struct reading_key key;
};

struct series {
    enum parameter parameter;
    struct held *items;
    size_t start, count, capacity;
    struct reading_key tip;
    bool has_tip;
    struct series_mark *marks;
    size_t marks_count, marks_capacity;
    int64_t cut_ms;       /* everything measured before it was let go, INT64_MIN at first */
    bool dirty, changed;  /* changed: this unit changed the members */
    struct series *aside; /* quarantined readings, held to know a resend; NULL without */
};

struct series *series_new(enum parameter parameter);
void series_free(struct series *series);

struct series_arrival {
    bool duplicate;
    bool same_instant; /* another unmarked value of its key is held */
    bool first_of_key; /* the first sign of life of its key */
    uint16_t revision;
};
/* Takes a reading in; its flags say HELD_ELIGIBLE, HELD_AMENDS, HELD_SIGN as its properties are. */
void series_insert(struct series *series, const struct names *names, const struct held *reading,
                   struct series_arrival *ret);

/* What inserting it would say, without inserting it. */
void series_look_up(const struct series *series, const struct names *names, const struct held *reading,
                    struct series_arrival *ret);
/* A held reading that carries the alias, the newest; NULL when none does. */
const struct held *series_by_alias(const struct series *series, uint64_t alias);
/* Removes the item that was received first (of readings kept aside). */
void series_remove_oldest(struct series *series);

/* One instant: the members of one key, items [first, end), some of which may be no members. */
struct instant {
    struct reading_key key;
    const struct held *first, *end;
};
/* The first instant at or after item *index; moves *index behind it. False at the end. */
bool series_next(const struct series *series, size_t *index, struct instant *ret);

/* The newest member, NULL without; the first item at or after a key in series order. */
const struct held *series_newest(const struct series *series);
size_t series_find(const struct series *series, const struct names *names, const struct reading_key *key);
static inline const struct held *series_item(const struct series *series, size_t index)
{
    return series->items + series->start + index;
}
/* Lets go of the first `count` items; the caller has moved its checkpoints over them. */
void series_drop(struct series *series, size_t count);
/* Index of the first item behind the tip; end of the unit of decision: all members are judged. */
size_t series_behind_tip(const struct series *series, const struct names *names);
void series_settle(struct series *series);

#endif
