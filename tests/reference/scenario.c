/* scenario: see scenario.h. Values lie on a coarse grid that the rules' limits share, moved by a millionth or
 * two now and then, and times on a grid that the rules' durations share: so what is decided lies on the edge
 * all the time. */
#include "tests/reference/scenario.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/ensure.h"
#include "daemon/base/hash.h"
#include "tests/reference/evaluator.h"

uint64_t dice_roll(struct dice *dice, uint64_t sides)
{
    dice->state = hash_mix64(dice->state + 0x9e3779b97f4a7c15u);
    return dice->state % sides;
}

bool dice_chance(struct dice *dice, unsigned percent)
{
    return dice_roll(dice, 100) < percent;
}

#define PICK(dice, ...)                                                                                      \
    (((const int64_t[]){                                                                                     \
        __VA_ARGS__})[dice_roll(dice, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))])

struct grid {
    int64_t base, step, low, high;
}; /* values: base + k step */
static const struct grid grids[PARAMETERS] = {
    {70000000, 500000, -8, 8},    {80000000, 10000000, -4, 6},  {120000000, 20000000, -4, 8},
    {110000000, 10000000, -6, 9}, {130000000, 10000000, -5, 6}, {1200000, 100000, -6, 12},
    {24000000, 4000000, -5, 5},
};

struct maker {
    struct dice dice;
    struct scenario *scenario;
    unsigned readings, comparator_percent;
    bool calm;
    int64_t pace;
    uint32_t aliases, serials, episodes;
    int parameter[RULES_MAX]; /* parameters in use */
    int parameters;
};

static struct act *add(struct maker *maker, struct act act)
{
    struct scenario *scenario = maker->scenario;
    if (scenario->count == scenario->room) {
        scenario->room = scenario->room == 0 ? 64 : 2 * scenario->room;
        scenario->act = realloc(scenario->act, scenario->room * sizeof *scenario->act);
        ensure(scenario->act != NULL);
    }
    act.number = act.serial = maker->serials++;
    scenario->act[scenario->count] = act;
    return &scenario->act[scenario->count++];
}

/* ---- rules ---- */

static int64_t grid_value(struct maker *maker, int parameter, int64_t low, int64_t high)
{
    const struct grid *grid = &grids[parameter];
    return grid->base + grid->step * (low + (int64_t)dice_roll(&maker->dice, (uint64_t)(high - low + 1)));
}

static int64_t paces(struct maker *maker, int64_t low, int64_t high)
{
    return maker->pace * (low + (int64_t)dice_roll(&maker->dice, (uint64_t)(high - low + 1)));
}

static void draw_levels(struct maker *maker, struct fact_rule *rule, unsigned sides, unsigned priorities)
{
    const struct grid *grid = &grids[rule->parameter];
    int64_t low = grid->base - grid->step * PICK(&maker->dice, 1, 1, 2),
            high = grid->base + grid->step * PICK(&maker->dice, 1, 2, 3);
    memset(rule->level, 0, sizeof rule->level);
    for (int p = 1; p <= FACT_LEVELS; p++) {
        if ((priorities >> p & 1) == 0)
            continue;
        rule->level[p].has[LOW] = (sides & 1) != 0;
        rule->level[p].has[HIGH] = (sides & 2) != 0;
        rule->level[p].limit[LOW] = (sides & 1) != 0 ? low : 0;
        rule->level[p].limit[HIGH] = (sides & 2) != 0 ? high : 0;
        low -= grid->step;
        high += grid->step * PICK(&maker->dice, 1, 2);
    }
}

static void draw_differences(struct maker *maker, struct fact_rule *rule, bool percent_too)
{
    int64_t step = grids[rule->parameter].step;
    for (enum fact_side side = LOW; side < BOTH; side++) {
        if (!rule->has[side])
            continue;
        if (percent_too && rule->percent[side])
            rule->amount[side] = 1000000 * PICK(&maker->dice, 1, 5, 10, 20) + PICK(&maker->dice, 0, 0, 1);
        else
            rule->amount[side] = step * PICK(&maker->dice, 1, 1, 2, 3);
    }
}

