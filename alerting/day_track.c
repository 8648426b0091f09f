/* day_track: see day_track.h. A walk steps the automaton of one side from day to day: first the ends of the
 * rule that lie before the day's end, then the day itself. Three walks use it: the closing of one day (in
 * order), the replay of all days that are not final, and the base that follows what becomes final. */
#include "alerting/day_track.h"

#include <string.h>

#include "alerting/day_figures.h"
#include "alerting/days.h"
#include "alerting/grow.h"
#include "alerting/patient.h"
#include "alerting/track.h"

enum { EVIDENCE_DAYS = 31 }; /* figures kept before the base: an event shows the days of a run */

void day_track_init(struct track *track)
{
    struct days *days = track->days = zeroed(sizeof *days);
    days->open_ms = days->due_ms = INT64_MAX;
    for (unsigned side = 0; side < SIDE_COUNT; side++) {
        day_state_init(&days->tip[side]);
        day_state_init(&days->base[side]);
    }
}

void day_track_deinit(struct track *track)
{
    if (!track_judges_days(track))
        return;
    slab_give(track->days->figures.items);
    slab_give(track->days);
    track->days = NULL;
}

static const struct patient *patient_of(const struct track *track)
{
    return track->patient;
}

int64_t day_track_begin_ms(const struct track *track, int64_t day)
{
    return day_begin_ms(patient_of(track), day, track->days->day_start_min);
}

int64_t day_ledger_first_ms(const struct ledger *ledger, int64_t day)
{
    return day_track_begin_ms(patient_track(ledger->patient, ledger->rule_id), day);
}

const struct day_figure *day_track_figure(const struct track *track, int64_t day)
{
    return day_figures_at(&track->days->figures, day);
}

/* ---- what is in force ---- */

/* The version that judges the day; NULL: none does. */
static const struct segment *segment_of(const struct track *track, int64_t begin_ms, int64_t end_ms)
{
    const struct segment *segment = timeline_at(&track->timeline, begin_ms);
    const struct segment *end = track_next_end(&track->timeline, begin_ms);
    bool on = segment != NULL && segment->state == SEGMENT_ON;
    return on && (end == NULL || end->from_ms >= end_ms) ? segment : NULL;
}

static int64_t grace_of(const struct rule_version *version)
{
    return rule_days_of(version->rule)->grace_ms;
}

static int64_t closing_ms(const struct track *track, int64_t day)
{
    const struct segment *segment = timeline_at(&track->timeline, day_track_begin_ms(track, day));
    bool on = segment != NULL && segment->state == SEGMENT_ON;
    return day_track_begin_ms(track, day + 1) + (on ? grace_of(segment->version) : 0);
}

/* Is there a version for this day or a later one? */
static bool is_awaited(const struct track *track, int64_t day)
{
    int64_t begin_ms = day_track_begin_ms(track, day);
    const struct segment *segment = timeline_at(&track->timeline, begin_ms);
    if (segment != NULL && segment->state == SEGMENT_ON)
        return true;
    for (segment = timeline_after(&track->timeline, begin_ms); segment != NULL;
         segment = timeline_after(&track->timeline, segment->from_ms))
        if (segment->state == SEGMENT_ON)
            return true;
    return false;
}

/* The first day that begins under the first version or later; INT64_MAX without a version. */
static int64_t first_day(const struct track *track)
{
    int64_t from_ms = timeline_activation_ms(&track->timeline);
    if (from_ms == INT64_MAX)
        return INT64_MAX;
    int64_t day = day_of(patient_of(track), from_ms, track->days->day_start_min);
    return day_track_begin_ms(track, day) < from_ms ? day + 1 : day;
}

/* How many days before a day its judgement looks at, by any version. */
static int64_t reach_of(const struct track *track)
{
    unsigned reach = 0;
    for (size_t i = 0; i < track->timeline.count; i++) {
        const struct segment *segment = &track->timeline.items[i];
        if (segment->state == SEGMENT_ON && day_reach(segment->version->rule) > reach)
            reach = day_reach(segment->version->rule);
    }
    return reach;
}

/* How many figures before the base are kept. */
static int64_t kept_before(const struct track *track)
{
    int64_t reach = reach_of(track);
    return reach < EVIDENCE_DAYS ? EVIDENCE_DAYS : reach;
}

/* ---- one side walks ---- */

