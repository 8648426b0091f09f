/* state: what the engine keeps, one struct each for a patient and (track_state.h) a rule of a patient.
 * Internal to the engine: only its own files include this. Owner:   engine owns patients, patients own tracks
 * and series, tracks own ledgers, ledgers own episodes. Threads: the shard's alone. */
#ifndef VIGIE_ALERTING_STATE_H
#define VIGIE_ALERTING_STATE_H

#include "alerting/day_state.h"
#include "alerting/device_log.h"
#include "alerting/engine.h"
#include "alerting/judge.h"
#include "alerting/ledger.h"
#include "alerting/references.h"
#include "alerting/rulebook.h"
#include "alerting/series.h"
#include "alerting/spans.h"
#include "alerting/track_state.h"
#include "daemon/base/zone.h"

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

struct patient_series { /* the parameter beside the pointer: looking for one touches no other */
    struct series *series;
    enum parameter parameter;
};

struct patient {
    int64_t patient_id;
    char *ref;
    const char *organization;           /* a word of the engine */
    int64_t enrolled_at_ms, left_at_ms; /* INT64_MAX: still here */
    char *left_reason;
    struct names names;
    struct rulebook own;
    struct membership *memberships;
    uint32_t memberships_count, memberships_capacity;
    struct zone_from *zones;
    uint32_t zones_count, zones_capacity;
    struct confirmation *confirmations;
    uint32_t confirmations_count, confirmations_capacity;
    struct references references;
    struct patient_series *series; /* in order of their first reading */
    uint32_t series_count, series_capacity;
    struct device_log *devices; /* NULL: none of its devices ever told an alarm */
    struct track **tracks;      /* sorted by rule id */
    uint32_t tracks_count, tracks_capacity;
    uint64_t listening; /* bits of tracks[]: rules of silence */
    struct technical **technicals;
    uint32_t technicals_count, technicals_capacity;
    int64_t due_ms;      /* key in the heap of timers: nothing is due before it */
    uint32_t heap_index; /* UINT32_MAX: not in it */
    bool noted;          /* what it is watched by has changed: unconfirmed.h */
    bool dormant; /* loaded, and true for a later position than the replay has reached: nothing touches it */
};

#endif
