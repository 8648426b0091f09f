/* loop: what one ingest loop is made of, shared by ingest.c (start, turn, stop), connection.c (bytes) and
 * request.c (one exchange from head to answer). Only these three include it. A turn is one pass of libuv:
 * callbacks take what has come and mark connections; loop__end_turn() then settles each marked one: answers
 * that are due leave in one write, what was held back is read on, deadlines are set. Threads: the loop's
 * alone, but for `stopping`. */
#ifndef VIGIE_DAEMON_INGEST_LOOP_H
#define VIGIE_DAEMON_INGEST_LOOP_H

#include <pthread.h>
#include <sys/queue.h>
#include <uv.h>

#include "daemon/ingest/connection.h"
#include "daemon/ingest/protocol.h"
#include "daemon/ingest/request.h"
#include "daemon/ingest/settings.h"
#include "daemon/ingest/tls.h"

enum {
    READ_BYTES_MAX =
        65536, /* a connection takes as much a turn; the rest waits for the next (PITFALLS U11) */
    PLAIN_BYTES_MAX = 16384, /* a TLS record's most */
    LINGER_BYTES_MAX = 16 << 20,
    CONNECTION_BYTES_PLANNED = 20 << 10, /* DESIGN.md section 9: a TLS connection */
    TICKET_BYTES_PLANNED = 16 << 10,     /* of a message of about 50 readings */
};

struct listener {
    uv_poll_t poll;
    struct loop *loop;
    enum ingest_listener kind;
    const struct protocol *protocol;
    bool with_tls, open;
    int fd, port;
};

/* Connections in the order of their deadlines: all of one list wait equally long. */
struct wait_list {
    struct connection *first, *last;
    int64_t length_ns;
};

struct mqtt_loop;

struct loop {
    uv_loop_t uv;
    struct slab *slab; /* of all that comes and goes here, OpenSSL's and libuv's too */
    uv_poll_t bell_poll;
    uv_check_t end_of_turn;
    uv_timer_t deadline;
    int64_t deadline_ns; /* that the timer is set to; INT64_MAX: off */
    struct listener listeners[LISTENERS];
    uv_idle_t handshake_turn; /* runs while something waits for its share of a turn */
    struct ingest_options options;
    struct loop_context context;
    struct ingest_settings *settings;                   /* in force on this loop */
    _Atomic(struct ingest_settings *) settings_waiting; /* given by main, taken by the loop */
    _Atomic int64_t settled_generation;                 /* written by the loop, read by main */
    int64_t accept_again_ns; /* listeners wait for descriptors until then; 0: they do not */
    int descriptors_max;     /* accepting stops when as many are open (PITFALLS U6) */

    bool in_turn, draining;
    _Atomic bool stopping; /* set by ingest_stop() */
    int64_t drain_until_ns;
    int64_t date_second;
    char date[HTTP_DATE_TEXT];

    /* Pools and lists. */
    struct ticket_pool *tickets;
    uint32_t tickets_out; /* at the shards */
    struct request_pool requests;
    struct mqtt_loop *mqtt; /* NULL: no listener speaks it */
    struct connection *all, *free_connections;
    struct connection *marked, *rearmed; /* to settle, to read again at the end of the turn */
    struct connection *recheck_next;     /* whose certificate is judged anew next; NULL: all are */
    TAILQ_HEAD(, connection) handshakes; /* bytes have come; each turn goes on with some of them */
    TAILQ_HEAD(, connection) strangers;  /* nobody has said who they are; oldest first */
    struct wait_list waits[WAIT_COUNT];

    /* Shared by all connections, used within one call. */
    char received[READ_BYTES_MAX], plain[PLAIN_BYTES_MAX];
    struct buffer answers, sealed;
};

/* Reads the clocks and the mail once a turn; every callback calls it first. */
void loop_begin_turn(struct loop *loop);

/* accept.c: the listeners of [listen], bound on ports that all loops share. */
MUST_CHECK enum err listeners_open(struct loop *loop);
void listeners_close(struct loop *loop);
/* Accepts again once there are descriptors; when to look again, INT64_MAX: nothing waits. */
int64_t listeners_resume(struct loop *loop);

#endif
