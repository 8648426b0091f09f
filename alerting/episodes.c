/* episodes: the ledgers and the events that change them one step at a time. episodes_settle.c takes the
 * difference between a replay and what was published. */
#include "alerting/episodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alerting/day_track.h"
#include "alerting/device.h"
#include "alerting/engine_state.h"
#include "alerting/episode_act.h"
#include "alerting/episodes_internal.h"
#include "alerting/grow.h"

void story_deinit(struct story *story)
{
    slab_give(story->items);
    *story = (struct story){0};
}

void story_copy(struct story *to, const struct story *from)
{
    struct transition *items = grow(to->items, from->count, &to->capacity, sizeof items[0]);
    if (from->count > 0)
        memcpy(items, from->items, from->count * sizeof items[0]);
    size_t capacity = to->capacity;
    *to = *from;
    to->items = items;
    to->capacity = capacity;
}

struct transition *story_add(struct story *story, const struct transition *transition)
{
    story->items = grow(story->items, story->count + 1, &story->capacity, sizeof story->items[0]);
    story->items[story->count] = *transition;
    return &story->items[story->count++];
}

bool story_is_open(const struct story *story)
{
    return story->count > 0 && story->items[story->count - 1].kind != EVENT_CLEARED &&
           story->items[story->count - 1].kind != EVENT_CLOSED;
}

int64_t story_end_ms(const struct story *story)
{
    return story_is_open(story) ? INT64_MAX : story->items[story->count - 1].at_ms;
}

struct story *story_list_push(struct story_list *stories)
{
    stories->items = grow(stories->items, stories->count + 1, &stories->capacity, sizeof stories->items[0]);
    stories->items[stories->count] = (struct story){0};
    return &stories->items[stories->count++];
}

void story_list_clear(struct story_list *stories)
{
    for (size_t i = 0; i < stories->count; i++)
        story_deinit(&stories->items[i]);
    stories->count = 0;
}

static uint64_t short_id(const uint8_t id[UUID_BYTES])
{
    uint64_t key;
    memcpy(&key, id, sizeof key);
    return key;
}

static void episode_free(struct engine *engine, struct episode *episode)
{
    index_map_remove(&engine->ledgers_by_episode, short_id(episode->id));
    episode_leave_shelf(engine, episode);
    story_deinit(&episode->story);
    slab_give(episode);
}

void ledger_deinit(struct ledger *ledger, struct engine *engine)
{
    for (size_t i = 0; i < ledger->count; i++)
        episode_free(engine, ledger->items[i]);
    slab_give(ledger->items);
    ledger->items = NULL;
    ledger->count = ledger->capacity = 0;
}

bool episode_is_open(const struct episode *episode)
{
    return !episode->cancelled && story_is_open(&episode->story);
}

/* Published episodes do not overlap: the open one is the last raised. */
struct episode *ledger_open_episode(const struct ledger *ledger)
{
    int64_t last_ms = INT64_MIN;
    for (size_t i = ledger->count; i > 0; i--) {
        struct episode *episode = ledger->items[i - 1];
        if (episode_is_open(episode))
            return episode;
        if (episode->cancelled)
            continue;
        if (episode->story.items[0].at_ms < last_ms)
            return NULL;
        last_ms = episode->story.items[0].at_ms;
    }
    return NULL;
}

/* Until when a held episode matters to matching. */
static int64_t held_until_ms(const struct episode *episode)
{
    if (!episode->cancelled || !episode->open_at_cancel)
        return story_end_ms(&episode->story);
    int64_t raised_ms = episode->story.items[0].at_ms;
    return raised_ms > episode->newest_at_cancel_ms ? raised_ms : episode->newest_at_cancel_ms;
}

static bool may_be_forgotten(const struct episode *episode, int64_t before_ms, int64_t begins_ms)
{
    if (held_until_ms(episode) >= before_ms || episode_is_shelved(episode))
        return false;
    return !episode->cancelled || episode->id_began.ms < begins_ms;
}

void ledger_prune(struct ledger *ledger, struct engine *engine, int64_t before_ms, int64_t begins_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < ledger->count; i++) {
        struct episode *episode = ledger->items[i];
        if (episode->unit != engine->unit.number && may_be_forgotten(episode, before_ms, begins_ms))
            episode_free(engine, episode);
        else
            ledger->items[kept++] = episode;
    }
    ledger->count = kept;
}

