/* journal_verify: checks every block of every segment on the chain, without changing anything. The end of a
 * journal that was not closed, or is being written, may be a turn without its end: that is told, not held
 * against it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/journal_recovery.h"

enum { NEWEST_READS = 3 };

struct verification {
    const char *directory;
    const struct cipher_keys *keys;
    void (*report)(void *context, const char *line);
    void *context;
    struct journal_figures figures;
    bool in_turn; /* the turn goes on in the next segment */
    uint64_t records, events;
    bool damaged;
};

static void tell(struct verification *verification, const struct chain_link *link, uint64_t offset,
                 const char *text)
{
    char line[SEGMENT_PATH_MAX + 256];
    snprintf(line, sizeof(line), "%s/%08" PRIx32 ".wal at %" PRIu64 ": %s", verification->directory,
             link->header.number, offset, text);
    verification->report(verification->context, line);
}

static void tell_damage(struct verification *verification, const struct chain_link *link, uint64_t offset)
{
    verification->damaged = true;
    tell(verification, link, offset,
         "block is damaged, found bytes that fail their check, expected a good block, hint: restore this "
         "file");
}

/* Tags prove the bytes; this proves that our own writer framed them well. */
static void check_records(struct verification *verification, const struct chain_link *link,
                          const struct segment_image *image, uint64_t end)
{
    for (uint64_t at = SEGMENT_HEADER_BYTES; at < end;) {
        const struct block_header *block = (const struct block_header *)(const void *)(image->bytes + at);
        const uint8_t *payload = (const uint8_t *)(block + 1);
        uint32_t records = 0;
        for (uint64_t inside = 0; inside < block->length; records++) {
            const struct record_header *record =
                (const struct record_header *)(const void *)(payload + inside);
            if (!journal__record_is_good(payload, block->length, inside))
                break;
            inside += sizeof(*record) + journal__align(record->size);
        }
        if (records != block->records)
            tell_damage(verification, link, at);
        at += sizeof(*block) + block->length;
    }
}

static void check_closed(struct verification *verification, const struct chain_link *link,
                         struct segment_image *image)
{
    struct segment_scan scan = {
        .in_turn = verification->in_turn, .records = verification->records, .events = verification->events};
    journal__scan_image(image, link->end, &scan);
    check_records(verification, link, image, scan.reached);
    if (scan.reached != link->end)
        tell_damage(verification, link, scan.reached);
    verification->in_turn = scan.in_turn;
    verification->records = scan.records;
    verification->events = scan.events;
    verification->figures.turns += scan.turns;
}

/* Bytes behind the last good block of the newest segment. */
static bool tail_is_zero(const struct segment_image *image, uint64_t from)
{
    uint64_t at = from;
    while (at < image->size && image->bytes[at] == 0)
        at++;
    return at == image->size;
}

static void check_newest(struct verification *verification, const struct chain_link *link,
                         struct segment_image *image)
{
    struct segment_scan scan;
    uint64_t witness;
    enum err error = journal__scan_newest(image, &scan, &witness);
    check_records(verification, link, image, scan.reached);
    bool follows =
        scan.whole_end != 0 || image->header->durable == image->header->previous_end || verification->in_turn;
    if (error != OK || !follows)
        tell_damage(verification, link, scan.reached);
    else if (scan.in_turn)
        tell(verification, link, scan.reached,
             "the last turn has no end, hint: it is being written, or a start will cut it");
    else if (!tail_is_zero(image, scan.reached))
        tell(verification, link, scan.reached,
             "bytes behind the last whole turn, hint: a turn is being written, a crash tore one, or the last "
             "one is damaged: on this disk nothing can tell; a start will cut them");
    bool whole = scan.whole_end != 0;
    verification->figures.turns += scan.turns;
    verification->figures.durable = whole ? position_make(link->header.number, scan.whole_end)
                                          : position_make(link->header.number, SEGMENT_HEADER_BYTES);
    verification->figures.records = whole ? scan.whole_records : link->header.records;
    verification->figures.events = whole ? scan.whole_events : link->header.events;
}

/* What the oldest segment begins with; trim may have taken the beginning of its first turn. */
static void begin_counts(struct verification *verification, const struct segment_image *image)
{
    const struct segment_header *header = image->header;
    verification->figures.oldest = position_make(header->number, SEGMENT_HEADER_BYTES);
    verification->records = header->records;
    verification->events = header->events;
    verification->in_turn = header->durable < header->previous_end;
    if (verification->in_turn)
        (void)journal__continued_counts(image, &verification->records, &verification->events);
}

/* Trimmed since the chain was read: no finding. */
static bool is_trimmed(const struct verification *verification, const struct chain_link *link)
{
    struct trim_mark mark;
    return journal__trim_mark_load(verification->directory, verification->keys, &mark) == OK &&
           link->header.number < mark.first;
}

/* Beside a writer one read may catch a later turn and miss an earlier one: damage stays, that does not. */
static bool newest_is_settled(const struct segment_image *image)
{
    struct segment_scan scan;
    uint64_t witness;
    struct segment_image copy = *image;
    copy.bytes = malloc(image->size);
    ensure(copy.bytes != NULL);
    memcpy(copy.bytes, image->bytes, image->size);
    bool settled = journal__scan_newest(&copy, &scan, &witness) == OK;
    free(copy.bytes);
    return settled;
}

static enum err load_newest(const struct verification *verification, const struct chain_link *link,
                            struct segment_image *ret_image)
{
    for (int left = NEWEST_READS; left > 0; left--) {
        enum err error = journal__image_load(verification->directory, verification->keys, link, ret_image);
        if (error != OK || left == 1 || newest_is_settled(ret_image))
            return error;
        journal__image_free(ret_image);
    }
    ensure_unreachable();
}

static enum err check_chain(struct verification *verification, const struct journal_chain *chain)
{
    for (size_t index = 0; index < chain->count; index++) {
        const struct chain_link *link = &chain->links[index];
        bool newest = index + 1 == chain->count;
        struct segment_image image;
        enum err error = newest
                             ? load_newest(verification, link, &image)
                             : journal__image_load(verification->directory, verification->keys, link, &image);
        if (error == ERR_NOT_FOUND && verification->figures.segments == 0 && is_trimmed(verification, link))
            continue;
        if (error != OK)
            return error;
        if (verification->figures.segments == 0)
            begin_counts(verification, &image);
        if (newest)
            check_newest(verification, link, &image);
        else
            check_closed(verification, link, &image);
        journal__image_free(&image);
        verification->figures.bytes += link->file_bytes;
        verification->figures.segments++;
    }
    return OK;
}

enum err journal_verify(const char *directory, const struct cipher_keys *keys,
                        void (*report)(void *context, const char *line), void *context,
                        struct journal_figures *ret)
{
    struct verification verification = {
        .directory = directory, .keys = keys, .report = report, .context = context};
    struct journal_chain chain = {0};
    enum err error = journal__chain_load(directory, keys, &chain);
    if (error == OK)
        error = check_chain(&verification, &chain);
    if (error != OK) {
        char line[SEGMENT_PATH_MAX + 128];
        snprintf(line, sizeof(line), "%s: %s, hint: the log names the file", directory, err_text(error));
        report(context, line);
    }
    journal__chain_free(&chain);
    *ret = verification.figures;
    return error == OK && verification.damaged ? ERR_CORRUPT : error;
}
