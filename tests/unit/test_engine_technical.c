/* engine_technical: alerts of built-in rules, RULES.md section 5: quarantine, late readings, own outage. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/engine_fixture.h"

static struct fixture fixture, *const f = &fixture;

static struct offer impossible(const char *parameter, double at)
{
    return (struct offer){
        .parameter = parameter, .value = "0", .at = at, .quarantine = QUARANTINE_IMPOSSIBLE};
}

static void test_quarantine(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(fixture_offer(f, impossible("body-weight", 10)), VERDICT_QUARANTINED);
    TRACE_IS("raised low 10"); /* no rule on it: low */
    const json_t *event = fixture_last(f, "raised"), *rule = json_object_get(event, "rule");
    CU_ASSERT_STRING_EQUAL(event_text(event, "class"), "technical");
    CU_ASSERT_STRING_EQUAL(event_text(rule, "id"), "technical.quarantine");
    CU_ASSERT_STRING_EQUAL(event_text(rule, "layer"), "built-in");
    CU_ASSERT_STRING_EQUAL(event_text(json_object_get(rule, "parameters"), "reason"), "impossible");
    CU_ASSERT_STRING_EQUAL(event_text(json_object_get(event, "parameter"), "name"), "body-weight");
    CU_ASSERT_EQUAL(fixture_offer(f, impossible("body-weight", 10)), VERDICT_DUPLICATE);
    fixture_offer(f, impossible("body-weight", 500)); /* counted, and it waits 24 h from here */
    fixture_run(f, 500 + DAY_MIN);
    TRACE_IS("");
    fixture_run(f, 500 + DAY_MIN + 1);
    TRACE_IS("cleared low 1940");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(fixture_last(f, "cleared"), "readings_in_breach")), 2);
    fixture_offer(f, impossible("body-weight", 3000));
    TRACE_IS("raised low 3000");
    fixture_close(f);
}

/* Priority of the patient's most urgent rule on the parameter; an episode for each parameter and reason. */
static void test_quarantine_priority_and_subject(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(
        fixture_rule(
            f, 0, 0,
            "{'id':'t.hr','parameter':'heart-rate','unit':'/min','kind':'limit','levels':["
            "{'priority':'low','above':90},{'priority':'high','above':120}],'text':{'fr':'f','en':'e'}}"),
        OK);
    fixture_offer(f, impossible("heart-rate", 10));
    TRACE_IS("raised high 10");
    fixture_offer(f, impossible("body-weight", 11));
    TRACE_IS("raised low 11");
    fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = "70", .at = 100, .received = 12});
    TRACE_IS("raised high 100"); /* measured then, received at 12 */
    fixture_close(f);
}

/* Beyond the tolerance; the same identity again is a duplicate, also when its time has come. */
static void test_future(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(
        fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = "70", .at = 15, .received = 10}),
        VERDICT_ACCEPTED);
    CU_ASSERT_EQUAL(
        fixture_offer(f,
                      (struct offer){.parameter = "heart-rate", .value = "70", .at = 15.001, .received = 10}),
        VERDICT_QUARANTINED);
    CU_ASSERT_EQUAL(
        fixture_offer(f,
                      (struct offer){.parameter = "heart-rate", .value = "70", .at = 15.001, .received = 20}),
        VERDICT_DUPLICATE);
    fixture_close(f);
}

/* A quarantined reading is in no series. */
static void test_quarantined_is_not_judged(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(
        fixture_rule(f, 0, 0,
                     "{'id':'t.hr','parameter':'heart-rate','unit':'/min','kind':'limit','levels':["
                     "{'priority':'low','below':50}],'text':{'fr':'f','en':'e'}}"),
        OK);
    fixture_offer(f, impossible("heart-rate", 10));
    CU_ASSERT_STRING_EQUAL(fixture_trace_of(f, "t.hr"), "");
    OFFER("heart-rate", "40", 11);
    CU_ASSERT_STRING_EQUAL(fixture_trace_of(f, "t.hr"), "raised low 11");
    fixture_close(f);
}

