/* engine: the entry points. Each is one unit of decision: it changes the state, then publishes the difference
 * between what now is and what was published, once. admission.c takes readings in; the rest is elsewhere. */
#include "alerting/engine.h"

#include <stdlib.h>

#include "alerting/admission.h"
#include "alerting/commands.h"
#include "alerting/device.h"
#include "alerting/episode_act.h"
#include "alerting/episodes.h"
#include "alerting/grow.h"
#include "alerting/patient.h"
#include "alerting/silence.h"
#include "alerting/technical.h"

#define BEFORE_ALL_MS (INT64_MIN / 4) /* no up time before the first tick of a node */

struct engine *engine_new(const struct engine_settings *settings, const struct engine_out *out)
{
    struct engine *engine = zeroed(sizeof *engine);
    ensure(settings->lookback_ms > 0 && settings->lookback_continuous_ms > 0 && out->event != NULL);
    engine->settings = *settings;
    engine->out = *out;
    engine->now_ms = INT64_MIN;
    engine->shelf_due_ms = INT64_MAX;
    (void)buffer_reserve(&engine->json, EVENT_JSON_BYTES_MAX);
    return engine;
}

void engine_free(struct engine *engine)
{
    if (engine == NULL)
        return;
    for (size_t i = 0; i < engine->patients_count; i++)
        patient_free(engine->patients[i], engine);
    for (size_t i = 0; i < engine->zones_count; i++)
        zone_free(engine->zones[i]);
    for (size_t i = 0; i < engine->stories.capacity && i < engine->stories.count; i++)
        story_deinit(&engine->stories.items[i]);
    technical_free_node(engine);
    rulebook_deinit(&engine->rules);
    words_deinit(&engine->words);
    index_map_deinit(&engine->patients_by_id);
    index_map_deinit(&engine->ledgers_by_episode);
    spans_deinit(&engine->outages);
    spans_deinit(&engine->skipped);
    buffer_deinit(&engine->json);
    slab_give(engine->patients);
    slab_give(engine->heap);
    slab_give(engine->shelves);
    slab_give(engine->noted);
    slab_give(engine->zones);
    slab_give(engine->unit.items);
    slab_give(engine->stories.items);
    slab_give(engine->notes.items);
    slab_give(engine->arrivals);
    slab_give(engine->touched);
    slab_give(engine->day_marks);
    day_points_deinit(&engine->day_points);
    slab_give(engine);
}

/* Engine time never goes back. */
static void move_time(struct engine *engine, int64_t now_ms)
{
    if (now_ms > engine->now_ms)
        engine->now_ms = now_ms;
}

/* What is due by up time is due later by what was none; silence alone counts it. */
static void take_outage(struct engine *engine, int64_t from_ms, int64_t to_ms)
{
    spans_add(&engine->outages, from_ms, to_ms);
    engine->outages_taken++;
    for (size_t i = 0; i < engine->patients_count; i++) {
        struct patient *patient = engine->patients[i];
        for (size_t t = 0; t < patient->tracks_count; t++)
            if (patient->tracks[t]->kind == RULE_SILENCE)
                silence_schedule(engine, patient->tracks[t]);
        patient_schedule(engine, patient);
    }
}

/* Up time counts at a start alone: while running, engine time may be slewed against it, which is no outage.
 */
static void take_up_time(struct engine *engine, int64_t last_ms, int64_t up_ms, enum tick_kind kind)
{
    int64_t up_from_ms = engine->now_ms - up_ms;
    if (!engine->ticked)
        take_outage(engine, BEFORE_ALL_MS, engine->now_ms);
    else if (kind != TICK_RUNNING && up_from_ms > last_ms) {
        if (kind == TICK_SKIPPED)
            spans_add(&engine->skipped, last_ms, up_from_ms);
        take_outage(engine, last_ms, up_from_ms);
        if (engine->settings.shard == 0)
            technical_outage(engine, last_ms, up_from_ms);
    }
    engine->ticked = true;
}

/* The first patient to wait for something. Its place in the heap may be earlier than what it waits for now:
 * readings move that on and on, and the heap is asked far less often. */
