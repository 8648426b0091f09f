/* feeder: an engine that is driven through a past decides what the first one decided, byte for byte. The
 * first one is driven here as a shard drives it: turns at odd times with their ticks, commands, requests,
 * restarts; what a shard's journal would hold is written down, and the ticks are not. */
#include "daemon/history/feeder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/model/parameter.h"
#include "tests/unit/engine_fixture.h"

enum { ACTS_MAX = 4096, EVENTS = 4096, UNIT_MAX = 4, TAIL_BYTES = 32 };

struct act {
    struct place place;
    int64_t since_ms; /* of a start */
    bool start;
    char *command; /* else a request */
    struct reading readings[UNIT_MAX];
    uint32_t count;
};

struct log {
    struct published published[EVENTS];
    char *json[EVENTS];
    int count;
};

struct past_run {
    struct engine *engine;
    struct act acts[ACTS_MAX];
    int acts_count;
    struct log log;
    uint64_t position;
    uint8_t tails[UNIT_MAX * TAIL_BYTES];
};
static struct past_run run;

static void take_event(void *context, const struct alert_event *event, const char *json, uint32_t size)
{
    struct log *log = context;
    CU_ASSERT_FATAL(log->count < EVENTS);
    struct published *published = &log->published[log->count];
    memcpy(published->event_id, event->event_id, UUID_BYTES);
    published->place = (struct place){event->decided_at_ms, ++run.position};
    log->json[log->count++] = strndup(json, size);
}

static const struct engine_settings settings = {
    .lookback_ms = 35 * DAY_MIN * MINUTE_MS,
    .lookback_continuous_ms = 16 * DAY_MIN * MINUTE_MS,
    .future_tolerance_ms = 5 * MINUTE_MS,
    .node = "node-1",
};

static struct act *add_act(int64_t at_ms)
{
    CU_ASSERT_FATAL(run.acts_count < ACTS_MAX);
    struct act *act = &run.acts[run.acts_count++];
    *act = (struct act){.place = {at_ms, ++run.position}};
    return act;
}

static void turn(int64_t at_ms)
{
    int64_t up_ms = at_ms - engine_now_ms(run.engine);
    run.position++;
    while (engine_tick(run.engine, at_ms, up_ms, TICK_RUNNING))
        up_ms = 0;
}

static void start(int64_t at_ms)
{
    struct act *act = add_act(at_ms);
    act->start = true;
    act->since_ms = run.acts_count == 1 ? INSTANT_NONE : engine_now_ms(run.engine);
    while (engine_tick(run.engine, at_ms, 0, TICK_START))
        ;
}

static void command(int64_t at_ms, const char *text)
{
    struct command command = {.kind = COMMAND_COUNT};
    turn(at_ms);
    char *json = strdup(text);
    for (char *at = json; *at != '\0'; at++)
        *at = *at == '\'' ? '"' : *at;
    command.kind = command_kind_of(json, strlen(json));
    buffer_text(&command.json, json);
    add_act(at_ms)->command = json;
    engine_command(run.engine, &command, at_ms);
    CU_ASSERT_EQUAL_FATAL(command.outcome, OK);
    buffer_deinit(&command.json);
    buffer_deinit(&command.reply);
}

/* Values measured `late_ms` ago and a minute apart; status of all. */
static void request(int64_t at_ms, int64_t late_ms, const int *values, int count, enum reading_status status)
{
    struct act *act;
    turn(at_ms);
    act = add_act(at_ms);
    act->count = (uint32_t)count;
    for (int i = 0; i < count; i++) {
        struct reading *reading = &act->readings[i];
        *reading = (struct reading){.patient_id = 17,
                                    .source_id = 1,
                                    .parameter = PARAMETER_HEART_RATE,
                                    .value = values[i] * (int64_t)1000000,
                                    .measured_at_ms = at_ms - late_ms + i * MINUTE_MS,
                                    .received_at_ms = at_ms,
                                    .issued_ms = status >= STATUS_CORRECTED ? at_ms : INSTANT_NONE,
                                    .status = (uint8_t)status,
                                    .next = i + 1 < count ? (uint32_t)i + 1 : READING_CHAIN_END};
        reading->tail_offset = (uint32_t)(i * TAIL_BYTES);
        CU_ASSERT_FATAL(tail_put(run.tails + reading->tail_offset, TAIL_BYTES, &reading->tail_size,
                                 TAIL_KEY_DEVICE, "D", 1));
        reading_identify(reading, run.tails + reading->tail_offset, &(struct sip_key){1, 2});
    }
    struct reading heads[UNIT_MAX];
    memcpy(heads, act->readings, sizeof(heads));
    engine_decide(run.engine, engine_patient(run.engine, 17), heads, run.tails, 0, at_ms);
}

