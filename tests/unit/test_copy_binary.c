/* The bytes of COPY … (FORMAT binary) against bytes written by hand from PostgreSQL's manual; the server
 * itself reads them in tests/integration/test_loader.py. */
#include <string.h>

#include "daemon/base/limits.h"
#include "daemon/model/parameter.h"
#include "storage/copy_binary.h"
#include "storage/sql_parameters.h"
#include "storage/sqlstate.h"
#include "tests/unit/unit.h"

static const uint8_t golden[] = {
    'P',  'G',  'C',  'O',  'P',  'Y',  '\n', 0xff, '\r', '\n', 0, /* signature */
    0,    0,    0,    0,    0,    0,    0,    0, /* flags, length of the header's extension */
    0,    26,                                    /* columns */
    0,    0,    0,    16,   1,    2,    3,    4,    5,    6,    7,    8,    9,    10,
    11,   12,   13,   14,   15,   16,   0,    0,    0,    4,    0,    0,    0,    2, /* revision */
    0,    0,    0,    8,    0,    0,    0,    0,    0,    0,    0,    7,             /* patient_id */
    0,    0,    0,    2,    0,    42,                                                /* parameter_id */
    0,    0,    0,    8,    0,    0,    0,    0,    0,    0,    3,    0xe8, /* measured_at: 1 ms after
                                                                               2000-01-01 */
    0,    0,    0,    8,    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfc, 0x18, /* received_at: 1 ms before */
    0,    0,    0,    8,    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* value */
    0,    0,    0,    1,    '<',                                            /* comparator */
    0xff, 0xff, 0xff, 0xff,                                                 /* device_id */
    0,    0,    0,    0,                                                    /* sensor: missing is empty */
    0,    0,    0,    5,    'c',  'a',  'r',  'e',  'r',  0,    0,    0,    4,    'v',
    'o',  'i',  'd',  0,    0,    0,    4,    0,    0,    0,    3,                /* flags */
    0,    0,    0,    8,    0,    0,    0,    0,    0,    0,    0,    9,          /* source_id */
    0,    0,    0,    3,    's',  '|',  '1',                                      /* alias */
    0xff, 0xff, 0xff, 0xff,                                                       /* issued */
    0,    0,    0,    8,    0,    0,    0,    0,    0,    0,    0,    5,          /* group_id */
    0,    0,    0,    3,    'd',  'a',  'y',  0,    0,    0,    2,    0xff, 0xc4, /* utc_offset_min: -60 */
    0,    0,    0,    2,    '7',  '1',                                            /* original_text */
    0,    0,    0,    2,    0xc2, 0xb5,                                           /* original_unit */
    0xff, 0xff, 0xff, 0xff,                                                       /* original_code */
    0,    0,    0,    8,    'S',  'N',  0xef, 0xbf, 0xbd, 0xef, 0xbf, 0xbd,       /* key_device, cleaned */
    0xff, 0xff, 0xff, 0xff,                                                       /* context */
    0,    0,    0,    8,    0,    0,    0,    1,    0,    0,    0,    2,          /* request_position */
    0,    0,    0,    2,    0,    3,                                              /* request_index */
    0xff, 0xff,                                                                   /* end */
};

static void test_golden_row(void)
{
    int16_t ids[PARAMETER_COUNT] = {[1] = 42};
    uint8_t tail[TAIL_BYTES_MAX];
    struct reading reading = {.patient_id = 7,
                              .source_id = 9,
                              .value = -1,
                              .measured_at_ms = 946684800001,
                              .received_at_ms = 946684799999,
                              .issued_ms = INSTANT_NONE,
                              .group_id = 5,
                              .parameter = 1,
                              .flags = FLAG_VERIFY | FLAG_SAME_INSTANT,
                              .utc_offset_min = -60,
                              .comparator = COMPARATOR_LESS,
                              .origin = ORIGIN_CARER,
                              .status = STATUS_VOID,
                              .precision = PRECISION_DAY,
                              .revision = 2};
    for (uint8_t i = 0; i < UUID_BYTES; i++)
        reading.reading_id[i] = (uint8_t)(i + 1);
    CU_ASSERT_FATAL(tail_put(tail, sizeof(tail), &reading.tail_size, TAIL_KEY_DEVICE, "SN\0\xff", 4));
    CU_ASSERT_FATAL(tail_put(tail, sizeof(tail), &reading.tail_size, TAIL_ALIAS, "s|1", 3));
    CU_ASSERT_FATAL(tail_put(tail, sizeof(tail), &reading.tail_size, TAIL_TEXT, "71", 2));
    CU_ASSERT_FATAL(tail_put(tail, sizeof(tail), &reading.tail_size, TAIL_UNIT, "\xc2\xb5", 2));
    struct buffer out = {0};
    copy_begin(&out);
    copy_reading(&out, &reading, tail, ids, &(struct copy_place){(uint64_t)1 << 32 | 2, 3});
    copy_end(&out);
    CU_ASSERT_EQUAL(out.size, sizeof(golden));
    CU_ASSERT(out.size == sizeof(golden) && memcmp(out.data, golden, sizeof(golden)) == 0);
    buffer_deinit(&out);
}

