/* mqtt_shared: what the loops have in common for MQTT: the directory, and each other's boxes.
 * Owner:   service makes it before the loops and frees it after them.
 * Threads: any; the boxes as daemon/base/post.h says, the counts are relaxed atomics. */
#ifndef VIGIE_DAEMON_INGEST_MQTT_SHARED_H
#define VIGIE_DAEMON_INGEST_MQTT_SHARED_H

#include "daemon/base/limits.h"
#include "daemon/ingest/mqtt/mqtt_directory.h"

struct mqtt_error;

struct mqtt_shared {
    struct mqtt_directory *directory;
    unsigned loops;
    struct mqtt_error *sheets[LOOPS_MAX];    /* mqtt_errors.c; freed when all loops have ended */
    struct post_box box[LOOPS_MAX];          /* loop i empties box[i] */
    _Atomic uint32_t subscribers[LOOPS_MAX]; /* clients of loop i that want to hear of errors */
};

/* `bells`: of the loops, [loops]; borrowed like `keys`. */
MUST_CHECK enum err mqtt_shared_start(const char *state_dir, const struct cipher_keys *keys, unsigned loops,
                                      struct wakeup *bells, struct mqtt_shared **ret_shared);
void mqtt_shared_stop(struct mqtt_shared *shared); /* NULL is taken */

#endif
