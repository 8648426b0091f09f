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

static void a_jump_is_told_and_ends_by_itself(void)
{
    struct engine_time time;
    engine_time_start(&time, INSTANT_NONE, PACE_WALL, 1000000, 0, INSTANT_NONE);
    engine_time_now(&time, 10000, 1010000 + 86400000);
    CU_ASSERT_EQUAL(time.jump_ms, 86400000);
    engine_time_now(&time, 7199999, 8199999 + 86400000);
    engine_time_now(&time, 7200000, 8200000 + 50000); /* back within a minute: slewed from here, no step */
    CU_ASSERT_EQUAL(time.jump_ms, 0);
    CU_ASSERT_EQUAL(time.last_ms, 8200000);
    CU_ASSERT_EQUAL(engine_time_now(&time, 7210000, 8260000), 8210010);
    CU_ASSERT_FALSE(engine_time_accept(&time, 7210000, 8260000)); /* nothing to confirm */
}

static void a_confirmed_clock_ahead_is_taken_at_once(void)
{
    struct engine_time time;
    engine_time_start(&time, INSTANT_NONE, PACE_WALL, 1000000, 0, INSTANT_NONE);
    engine_time_now(&time, 10000, 1010000 + 86400000);
    CU_ASSERT_TRUE(engine_time_accept(&time, 10000, 1010000 + 86400000));
    CU_ASSERT_EQUAL(time.last_ms, 1010000 + 86400000);
    CU_ASSERT_EQUAL(engine_time_now(&time, 11000, 1011000 + 86400000), 1011000 + 86400000);
    CU_ASSERT_EQUAL(time.jump_ms, 0);
}

static void a_confirmed_clock_behind_is_approached_at_half_speed(void)
{
    struct engine_time time;
    engine_time_start(&time, INSTANT_NONE, PACE_WALL, 100000000, 0, INSTANT_NONE);
    int64_t first = engine_time_now(&time, 10000, 10000); /* 100,000 s behind */
    CU_ASSERT_EQUAL(first, 100010000);
    CU_ASSERT_TRUE(engine_time_accept(&time, 10000, 10000));
    int64_t now = first;
    for (int64_t monotonic = 10007; monotonic <= 80007; monotonic += 7) {
        int64_t next = engine_time_now(&time, monotonic, monotonic);
        CU_ASSERT_FATAL(next >= now);
        now = next;
    }
    CU_ASSERT_TRUE(now - first > 34000 && now - first < 41000);
    CU_ASSERT_EQUAL(time.jump_ms, 0);
    engine_time_now(&time, 81000, 50000000); /* it jumps once more: confirmed no longer */
    CU_ASSERT_TRUE(time.jump_ms < 0);
    CU_ASSERT_EQUAL(time.confirmed_ms, INSTANT_NONE);
}

static void a_start_on_the_same_boot_does_not_believe_a_bad_clock(void)
{
    struct engine_time time;
    engine_time_start(&time, 1000000, PACE_WALL, 90000000, 50, 1005000);
    CU_ASSERT_EQUAL(time.last_ms, 1005000);
    engine_time_now(&time, 60, 90000010);
    CU_ASSERT_EQUAL(time.jump_ms, 90000000 - 1005000);
    engine_time_start(&time, 1000000, PACE_WALL, 1010000, 50, 1005000); /* near: the wall clock it is */
    CU_ASSERT_EQUAL(time.last_ms, 1010000);
    engine_time_start(&time, 1000000, PACE_WALL, 500000, 50, INSTANT_NONE); /* behind the last tick */
    engine_time_now(&time, 60, 500010);
    CU_ASSERT_EQUAL(time.last_ms, 1000010);
    CU_ASSERT_EQUAL(time.jump_ms, -500000);
}

static void the_test_clock_knows_no_jump(void)
{
    struct engine_time time;
    engine_time_start(&time, INSTANT_NONE, PACE_WALL, 1000000, 0, INSTANT_NONE);
    engine_time_hold(&time, 5000000);
    engine_time_now(&time, 10, 90000000);
    CU_ASSERT_EQUAL(time.jump_ms, 0);
    CU_ASSERT_FALSE(engine_time_accept(&time, 10, 90000000));
}

SUITE(engine_time) = {
    {"a jump is told and ends by itself", a_jump_is_told_and_ends_by_itself},
    {"a confirmed clock ahead is taken at once", a_confirmed_clock_ahead_is_taken_at_once},
    {"a confirmed clock behind is approached at half speed",
     a_confirmed_clock_behind_is_approached_at_half_speed},
    {"a start on the same boot does not believe a bad clock",
     a_start_on_the_same_boot_does_not_believe_a_bad_clock},
    {"the test clock knows no jump", the_test_clock_knows_no_jump},
    {"starts at the wall, never before the last tick", starts_at_the_wall_but_never_before_the_last_tick},
    {"follows the wall by slewing", follows_the_wall_by_slewing},
    {"a jump of the wall clock is not followed", a_jump_of_the_wall_clock_is_not_followed},
    {"never goes back", never_goes_back},
    {"holds and runs on", holds_and_runs_on},
    {NULL, NULL},
};
