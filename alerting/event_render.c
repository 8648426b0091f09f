/* event_render: see event_render.h. The episode is shown as it stands after the event: its first `prefix`
 * transitions. Readings are looked up in the held series; what was let go since is counted no more. */
#include "alerting/event_render.h"

#include <string.h>

#include "alerting/episode_act.h"
#include "alerting/episodes.h"
#include "alerting/event_days.h"
#include "alerting/patient.h"
#include "alerting/technical.h"
#include "alerting/track.h"

enum {
    /* Of 16 KB: head 1, readings 32 x 120 = 4, rule and texts 4, author and note 4, priorities 64 x 40 = 3.
     */
    PRIORITIES_SHOWN_MAX = 64, /* first and last are kept */
};

static void uuid_member(struct buffer *json, const char *key, const uint8_t id[UUID_BYTES])
{
    char text[UUID_TEXT + 1];
    uuid_format(id, text);
    render_key(json, key);
    render_text(json, text);
}

static const char *side_word(enum rule_side side)
{
    return side == SIDE_NONE ? "" : side == SIDE_LOW ? "low" : "high";
}

/* Built-in rules have one version and no layer of the patient's. */
static void built_in_rule(struct buffer *json, const struct ledger *ledger)
{
    render_key(json, "version");
    render_integer(json, 1);
    render_text_member(json, "kind", "technical");
    render_text_member(json, "layer", "built-in");
    render_key(json, "parameters");
    render_open(json, '{');
    if (ledger->detail != NULL && ledger->patient != NULL)
        render_text_member(json, "reason", ledger->detail);
    render_close(json, '}');
    render_instant_member(json, "in_force_from", INSTANT_NONE);
}

/* The version in force; at the end of a rule the one that was in force before it. */
static const struct transition *ruling(const struct pending *pending)
{
    const struct story *story = &pending->episode->story;
    if (pending->basis.version != NULL)
        return &pending->basis;
    for (size_t i = pending->prefix; i > 0; i--)
        if (story->items[i - 1].version != NULL)
            return &story->items[i - 1];
    return &pending->basis;
}

static void rule_member(struct buffer *json, const struct pending *pending)
{
    const struct transition *basis = ruling(pending);
    render_key(json, "rule");
    render_open(json, '{');
    render_text_member(json, "id", pending->ledger->rule_id);
    if (pending->ledger->technical >= 0) {
        built_in_rule(json, pending->ledger);
    } else {
        const struct rule_version *version = basis->version;
        render_key(json, "version");
        render_integer(json, version->number);
        render_text_member(json, "kind", rule_kind(version->rule));
        render_text_member(json, "layer", rule_layer_word(version->layer));
        render_key(json, "parameters");
        if (version->rule->parameters_json == NULL)
            render_raw(json, "{}", 2);
        else
            render_raw(json, version->rule->parameters_json, strlen(version->rule->parameters_json));
        render_instant_member(json, "in_force_from", basis->in_force_from_ms);
    }
    render_close(json, '}');
}

static void parameter_member(struct buffer *json, enum parameter parameter)
{
    render_key(json, "parameter");
    if (parameter == PARAMETER_COUNT) {
        render_null(json);
        return;
    }
    const struct parameter_row *row = parameter_row(parameter);
    render_open(json, '{');
    render_text_member(json, "name", row->name);
    render_text_member(json, "loinc", row->loinc);
    render_text_member(json, "unit", row->unit);
    render_close(json, '}');
}

static void value_members(struct buffer *json, const struct transition *basis)
{
    render_key(json, "value");
    if (basis->has_reading)
        render_decimal(json, basis->value);
    else
        render_null(json);
    if (basis->has_reading && basis->comparator != COMPARATOR_NONE)
        render_text_member(json, "comparator", reading_comparator_text((enum comparator)basis->comparator));
    /* A technical alert is raised by a reading at its reception. */
    bool of_reading = basis->has_reading && basis->basis != BASIS_DAYS;
    render_instant_member(json, "measured_at", of_reading ? basis->deciding.ms : basis->at_ms);
    render_instant_member(json, "received_at", basis->received_ms);
}

/* ------------------------------------------------------------------------------------------------- evidence
 */

struct evidence {
    struct held first, last[EVENT_READINGS_MAX - 1]; /* the first, and a ring of the latest */
    size_t total;
};

static void evidence_add(struct evidence *evidence, const struct held *held)
{
    if (evidence->total == 0)
        evidence->first = *held;
    else
        evidence->last[(evidence->total - 1) % (EVENT_READINGS_MAX - 1)] = *held;
    evidence->total++;
}

/* Is the item at `index` of the key? */
static bool item_of_key(const struct series *series, size_t index, const struct reading_key *key,
                        struct held *ret)
{
    if (index >= series_count(series))
        return false;
    series_item(series, index, ret);
    return reading_key_equal(&ret->key, key);
}

