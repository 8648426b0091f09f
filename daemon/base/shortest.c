/* shortest: measured values have few decimals, so the decimals are tried one by one: with k places the only
 * candidate is n = round(x * 10^k), and it is the answer when n / 10^k reads back as x.
 *
 *   n < 2^51       x * 10^k is within 0.4 of n when n is right, so rounding finds it; and n, 10^k are exact
 *   k <= 12        n / 10^k is rounded once. For doubles that is how text is read. For halves and singles the
 *                  quotient is compared with the middle between x and its neighbours, a number of at most 25
 *                  bits: a quotient that rounds onto a middle without being it would need n > 2^53
 *
 * What has more digits or lies outside is left to the C library: it is right, slow, and rare. */
#include "daemon/base/shortest.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "daemon/base/decimal.h"

enum { PLACES_MAX = 12 };

static const double DIGITS_MAX = 2251799813685248; /* 2^51 */

static const struct form {
    int bits, exponent_min; /* of the least number, as frexp() has it, that is not subnormal */
    const char *formats[5]; /* ends with NULL: from the digits that every decimal survives to those that every
                               number needs */
} forms[] = {
    [SHORTEST_HALF] = {11, -13, {"%.3g", "%.4g", "%.5g"}},
    [SHORTEST_SINGLE] = {24, -125, {"%.6g", "%.7g", "%.8g", "%.9g"}},
    [SHORTEST_DOUBLE] = {53, -1021, {"%.15g", "%.16g", "%.17g"}},
};

/* Strictly between the middles; a decimal that hits one is passed over, which costs a digit at worst. */
static bool reads_back(double decimal, double magnitude, enum shortest_width width)
{
    const struct form *form = &forms[width];
    int exponent;
    if (width == SHORTEST_DOUBLE)
        return decimal == magnitude;
    bool is_power = frexp(magnitude, &exponent) == 0.5 && exponent > form->exponent_min;
    if (exponent < form->exponent_min)
        exponent = form->exponent_min;
    double above = ldexp(1, exponent - form->bits - 1), below = is_power ? above / 2 : above;
    return decimal > magnitude - below && decimal < magnitude + above;
}

static size_t format_any(double value, enum shortest_width width, char *out)
{
    const char *const *format = forms[width].formats;
    size_t size;
    do {
        size = (size_t)strfromd(out, SHORTEST_TEXT_MAX, *format, value);
        ensure(size < SHORTEST_TEXT_MAX);
    } while (*++format != NULL && !reads_back(fabs(strtod(out, NULL)), fabs(value), width));
    return size;
}

size_t shortest_format(double value, enum shortest_width width, char out[SHORTEST_TEXT_MAX])
{
    double magnitude = fabs(value), scale = 1;
    ensure(isfinite(value));
    for (unsigned places = 0; places <= PLACES_MAX && magnitude * scale < DIGITS_MAX; places++, scale *= 10) {
        double digits = floor(magnitude * scale + 0.5);
        if (reads_back(digits / scale, magnitude, width) || magnitude == 0)
            return decimal_write(signbit(value) != 0, (uint64_t)digits, places, out);
    }
    return format_any(value, width, out);
}
