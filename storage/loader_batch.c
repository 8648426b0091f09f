/* Records are copied out of the reader, whose memory goes with the next call. What a record must be was
 * checked by the journal's checksums; a wrong size here is a defect of ours. */
#include "storage/loader_batch.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/model/command.h"

enum { BATCH_BYTES_MAX = 64 << 20 }; /* of texts: rejected messages are large */

void loader_batch_init(struct loader_batch *batch, uint32_t shards)
{
    ensure(shards <= SHARDS_MAX);
    *batch = (struct loader_batch){.shards = shards, .oldest_ms = INSTANT_NONE};
    for (uint32_t i = 0; i < SHARDS_MAX; i++)
        batch->engine_ms[i] = INSTANT_NONE;
}

void loader_batch_deinit(struct loader_batch *batch)
{
    free(batch->readings);
    free(batch->places);
    free(batch->dropped);
    free(batch->commands);
    free(batch->starts);
    free(batch->events);
    free(batch->rejected);
    free(batch->settled);
    free(batch->devices);
    free(batch->order);
    buffer_deinit(&batch->bytes);
}

void loader_batch_clear(struct loader_batch *batch)
{
    batch->readings_count = batch->events_count = batch->order_count = 0;
    batch->commands_count = batch->starts_count = batch->devices_count = batch->rejected_count = 0;
    batch->settled_count = 0;
    batch->oldest_ms = INSTANT_NONE;
    buffer_clear(&batch->bytes);
    for (uint32_t i = 0; i < batch->shards; i++)
        batch->from[i] = batch->to[i];
}

void loader_batch_seek(struct loader_batch *batch, uint32_t shard, uint64_t position, int64_t engine_ms)
{
    ensure(shard < batch->shards);
    batch->to[shard] = position;
    batch->engine_ms[shard] = engine_ms;
    batch->request[shard].index = 0;
    batch->release_open[shard] = false;
}

static void *grow(void *array, uint32_t capacity, size_t size)
{
    void *grown = realloc(array, capacity * size);
    ensure(grown != NULL);
    return grown;
}

static size_t keep_bytes(struct loader_batch *batch, const uint8_t *data, size_t size)
{
    size_t offset = batch->bytes.size;
    buffer_append(&batch->bytes, data, size);
    return offset;
}

/* A record says how many readings of its request follow (`next`). */
static struct copy_place next_place(struct loader_batch *batch, uint32_t shard, uint64_t position,
                                    uint32_t following)
{
    struct copy_place *request = &batch->request[shard];
    if (request->index == 0)
        request->request = position;
    struct copy_place place = *request;
    request->index = following == 0 ? 0 : (int16_t)(request->index + 1);
    return place;
}

/* Out of the record, its tail into the batch's bytes. */
static void copy_head(struct loader_batch *batch, const struct record *record, struct reading *ret)
{
    ensure(record->size >= sizeof(*ret));
    memcpy(ret, record->data, sizeof(*ret));
    ensure(record->size >= sizeof(*ret) + ret->tail_size); /* records may be padded */
    ret->tail_offset = (uint32_t)keep_bytes(batch, record->data + sizeof(*ret), ret->tail_size);
}

static void take_reading(struct loader_batch *batch, uint32_t shard, const struct record *record)
{
    if (batch->readings_count == batch->readings_capacity) {
        uint32_t capacity = batch->readings_capacity > 0 ? batch->readings_capacity * 2 : 1024;
        batch->readings = grow(batch->readings, capacity, sizeof(*batch->readings));
        batch->places = grow(batch->places, capacity, sizeof(*batch->places));
        batch->dropped = grow(batch->dropped, capacity, sizeof(*batch->dropped));
        batch->order = grow(batch->order, capacity, sizeof(*batch->order));
        batch->readings_capacity = capacity;
    }
    struct reading *reading = &batch->readings[batch->readings_count];
    copy_head(batch, record, reading);
    batch->places[batch->readings_count] = next_place(batch, shard, record->position, reading->next);
    batch->release_open[shard] = (reading->flags & FLAG_RELEASED) != 0;
    batch->dropped[batch->readings_count++] = false;
}

/* A device event is one of its request, as a reading is. */
static void take_device(struct loader_batch *batch, uint32_t shard, const struct record *record)
{
    if (batch->devices_count == batch->devices_capacity) {
        batch->devices_capacity = batch->devices_capacity > 0 ? batch->devices_capacity * 2 : 64;
        batch->devices = grow(batch->devices, batch->devices_capacity, sizeof(*batch->devices));
    }
    struct batch_device *device = &batch->devices[batch->devices_count++];
    copy_head(batch, record, &device->event);
    device->place = next_place(batch, shard, record->position, device->event.next);
}

static void take_settled(struct loader_batch *batch, uint32_t shard, const struct batch_command *command,
                         enum command_kind kind)
{
    if (batch->settled_count == batch->settled_capacity) {
        batch->settled_capacity = batch->settled_capacity > 0 ? batch->settled_capacity * 2 : 16;
        batch->settled = grow(batch->settled, batch->settled_capacity, sizeof(*batch->settled));
    }
    batch->settled[batch->settled_count++] =
        (struct batch_settled){.json_offset = command->json_offset,
                               .json_size = command->json_size,
                               .engine_ms = command->engine_ms,
                               .reading = kind == COMMAND_RELEASE ? batch->readings_count - 1 : UINT32_MAX};
    ensure(batch->release_open[shard] == (kind == COMMAND_RELEASE));
    batch->release_open[shard] = false;
}

