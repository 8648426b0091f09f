/* day_track: a rule of a patient that judges days (RULES.md section 3.3): daily, variation, baseline. It
 * closes days by the clock and judges again what late data reach.
 * Owner:   the track holds struct days. Threads: the shard's alone.
 * Holds:   days before `base_day` are final (ended 2 L ago) and in the base; those before `next_day` are
 * closed and have a figure; the tip is behind the last of them. In order a reading costs one comparison: its
 * day is open, and its figure is taken once, when it closes. Choices: readings that are judged come within L
 * of their day, but an amendment that names an older one by its identifier may yet change it: so a day is
 * final when its readings are let go. A version judges the days that begin under it, but for one in which the
 * rule ends; a day whose end is the rule's end is judged before it. Days close in order. A day that is not
 * wholly held when a rule first asks for it has no data. A day due at a request's very time waits for the
 * next turn's tick. The figures of days before the first version serve variation and baseline. */
#ifndef VIGIE_ALERTING_DAY_TRACK_H
#define VIGIE_ALERTING_DAY_TRACK_H

#include "alerting/episodes.h"

/* Makes track->days; frees them. */
void day_track_init(struct track *track);
void day_track_deinit(struct track *track);

/* A request changed the series: judges again the closed days that it changed. */
void day_track_judge(struct engine *engine, struct track *track, const struct series *series);
/* The clock: closes the days and ends what is due before the unit's time: what a tick decides is one
 * difference, however much it brings. Series NULL: there is none. */
void day_track_expire(struct engine *engine, struct track *track, const struct series *series);
int64_t day_track_due_ms(const struct track *track);
/* The versions changed, or the track is new. */
void day_track_follow(struct engine *engine, struct track *track, const struct series *series);
/* The zone changed: the day at hand may end at another time. Also after loading. */
void day_track_schedule(struct track *track);

/* The figure of a closed day, NULL when it is not held. */
const struct day_figure *day_track_figure(const struct track *track, int64_t day);
/* When the decision came about, as being live is judged (section 5): at the closing, at the end of the outage
 * of ours that hid it, or with the data when they came later and no later closed day is judged. */
int64_t day_decided_ms(const struct scene *scene, const struct transition *transition);
/* When an episode's first day began. */
int64_t day_ledger_first_ms(const struct ledger *ledger, int64_t day);
/* The first instant of a day of the rule. */
int64_t day_track_begin_ms(const struct track *track, int64_t day);

#endif
