/* rule_fields: the parsed rule as the engine reads it. Only alerting/ includes this.
 * Units: values and differences in millionths of the parameter's canonical unit, times in milliseconds. */
#ifndef VIGIE_ALERTING_RULE_FIELDS_H
#define VIGIE_ALERTING_RULE_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

#include "alerting/rule.h"
#include "daemon/model/alert_event.h"
#include "daemon/model/parameter.h"

/* Served kinds; the other kinds of RULES.md section 3 are refused by rule_parse() until they are. */
enum rule_kind { RULE_LIMIT, RULE_CHANGE, RULE_SILENCE };

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

struct rule_change {
    bool has[SIDE_COUNT];     /* SIDE_LOW: fall, SIDE_HIGH: rise */
    bool percent[SIDE_COUNT]; /* amount is millionths of a percent */
    int64_t amount[SIDE_COUNT];
    int64_t within_ms;
};

struct rule_silence {
    int64_t max_gap_ms;   /* 0: none */
    unsigned missed_days; /* 0: none */
    int64_t grace_ms;
    int day_start_min; /* minutes after local midnight */
    unsigned parameters_count;
    enum parameter parameters[PARAMETER_COUNT];
};

struct rule {
    char id[RULE_ID_BYTES_MAX + 1], line[REF_BYTES_MAX + 1];
    enum rule_kind kind;
    bool enabled; /* "enabled": false ends it at its valid_from */
    bool inherit; /* {"id", "inherit": true}: ends the layer's definition; nothing else is set */
    bool requires_validation;
    enum parameter parameter; /* PARAMETER_COUNT for silence */
    enum priority priority;   /* change, silence; limit: of its levels */
    unsigned count, clear_count;
    union {
        struct rule_limit limit;
        struct rule_change change;
        struct rule_silence silence;
    };
    char *text_fr, *text_en; /* never NULL */
    char *parameters_json;   /* object: the parameters in force, as events carry them in rule.parameters */
};

#endif
