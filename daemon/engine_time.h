/* engine_time: the time that decisions rest on, DESIGN.md section 2.
 * It advances by the monotonic clock and follows the wall clock by slewing (one part in a thousand); it never
 * goes back. A wall clock further away than ENGINE_JUMP_MS is not followed: jump_ms says how far it is, until
 * it comes back by itself or an operator confirms it (engine_time_accept()).
 * Choices. A confirmed wall clock ahead is taken at once; the time skipped is an outage of our own: it gains
 * no up time, and days that it touches neither count as missed nor end a run, so no silence is raised by it
 * and none that is owed is lost. A confirmed wall clock behind is approached at half speed: engine time never
 * stands still, for a silence that is due must be decided however far ahead we were. At a start on the same
 * boot of the host the wall clock is held against the time since that boot (daemon/clock_anchor.h), so a
 * restart does not make a bad wall clock a good one. In mode=test time can be moved and held.
 * Owner:   each shard has its own; all start from the same instant. Threads: the shard's alone. Holds:
 * engine_time_now() never decreases. */
#ifndef VIGIE_DAEMON_ENGINE_TIME_H
#define VIGIE_DAEMON_ENGINE_TIME_H

#include <stdbool.h>
#include <stdint.h>

enum { ENGINE_JUMP_MS = 60000, ENGINE_SLEW = 1000, ENGINE_SLEW_CONFIRMED = 2 };

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
    int64_t jump_ms;      /* wall clock - engine time while that is not followed, else 0 */
    int64_t confirmed_ms; /* wall - monotonic that was confirmed and lies behind us, else INSTANT_NONE */
};

/* A start: after a journal that ended at `last_tick_ms` (INSTANT_NONE: none) in `last_pace`. `expected_ms`:
 * what engine time would be now had the node not stopped, INSTANT_NONE when that is not known; a wall clock
 * far from it is not believed. */
void engine_time_start(struct engine_time *time, int64_t last_tick_ms, enum engine_pace last_pace,
                       int64_t wall_ms, int64_t monotonic_ms, int64_t expected_ms);

/* Engine time of a turn that begins now. */
int64_t engine_time_now(struct engine_time *time, int64_t monotonic_ms, int64_t wall_ms);

/* An operator confirms the wall clock as it was at that monotonic instant. False: there is nothing to
 * confirm. */
bool engine_time_accept(struct engine_time *time, int64_t monotonic_ms, int64_t wall_ms);

/* Test clock: holds at `ms`, which is not before the last value given. */
void engine_time_hold(struct engine_time *time, int64_t ms);
/* Test clock: runs on from the last value given. */
void engine_time_run(struct engine_time *time, int64_t monotonic_ms);

#endif
