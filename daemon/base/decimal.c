/* decimal: from number text to exact millionths, and back.
 *
 * A number's digits are one stream with a decimal point at index `point` (the exponent only moves it):
 *
 *     185.25e-1   digits 1 8 5 2 5, point 2           x = 18.525
 *
 * Its first PLACES fractional digits and everything before are one integer m < 10^28; what follows is the
 * rest. With y = (x * multiply + add) / divide, in millionths:
 *
 *     N = m * multiply + add * 10^PLACES             (< 10^38: fits 128 bits)
 *     D = divide * 10^(PLACES - 6)
 *     floor(N / D) = q, and y is in [q, q + 1) or, through the rest, a little beyond
 *
 * Whether the rest lifts y to the half between q and q + 1 is settled exactly, however long the text is: the
 * half as a number in the sent unit is a fraction A / B, its digits come from long division, and they are
 * compared with the digits of the text one by one. So forty digits, or forty thousand, round as they must. */
#include "daemon/base/decimal.h"

#include <string.h>

typedef __int128 wide;

enum { PLACES = 10, EXPONENT_MAX = 18, FACTOR_MAX = 100000000, RATIO_MAX = 5000, INVERSE_RATIO_MAX = 100000 };

static const int64_t POWER_PLACES = 10000000000;
static const int64_t INTEGER_MAX =
    1000000000000000000; /* x from here on is beyond 64-bit millionths of any unit */

struct number {
    const char *integer, *fraction;
    size_t integer_size, fraction_size;
    int64_t point; /* digits before the decimal point; may be negative or beyond the last digit */
    int exponent;
    bool negative;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t count_digits(const char *at, const char *end)
{
    const char *start = at;
    while (at < end && is_digit(*at))
        at++;
    return (size_t)(at - start);
}

/* exp = ("e" / "E") ["+" / "-"] 1*DIGIT; saturates, because only its excess matters. */
static const char *scan_exponent(const char *at, const char *end, int *ret_exponent)
{
    bool negative = false;
    int exponent = 0;

    at++;
    if (at < end && (*at == '+' || *at == '-'))
        negative = *at++ == '-';
    if (at == end || !is_digit(*at))
        return NULL;
    for (; at < end && is_digit(*at); at++)
        exponent = exponent > EXPONENT_MAX ? exponent : exponent * 10 + (*at - '0');
    *ret_exponent = negative ? -exponent : exponent;
    return at;
}

static enum err scan(const char *text, size_t size, struct number *number)
{
    const char *at = text, *end = text + size;

    *number = (struct number){.negative = size > 0 && *at == '-'};
    at += number->negative;
    number->integer = at;
    number->integer_size = count_digits(at, end);
    at += number->integer_size;
    if (number->integer_size == 0 || (number->integer_size > 1 && *number->integer == '0'))
        return ERR_FORMAT;
    number->fraction = at;
    if (at < end && *at == '.') {
        number->fraction = ++at;
        number->fraction_size = count_digits(at, end);
        at += number->fraction_size;
        if (number->fraction_size == 0)
            return ERR_FORMAT;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at = scan_exponent(at, end, &number->exponent);
        if (at == NULL)
            return ERR_FORMAT;
    }
    number->point = (int64_t)number->integer_size + number->exponent;
    return at == end ? OK : ERR_FORMAT;
}

static int digit_at(const struct number *number, int64_t index)
{
    if (index < 0 || index >= (int64_t)(number->integer_size + number->fraction_size))
        return 0;
    if (index < (int64_t)number->integer_size)
        return number->integer[index] - '0';
    return number->fraction[index - (int64_t)number->integer_size] - '0';
}

/* m: all digits up to PLACES behind the point. */
static enum err collect(const struct number *number, wide *ret_m)
{
    wide m = 0;
    int64_t index = number->point < 0 ? number->point : 0;

