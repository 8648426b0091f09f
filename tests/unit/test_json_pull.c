/* json_pull: what is JSON and what is not, what is read, and the bounds. */
#include <stdio.h>
#include <string.h>

#include "daemon/ingest/pull/json_pull.h"
#include "daemon/ingest/pull/slice.h"
#include "tests/unit/unit.h"

static char memory[4096];
static struct pull_keys keys;
static struct pull_scratch scratch = {.data = memory, .capacity = sizeof memory};

static struct pull open_text(const char *text, size_t size)
{
    struct pull pull;
    scratch.size = 0;
    pull_open(&pull, (struct slice){text, size}, &scratch, &keys);
    return pull;
}

static bool is_json(const char *text)
{
    struct pull pull = open_text(text, strlen(text));
    pull_skip(&pull);
    bool whole = pull_finish(&pull);
    CU_ASSERT_EQUAL(whole, pull.error == NULL);
    return whole;
}

static void test_grammar(void)
{
    static const char *const good[] = {
        "{}",
        "[]",
        " [ 1 , -0 , 1.5e+3, 2E-1 ] ",
        "{\"a\":{\"a\":[null,true,false]}}",
        "\"\\ud83d\\ude00\"",
        "0",
        "-0.0",
        "\xef\xbb\xbf{}",
        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
        "{\"\":1}",
        "\"0123456789abcdef\\u0041\"",
    };
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\":1,,}",
        "{\"a\" 1}",
        "{a:1}",
        "[1 2]",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "NaN",
        "Infinity",
        "tru",
        "nul",
        "\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\t\"",
        "{} {}",
        "{}]",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xff\"",
        "\"\xc3\"",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"x\":[{\"b\":1,\"c\":2,\"b\":3}]}",
        "{1:2}",
        "{,}",
        "[,]",
        "{\"a\":}",
        "'a'",
        "// c\n1",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CU_ASSERT_TRUE(is_json(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (is_json(bad[i])) {
            printf("taken: %s\n", bad[i]);
            CU_FAIL("text that is no JSON was taken");
        }
    CU_ASSERT_TRUE(is_json("{\"a\":{\"a\":1},\"b\":{\"a\":2}}")); /* the same key in other objects */
}

static void test_values(void)
{
    static const char text[] =
        "{\"k\\u00e9y\":\"a\\n\\\"\\ud83d\\ude00\",\"n\":-1.10e2,\"o\":{\"x\":[1]},\"t\":true}";
    struct pull pull = open_text(text, sizeof text - 1);
    struct slice key, value = {NULL, 0};
    CU_ASSERT_EQUAL(pull_peek(&pull), PULL_OBJECT);
    CU_ASSERT_EQUAL(pull_value(&pull, &value), PULL_OBJECT);
    CU_ASSERT_TRUE(pull_next_key(&pull, &key) && slice_is(key, "k\xc3\xa9y"));
    CU_ASSERT_TRUE(pull_take(&pull, &value) == PULL_STRING && slice_is(value, "a\n\"\xf0\x9f\x98\x80"));
    CU_ASSERT_TRUE(pull_next_key(&pull, &key) && slice_is(key, "n"));
    CU_ASSERT_TRUE(pull_value(&pull, &value) == PULL_NUMBER && slice_is(value, "-1.10e2"));
    CU_ASSERT_TRUE(pull_next_key(&pull, &key));
    CU_ASSERT_TRUE(pull_take(&pull, &value) == PULL_OBJECT && slice_is(value, "{\"x\":[1]}"));
    CU_ASSERT_TRUE(pull_next_key(&pull, &key));
    CU_ASSERT_EQUAL(pull_value(&pull, &value), PULL_TRUE);
    CU_ASSERT_FALSE(pull_next_key(&pull, &key));
    CU_ASSERT_TRUE(pull_finish(&pull));
}

static void test_fields(void)
{
    static const struct pull_name list[] = {{"a", 1}, {"bb", 2}, {"c", 1}};
    static const struct pull_names names = {list, 3, '_'};
    static const char text[] = "{\"bb\":[1,{}],\"_a\":1,\"zz\":2,\"c\":null,\"yy\":3}";
    struct pull pull = open_text(text, sizeof text - 1);
    struct pull_field fields[3];
    struct pull_unknown unknown;
    struct slice ignored;
    pull_value(&pull, &ignored);
    CU_ASSERT_TRUE(pull_read_fields(&pull, &names, fields, &unknown));
    CU_ASSERT_EQUAL(fields[0].kind, PULL_NONE);
    CU_ASSERT_TRUE(fields[1].kind == PULL_ARRAY && slice_is(fields[1].text, "[1,{}]"));
    CU_ASSERT_EQUAL(fields[2].kind, PULL_NONE);
    CU_ASSERT_TRUE(unknown.count == 2 && slice_is(unknown.first, "zz"));
    CU_ASSERT_TRUE(pull_finish(&pull));
}

static void test_bounds(void)
{
    char text[16 * PULL_KEYS_MAX];
    size_t size = 0;
    for (unsigned i = 0; i < JSON_DEPTH_MAX; i++)
        text[size++] = '[';
    for (unsigned i = 0; i < JSON_DEPTH_MAX; i++)
        text[size++] = ']';
    text[size] = '\0';
    CU_ASSERT_TRUE(is_json(text));
    memmove(text + 1, text, size + 1);
    text[size + 1] = ']';
    text[size + 2] = '\0';
    struct pull pull = open_text(text, size + 2);
    pull_skip(&pull);
    CU_ASSERT_TRUE(pull.error != NULL && strcmp(pull.error, "nested too deep") == 0);
    CU_ASSERT_EQUAL(pull.error_at, JSON_DEPTH_MAX);

    for (unsigned keys_count = PULL_KEYS_MAX; keys_count <= PULL_KEYS_MAX + 1; keys_count++) {
        size = (size_t)snprintf(text, sizeof text, "{\"k\":0");
        for (unsigned i = 1; i < keys_count; i++)
            size += (size_t)snprintf(text + size, sizeof text - size, ",\"k%u\":0", i);
        snprintf(text + size, sizeof text - size, "}");
        CU_ASSERT_EQUAL(is_json(text), keys_count == PULL_KEYS_MAX);
    }
}

/* Every prefix of a good text is bad, and an error stays where it was first seen. */
static void test_prefixes(void)
{
    static const char text[] = "{\"a\":[1.5e3,\"x\\u00e9\xc3\xa9\",{\"b\":null}],\"c\":false}";
    CU_ASSERT_TRUE(is_json(text));
    for (size_t size = 0; size < sizeof text - 1; size++) {
        struct pull pull = open_text(text, size);
        struct slice ignored;
        pull_skip(&pull);
        CU_ASSERT_FALSE(pull_finish(&pull));
        size_t at = pull.error_at;
        CU_ASSERT_TRUE(at <= size);
        CU_ASSERT_EQUAL(pull_value(&pull, &ignored), PULL_NONE);
        CU_ASSERT_EQUAL(pull.error_at, at);
    }
}

/* Text that was checked is passed over by its brackets alone, or by what was noted of their ends: strings may
 * have brackets and quotes too. */
static void check_checked(const char *value)
{
    char text[96];
    struct slice whole, key, found;
    snprintf(text, sizeof text, "{\"x\":%s,\"y\":7}", value);
    struct pull pull = open_text(text, strlen(text)), raw;
    CU_ASSERT_EQUAL(pull_take(&pull, &whole), PULL_OBJECT);
    CU_ASSERT_TRUE(pull_finish(&pull) && whole.size == strlen(text));
    pull_open_raw(&raw, whole, &scratch);
    CU_ASSERT_EQUAL(pull_value(&raw, &found), PULL_OBJECT);
    CU_ASSERT_TRUE(pull_next_key(&raw, &key) && slice_is(key, "x"));
    CU_ASSERT_EQUAL(pull_take(&raw, &found), *value == '{' ? PULL_OBJECT : PULL_ARRAY);
    CU_ASSERT_TRUE(slice_is(found, value));
    pull_open_raw(&pull, found, &scratch); /* a part of it, from its own beginning */
    pull_take(&pull, &found);
    CU_ASSERT_TRUE(slice_is(found, value) && pull_finish(&pull));
    CU_ASSERT_TRUE(pull_next_key(&raw, &key) && slice_is(key, "y"));
    CU_ASSERT_TRUE(pull_value(&raw, &found) == PULL_NUMBER && slice_is(found, "7"));
    CU_ASSERT_TRUE(!pull_next_key(&raw, &key) && pull_finish(&raw));
}

static struct pull_spans spans;

static void test_checked(void)
{
    static const char *const values[] = {
        "{\"a\":\"\\\"}\"}",
        "[\"\\\\\",\"]\"]",
        "{\"}\":\"{\",\"b\":[\"\xc3\xa9]\\\\\\\"]\",[[]],{}]}",
        "[\"12345678\\u007d]\"]",
        "{}",
        "[[],{\"\":\"\"}]",
    };
    for (size_t i = 0; i < 2 * sizeof values / sizeof *values; i++) { /* without, then with what was noted */
        scratch.spans = i % 2 == 0 ? NULL : &spans;
        check_checked(values[i / 2]);
    }
    scratch.spans = NULL;
}

/* Of two containers with one row the one that ends later has it; what was noted of one text is nothing of
 * another that lies where it stood. */
static void test_spans(void)
{
    static char text[3 * PULL_SPANS];
    struct slice whole, found;
    struct pull raw;
    scratch.spans = &spans;
    snprintf(text, sizeof text, "[[%*s],[1]]", PULL_SPANS - 4, "7"); /* "[1]" lies PULL_SPANS behind */
    struct pull pull = open_text(text, strlen(text));
    CU_ASSERT_TRUE(pull_take(&pull, &whole) == PULL_ARRAY && pull_finish(&pull));
    CU_ASSERT_EQUAL(spans.rows[0].end, strlen(text));
    pull_open_raw(&raw, whole, &scratch);
    CU_ASSERT_TRUE(pull_value(&raw, &found) == PULL_ARRAY && pull_next_item(&raw));
    CU_ASSERT_TRUE(pull_take(&raw, &found) == PULL_ARRAY && found.size == PULL_SPANS - 2 &&
                   pull_next_item(&raw));
    CU_ASSERT_TRUE(pull_take(&raw, &found) == PULL_ARRAY && slice_is(found, "[1]"));
    snprintf(text, sizeof text, "[[1,2,3],[4,5]]");
    pull = open_text(text, strlen(text));
    CU_ASSERT_TRUE(pull_take(&pull, &whole) == PULL_ARRAY && pull_finish(&pull));
    snprintf(text, sizeof text, "[7]      %s", "[8]"); /* "[8]" stands where there was a longer one */
    pull = open_text(text, 3);
    CU_ASSERT_TRUE(pull_take(&pull, &whole) == PULL_ARRAY && pull_finish(&pull));
    pull_open_raw(&raw, (struct slice){text + 9, 3}, &scratch);
    CU_ASSERT_TRUE(pull_take(&raw, &found) == PULL_ARRAY && slice_is(found, "[8]"));
    scratch.spans = NULL;
}

/* The names alone, in any order, wherever they stand; null is absent. */
static void test_find(void)
{
    static const struct pull_name list[] = {{"b", 1}, {"d", 1}};
    static const struct pull_names names = {list, 2, '\0'};
    static const struct {
        const char *text, *b, *d;
    } rows[] = {
        {"{\"a\":[1,{\"b\":2}],\"d\":\"4\",\"b\":{\"d\":0},\"e\":[]}", "{\"d\":0}", "4"},
        {"{\"b\":null,\"c\":{}}", NULL, NULL},
        {"{}", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pull_field fields[2];
        struct slice whole, ignored;
        struct pull pull = open_text(rows[i].text, strlen(rows[i].text));
        CU_ASSERT_TRUE(pull_take(&pull, &whole) == PULL_OBJECT && pull_finish(&pull));
        pull_open_raw(&pull, whole, &scratch);
        pull_value(&pull, &ignored);
        CU_ASSERT_TRUE(pull_find_fields(&pull, &names, fields));
        const char *const expected[] = {rows[i].b, rows[i].d};
        for (unsigned f = 0; f < 2; f++)
            CU_ASSERT_TRUE(expected[f] == NULL ? fields[f].kind == PULL_NONE
                                               : slice_is(fields[f].text, expected[f]));
    }
}

SUITE(json_pull) = {
    {"grammar", test_grammar}, {"values", test_values},     {"fields", test_fields},
    {"bounds", test_bounds},   {"prefixes", test_prefixes}, {"checked", test_checked},
    {"spans", test_spans},     {"find", test_find},         {NULL, NULL},
};
