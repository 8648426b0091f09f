/* cbor_pull: the examples of RFC 8949, appendix A and F, and what is ours: keys, numbers and times as text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/instant.h"
#include "daemon/ingest/pull/cbor_pull.h"
#include "daemon/ingest/pull/slice.h"
#include "tests/unit/unit.h"

static const struct pull_name numbers[] = {{"patient", 7}, {"", 0}, {"id", 2}};
static struct pull_keys keys;
static char memory[4096];
static struct pull_scratch scratch = {.data = memory, .capacity = sizeof memory};
static uint8_t bytes[512];

static void open_hex(struct cbor *cbor, const char *hex)
{
    size_t size = strlen(hex) / 2;
    enum err error = hex_parse(hex, 2 * size, bytes, size);
    ensure(error == OK);
    scratch.size = 0;
    cbor_open(cbor, (struct slice){(const char *)bytes, size}, &scratch, &keys, numbers, 3);
}

/* NULL: taken, else the error. */
static const char *skip_hex(const char *hex)
{
    struct cbor cbor;
    open_hex(&cbor, hex);
    cbor_skip(&cbor);
    return cbor_finish(&cbor) ? NULL : cbor.error;
}

/* The same as the value of a key with a number, and more behind it: there what is short goes another way. */
static const char *skip_wrapped(const char *hex)
{
    char text[2 * sizeof bytes + 1];
    snprintf(text, sizeof text, "82a100%s781e%060d", hex, 0);
    memset(text + strlen(text) - 60, '6', 60);
    return skip_hex(text);
}

