/* grow: room in an array that doubles, so that growth costs nothing when amortised. Memory is ensure():
 * without it the process cannot go on honestly. Threads: pure functions. */
#ifndef VIGIE_ALERTING_GROW_H
#define VIGIE_ALERTING_GROW_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ensure.h"

/* `items` with room for `need` items of `size` bytes; *capacity follows. Call as: x = grow(x, n, &c, sizeof
 * *x). */
static inline void *grow(void *items, size_t need, size_t *capacity, size_t size)
{
    if (need <= *capacity)
        return items;
    size_t wanted = *capacity < 4 ? 4 : *capacity * 2;
    *capacity = wanted < need ? need : wanted;
    void *grown = realloc(items, *capacity * size);
    ensure(grown != NULL);
    return grown;
}

static inline void *zeroed(size_t size)
{
    void *memory = calloc(1, size);
    ensure(memory != NULL);
    return memory;
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
    char *copy = strdup(text == NULL ? "" : text);
    ensure(copy != NULL);
    return copy;
}

#endif
