/* journal_writer: builds a turn in memory as the bytes that will lie on the disk, then writes and syncs it.
 *
 *   turn buffer:  | block | block | ... | block | block |
 *   pieces:       '--- rest of segment n --'-- n + 1 ---'
 *
 * Where each record will lie is known when it is appended, because a turn that passes the end of its segment
 * goes on in the next one, whose number is known before it exists. Only what depends on the segment's keys,
 * encryption and checks, waits for the commit, which seals the blocks where they lie: the buffer is built
 * anew for each turn. After warm-up nothing here allocates: buffer and pieces keep what they grew to, the
 * keys of the next segment come with its file. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/buffer.h"
#include "daemon/base/file.h"
#include "daemon/base/instant.h"
#include "daemon/base/log.h"
#include "storage/journal_recovery.h"
#include "storage/journal_spare.h"
#include "storage/journal_trim.h"

/* The part of a turn that lies in one segment. */
struct piece {
    uint32_t number;
    uint64_t offset;   /* of its first byte in the segment */
    uint64_t capacity; /* bytes of the segment file */
    size_t start;      /* in the turn buffer */
};

struct journal {
    /* constant */
    char directory[SEGMENT_PATH_MAX];
    uint64_t segment_bytes, low_water_bytes;
    const struct cipher_keys *keys;
    struct journal_spare *spare;

    /* writer */
    int fd;
    struct segment_header segment; /* the one being written */
    struct segment_key key;        /* of it */
    uint32_t blocks;               /* in it: the nonces that are used up */
    uint8_t tag[CIPHER_TAG_BYTES]; /* of its last block, or of its header */
    uint64_t end;                  /* offset behind what was written to it */
    int64_t tick_ms;               /* engine time of the open turn, or of the last one */
    struct buffer turn;
    struct piece *pieces;
    size_t pieces_count, pieces_capacity;
    size_t block_start; /* in the turn buffer, of the open block */
    bool block_open;
    uint64_t turn_records, turn_events; /* in the closed blocks of the turn */
    uint64_t records, events;           /* durable, of the whole journal */
    enum err failed;                    /* latched: PITFALLS F1 */

    /* others read: the partner of each is journal_durable() or journal_figures() */
    _Alignas(64) _Atomic uint64_t durable;
    _Atomic uint64_t oldest, segments, bytes, syncs, turns, records_seen, events_seen;
};

static void bump(_Atomic uint64_t *figure, uint64_t amount)
{
    atomic_fetch_add_explicit(figure, amount, memory_order_relaxed);
}

/* --- segments ---------------------------------------------------------------------------------------------
 */

/* What the helper did not prepare: too long a record for a segment, or the helper is behind. */
static enum err make_inline(struct journal *journal, uint32_t number, uint64_t bytes,
                            struct fresh_key *ret_fresh)
{
    char path[SEGMENT_PATH_MAX], making[SEGMENT_PATH_MAX];
    journal__path_of(journal->directory, "inline.tmp", making);
    journal__path(journal->directory, number, path);
    enum err error = journal__make_zeros(making, bytes);
    if (error != OK)
        return error;
    if (rename(making, path) != 0)
        return err_from_errno(errno);
    return journal__key_make(journal->keys, ret_fresh);
}

/* The next segment under its number, zeros, at least `bytes` long, its name durable, and its keys. Too short
 * a spare is left alone. */
static enum err name_segment(struct journal *journal, uint32_t number, uint64_t bytes,
                             struct fresh_key *ret_fresh)
{
    if (bytes > journal->segment_bytes || !journal__spare_take(journal->spare, number, ret_fresh)) {
        enum err error = make_inline(journal, number, bytes, ret_fresh);
        if (error != OK)
            return error;
    }
    enum err error = file_sync_directory(journal->directory);
    if (error != OK)
        journal__key_close(&ret_fresh->key);
    return error;
}

/* The header is durable before the first block: journal_format.h, crash argument (2). */
static enum err write_segment_header(int fd, const struct segment_header *header)
{
    enum err error = journal__write_at(fd, header, sizeof(*header), 0);
    if (error == OK && fdatasync(fd) != 0)
        error = err_from_errno(errno);
    return error;
}

static struct segment_header plan_header(const struct journal *journal, uint32_t number, uint64_t bytes,
                                         uint64_t previous_end)
{
    struct segment_header header = journal->segment;
    header.number = number;
    header.previous_end = previous_end;
    header.durable = atomic_load_explicit(&journal->durable, memory_order_relaxed);
    header.records = journal->records;
    header.events = journal->events;
    header.file_bytes = bytes;
    header.started_ms = journal->tick_ms;
    return header;
}

