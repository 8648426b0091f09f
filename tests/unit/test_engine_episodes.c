/* engine_episodes: the life of an episode and its events, RULES.md section 5. */
#include <openssl/sha.h>
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

static void begin(void)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(fixture_rule(f, 0, 0, RULE), OK);
}

/* SHA-256 over the fields, each followed by U+001F, its first 16 bytes as a UUID of version 8. */
static void uuid_of(const char *fields, char out[40])
{
    unsigned char in[512], digest[32];
    size_t size = strlen(fields);
    for (size_t i = 0; i < size; i++)
        in[i] = fields[i] == '/' ? 0x1f : (unsigned char)fields[i];
    SHA256(in, size, digest);
    digest[6] = (unsigned char)((digest[6] & 0x0f) | 0x80);
    digest[8] = (unsigned char)((digest[8] & 0x3f) | 0x80);
    for (int i = 0, at = 0; i < 16; i++)
        at += snprintf(out + at, (size_t)(40 - at), "%s%02x",
                       i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", digest[i]);
}

static void test_ids(void)
{
    char expected[40], fields[256];
    begin();
    fixture_offer(f, (struct offer){.parameter = "heart-rate", .value = "110", .at = 10, .sensor = "2"});
    const json_t *event = fixture_last(f, "raised");
    snprintf(fields, sizeof fields, "t.hr/high/P-1/reading/P-1/heart-rate/D/2/%lld/0/",
             EPOCH_MS + 10 * MINUTE_MS);
    uuid_of(fields, expected);
    CU_ASSERT_STRING_EQUAL(event_text(event, "episode_id"), expected);
    snprintf(fields, sizeof fields, "%s/1/", event_text(event, "episode_id"));
    uuid_of(fields, expected);
    CU_ASSERT_STRING_EQUAL(event_text(event, "event_id"), expected);
    fixture_run(f, 32 * DAY_MIN);
    snprintf(fields, sizeof fields, "test.silence//P-1/last_seen/%lld/0/", EPOCH_MS + 10 * MINUTE_MS);
    uuid_of(fields, expected);
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "raised"), "episode_id"), expected);
    fixture_close(f);
}

/* The id is made once: what began the episode later does not change it; the generation counts uses. */
static void test_ids_stick(void)
{
    begin();
    OFFER("heart-rate", "110", 10);
    char first[40];
    snprintf(first, sizeof first, "%s", event_text(f->events[f->count - 1], "episode_id"));
    LATE("110", 5, 11);
    TRACE_IS("raised medium 10 | ~amended medium 5 (late-data)");
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "amended"), "episode_id"), first);
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "amended"), "raised_at"), fixture_time(5));
    LATE("80", 7, 12); /* splits: [5, 7) is the earlier raised and takes the id, [10, ) is of the same
                          beginning again */
    char expected[40], fields[256];
    snprintf(fields, sizeof fields, "t.hr/high/P-1/reading/P-1/heart-rate/D//%lld/1/",
             EPOCH_MS + 10 * MINUTE_MS);
    uuid_of(fields, expected);
    TRACE_IS("cleared medium 7 | raised medium 10");
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "raised"), "episode_id"), expected);
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "cleared"), "episode_id"), first);
    fixture_close(f);
}

static void test_amended_then_escalated_then_cleared(void)
{
    begin();
    OFFER("heart-rate", "110", 10);
    LATE("130", 5, 11); /* the present priority goes up with the past */
    TRACE_IS("raised medium 10 | ~amended medium 10 (late-data)");
    EPISODES_ARE("t.hr high 5--1 open high@5 medium@10");
    fixture_close(f);
    begin();
    OFFER("heart-rate", "110", 10);
    struct offer offers[] = {{.parameter = "heart-rate", .value = "110", .at = 5},
                             {.parameter = "heart-rate", .value = "125", .at = 11}};
    fixture_offer_all(f, offers, 2, 12);
    TRACE_IS("raised medium 10 | ~amended high 11 (late-data) | escalated high 11");
    struct offer more[] = {{.parameter = "heart-rate", .value = "110", .at = 4},
                           {.parameter = "heart-rate", .value = "80", .at = 13}};
    fixture_offer_all(f, more, 2, 14);
    TRACE_IS("~amended high 13 (late-data) | cleared high 13");
    fixture_close(f);
}

