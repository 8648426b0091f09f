/* rule_parse: a rule from its JSON, or the one reason why not (RULES.md section 2, last point).
 *
 * Each key has a row that says in which kinds it may stand, so an unknown or misplaced key is named before
 * anything else is looked at: a misspelt `clear_count` must not become a default. The steps of a kind
 * (rule_parse_*.c) then take their keys, check them and fill the rule; the first fault ends it. */
#include <stdio.h>
#include <string.h>

#include "alerting/exact_json.h"
#include "alerting/rule.h"
#include "alerting/rule_reader.h"
#include "daemon/base/slab.h"

enum {
    TEXT_BYTES_MAX = 500,
    SOURCE_BYTES_MAX = 300,
};

/* ---- the keys ---- */

#define IN(kind) (1u << RULE_##kind)
enum {
    IN_LIMIT = IN(LIMIT),
    IN_OCCURRENCES = IN(OCCURRENCES),
    IN_SILENCE = IN(SILENCE),
    IN_RATE = IN(RATE),
    IN_RUNS = IN(LIMIT) | IN(CHANGE) | IN(REFERENCE) | IN(RATE),
    IN_DAYS = IN(DAILY) | IN(VARIATION) | IN(BASELINE),
    IN_AMOUNTS = IN(CHANGE) | IN(REFERENCE) | IN(VARIATION) | IN(BASELINE),
    IN_BOUNDS = IN(OCCURRENCES) | IN(DAILY),
    IN_ALL = (1u << RULE_KIND_COUNT) - 1,
    IN_JUDGING = IN_ALL & ~(IN(SILENCE) | IN(EVENT)), /* kinds that judge readings or days */
    IN_INHERIT = 1u << RULE_KIND_COUNT,
};

/* The rows that an event shows are in the order in which it shows them: a key that is not given with what
 * stands for it, or not at all. */
static const struct {
    const char *name;
    unsigned in;
    enum { WORDS, SHOWN, SHOWN_IF_GIVEN } shown;
    const char *otherwise; /* SHOWN */
} keys[] = {
    {"id", IN_ALL | IN_INHERIT, WORDS, NULL},
    {"line", IN_ALL | IN_INHERIT, WORDS, NULL},
    {"inherit", IN_ALL | IN_INHERIT, WORDS, NULL},
    {"kind", IN_ALL, WORDS, NULL},
    {"enabled", IN_ALL, WORDS, NULL},
    {"requires_validation", IN_ALL, WORDS, NULL},
    {"text", IN_ALL, WORDS, NULL},
    {"source", IN_ALL, WORDS, NULL},
    {"tag", IN_ALL, WORDS, NULL},
    {"parameter", IN_JUDGING, WORDS, NULL},
    {"unit", IN_JUDGING, SHOWN, "null"}, /* numbers are as they were written, in this unit */
    {"levels", IN_LIMIT, SHOWN, "[]"},
    {"hysteresis", IN_LIMIT, SHOWN, "0"},
    {"for", IN_LIMIT, SHOWN, "\"0s\""},
    {"max_gap", IN_LIMIT | IN_SILENCE, SHOWN, "null"},
    {"statistic", IN_DAYS, SHOWN, "null"},
    {"below", IN_BOUNDS, SHOWN_IF_GIVEN, NULL},
    {"above", IN_BOUNDS, SHOWN_IF_GIVEN, NULL},
    {"rise", IN_AMOUNTS, SHOWN_IF_GIVEN, NULL},
    {"fall", IN_AMOUNTS, SHOWN_IF_GIVEN, NULL},
    {"rise_percent", IN_AMOUNTS, SHOWN_IF_GIVEN, NULL},
    {"fall_percent", IN_AMOUNTS, SHOWN_IF_GIVEN, NULL},
    {"rise_per", IN_RATE, SHOWN_IF_GIVEN, NULL},
    {"fall_per", IN_RATE, SHOWN_IF_GIVEN, NULL},
    {"minimum", IN(VARIATION), SHOWN, "null"},
    {"reference", IN(REFERENCE), SHOWN, "\"reference\""},
    {"rearm", IN_OCCURRENCES, SHOWN, "0"},
    {"mode", IN_OCCURRENCES, SHOWN, "\"crossing\""},
    {"times", IN_OCCURRENCES, SHOWN, "null"},
    {"within", IN_OCCURRENCES | IN(CHANGE) | IN_RATE, SHOWN, "null"},
    {"readings", IN_RATE, SHOWN, "2"},
    {"over", IN(BASELINE), SHOWN, "null"},
    {"min_days", IN(BASELINE), SHOWN, "null"},
    {"days", IN(DAILY) | IN(BASELINE), SHOWN, "1"},
    {"min_readings", IN_DAYS, SHOWN, "1"},
    {"missing", IN(DAILY), SHOWN, "\"break\""},
    {"missed_days", IN_SILENCE, SHOWN, "null"},
    {"parameters", IN_SILENCE, SHOWN, "[]"},
    {"classes", IN(EVENT), SHOWN, "{}"},
    {"day_start", IN_DAYS | IN_SILENCE, SHOWN, "\"00:00\""},
    {"grace", IN_DAYS | IN_SILENCE, SHOWN, "\"6h\""},
    {"priority", IN_ALL & ~(IN(LIMIT) | IN(EVENT)), SHOWN, "null"},
    {"count", IN_RUNS, SHOWN, "1"},
    {"clear_count", IN_RUNS, SHOWN, "1"},
};

