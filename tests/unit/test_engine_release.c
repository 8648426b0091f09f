/* engine_release: a quarantined reading that a person releases enters the series as if it had come then; what
 * was settled stays settled, over snapshots and when it is not held aside any more. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/engine_fixture.h"

static struct fixture fixture, other, *const f = &fixture;

#define RULE                                                                                                 \
    "{'id':'t.hr','parameter':'heart-rate','unit':'/min','kind':'limit','count':2,'levels':["                \
    "{'priority':'medium','above':100}],'text':{'fr':'f','en':'e'}}"

struct word {
    const char *value;
    double at, received; /* minutes */
    const char *status, *reason, *author;
    unsigned alias;
};

static enum err settle(struct fixture *to, enum command_kind kind, double minute, struct word word)
{
    char alias[16];
    snprintf(alias, sizeof alias, "a%u", word.alias);
    return fixture_command(
        to, kind, minute,
        "{'command':'%s','author':'%s','reason':'seen','patient_id':17,"
        "'reading_id':'01000000-0000-8000-8000-000000000000','quarantine_id':4,'quarantine':'%s',"
        "'parameter':'heart-rate','value':%s,'unit':'/min','comparator':'','measured_at':'%s',"
        "'received_at':'%s','issued':null,'status':'%s','origin':'automatic','flags':0,'source_id':3,"
        "'device_id':0,'group_id':-5,'time_precision':'time','utc_offset_min':-60,'key_device':'D',"
        "'sensor':null,'alias':%s%s%s,'original_text':'1','original_unit':'/min','original_code':'x',"
        "'context':'{}'}",
        command_word(kind), word.author == NULL ? "Dr A" : word.author,
        word.reason == NULL ? "impossible" : word.reason, word.value, fixture_time(word.at),
        fixture_time(word.received == 0 ? word.at : word.received),
        word.status == NULL ? "final" : word.status, word.alias == 0 ? "" : "'",
        word.alias == 0 ? "null" : alias, word.alias == 0 ? "" : "'");
}

static enum err release(double minute, const char *value, double at)
{
    return settle(f, COMMAND_RELEASE, minute, (struct word){.value = value, .at = at});
}

static uint8_t aside(struct fixture *to, const char *value, double at, double received)
{
    return fixture_offer(to, (struct offer){.parameter = "heart-rate",
                                            .value = value,
                                            .at = at,
                                            .received = received,
                                            .quarantine = QUARANTINE_IMPOSSIBLE});
}

static void open_with_rule(struct fixture *to)
{
    fixture_open_patient(to);
    CU_ASSERT_EQUAL_FATAL(fixture_rule(to, 0, 0, RULE), OK);
}

static bool refused(enum err outcome, const char *why)
{
    return outcome == ERR_REFUSED && strstr(f->reply, why) != NULL;
}

/* The same episodes as of a reading that came at that moment, in order and late. */
static void test_judged_as_if_it_came_now(void)
{
    for (int late = 0; late < 2; late++) {
        open_with_rule(f);
        open_with_rule(&other);
        CU_ASSERT_EQUAL(aside(f, "600", 11, 12), VERDICT_QUARANTINED);
        for (struct fixture *to = f; to != NULL; to = to == f ? &other : NULL) {
            fixture_offer(
                to, (struct offer){.parameter = "heart-rate", .value = "110", .at = 10, .received = 13});
            if (late)
                fixture_offer(
                    to, (struct offer){.parameter = "heart-rate", .value = "90", .at = 12, .received = 14});
        }
        (void)fixture_trace(f);
        CU_ASSERT_EQUAL(release(20, "600", 11), OK);
        TRACE_IS(late ? "raised medium 11 | cleared medium 12" : "raised medium 11");
        const json_t *raised = fixture_last(f, "raised");
        CU_ASSERT_STRING_EQUAL(event_text(raised, "received_at"), fixture_time(11));
        CU_ASSERT_STRING_EQUAL(event_text(raised, "decided_at"), fixture_time(20));
        CU_ASSERT_TRUE(json_is_false(json_object_get(raised, "retrospective")));
        fixture_offer(&other,
                      (struct offer){.parameter = "heart-rate", .value = "600", .at = 11, .received = 20});
        char expected[256];
        snprintf(expected, sizeof expected, "%s", fixture_episodes(&other));
        CU_ASSERT_PTR_NOT_NULL(strstr(expected, "t.hr high 11-"));
        CU_ASSERT_PTR_NOT_NULL(strstr(fixture_episodes(f), expected));
        fixture_close(f);
        fixture_close(&other);
    }
}

static void test_settled_once(void)
{
    open_with_rule(f);
    aside(f, "600", 11, 12);
    aside(f, "700", 12, 13);
    CU_ASSERT_EQUAL(release(20, "600", 11), OK);
    CU_ASSERT_EQUAL(settle(f, COMMAND_DISCARD, 20, (struct word){.value = "700", .at = 12}), OK);
    for (int loaded = 0; loaded < 2; loaded++) {
        CU_ASSERT_TRUE(refused(release(21, "600", 11), "released already"));
        CU_ASSERT_TRUE(refused(settle(f, COMMAND_DISCARD, 21, (struct word){.value = "600", .at = 11}),
                               "released already"));
        CU_ASSERT_TRUE(refused(release(21, "700", 12), "discarded already"));
        CU_ASSERT_TRUE(refused(settle(f, COMMAND_DISCARD, 21, (struct word){.value = "700", .at = 12}),
                               "discarded already"));
        CU_ASSERT_EQUAL(aside(f, "600", 11, 22), VERDICT_DUPLICATE);
        CU_ASSERT_EQUAL(aside(f, "700", 12, 22), VERDICT_DUPLICATE);
        if (loaded == 0) {
            fixture_move(f, &other);
            fixture_close(f);
            fixture = other;
        }
    }
    fixture_close(f);
}

