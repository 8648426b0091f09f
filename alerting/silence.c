/* silence: four things can be due, in this order at one instant: an edge of a suspension, a change of version
 * or the end of the rule, max_gap, the closing of a day. */
#include "alerting/silence.h"

#include <string.h>

#include "alerting/days.h"
#include "alerting/episodes.h"
#include "alerting/technical.h"
#include "alerting/track.h"

enum { FILLED_WORDS = 4, FILLED_DAYS = FILLED_WORDS * 64, DAYS_BEHIND = 64 };
static const int64_t DAY_MS = 86400000;

/* Made at the first episode. */
static struct ledger *ledger_of(struct track *track)
{
    return &track_side(track, 0)->ledger;
}

static struct episode *open_of(const struct track *track)
{
    return track->side[0] == NULL ? NULL : ledger_open_episode(&track->side[0]->ledger);
}

static const struct patient *patient_of(const struct track *track)
{
    return track->patient;
}

/* Silence is active from enrolment at the earliest, however far back a version of the patient layer reaches.
 */
static int64_t activation_of(const struct track *track)
{
    int64_t in_force_ms = timeline_activation_ms(&track->timeline);
    int64_t enrolled_ms = patient_of(track)->enrolled_at_ms;
    return in_force_ms < enrolled_ms ? enrolled_ms : in_force_ms;
}

static const struct rule_silence *silence_at(const struct track *track, int64_t ms)
{
    const struct segment *segment = timeline_at(&track->timeline, ms);
    return segment == NULL || segment->state != SEGMENT_ON ? NULL : &segment->version->rule->silence;
}

/* ----------------------------------------------------------------------------------------------------- days
 */

/* day_start never changes under one id: any version knows it. */
static int day_start_min(const struct track *track)
{
    for (size_t i = 0; i < track->timeline.count; i++)
        if (track->timeline.items[i].state == SEGMENT_ON)
            return track->timeline.items[i].version->rule->silence.day_start_min;
    return 0;
}

static int64_t begin_of(const struct track *track, int64_t day)
{
    return day_begin_ms(patient_of(track), day, day_start_min(track));
}

static bool counts_days(const struct track *track)
{
    for (size_t i = 0; i < track->timeline.count; i++)
        if (track->timeline.items[i].state == SEGMENT_ON &&
            track->timeline.items[i].version->rule->silence.missed_days > 0)
            return true;
    return false;
}

static bool is_filled(const struct silence *silence, int64_t day)
{
    int64_t bit = day - silence->days_base;
    return bit >= 0 && bit < FILLED_DAYS && (silence->filled[bit / 64] >> (bit % 64) & 1);
}

static void fill_day(struct silence *silence, int64_t day)
{
    while (day - silence->days_base >= FILLED_DAYS) {
        memmove(silence->filled, silence->filled + 1, (FILLED_WORDS - 1) * sizeof silence->filled[0]);
        silence->filled[FILLED_WORDS - 1] = 0;
        silence->days_base += 64;
    }
    int64_t bit = day - silence->days_base;
    if (bit >= 0)
        silence->filled[bit / 64] |= (uint64_t)1 << (bit % 64);
}

/* The stretch of skipped time that touches the day; NULL without. */
static const struct span *skipped_in(const struct engine *engine, const struct track *track, int64_t day)
{
    for (size_t i = engine->skipped.count; i > 0; i--)
        if (engine->skipped.items[i - 1].from_ms < begin_of(track, day + 1) &&
            begin_of(track, day) < engine->skipped.items[i - 1].to_ms)
            return &engine->skipped.items[i - 1];
    return NULL;
}

/* The day itself, or the last one before it that is touched by neither a suspension nor skipped time: those
 * neither count nor end a run, and their closing decides nothing. */
static int64_t counted_day(const struct engine *engine, const struct track *track, int64_t day)
{
    const struct silence *silence = track->silence;
    const struct span *skipped;
    for (; day >= silence->days_base; day--) {
        if ((skipped = skipped_in(engine, track, day)) != NULL)
            day = day_of(patient_of(track), skipped->from_ms, day_start_min(track));
        else if (!spans_touch(&silence->suspensions, begin_of(track, day), begin_of(track, day + 1)))
            break;
    }
    return day;
}

