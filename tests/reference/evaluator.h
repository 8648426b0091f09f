/* evaluator: the set of episodes that facts imply, from the text of RULES.md alone.
 * Plain and slow on purpose, in another style than the engine: nothing is incremental; everything is sorted
 * and walked whole from the final set; arithmetic is exact (128 bits, cross-multiplied). Threads: pure
 * functions. */
#ifndef VIGIE_TESTS_REFERENCE_EVALUATOR_H
#define VIGIE_TESTS_REFERENCE_EVALUATOR_H

#include "tests/reference/episodes.h"

/* Appends the episodes of all rules to `out`, in order of rule, side, raised_at. */
void evaluate(const struct facts *facts, struct episodes *out);

/* The winning readings of a parameter in series order; the array is the caller's to free. */
const struct fact_reading **evaluate_series(const struct facts *facts, int parameter, size_t *ret_count);

/* RULES.md section 2: when a version with this wish is in force at the earliest. */
int64_t evaluate_moved(const struct facts *facts, const struct fact_version *version);

/* The earliest instant whose local date and time are at or after `day` (days since 1970) at start_min. */
int64_t evaluate_day_begin(enum fact_zone zone, int64_t day, int start_min);

#endif