static enum err open_segment(struct journal *journal, const struct segment_header *header, int *ret_fd)
{
    char path[SEGMENT_PATH_MAX];
    journal__path(journal->directory, header->number, path);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    enum err error = write_segment_header(fd, header);
    if (error == OK)
        *ret_fd = fd;
    else
        close(fd);
    return error;
}

static enum err start_segment(struct journal *journal, uint32_t number, uint64_t bytes, uint64_t previous_end)
{
    struct segment_header header = plan_header(journal, number, bytes, previous_end);
    struct fresh_key fresh;
    int fd;
    enum err error = name_segment(journal, number, bytes, &fresh);
    if (error != OK)
        return error;
    header.key_id = fresh.key_id;
    memcpy(header.salt, fresh.salt, sizeof(header.salt));
    journal__seal_segment(&fresh.key, &header);
    error = open_segment(journal, &header, &fd);
    if (error != OK) {
        journal__key_close(&fresh.key);
        return error;
    }
    if (journal->fd >= 0)
        close(journal->fd);
    journal__spare_retire(journal->spare, &journal->key);
    journal->fd = fd;
    journal->key = fresh.key;
    journal->segment = header;
    journal->blocks = 0;
    memcpy(journal->tag, header.tag, sizeof(journal->tag));
    journal->end = SEGMENT_HEADER_BYTES;
    bump(&journal->segments, 1);
    bump(&journal->bytes, bytes);
    bump(&journal->syncs, 1);
    return OK;
}

/* --- building a turn --------------------------------------------------------------------------------------
 */

static struct piece *last_piece(struct journal *journal)
{
    return &journal->pieces[journal->pieces_count - 1];
}

static void add_piece(struct journal *journal, uint32_t number, uint64_t offset, uint64_t capacity)
{
    if (journal->pieces_count == journal->pieces_capacity) {
        journal->pieces_capacity = journal->pieces_capacity * 2 + 16;
        journal->pieces = realloc(journal->pieces, journal->pieces_capacity * sizeof(*journal->pieces));
        ensure(journal->pieces != NULL);
    }
    journal->pieces[journal->pieces_count++] =
        (struct piece){.number = number, .offset = offset, .capacity = capacity, .start = journal->turn.size};
}

/* Offset in its segment of what is appended next. */
static uint64_t next_offset(struct journal *journal)
{
    const struct piece *piece = last_piece(journal);
    return piece->offset + (journal->turn.size - piece->start);
}

static struct block_header *open_block_header(struct journal *journal)
{
    return (struct block_header *)(void *)(journal->turn.data + journal->block_start);
}

static void close_block(struct journal *journal, uint32_t flags)
{
    struct block_header *block = open_block_header(journal);
    ensure(journal->block_open && block->records > 0);
    block->length = (uint32_t)(journal->turn.size - journal->block_start - sizeof(*block));
    block->flags |= flags;
    journal->turn_records += block->records;
    journal->turn_events += block->events;
    journal->block_open = false;
}

/* A block with room for `size` bytes: in this segment, or at the beginning of the next. */
static void open_block(struct journal *journal, uint64_t size)
{
    bool first = journal->turn.size == 0;
    uint64_t need = sizeof(struct block_header) + size;
    if (first)
        add_piece(journal, journal->segment.number, journal->end, journal->segment.file_bytes);
    if (next_offset(journal) + need > last_piece(journal)->capacity) {
        uint64_t bytes = SEGMENT_HEADER_BYTES + need;
        ensure(bytes <= SEGMENT_BYTES_MAX);
        uint32_t number = last_piece(journal)->number + 1;
        if (first) /* nothing of this turn fits in the old segment */
            journal->pieces_count = 0;
        add_piece(journal, number, SEGMENT_HEADER_BYTES,
                  bytes > journal->segment_bytes ? bytes : journal->segment_bytes);
    }
    journal->block_start = journal->turn.size;
    struct block_header block = {.records_before = journal->records + journal->turn_records,
                                 .events_before = journal->events + journal->turn_events,
                                 .flags = first ? BLOCK_TURN_START : 0};
    buffer_append(&journal->turn, &block, sizeof(block));
    journal->block_open = true;
}

static bool block_has_room(struct journal *journal, uint64_t size)
{
    if (!journal->block_open)
        return false;
    uint64_t length = journal->turn.size - journal->block_start - sizeof(struct block_header);
    return length + size <= BLOCK_PAYLOAD_MAX && next_offset(journal) + size <= last_piece(journal)->capacity;
}

