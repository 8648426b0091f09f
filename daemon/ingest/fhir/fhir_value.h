/* fhir_value: what a value[x] says: Quantity, integer, SampledData.
 * Owner:   everything is borrowed, texts composed here lie in the scratch. Threads: the loop's.
 * Fails:   false with the refusal worded.
 *
 * What R4 leaves open of SampledData, decided here:
 * - Sample i was measured at start + i * period, cut to milliseconds. The start is effectivePeriod.start,
 * else effectiveDateTime or effectiveInstant; a day alone is none.
 * - A sample is origin + factor * number, exact, in the unit of the origin; the limits are in that unit.
 * - "L" is `<` the lower limit and "U" is `>` the upper limit: judged as beyond every limit on that side.
 * Where the sender gives no limit the end of the possible band stands for it, and the text kept is the
 * letter: a reading that says LO must reach the rules.
 * - "E" is no reading. What is neither a number nor a letter refuses its own sample alone: the others stand
 * at their places all the same.
 * - Samples less than 1 ms apart, and those of a code that is no parameter, are a waveform: no reading.
 * - More than one dimension is refused: whose values they are is not said.
 * - Each sample of one Observation has its own alias, "system|value[i]", so an identifier names one
 *   measurement; they are in no group. */
#ifndef VIGIE_INGEST_FHIR_VALUE_H
#define VIGIE_INGEST_FHIR_VALUE_H

#include "daemon/base/decimal.h"
#include "daemon/ingest/fhir/fhir.h"

bool fhir_read_quantity(struct fhir *fhir, const struct pull_field *field, struct claim *claim,
                        struct refusal *ret_refusal);
bool fhir_read_integer(const struct pull_field *field, struct claim *claim, struct refusal *ret_refusal);

struct fhir_samples {
    struct slice data;          /* what is left of it */
    uint32_t index;             /* of the next sample */
    bool is_waveform, is_plain; /* is_plain: a sample is its own text */
    struct decimal_exact origin, factor;
    int64_t period_ns;         /* of samples */
    struct slice lower, upper; /* {NULL, 0} without */
};
/* The claim's unit and time are set. */
bool fhir_open_samples(struct fhir *fhir, const struct pull_field *field, struct claim *claim,
                       struct fhir_samples *ret, struct refusal *ret_refusal);

enum fhir_sample { SAMPLE_END, SAMPLE_VALUE, SAMPLE_NOTHING, SAMPLE_REFUSED };
/* The next sample as a claim made of `common`; SAMPLE_REFUSED: the refusal is worded. */
enum fhir_sample fhir_next_sample(struct fhir *fhir, struct fhir_samples *samples, const struct claim *common,
                                  struct claim *ret, struct refusal *ret_refusal);

#endif
