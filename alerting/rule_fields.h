/* rule_fields: the parsed rule as the engine reads it. Only alerting/ includes this.
 * Units: values and differences in millionths of the parameter's canonical unit, times in milliseconds. */
#ifndef VIGIE_ALERTING_RULE_FIELDS_H
#define VIGIE_ALERTING_RULE_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

#include "alerting/rule.h"
#include "alerting/rule_kinds.h"

struct rule_silence {
    int64_t max_gap_ms;   /* 0: none */
    unsigned missed_days; /* 0: none */
    int64_t grace_ms;
    int day_start_min; /* minutes after local midnight */
    unsigned parameters_count;
    enum parameter parameters[PARAMETER_COUNT];
};

enum { EVENT_CLASSES_MAX = 64 };

struct rule_event_class {
    char name[REF_BYTES_MAX + 1];
    enum priority priority;
};

struct rule_event {
    struct rule_event_class *classes; /* owned by the rule; in order of name */
    unsigned classes_count;
    enum priority otherwise; /* "*" */
};

struct rule {
    char id[RULE_ID_BYTES_MAX + 1], line[REF_BYTES_MAX + 1];
    enum rule_kind kind;
    bool enabled; /* "enabled": false ends it at its valid_from */
    bool inherit; /* {"id", "inherit": true}: ends the layer's definition; nothing else is set */
    bool requires_validation;
    enum parameter parameter;    /* PARAMETER_COUNT for silence and event */
    enum priority priority;      /* NONE for limit and event, whose levels and classes have theirs */
    unsigned count, clear_count; /* limit, change, reference, rate */
    union {
        struct rule_limit limit;
        struct rule_occurrences occurrences;
        struct rule_change change;
        struct rule_reference reference;
        struct rule_rate rate;
        struct rule_daily daily;
        struct rule_variation variation;
        struct rule_baseline baseline;
        struct rule_silence silence;
        struct rule_event event;
    };
    char *text_fr, *text_en; /* never NULL */
    char *parameters_json;   /* object: the parameters in force, as events carry them in rule.parameters */
};

const char *rule_kind_word(enum rule_kind kind);
extern const char *const rule_statistic_words[DAY_STATISTIC_COUNT];
const char *rule_statistic_word(enum day_statistic statistic);
const struct rule_days *rule_days_of(const struct rule *rule); /* NULL: the kind does not judge days */
bool rule_has_side(const struct rule *rule, enum rule_side side);
/* Does the kind judge values, so that it has a parameter? */
static inline bool rule_kind_has_parameter(enum rule_kind kind)
{
    return kind != RULE_SILENCE && kind != RULE_EVENT;
}

#endif
