/* log: one line, one write(2), so that lines of several threads never mix (they are shorter than PIPE_BUF).
 * A call site that repeats itself is cut at ten lines a second; its next line carries `suppressed=N`. The
 * counts are relaxed atomics: two threads may both write the tenth line, which limits just as well. */
#include "daemon/base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/buffer.h"
#include "daemon/base/clock.h"
#include "daemon/base/instant.h"

enum { LINES_PER_SECOND = 10, MESSAGE_BYTES_MAX_LOG = 1024, LINE_BYTES_MAX = 4096 };

static int log_level_max = LOG_INFO;     /* written before the threads start and at reload; relaxed atomic */
static int log_format = LOG_FORMAT_TEXT; /* likewise */

static const char *const level_words[] = {"error", "warning", "notice", "info", "debug"};

struct line {
    char text[LINE_BYTES_MAX];
    size_t size;
};

void log_configure(enum log_level level, enum log_format format)
{
    __atomic_store_n(&log_level_max, (int)level, __ATOMIC_RELAXED);
    __atomic_store_n(&log_format, (int)format, __ATOMIC_RELAXED);
}

/* False when the site has had its lines of this second; else the number left out since its last line. */
static bool admit(struct log_site *site, unsigned *ret_suppressed)
{
    long now_s = (long)(clock_monotonic_ms() / 1000);

    *ret_suppressed = 0;
    if (__atomic_load_n(&site->window_s, __ATOMIC_RELAXED) != now_s) {
        __atomic_store_n(&site->window_s, now_s, __ATOMIC_RELAXED);
        __atomic_store_n(&site->count, 0, __ATOMIC_RELAXED);
    }
    if (__atomic_fetch_add(&site->count, 1, __ATOMIC_RELAXED) >= LINES_PER_SECOND) {
        __atomic_fetch_add(&site->suppressed, 1, __ATOMIC_RELAXED);
        return false;
    }
    *ret_suppressed = __atomic_exchange_n(&site->suppressed, 0, __ATOMIC_RELAXED);
    return true;
}

/* `room` is what later parts of the line need. */
static void put_bytes(struct line *line, const char *bytes, size_t size, size_t room)
{
    if (line->size + size + room > sizeof(line->text))
        return;
    memcpy(line->text + line->size, bytes, size);
    line->size += size;
}

/* Control bytes would let a device write log lines of its own: they are shown as \xNN, or \u00NN in JSON. */
static void put_escaped(struct line *line, const char *text, bool json)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        char escape[8];
        if (c < 0x20 || c == 0x7f) {
            int size = snprintf(escape, sizeof(escape), json ? "\\u%04x" : "\\x%02x", c);
            put_bytes(line, escape, (size_t)size, 128);
        } else if (json && (c == '"' || c == '\\')) {
            put_bytes(line, (char[]){'\\', (char)c}, 2, 128);
        } else {
            put_bytes(line, text, 1, 128);
        }
    }
}

static void put_text(struct line *line, const char *text)
{
    put_bytes(line, text, strlen(text), 2);
}

static void compose(struct line *line, const char *level, const char *area, const char *message,
                    unsigned suppressed)
{
    bool json = __atomic_load_n(&log_format, __ATOMIC_RELAXED) == LOG_FORMAT_JSON;
    char time[INSTANT_TEXT_MAX], count[48] = "";

    instant_format(clock_wall_ms(), time);
    put_text(line, json ? "{\"time\":\"" : "time=");
    put_text(line, time);
    put_text(line, json ? "\",\"level\":\"" : " level=");
    put_text(line, level);
    put_text(line, json ? "\",\"area\":\"" : " area=");
    put_text(line, area);
    put_text(line, json ? "\",\"message\":\"" : " ");
    put_escaped(line, message, json);
    if (suppressed > 0)
        (void)snprintf(count, sizeof(count), json ? "\",\"suppressed\":\"%u" : " suppressed=%u", suppressed);
    put_text(line, count);
    put_text(line, json ? "\"}" : "");
    put_bytes(line, "\n", 1, 0);
}

void log_emit(struct log_site *site, enum log_level level, const char *area, const char *format, ...)
{
    char message[MESSAGE_BYTES_MAX_LOG];
    struct line line = {.size = 0};
    unsigned suppressed;
    va_list arguments;

    if ((int)level > __atomic_load_n(&log_level_max, __ATOMIC_RELAXED) || !admit(site, &suppressed))
        return;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    compose(&line, level_words[level], area, message, suppressed);
    ssize_t written = write(STDERR_FILENO, line.text, line.size);
    (void)written; /* a log that cannot be written has nobody to be told to */
}
