/* device_alarms: see device_alarms.h. */
#include "alerting/device_alarms.h"

#include <string.h>

#include "alerting/episodes.h"
#include "alerting/grow.h"
#include "alerting/technical.h"

/* Alarms of a rule whose episodes are held; beyond, those that ended first are frozen (RULES.md section 6).
 * More alarms than the second are not watched, which a technical alert says. */
enum { ALARMS_HELD_MAX = EPISODES_PER_RULE_MAX, ALARMS_MAX = 4 * EPISODES_PER_RULE_MAX };

static size_t alarm_place(const struct track *track, uint32_t device, uint32_t episode)
{
    size_t low = 0, high = device_alarms_count(track);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct device_alarm *alarm = track->alarms->items[middle];
        if (alarm->device < device || (alarm->device == device && alarm->episode < episode))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct device_alarm *device_alarms_find(const struct track *track, uint32_t device, uint32_t episode)
{
    size_t place = alarm_place(track, device, episode);
    struct device_alarm *alarm = place < device_alarms_count(track) ? track->alarms->items[place] : NULL;
    return alarm != NULL && alarm->device == device && alarm->episode == episode ? alarm : NULL;
}

void device_state_init(struct device_state *state)
{
    *state = (struct device_state){.at_ms = INT64_MIN};
}

struct device_alarm *device_alarms_put(struct track *track, uint32_t device, uint32_t episode)
{
    size_t place = alarm_place(track, device, episode);
    struct device_alarm *alarm = zeroed(sizeof *alarm);
    alarm->device = device;
    alarm->episode = episode;
    device_state_init(&alarm->base);
    alarm->ledger = (struct ledger){
        .patient = track->patient,
        .rule_id = track->rule_id,
        .side = SIDE_NONE,
        .class = ALERT_DEVICE,
        .beginning = BEGAN_EVENT,
        .parameter = PARAMETER_COUNT,
        .technical = -1,
        .frozen_ms = INT64_MIN,
    };
    if (track->alarms == NULL)
        track->alarms = zeroed(sizeof *track->alarms);
    struct device_alarms *alarms = track->alarms;
    alarms->items = grow(alarms->items, alarms->count + 1, &alarms->capacity, sizeof alarms->items[0]);
    memmove(alarms->items + place + 1, alarms->items + place,
            (alarms->count - place) * sizeof alarms->items[0]);
    alarms->count++;
    return alarms->items[place] = alarm;
}

static void alarm_free(struct device_alarm *alarm, struct engine *engine)
{
    ledger_deinit(&alarm->ledger, engine);
    story_deinit(&alarm->base_open);
    slab_give(alarm);
}

void device_alarms_free(struct track *track, struct engine *engine)
{
    if (track->kind != RULE_EVENT || track->alarms == NULL)
        return;
    for (size_t i = 0; i < track->alarms->count; i++)
        alarm_free(track->alarms->items[i], engine);
    slab_give(track->alarms->items);
    slab_give(track->alarms);
}

struct device_episode device_alarm_messages(const struct track *track, const struct device_alarm *alarm)
{
    return device_log_find(track->patient->devices, alarm->device, alarm->episode);
}

/* Nothing but the number of its uses is left of it. */
static bool is_spent(const struct track *track, const struct device_alarm *alarm)
{
    struct device_episode messages = device_alarm_messages(track, alarm);
    return alarm->ledger.count == 0 && alarm->base_open.count == 0 && messages.first == messages.end;
}

static void forget_spent(struct engine *engine, struct track *track)
{
    size_t kept = 0;
    for (size_t i = 0; i < device_alarms_count(track); i++)
        if (is_spent(track, track->alarms->items[i]))
            alarm_free(track->alarms->items[i], engine);
        else
            track->alarms->items[kept++] = track->alarms->items[i];
    track->alarms->count = kept;
}

static int64_t ended_ms(const struct device_alarm *alarm)
{
    return story_end_ms(&alarm->ledger.items[alarm->ledger.count - 1]->story);
}

/* Of the alarms whose episodes are held and over, and of which this unit tells nothing, the one that ended
 * first; NULL when no more are held than may be. */
static struct device_alarm *one_too_many(const struct track *track, uint32_t unit)
{
    struct device_alarm *first = NULL;
    size_t held = 0;
    for (size_t i = 0; i < device_alarms_count(track); i++) {
        struct device_alarm *alarm = track->alarms->items[i];
        if (alarm->ledger.count == 0)
            continue;
        held++;
        if (alarm->unit != unit && ledger_open_episode(&alarm->ledger) == NULL &&
            (first == NULL || ended_ms(alarm) < ended_ms(first)))
            first = alarm;
    }
    return held >= ALARMS_HELD_MAX ? first : NULL;
}

static void freeze(struct engine *engine, struct device_alarm *alarm)
{
    for (size_t i = 0; i < alarm->ledger.count; i++) {
        int64_t raised_ms = alarm->ledger.items[i]->story.items[0].at_ms;
        if (raised_ms > alarm->ledger.frozen_ms)
            alarm->ledger.frozen_ms = raised_ms;
    }
    ledger_deinit(&alarm->ledger, engine);
}

/* NULL when the rule has all alarms that it may have. */
struct device_alarm *device_alarms_add(struct engine *engine, struct track *track, uint32_t device,
                                       uint32_t episode)
{
    struct device_alarm *oldest;
    while ((oldest = one_too_many(track, engine->unit.number)) != NULL)
        freeze(engine, oldest);
    if (device_alarms_count(track) >= ALARMS_MAX)
        forget_spent(engine, track);
    if (device_alarms_count(track) < ALARMS_MAX)
        return device_alarms_put(track, device, episode);
    technical_dense(engine, track->patient, PARAMETER_COUNT);
    return NULL;
}
