/* zone: a time zone compiled from the system's TZif files (RFC 8536), footer rule included.
 * Owner:   zone_load() gives; zone_free() takes. Immutable once loaded. Threads: any may read. */
#ifndef VIGIE_BASE_ZONE_H
#define VIGIE_BASE_ZONE_H

#include <stdint.h>

#include "daemon/base/err.h"

struct zone;

/* By IANA name ("Europe/Paris", "UTC"). ERR_NOT_FOUND for a name that the system does not have. */
MUST_CHECK enum err zone_load(const char *name, struct zone **ret_zone);
void zone_free(struct zone *zone);
const char *zone_name(const struct zone *zone);

/* Offset from UTC in seconds in force at the instant. */
int32_t zone_offset_s(const struct zone *zone, int64_t ms);

/* Days since 1970-01-01 of the local date at the instant. */
int64_t zone_local_day(const struct zone *zone, int64_t ms);

/* The earliest instant whose local date and time are at or after `day` (days since 1970-01-01) at
 * `minute_of_day` (RULES.md section 3.3): gaps and repeated hours included. */
int64_t zone_day_start_ms(const struct zone *zone, int64_t day, int minute_of_day);

#endif
