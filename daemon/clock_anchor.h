/* clock_anchor: what engine time is on this boot of the host, kept in state_dir/clock: the boot's id and the
 * difference between engine time and the time since that boot. A restart on the same boot reads from it what
 * engine time would be, and so sees a wall clock that was set wrong while the node was down or before.
 * Owner:   main. Threads: one at a time. Fails: without a readable boot id, or with a file of another boot,
 * nothing is expected, and the wall clock is believed as DESIGN.md section 2 says. */
#ifndef VIGIE_DAEMON_CLOCK_ANCHOR_H
#define VIGIE_DAEMON_CLOCK_ANCHOR_H

#include <stdint.h>

#include "daemon/base/err.h"

struct clock_anchor {
    char path[4200];
    char boot[40];     /* "" when the system tells none */
    int64_t offset_ms; /* engine - time since boot, as saved; INSTANT_NONE: nothing of this boot */
};

void clock_anchor_open(struct clock_anchor *anchor, const char *state_dir);
/* Engine time expected now; INSTANT_NONE when nothing is known. */
int64_t clock_anchor_expected_ms(const struct clock_anchor *anchor);
/* Saves what has moved by more than a second since; engine time is monotonic + offset. */
MUST_CHECK enum err clock_anchor_keep(struct clock_anchor *anchor, int64_t engine_offset_ms);

#endif
