/* engine_variation: the kind `variation`, RULES.md section 3: a closed day against the one before. In June a
 * day of Paris begins at 22:00 UTC. */
#include "tests/unit/engine_fixture.h"

static struct fixture fixture, *const f = &fixture;

#define DAY(n)   (((n)-1) * 1440.0 - 120)
#define NOON(n)  (DAY(n) + 720)
#define CLOSE(n) (DAY((n) + 1) + 360 + 0.001)

#define RULE(more)                                                                                           \
    "{'id':'t.v','parameter':'body-weight','unit':'kg','kind':'variation'," more                             \
    ",'priority':'medium','text':{'fr':'f','en':'e'}}"
#define STEPS(more)                                                                                          \
    "{'id':'t.v','parameter':'steps','unit':'{steps}','kind':'variation'," more                              \
    ",'priority':'medium','text':{'fr':'f','en':'e'}}"

static void begin(const char *rule)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(fixture_rule(f, 0, 0, rule), OK);
}

static void kg(int day, const char *value)
{
    OFFER("body-weight", value, NOON(day));
}

static void steps(int day, const char *value)
{
    OFFER("steps", value, NOON(day));
}

/* The day before began before the rule: its statistic serves all the same. */
static void test_first(void)
{
    begin(RULE("'statistic':'mean','rise':2"));
    OFFER("body-weight", "70", 1);
    kg(2, "72.000001");
    fixture_run(f, CLOSE(2));
    TRACE_IS(""); /* by one millionth: what the values are off by */
    kg(3, "74.000003");
    fixture_run(f, CLOSE(3));
    TRACE_IS("raised medium 4200");
    const json_t *days = json_object_get(fixture_last(f, "raised"), "days");
    CU_ASSERT_EQUAL(json_array_size(days), 2);
    CU_ASSERT_STRING_EQUAL(event_text(json_array_get(days, 0), "day"), "2026-06-02");
    kg(4, "77");
    fixture_run(f, CLOSE(4));
    TRACE_IS("");
    kg(5, "77");
    fixture_run(f, CLOSE(5));
    TRACE_IS("cleared medium 7080");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(fixture_last(f, "cleared"), "readings_in_breach")), 2);
    fixture_close(f);
}

/* A day before that was late: it enters the judgement of the one behind it. */
static void test_late_day_before(void)
{
    begin(RULE("'statistic':'mean','rise':2"));
    kg(2, "73");
    fixture_run(f, CLOSE(4));
    TRACE_IS("");
    fixture_offer(
        f, (struct offer){.parameter = "body-weight", .value = "70", .at = 1, .received = CLOSE(4) + 1});
    TRACE_IS("raised medium 2760");
    fixture_close(f);
}

/* A day without data is not judged, nor the one after it; neither clears. */
static void test_missing(void)
{
    begin(RULE("'statistic':'mean','rise':2"));
    kg(2, "70");
    kg(3, "73");
    fixture_run(f, CLOSE(3));
    kg(5, "60");
    fixture_run(f, CLOSE(5));
    TRACE_IS("raised medium 4200");
    kg(6, "61");
    fixture_run(f, CLOSE(6));
    TRACE_IS("cleared medium 8520");
    fixture_close(f);
}

static void test_sides(void)
{
    begin(RULE("'statistic':'mean','rise':2,'fall':3"));
    kg(2, "70");
    kg(3, "66");
    kg(4, "69");
    fixture_run(f, CLOSE(4));
    EPISODES_ARE("t.v high 5640--1 open medium@5640 | t.v low 4200-5640 cleared medium@4200");
    fixture_close(f);
}

static void test_percent(void)
{
    begin(STEPS("'statistic':'sum','fall_percent':50,'minimum':1000"));
    steps(2, "1000");
    steps(3, "500"); /* half: not beyond */
    steps(4, "100"); /* the day before is under the minimum */
    fixture_run(f, CLOSE(4));
    TRACE_IS("");
    steps(5, "2000");
    steps(6, "999");
    fixture_run(f, CLOSE(6));
    TRACE_IS("raised medium 8520");
    fixture_close(f);
}

static void test_percent_of_zero(void)
{
    begin(STEPS("'statistic':'sum','rise_percent':50"));
    steps(2, "0");
    steps(3, "500");
    fixture_run(f, CLOSE(3));
    TRACE_IS("");
    fixture_close(f);
}

/* Means of different divisors: 70.333… and 72.333334 (of 3) differ by 2.0000006…, less than a millionth more.
 */
static void test_fractions(void)
{
    begin(RULE("'statistic':'mean','rise':2"));
    for (int i = 0; i < 3; i++)
        OFFER("body-weight", i == 0 ? "71" : "70", NOON(2) + i);
    for (int i = 0; i < 3; i++)
        OFFER("body-weight", i == 0 ? "73.000003" : "72", NOON(3) + i);
    fixture_run(f, CLOSE(3));
    TRACE_IS(""); /* more by exactly one millionth */
    for (int i = 0; i < 3; i++)
        OFFER("body-weight", i == 0 ? "75.000007" : "74", NOON(4) + i);
    fixture_run(f, CLOSE(4));
    TRACE_IS("raised medium 5640"); /* by four thirds of one */
    fixture_close(f);
}

static void test_beyond_all_numbers(void)
{
    begin("{'id':'t.v','parameter':'glucose-blood','unit':'mg/dL','kind':'variation','statistic':'max',"
          "'rise':10,'fall':10,'priority':'low','text':{'fr':'f','en':'e'}}");
    OFFER("glucose-blood", "100", NOON(2));
    OFFER("glucose-blood", ">600", NOON(3));
    OFFER("glucose-blood", "100", NOON(4));
    fixture_run(f, CLOSE(4));
    TRACE_IS("");
    OFFER("glucose-blood", "120", NOON(5));
    fixture_run(f, CLOSE(5));
    TRACE_IS("raised low 7080");
    fixture_close(f);
}

SUITE(engine_variation) = {
    {"against the day before", test_first},
    {"a late day before", test_late_day_before},
    {"missing days", test_missing},
    {"two sides", test_sides},
    {"percent and minimum", test_percent},
    {"percent of zero", test_percent_of_zero},
    {"exact fractions", test_fractions},
    {"beyond all numbers", test_beyond_all_numbers},
    {NULL, NULL},
};
