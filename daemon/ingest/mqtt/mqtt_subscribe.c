/* mqtt_subscribe: the one thing a client can hear of: errors of its own source's messages.
 *
 *   vigie/v1/{device}/errors   a device that the source may speak for; system and patient sources name any
 * text vigie/v1/+/errors          all of them
 *
 * What comes is only ever about messages of the same source, whatever the filter. Granted QoS 0. */
#include <string.h>

#include "daemon/ingest/loop.h"
#include "daemon/ingest/mqtt/mqtt_session.h"
#include "daemon/ingest/pull/slice.h"
#include "daemon/registry/registry.h"

enum { REFUSED_3_1_1 = 0x80 };

struct slice mqtt_topic_device(struct slice topic, const char *leaf)
{
    static const char root[] = "vigie/v1/";
    size_t root_size = sizeof(root) - 1, leaf_size = strlen(leaf);
    struct slice none = {NULL, 0};
    if (topic.size <= root_size + leaf_size || memcmp(topic.data, root, root_size) != 0 ||
        memcmp(topic.data + topic.size - leaf_size, leaf, leaf_size) != 0)
        return none;
    struct slice device = {topic.data + root_size, topic.size - root_size - leaf_size};
    return memchr(device.data, '/', device.size) == NULL ? device : none;
}

uint64_t mqtt_device_hash(struct slice device)
{
    uint64_t hash = hash_xxh64(device.data, device.size);
    return hash != SUBSCRIBED_TO_ALL ? hash : 1;
}

static bool may_hear_of(struct mqtt_session *session, struct slice device)
{
    const struct registry_source *source = mqtt_session_source(session);
    if (source == NULL)
        return false;
    if (source->kind == SOURCE_SYSTEM || source->kind == SOURCE_PATIENT)
        return true;
    const struct registry_device *known = registry_device_by_ref(
        session->loop->context.registry, source->organization_id, device.data, device.size);
    return known != NULL && registry_source_has_device(source, known);
}

/* Wildcards stand alone in their level, '#' in the last one. */
static bool is_filter(struct slice filter)
{
    for (size_t i = 0; i < filter.size; i++) {
        bool begins = i == 0 || filter.data[i - 1] == '/',
             ends = i + 1 == filter.size || filter.data[i + 1] == '/';
        if (filter.data[i] == '+' && (!begins || !ends))
            return false;
        if (filter.data[i] == '#' && (!begins || i + 1 != filter.size))
            return false;
    }
    return true;
}

static uint64_t *find(struct mqtt_state *state, uint64_t subscription)
{
    for (unsigned i = 0; i < state->subscriptions; i++)
        if (state->subscription[i] == subscription)
            return &state->subscription[i];
    return NULL;
}

static uint64_t subscription_of(struct slice device)
{
    return slice_is(device, "+") ? SUBSCRIBED_TO_ALL : mqtt_device_hash(device);
}

static enum mqtt_reason add(struct mqtt_session *session, struct slice filter)
{
    struct mqtt_state *state = &session->place.state;
    struct slice device = mqtt_topic_device(filter, "/errors");
    if (!is_filter(filter))
        return MQTT_BAD_FILTER;
    if (filter.size > 7 && memcmp(filter.data, "$share/", 7) == 0)
        return MQTT_SHARED_NOT_SUPPORTED;
    if (device.data == NULL || memchr(device.data, '#', device.size) != NULL)
        return MQTT_NOT_AUTHORIZED;
    if (!slice_is(device, "+") && !may_hear_of(session, device))
        return MQTT_NOT_AUTHORIZED;
    if (find(state, subscription_of(device)) != NULL)
        return MQTT_SUCCESS;
    if (state->subscriptions == SUBSCRIPTIONS_MAX)
        return MQTT_QUOTA_EXCEEDED;
    state->subscription[state->subscriptions++] = subscription_of(device);
    return MQTT_SUCCESS;
}

static enum mqtt_reason drop(struct mqtt_session *session, struct slice filter)
{
    struct mqtt_state *state = &session->place.state;
    struct slice device = mqtt_topic_device(filter, "/errors");
    uint64_t *found = device.data != NULL ? find(state, subscription_of(device)) : NULL;
    if (!is_filter(filter))
        return MQTT_BAD_FILTER;
    if (found == NULL)
        return MQTT_NO_SUBSCRIPTION_EXISTED;
    *found = state->subscription[--state->subscriptions];
    return MQTT_SUCCESS;
}

void mqtt_session_unlist(struct mqtt_session *session)
{
    struct mqtt_loop *mqtt = session->loop->mqtt;
    if (!session->is_subscriber)
        return;
    session->is_subscriber = false;
    LIST_REMOVE(session, subscriber);
    atomic_fetch_sub_explicit(&mqtt->shared->subscribers[session->loop->options.index], 1,
                              memory_order_relaxed);
}

void mqtt_session_list(struct mqtt_session *session)
{
    struct mqtt_loop *mqtt = session->loop->mqtt;
    if (session->place.state.subscriptions == 0)
        mqtt_session_unlist(session);
    if (session->is_subscriber || session->place.state.subscriptions == 0)
        return;
    session->is_subscriber = true;
    LIST_INSERT_HEAD(&mqtt->subscribers, session, subscriber);
    atomic_fetch_add_explicit(&mqtt->shared->subscribers[session->loop->options.index], 1,
                              memory_order_relaxed);
}

static void take_filters(struct request *request, enum mqtt_type answer,
                         enum mqtt_reason (*take)(struct mqtt_session *session, struct slice filter))
{
    struct mqtt_session *session = request->connection->session;
    const struct mqtt_packet *packet = &request->mqtt.reader.packet;
    struct slice filters = packet->filters, filter;
    struct buffer *reasons = &session->loop->mqtt->scratch;
    uint8_t options;
    buffer_clear(reasons);
    while (mqtt_next_filter(&filters, packet->type == MQTT_SUBSCRIBE, &filter, &options)) {
        uint8_t reason = take(session, filter);
        if (session->level != MQTT_LEVEL_5 && reason != MQTT_SUCCESS)
            reason = REFUSED_3_1_1;
        buffer_append(reasons, &reason, 1);
    }
    mqtt_session_list(session);
    mqtt_append_suback(&request->exchange.out, answer, session->level, packet->id,
                       (struct slice){reasons->data, reasons->size});
    request->exchange.status = 200;
    request_ready(request);
}

void mqtt_subscribe(struct request *request)
{
    take_filters(request, MQTT_SUBACK, add);
}

void mqtt_unsubscribe(struct request *request)
{
    take_filters(request, MQTT_UNSUBACK, drop);
}
