/* json_pull: one character decides what follows, a small stack remembers where we are, and everything else is
 * the scanning of strings: eight bytes at a time while they are plain ASCII, byte by byte where they are not.
 */
#include "daemon/ingest/pull/json_pull.h"

#include <string.h>

#include "daemon/base/ensure.h"

static bool fail(struct pull *pull, const char *text)
{
    if (pull->error == NULL) {
        pull->error = text;
        pull->error_at = pull->at;
    }
    return false;
}

static bool fail_at(struct pull *pull, size_t at, const char *text)
{
    pull->at = at;
    return fail(pull, text);
}

/* The character at hand, 0 at the end: NUL is nowhere legal, so the two never need telling apart. */
static inline char look(const struct pull *pull)
{
    return pull->at < pull->size ? pull->text[pull->at] : '\0';
}

static inline void skip_space(struct pull *pull)
{
    while (pull->at < pull->size) {
        char c = pull->text[pull->at];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            break;
        pull->at++;
    }
}

/* ---- strings ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The code unit of "\uXXXX" at `at`, -1 when it is none. */
static int code_unit(const char *text, size_t at, size_t size)
{
    if (size - at < 6 || text[at] != '\\' || text[at + 1] != 'u')
        return -1;
    int unit = 0;
    for (size_t i = at + 2; i < at + 6; i++) {
        int digit = hex_digit(text[i]);
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

static bool is_high_surrogate(int unit)
{
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low_surrogate(int unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

/* Passes over the escape at `at`; 0 after an error. */
static size_t check_escape(struct pull *pull, size_t at)
{
    char c = at + 1 < pull->size ? pull->text[at + 1] : '\0';
    if (c != '\0' && strchr("\"\\/bfnrt", c) != NULL)
        return at + 2;
    int unit = code_unit(pull->text, at, pull->size);
    if (unit < 0)
        fail_at(pull, at, "an escape that JSON does not have");
    else if (unit == 0)
        fail_at(pull, at, "the character U+0000");
    else if (is_low_surrogate(unit) ||
             (is_high_surrogate(unit) && !is_low_surrogate(code_unit(pull->text, at + 6, pull->size))))
        fail_at(pull, at, "half of a surrogate pair");
    else
        return at + (is_high_surrogate(unit) ? 12 : 6);
    return 0;
}

/* Bytes at `at` that are plain: no quote, no backslash, no control character, ASCII. */
static inline size_t pass_plain(const char *text, size_t at, size_t size)
{
    const uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080;
    while (at + 8 <= size) {
        uint64_t word;
        memcpy(&word, text + at, sizeof word);
        uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
        uint64_t odd =
            ((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((word - ones * 0x20) & ~word) | word;
        if (odd & tops) /* of several the lowest is certain: what borrows is above it */
            return at + (size_t)__builtin_ctzll(odd & tops) / 8;
        at += 8;
    }
    while (at < size && (uint8_t)text[at] >= 0x20 && (uint8_t)text[at] < 0x80 && text[at] != '"' &&
           text[at] != '\\')
        at++;
    return at;
}

/* The rest of a string that is not plain: from `at` to the closing quote. */
static bool scan_rest(struct pull *pull, size_t start, size_t at, struct slice *ret_raw, bool *ret_escaped)
{
    for (;; at = pass_plain(pull->text, at, pull->size)) {
        if (at >= pull->size)
            return fail_at(pull, pull->size, "the text ends inside a string");
        uint8_t c = (uint8_t)pull->text[at];
        if (c == '"')
            break;
        if (c < 0x20)
            return fail_at(pull, at, "a control character in a string");
        size_t next = c == '\\' ? check_escape(pull, at) : 0;
        if (c != '\\') {
            size_t length = pull_utf8_length((const uint8_t *)pull->text + at, pull->size - at);
            next = length == 0 ? 0 : at + length;
        }
        if (next == 0)
            return fail_at(pull, at, "text that is not UTF-8");
        *ret_escaped |= c == '\\';
        at = next;
    }
    *ret_raw = (struct slice){pull->text + start, at - start};
    pull->at = at + 1;
    return true;
}

/* From the opening quote; gives what stands between the quotes. */
static inline bool scan_string(struct pull *pull, struct slice *ret_raw, bool *ret_escaped)
{
    ensure(look(pull) == '"');
    size_t start = pull->at + 1, at = pass_plain(pull->text, start, pull->size);
    *ret_escaped = false;
    if (at >= pull->size || pull->text[at] != '"')
        return scan_rest(pull, start, at, ret_raw, ret_escaped);
    *ret_raw = (struct slice){pull->text + start, at - start};
    pull->at = at + 1;
    return true;
}

static size_t put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length; i-- > 1; code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(lead[length] | code);
    return length;
}

static size_t put_escape(struct slice raw, size_t *at, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *simple = strchr(from, raw.data[*at + 1]);
    if (simple != NULL) {
        *out = to[simple - from];
        *at += 2;
        return 1;
    }
    uint32_t code = (uint32_t)code_unit(raw.data, *at, raw.size);
    *at += 6;
    if (is_high_surrogate((int)code)) {
        uint32_t low = (uint32_t)code_unit(raw.data, *at, raw.size);
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        *at += 6;
    }
    return put_utf8(out, code);
}

/* An unescaped text is never longer than its escaped form. */
static bool unescape(struct pull *pull, struct slice raw, struct slice *ret)
{
    char *out = pull_scratch_take(pull->scratch, raw.size);
    size_t size = 0;
    if (out == NULL)
        return fail(pull, "too many escapes");
    for (size_t at = 0; at < raw.size;) {
        if (raw.data[at] == '\\')
            size += put_escape(raw, &at, out + size);
        else
            out[size++] = raw.data[at++];
    }
    ensure(size <= raw.size);
    pull->scratch->size -= raw.size - size;
    *ret = (struct slice){out, size};
    return true;
}

static bool read_string(struct pull *pull, struct slice *ret)
{
    bool escaped;
    if (!scan_string(pull, ret, &escaped))
        return false;
    return !escaped || unescape(pull, *ret, ret);
}

/* ---- numbers and words ---- */

static size_t pass_digits(const struct pull *pull, size_t at)
{
    while (at < pull->size && pull->text[at] >= '0' && pull->text[at] <= '9')
        at++;
    return at;
}

static bool read_number(struct pull *pull, struct slice *ret)
{
    size_t start = pull->at, at = start;
    at += look(pull) == '-';
    size_t digits = pass_digits(pull, at);
    if (digits == at)
        return fail(pull, "neither a value nor a number");
    if (pull->text[at] == '0' && digits > at + 1)
        return fail(pull, "a number with a leading zero");
    at = digits;
    if (at < pull->size && pull->text[at] == '.') {
        digits = pass_digits(pull, at + 1);
        if (digits == at + 1)
            return fail_at(pull, at, "a point without digits");
        at = digits;
    }
    if (at < pull->size && (pull->text[at] | 0x20) == 'e') {
        size_t exponent = at + 1;
        exponent += exponent < pull->size && (pull->text[exponent] == '+' || pull->text[exponent] == '-');
        digits = pass_digits(pull, exponent);
        if (digits == exponent)
            return fail_at(pull, at, "an exponent without digits");
        at = digits;
    }
    *ret = (struct slice){pull->text + start, at - start};
    pull->at = at;
    return true;
}

static enum pull_kind read_word(struct pull *pull, const char *word, enum pull_kind kind)
{
    size_t size = strlen(word);
    if (pull->size - pull->at < size || memcmp(pull->text + pull->at, word, size) != 0) {
        fail(pull, "neither a value nor a number");
        return PULL_NONE;
    }
    pull->at += size;
    return kind;
}

/* ---- where containers end ---- */

static bool spans_cover(const struct pull_spans *spans, struct slice raw)
{
    uintptr_t text = (uintptr_t)spans->text.data, at = (uintptr_t)raw.data;
    return at >= text && at - text <= spans->text.size && raw.size <= spans->text.size - (at - text);
}

/* The container at hand ends before `at`. */
static inline void note_end(struct pull *pull, size_t start)
{
    struct pull_spans *spans = pull->spans;
    if (pull->keys == NULL || spans == NULL)
        return;
    size_t row = start % PULL_SPANS;
    spans->rows[row].start = (uint32_t)start;
    spans->rows[row].end = (uint32_t)pull->at;
}

/* Jumps over the container that begins here; false when nothing was noted of it. */
static inline bool jump(struct pull *pull)
{
    const struct pull_spans *spans = pull->spans;
    size_t start = pull->offset + pull->at, row = start % PULL_SPANS;
    if (spans == NULL || spans->rows[row].start != start)
        return false;
    pull->at = spans->rows[row].end - pull->offset;
    ensure(pull->at <= pull->size);
    return true;
}

/* ---- containers ---- */

static inline enum pull_kind enter(struct pull *pull, bool is_object)
{
    if (pull->depth == JSON_DEPTH_MAX) {
        fail(pull, "nested too deep");
        return PULL_NONE;
    }
    struct pull_frame *frame = &pull->frames[pull->depth++];
    frame->keys = pull_keys_open(pull->keys);
    frame->start = pull->at;
    frame->is_object = is_object;
    frame->begun = false;
    pull->at++;
    return is_object ? PULL_OBJECT : PULL_ARRAY;
}

static inline void leave(struct pull *pull)
{
    ensure(pull->depth > 0);
    struct pull_frame *frame = &pull->frames[--pull->depth];
    pull_keys_close(pull->keys, &frame->keys);
    pull->at++;
    note_end(pull, frame->start);
}

/* Passes over the comma; false at the end of the container or on an error. */
static inline bool next_member(struct pull *pull, char close)
{
    struct pull_frame *frame = &pull->frames[pull->depth - 1];
    skip_space(pull);
    char c = look(pull);
    if (c == close) {
        leave(pull);
        return false;
    }
    if (frame->begun) {
        if (c != ',')
            return fail(pull,
                        pull->at < pull->size ? "no comma between two values" : "the text ends too early");
        pull->at++;
        skip_space(pull);
    }
    frame->begun = true;
    return true;
}

/* Inline: it is most of what checking a text takes. */
static inline bool next_key(struct pull *pull, struct slice *ret_key)
{
    if (pull->error != NULL)
        return false;
    ensure(pull->depth > 0 && pull->frames[pull->depth - 1].is_object);
    if (!next_member(pull, '}'))
        return false;
    if (look(pull) != '"')
        return fail(pull, pull->at < pull->size ? "no key where one must stand" : "the text ends too early");
    if (!read_string(pull, ret_key))
        return false;
    struct pull_frame *frame = &pull->frames[pull->depth - 1];
    const char *fault = pull->keys != NULL ? pull_keys_add(pull->keys, &frame->keys, *ret_key) : NULL;
    if (fault != NULL)
        return fail(pull, fault);
    skip_space(pull);
    if (look(pull) != ':')
        return fail(pull, pull->at < pull->size ? "no colon behind a key" : "the text ends too early");
    pull->at++;
    return true;
}

/* ---- public ---- */

void pull_open(struct pull *pull, struct slice text, struct pull_scratch *scratch, struct pull_keys *keys)
{
    ensure(keys != NULL && scratch != NULL);
    ensure(text.size <= UINT32_MAX);
    if (scratch->spans != NULL)
        scratch->spans->text = text;
    pull_open_raw(pull, text, scratch);
    keys->count = 0;
    pull->keys = keys;
    if (text.size >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0)
        pull->at = 3;
}

void pull_open_raw(struct pull *pull, struct slice raw, struct pull_scratch *scratch)
{
    pull->text = raw.data;
    pull->size = raw.size;
    pull->at = 0;
    pull->error = NULL;
    pull->error_at = 0;
    pull->scratch = scratch;
    pull->keys = NULL;
    pull->spans = NULL;
    pull->offset = 0;
    pull->depth = 0;
    if (scratch->spans != NULL && spans_cover(scratch->spans, raw)) {
        pull->spans = scratch->spans;
        pull->offset = (size_t)((uintptr_t)raw.data - (uintptr_t)scratch->spans->text.data);
    }
}

enum pull_kind pull_peek(struct pull *pull)
{
    if (pull->error != NULL)
        return PULL_NONE;
    skip_space(pull);
    switch (look(pull)) {
    case '{':
        return PULL_OBJECT;
    case '[':
        return PULL_ARRAY;
    case '"':
        return PULL_STRING;
    case 't':
        return PULL_TRUE;
    case 'f':
        return PULL_FALSE;
    case 'n':
        return PULL_NULL;
    case '-':
        return PULL_NUMBER;
    default:
        return look(pull) >= '0' && look(pull) <= '9' ? PULL_NUMBER : PULL_NONE;
    }
}

enum pull_kind pull_value(struct pull *pull, struct slice *ret)
{
    if (pull->error != NULL)
        return PULL_NONE;
    skip_space(pull);
    switch (look(pull)) {
    case '{':
        return enter(pull, true);
    case '[':
        return enter(pull, false);
    case '"':
        return read_string(pull, ret) ? PULL_STRING : PULL_NONE;
    case 't':
        return read_word(pull, "true", PULL_TRUE);
    case 'f':
        return read_word(pull, "false", PULL_FALSE);
    case 'n':
        return read_word(pull, "null", PULL_NULL);
    case '\0':
        fail(pull, pull->at < pull->size ? "neither a value nor a number" : "the text ends too early");
        return PULL_NONE;
    default:
        return read_number(pull, ret) ? PULL_NUMBER : PULL_NONE;
    }
}

/* Like pull_value(), without unescaping what nobody will look at. */
static void pass_value(struct pull *pull)
{
    struct slice ignored;
    bool escaped;
    skip_space(pull);
    if (look(pull) == '"')
        scan_string(pull, &ignored, &escaped);
    else
        pull_value(pull, &ignored);
}

/* A container of text that was checked before: brackets are counted, strings jumped over. */
static void pass_checked(struct pull *pull)
{
    const char *text = pull->text;
    size_t at = pull->at;
    unsigned depth = 0;
    do {
        ensure(at < pull->size);
        char c = text[at++];
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        if (c != '"')
            continue;
        for (at = pass_plain(text, at, pull->size); text[at] != '"'; at = pass_plain(text, at, pull->size))
            at += text[at] == '\\' ? 2 : 1; /* an escape, or a byte that is not ASCII */
        at++;
    } while (depth > 0);
    pull->at = at;
}

void pull_skip(struct pull *pull)
{
    if (pull->error != NULL)
        return;
    if (pull->keys == NULL && (pull_peek(pull) == PULL_OBJECT || pull_peek(pull) == PULL_ARRAY)) {
        if (!jump(pull))
            pass_checked(pull);
        return;
    }
    unsigned base = pull->depth;
    struct slice key;
    pass_value(pull);
    while (pull->error == NULL && pull->depth > base)
        if (pull->frames[pull->depth - 1].is_object ? next_key(pull, &key) : pull_next_item(pull))
            pass_value(pull);
}

enum pull_kind pull_take(struct pull *pull, struct slice *ret)
{
    if (pull->error != NULL)
        return PULL_NONE;
    skip_space(pull);
    char c = look(pull);
    if (c != '{' && c != '[')
        return pull_value(pull, ret);
    size_t start = pull->at;
    pull_skip(pull);
    if (pull->error != NULL)
        return PULL_NONE;
    *ret = (struct slice){pull->text + start, pull->at - start};
    return c == '{' ? PULL_OBJECT : PULL_ARRAY;
}

bool pull_next_key(struct pull *pull, struct slice *ret_key)
{
    return next_key(pull, ret_key);
}

bool pull_next_item(struct pull *pull)
{
    if (pull->error != NULL)
        return false;
    ensure(pull->depth > 0 && !pull->frames[pull->depth - 1].is_object);
    return next_member(pull, ']');
}

bool pull_finish(struct pull *pull)
{
    if (pull->error != NULL)
        return false;
    ensure(pull->depth == 0);
    skip_space(pull);
    return pull->at == pull->size || fail(pull, "something stands behind the value");
}

/* True when the name at hand is one of the list, whose value is taken. */
static bool take_field(struct pull *pull, const struct pull_names *names, struct slice key,
                       struct pull_field *fields)
{
    unsigned i = pull_find_name(names, key);
    if (i == names->count)
        return false;
    fields[i].kind = pull_take(pull, &fields[i].text);
    if (fields[i].kind == PULL_NULL)
        fields[i].kind = PULL_NONE;
    return true;
}

bool pull_read_fields(struct pull *pull, const struct pull_names *names, struct pull_field *fields,
                      struct pull_unknown *ret_unknown)
{
    struct slice key;
    memset(fields, 0, names->count * sizeof *fields);
    *ret_unknown = (struct pull_unknown){.count = 0};
    while (next_key(pull, &key)) {
        if (take_field(pull, names, key, fields))
            continue;
        bool ignored = key.size > 0 && names->ignored_prefix != '\0' && key.data[0] == names->ignored_prefix;
        if (!ignored && ret_unknown->count++ == 0)
            ret_unknown->first = key;
        pull_skip(pull);
    }
    return pull->error == NULL;
}

bool pull_find_fields(struct pull *pull, const struct pull_names *names, struct pull_field *fields)
{
    struct slice key;
    ensure(pull->keys == NULL);
    memset(fields, 0, names->count * sizeof *fields);
    for (unsigned missing = names->count; missing > 0 && next_key(pull, &key);)
        if (take_field(pull, names, key, fields))
            missing--;
        else
            pull_skip(pull);
    return pull->error == NULL;
}
