/* engine_limit: the kind `limit`, RULES.md section 3.1. */
#include <stdlib.h>

#include "tests/unit/engine_fixture.h"

static struct fixture fixture, *const f = &fixture;

#define HR(levels, more)                                                                                     \
    "{'id':'t.hr','parameter':'heart-rate','unit':'/min','kind':'limit','levels':[" levels "]" more          \
    ",'text':{'fr':'f','en':'e'}}"
#define HIGH_100 "{'priority':'high','above':100}"

static void begin(const char *rule)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(fixture_rule(f, 0, 0, rule), OK);
}

static void test_strict(void)
{
    begin(HR("{'priority':'high','above':180}", ""));
    OFFER("heart-rate", "180", 1);
    TRACE_IS("");
    OFFER("heart-rate", "180.000001", 2);
    TRACE_IS("raised high 2");
    OFFER("heart-rate", "180", 3);
    TRACE_IS("cleared high 3");
    fixture_close(f);
}

static void test_strict_below(void)
{
    begin(HR("{'priority':'high','below':50}", ""));
    OFFER("heart-rate", "50", 1);
    TRACE_IS("");
    OFFER("heart-rate", "49.999999", 2);
    TRACE_IS("raised high 2");
    fixture_close(f);
}

static void test_hysteresis(void)
{
    begin(HR(HIGH_100, ",'hysteresis':5"));
    OFFER("heart-rate", "101", 1);
    OFFER("heart-rate", "95.000001", 2);
    TRACE_IS("raised high 1");
    OFFER("heart-rate", "95", 3);
    TRACE_IS("cleared high 3");
    fixture_close(f);
}

static void test_count(void)
{
    begin(HR(HIGH_100, ",'count':3"));
    OFFER("heart-rate", "101", 1);
    OFFER("heart-rate", "101", 2);
    OFFER("heart-rate", "99", 3);
    OFFER("heart-rate", "101", 4);
    OFFER("heart-rate", "101", 5);
    TRACE_IS("");
    OFFER("heart-rate", "101", 6);
    TRACE_IS("raised high 6");
    fixture_close(f);
}

static void test_for(void)
{
    begin(HR(HIGH_100, ",'for':'10m','max_gap':'6m'"));
    OFFER("heart-rate", "101", 1);
    OFFER("heart-rate", "101", 6);
    OFFER("heart-rate", "101", 10.5);
    TRACE_IS("");
    OFFER("heart-rate", "101", 11);
    TRACE_IS("raised high 11");
    fixture_close(f);
}

/* One old reading never satisfies `for` by itself, however late it arrives (PITFALLS X1). */
static void test_for_late_alone(void)
{
    begin(HR(HIGH_100, ",'for':'10m','max_gap':'1h'"));
    fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = "101", .at = 1, .received = 300});
    TRACE_IS("");
    fixture_close(f);
}

static void test_max_gap_restarts_runs(void)
{
    begin(HR(HIGH_100, ",'count':2,'max_gap':'5m','clear_count':2"));
    OFFER("heart-rate", "101", 1);
    OFFER("heart-rate", "101", 6.1); /* the run restarts with this one */
    TRACE_IS("");
    OFFER("heart-rate", "101", 11.1); /* exactly max_gap goes on */
    TRACE_IS("raised high 11.1");
    OFFER("heart-rate", "90", 12);
    OFFER("heart-rate", "90", 30); /* the clearing run restarts too, the level stays */
    TRACE_IS("");
    OFFER("heart-rate", "90", 31);
    TRACE_IS("cleared high 31");
    fixture_close(f);
}

static void test_levels(void)
{
    begin(
        HR("{'priority':'low','above':90},{'priority':'medium','above':100},{'priority':'high','above':110}",
           ""));
    OFFER("heart-rate", "95", 1);
    OFFER("heart-rate", "115", 2);
    OFFER("heart-rate", "105", 3);
    OFFER("heart-rate", "80", 4);
    TRACE_IS("raised low 1 | escalated high 2 | deescalated medium 3 | cleared medium 4");
    EPISODES_ARE("t.hr high 1-4 cleared low@1 high@2 medium@3");
    fixture_close(f);
}

