/* protocol: what one listener speaks: how bytes become messages, and answers bytes. Everything else about a
 * connection is the same for all and stands in connection*.c and request.c: TLS, deadlines, pauses, tickets,
 * the order of answers (that of the messages).
 * Owner:   static tables. Threads: the loop's alone.
 * Holds:   the connection's state between messages is the protocol's: connection->session. */
#ifndef VIGIE_DAEMON_INGEST_PROTOCOL_H
#define VIGIE_DAEMON_INGEST_PROTOCOL_H

#include "daemon/ingest/exchange.h"

struct connection;
struct loop;
struct registry_source;
struct request;

struct protocol {
    const char *name;
    bool keeps_idle_time;  /* how long a known peer may be silent is its own to say, not idle_timeout's */
    unsigned pipeline_max; /* messages of one connection under way at once; beyond, it is not read */

    /* The peer may speak now, TLS being established; NULL: nothing to prepare. */
    void (*open)(struct connection *connection);
    /* Called once for each open(), before the connection's memory goes; gives `session` back. */
    void (*close)(struct connection *connection);

    /* Feeds bytes to the request that is coming in. READ_MORE: all were taken; READ_DONE: it is whole, and
     * READY, PARKED or SUBMITTED: by request_dispatch(), request_refuse() or request_ready(); READ_FAULT: it
     * is READY with an error, and the connection ends once it has left. */
    enum read_step (*feed)(struct loop *loop, struct request *request, const char *data, size_t size,
                           size_t *ret_used);
    /* Who speaks; NULL: nobody known. Asked for again when the registry may have changed. */
    const struct registry_source *(*source)(struct request *request);
    /* Puts an error of the network side into the exchange: status, out, out_type. */
    void (*refuse)(struct exchange *exchange, const struct exchange_fault *fault);
    /* What leaves ahead of the answer while the message is still coming in; NULL: nothing ever does. */
    void (*append_interim)(struct request *request, struct buffer *out);
    void (*append_answer)(struct loop *loop, struct request *request, struct buffer *out);
};

extern const struct protocol http_protocol; /* http_request.c */
extern const struct protocol mllp_protocol; /* mllp.c */
extern const struct protocol mqtt_protocol; /* mqtt_protocol.c */

#endif
