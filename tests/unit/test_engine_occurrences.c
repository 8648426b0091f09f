/* engine_occurrences: the kind `occurrences`, RULES.md section 3.2; severe hypoglycaemia as REGULATION.md
 * section 1.1 has it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/engine_fixture.h"

static struct fixture fixture, *const f = &fixture;

#define HYPO(more)                                                                                           \
    "{'id':'t.hypo','parameter':'glucose-interstitial','unit':'mg/dL','kind':'occurrences',"                 \
    "'priority':'high','text':{'fr':'f','en':'e'}," more "}"
#define DAY3 "'below':54,'rearm':16,'times':3,'within':'24h'"

static void begin(const char *rule)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(fixture_rule(f, 0, 0, rule), OK);
}

#define SUGAR(v, t) OFFER("glucose-interstitial", v, t)
#define LATE(v, t, r)                                                                                        \
    fixture_offer(f, (struct offer){.parameter = "glucose-interstitial", .value = v, .at = t, .received = r})

static const json_t *readings_of(const char *event)
{
    return json_object_get(fixture_last(f, event), "readings");
}

static void reading_is(const char *event, size_t index, double minute, double value)
{
    const json_t *reading = json_array_get(readings_of(event), index);
    CU_ASSERT_STRING_EQUAL(event_text(reading, "measured_at"), fixture_time(minute));
    CU_ASSERT_EQUAL(json_number_value(json_object_get(reading, "value")), value);
}

/* ---- named tests of REGULATION.md ---- */

/* Threshold, N and T are the professional's, per patient: another patient of the line has others. */
static void test_three_crossings_in_a_day(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(
        fixture_command(
            f, COMMAND_RULE, 0,
            "{'layer':'line','scope':'test','version':101,'author':'a','role':'system',"
            "'reason':'r','rule':%s}",
            "{'id':'t.hypo','line':'test','parameter':'glucose-interstitial','unit':'mg/dL',"
            "'kind':'occurrences','priority':'high','below':54,'rearm':16,'times':3,'within':'24h',"
            "'text':{'fr':'f','en':'e'}}"),
        OK);
    SUGAR("50", 60);
    SUGAR("90", 120);
    SUGAR("50", 600);
    SUGAR("90", 700);
    TRACE_IS("");
    SUGAR("50", 60 + 1440 - 1);
    TRACE_IS("raised high 1499");
    SUGAR("90", 1560);
    TRACE_IS("cleared high 1560"); /* the first of the three is out of the day */

    CU_ASSERT_EQUAL(fixture_rule(f, 1600, 1600, HYPO("'below':60,'times':2,'within':'12h'")), OK);
    SUGAR("59", 3000);
    SUGAR("60", 3010);
    TRACE_IS("");
    SUGAR("59", 3000 + 719);
    TRACE_IS("raised high 3719");
    const json_t *rule = json_object_get(fixture_last(f, "raised"), "rule");
    CU_ASSERT_STRING_EQUAL(event_text(rule, "layer"), "patient");
    CU_ASSERT_STRING_EQUAL(event_text(rule, "kind"), "occurrences");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(json_object_get(rule, "parameters"), "times")), 2);
    fixture_close(f);
}

/* A sensor measures every five minutes: one dip of 40 samples is one hypoglycaemia. */
static void test_a_dip_counts_once(void)
{
    begin(HYPO(DAY3));
    for (int dip = 0; dip < 3; dip++) {
        for (int i = 0; i < 40; i++)
            SUGAR(i % 2 ? "52" : "48", 60 + dip * 300 + i * 5);
        CU_ASSERT_EQUAL(fixture_last(f, "raised") != NULL, dip == 2);
        SUGAR("75", 60 + dip * 300 + 200);
    }
    TRACE_IS("raised high 660");
    /* Each dip of 40, but the third is counted from its crossing on: n, then 39 more of the open episode. */
    SUGAR("40", 900);
    SUGAR("80", 2500);
    TRACE_IS("cleared high 2500");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(fixture_last(f, "cleared"), "readings_in_breach")),
                    43);
    fixture_close(f);
}

/* A hypoglycaemia must never hide behind an open hyperglycaemia. */
static void test_hypo_while_a_hyper_is_open(void)
{
    begin(HYPO("'below':54,'above':250,'times':1,'within':'24h'"));
    SUGAR("260", 10);
    SUGAR("50", 20);
    TRACE_IS("raised high 10 | raised high 20");
    EPISODES_ARE("t.hypo high 10--1 open high@10 | t.hypo low 20--1 open high@20");
    SUGAR("100", 1500);
    TRACE_IS("cleared high 1500 | cleared high 1500");
    fixture_close(f);
}

