/* engine_restore: each kind of rule, saved anywhere and loaded elsewhere, goes on as if nothing had been: the
 * same events, byte for byte. One patient and few values, so that runs, windows and priorities are under way
 * nearly always; tests/unit/test_engine_snapshot.c has the many patients and the journal. */
#include <stdio.h>
#include <string.h>

#include "alerting/engine_snapshot.h"
#include "daemon/base/buffer.h"
#include "tests/unit/engine_fixture.h"

static struct fixture living, loaded;

static uint64_t dice;
static unsigned roll(unsigned sides)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(dice >> 33) % sides;
}

/* # stands for a number of 1 to 3, $ for a priority. */
static const char *const kinds[] = {
    "{'id':'t.rule','parameter':'heart-rate','unit':'/min','kind':'limit','levels':[{'priority':'$',"
    "'above':97,'below':93}],'hysteresis':1,'count':#,'clear_count':#}",
    "{'id':'t.rule','parameter':'heart-rate','unit':'/min','kind':'occurrences','above':96,'below':93,"
    "'rearm':1,'times':#,'within':'#h','priority':'$'}",
    "{'id':'t.rule','parameter':'heart-rate','unit':'/min','kind':'occurrences','above':97,'mode':'sample',"
    "'times':#,'within':'#h','priority':'$'}",
    "{'id':'t.rule','parameter':'heart-rate','unit':'/min','kind':'change','rise':4,'fall_percent':3,"
    "'within':'40m','count':#,'clear_count':#,'priority':'$'}",
    "{'id':'t.rule','parameter':'heart-rate','unit':'/min','kind':'reference','rise':1,'fall':1,"
    "'count':#,'clear_count':#,'priority':'$'}",
    "{'id':'t.rule','parameter':'heart-rate','unit':'/min','kind':'rate','rise_per':0.03,'fall_per':0.05,"
    "'within':'45m','readings':3,'count':#,'clear_count':#,'priority':'$'}",
    "{'id':'t.rule','parameter':'heart-rate','unit':'/min','kind':'daily','statistic':'median','above':96,"
    "'below':93,'days':#,'missing':'skip','grace':'#h','priority':'$'}",
    "{'id':'t.rule','parameter':'heart-rate','unit':'/min','kind':'variation','statistic':'mean','rise':1,"
    "'fall':1,'min_readings':#,'grace':'#h','priority':'$'}",
    "{'id':'t.rule','parameter':'heart-rate','unit':'/min','kind':'baseline','statistic':'max','rise':1,"
    "'fall_percent':1,'over':5,'min_days':#,'days':#,'grace':'#h','priority':'$'}",
};
enum { FIRST_OF_DAYS = 6, DAYS_SLOWER = 40 }; /* of `kinds`; a few readings a day */

static const char *a_rule(unsigned kind)
{
    static const char *const words[] = {"low", "medium", "high"};
    static char text[512];
    size_t size = 0;
    const char *priority = words[roll(3)];
    for (const char *at = kinds[kind]; *at != '\0'; at++) {
        char number[2] = {(char)('1' + (*at == '#' ? roll(3) : 0)), '\0'}, same[2] = {*at, '\0'};
        const char *part = *at == '#' ? number : *at == '$' ? priority : same;
        size += (size_t)snprintf(text + size, sizeof text - size, "%s", part);
    }
    return text;
}

