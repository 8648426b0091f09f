/* loader_quarantine: what people said of quarantined readings, in the transaction that stores the readings
 * they released.
 * Threads: the loader's. Fails: as sql_run(). */
#ifndef VIGIE_STORAGE_LOADER_QUARANTINE_H
#define VIGIE_STORAGE_LOADER_QUARANTINE_H

#include "storage/loader_batch.h"
#include "storage/postgres.h"

/* Marks the rows released or discarded, each with a row of audit.event; a released reading whose row was
 * settled before is dropped. */
MUST_CHECK enum err loader_settle_quarantine(struct postgres *postgres, struct loader_batch *batch);

#endif
