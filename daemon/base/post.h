/* post: a box into which any thread drops letters that lie in their senders, and which one thread empties.
 * Owner:   letters belong to whoever wrote them and are lent until they come back; the box lies in its
 * holder. Threads: post_send() from any; post_take() on the box's thread alone. Holds:   letters of one
 * sender come out in the order in which they were sent; a letter is in one box at a time. Fails:   nothing: a
 * box has no capacity. Whoever sends has a bounded number of letters. */
#ifndef VIGIE_BASE_POST_H
#define VIGIE_BASE_POST_H

#include <stdatomic.h>
#include <stddef.h>

#include "daemon/base/wakeup.h"

struct letter {
    struct letter *next;
    int kind; /* between sender and box */
};

struct post_box {
    _Atomic(struct letter *) newest; /* senders push (release), the owner takes all (acquire) */
    struct wakeup *bell;             /* borrowed */
};

static inline void post_send(struct post_box *box, struct letter *letter)
{
    struct letter *newest = atomic_load_explicit(&box->newest, memory_order_relaxed);
    do
        letter->next = newest;
    while (!atomic_compare_exchange_weak_explicit(&box->newest, &newest, letter, memory_order_release,
                                                  memory_order_relaxed));
    if (newest == NULL)
        wakeup_ring(box->bell);
}

/* All letters, the oldest first; NULL without. */
static inline struct letter *post_take(struct post_box *box)
{
    struct letter *letter = atomic_exchange_explicit(&box->newest, NULL, memory_order_acquire),
                  *oldest = NULL;
    while (letter != NULL) {
        struct letter *next = letter->next;
        letter->next = oldest;
        oldest = letter;
        letter = next;
    }
    return oldest;
}

#endif
