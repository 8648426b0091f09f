/* episodes_settle: the difference between the episodes that a replay found and those that were published,
 * taken once a unit (RULES.md section 5, matching).
 *
 * New episodes choose in order of raised_at among the published that match (same raised_at, or [raised_at,
 * cleared_at) share an instant), the earliest raised first, cancelled ones after the others; what is chosen
 * keeps its id. Then: what no one chose is cancelled; what goes on gets its further transitions as events;
 * what became something else is amended as a whole.
 *
 * Both sides are in order of raised_at, and what lies wholly before one new episode lies before all that
 * follow: each list of candidates is walked once, and is left by what is taken or past. (The first readings
 * of new episodes are in order too, for every kind: it is what makes a cancelled open episode past.) */
#include <stdlib.h>

#include "alerting/day_track.h"
#include "alerting/engine_state.h"
#include "alerting/episode_act.h"
#include "alerting/episodes_internal.h"
#include "alerting/grow.h"
#include "alerting/index_map.h"

struct merged { /* the open episode that was merged into another */
    bool any;
    enum priority published, paged;
    bool acknowledged;
};

struct claim { /* of one new episode */
    struct story *story;
    struct episode *episode;
    struct merged merged;
    bool is_new;
};

struct candidate { /* what is published, in order of raised_at; listed until it is taken or past */
    struct episode *episode;
    struct candidate *next;
    bool taken;
};

struct candidates {
    struct candidate *all, *published, *cancelled; /* all: an array; the others: lists */
    size_t count;
};

/* ---- matching ---- */

static int64_t raised_ms(const struct story *story)
{
    return story->items[0].at_ms;
}

/* Half open: what was cleared at the instant at which it was raised has none. A device's alarm may be one
 * message, which raises and ends it: there the end is inside. */
static int64_t end_ms(const struct ledger *ledger, const struct story *story)
{
    int64_t ms = story_end_ms(story);
    return ms != INT64_MAX && ledger->beginning == BEGAN_EVENT ? ms + 1 : ms;
}

/* When the first reading of an episode was measured, of days when its first day began. */
static int64_t first_ms(const struct ledger *ledger, const struct story *story)
{
    bool of_days = ledger->beginning == BEGAN_DAY && ledger->technical < 0;
    return of_days ? day_ledger_first_ms(ledger, story->began.ms) : story->began.ms;
}

static bool shares_instant(const struct ledger *ledger, const struct story *a, const struct story *b)
{
    int64_t from_ms = raised_ms(a) > raised_ms(b) ? raised_ms(a) : raised_ms(b);
    return from_ms < end_ms(ledger, a) && from_ms < end_ms(ledger, b);
}

/* One that was open when it was cancelled has no end of its own: what begins later than all that was there
 * then is another one. */
static bool begins_later(const struct ledger *ledger, const struct story *story,
                         const struct episode *episode)
{
    return episode->cancelled && episode->open_at_cancel &&
           first_ms(ledger, story) > episode->newest_at_cancel_ms;
}

static bool matches(const struct ledger *ledger, const struct story *story, const struct episode *episode)
{
    if (raised_ms(story) == raised_ms(&episode->story))
        return true;
    return !begins_later(ledger, story, episode) && shares_instant(ledger, story, &episode->story);
}

/* Wholly: it matches nothing that is raised no earlier than the other. */
static bool is_before(const struct ledger *ledger, const struct story *a, const struct story *b)
{
    return raised_ms(a) < raised_ms(b) && end_ms(ledger, a) <= raised_ms(b);
}

/* Neither this story nor any later one matches. */
static bool is_past(const struct ledger *ledger, const struct story *story, const struct episode *episode)
{
    return is_before(ledger, &episode->story, story) ||
           (raised_ms(&episode->story) < raised_ms(story) && begins_later(ledger, story, episode));
}

/* Neither this episode nor any later raised one matches. */
static bool is_behind(const struct ledger *ledger, const struct story *story, const struct episode *episode)
{
    return raised_ms(&episode->story) > raised_ms(story) &&
           raised_ms(&episode->story) >= end_ms(ledger, story);
}

/* The earliest raised of the list that matches; it is taken. */
static struct episode *choose(const struct ledger *ledger, struct candidate **at, const struct story *story)
{
    while (*at != NULL && !is_behind(ledger, story, (*at)->episode)) {
        struct candidate *candidate = *at;
        candidate->taken = matches(ledger, story, candidate->episode);
        if (candidate->taken || is_past(ledger, story, candidate->episode))
            *at = candidate->next;
        else
            at = &candidate->next;
        if (candidate->taken)
            return candidate->episode;
    }
    return NULL;
}

