/* archive_track: automata, episodes, silence, technical alerts. Left out is what nobody reads: the first
 * reading of a run of none, the pending item of a window that has none, sums that can be summed again. */
#include <stdlib.h>

#include "alerting/archive.h"
#include "alerting/episodes.h"
#include "alerting/grow.h"
#include "alerting/judge_own.h"
#include "alerting/technical.h"
#include "alerting/track.h"

static void archive_run(struct archive *a, struct judge_run *run)
{
    archive_u32(a, &run->count);
    if (run->count > 0)
        archive_key(a, &run->first);
}

static void archive_limit_own(struct archive *a, void *state)
{
    struct limit_own *own = state;
    for (unsigned i = 0; i < LEVELS; i++) {
        archive_run(a, &own->run[i]);
        archive_run(a, &own->clear[i]);
    }
}

static void archive_tally(struct archive *a, struct judge_tally *tally)
{
    archive_run(a, &tally->run);
    archive_u32(a, &tally->clear);
    archive_u32(a, &tally->left);
}

static void archive_item(struct archive *a, struct window_item *item)
{
    archive_key(a, &item->key);
    archive_signed(a, &item->value);
}

static void archive_window(struct archive *a, struct window *window)
{
    size_t count = archive_count(a, window->count);
    for (size_t i = 0; i < count && !a->bad; i++) {
        struct window_item item = {.value = 0};
        if (a->writing)
            item = *window_at(window, i);
        archive_item(a, &item);
        if (a->writing)
            continue;
        if (i > 0 && window_at(window, i - 1)->key.ms > item.key.ms)
            archive_fault(a);
        window_push(window, &item);
    }
}

static void archive_change_own(struct archive *a, void *state)
{
    struct change_own *own = state;
    archive_tally(a, &own->tally);
    archive_window(a, &own->window);
    archive_bool(a, &own->has_pending);
    if (own->has_pending)
        archive_item(a, &own->pending);
}

static void archive_reference_own(struct archive *a, void *state)
{
    archive_tally(a, &((struct reference_own *)state)->tally);
}

/* Without the sums: they are summed anew. */
static void archive_rate_own(struct archive *a, void *state)
{
    struct rate_own *own = state;
    archive_tally(a, &own->tally);
    archive_window(a, &own->window);
    for (size_t i = 0; !a->writing && i < own->window.count; i++)
        if (window_at(&own->window, i)->value < -RATE_VALUE_MAX ||
            window_at(&own->window, i)->value > RATE_VALUE_MAX)
            archive_fault(a);
}

static void archive_occurrences_own(struct archive *a, void *state)
{
    struct occurrences_own *own = state;
    archive_bool(a, &own->in);
    size_t count = archive_count(a, own->count);
    for (size_t i = 0; i < count && !a->bad; i++) {
        struct reading_key key = {.ms = 0};
        if (a->writing)
            key = own->items[own->start + i];
        archive_key(a, &key);
        if (!a->writing)
            occurrences_push(own, &key);
    }
}

static void (*const archive_own[RULE_KIND_COUNT])(struct archive *, void *own) = {
    [RULE_LIMIT] = archive_limit_own,   [RULE_OCCURRENCES] = archive_occurrences_own,
    [RULE_CHANGE] = archive_change_own, [RULE_REFERENCE] = archive_reference_own,
    [RULE_RATE] = archive_rate_own,
};

static void archive_judge(struct archive *a, struct judge_state *state, enum rule_kind kind)
{
    bool own = state->own != NULL;
    archive_instant(a, &state->at_ms);
    archive_instant(a, &state->previous_ms);
    ARCHIVE_ENUM(a, state->active, PRIORITY_COUNT);
    archive_bool(a, &own);
    if (!own)
        return;
    if (!a->writing && !judges_readings(kind))
        archive_fault(a);
    if (a->bad)
        return;
    if (!a->writing)
        judge_make_own(state, kind);
    archive_own[kind](a, state->own);
    if (!a->writing && judge_is_blank(state, kind))
        archive_fault(a);
}

/* ---- episodes ---- */

/* Why a transition came about: words of ours, so that a loaded one is the same static text. One that is not
 * here is forgotten: it has been published. */
static const char *const reasons[] = {NULL, "left", "rule-disabled", "rule-ended", "accepted", "handled"};
enum { REASONS = sizeof reasons / sizeof reasons[0] };

static void archive_reason(struct archive *a, const char **reason)
{
    unsigned number = 0;
    if (a->writing && *reason != NULL)
        for (number = 1; number < REASONS && strcmp(reasons[number], *reason) != 0;)
            number++;
    number = number == REASONS ? 0 : number;
    archive_unsigned(a, &number, REASONS);
    *reason = reasons[number];
}

