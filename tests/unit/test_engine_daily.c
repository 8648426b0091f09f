/* engine_daily: the kind `daily`, RULES.md sections 3 and 3.3. The patient lives in Paris: in June a day
 * begins at 22:00 UTC, so that day n of June (from 1) is [DAY(n), DAY(n + 1)) and closes GRACE later. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/engine_fixture.h"

static struct fixture fixture, *const f = &fixture;

#define DAY(n)   (((n)-1) * 1440.0 - 120)
#define GRACE    360
#define NOON(n)  (DAY(n) + 720)
#define CLOSE(n) (DAY((n) + 1) + GRACE + 0.001) /* a tick just behind the closing of day n */

#define LATE(p, v, t, r) fixture_offer(f, (struct offer){.parameter = p, .value = v, .at = t, .received = r})
#define LEAK(more)                                                                                           \
    "{'id':'t.leak','parameter':'ventilation-leak-unintentional','unit':'L/min','kind':'daily',"             \
    "'statistic':'median','above':24" more ",'priority':'medium','text':{'fr':'f','en':'e'}}"
#define STEPS(more)                                                                                          \
    "{'id':'t.steps','parameter':'steps','unit':'{steps}','kind':'daily'" more                               \
    ",'priority':'low','text':{'fr':'f','en':'e'}}"
#define KG(more)                                                                                             \
    "{'id':'t.kg','parameter':'body-weight','unit':'kg','kind':'daily'" more                                 \
    ",'priority':'medium','text':{'fr':'f','en':'e'}}"

static void begin(const char *rule)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(fixture_rule(f, 0, 0, rule), OK);
}

/* Three readings of a day. */
static void leak(int day, const char *a, const char *b, const char *c)
{
    OFFER("ventilation-leak-unintentional", a, NOON(day));
    OFFER("ventilation-leak-unintentional", b, NOON(day) + 10);
    OFFER("ventilation-leak-unintentional", c, NOON(day) + 20);
}

static void leaks(int day)
{
    leak(day, "10", "25", "30");
}

static void test_leak_three_days(void)
{
    begin(LEAK(",'days':3"));
    for (int day = 2; day <= 4; day++) {
        leaks(day);
        if (day < 4)
            fixture_run(f, CLOSE(day));
    }
    fixture_run(f, DAY(5) + GRACE); /* due, not before a later tick */
    TRACE_IS("");
    fixture_run(f, CLOSE(4));
    TRACE_IS("raised medium 5640"); /* measured: the third day's end */
    CU_ASSERT_EQUAL(DAY(5), 5640);
    const json_t *event = fixture_last(f, "raised"), *days = json_object_get(event, "days");
    CU_ASSERT_EQUAL(json_array_size(days), 3);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(event, "days_total")), 3);
    CU_ASSERT_STRING_EQUAL(event_text(json_array_get(days, 0), "day"), "2026-06-02");
    CU_ASSERT_STRING_EQUAL(event_text(json_array_get(days, 2), "day"), "2026-06-04");
    CU_ASSERT_EQUAL(json_number_value(json_object_get(json_array_get(days, 1), "statistic")), 25);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(json_array_get(days, 1), "readings")), 3);
    CU_ASSERT_EQUAL(json_number_value(json_object_get(event, "value")), 25);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(event, "readings_in_breach")), 3);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(event, "readings")), 0);
    CU_ASSERT_STRING_EQUAL(event_text(event, "received_at"), fixture_time(NOON(4) + 20));
    leaks(5);
    fixture_run(f, CLOSE(5));
    TRACE_IS("");
    leak(6, "24", "24", "25"); /* exactly the limit: not beyond */
    fixture_run(f, CLOSE(6));
    TRACE_IS("cleared medium 8520");
    event = fixture_last(f, "cleared");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(event, "readings_in_breach")), 4);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(event, "days")), 1);
    fixture_close(f);
}

