/* loader_rejected: the loader's side of vigie.rejected: what the journal has of it, what PostgreSQL would not
 * store, and the end of both after 30 days. Originals go there sealed (rejected_seal.h).
 * Threads: the loader's. Fails: as sql_run(); errors of sealing are defects of ours: the first key seals. */
#ifndef VIGIE_STORAGE_LOADER_REJECTED_H
#define VIGIE_STORAGE_LOADER_REJECTED_H

#include "daemon/model/rejected.h"
#include "storage/loader_batch.h"
#include "storage/postgres.h"

/* One row; source_id 0: NULL. */
MUST_CHECK enum err loader_reject(struct postgres *postgres, const struct cipher_keys *keys,
                                  const struct rejected_view *rejected);

/* Record `index` of the batch's rejected. */
void loader_rejected_view(const struct loader_batch *batch, uint32_t index, struct rejected_view *ret);

/* Deletes what was received more than 30 days before that engine time, a bounded number; *ret_more: there may
 * be more. Outside of a transaction. */
MUST_CHECK enum err loader_forget_rejected(struct postgres *postgres, int64_t engine_ms, bool *ret_more);

#endif
