/* rule: what is read from a rule, and every reason for which one is refused (RULES.md section 2, last point).
 */
#include <stdlib.h>
#include <string.h>

#include "alerting/exact_json.h"
#include "alerting/rule_fields.h"
#include "tests/unit/unit.h"

static const struct rule_bounds bounds = {35LL * 86400000, 16LL * 86400000};

static json_t *load(const char *text)
{
    json_t *json = NULL;
    char why[160] = "";
    CU_ASSERT_EQUAL(exact_json_load(text, strlen(text), &json, why, sizeof(why)), OK);
    if (json == NULL)
        fprintf(stderr, "\n  %s: %s\n", text, why);
    CU_ASSERT_PTR_NOT_NULL_FATAL(json);
    return json;
}

static struct rule *parse(const char *text)
{
    struct rule *rule = NULL;
    struct rule_fault fault = {.key = ""};
    json_t *json = load(text);
    enum err error = rule_parse(json, &bounds, &rule, &fault);
    json_decref(json);
    if (error != OK)
        fprintf(stderr, "\n  %s\n  key %s, found %s, expected %s\n", text, fault.key, fault.found,
                fault.expected);
    CU_ASSERT_EQUAL_FATAL(error, OK);
    return rule;
}

/* ---- exact JSON ---- */

static void test_exact_json(void)
{
    json_t *json = load("{\"a\": 1.10, \"b\": [-0, 1e3, \"1\", \"x\\\"1\", null, true], \"c\": {\"d\": "
                        "12345678901234567890.5}}");
    CU_ASSERT_STRING_EQUAL(exact_json_number(json_object_get(json, "a")), "1.10");
    CU_ASSERT_PTR_NULL(exact_json_string(json_object_get(json, "a")));
    const json_t *list = json_object_get(json, "b");
    CU_ASSERT_STRING_EQUAL(exact_json_number(json_array_get(list, 0)), "-0");
    CU_ASSERT_PTR_NULL(exact_json_number(json_array_get(list, 2)));
    CU_ASSERT_STRING_EQUAL(exact_json_string(json_array_get(list, 2)), "1");
    CU_ASSERT_PTR_NULL(exact_json_number(NULL));
    char *text = exact_json_text(json);
    CU_ASSERT_STRING_EQUAL(
        text, "{\"a\":1.10,\"b\":[-0,1e3,\"1\",\"x\\\"1\",null,true],\"c\":{\"d\":12345678901234567890.5}}");
    free(text);
    json_decref(json);
}

static void test_exact_json_refusals(void)
{
    static const char *const texts[] = {
        "",
        "{",
        "5",
        "\"x\"",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":1e}",
        "{\"a\":-}",
        "{\"a\":NaN}",
        "{\"a\":1,\"a\":2}",
        "{1:2}",
        "{1 :2}",
        "{\"a\":\"\\u00011\"}",
        "{\"a\":\"\x01"
        "1\"}",
        "{\"\\u0001a\":1}",
        "{\"a\":1 2}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"x",
        "{\"a\":1}{",
        "{\"a\":1\"b\"}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_t *json = NULL;
        char why[160] = "";
        enum err error = exact_json_load(texts[i], strlen(texts[i]), &json, why, sizeof(why));
        if (error != ERR_FORMAT)
            fprintf(stderr, "\n  taken: %s\n", texts[i]);
        CU_ASSERT_EQUAL(error, ERR_FORMAT);
        CU_ASSERT_NOT_EQUAL(why[0], '\0');
        json_decref(json);
    }
}

/* ---- rules that load ---- */

static void test_limit(void)
{
    struct rule *rule = parse("{\"id\":\"dm.range\",\"line\":\"diabetes\",\"parameter\":\"glucose-blood\","
                              "\"unit\":\"mmol/L\",\"kind\":\"limit\","
                              "\"levels\":[{\"priority\":\"high\",\"below\":3.0},{\"priority\":\"medium\","
                              "\"below\":3.9,\"above\":13.9},"
                              "{\"priority\":\"low\",\"above\":10}],\"hysteresis\":0.50,\"count\":2,\"for\":"
                              "\"30m\",\"max_gap\":\"1h\","
                              "\"clear_count\":3,\"text\":{\"fr\":\"é\"},\"requires_validation\":true}");
    CU_ASSERT_EQUAL(rule->kind, RULE_LIMIT);
    CU_ASSERT_EQUAL(rule->parameter, PARAMETER_GLUCOSE_BLOOD);
    const struct rule_levels *low = &rule->limit.side[SIDE_LOW], *high = &rule->limit.side[SIDE_HIGH];
    CU_ASSERT_EQUAL(low->count, 2);
    CU_ASSERT_EQUAL(low->level[0].priority, PRIORITY_MEDIUM);
    CU_ASSERT_EQUAL(low->level[0].limit, 70260840);
    CU_ASSERT_EQUAL(low->level[1].priority, PRIORITY_HIGH);
    CU_ASSERT_EQUAL(low->level[1].limit, 54046800);
    CU_ASSERT_EQUAL(high->count, 2);
    CU_ASSERT_EQUAL(high->level[0].priority, PRIORITY_LOW);
    CU_ASSERT_EQUAL(high->level[1].limit, 250416840);
    CU_ASSERT_EQUAL(rule->limit.hysteresis, 9007800);
    CU_ASSERT_EQUAL(rule->limit.for_ms, 1800000);
    CU_ASSERT_EQUAL(rule->limit.max_gap_ms, 3600000);
    CU_ASSERT_EQUAL(rule->count, 2);
    CU_ASSERT_EQUAL(rule->clear_count, 3);
    CU_ASSERT_TRUE(rule->enabled && !rule->inherit && rule_requires_validation(rule));
    CU_ASSERT_STRING_EQUAL(rule->line, "diabetes");
    CU_ASSERT_STRING_EQUAL(rule->text_fr, "é");
    CU_ASSERT_STRING_EQUAL(rule->text_en, "é");
    CU_ASSERT_STRING_EQUAL(
        rule->parameters_json,
        "{\"unit\":\"mmol/L\",\"levels\":[{\"priority\":\"high\",\"below\":3.0},"
        "{\"priority\":\"medium\",\"below\":3.9,\"above\":13.9},{\"priority\":\"low\",\"above\":10}],"
        "\"hysteresis\":0.50,\"for\":\"30m\",\"max_gap\":\"1h\",\"count\":2,\"clear_count\":3}");
    rule_free(rule);
}

