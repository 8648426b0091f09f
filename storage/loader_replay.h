/* loader_replay: what a decision rests on besides readings, into PostgreSQL, so that it can be made again
 * from there: commands with their places and engine times, and the ticks that found time which was no up time
 * (migration 008). Threads: the loader's. Fails: as postgres_copy_in() and sql_run(). */
#ifndef VIGIE_STORAGE_LOADER_REPLAY_H
#define VIGIE_STORAGE_LOADER_REPLAY_H

#include "storage/loader_batch.h"
#include "storage/postgres.h"

/* Commands [first, end) of the batch; `copy` is scratch. */
MUST_CHECK enum err loader_replay_commands(struct postgres *postgres, const struct loader_batch *batch,
                                           uint32_t first, uint32_t end, struct buffer *copy);
MUST_CHECK enum err loader_replay_starts(struct postgres *postgres, const struct loader_batch *batch);
/* What was dropped as a resend of something older than a shard holds (migration 011). */
MUST_CHECK enum err loader_replay_resends(struct postgres *postgres, const struct loader_batch *batch,
                                          const int16_t *parameter_ids);

#endif
