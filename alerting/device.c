/* device: see device.h. Messages of a device episode are few and walked whole at each change. */
#include "alerting/device.h"

#include <stdlib.h>
#include <string.h>

#include "alerting/device_alarms.h"
#include "alerting/episodes.h"
#include "alerting/grow.h"
#include "alerting/patient.h"
#include "alerting/technical.h"
#include "alerting/track.h"

/* ---- the walk ---- */

struct device_walk {
    const struct track *track;
    struct device_state *state;
    struct story_list *stories; /* the last one may be open */
    bool breach;                /* the message at hand was judged, and is no `end` */
};

static void begin_walk(struct device_walk *walk, const struct device_alarm *alarm)
{
    walk->stories->count = 0;
    device_state_init(walk->state);
    if (alarm == NULL)
        return;
    *walk->state = alarm->base;
    if (alarm->base_open.count > 0)
        story_copy(story_list_push(walk->stories), &alarm->base_open);
}

static enum priority class_priority(const struct rule_event *rule, const char *class)
{
    unsigned low = 0, high = rule->classes_count;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        int order = strcmp(rule->classes[middle].name, class);
        if (order == 0)
            return rule->classes[middle].priority;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return rule->otherwise;
}

enum priority device_urgency(const struct rule_event *rule)
{
    enum priority urgency = rule->otherwise;
    for (unsigned i = 0; i < rule->classes_count; i++)
        if (rule->classes[i].priority > urgency)
            urgency = rule->classes[i].priority;
    return urgency;
}

void device_rest_on(struct transition *transition, const struct device_message *message)
{
    transition->at_ms = message->ms;
    transition->deciding = (struct reading_key){message->ms, message->device, message->episode};
    transition->first = (struct reading_key){.device = message->class};
    transition->value = message->phase;
    transition->received_ms = message->received_ms;
}

static struct transition transition_of(const struct device_message *message, enum event_kind kind,
                                       enum priority priority, const struct segment *segment)
{
    struct transition transition = {.kind = kind,
                                    .priority = priority,
                                    .in_force_from_ms = segment->from_ms,
                                    .version = segment->version};
    device_rest_on(&transition, message);
    return transition;
}

static struct story *open_story(struct device_walk *walk)
{
    ensure(walk->stories->count > 0);
    return &walk->stories->items[walk->stories->count - 1];
}

/* When the last message that a stretch of the rule judged was an `end`, it is cleared there. */
static void clear_at_last(struct device_walk *walk)
{
    struct device_state *state = walk->state;
    if (state->active == PRIORITY_NONE || state->last.phase != PHASE_END)
        return;
    struct story *story = open_story(walk);
    const struct segment *segment = timeline_at(&walk->track->timeline, state->last.ms);
    const struct transition *before = &story->items[story->count - 1];
    const struct segment in_force = {before->in_force_from_ms, before->version, SEGMENT_ON};
    bool on = segment != NULL && segment->state == SEGMENT_ON;
    struct transition transition =
        transition_of(&state->last, EVENT_CLEARED, state->active, on ? segment : &in_force);
    story_add(story, &transition);
    state->active = PRIORITY_NONE;
}

/* Ends of the rule in (state, upto_ms] end what is open: what comes behind them is no message of it. */
static void pass_ends(struct device_walk *walk, int64_t upto_ms)
{
    struct device_state *state = walk->state;
    const struct segment *end;
    while ((end = track_next_end(&walk->track->timeline, state->at_ms)) != NULL && end->from_ms <= upto_ms) {
        state->at_ms = end->from_ms;
        clear_at_last(walk);
        struct transition transition = track_ending(end, state->active);
        if (state->active != PRIORITY_NONE)
            story_add(open_story(walk), &transition);
        state->active = PRIORITY_NONE;
    }
}

static void tell(struct device_walk *walk, const struct device_message *message, enum priority priority,
                 const struct segment *segment)
{
    enum event_kind kind = walk->state->active == PRIORITY_NONE ? EVENT_RAISED
                           : priority > walk->state->active     ? EVENT_ESCALATED
                                                                : EVENT_DEESCALATED;
    struct transition transition = transition_of(message, kind, priority, segment);
    if (kind == EVENT_RAISED)
        story_list_push(walk->stories)->began = transition.deciding;
    story_add(open_story(walk), &transition);
    walk->state->active = priority;
}

