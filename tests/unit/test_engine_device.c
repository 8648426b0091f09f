/* engine_device: the kind `event`, RULES.md section 3: devices' own alarms, kept as their makers classified
 * them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/engine_fixture.h"

static struct fixture fixture, moved, *f = &fixture;

#define RULE(classes) "{'id':'t.device','kind':'event','classes':" classes ",'text':{'fr':'f','en':'e'}}"
#define CLASSES       "{'lead':'high','battery':'medium','*':'low'}"

static void begin(const char *rule)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(fixture_rule(f, 0, 0, rule), OK);
}

struct message {
    const char *class;
    enum device_phase phase;
    double at;
    const char *episode, *device; /* default "E" and "I" */
};

enum { MESSAGES_MAX = 6000, TAIL_ROOM = TAIL_BYTES_MAX };

static void put_text(struct reading *head, uint8_t *tail, enum tail_tag tag, const char *text)
{
    CU_ASSERT_FATAL(tail_put(tail, TAIL_ROOM, &head->tail_size, tag, text, strlen(text)));
}

static int64_t ms_of(double minute)
{
    return EPOCH_MS + (int64_t)(minute * MINUTE_MS);
}

static void fill(struct reading *head, uint8_t *tail, const struct message *message, double received)
{
    *head = (struct reading){.patient_id = 17,
                             .source_id = 1,
                             .next = READING_CHAIN_END,
                             .parameter = READING_NO_PARAMETER,
                             .flags = FLAG_DEVICE_EVENT,
                             .issued_ms = INSTANT_NONE,
                             .value = message->phase,
                             .measured_at_ms = ms_of(message->at),
                             .received_at_ms = ms_of(received)};
    put_text(head, tail, TAIL_KEY_DEVICE, message->device == NULL ? "I" : message->device);
    put_text(head, tail, TAIL_EPISODE, message->episode == NULL ? "E" : message->episode);
    put_text(head, tail, TAIL_CLASS, message->class);
}

/* One request. */
static uint8_t tell_all(const struct message *messages, unsigned count, double received)
{
    static struct reading heads[MESSAGES_MAX];
    static uint8_t tails[MESSAGES_MAX * TAIL_ROOM];
    for (unsigned i = 0; i < count; i++) {
        fill(&heads[i], tails + i * TAIL_ROOM, &messages[i], received);
        heads[i].tail_offset = i * TAIL_ROOM;
        heads[i].next = i + 1 < count ? i + 1 : READING_CHAIN_END;
    }
    fixture_tick(f, received);
    engine_decide(f->engine, engine_patient(f->engine, 17), heads, tails, 0, ms_of(received));
    f->flags = heads[count - 1].flags;
    return f->verdict = heads[count - 1].verdict;
}

static uint8_t tell_late(const char *class, enum device_phase phase, double at, double received)
{
    return tell_all(&(struct message){class, phase, at, NULL, NULL}, 1, received);
}

static uint8_t tell(const char *class, enum device_phase phase, double at)
{
    return tell_late(class, phase, at, at);
}

static const json_t *device_event(const char *event)
{
    return json_object_get(fixture_last(f, event), "device_event");
}

/* ---- as the maker classified it ---- */

static void test_kept_as_classified(void)
{
    begin(RULE(CLASSES));
    CU_ASSERT_EQUAL(tell("lead", PHASE_START, 10), VERDICT_ACCEPTED);
    TRACE_IS("raised high 10");
    const json_t *event = fixture_last(f, "raised");
    CU_ASSERT_STRING_EQUAL(event_text(event, "class"), "device");
    CU_ASSERT_STRING_EQUAL(event_text(event, "side"), "");
    CU_ASSERT_TRUE(json_is_null(json_object_get(event, "parameter")) &&
                   json_is_null(json_object_get(event, "value")));
    CU_ASSERT_STRING_EQUAL(event_text(event, "received_at"), fixture_time(10));
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(event, "readings_in_breach")), 1);
    CU_ASSERT_STRING_EQUAL(event_text(device_event("raised"), "device"), "I");
    CU_ASSERT_STRING_EQUAL(event_text(device_event("raised"), "episode"), "E");
    CU_ASSERT_STRING_EQUAL(event_text(device_event("raised"), "class"), "lead");
    CU_ASSERT_STRING_EQUAL(event_text(device_event("raised"), "phase"), "start");
    CU_ASSERT_EQUAL(f->heads[f->count - 1].class, ALERT_DEVICE);
    fixture_close(f);
}

