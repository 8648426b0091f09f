/* rule_act: what makes another act of a rule, kind by kind and key by key (RULES.md section 2): one changed
 * number needs another confirmation, other words do not; and what may never change under one id. */
#include <stdlib.h>
#include <string.h>

#include "alerting/exact_json.h"
#include "alerting/rule_fields.h"
#include "daemon/base/slab.h"
#include "tests/unit/unit.h"

static const struct rule_bounds bounds = {35LL * 86400000, 16LL * 86400000};

/* Single quotes stand for double ones. */
static json_t *load(const char *text)
{
    char copy[1024], why[160];
    json_t *json = NULL;
    size_t size = strlen(text);
    CU_ASSERT_FATAL(size < sizeof copy);
    for (size_t i = 0; i <= size; i++)
        copy[i] = (char)(text[i] == '\'' ? '"' : text[i]);
    CU_ASSERT_EQUAL_FATAL(exact_json_load(copy, size, &json, why, sizeof why), OK);
    return json;
}

/* The rule with the keys of `change` in the place of its own; null takes a key away. */
static json_t *changed(const char *base, const char *change)
{
    json_t *json = load(base), *changes = load(change), *value;
    const char *key;
    json_object_foreach(changes, key, value)
    {
        if (json_is_null(value))
            json_object_del(json, key);
        else
            json_object_set(json, key, value);
    }
    json_decref(changes);
    return json;
}

static struct rule *parse(const char *base, const char *change)
{
    struct rule_fault fault = {.key = ""};
    struct rule *rule = NULL;
    json_t *json = changed(base, change);
    enum err error = rule_parse(json, &bounds, &rule, &fault);
    if (error != OK)
        fprintf(stderr, "\n  %s with %s: %s, found %s, expected %s\n", base, change, fault.key, fault.found,
                fault.expected);
    CU_ASSERT_EQUAL_FATAL(error, OK);
    json_decref(json);
    return rule;
}

#define LIMIT                                                                                                \
    "{'id':'x','kind':'limit','parameter':'spo2','unit':'%','levels':[{'priority':'low','below':90}],"       \
    "'hysteresis':1,'for':'10m','max_gap':'1h'}"
#define OCCURRENCES                                                                                          \
    "{'id':'x','kind':'occurrences','parameter':'glucose-blood','unit':'mg/dL','below':54,'times':3,"        \
    "'within':'24h','priority':'high'}"
#define CHANGE                                                                                               \
    "{'id':'x','kind':'change','parameter':'body-weight','unit':'kg','rise':2,'within':'84h',"               \
    "'priority':'low'}"
#define REFERENCE                                                                                            \
    "{'id':'x','kind':'reference','parameter':'body-weight','unit':'kg','rise':2,'priority':'low'}"
#define RATE                                                                                                 \
    "{'id':'x','kind':'rate','parameter':'glucose-blood','unit':'mg/dL','fall_per':3,'within':'30m',"        \
    "'priority':'high'}"
#define DAILY                                                                                                \
    "{'id':'x','kind':'daily','parameter':'ventilation-use','unit':'h','statistic':'sum','below':4,"         \
    "'priority':'low'}"
#define VARIATION                                                                                            \
    "{'id':'x','kind':'variation','parameter':'ventilation-use','unit':'h','statistic':'sum','fall':2,"      \
    "'priority':'low'}"
#define BASELINE                                                                                             \
    "{'id':'x','kind':'baseline','parameter':'ventilation-use','unit':'h','statistic':'sum',"                \
    "'fall_percent':30,'over':7,'min_days':4,'priority':'low'}"
#define SILENCE                                                                                              \
    "{'id':'x','kind':'silence','missed_days':2,'parameters':['body-weight','heart-rate'],"                  \
    "'priority':'low'}"
#define EVENT "{'id':'x','kind':'event','classes':{'red':'high','yellow':'medium','*':'low'}}"

