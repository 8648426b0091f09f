/* preset: the shipped files load, and a file that ships a number without its source does not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alerting/preset.h"
#include "alerting/rule_fields.h"
#include "tests/unit/unit.h"

static const struct rule_bounds bounds = {35LL * 86400000, 16LL * 86400000};

static const struct preset_rule *find(const struct presets *presets, const char *id)
{
    for (size_t p = 0; p < presets->count; p++)
        for (size_t i = 0; i < presets->items[p]->rules_count; i++)
            if (strcmp(rule_id(presets->items[p]->rules[i].rule), id) == 0)
                return &presets->items[p]->rules[i];
    return NULL;
}

/* Every line that ships has a silence rule, else nobody could be enrolled on it. */
static void check_line(const struct preset *preset)
{
    bool silence = false;
    for (size_t i = 0; i < preset->rules_count; i++) {
        silence = silence || rule_is_silence(preset->rules[i].rule);
        CU_ASSERT_STRING_EQUAL(preset->rules[i].rule->line, preset->line);
    }
    CU_ASSERT_TRUE(silence);
}

static void test_shipped(void)
{
    struct presets presets;
    struct preset_fault fault = {.file = ""};

    CU_ASSERT_EQUAL_FATAL(parameter_init(), OK);
    enum err error = presets_load("config/presets", &bounds, &presets, &fault);
    if (error != OK)
        fprintf(stderr, "\n  %s %s: %s, found %s, expected %s\n", fault.file, fault.rule, fault.fault.key,
                fault.fault.found, fault.fault.expected);
    CU_ASSERT_EQUAL_FATAL(error, OK);
    CU_ASSERT_TRUE(presets.count >= 10);
    for (size_t i = 0; i < presets.count; i++)
        check_line(presets.items[i]);
    const struct preset_rule *gain = find(&presets, "hf.weight-gain-3d"),
                             *silence = find(&presets, "hf.silence");
    CU_ASSERT_PTR_NOT_NULL_FATAL(gain);
    CU_ASSERT_PTR_NOT_NULL_FATAL(silence);
    CU_ASSERT_EQUAL(gain->rule->change.difference.amount[SIDE_HIGH], 2000000);
    CU_ASSERT_EQUAL(gain->rule->change.within_ms, 84LL * 3600000);
    CU_ASSERT_TRUE(rule_requires_validation(gain->rule));
    CU_ASSERT_PTR_NOT_NULL(strstr(gain->json, "\"rise\":2.0,\"within\":\"84h\""));
    CU_ASSERT_EQUAL(silence->rule->silence.missed_days, 2);
    CU_ASSERT_PTR_NOT_NULL(find(&presets, "dm.glucose-range"));
    presets_free(&presets);
    presets_free(&presets); /* half-built and empty ones are taken too */
}

#define RULE(id, rest)                                                                                       \
    "{\"id\":\"" id                                                                                          \
    "\",\"line\":\"l\",\"kind\":\"change\",\"parameter\":\"body-weight\",\"unit\":\"kg\",\"rise\":2,"        \
    "\"within\":\"84h\",\"priority\":\"low\"" rest "}"
#define SOURCED ",\"source\":\"s\",\"tag\":\"CLIN\""
#define GOOD    RULE("a", SOURCED ",\"requires_validation\":true")
#define HEAD    "{\"preset\":\"p\",\"line\":\"l\",\"version\":1,\"date\":\"2026-11-24\""