uint64_t journal_append(struct journal *journal, enum record_type type, const struct journal_bytes *parts,
                        unsigned parts_count)
{
    struct record_header record = {.type = (uint8_t)type};
    ensure(type >= RECORD_TICK && type < RECORD_TYPES_END);
    for (unsigned index = 0; index < parts_count; index++)
        record.size += parts[index].size;
    if (type == RECORD_TICK && parts_count == 1 && parts[0].size == sizeof(struct record_tick))
        memcpy(&journal->tick_ms, parts[0].data, sizeof(journal->tick_ms));
    ensure(record.size <= JOURNAL_TURN_BYTES_MAX);
    uint64_t size = sizeof(record) + journal__align(record.size);
    if (!block_has_room(journal, size)) {
        if (journal->block_open)
            close_block(journal, 0);
        open_block(journal, size);
    }
    uint64_t position = position_make(last_piece(journal)->number, next_offset(journal));
    char *into = buffer_reserve(&journal->turn, size);
    memcpy(into, &record, sizeof(record));
    into += sizeof(record);
    for (unsigned index = 0; index < parts_count; index++) {
        if (parts[index].size > 0)
            memcpy(into, parts[index].data, parts[index].size);
        into += parts[index].size;
    }
    memset(into, 0, journal__align(record.size) - record.size);
    journal->turn.size += size;
    open_block_header(journal)->records++;
    open_block_header(journal)->events += type == RECORD_EVENT;
    return position;
}

bool journal_turn_is_empty(const struct journal *journal)
{
    return journal->turn.size == 0;
}

uint64_t journal_turn_bytes(const struct journal *journal)
{
    return journal->turn.size;
}

/* --- commit -----------------------------------------------------------------------------------------------
 */

static void seal_block(struct journal *journal, struct block_header *block, uint64_t offset)
{
    struct block_place place = {
        .segment = &journal->segment, .key = &journal->key, .offset = offset, .tag_before = journal->tag};
    block->durable = atomic_load_explicit(&journal->durable, memory_order_relaxed);
    block->number = ++journal->blocks; /* used up, whatever becomes of the write */
    journal__seal_block(&place, block);
    memcpy(journal->tag, block->tag, sizeof(journal->tag));
}

static void seal_blocks(struct journal *journal, const struct piece *piece, size_t size)
{
    for (size_t at = 0; at < size;) {
        struct block_header *block = (struct block_header *)(void *)(journal->turn.data + piece->start + at);
        seal_block(journal, block, piece->offset + at);
        at += sizeof(*block) + block->length;
    }
}

static enum err write_piece(struct journal *journal, size_t index)
{
    const struct piece *piece = &journal->pieces[index];
    size_t stop = index + 1 < journal->pieces_count ? journal->pieces[index + 1].start : journal->turn.size;
    size_t size = stop - piece->start;
    if (piece->number != journal->segment.number) {
        uint64_t previous_end = position_make(journal->segment.number, journal->end);
        enum err error = start_segment(journal, piece->number, piece->capacity, previous_end);
        if (error != OK)
            return error;
    }
    ensure(piece->offset == journal->end && piece->offset + size <= journal->segment.file_bytes);
    seal_blocks(journal, piece, size);
    enum err error = journal__write_at(journal->fd, journal->turn.data + piece->start, size, piece->offset);
    if (error == OK && fdatasync(journal->fd) != 0)
        error = err_from_errno(errno);
    journal->end += size;
    bump(&journal->syncs, 1);
    journal__spare_note(journal->spare, size);
    return error;
}

static void publish_turn(struct journal *journal)
{
    journal->records += journal->turn_records;
    journal->events += journal->turn_events;
    bump(&journal->turns, 1);
    atomic_store_explicit(&journal->records_seen, journal->records, memory_order_relaxed);
    atomic_store_explicit(&journal->events_seen, journal->events, memory_order_relaxed);
    /* Release: pairs with journal_durable(); whoever sees the position finds the bytes. */
    uint64_t durable = position_make(journal->segment.number, journal->end);
    ensure(durable > atomic_load_explicit(&journal->durable, memory_order_relaxed));
    atomic_store_explicit(&journal->durable, durable, memory_order_release);
    buffer_clear(&journal->turn);
    journal->pieces_count = 0;
    journal->turn_records = journal->turn_events = 0;
}

