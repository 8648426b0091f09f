/* inlet: a pair of rings and the bells at their far ends.
 * A push rings only when the ring was empty: a consumer that found it so may be asleep, a busy one is not. */
#include "daemon/model/inlet.h"

#include "daemon/base/ensure.h"
#include "daemon/base/limits.h"

enum err inlet_init(struct inlet *inlet, struct wakeup *shard_bell, struct wakeup *sender_bell)
{
    *inlet = (struct inlet){
        .in = ring_new(RING_SLOTS),
        .back = ring_new(RING_SLOTS),
        .shard_bell = shard_bell,
        .sender_bell = sender_bell,
    };
    if (inlet->in != NULL && inlet->back != NULL)
        return OK;
    inlet_deinit(inlet);
    return ERR_NO_MEMORY;
}

void inlet_deinit(struct inlet *inlet)
{
    if (inlet == NULL)
        return;
    ring_free(inlet->in);
    ring_free(inlet->back);
    inlet->in = inlet->back = NULL;
}

static void push(struct ring *ring, struct job *job, struct wakeup *bell)
{
    bool was_empty = false;
    ensure(ring_push(ring, job, &was_empty) ==
           OK); /* the sender bounds what is out: neither ring is ever full */
    if (was_empty)
        wakeup_ring(bell);
}

void inlet_send(struct inlet *inlet, struct job *job)
{
    push(inlet->in, job, inlet->shard_bell);
}

struct job *inlet_collect(struct inlet *inlet)
{
    return ring_pop(inlet->back);
}

struct job *inlet_take(struct inlet *inlet)
{
    return ring_pop(inlet->in);
}

void inlet_give_back(struct inlet *inlet, struct job *job)
{
    push(inlet->back, job, inlet->sender_bell);
}
