/* archive: the primitives. Varints are LEB128 of the least length: a longer one is a fault, so that bytes and
 * values are one to one. */
#include "alerting/archive.h"

#include "alerting/grow.h"

enum { VARINT_BYTES_MAX = 10 };

static void put_varint(struct buffer *out, uint64_t value)
{
    uint8_t *at = (uint8_t *)(out->capacity - out->size >= VARINT_BYTES_MAX
                                  ? out->data + out->size
                                  : buffer_reserve(out, VARINT_BYTES_MAX)),
            *begin = at;
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    out->size += (size_t)(at - begin);
}

static uint64_t take_varint(struct archive *a)
{
    uint64_t value = 0;
    for (unsigned shift = 0; a->at < a->end && shift < 70; shift += 7) {
        uint8_t byte = *a->at++;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        if (byte == 0 && shift > 0)
            break;
        return value;
    }
    archive_fault(a);
    return 0;
}

void archive_number(struct archive *a, uint64_t *value)
{
    if (a->writing)
        put_varint(a->out, *value);
    else
        *value = take_varint(a);
}

static uint64_t to_zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

static int64_t from_zigzag(uint64_t value)
{
    return (int64_t)(value >> 1 ^ ((value & 1) != 0 ? UINT64_MAX : 0));
}

void archive_signed(struct archive *a, int64_t *value)
{
    if (a->writing)
        put_varint(a->out, to_zigzag(*value));
    else
        *value = from_zigzag(take_varint(a));
}

/* The ends stand for "never" and "none" and are frequent: 0 and 1. The zigzags of the rest end two below. */
void archive_instant(struct archive *a, int64_t *value)
{
    if (a->writing) {
        put_varint(a->out, *value == INT64_MIN ? 0 : *value == INT64_MAX ? 1 : to_zigzag(*value) + 2);
        return;
    }
    uint64_t code = take_varint(a);
    *value = code == 0 ? INT64_MIN : code == 1 ? INT64_MAX : from_zigzag(code - 2);
}

void archive_u32(struct archive *a, uint32_t *value)
{
    uint64_t wide = *value;
    archive_number(a, &wide);
    if (wide > UINT32_MAX)
        archive_fault(a);
    *value = a->bad ? 0 : (uint32_t)wide;
}

void archive_unsigned(struct archive *a, unsigned *value, unsigned limit)
{
    uint64_t wide = *value;
    ensure(!a->writing || wide < limit);
    archive_number(a, &wide);
    if (wide >= limit)
        archive_fault(a);
    *value = a->bad ? 0 : (unsigned)wide;
}

void archive_bool(struct archive *a, bool *value)
{
    unsigned bit = *value;
    archive_unsigned(a, &bit, 2);
    *value = bit != 0;
}

void archive_bytes(struct archive *a, void *bytes, size_t size)
{
    if (a->writing) {
        buffer_append(a->out, bytes, size);
    } else if ((size_t)(a->end - a->at) < size) {
        archive_fault(a);
        memset(bytes, 0, size);
    } else {
        memcpy(bytes, a->at, size);
        a->at += size;
    }
}

size_t archive_count(struct archive *a, size_t count)
{
    uint64_t wide = count;
    archive_number(a, &wide);
    if (!a->writing && wide > (uint64_t)(a->end - a->at))
        archive_fault(a);
    return a->bad ? 0 : (size_t)wide;
}

void archive_text_of(struct archive *a, const char *text)
{
    size_t size = archive_count(a, strlen(text));
    buffer_append(a->out, text, size);
}

const char *archive_text_at(struct archive *a)
{
    size_t size = archive_count(a, 0);
    if (!a->bad && memchr(a->at, 0, size) != NULL)
        archive_fault(a);
    if (a->bad)
        return NULL;
    buffer_clear(&a->text);
    buffer_append(&a->text, a->at, size);
    buffer_append(&a->text, "", 1);
    a->at += size;
    return a->text.data;
}

