/* journal_trim: which segments may go, and the mark that tells a trimmed segment from a lost one.
 * The mark, a sealed file with the number of the first segment that stays, is durable before the first file
 * is removed; files go oldest first. So at every instant the chain reaches down at least to the mark, and
 * what a crash left below it is void: the next start removes it. Only storage/journal* includes this.
 * Threads: one trim at a time; readers beside it. */
#ifndef VIGIE_STORAGE_JOURNAL_TRIM_H
#define VIGIE_STORAGE_JOURNAL_TRIM_H

#include "storage/journal_segments.h"

struct journal_trimmed {
    uint32_t first; /* number of the first segment that stays; 0: nothing was trimmed now */
    uint64_t segments, bytes;
};

/* Filled whatever it returns: after an error some may be gone. */
MUST_CHECK enum err journal__trim(const char *directory, const struct cipher_keys *keys, uint64_t position,
                                  struct journal_trimmed *ret_trimmed);
MUST_CHECK enum err journal__position_before(const char *directory, const struct cipher_keys *keys,
                                             int64_t engine_ms, uint64_t *ret_position);

#endif
