/* engine_change: the kind `change`, RULES.md section 3. */
#include <stdio.h>

#include "tests/unit/engine_fixture.h"

static struct fixture fixture, *const f = &fixture;

#define KG(more)                                                                                             \
    "{'id':'t.kg','parameter':'body-weight','unit':'kg','kind':'change'," more                               \
    ",'priority':'medium','text':{'fr':'f','en':'e'}}"

static void begin(const char *rule)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(fixture_rule(f, 0, 0, rule), OK);
}

/* Beyond its limit by more than one millionth: each value is off by at most half of one. */
static void test_one_millionth(void)
{
    begin(KG("'rise':2.0,'within':'84h'"));
    OFFER("body-weight", "70", 1);
    OFFER("body-weight", "72", 2);
    OFFER("body-weight", "72.000001", 3);
    TRACE_IS("");
    OFFER("body-weight", "72.000002", 4);
    TRACE_IS("raised medium 4");
    fixture_close(f);
}

/* 1,700 pairs that differ by exactly 2.0 kg: in doubles 12 of them come out above 2. */
static void test_exact_pairs(void)
{
    int above_in_doubles = 0;
    begin(KG("'rise':2.0,'within':'1h'"));
    for (int i = 0; i < 1700; i++) {
        char low[16], high[16];
        double minute = 10 + i * 120.0;
        snprintf(low, sizeof low, "%d.%d", 30 + i / 10, i % 10);
        snprintf(high, sizeof high, "%d.%d", 32 + i / 10, i % 10);
        double a, b;
        CU_ASSERT_EQUAL_FATAL(sscanf(low, "%lf", &a) + sscanf(high, "%lf", &b), 2);
        above_in_doubles += b - a > 2.0;
        OFFER("body-weight", low, minute);
        OFFER("body-weight", high, minute + 30);
    }
    CU_ASSERT_TRUE(above_in_doubles > 0); /* the trap is there */
    CU_ASSERT_PTR_NULL(fixture_last(f, "raised"));
    fixture_close(f);
}

static void test_window_edges(void)
{
    begin(KG("'rise':2.0,'within':'60m'"));
    OFFER("body-weight", "70", 0.5);
    OFFER("body-weight", "73", 60.6); /* 60.1 minutes later: W is empty, not judged */
    TRACE_IS("");
    OFFER("body-weight", "70", 200);
    OFFER("body-weight", "73", 260); /* exactly D: inside */
    TRACE_IS("raised medium 260");
    fixture_close(f);
}

/* Not judged: neither clears nor counts. */
static void test_empty_window_keeps_state(void)
{
    begin(KG("'rise':2.0,'within':'60m','clear_count':2"));
    OFFER("body-weight", "70", 1);
    OFFER("body-weight", "73", 2);
    OFFER("body-weight", "72", 3);
    OFFER("body-weight", "70", 500); /* alone */
    TRACE_IS("raised medium 2");
    OFFER("body-weight", "70", 501);
    TRACE_IS("cleared medium 501");
    fixture_close(f);
}

static void test_ties_are_excluded(void)
{
    begin(KG("'rise':2.0,'within':'60m'"));
    OFFER("body-weight", "70", 5);
    fixture_offer(f, (struct offer){.parameter = "body-weight", .value = "75", .at = 5, .device = "E"});
    TRACE_IS("");
    fixture_offer(f, (struct offer){.parameter = "body-weight", .value = "72.5", .at = 6, .device = "E"});
    TRACE_IS("raised medium 6"); /* both of minute 5 are in its window */
    fixture_close(f);
}

static void test_fall_and_rise(void)
{
    begin(KG("'rise':2.0,'fall':3.0,'within':'10h'"));
    OFFER("body-weight", "70", 1);
    OFFER("body-weight", "66", 2);
    OFFER("body-weight", "69", 3); /* rise of 3, fall of 1 */
    EPISODES_ARE("t.kg high 3--1 open medium@3 | t.kg low 2-3 cleared medium@2");
    fixture_close(f);
}

