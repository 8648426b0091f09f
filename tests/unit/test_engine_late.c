/* engine_late: late data, versions of readings, and the law: the order of arrival changes no episode
 * (RULES.md section 1). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/engine_fixture.h"

static struct fixture fixture, *const f = &fixture;

#define RULE_HR                                                                                              \
    "{'id':'t.hr','parameter':'heart-rate','unit':'/min','kind':'limit','hysteresis':3,'levels':["           \
    "{'priority':'medium','above':100},{'priority':'high','above':120},{'priority':'low','below':50}],"      \
    "'text':{'fr':'f','en':'e'}}"
#define RULE_RUN                                                                                             \
    "{'id':'t.run','parameter':'heart-rate','unit':'/"                                                       \
    "min','kind':'limit','count':2,'for':'4m','max_gap':'9m',"                                               \
    "'clear_count':2,'levels':[{'priority':'medium','above':95},{'priority':'high','above':110}],"           \
    "'text':{'fr':'f','en':'e'}}"
#define RULE_CHANGE                                                                                          \
    "{'id':'t.ch','parameter':'heart-rate','unit':'/"                                                        \
    "min','kind':'change','rise':20,'fall':25,'within':'12m',"                                               \
    "'count':2,'priority':'low','text':{'fr':'f','en':'e'}}"

static void begin(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(fixture_rule(f, 0, 0, RULE_HR), OK);
}

#define LATE(v, t, r)                                                                                        \
    fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = v, .at = t, .received = r})

static void test_late_breach_raises(void)
{
    begin();
    OFFER("heart-rate", "80", 10);
    OFFER("heart-rate", "80", 20);
    LATE("130", 15, 21); /* PITFALLS X2: older than the newest seen, and still judged */
    TRACE_IS("raised high 15 | cleared high 20");
    fixture_close(f);
}

static void test_late_splits(void)
{
    begin();
    OFFER("heart-rate", "110", 10);
    OFFER("heart-rate", "110", 20);
    TRACE_IS("raised medium 10");
    LATE("80", 15, 21);
    TRACE_IS("cleared medium 15 | raised medium 20");
    EPISODES_ARE("t.hr high 10-15 cleared medium@10 | t.hr high 20--1 open medium@20");
    fixture_close(f);
}

static void test_void_merges(void)
{
    begin();
    OFFER("heart-rate", "110", 10);
    OFFER("heart-rate", "80", 15);
    OFFER("heart-rate", "110", 20);
    TRACE_IS("raised medium 10 | cleared medium 15 | raised medium 20");
    fixture_offer(
        f,
        (struct offer){.parameter = "heart-rate", .value = "80", .at = 15, .received = 21, .status = "void"});
    TRACE_IS("~cancelled medium 20 (merged) | ~amended medium 10 (reopened)");
    const json_t *cancelled = fixture_last(f, "cancelled"), *amended = fixture_last(f, "amended");
    CU_ASSERT_STRING_EQUAL(event_text(cancelled, "into"), event_text(amended, "episode_id"));
    CU_ASSERT_STRING_EQUAL(event_text(cancelled, "state"), "cancelled");
    CU_ASSERT_TRUE(json_is_true(json_object_get(amended, "reopened")));
    EPISODES_ARE("t.hr high 10--1 open medium@10");
    fixture_close(f);
}

static void test_void_cancels_and_correction_reinstates(void)
{
    begin();
    OFFER("heart-rate", "110", 10);
    TRACE_IS("raised medium 10");
    fixture_offer(f, (struct offer){.parameter = "heart-rate",
                                    .value = "110",
                                    .at = 10,
                                    .received = 11,
                                    .status = "void",
                                    .issued = 11});
    TRACE_IS("~cancelled medium 10 (void)");
    CU_ASSERT_EQUAL(LATE("110", 10, 12), VERDICT_DUPLICATE); /* what is void stays void */
    TRACE_IS("");
    fixture_offer(f, (struct offer){.parameter = "heart-rate",
                                    .value = "112",
                                    .at = 10,
                                    .received = 13,
                                    .status = "corrected",
                                    .issued = 12});
    TRACE_IS("raised medium 10 (reinstated)");
    const json_t *first = f->events[0], *last = fixture_last(f, "raised");
    CU_ASSERT_STRING_EQUAL(event_text(first, "episode_id"), event_text(last, "episode_id"));
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(last, "sequence")), 3);
    fixture_close(f);
}

