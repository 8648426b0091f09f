/* command_rule: a new version of a rule in a layer, RULES.md section 2. Threads: the shard's alone. */
#ifndef VIGIE_ALERTING_COMMAND_RULE_H
#define VIGIE_ALERTING_COMMAND_RULE_H

#include "alerting/command_fields.h"
#include "alerting/engine_state.h"

void command_rule(struct engine *engine, struct fields *fields);

#endif
