/* http: HTTP/1.1 as this daemon speaks it: one request read strictly from bytes as they come, one answer's
 * head written. What http.c refuses is in one table there; a refusal never depends on how the bytes were cut.
 * Owner:   struct http_reader lives in its holder; slices of the request point into it.
 * Threads: one at a time. Fails: READ_FAULT with status, code and text; such a connection cannot go on. */
#ifndef VIGIE_DAEMON_INGEST_HTTP_H
#define VIGIE_DAEMON_INGEST_HTTP_H

#include "daemon/ingest/exchange.h"

struct http_request {
    enum exchange_method method;
    struct slice path, query, content_type, accept, if_none_exist, authorization; /* {NULL, 0}: not sent */
    int64_t content_length;                                                       /* -1: not sent */
    bool chunked, keep_alive, expects_continue, is_head, is_encoded;
};

enum http_state { HTTP_IN_HEAD, HTTP_IN_LENGTH, HTTP_IN_CHUNK, HTTP_AFTER };
enum http_chunk_state {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER
};

struct http_reader {
    enum http_state state;
    enum http_chunk_state chunk;
    struct http_request request;
    struct exchange_fault fault;
    struct slice piece;
    int64_t left;        /* bytes of the body or chunk not yet seen */
    uint32_t chunk_line; /* bytes of the chunk line or trailer so far */
    uint32_t head_size;  /* bytes of head[] */
    uint32_t line_start; /* of the line that is coming in */
    uint8_t skipped;     /* of an empty line in front of the request */
    char *head; /* grows as the bytes come, and keeps what it grew to; slices point here once it is whole */
    size_t head_capacity;
};

/* Begins another request; the first time the reader is zeroed. */
void http_reader_reset(struct http_reader *reader);
void http_reader_deinit(struct http_reader *reader);
/* Consumes some of `size` bytes; call again with the rest until READ_MORE, READ_DONE or READ_FAULT. */
enum read_step http_reader_feed(struct http_reader *reader, const char *data, size_t size, size_t *ret_used);
/* False when not a byte of the request has come yet. */
bool http_reader_has_begun(const struct http_reader *reader);

/* The token of `Authorization: Bearer TOKEN`; {NULL, 0} for anything else. */
struct slice http_bearer(struct slice authorization);

/* True when `content_type` is `type`, parameters aside ("application/json; charset=utf-8"); case does not
 * count. */
bool http_type_is(struct slice content_type, const char *type);

enum { HTTP_DATE_TEXT = 30 };
void http_format_date(int64_t ms, char out[HTTP_DATE_TEXT]); /* "Sat, 21 Nov 2026 07:30:00 GMT" */

/* Appends head and body of an answer; `date` is today's Date. The body of an answer to HEAD is left out. */
struct http_answer {
    const char *date;
    bool keep_alive, head_only;
};
void http_append_answer(struct buffer *out, const struct exchange *exchange,
                        const struct http_answer *answer);

#endif
