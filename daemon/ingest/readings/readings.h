/* readings: the door /v1/readings, INTERFACES.md section 4: one object or an array of them, as CBOR when the
 * content type of the exchange is readings_cbor_type, else as JSON: what it means and what is answered is the
 * same. A protocol without content types sets exchange->content_type itself.
 * Threads: the loop's. Holds: every reading and event of the message has one head in the ticket, in its
 * order; what is refused as a whole (an unknown key, no reading at all) has one head for each that it has,
 * and at least one. */
#ifndef VIGIE_INGEST_READINGS_H
#define VIGIE_INGEST_READINGS_H

#include "daemon/ingest/exchange.h"

extern const char readings_cbor_type[]; /* "application/cbor" */

bool readings_take(struct slice content_type);
enum door_step readings_handle(struct loop_context *loop, struct exchange *exchange);
void readings_answer(struct loop_context *loop, struct exchange *exchange);
/* The array `rejected` of an answer, of any door that keeps notes; of at most about `bytes_max` bytes: gives
 * how many were left out. */
uint32_t readings_render_rejected(struct buffer *out, struct exchange *exchange, size_t bytes_max);

/* {"code","text"} with the status. */
void readings_error(struct exchange *exchange, int status, const char *code, const char *text);

/* The parameters of a content type: charset is UTF-8 or absent. `type` without parameters, lower case. */
bool content_type_is(struct slice content_type, const char *type);

#endif
