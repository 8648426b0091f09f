/* certificates: figures about what the ingest listeners show and judge by, for metrics, doctor and the node's
 * conditions. Threads: main writes at the start and after a reload; any may read (relaxed atomics). */
#ifndef VIGIE_DAEMON_INGEST_CERTIFICATES_H
#define VIGIE_DAEMON_INGEST_CERTIFICATES_H

#include <stdatomic.h>
#include <stdint.h>

struct certificate_figures {
    /* When the first of them ends, milliseconds since 1970; INSTANT_NONE without one. */
    _Atomic int64_t server_ms;    /* of the server's chain */
    _Atomic int64_t client_ca_ms; /* of the authorities of client certificates */
    _Atomic int64_t crl_ms;       /* next update: from then on every client certificate is refused */
    _Atomic uint64_t reloads, reloads_refused; /* SIGHUP: taken, and refused as a whole */
};

#endif
