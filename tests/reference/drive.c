/* drive: see drive.h. */
#include "tests/reference/drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerting/engine.h"
#include "alerting/engine_snapshot.h"
#include "daemon/base/ensure.h"
#include "daemon/model/parameter.h"
#include "tests/reference/evaluator.h"
#include "tests/reference/topic.h"

enum { REQUEST_MAX = 2048, TAIL_ROOM = 64, PATIENT_ID = 17, GROUP_BYTES = 1 << 20, GROUPS_MAX = 64 };

struct drive {
    const struct scenario *scenario;
    const struct drive_wish *wish;
    struct outcome *out;
    struct engine *engine;
    struct topic *topic;
    struct facts facts[PATIENTS_MAX];
    bool enrolled[PATIENTS_MAX];
    struct dice dice;
    int64_t now_ms, said_ms, heard_ms, confirmed_ms; /* times of the last command, request, confirmation */
    int orders;
    long long versions;
    struct buffer text;
};

static void fail(struct drive *drive, enum verdict_of_drive verdict)
{
    if (drive->out->verdict != AGREED)
        return;
    drive->out->verdict = verdict;
    drive->out->text = strndup(drive->text.data, drive->text.size);
}

static void take_event(void *context, const struct alert_event *event, const char *json, uint32_t size)
{
    struct drive *drive = context;
    topic_take(drive->topic, event, json, size);
}

static struct engine *engine_make(struct drive *drive)
{
    struct engine_settings settings = {.lookback_ms = drive->scenario->lookback,
                                       .lookback_continuous_ms = drive->scenario->lookback_continuous,
                                       .future_tolerance_ms = 5 * MS_MINUTE,
                                       .node = "node-1"};
    struct engine_out out = {.event = take_event, .context = drive};
    return engine_new(&settings, &out);
}

/* ---- comparison ---- */

static void write_time(struct buffer *out, int64_t ms)
{
    char text[INSTANT_TEXT_MAX] = "-";
    if (ms != NO_TIME)
        text[instant_format(ms, text)] = '\0';
    buffer_printf(out, " %s", text);
}

static void write_episodes(struct buffer *out, const struct episodes *list)
{
    static const char *const sides[] = {"low", "high", "-"}, *const ends[] = {"open", "cleared", "closed"};
    static const char *const priorities[] = {"?", "low", "medium", "high"};
    for (size_t i = 0; i < list->count; i++) {
        const struct episode *episode = &list->episode[i];
        buffer_printf(out, "    r%d %s", episode->rule, sides[episode->side]);
        write_time(out, episode->raised_at);
        write_time(out, episode->ended_at);
        buffer_printf(out, " %s", ends[episode->state]);
        for (uint32_t k = 0; k < episode->steps; k++) {
            const struct step *step = &list->step[episode->steps_first + k];
            buffer_printf(out, " %s", priorities[step->priority]);
            if (k > 0)
                write_time(out, step->at);
        }
        buffer_text(out, "\n");
    }
}

static bool is_equal(const struct episodes *a, size_t i, const struct episodes *b, size_t k)
{
    if (i >= a->count || k >= b->count)
        return false;
    const struct episode *x = &a->episode[i], *y = &b->episode[k];
    bool equal = x->rule == y->rule && x->side == y->side && x->state == y->state &&
                 x->raised_at == y->raised_at && x->ended_at == y->ended_at && x->steps == y->steps;
    for (uint32_t n = 0; equal && n < x->steps; n++)
        equal = a->step[x->steps_first + n].at == b->step[y->steps_first + n].at &&
                a->step[x->steps_first + n].priority == b->step[y->steps_first + n].priority;
    return equal;
}

static const struct fact_rule *rule_of(const struct facts *facts, int number)
{
    for (size_t i = 0; i < facts->versions; i++)
        if (facts->version[i].rule == number && !facts->version[i].body.inherit)
            return &facts->version[i].body;
    return NULL;
}