/* One episode a patient, parameter and day of reception (Paris: the day ends at 22:00 UTC). */
static void test_late_readings(void)
{
    fixture_open_patient(f);
    double now = 60 * DAY_MIN + 100, old = 20 * DAY_MIN;
    fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = "70", .at = old, .received = now});
    fixture_offer(
        f, (struct offer){.parameter = "heart-rate", .value = "71", .at = old + 1, .received = now + 1});
    fixture_run(f, 60 * DAY_MIN + 22 * 60 + 1);
    fixture_offer(f, (struct offer){.parameter = "heart-rate",
                                    .value = "72",
                                    .at = old + 2,
                                    .received = 60 * DAY_MIN + 22 * 60 + 2});
    TRACE_IS("raised low 28800 | cleared low 87720 | raised low 28802");
    fixture_close(f);
}

static void test_own_outage(void)
{
    fixture_open_patient(f);
    fixture_tick(f, 100);
    TRACE_IS("");
    fixture_restart(f, 100); /* no time went by */
    TRACE_IS("");
    fixture_restart(f, 130);
    TRACE_IS("raised medium 100 | cleared medium 130");
    const json_t *event = fixture_last(f, "cleared");
    CU_ASSERT_TRUE(json_is_null(json_object_get(event, "patient")));
    CU_ASSERT_TRUE(json_is_null(json_object_get(event, "organization")));
    CU_ASSERT_STRING_EQUAL(event_text(event, "state"), "cleared");
    const struct alert_event *head = &f->heads[f->count - 1];
    CU_ASSERT_EQUAL(head->patient_id, 0);
    CU_ASSERT_EQUAL(memcmp(head->key, "node-1", 6), 0);
    CU_ASSERT_EQUAL(head->key_size, 6);
    fixture_close(f);
}

static void test_left_closes(void)
{
    fixture_open_patient(f);
    fixture_offer(f, impossible("body-weight", 10));
    CU_ASSERT_EQUAL(
        fixture_command(f, COMMAND_LEFT, 20, "{'patient_id':17,'at':'%s','reason':'r'}", fixture_time(30)),
        OK);
    fixture_run(f, 40);
    TRACE_IS("raised low 10 | closed low 30 (left)");
    fixture_close(f);
}

/* Far more quarantined readings than are held aside change nothing for the good ones. */
static void test_quarantine_is_bounded(void)
{
    fixture_open_patient(f);
    for (int i = 0; i < 1500; i++)
        fixture_offer(
            f, (struct offer){.parameter = "heart-rate", .value = "70", .at = 100000 + i, .received = 10});
    CU_ASSERT_EQUAL(OFFER("heart-rate", "70", 11), VERDICT_ACCEPTED);
    TRACE_IS("raised low 100000");
    fixture_close(f);
}

/* A sender that makes up a device for each reading: names that nothing names are forgotten. */
static void test_names_are_bounded(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(
        fixture_rule(f, 0, 0,
                     "{'id':'t.hr','parameter':'heart-rate','unit':'/min','kind':'limit','levels':["
                     "{'priority':'low','above':90}],'text':{'fr':'f','en':'e'}}"),
        OK);
    for (int i = 0; i < 6000; i++) {
        char device[16];
        snprintf(device, sizeof device, "device-%d", i);
        fixture_offer(f, (struct offer){.parameter = "heart-rate",
                                        .value = i % 2 ? "100" : "80",
                                        .at = 1 + i * 20.0,
                                        .device = device});
    }
    CU_ASSERT_EQUAL(f->count, 3000 + 3000 - 1);
    CU_ASSERT_STRING_EQUAL(event_text(f->events[f->count - 1], "event"), "raised");
    fixture_close(f);
}

