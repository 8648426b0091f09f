/* state: what the engine keeps, one struct each for a patient and a rule of a patient. Internal to the
 * engine: only its own files include this. Owner:   engine owns patients, patients own tracks and series,
 * tracks own ledgers, ledgers own episodes. Threads: the shard's alone. */
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
#include "daemon/base/zone.h"

struct track_side {         /* made when there is something to judge */
    struct judge_state tip; /* behind the newest judged instant */
    struct ledger ledger;
    struct judge_state *base; /* before the first held instant; NULL: nothing was let go */
    struct story base_open;   /* the episode that is open there; count 0 without */
    int64_t window_max_ms;    /* the longest window of any version */
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

/* An alarm of a device as one rule has it: alerting/device.h. */
struct device_state { /* of a walk over its messages */
    int64_t at_ms;    /* judged up to here, INT64_MIN at first */
    enum priority active;
    struct device_message last; /* judged by a version in force; while active */
};
struct device_alarm {
    uint32_t device, episode; /* names */
    uint32_t unit; /* that judged it last: what it tells is told from its episodes at the unit's end */
    struct ledger ledger;
    struct device_state base; /* before the first held message */
    struct story base_open;   /* the episode that is open there; count 0 without */
};
struct device_alarms { /* by device and episode */
    struct device_alarm **items;
    size_t count, capacity;
};

struct track {           /* a rule of a patient */
    const char *rule_id; /* a word of the engine */
    struct patient *patient;
    struct timeline timeline;
    uint16_t parameter; /* enum parameter */
    uint8_t kind;       /* enum rule_kind */
    uint8_t sides;      /* 1 << side: some version has it */
    struct track_side *side[SIDE_COUNT];
    union {                           /* by kind */
        struct silence *silence;      /* its ledger is that of side[0] */
        struct device_alarms *alarms; /* of the kind event; NULL: none yet */
        struct days *days;            /* of kinds that judge days */
    };
};
static_assert(sizeof(struct track) <= 64, "every patient has one a rule, whether anything ever comes or not");

static inline bool rule_kind_has_days(enum rule_kind kind)
{
    return kind == RULE_DAILY || kind == RULE_VARIATION || kind == RULE_BASELINE;
}
static inline bool track_judges_days(const struct track *track)
{
    return rule_kind_has_days((enum rule_kind)track->kind);
}

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
