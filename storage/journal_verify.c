/* journal_verify: checks every block of every segment on the chain, without changing anything. The end of a
 * journal that was not closed, or is being written, may be a turn without its end: that is told, not held
 * against it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "storage/journal_recovery.h"

struct verification {
    const char *directory;
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

/* Payload checks prove the bytes; this proves that our own writer framed them well. */
static void check_records(struct verification *verification, const struct chain_link *link,
                          const uint8_t *image, uint64_t end)
{
    for (uint64_t at = SEGMENT_HEADER_BYTES; at < end;) {
        const struct block_header *block = (const struct block_header *)(const void *)(image + at);
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
                         const uint8_t *image)
{
    struct segment_scan scan = {
        .in_turn = verification->in_turn, .records = verification->records, .events = verification->events};
    journal__scan_image(&link->header, image, link->end, &scan);
    check_records(verification, link, image, scan.reached);
    if (scan.reached != link->end)
        tell_damage(verification, link, scan.reached);
    verification->in_turn = scan.in_turn;
    verification->records = scan.records;
    verification->events = scan.events;
    verification->figures.turns += scan.turns;
}

static void check_newest(struct verification *verification, const struct chain_link *link,
                         const uint8_t *image)
{
    struct segment_scan scan;
    uint64_t bad, witness;
    enum err error = journal__scan_newest(link, image, &scan, &bad, &witness);
    check_records(verification, link, image, scan.reached);
    if (error != OK)
        tell_damage(verification, link, bad);
    else if (scan.in_turn)
        tell(verification, link, bad,
             "the last turn has no end, hint: it is being written, or a start will cut it");
    bool whole = scan.whole_end != 0;
    verification->figures.turns += scan.turns;
    verification->figures.durable = whole ? position_make(link->header.number, scan.whole_end)
                                          : position_make(link->header.number, SEGMENT_HEADER_BYTES);
    verification->figures.records = whole ? scan.whole_records : link->header.records;
    verification->figures.events = whole ? scan.whole_events : link->header.events;
}

static enum err check_chain(struct verification *verification, const struct journal_chain *chain)
{
    for (size_t index = 0; index < chain->count; index++) {
        const struct chain_link *link = &chain->links[index];
        uint8_t *image = NULL;
        enum err error = journal__read_image(verification->directory, link, &image);
        if (error != OK)
            return error;
        if (index + 1 < chain->count)
            check_closed(verification, link, image);
        else
            check_newest(verification, link, image);
        free(image);
        verification->figures.bytes += link->file_bytes;
        verification->figures.segments++;
    }
    return OK;
}

enum err journal_verify(const char *directory, void (*report)(void *context, const char *line), void *context,
                        struct journal_figures *ret)
{
    struct verification verification = {.directory = directory, .report = report, .context = context};
    struct journal_chain chain = {0};
    enum err error = journal__chain_load(directory, &chain);
    if (error == OK && chain.count > 0) {
        verification.figures.oldest = position_make(chain.links[0].header.number, SEGMENT_HEADER_BYTES);
        verification.records = chain.links[0].header.records;
        verification.events = chain.links[0].header.events;
    }
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
