/* ingest: one loop: its listeners, connections, TLS, decoders and answers, DESIGN.md sections 2 to 4.
 * Owner:   service starts and stops it. Threads: its own; the inlets, the mailbox and the counters are all
 * that it shares. Readers of the hot path start at ingest.c. Fails:   ingest_start() with what cannot be
 * bound or loaded, logged with the hint; later nothing stops a loop. */
#ifndef VIGIE_DAEMON_INGEST_INGEST_H
#define VIGIE_DAEMON_INGEST_INGEST_H

#include <stdatomic.h>
#include <stdbool.h>

#include "config/config.h"
#include "daemon/base/counters.h"
#include "daemon/ingest/listeners.h"
#include "daemon/model/inlet.h"
#include "daemon/registry/mailbox.h"

/* What every loop may read of the node; written by main and shard 0. */
struct node_state {
    _Atomic bool accepting;           /* false at low water, while draining, before recovery is done */
    _Atomic int64_t engine_offset_ms; /* engine time = monotonic + offset while it runs */
    _Atomic int64_t engine_held_ms;   /* engine time while held by the test clock, else INSTANT_NONE */
    _Atomic int64_t clock_jump_ms;    /* wall clock - engine time while it is not followed, else 0 */
    _Atomic int clock_pace;           /* enum engine_pace */
    _Atomic bool clock_catching_up;   /* a confirmed wall clock lies behind */
};

struct ingest_settings;
struct mqtt_shared;
struct quota;

/* What the loops have in common; service owns it, its counts are relaxed atomics. */
struct ingest_shared {
    _Atomic int64_t connections[LISTENERS]; /* open ones over all loops: connections_max is of a listener */
    struct quota *quota;                    /* NULL: out of memory at the start, nothing is limited */
    struct mqtt_shared *mqtt;               /* NULL: no listener speaks MQTT */
};

struct ingest_options {
    struct ingest_shared *shared;
    struct ingest_settings *settings; /* taken by ingest_start(), whatever it returns */
    struct wakeup *settled_bell;      /* rung when new settings are in force here */
    const struct config *config;
    unsigned index; /* 0 .. loops - 1 */
    uint32_t shards;
    struct inlet *inlets; /* [shards]; sender_bell is `bell` */
    struct wakeup *bell;  /* polled by the loop: answers are back, or mail */
    struct mailbox *mailbox;
    struct foreign_inbox *foreign; /* borrowed */
    struct counters *counters;
    const struct node_state *node;
    struct sip_key reading_key; /* of reading_id */
    uint8_t identifier_key[32];
    int shared_ports[LISTENERS]; /* that loop 0 got, where the configuration says port 0; 0 on loop 0 */
};

struct ingest;

/* Binds (SO_REUSEPORT), loads certificates, starts the thread. */
MUST_CHECK enum err ingest_start(const struct ingest_options *options, struct ingest **ret_ingest);
/* The port bound; 0 when not open. */
int ingest_port(const struct ingest *ingest, enum ingest_listener listener);
/* Takes new settings (settings.h): in force from the loop's next turn on. Main alone. */
void ingest_reconfigure(struct ingest *ingest, struct ingest_settings *settings);
/* The generation of the settings in force here, certificates of open connections judged anew. Any thread. */
int64_t ingest_generation(const struct ingest *ingest);
/* Stops accepting, answers what is in flight (bounded), closes, joins. */
void ingest_stop(struct ingest *ingest);

#endif
