/* registry_quarantine: a row of vigie.quarantine as the keys of a command `release` or `discard`, which name
 * the whole reading, so that shard, replay and history need nothing else.
 * Threads: the registry's. Fails: as postgres_query(). */
#ifndef VIGIE_DAEMON_REGISTRY_REGISTRY_QUARANTINE_H
#define VIGIE_DAEMON_REGISTRY_REGISTRY_QUARANTINE_H

#include "daemon/base/buffer.h"
#include "storage/postgres.h"

/* `id`: digits. *ret_status 200: `reply` is a JSON object of the keys; 404, 422: it says why not. */
MUST_CHECK enum err registry_quarantine_read(struct postgres *postgres, const char *id, int *ret_status,
                                             struct buffer *reply);

#endif
