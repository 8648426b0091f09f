/* service_sinks: the steps of the start table that make the loader and the publisher. */
#include "daemon/service_steps.h"

#include "daemon/base/clock.h"
#include "storage/loader_session.h"

enum err service__start_loader(struct service *service)
{
    const struct config *config = service->config;
    atomic_store(&service->postgres.oldest_ms, INSTANT_NONE);
    atomic_store(&service->engine_now_ms, clock_wall_ms());
    struct loader_options options = {
        .conninfo = config->postgres_conninfo,
        .node = service->identity.node,
        .epoch = service->identity.epoch,
        .shards = service->shards,
        .journals = service->journal,
        .journal_directory = service->journal_directory,
        .batch_rows = (unsigned)config->postgres_batch_rows,
        .index_open_partition = config->postgres_index_open_partition,
        .engine_now_ms = &service->engine_now_ms,
        .counters = &service->counters[COUNTERS_LOADER],
        .figures = &service->postgres,
    };
    enum err error = loader_session_claim(&options);
    return error == OK ? loader_start(&options, &service->loader) : error;
}

void service__stop_loader(struct service *service)
{
    loader_stop(service->loader);
}

enum err service__start_publisher(struct service *service)
{
    const struct config *config = service->config;
    atomic_store(&service->kafka.oldest_ms, INSTANT_NONE);
    struct publisher_options options = {
        .bootstrap = config->kafka_bootstrap,
        .topic = config->kafka_topic,
        .extra = config->kafka_rdkafka,
        .node_name = config->node_name,
        .state_dir = config->node_state_dir,
        .conninfo = config->postgres_conninfo,
        .node = service->identity.node,
        .shards = service->shards,
        .journals = service->journal,
        .journal_directory = service->journal_directory,
        .counters = &service->counters[COUNTERS_PUBLISHER],
        .figures = &service->kafka,
        .more = &service->publisher_figures,
    };
    return publisher_start(&options, &service->publisher);
}

void service__stop_publisher(struct service *service)
{
    publisher_stop(service->publisher);
}
