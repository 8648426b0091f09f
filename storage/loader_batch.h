/* loader_batch: what the loader takes from the journals for one transaction, in memory until it is committed.
 * Owner:   the loader's thread. Memory is kept from batch to batch.
 * Holds:   order[] lists the readings that are to be stored, by patient; from[s] <= to[s] are positions of
 * shard s. */
#ifndef VIGIE_STORAGE_LOADER_BATCH_H
#define VIGIE_STORAGE_LOADER_BATCH_H

#include "daemon/base/buffer.h"
#include "daemon/base/limits.h"
#include "daemon/model/alert_event.h"
#include "daemon/model/reading.h"
#include "storage/journal.h"

struct batch_event {
    struct alert_event head;
    uint64_t position;
    size_t json_offset; /* in bytes */
    uint32_t json_size, shard;
};

struct loader_batch {
    struct reading *readings; /* tail_offset: in bytes */
    uint32_t readings_count, readings_capacity;
    bool *dropped; /* [readings_capacity]: duplicates found here */
    struct batch_event *events;
    uint32_t events_count, events_capacity;
    struct buffer bytes; /* tails and JSON */
    uint32_t *order;     /* [readings_capacity] */
    uint32_t order_count;
    uint32_t shards;
    uint64_t from[SHARDS_MAX], to[SHARDS_MAX];
    int64_t
        engine_ms[SHARDS_MAX]; /* newest engine time seen, INSTANT_NONE before the first; kept when cleared */
    int64_t oldest_ms;         /* engine time of the batch's oldest record */
};

void loader_batch_init(struct loader_batch *batch, uint32_t shards);
void loader_batch_deinit(struct loader_batch *batch);
void loader_batch_clear(struct loader_batch *batch); /* positions go on from to[] */

void loader_batch_take(struct loader_batch *batch, uint32_t shard, const struct record *record);
uint32_t loader_batch_rows(const struct loader_batch *batch);
bool loader_batch_has_quarantine(const struct loader_batch *batch);

/* Fills order[] with the readings that are not dropped, by patient, then as they came. */
void loader_batch_sort(struct loader_batch *batch);

static inline const uint8_t *loader_batch_tail(const struct loader_batch *batch,
                                               const struct reading *reading)
{
    return (const uint8_t *)batch->bytes.data + reading->tail_offset;
}

#endif