static void check_ids(struct drive *drive, int patient, const char *ref, const struct episodes *expected)
{
    for (size_t i = 0; i < expected->count; i++) {
        const struct episode *episode = &expected->episode[i];
        const struct fact_rule *rule = rule_of(&drive->facts[patient], episode->rule);
        if (rule->kind == EVENT || topic_has_id(drive->topic, ref, episode, rule->parameter))
            continue;
        buffer_clear(&drive->text);
        buffer_printf(&drive->text, "patient %s: an episode_id is not that of its beginning: r%d", ref,
                      episode->rule);
        write_time(&drive->text, episode->raised_at);
        fail(drive, LAW_BROKEN);
        return;
    }
}

static void compare(struct drive *drive, int patient, bool last)
{
    struct episodes expected = {.count = 0}, found = {.count = 0};
    struct facts *facts = &drive->facts[patient];
    char ref[16];
    snprintf(ref, sizeof ref, "P-%d", patient);
    facts->clock = drive->now_ms - 1; /* what is due at this very time waits */
    facts->orders = drive->orders;
    evaluate(facts, &expected);
    topic_episodes(drive->topic, ref, &found);
    episodes_sort(&expected);
    episodes_sort(&found);
    drive->out->checks++;
    bool equal = expected.count == found.count;
    for (size_t i = 0; i < expected.count && equal; i++)
        equal = is_equal(&expected, i, &found, i);
    if (!equal && drive->out->verdict == AGREED) {
        buffer_clear(&drive->text);
        buffer_printf(&drive->text, "patient %s at", ref);
        write_time(&drive->text, drive->now_ms);
        buffer_text(&drive->text, ": expected (the evaluator's)\n");
        write_episodes(&drive->text, &expected);
        buffer_text(&drive->text, "  found (on the topic)\n");
        write_episodes(&drive->text, &found);
        fail(drive, DIFFERENT);
    }
    if (equal && last && drive->wish->ids)
        check_ids(drive, patient, ref, &expected);
    for (size_t i = 0; i < expected.count && last; i++) {
        enum fact_kind kind = rule_of(facts, expected.episode[i].rule)->kind;
        drive->out->per_kind[kind]++;
        drive->out->episodes++;
        if (kind != SILENCE)
            drive->out->episodes_digest =
                hash_mix64(drive->out->episodes_digest + (uint64_t)expected.episode[i].raised_at +
                           hash_mix64((uint64_t)expected.episode[i].ended_at));
    }
    episodes_deinit(&expected);
    episodes_deinit(&found);
}

/* ---- telling ---- */

static void look_at_laws(struct drive *drive)
{
    const char *broken = topic_broken(drive->topic);
    if (*broken == '\0')
        return;
    buffer_clear(&drive->text);
    buffer_text(&drive->text, broken);
    fail(drive, LAW_BROKEN);
}

static void tick(struct drive *drive, int64_t now_ms, enum tick_kind kind)
{
    int64_t up_ms = kind == TICK_RUNNING ? now_ms - drive->now_ms : 0;
    for (bool more = true; more; up_ms = 0, kind = TICK_RUNNING) {
        topic_begin_unit(drive->topic, now_ms, false);
        more = engine_tick(drive->engine, now_ms, up_ms, kind);
    }
    drive->now_ms = now_ms;
    look_at_laws(drive);
}

static void command(struct drive *drive, enum command_kind kind, const struct buffer *json)
{
    struct command one = {.kind = kind};
    drive->said_ms = drive->now_ms;
    buffer_append(&one.json, json->data, json->size);
    topic_begin_unit(drive->topic, drive->now_ms, true);
    engine_command(drive->engine, &one, drive->now_ms);
    look_at_laws(drive);
    if (one.outcome != OK) {
        buffer_clear(&drive->text);
        buffer_printf(&drive->text, "refused: %.*s\n  %.*s", (int)json->size, json->data, (int)one.reply.size,
                      one.reply.data);
        fail(drive, WAS_REFUSED);
    }
    buffer_deinit(&one.json);
    buffer_deinit(&one.reply);
}