static void test_correction_before_original(void)
{
    begin();
    fixture_offer(f, (struct offer){.parameter = "heart-rate",
                                    .value = "80",
                                    .at = 10,
                                    .received = 11,
                                    .status = "corrected",
                                    .issued = 11});
    CU_ASSERT_EQUAL(LATE("130", 10, 12), VERDICT_ACCEPTED); /* kept, and loses */
    TRACE_IS("");
    fixture_close(f);
}

static void test_version_time_not_arrival(void)
{
    begin();
    fixture_offer(f, (struct offer){.parameter = "heart-rate",
                                    .value = "130",
                                    .at = 10,
                                    .received = 11,
                                    .status = "corrected",
                                    .issued = 30});
    TRACE_IS("raised high 10");
    fixture_offer(f, (struct offer){.parameter = "heart-rate",
                                    .value = "80",
                                    .at = 10,
                                    .received = 12,
                                    .status = "corrected",
                                    .issued = 20});
    TRACE_IS("");
    /* equal version time: the void wins */
    fixture_offer(f, (struct offer){.parameter = "heart-rate",
                                    .value = "130",
                                    .at = 10,
                                    .received = 13,
                                    .status = "void",
                                    .issued = 30});
    TRACE_IS("~cancelled high 10 (void)");
    fixture_close(f);
}

static void test_final_replaces_preliminary(void)
{
    begin();
    fixture_offer(
        f, (struct offer){.parameter = "heart-rate", .value = "110", .at = 10, .status = "preliminary"});
    TRACE_IS("raised medium 10");
    LATE("80", 10, 11);
    TRACE_IS("~cancelled medium 10 (late-data)");
    /* both have identifiers, and they differ: two readings */
    fixture_offer(
        f, (struct offer){
               .parameter = "heart-rate", .value = "110", .at = 20, .status = "preliminary", .alias = 1});
    fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = "80", .at = 20, .alias = 2});
    TRACE_IS("raised medium 20");
    fixture_close(f);
}

static void test_void_by_alias_of_another_time(void)
{
    begin();
    fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = "110", .at = 10, .alias = 7});
    fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = "110", .at = 12, .alias = 8});
    /* a correction of the time: the void of the old and a new reading */
    fixture_offer(f, (struct offer){.parameter = "heart-rate",
                                    .value = "110",
                                    .at = 5,
                                    .received = 13,
                                    .alias = 7,
                                    .status = "corrected",
                                    .issued = 13});
    EPISODES_ARE("t.hr high 5--1 open medium@5");
    fixture_offer(f, (struct offer){.parameter = "heart-rate",
                                    .value = "1",
                                    .at = 5,
                                    .received = 14,
                                    .alias = 7,
                                    .status = "void",
                                    .issued = 14});
    EPISODES_ARE("t.hr high 12--1 open medium@12");
    fixture_close(f);
}

/* If-None-Exist: one measurement of that name is the answer, several are none; its versions are one. */
static void test_if_none_exist(void)
{
    begin();
    struct offer known = {.parameter = "heart-rate", .value = "80", .at = 10, .alias = 5};
    struct offer asked = {
        .parameter = "heart-rate", .value = "81", .at = 12, .alias = 5, .flags = FLAG_IF_NONE_EXIST};
    fixture_offer(f, known);
    CU_ASSERT_EQUAL(fixture_offer(f, asked), VERDICT_DUPLICATE);
    CU_ASSERT_FALSE(f->flags & FLAG_SEVERAL_MATCH);
    known.status = "corrected";
    known.issued = 13;
    known.value = "82";
    CU_ASSERT_EQUAL(fixture_offer(f, known), VERDICT_ACCEPTED);
    CU_ASSERT_EQUAL(fixture_offer(f, asked), VERDICT_DUPLICATE);
    CU_ASSERT_FALSE(f->flags & FLAG_SEVERAL_MATCH);
    CU_ASSERT_EQUAL(
        fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = "80", .at = 15, .alias = 5}),
        VERDICT_ACCEPTED);
    CU_ASSERT_EQUAL(fixture_offer(f, asked), VERDICT_DUPLICATE);
    CU_ASSERT_TRUE(f->flags & FLAG_SEVERAL_MATCH);
    asked.alias = 6;
    CU_ASSERT_EQUAL(fixture_offer(f, asked), VERDICT_ACCEPTED);
    CU_ASSERT_FALSE(f->flags & FLAG_SEVERAL_MATCH);
    fixture_close(f);
}

