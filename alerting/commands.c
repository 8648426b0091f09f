/* commands: a table of kinds. Every function reads its fields, refuses what the rules refuse, changes the
 * state and brings the patients concerned up to date, in the order of their numbers. */
#include "alerting/commands.h"

#include <stdlib.h>
#include <string.h>

#include "alerting/command_episode.h"
#include "alerting/command_fields.h"
#include "alerting/command_quarantine.h"
#include "alerting/command_rule.h"
#include "alerting/day_track.h"
#include "alerting/episodes.h"
#include "alerting/grow.h"
#include "alerting/patient.h"
#include "alerting/rule_scope.h"
#include "alerting/silence.h"
#include "alerting/technical.h"
#include "alerting/track.h"
#include "alerting/unconfirmed.h"

enum { SUSPENSION_DAYS_MAX = 31, SUSPENSION_WINDOW_DAYS = 62 };
static const int64_t DAY_MS = 86400000;

/* ------------------------------------------------------------------------------------------------- patients
 */

const struct zone *engine_zone(struct engine *engine, const char *name)
{
    for (size_t i = 0; i < engine->zones_count; i++)
        if (strcmp(zone_name(engine->zones[i]), name) == 0)
            return engine->zones[i];
    struct zone *zone;
    if (zone_load(name, &zone) != OK)
        return NULL;
    engine->zones =
        grow(engine->zones, engine->zones_count + 1, &engine->zones_capacity, sizeof engine->zones[0]);
    return engine->zones[engine->zones_count++] = zone;
}

static bool line_has_silence(const struct engine *engine, const char *line)
{
    for (size_t i = rulebook_first(&engine->rules, LAYER_LINE, line); i < engine->rules.count; i++) {
        const struct definition *definition = engine->rules.items[i];
        if (definition->layer != LAYER_LINE || strcmp(definition->scope, line) != 0)
            return false;
        for (size_t v = 0; v < definition->count; v++)
            if (rule_is_silence(definition->versions[v]->rule) && !definition->versions[v]->rule->inherit)
                return true;
    }
    return false;
}

static void set_membership(struct engine *engine, struct patient *patient, const char *line, const char *team,
                           int64_t commit_ms)
{
    size_t count = patient->memberships_count;
    if (count > 0 && strcmp(patient->memberships[count - 1].line, line) == 0 &&
        strcmp(patient->memberships[count - 1].team, team) == 0)
        return;
    patient->memberships = grow_short(patient->memberships, count + 1, &patient->memberships_capacity,
                                      sizeof patient->memberships[0]);
    patient->memberships[patient->memberships_count++] =
        (struct membership){count == 0 ? INT64_MIN : commit_ms, words_keep(&engine->words, line),
                            words_keep(&engine->words, team)};
}

static void set_zone(struct patient *patient, const struct zone *zone, int64_t commit_ms)
{
    size_t count = patient->zones_count;
    if (count > 0 && patient->zones[count - 1].zone == zone)
        return;
    patient->zones =
        grow_short(patient->zones, count + 1, &patient->zones_capacity, sizeof patient->zones[0]);
    patient->zones[patient->zones_count++] = (struct zone_from){count == 0 ? INT64_MIN : commit_ms, zone};
}

/* Line, team and organisation together must not bring more rules than a patient may have. */
static void check_rules_of(const struct engine *engine, struct fields *fields, const struct patient *patient,
                           const char *organization, const struct membership *member)
{
    static const struct rulebook none = {0};
    struct rule_subject subject = {.shared = &engine->rules,
                                   .own = patient == NULL ? &none : &patient->own,
                                   .organization = organization};
    if (rule_scope_count(&subject, member, NULL) > RULES_PER_PATIENT_MAX)
        fields_refuse(fields, "line", member->line, "at most 64 rules a patient, of all layers together",
                      NULL);
}

