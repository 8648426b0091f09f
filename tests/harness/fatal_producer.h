/* fatal_producer: makes a librdkafka producer fatal (PITFALLS K6), for programs of the tests: rd_kafka_poll()
 * is taken over here, by the linker. The publisher destroys a fatal producer at once, so librdkafka's own
 * hook has to be called on the publisher's thread: nobody else may be inside of the handle. One file of a
 * program includes this. */
#ifndef VIGIE_TESTS_FATAL_PRODUCER_H
#define VIGIE_TESTS_FATAL_PRODUCER_H

#include <dlfcn.h>
#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdbool.h>

static _Atomic bool fatal_wanted; /* set: at the next poll */

int rd_kafka_poll(rd_kafka_t *handle, int timeout_ms)
{
    int (*real)(rd_kafka_t *, int);
    *(void **)&real = dlsym(RTLD_NEXT, "rd_kafka_poll");
    if (atomic_exchange(&fatal_wanted, false))
        rd_kafka_test_fatal_error(handle, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "as a test");
    return real(handle, timeout_ms);
}

#endif