/* Refused is one that had come before, without a quarantine. */
static void release(struct drive *drive, const struct buffer *json)
{
    struct command one = {.kind = COMMAND_RELEASE};
    buffer_append(&one.json, json->data, json->size);
    topic_begin_unit(drive->topic, drive->now_ms, true);
    engine_command(drive->engine, &one, drive->now_ms);
    if (one.outcome == OK)
        drive->out->released++;
    else if (memmem(one.reply.data, one.reply.size, "released already", 16) == NULL) {
        buffer_clear(&drive->text);
        buffer_printf(&drive->text, "refused: %.*s\n  %.*s", (int)json->size, json->data, (int)one.reply.size,
                      one.reply.data);
        fail(drive, WAS_REFUSED);
    }
    buffer_deinit(&one.json);
    buffer_deinit(&one.reply);
}

static void put_text(struct buffer *json, const char *key, const char *text)
{
    render_key(json, key);
    render_text(json, text);
}

static void put_time(struct buffer *json, const char *key, int64_t ms)
{
    render_key(json, key);
    render_instant(json, ms);
}

static void put_patient(struct buffer *json, int patient)
{
    render_open(json, '{');
    render_key(json, "patient_id");
    render_integer(json, PATIENT_ID + patient);
}

static void enrol(struct drive *drive, int patient)
{
    struct buffer json = {0};
    char ref[16];
    const struct scenario *scenario = drive->scenario;
    struct facts *facts = &drive->facts[patient];
    int64_t enrolled_at = scenario->enrolled_at[patient]; /* nobody was silent long before we knew of him */
    if (enrolled_at != NO_TIME && enrolled_at < drive->now_ms - MS_HOUR)
        enrolled_at = drive->now_ms - MS_HOUR;
    snprintf(ref, sizeof ref, "P-%d", patient);
    put_patient(&json, patient);
    put_text(&json, "ref", ref);
    put_text(&json, "organization", "O");
    put_text(&json, "line", "test");
    put_text(&json, "team", "T");
    put_text(&json, "time_zone", fact_zone_names[scenario->zone[patient]]);
    put_time(&json, "enrolled_at", enrolled_at);
    render_close(&json, '}');
    command(drive, COMMAND_PATIENT, &json);
    buffer_deinit(&json);
    facts->enrolled_at = enrolled_at == NO_TIME ? drive->now_ms : enrolled_at;
    drive->enrolled[patient] = true;
}

static void tell_version(struct drive *drive, const struct act *act)
{
    static const char *const layers[] = {"patient", "team", "organization", "line"};
    static const char *const scopes[] = {"", "O/T", "O", "test"};
    struct buffer json = {0}, rule = {0};
    struct fact_version version = act->version;
    if (version.body.kind == SILENCE && version.valid_from < drive->now_ms)
        version.valid_from = drive->now_ms; /* silence that nobody asked about is no matter of it */
    render_open(&json, '{');
    put_text(&json, "layer", layers[version.layer]);
    render_key(&json, "scope");
    if (version.layer == LAYER_PATIENT)
        render_integer(&json, PATIENT_ID + act->patient);
    else
        render_text(&json, scopes[version.layer]);
    render_key(&json, "version");
    render_integer(&json, ++drive->versions);
    put_text(&json, "author", "Dr A");
    put_text(&json, "role", "physician");
    put_text(&json, "reason", "r");
    put_time(&json, "valid_from", version.valid_from);
    scenario_render_rule(&version, &rule);
    render_key(&json, "rule");
    render_raw(&json, rule.data, rule.size);
    render_close(&json, '}');
    command(drive, COMMAND_RULE, &json);
    buffer_deinit(&json);
    buffer_deinit(&rule);
    version.commit = drive->now_ms;
    version.order = ++drive->orders;
    for (int patient = 0; patient < drive->scenario->patients; patient++) {
        if (act->patient != ALL_PATIENTS && act->patient != patient)
            continue;
        struct fact_version moved = version;
        moved.valid_from = evaluate_moved(&drive->facts[patient], &version);
        facts_add_version(&drive->facts[patient], moved);
    }
}

static void tell_confirmation(struct drive *drive, const struct act *act)
{
    struct buffer json = {0};
    put_patient(&json, act->patient);
    put_text(&json, "line", "test");
    put_time(&json, "from", act->confirmation.from);
    put_text(&json, "author", "Dr A");
    put_text(&json, "role", "physician");
    render_close(&json, '}');
    command(drive, COMMAND_CONFIRMATION, &json);
    buffer_deinit(&json);
    facts_add_confirmation(
        &drive->facts[act->patient],
        (struct fact_confirmation){act->confirmation.from, drive->now_ms, ++drive->orders});
}

