/* zone: a TZif file (RFC 8536) read once: explicit transitions, then the rule of its footer for ever after.
 *
 *   "TZif" version 15x0  six counts      first block: 32-bit times, skipped
 *   "TZif" version 15x0  six counts      second block: 64-bit times
 *       transition times [timecnt x 8]  types [timecnt]  ttinfo [typecnt x 6: offset, dst, index]  rest
 *   LF  POSIX TZ rule  LF                e.g. CET-1CEST,M3.5.0,M10.5.0/3
 *
 * Times of the footer rule have at most two changes a year. Names are checked: a zone comes from an import
 * and must never become a path outside the zone directory. */
#include "daemon/base/zone.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/buffer.h"
#include "daemon/base/file.h"
#include "daemon/base/instant.h"

enum {
    HEADER_BYTES = 44,
    FILE_BYTES_MAX = 1 << 20,
    TRANSITIONS_MAX = 4096,
    TYPES_MAX = 256,
    NAME_BYTES_MAX = 64,
    DAY_S = 86400,
    OFFSET_S_MAX = 26 * 3600, /* RFC 8536 section 3.2 allows no more */
};

/* One end of daylight saving time in a POSIX rule. */
struct change {
    enum { JULIAN_NO_LEAP, DAY_OF_YEAR, MONTH_WEEK } form;
    int day, month, week;
    int time_s; /* local, after midnight; -167 h .. 167 h */
};

struct rule {
    bool exists, has_dst;
    int32_t standard_s, dst_s;
    struct change start, end;
};

struct zone {
    char name[NAME_BYTES_MAX + 1];
    uint32_t count;
    int64_t *at_s;      /* transitions, ascending */
    int32_t *offset_s;  /* in force from at_s[i] */
    int32_t first_s;    /* before the first transition */
    struct rule footer; /* after the last one */
};

/* --- POSIX rule --- */

struct reader {
    const char *at, *end;
};

