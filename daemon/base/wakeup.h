/* wakeup: an eventfd by which producers wake a sleeping thread.
 * Threads: wakeup_ring() from any; wakeup_wait() on the owner alone. */
#ifndef VIGIE_BASE_WAKEUP_H
#define VIGIE_BASE_WAKEUP_H

#include <stdint.h>

#include "daemon/base/err.h"

struct wakeup {
    int fd; /* non-blocking eventfd; may be polled by a libuv loop */
};

MUST_CHECK enum err wakeup_open(struct wakeup *wakeup);
void wakeup_close(struct wakeup *wakeup);

/* Makes the present or next wait return; cheap and coalescing. */
void wakeup_ring(struct wakeup *wakeup);

/* Sleeps until rung or `timeout_ms` have passed (negative: for ever); resets the bell. */
void wakeup_wait(struct wakeup *wakeup, int64_t timeout_ms);

#endif
