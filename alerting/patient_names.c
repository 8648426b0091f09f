/* patient_names: which names of devices and sensors anything of a patient still names. It runs when a sender
 * has made up more than a thousand of them, and again when they have doubled. */
#include <stdlib.h>

#include "alerting/device_alarms.h"
#include "alerting/grow.h"
#include "alerting/patient.h"

static void name_key(bool *named, const struct reading_key *key)
{
    named[key->device] = named[key->sensor] = true;
}

static void name_series(bool *named, const struct series *series)
{
    for (size_t i = 0; i < series_count(series); i++) {
        struct reading_key key;
        held_key(&series->held, i, &key);
        name_key(named, &key);
    }
    for (size_t i = 0; i < series->marks_count; i++)
        name_key(named, &series->marks[i].key);
    if (series->has_tip)
        name_key(named, &series->tip);
    if (series->aside != NULL)
        name_series(named, series->aside);
}

static void name_judged(void *context, const struct reading_key *key)
{
    name_key(context, key);
}

static void name_story(bool *named, const struct story *story)
{
    name_key(named, &story->began);
    for (size_t i = 0; i < story->count; i++) {
        name_key(named, &story->items[i].deciding);
        name_key(named, &story->items[i].first);
    }
}

static void name_ledger(bool *named, const struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->count; i++) {
        name_key(named, &ledger->items[i]->id_began);
        name_story(named, &ledger->items[i]->story);
    }
}

static void name_side(bool *named, enum rule_kind kind, const struct track_side *side)
{
    if (side == NULL)
        return;
    judge_each_key(&side->tip, kind, name_judged, named);
    if (side->base != NULL)
        judge_each_key(side->base, kind, name_judged, named);
    if (side->base_open.count > 0)
        name_story(named, &side->base_open);
    name_ledger(named, &side->ledger);
}

static void name_message(bool *named, const struct device_message *message)
{
    named[message->device] = named[message->episode] = named[message->class] = true;
}

static void name_alarm(bool *named, const struct device_alarm *alarm)
{
    named[alarm->device] = named[alarm->episode] = true;
    if (alarm->base.active != PRIORITY_NONE)
        name_message(named, &alarm->base.last);
    if (alarm->base_open.count > 0)
        name_story(named, &alarm->base_open);
    name_ledger(named, &alarm->ledger);
}

static void name_track(bool *named, const struct track *track)
{
    for (unsigned side = 0; side < SIDE_COUNT; side++)
        name_side(named, (enum rule_kind)track->kind, track->side[side]);
    for (size_t i = 0; i < device_alarms_count(track); i++)
        name_alarm(named, track->alarms->items[i]);
}

void patient_sweep_names(struct patient *patient)
{
    bool *named = zeroed((patient->names.count + 1) * sizeof *named);
    for (size_t i = 0; i < patient->series_count; i++)
        name_series(named, patient->series[i].series);
    for (size_t i = 0; i < patient->tracks_count; i++)
        name_track(named, patient->tracks[i]);
    for (size_t i = 0; patient->devices != NULL && i < patient->devices->count; i++)
        name_message(named, &patient->devices->items[i]);
    for (size_t i = 0; i < patient->technicals_count; i++)
        name_ledger(named, &patient->technicals[i]->ledger);
    names_sweep(&patient->names, named);
    slab_give(named);
}