static void test_duplicates(void)
{
    begin();
    CU_ASSERT_EQUAL(OFFER("heart-rate", "80", 10), VERDICT_ACCEPTED);
    CU_ASSERT_EQUAL(LATE("80", 10, 11), VERDICT_DUPLICATE);
    CU_ASSERT_EQUAL(f->revision, 0); /* that of what is held */
    CU_ASSERT_EQUAL(
        fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = "80", .at = 10, .alias = 5}),
        VERDICT_DUPLICATE);
    CU_ASSERT_EQUAL(
        fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = "80", .at = 10, .device = "E"}),
        VERDICT_ACCEPTED);
    CU_ASSERT_EQUAL(fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = "<80", .at = 10}),
                    VERDICT_ACCEPTED);
    CU_ASSERT_EQUAL(fixture_offer(f, (struct offer){.parameter = "heart-rate",
                                                    .value = "80",
                                                    .at = 10,
                                                    .status = "corrected",
                                                    .issued = 20}),
                    VERDICT_ACCEPTED);
    CU_ASSERT_EQUAL(f->revision, 1);
    CU_ASSERT_EQUAL(fixture_offer(f, (struct offer){.parameter = "heart-rate",
                                                    .value = "80",
                                                    .at = 10,
                                                    .status = "corrected",
                                                    .issued = 20}),
                    VERDICT_DUPLICATE);
    CU_ASSERT_EQUAL(
        fixture_offer(
            f,
            (struct offer){.parameter = "heart-rate", .value = "80", .at = 10, .precision = PRECISION_DAY}),
        VERDICT_DUPLICATE);
    fixture_close(f);
}

/* A day is no moment: held, not judged. Test data neither. */
static void test_not_judged(void)
{
    begin();
    fixture_offer(
        f, (struct offer){.parameter = "heart-rate", .value = "130", .at = 10, .precision = PRECISION_DAY});
    fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = "130", .at = 11, .flags = FLAG_TEST});
    TRACE_IS("");
    fixture_close(f);
}

static void test_look_back(void)
{
    begin();
    double l = 16 * DAY_MIN;
    OFFER("heart-rate", "80", 2 * l + 100);
    double now = 2 * l + 200;
    CU_ASSERT_EQUAL(LATE("130", now - l, now), VERDICT_ACCEPTED); /* exactly L: judged */
    CU_ASSERT_FALSE(f->flags & FLAG_LATE_UNJUDGED);
    CU_ASSERT_EQUAL(LATE("130", now - l - 1, now), VERDICT_ACCEPTED);
    CU_ASSERT_TRUE(f->flags & FLAG_LATE_UNJUDGED);
    CU_ASSERT_FALSE(f->flags & FLAG_CHECK_OLDER);
    CU_ASSERT_EQUAL(LATE("130", now - l - 1, now + 1), VERDICT_DUPLICATE);
    CU_ASSERT_EQUAL(LATE("130", now - 2 * l - 10, now + 1), VERDICT_ACCEPTED);
    CU_ASSERT_TRUE(f->flags & FLAG_CHECK_OLDER);
    char expected[128];
    snprintf(expected, sizeof expected, "~raised high %g | ~cleared high %g", now - l, 2 * l + 100);
    CU_ASSERT_STRING_EQUAL(fixture_check(fixture_trace_of(f, "t.hr"), expected), expected);
    fixture_close(f);
}