enum err journal_commit(struct journal *journal)
{
    if (journal->failed != OK || journal_turn_is_empty(journal))
        return journal->failed;
    close_block(journal, BLOCK_TURN_END);
    enum err error = OK;
    for (size_t index = 0; error == OK && index < journal->pieces_count; index++)
        error = write_piece(journal, index);
    if (error == OK) {
        publish_turn(journal);
        return OK;
    }
    journal->failed = error;
    log_write(LOG_ERROR, "journal",
              "cannot write or sync a turn file=%s/%08" PRIx32 ".wal offset=%" PRIu64
              " error=%s hint=\"nothing of it was acknowledged; check the disk, then restart\"",
              journal->directory, journal->segment.number, journal->end, err_name(error));
    return error;
}

const struct cipher_keys *journal_keys(const struct journal *journal)
{
    return journal->keys;
}

uint64_t journal_durable(const struct journal *journal)
{
    return atomic_load_explicit(&journal->durable, memory_order_acquire);
}

bool journal_accepting(struct journal *journal)
{
    return journal->failed == OK && journal__spare_is_fed(journal->spare) &&
           journal__spare_free_bytes(journal->spare) >= journal->low_water_bytes;
}

void journal_figures(const struct journal *journal, struct journal_figures *ret)
{
    struct spare_disk disk;
    journal__spare_disk(journal->spare, &disk);
    *ret = (struct journal_figures){
        .oldest = atomic_load_explicit(&journal->oldest, memory_order_relaxed),
        .durable = journal_durable(journal),
        .segments = atomic_load_explicit(&journal->segments, memory_order_relaxed),
        .bytes = atomic_load_explicit(&journal->bytes, memory_order_relaxed),
        .free_bytes = disk.free_bytes,
        .disk_bytes = disk.disk_bytes,
        .bytes_per_hour = disk.bytes_per_hour,
        .syncs = atomic_load_explicit(&journal->syncs, memory_order_relaxed),
        .turns = atomic_load_explicit(&journal->turns, memory_order_relaxed),
        .records = atomic_load_explicit(&journal->records_seen, memory_order_relaxed),
        .events = atomic_load_explicit(&journal->events_seen, memory_order_relaxed),
    };
}

/* --- trim -------------------------------------------------------------------------------------------------
 */

enum err journal_trim(struct journal *journal, uint64_t position)
{
    struct journal_trimmed trimmed;
    uint64_t durable = journal_durable(journal);
    enum err error =
        journal__trim(journal->directory, journal->keys, position < durable ? position : durable, &trimmed);
    atomic_fetch_sub_explicit(&journal->segments, trimmed.segments, memory_order_relaxed);
    atomic_fetch_sub_explicit(&journal->bytes, trimmed.bytes, memory_order_relaxed);
    if (trimmed.first > 0)
        atomic_store_explicit(&journal->oldest, position_make(trimmed.first, SEGMENT_HEADER_BYTES),
                              memory_order_relaxed);
    return error;
}

enum err journal_position_before(const struct journal *journal, int64_t engine_ms, uint64_t *ret_position)
{
    return journal__position_before(journal->directory, journal->keys, engine_ms, ret_position);
}

/* --- open and close ---------------------------------------------------------------------------------------
 */

/* Makes each missing folder of the path, and its name durable. */
static enum err make_directories(const char *directory)
{
    char path[SEGMENT_PATH_MAX], parent[SEGMENT_PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/", directory);
    ensure(length < (int)sizeof(path));
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0700) == 0) {
            const char *cut = strrchr(path, '/');
            int keep = cut == NULL || cut == path ? 1 : (int)(cut - path);
            snprintf(parent, sizeof(parent), "%.*s", keep, cut == NULL ? "." : path);
            enum err error = file_sync_directory(parent);
            if (error != OK)
                return error;
        } else if (errno != EEXIST) {
            return err_from_errno(errno);
        }
        *slash = '/';
    }
    return OK;
}

static struct journal *new_journal(const struct journal_options *options)
{
    struct journal *journal = aligned_alloc(_Alignof(struct journal), sizeof(*journal));
    ensure(journal != NULL);
    memset(journal, 0, sizeof(*journal));
    journal->fd = -1;
    journal->keys = options->keys;
    journal->tick_ms = INSTANT_NONE;
    snprintf(journal->directory, sizeof(journal->directory), "%s", options->directory);
    journal->segment_bytes = journal__align(options->segment_bytes);
    if (journal->segment_bytes < SEGMENT_BYTES_MIN)
        journal->segment_bytes = SEGMENT_BYTES_MIN;
    if (journal->segment_bytes > SEGMENT_BYTES_MAX)
        journal->segment_bytes = SEGMENT_BYTES_MAX;
    journal->low_water_bytes = options->low_water_bytes;
    journal->segment.node = options->node;
    journal->segment.shard = options->shard;
    snprintf(journal->segment.engine, sizeof(journal->segment.engine), "%s", VIGIE_VERSION);
    return journal;
}

