/* loader_older: duplicates of readings that are older than what the shard holds (FLAG_CHECK_OLDER), DESIGN.md
 * section 4 step 7: looked for in vigie.reading, vigie.quarantine and the batch itself. Threads: the
 * loader's. */
#ifndef VIGIE_STORAGE_LOADER_OLDER_H
#define VIGIE_STORAGE_LOADER_OLDER_H

#include "storage/loader_batch.h"
#include "storage/postgres.h"

/* Inside the transaction of the batch: marks duplicates as dropped, gives the others their revision. */
MUST_CHECK enum err loader_older_settle(struct postgres *postgres, struct loader_batch *batch);

#endif