/* The first number of an instant, as windows have it; any member when there is none. */
static void collect_at(struct evidence *evidence, const struct series *series, const struct names *names,
                       const struct reading_key *key)
{
    struct held held, found;
    bool any = false;
    for (size_t i = series_find(series, names, key); item_of_key(series, i, key, &held); i++)
        if ((held.flags & HELD_MEMBER) && (!any || found.comparator != COMPARATOR_NONE)) {
            found = held;
            any = true;
        }
    if (any)
        evidence_add(evidence, &found);
}

static void collect_exactly(struct evidence *evidence, const struct series *series, const struct names *names,
                            const struct transition *basis, unsigned flags)
{
    struct held held;
    for (size_t i = series_find(series, names, &basis->deciding);
         item_of_key(series, i, &basis->deciding, &held); i++)
        if (held.value == basis->value && held.comparator == basis->comparator &&
            (held.flags & flags) == flags) {
            evidence_add(evidence, &held);
            return;
        }
}

static void collect_reading(struct evidence *evidence, const struct series *series,
                            const struct pending *pending)
{
    collect_exactly(evidence, series, &pending->ledger->patient->names, &pending->basis, HELD_MEMBER);
}

static void collect_pair(struct evidence *evidence, const struct series *series,
                         const struct pending *pending)
{
    collect_at(evidence, series, &pending->ledger->patient->names, &pending->basis.first);
    collect_reading(evidence, series, pending);
}

static void collect_stretch(struct evidence *evidence, const struct series *series,
                            const struct pending *pending)
{
    const struct transition *basis = &pending->basis;
    const struct names *names = &pending->ledger->patient->names;
    struct held held;
    size_t end = series_find(series, names, &basis->deciding);
    while (item_of_key(series, end, &basis->deciding, &held))
        end++;
    for (size_t i = series_find(series, names, &basis->first); i < end; i++) {
        series_item(series, i, &held);
        if (held.flags & HELD_MEMBER)
            evidence_add(evidence, &held);
    }
}

struct counted {
    struct evidence *evidence;
    const struct series *series;
    const struct pending *pending;
};

/* The value of an occurrence: the deciding one, or the one that goes furthest. */
static void take_counted(void *context, const struct reading_key *key)
{
    struct counted *counted = context;
    const struct ledger *ledger = counted->pending->ledger;
    const struct names *names = &ledger->patient->names;
    struct held held, found;
    bool any = false;
    if (reading_key_equal(key, &counted->pending->basis.deciding)) {
        collect_reading(counted->evidence, counted->series, counted->pending);
        return;
    }
    for (size_t i = series_find(counted->series, names, key); item_of_key(counted->series, i, key, &held);
         i++)
        if ((held.flags & HELD_MEMBER) && (!any || ledger->side == SIDE_HIGH)) {
            found = held;
            any = true;
        }
    if (any)
        evidence_add(counted->evidence, &found);
}

/* The occurrences that were counted, and the reading that decided when it is none of them. */
static void collect_counted(struct evidence *evidence, const struct series *series,
                            const struct pending *pending)
{
    const struct ledger *ledger = pending->ledger;
    const struct transition *basis = &pending->basis;
    struct counted counted = {evidence, series, pending};
    track_counted(patient_track(ledger->patient, ledger->rule_id), ledger->side, series, basis, take_counted,
                  &counted);
    if (basis->kind == EVENT_CLEARED || basis->kind == EVENT_DEESCALATED)
        collect_reading(evidence, series, pending);
}

static void (*const collectors[BASIS_COUNT])(struct evidence *, const struct series *,
                                             const struct pending *) = {
    [BASIS_STRETCH] = collect_stretch,
    [BASIS_PAIR] = collect_pair,
    [BASIS_READING] = collect_reading,
    [BASIS_COUNTED] = collect_counted,
};

/* A technical alert rests on the one reading that raised it, which is no member of the series, and may be
 * kept aside. */
static void collect_cause(struct evidence *evidence, const struct series *series, const struct names *names,
                          const struct transition *basis)
{
    if (series != NULL && evidence->total == 0)
        collect_exactly(evidence, series, names, basis, 0);
}

static void render_reading(struct buffer *json, const struct engine *engine, const struct ledger *ledger,
                           const struct held *held)
{
    uint8_t id[UUID_BYTES];
    patient_reading_id(engine, ledger->patient, ledger->parameter, held, id);
    render_open(json, '{');
    uuid_member(json, "id", id);
    render_instant_member(json, "measured_at", held->key.ms);
    render_key(json, "value");
    render_decimal(json, held->value);
    if (held->comparator != COMPARATOR_NONE)
        render_text_member(json, "comparator", reading_comparator_text((enum comparator)held->comparator));
    render_close(json, '}');
}

