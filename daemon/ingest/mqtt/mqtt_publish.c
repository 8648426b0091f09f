/* mqtt_publish: a message in, its acknowledgement out.
 * The payload goes through the door that serves the same structure over HTTPS; this file stands between: a
 * door of its own that calls the other, looks what was refused, and says so in the words of MQTT.
 *
 *              who can be told (5, QoS 1 and 2)        who cannot (3.1.1, QoS 0)
 *   all good   PUBACK, PUBREC                          the same; QoS 0: nothing
 *   some bad   the same; the errors topic names them   the same, and the payload is kept in vigie.rejected
 *   all bad    the reason of the first, with a text    acknowledged, errors topic, kept in vigie.rejected
 *   busy, quota, not durable: 0x97                 not acknowledged: the connection ends, the client sends
 * again
 *
 * Choices: a PUBLISH of QoS 2 whose id waits for its PUBREL is decoded again, not answered from memory: a
 * client that has lost its own state may send another message under that id, and the same message is a
 * duplicate anyway. Messages of QoS 0 that are not accepted are lost, as their sender has chosen, and
 * counted. Retained or not is all one. What comes while the daemon starts or stops is not acknowledged, in
 * MQTT 5 neither: a client takes a refusal as the message's end, but sends again by itself what was not
 * answered. Receive Maximum is kept by back-pressure: beyond it a connection is not read, so a client that
 * sends more at once (paho does after a reconnection) goes on; only one whose QoS 2 messages all wait for
 * PUBREL is ended for sending another.
 * `$SYS/broker/connection/NAME/state`, where mosquitto's bridge tells its own state, is acknowledged and
 * dropped. */
#include <stdio.h>
#include <string.h>

#include "daemon/ingest/doors.h"
#include "daemon/ingest/fhir/fhir.h"
#include "daemon/ingest/loop.h"
#include "daemon/ingest/mqtt/mqtt_session.h"
#include "daemon/ingest/note.h"
#include "daemon/ingest/pull/slice.h"
#include "daemon/ingest/readings/readings.h"
#include "daemon/registry/registry.h"

static bool is_untold(const struct mqtt_message *message)
{
    return message->level != MQTT_LEVEL_5 || message->reader.packet.qos == 0;
}

static struct loop *loop_of(struct loop_context *context)
{
    return (struct loop *)((char *)context - offsetof(struct loop, context));
}

static struct request *request_of(struct exchange *exchange)
{
    return (struct request *)exchange; /* its first member */
}

/* What was refused. */

static const struct note *first_refused(struct exchange *exchange)
{
    size_t count;
    const struct note *notes = notes_of(exchange, &count);
    for (size_t i = 0; i < count; i++)
        if (notes[i].kind == NOTE_REFUSED && notes[i].verdict >= VERDICT_MALFORMED)
            return &notes[i];
    return NULL;
}

/* VERDICT_ACCEPTED: none. */
static enum verdict first_refused_head(const struct ticket *ticket)
{
    for (uint32_t i = 0; i < ticket->count; i++)
        if (ticket->heads[i].verdict >= VERDICT_MALFORMED)
            return (enum verdict)ticket->heads[i].verdict;
    return VERDICT_ACCEPTED;
}

/* The text of a member of the answer that a door has rendered, as it stands there. */
static struct slice said(const struct exchange *exchange, const char *member)
{
    const struct buffer *out = &exchange->out;
    size_t size = strlen(member);
    const char *begin = out->size > 0 ? memmem(out->data, out->size, member, size) : NULL;
    if (begin == NULL)
        return (struct slice){NULL, 0};
    begin += size;
    const char *at = begin, *end = out->data + out->size;
    while (at < end && *at != '"')
        at += *at == '\\' ? 2 : 1;
    return (struct slice){begin, (size_t)((at < end ? at : end) - begin)};
}

static void keep_text(struct mqtt_message *message, struct slice text, struct slice found)
{
    struct slice cut = note_cut(text, sizeof(message->text) - NOTE_FOUND_MAX - 16);
    snprintf(message->text, sizeof(message->text), "%.*s%s%.*s", (int)cut.size, cut.data,
             found.size > 0 ? "; found " : "", (int)found.size, found.data != NULL ? found.data : "");
    message->words = cut.size;
}

