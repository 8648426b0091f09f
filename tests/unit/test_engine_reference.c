/* engine_reference: the kind `reference` and the dated references of a patient, RULES.md section 3. */
#include <stdio.h>
#include <string.h>

#include "alerting/references.h"
#include "tests/unit/engine_fixture.h"

static struct fixture fixture, *const f = &fixture;

#define DRY(more)                                                                                            \
    "{'id':'t.dry','parameter':'body-weight','unit':'kg','kind':'reference','reference':'dry-weight',"       \
    "'text':{'fr':'f','en':'e'}," more "}"
#define RISE3 "'rise':3,'priority':'medium'"

static enum err refer_to(const char *name, double value, double minute, double from)
{
    return fixture_command(f, COMMAND_REFERENCE, minute,
                           "{'patient_id':17,'parameter':'body-weight','name':'%s','value':%g,'unit':'kg',"
                           "'from':'%s','author':'Dr A'}",
                           name, value, fixture_time(from));
}

static void begin(const char *rule)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(fixture_rule(f, 0, 0, rule), OK);
}

#define KG(v, t) OFFER("body-weight", v, t)

/* The dry weight of a dialysis patient: none, not judged; from its date on. */
static void test_dry_weight(void)
{
    begin(DRY(RISE3));
    KG("80", 5);
    TRACE_IS("");
    CU_ASSERT_EQUAL(refer_to("dry-weight", 70, 10, 10), OK);
    KG("73", 20);
    KG("73.000001", 21); /* more than one millionth beyond */
    TRACE_IS("");
    KG("73.000002", 22);
    TRACE_IS("raised medium 22");
    KG("73", 23);
    TRACE_IS("cleared medium 23");
    fixture_close(f);
}

static void test_evidence(void)
{
    begin(DRY(RISE3));
    CU_ASSERT_EQUAL(refer_to("dry-weight", 70.5, 1, 1), OK);
    CU_ASSERT_EQUAL(refer_to("dry-weight", 99, 1, 1000), OK); /* ahead */
    KG("70", 2);
    KG("74", 3);
    const json_t *raised = fixture_last(f, "raised"), *reference = json_object_get(raised, "reference");
    const json_t *readings = json_object_get(raised, "readings");
    CU_ASSERT_STRING_EQUAL(event_text(reference, "name"), "dry-weight");
    CU_ASSERT_STRING_EQUAL(event_text(reference, "author"), "Dr A");
    CU_ASSERT_STRING_EQUAL(event_text(reference, "from"), fixture_time(1));
    CU_ASSERT_EQUAL(json_number_value(json_object_get(reference, "value")), 70.5);
    CU_ASSERT_EQUAL(json_array_size(readings), 1);
    CU_ASSERT_EQUAL(json_number_value(json_object_get(json_array_get(readings, 0), "value")), 74);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(raised, "readings_total")), 1);
    CU_ASSERT_EQUAL(refer_to("dry-weight", 72.5, 5, 5), OK);
    KG("75", 6);
    TRACE_IS("raised medium 3 | cleared medium 6");
    reference = json_object_get(fixture_last(f, "cleared"), "reference");
    CU_ASSERT_EQUAL(json_number_value(json_object_get(reference, "value")), 72.5);
    fixture_close(f);
}

/* By name: another one does not matter. The default name is "reference". */
static void test_names(void)
{
    begin("{'id':'t.r','parameter':'body-weight','unit':'kg','kind':'reference','fall':2,'priority':'low',"
          "'text':{'fr':'f','en':'e'}}");
    CU_ASSERT_EQUAL(refer_to("dry-weight", 90, 1, 1), OK);
    KG("80", 2);
    TRACE_IS("");
    CU_ASSERT_EQUAL(refer_to("reference", 81, 3, 3), OK);
    KG("78", 4);
    TRACE_IS("raised low 4");
    EPISODES_ARE("t.r low 4--1 open low@4");
    fixture_close(f);
}

/* A reference may reach back freely: what it changes is judged again, and is retrospective. */
static void test_reaches_back(void)
{
    begin(DRY(RISE3));
    KG("74", 10);
    KG("71", 20);
    KG("74", 30);
    TRACE_IS("");
    CU_ASSERT_EQUAL(refer_to("dry-weight", 70, 40, -100000), OK);
    TRACE_IS("~raised medium 10 | cleared medium 20 | ~raised medium 30");
    CU_ASSERT_EQUAL(refer_to("dry-weight", 72, 41, 25), OK); /* from 25 on another one */
    TRACE_IS("~cancelled medium 30 (rule-changed)");
    CU_ASSERT_EQUAL(refer_to("dry-weight", 69, 42, 15), OK); /* in force for 20 alone: 71 - 69 */
    TRACE_IS("");
    CU_ASSERT_EQUAL(refer_to("dry-weight", 67, 43, 15), OK); /* the later commit of one date */
    TRACE_IS("~amended medium 30 (rule-changed)");
    EPISODES_ARE("t.dry high 10-30 cleared medium@10");
    fixture_close(f);
}

