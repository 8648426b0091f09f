/* drive: tells a scenario to the real engine through engine.h, restarts and snapshots between, and keeps the
 * facts of it for the evaluator. Compares what a reader of the topic has with what the evaluator says, at
 * moments on the way and at the end. Owner:   struct outcome is the caller's. Threads: one at a time. */
#ifndef VIGIE_TESTS_REFERENCE_DRIVE_H
#define VIGIE_TESTS_REFERENCE_DRIVE_H

#include "tests/reference/scenario.h"

enum verdict_of_drive { AGREED, DIFFERENT, LAW_BROKEN, WAS_REFUSED };

struct outcome {
    enum verdict_of_drive verdict;
    char *text; /* what was found and what was expected; freed by outcome_deinit() */
    uint64_t readings, released, episodes, events, checks, per_kind[KINDS];
    uint64_t judged_digest;   /* of which readings are judged: tellings with equal ones give equal episodes */
    uint64_t episodes_digest; /* of the evaluator, without silence */
};

struct drive_wish {
    unsigned checks_percent; /* of acts after which the whole is compared, besides the end */
    bool ids;                /* nothing arrives out of order: each id is that of the beginning */
};

void drive(const struct scenario *scenario, const struct drive_wish *wish, struct outcome *out);
void outcome_deinit(struct outcome *outcome);

#endif
