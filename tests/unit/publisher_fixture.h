/* publisher_fixture: librdkafka's mock cluster, two journals and a publisher, for the suites that need them.
 * test_publisher.c has the bodies, and takes over what makes producers and threads, to count and to refuse.
 */
#ifndef VIGIE_TESTS_PUBLISHER_FIXTURE_H
#define VIGIE_TESTS_PUBLISHER_FIXTURE_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "alerting/publisher.h"
#include "daemon/model/alert_event.h"

enum { CLUSTER_SHARDS = 2, CLUSTER_PARTITIONS = 3 };

struct cluster_fixture {
    char state_dir[96], journal_directory[128];
    rd_kafka_t *owner;
    rd_kafka_mock_cluster_t *cluster;
    const char *bootstrap, *topic;
    struct journal *journals[CLUSTER_SHARDS];
    struct counters *counters;
    struct sink_figures figures;
    struct publisher_figures more;
    struct publisher *publisher;
    uint32_t written; /* events, over all shards */
};

extern _Atomic int cluster_producers_made;    /* but the mock cluster's own */
extern _Atomic int cluster_producers_refused; /* so many of the next are not made */
extern _Atomic int cluster_threads_refused;
void cluster_make_fatal(void); /* the producer that is polled next */
/* What librdkafka would log, or tell as an error, to the publisher's producers. */
void cluster_says(const char *text);
void cluster_errs(struct cluster_fixture *fixture, int code, const char *reason, void *producer);

void cluster_remove_tree(const char *path);
void cluster_setup(struct cluster_fixture *fixture, const char *topic, bool make_topic);
void cluster_teardown(struct cluster_fixture *fixture);
void cluster_set_missing(struct cluster_fixture *fixture, const char *topic, bool missing);
void publisher_begin(struct cluster_fixture *fixture);
void publisher_end(struct cluster_fixture *fixture);

/* Serials go on; even ones are CHU-X's in shard 0, odd ones A/B's in shard 1. */
void cluster_make_event(uint32_t serial, struct alert_event *event, char json[256]);
void cluster_write(struct cluster_fixture *fixture, uint32_t count);
bool cluster_delivers(struct cluster_fixture *fixture, uint64_t wanted);
bool cluster_lag_becomes(struct cluster_fixture *fixture, uint64_t wanted);
void cluster_expect_all(struct cluster_fixture *fixture, uint32_t count, bool once);

#endif