static enum err (*const kinds[RULE_KIND_COUNT])(struct rule_reader *) = {
    [RULE_LIMIT] = rule_parse_limit,         [RULE_OCCURRENCES] = rule_parse_occurrences,
    [RULE_CHANGE] = rule_parse_change,       [RULE_REFERENCE] = rule_parse_reference,
    [RULE_RATE] = rule_parse_rate,           [RULE_DAILY] = rule_parse_daily,
    [RULE_VARIATION] = rule_parse_variation, [RULE_BASELINE] = rule_parse_baseline,
    [RULE_SILENCE] = rule_parse_silence,     [RULE_EVENT] = rule_parse_event,
};

static const char kinds_expected[] =
    "limit, occurrences, change, reference, rate, daily, variation, baseline, silence or event";

/* ---- steps of every kind ---- */

static enum err check_keys(struct rule_reader *reader, unsigned in, const char *kind)
{
    const char *key;
    json_t *value;
    char expected[160];

    json_object_foreach((json_t *)(uintptr_t)reader->json, key, value)
    {
        size_t i = 0;
        while (i < sizeof(keys) / sizeof(keys[0]) && strcmp(keys[i].name, key) != 0)
            i++;
        (void)snprintf(expected, sizeof(expected), "a key of a rule of kind %s", kind);
        if (i == sizeof(keys) / sizeof(keys[0]))
            return reader_refuse(reader, key, "an unknown key", expected);
        if ((keys[i].in & in) == 0)
            return reader_refuse(reader, key, "a key of other kinds", expected);
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

static enum err parse_names(struct rule_reader *reader)
{
    const json_t *id = reader_get(reader, "id"), *line = reader_get(reader, "line");
    const char *id_text = exact_json_string(id), *line_text = exact_json_string(line);

    if (id_text == NULL || !is_name(id_text, RULE_ID_BYTES_MAX))
        return reader_refuse_value(reader, "id", id, "1 to 64 visible ASCII characters");
    (void)snprintf(reader->rule->id, sizeof(reader->rule->id), "%s", id_text);
    if (line == NULL)
        return OK;
    if (line_text == NULL || !is_name(line_text, REF_BYTES_MAX))
        return reader_refuse_value(reader, "line", line, "1 to 64 visible ASCII characters");
    (void)snprintf(reader->rule->line, sizeof(reader->rule->line), "%s", line_text);
    return OK;
}

static enum err check_text(struct rule_reader *reader, const char *key, const json_t *value, size_t size_max)
{
    char expected[80];
    const char *text = exact_json_string(value);
    (void)snprintf(expected, sizeof(expected), "a text of at most %zu bytes", size_max);
    if (value != NULL && (text == NULL || strlen(text) > size_max))
        return reader_refuse_value(reader, key, value, expected);
    return OK;
}

static enum err parse_words(struct rule_reader *reader)
{
    const json_t *text = reader_get(reader, "text"), *value;
    const char *key;

    enum err error = check_text(reader, "source", reader_get(reader, "source"), SOURCE_BYTES_MAX);
    if (error == OK)
        error = check_text(reader, "tag", reader_get(reader, "tag"), SOURCE_BYTES_MAX);
    if (error == OK && text != NULL && !json_is_object(text))
        error = reader_refuse_value(reader, "text", text, "an object with the keys fr and en");
    if (error != OK)
        return error;
    json_object_foreach((json_t *)(uintptr_t)text, key, value)
    {
        if (strcmp(key, "fr") != 0 && strcmp(key, "en") != 0)
            return reader_refuse(reader, "text", key, "the keys fr and en");
        error = check_text(reader, "text", value, TEXT_BYTES_MAX);
        if (error != OK)
            return error;
    }
    const char *fr = exact_json_string(json_object_get(text, "fr")),
               *en = exact_json_string(json_object_get(text, "en"));
    fr = fr != NULL ? fr : en != NULL ? en : reader->rule->id;
    en = en != NULL ? en : fr;
    reader->rule->text_fr = slab_take_text(fr);
    reader->rule->text_en = slab_take_text(en);
    ensure(reader->rule->text_fr != NULL && reader->rule->text_en != NULL);
    return OK;
}

static enum err parse_parameter(struct rule_reader *reader)
{
    const json_t *parameter = reader_get(reader, "parameter"), *unit = reader_get(reader, "unit");
    const char *name = exact_json_string(parameter), *text = exact_json_string(unit);
    char expected[120];

    if (name == NULL || parameter_by_name(name, strlen(name), &reader->rule->parameter) != OK)
        return reader_refuse_value(reader, "parameter", parameter,
                                   "the name of a parameter, such as body-weight");
    const struct parameter_row *row = parameter_row(reader->rule->parameter);
    (void)snprintf(expected, sizeof(expected), "a UCUM unit of %s, such as %s", name, row->unit);
    if (text == NULL ||
        parameter_unit(reader->rule->parameter, UNIT_UCUM, text, strlen(text), &reader->conversion) != OK)
        return reader_refuse_value(reader, "unit", unit, expected);
    (void)snprintf(reader->unit, sizeof(reader->unit), "%s", text);
    return OK;
}

static enum err parse_counts(struct rule_reader *reader)
{
    static const unsigned bounds[2] = {1, SERIES_HELD_MAX};
    reader->rule->count = reader->rule->clear_count = 1;
    enum err error = reader_whole(reader, "count", bounds, &reader->rule->count);
    return error == OK ? reader_whole(reader, "clear_count", bounds, &reader->rule->clear_count) : error;
}

/* ---- the parameters in force, for events ---- */

static void render_parameters(struct rule_reader *reader)
{
    struct buffer out = {0};

    render_open(&out, '{');
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const json_t *value = reader_get(reader, keys[i].name);
        bool shown = keys[i].shown == SHOWN || (keys[i].shown == SHOWN_IF_GIVEN && value != NULL);
        if (!shown || (keys[i].in & 1u << reader->rule->kind) == 0)
            continue;
        render_key(&out, keys[i].name);
        if (value != NULL)
            exact_json_render(&out, value);
        else
            render_raw(&out, keys[i].otherwise, strlen(keys[i].otherwise));
    }
    render_close(&out, '}');
    buffer_append(&out, "", 1);
    reader->rule->parameters_json = out.data;
}

/* ---- the whole ---- */

static enum err parse_kind(struct rule_reader *reader)
{
    const json_t *value = reader_get(reader, "kind");
    const char *word = exact_json_string(value);
    char found[80];

