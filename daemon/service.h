/* service: everything that runs, in the order in which it must start, and backwards when it stops.
 * Owner:   main. Threads: main alone; it owns the admin loop.
 * Fails:   service_start() undoes what it had started; the cause is logged with its hint. */
#ifndef VIGIE_DAEMON_SERVICE_H
#define VIGIE_DAEMON_SERVICE_H

#include "config/config.h"

struct service;

/* Recovers, connects, binds; returns when readings are accepted and state_dir/ports.json says where. */
MUST_CHECK enum err service_start(const struct config *config, struct service **ret_service);

/* Serves the admin port until SIGTERM or SIGINT. */
void service_run(struct service *service);

/* Stops accepting, answers what is in flight, syncs, lets the sinks end at an edge, frees. */
void service_stop(struct service *service);

#endif
