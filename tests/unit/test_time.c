/* instant and zone: texts, durations, and days of 23, 24, 25 hours and odder ones. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/base/instant.h"
#include "daemon/base/zone.h"
#include "tests/unit/unit.h"

static int64_t at(const char *text)
{
    struct instant_parsed parsed;
    CU_ASSERT_EQUAL_FATAL(instant_parse(text, strlen(text), &parsed), INSTANT_GOOD);
    return parsed.ms;
}

static void test_parse(void)
{
    static const struct {
        const char *text;
        enum instant_fault fault;
        int64_t ms;
        int offset_min;
        enum instant_precision precision;
    } rows[] = {
        {"2026-11-21T08:30:00+01:00", INSTANT_GOOD, 1795246200000, 60, PRECISION_TIME},
        {"2026-11-21T07:30:00Z", INSTANT_GOOD, 1795246200000, 0, PRECISION_TIME},
        {"2026-11-21T07:30Z", INSTANT_GOOD, 1795246200000, 0, PRECISION_TIME},
        {"2026-11-21T02:00:00.1239999-05:30", INSTANT_GOOD, 1795246200123, -330, PRECISION_TIME},
        {"2026-11-21T07:30:00.5Z", INSTANT_GOOD, 1795246200500, 0, PRECISION_TIME},
        {"2016-12-31T23:59:60Z", INSTANT_GOOD, 1483228800000, 0, PRECISION_TIME},
        {"1999-07-02", INSTANT_GOOD, 930873600000, 0, PRECISION_DAY},
        {"2024-02-29", INSTANT_GOOD, 1709164800000, 0, PRECISION_DAY},
        {"1969-12-31T23:59:59.999Z", INSTANT_GOOD, -1, 0, PRECISION_TIME},
        {"2026-11-21T08:30:00", INSTANT_NO_OFFSET, 0, 0, PRECISION_TIME},
        {"2026-11-21T08:30", INSTANT_NO_OFFSET, 0, 0, PRECISION_TIME},
        {"2026", INSTANT_MALFORMED, 0, 0, PRECISION_TIME},
        {"2026-11", INSTANT_MALFORMED, 0, 0, PRECISION_TIME},
        {"2023-02-29", INSTANT_MALFORMED, 0, 0, PRECISION_TIME},
        {"2026-13-01", INSTANT_MALFORMED, 0, 0, PRECISION_TIME},
        {"2026-11-21 08:30:00Z", INSTANT_MALFORMED, 0, 0, PRECISION_TIME},
        {"2026-11-21T24:00:00Z", INSTANT_MALFORMED, 0, 0, PRECISION_TIME},
        {"2026-11-21T08:30:00.Z", INSTANT_MALFORMED, 0, 0, PRECISION_TIME},
        {"2026-11-21T08:30:00+0100", INSTANT_MALFORMED, 0, 0, PRECISION_TIME},
        {"2026-11-21T08:30:00+15:00", INSTANT_MALFORMED, 0, 0, PRECISION_TIME},
        {"2026-11-21T08:30:00ZZ", INSTANT_MALFORMED, 0, 0, PRECISION_TIME},
        {"", INSTANT_MALFORMED, 0, 0, PRECISION_TIME},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct instant_parsed parsed = {.ms = 0};
        enum instant_fault fault = instant_parse(rows[i].text, strlen(rows[i].text), &parsed);
        if (fault != rows[i].fault || parsed.ms != rows[i].ms)
            fprintf(stderr, "\n  %s: fault %d ms %lld\n", rows[i].text, fault, (long long)parsed.ms);
        CU_ASSERT_EQUAL(fault, rows[i].fault);
        CU_ASSERT_EQUAL(parsed.ms, rows[i].ms);
        CU_ASSERT_EQUAL(parsed.utc_offset_min, rows[i].offset_min);
        CU_ASSERT_EQUAL(parsed.precision, rows[i].precision);
    }
}

static void test_format(void)
{
    char text[INSTANT_TEXT_MAX];
    CU_ASSERT_EQUAL(instant_format(1795246200123, text), 24);
    CU_ASSERT_STRING_EQUAL(text, "2026-11-21T07:30:00.123Z");
    instant_format(-1, text);
    CU_ASSERT_STRING_EQUAL(text, "1969-12-31T23:59:59.999Z");
    for (int64_t days = -719528; days < 2932896; days += 97) { /* years 0000 to 9999, there and back */
        int year, month, day;
        instant_civil_from_days(days, &year, &month, &day);
        CU_ASSERT_EQUAL_FATAL(instant_days_from_civil(year, month, day), days);
        CU_ASSERT_TRUE_FATAL(month >= 1 && month <= 12 && day >= 1 && day <= 31);
    }
}

