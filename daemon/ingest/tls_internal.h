/* tls_internal: what tls.c (connections) and tls_server.c (contexts) share. Threads: as tls.h. */
#ifndef VIGIE_DAEMON_INGEST_TLS_INTERNAL_H
#define VIGIE_DAEMON_INGEST_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "daemon/ingest/tls.h"

struct tls_server {
    SSL_CTX *context; /* connections keep it alive by a reference of their own */
    struct tls_expiry expiry;
};

#endif
