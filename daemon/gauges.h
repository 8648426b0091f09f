/* gauges: the figures of the node that are no thread's counter, for /metrics: a table of rows.
 * Owner:   the caller lends the array. Threads: the loop of main. Fails: never. */
#ifndef VIGIE_DAEMON_GAUGES_H
#define VIGIE_DAEMON_GAUGES_H

#include "daemon/service_internal.h"

enum { GAUGES_MAX = 24 };

/* Returns how many were written. Rows of one name stand together. */
size_t gauges_read(const struct service *service, struct metrics_gauge gauges[GAUGES_MAX]);

#endif