/* An error of the door itself: not a reading of it could be looked at. */
static void judge_error(struct exchange *exchange, struct mqtt_message *message)
{
    struct slice text = said(exchange, "\"text\":\"");
    if (text.data == NULL)
        text = said(exchange, "\"diagnostics\":\"");
    message->code = exchange->status == 403 ? "forbidden" : "bad-request";
    message->reason = exchange->status == 403 ? MQTT_NOT_AUTHORIZED : MQTT_BAD_PAYLOAD;
    keep_text(message, text.data != NULL ? text : (struct slice){"the payload cannot be read", 26},
              (struct slice){NULL, 0});
    if (message->topic == MQTT_TOPIC_FHIR)
        message->words = 0; /* it may name what was found */
}

/* Sets code, text and reason: of the first reading that was refused; `is_whole`: nothing else was kept. */
static void judge(struct exchange *exchange, bool is_whole)
{
    struct mqtt_message *message = &request_of(exchange)->mqtt;
    const struct note *note = exchange->ticket->count > 0 ? first_refused(exchange) : NULL;
    enum verdict verdict = note != NULL ? note->verdict : first_refused_head(exchange->ticket);
    message->code = NULL;
    message->reason = MQTT_SUCCESS;
    if (verdict == VERDICT_ACCEPTED) {
        if (is_whole)
            judge_error(exchange, message);
        return;
    }
    const char *text = note != NULL && note->text != NULL ? note->text : verdict_text(verdict);
    message->code = verdict_code(verdict);
    message->reason = is_whole ? (uint8_t)verdict_mqtt(verdict) : MQTT_SUCCESS;
    keep_text(message, (struct slice){text, strlen(text)},
              note != NULL ? (struct slice){note->found, note->found_size} : (struct slice){NULL, 0});
}

/* {"packet":…,"topic":…,"code":…,"text":…,"rejected":[…]} into the loop's scratch. */
static struct slice render_error(struct loop *loop, struct exchange *exchange)
{
    enum { LIST_BYTES_MAX = 8192 };
    struct mqtt_message *message = &request_of(exchange)->mqtt;
    const struct mqtt_packet *packet = &message->reader.packet;
    struct buffer *out = &loop->mqtt->scratch;
    buffer_clear(out);
    render_open(out, '{');
    render_key(out, "packet");
    if (packet->qos > 0)
        render_integer(out, packet->id);
    else
        render_null(out);
    render_key(out, "topic");
    render_string(out, packet->topic.data, packet->topic.size);
    render_text_member(out, "code", message->code);
    render_text_member(out, "text", message->text);
    render_key(out, "rejected");
    uint32_t left = readings_render_rejected(out, exchange, LIST_BYTES_MAX);
    if (left > 0)
        render_integer_member(out, "rejected_more", left);
    render_close(out, '}');
    return (struct slice){out->data, out->size};
}

static void tell(struct loop *loop, struct exchange *exchange, struct slice payload)
{
    const struct mqtt_message *message = &request_of(exchange)->mqtt;
    struct mqtt_error_text error = {message->source_id, exchange->device, payload};
    mqtt_tell_error(loop, &error);
}

/* The door between. */

static void answer(struct loop_context *context, struct exchange *exchange)
{
    struct loop *loop = loop_of(context);
    struct mqtt_message *message = &request_of(exchange)->mqtt;
    if (message->is_settled) {
        exchange->status = 200;
        tell(loop, exchange, (struct slice){exchange->state.data, exchange->state.size});
        return;
    }
    message->door->answer(context, exchange);
    if (message->is_decoding)
        return;
    judge(exchange, exchange->status >= 300);
    if (message->code != NULL)
        tell(loop, exchange, render_error(loop, exchange));
}

/* The payload as it came, once: what the door may have kept of it piece by piece is in it. */
static void keep_payload(struct exchange *exchange)
{
    const struct mqtt_message *message = &request_of(exchange)->mqtt;
    static const char unsaid[] = "the payload cannot be read";
    struct rejection rejection = {
        .source_id = message->source_id,
        .code = message->code,
        .text = message->words > 0 ? (struct slice){message->text, message->words}
                                   : (struct slice){unsaid, sizeof unsaid - 1},
        .original = {exchange->body, exchange->body_size},
    };
    ticket_reject_nothing(exchange->ticket);
    ensure(ticket_reject(exchange->ticket, &rejection)); /* one, of at most MESSAGE_BYTES_MAX */
}

