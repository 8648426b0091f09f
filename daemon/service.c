/* service: the start table below is the order, one row and one reason a step; stop is the same table
 * backwards. */
#include "daemon/service.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "alerting/publisher_cursor.h"
#include "daemon/base/clock.h"
#include "daemon/base/file.h"
#include "daemon/base/log.h"
#include "daemon/conditions.h"
#include "daemon/service_internal.h"
#include "storage/loader_session.h"

enum { REPLAY_TELL_MS = 1000, REPLAY_PATIENCE_US = 90000000 };

static struct counters *loop_counters(struct service *service, unsigned loop)
{
    return &service->counters[COUNTERS_FIXED + loop];
}

static struct counters *shard_counters(struct service *service, unsigned shard)
{
    return &service->counters[COUNTERS_FIXED + service->loops + shard];
}

static uint32_t half_the_cores(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 4 ? 1 : cores / 2 > SHARDS_MAX ? SHARDS_MAX : (uint32_t)(cores / 2);
}

/* ---- identity and secrets ---- */

static enum err start_identity(struct service *service)
{
    const struct config *config = service->config;
    enum err error = identity_open(config->node_state_dir, (uint32_t)config->node_shards, half_the_cores(),
                                   &service->identity);
    if (error != OK)
        return error;
    service->identity_is_open = true;
    service->shards = service->identity.shards;
    service->loops = config->node_loops > 0 ? (unsigned)config->node_loops : half_the_cores();
    char ports[4096];
    snprintf(ports, sizeof ports, "%s/ports.json", config->node_state_dir);
    unlink(ports);
    size_t blocks = COUNTERS_FIXED + service->loops + service->shards;
    service->counters = aligned_alloc(64, blocks * sizeof *service->counters);
    ensure(service->counters != NULL);
    memset(service->counters, 0, blocks * sizeof *service->counters);
    return OK;
}

static void stop_identity(struct service *service)
{
    free(service->counters);
    if (service->identity_is_open)
        identity_close(&service->identity);
}

static void report_key(void *context, const char *line)
{
    log_write(LOG_ERROR, "service", "%s", line);
}

static enum err start_secrets(struct service *service)
{
    enum err error = config_secret(service->config, service->config->auth_identifier_key, "identifier-key",
                                   service->identifier_key);
    if (error != OK)
        return error;
    uint8_t key[16];
    hash_derive(service->identifier_key, sizeof service->identifier_key, "vigie reading id", key, sizeof key);
    memcpy(&service->reading_key, key, sizeof key);
    return config_keys(service->config, report_key, NULL, &service->keys);
}

static void stop_secrets(struct service *service)
{
    explicit_bzero(service->identifier_key, sizeof service->identifier_key);
    cipher_keys_clear(&service->keys);
}

/* ---- shards: journals open and replayed, each on a thread of its own ---- */

static void on_durable(void *context, bool events)
{
    struct service *service = context;
    loader_wake(service->loader);
    if (events)
        publisher_wake(service->publisher);
}

/* On the thread that writes the shard's snapshots. What is kept: what a start may need, what PostgreSQL has
 * not, and `retain` of engine time. Kafka keeps nothing: DESIGN.md section 2, "Trim". */
static void trim_journal(void *context, uint32_t shard)
{
    struct service *service = context;
    uint64_t position = snapshot_trim_position(&service->snapshots[shard]), retained = 0;
    uint64_t loaded = atomic_load_explicit(&service->postgres.loaded[shard], memory_order_acquire);
    int64_t now_ms = atomic_load_explicit(&service->engine_now_ms, memory_order_relaxed);
    struct journal *journal = atomic_load(&service->trimmed[shard]);
    position = loaded < position ? loaded : position;
    if (position == 0 || journal == NULL || now_ms <= service->config->journal_retain ||
        journal_position_before(journal, now_ms - service->config->journal_retain, &retained) != OK)
        return;
    position = retained < position ? retained : position;
    if (position != 0 && journal_trim(journal, position) != OK)
        log_write(LOG_WARNING, "journal",
                  "cannot trim shard=%u hint=the line above says why; it is tried again", (unsigned)shard);
}

