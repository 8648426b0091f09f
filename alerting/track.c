/* track: drives the automata of judge.h. A step first passes the ends of rules that lie before the instant,
 * then judges it by the version in force at its measured time. */
#include "alerting/track.h"

#include <stdlib.h>
#include <string.h>

#include "alerting/day_track.h"
#include "alerting/device_alarms.h"
#include "alerting/episodes.h"
#include "alerting/grow.h"
#include "alerting/judge_own.h"

struct track *track_new(struct engine *engine, struct patient *patient, const struct rule *rule)
{
    struct track *track = zeroed(sizeof *track);
    track->rule_id = words_keep(&engine->words, rule->id);
    track->patient = patient;
    track->kind = (uint8_t)rule->kind;
    track->parameter = (uint16_t)(rule->kind == RULE_SILENCE ? PARAMETER_COUNT : rule->parameter);
    if (rule->kind == RULE_SILENCE) {
        track->silence = zeroed(sizeof *track->silence);
        track->silence->due_ms = INT64_MAX;
    }
    if (rule_kind_has_days(rule->kind))
        day_track_init(track);
    return track;
}

struct track_side *track_side(struct track *track, unsigned number)
{
    struct track_side *side = track->side[number];
    if (side != NULL)
        return side;
    side = track->side[number] = zeroed(sizeof *side);
    judge_state_init(&side->tip);
    side->ledger = (struct ledger){
        .patient = track->patient,
        .rule_id = track->rule_id,
        .side = track->kind == RULE_SILENCE ? SIDE_NONE : (enum rule_side)number,
        .class = track->kind == RULE_SILENCE ? ALERT_SILENCE : ALERT_CLINICAL,
        .beginning = track->kind == RULE_SILENCE ? BEGAN_LAST_SEEN
                     : track_judges_days(track)  ? BEGAN_DAY
                                                 : BEGAN_READING,
        .parameter = (enum parameter)track->parameter,
        .technical = -1,
        .frozen_ms = INT64_MIN,
    };
    for (size_t i = 0; i < track->timeline.count; i++) {
        const struct segment *segment = &track->timeline.items[i];
        int64_t window_ms = segment->state == SEGMENT_ON ? judge_window_ms(segment->version->rule) : 0;
        side->window_max_ms = window_ms > side->window_max_ms ? window_ms : side->window_max_ms;
    }
    return side;
}

static void side_free(struct track_side *side, enum rule_kind kind, struct engine *engine)
{
    if (side == NULL)
        return;
    judge_state_deinit(&side->tip, kind);
    if (side->base != NULL)
        judge_state_deinit(side->base, kind);
    slab_give(side->base);
    story_deinit(&side->base_open);
    ledger_deinit(&side->ledger, engine);
    slab_give(side);
}

void track_free(struct track *track, struct engine *engine)
{
    for (unsigned i = 0; i < SIDE_COUNT; i++)
        side_free(track->side[i], (enum rule_kind)track->kind, engine);
    if (track->kind == RULE_SILENCE) {
        spans_deinit(&track->silence->suspensions);
        slab_give(track->silence);
    }
    device_alarms_free(track, engine);
    day_track_deinit(track);
    timeline_deinit(&track->timeline);
    slab_give(track);
}

/* What a walk over one side meets. */
struct walk {
    const struct track *track;
    enum rule_side side;
    struct judge_state *state;
    struct transition out[2]; /* of one step: the end of a rule, then what the instant decides */
    unsigned out_count;
    struct judge_input input;     /* of the step */
    struct judge_outcome outcome; /* of the instant of the step */
};

struct transition track_ending(const struct segment *segment, enum priority active)
{
    bool left = segment->state == SEGMENT_LEFT;
    return (struct transition){
        .at_ms = segment->from_ms,
        .kind = left ? EVENT_CLOSED : EVENT_CLEARED,
        .priority = active,
        .received_ms = INSTANT_NONE,
        .in_force_from_ms = segment->from_ms,
        .version = segment->version,
        .reason = left ? "left" : "rule-disabled",
    };
}

const struct segment *track_next_end(const struct timeline *timeline, int64_t after_ms)
{
    const struct segment *segment = timeline_after(timeline, after_ms);
    while (segment != NULL && segment->state == SEGMENT_ON)
        segment = timeline_after(timeline, segment->from_ms);
    return segment;
}