static int64_t first_patient_due_ms(struct engine *engine)
{
    while (engine->heap_count > 0) {
        struct patient *first = engine->heap[0];
        int64_t due_ms = first->due_ms;
        patient_schedule(engine, first);
        if (first->due_ms == due_ms)
            return due_ms;
    }
    return INT64_MAX;
}

/* The first timer to fall due: a patient's, or the end of a shelf. */
static int64_t first_due_ms(struct engine *engine)
{
    int64_t due_ms = first_patient_due_ms(engine);
    return due_ms < engine->shelf_due_ms ? due_ms : engine->shelf_due_ms;
}

static void expire(struct engine *engine)
{
    if (engine->heap_count > 0 && engine->heap[0]->due_ms <= engine->shelf_due_ms)
        patient_expire(engine, engine->heap[0]);
    else
        shelves_expire(engine);
}

bool engine_tick(struct engine *engine, int64_t now_ms, int64_t up_ms, enum tick_kind kind)
{
    int64_t last_ms = engine->now_ms;
    unsigned expiries = 0;
    move_time(engine, now_ms);
    unit_begin(&engine->unit, engine->now_ms, "clock", false);
    take_up_time(engine, last_ms, up_ms, kind);
    while (first_due_ms(engine) < engine->now_ms && expiries++ < TICK_EXPIRIES_MAX)
        expire(engine);
    unit_publish(engine);
    return first_due_ms(engine) < engine->now_ms;
}

int64_t engine_next_due_ms(struct engine *engine)
{
    return first_due_ms(engine);
}

void engine_command(struct engine *engine, struct command *command, int64_t now_ms)
{
    move_time(engine, now_ms);
    unit_begin(&engine->unit, engine->now_ms, "rule-changed", true);
    commands_carry_out(engine, command);
}

struct patient *engine_patient(struct engine *engine, int64_t patient_id)
{
    return index_map_get(&engine->patients_by_id, (uint64_t)patient_id);
}

void patient_take_in(struct engine *engine, struct patient *patient)
{
    for (size_t i = 0; i < engine->touched_count; i++)
        patient_judge(engine, patient, engine->touched[i]);
    device_judge(engine, patient);
    for (uint64_t left = engine->arrivals_count > 0 ? patient->listening : 0; left != 0; left &= left - 1)
        silence_receive(engine, patient->tracks[__builtin_ctzll(left)]);
    if (patient->devices != NULL)
        patient_schedule(engine, patient);
    else
        patient_schedule_touched(engine, patient);
}

void engine_decide(struct engine *engine, struct patient *patient, struct reading *heads,
                   const uint8_t *tails, uint32_t first, int64_t now_ms)
{
    move_time(engine, now_ms);
    unit_begin(&engine->unit, engine->now_ms, "late-data", false);
    engine->arrivals_count = engine->touched_count = 0;
    for (uint32_t i = first; i != READING_CHAIN_END; i = heads[i].next)
        if (heads[i].flags & FLAG_DEVICE_EVENT)
            device_take(engine, patient, &heads[i], tails + heads[i].tail_offset);
        else
            admission_take(engine, patient, &heads[i], tails + heads[i].tail_offset);
    patient_take_in(engine, patient);
    unit_publish(engine);
    if (engine->unit.kept && names_are_many(&patient->names))
        patient_sweep_names(patient);
}

const struct reading *engine_released(const struct engine *engine, const uint8_t **ret_tail)
{
    *ret_tail = engine->released_tail;
    return &engine->released;
}

uint64_t engine_alias_hash(const struct engine *engine, const struct reading *reading, struct slice alias)
{
    return reading_alias_hash(&engine->settings.reading_key, reading->source_id,
                              (enum parameter)reading->parameter, alias);
}

void engine_foresee(struct engine *engine, const struct reading *heads, uint32_t first)
{
    foresight_look(engine, heads, first);
}

int64_t engine_registry_version(const struct engine *engine)
{
    return engine->registry_version;
}

int64_t engine_now_ms(const struct engine *engine)
{
    return engine->now_ms;
}

uint32_t engine_unconfirmed_count(const struct engine *engine)
{
    return engine->unconfirmed;
}

void engine_show(struct engine *engine, int64_t patient_id, struct buffer *out)
{
    const struct patient *patient = engine_patient(engine, patient_id);
    if (patient != NULL)
        show_patient(engine, patient, out);
}
