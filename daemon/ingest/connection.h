/* connection: one peer: its socket, its TLS, its requests in order, its deadline.
 *
 *   HANDSHAKE ──> OPEN ──> DRAINING ──> LINGER ──> CLOSING        every state may go to CLOSING
 *                  no TLS: starts OPEN
 *
 *   OPEN      requests are read, at most protocol->pipeline_max at once
 *   DRAINING  nothing more is read; answers that are due still leave, in order
 *   LINGER    our side is shut; what the peer still sends is thrown away, so that the last answer is not lost
 * to a reset (a 413 comes before the peer has sent its 2 MiB) Owner:   the loop; memory comes back in libuv's
 * close callback. Threads: the loop's alone. */
#ifndef VIGIE_DAEMON_INGEST_CONNECTION_H
#define VIGIE_DAEMON_INGEST_CONNECTION_H

#include <sys/queue.h>
#include <uv.h>

#include "daemon/ingest/request.h"
#include "daemon/ingest/tls.h"

struct listener;

enum connection_state {
    CONNECTION_HANDSHAKE,
    CONNECTION_OPEN,
    CONNECTION_DRAINING,
    CONNECTION_LINGER,
    CONNECTION_CLOSING,
    CONNECTION_STATES
};

/* What a connection waits for, and so which deadline it has. */
enum wait_kind {
    WAIT_NONE,
    WAIT_HANDSHAKE,
    WAIT_FIRST, /* for a message of a peer that has not said who it is */
    WAIT_MESSAGE,
    WAIT_IDLE, /* for the next message of a known one */
    WAIT_WRITE,
    WAIT_LINGER,
    WAIT_COUNT
};

enum { TOKEN_KEPT_MAX = 96, NAMES_MAX = 1024, PUSHED_BYTES_MAX = 65536 };

struct connection {
    uv_tcp_t tcp; /* first: handles point here */
    uv_write_t write;
    struct loop *loop;
    struct listener *listener;
    enum connection_state state;
    struct tls *tls; /* NULL: plain */

    struct request *first, *last; /* in order; the last one may be READING */
    unsigned requests;
    bool reads, marked, rearmed, ended, write_busy, touched, fresh;
    bool is_stranger, is_queued; /* in loop.strangers, in loop.handshakes */
    bool is_opened;              /* protocol->open() has been called, close() is due */
    void *session;               /* the protocol's */
    size_t lingered;
    struct buffer held_plain, held_sealed; /* came in while it was paused */
    struct buffer partial;                 /* of a TLS record whose end has not come */
    struct buffer writing, backlog;        /* being written; waits for that */
    struct buffer pushed;                  /* what no message asked for: behind the next answers */

    enum wait_kind wait;
    const struct request *wait_request; /* whose bytes WAIT_MESSAGE waits for */
    int64_t wait_until_ns;
    struct connection *wait_next, *wait_previous;
    struct connection *next, *previous; /* of all; of the free ones */
    struct connection *next_marked, *next_rearmed;
    TAILQ_ENTRY(connection) stranger, handshake;

    /* Who it is, as long as the registry's version stays. */
    const struct registry_source *source;
    int64_t source_version;
    char token[TOKEN_KEPT_MAX];
    size_t token_size;
    char *names; /* of the client certificate, NUL after each; NULL without */
    size_t names_size;
    int64_t names_until_s; /* the certificate ends then */
};

void connection_close(struct connection *connection);
/* No more requests: closes when the last answer has left. */
void connection_drain(struct connection *connection);

/* Sends what no message asked for, behind the answers that are due; false: the peer reads too slowly, or it
 * is no longer open, and nothing of it was taken. */
bool connection_push(struct connection *connection, const char *data, size_t size);

/* Something is due: settled at the end of the turn. */
void connection_mark(struct connection *connection);
void connections_settle(struct loop *loop);
/* Ends what has waited too long; the earliest deadline left, INT64_MAX without. */
int64_t connections_expire(struct loop *loop, int64_t now_ns);

/* Goes on with handshakes for a share of the turn: those who are in are served first. */
void handshakes_go_on(struct loop *loop);

/* After a reload: judges every open connection's certificate by the new authorities and revocation lists,
 * some a turn, and closes those that no longer hold. */
void connections_recheck_begin(struct loop *loop);
void connections_recheck(struct loop *loop);

/* Who speaks: by `authorization` ("Bearer TOKEN"), else by its certificate; NULL: nobody known. */
const struct registry_source *connection_source(struct connection *connection, struct slice authorization);
/* The source that the configuration names for all peers of a plain listener; NULL: it is not enrolled. */
const struct registry_source *connection_source_by_ref(struct connection *connection, const char *ref);

#endif