/* Nothing of the message was kept, and its sender cannot be told: it goes to the shards as a rejected record
 * alone. */
static enum door_step settle(struct loop *loop, struct exchange *exchange)
{
    struct ticket *ticket = exchange->ticket;
    struct slice payload = render_error(loop, exchange);
    counter_add(loop->context.counters, COUNTER_READINGS_REJECTED, ticket->count);
    for (uint32_t shard = 0; shard < loop->context.shards; shard++)
        ticket->parts[shard].count = 0;
    ticket->count = 0;
    buffer_clear(&exchange->state);
    buffer_append(&exchange->state, payload.data, payload.size);
    request_of(exchange)->mqtt.is_settled = true;
    keep_payload(exchange);
    return DOOR_SUBMITTED;
}

static enum door_step handle(struct loop_context *context, struct exchange *exchange)
{
    struct loop *loop = loop_of(context);
    struct mqtt_message *message = &request_of(exchange)->mqtt;
    message->source_id = exchange->source->source_id;
    message->is_decoding = true;
    enum door_step step = message->door->handle(context, exchange);
    message->is_decoding = false;
    bool is_whole = step == DOOR_ANSWERED && exchange->status >= 300;
    judge(exchange, is_whole);
    if (message->code == NULL)
        return step;
    if (is_untold(message) && step == DOOR_ANSWERED)
        return settle(loop, exchange);
    if (is_untold(message))
        keep_payload(exchange);
    else if (step == DOOR_ANSWERED)
        tell(loop, exchange, render_error(loop, exchange));
    return step;
}

static void error(struct exchange *exchange, int status, const char *code, const char *text)
{
    request_of(exchange)->mqtt.door->error(exchange, status, code, text);
}

static const struct door payload_door = {.path = "mqtt",
                                         .methods = METHOD_POST,
                                         .allow = "POST",
                                         .handle = handle,
                                         .answer = answer,
                                         .error = error};

/* Which door decodes it. */

static struct slice behind_mark(struct slice text)
{
    bool is_marked = text.size >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0;
    return is_marked ? (struct slice){text.data + 3, text.size - 3} : text;
}

/* White space begins JSON too: of CBOR's first bytes none is one of these that could begin a message. */
static bool is_json(struct slice body)
{
    body = behind_mark(body);
    return body.size == 0 || memchr("{[ \t\r\n", *body.data, 6) != NULL;
}

static struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static void choose_door(struct request *request)
{
    struct exchange *exchange = &request->exchange;
    struct slice body = {exchange->body, exchange->body_size};
    bool is_fhir = request->mqtt.topic == MQTT_TOPIC_FHIR;
    const char *type = is_fhir         ? "application/fhir+json"
                       : is_json(body) ? "application/json"
                                       : "application/cbor";
    exchange->path = slice_of(is_fhir ? "/fhir" : "/v1/readings");
    exchange->content_type = slice_of(type);
    exchange->method = METHOD_POST;
    exchange->door = &payload_door;
    request->mqtt.door = is_fhir ? &fhir_resource_door : doors_find(exchange->path);
    ensure(request->mqtt.door != NULL);
}

/* Packets. */

static bool is_bridge_state(struct slice topic)
{
    static const char begin[] = "$SYS/broker/connection/", end[] = "/state";
    return topic.size > sizeof(begin) + sizeof(end) - 2 &&
           memcmp(topic.data, begin, sizeof(begin) - 1) == 0 &&
           memcmp(topic.data + topic.size - (sizeof(end) - 1), end, sizeof(end) - 1) == 0;
}

static bool is_held(const struct mqtt_session *session, uint16_t id)
{
    for (unsigned i = 0; i < session->place.state.releases; i++)
        if (session->place.state.release[i] == id)
            return true;
    return false;
}

bool mqtt_take_publish(struct request *request)
{
    struct mqtt_session *session = request->connection->session;
    struct mqtt_message *message = &request->mqtt;
    const struct mqtt_packet *packet = &message->reader.packet;
    struct slice readings = mqtt_topic_device(packet->topic, "/readings");
    struct slice fhir = mqtt_topic_device(packet->topic, "/fhir");
    message->level = session->level;
    request->exchange.device = readings.data != NULL ? readings : fhir;
    message->topic = readings.data != NULL            ? MQTT_TOPIC_READINGS
                     : fhir.data != NULL              ? MQTT_TOPIC_FHIR
                     : is_bridge_state(packet->topic) ? MQTT_TOPIC_IGNORED
                                                      : MQTT_TOPIC_FOREIGN;
    if (session->level == MQTT_LEVEL_5 && packet->qos > 0 && session->place.state.releases == RECEIVE_MAX &&
        !is_held(session, packet->id)) {
        message->reader.fault =
            (struct mqtt_fault){MQTT_RECEIVE_MAXIMUM_EXCEEDED, "more than Receive Maximum"};
        return false;
    }
    return true;
}