/* The longest event that the bounds allow. */
static void test_longest_event(void)
{
    static char text[2001], rule[6000];
    memset(text, 'x', 2000);
    snprintf(rule, sizeof rule,
             "{'id':'t.hr','parameter':'heart-rate','unit':'/"
             "min','kind':'limit','count':40,'clear_count':1,'levels':["
             "{'priority':'low','above':90},{'priority':'high','above':120}],'text':{'fr':'%.480s','en':'%."
             "480s'}}",
             text, text);
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(fixture_rule(f, 0, 0, rule), OK);
    for (int i = 0; i < 8000; i++) {
        bool high = i % 80 < 40;
        fixture_offer(
            f, (struct offer){.parameter = "heart-rate", .value = high ? "130" : "100", .at = 1 + i * 0.5});
    }
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_ACKNOWLEDGE, 9000,
                                    "{'episode':'%s','author':'%s','note':'%s'}",
                                    event_text(f->events[0], "episode_id"), text, text),
                    OK);
    CU_ASSERT_TRUE(strlen(f->texts[f->count - 1]) > 8000);
    CU_ASSERT_TRUE(strlen(f->texts[f->count - 1]) <= EVENT_JSON_BYTES_MAX);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(f->events[f->count - 1], "priorities")), 64);
    fixture_close(f);
}

#define ALERT_IS(rule, text) CU_ASSERT_STRING_EQUAL(fixture_check(fixture_trace_of(f, rule), text), text)

static enum err tell(double minute, const char *priority)
{
    return fixture_command(f, COMMAND_CONDITION, minute,
                           "{'command':'condition','alert':'technical.disk','priority':'%s','note':'n'}",
                           priority);
}

/* What the node finds of itself: an episode whose priority follows it. */
static void test_condition(void)
{
    fixture_open(f);
    CU_ASSERT_EQUAL(tell(1, ""), OK); /* over before it began: nothing */
    CU_ASSERT_EQUAL(tell(2, "low"), OK);
    CU_ASSERT_EQUAL(tell(3, "low"), OK);
    CU_ASSERT_EQUAL(tell(4, "high"), OK);
    CU_ASSERT_EQUAL(tell(5, "medium"), OK);
    CU_ASSERT_EQUAL(tell(6, ""), OK);
    CU_ASSERT_EQUAL(tell(7, "low"), OK);
    ALERT_IS("technical.disk",
             "raised low 2 | escalated high 4 | deescalated medium 5 | cleared medium 6 | raised low 7");
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "escalated"), "note"), "n");
    CU_ASSERT_TRUE(json_is_null(json_object_get(fixture_last(f, "raised"), "patient")));
    CU_ASSERT_EQUAL(
        fixture_command(f, COMMAND_CONDITION, 8, "{'alert':'technical.quarantine','priority':'low'}"),
        ERR_REFUSED); /* of patients, not of the node */
    CU_ASSERT_EQUAL(tell(8, "urgent"), ERR_REFUSED);
    fixture_close(f);
}

/* They go on behind a snapshot: the same episodes, the same priorities. */
static void test_condition_goes_on(void)
{
    static struct fixture before;
    fixture_open(&before);
    fixture_command(&before, COMMAND_CONDITION, 2, "{'alert':'technical.disk','priority':'low'}");
    fixture_command(&before, COMMAND_CONDITION, 3, "{'alert':'technical.sink-kafka','priority':'high'}");
    CU_ASSERT_EQUAL_FATAL(before.count, 2);
    fixture_move(&before, f);
    CU_ASSERT_EQUAL(tell(4, "low"), OK); /* it is known to be low */
    CU_ASSERT_EQUAL(tell(5, "high"), OK);
    fixture_command(f, COMMAND_CONDITION, 6, "{'alert':'technical.sink-kafka','priority':''}");
    ALERT_IS("technical.", "escalated high 5 | cleared high 6");
    for (int i = 0; i < 2; i++)
        CU_ASSERT_STRING_EQUAL(event_text(f->events[i], "episode_id"),
                               event_text(before.events[i], "episode_id"));
    fixture_close(&before);
    fixture_close(f);
}

static void test_clock_accept(void)
{
    fixture_open(f);
    fixture_command(f, COMMAND_CONDITION, 1, "{'alert':'technical.clock-jump','priority':'high','note':'n'}");
    fixture_command(f, COMMAND_CLOCK_ACCEPT, 2, "{'wall':1,'monotonic':1,'author':'Op A'}");
    ALERT_IS("technical.clock-jump", "raised high 1 | cleared high 2 (accepted)");
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "cleared"), "author"), "Op A");
    fixture_close(f);
}

