/* publisher: the sink that brings alert events to Kafka, INTERFACES.md section 5, PITFALLS K1 to K27.
 * The cursor (state_dir/kafka.cursor) moves only behind contiguous delivery reports; what is in doubt is
 * produced again with the same bytes and the same ce_id. What the journal has no more comes from
 * vigie.alert_event. An organisation whose topic is missing waits alone; an event that the brokers refuse for
 * its size is parked alone.
 * Owner:   service. Threads: its own and a helper's (publisher_archive.h); librdkafka's.
 * Fails:   it never ends; without broker, topic or PostgreSQL it waits and says so. */
#ifndef VIGIE_ALERTING_PUBLISHER_H
#define VIGIE_ALERTING_PUBLISHER_H

#include "storage/loader.h"

/* What others read of the publisher, beside sink_figures. */
struct publisher_figures {
    _Atomic bool broker_reachable;
    _Atomic uint32_t topics_missing; /* topics that events wait for */
    _Atomic uint32_t parked;         /* events that the brokers refuse for their size; PostgreSQL has them */
    _Atomic uint32_t generation;     /* producers made since the start; more than 1: some were thrown away */
    _Atomic uint32_t archived;       /* shards that go on from vigie.alert_event */
    _Atomic bool archive_away;       /* and PostgreSQL does not answer */
};

struct publisher_options {
    const char *bootstrap, *topic; /* topic may contain {organization} */
    const char *const *extra;      /* "name", "value" pairs for librdkafka, NULL at the end */
    const char *node_name;         /* ce_source */
    const char *state_dir;
    const char *conninfo; /* PostgreSQL, for what the journal has no more */
    uint64_t node;        /* journal_cursor.node */
    uint32_t shards;
    struct journal **journals;
    const char *journal_directory;
    struct counters *counters;
    struct sink_figures *figures;
    struct publisher_figures *more;
};

struct publisher;
MUST_CHECK enum err publisher_start(const struct publisher_options *options,
                                    struct publisher **ret_publisher);
void publisher_wake(struct publisher *publisher);
void publisher_stop(struct publisher *publisher);

#endif
