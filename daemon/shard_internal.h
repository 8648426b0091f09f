/* shard_internal: the shard's own state, shared by shard.c (turns) and shard_recovery.c (replay) alone. */
#ifndef VIGIE_DAEMON_SHARD_INTERNAL_H
#define VIGIE_DAEMON_SHARD_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "alerting/engine_snapshot.h"
#include "daemon/shard.h"

enum {
    SHARD_INLETS_MAX = LOOPS_MAX + 2,      /* loops, registry, admin */
    TURN_JOBS_MAX = SHARD_INLETS_MAX * 64, /* a turn takes at most 64 jobs of each inlet: nobody starves */
    TURN_JOBS_PER_INLET = 64,
    TURN_READINGS_MAX = 16384,  /* about 2 ms of deciding: what is left forms the next batch */
    UNIT_SLOTS = 32768,         /* power of two, > 2 * MESSAGE_READINGS_MAX: probes stay short */
    HEARTBEAT_MS = 1000,        /* an idle shard writes a tick this often: up time lost to a kill */
    DECIDED_BYTES = 1 << 20,    /* events of a unit, room at the start; more is kept once it was needed */
    CLOCK_STEPS_PER_TURN = 256, /* ticks of the test clock that share one sync */
};

/* A unit of decision being gathered: the readings of one patient in one message. */
struct unit {
    int64_t patient_id;
    uint32_t first, last, count;
};

struct units {
    struct unit list[MESSAGE_READINGS_MAX];
    uint32_t count;
    uint32_t stamp; /* slots with another stamp are free: nothing is cleared between messages */
    struct {
        uint32_t stamp, index;
    } slot[UNIT_SLOTS];
};

struct turn {
    int64_t now_ms;
    struct job *job[TURN_JOBS_MAX];
    struct inlet *from[TURN_JOBS_MAX];
    unsigned jobs;
    uint32_t readings;
    bool events;
};

/* A snapshot in the making, shard_snapshot.c. */
struct saving {
    struct archive *archive;
    struct snapshot_writer *writer;
    bool under_way, changed; /* changed: more than ticks since the last one began */
    uint64_t grown_bytes;    /* of the journal since then */
    uint64_t bound_to;
    uint32_t saved; /* patients */
    int64_t last_id, began_monotonic_ms, changed_monotonic_ms;
};

/* A snapshot that a start came from: which patients are true for which position. */
struct loaded_group {
    uint64_t position;
    int64_t last_id;
};
struct loaded {
    struct buffer groups; /* struct loaded_group */
    size_t woken, frames;
    uint64_t position;
};

struct shard {
    /* the shard thread's */
    struct slab *slab; /* of everything below that grows; used by the recovering thread before */
    struct engine *engine;
    struct journal *journal;
    struct inlet *inlets[SHARD_INLETS_MAX];
    unsigned inlets_count;
    struct engine_time time;
    int64_t ticked_ms, ticked_monotonic_ms; /* last tick: engine and monotonic time */
    struct turn turn;
    struct units units;
    struct buffer decided; /* events of the unit at hand: written behind its readings */
    struct shard_options options;
    /* recovery's results */
    int64_t last_tick_ms;
    enum engine_pace last_pace;
    uint64_t differences;
    struct saving saving;
    struct loaded *loaded; /* while recovering */
    struct replay *replay; /* while replaying: decided events are compared, not written */
    /* met by others */
    struct wakeup bell;
    _Atomic bool stopping;
    pthread_t thread;
    bool started;
};

/* One decided event, ahead of its JSON in a buffer. */
struct decided_event {
    struct alert_event event;
    uint32_t json_size;
};

/* A new engine, without a state; the one before is freed. */
void shard__renew_engine(struct shard *shard);

/* Snapshots: what was written counts; a step, when one is due and the buffer is here. */
MUST_CHECK enum err shard__saving_start(struct shard *shard);
void shard__saving_stop(struct shard *shard);
void shard__saving_count(struct shard *shard, uint64_t bytes, bool changed);
bool shard__saving_is_due(struct shard *shard, int64_t monotonic_ms);
void shard__save_step(struct shard *shard, int64_t monotonic_ms);
/* Loads the newest snapshot that is whole and whose position the journal still holds; false: none. */
bool shard__load_snapshot(struct shard *shard, uint64_t *ret_position);
void shard__wake_patients(struct shard *shard, uint64_t position);

/* Snapshot and journal into the engine; fills last_tick_ms, last_pace and differences. */
MUST_CHECK enum err shard__recover(struct shard *shard);
/* While replaying: takes one decided event for comparison. */
void shard__replay_event(struct replay *replay, const struct alert_event *event, const char *json,
                         uint32_t json_size);

#endif
