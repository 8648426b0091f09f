/* rule_scope: how many rules concern a patient: the ids of its own layer and of the team, organisation and
 * line that it belongs to, each once, in force or waiting (RULES.md section 6: 64 a patient). A change that
 * would make them more is refused by name: a rule that is quietly left out would leave somebody unwatched.
 * Threads: pure functions. */
#ifndef VIGIE_ALERTING_RULE_SCOPE_H
#define VIGIE_ALERTING_RULE_SCOPE_H

#include "alerting/rulebook.h"

/* `member` NULL: the patient's own layer alone; `added` NULL, or the id of a rule that is about to join. */
unsigned rule_scope_count(const struct rule_subject *subject, const struct membership *member,
                          const char *added);

#endif