/* The same again changes nothing; one of the future waits. */
static void test_again_and_ahead(void)
{
    begin(DRY(RISE3));
    CU_ASSERT_EQUAL(refer_to("dry-weight", 70, 1, 1), OK);
    CU_ASSERT_EQUAL(refer_to("dry-weight", 60, 2, 50), OK);
    KG("72", 10);
    int before = f->count;
    CU_ASSERT_EQUAL(refer_to("dry-weight", 70, 11, 1), OK);
    CU_ASSERT_EQUAL(f->count, before);
    TRACE_IS("");
    KG("72", 49.9);
    TRACE_IS("");
    KG("72", 50);
    TRACE_IS("raised medium 50");
    fixture_close(f);
}

static void test_count_and_clear_count(void)
{
    begin(DRY("'rise':3,'fall':5,'count':2,'clear_count':2,'priority':'medium'"));
    CU_ASSERT_EQUAL(refer_to("dry-weight", 70, 1, 1), OK);
    KG("74", 10);
    KG("71", 11);
    KG("74", 12);
    KG(">200", 13); /* not judged: neither counts nor ends a run */
    TRACE_IS("");
    KG("74", 14);
    TRACE_IS("raised medium 14");
    KG("70", 15);
    KG("74", 16);
    KG("70", 17);
    TRACE_IS("");
    KG("<60", 17.5);
    KG("70", 18);
    TRACE_IS("cleared medium 18");
    KG("64.9", 19);
    KG("64", 20);
    EPISODES_ARE("t.dry high 14-18 cleared medium@14 | t.dry low 20--1 open medium@20");
    fixture_close(f);
}

/* The id begins at the first reading of the breaching run: a later correction of the second keeps it. */
static void test_beginning(void)
{
    begin(DRY("'rise':3,'count':2,'priority':'medium'"));
    CU_ASSERT_EQUAL(refer_to("dry-weight", 70, 1, 1), OK);
    KG("74", 10);
    KG("74", 11);
    char id[UUID_TEXT + 1];
    snprintf(id, sizeof id, "%s", event_text(fixture_last(f, "raised"), "episode_id"));
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(fixture_last(f, "raised"), "readings_in_breach")), 2);
    fixture_close(f);
    begin(DRY("'rise':3,'count':1,'priority':'medium'"));
    CU_ASSERT_EQUAL(refer_to("dry-weight", 70, 1, 1), OK);
    KG("74", 10);
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "raised"), "episode_id"), id);
    fixture_close(f);
}

static void test_percent(void)
{
    begin(DRY("'rise_percent':5,'fall_percent':10,'priority':'high'"));
    CU_ASSERT_EQUAL(refer_to("dry-weight", 80, 1, 1), OK);
    KG("84", 10);
    KG("72", 11);
    TRACE_IS("");
    KG("84.000001", 12);
    KG("71.999999", 13);
    EPISODES_ARE("t.dry high 12-13 cleared high@12 | t.dry low 13--1 open high@13");
    fixture_close(f);
}

/* A percent of 0 is not judged: it neither raises nor clears. */
static void test_percent_of_zero(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(fixture_rule(f, 0, 0,
                                 "{'id':'t.st','parameter':'steps','unit':'{steps}','kind':'reference',"
                                 "'rise_percent':10,'priority':'low','text':{'fr':'f','en':'e'}}"),
                    OK);
    const char *steps = "{'patient_id':17,'parameter':'steps','name':'reference','value':%d,'unit':"
                        "'{steps}','from':'%s','author':'A'}";
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_REFERENCE, 1, steps, 100, fixture_time(1)), OK);
    OFFER("steps", "111", 2);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_REFERENCE, 3, steps, 0, fixture_time(3)), OK);
    OFFER("steps", "0", 4);
    OFFER("steps", "500", 5);
    TRACE_IS("raised low 2");
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_REFERENCE, 6, steps, 500, fixture_time(6)), OK);
    OFFER("steps", "500", 7);
    TRACE_IS("cleared low 7");
    fixture_close(f);
}

/* As r any of an instant's values breaches. */
static void test_instant_of_several_values(void)
{
    begin(DRY("'rise':3,'fall':3,'priority':'low'"));
    CU_ASSERT_EQUAL(refer_to("dry-weight", 70, 1, 1), OK);
    struct offer both[] = {{.parameter = "body-weight", .value = "66", .at = 10},
                           {.parameter = "body-weight", .value = "74", .at = 10}};
    fixture_offer_all(f, both, 2, 10);
    EPISODES_ARE("t.dry high 10--1 open low@10 | t.dry low 10--1 open low@10");
    CU_ASSERT_EQUAL(json_number_value(json_object_get(f->events[f->count - 2], "value")), 66);
    CU_ASSERT_EQUAL(json_number_value(json_object_get(f->events[f->count - 1], "value")), 74);
    fixture_close(f);
}

/* ---- one priority across versions: judge.h ---- */

static void version(double minute, const char *more)
{
    char rule[512];
    snprintf(rule, sizeof rule,
             "{'id':'t.dry','parameter':'body-weight','unit':'kg','kind':'reference','reference':"
             "'dry-weight','rise':3,'text':{'fr':'f','en':'e'},%s}",
             more);
    CU_ASSERT_EQUAL(fixture_rule(f, minute, minute, rule), OK);
}

