/* scenario: a seeded story of one or a few patients: what is told to the engine and when. The same story is
 * told in several orders: a telling keeps what was measured and all commands, and draws arrivals anew. Owner:
 * scenario_make() and scenario_free(). Threads: one at a time. */
#ifndef VIGIE_TESTS_REFERENCE_SCENARIO_H
#define VIGIE_TESTS_REFERENCE_SCENARIO_H

#include "daemon/base/buffer.h"
#include "tests/reference/facts.h"

enum { PATIENTS_MAX = 3, ALL_PATIENTS = -1, RULES_MAX = 7 };
enum act_kind {
    ACT_READING,
    ACT_MESSAGE,
    ACT_VERSION,
    ACT_CONFIRMATION,
    ACT_DATED,
    ACT_SUSPENSION,
    ACT_LEFT,
    ACT_RESTART,
    ACT_COUNT
};

struct act {
    int64_t at; /* engine time at which it is told, moved behind an outage */
    enum act_kind kind;
    int patient;
    uint32_t request; /* readings of one number, patient and time are one request */
    uint32_t serial;  /* keeps order within one millisecond */
    uint32_t number;  /* of the act, in every telling */
    bool late;        /* received too late to be judged, in every telling */
    union {
        struct fact_reading reading;
        struct fact_message message;
        struct fact_version version;
        struct fact_confirmation confirmation;
        struct fact_dated dated;
        struct fact_span suspension;
        struct {
            int64_t outage_ms;
            bool snapshot; /* state goes through bytes into a new engine */
        } restart;
    };
};

struct scenario {
    uint64_t seed;
    bool calm;
    int patients;
    int64_t begin, end, enrolled_at[PATIENTS_MAX],
        enrolled_commit[PATIENTS_MAX]; /* enrolled_at NO_TIME: the commit */
    int64_t lookback, lookback_continuous;
    enum fact_zone zone[PATIENTS_MAX];
    struct act *act;
    size_t count, room;
};

enum telling { AS_MADE, IN_ORDER, SHUFFLED, NEWEST_FIRST, TELLINGS };

struct scenario_wish {
    uint64_t seed;
    unsigned readings; /* about */
    unsigned kinds;    /* bits of fact_kind */
    bool calm;         /* nothing that changes what an episode began with once it is told */
};

struct scenario *scenario_make(const struct scenario_wish *wish);
struct scenario *scenario_copy(const struct scenario *scenario);
void scenario_free(struct scenario *scenario);

/* Draws arrivals of readings anew and sorts. AS_MADE leaves them. */
void scenario_tell(struct scenario *scenario, enum telling telling);
void scenario_sort(struct scenario *scenario);

/* The rule as an import gives it. */
void scenario_render_rule(const struct fact_version *version, struct buffer *out);
/* The whole story, for the reader of a failure. */
void scenario_render(const struct scenario *scenario, struct buffer *out);

struct dice {
    uint64_t state;
};
uint64_t dice_roll(struct dice *dice, uint64_t sides);
bool dice_chance(struct dice *dice, unsigned percent);

#endif
