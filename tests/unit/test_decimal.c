/* decimal: exact text to millionths under every conversion, rounding half to even however long the text is.
 */
#include <string.h>

#include "daemon/base/decimal.h"
#include "tests/unit/unit.h"

static const struct decimal_conversion pound = {45359237, 0, 100000000}, fahrenheit = {10, -320, 18},
                                       kelvin = {100, -27315, 100}, molar = {180156, 0, 10000},
                                       ifcc = {9148, 215200, 100000}, hour_of_seconds = {1, 0, 3600},
                                       thousand = {1000, 0, 1}, micromolar = {100, 0, 8842},
                                       many = {4096, 0, 1};

struct row {
    const char *text;
    const struct decimal_conversion *conversion;
    enum err error;
    int64_t millionths;
};

static const struct row rows[] = {
    {"71.4", NULL, OK, 71400000},
    {"1.10", NULL, OK, 1100000},
    {"-0", NULL, OK, 0},
    {"0", NULL, OK, 0},
    {"-0.5", NULL, OK, -500000},
    {"1e2", NULL, OK, 100000000},
    {"1.5E-3", NULL, OK, 1500},
    {"1e+18", NULL, ERR_LIMIT, 0},
    {"0e18", NULL, OK, 0},
    {"0e19", NULL, ERR_LIMIT, 0},
    {"1e-18", NULL, OK, 0},
    {"1e-19", NULL, ERR_LIMIT, 0},
    {"9223372036854.775807", NULL, OK, INT64_MAX},
    {"9223372036854.7758074", NULL, OK, INT64_MAX},
    {"9223372036854.775808", NULL, ERR_LIMIT, 0},
    {"-9223372036854.775808", NULL, OK, INT64_MIN},
    {"-9223372036854.7758091", NULL, ERR_LIMIT, 0},
    /* halves go to the even neighbour; anything behind the half, however far, lifts it */
    {"0.0000005", NULL, OK, 0},
    {"0.0000015", NULL, OK, 2},
    {"-0.0000025", NULL, OK, -2},
    {"0.00000050", NULL, OK, 0},
    {"0.00000050000000000000000000000000000000000001", NULL, OK, 1},
    {"0.00000049999999999999999999999999999999999999", NULL, OK, 0},
    {"1234567.1234565000000000000000000000000000000", NULL, OK, 1234567123456},
    {"1234567.1234565000000000000000000000000000001", NULL, OK, 1234567123457},
    {"123456.78901234567890123456789012345678e1", NULL, OK, 1234567890123},
    {"12345678901234567890.5e-10", NULL, OK, 1234567890123457},
    {"0.000000000000000000000000000000123e18", NULL, OK, 0},
    {"100000000000000000000000000000000000000000", NULL, ERR_LIMIT, 0},
    /* conversions on the exact decimal, one rounding */
    {"185", &pound, OK, 83914588},    /* 83.91458845: half below even is not met */
    {"185.25", &pound, OK, 84027987}, /* 84.0279865425 */
    {"6.3", &molar, OK, 113498280},
    {"100", &fahrenheit, OK, 37777778},
    {"32", &fahrenheit, OK, 0},
    {"-40", &fahrenheit, OK, -40000000},
    {"310.15", &kelvin, OK, 37000000},
    {"0", &kelvin, OK, -273150000},
    {"48", &ifcc, OK, 6543040},
    {"3600", &hour_of_seconds, OK, 1000000},
    {"1", &hour_of_seconds, OK, 278},
    {"88.42", &micromolar, OK, 1000000},
    /* 0.0018 s is half a millionth of an hour: exactly the half, above, below */
    {"0.0018", &hour_of_seconds, OK, 0},
    {"0.00180000000000000000000000000000000000000000001", &hour_of_seconds, OK, 1},
    {"0.00179999999999999999999999999999999999999999999", &hour_of_seconds, OK, 0},
    {"0.0054", &hour_of_seconds, OK, 2},
    /* 0.0000000005 L/h is half a millionth of a mL/h; the factor lifts digits far behind the tenth place */
    {"0.0000000005", &thousand, OK, 0},
    {"0.00000000049999999999999999999999", &thousand, OK, 0},
    {"0.00000000050000000000000000000001", &thousand, OK, 1},
    {"0.0000000015", &thousand, OK, 2},
    {"0.00000000149999999999999999999999", &thousand, OK, 1},
    /* 1/18 of a degree repeats for ever: -40.00000005 F and its neighbours round by their own digits */
    {"98.6000009", &fahrenheit, OK, 37000000}, /* 37.0000005: half, to even */
    {"98.60000090000000000000000000000001", &fahrenheit, OK, 37000001},
    {"98.60000089999999999999999999999999", &fahrenheit, OK, 37000000},
    {"9300000000000", &thousand, ERR_LIMIT, 0},
    /* a half whose digits in the sent unit never end: cut off it is below, one more in the last place above
     */
    {"157.41005630231390356059119777521830889703", &pound, OK, 71400000},
    {"157.41005630231390356059119777521830889704", &pound, OK, 71400001},
    {"6.30000002775372454983458780168298585670", &molar, OK, 113498280},
    {"6.30000002775372454983458780168298585671", &molar, OK, 113498281},
    {"-6.30000002775372454983458780168298585671", &molar, OK, -113498281},
    /* a half that ends behind the tenth place: met exactly, it goes to even */
    {"0.0000000001220703125", &many, OK, 0},
    {"0.00000000012207031250000000000001", &many, OK, 1},
    {"0.0000000003662109375", &many, OK, 2},
    {"0.0000000003662109374", &many, OK, 1},
    /* grammar of RFC 8259 */
    {"", NULL, ERR_FORMAT, 0},
    {"-", NULL, ERR_FORMAT, 0},
    {"+1", NULL, ERR_FORMAT, 0},
    {"01", NULL, ERR_FORMAT, 0},
    {"-01", NULL, ERR_FORMAT, 0},
    {".5", NULL, ERR_FORMAT, 0},
    {"1.", NULL, ERR_FORMAT, 0},
    {"1.e3", NULL, ERR_FORMAT, 0},
    {"1e", NULL, ERR_FORMAT, 0},
    {"1e+", NULL, ERR_FORMAT, 0},
    {"1 ", NULL, ERR_FORMAT, 0},
    {"0x10", NULL, ERR_FORMAT, 0},
    {"NaN", NULL, ERR_FORMAT, 0},
    {"Infinity", NULL, ERR_FORMAT, 0},
    {"1,5", NULL, ERR_FORMAT, 0},
};

