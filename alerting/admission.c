/* admission: see admission.h; RULES.md section 1 and DESIGN.md section 4.7. */
#include "alerting/admission.h"

#include "alerting/grow.h"
#include "alerting/patient.h"
#include "alerting/technical.h"

enum { ASIDE_MAX = 1024 };

static void touch(struct engine *engine, struct series *series)
{
    for (size_t i = 0; i < engine->touched_count; i++)
        if (engine->touched[i] == series)
            return;
    engine->touched = grow(engine->touched, engine->touched_count + 1, &engine->touched_capacity,
                           sizeof engine->touched[0]);
    engine->touched[engine->touched_count++] = series;
}

static void arrive(struct engine *engine, const struct reading *reading)
{
    engine->arrivals = grow(engine->arrivals, engine->arrivals_count + 1, &engine->arrivals_capacity,
                            sizeof engine->arrivals[0]);
    engine->arrivals[engine->arrivals_count++] = (struct arrival){
        .parameter = (enum parameter)reading->parameter,
        .measured_at_ms = reading->measured_at_ms,
        .first_of_key = true,
        .day_only = reading->precision == PRECISION_DAY,
    };
}

/* A name that is new here means a reading that is new here: what is a duplicate leaves no name behind. */
static struct held to_held(struct patient *patient, const struct reading *reading, const uint8_t *tail)
{
    struct held held = {
        .key = {.ms = reading->measured_at_ms,
                .device = names_intern(&patient->names, tail_get(tail, reading->tail_size, TAIL_KEY_DEVICE)),
                .sensor = names_intern(&patient->names, tail_get(tail, reading->tail_size, TAIL_SENSOR))},
        .value = reading->value,
        .received_ms = reading->received_at_ms,
        .issued_ms = reading->issued_ms,
        .alias = reading->alias_hash,
        .comparator = reading->comparator,
        .status = reading->status,
    };
    return held;
}

/* What its own properties allow it: a member, an amendment, a sign of life. */
static uint16_t abilities(const struct reading *reading)
{
    bool test = reading->flags & FLAG_TEST, late = reading->flags & FLAG_LATE_UNJUDGED;
    bool amends = reading->status >= STATUS_CORRECTED;
    uint16_t flags = 0;
    if (!test && !late && reading->precision == PRECISION_TIME && reading->status != STATUS_VOID)
        flags |= HELD_ELIGIBLE;
    if (!test && !late && amends)
        flags |= HELD_AMENDS;
    if (!test && reading->status != STATUS_VOID)
        flags |= HELD_SIGN;
    if (late && !amends)
        flags |= HELD_MUTE;
    return flags;
}

static struct series *aside_of(struct series *series)
{
    if (series->aside == NULL)
        series->aside = series_new(series->parameter);
    return series->aside;
}

static void bound_aside(struct series *aside)
{
    if (series_count(aside) > ASIDE_MAX)
        series_remove_oldest(aside);
}

static void quarantine(struct engine *engine, struct patient *patient, struct reading *reading,
                       const struct held *held, struct series *series)
{
    struct series_arrival arrival;
    struct series *aside = aside_of(series);
    series_insert(aside, &patient->names, held, &arrival);
    reading->revision = arrival.revision;
    reading->verdict = arrival.duplicate ? VERDICT_DUPLICATE : VERDICT_QUARANTINED;
    if (arrival.duplicate)
        return;
    engine->unit.kept = true;
    bound_aside(aside);
    technical_quarantine(engine, patient, held, (enum parameter)reading->parameter,
                         (enum quarantine_reason)reading->quarantine);
}

/* A reading older than what is held: it cannot be told from a resend here, the loader will. */
static void pass_by(struct engine *engine, struct patient *patient, struct reading *reading,
                    const struct held *held)
{
    reading->flags |= FLAG_LATE_UNJUDGED | FLAG_CHECK_OLDER;
    reading->verdict = VERDICT_ACCEPTED;
    engine->unit.kept = true;
    technical_late(engine, patient, held, (enum parameter)reading->parameter);
}

static void hold(struct engine *engine, struct patient *patient, struct reading *reading, struct held *held,
                 struct series *series)
{
    struct series_arrival arrival;
    held->flags = abilities(reading);
    series_insert(series, &patient->names, held, &arrival);
    reading->revision = arrival.revision;
    reading->verdict = arrival.duplicate ? VERDICT_DUPLICATE : VERDICT_ACCEPTED;
    if (arrival.duplicate)
        return;
    engine->unit.kept = true;
    touch(engine, series);
    if (arrival.same_instant)
        reading->flags |= FLAG_SAME_INSTANT;
    if (arrival.first_of_key)
        arrive(engine, reading);
    if (reading->flags & FLAG_LATE_UNJUDGED)
        technical_late(engine, patient, held, (enum parameter)reading->parameter);
    if (reading->status >= STATUS_CORRECTED)
        engine->unit.cause = reading->status == STATUS_VOID ? "void" : "corrected";
}

/* If-None-Exist: a reading of its source and parameter carries the identifier: that one is the answer,
 * whatever value came with it now. Where several do none of them is. */
