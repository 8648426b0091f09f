/* rules show asks the shard what a patient is judged by, and prints each rule with what it says to people,
 * its numbers as they were written, and where it comes from. */
#include <jansson.h>
#include <string.h>
#include <sysexits.h>

#include "alerting/exact_json.h"
#include "daemon/ctl/ctl_daemon.h"
#include "daemon/registry/import.h"

static const char *member(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    const char *text = exact_json_string(value), *number = exact_json_number(value);
    return text != NULL ? text : number != NULL ? number : "";
}

/* A text or number as it stands; an object as (key value, key value); what a list holds one after another. */
static void print_value(const json_t *value)
{
    const char *text = exact_json_string(value), *number = exact_json_number(value), *key;
    const char *before = "(";
    json_t *item;
    size_t index;
    if (text != NULL || number != NULL)
        fputs(text != NULL ? text : number, stdout);
    json_array_foreach(value, index, item)
    {
        fputs(index > 0 ? " " : "", stdout);
        print_value(item);
    }
    json_object_foreach((json_t *)(uintptr_t)value, key, item)
    {
        printf("%s%s ", before, key);
        print_value(item);
        before = ", ";
    }
    fputs(json_is_object(value) ? ")" : "", stdout);
}

static void print_numbers(const json_t *rule)
{
    const char *parameter = member(rule, "parameter"), *before = parameter[0] == '\0' ? "" : ": ", *key;
    json_t *value;
    printf("    %s", parameter);
    json_object_foreach(json_object_get(rule, "parameters"), key, value)
    {
        if (json_is_null(value))
            continue;
        printf("%s%s ", before, key);
        print_value(value);
        before = ", ";
    }
    putchar('\n');
}

static void print_rule(const json_t *rule)
{
    const json_t *text = json_object_get(rule, "text");
    const char *french = member(text, "fr"), *english = member(text, "en");
    printf("%-32s %-11s %-12s %7s  %s%s\n", member(rule, "id"), member(rule, "kind"), member(rule, "layer"),
           member(rule, "version"), member(rule, "in_force_from"),
           json_is_true(json_object_get(rule, "in_force"))  ? ""
           : json_is_true(json_object_get(rule, "enabled")) ? "  (not in force now)"
                                                            : "  (not in force now: disabled)");
    printf("    %s%s%s\n", english, strcmp(french, english) == 0 ? "" : " / ",
           strcmp(french, english) == 0 ? "" : french);
    print_numbers(rule);
    printf("    by %s (%s): %s\n", member(rule, "author"), member(rule, "role"), member(rule, "reason"));
}

static void print_rules(const json_t *shown)
{
    size_t index;
    json_t *rule;
    printf("%s, %s, line %s\n", member(shown, "patient"), member(shown, "organization"),
           member(shown, "line"));
    printf("%-32s %-11s %-12s %7s  %s\n", "RULE", "KIND", "LAYER", "VERSION", "IN FORCE FROM");
    json_array_foreach(json_object_get(shown, "rules"), index, rule) print_rule(rule);
    json_array_foreach(json_object_get(shown, "waiting"), index, rule)
        printf("%-32s waits for a physician's confirmation\n", exact_json_string(rule));
}

int ctl_rules_show(struct ctl *ctl, int argc, char **argv)
{
    bool as_json = false;
    const struct ctl_option options[] = {{"json", NULL, &as_json}, {NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    char target[REF_BYTES_MAX + 32], why[160];
    if (ctl_parse(argc, argv, options, &arguments) != OK)
        return EX_USAGE;
    if (arguments.count != 1 || !import_ref_is_good(arguments.items[0]))
        return ctl_fail(ERR_USAGE, "arguments", arguments.count == 1 ? arguments.items[0] : "another number",
                        "the ref of one patient", "vigiectl rules show PATIENT");
    snprintf(target, sizeof(target), "/v1/rules?patient=%s", arguments.items[0]);
    const struct ctl_call call = {.method = "GET", .target = target};
    struct admin_reply reply;
    int status = EX_OK;
    if (!ctl_need_daemon(ctl, &call, &reply, &status))
        return status;
    json_t *shown = NULL;
    if (as_json || exact_json_load(reply.body.data, reply.body.size, &shown, why, sizeof(why)) != OK)
        printf("%s\n", reply.body.data);
    else
        print_rules(shown);
    json_decref(shown);
    buffer_deinit(&reply.body);
    return EX_OK;
}
