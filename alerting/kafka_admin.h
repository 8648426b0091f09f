/* kafka_admin: looks at and makes the topic, for `vigiectl kafka check|create`. vigied never makes one.
 * Threads: the caller's; calls wait for the broker up to `timeout_ms`.
 * Fails:   with a sentence in `fault`: ERR_UNAVAILABLE without broker, ERR_EXISTS, ERR_CONFIG, ERR_REFUSED.
 */
#ifndef VIGIE_ALERTING_KAFKA_ADMIN_H
#define VIGIE_ALERTING_KAFKA_ADMIN_H

#include "alerting/kafka_conf.h"

struct kafka_topic {
    bool exists;
    int partitions;
    int replication;    /* the least of its partitions */
    int without_leader; /* partitions that nobody serves now */
    int brokers;
};

MUST_CHECK enum err kafka_topic_check(const struct kafka_endpoint *endpoint, const char *topic,
                                      int timeout_ms, struct kafka_topic *ret_topic,
                                      char fault[KAFKA_FAULT_MAX]);

struct kafka_topic_wish {
    const char *topic;
    int partitions, replication; /* 12 and 1 unless the operator says otherwise */
};
MUST_CHECK enum err kafka_topic_create(const struct kafka_endpoint *endpoint,
                                       const struct kafka_topic_wish *wish, int timeout_ms,
                                       char fault[KAFKA_FAULT_MAX]);

#endif
