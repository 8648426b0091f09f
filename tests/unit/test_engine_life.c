/* engine_life: what people do to an episode, and the clock to a shelf, RULES.md section 5. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/engine_fixture.h"

static struct fixture fixture, *const f = &fixture;

#define RULE                                                                                                 \
    "{'id':'t.hr','parameter':'heart-rate','unit':'/min','kind':'limit','levels':["                          \
    "{'priority':'medium','above':100},{'priority':'high','above':120}],'text':{'fr':'f','en':'e'}}"
#define LATE(v, t, r)                                                                                        \
    fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = v, .at = t, .received = r})
#define VOID(v, t, r)                                                                                        \
    fixture_offer(                                                                                           \
        f, (struct offer){.parameter = "heart-rate", .value = v, .at = t, .received = r, .status = "void"})

/* An open episode, raised at minute 10. */
static void begin(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(fixture_rule(f, 0, 0, RULE), OK);
    OFFER("heart-rate", "110", 10);
    TRACE_IS("raised medium 10");
}

static const char *episode(int event)
{
    return event_text(f->events[event], "episode_id");
}

static enum err handle(const char *id, double minute, const char *author, const char *outcome)
{
    return fixture_command(f, COMMAND_HANDLE, minute, "{'episode':'%s','author':'%s','outcome':'%s'}", id,
                           author, outcome);
}

static enum err shelve(const char *id, double minute, double until)
{
    return fixture_command(f, COMMAND_SHELVE, minute,
                           "{'episode':'%s','author':'N','reason':'known','until':'%s'}", id,
                           fixture_time(until));
}

static enum err unshelve(const char *id, double minute)
{
    return fixture_command(f, COMMAND_UNSHELVE, minute, "{'episode':'%s','author':'N'}", id);
}

static enum err acknowledge(const char *id, double minute)
{
    return fixture_command(f, COMMAND_ACKNOWLEDGE, minute, "{'episode':'%s','author':'N'}", id);
}

static bool is_null(const json_t *event, const char *key)
{
    return json_is_null(json_object_get(event, key)); /* there, and null */
}

/* ---- handled ---- */

static void test_handled(void)
{
    begin();
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_HANDLE, 11,
                                    "{'episode':'%s','author':'Dr A','outcome':'relevant','note':'visit'}",
                                    episode(0)),
                    OK);
    const json_t *event = fixture_last(f, "handled");
    CU_ASSERT_STRING_EQUAL(event_text(event, "author"), "Dr A");
    CU_ASSERT_STRING_EQUAL(event_text(event, "outcome"), "relevant");
    CU_ASSERT_STRING_EQUAL(event_text(event, "note"), "visit");
    CU_ASSERT_STRING_EQUAL(event_text(event, "state"), "open"); /* not cleared */
    CU_ASSERT_STRING_EQUAL(event_text(event, "decided_at"), fixture_time(11));
    CU_ASSERT(is_null(event, "until") && is_null(event, "reason"));
    CU_ASSERT(json_is_false(json_object_get(event, "retrospective")));
    CU_ASSERT_EQUAL(acknowledge(episode(0), 12), OK); /* handled is not acknowledged */
    TRACE_IS("handled medium 10 | acknowledged medium 10");
    event = fixture_last(f, "acknowledged");
    CU_ASSERT(is_null(event, "note") && is_null(event, "outcome") && is_null(event, "until"));
    CU_ASSERT_EQUAL(handle("00000000-0000-8000-8000-000000000000", 13, "A", "relevant"), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(handle(episode(0), 13, "A", "splendid"), ERR_REFUSED);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_HANDLE, 13, "{'episode':'%s','author':'A'}", episode(0)),
                    ERR_REFUSED);
    TRACE_IS("");
    fixture_close(f);
}

/* The same again is no second event; another outcome is one, and what asks again asks for handling again. */
static void test_handled_again(void)
{
    begin();
    CU_ASSERT_EQUAL(handle(episode(0), 11, "A", "relevant"), OK);
    CU_ASSERT_EQUAL(handle(episode(0), 12, "A", "relevant"), OK);
    TRACE_IS("handled medium 10");
    CU_ASSERT_EQUAL(handle(episode(0), 13, "A", "technical"), OK);
    CU_ASSERT_EQUAL(handle(episode(0), 14, "B", "technical"), OK);
    TRACE_IS("handled medium 10 | handled medium 10");
    OFFER("heart-rate", "130", 15);
    CU_ASSERT_EQUAL(handle(episode(0), 16, "B", "technical"), OK);
    TRACE_IS("escalated high 15 | handled high 15");
    OFFER("heart-rate", "80", 17);
    CU_ASSERT_EQUAL(handle(episode(0), 18, "B", "not-relevant"), OK); /* what is over may be handled */
    TRACE_IS("cleared high 17 | handled high 17");
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "handled"), "state"), "cleared");
    fixture_close(f);
}