static void take_command(struct loader_batch *batch, uint32_t shard, const struct record *record)
{
    if (batch->commands_count == batch->commands_capacity) {
        batch->commands_capacity = batch->commands_capacity > 0 ? batch->commands_capacity * 2 : 64;
        batch->commands = grow(batch->commands, batch->commands_capacity, sizeof(*batch->commands));
    }
    batch->commands[batch->commands_count++] =
        (struct batch_command){.position = record->position,
                               .engine_ms = batch->engine_ms[shard],
                               .shard = shard,
                               .json_size = record->size,
                               .json_offset = keep_bytes(batch, record->data, record->size)};
    enum command_kind kind = command_kind_of((const char *)record->data, record->size);
    if (kind == COMMAND_RELEASE || kind == COMMAND_DISCARD)
        take_settled(batch, shard, &batch->commands[batch->commands_count - 1], kind);
}

static void take_event(struct loader_batch *batch, uint32_t shard, const struct record *record)
{
    if (batch->events_count == batch->events_capacity) {
        batch->events_capacity = batch->events_capacity > 0 ? batch->events_capacity * 2 : 64;
        batch->events = grow(batch->events, batch->events_capacity, sizeof(*batch->events));
    }
    struct batch_event *event = &batch->events[batch->events_count++];
    ensure(record->size > sizeof(event->head));
    memcpy(&event->head, record->data, sizeof(event->head));
    event->position = record->position;
    event->shard = shard;
    event->json_size = record->size - (uint32_t)sizeof(event->head);
    event->json_offset = keep_bytes(batch, record->data + sizeof(event->head), event->json_size);
}

static void take_rejected(struct loader_batch *batch, const struct record *record)
{
    if (batch->rejected_count == batch->rejected_capacity) {
        batch->rejected_capacity = batch->rejected_capacity > 0 ? batch->rejected_capacity * 2 : 64;
        batch->rejected = grow(batch->rejected, batch->rejected_capacity, sizeof(*batch->rejected));
    }
    batch->rejected[batch->rejected_count++] = (struct batch_rejected){
        .offset = keep_bytes(batch, record->data, record->size), .size = record->size};
}

static void take_start(struct loader_batch *batch, uint32_t shard, uint64_t position,
                       const struct record_tick *tick)
{
    if (batch->starts_count == batch->starts_capacity) {
        batch->starts_capacity = batch->starts_capacity > 0 ? batch->starts_capacity * 2 : SHARDS_MAX;
        batch->starts = grow(batch->starts, batch->starts_capacity, sizeof(*batch->starts));
    }
    batch->starts[batch->starts_count++] = (struct batch_start){
        .position = position, .since_ms = batch->engine_ms[shard], .tick = *tick, .shard = shard};
}

static void take_tick(struct loader_batch *batch, uint32_t shard, const struct record *record)
{
    struct record_tick tick;
    ensure(record->size >= sizeof(tick));
    memcpy(&tick, record->data, sizeof(tick));
    if (tick.start != 0)
        take_start(batch, shard, record->position, &tick);
    batch->engine_ms[shard] = tick.engine_ms;
}

void loader_batch_take(struct loader_batch *batch, uint32_t shard, const struct record *record)
{
    ensure(shard < batch->shards);
    switch (record->type) {
    case RECORD_TICK:
        take_tick(batch, shard, record);
        break;
    case RECORD_READING:
        take_reading(batch, shard, record);
        break;
    case RECORD_EVENT:
        take_event(batch, shard, record);
        break;
    case RECORD_COMMAND:
        take_command(batch, shard, record);
        break;
    case RECORD_DEVICE:
        take_device(batch, shard, record);
        break;
    case RECORD_REJECTED:
        take_rejected(batch, record);
        break;
    case RECORD_TYPES_END:
        break;
    }
    if (batch->engine_ms[shard] != INSTANT_NONE &&
        (batch->oldest_ms == INSTANT_NONE || batch->engine_ms[shard] < batch->oldest_ms))
        batch->oldest_ms = batch->engine_ms[shard];
}

uint32_t loader_batch_rows(const struct loader_batch *batch)
{
    return batch->readings_count + batch->devices_count + batch->events_count + batch->commands_count +
           batch->starts_count + batch->rejected_count;
}

bool loader_batch_is_full(const struct loader_batch *batch, uint32_t rows_max)
{
    return loader_batch_rows(batch) >= rows_max || batch->bytes.size >= BATCH_BYTES_MAX;
}

bool loader_batch_is_inside(const struct loader_batch *batch, uint32_t shard)
{
    ensure(shard < batch->shards);
    return batch->request[shard].index != 0 || batch->release_open[shard];
}

bool loader_batch_has_quarantine(const struct loader_batch *batch)
{
    for (uint32_t i = 0; i < batch->readings_count; i++)
        if (batch->readings[i].quarantine != QUARANTINE_NONE)
            return true;
    return batch->settled_count > 0;
}

static int by_patient(const void *a, const void *b, void *context)
{
    const struct reading *readings = context;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    int64_t p = readings[i].patient_id, q = readings[j].patient_id;
    return p != q ? (p > q) - (p < q) : (i > j) - (i < j);
}

void loader_batch_sort(struct loader_batch *batch)
{
    batch->order_count = 0;
    for (uint32_t i = 0; i < batch->readings_count; i++)
        if (!batch->dropped[i])
            batch->order[batch->order_count++] = i;
    if (batch->order_count > 1)
        qsort_r(batch->order, batch->order_count, sizeof(*batch->order), by_patient, batch->readings);
}