static void test_priority_by_class(void)
{
    begin(RULE(CLASSES));
    tell("other", PHASE_START, 10);
    tell("other", PHASE_CONTINUE, 11);
    tell("lead", PHASE_CONTINUE, 12);
    tell("battery", PHASE_CONTINUE, 13);
    tell("battery", PHASE_END, 14);
    TRACE_IS("raised low 10 | escalated high 12 | deescalated medium 13 | cleared medium 14");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(fixture_last(f, "cleared"), "readings_in_breach")), 4);
    CU_ASSERT_STRING_EQUAL(event_text(device_event("cleared"), "phase"), "end");
    EPISODES_ARE("t.device 10-14 cleared low@10 high@12 medium@13");
    fixture_close(f);
}

/* The id is what RULES.md section 5 says, and of nothing else. */
static void test_id(void)
{
    static const char text[] = "t.device\x1f\x1fP-1\x1f"
                               "event\x1fI\x1f"
                               "E\x1f"
                               "0\x1f";
    uint8_t digest[SHA256_BYTES];
    char id[UUID_TEXT + 1];
    begin(RULE(CLASSES));
    tell("lead", PHASE_START, 10);
    hash_sha256(text, sizeof text - 1, digest);
    uuid_make_v8(digest);
    uuid_format(digest, id);
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "raised"), "episode_id"), id);
    fixture_close(f);
}

/* ---- the law ---- */

static const struct message story[] = {{"battery", PHASE_START, 10, NULL, NULL},
                                       {"lead", PHASE_CONTINUE, 20, NULL, NULL},
                                       {"other", PHASE_CONTINUE, 20, NULL, NULL},
                                       {"battery", PHASE_CONTINUE, 30, NULL, NULL},
                                       {"battery", PHASE_END, 30, NULL, NULL}};
enum { STORY = sizeof story / sizeof story[0] };
static const char story_episodes[] = "t.device 10-30 cleared medium@10 high@20 low@20 medium@30";

static void permute(unsigned order[STORY], unsigned number)
{
    unsigned left[STORY];
    for (unsigned i = 0; i < STORY; i++)
        left[i] = i;
    for (unsigned i = 0; i < STORY; i++) {
        unsigned base = 1;
        for (unsigned k = 2; k < STORY - i; k++)
            base *= k;
        unsigned pick = number / base % (STORY - i);
        order[i] = left[pick];
        memmove(left + pick, left + pick + 1, (STORY - i - pick - 1) * sizeof left[0]);
    }
}

/* Each of the 120 orders, each split into two requests in each place, every message twice. */
static void test_any_order(void)
{
    for (unsigned number = 0; number < 120; number++) {
        unsigned order[STORY], split = number % (STORY - 1) + 1;
        struct message sent[STORY];
        permute(order, number);
        for (unsigned i = 0; i < STORY; i++)
            sent[i] = story[order[i]];
        begin(RULE(CLASSES));
        tell_all(sent, split, 100);
        tell_all(sent + split, STORY - split, 101);
        int events = f->count;
        for (unsigned i = 0; i < STORY; i++)
            CU_ASSERT_EQUAL(tell_all(&sent[i], 1, 102), VERDICT_DUPLICATE);
        CU_ASSERT_EQUAL(f->count, events);
        EPISODES_ARE(story_episodes);
        fixture_close(f);
    }
}

static void test_end_before_start(void)
{
    begin(RULE(CLASSES));
    tell_late("lead", PHASE_END, 20, 21);
    TRACE_IS("raised high 20 | cleared high 20");
    tell_late("lead", PHASE_START, 10, 22);
    TRACE_IS("~amended high 20 (late-data)");
    EPISODES_ARE("t.device 10-20 cleared high@10");
    fixture_close(f);
}

/* What goes on after an `end` was not over. */
static void test_goes_on_after_end(void)
{
    begin(RULE(CLASSES));
    tell("lead", PHASE_START, 10);
    tell("lead", PHASE_END, 20);
    tell("lead", PHASE_CONTINUE, 30);
    TRACE_IS("raised high 10 | cleared high 20 | ~amended high 10 (reopened) | live high 30");
    EPISODES_ARE("t.device 10--1 open high@10");
    fixture_close(f);
}

static void test_no_end_stays_open(void)
{
    begin(RULE(CLASSES));
    tell("lead", PHASE_START, 10);
    fixture_run(f, 400 * DAY_MIN);
    TRACE_IS("raised high 10");
    EPISODES_ARE("t.device 10--1 open high@10");
    tell("lead", PHASE_END, 400 * DAY_MIN);
    TRACE_IS("cleared high 576000");
    fixture_close(f);
}

