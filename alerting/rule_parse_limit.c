/* rule_parse_limit: levels of the two sides, the margin of the way back, duration and gap (RULES.md section
 * 3.1). */
#include <stdio.h>
#include <string.h>

#include "alerting/rule_reader.h"

/* Puts a level where its priority belongs; its neighbours must lie on the right sides of it. */
static enum err insert_level(struct rule_reader *reader, enum rule_side side, const struct rule_level *level,
                             const char *key)
{
    struct rule_levels *levels = &reader->rule->limit.side[side];
    unsigned at = 0;

    while (at < levels->count && levels->level[at].priority < level->priority)
        at++;
    if (at < levels->count && levels->level[at].priority == level->priority)
        return reader_refuse(reader, key, priority_word(level->priority),
                             "one level of each priority on a side");
    ensure(levels->count < LEVELS_PER_SIDE_MAX); /* three priorities, each at most once */
    memmove(&levels->level[at + 1], &levels->level[at], (levels->count - at) * sizeof(*level));
    levels->level[at] = *level;
    levels->count++;
    for (unsigned i = 1; i < levels->count; i++) {
        int64_t outwards = levels->level[i].limit - levels->level[i - 1].limit;
        if (side == SIDE_LOW ? outwards > 0 : outwards < 0)
            return reader_refuse(reader, key, "a higher priority less far out",
                                 "limits further out with rising priority");
    }
    return OK;
}

static enum err parse_level(struct rule_reader *reader, size_t index, const json_t *json)
{
    static const char *const sides[SIDE_COUNT] = {"below", "above"};
    struct rule_level level;
    char key[48];
    const char *name;
    json_t *ignored;

    (void)snprintf(key, sizeof(key), "levels[%zu]", index);
    if (!json_is_object(json))
        return reader_refuse_value(reader, key, json, "an object with priority and below or above");
    json_object_foreach((json_t *)(uintptr_t)json, name, ignored)
    {
        if (strcmp(name, "priority") != 0 && strcmp(name, "below") != 0 && strcmp(name, "above") != 0)
            return reader_refuse(reader, key, name, "the keys priority, below, above");
    }
    (void)snprintf(key, sizeof(key), "levels[%zu].priority", index);
    enum err error = reader_priority(reader, key, json_object_get(json, "priority"), &level.priority);
    bool any = false;
    for (enum rule_side side = SIDE_LOW; side < SIDE_COUNT && error == OK; side++) {
        const json_t *value = json_object_get(json, sides[side]);
        if (value == NULL)
            continue;
        any = true;
        (void)snprintf(key, sizeof(key), "levels[%zu].%s", index, sides[side]);
        error = reader_limit(reader, key, value, &level.limit);
        if (error == OK)
            error = insert_level(reader, side, &level, key);
    }
    return error == OK && !any ? reader_refuse_value(reader, key, json, "below or above") : error;
}

static enum err check_hysteresis(struct rule_reader *reader)
{
    const struct rule_limit *limit = &reader->rule->limit;
    enum err error = OK;
    for (enum rule_side side = SIDE_LOW; side < SIDE_COUNT; side++)
        for (unsigned i = 0; error == OK && i < limit->side[side].count; i++)
            error = reader_check_way_back(reader, "hysteresis", side, limit->side[side].level[i].limit,
                                          limit->hysteresis);
    return error;
}

static enum err parse_gap(struct rule_reader *reader)
{
    const int64_t window[2] = {1, reader_lookback_ms(reader)}, wait[2] = {0, reader_lookback_ms(reader)};
    struct rule_limit *limit = &reader->rule->limit;

    enum err error = reader_duration(reader, "max_gap", window, &limit->max_gap_ms);
    if (error == OK)
        error = reader_duration(reader, "for", wait, &limit->for_ms);
    if (error == OK && limit->for_ms > 0 && limit->max_gap_ms == 0)
        error = reader_refuse(reader, "for", "no max_gap",
                              "max_gap beside for: how long a gap may be for the run to go on");
    return error;
}

enum err rule_parse_limit(struct rule_reader *reader)
{
    const json_t *levels = reader_get(reader, "levels"), *hysteresis = reader_get(reader, "hysteresis");

    if (!json_is_array(levels) || json_array_size(levels) == 0)
        return reader_refuse_value(reader, "levels", levels,
                                   "an array of levels: priority and below or above");
    for (size_t i = 0; i < json_array_size(levels); i++) {
        enum err error = parse_level(reader, i, json_array_get(levels, i));
        if (error != OK)
            return error;
    }
    if (hysteresis != NULL) {
        enum err error =
            reader_difference(reader, "hysteresis", hysteresis, 0, &reader->rule->limit.hysteresis);
        if (error == OK)
            error = check_hysteresis(reader);
        if (error != OK)
            return error;
    }
    return parse_gap(reader);
}
