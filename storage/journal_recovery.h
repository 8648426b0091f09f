/* journal_recovery: what a start may believe of a journal directory; the argument opens journal_format.h.
 * Only the writer includes this. Threads: the caller's, before anyone reads.
 * Fails:   ERR_CORRUPT, ERR_REFUSED and ERR_FORMAT are logged with file and offset; nothing was changed then.
 */
#ifndef VIGIE_STORAGE_JOURNAL_RECOVERY_H
#define VIGIE_STORAGE_JOURNAL_RECOVERY_H

#include "storage/journal.h"
#include "storage/journal_segments.h"

struct journal_recovered {
    struct journal_chain chain;
    uint64_t end; /* position behind the last whole turn; 0: the journal is empty */
    uint64_t records, events;
    int64_t tick_ms; /* engine time of the last whole turn; INSTANT_NONE: none is known */
};

/* Syncs what is there, re-reads it from the disk, finds the end of the last whole turn. Changes nothing. */
MUST_CHECK enum err journal__recover(const struct journal_options *options,
                                     struct journal_recovered *ret_recovered);
/* Removes what lies behind the end, once a newer segment that says so is durable. Failures only cost space.
 */
void journal__discard_tail(const char *directory, const struct journal_recovered *recovered);
void journal__recovered_free(struct journal_recovered *recovered);

/* The judgement on the newest segment, shared with journal_verify(): scans it from the state its header
 * states. ERR_CORRUPT: a witness, or a block that does not follow on. */
MUST_CHECK enum err journal__scan_newest(struct segment_image *image, struct segment_scan *ret_scan,
                                         uint64_t *ret_witness);

#endif
