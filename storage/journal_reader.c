/* journal_reader: a cursor over the chain of segments.
 * It never looks at or behind `durable`, so it never meets a turn that is being written; of closed segments
 * it reads up to the end that the successor states, so it never meets a turn that recovery cut. Every block
 * header that it passes and every payload that it opens is checked again: rot is an error here, never a wrong
 * record. Payloads are decrypted in the window; only what was asked for is. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/buffer.h"
#include "daemon/base/log.h"
#include "storage/journal.h"
#include "storage/journal_segments.h"

enum { WINDOW_BYTES = 512 << 10 }; /* a full block and more */

struct journal_reader {
    char directory[SEGMENT_PATH_MAX];
    const struct cipher_keys *keys;
    struct journal_chain chain;    /* as of the last look; grown when the reader comes to its end */
    size_t link;                   /* of the segment being read */
    int fd;                        /* of that segment, -1: not open */
    struct segment_key key;        /* of that segment while it is open */
    uint32_t blocks;               /* of that segment, passed */
    uint8_t tag[CIPHER_TAG_BYTES]; /* of the last of them, or of the segment header */
    uint64_t from;                 /* records before this position are passed over */

    uint64_t boundary;         /* offset of the next block */
    uint64_t record, open_end; /* offsets: next record, end of the open block; equal: no block is open */
    bool counted;              /* records and events are known */
    uint64_t records, events;  /* of the journal before the reader */

    struct buffer window; /* bytes of the segment from window_at on; never any at or behind a limit */
    uint64_t window_at;
};

static const struct chain_link *link_now(const struct journal_reader *reader)
{
    return &reader->chain.links[reader->link];
}

static enum err report_damage(const struct journal_reader *reader, const char *what, uint64_t offset)
{
    log_write(LOG_ERROR, "journal",
              "%s file=%s/%08" PRIx32 ".wal offset=%" PRIu64
              " hint=\"restore the file; vigiectl journal verify shows all of it\"",
              what, reader->directory, link_now(reader)->header.number, offset);
    return ERR_CORRUPT;
}

/* --- segments ---------------------------------------------------------------------------------------------
 */

static void close_file(struct journal_reader *reader)
{
    if (reader->fd < 0)
        return;
    close(reader->fd);
    journal__key_close(&reader->key);
    reader->fd = -1;
}

static void enter_link(struct journal_reader *reader, size_t link)
{
    close_file(reader);
    reader->link = link;
    reader->blocks = 0;
    reader->boundary = reader->record = reader->open_end = SEGMENT_HEADER_BYTES;
    buffer_clear(&reader->window);
    reader->window_at = 0;
    if (link >= reader->chain.count)
        return;
    memcpy(reader->tag, link_now(reader)->header.tag, sizeof(reader->tag));
    if (link_now(reader)->header.durable != link_now(reader)->header.previous_end)
        return;
    reader->counted = true; /* no turn goes on here: the header counts what is before it */
    reader->records = link_now(reader)->header.records;
    reader->events = link_now(reader)->header.events;
}

/* The segment being read was trimmed: no loss to a reader that stands at the end of all that was. */
static enum err leave_trimmed(struct journal_reader *reader, struct journal_chain *chain)
{
    uint64_t here = position_make(link_now(reader)->header.number, reader->boundary);
    if (here < chain->links[0].header.previous_end) {
        journal__chain_free(chain);
        return ERR_NOT_FOUND;
    }
    journal__chain_free(&reader->chain);
    reader->chain = *chain;
    enter_link(reader, 0);
    return OK;
}

/* Looks at the directory again; the segment being read must still be on the chain, or have been trimmed. */
static enum err refresh_chain(struct journal_reader *reader)
{
    struct journal_chain chain;
    uint32_t number = reader->chain.count > 0 ? link_now(reader)->header.number : 0;
    enum err error = journal__chain_load(reader->directory, reader->keys, &chain);
    if (error != OK)
        return error;
    if (number != 0 && chain.count > 0 && number < chain.links[0].header.number)
        return leave_trimmed(reader, &chain);
    size_t link = 0;
    while (link < chain.count && chain.links[link].header.number < number)
        link++;
    if (number != 0 && (link == chain.count || chain.links[link].header.number != number)) {
        journal__chain_free(&chain);
        return report_damage(reader, "segment is not on the chain any more", 0);
    }
    journal__chain_free(&reader->chain);
    reader->chain = chain;
    reader->link = link;
    return OK;
}

