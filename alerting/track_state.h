/* track_state: what the engine keeps of one rule of a patient. Internal to the engine, part of state.h.
 * Owner:   patients own tracks, tracks own their sides, and sides their ledgers. Threads: the shard's alone.
 * Holds:   nothing ever came: a track alone; what it keeps is made when there is something to keep. */
#ifndef VIGIE_ALERTING_TRACK_STATE_H
#define VIGIE_ALERTING_TRACK_STATE_H

#include "alerting/device_log.h"
#include "alerting/judge.h"
#include "alerting/ledger.h"
#include "alerting/rulebook.h"
#include "alerting/spans.h"

struct days;
struct patient;

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

#endif
