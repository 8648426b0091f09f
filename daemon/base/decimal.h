/* decimal: exact decimal numbers, RULES.md section 1.
 * A value is a signed 64-bit count of millionths. Text is converted once, rounded half to even; unit
 * conversion happens on the exact decimal before that one rounding. No floating point anywhere.
 * Threads: pure functions. */
#ifndef VIGIE_BASE_DECIMAL_H
#define VIGIE_BASE_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

enum { DECIMAL_ONE = 1000000 }; /* millionths in 1 */

/* y = (x * multiply + add) / divide in canonical units: all three are integers, exact. */
struct decimal_conversion {
    int64_t multiply, add, divide; /* divide > 0 */
};

/* Reads JSON number syntax (RFC 8259: -?int frac? exp?) of `size` bytes and converts.
 * ERR_FORMAT: not a number; ERR_LIMIT: exponent beyond +-18 or result beyond 64-bit millionths.
 * "1.10" is exactly 1.1, "-0" is 0. `conversion` may be NULL (identity). */
MUST_CHECK enum err decimal_parse(const char *text, size_t size, const struct decimal_conversion *conversion,
                                  int64_t *ret_millionths);

/* True when the text has at most six significant decimals after applying its exponent (rules refuse more). */
bool decimal_fits_six_places(const char *text, size_t size);

/* The text of digits * 10^-places, with every place: 7140 and 2 are "71.40"; returns its length, zero-ended.
 * At most DECIMAL_PLACES_MAX places; `out` holds DECIMAL_TEXT_MAX bytes. */
enum { DECIMAL_PLACES_MAX = 18, DECIMAL_TEXT_MAX = 24 };
size_t decimal_write(bool negative, uint64_t digits, unsigned places, char *out);

/* Shortest exact text, e.g. "71.4", "-0.5", "72"; returns its length. `out` holds DECIMAL_TEXT_MAX bytes. */
size_t decimal_format(int64_t millionths, char *out);

/* A number taken whole: mantissa x 10^-places, without the trailing zeros of its text. */
struct decimal_exact {
    int64_t mantissa;
    int places; /* -18..18 */
};

/* ERR_FORMAT: not a number; ERR_LIMIT: more than 18 significant digits, or places beyond +-18. */
MUST_CHECK enum err decimal_parse_exact(const char *text, size_t size, struct decimal_exact *ret);

enum { DECIMAL_LINE_MAX = 96 };
/* The text of origin + sample * factor, exact: for decimal_parse() to round once. ERR_LIMIT: beyond 38
 * digits. */
MUST_CHECK enum err decimal_line(const struct decimal_exact *origin, const struct decimal_exact *factor,
                                 const struct decimal_exact *sample, char out[DECIMAL_LINE_MAX],
                                 size_t *ret_size);

#endif
