/* ring: bounded single-producer single-consumer queue of pointers.
 * Owner:   whoever calls ring_new() frees it; producer and consumer only borrow it.
 * Threads: ring_push() on one thread alone, ring_pop() on one other alone.
 * Holds:   tail - head <= capacity; capacity is a power of two; indices run free and wrap.
 * Fails:   ring_push() returns ERR_FULL and moves nothing; nothing else can fail. */
#ifndef VIGIE_BASE_RING_H
#define VIGIE_BASE_RING_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/err.h"

struct ring;

/* A ring of `capacity` slots (a power of two); gives it. NULL without memory. */
struct ring *ring_new(size_t capacity);
void ring_free(struct ring *ring);

/* Producer: enqueues `item` (not NULL). *ret_was_empty tells whether the consumer may be asleep, so that
 * the caller rings its wake-up. */
MUST_CHECK enum err ring_push(struct ring *ring, void *item, bool *ret_was_empty);

/* Consumer: the oldest item, NULL when the ring is empty. */
void *ring_pop(struct ring *ring);

/* Consumer: true when a pop would give NULL. */
bool ring_is_empty(const struct ring *ring);

#endif