struct day_walk {
    const struct day_source *source;
    enum rule_side side;
    struct day_state *state;
    struct transition out[2]; /* of one step: the end of a rule, then what the day decides */
    unsigned out_count;
    struct day_outcome outcome;
};

static void pass_ends(struct day_walk *walk, int64_t upto_ms)
{
    const struct segment *end;
    walk->out_count = 0;
    while ((end = track_next_end(&walk->source->track->timeline, walk->state->passed_ms)) != NULL &&
           end->from_ms <= upto_ms) {
        walk->state->passed_ms = end->from_ms;
        if (walk->state->active != PRIORITY_NONE)
            walk->out[walk->out_count++] = track_ending(end, (enum priority)walk->state->active);
        day_state_end(walk->state);
    }
}

static struct transition day_transition(const struct day_source *source, int64_t day, int64_t first,
                                        const struct segment *segment)
{
    const struct day_figure *figure = day_track_figure(source->track, day);
    ensure(figure != NULL);
    return (struct transition){
        .at_ms = day_track_begin_ms(source->track, day + 1),
        .has_reading = true,
        .comparator = (uint8_t)day_comparator(figure),
        .basis = BASIS_DAYS,
        .deciding = {.ms = day},
        .first = {.ms = first},
        .value = day_rounded(figure),
        .received_ms = day_received_ms(source, day),
        .in_force_from_ms = segment->from_ms,
        .version = segment->version,
    };
}

static void step(struct day_walk *walk, int64_t day)
{
    const struct track *track = walk->source->track;
    const struct day_figures *figures = &track->days->figures;
    const struct day_figure nothing = {.divisor = DAY_EMPTY}, *figure = day_figures_at(figures, day);
    int64_t end_ms = day_track_begin_ms(track, day + 1);
    pass_ends(walk, end_ms - 1);
    const struct segment *segment = segment_of(track, day_track_begin_ms(track, day), end_ms);
    struct day_input input = {
        .rule = segment == NULL ? NULL : segment->version->rule,
        .side = walk->side,
        .day = day,
        .figures = figure == NULL ? &nothing : figures->items,
        .before = figure == NULL ? 0 : (size_t)(figure - figures->items),
    };
    day_judge(walk->state, &input, &walk->outcome);
    if (walk->outcome.kind == EVENT_COUNT)
        return;
    struct transition *out = &walk->out[walk->out_count++];
    *out = day_transition(walk->source, day, walk->outcome.first, segment);
    out->kind = walk->outcome.kind;
    out->priority = walk->outcome.priority;
}

/* The breaching days that a transition adds: the run at first, then each further one. */
static uint32_t days_in_breach(const struct day_walk *walk, const struct transition *out)
{
    if (out->kind == EVENT_RAISED)
        return walk->state->run;
    return out->basis == BASIS_DAYS && walk->outcome.breach ? 1 : 0;
}

/* A breaching day of an open episode that decides nothing. */
static bool only_counts(const struct day_walk *walk)
{
    return walk->outcome.kind == EVENT_COUNT && walk->outcome.breach && walk->state->active != PRIORITY_NONE;
}

/* ---- live ---- */

static int64_t closed_ms(const struct engine *engine, const struct track *track,
                         const struct transition *transition)
{
    int64_t closing = day_track_begin_ms(track, transition->deciding.ms + 1) + grace_of(transition->version);
    return spans_leave(&engine->outages, closing);
}

int64_t day_decided_ms(const struct scene *scene, const struct transition *transition)
{
    const struct ledger *ledger = scene->ledger;
    if (scene->of_data && transition->deciding.ms >= scene->judged_day)
        return scene->engine->unit.now_ms;
    return closed_ms(scene->engine, patient_track(ledger->patient, ledger->rule_id), transition);
}

static void take_fresh(struct scene *scene, const struct transition *fresh)
{
    scene->has_fresh = true;
    scene->fresh = *fresh;
}

/* A breaching day as an event shows it; false: no version judges it any more. */
static bool breach_on(const struct day_source *source, int64_t day, int64_t first, struct transition *ret)
{
    int64_t begin_ms = day_track_begin_ms(source->track, day);
    const struct segment *segment =
        segment_of(source->track, begin_ms, day_track_begin_ms(source->track, day + 1));
    if (segment == NULL || day_track_figure(source->track, day) == NULL)
        return false;
    *ret = day_transition(source, day, first, segment);
    return true;
}

