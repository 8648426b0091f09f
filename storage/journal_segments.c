/* journal_segments: directory, chain and contents of segment files; journal_format.h tells why this is
 * enough. */
#include "storage/journal_segments.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "storage/journal.h"

enum { ZERO_BYTES = 256 << 10 };

void journal__path_of(const char *directory, const char *name, char out[SEGMENT_PATH_MAX])
{
    int length = snprintf(out, SEGMENT_PATH_MAX, "%s/%s", directory, name);
    ensure(length > 0 && length < SEGMENT_PATH_MAX);
}

void journal__path(const char *directory, uint32_t number, char out[SEGMENT_PATH_MAX])
{
    int length = snprintf(out, SEGMENT_PATH_MAX, "%s/%08" PRIx32 ".wal", directory, number);
    ensure(length > 0 && length < SEGMENT_PATH_MAX);
}

enum err journal__write_at(int fd, const void *data, size_t size, uint64_t offset)
{
    const char *from = data;
    while (size > 0) {
        ssize_t done = pwrite(fd, from, size, (off_t)offset);
        if (done < 0 && errno != EINTR)
            return err_from_errno(errno);
        if (done == 0)
            return ERR_IO;
        if (done < 0)
            continue;
        from += done;
        size -= (size_t)done;
        offset += (uint64_t)done;
    }
    return OK;
}

enum err journal__read_at(int fd, void *data, size_t size, uint64_t offset)
{
    char *into = data;
    while (size > 0) {
        ssize_t done = pread(fd, into, size, (off_t)offset);
        if (done < 0 && errno != EINTR)
            return err_from_errno(errno);
        if (done == 0)
            return ERR_CORRUPT;
        if (done < 0)
            continue;
        into += done;
        size -= (size_t)done;
        offset += (uint64_t)done;
    }
    return OK;
}

enum err journal__make_zeros(const char *path, uint64_t bytes)
{
    static const char zeros[ZERO_BYTES];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_from_errno(errno);
    /* Asking for all of it first: a full disk is found before a byte is written. */
    int failed = posix_fallocate(fd, 0, (off_t)bytes);
    enum err error = failed == 0 ? OK : err_from_errno(failed);
    for (uint64_t at = 0; error == OK && at < bytes; at += ZERO_BYTES)
        error = journal__write_at(fd, zeros, bytes - at < ZERO_BYTES ? bytes - at : ZERO_BYTES, at);
    if (error == OK && fsync(fd) != 0)
        error = err_from_errno(errno);
    close(fd);
    if (error != OK)
        unlink(path);
    return error;
}

/* Names are exactly eight lower-case hex digits and ".wal". */
static bool number_of_name(const char *name, uint32_t *ret_number)
{
    if (strlen(name) != 12 || strcmp(name + 8, ".wal") != 0 || strspn(name, "0123456789abcdef") != 8)
        return false;
    *ret_number = (uint32_t)strtoul(name, NULL, 16);
    return *ret_number > 0;
}

static int compare_numbers(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

/* All numbered files in rising order; give back with free(). */
static enum err list_numbers(const char *directory, uint32_t **ret_numbers, size_t *ret_count)
{
    DIR *listing = opendir(directory);
    if (listing == NULL)
        return err_from_errno(errno);
    uint32_t *numbers = NULL, number;
    size_t count = 0, capacity = 0;
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        if (!number_of_name(entry->d_name, &number))
            continue;
        if (count == capacity) {
            capacity = capacity * 2 + 64;
            numbers = realloc(numbers, capacity * sizeof(*numbers));
            ensure(numbers != NULL);
        }
        numbers[count++] = number;
    }
    closedir(listing);
    if (count > 0)
        qsort(numbers, count, sizeof(*numbers), compare_numbers);
    *ret_numbers = numbers;
    *ret_count = count;
    return OK;
}

static enum err tail_is_zero(int fd, uint64_t from, uint64_t to, bool *ret_zero)
{
    static const char zeros[4096];
    char bytes[4096];
    for (uint64_t at = from; at < to; at += sizeof(bytes)) {
        size_t size = to - at < sizeof(bytes) ? (size_t)(to - at) : sizeof(bytes);
        enum err error = journal__read_at(fd, bytes, size, at);
        if (error != OK)
            return error;
        if (memcmp(bytes, zeros, size) != 0) {
            *ret_zero = false;
            return OK;
        }
    }
    *ret_zero = true;
    return OK;
}