static void test_clear_count_by_level(void)
{
    begin(HR("{'priority':'low','above':90},{'priority':'high','above':110}", ",'clear_count':2"));
    OFFER("heart-rate", "115", 1);
    OFFER("heart-rate", "95", 2);
    TRACE_IS("raised high 1");
    OFFER("heart-rate", "85", 3); /* inside high twice, inside low once */
    TRACE_IS("deescalated low 3");
    OFFER("heart-rate", "85", 4);
    TRACE_IS("cleared low 4");
    fixture_close(f);
}

static void test_sides_are_two_rules(void)
{
    begin("{'id':'t.g','parameter':'glucose-blood','unit':'mg/dL','kind':'limit','levels':["
          "{'priority':'medium','above':250},{'priority':'high','below':54}],'text':{'fr':'f','en':'e'}}");
    OFFER("glucose-blood", "300", 1);
    OFFER("glucose-blood", "50", 2);
    OFFER("glucose-blood", "49", 3);
    OFFER("glucose-blood", "100", 4);
    EPISODES_ARE("t.g high 1-2 cleared medium@1 | t.g low 2-4 cleared high@2");
    fixture_close(f);
}

/* LO and HI of a glucose meter are the end of its range: no limit is far enough out. */
static void test_comparator_at_end_of_range(void)
{
    begin("{'id':'t.g','parameter':'glucose-blood','unit':'mg/dL','kind':'limit','levels':["
          "{'priority':'high','below':30},{'priority':'medium','above':250}],'text':{'fr':'f','en':'e'}}");
    OFFER("glucose-blood", "<40", 1);
    TRACE_IS("raised high 1");
    OFFER("glucose-blood", ">200", 2); /* inside of low, breaches any above */
    EPISODES_ARE("t.g high 2--1 open medium@2 | t.g low 1-2 cleared high@1");
    fixture_close(f);
}

static void test_comparator_of_spot(void)
{
    begin("{'id':'t.k','parameter':'potassium','unit':'mmol/L','kind':'limit','clear_count':1,'levels':["
          "{'priority':'high','below':3}],'text':{'fr':'f','en':'e'}}");
    OFFER("potassium", "<3", 1); /* x <= L */
    TRACE_IS("raised high 1");
    OFFER("potassium", "<4", 2); /* neither a breach nor inside */
    TRACE_IS("");
    OFFER("potassium", ">1", 3); /* on the other side it is inside */
    TRACE_IS("cleared high 3");
    OFFER("potassium", "<3.5", 4);
    TRACE_IS("");
    fixture_close(f);
}

static void test_comparator_ends_run(void)
{
    begin("{'id':'t.k','parameter':'potassium','unit':'mmol/L','kind':'limit','count':2,'levels':["
          "{'priority':'high','below':3}],'text':{'fr':'f','en':'e'}}");
    OFFER("potassium", "2", 1);
    OFFER("potassium", "<4", 2);
    OFFER("potassium", "2", 3);
    TRACE_IS("");
    OFFER("potassium", "2", 4);
    TRACE_IS("raised high 4");
    fixture_close(f);
}

/* Same key, two values: one instant that breaches if any does, is inside if all are, counts once. */
static void test_same_instant(void)
{
    begin(HR(HIGH_100, ",'count':2"));
    OFFER("heart-rate", "101", 1);
    CU_ASSERT_EQUAL(OFFER("heart-rate", "102", 1), VERDICT_ACCEPTED);
    CU_ASSERT_TRUE(f->flags & FLAG_SAME_INSTANT);
    TRACE_IS("");
    OFFER("heart-rate", "90", 2);
    fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = "120", .at = 2, .received = 2});
    TRACE_IS("raised high 2");
    OFFER("heart-rate", "90", 3);
    TRACE_IS("cleared high 3");
    fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = "101", .at = 3, .received = 4});
    EPISODES_ARE("t.hr high 2--1 open high@2"); /* not inside: not cleared after all */
    fixture_close(f);
}

static void test_two_devices_are_two_instants(void)
{
    begin(HR(HIGH_100, ",'count':2"));
    OFFER("heart-rate", "101", 1);
    fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = "101", .at = 1, .device = "E"});
    TRACE_IS("raised high 1");
    fixture_close(f);
}

