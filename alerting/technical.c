/* technical: a technical alert is a ledger with one episode open at a time and the instant at which it
 * clears. */
#include "alerting/technical.h"

#include <stdlib.h>
#include <string.h>

#include "alerting/days.h"
#include "alerting/episodes.h"
#include "alerting/grow.h"
#include "alerting/patient.h"
#include "alerting/unconfirmed.h"

static const int64_t DAY_MS = 86400000;

enum subject { SUBJECT_PATIENT, SUBJECT_NODE };

static const struct technical_row rows[TECHNICAL_COUNT] = {
#define TECHNICAL(id, rule_id, subject, priority, begins, fr, en, raised_when, cleared_when)                 \
    {rule_id, PRIORITY_##priority, BEGAN_##begins, SUBJECT_##subject == SUBJECT_NODE, fr,                    \
     en,      raised_when,         cleared_when},
#include "alerting/technical.def"
#undef TECHNICAL
};

_Static_assert((int)TECHNICAL_COUNT <= (int)TECHNICAL_ROWS_MAX, "a place in the engine for every row");

const struct technical_row *technical_row(int id)
{
    ensure(id >= 0 && id < TECHNICAL_COUNT);
    return &rows[id];
}

int technical_row_of(const char *rule_id)
{
    int row = TECHNICAL_COUNT - 1;
    while (row >= 0 && strcmp(rows[row].rule_id, rule_id) != 0)
        row--;
    return row;
}

const char *technical_detail(const struct engine *engine, const char *text)
{
    for (unsigned reason = QUARANTINE_NONE + 1; reason <= QUARANTINE_UNIT; reason++)
        if (strcmp(reading_quarantine_text((enum quarantine_reason)reason), text) == 0)
            return reading_quarantine_text((enum quarantine_reason)reason);
    return strcmp(engine->settings.node, text) == 0 ? engine->settings.node : NULL;
}

void technical_free(struct technical *technical, struct engine *engine)
{
    if (technical == NULL)
        return;
    ledger_deinit(&technical->ledger, engine);
    slab_give(technical);
}

static struct ledger new_ledger(int row, struct patient *patient, enum parameter parameter,
                                const char *detail)
{
    return (struct ledger){
        .patient = patient,
        .rule_id = rows[row].rule_id,
        .side = SIDE_NONE,
        .class = ALERT_TECHNICAL,
        .beginning = rows[row].beginning,
        .parameter = parameter,
        .technical = row,
        .detail = detail,
        .frozen_ms = INT64_MIN,
    };
}

struct technical *technical_new(int row, struct patient *patient, enum parameter parameter,
                                const char *detail)
{
    struct technical *technical = zeroed(sizeof *technical);
    technical->ledger = new_ledger(row, patient, parameter, detail);
    technical->due_ms = INT64_MAX;
    return technical;
}

/* Forgets alerts that ended before the look-back. */
static void prune(struct engine *engine, struct patient *patient)
{
    size_t kept = 0;
    for (size_t i = 0; i < patient->technicals_count; i++) {
        struct technical *technical = patient->technicals[i];
        ledger_prune(&technical->ledger, engine, engine->unit.now_ms - engine->settings.lookback_ms,
                     INT64_MAX);
        if (technical->ledger.count == 0 && technical->due_ms == INT64_MAX)
            technical_free(technical, engine);
        else
            patient->technicals[kept++] = technical;
    }
    patient->technicals_count = kept;
}

static struct technical *find(const struct patient *patient, const struct ledger *like, int64_t day)
{
    for (size_t i = 0; i < patient->technicals_count; i++) {
        struct technical *technical = patient->technicals[i];
        if (technical->ledger.technical == like->technical &&
            technical->ledger.parameter == like->parameter && technical->ledger.detail == like->detail &&
            technical->day == day)
            return technical;
    }
    return NULL;
}

