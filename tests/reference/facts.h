/* facts: all that RULES.md lets the episodes of one patient depend on, as plain arrays.
 * The generator writes facts, the driver adds what it did to the engine, the evaluator reads them whole.
 * Units: values in millionths of the canonical unit, times in milliseconds since 1970.
 * Owner:   facts_init() and facts_deinit(). Threads: value types. */
#ifndef VIGIE_TESTS_REFERENCE_FACTS_H
#define VIGIE_TESTS_REFERENCE_FACTS_H

#include <stddef.h>

#include "tests/reference/facts_rule.h"

#define MS_MINUTE 60000LL
#define MS_HOUR   (60 * MS_MINUTE)
#define MS_DAY    (24 * MS_HOUR)
#define NEVER     INT64_MAX
#define NO_TIME   INT64_MIN

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
    uint32_t episode;
    uint8_t device, class, phase; /* 0 start 1 continue 2 end */
};

struct fact_confirmation {
    int64_t from, commit;
    int order;
};
struct fact_dated {
    int name, parameter;
    int64_t value, from;
    int order;
};
struct fact_span {
    int rule;
    int64_t from, until;
};

#define FACT_ARRAYS(ARRAY)                                                                                   \
    ARRAY(reading, fact_reading)                                                                             \
    ARRAY(version, fact_version)                                                                             \
    ARRAY(message, fact_message)                                                                             \
    ARRAY(confirmation, fact_confirmation)                                                                   \
    ARRAY(dated, fact_dated)                                                                                 \
    ARRAY(suspension, fact_span)                                                                             \
    ARRAY(outage, fact_span)

struct facts {
    int64_t enrolled_at, left_at, clock; /* left_at NEVER; clock: what is due at it is decided */
    int64_t lookback, lookback_continuous;
    enum fact_zone zone;
    int orders;
#define FACT_ARRAY(name, type)                                                                               \
    struct type *name;                                                                                       \
    size_t name##s, name##_room;
    FACT_ARRAYS(FACT_ARRAY)
#undef FACT_ARRAY
};

#define FACT_ADDER(name, type) struct type *facts_add_##name(struct facts *facts, struct type value);
FACT_ARRAYS(FACT_ADDER)
#undef FACT_ADDER
void facts_init(struct facts *facts);
void facts_deinit(struct facts *facts);
int64_t facts_lookback(const struct facts *facts, int parameter);

#endif
