/* service_steps: the steps of service.c's start table that live in files of their own, and what they share.
 * Owner:   service.c calls each once, start in the order of its table and stop backwards; a stop may find
 * what its start left half done. Threads: main's. Fails: logged with its hint by whoever failed. */
#ifndef VIGIE_DAEMON_SERVICE_STEPS_H
#define VIGIE_DAEMON_SERVICE_STEPS_H

#include "daemon/service_internal.h"

static inline struct counters *service_loop_counters(struct service *service, unsigned loop)
{
    return &service->counters[COUNTERS_FIXED + loop];
}

static inline struct counters *service_shard_counters(struct service *service, unsigned shard)
{
    return &service->counters[COUNTERS_FIXED + service->loops + shard];
}

MUST_CHECK enum err service__start_shards(struct service *service);
void service__stop_shards(struct service *service);
MUST_CHECK enum err service__start_wiring(struct service *service);
void service__stop_wiring(struct service *service);
MUST_CHECK enum err service__start_loader(struct service *service);
void service__stop_loader(struct service *service);
MUST_CHECK enum err service__start_publisher(struct service *service);
void service__stop_publisher(struct service *service);
MUST_CHECK enum err service__start_threads(struct service *service);
void service__stop_threads(struct service *service);
MUST_CHECK enum err service__start_registry(struct service *service);
void service__stop_registry(struct service *service);
MUST_CHECK enum err service__start_loops(struct service *service);
void service__stop_loops(struct service *service);
MUST_CHECK enum err service__start_conditions(struct service *service);
void service__stop_conditions(struct service *service);
MUST_CHECK enum err service__start_watchdog(struct service *service);
void service__stop_watchdog(struct service *service);

#endif
