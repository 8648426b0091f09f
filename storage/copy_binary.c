/* A row is written through one pointer into room reserved for the longest row, so that no column checks for
 * space. */
#include "storage/copy_binary.h"

#include <stdbool.h>
#include <string.h>

#include "daemon/base/limits.h"
#include "storage/sql_parameters.h"

#define COLUMN_ROW(name, type) {#name, type},
const struct copy_column copy_columns[] = {COPY_COLUMNS(COLUMN_ROW)};
#undef COLUMN_ROW
const unsigned copy_columns_count = sizeof(copy_columns) / sizeof(copy_columns[0]);

static const char signature[] =
    "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0"; /* 11 bytes, flags, header extension length */

/* Fixed columns take less than 400 bytes with their lengths; a byte of the tail becomes at most three. */
enum { SIGNATURE_BYTES = 19, ROW_BYTES_MAX = 512 + 3 * TAIL_BYTES_MAX };

static_assert(sizeof(signature) == SIGNATURE_BYTES,
              "11 + 4 + 4 bytes; the last is the zero that ends the literal");

static char *put_int16(char *at, int16_t value)
{
    sql_put_int32(at, 2);
    sql_put_int16(at + 4, value);
    return at + 6;
}

static char *put_int32(char *at, int32_t value)
{
    sql_put_int32(at, 4);
    sql_put_int32(at + 4, value);
    return at + 8;
}

static char *put_int64(char *at, int64_t value)
{
    sql_put_int32(at, 8);
    sql_put_int64(at + 4, value);
    return at + 12;
}

static char *put_null(char *at)
{
    sql_put_int32(at, -1);
    return at + 4;
}

static char *put_id(char *at, int64_t value)
{
    return value != 0 ? put_int64(at, value) : put_null(at);
}

static char *put_time(char *at, int64_t ms)
{
    return ms != INSTANT_NONE ? put_int64(at, sql_time_from_ms(ms)) : put_null(at);
}

static char *put_word(char *at, const char *word)
{
    size_t size = strlen(word);
    sql_put_int32(at, (int32_t)size);
    memcpy(at + 4, word, size);
    return at + 4 + size;
}

/* Length of the UTF-8 sequence at `text`, 0 when it is none (or a zero byte): RFC 3629. */
static size_t sequence_size(const uint8_t *text, size_t left)
{
    uint8_t first = text[0];
    if (first < 0x80)
        return first != 0;
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || size > left)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (first == 0xe0 && text[1] < 0xa0) || (first == 0xf0 && text[1] < 0x90);
    bool surrogate = first == 0xed && text[1] >= 0xa0, beyond = first == 0xf4 && text[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : size;
}

static bool is_plain(const struct slice *text)
{
    for (size_t i = 0; i < text->size; i++)
        if ((uint8_t)(text->data[i] - 1) >= 0x7f)
            return false;
    return true;
}

static char *put_cleaned(char *at, const struct slice *text)
{
    const uint8_t *data = (const uint8_t *)text->data;
    char *out = at + 4;
    for (size_t i = 0; i < text->size;) {
        size_t size = sequence_size(data + i, text->size - i);
        memcpy(out, size != 0 ? text->data + i : "\xef\xbf\xbd", size != 0 ? size : 3);
        out += size != 0 ? size : 3;
        i += size != 0 ? size : 1;
    }
    sql_put_int32(at, (int32_t)(out - at - 4));
    return out;
}

static char *put_text(char *at, struct slice text, bool absent_is_null)
{
    if (text.data == NULL)
        return absent_is_null ? put_null(at) : put_word(at, "");
    if (!is_plain(&text))
        return put_cleaned(at, &text);
    sql_put_int32(at, (int32_t)text.size);
    memcpy(at + 4, text.data, text.size);
    return at + 4 + text.size;
}

void copy_statement(struct buffer *out)
{
    buffer_text(out, "COPY vigie.reading (");
    for (unsigned i = 0; i < copy_columns_count; i++)
        buffer_printf(out, "%s%s", i > 0 ? ", " : "", copy_columns[i].name);
    buffer_append(out, ") FROM STDIN (FORMAT binary)", sizeof(") FROM STDIN (FORMAT binary)"));
}

void copy_begin(struct buffer *out)
{
    buffer_append(out, signature, SIGNATURE_BYTES);
}

void copy_reading(struct buffer *out, const struct reading *reading, const uint8_t *tail,
                  const int16_t *parameter_ids, const struct copy_place *place)
{
    ensure(reading->tail_size <= TAIL_BYTES_MAX);
    char *start = buffer_reserve(out, ROW_BYTES_MAX), *at = start;
    size_t tail_size = reading->tail_size;
    sql_put_int16(at, (int16_t)copy_columns_count);
    at += 2;
    sql_put_int32(at, UUID_BYTES);
    memcpy(at + 4, reading->reading_id, UUID_BYTES);
    at += 4 + UUID_BYTES;
    at = put_int32(at, reading->revision);
    at = put_int64(at, reading->patient_id);
    at = put_int16(at, parameter_ids[reading->parameter]);
    at = put_time(at, reading->measured_at_ms);
    at = put_time(at, reading->received_at_ms);
    at = put_int64(at, reading->value);
    at = put_word(at, reading_comparator_text(reading->comparator));
    at = put_id(at, reading->device_id);
    at = put_text(at, tail_get(tail, tail_size, TAIL_SENSOR), false);
    at = put_word(at, reading_origin_text(reading->origin));
    at = put_word(at, reading_status_text(reading->status));
    at = put_int32(at, reading->flags);
    at = put_int64(at, reading->source_id);
    at = put_text(at, tail_get(tail, tail_size, TAIL_ALIAS), true);
    at = put_time(at, reading->issued_ms);
    at = put_id(at, (int64_t)reading->group_id);
    at = put_word(at, reading->precision == PRECISION_DAY ? "day" : "time");
    at = put_int16(at, reading->utc_offset_min);
    at = put_text(at, tail_get(tail, tail_size, TAIL_TEXT), true);
    at = put_text(at, tail_get(tail, tail_size, TAIL_UNIT), true);
    at = put_text(at, tail_get(tail, tail_size, TAIL_CODE), true);
    at = put_text(at, tail_get(tail, tail_size, TAIL_KEY_DEVICE), false);
    at = put_text(at, tail_get(tail, tail_size, TAIL_CONTEXT), true);
    at = put_int64(at, (int64_t)place->request);
    at = put_int16(at, place->index);
    ensure(at <= start + ROW_BYTES_MAX);
    out->size += (size_t)(at - start);
}

void copy_end(struct buffer *out)
{
    buffer_append(out, "\377\377", 2);
}