/* 3 to 7 days on a ventilation leak (IRESP 9). */
static void test_leak_days(void)
{
    for (int days = 2; days <= 8; days++) {
        char rule[512];
        snprintf(rule, sizeof rule, LEAK(",'days':%d"), days);
        fixture_open_patient(f);
        bool good = days >= 3 && days <= 7;
        CU_ASSERT_EQUAL(fixture_rule(f, 0, 0, rule), good ? OK : ERR_REFUSED);
        for (int day = 2; good && day <= 9; day++) {
            leaks(day);
            fixture_run(f, CLOSE(day));
            CU_ASSERT_EQUAL(fixture_last(f, "raised") != NULL, day >= days + 1);
        }
        fixture_close(f);
    }
}

static void test_first_day(void)
{
    begin(STEPS(",'statistic':'sum','below':1000,'min_readings':0"));
    OFFER("steps", "10", 1); /* of June 1st, which began before the rule */
    fixture_run(f, CLOSE(1));
    TRACE_IS("");
    fixture_run(f, CLOSE(2)); /* no reading at all: a sum of 0 */
    TRACE_IS("raised low 2760");
    const json_t *event = fixture_last(f, "raised");
    CU_ASSERT_EQUAL(json_number_value(json_object_get(event, "value")), 0);
    CU_ASSERT_TRUE(json_is_null(json_object_get(event, "received_at")));
    OFFER("steps", "400", NOON(3));
    OFFER("steps", "600", NOON(3) + 1);
    fixture_run(f, CLOSE(3));
    TRACE_IS("cleared low 4200");
    fixture_close(f);
}

static void test_count(void)
{
    begin(STEPS(",'statistic':'count','below':2,'min_readings':0,'days':2"));
    OFFER("steps", "5", NOON(2));
    OFFER("steps", "5", NOON(3));
    OFFER("steps", "7", NOON(3)); /* one instant: counts once */
    fixture_run(f, CLOSE(3));
    TRACE_IS("raised low 4200");
    CU_ASSERT_EQUAL(json_number_value(json_object_get(fixture_last(f, "raised"), "value")), 1);
    fixture_close(f);
}

static void kg(int day, const char *value)
{
    OFFER("body-weight", value, NOON(day));
}

static void test_break(void)
{
    begin(KG(",'statistic':'mean','above':80,'days':2"));
    kg(2, "81");
    fixture_run(f, CLOSE(2));
    kg(4, "81"); /* nothing on the 3rd */
    fixture_run(f, CLOSE(4));
    TRACE_IS("");
    kg(5, "81");
    fixture_run(f, CLOSE(6)); /* nothing on the 6th clears nothing */
    TRACE_IS("raised medium 7080");
    kg(7, "80");
    fixture_run(f, CLOSE(7));
    TRACE_IS("cleared medium 9960");
    fixture_close(f);
}

static void test_skip(void)
{
    begin(KG(",'statistic':'mean','above':80,'days':2,'missing':'skip'"));
    kg(2, "81");
    kg(12, "81"); /* 9 days in a row are bridged */
    fixture_run(f, CLOSE(12));
    TRACE_IS("raised medium 17160");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(fixture_last(f, "raised"), "days")), 2);
    kg(13, "79");
    fixture_run(f, CLOSE(13));
    TRACE_IS("cleared medium 18600");
    kg(14, "81");
    kg(25, "81"); /* 10 are not */
    fixture_run(f, CLOSE(25));
    TRACE_IS("");
    fixture_close(f);
}

/* Each gap is bridged for itself. */
static void test_two_gaps(void)
{
    begin(KG(",'statistic':'mean','above':80,'days':3,'missing':'skip'"));
    kg(2, "81");
    kg(9, "81");
    kg(16, "81");
    fixture_run(f, CLOSE(16));
    TRACE_IS("raised medium 22920");
    CU_ASSERT_STRING_EQUAL(
        event_text(json_array_get(json_object_get(fixture_last(f, "raised"), "days"), 0), "day"),
        "2026-06-02");
    fixture_close(f);
}