/* ---- exact ---- */

static void test_thresholds_are_strict(void)
{
    begin(HYPO("'below':54,'times':1,'within':'1h'"));
    SUGAR("54", 1);
    TRACE_IS("");
    SUGAR("53.999999", 2);
    TRACE_IS("raised high 2");
    fixture_close(f);
    begin(HYPO("'above':180,'rearm':10,'times':2,'within':'1h'"));
    SUGAR("180.000001", 1);
    SUGAR("170.000001", 2); /* not inside by rearm: the same occurrence goes on */
    SUGAR("181", 3);
    TRACE_IS("");
    SUGAR("170", 4);
    SUGAR("180.000001", 5);
    TRACE_IS("raised high 5");
    fixture_close(f);
}

/* (t - T, t]: one that is T old is out. */
static void test_edges_of_the_window(void)
{
    begin(HYPO("'below':54,'times':2,'within':'60m'"));
    SUGAR("50", 10);
    SUGAR("90", 20);
    SUGAR("50", 70);
    TRACE_IS("");
    SUGAR("90", 80);
    SUGAR("50", 129.99);
    TRACE_IS("raised high 129.99");
    fixture_close(f);
}

/* Cleared at a reading with `in` false and n < N, however long ago; never by the clock. */
static void test_clearing(void)
{
    begin(HYPO("'below':54,'rearm':6,'times':2,'within':'60m'"));
    SUGAR("50", 10);
    SUGAR("60", 20);
    SUGAR("50", 30);
    TRACE_IS("raised high 30");
    SUGAR("59", 95); /* n is 0, in is not false */
    fixture_run(f, 5000);
    TRACE_IS("");
    SUGAR("60", 5001);
    TRACE_IS("cleared high 5001");
    SUGAR("50", 5010);
    SUGAR("60", 5020);
    SUGAR("50", 5030);
    SUGAR("60", 5040); /* in is false, n is 2 */
    TRACE_IS("raised high 5030");
    SUGAR("60", 5069.9);
    TRACE_IS("");
    SUGAR("60", 5070);
    TRACE_IS("cleared high 5070");
    fixture_close(f);
}

static void test_samples(void)
{
    begin(HYPO("'below':54,'times':3,'within':'30m','mode':'sample'"));
    SUGAR("50", 10);
    SUGAR("51", 20);
    SUGAR("52", 40); /* the first is out */
    TRACE_IS("");
    SUGAR("53", 45);
    TRACE_IS("raised high 45");
    CU_ASSERT_EQUAL(json_array_size(readings_of("raised")), 3);
    reading_is("raised", 0, 20, 51);
    reading_is("raised", 2, 45, 53);
    fixture_close(f);
}

static void test_comparators(void)
{
    begin(HYPO("'below':54,'rearm':6,'times':2,'within':'60m'"));
    SUGAR("<70", 10);  /* LO of a sensor: the end of its range breaches any `below` */
    SUGAR(">300", 20); /* the other side is inside */
    SUGAR("<40", 30);
    TRACE_IS("raised high 30");
    fixture_close(f);
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(
        fixture_rule(f, 0, 0,
                     "{'id':'t.k','parameter':'potassium','unit':'mmol/L','kind':'occurrences','below':3,"
                     "'times':2,'within':'10d','priority':'low','text':{'fr':'f','en':'e'}}"),
        OK);
    OFFER("potassium", "<3", 10);
    OFFER("potassium", "<3.5", 20); /* neither a breach nor inside */
    OFFER("potassium", "2.9", 30);  /* so it is the same one */
    TRACE_IS("");
    OFFER("potassium", "3", 40);
    OFFER("potassium", "<2", 50);
    TRACE_IS("raised low 50");
    OFFER("potassium", "3", 60);
    OFFER("potassium", "<3.5", 60 + 10 * DAY_MIN); /* a reading, `in` is false, n is 0 */
    TRACE_IS("cleared low 14460");
    fixture_close(f);
}