static void test_reinstated_is_bound_to_its_time(void)
{
    begin();
    OFFER("heart-rate", "110", 10);
    VOID("110", 10, 11);
    TRACE_IS("raised medium 10 | ~cancelled medium 10 (void)");
    OFFER("heart-rate", "110", 20); /* newer than all that was there: another episode */
    TRACE_IS("raised medium 20");
    CU_ASSERT_STRING_NOT_EQUAL(event_text(f->events[0], "episode_id"),
                               event_text(f->events[2], "episode_id"));
    fixture_close(f);
    begin();
    OFFER("heart-rate", "80", 15);
    LATE("110", 10, 16);
    LATE("110", 16, 17);
    VOID("110", 16, 18);
    TRACE_IS("raised medium 10 | cleared medium 15 | raised medium 16 | ~cancelled medium 16 (void)");
    LATE("110", 16.5, 19); /* meets [16, ), but began after all that was there then */
    TRACE_IS("raised medium 16.5");
    CU_ASSERT_STRING_NOT_EQUAL(event_text(fixture_last(f, "raised"), "episode_id"),
                               event_text(fixture_last(f, "cancelled"), "episode_id"));
    LATE("110", 16, 20); /* what is void stays void */
    TRACE_IS("");
    fixture_close(f);
}

static void test_cancelled_come_first(void)
{
    begin();
    OFFER("heart-rate", "110", 10);
    OFFER("heart-rate", "80", 12);
    OFFER("heart-rate", "110", 20);
    TRACE_IS("raised medium 10 | cleared medium 12 | raised medium 20");
    struct offer offers[] = {{.parameter = "heart-rate", .value = "110", .at = 15},
                             {.parameter = "heart-rate", .value = "80", .at = 17},
                             {.parameter = "heart-rate", .value = "110", .at = 20, .status = "void"}};
    fixture_offer_all(f, offers, 3, 21);
    TRACE_IS("~cancelled medium 20 (void) | raised medium 15 | cleared medium 17");
    fixture_close(f);
}

/* ---- live or retrospective ---- */

static void test_live_at_the_boundary(void)
{
    begin(); /* heart-rate: live within 1 h */
    LATE("110", 10, 70);
    TRACE_IS("raised medium 10");
    LATE("80", 20, 80);
    LATE("110", 21, 81);
    TRACE_IS("cleared medium 20 | raised medium 21");
    LATE("80", 22, 82.001);
    TRACE_IS("~cleared medium 22");
    LATE("110", 30, 90.001);
    TRACE_IS("~raised medium 30");
    fixture_close(f);
}

/* A backlog that ends in live danger pages, one that is over does not. */
static void test_backlog(void)
{
    begin();
    struct offer danger[] = {{.parameter = "heart-rate", .value = "110", .at = 10},
                             {.parameter = "heart-rate", .value = "125", .at = 300},
                             {.parameter = "heart-rate", .value = "125", .at = 599}};
    fixture_offer_all(f, danger, 3, 600);
    TRACE_IS("raised medium 10 | escalated high 300");
    fixture_close(f);
    begin();
    struct offer over[] = {{.parameter = "heart-rate", .value = "110", .at = 10},
                           {.parameter = "heart-rate", .value = "80", .at = 20},
                           {.parameter = "heart-rate", .value = "80", .at = 599}};
    fixture_offer_all(f, over, 3, 600);
    TRACE_IS("~raised medium 10 | ~cleared medium 20");
    fixture_close(f);
}

/* Open, more urgent than it ever paged, and a fresh breach: the event `live`, which asks for acknowledgement
 * again. */
static void test_live_event(void)
{
    begin();
    LATE("110", 10, 600);
    TRACE_IS("~raised medium 10");
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_ACKNOWLEDGE, 601,
                                    "{'episode':'%s','author':'N','note':'seen'}",
                                    event_text(f->events[0], "episode_id")),
                    OK);
    OFFER("heart-rate", "111", 650);
    TRACE_IS("acknowledged medium 10 | live medium 650");
    OFFER("heart-rate", "112", 651);
    TRACE_IS("");
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_ACKNOWLEDGE, 652, "{'episode':'%s','author':'N','note':null}",
                                    event_text(f->events[0], "episode_id")),
                    OK);
    TRACE_IS("acknowledged medium 10");
    fixture_close(f);
}

/* A deescalation lowers what was paged for good: the next old escalation that meets a fresh breach pages. */
static void test_paged_is_lowered(void)
{
    begin();
    OFFER("heart-rate", "130", 10);
    OFFER("heart-rate", "110", 11);
    TRACE_IS("raised high 10 | deescalated medium 11");
    LATE("130", 12, 500); /* retrospective escalation */
    TRACE_IS("~escalated high 12");
    OFFER("heart-rate", "131", 510);
    TRACE_IS("live high 510");
    fixture_close(f);
}

