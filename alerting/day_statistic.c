/* day_statistic: see day_statistic.h. Order statistics are selected, not sorted: a day has up to thousands of
 * instants, and thousands of patients close their day at one moment. */
#include "alerting/day_statistic.h"

#include "alerting/grow.h"
#include "alerting/judge_own.h"
#include "daemon/base/decimal.h"

void day_points_deinit(struct day_points *points)
{
    slab_give(points->items);
    *points = (struct day_points){0};
}

void day_points_clear(struct day_points *points)
{
    points->count = points->readings = 0;
    points->received_ms = INT64_MIN;
}

static void push(struct day_points *points, int64_t value, int8_t beyond)
{
    points->items = grow(points->items, points->count + 1, &points->capacity, sizeof points->items[0]);
    points->items[points->count++] = (struct day_point){value, beyond};
}

void day_points_add(struct day_points *points, const struct instant *instant, enum day_statistic statistic,
                    enum parameter parameter)
{
    const struct held *held = instant_number(instant);
    bool order = statistic != DAY_MEAN && statistic != DAY_SUM;
    points->readings++;
    for (const struct held *member = instant->first; member < instant->end; member++)
        if ((member->flags & HELD_MEMBER) && member->received_ms > points->received_ms)
            points->received_ms = member->received_ms;
    if (held != NULL) {
        push(points, held->value, 0);
    } else if (order) {
        held = instant_first(instant);
        bool less = held->comparator == COMPARATOR_LESS;
        push(points, held->value, (int8_t)(!value_ends_range(parameter) ? 0 : less ? -1 : 1));
    }
}

static bool before(const struct day_point *a, const struct day_point *b)
{
    return a->beyond != b->beyond ? a->beyond < b->beyond : a->value < b->value;
}

static void swap(struct day_point *a, struct day_point *b)
{
    struct day_point kept = *a;
    *a = *b;
    *b = kept;
}

/* Moves the k-th smallest to items[k], what is not greater in front of it, what is not smaller behind
 * (Hoare's selection; the middle as pivot suits points that come in the order of time). */
static void select_kth(struct day_point *items, size_t count, size_t k)
{
    size_t low = 0, high = count - 1;
    while (low < high) {
        struct day_point pivot = items[low + (high - low) / 2];
        size_t i = low, j = high;
        for (;;) {
            while (before(&items[i], &pivot))
                i++;
            while (before(&pivot, &items[j]))
                j--;
            if (i >= j)
                break;
            swap(&items[i++], &items[j--]);
        }
        /* items[low..j] are not greater than the pivot, items[j + 1..high] not smaller; j < high. */
        if (k <= j)
            high = j;
        else
            low = j + 1;
    }
}

static struct day_figure of_point(const struct day_point *point)
{
    uint16_t divisor = point->beyond == 0 ? 1 : point->beyond < 0 ? DAY_BELOW : DAY_ABOVE;
    return (struct day_figure){.number = point->value, .divisor = divisor};
}

static struct day_figure median(struct day_points *points)
{
    size_t middle = points->count / 2;
    struct day_point *items = points->items;
    if (points->count == 0)
        return (struct day_figure){.divisor = DAY_EMPTY};
    select_kth(items, points->count, middle);
    if (points->count % 2 == 1)
        return of_point(&items[middle]);
    const struct day_point *lower = &items[0];
    for (size_t i = 1; i < middle; i++)
        if (before(lower, &items[i]))
            lower = &items[i];
    if (lower->beyond != items[middle].beyond)
        return (struct day_figure){.divisor = DAY_EMPTY};
    if (lower->beyond != 0) /* "<20" and "<40": "<40" is true of both */
        return of_point(lower->beyond < 0 ? &items[middle] : lower);
    return (struct day_figure){.number = lower->value + items[middle].value, .divisor = 2};
}

static struct day_figure extreme(const struct day_points *points, bool greatest)
{
    if (points->count == 0)
        return (struct day_figure){.divisor = DAY_EMPTY};
    const struct day_point *best = &points->items[0];
    for (size_t i = 1; i < points->count; i++)
        if (greatest ? before(best, &points->items[i]) : before(&points->items[i], best))
            best = &points->items[i];
    return of_point(best);
}

static struct day_figure total(const struct day_points *points, bool mean)
{
    struct day_figure figure = {.divisor = mean ? (uint16_t)points->count : 1};
    if (points->count == 0 && (mean || points->readings > 0))
        return (struct day_figure){.divisor = DAY_EMPTY};
    for (size_t i = 0; i < points->count; i++)
        figure.number += points->items[i].value;
    return figure;
}

struct day_figure day_statistic(enum day_statistic statistic, struct day_points *points)
{
    struct day_figure figure = {.divisor = DAY_EMPTY};
    ensure(points->readings < DAY_UNHELD);
    if (statistic == DAY_MEDIAN)
        figure = median(points);
    else if (statistic == DAY_MEAN || statistic == DAY_SUM)
        figure = total(points, statistic == DAY_MEAN);
    else if (statistic == DAY_MIN || statistic == DAY_MAX)
        figure = extreme(points, statistic == DAY_MAX);
    else
        figure = (struct day_figure){.number = (int64_t)points->readings * DECIMAL_ONE, .divisor = 1};
    figure.readings = (uint16_t)points->readings;
    return figure;
}

int64_t day_rounded(const struct day_figure *figure)
{
    if (!day_is_number(figure))
        return figure->number;
    int64_t quotient = figure->number / figure->divisor, rest = figure->number % figure->divisor;
    int64_t twice = 2 * (rest < 0 ? -rest : rest);
    if (twice > figure->divisor || (twice == figure->divisor && quotient % 2 != 0))
        quotient += figure->number < 0 ? -1 : 1;
    return quotient;
}

enum comparator day_comparator(const struct day_figure *figure)
{
    return figure->divisor == DAY_BELOW   ? COMPARATOR_LESS
           : figure->divisor == DAY_ABOVE ? COMPARATOR_GREATER
                                          : COMPARATOR_NONE;
}