/* It breaches if any value does, is inside if all are, counts once. */
static void test_instant_of_several_values(void)
{
    begin(HYPO("'below':54,'times':2,'within':'60m','mode':'sample'"));
    struct offer both[] = {{.parameter = "glucose-interstitial", .value = "50", .at = 10},
                           {.parameter = "glucose-interstitial", .value = "49", .at = 10}};
    fixture_offer_all(f, both, 2, 10);
    TRACE_IS("");
    struct offer mixed[] = {{.parameter = "glucose-interstitial", .value = "90", .at = 20},
                            {.parameter = "glucose-interstitial", .value = "53", .at = 20}};
    fixture_offer_all(f, mixed, 2, 20);
    TRACE_IS("raised high 20");
    CU_ASSERT_EQUAL(json_number_value(json_object_get(fixture_last(f, "raised"), "value")), 53);
    reading_is("raised", 0, 10, 49);
    reading_is("raised", 1, 20, 53);
    fixture_close(f);
}

/* Readings of one moment from two sensors are two. */
static void test_ties(void)
{
    begin(HYPO("'below':54,'times':2,'within':'60m','mode':'sample'"));
    SUGAR("50", 10);
    fixture_offer(
        f, (struct offer){.parameter = "glucose-interstitial", .value = "50", .at = 10, .device = "E"});
    TRACE_IS("raised high 10");
    fixture_close(f);
}

/* ---- what an event says ---- */

static void test_evidence_and_beginning(void)
{
    begin(HYPO("'below':54,'rearm':6,'times':3,'within':'10h'"));
    double at[] = {10, 700, 800, 900};
    for (int i = 0; i < 4; i++) {
        SUGAR(i == 3 ? "47" : "50", at[i]);
        SUGAR("52", at[i] + 5); /* a breach, but no occurrence */
        SUGAR("60", at[i] + 10);
    }
    TRACE_IS("raised high 900");
    const json_t *raised = fixture_last(f, "raised");
    CU_ASSERT_EQUAL(json_array_size(readings_of("raised")), 3);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(raised, "readings_total")), 3);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(raised, "readings_in_breach")), 3);
    reading_is("raised", 0, 700, 50);
    reading_is("raised", 1, 800, 50);
    reading_is("raised", 2, 900, 47);
    SUGAR("80", 900 + 599); /* 800 is out, 900 is in */
    TRACE_IS("cleared high 1499");
    CU_ASSERT_EQUAL(json_array_size(readings_of("cleared")), 2);
    reading_is("cleared", 0, 900, 47);
    reading_is("cleared", 1, 1499, 80);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(fixture_last(f, "cleared"), "readings_in_breach")), 4);
    fixture_close(f);
}

/* At most 32, first and last kept; the trace back goes as far as it must to know what `in` was. */
static void test_many_counted(void)
{
    begin(HYPO("'below':54,'rearm':6,'times':256,'within':'10d'"));
    for (int i = 0; i < 300; i++) /* neither breach nor inside: says nothing of `in` */
        SUGAR("58", 10 + i);
    for (int i = 0; i < 256; i++) {
        SUGAR("50", 1000 + 10 * i);
        SUGAR("60", 1005 + 10 * i);
    }
    TRACE_IS("raised high 3550");
    CU_ASSERT_EQUAL(json_array_size(readings_of("raised")), 32);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(fixture_last(f, "raised"), "readings_total")), 256);
    reading_is("raised", 0, 1000, 50);
    reading_is("raised", 1, 1000 + 10 * 225, 50);
    reading_is("raised", 31, 3550, 50);
    fixture_close(f);
}

/* Before the window a breach that went on for long: its crossing lies far back and is not counted again. */
static void test_evidence_knows_in(void)
{
    begin(HYPO("'below':54,'rearm':6,'times':2,'within':'60m'"));
    SUGAR("50", 10);
    for (int i = 0; i < 200; i++)
        SUGAR("58", 11 + i);
    SUGAR("50", 215); /* the same one still */
    SUGAR("60", 216);
    SUGAR("50", 217);
    SUGAR("60", 218);
    SUGAR("50", 219);
    TRACE_IS("raised high 219");
    CU_ASSERT_EQUAL(json_array_size(readings_of("raised")), 2);
    reading_is("raised", 0, 217, 50);
    fixture_close(f);
}

