/* request: one exchange from its first byte to its answer: the body, the door, the shards. Its protocol
 * (protocol.h) reads it from bytes and writes its answer; connection.c holds the two together.
 * Owner:   the loop's pool; while SUBMITTED the shards have its ticket, so it outlives its connection then.
 * Threads: the loop's alone. */
#ifndef VIGIE_DAEMON_INGEST_REQUEST_H
#define VIGIE_DAEMON_INGEST_REQUEST_H

#include "daemon/ingest/http.h"
#include "daemon/ingest/mqtt/mqtt_message.h"
#include "daemon/ingest/protocol.h"

enum request_state {
    REQUEST_READING,   /* bytes are coming */
    REQUEST_PARKED,    /* whole, waits for a ticket */
    REQUEST_WAITING,   /* whole, waits for something of its protocol's; nothing more is read until then */
    REQUEST_SUBMITTED, /* at the shards */
    REQUEST_READY,     /* answered; leaves when those before it have */
};

/* Errors of the network side that every protocol knows. */
enum request_refusal {
    REFUSE_UNAUTHENTICATED,
    REFUSE_TOO_LARGE,
    REFUSE_SLOW,
    REFUSE_NOT_ACCEPTING,
    REFUSE_BUSY,
    REFUSE_NOT_DURABLE,
    REFUSE_QUOTA,
};
const struct exchange_fault *request_fault(enum request_refusal refusal);

enum {
    BODY_FIRST = 1023,
    BODY_SMALL = 16384,
    BODY_LARGE = MESSAGE_BYTES_MAX,
    REQUESTS_KEPT_MAX = 1024,
    LARGE_BODIES_MAX = 64
};

struct request {
    struct exchange exchange;      /* first: ticket->exchange points here */
    struct connection *connection; /* NULL: it went away */
    const struct protocol *protocol;
    enum request_state state;
    bool keep_alive;     /* the connection goes on after the answer */
    bool head_only;      /* HTTP: answers HEAD */
    bool wants_continue; /* HTTP: 100 Continue is due */
    bool part_failed;
    uint8_t phase;                 /* the protocol's: how far the message has come; 0 at its beginning */
    struct exchange_fault refusal; /* decided, answered when the body has passed by */
    int64_t parked_until_ns;
    struct request *next, *next_parked;
    size_t small_capacity; /* BODY_FIRST to BODY_SMALL, and a NUL */
    char *small_body;      /* where exchange.body points, or to a large one */
    struct http_reader reader;
    struct mqtt_message mqtt;
};

struct request_pool {
    struct request *free;
    uint32_t kept;    /* on the free list */
    char *large_free; /* bodies of BODY_LARGE, linked through their first bytes */
    uint32_t large_made;
    struct request *parked_first, *parked_last;
};

void request_pool_deinit(struct request_pool *pool);

struct request *request_new(struct loop *loop, struct connection *connection);
/* Gives it back; a submitted one only loses its connection. */
void request_release(struct loop *loop, struct request *request);

/* Room for a body of `size` bytes in all; false: none at the moment (REFUSE_BUSY). At most MESSAGE_BYTES_MAX.
 */
bool request_body_reserve(struct loop *loop, struct request *request, size_t size);
bool request_body_append(struct loop *loop, struct request *request, const char *data, size_t size);

/* The message is whole: answers request->refusal if it has one, else quota, ticket, exchange.door, shards. */
void request_dispatch(struct loop *loop, struct request *request);
/* Its answer (exchange.status and what goes with it) is there: it leaves when those before it have. */
void request_ready(struct request *request);

/* Answers with an error in the protocol's dialect, at once. */
void request_refuse(struct loop *loop, struct request *request, const struct exchange_fault *fault);
void request_time_out(struct loop *loop, struct request *request);

/* Takes back what the shards have done. */
void requests_collect(struct loop *loop);
/* Gives tickets to parked requests in their order; answers those that have waited too long. */
void requests_resume(struct loop *loop);
/* When the first parked one has waited long enough, INT64_MAX without. */
int64_t requests_deadline_ns(const struct loop *loop);

#endif
