/* rule_parse: a rule from its JSON, or the one reason why not (RULES.md section 2, last point).
 *
 * Each key has a row that says in which kinds it may stand, so an unknown or misplaced key is named before
 * anything else is looked at: a misspelt `clear_count` must not become a default. The steps of a kind then
 * take their keys, check them and fill the rule; the first fault ends it. Numbers are their text
 * (exact_json.h) and are converted once, limits as values, differences by the factor alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerting/exact_json.h"
#include "alerting/rule.h"
#include "alerting/rule_fields.h"
#include "daemon/base/instant.h"
#include "daemon/base/slab.h"

enum {
    DAY_MS = 86400000,
    SILENCE_DAYS_MAX = 31, /* RULES.md section 4 */
    GRACE_DEFAULT_MS = 6 * 3600 * 1000,
    TEXT_BYTES_MAX = 500,
    SOURCE_BYTES_MAX = 300,
};

static const int64_t PLAIN_MAX =
    (int64_t)1000000000 * DECIMAL_ONE; /* a difference in any unit stays below this */

struct parse {
    const json_t *json;
    const struct rule_bounds *bounds;
    struct rule *rule;
    struct rule_fault *fault;
    const struct decimal_conversion *conversion;
    char unit[64];
};

/* ---- the keys ---- */

enum {
    IN_LIMIT = 1,
    IN_CHANGE = 2,
    IN_SILENCE = 4,
    IN_INHERIT = 8,
    JUDGES = IN_LIMIT | IN_CHANGE,
    IN_ALL = 7
};

static const struct {
    const char *name;
    unsigned in;
} keys[] = {
    {"id", IN_ALL | IN_INHERIT},
    {"line", IN_ALL | IN_INHERIT},
    {"inherit", IN_ALL | IN_INHERIT},
    {"kind", IN_ALL},
    {"enabled", IN_ALL},
    {"requires_validation", IN_ALL},
    {"text", IN_ALL},
    {"source", IN_ALL},
    {"tag", IN_ALL},
    {"parameter", JUDGES},
    {"unit", JUDGES},
    {"count", JUDGES},
    {"clear_count", JUDGES},
    {"levels", IN_LIMIT},
    {"hysteresis", IN_LIMIT},
    {"for", IN_LIMIT},
    {"max_gap", IN_LIMIT | IN_SILENCE},
    {"rise", IN_CHANGE},
    {"fall", IN_CHANGE},
    {"rise_percent", IN_CHANGE},
    {"fall_percent", IN_CHANGE},
    {"within", IN_CHANGE},
    {"priority", IN_CHANGE | IN_SILENCE},
    {"missed_days", IN_SILENCE},
    {"parameters", IN_SILENCE},
    {"day_start", IN_SILENCE},
    {"grace", IN_SILENCE},
};

static const struct {
    const char *word;
    enum { SERVED, LATER, RESERVED } state;
    enum rule_kind kind;
    unsigned in;
} kinds[] = {
    {"limit", SERVED, RULE_LIMIT, IN_LIMIT},
    {"change", SERVED, RULE_CHANGE, IN_CHANGE},
    {"silence", SERVED, RULE_SILENCE, IN_SILENCE},
    {"occurrences", LATER, 0, 0},
    {"reference", LATER, 0, 0},
    {"rate", LATER, 0, 0},
    {"daily", LATER, 0, 0},
    {"variation", LATER, 0, 0},
    {"baseline", LATER, 0, 0},
    {"event", LATER, 0, 0},
    {"all", RESERVED, 0, 0},
    {"any", RESERVED, 0, 0},
};

/* ---- refusal ---- */

/* Copies what fits; a character that would be cut in its middle is left out whole. */
static void put_words(char *out, size_t size, const char *text)
{
    size_t length = strlen(text);
    if (length >= size) {
        length = size - 1;
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
            length--;
    }
    memcpy(out, text, length);
    out[length] = '\0';
}

static enum err refuse(struct parse *parse, const char *key, const char *found, const char *expected)
{
    put_words(parse->fault->key, sizeof(parse->fault->key), key);
    put_words(parse->fault->found, sizeof(parse->fault->found), found);
    put_words(parse->fault->expected, sizeof(parse->fault->expected), expected);
    return ERR_REFUSED;
}

