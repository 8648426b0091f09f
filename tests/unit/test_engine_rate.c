/* engine_rate: the kind `rate`, RULES.md section 3: the least-squares slope, in integers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/engine_fixture.h"

static struct fixture fixture, *const f = &fixture;

#define RATE(more)                                                                                           \
    "{'id':'t.rate','parameter':'glucose-interstitial','unit':'mg/dL','kind':'rate','priority':'high',"      \
    "'text':{'fr':'f','en':'e'}," more "}"

static void begin(const char *rule)
{
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(fixture_rule(f, 0, 0, rule), OK);
}

#define SUGAR(v, t) OFFER("glucose-interstitial", v, t)

static void test_exact_slope(void)
{
    begin(RATE("'fall_per':2,'within':'15m','readings':3"));
    SUGAR("120", 10);
    SUGAR("110", 15);
    SUGAR("100", 20); /* exactly 2 a minute */
    TRACE_IS("");
    SUGAR("89.999999", 25); /* 110, 100, 89.999999 */
    TRACE_IS("raised high 25");
    SUGAR("90", 29); /* 100, 89.999999, 90 */
    TRACE_IS("cleared high 29");
    fixture_close(f);
    begin(RATE("'rise_per':2,'within':'15m'"));
    SUGAR("100", 10);
    SUGAR("110", 15);
    TRACE_IS("");
    SUGAR("120.000001", 20);
    TRACE_IS("raised high 20");
    fixture_close(f);
}

/* (t - T, t]; at least n of them. */
static void test_window_and_readings(void)
{
    begin(RATE("'rise_per':1,'within':'15m','readings':3"));
    SUGAR("100", 10);
    SUGAR("150", 15);
    TRACE_IS(""); /* two */
    SUGAR("200", 25);
    TRACE_IS(""); /* the first is T old: two again */
    SUGAR("250", 29.99);
    TRACE_IS("raised high 29.99");
    SUGAR("250", 60); /* alone: not judged, so not cleared */
    SUGAR("250", 61);
    TRACE_IS("");
    SUGAR("250", 62);
    TRACE_IS("cleared high 62");
    fixture_close(f);
}

static void test_evidence(void)
{
    begin(RATE("'rise_per':1,'within':'30m','count':2"));
    SUGAR("100", 10);
    SUGAR("120", 15);
    SUGAR("140", 20);
    SUGAR("160", 45); /* with 140: less than 1 */
    TRACE_IS("raised high 20 | cleared high 45");
    const json_t *raised = fixture_last(f, "raised"), *readings = json_object_get(raised, "readings");
    CU_ASSERT_EQUAL(json_array_size(readings), 2);
    CU_ASSERT_STRING_EQUAL(event_text(json_array_get(readings, 0), "measured_at"), fixture_time(10));
    CU_ASSERT_STRING_EQUAL(event_text(json_array_get(readings, 1), "measured_at"), fixture_time(20));
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(raised, "readings_in_breach")), 2);
    readings = json_object_get(fixture_last(f, "cleared"), "readings");
    CU_ASSERT_STRING_EQUAL(event_text(json_array_get(readings, 0), "measured_at"), fixture_time(20));
    fixture_close(f);
}

/* All of one instant: not judged. Of ties each is a reading. */
static void test_ties(void)
{
    begin(RATE("'rise_per':1,'fall_per':1,'within':'30m'"));
    SUGAR("100", 10);
    fixture_offer(
        f, (struct offer){.parameter = "glucose-interstitial", .value = "200", .at = 10, .device = "E"});
    TRACE_IS("");
    SUGAR("150", 11); /* slope 0 of 100, 200 and 150 */
    TRACE_IS("");
    fixture_offer(
        f, (struct offer){.parameter = "glucose-interstitial", .value = "160", .at = 11, .device = "E"});
    TRACE_IS("raised high 11"); /* (150 + 160) / 2 - 150 = 5 a minute */
    fixture_close(f);
}

