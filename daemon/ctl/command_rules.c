/* rules check looks at files alone, with the code that loads them. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "alerting/exact_json.h"
#include "alerting/preset.h"
#include "daemon/base/file.h"
#include "daemon/ctl/ctl.h"

enum { FILE_BYTES_MAX = 256 << 20 };

/* One file under check. */
struct check {
    const char *path;
    struct rule_bounds bounds;
    unsigned rules, faults;
};

static void print_fault(struct check *check, const char *row, const struct rule_fault *fault)
{
    fprintf(stderr, "%s:%s: %s, found %s, expected %s, see RULES.md sections 2 and 3\n", check->path, row,
            fault->key, fault->found, fault->expected);
    check->faults++;
}

static void check_rule(struct check *check, const json_t *json, const char *row)
{
    struct rule *rule;
    struct rule_fault fault = {.key = ""};
    check->rules++;
    if (rule_parse(json, &check->bounds, &rule, &fault) == OK)
        rule_free(rule);
    else
        print_fault(check, row, &fault);
}

/* A line of an import: its rule if it has one. */
static void check_line(struct check *check, const char *line, size_t size, unsigned number)
{
    char row[160], why[120];
    json_t *json;
    snprintf(row, sizeof(row), "%u", number);
    if (exact_json_load(line, size, &json, why, sizeof(why)) != OK) {
        struct rule_fault fault = {.key = "line", .expected = "one JSON object a line"};
        snprintf(fault.found, sizeof(fault.found), "%s", why);
        print_fault(check, row, &fault);
        return;
    }
    const char *type = exact_json_string(json_object_get(json, "type"));
    const json_t *rule = type == NULL ? json : json_object_get(json, "rule");
    if (type == NULL || strcmp(type, "rule") == 0)
        check_rule(check, rule, row);
    json_decref(json);
}

static void check_lines(struct check *check, const struct buffer *file)
{
    unsigned number = 0;
    for (const char *at = file->data, *end = at + file->size; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at)), *stop = newline == NULL ? end : newline;
        number++;
        if (strspn(at, " \t\r") < (size_t)(stop - at))
            check_line(check, at, (size_t)(stop - at), number);
        at = stop + 1;
    }
}

static void check_array(struct check *check, const json_t *rules)
{
    for (size_t i = 0; i < json_array_size(rules); i++) {
        char row[200];
        const json_t *rule = json_array_get(rules, i);
        const char *id = exact_json_string(json_object_get(rule, "id"));
        snprintf(row, sizeof(row), "rule %zu%s%.64s", i + 1, id == NULL ? "" : " ", id == NULL ? "" : id);
        check_rule(check, rule, row);
    }
}

static void check_preset(struct check *check)
{
    struct preset *preset;
    struct preset_fault fault = {.file = ""};
    enum err error = preset_load(check->path, &check->bounds, &preset, &fault);
    if (error == OK) {
        check->rules += (unsigned)preset->rules_count;
        preset_free(preset);
        return;
    }
    if (fault.fault.key[0] == '\0')
        fault.fault = (struct rule_fault){.key = "file", .expected = "a preset"};
    if (fault.fault.found[0] == '\0')
        snprintf(fault.fault.found, sizeof(fault.fault.found), "%s", err_text(error));
    print_fault(check, fault.rule[0] == '\0' ? "preset" : fault.rule, &fault.fault);
}

static void check_content(struct check *check, const struct buffer *file)
{
    char why[120];
    json_t *json;
    if (exact_json_load(file->data, file->size, &json, why, sizeof(why)) != OK) {
        check_lines(check, file); /* not one JSON value: NDJSON, or a fault that its line shows */
        return;
    }
    if (json_is_array(json))
        check_array(check, json);
    else if (json_object_get(json, "rules") != NULL || json_object_get(json, "preset") != NULL)
        check_preset(check);
    else if (json_object_get(json, "type") != NULL)
        check_lines(check, file);
    else
        check_rule(check, json, "1");
    json_decref(json);
}

static int check_file(struct check *check)
{
    struct buffer file = {.data = NULL};
    enum err error = file_read(check->path, FILE_BYTES_MAX, &file);
    if (error == OK) {
        buffer_append(&file, "", 1); /* lines are looked at with string functions */
        file.size--;
        check_content(check, &file);
    }
    buffer_deinit(&file);
    if (error != OK)
        return ctl_fail(error, check->path, err_text(error), "a readable file", "check the path");
    if (check->faults > 0)
        return EX_DATAERR;
    printf("%s: %u rules good\n", check->path, check->rules);
    return EX_OK;
}

int ctl_rules_check(struct ctl *ctl, int argc, char **argv)
{
    const struct ctl_option options[] = {{NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    int status = EX_OK;
    if (ctl_parse(argc, argv, options, &arguments) != OK)
        return EX_USAGE;
    if (arguments.count == 0)
        return ctl_fail(ERR_USAGE, "arguments", "none", "one file or more", "vigiectl rules check FILE...");
    for (int i = 0; i < arguments.count; i++) {
        struct check check = {
            .path = arguments.items[i],
            .bounds = {ctl->config->alerting_lookback, ctl->config->alerting_lookback_continuous}};
        int one = check_file(&check);
        status = one != EX_OK ? one : status;
    }
    return status;
}