/* Consecutive days up to `day` without a reading, counted up to `enough`. */
static unsigned missed_days(const struct engine *engine, const struct track *track, int64_t day,
                            unsigned enough)
{
    const struct silence *silence = track->silence;
    int64_t activation_ms = activation_of(track);
    unsigned missed = 0;
    for (day = counted_day(engine, track, day);
         missed < enough && day >= silence->days_base && begin_of(track, day) >= activation_ms &&
         !is_filled(silence, day);
         day = counted_day(engine, track, day - 1))
        missed++;
    return missed;
}

/* Are the days up to the last closed one enough for a version that wants k of them? Not when something was
 * received since the last of them ended. */
static bool days_are_due(const struct engine *engine, const struct track *track, int64_t day, unsigned k)
{
    const struct silence *silence = track->silence;
    day = counted_day(engine, track, day);
    bool seen_since = silence->seen && silence->last_seen_ms >= begin_of(track, day + 1);
    return k > 0 && !seen_since && missed_days(engine, track, day, k) >= k;
}

/* -------------------------------------------------------------------------------------------------- due when
 */

/* A segment that the watch has left raises no more: what it raised, its end has closed. */
static int64_t gap_due_ms(const struct engine *engine, struct track *track)
{
    const struct silence *silence = track->silence;
    if (open_of(track) != NULL)
        return INT64_MAX;
    for (size_t i = 0; i < track->timeline.count; i++) {
        const struct segment *segment = &track->timeline.items[i];
        int64_t end_ms = i + 1 < track->timeline.count ? segment[1].from_ms : INT64_MAX;
        if (segment->state != SEGMENT_ON || end_ms <= silence->segment_ms ||
            segment->version->rule->silence.max_gap_ms == 0)
            continue;
        int64_t due_ms = spans_reach(&engine->outages, &silence->suspensions, silence->last_seen_ms,
                                     segment->version->rule->silence.max_gap_ms);
        due_ms = due_ms < segment->from_ms ? segment->from_ms : due_ms;
        if (due_ms < end_ms)
            return due_ms;
    }
    return INT64_MAX;
}

static int64_t day_due_ms(const struct engine *engine, const struct track *track)
{
    const struct silence *silence = track->silence;
    if (!counts_days(track))
        return INT64_MAX;
    const struct rule_silence *rule = silence_at(track, begin_of(track, silence->next_day));
    return spans_reach(&engine->outages, &silence->suspensions, begin_of(track, silence->next_day + 1),
                       rule == NULL ? 0 : rule->grace_ms);
}

/* Days that lie wholly in skipped time are not closed one by one: there may be thousands. */
static void pass_skipped_days(const struct engine *engine, struct track *track)
{
    struct silence *silence = track->silence;
    const struct span *skipped =
        engine->skipped.count == 0 ? NULL : skipped_in(engine, track, silence->next_day);
    if (skipped != NULL && skipped->to_ms >= begin_of(track, silence->next_day + 1))
        silence->next_day = day_of(patient_of(track), skipped->to_ms, day_start_min(track));
}

static int64_t segment_due_ms(const struct track *track)
{
    const struct segment *next = timeline_after(&track->timeline, track->silence->segment_ms);
    return next == NULL ? INT64_MAX : next->from_ms;
}

static int64_t edge_due_ms(struct track *track)
{
    bool begins;
    if (open_of(track) == NULL)
        return INT64_MAX;
    return spans_next_edge(&track->silence->suspensions, track->silence->edge_ms, &begins);
}

static bool has_ended(const struct track *track)
{
    const struct segment *segment = timeline_at(&track->timeline, track->silence->segment_ms);
    return segment != NULL && segment->state == SEGMENT_LEFT;
}

static void begin_watch(struct track *track)
{
    struct silence *silence = track->silence;
    int64_t activation_ms = activation_of(track);
    silence->active = true;
    silence->last_seen_ms = activation_ms;
    silence->segment_ms = silence->edge_ms = activation_ms;
    silence->next_day = day_of(patient_of(track), activation_ms, day_start_min(track));
    if (begin_of(track, silence->next_day) < activation_ms)
        silence->next_day++;
    silence->days_base = silence->next_day - DAYS_BEHIND;
    memset(silence->filled, 0, sizeof silence->filled);
}

static int64_t earliest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void reschedule(struct engine *engine, struct track *track)
{
    struct silence *silence = track->silence;
    silence->due_ms = INT64_MAX;
    if (!silence->active || has_ended(track))
        return;
    pass_skipped_days(engine, track);
    silence->due_ms = earliest(earliest(edge_due_ms(track), segment_due_ms(track)),
                               earliest(gap_due_ms(engine, track), day_due_ms(engine, track)));
}

/* ------------------------------------------------------------------------------------------------- decisions
 */