static void test_exact(void)
{
    begin(KG(",'statistic':'mean','above':70.000001"));
    OFFER("body-weight", "70.000001", NOON(2));
    OFFER("body-weight", "70.000001", NOON(2) + 1);
    OFFER("body-weight", "70.000002", NOON(2) + 2); /* a third of a millionth above */
    fixture_run(f, CLOSE(2));
    TRACE_IS("raised medium 2760");
    CU_ASSERT_EQUAL(json_number_value(json_object_get(fixture_last(f, "raised"), "value")), 70.000001);
    OFFER("body-weight", "70.000001", NOON(3));
    fixture_run(f, CLOSE(3));
    TRACE_IS("cleared medium 4200");
    fixture_close(f);
}

/* The day that a reading reaches after its closing is judged again at once, and those after it. */
static void test_late(void)
{
    begin(KG(",'statistic':'max','above':80,'days':2"));
    kg(2, "81");
    kg(3, "79");
    fixture_run(f, CLOSE(3));
    TRACE_IS("");
    LATE("body-weight", "82", NOON(3) + 5, CLOSE(3) + 100);
    TRACE_IS("raised medium 4200");
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "raised"), "decided_at"), fixture_time(CLOSE(3) + 100));
    fixture_offer(f, (struct offer){.parameter = "body-weight",
                                    .value = "82",
                                    .at = NOON(3) + 5,
                                    .received = CLOSE(3) + 200,
                                    .status = "void"});
    TRACE_IS("~cancelled medium 4200 (void)");
    fixture_close(f);
}

/* One reading a day, 7 days in one upload, whatever their order: the same episodes. */
static void test_weekly(void)
{
    static const char *const values[] = {"10", "25", "30", "30", "24", "25", "25"};
    char episodes[2][1024];
    for (int newest_first = 0; newest_first < 2; newest_first++) {
        begin(LEAK(",'days':3"));
        fixture_run(f, CLOSE(8) + 60);
        for (int i = 0; i < 7; i++) {
            int day = newest_first ? 8 - i : 2 + i;
            LATE("ventilation-leak-unintentional", values[day - 2], NOON(day), CLOSE(8) + 61 + i);
        }
        snprintf(episodes[newest_first], sizeof episodes[0], "%s", fixture_episodes(f));
        fixture_close(f);
    }
    CU_ASSERT_STRING_EQUAL(episodes[0], episodes[1]);
    CU_ASSERT_PTR_NOT_NULL(strstr(episodes[0], "t.leak high"));
}

/* Data of three days that come together: the decision that has a later judged day is not live by itself. */
static void test_live_of_late(void)
{
    struct offer offers[3];
    begin(LEAK(",'days':3"));
    fixture_run(f, CLOSE(9));
    for (int i = 0; i < 3; i++)
        offers[i] =
            (struct offer){.parameter = "ventilation-leak-unintentional", .value = "25", .at = NOON(2 + i)};
    fixture_offer_all(f, offers, 3, CLOSE(9) + 1);
    TRACE_IS("raised medium 5640"); /* no later day is judged: the reception is the time */
    LATE("ventilation-leak-unintentional", "20", NOON(6), CLOSE(9) + 2);
    TRACE_IS("cleared medium 8520");
    LATE("ventilation-leak-unintentional", "1", NOON(3), CLOSE(9) + 3);
    LATE("ventilation-leak-unintentional", "2", NOON(3) + 1, CLOSE(9) + 4);
    TRACE_IS("~cancelled medium 8520 (late-data)");
    LATE("ventilation-leak-unintentional", "26", NOON(3) + 2, CLOSE(9) + 5);
    LATE("ventilation-leak-unintentional", "26", NOON(3) + 3, CLOSE(9) + 6);
    TRACE_IS("");
    LATE("ventilation-leak-unintentional", "26", NOON(3) + 4, CLOSE(9) + 7);
    TRACE_IS("~raised medium 5640 (reinstated) | cleared medium 8520"); /* day 6 is judged */
    fixture_close(f);
}

/* Down while days close: they close at the start, and what they decide is as new as the end of the outage. */
static void test_outage(void)
{
    begin(LEAK(",'days':3"));
    for (int day = 2; day <= 4; day++)
        leaks(day);
    fixture_restart(f, CLOSE(4) + 3 * 1440);
    CU_ASSERT_STRING_EQUAL(fixture_trace_of(f, "t."), "raised medium 5640");
    fixture_close(f);
    begin(LEAK(",'days':3")); /* up, but the clock moved on in one step: three days late */
    for (int day = 2; day <= 4; day++)
        leaks(day);
    fixture_tick(f, CLOSE(4) + 3 * 1440);
    TRACE_IS("~raised medium 5640");
    fixture_close(f);
}