/* A day that this unit closed or judged again breaches, and its decision is live. */
static void meet_decided(struct scene *scene, const struct day_source *source, int64_t day, int64_t first)
{
    struct transition fresh;
    if (breach_on(source, day, first, &fresh) && scene_is_live(scene, &fresh, true))
        take_fresh(scene, &fresh);
}

/* The newest closed day with data of a series that this unit changed, if it breaches and closed a short while
 * ago. */
static void meet_newest(struct scene *scene, const struct day_source *source, const struct day_state *state)
{
    struct transition fresh;
    if (scene->has_fresh || !state->data_breach ||
        !breach_on(source, state->data_day, state->data_day, &fresh))
        return;
    int64_t live_within_ms = parameter_row((enum parameter)source->track->parameter)->live_within_ms;
    if (closed_ms(scene->engine, source->track, &fresh) >= scene->engine->unit.now_ms - live_within_ms)
        take_fresh(scene, &fresh);
}

/* ---- in order ---- */

static struct scene scene_of(const struct day_source *source, struct track *track, enum rule_side side)
{
    return (struct scene){
        .engine = source->engine, .ledger = &track_side(track, side)->ledger, .series = source->series};
}

static void close_side(const struct day_source *source, struct track *track, enum rule_side side, int64_t day)
{
    struct day_walk walk = {.source = source, .side = side, .state = &track->days->tip[side]};
    step(&walk, day);
    if (walk.out_count == 0 && walk.state->active == PRIORITY_NONE)
        return;
    struct scene scene = scene_of(source, track, side);
    struct reading_key began = {.ms = walk.state->first};
    for (unsigned i = 0; i < walk.out_count; i++) {
        const struct transition *out = &walk.out[i];
        bool open = out->kind != EVENT_CLEARED && out->kind != EVENT_CLOSED;
        ledger_step(&scene, out, &began, days_in_breach(&walk, out), open);
    }
    if (only_counts(&walk))
        ledger_open_episode(scene.ledger)->story.in_breach++;
    if (walk.outcome.breach && walk.state->active != PRIORITY_NONE)
        meet_decided(&scene, source, day, walk.outcome.first);
    ledger_live(&scene);
}

/* ---- what becomes final ---- */

static void finalize_step(const struct day_walk *walk, struct track *track)
{
    if (walk->out_count == 0 && !only_counts(walk))
        return;
    struct story *open = &track_side(track, walk->side)->base_open;
    for (unsigned i = 0; i < walk->out_count; i++) {
        const struct transition *out = &walk->out[i];
        if (out->kind == EVENT_RAISED) {
            open->began = (struct reading_key){.ms = walk->state->first};
            open->in_breach = 0;
        }
        open->in_breach += days_in_breach(walk, out);
        story_add(open, out);
        if (!story_is_open(open))
            open->count = 0;
    }
    if (only_counts(walk))
        open->in_breach++;
}

static void finalize_side(const struct day_source *source, struct track *track, enum rule_side side,
                          int64_t end_day)
{
    struct days *days = track->days;
    struct day_walk walk = {.source = source, .side = side, .state = &days->base[side]};
    int64_t begin_ms = day_track_begin_ms(track, end_day);
    for (int64_t day = days->base_day; day < end_day; day++) {
        step(&walk, day);
        finalize_step(&walk, track);
    }
    pass_ends(&walk, begin_ms);
    walk.outcome = (struct day_outcome){.kind = EVENT_COUNT};
    finalize_step(&walk, track);
    if (track->side[side] != NULL) /* what is over in the base is no part of a replay */
        ledger_prune(&track->side[side]->ledger, source->engine, begin_ms + 1,
                     walk.state->run > 0 ? walk.state->first : INT64_MAX);
}

/* What this unit publishes of an episode is told at its end, from the episode. */
static bool is_pending(const struct engine *engine, const struct track *track)
{
    for (size_t i = 0; i < engine->unit.count; i++)
        for (unsigned side = 0; side < SIDE_COUNT; side++)
            if (track->side[side] != NULL && engine->unit.items[i].ledger == &track->side[side]->ledger)
                return true;
    return false;
}

static int64_t final_ms(const struct engine *engine, const struct track *track)
{
    return engine->unit.now_ms - 2 * engine_lookback_ms(engine, (enum parameter)track->parameter);
}

/* Days that ended 2 L ago go into the base, by their figures as they were; in a later unit when this one has
 * something to say of their episodes. */
