/* journal_format: how the journal of one shard lies on disk, and why a crash cannot make it lie.
 *
 *   <directory>/00000001.wal  00000002.wal ...   segments, pre-allocated and written with zeros (PITFALLS F3)
 *   <directory>/spare.wal                        the next one: zeros, synced, not yet named (PITFALLS F7)
 *   <directory>/prepare.tmp                      a segment in the making; worthless after a crash
 *   <directory>/trimmed                          number of the first segment that still counts, sealed
 *
 *   segment:  | header 256 | block | block | block ... | zeros                            |
 *   block:    | header 72  | record | record ... | to a multiple of 8; all behind the header is ciphertext
 *   record:   | type 1, 0 0 0, size 4 | data | to a multiple of 8
 *   turn:     blocks, the first marked TURN_START and the last TURN_END; it may go on in the next segment
 *   position: segment number << 32 | offset in the segment, of a record or of a boundary between records
 *
 * Keys. A segment has two keys of its own, HKDF of the master key that key_id names and the header's random
 * salt: one of AES-256-GCM, one of SipHash for checks that need no decryption. The nonce is a counter: 0 for
 * the segment's header, then the number of the block. No pair of key and nonce comes twice, because a segment
 * is opened for append once, by the process that made its salt, and a number is used up by the one attempt to
 * write its block: a failed write ends the process (PITFALLS O13). What is in clear: both headers, so sizes,
 * counts, engine times of segments; never a byte of a record.
 *
 * Validity. A segment header is good when its plain check is (it is whole), its format is ours, its key is at
 * hand and its tag fits (nobody made it but a holder of the key). A block header is good when its keyed check
 * is; that covers its place too, so bytes that lie at another offset, or were left by another segment, never
 * pass (PITFALLS F5), and a reader passes over blocks without opening them. A block is good when its tag is
 * as well: it covers ciphertext, header, place (node, shard, segment, offset) and the tag before it, that of
 * the segment header for the first; a reader meets every block header of a segment, so it always knows that
 * tag, opened or not. The payload has no other check: the tag is one. A turn is good when all its blocks are,
 * from START to END, and their counts follow on. A segment ends where the header of its successor says
 * (previous_end); successors are found backwards, from the newest good header down to the first that is not
 * trimmed. What is not on that chain is void, and so are the bytes behind a segment's end: readers never look
 * at them, whatever they hold.
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
 * bad block below a watermark stated later is damage to acknowledged data and stops the start. A process that
 * ends in order leaves a block without records as the last witness. Rot in the very last turn of a process
 * that was killed looks like a torn tail: nothing on this disk can tell. (5) A failed sync may leave pages
 * that read well and are not on disk (PITFALLS F1): recovery syncs, drops the page cache of what it is about
 * to read, and only then believes it; that also makes durable what a killed process left in the cache before
 * anyone is served from it (PITFALLS F6). (6) Trim makes `trimmed` durable, then removes files, the oldest
 * first: a file that is missing and not below that number is damage; one that is there and below it is void.
 *
 * What it can't tell: a whole older state of the directory put back (sinks see it: their cursors lie behind
 * its end), a virtual machine resumed from an image of its memory (never do that: nonces come again). Numbers
 * are little-endian. Format 1, which was not encrypted, was never written in production and is refused: start
 * on an empty state_dir. */
#ifndef VIGIE_STORAGE_JOURNAL_FORMAT_H
#define VIGIE_STORAGE_JOURNAL_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/cipher.h"
#include "storage/journal_position.h"

enum {
    SEGMENT_HEADER_BYTES = 256,
    SEGMENT_FORMAT = 2,
    SEGMENT_BYTES_MIN = 16 << 10, /* smaller settings are raised to this; only tests come near it */
    BLOCK_HEADER_BYTES = 72,
    BLOCK_PAYLOAD_MAX = 256 << 10, /* a longer record has a block, or even a segment, of its own */
    BLOCK_MAGIC = 0x4b4c4256,      /* "VBLK" */
    RECORD_HEADER_BYTES = 8,
};

#define SEGMENT_BYTES_MAX (UINT64_C(2) << 30) /* offsets fit the low half of a position */

struct segment_header {
    char magic[8]; /* "VIGIEWAL" */
    uint32_t format, header_bytes;
    uint64_t check; /* XXH3-64 of the header with this field zero: whole or not, whoever wrote it */
    uint64_t node;
    uint32_t shard, number;
    uint64_t previous_end; /* where the data before this segment end; 0: there are none */
    uint64_t durable; /* end of the last whole turn before: less than previous_end when a turn goes on here */
    uint64_t records, events; /* of the journal before `durable` */
    uint64_t file_bytes;
    int64_t started_ms; /* engine time of its first turn, or of the last one before; INSTANT_NONE: none */
    char engine[32];    /* version that decided what is in here; zero padded */
    uint32_t key_id, reserved;
    uint8_t salt[CIPHER_SALT_BYTES];
    uint8_t tag[CIPHER_TAG_BYTES]; /* of the header with this field and `check` zero */
    uint8_t padding[80];
};

enum block_flag { BLOCK_TURN_START = 1 << 0, BLOCK_TURN_END = 1 << 1 };

struct block_header {
    uint32_t magic, length; /* bytes of payload, without padding; a multiple of 8 */
    uint64_t check;         /* SipHash of place and header with this field zero: covers the tag too */
    uint64_t durable;       /* watermark when written */
    uint64_t records_before,
        events_before; /* of the whole journal: gaps and repeats show, lag is a subtraction */
    uint32_t records, events, flags;
    uint32_t number; /* of the block in its segment, from 1: the nonce */
    uint8_t tag[CIPHER_TAG_BYTES];
};

struct record_header {
    uint8_t type, reserved[3];
    uint32_t size;
};

static_assert(sizeof(struct segment_header) == SEGMENT_HEADER_BYTES, "the header is fixed");
static_assert(sizeof(struct block_header) == BLOCK_HEADER_BYTES, "the header is fixed");
static_assert(offsetof(struct block_header, tag) == 56, "no hole before the tag");
static_assert(sizeof(struct record_header) == RECORD_HEADER_BYTES, "the header is fixed");
static_assert(BLOCK_HEADER_BYTES % JOURNAL_ALIGN == 0 && SEGMENT_HEADER_BYTES % JOURNAL_ALIGN == 0,
              "all is aligned");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structs are written as they are");

#endif
