/* cases: the evaluator against episodes counted by hand from RULES.md, a row each. A row that cannot fail
 * proves nothing: the last one is wrong on purpose and must be found so.
 *
 * Times are minutes after 2026-06-01T00:00Z, in days "d" or hours "h" where that is shorter. A rule is given
 * as changes to an empty one; readings as "time:value", with "<" or ">" before a value, "p", "c" or "v" after
 * it for preliminary, corrected, void (version time: its place in the list). Episodes: "side raised-ended
 * priority@time". */
#include "tests/reference/cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/buffer.h"
#include "daemon/base/decimal.h"
#include "daemon/base/ensure.h"
#include "tests/reference/evaluator.h"

#define EPOCH      1780272000000LL /* a Monday */
#define ONE        1000000LL
#define MINUTES(n) ((n)*MS_MINUTE)

enum { WEIGHT, HEART, GLUCOSE };

struct case_row {
    const char *name;
    struct fact_rule rule;
    const char *readings, *expected;
    int64_t clock_min;
    enum fact_zone zone;
    const char *references; /* "time:value" */
};

#define HIGH_AT(p, l)  .level[p].has[HIGH] = true, .level[p].limit[HIGH] = (l)*ONE
#define LOW_AT(p, l)   .level[p].has[LOW] = true, .level[p].limit[LOW] = (l)*ONE
#define ABOVE(l)       .has[HIGH] = true, .amount[HIGH] = (l)*ONE
#define BELOW(l)       .has[LOW] = true, .amount[LOW] = (l)*ONE
#define LIMIT_RULE(p)  .kind = LIMIT, .parameter = (p)
#define ONE_RULE(k, p) .kind = (k), .parameter = (p), .priority = 2
#define DAY_RULE(k, s, n)                                                                                    \
    .kind = (k), .parameter = WEIGHT, .statistic = (s), .days = (n), .min_readings = 1, .priority = 2,       \
    .grace_ms = 6 * MS_HOUR