static void test_one_moment_clears_nothing(void)
{
    begin(RATE("'rise_per':1,'within':'30m'"));
    SUGAR("100", 10);
    SUGAR("150", 20);
    SUGAR("150", 100);
    fixture_offer(
        f, (struct offer){.parameter = "glucose-interstitial", .value = "150", .at = 100, .device = "E"});
    TRACE_IS("raised high 20");
    SUGAR("150", 101);
    TRACE_IS("cleared high 101");
    fixture_close(f);
}

/* Over years the sums are counted from one origin after another. */
static void test_origin_moves(void)
{
    char value[32];
    fixture_open_patient(f);
    CU_ASSERT_EQUAL_FATAL(
        fixture_rule(f, 0, 0,
                     "{'id':'t.kg','parameter':'body-weight','unit':'kg','kind':'rate','rise_per':0.00001,"
                     "'within':'30d','readings':3,'priority':'low','text':{'fr':'f','en':'e'}}"),
        OK);
    for (int step = 0; step <= 600; step++) { /* 6 days: 0.0864 kg; a rest of a millionth only at the end */
        int64_t millionths = 70000000 + 86400LL * step + (step == 600);
        snprintf(value, sizeof value, "%lld.%06lld", (long long)(millionths / 1000000),
                 (long long)(millionths % 1000000));
        OFFER("body-weight", value, 10 + step * 6.0 * DAY_MIN);
        CU_ASSERT_EQUAL_FATAL(fixture_last(f, "raised") != NULL, step == 600);
    }
    fixture_close(f);
}

/* One value each, the first number in series order; the instant at hand too. */
static void test_instant_of_several_values(void)
{
    begin(RATE("'rise_per':1,'within':'30m'"));
    SUGAR("100", 10);
    struct offer both[] = {{.parameter = "glucose-interstitial", .value = "200", .at = 20},
                           {.parameter = "glucose-interstitial", .value = "105", .at = 20}};
    fixture_offer_all(f, both, 2, 20);
    TRACE_IS(""); /* 105: half a unit a minute */
    SUGAR("116", 21);
    TRACE_IS("raised high 21");
    fixture_close(f);
}

/* Left out of the window, and not judged. */
static void test_comparators(void)
{
    begin(RATE("'fall_per':1,'within':'30m','readings':3"));
    SUGAR("100", 10);
    SUGAR("<40", 11);
    SUGAR("80", 12);
    SUGAR("<40", 13);
    TRACE_IS("");
    SUGAR("75", 14);
    TRACE_IS("raised high 14");
    struct offer mixed[] = {{.parameter = "glucose-interstitial", .value = "<40", .at = 15},
                            {.parameter = "glucose-interstitial", .value = "130", .at = 15}};
    fixture_offer_all(f, mixed, 2, 15); /* its number counts */
    TRACE_IS("cleared high 15");
    fixture_close(f);
}

static void test_late_and_void(void)
{
    begin(RATE("'fall_per':2,'within':'20m','readings':3"));
    SUGAR("120", 10);
    SUGAR("95", 20);
    TRACE_IS("");
    fixture_offer(
        f, (struct offer){.parameter = "glucose-interstitial", .value = "110", .at = 15, .received = 21});
    TRACE_IS("raised high 20");
    fixture_offer(
        f,
        (struct offer){
            .parameter = "glucose-interstitial", .value = "120", .at = 10, .received = 22, .status = "void"});
    TRACE_IS("~cancelled high 20 (void)");
    fixture_close(f);
}