/* Positions of a turn that never reached the disk were given out too, in segments that were never made: a
 * start leaves out as many numbers as one turn can plan ahead. Above every position that a sink holds, too:
 * should this disk have lost the end of the journal, what the sink has is never named again (PITFALLS F6). */
static uint32_t next_number(const struct journal *journal, uint32_t number_max, uint64_t position_min)
{
    uint64_t ahead = 2 + UINT64_C(2) * JOURNAL_TURN_BYTES_MAX / journal->segment_bytes;
    uint32_t known = position_segment(position_min);
    if (known > number_max)
        number_max = known;
    ensure(number_max < UINT32_MAX - ahead);
    return number_max == 0 ? 1 : number_max + (uint32_t)ahead;
}

static void take_over(struct journal *journal, const struct journal_recovered *recovered)
{
    journal->records = recovered->records;
    journal->events = recovered->events;
    journal->tick_ms = recovered->tick_ms;
    atomic_store(&journal->durable, recovered->end);
    atomic_store(&journal->records_seen, recovered->records);
    atomic_store(&journal->events_seen, recovered->events);
    atomic_store(&journal->segments, recovered->chain.count);
    for (size_t index = 0; index < recovered->chain.count; index++) {
        const struct chain_link *link = &recovered->chain.links[index];
        bump(&journal->bytes, index + 1 < recovered->chain.count ? link->file_bytes : link->end);
    }
}

enum err journal_open(const struct journal_options *options, struct journal **ret_journal)
{
    struct journal_recovered recovered = {0};
    ensure(options->keys != NULL && options->keys->count > 0);
    struct journal *journal = new_journal(options);
    char leftover[SEGMENT_PATH_MAX];
    journal__path_of(options->directory, "inline.tmp", leftover);
    enum err error = make_directories(options->directory);
    if (error == OK)
        error = journal__recover(options, &recovered);
    if (error != OK)
        goto fail_close;
    unlink(leftover);
    error = journal__spare_start(options->directory, options->keys, journal->segment_bytes, &journal->spare);
    if (error != OK)
        goto fail_close;
    take_over(journal, &recovered);
    uint32_t number = next_number(journal, recovered.chain.number_max, options->position_min);
    error = start_segment(journal, number, journal->segment_bytes, recovered.end);
    if (error != OK)
        goto fail_close;
    journal__discard_tail(options->directory, &recovered);
    uint32_t oldest = recovered.chain.count > 0 ? recovered.chain.links[0].header.number : number;
    atomic_store(&journal->oldest, position_make(oldest, SEGMENT_HEADER_BYTES));
    atomic_store(&journal->durable, position_make(number, SEGMENT_HEADER_BYTES));
    journal__recovered_free(&recovered);
    *ret_journal = journal;
    return OK;

fail_close:
    journal__recovered_free(&recovered);
    journal_close(journal);
    return error;
}

/* A process that ends in order leaves a block without records behind its last turn: a witness of it. After a
 * kill there is none, so nothing depends on it, and its own failure is no error. */
static void write_witness(struct journal *journal)
{
    struct block_header block = {.records_before = journal->records,
                                 .events_before = journal->events,
                                 .flags = BLOCK_TURN_START | BLOCK_TURN_END};
    bool wanted = journal->failed == OK && journal->fd >= 0 && journal->blocks > 0;
    if (!wanted || journal->end + sizeof(block) > journal->segment.file_bytes)
        return;
    seal_block(journal, &block, journal->end);
    if (journal__write_at(journal->fd, &block, sizeof(block), journal->end) != OK ||
        fdatasync(journal->fd) != 0)
        log_write(LOG_WARNING, "journal", "cannot write the last mark file=%s/%08" PRIx32 ".wal",
                  journal->directory, journal->segment.number);
}

void journal_close(struct journal *journal)
{
    if (journal == NULL)
        return;
    journal__spare_stop(journal->spare);
    write_witness(journal);
    if (journal->fd >= 0)
        close(journal->fd);
    journal__key_close(&journal->key);
    buffer_deinit(&journal->turn);
    free(journal->pieces);
    free(journal);
}
