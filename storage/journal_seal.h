/* journal_seal: the keys of segments, and every seal and check of the journal; journal_format.h tells what
 * they are for. The one place that computes one. Owner:   a segment_key has one owner. Threads: one at a time
 * a key. Only storage/journal* includes this. */
#ifndef VIGIE_STORAGE_JOURNAL_SEAL_H
#define VIGIE_STORAGE_JOURNAL_SEAL_H

#include <stdbool.h>

#include "daemon/base/err.h"
#include "daemon/base/hash.h"
#include "storage/journal_format.h"

/* The two keys of a segment; one owner, no allocation after the opening. */
struct segment_key {
    struct cipher *cipher;
    struct sip_key check;
};
MUST_CHECK enum err journal__key_open(const struct cipher_keys *keys, uint32_t key_id,
                                      const uint8_t salt[CIPHER_SALT_BYTES], struct segment_key *ret_key);
void journal__key_close(struct segment_key *key);

/* The keys of a segment to come, under the first master key and a new salt. */
struct fresh_key {
    uint32_t key_id;
    uint8_t salt[CIPHER_SALT_BYTES];
    struct segment_key key;
};
MUST_CHECK enum err journal__key_make(const struct cipher_keys *keys, struct fresh_key *ret_fresh);

/* Fills magic, format, tag and check. */
void journal__seal_segment(const struct segment_key *key, struct segment_header *header);
/* ERR_CORRUPT: the check fails or it is another number's; ERR_FORMAT: whole, but of a format unknown to us;
 * ERR_KEY_MISSING. Gives the key when asked (ret_key may be NULL). */
MUST_CHECK enum err journal__check_segment(const struct cipher_keys *keys,
                                           const struct segment_header *header, uint32_t number,
                                           struct segment_key *ret_key);

/* A segment with its key, and the tag that the next block's covers. */
struct block_place {
    const struct segment_header *segment;
    const struct segment_key *key;
    uint64_t offset;
    const uint8_t *tag_before;
};
/* Encrypts in place the payload that follows the header in memory; fills magic, tag and check. */
void journal__seal_block(const struct block_place *place, struct block_header *block);
/* The header alone, which needs no tag_before; `room` is what is left of the segment from the offset on. */
bool journal__block_header_is_good(const struct block_place *place, uint64_t room,
                                   const struct block_header *block);
/* Decrypts in place; false: the payload has been wiped. */
bool journal__open_payload(const struct block_place *place, const struct block_header *block, void *payload);

/* Steps through the records of a payload: false when the record at `at` does not lie inside `length`. */
bool journal__record_is_good(const void *payload, uint64_t length, uint64_t at);

#endif
