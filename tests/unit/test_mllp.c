/* mllp: frames, and that they do not depend on how the bytes were cut. */
#include "daemon/ingest/hl7/mllp.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

/* What a stream came to: the text of each whole message in brackets, then how it stands. */
static void story(const char *data, size_t size, size_t cut, struct buffer *out)
{
    struct mllp_reader reader = {.phase = MLLP_BETWEEN};
    struct buffer message = {0};
    buffer_clear(out);
    for (size_t at = 0; at < size;) {
        size_t used, offered = size - at < cut ? size - at : cut;
        enum mllp_event event = mllp_step(&reader, data + at, offered, &used);
        at += used;
        if (event == MLLP_BROKEN) {
            buffer_text(out, "broken");
            break;
        }
        if (event == MLLP_BEGIN)
            buffer_clear(&message);
        if (reader.piece.size > 0)
            buffer_append(&message, reader.piece.data, reader.piece.size);
        if (event == MLLP_WHOLE)
            buffer_printf(out, "[%.*s]", (int)message.size, message.size > 0 ? message.data : "");
    }
    buffer_printf(out, "%d", reader.phase);
    buffer_append(out, "", 1);
    buffer_deinit(&message);
}

static const struct {
    const char *text, *story;
} rows[] = {
    {"\x0b"
     "abc\x1c\r",
     "[abc]0"},
    {"\x0b"
     "abc\x1c\r\x0b"
     "de\x1c\r",
     "[abc][de]0"},
    {"\r\n \x0b"
     "abc\x1c\r\n\r\n",
     "[abc]0"},
    {"\x0b\x1c\r", "[]0"},
    {"\x0b"
     "abc",
     "1"},
    {"\x0b"
     "abc\x1c",
     "2"},
    {"\x0b"
     "abc\x1cx",
     "broken0"},
    {"\x0b"
     "abc\x1c\n",
     "broken0"},
    {"\x0b"
     "ab\x0b"
     "cd\x1c\r",
     "[cd]0"},
    {"junk\x0b"
     "ab\x1c\rmore junk\x0b"
     "c\x1c\r",
     "[ab][c]0"},
    {"abc\r\x1c\r", "0"},
};

static void test_frames(void)
{
    struct buffer whole = {0}, split = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t cut = 1; cut <= strlen(rows[i].text); cut++) {
            story(rows[i].text, strlen(rows[i].text), cut, &whole);
            if (strcmp(whole.data, rows[i].story) != 0) {
                printf("row %zu cut %zu: %s\n", i, cut, whole.data);
                CU_FAIL("another story");
            }
        }
    buffer_deinit(&whole);
    buffer_deinit(&split);
}

static void test_junk_is_bounded(void)
{
    char junk[MLLP_JUNK_BYTES_MAX + 2];
    struct buffer out = {0};
    memset(junk, 'x', sizeof junk);
    story(junk, MLLP_JUNK_BYTES_MAX, 100, &out);
    CU_ASSERT_STRING_EQUAL(out.data, "0");
    story(junk, MLLP_JUNK_BYTES_MAX + 1, 100, &out);
    CU_ASSERT_STRING_EQUAL(out.data, "broken0");
    memset(junk, '\n', sizeof junk);
    story(junk, sizeof junk, 100, &out);
    CU_ASSERT_STRING_EQUAL(out.data, "0");
    buffer_deinit(&out);
}

SUITE(mllp) = {
    {"frames, whole and cut", test_frames},
    {"junk between frames is bounded", test_junk_is_bounded},
    {NULL, NULL},
};