static void test_devices_and_episodes_apart(void)
{
    begin(RULE(CLASSES));
    tell_all((const struct message[]){{"lead", PHASE_START, 10, "1", "A"},
                                      {"other", PHASE_START, 11, "1", "B"},
                                      {"battery", PHASE_START, 12, "2", "A"}},
             3, 13);
    TRACE_IS("raised high 10 | raised low 11 | raised medium 12");
    tell_all(&(const struct message){"other", PHASE_END, 14, "1", "B"}, 1, 14);
    TRACE_IS("cleared low 14");
    EPISODES_ARE(
        "t.device 10--1 open high@10 | t.device 11-14 cleared low@11 | t.device 12--1 open medium@12");
    fixture_close(f);
}

/* ---- live or retrospective ---- */

static void test_live_within_48_hours(void)
{
    begin(RULE(CLASSES));
    tell_late("lead", PHASE_START, 10, 10 + 48 * HOUR_MIN);
    TRACE_IS("raised high 10");
    fixture_close(f);
    begin(RULE(CLASSES));
    tell_late("lead", PHASE_START, 10, 11 + 48 * HOUR_MIN);
    TRACE_IS("~raised high 10");
    tell("lead", PHASE_CONTINUE, 3000); /* it goes on now */
    TRACE_IS("live high 3000");
    CU_ASSERT_STRING_EQUAL(event_text(device_event("live"), "phase"), "continue");
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "live"), "measured_at"), fixture_time(3000));
    fixture_close(f);
    begin(RULE(CLASSES)); /* an upload whose newest message is fresh pages at once */
    tell_all((const struct message[]){{"lead", PHASE_START, 10, NULL, NULL},
                                      {"lead", PHASE_CONTINUE, 5000, NULL, NULL}},
             2, 5001);
    TRACE_IS("raised high 10");
    fixture_close(f);
    begin(RULE(CLASSES)); /* its end does not */
    tell_late("lead", PHASE_START, 10, 5000);
    tell("lead", PHASE_END, 5001);
    TRACE_IS("~raised high 10 | cleared high 5001");
    fixture_close(f);
}

/* ---- what is not judged ---- */

static void test_older_than_look_back(void)
{
    double now = 36 * DAY_MIN;
    begin(RULE(CLASSES));
    CU_ASSERT_EQUAL(tell_late("lead", PHASE_START, 10, now), VERDICT_ACCEPTED);
    CU_ASSERT_TRUE(f->flags & FLAG_LATE_UNJUDGED);
    TRACE_IS("raised low 51840");
    CU_ASSERT_STRING_EQUAL(event_text(json_object_get(fixture_last(f, "raised"), "rule"), "id"),
                           "technical.late-readings");
    CU_ASSERT_TRUE(json_is_null(json_object_get(fixture_last(f, "raised"), "parameter")) &&
                   json_is_null(json_object_get(fixture_last(f, "raised"), "value")));
    CU_ASSERT_EQUAL(tell_late("lead", PHASE_START, 10, now), VERDICT_DUPLICATE);
    CU_ASSERT_EQUAL(tell_late("lead", PHASE_START, 10, 90 * DAY_MIN), VERDICT_ACCEPTED);
    CU_ASSERT_TRUE((f->flags & FLAG_LATE_UNJUDGED) && (f->flags & FLAG_CHECK_OLDER));
    fixture_close(f);
}

static void test_future_is_kept_aside(void)
{
    begin(RULE(CLASSES));
    CU_ASSERT_EQUAL(tell_late("lead", PHASE_START, 15, 10), VERDICT_ACCEPTED);
    CU_ASSERT_EQUAL(tell_late("lead", PHASE_END, 15.1, 10), VERDICT_QUARANTINED);
    CU_ASSERT_EQUAL(tell_late("lead", PHASE_END, 15.1, 30), VERDICT_DUPLICATE);
    TRACE_IS("raised high 15 | raised high 10");
    EPISODES_ARE("t.device 15--1 open high@15 | technical.quarantine 10--1 open high@10");
    fixture_close(f);
}

static void test_no_sign_of_life(void)
{
    fixture_open_patient(f);
    tell("lead", PHASE_START, 30 * DAY_MIN);
    fixture_run(f, 32 * DAY_MIN);
    CU_ASSERT_PTR_NOT_NULL(fixture_last(f, "raised"));
    fixture_close(f);
}

/* ---- versions ---- */

