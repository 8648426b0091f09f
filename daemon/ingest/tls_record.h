/* tls_record: where TLS records end. Threads: pure functions. */
#ifndef VIGIE_DAEMON_INGEST_TLS_RECORD_H
#define VIGIE_DAEMON_INGEST_TLS_RECORD_H

#include <stddef.h>

/* How many of the bytes, which begin with a record, are whole records. What cannot be a record counts as
 * whole: OpenSSL shall see it and refuse. */
size_t tls_record_whole(const char *data, size_t size);

#endif
