/* days: the days of a patient (RULES.md section 3.3): a day begins at the earliest instant whose local date
 * and time are at or after it at `day_start`; days that begin after a change of zone are of the new one.
 * Threads: pure functions of the patient's zones. */
#ifndef VIGIE_ALERTING_DAYS_H
#define VIGIE_ALERTING_DAYS_H

#include "alerting/state.h"

/* First instant of day `day` (days since 1970-01-01). */
int64_t day_begin_ms(const struct patient *patient, int64_t day, int day_start_min);
/* The day that holds the instant. */
int64_t day_of(const struct patient *patient, int64_t ms, int day_start_min);
/* The local date at the instant, without day_start. */
int64_t day_local(const struct patient *patient, int64_t ms);

#endif
