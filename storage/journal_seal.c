/* journal_seal: see the header. */
#include "storage/journal_seal.h"

#include <string.h>
#include <xxhash.h>

#include "storage/journal.h"

static const char segment_magic[8] = {'V', 'I', 'G', 'I', 'E', 'W', 'A', 'L'};

/* What the tag and the check of a block cover beside its bytes. */
struct bound_place {
    uint64_t node, offset;
    uint32_t shard, segment;
    uint8_t tag_before[CIPHER_TAG_BYTES];
    struct block_header block;
};
_Static_assert(sizeof(struct bound_place) == 40 + BLOCK_HEADER_BYTES, "no hole");

/* --- keys -------------------------------------------------------------------------------------------------
 */

enum err journal__key_open(const struct cipher_keys *keys, uint32_t key_id,
                           const uint8_t salt[CIPHER_SALT_BYTES], struct segment_key *ret_key)
{
    uint8_t check[CIPHER_KEY_BYTES];
    struct segment_key key;
    enum err error = cipher_derive(keys, key_id, salt, "vigie journal check", check);
    if (error == OK)
        error = cipher_open(keys, key_id, salt, "vigie journal segment", &key.cipher);
    if (error != OK)
        return error;
    memcpy(&key.check, check, sizeof(key.check));
    *ret_key = key;
    return OK;
}

void journal__key_close(struct segment_key *key)
{
    cipher_close(key->cipher);
    *key = (struct segment_key){0};
}

enum err journal__key_make(const struct cipher_keys *keys, struct fresh_key *ret_fresh)
{
    struct fresh_key fresh = {.key_id = cipher_keys_sealing(keys)};
    enum err error = hash_random(fresh.salt, sizeof(fresh.salt));
    if (error == OK)
        error = journal__key_open(keys, fresh.key_id, fresh.salt, &fresh.key);
    if (error == OK)
        *ret_fresh = fresh;
    return error;
}

/* --- segment headers --------------------------------------------------------------------------------------
 */

static uint64_t segment_digest(const struct segment_header *header)
{
    struct segment_header copy = *header;
    copy.check = 0;
    return XXH3_64bits(&copy, sizeof(copy));
}

/* The header is all associated data: nothing of it is encrypted. */
static struct cipher_message segment_message(const struct segment_header *header, struct segment_header *copy)
{
    *copy = *header;
    copy->check = 0;
    memset(copy->tag, 0, sizeof(copy->tag));
    return (struct cipher_message){.counter = 0, .aad = copy, .aad_size = sizeof(*copy)};
}

void journal__seal_segment(const struct segment_key *key, struct segment_header *header)
{
    struct segment_header copy;
    ensure(header->number > 0 && header->key_id != 0);
    ensure(header->durable <= header->previous_end);
    memcpy(header->magic, segment_magic, sizeof(segment_magic));
    header->format = SEGMENT_FORMAT;
    header->header_bytes = SEGMENT_HEADER_BYTES;
    struct cipher_message message = segment_message(header, &copy);
    cipher_seal(key->cipher, &message, header->tag);
    header->check = segment_digest(header);
}

enum err journal__check_segment(const struct cipher_keys *keys, const struct segment_header *header,
                                uint32_t number, struct segment_key *ret_key)
{
    struct segment_header copy;
    struct segment_key key;
    if (memcmp(header->magic, segment_magic, sizeof(segment_magic)) != 0 ||
        header->check != segment_digest(header))
        return ERR_CORRUPT;
    if (header->format != SEGMENT_FORMAT || header->header_bytes != SEGMENT_HEADER_BYTES)
        return ERR_FORMAT;
    bool follows = header->durable <= header->previous_end && position_segment(header->previous_end) < number;
    if (header->number != number || !follows)
        return ERR_CORRUPT;
    enum err error = journal__key_open(keys, header->key_id, header->salt, &key);
    if (error != OK)
        return error;
    struct cipher_message message = segment_message(header, &copy);
    error = cipher_unseal(key.cipher, &message, header->tag);
    if (error == OK && ret_key != NULL)
        *ret_key = key;
    else
        journal__key_close(&key);
    return error;
}

/* --- blocks -----------------------------------------------------------------------------------------------
 */

static struct bound_place bind(const struct block_place *place, const struct block_header *block)
{
    struct bound_place bound = {.node = place->segment->node,
                                .offset = place->offset,
                                .shard = place->segment->shard,
                                .segment = place->segment->number,
                                .block = *block};
    bound.block.check = 0;
    return bound;
}

/* Without the tag before: a witness is looked for where that is not known. */
static uint64_t header_check(const struct block_place *place, const struct block_header *block)
{
    struct bound_place bound = bind(place, block);
    return hash_sip64(&place->key->check, &bound, sizeof(bound));
}

static struct bound_place payload_aad(const struct block_place *place, const struct block_header *block)
{
    struct bound_place bound = bind(place, block);
    memset(bound.block.tag, 0, sizeof(bound.block.tag));
    memcpy(bound.tag_before, place->tag_before, sizeof(bound.tag_before));
    return bound;
}

void journal__seal_block(const struct block_place *place, struct block_header *block)
{
    ensure(block->length % JOURNAL_ALIGN == 0 && place->offset % JOURNAL_ALIGN == 0);
    ensure(place->offset >= SEGMENT_HEADER_BYTES && block->number > 0);
    block->magic = BLOCK_MAGIC;
    struct bound_place aad = payload_aad(place, block);
    const struct cipher_message message = {.counter = block->number,
                                           .aad = &aad,
                                           .aad_size = sizeof(aad),
                                           .data = block + 1,
                                           .size = block->length};
    cipher_seal(place->key->cipher, &message, block->tag);
    block->check = header_check(place, block);
}

bool journal__block_header_is_good(const struct block_place *place, uint64_t room,
                                   const struct block_header *block)
{
    if (room < sizeof(*block) || block->magic != BLOCK_MAGIC)
        return false;
    if (block->length % JOURNAL_ALIGN != 0 || block->length > room - sizeof(*block))
        return false;
    return block->check == header_check(place, block);
}

bool journal__open_payload(const struct block_place *place, const struct block_header *block, void *payload)
{
    struct bound_place aad = payload_aad(place, block);
    const struct cipher_message message = {.counter = block->number,
                                           .aad = &aad,
                                           .aad_size = sizeof(aad),
                                           .data = payload,
                                           .size = block->length};
    return cipher_unseal(place->key->cipher, &message, block->tag) == OK;
}

bool journal__record_is_good(const void *payload, uint64_t length, uint64_t at)
{
    struct record_header record;
    if (at % JOURNAL_ALIGN != 0 || at + sizeof(record) > length)
        return false;
    memcpy(&record, (const char *)payload + at, sizeof(record));
    bool fits = journal__align(record.size) <= length - at - sizeof(record);
    return fits && record.type >= RECORD_TICK && record.type < RECORD_TYPES_END;
}
