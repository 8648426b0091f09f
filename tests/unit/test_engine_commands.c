/* engine_commands: what a command may not say, one row a reason: the engine is told by the registry and by
 * people, and trusts neither (RULES.md sections 2, 4 and 5). */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/engine_fixture.h"

static struct fixture fixture, *const f = &fixture;

#define RULE_OF(layer, scope, rule)                                                                          \
    "{'layer':'" layer "','scope':" scope ",'version':9,'author':'a','role':'physician','reason':'r',"       \
    "'valid_from':null,'rule':" rule "}"
#define WEIGHT                                                                                               \
    "{'id':'t.w','kind':'change','parameter':'body-weight','unit':'kg','rise':2,'within':'84h',"             \
    "'priority':'low'}"
#define PATIENT(id, ref, rest) "{'patient_id':" id ",'ref':" ref "," rest "}"
#define AT_HOME                "'organization':'O','line':'test','team':'T','time_zone':'Europe/Paris','enrolled_at':null"
#define SUSPENSION(rest)       "{'patient_id':17," rest "}"
#define REFERENCE(rest)        "{'patient_id':17," rest "}"

static const struct {
    enum command_kind kind;
    const char *json;
    enum err outcome;
    const char *reply; /* what the answer has in it */
} rows[] = {
    {COMMAND_PATIENT, "5", ERR_REFUSED, "'what':'command'"},
    {COMMAND_PATIENT, "{'patient_id':17,'patient_id':17}", ERR_REFUSED, "'what':'command'"},
    {COMMAND_PATIENT, "{'committed_at':5}", ERR_REFUSED, "'what':'committed_at','found':'no text'"},
    {COMMAND_PATIENT, "{'committed_at':'2026-06-01'}", ERR_REFUSED, "'found':'2026-06-01'"},
    {COMMAND_PATIENT, PATIENT("null", "'P'", AT_HOME), ERR_REFUSED,
     "'what':'patient_id','found':'no number'"},
    {COMMAND_PATIENT, PATIENT("'17'", "'P'", AT_HOME), ERR_REFUSED, "'what':'patient_id'"},
    {COMMAND_PATIENT, PATIENT("1.5", "'P'", AT_HOME), ERR_REFUSED, "'found':'1.5'"},
    {COMMAND_PATIENT, PATIENT("-1", "'P'", AT_HOME), ERR_REFUSED, "'found':'-1'"},
    {COMMAND_PATIENT, PATIENT("18", "''", AT_HOME), ERR_REFUSED, "'what':'ref'"},
    {COMMAND_PATIENT, PATIENT("18", "null", AT_HOME), ERR_REFUSED, "'what':'ref','found':'nothing'"},
    {COMMAND_PATIENT,
     PATIENT("18", "'a2345678901234567890123456789012345678901234567890123456789012345'", AT_HOME),
     ERR_REFUSED, "'what':'ref'"},
    {COMMAND_PATIENT,
     PATIENT("18", "'P'", "'organization':'O','line':'test','time_zone':'Europe/Nowhere','enrolled_at':null"),
     ERR_REFUSED, "'what':'time_zone'"},
    {COMMAND_PATIENT,
     PATIENT("18", "'P'", "'organization':'O','line':'quiet','time_zone':'Europe/Paris','enrolled_at':null"),
     ERR_REFUSED, "'what':'line','found':'quiet'"},
    {COMMAND_PATIENT,
     PATIENT("18", "'P'", "'organization':'O','line':'none','time_zone':'Europe/Paris','enrolled_at':null"),
     ERR_REFUSED, "'what':'line','found':'none'"},
    {COMMAND_PATIENT,
     PATIENT("17", "'P-1'", "'organization':'B','line':'test','time_zone':'Europe/Paris','enrolled_at':null"),
     ERR_REFUSED, "'what':'organization'"},
    {COMMAND_PATIENT,
     PATIENT("17", "'P-1'",
             "'organization':'O','line':'test','time_zone':'Europe/Paris','enrolled_at':'soon'"),
     ERR_REFUSED, "'what':'enrolled_at'"},
    {COMMAND_PATIENT, PATIENT("17", "'P-1'", AT_HOME), OK, "'moved':false"},
    {COMMAND_LEFT, "{'patient_id':99}", ERR_NOT_FOUND, "'what':'patient_id'"},
    {COMMAND_LEFT, "{'patient_id':17,'reason':5}", ERR_REFUSED, "'what':'reason'"},
    {COMMAND_LEFT, "{'patient_id':17,'at':'x'}", ERR_REFUSED, "'what':'at'"},
    {COMMAND_CONFIRMATION, "{'patient_id':17,'author':'A','role':'physician'}", ERR_REFUSED, "'what':'line'"},
    {COMMAND_CONFIRMATION, "{'patient_id':17,'line':'test','author':'A','role':'nurse'}", ERR_REFUSED,
     "'what':'role','found':'nurse'"},
    {COMMAND_CONFIRMATION, "{'patient_id':99,'line':'test','author':'A','role':'physician'}", ERR_NOT_FOUND,
     ""},
    {COMMAND_CONFIRMATION, "{'patient_id':17,'line':'test','author':'A','role':'physician'}", OK,
     "'moved':false"},
    {COMMAND_CONFIRMATION,
     "{'patient_id':17,'line':'test','author':'A','role':'physician','from':'2026-05-01T00:00:00Z'}", OK,
     "'moved':true"},
    {COMMAND_CONFIRMATION,
     "{'patient_id':17,'line':'test','author':'B','role':'physician','from':'2026-05-01T00:00:00Z'}", OK,
     "'moved':true"},
    {COMMAND_CONFIRMATION,
     "{'patient_id':17,'line':'other','author':'B','role':'physician','from':'2026-05-01T00:00:00Z'}", OK,
     "'moved':true"},
    {COMMAND_REFERENCE, REFERENCE("'parameter':'weight','value':70,'unit':'kg'"), ERR_REFUSED,
     "'what':'parameter'"},
    {COMMAND_REFERENCE, REFERENCE("'value':70,'unit':'kg'"), ERR_REFUSED, "'what':'parameter'"},
    {COMMAND_REFERENCE, REFERENCE("'parameter':'body-weight','value':70,'unit':'cm'"), ERR_REFUSED,
     "'what':'unit'"},
    {COMMAND_REFERENCE, REFERENCE("'parameter':'body-weight','value':70"), ERR_REFUSED, "'what':'unit'"},
    {COMMAND_REFERENCE, REFERENCE("'parameter':'body-weight','value':'70','unit':'kg'"), ERR_REFUSED,
     "'what':'value'"},
    {COMMAND_REFERENCE, REFERENCE("'parameter':'body-weight','value':1e17,'unit':'kg'"), ERR_REFUSED,
     "'what':'value'"},
    {COMMAND_REFERENCE, "{'patient_id':99,'parameter':'body-weight','value':70,'unit':'kg'}", ERR_NOT_FOUND,
     ""},
    {COMMAND_REFERENCE, REFERENCE("'parameter':'body-weight','value':70,'unit':'kg','author':'A'"), OK,
     "'moved':false"},
    {COMMAND_REFERENCE, REFERENCE("'parameter':'body-weight','value':70,'unit':'kg','author':'B'"), OK,
     "'moved':false"},
    {COMMAND_SUSPENSION, SUSPENSION("'rule':'t.w','author':'A','reason':'r','until':'2026-06-09T00:00:00Z'"),
     ERR_REFUSED, "'what':'rule'"},
    {COMMAND_SUSPENSION, SUSPENSION("'rule':'x','author':'A','reason':'r','until':'2026-06-09T00:00:00Z'"),
     ERR_REFUSED, "'what':'rule'"},
    {COMMAND_SUSPENSION,
     SUSPENSION("'rule':'test.silence','author':'','reason':'r','until':'2026-06-09T00:00:00Z'"), ERR_REFUSED,
     "'what':'reason'"},
    {COMMAND_SUSPENSION,
     SUSPENSION("'rule':'test.silence','author':'A','reason':'','until':'2026-06-09T00:00:00Z'"), ERR_REFUSED,
     "'what':'reason'"},
    {COMMAND_SUSPENSION, SUSPENSION("'rule':'test.silence','author':'A','reason':'r'"), ERR_REFUSED,
     "'what':'until'"},
    {COMMAND_SUSPENSION,
     SUSPENSION("'rule':'test.silence','author':'A','reason':'r','until':'2026-05-01T00:00:00Z'"),
     ERR_REFUSED, "'what':'until'"},
    {COMMAND_SUSPENSION,
     SUSPENSION("'rule':'test.silence','author':'A','reason':'r','until':'2026-08-01T00:00:00Z'"),
     ERR_REFUSED, "more than 31 days away"},
    {COMMAND_SUSPENSION, "{'patient_id':99,'rule':'test.silence','author':'A','reason':'r'}", ERR_NOT_FOUND,
     ""},
    {COMMAND_REGISTRY, "{'version':'1'}", ERR_REFUSED, "'what':'version'"},
    {COMMAND_REGISTRY, "{'version':5}", OK, "'moved':false"},
    {COMMAND_REGISTRY, "{'version':4}", OK, "'moved':false"},
    {COMMAND_SHOW, "{'patient':'nobody'}", ERR_NOT_FOUND, "'what':'patient'"},
    {COMMAND_SHOW, "{'patient':5}", ERR_REFUSED, "'what':'patient'"},
    {COMMAND_SHOW, "{'patient_id':99}", ERR_NOT_FOUND, "'what':'patient_id'"},
    {COMMAND_SHOW, "{'patient':'P-1'}", OK, "'patient':'P-1'"},
    {COMMAND_SHOW, "{'patient_id':17}", OK, "'patient':'P-1'"},
    {COMMAND_CLOCK, "{}", OK, "'moved':false"},
    {COMMAND_CLOCK_ACCEPT, "{'author':5}", ERR_REFUSED, "'what':'author'"},
    {COMMAND_CLOCK_ACCEPT, "{'author':'A'}", OK, "'moved':false"},
    {COMMAND_CONDITION, "{'priority':'high'}", ERR_REFUSED, "'what':'alert'"},
    {COMMAND_CONDITION, "{'alert':'technical.nothing','priority':'high'}", ERR_REFUSED, "'what':'alert'"},
    {COMMAND_CONDITION, "{'alert':'technical.disk','priority':'urgent'}", ERR_REFUSED, "'what':'alert'"},
    {COMMAND_CONDITION, "{'alert':'technical.disk','priority':'high','note':'low'}", OK, "'moved':false"},
    {COMMAND_CONDITION, "{'alert':'technical.disk'}", OK, "'moved':false"},
    {COMMAND_RECEIVED, "{'patient_id':17}", ERR_REFUSED, "'what':'device'"},
    {COMMAND_RECEIVED, "{'patient_id':99,'device':'D'}", ERR_NOT_FOUND, "'what':'patient_id'"},
    {COMMAND_RECEIVED, "{'patient_id':17,'device':'D','from':'x'}", ERR_REFUSED, "'what':'from'"},
    {COMMAND_RECEIVED, "{'patient_id':17,'device':'D'}", OK, "{'received':true}"},
    {COMMAND_RECEIVED, "{'patient_id':17,'device':'D2'}", OK, "{'received':false}"},
    {COMMAND_RECEIVED, "{'patient_id':17,'device':'D','to':'2026-06-01T00:05:00Z'}", OK,
     "{'received':false}"},
    {COMMAND_RECEIVED, "{'patient_id':17,'device':'D','from':'2026-06-01T00:11:00Z'}", OK,
     "{'received':false}"},
    {COMMAND_RECEIVED, "{'patient_id':17,'device':'ASIDE'}", OK, "{'received':true}"},
    {COMMAND_RULE, RULE_OF("country", "'FR'", WEIGHT), ERR_REFUSED, "'what':'layer'"},
    {COMMAND_RULE, RULE_OF("patient", "99", WEIGHT), ERR_NOT_FOUND, ""},
    {COMMAND_RULE, RULE_OF("patient", "'17'", WEIGHT), ERR_REFUSED, "'what':'scope'"},
    {COMMAND_RULE, RULE_OF("line", "17", WEIGHT), ERR_REFUSED, "'what':'scope'"},
    {COMMAND_RULE, RULE_OF("line", "'test'", "{'id':'x'}"), ERR_REFUSED, "'what':'kind'"},
    {COMMAND_RULE, RULE_OF("line", "'test'", "5"), ERR_REFUSED, "'what':'rule'"},
    {COMMAND_ACKNOWLEDGE, "{'episode':'x','author':'A'}", ERR_NOT_FOUND, "'what':'episode'"},
    {COMMAND_ACKNOWLEDGE, "{'author':'A'}", ERR_REFUSED, "'what':'episode'"},
    {COMMAND_HANDLE, "{'episode':'00000000-0000-8000-8000-000000000000','author':'A','outcome':'relevant'}",
     ERR_NOT_FOUND, "'what':'episode'"},
};

