/* journal_segments: the files of a journal directory: their names, their making, their chain and what one
 * holds. Shared by writer, reader, recovery and verification; nobody outside storage/ includes it. Owner:   a
 * chain belongs to whoever loaded it. Threads: no state. Fails:   ERR_CORRUPT is logged here with file,
 * offset, found and expected; other errors are only returned. */
#ifndef VIGIE_STORAGE_JOURNAL_SEGMENTS_H
#define VIGIE_STORAGE_JOURNAL_SEGMENTS_H

#include "storage/journal_format.h"

enum { SEGMENT_PATH_MAX = 4096 };

/* One segment of the chain, oldest first. */
struct chain_link {
    struct segment_header header;
    uint64_t
        end; /* offset where its data end by its successor's word; 0 in the newest: only its blocks tell */
    uint64_t file_bytes;
};

struct journal_chain {
    struct chain_link *links;
    size_t count;
    uint32_t *voids; /* numbered files that are not on the chain */
    size_t voids_count;
    uint32_t number_max; /* highest number seen, void or not; 0 without files */
};

/* What a walk over a segment's bytes found. */
struct segment_scan {
    bool in_turn;             /* in: the turn before goes on here; out: the last turn has no end */
    uint64_t records, events; /* in and out: of the journal up to the place reached */
    uint64_t reached;         /* offset of the first byte that is no good block */
    uint64_t whole_end;       /* behind the last whole turn, 0: none ends here */
    uint64_t whole_records, whole_events;
    uint64_t turns;
    bool misplaced; /* the block at `reached` is good but does not follow on */
};

void journal__path(const char *directory, uint32_t number, char out[SEGMENT_PATH_MAX]);
void journal__path_of(const char *directory, const char *name, char out[SEGMENT_PATH_MAX]);

/* Finds the chain from the newest good header backwards. ERR_CORRUPT: a link is missing or damaged. */
MUST_CHECK enum err journal__chain_load(const char *directory, struct journal_chain *ret_chain);
void journal__chain_free(struct journal_chain *chain);

/* Reads a header and the file's size. ERR_NOT_FOUND, ERR_EMPTY (void: broken, nothing but zeros behind it).
 */
MUST_CHECK enum err journal__read_header(const char *directory, uint32_t number,
                                         struct segment_header *ret_header, uint64_t *ret_file_bytes);

/* The whole file in memory, for recovery and verification; give back with free(). */
MUST_CHECK enum err journal__read_image(const char *directory, const struct chain_link *link,
                                        uint8_t **ret_image);
/* Walks the blocks of an image up to `limit`. */
void journal__scan_image(const struct segment_header *header, const uint8_t *image, uint64_t limit,
                         struct segment_scan *scan);
/* The first good block header behind `from` that states a watermark above `position`; 0: none does. */
uint64_t journal__find_witness(const struct segment_header *header, const uint8_t *image, uint64_t limit,
                               uint64_t from, uint64_t position);

/* A file of `bytes` zeros, synced, under its name (which the caller makes durable by syncing the directory).
 */
MUST_CHECK enum err journal__make_zeros(const char *path, uint64_t bytes);
MUST_CHECK enum err journal__write_at(int fd, const void *data, size_t size, uint64_t offset);
/* ERR_CORRUPT when the file ends before. */
MUST_CHECK enum err journal__read_at(int fd, void *data, size_t size, uint64_t offset);

#endif
