/* evaluator: see evaluator.h. Rule by rule and side by side: what is in force when, the series, the walk. */
#include "tests/reference/evaluator.h"

#include <stdlib.h>

#include "daemon/base/ensure.h"
#include "tests/reference/eval_internal.h"

struct episode *walk_raise(struct walk *walk, int64_t at, int priority)
{
    struct episodes *out = walk->out;
    if (out->count == out->room) {
        out->room = out->room == 0 ? 64 : 2 * out->room;
        out->episode = realloc(out->episode, out->room * sizeof *out->episode);
        ensure(out->episode != NULL);
    }
    struct episode *episode = &out->episode[out->count++];
    *episode = (struct episode){.rule = walk->rule,
                                .side = walk->side,
                                .raised_at = at,
                                .ended_at = NO_TIME,
                                .steps_first = (uint32_t)out->steps};
    walk_step(walk, at, priority);
    return episode;
}

void walk_step(struct walk *walk, int64_t at, int priority)
{
    struct episodes *out = walk->out;
    if (out->steps == out->steps_room) {
        out->steps_room = out->steps_room == 0 ? 64 : 2 * out->steps_room;
        out->step = realloc(out->step, out->steps_room * sizeof *out->step);
        ensure(out->step != NULL);
    }
    out->step[out->steps++] = (struct step){at, priority};
    out->episode[out->count - 1].steps++;
    walk->active = priority;
}

void walk_clear(struct walk *walk, int64_t at, enum episode_state state)
{
    struct episode *episode = &walk->out->episode[walk->out->count - 1];
    episode->ended_at = at;
    episode->state = state;
    walk->active = 0;
}

bool walk_end(struct walk *walk, int64_t moment)
{
    int64_t end = versions_end_after(walk->timeline, walk->ends_seen);
    if (end > moment || end > walk->facts->clock)
        return false;
    walk->ends_seen = end;
    if (walk->active != 0)
        walk_clear(walk, end, end == walk->facts->left_at ? ENDED : CLEARED);
    return true;
}

static void (*const walks[KINDS])(struct walk *walk) = {
    [LIMIT] = walk_limit,         [OCCURRENCES] = walk_occurrences,
    [CHANGE] = walk_one_priority, [REFERENCE] = walk_one_priority,
    [RATE] = walk_one_priority,   [DAILY] = walk_days,
    [VARIATION] = walk_days,      [BASELINE] = walk_days,
    [SILENCE] = walk_silence,     [EVENT] = walk_event,
};

static bool has_side(const struct fact_rule *rule, enum fact_side side)
{
    if (rule->kind == SILENCE || rule->kind == EVENT)
        return side == BOTH;
    if (side == BOTH)
        return false;
    bool has = rule->has[side];
    for (int priority = 1; priority <= FACT_LEVELS && rule->kind == LIMIT; priority++)
        has = has || rule->level[priority].has[side];
    return has;
}

/* The first whole version of a rule: kind, parameter and sides never change under one id. */
static const struct fact_rule *first_of(const struct facts *facts, int rule)
{
    for (size_t i = 0; i < facts->versions; i++)
        if (facts->version[i].rule == rule && !facts->version[i].body.inherit)
            return &facts->version[i].body;
    return NULL;
}

void evaluate(const struct facts *facts, struct episodes *out)
{
    struct series series[PARAMETERS] = {{.instants = 0}};
    bool made[PARAMETERS] = {false};
    int rules = 0;
    for (size_t i = 0; i < facts->versions; i++)
        rules = facts->version[i].rule >= rules ? facts->version[i].rule + 1 : rules;
    for (int rule = 0; rule < rules; rule++) {
        const struct fact_rule *first = first_of(facts, rule);
        if (first == NULL)
            continue;
        struct timeline timeline = versions_make(facts, rule);
        bool reads = first->kind != SILENCE && first->kind != EVENT;
        if (reads && !made[first->parameter])
            series[first->parameter] = told_series_make(facts, first->parameter);
        made[first->parameter] = made[first->parameter] || reads;
        for (enum fact_side side = LOW; side <= BOTH; side++) {
            struct walk walk = {.facts = facts,
                                .timeline = &timeline,
                                .rule = rule,
                                .side = side,
                                .out = out,
                                .series = reads ? &series[first->parameter] : NULL,
                                .ends_seen = NO_TIME};
            if (has_side(first, side))
                walks[first->kind](&walk);
        }
        versions_free(&timeline);
    }
    for (int i = 0; i < PARAMETERS; i++)
        told_series_free(&series[i]);
}