static void draw_bound(struct maker *maker, struct fact_rule *rule)
{
    if (rule->has[LOW])
        rule->amount[LOW] = grid_value(maker, rule->parameter, -3, 0);
    if (rule->has[HIGH])
        rule->amount[HIGH] = grid_value(maker, rule->parameter, 0, 3);
    if (rule->kind == DAILY && rule->statistic == COUNT)
        for (int side = LOW; side < BOTH; side++)
            rule->amount[side] = rule->has[side] ? 1000000 * PICK(&maker->dice, 1, 2, 3) : 0;
    if (rule->kind == DAILY && rule->statistic == SUM)
        for (int side = LOW; side < BOTH; side++)
            rule->amount[side] = rule->has[side] ? rule->amount[side] * PICK(&maker->dice, 1, 2, 3) : 0;
}

/* What may change from version to version; kind, parameter, sides, statistic and day_start stay. */
static void draw_numbers(struct maker *maker, struct fact_rule *rule)
{
    struct dice *dice = &maker->dice;
    rule->priority = rule->kind == LIMIT || rule->kind == EVENT ? 0 : (int)PICK(dice, 1, 2, 2, 3);
    rule->count = rule->clear_count = 1;
    if (rule->kind <= RATE && rule->kind != OCCURRENCES) {
        rule->count = (int)PICK(dice, 1, 1, 2, 3);
        rule->clear_count = (int)PICK(dice, 1, 1, 2, 3);
    }
    switch (rule->kind) {
    case LIMIT: {
        unsigned sides = 0;
        for (int p = 1; p <= FACT_LEVELS; p++)
            sides |= (unsigned)rule->level[p].has[LOW] | (unsigned)rule->level[p].has[HIGH] << 1;
        sides = sides == 0 ? (unsigned)PICK(dice, 1, 2, 3, 3) : sides;
        draw_levels(maker, rule, sides, (unsigned)PICK(dice, 2, 4, 8, 6, 12, 10, 14, 14));
        rule->hysteresis = grids[rule->parameter].step * PICK(dice, 0, 0, 1, 1, 2) / PICK(dice, 1, 1, 2);
        rule->max_gap_ms = dice_chance(dice, 40) ? paces(maker, 1, 3) : 0;
        rule->for_ms = rule->max_gap_ms != 0 && dice_chance(dice, 60) ? paces(maker, 1, 4) : 0;
        break;
    }
    case OCCURRENCES:
        draw_bound(maker, rule);
        rule->rearm = grids[rule->parameter].step * PICK(dice, 0, 0, 1, 2);
        rule->sample = dice_chance(dice, 50);
        rule->times = (int)PICK(dice, 1, 2, 3, 3, 5);
        rule->within_ms = paces(maker, 1, 12);
        break;
    case CHANGE:
        draw_differences(maker, rule, true);
        rule->within_ms = paces(maker, 1, 8);
        break;
    case REFERENCE:
        draw_differences(maker, rule, true);
        break;
    case RATE:
        for (int side = LOW; side < BOTH; side++)
            if (rule->has[side]) { /* one step in one to four paces, six decimals */
                int64_t slope = grids[rule->parameter].step * MS_MINUTE / (maker->pace * PICK(dice, 1, 2, 4));
                rule->amount[side] = slope < 1 ? 1 : slope;
            }
        rule->within_ms = paces(maker, 1, 6);
        rule->readings = (int)PICK(dice, 2, 2, 3, 4);
        break;
    case DAILY:
        draw_bound(maker, rule);
        break;
    case VARIATION:
    case BASELINE:
        draw_differences(maker, rule, true);
        if (rule->statistic == COUNT)
            for (int side = LOW; side < BOTH; side++)
                rule->amount[side] = !rule->has[side] || rule->percent[side] ? rule->amount[side] : 1000000;
        break;
    case SILENCE:
        rule->max_gap_ms = dice_chance(dice, 75) ? MS_HOUR * PICK(dice, 6, 24, 36, 72, 200) : 0;
        rule->missed_days = rule->max_gap_ms == 0 || dice_chance(dice, 50) ? (int)PICK(dice, 1, 2, 3, 5) : 0;
        break;
    case EVENT:
        for (int i = 0; i < FACT_LIST; i++)
            rule->classes[i] = (int)PICK(dice, 1, 2, 3) * (i == 0 || dice_chance(dice, 50));
        break;
    default:
        break;
    }
    int64_t lookback = fact_parameters[rule->parameter].continuous ? maker->scenario->lookback_continuous
                                                                   : maker->scenario->lookback;
    rule->within_ms = rule->within_ms < lookback ? rule->within_ms : lookback;
    if (rule->kind >= DAILY && rule->kind <= BASELINE) {
        bool may_be_empty = rule->kind == DAILY && (rule->statistic == COUNT || rule->statistic == SUM);
        rule->min_readings = may_be_empty && dice_chance(dice, 60) ? 0 : (int)PICK(dice, 1, 1, 1, 2, 3);
        rule->days = rule->kind == VARIATION ? 1 : (int)PICK(dice, 1, 1, 2, 3);
        rule->skip = rule->kind == DAILY && dice_chance(dice, 40);
        rule->over = rule->kind == BASELINE ? (int)PICK(dice, 1, 2, 3, 5, 9) : 0;
        rule->min_days = rule->kind == BASELINE ? 1 + (int)dice_roll(dice, (uint64_t)rule->over) : 0;
        rule->has_minimum = rule->kind == VARIATION && dice_chance(dice, 40);
        rule->minimum = rule->has_minimum ? grid_value(maker, rule->parameter, -2, 1) : 0;
        if (strncmp(fact_parameters[rule->parameter].name, "ventilation-leak", 16) == 0 &&
            rule->kind == DAILY)
            rule->days = (int)PICK(dice, 3, 4, 7);
    }
}