    if (word != NULL && (strcmp(word, "all") == 0 || strcmp(word, "any") == 0)) {
        (void)snprintf(found, sizeof(found), "kind %s is a reserved name", word);
        return reader_refuse(reader, "kind", found, kinds_expected);
    }
    for (unsigned kind = 0; word != NULL && kind < RULE_KIND_COUNT; kind++)
        if (strcmp(rule_kind_word((enum rule_kind)kind), word) == 0) {
            reader->rule->kind = (enum rule_kind)kind;
            return OK;
        }
    return reader_refuse_value(reader, "kind", value, kinds_expected);
}

/* {"id": …, "inherit": true} ends a layer's definition and says nothing else. */
static enum err parse_inherit(struct rule_reader *reader)
{
    enum err error = check_keys(reader, IN_INHERIT, "that inherits");
    if (error == OK)
        error = parse_words(reader);
    reader->rule->parameters_json = slab_take_text("{}");
    ensure(reader->rule->parameters_json != NULL);
    return error;
}

static enum err parse_body(struct rule_reader *reader)
{
    enum err error = parse_kind(reader);
    const unsigned in = 1u << reader->rule->kind;
    if (error == OK)
        error = check_keys(reader, in, rule_kind(reader->rule));
    if (error == OK)
        error = reader_boolean(reader, "enabled", &reader->rule->enabled);
    if (error == OK)
        error = reader_boolean(reader, "requires_validation", &reader->rule->requires_validation);
    if (error == OK)
        error = parse_words(reader);
    if (error == OK && (in & IN_JUDGING) != 0)
        error = parse_parameter(reader);
    if (error == OK && (in & IN_RUNS) != 0)
        error = parse_counts(reader);
    if (error == OK)
        error = kinds[reader->rule->kind](reader);
    if (error == OK)
        render_parameters(reader);
    return error;
}

enum err rule_parse(const json_t *exact, const struct rule_bounds *bounds, struct rule **ret_rule,
                    struct rule_fault *ret_fault)
{
    struct rule_reader reader = {.json = exact, .bounds = bounds, .fault = ret_fault};

    if (!json_is_object(exact))
        return reader_refuse_value(&reader, "rule", exact, "an object");
    reader.rule = slab_take_zeroed(sizeof(*reader.rule));
    ensure(reader.rule != NULL);
    reader.rule->parameter = PARAMETER_COUNT;
    reader.rule->enabled = true;
    enum err error = parse_names(&reader);
    if (error == OK)
        error = reader_boolean(&reader, "inherit", &reader.rule->inherit);
    if (error == OK)
        error = reader.rule->inherit ? parse_inherit(&reader) : parse_body(&reader);
    if (error != OK) {
        rule_free(reader.rule);
        return error;
    }
    *ret_rule = reader.rule;
    return OK;
}
