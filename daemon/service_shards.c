/* service_shards: the shards' steps of the start table: journals open and replayed, each on a thread of its
 * own, then one engine time for all, then their threads. */
#include "daemon/service_steps.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "alerting/publisher_cursor.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"

enum { REPLAY_TELL_MS = 1000, REPLAY_PATIENCE_US = 90000000 };

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
                   .reading_key = service->reading_key,
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
        .counters = service_shard_counters(service, index),
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

enum err service__start_shards(struct service *service)
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

void service__stop_shards(struct service *service)
{
    for (uint32_t i = 0; i < service->shards; i++)
        shard_free(service->shard[i]);
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

enum err service__start_threads(struct service *service)
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

void service__stop_threads(struct service *service)
{
    for (uint32_t i = 0; i < service->shards; i++)
        shard_stop(service->shard[i]);
}