/* Where it begins to look may be amid an instant of several values: the rest of one says nothing. */
static void test_evidence_begins_at_an_instant(void)
{
    begin(HYPO("'below':54,'rearm':6,'times':2,'within':'42m'"));
    SUGAR("50", 5);
    struct offer both[] = {{.parameter = "glucose-interstitial", .value = "50", .at = 10},
                           {.parameter = "glucose-interstitial", .value = "90", .at = 10}};
    fixture_offer_all(f, both, 2, 10);
    for (int i = 0; i < 31; i++)
        SUGAR("58", 11 + i);
    SUGAR("50", 80); /* the same one still */
    SUGAR("60", 81);
    SUGAR("50", 82);
    SUGAR("60", 83);
    SUGAR("50", 84);
    TRACE_IS("raised high 84");
    CU_ASSERT_EQUAL(json_array_size(readings_of("raised")), 2);
    fixture_close(f);
}

/* The reading that decided is gone: what was counted before it stays the evidence, nothing later joins. */
static void test_evidence_of_a_cancelled(void)
{
    begin(HYPO("'below':54,'times':3,'within':'25m','mode':'sample'"));
    SUGAR("50", 10);
    SUGAR("51", 20);
    SUGAR("52", 30);
    SUGAR("53", 50);
    TRACE_IS("raised high 30");
    fixture_offer(
        f,
        (struct offer){
            .parameter = "glucose-interstitial", .value = "52", .at = 30, .received = 60, .status = "void"});
    TRACE_IS("~cancelled high 30 (void)");
    CU_ASSERT_EQUAL(json_array_size(readings_of("cancelled")), 2);
    reading_is("cancelled", 0, 10, 50);
    reading_is("cancelled", 1, 20, 51);
    fixture_close(f);
}

/* ---- late data ---- */

static void test_late_crossing(void)
{
    begin(HYPO(DAY3));
    SUGAR("50", 10);
    SUGAR("80", 100);
    SUGAR("50", 200);
    SUGAR("80", 300);
    TRACE_IS("");
    LATE("90", 250, 301);
    LATE("49", 270, 302);
    TRACE_IS("raised high 270");
    const char *first = event_text(fixture_last(f, "raised"), "episode_id");
    struct offer older[] = {{.parameter = "glucose-interstitial", .value = "50", .at = 150},
                            {.parameter = "glucose-interstitial", .value = "80", .at = 175}};
    fixture_offer_all(f, older, 2, 303); /* an older one: the same episode, raised earlier */
    TRACE_IS("~amended high 200 (late-data)");
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "amended"), "episode_id"), first);
    fixture_offer(f, (struct offer){.parameter = "glucose-interstitial",
                                    .value = "80",
                                    .at = 100,
                                    .received = 304,
                                    .status = "void"});
    TRACE_IS("~amended high 270 (void)"); /* 10 and 150 are one */
    fixture_close(f);
}

/* An episode's id begins at its oldest counted occurrence: of 2 and of 3 from the same one it is the same. */
static void test_id_is_of_the_oldest_counted(void)
{
    static const struct {
        const char *rule;
        double at[3];
        bool same;
    } cases[] = {
        {HYPO("'below':54,'times':2,'within':'24h'"), {10, 30, 0}, true},
        {HYPO("'below':54,'times':3,'within':'24h'"), {10, 40, 50}, true},
        {HYPO("'below':54,'times':2,'within':'24h'"), {11, 30, 0}, false},
        {HYPO("'below':54,'times':2,'within':'24h'"), {9, 10, 0}, false},
        {HYPO("'below':54,'times':2,'within':'30m'"), {10, 50, 60}, false},
    };
    char id[UUID_TEXT + 1] = "";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(cases[i].rule);
        for (unsigned k = 0; k < 3 && cases[i].at[k] > 0; k++) {
            SUGAR("50", cases[i].at[k]);
            SUGAR("90", cases[i].at[k] + 0.5);
        }
        const char *found = event_text(fixture_last(f, "raised"), "episode_id");
        if (i == 0)
            snprintf(id, sizeof id, "%s", found);
        CU_ASSERT_EQUAL(strcmp(found, id) == 0, cases[i].same);
        fixture_close(f);
    }
}

/* ---- versions ---- */

