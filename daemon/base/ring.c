/* ring: one producer, one consumer, no lock.
 *
 *        head                     tail
 *          v                        v
 *   |    | A  | B  | C  | D  |    |    |      head..tail-1 hold items; indices run free, slot = index & mask
 *
 * Which atomics pair:
 * - tail store (push) with tail load (pop): the item in the slot is visible before the index that covers it.
 * - head store (pop) with head load (push): the slot has been read before the producer may write it again.
 * - The bell. The producer stores tail, then loads head; the consumer stores head, then loads tail. All four
 *   are sequentially consistent, so that in their one total order either the producer sees the head of a
 *   consumer that has taken everything before its item (ret_was_empty: it rings), or the consumer sees the
 * new tail (it does not sleep). This is Dekker's pair; with weaker orders both could miss, and a reading
 * would wait in the ring until the next one comes. No fence stands alone: ThreadSanitizer understands every
 * edge. */
#include "daemon/base/ring.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { CACHE_LINE = 64 };

struct ring {
    alignas(CACHE_LINE) _Atomic size_t head; /* consumer writes; pairs with the loads in ring_push() */
    alignas(CACHE_LINE) _Atomic size_t tail; /* producer writes; pairs with the loads in ring_pop() */
    alignas(CACHE_LINE) size_t mask;         /* constant */
    void *slots[];
};

struct ring *ring_new(size_t capacity)
{
    ensure(capacity > 0 && (capacity & (capacity - 1)) == 0);
    size_t size = sizeof(struct ring) + capacity * sizeof(void *);
    size = (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    struct ring *ring = aligned_alloc(CACHE_LINE, size);
    if (ring == NULL)
        return NULL;
    atomic_init(&ring->head, 0);
    atomic_init(&ring->tail, 0);
    ring->mask = capacity - 1;
    return ring;
}

void ring_free(struct ring *ring)
{
    free(ring);
}

enum err ring_push(struct ring *ring, void *item, bool *ret_was_empty)
{
    ensure(item != NULL);
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed); /* ours alone */
    size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    ensure(tail - head <= ring->mask + 1);
    if (tail - head == ring->mask + 1)
        return ERR_FULL;
    ring->slots[tail & ring->mask] = item;
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_seq_cst);
    *ret_was_empty = atomic_load_explicit(&ring->head, memory_order_seq_cst) == tail;
    return OK;
}

void *ring_pop(struct ring *ring)
{
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed); /* ours alone */
    if (atomic_load_explicit(&ring->tail, memory_order_seq_cst) == head)
        return NULL;
    void *item = ring->slots[head & ring->mask];
    atomic_store_explicit(&ring->head, head + 1, memory_order_seq_cst);
    ensure(item != NULL);
    return item;
}

bool ring_is_empty(const struct ring *ring)
{
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    return atomic_load_explicit(&ring->tail, memory_order_seq_cst) == head;
}