struct episode *ledger_find_cancelled(const struct ledger *ledger, const struct story *story)
{
    for (size_t i = 0; i < ledger->count; i++)
        if (ledger->items[i]->cancelled && matches(ledger, story, ledger->items[i]))
            return ledger->items[i];
    return NULL;
}

void episode_reinstate(struct engine *engine, struct episode *episode)
{
    episode->cancelled = false;
    episode_ask_again(episode);
    episode_leave_shelf(engine, episode);
    episode->paged = PRIORITY_NONE;
}

static void cancel(const struct scene *scene, struct episode *episode, struct claim *into)
{
    int64_t newest_ms, received_ms;
    episode->open_at_cancel = episode_is_open(episode);
    if (into != NULL && episode->open_at_cancel)
        into->merged = (struct merged){true, episode->published, episode->paged, episode->acknowledged};
    episode->newest_at_cancel_ms = scene_newest(scene, &newest_ms, &received_ms) ? newest_ms : INT64_MIN;
    episode->cancelled = true;
    struct pending *pending = episode_emit(scene, episode, EVENT_CANCELLED, episode->story.count);
    episode->paged = PRIORITY_NONE;
    pending->retrospective = true;
    pending->reason = into != NULL ? "merged" : scene->engine->unit.cause;
    pending->has_into = into != NULL;
    for (unsigned i = 0; into != NULL && i < UUID_BYTES; i++)
        pending->into[i] = into->episode->id[i];
}

/* What no one took, in order; each into the first new one that it matches. */
static void cancel_rest(const struct scene *scene, const struct candidates *candidates, struct claim *claims,
                        size_t count)
{
    const struct ledger *ledger = scene->ledger;
    size_t first = 0;
    for (size_t i = 0; i < candidates->count; i++) {
        struct episode *episode = candidates->all[i].episode;
        if (episode->cancelled || candidates->all[i].taken)
            continue;
        while (first < count && is_before(ledger, claims[first].story, &episode->story))
            first++;
        size_t into = first;
        while (into < count && !matches(ledger, claims[into].story, episode) &&
               raised_ms(claims[into].story) < end_ms(ledger, &episode->story))
            into++;
        bool found = into < count && matches(ledger, claims[into].story, episode);
        cancel(scene, episode, found ? &claims[into] : NULL);
    }
}

static bool same_transition(const struct transition *a, const struct transition *b)
{
    return a->at_ms == b->at_ms && a->kind == b->kind && a->priority == b->priority;
}

static bool is_prefix(const struct story *published, const struct story *story)
{
    if (published->count > story->count)
        return false;
    for (size_t i = 0; i < published->count; i++)
        if (!same_transition(&published->items[i], &story->items[i]))
            return false;
    return true;
}

/* Takes the story. */
static void replace_story(struct episode *episode, struct story *story)
{
    story_deinit(&episode->story);
    episode->story = *story;
    *story = (struct story){0};
}

static void emit_from(const struct scene *scene, struct episode *episode, size_t index,
                      const char *first_reason)
{
    bool stays_open = story_is_open(&episode->story);
    for (; index < episode->story.count; index++) {
        struct pending *pending = episode_emit_transition(scene, episode, index, stays_open);
        if (first_reason != NULL)
            pending->reason = first_reason;
        first_reason = NULL;
    }
}

/* The acknowledgement and what was paged of the open episode that was merged into this one. */
static void take_over(struct episode *episode, const struct merged *merged)
{
    if (!merged->any || !episode_is_open(episode))
        return;
    if (merged->paged > episode->paged)
        episode->paged = merged->paged;
    if (episode->paged > episode->published)
        episode->paged = episode->published;
    episode->acknowledged = merged->acknowledged;
}

static void escalate_amended(const struct scene *scene, struct episode *episode)
{
    const struct transition *last = &episode->story.items[episode->story.count - 1];
    struct pending *pending = episode_emit(scene, episode, EVENT_ESCALATED, episode->story.count);
    pending->retrospective = !scene_is_live(scene, last, true);
    if (!pending->retrospective)
        episode->paged = pending->priority;
    episode_ask_again(episode);
}

