/* mailbox: hands a new registry snapshot to a loop, which answers when it uses it (DESIGN.md section 3).
 * Owner:   service makes one per loop. Threads: mailbox_post() and mailbox_taken() on the registry thread;
 *          mailbox_take() on the loop, at the start of a turn.
 * Holds:   at most one snapshot waits; the registry thread frees an old one when every mailbox has taken a
 *          newer. */
#ifndef VIGIE_DAEMON_REGISTRY_MAILBOX_H
#define VIGIE_DAEMON_REGISTRY_MAILBOX_H

#include <stdatomic.h>

#include "daemon/base/wakeup.h"
#include "daemon/registry/registry.h"

struct mailbox {
    _Atomic(const struct registry *) waiting; /* written by the registry thread, taken by the loop */
    _Atomic int64_t version_taken;            /* written by the loop, read by the registry thread */
    struct wakeup *loop_bell;                 /* borrowed */
};

void mailbox_init(struct mailbox *mailbox, struct wakeup *loop_bell);
void mailbox_post(struct mailbox *mailbox, const struct registry *registry);
int64_t mailbox_taken(const struct mailbox *mailbox);
/* The snapshot to use from now on: the waiting one, or `current` when none waits. */
const struct registry *mailbox_take(struct mailbox *mailbox, const struct registry *current);

#endif