static void finalize(const struct day_source *source, struct track *track)
{
    struct days *days = track->days;
    int64_t end_day = days->base_day;
    while (end_day < days->next_day &&
           day_track_begin_ms(track, end_day + 1) <= final_ms(source->engine, track))
        end_day++;
    if (end_day == days->base_day || is_pending(source->engine, track))
        return;
    for (unsigned side = 0; side < SIDE_COUNT; side++)
        if (track_has_side(track, side))
            finalize_side(source, track, (enum rule_side)side, end_day);
    days->base_day = (int32_t)end_day;
    day_figures_forget(&days->figures, end_day - kept_before(track));
}

/* ---- again ---- */

struct again {
    int64_t clock_ms;  /* ends of the rule up to here are passed */
    bool of_data;      /* a request's data made it necessary */
    size_t marks;      /* days from the base on that this unit changed are marked; 0: none are */
    int64_t candidate; /* the newest breaching day that was judged again; INT64_MIN without */
    int64_t candidate_first;
    int64_t judged_day;
};

/* The first day that enters the judgement of a breaching day. */
static int64_t enters_from(const struct track *track, const struct day_walk *walk, int64_t day)
{
    const struct segment *segment = timeline_at(&track->timeline, day_track_begin_ms(track, day));
    int64_t reach = day - day_reach(segment->version->rule);
    return walk->state->first < reach ? walk->state->first : reach;
}

static bool is_marked(const struct day_source *source, const struct again *again, int64_t from, int64_t day)
{
    int64_t base = source->track->days->base_day;
    for (; day >= from && day >= base; day--)
        if ((size_t)(day - base) < again->marks && source->engine->day_marks[day - base] != 0)
            return true;
    return false;
}

/* What a step of a replay adds to the episodes. */
static void tell_step(struct story_list *stories, const struct day_walk *walk)
{
    for (unsigned i = 0; i < walk->out_count; i++) {
        const struct transition *out = &walk->out[i];
        if (out->kind == EVENT_RAISED)
            story_list_push(stories)->began = (struct reading_key){.ms = walk->state->first};
        ensure(stories->count > 0);
        struct story *story = &stories->items[stories->count - 1];
        story->in_breach += days_in_breach(walk, out);
        story_add(story, out);
    }
    if (only_counts(walk))
        stories->items[stories->count - 1].in_breach++;
}

static void replay_days(struct day_walk *walk, struct again *again)
{
    const struct days *days = walk->source->track->days;
    struct story_list *stories = &walk->source->engine->stories;
    again->candidate = again->judged_day = INT64_MIN;
    for (int64_t day = days->base_day; day < days->next_day; day++) {
        step(walk, day);
        tell_step(stories, walk);
        if (walk->outcome.judged)
            again->judged_day = day;
        if (walk->outcome.breach &&
            is_marked(walk->source, again, enters_from(walk->source->track, walk, day), day)) {
            again->candidate = day;
            again->candidate_first = walk->outcome.first;
        }
    }
    pass_ends(walk, again->clock_ms);
    walk->outcome = (struct day_outcome){.kind = EVENT_COUNT};
    tell_step(stories, walk);
}

static void replay_side(const struct day_source *source, struct track *track, enum rule_side number,
                        struct again *again)
{
    struct story_list *stories = &source->engine->stories;
    struct day_walk walk = {.source = source, .side = number, .state = &track->days->tip[number]};
    const struct track_side *side = track->side[number];
    *walk.state = track->days->base[number];
    stories->count = 0;
    if (side != NULL && side->base_open.count > 0)
        story_copy(story_list_push(stories), &side->base_open);
    replay_days(&walk, again);
    if (side == NULL && stories->count == 0)
        return;
    struct scene scene = scene_of(source, track, number);
    scene.of_data = again->of_data;
    scene.judged_day = again->judged_day;
    ledger_settle(&scene, stories->items, stories->count);
    if (again->candidate != INT64_MIN)
        meet_decided(&scene, source, again->candidate, again->candidate_first);
    if (again->of_data)
        meet_newest(&scene, source, walk.state);
    ledger_live(&scene);
}

static void replay(const struct day_source *source, struct track *track, struct again *again)
{
    for (unsigned side = 0; side < SIDE_COUNT; side++)
        if (track_has_side(track, side))
            replay_side(source, track, (enum rule_side)side, again);
}

