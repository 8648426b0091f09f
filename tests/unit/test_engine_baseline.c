/* engine_baseline: the kind `baseline`, RULES.md section 3: a day against the median of those before it. */
#include "tests/unit/engine_fixture.h"

static struct fixture fixture, *const f = &fixture;

#define DAY(n)   (((n)-1) * 1440.0 - 120)
#define NOON(n)  (DAY(n) + 720)
#define CLOSE(n) (DAY((n) + 1) + 360 + 0.001)

#define RULE(more)                                                                                           \
    "{'id':'t.b','parameter':'body-weight','unit':'kg','kind':'baseline','statistic':'mean'," more           \
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

static void test_median_of_days(void)
{
    begin(RULE("'rise':2,'over':4,'min_days':3"));
    kg(2, "70");
    kg(3, "80");
    kg(4, "76"); /* two days before it: not judged */
    fixture_run(f, CLOSE(4));
    TRACE_IS("");
    kg(5, "78.000001"); /* the median is 76 */
    fixture_run(f, CLOSE(5));
    TRACE_IS("");
    kg(6, "79.000003"); /* of four: (76 + 78.000001) / 2 = 77.0000005, and 2.0000025 more */
    fixture_run(f, CLOSE(6));
    TRACE_IS("raised medium 8520");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(fixture_last(f, "raised"), "days")), 1);
    kg(7, "79"); /* of 80, 76, 78.000001 and 79.000003: 78.500002 */
    fixture_run(f, CLOSE(7));
    TRACE_IS("cleared medium 9960");
    fixture_close(f);
}

/* A day that is not judged ends the run. */
static void test_run(void)
{
    begin(RULE("'rise':2,'over':7,'min_days':1,'days':2"));
    kg(2, "70");
    kg(3, "73");
    kg(5, "73"); /* nothing on the 4th */
    fixture_run(f, CLOSE(5));
    TRACE_IS("");
    for (int day = 6; day <= 9; day++)
        kg(day, "70");
    kg(10, "73");
    kg(11, "73");
    fixture_run(f, CLOSE(12));
    TRACE_IS("raised medium 15720"); /* the 12th, without data, clears nothing */
    CU_ASSERT_EQUAL(json_array_size(json_object_get(fixture_last(f, "raised"), "days")), 2);
    fixture_close(f);
}

/* A late day enters the baselines of N days behind it, also one before the first that is judged. */
static void test_late(void)
{
    begin(RULE("'rise':2,'over':5,'min_days':2"));
    kg(2, "70");
    kg(3, "73");
    fixture_run(f, CLOSE(3));
    TRACE_IS("");
    fixture_offer(
        f, (struct offer){.parameter = "body-weight", .value = "70", .at = -1440, .received = CLOSE(3) + 1});
    TRACE_IS("raised medium 4200");
    fixture_offer(f, (struct offer){.parameter = "body-weight",
                                    .value = "70",
                                    .at = -1440,
                                    .received = CLOSE(3) + 2,
                                    .status = "void"});
    TRACE_IS("~cancelled medium 4200 (void)");
    fixture_close(f);
}

static void test_percent(void)
{
    begin("{'id':'t.b','parameter':'fev1','unit':'L','kind':'baseline','statistic':'max','fall_percent':10,"
          "'over':14,'min_days':1,'priority':'medium','text':{'fr':'f','en':'e'}}");
    OFFER("fev1", "3", NOON(2));
    OFFER("fev1", "2.7", NOON(3));
    fixture_run(f, CLOSE(3));
    TRACE_IS("");
    OFFER("fev1", "2.564999", NOON(4)); /* of the median 2.85 */
    fixture_run(f, CLOSE(4));
    TRACE_IS("raised medium 5640");
    fixture_close(f);
}

/* Longer than what is held of readings: figures of days are held on. */
static void test_ninety_days(void)
{
    begin(RULE("'rise':2,'over':90,'min_days':90"));
    for (int day = 2; day <= 91; day++) {
        kg(day, day <= 46 ? "60" : "80"); /* the first 45 have gone when the 92nd is judged */
        fixture_run(f, CLOSE(day));
    }
    TRACE_IS("");
    kg(92, "72.000001"); /* of 45 and 45: 70 */
    fixture_run(f, CLOSE(92));
    TRACE_IS("");
    kg(93, "82.000001"); /* one more day of the upper half: the median is between 72.000001 and 80 */
    fixture_run(f, CLOSE(93));
    TRACE_IS("raised medium 133800");
    fixture_close(f);
}

/* A new version looks further back than the one before: what is held is taken. */
static void test_longer_version(void)
{
    begin(RULE("'rise':2,'over':2,'min_days':2"));
    for (int day = 2; day <= 8; day++)
        kg(day, day <= 5 ? "70" : "73");
    fixture_run(f, CLOSE(8));
    TRACE_IS("raised medium 8520 | cleared medium 9960");
    CU_ASSERT_EQUAL(fixture_rule(f, NOON(9), NOON(9), RULE("'rise':2,'over':8,'min_days':7")), OK);
    kg(10, "73"); /* 70 four times, 73 three times */
    fixture_run(f, CLOSE(10));
    TRACE_IS("raised medium 14280");
    fixture_close(f);
}

/* Days beyond all numbers lie at the ends; where the median is one of them, no day is judged. */
static void test_beyond_all_numbers(void)
{
    static const char *const values[] = {">600", "100", "<20"};
    begin("{'id':'t.b','parameter':'glucose-blood','unit':'mg/dL','kind':'baseline','statistic':'max',"
          "'rise':10,'over':3,'min_days':3,'priority':'low','text':{'fr':'f','en':'e'}}");
    for (int i = 0; i < 3; i++)
        OFFER("glucose-blood", values[i], NOON(2 + i));
    OFFER("glucose-blood", "111", NOON(5)); /* of "<20", 100, ">600" */
    fixture_run(f, CLOSE(5));
    TRACE_IS("raised low 7080");
    OFFER("glucose-blood", "<20", NOON(6)); /* beyond all numbers: not judged, clears nothing */
    OFFER("glucose-blood", "500", NOON(7)); /* of "<20", 111, "<20" */
    fixture_run(f, CLOSE(7));
    TRACE_IS("");
    OFFER("glucose-blood", "121", NOON(8)); /* of 111, "<20", 500 */
    fixture_run(f, CLOSE(8));
    TRACE_IS("cleared low 11400");
    fixture_close(f);
}

SUITE(engine_baseline) = {
    {"median of days", test_median_of_days},
    {"days in a run", test_run},
    {"late days", test_late},
    {"percent", test_percent},
    {"ninety days", test_ninety_days},
    {"a longer version", test_longer_version},
    {"beyond all numbers", test_beyond_all_numbers},
    {NULL, NULL},
};