void ledger_bound(struct ledger *ledger, struct engine *engine)
{
    size_t kept = 0, beyond = ledger->count - EPISODES_PER_RULE_MAX;
    if (ledger->count <= EPISODES_PER_RULE_MAX)
        return;
    for (size_t i = 0; i < ledger->count; i++) {
        struct episode *episode = ledger->items[i];
        if (beyond == 0 || episode_is_open(episode) || episode_is_shelved(episode)) {
            ledger->items[kept++] = episode;
            continue;
        }
        beyond--;
        ledger->frozen_ms = episode->story.items[0].at_ms;
        episode_free(engine, episode);
    }
    ledger->count = kept;
}

static bool goes_before(const struct episode *a, const struct episode *b)
{
    int64_t a_ms = a->story.items[0].at_ms, b_ms = b->story.items[0].at_ms;
    return a_ms != b_ms ? a_ms < b_ms : a->number < b->number;
}

bool ledger_is_sorted(const struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->count; i++)
        if (ledger->items[i]->number > ledger->numbers ||
            (i > 0 && !goes_before(ledger->items[i - 1], ledger->items[i])))
            return false;
    return true;
}

/* Nearly in order: what is raised anew is raised last, what is amended stays about where it was. */
void ledger_sort(struct ledger *ledger)
{
    for (size_t i = 1; i < ledger->count; i++) {
        struct episode *episode = ledger->items[i];
        size_t at = i;
        for (; at > 0 && goes_before(episode, ledger->items[at - 1]); at--)
            ledger->items[at] = ledger->items[at - 1];
        ledger->items[at] = episode;
    }
}

static enum priority present_priority(const struct episode *episode)
{
    return episode->story.items[episode->story.count - 1].priority;
}

static int64_t live_within_ms_of(const struct ledger *ledger)
{
    return ledger->class == ALERT_DEVICE ? DEVICE_LIVE_WITHIN_MS
                                         : parameter_row(ledger->parameter)->live_within_ms;
}

bool scene_newest(const struct scene *scene, int64_t *ret_ms, int64_t *ret_received_ms)
{
    const struct device_message *message = scene->newest_message;
    struct held held;
    if (message == NULL && (scene->series == NULL || !series_newest(scene->series, &held)))
        return false;
    *ret_ms = message != NULL ? message->ms : held.key.ms;
    *ret_received_ms = message != NULL ? message->received_ms : held.received_ms;
    return true;
}

/* RULES.md section 5, live or retrospective: decided once, when the event is. */
bool scene_is_live(const struct scene *scene, const struct transition *transition, bool stays_open)
{
    const struct unit *unit = &scene->engine->unit;
    if (scene->ledger->class == ALERT_SILENCE || scene->ledger->class == ALERT_TECHNICAL)
        return true;
    if (unit->of_rules && transition->kind != EVENT_CLEARED && transition->kind != EVENT_CLOSED)
        return false;
    int64_t live_within_ms = live_within_ms_of(scene->ledger), newest_ms, received_ms;
    int64_t decided_ms =
        transition->basis == BASIS_DAYS ? day_decided_ms(scene, transition) : transition->at_ms;
    if (decided_ms >= unit->now_ms - live_within_ms)
        return true;
    return stays_open && scene_newest(scene, &newest_ms, &received_ms) &&
           received_ms >= unit->now_ms - live_within_ms && received_ms - newest_ms <= live_within_ms;
}

/* An event of the episode; its priority is published, and a lower one lowers what was paged for good. */
struct pending *episode_emit(const struct scene *scene, struct episode *episode, enum event_kind kind,
                             size_t prefix)
{
    struct pending *pending = unit_add(&scene->engine->unit, scene->ledger, episode, kind);
    pending->sequence = ++episode->sequence;
    pending->prefix = prefix;
    pending->basis = episode->story.items[prefix - 1];
    pending->priority = pending->basis.priority;
    pending->in_breach = episode->story.in_breach;
    pending->cancelled = episode->cancelled;
    if (pending->order_ms < pending->basis.at_ms)
        pending->order_ms = pending->basis.at_ms;
    episode->published = pending->priority;
    if (episode->paged > pending->priority)
        episode->paged = pending->priority;
    return pending;
}

/* The event of one transition. */
struct pending *episode_emit_transition(const struct scene *scene, struct episode *episode, size_t index,
                                        bool stays_open)
{
    const struct transition *transition = &episode->story.items[index];
    struct pending *pending = episode_emit(scene, episode, transition->kind, index + 1);
    pending->reason = transition->reason;
    pending->retrospective = !scene_is_live(scene, transition, stays_open);
    bool up = transition->kind == EVENT_RAISED || transition->kind == EVENT_ESCALATED;
    if (up && !pending->retrospective && episode->paged < transition->priority)
        episode->paged = transition->priority;
    if (transition->kind == EVENT_ESCALATED)
        episode_ask_again(episode);
    return pending;
}