static enum err open_file(struct journal_reader *reader)
{
    char path[SEGMENT_PATH_MAX];
    const struct segment_header *header = &link_now(reader)->header;
    struct trim_mark mark;
    if (reader->fd >= 0)
        return OK;
    journal__path(reader->directory, header->number, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT)
        return err_from_errno(errno);
    if (fd < 0) {
        enum err error = journal__trim_mark_load(reader->directory, reader->keys, &mark);
        if (error != OK || header->number < mark.first)
            return error != OK ? error : ERR_NOT_FOUND;
        return report_damage(reader, "segment is missing", 0);
    }
    enum err error = journal__key_open(reader->keys, header->key_id, header->salt, &reader->key);
    if (error != OK) {
        close(fd);
        return error;
    }
    reader->fd = fd;
    return OK;
}

/* Up to where the segment may be read; moves to the next one at its end. ERR_EMPTY: all was given. */
static enum err find_limit(struct journal_reader *reader, uint64_t durable, uint64_t *ret_limit)
{
    for (;;) {
        bool known = reader->link < reader->chain.count;
        uint32_t number = known ? link_now(reader)->header.number : 0;
        if (known && position_make(number, reader->boundary) >= durable)
            return ERR_EMPTY;
        if (number == position_segment(durable)) {
            *ret_limit = position_offset(durable);
            return known ? open_file(reader) : ERR_EMPTY;
        }
        if (reader->link + 1 >= reader->chain.count) {
            enum err error = refresh_chain(reader);
            if (error != OK)
                return error;
            if (known && link_now(reader)->header.number != number)
                continue; /* what it stood in was trimmed behind it */
            if (reader->link + (known ? 1 : 0) >= reader->chain.count)
                return known ? report_damage(reader, "no segment follows", reader->boundary) : ERR_EMPTY;
            if (!known)
                enter_link(reader, 0);
        } else if (reader->boundary < link_now(reader)->end) {
            *ret_limit = link_now(reader)->end;
            return open_file(reader);
        } else {
            enter_link(reader, reader->link + 1);
        }
    }
}

/* --- blocks -----------------------------------------------------------------------------------------------
 */

/* Bytes [offset, offset + size) of the segment; the caller knows that they lie before `limit`. */
static enum err look(struct journal_reader *reader, uint64_t offset, uint64_t size, uint64_t limit,
                     uint8_t **ret_bytes)
{
    struct buffer *window = &reader->window;
    bool held = offset >= reader->window_at && offset + size <= reader->window_at + window->size;
    if (!held) {
        uint64_t want = size > WINDOW_BYTES ? size : WINDOW_BYTES;
        if (want > limit - offset)
            want = limit - offset;
        buffer_clear(window);
        char *into = buffer_reserve(window, want);
        enum err error = journal__read_at(reader->fd, into, want, offset);
        if (error != OK)
            return error == ERR_CORRUPT ? report_damage(reader, "segment ends too early", offset) : error;
        window->size = want;
        reader->window_at = offset;
    }
    *ret_bytes = (uint8_t *)window->data + (offset - reader->window_at);
    return OK;
}

static struct block_place place_now(const struct journal_reader *reader)
{
    return (struct block_place){.segment = &link_now(reader)->header,
                                .key = &reader->key,
                                .offset = reader->boundary,
                                .tag_before = reader->tag};
}

static enum err read_block_header(struct journal_reader *reader, uint64_t limit,
                                  struct block_header *ret_block)
{
    uint8_t *bytes;
    if (limit - reader->boundary < sizeof(*ret_block))
        return report_damage(reader, "block passes the end of the data", reader->boundary);
    enum err error = look(reader, reader->boundary, sizeof(*ret_block), limit, &bytes);
    if (error != OK)
        return error;
    memcpy(ret_block, bytes, sizeof(*ret_block));
    struct block_place place = place_now(reader);
    if (!journal__block_header_is_good(&place, limit - reader->boundary, ret_block))
        return report_damage(reader, "block header is damaged", reader->boundary);
    bool follows = ret_block->records_before == reader->records && ret_block->events_before == reader->events;
    if (ret_block->number != reader->blocks + 1 || (reader->counted && !follows))
        return report_damage(reader, "block does not follow on", reader->boundary);
    reader->counted = true;
    reader->records = ret_block->records_before;
    reader->events = ret_block->events_before;
    return OK;
}

static void pass_block(struct journal_reader *reader, const struct block_header *block)
{
    reader->boundary += sizeof(*block) + block->length;
    reader->blocks++;
    memcpy(reader->tag, block->tag, sizeof(reader->tag));
}

