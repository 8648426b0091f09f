/* rule_kinds: what the kinds of rules are made of that judge values (RULES.md section 3). Only alerting/
 * includes this. Units: values and differences in millionths of the parameter's canonical unit, times in
 * milliseconds. */
#ifndef VIGIE_ALERTING_RULE_KINDS_H
#define VIGIE_ALERTING_RULE_KINDS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/limits.h"
#include "daemon/model/alert_event.h"
#include "daemon/model/parameter.h"

/* RULES.md section 3, in its order. */
enum rule_kind {
    RULE_LIMIT,
    RULE_OCCURRENCES,
    RULE_CHANGE,
    RULE_REFERENCE,
    RULE_RATE,
    RULE_DAILY,
    RULE_VARIATION,
    RULE_BASELINE,
    RULE_SILENCE,
    RULE_EVENT,
    RULE_KIND_COUNT
};

/* A rule with both sides is two rules with runs, levels and episodes of their own (RULES.md section 1). */
enum rule_side { SIDE_LOW, SIDE_HIGH, SIDE_COUNT, SIDE_NONE = SIDE_COUNT };

struct rule_level {
    enum priority priority;
    int64_t limit; /* low: breached below it; high: breached above it */
};

struct rule_levels {
    unsigned count;                               /* 0: the rule does not have this side */
    struct rule_level level[LEVELS_PER_SIDE_MAX]; /* by rising priority, ever further out */
};

struct rule_limit {
    struct rule_levels side[SIDE_COUNT];
    int64_t hysteresis;
    int64_t for_ms, max_gap_ms; /* 0: none */
};

struct rule_bound {       /* below, above: one limit a side */
    bool has[SIDE_COUNT]; /* SIDE_LOW: below, SIDE_HIGH: above */
    int64_t limit[SIDE_COUNT];
};

struct rule_difference {      /* fall, rise, or one of them in percent */
    bool has[SIDE_COUNT];     /* SIDE_LOW: fall, SIDE_HIGH: rise */
    bool percent[SIDE_COUNT]; /* amount is millionths of a percent */
    int64_t amount[SIDE_COUNT];
};

struct rule_occurrences {
    struct rule_bound bound;
    int64_t rearm;
    bool sample; /* mode: every breaching reading; else crossings */
    unsigned times;
    int64_t within_ms;
};

struct rule_change {
    struct rule_difference difference;
    int64_t within_ms;
};

struct rule_reference {
    struct rule_difference difference;
    char name[REF_BYTES_MAX + 1];
};

struct rule_rate {
    struct rule_difference per_minute; /* never in percent */
    int64_t within_ms;
    unsigned readings;
};

enum day_statistic { DAY_MEDIAN, DAY_MEAN, DAY_MIN, DAY_MAX, DAY_SUM, DAY_COUNT, DAY_STATISTIC_COUNT };

struct rule_days { /* what daily, variation and baseline have in common */
    enum day_statistic statistic;
    int day_start_min;     /* minutes after local midnight */
    unsigned min_readings; /* of a day with data; 0 for count and sum alone */
    int64_t grace_ms;
};

struct rule_daily {
    struct rule_days day;
    struct rule_bound bound; /* statistic count: millionths of a reading */
    unsigned days;
    bool skip; /* missing: a day without data neither counts nor ends the run; else it ends it */
};

struct rule_variation {
    struct rule_days day;
    struct rule_difference difference;
    bool has_minimum;
    int64_t minimum; /* of the day before */
};

struct rule_baseline {
    struct rule_days day;
    struct rule_difference difference;
    unsigned over, min_days, days;
};

#endif