static void tell_dated(struct drive *drive, const struct act *act)
{
    struct buffer json = {0};
    put_patient(&json, act->patient);
    put_text(&json, "parameter", fact_parameters[act->dated.parameter].name);
    put_text(&json, "name", "reference");
    render_key(&json, "value");
    render_decimal(&json, act->dated.value);
    put_text(&json, "unit", fact_parameters[act->dated.parameter].unit);
    put_time(&json, "from", act->dated.from);
    put_text(&json, "author", "Dr A");
    render_close(&json, '}');
    command(drive, COMMAND_REFERENCE, &json);
    buffer_deinit(&json);
    struct fact_dated dated = act->dated;
    dated.order = ++drive->orders;
    facts_add_dated(&drive->facts[act->patient], dated);
}

static void tell_suspension(struct drive *drive, const struct act *act)
{
    struct buffer json = {0};
    if (act->suspension.until <= drive->now_ms)
        return; /* an outage took longer */
    put_patient(&json, act->patient);
    put_text(&json, "rule", "test.r0");
    put_time(&json, "from", act->suspension.from);
    put_time(&json, "until", act->suspension.until);
    put_text(&json, "author", "Nurse B");
    put_text(&json, "reason", "hospital");
    render_close(&json, '}');
    command(drive, COMMAND_SUSPENSION, &json);
    buffer_deinit(&json);
    struct fact_span span = act->suspension;
    span.from = span.from < drive->now_ms ? drive->now_ms : span.from; /* at its commit at the earliest */
    if (span.from < span.until)
        facts_add_suspension(&drive->facts[act->patient], span);
}

static void tell_left(struct drive *drive, const struct act *act)
{
    struct buffer json = {0};
    put_patient(&json, act->patient);
    put_time(&json, "at", drive->now_ms);
    put_text(&json, "reason", "moved");
    render_close(&json, '}');
    command(drive, COMMAND_LEFT, &json);
    buffer_deinit(&json);
    drive->facts[act->patient].left_at = drive->now_ms;
}

/* ---- requests ---- */

static void fill(const struct drive *drive, const struct act *act, struct reading *reading, uint8_t *tail)
{
    static const struct sip_key key = {1, 2};
    const struct fact_reading *fact = &act->reading;
    const char *name = fact_parameters[fact->parameter].name, *device = topic_devices[fact->device];
    const char *sensor = topic_sensors[fact->sensor];
    enum parameter parameter;
    uint16_t size = 0;
    ensure(parameter_by_name(name, strlen(name), &parameter) == OK);
    *reading = (struct reading){
        .patient_id = PATIENT_ID + act->patient,
        .source_id = fact->source,
        .value = fact->value,
        .measured_at_ms = fact->measured_at,
        .received_at_ms = drive->now_ms,
        .issued_ms = fact->issued == NO_TIME ? INSTANT_NONE : fact->issued,
        .alias_hash = fact->alias == 0 ? 0 : hash_mix64(fact->alias * 1000ull + fact->parameter),
        .parameter = (uint16_t)parameter,
        .comparator = fact->comparator,
        .status = fact->status,
        .precision = fact->day_only ? PRECISION_DAY : PRECISION_TIME,
        .quarantine = fact->quarantined ? QUARANTINE_IMPOSSIBLE : QUARANTINE_NONE,
        .flags = fact->test ? FLAG_TEST : 0};
    ensure(tail_put(tail, TAIL_ROOM, &size, TAIL_KEY_DEVICE, device, strlen(device)));
    if (*sensor != '\0')
        ensure(tail_put(tail, TAIL_ROOM, &size, TAIL_SENSOR, sensor, strlen(sensor)));
    reading->tail_size = size;
    reading_identify(reading, tail, &key);
}

/* Some that come alone come by way of the quarantine, and are released at once: the same reading, as if it
 * had come then (RULES.md section 1). */
static bool comes_aside(const struct act *act)
{
    return act->reading.alias == 0 && act->reading.status != VOID && !act->reading.quarantined &&
           hash_mix64(act->number * 77ull) % 10 == 0;
}