static bool accept(struct reader *reader, char c)
{
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

static bool read_number(struct reader *reader, int max, int *ret)
{
    const char *start = reader->at;
    int value = 0;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9' && value <= max)
        value = value * 10 + (*reader->at++ - '0');
    *ret = value;
    return reader->at > start && value <= max;
}

/* [+-]hh[:mm[:ss]] */
static bool read_time(struct reader *reader, int *ret_s)
{
    int hour, minute = 0, second = 0;
    int sign = accept(reader, '-') ? -1 : 1;
    if (sign > 0)
        (void)accept(reader, '+');
    if (!read_number(reader, 167, &hour))
        return false;
    if (accept(reader, ':') && !read_number(reader, 59, &minute))
        return false;
    if (accept(reader, ':') && !read_number(reader, 59, &second))
        return false;
    *ret_s = sign * (hour * 3600 + minute * 60 + second);
    return true;
}

/* A designation: letters, or anything between < and >. */
static bool skip_designation(struct reader *reader)
{
    const char *start = reader->at;
    if (accept(reader, '<')) {
        while (reader->at < reader->end && *reader->at != '>')
            reader->at++;
        return accept(reader, '>');
    }
    while (reader->at < reader->end && ((*reader->at | 0x20) >= 'a' && (*reader->at | 0x20) <= 'z'))
        reader->at++;
    return reader->at - start >= 3;
}

static bool read_change(struct reader *reader, struct change *change)
{
    change->time_s = 2 * 3600;
    if (accept(reader, 'M')) {
        change->form = MONTH_WEEK;
        if (!read_number(reader, 12, &change->month) || !accept(reader, '.') ||
            !read_number(reader, 5, &change->week) || !accept(reader, '.') ||
            !read_number(reader, 6, &change->day))
            return false;
        if (change->month < 1 || change->week < 1)
            return false;
    } else {
        change->form = accept(reader, 'J') ? JULIAN_NO_LEAP : DAY_OF_YEAR;
        if (!read_number(reader, 365, &change->day))
            return false;
    }
    return !accept(reader, '/') || read_time(reader, &change->time_s);
}

static bool read_rule(struct reader *reader, struct rule *rule)
{
    int west_s;
    rule->exists = reader->at < reader->end;
    if (!rule->exists)
        return true;
    if (!skip_designation(reader) || !read_time(reader, &west_s))
        return false;
    rule->standard_s = -west_s; /* POSIX counts west of Greenwich */
    rule->has_dst = reader->at < reader->end;
    if (!rule->has_dst)
        return true;
    if (!skip_designation(reader))
        return false;
    west_s -= 3600;
    if (reader->at < reader->end && *reader->at != ',' && !read_time(reader, &west_s))
        return false;
    rule->dst_s = -west_s;
    return accept(reader, ',') && read_change(reader, &rule->start) && accept(reader, ',') &&
           read_change(reader, &rule->end) && reader->at == reader->end;
}

/* Day of a change in `year`, counted since 1970. */
static int64_t change_day(const struct change *change, int year)
{
    int64_t january = instant_days_from_civil(year, 1, 1), march = instant_days_from_civil(year, 3, 1);
    if (change->form == DAY_OF_YEAR)
        return january + change->day;
    if (change->form == JULIAN_NO_LEAP) /* 1..365, 29 February is never counted: day 60 is 1 March */
        return change->day >= 60 ? march + change->day - 60 : january + change->day - 1;
    int64_t first = instant_days_from_civil(year, change->month, 1);
    int64_t next = change->month == 12 ? instant_days_from_civil(year + 1, 1, 1)
                                       : instant_days_from_civil(year, change->month + 1, 1);
    int64_t weekday = ((first + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
    int64_t day = first + (change->day - weekday + 7) % 7 + 7 * (change->week - 1);
    return day >= next ? day - 7 : day; /* week 5 is the last one */
}

/* The two changes of a year as instants. */
static void rule_changes(const struct rule *rule, int year, int64_t *ret_start_s, int64_t *ret_end_s)
{
    *ret_start_s = change_day(&rule->start, year) * DAY_S + rule->start.time_s - rule->standard_s;
    *ret_end_s = change_day(&rule->end, year) * DAY_S + rule->end.time_s - rule->dst_s;
}

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int year_of(int64_t local_s)
{
    int year, month, day;
    instant_civil_from_days(floor_divide(local_s, DAY_S), &year, &month, &day);
    return year;
}

static int32_t rule_offset_s(const struct rule *rule, int64_t at_s)
{
    int64_t start_s, end_s;
    if (!rule->has_dst)
        return rule->standard_s;
    rule_changes(rule, year_of(at_s + rule->standard_s), &start_s, &end_s);
    bool dst = start_s < end_s ? at_s >= start_s && at_s < end_s : at_s >= start_s || at_s < end_s;
    return dst ? rule->dst_s : rule->standard_s;
}

/* The earliest change after `at_s`; INT64_MAX without. */
static int64_t rule_next_change_s(const struct rule *rule, int64_t at_s)
{
    int64_t next_s = INT64_MAX;
    if (!rule->has_dst)
        return next_s;
    int year = year_of(at_s + rule->standard_s);
    for (int y = year - 1; y <= year + 1; y++) {
        int64_t change_s[2];
        rule_changes(rule, y, &change_s[0], &change_s[1]);
        for (int i = 0; i < 2; i++)
            if (change_s[i] > at_s && change_s[i] < next_s)
                next_s = change_s[i];
    }
    return next_s;
}

/* --- TZif --- */

struct counts {
    uint32_t isut, isstd, leap, time, type, character;
};

static uint64_t load_be(const uint8_t *bytes, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

static bool read_header(const uint8_t *data, size_t size, struct counts *counts)
{
    if (size < HEADER_BYTES || memcmp(data, "TZif", 4) != 0 || data[4] < '2')
        return false;
    uint32_t *fields[] = {&counts->isut, &counts->isstd, &counts->leap,
                          &counts->time, &counts->type,  &counts->character};
    for (int i = 0; i < 6; i++)
        *fields[i] = (uint32_t)load_be(data + 20 + 4 * i, 4);
    return counts->time <= TRANSITIONS_MAX && counts->type >= 1 && counts->type <= TYPES_MAX &&
           counts->leap <= TRANSITIONS_MAX && counts->character <= FILE_BYTES_MAX &&
           counts->isut <= TYPES_MAX && counts->isstd <= TYPES_MAX;
}

static size_t block_bytes(const struct counts *counts, size_t time_bytes)
{
    return counts->time * (time_bytes + 1) + counts->type * 6 + counts->character +
           counts->leap * (time_bytes + 4) + counts->isstd + counts->isut;
}

static bool read_transitions(struct zone *zone, const uint8_t *data, const struct counts *counts)
{
    const uint8_t *types = data + 8 * (size_t)counts->time, *infos = types + counts->time;

    zone->count = counts->time;
    zone->at_s = calloc(counts->time + 1, sizeof(*zone->at_s));
    zone->offset_s = calloc(counts->time + 1, sizeof(*zone->offset_s));
    ensure(zone->at_s != NULL && zone->offset_s != NULL);
    zone->first_s = (int32_t)load_be(infos, 4);
    for (uint32_t i = 0; i < counts->time; i++) {
        if (types[i] >= counts->type)
            return false;
        zone->at_s[i] = (int64_t)load_be(data + 8 * (size_t)i, 8);
        zone->offset_s[i] = (int32_t)load_be(infos + 6 * (size_t)types[i], 4);
        if (i > 0 && zone->at_s[i] <= zone->at_s[i - 1])
            return false;
        if (zone->offset_s[i] < -OFFSET_S_MAX || zone->offset_s[i] > OFFSET_S_MAX)
            return false;
    }
    return true;
}

static bool read_file(struct zone *zone, const uint8_t *data, size_t size)
{
    struct counts counts;
    if (!read_header(data, size, &counts) || block_bytes(&counts, 4) > size - HEADER_BYTES)
        return false;
    size_t skip = HEADER_BYTES + block_bytes(&counts, 4);
    data += skip;
    size -= skip;
    if (!read_header(data, size, &counts) || block_bytes(&counts, 8) > size - HEADER_BYTES)
        return false;
    if (!read_transitions(zone, data + HEADER_BYTES, &counts))
        return false;
    skip = HEADER_BYTES + block_bytes(&counts, 8);
    const char *footer = (const char *)data + skip;
    const char *end = size > skip + 1 ? memchr(footer + 1, '\n', size - skip - 1) : NULL;
    if (size <= skip + 1 || *footer != '\n' || end == NULL)
        return false;
    struct reader reader = {footer + 1, end};
    return read_rule(&reader, &zone->footer);
}

static bool name_is_safe(const char *name)
{
    size_t size = strlen(name);
    if (size == 0 || size > NAME_BYTES_MAX || *name == '/' || name[size - 1] == '/' ||
        strstr(name, "..") != NULL)
        return false;
    for (; *name != '\0'; name++)
        if (!((*name | 0x20) >= 'a' && (*name | 0x20) <= 'z') && !(*name >= '0' && *name <= '9') &&
            strchr("_+-/", *name) == NULL)
            return false;
    return true;
}

enum err zone_load(const char *name, struct zone **ret_zone)
{
    struct buffer file = {0};
    char path[512];
    const char *directory = getenv("TZDIR");

    if (!name_is_safe(name))
        return ERR_NOT_FOUND;
    if (directory == NULL || *directory == '\0')
        directory = "/usr/share/zoneinfo";
    int length = snprintf(path, sizeof(path), "%s/%s", directory, name);
    if (length < 0 || (size_t)length >= sizeof(path))
        return ERR_LIMIT;
    struct zone *zone = calloc(1, sizeof(*zone));
    if (zone == NULL)
        return ERR_NO_MEMORY;
    memcpy(zone->name, name, strlen(name) + 1);
    enum err error = file_read(path, FILE_BYTES_MAX, &file);
    if (error != OK)
        goto fail_free;
    error = ERR_NOT_FOUND; /* a file of the directory that is no zone, such as tzdata.zi */
    if (!read_file(zone, (const uint8_t *)file.data, file.size))
        goto fail_free;
    buffer_deinit(&file);
    *ret_zone = zone;
    return OK;

fail_free:
    buffer_deinit(&file);
    zone_free(zone);
    return error;
}

void zone_free(struct zone *zone)
{
    if (zone == NULL)
        return;
    free(zone->at_s);
    free(zone->offset_s);
    free(zone);
}

const char *zone_name(const struct zone *zone)
{
    return zone->name;
}

/* Number of transitions at or before the instant. */
static uint32_t transitions_until(const struct zone *zone, int64_t at_s)
{
    uint32_t low = 0, high = zone->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (zone->at_s[middle] <= at_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int32_t offset_at_s(const struct zone *zone, int64_t at_s)
{
    uint32_t passed = transitions_until(zone, at_s);
    if (passed == zone->count && zone->footer.exists)
        return rule_offset_s(&zone->footer, at_s);
    return passed == 0 ? zone->first_s : zone->offset_s[passed - 1];
}

static int64_t next_change_s(const struct zone *zone, int64_t at_s)
{
    uint32_t passed = transitions_until(zone, at_s);
    if (passed < zone->count)
        return zone->at_s[passed];
    return zone->footer.exists ? rule_next_change_s(&zone->footer, at_s) : INT64_MAX;
}

int32_t zone_offset_s(const struct zone *zone, int64_t ms)
{
    return offset_at_s(zone, floor_divide(ms, 1000));
}

int64_t zone_local_day(const struct zone *zone, int64_t ms)
{
    int64_t at_s = floor_divide(ms, 1000);
    return floor_divide(at_s + offset_at_s(zone, at_s), DAY_S);
}

int64_t zone_day_start_ms(const struct zone *zone, int64_t day, int minute_of_day)
{
    ensure(minute_of_day >= 0 && minute_of_day < 24 * 60);
    int64_t local_s = day * DAY_S + (int64_t)minute_of_day * 60;

    /* Walk the stretches of constant offset; before the first one no offset reaches the wanted local time
     * yet. */
    for (int64_t from_s = local_s - OFFSET_S_MAX;;) {
        int64_t until_s = next_change_s(zone, from_s);
        int64_t at_s = local_s - offset_at_s(zone, from_s);
        if (at_s < from_s)
            at_s = from_s; /* the wanted local time was skipped: the first instant behind the gap */
        if (at_s < until_s)
            return at_s * 1000;
        from_s = until_s;
    }
}