static void carry_patient(struct engine *engine, struct fields *fields)
{
    int64_t patient_id = field_integer(fields, "patient_id", 0);
    const char *ref = field_ref(fields, "ref", NULL), *organization = field_ref(fields, "organization", NULL);
    const char *line = field_ref(fields, "line", NULL), *team = field_ref(fields, "team", "");
    const char *zone_text = field_text(fields, "time_zone", NULL);
    int64_t enrolled_ms = field_instant(fields, "enrolled_at", INSTANT_NONE);
    const struct zone *zone = fields_are_good(fields) ? engine_zone(engine, zone_text) : NULL;
    if (fields_are_good(fields) && zone == NULL)
        fields_refuse(fields, "time_zone", zone_text, "a time zone that the system has, e.g. Europe/Paris",
                      NULL);
    if (fields_are_good(fields) && !line_has_silence(engine, line))
        fields_refuse(fields, "line", line, "a line with a silence rule", "import the line's rules first");
    struct patient *patient = index_map_get(&engine->patients_by_id, (uint64_t)patient_id);
    if (fields_are_good(fields) && patient != NULL && patient->dormant)
        fields_pass(fields);
    if (fields_are_good(fields) && patient != NULL && strcmp(patient->organization, organization) != 0)
        fields_refuse(fields, "organization", organization,
                      "the same: a patient does not change organisation", NULL);
    if (fields_are_good(fields))
        check_rules_of(engine, fields, patient, organization, &(struct membership){INT64_MIN, line, team});
    if (!fields_are_good(fields))
        return;

    if (patient == NULL) {
        patient = patient_new(engine, patient_id, ref, organization);
        patient->enrolled_at_ms = fields->commit_ms;
    } else if (enrolled_ms == INSTANT_NONE) {
        enrolled_ms = patient->enrolled_at_ms;
    }
    if (enrolled_ms != INSTANT_NONE)
        patient->enrolled_at_ms = enrolled_ms;
    set_membership(engine, patient, line, team, fields->commit_ms);
    set_zone(patient, zone, fields->commit_ms);
    patient_refresh(engine, patient);
    for (size_t i = 0; i < patient->tracks_count; i++)
        if (patient->tracks[i]->kind == RULE_SILENCE)
            silence_schedule(engine, patient->tracks[i]);
        else if (track_judges_days(patient->tracks[i]))
            day_track_schedule(patient->tracks[i]);
    patient_schedule(engine, patient);
    bool given = field_instant(fields, "enrolled_at", INSTANT_NONE) != INSTANT_NONE;
    fields_answer(fields, given ? fields->commit_ms : patient->enrolled_at_ms, patient->enrolled_at_ms,
                  false);
}

static struct patient *patient_of(struct engine *engine, struct fields *fields)
{
    int64_t patient_id = field_integer(fields, "patient_id", 0);
    struct patient *patient = index_map_get(&engine->patients_by_id, (uint64_t)patient_id);
    if (fields_are_good(fields) && patient == NULL)
        fields_not_found(fields, "patient_id");
    if (fields_are_good(fields) && patient->dormant)
        fields_pass(fields);
    return fields_are_good(fields) ? patient : NULL;
}

static void carry_left(struct engine *engine, struct fields *fields)
{
    int64_t at_ms = field_instant(fields, "at", INSTANT_NONE);
    const char *reason = field_text(fields, "reason", "");
    struct patient *patient = patient_of(engine, fields);
    if (patient == NULL)
        return;
    bool moved = at_ms != INSTANT_NONE && at_ms < fields->commit_ms;
    at_ms = at_ms == INSTANT_NONE || moved ? fields->commit_ms : at_ms;
    if (patient->left_at_ms == INT64_MAX || patient->left_at_ms > engine->unit.now_ms) {
        patient->left_at_ms = at_ms;
        slab_give(patient->left_reason);
        patient->left_reason = copied(reason);
        patient_refresh(engine, patient);
        if (at_ms <= engine->unit.now_ms)
            technical_close(engine, patient, at_ms);
        patient_schedule(engine, patient);
    }
    fields_answer(fields, fields->commit_ms, patient->left_at_ms, moved);
}

