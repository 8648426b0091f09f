/* mqtt_session: one MQTT client on its connection, and what a loop keeps of all of them: mqtt_protocol.c
 * (packets in, answers out), mqtt_connect.c, mqtt_publish.c, mqtt_subscribe.c, mqtt_errors.c. Nobody else
 * includes it but the loop.
 *
 *   NEW ──CONNECT──> ATTACHING ──directory──> ATTACHED ──closed, ended, taken over──> DETACHING
 * ──directory──> freed
 *
 * Owner:   connection->session; it outlives its connection until the directory has given its place back.
 * Threads: the loop's alone, but for the place while the directory has it. */
#ifndef VIGIE_DAEMON_INGEST_MQTT_SESSION_H
#define VIGIE_DAEMON_INGEST_MQTT_SESSION_H

#include "daemon/ingest/mqtt/mqtt_directory.h"
#include "daemon/ingest/mqtt/mqtt_encode.h"
#include "daemon/ingest/mqtt/mqtt_shared.h"
#include "daemon/ingest/mqtt/mqtt_wheel.h"
#include "daemon/ingest/request.h"

enum mqtt_session_state { MQTT_NEW, MQTT_ATTACHING, MQTT_ATTACHED, MQTT_DETACHING };

enum { MQTT_AUTHORIZATION_MAX = 256 };

struct mqtt_session {
    struct mqtt_place place; /* first: letters point here */
    struct wheel_entry keep_alive;
    struct loop *loop;
    struct connection *connection; /* NULL: it went away */
    struct request *connecting;    /* CONNECT, until the directory has answered */
    enum mqtt_session_state state;
    bool is_subscriber, forbids_reason, is_assigned; /* in mqtt_loop.subscribers */
    bool says_expiry, says_keep_alive;               /* CONNACK tells what was lowered */
    uint8_t end;                                     /* reason of the DISCONNECT that is due, 0: none */
    uint8_t level;                                   /* 0: before CONNECT */
    uint16_t keep_alive_s;
    uint32_t packet_max; /* that the client takes; UINT32_MAX without */
    LIST_ENTRY(mqtt_session) subscriber;
    uint16_t authorization_size; /* 0: by the certificate */
    char *authorization;         /* "Bearer TOKEN" */
};

struct loop;
struct mqtt_error;

struct mqtt_loop {
    struct post_box *box; /* the directory's answers, other loops' errors */
    struct mqtt_shared *shared;
    struct wheel wheel;
    uint32_t places_out; /* at the directory, or holding a client there */
    LIST_HEAD(, mqtt_session) subscribers;
    struct mqtt_error *errors_free;
    struct buffer scratch, packet; /* used within one call */
};

/* mqtt_session.c: a loop's part of it all; `loop->mqtt` is NULL without a listener that speaks MQTT. */
MUST_CHECK enum err mqtt_loop_new(struct loop *loop);
void mqtt_loop_free(struct loop *loop);
/* Takes letters. */
void mqtt_loop_collect(struct loop *loop);
/* Ends clients that have been silent too long; when to look again. */
int64_t mqtt_loop_expire(struct loop *loop);
/* Nothing of this loop is at the directory. */
bool mqtt_loop_is_idle(const struct loop *loop);

void mqtt_session_open(struct connection *connection);
void mqtt_session_close(struct connection *connection);
/* Hands the client's place back: from now on the session is another connection's. */
void mqtt_session_leave(struct mqtt_session *session);
/* Tells a client of MQTT 5 why, then ends the connection; answers that are due still leave. */
void mqtt_session_end(struct mqtt_session *session, enum mqtt_reason reason);
/* A packet has come. */
void mqtt_session_touch(struct mqtt_session *session);
const struct registry_source *mqtt_session_source(struct mqtt_session *session);

/* mqtt_connect.c */
void mqtt_connect(struct request *request);
/* The directory has answered. */
void mqtt_connected(struct mqtt_session *session);
/* CONNACK of a CONNECT that is refused before. */
void mqtt_refuse_connect(struct request *request, uint8_t level, enum mqtt_reason reason);

/* mqtt_publish.c */
/* Its head is whole; false: reader.fault says what is wrong with it. */
bool mqtt_take_publish(struct request *request);
void mqtt_publish(struct request *request); /* it is whole */
void mqtt_append_acknowledgement(struct request *request, struct buffer *out);
void mqtt_refuse(struct exchange *exchange, const struct exchange_fault *fault);
/* PUBREL: forgets the id; false: it was not known. */
bool mqtt_let_go(struct mqtt_session *session, uint16_t id);

/* mqtt_subscribe.c */
void mqtt_subscribe(struct request *request);
void mqtt_unsubscribe(struct request *request);
/* The device of vigie/v1/{device}/LEAF; {NULL, 0}: another topic. */
struct slice mqtt_topic_device(struct slice topic, const char *leaf);
void mqtt_session_list(struct mqtt_session *session); /* among the subscribers of the loop, if it is one */
void mqtt_session_unlist(struct mqtt_session *session);

/* mqtt_errors.c */
/* What became of a payload that was refused, to every subscriber of the source, on every loop. */
struct mqtt_error_text {
    int64_t source_id;
    struct slice device, payload;
};
void mqtt_tell_error(struct loop *loop, const struct mqtt_error_text *error);
void mqtt_take_error(struct loop *loop, struct letter *letter);
MUST_CHECK enum err mqtt_errors_init(struct mqtt_loop *mqtt, unsigned index);
uint64_t mqtt_device_hash(struct slice device); /* never SUBSCRIBED_TO_ALL */

#endif