/* A retrospective episode that is true now pages when a day closes. */
static void test_fresh(void)
{
    begin(LEAK(",'days':3"));
    for (int day = 2; day <= 4; day++)
        leaks(day);
    fixture_tick(f, CLOSE(4) + 3 * 1440);
    TRACE_IS("~raised medium 5640");
    leaks(8);
    TRACE_IS(""); /* the newest closed day with data closed three days ago */
    fixture_run(f, CLOSE(8));
    TRACE_IS("live medium 11400");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(fixture_last(f, "live"), "days")), 1);
    fixture_close(f);
}

static void test_zone_change(void)
{
    begin(KG(",'statistic':'count','below':1,'min_readings':0,'grace':'0h'"));
    kg(2, "70");
    fixture_run(f, NOON(3));
    kg(3, "70");
    TRACE_IS("");
    /* To Honolulu (UTC-10) at noon of the 3rd, which ends at its midnight there: 12 hours later. */
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_PATIENT, NOON(3) + 1,
                                    "{'patient_id':17,'ref':'P-1','organization':'O','line':'test',"
                                    "'team':'T','time_zone':'Pacific/Honolulu','enrolled_at':null}"),
                    OK);
    OFFER("body-weight", "71", DAY(4) + 600); /* the 4th in Paris, still the 3rd there */
    fixture_run(f, DAY(4) + 12 * 60 + 1);
    TRACE_IS(""); /* the 3rd had readings; the 4th begins 12 h later */
    fixture_run(f, DAY(5) + 12 * 60 + 1);
    TRACE_IS("raised medium 6360");
    fixture_close(f);
}

/* Days of 25 and 23 hours. 2026-10-25 in Paris is [24th 22:00Z, 25th 23:00Z); 2027-03-28 [27th 23:00Z, 28th
 * 22:00Z). */
