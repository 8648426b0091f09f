/* day_statistic: the statistics of a day, against plain arithmetic; comparators; what a figure is rounded to.
 */
#include <stdlib.h>
#include <string.h>

#include "alerting/day_statistic.h"
#include "tests/unit/unit.h"

static struct day_points points;

/* An instant of numbers and comparators, as texts: "<20 70". */
static void add(enum parameter parameter, enum day_statistic statistic, const char *values)
{
    struct held held[4];
    struct instant instant = {.key = {.ms = 1}, .first = held, .end = held};
    char text[64], *rest = text;
    strcpy(text, values);
    for (const char *word; (word = strtok_r(rest, " ", &rest)) != NULL; instant.end++) {
        unsigned index = (unsigned)(instant.end - held);
        held[index] = (struct held){.flags = HELD_MEMBER, .received_ms = 100 + index};
        held[index].comparator = *word == '<'   ? COMPARATOR_LESS
                                 : *word == '>' ? COMPARATOR_GREATER
                                                : COMPARATOR_NONE;
        held[index].value = atoll(word + (held[index].comparator != COMPARATOR_NONE));
    }
    day_points_add(&points, &instant, statistic, parameter);
}

/* Instants divided by commas. */
static struct day_figure figure(enum parameter parameter, enum day_statistic statistic, const char *instants)
{
    char text[256], *rest = text;
    strcpy(text, instants);
    day_points_clear(&points);
    for (const char *word; (word = strtok_r(rest, ",", &rest)) != NULL;)
        add(parameter, statistic, word);
    return day_statistic(statistic, &points);
}

#define IS(statistic, instants, n, d, r) IS_OF(PARAMETER_BODY_WEIGHT, statistic, instants, n, d, r)
#define IS_OF(parameter, statistic, instants, n, d, r)                                                       \
    do {                                                                                                     \
        struct day_figure is = figure(parameter, statistic, instants);                                       \
        CU_ASSERT_EQUAL(is.number, n);                                                                       \
        CU_ASSERT_EQUAL(is.divisor, d);                                                                      \
        CU_ASSERT_EQUAL(is.readings, r);                                                                     \
    } while (0)

static void test_numbers(void)
{
    CU_ASSERT_EQUAL_FATAL(parameter_init(), OK);
    IS(DAY_MEDIAN, "5,1,3", 3, 1, 3);
    IS(DAY_MEDIAN, "5,1,3,4", 7, 2, 4);
    IS(DAY_MEDIAN, "7", 7, 1, 1);
    IS(DAY_MEDIAN, "7,7", 14, 2, 2);
    IS(DAY_MEAN, "5,1,3,4", 13, 4, 4);
    IS(DAY_MIN, "5,-1,3", -1, 1, 3);
    IS(DAY_MAX, "5,-1,3", 5, 1, 3);
    IS(DAY_SUM, "5,-1,3", 7, 1, 3);
    IS(DAY_COUNT, "5,-1,3", 3000000, 1, 3);
    IS(DAY_SUM, "", 0, 1, 0);
    IS(DAY_COUNT, "", 0, 1, 0);
    for (int statistic = DAY_MEDIAN; statistic <= DAY_MAX; statistic++)
        IS((enum day_statistic)statistic, "", 0, DAY_EMPTY, 0);
    day_points_deinit(&points);
}

/* One instant of several values has one: the first in series order, numbers before comparators. */
static void test_instants(void)
{
    IS(DAY_SUM, "5 9,<1 3", 8, 1, 2);
    IS(DAY_MAX, "5 9,3", 5, 1, 2);
    IS(DAY_COUNT, "5 9,<1 3", 2000000, 1, 2);
    CU_ASSERT_EQUAL(points.received_ms, 101); /* of any of them */
    day_points_deinit(&points);
}