static void test_change(void)
{
    struct rule *rule =
        parse("{\"id\":\"hf.weight-gain-3d\",\"parameter\":\"body-weight\",\"unit\":\"kg\",\"kind\":"
              "\"change\",\"rise\":2.0,"
              "\"fall_percent\":5,\"within\":\"84h\",\"priority\":\"medium\",\"enabled\":false}");
    CU_ASSERT_EQUAL(rule->kind, RULE_CHANGE);
    CU_ASSERT_TRUE(rule->change.difference.has[SIDE_HIGH] && !rule->change.difference.percent[SIDE_HIGH]);
    CU_ASSERT_EQUAL(rule->change.difference.amount[SIDE_HIGH], 2000000);
    CU_ASSERT_TRUE(rule->change.difference.has[SIDE_LOW] && rule->change.difference.percent[SIDE_LOW]);
    CU_ASSERT_EQUAL(rule->change.difference.amount[SIDE_LOW], 5000000);
    CU_ASSERT_EQUAL(rule->change.within_ms, 84LL * 3600000);
    CU_ASSERT_EQUAL(rule->priority, PRIORITY_MEDIUM);
    CU_ASSERT_FALSE(rule->enabled);
    CU_ASSERT_STRING_EQUAL(rule->text_en, "hf.weight-gain-3d");
    CU_ASSERT_STRING_EQUAL(
        rule->parameters_json,
        "{\"unit\":\"kg\",\"rise\":2.0,\"fall_percent\":5,\"within\":\"84h\",\"priority\":\"medium\","
        "\"count\":1,\"clear_count\":1}");
    rule_free(rule);

    rule = parse(
        "{\"id\":\"t\",\"parameter\":\"body-temperature\",\"unit\":\"[degF]\",\"kind\":\"change\",\"rise\":2,"
        "\"within\":\"1d\",\"priority\":\"low\"}");
    CU_ASSERT_EQUAL(rule->change.difference.amount[SIDE_HIGH], 1111111); /* 2 degrees F are 1.11 degrees C */
    CU_ASSERT_FALSE(rule->change.difference.has[SIDE_LOW]);
    rule_free(rule);
}

static void test_silence(void)
{
    struct rule *rule =
        parse("{\"id\":\"hf.silence\",\"kind\":\"silence\",\"missed_days\":2,\"max_gap\":\"31d\","
              "\"parameters\":[\"body-weight\",\"heart-rate\"],\"day_start\":\"12:30\",\"grace\":\"2h\","
              "\"priority\":\"high\",\"requires_validation\":true}");
    CU_ASSERT_TRUE(rule_is_silence(rule));
    CU_ASSERT_STRING_EQUAL(rule_kind(rule), "silence");
    CU_ASSERT_EQUAL(rule->parameter, PARAMETER_COUNT);
    CU_ASSERT_EQUAL(rule->silence.missed_days, 2);
    CU_ASSERT_EQUAL(rule->silence.max_gap_ms, 31LL * 86400000);
    CU_ASSERT_EQUAL(rule->silence.parameters_count, 2);
    CU_ASSERT_EQUAL(rule->silence.parameters[1], PARAMETER_HEART_RATE);
    CU_ASSERT_EQUAL(rule->silence.day_start_min, 750);
    CU_ASSERT_EQUAL(rule->silence.grace_ms, 7200000);
    CU_ASSERT_FALSE(rule_requires_validation(rule));
    rule_free(rule);
    rule = parse("{\"id\":\"s\",\"kind\":\"silence\",\"max_gap\":\"7d\",\"parameters\":[\"body-weight\"],"
                 "\"priority\":\"low\"}");
    CU_ASSERT_EQUAL(rule->silence.missed_days, 0);
    CU_ASSERT_EQUAL(rule->silence.grace_ms, 6LL * 3600000);
    CU_ASSERT_STRING_EQUAL(rule->parameters_json,
                           "{\"max_gap\":\"7d\",\"missed_days\":null,\"parameters\":[\"body-weight\"],"
                           "\"day_start\":\"00:00\",\"grace\":\"6h\",\"priority\":\"low\"}");
    rule_free(rule);
}

static void test_inherit(void)
{
    struct rule *rule = parse("{\"id\":\"hf.silence\",\"inherit\":true}");
    CU_ASSERT_TRUE(rule->inherit && !rule_is_silence(rule));
    CU_ASSERT_STRING_EQUAL(rule_kind(rule), "");
    CU_ASSERT_STRING_EQUAL(rule_id(rule), "hf.silence");
    rule_free(rule);
}

/* ---- refusals ---- */

#define LIMIT(levels, rest)                                                                                  \
    "{\"id\":\"x\",\"kind\":\"limit\",\"parameter\":\"spo2\",\"unit\":\"%\",\"levels\":[" levels "]" rest "}"
#define LOW(priority, limit)  "{\"priority\":\"" priority "\",\"below\":" limit "}"
#define HIGH(priority, limit) "{\"priority\":\"" priority "\",\"above\":" limit "}"
#define CHANGE(rest)                                                                                         \
    "{\"id\":\"x\",\"kind\":\"change\",\"parameter\":\"body-weight\",\"unit\":\"kg\",\"priority\":"          \
    "\"low\"" rest "}"
#define SILENCE(rest)                                                                                        \
    "{\"id\":\"x\",\"kind\":\"silence\",\"parameters\":[\"body-weight\"],\"priority\":\"low\"" rest "}"

/* ---- the other kinds ---- */

static void test_occurrences(void)
{
    struct rule *rule = parse("{\"id\":\"x\",\"parameter\":\"glucose-interstitial\",\"unit\":\"mg/"
                              "dL\",\"priority\":\"high\",\"kind\":\"occurrences\",\"below\":54,\"rearm\":16,"
                              "\"times\":3,\"within\":\"1d\"}");
    CU_ASSERT_EQUAL(rule->kind, RULE_OCCURRENCES);
    CU_ASSERT_TRUE(rule->occurrences.bound.has[SIDE_LOW] && !rule->occurrences.bound.has[SIDE_HIGH]);
    CU_ASSERT_EQUAL(rule->occurrences.bound.limit[SIDE_LOW], 54000000);
    CU_ASSERT_EQUAL(rule->occurrences.rearm, 16000000);
    CU_ASSERT_EQUAL(rule->occurrences.times, 3);
    CU_ASSERT_EQUAL(rule->occurrences.within_ms, 86400000);
    CU_ASSERT_FALSE(rule->occurrences.sample);
    CU_ASSERT_STRING_EQUAL(rule->parameters_json,
                           "{\"unit\":\"mg/dL\",\"below\":54,\"rearm\":16,\"mode\":\"crossing\",\"times\":3,"
                           "\"within\":\"1d\",\"priority\":\"high\"}");
    rule_free(rule);
}