/* ------------------------------------------------------------------------------- confirmations and the like
 */

static bool has_confirmation(const struct patient *patient, const struct confirmation *like)
{
    for (size_t i = 0; i < patient->confirmations_count; i++)
        if (patient->confirmations[i].asked_ms == like->asked_ms &&
            strcmp(patient->confirmations[i].line, like->line) == 0 &&
            strcmp(patient->confirmations[i].author, like->author) == 0)
            return true;
    return false;
}

static void carry_confirmation(struct engine *engine, struct fields *fields)
{
    const char *line = field_text(fields, "line", NULL), *author = field_text(fields, "author", NULL);
    const char *role = field_text(fields, "role", NULL);
    int64_t asked_ms = field_instant(fields, "from", INSTANT_NONE);
    struct patient *patient = patient_of(engine, fields);
    if (patient == NULL)
        return;
    if (strcmp(role, "physician") != 0) {
        fields_refuse(fields, "role", role, "physician", "a physician confirms the rules of a line");
        return;
    }
    bool moved = asked_ms != INSTANT_NONE && asked_ms < fields->commit_ms;
    int64_t from_ms = asked_ms == INSTANT_NONE || moved ? fields->commit_ms : asked_ms;
    struct confirmation confirmation = {from_ms, fields->commit_ms,        asked_ms, engine->rules.versions,
                                        line,    (char *)(uintptr_t)author};
    if (!has_confirmation(patient, &confirmation)) {
        confirmation.line = words_keep(&engine->words, line);
        confirmation.author = copied(author);
        patient->confirmations =
            grow_short(patient->confirmations, patient->confirmations_count + 1,
                       &patient->confirmations_capacity, sizeof patient->confirmations[0]);
        patient->confirmations[patient->confirmations_count++] = confirmation;
        patient_refresh(engine, patient);
        patient_schedule(engine, patient);
    }
    fields_answer(fields, fields->commit_ms, from_ms, moved);
}

static void carry_reference(struct engine *engine, struct fields *fields)
{
    const char *name = field_text(fields, "name", "reference"), *author = field_text(fields, "author", "");
    int64_t from_ms = field_instant(fields, "from", fields->commit_ms);
    enum parameter parameter = field_parameter(fields, "parameter");
    int64_t value = field_value(fields, parameter);
    struct patient *patient = patient_of(engine, fields);
    if (patient == NULL)
        return;
    struct reference reference = {parameter, value, from_ms, (char *)(uintptr_t)name,
                                  (char *)(uintptr_t)author};
    patient_refer(engine, patient, &reference);
    fields_answer(fields, fields->commit_ms, from_ms, false);
}

/* More than 31 days in any 62, the asked one included. */
static bool is_too_long(const struct spans *held, int64_t from_ms, int64_t until_ms)
{
    struct spans all = {0};
    bool too_long = false;
    for (size_t i = 0; i < held->count; i++)
        spans_add(&all, held->items[i].from_ms, held->items[i].to_ms);
    spans_add(&all, from_ms, until_ms);
    for (size_t i = 0; i < all.count; i++) {
        int64_t end_ms = all.items[i].to_ms, begin_ms = all.items[i].from_ms;
        too_long |= spans_covered(&all, end_ms - SUSPENSION_WINDOW_DAYS * DAY_MS, end_ms) >
                    SUSPENSION_DAYS_MAX * DAY_MS;
        too_long |= spans_covered(&all, begin_ms, begin_ms + SUSPENSION_WINDOW_DAYS * DAY_MS) >
                    SUSPENSION_DAYS_MAX * DAY_MS;
    }
    spans_deinit(&all);
    return too_long;
}