static const struct case_row rows[] = {
    {"a limit is strict",
     {LIMIT_RULE(HEART), HIGH_AT(2, 100)},
     "10:100 20:100.000001 30:100",
     "high 20-30 medium@20",
     1440,
     0,
     NULL},
    {"sides are two rules",
     {LIMIT_RULE(HEART), HIGH_AT(2, 100), LOW_AT(3, 50)},
     "10:120 20:40 30:120",
     "high 10-20 medium@10; high 30- medium@30; low 20-30 high@20",
     1440,
     0,
     NULL},
    {"levels up and down",
     {LIMIT_RULE(HEART), HIGH_AT(1, 100), HIGH_AT(3, 120)},
     "10:110 20:130 30:110 40:100",
     "high 10-40 low@10 high@20 low@30",
     1440,
     0,
     NULL},
    {"hysteresis",
     {LIMIT_RULE(HEART), HIGH_AT(2, 100), .hysteresis = 10 * ONE},
     "10:110 20:95 30:90",
     "high 10-30 medium@10",
     1440,
     0,
     NULL},
    {"count and clear_count",
     {LIMIT_RULE(HEART), HIGH_AT(2, 100), .count = 2, .clear_count = 2},
     "10:110 20:90 30:110 40:110 50:90 60:110 70:90 80:90",
     "high 40-80 medium@40",
     1440,
     0,
     NULL},
    {"one old reading never satisfies for",
     {LIMIT_RULE(HEART), HIGH_AT(2, 100), .for_ms = MINUTES(10), .max_gap_ms = MINUTES(30)},
     "10:110 19:110 20:110",
     "high 20- medium@20",
     1440,
     0,
     NULL},
    {"a gap restarts the runs, the level stays",
     {LIMIT_RULE(HEART), HIGH_AT(2, 100), .count = 2, .clear_count = 2, .max_gap_ms = MINUTES(30)},
     "10:110 20:110 30:90 61:90 70:90",
     "high 20-70 medium@20",
     1440,
     0,
     NULL},
    {"a comparator at the end of the range",
     {LIMIT_RULE(GLUCOSE), LOW_AT(2, 54)},
     "10:<60 20:>400",
     "low 10-20 medium@10",
     1440,
     0,
     NULL},
    {"a comparator that says nothing",
     {LIMIT_RULE(WEIGHT), LOW_AT(2, 54)},
     "10:50 20:<60 30:54",
     "low 10-30 medium@10",
     1440,
     0,
     NULL},
    {"preliminary, final, corrected, void",
     {LIMIT_RULE(HEART), HIGH_AT(2, 100)},
     "10:130p 10:90 20:90 20:130c 30:120 30:120v 40:90",
     "high 20-40 medium@20",
     1440,
     0,
     NULL},
    {"void before its original",
     {LIMIT_RULE(HEART), HIGH_AT(2, 100)},
     "10:120v 10:120 10:120",
     "",
     1440,
     0,
     NULL},
    {"a later correction takes a void back",
     {LIMIT_RULE(HEART), HIGH_AT(2, 100)},
     "10:120 10:120v 10:110c",
     "high 10- medium@10",
     1440,
     0,
     NULL},
    {"the same key twice is one instant",
     {LIMIT_RULE(HEART), HIGH_AT(2, 100), .count = 2},
     "10:110 10:120 20:110 20:90",
     "high 20- medium@20",
     1440,
     0,
     NULL},
    {"occurrences: crossings",
     {.kind = OCCURRENCES,
      .parameter = GLUCOSE,
      BELOW(54),
      .times = 2,
      .within_ms = MINUTES(60),
      .priority = 3},
     "10:50 20:50 30:54 40:50 100:54",
     "low 40-100 high@40",
     1440,
     0,
     NULL},
    {"occurrences: rearm and the open end of the window",
     {.kind = OCCURRENCES,
      .parameter = GLUCOSE,
      BELOW(54),
      .times = 2,
      .rearm = 10 * ONE,
      .within_ms = MINUTES(60),
      .priority = 3},
     "10:50 20:60 30:50 40:64 70:50 71:64",
     "",
     1440,
     0,
     NULL},
    {"occurrences: samples",
     {.kind = OCCURRENCES,
      .parameter = GLUCOSE,
      BELOW(54),
      .times = 3,
      .sample = true,
      .within_ms = MINUTES(60),
      .priority = 3},
     "10:50 20:50 30:50 80:60",
     "low 30-80 high@30",
     1440,
     0,
     NULL},
    {"change: more than a millionth above, t excluded",
     {ONE_RULE(CHANGE, WEIGHT), ABOVE(2), .within_ms = MINUTES(60)},
     "0:70 10:72.000001 20:72.000002 80:74",
     "high 20-80 medium@20",
     1440,
     0,
     NULL},
    {"change: fall in percent",
     {ONE_RULE(CHANGE, WEIGHT), BELOW(10), .percent[LOW] = true, .within_ms = MINUTES(60)},
     "0:100 10:90 20:89.999999",
     "low 20- medium@20",
     1440,
     0,
     NULL},
    {"reference: dated back",
     {ONE_RULE(REFERENCE, WEIGHT), ABOVE(1)},
     "5:72 10:71.000001 20:71.000002 30:73",
     "high 20-30 medium@20",
     1440,
     0,
     "10:70 25:72"},
    {"rate: least squares",
     {ONE_RULE(RATE, GLUCOSE), ABOVE(2), .within_ms = MINUTES(15), .readings = 3},
     "0:100 5:110 10:120.000001 15:131",
     "high 10- medium@10",
     1440,
     0,
     NULL},
    {"rate: fewer readings are not judged",
     {ONE_RULE(RATE, GLUCOSE), ABOVE(2), .within_ms = MINUTES(10), .readings = 3},
     "0:100 5:150 10:200",
     "",
     1440,
     0,
     NULL},
    {"daily: median of two halves",
     {DAY_RULE(DAILY, MEDIAN, 1), ABOVE(70)},
     "1h:70 2h:70.000001 25h:70 26h:70",
     "high 1d-2d medium@1d",
     4 * 1440,
     0,
     NULL},
    {"daily: mean, exactly at the limit",
     {DAY_RULE(DAILY, MEAN, 1), ABOVE(70)},
     "1h:69 2h:71 25h:69 26h:71.000001",
     "high 2d- medium@2d",
     3 * 1440,
     0,
     NULL},
    {"daily: not closed before its grace",
     {DAY_RULE(DAILY, MAX, 1), ABOVE(70)},
     "1h:71",
     "",
     1440 + 359,
     0,
     NULL},
    {"daily: closed with its grace",
     {DAY_RULE(DAILY, MAX, 1), ABOVE(70)},
     "1h:71",
     "high 1d- medium@1d",
     1440 + 360,
     0,
     NULL},
    {"daily: a day without data breaks the run",
     {DAY_RULE(DAILY, MAX, 2), ABOVE(70)},
     "1h:71 49h:71 73h:71",
     "high 4d- medium@4d",
     5 * 1440,
     0,
     NULL},
    {"daily: skipped",
     {DAY_RULE(DAILY, MAX, 2), ABOVE(70), .skip = true},
     "1h:71 49h:71",
     "high 3d- medium@3d",
     5 * 1440,
     0,
     NULL},
    {"daily: count of none",
     {.kind = DAILY,
      .parameter = WEIGHT,
      .statistic = COUNT,
      .days = 1,
      .priority = 2,
      .grace_ms = 6 * MS_HOUR,
      BELOW(1)},
     "1h:71",
     "low 2d- medium@2d",
     3 * 1440,
     0,
     NULL},
    {"daily: a local day",
     {DAY_RULE(DAILY, MIN, 1), BELOW(60)},
     "21h:59 22h:59 46h:61",
     "low 46h-70h medium@46h",
     4 * 1440,
     ZONE_PARIS,
     NULL},
    {"variation against the day before",
     {DAY_RULE(VARIATION, MAX, 1), ABOVE(2), .has_minimum = true, .minimum = 70 * ONE},
     "1h:69 25h:72 49h:74.000001 73h:76.000003",
     "high 4d- medium@4d",
     5 * 1440,
     0,
     NULL},
    {"baseline: median of the days before",
     {DAY_RULE(BASELINE, MAX, 1), ABOVE(1), .over = 3, .min_days = 2},
     "1h:70 25h:72 49h:72.000001 73h:74",
     "high 4d- medium@4d",
     5 * 1440,
     0,
     NULL},
    {"silence: max_gap",
     {.kind = SILENCE, .priority = 2, .max_gap_ms = 12 * MS_HOUR, .parameters = 1u << WEIGHT},
     "1h:70 14h:70",
     "- 13h-14h medium@13h; - 26h- medium@26h",
     2 * 1440,
     0,
     NULL},
    {"silence: a backlog is no sign of life",
     {.kind = SILENCE, .priority = 2, .max_gap_ms = 12 * MS_HOUR, .parameters = 1u << WEIGHT},
     "1h:70 -24h:71",
     "- 13h- medium@13h",
     1440,
     0,
     NULL},
    {"silence: missed days",
     {.kind = SILENCE, .priority = 1, .missed_days = 2, .grace_ms = 6 * MS_HOUR, .parameters = 1u << WEIGHT},
     "1h:70",
     "- 78h- low@78h",
     4 * 1440,
     0,
     NULL},
    {"wrong on purpose",
     {LIMIT_RULE(HEART), HIGH_AT(2, 100)},
     "10:110",
     "high 10-20 medium@10",
     1440,
     0,
     NULL},
};

