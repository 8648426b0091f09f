/* command_episode: what people say of an episode: acknowledge, handle, shelve, unshelve. Threads: the shard's
 * alone. Fails:   as commands.h. Choices: see episode_act.h. */
#ifndef VIGIE_ALERTING_COMMAND_EPISODE_H
#define VIGIE_ALERTING_COMMAND_EPISODE_H

#include "alerting/command_fields.h"
#include "alerting/engine_state.h"

void command_acknowledge(struct engine *engine, struct fields *fields);
void command_handle(struct engine *engine, struct fields *fields);
void command_shelve(struct engine *engine, struct fields *fields);
void command_unshelve(struct engine *engine, struct fields *fields);

#endif