static struct technical *find_or_add(struct engine *engine, struct patient *patient,
                                     const struct ledger *like, int64_t day)
{
    struct technical *known = find(patient, like, day);
    if (known != NULL)
        return known;
    prune(engine, patient);
    struct technical *technical = technical_new(like->technical, patient, like->parameter, like->detail);
    technical->day = day;
    patient->technicals = grow_short(patient->technicals, patient->technicals_count + 1,
                                     &patient->technicals_capacity, sizeof(void *));
    patient->technicals[patient->technicals_count++] = technical;
    return technical;
}

static struct transition transition_of(int64_t at_ms, enum event_kind kind, enum priority priority)
{
    return (struct transition){
        .at_ms = at_ms, .kind = kind, .priority = priority, .received_ms = INSTANT_NONE};
}

/* Raises at the instant of reception, or counts one more. */
static void raise_or_count(struct engine *engine, struct technical *technical, const struct held *held,
                           const struct reading_key *began)
{
    struct scene scene = {.engine = engine, .ledger = &technical->ledger};
    struct episode *open = ledger_open_episode(&technical->ledger);
    if (open != NULL) {
        open->story.in_breach++;
        return;
    }
    enum priority priority = rows[technical->ledger.technical].priority;
    if (priority == PRIORITY_NONE)
        priority =
            patient_urgency(technical->ledger.patient, technical->ledger.parameter, engine->unit.now_ms);
    struct transition transition = transition_of(engine->unit.now_ms, EVENT_RAISED, priority);
    transition.has_reading = technical->ledger.parameter != PARAMETER_COUNT; /* a device event has no value */
    transition.comparator = held->comparator;
    transition.deciding = transition.first = held->key;
    transition.value = held->value;
    transition.received_ms = held->received_ms;
    ledger_step(&scene, &transition, began, 1, true);
}

void technical_quarantine(struct engine *engine, struct patient *patient, const struct held *held,
                          enum parameter parameter, enum quarantine_reason reason)
{
    if (engine->unit.now_ms >= patient->left_at_ms)
        return;
    struct ledger like =
        new_ledger(TECHNICAL_QUARANTINE, patient, parameter, reading_quarantine_text(reason));
    struct technical *technical = find_or_add(engine, patient, &like, 0);
    raise_or_count(engine, technical, held, &held->key);
    technical->due_ms = engine->unit.now_ms + DAY_MS;
}

void technical_late(struct engine *engine, struct patient *patient, const struct held *held,
                    enum parameter parameter)
{
    if (engine->unit.now_ms >= patient->left_at_ms)
        return;
    struct ledger like = new_ledger(TECHNICAL_LATE, patient, parameter, NULL);
    int64_t day = day_of(patient, engine->unit.now_ms, 0);
    struct technical *technical = find_or_add(engine, patient, &like, day);
    raise_or_count(engine, technical, held, &(struct reading_key){.ms = day});
    technical->due_ms = day_begin_ms(patient, day + 1, 0);
}

static void finish(struct engine *engine, struct technical *technical, int64_t at_ms, enum event_kind kind)
{
    struct scene scene = {.engine = engine, .ledger = &technical->ledger};
    struct episode *open = ledger_open_episode(&technical->ledger);
    technical->due_ms = INT64_MAX;
    if (open == NULL)
        return;
    struct transition transition = transition_of(at_ms, kind, open->story.items[0].priority);
    transition.reason = kind == EVENT_CLOSED ? "left" : NULL;
    engine->unconfirmed -= technical->ledger.technical == TECHNICAL_UNCONFIRMED;
    ledger_step(&scene, &transition, NULL, 0, false);
}

/* ------------------------------------------------------------------------------------------------- the node
 */

int technical_find(const char *rule_id)
{
    int row = technical_row_of(rule_id);
    return row >= 0 && rows[row].of_node && row != TECHNICAL_OUTAGE ? row : -1;
}

void technical_free_node(struct engine *engine)
{
    for (int id = 0; id < TECHNICAL_COUNT; id++)
        technical_free(engine->node[id], engine);
}