static void raise(struct engine *engine, struct track *track, int64_t at_ms)
{
    const struct segment *segment = timeline_at(&track->timeline, at_ms);
    if (open_of(track) != NULL || segment == NULL || segment->state != SEGMENT_ON)
        return;
    struct scene scene = {.engine = engine, .ledger = ledger_of(track)};
    struct transition transition = {
        .at_ms = at_ms,
        .kind = EVENT_RAISED,
        .priority = segment->version->rule->priority,
        .received_ms = INSTANT_NONE,
        .in_force_from_ms = segment->from_ms,
        .version = segment->version,
    };
    struct reading_key began = {.ms = track->silence->last_seen_ms};
    ledger_step(&scene, &transition, &began, 0, true);
    if (engine->out.silence_late != NULL)
        engine->out.silence_late(engine->out.context, engine->unit.now_ms - at_ms);
    bool begins; /* a suspension that begins at this very instant is an event of the episode */
    int64_t edge_ms = spans_next_edge(&track->silence->suspensions, at_ms - 1, &begins);
    track->silence->edge_ms = edge_ms == at_ms && begins ? at_ms - 1 : at_ms;
}

static void finish(struct engine *engine, struct track *track, struct transition *transition)
{
    struct episode *open = open_of(track);
    if (open == NULL)
        return;
    struct scene scene = {.engine = engine, .ledger = ledger_of(track)};
    transition->priority = open->story.items[open->story.count - 1].priority;
    ledger_step(&scene, transition, NULL, 0, false);
}

static void pass_edge(struct engine *engine, struct track *track, int64_t edge_ms)
{
    struct silence *silence = track->silence;
    bool begins;
    spans_next_edge(&silence->suspensions, edge_ms - 1, &begins);
    silence->edge_ms = edge_ms;
    struct episode *open = open_of(track);
    if (open == NULL)
        return;
    struct pending *pending =
        ledger_act(engine, ledger_of(track), open, begins ? EVENT_SUSPENDED : EVENT_RESUMED);
    pending->order_ms = pending->basis.at_ms = edge_ms;
    if (begins)
        pending->until_ms = spans_next_edge(&silence->suspensions, edge_ms, &begins);
}

static void pass_segment(struct engine *engine, struct track *track)
{
    struct silence *silence = track->silence;
    const struct segment *segment = timeline_after(&track->timeline, silence->segment_ms);
    silence->segment_ms = segment->from_ms;
    if (segment->state == SEGMENT_ON) {
        if (days_are_due(engine, track, silence->next_day - 1, segment->version->rule->silence.missed_days))
            raise(engine, track, segment->from_ms);
        return;
    }
    finish(engine, track,
           &(struct transition){
               .at_ms = segment->from_ms,
               .kind = EVENT_CLOSED,
               .received_ms = INSTANT_NONE,
               .in_force_from_ms = segment->from_ms,
               .reason = segment->state == SEGMENT_LEFT ? "left" : "rule-ended",
           });
}

static void close_day(struct engine *engine, struct track *track, int64_t closing_ms)
{
    struct silence *silence = track->silence;
    int64_t day = silence->next_day++;
    const struct rule_silence *rule = silence_at(track, begin_of(track, day));
    bool counted = counted_day(engine, track, day) == day;
    if (rule != NULL && counted && days_are_due(engine, track, day, rule->missed_days))
        raise(engine, track, closing_ms);
}

void silence_expire(struct engine *engine, struct track *track)
{
    int64_t due_ms = track->silence->due_ms;
    if (edge_due_ms(track) == due_ms)
        pass_edge(engine, track, due_ms);
    else if (segment_due_ms(track) == due_ms)
        pass_segment(engine, track);
    else if (gap_due_ms(engine, track) == due_ms)
        raise(engine, track, due_ms);
    else
        close_day(engine, track, due_ms);
    reschedule(engine, track);
}

/* A rule that ends at this very command ends in it; beginnings wait for a later tick, as all that is due
 * does. */
static void pass_ends(struct engine *engine, struct track *track)
{
    const struct segment *next;
    while (track->silence->active &&
           (next = timeline_after(&track->timeline, track->silence->segment_ms)) != NULL &&
           next->state != SEGMENT_ON && next->from_ms <= engine->unit.now_ms)
        pass_segment(engine, track);
}