/* 1,024 that came later have driven it out of what is known aside. */
static void test_not_held_aside_any_more(void)
{
    open_with_rule(f);
    aside(f, "600", 11, 12);
    for (int i = 0; i < 1024; i++)
        aside(f, "-1", 20 + i, 0);
    CU_ASSERT_EQUAL(release(2000, "600", 11), OK);
    CU_ASSERT_TRUE(refused(release(2001, "600", 11), "released already"));
    CU_ASSERT_EQUAL(aside(f, "600", 11, 2001), VERDICT_DUPLICATE);
    CU_ASSERT_EQUAL(settle(f, COMMAND_DISCARD, 2002, (struct word){.value = "601", .at = 11}), OK);
    fixture_close(f);
}

static void test_refused(void)
{
    open_with_rule(f);
    fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = "60", .at = 100, .received = 10});
    struct word future = {.value = "60", .at = 100, .received = 10, .reason = "future"};
    CU_ASSERT_TRUE(refused(settle(f, COMMAND_RELEASE, 94, future), "a time that has come"));
    CU_ASSERT_EQUAL(settle(f, COMMAND_RELEASE, 95, future), OK);
    struct word unit = {.value = "60", .at = 90, .reason = "unit"};
    CU_ASSERT_TRUE(refused(settle(f, COMMAND_RELEASE, 96, unit), "mass unit"));
    CU_ASSERT_EQUAL(settle(f, COMMAND_DISCARD, 96, unit), OK);
    struct word nobody = {.value = "60", .at = 90, .author = ""};
    CU_ASSERT_TRUE(refused(settle(f, COMMAND_RELEASE, 97, nobody), "who says so"));
    CU_ASSERT_TRUE(refused(
        settle(f, COMMAND_RELEASE, 97, (struct word){.value = "60", .at = 90, .status = "odd"}), "status"));
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_RELEASE, 98, "{'command':'release','author':'A'}"),
                    ERR_REFUSED);
    fixture_close(f);
}

/* In the future and in another unit: the unit stays the reason, else it would be released once its time came.
 */
static void test_unit_stays_the_reason(void)
{
    open_with_rule(f);
    struct offer offer = {
        .parameter = "heart-rate", .value = "60", .at = 100, .received = 10, .quarantine = QUARANTINE_UNIT};
    CU_ASSERT_EQUAL(fixture_offer(f, offer), VERDICT_QUARANTINED);
    const json_t *parameters =
        json_object_get(json_object_get(fixture_last(f, "raised"), "rule"), "parameters");
    CU_ASSERT_STRING_EQUAL(event_text(parameters, "reason"), "unit");
    fixture_close(f);
}

/* Corrections find it by key and, when it has one, by identifier, before and after. */
static void test_corrected(void)
{
    open_with_rule(f);
    OFFER("heart-rate", "110", 10);
    aside(f, "600", 11, 12);
    fixture_offer(f, (struct offer){.parameter = "heart-rate",
                                    .value = "80",
                                    .at = 11,
                                    .received = 13,
                                    .status = "corrected",
                                    .issued = 13});
    (void)fixture_trace(f);
    CU_ASSERT_EQUAL(release(20, "600", 11), OK);
    TRACE_IS(""); /* the correction of its key has won already */
    fixture_close(f);
}

static void test_unjudged_behind_the_look_back(void)
{
    const uint8_t *tail;
    open_with_rule(f);
    OFFER("heart-rate", "110", 10);
    aside(f, "600", 11, 12);
    fixture_run(f, 17 * DAY_MIN); /* 16 days: of class continuous */
    (void)fixture_trace(f);
    CU_ASSERT_EQUAL(release(17 * DAY_MIN, "600", 11), OK);
    const struct reading *released = engine_released(f->engine, &tail);
    CU_ASSERT_EQUAL(released->flags, FLAG_RELEASED | FLAG_LATE_UNJUDGED);
    CU_ASSERT_EQUAL(released->verdict, VERDICT_ACCEPTED);
    CU_ASSERT_EQUAL(released->received_at_ms, EPOCH_MS + 11 * MINUTE_MS);
    CU_ASSERT_TRUE(released->group_id == (uint64_t)-5 && released->utc_offset_min == -60);
    CU_ASSERT_EQUAL(tail_get(tail, released->tail_size, TAIL_KEY_DEVICE).size, 1);
    CU_ASSERT_PTR_NULL(tail_get(tail, released->tail_size, TAIL_SENSOR).data);
    CU_ASSERT_EQUAL(tail_get(tail, released->tail_size, TAIL_CONTEXT).size, 2);
    CU_ASSERT_PTR_NULL(strstr(fixture_trace_of(f, "t.hr"), "raised"));
    fixture_close(f);
}

const struct unit_test suite_engine_release[] = {
    {"judged as if it came now", test_judged_as_if_it_came_now},  {"settled once", test_settled_once},
    {"not held aside any more", test_not_held_aside_any_more},    {"refused", test_refused},
    {"the unit stays the reason", test_unit_stays_the_reason},    {"corrected", test_corrected},
    {"behind the look-back", test_unjudged_behind_the_look_back}, {NULL, NULL}};
