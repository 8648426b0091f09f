/* metrics: the figures of all threads as Prometheus text, names as INTERFACES.md section 7 has them.
 * Owner:   the caller lends what struct metrics_sources points to. Threads: any; it only reads. */
#ifndef VIGIE_DAEMON_ADMIN_METRICS_H
#define VIGIE_DAEMON_ADMIN_METRICS_H

#include "daemon/base/buffer.h"
#include "daemon/base/counters.h"
#include "daemon/base/slab.h"
#include "daemon/registry/registry_figures.h"
#include "storage/loader.h"
#include "storage/snapshot.h"

/* A series that somebody has read already. */
struct metrics_gauge {
    const char *name, *label, *help; /* help NULL: of the same family as the one before */
    double value;
    bool counts; /* a counter, else a gauge */
};

struct metrics_sources {
    const struct metrics_gauge *gauges; /* [gauges_count] */
    size_t gauges_count;
    const struct counters *counters; /* [counters_count]: summed */
    size_t counters_count;
    const struct sink_figures *postgres, *kafka;
    struct journal *const *journals; /* [journals_count] */
    size_t journals_count;
    const struct snapshot_figures *snapshots; /* [journals_count] */
    const struct slab *const *slabs;          /* [slabs_count], of the shards */
    size_t slabs_count;
    int64_t engine_now_ms;
    const struct registry_figures *registry;
    uint64_t quarantine_rows; /* in PostgreSQL, neither released nor discarded */
    /* Open connections of a listener, by its key in [listen]; `context` is connections_context. */
    int64_t (*connections)(void *context, const char *protocol);
    void *connections_context;
    int64_t admin_connections; /* filled in by admin.c */
};

void metrics_render(struct buffer *out, const struct metrics_sources *sources);

#endif
