/* rule: what a parsed rule is asked, and how two versions of one id compare. Reading it from JSON:
 * rule_parse.c. */
#include "alerting/rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerting/rule_fields.h"
#include "daemon/base/ensure.h"
#include "daemon/base/slab.h"

void rule_free(struct rule *rule)
{
    if (rule == NULL)
        return;
    slab_give(rule->text_fr);
    slab_give(rule->text_en);
    slab_give(rule->parameters_json);
    if (rule->kind == RULE_EVENT)
        slab_give(rule->event.classes);
    slab_give(rule);
}

const char *rule_id(const struct rule *rule)
{
    return rule->id;
}

bool rule_is_silence(const struct rule *rule)
{
    return !rule->inherit && rule->kind == RULE_SILENCE;
}

bool rule_requires_validation(const struct rule *rule)
{
    return rule->requires_validation;
}

/* ---- the same act in other words ---- */

static bool same_levels(const struct rule_levels *a, const struct rule_levels *b)
{
    for (unsigned i = 0; i < a->count && i < b->count; i++)
        if (a->level[i].priority != b->level[i].priority || a->level[i].limit != b->level[i].limit)
            return false;
    return a->count == b->count;
}

static bool same_limit(const struct rule *a, const struct rule *b)
{
    return same_levels(&a->limit.side[SIDE_LOW], &b->limit.side[SIDE_LOW]) &&
           same_levels(&a->limit.side[SIDE_HIGH], &b->limit.side[SIDE_HIGH]) &&
           a->limit.hysteresis == b->limit.hysteresis && a->limit.for_ms == b->limit.for_ms &&
           a->limit.max_gap_ms == b->limit.max_gap_ms;
}

static bool same_bound(const struct rule_bound *a, const struct rule_bound *b)
{
    for (unsigned side = 0; side < SIDE_COUNT; side++)
        if (a->has[side] != b->has[side] || a->limit[side] != b->limit[side])
            return false;
    return true;
}

static bool same_difference(const struct rule_difference *a, const struct rule_difference *b)
{
    for (unsigned side = 0; side < SIDE_COUNT; side++)
        if (a->has[side] != b->has[side] || a->percent[side] != b->percent[side] ||
            a->amount[side] != b->amount[side])
            return false;
    return true;
}

static bool same_days(const struct rule_days *a, const struct rule_days *b)
{
    return a->statistic == b->statistic && a->day_start_min == b->day_start_min &&
           a->min_readings == b->min_readings && a->grace_ms == b->grace_ms;
}

static bool same_occurrences(const struct rule *a, const struct rule *b)
{
    const struct rule_occurrences *x = &a->occurrences, *y = &b->occurrences;
    return same_bound(&x->bound, &y->bound) && x->rearm == y->rearm && x->sample == y->sample &&
           x->times == y->times && x->within_ms == y->within_ms;
}

static bool same_change(const struct rule *a, const struct rule *b)
{
    return same_difference(&a->change.difference, &b->change.difference) &&
           a->change.within_ms == b->change.within_ms;
}

static bool same_reference(const struct rule *a, const struct rule *b)
{
    return same_difference(&a->reference.difference, &b->reference.difference) &&
           strcmp(a->reference.name, b->reference.name) == 0;
}

static bool same_rate(const struct rule *a, const struct rule *b)
{
    return same_difference(&a->rate.per_minute, &b->rate.per_minute) &&
           a->rate.within_ms == b->rate.within_ms && a->rate.readings == b->rate.readings;
}

static bool same_daily(const struct rule *a, const struct rule *b)
{
    return same_days(&a->daily.day, &b->daily.day) && same_bound(&a->daily.bound, &b->daily.bound) &&
           a->daily.days == b->daily.days && a->daily.skip == b->daily.skip;
}

static bool same_variation(const struct rule *a, const struct rule *b)
{
    const struct rule_variation *x = &a->variation, *y = &b->variation;
    return same_days(&x->day, &y->day) && same_difference(&x->difference, &y->difference) &&
           x->has_minimum == y->has_minimum && x->minimum == y->minimum;
}

static bool same_baseline(const struct rule *a, const struct rule *b)
{
    const struct rule_baseline *x = &a->baseline, *y = &b->baseline;
    return same_days(&x->day, &y->day) && same_difference(&x->difference, &y->difference) &&
           x->over == y->over && x->min_days == y->min_days && x->days == y->days;
}

static bool same_silence(const struct rule *a, const struct rule *b)
{
    const struct rule_silence *x = &a->silence, *y = &b->silence;
    if (x->parameters_count != y->parameters_count)
        return false;
    for (unsigned i = 0; i < x->parameters_count; i++)
        if (x->parameters[i] != y->parameters[i])
            return false;
    return x->max_gap_ms == y->max_gap_ms && x->missed_days == y->missed_days && x->grace_ms == y->grace_ms &&
           x->day_start_min == y->day_start_min;
}

static bool same_event(const struct rule *a, const struct rule *b)
{
    const struct rule_event *x = &a->event, *y = &b->event;
    if (x->classes_count != y->classes_count)
        return false;
    for (unsigned i = 0; i < x->classes_count; i++)
        if (strcmp(x->classes[i].name, y->classes[i].name) != 0 ||
            x->classes[i].priority != y->classes[i].priority)
            return false;
    return x->otherwise == y->otherwise;
}

