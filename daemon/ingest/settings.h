/* settings: what a loop takes from the configuration and SIGHUP can change: certificates, limits, deadlines.
 * Owner:   main makes one a loop and gives it away by ingest_reconfigure(); the loop frees the one before.
 * Threads: one at a time. A struct tls_server is no loop's but its own, so OpenSSL's locks meet nobody
 *          (PITFALLS O5); connections keep the one they were made from (PITFALLS O4).
 * Fails:   ingest_settings_new() with what tls_server_new() says: all or nothing. */
#ifndef VIGIE_DAEMON_INGEST_SETTINGS_H
#define VIGIE_DAEMON_INGEST_SETTINGS_H

#include "config/config.h"
#include "daemon/ingest/quota.h"
#include "daemon/ingest/tls.h"

struct ingest_settings {
    int64_t generation;     /* 0 at the start, one more with each reload */
    struct tls_server *tls; /* NULL: no listener is TLS */
    int64_t connections_max;
    int64_t handshake_timeout_ms, first_byte_timeout_ms, message_timeout_ms, idle_timeout_ms, pause_max_ms;
    int64_t keepalive_max_ms, session_max_ms; /* MQTT */
    struct quota_rates quota;
};

MUST_CHECK enum err ingest_settings_new(const struct config *config, int64_t generation,
                                        struct ingest_settings **ret_settings);
void ingest_settings_free(struct ingest_settings *settings);

#endif
