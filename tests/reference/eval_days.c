/* eval_days: days of the patient's zone and the kinds that judge them, RULES.md section 3.3.
 * The zones' rules are written out here; a statistic is a fraction, or lies beyond all numbers, or is no
 * data. */
#include <stdlib.h>

#include "daemon/base/ensure.h"
#include "tests/reference/eval_internal.h"
#include "tests/reference/evaluator.h"

/* ---- zones ---- */

static int64_t days_of(int64_t year, int month, int day)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int64_t past = year - 1;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return past * 365 + past / 4 - past / 100 + past / 400 + before[month - 1] + (leap && month > 2) + day -
           719163;
}

/* The Sunday on or after a date; 1970-01-01 was a Thursday. */
static int64_t sunday_from(int64_t day)
{
    return day + (10 - (day % 7 + 7) % 7) % 7;
}

struct summer { /* summer time: month and first day searched for its Sunday, UTC minutes of that day */
    int standard_min, saved_min;
    int begin_month, begin_day, begin_min, end_month, end_day, end_min;
};

static const struct summer summers[ZONES] = {
    [ZONE_UTC] = {0, 0, 0, 0, 0, 0, 0, 0},
    [ZONE_PARIS] = {60, 60, 3, 25, 60, 10, 25, 60},
    [ZONE_NEW_YORK] = {-300, 60, 3, 8, 420, 11, 1, 360},
    [ZONE_KOLKATA] = {330, 0, 0, 0, 0, 0, 0, 0},
    [ZONE_LORD_HOWE] = {630, 30, 10, 1, 120 - 630, 4, 1, 120 - 660},
    [ZONE_SANTIAGO] = {-240, 60, 9, 2, 240, 4, 2, 180},
};

struct change {
    int64_t at;
    int offset_min;
};

/* The changes of the offset from two years before to two years after, in order; the first has always been. */
static size_t changes_of(enum fact_zone zone, int64_t year, struct change *change)
{
    const struct summer *rule = &summers[zone];
    size_t count = 0;
    change[count++] = (struct change){INT64_MIN / 2, rule->standard_min};
    for (int64_t y = year - 2; y <= year + 2 && rule->saved_min != 0; y++) {
        struct change begin = {sunday_from(days_of(y, rule->begin_month, rule->begin_day)) * MS_DAY +
                                   rule->begin_min * MS_MINUTE,
                               rule->standard_min + rule->saved_min};
        struct change end = {sunday_from(days_of(y, rule->end_month, rule->end_day)) * MS_DAY +
                                 rule->end_min * MS_MINUTE,
                             rule->standard_min};
        change[count++] = begin.at < end.at ? begin : end;
        change[count++] = begin.at < end.at ? end : begin;
    }
    return count;
}

int64_t evaluate_day_begin(enum fact_zone zone, int64_t day, int start_min)
{
    struct change change[16];
    int64_t local = day * MS_DAY + start_min * MS_MINUTE;
    size_t count = changes_of(zone, 1970 + day / 365, change);
    for (size_t i = 0; i < count; i++) {
        int64_t until = i + 1 < count ? change[i + 1].at : INT64_MAX;
        int64_t at = local - change[i].offset_min * MS_MINUTE;
        at = at > change[i].at ? at : change[i].at;
        if (at < until)
            return at;
    }
    return NEVER;
}

/* ---- the statistic of a day ---- */

enum beyond { NO_DATA, NUMBER, UNDER_ALL, OVER_ALL };
struct statistic {
    enum beyond kind;
    wide above, below; /* the fraction, below > 0 */
    int readings;
};

/* As a number for min, max and median: a comparator at the end of the measuring range lies beyond all
 * numbers. */
static struct statistic single(const struct fact_reading *reading)
{
    const struct fact_parameter *parameter = &fact_parameters[reading->parameter];
    enum beyond kind = NUMBER;
    if (reading->comparator != 0 && (parameter->glucose || parameter->continuous))
        kind = reading->comparator == 1 ? UNDER_ALL : OVER_ALL;
    return (struct statistic){kind, reading->value, 1, 0};
}

static int place(enum beyond kind)
{
    return kind == UNDER_ALL ? -1 : kind == OVER_ALL;
}