static void draw_rule(struct maker *maker, enum fact_kind kind, struct fact_rule *rule)
{
    struct dice *dice = &maker->dice;
    memset(rule, 0, sizeof *rule);
    rule->kind = kind;
    rule->parameter = maker->parameter[dice_roll(dice, (uint64_t)maker->parameters)];
    if (kind == SILENCE || kind == EVENT)
        rule->parameter = 0;
    unsigned sides = (unsigned)PICK(dice, 1, 2, 3, 3);
    bool percents = kind == CHANGE || kind == REFERENCE || kind == VARIATION || kind == BASELINE;
    for (int side = LOW; side < BOTH && kind != LIMIT && kind < SILENCE; side++) {
        rule->has[side] = (sides >> side & 1) != 0;
        rule->percent[side] = rule->has[side] && percents && dice_chance(dice, 35);
    }
    rule->statistic = (int)dice_roll(dice, 6);
    if (kind < DAILY || kind > BASELINE)
        rule->statistic = 0;
    if (kind >= DAILY && kind <= SILENCE) {
        rule->day_start_min = (int)PICK(dice, 0, 0, 0, 120, 150, 240, 720, 1439);
        rule->grace_ms = MS_HOUR * PICK(dice, 0, 6, 6, 12, 30);
    }
    for (int i = 0; kind == SILENCE && i < maker->parameters; i++)
        rule->parameters |= 1u << maker->parameter[i];
    draw_numbers(maker, rule);
}

static int64_t some_time(struct maker *maker, int64_t from, int64_t until)
{
    return from + (int64_t)dice_roll(&maker->dice, (uint64_t)((until - from) / MS_MINUTE + 1)) * MS_MINUTE;
}