static struct shard_options shard_options(struct service *service, uint32_t index, char *directory,
                                          size_t size)
{
    const struct config *config = service->config;
    snprintf(directory, size, "%s/%u", service->journal_directory, (unsigned)index);
    struct shard_options options = {
        .engine = {.lookback_ms = config->alerting_lookback,
                   .lookback_continuous_ms = config->alerting_lookback_continuous,
                   .future_tolerance_ms = config->alerting_future_tolerance,
                   .shard = index,
                   .test_mode = config->node_mode == MODE_TEST},
        .journal = {.directory = directory,
                    .shard = index,
                    .node = service->identity.node,
                    .segment_bytes = (uint64_t)config->journal_segment_size,
                    .low_water_bytes = (uint64_t)config->journal_low_water,
                    .position_min = service->published[index],
                    .keys = &service->keys},
        .test_mode = config->node_mode == MODE_TEST,
        .node = &service->node,
        .engine_now_ms = &service->engine_now_ms,
        .counters = shard_counters(service, index),
        .memory_bytes = (size_t)config->node_max_memory / service->shards,
        .replayed_percent = &service->replayed_percent[index],
        .snapshot_directory = service->snapshot_directory,
        .snapshot_bytes = (uint64_t)config->journal_snapshot_bytes,
        .snapshot = &service->snapshots[index],
        .trim = trim_journal,
        .durable = on_durable,
        .context = service,
    };
    snprintf(options.engine.node, sizeof options.engine.node, "%s", config->node_name);
    return options;
}

struct recovery {
    struct service *service;
    uint32_t index;
    enum err error;
    pthread_t thread;
    uv_async_t *done; /* rung at the end */
    _Atomic bool ended;
};

static void *recover_shard(void *argument)
{
    struct recovery *recovery = argument;
    char directory[4200];
    struct shard_options options =
        shard_options(recovery->service, recovery->index, directory, sizeof directory);
    recovery->error = shard_new(&options, &recovery->service->shard[recovery->index]);
    atomic_store(&recovery->ended, true);
    uv_async_send(recovery->done); /* joined before it is closed, PITFALLS U8 */
    return NULL;
}

unsigned service_replayed_percent(const struct service *service)
{
    unsigned least = 100;
    for (uint32_t i = 0; i < service->shards; i++) {
        unsigned percent = atomic_load_explicit(&service->replayed_percent[i], memory_order_relaxed);
        least = percent < least ? percent : least;
    }
    return least;
}

static void on_recovered(uv_async_t *done)
{
}

/* A replay may take long: while it advances, systemd gives it time. */
static void tell_replay(uv_timer_t *timer)
{
    struct service *service = timer->data;
    (void)sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%d\nSTATUS=replaying %u %%", REPLAY_PATIENCE_US,
                     service_replayed_percent(service));
}

static bool all_ended(const struct service *service, const struct recovery *recovery)
{
    for (uint32_t i = 0; i < service->shards; i++)
        if (!atomic_load(&recovery[i].ended))
            return false;
    return true;
}

/* The admin port answers meanwhile. */
static void serve_recovery(struct service *service, const struct recovery *recovery)
{
    uv_timer_t timer;
    ensure(uv_timer_init(&service->admin_loop, &timer) == 0);
    timer.data = service;
    ensure(uv_timer_start(&timer, tell_replay, REPLAY_TELL_MS, REPLAY_TELL_MS) == 0);
    while (!all_ended(service, recovery))
        uv_run(&service->admin_loop, UV_RUN_ONCE);
    for (uint32_t i = 0; i < service->shards; i++)
        pthread_join(recovery[i].thread, NULL);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_close((uv_handle_t *)recovery[0].done, NULL);
    uv_run(&service->admin_loop, UV_RUN_NOWAIT); /* both are closed when their memory goes */
}

/* PITFALLS F6: what a sink outside of this disk has seen. PostgreSQL may be away now: its cursor is compared
 * with the journal by the loader, which stops rather than skip. */
static void load_published(struct service *service)
{
    struct publisher_cursor cursor;
    publisher_cursor_load(&cursor, service->config->node_state_dir, service->shards);
    memcpy(service->published, cursor.position, sizeof service->published);
}

