/* event_days: what an event of a rule that judges days rests on: {day, statistic, readings} of the days with
 * data among those that decided, at most 32 of `days_total`, the first and the last kept.
 * Threads: the shard's alone. */
#ifndef VIGIE_ALERTING_EVENT_DAYS_H
#define VIGIE_ALERTING_EVENT_DAYS_H

#include "alerting/unit.h"
#include "daemon/base/buffer.h"

/* The members `days` and `days_total`; nothing for rules of another sort. */
void event_days(struct buffer *json, const struct pending *pending);

#endif
