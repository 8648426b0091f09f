/* One atomic slot each way: the registry thread leaves a snapshot, the loop takes it and says which it uses.
 * A snapshot that was replaced before the loop looked is never seen by it, which is why the count of what was
 * taken, not of what was posted, decides when an old one may go. */
#include "daemon/registry/mailbox.h"

void mailbox_init(struct mailbox *mailbox, struct wakeup *loop_bell)
{
    atomic_init(&mailbox->waiting, NULL);
    atomic_init(&mailbox->version_taken, 0);
    mailbox->loop_bell = loop_bell;
}

void mailbox_post(struct mailbox *mailbox, const struct registry *registry)
{
    ensure(registry_version(registry) > mailbox_taken(mailbox));
    /* release: the loop that takes the pointer sees the whole snapshot */
    atomic_store_explicit(&mailbox->waiting, registry, memory_order_release);
    if (mailbox->loop_bell != NULL)
        wakeup_ring(mailbox->loop_bell);
}

int64_t mailbox_taken(const struct mailbox *mailbox)
{
    /* acquire: what the loop did under the snapshot before has happened */
    return atomic_load_explicit(&mailbox->version_taken, memory_order_acquire);
}

const struct registry *mailbox_take(struct mailbox *mailbox, const struct registry *current)
{
    if (atomic_load_explicit(&mailbox->waiting, memory_order_relaxed) == NULL)
        return current;
    const struct registry *taken = atomic_exchange_explicit(&mailbox->waiting, NULL, memory_order_acq_rel);
    if (taken == NULL)
        return current;
    atomic_store_explicit(&mailbox->version_taken, registry_version(taken), memory_order_release);
    return taken;
}