static void readings_members(struct buffer *json, const struct engine *engine, const struct pending *pending)
{
    struct evidence evidence;
    evidence.total = 0;
    const struct patient *patient = pending->ledger->patient;
    const struct transition *basis = &pending->basis;
    const struct series *series =
        patient == NULL || !basis->has_reading ? NULL : patient_series(patient, pending->ledger->parameter);
    if (series != NULL && pending->ledger->technical >= 0) {
        collect_cause(&evidence, series->aside, &patient->names, basis);
        collect_cause(&evidence, series, &patient->names, basis);
    } else if (series != NULL && basis->basis != BASIS_DAYS) {
        collectors[basis->basis](&evidence, series, pending);
    }

    render_key(json, "readings");
    render_open(json, '[');
    if (evidence.total > 0)
        render_reading(json, engine, pending->ledger, &evidence.first);
    size_t latest = evidence.total == 0 ? 0 : evidence.total - 1;
    for (size_t i = latest < EVENT_READINGS_MAX - 1 ? 0 : latest - (EVENT_READINGS_MAX - 1); i < latest; i++)
        render_reading(json, engine, pending->ledger, &evidence.last[i % (EVENT_READINGS_MAX - 1)]);
    render_close(json, ']');
    render_key(json, "readings_total");
    render_integer(json, (int64_t)evidence.total);
}

/* A rule of the kind `reference`: the one in force where it decided. */
static void reference_member(struct buffer *json, const struct pending *pending)
{
    const struct ledger *ledger = pending->ledger;
    const struct rule *rule = ledger->technical >= 0 ? NULL : ruling(pending)->version->rule;
    if (rule == NULL || rule->kind != RULE_REFERENCE || !pending->basis.has_reading)
        return;
    const struct reference *reference = references_at(&ledger->patient->references, ledger->parameter,
                                                      rule->reference.name, pending->basis.deciding.ms);
    if (reference == NULL)
        return;
    render_key(json, "reference");
    render_open(json, '{');
    render_text_member(json, "name", reference->name);
    render_key(json, "value");
    render_decimal(json, reference->value);
    render_instant_member(json, "from", reference->from_ms);
    render_text_member(json, "author", reference->author);
    render_close(json, '}');
}

/* A device's own alarm, as its maker classified it: the message that decided, or the last one before what
 * did. */
static void device_event_member(struct buffer *json, const struct pending *pending)
{
    const struct ledger *ledger = pending->ledger;
    const struct transition *message = &pending->basis, *first = pending->episode->story.items;
    if (ledger->class != ALERT_DEVICE)
        return;
    for (size_t i = pending->prefix; message->first.device == 0 && i > 0; i--)
        message = &first[i - 1];
    const struct names *names = &ledger->patient->names;
    render_key(json, "device_event");
    render_open(json, '{');
    render_text_member(json, "device", names_text(names, message->deciding.device));
    render_text_member(json, "episode", names_text(names, message->deciding.sensor));
    render_text_member(json, "class", names_text(names, message->first.device));
    render_text_member(json, "phase", reading_phase_text((enum device_phase)message->value));
    render_instant_member(json, "measured_at", message->deciding.ms);
    render_close(json, '}');
}

/* -------------------------------------------------------------------------------------------------- episode
 */

static bool shows_priority(const struct transition *transition)
{
    return transition->kind != EVENT_CLEARED && transition->kind != EVENT_CLOSED;
}

static void priorities_member(struct buffer *json, const struct pending *pending)
{
    const struct transition *items = pending->episode->story.items;
    size_t skip_to = pending->prefix > PRIORITIES_SHOWN_MAX ? pending->prefix - PRIORITIES_SHOWN_MAX + 1 : 0;
    render_key(json, "priorities");
    render_open(json, '[');
    for (size_t i = 0; i < pending->prefix; i++) {
        if (!shows_priority(&items[i]) || (i > 0 && i < skip_to))
            continue;
        render_open(json, '[');
        render_instant(json, items[i].at_ms);
        render_text(json, priority_word(items[i].priority));
        render_close(json, ']');
    }
    render_close(json, ']');
}

static void episode_members(struct buffer *json, const struct pending *pending)
{
    const struct story *story = &pending->episode->story;
    const struct transition *last = &story->items[pending->prefix - 1];
    bool over = !shows_priority(last);
    const char *state = pending->cancelled           ? "cancelled"
                        : !over                      ? "open"
                        : last->kind == EVENT_CLOSED ? "closed"
                                                     : "cleared";
    render_instant_member(json, "raised_at", story->items[0].at_ms);
    render_instant_member(json, "cleared_at", over ? last->at_ms : INSTANT_NONE);
    render_text_member(json, "state", state);
    priorities_member(json, pending);
}

