/* command_episode: finds the episode, refuses what the rules refuse, and has episode_act.h do it. */
#include "alerting/command_episode.h"

#include <string.h>

#include "alerting/episode_act.h"
#include "alerting/episodes.h"

enum { SHELF_DAYS_MAX = 7, WORDS_RENDERED_MAX = 4000 }; /* of the 16 KB of an event */
static const int64_t DAY_MS = 86400000;

struct target {
    struct ledger *ledger;
    struct episode *episode;
    struct act act;
};

static void find_episode(struct engine *engine, const char *text, struct target *ret)
{
    uint8_t id[UUID_BYTES];
    uint64_t key;
    if (uuid_parse(text, strlen(text), id) != OK)
        return;
    memcpy(&key, id, sizeof key);
    struct ledger *ledger = index_map_get(&engine->ledgers_by_episode, key);
    for (size_t i = 0; ledger != NULL && i < ledger->count; i++)
        if (memcmp(ledger->items[i]->id, id, UUID_BYTES) == 0) {
            ret->ledger = ledger;
            ret->episode = ledger->items[i];
            return;
        }
}

static const char *or_none(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

static size_t size_of(const char *text)
{
    return text == NULL ? 0 : rendered_size(text);
}

/* The episode and who says what of it; false: answered. */
static bool take_target(struct engine *engine, struct fields *fields, struct target *target)
{
    *target = (struct target){.act.until_ms = INSTANT_NONE};
    const char *text = field_text(fields, "episode", NULL);
    target->act.author = field_text(fields, "author", "");
    target->act.note = or_none(field_text(fields, "note", ""));
    target->act.reason = or_none(field_text(fields, "reason", ""));
    if (!fields_are_good(fields))
        return false;
    find_episode(engine, text, target);
    size_t words = size_of(target->act.author) + size_of(target->act.note) + size_of(target->act.reason);
    if (target->episode == NULL)
        fields_not_found(fields, "episode");
    else if (target->ledger->patient != NULL && target->ledger->patient->dormant)
        fields_pass(fields);
    else if (target->episode->cancelled)
        fields_refuse(fields, "episode", "cancelled", "an episode that is not cancelled", NULL);
    else if (words > WORDS_RENDERED_MAX)
        fields_refuse(fields, "note", "a long text", "4,000 bytes of author, note and reason", NULL);
    return fields_are_good(fields);
}

static void answer(struct fields *fields)
{
    fields_answer(fields, fields->commit_ms, fields->commit_ms, false);
}

void command_acknowledge(struct engine *engine, struct fields *fields)
{
    struct target target;
    if (!take_target(engine, fields, &target))
        return;
    episode_acknowledge(engine, target.ledger, target.episode, &target.act);
    answer(fields);
}

void command_handle(struct engine *engine, struct fields *fields)
{
    struct target target;
    const char *word = field_text(fields, "outcome", "");
    if (!take_target(engine, fields, &target))
        return;
    target.act.outcome = outcome_from_word(word);
    if (target.act.outcome == OUTCOME_NONE) {
        fields_refuse(fields, "outcome", word[0] == '\0' ? "nothing" : word,
                      "relevant, not-relevant or technical", NULL);
        return;
    }
    episode_handle(engine, target.ledger, target.episode, &target.act);
    answer(fields);
}

/* What may not be shelved, or not so; the first reason is the answer. */
static void refuse_shelf(struct fields *fields, const struct target *target, int64_t now_ms)
{
    char found[INSTANT_TEXT_MAX];
    int64_t until_ms = target->act.until_ms;
    found[until_ms == INSTANT_NONE ? 0 : instant_format(until_ms, found)] = '\0';
    if (target->ledger->class == ALERT_SILENCE)
        fields_refuse(fields, "episode", target->ledger->rule_id, "an episode that is none of silence",
                      "silence is never shelved: a suspension with an end stands for an absence");
    else if (target->act.reason == NULL)
        fields_refuse(fields, "reason", "nothing", "why it is shelved", NULL);
    else if (until_ms == INSTANT_NONE)
        fields_refuse(fields, "until", "nothing", "a time at most 7 days away", NULL);
    else if (until_ms <= now_ms)
        fields_refuse(fields, "until", found, "a time that lies ahead", NULL);
    else if (until_ms - now_ms > SHELF_DAYS_MAX * DAY_MS)
        fields_refuse(fields, "until", found, "a time at most 7 days away", "shelve it again then");
}

void command_shelve(struct engine *engine, struct fields *fields)
{
    struct target target;
    int64_t until_ms = field_instant(fields, "until", INSTANT_NONE);
    if (!take_target(engine, fields, &target))
        return;
    target.act.until_ms = until_ms;
    refuse_shelf(fields, &target, engine->unit.now_ms);
    if (!fields_are_good(fields))
        return;
    episode_shelve(engine, target.ledger, target.episode, &target.act);
    answer(fields);
}

void command_unshelve(struct engine *engine, struct fields *fields)
{
    struct target target;
    if (!take_target(engine, fields, &target))
        return;
    if (!episode_is_shelved(target.episode)) {
        fields_refuse(fields, "episode", "not shelved", "one that is shelved", NULL);
        return;
    }
    episode_unshelve(engine, target.ledger, target.episode, &target.act);
    answer(fields);
}
