/* engine_versions: layers, versions, confirmation, RULES.md section 2. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/engine_fixture.h"

static struct fixture fixture, *const f = &fixture;

#define ABOVE(limit, more)                                                                                   \
    "{'id':'t.hr','line':'test','parameter':'heart-rate','unit':'/min','kind':'limit','levels':["            \
    "{'priority':'medium','above':" limit "}],'text':{'fr':'f','en':'e'}" more "}"
#define LATE(v, t, r)                                                                                        \
    fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = v, .at = t, .received = r})

static enum err layer_rule(double minute, const char *layer, const char *scope, int version, const char *rule)
{
    return fixture_command(f, COMMAND_RULE, minute,
                           "{'layer':'%s','scope':'%s','version':%d,'author':'a','role':'r','reason':'r',"
                           "'valid_from':null,'rule':%s}",
                           layer, scope, version, rule);
}

static enum err layer_rule_from(double minute, double from, int version, const char *rule)
{
    return fixture_command(f, COMMAND_RULE, minute,
                           "{'layer':'line','scope':'test','version':%d,'author':'a','role':'r','reason':'r',"
                           "'valid_from':'%s','rule':%s}",
                           version, fixture_time(from), rule);
}

static const char *last_layer(void)
{
    return event_text(json_object_get(fixture_last(f, "raised"), "rule"), "layer");
}

static void test_most_specific_layer(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(layer_rule(1, "line", "test", 1, ABOVE("100", "")), OK);
    OFFER("heart-rate", "101", 2);
    TRACE_IS("raised medium 2");
    CU_ASSERT_STRING_EQUAL(last_layer(), "line");
    OFFER("heart-rate", "90", 3);
    CU_ASSERT_EQUAL(layer_rule(4, "organization", "O", 1, ABOVE("110", "")), OK);
    OFFER("heart-rate", "105", 5);
    TRACE_IS("cleared medium 3");
    CU_ASSERT_EQUAL(layer_rule(6, "team", "O/T", 1, ABOVE("120", "")), OK);
    OFFER("heart-rate", "115", 7);
    TRACE_IS("");
    CU_ASSERT_EQUAL(fixture_rule(f, 8, 8, ABOVE("130", "")), OK);
    OFFER("heart-rate", "125", 9);
    TRACE_IS("");
    OFFER("heart-rate", "131", 10);
    CU_ASSERT_STRING_EQUAL(last_layer(), "patient");
    OFFER("heart-rate", "90", 11);
    CU_ASSERT_EQUAL(fixture_rule(f, 12, 12, "{'id':'t.hr','inherit':true}"),
                    OK); /* ends a layer's definition */
    CU_ASSERT_EQUAL(layer_rule(13, "team", "O/T", 2, "{'id':'t.hr','inherit':true}"), OK);
    OFFER("heart-rate", "111", 14);
    CU_ASSERT_STRING_EQUAL(last_layer(), "organization");
    fixture_close(f);
}

static void test_other_scopes_do_not_count(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(layer_rule(1, "line", "other", 1, ABOVE("100", "")),
                    ERR_REFUSED); /* it names another line */
    CU_ASSERT_EQUAL(layer_rule(1, "line", "other", 1,
                               "{'id':'t.hr','parameter':'heart-rate','unit':'/min','kind':'limit','levels':["
                               "{'priority':'medium','above':100}],'text':{'fr':'f','en':'e'}}"),
                    OK);
    CU_ASSERT_EQUAL(layer_rule(1, "team", "Q/T", 1, ABOVE("100", "")), OK);
    CU_ASSERT_EQUAL(layer_rule(1, "organization", "T", 1, ABOVE("100", "")), OK);
    OFFER("heart-rate", "150", 2);
    TRACE_IS("");
    fixture_close(f);
}