static void test_versions_by_measured_time(void)
{
    begin(RULE(CLASSES));
    CU_ASSERT_EQUAL(fixture_rule(f, 0, 100, RULE("{'*':'medium'}")), OK);
    tell_all((const struct message[]){{"lead", PHASE_START, 50, NULL, NULL},
                                      {"lead", PHASE_CONTINUE, 100, NULL, NULL},
                                      {"lead", PHASE_END, 110, NULL, NULL}},
             3, 200);
    TRACE_IS("raised high 50 | deescalated medium 100 | cleared medium 110");
    CU_ASSERT_EQUAL(
        json_integer_value(json_object_get(json_object_get(fixture_last(f, "raised"), "rule"), "version")),
        1);
    fixture_close(f);
}

static void test_disabled_and_enabled(void)
{
    begin(RULE(CLASSES));
    CU_ASSERT_EQUAL(
        fixture_rule(f, 0, 100, "{'id':'t.device','kind':'event','classes':{'*':'low'},'enabled':false}"),
        OK);
    CU_ASSERT_EQUAL(fixture_rule(f, 0, 200, RULE("{'*':'medium'}")), OK);
    tell("lead", PHASE_START, 10);
    fixture_run(f, 150);
    TRACE_IS("raised high 10 | cleared high 100 (rule-disabled)");
    tell("lead", PHASE_CONTINUE, 150);
    TRACE_IS("");
    tell("lead", PHASE_CONTINUE, 250);
    tell("lead", PHASE_END, 260);
    TRACE_IS("raised medium 250 | cleared medium 260");
    EPISODES_ARE("t.device 10-100 cleared high@10 | t.device 250-260 cleared medium@250");
    fixture_close(f);
}

/* A message that no version judges does not take an `end` back. */
static void test_end_of_the_rule_behind_an_end(void)
{
    begin(RULE(CLASSES));
    CU_ASSERT_EQUAL(
        fixture_rule(f, 0, 100, "{'id':'t.device','kind':'event','classes':{'*':'low'},'enabled':false}"),
        OK);
    CU_ASSERT_EQUAL(fixture_rule(f, 0, 200, RULE("{'*':'medium'}")), OK);
    tell_all((const struct message[]){{"lead", PHASE_START, 10, NULL, NULL},
                                      {"lead", PHASE_CONTINUE, 150, NULL, NULL},
                                      {"lead", PHASE_CONTINUE, 250, NULL, NULL},
                                      {"lead", PHASE_END, 50, NULL, NULL}},
             4, 300);
    EPISODES_ARE("t.device 10-50 cleared high@10 | t.device 250--1 open medium@250");
    fixture_close(f);
}

static void test_new_rule_sees_what_is_held(void)
{
    fixture_open_patient(f);
    tell("lead", PHASE_START, 10);
    TRACE_IS("");
    CU_ASSERT_EQUAL(fixture_rule(f, 100, 0, RULE(CLASSES)), OK);
    TRACE_IS("~raised high 10");
    fixture_close(f);
}

static void test_left(void)
{
    begin(RULE(CLASSES));
    tell("lead", PHASE_START, 10);
    fixture_command(f, COMMAND_LEFT, 50, "{'patient_id':17,'at':null,'reason':'moved'}");
    TRACE_IS("raised high 10 | closed high 50 (left)");
    fixture_close(f);
}

/* A rule of 63 classes beside "*", with names of `width` + 2 bytes. */
static const char *rule_of_many(int width)
{
    static const char *const priorities[] = {"low", "medium", "high"};
    static char rule[8192];
    size_t size = (size_t)snprintf(rule, sizeof rule, "{'id':'t.device','kind':'event','classes':{'*':'low'");
    for (unsigned i = 0; i < 63; i++)
        size += (size_t)snprintf(rule + size, sizeof rule - size, ",'%02u%0*u':'%s'", i, width, 0,
                                 priorities[i % 3]);
    snprintf(rule + size, sizeof rule - size, "},'text':{'fr':'%0499u','en':'%0499u'}}", 0, 0);
    return rule;
}

