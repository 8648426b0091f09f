/* technical: a technical alert is a ledger with one episode open at a time and the instant at which it
 * clears. */
#include "alerting/technical.h"

#include <stdlib.h>
#include <string.h>

#include "alerting/days.h"
#include "alerting/episodes.h"
#include "alerting/grow.h"
#include "alerting/patient.h"

static const int64_t DAY_MS = 86400000;

static const struct technical_row rows[TECHNICAL_COUNT] = {
#define TECHNICAL(id, rule_id, subject, priority, begins, fr, en, raised_when, cleared_when)                 \
    {rule_id, PRIORITY_##priority, BEGAN_##begins, fr, en, raised_when, cleared_when},
#include "alerting/technical.def"
#undef TECHNICAL
};

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
        ledger_prune(&technical->ledger, engine, engine->unit.now_ms - engine->settings.lookback_ms);
        if (technical->ledger.count == 0)
            technical_free(technical, engine);
        else
            patient->technicals[kept++] = technical;
    }
    patient->technicals_count = kept;
}

static struct technical *find_or_add(struct engine *engine, struct patient *patient,
                                     const struct ledger *like, int64_t day)
{
    for (size_t i = 0; i < patient->technicals_count; i++) {
        struct technical *technical = patient->technicals[i];
        if (technical->ledger.technical == like->technical &&
            technical->ledger.parameter == like->parameter && technical->ledger.detail == like->detail &&
            technical->day == day)
            return technical;
    }
    prune(engine, patient);
    struct technical *technical = technical_new(like->technical, patient, like->parameter, like->detail);
    technical->day = day;
    patient->technicals = grow(patient->technicals, patient->technicals_count + 1,
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
    transition.has_reading = true;
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

void technical_outage(struct engine *engine, int64_t from_ms, int64_t to_ms)
{
    if (engine->outage == NULL)
        engine->outage = technical_new(TECHNICAL_OUTAGE, NULL, PARAMETER_COUNT, engine->settings.node);
    struct scene scene = {.engine = engine, .ledger = &engine->outage->ledger};
    ledger_prune(&engine->outage->ledger, engine, to_ms - engine->settings.lookback_ms);
    struct transition transition = transition_of(from_ms, EVENT_RAISED, rows[TECHNICAL_OUTAGE].priority);
    ledger_step(&scene, &transition, &(struct reading_key){.ms = from_ms}, 0, false);
    transition = transition_of(to_ms, EVENT_CLEARED, rows[TECHNICAL_OUTAGE].priority);
    ledger_step(&scene, &transition, NULL, 0, false);
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
    ledger_step(&scene, &transition, NULL, 0, false);
}

void technical_close(struct engine *engine, struct patient *patient, int64_t at_ms)
{
    for (size_t i = 0; i < patient->technicals_count; i++)
        finish(engine, patient->technicals[i], at_ms, EVENT_CLOSED);
}

void technical_expire(struct engine *engine, struct patient *patient, int64_t due_ms)
{
    for (size_t i = 0; i < patient->technicals_count; i++)
        if (patient->technicals[i]->due_ms <= due_ms)
            finish(engine, patient->technicals[i], patient->technicals[i]->due_ms, EVENT_CLEARED);
    if (due_ms >= patient->left_at_ms)
        technical_close(engine, patient, patient->left_at_ms);
}

int64_t technical_due_ms(const struct patient *patient)
{
    int64_t due_ms = INT64_MAX;
    for (size_t i = 0; i < patient->technicals_count; i++)
        if (patient->technicals[i]->due_ms < due_ms)
            due_ms = patient->technicals[i]->due_ms;
    return due_ms == INT64_MAX || due_ms < patient->left_at_ms ? due_ms : patient->left_at_ms;
}