/* Another window from a version on; the priority as judge.h says. */
static void test_versions(void)
{
    begin(RATE("'rise_per':1,'within':'10m'"));
    SUGAR("100", 10);
    SUGAR("104", 14);
    SUGAR("112", 22);
    TRACE_IS("");
    CU_ASSERT_EQUAL(fixture_rule(f, 23, 23, RATE("'rise_per':1,'within':'30m','readings':4")), OK);
    SUGAR("120", 24);
    TRACE_IS("raised high 24"); /* 100 104 112 120 at 10 14 22 24: 1.28 */
    CU_ASSERT_EQUAL(fixture_rule(f, 25, 25, RATE("'rise_per':5,'within':'5m','readings':2")), OK);
    SUGAR("126", 26);
    TRACE_IS("cleared high 26");
    SUGAR("140", 27);
    TRACE_IS("raised high 27"); /* 112, 5 minutes old, is out: 120 126 140 */
    const json_t *readings = json_object_get(fixture_last(f, "raised"), "readings");
    CU_ASSERT_STRING_EQUAL(event_text(json_array_get(readings, 0), "measured_at"), fixture_time(24));
    fixture_close(f);
}

/* While no version is in force readings are remembered. */
static void test_window_outlives_the_rule(void)
{
    begin(RATE("'rise_per':1,'within':'30m'"));
    SUGAR("100", 10);
    CU_ASSERT_EQUAL(fixture_rule(f, 11, 11, RATE("'rise_per':1,'within':'30m','enabled':false")), OK);
    SUGAR("150", 20);
    CU_ASSERT_EQUAL(fixture_rule(f, 21, 21, RATE("'rise_per':1,'within':'30m','readings':3")), OK);
    SUGAR("200", 30);
    TRACE_IS("raised high 30");
    fixture_close(f);
}

/* ---- against the formula, over exact products that no 128 bits hold ---- */

/* 256 bits, four limbs, least first. */
struct big {
    uint64_t limb[4];
};

static struct big big_times(unsigned __int128 a, unsigned __int128 b)
{
    uint64_t x[2] = {(uint64_t)a, (uint64_t)(a >> 64)}, y[2] = {(uint64_t)b, (uint64_t)(b >> 64)};
    struct big big = {{0}};
    for (unsigned i = 0; i < 2; i++) {
        unsigned __int128 carry = 0;
        for (unsigned k = 0; k < 2; k++) {
            carry += (unsigned __int128)x[i] * y[k] + big.limb[i + k];
            big.limb[i + k] = (uint64_t)carry;
            carry >>= 64;
        }
        big.limb[i + 2] = (uint64_t)carry;
    }
    return big;
}

static int big_compare(const struct big *a, const struct big *b)
{
    for (int i = 3; i >= 0; i--)
        if (a->limb[i] != b->limb[i])
            return a->limb[i] < b->limb[i] ? -1 : 1;
    return 0;
}

enum { FORMULA_READINGS = 300, FORMULA_SEEDS = 60 };

struct sample {
    int64_t ms, value; /* millionths */
};

static uint64_t dice;
static uint64_t roll(uint64_t sides)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (dice >> 20) % sides;
}

/* -1 not judged, 0 no breach, 1 breach. */
static int by_the_formula(const struct sample *s, int at, int64_t within_ms, int readings, int64_t limit,
                          bool falls)
{
    __int128 n = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (int i = 0; i <= at; i++) {
        if (s[i].ms <= s[at].ms - within_ms)
            continue;
        __int128 dx = s[i].ms - s[at].ms, dy = s[i].value;
        n++, x += dx, y += dy, xx += dx * dx, xy += dx * dy;
    }
    __int128 up = n * xy - x * y, den = n * xx - x * x;
    if (n < readings || den == 0)
        return -1;
    up = falls ? -up : up;
    struct big left = big_times((unsigned __int128)(up < 0 ? 0 : up), 60000),
               right = big_times((unsigned __int128)den, (unsigned __int128)limit);
    return big_compare(&left, &right) > 0;
}