/* One judged message. */
static void step(struct device_walk *walk, const struct device_message *message)
{
    struct device_state *state = walk->state;
    pass_ends(walk, message->ms);
    if (message->ms > state->at_ms)
        state->at_ms = message->ms;
    walk->breach = false;
    const struct segment *segment = timeline_at(&walk->track->timeline, message->ms);
    if (segment == NULL || segment->state != SEGMENT_ON)
        return;
    bool raises = state->active == PRIORITY_NONE;
    enum priority priority = class_priority(&segment->version->rule->event,
                                            names_text(&walk->track->patient->names, message->class));
    if (priority != state->active)
        tell(walk, message, priority, segment);
    state->last = *message;
    walk->breach = message->phase != PHASE_END;
    open_story(walk)->in_breach += raises || walk->breach;
}

/* ---- what `handled` closed ---- */

static const struct transition *last_of(const struct story *story)
{
    return &story->items[story->count - 1];
}

static bool is_closed_by_hand(const struct episode *episode)
{
    const struct transition *last = last_of(&episode->story);
    return !episode->cancelled && last->kind == EVENT_CLOSED && last->reason != NULL &&
           strcmp(last->reason, "handled") == 0;
}

/* Is the device's alarm, as it is now, more than what was handled? What is known of it now: before the
 * handling its last priority counts, after it the highest. */
static bool goes_beyond(const struct story *story, const struct transition *closing,
                        const struct device_episode *messages)
{
    enum priority before = PRIORITY_NONE, after = PRIORITY_NONE;
    for (const struct transition *t = story->items; t < story->items + story->count; t++) {
        if (t->kind == EVENT_CLEARED || t->kind == EVENT_CLOSED)
            continue;
        if (t->at_ms <= closing->at_ms)
            before = t->priority;
        else if (t->priority > after)
            after = t->priority;
    }
    for (const struct device_message *m = messages->first; m < messages->end; m++)
        if (m->judged && m->phase == PHASE_START && m->ms > closing->at_ms)
            return true;
    return before > closing->priority || after > closing->priority;
}

/* It stays as a person closed it: what came later is no more. */
static void close_again(struct story *story, struct transition closing)
{
    while (story->count > 1 && (last_of(story)->at_ms > closing.at_ms || !story_is_open(story)))
        story->count--;
    closing.priority = last_of(story)->priority;
    story_add(story, &closing);
}

/* The story of the episode that a person closed, as E has it: open, or ended by the clock alone since. */
static bool is_story_of(const struct story *story, const struct episode *closed)
{
    const struct transition *closing = last_of(&closed->story), *last = last_of(story);
    int64_t raised_ms = closed->story.items[0].at_ms;
    bool ended_by_device = last->kind == EVENT_CLEARED && last->reason == NULL;
    if (ended_by_device || story_end_ms(story) < closing->at_ms)
        return false;
    return story->items[0].at_ms == raised_ms || story->items[0].at_ms < closing->at_ms;
}

static void respect_hand(const struct ledger *ledger, struct story_list *stories,
                         const struct device_episode *messages)
{
    for (size_t i = 0; i < ledger->count; i++) {
        const struct episode *episode = ledger->items[i];
        struct story *story = stories->items, *end = stories->items + stories->count;
        if (!is_closed_by_hand(episode))
            continue;
        while (story < end && !is_story_of(story, episode))
            story++;
        if (story < end && !goes_beyond(story, last_of(&episode->story), messages))
            close_again(story, *last_of(&episode->story));
    }
}

/* ---- one alarm ---- */

/* Walks the held messages. The newest of messages that this unit changed, when it tells of an alarm and was
 * measured recently enough, is what a fresh breach is: whatever else came in this unit is older. */
static void walk_messages(struct device_walk *walk, const struct device_episode *messages,
                          struct scene *scene)
{
    const struct unit *unit = &scene->engine->unit;
    for (const struct device_message *m = messages->first; m < messages->end; m++)
        if (m->judged) {
            step(walk, m);
            scene->newest_message = m;
        }
    if (!walk->breach || !walk->track->patient->devices->changed ||
        scene->newest_message->ms < unit->now_ms - DEVICE_LIVE_WITHIN_MS)
        return;
    scene->has_fresh = true;
    device_rest_on(&scene->fresh, scene->newest_message);
}

