/* engine_time: the time that decisions rest on, DESIGN.md section 2.
 * It advances by the monotonic clock and follows the wall clock by slewing (one part in a thousand); it never
 * goes back. A wall clock further away than ENGINE_JUMP_MS is not followed. In mode=test it can be moved and
 * held. Owner:   each shard has its own; all start from the same instant. Threads: the shard's alone. Holds:
 * engine_time_now() never decreases. */
#ifndef VIGIE_DAEMON_ENGINE_TIME_H
#define VIGIE_DAEMON_ENGINE_TIME_H

#include <stdint.h>

enum { ENGINE_JUMP_MS = 60000, ENGINE_SLEW = 1000 };

/* How engine time runs; written in every tick, so that a restart goes on in the same way. */
enum engine_pace {
    PACE_WALL,  /* follows the wall clock */
    PACE_HELD,  /* stands still: test clock */
    PACE_MOVED, /* runs by the monotonic clock alone, from where the test clock put it */
};

struct engine_time {
    enum engine_pace pace;
    int64_t offset_ms; /* engine - monotonic, when it runs */
    int64_t last_ms;   /* last value given */
    int64_t last_monotonic_ms;
};

/* A start: after a journal that ended at `last_tick_ms` (INSTANT_NONE: none) in `last_pace`. */
void engine_time_start(struct engine_time *time, int64_t last_tick_ms, enum engine_pace last_pace,
                       int64_t wall_ms, int64_t monotonic_ms);

/* Engine time of a turn that begins now. */
int64_t engine_time_now(struct engine_time *time, int64_t monotonic_ms, int64_t wall_ms);

/* Test clock: holds at `ms`, which is not before the last value given. */
void engine_time_hold(struct engine_time *time, int64_t ms);
/* Test clock: runs on from the last value given. */
void engine_time_run(struct engine_time *time, int64_t monotonic_ms);

#endif
