/* shortest: the shortest decimal text that reads back as the same binary floating point number of that width:
 * what its sender saw. A half or a single of 71.4 is "71.4", not the seventeen digits of its nearest double.
 * Threads: pure functions. */
#ifndef VIGIE_BASE_SHORTEST_H
#define VIGIE_BASE_SHORTEST_H

#include <stddef.h>

enum shortest_width { SHORTEST_HALF, SHORTEST_SINGLE, SHORTEST_DOUBLE };

enum { SHORTEST_TEXT_MAX = 32 };

/* A number as JSON writes it; returns its length, zero-ended. `value` is finite and of that width. */
size_t shortest_format(double value, enum shortest_width width, char out[SHORTEST_TEXT_MAX]);

#endif