static bool exists_already(const struct engine *engine, const struct patient *patient,
                           struct reading *reading)
{
    const struct series *series = patient_series(patient, (enum parameter)reading->parameter);
    const struct series *held_in = series;
    struct held known;
    struct series_arrival arrival;
    unsigned matches = series_by_alias(series, reading->alias_hash, &known);
    if (matches == 0) {
        held_in = series == NULL ? NULL : series->aside;
        matches = series_by_alias(held_in, reading->alias_hash, &known);
    }
    if (matches == 0)
        return false;
    if (matches > 1)
        reading->flags |= FLAG_SEVERAL_MATCH;
    series_look_up(held_in, &patient->names, &known, &arrival);
    patient_reading_id(engine, patient, series->parameter, &known, reading->reading_id);
    reading->verdict = VERDICT_DUPLICATE;
    reading->revision = arrival.revision;
    return true;
}

/* Makes room before what is kept; a duplicate moves nothing, for it is not journaled and a replay would not
 * know of it. True: it is one. */
static bool let_go(struct engine *engine, struct patient *patient, struct series *series,
                   struct reading *reading, const struct held *held)
{
    struct series_arrival known = {.duplicate = false};
    if (!patient_lets_go(engine, series))
        return false;
    if (held->key.ms >= engine->unit.now_ms - 2 * engine_lookback_ms(engine, series->parameter))
        series_look_up(series, &patient->names, held, &known);
    if (!known.duplicate && series->aside != NULL)
        series_look_up(series->aside, &patient->names, held, &known);
    if (known.duplicate) {
        reading->verdict = VERDICT_DUPLICATE;
        reading->revision = known.revision;
    } else {
        patient_let_go(engine, patient, series);
    }
    return known.duplicate;
}

/* A resend of what is aside, released and discarded alike; or of what was released and is not known aside any
 * more. */
static bool is_known_aside(struct patient *patient, struct series *series, struct reading *reading,
                           const struct held *held)
{
    struct series_arrival known = {.duplicate = false};
    if (series->aside != NULL)
        series_look_up(series->aside, &patient->names, held, &known);
    if (!known.duplicate && reading->quarantine != QUARANTINE_NONE)
        series_look_up(series, &patient->names, held, &known);
    if (known.duplicate) {
        reading->verdict = VERDICT_DUPLICATE;
        reading->revision = known.revision;
    }
    return known.duplicate;
}

/* `late_ms`: behind its measurement, by which it is judged or not. */
static void enter(struct engine *engine, struct patient *patient, struct reading *reading, struct held *held,
                  struct series *series, int64_t late_ms)
{
    if (late_ms > 2 * engine_lookback_ms(engine, series->parameter) ||
        reading->measured_at_ms < series->cut_ms) {
        pass_by(engine, patient, reading, held);
        return;
    }
    if (late_ms > engine_lookback_ms(engine, series->parameter))
        reading->flags |= FLAG_LATE_UNJUDGED;
    hold(engine, patient, reading, held, series);
}

void admission_take(struct engine *engine, struct patient *patient, struct reading *reading,
                    const uint8_t *tail)
{
    bool only_new = reading->flags & FLAG_IF_NONE_EXIST;
    reading->flags &= (uint16_t)~FLAG_IF_NONE_EXIST;
    if (only_new && exists_already(engine, patient, reading))
        return;
    struct held held = to_held(patient, reading, tail);
    struct series *series = patient_add_series(patient, (enum parameter)reading->parameter);
    int64_t late_ms = reading->received_at_ms - reading->measured_at_ms;
    if (let_go(engine, patient, series, reading, &held))
        return;
    if (reading->status == STATUS_VOID && reading->quarantine != QUARANTINE_NONE)
        reading->quarantine = QUARANTINE_NONE;
    if (-late_ms > engine->settings.future_tolerance_ms && reading->quarantine != QUARANTINE_UNIT)
        reading->quarantine = QUARANTINE_FUTURE;

    if (is_known_aside(patient, series, reading, &held))
        return;
    if (reading->quarantine != QUARANTINE_NONE)
        quarantine(engine, patient, reading, &held, series);
    else
        enter(engine, patient, reading, &held, series, late_ms);
}

/* ---- a person's word on what was kept aside ---- */

unsigned admission_release(struct engine *engine, struct patient *patient, struct reading *reading,
                           const uint8_t *tail)
{
    struct held held = to_held(patient, reading, tail);
    struct series *series = patient_add_series(patient, (enum parameter)reading->parameter);
    struct series_arrival known = {.duplicate = false};
    unsigned settled = series_settled(series->aside, &patient->names, &held);
    series_look_up(series, &patient->names, &held, &known);
    if (settled != 0 || known.duplicate)
        return settled != 0 ? settled : HELD_RELEASED;
    series_set_settled(series->aside, &patient->names, &held, HELD_RELEASED);
    if (patient_lets_go(engine, series))
        patient_let_go(engine, patient, series);
    reading->quarantine = QUARANTINE_NONE;
    reading->flags |= FLAG_RELEASED;
    enter(engine, patient, reading, &held, series, engine->unit.now_ms - reading->measured_at_ms);
    return 0;
}

unsigned admission_discard(struct patient *patient, const struct reading *reading, const uint8_t *tail)
{
    struct series *series = patient_series(patient, (enum parameter)reading->parameter);
    if (series == NULL || series->aside == NULL)
        return 0;
    struct held held = to_held(patient, reading, tail);
    unsigned settled = series_settled(series->aside, &patient->names, &held);
    if (settled == 0)
        series_set_settled(series->aside, &patient->names, &held, HELD_DISCARDED);
    return settled;
}
