/* service_watch: the steps of the start table that watch the others: who must show progress, what the node
 * knows of itself, what `systemctl status` says. */
#include "daemon/service_steps.h"

#include <stdio.h>

#include "daemon/conditions.h"

static void knock_loader(void *target)
{
    loader_knock(target);
}

static void wake_publisher(void *target)
{
    publisher_wake(target);
}

static void ring_bell(void *target)
{
    wakeup_ring(target);
}

static void watch(struct service *service, const char *role, unsigned index, const struct watched *thread)
{
    struct watched watched = *thread;
    snprintf(watched.name, sizeof watched.name, "%s-%u", role, index);
    watchdog_add(&service->watchdog, &watched);
}

/* What `systemctl status` shows: who is away, what waits. */
static void say_status(void *context, char *text, size_t size)
{
    const struct service *service = context;
    const char *worst = conditions_worst(service->conditions);
    snprintf(text, size, "%s%saccepting readings; behind: PostgreSQL %llu%s, Kafka %llu%s",
             worst == NULL ? "" : worst, worst == NULL ? "" : "; ",
             (unsigned long long)atomic_load(&service->postgres.records_lag),
             atomic_load(&service->postgres.state) == SINK_CONNECTED ? "" : " (away)",
             (unsigned long long)atomic_load(&service->kafka.records_lag),
             atomic_load(&service->kafka.state) == SINK_CONNECTED ? "" : " (away)");
}

enum err service__start_watchdog(struct service *service)
{
    watchdog_init(&service->watchdog, watchdog_period_ms());
    service->watchdog.status = say_status;
    service->watchdog.context = service;
    for (unsigned i = 0; i < service->loops; i++)
        watch(service, "ingest", i,
              &(struct watched){.heartbeat = &service_loop_counters(service, i)->heartbeat,
                                .ring = ring_bell,
                                .target = &service->loop_bell[i]});
    for (uint32_t i = 0; i < service->shards; i++)
        watch(service, "shard", i,
              &(struct watched){.heartbeat = &service_shard_counters(service, i)->heartbeat,
                                .ring = ring_bell,
                                .target = shard_bell(service->shard[i])});
    watch(service, "loader", 0,
          &(struct watched){.heartbeat = &service->counters[COUNTERS_LOADER].heartbeat,
                            .ring = knock_loader,
                            .target = service->loader});
    watch(service, "publisher", 0,
          &(struct watched){.heartbeat = &service->counters[COUNTERS_PUBLISHER].heartbeat,
                            .ring = wake_publisher,
                            .target = service->publisher});
    watch(service, "registry", 0,
          &(struct watched){.heartbeat = &service->counters[COUNTERS_REGISTRY].heartbeat,
                            .ring = ring_bell,
                            .target = &service->registry_bell});
    watchdog_start(&service->watchdog, &service->admin_loop);
    memory_start(&service->memory, &service->admin_loop, service->slab, service->shards);
    return OK;
}

void service__stop_watchdog(struct service *service)
{
    memory_stop(&service->memory);
    watchdog_stop(&service->watchdog);
}

enum err service__start_conditions(struct service *service)
{
    return conditions_start(service, &service->conditions);
}

void service__stop_conditions(struct service *service)
{
    conditions_stop(service->conditions);
    service->conditions = NULL;
}