static void amend(const struct scene *scene, struct claim *claim)
{
    struct episode *episode = claim->episode;
    enum priority published = claim->merged.any ? claim->merged.published : episode->published;
    bool was_open = episode_is_open(episode);
    replace_story(episode, claim->story);
    bool open = episode_is_open(episode);

    struct pending *pending = episode_emit(scene, episode, EVENT_AMENDED, episode->story.count);
    pending->retrospective = true;
    pending->reopened = open && !was_open;
    pending->reason = pending->reopened ? "reopened" : scene->engine->unit.cause;
    if (pending->reopened) {
        episode->paged = PRIORITY_NONE;
        episode_ask_again(episode);
        episode_leave_shelf(scene->engine, episode);
    }
    take_over(episode, &claim->merged);

    const struct transition *last = &episode->story.items[episode->story.count - 1];
    if (open && last->priority > published)
        escalate_amended(scene, episode);
    if (was_open && !open) {
        pending = episode_emit(scene, episode, last->kind, episode->story.count);
        pending->reason = last->reason;
        pending->retrospective = !scene_is_live(scene, last, false);
    }
}

static void carry_out(const struct scene *scene, struct claim *claim)
{
    struct episode *episode = claim->episode;
    if (claim->is_new) {
        replace_story(episode, claim->story);
        emit_from(scene, episode, 0, NULL);
    } else if (episode->cancelled) {
        episode_reinstate(scene->engine, episode);
        replace_story(episode, claim->story);
        emit_from(scene, episode, 0, "reinstated");
    } else if (is_prefix(&episode->story, claim->story)) {
        size_t published = episode->story.count;
        replace_story(episode, claim->story);
        emit_from(scene, episode, published, NULL);
        take_over(episode, &claim->merged);
    } else {
        amend(scene, claim);
    }
}

/* A frozen past makes nothing new: its episodes are facts, but what is held may have become part of one. An
 * open one is published whatever it began with. */
static bool is_frozen(const struct ledger *ledger, const struct story *story)
{
    return raised_ms(story) <= ledger->frozen_ms && !story_is_open(story);
}

static size_t claim_all(const struct scene *scene, struct story *stories, size_t count, struct claim *claims,
                        struct candidates *candidates)
{
    size_t claimed = 0;
    for (size_t i = 0; i < count; i++) {
        struct episode *episode = choose(scene->ledger, &candidates->published, &stories[i]);
        bool frozen = episode == NULL && is_frozen(scene->ledger, &stories[i]);
        if (episode == NULL && !frozen)
            episode = choose(scene->ledger, &candidates->cancelled, &stories[i]);
        if (frozen)
            story_deinit(&stories[i]);
        else
            claims[claimed++] = (struct claim){.story = &stories[i], .episode = episode};
    }
    return claimed;
}

static struct candidates list_candidates(const struct ledger *ledger)
{
    struct candidates lists = {.count = ledger->count};
    struct candidate **published = &lists.published, **cancelled = &lists.cancelled;
    lists.all = zeroed((ledger->count + 1) * sizeof lists.all[0]);
    for (size_t i = 0; i < ledger->count; i++) {
        struct candidate ***tail = ledger->items[i]->cancelled ? &cancelled : &published;
        lists.all[i].episode = ledger->items[i];
        **tail = &lists.all[i];
        *tail = &lists.all[i].next;
    }
    return lists;
}

static uint64_t hash_of(const struct reading_key *began)
{
    uint64_t parts[] = {(uint64_t)began->ms, (uint64_t)began->device << 32 | began->sensor};
    return hash_xxh64(parts, sizeof parts);
}

/* One use more of the beginning; how many there were. */
static uint32_t count_use(struct index_map *uses, const struct reading_key *began)
{
    uint64_t hash = hash_of(began);
    uintptr_t before = (uintptr_t)index_map_get(uses, hash);
    index_map_put(uses, hash, (void *)(before + 1));
    return (uint32_t)before;
}

/* Only an episode that takes none gets an id of its own. */
static void add_new(const struct scene *scene, struct claim *claims, size_t count)
{
    struct index_map uses = {0};
    size_t next = 0;
    while (next < count && claims[next].episode != NULL)
        next++;
    for (size_t i = 0; next < count && i < scene->ledger->count; i++)
        (void)count_use(&uses, &scene->ledger->items[i]->id_began);
    for (; next < count; next++)
        if (claims[next].episode == NULL) {
            const struct reading_key *began = &claims[next].story->began;
            claims[next].episode = ledger_add_episode(scene, began, count_use(&uses, began));
            claims[next].is_new = true;
        }
    index_map_deinit(&uses);
}

void ledger_settle(const struct scene *scene, struct story *stories, size_t count)
{
    struct claim *claims = zeroed((count + 1) * sizeof claims[0]);
    struct candidates candidates = list_candidates(scene->ledger);
    count = claim_all(scene, stories, count, claims, &candidates);
    add_new(scene, claims, count);
    cancel_rest(scene, &candidates, claims, count);
    for (size_t i = 0; i < count; i++)
        carry_out(scene, &claims[i]);
    ledger_sort(scene->ledger);
    slab_give(candidates.all);
    slab_give(claims);
}