static int compare_statistics(const void *left, const void *right)
{
    const struct statistic *a = left, *b = right;
    if (place(a->kind) != place(b->kind) || place(a->kind) != 0)
        return place(a->kind) - place(b->kind);
    wide x = a->above * b->below, y = b->above * a->below;
    return (x > y) - (x < y);
}

/* Of sorted ones; halfway between the middle two; none when they are not of one kind. */
static struct statistic median(const struct statistic *sorted, int count)
{
    const struct statistic *low = &sorted[(count - 1) / 2], *high = &sorted[count / 2];
    if (low->kind != high->kind)
        return (struct statistic){.kind = NO_DATA};
    if (low == high || low->kind != NUMBER)
        return *low;
    return (struct statistic){NUMBER, low->above * high->below + high->above * low->below,
                              2 * low->below * high->below, 0};
}

static struct statistic of_values(struct statistic *values, int count, enum fact_statistic wanted)
{
    if (count == 0)
        return (struct statistic){.kind = NO_DATA};
    qsort(values, (size_t)count, sizeof *values, compare_statistics);
    return wanted == MIN ? values[0] : wanted == MAX ? values[count - 1] : median(values, count);
}

/* Of the instants in [begin, end); min_readings is looked at by has_data(). */
static struct statistic statistic_of(const struct series *series, int64_t begin, int64_t end,
                                     enum fact_statistic wanted)
{
    size_t low = 0, high = series->instants;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (series->instant[middle].t < begin)
            low = middle + 1;
        else
            high = middle;
    }
    for (high = low; high < series->instants && series->instant[high].t < end;)
        high++;
    int readings = (int)(high - low), numbers = 0;
    struct statistic *values = calloc((size_t)readings + 1, sizeof *values),
                     found = {.kind = NUMBER, .below = 1};
    ensure(values != NULL);
    wide sum = 0;
    for (size_t i = low; i < high; i++) {
        const struct instant *instant = &series->instant[i];
        if (instant->number != NULL)
            numbers++, sum += instant->number->value;
        values[i - low] = single(instant->number != NULL ? instant->number : series->reading[instant->first]);
    }
    if (wanted == COUNT)
        found.above = (wide)readings * 1000000;
    else if ((wanted == SUM || wanted == MEAN) && numbers == 0 && (readings > 0 || wanted == MEAN))
        found.kind = NO_DATA; /* a day of nothing else has no data; one of nothing sums to 0 */
    else if (wanted == SUM || wanted == MEAN)
        found = (struct statistic){NUMBER, sum, wanted == SUM ? 1 : numbers, 0};
    else
        found = of_values(values, readings, wanted);
    free(values);
    found.readings = readings;
    return found;
}

/* ---- the walk ---- */

struct days {
    struct walk *walk;
    int64_t first, count; /* numbers of days */
    struct statistic *statistic;
    bool *known;
};

static struct statistic day_statistic(struct days *days, const struct fact_rule *rule, int64_t day)
{
    int64_t at = day - days->first;
    ensure(at >= 0 && at < days->count);
    if (!days->known[at]) {
        enum fact_zone zone = days->walk->facts->zone;
        days->statistic[at] = statistic_of(
            days->walk->series, evaluate_day_begin(zone, day, rule->day_start_min),
            evaluate_day_begin(zone, day + 1, rule->day_start_min), (enum fact_statistic)rule->statistic);
        days->known[at] = true;
    }
    struct statistic found = days->statistic[at];
    if (found.readings < rule->min_readings)
        found.kind = NO_DATA;
    return found;
}

/* 1: beyond the limit, 0: not, -1: not judged. */
static int judge_daily(const struct fact_rule *rule, enum fact_side side, struct statistic at)
{
    if (at.kind == NO_DATA)
        return -1;
    if (at.kind != NUMBER)
        return at.kind == (side == LOW ? UNDER_ALL : OVER_ALL);
    wide limit = (wide)rule->amount[side] * at.below;
    return side == LOW ? at.above < limit : at.above > limit;
}