/* may_not: the key under which the next version is refused; "": it may follow. */
static const struct {
    const char *base, *change, *may_not;
} changes[] = {
    {LIMIT, "{'levels':[{'priority':'low','below':91}]}", ""},
    {LIMIT, "{'levels':[{'priority':'high','below':90}]}", ""},
    {LIMIT, "{'levels':[{'priority':'low','below':90},{'priority':'high','below':85}]}", ""},
    {LIMIT, "{'levels':[{'priority':'low','below':90,'above':99}]}", "side"},
    {LIMIT, "{'levels':[{'priority':'low','above':90}]}", "side"},
    {LIMIT, "{'hysteresis':2}", ""},
    {LIMIT, "{'for':'11m'}", ""},
    {LIMIT, "{'max_gap':'2h'}", ""},
    {LIMIT, "{'count':2}", ""},
    {LIMIT, "{'clear_count':2}", ""},
    {LIMIT, "{'enabled':false}", ""},
    {LIMIT, "{'requires_validation':true}", ""},
    {LIMIT, "{'line':'other'}", ""},
    {LIMIT, "{'parameter':'oxygen-flow','unit':'L/min','hysteresis':0}", "parameter"},
    {OCCURRENCES, "{'below':60}", ""},
    {OCCURRENCES, "{'below':null,'above':250}", "side"},
    {OCCURRENCES, "{'above':250}", "side"},
    {OCCURRENCES, "{'rearm':10}", ""},
    {OCCURRENCES, "{'mode':'sample'}", ""},
    {OCCURRENCES, "{'times':2}", ""},
    {OCCURRENCES, "{'within':'12h'}", ""},
    {OCCURRENCES, "{'priority':'medium'}", ""},
    {CHANGE, "{'rise':2.5}", ""},
    {CHANGE, "{'rise':null,'rise_percent':2}", ""},
    {CHANGE, "{'rise':null,'fall':2}", "side"},
    {CHANGE, "{'fall':2}", "side"},
    {CHANGE, "{'within':'85h'}", ""},
    {REFERENCE, "{'rise':3}", ""},
    {REFERENCE, "{'reference':'dry-weight'}", ""},
    {REFERENCE, "{'rise':null,'fall_percent':2}", "side"},
    {RATE, "{'fall_per':2}", ""},
    {RATE, "{'within':'20m'}", ""},
    {RATE, "{'readings':3}", ""},
    {RATE, "{'rise_per':3}", "side"},
    {DAILY, "{'below':3}", ""},
    {DAILY, "{'days':2}", ""},
    {DAILY, "{'missing':'skip'}", ""},
    {DAILY, "{'min_readings':2}", ""},
    {DAILY, "{'grace':'1h'}", ""},
    {DAILY, "{'statistic':'mean'}", "statistic"},
    {DAILY, "{'day_start':'12:00'}", "day_start"},
    {DAILY, "{'below':null,'above':4}", "side"},
    {VARIATION, "{'fall':3}", ""},
    {VARIATION, "{'minimum':4}", ""},
    {VARIATION, "{'minimum':0}", ""},
    {VARIATION, "{'grace':'1h'}", ""},
    {VARIATION, "{'statistic':'max'}", "statistic"},
    {VARIATION, "{'day_start':'12:00'}", "day_start"},
    {VARIATION, "{'fall':null,'rise':2}", "side"},
    {BASELINE, "{'fall_percent':20}", ""},
    {BASELINE, "{'over':8}", ""},
    {BASELINE, "{'min_days':5}", ""},
    {BASELINE, "{'days':2}", ""},
    {BASELINE, "{'min_readings':2}", ""},
    {BASELINE, "{'statistic':'max'}", "statistic"},
    {BASELINE, "{'rise_percent':30}", "side"},
    {SILENCE, "{'missed_days':3}", ""},
    {SILENCE, "{'max_gap':'2d'}", ""},
    {SILENCE, "{'parameters':['body-weight']}", ""},
    {SILENCE, "{'parameters':['body-weight','spo2']}", ""},
    {SILENCE, "{'grace':'1h'}", ""},
    {SILENCE, "{'day_start':'12:00'}", "day_start"},
    {EVENT, "{'classes':{'red':'high','yellow':'medium','*':'medium'}}", ""},
    {EVENT, "{'classes':{'red':'high','*':'low'}}", ""},
    {EVENT, "{'classes':{'red':'high','yellow':'high','*':'low'}}", ""},
    {EVENT, "{'classes':{'red':'high','green':'medium','*':'low'}}", ""},
};

