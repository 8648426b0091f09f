/* archive_device: alarms of devices and their held messages. device_message.unit is not written, as of
 * readings. */
#include "alerting/archive.h"
#include "alerting/device_alarms.h"
#include "alerting/episodes.h"
#include "alerting/grow.h"

/* What every message has. */
static void archive_message(struct archive *a, struct device_message *message)
{
    unsigned phase = message->phase;
    archive_name(a, &message->device);
    archive_name(a, &message->episode);
    archive_name(a, &message->class);
    archive_instant(a, &message->ms);
    archive_instant(a, &message->received_ms);
    archive_unsigned(a, &phase, PHASE_COUNT);
    message->phase = (uint8_t)phase;
    archive_bool(a, &message->judged);
    if (!a->writing && message->class == 0) /* events without a class are not let in */
        archive_fault(a);
}

void archive_device_log(struct archive *a, struct device_log **place)
{
    bool made = *place != NULL;
    archive_bool(a, &made);
    if (!made)
        return;
    if (!a->writing)
        *place = device_log_new();
    struct device_log *log = *place;
    size_t count = archive_count(a, log->count);
    if (!a->writing && count > 0)
        log->items = grow(NULL, count, &log->capacity, sizeof log->items[0]);
    for (size_t i = 0; i < count && !a->bad; i++) {
        if (a->writing) {
            archive_message(a, &log->items[i]);
            continue;
        }
        struct device_message message = {0};
        archive_message(a, &message);
        if (a->bad || !device_log_append(log, &a->patient->names, &message))
            archive_fault(a);
    }
    archive_instant(a, &log->cut_ms);
}

static void archive_state(struct archive *a, struct device_state *state)
{
    archive_instant(a, &state->at_ms);
    ARCHIVE_ENUM(a, state->active, PRIORITY_COUNT);
    if (state->active != PRIORITY_NONE)
        archive_message(a, &state->last);
}

static void archive_alarm(struct archive *a, struct device_alarm *alarm)
{
    archive_state(a, &alarm->base);
    archive_story(a, &alarm->base_open);
    archive_ledger(a, &alarm->ledger);
    bool open = alarm->base_open.count > 0;
    if (!a->writing &&
        (open != (alarm->base.active != PRIORITY_NONE) || (open && !story_is_open(&alarm->base_open))))
        archive_fault(a);
}

void archive_alarms(struct archive *a, struct track *track)
{
    size_t count = archive_count(a, device_alarms_count(track));
    for (size_t i = 0; i < count && !a->bad; i++) {
        uint32_t device = a->writing ? track->alarms->items[i]->device : 0;
        uint32_t episode = a->writing ? track->alarms->items[i]->episode : 0;
        archive_name(a, &device);
        archive_name(a, &episode);
        if (!a->writing && !a->bad && device_alarms_put(track, device, episode) != track->alarms->items[i])
            archive_fault(a); /* out of order, or twice the same */
        if (!a->bad)
            archive_alarm(a, track->alarms->items[i]);
    }
}
