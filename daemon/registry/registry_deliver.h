/* registry_deliver: brings changes to shards and loops in the order of DESIGN.md section 4, and learns
 * commits.
 * Owner:   the service holds it. Threads: the registry thread (the starting thread before that runs).
 * Order:   1. what removes a right: a snapshot without it, taken by every loop 2. commands, durable on
 *          their shards  3. the whole snapshot, taken by every loop
 * Holds:   a snapshot is freed when every loop has taken a newer one. */
#ifndef VIGIE_DAEMON_REGISTRY_DELIVER_H
#define VIGIE_DAEMON_REGISTRY_DELIVER_H

#include <stdatomic.h>

#include "daemon/registry/registry_commands.h"
#include "daemon/registry/registry_refused.h"
#include "daemon/registry/registry_service.h"

struct deliver_snapshot {
    struct registry *registry;
    struct deliver_snapshot *older;
};

struct deliver {
    struct rows *rows;
    uint32_t shards;
    unsigned loops;
    struct inlet *inlets;
    struct wakeup *bell;
    struct mailbox *mailboxes;
    bool loops_run; /* false until the start is over: nobody takes snapshots yet */
    struct registry_figures *figures;
    const atomic_bool *stopping;        /* written by registry_service_stop() */
    int64_t serial;                     /* version of the newest snapshot */
    struct deliver_snapshot *snapshots; /* newest first */
    struct registry_refused refused;
};

/* A change that a shard refused, or the valid_from that it moved: for the answer of an import. */
struct deliver_result {
    unsigned refused_line;
    bool refused;
    bool commits;        /* a commit was learnt: PostgreSQL lacks it */
    char refusal[700];   /* JSON object of the engine: found, expected, hint */
    struct buffer moved; /* JSON array: {"line","valid_from"} */
};

void deliver_changes(struct deliver *deliver, const struct row_changes *changes,
                     struct deliver_result *result);
/* At a start: every row newer than what its shard knows, then the first snapshot. */
void deliver_everything(struct deliver *deliver, const int64_t *known, struct deliver_result *result);
/* Whether the patient's shard holds a reading of the device, measured in [from, to); INSTANT_NONE: open. */
MUST_CHECK enum err deliver_ask_received(struct deliver *deliver, int64_t patient_id, const char *device,
                                         const int64_t from_to_ms[2], bool *ret);
void deliver_version(struct deliver *deliver, int64_t version);
/* Frees snapshots that no loop can use any more; all of them once the loops have ended. */
void deliver_free_snapshots(struct deliver *deliver, bool all);

#endif
