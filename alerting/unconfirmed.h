/* unconfirmed: rules of a patient's line and organisation that wait for a physician, so that nothing of them
 * watches the patient: listed, counted, and a technical alert (RULES.md sections 2 and 5).
 * Owner:   nothing is kept but which patients are to be looked at. Threads: the shard's alone.
 * Choices: a rule waits when a confirmation at this instant would put a version of it in force and none of
 * any layer is (an older confirmed one, a team's or the patient's own watch; what a version would disable or
 * leave to another layer leaves nobody unwatched). One alert a patient, while any rule waits. It is looked at
 * when a set of changes is complete (the registry's command that says so), not command by command: an import
 * that enrols and confirms raises nothing; a set that leaves something waiting raises at once, for nobody
 * watches from then on. And at the instants at which versions and confirmations come into force. */
#ifndef VIGIE_ALERTING_UNCONFIRMED_H
#define VIGIE_ALERTING_UNCONFIRMED_H

#include "alerting/engine_state.h"

/* What the patient is watched by has changed: it is looked at when the set of changes is complete. */
void unconfirmed_note(struct engine *engine, struct patient *patient);
/* A set of changes is complete. */
void unconfirmed_look_at_noted(struct engine *engine);
void unconfirmed_look(struct engine *engine, struct patient *patient, int64_t at_ms);

/* Tells the id of each rule that waits at the instant, in order within a layer; how many. The next instant at
 * which that may change of itself, INT64_MAX without. */
typedef void unconfirmed_take(void *context, const char *rule_id);
unsigned unconfirmed_rules(const struct engine *engine, const struct patient *patient, int64_t at_ms,
                           unconfirmed_take *take, void *context, int64_t *ret_again_ms);

/* {"total":N,"patients":[{"patient","organization","line","since","rules":[…]}]}, the first
 * UNCONFIRMED_LISTED_MAX of a shard. */
void unconfirmed_list(const struct engine *engine, struct buffer *out);

#endif
