/* conditions: what the node knows of itself and an operator must hear: a table of rows, looked at once a
 * second on the loop of main. A row names a technical alert (alerting/technical.def), how to see whether it
 * holds, and for how long it must hold before it is told. A change goes to shard 0 as the journaled command
 * `condition`, to the log and to the service status; the truth of it is in the journal, so replay asks
 * nobody. Owner:   service, between the admin port and accepting. Threads: the loop of main alone; rows read
 * figures of other threads. Fails:   a command that was not taken is sent again a second later. */
#ifndef VIGIE_DAEMON_CONDITIONS_H
#define VIGIE_DAEMON_CONDITIONS_H

#include "daemon/service_internal.h"

struct conditions;
MUST_CHECK enum err conditions_start(struct service *service, struct conditions **ret_conditions);
/* The note of the most urgent condition that holds, for the service status; NULL without. */
const char *conditions_worst(const struct conditions *conditions);
/* Stops looking; the loop runs until what was sent is back. */
void conditions_stop(struct conditions *conditions);

#endif