static void test_daylight_saving(void)
{
    static const struct {
        int before; /* days from June 1st to the day */
        double begin, end;
        const char *day;
    } rows[] = {{146, -120, 1380, "2026-10-25"}, {300, -60, 1320, "2027-03-28"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double midnight = rows[i].before * 1440.0, end = midnight + rows[i].end;
        char expected[64];
        fixture_open_patient(f);
        fixture_tick(f, midnight - 3000);
        CU_ASSERT_EQUAL_FATAL(fixture_rule(f, midnight - 2000, midnight - 2000,
                                           KG(",'statistic':'count','above':2,'grace':'1h'")),
                              OK);
        OFFER("body-weight", "1", midnight + rows[i].begin - 0.001);
        OFFER("body-weight", "1", midnight + rows[i].begin);
        OFFER("body-weight", "1", midnight);
        OFFER("body-weight", "1", end - 0.001);
        OFFER("body-weight", "1", end); /* of the next day */
        fixture_run(f, end + 60);
        TRACE_IS("");
        fixture_run(f, end + 60.001);
        snprintf(expected, sizeof expected, "raised medium %g", end);
        TRACE_IS(expected);
        const json_t *days = json_object_get(fixture_last(f, "raised"), "days");
        CU_ASSERT_STRING_EQUAL(event_text(json_array_get(days, 0), "day"), rows[i].day);
        CU_ASSERT_EQUAL(json_integer_value(json_object_get(json_array_get(days, 0), "readings")), 3);
        fixture_close(f);
    }
}

static void test_versions(void)
{
    begin(KG(",'statistic':'max','above':80,'days':2"));
    kg(2, "81");
    fixture_run(f, NOON(3));
    /* From noon of the 3rd: the 3rd is judged by the old version. */
    CU_ASSERT_EQUAL(fixture_rule(f, NOON(3), NOON(3), KG(",'statistic':'max','above':90,'days':1")), OK);
    kg(3, "82");
    fixture_run(f, CLOSE(3));
    TRACE_IS("raised medium 4200");
    kg(4, "89");
    fixture_run(f, CLOSE(4));
    TRACE_IS("cleared medium 5640");
    fixture_close(f);
}

static void test_disabled(void)
{
    begin(KG(",'statistic':'max','above':80"));
    kg(2, "81");
    fixture_run(f, CLOSE(2));
    TRACE_IS("raised medium 2760");
    CU_ASSERT_EQUAL(fixture_rule(f, NOON(3), NOON(3), KG(",'statistic':'max','above':80,'enabled':false")),
                    OK);
    TRACE_IS("cleared medium 3480 (rule-disabled)");
    kg(3, "85");
    CU_ASSERT_EQUAL(fixture_rule(f, NOON(3) + 10, NOON(3) + 10, KG(",'statistic':'max','above':80")), OK);
    fixture_run(f, CLOSE(3));
    TRACE_IS(""); /* the rule ended in this day */
    kg(4, "85");
    fixture_run(f, CLOSE(4));
    TRACE_IS("raised medium 5640");
    fixture_close(f);
}

/* A day that ended before the rule did closes after it: judged, and over at once. */
static void test_ended_before_closing(void)
{
    begin(KG(",'statistic':'max','above':80"));
    kg(2, "81");
    CU_ASSERT_EQUAL(
        fixture_rule(f, DAY(3) + 60, DAY(3) + 60, KG(",'statistic':'max','above':80,'enabled':false")), OK);
    TRACE_IS("");
    fixture_run(f, CLOSE(2));
    TRACE_IS("raised medium 2760 | cleared medium 2820 (rule-disabled)");
    fixture_run(f, CLOSE(9));
    TRACE_IS("");
    fixture_close(f);
}

/* A day whose end is the rule's end is judged before it. */
static void test_ends_with_the_day(void)
{
    begin(KG(",'statistic':'max','above':80,'days':2"));
    kg(2, "81");
    kg(3, "81");
    CU_ASSERT_EQUAL(
        fixture_rule(f, NOON(3), DAY(4), KG(",'statistic':'max','above':80,'days':2,'enabled':false")), OK);
    kg(4, "81");
    fixture_run(f, CLOSE(5));
    TRACE_IS("raised medium 4200 | cleared medium 4200 (rule-disabled)");
    fixture_close(f);
}

static void test_left(void)
{
    begin(KG(",'statistic':'max','above':80"));
    kg(2, "81");
    fixture_run(f, CLOSE(2));
    kg(3, "81");
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_LEFT, NOON(3), "{'patient_id':17,'at':'%s','reason':'moved'}",
                                    fixture_time(NOON(3))),
                    OK);
    fixture_run(f, CLOSE(5));
    TRACE_IS("raised medium 2760 | closed medium 3480 (left)");
    fixture_close(f);
}

static void test_comparators(void)
{
    begin("{'id':'t.sugar','parameter':'glucose-blood','unit':'mg/dL','kind':'daily','statistic':'min',"
          "'below':70,'above':300,'priority':'high','text':{'fr':'f','en':'e'}}");
    OFFER("glucose-blood", "<20", NOON(2)); /* LO */
    OFFER("glucose-blood", "100", NOON(2) + 1);
    fixture_run(f, CLOSE(2));
    TRACE_IS("raised high 2760");
    const json_t *event = fixture_last(f, "raised");
    CU_ASSERT_STRING_EQUAL(event_text(event, "comparator"), "<");
    CU_ASSERT_EQUAL(json_number_value(json_object_get(event, "value")), 20);
    CU_ASSERT_STRING_EQUAL(event_text(event, "side"), "low");
    OFFER("glucose-blood", ">600", NOON(3)); /* HI, all day: inside on the low side, beyond the high one */
    fixture_run(f, CLOSE(3));
    TRACE_IS("cleared high 4200 | raised high 4200");
    fixture_close(f);
}

