/* show: what is in force for a patient, as JSON: one object a rule, in force or waiting. */
#include "alerting/commands.h"
#include "alerting/patient.h"
#include "alerting/unconfirmed.h"

#include <string.h>

static void show_version(struct buffer *out, const struct segment *segment)
{
    const struct rule_version *version = segment->version;
    render_key(out, "version");
    render_integer(out, version->number);
    render_text_member(out, "layer", rule_layer_word(version->layer));
    render_text_member(out, "kind", rule_kind(version->rule));
    render_key(out, "enabled");
    render_boolean(out, version->rule->enabled);
    if (rule_kind_has_parameter(version->rule->kind))
        render_text_member(out, "parameter", parameter_row(version->rule->parameter)->name);
    render_key(out, "in_force_from");
    render_instant(out, segment->from_ms);
    render_key(out, "valid_from");
    render_instant(out, version->valid_from_ms);
    render_text_member(out, "author", version->author);
    render_text_member(out, "role", version->role);
    render_text_member(out, "reason", version->reason);
    render_key(out, "text");
    render_open(out, '{');
    render_text_member(out, "fr", version->rule->text_fr);
    render_text_member(out, "en", version->rule->text_en);
    render_close(out, '}');
    render_key(out, "parameters");
    render_raw(out, version->rule->parameters_json, strlen(version->rule->parameters_json));
}

static void show_track(struct buffer *out, const struct track *track, int64_t now_ms)
{
    const struct segment *segment = timeline_at(&track->timeline, now_ms);
    const struct segment *next = timeline_after(&track->timeline, now_ms);
    bool in_force = segment != NULL && segment->version != NULL;
    if (!in_force && (next == NULL || next->version == NULL))
        return;
    render_open(out, '{');
    render_text_member(out, "rule", track->rule_id);
    render_text_member(out, "id", track->rule_id);
    render_key(out, "in_force");
    render_boolean(out, in_force && segment->state == SEGMENT_ON);
    show_version(out, in_force ? segment : next);
    render_close(out, '}');
}

static void show_waiting_rule(void *context, const char *rule_id)
{
    render_text(context, rule_id);
}

/* Rules of the patient's line and organisation that wait for a physician: nobody is silently unwatched. */
static void show_waiting(const struct engine *engine, const struct patient *patient, struct buffer *out)
{
    int64_t again_ms;
    render_key(out, "waiting");
    render_open(out, '[');
    if (engine->now_ms < patient->left_at_ms)
        (void)unconfirmed_rules(engine, patient, engine->now_ms, show_waiting_rule, out, &again_ms);
    render_close(out, ']');
}

void show_patient(const struct engine *engine, const struct patient *patient, struct buffer *out)
{
    render_open(out, '{');
    render_text_member(out, "patient", patient->ref);
    render_text_member(out, "organization", patient->organization);
    render_text_member(out, "line", patient_membership(patient, engine->now_ms)->line);
    render_key(out, "enrolled_at");
    render_instant(out, patient->enrolled_at_ms);
    render_key(out, "left_at");
    render_instant(out, patient->left_at_ms == INT64_MAX ? INSTANT_NONE : patient->left_at_ms);
    render_key(out, "rules");
    render_open(out, '[');
    for (size_t i = 0; i < patient->tracks_count; i++)
        show_track(out, patient->tracks[i], engine->now_ms);
    render_close(out, ']');
    show_waiting(engine, patient, out);
    render_close(out, '}');
}
