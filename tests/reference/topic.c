/* topic: see topic.h. */
#include "tests/reference/topic.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ensure.h"
#include "daemon/base/hash.h"
#include "daemon/base/instant.h"

enum { TOPIC_PATIENTS = 4, TOPIC_RULES = 16 };
enum { STATE_OPEN, STATE_CLEARED, STATE_CANCELLED, STATE_CLOSED };
static const char *const states[] = {"open", "cleared", "cancelled", "closed"};
static const char *const side_words[] = {"low", "high", ""};
const char *const topic_devices[] = {"D0", "D1"}, *const topic_sensors[] = {"", "S1", "S2"};

struct known { /* an episode as it stands after its last event */
    char id[UUID_TEXT + 1], patient[REF_BYTES_MAX + 1], rule[64];
    int number, side, state, last_event; /* number: of test.r<n>, else -1 */
    int priority_told, state_told;       /* before `amended`, which has the whole episode */
    uint32_t sequence;
    uint64_t unit, merged_unit; /* of the last event; in which an open one was merged into it */
    int64_t raised_at, cleared_at;
    struct step *step;
    size_t steps;
};

struct topic {
    struct known *known;
    size_t count, room, *slot, slots;
    uint64_t events, unit;
    int64_t now_ms, unit_measured;
    char unit_rule[64];
    const char *unit_event;
    int unit_rank, unit_side;
    bool unit_began, ordered;
    int open[TOPIC_PATIENTS][TOPIC_RULES][BOTH + 1];
    int owed; /* of this unit: `amended` that end or raise an open episode, without the event that says so */
    char broken[1024];
};

static void __attribute__((format(printf, 3, 4)))
breaks(struct topic *topic, const char *json, const char *format, ...)
{
    if (topic->broken[0] != '\0')
        return;
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(topic->broken, sizeof topic->broken, format, arguments);
    va_end(arguments);
    snprintf(topic->broken + size, sizeof topic->broken - (size_t)size, ": %s", json);
}

struct topic *topic_new(void)
{
    struct topic *topic = calloc(1, sizeof *topic);
    ensure(topic != NULL);
    topic->slots = 1024;
    topic->slot = calloc(topic->slots, sizeof *topic->slot);
    ensure(topic->slot != NULL);
    return topic;
}

void topic_free(struct topic *topic)
{
    for (size_t i = 0; i < topic->count; i++)
        free(topic->known[i].step);
    free(topic->known);
    free(topic->slot);
    free(topic);
}

static size_t *slot_of(const struct topic *topic, const char *id)
{
    size_t at = hash_xxh64(id, strlen(id)) & (topic->slots - 1);
    while (topic->slot[at] != 0 && strcmp(topic->known[topic->slot[at] - 1].id, id) != 0)
        at = (at + 1) & (topic->slots - 1);
    return &topic->slot[at];
}

static struct known *known_of(struct topic *topic, const char *id)
{
    size_t *slot = slot_of(topic, id);
    if (*slot != 0)
        return &topic->known[*slot - 1];
    if (topic->count == topic->room) {
        topic->room = topic->room == 0 ? 64 : 2 * topic->room;
        topic->known = realloc(topic->known, topic->room * sizeof *topic->known);
        ensure(topic->known != NULL);
    }
    struct known *known = &topic->known[topic->count++];
    *known = (struct known){.state = STATE_CANCELLED, .last_event = EVENT_COUNT};
    snprintf(known->id, sizeof known->id, "%s", id);
    *slot = topic->count;
    if (2 * topic->count > topic->slots) {
        free(topic->slot);
        topic->slots *= 2;
        topic->slot = calloc(topic->slots, sizeof *topic->slot);
        ensure(topic->slot != NULL);
        for (size_t i = 0; i < topic->count; i++)
            *slot_of(topic, topic->known[i].id) = i + 1;
    }
    return known;
}