/* What is let go after 2 L goes on as a checkpoint: an episode raised there stays what it was. */
static void test_checkpoint(void)
{
    begin();
    double l = 16 * DAY_MIN;
    OFFER("heart-rate", "110", 100);
    for (int day = 1; day < 50; day++)
        OFFER("heart-rate", "111", 100 + day * DAY_MIN);
    double now = 100 + 49 * DAY_MIN;
    CU_ASSERT_TRUE(now - 100 > 3 * l);
    TRACE_IS("raised medium 100");
    LATE("112", now - 10 * DAY_MIN + 5, now + 1); /* replays from the checkpoint */
    TRACE_IS("");
    LATE("80", now - 10 * DAY_MIN + 6, now + 2);
    LATE("99", now + 3, now + 3);
    EPISODES_ARE("t.hr high 100-56266 cleared medium@100 | t.hr high 57700--1 open medium@57700");
    fixture_close(f);
}

/* ---- the law ---- */

enum { LAW_READINGS = 60, LAW_ORDERS = 12 };

static unsigned state;

static unsigned draw(unsigned below)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % below;
}

static char values[LAW_READINGS][16];

static bool same_identity(const struct offer *a, const struct offer *b)
{
    return a->at == b->at && strcmp(a->value, b->value) == 0 && *a->device == *b->device &&
           a->sensor == b->sensor;
}

static void draw_readings(struct offer *offers)
{
    static const char *const statuses[] = {"preliminary", "final", "final",     "final",
                                           "final",       "final", "corrected", "void"};
    for (int i = 0; i < LAW_READINGS; i++) {
        struct offer *offer = &offers[i];
        snprintf(values[i], sizeof values[i], "%s%u",
                 draw(25) == 0   ? "<"
                 : draw(25) == 0 ? ">"
                                 : "",
                 40 + draw(100));
        *offer = (struct offer){.parameter = "heart-rate", .value = values[i], .at = 10 + draw(90)};
        offer->status = statuses[draw(8)];
        offer->device = draw(4) == 0 ? "E" : "D";
        offer->sensor = draw(6) == 0 ? "s" : NULL;
        offer->alias = draw(3) == 0 ? 1 + draw(12) : 0;
        if (*offer->status == 'c' || (*offer->status == 'v' && draw(2) == 0))
            offer->issued = 200 + draw(5);
        if (i > 0 && draw(5) == 0) { /* near another: same key, maybe the same value or alias */
            const struct offer *other = &offers[draw((unsigned)i)];
            offer->at = other->at;
            offer->device = other->device;
            offer->sensor = other->sensor;
            if (draw(2) == 0)
                offer->alias = other->alias;
        }
        for (int j = 0; j < i; j++) /* a resend has the identifier of the first: another one is forgotten */
            if (same_identity(offer, &offers[j]) && *offer->status == *offers[j].status)
                offer->alias = offers[j].alias;
    }
}

static void shuffle(struct offer *offers)
{
    for (unsigned i = LAW_READINGS - 1; i > 0; i--) {
        unsigned j = draw(i + 1);
        struct offer swap = offers[i];
        offers[i] = offers[j];
        offers[j] = swap;
    }
}

/* In units of `batch`, with a resend now and then. */
static void send_all(struct offer *offers, int batch)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(fixture_rule(f, 0, 0, RULE_HR), OK);
    CU_ASSERT_EQUAL_FATAL(fixture_rule(f, 0, 0, RULE_RUN), OK);
    CU_ASSERT_EQUAL_FATAL(fixture_rule(f, 0, 0, RULE_CHANGE), OK);
    double now = 200;
    for (int i = 0; i < LAW_READINGS; i += batch, now += 0.1) {
        int count = i + batch > LAW_READINGS ? LAW_READINGS - i : batch;
        fixture_offer_all(f, offers + i, count, now);
        if (i > 0 && draw(4) == 0)
            fixture_offer_all(f, offers + draw((unsigned)i), 1, now);
    }
}

/* Sequences of an episode have no holes, its events say what it was, no two episodes of a side are open. */
static void check_stream(void)
{
    for (int i = 0; i < f->count; i++) {
        int64_t sequence = json_integer_value(json_object_get(f->events[i], "sequence")), seen = 0;
        for (int j = 0; j < i; j++)
            seen +=
                strcmp(event_text(f->events[i], "episode_id"), event_text(f->events[j], "episode_id")) == 0;
        CU_ASSERT_EQUAL(sequence, seen + 1);
    }
}