/* The longest event that a rule and a device can bring about is 16 KB at most: longer rules are refused. */
static void test_longest_event(void)
{
    static char odd[120], episode[120];
    size_t longest = 0;
    memset(odd, '\x01', sizeof odd - 1);
    memset(episode, '"', sizeof episode - 1);
    begin(rule_of_many(29));
    CU_ASSERT_EQUAL(fixture_rule(f, 1, 1, rule_of_many(38)), ERR_REFUSED);
    for (unsigned i = 0; i < 80; i++) {
        char class[40];
        snprintf(class, sizeof class, "%02u%029u", i % 63, 0);
        tell_all(&(const struct message){class, PHASE_CONTINUE, 10 + i, episode, odd}, 1, 10 + i);
    }
    CU_ASSERT_EQUAL(fixture_command(f, COMMAND_HANDLE, 100,
                                    "{'episode':'%s','author':'N','outcome':'relevant','note':'%0990u'}",
                                    event_text(f->events[0], "episode_id"), 0),
                    OK);
    for (int i = 0; i < f->count; i++)
        longest = strlen(f->texts[i]) > longest ? strlen(f->texts[i]) : longest;
    CU_ASSERT_TRUE(longest > 8000 && longest <= EVENT_JSON_BYTES_MAX);
    fixture_close(f);
}

/* ---- what a person closed ---- */

static enum err handle_event(int index, double minute)
{
    return fixture_command(f, COMMAND_HANDLE, minute, "{'episode':'%s','author':'N','outcome':'relevant'}",
                           event_text(f->events[index], "episode_id"));
}

static void handle(double minute)
{
    char id[UUID_TEXT + 1];
    snprintf(id, sizeof id, "%s", event_text(fixture_last(f, "raised"), "episode_id"));
    CU_ASSERT_EQUAL(
        fixture_command(f, COMMAND_HANDLE, minute, "{'episode':'%s','author':'N','outcome':'relevant'}", id),
        OK);
}

static void begin_handled(void)
{
    begin(RULE(CLASSES));
    tell("battery", PHASE_START, 10);
    handle(20);
    TRACE_IS("raised medium 10 | handled medium 10 | closed medium 20 (handled)");
    CU_ASSERT_STRING_EQUAL(event_text(device_event("closed"), "class"), "battery");
}

static void test_handled_stays_closed(void)
{
    begin_handled();
    tell("battery", PHASE_CONTINUE, 30);
    tell("other", PHASE_CONTINUE, 40); /* less than what was handled */
    tell_late("battery", PHASE_CONTINUE, 15, 41);
    TRACE_IS("");
    fixture_rule(f, 50, 45, RULE("{'*':'medium'}"));
    fixture_run(f, 60 * DAY_MIN);
    TRACE_IS("");
    EPISODES_ARE("t.device 10-20 closed medium@10");
    tell("battery", PHASE_END, 60 * DAY_MIN);
    TRACE_IS("~amended medium 86400 (late-data)");
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "amended"), "state"), "cleared");
    fixture_close(f);
}

static void test_handled_and_let_go(void)
{
    begin_handled();
    for (int week = 1; week < 20; week++)
        tell("battery", PHASE_CONTINUE, week * 7 * DAY_MIN);
    TRACE_IS("");
    tell("lead", PHASE_CONTINUE, 140 * DAY_MIN);
    TRACE_IS("~amended high 201600 (reopened) | escalated high 201600");
    fixture_close(f);
}

static void test_handled_opens_again(void)
{
    begin_handled(); /* more urgent now */
    tell("lead", PHASE_CONTINUE, 30);
    TRACE_IS("~amended high 30 (reopened) | escalated high 30");
    handle(31);
    TRACE_IS("handled high 30 | closed high 31 (handled)");
    tell("lead", PHASE_CONTINUE, 40);
    TRACE_IS("");
    fixture_close(f);
    begin_handled(); /* it was more urgent, which nobody knew when it was handled */
    tell_late("lead", PHASE_CONTINUE, 19, 30);
    TRACE_IS("~amended high 19 (reopened) | escalated high 19");
    fixture_close(f);
    begin_handled(); /* it begins once more */
    tell("battery", PHASE_START, 30);
    TRACE_IS("~amended medium 10 (reopened) | live medium 30");
    fixture_close(f);
    begin_handled(); /* a beginning that was handled already */
    tell_late("battery", PHASE_START, 5, 30);
    TRACE_IS("~amended medium 20 (late-data)"); /* it rests on its closing */
    EPISODES_ARE("t.device 5-20 closed medium@5");
    fixture_close(f);
}

static void test_handled_and_left(void)
{
    begin_handled();
    fixture_command(f, COMMAND_LEFT, 50, "{'patient_id':17,'at':null,'reason':'moved'}");
    TRACE_IS("");
    fixture_close(f);
}

/* ---- what is let go ---- */

