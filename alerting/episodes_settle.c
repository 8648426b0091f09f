/* episodes_settle: the difference between the episodes that a replay found and those that were published,
 * taken once a unit (RULES.md section 5, matching).
 *
 * New episodes choose in order of raised_at among the published that match (same raised_at, or [raised_at,
 * cleared_at) share an instant), the earliest raised first, cancelled ones after the others; what is chosen
 * keeps its id. Then: what no one chose is cancelled; what goes on gets its further transitions as events;
 * what became something else is amended as a whole. */
#include <stdlib.h>

#include "alerting/day_track.h"
#include "alerting/engine_state.h"
#include "alerting/episode_act.h"
#include "alerting/episodes_internal.h"
#include "alerting/grow.h"

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

/* At the instant of its clearing an episode is over; one that was cleared as it was raised has that instant
 * alone. */
static bool is_instant(const struct story *story)
{
    return story->items[0].at_ms == story_end_ms(story);
}

static bool shares_instant(const struct story *a, const struct story *b)
{
    if (is_instant(a) || is_instant(b))
        return a->items[0].at_ms <= story_end_ms(b) && b->items[0].at_ms <= story_end_ms(a);
    return a->items[0].at_ms < story_end_ms(b) && b->items[0].at_ms < story_end_ms(a);
}

/* When the first reading of an episode was measured, of days when its first day began. */
static int64_t first_ms(const struct ledger *ledger, const struct story *story)
{
    return ledger->beginning == BEGAN_DAY ? day_ledger_first_ms(ledger, story->began.ms) : story->began.ms;
}

static bool matches(const struct ledger *ledger, const struct story *story, const struct episode *episode)
{
    bool same_raised = story->items[0].at_ms == episode->story.items[0].at_ms;
    if (same_raised)
        return true;
    if (episode->cancelled && episode->open_at_cancel &&
        first_ms(ledger, story) > episode->newest_at_cancel_ms)
        return false;
    return shares_instant(story, &episode->story);
}

static bool is_taken(const struct claim *claims, size_t count, const struct episode *episode)
{
    for (size_t i = 0; i < count; i++)
        if (claims[i].episode == episode)
            return true;
    return false;
}

static struct episode *choose(const struct ledger *ledger, const struct story *story, bool cancelled,
                              const struct claim *claims, size_t claims_count)
{
    struct episode *best = NULL;
    for (size_t i = 0; i < ledger->count; i++) {
        struct episode *episode = ledger->items[i];
        if (episode->cancelled == cancelled && matches(ledger, story, episode) &&
            (best == NULL || episode->story.items[0].at_ms < best->story.items[0].at_ms) &&
            !is_taken(claims, claims_count, episode))
            best = episode;
    }
    return best;
}

struct episode *ledger_find_cancelled(const struct ledger *ledger, const struct story *story)
{
    return choose(ledger, story, true, NULL, 0);
}

void episode_reinstate(struct engine *engine, struct episode *episode)
{
    episode->cancelled = false;
    episode_ask_again(episode);
    episode_leave_shelf(engine, episode);
    episode->paged = PRIORITY_NONE;
}

static void cancel(const struct scene *scene, struct episode *episode, struct claim *claims,
                   size_t claims_count)
{
    int64_t newest_ms, received_ms;
    struct claim *into = NULL;
    for (size_t i = 0; i < claims_count && into == NULL; i++)
        if (matches(scene->ledger, claims[i].story, episode))
            into = &claims[i];
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

static size_t claim_all(const struct scene *scene, struct story *stories, size_t count, struct claim *claims)
{
    size_t claimed = 0;
    for (size_t i = 0; i < count; i++) {
        if (stories[i].items[0].at_ms <= scene->ledger->frozen_ms) {
            story_deinit(&stories[i]);
            continue;
        }
        struct episode *episode = choose(scene->ledger, &stories[i], false, claims, claimed);
        if (episode == NULL)
            episode = choose(scene->ledger, &stories[i], true, claims, claimed);
        claims[claimed++] = (struct claim){.story = &stories[i], .episode = episode};
    }
    return claimed;
}

void ledger_settle(const struct scene *scene, struct story *stories, size_t count)
{
    struct claim *claims = zeroed((count + 1) * sizeof claims[0]);
    size_t published = scene->ledger->count;
    count = claim_all(scene, stories, count, claims);
    for (size_t i = 0; i < count; i++)
        if (claims[i].episode == NULL) {
            claims[i].episode = ledger_add_episode(scene, &claims[i].story->began);
            claims[i].is_new = true;
        }
    for (size_t i = 0; i < published; i++) {
        struct episode *episode = scene->ledger->items[i];
        if (!episode->cancelled && !is_taken(claims, count, episode))
            cancel(scene, episode, claims, count);
    }
    for (size_t i = 0; i < count; i++)
        carry_out(scene, &claims[i]);
    slab_give(claims);
}
