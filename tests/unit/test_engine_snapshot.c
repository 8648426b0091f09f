/* Fuzzy snapshots against whole replay, byte for byte. A small node of a journal and an engine: random ticks,
 * readings of every sort and commands; a snapshot is taken in steps between them; the node is killed
 * anywhere, and what a snapshot and the journal behind it give must equal what the whole journal gives, and
 * what the living engine had; then the same future brings the same events. */
#include <stdlib.h>
#include <string.h>

#include "alerting/engine_snapshot.h"
#include "daemon/base/buffer.h"
#include "daemon/base/decimal.h"
#include "daemon/base/log.h"
#include "daemon/model/command.h"
#include "daemon/model/parameter.h"
#include "storage/snapshot.h"
#include "tests/unit/engine_fixture.h"

enum { RECORDS_MAX = 4096, UNIT_MAX = 4, TAIL_ROOM = 64, EPISODES_KNOWN = 64, GROUPS_MAX = 512 };
enum record_kind { TICK, UNIT, ORDER };

struct record {
    enum record_kind kind;
    int64_t now_ms, up_ms;
    bool start;
    unsigned count;
    struct reading heads[UNIT_MAX];
    uint8_t tails[UNIT_MAX * TAIL_ROOM];
    enum command_kind command;
    char *json;
};

struct digest { /* events in order */
    struct buffer bytes, hashes;
    uint8_t episode[EPISODES_KNOWN][UUID_BYTES];
    unsigned episodes;
};

struct group {
    size_t position;
    int64_t after_id, last_id;
    unsigned count;
    size_t begin, end;
};

struct snapshot {
    struct buffer bytes;
    size_t position, shared_end;
    struct group group[GROUPS_MAX];
    unsigned groups;
    uint64_t rules;
    struct archive *archive;
    bool whole;
};

struct node {
    uint64_t dice;
    struct engine *engine;
    struct digest events;
    struct record *journal;
    size_t records;
    int64_t now_ms, version;
    struct snapshot taking, kept;
    unsigned abandoned, finished;
};

static uint64_t roll(struct node *node, uint64_t sides)
{
    node->dice = hash_mix64(node->dice + 0x9e3779b97f4a7c15u);
    return node->dice % sides;
}

static void take_event(void *context, const struct alert_event *event, const char *json, uint32_t size)
{
    struct digest *digest = context;
    buffer_append(&digest->bytes, event, sizeof *event);
    buffer_append(&digest->bytes, json, size);
    uint64_t hash = hash_xxh64(event, sizeof *event) ^ hash_mix64(hash_xxh64(json, size));
    buffer_append(&digest->hashes, &hash, sizeof hash);
    memcpy(digest->episode[digest->episodes++ % EPISODES_KNOWN], event->episode_id, UUID_BYTES);
}

static struct engine *make_engine(struct digest *digest)
{
    struct engine_settings settings = {
        .lookback_ms = 10 * DAY_MIN * MINUTE_MS, /* short: bases and pruning come into play */
        .lookback_continuous_ms = 4 * DAY_MIN * MINUTE_MS,
        .future_tolerance_ms = 5 * MINUTE_MS,
        .node = "node-1",
    };
    return engine_new(&settings, &(struct engine_out){.event = take_event, .context = digest});
}

/* ---- the journal ---- */

static void carry_out(struct engine *engine, struct record *record, enum err *ret_outcome)
{
    *ret_outcome = OK;
    if (record->kind == TICK) {
        int64_t up_ms = record->up_ms;
        enum tick_kind kind = record->start ? TICK_START : TICK_RUNNING;
        while (engine_tick(engine, record->now_ms, up_ms, kind)) {
            up_ms = 0;
            kind = TICK_RUNNING;
        }
    } else if (record->kind == UNIT) {
        for (unsigned i = 0; i < record->count; i++) {
            record->heads[i].next = i + 1 < record->count ? i + 1 : READING_CHAIN_END;
            record->heads[i].received_at_ms = record->now_ms;
        }
        struct patient *patient = engine_patient(engine, record->heads[0].patient_id);
        if (!engine_is_dormant(patient))
            engine_decide(engine, patient, record->heads, record->tails, 0, record->now_ms);
    } else {
        struct command command = {.kind = record->command};
        buffer_append(&command.json, record->json, strlen(record->json));
        engine_command(engine, &command, record->now_ms);
        *ret_outcome = command.outcome;
        buffer_deinit(&command.json);
        buffer_deinit(&command.reply);
    }
}

