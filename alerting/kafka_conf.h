/* kafka_conf: how we speak to Kafka: the properties that our promises rest on, and the operator's own.
 * Owner:   kafka_conf_new() gives; rd_kafka_new() takes. Threads: the caller's.
 * Fails:   ERR_CONFIG with what librdkafka said in `fault`. */
#ifndef VIGIE_ALERTING_KAFKA_CONF_H
#define VIGIE_ALERTING_KAFKA_CONF_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

#include "daemon/base/err.h"

enum { KAFKA_FAULT_MAX = 512 };

struct kafka_endpoint {
    const char *bootstrap;    /* HOST:PORT,...; "" when the operator's own properties name the brokers */
    const char *const *extra; /* "name", "value" pairs of librdkafka, NULL at the end; may be NULL */
};

/* True when anything names a broker. */
bool kafka_conf_names_broker(const struct kafka_endpoint *endpoint);

/* For a producer whose delivery reports move a cursor; `producer` false: for an administrator. */
MUST_CHECK enum err kafka_conf_new(const struct kafka_endpoint *endpoint, bool producer,
                                   rd_kafka_conf_t **ret_conf, char fault[KAFKA_FAULT_MAX]);

/* What `--check` asks: librdkafka takes every property; OK also without any broker named. */
MUST_CHECK enum err kafka_conf_check(const struct kafka_endpoint *endpoint, char fault[KAFKA_FAULT_MAX]);

#endif