void mqtt_publish(struct request *request)
{
    struct mqtt_message *message = &request->mqtt;
    if (message->topic <= MQTT_TOPIC_FHIR) {
        choose_door(request);
        request_dispatch(request->connection->loop, request);
        return;
    }
    if (message->topic == MQTT_TOPIC_FOREIGN) {
        message->reason = MQTT_NOT_AUTHORIZED;
        snprintf(message->text, sizeof(message->text), "no such topic is served");
        message->is_withheld = message->level != MQTT_LEVEL_5;
        request->keep_alive = !message->is_withheld;
    }
    request->exchange.status = 200;
    request_ready(request);
}

static bool is_ending(const struct request *request)
{
    return request->connection != NULL && request->connection->loop->draining;
}

void mqtt_refuse(struct exchange *exchange, const struct exchange_fault *fault)
{
    struct request *request = request_of(exchange);
    struct mqtt_message *message = &request->mqtt;
    bool is_publish = message->reader.packet.type == MQTT_PUBLISH;
    exchange->status = fault->status;
    snprintf(message->text, sizeof(message->text), "%s", fault->text);
    if (!is_publish || fault->status == 401 || fault->status == 408) {
        message->end = fault->status == 401 ? MQTT_NOT_AUTHORIZED : MQTT_KEEP_ALIVE_TIMEOUT;
        message->is_withheld = true;
    }
    if (fault->text == request_fault(REFUSE_NOT_ACCEPTING)->text || is_ending(request)) {
        message->end = MQTT_SHUTTING_DOWN;
        message->is_withheld = true;
    }
    message->reason = MQTT_QUOTA_EXCEEDED;
    message->is_withheld |= message->level != MQTT_LEVEL_5 && message->reader.packet.qos > 0;
    if (message->is_withheld)
        request->keep_alive = false;
}

static void hold(struct mqtt_session *session, uint16_t id)
{
    struct mqtt_state *state = &session->place.state;
    if (session->state != MQTT_ATTACHED || is_held(session, id))
        return;
    if (state->releases == RECEIVE_MAX) /* of 3.1.1, where nothing depends on it */
        memmove(state->release, state->release + 1, --state->releases * sizeof(state->release[0]));
    state->release[state->releases++] = id;
}

bool mqtt_let_go(struct mqtt_session *session, uint16_t id)
{
    struct mqtt_state *state = &session->place.state;
    for (unsigned i = 0; i < state->releases; i++)
        if (state->release[i] == id) {
            state->releases--;
            memmove(state->release + i, state->release + i + 1,
                    (state->releases - i) * sizeof(state->release[0]));
            return true;
        }
    return false;
}

void mqtt_append_acknowledgement(struct request *request, struct buffer *out)
{
    enum { FRAME_BYTES = 16 };
    struct mqtt_session *session = request->connection->session;
    const struct mqtt_message *message = &request->mqtt;
    const struct mqtt_packet *packet = &message->reader.packet;
    struct counters *counters = session->loop->context.counters;
    bool is_refused =
        message->is_withheld || (message->level == MQTT_LEVEL_5 && message->reason >= MQTT_UNSPECIFIED);
    if (packet->qos == 0) {
        counter_add(counters, COUNTER_MQTT_DROPPED, message->reason == MQTT_QUOTA_EXCEEDED);
        return;
    }
    if (message->is_withheld) {
        counter_add(counters, COUNTER_MQTT_UNACKNOWLEDGED, 1);
        return;
    }
    struct mqtt_ack ack = {packet->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, message->level, message->reason,
                           packet->id, NULL};
    if (is_refused && !session->forbids_reason && strlen(message->text) + FRAME_BYTES <= session->packet_max)
        ack.text = message->text;
    if (packet->qos == 2 && !is_refused)
        hold(session, packet->id);
    mqtt_append_ack(out, &ack);
}