static void test_parse(void)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t value = 0;
        enum err error = decimal_parse(rows[i].text, strlen(rows[i].text), rows[i].conversion, &value);
        if (error != rows[i].error || value != rows[i].millionths)
            fprintf(stderr, "\n  row %zu: %s gives %s %lld\n", i, rows[i].text, err_name(error),
                    (long long)value);
        CU_ASSERT_EQUAL(error, rows[i].error);
        CU_ASSERT_EQUAL(value, rows[i].millionths);
    }
}

/* A hundred thousand digits: the work is linear and the last digit decides. */
static void test_long_text(void)
{
    static char text[100000];
    int64_t value = 0;
    memset(text, '0', sizeof(text));
    memcpy(text, "2.0000005", 9);
    CU_ASSERT_EQUAL(decimal_parse(text, sizeof(text), NULL, &value), OK);
    CU_ASSERT_EQUAL(value, 2000000);
    text[sizeof(text) - 1] = '1';
    CU_ASSERT_EQUAL(decimal_parse(text, sizeof(text), NULL, &value), OK);
    CU_ASSERT_EQUAL(value, 2000001);
}

/* Every pound in tenths against the formula in whole numbers: x * 45359237 / 10^8, in millionths / 10. */
static void test_sweep(void)
{
    for (int tenths = 0; tenths < 8000; tenths++) {
        char text[16];
        int64_t value = 0, product = (int64_t)tenths * 45359237, expected = product / 1000,
                rest = product % 1000;
        expected += rest > 500 || (rest == 500 && expected % 2 != 0);
        int size = snprintf(text, sizeof(text), "%d.%d", tenths / 10, tenths % 10);
        CU_ASSERT_EQUAL_FATAL(decimal_parse(text, (size_t)size, &pound, &value), OK);
        CU_ASSERT_EQUAL_FATAL(value, expected);
    }
}

