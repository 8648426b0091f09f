/* command_quarantine: a person's word on a reading that was kept aside: it is one after all, or never.
 * Both name the reading whole, as PostgreSQL has it, so that a decision can be made again from the command
 * alone.
 * Threads: the shard's alone.
 * Choices: what waits aside is marked and held on, so that a resend stays a duplicate and a second word is
 *          refused; what is not held any more is taken at its word, and the loader settles a row once. Live
 * or retrospective is decided as for any reading: by its original times. A reading of the future is released
 * once engine time has reached its time less the tolerance; one in a unit that its code does not take never:
 * its number is not of the parameter's unit. */
#ifndef VIGIE_ALERTING_COMMAND_QUARANTINE_H
#define VIGIE_ALERTING_COMMAND_QUARANTINE_H

#include "alerting/command_fields.h"
#include "alerting/engine_state.h"

void command_release(struct engine *engine, struct fields *fields);
void command_discard(struct engine *engine, struct fields *fields);

#endif
