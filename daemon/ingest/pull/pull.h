/* pull: what the pull decoders of JSON and of CBOR have in common: kinds of values, the fields of an object
 * read by name, the keys of the objects that are open, and what text is.
 * Owner:   all borrowed; texts lie in the message or in the scratch. Threads: one at a time. */
#ifndef VIGIE_INGEST_PULL_H
#define VIGIE_INGEST_PULL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "daemon/model/reading.h"

/* PULL_NONE: absent, or an error. Of CBOR alone: PULL_INSTANT, a time that was sent as a number; PULL_OTHER,
 * a byte string and whatever else JSON does not have. */
enum pull_kind {
    PULL_NONE,
    PULL_OBJECT,
    PULL_ARRAY,
    PULL_STRING,
    PULL_NUMBER,
    PULL_TRUE,
    PULL_FALSE,
    PULL_NULL,
    PULL_INSTANT,
    PULL_OTHER
};

enum { PULL_KEYS_MAX = 512 }; /* FHIR holds about 100 open at its worst; the bound keeps the search linear */

/* Where texts go that do not stand in the message as they are; reset by whoever lends it. */
struct pull_scratch {
    char *data;
    size_t size, capacity;
    struct pull_spans *spans; /* json_pull.h; NULL: none */
};

/* `size` bytes of it; NULL when they are not there. */
char *pull_scratch_take(struct pull_scratch *scratch, size_t size);

/* The keys of the objects that are open: a stack. */
struct pull_keys {
    uint32_t count;
    struct {
        const char *data;
        uint32_t size, hash;
    } known[PULL_KEYS_MAX];
};

/* Where the keys of one object begin. */
struct pull_keys_mark {
    uint64_t seen; /* one bit a key's hash: most keys are new without a search */
    uint32_t base;
};

/* `keys` may be NULL in the first two: text that was checked before. */
struct pull_keys_mark pull_keys_open(const struct pull_keys *keys);
void pull_keys_close(struct pull_keys *keys, const struct pull_keys_mark *mark);
/* NULL, or why the key cannot be: it stands there already, or there are too many. */
const char *pull_keys_add(struct pull_keys *keys, struct pull_keys_mark *mark, struct slice key);

/* Length of the UTF-8 sequence at p, 0 when it is none (RFC 3629: no overlong form, no surrogate). */
size_t pull_utf8_length(const uint8_t *p, size_t left);

/* One value of an object read by name; a container as raw text. */
struct pull_field {
    enum pull_kind kind;
    struct slice text;
};

/* Of a PULL_INSTANT. */
static inline int64_t pull_instant_ms(const struct pull_field *field)
{
    int64_t ms;
    memcpy(&ms, field->text.data, sizeof ms);
    return ms;
}

struct pull_name {
    const char *text;
    uint8_t size;
};

struct pull_names {
    const struct pull_name *list;
    unsigned count;
    char ignored_prefix; /* keys that begin with it are passed over; '\0': none */
};

struct pull_unknown {
    struct slice first; /* {NULL, 0} without */
    unsigned count;
};

/* The index of the name, names->count when it is none. */
unsigned pull_find_name(const struct pull_names *names, struct slice key);

#endif
