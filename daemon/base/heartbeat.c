/* heartbeat: one pointer a thread, so that the depths of journal and libpq need no way to their thread's. */
#include "daemon/base/heartbeat.h"

static _Thread_local struct heartbeat *own;

void heartbeat_adopt(struct heartbeat *heartbeat)
{
    own = heartbeat;
    heartbeat_beat();
}

void heartbeat_beat(void)
{
    if (own == NULL)
        return;
    uint64_t beats = atomic_load_explicit(&own->beats, memory_order_relaxed);
    atomic_store_explicit(&own->beats, beats + 1, memory_order_relaxed);
}

enum heartbeat_doing heartbeat_does(enum heartbeat_doing doing)
{
    if (own == NULL)
        return HEARTBEAT_RUNS;
    int before = atomic_load_explicit(&own->doing, memory_order_relaxed);
    heartbeat_beat();
    atomic_store_explicit(&own->doing, (int)doing, memory_order_relaxed);
    return (enum heartbeat_doing)before;
}
