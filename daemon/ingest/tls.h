/* tls: TLS of the ingest listeners over bytes in memory; no socket is seen here.
 * Owner:   a loop owns its tls_server, a connection its tls. A tls keeps what it was made from alive, so that
 * a new tls_server can replace an old one under way (PITFALLS O4). Threads: the loop's alone. Fails:
 * tls_server_new() logs what the operator must mend; a peer that fails is TLS_FAILED, no more. */
#ifndef VIGIE_DAEMON_INGEST_TLS_H
#define VIGIE_DAEMON_INGEST_TLS_H

#include "config/config.h"
#include "daemon/base/buffer.h"

struct tls_server;
MUST_CHECK enum err tls_server_new(const struct config *config, struct tls_server **ret_server);
void tls_server_free(struct tls_server *server);

struct tls;
/* NULL without memory. */
struct tls *tls_new(struct tls_server *server);
void tls_free(struct tls *tls);

/* Where bytes from the peer are taken from (borrowed until all are consumed or set anew), and where bytes for
 * the peer are appended to (borrowed until set anew). Set both before any call below. */
void tls_set_window(struct tls *tls, const char *data, size_t size, struct buffer *out);
size_t tls_input_left(const struct tls *tls);

enum tls_step {
    TLS_MORE,   /* more input is needed */
    TLS_DATA,   /* *ret_size > 0 bytes were read */
    TLS_CLOSED, /* the peer ended it in order */
    TLS_FAILED, /* not TLS, or broken */
};
/* Goes on with the handshake, then reads. Call until it is not TLS_DATA. */
enum tls_step tls_read(struct tls *tls, char *out, size_t capacity, size_t *ret_size);
bool tls_is_established(const struct tls *tls);
/* Encrypts all of it; false when the connection is broken. */
MUST_CHECK bool tls_write(struct tls *tls, const char *data, size_t size);
/* Appends the closing alert. */
void tls_end(struct tls *tls);

/* Common name and DNS names of the verified client certificate, each with its NUL; returns the size, 0
 * without. */
size_t tls_peer_names(const struct tls *tls, char *out, size_t capacity);

#endif
