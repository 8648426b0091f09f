/* journal_segments: the files of a journal directory: their names, their making, their chain and what one
 * holds. Shared by writer, reader, recovery and verification; nobody outside storage/ includes it. Owner:   a
 * chain belongs to whoever loaded it. Threads: no state. Fails:   ERR_CORRUPT is logged here with file,
 * offset, found and expected; other errors are only returned. */
#ifndef VIGIE_STORAGE_JOURNAL_SEGMENTS_H
#define VIGIE_STORAGE_JOURNAL_SEGMENTS_H

#include "storage/journal_seal.h"

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
    int64_t tick_ms; /* in and out: engine time of the last whole turn, as its tick says */
    bool misplaced;  /* the block at `reached` is good but does not follow on */
};

void journal__path(const char *directory, uint32_t number, char out[SEGMENT_PATH_MAX]);
void journal__path_of(const char *directory, const char *name, char out[SEGMENT_PATH_MAX]);

/* Finds the chain from the newest good header backwards, down to what was trimmed. ERR_CORRUPT: a link is
 * missing or damaged. */
MUST_CHECK enum err journal__chain_load(const char *directory, const struct cipher_keys *keys,
                                        struct journal_chain *ret_chain);
void journal__chain_free(struct journal_chain *chain);

/* What says that segments are trimmed, not lost (journal_trim.h): those numbered below `first`. */
struct trim_mark {
    uint64_t node;
    uint32_t shard, first; /* 0: nothing was trimmed */
};
MUST_CHECK enum err journal__trim_mark_load(const char *directory, const struct cipher_keys *keys,
                                            struct trim_mark *ret_mark);

/* The whole file in memory, for recovery and verification; payloads that a walk has passed are decrypted. */
struct segment_image {
    const struct segment_header *header; /* of the link, which must outlive the image */
    struct segment_key key;
    uint8_t *bytes;
    uint64_t size;
};
MUST_CHECK enum err journal__image_load(const char *directory, const struct cipher_keys *keys,
                                        const struct chain_link *link, struct segment_image *ret_image);
void journal__image_free(struct segment_image *image);
/* Walks the blocks of an image up to `limit`; once. */
void journal__scan_image(struct segment_image *image, uint64_t limit, struct segment_scan *scan);
/* The first good block header behind `from` that states a watermark above `position`; 0: none does. */
uint64_t journal__find_witness(const struct segment_image *image, uint64_t from, uint64_t position);
/* Counts before the first block of a segment in which a turn goes on; false: the block is damaged. */
bool journal__continued_counts(const struct segment_image *image, uint64_t *ret_records,
                               uint64_t *ret_events);

/* A file of `bytes` zeros, synced, under its name (which the caller makes durable by syncing the directory).
 */
MUST_CHECK enum err journal__make_zeros(const char *path, uint64_t bytes);
MUST_CHECK enum err journal__write_at(int fd, const void *data, size_t size, uint64_t offset);
/* ERR_CORRUPT when the file ends before. */
MUST_CHECK enum err journal__read_at(int fd, void *data, size_t size, uint64_t offset);

#endif
