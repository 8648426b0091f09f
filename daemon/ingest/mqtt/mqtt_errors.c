/* mqtt_errors: the message to vigie/v1/{device}/errors, to the subscribers of this loop at once, to those of
 * other loops by letters. A loop has a few sheets for that; when all are under way the others' subscribers
 * miss one, which is counted: the payload itself is kept elsewhere (vigie.rejected) or its sender has been
 * told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ingest/loop.h"
#include "daemon/ingest/mqtt/mqtt_session.h"
#include "daemon/registry/registry.h"

enum { SHEETS = 8, SHEET_BYTES_MAX = 16384 };

struct mqtt_error {
    struct letter to[LOOPS_MAX]; /* one a loop; that of its own loop brings it back */
    _Atomic unsigned readers;    /* who has not read it yet */
    unsigned home;
    struct mqtt_error *next_free;
    int64_t source_id;
    size_t device_size, payload_size;
    char bytes[SHEET_BYTES_MAX]; /* device, payload */
};

enum err mqtt_errors_init(struct mqtt_loop *mqtt, unsigned index)
{
    if (mqtt->shared->loops == 1)
        return OK;
    struct mqtt_error *sheets = calloc(SHEETS, sizeof(*sheets));
    if (sheets == NULL)
        return ERR_NO_MEMORY;
    mqtt->shared->sheets[index] = sheets;
    for (unsigned i = 0; i < SHEETS; i++) {
        sheets[i].home = index;
        sheets[i].next_free = mqtt->errors_free;
        mqtt->errors_free = &sheets[i];
    }
    return OK;
}

static bool wants(const struct mqtt_session *session, uint64_t device)
{
    for (unsigned i = 0; i < session->place.state.subscriptions; i++)
        if (session->place.state.subscription[i] == SUBSCRIBED_TO_ALL ||
            session->place.state.subscription[i] == device)
            return true;
    return false;
}

static void push(struct mqtt_session *session, const struct mqtt_error_text *error)
{
    struct mqtt_loop *mqtt = session->loop->mqtt;
    struct counters *counters = session->loop->context.counters;
    char topic[256];
    int size =
        snprintf(topic, sizeof(topic), "vigie/v1/%.*s/errors", (int)error->device.size, error->device.data);
    if (size < 0 || (size_t)size >= sizeof(topic))
        return; /* no such device is enrolled anywhere */
    buffer_clear(&mqtt->packet);
    mqtt_append_publish(&mqtt->packet, session->level, (struct slice){topic, (size_t)size}, error->payload);
    bool sent = mqtt->packet.size <= session->packet_max &&
                connection_push(session->connection, mqtt->packet.data, mqtt->packet.size);
    counter_add(counters, sent ? COUNTER_MQTT_ERRORS_SENT : COUNTER_MQTT_ERRORS_LOST, 1);
}

static void tell_here(struct loop *loop, const struct mqtt_error_text *error)
{
    uint64_t device = mqtt_device_hash(error->device);
    struct mqtt_session *session;
    LIST_FOREACH(session, &loop->mqtt->subscribers, subscriber)
    {
        const struct registry_source *source = mqtt_session_source(session);
        if (source != NULL && source->source_id == error->source_id && wants(session, device))
            push(session, error);
    }
}

static void tell_others(struct loop *loop, const struct mqtt_error_text *error)
{
    struct mqtt_loop *mqtt = loop->mqtt;
    struct mqtt_shared *shared = mqtt->shared;
    unsigned home = loop->options.index, readers[LOOPS_MAX], count = 0;
    for (unsigned i = 0; i < shared->loops; i++)
        if (i != home && atomic_load_explicit(&shared->subscribers[i], memory_order_relaxed) > 0)
            readers[count++] = i;
    if (count == 0)
        return;
    struct mqtt_error *sheet = mqtt->errors_free;
    if (sheet == NULL || error->device.size + error->payload.size > SHEET_BYTES_MAX) {
        counter_add(loop->context.counters, COUNTER_MQTT_ERRORS_LOST, count);
        return;
    }
    mqtt->errors_free = sheet->next_free;
    sheet->source_id = error->source_id;
    sheet->device_size = error->device.size;
    sheet->payload_size = error->payload.size;
    memcpy(sheet->bytes, error->device.data, error->device.size);
    memcpy(sheet->bytes + error->device.size, error->payload.data, error->payload.size);
    atomic_store_explicit(&sheet->readers, count, memory_order_relaxed); /* the letters release it */
    for (unsigned i = 0; i < count; i++) {
        sheet->to[readers[i]].kind = MQTT_LETTER_ERROR;
        post_send(&shared->box[readers[i]], &sheet->to[readers[i]]);
    }
}

void mqtt_tell_error(struct loop *loop, const struct mqtt_error_text *error)
{
    tell_here(loop, error);
    tell_others(loop, error);
}

/* The letter of loop `index` on its sheet. */
static struct mqtt_error *sheet_of(struct letter *letter, unsigned index)
{
    return (struct mqtt_error *)((char *)(letter - index) - offsetof(struct mqtt_error, to));
}

void mqtt_take_error(struct loop *loop, struct letter *letter)
{
    struct mqtt_error *sheet = sheet_of(letter, loop->options.index);
    if (letter->kind == MQTT_LETTER_ERROR_BACK) {
        sheet->next_free = loop->mqtt->errors_free;
        loop->mqtt->errors_free = sheet;
        return;
    }
    ensure(letter->kind == MQTT_LETTER_ERROR);
    struct mqtt_error_text error = {sheet->source_id,
                                    {sheet->bytes, sheet->device_size},
                                    {sheet->bytes + sheet->device_size, sheet->payload_size}};
    tell_here(loop, &error);
    if (atomic_fetch_sub_explicit(&sheet->readers, 1, memory_order_acq_rel) > 1)
        return;
    sheet->to[sheet->home].kind = MQTT_LETTER_ERROR_BACK;
    post_send(&loop->mqtt->shared->box[sheet->home], &sheet->to[sheet->home]);
}
