/* shortest: the fewest digits that read back, for each width. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/shortest.h"
#include "tests/unit/unit.h"

static void check(double value, enum shortest_width width, const char *expected)
{
    char text[SHORTEST_TEXT_MAX];
    size_t size = shortest_format(value, width, text);
    if (strcmp(text, expected) != 0 || size != strlen(expected)) {
        printf("%.17g: %s, expected %s\n", value, text, expected);
        CU_FAIL("another text");
    }
}

static void test_doubles(void)
{
    check(0, SHORTEST_DOUBLE, "0");
    check(-0.0, SHORTEST_DOUBLE, "-0");
    check(71.4, SHORTEST_DOUBLE, "71.4");
    check(-0.5, SHORTEST_DOUBLE, "-0.5");
    check(0.1 + 0.2, SHORTEST_DOUBLE, "0.30000000000000004");
    check(1700000000.123, SHORTEST_DOUBLE, "1700000000.123");
    check(1700000000.123456, SHORTEST_DOUBLE, "1700000000.123456");
    check(1e15, SHORTEST_DOUBLE, "1000000000000000");
    check(2251799813685249, SHORTEST_DOUBLE, "2251799813685249");
    check(9007199254740993, SHORTEST_DOUBLE, "9007199254740992");
    check(1e22, SHORTEST_DOUBLE, "1e+22");
    check(1e-12, SHORTEST_DOUBLE, "0.000000000001");
    check(1e-13, SHORTEST_DOUBLE, "1e-13");
    check(5e-324, SHORTEST_DOUBLE, "4.94065645841247e-324");
    check(1.7976931348623157e308, SHORTEST_DOUBLE, "1.7976931348623157e+308");
}

static void test_singles(void)
{
    check((double)71.4f, SHORTEST_SINGLE, "71.4");
    check((double)0.1f, SHORTEST_SINGLE, "0.1");
    check((double)16777216.0f, SHORTEST_SINGLE, "16777216");
    check((double)3.4028235e38f, SHORTEST_SINGLE, "3.4028235e+38");
    check((double)1e-45f, SHORTEST_SINGLE, "1.4013e-45");
    check((double)0.33333334f, SHORTEST_SINGLE, "0.33333334");
}

static void test_halves(void)
{
    check(36.59375, SHORTEST_HALF, "36.6"); /* the neighbours are 36.5625 and 36.625 */
    check(0.0999755859375, SHORTEST_HALF, "0.1");
    check(65504, SHORTEST_HALF, "65504");
    check(5.9604644775390625e-8, SHORTEST_HALF, "0.00000006");
    check(1, SHORTEST_HALF, "1");
    check(0.00006103515625, SHORTEST_HALF, "0.00006104");
}

/* Doubles of few decimals, of many, and of any bits: what is written reads back, and fewer digits do not. */
static void test_random(void)
{
    uint64_t state = 5;
    for (int i = 0; i < 200000; i++) {
        char text[SHORTEST_TEXT_MAX], shorter[SHORTEST_TEXT_MAX];
        double value;
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint64_t bits = state ^ state >> 29;
        if (i % 3 == 0)
            memcpy(&value, &bits, sizeof value);
        else
            value = (double)(int64_t)(bits % 2000000000 - 1000000000) / (i % 3 == 1 ? 1000 : 7);
        if (!isfinite(value))
            continue;
        shortest_format(value, SHORTEST_DOUBLE, text);
        int digits = 0, trailing = 0; /* significant ones */
        for (const char *at = text; *at != '\0' && *at != 'e'; at++)
            if ((*at >= '1' && *at <= '9') || (*at == '0' && digits > 0)) {
                digits++;
                trailing = *at == '0' ? trailing + 1 : 0;
            }
        digits -= trailing;
        CU_ASSERT_EQUAL(strtod(text, NULL), value);
        if (digits > 1 && fabs(value) > 1e-300) {
            snprintf(shorter, sizeof shorter, "%.*e", digits - 2, value);
            if (digits <= 15 || strtod(shorter, NULL) == value)
                CU_ASSERT_NOT_EQUAL(strtod(shorter, NULL), value);
        }
    }
}

static double half_of(unsigned bits)
{
    int exponent = (int)(bits >> 10);
    return exponent == 0 ? ldexp(bits & 1023, -24) : ldexp((bits & 1023) + 1024, exponent - 25);
}

/* Every half lies nearest to its text; of singles every power of two and its neighbours, where the steps
 * change. */
static void test_narrow(void)
{
    char text[SHORTEST_TEXT_MAX];
    for (unsigned bits = 1; bits < 0x7bff; bits++) {
        shortest_format(half_of(bits), SHORTEST_HALF, text);
        double read = strtod(text, NULL), off = fabs(read - half_of(bits));
        if (off >= fabs(read - half_of(bits - 1)) || off >= fabs(read - half_of(bits + 1)))
            CU_FAIL("nearer to another half");
    }
    for (int exponent = -149; exponent <= 127; exponent++)
        for (int step = -1; step <= 1; step++) {
            float power = ldexpf(1, exponent), value = step == 0 ? power : nextafterf(power, step * INFINITY);
            shortest_format((double)value, SHORTEST_SINGLE, text);
            CU_ASSERT_EQUAL(strtof(text, NULL), value);
        }
}

SUITE(shortest) = {
    {"doubles", test_doubles}, {"singles", test_singles}, {"halves", test_halves},
    {"random", test_random},   {"narrow", test_narrow},   {NULL, NULL},
};
