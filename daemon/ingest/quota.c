/* quota: a bucket is kept as the instant at which it will be full again (GCRA): nothing has to be refilled.
 *
 *   full again at    <= now              now + 1 s - one              now + 1 s
 *                    full       ...      one message left             empty: refused until it fills
 *
 * A slot is found by the source's id, taken by compare-and-swap, and never given up. */
#include "daemon/ingest/quota.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "daemon/base/ensure.h"

enum { PROBES_MAX = 64 };

static const int64_t second_ns = 1000000000;

struct bucket {
    _Atomic int64_t source_id; /* 0: free; written once */
    _Atomic int64_t messages_full_ns, readings_full_ns;
};

struct quota {
    struct bucket bucket[QUOTA_SOURCES_MAX];
};

struct quota *quota_new(void)
{
    return calloc(1, sizeof(struct quota));
}

void quota_free(struct quota *quota)
{
    free(quota);
}

/* NULL: no slot near its place. */
static struct bucket *find_bucket(struct quota *quota, int64_t source_id)
{
    ensure(source_id != 0);
    uint64_t at = (uint64_t)source_id * 0x9e3779b97f4a7c15u >> 32;
    for (unsigned probe = 0; probe < PROBES_MAX; probe++, at++) {
        struct bucket *bucket = &quota->bucket[at % QUOTA_SOURCES_MAX];
        int64_t holder = atomic_load_explicit(&bucket->source_id, memory_order_relaxed);
        if (holder == 0 &&
            atomic_compare_exchange_strong_explicit(&bucket->source_id, &holder, source_id,
                                                    memory_order_relaxed, memory_order_relaxed))
            return bucket;
        if (holder == source_id)
            return bucket;
    }
    return NULL;
}

/* How long the bucket stays without room for `room_ns`; 0: there is room. */
static int64_t wait_of(const _Atomic int64_t *full_ns, int64_t room_ns, int64_t now_ns)
{
    int64_t over_ns = atomic_load_explicit(full_ns, memory_order_relaxed) - now_ns - (second_ns - room_ns);
    return over_ns > 0 ? over_ns : 0;
}

static void charge(_Atomic int64_t *full_ns, int64_t cost_ns, int64_t now_ns)
{
    int64_t old_ns = atomic_load_explicit(full_ns, memory_order_relaxed), new_ns;
    do {
        new_ns = (old_ns > now_ns ? old_ns : now_ns) + cost_ns;
    } while (!atomic_compare_exchange_weak_explicit(full_ns, &old_ns, new_ns, memory_order_relaxed,
                                                    memory_order_relaxed));
}

unsigned quota_take_message(struct quota *quota, const struct quota_rates *rates, int64_t source_id,
                            int64_t now_ns)
{
    if (quota == NULL || (rates->messages == 0 && rates->readings == 0))
        return 0;
    struct bucket *bucket = find_bucket(quota, source_id);
    if (bucket == NULL)
        return 0;
    int64_t wait_ns = 0;
    if (rates->messages > 0)
        wait_ns = wait_of(&bucket->messages_full_ns, second_ns / rates->messages, now_ns);
    if (rates->readings > 0) {
        int64_t readings_wait_ns = wait_of(&bucket->readings_full_ns, second_ns / rates->readings, now_ns);
        wait_ns = wait_ns > readings_wait_ns ? wait_ns : readings_wait_ns;
    }
    if (wait_ns > 0)
        return (unsigned)((wait_ns + second_ns - 1) / second_ns);
    if (rates->messages > 0)
        charge(&bucket->messages_full_ns, second_ns / rates->messages, now_ns);
    return 0;
}

void quota_charge_readings(struct quota *quota, const struct quota_rates *rates, int64_t source_id,
                           int64_t readings, int64_t now_ns)
{
    if (quota == NULL || rates->readings == 0 || readings == 0)
        return;
    struct bucket *bucket = find_bucket(quota, source_id);
    if (bucket != NULL)
        charge(&bucket->readings_full_ns, readings * (second_ns / rates->readings), now_ns);
}