/* Judged by the version in force at its measured time, however late it comes. */
static void test_version_at_measured_time(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(layer_rule(1, "line", "test", 1, ABOVE("100", "")), OK);
    CU_ASSERT_EQUAL(layer_rule(50, "line", "test", 2, ABOVE("120", "")), OK);
    LATE("110", 40, 60);
    TRACE_IS("raised medium 40");
    CU_ASSERT_EQUAL(
        json_integer_value(json_object_get(json_object_get(fixture_last(f, "raised"), "rule"), "version")),
        1);
    LATE("110", 55, 61); /* inside of the new version's level */
    TRACE_IS("cleared medium 55");
    CU_ASSERT_EQUAL(
        json_integer_value(json_object_get(json_object_get(fixture_last(f, "cleared"), "rule"), "version")),
        2);
    CU_ASSERT_STRING_EQUAL(event_text(json_object_get(fixture_last(f, "cleared"), "rule"), "in_force_from"),
                           fixture_time(50));
    fixture_close(f);
}

static void test_valid_from_is_moved(void)
{
    fixture_open_patient(f);
    OFFER("heart-rate", "110", 10);
    CU_ASSERT_EQUAL(layer_rule_from(20, 5, 1, ABOVE("100", "")), OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(f->reply, "\"moved\":true"));
    CU_ASSERT_PTR_NOT_NULL(strstr(f->reply, fixture_time(20)));
    TRACE_IS("");
    LATE("110", 19, 21);
    TRACE_IS("");
    LATE("110", 20, 22);
    TRACE_IS("raised medium 20");
    fixture_close(f);
}

/* Only the first version of the patient layer may reach back; what a rule change makes is retrospective. */
static void test_patient_layer_reaches_back(void)
{
    fixture_open_patient(f);
    OFFER("heart-rate", "110", 10);
    OFFER("heart-rate", "130", 15);
    CU_ASSERT_EQUAL(fixture_rule(f, 20, 5, ABOVE("100", "")), OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(f->reply, "\"moved\":false"));
    TRACE_IS("~raised medium 10");
    OFFER("heart-rate", "131", 21); /* a fresh breach pages */
    TRACE_IS("live medium 21");
    CU_ASSERT_EQUAL(fixture_rule(f, 30, 5, ABOVE("140", "")), OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(f->reply, "\"moved\":true"));
    TRACE_IS("");
    OFFER("heart-rate", "131", 31);
    TRACE_IS("cleared medium 31");
    fixture_close(f);
    fixture_open_patient(f);
    fixture_tick(f, 60 * DAY_MIN);
    CU_ASSERT_EQUAL(fixture_rule(f, 60 * DAY_MIN, 5, ABOVE("100", "")), OK);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(f->reply, fixture_time(44 * DAY_MIN))); /* cut at L: 16 days of a continuous one */
    fixture_close(f);
}

static void test_future_version(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(layer_rule(1, "line", "test", 1, ABOVE("100", "")), OK);
    CU_ASSERT_EQUAL(layer_rule_from(2, 50, 2, ABOVE("120", "")), OK);
    OFFER("heart-rate", "110", 49);
    OFFER("heart-rate", "110", 50);
    TRACE_IS("raised medium 49 | cleared medium 50");
    fixture_close(f);
}

/* Runs go on across versions. */
static void test_runs_go_on(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(layer_rule(1, "line", "test", 1, ABOVE("100", ",'count':3")), OK);
    OFFER("heart-rate", "110", 2);
    OFFER("heart-rate", "110", 3);
    CU_ASSERT_EQUAL(layer_rule(4, "line", "test", 2, ABOVE("105", ",'count':3")), OK);
    OFFER("heart-rate", "110", 5);
    TRACE_IS("raised medium 5");
    fixture_close(f);
}

