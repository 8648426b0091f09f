/* command_fields: see command_fields.h. Numbers keep their text (exact_json.h), so a value is exact. */
#include "alerting/command_fields.h"

#include <stdlib.h>
#include <string.h>

#include "alerting/exact_json.h"

enum { TEXT_RENDERED_MAX = 2000 }; /* author and note of an event: 4 of its 16 KB */

static void answer(struct fields *fields, enum err outcome, const char *const pairs[][2], size_t count)
{
    struct buffer *reply = &fields->command->reply;
    if (!fields->good)
        return;
    fields->good = false;
    fields->command->outcome = outcome;
    buffer_clear(reply);
    render_open(reply, '{');
    for (size_t i = 0; i < count; i++) {
        render_key(reply, pairs[i][0]);
        render_text(reply, pairs[i][1]);
    }
    render_close(reply, '}');
}

void fields_refuse(struct fields *fields, const char *what, const char *found, const char *expected,
                   const char *hint)
{
    const char *const pairs[][2] = {{"what", what}, {"found", found}, {"expected", expected}, {"hint", hint}};
    answer(fields, ERR_REFUSED, pairs, hint == NULL ? 3 : 4);
}

void fields_not_found(struct fields *fields, const char *what)
{
    const char *const pairs[][2] = {
        {"what", what}, {"found", "nothing"}, {"expected", "one that is known here"}};
    answer(fields, ERR_NOT_FOUND, pairs, 3);
}

void fields_pass(struct fields *fields)
{
    fields->command->outcome = OK;
    fields->good = false;
}

void fields_answer(struct fields *fields, int64_t commit_ms, int64_t in_force_from_ms, bool moved)
{
    struct buffer *reply = &fields->command->reply;
    fields->command->outcome = OK;
    buffer_clear(reply);
    render_open(reply, '{');
    render_key(reply, "commit");
    render_instant(reply, commit_ms);
    render_key(reply, "valid_from");
    render_instant(reply, in_force_from_ms);
    render_key(reply, "moved");
    render_boolean(reply, moved);
    render_key(reply, "in_force_from");
    render_instant(reply, in_force_from_ms);
    render_close(reply, '}');
}

void fields_init(struct fields *fields, struct command *command, int64_t now_ms)
{
    char why[160];
    *fields = (struct fields){.command = command, .commit_ms = now_ms, .good = true};
    if (exact_json_load(command->json.data, command->json.size, &fields->json, why, sizeof why) != OK) {
        fields->json = NULL;
        fields_refuse(fields, "command", why, "a JSON object", NULL);
        return;
    }
    int64_t committed_ms = field_instant(fields, "committed_at", now_ms);
    fields->commit_ms = committed_ms < now_ms ? committed_ms : now_ms;
}

void fields_deinit(struct fields *fields)
{
    json_decref(fields->json);
    fields->json = NULL;
}

static const json_t *get(const struct fields *fields, const char *key)
{
    const json_t *value = json_object_get(fields->json, key);
    return json_is_null(value) ? NULL : value;
}

size_t rendered_size(const char *text)
{
    size_t size = 0;
    for (; *text != '\0'; text++)
        size += (unsigned char)*text < 0x20 ? 6 : *text == '"' || *text == '\\' ? 2 : 1;
    return size;
}

const char *field_text(struct fields *fields, const char *key, const char *missing)
{
    const json_t *value = get(fields, key);
    const char *text = exact_json_string(value);
    if (value == NULL && missing != NULL)
        return missing;
    if (text == NULL || rendered_size(text) > TEXT_RENDERED_MAX) {
        fields_refuse(fields, key, value == NULL ? "nothing" : "no text, or a long one", "a text", NULL);
        return "";
    }
    return text;
}

const char *field_ref(struct fields *fields, const char *key, const char *missing)
{
    const char *text = field_text(fields, key, missing);
    size_t size = strlen(text);
    if (text != missing && (size == 0 || size > REF_BYTES_MAX))
        fields_refuse(fields, key, text, "a text of 1 to 64 bytes", NULL);
    return text;
}

int64_t field_integer(struct fields *fields, const char *key, int64_t missing)
{
    const json_t *value = get(fields, key);
    const char *text = exact_json_number(value);
    char *end = NULL;
    long long number = text == NULL ? 0 : strtoll(text, &end, 10);
    if (value == NULL && missing != 0)
        return missing;
    if (text == NULL || *end != '\0' || number < 0)
        fields_refuse(fields, key, text == NULL ? "no number" : text, "a whole number", NULL);
    return number;
}

int64_t field_signed(struct fields *fields, const char *key)
{
    const char *text = exact_json_number(get(fields, key));
    char *end = NULL;
    long long number = text == NULL ? 0 : strtoll(text, &end, 10);
    if (text == NULL || *end != '\0')
        fields_refuse(fields, key, text == NULL ? "no number" : text, "a whole number", NULL);
    return number;
}

int64_t field_instant(struct fields *fields, const char *key, int64_t missing)
{
    const json_t *value = get(fields, key);
    const char *text = exact_json_string(value);
    struct instant_parsed parsed;
    if (value == NULL)
        return missing;
    if (text != NULL && instant_parse(text, strlen(text), &parsed) == INSTANT_GOOD &&
        parsed.precision == PRECISION_TIME)
        return parsed.ms;
    fields_refuse(fields, key, text == NULL ? "no text" : text, "a time like 2026-12-01T00:00:00Z", NULL);
    return missing;
}

enum parameter field_parameter(struct fields *fields, const char *key)
{
    enum parameter parameter = (enum parameter)0;
    const char *name = field_text(fields, key, NULL);
    if (fields->good && parameter_by_name(name, strlen(name), &parameter) != OK)
        fields_refuse(fields, key, name, "the name of a parameter", NULL);
    return parameter;
}

int64_t field_value(struct fields *fields, enum parameter parameter)
{
    const char *unit = field_text(fields, "unit", NULL), *text = exact_json_number(get(fields, "value"));
    const struct decimal_conversion *conversion;
    int64_t value = 0;
    if (!fields->good)
        return 0;
    if (parameter_unit(parameter, UNIT_UCUM, unit, strlen(unit), &conversion) != OK)
        fields_refuse(fields, "unit", unit, parameter_row(parameter)->unit, NULL);
    else if (text == NULL || decimal_parse(text, strlen(text), conversion, &value) != OK)
        fields_refuse(fields, "value", text == NULL ? "no number" : text, "a number", NULL);
    return value;
}
