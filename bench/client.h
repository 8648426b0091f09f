/* client: many kept HTTPS or MQTT connections on one epoll loop, for load.
 * Owner: its holder. Threads: one. Fails: a connection that breaks is counted and opened again. */
#ifndef VIGIE_BENCH_CLIENT_H
#define VIGIE_BENCH_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/histogram.h"
#include "daemon/base/buffer.h"
#include "daemon/base/err.h"

struct client_options {
    const char *host; /* IPv4 loopback */
    int port;
    const char *path, *token; /* path: of HTTPS, or the topic of MQTT */
    bool is_mqtt;
    unsigned readings;        /* of a message, all accepted when PUBACK says so */
    const char *content_type; /* of HTTPS; NULL: JSON */
    unsigned connections;
    bool tls13_only;
};

struct client_result {
    uint64_t requests, accepted, refused, errors; /* accepted: readings; refused: answers that are not 200 */
    struct latencies latencies;                   /* from the time a message was due to its whole answer */
};

struct client;

/* Connects everything; ERR_UNAVAILABLE when the server does not answer. */
MUST_CHECK enum err client_open(const struct client_options *options, struct client **ret_client);
void client_close(struct client *client);

/* Runs for `seconds`; `rate` messages a second whatever the answers do (open loop), 0: each connection sends
 * its next message when the last is answered. `message` appends one body. */
void client_run(struct client *client, double seconds, double rate,
                void (*message)(void *context, struct buffer *out), void *context, struct client_result *ret);

#endif
