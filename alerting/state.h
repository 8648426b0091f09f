/* state: what the engine keeps, one struct each for a patient and a rule of a patient. Internal to the
 * engine: only its own files include this. Owner:   engine owns patients, patients own tracks and series,
 * tracks own ledgers, ledgers own episodes. Threads: the shard's alone. */
#ifndef VIGIE_ALERTING_STATE_H
#define VIGIE_ALERTING_STATE_H

#include "alerting/engine.h"
#include "alerting/judge.h"
#include "alerting/ledger.h"
#include "alerting/references.h"
#include "alerting/rulebook.h"
#include "alerting/series.h"
#include "alerting/spans.h"
#include "daemon/base/zone.h"

struct track_side {
    bool present;             /* some version has this side */
    struct judge_state tip;   /* behind the newest judged instant */
    struct judge_state *base; /* before the first held instant; NULL: nothing was let go */
    struct story base_open;   /* the episode that is open there; count 0 without */
    struct ledger ledger;
};

struct silence {
    int64_t last_seen_ms;
    bool seen;          /* a reading counted; else last_seen is the activation */
    bool active;        /* the activation is known */
    int64_t segment_ms; /* versions up to here have been looked at */
    int64_t next_day;   /* the next day to close, days since 1970 */
    int64_t days_base;  /* bit 0 of filled[] */
    uint64_t filled[4];
    int64_t edge_ms; /* edges of suspensions up to here are decided */
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
    int64_t day;      /* late readings: of the patient */
    int64_t due_ms;   /* clears then, INT64_MAX when nothing is open */
    int64_t since_ms; /* device clock: the first arrival since the last that counted, which raises 24 h on */
};

struct zone_from {
    int64_t from_ms;
    const struct zone *zone;
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
    struct references references;
    struct series **series;
    size_t series_count, series_capacity;
    struct track **tracks; /* sorted by rule id */
    size_t tracks_count, tracks_capacity;
    struct technical **technicals;
    size_t technicals_count, technicals_capacity;
    int64_t due_ms; /* key in the heap of timers */
    size_t heap_index;
    bool dormant; /* loaded, and true for a later position than the replay has reached: nothing touches it */
};

#endif
