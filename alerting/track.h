/* track: a rule of a patient that judges readings: its timeline of versions and, for each side, the
 * automaton's state behind the newest instant (tip) and before the first held one (base). Owner:   the
 * patient. Threads: the shard's alone. Holds:   in order an instant is one step of the tip; anything else
 * replays the held series from the base. */
#ifndef VIGIE_ALERTING_TRACK_H
#define VIGIE_ALERTING_TRACK_H

#include "alerting/engine_state.h"

struct track *track_new(struct engine *engine, struct patient *patient, const struct rule *rule);
void track_free(struct track *track, struct engine *engine);
static inline bool track_has_side(const struct track *track, unsigned side)
{
    return (track->sides & 1u << side) != 0;
}
/* Its state, made when there is none yet. */
struct track_side *track_side(struct track *track, unsigned side);

/* The first end of a rule later than the instant, NULL without; what it does to an open episode. */
const struct segment *track_next_end(const struct timeline *timeline, int64_t after_ms);
struct transition track_ending(const struct segment *segment, enum priority active);

/* Judges what lies behind the series' tip, or everything when it is dirty; publishes the differences. */
void track_judge(struct engine *engine, struct track *track, const struct series *series);
/* Judges the held series again; series NULL: there is none. The clock ends rules that ended at or before
 * clock_ms. */
void track_replay(struct engine *engine, struct track *track, const struct series *series, int64_t clock_ms);
/* True when some side has judged the instant, or something later. */
bool track_reaches(const struct track *track, int64_t ms);
/* The occurrences that a transition counted, oldest first, as far as the series holds them. */
typedef void track_take(void *context, const struct reading_key *key);
void track_counted(const struct track *track, enum rule_side side, const struct series *series,
                   const struct transition *transition, track_take *take, void *context);
/* The clock alone: ends what ended at or before clock_ms. */
void track_pass(struct engine *engine, struct track *track, const struct series *series, int64_t clock_ms);
/* When the clock ends an open episode; INT64_MAX. */
int64_t track_due_ms(const struct track *track);
/* Moves the base over the first `count` items of the series, which are about to be let go, up to cut_ms. */
void track_let_go(struct engine *engine, struct track *track, const struct series *series, size_t count,
                  int64_t cut_ms);

#endif
