/* day_statistic: the statistic of a day: one value of each instant, counted, summed or ordered (RULES.md
 * section 3, kinds that judge days). Nothing is divided: a figure is number / divisor. Owner:   the points
 * are scratch of whoever adds them. Threads: pure. Choices: an even median whose two values are of different
 * kinds (below all numbers, a number, above them) is no data; a sum over no instant at all is 0, over nothing
 * but comparators no data. */
#ifndef VIGIE_ALERTING_DAY_STATISTIC_H
#define VIGIE_ALERTING_DAY_STATISTIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alerting/rule_kinds.h"
#include "alerting/series.h"

/* Divisors that stand for what is no number. */
enum {
    DAY_EMPTY = 0,      /* no statistic: nothing to make it of */
    DAY_UNHELD = 65533, /* its readings had been let go when it was first asked for */
    DAY_ABOVE = 65534,  /* above all numbers: ">number" is the end of the measuring range */
    DAY_BELOW = 65535,
};

/* Millionths; of a count 1,000,000 a reading. The number fits: 24,576 readings (SERIES_HELD_CONTINUOUS_MAX)
 * of at most 500,000 units (the widest possible band) make less than 2^54. */
struct day_figure {
    int64_t number;
    uint16_t divisor;  /* 1, 2, or of a mean its numbers */
    uint16_t readings; /* instants, comparators included */
} __attribute__((packed, aligned(4)));
static_assert(sizeof(struct day_figure) == 12, "what a held day costs");
static_assert((int)SERIES_HELD_CONTINUOUS_MAX < (int)DAY_UNHELD,
              "a mean's divisor is none of the words above");

struct day_point {
    int64_t value;
    int8_t beyond; /* -1: below all numbers, 1: above them */
};

struct day_points {
    struct day_point *items; /* without comparators that are left out */
    size_t count, capacity;
    unsigned readings;
    int64_t received_ms; /* the newest reception of its readings; INT64_MIN without */
};

void day_points_deinit(struct day_points *points);
void day_points_clear(struct day_points *points);
/* The one value of the instant: the first in series order, numbers before comparators. */
void day_points_add(struct day_points *points, const struct instant *instant, enum day_statistic statistic,
                    enum parameter parameter);
/* Puts the points into another order. */
struct day_figure day_statistic(enum day_statistic statistic, struct day_points *points);

static inline bool day_is_number(const struct day_figure *figure)
{
    return figure->divisor != DAY_EMPTY && figure->divisor < DAY_UNHELD;
}
static inline bool day_has_data(const struct day_figure *figure, unsigned min_readings)
{
    return figure->divisor != DAY_EMPTY && figure->divisor != DAY_UNHELD && figure->readings >= min_readings;
}
/* In millionths, half to even; of what lies beyond all numbers its own number. */
int64_t day_rounded(const struct day_figure *figure);
enum comparator day_comparator(const struct day_figure *figure);

#endif
