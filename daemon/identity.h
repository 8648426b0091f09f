/* identity: state_dir, locked, and what this node is for ever: node id, number of shards, format; and its
 * epoch, which grows with every start and fences off an older process of the same node (PITFALLS P14). Owner:
 * service. Threads: main alone. */
#ifndef VIGIE_DAEMON_IDENTITY_H
#define VIGIE_DAEMON_IDENTITY_H

#include <stdint.h>

#include "daemon/base/err.h"

struct identity {
    uint64_t node;
    uint64_t epoch;
    uint32_t shards;
    int lock_fd;
};

/* Makes state_dir if missing, locks it, reads or writes state_dir/identity, and makes the new epoch durable
 * before it returns. `shards`: what the configuration asks for, 0 for whatever is there; another number than
 * the file's is ERR_CONFIG. ERR_BUSY: another vigied holds the lock. Faults are logged with their hint. */
MUST_CHECK enum err identity_open(const char *state_dir, uint32_t shards, uint32_t shards_default,
                                  struct identity *ret_identity);
/* What state_dir/identity says, read beside whoever runs on it. ERR_NOT_FOUND: never used; ERR_CORRUPT. */
MUST_CHECK enum err identity_read(const char *state_dir, struct identity *ret_identity);
void identity_close(struct identity *identity);

#endif
