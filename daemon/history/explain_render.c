/* explain_render: an explanation as JSON. The events are the bytes that the engine gave. */
#include <string.h>

#include "daemon/history/explain.h"
#include "daemon/model/parameter.h"

static void boolean_member(struct buffer *json, const char *key, bool value)
{
    render_key(json, key);
    render_boolean(json, value);
}

static void measure_members(struct buffer *json, const struct explained_step *step)
{
    render_instant_member(json, "measured_at", step->measured_ms);
    render_instant_member(json, "received_at", step->received_ms);
    if (step->parameter >= PARAMETER_COUNT) {
        render_text_member(json, "phase", reading_phase_text((enum device_phase)step->value));
        return;
    }
    const struct parameter_row *row = parameter_row((enum parameter)step->parameter);
    render_text_member(json, "parameter", row->name);
    render_key(json, "value");
    render_decimal(json, step->value);
    render_text_member(json, "unit", row->unit);
    if (step->comparator != COMPARATOR_NONE)
        render_text_member(json, "comparator", reading_comparator_text((enum comparator)step->comparator));
    render_text_member(json, "status", reading_status_text((enum reading_status)step->status));
    if (step->quarantine != QUARANTINE_NONE)
        render_text_member(json, "quarantine",
                           reading_quarantine_text((enum quarantine_reason)step->quarantine));
}

static void judged_members(struct buffer *json, const struct explained_step *step)
{
    boolean_member(json, "late", step->late);
    render_text_member(json, "layer", step->layer);
    if (step->layer != NULL) {
        render_integer_member(json, "version", step->version);
        render_instant_member(json, "in_force_from", step->in_force_from_ms);
    }
    if (step->compared != NULL) {
        render_key(json, step->compared);
        if (strcmp(step->compared, "counted") == 0)
            render_integer(json, step->against);
        else
            render_decimal(json, step->against);
    }
    boolean_member(json, "breach", step->breach);
    render_integer_member(json, "run", step->run);
    render_text_member(json, "decided", step->decided);
    render_text_member(json, "priority", priority_word(step->priority));
}

static void render_step(struct buffer *json, const struct explained_step *step)
{
    render_open(json, '{');
    render_text_member(json, "step", step->source == STEP_JUDGED ? "judged" : "received");
    measure_members(json, step);
    if (step->source == STEP_JUDGED)
        judged_members(json, step);
    render_close(json, '}');
}

/* The days that a rule of days rests on, as the last event has them. */
static void render_days(struct buffer *json, const struct explanation *explanation)
{
    const json_t *days = json_object_get(explanation->last, "days");
    size_t index;
    json_t *day;
    json_array_foreach(days, index, day)
    {
        char *text = json_dumps(day, JSON_COMPACT);
        render_open(json, '{');
        render_text_member(json, "step", "day");
        render_key(json, "day");
        render_raw(json, text, strlen(text));
        render_close(json, '}');
        free(text);
    }
}

static void render_differences(struct buffer *json, const struct explanation *explanation)
{
    render_key(json, "differences");
    render_open(json, '[');
    for (size_t i = 0; i < explanation->events_count; i++) {
        const struct explained_event *event = &explanation->events[i];
        bool both = event->published != NULL && event->again != NULL;
        if (both && strcmp(event->published, event->again) == 0)
            continue;
        render_open(json, '{');
        render_integer_member(json, "sequence", event->sequence);
        render_text_member(json, "what",
                           both                   ? "bytes"
                           : event->again == NULL ? "not recomputed"
                                                  : "not published");
        render_close(json, '}');
    }
    render_close(json, ']');
}

void explanation_render(const struct explanation *explanation, struct buffer *json)
{
    char id[UUID_TEXT + 1];
    uuid_format(explanation->episode_id, id);
    render_open(json, '{');
    render_text_member(json, "episode_id", id);
    boolean_member(json, "equal", explanation->equal);
    render_text_member(json, "patient", explanation->past->patient_id == 0 ? NULL : explanation->past->ref);
    render_text_member(json, "rule", explanation->rule_id);
    render_key(json, "events");
    render_open(json, '[');
    for (size_t i = 0; i < explanation->events_count; i++)
        if (explanation->events[i].again != NULL)
            render_raw(json, explanation->events[i].again, strlen(explanation->events[i].again));
    render_close(json, ']');
    render_differences(json, explanation);
    render_key(json, "steps");
    render_open(json, '[');
    render_days(json, explanation);
    for (size_t i = 0; i < explanation->steps_count; i++)
        render_step(json, &explanation->steps[i]);
    render_close(json, ']');
    render_close(json, '}');
}