void archive_chars(struct archive *a, char *text, size_t size)
{
    if (a->writing) {
        archive_text_of(a, text);
        return;
    }
    const char *read = archive_text_at(a);
    if (read != NULL && strlen(read) >= size)
        archive_fault(a);
    copy_text(text, size, a->bad ? "" : read);
}

void archive_owned(struct archive *a, char **text, bool may_be_null)
{
    bool present = *text != NULL;
    if (may_be_null)
        archive_bool(a, &present);
    if (a->writing) {
        if (present)
            archive_text_of(a, *text);
        return;
    }
    const char *read = present || !may_be_null ? archive_text_at(a) : NULL;
    *text = may_be_null && read == NULL ? NULL : copied(read);
}

void archive_word(struct archive *a, const char **word)
{
    if (a->writing) {
        archive_text_of(a, *word);
        return;
    }
    const char *read = archive_text_at(a);
    *word = words_keep(&a->engine->words, read == NULL ? "" : read);
}

/* ---- enums that may move ---- */

static void read_words(struct archive *a, size_t *ret_count, int *ret_numbers, int (*number_of)(const char *))
{
    *ret_count = archive_count(a, 0);
    if (*ret_count > ARCHIVE_WORDS_MAX)
        archive_fault(a);
    for (size_t i = 0; i < *ret_count && !a->bad; i++) {
        const char *word = archive_text_at(a);
        ret_numbers[i] = word == NULL ? -1 : number_of(word);
    }
    if (a->bad)
        *ret_count = 0;
}

static int parameter_number(const char *word)
{
    enum parameter parameter;
    return parameter_by_name(word, strlen(word), &parameter) == OK ? (int)parameter : -1;
}

static int kind_number(const char *word)
{
    for (int kind = 0; kind < EVENT_COUNT; kind++)
        if (strcmp(event_word((enum event_kind)kind), word) == 0)
            return kind;
    return -1;
}

void archive_words(struct archive *a)
{
    if (!a->writing) {
        read_words(a, &a->parameters_count, a->parameters, parameter_number);
        read_words(a, &a->kinds_count, a->kinds, kind_number);
        return;
    }
    (void)archive_count(a, PARAMETER_COUNT);
    for (int i = 0; i < PARAMETER_COUNT; i++)
        archive_text_of(a, parameter_row((enum parameter)i)->name);
    (void)archive_count(a, EVENT_COUNT);
    for (int i = 0; i < EVENT_COUNT; i++)
        archive_text_of(a, event_word((enum event_kind)i));
}

/* A word that this version does not know is a fault only where it is used. */
static int known(struct archive *a, uint64_t index, size_t count, const int *numbers)
{
    if (index >= count || numbers[index] < 0)
        archive_fault(a);
    return a->bad ? 0 : numbers[index];
}

void archive_parameter(struct archive *a, enum parameter *parameter)
{
    uint64_t code = *parameter == PARAMETER_COUNT ? 0 : (uint64_t)*parameter + 1;
    archive_number(a, &code);
    if (a->writing)
        return;
    *parameter =
        code == 0 ? PARAMETER_COUNT : (enum parameter)known(a, code - 1, a->parameters_count, a->parameters);
}

void archive_kind(struct archive *a, enum event_kind *kind)
{
    uint64_t code = (uint64_t)*kind;
    archive_number(a, &code);
    if (!a->writing)
        *kind = (enum event_kind)known(a, code, a->kinds_count, a->kinds);
}

void archive_spans(struct archive *a, struct spans *spans)
{
    size_t count = archive_count(a, spans->count);
    if (!a->writing && count > 0)
        spans->items = grow(NULL, count, &spans->capacity, sizeof spans->items[0]);
    for (size_t i = 0; i < count && !a->bad; i++) {
        archive_instant(a, &spans->items[i].from_ms);
        archive_instant(a, &spans->items[i].to_ms);
        if (a->writing)
            continue;
        spans->count = i + 1;
        if (spans->items[i].from_ms >= spans->items[i].to_ms ||
            (i > 0 && spans->items[i - 1].to_ms >= spans->items[i].from_ms))
            archive_fault(a);
    }
}
