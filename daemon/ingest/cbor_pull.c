/* cbor_pull: every value begins with a head, a major type of three bits and a number:
 *
 *   0 unsigned   1 negative, -1 - n   2 bytes   3 text   4 array   5 map   6 tag   7 float and simple
 *
 * read_head() is the one place that reads lengths; what they claim is compared with what is there, and counts
 * of values are only counted down. A small stack remembers where we are. Numbers and times are checked as any
 * value first, then worded from the checked bytes. */
#include "daemon/ingest/cbor_pull.h"

#include <math.h>
#include <string.h>

#include "daemon/base/decimal.h"
#include "daemon/base/ensure.h"
#include "daemon/base/instant.h"
#include "daemon/base/shortest.h"

#define CBOR_UNTIL_BREAK UINT64_MAX

enum major { UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE };

enum { SHORT_MAX = 24 }; /* bytes of a short value: a text of 23, a decimal fraction of 2 + 9 + 9 */
enum { INFO_INDEFINITE = 31, BREAK = 0xff, HALF = 25, SINGLE = 26, DOUBLE = 27 };

enum {
    TAG_TIME_TEXT = 0,
    TAG_EPOCH = 1,
    TAG_BIG = 2,
    TAG_BIG_NEGATIVE = 3,
    TAG_DECIMAL = 4,
    SELF_DESCRIBED = 55799
};

/* Years 0000 to 9999. */
#define INSTANT_MIN_MS INT64_C(-62167219200000)
#define INSTANT_MAX_MS INT64_C(253402300799999)

struct head {
    enum major major;
    uint8_t info;
    uint64_t number;
};

static bool fail(struct cbor *cbor, size_t at, const char *text)
{
    if (cbor->error == NULL) {
        cbor->error = text;
        cbor->error_at = at;
    }
    return false;
}

/* ---- heads ---- */

static uint64_t big_endian(const uint8_t *bytes, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++)
        number = number << 8 | bytes[i];
    return number;
}

/* Of 1, 2, 4 or 8 bytes: as big_endian(), without a loop. */
static inline uint64_t read_number(const uint8_t *bytes, unsigned log)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (log) {
    case 0:
        return *bytes;
    case 1:
        memcpy(&two, bytes, sizeof two);
        return __builtin_bswap16(two);
    case 2:
        memcpy(&four, bytes, sizeof four);
        return __builtin_bswap32(four);
    default:
        memcpy(&eight, bytes, sizeof eight);
        return __builtin_bswap64(eight);
    }
}

/* A head with its number behind it, or one that there is not. */
static bool read_long_head(struct cbor *cbor, size_t start, struct head *ret)
{
    if (ret->info == INFO_INDEFINITE) {
        bool may = ret->major >= BYTES && ret->major <= MAP;
        const char *what =
            cbor->text[start] == BREAK ? "a break where a value must stand" : "a reserved head";
        return may || fail(cbor, start, what);
    }
    if (ret->info > DOUBLE)
        return fail(cbor, start, "a reserved head");
    unsigned log = ret->info - 24;
    if (cbor->size - cbor->at < (size_t)1 << log)
        return fail(cbor, cbor->size, "the text ends too early");
    ret->number = read_number(cbor->text + cbor->at, log);
    cbor->at += (size_t)1 << log;
    return true;
}

static inline bool read_head(struct cbor *cbor, struct head *ret)
{
    size_t start = cbor->at;
    if (start == cbor->size)
        return fail(cbor, start, "the text ends too early");
    uint8_t first = cbor->text[start];
    ret->major = first >> 5;
    ret->info = first & 31;
    ret->number = ret->info;
    cbor->at = start + 1;
    return ret->info < 24 || read_long_head(cbor, start, ret);
}

static inline bool is_break(const struct cbor *cbor)
{
    return cbor->at < cbor->size && cbor->text[cbor->at] == BREAK;
}

/* ---- strings ---- */