enum { TRANSITION_READING = 1, TRANSITION_KEYS = 2, TRANSITION_BASIS = 4 };

static unsigned bits_of(const struct transition *t)
{
    static const struct reading_key none;
    bool keys = !reading_key_equal(&t->deciding, &none) || !reading_key_equal(&t->first, &none);
    return (t->has_reading ? TRANSITION_READING : 0) |
           (keys || t->value != 0 || t->comparator != 0 ? TRANSITION_KEYS : 0) | TRANSITION_BASIS * t->basis;
}

static void archive_transition(struct archive *a, struct transition *t)
{
    unsigned bits = a->writing ? bits_of(t) : 0, comparator = t->comparator;
    archive_instant(a, &t->at_ms);
    archive_kind(a, &t->kind);
    ARCHIVE_ENUM(a, t->priority, PRIORITY_COUNT);
    archive_unsigned(a, &bits, TRANSITION_BASIS * BASIS_COUNT);
    t->has_reading = (bits & TRANSITION_READING) != 0;
    t->basis = (uint8_t)(bits / TRANSITION_BASIS);
    if (bits & TRANSITION_KEYS) {
        archive_key(a, &t->deciding);
        archive_key(a, &t->first);
        archive_signed(a, &t->value);
        archive_unsigned(a, &comparator, COMPARATOR_GREATER + 1);
    }
    t->comparator = (uint8_t)comparator;
    if (!a->writing && bits != bits_of(t)) /* there is one way to say it */
        archive_fault(a);
    archive_instant(a, &t->received_ms);
    archive_instant(a, &t->in_force_from_ms);
    archive_version(a, &t->version);
    archive_reason(a, &t->reason);
}

void archive_story(struct archive *a, struct story *story)
{
    size_t count = archive_count(a, story->count);
    if (count == 0)
        return; /* what began and how much was in breach is of no story */
    archive_key(a, &story->began);
    archive_u32(a, &story->in_breach);
    if (!a->writing)
        story->items = grow(NULL, count, &story->capacity, sizeof story->items[0]);
    for (size_t i = 0; i < count && !a->bad; i++) {
        if (!a->writing)
            story->items[i] = (struct transition){0};
        archive_transition(a, &story->items[i]);
        story->count = a->writing ? story->count : i + 1;
    }
}

static void archive_episode(struct archive *a, struct episode *episode)
{
    archive_bytes(a, episode->id, sizeof episode->id);
    archive_key(a, &episode->id_began);
    archive_story(a, &episode->story);
    archive_u32(a, &episode->sequence);
    archive_u32(a, &episode->number);
    ARCHIVE_ENUM(a, episode->published, PRIORITY_COUNT);
    ARCHIVE_ENUM(a, episode->paged, PRIORITY_COUNT);
    archive_bool(a, &episode->cancelled);
    archive_bool(a, &episode->acknowledged);
    archive_bool(a, &episode->open_at_cancel);
    archive_instant(a, &episode->newest_at_cancel_ms);
    ARCHIVE_ENUM(a, episode->outcome, OUTCOME_COUNT);
    archive_number(a, &episode->handling);
    archive_instant(a, &episode->handled_ms);
    archive_instant(a, &episode->shelved_until_ms);
}

/* A rule of a patient is rendered from the version of a transition. */
static bool has_version(const struct story *story)
{
    for (size_t i = 0; i < story->count; i++)
        if (story->items[i].version != NULL)
            return true;
    return false;
}

void archive_ledger(struct archive *a, struct ledger *ledger)
{
    archive_instant(a, &ledger->frozen_ms);
    archive_u32(a, &ledger->numbers);
    size_t count = archive_count(a, ledger->count);
    for (size_t i = 0; i < count && !a->bad; i++) {
        struct episode *episode = a->writing ? ledger->items[i] : zeroed(sizeof *episode);
        archive_episode(a, episode);
        if (a->writing)
            continue;
        if (episode->story.count == 0 || (ledger->technical < 0 && !has_version(&episode->story)))
            archive_fault(a);
        ledger_take_episode(a->engine, ledger, episode);
    }
    if (!a->writing && !a->bad && !ledger_is_sorted(ledger))
        archive_fault(a);
}

/* ---- rules of a patient ---- */

static void archive_side(struct archive *a, struct track *track, unsigned number)
{
    bool made = track->side[number] != NULL;
    archive_bool(a, &made);
    if (!made)
        return;
    struct track_side *side = track_side(track, number);
    enum rule_kind kind = (enum rule_kind)track->kind;
    archive_signed(a, &side->window_max_ms);
    archive_judge(a, &side->tip, kind);
    bool base = side->base != NULL;
    archive_bool(a, &base);
    if (base && !a->writing) {
        side->base = zeroed(sizeof *side->base);
        judge_state_init(side->base);
    }
    if (base)
        archive_judge(a, side->base, kind);
    archive_story(a, &side->base_open);
    archive_ledger(a, &side->ledger);
}