static void test_event_fields(void)
{
    begin(HR(HIGH_100, ",'count':2"));
    OFFER("heart-rate", "101", 1);
    OFFER("heart-rate", "102.5", 2);
    const json_t *event = fixture_last(f, "raised"), *rule = json_object_get(event, "rule");
    CU_ASSERT_STRING_EQUAL(event_text(event, "class"), "clinical");
    CU_ASSERT_STRING_EQUAL(event_text(event, "side"), "high");
    CU_ASSERT_STRING_EQUAL(event_text(event, "patient"), "P-1");
    CU_ASSERT_STRING_EQUAL(event_text(event, "organization"), "O");
    CU_ASSERT_STRING_EQUAL(event_text(event, "line"), "test");
    CU_ASSERT_STRING_EQUAL(event_text(event, "state"), "open");
    CU_ASSERT_STRING_EQUAL(event_text(rule, "layer"), "patient");
    CU_ASSERT_STRING_EQUAL(event_text(rule, "kind"), "limit");
    CU_ASSERT_STRING_EQUAL(event_text(rule, "in_force_from"), fixture_time(0));
    CU_ASSERT_STRING_EQUAL(event_text(json_object_get(event, "parameter"), "loinc"), "8867-4");
    CU_ASSERT_STRING_EQUAL(event_text(event, "measured_at"), fixture_time(2));
    CU_ASSERT_STRING_EQUAL(event_text(event, "received_at"), fixture_time(2));
    CU_ASSERT_STRING_EQUAL(event_text(event, "decided_at"), fixture_time(2));
    CU_ASSERT_EQUAL(json_number_value(json_object_get(event, "value")), 102.5);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(event, "readings")), 2);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(event, "readings_total")), 2);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(event, "readings_in_breach")), 2);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(event, "sequence")), 1);
    CU_ASSERT_TRUE(json_is_null(json_object_get(event, "cleared_at")));
    CU_ASSERT_TRUE(json_is_null(json_object_get(event, "into")));
    CU_ASSERT_PTR_NULL(json_object_get(event, "test"));
    const struct alert_event *head = &f->heads[f->count - 1];
    CU_ASSERT_EQUAL(head->patient_id, 17);
    CU_ASSERT_EQUAL(head->key_size, 3);
    fixture_close(f);
}

/* At most 32 readings, first and last kept, with their total. */
static void test_evidence_is_bounded(void)
{
    begin(HR(HIGH_100, ",'count':100"));
    for (int i = 1; i <= 100; i++)
        OFFER("heart-rate", "101", i);
    const json_t *event = fixture_last(f, "raised"), *readings = json_object_get(event, "readings");
    CU_ASSERT_EQUAL(json_array_size(readings), 32);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(event, "readings_total")), 100);
    CU_ASSERT_STRING_EQUAL(event_text(json_array_get(readings, 0), "measured_at"), fixture_time(1));
    CU_ASSERT_STRING_EQUAL(event_text(json_array_get(readings, 1), "measured_at"), fixture_time(70));
    CU_ASSERT_STRING_EQUAL(event_text(json_array_get(readings, 31), "measured_at"), fixture_time(100));
    fixture_close(f);
}

/* While an episode is open further breaches raise nothing; they are counted. */
static void test_breaches_are_counted(void)
{
    begin(HR(HIGH_100, ""));
    for (int i = 1; i <= 5; i++)
        OFFER("heart-rate", "101", i);
    TRACE_IS("raised high 1");
    OFFER("heart-rate", "90", 6);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(fixture_last(f, "cleared"), "readings_in_breach")), 5);
    fixture_close(f);
}

SUITE(engine_limit) = {
    {"comparisons are strict", test_strict},
    {"comparisons are strict below", test_strict_below},
    {"hysteresis", test_hysteresis},
    {"count", test_count},
    {"for is a distance of measured times", test_for},
    {"one late reading never satisfies for", test_for_late_alone},
    {"max_gap restarts runs, the level stays", test_max_gap_restarts_runs},
    {"levels up and down", test_levels},
    {"clear_count for each level", test_clear_count_by_level},
    {"sides are two rules", test_sides_are_two_rules},
    {"comparator at the end of the range", test_comparator_at_end_of_range},
    {"comparator of a spot parameter", test_comparator_of_spot},
    {"a comparator that is neither ends a run", test_comparator_ends_run},
    {"one instant of several values", test_same_instant},
    {"two devices are two instants", test_two_devices_are_two_instants},
    {"fields of an event", test_event_fields},
    {"evidence is bounded", test_evidence_is_bounded},
    {"breaches are counted", test_breaches_are_counted},
    {NULL, NULL},
};
