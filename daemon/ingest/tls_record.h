/* tls_record: where TLS records end. Threads: pure functions. */
#ifndef VIGIE_DAEMON_INGEST_TLS_RECORD_H
#define VIGIE_DAEMON_INGEST_TLS_RECORD_H

#include <stdbool.h>
#include <stddef.h>

/* How many of the bytes, which begin with a record, are whole records. What cannot be a record counts as
 * whole: OpenSSL shall see it and refuse. */
size_t tls_record_whole(const char *data, size_t size);
/* The size of the first record, all of it when that is not whole or none. */
size_t tls_record_first(const char *data, size_t size);

/* Whether records of which the first handshake record begins a ClientHello may go to OpenSSL: it makes room
 * for the length that the message claims, up to 128 KiB, and nobody needs more than HELLO_BYTES_MAX. Good for
 * a connection's first flight, and for every later one in the clear of TLS 1.3 (a hello after a retry). */
enum { HELLO_BYTES_MAX = 8192 };
bool tls_record_claim_is_good(const char *data, size_t size);

#endif