/* `in` and what was counted go on; T and N are those of the version at hand. */
static void test_versions(void)
{
    begin(HYPO("'below':54,'times':3,'within':'60m'"));
    SUGAR("50", 10);
    SUGAR("60", 20);
    SUGAR("50", 130);
    CU_ASSERT_EQUAL(fixture_rule(f, 140, 140, HYPO("'below':70,'times':3,'within':'10h'")), OK);
    SUGAR("60", 150); /* was inside; is a breach now, `in` was true: no occurrence */
    TRACE_IS("");
    SUGAR("80", 160);
    SUGAR("69", 170);
    TRACE_IS("raised high 170");
    reading_is("raised", 0, 10, 50);
    reading_is("raised", 1, 130, 50);
    reading_is("raised", 2, 170, 69);
    CU_ASSERT_EQUAL(fixture_rule(f, 180, 180, HYPO("'below':70,'times':4,'within':'10h'")), OK);
    SUGAR("65", 190); /* in is true */
    TRACE_IS("");
    SUGAR("75", 200); /* n is 3, N is 4 */
    TRACE_IS("cleared high 200");
    CU_ASSERT_EQUAL(fixture_rule(f, 210, 210, HYPO("'below':70,'times':2,'within':'60m'")), OK);
    SUGAR("60", 230); /* what is T old is out, though it is kept for the longer window */
    TRACE_IS("");
    SUGAR("75", 231);
    SUGAR("60", 289.99);
    TRACE_IS("raised high 289.99");
    fixture_close(f);
}

#define PRIORITY(word)                                                                                       \
    "{'id':'t.hypo','parameter':'glucose-interstitial','unit':'mg/dL','kind':'occurrences','below':54,"      \
    "'times':2,'within':'10h','priority':'" word "','text':{'fr':'f','en':'e'}}"

static void test_another_priority(void)
{
    begin(PRIORITY("medium"));
    SUGAR("50", 10);
    SUGAR("60", 20);
    SUGAR("50", 30);
    TRACE_IS("raised medium 30");
    CU_ASSERT_EQUAL(fixture_rule(f, 40, 40, PRIORITY("high")), OK);
    SUGAR("51", 50); /* no occurrence: stays, and is not cleared */
    SUGAR("60", 60);
    TRACE_IS("");
    SUGAR("50", 70);
    TRACE_IS("escalated high 70");
    CU_ASSERT_EQUAL(fixture_rule(f, 80, 80, PRIORITY("low")), OK);
    SUGAR("50", 90);
    TRACE_IS("deescalated low 90");
    CU_ASSERT_EQUAL(json_array_size(readings_of("deescalated")), 4); /* three, and the one that decided */
    reading_is("deescalated", 3, 90, 50);
    fixture_close(f);
}

static void test_disabled_forgets(void)
{
    begin(HYPO("'below':54,'times':2,'within':'10h'"));
    SUGAR("50", 10);
    SUGAR("60", 20);
    SUGAR("50", 30);
    TRACE_IS("raised high 30");
    CU_ASSERT_EQUAL(fixture_rule(f, 40, 40, HYPO("'enabled':false,'below':54,'times':2,'within':'10h'")), OK);
    TRACE_IS("cleared high 40 (rule-disabled)");
    CU_ASSERT_EQUAL(fixture_rule(f, 50, 50, HYPO("'below':54,'times':2,'within':'10h'")), OK);
    SUGAR("50", 60); /* `in` is false again, and nothing was counted */
    SUGAR("60", 70);
    TRACE_IS("");
    SUGAR("50", 80);
    TRACE_IS("raised high 80");
    CU_ASSERT_EQUAL(json_array_size(readings_of("raised")), 2);
    reading_is("raised", 0, 60, 50);
    fixture_close(f);
}

/* ---- the law, against the text of RULES.md in plain arrays ---- */

enum { LAW_READINGS = 400, LAW_SEEDS = 60 };

struct sample {
    int minute, value;
};

static uint64_t dice;
static unsigned roll(unsigned sides)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(dice >> 33) % sides;
}

/* The episodes of a series sorted by time, as fixture_episodes() writes them. */
static void by_the_book(const struct sample *s, int count, int times, int within, bool sample, char *text)
{
    bool in = false, open = false;
    int occurred[LAW_READINGS], n_all = 0;
    *text = '\0';
    for (int i = 0; i < count; i++) {
        bool breach = s[i].value < 54, happens = breach && (sample || !in);
        in = breach || (in && s[i].value < 60);
        if (happens)
            occurred[n_all++] = s[i].minute;
        int n = 0;
        for (int k = 0; k < n_all; k++)
            n += occurred[k] > s[i].minute - within;
        if (!open && happens && n >= times) {
            open = true;
            text += sprintf(text, "t.hypo low %d-", s[i].minute);
        } else if (open && !in && n < times) {
            open = false;
            text += sprintf(text, "%d\n", s[i].minute);
        }
    }
    if (open)
        sprintf(text, "-1\n");
}