static void carry_suspension(struct engine *engine, struct fields *fields)
{
    const char *rule = field_text(fields, "rule", NULL), *role = field_text(fields, "role", "");
    const char *author = field_text(fields, "author", NULL), *reason = field_text(fields, "reason", NULL);
    int64_t from_ms = field_instant(fields, "from", fields->commit_ms);
    int64_t until_ms = field_instant(fields, "until", INSTANT_NONE);
    struct patient *patient = patient_of(engine, fields);
    if (patient == NULL)
        return;
    struct track *track = patient_track(patient, rule);
    bool moved = from_ms < fields->commit_ms;
    from_ms = moved ? fields->commit_ms : from_ms;
    if (track == NULL || track->kind != RULE_SILENCE)
        fields_refuse(fields, "rule", rule, "a silence rule of the patient", "rules show names it");
    else if (author[0] == '\0' || reason[0] == '\0')
        fields_refuse(fields, "reason", reason, "an author and a reason", NULL);
    else if (until_ms == INSTANT_NONE || until_ms <= from_ms)
        fields_refuse(fields, "until", "none, or not after its beginning", "an end after the beginning",
                      NULL);
    else if (until_ms - fields->commit_ms > SUSPENSION_DAYS_MAX * DAY_MS)
        fields_refuse(fields, "until", "more than 31 days away", "at most 31 days away",
                      "renew it before its end");
    else if (strcmp(role, "physician") != 0 && is_too_long(&track->silence->suspensions, from_ms, until_ms))
        fields_refuse(fields, "until", "more than 31 days in 62", "role physician",
                      "a physician may suspend longer");
    if (!fields_are_good(fields))
        return;
    if (is_too_long(&track->silence->suspensions, from_ms, until_ms))
        technical_suspended(engine, patient, until_ms);
    silence_suspend(engine, track, from_ms, until_ms, author, reason);
    patient_schedule(engine, patient);
    fields_answer(fields, fields->commit_ms, from_ms, moved);
}

/* --------------------------------------------------------------------------------------------------- others
 */

static void carry_registry(struct engine *engine, struct fields *fields)
{
    int64_t version = field_integer(fields, "version", 0);
    if (!fields_are_good(fields))
        return;
    if (version > engine->registry_version)
        engine->registry_version = version;
    unconfirmed_look_at_noted(engine);
    fields_answer(fields, fields->commit_ms, fields->commit_ms, false);
}

static void carry_unconfirmed(struct engine *engine, struct fields *fields)
{
    buffer_clear(&fields->command->reply);
    unconfirmed_list(engine, &fields->command->reply);
    fields->command->outcome = OK;
}

static const struct patient *patient_by_ref(const struct engine *engine, const char *ref)
{
    for (size_t i = 0; i < engine->patients_count; i++)
        if (strcmp(engine->patients[i]->ref, ref) == 0)
            return engine->patients[i];
    return NULL;
}

static void carry_show(struct engine *engine, struct fields *fields)
{
    const char *ref = field_text(fields, "patient", "");
    const struct patient *patient = ref[0] != '\0' ? patient_by_ref(engine, ref) : patient_of(engine, fields);
    if (!fields_are_good(fields))
        return;
    if (patient == NULL) {
        fields_not_found(fields, "patient");
        return;
    }
    buffer_clear(&fields->command->reply);
    show_patient(engine, patient, &fields->command->reply);
    fields->command->outcome = OK;
}

static bool holds_from(const struct patient *patient, const struct series *series, const char *device,
                       const int64_t from_to_ms[2])
{
    for (size_t i = 0; series != NULL && i < series_count(series); i++) {
        struct reading_key key;
        held_key(&series->held, i, &key);
        if (key.ms >= from_to_ms[0] && key.ms < from_to_ms[1] &&
            strcmp(names_text(&patient->names, key.device), device) == 0)
            return true;
    }
    return false;
}

/* Whether a reading or event of the device, measured in [from, to), is held: what PostgreSQL may not have
 * yet. */