static void test_law(void)
{
    static struct offer offers[LAW_READINGS];
    for (unsigned seed = 1; seed <= 60; seed++) {
        state = seed;
        draw_readings(offers);
        send_all(offers, LAW_READINGS);
        char *expected = strdup(fixture_episodes(f));
        fixture_close(f);
        for (int order = 0; order < LAW_ORDERS; order++) {
            shuffle(offers);
            send_all(offers, 1 + (int)draw(7));
            const char *found = fixture_episodes(f);
            if (strcmp(found, expected) != 0)
                fprintf(stderr, "\n  seed %u order %d", seed, order);
            CU_ASSERT_STRING_EQUAL_FATAL(fixture_check(found, expected), expected);
            check_stream();
            fixture_close(f);
        }
        free(expected);
    }
}

/* The same calls give the same bytes. */
static void test_same_calls_same_bytes(void)
{
    static struct offer offers[LAW_READINGS];
    static struct fixture other;
    state = 99;
    draw_readings(offers);
    unsigned seed = state;
    send_all(offers, 3);
    other = fixture;
    state = seed;
    send_all(offers, 3);
    CU_ASSERT_EQUAL_FATAL(other.count, f->count);
    for (int i = 0; i < f->count; i++)
        CU_ASSERT_STRING_EQUAL(other.texts[i], f->texts[i]);
    fixture_close(f);
    fixture_close(&other);
}

/* A void that names its reading by the identifier and a correction that stands at its key, of one version
 * time: the void wins in whatever order the three come, in one request or in three. */
static void test_void_by_identifier_against_a_correction_by_key(void)
{
    static const struct offer three[] = {
        {.parameter = "heart-rate", .value = "130", .at = 20, .alias = 50},
        {.parameter = "heart-rate", .value = "80", .at = 20, .status = "corrected", .issued = 30},
        {.parameter = "heart-rate", .value = "130", .at = 10, .status = "void", .issued = 30, .alias = 50},
    };
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int together = 0; together < 4; together++)
        for (size_t o = 0; o < sizeof orders / sizeof orders[0]; o++) {
            struct offer offers[3] = {three[orders[o][0]], three[orders[o][1]], three[orders[o][2]]};
            fixture_open_patient(f);
            CU_ASSERT_EQUAL_FATAL(fixture_rule(f, 0, 0, RULE_RUN), OK);
            OFFER("heart-rate", "130", 15);
            int first = together == 3 ? 3 : together;
            if (first > 0)
                fixture_offer_all(f, offers, first, 40);
            for (int i = first; together != 1 && i < 3; i++)
                fixture_offer_all(f, &offers[i], 1, 41 + i);
            if (together == 1)
                fixture_offer_all(f, offers + 1, 2, 41);
            LATE("130", 22, 45);
            EPISODES_ARE("t.run high 22--1 open high@22");
            fixture_close(f);
        }
}

/* A void that names its reading by the identifier, and says an earlier time than it, holds on as long as the
 * reading does: the line of what is held passes the void first. */
static void test_amendments_outlive_their_own_time(void)
{
    const int line = 2 * 16 * DAY_MIN; /* what is held of a heart rate */
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(fixture_rule(f, 0, 0, RULE_HR), OK);
    fixture_offer(f,
                  (struct offer){.parameter = "heart-rate", .value = "130", .at = 3 * DAY_MIN, .alias = 36});
    TRACE_IS("raised high 4320");
    fixture_offer(f, (struct offer){.parameter = "heart-rate",
                                    .value = "130",
                                    .at = 1 * DAY_MIN,
                                    .received = 4 * DAY_MIN,
                                    .status = "void",
                                    .issued = 4 * DAY_MIN,
                                    .alias = 36});
    TRACE_IS("~cancelled high 4320 (void)");
    OFFER("heart-rate", "80", 1 * DAY_MIN + line + 60); /* the void is behind the line, its reading is not */
    OFFER("heart-rate", "80", 1 * DAY_MIN + line + 120);
    fixture_offer(f,
                  (struct offer){.parameter = "heart-rate", .value = "81", .at = 1 * DAY_MIN + line + 120});
    fixture_offer(f, (struct offer){.parameter = "heart-rate", /* of nothing: all is looked at again */
                                    .value = "80",
                                    .at = 1 * DAY_MIN + line + 90,
                                    .received = 1 * DAY_MIN + line + 121,
                                    .status = "void"});
    TRACE_IS("");
    OFFER("heart-rate", "80", 3 * DAY_MIN + line + 60); /* now both are */
    LATE("82", 3 * DAY_MIN + line + 30, 3 * DAY_MIN + line + 61);
    TRACE_IS("");
    fixture_close(f);
}

