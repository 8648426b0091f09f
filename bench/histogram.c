/* histogram: see the header. */
#include "bench/histogram.h"

static unsigned index_of(uint64_t us)
{
    if (us < LATENCY_STEPS)
        return (unsigned)us;
    unsigned octave = 63 - (unsigned)__builtin_clzll(us); /* >= 5 */
    unsigned step = (unsigned)(us >> (octave - 5)) & (LATENCY_STEPS - 1);
    unsigned index = (octave - 4) * LATENCY_STEPS + step;
    return index < LATENCY_OCTAVES * LATENCY_STEPS ? index : LATENCY_OCTAVES * LATENCY_STEPS - 1;
}

static uint64_t upper_bound_us(unsigned index)
{
    if (index < LATENCY_STEPS)
        return index;
    unsigned octave = index / LATENCY_STEPS + 4, step = index % LATENCY_STEPS;
    return ((uint64_t)(LATENCY_STEPS + step + 1) << (octave - 5)) - 1;
}

void latencies_add(struct latencies *latencies, uint64_t us)
{
    latencies->count[index_of(us)]++;
    latencies->total++;
    if (us > latencies->max_us)
        latencies->max_us = us;
}

uint64_t latencies_quantile_us(const struct latencies *latencies, unsigned permille)
{
    uint64_t wanted = (latencies->total * permille + 999) / 1000, seen = 0;
    for (unsigned i = 0; i < LATENCY_OCTAVES * LATENCY_STEPS && wanted > 0; i++) {
        seen += latencies->count[i];
        if (seen >= wanted)
            return upper_bound_us(i) < latencies->max_us ? upper_bound_us(i) : latencies->max_us;
    }
    return 0;
}