static void test_reference_and_rate(void)
{
    struct rule *rule =
        parse("{\"id\":\"x\",\"parameter\":\"body-weight\",\"unit\":\"kg\",\"priority\":\"medium\",\"kind\":"
              "\"reference\",\"rise\":2.5,\"reference\":\"dry-weight\",\"clear_count\":2}");
    CU_ASSERT_EQUAL(rule->kind, RULE_REFERENCE);
    CU_ASSERT_EQUAL(rule->reference.difference.amount[SIDE_HIGH], 2500000);
    CU_ASSERT_STRING_EQUAL(rule->reference.name, "dry-weight");
    CU_ASSERT_EQUAL(rule->clear_count, 2);
    rule_free(rule);
    rule = parse("{\"id\":\"x\",\"parameter\":\"body-weight\",\"unit\":\"kg\",\"priority\":\"medium\","
                 "\"kind\":\"reference\",\"fall_percent\":5}");
    CU_ASSERT_STRING_EQUAL(rule->reference.name, "reference");
    rule_free(rule);
    rule = parse("{\"id\":\"x\",\"parameter\":\"glucose-interstitial\",\"unit\":\"mmol/"
                 "L\",\"priority\":\"high\",\"kind\":\"rate\",\"fall_per\":2,\"within\":\"30m\"}");
    CU_ASSERT_EQUAL(rule->kind, RULE_RATE);
    CU_ASSERT_EQUAL(rule->rate.per_minute.amount[SIDE_LOW], 36031200); /* 2 mmol/L are 36.0312 mg/dL */
    CU_ASSERT_EQUAL(rule->rate.readings, 2);
    rule_free(rule);
}

static void test_days(void)
{
    struct rule *rule = parse("{\"id\":\"x\",\"parameter\":\"ventilation-leak-total\",\"unit\":\"L/"
                              "min\",\"priority\":\"high\",\"kind\":\"daily\",\"statistic\":\"median\","
                              "\"above\":24,\"days\":3,\"missing\":\"skip\",\"day_start\":\"12:00\"}");
    CU_ASSERT_EQUAL(rule->kind, RULE_DAILY);
    CU_ASSERT_EQUAL(rule->daily.day.statistic, DAY_MEDIAN);
    CU_ASSERT_EQUAL(rule->daily.bound.limit[SIDE_HIGH], 24000000);
    CU_ASSERT_EQUAL(rule->daily.days, 3);
    CU_ASSERT_TRUE(rule->daily.skip);
    CU_ASSERT_EQUAL(rule->daily.day.day_start_min, 720);
    CU_ASSERT_EQUAL(rule->daily.day.grace_ms, 6LL * 3600000);
    rule_free(rule);
    rule = parse("{\"id\":\"x\",\"parameter\":\"glucose-interstitial\",\"unit\":\"mg/"
                 "dL\",\"priority\":\"high\",\"kind\":\"daily\",\"statistic\":\"count\",\"below\":700,\"min_"
                 "readings\":0}"); /* a count is plain, whatever the unit; beyond the band of one reading */
    CU_ASSERT_EQUAL(rule->daily.bound.limit[SIDE_LOW], 700000000);
    CU_ASSERT_EQUAL(rule->daily.day.min_readings, 0);
    rule_free(rule);
    rule = parse("{\"id\":\"x\",\"parameter\":\"ventilation-use\",\"unit\":\"min\",\"priority\":\"low\","
                 "\"kind\":\"daily\",\"statistic\":\"sum\",\"above\":1800}"); /* a sum of minutes, beyond the
                                                                                 band of one reading */
    CU_ASSERT_EQUAL(rule->daily.bound.limit[SIDE_HIGH], 30000000);
    rule_free(rule);
    rule = parse("{\"id\":\"x\",\"parameter\":\"ventilation-use\",\"unit\":\"h\",\"priority\":\"low\","
                 "\"kind\":\"variation\",\"statistic\":\"sum\",\"fall\":2,\"minimum\":4}");
    CU_ASSERT_EQUAL(rule->variation.difference.amount[SIDE_LOW], 2000000);
    CU_ASSERT_TRUE(rule->variation.has_minimum);
    CU_ASSERT_EQUAL(rule->variation.minimum, 4000000);
    rule_free(rule);
    rule =
        parse("{\"id\":\"x\",\"parameter\":\"ventilation-use\",\"unit\":\"h\",\"priority\":\"low\",\"kind\":"
              "\"baseline\",\"statistic\":\"mean\",\"rise_percent\":20,\"over\":14,\"min_days\":7}");
    CU_ASSERT_EQUAL(rule->baseline.over, 14);
    CU_ASSERT_EQUAL(rule->baseline.min_days, 7);
    CU_ASSERT_EQUAL(rule->baseline.days, 1);
    CU_ASSERT_TRUE(rule->baseline.difference.percent[SIDE_HIGH]);
    rule_free(rule);
}

static void test_event(void)
{
    struct rule *rule = parse("{\"id\":\"x\",\"kind\":\"event\",\"classes\":{\"ventricular\":\"high\",\"*\":"
                              "\"low\",\"battery\":\"medium\"}}");
    CU_ASSERT_EQUAL(rule->event.classes_count, 2);
    CU_ASSERT_STRING_EQUAL(rule->event.classes[0].name, "battery");
    CU_ASSERT_EQUAL(rule->event.classes[0].priority, PRIORITY_MEDIUM);
    CU_ASSERT_EQUAL(rule->event.otherwise, PRIORITY_LOW);
    rule_free(rule);
}

/* Names of classes count as JSON writes them: 2,000 bytes in all. Here 62 each, whatever they are made of. */
static void test_event_names(void)
{
    static const struct {
        const char *piece;
        unsigned pieces;
    } rows[] = {{"x", 60}, {"\\\"", 30}, {"\\\\", 30}, {"\\u0002", 10}};
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
        for (unsigned classes = 32; classes <= 33; classes++) {
            static char text[16384];
            struct rule *rule = NULL;
            struct rule_fault fault = {.key = ""};
            size_t size =
                (size_t)sprintf(text, "{\"id\":\"x\",\"kind\":\"event\",\"classes\":{\"*\":\"low\"");
            for (unsigned class = 0; class < classes; class ++) {
                size += (size_t)sprintf(text + size, ",\"%02u", class);
                for (unsigned i = 0; i < rows[r].pieces; i++)
                    size += (size_t)sprintf(text + size, "%s", rows[r].piece);
                size += (size_t)sprintf(text + size, "\":\"low\"");
            }
            sprintf(text + size, "}}");
            json_t *json = load(text);
            CU_ASSERT_EQUAL(rule_parse(json, &bounds, &rule, &fault), classes == 32 ? OK : ERR_REFUSED);
            CU_ASSERT_STRING_EQUAL(fault.key, classes == 32 ? "" : "classes");
            rule_free(rule);
            json_decref(json);
        }
}