static enum err refuse_value(struct parse *parse, const char *key, const json_t *value, const char *expected)
{
    if (value == NULL)
        return refuse(parse, key, "nothing", expected);
    char *found = exact_json_text(value);
    ensure(found != NULL);
    enum err error = refuse(parse, key, found, expected);
    slab_give(found);
    return error;
}

static const json_t *get(const struct parse *parse, const char *key)
{
    return json_object_get(parse->json, key);
}

/* ---- values ---- */

static enum err take_boolean(struct parse *parse, const char *key, bool *ret)
{
    const json_t *value = get(parse, key);
    if (value == NULL)
        return OK;
    if (!json_is_boolean(value))
        return refuse_value(parse, key, value, "true or false");
    *ret = json_is_true(value);
    return OK;
}

/* A whole number in [min, max]; without the key *ret stays. */
static enum err take_whole(struct parse *parse, const char *key, const unsigned bounds[2], unsigned *ret)
{
    const json_t *value = get(parse, key);
    const char *text = exact_json_number(value);
    char expected[80];
    int64_t millionths;

    if (value == NULL)
        return OK;
    (void)snprintf(expected, sizeof(expected), "a whole number from %u to %u", bounds[0], bounds[1]);
    if (text == NULL || decimal_parse(text, strlen(text), NULL, &millionths) != OK ||
        !decimal_fits_six_places(text, strlen(text)) || millionths % DECIMAL_ONE != 0 ||
        millionths < (int64_t)bounds[0] * DECIMAL_ONE || millionths > (int64_t)bounds[1] * DECIMAL_ONE)
        return refuse_value(parse, key, value, expected);
    *ret = (unsigned)(millionths / DECIMAL_ONE);
    return OK;
}

/* A duration in [min, max]; without the key *ret stays. */
static enum err take_duration(struct parse *parse, const char *key, const int64_t bounds[2], int64_t *ret_ms)
{
    const json_t *value = get(parse, key);
    const char *text = exact_json_string(value);
    char expected[160];
    int64_t ms;

    if (value == NULL)
        return OK;
    if (text == NULL || instant_parse_duration(text, strlen(text), &ms) != OK)
        return refuse_value(parse, key, value,
                            "a duration in quotes: a whole number and ms, s, m, h or d, such as 84h");
    (void)snprintf(expected, sizeof(expected), "a duration %s and at most %lld h",
                   bounds[0] > 0 ? "above 0" : "of 0 or more", (long long)(bounds[1] / 3600000));
    if (ms < bounds[0] || ms > bounds[1])
        return refuse_value(parse, key, value, expected);
    *ret_ms = ms;
    return OK;
}

/* A number with at most six decimals, in millionths of the unit written. */
static enum err take_plain(struct parse *parse, const char *key, const json_t *value, int64_t *ret)
{
    const char *text = exact_json_number(value);
    if (text == NULL)
        return refuse_value(parse, key, value, "a number");
    if (!decimal_fits_six_places(text, strlen(text)))
        return refuse_value(parse, key, value, "at most six decimals");
    if (decimal_parse(text, strlen(text), NULL, ret) != OK)
        return refuse_value(parse, key, value, "a number of millionths within 64 bits");
    return OK;
}

static enum err take_limit(struct parse *parse, const char *key, const json_t *value, int64_t *ret)
{
    const struct parameter_row *row = parameter_row(parse->rule->parameter);
    char expected[160], min[24], max[24];
    int64_t plain, limit;

    enum err error = take_plain(parse, key, value, &plain);
    if (error != OK)
        return error;
    const char *text = exact_json_number(value);
    decimal_format(row->possible_min, min);
    decimal_format(row->possible_max, max);
    (void)snprintf(expected, sizeof(expected), "a possible %s: %s to %s %s", row->name, min, max, row->unit);
    if (decimal_parse(text, strlen(text), parse->conversion, &limit) != OK || limit < row->possible_min ||
        limit > row->possible_max)
        return refuse_value(parse, key, value, expected);
    *ret = limit;
    return OK;
}