static const struct {
    const char *rule, *key, *json;
} refusals[] = {
    {"", "file", "{"},
    {"", "preset", "[]"},
    {"", "preset", "{\"line\":\"l\"}"},
    {"", "line", "{\"preset\":\"p\",\"line\":5}"},
    {"", "file", ""},
    {"", "preset", "{\"preset\":\"\"}"},
    {"", "preset", "{\"preset\":\"a2345678901234567890123456789012345678901234567890123456789012345\"}"},
    {"", "version", "{\"preset\":\"p\",\"line\":\"l\",\"date\":\"2026-11-24\"}"},
    {"", "version", "{\"preset\":\"p\",\"line\":\"l\",\"version\":1234567,\"date\":\"2026-11-24\"}"},
    {"", "date", "{\"preset\":\"p\",\"line\":\"l\",\"version\":1,\"date\":\"2026-11\"}"},
    {"", "rules", HEAD ",\"rules\":5}"},
    {"?", "rule", HEAD ",\"rules\":[5]}"},
    {"?", "id", HEAD ",\"rules\":[{\"kind\":\"limit\"}]}"},
    {"a", "source", HEAD ",\"rules\":[" RULE("a", ",\"source\":\"\",\"tag\":\"CLIN\"") "]}"},
    {"a", "line",
     HEAD ",\"rules\":[{\"id\":\"a\",\"kind\":\"silence\",\"missed_days\":2,\"parameters\":[\"spo2\"],"
          "\"priority\":\"low\",\"source\":\"s\",\"tag\":\"t\"}]}"},
    {"", "version", "{\"preset\":\"p\",\"line\":\"l\",\"version\":0,\"date\":\"2026-11-24\"}"},
    {"", "date", "{\"preset\":\"p\",\"line\":\"l\",\"version\":1,\"date\":\"24.11.2026\"}"},
    {"", "rules", HEAD "}"},
    {"", "rules", HEAD ",\"rules\":[]}"},
    {"", "author", HEAD ",\"author\":\"x\",\"rules\":[" GOOD "]}"},
    {"a", "source", HEAD ",\"rules\":[" RULE("a", ",\"tag\":\"CLIN\",\"requires_validation\":true") "]}"},
    {"a", "tag", HEAD ",\"rules\":[" RULE("a", ",\"source\":\"s\",\"requires_validation\":true") "]}"},
    {"a", "requires_validation", HEAD ",\"rules\":[" RULE("a", SOURCED) "]}"},
    {"b", "count", HEAD ",\"rules\":[" GOOD "," RULE("b", SOURCED ",\"count\":0") "]}"},
    {"a", "id", HEAD ",\"rules\":[" GOOD "," GOOD "]}"},
    {"a", "id",
     HEAD ",\"rules\":[" GOOD "," RULE("b", SOURCED ",\"requires_validation\":true") "," GOOD "]}"},
    {"a", "line",
     "{\"preset\":\"p\",\"line\":\"m\",\"version\":1,\"date\":\"2026-11-24\",\"rules\":[" GOOD "]}"},
};

static void write_file(const char *directory, const char *name, const char *text)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs(text, file);
    fclose(file);
}

static enum err load(const char *directory, struct preset_fault *fault)
{
    struct presets presets;
    enum err error = presets_load(directory, &bounds, &presets, fault);
    if (error == OK)
        presets_free(&presets);
    return error;
}

static void test_refusals(void)
{
    char directory[] = "/tmp/vigie-preset-XXXXXX", path[300];
    struct preset_fault fault;

    CU_ASSERT_EQUAL_FATAL(parameter_init(), OK);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
    write_file(directory, "README.txt", "no preset");
    write_file(directory, ".json", "hidden");
    write_file(directory, "a.js", "no preset");
    CU_ASSERT_EQUAL(load(directory, &fault), OK);
    write_file(directory, "one.json", HEAD ",\"rules\":[" GOOD "]}");
    CU_ASSERT_EQUAL(load(directory, &fault), OK);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        write_file(directory, "one.json", refusals[i].json);
        CU_ASSERT_EQUAL(load(directory, &fault), ERR_REFUSED);
        if (strcmp(fault.fault.key, refusals[i].key) != 0)
            fprintf(stderr, "\n  %s: %s %s %s\n", refusals[i].json, fault.rule, fault.fault.key,
                    fault.fault.found);
        CU_ASSERT_STRING_EQUAL(fault.fault.key, refusals[i].key);
        CU_ASSERT_STRING_EQUAL(fault.rule, refusals[i].rule);
        CU_ASSERT_PTR_NOT_NULL(strstr(fault.file, "one.json"));
    }
    write_file(directory, "one.json",
               HEAD ",\"rules\":[" GOOD "," RULE("b", SOURCED ",\"requires_validation\":true") "]}");
    write_file(directory, "two.json", HEAD ",\"rules\":[" GOOD "]}"); /* the same id in another file */
    CU_ASSERT_EQUAL(load(directory, &fault), ERR_REFUSED);
    CU_ASSERT_PTR_NOT_NULL(strstr(fault.file, "two.json"));
    static const char *const names[] = {"README.txt", ".json", "a.js", "one.json", "two.json"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        CU_ASSERT_EQUAL(unlink(path), 0);
    }
    CU_ASSERT_EQUAL(rmdir(directory), 0);
    struct preset *none = NULL;
    CU_ASSERT_EQUAL(preset_load(path, &bounds, &none, &fault), ERR_NOT_FOUND);
    CU_ASSERT_STRING_EQUAL(fault.fault.key, "file");
    preset_free(NULL);
    presets_free(NULL);
    CU_ASSERT_EQUAL(load(directory, &fault), ERR_NOT_FOUND);
    CU_ASSERT_STRING_EQUAL(fault.fault.key, "presets_dir");
}

SUITE(preset) = {
    {"what ships", test_shipped},
    {"every refusal", test_refusals},
    {NULL, NULL},
};
