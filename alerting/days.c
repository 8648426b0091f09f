/* days: see days.h. A day whose beginning lies behind a change of zone in the old zone, and before it in the
 * new one, begins at the change. */
#include "alerting/days.h"

int64_t day_begin_ms(const struct patient *patient, int64_t day, int day_start_min)
{
    ensure(patient->zones_count > 0);
    int64_t begin_ms = zone_day_start_ms(patient->zones[0].zone, day, day_start_min);
    for (size_t i = 1; i < patient->zones_count; i++) {
        const struct zone_from *change = &patient->zones[i];
        if (begin_ms <= change->from_ms)
            continue;
        begin_ms = zone_day_start_ms(change->zone, day, day_start_min);
        begin_ms = begin_ms < change->from_ms ? change->from_ms : begin_ms;
    }
    return begin_ms;
}

int64_t day_local(const struct patient *patient, int64_t ms)
{
    size_t index = patient->zones_count;
    while (index > 1 && patient->zones[index - 1].from_ms > ms)
        index--;
    ensure(index > 0);
    return zone_local_day(patient->zones[index - 1].zone, ms);
}

int64_t day_of(const struct patient *patient, int64_t ms, int day_start_min)
{
    int64_t day = day_local(patient, ms) + 1;
    while (day_begin_ms(patient, day, day_start_min) > ms)
        day--;
    while (day_begin_ms(patient, day + 1, day_start_min) <= ms)
        day++;
    return day;
}