static void archive_silence(struct archive *a, struct silence *silence)
{
    archive_instant(a, &silence->last_seen_ms);
    archive_bool(a, &silence->seen);
    archive_bool(a, &silence->active);
    archive_instant(a, &silence->segment_ms);
    archive_instant(a, &silence->next_day);
    archive_instant(a, &silence->days_base);
    for (unsigned i = 0; i < sizeof silence->filled / sizeof silence->filled[0]; i++)
        archive_number(a, &silence->filled[i]);
    archive_instant(a, &silence->edge_ms);
    archive_spans(a, &silence->suspensions);
    archive_instant(a, &silence->due_ms);
}

static struct track *read_head(struct archive *a)
{
    struct rule like = {.kind = RULE_LIMIT, .parameter = PARAMETER_COUNT};
    archive_chars(a, like.id, sizeof like.id);
    ARCHIVE_ENUM(a, like.kind, RULE_KIND_COUNT);
    archive_parameter(a, &like.parameter);
    if ((like.parameter != PARAMETER_COUNT) != rule_kind_has_parameter(like.kind))
        archive_fault(a);
    return a->bad ? NULL : track_new(a->engine, a->patient, &like);
}

/* Every version in force is of the rule's kind and parameter: what judges does not look again. */
static bool timeline_fits(const struct track *track)
{
    for (size_t i = 0; i < track->timeline.count; i++) {
        const struct segment *segment = &track->timeline.items[i];
        if (segment->state != SEGMENT_ON)
            continue;
        const struct rule *rule = segment->version->rule;
        if (rule->kind != (enum rule_kind)track->kind || rule->parameter != (enum parameter)track->parameter)
            return false;
    }
    return true;
}

struct track *archive_track(struct archive *a, struct track *track)
{
    if (!a->writing) {
        track = read_head(a);
        if (track == NULL)
            return NULL;
    } else {
        enum parameter parameter = (enum parameter)track->parameter;
        unsigned kind = track->kind;
        archive_text_of(a, track->rule_id);
        archive_unsigned(a, &kind, RULE_KIND_COUNT);
        archive_parameter(a, &parameter);
    }
    archive_timeline(a, &track->timeline);
    unsigned sides = track->sides;
    archive_unsigned(a, &sides, 1u << SIDE_COUNT);
    track->sides = (uint8_t)sides;
    if (!a->writing && sides != 0 && !track_judges_days(track) &&
        !judges_readings((enum rule_kind)track->kind))
        archive_fault(a);
    for (unsigned i = 0; i < SIDE_COUNT; i++)
        archive_side(a, track, i);
    if (track->kind == RULE_SILENCE)
        archive_silence(a, track->silence);
    if (track->kind == RULE_EVENT)
        archive_alarms(a, track);
    if (!a->writing && !a->bad && !timeline_fits(track))
        archive_fault(a);
    if (track_judges_days(track))
        archive_day_track(a, track);
    return track;
}

/* ---- technical alerts ---- */

static void archive_detail(struct archive *a, const char **detail)
{
    bool present = a->writing && *detail != NULL;
    archive_bool(a, &present);
    if (!present)
        return;
    if (a->writing) {
        archive_text_of(a, *detail);
        return;
    }
    const char *text = archive_text_at(a);
    *detail = text == NULL ? NULL : technical_detail(a->engine, text);
    if (*detail == NULL)
        archive_fault(a);
}

static struct technical *read_technical(struct archive *a)
{
    enum parameter parameter = PARAMETER_COUNT;
    const char *detail = NULL, *rule_id = archive_text_at(a);
    int row = rule_id == NULL ? -1 : technical_row_of(rule_id);
    archive_parameter(a, &parameter);
    archive_detail(a, &detail);
    if (row < 0)
        archive_fault(a);
    return a->bad ? NULL : technical_new(row, a->patient, parameter, detail);
}

struct technical *archive_technical(struct archive *a, struct technical *technical)
{
    if (!a->writing) {
        technical = read_technical(a);
        if (technical == NULL)
            return NULL;
    } else {
        archive_text_of(a, technical->ledger.rule_id);
        archive_parameter(a, &technical->ledger.parameter);
        archive_detail(a, &technical->ledger.detail);
    }
    archive_instant(a, &technical->day);
    archive_instant(a, &technical->due_ms);
    archive_instant(a, &technical->since_ms);
    archive_ledger(a, &technical->ledger);
    bool open = !a->writing && !a->bad && ledger_open_episode(&technical->ledger) != NULL;
    a->engine->unconfirmed += open && technical->ledger.technical == TECHNICAL_UNCONFIRMED;
    return technical;
}