/* rise, fall, hysteresis: in [min, width of the possible band]. */
static enum err take_difference(struct parse *parse, const char *key, const json_t *value, int64_t min,
                                int64_t *ret)
{
    const struct parameter_row *row = parameter_row(parse->rule->parameter);
    char expected[160], width[24];
    int64_t plain;

    enum err error = take_plain(parse, key, value, &plain);
    if (error != OK)
        return error;
    decimal_format(row->possible_max - row->possible_min, width);
    (void)snprintf(expected, sizeof(expected), "a difference %s and at most %s %s",
                   min > 0 ? "above 0" : "of 0 or more", width, row->unit);
    if (plain < min || plain > PLAIN_MAX)
        return refuse_value(parse, key, value, expected);
    int64_t difference = parameter_difference(parse->conversion, plain);
    if (difference < min || difference > row->possible_max - row->possible_min)
        return refuse_value(parse, key, value, expected);
    *ret = difference;
    return OK;
}

static enum err take_priority(struct parse *parse, const char *key, const json_t *value, enum priority *ret)
{
    const char *word = exact_json_string(value);
    enum priority priority = word == NULL ? PRIORITY_NONE : priority_from_word(word);
    if (priority == PRIORITY_NONE)
        return refuse_value(parse, key, value, "low, medium or high");
    *ret = priority;
    return OK;
}

/* ---- steps of every kind ---- */

static enum err check_keys(struct parse *parse, unsigned in, const char *kind)
{
    const char *key;
    json_t *value;
    char expected[160];

    json_object_foreach((json_t *)(uintptr_t)parse->json, key, value)
    {
        size_t i = 0;
        while (i < sizeof(keys) / sizeof(keys[0]) && strcmp(keys[i].name, key) != 0)
            i++;
        (void)snprintf(expected, sizeof(expected), "a key of a rule of kind %s", kind);
        if (i == sizeof(keys) / sizeof(keys[0]))
            return refuse(parse, key, "an unknown key", expected);
        if ((keys[i].in & in) == 0)
            return refuse(parse, key, "a key of other kinds", expected);
    }
    return OK;
}

static bool is_name(const char *text, size_t size_max)
{
    size_t size = strlen(text);
    for (const char *at = text; *at != '\0'; at++)
        if (*at <= ' ' || *at > '~') /* ids and lines are parts of keys and digests: visible ASCII alone */
            return false;
    return size > 0 && size <= size_max;
}

static enum err parse_names(struct parse *parse)
{
    const json_t *id = get(parse, "id"), *line = get(parse, "line");
    const char *id_text = exact_json_string(id), *line_text = exact_json_string(line);

    if (id_text == NULL || !is_name(id_text, RULE_ID_BYTES_MAX))
        return refuse_value(parse, "id", id, "1 to 64 visible ASCII characters");
    (void)snprintf(parse->rule->id, sizeof(parse->rule->id), "%s", id_text);
    if (line == NULL)
        return OK;
    if (line_text == NULL || !is_name(line_text, REF_BYTES_MAX))
        return refuse_value(parse, "line", line, "1 to 64 visible ASCII characters");
    (void)snprintf(parse->rule->line, sizeof(parse->rule->line), "%s", line_text);
    return OK;
}

static enum err check_text(struct parse *parse, const char *key, const json_t *value, size_t size_max)
{
    char expected[80];
    const char *text = exact_json_string(value);
    (void)snprintf(expected, sizeof(expected), "a text of at most %zu bytes", size_max);
    if (value != NULL && (text == NULL || strlen(text) > size_max))
        return refuse_value(parse, key, value, expected);
    return OK;
}

static enum err parse_words(struct parse *parse)
{
    const json_t *text = get(parse, "text"), *value;
    const char *key;

    enum err error = check_text(parse, "source", get(parse, "source"), SOURCE_BYTES_MAX);
    if (error == OK)
        error = check_text(parse, "tag", get(parse, "tag"), SOURCE_BYTES_MAX);
    if (error == OK && text != NULL && !json_is_object(text))
        error = refuse_value(parse, "text", text, "an object with the keys fr and en");
    if (error != OK)
        return error;
    json_object_foreach((json_t *)(uintptr_t)text, key, value)
    {
        if (strcmp(key, "fr") != 0 && strcmp(key, "en") != 0)
            return refuse(parse, "text", key, "the keys fr and en");
        error = check_text(parse, "text", value, TEXT_BYTES_MAX);
        if (error != OK)
            return error;
    }
    const char *fr = exact_json_string(json_object_get(text, "fr")),
               *en = exact_json_string(json_object_get(text, "en"));
    fr = fr != NULL ? fr : en != NULL ? en : parse->rule->id;
    en = en != NULL ? en : fr;
    parse->rule->text_fr = slab_take_text(fr);
    parse->rule->text_en = slab_take_text(en);
    ensure(parse->rule->text_fr != NULL && parse->rule->text_en != NULL);
    return OK;
}