static void put_released(struct buffer *json, const struct reading *head, const uint8_t *tail)
{
    static const char *const empty[] = {"context", "original_text", "original_unit", "original_code",
                                        "alias"};
    static const char *const zero[] = {"device_id", "group_id", "utc_offset_min"};
    const struct parameter_row *row = parameter_row((enum parameter)head->parameter);
    struct slice device = tail_get(tail, head->tail_size, TAIL_KEY_DEVICE);
    struct slice sensor = tail_get(tail, head->tail_size, TAIL_SENSOR);
    char id[UUID_TEXT + 1];
    uuid_format(head->reading_id, id);
    put_text(json, "author", "Dr A");
    put_text(json, "reason", "seen");
    put_text(json, "reading_id", id);
    put_text(json, "quarantine", "impossible");
    put_text(json, "parameter", row->name);
    put_text(json, "unit", row->unit);
    render_key(json, "value");
    render_decimal(json, head->value);
    put_text(json, "comparator", reading_comparator_text((enum comparator)head->comparator));
    put_text(json, "status", reading_status_text((enum reading_status)head->status));
    put_text(json, "origin", "automatic");
    put_text(json, "time_precision", head->precision == PRECISION_DAY ? "day" : "time");
    put_time(json, "measured_at", head->measured_at_ms);
    put_time(json, "received_at", head->received_at_ms);
    put_time(json, "issued", head->issued_ms);
    render_integer_member(json, "flags", head->flags);
    render_integer_member(json, "source_id", head->source_id);
    for (size_t i = 0; i < sizeof zero / sizeof zero[0]; i++)
        render_integer_member(json, zero[i], 0);
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++)
        put_text(json, empty[i], NULL);
    render_key(json, "key_device");
    render_string(json, device.data, device.size);
    render_key(json, "sensor");
    render_string(json, sensor.data == NULL ? "" : sensor.data, sensor.size);
}

static void tell_aside(struct drive *drive, struct patient *patient, struct reading *head,
                       const uint8_t *tail)
{
    struct buffer json = {0};
    render_open(&json, '{');
    put_text(&json, "command", "release");
    render_integer_member(&json, "patient_id", head->patient_id);
    put_released(&json, head, tail);
    render_close(&json, '}');
    head->quarantine = QUARANTINE_IMPOSSIBLE;
    topic_begin_unit(drive->topic, drive->now_ms, true);
    engine_decide(drive->engine, patient, head, tail, 0, drive->now_ms);
    if (head->verdict == VERDICT_QUARANTINED)
        release(drive, &json);
    look_at_laws(drive);
    buffer_deinit(&json);
}

/* The readings of one request from act `first` on; how many they are. */
static size_t tell_request(struct drive *drive, size_t first)
{
    static struct reading heads[REQUEST_MAX];
    static uint8_t tails[REQUEST_MAX * TAIL_ROOM];
    const struct act *act = &drive->scenario->act[first];
    uint32_t count = 0;
    while (first + count < drive->scenario->count && count < REQUEST_MAX && act[count].kind == ACT_READING &&
           act[count].request == act->request && act[count].patient == act->patient &&
           act[count].at == act->at) {
        fill(drive, &act[count], &heads[count], tails + count * TAIL_ROOM);
        heads[count].tail_offset = count * TAIL_ROOM;
        heads[count].next = count + 1;
        struct fact_reading fact = act[count].reading;
        fact.received_at = drive->now_ms;
        fact.request = (uint32_t)first; /* in order of telling */
        facts_add_reading(&drive->facts[act->patient], fact);
        count++;
    }
    heads[count - 1].next = READING_CHAIN_END;
    drive->heard_ms = drive->now_ms;
    struct patient *patient = engine_patient(drive->engine, PATIENT_ID + act->patient);
    if (patient != NULL && drive->now_ms < drive->facts[act->patient].left_at) {
        if (count == 1 && comes_aside(act))
            tell_aside(drive, patient, heads, tails);
        else {
            topic_begin_unit(drive->topic, drive->now_ms, true);
            engine_decide(drive->engine, patient, heads, tails, 0, drive->now_ms);
            look_at_laws(drive);
        }
        for (uint32_t i = 0; i < count; i++) {
            int64_t lookback = facts_lookback(&drive->facts[act->patient], act[i].reading.parameter);
            if (drive->now_ms - act[i].reading.measured_at <= lookback)
                drive->out->judged_digest += hash_mix64(act[i].number + 1u);
        }
    } else {
        drive->facts[act->patient].readings -= count; /* not admitted any more */
    }
    drive->out->readings += count;
    return count;
}

