/* engine_silence: non-transmission, RULES.md section 4. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/engine_fixture.h"

static struct fixture fixture, *const f = &fixture;

#define SILENCE_IS(text) CU_ASSERT_STRING_EQUAL(fixture_check(fixture_trace_of(f, "s."), text), text)

#define GAP_2D                                                                                               \
    "{'id':'s.w','line':'hf','kind':'silence','max_gap':'2d','parameters':['body-weight'],'priority':'high'" \
    "}"
#define DAYS_2                                                                                               \
    "{'id':'s.w','line':'hf','kind':'silence','missed_days':2,'grace':'6h','parameters':['body-weight'],"    \
    "'priority':'medium'}"

static enum err line_rule(double minute, int version, const char *rule)
{
    return fixture_command(
        f, COMMAND_RULE, minute,
        "{'layer':'line','scope':'hf','version':%d,'author':'a','role':'r','reason':'r','rule':%s}", version,
        rule);
}

static enum err enrol(double minute, const char *zone)
{
    return fixture_command(f, COMMAND_PATIENT, minute,
                           "{'patient_id':17,'ref':'P-1','organization':'O','line':'hf','team':null,"
                           "'time_zone':'%s','enrolled_at':null}",
                           zone);
}

static void begin(const char *rule, double enrolled, const char *zone)
{
    fixture_open(f);
    CU_ASSERT_EQUAL_FATAL(line_rule(0, 1, rule), OK);
    CU_ASSERT_EQUAL_FATAL(enrol(enrolled, zone), OK);
}

/* From the first day, with no traffic at all: the patient was never seen (PITFALLS X4, W9). */
static void test_never_seen(void)
{
    begin(GAP_2D, 10, "UTC");
    CU_ASSERT_EQUAL(engine_next_due_ms(f->engine), EPOCH_MS + (10 + 2 * DAY_MIN) * MINUTE_MS);
    fixture_tick(f, 10 + 2 * DAY_MIN); /* what is due at that very time waits */
    SILENCE_IS("");
    fixture_tick(f, 10 + 2 * DAY_MIN + 0.01);
    SILENCE_IS("raised high 2890");
    const json_t *event = fixture_last(f, "raised");
    CU_ASSERT_STRING_EQUAL(event_text(event, "class"), "silence");
    CU_ASSERT_STRING_EQUAL(event_text(event, "side"), "");
    CU_ASSERT_TRUE(json_is_null(json_object_get(event, "parameter")));
    CU_ASSERT_TRUE(json_is_null(json_object_get(event, "value")));
    CU_ASSERT_FALSE(json_is_true(json_object_get(event, "retrospective")));
    fixture_run(f, 30 * DAY_MIN); /* still silent: nothing more, and it does not stop */
    SILENCE_IS("");
    OFFER("body-weight", "70", 30 * DAY_MIN);
    SILENCE_IS("cleared high 43200");
    fixture_close(f);
}

/* Readings come before timers at one instant. */
static void test_reading_at_the_instant(void)
{
    begin(GAP_2D, 0, "UTC");
    OFFER("body-weight", "70", 2 * DAY_MIN);
    fixture_run(f, 4 * DAY_MIN);
    SILENCE_IS("");
    fixture_run(f, 4 * DAY_MIN + 1);
    SILENCE_IS("raised high 5760");
    fixture_close(f);
}

static void test_other_parameters_do_not_count(void)
{
    begin(GAP_2D, 0, "UTC");
    OFFER("heart-rate", "70", DAY_MIN);
    fixture_run(f, 2 * DAY_MIN + 1);
    SILENCE_IS("raised high 2880");
    fixture_close(f);
}

/* A replayed backlog is no sign of life; duplicates, quarantined and test readings neither. */
static void test_what_counts(void)
{
    begin(GAP_2D, 0, "UTC");
    OFFER("body-weight", "70", 3000);
    SILENCE_IS("raised high 2880 | cleared high 3000");
    fixture_offer(
        f, (struct offer){.parameter = "body-weight", .value = "71", .at = 3000 - DAY_MIN, .received = 4000});
    fixture_offer(f, (struct offer){.parameter = "body-weight", .value = "70", .at = 3000, .received = 4000});
    fixture_offer(
        f, (struct offer){
               .parameter = "body-weight", .value = "0", .at = 4000, .quarantine = QUARANTINE_IMPOSSIBLE});
    fixture_offer(f,
                  (struct offer){.parameter = "body-weight", .value = "70", .at = 4000, .flags = FLAG_TEST});
    fixture_offer(f, (struct offer){.parameter = "body-weight", .value = "70", .at = 4001, .status = "void"});
    fixture_run(f, 5881);
    SILENCE_IS("raised high 5880");
    /* measured after last_seen - 1 day: counts, though late */
    fixture_offer(f,
                  (struct offer){
                      .parameter = "body-weight", .value = "71", .at = 3000 - DAY_MIN + 1, .received = 5890});
    SILENCE_IS("cleared high 5890");
    fixture_close(f);
}

