/* facts: all that RULES.md lets the episodes of one patient depend on, as plain arrays, and the episodes.
 * The generator writes facts, the driver adds what it did to the engine, the evaluator reads them whole.
 * Units: values in millionths of the canonical unit, times in milliseconds since 1970.
 * Owner:   facts_init() and facts_deinit(). Threads: value types. */
#ifndef VIGIE_TESTS_REFERENCE_FACTS_H
#define VIGIE_TESTS_REFERENCE_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MS_MINUTE 60000LL
#define MS_HOUR   (60 * MS_MINUTE)
#define MS_DAY    (24 * MS_HOUR)
#define NEVER     INT64_MAX
#define NO_TIME   INT64_MIN

enum { FACT_LEVELS = 3, FACT_LIST = 8 };
enum fact_side { LOW, HIGH, BOTH };
enum fact_layer { LAYER_PATIENT, LAYER_TEAM, LAYER_ORGANIZATION, LAYER_LINE };
enum fact_status { PRELIMINARY, FINAL, CORRECTED, VOID };
enum fact_kind { LIMIT, OCCURRENCES, CHANGE, REFERENCE, RATE, DAILY, VARIATION, BASELINE, SILENCE, EVENT, KINDS };
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
    unsigned parameters;     /* of silence: bits */
    int classes[FACT_LIST];  /* of event: priority of class 1..7 or 0; [0]: "*" */
    unsigned words;          /* text alone: nothing decides on it */
};

struct fact_version {
    int rule; /* number of the rule; its id is made from it */
    enum fact_layer layer;
    int64_t valid_from, commit; /* valid_from as moved */
    int order;                  /* of commits, also within one millisecond */
    struct fact_rule body;
};

struct fact_reading {
    int64_t value, measured_at, received_at, issued; /* issued: NO_TIME without */
    uint32_t alias;                                  /* 0: none */
    uint32_t request;
    uint8_t parameter, comparator, status, device, sensor, source;
    bool day_only, quarantined, test;
};

struct fact_message { /* of a device alarm */
    int64_t at, received_at;
    uint8_t device, episode, class, phase; /* 0 start 1 continue 2 end */
};

struct fact_confirmation { int64_t from, commit; int order; };
struct fact_dated { int name, parameter; int64_t value, from; int order; };
struct fact_span { int rule; int64_t from, until; };

#define FACT_ARRAYS(ARRAY)                                                                                   \
    ARRAY(reading, struct fact_reading) ARRAY(version, struct fact_version) ARRAY(message, struct fact_message) \
    ARRAY(confirmation, struct fact_confirmation) ARRAY(dated, struct fact_dated)                            \
    ARRAY(suspension, struct fact_span) ARRAY(outage, struct fact_span)

struct facts {
    int64_t enrolled_at, left_at, clock; /* left_at NEVER; clock: what is due at it is decided */
    int64_t lookback, lookback_continuous;
    enum fact_zone zone;
    int orders;
#define FACT_ARRAY(name, type) type *name; size_t name##s, name##_room;
    FACT_ARRAYS(FACT_ARRAY)
#undef FACT_ARRAY
};

#define FACT_ADDER(name, type) type *facts_add_##name(struct facts *facts, type value);
FACT_ARRAYS(FACT_ADDER)
#undef FACT_ADDER
void facts_init(struct facts *facts);
void facts_deinit(struct facts *facts);
int64_t facts_lookback(const struct facts *facts, int parameter);

enum episode_state { OPEN, CLEARED, ENDED /* closed: the patient left */ };
enum { PRIORITY_STEPS = 4096 };

struct episode {
    int rule;
    enum fact_side side; /* BOTH: none */
    enum episode_state state;
    int64_t raised_at, ended_at;   /* NO_TIME while open */
    uint32_t steps_first, steps;   /* in episodes.step */
    bool begins_with_day;
    int64_t began_at;              /* measured time of the key, first day's number, or last_seen */
    uint8_t began_device, began_sensor;
};

struct step { int64_t at; int priority; };

struct episodes {
    struct episode *episode;
    size_t count, room;
    struct step *step;
    size_t steps, steps_room;
};

void episodes_deinit(struct episodes *episodes);

#endif
