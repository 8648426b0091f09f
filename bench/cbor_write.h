/* cbor_write: the few forms of CBOR that generated messages need, each as short as it can be. Threads: any.
 */
#ifndef VIGIE_BENCH_CBOR_WRITE_H
#define VIGIE_BENCH_CBOR_WRITE_H

#include "daemon/base/buffer.h"

/* Major types of RFC 8949. */
enum { CBOR_UNSIGNED = 0, CBOR_NEGATIVE = 1, CBOR_TEXT = 3, CBOR_ARRAY = 4, CBOR_MAP = 5, CBOR_TAG = 6 };

void cbor_write_head(struct buffer *out, unsigned major, uint64_t number);
/* A key, as an integer, and a text. */
void cbor_write_text(struct buffer *out, unsigned key, const char *text);
/* One reading of INTERFACES.md section 4 with integer keys: its value as a decimal fraction of tenths, its
 * time in milliseconds. */
void cbor_write_reading(struct buffer *out, const char *code, unsigned tenths, const char *unit,
                        int64_t time_ms);

#endif