/* As the reply has it, with single quotes for double ones. */
static bool reply_has(const char *words)
{
    char text[sizeof f->reply];
    memcpy(text, f->reply, sizeof text);
    for (char *at = text; *at != '\0'; at++)
        if (*at == '"')
            *at = '\'';
    return strstr(text, words) != NULL;
}

static void test_reasons(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(fixture_command(f, COMMAND_RULE, 0, RULE_OF("line", "'quiet'", WEIGHT)), OK);
    CU_ASSERT_EQUAL_FATAL(fixture_rule(f, 0, 0, WEIGHT), OK);
    OFFER("body-weight", "70", 10);
    fixture_offer(f, (struct offer){.parameter = "body-weight", .value = "71", .at = 10, .device = "ASIDE"});
    fixture_offer(f, (struct offer){.parameter = "body-weight",
                                    .value = "71",
                                    .at = 10,
                                    .received = 11,
                                    .device = "ASIDE",
                                    .status = "void",
                                    .issued = 11});
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum err outcome = fixture_command(f, rows[i].kind, 60, "%s", rows[i].json);
        if (outcome != rows[i].outcome || !reply_has(rows[i].reply))
            fprintf(stderr, "\n  %s: %s %s, expected %s\n", rows[i].json, err_text(outcome), f->reply,
                    rows[i].reply);
        CU_ASSERT_EQUAL(outcome, rows[i].outcome);
        CU_ASSERT_TRUE(reply_has(rows[i].reply));
    }
    fixture_close(f);
}

