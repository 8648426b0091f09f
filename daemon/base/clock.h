/* clock: the only file that asks the operating system for the time.
 * Callers read it once a turn and pass the value down, so that a simulator can own time. Threads: any. */
#ifndef VIGIE_BASE_CLOCK_H
#define VIGIE_BASE_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t clock_monotonic_ns(void);

/* Processor time of the calling thread in nanoseconds, for measurements. */
int64_t clock_thread_ns(void);

/* CLOCK_MONOTONIC in milliseconds. */
int64_t clock_monotonic_ms(void);

/* CLOCK_BOOTTIME in milliseconds. */
int64_t clock_since_boot_ms(void);

/* Wall clock, milliseconds since 1970-01-01T00:00:00Z. */
int64_t clock_wall_ms(void);

/* Sleeps; for threads of the control plane and programs only, never on the path of a reading. */
void clock_sleep_ms(int64_t ms);

#endif