/* last_seen is taken before the request: of a backlog that ends today the newest counts, whatever the order.
 */
static void test_backlog_in_one_request(void)
{
    begin(GAP_2D, 0, "UTC");
    struct offer offers[] = {{.parameter = "body-weight", .value = "70", .at = 100},
                             {.parameter = "body-weight", .value = "70", .at = 3000}};
    fixture_run(f, 3000);
    fixture_offer_all(f, offers, 2, 3000);
    SILENCE_IS("raised high 2880 | cleared high 3000");
    fixture_close(f);
}

/* Up time excludes our own outages; nothing is raised after a restart that up time does not justify. */
static void test_outage(void)
{
    begin(GAP_2D, 0, "UTC");
    fixture_tick(f, DAY_MIN);
    fixture_restart(f, 10 * DAY_MIN);
    SILENCE_IS("");
    CU_ASSERT_EQUAL(engine_next_due_ms(f->engine), EPOCH_MS + 11 * DAY_MIN * MINUTE_MS);
    fixture_run(f, 11 * DAY_MIN + 1);
    SILENCE_IS("raised high 15840");
    fixture_close(f);
}

static void test_before_first_tick_is_no_up_time(void)
{
    fixture_open(f);
    CU_ASSERT_EQUAL(line_rule(0, 1, GAP_2D), OK);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_PATIENT, 0,
                                    "{'patient_id':17,'ref':'P-1','organization':'O','line':'hf','team':null,"
                                    "'time_zone':'UTC','enrolled_at':'%s'}",
                                    fixture_time(-5000)),
                    OK);
    fixture_run(f, 2 * DAY_MIN);
    SILENCE_IS("");
    fixture_close(f);
}

static void test_suspension(void)
{
    begin(GAP_2D, 0, "UTC");
    CU_ASSERT_EQUAL(
        fixture_command(
            f, COMMAND_SUSPENSION, 10,
            "{'patient_id':17,'rule':'s.w','from':'%s','until':'%s','author':'N','reason':'hospital'}",
            fixture_time(DAY_MIN), fixture_time(5 * DAY_MIN)),
        OK);
    fixture_run(f, 6 * DAY_MIN);
    SILENCE_IS("");
    fixture_run(f, 6 * DAY_MIN + 1);
    SILENCE_IS("raised high 8640");
    fixture_close(f);
}

static void test_suspended_and_resumed(void)
{
    begin(GAP_2D, 0, "UTC");
    fixture_run(f, 3000);
    CU_ASSERT_EQUAL(
        fixture_command(f, COMMAND_SUSPENSION, 3000,
                        "{'patient_id':17,'rule':'s.w','from':'%s','until':'%s','author':'N','reason':'r'}",
                        fixture_time(3010), fixture_time(3100)),
        OK);
    fixture_run(f, 4000);
    SILENCE_IS("raised high 2880 | suspended high 3010 | resumed high 3100");
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "suspended"), "until"), fixture_time(3100));
    CU_ASSERT_EQUAL(
        fixture_command(f, COMMAND_SUSPENSION, 4000,
                        "{'patient_id':17,'rule':'s.w','from':'%s','until':'%s','author':'N','reason':'r'}",
                        fixture_time(3900), fixture_time(4100)),
        OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(f->reply, "\"moved\":true"));
    SILENCE_IS("suspended high 4000 (r)");
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "suspended"), "author"), "N");
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "suspended"), "reason"), "r");
    fixture_close(f);
}

