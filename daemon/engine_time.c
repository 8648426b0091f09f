/* engine_time: see the header. The arithmetic is all there is: no clock is asked here. */
#include "daemon/engine_time.h"

#include "daemon/base/ensure.h"
#include "daemon/base/instant.h"

static int64_t clamp(int64_t value, int64_t bound)
{
    return value > bound ? bound : value < -bound ? -bound : value;
}

static bool is_far(int64_t difference_ms)
{
    return difference_ms > ENGINE_JUMP_MS || difference_ms < -ENGINE_JUMP_MS;
}

void engine_time_start(struct engine_time *time, int64_t last_tick_ms, enum engine_pace last_pace,
                       int64_t wall_ms, int64_t monotonic_ms, int64_t expected_ms)
{
    time->pace = last_pace;
    if (expected_ms != INSTANT_NONE && is_far(wall_ms - expected_ms))
        wall_ms = expected_ms;
    if (last_pace == PACE_WALL)
        time->last_ms =
            last_tick_ms > wall_ms ? last_tick_ms : wall_ms; /* INSTANT_NONE is below every time */
    else
        time->last_ms = last_tick_ms;
    ensure(time->last_ms != INSTANT_NONE);
    time->offset_ms = time->last_ms - monotonic_ms;
    time->last_monotonic_ms = monotonic_ms;
    time->jump_ms = 0;
    time->confirmed_ms = INSTANT_NONE;
}

/* Moves the offset by at most one part in `slew` of the time that passed. */
static void slew(struct engine_time *time, int64_t monotonic_ms, int64_t behind_ms, int64_t slew)
{
    int64_t passed = monotonic_ms - time->last_monotonic_ms;
    time->offset_ms += clamp(behind_ms, passed / slew);
    if (passed >= slew)
        time->last_monotonic_ms = monotonic_ms;
}

static void follow(struct engine_time *time, int64_t monotonic_ms, int64_t wall_ms)
{
    int64_t wall_offset_ms = wall_ms - monotonic_ms, behind_ms = wall_offset_ms - time->offset_ms;
    if (time->confirmed_ms != INSTANT_NONE &&
        (is_far(wall_offset_ms - time->confirmed_ms) || !is_far(behind_ms)))
        time->confirmed_ms = INSTANT_NONE; /* it jumped again, or is near by now */
    if (!is_far(behind_ms)) {
        time->jump_ms = 0;
        slew(time, monotonic_ms, behind_ms, ENGINE_SLEW);
    } else if (time->confirmed_ms != INSTANT_NONE) {
        time->jump_ms = 0;
        slew(time, monotonic_ms, behind_ms, ENGINE_SLEW_CONFIRMED);
    } else {
        time->jump_ms = behind_ms;
        time->last_monotonic_ms = monotonic_ms; /* time spent not following is no credit for a step later */
    }
}

int64_t engine_time_now(struct engine_time *time, int64_t monotonic_ms, int64_t wall_ms)
{
    if (time->pace == PACE_HELD)
        return time->last_ms;
    if (time->pace == PACE_WALL)
        follow(time, monotonic_ms, wall_ms);
    int64_t now = monotonic_ms + time->offset_ms;
    if (now > time->last_ms)
        time->last_ms = now;
    return time->last_ms;
}

bool engine_time_accept(struct engine_time *time, int64_t monotonic_ms, int64_t wall_ms)
{
    int64_t behind_ms = wall_ms - (monotonic_ms + time->offset_ms);
    if (time->pace != PACE_WALL || !is_far(behind_ms))
        return false;
    if (behind_ms > 0)
        time->offset_ms = wall_ms - monotonic_ms;
    else
        time->confirmed_ms = wall_ms - monotonic_ms;
    time->last_monotonic_ms = monotonic_ms;
    time->jump_ms = 0;
    if (monotonic_ms + time->offset_ms > time->last_ms)
        time->last_ms = monotonic_ms + time->offset_ms;
    return true;
}

void engine_time_hold(struct engine_time *time, int64_t ms)
{
    ensure(ms >= time->last_ms);
    time->pace = PACE_HELD;
    time->last_ms = ms;
    time->jump_ms = 0;
}

void engine_time_run(struct engine_time *time, int64_t monotonic_ms)
{
    if (time->pace != PACE_HELD)
        return;
    time->pace = PACE_MOVED;
    time->offset_ms = time->last_ms - monotonic_ms;
    time->last_monotonic_ms = monotonic_ms;
}
