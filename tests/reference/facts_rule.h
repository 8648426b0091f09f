/* facts_rule: a rule as numbers, and the words of the specification that facts are made of.
 * Units: values in millionths of the canonical unit, times in milliseconds. Threads: value types. */
#ifndef VIGIE_TESTS_REFERENCE_FACTS_RULE_H
#define VIGIE_TESTS_REFERENCE_FACTS_RULE_H

#include <stdbool.h>
#include <stdint.h>

enum { FACT_LEVELS = 3, FACT_LIST = 8 };
enum fact_side { LOW, HIGH, BOTH };
enum fact_layer { LAYER_PATIENT, LAYER_TEAM, LAYER_ORGANIZATION, LAYER_LINE };
enum fact_status { PRELIMINARY, FINAL, CORRECTED, VOID };
enum fact_kind {
    LIMIT,
    OCCURRENCES,
    CHANGE,
    REFERENCE,
    RATE,
    DAILY,
    VARIATION,
    BASELINE,
    SILENCE,
    EVENT,
    KINDS
};
enum fact_statistic { MEDIAN, MEAN, MIN, MAX, SUM, COUNT };
enum fact_zone { ZONE_UTC, ZONE_PARIS, ZONE_NEW_YORK, ZONE_KOLKATA, ZONE_LORD_HOWE, ZONE_SANTIAGO, ZONES };

/* The parameters that scenarios use. */
struct fact_parameter {
    const char *name, *unit;
    bool continuous, glucose;
};
enum { PARAMETERS = 7 };
extern const struct fact_parameter fact_parameters[PARAMETERS];
extern const char *const fact_zone_names[ZONES], *const fact_kind_names[KINDS];

struct fact_rule {
    enum fact_kind kind;
    bool inherit, disabled, requires_validation;
    int parameter, priority; /* priorities 1..3 */
    struct {
        bool has[BOTH];
        int64_t limit[BOTH];
    } level[FACT_LEVELS + 1]; /* of limit, by priority */
    int64_t hysteresis, for_ms, max_gap_ms;
    int count, clear_count;
    bool has[BOTH], percent[BOTH]; /* below or fall, above or rise */
    int64_t amount[BOTH];
    int64_t rearm, within_ms;
    bool sample, skip, has_minimum;
    int times, readings, reference;
    int statistic, day_start_min, min_readings, days, over, min_days, missed_days;
    int64_t grace_ms, minimum;
    unsigned parameters;    /* of silence: bits */
    int classes[FACT_LIST]; /* of event: priority of class 1..7 or 0; [0]: "*" */
    unsigned words;         /* text alone: nothing decides on it */
};

#endif
