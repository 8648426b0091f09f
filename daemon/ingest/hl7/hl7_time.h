/* hl7_time: a time of HL7 v2, YYYY[MM[DD[HH[MM[SS[.S...]]]]]][+/-ZZZZ], and the ISO 8601 text that admission
 * reads. A time and its offset from UTC may come from different fields: a time without an offset has that of
 * the next one above it (hl7_oru.h), which is written down.
 * Threads: pure functions.
 * Choices: hours without minutes, a year or a month alone name neither a moment nor a day: malformed. `-0000`
 * is UTC whose local offset is unknown (IHE PCD TF-2, RFC 3339). */
#ifndef VIGIE_INGEST_HL7_TIME_H
#define VIGIE_INGEST_HL7_TIME_H

#include <stdbool.h>

#include "daemon/model/reading.h"

struct hl7_time {
    struct slice digits; /* {NULL, 0}: no time */
    struct slice offset; /* sign and four digits; {NULL, 0} without */
};

enum { HL7_ISO_MAX = 48 };

/* Divides component 1 of a field. False: what stands there is no time. */
bool hl7_time_read(struct slice text, struct hl7_time *ret);
static inline bool hl7_time_is_day(const struct hl7_time *time)
{
    return time->digits.size == 8;
}
bool hl7_offset_is_unknown(struct slice offset);

/* The ISO 8601 text of a time that was read, with the offset ({NULL, 0}: without); returns its length. */
size_t hl7_time_iso(const struct hl7_time *time, struct slice offset, char out[HL7_ISO_MAX]);

#endif