/* Reaching back: closed days of the first version of the patient layer are judged at once. */
static void test_reach_back(void)
{
    fixture_open_patient(f);
    for (int day = 2; day <= 6; day++) {
        kg(day, "81");
        fixture_run(f, CLOSE(day));
    }
    CU_ASSERT_EQUAL(fixture_rule(f, NOON(7), NOON(3), KG(",'statistic':'max','above':80,'days':2")), OK);
    TRACE_IS("~raised medium 7080"); /* the 4th is the first that began under it */
    kg(7, "81");                     /* the newest closed day breaches: it is true now */
    TRACE_IS("live medium 8520");
    fixture_run(f, CLOSE(7));
    TRACE_IS("");
    fixture_close(f);
}

/* The first version of the patient layer reaches back under one of the line: with a longer grace, days that
 * were closed are not any more. */
static void test_longer_grace_behind(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_RULE, 1,
                                    "{'layer':'line','scope':'test','version':1,'author':'a','role':'system',"
                                    "'reason':'r','rule':%s}",
                                    KG(",'statistic':'max','above':80")),
                    OK);
    kg(2, "81");
    kg(3, "81");
    fixture_run(f, CLOSE(3));
    TRACE_IS("raised medium 2760");
    CU_ASSERT_EQUAL(
        fixture_rule(f, CLOSE(3) + 1, DAY(3) - 5, KG(",'statistic':'max','above':82,'grace':'12h'")), OK);
    TRACE_IS(""); /* under it the 3rd clears, but it closes six hours later */
    fixture_run(f, DAY(4) + 719);
    TRACE_IS("");
    fixture_run(f, DAY(4) + 721);
    TRACE_IS("cleared medium 4200");
    fixture_close(f);
}

/* What was let go is final; what was raised there is known still. */
static void test_final(void)
{
    begin(KG(",'statistic':'max','above':80,'days':2"));
    for (int day = 2; day <= 60; day++) {
        kg(day, "81");
        fixture_run(f, CLOSE(day));
    }
    TRACE_IS("raised medium 4200");
    LATE("body-weight", "85", NOON(30) + 1, CLOSE(60) + 60);
    TRACE_IS("");
    fixture_offer(f, (struct offer){.parameter = "body-weight",
                                    .value = "81",
                                    .at = NOON(50),
                                    .received = CLOSE(60) + 61,
                                    .status = "corrected",
                                    .issued = CLOSE(60)});
    fixture_offer(f, (struct offer){.parameter = "body-weight",
                                    .value = "79",
                                    .at = NOON(50),
                                    .received = CLOSE(60) + 62,
                                    .status = "corrected",
                                    .issued = CLOSE(60) + 1});
    TRACE_IS("~cleared medium 71880 | raised medium 74760");
    fixture_close(f);
}

/* An episode that outlives the readings that raised it: it is known still, and counts on. */
static void test_open_beyond_what_is_held(void)
{
    begin(KG(",'statistic':'max','above':80,'days':2"));
    for (int day = 2; day <= 120; day++) { /* 70 days are held */
        kg(day, "81");
        fixture_run(f, CLOSE(day));
    }
    TRACE_IS("raised medium 4200");
    LATE("body-weight", "85", NOON(119) + 1, CLOSE(120) + 60);
    TRACE_IS("");
    kg(121, "79");
    fixture_run(f, CLOSE(121));
    TRACE_IS("cleared medium 174120");
    const json_t *event = fixture_last(f, "cleared");
    CU_ASSERT_STRING_EQUAL(event_text(event, "raised_at"), fixture_time(4200));
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(event, "readings_in_breach")), 119);
    LATE("body-weight", "82", NOON(121) + 1, CLOSE(121) + 60); /* judged again from what is final */
    TRACE_IS("~amended medium 4200 (reopened) | live medium 174120");
    EPISODES_ARE("t.kg high 4200--1 open medium@4200");
    fixture_close(f);
}

/* What was raised and cleared is over; 100 days later nothing of it is told again. */
static void test_over_beyond_what_is_held(void)
{
    begin(KG(",'statistic':'max','above':80,'days':2"));
    for (int day = 2; day <= 130; day++) {
        kg(day, day < 6 || day > 128 ? "81" : "79");
        fixture_run(f, CLOSE(day));
    }
    TRACE_IS("raised medium 4200 | cleared medium 8520 | raised medium 187080");
    LATE("body-weight", "82", NOON(128) + 1, CLOSE(130) + 60); /* a day earlier, one raising */
    TRACE_IS("~amended medium 185640 (late-data)");
    fixture_close(f);
}