static void test_places(void)
{
    static const struct {
        const char *text;
        bool fits;
    } places[] = {{"1.123456", true}, {"1.1234567", false}, {"1.1234560000", true},
                  {"123e-7", false},  {"1230e-7", true},    {"1.1234567e1", true},
                  {"5", true},        {"0", true},          {"0.0000000", true},
                  {"1e-6", true},     {"1e-7", false},      {"x", false}};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        CU_ASSERT_EQUAL(decimal_fits_six_places(places[i].text, strlen(places[i].text)), places[i].fits);
}

static void test_format(void)
{
    static const struct {
        int64_t millionths;
        const char *text;
    } texts[] = {{71400000, "71.4"},
                 {-500000, "-0.5"},
                 {72000000, "72"},
                 {0, "0"},
                 {1, "0.000001"},
                 {INT64_MAX, "9223372036854.775807"},
                 {INT64_MIN, "-9223372036854.775808"},
                 {1100000, "1.1"}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char out[24];
        CU_ASSERT_EQUAL(decimal_format(texts[i].millionths, out), strlen(texts[i].text));
        CU_ASSERT_STRING_EQUAL(out, texts[i].text);
    }
}

/* origin + sample * factor by hand, with every figure kept. */
static void test_line(void)
{
    static const struct {
        const char *origin, *factor, *sample, *text;
    } lines[] = {
        {"0", "1", "123", "123"},
        {"40", "0.1", "835", "123.5"},
        {"0.001", "1", "7", "7.001"},
        {"-2048", "1.612", "2041", "1242.092"},
        {"0", "0.0488281", "7", "0.3417967"},
        {"0.000001", "1e-9", "1", "0.000001001"},
        {"1e3", "1e2", "-12", "-200"},
        {"0", "0.5", "-1", "-0.5"},
        {"100", "-1", "100", "0"},
        {"0", "999999999999999999", "999999999999999999", "999999999999999998000000000000000001"},
        {"1e18", "1e-18", "1", "1000000000000000000.000000000000000001"},
        {"1e18", "1e-18", "0.001", NULL},        /* more than 128 bits hold */
        {"1234567890123456789", "1", "1", NULL}, /* 19 digits */
        {"0", "1", "1.", NULL},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct decimal_exact origin, factor, sample;
        char out[DECIMAL_LINE_MAX];
        size_t size;
        bool good = decimal_parse_exact(lines[i].origin, strlen(lines[i].origin), &origin) == OK &&
                    decimal_parse_exact(lines[i].factor, strlen(lines[i].factor), &factor) == OK &&
                    decimal_parse_exact(lines[i].sample, strlen(lines[i].sample), &sample) == OK &&
                    decimal_line(&origin, &factor, &sample, out, &size) == OK;
        CU_ASSERT_EQUAL(good, lines[i].text != NULL);
        if (good && lines[i].text != NULL)
            CU_ASSERT_TRUE(size == strlen(lines[i].text) && memcmp(out, lines[i].text, size) == 0);
    }
}

SUITE(decimal) = {
    {"parse and convert", test_parse},
    {"a very long text", test_long_text},
    {"every tenth of a pound", test_sweep},
    {"six places", test_places},
    {"format", test_format},
    {"origin and factor", test_line},
    {NULL, NULL},
};