static void carry_received(struct engine *engine, struct fields *fields)
{
    const char *device = field_ref(fields, "device", NULL);
    const int64_t from_to_ms[2] = {field_instant(fields, "from", INT64_MIN),
                                   field_instant(fields, "to", INT64_MAX)};
    const struct patient *patient = patient_of(engine, fields);
    if (patient == NULL)
        return;
    bool received = device_log_has_from(patient->devices, &patient->names, device, from_to_ms);
    for (size_t i = 0; i < patient->series_count && !received; i++)
        received = holds_from(patient, patient->series[i].series, device, from_to_ms) ||
                   holds_from(patient, patient->series[i].series->aside, device, from_to_ms);
    buffer_clear(&fields->command->reply);
    buffer_text(&fields->command->reply, received ? "{\"received\":true}" : "{\"received\":false}");
    fields->command->outcome = OK;
}

static void carry_clock(struct engine *engine, struct fields *fields)
{
    fields_answer(fields, engine->unit.now_ms, engine->unit.now_ms,
                  false); /* the shard's tick has moved it */
}

/* The shards' ticks take the time over; here ends the alert, in the name of who confirmed. */
static void carry_clock_accept(struct engine *engine, struct fields *fields)
{
    const char *author = field_text(fields, "author", "");
    if (!fields_are_good(fields))
        return;
    if (engine->settings.shard == 0)
        technical_condition(engine, TECHNICAL_CLOCK_JUMP, PRIORITY_NONE,
                            &(struct technical_words){.reason = "accepted", .author = author});
    fields_answer(fields, fields->commit_ms, fields->commit_ms, false);
}

/* {"alert":"technical.disk","priority":"high","note":…}; without a priority the condition is over. */
static void carry_condition(struct engine *engine, struct fields *fields)
{
    const char *alert = field_text(fields, "alert", NULL), *note = field_text(fields, "note", "");
    const char *word = field_text(fields, "priority", "");
    if (!fields_are_good(fields))
        return;
    enum priority priority = priority_from_word(word);
    int row = technical_find(alert);
    if (row < 0 || (word[0] != '\0' && priority == PRIORITY_NONE)) {
        fields_refuse(fields, "alert", alert, "an alert of the node and a priority", NULL);
        return;
    }
    technical_condition(engine, row, priority, &(struct technical_words){.note = note});
    fields_answer(fields, fields->commit_ms, fields->commit_ms, false);
}

static void (*const carriers[COMMAND_COUNT])(struct engine *, struct fields *) = {
    [COMMAND_PATIENT] = carry_patient,
    [COMMAND_LEFT] = carry_left,
    [COMMAND_RULE] = command_rule,
    [COMMAND_CONFIRMATION] = carry_confirmation,
    [COMMAND_REFERENCE] = carry_reference,
    [COMMAND_SUSPENSION] = carry_suspension,
    [COMMAND_REGISTRY] = carry_registry,
    [COMMAND_ACKNOWLEDGE] = command_acknowledge,
    [COMMAND_UNCONFIRMED] = carry_unconfirmed,
    [COMMAND_HANDLE] = command_handle,
    [COMMAND_SHELVE] = command_shelve,
    [COMMAND_UNSHELVE] = command_unshelve,
    [COMMAND_CLOCK] = carry_clock,
    [COMMAND_SHOW] = carry_show,
    [COMMAND_CLOCK_ACCEPT] = carry_clock_accept,
    [COMMAND_CONDITION] = carry_condition,
    [COMMAND_RECEIVED] = carry_received,
    [COMMAND_RELEASE] = command_release,
    [COMMAND_DISCARD] = command_discard,
};

void commands_carry_out(struct engine *engine, struct command *command)
{
    struct fields fields;
    ensure(command->kind < COMMAND_COUNT && carriers[command->kind] != NULL);
    fields_init(&fields, command, engine->unit.now_ms);
    if (fields_are_good(&fields))
        carriers[command->kind](engine, &fields);
    /* Texts of the command are borrowed by what is published, so the fields live until then. */
    unit_publish(engine);
    fields_deinit(&fields);
}