static void judge_alarm(struct engine *engine, struct track *track, const struct device_episode *messages,
                        int64_t clock_ms)
{
    struct device_alarm *alarm = device_alarms_find(track, messages->device, messages->episode);
    struct device_state state;
    struct device_walk walk = {.track = track, .state = &state, .stories = &engine->stories};
    struct scene scene = {.engine = engine};
    begin_walk(&walk, alarm);
    walk_messages(&walk, messages, &scene);
    clear_at_last(&walk);
    pass_ends(&walk, clock_ms);
    if (alarm == NULL && engine->stories.count > 0)
        alarm = device_alarms_add(engine, track, messages->device, messages->episode);
    if (alarm == NULL) {
        story_list_clear(&engine->stories);
        return;
    }
    scene.ledger = &alarm->ledger;
    alarm->unit = engine->unit.number;
    respect_hand(&alarm->ledger, &engine->stories, messages);
    ledger_settle(&scene, engine->stories.items, engine->stories.count);
    ledger_live(&scene);
}

static bool brought_now(const struct device_episode *messages, uint32_t unit)
{
    for (const struct device_message *m = messages->first; m < messages->end; m++)
        if (m->unit == unit)
            return true;
    return false;
}

void device_judge(struct engine *engine, struct patient *patient)
{
    struct device_episode messages;
    struct device_log *log = patient->devices;
    if (log == NULL || !log->changed)
        return;
    for (size_t index = 0; device_log_next(log, &index, &messages);)
        for (size_t i = 0; brought_now(&messages, engine->unit.number) && i < patient->tracks_count; i++)
            if (patient->tracks[i]->kind == RULE_EVENT)
                judge_alarm(engine, patient->tracks[i], &messages, engine->unit.now_ms - 1);
    log->changed = false;
}

void device_replay(struct engine *engine, struct track *track, int64_t clock_ms)
{
    struct device_episode messages;
    for (size_t index = 0; device_log_next(track->patient->devices, &index, &messages);)
        judge_alarm(engine, track, &messages, clock_ms);
    for (size_t i = 0; i < device_alarms_count(track); i++) {
        messages = device_alarm_messages(track, track->alarms->items[i]);
        if (messages.first == messages.end)
            judge_alarm(engine, track, &messages, clock_ms);
    }
}

/* The end of the rule that ends what is open; NULL without. */
static const struct segment *alarm_end(const struct track *track, const struct device_alarm *alarm)
{
    const struct episode *open = ledger_open_episode(&alarm->ledger);
    return open == NULL ? NULL : track_next_end(&track->timeline, last_of(&open->story)->at_ms);
}

int64_t device_due_ms(const struct track *track)
{
    int64_t due_ms = INT64_MAX;
    for (size_t i = 0; i < device_alarms_count(track); i++) {
        const struct segment *end = alarm_end(track, track->alarms->items[i]);
        if (end != NULL && end->from_ms < due_ms)
            due_ms = end->from_ms;
    }
    return due_ms;
}

void device_pass(struct engine *engine, struct track *track, int64_t clock_ms)
{
    for (size_t i = 0; i < device_alarms_count(track); i++) {
        const struct segment *end = alarm_end(track, track->alarms->items[i]);
        if (end == NULL || end->from_ms > clock_ms)
            continue;
        struct device_episode messages = device_alarm_messages(track, track->alarms->items[i]);
        judge_alarm(engine, track, &messages, clock_ms);
    }
}

/* ---- letting go ---- */

/* Moves the base over what was measured before the cut; what is over by then is no part of any walk. */
static void let_go_alarm(struct engine *engine, struct track *track, struct device_alarm *alarm,
                         int64_t cut_ms)
{
    struct device_episode messages = device_alarm_messages(track, alarm);
    struct device_state state;
    struct device_walk walk = {.track = track, .state = &state, .stories = &engine->stories};
    const struct device_message *m = messages.first;
    begin_walk(&walk, alarm);
    for (; m < messages.end && m->ms < cut_ms; m++)
        if (m->judged)
            step(&walk, m);
    if (m == messages.end)
        clear_at_last(&walk);
    pass_ends(&walk, cut_ms - 1);
    alarm->base = state;
    alarm->base_open.count = 0;
    if (state.active != PRIORITY_NONE)
        story_copy(&alarm->base_open, open_story(&walk));
    story_list_clear(&engine->stories);
    /* What is open may have been raised before the cut, and closed by hand: it is held as long as it is open.
     */
    int64_t raised_ms = alarm->base_open.count > 0 ? alarm->base_open.items[0].at_ms : INT64_MAX;
    ledger_prune(&alarm->ledger, engine, raised_ms < cut_ms ? raised_ms : cut_ms, INT64_MAX);
}

