/* held: what is put into the packed readings of a series comes out equal, whatever it is and whatever was put
 * in, removed or dropped beside it: against a plain array of the same readings. */
#include <stdlib.h>
#include <string.h>

#include "alerting/held.h"
#include "daemon/base/instant.h"
#include "daemon/base/slab.h"
#include "tests/unit/unit.h"

#define DAY_MS 86400000LL

enum { PLAIN_MAX = 4096 };

struct both { /* the packed readings and the plain ones */
    struct held_array held;
    struct held plain[PLAIN_MAX];
    size_t count;
};

static bool same(const struct held *a, const struct held *b)
{
    return reading_key_equal(&a->key, &b->key) && a->value == b->value && a->received_ms == b->received_ms &&
           a->issued_ms == b->issued_ms && a->alias == b->alias && a->comparator == b->comparator &&
           a->status == b->status && a->flags == b->flags;
}

static void check(const struct both *both)
{
    bool equal = both->held.count == both->count;
    for (size_t i = 0; equal && i < both->count; i++) {
        struct held found;
        struct reading_key key;
        held_get(&both->held, i, &found);
        held_key(&both->held, i, &key);
        equal = same(&found, &both->plain[i]) && reading_key_equal(&key, &found.key) &&
                held_ms(&both->held, i) == found.key.ms && held_flags(&both->held, i) == found.flags;
    }
    CU_ASSERT_FATAL(equal);
}

static void put(struct both *both, size_t place, const struct held *reading)
{
    CU_ASSERT_FATAL(both->count < PLAIN_MAX);
    held_put(&both->held, place, reading);
    memmove(both->plain + place + 1, both->plain + place, (both->count - place) * sizeof both->plain[0]);
    both->plain[place] = *reading;
    both->count++;
}

static void take(struct both *both, size_t place)
{
    held_remove(&both->held, place);
    memmove(both->plain + place, both->plain + place + 1, (--both->count - place) * sizeof both->plain[0]);
}

static void drop(struct both *both, size_t count)
{
    held_drop(&both->held, count);
    both->count -= count;
    memmove(both->plain, both->plain + count, both->count * sizeof both->plain[0]);
}

static const struct held usual = {
    .key = {1780272000000, 1, 2},
    .value = 110000000,
    .received_ms = 1780272002000,
    .issued_ms = INSTANT_NONE,
    .status = STATUS_FINAL,
    .flags = HELD_ELIGIBLE | HELD_MEMBER | HELD_SIGN,
};

static void test_every_property_comes_back(void)
{
    static struct both both;
    static const int64_t ends[] = {INT64_MIN,
                                   INT64_MIN + 1,
                                   -1073741825,
                                   -1073741824,
                                   -1,
                                   0,
                                   1,
                                   999,
                                   1073741823,
                                   1073741824,
                                   1073741824000,
                                   1073741825000,
                                   1073741823999,
                                   -1073741824000,
                                   -1073741825000,
                                   INT64_MAX - 1,
                                   INT64_MAX};
    both = (struct both){.count = 0};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        struct held reading = usual;
        reading.value = ends[i];
        put(&both, both.count, &reading);
        reading = usual;
        reading.received_ms = ends[i];
        put(&both, both.count, &reading);
        reading.status = STATUS_VOID;
        reading.issued_ms = ends[i];
        put(&both, both.count, &reading);
        reading = usual;
        reading.key.ms = ends[i];
        put(&both, both.count, &reading);
        reading.received_ms = ends[sizeof ends / sizeof ends[0] - 1 - i];
        put(&both, both.count, &reading);
    }
    for (unsigned status = STATUS_PRELIMINARY; status <= STATUS_VOID; status++)
        for (unsigned comparator = 0; comparator <= COMPARATOR_GREATER; comparator++)
            for (uint16_t flags = 0; flags < 2 * HELD_NEW; flags++) {
                struct held reading = usual;
                reading.status = (uint8_t)status;
                reading.comparator = (uint8_t)comparator;
                reading.flags = flags;
                put(&both, both.count, &reading);
            }
    check(&both);
    held_deinit(&both.held);
}

static void test_delays_up_to_the_list_and_beyond(void)
{
    static struct both both;
    static const int64_t delays[] = {-300001, -300000, -299999, -1, 0, 748575, 748576, 3 * DAY_MS};
    both = (struct both){.count = 0};
    for (unsigned round = 0; round < 40; round++)
        for (size_t i = 0; i < sizeof delays / sizeof delays[0]; i++) {
            struct held reading = usual;
            reading.key.ms += round * 1000;
            reading.received_ms = reading.key.ms + delays[i];
            put(&both, both.count, &reading);
        }
    check(&both);
    held_deinit(&both.held);
}

static void test_many_devices_and_sensors(void)
{
    static struct both both;
    both = (struct both){.count = 0};
    for (uint32_t i = 0; i < 600; i++) {
        struct held reading = usual;
        reading.key.device = i % 300;
        reading.key.sensor = i / 2;
        put(&both, both.count, &reading);
    }
    check(&both);
    drop(&both, 590); /* their places are free for others */
    for (uint32_t i = 0; i < 6; i++) {
        struct held reading = usual;
        reading.key.device = 1000 + i;
        put(&both, both.count, &reading);
    }
    check(&both);
    held_deinit(&both.held);
}