/* Due at the very instant at which a suspension begins. */
static void test_due_as_suspension_begins(void)
{
    begin(GAP_2D, 0, "UTC");
    CU_ASSERT_EQUAL(
        fixture_command(f, COMMAND_SUSPENSION, 10,
                        "{'patient_id':17,'rule':'s.w','from':'%s','until':'%s','author':'N','reason':'r'}",
                        fixture_time(2 * DAY_MIN), fixture_time(3 * DAY_MIN)),
        OK);
    fixture_run(f, 4 * DAY_MIN);
    SILENCE_IS("raised high 2880 | suspended high 2880 | resumed high 4320");
    fixture_close(f);
}

static void test_suspension_bounds(void)
{
    begin(GAP_2D, 0, "UTC");
    const char *format = "{'patient_id':17,'rule':'%s','from':'%s','until':'%s','author':'N','reason':'r'%s}";
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_SUSPENSION, 0, format, "s.w", fixture_time(0),
                                    fixture_time(31 * DAY_MIN + 1), ""),
                    ERR_REFUSED);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_SUSPENSION, 0, format, "s.other", fixture_time(0),
                                    fixture_time(DAY_MIN), ""),
                    ERR_REFUSED);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_SUSPENSION, 0, format, "s.w", fixture_time(0),
                                    fixture_time(31 * DAY_MIN), ""),
                    OK);
    fixture_run(f, 30 * DAY_MIN);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_SUSPENSION, 30 * DAY_MIN, format, "s.w",
                                    fixture_time(30 * DAY_MIN), fixture_time(32 * DAY_MIN), ""),
                    ERR_REFUSED);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_SUSPENSION, 30 * DAY_MIN, format, "s.w",
                                    fixture_time(30 * DAY_MIN), fixture_time(32 * DAY_MIN),
                                    ",'role':'physician'"),
                    OK);
    fixture_close(f);
}

/* Paris in summer: the days begin at 22:00 UTC. Enrolled on Monday at noon: Monday began before, Tuesday and
 * Wednesday are missed, Wednesday closes on Thursday at 04:00 UTC. */
static void test_missed_days(void)
{
    begin(DAYS_2, 720, "Europe/Paris");
    fixture_run(f, 3 * DAY_MIN + 4 * 60);
    SILENCE_IS("");
    fixture_run(f, 3 * DAY_MIN + 4 * 60 + 1);
    SILENCE_IS("raised medium 4560");
    OFFER("body-weight", "70", 5000);
    SILENCE_IS("cleared medium 5000");
    fixture_close(f);
}

static void test_filled_day_ends_run(void)
{
    begin(DAYS_2, 0, "UTC");                  /* enrolled at midnight: Monday counts */
    OFFER("body-weight", "70", DAY_MIN + 60); /* Tuesday */
    fixture_run(f, 4 * DAY_MIN + 6 * 60);
    SILENCE_IS("");
    fixture_run(f, 4 * DAY_MIN + 6 * 60 + 1);
    SILENCE_IS("raised medium 6120");
    fixture_close(f);
}

/* Not raised when a reading was received since the k-th day's end; a day is filled by what was measured in
 * it. */
static void test_reading_within_grace(void)
{
    begin(DAYS_2, 0, "UTC");
    OFFER("body-weight", "70", 2 * DAY_MIN + 120); /* Wednesday 02:00: Monday and Tuesday are empty */
    fixture_run(f, 2 * DAY_MIN + 6 * 60 + 1);
    SILENCE_IS("");
    fixture_close(f);
    begin(DAYS_2, 0, "UTC");
    fixture_offer(f, (struct offer){
                         .parameter = "body-weight", .value = "70", .at = 1600, .received = 2 * DAY_MIN - 1});
    fixture_run(f, 2 * DAY_MIN + 6 * 60 + 1); /* Tuesday is filled */
    SILENCE_IS("");
    fixture_close(f);
}

static void test_days_touched_by_suspension(void)
{
    begin(DAYS_2, 0, "UTC");
    CU_ASSERT_EQUAL(
        fixture_command(f, COMMAND_SUSPENSION, 0,
                        "{'patient_id':17,'rule':'s.w','from':'%s','until':'%s','author':'N','reason':'r'}",
                        fixture_time(DAY_MIN + 60), fixture_time(DAY_MIN + 120)),
        OK);
    fixture_run(f, 2 * DAY_MIN + 7 * 60);
    SILENCE_IS(""); /* Tuesday is touched: neither counts nor ends the run */
    fixture_run(f, 3 * DAY_MIN + 6 * 60 + 1);
    SILENCE_IS("raised medium 4680");
    fixture_close(f);
}

