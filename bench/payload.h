/* payload: the messages of the load: JSON or CBOR of INTERFACES.md section 4 for a cohort of made-up
 * patients. Readings of one patient move on in time and never repeat, so that nothing is a duplicate unless
 * asked for. Owner: its holder. Threads: one. */
#ifndef VIGIE_BENCH_PAYLOAD_H
#define VIGIE_BENCH_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/buffer.h"

struct payload_options {
    unsigned patients, readings; /* cohort BENCH-0 .. BENCH-<patients-1>; readings a message */
    unsigned breach_permille;    /* readings beyond the presets' limits */
    int64_t start_ms;            /* measured time of the first reading of every patient */
    bool cbor;                   /* else JSON */
    int64_t step_ms;             /* between two readings of one patient */
};

struct payload;
struct payload *payload_new(const struct payload_options *options);
void payload_free(struct payload *payload);

/* Appends one message: `readings` readings of the next patient in turn. */
void payload_message(struct payload *payload, struct buffer *out);

/* Appends the import lines (NDJSON) that enrol the cohort and the source of `token`. */
void payload_cohort(const struct payload_options *options, const char *token_sha256, struct buffer *out);

#endif