static void draw_versions(struct maker *maker, int number, enum fact_kind kind)
{
    struct scenario *scenario = maker->scenario;
    struct dice *dice = &maker->dice;
    struct fact_rule rule;
    draw_rule(maker, kind, &rule);
    bool silence = kind == SILENCE;
    bool asks = !silence && !maker->calm && dice_chance(dice, 12);
    enum fact_layer layer = silence ? LAYER_LINE : (enum fact_layer)PICK(dice, 0, 0, 1, 2, 3, 3);
    int64_t commit =
        silence ? scenario->begin
        : layer == LAYER_PATIENT || dice_chance(dice, 30)
            ? some_time(maker, scenario->begin, scenario->begin + (scenario->end - scenario->begin) / 3)
            : scenario->begin;
    unsigned layers = 0; /* that define the rule so far */
    if (kind == BASELINE)
        commit = scenario->begin; /* days from before a new rule are held for so long only */
    int more = silence ? (int)PICK(dice, 0, 1, 2) : (int)PICK(dice, 0, 0, 1, 2, 4);
    if (maker->calm) {
        more = 0;
        commit = scenario->begin;
    }
    for (int i = 0; i <= more; i++) {
        int patient =
            layer == LAYER_PATIENT ? (int)dice_roll(dice, (uint64_t)scenario->patients) : ALL_PATIENTS;
        if (patient >= 0 && commit < scenario->enrolled_commit[patient])
            commit = scenario->enrolled_commit[patient];
        struct act act = {.at = commit, .kind = ACT_VERSION, .patient = patient};
        act.version = (struct fact_version){.rule = number, .layer = layer, .body = rule};
        act.version.body.requires_validation =
            asks && layer >= LAYER_ORGANIZATION && !act.version.body.inherit;
        act.version.valid_from = dice_chance(dice, 50) || (silence && i == 0)
                                     ? commit
                                     : commit + MS_HOUR * PICK(dice, -900, -200, -24, -1, 1, 5, 24, 100);
        if ((silence || kind == BASELINE || maker->calm) && act.version.valid_from < commit)
            act.version.valid_from =
                commit; /* what was silent before a version's commit is no matter of it */
        add(maker, act);
        layers |= 1u << layer;
        layer = (enum fact_layer)(silence ? PICK(dice, 0, 1, 3) : PICK(dice, 0, 0, 1, 2, 3));
        commit = some_time(maker, commit, scenario->end);
        bool was_off = rule.inherit || rule.disabled;
        rule.inherit = rule.disabled = false;
        if (!silence && !was_off && dice_chance(dice, 15))
            rule.disabled = true;
        else if ((layers >> layer & 1) != 0 && layer != LAYER_LINE && dice_chance(dice, 20))
            rule.inherit = true;
        else if (dice_chance(dice, 10))
            rule.words++;
        else
            draw_numbers(maker, &rule);
    }
    for (int i = 0; asks && i < 2; i++) {
        struct act act = {.at = some_time(maker, scenario->begin, scenario->end), .kind = ACT_CONFIRMATION};
        act.patient = (int)dice_roll(dice, (uint64_t)scenario->patients);
        if (act.at < scenario->enrolled_commit[act.patient])
            act.at = scenario->enrolled_commit[act.patient];
        act.confirmation.from = dice_chance(dice, 70) ? act.at : act.at + MS_HOUR * PICK(dice, -30, 30);
        add(maker, act);
    }
}

static void draw_references(struct maker *maker, int parameter)
{
    struct scenario *scenario = maker->scenario;
    for (int patient = 0; patient < scenario->patients; patient++)
        for (int i = (int)PICK(&maker->dice, 1, 2, 4); i > 0; i--) {
            struct act act = {.at = some_time(maker, scenario->enrolled_commit[patient], scenario->end),
                              .kind = ACT_DATED,
                              .patient = patient};
            act.dated =
                (struct fact_dated){.parameter = parameter,
                                    .value = grid_value(maker, parameter, -2, 2),
                                    .from = act.at + MS_HOUR * PICK(&maker->dice, -150, -72, -24, 0, 0, 24)};
            if (maker->calm)
                act.dated.from = act.at;
            else
                act.dated.from -= (act.dated.from - scenario->begin) % maker->pace; /* where readings are */
            add(maker, act);
        }
}

/* ---- readings ---- */

static void add_reading(struct maker *maker, int patient, struct fact_reading reading, int64_t delay,
                        bool late)
{
    struct act act = {.kind = ACT_READING, .patient = patient, .late = late};
    int64_t lookback = fact_parameters[reading.parameter].continuous ? maker->scenario->lookback_continuous
                                                                     : maker->scenario->lookback;
    act.at = reading.measured_at + (late ? lookback + delay % MS_DAY : delay < lookback ? delay : lookback);
    if (act.at < maker->scenario->enrolled_commit[patient])
        act.at = maker->scenario->enrolled_commit[patient];
    if (!late && act.at - reading.measured_at > lookback)
        return; /* it was before everything */
    act.reading = reading;
    add(maker, act);
}

