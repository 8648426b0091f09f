/* connection_internal: the seams between the files of a connection: connection.c (life and input),
 * connection_output.c (answers out), connection_wait.c (deadlines), connection_source.c (who speaks),
 * accept.c (listeners). Nobody else includes it. Threads: the loop's alone. */
#ifndef VIGIE_DAEMON_INGEST_CONNECTION_INTERNAL_H
#define VIGIE_DAEMON_INGEST_CONNECTION_INTERNAL_H

#include "daemon/ingest/connection.h"

/* connection.c */
struct connection *connection__new(struct loop *loop);
void connection__set_state(struct connection *connection, enum connection_state state);
/* The peer may speak: tells the protocol. */
void connection__opened(struct connection *connection);
struct request *connection__pop_request(struct connection *connection);
/* The request whose bytes are coming in; NULL between requests. */
static inline const struct request *connection__reading(const struct connection *connection)
{
    return connection->last != NULL && connection->last->state == REQUEST_READING ? connection->last : NULL;
}

/* connection_output.c */
/* Sends what OpenSSL has put into the loop's output buffer. */
void connection__write_sealed(struct connection *connection);
/* Renders every answer that is due, in the order of the requests. */
void connection__flush_answers(struct connection *connection);
/* Shuts our side once everything has left; the peer's end closes it. */
void connection__end_output(struct connection *connection);

/* connection_wait.c */
void connection__update_wait(struct connection *connection);
void connection__wait_unlink(struct connection *connection);

/* accept.c */
/* Its place at the listener is free again. */
void connection__uncount(struct connection *connection);

/* connection_source.c */
/* It has said who it is. */
void connection__know(struct connection *connection);
/* Takes the names of the peer's certificate: the handshake is done. */
void connection__keep_names(struct connection *connection);

#endif