/* A level that the new version lacks is left like one that every reading is inside of. */
static void test_level_that_is_gone(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(
        fixture_rule(
            f, 0, 0,
            "{'id':'t.x','parameter':'heart-rate','unit':'/min','kind':'limit','levels':["
            "{'priority':'low','above':90},{'priority':'high','above':120}],'text':{'fr':'f','en':'e'}}"),
        OK);
    OFFER("heart-rate", "130", 1);
    CU_ASSERT_EQUAL(
        fixture_rule(f, 2, 2,
                     "{'id':'t.x','parameter':'heart-rate','unit':'/min','kind':'limit','levels':["
                     "{'priority':'low','above':90}],'text':{'fr':'f','en':'e'}}"),
        OK);
    TRACE_IS("raised high 1");
    OFFER("heart-rate", "130", 3);
    TRACE_IS("deescalated low 3");
    fixture_close(f);
}

static void test_disabled(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(layer_rule(1, "line", "test", 1, ABOVE("100", ",'count':2")), OK);
    OFFER("heart-rate", "110", 2);
    OFFER("heart-rate", "110", 3);
    TRACE_IS("raised medium 3");
    CU_ASSERT_EQUAL(fixture_rule(f, 4, 10, ABOVE("100", ",'count':2,'enabled':false")), OK);
    CU_ASSERT_EQUAL(engine_next_due_ms(f->engine), EPOCH_MS + 10 * MINUTE_MS);
    fixture_tick(f, 10);
    TRACE_IS("");
    fixture_tick(f, 10.001);
    TRACE_IS("cleared medium 10 (rule-disabled)");
    OFFER("heart-rate", "110", 11);
    CU_ASSERT_EQUAL(fixture_rule(f, 12, 12, ABOVE("100", ",'count':2")), OK);
    OFFER("heart-rate", "110", 13); /* the runs were reset */
    TRACE_IS("");
    LATE("110", 9, 14); /* late, before the end: judged by what was in force, and it ends at 10 as before */
    EPISODES_ARE("t.hr high 3-10 cleared medium@3");
    fixture_close(f);
}

static void test_disabled_now(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(layer_rule(1, "line", "test", 1, ABOVE("100", "")), OK);
    OFFER("heart-rate", "110", 2);
    CU_ASSERT_EQUAL(fixture_rule(f, 4, 4, ABOVE("100", ",'enabled':false")), OK);
    TRACE_IS("raised medium 2 | cleared medium 4 (rule-disabled)");
    fixture_close(f);
}

/* ---- confirmation ---- */

static enum err confirm(double minute, const char *role)
{
    return fixture_command(f, COMMAND_CONFIRMATION, minute,
                           "{'patient_id':17,'line':'test','from':'%s','author':'Dr A','role':'%s'}",
                           fixture_time(minute), role);
}

static void test_confirmation(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(layer_rule(1, "line", "test", 1, ABOVE("100", ",'requires_validation':true")), OK);
    OFFER("heart-rate", "110", 2);
    TRACE_IS("");
    CU_ASSERT_EQUAL(confirm(3, "nurse"), ERR_REFUSED);
    CU_ASSERT_EQUAL(confirm(4, "physician"), OK);
    OFFER("heart-rate", "110", 5);
    TRACE_IS("raised medium 5");
    OFFER("heart-rate", "90", 6);
    /* something else than words: waits for the next confirmation, the confirmed one stays */
    CU_ASSERT_EQUAL(layer_rule(7, "line", "test", 2, ABOVE("120", "")), OK);
    OFFER("heart-rate", "110", 8);
    TRACE_IS("cleared medium 6 | raised medium 8");
    OFFER("heart-rate", "90", 9);
    CU_ASSERT_EQUAL(confirm(10, "physician"), OK);
    OFFER("heart-rate", "110", 11);
    TRACE_IS("cleared medium 9");
    /* words alone: in force at once */
    CU_ASSERT_EQUAL(layer_rule(12, "line", "test", 3, ABOVE("120", ",'source':'s'")), OK);
    OFFER("heart-rate", "121", 13);
    CU_ASSERT_EQUAL(
        json_integer_value(json_object_get(json_object_get(fixture_last(f, "raised"), "rule"), "version")),
        3);
    fixture_close(f);
}