static void test_reopened_pages_again(void)
{
    begin();
    OFFER("heart-rate", "110", 10);
    OFFER("heart-rate", "80", 20);
    OFFER("heart-rate", "111", 20.5);
    OFFER("heart-rate", "80", 21);
    TRACE_IS("raised medium 10 | cleared medium 20 | raised medium 20.5 | cleared medium 21");
    VOID("80", 21, 22); /* the newest episode is open again, by a breach that is the newest and fresh */
    TRACE_IS("~amended medium 20.5 (reopened) | live medium 20.5");
    fixture_close(f);
}

/* The open episode that is merged into another gives it its acknowledgement and what it paged. */
static void test_merge_takes_over(void)
{
    begin();
    OFFER("heart-rate", "110", 10);
    OFFER("heart-rate", "80", 20);
    OFFER("heart-rate", "111", 21);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_ACKNOWLEDGE, 22, "{'episode':'%s','author':'N','note':''}",
                                    event_text(fixture_last(f, "raised"), "episode_id")),
                    OK);
    VOID("80", 20, 23);
    TRACE_IS(
        "raised medium 10 | cleared medium 20 | raised medium 21 | acknowledged medium 21 | "
        "~cancelled medium 21 (merged) | ~amended medium 10 (reopened)"); /* no live: it was paged and seen */
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_ACKNOWLEDGE, 24, "{'episode':'%s','author':'N','note':''}",
                                    event_text(f->events[0], "episode_id")),
                    OK);
    TRACE_IS(""); /* acknowledged already */
    fixture_close(f);
}

/* ---- acknowledgement ---- */

static void test_acknowledge(void)
{
    begin();
    OFFER("heart-rate", "110", 10);
    const char *id = event_text(f->events[0], "episode_id");
    const char *format = "{'episode':'%s','author':'Nurse B','note':'called'}";
    CU_ASSERT_EQUAL(
        fixture_command(f, COMMAND_ACKNOWLEDGE, 11, format, "00000000-0000-8000-8000-000000000000"),
        ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_ACKNOWLEDGE, 11, format, id), OK);
    const json_t *event = fixture_last(f, "acknowledged");
    CU_ASSERT_STRING_EQUAL(event_text(event, "author"), "Nurse B");
    CU_ASSERT_STRING_EQUAL(event_text(event, "note"), "called");
    CU_ASSERT_STRING_EQUAL(event_text(event, "state"), "open");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(event, "sequence")), 2);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_ACKNOWLEDGE, 12, format, id), OK);
    TRACE_IS("raised medium 10 | acknowledged medium 10"); /* again is no second event */
    OFFER("heart-rate", "130", 13);                        /* an escalation asks again */
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_ACKNOWLEDGE, 14, format, id), OK);
    OFFER("heart-rate", "110", 15); /* it holds */
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_ACKNOWLEDGE, 16, format, id), OK);
    TRACE_IS("escalated high 13 | acknowledged high 13 | deescalated medium 15");
    VOID("110", 10, 17);
    VOID("130", 13, 18);
    VOID("110", 15, 19);
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_ACKNOWLEDGE, 20, format, id), ERR_REFUSED);
    fixture_close(f);
}

static void test_left_closes_clinical(void)
{
    begin();
    OFFER("heart-rate", "110", 10);
    CU_ASSERT_EQUAL(
        fixture_command(f, COMMAND_LEFT, 20, "{'patient_id':17,'at':'%s','reason':'r'}", fixture_time(5)),
        OK);
    TRACE_IS("raised medium 10 | closed medium 20 (left)"); /* watched until the commit */
    OFFER("heart-rate", "150", 30);
    TRACE_IS("");
    CU_ASSERT_EQUAL(
        fixture_command(f, COMMAND_LEFT, 40, "{'patient_id':17,'at':'%s','reason':'r'}", fixture_time(5)),
        OK);
    TRACE_IS("");
    fixture_close(f);
}

SUITE(engine_episodes) = {
    {"ids are of what began it", test_ids},
    {"ids stick, generations count", test_ids_stick},
    {"amended, then escalated, then cleared", test_amended_then_escalated_then_cleared},
    {"what is reinstated", test_reinstated_is_bound_to_its_time},
    {"cancelled come first", test_cancelled_come_first},
    {"live at the boundary", test_live_at_the_boundary},
    {"a backlog that ends in danger", test_backlog},
    {"the event live", test_live_event},
    {"a lower priority lowers what was paged", test_paged_is_lowered},
    {"reopened pages again", test_reopened_pages_again},
    {"a merge takes over", test_merge_takes_over},
    {"acknowledge", test_acknowledge},
    {"a departure closes", test_left_closes_clinical},
    {NULL, NULL},
};
