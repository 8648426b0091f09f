/* cbor_pull: a streaming CBOR decoder (RFC 8949) that the caller pulls, the sibling of json_pull: over a
 * complete buffer, nothing allocated, nesting bounded by JSON_DEPTH_MAX, keys by PULL_KEYS_MAX.
 * It reads what has a JSON translation: a key is a text, or an integer, which stands for the text of its
 * number in the caller's list, else for its digits; so the same key as text and as integer stands twice.
 * Taken:   every length, shortest or not, and indefinite ones; half, single and double; the mark 55799 in
 * front of the whole. Refused as not well-formed, beside what RFC 8949 calls so: text that is not UTF-8 or
 * has U+0000 (no database keeps it), NaN and infinity (JSON has none), simple values without a meaning, keys
 * that are neither text nor integer, a key that stands twice. PULL_OTHER: byte strings, and values under a
 * tag that was not asked for. `undefined` is null.
 * Use, owner, threads, fails: as json_pull. */
#ifndef VIGIE_INGEST_CBOR_PULL_H
#define VIGIE_INGEST_CBOR_PULL_H

#include "daemon/base/limits.h"
#include "daemon/ingest/pull/pull.h"

enum { CBOR_NUMBERS_MAX = 32 };

struct cbor_frame {
    struct pull_keys_mark keys;
    uint64_t left;         /* values that follow, of a map its pairs; CBOR_UNTIL_BREAK */
    uint32_t numbers_seen; /* of a map: bits of the keys that have a number */
    bool is_map;
};

struct cbor {
    const uint8_t *text;
    size_t size, at;
    const char *error; /* NULL while good; static English text */
    size_t error_at;   /* offset in bytes */
    struct pull_scratch *scratch;
    struct pull_keys *keys;          /* NULL: a value that was checked before */
    const struct pull_name *numbers; /* the texts of the integer keys 0 to numbers_count - 1; size 0: none */
    unsigned numbers_count, depth;
    int key_number; /* of the key that cbor_next_key() gave last, whatever its form; -1: it has none */
    struct cbor_frame frames[JSON_DEPTH_MAX];
};

void cbor_open(struct cbor *cbor, struct slice text, struct pull_scratch *scratch, struct pull_keys *keys,
               const struct pull_name *numbers, unsigned numbers_count);
/* Over a raw value that cbor_take() gave, with the lists of `of`: keys are not checked a second time. */
void cbor_open_raw(struct cbor *cbor, struct slice raw, const struct cbor *of);

enum pull_kind cbor_peek(const struct cbor *cbor);
/* String: its text; container: entered, *ret untouched; number: *ret untouched. */
enum pull_kind cbor_value(struct cbor *cbor, struct slice *ret);
/* The same, but a container is passed over and given raw. */
enum pull_kind cbor_take(struct cbor *cbor, struct slice *ret);
void cbor_skip(struct cbor *cbor);

/* Takes a value as a number: an integer (a bignum of at most 64 bits too), a decimal fraction (tag 4) or a
 * float gives PULL_NUMBER and its decimal text as JSON writes it, of a float the shortest that reads back. */
enum pull_kind cbor_take_number(struct cbor *cbor, struct slice *ret);
/* Takes a value as a time: a text (tag 0 or none) is PULL_STRING; an integer, or a float that is whole,
 * milliseconds since 1970, and tag 1, seconds, PULL_INSTANT, cut to milliseconds; outside of the years 0 to
 * 9999 their digits as PULL_STRING, which no reader of times takes. */
enum pull_kind cbor_take_time(struct cbor *cbor, struct slice *ret);

/* False at the end of the container, which is left, and on an error. */
bool cbor_next_key(struct cbor *cbor, struct slice *ret_key);
bool cbor_next_item(struct cbor *cbor);

/* True when the value was whole and nothing follows. */
bool cbor_finish(struct cbor *cbor);

#endif