/* What comes behind the confirmation in its own millisecond is not confirmed; what comes before it is. */
static void test_confirmation_of_one_millisecond(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(layer_rule(1, "line", "test", 1, ABOVE("100", ",'requires_validation':true")), OK);
    CU_ASSERT_EQUAL(confirm(1, "physician"), OK);
    CU_ASSERT_EQUAL(layer_rule(1, "line", "test", 2, ABOVE("150", "")), OK);
    OFFER("heart-rate", "110", 2);
    TRACE_IS("raised medium 2");
    CU_ASSERT_EQUAL(confirm(3, "physician"), OK);
    OFFER("heart-rate", "110", 4);
    TRACE_IS("cleared medium 4");
    fixture_close(f);
}

static void test_patient_version_stands_for_confirmation(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(layer_rule(1, "line", "test", 1, ABOVE("100", ",'requires_validation':true")), OK);
    CU_ASSERT_EQUAL(fixture_rule(f, 2, 2, ABOVE("150", "")), OK);
    CU_ASSERT_EQUAL(fixture_rule(f, 3, 3, "{'id':'t.hr','inherit':true}"), OK);
    OFFER("heart-rate", "110", 4);
    TRACE_IS("raised medium 4");
    fixture_close(f);
}

static void test_team_rules_never_wait(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(layer_rule(1, "team", "O/T", 1, ABOVE("100", ",'requires_validation':true")), OK);
    OFFER("heart-rate", "110", 2);
    TRACE_IS("raised medium 2");
    fixture_close(f);
}

static void test_in_force_from_enrolment(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(layer_rule(1, "line", "test", 1, ABOVE("100", "")), OK);
    fixture_tick(f, 100);
    CU_ASSERT_EQUAL(
        fixture_command(f, COMMAND_PATIENT, 100,
                        "{'patient_id':18,'ref':'P-2','organization':'O','line':'test','team':null,"
                        "'time_zone':'UTC','enrolled_at':'%s'}",
                        fixture_time(50)),
        OK);
    struct buffer out = {0};
    engine_show(f->engine, 18, &out);
    buffer_append(&out, "", 1);
    json_t *shown = json_loads(out.data, 0, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(shown);
    const json_t *rules = json_object_get(shown, "rules");
    CU_ASSERT_EQUAL(json_array_size(rules), 2);
    CU_ASSERT_STRING_EQUAL(event_text(json_array_get(rules, 0), "id"), "t.hr");
    CU_ASSERT_STRING_EQUAL(event_text(json_array_get(rules, 0), "in_force_from"), fixture_time(50));
    json_decref(shown);
    buffer_deinit(&out);
    fixture_close(f);
}

static void test_same_command_again(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(layer_rule(1, "line", "test", 1, ABOVE("100", "")), OK);
    char first[512];
    snprintf(first, sizeof first, "%s", f->reply);
    CU_ASSERT_EQUAL(layer_rule(9, "line", "test", 1, ABOVE("100", "")), OK);
    CU_ASSERT_STRING_EQUAL(f->reply, first);
    CU_ASSERT_EQUAL(
        fixture_command(f, COMMAND_PATIENT, 9,
                        "{'patient_id':17,'ref':'P-1','organization':'O','line':'test','team':'T',"
                        "'time_zone':'Europe/Paris','enrolled_at':null}"),
        OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(f->reply, fixture_time(0)));
    OFFER("heart-rate", "110", 10);
    TRACE_IS("raised medium 10");
    fixture_close(f);
}

static void test_what_never_changes(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(layer_rule(1, "line", "test", 1, ABOVE("100", "")), OK);
    CU_ASSERT_EQUAL(
        layer_rule(2, "line", "test", 2,
                   "{'id':'t.hr','line':'test','parameter':'heart-rate','unit':'/min','kind':'limit',"
                   "'levels':[{'priority':'medium','below':40}],'text':{'fr':'f','en':'e'}}"),
        ERR_REFUSED);
    CU_ASSERT_PTR_NOT_NULL(strstr(f->reply, "\"what\":\"side\""));
    CU_ASSERT_EQUAL(
        fixture_rule(f, 2, 2,
                     "{'id':'t.hr','line':'test','parameter':'body-weight','unit':'kg','kind':'change',"
                     "'rise':2,'within':'3d','priority':'low','text':{'fr':'f','en':'e'}}"),
        ERR_REFUSED);
    CU_ASSERT_EQUAL(layer_rule(3, "line", "test", 2, "{'id':'t.hr','kind':'nothing'}"), ERR_REFUSED);
    OFFER("heart-rate", "110", 4); /* what was in force stays in force */
    TRACE_IS("raised medium 4");
    fixture_close(f);
}

static void test_change_of_line(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(layer_rule(1, "line", "test", 1, ABOVE("100", "")), OK);
    CU_ASSERT_EQUAL(layer_rule(1, "line", "next", 1,
                               "{'id':'next.silence','line':'next','kind':'silence','max_gap':'1d',"
                               "'parameters':['heart-rate'],'priority':'low'}"),
                    OK);
    OFFER("heart-rate", "110", 2);
    CU_ASSERT_EQUAL(
        fixture_command(f, COMMAND_PATIENT, 10,
                        "{'patient_id':17,'ref':'P-1','organization':'O','line':'next','team':'T',"
                        "'time_zone':'Europe/Paris','enrolled_at':null}"),
        OK);
    TRACE_IS("raised medium 2 | cleared medium 10 (rule-disabled)");
    fixture_run(f, 10 + DAY_MIN + 1);
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "raised"), "raised_at"), fixture_time(10 + DAY_MIN));
    fixture_run(f, 40 * DAY_MIN);
    CU_ASSERT_STRING_EQUAL(fixture_check(fixture_trace_of(f, "test.silence"), ""), "");
    fixture_close(f);
}

