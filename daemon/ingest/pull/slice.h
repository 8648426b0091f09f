/* slice: comparisons of texts that are borrowed and not zero-ended. Threads: pure functions. */
#ifndef VIGIE_INGEST_SLICE_H
#define VIGIE_INGEST_SLICE_H

#include <stdbool.h>
#include <string.h>

#include "daemon/model/reading.h"

static inline bool slice_is(struct slice slice, const char *text)
{
    size_t size = strlen(text);
    return slice.size == size && (size == 0 || memcmp(slice.data, text, size) == 0);
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

#endif
