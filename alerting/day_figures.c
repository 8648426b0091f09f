/* day_figures: see day_figures.h. */
#include "alerting/day_figures.h"

#include <string.h>

#include "alerting/day_track.h"
#include "alerting/grow.h"

static const struct patient *patient_of(const struct day_source *source)
{
    return source->track->patient;
}

static bool is_brought(const struct instant *instant)
{
    for (const struct held *held = instant->first; held < instant->end; held++)
        if ((held->flags & HELD_MEMBER) && (held->flags & HELD_NEW))
            return true;
    return false;
}

/* The points of the day. True: this unit brought one. */
static bool gather(const struct day_source *source, int64_t day)
{
    struct day_points *points = &source->engine->day_points;
    int64_t end_ms = day_track_begin_ms(source->track, day + 1);
    struct reading_key from = {.ms = day_track_begin_ms(source->track, day)};
    bool brought = false;
    struct instant instant;
    day_points_clear(points);
    if (source->series == NULL)
        return false;
    size_t index = series_find(source->series, &patient_of(source)->names, &from);
    while (series_next(source->series, &index, &instant) && instant.key.ms < end_ms) {
        day_points_add(points, &instant, (enum day_statistic)source->track->days->statistic,
                       (enum parameter)source->track->parameter);
        brought |= is_brought(&instant);
    }
    return brought;
}

struct day_figure day_take(const struct day_source *source, int64_t day, bool *ret_brought)
{
    bool brought = gather(source, day);
    if (ret_brought != NULL)
        *ret_brought = brought;
    return day_statistic((enum day_statistic)source->track->days->statistic, &source->engine->day_points);
}

bool day_is_held(const struct day_source *source, int64_t day)
{
    return source->series == NULL || day_track_begin_ms(source->track, day) >= source->series->cut_ms;
}

int64_t day_received_ms(const struct day_source *source, int64_t day)
{
    (void)gather(source, day);
    const struct day_points *points = &source->engine->day_points;
    return points->readings == 0 ? INSTANT_NONE : points->received_ms;
}

static bool says_nothing(const struct day_figure *figure)
{
    return !day_has_data(figure, 0);
}

static void make_room_in_front(struct day_figures *figures, uint32_t more)
{
    figures->items =
        grow_short(figures->items, figures->count + more, &figures->capacity, sizeof figures->items[0]);
    memmove(figures->items + more, figures->items, figures->count * sizeof figures->items[0]);
    memset(figures->items, 0, more * sizeof figures->items[0]); /* DAY_EMPTY */
    figures->first -= (int32_t)more;
    figures->count += more;
}

static void drop_in_front(struct day_figures *figures, uint32_t count)
{
    figures->first += (int32_t)count;
    figures->count -= count;
    memmove(figures->items, figures->items + count, figures->count * sizeof figures->items[0]);
}

void day_figures_set(struct day_figures *figures, int64_t day, const struct day_figure *figure)
{
    int64_t end = figures->first + (int64_t)figures->count;
    ensure(day <= end);
    if (day < figures->first) {
        if (says_nothing(figure))
            return;
        make_room_in_front(figures, (uint32_t)(figures->first - day));
    } else if (day == end) {
        figures->items =
            grow_short(figures->items, figures->count + 1, &figures->capacity, sizeof figures->items[0]);
        figures->count++;
    }
    figures->items[day - figures->first] = *figure;
    day_figures_forget(figures, figures->first);
}

void day_figures_extend(struct day_figures *figures, const struct day_source *source, int64_t from)
{
    for (int64_t day = figures->first - 1; day >= from; day--) {
        struct day_figure figure = {.divisor = DAY_UNHELD};
        if (day_is_held(source, day))
            figure = day_take(source, day, NULL);
        day_figures_set(figures, day, &figure);
    }
}

void day_figures_forget(struct day_figures *figures, int64_t from)
{
    uint32_t count = 0;
    while (count < figures->count &&
           (figures->first + (int64_t)count < from || says_nothing(&figures->items[count])))
        count++;
    if (count > 0)
        drop_in_front(figures, count);
}

void day_figures_cut(struct day_figures *figures, int64_t end)
{
    if (end < figures->first) {
        figures->first = (int32_t)end;
        figures->count = 0;
        return;
    }
    ensure(end <= figures->first + (int64_t)figures->count);
    figures->count = (uint32_t)(end - figures->first);
}
