/* journal_format: encodes and checks the headers of the journal. The one place that computes a checksum of
 * it. */
#include "storage/journal_format.h"

#include <string.h>
#include <xxhash.h>

#include "storage/journal.h"

static const char segment_magic[8] = {'V', 'I', 'G', 'I', 'E', 'W', 'A', 'L'};

static uint64_t segment_digest(const struct segment_header *header)
{
    struct segment_header copy = *header;
    copy.check = 0;
    return XXH3_64bits(&copy, sizeof(copy));
}

void journal__seal_segment(struct segment_header *header)
{
    ensure(header->number > 0);
    ensure(header->durable <= header->previous_end);
    memcpy(header->magic, segment_magic, sizeof(segment_magic));
    header->format = SEGMENT_FORMAT;
    header->header_bytes = SEGMENT_HEADER_BYTES;
    header->check = segment_digest(header);
}

enum err journal__check_segment(const struct segment_header *header, uint32_t number)
{
    if (memcmp(header->magic, segment_magic, sizeof(segment_magic)) != 0 ||
        header->check != segment_digest(header))
        return ERR_CORRUPT;
    if (header->format != SEGMENT_FORMAT || header->header_bytes != SEGMENT_HEADER_BYTES)
        return ERR_FORMAT;
    bool follows = header->durable <= header->previous_end && position_segment(header->previous_end) < number;
    return header->number == number && follows ? OK : ERR_CORRUPT;
}

/* Bytes are good at one place of one segment only. */
static uint64_t place_seed(const struct segment_header *segment, uint64_t offset)
{
    return XXH3_64bits_withSeed(segment->nonce, sizeof(segment->nonce), offset);
}

static uint64_t header_digest(const struct segment_header *segment, uint64_t offset,
                              const struct block_header *block)
{
    struct block_header copy = *block;
    copy.header_check = 0;
    return XXH3_64bits_withSeed(&copy, sizeof(copy), place_seed(segment, offset));
}

static uint64_t payload_digest(const struct segment_header *segment, uint64_t offset, const void *payload,
                               size_t size)
{
    return XXH3_64bits_withSeed(payload, size, ~place_seed(segment, offset));
}

void journal__seal_block(const struct segment_header *segment, uint64_t offset, struct block_header *block)
{
    ensure(block->length % JOURNAL_ALIGN == 0 && offset % JOURNAL_ALIGN == 0);
    ensure(offset >= SEGMENT_HEADER_BYTES);
    block->magic = BLOCK_MAGIC;
    block->payload_check = payload_digest(segment, offset, block + 1, block->length);
    block->header_check = header_digest(segment, offset, block);
}

bool journal__block_header_is_good(const struct segment_header *segment, uint64_t offset, uint64_t room,
                                   const struct block_header *block)
{
    if (room < sizeof(*block) || block->magic != BLOCK_MAGIC)
        return false;
    if (block->length % JOURNAL_ALIGN != 0 || block->length > room - sizeof(*block))
        return false;
    return block->header_check == header_digest(segment, offset, block);
}

bool journal__payload_is_good(const struct segment_header *segment, uint64_t offset,
                              const struct block_header *block, const void *payload)
{
    return block->payload_check == payload_digest(segment, offset, payload, block->length);
}

bool journal__record_is_good(const void *payload, uint64_t length, uint64_t at)
{
    struct record_header record;
    if (at % JOURNAL_ALIGN != 0 || at + sizeof(record) > length)
        return false;
    memcpy(&record, (const char *)payload + at, sizeof(record));
    bool fits = journal__align(record.size) <= length - at - sizeof(record);
    return fits && record.type >= RECORD_TICK && record.type <= RECORD_REJECTED;
}
