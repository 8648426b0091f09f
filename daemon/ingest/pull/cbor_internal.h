/* cbor_internal: heads and texts, shared by cbor_pull.c (structure) and cbor_number.c (numbers and times). */
#ifndef VIGIE_INGEST_CBOR_INTERNAL_H
#define VIGIE_INGEST_CBOR_INTERNAL_H

#include "daemon/base/decimal.h"
#include "daemon/base/ensure.h"
#include "daemon/ingest/pull/cbor_pull.h"

enum cbor_major { UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE };

enum { INFO_INDEFINITE = 31, BREAK = 0xff, HALF = 25, SINGLE = 26, DOUBLE = 27 };

enum {
    TAG_TIME_TEXT = 0,
    TAG_EPOCH = 1,
    TAG_BIG = 2,
    TAG_BIG_NEGATIVE = 3,
    TAG_DECIMAL = 4,
    SELF_DESCRIBED = 55799
};

struct cbor_head {
    enum cbor_major major;
    uint8_t info;
    uint64_t number;
};

/* The first error stays; always false. */
bool cbor__fail(struct cbor *cbor, size_t at, const char *text);
/* A head with its number behind it, or one that there is not. */
bool cbor__read_long_head(struct cbor *cbor, size_t start, struct cbor_head *ret);
/* The bytes or text of a string whose head was read. */
bool cbor__read_string(struct cbor *cbor, const struct cbor_head *head, struct slice *ret);
double cbor__float(const struct cbor_head *head); /* of HALF, SINGLE or DOUBLE */

/* -1 - number when negative; returns its length. `out` holds DECIMAL_TEXT_MAX bytes. */
size_t cbor__write_integer(bool negative, uint64_t number, char *out);
/* Copies what was worded to where it outlives the call. */
bool cbor__keep(struct cbor *cbor, const char *text, size_t size, struct slice *ret);

static inline bool cbor__read_head(struct cbor *cbor, struct cbor_head *ret)
{
    size_t start = cbor->at;
    if (start == cbor->size)
        return cbor__fail(cbor, start, "the text ends too early");
    uint8_t first = cbor->text[start];
    ret->major = first >> 5;
    ret->info = first & 31;
    ret->number = ret->info;
    cbor->at = start + 1;
    return ret->info < 24 || cbor__read_long_head(cbor, start, ret);
}

static inline bool cbor__is_break(const struct cbor *cbor)
{
    return cbor->at < cbor->size && cbor->text[cbor->at] == BREAK;
}

#endif