/* Ends of the rule in (state, upto_ms] clear what is open and reset the runs. */
static void pass_ends(struct walk *walk, int64_t upto_ms)
{
    struct judge_state *state = walk->state;
    const struct segment *end;
    walk->out_count = 0;
    while ((end = track_next_end(&walk->track->timeline, state->at_ms)) != NULL && end->from_ms <= upto_ms) {
        state->at_ms = end->from_ms;
        if (state->active != PRIORITY_NONE)
            walk->out[walk->out_count++] = track_ending(end, state->active);
        judge_end(state, (enum rule_kind)walk->track->kind);
    }
}

static void step(struct walk *walk, const struct instant *instant)
{
    struct judge_outcome *outcome = &walk->outcome;
    pass_ends(walk, instant->key.ms);
    walk->state->at_ms = instant->key.ms;
    const struct segment *segment = timeline_at(&walk->track->timeline, instant->key.ms);
    bool on =
        segment != NULL && segment->state == SEGMENT_ON && rule_has_side(segment->version->rule, walk->side);
    walk->input = (struct judge_input){
        .rule = on ? segment->version->rule : NULL,
        .side = walk->side,
        .instant = instant,
        .window_max_ms = walk->track->side[walk->side]->window_max_ms,
        .parameter = (enum parameter)walk->track->parameter,
        .references = &walk->track->patient->references,
    };
    judge_step((enum rule_kind)walk->track->kind, walk->state, &walk->input, outcome);
    if (outcome->kind == EVENT_COUNT)
        return;
    walk->out[walk->out_count++] = (struct transition){
        .at_ms = instant->key.ms,
        .kind = outcome->kind,
        .priority = outcome->priority,
        .has_reading = true,
        .basis = outcome->basis,
        .comparator = outcome->deciding->comparator,
        .deciding = instant->key,
        .first = outcome->first,
        .value = outcome->deciding->value,
        .received_ms = outcome->deciding->received_ms,
        .in_force_from_ms = segment->from_ms,
        .version = segment->version,
    };
}

static bool brought_now(const struct instant *instant)
{
    for (const struct held *held = instant->first; held < instant->end; held++)
        if ((held->flags & HELD_MEMBER) && (held->flags & HELD_NEW))
            return true;
    return false;
}

/* A breach received in this unit, or the newest of a series that it changed, measured recently enough. */
static void meet_breach(struct scene *scene, const struct instant *instant, bool newest)
{
    const struct unit *unit = &scene->engine->unit;
    if (instant->key.ms < unit->now_ms - parameter_row(scene->ledger->parameter)->live_within_ms)
        return;
    if (!brought_now(instant) && !(newest && scene->series->changed))
        return;
    const struct held *held = instant_first(instant);
    scene->has_fresh = true;
    scene->fresh = (struct transition){
        .at_ms = held->key.ms,
        .has_reading = true,
        .basis = BASIS_STRETCH,
        .comparator = held->comparator,
        .deciding = held->key,
        .first = held->key,
        .value = held->value,
        .received_ms = held->received_ms,
    };
}

static void note_step(struct notes *notes, const struct walk *walk)
{
    for (unsigned i = 0; i < walk->out_count; i++) {
        notes->items = grow(notes->items, notes->count + 1, &notes->capacity, sizeof notes->items[0]);
        notes->items[notes->count++] =
            (struct note){walk->out[i], walk->outcome.began,
                          walk->out[i].kind == EVENT_RAISED ? walk->outcome.in_breach : 0};
    }
}

