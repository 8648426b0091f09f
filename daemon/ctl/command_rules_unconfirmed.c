/* rules unconfirmed: whom rules of their line do not watch, because no physician has confirmed them. */
#include <jansson.h>
#include <sysexits.h>

#include "daemon/ctl/ctl_daemon.h"

static const char *member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

static void print_patients(const json_t *listed)
{
    const json_t *patients = json_object_get(listed, "patients");
    json_int_t total = json_integer_value(json_object_get(listed, "total"));
    size_t index, rule_index;
    json_t *patient, *rule;
    printf("%-24s %-24s %-24s  %s\n", "PATIENT", "LINE", "SINCE", "RULES THAT WAIT");
    json_array_foreach(patients, index, patient)
    {
        printf("%-24s %-24s %-24s ", member(patient, "patient"), member(patient, "line"),
               member(patient, "since"));
        json_array_foreach(json_object_get(patient, "rules"), rule_index, rule)
            printf(" %s", json_string_value(rule));
        printf("\n");
    }
    if (total > (json_int_t)json_array_size(patients))
        printf("and %lld more\n", (long long)(total - (json_int_t)json_array_size(patients)));
}

int ctl_rules_unconfirmed(struct ctl *ctl, int argc, char **argv)
{
    bool as_json = false;
    const struct ctl_option options[] = {{"json", NULL, &as_json}, {NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    if (ctl_parse(argc, argv, options, &arguments) != OK)
        return EX_USAGE;
    if (arguments.count != 0)
        return ctl_fail(ERR_USAGE, "arguments", arguments.items[0], "options alone",
                        "vigiectl rules unconfirmed");
    const struct ctl_call call = {.method = "GET", .target = "/v1/rules/unconfirmed"};
    struct admin_reply reply;
    int status = EX_OK;
    if (!ctl_need_daemon(ctl, &call, &reply, &status))
        return status;
    json_t *listed = as_json ? NULL : json_loadb(reply.body.data, reply.body.size, 0, NULL);
    if (listed == NULL)
        printf("%.*s\n", (int)reply.body.size, reply.body.data);
    else
        print_patients(listed);
    json_decref(listed);
    buffer_deinit(&reply.body);
    return EX_OK;
}