static void test_version_raises_when_due_and_never_clears(void)
{
    begin(GAP_2D, 0, "UTC");
    fixture_run(f, 2000);
    CU_ASSERT_EQUAL(
        line_rule(2000, 2,
                  "{'id':'s.w','line':'hf','kind':'silence','max_gap':'1d','parameters':['body-weight'],"
                  "'priority':'low'}"),
        OK);
    SILENCE_IS("");
    fixture_run(f, 2001);
    SILENCE_IS("raised low 2000");
    CU_ASSERT_EQUAL(
        line_rule(2100, 3,
                  "{'id':'s.w','line':'hf','kind':'silence','max_gap':'20d','parameters':['body-weight'],"
                  "'priority':'low'}"),
        OK);
    fixture_run(f, 2200);
    SILENCE_IS("");
    fixture_close(f);
}

static void test_nobody_disables(void)
{
    begin(GAP_2D, 0, "UTC");
    CU_ASSERT_EQUAL(line_rule(1, 2, "{'id':'s.w','inherit':true}"), ERR_REFUSED);
    CU_ASSERT_EQUAL(line_rule(1, 2,
                              "{'id':'s.w','line':'hf','kind':'silence','max_gap':'2d','enabled':false,"
                              "'parameters':['body-weight'],'priority':'high'}"),
                    ERR_REFUSED);
    CU_ASSERT_EQUAL(fixture_rule(f, 1, 1, "{'id':'s.w','inherit':true}"),
                    OK); /* beneath it the line's goes on */
    fixture_run(f, 2 * DAY_MIN + 1);
    SILENCE_IS("raised high 2880");
    fixture_close(f);
}

static void test_enrolment_needs_silence(void)
{
    fixture_open(f);
    CU_ASSERT_EQUAL(enrol(0, "UTC"), ERR_REFUSED);
    CU_ASSERT_PTR_NOT_NULL(strstr(f->reply, "\"what\":\"line\""));
    CU_ASSERT_PTR_NULL(engine_patient(f->engine, 17));
    CU_ASSERT_EQUAL(line_rule(0, 1, GAP_2D), OK);
    CU_ASSERT_EQUAL(enrol(0, "Nowhere/Town"), ERR_REFUSED);
    CU_ASSERT_EQUAL(enrol(0, "UTC"), OK);
    fixture_close(f);
}

static void test_left_closes(void)
{
    begin(GAP_2D, 0, "UTC");
    fixture_run(f, 3000);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_LEFT, 3000, "{'patient_id':17,'at':null,'reason':'moved'}"),
                    OK);
    SILENCE_IS("raised high 2880 | closed high 3000 (left)");
    fixture_run(f, 20 * DAY_MIN);
    SILENCE_IS("");
    CU_ASSERT_EQUAL(engine_next_due_ms(f->engine), INT64_MAX);
    fixture_close(f);
}

static void test_left_later(void)
{
    begin(GAP_2D, 0, "UTC");
    fixture_run(f, 3000);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_LEFT, 3000, "{'patient_id':17,'at':'%s','reason':'moved'}",
                                    fixture_time(3500)),
                    OK);
    fixture_run(f, 4000);
    SILENCE_IS("raised high 2880 | closed high 3500 (left)");
    fixture_close(f);
}

/* Many due at once: in order, bounded a tick, nothing left behind. */
static void test_many_due(void)
{
    enum { PATIENTS = 3000 };
    fixture_open(f);
    CU_ASSERT_EQUAL(line_rule(0, 1, GAP_2D), OK);
    for (int i = 1; i <= PATIENTS; i++)
        CU_ASSERT_EQUAL(
            fixture_command(f, COMMAND_PATIENT, 0,
                            "{'patient_id':%d,'ref':'P-%d','organization':'O','line':'hf','team':null,"
                            "'time_zone':'UTC','enrolled_at':null}",
                            i, i),
            OK);
    fixture_tick(f, 2 * DAY_MIN + 1);
    CU_ASSERT_EQUAL(f->count, PATIENTS);
    for (int i = 0; i < PATIENTS; i++)
        CU_ASSERT_EQUAL(f->heads[i].patient_id, i + 1);
    fixture_close(f);
}

