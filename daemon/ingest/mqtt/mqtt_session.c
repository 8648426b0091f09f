/* mqtt_session: from CONNECT to the last letter of the directory. A place is lent to the directory from
 * attach to DETACHED; so a session whose connection has gone stays until then, and a loop that ends waits for
 * all of them. */
#include "daemon/ingest/mqtt/mqtt_session.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/slab.h"
#include "daemon/ingest/loop.h"

enum { NOT_YET_NS = 1000000000 };

/* What the loops share, and the loop's part. */

enum err mqtt_shared_start(const char *state_dir, const struct cipher_keys *keys, unsigned loops,
                           struct wakeup *bells, struct mqtt_shared **ret_shared)
{
    struct mqtt_shared *shared = calloc(1, sizeof(*shared));
    if (shared == NULL)
        return ERR_NO_MEMORY;
    shared->loops = loops;
    for (unsigned i = 0; i < loops; i++)
        shared->box[i].bell = &bells[i];
    enum err error = mqtt_directory_start(state_dir, keys, &shared->directory);
    if (error == OK)
        *ret_shared = shared;
    else
        free(shared);
    return error;
}

void mqtt_shared_stop(struct mqtt_shared *shared)
{
    if (shared == NULL)
        return;
    mqtt_directory_stop(shared->directory);
    for (unsigned i = 0; i < shared->loops; i++)
        free(shared->sheets[i]);
    free(shared);
}

enum err mqtt_loop_new(struct loop *loop)
{
    struct mqtt_shared *shared = loop->options.shared->mqtt;
    if (shared == NULL)
        return OK;
    struct mqtt_loop *mqtt = calloc(1, sizeof(*mqtt));
    if (mqtt == NULL)
        return ERR_NO_MEMORY;
    mqtt->shared = shared;
    mqtt->box = &shared->box[loop->options.index];
    LIST_INIT(&mqtt->subscribers);
    wheel_init(&mqtt->wheel, loop->context.now_ns);
    loop->mqtt = mqtt;
    return mqtt_errors_init(mqtt, loop->options.index);
}

void mqtt_loop_free(struct loop *loop)
{
    struct mqtt_loop *mqtt = loop->mqtt;
    if (mqtt == NULL)
        return;
    buffer_deinit(&mqtt->scratch);
    buffer_deinit(&mqtt->packet);
    free(mqtt);
    loop->mqtt = NULL;
}

bool mqtt_loop_is_idle(const struct loop *loop)
{
    return loop->mqtt == NULL || loop->mqtt->places_out == 0;
}

/* A session. */

void mqtt_session_open(struct connection *conn)
{
    struct mqtt_session *session = slab_take_zeroed(sizeof(*session));
    session->connection = conn;
    session->loop = conn->loop;
    session->packet_max = UINT32_MAX;
    session->place.home = conn->loop->mqtt->box;
    conn->session = session;
}

static void session_free(struct mqtt_session *session)
{
    ensure(session->connection == NULL && !session->is_subscriber && !session->keep_alive.linked);
    slab_give(session->authorization);
    slab_give(session);
}

void mqtt_session_leave(struct mqtt_session *session)
{
    struct mqtt_loop *mqtt = session->loop->mqtt;
    mqtt_session_unlist(session);
    wheel_remove(&mqtt->wheel, &session->keep_alive);
    if (session->state != MQTT_ATTACHED)
        return;
    session->state = MQTT_DETACHING;
    mqtt_directory_detach(mqtt->shared->directory, &session->place);
}

void mqtt_session_close(struct connection *conn)
{
    struct mqtt_session *session = conn->session;
    conn->session = NULL;
    session->connection = NULL;
    session->connecting = NULL;
    mqtt_session_leave(session);
    if (session->state == MQTT_NEW)
        session_free(session);
}

void mqtt_session_end(struct mqtt_session *session, enum mqtt_reason reason)
{
    struct connection *conn = session->connection;
    struct mqtt_loop *mqtt = session->loop->mqtt;
    mqtt_session_leave(session);
    if (conn == NULL)
        return;
    buffer_clear(&mqtt->packet);
    if (session->level == MQTT_LEVEL_5)
        mqtt_append_disconnect(&mqtt->packet, reason, NULL);
    (void)connection_push(conn, mqtt->packet.data, mqtt->packet.size); /* a courtesy: the end tells too */
    connection_drain(conn);
}

/* One and a half times the keep-alive, as the standard has it. */
void mqtt_session_touch(struct mqtt_session *session)
{
    session->keep_alive.until_ns =
        session->loop->context.now_ns + session->keep_alive_s * INT64_C(1500000000);
}

const struct registry_source *mqtt_session_source(struct mqtt_session *session)
{
    if (session->loop->context.registry == NULL || session->connection == NULL)
        return NULL;
    return connection_source(session->connection,
                             (struct slice){session->authorization, session->authorization_size});
}

/* Letters. */

static void took_over(struct mqtt_session *session)
{
    counter_add(session->loop->context.counters, COUNTER_MQTT_TAKEOVERS, 1);
    if (session->state == MQTT_ATTACHED)
        mqtt_session_end(session, MQTT_TAKEN_OVER);
}

/* The place is ours again, for good when it was refused. */
static void attached(struct mqtt_session *session)
{
    struct mqtt_loop *mqtt = session->loop->mqtt;
    bool is_refused = session->place.refusal != MQTT_SUCCESS;
    ensure(session->state == MQTT_ATTACHING);
    session->state = is_refused ? MQTT_NEW : MQTT_ATTACHED;
    mqtt->places_out -= is_refused;
    if (session->connection != NULL)
        mqtt_connected(session);
    else if (is_refused)
        session_free(session);
    else
        mqtt_session_leave(session);
}

static void detached(struct mqtt_session *session)
{
    session->loop->mqtt->places_out--;
    session->state = MQTT_NEW;
    if (session->connection == NULL)
        session_free(session);
}

void mqtt_loop_collect(struct loop *loop)
{
    if (loop->mqtt == NULL)
        return;
    for (struct letter *next, *letter = post_take(loop->mqtt->box); letter != NULL; letter = next) {
        next = letter->next;
        switch (letter->kind) {
        case MQTT_LETTER_ATTACHED:
            attached((struct mqtt_session *)letter); /* the place and its letter come first */
            break;
        case MQTT_LETTER_DETACHED:
            detached((struct mqtt_session *)letter);
            break;
        case MQTT_LETTER_TAKEN_OVER:
            took_over((struct mqtt_session *)((char *)letter - offsetof(struct mqtt_session, place.notice)));
            break;
        default:
            mqtt_take_error(loop, letter);
        }
    }
}

/* Deadlines. */

int64_t mqtt_loop_expire(struct loop *loop)
{
    struct mqtt_loop *mqtt = loop->mqtt;
    int64_t now_ns = loop->context.now_ns;
    if (mqtt == NULL)
        return INT64_MAX;
    for (struct wheel_entry *entry; (entry = wheel_take_due(&mqtt->wheel, now_ns)) != NULL;) {
        struct mqtt_session *session =
            (struct mqtt_session *)((char *)entry - offsetof(struct mqtt_session, keep_alive));
        if (session->connection->requests > 0) { /* we are late, not the client: a PINGREQ may wait unread */
            wheel_add(&mqtt->wheel, entry, now_ns + NOT_YET_NS);
            continue;
        }
        counter_add(loop->context.counters, COUNTER_MQTT_SILENT, 1);
        mqtt_session_end(session, MQTT_KEEP_ALIVE_TIMEOUT);
    }
    return wheel_next_ns(&mqtt->wheel);
}