/* For explanations alone; a shard has nobody who watches. */
static void show_step(struct engine *engine, const struct walk *walk, const struct instant *instant,
                      bool again)
{
    const struct segment *segment = timeline_at(&walk->track->timeline, instant->key.ms);
    bool on = segment != NULL && segment->state == SEGMENT_ON;
    const struct judge_outcome *outcome = &walk->outcome;
    static const char *const words[] = {NULL, "extreme", "reference", "slope", "counted"};
    const struct held *held = on && outcome->deciding != NULL ? outcome->deciding : instant_first(instant);
    struct judge_compared compared =
        judge_compared((enum rule_kind)walk->track->kind, walk->state, &walk->input);
    const struct engine_step shown = {
        .patient_id = walk->track->side[walk->side]->ledger.patient->patient_id,
        .decided_ms = engine->unit.now_ms,
        .rule_id = walk->track->rule_id,
        .side = walk->side == SIDE_LOW ? "low" : "high",
        .version = on ? segment->version->number : 0,
        .in_force_from_ms = on ? segment->from_ms : INSTANT_NONE,
        .layer = on ? rule_layer_word(segment->version->layer) : NULL,
        .parameter = (uint16_t)walk->track->parameter,
        .measured_ms = instant->key.ms,
        .received_ms = held->received_ms,
        .value = held->value,
        .comparator = held->comparator,
        .status = held->status,
        .again = again,
        .breach = outcome->breach,
        .compared = words[compared.with],
        .against = compared.value,
        .decided = outcome->kind == EVENT_COUNT ? NULL : event_word(outcome->kind),
        .priority = walk->state->active,
    };
    engine->out.step(engine->out.context, &shown);
}

static bool raised_now(const struct walk *walk)
{
    return walk->out_count > 0 && walk->out[walk->out_count - 1].kind == EVENT_RAISED;
}

/* A breach while an episode is open is counted; the raising run has counted its own. */
static bool counts_breach(const struct walk *walk)
{
    return walk->outcome.breach && walk->state->active != PRIORITY_NONE && !raised_now(walk);
}

/* When the episode that is open at the note ends; INT64_MAX: not in this unit. */
static int64_t ends_ms(const struct notes *notes, size_t from)
{
    for (size_t i = from; i < notes->count; i++)
        if (notes->items[i].transition.kind == EVENT_CLEARED ||
            notes->items[i].transition.kind == EVENT_CLOSED)
            return notes->items[i].transition.at_ms;
    return INT64_MAX;
}

static void apply_notes(const struct scene *scene, const struct notes *notes)
{
    for (size_t i = 0; i < notes->count; i++) {
        const struct note *note = &notes->items[i];
        int64_t end_ms = ends_ms(notes, i);
        if (note->transition.kind == EVENT_RAISED)
            ledger_raise(scene, &note->transition, &note->began, note->in_breach, end_ms);
        else
            ledger_step(scene, &note->transition, NULL, note->in_breach, end_ms == INT64_MAX);
    }
}

static void judge_side(struct engine *engine, struct track *track, enum rule_side side,
                       const struct series *series)
{
    struct track_side *judged = track_side(track, side);
    struct scene scene = {.engine = engine, .ledger = &judged->ledger, .series = series};
    struct walk walk = {.track = track, .side = side, .state = &judged->tip};
    struct notes *notes = &engine->notes;
    struct episode *open = ledger_open_episode(&judged->ledger);
    struct instant instant;
    size_t index = series->behind;
    notes->count = 0;
    while (series_next(series, &index, &instant)) {
        step(&walk, &instant);
        if (engine->out.step != NULL)
            show_step(engine, &walk, &instant, false);
        note_step(notes, &walk);
        if (counts_breach(&walk))
            ++*(notes->count > 0 ? &notes->items[notes->count - 1].in_breach : &open->story.in_breach);
        if (walk.outcome.breach)
            meet_breach(&scene, &instant, !series_has_next(series, index));
    }
    if (judged->tip.active != PRIORITY_NONE) { /* what they opened may have ended before now */
        pass_ends(&walk, engine->unit.now_ms - 1);
        note_step(notes, &walk);
    }
    apply_notes(&scene, notes);
    ledger_live(&scene);
}

/* New instants before an end of the rule that the clock has passed are late for it. */
static bool is_late(const struct track *track, const struct series *series)
{
    for (unsigned side = 0; side < SIDE_COUNT; side++)
        if (track->side[side] != NULL && series->behind_ms < track->side[side]->tip.at_ms)
            return true;
    return false;
}

void track_judge(struct engine *engine, struct track *track, const struct series *series)
{
    if (series->dirty || is_late(track, series)) {
        track_replay(engine, track, series, engine->unit.now_ms - 1);
        return;
    }
    for (unsigned side = 0; side < SIDE_COUNT; side++)
        if (track_has_side(track, side))
            judge_side(engine, track, (enum rule_side)side, series);
}

