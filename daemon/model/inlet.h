/* inlet: the two rings between one thread and one shard: jobs in, the same jobs back when they are durable.
 * Owner:   service makes one per (ingest loop, shard), (registry, shard) and (admin, shard).
 * Threads: inlet_send() and inlet_collect() on the sender's thread; inlet_take() and inlet_give_back() on the
 *          shard's. Each side's bell wakes the other when it may sleep.
 * Holds:   the sender never has more than RING_SLOTS jobs out, so neither ring is ever full (ensured). */
#ifndef VIGIE_MODEL_INLET_H
#define VIGIE_MODEL_INLET_H

#include "daemon/base/ring.h"
#include "daemon/base/wakeup.h"
#include "daemon/model/ticket.h"

struct inlet {
    struct ring *in, *back;
    struct wakeup *shard_bell, *sender_bell; /* borrowed */
};

MUST_CHECK enum err inlet_init(struct inlet *inlet, struct wakeup *shard_bell, struct wakeup *sender_bell);
void inlet_deinit(struct inlet *inlet);

void inlet_send(struct inlet *inlet, struct job *job);
struct job *inlet_collect(struct inlet *inlet); /* NULL when none is back */

struct job *inlet_take(struct inlet *inlet); /* NULL when empty */
void inlet_give_back(struct inlet *inlet, struct job *job);

#endif
