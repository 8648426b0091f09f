/* preset: loads the preset files. A preset is held to more than an operator's rule: a number without a source
 * is not shipped, and no number counts for a patient before a physician has confirmed it. */
#include "alerting/preset.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerting/exact_json.h"
#include "daemon/base/file.h"
#include "daemon/base/instant.h"
#include "daemon/base/slab.h"

enum { FILE_BYTES_MAX = 1 << 20, PATH_BYTES_MAX = 4096 };

static enum err refuse(struct preset_fault *fault, const char *key, const char *found, const char *expected)
{
    (void)snprintf(fault->fault.key, sizeof(fault->fault.key), "%s", key);
    (void)snprintf(fault->fault.found, sizeof(fault->fault.found), "%s", found);
    (void)snprintf(fault->fault.expected, sizeof(fault->fault.expected), "%s", expected);
    return ERR_REFUSED;
}

static enum err take_text(const json_t *json, const char *key, char *out, size_t size,
                          struct preset_fault *fault)
{
    const char *text = exact_json_string(json_object_get(json, key));
    if (text == NULL || *text == '\0' || strlen(text) >= size)
        return refuse(fault, key, text == NULL ? "no text" : text, "a short text");
    memcpy(out, text, strlen(text) + 1);
    return OK;
}

static enum err check_keys(const json_t *json, struct preset_fault *fault)
{
    static const char *const known[] = {"preset", "line", "version", "date", "rules"};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        size_t i = 0;
        while (i < sizeof(known) / sizeof(known[0]) && strcmp(known[i], key) != 0)
            i++;
        if (i == sizeof(known) / sizeof(known[0]))
            return refuse(fault, key, "an unknown key", "preset, line, version, date, rules");
    }
    return OK;
}

static enum err parse_head(struct preset *preset, const json_t *json, struct preset_fault *fault)
{
    struct instant_parsed date;
    enum err error =
        json_is_object(json) ? check_keys(json, fault) : refuse(fault, "preset", "no object", "an object");
    if (error == OK)
        error = take_text(json, "preset", preset->name, sizeof(preset->name), fault);
    if (error == OK)
        error = take_text(json, "line", preset->line, sizeof(preset->line), fault);
    if (error == OK)
        error = take_text(json, "date", preset->date, sizeof(preset->date), fault);
    if (error != OK)
        return error;
    if (instant_parse(preset->date, strlen(preset->date), &date) != INSTANT_GOOD ||
        date.precision != PRECISION_DAY)
        return refuse(fault, "date", preset->date, "a day, YYYY-MM-DD");
    const char *version = exact_json_number(json_object_get(json, "version"));
    preset->version = version == NULL || strlen(version) > 6 ? 0 : (unsigned)strtoul(version, NULL, 10);
    if (preset->version == 0)
        return refuse(fault, "version", version == NULL ? "no number" : version, "a whole number from 1");
    return OK;
}

/* What a preset's rule owes beyond RULES.md section 2. */
static enum err check_preset_rule(const struct preset *preset, const struct rule *rule, const json_t *json,
                                  struct preset_fault *fault)
{
    static const char *const sourced[] = {"source", "tag"};
    for (size_t i = 0; i < sizeof(sourced) / sizeof(sourced[0]); i++) {
        const char *text = exact_json_string(json_object_get(json, sourced[i]));
        if (text == NULL || *text == '\0')
            return refuse(fault, sourced[i], "nothing", "where the numbers come from");
    }
    const char *line = exact_json_string(json_object_get(json, "line"));
    if (line == NULL || strcmp(line, preset->line) != 0)
        return refuse(fault, "line", line == NULL ? "nothing" : line, "the line of the preset");
    if (!rule_is_silence(rule) && !rule_requires_validation(rule))
        return refuse(fault, "requires_validation", "not true", "true: a physician confirms every number");
    return OK;
}

static enum err parse_rules(struct preset *preset, const json_t *json, const struct rule_bounds *bounds,
                            struct preset_fault *fault)
{
    const json_t *rules = json_object_get(json, "rules");
    if (!json_is_array(rules) || json_array_size(rules) == 0)
        return refuse(fault, "rules", "no rules", "an array of rules");
    preset->rules = calloc(json_array_size(rules), sizeof(*preset->rules));
    ensure(preset->rules != NULL);
    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *rule_json = json_array_get(rules, i);
        const char *id = exact_json_string(json_object_get(rule_json, "id"));
        struct preset_rule *rule = &preset->rules[i];
        (void)snprintf(fault->rule, sizeof(fault->rule), "%s", id == NULL ? "?" : id);
        enum err error = rule_parse(rule_json, bounds, &rule->rule, &fault->fault);
        if (error != OK)
            return error;
        preset->rules_count++;
        rule->json = exact_json_text(rule_json);
        error = check_preset_rule(preset, rule->rule, rule_json, fault);
        if (error != OK)
            return error;
    }
    fault->rule[0] = '\0';
    return OK;
}