/* A mark for each day that is not final. */
static size_t clear_marks(struct engine *engine, const struct days *days)
{
    size_t count = (size_t)(days->next_day - days->base_day);
    engine->day_marks = grow(engine->day_marks, count, &engine->day_marks_capacity, 1);
    if (count > 0)
        memset(engine->day_marks, 0, count);
    return count;
}

/* Takes the figures anew where the series changed, and marks the days that did. */
static void take_again(const struct day_source *source, struct track *track)
{
    struct days *days = track->days;
    const struct series *series = source->series;
    int64_t day = day_of(patient_of(track), series->changed_from_ms, days->day_start_min);
    for (day = day < days->base_day ? days->base_day : day;
         day < days->next_day && day_track_begin_ms(track, day) <= series->changed_to_ms; day++) {
        bool brought;
        if (!day_is_held(source, day) ||
            day_track_begin_ms(track, day + 1) <= final_ms(source->engine, track))
            continue;
        const struct day_figure *known = day_figures_at(&days->figures, day);
        struct day_figure was = known == NULL ? (struct day_figure){.divisor = DAY_EMPTY} : *known,
                          now = day_take(source, day, &brought);
        source->engine->day_marks[day - days->base_day] = brought || memcmp(&now, &was, sizeof now) != 0;
        day_figures_set(&days->figures, day, &now);
    }
}

/* ---- entry points ---- */

/* A reading of an open day says nothing yet, but an open episode may wait for a sign that it is true now. */
static void meet_in_order(const struct day_source *source, struct track *track)
{
    for (unsigned side = 0; side < SIDE_COUNT; side++) {
        const struct day_state *tip = &track->days->tip[side];
        if (tip->active == PRIORITY_NONE || !tip->data_breach)
            continue;
        struct scene scene = scene_of(source, track, (enum rule_side)side);
        const struct episode *open = ledger_open_episode(scene.ledger);
        if (open == NULL || open->paged >= (enum priority)tip->active)
            continue;
        meet_newest(&scene, source, tip);
        ledger_live(&scene);
    }
}

void day_track_judge(struct engine *engine, struct track *track, const struct series *series)
{
    struct day_source source = {engine, track, series};
    struct again again = {.clock_ms = engine->unit.now_ms - 1, .of_data = true};
    if (!series->changed || !track->days->started)
        return;
    if (series->changed_from_ms >= track->days->open_ms) {
        meet_in_order(&source, track);
        return;
    }
    finalize(&source, track);
    again.marks = clear_marks(engine, track->days);
    take_again(&source, track);
    replay(&source, track, &again);
}

void day_track_schedule(struct track *track)
{
    struct days *days = track->days;
    if (!days->started)
        return;
    days->open_ms = day_track_begin_ms(track, days->next_day);
    days->due_ms = is_awaited(track, days->next_day) ? closing_ms(track, days->next_day) : INT64_MAX;
}

/* Takes the figures of the days due at or before the clock. How many they are. */
static size_t take_due(const struct day_source *source, struct track *track, int64_t clock_ms)
{
    struct days *days = track->days;
    size_t count = 0;
    for (; days->due_ms <= clock_ms; count++) {
        struct day_figure figure = day_take(source, days->next_day, NULL);
        day_figures_set(&days->figures, days->next_day, &figure);
        days->next_day++;
        day_track_schedule(track);
    }
    return count;
}

/* One day closes, and no end of the rule lies between its end and the clock, passed or not. */
static bool is_in_order(const struct track *track, int64_t day, int64_t clock_ms)
{
    int64_t end_ms = day_track_begin_ms(track, day + 1);
    const struct segment *end = track_next_end(&track->timeline, end_ms - 1);
    return end == NULL || end->from_ms > clock_ms;
}

static void close_again(const struct day_source *source, struct track *track, size_t closed, int64_t clock_ms)
{
    struct again again = {.clock_ms = clock_ms, .marks = clear_marks(source->engine, track->days)};
    ensure(closed <= again.marks);
    memset(source->engine->day_marks + again.marks - closed, 1, closed);
    replay(source, track, &again);
}

static void pass_side(const struct day_source *source, struct track *track, enum rule_side side,
                      int64_t clock_ms)
{
    struct scene scene = scene_of(source, track, side);
    struct day_walk walk = {.source = source, .side = side, .state = &track->days->tip[side]};
    pass_ends(&walk, clock_ms);
    for (unsigned i = 0; i < walk.out_count; i++)
        ledger_step(&scene, &walk.out[i], NULL, 0, false);
}

