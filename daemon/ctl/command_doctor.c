/* doctor: runs the subjects one after the other, in the order in which one explains the next, and adds up. */
#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

#include "daemon/ctl/doctor.h"

static const char *const state_words[DOCTOR_STATES] = {"ok", "warn", "fail"};

static void tell_json(struct doctor *doctor, const struct doctor_check *check, enum doctor_state state,
                      const char *found)
{
    struct buffer *json = &doctor->lines;
    render_open(json, '{');
    render_key(json, "check");
    render_text(json, check->name);
    render_key(json, "state");
    render_text(json, state_words[state]);
    render_key(json, "found");
    render_text(json, found);
    render_key(json, "expected");
    render_text(json, check->expected);
    render_key(json, "hint");
    if (state == DOCTOR_OK)
        render_null(json);
    else
        render_text(json, check->hint);
    render_close(json, '}');
}

void doctor_tell(struct doctor *doctor, const struct doctor_check *check, enum doctor_state state,
                 const char *found_format, ...)
{
    char found[800];
    va_list arguments;
    va_start(arguments, found_format);
    vsnprintf(found, sizeof found, found_format, arguments);
    va_end(arguments);
    doctor->count[state]++;
    if (doctor->json)
        tell_json(doctor, check, state, found);
    else if (state == DOCTOR_OK)
        printf("%-4s %s: found %s, expected %s\n", state_words[state], check->name, found, check->expected);
    else
        printf("%-4s %s: found %s, expected %s, hint: %s\n", state_words[state], check->name, found,
               check->expected, check->hint);
    fflush(stdout); /* servers may let the next one wait */
}

static void (*const subjects[])(struct doctor *doctor) = {
    doctor_clock, doctor_disk,     doctor_keys,  doctor_certificates,
    doctor_unit,  doctor_postgres, doctor_kafka, doctor_daemon,
};

int ctl_doctor(struct ctl *ctl, int argc, char **argv)
{
    struct doctor doctor = {.ctl = ctl, .config = ctl->config};
    const struct ctl_option options[] = {{"json", NULL, &doctor.json}, {NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    if (ctl_parse(argc, argv, options, &arguments) != OK)
        return EX_USAGE;
    if (arguments.count != 0)
        return ctl_fail(ERR_USAGE, "arguments", arguments.items[0], "none", "see --help behind the command");
    render_open(&doctor.lines, '[');
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++)
        subjects[i](&doctor);
    render_close(&doctor.lines, ']');
    if (doctor.json)
        printf("{\"ok\":%u,\"warn\":%u,\"fail\":%u,\"checks\":%.*s}\n", doctor.count[DOCTOR_OK],
               doctor.count[DOCTOR_WARN], doctor.count[DOCTOR_FAIL], (int)doctor.lines.size,
               doctor.lines.data);
    else
        printf("%u ok, %u warn, %u fail\n", doctor.count[DOCTOR_OK], doctor.count[DOCTOR_WARN],
               doctor.count[DOCTOR_FAIL]);
    buffer_deinit(&doctor.lines);
    return doctor.count[DOCTOR_FAIL] == 0 ? EX_OK : 1;
}
