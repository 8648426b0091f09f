/* memory: looks once a minute whether the shards hold more than [node] max_memory plans, and says so:
 * enrolment is refused by then, readings are not, so nothing else would tell. Owner:   service. Threads: main
 * alone; it reads figures of the shards' slabs. */
#ifndef VIGIE_DAEMON_MEMORY_H
#define VIGIE_DAEMON_MEMORY_H

#include <uv.h>

#include "daemon/base/slab.h"

struct memory {
    uv_timer_t timer;
    const struct slab *const *slabs; /* [count], borrowed */
    unsigned count;
};

void memory_start(struct memory *memory, uv_loop_t *loop, const struct slab *const *slabs, unsigned count);
void memory_stop(struct memory *memory);

#endif
