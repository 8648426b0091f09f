/* watchdog: tells systemd that we live only while every thread makes progress, FAULTS.md section 2.
 * Each quarter of WatchdogSec it rings every bell and looks at the heartbeats: one that stands still longer
 * than what its thread does may last withholds WATCHDOG=1 and is named in the log, in STATUS= and in /readyz.
 *
 *   a turn, or asleep and not woken by its bell     half of WatchdogSec: killed within twice of it
 *   the sync of a turn                              sync_stall_max, 30 s, then the disk is given up
 *   an answer of PostgreSQL, a broker, the shards   10 min: every such wait has a shorter bound of its own
 *
 * Owner:   service. Threads: the loop of main. Fails: never; without $NOTIFY_SOCKET it still looks and logs.
 */
#ifndef VIGIE_DAEMON_WATCHDOG_H
#define VIGIE_DAEMON_WATCHDOG_H

#include <stdbool.h>
#include <uv.h>

#include "daemon/base/buffer.h"
#include "daemon/base/heartbeat.h"
#include "daemon/base/limits.h"

enum { WATCHED_MAX = LOOPS_MAX + SHARDS_MAX + 3 }; /* and loader, publisher, registry */

/* One thread. */
struct watched {
    char name[24];
    const struct heartbeat *heartbeat;
    void (*ring)(void *target); /* wakes it, NULL: its sleep is bounded */
    void *target;
    /* the watchdog's own */
    uint64_t beats;
    int64_t moved_ms; /* when it was last seen to move */
    bool stuck;
};

struct watchdog {
    uv_timer_t timer;
    int64_t period_ms; /* WatchdogSec */
    struct watched watched[WATCHED_MAX];
    unsigned count;
    void (*status)(void *context, char *text, size_t size); /* what STATUS= says */
    void *context;
};

/* `period_ms`: WatchdogSec; the limits follow from it. Before watchdog_start(). */
void watchdog_init(struct watchdog *watchdog, int64_t period_ms);
void watchdog_add(struct watchdog *watchdog, const struct watched *watched);
/* Looks at all; true when everything moves. Logs what has stopped and what goes on again. */
bool watchdog_look(struct watchdog *watchdog, int64_t now_ms);
/* Appends one JSON string a thread that is stuck; true when there is one. */
bool watchdog_tell(const struct watchdog *watchdog, int64_t now_ms, struct buffer *json);
unsigned watchdog_stuck(const struct watchdog *watchdog);

/* WatchdogSec from $WATCHDOG_USEC, else 30 s. */
int64_t watchdog_period_ms(void);
void watchdog_start(struct watchdog *watchdog, uv_loop_t *loop);
void watchdog_stop(struct watchdog *watchdog);

#endif
