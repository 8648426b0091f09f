/* silence: non-transmission, RULES.md section 4. Decided on receptions, the clock and up time alone.
 * Owner:   tracks of kind silence hold the state. Threads: the shard's alone.
 * Holds:   due_ms is the next instant at which something is decided, given that we stay up; INT64_MAX
 * without. Choices: a reading older than what is held cannot be told from a resend and is no sign of life; a
 * quarantined or test reading does not use up its key: the first good one of the key counts; after a change
 * of line the old line's silence is closed, the new line's begins at the change. */
#ifndef VIGIE_ALERTING_SILENCE_H
#define VIGIE_ALERTING_SILENCE_H

#include "alerting/engine_state.h"

/* After a change of versions, suspensions, zone or outages: finds the activation and what is due next. */
void silence_schedule(struct engine *engine, struct track *track);
/* The accepted readings of a request: engine->arrivals. */
void silence_receive(struct engine *engine, struct track *track);
/* Decides the one thing that is due, at due_ms < limit. */
void silence_expire(struct engine *engine, struct track *track);
/* A suspension (its beginning at the command's commit or later): the event, if it begins now and one is open,
 * which names author and reason (borrowed until the end of the unit); what begins later is a tick's and names
 * none. */
void silence_suspend(struct engine *engine, struct track *track, int64_t from_ms, int64_t until_ms,
                     const char *author, const char *reason);

#endif