/* ---- shelved ---- */

static void test_shelf_ends_by_the_clock(void)
{
    begin();
    CU_ASSERT_EQUAL(shelve(episode(0), 11, 100), OK);
    const json_t *event = fixture_last(f, "shelved");
    CU_ASSERT_STRING_EQUAL(event_text(event, "until"), fixture_time(100));
    CU_ASSERT_STRING_EQUAL(event_text(event, "reason"), "known");
    CU_ASSERT_STRING_EQUAL(event_text(event, "author"), "N");
    CU_ASSERT_EQUAL(shelve(episode(0), 12, 100), OK); /* the same again */
    TRACE_IS("shelved medium 10 (known)");
    OFFER("heart-rate", "80", 20); /* also after clearing */
    TRACE_IS("cleared medium 20");
    CU_ASSERT_EQUAL(engine_next_due_ms(f->engine), EPOCH_MS + 100 * MINUTE_MS);
    fixture_run(f, 100);
    TRACE_IS(""); /* due at that very time: a later turn's */
    fixture_run(f, 101);
    TRACE_IS("unshelved medium 20");
    event = fixture_last(f, "unshelved");
    CU_ASSERT_STRING_EQUAL(event_text(event, "until"), fixture_time(100));
    CU_ASSERT_STRING_EQUAL(event_text(event, "state"), "cleared");
    CU_ASSERT(is_null(event, "author") && is_null(event, "note"));
    CU_ASSERT_EQUAL(unshelve(episode(0), 102), ERR_REFUSED);
    fixture_run(f, 10000);
    TRACE_IS("");
    fixture_close(f);
}

static void test_shelf_of_another_end(void)
{
    begin();
    CU_ASSERT_EQUAL(shelve(episode(0), 11, 100), OK);
    CU_ASSERT_EQUAL(shelve(episode(0), 12, 200), OK);
    fixture_run(f, 150);
    TRACE_IS("shelved medium 10 (known) | shelved medium 10 (known)");
    CU_ASSERT_EQUAL(unshelve(episode(0), 160), OK);
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "unshelved"), "author"), "N");
    fixture_run(f, 300);
    TRACE_IS("unshelved medium 10");
    CU_ASSERT_EQUAL(shelve(episode(0), 301, 302), OK); /* and again */
    fixture_run(f, 400);
    TRACE_IS("shelved medium 10 (known) | unshelved medium 10");
    fixture_close(f);
}

static void test_shelf_is_bounded(void)
{
    begin();
    CU_ASSERT_EQUAL(shelve(episode(0), 11, 11 + 7 * DAY_MIN + 0.001), ERR_REFUSED);
    CU_ASSERT_EQUAL(shelve(episode(0), 11, 11), ERR_REFUSED);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_SHELVE, 11, "{'episode':'%s','author':'N','until':'%s'}",
                                    episode(0), fixture_time(100)),
                    ERR_REFUSED); /* no reason */
    CU_ASSERT_EQUAL(
        fixture_command(f, COMMAND_SHELVE, 11, "{'episode':'%s','author':'N','reason':'r'}", episode(0)),
        ERR_REFUSED);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_SHELVE, 11,
                                    "{'episode':'%s','author':'N','reason':'r','until':'tomorrow'}",
                                    episode(0)),
                    ERR_REFUSED);
    CU_ASSERT_EQUAL(unshelve(episode(0), 11), ERR_REFUSED);
    TRACE_IS("");
    CU_ASSERT_EQUAL(shelve(episode(0), 11, 11 + 7 * DAY_MIN), OK);
    VOID("110", 10, 12);
    CU_ASSERT_EQUAL(shelve(episode(0), 13, 100), ERR_REFUSED); /* cancelled */
    CU_ASSERT_EQUAL(unshelve(episode(0), 13), ERR_REFUSED);
    fixture_run(f, 8 * DAY_MIN);
    TRACE_IS("shelved medium 10 (known) | ~cancelled medium 10 (void) | unshelved medium 10");
    fixture_close(f);
}

