/* ring, wakeup and inlet: order, fullness, and that a consumer that sleeps is always rung. */
#include <pthread.h>

#include "daemon/base/clock.h"
#include "daemon/base/ring.h"
#include "daemon/base/wakeup.h"
#include "daemon/model/inlet.h"
#include "tests/unit/unit.h"

enum { CROSSINGS = 200000, SLOTS = 16 };

static void test_order_and_fullness(void)
{
    struct ring *ring = ring_new(4);
    int items[5];
    bool was_empty = false;

    CU_ASSERT_TRUE(ring_is_empty(ring));
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(ring_push(ring, &items[i], &was_empty), OK);
        CU_ASSERT_EQUAL(was_empty, i == 0);
    }
    CU_ASSERT_EQUAL(ring_push(ring, &items[4], &was_empty), ERR_FULL);
    CU_ASSERT_PTR_EQUAL(ring_pop(ring), &items[0]);
    CU_ASSERT_EQUAL(ring_push(ring, &items[4], &was_empty), OK);
    for (int i = 1; i < 5; i++)
        CU_ASSERT_PTR_EQUAL(ring_pop(ring), &items[i]);
    CU_ASSERT_PTR_NULL(ring_pop(ring));
    CU_ASSERT_TRUE(ring_is_empty(ring));
    ring_free(ring);
}

struct crossing {
    struct ring *ring;
    struct wakeup bell;
    uintptr_t next;
    bool in_order, starved;
};

static void *consume(void *memory)
{
    struct crossing *crossing = memory;
    while (crossing->next <= CROSSINGS) {
        void *item = ring_pop(crossing->ring);
        if (item == NULL) {
            int64_t before = clock_monotonic_ms();
            wakeup_wait(&crossing->bell, 5000);
            if (clock_monotonic_ms() - before >= 5000 && !ring_is_empty(crossing->ring))
                crossing->starved = true; /* an item was there and nobody rang */
            continue;
        }
        crossing->in_order = crossing->in_order && (uintptr_t)item == crossing->next;
        crossing->next++;
    }
    return NULL;
}

static void test_two_threads(void)
{
    struct crossing crossing = {.ring = ring_new(SLOTS), .next = 1, .in_order = true};
    pthread_t thread;

    CU_ASSERT_EQUAL_FATAL(wakeup_open(&crossing.bell), OK);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, consume, &crossing), 0);
    for (uintptr_t i = 1; i <= CROSSINGS;) {
        bool was_empty = false;
        if (ring_push(crossing.ring, (void *)i, &was_empty) != OK) {
            sched_yield();
            continue;
        }
        if (was_empty)
            wakeup_ring(&crossing.bell);
        i++;
    }
    pthread_join(thread, NULL);
    CU_ASSERT_TRUE(crossing.in_order);
    CU_ASSERT_FALSE(crossing.starved);
    CU_ASSERT_TRUE(ring_is_empty(crossing.ring));
    wakeup_close(&crossing.bell);
    ring_free(crossing.ring);
}

static void test_wakeup(void)
{
    struct wakeup bell;
    CU_ASSERT_EQUAL_FATAL(wakeup_open(&bell), OK);
    wakeup_ring(&bell);
    wakeup_ring(&bell);
    int64_t before = clock_monotonic_ms();
    wakeup_wait(&bell, 5000);
    CU_ASSERT_TRUE(clock_monotonic_ms() - before < 4000);
    before = clock_monotonic_ms();
    wakeup_wait(&bell, 30); /* both rings were one */
    CU_ASSERT_TRUE(clock_monotonic_ms() - before >= 29);
    wakeup_close(&bell);
}

static void test_inlet(void)
{
    struct wakeup shard, sender;
    struct inlet inlet;
    struct job job = {.kind = JOB_COMMAND};

    CU_ASSERT_EQUAL_FATAL(wakeup_open(&shard), OK);
    CU_ASSERT_EQUAL_FATAL(wakeup_open(&sender), OK);
    CU_ASSERT_EQUAL_FATAL(inlet_init(&inlet, &shard, &sender), OK);
    CU_ASSERT_PTR_NULL(inlet_take(&inlet));
    inlet_send(&inlet, &job);
    int64_t before = clock_monotonic_ms();
    wakeup_wait(&shard, 5000);
    CU_ASSERT_TRUE(clock_monotonic_ms() - before < 4000);
    CU_ASSERT_PTR_EQUAL(inlet_take(&inlet), &job);
    CU_ASSERT_PTR_NULL(inlet_collect(&inlet));
    inlet_give_back(&inlet, &job);
    before = clock_monotonic_ms();
    wakeup_wait(&sender, 5000);
    CU_ASSERT_TRUE(clock_monotonic_ms() - before < 4000);
    CU_ASSERT_PTR_EQUAL(inlet_collect(&inlet), &job);
    inlet_deinit(&inlet);
    wakeup_close(&shard);
    wakeup_close(&sender);
}

SUITE(ring) = {
    {"order and fullness", test_order_and_fullness},
    {"two threads, none starves", test_two_threads},
    {"a bell rings once", test_wakeup},
    {"inlet there and back", test_inlet},
    {NULL, NULL},
};