static struct ledger *node_ledger(struct engine *engine, int id)
{
    ensure(rows[id].of_node);
    if (engine->node[id] == NULL)
        engine->node[id] = technical_new(id, NULL, PARAMETER_COUNT, engine->settings.node);
    return &engine->node[id]->ledger;
}

void technical_outage(struct engine *engine, int64_t from_ms, int64_t to_ms)
{
    struct scene scene = {.engine = engine, .ledger = node_ledger(engine, TECHNICAL_OUTAGE)};
    ledger_prune(scene.ledger, engine, to_ms - engine->settings.lookback_ms, INT64_MAX);
    struct transition transition = transition_of(from_ms, EVENT_RAISED, rows[TECHNICAL_OUTAGE].priority);
    ledger_step(&scene, &transition, &(struct reading_key){.ms = from_ms}, 0, false);
    transition = transition_of(to_ms, EVENT_CLEARED, rows[TECHNICAL_OUTAGE].priority);
    ledger_step(&scene, &transition, NULL, 0, false);
}

void technical_condition(struct engine *engine, int id, enum priority priority,
                         const struct technical_words *words)
{
    struct scene scene = {.engine = engine, .ledger = node_ledger(engine, id)};
    int64_t now_ms = engine->unit.now_ms;
    ledger_prune(scene.ledger, engine, now_ms - engine->settings.lookback_ms, INT64_MAX);
    const struct episode *open = ledger_open_episode(scene.ledger);
    enum priority before = open == NULL ? PRIORITY_NONE : open->story.items[open->story.count - 1].priority;
    if (priority == before)
        return;
    enum event_kind kind = before == PRIORITY_NONE     ? EVENT_RAISED
                           : priority == PRIORITY_NONE ? EVENT_CLEARED
                           : priority > before         ? EVENT_ESCALATED
                                                       : EVENT_DEESCALATED;
    struct transition transition = transition_of(now_ms, kind, kind == EVENT_CLEARED ? before : priority);
    size_t first = engine->unit.count;
    transition.reason = words->reason;
    ledger_step(&scene, &transition, &(struct reading_key){.ms = now_ms}, 0, true);
    for (size_t i = first; i < engine->unit.count; i++) {
        engine->unit.items[i].note = words->note;
        engine->unit.items[i].author = words->author;
    }
}

/* ----------------------------------------------------------------------------- facts about patients, by time
 */

/* Raises when nothing is open; clears at `due_ms` at the latest word. */
static void raise_at(struct engine *engine, struct technical *technical, int64_t at_ms, int64_t due_ms)
{
    struct scene scene = {.engine = engine, .ledger = &technical->ledger};
    enum priority priority = rows[technical->ledger.technical].priority;
    struct transition transition = transition_of(at_ms, EVENT_RAISED, priority);
    technical->due_ms = due_ms;
    if (ledger_open_episode(&technical->ledger) != NULL)
        return;
    ledger_step(&scene, &transition, &(struct reading_key){.ms = at_ms}, 0, true);
    engine->unconfirmed += technical->ledger.technical == TECHNICAL_UNCONFIRMED;
}

static void raise_until(struct engine *engine, struct technical *technical, int64_t due_ms)
{
    raise_at(engine, technical, engine->unit.now_ms, due_ms);
}

void technical_fact(struct engine *engine, struct patient *patient, int id, bool holds, int64_t at_ms,
                    int64_t again_ms)
{
    struct ledger like = new_ledger(id, patient, PARAMETER_COUNT, NULL);
    struct technical *technical = find(patient, &like, 0);
    if (technical == NULL && !holds && again_ms == INT64_MAX)
        return;
    if (technical == NULL)
        technical = find_or_add(engine, patient, &like, 0);
    if (holds)
        raise_at(engine, technical, at_ms, again_ms);
    else
        finish(engine, technical, at_ms, EVENT_CLEARED);
    technical->due_ms = again_ms;
}

