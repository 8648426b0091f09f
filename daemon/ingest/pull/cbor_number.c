/* cbor_number: the forms that numbers and times have in CBOR, as the texts and instants that all decoders
 * give. What is none of them is left to cbor_pull.c, which says what it is or what is wrong with it. */
#include <math.h>
#include <string.h>

#include "daemon/base/instant.h"
#include "daemon/base/shortest.h"
#include "daemon/ingest/pull/cbor_internal.h"

/* Years 0000 to 9999. */
#define INSTANT_MIN_MS INT64_C(-62167219200000)
#define INSTANT_MAX_MS INT64_C(253402300799999)

enum { NUMBER_TEXT_MAX = 2 * DECIMAL_TEXT_MAX }; /* mantissa, 'e', exponent; a float is shorter */

size_t cbor__write_integer(bool negative, uint64_t number, char *out)
{
    static const char least[] = "-18446744073709551616"; /* -1 - n of the largest n */
    if (!negative || number != UINT64_MAX)
        return decimal_write(negative, number + negative, 0, out);
    memcpy(out, least, sizeof least);
    return sizeof least - 1;
}

bool cbor__keep(struct cbor *cbor, const char *text, size_t size, struct slice *ret)
{
    char *copy = pull_scratch_take(cbor->scratch, size);
    if (copy == NULL)
        return cbor__fail(cbor, cbor->at, "too many numbers");
    memcpy(copy, text, size);
    *ret = (struct slice){copy, size};
    return true;
}

static uint64_t big_endian(const uint8_t *bytes, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++)
        number = number << 8 | bytes[i];
    return number;
}

/* An integer or a bignum of at most 64 bits; negative is -1 - number. False: neither. */
static bool read_integer(struct cbor *cbor, bool *ret_negative, uint64_t *ret_number)
{
    struct cbor_head head;
    struct slice bytes;
    if (cbor__is_break(cbor) || !cbor__read_head(cbor, &head))
        return false;
    *ret_negative = head.major == NEGATIVE || (head.major == TAG && head.number == TAG_BIG_NEGATIVE);
    *ret_number = head.number;
    if (head.major != TAG || (head.number != TAG_BIG && head.number != TAG_BIG_NEGATIVE))
        return head.major <= NEGATIVE;
    if (!cbor__read_head(cbor, &head) || head.major != BYTES || !cbor__read_string(cbor, &head, &bytes))
        return false;
    for (; bytes.size > 0 && *bytes.data == 0; bytes.size--)
        bytes.data++;
    if (bytes.size > sizeof *ret_number)
        return false;
    *ret_number = big_endian((const uint8_t *)bytes.data, bytes.size);
    return true;
}

/* Behind tag 4: [exponent, mantissa]. Each place that was sent is kept, [-2, 7140] is "71.40"; what has no
 * such form is written with an exponent. */
static bool word_fraction(struct cbor *cbor, char *out, size_t *ret_size)
{
    struct cbor_head array, exponent;
    bool negative;
    uint64_t mantissa;
    if (!cbor__read_head(cbor, &array) || array.major != ARRAY ||
        (array.info != INFO_INDEFINITE && array.number != 2))
        return false;
    if (cbor__is_break(cbor) || !cbor__read_head(cbor, &exponent) || exponent.major > NEGATIVE ||
        !read_integer(cbor, &negative, &mantissa) || (array.info == INFO_INDEFINITE && !cbor__is_break(cbor)))
        return false;
    cbor->at += array.info == INFO_INDEFINITE; /* the break */
    bool is_least = negative && mantissa == UINT64_MAX;
    if (exponent.major == NEGATIVE && exponent.number < DECIMAL_PLACES_MAX && !is_least) {
        *ret_size = decimal_write(negative, mantissa + negative, (unsigned)exponent.number + 1, out);
        return true;
    }
    *ret_size = cbor__write_integer(negative, mantissa, out);
    if (exponent.major == NEGATIVE || exponent.number != 0) {
        out[(*ret_size)++] = 'e';
        *ret_size += cbor__write_integer(exponent.major == NEGATIVE, exponent.number, out + *ret_size);
    }
    return true;
}

static bool word_number(struct cbor *cbor, char *out, size_t *ret_size)
{
    struct cbor_head head;
    size_t start = cbor->at;
    bool negative;
    uint64_t number;
    if (!cbor__read_head(cbor, &head))
        return false;
    if (head.major == SIMPLE && head.info >= HALF) {
        if (!isfinite(cbor__float(&head)))
            return false;
        *ret_size = shortest_format(cbor__float(&head), (enum shortest_width)(head.info - HALF), out);
        return true;
    }
    if (head.major == TAG && head.number == TAG_DECIMAL)
        return word_fraction(cbor, out, ret_size);
    cbor->at = start;
    if (!read_integer(cbor, &negative, &number))
        return false;
    *ret_size = cbor__write_integer(negative, number, out);
    return true;
}

static bool is_instant(int64_t ms)
{
    return ms >= INSTANT_MIN_MS && ms <= INSTANT_MAX_MS;
}

