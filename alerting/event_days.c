/* event_days: see event_days.h. Figures are as they are at the end of the unit, like all that an event
 * says. */
#include "alerting/event_days.h"

#include <stdio.h>

#include "alerting/day_track.h"
#include "alerting/patient.h"
#include "daemon/base/instant.h"

static void render_day(struct buffer *json, int64_t day, const struct day_figure *figure)
{
    char text[40];
    int year, month, date;
    instant_civil_from_days(day, &year, &month, &date);
    snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, date);
    render_open(json, '{');
    render_key(json, "day");
    render_text(json, text);
    render_key(json, "statistic");
    render_decimal(json, day_rounded(figure));
    if (day_comparator(figure) != COMPARATOR_NONE) {
        render_key(json, "comparator");
        render_text(json, reading_comparator_text(day_comparator(figure)));
    }
    render_key(json, "readings");
    render_integer(json, figure->readings);
    render_close(json, '}');
}

static const struct day_figure *shown(const struct track *track, const struct transition *basis, int64_t day)
{
    const struct day_figure *figure = day_track_figure(track, day);
    unsigned min_readings = rule_days_of(basis->version->rule)->min_readings;
    return figure != NULL && day_has_data(figure, min_readings) ? figure : NULL;
}

void event_days(struct buffer *json, const struct pending *pending)
{
    const struct ledger *ledger = pending->ledger;
    const struct transition *basis = &pending->basis;
    const struct track *track =
        ledger->technical >= 0 ? NULL : patient_track(ledger->patient, ledger->rule_id);
    bool rests = basis->has_reading && basis->basis == BASIS_DAYS;
    int64_t total = 0, index = 0;
    if (track == NULL || !track_judges_days(track))
        return;
    for (int64_t day = basis->first.ms; rests && day <= basis->deciding.ms; day++)
        total += shown(track, basis, day) != NULL;

    render_key(json, "days");
    render_open(json, '[');
    for (int64_t day = basis->first.ms; rests && day <= basis->deciding.ms; day++) {
        const struct day_figure *figure = shown(track, basis, day);
        if (figure == NULL)
            continue;
        if (index == 0 || index > total - EVENT_READINGS_MAX)
            render_day(json, day, figure);
        index++;
    }
    render_close(json, ']');
    render_key(json, "days_total");
    render_integer(json, total);
}
