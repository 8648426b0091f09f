/* engine_time: never backwards, slews, does not follow a jump, holds and runs on. */
#include "daemon/base/instant.h"
#include "daemon/engine_time.h"
#include "tests/unit/unit.h"

static void starts_at_the_wall_but_never_before_the_last_tick(void)
{
    struct engine_time time;
    engine_time_start(&time, INSTANT_NONE, PACE_WALL, 1000000, 500, INSTANT_NONE);
    CU_ASSERT_EQUAL(engine_time_now(&time, 500, 1000000), 1000000);
    engine_time_start(&time, 2000000, PACE_WALL, 1000000, 500, INSTANT_NONE);
    CU_ASSERT_EQUAL(engine_time_now(&time, 500, 1000000), 2000000);
}

static void follows_the_wall_by_slewing(void)
{
    struct engine_time time;
    engine_time_start(&time, INSTANT_NONE, PACE_WALL, 1000000, 0, INSTANT_NONE);
    CU_ASSERT_EQUAL(engine_time_now(&time, 10000, 1010500), 1010010); /* 500 ms behind: 10 ms a 10 s */
    CU_ASSERT_EQUAL(engine_time_now(&time, 20000, 1020500), 1020020);
    CU_ASSERT_EQUAL(engine_time_now(&time, 30000, 1020000), 1030010); /* ahead by ten seconds: slowed down */
}

static void a_jump_of_the_wall_clock_is_not_followed(void)
{
    struct engine_time time;
    engine_time_start(&time, INSTANT_NONE, PACE_WALL, 1000000, 0, INSTANT_NONE);
    CU_ASSERT_EQUAL(engine_time_now(&time, 10000, 1000000 + 86400000), 1010000);
    CU_ASSERT_EQUAL(engine_time_now(&time, 20000, 0), 1020000);
}

static void never_goes_back(void)
{
    struct engine_time time;
    engine_time_start(&time, INSTANT_NONE, PACE_WALL, 1000000, 1000, INSTANT_NONE);
    int64_t last = 0;
    for (int64_t monotonic = 1000; monotonic < 200000; monotonic += 7) {
        int64_t now = engine_time_now(&time, monotonic, 1000000 - monotonic / 2);
        CU_ASSERT_FATAL(now >= last);
        last = now;
    }
}

static void holds_and_runs_on(void)
{
    struct engine_time time;
    engine_time_start(&time, INSTANT_NONE, PACE_WALL, 1000000, 0, INSTANT_NONE);
    engine_time_hold(&time, 5000000);
    CU_ASSERT_EQUAL(engine_time_now(&time, 900000, 1900000), 5000000);
    engine_time_run(&time, 1000000);
    CU_ASSERT_EQUAL(engine_time_now(&time, 1000250, 2000250), 5000250);
    engine_time_start(&time, 5000250, PACE_MOVED, 2000000, 7,
                      INSTANT_NONE); /* a restart goes on where the journal ended */
    CU_ASSERT_EQUAL(engine_time_now(&time, 8, 2000001), 5000251);
}

SUITE(engine_time) = {
    {"starts at the wall, never before the last tick", starts_at_the_wall_but_never_before_the_last_tick},
    {"follows the wall by slewing", follows_the_wall_by_slewing},
    {"a jump of the wall clock is not followed", a_jump_of_the_wall_clock_is_not_followed},
    {"never goes back", never_goes_back},
    {"holds and runs on", holds_and_runs_on},
    {NULL, NULL},
};