void ledger_take_episode(struct engine *engine, struct ledger *ledger, struct episode *episode)
{
    ledger->items = grow(ledger->items, ledger->count + 1, &ledger->capacity, sizeof ledger->items[0]);
    ledger->items[ledger->count++] = episode;
    index_map_put(&engine->ledgers_by_episode, short_id(episode->id), ledger);
    if (episode_is_shelved(episode))
        shelves_add(engine, ledger, episode);
}

struct episode *ledger_add_episode(const struct scene *scene, const struct reading_key *began,
                                   uint32_t generation)
{
    struct ledger *ledger = scene->ledger;
    struct episode *episode = zeroed(sizeof *episode);
    if (ledger->beginning == BEGAN_EVENT) /* all of one beginning: none of its uses is ever forgotten */
        generation = ledger->numbers;
    episode->id_began = *began;
    episode->number = ++ledger->numbers;
    episode->handled_ms = episode->shelved_until_ms = INSTANT_NONE;
    episode_identify(ledger, began, generation, episode->id);
    ledger_take_episode(scene->engine, ledger, episode);
    return episode;
}

static uint32_t uses_of(const struct ledger *ledger, const struct reading_key *began)
{
    uint32_t uses = 0;
    for (size_t i = 0; i < ledger->count; i++)
        uses += reading_key_equal(&ledger->items[i]->id_began, began);
    return uses;
}

/* The cancelled episode that the one from `raised` to ends_ms takes. */
static struct episode *find_cancelled(const struct ledger *ledger, const struct transition *raised,
                                      const struct reading_key *began, int64_t ends_ms)
{
    struct transition steps[2] = {*raised, {.at_ms = ends_ms, .kind = EVENT_CLEARED}};
    struct story story = {.began = *began, .items = steps, .count = ends_ms == INT64_MAX ? 1 : 2};
    return ledger_find_cancelled(ledger, &story);
}

/* A cancelled episode may come back to life, else it is a new one. */
void ledger_raise(const struct scene *scene, const struct transition *transition,
                  const struct reading_key *began, uint32_t in_breach, int64_t ends_ms)
{
    struct episode *episode = find_cancelled(scene->ledger, transition, began, ends_ms);
    const char *reason = transition->reason;
    if (episode != NULL) {
        episode_reinstate(scene->engine, episode);
        reason = "reinstated";
    } else {
        episode = ledger_add_episode(scene, began, uses_of(scene->ledger, began));
    }
    episode->story.count = 0;
    episode->story.began = *began;
    episode->story.in_breach = in_breach;
    story_add(&episode->story, transition);
    ledger_sort(scene->ledger);
    episode_emit_transition(scene, episode, 0, ends_ms == INT64_MAX)->reason = reason;
}

void ledger_step(const struct scene *scene, const struct transition *transition,
                 const struct reading_key *began, uint32_t in_breach, bool stays_open)
{
    if (transition->kind == EVENT_RAISED) {
        ledger_raise(scene, transition, began, in_breach, stays_open ? INT64_MAX : transition->at_ms);
        return;
    }
    struct episode *episode = ledger_open_episode(scene->ledger);
    ensure(episode != NULL);
    episode->story.in_breach += in_breach;
    story_add(&episode->story, transition);
    episode_emit_transition(scene, episode, episode->story.count - 1, stays_open);
}

void ledger_live(const struct scene *scene)
{
    const struct transition *fresh = &scene->fresh;
    struct episode *episode = ledger_open_episode(scene->ledger);
    if (!scene->has_fresh || episode == NULL || fresh->deciding.ms < episode->story.began.ms ||
        present_priority(episode) <= episode->paged)
        return;
    const struct transition *last = &episode->story.items[episode->story.count - 1];
    struct pending *pending = episode_emit(scene, episode, EVENT_LIVE, episode->story.count);
    pending->basis = *fresh;
    pending->basis.kind = last->kind;
    pending->basis.priority = last->priority;
    pending->basis.version = last->version;
    pending->basis.in_force_from_ms = last->in_force_from_ms;
    if (pending->order_ms < fresh->at_ms)
        pending->order_ms = fresh->at_ms;
    ensure(last->priority == pending->priority);
    episode->paged = pending->priority;
    episode_ask_again(episode);
}