/* Things arrive and nothing counts for 24 hours: the device's clock is wrong. */
static void test_device_clock(void)
{
    fixture_open_patient(f);
    double day = DAY_MIN;
    fixture_offer(
        f, (struct offer){.parameter = "heart-rate", .value = "70", .at = 3 * day, .received = 3 * day});
    fixture_offer(
        f, (struct offer){.parameter = "body-weight", .value = "70", .at = day, .received = 3 * day + 5});
    fixture_offer(f, (struct offer){
                         .parameter = "body-weight", .value = "71", .at = day + 1, .received = 3 * day + 60});
    fixture_run(f, 4 * day + 5);
    ALERT_IS("technical.device-clock", "");
    fixture_run(f, 4 * day + 6);
    ALERT_IS("technical.device-clock", "raised medium 5765");
    fixture_offer(f, (struct offer){
                         .parameter = "body-weight", .value = "72", .at = 4 * day, .received = 4 * day + 30});
    ALERT_IS("technical.device-clock", "cleared medium 5790");
    fixture_offer(f, (struct offer){.parameter = "body-weight",
                                    .value = "73",
                                    .at = 2 * day,
                                    .received = 5 * day}); /* and once more */
    fixture_run(f, 6 * day + 1);
    ALERT_IS("technical.device-clock", "raised medium 8640");
    fixture_close(f);
}

static enum err suspend(double minute, double until, const char *role)
{
    return fixture_command(f, COMMAND_SUSPENSION, minute,
                           "{'patient_id':17,'rule':'test.silence','until':'%s','author':'a','reason':'r',"
                           "'role':'%s'}",
                           fixture_time(until), role);
}

static void test_suspension_too_long(void)
{
    fixture_open_patient(f);
    double day = DAY_MIN;
    CU_ASSERT_EQUAL(suspend(1, 30 * day, ""), OK);
    CU_ASSERT_EQUAL(suspend(20 * day, 40 * day, "nurse"), ERR_REFUSED);
    ALERT_IS("technical.suspension", "");
    CU_ASSERT_EQUAL(suspend(20 * day, 40 * day, "physician"), OK);
    ALERT_IS("technical.suspension", "raised medium 28800");
    fixture_run(f, 41 * day);
    ALERT_IS("technical.suspension", "cleared medium 57600");
    fixture_close(f);
}

/* Of several that are too long, the alert ends with the last to end. */
static void test_suspensions_too_long(void)
{
    double day = DAY_MIN;
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(suspend(1, 30 * day, ""), OK);
    CU_ASSERT_EQUAL(suspend(20 * day, 40 * day, "physician"), OK);
    CU_ASSERT_EQUAL(suspend(21 * day, 38 * day, "physician"), OK);
    ALERT_IS("technical.suspension", "raised medium 28800");
    fixture_run(f, 39 * day);
    ALERT_IS("technical.suspension", "");
    CU_ASSERT_EQUAL(suspend(39 * day, 50 * day, "physician"), OK);
    fixture_run(f, 41 * day);
    ALERT_IS("technical.suspension", "");
    fixture_run(f, 51 * day);
    ALERT_IS("technical.suspension", "cleared medium 72000");
    fixture_close(f);
}

SUITE(engine_technical) = {
    {"suspensions that are too long", test_suspensions_too_long},
    {"a condition of the node", test_condition},
    {"a condition goes on behind a snapshot", test_condition_goes_on},
    {"a confirmed clock ends its alert", test_clock_accept},
    {"device clock", test_device_clock},
    {"a suspension that is too long", test_suspension_too_long},
    {"quarantine", test_quarantine},
    {"quarantine: priority and subject", test_quarantine_priority_and_subject},
    {"quarantine: future", test_future},
    {"what is quarantined is not judged", test_quarantined_is_not_judged},
    {"late readings", test_late_readings},
    {"own outage", test_own_outage},
    {"closed when the patient leaves", test_left_closes},
    {"quarantine is bounded", test_quarantine_is_bounded},
    {"names are bounded", test_names_are_bounded},
    {"the longest event", test_longest_event},
    {NULL, NULL},
};