static const struct {
    const char *word;
    bool (*same)(const struct rule *a, const struct rule *b);
} kinds[RULE_KIND_COUNT] = {
    [RULE_LIMIT] = {"limit", same_limit},
    [RULE_OCCURRENCES] = {"occurrences", same_occurrences},
    [RULE_CHANGE] = {"change", same_change},
    [RULE_REFERENCE] = {"reference", same_reference},
    [RULE_RATE] = {"rate", same_rate},
    [RULE_DAILY] = {"daily", same_daily},
    [RULE_VARIATION] = {"variation", same_variation},
    [RULE_BASELINE] = {"baseline", same_baseline},
    [RULE_SILENCE] = {"silence", same_silence},
    [RULE_EVENT] = {"event", same_event},
};

const char *rule_kind_word(enum rule_kind kind)
{
    ensure(kind < RULE_KIND_COUNT);
    return kinds[kind].word;
}

const char *rule_kind(const struct rule *rule)
{
    return rule->inherit ? "" : rule_kind_word(rule->kind);
}

bool rule_same_but_words(const struct rule *a, const struct rule *b)
{
    if (strcmp(a->id, b->id) != 0 || strcmp(a->line, b->line) != 0 || a->inherit != b->inherit)
        return false;
    if (a->inherit)
        return true;
    if (a->kind != b->kind || a->enabled != b->enabled || a->requires_validation != b->requires_validation ||
        a->parameter != b->parameter || a->priority != b->priority || a->count != b->count ||
        a->clear_count != b->clear_count)
        return false;
    return kinds[a->kind].same(a, b);
}

const char *const rule_statistic_words[DAY_STATISTIC_COUNT] = {"median", "mean", "min",
                                                               "max",    "sum",  "count"};

const char *rule_statistic_word(enum day_statistic statistic)
{
    ensure(statistic < DAY_STATISTIC_COUNT);
    return rule_statistic_words[statistic];
}

/* ---- what never changes under one id ---- */

const struct rule_days *rule_days_of(const struct rule *rule)
{
    switch (rule->kind) {
    case RULE_DAILY:
        return &rule->daily.day;
    case RULE_VARIATION:
        return &rule->variation.day;
    case RULE_BASELINE:
        return &rule->baseline.day;
    default:
        return NULL;
    }
}

bool rule_has_side(const struct rule *rule, enum rule_side side)
{
    switch (rule->kind) {
    case RULE_LIMIT:
        return rule->limit.side[side].count > 0;
    case RULE_OCCURRENCES:
        return rule->occurrences.bound.has[side];
    case RULE_CHANGE:
        return rule->change.difference.has[side];
    case RULE_REFERENCE:
        return rule->reference.difference.has[side];
    case RULE_RATE:
        return rule->rate.per_minute.has[side];
    case RULE_DAILY:
        return rule->daily.bound.has[side];
    case RULE_VARIATION:
        return rule->variation.difference.has[side];
    case RULE_BASELINE:
        return rule->baseline.difference.has[side];
    default:
        return false;
    }
}

/* "low", "high", "low and high", "": the sides of a rule. */
static const char *sides_of(const struct rule *rule)
{
    static const char *const words[] = {"", "low", "high", "low and high"};
    return words[(rule_has_side(rule, SIDE_LOW) ? 1 : 0) + (rule_has_side(rule, SIDE_HIGH) ? 2 : 0)];
}

static const char *statistic_of(const struct rule *rule)
{
    const struct rule_days *day = rule_days_of(rule);
    return day == NULL ? "" : rule_statistic_word(day->statistic);
}

static void day_start_of(const struct rule *rule, char text[16])
{
    const struct rule_days *day = rule_days_of(rule);
    int minutes = day != NULL                  ? day->day_start_min
                  : rule->kind == RULE_SILENCE ? rule->silence.day_start_min
                                               : 0;
    (void)snprintf(text, 16, "%02d:%02d", minutes / 60, minutes % 60);
}

static bool differ(struct rule_fault *fault, const char *key, const char *old, const char *next)
{
    if (strcmp(old, next) == 0)
        return false;
    (void)snprintf(fault->key, sizeof(fault->key), "%s", key);
    (void)snprintf(fault->found, sizeof(fault->found), "%s", next);
    (void)snprintf(fault->expected, sizeof(fault->expected), "%s, as in the versions before", old);
    return true;
}

static const char *parameter_of(const struct rule *rule)
{
    return rule->parameter < PARAMETER_COUNT ? parameter_row(rule->parameter)->name : "";
}

bool rule_may_follow(const struct rule *old, const struct rule *next, struct rule_fault *ret_fault)
{
    char old_start[16], next_start[16];

    if (old->inherit || next->inherit)
        return true;
    day_start_of(old, old_start);
    day_start_of(next, next_start);
    return !differ(ret_fault, "kind", rule_kind(old), rule_kind(next)) &&
           !differ(ret_fault, "parameter", parameter_of(old), parameter_of(next)) &&
           !differ(ret_fault, "side", sides_of(old), sides_of(next)) &&
           !differ(ret_fault, "statistic", statistic_of(old), statistic_of(next)) &&
           !differ(ret_fault, "day_start", old_start, next_start);
}