/* The end of the rule lies ahead: it ends the episode by the clock, between two closings. */
static void test_ends_by_the_clock(void)
{
    begin(KG(",'statistic':'max','above':80"));
    kg(2, "81");
    fixture_run(f, CLOSE(2));
    TRACE_IS("raised medium 2760");
    CU_ASSERT_EQUAL(fixture_rule(f, NOON(3), NOON(4), KG(",'statistic':'max','above':80,'enabled':false")),
                    OK);
    kg(3, "82");
    fixture_run(f, NOON(4));
    TRACE_IS("");
    CU_ASSERT_EQUAL(engine_next_due_ms(f->engine), EPOCH_MS + (int64_t)NOON(4) * MINUTE_MS);
    fixture_run(f, NOON(4) + 1);
    TRACE_IS("cleared medium 4920 (rule-disabled)");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(fixture_last(f, "cleared"), "readings_in_breach")), 2);
    fixture_close(f);
}

/* One step of the clock over the end of the rule and the closing of the day that it lies in. */
static void test_ends_within_a_step(void)
{
    for (int leaves = 0; leaves < 2; leaves++) {
        begin(KG(",'statistic':'max','above':80"));
        kg(2, "81");
        kg(3, "82");
        fixture_run(f, CLOSE(2));
        TRACE_IS("raised medium 2760");
        if (leaves) {
            CU_ASSERT_EQUAL(fixture_command(f, COMMAND_LEFT, CLOSE(2) + 1,
                                            "{'patient_id':17,'at':'%s','reason':'moved'}",
                                            fixture_time(NOON(3) + 60)),
                            OK);
        } else {
            CU_ASSERT_EQUAL(fixture_rule(f, CLOSE(2) + 1, NOON(3) + 60,
                                         KG(",'statistic':'max','above':80,'enabled':false")),
                            OK);
            CU_ASSERT_EQUAL(fixture_rule(f, CLOSE(2) + 2, NOON(3) + 70, KG(",'statistic':'max','above':80")),
                            OK);
        }
        fixture_tick(f, CLOSE(3));
        TRACE_IS(leaves ? "closed medium 3540 (left)" : "cleared medium 3540 (rule-disabled)");
        fixture_run(f, CLOSE(4));
        TRACE_IS(""); /* no version judges a day that the rule ended in */
        fixture_close(f);
    }
}

/* Disabled, disabled again, enabled: the days between close, and nothing judges them. */
static void test_away_for_days(void)
{
    begin(KG(",'statistic':'max','above':80"));
    CU_ASSERT_EQUAL(fixture_rule(f, 1, NOON(3), KG(",'statistic':'max','above':80,'enabled':false")), OK);
    CU_ASSERT_EQUAL(fixture_rule(f, 2, NOON(5), KG(",'statistic':'max','above':81,'enabled':false")), OK);
    CU_ASSERT_EQUAL(fixture_rule(f, 3, NOON(7), KG(",'statistic':'max','above':80")), OK);
    for (int day = 3; day <= 9; day++) {
        kg(day, "85");
        fixture_run(f, CLOSE(day));
        TRACE_IS(day == 8 ? "raised medium 11400" : ""); /* the first that begins under the rule */
    }
    fixture_close(f);
}

/* A day that begins at the very instant from which the rule is in force is its first. */
static void test_begins_with_the_day(void)
{
    for (int later = 0; later < 2; later++) {
        fixture_open_patient(f);
        CU_ASSERT_EQUAL(fixture_rule(f, 0, DAY(2) + later * 0.001, KG(",'statistic':'max','above':80")), OK);
        kg(2, "81");
        fixture_run(f, CLOSE(2));
        TRACE_IS(later ? "" : "raised medium 2760");
        fixture_close(f);
    }
}

