/* engine_unconfirmed: patients whom rules do not watch because no physician has confirmed them: listed,
 * counted, and a technical alert, RULES.md sections 2 and 5. */
#include <string.h>

#include "tests/unit/engine_fixture.h"

static struct fixture fixture, *const f = &fixture;

#define RULE                                                                                                 \
    "{'id':'t.hr','line':'test','parameter':'heart-rate','unit':'/min','kind':'limit','levels':["            \
    "{'priority':'medium','above':100}],'text':{'fr':'f','en':'e'},'requires_validation':true}"

static int64_t version;

/* A set of changes is complete. */
static void mark(double minute)
{
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_REGISTRY, minute, "{'version':%lld}", (long long)++version),
                    OK);
}

static void line_rule(double minute, double from, const char *rule)
{
    CU_ASSERT_EQUAL(
        fixture_command(f, COMMAND_RULE, minute,
                        "{'layer':'line','scope':'test','version':%lld,'author':'a','role':'system',"
                        "'reason':'r','valid_from':'%s','rule':%s}",
                        (long long)++f->version, fixture_time(from), rule),
        OK);
}

static void confirm(double minute, double from)
{
    CU_ASSERT_EQUAL(
        fixture_command(f, COMMAND_CONFIRMATION, minute,
                        "{'patient_id':17,'line':'test','author':'Dr A','role':'physician','from':'%s'}",
                        fixture_time(from)),
        OK);
}

/* "1 P-1: t.hr" */
static const char *listed(void)
{
    static char text[512];
    CU_ASSERT_EQUAL(
        fixture_command(f, COMMAND_UNCONFIRMED, (double)(engine_now_ms(f->engine) - EPOCH_MS) / 60000, "{}"),
        OK);
    json_t *reply = json_loads(f->reply, 0, NULL), *patients = json_object_get(reply, "patients"), *patient,
           *rule;
    size_t p, r;
    snprintf(text, sizeof text, "%lld", (long long)json_integer_value(json_object_get(reply, "total")));
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(reply, "total")), engine_unconfirmed_count(f->engine));
    json_array_foreach(patients, p, patient)
    {
        snprintf(text + strlen(text), sizeof text - strlen(text), " %s:", event_text(patient, "patient"));
        json_array_foreach(json_object_get(patient, "rules"), r, rule)
            snprintf(text + strlen(text), sizeof text - strlen(text), " %s", json_string_value(rule));
    }
    json_decref(reply);
    return text;
}
#define LISTED_IS(text) CU_ASSERT_STRING_EQUAL(fixture_check(listed(), text), text)

static void test_from_enrolment_to_confirmation(void)
{
    fixture_open_patient(f);
    line_rule(1, 1, RULE);
    TRACE_IS(""); /* the set is not complete */
    mark(1);
    TRACE_IS("raised medium 1");
    const json_t *event = fixture_last(f, "raised"), *rule = json_object_get(event, "rule");
    CU_ASSERT_STRING_EQUAL(event_text(rule, "id"), "technical.rules-unconfirmed");
    CU_ASSERT_STRING_EQUAL(event_text(event, "class"), "technical");
    CU_ASSERT_STRING_EQUAL(event_text(event, "patient"), "P-1");
    LISTED_IS("1 P-1: t.hr");
    mark(2);
    OFFER("heart-rate", "150", 3); /* it does not watch */
    TRACE_IS("");
    confirm(4, 4);
    mark(4);
    TRACE_IS("cleared medium 4");
    LISTED_IS("0");
    OFFER("heart-rate", "150", 5);
    TRACE_IS("raised medium 5");
    fixture_close(f);
}

/* Enrolled and confirmed in one set of changes: nobody is called. */
static void test_one_set_raises_nothing(void)
{
    fixture_open_patient(f);
    line_rule(1, 1, RULE);
    confirm(1, 1);
    mark(1);
    fixture_run(f, DAY_MIN);
    TRACE_IS("");
    LISTED_IS("0");
    fixture_close(f);
}

/* Versions and confirmations that lie ahead: by the clock. */
static void test_by_the_clock(void)
{
    fixture_open_patient(f);
    line_rule(1, 100, RULE);
    mark(1);
    confirm(2, 300); /* committed later than the version: it confirms it, from then */
    mark(2);
    TRACE_IS("");
    fixture_run(f, 100);
    TRACE_IS("");
    fixture_run(f, 101);
    TRACE_IS("raised medium 100");
    fixture_run(f, 301);
    TRACE_IS("cleared medium 300");
    fixture_run(f, DAY_MIN);
    TRACE_IS("");
    fixture_close(f);
}

