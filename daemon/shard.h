/* shard: owner of the patients that hash to it: their state, their journal, their alerts. The hot path,
 * whole: shard_turn() drains, deduplicates, decides, appends, syncs and releases (DESIGN.md section 2).
 * Owner:   service makes, starts, stops and frees it. Threads: one of its own after shard_start(); others
 * meet it in the inlets, the bell, the journal's durable position and node_state alone. Fails:   shard_new()
 * when the journal cannot be opened or is corrupt. A failed write or sync ends the process (STYLE.md rule
 * 16): what was not synced was not acknowledged, and recovery reads what is really on disk. */
#ifndef VIGIE_DAEMON_SHARD_H
#define VIGIE_DAEMON_SHARD_H

#include "alerting/engine.h"
#include "daemon/base/counters.h"
#include "daemon/base/slab.h"
#include "daemon/engine_time.h"
#include "daemon/ingest/ingest.h"
#include "daemon/model/inlet.h"
#include "storage/journal.h"
#include "storage/snapshot.h"

struct shard_options {
    struct engine_settings engine;
    struct journal_options journal;
    int64_t test_clock_ms; /* hold engine time there from the start, INSTANT_NONE: no */
    bool test_mode;
    struct node_state *node;        /* shard 0 writes the engine time that loops read */
    _Atomic int64_t *engine_now_ms; /* shard 0 writes; the loader makes partitions by it */
    struct counters *counters;
    size_t memory_bytes;                /* planned for its patients: [node] max_memory / shards */
    _Atomic unsigned *replayed_percent; /* recovery tells how far it is; NULL: nobody asks */
    const char *snapshot_directory;     /* state_dir/snapshot */
    uint64_t snapshot_bytes;            /* a snapshot begins when the journal has grown by this */
    struct snapshot_figures *snapshot;
    void (*trim)(void *context, uint32_t shard); /* off the shard's thread: a good moment to trim */
    void (*durable)(void *context, bool events); /* called after each commit: sinks are woken */
    void *context;
};

struct shard;

/* Opens the journal, loads the newest whole snapshot and replays what follows it: may take long; several
 * shards recover on threads of their own. */
MUST_CHECK enum err shard_new(const struct shard_options *options, struct shard **ret_shard);
void shard_free(struct shard *shard);

/* Before shard_start(): every sender's inlet. `inlet` is borrowed; its shard_bell must be shard_bell(). */
struct wakeup *shard_bell(struct shard *shard);
void shard_add_inlet(struct shard *shard, struct inlet *inlet);

/* What recovery found. */
int64_t shard_last_tick_ms(const struct shard *shard); /* INSTANT_NONE: an empty journal */
enum engine_pace shard_last_pace(const struct shard *shard);
uint64_t shard_differences(const struct shard *shard); /* decisions that differ from journaled events */
int64_t shard_registry_version(const struct shard *shard);
struct journal *shard_journal(const struct shard *shard);
/* Its memory: any thread may read the figures. */
const struct slab *shard_slab(const struct shard *shard);

/* Starts the thread at the engine time that service chose for all shards; writes the first tick. */
MUST_CHECK enum err shard_start(struct shard *shard, const struct engine_time *time);
/* Writes a last tick, joins. Senders are stopped before. */
void shard_stop(struct shard *shard);

#endif