/* A text that would not fit into an event beside its readings. */
static void test_long_text(void)
{
    static char text[4096];
    fixture_open_patient(f);
    memset(text, 'x', 2001);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_LEFT, 1, "{'patient_id':17,'reason':'%s'}", text),
                    ERR_REFUSED);
    CU_ASSERT_TRUE(reply_has("'what':'reason','found':'no text, or a long one'"));
    memset(text, '\\', 2002); /* 1,001 of them: 2,002 rendered */
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_LEFT, 1, "{'patient_id':17,'reason':'%s'}", text),
                    ERR_REFUSED);
    for (unsigned i = 0; i < 334; i++) /* 2,004 rendered */
        snprintf(text + 6 * i, sizeof text - 6 * i, "\\u%04x", 2 + i % 30);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_LEFT, 1, "{'patient_id':17,'reason':'%s'}", text),
                    ERR_REFUSED);
    memset(text, 'x', sizeof text);
    memset(text, 'x', 2000);
    text[2000] = '\0';
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_LEFT, 1, "{'patient_id':17,'reason':'%s'}", text), OK);
    fixture_close(f);
}

/* A quote is as long as it is written: \", two bytes of an event. */
static void test_quotes_count_twice(void)
{
    static char text[4096];
    fixture_open_patient(f);
    for (unsigned i = 0; i < 1001; i++)
        memcpy(text + 2 * i, "\\'", 3); /* \' becomes \" */
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_LEFT, 1, "{'patient_id':17,'reason':'%s'}", text),
                    ERR_REFUSED);
    text[2000] = '\0';
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_LEFT, 1, "{'patient_id':17,'reason':'%s'}", text), OK);
    fixture_close(f);
}