/* Statistic and day_start never change under one id, nor does the side. */
static void test_days_follow(void)
{
    static const struct {
        const char *old, *next, *key;
    } rows[] = {
        {"{\"id\":\"x\",\"parameter\":\"ventilation-leak-total\",\"unit\":\"L/"
         "min\",\"priority\":\"high\",\"kind\":\"daily\",\"statistic\":\"median\",\"above\":24,\"days\":3}",
         "{\"id\":\"x\",\"parameter\":\"ventilation-leak-total\",\"unit\":\"L/"
         "min\",\"priority\":\"high\",\"kind\":\"daily\",\"statistic\":\"mean\",\"above\":24,\"days\":3}",
         "statistic"},
        {"{\"id\":\"x\",\"parameter\":\"ventilation-leak-total\",\"unit\":\"L/"
         "min\",\"priority\":\"high\",\"kind\":\"daily\",\"statistic\":\"median\",\"above\":24,\"days\":3}",
         "{\"id\":\"x\",\"parameter\":\"ventilation-leak-total\",\"unit\":\"L/"
         "min\",\"priority\":\"high\",\"kind\":\"daily\",\"statistic\":\"median\",\"above\":24,\"days\":3,"
         "\"day_start\":\"12:00\"}",
         "day_start"},
        {"{\"id\":\"x\",\"parameter\":\"ventilation-leak-total\",\"unit\":\"L/"
         "min\",\"priority\":\"high\",\"kind\":\"daily\",\"statistic\":\"median\",\"above\":24,\"days\":3}",
         "{\"id\":\"x\",\"parameter\":\"ventilation-leak-total\",\"unit\":\"L/"
         "min\",\"priority\":\"high\",\"kind\":\"daily\",\"statistic\":\"median\",\"below\":24,\"days\":3}",
         "side"},
        {"{\"id\":\"x\",\"parameter\":\"ventilation-leak-total\",\"unit\":\"L/"
         "min\",\"priority\":\"high\",\"kind\":\"daily\",\"statistic\":\"median\",\"above\":24,\"days\":3}",
         "{\"id\":\"x\",\"parameter\":\"ventilation-leak-total\",\"unit\":\"L/"
         "min\",\"priority\":\"high\",\"kind\":\"daily\",\"statistic\":\"median\",\"above\":25,\"days\":3}",
         ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rule_fault fault = {.key = ""};
        struct rule *old = parse(rows[i].old), *next = parse(rows[i].next);
        CU_ASSERT_EQUAL(rule_may_follow(old, next, &fault), rows[i].key[0] == '\0');
        CU_ASSERT_STRING_EQUAL(fault.key, rows[i].key);
        CU_ASSERT_FALSE(rule_same_but_words(old, next));
        CU_ASSERT_TRUE(rule_same_but_words(old, old));
        rule_free(old);
        rule_free(next);
    }
}

static const struct {
    const char *key, *found, *json;
} refusals[] = {
    /* keys and names */
    {"id", "nothing", "{\"kind\":\"limit\"}"},
    {"id", "5", "{\"id\":5,\"kind\":\"limit\"}"},
    {"id", "\"a b\"", "{\"id\":\"a b\",\"kind\":\"limit\"}"},
    {"id", "\"\"", "{\"id\":\"\",\"kind\":\"limit\"}"},
    {"kind", "nothing", "{\"id\":\"x\"}"},
    {"kind", "\"limits\"", "{\"id\":\"x\",\"kind\":\"limits\"}"},
    {"kind", "kind all is a reserved name", "{\"id\":\"x\",\"kind\":\"all\"}"},
    {"kind", "kind any is a reserved name", "{\"id\":\"x\",\"kind\":\"any\"}"},
    {"clear-count", "an unknown key", LIMIT(LOW("low", "90"), ",\"clear-count\":2")},
    {"priority", "a key of other kinds", LIMIT(LOW("low", "90"), ",\"priority\":\"low\"")},
    {"unit", "a key of other kinds", SILENCE(",\"max_gap\":\"1d\",\"unit\":\"kg\"")},
    {"parameter", "a key of other kinds", SILENCE(",\"max_gap\":\"1d\",\"parameter\":\"body-weight\"")},
    {"kind", "a key of other kinds", "{\"id\":\"x\",\"inherit\":true,\"kind\":\"limit\"}"},
    {"inherit", "1", "{\"id\":\"x\",\"inherit\":1}"},
    {"enabled", "\"no\"", CHANGE(",\"rise\":1,\"within\":\"1d\",\"enabled\":\"no\"")},
    {"text", "de", CHANGE(",\"rise\":1,\"within\":\"1d\",\"text\":{\"de\":\"x\"}")},
    {"text", "\"x\"", CHANGE(",\"rise\":1,\"within\":\"1d\",\"text\":\"x\"")},
    {"source", "7", CHANGE(",\"rise\":1,\"within\":\"1d\",\"source\":7")},
    {"line", "\"\"", CHANGE(",\"rise\":1,\"within\":\"1d\",\"line\":\"\"")},
    /* parameter and unit */
    {"parameter", "nothing", "{\"id\":\"x\",\"kind\":\"limit\",\"unit\":\"%\"}"},
    {"parameter", "\"weight\"", "{\"id\":\"x\",\"kind\":\"limit\",\"parameter\":\"weight\",\"unit\":\"kg\"}"},
    {"unit", "nothing", "{\"id\":\"x\",\"kind\":\"limit\",\"parameter\":\"spo2\"}"},
    {"unit", "\"kg\"", "{\"id\":\"x\",\"kind\":\"limit\",\"parameter\":\"spo2\",\"unit\":\"kg\"}"},
    {"unit", "\"percent\"", "{\"id\":\"x\",\"kind\":\"limit\",\"parameter\":\"spo2\",\"unit\":\"percent\"}"},
    {"unit", "\"mmol/L\"",
     "{\"id\":\"x\",\"kind\":\"limit\",\"parameter\":\"cholesterol-ldl\",\"unit\":\"mmol/L\"}"},
    /* levels */
    {"levels", "[]", LIMIT("", "")},
    {"levels", "nothing", "{\"id\":\"x\",\"kind\":\"limit\",\"parameter\":\"spo2\",\"unit\":\"%\"}"},
    {"levels[0]", "7", LIMIT("7", "")},
    {"levels[0]", "over", LIMIT("{\"priority\":\"low\",\"over\":90}", "")},
    {"levels[0].priority", "nothing", LIMIT("{\"below\":90}", "")},
    {"levels[0].priority", "\"urgent\"", LIMIT(LOW("urgent", "90"), "")},
    {"levels[0].priority", "\"none\"", LIMIT(LOW("none", "90"), "")},
    {"levels[0].priority", "{\"priority\":\"low\"}", LIMIT("{\"priority\":\"low\"}", "")},
    {"levels[0].below", "\"90\"", LIMIT(LOW("low", "\"90\""), "")},
    {"levels[0].below", "90.1234567", LIMIT(LOW("low", "90.1234567"), "")},
    {"levels[0].below", "-0.000001", LIMIT(LOW("low", "-0.000001"), "")},
    {"levels[0].above", "100.000001", LIMIT(HIGH("low", "100.000001"), "")},
    {"levels[0].above", "1e18", LIMIT(HIGH("low", "1e18"), "")},
    {"levels[1].below", "low", LIMIT(LOW("low", "90") "," LOW("low", "85"), "")},
    {"levels[1].below", "a higher priority less far out", LIMIT(LOW("low", "90") "," LOW("high", "91"), "")},
    {"levels[1].above", "a higher priority less far out",
     LIMIT(HIGH("high", "90") "," HIGH("low", "91"), "")},
    {"levels[2].below", "a higher priority less far out",
     LIMIT(LOW("low", "90") "," LOW("high", "85") "," LOW("medium", "84"), "")},
    {"hysteresis", "-1", LIMIT(LOW("low", "90"), ",\"hysteresis\":-1")},
    {"hysteresis", "0.0000001", LIMIT(LOW("low", "90"), ",\"hysteresis\":0.0000001")},
    {"hysteresis", "10.000001", LIMIT(LOW("low", "90"), ",\"hysteresis\":10.000001")},
    {"hysteresis", "1000000000000", LIMIT(LOW("low", "90"), ",\"hysteresis\":1000000000000")},
    {"hysteresis", "-9000000000000",
     "{\"id\":\"x\",\"kind\":\"limit\",\"parameter\":\"bag-volume\",\"unit\":\"L\",\"levels\":[" LOW(
         "low", "1") "],\"hysteresis\":-9000000000000}"},
    {"count", "0", LIMIT(LOW("low", "90"), ",\"count\":0")},
    {"count", "1.5", LIMIT(LOW("low", "90"), ",\"count\":1.5")},
    {"count", "8193", LIMIT(LOW("low", "90"), ",\"count\":8193")},
    {"count", "\"2\"", LIMIT(LOW("low", "90"), ",\"count\":\"2\"")},
    {"clear_count", "-1", LIMIT(LOW("low", "90"), ",\"clear_count\":-1")},
    {"for", "no max_gap", LIMIT(LOW("low", "90"), ",\"for\":\"10m\"")},
    {"for", "\"10 m\"", LIMIT(LOW("low", "90"), ",\"for\":\"10 m\",\"max_gap\":\"1h\"")},
    {"for", "10", LIMIT(LOW("low", "90"), ",\"for\":10,\"max_gap\":\"1h\"")},
    {"max_gap", "\"0s\"", LIMIT(LOW("low", "90"), ",\"max_gap\":\"0s\"")},
    {"max_gap", "\"385h\"", LIMIT(LOW("low", "90"), ",\"max_gap\":\"385h\"")}, /* continuous: 16 d */
    {"for", "\"17d\"", LIMIT(LOW("low", "90"), ",\"for\":\"17d\",\"max_gap\":\"1h\"")},
    /* change */
    {"rise", "nothing", CHANGE(",\"within\":\"1d\"")},
    {"rise", "0", CHANGE(",\"rise\":0,\"within\":\"1d\"")},
    {"fall", "-2", CHANGE(",\"fall\":-2,\"within\":\"1d\"")},
    {"rise", "650", CHANGE(",\"rise\":650,\"within\":\"1d\"")},
    {"rise", "2.0000001", CHANGE(",\"rise\":2.0000001,\"within\":\"1d\"")},
    {"rise_percent", "both percent and absolute", CHANGE(",\"rise\":2,\"rise_percent\":3,\"within\":\"1d\"")},
    {"fall_percent", "both percent and absolute", CHANGE(",\"fall\":2,\"fall_percent\":3,\"within\":\"1d\"")},
    {"rise_percent", "0", CHANGE(",\"rise_percent\":0,\"within\":\"1d\"")},
    {"within", "nothing", CHANGE(",\"rise\":2")},
    {"within", "\"0h\"", CHANGE(",\"rise\":2,\"within\":\"0h\"")},
    {"within", "\"841h\"", CHANGE(",\"rise\":2,\"within\":\"841h\"")},
    {"within", "\"3 days\"", CHANGE(",\"rise\":2,\"within\":\"3 days\"")},
    {"within", "\"3w\"", CHANGE(",\"rise\":2,\"within\":\"3w\"")},
    {"priority", "nothing",
     "{\"id\":\"x\",\"kind\":\"change\",\"parameter\":\"body-weight\",\"unit\":\"kg\",\"rise\":2,\"within\":"
     "\"1d\"}"},
    /* silence */
    {"max_gap", "nothing", SILENCE("")},
    {"max_gap", "\"745h\"", SILENCE(",\"max_gap\":\"745h\"")},
    {"max_gap", "\"0d\"", SILENCE(",\"max_gap\":\"0d\"")},
    {"missed_days", "0", SILENCE(",\"missed_days\":0")},
    {"missed_days", "32", SILENCE(",\"missed_days\":32")},
    {"enabled", "false", SILENCE(",\"max_gap\":\"1d\",\"enabled\":false")},
    {"day_start", "\"24:00\"", SILENCE(",\"missed_days\":1,\"day_start\":\"24:00\"")},
    {"day_start", "\"7:00\"", SILENCE(",\"missed_days\":1,\"day_start\":\"7:00\"")},
    {"grace", "\"-1h\"", SILENCE(",\"missed_days\":1,\"grace\":\"-1h\"")},
    {"parameters", "nothing", "{\"id\":\"x\",\"kind\":\"silence\",\"max_gap\":\"1d\",\"priority\":\"low\"}"},
    {"parameters", "[]",
     "{\"id\":\"x\",\"kind\":\"silence\",\"max_gap\":\"1d\",\"priority\":\"low\",\"parameters\":[]}"},
    {"parameters", "\"poids\"",
     "{\"id\":\"x\",\"kind\":\"silence\",\"max_gap\":\"1d\",\"priority\":\"low\",\"parameters\":[\"poids\"]"
     "}"},
    {"parameters", "\"spo2\"",
     "{\"id\":\"x\",\"kind\":\"silence\",\"max_gap\":\"1d\",\"priority\":\"low\",\"parameters\":[\"spo2\","
     "\"spo2\"]}"},
    /* occurrences */
    {"above", "nothing",
     "{\"id\":\"x\",\"parameter\":\"glucose-interstitial\",\"unit\":\"mg/"
     "dL\",\"priority\":\"high\",\"kind\":\"occurrences\",\"times\":3,\"within\":\"1d\"}"},
    {"times", "nothing",
     "{\"id\":\"x\",\"parameter\":\"glucose-interstitial\",\"unit\":\"mg/"
     "dL\",\"priority\":\"high\",\"kind\":\"occurrences\",\"below\":54,\"within\":\"1d\"}"},
    {"times", "0",
     "{\"id\":\"x\",\"parameter\":\"glucose-interstitial\",\"unit\":\"mg/"
     "dL\",\"priority\":\"high\",\"kind\":\"occurrences\",\"below\":54,\"times\":0,\"within\":\"1d\"}"},
    {"times", "257",
     "{\"id\":\"x\",\"parameter\":\"glucose-interstitial\",\"unit\":\"mg/"
     "dL\",\"priority\":\"high\",\"kind\":\"occurrences\",\"below\":54,\"times\":257,\"within\":\"1d\"}"},
    {"within", "nothing",
     "{\"id\":\"x\",\"parameter\":\"glucose-interstitial\",\"unit\":\"mg/"
     "dL\",\"priority\":\"high\",\"kind\":\"occurrences\",\"below\":54,\"times\":3}"},
    {"within", "\"17d\"",
     "{\"id\":\"x\",\"parameter\":\"glucose-interstitial\",\"unit\":\"mg/"
     "dL\",\"priority\":\"high\",\"kind\":\"occurrences\",\"below\":54,\"times\":3,\"within\":\"17d\"}"},
    {"mode", "\"samples\"",
     "{\"id\":\"x\",\"parameter\":\"glucose-interstitial\",\"unit\":\"mg/"
     "dL\",\"priority\":\"high\",\"kind\":\"occurrences\",\"below\":54,\"times\":3,\"within\":\"1d\","
     "\"mode\":\"samples\"}"},
    {"rearm", "-1",
     "{\"id\":\"x\",\"parameter\":\"glucose-interstitial\",\"unit\":\"mg/"
     "dL\",\"priority\":\"high\",\"kind\":\"occurrences\",\"below\":54,\"times\":3,\"within\":\"1d\","
     "\"rearm\":-1}"},
    {"rearm", "947",
     "{\"id\":\"x\",\"parameter\":\"glucose-interstitial\",\"unit\":\"mg/"
     "dL\",\"priority\":\"high\",\"kind\":\"occurrences\",\"below\":54,\"times\":3,\"within\":\"1d\","
     "\"rearm\":947}"},
    {"below", "-1",
     "{\"id\":\"x\",\"parameter\":\"glucose-interstitial\",\"unit\":\"mg/"
     "dL\",\"priority\":\"high\",\"kind\":\"occurrences\",\"below\":-1,\"times\":3,\"within\":\"1d\"}"},
    {"count", "a key of other kinds",
     "{\"id\":\"x\",\"parameter\":\"glucose-interstitial\",\"unit\":\"mg/"
     "dL\",\"priority\":\"high\",\"kind\":\"occurrences\",\"below\":54,\"times\":3,\"within\":\"1d\","
     "\"count\":2}"},
    /* reference */
    {"rise", "nothing",
     "{\"id\":\"x\",\"parameter\":\"body-weight\",\"unit\":\"kg\",\"priority\":\"medium\",\"kind\":"
     "\"reference\"}"},
    {"reference", "\"\"",
     "{\"id\":\"x\",\"parameter\":\"body-weight\",\"unit\":\"kg\",\"priority\":\"medium\",\"kind\":"
     "\"reference\",\"rise\":2,\"reference\":\"\"}"},
    {"reference", "7",
     "{\"id\":\"x\",\"parameter\":\"body-weight\",\"unit\":\"kg\",\"priority\":\"medium\",\"kind\":"
     "\"reference\",\"rise\":2,\"reference\":7}"},
    {"within", "a key of other kinds",
     "{\"id\":\"x\",\"parameter\":\"body-weight\",\"unit\":\"kg\",\"priority\":\"medium\",\"kind\":"
     "\"reference\",\"rise\":2,\"within\":\"1d\"}"},
    /* rate */
    {"rise_per", "nothing",
     "{\"id\":\"x\",\"parameter\":\"glucose-interstitial\",\"unit\":\"mg/"
     "dL\",\"priority\":\"high\",\"kind\":\"rate\",\"within\":\"30m\"}"},
    {"rise_per", "0",
     "{\"id\":\"x\",\"parameter\":\"glucose-interstitial\",\"unit\":\"mg/"
     "dL\",\"priority\":\"high\",\"kind\":\"rate\",\"rise_per\":0,\"within\":\"30m\"}"},
    {"fall_per", "-2",
     "{\"id\":\"x\",\"parameter\":\"glucose-interstitial\",\"unit\":\"mg/"
     "dL\",\"priority\":\"high\",\"kind\":\"rate\",\"fall_per\":-2,\"within\":\"30m\"}"},
    {"within", "nothing",
     "{\"id\":\"x\",\"parameter\":\"glucose-interstitial\",\"unit\":\"mg/"
     "dL\",\"priority\":\"high\",\"kind\":\"rate\",\"rise_per\":2}"},
    {"readings", "1",
     "{\"id\":\"x\",\"parameter\":\"glucose-interstitial\",\"unit\":\"mg/"
     "dL\",\"priority\":\"high\",\"kind\":\"rate\",\"rise_per\":2,\"within\":\"30m\",\"readings\":1}"},
    {"rise", "a key of other kinds",
     "{\"id\":\"x\",\"parameter\":\"glucose-interstitial\",\"unit\":\"mg/"
     "dL\",\"priority\":\"high\",\"kind\":\"rate\",\"rise\":2,\"within\":\"30m\"}"},
    /* daily */
    {"statistic", "nothing",
     "{\"id\":\"x\",\"parameter\":\"ventilation-leak-total\",\"unit\":\"L/"
     "min\",\"priority\":\"high\",\"kind\":\"daily\",\"above\":24,\"days\":3}"},
    {"statistic", "\"mode\"",
     "{\"id\":\"x\",\"parameter\":\"ventilation-leak-total\",\"unit\":\"L/"
     "min\",\"priority\":\"high\",\"kind\":\"daily\",\"above\":24,\"days\":3,\"statistic\":\"mode\"}"},
    {"above", "nothing",
     "{\"id\":\"x\",\"parameter\":\"ventilation-leak-total\",\"unit\":\"L/"
     "min\",\"priority\":\"high\",\"kind\":\"daily\",\"days\":3,\"statistic\":\"median\"}"},
    {"days", "nothing",
     "{\"id\":\"x\",\"parameter\":\"ventilation-leak-total\",\"unit\":\"L/"
     "min\",\"priority\":\"high\",\"kind\":\"daily\",\"above\":24,\"statistic\":\"median\"}"},
    {"days", "2",
     "{\"id\":\"x\",\"parameter\":\"ventilation-leak-total\",\"unit\":\"L/"
     "min\",\"priority\":\"high\",\"kind\":\"daily\",\"above\":24,\"days\":2,\"statistic\":\"median\"}"},
    {"days", "8",
     "{\"id\":\"x\",\"parameter\":\"ventilation-leak-total\",\"unit\":\"L/"
     "min\",\"priority\":\"high\",\"kind\":\"daily\",\"above\":24,\"days\":8,\"statistic\":\"mean\"}"},
    {"days", "31",
     "{\"id\":\"x\",\"parameter\":\"body-weight\",\"unit\":\"kg\",\"priority\":\"medium\",\"kind\":\"daily\","
     "\"above\":80,\"days\":31,\"statistic\":\"median\"}"},
    {"days", "0",
     "{\"id\":\"x\",\"parameter\":\"body-weight\",\"unit\":\"kg\",\"priority\":\"medium\",\"kind\":\"daily\","
     "\"above\":80,\"days\":0,\"statistic\":\"median\"}"},
    {"above", "651",
     "{\"id\":\"x\",\"parameter\":\"body-weight\",\"unit\":\"kg\",\"priority\":\"medium\",\"kind\":\"daily\","
     "\"above\":651,\"statistic\":\"mean\"}"},
    {"min_readings", "0",
     "{\"id\":\"x\",\"parameter\":\"body-weight\",\"unit\":\"kg\",\"priority\":\"medium\",\"kind\":\"daily\","
     "\"above\":80,\"statistic\":\"mean\",\"min_readings\":0}"},
    {"missing", "\"ignore\"",
     "{\"id\":\"x\",\"parameter\":\"body-weight\",\"unit\":\"kg\",\"priority\":\"medium\",\"kind\":\"daily\","
     "\"above\":80,\"statistic\":\"mean\",\"missing\":\"ignore\"}"},
    {"grace", "\"8d\"",
     "{\"id\":\"x\",\"parameter\":\"body-weight\",\"unit\":\"kg\",\"priority\":\"medium\",\"kind\":\"daily\","
     "\"above\":80,\"statistic\":\"mean\",\"grace\":\"8d\"}"},
    {"day_start", "\"25:00\"",
     "{\"id\":\"x\",\"parameter\":\"body-weight\",\"unit\":\"kg\",\"priority\":\"medium\",\"kind\":\"daily\","
     "\"above\":80,\"statistic\":\"mean\",\"day_start\":\"25:00\"}"},
    {"unit", "[degF]",
     "{\"id\":\"x\",\"parameter\":\"body-temperature\",\"unit\":\"[degF]\",\"priority\":\"medium\",\"kind\":"
     "\"daily\",\"above\":100,\"statistic\":\"sum\"}"},
    /* variation and baseline */
    {"rise", "nothing",
     "{\"id\":\"x\",\"parameter\":\"ventilation-use\",\"unit\":\"h\",\"priority\":\"low\",\"kind\":"
     "\"variation\",\"statistic\":\"sum\"}"},
    {"min_readings", "0",
     "{\"id\":\"x\",\"parameter\":\"ventilation-use\",\"unit\":\"h\",\"priority\":\"low\",\"kind\":"
     "\"variation\",\"statistic\":\"sum\",\"fall\":2,\"min_readings\":0}"},
    {"minimum", "\"1\"",
     "{\"id\":\"x\",\"parameter\":\"ventilation-use\",\"unit\":\"h\",\"priority\":\"low\",\"kind\":"
     "\"variation\",\"statistic\":\"sum\",\"fall\":2,\"minimum\":\"1\"}"},
    {"over", "nothing",
     "{\"id\":\"x\",\"parameter\":\"ventilation-use\",\"unit\":\"h\",\"priority\":\"low\",\"kind\":"
     "\"baseline\",\"statistic\":\"sum\",\"fall\":2,\"min_days\":3}"},
    {"over", "91",
     "{\"id\":\"x\",\"parameter\":\"ventilation-use\",\"unit\":\"h\",\"priority\":\"low\",\"kind\":"
     "\"baseline\",\"statistic\":\"sum\",\"fall\":2,\"over\":91,\"min_days\":3}"},
    {"min_days", "nothing",
     "{\"id\":\"x\",\"parameter\":\"ventilation-use\",\"unit\":\"h\",\"priority\":\"low\",\"kind\":"
     "\"baseline\",\"statistic\":\"sum\",\"fall\":2,\"over\":14}"},
    {"min_days", "15",
     "{\"id\":\"x\",\"parameter\":\"ventilation-use\",\"unit\":\"h\",\"priority\":\"low\",\"kind\":"
     "\"baseline\",\"statistic\":\"sum\",\"fall\":2,\"over\":14,\"min_days\":15}"},
    {"days", "0",
     "{\"id\":\"x\",\"parameter\":\"ventilation-use\",\"unit\":\"h\",\"priority\":\"low\",\"kind\":"
     "\"baseline\",\"statistic\":\"sum\",\"fall\":2,\"over\":14,\"min_days\":7,\"days\":0}"},
    {"fall", "0.0000001",
     "{\"id\":\"x\",\"parameter\":\"ventilation-use\",\"unit\":\"h\",\"priority\":\"low\",\"kind\":"
     "\"baseline\",\"statistic\":\"sum\",\"fall\":0.0000001,\"over\":14,\"min_days\":7}"},
    /* event */
    {"classes", "nothing", "{\"id\":\"x\",\"kind\":\"event\",\"line\":\"l\"}"},
    {"classes", "{}", "{\"id\":\"x\",\"kind\":\"event\",\"classes\":{}}"},
    {"classes", "[]", "{\"id\":\"x\",\"kind\":\"event\",\"classes\":[]}"},
    {"classes", "no \"*\"", "{\"id\":\"x\",\"kind\":\"event\",\"classes\":{\"VT\":\"high\"}}"},
    {"classes.VT", "\"urgent\"",
     "{\"id\":\"x\",\"kind\":\"event\",\"classes\":{\"VT\":\"urgent\",\"*\":\"low\"}}"},
    {"classes", "", "{\"id\":\"x\",\"kind\":\"event\",\"classes\":{\"\":\"high\",\"*\":\"low\"}}"},
    {"priority", "a key of other kinds",
     "{\"id\":\"x\",\"kind\":\"event\",\"classes\":{\"*\":\"low\"},\"priority\":\"low\"}"},
};

static void test_refusals(void)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct rule *rule = NULL;
        struct rule_fault fault = {.key = ""};
        json_t *json = load(refusals[i].json);
        enum err error = rule_parse(json, &bounds, &rule, &fault);
        if (error != ERR_REFUSED || strcmp(fault.key, refusals[i].key) != 0 ||
            strcmp(fault.found, refusals[i].found) != 0)
            fprintf(stderr, "\n  %s\n  key %s, found %s, expected %s\n", refusals[i].json, fault.key,
                    fault.found, fault.expected);
        CU_ASSERT_EQUAL(error, ERR_REFUSED);
        CU_ASSERT_STRING_EQUAL(fault.key, refusals[i].key);
        CU_ASSERT_STRING_EQUAL(fault.found, refusals[i].found);
        CU_ASSERT_NOT_EQUAL(fault.expected[0], '\0');
        CU_ASSERT_PTR_NULL(rule);
        json_decref(json);
    }
    struct rule_fault fault;
    struct rule *rule = NULL;
    CU_ASSERT_EQUAL(rule_parse(NULL, &bounds, &rule, &fault), ERR_REFUSED);
}