static const char silence_rule[] =
    "{'command':'rule','layer':'line','scope':'test','version':1,'author':'a','role':'system','reason':'r',"
    "'valid_from':null,'rule':{'id':'test.silence','line':'test','kind':'silence','max_gap':'6h',"
    "'parameters':['heart-rate'],'priority':'medium'}}";
static const char limit_rule[] =
    "{'command':'rule','layer':'patient','scope':17,'version':%d,'author':'a','role':'physician','reason':'r'"
    ","
    "'valid_from':null,'rule':{'id':'t.hr','line':'test','parameter':'heart-rate','unit':'/"
    "min','kind':'limit',"
    "'levels':[{'priority':'medium','above':%d},{'priority':'high','above':%d}],'count':2}}";

static void begin(void)
{
    memset(&run, 0, sizeof(run));
    CU_ASSERT_EQUAL_FATAL(parameter_init(), OK);
    run.engine = engine_new(&settings, &(struct engine_out){.event = take_event, .context = &run.log});
    start(EPOCH_MS);
    command(EPOCH_MS + 5, silence_rule);
    command(EPOCH_MS + 5, "{'command':'patient','patient_id':17,'ref':'P-1','organization':'O','line':'test',"
                          "'team':null,'time_zone':'Europe/Paris','enrolled_at':null}");
}

static void end(void)
{
    engine_free(run.engine);
    for (int i = 0; i < run.acts_count; i++)
        free(run.acts[i].command);
    for (int i = 0; i < run.log.count; i++)
        free(run.log.json[i]);
}

/* A past of `steps` turns made from a seed: in order, late, corrected, with gaps in which silence is raised.
 */
static void live(unsigned seed, int steps)
{
    int64_t at_ms = EPOCH_MS + HOUR_MIN * MINUTE_MS;
    srand(seed);
    for (int i = 0; i < steps; i++) {
        int values[UNIT_MAX], count = 1 + rand() % UNIT_MAX, kind = rand() % 24;
        char text[1024];
        at_ms += rand() % (3 * 3600 * 1000) + (rand() % 9 == 0 ? 8 * 3600 * 1000 : 0);
        for (int v = 0; v < count; v++)
            values[v] = 60 + rand() % 90;
        if (kind == 0) {
            start(at_ms + 3600 * 1000);
        } else if (kind == 1) {
            snprintf(text, sizeof(text), limit_rule, i + 1, 90 + rand() % 20, 120 + rand() % 20);
            command(at_ms, text);
        } else if (kind == 2) {
            for (int t = 0; t < 5; t++)
                turn(at_ms += 1000 + rand() % 4000000);
        } else {
            int64_t late_ms = rand() % 4 == 0 ? (int64_t)rand() % (DAY_MIN * MINUTE_MS) : count * MINUTE_MS;
            request(at_ms, late_ms, values, count,
                    kind == 3   ? STATUS_CORRECTED
                    : kind == 4 ? STATUS_VOID
                                : STATUS_FINAL);
        }
    }
    turn(at_ms + 12 * 3600 * 1000);
    turn(at_ms + 13 * 3600 * 1000);
}

static void feed(struct feeder *feeder)
{
    for (int i = 0; i < run.acts_count; i++) {
        const struct act *act = &run.acts[i];
        struct reading heads[UNIT_MAX];
        memcpy(heads, act->readings, sizeof(heads));
        if (act->start)
            feeder_start(feeder, &act->place, act->since_ms, 0, TICK_START);
        else if (act->command != NULL)
            CU_ASSERT_EQUAL(feeder_command(feeder, &act->place, act->command, strlen(act->command)), OK)
        else
            CU_ASSERT_EQUAL(feeder_request(feeder, &act->place, heads, act->count, run.tails), OK);
    }
    feeder_finish(feeder, &(struct place){engine_now_ms(run.engine), run.position});
}

