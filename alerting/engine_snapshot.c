/* engine_snapshot: the shared state and the patient; the parts are in archive_*.c. */
#include "alerting/engine_snapshot.h"

#include <stdlib.h>

#include "alerting/archive.h"
#include "alerting/episode_act.h"
#include "alerting/grow.h"
#include "alerting/patient.h"
#include "alerting/technical.h"
#include "alerting/unconfirmed.h"
#include "daemon/base/log.h"

struct archive *engine_archive_new(struct engine *engine)
{
    struct archive *archive = zeroed(sizeof *archive);
    archive->engine = engine;
    return archive;
}

void engine_archive_free(struct archive *archive)
{
    if (archive == NULL)
        return;
    slab_give(archive->shared.items);
    slab_give(archive->own.items);
    buffer_deinit(&archive->text);
    slab_give(archive);
}

uint64_t engine_snapshot_bond(const struct engine *engine)
{
    return engine->rules.versions + engine->outages_taken;
}

size_t engine_dormant_count(const struct engine *engine)
{
    return engine->dormant;
}

size_t engine_patients_count(const struct engine *engine)
{
    return engine->patients_count;
}

bool engine_is_dormant(const struct patient *patient)
{
    return patient->dormant;
}

static void begin_writing(struct archive *a, struct buffer *out)
{
    a->writing = true;
    a->out = out;
}

static void begin_reading(struct archive *a, const void *data, size_t size)
{
    a->writing = a->bad = false;
    a->at = data;
    a->end = a->at + size;
}

/* ---- shared state ---- */

/* Alerts about the node, each with its rule's id: rows of the table may move. */
static void archive_node(struct archive *a, struct engine *engine)
{
    size_t present = 0;
    for (size_t i = 0; i < TECHNICAL_COUNT; i++)
        present += engine->node[i] != NULL;
    size_t count = archive_count(a, present), row = 0;
    for (size_t i = 0; i < count && !a->bad; i++) {
        while (a->writing && engine->node[row] == NULL)
            row++;
        struct technical *technical = archive_technical(a, a->writing ? engine->node[row++] : NULL);
        if (a->writing || technical == NULL)
            continue;
        struct technical **place = &engine->node[technical->ledger.technical];
        if (*place != NULL) { /* twice */
            technical_free(technical, engine);
            archive_fault(a);
        } else {
            *place = technical;
        }
    }
}

static void archive_shared(struct archive *a)
{
    struct engine *engine = a->engine;
    a->patient = NULL;
    archive_words(a);
    archive_instant(a, &engine->now_ms);
    archive_bool(a, &engine->ticked);
    archive_signed(a, &engine->registry_version);
    archive_rulebook(a, &engine->rules, &a->shared);
    archive_spans(a, &engine->outages);
    archive_spans(a, &engine->skipped);
    archive_node(a, engine);
}

void engine_save_shared(struct archive *archive, struct buffer *out)
{
    begin_writing(archive, out);
    archive_shared(archive);
}

enum err engine_load_shared(struct archive *archive, const void *data, size_t size)
{
    ensure(archive->engine->patients_count == 0 && archive->engine->rules.count == 0);
    begin_reading(archive, data, size);
    archive_shared(archive);
    return archive->bad || archive->at != archive->end ? ERR_CORRUPT : OK;
}

/* ---- a patient: what the registry said ---- */

static void archive_memberships(struct archive *a, struct patient *patient)
{
    size_t count = archive_count(a, patient->memberships_count);
    if (!a->writing && count > 0)
        patient->memberships =
            grow_short(NULL, count, &patient->memberships_capacity, sizeof patient->memberships[0]);
    for (size_t i = 0; i < count && !a->bad; i++) {
        struct membership *member = &patient->memberships[i];
        if (!a->writing)
            *member = (struct membership){0};
        archive_instant(a, &member->from_ms);
        archive_word(a, &member->line);
        archive_word(a, &member->team);
        patient->memberships_count = a->writing ? count : i + 1;
        if (!a->bad && strlen(member->team) > REF_BYTES_MAX)
            archive_fault(a);
    }
    if (patient->memberships_count == 0 || patient->memberships[0].from_ms != INT64_MIN)
        archive_fault(a); /* everybody is somewhere at all times */
}

