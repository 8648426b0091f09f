/* engine_state: the engine itself, for its own files. Threads: the shard's alone. */
#ifndef VIGIE_ALERTING_ENGINE_STATE_H
#define VIGIE_ALERTING_ENGINE_STATE_H

#include "alerting/foresight.h"
#include "alerting/index_map.h"
#include "alerting/unit.h"
#include "alerting/words.h"
#include "daemon/base/buffer.h"

enum { TECHNICAL_ROWS_MAX = 32 };

struct arrival { /* an accepted reading, for silence */
    enum parameter parameter;
    int64_t measured_at_ms;
    bool first_of_key, day_only;
};

struct story_list {
    struct story *items;
    size_t count, capacity;
};

struct note { /* a transition met in order, applied when the end of the unit is known */
    struct transition transition;
    struct reading_key began;
    uint32_t in_breach; /* raised: the breaches of its run; else further ones */
};

struct shelf { /* a shelved episode */
    struct ledger *ledger;
    struct episode *episode;
};

struct notes {
    struct note *items;
    size_t count, capacity;
};

struct day_at_hand { /* the last day found by silence.c; zone NULL: none */
    const struct zone *zone;
    int start_min;
    int64_t day, begin_ms, end_ms;
};

struct engine {
    struct engine_settings settings;
    struct engine_out out;
    int64_t now_ms; /* INT64_MIN before the first call */
    bool ticked;
    int64_t registry_version;
    struct rulebook rules; /* of teams, organisations, lines */
    struct words words;
    struct index_map patients_by_id, ledgers_by_episode;
    struct patient **patients; /* sorted by patient_id: the order of scope-wide changes */
    size_t patients_count, patients_capacity;
    struct patient **heap; /* by (due_ms, patient_id) */
    size_t heap_count, heap_capacity;
    struct spans outages, skipped; /* skipped: outages in which time did not pass; its days do not count */
    struct technical *node[TECHNICAL_ROWS_MAX]; /* alerts about the node by row; shard 0; NULL: never one */
    struct zone **zones;
    size_t zones_count, zones_capacity;
    struct shelf *shelves; /* in no order: episode_act.h */
    size_t shelves_count, shelves_capacity;
    int64_t shelf_due_ms;   /* the first shelf to end, INT64_MAX without */
    struct patient **noted; /* to be looked at when a set of changes is complete: unconfirmed.h */
    size_t noted_count, noted_capacity;
    uint32_t unconfirmed; /* patients with an open alert of it */
    struct unit unit;
    struct story_list stories; /* scratch of replays */
    struct notes notes;        /* scratch of judging in order */
    struct arrival *arrivals;  /* scratch of a request */
    size_t arrivals_count, arrivals_capacity;
    struct series **touched; /* scratch of a request */
    size_t touched_count, touched_capacity;
    struct reading released; /* scratch of a command that names a reading */
    uint8_t released_tail[TAIL_BYTES_MAX];
    struct day_points day_points; /* scratch: of the day at hand */
    uint8_t *day_marks;           /* scratch: which days this unit changed */
    size_t day_marks_capacity;
    struct buffer json;
    struct foresight foresight;
    struct day_at_hand day_at_hand;
    uint64_t outages_taken; /* of this process */
    size_t dormant;         /* patients that are dormant */
};

/* By IANA name, loaded once; NULL: the system does not have it. */
const struct zone *engine_zone(struct engine *engine, const char *name);

/* Timers: one a patient, at the earliest of what it waits for. INT64_MAX: for nothing. */
void timers_set(struct engine *engine, struct patient *patient, int64_t due_ms);

#endif