static void check_formula(const struct sample *s, const char *rule, int64_t within_ms, int readings,
                          int64_t limit, bool falls, unsigned *judged, unsigned *breaches)
{
    bool open = false;
    begin(rule);
    for (int i = 0; i < FORMULA_READINGS; i++) {
        char value[32];
        double minute = (double)(s[i].ms - EPOCH_MS) / MINUTE_MS;
        snprintf(value, sizeof value, "%lld.%06lld", (long long)(s[i].value / 1000000),
                 (long long)(s[i].value % 1000000));
        OFFER("glucose-interstitial", value, minute);
        int expected = by_the_formula(s, i, within_ms, readings, limit, falls);
        *judged += expected >= 0;
        *breaches += expected == 1;
        open = expected < 0 ? open : expected == 1;
        const json_t *last = f->count == 0 ? NULL : f->events[f->count - 1];
        bool is_open = last != NULL && strcmp(event_text(last, "state"), "open") == 0 &&
                       strcmp(event_text(last, "class"), "clinical") == 0;
        CU_ASSERT_EQUAL_FATAL(is_open, open);
    }
    fixture_close(f);
}

static void test_formula(void)
{
    static struct sample samples[FORMULA_READINGS];
    unsigned judged = 0, breaches = 0;
    for (uint64_t seed = 1; seed <= FORMULA_SEEDS; seed++) {
        char rule[320];
        dice = seed;
        int within_min = 3 + (int)roll(seed % 5 == 0 ? 20000 : 60), readings = 2 + (int)roll(4);
        int64_t limit = 100000 * (int64_t)(1 + roll(20)), ms = EPOCH_MS + 600000;
        bool falls = roll(2) == 0;
        for (int i = 0; i < FORMULA_READINGS; i++) {
            /* Often on the line of the limit: exactly, or one millionth beside it. */
            int64_t step_ms =
                60000 * (int64_t)(1 + roll(within_min > 100 ? 600 : 6)) / (roll(4) == 0 ? 7 : 1);
            int64_t on_line = limit * (falls ? -1 : 1) * step_ms / 60000;
            int64_t value = i == 0 || roll(10) == 0 ? 300000000 + (int64_t)roll(100000000)
                                                    : samples[i - 1].value + on_line + (int64_t)roll(3) - 1;
            ms += step_ms;
            samples[i] = (struct sample){ms, value < 0 ? 900000000 : value};
        }
        snprintf(rule, sizeof rule, RATE("'%s':%g,'within':'%dm','readings':%d"),
                 falls ? "fall_per" : "rise_per", (double)limit / 1e6, within_min, readings);
        check_formula(samples, rule, within_min * 60000LL, readings, limit, falls, &judged, &breaches);
    }
    CU_ASSERT(judged > 5000 && breaches > 1000 && breaches < judged - 1000);
}

/* ---- a denser series than what is held ---- */

/* The newest 24,576 are the window: they rise, though all that the 14 days had would fall. */
static void test_dense_series(void)
{
    static struct offer offers[4096];
    static char values[4096][16];
    begin(RATE("'rise_per':0.003,'within':'14d','readings':8192"));
    for (int part = 0; part < 8; part++) {
        for (int i = 0; i < 4096; i++) {
            int number = part * 4096 + i;
            snprintf(values[i], sizeof values[i], "%.3f", number < 8192 ? 500 : 100 + number * 0.001);
            offers[i] = (struct offer){
                .parameter = "glucose-interstitial", .value = values[i], .at = 10 + number * 0.25};
        }
        fixture_offer_all(f, offers, 4096, offers[4095].at);
        CU_ASSERT_EQUAL(fixture_last(f, "raised") != NULL &&
                            strcmp(event_text(fixture_last(f, "raised"), "class"), "clinical") == 0,
                        part == 7);
    }
    fixture_close(f);
}

SUITE(engine_rate) = {
    {"the slope is exact", test_exact_slope},
    {"edges of the window, and how many readings", test_window_and_readings},
    {"evidence: first and last", test_evidence},
    {"ties", test_ties},
    {"readings of one moment clear nothing", test_one_moment_clears_nothing},
    {"over years the origin moves", test_origin_moves},
    {"one instant of several values has one", test_instant_of_several_values},
    {"comparators are left out", test_comparators},
    {"late data and a void", test_late_and_void},
    {"versions", test_versions},
    {"the window outlives the rule", test_window_outlives_the_rule},
    {"against the formula", test_formula},
    {"a denser series than what is held", test_dense_series},
    {NULL, NULL},
};