/* A broken header: void when nothing was ever written behind it, else damage. A writer may be at work between
 * the two reads, so the header has a second chance. */
static enum err judge_broken(int fd, const struct cipher_keys *keys, uint32_t number, uint64_t file_bytes,
                             struct segment_header *header)
{
    bool zero = false;
    enum err error = tail_is_zero(fd, SEGMENT_HEADER_BYTES, file_bytes, &zero);
    if (error != OK || zero)
        return error != OK ? error : ERR_EMPTY;
    error = journal__read_at(fd, header, sizeof(*header), 0);
    return error == OK ? journal__check_segment(keys, header, number, NULL) : error;
}

static void report_header(const char *path, const struct segment_header *header, uint32_t number,
                          enum err error)
{
    if (error == ERR_CORRUPT)
        log_write(LOG_ERROR, "journal",
                  "segment header is damaged file=%s offset=0 expected=%08" PRIx32
                  " hint=\"restore the file, or set it aside and run vigiectl journal verify\"",
                  path, number);
    if (error == ERR_KEY_MISSING)
        log_write(LOG_ERROR, "journal",
                  "segment needs another master key file=%s found_key_id=%08" PRIx32
                  " hint=\"put the old key into [journal] old_keys\"",
                  path, header->key_id);
    if (error == ERR_FORMAT)
        log_write(
            LOG_ERROR, "journal",
            "segment has another format file=%s found=%" PRIu32 " expected=%d hint=\"format 1 was not "
            "encrypted and held test data only: start on an empty state_dir; for a newer format install "
            "the newer Vigie\"",
            path, header->format, SEGMENT_FORMAT);
}

/* Reads a header and the file's size. ERR_NOT_FOUND, ERR_EMPTY (void: broken, nothing but zeros behind it).
 */