#define HR(v, t, ...)                                                                                        \
    fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = v, .at = t, __VA_ARGS__})

/* What comes too late to be judged changes no decision, not even by what it is called. */
static void test_an_unjudged_reading_is_no_aim(void)
{
    const int L = 16 * DAY_MIN;
    begin();
    HR("130", 100);
    TRACE_IS("raised high 100");
    HR("130", 100, .received = 200, .status = "void", .issued = 200, .alias = 5);
    TRACE_IS("~cancelled high 100 (void)");
    HR("70", 90, .received = 90 + L + 1, .alias = 5);
    CU_ASSERT(f->flags & FLAG_LATE_UNJUDGED);
    HR("80", 95 + L, .status = "void"); /* of nothing: all is looked at again */
    CU_ASSERT_STRING_EQUAL(fixture_trace_of(f, "t.hr"), "");
    fixture_close(f);
}

/* A void whose reading is let go before it means nothing else from then on. */
static void test_amendments_keep_their_aim(void)
{
    const int line = 2 * 16 * DAY_MIN;
    begin();
    HR("130", 1 * DAY_MIN, .alias = 22);
    TRACE_IS("raised high 1440");
    HR("130", 2 * DAY_MIN, .received = 3 * DAY_MIN, .alias = 22, .status = "void", .issued = 3 * DAY_MIN);
    TRACE_IS("~cancelled high 1440 (void)");
    HR("125", 2 * DAY_MIN, .received = 4 * DAY_MIN);
    TRACE_IS("~raised high 2880");
    HR("124", 1 * DAY_MIN + line + 60);
    TRACE_IS("live high 47580");
    HR("80", 1 * DAY_MIN + line + 61, .status = "void"); /* of nothing: all is looked at again */
    TRACE_IS("");
    fixture_close(f);
}

/* A preliminary and a final of one identity are one reading, with the identifier of the final alone. */
static void test_one_identity_has_one_identifier(void)
{
    static const struct offer three[] = {
        {.parameter = "heart-rate", .value = "130", .at = 20, .status = "preliminary", .alias = 7},
        {.parameter = "heart-rate", .value = "130", .at = 20},
        {.parameter = "heart-rate", .value = "130", .at = 15, .status = "void", .issued = 30, .alias = 7},
    };
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (size_t o = 0; o < sizeof orders / sizeof orders[0]; o++) {
        begin();
        for (int i = 0; i < 3; i++)
            fixture_offer_all(f, &three[orders[o][i]], 1, 40 + i);
        EPISODES_ARE("t.hr high 20--1 open high@20");
        fixture_close(f);
    }
}

SUITE(engine_late) = {
    {"an unjudged reading is no aim", test_an_unjudged_reading_is_no_aim},
    {"amendments keep their aim", test_amendments_keep_their_aim},
    {"one identity has one identifier", test_one_identity_has_one_identifier},
    {"amendments outlive their own time", test_amendments_outlive_their_own_time},
    {"void by identifier against a correction by key", test_void_by_identifier_against_a_correction_by_key},
    {"a late breach raises", test_late_breach_raises},
    {"late data split an episode", test_late_splits},
    {"a void merges two", test_void_merges},
    {"a void cancels, a correction reinstates", test_void_cancels_and_correction_reinstates},
    {"a correction before its original", test_correction_before_original},
    {"version time, not arrival", test_version_time_not_arrival},
    {"a final takes a preliminary's place", test_final_replaces_preliminary},
    {"amendments by alias", test_void_by_alias_of_another_time},
    {"duplicates", test_duplicates},
    {"if none exist", test_if_none_exist},
    {"days and test data are not judged", test_not_judged},
    {"look-back", test_look_back},
    {"checkpoint", test_checkpoint},
    {"the law: order of arrival changes nothing", test_law},
    {"the same calls give the same bytes", test_same_calls_same_bytes},
    {NULL, NULL},
};