void day_track_expire(struct engine *engine, struct track *track, const struct series *series)
{
    struct day_source source = {engine, track, series};
    struct days *days = track->days;
    int64_t clock_ms = engine->unit.now_ms - 1;
    finalize(&source, track);
    size_t closed = take_due(&source, track, clock_ms);
    if (closed > 1 || (closed == 1 && !is_in_order(track, days->next_day - 1, clock_ms))) {
        close_again(&source, track, closed, clock_ms);
        return;
    }
    for (unsigned side = 0; side < SIDE_COUNT; side++) {
        if (closed == 1 && track_has_side(track, side))
            close_side(&source, track, (enum rule_side)side, days->next_day - 1);
        else if (closed == 0 && days->tip[side].active != PRIORITY_NONE)
            pass_side(&source, track, (enum rule_side)side, clock_ms);
    }
}

int64_t day_track_due_ms(const struct track *track)
{
    int64_t due_ms = track->days->due_ms;
    for (unsigned side = 0; side < SIDE_COUNT; side++) {
        const struct day_state *tip = &track->days->tip[side];
        const struct segment *end =
            tip->active == PRIORITY_NONE ? NULL : track_next_end(&track->timeline, tip->passed_ms);
        if (end != NULL && end->from_ms < due_ms)
            due_ms = end->from_ms;
    }
    return due_ms;
}

/* ---- versions ---- */

/* Statistic and day_start never change under one id: any version knows them. */
static void take_shape(struct track *track)
{
    for (size_t i = track->timeline.count; i > 0; i--) {
        const struct segment *segment = &track->timeline.items[i - 1];
        if (segment->state != SEGMENT_ON)
            continue;
        track->days->statistic = (uint8_t)rule_days_of(segment->version->rule)->statistic;
        track->days->day_start_min = (int16_t)rule_days_of(segment->version->rule)->day_start_min;
        for (unsigned side = 0; side < SIDE_COUNT; side++)
            if (rule_has_side(segment->version->rule, (enum rule_side)side))
                track->sides |= (uint8_t)(1u << side);
    }
}

/* Begins at the first day that the rule looks at, or the first that is not final; closes what is by now. */
static void begin_watch(const struct day_source *source, struct track *track, int64_t first)
{
    struct days *days = track->days;
    int64_t day = first;
    days->figures.count = 0;
    days->started = true;
    days->start_day = days->base_day = days->figures.first = (int32_t)first;
    for (unsigned side = 0; side < SIDE_COUNT; side++) {
        day_state_init(&days->base[side]);
        if (track->side[side] != NULL)
            track->side[side]->base_open.count = 0;
    }
    for (; is_awaited(track, day) && closing_ms(track, day) < source->engine->unit.now_ms; day++) {
        struct day_figure figure = {.divisor = DAY_UNHELD};
        if (day_is_held(source, day))
            figure = day_take(source, day, NULL);
        day_figures_set(&days->figures, day, &figure);
    }
    days->next_day = (int32_t)day;
}

/* Days that under these versions are not closed yet wait again. */
static void open_again(const struct day_source *source, struct track *track)
{
    struct days *days = track->days;
    for (int64_t day = days->base_day; day < days->next_day; day++)
        if (closing_ms(track, day) >= source->engine->unit.now_ms)
            days->next_day = (int32_t)day;
    day_figures_cut(&days->figures, days->next_day);
}

void day_track_follow(struct engine *engine, struct track *track, const struct series *series)
{
    struct days *days = track->days;
    struct day_source source = {engine, track, series};
    struct again again = {.clock_ms = engine->unit.now_ms};
    take_shape(track);
    int64_t first = first_day(track),
            not_final = day_of(patient_of(track), final_ms(engine, track), days->day_start_min);
    if (first == INT64_MAX && !days->started)
        return;
    first -= first == INT64_MAX ? 0 : reach_of(track); /* what comes for those days is heard too */
    first = first < not_final ? not_final : first;
    if (!days->started || first < days->start_day)
        begin_watch(&source, track, first);
    open_again(&source, track);
    day_figures_extend(&days->figures, &source, days->base_day - kept_before(track));
    replay(&source, track, &again);
    day_track_schedule(track);
}