static int differences(const struct log *again)
{
    int found = run.log.count - again->count;
    found = found < 0 ? -found : found;
    for (int i = 0; i < run.log.count && i < again->count; i++)
        found += strcmp(run.log.json[i], again->json[i]) != 0;
    return found;
}

static void free_log(struct log *log)
{
    for (int i = 0; i < log->count; i++)
        free(log->json[i]);
    log->count = 0;
}

static struct log again;

static void test_followed_to_the_byte(void)
{
    for (unsigned seed = 1; seed <= 8; seed++) {
        struct engine_out out = {.event = take_event, .context = &again};
        begin();
        live(seed, 120);
        struct feeder *feeder = feeder_new(&settings, &out);
        feeder_follow(feeder, run.log.published, (size_t)run.log.count);
        feed(feeder);
        CU_ASSERT(run.log.count > 20);
        CU_ASSERT_EQUAL(differences(&again), 0);
        feeder_free(feeder);
        free_log(&again);
        end();
    }
}

/* One reading is another than it was: what is decided again is not what was published. */
static void test_another_past_differs(void)
{
    struct engine_out out = {.event = take_event, .context = &again};
    begin();
    live(1, 120);
    for (int i = 0; i < run.acts_count; i++)
        for (uint32_t r = 0; r < run.acts[i].count; r++)
            run.acts[i].readings[r].value = 200 * (int64_t)1000000;
    struct feeder *feeder = feeder_new(&settings, &out);
    feeder_follow(feeder, run.log.published, (size_t)run.log.count);
    feed(feeder);
    CU_ASSERT(differences(&again) > 0);
    feeder_free(feeder);
    free_log(&again);
    end();
}

struct told {
    char *text[EVENTS];
    size_t count;
};

/* Event, rule and the three times of the episode; what a reader calls the same episode. */
static void tell(struct told *told, const struct log *log)
{
    told->count = 0;
    for (int i = 0; i < log->count; i++) {
        json_t *event = json_loads(log->json[i], 0, NULL);
        char text[512];
        snprintf(text, sizeof(text), "%s %s %s %s %s", event_text(event, "event"),
                 event_text(json_object_get(event, "rule"), "id"), event_text(event, "raised_at"),
                 event_text(event, "cleared_at"), event_text(event, "priority"));
        told->text[told->count++] = strdup(text);
        json_decref(event);
    }
}

/* Without anything to follow, ticks come when something is due: the same transitions. */
static void test_ticks_when_due(void)
{
    static struct told first, second;
    struct engine_out out = {.event = take_event, .context = &again};
    begin();
    live(3, 120);
    struct feeder *feeder = feeder_new(&settings, &out);
    feed(feeder);
    tell(&first, &run.log);
    tell(&second, &again);
    CU_ASSERT_EQUAL(first.count, second.count);
    for (size_t i = 0; i < first.count && i < second.count; i++)
        CU_ASSERT_STRING_EQUAL(first.text[i], second.text[i]);
    for (size_t i = 0; i < first.count; i++)
        free(first.text[i]);
    for (size_t i = 0; i < second.count; i++)
        free(second.text[i]);
    feeder_free(feeder);
    free_log(&again);
    end();
}

static struct {
    int count, breaches, again;
} steps;

static void take_step(void *context, const struct engine_step *step)
{
    steps.count++;
    steps.breaches += step->breach;
    steps.again += step->again;
    CU_ASSERT(context == &again && step->patient_id == 17 && step->parameter == PARAMETER_HEART_RATE);
    CU_ASSERT(strcmp(step->rule_id, "t.hr") == 0 && strcmp(step->side, "high") == 0);
    CU_ASSERT(step->layer != NULL && strcmp(step->layer, "patient") == 0 && step->version == 1);
}