static void test_silence_has_no_shelf(void)
{
    fixture_open_patient(f);
    fixture_run(f, 32 * DAY_MIN);
    CU_ASSERT_STRING_EQUAL(event_text(f->events[0], "class"), "silence");
    CU_ASSERT_EQUAL(shelve(episode(0), 33 * DAY_MIN, 34 * DAY_MIN), ERR_REFUSED);
    CU_ASSERT_PTR_NOT_NULL(strstr(f->reply, "silence"));
    CU_ASSERT_EQUAL(handle(episode(0), 33 * DAY_MIN, "N", "technical"), OK);
    CU_ASSERT_EQUAL(acknowledge(episode(0), 33 * DAY_MIN), OK);
    CU_ASSERT_EQUAL(f->count, 3);
    fixture_close(f);
}

/* What is raised or opened again leaves its shelf and asks for acknowledgement again. */
static void test_again_ends_the_shelf(void)
{
    begin();
    OFFER("heart-rate", "80", 11);
    CU_ASSERT_EQUAL(acknowledge(episode(0), 12), OK);
    CU_ASSERT_EQUAL(shelve(episode(0), 12, 5000), OK);
    TRACE_IS("cleared medium 11 | acknowledged medium 11 | shelved medium 11 (known)");
    VOID("80", 11, 13);
    TRACE_IS("~amended medium 10 (reopened) | live medium 10");
    CU_ASSERT_EQUAL(unshelve(episode(0), 14), ERR_REFUSED);
    CU_ASSERT_EQUAL(acknowledge(episode(0), 14), OK);
    CU_ASSERT_EQUAL(shelve(episode(0), 14, 5000), OK);
    TRACE_IS("acknowledged medium 10 | shelved medium 10 (known)");
    fixture_offer(f, (struct offer){.parameter = "heart-rate",
                                    .value = "110",
                                    .at = 10,
                                    .received = 15,
                                    .status = "void",
                                    .issued = 15});
    fixture_offer(f, (struct offer){.parameter = "heart-rate",
                                    .value = "111",
                                    .at = 10,
                                    .received = 16,
                                    .status = "corrected",
                                    .issued = 16});
    TRACE_IS("~cancelled medium 10 (void) | raised medium 10 (reinstated)");
    CU_ASSERT_EQUAL(unshelve(episode(0), 17), ERR_REFUSED);
    CU_ASSERT_EQUAL(acknowledge(episode(0), 17), OK);
    fixture_run(f, 6000);
    TRACE_IS("acknowledged medium 10");
    fixture_close(f);
}

/* Acknowledgement, handling and shelf stay with the id, whatever becomes of what it names. */
static void test_they_stay_with_the_id(void)
{
    begin();
    CU_ASSERT_EQUAL(acknowledge(episode(0), 11), OK);
    CU_ASSERT_EQUAL(shelve(episode(0), 11, 100), OK);
    LATE("110", 5, 12); /* begins earlier */
    TRACE_IS("acknowledged medium 10 | shelved medium 10 (known) | ~amended medium 5 (late-data)");
    CU_ASSERT_EQUAL(acknowledge(episode(0), 13), OK);
    TRACE_IS("");
    OFFER("heart-rate", "130", 14); /* an escalation asks again and leaves the shelf as it is */
    CU_ASSERT_EQUAL(acknowledge(episode(0), 15), OK);
    TRACE_IS("escalated high 14 | acknowledged high 14");
    fixture_run(f, 200);
    TRACE_IS("unshelved high 14");
    fixture_close(f);
}

/* Alerts of the node have no patient and no timer of one. */
static void test_shelf_of_the_node(void)
{
    fixture_open(f);
    CU_ASSERT_EQUAL(
        fixture_command(f, COMMAND_CONDITION, 1, "{'alert':'technical.disk','priority':'low','note':'n'}"),
        OK);
    CU_ASSERT_EQUAL(shelve(episode(0), 2, 100), OK);
    fixture_run(f, 200);
    TRACE_IS("raised low 1 | shelved low 1 (known) | unshelved low 1");
    fixture_close(f);
}

static void test_departure_leaves_the_shelf(void)
{
    begin();
    CU_ASSERT_EQUAL(shelve(episode(0), 11, 100), OK);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_LEFT, 20, "{'patient_id':17,'reason':'r'}"), OK);
    fixture_run(f, 200);
    TRACE_IS("shelved medium 10 (known) | closed medium 20 (left) | unshelved medium 20");
    fixture_close(f);
}

/* An event stays within its 16 KB. */
static void test_words_are_bounded(void)
{
    static char note[2001];
    memset(note, 'x', sizeof note - 1);
    begin();
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_SHELVE, 11,
                                    "{'episode':'%s','author':'%s','note':'%s','reason':'r','until':'%s'}",
                                    episode(0), note, note, fixture_time(100)),
                    ERR_REFUSED);
    note[1999] = '\0';
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_SHELVE, 11,
                                    "{'episode':'%s','author':'%s','note':'%s','reason':'r','until':'%s'}",
                                    episode(0), note, note, fixture_time(100)),
                    OK);
    fixture_close(f);
}