/* What is let go gives its room to what comes: receptions of their own, whole readings, the array itself. */
static void test_a_series_that_moves_on_does_not_grow(void)
{
    static struct both both;
    struct slab *slab;
    struct slab_figures full, later;
    CU_ASSERT_EQUAL_FATAL(slab_new((size_t)64 << 20, &slab), OK);
    slab_use(slab);
    both = (struct both){.count = 0};
    for (int64_t i = 0; i < 40000; i++) {
        struct held reading = usual;
        reading.key.ms += i * 60000;
        reading.received_ms = reading.key.ms + (i % 3 == 0 ? DAY_MS + i : 1000);
        reading.value += i % 7 == 0 ? INT64_C(1) << 40 : i;
        reading.alias = (uint64_t)i * 77 % 3;
        put(&both, both.count, &reading);
        if (both.count > 2000)
            drop(&both, 1 + (size_t)(i % 2));
        if (i == 4000)
            slab_read(slab, &full);
    }
    check(&both);
    slab_read(slab, &later);
    CU_ASSERT(later.used_bytes <= full.used_bytes + full.used_bytes / 8);
    held_deinit(&both.held);
    slab_read(slab, &later);
    CU_ASSERT_EQUAL(later.used_bytes, 0);
    slab_use(NULL);
    slab_free(slab);
}

static void test_a_usual_reading_takes_12_bytes(void)
{
    static struct both both;
    struct slab *slab;
    struct slab_figures figures;
    CU_ASSERT_EQUAL_FATAL(slab_new((size_t)64 << 20, &slab), OK);
    slab_use(slab);
    both = (struct both){.count = 0};
    for (int64_t i = 0; i < PLAIN_MAX; i++) {
        struct held reading = usual;
        reading.key.ms += i * 300000;
        reading.received_ms = reading.key.ms + 600000;
        reading.value += i % 200 * 1000000;
        put(&both, both.count, &reading);
    }
    slab_read(slab, &figures);
    CU_ASSERT(figures.used_bytes <= PLAIN_MAX * (12 + 12 / 8) + 4096);
    held_deinit(&both.held);
    slab_use(NULL);
    slab_free(slab);
}

static uint64_t next(uint64_t *random)
{
    *random ^= *random << 13, *random ^= *random >> 7, *random ^= *random << 17;
    return *random;
}

/* Mostly usual, in some way unusual now and then. */
static struct held any_reading(uint64_t *random)
{
    struct held reading = usual;
    unsigned odd = next(random) % 16;
    reading.key.ms += (int64_t)(next(random) % (40 * DAY_MS));
    reading.received_ms = reading.key.ms + (int64_t)(next(random) % 600000);
    reading.value = (int64_t)(next(random) % 400) * 1000000;
    if (odd == 0)
        reading.key.ms += (int64_t)(next(random) % 4000) * DAY_MS;
    if (odd == 1 || odd == 2)
        reading.received_ms = usual.received_ms + (int64_t)(next(random) % 50) * DAY_MS;
    if (odd == 3)
        reading.value = (int64_t)next(random);
    if (odd == 4)
        reading.key.device = (uint32_t)(next(random) % 20);
    if (odd == 5)
        reading.alias = next(random);
    if (odd == 6) {
        reading.status = next(random) % 2 ? STATUS_CORRECTED : STATUS_VOID;
        reading.issued_ms = (int64_t)next(random);
        reading.flags |= HELD_AMENDS;
    }
    if (odd == 7)
        reading.status = STATUS_PRELIMINARY;
    if (odd == 8)
        reading.comparator = COMPARATOR_LESS;
    return reading;
}

static void test_against_a_plain_array(void)
{
    static struct both both;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        uint64_t random = seed * 88172645463325252u;
        both = (struct both){.count = 0};
        for (unsigned step = 0; step < 3000; step++) {
            unsigned what = next(&random) % 32;
            struct held reading = any_reading(&random);
            if (what < 28 || both.count == 0)
                put(&both, what < 20 ? both.count : next(&random) % (both.count + 1), &reading);
            else if (what == 28)
                take(&both, next(&random) % both.count);
            else if (what == 29)
                drop(&both, next(&random) % (both.count / 4 + 1));
            else {
                size_t place = next(&random) % both.count;
                enum held_flag flag = what == 30 ? HELD_MEMBER : HELD_NEW;
                bool set = next(&random) % 2;
                held_set_flag(&both.held, place, flag, set);
                both.plain[place].flags =
                    (uint16_t)(set ? both.plain[place].flags | flag : both.plain[place].flags & ~flag);
            }
            if (step % 50 == 0)
                check(&both);
        }
        check(&both);
        held_deinit(&both.held);
    }
}

SUITE(held) = {
    {"every property comes back", test_every_property_comes_back},
    {"delays up to the list and beyond", test_delays_up_to_the_list_and_beyond},
    {"many devices and sensors", test_many_devices_and_sensors},
    {"a series that moves on does not grow", test_a_series_that_moves_on_does_not_grow},
    {"a usual reading takes 12 bytes", test_a_usual_reading_takes_12_bytes},
    {"against a plain array", test_against_a_plain_array},
    {NULL, NULL},
};