static void archive_zones(struct archive *a, struct patient *patient)
{
    size_t count = archive_count(a, patient->zones_count);
    if (!a->writing && count > 0)
        patient->zones = grow_short(NULL, count, &patient->zones_capacity, sizeof patient->zones[0]);
    for (size_t i = 0; i < count && !a->bad; i++) {
        struct zone_from *from = &patient->zones[i];
        archive_instant(a, &from->from_ms);
        if (a->writing) {
            archive_text_of(a, zone_name(from->zone));
            continue;
        }
        const char *name = archive_text_at(a);
        from->zone = name == NULL ? NULL : engine_zone(a->engine, name);
        patient->zones_count = i + 1;
        if (name != NULL && from->zone == NULL)
            log_write(LOG_ERROR, "snapshot",
                      "a patient's time zone is missing found=%s expected=a zone of the system "
                      "hint=install the package tzdata as it was",
                      name);
        if (from->zone == NULL)
            archive_fault(a);
    }
    if (patient->zones_count == 0 || patient->zones[0].from_ms != INT64_MIN)
        archive_fault(a);
}

static void archive_confirmations(struct archive *a, struct patient *patient)
{
    size_t count = archive_count(a, patient->confirmations_count);
    if (!a->writing && count > 0)
        patient->confirmations =
            grow_short(NULL, count, &patient->confirmations_capacity, sizeof patient->confirmations[0]);
    for (size_t i = 0; i < count && !a->bad; i++) {
        struct confirmation *confirmation = &patient->confirmations[i];
        if (!a->writing)
            *confirmation = (struct confirmation){0};
        archive_instant(a, &confirmation->from_ms);
        archive_instant(a, &confirmation->commit_ms);
        archive_instant(a, &confirmation->asked_ms);
        archive_number(a, &confirmation->versions);
        archive_word(a, &confirmation->line);
        archive_owned(a, &confirmation->author, false);
        patient->confirmations_count = a->writing ? count : i + 1;
    }
}

static void archive_references(struct archive *a, struct references *references)
{
    size_t count = archive_count(a, references->count);
    if (!a->writing && count > 0)
        references->items = grow_short(NULL, count, &references->capacity, sizeof references->items[0]);
    for (size_t i = 0; i < count && !a->bad; i++) {
        struct reference *reference = &references->items[i];
        if (!a->writing)
            *reference = (struct reference){0};
        archive_parameter(a, &reference->parameter);
        archive_signed(a, &reference->value);
        archive_instant(a, &reference->from_ms);
        archive_owned(a, &reference->name, false);
        archive_owned(a, &reference->author, false);
        references->count = a->writing ? count : i + 1;
        if (!a->writing && i > 0 && reference_compare(reference - 1, reference) >= 0)
            archive_fault(a);
    }
}

static void archive_registry(struct archive *a, struct patient *patient)
{
    archive_instant(a, &patient->enrolled_at_ms);
    archive_instant(a, &patient->left_at_ms);
    archive_owned(a, &patient->left_reason, true);
    archive_memberships(a, patient);
    archive_zones(a, patient);
    archive_confirmations(a, patient);
    archive_references(a, &patient->references);
    archive_rulebook(a, &patient->own, &a->own);
}

/* ---- a patient: what came and what was decided ---- */

static void archive_all_series(struct archive *a, struct patient *patient)
{
    size_t count = archive_count(a, patient->series_count);
    if (!a->writing && count > 0)
        patient->series = grow_short(NULL, count, &patient->series_capacity, sizeof patient->series[0]);
    for (size_t i = 0; i < count && !a->bad; i++) {
        struct series *series = archive_series(a, a->writing ? patient->series[i].series : NULL);
        if (a->writing || series == NULL)
            continue;
        if (patient_series(patient, series->parameter) != NULL)
            archive_fault(a);
        patient->series[patient->series_count++] = (struct patient_series){series, series->parameter};
    }
}

static void archive_tracks(struct archive *a, struct patient *patient)
{
    size_t count = archive_count(a, patient->tracks_count);
    if (!a->writing && count > 0)
        patient->tracks = grow_short(NULL, count, &patient->tracks_capacity, sizeof patient->tracks[0]);
    for (size_t i = 0; i < count && !a->bad; i++) {
        struct track *track = archive_track(a, a->writing ? patient->tracks[i] : NULL);
        if (a->writing || track == NULL)
            continue;
        if (i >= RULES_PER_PATIENT_MAX ||
            (i > 0 && strcmp(patient->tracks[i - 1]->rule_id, track->rule_id) >= 0))
            archive_fault(a);
        patient->tracks[patient->tracks_count++] = track;
    }
}