static enum err start_shards(struct service *service)
{
    load_published(service);
    snprintf(service->journal_directory, sizeof service->journal_directory, "%s/journal",
             service->config->node_state_dir);
    if (mkdir(service->journal_directory, 0700) != 0 && errno != EEXIST)
        return err_from_errno(errno);
    snprintf(service->snapshot_directory, sizeof service->snapshot_directory, "%s/snapshot",
             service->config->node_state_dir);
    struct recovery recovery[SHARDS_MAX];
    uv_async_t done;
    ensure(uv_async_init(&service->admin_loop, &done, on_recovered) == 0);
    for (uint32_t i = 0; i < service->shards; i++) {
        recovery[i] = (struct recovery){.service = service, .index = i, .done = &done};
        ensure(pthread_create(&recovery[i].thread, NULL, recover_shard, &recovery[i]) == 0);
    }
    serve_recovery(service, recovery);
    enum err error = OK;
    for (uint32_t i = 0; i < service->shards; i++) {
        if (recovery[i].error != OK && error == OK)
            error = recovery[i].error;
    }
    for (uint32_t i = 0; error == OK && i < service->shards; i++) {
        service->journal[i] = shard_journal(service->shard[i]);
        service->slab[i] = shard_slab(service->shard[i]);
        atomic_store(&service->trimmed[i], service->journal[i]);
    }
    return error;
}

static void stop_shards(struct service *service)
{
    for (uint32_t i = 0; i < service->shards; i++)
        shard_free(service->shard[i]);
}

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

static enum err start_wiring(struct service *service)
{
    enum err error = wakeup_open(&service->registry_bell);
    if (error == OK)
        error = wakeup_open(&service->admin_bell);
    for (unsigned loop = 0; error == OK && loop < service->loops; loop++) {
        error = wakeup_open(&service->loop_bell[loop]);
        mailbox_init(&service->mailbox[loop], &service->loop_bell[loop]);
    }
    for (uint32_t i = 0; error == OK && i < service->shards; i++)
        error = wire_shard(service, i);
    return error;
}

static void stop_wiring(struct service *service)
{
    for (uint32_t i = 0; i < service->shards; i++) {
        inlet_deinit(&service->registry_inlet[i]);
        inlet_deinit(&service->admin_inlet[i]);
        for (unsigned loop = 0; loop < service->loops; loop++)
            inlet_deinit(&service->loop_inlet[loop][i]);
    }
    for (unsigned loop = 0; loop < service->loops; loop++)
        wakeup_close(&service->loop_bell[loop]);
    wakeup_close(&service->registry_bell);
    wakeup_close(&service->admin_bell);
}

/* ---- sinks ---- */

static enum err start_loader(struct service *service)
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

static void stop_loader(struct service *service)
{
    loader_stop(service->loader);
}

static enum err start_publisher(struct service *service)
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

static void stop_publisher(struct service *service)
{
    publisher_stop(service->publisher);
}

/* ---- time and the shard threads ---- */

/* All shards start from one instant: the wall clock, never less than the last tick of any of them. */
static void choose_time(const struct service *service, struct engine_time *ret_time)
{
    int64_t last_ms = INSTANT_NONE;
    enum engine_pace pace = PACE_WALL;
    for (uint32_t i = 0; i < service->shards; i++) {
        if (shard_last_tick_ms(service->shard[i]) <= last_ms)
            continue;
        last_ms = shard_last_tick_ms(service->shard[i]);
        pace = shard_last_pace(service->shard[i]);
    }
    const struct config *config = service->config;
    if (config->node_mode != MODE_TEST)
        pace = PACE_WALL;
    if (config->node_mode == MODE_TEST && config->node_test_clock != INSTANT_NONE) {
        int64_t hold_ms = config->node_test_clock > last_ms ? config->node_test_clock : last_ms;
        engine_time_start(ret_time, hold_ms, PACE_HELD, hold_ms, clock_monotonic_ms(), INSTANT_NONE);
        return;
    }
    int64_t expected_ms = last_ms == INSTANT_NONE ? INSTANT_NONE : clock_anchor_expected_ms(&service->anchor);
    engine_time_start(ret_time, last_ms, pace, clock_wall_ms(), clock_monotonic_ms(), expected_ms);
}

static enum err start_threads(struct service *service)
{
    struct engine_time time;
    clock_anchor_open(&service->anchor, service->config->node_state_dir);
    choose_time(service, &time);
    atomic_store(&service->node.clock_pace, (int)time.pace);
    atomic_store(&service->engine_now_ms, time.last_ms);
    atomic_store(&service->node.engine_offset_ms, time.offset_ms);
    atomic_store(&service->node.engine_held_ms, time.pace == PACE_HELD ? time.last_ms : INSTANT_NONE);
    enum err error = OK;
    for (uint32_t i = 0; error == OK && i < service->shards; i++)
        error = shard_start(service->shard[i], &time);
    return error;
}