/* The milliseconds of an integer, or of a float that is whole: JavaScript has no other numbers, and some of
 * its encoders write as floats what is beyond 32 bits. */
static bool read_whole_ms(const struct cbor_head *head, int64_t *ret_ms)
{
    if (head->major == SIMPLE && head->info >= HALF) {
        double value = cbor__float(head);
        if (value != floor(value) || fabs(value) > (double)INSTANT_MAX_MS)
            return false;
        *ret_ms = (int64_t)value;
    } else if (head->major <= NEGATIVE && head->number <= (uint64_t)INSTANT_MAX_MS) {
        *ret_ms = head->major == NEGATIVE ? -1 - (int64_t)head->number : (int64_t)head->number;
    } else {
        return false;
    }
    return is_instant(*ret_ms);
}

/* Seconds, an integer or a float behind tag 1, or milliseconds without a tag: *ret_ms, or, too far away,
 * their digits in `out` and *ret_size > 0. */
static bool word_time(struct cbor *cbor, char *out, size_t *ret_size, int64_t *ret_ms)
{
    enum { MICRO_A_MS = 1000 };
    struct cbor_head head;
    size_t start = cbor->at;
    int64_t micros;
    *ret_size = 0;
    if (!cbor__read_head(cbor, &head))
        return false;
    bool is_seconds = head.major == TAG && head.number == TAG_EPOCH;
    if (is_seconds)
        start = cbor->at;
    if (is_seconds && !cbor__read_head(cbor, &head))
        return false;
    if (!is_seconds && read_whole_ms(&head, ret_ms))
        return true;
    if (head.major > NEGATIVE && (!is_seconds || head.major != SIMPLE))
        return false;
    cbor->at = start;
    if (!word_number(cbor, out, ret_size))
        return false;
    if (is_seconds && decimal_parse(out, *ret_size, NULL, &micros) == OK) {
        *ret_ms = micros / MICRO_A_MS - (micros % MICRO_A_MS < 0);
        *ret_size = is_instant(*ret_ms) ? 0 : *ret_size;
    }
    return true;
}

/* A text, with tag 0 or without. */
static bool read_time_text(struct cbor *cbor, struct slice *ret)
{
    struct cbor_head head;
    if (!cbor__read_head(cbor, &head))
        return false;
    if (head.major == TAG && head.number == TAG_TIME_TEXT && !cbor__read_head(cbor, &head))
        return false;
    return head.major == TEXT && cbor__read_string(cbor, &head, ret);
}

enum pull_kind cbor_take_number(struct cbor *cbor, struct slice *ret)
{
    struct pull_scratch *scratch = cbor->scratch;
    size_t start = cbor->at, mark = scratch->size;
    if (cbor->error != NULL)
        return PULL_NONE;
    char *out = pull_scratch_take(scratch, NUMBER_TEXT_MAX);
    if (out == NULL) {
        cbor__fail(cbor, start, "too many numbers");
        return PULL_NONE;
    }
    size_t size = 0;
    bool is_number = word_number(cbor, out, &size);
    scratch->size = mark + size;
    if (is_number) {
        *ret = (struct slice){out, size};
        return PULL_NUMBER;
    }
    if (cbor->error != NULL)
        return PULL_NONE;
    cbor->at = start;
    enum pull_kind kind = cbor_take(cbor, ret);
    return kind == PULL_NUMBER ? PULL_OTHER : kind;
}

/* Any other form of a time than the common two; apart, for it has an array. */
static enum pull_kind __attribute__((noinline)) take_other_time(struct cbor *cbor, struct slice *ret)
{
    char text[NUMBER_TEXT_MAX];
    size_t start = cbor->at, size;
    int64_t ms = 0;
    if (read_time_text(cbor, ret))
        return PULL_STRING;
    if (cbor->error != NULL)
        return PULL_NONE;
    cbor->at = start;
    if (word_time(cbor, text, &size, &ms)) {
        bool is_kept = size > 0 ? cbor__keep(cbor, text, size, ret)
                                : cbor__keep(cbor, (const char *)&ms, sizeof ms, ret);
        return !is_kept ? PULL_NONE : size > 0 ? PULL_STRING : PULL_INSTANT;
    }
    cbor->at = start;
    enum pull_kind kind = cbor_take(cbor, ret);
    return kind == PULL_NUMBER ? PULL_OTHER : kind;
}

enum pull_kind cbor_take_time(struct cbor *cbor, struct slice *ret)
{
    struct cbor_head head;
    size_t start = cbor->at;
    enum pull_kind kind = cbor_peek(cbor);
    if (kind != PULL_NUMBER && kind != PULL_OTHER)
        return cbor_take(cbor, ret);
    if (kind == PULL_NUMBER && cbor__read_head(cbor, &head) && head.major == UNSIGNED &&
        head.number <= (uint64_t)INSTANT_MAX_MS)
        return cbor__keep(cbor, (const char *)&head.number, sizeof head.number, ret) ? PULL_INSTANT
                                                                                     : PULL_NONE;
    cbor->at = start;
    return cbor->error == NULL ? take_other_time(cbor, ret) : PULL_NONE;
}