static int64_t draw_value(struct maker *maker, int parameter, int64_t *walk)
{
    const struct grid *grid = &grids[parameter];
    *walk += PICK(&maker->dice, -2, -1, -1, 0, 0, 0, 1, 1, 2);
    if (*walk < grid->low || *walk > grid->high)
        *walk = PICK(&maker->dice, -1, 0, 1);
    if (dice_chance(&maker->dice, 4))
        *walk = PICK(&maker->dice, grid->low, grid->high);
    int64_t jitter = dice_chance(&maker->dice, 30) ? PICK(&maker->dice, -2, -1, 1, 2) : 0;
    return grid->base + *walk * grid->step + jitter;
}

static int64_t draw_delay(struct maker *maker, int64_t weekly)
{
    struct dice *dice = &maker->dice;
    if (weekly != 0)
        return weekly;
    return dice_chance(dice, 80)   ? (int64_t)dice_roll(dice, 10) * 1000
           : dice_chance(dice, 80) ? paces(maker, 0, 8)
                                   : MS_DAY * PICK(dice, 1, 3, 7);
}

/* Versions of a reading and marks on it, in any order of arrival. */
static void add_versions(struct maker *maker, int patient, struct fact_reading reading)
{
    struct dice *dice = &maker->dice;
    struct fact_reading other = reading;
    /* one sender: its marks all name the reading, or none does; else an identifier could come with a
     * duplicate */
    uint32_t alias = dice_chance(dice, 70) ? reading.alias : 0;
    if (dice_chance(dice, 20)) {
        other.status = reading.status == FINAL ? PRELIMINARY : FINAL;
        other.value += grids[reading.parameter].step * PICK(dice, 0, 1, -1, 2);
        add_reading(maker, patient, other, paces(maker, 0, 20), false);
    }
    for (int i = (int)PICK(dice, 1, 1, 2, 3); i > 0; i--) {
        other = reading;
        other.status = dice_chance(dice, 60) ? CORRECTED : VOID;
        other.alias = alias;
        other.issued = reading.measured_at + MS_MINUTE * PICK(dice, 1, 1, 2, 3, 10);
        if (other.status == VOID && dice_chance(dice, 15))
            other.issued = NO_TIME;
        if (other.status == CORRECTED)
            other.value += grids[reading.parameter].step * PICK(dice, 0, 1, -1, 3, -3);
        if (other.alias != 0 && dice_chance(dice, 15))
            other.measured_at += PICK(dice, 1, -1) * maker->pace / PICK(dice, 1, 2);
        add_reading(maker, patient, other, paces(maker, 0, 20), false);
    }
}

static void add_one(struct maker *maker, int patient, struct fact_reading reading, int64_t delay)
{
    struct dice *dice = &maker->dice;
    if (maker->calm) {
        add_reading(maker, patient, reading, 0, false);
        return;
    }
    if (dice_chance(dice, maker->comparator_percent))
        reading.comparator = (uint8_t)PICK(dice, 1, 2);
    if (dice_chance(dice, 40))
        reading.alias = ++maker->aliases;
    if (dice_chance(dice, 3)) {
        reading.test = dice_chance(dice, 30);
        reading.quarantined = !reading.test && dice_chance(dice, 50);
        reading.day_only = !reading.test && !reading.quarantined;
        reading.alias = 0;
        reading.sensor = 2; /* never the key of a reading that is judged */
        if (reading.day_only)
            reading.measured_at =
                evaluate_day_begin(maker->scenario->zone[patient], reading.measured_at / MS_DAY, 0);
        add_reading(maker, patient, reading, delay, false);
        return;
    }
    if (dice_chance(dice, 4))
        reading.status = PRELIMINARY;
    bool late = dice_chance(dice, 2);
    add_reading(maker, patient, reading, delay, late);
    if (dice_chance(dice, 5)) /* a duplicate */
        add_reading(maker, patient, reading, delay + paces(maker, 0, 30), late);
    if (!late && dice_chance(dice, 5))
        add_versions(maker, patient, reading);
    if (dice_chance(dice, 4)) { /* the same key, another value */
        reading.value += grids[reading.parameter].step * PICK(dice, 1, -1, 2, -2);
        reading.comparator = dice_chance(dice, 15) ? (uint8_t)PICK(dice, 1, 2) : 0;
        add_reading(maker, patient, reading, draw_delay(maker, 0), late);
    }
}