static void test_let_go(void)
{
    begin(RULE(CLASSES));
    tell("lead", PHASE_START, 10);
    tell("battery", PHASE_CONTINUE, 20);
    tell_all(&(const struct message){"other", PHASE_START, 30, "2", NULL}, 1, 30);
    tell_all(&(const struct message){"other", PHASE_END, 40, "2", NULL}, 1, 40);
    TRACE_IS("raised high 10 | deescalated medium 20 | raised low 30 | cleared low 40");
    tell("battery", PHASE_CONTINUE, 80 * DAY_MIN); /* twice the look-back is 70 days */
    TRACE_IS("");
    tell("lead", PHASE_CONTINUE, 81 * DAY_MIN);
    tell("lead", PHASE_END, 82 * DAY_MIN);
    TRACE_IS("escalated high 116640 | cleared high 118080");
    const char *first = event_text(f->events[2], "episode_id"); /* the name of an episode long past */
    tell_all(&(const struct message){"other", PHASE_START, 83 * DAY_MIN, "2", NULL}, 1, 83 * DAY_MIN);
    TRACE_IS("raised low 119520");
    CU_ASSERT_STRING_NOT_EQUAL(event_text(fixture_last(f, "raised"), "episode_id"), first);
    EPISODES_ARE(
        "t.device 10-118080 cleared high@10 medium@20 high@116640 | t.device 119520--1 open low@119520 | "
        "t.device 30-40 cleared low@30");
    fixture_close(f);
}

/* More messages, and more device episodes, than are held: what is open stays, nothing is told twice. */
static void test_bounds(void)
{
    char episode[24];
    begin(RULE(CLASSES));
    tell("lead", PHASE_START, 1);
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(episode, sizeof episode, "e%u", i);
        const struct message both[] = {{"other", PHASE_START, 2 + i, episode, NULL},
                                       {"other", PHASE_END, 2.5 + i, episode, NULL}};
        tell_all(both, 2, 2.5 + i);
    }
    /* The episode of the first is held no more, that of the last is. */
    CU_ASSERT_EQUAL(handle_event(1, 3005), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(handle_event(f->count - 1, 3005), OK);
    for (unsigned i = 0; i < 5000; i++)
        tell("lead", PHASE_CONTINUE, 3010 + i);
    CU_ASSERT_EQUAL(tell("lead", PHASE_CONTINUE, 8009), VERDICT_DUPLICATE);
    tell("lead", PHASE_END, 8100);
    unsigned raised = 0, cleared = 0, other = 0, technical = 0;
    for (int i = 0; i < f->count; i++) {
        const char *kind = event_text(f->events[i], "event");
        bool is_technical = strcmp(event_text(f->events[i], "class"), "technical") == 0;
        technical += is_technical;
        raised += !is_technical && strcmp(kind, "raised") == 0;
        cleared += !is_technical && strcmp(kind, "cleared") == 0;
        other += !is_technical && strcmp(kind, "raised") != 0 && strcmp(kind, "cleared") != 0;
    }
    CU_ASSERT_EQUAL(raised, 3001);
    CU_ASSERT_EQUAL(cleared, 3001);
    CU_ASSERT_EQUAL(other, 1);     /* handled */
    CU_ASSERT_TRUE(technical > 0); /* technical.series-over-bound */
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "cleared"), "measured_at"), fixture_time(8100));
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(fixture_last(f, "cleared"), "readings_in_breach")),
                    5001);
    fixture_close(f);
}

/* Names that messages alone name are not forgotten. */
static void test_many_names(void)
{
    char episode[24], class[24];
    fixture_open_patient(f);
    for (unsigned i = 0; i < 1200; i++) {
        snprintf(episode, sizeof episode, "e%u", i);
        snprintf(class, sizeof class, "c%u", i);
        tell_all(&(const struct message){class, PHASE_START, i, episode, NULL}, 1, i);
    }
    CU_ASSERT_EQUAL(fixture_rule(f, 1300, 0, RULE("{'c0':'high','*':'low'}")), OK);
    CU_ASSERT_EQUAL(f->count, 1200);
    CU_ASSERT_STRING_EQUAL(event_text(f->events[0], "priority"), "high");
    CU_ASSERT_STRING_EQUAL(event_text(device_event("raised"), "class"), "c1199");
    CU_ASSERT_STRING_EQUAL(event_text(device_event("raised"), "episode"), "e1199");
    fixture_close(f);
}