/* Texts and parameters of a rule stand in every event: 4,096 bytes as they are written. */
static void test_large_rule(void)
{
    static char classes[4096];
    size_t size = 0;
    fixture_open_patient(f);
    for (unsigned i = 0; i < 60; i++)
        size += (size_t)snprintf(classes + size, sizeof classes - size, "'c%030u':'low',", i);
    for (unsigned quotes = 100; quotes <= 490; quotes += 390) {
        char words[1000];
        for (unsigned i = 0; i < quotes; i++)
            memcpy(words + 2 * i, "\\'", 3);
        enum err outcome = fixture_command(
            f, COMMAND_RULE, 1,
            "{'layer':'patient','scope':17,'version':%u,'author':'Dr A','role':'physician','reason':'r',"
            "'rule':{'id':'t.e','kind':'event','classes':{%s'*':'low'},'text':{'fr':'%s','en':'%s'}}}",
            quotes, classes, words, words);
        CU_ASSERT_EQUAL(outcome, quotes == 100 ? OK : ERR_REFUSED);
        CU_ASSERT_EQUAL(reply_has("more than 4,096 bytes with the parameters"), quotes != 100);
    }
    fixture_close(f);
}

static void keep_text(void *context, const struct alert_event *event, const char *json, uint32_t size)
{
    (void)event;
    buffer_clear(context);
    buffer_append(context, json, size);
    buffer_append(context, "", 1);
}

/* Nobody may take an event of a test for a patient's. */
static void test_mode_is_told(void)
{
    for (int on = 0; on < 2; on++) {
        struct buffer text = {0};
        struct engine_settings settings = {.lookback_ms = 35 * DAY_MIN * MINUTE_MS,
                                           .lookback_continuous_ms = 16 * DAY_MIN * MINUTE_MS,
                                           .node = "node-1",
                                           .test_mode = on};
        struct engine_out out = {.event = keep_text, .context = &text};
        struct engine *engine = engine_new(&settings, &out);
        struct command command = {.kind = COMMAND_CONDITION};
        engine_tick(engine, EPOCH_MS, 0, TICK_START);
        buffer_text(&command.json, "{\"alert\":\"technical.disk\",\"priority\":\"low\"}");
        engine_command(engine, &command, EPOCH_MS);
        CU_ASSERT_EQUAL(command.outcome, OK);
        CU_ASSERT_PTR_NOT_NULL_FATAL(text.data);
        CU_ASSERT_EQUAL(strstr(text.data, "\"test\":true") != NULL, on);
        buffer_deinit(&command.json);
        buffer_deinit(&command.reply);
        buffer_deinit(&text);
        engine_free(engine);
    }
}