static void stop_threads(struct service *service)
{
    for (uint32_t i = 0; i < service->shards; i++)
        shard_stop(service->shard[i]);
}

/* ---- registry, loops, admin ---- */

static enum err start_registry(struct service *service)
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
        .shard_versions = versions,
        .figures = &service->registry_figures,
        .slabs = service->slab,
        .keys = &service->keys,
        .heartbeat = &service->counters[COUNTERS_REGISTRY].heartbeat,
    };
    memcpy(options.identifier_key, service->identifier_key, sizeof options.identifier_key);
    return registry_service_start(&options, &service->registry);
}

static void stop_registry(struct service *service)
{
    registry_service_stop(service->registry);
}

static enum err start_loops(struct service *service)
{
    enum err error = OK;
    service->ingest_shared.quota = quota_new();
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
            .settings = settings,
            .shared = &service->ingest_shared,
            .settled_bell = &service->admin_bell,
            .counters = loop_counters(service, loop),
            .node = &service->node,
            .reading_key = service->reading_key,
            .shared_port_https = loop > 0 ? ingest_port(service->ingest[0], "https") : 0,
            .shared_port_http = loop > 0 ? ingest_port(service->ingest[0], "http") : 0,
        };
        memcpy(options.identifier_key, service->identifier_key, sizeof options.identifier_key);
        error = ingest_start(&options, &service->ingest[loop]);
    }
    return error;
}

static void stop_loops(struct service *service)
{
    for (unsigned loop = 0; loop < service->loops; loop++)
        ingest_stop(service->ingest[loop]);
    quota_free(service->ingest_shared.quota);
}

static enum err start_admin(struct service *service)
{
    ensure(uv_loop_init(&service->admin_loop) == 0);
    return control_start(service, &service->control);
}

static enum err start_control(struct service *service)
{
    control_serve(service->control);
    return OK;
}

static void stop_control(struct service *service)
{
    control_end_service(service->control);
}

static void stop_admin(struct service *service)
{
    control_stop(service->control);
    uv_run(&service->admin_loop, UV_RUN_DEFAULT);
    ensure(uv_loop_close(&service->admin_loop) == 0);
}

/* ---- watchdog ---- */

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