/* What a step of a replay adds to the episodes. */
static void tell_step(struct story_list *stories, const struct walk *walk)
{
    for (unsigned i = 0; i < walk->out_count; i++) {
        struct story *story;
        if (walk->out[i].kind == EVENT_RAISED) {
            story = story_list_push(stories);
            story->began = walk->outcome.began;
            story->in_breach = walk->outcome.in_breach;
        } else {
            ensure(stories->count > 0);
            story = &stories->items[stories->count - 1];
        }
        story_add(story, &walk->out[i]);
    }
    if (counts_breach(walk))
        stories->items[stories->count - 1].in_breach++;
}

static void begin_at_base(struct judge_state *state, const struct track *track, const struct track_side *side)
{
    if (side->base != NULL)
        judge_state_copy(state, side->base, (enum rule_kind)track->kind);
    else
        judge_state_deinit(state, (enum rule_kind)track->kind);
}

static void replay_side(struct engine *engine, struct track *track, enum rule_side number,
                        const struct series *series, int64_t clock_ms)
{
    struct track_side *side = track_side(track, number);
    struct scene scene = {.engine = engine, .ledger = &side->ledger, .series = series};
    struct walk walk = {.track = track, .side = number, .state = &side->tip};
    struct instant instant;
    size_t index = 0;
    begin_at_base(&side->tip, track, side);
    engine->stories.count = 0;
    if (side->base_open.count > 0)
        story_copy(story_list_push(&engine->stories), &side->base_open);
    while (series_next(series, &index, &instant)) {
        step(&walk, &instant);
        if (engine->out.step != NULL)
            show_step(engine, &walk, &instant, true);
        tell_step(&engine->stories, &walk);
        if (walk.outcome.breach)
            meet_breach(&scene, &instant, !series_has_next(series, index));
    }
    pass_ends(&walk, clock_ms);
    walk.outcome.breach = false;
    tell_step(&engine->stories, &walk);
    ledger_settle(&scene, engine->stories.items, engine->stories.count);
    ledger_live(&scene);
}

void track_replay(struct engine *engine, struct track *track, const struct series *series, int64_t clock_ms)
{
    for (unsigned side = 0; series != NULL && side < SIDE_COUNT; side++)
        if (track_has_side(track, side))
            replay_side(engine, track, (enum rule_side)side, series, clock_ms);
}

bool track_reaches(const struct track *track, int64_t ms)
{
    for (unsigned side = 0; side < SIDE_COUNT; side++)
        if (track->side[side] != NULL && ms <= track->side[side]->tip.at_ms)
            return true;
    return false;
}

void track_pass(struct engine *engine, struct track *track, const struct series *series, int64_t clock_ms)
{
    for (unsigned i = 0; i < SIDE_COUNT; i++) {
        struct track_side *side = track->side[i];
        if (side == NULL || side->tip.active == PRIORITY_NONE)
            continue;
        struct scene scene = {.engine = engine, .ledger = &side->ledger, .series = series};
        struct walk walk = {.track = track, .side = (enum rule_side)i, .state = &side->tip};
        pass_ends(&walk, clock_ms);
        for (unsigned out = 0; out < walk.out_count; out++)
            ledger_step(&scene, &walk.out[out], NULL, 0, false);
    }
}

int64_t track_due_ms(const struct track *track)
{
    int64_t due_ms = INT64_MAX;
    for (unsigned side = 0; side < SIDE_COUNT; side++) {
        const struct track_side *judged = track->side[side];
        const struct segment *end = judged == NULL || judged->tip.active == PRIORITY_NONE
                                        ? NULL
                                        : track_next_end(&track->timeline, judged->tip.at_ms);
        if (end != NULL && end->from_ms < due_ms)
            due_ms = end->from_ms;
    }
    return due_ms;
}

