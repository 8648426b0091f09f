/* Errors and options; see ctl.h. */
#include "daemon/ctl/ctl.h"

#include <stdlib.h>
#include <string.h>

int ctl_fail(enum err error, const char *what, const char *found, const char *expected, const char *hint)
{
    fprintf(stderr, "vigiectl: %s, found %s, expected %s, %s\n", what, found, expected, hint);
    return err_sysexit(error);
}

struct engine_settings ctl_engine_settings(const struct config *config)
{
    struct engine_settings settings = {.lookback_ms = config->alerting_lookback,
                                       .lookback_continuous_ms = config->alerting_lookback_continuous,
                                       .future_tolerance_ms = config->alerting_future_tolerance,
                                       .test_mode = config->node_mode == MODE_TEST};
    snprintf(settings.node, sizeof(settings.node), "%s", config->node_name);
    return settings;
}

static const struct ctl_option *find_option(const struct ctl_option *options, const char *name, size_t size)
{
    for (; options->name != NULL; options++)
        if (strlen(options->name) == size && strncmp(options->name, name, size) == 0)
            return options;
    return NULL;
}

/* Takes the option at argv[*at], and its value with it. */
static enum err take_option(int argc, char **argv, int *at, const struct ctl_option *options)
{
    const char *name = argv[*at] + 2, *equals = strchr(name, '=');
    const struct ctl_option *option =
        find_option(options, name, equals == NULL ? strlen(name) : (size_t)(equals - name));
    if (option == NULL || (option->value == NULL && equals != NULL)) {
        ctl_fail(ERR_USAGE, "option", argv[*at], "an option of this command",
                 "see --help behind the command");
        return ERR_USAGE;
    }
    if (option->value == NULL) {
        *option->flag = true;
        return OK;
    }
    if (equals == NULL && *at + 1 == argc) {
        ctl_fail(ERR_USAGE, argv[*at], "nothing behind it", "its value", "see --help behind the command");
        return ERR_USAGE;
    }
    *option->value = equals != NULL ? equals + 1 : argv[++*at];
    return OK;
}

enum err ctl_parse(int argc, char **argv, const struct ctl_option *options, struct ctl_arguments *ret)
{
    ret->count = 0;
    bool only_arguments = false;
    for (int i = 0; i < argc; i++) {
        if (!only_arguments && strcmp(argv[i], "--") == 0) {
            only_arguments = true;
        } else if (!only_arguments && strncmp(argv[i], "--", 2) == 0) {
            enum err error = take_option(argc, argv, &i, options);
            if (error != OK)
                return error;
        } else if (ret->count == CTL_ARGUMENTS_MAX) {
            ctl_fail(ERR_USAGE, "arguments", "more than 256", "fewer", "call it several times");
            return ERR_USAGE;
        } else {
            ret->items[ret->count++] = argv[i];
        }
    }
    return OK;
}

enum err ctl_number(const char *name, const char *text, int initial, int *ret)
{
    if (text == NULL) {
        *ret = initial;
        return OK;
    }
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 1 || value > 100000) {
        ctl_fail(ERR_USAGE, name, text, "a whole number from 1 to 100000", "see --help behind the command");
        return ERR_USAGE;
    }
    *ret = (int)value;
    return OK;
}