/* What was replaced while it waited stays replaced: the later word counts, also when the earlier one's time
 * comes. */
static void test_replaced_while_it_waited(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(fixture_rule(f, 10, 10, ABOVE("200", "")), OK);
    CU_ASSERT_EQUAL(fixture_rule(f, 20, 100, ABOVE("100", "")), OK); /* waits until 100 */
    CU_ASSERT_EQUAL(fixture_rule(f, 50, 50, ABOVE("150", "")), OK);  /* replaces what waits */
    OFFER("heart-rate", "120", 110);
    TRACE_IS("");
    OFFER("heart-rate", "160", 111);
    TRACE_IS("raised medium 111");
    fixture_close(f);
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(fixture_rule(f, 10, 10, ABOVE("200", "")), OK);
    CU_ASSERT_EQUAL(fixture_rule(f, 20, 60, ABOVE("100", "")), OK); /* begins before the next: not replaced */
    CU_ASSERT_EQUAL(fixture_rule(f, 30, 100, ABOVE("150", "")), OK);
    OFFER("heart-rate", "120", 70);
    TRACE_IS("raised medium 70");
    OFFER("heart-rate", "120", 101);
    TRACE_IS("cleared medium 101");
    fixture_close(f);
}

/* Nobody has more than 64 rules, of all layers together; the 65th is refused by name, not left out. */
static void test_rules_of_all_layers_are_bounded(void)
{
    fixture_open_patient(f); /* has the line's silence */
    for (int i = 0; i < 63; i++)
        CU_ASSERT_EQUAL(fixture_command(f, COMMAND_RULE, 1,
                                        "{'layer':'%s','scope':'%s','version':%d,'rule':{'id':'r%02d','kind':"
                                        "'event','classes':{'*':'low'}}}",
                                        i % 2 ? "organization" : "team", i % 2 ? "O" : "O/T", 100 + i, i),
                        OK);
    /* An id that another layer has already is no further rule. */
    CU_ASSERT_EQUAL(fixture_rule(f, 2, 2, "{'id':'r00','kind':'event','classes':{'*':'high'}}"), OK);
    CU_ASSERT_EQUAL(fixture_rule(f, 2, 2, "{'id':'r63','kind':'event','classes':{'*':'high'}}"), ERR_REFUSED);
    CU_ASSERT_STRING_EQUAL(f->reply, "{\"what\":\"rule\",\"found\":\"r63\",\"expected\":\"at most 64 rules a "
                                     "patient\",\"hint\":\"patient P-1 has 64 already\"}");
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_RULE, 2,
                                    "{'layer':'line','scope':'test','version':300,'rule':{'id':'r63','kind':"
                                    "'event','classes':{'*':'low'}}}"),
                    ERR_REFUSED);
    CU_ASSERT_EQUAL(
        fixture_command(f, COMMAND_RULE, 2,
                        "{'layer':'team','scope':'O/other','version':301,'rule':{'id':'r63','kind':"
                        "'event','classes':{'*':'low'}}}"),
        OK); /* concerns nobody yet */
    CU_ASSERT_EQUAL(
        fixture_command(f, COMMAND_RULE, 2,
                        "{'layer':'line','scope':'big','version':302,'rule':{'id':'big.silence',"
                        "'kind':'silence','max_gap':'1d','parameters':['spo2'],'priority':'low'}}"),
        OK);
    for (int i = 0; i < 33; i++)
        CU_ASSERT_EQUAL(
            fixture_command(f, COMMAND_RULE, 2,
                            "{'layer':'line','scope':'big','version':%d,'rule':{'id':'b%02d','kind':"
                            "'event','classes':{'*':'low'}}}",
                            400 + i, i),
            OK);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_PATIENT, 3,
                                    "{'patient_id':18,'ref':'P-2','organization':'O','line':'big','team':'T',"
                                    "'time_zone':'Europe/Paris','enrolled_at':null}"),
                    ERR_REFUSED); /* 34 of the line, 31 of the organisation, 32 of the team */
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_PATIENT, 3,
                                    "{'patient_id':18,'ref':'P-2','organization':'Q','line':'big','team':'T',"
                                    "'time_zone':'Europe/Paris','enrolled_at':null}"),
                    OK);
    fixture_close(f);
}

