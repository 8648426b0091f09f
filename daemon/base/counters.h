/* counters: per-thread figures that others read, made from the rows below; `/metrics` sums them.
 * Owner:   service makes one block per thread. Threads: one writer (plain relaxed adds), any readers.
 * Holds:   counters only grow; gauges are set. Histograms count by powers of two of nanoseconds. */
#ifndef VIGIE_BASE_COUNTERS_H
#define VIGIE_BASE_COUNTERS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/heartbeat.h"

#define COUNTER_ROWS(COUNTER)                                                                                \
    COUNTER(READINGS_ACCEPTED)                                                                               \
    COUNTER(READINGS_DUPLICATE)                                                                              \
    COUNTER(READINGS_QUARANTINED)                                                                            \
    COUNTER(READINGS_REJECTED)                                                                               \
    COUNTER(READINGS_LATE_UNJUDGED)                                                                          \
    COUNTER(MESSAGES)                                                                                        \
    COUNTER(CONNECTIONS_OPENED)                                                                              \
    COUNTER(CONNECTIONS_CLOSED)                                                                              \
    COUNTER(HANDSHAKES_FAILED)                                                                               \
    COUNTER(CONNECTIONS_PAUSED)                                                                              \
    COUNTER(CONNECTIONS_REFUSED)                                                                             \
    COUNTER(CONNECTIONS_SHED)                                                                                \
    COUNTER(CERTIFICATES_REFUSED)                                                                            \
    COUNTER(FOREIGN_DEVICE)                                                                                  \
    COUNTER(FOREIGN_PATIENT)                                                                                 \
    COUNTER(FOREIGN_DEVICE_ELSEWHERE)                                                                        \
    COUNTER(FOREIGN_PATIENT_ELSEWHERE)                                                                       \
    COUNTER(FOREIGN_MISMATCH)                                                                                \
    COUNTER(DEVICE_CLOCK_FAULTS)                                                                             \
    COUNTER(QUOTA_REFUSALS)                                                                                  \
    COUNTER(HL7_ROWS_SKIPPED)                                                                                \
    COUNTER(HL7_UNANSWERED)                                                                                  \
    COUNTER(MLLP_BROKEN)                                                                                     \
    COUNTER(MLLP_STRANGERS)                                                                                  \
    COUNTER(MQTT_REFUSED)                                                                                    \
    COUNTER(MQTT_FAULTS)                                                                                     \
    COUNTER(MQTT_TAKEOVERS)                                                                                  \
    COUNTER(MQTT_SILENT)                                                                                     \
    COUNTER(MQTT_UNACKNOWLEDGED)                                                                             \
    COUNTER(MQTT_DROPPED)                                                                                    \
    COUNTER(MQTT_ERRORS_SENT)                                                                                \
    COUNTER(MQTT_ERRORS_LOST)                                                                                \
    COUNTER(TURNS)                                                                                           \
    COUNTER(SINK_RECORDS)                                                                                    \
    COUNTER(SINK_ERRORS)

enum counter_id {
#define COUNTER_ENUM(id) COUNTER_##id,
    COUNTER_ROWS(COUNTER_ENUM)
#undef COUNTER_ENUM
        COUNTER_COUNT
};

#define HISTOGRAM_ROWS(HISTOGRAM)                                                                            \
    HISTOGRAM(ACK) HISTOGRAM(SYNC) HISTOGRAM(DELIVERY) HISTOGRAM(SILENCE_LATENESS)
enum histogram_id {
#define HISTOGRAM_ENUM(id) HISTOGRAM_##id,
    HISTOGRAM_ROWS(HISTOGRAM_ENUM)
#undef HISTOGRAM_ENUM
        HISTOGRAM_COUNT
};

enum { HISTOGRAM_BUCKETS = 40 }; /* bucket b holds values below 2^b microseconds, the last the rest */

struct histogram {
    _Atomic uint64_t bucket[HISTOGRAM_BUCKETS], sum_us;
};

enum { PRIORITIES = 4, EVENT_KINDS = 14 };

struct counters {
    _Alignas(64) _Atomic uint64_t value[COUNTER_COUNT];
    struct histogram histogram[HISTOGRAM_COUNT];
    _Atomic uint64_t alerts[EVENT_KINDS][PRIORITIES]; /* events decided, by kind and priority */
    _Atomic uint32_t unconfirmed; /* patients of the shard whom rules do not watch, as of its last turn */
    struct heartbeat heartbeat;   /* of the thread: read by the watchdog */
};

static inline void counter_add(struct counters *counters, enum counter_id id, uint64_t amount)
{
    uint64_t old = atomic_load_explicit(&counters->value[id], memory_order_relaxed);
    atomic_store_explicit(&counters->value[id], old + amount, memory_order_relaxed);
}

static inline void histogram_add_us(struct histogram *histogram, uint64_t us)
{
    unsigned index = us < 2 ? (unsigned)us : 64 - (unsigned)__builtin_clzll(us);
    if (index >= HISTOGRAM_BUCKETS)
        index = HISTOGRAM_BUCKETS - 1;
    uint64_t old = atomic_load_explicit(&histogram->bucket[index], memory_order_relaxed);
    atomic_store_explicit(&histogram->bucket[index], old + 1, memory_order_relaxed);
    old = atomic_load_explicit(&histogram->sum_us, memory_order_relaxed);
    atomic_store_explicit(&histogram->sum_us, old + us, memory_order_relaxed);
}

#endif
