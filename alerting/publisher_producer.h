/* publisher_producer: one librdkafka producer with its topics, as the publisher needs it: it can be thrown
 * away and made anew at any time (PITFALLS K6), and says why it should be. Owner:   the publisher. Threads:
 * the publisher's; librdkafka's own end in producer_serve(). Holds:   reports, errors and log lines reach the
 * caller from producer_serve() and producer_flush() alone (PITFALLS K2, K16). Bytes are copied by send. */
#ifndef VIGIE_ALERTING_PUBLISHER_PRODUCER_H
#define VIGIE_ALERTING_PUBLISHER_PRODUCER_H

#include "alerting/kafka_conf.h"
#include "alerting/publisher_flight.h"
#include "daemon/base/counters.h"
#include "daemon/model/alert_event.h"

struct producer;

struct producer_options {
    struct kafka_endpoint endpoint;
    const char *topic;  /* may contain {organization} */
    const char *source; /* ce_source */
    int bell_fd;        /* eventfd rung when there is something to serve */
    struct counters *counters;
    void (*delivered)(void *context, struct flight *flight);
    void *context;
};

MUST_CHECK enum err producer_new(const struct producer_options *options, struct producer **ret_producer,
                                 char fault[KAFKA_FAULT_MAX]);
/* Takes back whatever was not reported: the journal has it. */
void producer_free(struct producer *producer);

/* Serves all that is due. */
void producer_serve(struct producer *producer);
/* Waits for reports, bounded (PITFALLS K12). */
void producer_flush(struct producer *producer, int timeout_ms);

/* ERR_NOT_FOUND: the topic of this event is not there; ERR_UNAVAILABLE: no broker answers. Asks the broker
 * once for each topic, waiting at most a second. `event` NULL: the topic when it is no template, else the
 * brokers. */
MUST_CHECK enum err producer_probe(struct producer *producer, const struct alert_event *event);
/* Partitions of the one topic, 0: template, or not seen yet. */
uint32_t producer_partitions(const struct producer *producer);

/* Hands an event over; its topic was probed. ERR_FULL: later again, the same event (PITFALLS K1). */
MUST_CHECK enum err producer_send(struct producer *producer, const struct alert_event *event,
                                  const char *json, uint32_t json_size, struct flight *flight);

/* Not NULL: this producer will not deliver all it was given; throw it away and send again from the cursor. */
const char *producer_failure(const struct producer *producer);
/* False between "all brokers down" and the next report or answer. */
bool producer_is_connected(const struct producer *producer);

#endif