static void let_go(struct engine *engine, struct patient *patient, int64_t cut_ms)
{
    for (size_t i = 0; i < patient->tracks_count; i++)
        for (size_t a = 0; a < device_alarms_count(patient->tracks[i]); a++)
            let_go_alarm(engine, patient->tracks[i], patient->tracks[i]->alarms->items[a], cut_ms);
    device_log_drop(patient->devices, cut_ms);
}

static void make_room(struct engine *engine, struct patient *patient)
{
    struct device_log *log = patient->devices;
    int64_t cut_ms = engine->unit.now_ms - 2 * engine_lookback_ms(engine, PARAMETER_COUNT);
    int64_t bound_ms = device_log_bound_ms(log, cut_ms);
    if (bound_ms > cut_ms)
        technical_dense(engine, patient, PARAMETER_COUNT);
    if (bound_ms > log->oldest_ms)
        let_go(engine, patient, bound_ms);
}

/* ---- taking in ---- */

static struct device_message to_message(const struct engine *engine, struct patient *patient,
                                        const struct reading *reading, const uint8_t *tail)
{
    struct names *names = &patient->names;
    size_t size = reading->tail_size;
    return (struct device_message){
        .ms = reading->measured_at_ms,
        .received_ms = reading->received_at_ms,
        .device = names_intern(names, tail_get(tail, size, TAIL_KEY_DEVICE)),
        .episode = names_intern(names, tail_get(tail, size, TAIL_EPISODE)),
        .class = names_intern(names, tail_get(tail, size, TAIL_CLASS)),
        .unit = engine->unit.number,
        .phase = (uint8_t)reading->value,
    };
}

/* Technical alerts speak of readings: this one has a time, a device and no value. */
static struct held as_held(const struct device_message *message)
{
    return (struct held){.key = {.ms = message->ms, .device = message->device},
                         .received_ms = message->received_ms};
}

static void tell_late(struct engine *engine, struct patient *patient, struct reading *reading,
                      const struct device_message *message)
{
    struct held held = as_held(message);
    reading->flags |= FLAG_LATE_UNJUDGED;
    technical_late(engine, patient, &held, PARAMETER_COUNT);
}

static void hold(struct engine *engine, struct patient *patient, struct reading *reading,
                 struct device_message *message)
{
    int64_t late_ms = message->received_ms - message->ms;
    bool late = late_ms > engine_lookback_ms(engine, PARAMETER_COUNT);
    bool early = -late_ms > engine->settings.future_tolerance_ms;
    reading->verdict = early ? VERDICT_QUARANTINED : VERDICT_ACCEPTED;
    if (early) {
        struct held held = as_held(message);
        reading->quarantine = QUARANTINE_FUTURE;
        technical_quarantine(engine, patient, &held, PARAMETER_COUNT, QUARANTINE_FUTURE);
    }
    if (late)
        tell_late(engine, patient, reading, message);
    message->judged = !early && !late && !(reading->flags & FLAG_TEST);
    device_log_insert(patient->devices, &patient->names, message);
}

void device_take(struct engine *engine, struct patient *patient, struct reading *reading, const uint8_t *tail)
{
    if (patient->devices == NULL)
        patient->devices = device_log_new();
    struct device_log *log = patient->devices;
    ensure(reading->value >= 0 && reading->value < PHASE_COUNT);
    struct device_message message = to_message(engine, patient, reading, tail);
    int64_t behind_ms = engine->unit.now_ms - 2 * engine_lookback_ms(engine, PARAMETER_COUNT);
    bool is_behind = message.ms < behind_ms || message.ms < log->cut_ms;
    if (!is_behind && device_log_has(log, &patient->names, &message)) {
        reading->verdict = VERDICT_DUPLICATE;
        return;
    }
    engine->unit.kept = true; /* a duplicate is not journaled, so it moves nothing */
    make_room(engine, patient);
    if (is_behind || message.ms < log->cut_ms) { /* the loader tells a resend of it */
        reading->flags |= FLAG_CHECK_OLDER;
        reading->verdict = VERDICT_ACCEPTED;
        tell_late(engine, patient, reading, &message);
    } else {
        hold(engine, patient, reading, &message);
    }
}
