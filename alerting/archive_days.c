/* archive_days: what a rule that judges days keeps. Left out is what follows from the rest: when the day at
 * hand begins and closes, the number of a figure that has none. */
#include "alerting/archive.h"
#include "alerting/day_track.h"
#include "alerting/grow.h"

enum { DAY_NUMBER_MAX = 4000000 }; /* beyond year 9999 */

static void archive_day(struct archive *a, int32_t *day)
{
    int64_t wide = *day;
    archive_signed(a, &wide);
    if (wide < -DAY_NUMBER_MAX || wide > DAY_NUMBER_MAX)
        archive_fault(a);
    *day = a->bad ? 0 : (int32_t)wide;
}

static void archive_figure(struct archive *a, struct day_figure *figure)
{
    unsigned divisor = figure->divisor, readings = figure->readings;
    int64_t number = figure->number;
    archive_unsigned(a, &divisor, 1 << 16);
    archive_unsigned(a, &readings, 1 << 16);
    if (divisor != DAY_EMPTY && divisor != DAY_UNHELD)
        archive_signed(a, &number);
    *figure = (struct day_figure){number, (uint16_t)divisor, (uint16_t)readings};
}

static void archive_figures(struct archive *a, struct day_figures *figures)
{
    size_t count = archive_count(a, figures->count);
    archive_day(a, &figures->first);
    if (!a->writing && count > 0)
        figures->items = grow_short(NULL, count, &figures->capacity, sizeof figures->items[0]);
    for (size_t i = 0; i < count && !a->bad; i++) {
        if (!a->writing)
            figures->items[i] = (struct day_figure){0};
        archive_figure(a, &figures->items[i]);
        figures->count = a->writing ? figures->count : (uint32_t)i + 1;
    }
}

static void archive_state(struct archive *a, struct day_state *state)
{
    unsigned bridged = state->bridged, active = state->active;
    archive_instant(a, &state->passed_ms);
    archive_unsigned(a, &active, PRIORITY_COUNT);
    state->active = (uint8_t)active;
    archive_u32(a, &state->run);
    if (state->run > 0) {
        archive_day(a, &state->first);
        archive_unsigned(a, &bridged, 1 << 16);
    }
    state->bridged = (uint16_t)bridged;
    archive_day(a, &state->data_day);
    archive_bool(a, &state->data_breach);
}

/* What the walks rely on. */
static bool is_sound(const struct track *track)
{
    const struct days *days = track->days;
    const struct day_figures *figures = &days->figures;
    int64_t end = figures->first + (int64_t)figures->count;
    for (unsigned side = 0; side < SIDE_COUNT; side++)
        if ((days->base[side].active != PRIORITY_NONE) !=
            (track->side[side] != NULL && track->side[side]->base_open.count > 0))
            return false;
    bool packed = figures->count == 0 || day_has_data(&figures->items[0], 0);
    return !days->started || (packed && end == days->next_day && days->start_day <= days->base_day &&
                              days->base_day <= days->next_day);
}

void archive_day_track(struct archive *a, struct track *track)
{
    struct days *days = track->days;
    unsigned start_min = (unsigned)days->day_start_min, statistic = days->statistic;
    archive_unsigned(a, &statistic, DAY_STATISTIC_COUNT);
    archive_unsigned(a, &start_min, 24 * 60);
    days->statistic = (uint8_t)statistic;
    days->day_start_min = (int16_t)start_min;
    archive_bool(a, &days->started);
    archive_day(a, &days->start_day);
    archive_day(a, &days->base_day);
    archive_day(a, &days->next_day);
    archive_figures(a, &days->figures);
    for (unsigned side = 0; side < SIDE_COUNT; side++) {
        archive_state(a, &days->tip[side]);
        archive_state(a, &days->base[side]);
    }
    if (a->writing || a->bad)
        return;
    if (!is_sound(track))
        archive_fault(a);
    else
        day_track_schedule(track);
}
