/* readings_reader: the structure of /v1/readings as JSON or as CBOR writes it: one set of calls, so that what
 * a message means is decided in one place (readings.c, readings_item.c) and its answer is the same byte for
 * byte. Owner: a reader lies on the caller's stack and borrows text and memory. Threads: the loop's. Fails:
 * errors stick, as in json_pull and cbor_pull. */
#ifndef VIGIE_INGEST_READINGS_READER_H
#define VIGIE_INGEST_READINGS_READER_H

#include "daemon/ingest/doors.h"
#include "daemon/ingest/pull/cbor_pull.h"
#include "daemon/ingest/pull/json_pull.h"

/* What the value of a key must be. */
enum key_type { KEY_TEXT, KEY_TIME, KEY_NUMBER, KEY_ARRAY };

/* The keys of one kind of object. */
struct reader_keys {
    struct pull_names names;
    const enum key_type *types; /* one a name */
    const uint8_t *by_number;   /* of each number of a key, for CBOR: 1 + the index of its name; 0: none */
};

struct reader {
    const struct reader_syntax *syntax;
    union {
        struct pull json;
        struct cbor cbor;
    };
};

struct reader_syntax {
    const char *name; /* "JSON as RFC 8259 has it" */
    void (*open)(struct reader *reader, struct slice text, struct doors *doors);
    /* Over an array that read_fields() gave raw; `of` is the reader that gave it. */
    void (*open_raw)(struct reader *reader, struct slice raw, const struct reader *of);
    enum pull_kind (*peek)(struct reader *reader);
    void (*enter)(struct reader *reader); /* the object or array that peek() saw */
    bool (*next_item)(struct reader *reader);
    void (*skip)(struct reader *reader);
    /* As pull_read_fields(). */
    bool (*read_fields)(struct reader *reader, const struct reader_keys *keys, struct pull_field *fields,
                        struct pull_unknown *ret_unknown);
    bool (*finish)(struct reader *reader);
    const char *(*error)(const struct reader *reader, size_t *ret_at); /* NULL while good */
};

extern const struct reader_syntax reader_json, reader_cbor;

#endif
