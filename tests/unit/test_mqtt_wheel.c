/* mqtt_wheel: due at the first full second behind the deadline, however often it moved. */
#include "daemon/ingest/mqtt/mqtt_wheel.h"

#include "tests/unit/unit.h"

enum { ENTRIES = 3000 };
static const int64_t second = 1000000000;

/* Deadlines from 1 s to 2 h; half of them move away while they wait. */
static void test_exact(void)
{
    static struct wheel_entry entries[ENTRIES];
    static int64_t due_s[ENTRIES];
    struct wheel wheel;
    unsigned taken = 0, random = 12345;
    wheel_init(&wheel, 100 * second + 5);
    for (int i = 0; i < ENTRIES; i++) {
        random = random * 1103515245 + 12345;
        int64_t until_ns = 100 * second + 5 + (1 + random / 65536 % 7200) * second;
        due_s[i] = until_ns / second + 1;
        wheel_add(&wheel, &entries[i], until_ns);
    }
    for (int64_t now_s = 101; now_s < 100 + 9000; now_s++) {
        for (struct wheel_entry *entry; (entry = wheel_take_due(&wheel, now_s * second)) != NULL; taken++)
            CU_ASSERT_EQUAL(due_s[entry - entries], now_s);
        int i = (int)(now_s % ENTRIES);
        if (entries[i].linked && now_s % 2 == 0) {
            entries[i].until_ns += 90 * second;
            due_s[i] += 90;
        }
        CU_ASSERT(wheel_next_ns(&wheel) > now_s * second);
    }
    CU_ASSERT_EQUAL(taken, ENTRIES);
    CU_ASSERT_EQUAL(wheel.entries, 0);
    CU_ASSERT_EQUAL(wheel_next_ns(&wheel), INT64_MAX);
}

static void test_sleep(void)
{
    struct wheel wheel;
    struct wheel_entry a = {0}, b = {0};
    wheel_init(&wheel, 0);
    wheel_add(&wheel, &a, 10 * second);
    wheel_add(&wheel, &b, 20 * second);
    CU_ASSERT_EQUAL(wheel_next_ns(&wheel), 10 * second);
    CU_ASSERT_PTR_NULL(wheel_take_due(&wheel, 10 * second - 1));
    wheel_remove(&wheel, &a);
    wheel_remove(&wheel, &a);
    CU_ASSERT_EQUAL(wheel_next_ns(&wheel), 20 * second);
    CU_ASSERT_PTR_EQUAL(wheel_take_due(&wheel, 500 * second), &b); /* whoever overslept still finds it */
    CU_ASSERT_PTR_NULL(wheel_take_due(&wheel, 500 * second));
    wheel_add(&wheel, &a, 400 * second); /* passed already */
    CU_ASSERT_PTR_EQUAL(wheel_take_due(&wheel, 501 * second), &a);
}

SUITE(mqtt_wheel) = {
    {"thousands, each in its second", test_exact},
    {"how long to sleep", test_sleep},
    {NULL, NULL},
};