/* A retrospective episode whose days are long forgotten is not true now for a reading of an open day. */
static void test_forgotten_is_not_fresh(void)
{
    begin(KG(",'statistic':'max','above':80"));
    kg(2, "81");
    fixture_tick(f, CLOSE(2) + 3 * 1440);
    TRACE_IS("~raised medium 2760");
    for (int day = 6; day <= 130; day++)
        fixture_run(f, CLOSE(day));
    (void)fixture_trace_of(f, "");
    kg(131, "82");
    CU_ASSERT_STRING_EQUAL(fixture_check(fixture_trace_of(f, "t."), ""), "");
    fixture_run(f, CLOSE(131)); /* but for its closing it is */
    TRACE_IS("live medium 188520");
    fixture_close(f);
}

/* A rule of a patient enrolled with data of 100 days: what is not held any more is not looked at. */
static void test_new_rule_on_old_data(void)
{
    fixture_open_patient(f);
    for (int day = 2; day <= 100; day++) {
        kg(day, day < 29 ? "81" : "79"); /* the days before the 29th are let go */
        fixture_run(f, CLOSE(day));
    }
    (void)fixture_trace_of(f, "");
    CU_ASSERT_EQUAL(fixture_rule(f, CLOSE(100) + 1, NOON(1), KG(",'statistic':'max','above':80")), OK);
    TRACE_IS("");
    LATE("body-weight", "82", NOON(99) + 1, CLOSE(100) + 2);
    TRACE_IS("~raised medium 142440 | cleared medium 143880"); /* day 100 is judged behind it */
    fixture_close(f);
}

/* The first version of the patient layer begins before that of the line: its days are judged too. */
static void test_reach_back_before_the_line(void)
{
    static const char *const values[] = {"81", "81", "81", "79", "81"};
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_RULE, 1,
                                    "{'layer':'line','scope':'test','version':1,'author':'a','role':'system',"
                                    "'reason':'r','valid_from':'%s','rule':%s}",
                                    fixture_time(NOON(4)), KG(",'statistic':'max','above':80")),
                    OK);
    for (int day = 2; day <= 6; day++) {
        kg(day, values[day - 2]);
        fixture_run(f, CLOSE(day));
    }
    TRACE_IS("raised medium 8520");
    CU_ASSERT_EQUAL(fixture_rule(f, CLOSE(6) + 1, DAY(2), KG(",'statistic':'max','above':80")), OK);
    TRACE_IS("~raised medium 2760 | ~cleared medium 7080");
    EPISODES_ARE("t.kg high 2760-7080 cleared medium@2760 | t.kg high 8520--1 open medium@8520");
    fixture_close(f);
}

SUITE(engine_daily) = {
    {"leak on three days", test_leak_three_days},
    {"leak 2 to 8 days", test_leak_days},
    {"first day", test_first_day},
    {"count", test_count},
    {"break", test_break},
    {"skip", test_skip},
    {"two gaps", test_two_gaps},
    {"exact mean", test_exact},
    {"late data", test_late},
    {"weekly upload", test_weekly},
    {"live of late data", test_live_of_late},
    {"outage", test_outage},
    {"fresh breach", test_fresh},
    {"zone change", test_zone_change},
    {"daylight saving", test_daylight_saving},
    {"versions", test_versions},
    {"disabled", test_disabled},
    {"ended before closing", test_ended_before_closing},
    {"ends with the day", test_ends_with_the_day},
    {"left", test_left},
    {"comparators", test_comparators},
    {"reach back", test_reach_back},
    {"a longer grace behind", test_longer_grace_behind},
    {"final", test_final},
    {"open beyond what is held", test_open_beyond_what_is_held},
    {"over beyond what is held", test_over_beyond_what_is_held},
    {"ends by the clock", test_ends_by_the_clock},
    {"ends within a step", test_ends_within_a_step},
    {"away for days", test_away_for_days},
    {"begins with the day", test_begins_with_the_day},
    {"what is forgotten is not fresh", test_forgotten_is_not_fresh},
    {"a new rule on old data", test_new_rule_on_old_data},
    {"reach back before the line", test_reach_back_before_the_line},
    {NULL, NULL},
};
