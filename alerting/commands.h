/* commands: what registry and people tell the engine, one function a kind (struct command in
 * daemon/model/command.h). Owner:   the caller's command; its outcome and reply are filled in. Threads: the
 * shard's alone. Fails:   ERR_NOT_FOUND: the patient or episode is not of this shard; ERR_REFUSED:
 * {"what","found","expected","hint"}. Choices: the same command again changes nothing and is answered as the
 * first time; a departure begins at its commit at the earliest: until then the patient was watched. */
#ifndef VIGIE_ALERTING_COMMANDS_H
#define VIGIE_ALERTING_COMMANDS_H

#include "alerting/engine_state.h"

/* Carries out the command in the unit that is open, and publishes what follows from it. */
void commands_carry_out(struct engine *engine, struct command *command);

/* The effective rules of a patient (show.c). */
void show_patient(const struct engine *engine, const struct patient *patient, struct buffer *out);

#endif
