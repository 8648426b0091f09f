/* mqtt_protocol: MQTT as a protocol of the listeners: packets in, answers out. Every packet is a request of
 * the connection, so that answers leave in the order of the packets: PUBACKs in the order of their PUBLISHes.
 * What breaks the standard ends the connection; a client of MQTT 5 that is connected is told the reason
 * first. */
#include "daemon/ingest/loop.h"
#include "daemon/ingest/mqtt/mqtt_session.h"

static struct mqtt_session *session_of(const struct request *request)
{
    return request->connection->session;
}

static const struct registry_source *source(struct request *request)
{
    return mqtt_session_source(session_of(request));
}

/* Nothing behind it is read. A CONNECT that is no good is answered by CONNACK where its version can be told.
 */
static enum read_step fail(struct request *request, const struct mqtt_fault *fault)
{
    struct mqtt_session *session = session_of(request);
    struct mqtt_message *message = &request->mqtt;
    uint8_t level = message->reader.packet.level;
    counter_add(session->loop->context.counters, COUNTER_MQTT_FAULTS, 1);
    request->keep_alive = false;
    request->exchange.status = 400;
    message->is_withheld = true;
    message->end = fault->reason;
    mqtt_session_leave(session);
    if (session->level == 0 && level != 0 &&
        (level >= MQTT_LEVEL_5 || fault->reason == MQTT_UNSUPPORTED_VERSION))
        mqtt_refuse_connect(request, level >= MQTT_LEVEL_5 ? MQTT_LEVEL_5 : level, fault->reason);
    else
        request_ready(request);
    return READ_FAULT;
}

static void answer_ready(struct request *request)
{
    request->exchange.status = 200;
    request_ready(request);
}

/* MQTT 5 lets a client change its session's end, but not begin a session at the end of a connection without
 * one. */
static bool take_disconnect(struct request *request)
{
    struct mqtt_session *session = session_of(request);
    const struct mqtt_properties *properties = &request->mqtt.reader.packet.properties;
    int64_t max_s = session->loop->settings->session_max_ms / 1000;
    if (properties->has_session_expiry) {
        if (session->place.expiry_s == 0 && properties->session_expiry > 0)
            return false;
        session->place.expiry_s =
            properties->session_expiry > max_s ? (uint32_t)max_s : properties->session_expiry;
    }
    mqtt_session_leave(session);
    request->keep_alive = false;
    answer_ready(request);
    return true;
}

static void take_release(struct request *request)
{
    struct mqtt_session *session = session_of(request);
    uint16_t id = request->mqtt.reader.packet.id;
    bool was_held = mqtt_let_go(session, id);
    mqtt_append_ack(&request->exchange.out,
                    &(struct mqtt_ack){MQTT_PUBCOMP, session->level,
                                       was_held ? MQTT_SUCCESS : MQTT_UNKNOWN_PACKET_ID, id, NULL});
    answer_ready(request);
}

static enum read_step take_packet(struct request *request)
{
    struct mqtt_session *session = session_of(request);
    enum mqtt_type type = request->mqtt.reader.packet.type;
    static const struct mqtt_fault again = {MQTT_PROTOCOL_ERROR, "a second CONNECT"},
                                   method = {MQTT_BAD_AUTHENTICATION_METHOD,
                                             "no authentication exchange is served"},
                                   expiry = {MQTT_PROTOCOL_ERROR, "a session that ends with its connection"};
    mqtt_session_touch(session);
    switch (type) {
    case MQTT_CONNECT:
        if (session->level != 0)
            return fail(request, &again);
        mqtt_connect(request);
        break;
    case MQTT_PUBLISH:
        mqtt_publish(request);
        break;
    case MQTT_PUBREL:
        take_release(request);
        break;
    case MQTT_SUBSCRIBE:
        mqtt_subscribe(request);
        break;
    case MQTT_UNSUBSCRIBE:
        mqtt_unsubscribe(request);
        break;
    case MQTT_PINGREQ:
        mqtt_append_pingresp(&request->exchange.out);
        answer_ready(request);
        break;
    case MQTT_DISCONNECT:
        if (!take_disconnect(request))
            return fail(request, &expiry);
        break;
    case MQTT_AUTH:
        return fail(request, &method);
    default:
        ensure_unreachable(); /* the decoder lets nothing else through */
    }
    return READ_DONE;
}

/* What is not kept passes by. */
static void take_payload(struct loop *loop, struct request *request)
{
    struct slice piece = request->mqtt.reader.piece;
    if (request->mqtt.topic > MQTT_TOPIC_FHIR || request->refusal.status != 0)
        return;
    if (!request_body_append(loop, request, piece.data, piece.size))
        request->refusal = *request_fault(REFUSE_BUSY);
}

static enum read_step feed(struct loop *loop, struct request *request, const char *data, size_t size,
                           size_t *ret_used)
{
    struct mqtt_reader *reader = &request->mqtt.reader;
    enum read_step step;
    *ret_used = 0;
    if (!mqtt_reader_has_begun(reader)) {
        struct mqtt_reader kept = *reader;
        request->mqtt = (struct mqtt_message){.reader = kept, .level = session_of(request)->level};
        mqtt_reader_reset(reader, request->mqtt.level);
        request->keep_alive = true;
    }
    for (;;) {
        size_t used;
        step = mqtt_reader_feed(reader, data + *ret_used, size - *ret_used, &used);
        *ret_used += used;
        if (step == READ_HEAD && !mqtt_take_publish(request))
            step = READ_FAULT;
        if (step == READ_BODY)
            take_payload(loop, request);
        if (step == READ_FAULT)
            return fail(request, &reader->fault);
        if (step == READ_DONE)
            return take_packet(request);
        if (step == READ_MORE)
            return READ_MORE;
    }
}

/* Why a connection ends with this answer, 0: it does not, or its client ends it. */
static uint8_t end_of(const struct loop *loop, const struct request *request)
{
    bool is_ended = request->mqtt.reader.packet.type == MQTT_DISCONNECT;
    if (request->keep_alive || request->mqtt.end != 0 || is_ended)
        return request->keep_alive ? 0 : request->mqtt.end;
    return request->mqtt.is_withheld ? MQTT_NOT_AUTHORIZED : loop->draining ? MQTT_SHUTTING_DOWN : 0;
}

/* DISCONNECT is the last thing that is said: behind the answers that were still due. */
static void append_answer(struct loop *loop, struct request *request, struct buffer *out)
{
    struct mqtt_session *session = session_of(request);
    enum mqtt_type type = request->mqtt.reader.packet.type;
    bool is_whole = request->mqtt.reader.state == MQTT_AFTER;
    if (is_whole && type == MQTT_PUBLISH)
        mqtt_append_acknowledgement(request, out);
    else
        buffer_append(out, request->exchange.out.data, request->exchange.out.size);
    if (session->end == 0)
        session->end = end_of(loop, request);
    bool is_refused =
        type == MQTT_CONNECT && request->exchange.out.size > 0 && request->exchange.status != 200;
    if (session->end != 0 && session->level == MQTT_LEVEL_5 && !is_refused &&
        request->connection->first == NULL)
        mqtt_append_disconnect(out, session->end, NULL);
}

const struct protocol mqtt_protocol = {
    .name = "mqtt",
    .pipeline_max = RECEIVE_MAX,
    .keeps_idle_time = true,
    .open = mqtt_session_open,
    .close = mqtt_session_close,
    .feed = feed,
    .source = source,
    .refuse = mqtt_refuse,
    .append_answer = append_answer,
};
