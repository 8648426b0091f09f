/* eval_internal: what the files of the evaluator share. Threads: pure functions. */
#ifndef VIGIE_TESTS_REFERENCE_EVAL_INTERNAL_H
#define VIGIE_TESTS_REFERENCE_EVAL_INTERNAL_H

#include "tests/reference/episodes.h"

typedef __int128 wide;

/* The version in force from `from` on; body NULL: none. */
struct segment {
    int64_t from;
    const struct fact_rule *body;
};
struct timeline {
    struct segment *segment;
    size_t count;
    int64_t first; /* moment of the first version in force, NEVER without */
};
struct timeline versions_make(const struct facts *facts, int rule);
void versions_free(struct timeline *timeline);
const struct fact_rule *versions_at(const struct timeline *timeline, int64_t moment);
/* The first moment after `after` at which the rule goes out of force, NEVER without. */
int64_t versions_end_after(const struct timeline *timeline, int64_t after);

/* Readings of one key: one instant of the series. */
struct instant {
    int64_t t;
    size_t first, end;
    const struct fact_reading *number; /* its one value in windows, NULL without a number */
};
struct series {
    const struct fact_reading **reading;
    struct instant *instant;
    size_t readings, instants;
};
struct series told_series_make(const struct facts *facts, int parameter);
void told_series_free(struct series *series);

enum reach { BREACH, NEITHER, INSIDE };
/* What a reading is to a limit, and with `margin` whether it is back inside. */
enum reach reach_of(const struct fact_reading *reading, enum fact_side side, int64_t limit);
bool is_inside(const struct fact_reading *reading, enum fact_side side, int64_t limit, int64_t margin);

struct walk {
    const struct facts *facts;
    const struct timeline *timeline;
    const struct series *series;
    int rule;
    enum fact_side side;
    struct episodes *out;
    int active;        /* priority, 0: no episode is open */
    int64_t ends_seen; /* ends of the rule up to here were applied */
};

struct episode *walk_raise(struct walk *walk, int64_t at, int priority);
void walk_step(struct walk *walk, int64_t at, int priority);
void walk_clear(struct walk *walk, int64_t at, enum episode_state state);
/* The next end of the rule at or before `moment` that was not applied: clears or closes what is open. */
bool walk_end(struct walk *walk, int64_t moment);

void walk_limit(struct walk *walk);
void walk_one_priority(struct walk *walk); /* change, reference, rate */
void walk_occurrences(struct walk *walk);
void walk_days(struct walk *walk); /* daily, variation, baseline */
void walk_silence(struct walk *walk);
void walk_event(struct walk *walk);

#endif