static void text_members(struct buffer *json, const struct pending *pending)
{
    const struct transition *basis = ruling(pending);
    const struct technical_row *row =
        pending->ledger->technical >= 0 ? technical_row(pending->ledger->technical) : NULL;
    render_key(json, "text");
    render_open(json, '{');
    render_text_member(json, "fr", row != NULL ? row->fr : basis->version->rule->text_fr);
    render_text_member(json, "en", row != NULL ? row->en : basis->version->rule->text_en);
    render_close(json, '}');
}

static void head_members(struct buffer *json, const struct pending *pending, const struct alert_event *event,
                         int64_t now_ms)
{
    const struct ledger *ledger = pending->ledger;
    const struct patient *patient = ledger->patient;
    const struct membership *member = patient == NULL ? NULL : patient_membership(patient, now_ms);
    uuid_member(json, "event_id", event->event_id);
    uuid_member(json, "episode_id", event->episode_id);
    render_key(json, "sequence");
    render_integer(json, event->sequence);
    render_text_member(json, "event", event_word((enum event_kind)event->kind));
    render_text_member(json, "side", side_word(ledger->side));
    render_text_member(json, "priority", priority_word((enum priority)event->priority));
    render_text_member(json, "class", alert_class_word(ledger->class));
    render_text_member(json, "patient", patient == NULL ? NULL : patient->ref);
    render_text_member(json, "organization", patient == NULL ? NULL : patient->organization);
    render_text_member(json, "line", member == NULL ? NULL : member->line);
}

static void outcome_members(struct buffer *json, const struct pending *pending)
{
    render_text_member(json, "reason", pending->reason);
    if (pending->has_into) {
        uuid_member(json, "into", pending->into);
    } else {
        render_key(json, "into");
        render_null(json);
    }
    if (pending->reopened) {
        render_key(json, "reopened");
        render_boolean(json, true);
    }
    render_key(json, "readings_in_breach");
    render_integer(json, pending->in_breach);
}

static bool is_of_command(enum event_kind kind)
{
    return kind == EVENT_ACKNOWLEDGED || kind == EVENT_HANDLED || kind == EVENT_SHELVED ||
           kind == EVENT_UNSHELVED;
}

static void command_members(struct buffer *json, const struct pending *pending)
{
    bool all = is_of_command(pending->kind);
    if (all || pending->author != NULL)
        render_text_member(json, "author", pending->author);
    if (all || pending->note != NULL)
        render_text_member(json, "note", pending->note);
    if (all)
        render_text_member(json, "outcome", outcome_word(pending->outcome));
    if (all || pending->kind == EVENT_SUSPENDED)
        render_instant_member(json, "until", pending->until_ms);
}

static void fill_head(const struct engine *engine, const struct pending *pending, struct alert_event *event)
{
    const struct patient *patient = pending->ledger->patient;
    const char *key = patient == NULL ? engine->settings.node : patient->ref;
    const char *organization = patient == NULL ? "" : patient->organization;
    *event = (struct alert_event){
        .patient_id = patient == NULL ? 0 : patient->patient_id,
        .decided_at_ms = engine->unit.now_ms,
        .sequence = pending->sequence,
        .kind = (uint8_t)pending->kind,
        .priority = (uint8_t)pending->priority,
        .class = (uint8_t)pending->ledger->class,
        .key_size = (uint8_t)strlen(key),
        .organization_size = (uint8_t)strlen(organization),
    };
    memcpy(event->episode_id, pending->episode->id, UUID_BYTES);
    memcpy(event->key, key, event->key_size);
    memcpy(event->organization, organization, event->organization_size);
    event_identify(event->episode_id, event->sequence, event->event_id);
}

void event_render(const struct engine *engine, const struct pending *pending, struct alert_event *ret_event,
                  struct buffer *json)
{
    int64_t now_ms = engine->unit.now_ms;
    fill_head(engine, pending, ret_event);
    buffer_clear(json);
    render_open(json, '{');
    head_members(json, pending, ret_event, now_ms);
    rule_member(json, pending);
    parameter_member(json, pending->ledger->parameter);
    value_members(json, &pending->basis);
    render_instant_member(json, "decided_at", now_ms);
    render_key(json, "retrospective");
    render_boolean(json, pending->retrospective);
    readings_members(json, engine, pending);
    event_days(json, pending);
    reference_member(json, pending);
    device_event_member(json, pending);
    episode_members(json, pending);
    outcome_members(json, pending);
    text_members(json, pending);
    command_members(json, pending);
    if (engine->settings.test_mode) {
        render_key(json, "test");
        render_boolean(json, true);
    }
    render_close(json, '}');
    ensure(json->size <= EVENT_JSON_BYTES_MAX);
}