static void test_duration(void)
{
    static const struct {
        const char *text;
        enum err error;
        int64_t ms;
    } rows[] = {{"250ms", OK, 250},     {"30s", OK, 30000},      {"5m", OK, 300000},
                {"36h", OK, 129600000}, {"14d", OK, 1209600000}, {"0s", OK, 0},
                {"", ERR_FORMAT, 0},    {"h", ERR_FORMAT, 0},    {"5", ERR_FORMAT, 0},
                {"5 m", ERR_FORMAT, 0}, {"-5m", ERR_FORMAT, 0},  {"1.5h", ERR_FORMAT, 0},
                {"5w", ERR_FORMAT, 0},  {"5M", ERR_FORMAT, 0},   {"99999999999999999999d", ERR_LIMIT, 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t ms = 0;
        CU_ASSERT_EQUAL(instant_parse_duration(rows[i].text, strlen(rows[i].text), &ms), rows[i].error);
        CU_ASSERT_EQUAL(ms, rows[i].ms);
    }
}

static struct zone *load(const char *name)
{
    struct zone *zone = NULL;
    CU_ASSERT_EQUAL_FATAL(zone_load(name, &zone), OK);
    return zone;
}

/* `text` is the UTC instant at which the local date `date` begins at `minute`. */
static void check_start(const struct zone *zone, const char *date, int minute, const char *text)
{
    char found[INSTANT_TEXT_MAX];
    int64_t start_ms = zone_day_start_ms(zone, at(date) / 86400000, minute);
    instant_format(start_ms, found);
    if (start_ms != at(text))
        fprintf(stderr, "\n  %s %s +%d: %s\n", zone_name(zone), date, minute, found);
    CU_ASSERT_EQUAL(start_ms, at(text));
}

static void test_paris(void)
{
    struct zone *zone = load("Europe/Paris");
    CU_ASSERT_STRING_EQUAL(zone_name(zone), "Europe/Paris");
    CU_ASSERT_EQUAL(zone_offset_s(zone, at("2026-11-21T07:30:00Z")), 3600);
    CU_ASSERT_EQUAL(zone_offset_s(zone, at("2026-07-01T00:00:00Z")), 7200);
    CU_ASSERT_EQUAL(zone_offset_s(zone, at("2026-03-29T00:59:59.999Z")), 3600);
    CU_ASSERT_EQUAL(zone_offset_s(zone, at("2026-03-29T01:00:00Z")), 7200);
    CU_ASSERT_EQUAL(zone_offset_s(zone, at("2026-10-25T00:59:59.999Z")), 7200);
    CU_ASSERT_EQUAL(zone_offset_s(zone, at("2026-10-25T01:00:00Z")), 3600);
    /* 23 hours, then a day of 25 hours; a year far in the rule of the footer too */
    check_start(zone, "2026-03-29", 0, "2026-03-28T23:00:00Z");
    check_start(zone, "2026-03-30", 0, "2026-03-29T22:00:00Z");
    check_start(zone, "2026-10-25", 0, "2026-10-24T22:00:00Z");
    check_start(zone, "2026-10-26", 0, "2026-10-25T23:00:00Z");
    check_start(zone, "2091-03-25", 0, "2091-03-24T23:00:00Z");
    check_start(zone, "2091-03-26", 0, "2091-03-25T22:00:00Z");
    /* 02:30 does not exist on one day: the first instant behind the gap; on another it comes twice: the first
     */
    check_start(zone, "2026-03-29", 150, "2026-03-29T01:00:00Z");
    check_start(zone, "2026-10-25", 150, "2026-10-25T00:30:00Z");
    CU_ASSERT_EQUAL(zone_local_day(zone, at("2026-11-20T23:00:00Z")), at("2026-11-21") / 86400000);
    CU_ASSERT_EQUAL(zone_local_day(zone, at("2026-11-20T22:59:59.999Z")), at("2026-11-20") / 86400000);
    zone_free(zone);
}

static void test_odd_days(void)
{
    struct zone *zone = load("America/Santiago"); /* its midnight is skipped: 00:00 becomes 01:00 */
    check_start(zone, "2026-09-06", 0, "2026-09-06T04:00:00Z");
    check_start(zone, "2026-09-07", 0, "2026-09-07T03:00:00Z");
    check_start(zone, "2026-04-05", 0,
                "2026-04-05T04:00:00Z"); /* 24:00 became 23:00: the second midnight is the only one */
    zone_free(zone);

    zone = load("Pacific/Apia"); /* 30 December 2011 does not exist */
    check_start(zone, "2011-12-30", 0, "2011-12-30T10:00:00Z");
    check_start(zone, "2011-12-31", 0, "2011-12-30T10:00:00Z");
    zone_free(zone);

    zone = load("America/Havana"); /* 01:00 becomes 00:00: the midnight that comes first counts */
    check_start(zone, "2026-11-01", 0, "2026-11-01T04:00:00Z");
    zone_free(zone);

    zone = load("Australia/Sydney"); /* summer over the turn of the year, by the footer's rule */
    CU_ASSERT_EQUAL(zone_offset_s(zone, at("2060-01-15T00:00:00Z")), 39600);
    CU_ASSERT_EQUAL(zone_offset_s(zone, at("2060-07-15T00:00:00Z")), 36000);
    zone_free(zone);

    zone = load("Asia/Kathmandu");
    CU_ASSERT_EQUAL(zone_offset_s(zone, at("2026-07-15T00:00:00Z")), 20700);
    zone_free(zone);
    zone = load("UTC");
    CU_ASSERT_EQUAL(zone_offset_s(zone, at("2026-07-15T00:00:00Z")), 0);
    check_start(zone, "2026-07-15", 720, "2026-07-15T12:00:00Z");
    zone_free(zone);
}

/* The C library reads the same files: every hour of some years must agree with it. */
static void check_against_libc(const char *name)
{
    struct zone *zone = load(name);
    setenv("TZ", name, 1);
    tzset();
    for (int64_t s = at("2006-01-01") / 1000; s < at("2044-01-01") / 1000; s += 3600 * 7) {
        time_t when = (time_t)s;
        struct tm local;
        localtime_r(&when, &local);
        CU_ASSERT_EQUAL_FATAL(zone_offset_s(zone, s * 1000), local.tm_gmtoff);
    }
    unsetenv("TZ");
    tzset();
    zone_free(zone);
}

static void test_against_libc(void)
{
    static const char *const names[] = {"Europe/Paris",        "America/New_York",  "America/Santiago",
                                        "Australia/Lord_Howe", "Africa/Casablanca", "Europe/Dublin",
                                        "America/Nuuk",        "Asia/Gaza"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        check_against_libc(names[i]);
}

static void test_unknown_zone(void)
{
    static const char *const names[] = {
        "", "Europe/Atlantis", "../../../etc/passwd", "/etc/localtime", "tzdata.zi", "Europe"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct zone *zone = NULL;
        CU_ASSERT_NOT_EQUAL(zone_load(names[i], &zone), OK);
        CU_ASSERT_PTR_NULL(zone);
    }
}

SUITE(time) = {
    {"parse instants", test_parse},       {"format instants and dates", test_format},
    {"durations", test_duration},         {"Paris", test_paris},
    {"odd days", test_odd_days},          {"offsets as the C library has them", test_against_libc},
    {"unknown zones", test_unknown_zone}, {NULL, NULL},
};