static enum err parse_parameter(struct parse *parse)
{
    const json_t *parameter = get(parse, "parameter"), *unit = get(parse, "unit");
    const char *name = exact_json_string(parameter), *text = exact_json_string(unit);
    char expected[120];

    if (name == NULL || parameter_by_name(name, strlen(name), &parse->rule->parameter) != OK)
        return refuse_value(parse, "parameter", parameter, "the name of a parameter, such as body-weight");
    const struct parameter_row *row = parameter_row(parse->rule->parameter);
    (void)snprintf(expected, sizeof(expected), "a UCUM unit of %s, such as %s", name, row->unit);
    if (text == NULL ||
        parameter_unit(parse->rule->parameter, UNIT_UCUM, text, strlen(text), &parse->conversion) != OK)
        return refuse_value(parse, "unit", unit, expected);
    (void)snprintf(parse->unit, sizeof(parse->unit), "%s", text);
    return OK;
}

static int64_t lookback_ms(const struct parse *parse)
{
    bool continuous = parameter_row(parse->rule->parameter)->class == CLASS_CONTINUOUS;
    return continuous ? parse->bounds->lookback_continuous_ms : parse->bounds->lookback_ms;
}

static enum err parse_counts(struct parse *parse)
{
    static const unsigned bounds[2] = {1, SERIES_HELD_MAX};
    parse->rule->count = parse->rule->clear_count = 1;
    enum err error = take_whole(parse, "count", bounds, &parse->rule->count);
    return error == OK ? take_whole(parse, "clear_count", bounds, &parse->rule->clear_count) : error;
}

/* ---- limit ---- */

/* Puts a level where its priority belongs; its neighbours must lie on the right sides of it. */
static enum err insert_level(struct parse *parse, enum rule_side side, const struct rule_level *level,
                             const char *key)
{
    struct rule_levels *levels = &parse->rule->limit.side[side];
    unsigned at = 0;

    while (at < levels->count && levels->level[at].priority < level->priority)
        at++;
    if (at < levels->count && levels->level[at].priority == level->priority)
        return refuse(parse, key, priority_word(level->priority), "one level of each priority on a side");
    ensure(levels->count < LEVELS_PER_SIDE_MAX); /* three priorities, each at most once */
    memmove(&levels->level[at + 1], &levels->level[at], (levels->count - at) * sizeof(*level));
    levels->level[at] = *level;
    levels->count++;
    for (unsigned i = 1; i < levels->count; i++) {
        int64_t outwards = levels->level[i].limit - levels->level[i - 1].limit;
        if (side == SIDE_LOW ? outwards > 0 : outwards < 0)
            return refuse(parse, key, "a higher priority less far out",
                          "limits further out with rising priority");
    }
    return OK;
}

static enum err parse_level(struct parse *parse, size_t index, const json_t *json)
{
    static const char *const sides[SIDE_COUNT] = {"below", "above"};
    struct rule_level level;
    char key[48];
    const char *name;
    json_t *ignored;

    (void)snprintf(key, sizeof(key), "levels[%zu]", index);
    if (!json_is_object(json))
        return refuse_value(parse, key, json, "an object with priority and below or above");
    json_object_foreach((json_t *)(uintptr_t)json, name, ignored)
    {
        if (strcmp(name, "priority") != 0 && strcmp(name, "below") != 0 && strcmp(name, "above") != 0)
            return refuse(parse, key, name, "the keys priority, below, above");
    }
    (void)snprintf(key, sizeof(key), "levels[%zu].priority", index);
    enum err error = take_priority(parse, key, json_object_get(json, "priority"), &level.priority);
    bool any = false;
    for (enum rule_side side = SIDE_LOW; side < SIDE_COUNT && error == OK; side++) {
        const json_t *value = json_object_get(json, sides[side]);
        if (value == NULL)
            continue;
        any = true;
        (void)snprintf(key, sizeof(key), "levels[%zu].%s", index, sides[side]);
        error = take_limit(parse, key, value, &level.limit);
        if (error == OK)
            error = insert_level(parse, side, &level, key);
    }
    return error == OK && !any ? refuse_value(parse, key, json, "below or above") : error;
}

