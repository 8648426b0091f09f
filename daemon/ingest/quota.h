/* quota: how much a source may send in a second, over all loops; off unless configured.
 * A bucket holds one second's worth. A message is let in while the bucket is not empty and may then overdraw
 * it: a backlog of many readings in one message goes through, and what follows waits for it to be paid.
 * Owner:   service makes one for all loops. Threads: any; a bucket is one atomic a figure, no lock.
 * Holds:   a source beyond QUOTA_SOURCES_MAX is not limited: refusing readings by mistake would be worse. */
#ifndef VIGIE_DAEMON_INGEST_QUOTA_H
#define VIGIE_DAEMON_INGEST_QUOTA_H

#include <stdint.h>

struct quota;

struct quota_rates {
    int64_t messages, readings; /* a second and source; 0: unlimited */
};

enum { QUOTA_SOURCES_MAX = 1 << 17 }; /* 3 MB of untouched pages until quotas are in use */

struct quota *quota_new(void); /* NULL without memory */
void quota_free(struct quota *quota);

/* Takes one message of the source; 0: it may come in, else the seconds after which to try again. */
unsigned quota_take_message(struct quota *quota, const struct quota_rates *rates, int64_t source_id,
                            int64_t now_ns);
/* Charges the readings of a message that came in. */
void quota_charge_readings(struct quota *quota, const struct quota_rates *rates, int64_t source_id,
                           int64_t readings, int64_t now_ns);

#endif