/* "90", "25h", "2d": minutes. */
static const char *read_time(const char *text, int64_t *ret_ms)
{
    char *end;
    int64_t number = strtoll(text, &end, 10);
    int64_t unit = *end == 'h' ? MS_HOUR : *end == 'd' ? MS_DAY : MS_MINUTE;
    *ret_ms = EPOCH + number * unit;
    return end + (unit != MS_MINUTE);
}

static const char *read_value(const char *text, int64_t *ret_value)
{
    size_t size = strspn(text, "-.0123456789");
    ensure(decimal_parse(text, size, NULL, ret_value) == OK);
    return text + size;
}

static void read_readings(const char *text, int parameter, struct facts *facts)
{
    static const char marks[] = "p cv";
    int64_t number = 0;
    for (; *text != '\0'; text += *text == ' ', number++) {
        struct fact_reading reading = {.parameter = (uint8_t)parameter,
                                       .status = FINAL,
                                       .issued = NO_TIME,
                                       .source = 1,
                                       .request = (uint32_t)number};
        text = read_time(text, &reading.measured_at) + 1;
        reading.comparator = *text == '<' ? 1 : *text == '>' ? 2 : 0;
        text = read_value(text + (reading.comparator != 0), &reading.value);
        const char *mark = *text == '\0' || *text == ' ' ? NULL : strchr(marks, *text);
        if (mark != NULL) {
            reading.status = (uint8_t)(mark - marks);
            reading.issued = reading.status >= CORRECTED ? EPOCH + number : NO_TIME;
            text++;
        }
        reading.received_at = reading.measured_at < EPOCH ? EPOCH + 2 * MS_HOUR : reading.measured_at;
        facts_add_reading(facts, reading);
    }
}

static void write_time(struct buffer *out, int64_t ms)
{
    int64_t minutes = (ms - EPOCH) / MS_MINUTE;
    bool whole_days = minutes % 1440 == 0 && minutes > 0;
    if (whole_days)
        buffer_printf(out, "%lldd", (long long)(minutes / 1440));
    else if (minutes % 60 == 0 && minutes > 0)
        buffer_printf(out, "%lldh", (long long)(minutes / 60));
    else
        buffer_printf(out, "%lld", (long long)minutes);
}