/* The way back of every level is a possible value, else the alert could never clear. */
static enum err check_hysteresis(struct parse *parse)
{
    const struct parameter_row *row = parameter_row(parse->rule->parameter);
    const struct rule_limit *limit = &parse->rule->limit;
    for (enum rule_side side = SIDE_LOW; side < SIDE_COUNT; side++)
        for (unsigned i = 0; i < limit->side[side].count; i++) {
            int64_t value = limit->side[side].level[i].limit;
            int64_t inside = side == SIDE_LOW ? value + limit->hysteresis : value - limit->hysteresis;
            if (inside < row->possible_min || inside > row->possible_max)
                return refuse_value(parse, "hysteresis", get(parse, "hysteresis"),
                                    "a margin after which a possible value clears the alert");
        }
    return OK;
}

static enum err parse_gap(struct parse *parse)
{
    const int64_t window[2] = {1, lookback_ms(parse)}, wait[2] = {0, lookback_ms(parse)};
    struct rule_limit *limit = &parse->rule->limit;

    enum err error = take_duration(parse, "max_gap", window, &limit->max_gap_ms);
    if (error == OK)
        error = take_duration(parse, "for", wait, &limit->for_ms);
    if (error == OK && limit->for_ms > 0 && limit->max_gap_ms == 0)
        error = refuse(parse, "for", "no max_gap",
                       "max_gap beside for: how long a gap may be for the run to go on");
    return error;
}

static enum err parse_limit(struct parse *parse)
{
    const json_t *levels = get(parse, "levels"), *hysteresis = get(parse, "hysteresis");

    if (!json_is_array(levels) || json_array_size(levels) == 0)
        return refuse_value(parse, "levels", levels, "an array of levels: priority and below or above");
    for (size_t i = 0; i < json_array_size(levels); i++) {
        enum err error = parse_level(parse, i, json_array_get(levels, i));
        if (error != OK)
            return error;
    }
    if (hysteresis != NULL) {
        enum err error = take_difference(parse, "hysteresis", hysteresis, 0, &parse->rule->limit.hysteresis);
        if (error == OK)
            error = check_hysteresis(parse);
        if (error != OK)
            return error;
    }
    return parse_gap(parse);
}

/* ---- change ---- */

static enum err parse_amount(struct parse *parse, enum rule_side side, const char *absolute,
                             const char *percent)
{
    const json_t *difference = get(parse, absolute), *share = get(parse, percent);
    struct rule_change *change = &parse->rule->change;

    change->difference.has[side] = difference != NULL || share != NULL;
    change->difference.percent[side] = share != NULL;
    if (difference != NULL && share != NULL)
        return refuse(parse, percent, "both percent and absolute", "one of them on a side");
    if (difference != NULL)
        return take_difference(parse, absolute, difference, 1, &change->difference.amount[side]);
    if (share == NULL)
        return OK;
    enum err error = take_plain(parse, percent, share, &change->difference.amount[side]);
    if (error == OK && (change->difference.amount[side] <= 0 || change->difference.amount[side] > PLAIN_MAX))
        error = refuse_value(parse, percent, share, "a percentage above 0");
    return error;
}

static enum err parse_change(struct parse *parse)
{
    const int64_t window[2] = {1, lookback_ms(parse)};

    enum err error = parse_amount(parse, SIDE_LOW, "fall", "fall_percent");
    if (error == OK)
        error = parse_amount(parse, SIDE_HIGH, "rise", "rise_percent");
    if (error == OK && !parse->rule->change.difference.has[SIDE_LOW] &&
        !parse->rule->change.difference.has[SIDE_HIGH])
        error = refuse(parse, "rise", "nothing", "rise or fall, or one of them in percent");
    if (error == OK && get(parse, "within") == NULL)
        error = refuse(parse, "within", "nothing", "the window, such as 84h");
    if (error == OK)
        error = take_duration(parse, "within", window, &parse->rule->change.within_ms);
    return error == OK ? take_priority(parse, "priority", get(parse, "priority"), &parse->rule->priority)
                       : error;
}

