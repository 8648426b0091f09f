/* rejected: what a sender who cannot be told has sent in vain: the refusal and the bytes themselves. It goes
 * through the journal as part of the answer's durability, takes part in no decision, and ends, encrypted, in
 * vigie.rejected for 30 days (INTERFACES.md section 6). An open struct: it lies on the disk as it is, with
 * code, text and original behind it.
 * Threads: pure functions.
 * Choices: code and text lie in the database in clear: they are our own words and never quote the payload;
 *          what is not printable ASCII in them becomes '?'. The original is kept to the byte. */
#ifndef VIGIE_MODEL_REJECTED_H
#define VIGIE_MODEL_REJECTED_H

#include <assert.h>

#include "daemon/base/buffer.h"
#include "daemon/model/reading.h"

enum { REJECTED_CODE_BYTES_MAX = 32, REJECTED_TEXT_BYTES_MAX = 500 };

struct rejected {
    int64_t received_at_ms; /* engine time of the turn; set by the shard */
    int64_t source_id;
    uint32_t original_size;
    uint16_t code_size, text_size;
};
static_assert(sizeof(struct rejected) == 24, "the head is fixed: it is written to the journal as it is");

/* The same with its texts; borrowed. */
struct rejected_view {
    struct rejected head;
    struct slice code, text, original;
};

/* Bytes of head and texts. */
static inline size_t rejected_size(const struct rejected *head)
{
    return sizeof(*head) + head->code_size + head->text_size + head->original_size;
}

/* Writes head and texts of `view` to `out`, which has rejected_size() bytes; the sizes of its head say how
 * much of them. */
void rejected_write(const struct rejected_view *view, uint8_t *out);
/* Out of `size` bytes, which may be more than it has; what is short is ensure(): a defect of ours. */
void rejected_read(const uint8_t *data, size_t size, struct rejected_view *ret);

#endif
