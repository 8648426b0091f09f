/* mqtt_connect: CONNECT to CONNACK. Who speaks is settled at once, by the token or the certificate; then the
 * directory gives the client its place, and its answer is the CONNACK. Until then nothing more of the
 * connection is read.
 *
 * Choices: wills are taken and never published: silence has an alert of its own. A will's, user and other
 * properties have no effect. Enhanced authentication is refused. A session lasts at most [listen] session_max
 * after its connection; one of 3.1.1 without clean session as long. While the daemon starts or stops clients
 * are refused with 0x88 (3.1.1: 0x03) and keep what they have to send. */
#include <string.h>

#include "daemon/base/slab.h"
#include "daemon/ingest/loop.h"
#include "daemon/ingest/mqtt/mqtt_session.h"
#include "daemon/registry/registry.h"

/* Return codes of 3.1.1 for what MQTT 5 says by reasons. */
static uint8_t return_code(enum mqtt_reason reason)
{
    switch (reason) {
    case MQTT_UNSUPPORTED_VERSION:
        return 1;
    case MQTT_BAD_CLIENT_ID:
        return 2;
    case MQTT_NOT_AUTHORIZED:
        return 5;
    default:
        return 3; /* server unavailable */
    }
}

void mqtt_refuse_connect(struct request *request, uint8_t level, enum mqtt_reason reason)
{
    struct mqtt_connack connack = {.level = level, .reason = reason, .session_expiry = -1, .keep_alive = -1};
    struct exchange *exchange = &request->exchange;
    if (level != MQTT_LEVEL_5)
        connack.reason = return_code(reason);
    counter_add(request->connection->loop->context.counters, COUNTER_MQTT_REFUSED, 1);
    mqtt_append_connack(&exchange->out, &connack);
    exchange->status = 400;
    request->keep_alive = false;
    request_ready(request);
}

/* The password is the token, whatever the user name; without a password the user name is; without both the
 * certificate speaks. */
static bool keep_authorization(struct mqtt_session *session, const struct mqtt_packet *packet)
{
    static const char scheme[] = "Bearer ";
    struct slice token = packet->has_password && packet->password.size > 0 ? packet->password : packet->user;
    size_t size = sizeof(scheme) - 1 + token.size;
    if (token.size == 0)
        return true;
    if (size > MQTT_AUTHORIZATION_MAX)
        return false;
    session->authorization = slab_take(size);
    memcpy(session->authorization, scheme, sizeof(scheme) - 1);
    memcpy(session->authorization + sizeof(scheme) - 1, token.data, token.size);
    session->authorization_size = (uint16_t)size;
    return true;
}

/* A client that names itself by nothing has a name made up: of its connection, so nobody else's. */
static bool keep_client(struct mqtt_session *session, const struct mqtt_packet *packet)
{
    struct mqtt_place *place = &session->place;
    uint8_t random[16];
    if (packet->client.size > CLIENT_BYTES_MAX)
        return false;
    if (packet->client.size > 0) {
        place->client_size = (uint8_t)packet->client.size;
        memcpy(place->client, packet->client.data, packet->client.size);
        return true;
    }
    if ((packet->level != MQTT_LEVEL_5 && !packet->clean) || hash_random(random, sizeof(random)) != OK)
        return false;
    static_assert(CLIENT_BYTES_MAX > 2 * sizeof(random) + 6, "a made-up name fits");
    memcpy(place->client, "vigie-", 6);
    hex_format(random, sizeof(random), place->client + 6);
    place->client_size = 6 + 2 * sizeof(random);
    session->is_assigned = packet->level == MQTT_LEVEL_5;
    return true;
}

static void keep_times(struct mqtt_session *session, const struct mqtt_packet *packet)
{
    const struct ingest_settings *settings = session->loop->settings;
    uint32_t keep_alive_max = (uint32_t)(settings->keepalive_max_ms / 1000);
    uint32_t expiry_max = (uint32_t)(settings->session_max_ms / 1000);
    uint32_t expiry = packet->level == MQTT_LEVEL_5 ? packet->properties.session_expiry
                      : packet->clean               ? 0
                                                    : UINT32_MAX;
    session->says_keep_alive = packet->keep_alive == 0 || packet->keep_alive > keep_alive_max;
    session->keep_alive_s = (uint16_t)(session->says_keep_alive ? keep_alive_max : packet->keep_alive);
    session->says_expiry = expiry > expiry_max;
    session->place.expiry_s = session->says_expiry ? expiry_max : expiry;
    session->place.clean = packet->clean;
}

static enum mqtt_reason judge(struct mqtt_session *session, const struct mqtt_packet *packet)
{
    const struct loop *loop = session->loop;
    bool accepting = atomic_load_explicit(&loop->options.node->accepting, memory_order_relaxed);
    if (packet->properties.has_auth_method)
        return MQTT_BAD_AUTHENTICATION_METHOD;
    if (loop->context.registry == NULL || loop->draining || !accepting)
        return MQTT_SERVER_UNAVAILABLE;
    if (!keep_client(session, packet))
        return MQTT_BAD_CLIENT_ID;
    if (!keep_authorization(session, packet))
        return MQTT_NOT_AUTHORIZED;
    const struct registry_source *source = mqtt_session_source(session);
    if (source == NULL)
        return MQTT_NOT_AUTHORIZED;
    session->place.source_id = source->source_id;
    return MQTT_SUCCESS;
}

void mqtt_connect(struct request *request)
{
    struct mqtt_session *session = request->connection->session;
    const struct mqtt_packet *packet = &request->mqtt.reader.packet;
    struct mqtt_loop *mqtt = session->loop->mqtt;
    enum mqtt_reason reason = judge(session, packet);
    if (reason != MQTT_SUCCESS) {
        mqtt_refuse_connect(request, packet->level, reason);
        return;
    }
    session->level = packet->level;
    session->forbids_reason = packet->properties.forbids_reason;
    if (packet->properties.packet_max > 0)
        session->packet_max = packet->properties.packet_max;
    keep_times(session, packet);
    session->connecting = request;
    session->state = MQTT_ATTACHING;
    request->state = REQUEST_WAITING;
    mqtt->places_out++;
    mqtt_directory_attach(mqtt->shared->directory, &session->place);
}

void mqtt_connected(struct mqtt_session *session)
{
    struct request *request = session->connecting;
    const struct mqtt_place *place = &session->place;
    ensure(request != NULL && request->state == REQUEST_WAITING);
    session->connecting = NULL;
    if (place->refusal != MQTT_SUCCESS) {
        mqtt_refuse_connect(request, session->level, place->refusal);
        return;
    }
    struct mqtt_connack connack = {
        .level = session->level,
        .session_present = place->present,
        .receive_max = RECEIVE_MAX,
        .packet_max = MQTT_PACKET_BYTES_MAX,
        .session_expiry = session->says_expiry ? (int64_t)place->expiry_s : -1,
        .keep_alive = session->says_keep_alive ? session->keep_alive_s : -1,
    };
    if (session->is_assigned)
        connack.assigned = (struct slice){place->client, place->client_size};
    mqtt_append_connack(&request->exchange.out, &connack);
    request->exchange.status = 200;
    mqtt_session_touch(session);
    wheel_add(&session->loop->mqtt->wheel, &session->keep_alive, session->keep_alive.until_ns);
    mqtt_session_list(session);
    request_ready(request);
}
