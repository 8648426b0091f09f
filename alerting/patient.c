/* patient: see patient.h. */
#include "alerting/patient.h"

#include <stdlib.h>
#include <string.h>

#include "alerting/day_track.h"
#include "alerting/device.h"
#include "alerting/episodes.h"
#include "alerting/grow.h"
#include "alerting/silence.h"
#include "alerting/technical.h"
#include "alerting/track.h"
#include "alerting/unconfirmed.h"

struct patient *patient_new(struct engine *engine, int64_t patient_id, const char *ref,
                            const char *organization)
{
    struct patient *patient = zeroed(sizeof *patient);
    patient->patient_id = patient_id;
    patient->ref = copied(ref);
    patient->organization = words_keep(&engine->words, organization);
    patient->left_at_ms = patient->due_ms = INT64_MAX;
    patient->heap_index = UINT32_MAX;

    engine->patients = grow(engine->patients, engine->patients_count + 1, &engine->patients_capacity,
                            sizeof engine->patients[0]);
    size_t index = engine->patients_count++;
    for (; index > 0 && engine->patients[index - 1]->patient_id > patient_id; index--)
        engine->patients[index] = engine->patients[index - 1];
    engine->patients[index] = patient;
    index_map_put(&engine->patients_by_id, (uint64_t)patient_id, patient);
    return patient;
}

static void free_registry(struct patient *patient)
{
    rulebook_deinit(&patient->own);
    for (size_t i = 0; i < patient->confirmations_count; i++)
        slab_give(patient->confirmations[i].author);
    slab_give(patient->memberships);
    slab_give(patient->confirmations);
    references_deinit(&patient->references);
    slab_give(patient->zones);
    slab_give(patient->left_reason);
    slab_give(patient->ref);
}

void patient_free(struct patient *patient, struct engine *engine)
{
    for (size_t i = 0; i < patient->tracks_count; i++)
        track_free(patient->tracks[i], engine);
    for (size_t i = 0; i < patient->technicals_count; i++)
        technical_free(patient->technicals[i], engine);
    for (size_t i = 0; i < patient->series_count; i++)
        series_free(patient->series[i].series);
    device_log_free(patient->devices);
    slab_give(patient->tracks);
    slab_give(patient->technicals);
    slab_give(patient->series);
    names_deinit(&patient->names);
    free_registry(patient);
    slab_give(patient);
}

struct series *patient_series(const struct patient *patient, enum parameter parameter)
{
    for (size_t i = 0; i < patient->series_count; i++)
        if (patient->series[i].parameter == parameter)
            return patient->series[i].series;
    return NULL;
}

struct series *patient_add_series(struct patient *patient, enum parameter parameter)
{
    struct series *series = patient_series(patient, parameter);
    if (series != NULL)
        return series;
    patient->series = grow_short(patient->series, patient->series_count + 1, &patient->series_capacity,
                                 sizeof patient->series[0]);
    series = series_new(parameter);
    patient->series[patient->series_count++] = (struct patient_series){series, parameter};
    patient_link(patient);
    return series;
}

void patient_link(struct patient *patient)
{
    static_assert(RULES_PER_PATIENT_MAX <= 64, "a bit a rule");
    for (size_t s = 0; s < patient->series_count; s++)
        patient->series[s].series->tracks = 0;
    patient->listening = 0;
    for (size_t i = 0; i < patient->tracks_count; i++) {
        const struct track *track = patient->tracks[i];
        if (track->kind == RULE_SILENCE)
            patient->listening |= UINT64_C(1) << i;
        for (size_t s = 0; s < patient->series_count; s++)
            if (patient->series[s].parameter == (enum parameter)track->parameter)
                patient->series[s].series->tracks |= UINT64_C(1) << i;
    }
}

int64_t engine_lookback_ms(const struct engine *engine, enum parameter parameter)
{
    bool continuous = parameter != PARAMETER_COUNT && parameter_row(parameter)->class == CLASS_CONTINUOUS;
    return continuous ? engine->settings.lookback_continuous_ms : engine->settings.lookback_ms;
}

static size_t held_max(const struct series *series)
{
    bool continuous = parameter_row(series->parameter)->class == CLASS_CONTINUOUS;
    return continuous ? SERIES_HELD_CONTINUOUS_MAX : SERIES_HELD_MAX;
}

