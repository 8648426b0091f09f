/* instant: ISO 8601 text to milliseconds and back; civil dates by Howard Hinnant's day arithmetic (eras of
 * 400 years, March first), which is exact for every year we take. */
#include "daemon/base/instant.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { DAY_MS = 86400000, OFFSET_MIN_MAX = 14 * 60 };

struct cursor {
    const char *at, *end;
};

static bool take_char(struct cursor *cursor, char wanted)
{
    if (cursor->at == cursor->end || *cursor->at != wanted)
        return false;
    cursor->at++;
    return true;
}

/* Exactly `count` digits, at most `max`. */
static bool take_number(struct cursor *cursor, int count, int max, int *ret)
{
    int value = 0;
    if (cursor->end - cursor->at < count)
        return false;
    for (int i = 0; i < count; i++, cursor->at++) {
        if (*cursor->at < '0' || *cursor->at > '9')
            return false;
        value = value * 10 + (*cursor->at - '0');
    }
    *ret = value;
    return value <= max;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool take_date(struct cursor *cursor, int64_t *ret_ms)
{
    int year, month, day;
    if (!take_number(cursor, 4, 9999, &year) || !take_char(cursor, '-') ||
        !take_number(cursor, 2, 12, &month) || !take_char(cursor, '-') || !take_number(cursor, 2, 31, &day))
        return false;
    if (month < 1 || day < 1 || day > days_in_month(year, month))
        return false;
    *ret_ms = instant_days_from_civil(year, month, day) * DAY_MS;
    return true;
}

/* "." and any number of digits: milliseconds, the rest cut off. */
static bool take_fraction(struct cursor *cursor, int *ret_ms)
{
    int ms = 0, scale = 100;
    if (cursor->at == cursor->end || *cursor->at < '0' || *cursor->at > '9')
        return false;
    for (; cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9'; cursor->at++, scale /= 10)
        ms += scale * (*cursor->at - '0');
    *ret_ms = ms;
    return true;
}

static bool take_time(struct cursor *cursor, int64_t *ret_ms)
{
    int hour, minute, second = 0, fraction = 0;
    if (!take_number(cursor, 2, 23, &hour) || !take_char(cursor, ':') || !take_number(cursor, 2, 59, &minute))
        return false;
    if (take_char(cursor, ':')) {
        if (!take_number(cursor, 2, 60, &second)) /* 60: a leap second, counted as the next second */
            return false;
        if (take_char(cursor, '.') && !take_fraction(cursor, &fraction))
            return false;
    }
    *ret_ms = ((int64_t)hour * 3600 + minute * 60 + second) * 1000 + fraction;
    return true;
}

static enum instant_fault take_offset(struct cursor *cursor, int *ret_minutes)
{
    int hour, minute;
    if (cursor->at == cursor->end)
        return INSTANT_NO_OFFSET;
    *ret_minutes = 0;
    if (take_char(cursor, 'Z'))
        return INSTANT_GOOD;
    int sign = *cursor->at == '-' ? -1 : 1;
    if (!take_char(cursor, '+') && !take_char(cursor, '-'))
        return INSTANT_MALFORMED;
    if (!take_number(cursor, 2, 14, &hour) || !take_char(cursor, ':') || !take_number(cursor, 2, 59, &minute))
        return INSTANT_MALFORMED;
    if (hour * 60 + minute > OFFSET_MIN_MAX)
        return INSTANT_MALFORMED;
    *ret_minutes = sign * (hour * 60 + minute);
    return INSTANT_GOOD;
}

enum instant_fault instant_parse(const char *text, size_t size, struct instant_parsed *ret)
{
    struct cursor cursor = {text, text + size};
    int64_t date_ms, time_ms;
    int offset_min = 0;

    if (!take_date(&cursor, &date_ms))
        return INSTANT_MALFORMED;
    if (cursor.at == cursor.end) {
        *ret = (struct instant_parsed){.ms = date_ms, .precision = PRECISION_DAY};
        return INSTANT_GOOD;
    }
    if (!take_char(&cursor, 'T') || !take_time(&cursor, &time_ms))
        return INSTANT_MALFORMED;
    enum instant_fault fault = take_offset(&cursor, &offset_min);
    if (fault != INSTANT_GOOD)
        return fault;
    if (cursor.at != cursor.end)
        return INSTANT_MALFORMED;
    *ret = (struct instant_parsed){
        .ms = date_ms + time_ms - (int64_t)offset_min * 60000,
        .utc_offset_min = (int16_t)offset_min,
        .precision = PRECISION_TIME,
    };
    return INSTANT_GOOD;
}

static void put_digits(char *out, int count, int64_t value)
{
    for (int i = count - 1; i >= 0; i--, value /= 10)
        out[i] = (char)('0' + value % 10);
}

size_t instant_format(int64_t ms, char out[INSTANT_TEXT_MAX])
{
    int64_t days = ms / DAY_MS - (ms % DAY_MS < 0), rest = ms - days * DAY_MS;
    int year, month, day;

    instant_civil_from_days(days, &year, &month, &day);
    ensure(year >= 0 && year <= 9999);
    memcpy(out, "0000-00-00T00:00:00.000Z", 25);
    put_digits(out, 4, year);
    put_digits(out + 5, 2, month);
    put_digits(out + 8, 2, day);
    put_digits(out + 11, 2, rest / 3600000);
    put_digits(out + 14, 2, rest / 60000 % 60);
    put_digits(out + 17, 2, rest / 1000 % 60);
    put_digits(out + 20, 3, rest % 1000);
    return 24;
}

enum err instant_parse_duration(const char *text, size_t size, int64_t *ret_ms)
{
    static const struct {
        const char *suffix;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", DAY_MS}};
    int64_t value = 0;
    size_t i = 0;

    for (; i < size && text[i] >= '0' && text[i] <= '9'; i++) {
        value = value * 10 + (text[i] - '0');
        if (value > INT64_MAX / DAY_MS / 10)
            return ERR_LIMIT;
    }
    if (i == 0)
        return ERR_FORMAT;
    for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++)
        if (strlen(units[u].suffix) == size - i && memcmp(text + i, units[u].suffix, size - i) == 0) {
            *ret_ms = value * units[u].ms;
            return OK;
        }
    return ERR_FORMAT;
}

int64_t instant_days_from_civil(int year, int month, int day)
{
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400, year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

void instant_civil_from_days(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097, day_of_era = z - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_index = (5 * day_of_year + 2) / 153; /* from March */
    int month = (int)(month_index < 10 ? month_index + 3 : month_index - 9);

    *ret_day = (int)(day_of_year - (153 * month_index + 2) / 5 + 1);
    *ret_month = month;
    *ret_year = (int)(year_of_era + era * 400 + (month <= 2));
}