/* What lies just inside the bounds of the refusals above loads. */
static void test_edges(void)
{
    static const char *const texts[] = {
        LIMIT(LOW("low", "0"), ""),
        LIMIT(HIGH("low", "100"), ""),
        LIMIT(LOW("low", "90") "," LOW("high", "90"), ""),
        LIMIT(LOW("low", "90"), ",\"hysteresis\":10"),
        LIMIT(LOW("low", "90.1234560"), ",\"count\":2.0"),
        LIMIT(LOW("low", "90"), ",\"for\":\"0s\""),
        LIMIT(LOW("low", "90"), ",\"max_gap\":\"16d\",\"for\":\"16d\""),
        CHANGE(",\"rise\":649.8,\"within\":\"35d\""),
        CHANGE(",\"rise\":0.000001,\"within\":\"1ms\""),
        CHANGE(",\"rise\":2,\"fall_percent\":3,\"within\":\"1d\""),
        SILENCE(",\"max_gap\":\"31d\",\"missed_days\":31"),
        SILENCE(",\"missed_days\":1,\"day_start\":\"23:59\",\"grace\":\"0s\""),
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        rule_free(parse(texts[i]));
}

static void check_pair(const char *a_text, const char *b_text, bool same, const char *may_not)
{
    struct rule *a = parse(a_text), *b = parse(b_text);
    struct rule_fault fault = {.key = ""};
    CU_ASSERT_EQUAL(rule_same_but_words(a, b), same);
    CU_ASSERT_EQUAL(rule_may_follow(a, b, &fault), may_not == NULL);
    CU_ASSERT_STRING_EQUAL(fault.key, may_not == NULL ? "" : may_not);
    rule_free(a);
    rule_free(b);
}

static void test_versions(void)
{
    const char *base = CHANGE(",\"rise\":2,\"within\":\"84h\"");
    check_pair(
        base,
        CHANGE(",\"rise\":2.0,\"within\":\"84h\",\"text\":{\"en\":\"x\"},\"tag\":\"y\",\"source\":\"z\""),
        true, NULL);
    check_pair(base, CHANGE(",\"rise\":2.1,\"within\":\"84h\""), false, NULL);
    check_pair(base, CHANGE(",\"rise\":2,\"within\":\"85h\""), false, NULL);
    check_pair(base, CHANGE(",\"rise\":2,\"within\":\"84h\",\"count\":2"), false, NULL);
    check_pair(base, CHANGE(",\"rise\":2,\"within\":\"84h\",\"enabled\":false"), false, NULL);
    check_pair(base, CHANGE(",\"rise_percent\":2,\"within\":\"84h\""), false, NULL);
    check_pair(base, CHANGE(",\"fall\":2,\"within\":\"84h\""), false, "side");
    check_pair(base, CHANGE(",\"rise\":2,\"fall\":2,\"within\":\"84h\""), false, "side");
    check_pair(base, LIMIT(LOW("low", "90"), ""), false, "kind");
    check_pair(base, "{\"id\":\"x\",\"inherit\":true}", false, NULL);
    check_pair("{\"id\":\"x\",\"inherit\":true}", "{\"id\":\"x\",\"inherit\":true}", true, NULL);
    check_pair(base,
               "{\"id\":\"x\",\"kind\":\"change\",\"parameter\":\"body-height\",\"unit\":\"cm\",\"priority\":"
               "\"low\","
               "\"rise\":2,\"within\":\"84h\"}",
               false, "parameter");
    check_pair(LIMIT(LOW("low", "90"), ""), LIMIT(LOW("low", "90") "," LOW("high", "85"), ""), false, NULL);
    check_pair(LIMIT(LOW("low", "90"), ""), LIMIT(LOW("low", "90") "," HIGH("low", "99"), ""), false, "side");
    check_pair(LIMIT(LOW("low", "90"), ""), LIMIT(LOW("medium", "90"), ""), false, NULL);
    check_pair(SILENCE(",\"missed_days\":2"), SILENCE(",\"missed_days\":2"), true, NULL);
    check_pair(SILENCE(",\"missed_days\":2"), SILENCE(",\"missed_days\":3"), false, NULL);
    check_pair(SILENCE(",\"missed_days\":2"), SILENCE(",\"missed_days\":2,\"day_start\":\"12:00\""), false,
               "day_start");
}

SUITE(rule) = {
    {"names of classes as JSON writes them", test_event_names},
    {"JSON keeps its numbers", test_exact_json},
    {"what is no JSON", test_exact_json_refusals},
    {"limit", test_limit},
    {"change", test_change},
    {"silence", test_silence},
    {"occurrences", test_occurrences},
    {"reference and rate", test_reference_and_rate},
    {"daily, variation, baseline", test_days},
    {"event", test_event},
    {"statistic, day_start and side stay", test_days_follow},
    {"inherit", test_inherit},
    {"every refusal", test_refusals},
    {"just inside", test_edges},
    {"versions", test_versions},
    {NULL, NULL},
};