/* "t.hypo low 10-20 cleared high@10 | …" as "t.hypo low 10-20\n…", in order of time. */
static int compare_stretches(const void *left, const void *right)
{
    return *(const int *)left - *(const int *)right;
}

static void published(char *text)
{
    int stretch[LAW_READINGS][2], count = 0;
    char *rest = strdup(fixture_episodes(f)), *whole = rest, *part;
    while ((part = strsep(&rest, "|")) != NULL)
        if (sscanf(part, " t.hypo low %d-%d", &stretch[count][0], &stretch[count][1]) == 2)
            count++;
    qsort(stretch, (size_t)count, sizeof stretch[0], compare_stretches);
    *text = '\0';
    for (int i = 0; i < count; i++)
        text += sprintf(text, "t.hypo low %d-%d\n", stretch[i][0], stretch[i][1]);
    free(whole);
}

static void test_law(void)
{
    static struct sample sorted[LAW_READINGS];
    static struct offer offers[LAW_READINGS];
    static char values[LAW_READINGS][8], expected[LAW_READINGS * 32], found[LAW_READINGS * 32];
    unsigned episodes = 0;
    for (dice = 1; dice <= LAW_SEEDS; dice++) {
        uint64_t seed = dice;
        char rule[256];
        int times = 1 + (int)roll(4), within = 30 + (int)roll(300);
        bool sample = roll(3) == 0;
        snprintf(rule, sizeof rule, HYPO("'below':54,'rearm':6,'times':%d,'within':'%dm','mode':'%s'"), times,
                 within, sample ? "sample" : "crossing");
        for (int i = 0, minute = 10; i < LAW_READINGS; i++, minute += 1 + (int)roll(20)) {
            sorted[i] = (struct sample){minute, 48 + (int)roll(16)};
            snprintf(values[i], sizeof values[i], "%d", sorted[i].value);
            offers[i] = (struct offer){.parameter = "glucose-interstitial", .value = values[i], .at = minute};
        }
        for (int i = LAW_READINGS - 1; i > 0 && seed % 2 == 0; i--) { /* shuffled near by */
            int other = i - (int)roll(i < 12 ? (unsigned)i + 1 : 12);
            struct offer offer = offers[i];
            offers[i] = offers[other];
            offers[other] = offer;
        }
        begin(rule);
        double last = sorted[LAW_READINGS - 1].minute + 1;
        for (int i = 0, part; i < LAW_READINGS; i += part) {
            part = 1 + (int)roll(30);
            part = part < LAW_READINGS - i ? part : LAW_READINGS - i;
            fixture_offer_all(f, offers + i, part, seed % 3 == 0 ? last + i : last);
        }
        by_the_book(sorted, LAW_READINGS, times, within, sample, expected);
        published(found);
        CU_ASSERT_STRING_EQUAL(found, expected);
        for (const char *at = found; *at != '\0'; at++)
            episodes += *at == '\n';
        fixture_close(f);
        dice = seed;
    }
    CU_ASSERT(episodes > 400);
}

SUITE(engine_occurrences) = {
    {"severe hypoglycaemia: crossings in a day, per patient", test_three_crossings_in_a_day},
    {"a dip of 40 samples counts once", test_a_dip_counts_once},
    {"a hypo while a hyper is open", test_hypo_while_a_hyper_is_open},
    {"thresholds and rearm are exact", test_thresholds_are_strict},
    {"edges of the window", test_edges_of_the_window},
    {"cleared by readings only", test_clearing},
    {"mode sample", test_samples},
    {"comparators", test_comparators},
    {"an instant of several values counts once", test_instant_of_several_values},
    {"ties are two readings", test_ties},
    {"evidence and beginning", test_evidence_and_beginning},
    {"many counted", test_many_counted},
    {"evidence knows what in was", test_evidence_knows_in},
    {"evidence begins at an instant", test_evidence_begins_at_an_instant},
    {"evidence of a cancelled episode", test_evidence_of_a_cancelled},
    {"a late crossing", test_late_crossing},
    {"the id is of the oldest counted", test_id_is_of_the_oldest_counted},
    {"versions go on", test_versions},
    {"another priority", test_another_priority},
    {"a disabled rule forgets", test_disabled_forgets},
    {"the law, by the book", test_law},
    {NULL, NULL},
};
