/* hl7_text: separators, segments, pieces, escapes and character sets; and times. */
#include "daemon/ingest/hl7/hl7_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/instant.h"
#include "daemon/ingest/hl7/hl7_time.h"
#include "daemon/ingest/pull/slice.h"
#include "tests/unit/unit.h"

static struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static struct hl7_text open_text(const char *message)
{
    struct hl7_text text;
    CU_ASSERT_TRUE_FATAL(hl7_open(slice_of(message), &text));
    return text;
}

static void test_separators(void)
{
    struct hl7_text text;
    static const char *const bad[] = {
        "",           "MSH",           "MSH|",           "PID|^~\\&|",   "MSH|^|",     "MSHA^~\\&|",
        "MSH|^^\\&|", "MSH|^~\\&#!|x", "MSH|^~\\|&|xxx", "MSH|^ \\&|xx", "MSH ^~\\&|",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (hl7_open(slice_of(bad[i]), &text) && i != 8) {
            printf("taken: %s\n", bad[i]);
            CU_FAIL("separators that are none");
        }
    text = open_text("MSH|^~\\&#|A\r");
    CU_ASSERT_EQUAL(text.field, '|');
    CU_ASSERT_EQUAL(text.subcomponent, '&');
    text = open_text("MSH$%*!@$A\r");
    CU_ASSERT_EQUAL(text.component, '%');
    CU_ASSERT_EQUAL(text.repetition, '*');
    CU_ASSERT_EQUAL(text.escape, '!');
    text = open_text("MSH|^~|A\r");
    CU_ASSERT_EQUAL(text.escape, '\0');
}

static void test_segments(void)
{
    struct hl7_text text = open_text("MSH|^~\\&|A\r\nPID|1\n\n\rOBX|1|NM\rOBXX|2\rZZ1|\r\r");
    static const enum hl7_segment kinds[] = {HL7_MSH, HL7_PID, HL7_OBX, HL7_OTHER, HL7_OTHER};
    struct slice segment;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        CU_ASSERT_TRUE_FATAL(hl7_next(&text, &segment));
        CU_ASSERT_EQUAL(hl7_segment_of(segment), kinds[i]);
    }
    CU_ASSERT_FALSE(hl7_next(&text, &segment));
}

static void test_fields(void)
{
    struct hl7_text text = open_text("MSH|^~\\&|A||C\r");
    struct slice fields[6], segment;
    CU_ASSERT_TRUE(hl7_next(&text, &segment));
    hl7_split(&text, segment, fields, 6);
    CU_ASSERT_TRUE(slice_is(fields[0], "MSH") && slice_is(fields[1], "|") && slice_is(fields[2], "^~\\&"));
    CU_ASSERT_TRUE(slice_is(fields[3], "A") && fields[4].data == NULL && slice_is(fields[5], "C"));
    hl7_split(&text, slice_of("OBX|\"\"|x|a^b"), fields, 6);
    CU_ASSERT_TRUE(fields[1].data == NULL && slice_is(fields[2], "x") && slice_is(fields[3], "a^b"));
    CU_ASSERT_TRUE(fields[4].data == NULL && fields[5].data == NULL);
    hl7_split(&text, slice_of("OBX|1|2|3|4|5|6|7"), fields, 3);
    CU_ASSERT_TRUE(slice_is(fields[2], "2"));
    CU_ASSERT_TRUE(slice_is(hl7_part(slice_of("a^^c"), '^', 3), "c"));
    CU_ASSERT_PTR_NULL(hl7_part(slice_of("a^^c"), '^', 2).data);
    CU_ASSERT_PTR_NULL(hl7_part(slice_of("a^^c"), '^', 4).data);
    CU_ASSERT_PTR_NULL(hl7_part((struct slice){NULL, 0}, '^', 1).data);
}

static const struct plain_row {
    const char *charset, *piece, *plain; /* plain NULL: no text */
} plain_rows[] = {
    {"", "abc", "abc"},
    {"", "a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f", "a|b^c&d~e\\f"},
    {"", "\\X41426A\\x", "ABjx"},
    {"", "\\X4\\", "\\X4\\"},
    {"", "\\H\\bold\\N\\", "\\H\\bold\\N\\"},
    {"", "lone\\", "lone\\"},
    {"", "\\", "\\"},
    {"", "\\X00\\", NULL},
    {"", "\xe9", NULL},
    {"", "\\XE9\\", NULL},
    {"8859/1", "caf\xe9", "caf\xc3\xa9"},
    {"8859/1", "\\XE9\\", "\xc3\xa9"},
    {"8859/1", "37\xb0", "37\xc2\xb0"},
    {"UNICODE UTF-8", "caf\xc3\xa9", "caf\xc3\xa9"},
    {"unicode utf-8", "\\XC3A9\\", "\xc3\xa9"},
    {"UNICODE UTF-8", "caf\xe9", NULL},
    {"UNICODE UTF-8", "\xed\xa0\x80", NULL},
};