/* Ten years that an operator confirmed: no up time, no missed day, and the days before still count. */
static void test_skipped_time(void)
{
    begin(GAP_2D, 0, "UTC");
    fixture_run(f, DAY_MIN + 600);
    double to = 3650 * DAY_MIN + 600;
    engine_tick(f->engine, EPOCH_MS + (int64_t)(to * MINUTE_MS), 0, TICK_SKIPPED);
    SILENCE_IS("");
    fixture_run(f, to + DAY_MIN - 600);
    SILENCE_IS("");
    fixture_run(f, to + DAY_MIN - 599);
    SILENCE_IS("raised high 5.25744e+06");
    fixture_close(f);

    begin(DAYS_2, 0, "UTC");
    fixture_run(f, DAY_MIN + 600); /* day 0 is missed and closed; day 1 is skipped into */
    engine_tick(f->engine, EPOCH_MS + (int64_t)(to * MINUTE_MS), 0, TICK_SKIPPED);
    fixture_run(f, 3652 * DAY_MIN + 360); /* the day that it ends in does not count either */
    SILENCE_IS("");
    fixture_run(f, 3652 * DAY_MIN + 361);
    SILENCE_IS("raised medium 5.25924e+06"); /* day 3651, six hours behind its end */
    fixture_close(f);
}

/* RULES.md section 4: days that a suspension touches neither count nor end the run; their closing decides
 * nothing. */
static void test_version_after_a_touched_day(void)
{
    begin(DAYS_2, 0, "UTC");
    OFFER("body-weight", "70", 60);               /* day 0 */
    fixture_run(f, 2 * DAY_MIN + 30);             /* day 1 is missed */
    OFFER("body-weight", "71", 2 * DAY_MIN + 60); /* received since day 1 ended */
    fixture_command(f, COMMAND_SUSPENSION, 2 * DAY_MIN + 120,
                    "{'patient_id':17,'rule':'s.w','until':'%s','author':'a','reason':'r'}",
                    fixture_time(2 * DAY_MIN + 180));
    fixture_run(f, 3 * DAY_MIN + 400); /* day 2 is closed, and touched */
    line_rule(3 * DAY_MIN + 400, 2,
              "{'id':'s.w','line':'hf','kind':'silence','missed_days':1,'grace':'6h','parameters':"
              "['body-weight'],'priority':'medium'}");
    fixture_run(f, 3 * DAY_MIN + 500);
    SILENCE_IS("");
    fixture_close(f);
}

/* An amendment of what is known is no second sign of life. */
static void test_amendment_is_no_sign(void)
{
    begin(GAP_2D, 0, "UTC");
    OFFER("body-weight", "70", 100);
    fixture_offer(f, (struct offer){.parameter = "body-weight",
                                    .value = "71",
                                    .at = 100,
                                    .received = 2000,
                                    .status = "corrected",
                                    .issued = 2000});
    fixture_run(f, 100 + 2 * DAY_MIN + 1);
    SILENCE_IS("raised high 2980");
    fixture_close(f);
}

SUITE(engine_silence) = {
    {"skipped time", test_skipped_time},
    {"a version after a day that a suspension touched", test_version_after_a_touched_day},
    {"never seen", test_never_seen},
    {"a reading at the instant it is due", test_reading_at_the_instant},
    {"other parameters do not count", test_other_parameters_do_not_count},
    {"what counts", test_what_counts},
    {"a backlog in one request", test_backlog_in_one_request},
    {"an outage of our own", test_outage},
    {"no up time before the first tick", test_before_first_tick_is_no_up_time},
    {"a suspension", test_suspension},
    {"suspended and resumed", test_suspended_and_resumed},
    {"due as a suspension begins", test_due_as_suspension_begins},
    {"bounds of suspensions", test_suspension_bounds},
    {"missed days", test_missed_days},
    {"a filled day ends the run", test_filled_day_ends_run},
    {"a reading within grace", test_reading_within_grace},
    {"days touched by a suspension", test_days_touched_by_suspension},
    {"a new version raises when due, never clears", test_version_raises_when_due_and_never_clears},
    {"nobody disables it", test_nobody_disables},
    {"no enrolment without it", test_enrolment_needs_silence},
    {"closed when the patient leaves", test_left_closes},
    {"closed when the patient leaves later", test_left_later},
    {"many due at once", test_many_due},
    {"an amendment is no sign of life", test_amendment_is_no_sign},
    {NULL, NULL},
};
