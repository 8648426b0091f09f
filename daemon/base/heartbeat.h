/* heartbeat: how a thread shows that it makes progress, for the watchdog of main (daemon/watchdog.h).
 * A thread adopts the heartbeat of its counter block and beats once a turn; around a wait that may be long it
 * says what it waits for. In threads without one, and in vigiectl, all this does nothing.
 * Owner:   service, within struct counters. Threads: the one that adopted it writes, main reads.
 * Holds:   relaxed stores alone: no clock, no lock; the reader times what it sees. */
#ifndef VIGIE_BASE_HEARTBEAT_H
#define VIGIE_BASE_HEARTBEAT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* What a thread does while its beats stand still, and how long that may last. */
enum heartbeat_doing {
    HEARTBEAT_RUNS,   /* its turns, and sleep from which a bell wakes it */
    HEARTBEAT_SYNCS,  /* write and sync of a turn: the disk's time */
    HEARTBEAT_AWAITS, /* PostgreSQL, a broker, or shards: waits that have bounds of their own */
    HEARTBEAT_DOINGS
};

struct heartbeat {
    _Atomic uint64_t beats; /* 0: no thread has adopted it yet */
    _Atomic int doing;      /* enum heartbeat_doing */
};

/* From now on the calling thread's is this one. */
void heartbeat_adopt(struct heartbeat *heartbeat);
/* Progress. */
void heartbeat_beat(void);
/* Progress, and what comes next; returns what was being done before, for the call that ends it. */
enum heartbeat_doing heartbeat_does(enum heartbeat_doing doing);

#endif