static enum err start_watchdog(struct service *service)
{
    watchdog_init(&service->watchdog, watchdog_period_ms());
    service->watchdog.status = say_status;
    service->watchdog.context = service;
    for (unsigned i = 0; i < service->loops; i++)
        watch(service, "ingest", i,
              &(struct watched){.heartbeat = &loop_counters(service, i)->heartbeat,
                                .ring = ring_bell,
                                .target = &service->loop_bell[i]});
    for (uint32_t i = 0; i < service->shards; i++)
        watch(service, "shard", i,
              &(struct watched){.heartbeat = &shard_counters(service, i)->heartbeat,
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

static void stop_watchdog(struct service *service)
{
    memory_stop(&service->memory);
    watchdog_stop(&service->watchdog);
}

static enum err start_conditions(struct service *service)
{
    return conditions_start(service, &service->conditions);
}

static void stop_conditions(struct service *service)
{
    conditions_stop(service->conditions);
    service->conditions = NULL;
}

/* ---- accepting ---- */

static enum err write_ports(struct service *service, const char *path)
{
    const struct {
        const char *protocol;
        int port;
    } open[] = {
        {"https", ingest_port(service->ingest[0], "https")},
        {"http", ingest_port(service->ingest[0], "http")},
        {"admin", control_port(service->control)},
    };
    struct buffer json = {0};
    render_open(&json, '{');
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
        if (open[i].port == 0)
            continue;
        render_key(&json, open[i].protocol);
        render_integer(&json, open[i].port);
        log_write(LOG_NOTICE, "service", "listening protocol=%s port=%d", open[i].protocol, open[i].port);
    }
    render_close(&json, '}');
    buffer_append(&json, "\n", 1);
    enum err error = file_replace(path, json.data, json.size, 0644);
    buffer_deinit(&json);
    return error;
}

static enum err start_accepting(struct service *service)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/ports.json", service->config->node_state_dir);
    atomic_store(&service->node.accepting, true);
    enum err error = write_ports(service, path);
    if (error == OK)
        sd_notify(0, "READY=1\nSTATUS=accepting readings");
    return error;
}

static void stop_accepting(struct service *service)
{
    sd_notify(0, "STOPPING=1\nSTATUS=draining");
    atomic_store(&service->node.accepting, false);
    char path[4096];
    snprintf(path, sizeof path, "%s/ports.json", service->config->node_state_dir);
    unlink(path);
}

/* ---- signals ---- */

static void on_hangup(uv_signal_t *signal, int number)
{
    reload_begin(signal->data);
}

static void on_end(uv_signal_t *signal, int number)
{
    log_write(LOG_NOTICE, "service", "stopping signal=%d", number);
    uv_stop(signal->loop);
}

static void mask_hangup(int how)
{
    sigset_t hangup;
    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    ensure(pthread_sigmask(how, &hangup, NULL) == 0);
}

static void listen_to(struct service *service, uv_signal_t *signal, int number, uv_signal_cb taken)
{
    ensure(uv_signal_init(&service->admin_loop, signal) == 0);
    signal->data = service;
    ensure(uv_signal_start(signal, taken, number) == 0);
}

/* main() has blocked SIGHUP before any thread: one that came during the start is taken now. */
static enum err start_signals(struct service *service)
{
    listen_to(service, &service->terminate, SIGTERM, on_end);
    listen_to(service, &service->interrupt, SIGINT, on_end);
    listen_to(service, &service->hangup, SIGHUP, on_hangup);
    mask_hangup(SIG_UNBLOCK);
    return OK;
}

static void stop_signals(struct service *service)
{
    mask_hangup(SIG_BLOCK); /* its default would end the drain */
    uv_close((uv_handle_t *)&service->hangup, NULL);
    uv_close((uv_handle_t *)&service->terminate, NULL);
    uv_close((uv_handle_t *)&service->interrupt, NULL);
}

/* ---- the start table ---- */

static const struct step {
    const char *name;
    enum err (*start)(struct service *service);
    void (*stop)(struct service *service);
} steps[] = {
    {"identity", start_identity,
     stop_identity}, /* the lock comes first: nothing of state_dir is touched without it */
    {"secrets", start_secrets, stop_secrets},          /* reading ids and patient matching need them */
    {"admin", start_admin, stop_admin},                /* health, while the rest takes its time */
    {"recovery", start_shards, stop_shards},           /* state = f(journal), before anyone can ask */
    {"wiring", start_wiring, stop_wiring},             /* bells and rings, before any thread runs */
    {"loader", start_loader, stop_loader},             /* a shard wakes it after its first commit */
    {"publisher", start_publisher, stop_publisher},    /* likewise */
    {"shards", start_threads, stop_threads},           /* the registry's commands need them */
    {"registry", start_registry, stop_registry},       /* loops admit nothing without a snapshot */
    {"loops", start_loops, stop_loops},                /* listeners bind last of what serves readings */
    {"control", start_control, stop_control},          /* calls reach registry and shards */
    {"conditions", start_conditions, stop_conditions}, /* what the node knows of itself becomes alerts */
    {"watchdog", start_watchdog, stop_watchdog},       /* every thread runs */
    {"signals", start_signals, stop_signals},          /* whoever sees ports.json may end us in order */
    {"accepting", start_accepting, stop_accepting},    /* everything stands: say so */
};

enum { STEPS = sizeof steps / sizeof steps[0] };

static void undo_steps(struct service *service)
{
    while (service->started > 0) {
        const struct step *step = &steps[--service->started];
        if (step->stop != NULL)
            step->stop(service);
    }
    free(service);
}

enum err service_start(const struct config *config, struct service **ret_service)
{
    struct service *service = aligned_alloc(64, (sizeof *service + 63) / 64 * 64);
    if (service == NULL)
        return ERR_NO_MEMORY;
    memset(service, 0, sizeof *service);
    service->config = config;
    atomic_store(&service->node.engine_held_ms, INSTANT_NONE);
    for (unsigned i = 0; i < STEPS; i++) {
        service->starting = steps[i].name;
        enum err error = steps[i].start(service);
        service->started = i + 1;
        if (error == OK)
            continue;
        log_write(LOG_ERROR, "service", "cannot start step=%s found=%s hint=the lines above name the cause",
                  steps[i].name, err_text(error));
        undo_steps(service);
        return error;
    }
    service->starting = NULL;
    *ret_service = service;
    return OK;
}

void service_run(struct service *service)
{
    uv_run(&service->admin_loop, UV_RUN_DEFAULT);
}

void service_stop(struct service *service)
{
    if (service != NULL)
        undo_steps(service);
}
