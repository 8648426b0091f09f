/* publisher_producer: one librdkafka producer with its topics, as the publisher needs it: it can be thrown
 * away and made anew at any time (PITFALLS K6), and says why it should be.
 * Owner:   the publisher. Threads: the publisher's; librdkafka's own end in producer_serve().
 * Holds:   reports, errors and log lines reach the caller from producer_serve() and producer_flush() alone
 *          (PITFALLS K2, K16). Bytes are copied by send. Metadata, topics and the queue are given back before
 *          the handle (PITFALLS K14). An idle producer may be forgotten by the brokers (PITFALLS K8): then it
 *          turns fatal with the next event and is made anew, no heartbeat record is needed. */
#ifndef VIGIE_ALERTING_PUBLISHER_PRODUCER_H
#define VIGIE_ALERTING_PUBLISHER_PRODUCER_H

#include "alerting/kafka_conf.h"
#include "alerting/publisher_flight.h"
#include "daemon/base/counters.h"
#include "daemon/model/alert_event.h"

struct producer;

struct producer_options {
    struct kafka_endpoint endpoint;
    const char *source; /* ce_source */
    bool alone;         /* each event in a batch of its own: a report then names the one that is refused */
    int bell_fd;        /* eventfd rung when there is something to serve */
    struct counters *counters;
    void (*delivered)(void *context, struct flight *flight);
    /* Refused for good, for its size or content, by the brokers; with `alone` false perhaps only for its
     * company. */
    void (*refused)(void *context, struct flight *flight, const char *why);
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

/* ERR_NOT_FOUND: the topic is not there, or not for us; ERR_UNAVAILABLE: no broker answers. Asks the brokers
 * once for each topic, waiting at most a second. NULL: for a broker alone. */
MUST_CHECK enum err producer_probe(struct producer *producer, const char *topic);
/* As the brokers said when they were last asked for a topic; 0: not yet. */
uint32_t producer_partitions(const struct producer *producer);

/* Hands an event over; its topic was probed. ERR_FULL: later again, the same event (PITFALLS K1). ERR_LIMIT:
 * librdkafka itself refuses its size. */
struct producer_event {
    const char *topic;
    const struct alert_event *head;
    const char *json;
    uint32_t json_size;
};
MUST_CHECK enum err producer_send(struct producer *producer, const struct producer_event *event,
                                  struct flight *flight);

/* Not NULL: this producer will not deliver all it was given; throw it away and send again from the cursor. */
const char *producer_failure(const struct producer *producer);
/* False between "all brokers down" and the next report or answer. */
bool producer_is_connected(const struct producer *producer);

#endif
