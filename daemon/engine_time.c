/* engine_time: see the header. The arithmetic is all there is: no clock is asked here. */
#include "daemon/engine_time.h"

#include "daemon/base/ensure.h"
#include "daemon/base/instant.h"

static int64_t clamp(int64_t value, int64_t bound)
{
    return value > bound ? bound : value < -bound ? -bound : value;
}

void engine_time_start(struct engine_time *time, int64_t last_tick_ms, enum engine_pace last_pace,
                       int64_t wall_ms, int64_t monotonic_ms)
{
    time->pace = last_pace;
    if (last_pace == PACE_WALL)
        time->last_ms =
            last_tick_ms > wall_ms ? last_tick_ms : wall_ms; /* INSTANT_NONE is below every time */
    else
        time->last_ms = last_tick_ms;
    ensure(time->last_ms != INSTANT_NONE);
    time->offset_ms = time->last_ms - monotonic_ms;
    time->last_monotonic_ms = monotonic_ms;
}

/* Moves the offset towards the wall clock, at most by one part in a thousand of the time that passed. */
static void slew(struct engine_time *time, int64_t monotonic_ms, int64_t wall_ms)
{
    int64_t behind = wall_ms - (monotonic_ms + time->offset_ms);
    if (behind > ENGINE_JUMP_MS || behind < -ENGINE_JUMP_MS)
        return;
    int64_t passed = monotonic_ms - time->last_monotonic_ms;
    int64_t step = clamp(behind, passed / ENGINE_SLEW);
    time->offset_ms += step;
    if (passed >= ENGINE_SLEW)
        time->last_monotonic_ms = monotonic_ms;
}

int64_t engine_time_now(struct engine_time *time, int64_t monotonic_ms, int64_t wall_ms)
{
    if (time->pace == PACE_HELD)
        return time->last_ms;
    if (time->pace == PACE_WALL)
        slew(time, monotonic_ms, wall_ms);
    int64_t now = monotonic_ms + time->offset_ms;
    if (now > time->last_ms)
        time->last_ms = now;
    return time->last_ms;
}

void engine_time_hold(struct engine_time *time, int64_t ms)
{
    ensure(ms >= time->last_ms);
    time->pace = PACE_HELD;
    time->last_ms = ms;
}

void engine_time_run(struct engine_time *time, int64_t monotonic_ms)
{
    if (time->pace != PACE_HELD)
        return;
    time->pace = PACE_MOVED;
    time->offset_ms = time->last_ms - monotonic_ms;
    time->last_monotonic_ms = monotonic_ms;
}
