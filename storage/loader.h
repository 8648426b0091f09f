/* loader: the sink that brings the journal into PostgreSQL, DESIGN.md section 5.
 * One thread and connection; readings by binary COPY, alert events by INSERT, the cursor of each shard moved
 * in the same transaction and guarded by epoch (PITFALLS P13, P14): exactly once. It may lag for days; it
 * never slows a shard. Owner: service. Threads: its own. Fails: it never ends; it waits, says so, and tries
 * again. */
#ifndef VIGIE_STORAGE_LOADER_H
#define VIGIE_STORAGE_LOADER_H

#include <stdatomic.h>

#include "daemon/base/counters.h"
#include "daemon/base/limits.h"
#include "daemon/base/wakeup.h"
#include "storage/journal.h"

enum sink_state { SINK_WAITING, SINK_CONNECTED, SINK_STUCK };

/* What others read of a sink. */
struct sink_figures {
    _Atomic uint64_t records_lag;        /* records durable and not yet in the sink */
    _Atomic int64_t oldest_ms;           /* engine time of the oldest of them, INSTANT_NONE without lag */
    _Atomic uint64_t loaded[SHARDS_MAX]; /* of the loader: positions before which PostgreSQL has all; 0: not
                                            known yet */
    _Atomic int state;                   /* enum sink_state */
    _Atomic uint64_t quarantine_rows;    /* of the loader: neither released nor discarded, in PostgreSQL */
};

struct loader_options {
    const char *conninfo;
    uint64_t node;  /* node id, journal_cursor.node */
    uint64_t epoch; /* grows with every start of the node */
    uint32_t shards;
    struct journal **journals;     /* [shards]: durable positions */
    const char *journal_directory; /* state_dir/journal; a shard's is <that>/<number> */
    unsigned batch_rows;
    bool index_open_partition;
    const _Atomic int64_t *engine_now_ms; /* partitions are made ahead of this */
    struct counters *counters;
    struct sink_figures *figures;
};

struct loader;
MUST_CHECK enum err loader_start(const struct loader_options *options, struct loader **ret_loader);
/* Any thread: something new is durable. */
void loader_wake(struct loader *loader);
/* Any thread: wakes it without news; it answers by its heartbeat. */
void loader_knock(struct loader *loader);
/* Ends at a batch edge, within a bound. */
void loader_stop(struct loader *loader);

#endif