/* ---- silence ---- */

static enum err parse_list(struct parse *parse)
{
    const json_t *list = get(parse, "parameters");
    struct rule_silence *silence = &parse->rule->silence;

    if (!json_is_array(list) || json_array_size(list) == 0)
        return refuse_value(parse, "parameters", list, "an array of parameter names; any of them counts");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        const char *name = exact_json_string(value);
        enum parameter parameter;
        if (name == NULL || parameter_by_name(name, strlen(name), &parameter) != OK)
            return refuse_value(parse, "parameters", value, "the name of a parameter, such as body-weight");
        for (unsigned k = 0; k < silence->parameters_count; k++)
            if (silence->parameters[k] == parameter)
                return refuse_value(parse, "parameters", value, "each parameter once");
        silence->parameters[silence->parameters_count++] = parameter;
    }
    return OK;
}

static enum err parse_day_start(struct parse *parse)
{
    const json_t *value = get(parse, "day_start");
    const char *text = exact_json_string(value);
    if (value == NULL)
        return OK;
    if (text == NULL || strlen(text) != 5 || text[2] != ':' || strspn(text, "0123456789:") != 5 ||
        text[0] == ':' || text[1] == ':' || text[3] == ':' || text[4] == ':')
        return refuse_value(parse, "day_start", value, "a local time, 00:00 to 23:59");
    int hour = (text[0] - '0') * 10 + text[1] - '0', minute = (text[3] - '0') * 10 + text[4] - '0';
    if (hour > 23 || minute > 59)
        return refuse_value(parse, "day_start", value, "a local time, 00:00 to 23:59");
    parse->rule->silence.day_start_min = hour * 60 + minute;
    return OK;
}

static enum err parse_silence(struct parse *parse)
{
    static const int64_t gap[2] = {1, (int64_t)SILENCE_DAYS_MAX * DAY_MS},
                         grace[2] = {0, 7 * (int64_t)DAY_MS};
    static const unsigned days[2] = {1, SILENCE_DAYS_MAX};
    struct rule_silence *silence = &parse->rule->silence;

    if (!parse->rule->enabled)
        return refuse(parse, "enabled", "false", "true: nobody can disable a silence rule");
    parse->rule->requires_validation = false; /* it is in force from enrolment, whatever the key says */
    silence->grace_ms = GRACE_DEFAULT_MS;
    enum err error = take_duration(parse, "max_gap", gap, &silence->max_gap_ms);
    if (error == OK)
        error = take_whole(parse, "missed_days", days, &silence->missed_days);
    if (error == OK && silence->max_gap_ms == 0 && silence->missed_days == 0)
        error = refuse(parse, "max_gap", "nothing", "max_gap or missed_days, or both");
    if (error == OK)
        error = parse_list(parse);
    if (error == OK)
        error = parse_day_start(parse);
    if (error == OK)
        error = take_duration(parse, "grace", grace, &silence->grace_ms);
    return error == OK ? take_priority(parse, "priority", get(parse, "priority"), &parse->rule->priority)
                       : error;
}

/* ---- the parameters in force, for events ---- */

static void render_member(const struct parse *parse, struct buffer *out, const char *key,
                          const char *otherwise)
{
    const json_t *value = get(parse, key);
    render_key(out, key);
    if (value != NULL)
        exact_json_render(out, value);
    else
        render_raw(out, otherwise, strlen(otherwise));
}

static void render_given(const struct parse *parse, struct buffer *out, const char *key)
{
    if (get(parse, key) != NULL)
        render_member(parse, out, key, "null");
}

