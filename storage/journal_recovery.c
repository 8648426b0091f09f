/* journal_recovery: the start after any end. Only the newest segment on the chain can hold a torn tail: all
 * others were synced before their successor's header was written, and readers check them block by block. */
#include "storage/journal_recovery.h"
#include "daemon/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/base/instant.h"
#include "daemon/base/log.h"

/* PITFALLS F6 and F1: what a killed process left in the page cache becomes durable, and pages that a failed
 * sync marked clean are thrown away, so that the scan sees the disk. */
static enum err sync_and_forget(const char *directory, uint32_t number)
{
    char path[SEGMENT_PATH_MAX];
    journal__path(directory, number, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    enum err error = fdatasync(fd) == 0 ? OK : err_from_errno(errno);
    if (error == OK)
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
    return error;
}

/* The newest segment and the one before, where its first turn may have begun. */
static enum err sync_open_end(const char *directory, const struct journal_chain *chain)
{
    enum err error = file_sync_directory(directory);
    for (size_t back = 1; error == OK && back <= 2 && back <= chain->count; back++)
        error = sync_and_forget(directory, chain->links[chain->count - back].header.number);
    return error;
}

static enum err check_owner(const struct journal_options *options, const struct journal_chain *chain)
{
    for (size_t index = 0; index < chain->count; index++) {
        const struct segment_header *header = &chain->links[index].header;
        if (header->node == options->node && header->shard == options->shard)
            continue;
        log_write(
            LOG_ERROR, "journal",
            "segment belongs to another node or shard file=%s/%08" PRIx32 ".wal found=%" PRIx64 ".%" PRIu32
            " expected=%" PRIx64 ".%" PRIu32 " hint=\"give each node a state_dir of its own\"",
            options->directory, header->number, header->node, header->shard, options->node, options->shard);
        return ERR_REFUSED;
    }
    return OK;
}

enum err journal__scan_newest(struct segment_image *image, struct segment_scan *ret_scan,
                              uint64_t *ret_witness)
{
    const struct segment_header *header = image->header;
    struct segment_scan scan = {
        .records = header->records, .events = header->events, .tick_ms = header->started_ms};
    /* A turn that goes on here brings records of its own: take the first block's word, its check is good. */
    scan.in_turn = header->durable < header->previous_end;
    if (scan.in_turn)
        (void)journal__continued_counts(image, &scan.records, &scan.events);
    journal__scan_image(image, image->size, &scan);
    uint64_t whole = scan.whole_end != 0 ? position_make(header->number, scan.whole_end) : header->durable;
    /* An empty segment's durable position is its own beginning. */
    uint64_t floor = scan.whole_end != 0 ? whole : position_make(header->number, SEGMENT_HEADER_BYTES);
    *ret_witness = journal__find_witness(image, scan.reached, floor);
    *ret_scan = scan;
    return *ret_witness != 0 || scan.misplaced ? ERR_CORRUPT : OK;
}

static enum err find_end(const struct journal_options *options, struct journal_recovered *recovered)
{
    const struct chain_link *newest = &recovered->chain.links[recovered->chain.count - 1];
    struct segment_scan scan;
    uint64_t witness;
    struct segment_image image;
    enum err error = journal__image_load(options->directory, options->keys, newest, &image);
    if (error != OK)
        return error;
    error = journal__scan_newest(&image, &scan, &witness);
    journal__image_free(&image);
    if (error != OK) {
        log_write(LOG_ERROR, "journal",
                  "acknowledged data are damaged file=%s/%08" PRIx32 ".wal offset=%" PRIu64
                  " witness_offset=%" PRIu64
                  " hint=\"restore the file; vigiectl journal verify shows all of it\"",
                  options->directory, newest->header.number, scan.reached, witness);
        return error;
    }
    bool whole = scan.whole_end != 0;
    recovered->end = whole ? position_make(newest->header.number, scan.whole_end) : newest->header.durable;
    recovered->records = whole ? scan.whole_records : newest->header.records;
    recovered->events = whole ? scan.whole_events : newest->header.events;
    recovered->tick_ms = scan.tick_ms;
    if (scan.reached > scan.whole_end && scan.in_turn)
        log_write(LOG_NOTICE, "journal",
                  "cut a turn without its end file=%s/%08" PRIx32 ".wal from=%" PRIu64 " to=%" PRIu64,
                  options->directory, newest->header.number, scan.whole_end, scan.reached);
    return OK;
}

/* Links behind the end hold nothing that counts any more. */
static void drop_empty_links(struct journal_recovered *recovered)
{
    struct journal_chain *chain = &recovered->chain;
    uint32_t last = position_segment(recovered->end);
    while (chain->count > 0 && chain->links[chain->count - 1].header.number > last) {
        chain->voids = realloc(chain->voids, (chain->voids_count + 1) * sizeof(*chain->voids));
        ensure(chain->voids != NULL);
        chain->voids[chain->voids_count++] = chain->links[--chain->count].header.number;
    }
    if (chain->count > 0)
        chain->links[chain->count - 1].end = position_offset(recovered->end);
    ensure((chain->count == 0) == (recovered->end == 0));
}

enum err journal__recover(const struct journal_options *options, struct journal_recovered *ret_recovered)
{
    struct journal_recovered recovered = {.tick_ms = INSTANT_NONE};
    enum err error = journal__chain_load(options->directory, options->keys, &recovered.chain);
    if (error != OK)
        return error;
    error = check_owner(options, &recovered.chain);
    if (error == OK)
        error = sync_open_end(options->directory, &recovered.chain);
    if (error == OK && recovered.chain.count > 0)
        error = find_end(options, &recovered);
    if (error != OK) {
        journal__chain_free(&recovered.chain);
        return error;
    }
    drop_empty_links(&recovered);
    *ret_recovered = recovered;
    return OK;
}

void journal__discard_tail(const char *directory, const struct journal_recovered *recovered)
{
    char path[SEGMENT_PATH_MAX];
    const struct journal_chain *chain = &recovered->chain;
    if (chain->count > 0 && chain->links[chain->count - 1].file_bytes > chain->links[chain->count - 1].end) {
        journal__path(directory, chain->links[chain->count - 1].header.number, path);
        if (truncate(path, (off_t)chain->links[chain->count - 1].end) != 0)
            log_write(LOG_WARNING, "journal", "cannot shorten a closed segment file=%s errno=%d", path,
                      errno);
    }
    for (size_t index = 0; index < chain->voids_count; index++) {
        journal__path(directory, chain->voids[index], path);
        if (unlink(path) != 0)
            log_write(LOG_WARNING, "journal", "cannot remove a void segment file=%s errno=%d", path, errno);
    }
}

void journal__recovered_free(struct journal_recovered *recovered)
{
    journal__chain_free(&recovered->chain);
}
