/* episode_act: see episode_act.h. Shelves are few, for people make them: the list is searched as it is. */
#include "alerting/episode_act.h"

#include <string.h>

#include "alerting/episodes.h"
#include "alerting/grow.h"

static const char *const outcomes[OUTCOME_COUNT] = {
    [OUTCOME_NONE] = NULL,
    [OUTCOME_RELEVANT] = "relevant",
    [OUTCOME_NOT_RELEVANT] = "not-relevant",
    [OUTCOME_TECHNICAL] = "technical",
};

const char *outcome_word(enum outcome outcome)
{
    return outcomes[outcome];
}

enum outcome outcome_from_word(const char *word)
{
    unsigned outcome = OUTCOME_COUNT - 1;
    while (outcome > OUTCOME_NONE && strcmp(outcomes[outcome], word) != 0)
        outcome--;
    return (enum outcome)outcome;
}

/* ---- the list of shelves ---- */

bool episode_is_shelved(const struct episode *episode)
{
    return episode->shelved_until_ms != INSTANT_NONE;
}

static bool is_asleep(const struct shelf *shelf)
{
    return shelf->ledger->patient != NULL && shelf->ledger->patient->dormant;
}

static bool ends_before(const struct shelf *a, const struct shelf *b)
{
    if (a->episode->shelved_until_ms != b->episode->shelved_until_ms)
        return a->episode->shelved_until_ms < b->episode->shelved_until_ms;
    return memcmp(a->episode->id, b->episode->id, UUID_BYTES) < 0;
}

/* In an order that is none of the list's: it is another one after a restart. */
static const struct shelf *first_to_end(const struct engine *engine)
{
    const struct shelf *first = NULL;
    for (size_t i = 0; i < engine->shelves_count; i++)
        if (!is_asleep(&engine->shelves[i]) && (first == NULL || ends_before(&engine->shelves[i], first)))
            first = &engine->shelves[i];
    return first;
}

void shelves_refresh(struct engine *engine)
{
    const struct shelf *first = first_to_end(engine);
    engine->shelf_due_ms = first == NULL ? INT64_MAX : first->episode->shelved_until_ms;
}

void shelves_add(struct engine *engine, struct ledger *ledger, struct episode *episode)
{
    engine->shelves = grow(engine->shelves, engine->shelves_count + 1, &engine->shelves_capacity,
                           sizeof engine->shelves[0]);
    engine->shelves[engine->shelves_count++] = (struct shelf){ledger, episode};
    shelves_refresh(engine);
}

void shelves_remove(struct engine *engine, const struct episode *episode)
{
    size_t i = 0;
    while (i < engine->shelves_count && engine->shelves[i].episode != episode)
        i++;
    ensure(i < engine->shelves_count);
    engine->shelves[i] = engine->shelves[--engine->shelves_count];
    shelves_refresh(engine);
}

void episode_leave_shelf(struct engine *engine, struct episode *episode)
{
    if (!episode_is_shelved(episode))
        return;
    shelves_remove(engine, episode);
    episode->shelved_until_ms = INSTANT_NONE;
}

void shelves_expire(struct engine *engine)
{
    const struct shelf shelf = *first_to_end(engine);
    int64_t until_ms = shelf.episode->shelved_until_ms;
    episode_leave_shelf(engine, shelf.episode);
    struct pending *pending = ledger_act(engine, shelf.ledger, shelf.episode, EVENT_UNSHELVED);
    pending->order_ms = pending->until_ms = until_ms;
}

/* ---- what people do ---- */

static struct pending *tell(struct engine *engine, struct ledger *ledger, struct episode *episode,
                            enum event_kind kind, const struct act *act)
{
    struct pending *pending = ledger_act(engine, ledger, episode, kind);
    pending->author = act->author;
    pending->note = act->note;
    return pending;
}

void episode_ask_again(struct episode *episode)
{
    episode->acknowledged = false;
    episode->handling = 0;
}

void episode_acknowledge(struct engine *engine, struct ledger *ledger, struct episode *episode,
                         const struct act *act)
{
    if (episode->acknowledged)
        return;
    tell(engine, ledger, episode, EVENT_ACKNOWLEDGED, act);
    episode->acknowledged = true;
}

/* Never 0. */
static uint64_t hash_of(const struct act *act)
{
    uint64_t parts[] = {
        act->author == NULL ? 0 : hash_xxh64(act->author, strlen(act->author)),
        act->note == NULL ? 0 : hash_xxh64(act->note, strlen(act->note)),
        act->outcome,
    };
    return hash_xxh64(parts, sizeof parts) | 1;
}

static void close_by_hand(struct engine *engine, struct ledger *ledger, struct episode *episode)
{
    const struct transition *last = &episode->story.items[episode->story.count - 1];
    struct transition closing = {
        .at_ms = engine->unit.now_ms,
        .kind = EVENT_CLOSED,
        .priority = last->priority,
        .received_ms = INSTANT_NONE,
        .in_force_from_ms = last->in_force_from_ms,
        .version = last->version,
        .reason = "handled",
    };
    ledger_end_episode(engine, ledger, episode, &closing);
}

void episode_handle(struct engine *engine, struct ledger *ledger, struct episode *episode,
                    const struct act *act)
{
    uint64_t handling = hash_of(act);
    if (episode->handling == handling)
        return;
    tell(engine, ledger, episode, EVENT_HANDLED, act)->outcome = act->outcome;
    episode->handling = handling;
    episode->outcome = act->outcome;
    episode->handled_ms = engine->unit.now_ms;
    if (ledger->class == ALERT_DEVICE && !episode->cancelled && story_is_open(&episode->story))
        close_by_hand(engine, ledger, episode);
}

void episode_shelve(struct engine *engine, struct ledger *ledger, struct episode *episode,
                    const struct act *act)
{
    if (episode->shelved_until_ms == act->until_ms)
        return;
    bool shelved = episode_is_shelved(episode);
    episode->shelved_until_ms = act->until_ms;
    if (shelved)
        shelves_refresh(engine);
    else
        shelves_add(engine, ledger, episode);
    struct pending *pending = tell(engine, ledger, episode, EVENT_SHELVED, act);
    pending->reason = act->reason;
    pending->until_ms = act->until_ms;
}

void episode_unshelve(struct engine *engine, struct ledger *ledger, struct episode *episode,
                      const struct act *act)
{
    episode_leave_shelf(engine, episode);
    tell(engine, ledger, episode, EVENT_UNSHELVED, act);
}