static void begin_version(const char *more)
{
    fixture_open_patient(f);
    version(0, more);
    CU_ASSERT_EQUAL(refer_to("dry-weight", 70, 1, 1), OK);
}

/* Breaches count whatever their priority was; a higher one is taken as soon as it is held. */
static void test_higher_priority(void)
{
    begin_version("'priority':'medium','count':3");
    KG("74", 10);
    KG("74", 11);
    version(12, "'priority':'high','count':3");
    KG("74", 13);
    TRACE_IS("raised high 13");
    fixture_close(f);

    begin_version("'priority':'medium','clear_count':2");
    KG("74", 10);
    version(11, "'priority':'high','count':2,'clear_count':2");
    KG("70", 12); /* ends the run, does not clear yet */
    KG("74", 13); /* the first of two; what is open is not cleared by a breach */
    TRACE_IS("raised medium 10");
    KG("74", 14);
    TRACE_IS("escalated high 14");
    KG("70", 15);
    KG("70", 16);
    TRACE_IS("cleared high 16");
    fixture_close(f);
}

/* A level that the version lacks is left like one that every reading is inside of. */
static void test_lower_priority(void)
{
    begin_version("'priority':'high','clear_count':2");
    KG("74", 10);
    version(11, "'priority':'low','clear_count':2");
    KG("74", 12);
    TRACE_IS("raised high 10");
    KG("74", 13);
    TRACE_IS("deescalated low 13");
    KG("70", 14);
    TRACE_IS("");
    KG("70", 15);
    TRACE_IS("cleared low 15");
    fixture_close(f);

    begin_version("'priority':'high','clear_count':2");
    KG("74", 10);
    KG("70", 11); /* inside of high already */
    version(12, "'priority':'low','clear_count':2");
    KG("74", 13);
    TRACE_IS("raised high 10 | deescalated low 13");
    fixture_close(f);

    begin_version("'priority':'high','clear_count':2");
    KG("74", 10);
    KG("70", 11);
    version(12, "'priority':'low','clear_count':2");
    KG("70", 13);
    TRACE_IS("raised high 10 | cleared high 13");
    fixture_close(f);
}

/* ---- the table of references itself ---- */

static void test_table(void)
{
    struct references references = {.count = 0};
    char a[] = "a", b[] = "b", who[] = "who", other[] = "other";
    struct reference items[] = {{PARAMETER_BODY_WEIGHT, 1, 10, b, who},
                                {PARAMETER_BODY_WEIGHT, 2, 5, b, who},
                                {PARAMETER_BODY_WEIGHT, 3, 7, a, who},
                                {PARAMETER_HEART_RATE, 4, 1, b, who}};
    for (unsigned i = 0; i < 4; i++)
        CU_ASSERT_TRUE(references_set(&references, &items[i]));
    CU_ASSERT_FALSE(references_set(&references, &items[1]));
    for (size_t i = 1; i < references.count; i++)
        CU_ASSERT_TRUE(reference_compare(&references.items[i - 1], &references.items[i]) < 0);
    CU_ASSERT_PTR_NULL(references_at(&references, PARAMETER_BODY_WEIGHT, "b", 4));
    CU_ASSERT_EQUAL(references_at(&references, PARAMETER_BODY_WEIGHT, "b", 5)->value, 2);
    CU_ASSERT_EQUAL(references_at(&references, PARAMETER_BODY_WEIGHT, "b", 9)->value, 2);
    CU_ASSERT_EQUAL(references_at(&references, PARAMETER_BODY_WEIGHT, "b", 10)->value, 1);
    CU_ASSERT_PTR_NULL(references_at(&references, PARAMETER_BODY_WEIGHT, "a", 6));
    CU_ASSERT_PTR_NULL(references_at(&references, PARAMETER_HEART_RATE, "a", 100));
    CU_ASSERT_EQUAL(references_at(&references, PARAMETER_HEART_RATE, "b", 100)->value, 4);
    items[1].author = other;
    CU_ASSERT_TRUE(references_set(&references, &items[1]));
    CU_ASSERT_EQUAL(references.count, 4);
    CU_ASSERT_STRING_EQUAL(references_at(&references, PARAMETER_BODY_WEIGHT, "b", 5)->author, "other");
    references_deinit(&references);
}

SUITE(engine_reference) = {
    {"dry weight", test_dry_weight},
    {"evidence", test_evidence},
    {"by name", test_names},
    {"a reference reaches back", test_reaches_back},
    {"the same again, and one ahead", test_again_and_ahead},
    {"count and clear_count", test_count_and_clear_count},
    {"the beginning of the run", test_beginning},
    {"percent is strict", test_percent},
    {"percent of zero is not judged", test_percent_of_zero},
    {"one instant of several values", test_instant_of_several_values},
    {"a version of a higher priority", test_higher_priority},
    {"a version of a lower priority", test_lower_priority},
    {"the table of references", test_table},
    {NULL, NULL},
};