static const struct copy_place nowhere;

/* What becomes of `text` as sensor, the only text of its row that is not empty. */
static bool cleaned_to(const char *text, size_t size, const char *expected)
{
    int16_t ids[PARAMETER_COUNT] = {0};
    uint8_t tail[TAIL_BYTES_MAX];
    struct reading reading = {.issued_ms = INSTANT_NONE};
    CU_ASSERT_FATAL(tail_put(tail, sizeof(tail), &reading.tail_size, TAIL_SENSOR, text, size));
    struct buffer out = {0};
    char wanted[64];
    sql_put_int32(wanted, (int32_t)strlen(expected));
    memcpy(wanted + 4, expected, strlen(expected));
    copy_reading(&out, &reading, tail, ids, &nowhere);
    bool found = memmem(out.data, out.size, wanted, strlen(expected) + 4) != NULL;
    buffer_deinit(&out);
    return found;
}

static void test_texts_are_utf8(void)
{
    CU_ASSERT(cleaned_to("plain", 5, "plain"));
    CU_ASSERT(cleaned_to("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
    CU_ASSERT(cleaned_to("a\0b", 3,
                         "a\xef\xbf\xbd"
                         "b"));
    CU_ASSERT(cleaned_to("\xc0\x80", 2, "\xef\xbf\xbd\xef\xbf\xbd"));                 /* overlong */
    CU_ASSERT(cleaned_to("\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd")); /* surrogate */
    CU_ASSERT(cleaned_to("x\xe2\x82", 3, "x\xef\xbf\xbd\xef\xbf\xbd"));               /* cut off */
}

static void test_longest_row_fits(void)
{
    int16_t ids[PARAMETER_COUNT] = {0};
    uint8_t tail[TAIL_BYTES_MAX];
    char bad[TAIL_BYTES_MAX];
    struct reading reading = {.device_id = INT64_MAX, .group_id = 1, .origin = ORIGIN_PROFESSIONAL};
    memset(bad, 0xff, sizeof(bad));
    CU_ASSERT_FATAL(tail_put(tail, sizeof(tail), &reading.tail_size, TAIL_CONTEXT, bad, TAIL_BYTES_MAX - 3));
    struct buffer out = {0};
    copy_reading(&out, &reading, tail, ids, &nowhere); /* ensures its own bound */
    CU_ASSERT(out.size > 3 * (TAIL_BYTES_MAX - 3));
    buffer_deinit(&out);
}

static void test_statement_names_every_column(void)
{
    struct buffer statement = {0};
    copy_statement(&statement);
    CU_ASSERT_EQUAL(copy_columns_count, 26);
    CU_ASSERT_PTR_NOT_NULL(strstr(statement.data, "(reading_id, revision, patient_id, "));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(statement.data,
               ", key_device, context, request_position, request_index) FROM STDIN (FORMAT binary)"));
    buffer_deinit(&statement);
}

static void test_times_go_there_and_back(void)
{
    const int64_t moments[] = {0, -62167219200000, 253402300799999, 946684800000};
    for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++)
        CU_ASSERT_EQUAL(sql_ms_from_time(sql_time_from_ms(moments[i])), moments[i]);
}

static void test_sqlstates(void)
{
    CU_ASSERT_EQUAL(sqlstate_action(""), SQLSTATE_RETRY);
    CU_ASSERT_EQUAL(sqlstate_action("08006"), SQLSTATE_RETRY);
    CU_ASSERT_EQUAL(sqlstate_action("40001"), SQLSTATE_RETRY);
    CU_ASSERT_EQUAL(sqlstate_action("53100"), SQLSTATE_RETRY);
    CU_ASSERT_EQUAL(sqlstate_action("57P01"), SQLSTATE_RETRY);
    CU_ASSERT_EQUAL(sqlstate_action("22P02"), SQLSTATE_BISECT);
    CU_ASSERT_EQUAL(sqlstate_action("23514"), SQLSTATE_BISECT);
    CU_ASSERT_EQUAL(sqlstate_action("42P01"), SQLSTATE_STOP);
    CU_ASSERT_EQUAL(sqlstate_action("28P01"), SQLSTATE_STOP);
}

SUITE(copy_binary) = {{"a row is the golden bytes", test_golden_row},
                      {"texts are UTF-8 without zeros", test_texts_are_utf8},
                      {"the longest row fits", test_longest_row_fits},
                      {"the statement names every column", test_statement_names_every_column},
                      {"times go there and back", test_times_go_there_and_back},
                      {"SQLSTATE tells retry, bisect and stop apart", test_sqlstates},
                      {NULL, NULL}};
