/* journal_spare: a thread that keeps the next segment ready, with its keys, and an eye on the space left,
 * PITFALLS F3 and F7. Writing 64 MiB of zeros must not stall a turn, deriving keys must not allocate in one,
 * and a full disk must be known before a turn needs the space.
 * Owner:   the journal writer. Threads: its own; start, take and stop on the writer's, figures from any.
 * Holds:   at most one spare; it is whole and synced before it is offered.
 * Fails:   no space is no error here: the spare is not ready, and the thread tries again each second. */
#ifndef VIGIE_STORAGE_JOURNAL_SPARE_H
#define VIGIE_STORAGE_JOURNAL_SPARE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "storage/journal_seal.h"

struct journal_spare;

/* Removes what an earlier process left unfinished, keeps its spare when it is whole, starts the thread. */
MUST_CHECK enum err journal__spare_start(const char *directory, const struct cipher_keys *keys,
                                         uint64_t segment_bytes, struct journal_spare **ret_spare);
void journal__spare_stop(struct journal_spare *spare);

/* Gives the spare its number, and its keys to the caller; false when none is ready. The caller syncs the
 * directory. */
MUST_CHECK bool journal__spare_take(struct journal_spare *spare, uint32_t number,
                                    struct fresh_key *ret_fresh);
/* Takes the key of a segment that is over: the thread closes it, for OpenSSL frees then. */
void journal__spare_retire(struct journal_spare *spare, struct segment_key *key);
/* The writer wrote: for the rate. */
void journal__spare_note(struct journal_spare *spare, uint64_t bytes);

/* False while the last attempt to make a spare failed. */
bool journal__spare_is_fed(const struct journal_spare *spare);
/* Free on the file system, at most a second old. */
uint64_t journal__spare_free_bytes(const struct journal_spare *spare);
struct spare_disk {
    uint64_t free_bytes, disk_bytes; /* disk: free and used, as a user without privileges sees it */
    uint64_t bytes_per_hour;         /* written to this journal, smoothed over ten minutes */
};
void journal__spare_disk(const struct journal_spare *spare, struct spare_disk *ret);

#endif