static void draw_readings(struct maker *maker, int patient, int parameter, unsigned count)
{
    struct dice *dice = &maker->dice;
    int64_t walk = 0, t = maker->scenario->begin - (int64_t)dice_roll(dice, 3) * MS_DAY;
    bool weekly = dice_chance(dice, 25);
    for (unsigned i = 0; i < count && t < maker->scenario->end; i++) {
        t += dice_chance(dice, 85) ? maker->pace : maker->pace * PICK(dice, 2, 3, 4, 12) / 2;
        if (dice_chance(dice, 1))
            t += 4 * MS_DAY;
        struct fact_reading reading = {
            .parameter = (uint8_t)parameter, .status = FINAL, .issued = NO_TIME, .source = 1};
        reading.measured_at =
            t + (!maker->calm && dice_chance(dice, 10) ? PICK(dice, -1, 1, 999, -30000) : 0);
        reading.value = draw_value(maker, parameter, &walk);
        reading.device = (uint8_t)dice_roll(dice, 2);
        int64_t upload = 7 * MS_DAY - (t - maker->scenario->begin + 70 * MS_DAY) % (7 * MS_DAY);
        int64_t delay = draw_delay(maker, weekly ? upload : 0);
        add_one(maker, patient, reading, delay);
        if (!maker->calm && dice_chance(dice, 8)) { /* a tie in time across devices and sensors */
            uint8_t device = reading.device;
            reading.device ^= (uint8_t)dice_roll(dice, 2);
            reading.sensor = (uint8_t)(device == reading.device || dice_chance(dice, 50));
            reading.value = draw_value(maker, parameter, &walk);
            add_one(maker, patient, reading, delay);
        }
    }
}

static void draw_messages(struct maker *maker, int patient, unsigned count)
{
    struct dice *dice = &maker->dice;
    for (unsigned i = 0; i < count; i++) {
        int64_t t = some_time(maker, maker->scenario->enrolled_commit[patient], maker->scenario->end);
        int messages = (int)PICK(dice, 1, 2, 3, 5);
        uint8_t device = (uint8_t)dice_roll(dice, 2);
        uint32_t episode = ++maker->episodes; /* a name that comes again after 2 L is a new one: not asked */
        for (int k = 0; k < messages; k++) {
            struct act act = {.kind = ACT_MESSAGE, .patient = patient, .at = t + paces(maker, 0, 4)};
            act.message = (struct fact_message){.at = t,
                                                .device = device,
                                                .episode = episode,
                                                .class = (uint8_t)(1 + dice_roll(dice, 7)),
                                                .phase = k == 0                                      ? 0
                                                         : k + 1 < messages || dice_chance(dice, 30) ? 1
                                                                                                     : 2};
            add(maker, act);
            if (dice_chance(dice, 10)) { /* again, or the same moment otherwise */
                act.at += paces(maker, 0, 3);
                if (dice_chance(dice, 50))
                    act.message.class = (uint8_t)(1 + dice_roll(dice, 7));
                add(maker, act);
            }
            t += paces(maker, 1, 3);
        }
    }
}

/* ---- the story ---- */

static void draw_rules(struct maker *maker, unsigned kinds)
{
    struct dice *dice = &maker->dice;
    int rules = 1 + (int)dice_roll(dice, RULES_MAX - 2);
    draw_versions(maker, 0, SILENCE);
    for (int number = 1; number <= rules; number++) {
        enum fact_kind kind = (enum fact_kind)dice_roll(dice, KINDS);
        if ((kinds & ~(1u << SILENCE)) == 0)
            return;
        while (kind == SILENCE || (kinds >> kind & 1) == 0)
            kind = (enum fact_kind)((kind + 1) % KINDS);
        size_t before = maker->scenario->count;
        draw_versions(maker, number, kind);
        if (kind == REFERENCE)
            draw_references(maker, maker->scenario->act[before].version.body.parameter);
        if (kind == EVENT)
            for (int patient = 0; patient < maker->scenario->patients; patient++)
                draw_messages(maker, patient, maker->readings / 40 + 1);
    }
}

