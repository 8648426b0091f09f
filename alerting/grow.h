/* grow: room in an array that doubles, so that growth costs nothing when amortised. All memory of the engine
 * comes from the slab of the thread that calls it (daemon/base/slab.h): the shard's while it decides and
 * while it recovers; malloc() where none is in use. Threads: pure functions. */
#ifndef VIGIE_ALERTING_GROW_H
#define VIGIE_ALERTING_GROW_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "daemon/base/ensure.h"
#include "daemon/base/slab.h"

/* `items` with room for `need` items of `size` bytes; *capacity follows. Call as: x = grow(x, n, &c, sizeof
 * *x). */
static inline void *grow(void *items, size_t need, size_t *capacity, size_t size)
{
    if (need <= *capacity)
        return items;
    size_t wanted = *capacity < 2 ? 2 : *capacity * 2;
    wanted = wanted < need ? need : wanted;
    *capacity = slab_fit(wanted * size) / size; /* what the block has anyway */
    return slab_resize(items, *capacity * size);
}

/* The same for the short arrays that every patient has, which grow by what their block has anyway. */
static inline void *grow_short(void *items, size_t need, uint32_t *capacity, size_t size)
{
    if (need <= *capacity)
        return items;
    size_t fit = slab_fit((need <= 32 ? need : need + need / 2) * size) / size;
    ensure(fit <= UINT32_MAX);
    *capacity = (uint32_t)fit;
    return slab_resize(items, fit * size);
}

static inline void *zeroed(size_t size)
{
    return slab_take_zeroed(size);
}

/* Copies a text into an array of `size` bytes that holds it. */
static inline void copy_text(char *to, size_t size, const char *from)
{
    size_t length = strlen(from);
    ensure(length < size);
    memcpy(to, from, length + 1);
}

static inline char *copied(const char *text)
{
    return slab_take_text(text == NULL ? "" : text);
}

#endif