static void render_kind(const struct parse *parse, struct buffer *out)
{
    static const char *const amounts[] = {"rise", "fall", "rise_percent", "fall_percent"};

    if (parse->rule->kind == RULE_LIMIT) {
        render_member(parse, out, "levels", "[]");
        render_member(parse, out, "hysteresis", "0");
        render_member(parse, out, "for", "\"0s\"");
        render_member(parse, out, "max_gap", "null");
    } else if (parse->rule->kind == RULE_CHANGE) {
        for (size_t i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++)
            render_given(parse, out, amounts[i]);
        render_member(parse, out, "within", "null");
        render_member(parse, out, "priority", "null");
    } else {
        render_member(parse, out, "max_gap", "null");
        render_member(parse, out, "missed_days", "null");
        render_member(parse, out, "parameters", "[]");
        render_member(parse, out, "day_start", "\"00:00\"");
        render_member(parse, out, "grace", "\"6h\"");
        render_member(parse, out, "priority", "null");
    }
}

static void render_parameters(struct parse *parse)
{
    struct buffer out = {0};

    render_open(&out, '{');
    if (parse->rule->kind != RULE_SILENCE) {
        render_key(&out, "unit"); /* numbers are as they were written, in this unit */
        render_text(&out, parse->unit);
    }
    render_kind(parse, &out);
    if (parse->rule->kind != RULE_SILENCE) {
        render_member(parse, &out, "count", "1");
        render_member(parse, &out, "clear_count", "1");
    }
    render_close(&out, '}');
    buffer_append(&out, "", 1);
    parse->rule->parameters_json = out.data;
}

/* ---- the whole ---- */

static enum err parse_kind(struct parse *parse, unsigned *ret_in)
{
    const json_t *value = get(parse, "kind");
    const char *word = exact_json_string(value);
    char found[80];

    for (size_t i = 0; word != NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].word, word) != 0)
            continue;
        (void)snprintf(found, sizeof(found), "kind %s is %s", word,
                       kinds[i].state == RESERVED ? "a reserved name" : "not served yet");
        if (kinds[i].state != SERVED)
            return refuse(parse, "kind", found, "limit, change or silence");
        parse->rule->kind = kinds[i].kind;
        *ret_in = kinds[i].in;
        return OK;
    }
    return refuse_value(parse, "kind", value, "limit, change or silence");
}

/* {"id": …, "inherit": true} ends a layer's definition and says nothing else. */
static enum err parse_inherit(struct parse *parse)
{
    enum err error = check_keys(parse, IN_INHERIT, "that inherits");
    if (error == OK)
        error = parse_words(parse);
    parse->rule->parameters_json = slab_take_text("{}");
    ensure(parse->rule->parameters_json != NULL);
    return error;
}

static enum err parse_body(struct parse *parse)
{
    unsigned in = 0;
    enum err error = parse_kind(parse, &in);
    if (error == OK)
        error = check_keys(parse, in, rule_kind(parse->rule));
    if (error == OK)
        error = take_boolean(parse, "enabled", &parse->rule->enabled);
    if (error == OK)
        error = take_boolean(parse, "requires_validation", &parse->rule->requires_validation);
    if (error == OK)
        error = parse_words(parse);
    if (error != OK)
        return error;
    if (parse->rule->kind == RULE_SILENCE) {
        error = parse_silence(parse);
    } else {
        error = parse_parameter(parse);
        if (error == OK)
            error = parse_counts(parse);
        if (error == OK)
            error = parse->rule->kind == RULE_LIMIT ? parse_limit(parse) : parse_change(parse);
    }
    if (error == OK)
        render_parameters(parse);
    return error;
}

enum err rule_parse(const json_t *exact, const struct rule_bounds *bounds, struct rule **ret_rule,
                    struct rule_fault *ret_fault)
{
    struct parse parse = {.json = exact, .bounds = bounds, .fault = ret_fault};

    if (!json_is_object(exact))
        return refuse_value(&parse, "rule", exact, "an object");
    parse.rule = slab_take_zeroed(sizeof(*parse.rule));
    ensure(parse.rule != NULL);
    parse.rule->parameter = PARAMETER_COUNT;
    parse.rule->enabled = true;
    enum err error = parse_names(&parse);
    if (error == OK)
        error = take_boolean(&parse, "inherit", &parse.rule->inherit);
    if (error == OK)
        error = parse.rule->inherit ? parse_inherit(&parse) : parse_body(&parse);
    if (error != OK) {
        rule_free(parse.rule);
        return error;
    }
    *ret_rule = parse.rule;
    return OK;
}