static inline bool is_text(const uint8_t *bytes, size_t size)
{
    const uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080;
    size_t at = 0;
    while (at < size) {
        uint64_t word;
        for (; at + 8 <= size; at += 8) {
            memcpy(&word, bytes + at, sizeof word);
            if ((word | (word - ones)) & tops) /* a byte that is not ASCII, or zero, or behind a zero */
                break;
        }
        for (; at < size && bytes[at] > 0 && bytes[at] < 0x80; at++)
            ;
        if (at == size)
            break;
        size_t length = pull_utf8_length(bytes + at, size - at);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

/* The bytes of a definite string, whose head was read. */
static inline bool read_piece(struct cbor *cbor, const struct head *head, struct slice *ret)
{
    size_t start = cbor->at;
    if (cbor->size - start < head->number)
        return fail(cbor, cbor->size, "the text ends inside a string");
    *ret = (struct slice){(const char *)cbor->text + start, head->number};
    cbor->at = start + head->number;
    if (head->major == TEXT && cbor->keys != NULL && !is_text(cbor->text + start, head->number))
        return fail(cbor, start, "text that is not UTF-8, or has U+0000");
    return true;
}

/* Puts the pieces of an indefinite string side by side: its head was read. */
static bool read_pieces(struct cbor *cbor, enum major major, struct slice *ret)
{
    struct head head;
    struct slice piece;
    *ret = (struct slice){cbor->scratch->data + cbor->scratch->size, 0};
    while (!is_break(cbor)) {
        size_t start = cbor->at;
        if (!read_head(cbor, &head))
            return false;
        if (head.major != major || head.info == INFO_INDEFINITE)
            return fail(cbor, start, "a string of pieces that are no strings");
        if (!read_piece(cbor, &head, &piece))
            return false;
        char *copy = pull_scratch_take(cbor->scratch, piece.size);
        if (copy == NULL)
            return fail(cbor, start, "too many pieces of strings");
        memcpy(copy, piece.data, piece.size);
        ret->size += piece.size;
    }
    cbor->at++;
    return true;
}

static inline bool read_string(struct cbor *cbor, const struct head *head, struct slice *ret)
{
    return head->info == INFO_INDEFINITE ? read_pieces(cbor, head->major, ret) : read_piece(cbor, head, ret);
}

/* ---- simple values and floats ---- */

static double read_half(uint64_t bits)
{
    int exponent = bits >> 10 & 31;
    double mantissa = (double)(bits & 1023);
    double magnitude = exponent == 0    ? ldexp(mantissa, -24)
                       : exponent == 31 ? (mantissa == 0 ? INFINITY : NAN)
                                        : ldexp(mantissa + 1024, exponent - 25);
    return bits >> 15 != 0 ? -magnitude : magnitude;
}

static double float_of(const struct head *head)
{
    uint32_t single = (uint32_t)head->number;
    float narrow;
    double wide;
    if (head->info == HALF)
        return read_half(head->number);
    memcpy(&narrow, &single, sizeof narrow);
    memcpy(&wide, &head->number, sizeof wide);
    return head->info == SINGLE ? (double)narrow : wide;
}

static enum pull_kind simple_kind(struct cbor *cbor, const struct head *head, size_t start)
{
    static const enum pull_kind kinds[] = {PULL_FALSE, PULL_TRUE, PULL_NULL, PULL_NULL /* undefined */};
    if (head->info >= HALF) {
        if (isfinite(float_of(head)))
            return PULL_NUMBER;
        fail(cbor, start, "a number that is none, or infinite");
    } else if (head->info >= 20 && head->info < 24) {
        return kinds[head->info - 20];
    } else {
        fail(cbor, start, "a simple value without a meaning");
    }
    return PULL_NONE;
}

/* ---- containers ---- */

static inline enum pull_kind enter(struct cbor *cbor, const struct head *head, size_t start)
{
    bool is_map = head->major == MAP;
    if (cbor->depth == JSON_DEPTH_MAX) {
        fail(cbor, start, "nested too deep");
        return PULL_NONE;
    }
    if (head->info != INFO_INDEFINITE &&
        head->number > cbor->size - cbor->at) { /* a value has a byte or more */
        fail(cbor, cbor->size, "the text ends too early");
        return PULL_NONE;
    }
    cbor->frames[cbor->depth++] = (struct cbor_frame){
        .keys = pull_keys_open(cbor->keys),
        .left = head->info == INFO_INDEFINITE ? CBOR_UNTIL_BREAK : head->number,
        .is_map = is_map,
    };
    return is_map ? PULL_OBJECT : PULL_ARRAY;
}

/* False at the end of the container, which is left. */
static inline bool next_member(struct cbor *cbor)
{
    ensure(cbor->depth > 0);
    struct cbor_frame *frame = &cbor->frames[cbor->depth - 1];
    bool is_over = frame->left == 0;
    if (frame->left == CBOR_UNTIL_BREAK) {
        is_over = is_break(cbor);
        cbor->at += is_over;
    } else if (!is_over) {
        frame->left--;
    }
    if (is_over) {
        pull_keys_close(cbor->keys, &frame->keys);
        cbor->depth--;
    }
    return !is_over;
}

/* Passes over tags and one value; a container is entered. */
static inline enum pull_kind pass_one(struct cbor *cbor, struct slice *ret)
{
    struct head head;
    size_t start = cbor->at;
    do {
        start = cbor->at;
        if (!read_head(cbor, &head))
            return PULL_NONE;
    } while (head.major == TAG);
    switch (head.major) {
    case ARRAY:
    case MAP:
        return enter(cbor, &head, start);
    case TEXT:
        return read_string(cbor, &head, ret) ? PULL_STRING : PULL_NONE;
    case BYTES:
        return read_string(cbor, &head, ret) ? PULL_OTHER : PULL_NONE;
    case SIMPLE:
        return simple_kind(cbor, &head, start);
    default:
        return PULL_NUMBER;
    }
}

/* ---- numbers and times as text ---- */

enum { NUMBER_TEXT_MAX = 2 * DECIMAL_TEXT_MAX }; /* mantissa, 'e', exponent; a float is shorter */

static size_t write_integer(bool negative, uint64_t number, char *out)
{
    static const char least[] = "-18446744073709551616"; /* -1 - n of the largest n */
    if (!negative || number != UINT64_MAX)
        return decimal_write(negative, number + negative, 0, out);
    memcpy(out, least, sizeof least);
    return sizeof least - 1;
}

/* Copies what was worded to where it outlives the call. */
static bool keep(struct cbor *cbor, const char *text, size_t size, struct slice *ret)
{
    char *copy = pull_scratch_take(cbor->scratch, size);
    if (copy == NULL)
        return fail(cbor, cbor->at, "too many numbers");
    memcpy(copy, text, size);
    *ret = (struct slice){copy, size};
    return true;
}

/* An integer or a bignum of at most 64 bits; negative is -1 - number. False: neither. */
static bool read_integer(struct cbor *cbor, bool *ret_negative, uint64_t *ret_number)
{
    struct head head;
    struct slice bytes;
    if (is_break(cbor) || !read_head(cbor, &head))
        return false;
    *ret_negative = head.major == NEGATIVE || (head.major == TAG && head.number == TAG_BIG_NEGATIVE);
    *ret_number = head.number;
    if (head.major != TAG || (head.number != TAG_BIG && head.number != TAG_BIG_NEGATIVE))
        return head.major <= NEGATIVE;
    if (!read_head(cbor, &head) || head.major != BYTES || !read_string(cbor, &head, &bytes))
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
    struct head array, exponent;
    bool negative;
    uint64_t mantissa;
    if (!read_head(cbor, &array) || array.major != ARRAY ||
        (array.info != INFO_INDEFINITE && array.number != 2))
        return false;
    if (is_break(cbor) || !read_head(cbor, &exponent) || exponent.major > NEGATIVE ||
        !read_integer(cbor, &negative, &mantissa) || (array.info == INFO_INDEFINITE && !is_break(cbor)))
        return false;
    cbor->at += array.info == INFO_INDEFINITE; /* the break */
    bool is_least = negative && mantissa == UINT64_MAX;
    if (exponent.major == NEGATIVE && exponent.number < DECIMAL_PLACES_MAX && !is_least) {
        *ret_size = decimal_write(negative, mantissa + negative, (unsigned)exponent.number + 1, out);
        return true;
    }
    *ret_size = write_integer(negative, mantissa, out);
    if (exponent.major == NEGATIVE || exponent.number != 0) {
        out[(*ret_size)++] = 'e';
        *ret_size += write_integer(exponent.major == NEGATIVE, exponent.number, out + *ret_size);
    }
    return true;
}

static bool word_number(struct cbor *cbor, char *out, size_t *ret_size)
{
    struct head head;
    size_t start = cbor->at;
    bool negative;
    uint64_t number;
    if (!read_head(cbor, &head))
        return false;
    if (head.major == SIMPLE && head.info >= HALF) {
        if (!isfinite(float_of(&head)))
            return false;
        *ret_size = shortest_format(float_of(&head), (enum shortest_width)(head.info - HALF), out);
        return true;
    }
    if (head.major == TAG && head.number == TAG_DECIMAL)
        return word_fraction(cbor, out, ret_size);
    cbor->at = start;
    if (!read_integer(cbor, &negative, &number))
        return false;
    *ret_size = write_integer(negative, number, out);
    return true;
}

static bool is_instant(int64_t ms)
{
    return ms >= INSTANT_MIN_MS && ms <= INSTANT_MAX_MS;
}

/* Seconds, an integer or a float behind tag 1, or milliseconds without a tag: *ret_ms, or, too far away,
 * their digits in `out` and *ret_size > 0. */
static bool word_time(struct cbor *cbor, char *out, size_t *ret_size, int64_t *ret_ms)
{
    enum { MICRO_A_MS = 1000 };
    struct head head;
    size_t start = cbor->at;
    int64_t micros;
    *ret_size = 0;
    if (!read_head(cbor, &head))
        return false;
    bool is_seconds = head.major == TAG && head.number == TAG_EPOCH;
    if (is_seconds)
        start = cbor->at;
    if (is_seconds && !read_head(cbor, &head))
        return false;
    if (head.major > NEGATIVE && (!is_seconds || head.major != SIMPLE))
        return false;
    if (!is_seconds && head.number <= (uint64_t)INSTANT_MAX_MS) {
        *ret_ms = head.major == NEGATIVE ? -1 - (int64_t)head.number : (int64_t)head.number;
        if (is_instant(*ret_ms))
            return true;
    }
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
    struct head head;
    if (!read_head(cbor, &head))
        return false;
    if (head.major == TAG && head.number == TAG_TIME_TEXT && !read_head(cbor, &head))
        return false;
    return head.major == TEXT && read_string(cbor, &head, ret);
}

/* ---- keys ---- */

/* The number of a key that is a text, -1 without. */
static int number_of(const struct cbor *cbor, struct slice text)
{
    int number = (int)cbor->numbers_count - 1;
    while (number >= 0 && (cbor->numbers[number].size != text.size || text.size == 0 ||
                           memcmp(cbor->numbers[number].text, text.data, text.size) != 0))
        number--;
    return number;
}

/* The digits of an integer key that stands for no name; apart, for it is rare and has an array. */
static bool __attribute__((noinline))
keep_digits(struct cbor *cbor, const struct head *head, struct slice *ret)
{
    char digits[DECIMAL_TEXT_MAX];
    return keep(cbor, digits, write_integer(head->major == NEGATIVE, head->number, digits), ret);
}

/* Gives the text that the key is or stands for, and its number. */
static inline bool read_key(struct cbor *cbor, struct slice *ret)
{
    struct head head;
    size_t start = cbor->at;
    cbor->key_number = -1;
    if (!read_head(cbor, &head))
        return false;
    if (head.major == UNSIGNED && head.number < cbor->numbers_count && cbor->numbers[head.number].size > 0) {
        const struct pull_name *name = &cbor->numbers[head.number];
        cbor->key_number = (int)head.number;
        *ret = (struct slice){name->text, name->size};
        return true;
    }
    if (head.major <= NEGATIVE)
        return keep_digits(cbor, &head, ret);
    if (head.major != TEXT)
        return fail(cbor, start, "a key that is neither text nor an integer");
    if (!read_string(cbor, &head, ret))
        return false;
    cbor->key_number = number_of(cbor, *ret);
    return true;
}

/* A key with a number needs no search. NULL: it is new. */
static inline const char *remember_key(struct cbor *cbor, struct cbor_frame *frame, struct slice key)
{
    uint32_t bit = cbor->key_number >= 0 ? UINT32_C(1) << cbor->key_number : 0;
    if (bit == 0)
        return pull_keys_add(cbor->keys, &frame->keys, key);
    bool is_new = (frame->numbers_seen & bit) == 0;
    frame->numbers_seen |= bit;
    return is_new ? NULL : "a key that stands twice in one object";
}

/* ---- public ---- */

void cbor_open(struct cbor *cbor, struct slice text, struct pull_scratch *scratch, struct pull_keys *keys,
               const struct pull_name *numbers, unsigned numbers_count)
{
    static const uint8_t mark[] = {0xd9, SELF_DESCRIBED >> 8, SELF_DESCRIBED & 0xff};
    ensure(keys != NULL && scratch != NULL && numbers_count <= CBOR_NUMBERS_MAX);
    *cbor = (struct cbor){.scratch = scratch, .numbers = numbers, .numbers_count = numbers_count};
    cbor_open_raw(cbor, text, cbor);
    keys->count = 0;
    cbor->keys = keys;
    if (text.size >= sizeof mark && memcmp(text.data, mark, sizeof mark) == 0)
        cbor->at = sizeof mark;
}

void cbor_open_raw(struct cbor *cbor, struct slice raw, const struct cbor *of)
{
    cbor->text = (const uint8_t *)raw.data;
    cbor->size = raw.size;
    cbor->at = 0;
    cbor->error = NULL;
    cbor->error_at = 0;
    cbor->scratch = of->scratch;
    cbor->keys = NULL;
    cbor->numbers = of->numbers;
    cbor->numbers_count = of->numbers_count;
    cbor->depth = 0;
}

enum pull_kind cbor_peek(const struct cbor *cbor)
{
    static const enum pull_kind kinds[] = {PULL_NUMBER, PULL_NUMBER, PULL_OTHER, PULL_STRING,
                                           PULL_ARRAY,  PULL_OBJECT, PULL_OTHER};
    static const enum pull_kind simple[] = {PULL_FALSE, PULL_TRUE,   PULL_NULL,   PULL_NULL,
                                            PULL_NONE,  PULL_NUMBER, PULL_NUMBER, PULL_NUMBER};
    if (cbor->error != NULL || cbor->at == cbor->size)
        return PULL_NONE;
    unsigned major = cbor->text[cbor->at] >> 5, info = cbor->text[cbor->at] & 31;
    if (major < SIMPLE)
        return kinds[major];
    return info >= 20 && info <= DOUBLE ? simple[info - 20] : PULL_NONE;
}

enum pull_kind cbor_value(struct cbor *cbor, struct slice *ret)
{
    if (cbor->error != NULL)
        return PULL_NONE;
    if (cbor_peek(cbor) != PULL_OTHER)
        return pass_one(cbor, ret);
    cbor_skip(cbor);
    return cbor->error == NULL ? PULL_OTHER : PULL_NONE;
}

/* The size of the value at `at` when it is short and there: an integer, a text of less than 24 bytes, a
 * decimal fraction of two integers; 0: look at it closely. */
static inline size_t short_size(const uint8_t *text, size_t at, size_t size)
{
    static const uint8_t integers[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                       1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 5, 9, 0, 0, 0, 0};
    if (size - at < SHORT_MAX)
        return 0;
    const uint8_t *p = text + at;
    if (*p >> 5 <= NEGATIVE)
        return integers[*p & 31];
    if (*p >> 5 == TEXT)
        return (*p & 31) < 24 && is_text(p + 1, *p & 31) ? 1u + (*p & 31) : 0;
    if (p[0] != (TAG << 5 | TAG_DECIMAL) || p[1] != (ARRAY << 5 | 2) || p[2] >> 5 > NEGATIVE)
        return 0;
    size_t exponent = integers[p[2] & 31],
           mantissa = p[2 + exponent] >> 5 <= NEGATIVE ? integers[p[2 + exponent] & 31] : 0;
    return exponent > 0 && mantissa > 0 ? 2 + exponent + mantissa : 0;
}

/* Passes over the pairs of a map for as long as they are what a gateway sends: a number as key, a short
 * value. What it does not know, or what is wrong, it leaves to the code that knows all. */
static void pass_short_pairs(struct cbor *cbor, struct cbor_frame *frame)
{
    const uint8_t *text = cbor->text;
    size_t at = cbor->at;
    while (frame->left > 0 && frame->left != CBOR_UNTIL_BREAK && at < cbor->size) {
        uint8_t key = text[at];
        uint32_t bit = UINT32_C(1) << (key & 31);
        if (key >= cbor->numbers_count || key >= 24 || cbor->numbers[key].size == 0 ||
            (frame->numbers_seen & bit))
            break;
        size_t size = short_size(text, at + 1, cbor->size);
        if (size == 0)
            break;
        at += 1 + size;
        frame->left--;
        frame->numbers_seen |= bit;
    }
    cbor->at = at;
}

void cbor_skip(struct cbor *cbor)
{
    if (cbor->error != NULL)
        return;
    unsigned base = cbor->depth;
    size_t mark = cbor->scratch->size;
    struct slice ignored;
    pass_one(cbor, &ignored);
    while (cbor->error == NULL && cbor->depth > base) {
        struct cbor_frame *frame = &cbor->frames[cbor->depth - 1];
        if (frame->is_map)
            pass_short_pairs(cbor, frame);
        if (frame->is_map ? cbor_next_key(cbor, &ignored) : cbor_next_item(cbor))
            pass_one(cbor, &ignored);
    }
    cbor->scratch->size = mark;
}

enum pull_kind cbor_take(struct cbor *cbor, struct slice *ret)
{
    enum pull_kind kind = cbor_peek(cbor);
    size_t start = cbor->at;
    if (kind != PULL_OBJECT && kind != PULL_ARRAY)
        return cbor_value(cbor, ret);
    cbor_skip(cbor);
    if (cbor->error != NULL)
        return PULL_NONE;
    *ret = (struct slice){(const char *)cbor->text + start, cbor->at - start};
    return kind;
}

enum pull_kind cbor_take_number(struct cbor *cbor, struct slice *ret)
{
    struct pull_scratch *scratch = cbor->scratch;
    size_t start = cbor->at, mark = scratch->size;
    if (cbor->error != NULL)
        return PULL_NONE;
    char *out = pull_scratch_take(scratch, NUMBER_TEXT_MAX);
    if (out == NULL) {
        fail(cbor, start, "too many numbers");
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
        bool is_kept = size > 0 ? keep(cbor, text, size, ret) : keep(cbor, (const char *)&ms, sizeof ms, ret);
        return !is_kept ? PULL_NONE : size > 0 ? PULL_STRING : PULL_INSTANT;
    }
    cbor->at = start;
    enum pull_kind kind = cbor_take(cbor, ret);
    return kind == PULL_NUMBER ? PULL_OTHER : kind;
}

enum pull_kind cbor_take_time(struct cbor *cbor, struct slice *ret)
{
    struct head head;
    size_t start = cbor->at;
    enum pull_kind kind = cbor_peek(cbor);
    if (kind != PULL_NUMBER && kind != PULL_OTHER)
        return cbor_take(cbor, ret);
    if (kind == PULL_NUMBER && read_head(cbor, &head) && head.major == UNSIGNED &&
        head.number <= (uint64_t)INSTANT_MAX_MS)
        return keep(cbor, (const char *)&head.number, sizeof head.number, ret) ? PULL_INSTANT : PULL_NONE;
    cbor->at = start;
    return cbor->error == NULL ? take_other_time(cbor, ret) : PULL_NONE;
}

bool cbor_next_key(struct cbor *cbor, struct slice *ret_key)
{
    size_t start = cbor->at;
    if (cbor->error != NULL || !next_member(cbor))
        return false;
    struct cbor_frame *frame = &cbor->frames[cbor->depth - 1];
    ensure(frame->is_map);
    if (!read_key(cbor, ret_key))
        return false;
    const char *fault = cbor->keys != NULL ? remember_key(cbor, frame, *ret_key) : NULL;
    return fault == NULL || fail(cbor, start, fault);
}

bool cbor_next_item(struct cbor *cbor)
{
    return cbor->error == NULL && next_member(cbor);
}

bool cbor_finish(struct cbor *cbor)
{
    if (cbor->error != NULL)
        return false;
    ensure(cbor->depth == 0);
    return cbor->at == cbor->size || fail(cbor, cbor->at, "something stands behind the value");
}