static enum err read_header(const char *directory, const struct cipher_keys *keys, uint32_t number,
                            struct chain_link *link)
{
    char path[SEGMENT_PATH_MAX];
    journal__path(directory, number, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    struct stat status;
    struct segment_header header = {.number = 0};
    enum err error = fstat(fd, &status) == 0 ? OK : err_from_errno(errno);
    if (error == OK && status.st_size < SEGMENT_HEADER_BYTES)
        error = ERR_CORRUPT; /* a file is whole before it gets a number */
    if (error == OK)
        error = journal__read_at(fd, &header, sizeof(header), 0);
    if (error == OK)
        error = journal__check_segment(keys, &header, number, NULL);
    if (error == ERR_CORRUPT && status.st_size >= SEGMENT_HEADER_BYTES)
        error = judge_broken(fd, keys, number, (uint64_t)status.st_size, &header);
    close(fd);
    report_header(path, &header, number, error);
    if (error != OK)
        return error;
    link->header = header;
    link->file_bytes = (uint64_t)status.st_size;
    return OK;
}

/* Puts a link in front; links are kept newest first while the chain grows backwards. */
static void add_link(struct journal_chain *chain, const struct chain_link *link)
{
    if (chain->count % 64 == 0) {
        chain->links = realloc(chain->links, (chain->count + 64) * sizeof(*chain->links));
        ensure(chain->links != NULL);
    }
    chain->links[chain->count++] = *link;
}

static enum err report_missing(const char *directory, const struct chain_link *from, enum err error)
{
    if (error != ERR_NOT_FOUND && error != ERR_EMPTY)
        return error;
    log_write(LOG_ERROR, "journal",
              "segment is missing file=%s/%08" PRIx32 ".wal named_by=%08" PRIx32
              " hint=\"restore the file from where it was moved to\"",
              directory, position_segment(from->header.previous_end), from->header.number);
    return ERR_CORRUPT;
}

/* Trimmed since the mark was read: `first` moves up. */
static bool was_trimmed(const char *directory, const struct cipher_keys *keys, uint32_t number,
                        uint32_t *first)
{
    struct trim_mark mark;
    if (journal__trim_mark_load(directory, keys, &mark) != OK)
        return false;
    *first = mark.first;
    return number < mark.first;
}

static enum err follow_back(const char *directory, const struct cipher_keys *keys, uint32_t first,
                            struct journal_chain *chain)
{
    for (;;) {
        const struct chain_link *newer = &chain->links[chain->count - 1];
        struct chain_link link = {.end = position_offset(newer->header.previous_end)};
        uint32_t number = position_segment(newer->header.previous_end);
        if (number == 0 || number < first)
            return OK;
        enum err error = read_header(directory, keys, number, &link);
        if (error == ERR_NOT_FOUND && was_trimmed(directory, keys, number, &first))
            return OK;
        if (error != OK)
            return report_missing(directory, newer, error);
        bool same = link.header.node == newer->header.node && link.header.shard == newer->header.shard;
        if (!same || link.file_bytes < link.end || link.end < SEGMENT_HEADER_BYTES) {
            log_write(LOG_ERROR, "journal",
                      "segment does not fit its successor file=%s/%08" PRIx32 ".wal found_bytes=%" PRIu64
                      " expected_end=%" PRIu64 " hint=\"restore the file\"",
                      directory, number, link.file_bytes, link.end);
            return ERR_CORRUPT;
        }
        add_link(chain, &link);
    }
}

/* The newest good header; what lies above it is void. */
static enum err find_newest(const char *directory, const struct cipher_keys *keys, const uint32_t *numbers,
                            size_t count, struct journal_chain *chain)
{
    for (size_t left = count; left > 0; left--) {
        struct chain_link link = {0};
        enum err error = read_header(directory, keys, numbers[left - 1], &link);
        if (error == OK) {
            add_link(chain, &link);
            return OK;
        }
        if (error != ERR_EMPTY)
            return error;
    }
    return OK;
}

static void reverse_links(struct journal_chain *chain)
{
    for (size_t low = 0, high = chain->count; low + 1 < high; low++) {
        struct chain_link link = chain->links[--high];
        chain->links[high] = chain->links[low];
        chain->links[low] = link;
    }
}

/* Both lists rise, so one pass parts the numbers into links and voids. */
static void note_voids(struct journal_chain *chain, uint32_t *numbers, size_t count)
{
    size_t link = 0, voids = 0;
    for (size_t index = 0; index < count; index++) {
        if (link < chain->count && chain->links[link].header.number == numbers[index])
            link++;
        else
            numbers[voids++] = numbers[index];
    }
    chain->voids = numbers;
    chain->voids_count = voids;
}

static enum err load_links(const char *directory, const struct cipher_keys *keys, const uint32_t *numbers,
                           struct journal_chain *chain, size_t count)
{
    struct trim_mark mark;
    enum err error = journal__trim_mark_load(directory, keys, &mark);
    if (error == OK)
        error = find_newest(directory, keys, numbers, count, chain);
    if (error != OK)
        return error;
    /* Trim never takes the newest ones: there is a segment at or above the mark, or it was lost. */
    const struct segment_header *newest = chain->count > 0 ? &chain->links[0].header : NULL;
    bool stranger = newest != NULL && (newest->node != mark.node || newest->shard != mark.shard);
    if (mark.first > 0 && (newest == NULL || stranger || newest->number < mark.first)) {
        log_write(LOG_ERROR, "journal",
                  "segments are missing directory=%s expected_from=%08" PRIx32
                  " hint=\"restore the files from where they were moved to\"",
                  directory, mark.first);
        return ERR_CORRUPT;
    }
    return chain->count > 0 ? follow_back(directory, keys, mark.first, chain) : OK;
}

enum err journal__chain_load(const char *directory, const struct cipher_keys *keys,
                             struct journal_chain *ret_chain)
{
    uint32_t *numbers = NULL;
    size_t count = 0;
    struct journal_chain chain = {0};
    enum err error = list_numbers(directory, &numbers, &count);
    if (error != OK)
        return error;
    chain.number_max = count > 0 ? numbers[count - 1] : 0;
    error = load_links(directory, keys, numbers, &chain, count);
    reverse_links(&chain);
    note_voids(&chain, numbers, count);
    if (error != OK) {
        journal__chain_free(&chain);
        return error;
    }
    *ret_chain = chain;
    return OK;
}

void journal__chain_free(struct journal_chain *chain)
{
    free(chain->links);
    free(chain->voids);
    *chain = (struct journal_chain){0};
}

/* --- images -----------------------------------------------------------------------------------------------
 */

enum err journal__image_load(const char *directory, const struct cipher_keys *keys,
                             const struct chain_link *link, struct segment_image *ret_image)
{
    char path[SEGMENT_PATH_MAX];
    struct segment_image image = {.header = &link->header, .size = link->file_bytes};
    journal__path(directory, link->header.number, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    image.bytes = malloc(image.size);
    ensure(image.bytes != NULL);
    enum err error = journal__read_at(fd, image.bytes, image.size, 0);
    close(fd);
    if (error == OK)
        error = journal__key_open(keys, link->header.key_id, link->header.salt, &image.key);
    if (error == OK)
        *ret_image = image;
    else
        free(image.bytes);
    return error;
}

void journal__image_free(struct segment_image *image)
{
    journal__key_close(&image->key);
    free(image->bytes);
    *image = (struct segment_image){0};
}

static struct block_header *block_at(const struct segment_image *image, uint64_t offset)
{
    return (struct block_header *)(void *)(image->bytes + offset);
}

static struct block_place place_at(const struct segment_image *image, uint64_t offset,
                                   const uint8_t *tag_before)
{
    return (struct block_place){
        .segment = image->header, .key = &image->key, .offset = offset, .tag_before = tag_before};
}

/* A good block may still not follow what was before it: a repeat, a gap, a turn in a turn. */
static bool follows_on(const struct segment_scan *scan, const struct block_header *block, uint32_t number)
{
    bool starts = (block->flags & BLOCK_TURN_START) != 0;
    return starts != scan->in_turn && block->number == number && block->records_before == scan->records &&
           block->events_before == scan->events;
}

/* Engine time by the tick that opens a turn; what it was when none does. */
static int64_t tick_of(const struct block_header *block, int64_t otherwise_ms)
{
    struct {
        struct record_header header;
        struct record_tick tick;
    } first;
    if ((block->flags & BLOCK_TURN_START) == 0 || block->length < sizeof(first))
        return otherwise_ms;
    memcpy(&first, block + 1, sizeof(first));
    return first.header.type == RECORD_TICK ? first.tick.engine_ms : otherwise_ms;
}

void journal__scan_image(struct segment_image *image, uint64_t limit, struct segment_scan *scan)
{
    const uint8_t *tag_before = image->header->tag;
    int64_t tick_ms = scan->tick_ms;
    scan->reached = SEGMENT_HEADER_BYTES;
    for (uint32_t number = 1;; number++) {
        struct block_header *block = block_at(image, scan->reached);
        struct block_place place = place_at(image, scan->reached, tag_before);
        if (!journal__block_header_is_good(&place, limit - scan->reached, block) ||
            !journal__open_payload(&place, block, block + 1))
            return;
        scan->misplaced = !follows_on(scan, block, number);
        if (scan->misplaced)
            return;
        tag_before = block->tag;
        tick_ms = tick_of(block, tick_ms);
        scan->records += block->records;
        scan->events += block->events;
        scan->reached += sizeof(*block) + block->length;
        scan->in_turn = (block->flags & BLOCK_TURN_END) == 0;
        if (scan->in_turn)
            continue;
        scan->turns += block->records > 0; /* the mark of an orderly end is no turn */
        scan->tick_ms = tick_ms;
        scan->whole_end = scan->reached;
        scan->whole_records = scan->records;
        scan->whole_events = scan->events;
    }
}

uint64_t journal__find_witness(const struct segment_image *image, uint64_t from, uint64_t position)
{
    for (uint64_t at = journal__align(from); at + BLOCK_HEADER_BYTES <= image->size; at += JOURNAL_ALIGN) {
        const struct block_header *block = block_at(image, at);
        struct block_place place = place_at(image, at, NULL);
        if (block->magic == BLOCK_MAGIC && block->durable > position &&
            journal__block_header_is_good(&place, image->size - at, block))
            return at;
    }
    return 0;
}

bool journal__continued_counts(const struct segment_image *image, uint64_t *ret_records, uint64_t *ret_events)
{
    struct block_place place = place_at(image, SEGMENT_HEADER_BYTES, NULL);
    const struct block_header *first = block_at(image, SEGMENT_HEADER_BYTES);
    if (!journal__block_header_is_good(&place, image->size - SEGMENT_HEADER_BYTES, first))
        return false;
    *ret_records = first->records_before;
    *ret_events = first->events_before;
    return true;
}
