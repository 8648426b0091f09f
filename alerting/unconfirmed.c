/* unconfirmed: a rule waits when it would be in force by a confirmation of this instant: the timeline that
 * the patient then had is built and asked, where nothing is in force. */
#include "alerting/unconfirmed.h"

#include <string.h>

#include "alerting/episodes.h"
#include "alerting/grow.h"
#include "alerting/patient.h"
#include "alerting/technical.h"

enum { UNCONFIRMED_LISTED_MAX = 1000 };

/* ---- one patient ---- */

static bool may_wait(const struct definition *definition)
{
    for (size_t i = 0; i < definition->count; i++)
        if (definition->versions[i]->needs_physician && !rule_is_silence(definition->versions[i]->rule))
            return true;
    return false;
}

static bool is_none(const struct segment *segment)
{
    return segment == NULL || segment->state == SEGMENT_NONE;
}

static void take_next(const struct timeline *timeline, int64_t at_ms, int64_t *again_ms)
{
    const struct segment *next = timeline_after(timeline, at_ms);
    if (next != NULL && next->from_ms < *again_ms)
        *again_ms = next->from_ms;
}

struct question { /* what a confirmation at the instant would change */
    const struct patient *patient;
    struct rule_subject confirmed;
    int64_t at_ms;
    int64_t *again_ms;
};

/* What is in force needs no second timeline: it is the usual case, of everybody at once when a line's rule
 * changes. */
static bool waits(const struct question *question, const char *rule_id)
{
    const struct track *track = patient_track(question->patient, rule_id);
    const struct timeline none = {0}, *is = track == NULL ? &none : &track->timeline;
    struct timeline would_be = {0};
    take_next(is, question->at_ms, question->again_ms);
    if (!is_none(timeline_at(is, question->at_ms)))
        return false;
    timeline_build(&would_be, &question->confirmed, rule_id);
    const struct segment *segment = timeline_at(&would_be, question->at_ms);
    bool answer = segment != NULL && segment->state == SEGMENT_ON;
    take_next(&would_be, question->at_ms, question->again_ms);
    timeline_deinit(&would_be);
    return answer;
}

/* The organisation's rules, then those of the line that are none of the organisation's. */
static unsigned ask_layer(const struct engine *engine, const struct question *question,
                          const struct membership *member, enum rule_layer layer, unconfirmed_take *take,
                          void *context)
{
    char text[2 * REF_BYTES_MAX + 2];
    unsigned count = 0;
    const char *scope = subject_scope(&question->confirmed, layer, member, text);
    for (size_t i = rulebook_first(&engine->rules, layer, scope); i < engine->rules.count; i++) {
        const struct definition *definition = engine->rules.items[i], *other;
        if (definition->layer != layer || strcmp(definition->scope, scope) != 0)
            break;
        other = rulebook_find(&engine->rules, LAYER_ORGANIZATION, question->confirmed.organization,
                              definition->rule_id);
        bool told = layer == LAYER_LINE && other != NULL && may_wait(other);
        if (told || !may_wait(definition) || !waits(question, definition->rule_id))
            continue;
        count++;
        if (take != NULL)
            take(context, definition->rule_id);
    }
    return count;
}

unsigned unconfirmed_rules(const struct engine *engine, const struct patient *patient, int64_t at_ms,
                           unconfirmed_take *take, void *context, int64_t *ret_again_ms)
{
    const struct membership *member = patient_membership(patient, at_ms);
    size_t count = patient->confirmations_count;
    struct confirmation *confirmations = zeroed((count + 1) * sizeof confirmations[0]);
    struct question question = {.patient = patient,
                                .confirmed = patient_subject(engine, patient),
                                .at_ms = at_ms,
                                .again_ms = ret_again_ms};
    *ret_again_ms = INT64_MAX;
    if (count > 0)
        memcpy(confirmations, patient->confirmations, count * sizeof confirmations[0]);
    confirmations[count] =
        (struct confirmation){.from_ms = at_ms, .commit_ms = INT64_MAX, .line = member->line};
    question.confirmed.confirmations = confirmations;
    question.confirmed.confirmations_count = count + 1;
    unsigned waiting = 0;
    for (unsigned layer = LAYER_ORGANIZATION; layer < LAYER_COUNT; layer++)
        waiting += ask_layer(engine, &question, member, (enum rule_layer)layer, take, context);
    slab_give(confirmations);
    return waiting;
}

void unconfirmed_look(struct engine *engine, struct patient *patient, int64_t at_ms)
{
    int64_t again_ms;
    if (at_ms >= patient->left_at_ms)
        return;
    bool waiting = unconfirmed_rules(engine, patient, at_ms, NULL, NULL, &again_ms) > 0;
    technical_fact(engine, patient, TECHNICAL_UNCONFIRMED, waiting, at_ms, again_ms);
}

/* ---- when ---- */

void unconfirmed_note(struct engine *engine, struct patient *patient)
{
    if (patient->noted)
        return;
    patient->noted = true;
    engine->noted =
        grow(engine->noted, engine->noted_count + 1, &engine->noted_capacity, sizeof engine->noted[0]);
    engine->noted[engine->noted_count++] = patient;
}

/* A patient that sleeps was looked at by then, or waits for a later set. */
void unconfirmed_look_at_noted(struct engine *engine)
{
    size_t kept = 0;
    for (size_t i = 0; i < engine->noted_count; i++) {
        struct patient *patient = engine->noted[i];
        if (patient->dormant) {
            engine->noted[kept++] = patient;
            continue;
        }
        patient->noted = false;
        unconfirmed_look(engine, patient, engine->unit.now_ms);
        patient_schedule(engine, patient);
    }
    engine->noted_count = kept;
}

/* ---- the list ---- */

static void take_rule(void *context, const char *rule_id)
{
    render_text(context, rule_id);
}

static void list_patient(const struct engine *engine, const struct patient *patient,
                         const struct episode *open, struct buffer *out)
{
    const struct {
        const char *key, *text;
    } texts[] = {{"patient", patient->ref},
                 {"organization", patient->organization},
                 {"line", patient_membership(patient, engine->now_ms)->line}};
    int64_t again_ms;
    render_open(out, '{');
    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        render_key(out, texts[i].key);
        render_text(out, texts[i].text);
    }
    render_key(out, "since");
    render_instant(out, open->story.items[0].at_ms);
    render_key(out, "rules");
    render_open(out, '[');
    (void)unconfirmed_rules(engine, patient, engine->now_ms, take_rule, out, &again_ms);
    render_close(out, ']');
    render_close(out, '}');
}

static const struct episode *alert_of(const struct patient *patient)
{
    for (size_t i = 0; i < patient->technicals_count; i++)
        if (patient->technicals[i]->ledger.technical == TECHNICAL_UNCONFIRMED)
            return ledger_open_episode(&patient->technicals[i]->ledger);
    return NULL;
}

void unconfirmed_list(const struct engine *engine, struct buffer *out)
{
    unsigned listed = 0;
    render_open(out, '{');
    render_key(out, "total");
    render_integer(out, engine->unconfirmed);
    render_key(out, "patients");
    render_open(out, '[');
    for (size_t i = 0; i < engine->patients_count && listed < UNCONFIRMED_LISTED_MAX; i++) {
        const struct episode *open = alert_of(engine->patients[i]);
        if (open == NULL)
            continue;
        list_patient(engine, engine->patients[i], open, out);
        listed++;
    }
    render_close(out, ']');
    render_close(out, '}');
}