static void draw_life(struct maker *maker)
{
    struct scenario *scenario = maker->scenario;
    struct dice *dice = &maker->dice;
    for (int i = (int)PICK(dice, 0, 1, 2, 4); i > 0; i--) {
        struct act act = {.at = some_time(maker, scenario->begin, scenario->end),
                          .kind = ACT_RESTART,
                          .patient = ALL_PATIENTS};
        act.restart.outage_ms = dice_chance(dice, 40) ? 0 : MS_MINUTE * PICK(dice, 1, 60, 600, 3000);
        act.restart.snapshot = dice_chance(dice, 70);
        add(maker, act);
    }
    for (int patient = 0; patient < scenario->patients; patient++) {
        if (dice_chance(dice, 20)) {
            struct act act = {.at = some_time(maker, scenario->enrolled_commit[patient], scenario->end),
                              .kind = ACT_SUSPENSION,
                              .patient = patient};
            act.suspension.from = act.at + MS_HOUR * PICK(dice, 0, 0, 24);
            act.suspension.until = act.suspension.from + MS_HOUR * PICK(dice, 12, 48, 200);
            add(maker, act);
        }
        if (dice_chance(dice, 8))
            add(maker,
                (struct act){.at = some_time(maker, (scenario->enrolled_commit[patient] + scenario->end) / 2,
                                             scenario->end),
                             .kind = ACT_LEFT,
                             .patient = patient});
    }
}

static void regroup(struct scenario *scenario, struct dice *dice)
{
    uint32_t request[PATIENTS_MAX + 1] = {0}, next = 0;
    int64_t last[PATIENTS_MAX + 1];
    unsigned joins = (unsigned)PICK(dice, 0, 50, 90, 98) * !scenario->calm;
    for (int i = 0; i <= PATIENTS_MAX; i++)
        last[i] = NO_TIME;
    scenario_sort(scenario);
    for (size_t i = 0; i < scenario->count; i++) {
        struct act *act = &scenario->act[i];
        if (act->kind != ACT_READING)
            continue;
        bool join = last[act->patient] != NO_TIME && act->at - last[act->patient] < MS_DAY / 4 &&
                    dice_chance(dice, joins);
        if (!join)
            request[act->patient] = ++next;
        act->request = request[act->patient];
        last[act->patient] = act->at;
    }
    /* a request is received when its last reading is there; but not so late that it would not be judged any
     * more */
    for (size_t i = scenario->count; i > 0; i--) {
        struct act *act = &scenario->act[i - 1];
        if (act->kind != ACT_READING)
            continue;
        int64_t lookback = fact_parameters[act->reading.parameter].continuous ? scenario->lookback_continuous
                                                                              : scenario->lookback;
        if (act->request == request[act->patient] && last[act->patient] > act->at &&
            (act->late || last[act->patient] - act->reading.measured_at <= lookback))
            act->at = last[act->patient];
        request[act->patient] = act->request;
        last[act->patient] = act->at;
    }
    scenario_sort(scenario);
}