static void test_one_number(void)
{
    CU_ASSERT_EQUAL_FATAL(parameter_init(), OK);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct rule_fault fault = {.key = ""};
        struct rule *old = parse(changes[i].base, "{}"), *next = parse(changes[i].base, changes[i].change);
        bool may = changes[i].may_not[0] == '\0';
        if (rule_same_but_words(old, next) || rule_may_follow(old, next, &fault) != may)
            fprintf(stderr, "\n  %s: %s\n", changes[i].base, changes[i].change);
        CU_ASSERT_FALSE(rule_same_but_words(old, next));
        CU_ASSERT_EQUAL(rule_may_follow(old, next, &fault), may);
        CU_ASSERT_STRING_EQUAL(fault.key, changes[i].may_not);
        rule_free(old);
        rule_free(next);
    }
}

static void test_other_words(void)
{
    static const char *const bases[] = {LIMIT, OCCURRENCES, CHANGE,   REFERENCE, RATE,
                                        DAILY, VARIATION,   BASELINE, SILENCE,   EVENT};
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        struct rule_fault fault = {.key = ""};
        struct rule *old = parse(bases[i], "{}"),
                    *next = parse(bases[i], "{'text':{'fr':'a','en':'b'},'source':'s','tag':'t'}");
        CU_ASSERT_TRUE(rule_same_but_words(old, next));
        CU_ASSERT_TRUE(rule_may_follow(old, next, &fault));
        rule_free(next);
        next = parse(bases[(i + 1) % (sizeof bases / sizeof bases[0])], "{}"); /* of the next kind */
        CU_ASSERT_FALSE(rule_same_but_words(old, next));
        CU_ASSERT_FALSE(rule_may_follow(old, next, &fault));
        CU_ASSERT_STRING_EQUAL(fault.key, "kind");
        rule_free(next);
        next = parse(bases[i], "{'id':'y'}");
        CU_ASSERT_FALSE(rule_same_but_words(old, next));
        rule_free(next);
        rule_free(old);
    }
}

/* ---- JSON at its edges ---- */