/* Decides, then journals what the shard would: kept readings, commands that were carried out. */
static void live(struct node *node, struct record *record)
{
    enum err outcome;
    unsigned kept = 0;
    record->now_ms = node->now_ms;
    carry_out(node->engine, record, &outcome);
    for (unsigned i = 0; record->kind == UNIT && i < record->count; i++)
        if (record->heads[i].verdict == VERDICT_ACCEPTED || record->heads[i].verdict == VERDICT_QUARANTINED)
            record->heads[kept++] = record->heads[i];
    record->count = kept;
    if (outcome != OK || (record->kind == UNIT && kept == 0)) {
        free(record->json);
        return;
    }
    CU_ASSERT_FATAL(node->records < RECORDS_MAX);
    node->journal[node->records++] = *record;
}

static void tick(struct node *node, int64_t step_ms, bool start)
{
    node->now_ms += step_ms;
    live(node, &(struct record){.kind = TICK, .up_ms = start ? 0 : step_ms, .start = start});
}

static void order(struct node *node, enum command_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void order(struct node *node, enum command_kind kind, const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (char *at = text; *at != '\0'; at++)
        if (*at == '\'')
            *at = '"';
    live(node, &(struct record){.kind = ORDER, .command = kind, .json = strdup(text)});
}

static const char *when(int64_t ms)
{
    return fixture_time((double)(ms - EPOCH_MS) / MINUTE_MS);
}

/* ---- what happens ---- */

static const char *const rules[] = {
    "{'id':'r.limit','kind':'limit','parameter':'body-weight','unit':'kg','levels':[{'priority':'low','above'"
    ":80},"
    "{'priority':'high','above':%u}],'hysteresis':1,'count':2,'clear_count':2}",
    "{'id':'r.band','kind':'limit','parameter':'heart-rate','unit':'/min','levels':[{'priority':'medium',"
    "'above':110,'below':%u}],'for':'1h','max_gap':'2d'}",
    "{'id':'r.rise','kind':'change','parameter':'body-weight','unit':'kg','rise':2,'fall':3,'within':'%uh',"
    "'priority':'medium'}",
    "{'id':'r.silent','kind':'silence','max_gap':'%uh','missed_days':2,'parameters':['body-weight'],"
    "'priority':'low'}",
    "{'id':'r.limit','inherit':true}",
    "{'id':'r.often','kind':'occurrences','parameter':'heart-rate','unit':'/min','above':%u,'below':60,"
    "'rearm':5,'times':2,'within':'3d','priority':'high'}",
    "{'id':'r.each','kind':'occurrences','parameter':'body-weight','unit':'kg','above':%u,'mode':'sample',"
    "'times':3,'within':'5d','priority':'low'}",
    "{'id':'r.dry','kind':'reference','parameter':'body-weight','unit':'kg','rise':%u,'fall_percent':15,"
    "'reference':'dry','count':2,'clear_count':2,'priority':'medium'}",
    "{'id':'r.fast','kind':'rate','parameter':'heart-rate','unit':'/min','rise_per':0.01,'fall_per':0.02,"
    "'within':'%uh','readings':3,'clear_count':2,'priority':'medium'}",
    "{'id':'r.dry','kind':'reference','parameter':'body-weight','unit':'kg','rise':%u,'fall_percent':15,"
    "'reference':'other','count':2,'clear_count':3,'priority':'low'}",
    "{'id':'r.fast','kind':'rate','parameter':'heart-rate','unit':'/min','rise_per':0.02,'fall_per':0.01,"
    "'within':'%uh','clear_count':3,'priority':'high'}",
    "{'id':'r.device','kind':'event','classes':{'lead':'high','battery':'medium','*':'low'}}",
    "{'id':'r.device','kind':'event','classes':{'lead':'low','*':'medium'}}",
    "{'id':'r.device','kind':'event','classes':{'*':'low'},'enabled':false}",
    "{'id':'r.alarm','kind':'event','classes':{'*':'high'}}",
    "{'id':'r.daily','kind':'daily','parameter':'body-weight','unit':'kg','statistic':'max','above':%u,"
    "'below':77,'days':2,'missing':'skip','grace':'6h','priority':'medium'}",
    "{'id':'r.varies','kind':'variation','parameter':'heart-rate','unit':'/min','statistic':'mean','rise':%u,"
    "'fall_percent':15,'grace':'1h','priority':'high'}",
    "{'id':'r.usual','kind':'baseline','parameter':'body-weight','unit':'kg','statistic':'median','rise':%u,"
    "'fall':2,'over':7,'min_days':3,'grace':'2h','priority':'low'}",
    "{'id':'r.daily','kind':'daily','parameter':'body-weight','unit':'kg','statistic':'max','above':%u,"
    "'enabled':false,'priority':'low'}",
};
enum { FIRST_OF_KINDS = 5 };
static const unsigned rule_low[] = {82, 40, 20, 30, 0, 85, 77, 8, 30, 4, 20, 0, 0, 0, 0, 76, 5, 1, 80};

static void add_rule(struct node *node, const char *layer, const char *scope, unsigned which)
{
    char rule[512];
    unsigned value = rule_low[which] + (unsigned)roll(node, 8);
    int size = 0;
    for (const char *at = rules[which]; *at != '\0'; at++) /* the one %u of a rule */
        if (at[0] == '%' && at[1] == 'u')
            size += snprintf(rule + size, sizeof rule - (size_t)size, "%u", value), at++;
        else
            rule[size++] = *at;
    rule[size] = '\0';
    order(node, COMMAND_RULE,
          "{'command':'rule','layer':'%s','scope':%s,'version':%lld,'author':'Dr "
          "A','role':'physician','reason':'r',"
          "'valid_from':'%s','rule':%s}",
          layer, scope, (long long)++node->version,
          when(node->now_ms + ((int64_t)roll(node, 5) - 2) * 60 * MINUTE_MS * 24), rule);
}

static int64_t some_patient(struct node *node)
{
    size_t count = engine_patients_count(node->engine);
    CU_ASSERT_FATAL(count > 0);
    for (int64_t id = 1 + (int64_t)roll(node, 40);; id = id % 40 + 1)
        if (count > 0 && engine_patient(node->engine, id) != NULL)
            return id;
}

static void enrol(struct node *node)
{
    int64_t id = 1 + (int64_t)roll(node, 40);
    order(node, COMMAND_PATIENT,
          "{'command':'patient','patient_id':%lld,'ref':'P-%lld','organization':'O','line':'%s','team':'%s',"
          "'time_zone':'%s','enrolled_at':null}",
          (long long)id, (long long)id, roll(node, 3) == 0 ? "other" : "test", roll(node, 2) == 0 ? "T" : "U",
          roll(node, 2) == 0 ? "Europe/Paris" : "America/Martinique");
}

static void add_reading(struct node *node, struct record *unit, int64_t patient_id)
{
    static const char *const words[] = {"D1", "D2", "S", ""};
    struct reading *reading = &unit->heads[unit->count];
    uint8_t *tail = unit->tails + unit->count * TAIL_ROOM;
    uint64_t sort = roll(node, 100);
    enum parameter weight, pulse;
    uint16_t size = 0;
    char made_up[24];
    CU_ASSERT_EQUAL_FATAL(parameter_by_name("body-weight", 11, &weight), OK);
    CU_ASSERT_EQUAL_FATAL(parameter_by_name("heart-rate", 10, &pulse), OK);
    bool heavy = roll(node, 3) > 0;
    *reading = (struct reading){.patient_id = patient_id, .source_id = 1};
    reading->parameter = (uint16_t)(heavy ? weight : pulse);
    reading->value = (heavy ? 74 + (int64_t)roll(node, 12) : 35 + (int64_t)roll(node, 85)) * DECIMAL_ONE;
    int64_t late_min = sort < 60   ? 0
                       : sort < 80 ? (int64_t)roll(node, 600)
                                   : (int64_t)roll(node, 23 * DAY_MIN);
    reading->measured_at_ms = node->now_ms - late_min * MINUTE_MS;
    reading->measured_at_ms -= reading->measured_at_ms % (20 * MINUTE_MS); /* keys meet */
    reading->issued_ms = roll(node, 3) == 0 ? node->now_ms : INSTANT_NONE;
    reading->alias_hash = roll(node, 4) == 0 ? 1 + roll(node, 5) : 0;
    reading->status = roll(node, 8) == 0 ? (uint8_t)roll(node, 4) : STATUS_FINAL;
    reading->comparator = roll(node, 30) == 0 ? COMPARATOR_GREATER : COMPARATOR_NONE;
    reading->quarantine = roll(node, 25) == 0 ? 1 + (uint8_t)roll(node, 3) : QUARANTINE_NONE;
    reading->precision = roll(node, 40) == 0 ? PRECISION_DAY : PRECISION_TIME;
    reading->flags = roll(node, 15) == 0 && reading->alias_hash != 0 ? FLAG_IF_NONE_EXIST : 0;
    snprintf(made_up, sizeof made_up, "made-up-%llu", (unsigned long long)roll(node, 1000));
    const char *device = roll(node, 20) == 0 ? made_up : words[roll(node, 2)],
               *sensor = words[2 + roll(node, 2)];
    tail_put(tail, TAIL_ROOM, &size, TAIL_KEY_DEVICE, device, strlen(device));
    if (*sensor != '\0')
        tail_put(tail, TAIL_ROOM, &size, TAIL_SENSOR, sensor, 1);
    reading->tail_size = size;
    reading->tail_offset = unit->count++ * TAIL_ROOM;
    reading_identify(reading, tail, &(struct sip_key){1, 2});
}

static void put_word(struct reading *reading, uint8_t *tail, enum tail_tag tag, const char *word)
{
    CU_ASSERT_FATAL(tail_put(tail, TAIL_ROOM, &reading->tail_size, tag, word, strlen(word)));
}

static void add_device_event(struct node *node, struct record *unit, int64_t patient_id)
{
    static const char *const classes[] = {"lead", "battery", "other"}, *const devices[] = {"D1", "D2"};
    struct reading *event = &unit->heads[unit->count];
    uint8_t *tail = unit->tails + unit->count * TAIL_ROOM;
    char episode[24];
    int64_t late_min =
        roll(node, 3) > 0 ? (int64_t)roll(node, 2 * DAY_MIN) - 4 : (int64_t)roll(node, 23 * DAY_MIN);
    *event = (struct reading){.patient_id = patient_id, .source_id = 1, .flags = FLAG_DEVICE_EVENT};
    event->parameter = READING_NO_PARAMETER;
    event->value = (int64_t)roll(node, PHASE_COUNT);
    event->issued_ms = INSTANT_NONE;
    event->measured_at_ms = node->now_ms - late_min * MINUTE_MS;
    event->measured_at_ms -= event->measured_at_ms % (20 * MINUTE_MS); /* messages meet */
    snprintf(episode, sizeof episode, "%llu", (unsigned long long)roll(node, roll(node, 10) == 0 ? 1000 : 3));
    put_word(event, tail, TAIL_KEY_DEVICE, devices[roll(node, 2)]);
    put_word(event, tail, TAIL_EPISODE, episode);
    put_word(event, tail, TAIL_CLASS, classes[roll(node, 3)]);
    event->tail_offset = unit->count++ * TAIL_ROOM;
    reading_identify_event(event, tail, &(struct sip_key){1, 2});
}

static void send_readings(struct node *node)
{
    struct record unit = {.kind = UNIT};
    int64_t patient_id = some_patient(node);
    for (unsigned i = 1 + (unsigned)roll(node, UNIT_MAX); i > 0; i--)
        if (roll(node, 4) == 0)
            add_device_event(node, &unit, patient_id);
        else
            add_reading(node, &unit, patient_id);
    live(node, &unit);
}

/* One of the last units again, as a sender does that has not heard the answer. */
static void send_again(struct node *node)
{
    for (size_t back = 1 + roll(node, 300); back <= node->records; back++) {
        struct record again = node->journal[node->records - back];
        if (again.kind != UNIT)
            continue;
        again.json = NULL;
        live(node, &again);
        return;
    }
}

static void acknowledge(struct node *node)
{
    char id[UUID_TEXT + 1];
    unsigned known = node->events.episodes < EPISODES_KNOWN ? node->events.episodes : EPISODES_KNOWN;
    if (known == 0)
        return;
    uuid_format(node->events.episode[roll(node, known)], id);
    char until[INSTANT_TEXT_MAX];
    until[instant_format(node->now_ms + 1 + (int64_t)roll(node, 7 * DAY_MIN) * MINUTE_MS, until)] = '\0';
    switch (roll(node, 4)) {
    case 0:
        order(node, COMMAND_ACKNOWLEDGE,
              "{'command':'acknowledge','episode':'%s','author':'N','note':'seen'}", id);
        break;
    case 1:
        order(node, COMMAND_HANDLE,
              "{'command':'handle','episode':'%s','author':'N','outcome':'%s','note':'done'}", id,
              roll(node, 2) ? "relevant" : "technical");
        break;
    case 2:
        order(node, COMMAND_SHELVE,
              "{'command':'shelve','episode':'%s','author':'N','reason':'known','until':'%s'}", id, until);
        break;
    default:
        order(node, COMMAND_UNSHELVE, "{'command':'unshelve','episode':'%s','author':'N'}", id);
        break;
    }
}

/* While a snapshot is under way, what concerns patients whose turn in it comes late. */
static int64_t patient_of_order(struct node *node)
{
    int64_t id = some_patient(node);
    for (int64_t late = 40; node->taking.archive != NULL && roll(node, 4) > 0 && late > 0; late--)
        if (engine_patient(node->engine, late) != NULL)
            return late;
    return id;
}

static void move(struct node *node, int64_t id)
{
    static const char *const lines[] = {"test", "other", "test"};
    if (engine_patient(node->engine, id) == NULL)
        return;
    for (unsigned i = 0; i < 3; i++)
        order(
            node, COMMAND_PATIENT,
            "{'command':'patient','patient_id':%lld,'ref':'P-%lld','organization':'O','line':'%s','team':'T',"
            "'time_zone':'Europe/Paris','enrolled_at':null}",
            (long long)id, (long long)id, lines[i]);
}

static void some_order(struct node *node)
{
    char scope[24];
    int64_t id = patient_of_order(node);
    snprintf(scope, sizeof scope, "%lld", (long long)id);
    switch (roll(node, 10)) {
    case 9:
        move(node, id);
        break;
    case 0:
        enrol(node);
        break;
    case 1:
        if (roll(node, 4) == 0)
            order(node, COMMAND_LEFT, "{'command':'left','patient_id':%s,'at':'%s','reason':'moved'}", scope,
                  when(node->now_ms + (int64_t)roll(node, 3) * DAY_MIN * MINUTE_MS));
        break;
    case 2:
        order(node, COMMAND_CONFIRMATION,
              "{'command':'confirmation','patient_id':%s,'line':'test','from':null,'author':'Dr "
              "A','role':'physician'}",
              scope);
        break;
    case 3:
        order(node, COMMAND_REFERENCE,
              "{'command':'reference','patient_id':%s,'parameter':'body-weight','name':'%s','value':%llu,'"
              "unit':'kg','from':'%s','author':'Dr A'}",
              scope, roll(node, 3) == 0 ? "other" : "dry", (unsigned long long)(60 + roll(node, 19)),
              when(node->now_ms + ((int64_t)roll(node, 12) - 9) * DAY_MIN * MINUTE_MS));
        break;
    case 4:
        order(node, COMMAND_SUSPENSION,
              "{'command':'suspension','patient_id':%s,'rule':'test.silence','from':'%s','until':'%s','"
              "author':'N',"
              "'role':'nurse','reason':'holiday'}",
              scope, when(node->now_ms + (int64_t)roll(node, 2) * 600 * MINUTE_MS),
              when(node->now_ms + (int64_t)(1 + roll(node, 4)) * DAY_MIN * MINUTE_MS));
        break;
    case 5:
        order(node, COMMAND_REGISTRY, "{'command':'registry','version':%lld}", (long long)++node->version);
        break;
    case 6:
        acknowledge(node);
        break;
    default:
        add_rule(node, "patient", scope, (unsigned)roll(node, sizeof rules / sizeof rules[0]));
    }
}

static void open_node(struct node *node, uint64_t seed)
{
    *node = (struct node){.dice = seed, .now_ms = EPOCH_MS};
    node->engine = make_engine(&node->events);
    node->journal = calloc(RECORDS_MAX, sizeof node->journal[0]);
    tick(node, 0, true);
    for (unsigned i = 0; i < 2; i++)
        order(node, COMMAND_RULE,
              "{'command':'rule','layer':'line','scope':'%s','version':%lld,'author':'a','role':'system','"
              "reason':'r',"
              "'rule':{'id':'%s.silence','line':'%s','kind':'silence','max_gap':'36h','missed_days':3,"
              "'parameters':['body-weight','heart-rate'],'priority':'medium'}}",
              i == 0 ? "test" : "other", (long long)++node->version, i == 0 ? "test" : "other",
              i == 0 ? "test" : "other");
    add_rule(node, "line", "'test'", 0);
    add_rule(node, "organization", "'O'", 2);
    for (unsigned i = FIRST_OF_KINDS; i < sizeof rules / sizeof rules[0]; i++)
        add_rule(node, "line", "'test'", i);
    for (unsigned i = 0; i < 8; i++)
        enrol(node);
}

/* ---- snapshots ---- */

static void drop_snapshot(struct snapshot *snapshot)
{
    engine_archive_free(snapshot->archive);
    buffer_deinit(&snapshot->bytes);
    *snapshot = (struct snapshot){.whole = false};
}

static void step_snapshot(struct node *node)
{
    struct snapshot *s = &node->taking;
    if (s->archive != NULL && s->rules != engine_snapshot_bond(node->engine)) {
        drop_snapshot(s);
        node->abandoned++;
    }
    if (s->archive == NULL) {
        s->archive = engine_archive_new(node->engine);
        s->rules = engine_snapshot_bond(node->engine);
        s->position = node->records;
        engine_save_shared(s->archive, &s->bytes);
        s->shared_end = s->bytes.size;
    }
    CU_ASSERT_FATAL(s->groups < GROUPS_MAX);
    struct group *group = &s->group[s->groups];
    int64_t last_id = s->groups == 0 ? INT64_MIN : group[-1].last_id;
    *group = (struct group){.position = node->records, .after_id = last_id, .begin = s->bytes.size};
    group->count = engine_save_patients(s->archive, &last_id, 1 + (unsigned)roll(node, 3),
                                        1 + roll(node, 4000), &s->bytes);
    group->last_id = last_id;
    group->end = s->bytes.size;
    if (group->count > 0) {
        s->groups++;
        return;
    }
    drop_snapshot(&node->kept);
    node->kept = *s;
    node->kept.whole = true;
    *s = (struct snapshot){.whole = false};
    node->finished++;
}

static void wake(struct engine *engine, const struct snapshot *s, unsigned *group, size_t position)
{
    while (*group < s->groups && s->group[*group].position <= position) {
        engine_wake_patients(engine, s->group[*group].after_id, s->group[*group].last_id);
        ++*group;
    }
}

/* Snapshot and replay, or the whole journal without a snapshot. */
static struct engine *recover(const struct node *node, const struct snapshot *s, struct digest *events)
{
    struct engine *engine = make_engine(events);
    unsigned group = 0;
    size_t position = 0;
    if (s != NULL && s->whole) {
        struct archive *archive = engine_archive_new(engine);
        CU_ASSERT_EQUAL_FATAL(engine_load_shared(archive, s->bytes.data, s->shared_end), OK);
        for (unsigned i = 0; i < s->groups; i++)
            CU_ASSERT_EQUAL_FATAL(engine_load_patients(archive, s->group[i].count,
                                                       s->bytes.data + s->group[i].begin,
                                                       s->group[i].end - s->group[i].begin),
                                  OK);
        engine_archive_free(archive);
        position = s->position;
    }
    for (; position < node->records; position++) {
        struct record copy = node->journal[position];
        enum err outcome;
        if (s != NULL)
            wake(engine, s, &group, position);
        carry_out(engine, &copy, &outcome);
        if (s == NULL) /* a dormant patient's episode may be forgotten by then */
            CU_ASSERT_EQUAL(outcome, OK);
    }
    if (s != NULL)
        wake(engine, s, &group, position);
    CU_ASSERT_EQUAL(engine_dormant_count(engine), 0);
    return engine;
}

static void save_all(struct engine *engine, struct buffer *out)
{
    struct archive *archive = engine_archive_new(engine);
    int64_t last_id = INT64_MIN;
    buffer_clear(out);
    engine_save_shared(archive, out);
    engine_save_patients(archive, &last_id, UINT32_MAX, SIZE_MAX, out);
    engine_archive_free(archive);
}

static bool same_state(struct engine *a, struct engine *b)
{
    struct buffer left = {0}, right = {0};
    save_all(a, &left);
    save_all(b, &right);
    bool same = left.size == right.size && memcmp(left.data, right.data, left.size) == 0;
    buffer_deinit(&left);
    buffer_deinit(&right);
    return same;
}

static void one_step(struct node *node)
{
    static const int64_t steps_min[] = {0, 1, 20, 20, 300, 1500};
    tick(node, steps_min[roll(node, 6)] * MINUTE_MS + (int64_t)roll(node, 3), false);
    uint64_t sort = roll(node, 20);
    if (sort < 11)
        send_readings(node);
    else if (sort < 14)
        send_again(node);
    else if (sort < 18)
        some_order(node);
    else if (sort == 18 && roll(node, 12) == 0)
        add_rule(node, "line", "'test'", (unsigned)roll(node, 3));
}

static int compare_hashes(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/* What a start from a snapshot decides was decided before: no event is made up on the way. */
static bool nothing_is_new(struct digest *events)
{
    size_t count = events[0].hashes.size / sizeof(uint64_t);
    if (count > 0)
        qsort(events[0].hashes.data, count, sizeof(uint64_t), compare_hashes);
    for (size_t at = 0; at < events[1].hashes.size; at += sizeof(uint64_t))
        if (count == 0 || bsearch(events[1].hashes.data + at, events[0].hashes.data, count, sizeof(uint64_t),
                                  compare_hashes) == NULL)
            return false;
    return true;
}

/* The living engine goes on; so do both recovered ones, by its journal. */
static void same_future(struct node *node, struct engine *whole, struct engine *from_snapshot,
                        struct digest *events)
{
    size_t from = node->records;
    for (unsigned i = 0; i < 60; i++)
        one_step(node);
    buffer_clear(&events[0].bytes);
    buffer_clear(&events[1].bytes);
    for (; from < node->records; from++) {
        struct record copy = node->journal[from], again = copy;
        enum err outcome;
        carry_out(whole, &copy, &outcome);
        carry_out(from_snapshot, &again, &outcome);
    }
    CU_ASSERT_EQUAL_FATAL(events[0].bytes.size, events[1].bytes.size);
    CU_ASSERT_FATAL(events[0].bytes.size == 0 ||
                    memcmp(events[0].bytes.data, events[1].bytes.data, events[0].bytes.size) == 0);
}

/* Everything lately kept, sent once more: both know it, and say the same. */
static void same_memory(const struct node *node, struct engine *whole, struct engine *quick)
{
    for (size_t at = node->records > 300 ? node->records - 300 : 0; at < node->records; at++) {
        struct record left = node->journal[at];
        enum err outcome;
        if (left.kind != UNIT)
            continue;
        left.now_ms = node->now_ms;
        struct record right = left;
        carry_out(whole, &left, &outcome);
        carry_out(quick, &right, &outcome);
        for (unsigned i = 0; i < left.count; i++)
            CU_ASSERT_EQUAL_FATAL(left.heads[i].verdict, right.heads[i].verdict);
    }
}

static void crash(struct node *node, uint64_t seed)
{
    struct digest events[2] = {{.episodes = 0}, {.episodes = 0}};
    drop_snapshot(&node->taking);
    struct engine *whole = recover(node, NULL, &events[0]);
    struct engine *quick = recover(node, &node->kept, &events[1]);
    bool same = same_state(whole, quick) && same_state(whole, node->engine);
    if (!same)
        printf("seed %llu: %s differs\n", (unsigned long long)seed,
               same_state(whole, quick) ? "the living engine" : "snapshot and replay");
    CU_ASSERT_FATAL(same);
    CU_ASSERT_FATAL(nothing_is_new(events));
    same_future(node, whole, quick, events);
    CU_ASSERT_FATAL(same_state(whole, quick));
    same_memory(node, whole, quick);
    CU_ASSERT_FATAL(same_state(whole, quick));
    engine_free(node->engine);
    engine_free(whole);
    node->engine = quick;
    /* It goes on as the node: its events are known to the dice no more. */
    node->events.episodes = 0;
    for (unsigned i = 0; i < 2; i++) {
        buffer_deinit(&events[i].bytes);
        buffer_deinit(&events[i].hashes);
    }
}

static void close_node(struct node *node)
{
    drop_snapshot(&node->taking);
    drop_snapshot(&node->kept);
    for (size_t i = 0; i < node->records; i++)
        free(node->journal[i].json);
    free(node->journal);
    buffer_deinit(&node->events.bytes);
    buffer_deinit(&node->events.hashes);
    engine_free(node->engine);
}

static void test_crash_anywhere(void)
{
    unsigned finished = 0, abandoned = 0;
    for (uint64_t seed = 1; seed <= SEEDS(300); seed++) {
        struct node node;
        open_node(&node, seed);
        unsigned steps = 60 + (unsigned)roll(&node, 200), pace = 1 + (unsigned)roll(&node, 5);
        for (unsigned i = 0; i < steps; i++) {
            one_step(&node);
            if (roll(&node, pace) == 0)
                step_snapshot(&node);
        }
        crash(&node, seed);
        finished += node.finished;
        abandoned += node.abandoned;
        close_node(&node);
    }
    CU_ASSERT(finished > SEEDS(300)); /* else it tests nothing */
    CU_ASSERT(abandoned > SEEDS(30));
}

/* Damage to the newer may not meet a journal that is gone. */
static void test_trim_leaves_the_older(void)
{
    static struct snapshot_figures figures;
    atomic_store(&figures.position[0], 9);
    CU_ASSERT_EQUAL(snapshot_trim_position(&figures), 0);
    atomic_store(&figures.position[1], 5);
    CU_ASSERT_EQUAL(snapshot_trim_position(&figures), 5);
}

/* ---- bytes that no saver made ---- */

struct piece { /* the shared state, or one patient */
    const char *shared, *patient;
    size_t shared_size, patient_size;
};

/* ERR_CORRUPT, or a state that is saved as these very bytes: there is one way to say it. */
static void offer_bytes(const struct piece *piece, unsigned *refused)
{
    struct digest events = {.episodes = 0};
    struct engine *engine = make_engine(&events);
    struct archive *archive = engine_archive_new(engine);
    enum err error = engine_load_shared(archive, piece->shared, piece->shared_size);
    if (error == OK)
        error = engine_load_patients(archive, 1, piece->patient, piece->patient_size);
    engine_archive_free(archive);
    CU_ASSERT_FATAL(error == OK || error == ERR_CORRUPT);
    if (error == OK) {
        struct buffer again = {0};
        save_all(engine, &again);
        if (again.size >= piece->shared_size && memcmp(again.data, piece->shared, piece->shared_size) == 0)
            CU_ASSERT_FATAL(again.size == piece->shared_size + piece->patient_size &&
                            memcmp(again.data + piece->shared_size, piece->patient, piece->patient_size) ==
                                0);
        engine_wake_patients(engine, INT64_MIN, INT64_MAX);
        buffer_deinit(&again);
    } else {
        ++*refused;
    }
    engine_free(engine);
    buffer_deinit(&events.bytes);
    buffer_deinit(&events.hashes);
}

static void damage(struct node *node, struct piece piece, char *bytes, size_t size, unsigned *refused)
{
    static const unsigned char odd[] = {0, 1, 0x7f, 0x80, 0xff};
    for (size_t at = 0; at < size; at++) {
        char kept = bytes[at];
        bytes[at] =
            (char)(roll(node, 2) ? odd[roll(node, sizeof odd)] : (unsigned char)kept ^ 1u << roll(node, 8));
        if (bytes[at] != kept)
            offer_bytes(&piece, refused);
        bytes[at] = kept;
    }
    for (size_t cut = 0; cut < size; cut += 1 + roll(node, 40)) {
        struct piece shorter = piece;
        if (bytes == piece.shared)
            shorter.shared_size = cut;
        else
            shorter.patient_size = cut;
        offer_bytes(&shorter, refused);
    }
}

/* Whatever one byte becomes, and wherever the bytes end: refused, or understood. */
static void test_damage(void)
{
    unsigned refused = 0;
    log_configure((enum log_level) - 1, LOG_FORMAT_TEXT); /* of time zones that nobody knows */
    for (uint64_t seed = 1; seed <= SEEDS(6); seed++) {
        struct node node;
        struct buffer shared = {0}, patient = {0};
        open_node(&node, seed);
        for (unsigned i = 0; i < 160; i++)
            one_step(&node);
        struct archive *archive = engine_archive_new(node.engine);
        int64_t last_id = INT64_MIN;
        engine_save_shared(archive, &shared);
        CU_ASSERT_EQUAL_FATAL(engine_save_patients(archive, &last_id, 1, SIZE_MAX, &patient), 1);
        engine_archive_free(archive);
        struct piece piece = {shared.data, patient.data, shared.size, patient.size};
        offer_bytes(&piece, &refused);
        CU_ASSERT_EQUAL(refused, 0); /* as they were saved */
        if (seed <= 2)
            damage(&node, piece, shared.data, shared.size, &refused);
        damage(&node, piece, patient.data, patient.size, &refused);
        CU_ASSERT(refused > patient.size / 8); /* else it tests nothing */
        refused = 0;
        buffer_deinit(&shared);
        buffer_deinit(&patient);
        close_node(&node);
    }
    log_configure(LOG_INFO, LOG_FORMAT_TEXT);
}

const struct unit_test suite_engine_snapshot[] = {
    {"one byte of it damaged, or an end anywhere", test_damage},
    {"what trims is the older of two", test_trim_leaves_the_older},
    {"a crash anywhere: snapshot and replay equal the whole replay", test_crash_anywhere},
    {NULL, NULL},
};
