/* buffer: a growable byte string for answers, journal turns and the control plane, and a JSON writer on it.
 * Owner:   the struct lives in its holder; buffer_deinit() frees what it grew to.
 * Threads: one at a time.
 * Fails:   growth without memory is ensure(): the process cannot go on honestly; bounded callers check size.
 */
#ifndef VIGIE_BASE_BUFFER_H
#define VIGIE_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    char *data;
    size_t size, capacity;
};

void buffer_deinit(struct buffer *buffer);
void buffer_clear(struct buffer *buffer); /* keeps the memory */
char *buffer_reserve(struct buffer *buffer,
                     size_t more); /* room for `more`; where to write; size unchanged */
void buffer_append(struct buffer *buffer, const void *bytes, size_t size);
void buffer_text(struct buffer *buffer, const char *text);
void buffer_printf(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* JSON writer: commas are placed by what was written last; strings are escaped and must be UTF-8. */
void render_open(struct buffer *buffer, char bracket);  /* '{' or '[' */
void render_close(struct buffer *buffer, char bracket); /* '}' or ']' */
void render_key(struct buffer *buffer, const char *key);
void render_string(struct buffer *buffer, const char *text, size_t size);
void render_text(struct buffer *buffer, const char *text); /* NULL is null */
void render_integer(struct buffer *buffer, int64_t value);
void render_decimal(struct buffer *buffer, int64_t millionths);
void render_instant(struct buffer *buffer, int64_t ms); /* INSTANT_NONE is null */
void render_boolean(struct buffer *buffer, bool value);
void render_null(struct buffer *buffer);
void render_raw(struct buffer *buffer, const char *json, size_t size); /* a value already rendered */
/* A key and its value. */
void render_text_member(struct buffer *buffer, const char *key, const char *text);
void render_integer_member(struct buffer *buffer, const char *key, int64_t value);
void render_instant_member(struct buffer *buffer, const char *key, int64_t ms);

#endif