void ledger_end_episode(struct engine *engine, struct ledger *ledger, struct episode *episode,
                        const struct transition *transition)
{
    struct scene scene = {.engine = engine, .ledger = ledger};
    story_add(&episode->story, transition);
    episode_emit_transition(&scene, episode, episode->story.count - 1, false)->retrospective = false;
}

struct pending *ledger_act(struct engine *engine, struct ledger *ledger, struct episode *episode,
                           enum event_kind kind)
{
    struct scene scene = {.engine = engine, .ledger = ledger};
    enum priority paged = episode->paged; /* commands count for nothing in it */
    struct pending *pending = episode_emit(&scene, episode, kind, episode->story.count);
    episode->paged = paged;
    pending->order_ms = engine->unit.now_ms;
    return pending;
}

/* ------------------------------------------------------------------------------------------------------ ids
 */

enum { ID_FIELDS_BYTES_MAX = 2048 };

struct id_fields {
    char text[ID_FIELDS_BYTES_MAX];
    size_t size;
};

static void id_add(struct id_fields *fields, const char *text)
{
    size_t size = strlen(text);
    ensure(fields->size + size + 1 <= sizeof fields->text);
    memcpy(fields->text + fields->size, text, size);
    fields->size += size;
    fields->text[fields->size++] = 0x1f;
}

static void id_add_integer(struct id_fields *fields, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    id_add(fields, text);
}

static void id_finish(const struct id_fields *fields, uint8_t id[UUID_BYTES])
{
    uint8_t digest[SHA256_BYTES];
    hash_sha256(fields->text, fields->size, digest);
    memcpy(id, digest, UUID_BYTES);
    uuid_make_v8(id);
}

static void id_add_day(struct id_fields *fields, int64_t day)
{
    char text[40];
    int year, month, date;
    instant_civil_from_days(day, &year, &month, &date);
    snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, date);
    id_add(fields, text);
}

/* Empty for a missing one: technical alerts about device events have none. */
static const char *parameter_name(const struct ledger *ledger)
{
    return ledger->parameter == PARAMETER_COUNT ? "" : parameter_row(ledger->parameter)->name;
}

void episode_identify(const struct ledger *ledger, const struct reading_key *began, uint32_t generation,
                      uint8_t id[UUID_BYTES])
{
    static const char *const words[] = {
        [BEGAN_READING] = "reading",
        [BEGAN_DAY] = "day",
        [BEGAN_LAST_SEEN] = "last_seen",
        [BEGAN_EVENT] = "event",
    };
    static const char *const sides[] = {[SIDE_LOW] = "low", [SIDE_HIGH] = "high", [SIDE_NONE] = ""};
    struct id_fields fields = {.size = 0};
    id_add(&fields, ledger->rule_id);
    id_add(&fields, sides[ledger->side]);
    id_add(&fields, ledger->patient == NULL ? ledger->detail : ledger->patient->ref);
    id_add(&fields, words[ledger->beginning]);
    if (ledger->technical >= 0 && ledger->patient != NULL && ledger->detail != NULL)
        id_add(&fields, ledger->detail);
    if (ledger->beginning == BEGAN_READING) {
        id_add(&fields, ledger->patient->ref);
        id_add(&fields, parameter_name(ledger));
        id_add(&fields, names_text(&ledger->patient->names, began->device));
        id_add(&fields, names_text(&ledger->patient->names, began->sensor));
        id_add_integer(&fields, began->ms);
    } else if (ledger->beginning == BEGAN_DAY) {
        if (ledger->technical >= 0) /* a rule of the patient has one parameter */
            id_add(&fields, parameter_name(ledger));
        id_add_day(&fields, began->ms);
    } else if (ledger->beginning == BEGAN_EVENT) {
        id_add(&fields, names_text(&ledger->patient->names, began->device));
        id_add(&fields, names_text(&ledger->patient->names, began->sensor));
    } else {
        if (ledger->technical >= 0 && ledger->parameter != PARAMETER_COUNT)
            id_add(&fields, parameter_name(ledger));
        id_add_integer(&fields, began->ms);
    }
    id_add_integer(&fields, generation);
    id_finish(&fields, id);
}

void event_identify(const uint8_t episode_id[UUID_BYTES], uint32_t sequence, uint8_t id[UUID_BYTES])
{
    char text[UUID_TEXT + 1];
    struct id_fields fields = {.size = 0};
    uuid_format(episode_id, text);
    id_add(&fields, text);
    id_add_integer(&fields, sequence);
    id_finish(&fields, id);
}