static void test_comparators(void)
{
    enum parameter end = PARAMETER_GLUCOSE_BLOOD;
    IS(DAY_MEAN, "<9,4,6", 10, 2, 3); /* left out, and counted as readings */
    IS(DAY_SUM, "<9", 0, DAY_EMPTY, 1);
    IS(DAY_MEAN, "<9", 0, DAY_EMPTY, 1);
    IS(DAY_COUNT, "<9", 1000000, 1, 1);
    IS(DAY_MIN, "<9,4", 4, 1, 2); /* no end of a measuring range: counts as 9 */
    IS(DAY_MAX, "<9,4", 9, 1, 2);
    IS_OF(end, DAY_MIN, "<9,4", 9, DAY_BELOW, 2);
    IS_OF(end, DAY_MAX, "<9,4", 4, 1, 2);
    IS_OF(end, DAY_MAX, ">9,40", 9, DAY_ABOVE, 2);
    IS_OF(end, DAY_MEDIAN, "<9,4,>5", 4, 1, 3);
    IS_OF(end, DAY_MEDIAN, "<9,<8,>5", 9, DAY_BELOW, 3);
    IS_OF(end, DAY_MEDIAN, "<9,<8", 9, DAY_BELOW, 2); /* true of both */
    IS_OF(end, DAY_MEDIAN, ">9,>8", 8, DAY_ABOVE, 2);
    IS_OF(end, DAY_MEDIAN, "<9,4", 0, DAY_EMPTY, 2); /* between both kinds */
    IS_OF(end, DAY_MEDIAN, "<9,>8", 0, DAY_EMPTY, 2);
    IS_OF(end, DAY_MEDIAN, "<9,4,5,>8", 9, 2, 4);
    struct day_figure below = figure(end, DAY_MIN, "<9");
    CU_ASSERT_TRUE(day_has_data(&below, 1));
    CU_ASSERT_FALSE(day_has_data(&below, 2));
    CU_ASSERT_FALSE(day_is_number(&below));
    CU_ASSERT_EQUAL(day_comparator(&below), COMPARATOR_LESS);
    CU_ASSERT_EQUAL(day_rounded(&below), 9);
    day_points_deinit(&points);
}

static int compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

/* Selection against sorting, ties and all. */
static void test_medians(void)
{
    srandom(7);
    for (int round = 0; round < 3000; round++) {
        int64_t sorted[400];
        size_t count = 1 + (size_t)random() % (round % 10 == 0 ? 400 : 12);
        long spread = round % 3 == 0 ? 3 : 100000;
        day_points_clear(&points);
        for (size_t i = 0; i < count; i++) {
            struct held held = {.flags = HELD_MEMBER, .value = sorted[i] = random() % spread};
            struct instant instant = {.first = &held, .end = &held + 1};
            day_points_add(&points, &instant, DAY_MEDIAN, PARAMETER_BODY_WEIGHT);
        }
        struct day_figure is = day_statistic(DAY_MEDIAN, &points);
        qsort(sorted, count, sizeof sorted[0], compare);
        CU_ASSERT_EQUAL_FATAL(is.number * 2,
                              (sorted[(count - 1) / 2] + sorted[count / 2]) * (int64_t)is.divisor);
    }
    day_points_deinit(&points);
}

/* Half to even, both ways from zero. */
static void test_rounding(void)
{
    static const struct {
        int64_t number;
        uint16_t divisor;
        int64_t rounded;
    } rows[] = {{1, 2, 0}, {3, 2, 2}, {5, 2, 2},   {-1, 2, 0},  {-3, 2, -2}, {-5, 2, -2},
                {4, 3, 1}, {5, 3, 2}, {-4, 3, -1}, {-5, 3, -2}, {7, 1, 7},   {0, 5, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct day_figure figure = {.number = rows[i].number, .divisor = rows[i].divisor};
        CU_ASSERT_EQUAL(day_rounded(&figure), rows[i].rounded);
    }
}

SUITE(day_statistic) = {
    {"numbers", test_numbers},         {"instants of several values", test_instants},
    {"comparators", test_comparators}, {"medians by selection", test_medians},
    {"rounding", test_rounding},       {NULL, NULL},
};