/* Three in order; one late, for which the judge walks over all four again. */
static void test_steps_are_shown(void)
{
    struct engine_out out = {.event = take_event, .step = take_step, .context = &again};
    char text[1024];
    begin();
    snprintf(text, sizeof(text), limit_rule, 1, 100, 120);
    command(EPOCH_MS + 10, text);
    int64_t at_ms = EPOCH_MS + DAY_MIN * MINUTE_MS;
    request(at_ms, 4 * MINUTE_MS, (int[]){80, 101, 102}, 3, STATUS_FINAL);
    request(at_ms + 1, DAY_MIN * MINUTE_MS / 2, (int[]){110}, 1, STATUS_FINAL);
    struct feeder *feeder = feeder_new(&settings, &out);
    feed(feeder);
    CU_ASSERT_EQUAL(steps.count, 3 + 4);
    CU_ASSERT_EQUAL(steps.breaches, 2 + 3);
    CU_ASSERT_EQUAL(steps.again, 4);
    feeder_free(feeder);
    free_log(&again);
    end();
}

/* What each kind held the readings against, of a weight that rises by 1 a day. */
static struct {
    const char *word;
    int64_t against;
} held[4][4];
static int held_count[4];

static void take_comparison(void *context, const struct engine_step *step)
{
    int kind = step->rule_id[2] - '0';
    CU_ASSERT_FATAL(kind >= 0 && kind < 4 && held_count[kind] < 4);
    held[kind][held_count[kind]].word = step->compared == NULL ? "" : step->compared;
    held[kind][held_count[kind]++].against = step->against;
}

static void weigh_rule(int number, const char *rest)
{
    char text[1024];
    snprintf(text, sizeof(text),
             "{'command':'rule','layer':'patient','scope':17,'version':1,'author':'a','role':'physician',"
             "'reason':'r','valid_from':null,'rule':{'id':'t.%d','line':'test','parameter':'heart-rate',"
             "'unit':'/min',%s,'priority':'medium'}}",
             number, rest);
    command(EPOCH_MS + 10, text);
}

static void test_comparisons_are_shown(void)
{
    struct engine_out out = {.event = take_event, .step = take_comparison, .context = &again};
    begin();
    command(EPOCH_MS + 9,
            "{'command':'reference','patient_id':17,'parameter':'heart-rate','name':'rest','value':50,"
            "'unit':'/min','from':'2026-06-01T00:00:00Z','author':'a'}");
    weigh_rule(0, "'kind':'change','rise':5,'within':'1h'");
    weigh_rule(1, "'kind':'reference','rise':5,'reference':'rest'");
    weigh_rule(2, "'kind':'rate','rise_per':2,'within':'1h','readings':2");
    weigh_rule(3, "'kind':'occurrences','above':60,'times':2,'within':'1h','mode':'sample'");
    request(EPOCH_MS + HOUR_MIN * MINUTE_MS, 3 * MINUTE_MS, (int[]){60, 61, 64}, 3, STATUS_FINAL);
    struct feeder *feeder = feeder_new(&settings, &out);
    feed(feeder);
    for (int kind = 0; kind < 4; kind++)
        CU_ASSERT_EQUAL(held_count[kind], 3);
    CU_ASSERT_STRING_EQUAL(held[0][0].word, "");
    CU_ASSERT(strcmp(held[0][2].word, "extreme") == 0 && held[0][2].against == 60000000);
    CU_ASSERT(strcmp(held[1][0].word, "reference") == 0 && held[1][0].against == 50000000);
    CU_ASSERT_STRING_EQUAL(held[2][0].word, "");
    CU_ASSERT(strcmp(held[2][1].word, "slope") == 0 && held[2][1].against == 1000000);
    CU_ASSERT(strcmp(held[2][2].word, "slope") == 0 && held[2][2].against == 2000000);
    CU_ASSERT(strcmp(held[3][0].word, "counted") == 0 && held[3][0].against == 0);
    CU_ASSERT(strcmp(held[3][2].word, "counted") == 0 && held[3][2].against == 2);
    feeder_free(feeder);
    free_log(&again);
    end();
}

const struct unit_test suite_feeder[] = {
    {"followed to the byte", test_followed_to_the_byte},
    {"another past differs", test_another_past_differs},
    {"ticks when due", test_ticks_when_due},
    {"steps are shown", test_steps_are_shown},
    {"comparisons are shown", test_comparisons_are_shown},
    {NULL, NULL},
};
