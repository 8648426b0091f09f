/* device_alarms: the alarms of devices that one rule has, sorted by device and episode, each with a ledger of
 * its own. Owner:   the track. Threads: the shard's alone. Holds:   the episodes of at most 1,024 of them are
 * held, those that ended first are frozen (RULES.md section 6); of an alarm without episodes the number of
 * its uses stays, as long as there is room: ids are never used twice. */
#ifndef VIGIE_ALERTING_DEVICE_ALARMS_H
#define VIGIE_ALERTING_DEVICE_ALARMS_H

#include "alerting/engine_state.h"

static inline size_t device_alarms_count(const struct track *track)
{
    return track->kind != RULE_EVENT || track->alarms == NULL ? 0 : track->alarms->count;
}
struct device_alarm *device_alarms_find(const struct track *track, uint32_t device, uint32_t episode);
/* One that is not there; NULL when the rule has all alarms that it may have, which a technical alert tells.
 */
struct device_alarm *device_alarms_add(struct engine *engine, struct track *track, uint32_t device,
                                       uint32_t episode);
/* The same without a bound: of a snapshot. */
struct device_alarm *device_alarms_put(struct track *track, uint32_t device, uint32_t episode);
void device_alarms_free(struct track *track, struct engine *engine);

void device_state_init(struct device_state *state);
/* The held messages of the alarm. */
struct device_episode device_alarm_messages(const struct track *track, const struct device_alarm *alarm);

#endif