static void test_count_and_evidence(void)
{
    begin(KG("'rise':2.0,'within':'10h','count':2"));
    OFFER("body-weight", "70", 1);
    OFFER("body-weight", "70", 2);
    OFFER("body-weight", "73", 3);
    TRACE_IS("");
    OFFER("body-weight", "73.5", 4);
    TRACE_IS("raised medium 4");
    const json_t *readings = json_object_get(fixture_last(f, "raised"), "readings");
    CU_ASSERT_EQUAL(json_array_size(readings), 2); /* the extreme, latest of equals, and r */
    CU_ASSERT_STRING_EQUAL(event_text(json_array_get(readings, 0), "measured_at"), fixture_time(2));
    CU_ASSERT_STRING_EQUAL(event_text(json_array_get(readings, 1), "measured_at"), fixture_time(4));
    CU_ASSERT_EQUAL(json_number_value(json_object_get(fixture_last(f, "raised"), "value")), 73.5);
    fixture_close(f);
}

static void test_percent(void)
{
    begin("{'id':'t.fev','parameter':'fev1','unit':'L','kind':'change','fall_percent':20,'within':'10d',"
          "'priority':'high','text':{'fr':'f','en':'e'}}");
    OFFER("fev1", "2.5", 1);
    OFFER("fev1", "2", 2); /* exactly 20 % */
    TRACE_IS("");
    OFFER("fev1", "1.999999", 3);
    TRACE_IS("raised high 3");
    fixture_close(f);
}

static void test_percent_of_zero(void)
{
    begin(
        "{'id':'t.st','parameter':'steps','unit':'{steps}','kind':'change','rise_percent':10,'within':'10d',"
        "'priority':'low','text':{'fr':'f','en':'e'}}");
    OFFER("steps", "0", 1);
    OFFER("steps", "100", 2);
    TRACE_IS("");
    fixture_close(f);
}

static void test_comparators_are_left_out(void)
{
    begin("{'id':'t.k','parameter':'potassium','unit':'mmol/L','kind':'change','rise':1,'within':'10d',"
          "'priority':'low','text':{'fr':'f','en':'e'}}");
    OFFER("potassium", "<2", 1);
    OFFER("potassium", "4", 2); /* an empty window */
    OFFER("potassium", ">8", 3);
    TRACE_IS("");
    OFFER("potassium", "5.1", 4);
    TRACE_IS("raised low 4");
    fixture_close(f);
}

/* As r any of the values of an instant breaches; in windows it has one: the first in series order. */
static void test_same_instant(void)
{
    begin(KG("'rise':2.0,'within':'10h'"));
    OFFER("body-weight", "70", 1);
    OFFER("body-weight", "71", 2);
    fixture_offer(f, (struct offer){.parameter = "body-weight", .value = "72.5", .at = 2});
    TRACE_IS("raised medium 2");
    OFFER("body-weight", "71", 3);
    TRACE_IS("cleared medium 3");
    fixture_close(f);
}

/* Older data that fill a window are judged again; a longer window of a later version looks at all that is
 * held. */
static void test_longer_window_of_a_later_version(void)
{
    begin(KG("'rise':2.0,'within':'60m'"));
    OFFER("body-weight", "70", 1);
    OFFER("body-weight", "71.5", 100);
    CU_ASSERT_EQUAL(fixture_rule(f, 110, 110, KG("'rise':2.0,'within':'10h'")), OK);
    OFFER("body-weight", "72.5", 120);
    TRACE_IS("raised medium 120");
    fixture_close(f);
}

SUITE(engine_change) = {
    {"more than one millionth beyond", test_one_millionth},
    {"pairs that differ by exactly the limit", test_exact_pairs},
    {"edges of the window", test_window_edges},
    {"an empty window keeps the state", test_empty_window_keeps_state},
    {"ties with t are excluded", test_ties_are_excluded},
    {"fall and rise", test_fall_and_rise},
    {"count, and what it rests on", test_count_and_evidence},
    {"percent is strict", test_percent},
    {"percent of zero is not compared", test_percent_of_zero},
    {"comparators are left out", test_comparators_are_left_out},
    {"one instant of several values", test_same_instant},
    {"a longer window of a later version", test_longer_window_of_a_later_version},
    {NULL, NULL},
};