/* ---- device alarms ---- */

static void put_tail(struct reading *head, uint8_t *tail, enum tail_tag tag, const char *text)
{
    ensure(tail_put(tail, TAIL_ROOM, &head->tail_size, tag, text, strlen(text)));
}

static void tell_message(struct drive *drive, const struct act *act)
{
    static const struct sip_key key = {1, 2};
    struct fact_message fact = act->message;
    uint8_t tail[TAIL_ROOM];
    char text[32];
    struct reading head = {.patient_id = PATIENT_ID + act->patient,
                           .source_id = 1,
                           .value = fact.phase,
                           .measured_at_ms = fact.at,
                           .received_at_ms = drive->now_ms,
                           .issued_ms = INSTANT_NONE,
                           .next = READING_CHAIN_END,
                           .parameter = READING_NO_PARAMETER,
                           .flags = FLAG_DEVICE_EVENT};
    put_tail(&head, tail, TAIL_KEY_DEVICE, topic_devices[fact.device]);
    snprintf(text, sizeof text, "episode-%u", (unsigned)fact.episode);
    put_tail(&head, tail, TAIL_EPISODE, text);
    snprintf(text, sizeof text, "class-%u", (unsigned)fact.class);
    put_tail(&head, tail, TAIL_CLASS, text);
    reading_identify_event(&head, tail, &key);
    drive->heard_ms = drive->now_ms;
    struct patient *patient = engine_patient(drive->engine, PATIENT_ID + act->patient);
    if (patient == NULL || drive->now_ms >= drive->facts[act->patient].left_at)
        return;
    topic_begin_unit(drive->topic, drive->now_ms, true);
    engine_decide(drive->engine, patient, &head, tail, 0, drive->now_ms);
    look_at_laws(drive);
    fact.received_at = drive->now_ms;
    facts_add_message(&drive->facts[act->patient], fact);
    if (fact.received_at - fact.at <= drive->scenario->lookback)
        drive->out->judged_digest += hash_mix64(act->number + 1u);
    drive->out->readings++;
}

/* ---- restarts ---- */

static void pass_through_bytes(struct drive *drive)
{
    struct buffer shared = {0}, group = {0};
    struct engine *next = engine_make(drive);
    struct archive *from = engine_archive_new(drive->engine), *to = engine_archive_new(next);
    int64_t last_id = 0;
    engine_save_shared(from, &shared);
    ensure(engine_load_shared(to, shared.data, shared.size) == OK);
    for (;;) {
        buffer_clear(&group);
        buffer_reserve(&group, GROUP_BYTES);
        unsigned count = engine_save_patients(from, &last_id, 8, GROUP_BYTES, &group);
        if (count == 0)
            break;
        ensure(engine_load_patients(to, count, group.data, group.size) == OK);
    }
    engine_wake_patients(next, INT64_MIN, INT64_MAX);
    engine_archive_free(from);
    engine_archive_free(to);
    engine_free(drive->engine);
    drive->engine = next;
    buffer_deinit(&shared);
    buffer_deinit(&group);
}

static void restart(struct drive *drive, const struct act *act)
{
    int64_t back = drive->now_ms + act->restart.outage_ms;
    if (act->restart.snapshot)
        pass_through_bytes(drive);
    for (int patient = 0; patient < drive->scenario->patients && back > drive->now_ms; patient++)
        facts_add_outage(&drive->facts[patient], (struct fact_span){0, drive->now_ms, back});
    tick(drive, back, TICK_START);
    drive->heard_ms = drive->now_ms; /* commands come after it */
}

/* ---- the story ---- */

static void advance(struct drive *drive, int64_t to)
{
    if (to > drive->now_ms)
        tick(drive, to, TICK_RUNNING);
}

