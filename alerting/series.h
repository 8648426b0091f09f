/* series: the held readings of one patient and parameter, all versions of them, sorted as RULES.md section 1
 * sorts a series; which of them are its members ("winners") is decided here and only here, from the set
 * alone. Owner:   the patient's. Threads: the shard's alone. Holds:   `held` is sorted; members up to `tip`
 * have been judged, later ones wait for the end of the unit; `dirty` says that something up to the tip
 * changed, so that all is judged again. Choices: the original of a correction's identity is a version, else
 * order would count; an identifier that comes with a duplicate is forgotten
 * with it. A void without a version time is never taken back. Amendments of one alias that no reading carries
 * are of one reading. */
#ifndef VIGIE_ALERTING_SERIES_H
#define VIGIE_ALERTING_SERIES_H

#include <stdbool.h>
#include <stdint.h>

#include "alerting/held.h"
#include "daemon/model/parameter.h"

/* Names of devices, sources and sensors of one patient: equal names have equal numbers. 0 is "". A patient
 * has a few; a sender that makes up a new one every time is met by forgetting those that nothing names any
 * more. */
struct names {
    char **items; /* of number i + 1; NULL: free to use again */
    uint32_t count, capacity, used, sweep_at;
};
void names_deinit(struct names *names);
uint32_t names_intern(struct names *names, struct slice name);
const char *names_text(const struct names *names, uint32_t number);
/* True when it is time for a sweep; `named[number]` says what is named still. */
bool names_are_many(const struct names *names);
void names_sweep(struct names *names, const bool *named);

struct series_mark { /* an amendment that takes part, to see at a glance what it may concern */
    uint64_t alias;
    struct reading_key key;
};

struct series {
    enum parameter parameter;
    bool has_tip, dirty, changed; /* changed: this unit changed the members */
    uint64_t tracks;              /* of the patient that judge it, a bit each: patient_link() */
    struct reading_key tip;
    int64_t cut_ms;                         /* everything measured before it was let go, INT64_MIN at first */
    int64_t brought_ms;                     /* the first of what this unit brought, INT64_MAX without */
    int64_t changed_from_ms, changed_to_ms; /* members changed between them; INT64_MAX, INT64_MIN: nowhere */
    int64_t meant_until_ms; /* what was let go and is held on need not be looked at before this is cut */
    int64_t behind_ms;      /* scratch of the unit: the first member behind the tip, INT64_MAX without */
    uint32_t behind;        /* its index */
    struct held_array held;
    struct series_mark *marks;
    size_t marks_count, marks_capacity;
    struct series *aside; /* quarantined readings, held to know a resend; NULL without */
};

struct series *series_new(enum parameter parameter);
void series_free(struct series *series);

struct series_arrival {
    bool duplicate;
    bool same_instant; /* another unmarked value of its key is held */
    bool first_of_key; /* the first sign of life of its key */
    uint16_t revision; /* of a duplicate: that of the newest version */
};
/* Takes a reading in; its flags say HELD_ELIGIBLE, HELD_AMENDS, HELD_SIGN as its properties are. */
void series_insert(struct series *series, const struct names *names, const struct held *reading,
                   struct series_arrival *ret);

/* What inserting it would say, without inserting it. */
void series_look_up(const struct series *series, const struct names *names, const struct held *reading,
                    struct series_arrival *ret);
/* The newest held reading that carries the alias, and how many measurements do: 0, 1, or 2 for several; the
 * versions of one count once. Series NULL: none. */
unsigned series_by_alias(const struct series *series, uint64_t alias, struct held *ret);
/* Of readings kept aside: removes the item that was received first; which of HELD_RELEASED and HELD_DISCARDED
 * this version of a reading carries (0: neither, or it is not held, or `aside` is NULL); has it carry one. */
void series_remove_oldest(struct series *series);
unsigned series_settled(const struct series *aside, const struct names *names, const struct held *reading);
void series_set_settled(struct series *aside, const struct names *names, const struct held *reading,
                        enum held_flag flag);

/* One instant: the readings of one key, some of which may be no members. It is good until the next one is
 * asked for, and never copied: what is kept of it are values. */
struct instant {
    struct reading_key key;
    const struct held *first, *end;
    struct held one;
};
/* The first instant with a member at or after item *index; moves *index behind it. False at the end. */
bool series_next(const struct series *series, size_t *index, struct instant *ret);
/* Would series_next() find one there? */
bool series_has_next(const struct series *series, size_t index);

/* The newest member, false without; the first item at or after a key in series order. */
bool series_newest(const struct series *series, struct held *ret);
size_t series_find(const struct series *series, const struct names *names, const struct reading_key *key);
static inline size_t series_count(const struct series *series)
{
    return series->held.count;
}
static inline void series_item(const struct series *series, size_t index, struct held *ret)
{
    held_get(&series->held, index, ret);
}
/* Lets go of the first `count` items, measured before cut_ms; the caller has moved its checkpoints over them.
 * Amendments that have to do with anything that stays are held as long as that, in front and no members any
 * more. */
void series_drop(struct series *series, size_t count, int64_t cut_ms);
/* The first item that nothing has moved over. */
size_t series_first(const struct series *series);
/* Index of the first item behind the tip, and `behind`, with which judging begins; end of the unit of
 * decision: all members are judged. */
void series_look_behind(struct series *series, const struct names *names);
size_t series_behind_tip(const struct series *series, const struct names *names);
void series_settle(struct series *series);

#endif