/* The same to one engine or both. */
static void happen(double minute, unsigned kind, bool both)
{
    char value[16], rule[512];
    snprintf(rule, sizeof rule, "%s", a_rule(kind));
    unsigned sort = roll(40), number = 90 + roll(11),
             late = roll(6) == 0 ? roll(50) * (kind < FIRST_OF_DAYS ? 1 : DAYS_SLOWER) : 0;
    snprintf(value, sizeof value, "%s%u", roll(25) == 0 ? ">" : "", number);
    for (unsigned i = 0; i < (both ? 2u : 1u); i++) {
        struct fixture *f = i == 0 ? &living : &loaded;
        fixture_tick(f, minute);
        if (sort < 4) {
            CU_ASSERT_EQUAL(fixture_rule(f, minute, minute, rule), OK);
        } else if (sort < 6) {
            enum err error = fixture_command(f, COMMAND_REFERENCE, minute,
                                             "{'patient_id':17,'parameter':'heart-rate','value':%u,"
                                             "'unit':'/min','from':'%s','author':'A'}",
                                             number, fixture_time(minute - 3 * late));
            CU_ASSERT_EQUAL(error, OK);
        } else {
            fixture_offer(
                f, (struct offer){
                       .parameter = "heart-rate", .value = value, .at = minute - late, .received = minute});
        }
    }
}

static unsigned run(unsigned kind, uint64_t seed)
{
    double minute = 10, slower = kind < FIRST_OF_DAYS ? 1 : DAYS_SLOWER;
    dice = seed * 1000003 + kind;
    fixture_open_patient(&living);
    CU_ASSERT_EQUAL_FATAL(fixture_rule(&living, 0, 0, a_rule(kind)), OK);
    for (unsigned i = 20 + roll(60); i > 0; i--, minute += slower * (1 + roll(20)))
        happen(minute, kind, false);
    int before = living.count;
    fixture_move(&living, &loaded);
    for (unsigned i = 0; i < 25; i++, minute += slower * (1 + roll(20)))
        happen(minute, kind, true);
    CU_ASSERT_EQUAL_FATAL(living.count - before, loaded.count);
    for (int i = 0; i < loaded.count; i++)
        CU_ASSERT_STRING_EQUAL_FATAL(living.texts[before + i], loaded.texts[i]);
    unsigned events = (unsigned)loaded.count;
    fixture_close(&living);
    fixture_close(&loaded);
    return events;
}

static void test_goes_on(void)
{
    for (unsigned kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++) {
        unsigned events = 0;
        for (uint64_t seed = 1; seed <= 80; seed++)
            events += run(kind, seed);
        CU_ASSERT(events > 80);
    }
}

/* ---- names ---- */

enum { MADE_UP = 1200, LATER = 33 * DAY_MIN }; /* more than 2 L of a continuous parameter */

static const struct {
    const char *rule;
    int early[2], late[2], last; /* values: two, then two after 33 days, then one that raises */
} runs[] = {
    {"{'id':'t.rule','parameter':'heart-rate','unit':'/min','kind':'limit','levels':[{'priority':'low',"
     "'above':90}],'count':4}",
     {80, 91},
     {91, 91},
     91},
    {"{'id':'t.rule','parameter':'heart-rate','unit':'/min','kind':'reference','rise':5,'count':4,"
     "'priority':'low'}",
     {80, 91},
     {91, 91},
     91},
    {"{'id':'t.rule','parameter':'heart-rate','unit':'/min','kind':'change','rise':5,'within':'2d','count':3,"
     "'priority':'low'}",
     {80, 91},
     {80, 91},
     100},
    {"{'id':'t.rule','parameter':'heart-rate','unit':'/min','kind':'rate','rise_per':1,'within':'1d',"
     "'count':3,'priority':'low'}",
     {80, 91},
     {80, 91},
     120},
    {"{'id':'t.rule','parameter':'heart-rate','unit':'/min','kind':'occurrences','above':90,'mode':'sample',"
     "'times':3,'within':'15d','priority':'low'}",
     {80, 91},
     {91, 91},
     91},
};

static void beat(int value, double minute, const char *device)
{
    char text[16];
    snprintf(text, sizeof text, "%d", value);
    fixture_offer(&living,
                  (struct offer){.parameter = "heart-rate", .value = text, .at = minute, .device = device});
}

static void make_up_names(double minute)
{
    for (int i = 0; i < MADE_UP; i++) {
        char device[24];
        snprintf(device, sizeof device, "made-up-%d", i);
        /* Quarantined readings are held aside, and only a few of them. */
        fixture_offer(&living, (struct offer){.parameter = "steps",
                                              .value = "7",
                                              .at = minute,
                                              .device = device,
                                              .quarantine = QUARANTINE_IMPOSSIBLE});
    }
}

