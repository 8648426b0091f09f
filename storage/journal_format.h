/* journal_format: how the journal of one shard lies on disk, and why a crash cannot make it lie.
 *
 *   <directory>/00000001.wal  00000002.wal ...   segments, pre-allocated and written with zeros (PITFALLS F3)
 *   <directory>/spare.wal                        the next one: zeros, synced, not yet named (PITFALLS F7)
 *   <directory>/prepare.tmp                      a segment in the making; worthless after a crash
 *
 *   segment:  | header 256 | block | block | block ... | zeros                            |
 *   block:    | header 80  | record | record ... | to a multiple of 8
 *   record:   | type 1, 0 0 0, size 4 | data | to a multiple of 8
 *   turn:     blocks, the first marked TURN_START and the last TURN_END; it may go on in the next segment
 *   position: segment number << 32 | offset in the segment, of a record or of a boundary between records
 *
 * Validity. A segment header is good when its check is. A block is good when the check of its header and that
 * of its payload are; both are seeded with the segment's random nonce and the block's offset, so bytes that
 * lie at another place, or were left by another segment, never pass (PITFALLS F5). A turn is good when all
 * its blocks are, from START to END, and their counts follow on. A segment ends where the header of its
 * successor says (previous_end); successors are found backwards, from the newest good header. What is not on
 * that chain is void.
 *
 * Crash argument. (1) Only one turn is ever not synced: a turn is written, fdatasync is waited for, then the
 * durable position moves, then the next turn may be written. (2) A segment's header is synced, and its name
 * is, before its first block is written; a turn's part in one segment is synced before the header of the next
 * is written. So after a crash every good header tells the truth about everything before it, and a segment
 * whose header is broken holds zeros behind it, or was damaged later. (3) What of the open turn reached the
 * disk lies behind the last whole turn; recovery finds no END and cuts there. It appends nothing to a segment
 * that exists: it makes a new one, numbered above all that were seen or planned, whose previous_end is the
 * cut. A crash in recovery leaves the same state or a further void segment. (4) Rot is told from a torn tail
 * by the watermark (PITFALLS F4): each block header carries the durable position known when it was written; a
 * bad block below a watermark stated later is damage to acknowledged data and stops the start. Rot in the
 * very last turn looks like a torn tail: nothing on this disk can tell. (5) A failed sync may leave pages
 * that read well and are not on disk (PITFALLS F1): recovery syncs, drops the page cache of what it is about
 * to read, and only then believes it; that also makes durable what a killed process left in the cache before
 * anyone is served from it (PITFALLS F6).
 *
 * Numbers are little-endian. Encryption is not there yet; key_id, salt and tag are its room: a key per
 * segment by HKDF of the salt, never reused because no segment is opened twice for append (PITFALLS O13). */
#ifndef VIGIE_STORAGE_JOURNAL_FORMAT_H
#define VIGIE_STORAGE_JOURNAL_FORMAT_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "storage/journal_position.h"

enum {
    SEGMENT_HEADER_BYTES = 256,
    SEGMENT_FORMAT = 1,
    SEGMENT_BYTES_MIN = 16 << 10, /* smaller settings are raised to this; only tests come near it */
    BLOCK_HEADER_BYTES = 80,
    BLOCK_PAYLOAD_MAX = 256 << 10, /* a longer record has a block, or even a segment, of its own */
    BLOCK_MAGIC = 0x4b4c4256,      /* "VBLK" */
    RECORD_HEADER_BYTES = 8,
};

#define SEGMENT_BYTES_MAX (UINT64_C(2) << 30) /* offsets fit the low half of a position */

struct segment_header {
    char magic[8]; /* "VIGIEWAL" */
    uint32_t format, header_bytes;
    uint64_t check; /* XXH3-64 of the header with this field zero */
    uint64_t node;
    uint32_t shard, number;
    uint8_t nonce[16];
    uint64_t previous_end; /* where the data before this segment end; 0: there are none */
    uint64_t durable; /* end of the last whole turn before: less than previous_end when a turn goes on here */
    uint64_t records, events; /* of the journal before `durable` */
    uint64_t file_bytes;
    char engine[32]; /* version that decided what is in here; zero padded */
    uint32_t key_id; /* 0: not encrypted */
    uint32_t reserved;
    uint8_t salt[32], padding[88];
};

enum block_flag { BLOCK_TURN_START = 1 << 0, BLOCK_TURN_END = 1 << 1 };

struct block_header {
    uint32_t magic, length; /* bytes of payload, without padding; a multiple of 8 */
    uint64_t header_check;  /* of this header with this field zero */
    uint64_t payload_check;
    uint64_t durable; /* watermark when written */
    uint64_t records_before,
        events_before; /* of the whole journal: gaps and repeats show, lag is a subtraction */
    uint32_t records, events, flags, reserved;
    uint8_t tag[16];
};

struct record_header {
    uint8_t type, reserved[3];
    uint32_t size;
};

static_assert(sizeof(struct segment_header) == SEGMENT_HEADER_BYTES, "the header is fixed");
static_assert(sizeof(struct block_header) == BLOCK_HEADER_BYTES, "the header is fixed");
static_assert(offsetof(struct block_header, tag) == 64, "no hole before the tag");
static_assert(sizeof(struct record_header) == RECORD_HEADER_BYTES, "the header is fixed");
static_assert(BLOCK_HEADER_BYTES % JOURNAL_ALIGN == 0 && SEGMENT_HEADER_BYTES % JOURNAL_ALIGN == 0,
              "all is aligned");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structs are written as they are");

/* Fills magic, format and check. */
void journal__seal_segment(struct segment_header *header);
/* ERR_CORRUPT: the check fails or it is another number's; ERR_FORMAT: whole, but of a format unknown to us.
 */
MUST_CHECK enum err journal__check_segment(const struct segment_header *header, uint32_t number);

/* Fills magic and both checks of a block whose payload follows it in memory. */
void journal__seal_block(const struct segment_header *segment, uint64_t offset, struct block_header *block);
/* The header alone; `room` is what is left of the segment from `offset` on. */
bool journal__block_header_is_good(const struct segment_header *segment, uint64_t offset, uint64_t room,
                                   const struct block_header *block);
bool journal__payload_is_good(const struct segment_header *segment, uint64_t offset,
                              const struct block_header *block, const void *payload);

/* Steps through the records of a payload: false when the record at `at` does not lie inside `length`. */
bool journal__record_is_good(const void *payload, uint64_t length, uint64_t at);

#endif
