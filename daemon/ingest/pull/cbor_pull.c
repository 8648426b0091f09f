/* cbor_pull: every value begins with a head, a major type of three bits and a number:
 *
 *   0 unsigned   1 negative, -1 - n   2 bytes   3 text   4 array   5 map   6 tag   7 float and simple
 *
 * cbor__read_head() is the one place that reads lengths; what they claim is compared with what is there, and
 * counts of values are only counted down. A small stack remembers where we are. Numbers and times:
 * cbor_number.c. */
#include "daemon/ingest/pull/cbor_pull.h"

#include <math.h>
#include <string.h>

#include "daemon/ingest/pull/cbor_internal.h"

#define CBOR_UNTIL_BREAK UINT64_MAX

enum { SHORT_MAX = 24 }; /* bytes of a short value: a text of 23, a decimal fraction of 2 + 9 + 9 */

bool cbor__fail(struct cbor *cbor, size_t at, const char *text)
{
    if (cbor->error == NULL) {
        cbor->error = text;
        cbor->error_at = at;
    }
    return false;
}

/* ---- heads ---- */

/* Of 1, 2, 4 or 8 bytes. */
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

bool cbor__read_long_head(struct cbor *cbor, size_t start, struct cbor_head *ret)
{
    if (ret->info == INFO_INDEFINITE) {
        bool may = ret->major >= BYTES && ret->major <= MAP;
        const char *what =
            cbor->text[start] == BREAK ? "a break where a value must stand" : "a reserved head";
        return may || cbor__fail(cbor, start, what);
    }
    if (ret->info > DOUBLE)
        return cbor__fail(cbor, start, "a reserved head");
    unsigned log = ret->info - 24;
    if (cbor->size - cbor->at < (size_t)1 << log)
        return cbor__fail(cbor, cbor->size, "the text ends too early");
    ret->number = read_number(cbor->text + cbor->at, log);
    cbor->at += (size_t)1 << log;
    return true;
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
static inline bool read_piece(struct cbor *cbor, const struct cbor_head *head, struct slice *ret)
{
    size_t start = cbor->at;
    if (cbor->size - start < head->number)
        return cbor__fail(cbor, cbor->size, "the text ends inside a string");
    *ret = (struct slice){(const char *)cbor->text + start, head->number};
    cbor->at = start + head->number;
    if (head->major == TEXT && cbor->keys != NULL && !is_text(cbor->text + start, head->number))
        return cbor__fail(cbor, start, "text that is not UTF-8, or has U+0000");
    return true;
}

/* Puts the pieces of an indefinite string side by side: its head was read. */
static bool read_pieces(struct cbor *cbor, enum cbor_major major, struct slice *ret)
{
    struct cbor_head head;
    struct slice piece;
    *ret = (struct slice){cbor->scratch->data + cbor->scratch->size, 0};
    while (!cbor__is_break(cbor)) {
        size_t start = cbor->at;
        if (!cbor__read_head(cbor, &head))
            return false;
        if (head.major != major || head.info == INFO_INDEFINITE)
            return cbor__fail(cbor, start, "a string of pieces that are no strings");
        if (!read_piece(cbor, &head, &piece))
            return false;
        char *copy = pull_scratch_take(cbor->scratch, piece.size);
        if (copy == NULL)
            return cbor__fail(cbor, start, "too many pieces of strings");
        memcpy(copy, piece.data, piece.size);
        ret->size += piece.size;
    }
    cbor->at++;
    return true;
}

bool cbor__read_string(struct cbor *cbor, const struct cbor_head *head, struct slice *ret)
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

double cbor__float(const struct cbor_head *head)
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

static enum pull_kind simple_kind(struct cbor *cbor, const struct cbor_head *head, size_t start)
{
    static const enum pull_kind kinds[] = {PULL_FALSE, PULL_TRUE, PULL_NULL, PULL_NULL /* undefined */};
    if (head->info >= HALF) {
        if (isfinite(cbor__float(head)))
            return PULL_NUMBER;
        cbor__fail(cbor, start, "a number that is none, or infinite");
    } else if (head->info >= 20 && head->info < 24) {
        return kinds[head->info - 20];
    } else {
        cbor__fail(cbor, start, "a simple value without a meaning");
    }
    return PULL_NONE;
}

/* ---- containers ---- */

static inline enum pull_kind enter(struct cbor *cbor, const struct cbor_head *head, size_t start)
{
    bool is_map = head->major == MAP;
    if (cbor->depth == JSON_DEPTH_MAX) {
        cbor__fail(cbor, start, "nested too deep");
        return PULL_NONE;
    }
    if (head->info != INFO_INDEFINITE &&
        head->number > cbor->size - cbor->at) { /* a value has a byte or more */
        cbor__fail(cbor, cbor->size, "the text ends too early");
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
        is_over = cbor__is_break(cbor);
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
    struct cbor_head head;
    size_t start = cbor->at;
    do {
        start = cbor->at;
        if (!cbor__read_head(cbor, &head))
            return PULL_NONE;
    } while (head.major == TAG);
    switch (head.major) {
    case ARRAY:
    case MAP:
        return enter(cbor, &head, start);
    case TEXT:
        return cbor__read_string(cbor, &head, ret) ? PULL_STRING : PULL_NONE;
    case BYTES:
        return cbor__read_string(cbor, &head, ret) ? PULL_OTHER : PULL_NONE;
    case SIMPLE:
        return simple_kind(cbor, &head, start);
    default:
        return PULL_NUMBER;
    }
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
keep_digits(struct cbor *cbor, const struct cbor_head *head, struct slice *ret)
{
    char digits[DECIMAL_TEXT_MAX];
    return cbor__keep(cbor, digits, cbor__write_integer(head->major == NEGATIVE, head->number, digits), ret);
}

/* Gives the text that the key is or stands for, and its number. */
static inline bool read_key(struct cbor *cbor, struct slice *ret)
{
    struct cbor_head head;
    size_t start = cbor->at;
    cbor->key_number = -1;
    if (!cbor__read_head(cbor, &head))
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
        return cbor__fail(cbor, start, "a key that is neither text nor an integer");
    if (!cbor__read_string(cbor, &head, ret))
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
    return fault == NULL || cbor__fail(cbor, start, fault);
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
    return cbor->at == cbor->size || cbor__fail(cbor, cbor->at, "something stands behind the value");
}
