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
#include "storage/copy_binary.h"
#include "storage/journal.h"

struct batch_event {
    struct alert_event head;
    uint64_t position;
    size_t json_offset; /* in bytes */
    uint32_t json_size, shard;
};

struct batch_command {
    uint64_t position;
    int64_t engine_ms; /* of its turn */
    size_t json_offset;
    uint32_t json_size, shard;
};

struct batch_start { /* a tick that found time which was no up time */
    uint64_t position;
    int64_t since_ms; /* engine time of the tick before, INSTANT_NONE without */
    struct record_tick tick;
    uint32_t shard;
};

struct batch_device {
    struct reading event; /* tail_offset: in bytes */
    struct copy_place place;
};

struct batch_rejected { /* struct rejected and its texts, in bytes */
    size_t offset;
    uint32_t size;
};

struct batch_settled { /* a command about a quarantined reading */
    size_t json_offset;
    uint32_t json_size;
    int64_t engine_ms;
    uint32_t reading; /* released: its index; UINT32_MAX: discarded */
};

struct loader_batch {
    struct reading *readings; /* tail_offset: in bytes */
    uint32_t readings_count, readings_capacity;
    struct copy_place *places;    /* [readings_capacity] */
    bool *dropped;                /* [readings_capacity]: duplicates found here */
    struct batch_device *devices; /* kept once by the key of their table */
    uint32_t devices_count, devices_capacity;
    struct batch_command *commands;
    uint32_t commands_count, commands_capacity;
    struct batch_start *starts;
    uint32_t starts_count, starts_capacity;
    struct batch_settled *settled;
    uint32_t settled_count, settled_capacity;
    bool release_open[SHARDS_MAX]; /* the reading is here, the last one; its command follows */
    struct batch_rejected *rejected;
    uint32_t rejected_count, rejected_capacity;
    struct batch_event *events;
    uint32_t events_count, events_capacity;
    struct copy_place request[SHARDS_MAX]; /* of the readings that come; index 0: the next begins one */
    struct buffer bytes;                   /* tails and JSON */
    uint32_t *order;                       /* [readings_capacity] */
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
/* Taking goes on elsewhere: at a position, behind a tick of engine time engine_ms (INSTANT_NONE: not known).
 */
void loader_batch_seek(struct loader_batch *batch, uint32_t shard, uint64_t position, int64_t engine_ms);

void loader_batch_take(struct loader_batch *batch, uint32_t shard, const struct record *record);
uint32_t loader_batch_rows(const struct loader_batch *batch);
/* Nothing more is to be taken: it has so many rows, or as many bytes as one may have. */
bool loader_batch_is_full(const struct loader_batch *batch, uint32_t rows_max);
/* Whether further readings of the last request of the shard follow, or the command that released the last
 * one: a batch never ends there. */
bool loader_batch_is_inside(const struct loader_batch *batch, uint32_t shard);
/* Whether the number of those that wait has changed. */
bool loader_batch_has_quarantine(const struct loader_batch *batch);

/* Fills order[] with the readings that are not dropped, by patient, then as they came. */
void loader_batch_sort(struct loader_batch *batch);

static inline const uint8_t *loader_batch_tail(const struct loader_batch *batch,
                                               const struct reading *reading)
{
    return (const uint8_t *)batch->bytes.data + reading->tail_offset;
}

#endif
