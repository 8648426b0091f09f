/* cbor_translate: a JSON text as CBOR, in the many forms that CBOR has for one thing, chosen by a seed: keys
 * as texts or as integers, lengths short, long or indefinite, strings in pieces, numbers as integers, decimal
 * fractions or floats, times as texts or milliseconds. */
#ifndef VIGIE_TESTS_CBOR_TRANSLATE_H
#define VIGIE_TESTS_CBOR_TRANSLATE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/buffer.h"
#include "daemon/model/reading.h"

/* Appends the translation; false when the text is no JSON, or has a number that CBOR words otherwise (an
 * exponent, a negative zero, more than 64 bits): then the two are not the same message. */
bool cbor_translate(struct slice json, uint64_t seed, struct buffer *out);

/* What became of a message of /v1/readings: status, answer, verdicts, ids, times and tails. */
struct cbor_outcome {
    bool is_exact; /* false: it has no translation, and nothing is compared */
    int status;
    struct buffer bytes;
};

/* Sends the translation through the fixture, whose shard then forgets it. The buffer is reused. */
void cbor_outcome_of(const char *source, struct slice json, uint64_t seed, struct cbor_outcome *ret);
/* Whether the message that the fixture had last ended the same way. */
bool cbor_outcome_is_last(const struct cbor_outcome *outcome);

#endif