    for (; index < number->point; index++) {
        m = m * 10 + digit_at(number, index);
        if (m >= INTEGER_MAX)
            return ERR_LIMIT;
    }
    for (; index < number->point + PLACES; index++)
        m = m * 10 + digit_at(number, index);
    *ret_m = m;
    return OK;
}

static bool has_rest(const struct number *number)
{
    int64_t count = (int64_t)(number->integer_size + number->fraction_size);
    for (int64_t index = number->point + PLACES < 0 ? 0 : number->point + PLACES; index < count; index++)
        if (digit_at(number, index) != 0)
            return true;
    return false;
}

/* The number against the fraction whose digits up to PLACES it shares: `remainder` / `divisor` is what
 * follows. */
static int compare_rest(const struct number *number, wide remainder, wide divisor)
{
    int64_t count = (int64_t)(number->integer_size + number->fraction_size);
    for (int64_t index = number->point + PLACES; index < count; index++) {
        remainder *= 10;
        int difference = digit_at(number, index) - (int)(remainder / divisor);
        if (difference != 0)
            return difference;
        remainder %= divisor;
    }
    return remainder == 0 ? 0 : -1;
}

/* Sign of y - (q + 1/2), all in millionths. */
static int compare_half(const struct number *number, wide m, wide q,
                        const struct decimal_conversion *conversion)
{
    wide places = POWER_PLACES, twice = 2 * (wide)DECIMAL_ONE;
    wide divisor = conversion->divide * (places / DECIMAL_ONE);
    wide rest = m * conversion->multiply + conversion->add * places - q * divisor;

    ensure(rest >= 0 && rest < divisor);
    if (!has_rest(number))
        return 2 * rest < divisor ? -1 : 2 * rest > divisor;
    if (2 * rest >= divisor)
        return 1;
    if (2 * (rest + conversion->multiply) <= divisor)
        return -1; /* the rest is below one unit of m */
    wide a = (2 * q + 1) * conversion->divide - twice * conversion->add, b = twice * conversion->multiply;
    ensure(a > 0 && a * places / b == m);
    return compare_rest(number, a * places % b, b);
}

static wide floor_divide(wide a, wide b)
{
    wide quotient = a / b;
    return quotient * b > a ? quotient - 1 : quotient;
}

/* Rounds the magnitude; `conversion` has the sign of the number moved into `add`. */
static enum err convert(const struct number *number, const struct decimal_conversion *conversion,
                        wide *ret_value)
{
    wide m, places = POWER_PLACES;
    enum err error = collect(number, &m);
    if (error != OK)
        return error;
    wide q = floor_divide(m * conversion->multiply + conversion->add * places,
                          conversion->divide * (places / DECIMAL_ONE));
    if (q > -(wide)INT64_MIN || q < INT64_MIN) /* the magnitude of the least number passes; also keeps the
                                                  arithmetic of compare_half() within 128 bits */
        return ERR_LIMIT;
    int sign = compare_half(number, m, q, conversion);
    if (sign > 0 || (sign == 0 && q % 2 != 0))
        q++;
    *ret_value = q;
    return OK;
}

/* The common reading: a short number in the canonical unit. */
static bool convert_short(const struct number *number, const struct decimal_conversion *conversion,
                          int64_t *ret_millionths)
{
    static const int64_t scale[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    if (conversion != NULL && (conversion->multiply != conversion->divide || conversion->add != 0))
        return false;
    if (number->exponent != 0 || number->integer_size > 12 || number->fraction_size > 6)
        return false;
    int64_t m = 0;
    for (size_t i = 0; i < number->integer_size; i++)
        m = m * 10 + (number->integer[i] - '0');
    for (size_t i = 0; i < number->fraction_size; i++)
        m = m * 10 + (number->fraction[i] - '0');
    m *= scale[number->fraction_size];
    *ret_millionths = number->negative ? -m : m;
    return true;
}

enum err decimal_parse(const char *text, size_t size, const struct decimal_conversion *conversion,
                       int64_t *ret_millionths)
{
    struct number number;
    enum err error = scan(text, size, &number);
    if (error != OK)
        return error;
    if (number.exponent > EXPONENT_MAX || number.exponent < -EXPONENT_MAX)
        return ERR_LIMIT;
    if (convert_short(&number, conversion, ret_millionths))
        return OK;

    struct decimal_conversion signed_conversion = {1, 0, 1};
    if (conversion != NULL)
        signed_conversion = *conversion;
    int64_t multiply = signed_conversion.multiply, divide = signed_conversion.divide;
    ensure(multiply > 0 && multiply <= FACTOR_MAX && divide > 0 && divide <= FACTOR_MAX);
    ensure(multiply <= RATIO_MAX * divide && divide <= INVERSE_RATIO_MAX * multiply);
    ensure(signed_conversion.add >= -FACTOR_MAX && signed_conversion.add <= FACTOR_MAX);
    if (number.negative)
        signed_conversion.add = -signed_conversion.add;
    wide value;
    error = convert(&number, &signed_conversion, &value);
    if (error != OK)
        return error;
    value = number.negative ? -value : value;
    if (value > INT64_MAX || value < INT64_MIN)
        return ERR_LIMIT;
    *ret_millionths = (int64_t)value;
    return OK;
}

bool decimal_fits_six_places(const char *text, size_t size)
{
    struct number number;
    if (scan(text, size, &number) != OK)
        return false;
    int64_t index = (int64_t)(number.integer_size + number.fraction_size) - 1;
    while (index >= 0 && digit_at(&number, index) == 0)
        index--;
    return index < number.point + 6;
}

size_t decimal_write(bool negative, uint64_t digits, unsigned places, char *out)
{
    char reversed[DECIMAL_TEXT_MAX];
    size_t count = 0, size = 0, least = places > 0 ? places + 2 : 1; /* a digit, and a point, in front */

    ensure(places <= DECIMAL_PLACES_MAX);
    for (; digits != 0 || count < least; digits /= 10) {
        reversed[count++] = (char)('0' + digits % 10);
        if (count == places)
            reversed[count++] = '.';
    }
    if (negative)
        out[size++] = '-';
    while (count > 0)
        out[size++] = reversed[--count];
    out[size] = '\0';
    ensure(size < DECIMAL_TEXT_MAX);
    return size;
}

size_t decimal_format(int64_t millionths, char *out)
{
    uint64_t left = millionths < 0 ? 0 - (uint64_t)millionths : (uint64_t)millionths;
    unsigned places = 6;

    for (; places > 0 && left % 10 == 0; places--)
        left /= 10;
    return decimal_write(millionths < 0, left, places, out);
}

enum { EXACT_DIGITS_MAX = 18 };

enum err decimal_parse_exact(const char *text, size_t size, struct decimal_exact *ret)
{
    struct number number;
    int64_t mantissa = 0, first = 0;
    enum err error = scan(text, size, &number);
    if (error != OK)
        return error;
    int64_t last = (int64_t)(number.integer_size + number.fraction_size) - 1;
    while (first < last && digit_at(&number, first) == 0)
        first++;
    while (last > first && digit_at(&number, last) == 0)
        last--;
    if (last - first >= EXACT_DIGITS_MAX)
        return ERR_LIMIT;
    for (int64_t i = first; i <= last; i++)
        mantissa = mantissa * 10 + digit_at(&number, i);
    int64_t places = mantissa == 0 ? 0 : last + 1 - number.point;
    if (places > EXPONENT_MAX || places < -EXPONENT_MAX)
        return ERR_LIMIT;
    *ret = (struct decimal_exact){number.negative ? -mantissa : mantissa, (int)places};
    return OK;
}

/* False when it does not fit. */
static bool shift_left(wide *value, int places)
{
    for (; places > 0 && *value != 0; places--)
        if (__builtin_mul_overflow(*value, 10, value))
            return false;
    return true;
}

static size_t format_wide(wide value, int places, char *out)
{
    char digits[40]; /* of 128 bits: at most 39 */
    size_t count = 0, size = 0;
    unsigned __int128 left = value < 0 ? 0 - (unsigned __int128)value : (unsigned __int128)value;
    do {
        digits[count++] = (char)('0' + (int)(left % 10));
        left /= 10;
    } while (left != 0);
    if (value < 0)
        out[size++] = '-';
    if ((int)count <= places)
        out[size++] = '0';
    while ((int)count > places && count > 0)
        out[size++] = digits[--count];
    if (places > 0)
        out[size++] = '.';
    for (int zeros = places - (int)count; count > 0 && zeros > 0; zeros--)
        out[size++] = '0';
    while (count > 0)
        out[size++] = digits[--count];
    ensure(size <= DECIMAL_LINE_MAX);
    return size;
}

enum err decimal_line(const struct decimal_exact *origin, const struct decimal_exact *factor,
                      const struct decimal_exact *sample, char out[DECIMAL_LINE_MAX], size_t *ret_size)
{
    wide product = (wide)factor->mantissa * sample->mantissa, start = origin->mantissa;
    int places = factor->places + sample->places;
    int common = places > origin->places ? places : origin->places;
    common = common > 0 ? common : 0;
    if (!shift_left(&product, common - places) || !shift_left(&start, common - origin->places) ||
        __builtin_add_overflow(product, start, &product))
        return ERR_LIMIT;
    *ret_size = format_wide(product, common, out);
    return OK;
}
