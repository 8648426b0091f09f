/* service_loops: the steps of the start table between shards and senders: bells and rings, the registry, the
 * ingest loops. */
#include "daemon/service_steps.h"

#include <string.h>

#include "daemon/ingest/mqtt/mqtt_shared.h"

/* ---- wiring: bells, inlets, mailboxes ---- */

static enum err wire_shard(struct service *service, uint32_t index)
{
    struct wakeup *bell = shard_bell(service->shard[index]);
    enum err error = inlet_init(&service->registry_inlet[index], bell, &service->registry_bell);
    if (error == OK)
        error = inlet_init(&service->admin_inlet[index], bell, &service->admin_bell);
    for (unsigned loop = 0; error == OK && loop < service->loops; loop++)
        error = inlet_init(&service->loop_inlet[loop][index], bell, &service->loop_bell[loop]);
    if (error != OK)
        return error;
    shard_add_inlet(service->shard[index], &service->registry_inlet[index]);
    shard_add_inlet(service->shard[index], &service->admin_inlet[index]);
    for (unsigned loop = 0; loop < service->loops; loop++)
        shard_add_inlet(service->shard[index], &service->loop_inlet[loop][index]);
    return OK;
}

enum err service__start_wiring(struct service *service)
{
    enum err error = wakeup_open(&service->registry_bell);
    if (error == OK)
        error = wakeup_open(&service->admin_bell);
    for (unsigned loop = 0; error == OK && loop < service->loops; loop++) {
        error = wakeup_open(&service->loop_bell[loop]);
        mailbox_init(&service->mailbox[loop], &service->loop_bell[loop]);
        service->foreign[loop] = foreign_inbox_new();
    }
    for (uint32_t i = 0; error == OK && i < service->shards; i++)
        error = wire_shard(service, i);
    return error;
}

void service__stop_wiring(struct service *service)
{
    for (uint32_t i = 0; i < service->shards; i++) {
        inlet_deinit(&service->registry_inlet[i]);
        inlet_deinit(&service->admin_inlet[i]);
        for (unsigned loop = 0; loop < service->loops; loop++)
            inlet_deinit(&service->loop_inlet[loop][i]);
    }
    for (unsigned loop = 0; loop < service->loops; loop++)
        wakeup_close(&service->loop_bell[loop]);
    for (unsigned loop = 0; loop < service->loops; loop++)
        foreign_inbox_free(service->foreign[loop]);
    wakeup_close(&service->registry_bell);
    wakeup_close(&service->admin_bell);
}

/* ---- registry and loops ---- */

enum err service__start_registry(struct service *service)
{
    int64_t versions[SHARDS_MAX];
    for (uint32_t i = 0; i < service->shards; i++)
        versions[i] = shard_registry_version(service->shard[i]);
    struct registry_options options = {
        .config = service->config,
        .shards = service->shards,
        .inlets = service->registry_inlet,
        .bell = &service->registry_bell,
        .loops = service->loops,
        .mailboxes = service->mailbox,
        .foreign = service->foreign,
        .shard_versions = versions,
        .figures = &service->registry_figures,
        .slabs = service->slab,
        .keys = &service->keys,
        .heartbeat = &service->counters[COUNTERS_REGISTRY].heartbeat,
    };
    memcpy(options.identifier_key, service->identifier_key, sizeof options.identifier_key);
    return registry_service_start(&options, &service->registry);
}

void service__stop_registry(struct service *service)
{
    registry_service_stop(service->registry);
}

enum err service__start_loops(struct service *service)
{
    enum err error = OK;
    service->ingest_shared.quota = quota_new();
    if (config_listens(service->config->listen_mqtts) || config_listens(service->config->listen_mqtt))
        error = mqtt_shared_start(service->config->node_state_dir, &service->keys, service->loops,
                                  service->loop_bell, &service->ingest_shared.mqtt);
    for (unsigned loop = 0; error == OK && loop < service->loops; loop++) {
        struct ingest_settings *settings;
        error = ingest_settings_new(service->config, 0, &settings);
        if (error != OK)
            break;
        reload_note_certificates(service, settings);
        struct ingest_options options = {
            .config = service->config,
            .index = loop,
            .shards = service->shards,
            .inlets = service->loop_inlet[loop],
            .bell = &service->loop_bell[loop],
            .mailbox = &service->mailbox[loop],
            .foreign = service->foreign[loop],
            .settings = settings,
            .shared = &service->ingest_shared,
            .settled_bell = &service->admin_bell,
            .counters = service_loop_counters(service, loop),
            .node = &service->node,
            .reading_key = service->reading_key,
        };
        for (enum ingest_listener i = 0; loop > 0 && i < LISTENERS; i++)
            options.shared_ports[i] = ingest_port(service->ingest[0], i);
        memcpy(options.identifier_key, service->identifier_key, sizeof options.identifier_key);
        error = ingest_start(&options, &service->ingest[loop]);
    }
    return error;
}

void service__stop_loops(struct service *service)
{
    for (unsigned loop = 0; loop < service->loops; loop++)
        ingest_stop(service->ingest[loop]);
    mqtt_shared_stop(service->ingest_shared.mqtt);
    quota_free(service->ingest_shared.quota);
}
