/* instant: times as milliseconds since 1970-01-01T00:00:00Z, and their ISO 8601 / FHIR text.
 * Threads: pure functions. */
#ifndef VIGIE_BASE_INSTANT_H
#define VIGIE_BASE_INSTANT_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

#define INSTANT_NONE INT64_MIN /* no time given */

enum { INSTANT_TEXT_MAX = 32 };

enum instant_precision { PRECISION_TIME, PRECISION_DAY }; /* date only: a day, not a moment */

enum instant_fault { INSTANT_GOOD, INSTANT_MALFORMED, INSTANT_NO_OFFSET };

struct instant_parsed {
    int64_t ms;             /* PRECISION_DAY: midnight UTC of that date; the caller applies the zone */
    int16_t utc_offset_min; /* as sent; 0 for Z and for dates */
    enum instant_precision precision;
};

/* "YYYY-MM-DD", or "YYYY-MM-DDThh:mm[:ss[.fraction]](Z|+hh:mm|-hh:mm)"; any number of fractional digits,
 * truncated to milliseconds; a leap second :60 counts as the next second. Calendar days are checked.
 * "YYYY" and "YYYY-MM" are malformed for us: no moment and no day. */
MUST_CHECK enum instant_fault instant_parse(const char *text, size_t size, struct instant_parsed *ret);

/* "2026-11-21T07:30:00.000Z"; returns the length (24). Years 0000..9999. */
size_t instant_format(int64_t ms, char out[INSTANT_TEXT_MAX]);

/* Reads "250ms", "30s", "5m", "36h", "14d" (RULES.md section 2). */
MUST_CHECK enum err instant_parse_duration(const char *text, size_t size, int64_t *ret_ms);

/* Days since 1970-01-01 of a civil date, and back (proleptic Gregorian). */
int64_t instant_days_from_civil(int year, int month, int day);
void instant_civil_from_days(int64_t days, int *ret_year, int *ret_month, int *ret_day);

#endif
