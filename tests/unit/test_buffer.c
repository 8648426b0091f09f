/* buffer, err and log: JSON that is always well formed, lines that nobody can forge. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/buffer.h"
#include "daemon/base/err.h"
#include "daemon/base/instant.h"
#include "daemon/base/log.h"
#include "tests/unit/unit.h"

static void check(struct buffer *buffer, const char *expected)
{
    buffer_append(buffer, "", 1);
    CU_ASSERT_STRING_EQUAL(buffer->data, expected);
    buffer_clear(buffer);
}

static void test_json(void)
{
    struct buffer buffer = {0};

    render_open(&buffer, '{');
    render_key(&buffer, "a");
    render_integer(&buffer, -5);
    render_key(&buffer, "b");
    render_open(&buffer, '[');
    render_decimal(&buffer, 71400000);
    render_text(&buffer, NULL);
    render_text(&buffer, "x\"y\\\n\x01 é");
    render_boolean(&buffer, true);
    render_open(&buffer, '{');
    render_close(&buffer, '}');
    render_open(&buffer, '[');
    render_close(&buffer, ']');
    render_raw(&buffer, "{}", 2);
    render_instant(&buffer, 0);
    render_instant(&buffer, INSTANT_NONE);
    render_close(&buffer, ']');
    render_key(&buffer, "c");
    render_boolean(&buffer, false);
    render_close(&buffer, '}');
    check(&buffer, "{\"a\":-5,\"b\":[71.4,null,\"x\\\"y\\\\\\u000a\\u0001 é\",true,{},[],{},"
                   "\"1970-01-01T00:00:00.000Z\",null],\"c\":false}");
    buffer_text(&buffer, "data: ");
    render_open(&buffer, '[');
    render_string(&buffer, "", 0);
    render_string(&buffer, ":", 1);
    render_close(&buffer, ']');
    check(&buffer, "data: [\"\",\":\"]");
    buffer_deinit(&buffer);
}

static void test_growth(void)
{
    struct buffer buffer = {0};
    for (int i = 0; i < 10000; i++)
        buffer_printf(&buffer, "%04d", i);
    CU_ASSERT_EQUAL(buffer.size, 40000);
    CU_ASSERT_EQUAL(memcmp(buffer.data + 39996, "9999", 4), 0);
    char *before = buffer.data;
    buffer_clear(&buffer);
    CU_ASSERT_PTR_EQUAL(buffer_reserve(&buffer, 40000), before);
    buffer_deinit(&buffer);
    buffer_deinit(NULL);
}

static void test_err(void)
{
    CU_ASSERT_STRING_EQUAL(err_name(ERR_NO_SPACE), "NO_SPACE");
    CU_ASSERT_STRING_EQUAL(err_text(OK), "no error");
    CU_ASSERT_EQUAL(err_sysexit(ERR_CONFIG), 78);
    CU_ASSERT_EQUAL(err_from_errno(ENOSPC), ERR_NO_SPACE);
    CU_ASSERT_EQUAL(err_from_errno(EIO), ERR_IO);
    CU_ASSERT_EQUAL(err_from_errno(ENOTTY), ERR_OS);
}

/* What `writer` logs, with standard error turned into a pipe. */
static void capture(void (*writer)(void), char *out, size_t size)
{
    int ends[2], saved = dup(STDERR_FILENO);
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    writer();
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    ssize_t got = read(ends[0], out, size - 1);
    out[got > 0 ? got : 0] = '\0';
    close(ends[0]);
}

static void write_hostile(void)
{
    log_write(LOG_ERROR, "test", "device=%s end", "a\nlevel=error forged\x1b[2J\"");
    log_write(LOG_DEBUG, "test", "%s", "below the level");
}

static void write_many(void)
{
    for (int i = 0; i < 100; i++)
        log_write(LOG_INFO, "test", "line %d", i);
}

static void test_log(void)
{
    static char text[65536];

    log_configure(LOG_INFO, LOG_FORMAT_TEXT);
    capture(write_hostile, text, sizeof(text));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(text, " level=error area=test device=a\\x0alevel=error forged\\x1b[2J\" end\n"));
    CU_ASSERT_PTR_EQUAL(strchr(text, '\n'), text + strlen(text) - 1);
    log_configure(LOG_INFO, LOG_FORMAT_JSON);
    capture(write_hostile, text, sizeof(text));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(text, "\",\"message\":\"device=a\\u000alevel=error forged\\u001b[2J\\\" end\"}\n"));
    log_configure(LOG_INFO, LOG_FORMAT_TEXT);
    capture(write_many, text, sizeof(text));
    int lines = 0;
    for (char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    CU_ASSERT_TRUE(lines >= 10 && lines <= 20); /* twenty when the second turns over in between */
}

SUITE(buffer) = {
    {"JSON", test_json}, {"growth", test_growth}, {"errors", test_err}, {"log lines", test_log}, {NULL, NULL},
};