void silence_schedule(struct engine *engine, struct track *track)
{
    struct silence *silence = track->silence;
    int64_t activation_ms = activation_of(track);
    bool untouched = !silence->seen && open_of(track) == NULL;
    if (activation_ms != INT64_MAX &&
        (!silence->active || (untouched && silence->last_seen_ms != activation_ms)))
        begin_watch(track);
    pass_ends(engine, track);
    reschedule(engine, track);
}

static bool listens_to(const struct rule_silence *rule, enum parameter parameter)
{
    for (unsigned i = 0; i < rule->parameters_count; i++)
        if (rule->parameters[i] == parameter)
            return true;
    return false;
}

/* A sign of life by the one-day test, which applies to rules with max_gap. */
static bool is_sign(const struct silence *silence, const struct rule_silence *rule,
                    const struct arrival *arrival)
{
    return rule->max_gap_ms == 0 || arrival->measured_at_ms > silence->last_seen_ms - DAY_MS;
}

/* A parameter of which things arrive and nothing counts: its device's clock is wrong. What counts in this
 * request speaks last. */
static void watch_device_clocks(struct engine *engine, struct track *track, const struct rule_silence *rule)
{
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < engine->arrivals_count; i++) {
            const struct arrival *arrival = &engine->arrivals[i];
            if (arrival->first_of_key && listens_to(rule, arrival->parameter) &&
                is_sign(track->silence, rule, arrival) == (pass == 1))
                technical_device_clock(engine, track->patient, arrival->parameter, pass == 1);
        }
}

/* The day that an arrival fills. Most are of the day at hand of the zone at hand: the last day found is kept
 * for the engine, since zones are looked up slowly. */
static int64_t day_of_arrival(struct engine *engine, const struct track *track, const struct arrival *arrival)
{
    const struct patient *patient = patient_of(track);
    const struct zone *zone = patient->zones_count == 1 ? patient->zones[0].zone : NULL;
    struct day_at_hand *at_hand = &engine->day_at_hand;
    int start_min = day_start_min(track);
    if (arrival->day_only)
        return day_local(patient, arrival->measured_at_ms);
    if (zone != NULL && zone == at_hand->zone && start_min == at_hand->start_min &&
        arrival->measured_at_ms >= at_hand->begin_ms && arrival->measured_at_ms < at_hand->end_ms)
        return at_hand->day;
    int64_t day = day_of(patient, arrival->measured_at_ms, start_min);
    *at_hand = (struct day_at_hand){zone, start_min, day, day_begin_ms(patient, day, start_min),
                                    day_begin_ms(patient, day + 1, start_min)};
    return day;
}

void silence_receive(struct engine *engine, struct track *track)
{
    struct silence *silence = track->silence;
    int64_t now_ms = engine->unit.now_ms;
    const struct rule_silence *rule = silence->active ? silence_at(track, now_ms) : NULL;
    bool counts = false;
    for (size_t i = 0; rule != NULL && i < engine->arrivals_count; i++) {
        const struct arrival *arrival = &engine->arrivals[i];
        if (!arrival->first_of_key || !listens_to(rule, arrival->parameter))
            continue;
        fill_day(silence, day_of_arrival(engine, track, arrival));
        counts |= is_sign(silence, rule, arrival);
    }
    if (rule != NULL && rule->max_gap_ms > 0)
        watch_device_clocks(engine, track, rule);
    if (!counts)
        return;
    const struct segment *segment = timeline_at(&track->timeline, now_ms);
    silence->last_seen_ms = now_ms;
    silence->seen = true;
    finish(engine, track,
           &(struct transition){
               .at_ms = now_ms,
               .kind = EVENT_CLEARED,
               .received_ms = now_ms,
               .in_force_from_ms = segment->from_ms,
               .version = segment->version,
           });
    reschedule(engine, track);
}

void silence_suspend(struct engine *engine, struct track *track, int64_t from_ms, int64_t until_ms,
                     const char *author, const char *reason)
{
    struct silence *silence = track->silence;
    bool already = spans_touch(&silence->suspensions, engine->unit.now_ms, engine->unit.now_ms + 1);
    spans_add(&silence->suspensions, from_ms, until_ms);
    struct episode *open = open_of(track);
    if (open != NULL && !already && from_ms <= engine->unit.now_ms && until_ms > engine->unit.now_ms) {
        struct pending *pending = ledger_act(engine, ledger_of(track), open, EVENT_SUSPENDED);
        pending->basis.at_ms = engine->unit.now_ms;
        pending->until_ms = until_ms;
        pending->author = author;
        pending->reason = reason;
        silence->edge_ms = engine->unit.now_ms;
    }
    silence_schedule(engine, track);
}
