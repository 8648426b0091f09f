/* state: what the engine keeps, one struct each for a patient, a rule of a patient, a published episode. Internal to
 * the engine: only its own files include this.
 * Owner:   engine owns patients, patients own tracks and series, tracks own ledgers, ledgers own episodes.
 * Threads: the shard's alone. */
#ifndef VIGIE_ALERTING_STATE_H
#define VIGIE_ALERTING_STATE_H

#include "alerting/engine.h"
#include "alerting/judge.h"
#include "alerting/rulebook.h"
#include "alerting/series.h"
#include "alerting/spans.h"
#include "daemon/base/zone.h"

struct transition { /* one step of an episode */
    int64_t at_ms; /* measured; clock for silence, technical alerts and ends of rules */
    enum event_kind kind; /* RAISED ESCALATED DEESCALATED CLEARED CLOSED */
    enum priority priority; /* after it; of CLEARED and CLOSED the one before */
    bool has_reading, pair;
    uint8_t comparator;
    struct reading_key deciding, first; /* what it rests on: a stretch from first, or the pair */
    int64_t value, received_ms; /* received_ms INSTANT_NONE: no reading decided */
    int64_t in_force_from_ms;
    const struct rule_version *version; /* NULL: built-in rule */
    const char *reason; /* static; NULL without */
};

struct story { /* an episode as E has it */
    struct reading_key began; /* what began it: the run's first reading; last_seen or a day in .ms */
    struct transition *items;
    size_t count, capacity;
    uint32_t in_breach;
};

struct episode { /* published */
    uint8_t id[UUID_BYTES];
    struct reading_key id_began; /* what its id was made from */
    struct story story;          /* as published */
    uint32_t sequence;
    enum priority published, paged;
    bool cancelled, acknowledged;
    bool open_at_cancel;
    int64_t newest_at_cancel_ms; /* of the series, INT64_MIN without */
};

enum beginning { BEGAN_READING, BEGAN_DAY, BEGAN_LAST_SEEN };

struct ledger { /* the published episodes of one rule and side of a patient, by the time they were first raised */
    struct patient *patient; /* NULL: of the node */
    const char *rule_id;
    enum rule_side side;
    enum alert_class class;
    enum beginning beginning;
    enum parameter parameter; /* PARAMETER_COUNT: none */
    int technical;            /* row of technical.def, -1: a rule of the patient */
    const char *detail;       /* technical: what tells it from its likes, NULL without */
    struct episode **items;
    size_t count, capacity;
    int64_t frozen_ms; /* raised at or before: no longer held, INT64_MIN at first */
};

struct track_side {
    bool present;             /* some version has this side */
    struct judge_state tip;   /* behind the newest judged instant */
    struct judge_state *base; /* before the first held instant; NULL: nothing was let go */
    struct story base_open;   /* the episode that is open there; count 0 without */
    struct ledger ledger;
};

struct silence {
    int64_t last_seen_ms;
    bool seen;              /* a reading counted; else last_seen is the activation */
    bool active;            /* the activation is known */
    int64_t segment_ms;     /* versions up to here have been looked at */
    int64_t next_day;       /* the next day to close, days since 1970 */
    int64_t days_base;      /* bit 0 of filled[] */
    uint64_t filled[4];
    int64_t edge_ms;        /* edges of suspensions up to here are decided */
    struct spans suspensions;
    int64_t due_ms;
};

struct track { /* a rule of a patient */
    char rule_id[RULE_ID_BYTES_MAX + 1];
    enum rule_kind kind;
    enum parameter parameter;
    struct timeline timeline;
    int64_t window_max_ms;
    struct track_side side[SIDE_COUNT];
    struct silence silence; /* its ledger is that of side[0] */
};

struct technical { /* an open or held technical alert */
    struct ledger ledger;
    int64_t day;    /* late readings: of the patient */
    int64_t due_ms; /* clears then, INT64_MAX when nothing is open */
};

struct zone_from {
    int64_t from_ms;
    const struct zone *zone;
};

struct reference {
    enum parameter parameter;
    int64_t value, from_ms;
    char *name, *author;
};

struct patient {
    int64_t patient_id;
    char ref[REF_BYTES_MAX + 1], organization[REF_BYTES_MAX + 1];
    int64_t enrolled_at_ms, left_at_ms; /* INT64_MAX: still here */
    char *left_reason;
    struct names names;
    struct rulebook own;
    struct membership *memberships;
    size_t memberships_count, memberships_capacity;
    struct zone_from *zones;
    size_t zones_count, zones_capacity;
    struct confirmation *confirmations;
    size_t confirmations_count, confirmations_capacity;
    struct reference *references;
    size_t references_count, references_capacity;
    struct series **series;
    size_t series_count, series_capacity;
    struct track **tracks; /* sorted by rule id */
    size_t tracks_count, tracks_capacity;
    struct technical **technicals;
    size_t technicals_count, technicals_capacity;
    int64_t due_ms;   /* key in the heap of timers */
    size_t heap_index;
};

#endif
