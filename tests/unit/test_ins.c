/* ins: the key against numbers whose keys are published, every digit changed, and the spellings of one
 * number; then the identifier that is hashed. */
#include <stdio.h>
#include <string.h>

#include "daemon/registry/identifier.h"
#include "tests/unit/unit.h"

static struct slice slice_of(const char *text)
{
    return (struct slice){text, text == NULL ? 0 : strlen(text)};
}

static enum ins_fault parse(const char *text)
{
    char ins[INS_BYTES];
    return ins_parse(slice_of(text), ins);
}

static void test_keys(void)
{
    static const char *const good[] = {
        "255081416802538", "185057512345673", "190012A00400163",
        "190012B03300193", "190017500100097", /* the remainder is 0: the key is 97, never 00 */
        "279035121518989",                    /* of the test domain */
    };
    static const char *const bad[] = {
        "284058832102530", "123456789012244", "285031512345678", /* public examples that are wrong */
        "190017500100000", "190012A00400193",                    /* 2B's key for 2A */
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CU_ASSERT_EQUAL(parse(good[i]), INS_GOOD);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(parse(bad[i]), INS_BAD_KEY);
}

/* 97 is a prime that no power of ten nears: one wrong digit always shows, and so do two exchanged ones. */
static void test_every_wrong_digit_shows(void)
{
    static const char *const numbers[] = {"255081416802538", "190012A00400163", "190017500100097"};
    unsigned missed = 0;
    for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++)
        for (size_t at = 0; at < INS_BYTES; at++)
            for (char digit = '0'; digit <= '9'; digit++) {
                char text[INS_BYTES + 1];
                snprintf(text, sizeof text, "%s", numbers[n]);
                if (text[at] == digit)
                    continue;
                text[at] = digit;
                missed += parse(text) == INS_GOOD;
            }
    CU_ASSERT_EQUAL(missed, 0);
    CU_ASSERT_EQUAL(parse("255081416805238"), INS_BAD_KEY);
    CU_ASSERT_EQUAL(parse("190012B00400163"), INS_BAD_KEY);
}