static void test_plain(void)
{
    char memory[256];
    for (size_t i = 0; i < sizeof plain_rows / sizeof *plain_rows; i++) {
        const struct plain_row *row = &plain_rows[i];
        struct pull_scratch scratch = {.data = memory, .capacity = sizeof memory};
        struct hl7_text text = open_text("MSH|^~\\&|");
        struct slice plain;
        text.charset =
            hl7_charset_of(*row->charset != '\0' ? slice_of(row->charset) : (struct slice){NULL, 0});
        bool is_text = hl7_plain(&text, slice_of(row->piece), &scratch, &plain);
        if (is_text != (row->plain != NULL) || (is_text && !slice_is(plain, row->plain))) {
            printf("row %zu: %.*s\n", i, (int)plain.size, plain.data);
            CU_FAIL("another text");
        }
    }
    struct pull_scratch small = {.data = memory, .capacity = 4};
    struct hl7_text text = open_text("MSH|^~\\&|");
    struct slice plain;
    CU_ASSERT_FALSE(hl7_plain(&text, slice_of("\\F\\longer"), &small, &plain));
    CU_ASSERT_EQUAL(hl7_charset_of(slice_of("UNICODE UTF-16")), HL7_CHARSET_UNKNOWN);
}

static void test_our_own(void)
{
    struct buffer out = {0};
    struct hl7_text theirs = open_text("MSH$%*!@$A\r");
    hl7_append_escaped(&out, slice_of("a|b^c&d~e\\f\ng"));
    hl7_append_field(&out, &theirs, slice_of(" x%y*z@w!F!|"));
    theirs = open_text("MSH|^~\\&|A\r");
    hl7_append_field(&out, &theirs, slice_of(" a^b\x0b\\F\\"));
    buffer_append(&out, "", 1);
    CU_ASSERT_STRING_EQUAL(out.data, "a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f g x^y~z&w\\F\\\\F\\ a^b \\F\\");
    buffer_deinit(&out);
}

static const struct time_row {
    const char *text, *inherited, *iso; /* iso NULL: no time */
} time_rows[] = {
    {"20260726120500+0800", NULL, "2026-07-26T12:05:00+08:00"},
    {"20260726120500.1000+0800", NULL, "2026-07-26T12:05:00.1000+08:00"},
    {"202607261205-0330", NULL, "2026-07-26T12:05-03:30"},
    {"20260726120500", "+0100", "2026-07-26T12:05:00+01:00"},
    {"20260726120500-0000", NULL, "2026-07-26T12:05:00-00:00"},
    {"20260726", NULL, "2026-07-26"},
    {"20260726120500", NULL, "2026-07-26T12:05:00"},
    {"2026072612", NULL, NULL},
    {"202607", NULL, NULL},
    {"20260726120500.", NULL, NULL},
    {"20260726120500.1234567890", NULL, NULL},
    {"20260726120500+08", NULL, NULL},
    {"20260726120500+08000", NULL, NULL},
    {"20260726120500- 600", NULL, NULL},
    {"2026-07-26", NULL, NULL},
    {"", NULL, NULL},
};

static void test_times(void)
{
    char iso[HL7_ISO_MAX];
    for (size_t i = 0; i < sizeof time_rows / sizeof *time_rows; i++) {
        const struct time_row *row = &time_rows[i];
        struct hl7_time time;
        bool is_time = hl7_time_read(slice_of(row->text), &time);
        CU_ASSERT_EQUAL(is_time, row->iso != NULL);
        if (!is_time)
            continue;
        struct slice offset = row->inherited != NULL ? slice_of(row->inherited) : time.offset;
        CU_ASSERT_EQUAL(hl7_time_iso(&time, offset, iso), strlen(row->iso));
        CU_ASSERT_STRING_EQUAL(iso, row->iso);
    }
    CU_ASSERT_TRUE(hl7_offset_is_unknown(slice_of("-0000")));
    CU_ASSERT_FALSE(hl7_offset_is_unknown(slice_of("+0000")));
}

SUITE(hl7_text) = {
    {"separators of MSH", test_separators},
    {"segments end with CR, LF or both", test_segments},
    {"fields and parts", test_fields},
    {"escapes and character sets", test_plain},
    {"what we write", test_our_own},
    {"times", test_times},
    {NULL, NULL},
};
