/* rule_parse_days: the kinds that judge days: daily, variation, baseline (RULES.md sections 3 and 3.3).
 * Choices: a sum is written in a unit that converts by a factor alone, since a sum of degrees depends on how
 * many there are; a day of variation or baseline has at least one reading. */
#include <stdio.h>
#include <string.h>

#include "alerting/rule_reader.h"

enum {
    DAILY_DAYS_MAX = 30,
    LEAK_DAYS_MIN = 3, /* IRESP 9: at least 3 consecutive days, at most 7 */
    LEAK_DAYS_MAX = 7,
    BASELINE_OVER_MAX = 90,
    GRACE_DEFAULT_MS = 6 * 3600 * 1000,
    GRACE_MAX_MS = 7 * 86400000,
};

static enum err take_statistic(struct rule_reader *reader, struct rule_days *day)
{
    static const struct reader_words words = {rule_statistic_words, DAY_STATISTIC_COUNT, true,
                                              "median, mean, min, max, sum or count"};
    unsigned number = 0;

    enum err error = reader_word(reader, "statistic", &words, &number);
    if (error != OK)
        return error;
    day->statistic = (enum day_statistic)number;
    reader->scale = day->statistic == DAY_COUNT ? SCALE_COUNT
                    : day->statistic == DAY_SUM ? SCALE_SUM
                                                : SCALE_VALUE;
    if (reader->scale == SCALE_SUM && reader->conversion->add != 0)
        return reader_refuse(reader, "unit", reader->unit, parameter_row(reader->rule->parameter)->unit);
    return OK;
}

static enum err take_day(struct rule_reader *reader, struct rule_days *day, bool may_be_empty)
{
    static const int64_t grace[2] = {0, GRACE_MAX_MS};

    day->min_readings = 1;
    day->grace_ms = GRACE_DEFAULT_MS;
    enum err error = take_statistic(reader, day);
    const unsigned bounds[2] = {may_be_empty && reader->scale != SCALE_VALUE ? 0 : 1,
                                SERIES_HELD_CONTINUOUS_MAX};
    if (error == OK)
        error = reader_day_start(reader, &day->day_start_min);
    if (error == OK)
        error = reader_whole(reader, "min_readings", bounds, &day->min_readings);
    if (error == OK)
        error = reader_duration(reader, "grace", grace, &day->grace_ms);
    return error == OK ? reader_own_priority(reader) : error;
}

static bool is_leak(enum parameter parameter)
{
    static const char prefix[] = "ventilation-leak";
    return strncmp(parameter_row(parameter)->name, prefix, sizeof(prefix) - 1) == 0;
}

static enum err take_daily_days(struct rule_reader *reader, unsigned *ret)
{
    static const unsigned any[2] = {1, DAILY_DAYS_MAX}, leak[2] = {LEAK_DAYS_MIN, LEAK_DAYS_MAX};
    bool of_leak = is_leak(reader->rule->parameter);

    *ret = 1;
    if (of_leak && reader_get(reader, "days") == NULL)
        return reader_refuse(reader, "days", "nothing",
                             "a whole number from 3 to 7 on a ventilation leak (IRESP 9)");
    return reader_whole(reader, "days", of_leak ? leak : any, ret);
}

enum err rule_parse_daily(struct rule_reader *reader)
{
    static const char *const items[] = {"break", "skip"};
    static const struct reader_words words = {items, 2, false, "break or skip"};
    struct rule_daily *daily = &reader->rule->daily;
    unsigned missing = 0;

    enum err error = take_day(reader, &daily->day, true);
    if (error == OK)
        error = reader_bound(reader, &daily->bound);
    if (error == OK)
        error = take_daily_days(reader, &daily->days);
    if (error == OK)
        error = reader_word(reader, "missing", &words, &missing);
    daily->skip = missing == 1;
    return error;
}

enum err rule_parse_variation(struct rule_reader *reader)
{
    struct rule_variation *variation = &reader->rule->variation;
    const json_t *minimum = reader_get(reader, "minimum");

    enum err error = take_day(reader, &variation->day, false);
    if (error == OK)
        error = reader_amounts(reader, &variation->difference);
    variation->has_minimum = minimum != NULL;
    if (error == OK && minimum != NULL)
        error = reader_limit(reader, "minimum", minimum, &variation->minimum);
    return error;
}

enum err rule_parse_baseline(struct rule_reader *reader)
{
    static const unsigned over[2] = {1, BASELINE_OVER_MAX}, days[2] = {1, DAILY_DAYS_MAX};
    struct rule_baseline *baseline = &reader->rule->baseline;

    enum err error = take_day(reader, &baseline->day, false);
    if (error == OK)
        error = reader_amounts(reader, &baseline->difference);
    if (error == OK && reader_get(reader, "over") == NULL)
        error = reader_refuse(reader, "over", "nothing", "how many days the baseline is made of, 1 to 90");
    if (error == OK)
        error = reader_whole(reader, "over", over, &baseline->over);
    const unsigned min_days[2] = {1, baseline->over};
    if (error == OK && reader_get(reader, "min_days") == NULL)
        error =
            reader_refuse(reader, "min_days", "nothing", "how many of those days must have data, 1 to over");
    if (error == OK)
        error = reader_whole(reader, "min_days", min_days, &baseline->min_days);
    baseline->days = 1;
    return error == OK ? reader_whole(reader, "days", days, &baseline->days) : error;
}
