/* publisher: the sink that brings alert events to Kafka, INTERFACES.md section 5, PITFALLS K1 to K27.
 * The cursor (state_dir/kafka.cursor) moves only behind contiguous delivery reports; what is in doubt is
 * produced again with the same bytes and the same ce_id. Owner: service. Threads: its own; librdkafka's.
 * Fails: it never ends; without broker or topic it waits and says so. */
#ifndef VIGIE_ALERTING_PUBLISHER_H
#define VIGIE_ALERTING_PUBLISHER_H

#include "storage/loader.h"

struct publisher_options {
    const char *bootstrap, *topic; /* topic may contain {organization} */
    const char *const *extra;      /* "name", "value" pairs for librdkafka, NULL at the end */
    const char *node_name;         /* ce_source */
    const char *state_dir;
    uint32_t shards;
    struct journal **journals;
    const char *journal_directory;
    struct counters *counters;
    struct sink_figures *figures;
};

struct publisher;
MUST_CHECK enum err publisher_start(const struct publisher_options *options,
                                    struct publisher **ret_publisher);
void publisher_wake(struct publisher *publisher);
void publisher_stop(struct publisher *publisher);

#endif