static void test_well_formed(void)
{
    static const char *const rows[] = {
        "00",
        "17",
        "1818",
        "1903e8",
        "1b000000e8d4a51000",
        "1bffffffffffffffff",
        "c249010000000000000000",
        "3bffffffffffffffff",
        "c349010000000000000000",
        "20",
        "3903e7",
        "f90000",
        "f98000",
        "fb3ff199999999999a",
        "f97bff",
        "fa47c35000",
        "fb7e37e43c8800759c",
        "f4",
        "f5",
        "f6",
        "f7",
        "c074323031332d30332d32315432303a30343a30305a",
        "c11a514b67b0",
        "c1fb41d452d9ec200000",
        "d74401020304",
        "d818456449455446",
        "40",
        "4401020304",
        "60",
        "6161",
        "62225c",
        "62c3bc",
        "63e6b0b4",
        "64f0908591",
        "80",
        "83010203",
        "8301820203820405",
        "a0",
        "a201020304",
        "a26161016162820203",
        "826161a161626163",
        "5f42010243030405ff",
        "7f657374726561646d696e67ff",
        "9fff",
        "9f018202039f0405ffff",
        "bf61610161629f0203ffff",
        "826161bf61626163ff",
        "d9d9f783010203",
        "1800",
        "7800",
        "a13903e700",
        "7fff",
        "9b0000000000000000",
        "bb000000000000000101f6",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (skip_hex(rows[i]) != NULL || skip_wrapped(rows[i]) != NULL) {
            printf("%s: %s\n", rows[i], skip_hex(rows[i]));
            CU_FAIL("refused");
        }
}

static void test_malformed(void)
{
    static const struct {
        const char *hex, *error;
    } rows[] = {
        {"", "the text ends too early"},
        {"18", "the text ends too early"},
        {"19ff", "the text ends too early"},
        {"1b00000000000000", "the text ends too early"},
        {"f9", "the text ends too early"},
        {"41", "the text ends inside a string"},
        {"61", "the text ends inside a string"},
        {"7bffffffffffffffff", "the text ends inside a string"},
        {"5f4100", "the text ends too early"},
        {"81", "the text ends too early"},
        {"9bffffffffffffffff00", "the text ends too early"},
        {"bbffffffffffffffffff", "the text ends too early"},
        {"a1", "the text ends too early"},
        {"a100", "the text ends too early"},
        {"9f", "the text ends too early"},
        {"9f01", "the text ends too early"},
        {"bf0102", "the text ends too early"},
        {"c0", "the text ends too early"},
        {"9fc0ff", "a break where a value must stand"},
        {"ff", "a break where a value must stand"},
        {"81ff", "a break where a value must stand"},
        {"a1ff", "a break where a value must stand"},
        {"bf00ff", "a break where a value must stand"},
        {"1c", "a reserved head"},
        {"1e", "a reserved head"},
        {"3f", "a reserved head"},
        {"5c", "a reserved head"},
        {"7d", "a reserved head"},
        {"9e", "a reserved head"},
        {"bd", "a reserved head"},
        {"df", "a reserved head"},
        {"fe", "a reserved head"},
        {"f0", "a simple value without a meaning"},
        {"f818", "a simple value without a meaning"},
        {"f8ff", "a simple value without a meaning"},
        {"5f6100ff", "a string of pieces that are no strings"},
        {"5f00ff", "a string of pieces that are no strings"},
        {"7f4100ff", "a string of pieces that are no strings"},
        {"7f7f6161ffff", "a string of pieces that are no strings"},
        {"61ff", "text that is not UTF-8, or has U+0000"},
        {"62c080", "text that is not UTF-8, or has U+0000"},
        {"63eda080", "text that is not UTF-8, or has U+0000"},
        {"64f4908080", "text that is not UTF-8, or has U+0000"},
        {"6100", "text that is not UTF-8, or has U+0000"},
        {"69616263646566676800", "text that is not UTF-8, or has U+0000"},
        {"6a6162636465666768c3c3", "text that is not UTF-8, or has U+0000"},
        {"7f61c361bcff", "text that is not UTF-8, or has U+0000"},
        {"f97e00", "a number that is none, or infinite"},
        {"fa7f800000", "a number that is none, or infinite"},
        {"81fbfff0000000000000", "a number that is none, or infinite"},
        {"a14161f6", "a key that is neither text nor an integer"},
        {"a1f4f6", "a key that is neither text nor an integer"},
        {"a1c001f6", "a key that is neither text nor an integer"},
        {"a20001"
         "0002",
         "a key that stands twice in one object"},
        {"a20001"
         "180002",
         "a key that stands twice in one object"},
        {"a20001"
         "6770617469656e7402",
         "a key that stands twice in one object"},
        {"a20101"
         "613102",
         "a key that stands twice in one object"},
        {"a26161016161"
         "02",
         "a key that stands twice in one object"},
        {"a26161017f6161ff02", "a key that stands twice in one object"},
        {"81a22001622d3102", "a key that stands twice in one object"},
        {"0000", "something stands behind the value"},
        {"a000", "something stands behind the value"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *error = skip_hex(rows[i].hex);
        if (error == NULL || strcmp(error, rows[i].error) != 0) {
            printf("%s: %s, expected %s\n", rows[i].hex, error == NULL ? "taken" : error, rows[i].error);
            CU_FAIL("another error");
        }
        bool is_of_the_end =
            strstr(rows[i].error, " ends ") != NULL || strstr(rows[i].error, "behind") != NULL;
        if (!is_of_the_end &&
            (error = skip_wrapped(rows[i].hex), error == NULL || strcmp(error, rows[i].error) != 0)) {
            printf("%s, wrapped: %s\n", rows[i].hex, error == NULL ? "taken" : error);
            CU_FAIL("another error");
        }
    }
}

static void check(enum pull_kind (*take)(struct cbor *, struct slice *), const char *hex, enum pull_kind kind,
                  const char *text)
{
    struct cbor cbor;
    struct slice found = {"", 0};
    open_hex(&cbor, hex);
    enum pull_kind is = take(&cbor, &found);
    if (is != kind || (text != NULL && !slice_is(found, text)) || !cbor_finish(&cbor)) {
        printf("%s: kind %d \"%.*s\" %s, expected %d %s\n", hex, (int)is, (int)found.size, found.data,
               cbor.error == NULL ? "" : cbor.error, (int)kind, text);
        CU_FAIL("another value");
    }
}

static void test_numbers(void)
{
    static const struct {
        const char *hex, *text;
    } rows[] = {
        {"00", "0"},
        {"1b7fffffffffffffff", "9223372036854775807"},
        {"1bffffffffffffffff", "18446744073709551615"},
        {"20", "-1"},
        {"3bffffffffffffffff", "-18446744073709551616"},
        {"c2420400", "1024"},
        {"c24a00000000000000000400", "1024"},
        {"c25f41044100ff", "1024"},
        {"c240", "0"},
        {"c341ff", "-256"},
        {"c48221191be4", "71.40"},
        {"c4822105", "0.05"},
        {"c4822100", "0.00"},
        {"c4820019"
         "0400",
         "1024"},
        {"c4820205", "5e2"},
        {"c49f2118"
         "48ff",
         "0.72"},
        {"c48221c24201"
         "00",
         "2.56"},
        {"c482213903e7", "-10.00"},
        {"c4823105", "0.000000000000000005"},
        {"c4823205", "5e-19"},
        {"c482213bffffffffffffffff", "-18446744073709551616e-2"},
        {"c4823bffffffffffffffff3bffffffffffffffff", "-18446744073709551616e-18446744073709551616"},
        {"f95093", "36.6"},
        {"fa428ecccd", "71.4"},
        {"fb4051d9999999999a", "71.4"},
        {"fb3fd3333333333334", "0.30000000000000004"},
        {"fbc0c3880000000000", "-10000"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check(cbor_take_number, rows[i].hex, PULL_NUMBER, rows[i].text);
    static const char *const others[] = {"c249010000000000000000", /* more than 64 bits */
                                         "c4831a000000010101",
                                         "c48101",
                                         "c49f01ff",
                                         "c49f010203ff",
                                         "c482f400",
                                         "c4826130"
                                         "01",
                                         "c482c24101"
                                         "01",
                                         "c402",
                                         "c201",
                                         "c101",
                                         "c58201"
                                         "01",
                                         "40",
                                         "c4826101"
                                         "01",
                                         "c482c40101"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        check(cbor_take_number, others[i], PULL_OTHER, NULL);
    check(cbor_take_number, "6131", PULL_STRING, "1");
    check(cbor_take_number, "f6", PULL_NULL, NULL);
    check(cbor_take_number, "f4", PULL_FALSE, NULL);
    check(cbor_take_number, "8101", PULL_ARRAY, NULL);
}

/* A time as a text; an instant as ISO 8601. */
static enum pull_kind take_time(struct cbor *cbor, struct slice *ret)
{
    static char text[INSTANT_TEXT_MAX];
    struct pull_field field;
    field.kind = cbor_take_time(cbor, &field.text);
    *ret = field.text;
    if (field.kind != PULL_INSTANT)
        return field.kind;
    *ret = (struct slice){text, instant_format(pull_instant_ms(&field), text)};
    return PULL_STRING;
}

static void test_times(void)
{
    static const struct {
        const char *hex, *text;
    } rows[] = {
        {"6a323032362d31312d3231", "2026-11-21"},
        {"c06a323032362d31312d3231", "2026-11-21"},
        {"00", "1970-01-01T00:00:00.000Z"},
        {"1b000001a1fd0314c0", "2026-11-21T07:30:00.000Z"},
        {"20", "1969-12-31T23:59:59.999Z"},
        {"c11a514b67b0", "2013-03-21T20:04:00.000Z"},
        {"c1fb41d452d9ec200000", "2013-03-21T20:04:00.500Z"},
        {"c1fb41d954fc4007df3b", "2023-11-14T22:13:20.123Z"}, /* whose double lies below .123 */
        {"fb427a1fd0314c0000", "2026-11-21T07:30:00.000Z"},
        {"f90000", "1970-01-01T00:00:00.000Z"},
        {"c1f9b800", "1969-12-31T23:59:59.500Z"},
        {"c120", "1969-12-31T23:59:59.000Z"},
        {"1b0000e677d21fdbff", "9999-12-31T23:59:59.999Z"},
        {"1b0000e677d21fdc00", "253402300800000"},
        {"1bffffffffffffffff", "18446744073709551615"},
        {"3bffffffffffffffff", "-18446744073709551616"},
        {"c11bffffffffffffffff", "18446744073709551615"},
        {"c1fb7e37e43c8800759c", "1e+300"},
        {"3b0000388a6f045fff", "0000-01-01T00:00:00.000Z"},
        {"3b0000388a6f046000", "-62167219200001"},
        {"c11b0000003afff4417f", "9999-12-31T23:59:59.000Z"},
        {"c11b0000003afff44180", "253402300800"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check(take_time, rows[i].hex, PULL_STRING, rows[i].text);
    static const char *const others[] = {"f93e00", "fb7e37e43c8800759c", "c1f4",   "c16130", "c001",
                                         "c1c101", "c4820001",           "c24101", "40"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        check(take_time, others[i], PULL_OTHER, NULL);
    check(take_time, "f6", PULL_NULL, NULL);
    check(take_time, "a0", PULL_OBJECT, NULL);
}

/* {0: 100, 1: [true, {}], "b": "cd"} in pieces, of indefinite length. */
static void test_walk(void)
{
    struct cbor cbor, inner;
    struct slice key, value;
    open_hex(&cbor, "bf0018640182f5a061627f61636164ffff");
    CU_ASSERT_EQUAL(cbor_peek(&cbor), PULL_OBJECT);
    CU_ASSERT_EQUAL(cbor_value(&cbor, &value), PULL_OBJECT);
    CU_ASSERT_TRUE(cbor_next_key(&cbor, &key) && slice_is(key, "patient"));
    CU_ASSERT_EQUAL(cbor_peek(&cbor), PULL_NUMBER);
    CU_ASSERT_EQUAL(cbor_value(&cbor, &value), PULL_NUMBER);
    CU_ASSERT_TRUE(cbor_next_key(&cbor, &key) && slice_is(key, "1"));
    CU_ASSERT_EQUAL(cbor_take(&cbor, &value), PULL_ARRAY);
    CU_ASSERT_EQUAL(value.size, 3);
    cbor_open_raw(&inner, value, &cbor);
    CU_ASSERT_EQUAL(cbor_value(&inner, &value), PULL_ARRAY);
    CU_ASSERT_TRUE(cbor_next_item(&inner) && cbor_peek(&inner) == PULL_TRUE);
    cbor_skip(&inner);
    CU_ASSERT_TRUE(cbor_next_item(&inner) && cbor_value(&inner, &value) == PULL_OBJECT);
    CU_ASSERT_TRUE(!cbor_next_key(&inner, &key) && !cbor_next_item(&inner) && cbor_finish(&inner));
    CU_ASSERT_TRUE(cbor_next_key(&cbor, &key) && slice_is(key, "b"));
    CU_ASSERT_EQUAL(cbor_take(&cbor, &value), PULL_STRING);
    CU_ASSERT_TRUE(slice_is(value, "cd"));
    CU_ASSERT_FALSE(cbor_next_key(&cbor, &key));
    CU_ASSERT_TRUE(cbor_finish(&cbor));
}

static void test_bounds(void)
{
    char hex[2 * 64 + 1] = "";
    for (unsigned i = 0; i < JSON_DEPTH_MAX; i++)
        memcpy(hex + 2 * i, "81", 3);
    memcpy(hex + 2 * JSON_DEPTH_MAX, "00", 3);
    CU_ASSERT_PTR_NULL(skip_hex(hex));
    memcpy(hex + 2 * JSON_DEPTH_MAX, "8100", 5);
    CU_ASSERT_STRING_EQUAL(skip_hex(hex), "nested too deep");
}

/* What is worded goes to the scratch: when that is full the text is refused, never cut. */
static void test_scratch(void)
{
    struct cbor cbor;
    struct slice value;
    open_hex(&cbor, "821864fb3fd3333333333334");
    cbor_value(&cbor, &value);
    CU_ASSERT_TRUE(cbor_next_item(&cbor));
    scratch.size = sizeof memory - 50; /* room for one number, however long, and two bytes */
    CU_ASSERT_EQUAL(cbor_take_number(&cbor, &value), PULL_NUMBER);
    CU_ASSERT_TRUE(slice_is(value, "100") && scratch.size == sizeof memory - 47 && cbor_next_item(&cbor));
    CU_ASSERT_EQUAL(cbor_take_number(&cbor, &value), PULL_NONE);
    CU_ASSERT_STRING_EQUAL(cbor.error, "too many numbers");
}

SUITE(cbor_pull) = {
    {"well-formed", test_well_formed},
    {"malformed", test_malformed},
    {"numbers", test_numbers},
    {"times", test_times},
    {"walk", test_walk},
    {"bounds", test_bounds},
    {"scratch", test_scratch},
    {NULL, NULL},
};
