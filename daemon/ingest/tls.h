/* tls: TLS of the ingest listeners over bytes in memory; no socket is seen here.
 * Owner:   a loop owns its tls_server, a connection its tls. A tls keeps what it was made from alive, so that
 * a new tls_server can replace an old one under way (PITFALLS O4). Threads: the loop's alone. Fails:
 * tls_server_new() logs what the operator must mend; a peer that fails is TLS_FAILED, no more.
 *
 * Client certificates (INTERFACES.md section 4): asked for when client_ca is set, not demanded. One that is
 * shown must verify, be in date and, with crl set, be on a list of no authority in its chain; else the
 * handshake fails. A revocation list past its next update judges nothing: with it every client certificate is
 * refused until a new list is there, tokens are served. That is loud in the log and a figure (PITFALLS O8).
 */
#ifndef VIGIE_DAEMON_INGEST_TLS_H
#define VIGIE_DAEMON_INGEST_TLS_H

#include "config/config.h"
#include "daemon/base/buffer.h"

struct tls_server;
MUST_CHECK enum err tls_server_new(const struct config *config, struct tls_server **ret_server);
void tls_server_free(struct tls_server *server);

/* When what the server shows and judges by ends, milliseconds since 1970; INSTANT_NONE without. */
struct tls_expiry {
    int64_t certificate_ms; /* the first of the server's chain */
    int64_t client_ca_ms;   /* the first authority */
    int64_t crl_ms;         /* the first next update: from then on no client certificate is taken */
};
void tls_server_expiry(const struct tls_server *server, struct tls_expiry *ret_expiry);

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
bool tls_is_1_3(const struct tls *tls);
/* Encrypts all of it; false when the connection is broken. */
MUST_CHECK bool tls_write(struct tls *tls, const char *data, size_t size);
/* Appends the closing alert. */
void tls_end(struct tls *tls);

/* Common name and DNS names of the verified client certificate, each with its NUL; returns the size, 0
 * without. `*ret_until_s`: the certificate ends then. */
size_t tls_peer_names(const struct tls *tls, char *out, size_t capacity, int64_t *ret_until_s);
/* Whether the peer's certificate still verifies by the authorities and revocation lists of `server`. */
bool tls_peer_holds(const struct tls *tls, const struct tls_server *server);
/* Why the handshake failed when it was the client's certificate; NULL: it was something else. */
const char *tls_certificate_fault(const struct tls *tls);

#endif