/* What late data raise before an end of the rule that is past is over in the same unit. */
static void test_late_before_a_past_end(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(fixture_rule(f, 1, 1, ABOVE("100", "")), OK);
    CU_ASSERT_EQUAL(fixture_rule(f, 20, 20, ABOVE("100", ",'enabled':false")), OK);
    CU_ASSERT_EQUAL(fixture_rule(f, 40, 40, ABOVE("100", "")), OK);
    LATE("110", 10, 50);
    TRACE_IS("raised medium 10 | cleared medium 20 (rule-disabled)");
    EPISODES_ARE("t.hr high 10-20 cleared medium@10");
    fixture_close(f);

    fixture_open_patient(f);
    CU_ASSERT_EQUAL(fixture_rule(f, 1, 1, ABOVE("100", "")), OK);
    CU_ASSERT_EQUAL(fixture_rule(f, 2, 20, ABOVE("100", ",'enabled':false")), OK);
    LATE("110", 10, 20);
    TRACE_IS("raised medium 10"); /* what is due at this very time waits */
    fixture_tick(f, 20.001);
    TRACE_IS("cleared medium 20 (rule-disabled)");
    fixture_close(f);
}

static void move(double minute, const char *line, const char *team)
{
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_PATIENT, minute,
                                    "{'patient_id':17,'ref':'P-1','organization':'O','line':'%s','team':'%s',"
                                    "'time_zone':'Europe/Paris','enrolled_at':null}",
                                    line, team),
                    OK);
}