/* Steps the base; what is over by then is no longer part of any replay. */
static void let_go_step(struct track_side *side, struct walk *walk)
{
    for (unsigned i = 0; i < walk->out_count; i++) {
        if (walk->out[i].kind == EVENT_RAISED) {
            side->base_open.count = 0;
            side->base_open.began = walk->outcome.began;
            side->base_open.in_breach = walk->outcome.in_breach;
        }
        story_add(&side->base_open, &walk->out[i]);
        if (!story_is_open(&side->base_open))
            side->base_open.count = 0;
    }
    if (counts_breach(walk))
        side->base_open.in_breach++;
}

static void let_go_side(struct track *track, enum rule_side number, const struct series *series, size_t count,
                        int64_t cut_ms)
{
    struct track_side *side = track_side(track, number);
    if (side->base == NULL) {
        side->base = zeroed(sizeof *side->base);
        judge_state_init(side->base);
    }
    struct walk walk = {.track = track, .side = number, .state = side->base};
    struct instant instant;
    for (size_t index = 0; index < count && series_next(series, &index, &instant) && index <= count;) {
        step(&walk, &instant);
        let_go_step(side, &walk);
    }
    pass_ends(&walk, cut_ms - 1);
    walk.outcome.breach = false;
    let_go_step(side, &walk);
}

static void take_earliest(void *context, const struct reading_key *key)
{
    int64_t *earliest_ms = context;
    if (key->ms < *earliest_ms)
        *earliest_ms = key->ms;
}

/* Where an episode to come may begin at the earliest: at what the base names, a run that goes on. */
static int64_t begins_ms(const struct track *track, const struct track_side *side)
{
    int64_t earliest_ms = INT64_MAX;
    judge_each_key(side->base, track->kind, take_earliest, &earliest_ms);
    return earliest_ms;
}

void track_let_go(struct engine *engine, struct track *track, const struct series *series, size_t count,
                  int64_t cut_ms)
{
    for (unsigned i = 0; i < SIDE_COUNT; i++)
        if (track_has_side(track, i)) {
            let_go_side(track, (enum rule_side)i, series, count, cut_ms);
            ledger_prune(&track->side[i]->ledger, engine, cut_ms, begins_ms(track, track->side[i]));
        }
}

/* ---- what n counted ---- */

enum { BACK_MIN = 32, BACK_MORE = 8 };

/* Walks a state over the instants that begin in (.., until_ms], from `back` items before; true when what it
 * then is does not depend on what lay before: an instant said what `in` is, or nothing lay before. */
static bool retrace(struct walk *walk, const struct track_side *side, const struct series *series,
                    size_t *index, size_t back, int64_t until_ms)
{
    bool known = *index <= back;
    struct instant instant;
    size_t next = known ? 0 : *index - back;
    if (known)
        begin_at_base(walk->state, walk->track, side);
    else
        judge_state_deinit(walk->state, (enum rule_kind)walk->track->kind);
    if (!known)
        (void)series_next(series, &next, &instant); /* maybe the rest of one */
    for (size_t at = next; series_next(series, &at, &instant) && instant.key.ms <= until_ms; next = at) {
        step(walk, &instant);
        known |= walk->outcome.settled;
    }
    *index = next;
    return known;
}

void track_counted(const struct track *track, enum rule_side number, const struct series *series,
                   const struct transition *transition, track_take *take, void *context)
{
    const struct track_side *side = track->side[number];
    struct judge_state state;
    struct walk walk = {.track = track, .side = number, .state = &state};
    struct instant instant;
    int64_t within_ms = transition->version->rule->occurrences.within_ms,
            until_ms = transition->deciding.ms - within_ms;
    size_t first = series_find(series, &track->patient->names, &(struct reading_key){.ms = until_ms + 1}),
           index = first;
    judge_state_init(&state);
    for (size_t back = BACK_MIN; !retrace(&walk, side, series, &index, back, until_ms); back *= BACK_MORE)
        index = first;
    bool met = false; /* what was decided at may be gone */
    while (!met && series_next(series, &index, &instant) && instant.key.ms <= transition->deciding.ms) {
        step(&walk, &instant);
        met = reading_key_equal(&instant.key, &transition->deciding);
    }
    const struct occurrences_own *own = state.own;
    for (size_t n = occurrences_counted(own, transition->deciding.ms, within_ms); n > 0; n--)
        take(context, &own->items[own->start + own->count - n]);
    judge_state_deinit(&state, (enum rule_kind)track->kind);
}
