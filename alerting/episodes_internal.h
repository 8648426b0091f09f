/* episodes_internal: what episodes.c and episodes_settle.c share. */
#ifndef VIGIE_ALERTING_EPISODES_INTERNAL_H
#define VIGIE_ALERTING_EPISODES_INTERNAL_H

#include "alerting/episodes.h"

bool episode_is_open(const struct episode *episode);
/* The newest reading of the series, or message of the device episode; false without. */
bool scene_newest(const struct scene *scene, int64_t *ret_ms, int64_t *ret_received_ms);
struct pending *episode_emit(const struct scene *scene, struct episode *episode, enum event_kind kind,
                             size_t prefix);
struct pending *episode_emit_transition(const struct scene *scene, struct episode *episode, size_t index,
                                        bool stays_open);
/* One with an id of its own; `generation`: the uses of its beginning before. Call ledger_sort() once it has
 * its story. */
struct episode *ledger_add_episode(const struct scene *scene, const struct reading_key *began,
                                   uint32_t generation);
void ledger_sort(struct ledger *ledger);
/* The cancelled episode that a new one takes: the earliest raised that matches. NULL without. */
struct episode *ledger_find_cancelled(const struct ledger *ledger, const struct story *story);
/* Back to life: its acknowledgement, its shelf and what it paged are gone. */
void episode_reinstate(struct engine *engine, struct episode *episode);

#endif