static size_t tell(struct drive *drive, size_t at)
{
    const struct act *act = &drive->scenario->act[at];
    if (act->kind == ACT_READING)
        return tell_request(drive, at);
    if (act->kind == ACT_MESSAGE) {
        tell_message(drive, act);
        return 1;
    }
    bool word = act->kind == ACT_CONFIRMATION || act->kind == ACT_VERSION;
    if (drive->heard_ms == drive->now_ms || (word && drive->confirmed_ms == drive->now_ms)) {
        advance(drive,
                drive->now_ms + 1); /* what was heard or confirmed before a command is before it in time */
        drive->out->judged_digest += at * 31 + 7; /* and this telling is not like the others */
    }
    switch (act->kind) {
    case ACT_VERSION:
        tell_version(drive, act);
        break;
    case ACT_CONFIRMATION:
        tell_confirmation(drive, act);
        drive->confirmed_ms = drive->now_ms;
        break;
    case ACT_DATED:
        tell_dated(drive, act);
        break;
    case ACT_SUSPENSION:
        tell_suspension(drive, act);
        break;
    case ACT_LEFT:
        tell_left(drive, act);
        break;
    case ACT_RESTART:
        restart(drive, act);
        break;
    default:
        break;
    }
    return 1;
}

/* Patients are enrolled after what is said of all at that time, and before what is said of them. */
static void enrol_due(struct drive *drive, const struct act *before)
{
    for (;;) {
        int next = -1;
        for (int patient = 0; patient < drive->scenario->patients; patient++) {
            int64_t commit = drive->scenario->enrolled_commit[patient];
            bool due =
                before == NULL || before->at > commit || (before->at == commit && before->patient == patient);
            if (!drive->enrolled[patient] && due &&
                (next < 0 || commit < drive->scenario->enrolled_commit[next]))
                next = patient;
        }
        if (next < 0)
            return;
        advance(drive, drive->scenario->enrolled_commit[next]);
        enrol(drive, next);
    }
}

static void compare_all(struct drive *drive, bool last)
{
    for (int patient = 0; patient < drive->scenario->patients; patient++)
        if (drive->enrolled[patient])
            compare(drive, patient, last);
}

void drive(const struct scenario *scenario, const struct drive_wish *wish, struct outcome *out)
{
    struct drive drive = {
        .scenario = scenario, .wish = wish, .out = out, .topic = topic_new(), .dice = {scenario->seed}};
    *out = (struct outcome){.verdict = AGREED};
    drive.engine = engine_make(&drive);
    drive.now_ms = scenario->begin - 1;
    for (int i = 0; i < PATIENTS_MAX; i++) {
        facts_init(&drive.facts[i]);
        drive.facts[i].lookback = scenario->lookback;
        drive.facts[i].lookback_continuous = scenario->lookback_continuous;
        drive.facts[i].zone = scenario->zone[i];
    }
    tick(&drive, scenario->begin, TICK_START);
    for (size_t i = 0; i < scenario->count && out->verdict == AGREED;) {
        enrol_due(&drive, &scenario->act[i]);
        advance(&drive, scenario->act[i].at);
        i += tell(&drive, i);
        /* what a command ends at its own time is over at once; what the clock ends waits for a later time */
        if (dice_chance(&drive.dice, wish->checks_percent) && drive.now_ms != drive.said_ms)
            compare_all(&drive, false);
    }
    for (int days = 0; days < 3 && out->verdict == AGREED; days++) {
        enrol_due(&drive, NULL);
        int64_t from = drive.now_ms > scenario->end ? drive.now_ms : scenario->end;
        advance(&drive, from + MS_DAY * (days == 0 ? 0 : days == 1 ? 3 : 12) + 1);
        compare_all(&drive, days == 2);
    }
    out->events = topic_events(drive.topic);
    engine_free(drive.engine);
    topic_free(drive.topic);
    for (int i = 0; i < PATIENTS_MAX; i++)
        facts_deinit(&drive.facts[i]);
    buffer_deinit(&drive.text);
}

void outcome_deinit(struct outcome *outcome)
{
    free(outcome->text);
    outcome->text = NULL;
}