static void test_spellings(void)
{
    static const char *const same[] = {"190012A00400163", "190012a00400163", "1 90 01 2A 004 001 63",
                                       "1\u00a090 01 2a 004\u202f001 63", " 190012A00400163 "};
    static const char *const bad[] = {"190012A004001",
                                      "190012A0040016",
                                      "190012A004001630",
                                      "190012C00400163",
                                      "190012A0040016A",
                                      "19001A200400163",
                                      "990012A00400163",
                                      "090012A00400163",
                                      "190132A00400163",
                                      "190002A00400163",
                                      "1-90012A00400163",
                                      "",
                                      "   ",
                                      "190012A00400163x",
                                      "1\u00e99001200400163"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        char ins[INS_BYTES];
        CU_ASSERT_EQUAL(ins_parse(slice_of(same[i]), ins), INS_GOOD);
        CU_ASSERT_EQUAL(memcmp(ins, same[0], INS_BYTES), 0);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(parse(bad[i]), INS_BAD_SHAPE);
    CU_ASSERT_EQUAL(ins_parse((struct slice){NULL, 0}, (char[INS_BYTES]){0}), INS_BAD_SHAPE);
    CU_ASSERT_EQUAL(ins_parse((struct slice){"190012A0040016\xc2", 15}, (char[INS_BYTES]){0}), INS_BAD_SHAPE);
}

static void test_systems(void)
{
    static const struct {
        const char *system;
        enum ins_kind kind;
    } rows[] = {{"urn:oid:1.2.250.1.213.1.4.8", INS_NIR},
                {"urn:oid:1.2.250.1.213.1.4.9", INS_NIA},
                {"urn:oid:1.2.250.1.213.1.4.10", INS_TEST},
                {"urn:oid:1.2.250.1.213.1.4.11", INS_DEMO},
                {"1.2.250.1.213.1.4.8", INS_NIR},
                {"URN:OID:1.2.250.1.213.1.4.10", INS_TEST},
                {"urn:oid:1.2.250.1.213.1.4.2", INS_NONE},
                {"urn:oid:1.2.250.1.213.1.4.1", INS_NONE},
                {"urn:oid:1.2.250.1.213.1.4.100", INS_NONE},
                {"urn:uuid:1.2.250.1.213.1.4.8", INS_NONE},
                {"urn:oid:", INS_NONE},
                {"", INS_NONE},
                {"Patient", INS_NONE},
                {"urn:oid:urn:oid:1.2.250.1.213.1.4.8", INS_NONE}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CU_ASSERT_EQUAL(ins_kind_of(slice_of(rows[i].system)), rows[i].kind);
    CU_ASSERT_EQUAL(ins_kind_of((struct slice){NULL, 0}), INS_NONE);
}

static enum identifier_fault read_as(bool test_mode, const char *system, const char *value,
                                     struct identifier *ret)
{
    static const uint8_t bytes[32] = {1, 2, 3};
    return identifier_read((struct identifier_key){bytes, test_mode}, slice_of(system), slice_of(value), ret);
}

static bool same(const char *system, const char *value, const char *other_system, const char *other_value)
{
    struct identifier a, b;
    CU_ASSERT_EQUAL_FATAL(read_as(true, system, value, &a), IDENTIFIER_GOOD);
    CU_ASSERT_EQUAL_FATAL(read_as(true, other_system, other_value, &b), IDENTIFIER_GOOD);
    return memcmp(a.hash, b.hash, sizeof a.hash) == 0;
}

static void test_identifier(void)
{
    static const char nir[] = "urn:oid:1.2.250.1.213.1.4.8", test[] = "urn:oid:1.2.250.1.213.1.4.10",
                      demo[] = "1.2.250.1.213.1.4.11", number[] = "255081416802538";
    struct identifier read;
    CU_ASSERT_TRUE(same(nir, number, "1.2.250.1.213.1.4.8", "2 55 08 14 168 025 38"));
    CU_ASSERT_FALSE(same(nir, number, "urn:oid:1.2.250.1.213.1.4.9", number));
    CU_ASSERT_FALSE(same(nir, number, test, number));
    CU_ASSERT_FALSE(same("urn:oid:1.2.3", "a b", "urn:oid:1.2.3", "ab")); /* only INS is normalised */
    CU_ASSERT_FALSE(same("urn:oid:1.2.3", "a", "1.2.3", "a"));
    CU_ASSERT_TRUE(same(NULL, "a", "", "a"));
    CU_ASSERT_EQUAL(read_as(false, test, number, &read), IDENTIFIER_IS_TEST);
    CU_ASSERT_EQUAL(read_as(false, demo, number, &read), IDENTIFIER_IS_TEST);
    CU_ASSERT_EQUAL(read_as(true, demo, number, &read), IDENTIFIER_GOOD);
    CU_ASSERT_EQUAL(read_as(false, nir, number, &read), IDENTIFIER_GOOD);
    CU_ASSERT_TRUE(read.is_ins && memcmp(read.ins, number, INS_BYTES) == 0);
    CU_ASSERT_EQUAL(read_as(false, nir, "255081416802539", &read), IDENTIFIER_BAD_KEY);
    CU_ASSERT_EQUAL(read_as(true, test, "2550814168025", &read), IDENTIFIER_BAD_SHAPE);
    CU_ASSERT_EQUAL(read_as(true, "s", "", &read), IDENTIFIER_BAD_LENGTH);
    char longest[IDENTIFIER_BYTES_MAX + 1];
    memset(longest, 'x', IDENTIFIER_BYTES_MAX);
    longest[IDENTIFIER_BYTES_MAX] = '\0';
    CU_ASSERT_EQUAL(read_as(true, "", longest, &read), IDENTIFIER_GOOD);
    CU_ASSERT_EQUAL(read_as(true, "s", longest, &read), IDENTIFIER_BAD_LENGTH);
    CU_ASSERT_EQUAL(read_as(true, longest, "s", &read), IDENTIFIER_BAD_LENGTH);
}

SUITE(ins) = {
    {"published keys, good and bad", test_keys}, {"every wrong digit shows", test_every_wrong_digit_shows},
    {"spellings of one number", test_spellings}, {"systems", test_systems},
    {"what is hashed", test_identifier},         {NULL, NULL},
};