void technical_suspended(struct engine *engine, struct patient *patient, int64_t until_ms)
{
    if (engine->unit.now_ms >= patient->left_at_ms)
        return;
    struct ledger like = new_ledger(TECHNICAL_SUSPENSION, patient, PARAMETER_COUNT, NULL);
    struct technical *technical = find_or_add(engine, patient, &like, 0);
    bool longer = technical->due_ms == INT64_MAX || technical->due_ms < until_ms;
    raise_until(engine, technical, longer ? until_ms : technical->due_ms);
}

void technical_dense(struct engine *engine, struct patient *patient, enum parameter parameter)
{
    if (engine->unit.now_ms >= patient->left_at_ms)
        return;
    struct ledger like = new_ledger(TECHNICAL_DENSE, patient, parameter, NULL);
    raise_until(engine, find_or_add(engine, patient, &like, 0), engine->unit.now_ms + DAY_MS);
}

void technical_device_clock(struct engine *engine, struct patient *patient, enum parameter parameter,
                            bool counted)
{
    struct ledger like = new_ledger(TECHNICAL_DEVICE_CLOCK, patient, parameter, NULL);
    int64_t now_ms = engine->unit.now_ms;
    if (now_ms >= patient->left_at_ms || (counted && find(patient, &like, 0) == NULL))
        return;
    struct technical *technical = find_or_add(engine, patient, &like, 0);
    if (counted) {
        technical->since_ms = 0;
        technical->due_ms = INT64_MAX;
        if (ledger_open_episode(&technical->ledger) != NULL)
            finish(engine, technical, now_ms, EVENT_CLEARED);
    } else if (technical->since_ms == 0) {
        technical->since_ms = now_ms;
        technical->due_ms = now_ms + DAY_MS;
    }
}

/* 24 hours went by without one that counted; it stays open until one does. */
static void raise_device_clock(struct engine *engine, struct technical *technical)
{
    struct scene scene = {.engine = engine, .ledger = &technical->ledger};
    int64_t at_ms = technical->due_ms;
    struct transition transition =
        transition_of(at_ms, EVENT_RAISED, rows[technical->ledger.technical].priority);
    technical->due_ms = INT64_MAX;
    ledger_step(&scene, &transition, &(struct reading_key){.ms = technical->since_ms}, 0, true);
}

void technical_close(struct engine *engine, struct patient *patient, int64_t at_ms)
{
    for (size_t i = 0; i < patient->technicals_count; i++)
        finish(engine, patient->technicals[i], at_ms, EVENT_CLOSED);
}

void technical_expire(struct engine *engine, struct patient *patient, int64_t due_ms)
{
    for (size_t i = 0; i < patient->technicals_count; i++)
        if (patient->technicals[i]->due_ms > due_ms)
            continue;
        else if (patient->technicals[i]->ledger.technical == TECHNICAL_DEVICE_CLOCK)
            raise_device_clock(engine, patient->technicals[i]);
        else if (patient->technicals[i]->ledger.technical == TECHNICAL_UNCONFIRMED)
            unconfirmed_look(engine, patient, patient->technicals[i]->due_ms);
        else
            finish(engine, patient->technicals[i], patient->technicals[i]->due_ms, EVENT_CLEARED);
    if (due_ms >= patient->left_at_ms)
        technical_close(engine, patient, patient->left_at_ms);
}

int64_t technical_due_ms(const struct patient *patient)
{
    int64_t due_ms = INT64_MAX;
    for (size_t i = 0; i < patient->technicals_count; i++) {
        const struct technical *technical = patient->technicals[i];
        if (technical->due_ms < due_ms)
            due_ms = technical->due_ms;
        /* What waits for no instant, such as a device's clock, ends with the patient too. */
        if (patient->left_at_ms < due_ms && ledger_open_episode(&technical->ledger) != NULL)
            due_ms = patient->left_at_ms;
    }
    return due_ms;
}