/* ---- ids ---- */

static void ids_are_made_once(void)
{
    for (int i = 0; i < f->count; i++)
        for (int j = i + 1; j < f->count; j++)
            CU_ASSERT_STRING_NOT_EQUAL(event_text(f->events[i], "event_id"),
                                       event_text(f->events[j], "event_id"));
}

/* What was cancelled is held as long as the run that began it goes on. */
static void test_a_run_outlives_its_cancelled_episode(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(
        fixture_rule(f, 0, 0,
                     "{'id':'t.two','parameter':'heart-rate','unit':'/min','kind':'limit','count':2,"
                     "'levels':[{'priority':'medium','above':100}],'text':{'fr':'f','en':'e'}}"),
        OK);
    OFFER("heart-rate", "110", 10);
    OFFER("heart-rate", "110", 20);
    VOID("110", 20, 21);
    TRACE_IS("raised medium 20 | ~cancelled medium 20 (void)");
    OFFER("heart-rate", "110", 40 * DAY_MIN); /* the run's second, long after its first was let go */
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture_trace(f), "raised medium 57600 (reinstated)"));
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "raised"), "episode_id"), episode(0));
    ids_are_made_once();
    fixture_close(f);
}

/* Alerts of one patient that begin at one instant differ by their parameter. */
static void test_technical_ids_have_their_parameter(void)
{
    fixture_open_patient(f);
    OFFER("body-weight", "70", 3 * DAY_MIN);
    struct offer old[] = {{.parameter = "body-weight", .value = "71", .at = 10},
                          {.parameter = "heart-rate", .value = "70", .at = 10}};
    fixture_offer_all(f, old, 2, 3 * DAY_MIN + 1);
    fixture_run(f, 4 * DAY_MIN + 2);
    TRACE_IS("raised medium 5761 | raised medium 5761");
    ids_are_made_once();
    fixture_close(f);
}

/* Shelves that end at one instant end in one order, whichever was filled first: byte for byte. */
static void test_shelves_end_together(void)
{
    char ends[2][2][4096];
    for (int first = 0; first < 2; first++) {
        begin();
        CU_ASSERT_EQUAL(
            fixture_rule(f, 10, 10,
                         "{'id':'t.w','parameter':'body-weight','unit':'kg','kind':'limit','levels':["
                         "{'priority':'low','above':80}],'text':{'fr':'f','en':'e'}}"),
            OK);
        OFFER("body-weight", "90", 11);
        TRACE_IS("raised low 11");
        CU_ASSERT_EQUAL(shelve(episode(first), 12, 100), OK);
        CU_ASSERT_EQUAL(shelve(episode(1 - first), 13, 100), OK);
        fixture_run(f, 101);
        for (int i = 0; i < 2; i++) {
            CU_ASSERT_STRING_EQUAL(event_text(f->events[f->count - 2 + i], "event"), "unshelved");
            snprintf(ends[first][i], sizeof ends[first][i], "%s", f->texts[f->count - 2 + i]);
        }
        fixture_close(f);
    }
    CU_ASSERT_STRING_EQUAL(ends[0][0], ends[1][0]);
    CU_ASSERT_STRING_EQUAL(ends[0][1], ends[1][1]);
    CU_ASSERT_STRING_NOT_EQUAL(ends[0][0], ends[0][1]);
}

SUITE(engine_life) = {
    {"shelves that end together", test_shelves_end_together},
    {"a run outlives its cancelled episode", test_a_run_outlives_its_cancelled_episode},
    {"technical ids have their parameter", test_technical_ids_have_their_parameter},
    {"handled", test_handled},
    {"handled again", test_handled_again},
    {"a shelf ends by the clock", test_shelf_ends_by_the_clock},
    {"a shelf of another end", test_shelf_of_another_end},
    {"a shelf is bounded", test_shelf_is_bounded},
    {"silence has no shelf", test_silence_has_no_shelf},
    {"raised or opened again ends the shelf", test_again_ends_the_shelf},
    {"they stay with the id", test_they_stay_with_the_id},
    {"a shelf of the node", test_shelf_of_the_node},
    {"a departure leaves the shelf", test_departure_leaves_the_shelf},
    {"words are bounded", test_words_are_bounded},
    {NULL, NULL},
};
