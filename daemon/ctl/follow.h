/* follow: prints alert events as they arrive on the topic, from its end on, until interrupted.
 * Owner:   the call. Threads: one, and librdkafka's. Fails:   with an error line and its exit status. */
#ifndef VIGIE_DAEMON_CTL_FOLLOW_H
#define VIGIE_DAEMON_CTL_FOLLOW_H

#include "daemon/ctl/ctl.h"

struct follow_options {
    const char *patient; /* NULL: everybody */
    bool open, json;     /* open: events that leave their episode open */
};

int follow_alerts(const struct ctl *ctl, const struct follow_options *options);

#endif