struct scenario *scenario_make(const struct scenario_wish *wish)
{
    struct scenario *scenario = calloc(1, sizeof *scenario);
    ensure(scenario != NULL);
    struct maker maker = {.dice = {wish->seed * 0x2545f4914f6cdd1dull + 1},
                          .scenario = scenario,
                          .readings = wish->readings,
                          .calm = wish->calm};
    struct dice *dice = &maker.dice;
    scenario->seed = wish->seed;
    scenario->calm = wish->calm;
    scenario->patients = (int)PICK(dice, 1, 1, 1, 2, 3);
    bool small = dice_chance(dice, 50);
    scenario->lookback = MS_DAY * (small ? 10 : 35);
    scenario->lookback_continuous = MS_DAY * (small ? 5 : 16);
    /* 2026: 15 Mar, 20 Oct, 30 Mar, 1 Jun, 28 Aug: the zones change their clocks in between */
    scenario->begin =
        MS_DAY * PICK(dice, 20527, 20746, 20542, 20605, 20693) + MS_MINUTE * (int64_t)dice_roll(dice, 1440);
    maker.pace = MS_MINUTE * PICK(dice, 5, 60, 240, 360, 1440);
    maker.parameters = 1 + (int)dice_roll(dice, 3);
    unsigned each = wish->readings / (unsigned)(maker.parameters * scenario->patients) + 1;
    int64_t span = maker.pace * (int64_t)each * 6 / 5, longest = 100 * MS_DAY;
    scenario->end = scenario->begin + (span < 2 * MS_DAY ? 2 * MS_DAY : span > longest ? longest : span);
    maker.comparator_percent = (unsigned)PICK(dice, 0, 0, 2, 15);
    for (int i = 0; i < maker.parameters; i++)
        maker.parameter[i] = (int)dice_roll(dice, PARAMETERS);
    for (int i = 0; i < scenario->patients; i++) {
        scenario->zone[i] = (enum fact_zone)dice_roll(dice, ZONES);
        scenario->enrolled_commit[i] =
            dice_chance(dice, 60) ? scenario->begin : scenario->begin + MS_HOUR * PICK(dice, 1, 30);
        scenario->enrolled_at[i] =
            dice_chance(dice, 50) ? NO_TIME
                                  : scenario->begin + (scenario->enrolled_commit[i] - scenario->begin) / 2;
        if (scenario->enrolled_at[i] < scenario->enrolled_commit[i] - MS_HOUR)
            scenario->enrolled_at[i] =
                scenario->enrolled_commit[i] - MS_HOUR; /* nobody was silent before we knew of him */
    }
    draw_rules(&maker, wish->kinds);
    for (int patient = 0; patient < scenario->patients; patient++)
        for (int i = 0; i < maker.parameters && (i == 0 || !maker.calm); i++)
            draw_readings(&maker, patient, maker.parameter[i], each);
    draw_life(&maker);
    regroup(scenario, dice);
    return scenario;
}

struct scenario *scenario_copy(const struct scenario *scenario)
{
    struct scenario *copy = malloc(sizeof *copy);
    ensure(copy != NULL);
    *copy = *scenario;
    copy->act = malloc(scenario->room * sizeof *copy->act);
    ensure(copy->act != NULL);
    memcpy(copy->act, scenario->act, scenario->count * sizeof *copy->act);
    return copy;
}

void scenario_free(struct scenario *scenario)
{
    if (scenario != NULL)
        free(scenario->act);
    free(scenario);
}

static int sort_acts(const void *left, const void *right)
{
    const struct act *a = left, *b = right;
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    return (a->serial > b->serial) - (a->serial < b->serial);
}

void scenario_sort(struct scenario *scenario)
{
    qsort(scenario->act, scenario->count, sizeof *scenario->act, sort_acts);
}

void scenario_tell(struct scenario *scenario, enum telling telling)
{
    struct dice dice = {scenario->seed * 31 + (uint64_t)telling};
    if (telling == AS_MADE)
        return;
    for (size_t i = 0; i < scenario->count; i++) {
        struct act *act = &scenario->act[i];
        if (act->kind != ACT_READING && act->kind != ACT_MESSAGE)
            continue;
        bool message = act->kind == ACT_MESSAGE;
        int64_t measured = message ? act->message.at : act->reading.measured_at;
        int64_t enrolled = scenario->enrolled_commit[act->patient];
        int64_t lookback = message ? scenario->lookback
                           : fact_parameters[act->reading.parameter].continuous
                               ? scenario->lookback_continuous
                               : scenario->lookback;
        int64_t earliest = measured + (act->late ? lookback + 1 : 0),
                latest = act->late ? measured + 2 * lookback : measured + lookback;
        earliest = earliest > enrolled ? earliest : enrolled;
        latest = latest < scenario->end || act->late ? latest
                 : scenario->end > earliest          ? scenario->end
                                                     : earliest;
        int64_t room = latest - earliest;
        if (telling == IN_ORDER)
            act->at = earliest;
        else if (telling == SHUFFLED)
            act->at = earliest + (int64_t)dice_roll(&dice, (uint64_t)room + 1);
        else
            act->at = latest;
        act->serial = telling == NEWEST_FIRST ? (uint32_t)(0xffffffffu - (uint32_t)i) : act->serial;
    }
    regroup(scenario, &dice);
}
