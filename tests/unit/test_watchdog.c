/* watchdog: what may last how long, what is told, and that a thread which moves is never suspected. */
#include <string.h>

#include "daemon/watchdog.h"
#include "tests/unit/unit.h"

enum { PERIOD = 8000 };

static struct heartbeat nobody;

static void beat_elsewhere(struct heartbeat *heartbeat, unsigned beats, enum heartbeat_doing doing)
{
    heartbeat_adopt(heartbeat);
    for (unsigned i = 0; i < beats; i++)
        heartbeat_beat();
    (void)heartbeat_does(doing);
    heartbeat_adopt(&nobody);
}

static void begin(struct watchdog *watchdog, struct heartbeat *heartbeat, enum heartbeat_doing doing)
{
    memset(heartbeat, 0, sizeof *heartbeat);
    watchdog_init(watchdog, PERIOD);
    watchdog_add(watchdog, &(struct watched){.name = "shard-7", .heartbeat = heartbeat});
    beat_elsewhere(heartbeat, 3, doing);
    CU_ASSERT_TRUE(watchdog_look(watchdog, 1000));
}

static void test_limits(void)
{
    static const struct {
        enum heartbeat_doing doing;
        int64_t limit_ms;
    } rows[] = {{HEARTBEAT_RUNS, PERIOD / 2}, {HEARTBEAT_SYNCS, 30000}, {HEARTBEAT_AWAITS, 600000}};
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct watchdog watchdog;
        struct heartbeat heartbeat;
        begin(&watchdog, &heartbeat, rows[i].doing);
        CU_ASSERT_TRUE(watchdog_look(&watchdog, 1000 + rows[i].limit_ms - 1));
        CU_ASSERT_EQUAL(watchdog_stuck(&watchdog), 0);
        CU_ASSERT_FALSE(watchdog_look(&watchdog, 1000 + rows[i].limit_ms));
        CU_ASSERT_EQUAL(watchdog_stuck(&watchdog), 1);
    }
}

static void test_one_of_two_is_enough(void)
{
    struct watchdog watchdog;
    struct heartbeat stands, moves = {0};
    struct buffer json = {0};
    begin(&watchdog, &stands, HEARTBEAT_RUNS);
    watchdog_add(&watchdog, &(struct watched){.name = "ingest-0", .heartbeat = &moves});
    for (int64_t now_ms = 2000; now_ms < 1000 + PERIOD / 2; now_ms += 1000) {
        beat_elsewhere(&moves, 1, HEARTBEAT_RUNS);
        CU_ASSERT_TRUE(watchdog_look(&watchdog, now_ms));
    }
    beat_elsewhere(&moves, 1, HEARTBEAT_RUNS);
    CU_ASSERT_FALSE(watchdog_look(&watchdog, 1000 + PERIOD / 2));
    CU_ASSERT_TRUE(watchdog_tell(&watchdog, 1000 + PERIOD / 2, &json));
    buffer_append(&json, "", 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(json.data, "shard-7"));
    CU_ASSERT_PTR_NULL(strstr(json.data, "ingest-0"));
    buffer_deinit(&json);
    beat_elsewhere(&stands, 1, HEARTBEAT_RUNS);
    beat_elsewhere(&moves, 1, HEARTBEAT_RUNS);
    CU_ASSERT_TRUE(watchdog_look(&watchdog, 9000));
    CU_ASSERT_FALSE(watchdog_tell(&watchdog, 9000, &json));
}

static void test_a_wait_ends_where_it_began(void)
{
    struct heartbeat heartbeat = {0};
    heartbeat_adopt(&heartbeat);
    enum heartbeat_doing before = heartbeat_does(HEARTBEAT_SYNCS);
    CU_ASSERT_EQUAL(before, HEARTBEAT_RUNS);
    CU_ASSERT_EQUAL(heartbeat_does(HEARTBEAT_AWAITS), HEARTBEAT_SYNCS);
    CU_ASSERT_EQUAL(heartbeat_does(before), HEARTBEAT_AWAITS);
    CU_ASSERT_EQUAL(heartbeat.doing, HEARTBEAT_RUNS);
    CU_ASSERT_EQUAL(heartbeat.beats, 4);
    heartbeat_adopt(&nobody);
}

SUITE(watchdog) = {
    {"how long what may last", test_limits},
    {"one that stands is enough, and is named", test_one_of_two_is_enough},
    {"a wait ends where it began", test_a_wait_ends_where_it_began},
    {NULL, NULL},
};
