/* hl7_time: shape alone; whether it is a day of the calendar is judged where every time is
 * (daemon/base/instant.h). */
#include "daemon/ingest/hl7/hl7_time.h"

#include <string.h>

#include "daemon/base/ensure.h"

enum { DAY_DIGITS = 8, MINUTE_DIGITS = 12, SECOND_DIGITS = 14, FRACTION_DIGITS_MAX = 9, OFFSET_BYTES = 5 };

static size_t count_digits(const char *text, size_t size)
{
    size_t count = 0;
    while (count < size && text[count] >= '0' && text[count] <= '9')
        count++;
    return count;
}

bool hl7_time_read(struct slice text, struct hl7_time *ret)
{
    size_t digits = count_digits(text.data, text.size), at = digits;
    if (digits != DAY_DIGITS && digits != MINUTE_DIGITS && digits != SECOND_DIGITS)
        return false;
    if (digits == SECOND_DIGITS && at < text.size && text.data[at] == '.') {
        size_t fraction = count_digits(text.data + at + 1, text.size - at - 1);
        if (fraction == 0 || fraction > FRACTION_DIGITS_MAX)
            return false;
        at += 1 + fraction;
    }
    struct slice offset = {text.data + at, text.size - at};
    if (offset.size > 0 && (offset.size != OFFSET_BYTES || (*offset.data != '+' && *offset.data != '-') ||
                            count_digits(offset.data + 1, 4) != 4))
        return false;
    ret->digits = (struct slice){text.data, at};
    ret->offset = offset.size > 0 ? offset : (struct slice){NULL, 0};
    return true;
}

bool hl7_offset_is_unknown(struct slice offset)
{
    return offset.size == OFFSET_BYTES && memcmp(offset.data, "-0000", OFFSET_BYTES) == 0;
}

static char *put(char *out, const char *bytes, size_t size)
{
    memcpy(out, bytes, size);
    return out + size;
}

size_t hl7_time_iso(const struct hl7_time *time, struct slice offset, char out[HL7_ISO_MAX])
{
    const char *digits = time->digits.data;
    size_t size = time->digits.size;
    char *at = out;
    ensure(size >= DAY_DIGITS && size <= SECOND_DIGITS + 1 + FRACTION_DIGITS_MAX);
    at = put(at, digits, 4);
    at = put(put(at, "-", 1), digits + 4, 2);
    at = put(put(at, "-", 1), digits + 6, 2);
    if (size > DAY_DIGITS) {
        at = put(put(at, "T", 1), digits + 8, 2);
        at = put(put(at, ":", 1), digits + 10, 2);
        if (size > MINUTE_DIGITS)
            at = put(put(at, ":", 1), digits + 12, size - MINUTE_DIGITS);
        if (offset.data != NULL) {
            at = put(at, offset.data, 3);
            at = put(put(at, ":", 1), offset.data + 3, 2);
        }
    }
    *at = '\0';
    return (size_t)(at - out);
}