static void open_next_line(void)
{
    CU_ASSERT_EQUAL(layer_rule(1, "line", "next", 1,
                               "{'id':'next.silence','line':'next','kind':'silence','max_gap':'31d',"
                               "'parameters':['spo2'],'priority':'low'}"),
                    OK);
}

/* Silence is watched until the line changes: a team without the rule takes none away. */
static void test_silence_of_the_team_left(void)
{
    fixture_open_patient(f);
    open_next_line();
    CU_ASSERT_EQUAL(layer_rule(1, "team", "O/T", 1,
                               "{'id':'team.silence','line':'test','kind':'silence','max_gap':'1d',"
                               "'parameters':['heart-rate'],'priority':'high'}"),
                    OK);
    move(10, "test", "U");
    fixture_run(f, 2 * DAY_MIN);
    CU_ASSERT_STRING_EQUAL(fixture_check(fixture_trace_of(f, "team.silence"), "raised high 1441"),
                           "raised high 1441");
    move(2 * DAY_MIN, "next", "U");
    CU_ASSERT_STRING_EQUAL(
        fixture_check(fixture_trace_of(f, "team.silence"), "closed high 2880 (rule-ended)"),
        "closed high 2880 (rule-ended)");
    fixture_run(f, 9 * DAY_MIN);
    CU_ASSERT_STRING_EQUAL(fixture_check(fixture_trace_of(f, "team.silence"), ""), "");
    fixture_close(f);
}

/* An open episode ends with the line that wanted it, and does not begin again. */
static void test_silent_and_moved(void)
{
    fixture_open_patient(f);
    open_next_line();
    fixture_run(f, 32 * DAY_MIN);
    CU_ASSERT_STRING_EQUAL(fixture_check(fixture_trace_of(f, "test.silence"), "raised medium 44640"),
                           "raised medium 44640");
    move(32 * DAY_MIN, "next", "U");
    CU_ASSERT_STRING_EQUAL(
        fixture_check(fixture_trace_of(f, "test.silence"), "closed medium 46080 (rule-ended)"),
        "closed medium 46080 (rule-ended)");
    fixture_run(f, 35 * DAY_MIN);
    CU_ASSERT_STRING_EQUAL(fixture_check(fixture_trace_of(f, "test.silence"), ""), "");
    fixture_close(f);
}

/* One id, two rules of different parameters, in lines that a patient was in one after the other: what was in
 * force under the id says what the id means for this patient, and goes on; the other one is never in force.
 */
static void test_id_of_another_rule(void)
{
    fixture_open_patient(f);
    open_next_line();
    CU_ASSERT_EQUAL(fixture_rule(f, 2, 2, ABOVE("100", "")), OK);
    CU_ASSERT_EQUAL(
        layer_rule(2, "line", "next", 1,
                   "{'id':'t.hr','line':'next','parameter':'body-weight','unit':'kg','kind':'limit',"
                   "'levels':[{'priority':'high','above':80}],'text':{'fr':'f','en':'e'}}"),
        OK);
    move(3, "next", "T");
    CU_ASSERT_EQUAL(fixture_rule(f, 4, 4, "{'id':'t.hr','inherit':true}"), OK);
    OFFER("body-weight", "90", 5);
    TRACE_IS("");
    OFFER("heart-rate", "110", 6);
    TRACE_IS("raised medium 6");
    fixture_close(f);
}

/* Words alone are of the version that is confirmed, not of one that waits, nor of one confirmed for another
 * line. */