static int64_t time_of(const json_t *value)
{
    struct instant_parsed parsed;
    if (!json_is_string(value) ||
        instant_parse(json_string_value(value), json_string_length(value), &parsed) != INSTANT_GOOD)
        return NO_TIME;
    return parsed.ms;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

static int word_of(const char *const *words, int count, const char *text)
{
    for (int i = 0; i < count; i++)
        if (strcmp(words[i], text) == 0)
            return i;
    return -1;
}

static int number_of(const char *rule)
{
    int number, end = 0;
    return sscanf(rule, "test.r%d%n", &number, &end) == 1 && rule[end] == '\0' ? number : -1;
}

/* Fields in UTF-8, each followed by U+001F. */
static void id_of(const char *const *fields, size_t count, char out[UUID_TEXT + 1])
{
    char text[1024];
    size_t size = 0;
    uint8_t digest[SHA256_BYTES];
    for (size_t i = 0; i < count; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%s\x1f", fields[i]);
    hash_sha256(text, size, digest);
    uuid_make_v8(digest);
    uuid_format(digest, out);
}

static void check_event_id(struct topic *topic, const char *json, const char *event_id,
                           const struct known *known)
{
    char sequence[16], expected[UUID_TEXT + 1];
    snprintf(sequence, sizeof sequence, "%u", known->sequence);
    id_of((const char *const[]){known->id, sequence}, 2, expected);
    if (strcmp(expected, event_id) != 0)
        breaks(topic, json, "event_id is not that of (episode_id, sequence), expected %s", expected);
}

/* What may follow what, by the state before. */
static void check_transition(struct topic *topic, const char *json, const struct known *known, int event,
                             const char *reason, int before, int after)
{
    bool was_open = known->state_told == STATE_OPEN || known->state == STATE_OPEN,
         first = known->sequence == 1;
    bool good = true;
    switch (event) {
    case EVENT_RAISED:
        good = first || (known->state == STATE_CANCELLED && strcmp(reason, "reinstated") == 0);
        break;
    case EVENT_ESCALATED:
        good = was_open && (after > before || known->merged_unit == topic->unit);
        break;
    case EVENT_DEESCALATED:
        good = was_open && after < before;
        break;
    case EVENT_CLEARED:
    case EVENT_LIVE:
    case EVENT_SUSPENDED:
        good = was_open;
        break;
    case EVENT_CANCELLED:
    case EVENT_AMENDED:
        good = !first && known->state != STATE_CANCELLED;
        break;
    default:
        good = !first;
    }
    if (!good)
        breaks(topic, json, "%s after state %s, priority %d to %d", event_word((enum event_kind)event),
               states[known->state], before, after);
}

static void check_order(struct topic *topic, const char *json, const json_t *event, int kind, int side)
{
    const char *rule = text_of(json_object_get(event, "rule"), "id");
    int64_t measured = time_of(json_object_get(event, "measured_at"));
    int rank = kind != EVENT_CANCELLED;
    if (topic->unit_began && topic->ordered) {
        int order = topic->unit_rank != rank ? topic->unit_rank - rank : 0;
        if (order == 0 && topic->unit_measured != measured)
            order = topic->unit_measured > measured ? 1 : -1;
        if (order == 0)
            order = strcmp(topic->unit_rule, rule);
        if (order == 0)
            order = topic->unit_side - side;
        if (order > 0)
            breaks(topic, json, "order within a unit: after %s of %s at %lld", topic->unit_event,
                   topic->unit_rule, (long long)topic->unit_measured);
    }
    topic->unit_began = true;
    topic->unit_rank = rank;
    topic->unit_event = event_word((enum event_kind)kind);
    topic->unit_measured = measured;
    topic->unit_side = side == BOTH ? -1 : side;
    snprintf(topic->unit_rule, sizeof topic->unit_rule, "%s", rule);
}

static void take_steps(struct topic *topic, const char *json, const json_t *event, struct known *known)
{
    const json_t *list = json_object_get(event, "priorities");
    known->steps = json_array_size(list);
    known->step = realloc(known->step, (known->steps + 1) * sizeof *known->step);
    ensure(known->step != NULL);
    for (size_t i = 0; i < known->steps; i++) {
        const json_t *pair = json_array_get(list, i);
        const char *word = json_string_value(json_array_get(pair, 1));
        known->step[i] = (struct step){time_of(json_array_get(pair, 0)),
                                       (int)priority_from_word(word == NULL ? "" : word)};
        if (known->step[i].priority == 0 ||
            (i > 0 && (known->step[i].at < known->step[i - 1].at ||
                       known->step[i].priority == known->step[i - 1].priority)))
            breaks(topic, json, "priorities are no timeline");
    }
    if (known->steps == 0 || known->step[0].at != known->raised_at)
        breaks(topic, json, "priorities do not begin at raised_at");
}

static void check_state(struct topic *topic, const char *json, const json_t *event, const struct known *known,
                        int kind)
{
    bool retrospective = json_is_true(json_object_get(event, "retrospective"));
    if ((kind == EVENT_AMENDED || kind == EVENT_CANCELLED) && !retrospective)
        breaks(topic, json, "an amendment is retrospective");
    if ((known->state == STATE_OPEN) != (known->cleared_at == NO_TIME) && known->state != STATE_CANCELLED)
        breaks(topic, json, "state and cleared_at differ");
    if (known->cleared_at != NO_TIME && known->cleared_at < known->raised_at)
        breaks(topic, json, "cleared before it was raised");
    int priority = (int)priority_from_word(text_of(event, "priority"));
    if (known->state != STATE_CANCELLED && known->steps > 0 &&
        known->step[known->steps - 1].priority != priority)
        breaks(topic, json, "priority is not the last of priorities");
    if (strcmp(text_of(event, "reason"), "merged") == 0 && *text_of(event, "into") == '\0')
        breaks(topic, json, "merged into nothing");
    static const int wanted[EVENT_COUNT] = {[EVENT_RAISED] =
                                                1 << STATE_OPEN | 1 << STATE_CLEARED | 1 << STATE_CLOSED,
                                            [EVENT_CLEARED] = 1 << STATE_CLEARED,
                                            [EVENT_CANCELLED] = 1 << STATE_CANCELLED,
                                            [EVENT_CLOSED] = 1 << STATE_CLOSED};
    if (wanted[kind] != 0 && (wanted[kind] >> known->state & 1) == 0)
        breaks(topic, json, "state %s after %s", states[known->state], event_word((enum event_kind)kind));
}

/* At most one open episode of a rule, side and patient when a unit is over. */
static void end_unit(struct topic *topic)
{
    if (topic->owed > 0)
        breaks(topic, "", "an amended episode ended or rose, and no event of its own says so");
    topic->owed = 0;
    for (int patient = 0; patient < TOPIC_PATIENTS; patient++)
        for (int number = 0; number < TOPIC_RULES; number++)
            for (int side = LOW; side <= HIGH; side++)
                if (topic->open[patient][number][side] > 1)
                    breaks(topic, "", "%d are open: patient P-%d, rule test.r%d %s",
                           topic->open[patient][number][side], patient, number, side_words[side]);
}

static void take(struct topic *topic, const struct alert_event *head, const char *json, const json_t *event)
{
    struct known *known = known_of(topic, text_of(event, "episode_id"));
    char id[UUID_TEXT + 1];
    uuid_format(head->event_id, id);
    int before = known->steps > 0 ? known->step[known->steps - 1].priority : 0;
    if (known->last_event != EVENT_AMENDED || known->unit != topic->unit) {
        known->priority_told = before;
        known->state_told = known->state;
    }
    before = known->priority_told;
    known->unit = topic->unit;
    int kind = head->kind, side = word_of(side_words, 3, text_of(event, "side"));
    const json_t *rule = json_object_get(event, "rule");
    if ((json_int_t)known->sequence + 1 != json_integer_value(json_object_get(event, "sequence")) ||
        head->sequence != known->sequence + 1)
        breaks(topic, json, "sequence after %u", known->sequence);
    known->sequence++;
    if (strcmp(id, text_of(event, "event_id")) != 0 ||
        strcmp(event_word(head->kind), text_of(event, "event")) != 0 ||
        head->priority != priority_from_word(text_of(event, "priority")))
        breaks(topic, json, "head and JSON differ");
    check_event_id(topic, json, text_of(event, "event_id"), known);
    if (time_of(json_object_get(event, "decided_at")) > topic->now_ms)
        breaks(topic, json, "decided in the future");
    /* `live` follows the transitions that made its priority; what technical alerts rest on was measured at
     * any time */
    if (kind != EVENT_LIVE && number_of(text_of(rule, "id")) >= 0)
        check_order(topic, json, event, kind, side);
    snprintf(known->patient, sizeof known->patient, "%s", text_of(event, "patient"));
    snprintf(known->rule, sizeof known->rule, "%s", text_of(rule, "id"));
    known->number = number_of(known->rule);
    known->side = side;
    known->raised_at = time_of(json_object_get(event, "raised_at"));
    known->cleared_at = time_of(json_object_get(event, "cleared_at"));
    take_steps(topic, json, event, known);
    int after = known->steps > 0 ? known->step[known->steps - 1].priority : 0;
    check_transition(topic, json, known, kind, text_of(event, "reason"), before, after);
    int *open = &topic->open[known->patient[2] & 3][known->number & 15][side & 3];
    *open -= known->state == STATE_OPEN;
    known->state = word_of(states, 4, text_of(event, "state"));
    *open += known->state == STATE_OPEN;
    if (known->state < 0 || side < 0)
        breaks(topic, json, "state or side is no word of the contract");
    else
        check_state(topic, json, event, known, kind);
    bool ended = known->state_told == STATE_OPEN && known->state != STATE_OPEN;
    bool rose =
        known->state == STATE_OPEN && after > known->priority_told && known->merged_unit != topic->unit;
    if (kind == EVENT_AMENDED)
        topic->owed += ended || rose;
    else if (known->last_event == EVENT_AMENDED &&
             (kind == EVENT_ESCALATED || kind == EVENT_CLEARED || kind == EVENT_CLOSED))
        topic->owed--;
    known->last_event = kind;
    if (kind == EVENT_CANCELLED && strcmp(text_of(event, "reason"), "merged") == 0 &&
        known->state_told == STATE_OPEN) {
        size_t into = *slot_of(topic, text_of(event, "into"));
        if (into != 0)
            topic->known[into - 1].merged_unit = topic->unit;
    }
}

void topic_begin_unit(struct topic *topic, int64_t now_ms, bool ordered)
{
    end_unit(topic);
    topic->now_ms = now_ms;
    topic->unit_began = false;
    topic->ordered = ordered;
    topic->unit++;
}

void topic_take(struct topic *topic, const struct alert_event *head, const char *json, size_t size)
{
    json_t *event = json_loadb(json, size, JSON_REJECT_DUPLICATES, NULL);
    char text[16385];
    snprintf(text, sizeof text, "%.*s", (int)size, json);
    topic->events++;
    if (size > 16384)
        breaks(topic, text, "more than 16 KB");
    if (event == NULL)
        breaks(topic, text, "not JSON");
    else
        take(topic, head, text, event);
    json_decref(event);
}

const char *topic_broken(const struct topic *topic)
{
    return topic->broken;
}

uint64_t topic_events(const struct topic *topic)
{
    return topic->events;
}

static void put(const struct known *known, struct episodes *out)
{
    if (out->count == out->room) {
        out->room = out->room == 0 ? 64 : 2 * out->room;
        out->episode = realloc(out->episode, out->room * sizeof *out->episode);
    }
    if (out->steps + known->steps > out->steps_room) {
        out->steps_room = 2 * (out->steps + known->steps);
        out->step = realloc(out->step, out->steps_room * sizeof *out->step);
    }
    ensure(out->episode != NULL && out->step != NULL);
    out->episode[out->count++] = (struct episode){.rule = known->number,
                                                  .side = (enum fact_side)known->side,
                                                  .raised_at = known->raised_at,
                                                  .ended_at = known->cleared_at,
                                                  .steps_first = (uint32_t)out->steps,
                                                  .steps = (uint32_t)known->steps,
                                                  .state = known->state == STATE_OPEN     ? OPEN
                                                           : known->state == STATE_CLOSED ? ENDED
                                                                                          : CLEARED};
    memcpy(out->step + out->steps, known->step, known->steps * sizeof *known->step);
    out->steps += known->steps;
}

void topic_episodes(const struct topic *topic, const char *patient, struct episodes *out)
{
    for (size_t i = 0; i < topic->count; i++)
        if (topic->known[i].number >= 0 && topic->known[i].state != STATE_CANCELLED &&
            strcmp(topic->known[i].patient, patient) == 0)
            put(&topic->known[i], out);
}

bool topic_has_id(const struct topic *topic, const char *patient, const struct episode *episode,
                  int parameter)
{
    char rule[16], time[32], day[32], generation[4], id[UUID_TEXT + 1];
    int year, month, date;
    snprintf(rule, sizeof rule, "test.r%d", episode->rule);
    snprintf(time, sizeof time, "%lld", (long long)episode->began_at);
    instant_civil_from_days(episode->began_at, &year, &month, &date);
    snprintf(day, sizeof day, "%04d-%02d-%02d", year, month, date);
    for (int g = 0; g < 4; g++) {
        snprintf(generation, sizeof generation, "%d", g);
        if (episode->side == BOTH)
            id_of((const char *const[]){rule, "", patient, "last_seen", time, generation}, 6, id);
        else if (episode->begins_with_day)
            id_of((const char *const[]){rule, side_words[episode->side], patient, "day", day, generation}, 6,
                  id);
        else
            id_of((const char *const[]){rule, side_words[episode->side], patient, "reading", patient,
                                        fact_parameters[parameter].name, topic_devices[episode->began_device],
                                        topic_sensors[episode->began_sensor], time, generation},
                  10, id);
        size_t slot = *slot_of(topic, id);
        if (slot != 0 && topic->known[slot - 1].raised_at == episode->raised_at)
            return true;
    }
    return false;
}