enum err preset_load(const char *path, const struct rule_bounds *bounds, struct preset **ret_preset,
                     struct preset_fault *ret_fault)
{
    struct buffer file = {0};
    json_t *json = NULL;
    char why[160];

    *ret_fault = (struct preset_fault){.rule = ""};
    (void)snprintf(ret_fault->file, sizeof(ret_fault->file), "%s", path);
    struct preset *preset = calloc(1, sizeof(*preset));
    ensure(preset != NULL);
    enum err error = file_read(path, FILE_BYTES_MAX, &file);
    if (error != OK)
        (void)refuse(ret_fault, "file", err_text(error), "a readable file");
    if (error == OK &&
        exact_json_load(file.data == NULL ? "" : file.data, file.size, &json, why, sizeof(why)) != OK)
        error = refuse(ret_fault, "file", why, "JSON");
    if (error == OK)
        error = parse_head(preset, json, ret_fault);
    if (error == OK)
        error = parse_rules(preset, json, bounds, ret_fault);
    json_decref(json);
    buffer_deinit(&file);
    if (error != OK) {
        preset_free(preset);
        return error;
    }
    *ret_preset = preset;
    return OK;
}

void preset_free(struct preset *preset)
{
    if (preset == NULL)
        return;
    for (size_t i = 0; i < preset->rules_count; i++) {
        slab_give(preset->rules[i].json);
        rule_free(preset->rules[i].rule);
    }
    free(preset->rules);
    free(preset);
}

static int is_preset(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);
    return entry->d_name[0] != '.' && size > 5 && strcmp(entry->d_name + size - 5, ".json") == 0;
}

/* Rule ids of `preset` against all that are loaded and its own. */
static enum err check_ids(const struct presets *presets, const struct preset *preset,
                          struct preset_fault *fault)
{
    for (size_t i = 0; i < preset->rules_count; i++) {
        const char *id = rule_id(preset->rules[i].rule);
        bool twice = false;
        for (size_t k = 0; k < i; k++)
            twice = twice || strcmp(rule_id(preset->rules[k].rule), id) == 0;
        for (size_t p = 0; p < presets->count; p++)
            for (size_t k = 0; k < presets->items[p]->rules_count; k++)
                twice = twice || strcmp(rule_id(presets->items[p]->rules[k].rule), id) == 0;
        if (twice) {
            (void)snprintf(fault->rule, sizeof(fault->rule), "%s", id);
            return refuse(fault, "id", id, "an id of its own for each rule");
        }
    }
    return OK;
}

static enum err load_one(const char *directory, const char *name, const struct rule_bounds *bounds,
                         struct presets *presets, struct preset_fault *fault)
{
    char path[PATH_BYTES_MAX];
    struct preset *preset;
    int length = snprintf(path, sizeof(path), "%s/%s", directory, name);
    if (length < 0 || (size_t)length >= sizeof(path))
        return ERR_LIMIT;
    enum err error = preset_load(path, bounds, &preset, fault);
    if (error != OK)
        return error;
    error = check_ids(presets, preset, fault);
    presets->items[presets->count++] = preset; /* also a refused one: presets_free() takes it */
    return error;
}

enum err presets_load(const char *directory, const struct rule_bounds *bounds, struct presets *ret_presets,
                      struct preset_fault *ret_fault)
{
    struct presets presets = {0};
    struct dirent **entries = NULL;
    enum err error = OK;

    int count = scandir(directory, &entries, is_preset, alphasort);
    if (count < 0) {
        error = err_from_errno(errno);
        *ret_fault = (struct preset_fault){.rule = ""};
        (void)snprintf(ret_fault->file, sizeof(ret_fault->file), "%s", directory);
        (void)refuse(ret_fault, "presets_dir", err_text(error), "a readable directory");
        return error;
    }
    presets.items = calloc((size_t)count + 1, sizeof(struct preset *));
    ensure(presets.items != NULL);
    for (int i = 0; i < count; i++) {
        if (error == OK)
            error = load_one(directory, entries[i]->d_name, bounds, &presets, ret_fault);
        free(entries[i]);
    }
    free(entries);
    if (error == OK)
        *ret_presets = presets;
    else
        presets_free(&presets);
    return error;
}

void presets_free(struct presets *presets)
{
    if (presets == NULL)
        return;
    for (size_t i = 0; i < presets->count; i++)
        preset_free(presets->items[i]);
    free(presets->items);
    *presets = (struct presets){0};
}
