/* registry_service: the registry thread: takes changes from PostgreSQL or an import, brings them to shards
 * and loops in the order of DESIGN.md section 4, and keeps them in state_dir/registry for a start without
 * PostgreSQL.
 * Owner:   service. Threads: its own; requests come in by registry_request() from the admin loop.
 * Order:   what adds: commands durable on every shard first, then loops; what removes: loops first.
 * Fails:   without PostgreSQL it serves the file and tries again; imports are then refused, with the
 *          reason. */
#ifndef VIGIE_DAEMON_REGISTRY_SERVICE_H
#define VIGIE_DAEMON_REGISTRY_SERVICE_H

#include "config/config.h"
#include "daemon/base/buffer.h"
#include "daemon/base/cipher.h"
#include "daemon/base/heartbeat.h"
#include "daemon/model/inlet.h"
#include "daemon/registry/admin_tokens.h"
#include "daemon/registry/foreign.h"
#include "daemon/registry/mailbox.h"
#include "daemon/registry/registry_figures.h"

struct registry_options {
    const struct config *config;
    uint32_t shards;
    struct inlet *inlets; /* [shards]; sender_bell is `bell` */
    struct wakeup *bell;
    unsigned loops;
    struct mailbox *mailboxes;            /* [loops] */
    struct foreign_inbox *const *foreign; /* [loops]; borrowed */
    const int64_t
        *shard_versions; /* [shards]: engine_registry_version() after recovery, before the threads start */
    const struct slab *const *slabs; /* [shards]: what enrolment has left of max_memory; borrowed */
    uint8_t identifier_key[32];
    struct registry_figures *figures; /* borrowed */
    const struct cipher_keys *keys;   /* of what is kept in state_dir; borrowed */
    struct heartbeat *heartbeat;      /* of the thread */
};

struct registry_service;

/* Loads PostgreSQL, or the file when it is away; returns once every loop's mailbox holds a first snapshot and
 * every shard has the commands that it lacked. Shards run already. */
MUST_CHECK enum err registry_service_start(const struct registry_options *options,
                                           struct registry_service **ret_service);
void registry_service_stop(struct registry_service *service);

enum registry_request_kind {
    REGISTRY_IMPORT,
    REGISTRY_TOKEN,
    REGISTRY_ADMIN_TOKEN,
    REGISTRY_QUARANTINE, /* reads one row: registry_quarantine.h */
    REGISTRY_SYNC
};

/* One request of the admin loop. `done` is called on the registry thread when the change is in force or
 * refused; it must only hand the request over (mailbox of the admin loop). */
struct registry_request {
    enum registry_request_kind kind;
    const char *body; /* NDJSON of an import; source ref for a token; role for one of the admin port; digits
                         of a row */
    size_t body_size;
    char author[REF_BYTES_MAX + 1];
    int status;          /* HTTP status of the answer */
    struct buffer reply; /* JSON */
    void (*done)(struct registry_request *request);
    void *owner;
    struct registry_request *next;
};

void registry_request(struct registry_service *service, struct registry_request *request);

/* The role and name of a token of the admin port; the admin loop alone. */
bool registry_find_admin_token(struct registry_service *service, const uint8_t sha256[SHA256_BYTES],
                               struct admin_token *ret);

#endif