/* Another layer's version watches; a newer version waits while the confirmed one stays in force. */
static void test_what_watches(void)
{
    fixture_open_patient(f);
    line_rule(1, 1, RULE);
    CU_ASSERT_EQUAL(
        fixture_rule(f, 1, 1,
                     "{'id':'t.hr','parameter':'heart-rate','unit':'/min','kind':'limit','levels':["
                     "{'priority':'medium','above':90}],'text':{'fr':'f','en':'e'}}"),
        OK);
    mark(1);
    TRACE_IS("");
    CU_ASSERT_EQUAL(fixture_rule(f, 10, 10, "{'id':'t.hr','inherit':true}"), OK);
    mark(10); /* a version of the patient's layer exists: the line's counts as confirmed */
    TRACE_IS("");
    fixture_close(f);
    fixture_open_patient(f);
    line_rule(1, 1, RULE);
    confirm(1, 1);
    line_rule(2, 2,
              "{'id':'t.hr','line':'test','parameter':'heart-rate','unit':'/min','kind':'limit','levels':["
              "{'priority':'medium','above':80}],'text':{'fr':'f','en':'e'},'requires_validation':true}");
    mark(2);
    TRACE_IS("");
    LISTED_IS("0");
    line_rule(3, 3,
              "{'id':'t.more','line':'test','parameter':'heart-rate','unit':'/min','kind':'limit','levels':["
              "{'priority':'medium','above':80}],'text':{'fr':'f','en':'e'},'requires_validation':true}");
    mark(3); /* a rule that is new to the line watches nobody yet */
    TRACE_IS("raised medium 3");
    LISTED_IS("1 P-1: t.more");
    fixture_close(f);
}

/* A rule of line and organisation waits once; silence never does. The patient's rules tell both. */
static void test_each_once(void)
{
    fixture_open_patient(f);
    line_rule(1, 1, RULE);
    line_rule(1, 1,
              "{'id':'more.silence','line':'test','kind':'silence','max_gap':'31d','parameters':['spo2'],"
              "'priority':'low','requires_validation':true}");
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_RULE, 1,
                                    "{'layer':'organization','scope':'O','version':%lld,'author':'a','role':"
                                    "'system','reason':'r','valid_from':null,'rule':" RULE "}",
                                    (long long)++f->version),
                    OK);
    mark(1);
    TRACE_IS("raised medium 1");
    LISTED_IS("1 P-1: t.hr");
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_SHOW, 2, "{'patient_id':17}"), OK);
    struct buffer out = {0};
    engine_show(f->engine, 17, &out);
    json_t *shown = json_loadb(out.data, out.size, 0, NULL);
    const json_t *waiting = json_object_get(shown, "waiting");
    CU_ASSERT_EQUAL(json_array_size(waiting), 1);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(waiting, 0)), "t.hr");
    json_decref(shown);
    buffer_clear(&out);
    engine_show(f->engine, 99, &out); /* nobody */
    CU_ASSERT_EQUAL(out.size, 0);
    buffer_deinit(&out);
    fixture_close(f);
}

/* Who leaves is nobody's to confirm: at that instant, also one that lay ahead. */
static void test_departure(void)
{
    fixture_open_patient(f);
    line_rule(1, 1, RULE);
    mark(1);
    CU_ASSERT_EQUAL(
        fixture_command(f, COMMAND_LEFT, 2, "{'patient_id':17,'at':'%s','reason':'r'}", fixture_time(50)),
        OK);
    mark(2);
    TRACE_IS("raised medium 1");
    fixture_run(f, 51);
    TRACE_IS("closed medium 50 (left)");
    LISTED_IS("0");
    mark(60);
    TRACE_IS("");
    fixture_close(f);
}

/* A device's clock is doubtful until something counts, or the patient leaves. */
static void test_departure_ahead_closes_what_waits_for_nothing(void)
{
    fixture_open_patient(f);
    OFFER("body-weight", "70", 2 * DAY_MIN);
    fixture_offer(
        f, (struct offer){.parameter = "body-weight", .value = "71", .at = 10, .received = 2 * DAY_MIN + 1});
    fixture_run(f, 3 * DAY_MIN + 10);
    TRACE_IS("raised medium 4321");
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_LEFT, 3 * DAY_MIN + 11,
                                    "{'patient_id':17,'at':'%s','reason':'r'}", fixture_time(5000)),
                    OK);
    fixture_run(f, 5001);
    TRACE_IS("closed medium 5000 (left)");
    fixture_close(f);
}

/* Who has another technical alert is not listed for it. */
static void test_other_alerts(void)
{
    fixture_open_patient(f);
    fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = "70", .at = 10, .received = 1});
    TRACE_IS("raised low 10"); /* technical.quarantine */
    LISTED_IS("0");
    line_rule(2, 2, RULE);
    mark(2);
    TRACE_IS("raised medium 2");
    LISTED_IS("1 P-1: t.hr");
    fixture_close(f);
}

SUITE(engine_unconfirmed) = {
    {"each rule once", test_each_once},
    {"from enrolment to confirmation", test_from_enrolment_to_confirmation},
    {"one set of changes raises nothing", test_one_set_raises_nothing},
    {"by the clock", test_by_the_clock},
    {"what watches", test_what_watches},
    {"a departure", test_departure},
    {"a departure ahead closes what waits for nothing", test_departure_ahead_closes_what_waits_for_nothing},
    {"other alerts", test_other_alerts},
    {NULL, NULL},
};