/* A name that only the state of a judge names is not forgotten: the episode's id is made from it. */
static void test_names_of_states(void)
{
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        char id[UUID_TEXT + 1] = "";
        for (int with_names = 0; with_names < 2; with_names++) {
            fixture_open_patient(&living);
            CU_ASSERT_EQUAL_FATAL(fixture_rule(&living, 0, 0, runs[i].rule), OK);
            enum err error = fixture_command(&living, COMMAND_REFERENCE, 1,
                                             "{'patient_id':17,'parameter':'heart-rate','value':80,"
                                             "'unit':'/min','from':'%s','author':'A'}",
                                             fixture_time(1));
            CU_ASSERT_EQUAL(error, OK);
            beat(runs[i].early[0], 10, "zero");
            beat(runs[i].early[1], 11, "first");
            beat(runs[i].late[0], LATER, "second");
            beat(runs[i].late[1], LATER + 1, "third");
            if (with_names)
                make_up_names(LATER + 1.5);
            beat(runs[i].last, LATER + 2, "fourth");
            const json_t *raised = fixture_last(&living, "raised");
            CU_ASSERT_STRING_EQUAL(event_text(raised, "class"), "clinical");
            if (!with_names)
                snprintf(id, sizeof id, "%s", event_text(raised, "episode_id"));
            CU_ASSERT_STRING_EQUAL(event_text(raised, "episode_id"), id);
            fixture_close(&living);
        }
    }
}

/* Who is enrolled while others still sleep is awake, and stays so when they wake: both are watched. */
static void test_enrolled_meanwhile(void)
{
    struct buffer shared = {0}, patients = {0};
    int64_t last_id = INT64_MIN;
    fixture_open_patient(&living);
    struct archive *archive = engine_archive_new(living.engine);
    engine_save_shared(archive, &shared);
    CU_ASSERT_EQUAL_FATAL(engine_save_patients(archive, &last_id, 9, SIZE_MAX, &patients), 1);
    engine_archive_free(archive);
    fixture_open_empty(&loaded);
    archive = engine_archive_new(loaded.engine);
    CU_ASSERT_EQUAL_FATAL(engine_load_shared(archive, shared.data, shared.size), OK);
    CU_ASSERT_EQUAL_FATAL(engine_load_patients(archive, 1, patients.data, patients.size), OK);
    engine_archive_free(archive);
    CU_ASSERT_EQUAL(
        fixture_command(&loaded, COMMAND_PATIENT, 5,
                        "{'patient_id':18,'ref':'P-2','organization':'O','line':'test','team':'T',"
                        "'time_zone':'UTC','enrolled_at':null}"),
        OK);
    engine_wake_patients(loaded.engine, INT64_MIN, INT64_MAX);
    CU_ASSERT_EQUAL(engine_dormant_count(loaded.engine), 0);
    fixture_run(&loaded, 31 * DAY_MIN + 10);
    CU_ASSERT_EQUAL_FATAL(loaded.count, 2);
    CU_ASSERT_STRING_EQUAL(event_text(loaded.events[0], "patient"), "P-1");
    CU_ASSERT_STRING_EQUAL(event_text(loaded.events[0], "raised_at"), fixture_time(31 * DAY_MIN));
    CU_ASSERT_STRING_EQUAL(event_text(loaded.events[1], "patient"), "P-2");
    CU_ASSERT_STRING_EQUAL(event_text(loaded.events[1], "raised_at"), fixture_time(31 * DAY_MIN + 5));
    buffer_deinit(&shared);
    buffer_deinit(&patients);
    fixture_close(&living);
    fixture_close(&loaded);
}

SUITE(engine_restore) = {
    {"enrolled while others sleep", test_enrolled_meanwhile},
    {"each kind goes on where it was saved", test_goes_on},
    {"a name that only a state names is kept", test_names_of_states},
    {NULL, NULL},
};
