/* rule: what a parsed rule is asked, and how two versions of one id compare. Reading it from JSON:
 * rule_parse.c. */
#include "alerting/rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerting/rule_fields.h"
#include "daemon/base/ensure.h"
#include "daemon/base/slab.h"

static const char *const kind_words[] = {
    [RULE_LIMIT] = "limit",         [RULE_OCCURRENCES] = "occurrences",
    [RULE_CHANGE] = "change",       [RULE_REFERENCE] = "reference",
    [RULE_RATE] = "rate",           [RULE_DAILY] = "daily",
    [RULE_VARIATION] = "variation", [RULE_BASELINE] = "baseline",
    [RULE_SILENCE] = "silence",     [RULE_EVENT] = "event",
};

void rule_free(struct rule *rule)
{
    if (rule == NULL)
        return;
    slab_give(rule->text_fr);
    slab_give(rule->text_en);
    slab_give(rule->parameters_json);
    slab_give(rule);
}

const char *rule_id(const struct rule *rule)
{
    return rule->id;
}

const char *rule_kind(const struct rule *rule)
{
    ensure(rule->kind < RULE_KIND_COUNT);
    return rule->inherit ? "" : kind_words[rule->kind];
}

bool rule_is_silence(const struct rule *rule)
{
    return !rule->inherit && rule->kind == RULE_SILENCE;
}

bool rule_requires_validation(const struct rule *rule)
{
    return rule->requires_validation;
}

static bool same_levels(const struct rule_levels *a, const struct rule_levels *b)
{
    for (unsigned i = 0; i < a->count && i < b->count; i++)
        if (a->level[i].priority != b->level[i].priority || a->level[i].limit != b->level[i].limit)
            return false;
    return a->count == b->count;
}

static bool same_limit(const struct rule_limit *a, const struct rule_limit *b)
{
    return same_levels(&a->side[SIDE_LOW], &b->side[SIDE_LOW]) &&
           same_levels(&a->side[SIDE_HIGH], &b->side[SIDE_HIGH]) && a->hysteresis == b->hysteresis &&
           a->for_ms == b->for_ms && a->max_gap_ms == b->max_gap_ms;
}

static bool same_change(const struct rule_change *a, const struct rule_change *b)
{
    for (enum rule_side side = SIDE_LOW; side < SIDE_COUNT; side++)
        if (a->difference.has[side] != b->difference.has[side] ||
            a->difference.percent[side] != b->difference.percent[side] ||
            a->difference.amount[side] != b->difference.amount[side])
            return false;
    return a->within_ms == b->within_ms;
}

static bool same_silence(const struct rule_silence *a, const struct rule_silence *b)
{
    if (a->parameters_count != b->parameters_count)
        return false;
    for (unsigned i = 0; i < a->parameters_count; i++)
        if (a->parameters[i] != b->parameters[i])
            return false;
    return a->max_gap_ms == b->max_gap_ms && a->missed_days == b->missed_days && a->grace_ms == b->grace_ms &&
           a->day_start_min == b->day_start_min;
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
    switch (a->kind) {
    case RULE_LIMIT:
        return same_limit(&a->limit, &b->limit);
    case RULE_CHANGE:
        return same_change(&a->change, &b->change);
    case RULE_SILENCE:
        return same_silence(&a->silence, &b->silence);
    default:
        break;
    }
    ensure_unreachable();
}

/* "low", "high", "low and high", "": the sides of a rule. */
static const char *sides_of(const struct rule *rule)
{
    static const char *const words[] = {"", "low", "high", "low and high"};
    bool low = false, high = false;
    if (rule->kind == RULE_LIMIT) {
        low = rule->limit.side[SIDE_LOW].count > 0;
        high = rule->limit.side[SIDE_HIGH].count > 0;
    } else if (rule->kind == RULE_CHANGE) {
        low = rule->change.difference.has[SIDE_LOW];
        high = rule->change.difference.has[SIDE_HIGH];
    }
    return words[(low ? 1 : 0) + (high ? 2 : 0)];
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
    char old_start[16] = "", next_start[16] = "";

    if (old->inherit || next->inherit)
        return true;
    if (differ(ret_fault, "kind", rule_kind(old), rule_kind(next)) ||
        differ(ret_fault, "parameter", parameter_of(old), parameter_of(next)) ||
        differ(ret_fault, "side", sides_of(old), sides_of(next)))
        return false;
    if (old->kind != RULE_SILENCE)
        return true;
    int a = old->silence.day_start_min, b = next->silence.day_start_min;
    (void)snprintf(old_start, sizeof(old_start), "%02d:%02d", a / 60, a % 60);
    (void)snprintf(next_start, sizeof(next_start), "%02d:%02d", b / 60, b % 60);
    return !differ(ret_fault, "day_start", old_start, next_start);
}
