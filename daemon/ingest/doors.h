/* doors: the table of paths that the ingest listeners serve, and the memory that their decoders share.
 * Owner:   a loop makes one struct doors at its start and frees it at its end. Threads: the loop's.
 * Fails:   doors_new() for lack of memory. */
#ifndef VIGIE_INGEST_DOORS_H
#define VIGIE_INGEST_DOORS_H

#include "daemon/ingest/exchange.h"
#include "daemon/ingest/pull/json_pull.h"

struct fhir_entry;

/* What decoding one message needs; nothing in it outlives handle(). */
struct doors {
    struct pull_keys keys;
    struct pull_scratch scratch; /* its spans are these */
    struct pull_spans spans;
    struct fhir_entry *entries; /* [BUNDLE_ENTRIES_MAX] */
};

/* Strings with escapes are copied once each time their level is read: of the message, of a bundle's entry, of
 * its resource; and the texts composed of them ("system|value") are no longer than what they are made of. */
enum { DOORS_SCRATCH_BYTES = 4 * MESSAGE_BYTES_MAX };

MUST_CHECK enum err doors_new(const struct loop_context *loop, void **ret_doors);
void doors_free(void *doors);

const struct door *doors_find(struct slice path); /* NULL: unknown */
/* For any path: below "/fhir" an OperationOutcome. */
void doors_error(struct exchange *exchange, int status, const char *code, const char *text);

/* The decoders' memory, emptied for a new message. */
struct doors *doors_of(const struct loop_context *loop);

#endif