/* An upload of more device episodes than are held: what it tells of them is told from them, at its end. */
static void test_many_at_once(void)
{
    static struct message all[5600];
    static char names[2800][8];
    begin(RULE(CLASSES));
    for (unsigned i = 0; i < 2800; i++) {
        snprintf(names[i], sizeof names[i], "e%u", i);
        all[2 * i] = (struct message){"lead", PHASE_START, i, names[i], NULL};
        all[2 * i + 1] = (struct message){"lead", PHASE_END, i + 0.5, names[i], NULL};
    }
    tell_all(all, 5600, 3000);
    CU_ASSERT_EQUAL(f->count, 5600);
    CU_ASSERT_STRING_EQUAL(event_text(f->events[0], "raised_at"), fixture_time(0));
    tell_all(&(const struct message){"lead", PHASE_START, 3001, "next", NULL}, 1,
             3001); /* now they are frozen */
    CU_ASSERT_EQUAL(handle_event(0, 3002), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(handle_event(5599, 3002), OK);
    fixture_close(f);
}

/* 4,096 device episodes from minute `at` on, each of one or two messages. */
static void tell_4096(double at, bool ended)
{
    static struct message all[4096];
    static char names[4096][16];
    unsigned count = 0;
    for (unsigned i = 0; i < 4096; i++) {
        snprintf(names[i], sizeof names[i], "%g-%u", at, i);
        all[count++] = (struct message){"lead", PHASE_START, at + i / 100.0, names[i], NULL};
        if (ended)
            all[count++] = (struct message){"lead", PHASE_END, at + 50 + i / 100.0, names[i], NULL};
        if (count == 4096) {
            tell_all(all, count, at + 100);
            count = 0;
        }
    }
}

/* What is open is never forgotten: a rule that has 4,096 of it watches no more, and says so. */
static void test_no_more_are_watched(void)
{
    begin(RULE(CLASSES));
    tell_4096(1, false);
    CU_ASSERT_EQUAL(f->count, 4096);
    tell("lead", PHASE_START, 200);
    CU_ASSERT_EQUAL(f->count, 4097);
    CU_ASSERT_STRING_EQUAL(event_text(f->events[4096], "class"), "technical");
    fixture_close(f);
}

/* What is long past makes room. */
static void test_spent_ones_make_room(void)
{
    begin(RULE(CLASSES));
    tell_4096(1, true);
    CU_ASSERT_EQUAL(f->count, 8192);
    for (; f->count > 0; f->count--) { /* the fixture holds no more */
        json_decref(f->events[f->count - 1]);
        free(f->texts[f->count - 1]);
    }
    tell("lead", PHASE_START, 80 * DAY_MIN);
    CU_ASSERT_EQUAL(f->count, 2); /* the first is silence */
    CU_ASSERT_STRING_EQUAL(event_text(f->events[1], "class"), "device");
    fixture_close(f);
}

/* An assignment that changes asks whether something came of the device. */
static void test_received(void)
{
    begin(RULE(CLASSES));
    tell("lead", PHASE_START, 100);
    for (unsigned minute = 99; minute <= 101; minute++) {
        fixture_command(f, COMMAND_RECEIVED, 200, "{'patient_id':17,'device':'I','from':'%s','to':'%s'}",
                        fixture_time(minute), fixture_time(minute + 1));
        CU_ASSERT_STRING_EQUAL(f->reply, minute == 100 ? "{\"received\":true}" : "{\"received\":false}");
    }
    fixture_command(f, COMMAND_RECEIVED, 200, "{'patient_id':17,'device':'J'}");
    CU_ASSERT_STRING_EQUAL(f->reply, "{\"received\":false}");
    fixture_close(f);
}

/* What was let go is told from what never came, after a start too. */
static void test_saved_and_loaded(void)
{
    begin(RULE(CLASSES));
    for (unsigned i = 0; i <= 8200; i++)
        tell("lead", PHASE_CONTINUE, 10 + i);
    fixture_move(f, &moved);
    fixture_close(f);
    f = &moved;
    CU_ASSERT_EQUAL(tell_late("lead", PHASE_CONTINUE, 11, 8300), VERDICT_ACCEPTED);
    CU_ASSERT_TRUE(f->flags & FLAG_CHECK_OLDER);
    CU_ASSERT_EQUAL(tell_late("lead", PHASE_CONTINUE, 8000, 8300), VERDICT_DUPLICATE);
    tell("lead", PHASE_END, 8301);
    TRACE_IS("raised low 8300 | cleared high 8301"); /* the first is technical.late-readings */
    CU_ASSERT_STRING_EQUAL(event_text(fixture_last(f, "cleared"), "raised_at"), fixture_time(10));
    fixture_close(f);
    f = &fixture;
}

/* Test data raises nothing, and is known when it comes again. */
static void test_test_data(void)
{
    static uint8_t tail[TAIL_ROOM];
    struct reading head;
    begin(RULE(CLASSES));
    for (unsigned i = 0; i < 2; i++) {
        fill(&head, tail, &(struct message){"lead", PHASE_START, 10, NULL, NULL}, 10);
        head.flags |= FLAG_TEST;
        fixture_tick(f, 10);
        engine_decide(f->engine, engine_patient(f->engine, 17), &head, tail, 0, ms_of(10));
        CU_ASSERT_EQUAL(head.verdict, i == 0 ? VERDICT_ACCEPTED : VERDICT_DUPLICATE);
    }
    tell("lead", PHASE_END, 20);
    TRACE_IS("raised high 20 | cleared high 20"); /* it rests on the `end` alone */
    fixture_close(f);
}

/* What comes when more is held than may be, and lies before what goes then, is not judged. */
static void test_before_what_goes(void)
{
    begin(RULE(CLASSES));
    for (unsigned i = 0; i <= 8192; i++)
        tell("lead", PHASE_CONTINUE, 10 + i);
    TRACE_IS("raised high 10");
    CU_ASSERT_EQUAL(tell_late("lead", PHASE_START, 5, 8300), VERDICT_ACCEPTED);
    CU_ASSERT_TRUE(f->flags & FLAG_CHECK_OLDER);
    CU_ASSERT_TRUE(f->flags & FLAG_LATE_UNJUDGED);
    EPISODES_ARE("t.device 10--1 open high@10 | technical.late-readings 8300--1 open low@8300 | "
                 "technical.series-over-bound 8300--1 open low@8300");
    fixture_close(f);
}

/* Two alarms are open, and the rule ends for one of them: the other began behind that end. */
static void test_ends_apart(void)
{
    begin(RULE(CLASSES));
    CU_ASSERT_EQUAL(
        fixture_rule(f, 0, 100, "{'id':'t.device','kind':'event','classes':{'*':'low'},'enabled':false}"),
        OK);
    CU_ASSERT_EQUAL(fixture_rule(f, 0, 101, RULE("{'*':'medium'}")), OK);
    CU_ASSERT_EQUAL(
        fixture_rule(f, 0, 200, "{'id':'t.device','kind':'event','classes':{'*':'low'},'enabled':false}"),
        OK);
    tell("lead", PHASE_START, 10);
    tell_all(&(const struct message){"lead", PHASE_START, 102, "2", NULL}, 1, 99); /* clocks differ */
    TRACE_IS("raised high 10 | raised medium 102");
    fixture_run(f, 150);
    TRACE_IS("cleared high 100 (rule-disabled)");
    fixture_run(f, 201);
    TRACE_IS("cleared medium 200 (rule-disabled)");
    fixture_close(f);
}

SUITE(engine_device) = {
    {"kept as classified", test_kept_as_classified},
    {"priority by class", test_priority_by_class},
    {"id", test_id},
    {"any order", test_any_order},
    {"end before start", test_end_before_start},
    {"goes on after an end", test_goes_on_after_end},
    {"no end stays open", test_no_end_stays_open},
    {"devices and episodes apart", test_devices_and_episodes_apart},
    {"live within 48 hours", test_live_within_48_hours},
    {"older than the look-back", test_older_than_look_back},
    {"the future is kept aside", test_future_is_kept_aside},
    {"no sign of life", test_no_sign_of_life},
    {"versions by measured time", test_versions_by_measured_time},
    {"disabled and enabled", test_disabled_and_enabled},
    {"the end of the rule behind an end", test_end_of_the_rule_behind_an_end},
    {"a new rule sees what is held", test_new_rule_sees_what_is_held},
    {"left", test_left},
    {"the longest event", test_longest_event},
    {"handled stays closed", test_handled_stays_closed},
    {"handled and let go", test_handled_and_let_go},
    {"handled opens again", test_handled_opens_again},
    {"handled and left", test_handled_and_left},
    {"what is let go", test_let_go},
    {"bounds", test_bounds},
    {"many at once", test_many_at_once},
    {"no more are watched", test_no_more_are_watched},
    {"spent ones make room", test_spent_ones_make_room},
    {"received", test_received},
    {"many names", test_many_names},
    {"saved and loaded", test_saved_and_loaded},
    {"test data", test_test_data},
    {"before what goes", test_before_what_goes},
    {"ends apart", test_ends_apart},
    {NULL, NULL},
};