/* Thirty-one days in sixty-two are a nurse's, more are a physician's and raise an alert. */
static void test_suspensions(void)
{
    fixture_open_patient(f);
#define SUSPEND(role, from, until)                                                                           \
    fixture_command(f, COMMAND_SUSPENSION, 1,                                                                \
                    "{'patient_id':17,'rule':'test.silence','from':'%s','until':'%s','author':'A',"          \
                    "'role':'" role "','reason':'holiday'}",                                                 \
                    from, until)
    CU_ASSERT_EQUAL(SUSPEND("nurse", "2026-05-01T00:00:00Z", "2026-06-20T00:00:00Z"), OK);
    CU_ASSERT_TRUE(reply_has("'moved':true"));
    CU_ASSERT_EQUAL(SUSPEND("nurse", "2026-06-22T00:00:00Z", "2026-07-02T00:00:00Z"), OK);
    fixture_tick(f, 10 * DAY_MIN);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_SUSPENSION, 10 * DAY_MIN,
                                    "{'patient_id':17,'rule':'test.silence','until':'2026-07-06T00:00:00Z',"
                                    "'author':'A','role':'nurse','reason':'holiday'}"),
                    ERR_REFUSED);
    CU_ASSERT_TRUE(reply_has("more than 31 days in 62"));
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_SUSPENSION, 10 * DAY_MIN,
                                    "{'patient_id':17,'rule':'test.silence','until':'2026-07-06T00:00:00Z',"
                                    "'author':'A','role':'physician','reason':'holiday'}"),
                    OK);
    CU_ASSERT_STRING_EQUAL(fixture_trace_of(f, "technical.suspension"), "raised medium 14400");
    fixture_close(f);
}

/* In force, disabled, and one that begins tomorrow; one that ended without another is not told. */
static void test_show(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(fixture_rule(f, 1, 1, WEIGHT), OK);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_SHOW, 2, "{'patient_id':17}"), OK);
    CU_ASSERT_TRUE(reply_has("'id':'t.w','in_force':true") ||
                   reply_has("'id':'test.silence','in_force':true"));
    CU_ASSERT_EQUAL(fixture_rule(f, 3, 3,
                                 "{'id':'t.w','kind':'change','parameter':'body-weight','unit':'kg','rise':2,"
                                 "'within':'84h','priority':'low','enabled':false}"),
                    OK);
    CU_ASSERT_EQUAL(fixture_rule(f, 4, 4 + DAY_MIN,
                                 "{'id':'a.later','kind':'change','parameter':'body-weight','unit':'kg',"
                                 "'rise':2,'within':'84h','priority':'low'}"),
                    OK);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_SHOW, 5, "{'patient_id':17}"), OK);
    CU_ASSERT_TRUE(reply_has("'id':'a.later','in_force':false"));
    CU_ASSERT_EQUAL(fixture_rule(f, 6, 6, "{'id':'a.later','inherit':true}"), OK);
    CU_ASSERT_EQUAL(fixture_rule(f, 6, 6, "{'id':'t.w','inherit':true}"), OK);
    fixture_command(f, COMMAND_LEFT, 7, "{'patient_id':17,'at':'%s'}", fixture_time(2 * DAY_MIN));
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_SHOW, 8, "{'patient_id':17}"), OK);
    CU_ASSERT_FALSE(reply_has("t.w")); /* it ended; that the patient will leave begins nothing */
    fixture_tick(f, 3 * DAY_MIN);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_SHOW, 3 * DAY_MIN, "{'patient_id':17}"), OK);
    CU_ASSERT_FALSE(reply_has("a.later"));
    CU_ASSERT_TRUE(reply_has("'left_at':'2026-06-03"));
    fixture_close(f);
}

SUITE(engine_commands) = {
    {"a quote counts twice", test_quotes_count_twice},
    {"a rule that is too large", test_large_rule},
    {"test mode is told", test_mode_is_told},
    {"what is shown", test_show},
    {"every reason", test_reasons},
    {"texts too long for an event", test_long_text},
    {"suspensions beyond their bounds", test_suspensions},
    {NULL, NULL},
};