bool patient_lets_go(const struct engine *engine, const struct series *series)
{
    int64_t cut_ms = engine->unit.now_ms - 2 * engine_lookback_ms(engine, series->parameter);
    size_t first = series_first(series), count = series_count(series);
    return count - first > held_max(series) || (first < count && held_ms(&series->held, first) < cut_ms);
}

void patient_let_go(struct engine *engine, struct patient *patient, struct series *series)
{
    size_t first = series_first(series), count = first;
    int64_t cut_ms = engine->unit.now_ms - 2 * engine_lookback_ms(engine, series->parameter);
    while (count < series_count(series) && held_ms(&series->held, count) < cut_ms)
        count++;
    if (series_count(series) - count > held_max(series))
        technical_dense(engine, patient, series->parameter);
    while (series_count(series) - count > held_max(series)) { /* denser: its look-back is what is held */
        cut_ms = held_ms(&series->held, count) + 1;
        while (count < series_count(series) && held_ms(&series->held, count) < cut_ms)
            count++;
    }
    if (count == first)
        return;
    for (size_t i = 0; i < patient->tracks_count; i++)
        if (patient->tracks[i]->parameter == series->parameter && !track_judges_days(patient->tracks[i]))
            track_let_go(engine, patient->tracks[i], series, count, cut_ms);
    series_drop(series, count, cut_ms);
}

void patient_reading_id(const struct engine *engine, const struct patient *patient, enum parameter parameter,
                        const struct held *held, uint8_t ret_id[UUID_BYTES])
{
    const char *device = names_text(&patient->names, held->key.device);
    const char *sensor = names_text(&patient->names, held->key.sensor);
    struct reading_identity identity = {
        .patient_id = patient->patient_id,
        .parameter = parameter,
        .device = {device, strlen(device)},
        .sensor = {sensor, strlen(sensor)},
        .measured_at_ms = held->key.ms,
        .value = held->value,
        .comparator = held->comparator,
    };
    reading_identity_id(&identity, &engine->settings.reading_key, ret_id);
}