/* Opens the next block, or passes over it unopened when nothing in it is wanted. */
static enum err next_block(struct journal_reader *reader, uint64_t durable, bool events_only)
{
    struct block_header block;
    uint8_t *bytes;
    uint64_t limit;
    enum err error = find_limit(reader, durable, &limit);
    if (error == OK)
        error = read_block_header(reader, limit, &block);
    if (error != OK)
        return error;
    uint64_t begin = reader->boundary + sizeof(block), end = begin + block.length;
    uint32_t number = link_now(reader)->header.number;
    if (position_make(number, end) <= reader->from || (events_only && block.events == 0)) {
        reader->records += block.records;
        reader->events += block.events;
        pass_block(reader, &block);
        reader->record = reader->open_end = end;
        return OK;
    }
    error = look(reader, reader->boundary, sizeof(block) + block.length, limit, &bytes);
    if (error != OK)
        return error;
    struct block_place place = place_now(reader);
    if (!journal__open_payload(&place, &block, bytes + sizeof(block)))
        return report_damage(reader, "block is damaged", reader->boundary);
    pass_block(reader, &block);
    reader->record = begin;
    reader->open_end = end;
    return OK;
}

/* --- records ----------------------------------------------------------------------------------------------
 */

static enum err take_record(struct journal_reader *reader, struct record *ret_record)
{
    const uint8_t *bytes = (const uint8_t *)reader->window.data + (reader->record - reader->window_at);
    if (!journal__record_is_good(bytes, reader->open_end - reader->record, 0))
        return report_damage(reader, "record is malformed", reader->record);
    struct record_header header;
    memcpy(&header, bytes, sizeof(header));
    *ret_record = (struct record){
        .type = header.type,
        .position = position_make(link_now(reader)->header.number, reader->record),
        .data = bytes + sizeof(header),
        .size = header.size,
    };
    reader->record += sizeof(header) + journal__align(header.size);
    reader->records++;
    reader->events += header.type == RECORD_EVENT;
    return OK;
}

static enum err next(struct journal_reader *reader, uint64_t durable, bool events_only,
                     struct record *ret_record)
{
    struct record record;
    for (;;) {
        bool none_open = reader->record == reader->open_end;
        enum err error = none_open ? next_block(reader, durable, events_only) : take_record(reader, &record);
        if (error != OK)
            return error;
        if (none_open || record.position < reader->from || (events_only && record.type != RECORD_EVENT))
            continue;
        *ret_record = record;
        return OK;
    }
}

enum err journal_reader_next(struct journal_reader *reader, uint64_t durable, struct record *ret_record)
{
    return next(reader, durable, false, ret_record);
}

enum err journal_reader_next_event(struct journal_reader *reader, uint64_t durable, struct record *ret_record)
{
    return next(reader, durable, true, ret_record);
}

uint64_t journal_reader_position(const struct journal_reader *reader)
{
    if (reader->link >= reader->chain.count)
        return reader->from;
    uint64_t here = position_make(link_now(reader)->header.number, reader->record);
    return here > reader->from ? here : reader->from;
}

uint64_t journal_reader_count(const struct journal_reader *reader, uint64_t *ret_events)
{
    *ret_events = reader->events;
    return reader->records;
}

/* --- open and close ---------------------------------------------------------------------------------------
 */

/* The segment of `from`; when recovery cut it off, the first one after it; beyond them all, the newest. */
static size_t find_link(const struct journal_chain *chain, uint64_t from)
{
    size_t link = 0;
    while (link + 1 < chain->count && chain->links[link].header.number < position_segment(from))
        link++;
    return link;
}

enum err journal_reader_open(const char *directory, const struct cipher_keys *keys, uint64_t position,
                             struct journal_reader **ret_reader)
{
    struct journal_reader *reader = calloc(1, sizeof(*reader));
    ensure(reader != NULL);
    journal__path_of(directory, "", reader->directory);
    reader->directory[strlen(reader->directory) - 1] = '\0';
    reader->keys = keys;
    reader->fd = -1;
    reader->from = position;
    enum err error = journal__chain_load(directory, keys, &reader->chain);
    /* At the very end of what is gone, all that follows is here. */
    if (error == OK && position != 0 && reader->chain.count > 0 &&
        position < reader->chain.links[0].header.previous_end)
        error = ERR_NOT_FOUND;
    if (error != OK) {
        journal_reader_close(reader);
        return error;
    }
    enter_link(reader, find_link(&reader->chain, position));
    *ret_reader = reader;
    return OK;
}

void journal_reader_close(struct journal_reader *reader)
{
    if (reader == NULL)
        return;
    close_file(reader);
    journal__chain_free(&reader->chain);
    buffer_deinit(&reader->window);
    free(reader);
}
