/* watchdog: the reader of all heartbeats. It keeps no clock in the threads: it notes when it last saw each
 * move, so what it calls a silence is never longer than the truth. */
#include "daemon/watchdog.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "daemon/base/clock.h"
#include "daemon/base/ensure.h"
#include "daemon/base/log.h"

enum { PERIOD_MS = 30000, LOOKS_A_PERIOD = 4, SYNC_STALL_MAX_MS = 30000, AWAIT_MAX_MS = 600000 };

static const char *const doing_words[HEARTBEAT_DOINGS] = {[HEARTBEAT_RUNS] = "turning",
                                                          [HEARTBEAT_SYNCS] = "syncing",
                                                          [HEARTBEAT_AWAITS] = "waiting for an answer"};

void watchdog_init(struct watchdog *watchdog, int64_t period_ms)
{
    ensure(period_ms > 0);
    memset(watchdog, 0, sizeof *watchdog);
    watchdog->period_ms = period_ms;
}

void watchdog_add(struct watchdog *watchdog, const struct watched *watched)
{
    ensure(watchdog->count < WATCHED_MAX);
    watchdog->watched[watchdog->count++] = *watched;
}

static enum heartbeat_doing doing_of(const struct watched *watched)
{
    return (enum heartbeat_doing)atomic_load_explicit(&watched->heartbeat->doing, memory_order_relaxed);
}

static int64_t silence_max_ms(const struct watchdog *watchdog, enum heartbeat_doing doing)
{
    switch (doing) {
    case HEARTBEAT_SYNCS:
        return SYNC_STALL_MAX_MS;
    case HEARTBEAT_AWAITS:
        return AWAIT_MAX_MS;
    default:
        return watchdog->period_ms / 2;
    }
}

static void tell_change(const struct watchdog *watchdog, const struct watched *watched, bool stuck,
                        int64_t ms)
{
    enum heartbeat_doing doing = doing_of(watched);
    if (stuck)
        log_write(LOG_ERROR, "watchdog",
                  "a thread makes no progress thread=%s found=%s for %" PRId64 " ms expected=at most %" PRId64
                  " ms hint=\"systemd restarts vigied; nothing unsynced was acknowledged\"",
                  watched->name, doing_words[doing], ms, silence_max_ms(watchdog, doing));
    else
        log_write(LOG_NOTICE, "watchdog", "the thread goes on thread=%s", watched->name);
}

static bool look_at(struct watchdog *watchdog, struct watched *watched, int64_t now_ms)
{
    uint64_t beats = atomic_load_explicit(&watched->heartbeat->beats, memory_order_relaxed);
    if (beats != watched->beats || beats == 0) {
        watched->beats = beats;
        watched->moved_ms = now_ms;
    }
    int64_t silent_ms = now_ms - watched->moved_ms;
    bool stuck = silent_ms >= silence_max_ms(watchdog, doing_of(watched));
    if (stuck != watched->stuck)
        tell_change(watchdog, watched, stuck, silent_ms);
    watched->stuck = stuck;
    return !stuck;
}

bool watchdog_look(struct watchdog *watchdog, int64_t now_ms)
{
    bool all_move = true;
    for (unsigned i = 0; i < watchdog->count; i++)
        all_move &= look_at(watchdog, &watchdog->watched[i], now_ms);
    return all_move;
}

bool watchdog_tell(const struct watchdog *watchdog, int64_t now_ms, struct buffer *json)
{
    bool any = false;
    for (unsigned i = 0; i < watchdog->count; i++) {
        const struct watched *watched = &watchdog->watched[i];
        char text[120];
        if (!watched->stuck)
            continue;
        snprintf(text, sizeof text, "thread %s makes no progress: %s for %" PRId64 " s", watched->name,
                 doing_words[doing_of(watched)], (now_ms - watched->moved_ms) / 1000);
        render_text(json, text);
        any = true;
    }
    return any;
}

unsigned watchdog_stuck(const struct watchdog *watchdog)
{
    unsigned stuck = 0;
    for (unsigned i = 0; i < watchdog->count; i++)
        stuck += watchdog->watched[i].stuck;
    return stuck;
}

static void ring_all(const struct watchdog *watchdog)
{
    for (unsigned i = 0; i < watchdog->count; i++)
        if (watchdog->watched[i].ring != NULL)
            watchdog->watched[i].ring(watchdog->watched[i].target);
}

static void name_stuck(const struct watchdog *watchdog, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "no progress:");
    for (unsigned i = 0; i < watchdog->count; i++)
        if (watchdog->watched[i].stuck && used < size)
            used += (size_t)snprintf(text + used, size - used, " %s", watchdog->watched[i].name);
}

/* Looks at what the bells of the look before have moved, then rings them again. */
static void on_timer(uv_timer_t *timer)
{
    struct watchdog *watchdog = timer->data;
    char status[256] = "accepting readings";
    bool all_move = watchdog_look(watchdog, clock_monotonic_ms());
    if (!all_move)
        name_stuck(watchdog, status, sizeof status);
    else if (watchdog->status != NULL)
        watchdog->status(watchdog->context, status, sizeof status);
    (void)sd_notifyf(0, "%sSTATUS=%s", all_move ? "WATCHDOG=1\n" : "", status);
    ring_all(watchdog);
}

int64_t watchdog_period_ms(void)
{
    uint64_t us = 0;
    return sd_watchdog_enabled(0, &us) > 0 && us >= 1000 ? (int64_t)(us / 1000) : PERIOD_MS;
}

void watchdog_start(struct watchdog *watchdog, uv_loop_t *loop)
{
    int64_t now_ms = clock_monotonic_ms();
    uint64_t look_ms = (uint64_t)(watchdog->period_ms / LOOKS_A_PERIOD);
    for (unsigned i = 0; i < watchdog->count; i++)
        watchdog->watched[i].moved_ms = now_ms;
    ensure(uv_timer_init(loop, &watchdog->timer) == 0);
    watchdog->timer.data = watchdog;
    ring_all(watchdog);
    ensure(uv_timer_start(&watchdog->timer, on_timer, look_ms, look_ms > 0 ? look_ms : 1) == 0);
}

void watchdog_stop(struct watchdog *watchdog)
{
    if (watchdog->timer.data != NULL && !uv_is_closing((uv_handle_t *)&watchdog->timer))
        uv_close((uv_handle_t *)&watchdog->timer, NULL);
}