static size_t track_place(const struct patient *patient, const char *rule_id)
{
    size_t low = 0, high = patient->tracks_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(patient->tracks[middle]->rule_id, rule_id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct track *patient_track(const struct patient *patient, const char *rule_id)
{
    size_t place = track_place(patient, rule_id);
    bool found = place < patient->tracks_count && strcmp(patient->tracks[place]->rule_id, rule_id) == 0;
    return found ? patient->tracks[place] : NULL;
}

static struct track *add_track(struct engine *engine, struct patient *patient, const struct rule *rule)
{
    size_t place = track_place(patient, rule->id);
    patient->tracks = grow_short(patient->tracks, patient->tracks_count + 1, &patient->tracks_capacity,
                                 sizeof patient->tracks[0]);
    memmove(patient->tracks + place + 1, patient->tracks + place,
            (patient->tracks_count - place) * sizeof patient->tracks[0]);
    patient->tracks_count++;
    patient->tracks[place] = track_new(engine, patient, rule);
    patient_link(patient);
    return patient->tracks[place];
}

struct rule_subject patient_subject(const struct engine *engine, const struct patient *patient)
{
    return (struct rule_subject){
        .shared = &engine->rules,
        .own = &patient->own,
        .organization = patient->organization,
        .enrolled_at_ms = patient->enrolled_at_ms,
        .left_at_ms = patient->left_at_ms,
        .memberships = patient->memberships,
        .memberships_count = patient->memberships_count,
        .confirmations = patient->confirmations,
        .confirmations_count = patient->confirmations_count,
    };
}

const struct membership *patient_membership(const struct patient *patient, int64_t ms)
{
    struct rule_subject subject = {.memberships = patient->memberships,
                                   .memberships_count = patient->memberships_count};
    return subject_membership(&subject, ms);
}

static bool same_segment(const struct segment *a, const struct segment *b)
{
    return a->from_ms == b->from_ms && a->version == b->version && a->state == b->state;
}

/* The first instant at which two timelines differ; INT64_MAX when they are equal. */
static int64_t first_difference(const struct timeline *a, const struct timeline *b)
{
    size_t i = 0;
    while (i < a->count && i < b->count && same_segment(&a->items[i], &b->items[i]))
        i++;
    int64_t a_ms = i < a->count ? a->items[i].from_ms : INT64_MAX;
    int64_t b_ms = i < b->count ? b->items[i].from_ms : INT64_MAX;
    return a_ms < b_ms ? a_ms : b_ms;
}

static const struct rule *first_rule(const struct timeline *timeline)
{
    for (size_t i = 0; i < timeline->count; i++)
        if (timeline->items[i].state == SEGMENT_ON)
            return timeline->items[i].version->rule;
    return NULL;
}

/* Sides and longest window of all versions; true when earlier instants must be remembered anew. */
static bool take_shape(struct track *track)
{
    bool more = false;
    for (size_t i = 0; i < track->timeline.count; i++) {
        if (track->timeline.items[i].state != SEGMENT_ON)
            continue;
        const struct rule *rule = track->timeline.items[i].version->rule;
        for (unsigned side = 0; side < SIDE_COUNT; side++)
            if (rule_has_side(rule, (enum rule_side)side) && !track_has_side(track, side)) {
                track->sides |= (uint8_t)(1u << side);
                more = true;
            }
        for (unsigned side = 0; side < SIDE_COUNT; side++)
            if (track->side[side] != NULL && judge_window_ms(rule) > track->side[side]->window_max_ms) {
                track->side[side]->window_max_ms = judge_window_ms(rule);
                more = true;
            }
    }
    return more;
}

static void follow_timeline(struct engine *engine, struct patient *patient, struct track *track,
                            int64_t changed_ms)
{
    if (track->kind == RULE_SILENCE) {
        silence_schedule(engine, track);
        return;
    }
    if (track->kind == RULE_EVENT) {
        device_replay(engine, track, engine->unit.now_ms);
        return;
    }
    const struct series *series = patient_series(patient, track->parameter);
    if (track_judges_days(track)) {
        day_track_follow(engine, track, series);
        return;
    }
    bool again = take_shape(track);
    again |= track_reaches(track, changed_ms);
    if (again)
        track_replay(engine, track, series, engine->unit.now_ms);
    else
        track_pass(engine, track, series, engine->unit.now_ms);
}

void patient_refresh_rule(struct engine *engine, struct patient *patient, const char *rule_id)
{
    unconfirmed_note(engine, patient);
    struct rule_subject subject = patient_subject(engine, patient);
    struct track *track = patient_track(patient, rule_id);
    struct timeline timeline = {0};
    timeline_build(&timeline, &subject, rule_id);
    const struct rule *rule = first_rule(&timeline);
    if (track == NULL && rule != NULL)
        track = add_track(engine, patient, rule);
    if (track == NULL) {
        timeline_deinit(&timeline);
        return;
    }
    int64_t changed_ms = first_difference(&track->timeline, &timeline);
    timeline_deinit(&track->timeline);
    track->timeline = timeline;
    if (changed_ms != INT64_MAX)
        follow_timeline(engine, patient, track, changed_ms);
}

static void refresh_scope(struct engine *engine, struct patient *patient, const struct rulebook *book,
                          enum rule_layer layer, const char *scope)
{
    for (size_t i = rulebook_first(book, layer, scope); i < book->count; i++) {
        const struct definition *definition = book->items[i];
        if (definition->layer != layer || strcmp(definition->scope, scope) != 0)
            break;
        patient_refresh_rule(engine, patient, definition->rule_id);
    }
}

void patient_refresh(struct engine *engine, struct patient *patient)
{
    unconfirmed_note(engine, patient);
    struct rule_subject subject = patient_subject(engine, patient);
    char text[2 * REF_BYTES_MAX + 2];
    for (size_t i = 0; i < patient->tracks_count; i++) /* what it has, in order; the count may grow behind */
        patient_refresh_rule(engine, patient, patient->tracks[i]->rule_id);
    refresh_scope(engine, patient, &patient->own, LAYER_PATIENT, "");
    for (size_t i = 0; i < patient->memberships_count; i++)
        for (unsigned layer = LAYER_TEAM; layer < LAYER_COUNT; layer++) {
            const char *scope =
                subject_scope(&subject, (enum rule_layer)layer, &patient->memberships[i], text);
            if (scope[0] != '\0')
                refresh_scope(engine, patient, &engine->rules, (enum rule_layer)layer, scope);
        }
}

static bool refers_to(const struct track *track, const struct reference *reference)
{
    for (size_t i = 0; i < track->timeline.count; i++) {
        const struct segment *segment = &track->timeline.items[i];
        if (segment->state == SEGMENT_ON &&
            strcmp(segment->version->rule->reference.name, reference->name) == 0)
            return true;
    }
    return false;
}

void patient_refer(struct engine *engine, struct patient *patient, const struct reference *reference)
{
    if (!references_set(&patient->references, reference))
        return;
    for (size_t i = 0; i < patient->tracks_count; i++) {
        struct track *track = patient->tracks[i];
        if (track->kind == RULE_REFERENCE && reference_serves(reference, track->parameter) &&
            refers_to(track, reference) && track_reaches(track, reference->from_ms))
            track_replay(engine, track, patient_series(patient, track->parameter), engine->unit.now_ms);
    }
    patient_schedule(engine, patient);
}

void patient_judge(struct engine *engine, struct patient *patient, struct series *series)
{
    series_look_behind(series, &patient->names);
    for (uint64_t left = series->tracks; left != 0; left &= left - 1) {
        struct track *track = patient->tracks[__builtin_ctzll(left)];
        if (track_judges_days(track))
            day_track_judge(engine, track, series);
        else
            track_judge(engine, track, series);
    }
    series_settle(series);
}

static int64_t due_of(const struct track *track)
{
    return track->kind == RULE_SILENCE ? track->silence->due_ms
           : track->kind == RULE_EVENT ? device_due_ms(track)
           : track_judges_days(track)  ? day_track_due_ms(track)
                                       : track_due_ms(track);
}

/* The earliest that any of the tracks waits for, or the instant. */
static int64_t earliest_of(const struct patient *patient, uint64_t tracks, int64_t due_ms)
{
    for (; tracks != 0; tracks &= tracks - 1) {
        int64_t track_ms = due_of(patient->tracks[__builtin_ctzll(tracks)]);
        due_ms = track_ms < due_ms ? track_ms : due_ms;
    }
    return due_ms;
}

int64_t patient_due_ms(const struct patient *patient)
{
    uint64_t all = patient->tracks_count == 64 ? UINT64_MAX : (UINT64_C(1) << patient->tracks_count) - 1;
    return earliest_of(patient, all, technical_due_ms(patient));
}

void patient_schedule(struct engine *engine, struct patient *patient)
{
    int64_t due_ms = patient_due_ms(patient);
    if (due_ms != patient->due_ms)
        timers_set(engine, patient, due_ms);
}

void patient_schedule_touched(struct engine *engine, struct patient *patient)
{
    uint64_t touched = patient->listening;
    for (size_t i = 0; i < engine->touched_count; i++)
        touched |= engine->touched[i]->tracks;
    int64_t due_ms = earliest_of(patient, touched, technical_due_ms(patient));
    if (due_ms < patient->due_ms)
        timers_set(engine, patient, due_ms);
}

void patient_expire(struct engine *engine, struct patient *patient)
{
    int64_t due_ms = patient->due_ms;
    for (size_t i = 0; i < patient->tracks_count; i++) {
        struct track *track = patient->tracks[i];
        if (due_of(track) > due_ms)
            continue;
        if (track->kind == RULE_SILENCE)
            silence_expire(engine, track);
        else if (track->kind == RULE_EVENT)
            device_pass(engine, track, due_ms);
        else if (track_judges_days(track))
            day_track_expire(engine, track, patient_series(patient, track->parameter));
        else
            track_pass(engine, track, patient_series(patient, track->parameter), due_ms);
    }
    technical_expire(engine, patient, due_ms);
    patient_schedule(engine, patient);
}

static enum priority rule_urgency(const struct rule *rule)
{
    if (rule->kind == RULE_EVENT)
        return device_urgency(&rule->event);
    enum priority urgency = rule->kind == RULE_LIMIT ? PRIORITY_NONE : rule->priority;
    for (unsigned side = 0; rule->kind == RULE_LIMIT && side < SIDE_COUNT; side++)
        for (unsigned i = 0; i < rule->limit.side[side].count; i++)
            if (rule->limit.side[side].level[i].priority > urgency)
                urgency = rule->limit.side[side].level[i].priority;
    return urgency;
}

enum priority patient_urgency(const struct patient *patient, enum parameter parameter, int64_t ms)
{
    enum priority urgency = PRIORITY_LOW;
    for (size_t i = 0; i < patient->tracks_count; i++) {
        const struct track *track = patient->tracks[i];
        const struct segment *segment = timeline_at(&track->timeline, ms);
        if (track->parameter != parameter || segment == NULL || segment->state != SEGMENT_ON)
            continue;
        enum priority priority = rule_urgency(segment->version->rule);
        urgency = priority > urgency ? priority : urgency;
    }
    return urgency;
}