static int judge_against(const struct fact_rule *rule, enum fact_side side, struct statistic at,
                         struct statistic old)
{
    if (at.kind != NUMBER || old.kind != NUMBER)
        return -1;
    wide delta = at.above * old.below - old.above * at.below;
    delta = side == HIGH ? delta : -delta;
    if (!rule->percent[side])
        return delta > ((wide)rule->amount[side] + 1) * at.below * old.below;
    if (old.above == 0)
        return -1;
    wide size = (old.above < 0 ? -old.above : old.above) * at.below;
    return delta > 0 && delta * 100000000 > (wide)rule->amount[side] * size;
}

static int judge_day(struct days *days, const struct fact_rule *rule, int64_t day)
{
    enum fact_side side = days->walk->side;
    struct statistic at = day_statistic(days, rule, day), base[100];
    if (rule->kind == DAILY)
        return judge_daily(rule, side, at);
    if (rule->kind == VARIATION) {
        struct statistic old = day_statistic(days, rule, day - 1);
        if (old.kind == NUMBER && rule->has_minimum && old.above < (wide)rule->minimum * old.below)
            return -1;
        return judge_against(rule, side, at, old);
    }
    int count = 0;
    for (int64_t d = day - rule->over; d < day; d++) {
        base[count] = day_statistic(days, rule, d);
        count += base[count].kind != NO_DATA;
    }
    if (count < rule->min_days)
        return -1;
    qsort(base, (size_t)count, sizeof base[0], compare_statistics);
    return judge_against(rule, side, at, median(base, count));
}

struct day_run {
    int run, missing;
    int64_t began;
};

static void day_decide(struct walk *walk, const struct fact_rule *rule, int64_t day, int64_t end, int verdict,
                       struct day_run *state)
{
    if (verdict < 0) {
        bool bridges = rule->kind == DAILY && rule->skip && ++state->missing <= rule->days + 7;
        if (!bridges)
            state->run = 0;
        return;
    }
    state->missing = 0;
    if (verdict == 1 && state->run++ == 0)
        state->began = day;
    if (verdict == 0)
        state->run = 0;
    int needed = rule->kind == VARIATION ? 1 : rule->days;
    if (verdict == 1 && state->run >= needed && rule->priority > walk->active) {
        if (walk->active == 0) {
            struct episode *episode = walk_raise(walk, end, rule->priority);
            episode->begins_with_day = true;
            episode->began_at = state->began;
        } else {
            walk_step(walk, end, rule->priority);
        }
    } else if (walk->active > 0 && verdict == 0) {
        walk_clear(walk, end, CLEARED);
    } else if (walk->active > rule->priority) {
        walk_step(walk, end, rule->priority);
    }
}

static void walk_each_day(struct days *days, int64_t first, int64_t last)
{
    struct walk *walk = days->walk;
    struct day_run state = {.run = 0};
    for (int64_t day = first; day <= last; day++) {
        const struct facts *facts = walk->facts;
        /* day_start is the same in all versions */
        const struct fact_rule *any = versions_at(walk->timeline, walk->timeline->first);
        int64_t begin = evaluate_day_begin(facts->zone, day, any->day_start_min);
        int64_t end = evaluate_day_begin(facts->zone, day + 1, any->day_start_min);
        while (walk_end(walk, end - 1))
            state = (struct day_run){.run = 0};
        const struct fact_rule *rule =
            begin < walk->timeline->first ? NULL : versions_at(walk->timeline, begin);
        if (rule == NULL || versions_end_after(walk->timeline, begin) < end)
            continue;
        if (end + rule->grace_ms > facts->clock)
            break;
        day_decide(walk, rule, day, end, judge_day(days, rule, day), &state);
    }
    while (walk_end(walk, NEVER))
        ;
}

void walk_days(struct walk *walk)
{
    if (walk->timeline->first == NEVER)
        return;
    int64_t first = walk->timeline->first / MS_DAY - 2, last = walk->facts->clock / MS_DAY + 2;
    if (last < first)
        return;
    struct days days = {.walk = walk, .first = first - 100, .count = last - first + 101};
    days.statistic = calloc((size_t)days.count, sizeof *days.statistic);
    days.known = calloc((size_t)days.count, sizeof *days.known);
    ensure(days.statistic != NULL && days.known != NULL);
    walk_each_day(&days, first, last);
    free(days.statistic);
    free(days.known);
}