static int by_side_then_time(const void *left, const void *right)
{
    const struct episode *a = left, *b = right;
    if (a->side != b->side)
        return a->side == HIGH ? -1 : 1;
    return (a->raised_at > b->raised_at) - (a->raised_at < b->raised_at);
}

static void write_found(struct episodes *found, struct buffer *out)
{
    static const char *const sides[] = {"low", "high", "-"}, *const priorities[] = {"?", "low", "medium",
                                                                                    "high"};
    qsort(found->episode, found->count, sizeof *found->episode, by_side_then_time);
    for (size_t i = 0; i < found->count; i++) {
        const struct episode *episode = &found->episode[i];
        buffer_printf(out, "%s%s ", i > 0 ? "; " : "", sides[episode->side]);
        write_time(out, episode->raised_at);
        buffer_text(out, "-");
        if (episode->ended_at != NO_TIME)
            write_time(out, episode->ended_at);
        for (uint32_t k = 0; k < episode->steps; k++) {
            const struct step *step = &found->step[episode->steps_first + k];
            buffer_printf(out, " %s@", priorities[step->priority]);
            write_time(out, step->at);
        }
    }
    buffer_append(out, "", 1);
}

static bool try_row(const struct case_row *row, struct buffer *found)
{
    struct facts facts;
    struct episodes episodes = {.count = 0};
    struct fact_rule rule = row->rule;
    rule.count = rule.count == 0 ? 1 : rule.count; /* the defaults of RULES.md section 3 */
    rule.clear_count = rule.clear_count == 0 ? 1 : rule.clear_count;
    facts_init(&facts);
    facts.enrolled_at = EPOCH;
    facts.zone = row->zone;
    facts.clock = EPOCH + row->clock_min * MS_MINUTE;
    facts_add_version(&facts, (struct fact_version){.rule = 1,
                                                    .layer = LAYER_LINE,
                                                    .valid_from = EPOCH - 30 * MS_DAY,
                                                    .commit = EPOCH - 30 * MS_DAY,
                                                    .order = 1,
                                                    .body = rule});
    read_readings(row->readings, row->rule.kind == SILENCE ? WEIGHT : row->rule.parameter, &facts);
    for (const char *text = row->references; text != NULL && *text != '\0'; text += *text == ' ') {
        struct fact_dated dated = {.parameter = row->rule.parameter, .order = 2};
        text = read_value(read_time(text, &dated.from) + 1, &dated.value);
        facts_add_dated(&facts, dated);
    }
    evaluate(&facts, &episodes);
    write_found(&episodes, found);
    facts_deinit(&facts);
    episodes_deinit(&episodes);
    return strcmp(found->data, row->expected) == 0;
}

static bool try_days(void)
{
    /* 2026: 29 March has 23 h in Paris, 25 October 25 h; in Santiago 6 September begins at 01:00 */
    const int64_t march = 20541, october = 20751, september = 20702;
    bool good = evaluate_day_begin(ZONE_PARIS, march + 1, 0) - evaluate_day_begin(ZONE_PARIS, march, 0) ==
                23 * MS_HOUR;
    good =
        good && evaluate_day_begin(ZONE_PARIS, october + 1, 0) - evaluate_day_begin(ZONE_PARIS, october, 0) ==
                    25 * MS_HOUR;
    good = good && evaluate_day_begin(ZONE_SANTIAGO, september, 0) == september * MS_DAY + 4 * MS_HOUR;
    good = good &&
           evaluate_day_begin(ZONE_PARIS, march, 150) == march * MS_DAY + MS_HOUR; /* 02:30 is not there */
    return good && evaluate_day_begin(ZONE_NEW_YORK, september, 0) == september * MS_DAY + 4 * MS_HOUR;
}

int cases_run(void)
{
    size_t count = sizeof rows / sizeof *rows, passed = 0;
    for (size_t i = 0; i < count; i++) {
        struct buffer found = {0};
        bool good = try_row(&rows[i], &found), last = i + 1 == count;
        if (good != last)
            passed++;
        else
            printf("%s\n  expected %s\n  found    %s\n", rows[i].name, rows[i].expected, found.data);
        buffer_deinit(&found);
    }
    bool days = try_days();
    passed += days;
    if (!days)
        printf("days of a zone begin otherwise\n");
    printf("%zu passed, %zu failed\n", passed, count + 1 - passed);
    return passed == count + 1 ? 0 : 1;
}