static void test_blanks_and_ends(void)
{
    static const char good[] =
        "{\"a\" :\t1\t,\"b\":2\n,\"c\":3\r,\"d\":4 ,\"e\":[null,false,{\"f\":-1.5e-3}]}";
    static const char *const bad[] = {"{\"a\\", "{\"a", "{\"a\":1\t:2}", "{1\n:2}", "{1\r:2}", "[1", "[-"};
    char why[160];
    json_t *json = NULL;
    CU_ASSERT_EQUAL_FATAL(exact_json_load(good, sizeof good - 1, &json, why, sizeof why), OK);
    char *text = exact_json_text(json);
    CU_ASSERT_STRING_EQUAL(text, "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":[null,false,{\"f\":-1.5e-3}]}");
    slab_give(text);
    json_decref(json);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json = NULL;
        CU_ASSERT_EQUAL(exact_json_load(bad[i], strlen(bad[i]), &json, why, sizeof why), ERR_FORMAT);
    }
    CU_ASSERT_EQUAL(exact_json_load("[1\0]", 4, &json, why, sizeof why), ERR_FORMAT);
    CU_ASSERT_EQUAL(exact_json_load("[\"\\", 3, &json, why, sizeof why), ERR_FORMAT);
}

/* ---- more that is refused ---- */

static const struct {
    const char *base, *change, *key;
} refused[] = {
    {LIMIT, "{'count':1e30}", "count"},
    {LIMIT, "{'count':1.0000001}", "count"},
    {LIMIT, "{'enabled':1}", "enabled"},
    {LIMIT, "{'hysteresis':'1'}", "hysteresis"},
    {LIMIT,
     "{'"
     "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
     "\u00e9\u00e9\u00e9\u00e9"
     "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9':1}",
     "\xc3\xa9"}, /* 64 bytes: cut whole */
    {LIMIT, "{'for':'17d','max_gap':'1h'}", "for"},
    {OCCURRENCES, "{'unit':'g/L','below':9e12}", "below"},
    {OCCURRENCES, "{'unit':'g/L','below':9.2e12}", "below"},
    {OCCURRENCES, "{'below':null,'above':5,'rearm':10}", "rearm"},
    {OCCURRENCES, "{'below':1995,'rearm':10}", "rearm"},
    {OCCURRENCES, "{'priority':null}", "priority"},
    {CHANGE, "{'unit':'g','rise':0.000001}", "rise"},
    {CHANGE, "{'rise':null,'rise_percent':2000000000}", "rise_percent"},
    {CHANGE, "{'rise':null,'fall_percent':0.0000001}", "fall_percent"},
    {CHANGE, "{'rise':null,'fall_percent':-1}", "fall_percent"},
    {CHANGE, "{'rise':2000000000}", "rise"},
    {REFERENCE, "{'reference':'a2345678901234567890123456789012345678901234567890123456789012345'}",
     "reference"},
    {REFERENCE, "{'priority':5}", "priority"},
    {DAILY, "{'parameter':'glucose-blood','unit':'g/L','below':9.2e12}", "below"},
    {DAILY, "{'below':1e30}", "below"},
    {DAILY, "{'below':'4'}", "below"},
    {DAILY, "{'statistic':5}", "statistic"},
    {DAILY, "{'day_start':12}", "day_start"},
    {DAILY, "{'day_start':'12:000'}", "day_start"},
    {DAILY, "{'day_start':'12-00'}", "day_start"},
    {DAILY, "{'day_start':'a2:00'}", "day_start"},
    {DAILY, "{'day_start':':2:00'}", "day_start"},
    {DAILY, "{'day_start':'1::00'}", "day_start"},
    {DAILY, "{'day_start':'12::0'}", "day_start"},
    {DAILY, "{'day_start':'12:0:'}", "day_start"},
    {DAILY, "{'day_start':'12:60'}", "day_start"},
    {VARIATION, "{'statistic':'count','fall':0}", "fall"},
    {VARIATION, "{'fall':2000000000}", "fall"},
    {VARIATION, "{'unit':'s','fall':0.000001}", "fall"},
    {VARIATION, "{'minimum':1e30}", "minimum"},
    {BASELINE, "{'min_days':0}", "min_days"},
    {BASELINE, "{'over':0}", "over"},
    {SILENCE, "{'parameters':'body-weight'}", "parameters"},
    {SILENCE, "{'parameters':[5]}", "parameters"},
    {SILENCE, "{'max_gap':5}", "max_gap"},
    {SILENCE, "{'grace':'8d'}", "grace"},
    {EVENT, "{'classes':5}", "classes"},
    {EVENT,
     "{'classes':{'a2345678901234567890123456789012345678901234567890123456789012345':'low','*':'low'}}",
     "classes"},
    {EVENT, "{'classes':{'red':5,'*':'low'}}", "classes.red"},
    {EVENT, "{'classes':null}", "classes"},
};

static void test_refused(void)
{
    CU_ASSERT_EQUAL_FATAL(parameter_init(), OK);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct rule_fault fault = {.key = ""};
        struct rule *rule = NULL;
        json_t *json = changed(refused[i].base, refused[i].change);
        enum err error = rule_parse(json, &bounds, &rule, &fault);
        if (error != ERR_REFUSED || strncmp(fault.key, refused[i].key, strlen(refused[i].key)) != 0)
            fprintf(stderr, "\n  %s: key %s, found %s\n", refused[i].change, fault.key, fault.found);
        CU_ASSERT_EQUAL(error, ERR_REFUSED);
        CU_ASSERT_EQUAL(strncmp(fault.key, refused[i].key, strlen(refused[i].key)), 0);
        CU_ASSERT_NOT_EQUAL(fault.expected[0], '\0');
        json_decref(json);
    }
}

SUITE(rule_act) = {
    {"one number is another act", test_one_number},
    {"other words are not", test_other_words},
    {"more that is refused", test_refused},
    {"JSON at its edges", test_blanks_and_ends},
    {NULL, NULL},
};