static void test_words_of_what_waits(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(layer_rule(1, "line", "test", 1, ABOVE("100", ",'requires_validation':true")), OK);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_CONFIRMATION, 2,
                                    "{'patient_id':17,'line':'next','from':'%s','author':'Dr A','role':"
                                    "'physician'}",
                                    fixture_time(2)),
                    OK);
    OFFER("heart-rate", "110", 3);
    TRACE_IS("");
    CU_ASSERT_EQUAL(confirm(4, "physician"), OK);
    CU_ASSERT_EQUAL(layer_rule(5, "line", "test", 2, ABOVE("120", "")), OK);              /* waits */
    CU_ASSERT_EQUAL(layer_rule(6, "line", "test", 3, ABOVE("120", ",'source':'s'")), OK); /* so does it */
    OFFER("heart-rate", "110", 7);
    TRACE_IS("raised medium 7");
    OFFER("heart-rate", "90", 8);
    TRACE_IS("cleared medium 8");
    CU_ASSERT_EQUAL(
        layer_rule(9, "line", "test", 4, ABOVE("100", ",'requires_validation':true,'source':'s'")),
        OK); /* as confirmed */
    OFFER("heart-rate", "110", 10);
    CU_ASSERT_EQUAL(
        json_integer_value(json_object_get(json_object_get(fixture_last(f, "raised"), "rule"), "version")),
        4);
    fixture_close(f);
}

/* What waits for a physician replaces nothing; once confirmed, the latest valid_from is in force. */
static void test_waiting_replaces_nothing(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL(layer_rule(1, "line", "test", 1, ABOVE("100", ",'requires_validation':true")), OK);
    CU_ASSERT_EQUAL(confirm(2, "physician"), OK);
    CU_ASSERT_EQUAL(layer_rule_from(3, 100, 2, ABOVE("100", ",'requires_validation':true,'source':'s'")), OK);
    CU_ASSERT_EQUAL(layer_rule_from(4, 50, 3, ABOVE("130", "")), OK); /* sooner, but it waits */
    OFFER("heart-rate", "110", 60);
    TRACE_IS("raised medium 60");
    OFFER("heart-rate", "90", 61);
    TRACE_IS("cleared medium 61");
    OFFER("heart-rate", "110", 101);
    TRACE_IS("raised medium 101");
    CU_ASSERT_EQUAL(
        json_integer_value(json_object_get(json_object_get(fixture_last(f, "raised"), "rule"), "version")),
        2);
    CU_ASSERT_EQUAL(confirm(110, "physician"), OK);
    OFFER("heart-rate", "115", 111);
    TRACE_IS("");
    fixture_close(f);
}

SUITE(engine_versions) = {
    {"silence of the team that was left", test_silence_of_the_team_left},
    {"silent, then moved to another line", test_silent_and_moved},
    {"an id of another rule", test_id_of_another_rule},
    {"words of what waits", test_words_of_what_waits},
    {"what waits replaces nothing", test_waiting_replaces_nothing},
    {"the most specific layer", test_most_specific_layer},
    {"other scopes do not count", test_other_scopes_do_not_count},
    {"the version at the measured time", test_version_at_measured_time},
    {"valid_from is moved", test_valid_from_is_moved},
    {"the patient layer reaches back", test_patient_layer_reaches_back},
    {"a version of the future", test_future_version},
    {"replaced while it waited", test_replaced_while_it_waited},
    {"runs go on", test_runs_go_on},
    {"a level that is gone", test_level_that_is_gone},
    {"disabled", test_disabled},
    {"disabled now", test_disabled_now},
    {"confirmation", test_confirmation},
    {"confirmation of one millisecond", test_confirmation_of_one_millisecond},
    {"a patient's version stands for it", test_patient_version_stands_for_confirmation},
    {"team rules never wait", test_team_rules_never_wait},
    {"in force from enrolment", test_in_force_from_enrolment},
    {"the same command again", test_same_command_again},
    {"what never changes under one id", test_what_never_changes},
    {"a change of line", test_change_of_line},
    {"rules of all layers are bounded", test_rules_of_all_layers_are_bounded},
    {"late data before an end that is past", test_late_before_a_past_end},
    {NULL, NULL},
};