static void archive_technicals(struct archive *a, struct patient *patient)
{
    size_t count = archive_count(a, patient->technicals_count);
    if (!a->writing && count > 0)
        patient->technicals =
            grow_short(NULL, count, &patient->technicals_capacity, sizeof patient->technicals[0]);
    for (size_t i = 0; i < count && !a->bad; i++) {
        struct technical *technical = archive_technical(a, a->writing ? patient->technicals[i] : NULL);
        if (!a->writing && technical != NULL)
            patient->technicals[patient->technicals_count++] = technical;
    }
}

/* The patient's numbers follow on, so a patient is found by its difference to the one before. */
static struct patient *archive_head(struct archive *a, struct patient *patient)
{
    char ref[REF_BYTES_MAX + 1], organization[REF_BYTES_MAX + 1];
    struct engine *engine = a->engine;
    int64_t id = a->writing ? patient->patient_id : 0;
    archive_signed(a, &id);
    if (a->writing) {
        archive_text_of(a, patient->ref);
        archive_text_of(a, patient->organization);
        return patient;
    }
    archive_chars(a, ref, sizeof ref);
    archive_chars(a, organization, sizeof organization);
    size_t count = engine->patients_count;
    if (count > 0 && engine->patients[count - 1]->patient_id >= id)
        archive_fault(a);
    if (a->bad)
        return NULL;
    patient = patient_new(engine, id, ref, organization);
    patient->dormant = true;
    engine->dormant++;
    return patient;
}

static void archive_noted(struct archive *a, struct patient *patient)
{
    bool noted = patient->noted;
    archive_bool(a, &noted);
    if (!a->writing && noted)
        unconfirmed_note(a->engine, patient);
}

static void archive_patient(struct archive *a, struct patient *patient)
{
    a->patient = NULL;
    patient = archive_head(a, patient);
    if (patient == NULL)
        return;
    a->patient = patient;
    archive_names(a, &patient->names);
    archive_registry(a, patient);
    archive_all_series(a, patient);
    archive_device_log(a, &patient->devices);
    archive_tracks(a, patient);
    archive_technicals(a, patient);
    archive_noted(a, patient);
    int64_t due_ms = a->writing ? patient_due_ms(patient) : 0;
    archive_instant(a, &due_ms);
    if (!a->writing && !a->bad) {
        patient_link(patient);
        patient->due_ms = due_ms;
        if (due_ms != patient_due_ms(patient)) /* it follows from the rest */
            archive_fault(a);
    }
}

/* Index of the first patient with a greater number. */
static size_t patient_behind(const struct engine *engine, int64_t id)
{
    size_t low = 0, high = engine->patients_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (engine->patients[middle]->patient_id <= id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

unsigned engine_save_patients(struct archive *archive, int64_t *last_id, unsigned patients_max,
                              size_t bytes_max, struct buffer *out)
{
    struct engine *engine = archive->engine;
    size_t first = patient_behind(engine, *last_id), index = first, begin = out->size;
    begin_writing(archive, out);
    for (; index < engine->patients_count && index - first < patients_max &&
           (index == first || out->size - begin < bytes_max);
         index++)
        archive_patient(archive, engine->patients[index]);
    if (index > first)
        *last_id = engine->patients[index - 1]->patient_id;
    return (unsigned)(index - first);
}

enum err engine_load_patients(struct archive *archive, unsigned count, const void *data, size_t size)
{
    begin_reading(archive, data, size);
    for (unsigned i = 0; i < count && !archive->bad; i++)
        archive_patient(archive, NULL);
    return archive->bad || archive->at != archive->end ? ERR_CORRUPT : OK;
}

void engine_wake_patients(struct engine *engine, int64_t after_id, int64_t last_id)
{
    for (size_t i = patient_behind(engine, after_id);
         i < engine->patients_count && engine->patients[i]->patient_id <= last_id; i++) {
        struct patient *patient = engine->patients[i];
        if (!patient->dormant)
            continue; /* enrolled since */
        int64_t due_ms = patient->due_ms;
        patient->dormant = false;
        engine->dormant--;
        patient->due_ms = INT64_MAX;
        if (due_ms != INT64_MAX)
            timers_set(engine, patient, due_ms);
    }
    shelves_refresh(engine);
}
