/* histogram: latencies in microseconds, log-linear: 32 steps an octave, so a quantile is good to 3 %.
 * Owner: its holder. Threads: one at a time. */
#ifndef VIGIE_BENCH_HISTOGRAM_H
#define VIGIE_BENCH_HISTOGRAM_H

#include <stdint.h>

enum { LATENCY_STEPS = 32, LATENCY_OCTAVES = 36 };

struct latencies {
    uint64_t count[LATENCY_OCTAVES * LATENCY_STEPS];
    uint64_t total, max_us;
};

void latencies_add(struct latencies *latencies, uint64_t us);
/* The value that `permille` thousandths are at or below, e.g. 999 for p99.9; 0 when empty. */
uint64_t latencies_quantile_us(const struct latencies *latencies, unsigned permille);

#endif
