/* service_internal: what service.c starts and control.c serves at the admin port. */
#ifndef VIGIE_DAEMON_SERVICE_INTERNAL_H
#define VIGIE_DAEMON_SERVICE_INTERNAL_H

#include <uv.h>

#include "alerting/publisher.h"
#include "daemon/admin/admin.h"
#include "daemon/base/cipher.h"
#include "daemon/clock_anchor.h"
#include "daemon/identity.h"
#include "daemon/ingest/certificates.h"
#include "daemon/ingest/ingest.h"
#include "daemon/ingest/settings.h"
#include "daemon/memory.h"
#include "daemon/registry/registry_service.h"
#include "daemon/service.h"
#include "daemon/shard.h"
#include "daemon/watchdog.h"
#include "storage/loader.h"

/* Counter blocks: one a thread. */
enum { COUNTERS_LOADER, COUNTERS_PUBLISHER, COUNTERS_REGISTRY, COUNTERS_FIXED };

struct control;

struct service {
    const struct config *config;
    struct identity identity;
    bool identity_is_open;
    uint8_t identifier_key[32];
    struct cipher_keys keys;        /* of all that is written below state_dir */
    uint64_t published[SHARDS_MAX]; /* positions that Kafka is known to hold: new ones lie above */
    struct sip_key reading_key;
    uint32_t shards;
    unsigned loops;

    struct counters *counters; /* [COUNTERS_FIXED + loops + shards] */
    struct node_state node;
    _Atomic int64_t engine_now_ms;
    struct sink_figures postgres, kafka;
    struct registry_figures registry_figures;
    struct publisher_figures publisher_figures;

    struct shard *shard[SHARDS_MAX];
    struct journal *journal[SHARDS_MAX];
    const struct slab *slab[SHARDS_MAX]; /* of the shards, for whoever enrols */
    struct ingest *ingest[LOOPS_MAX];
    struct ingest_shared ingest_shared;
    struct certificate_figures certificates;
    int64_t reload_generation; /* of the settings given to the loops last */
    bool reload_pending;       /* not every loop has them yet */
    struct loader *loader;
    struct publisher *publisher;
    struct registry_service *registry;

    struct wakeup loop_bell[LOOPS_MAX], registry_bell, admin_bell;
    struct mailbox mailbox[LOOPS_MAX];
    struct foreign_inbox *foreign[LOOPS_MAX]; /* claims on what is not a source's, for the registry thread */
    struct inlet loop_inlet[LOOPS_MAX][SHARDS_MAX];
    struct inlet registry_inlet[SHARDS_MAX], admin_inlet[SHARDS_MAX];

    uv_loop_t admin_loop;
    uv_signal_t terminate, interrupt, hangup;
    struct control *control;
    struct conditions *conditions;
    struct clock_anchor anchor;
    char journal_directory[4096], snapshot_directory[4096];
    struct snapshot_figures snapshots[SHARDS_MAX];
    struct journal *_Atomic trimmed[SHARDS_MAX]; /* set when the shards stand, for the threads that trim */
    struct watchdog watchdog;
    struct memory memory;
    _Atomic unsigned replayed_percent[SHARDS_MAX]; /* written by the recovering threads */
    unsigned started;                              /* steps of the start table that are done */
    const char *starting;                          /* the step under way, NULL: all stand */
};

/* control: the admin port and socket, and the routes behind them; runs on service.admin_loop. It opens before
 * recovery, so that operators see how far a start is: until control_serve() all but health is answered 503.
 */
MUST_CHECK enum err control_start(struct service *service, struct control **ret_control);
int control_port(const struct control *control); /* 0: only the socket */
void control_stop(struct control *control);
/* Sends a command `condition` to shard 0, which speaks for the node; `done` on the loop of main. Takes the
 * buffer's content. */
void control_tell_node(struct control *control, struct buffer *json, void (*done)(void *context, bool taken),
                       void *context);

/* From when registry and shards stand, until they stop: what is under way then is answered first. */
void control_serve(struct control *control);
void control_end_service(struct control *control);

/* How much of the journal has been replayed, the shard that is furthest behind. */
unsigned service_replayed_percent(const struct service *service);

/* reload: SIGHUP; on service.admin_loop. */
void reload_begin(struct service *service);
/* A loop has rung: tells systemd once all have taken what reload_begin() gave. */
void reload_collect(struct service *service);
void reload_note_certificates(struct service *service, const struct ingest_settings *settings);

#endif
