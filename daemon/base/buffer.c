/* buffer: grows by doubling and never shrinks; the JSON writer keeps no state of its own.
 * Whether a comma is due can be read from the last byte: after `{`, `[`, `:`, or at a start (empty, blank,
 * line end) a value stands first; after anything that can end a value a comma is due. */
#include "daemon/base/buffer.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/decimal.h"
#include "daemon/base/ensure.h"
#include "daemon/base/instant.h"
#include "daemon/base/slab.h"

enum { CAPACITY_MIN = 256 };

void buffer_deinit(struct buffer *buffer)
{
    if (buffer == NULL)
        return;
    slab_give(buffer->data);
    *buffer = (struct buffer){0};
}

void buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
}

char *buffer_reserve(struct buffer *buffer, size_t more)
{
    ensure(more <= SIZE_MAX / 4 && buffer->size <= SIZE_MAX / 4);
    size_t wanted = buffer->size + more;
    if (wanted > buffer->capacity) {
        size_t capacity = buffer->capacity < CAPACITY_MIN ? CAPACITY_MIN : buffer->capacity * 2;
        if (capacity < wanted)
            capacity = wanted;
        buffer->data = slab_resize(buffer->data, capacity);
        buffer->capacity = capacity;
    }
    return buffer->data + buffer->size;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t size)
{
    if (size == 0)
        return;
    memcpy(buffer_reserve(buffer, size), bytes, size);
    buffer->size += size;
}

void buffer_text(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments, again;

    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    ensure(size >= 0);
    char *at = buffer_reserve(buffer, (size_t)size + 1); /* vsnprintf() ends with a zero that is not kept */
    ensure(vsnprintf(at, (size_t)size + 1, format, again) == size);
    buffer->size += (size_t)size;
    va_end(again);
    va_end(arguments);
}

static void put(struct buffer *buffer, char c)
{
    *buffer_reserve(buffer, 1) = c;
    buffer->size++;
}

static void comma(struct buffer *buffer)
{
    if (buffer->size == 0)
        return;
    unsigned char last = (unsigned char)buffer->data[buffer->size - 1];
    if (last == '"' || last == '}' || last == ']' || isalnum(last))
        put(buffer, ',');
}

void render_open(struct buffer *buffer, char bracket)
{
    ensure(bracket == '{' || bracket == '[');
    comma(buffer);
    put(buffer, bracket);
}

void render_close(struct buffer *buffer, char bracket)
{
    ensure(bracket == '}' || bracket == ']');
    put(buffer, bracket);
}

/* Runs of plain bytes are copied whole; quotes, backslashes and control bytes are escaped. */
static void put_string(struct buffer *buffer, const char *text, size_t size)
{
    size_t plain = 0;

    put(buffer, '"');
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buffer_append(buffer, text + plain, i - plain);
        plain = i + 1;
        if (c == '"' || c == '\\')
            buffer_append(buffer, c == '"' ? "\\\"" : "\\\\", 2);
        else
            buffer_printf(buffer, "\\u%04x", c);
    }
    buffer_append(buffer, text + plain, size - plain);
    put(buffer, '"');
}

void render_key(struct buffer *buffer, const char *key)
{
    comma(buffer);
    put_string(buffer, key, strlen(key));
    put(buffer, ':');
}

void render_string(struct buffer *buffer, const char *text, size_t size)
{
    comma(buffer);
    put_string(buffer, text, size);
}

void render_text(struct buffer *buffer, const char *text)
{
    if (text == NULL)
        render_null(buffer);
    else
        render_string(buffer, text, strlen(text));
}

void render_integer(struct buffer *buffer, int64_t value)
{
    comma(buffer);
    buffer_printf(buffer, "%lld", (long long)value);
}

void render_decimal(struct buffer *buffer, int64_t millionths)
{
    comma(buffer);
    buffer->size += decimal_format(millionths, buffer_reserve(buffer, 24));
}

void render_instant(struct buffer *buffer, int64_t ms)
{
    char text[INSTANT_TEXT_MAX];
    if (ms == INSTANT_NONE)
        render_null(buffer);
    else
        render_string(buffer, text, instant_format(ms, text));
}

void render_boolean(struct buffer *buffer, bool value)
{
    comma(buffer);
    buffer_text(buffer, value ? "true" : "false");
}

void render_null(struct buffer *buffer)
{
    comma(buffer);
    buffer_append(buffer, "null", 4);
}

void render_raw(struct buffer *buffer, const char *json, size_t size)
{
    comma(buffer);
    buffer_append(buffer, json, size);
}

void render_text_member(struct buffer *buffer, const char *key, const char *text)
{
    render_key(buffer, key);
    render_text(buffer, text);
}

void render_integer_member(struct buffer *buffer, const char *key, int64_t value)
{
    render_key(buffer, key);
    render_integer(buffer, value);
}

void render_instant_member(struct buffer *buffer, const char *key, int64_t ms)
{
    render_key(buffer, key);
    render_instant(buffer, ms);
}
