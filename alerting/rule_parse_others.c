/* rule_parse_others: the kinds that judge no values: silence (RULES.md section 4) and event, a device's own
 * alarm (section 3). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerting/exact_json.h"
#include "alerting/rule_reader.h"
#include "daemon/base/slab.h"

enum {
    DAY_MS = 86400000,
    SILENCE_DAYS_MAX = 31, /* RULES.md section 4 */
    GRACE_DEFAULT_MS = 6 * 3600 * 1000,
};

static enum err take_parameters(struct rule_reader *reader)
{
    const json_t *list = reader_get(reader, "parameters");
    struct rule_silence *silence = &reader->rule->silence;

    if (!json_is_array(list) || json_array_size(list) == 0)
        return reader_refuse_value(reader, "parameters", list,
                                   "an array of parameter names; any of them counts");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        const char *name = exact_json_string(value);
        enum parameter parameter;
        if (name == NULL || parameter_by_name(name, strlen(name), &parameter) != OK)
            return reader_refuse_value(reader, "parameters", value,
                                       "the name of a parameter, such as body-weight");
        for (unsigned k = 0; k < silence->parameters_count; k++)
            if (silence->parameters[k] == parameter)
                return reader_refuse_value(reader, "parameters", value, "each parameter once");
        silence->parameters[silence->parameters_count++] = parameter;
    }
    return OK;
}

enum err rule_parse_silence(struct rule_reader *reader)
{
    static const int64_t gap[2] = {1, (int64_t)SILENCE_DAYS_MAX * DAY_MS},
                         grace[2] = {0, 7 * (int64_t)DAY_MS};
    static const unsigned days[2] = {1, SILENCE_DAYS_MAX};
    struct rule_silence *silence = &reader->rule->silence;

    if (!reader->rule->enabled)
        return reader_refuse(reader, "enabled", "false", "true: nobody can disable a silence rule");
    reader->rule->requires_validation = false; /* it is in force from enrolment, whatever the key says */
    silence->grace_ms = GRACE_DEFAULT_MS;
    enum err error = reader_duration(reader, "max_gap", gap, &silence->max_gap_ms);
    if (error == OK)
        error = reader_whole(reader, "missed_days", days, &silence->missed_days);
    if (error == OK && silence->max_gap_ms == 0 && silence->missed_days == 0)
        error = reader_refuse(reader, "max_gap", "nothing", "max_gap or missed_days, or both");
    if (error == OK)
        error = take_parameters(reader);
    if (error == OK)
        error = reader_day_start(reader, &silence->day_start_min);
    if (error == OK)
        error = reader_duration(reader, "grace", grace, &silence->grace_ms);
    return error == OK ? reader_own_priority(reader) : error;
}

static int compare_classes(const void *left, const void *right)
{
    const struct rule_event_class *a = left, *b = right;
    return strcmp(a->name, b->name);
}

/* An event carries the classes, and is at most 16 KB: what JSON writes longer counts as it is written. */
static bool classes_fit(const struct rule_event *event)
{
    enum { NAMES_BYTES_MAX = 2000, ESCAPED_BYTES = 6 };
    size_t size = 0;
    for (unsigned i = 0; i < event->classes_count; i++)
        for (const char *at = event->classes[i].name; *at != '\0'; at++)
            size += (unsigned char)*at < 0x20 ? ESCAPED_BYTES : *at == '"' || *at == '\\' ? 2 : 1;
    return size <= NAMES_BYTES_MAX;
}

static enum err take_class(struct rule_reader *reader, const char *name, const json_t *value)
{
    struct rule_event *event = &reader->rule->event;
    char key[sizeof "classes." + REF_BYTES_MAX];
    enum priority priority;

    if (name[0] == '\0' || strlen(name) > REF_BYTES_MAX)
        return reader_refuse(reader, "classes", name, "a class of 1 to 64 bytes, as the device sends it");
    (void)snprintf(key, sizeof(key), "classes.%s", name);
    enum err error = reader_priority(reader, key, value, &priority);
    if (error != OK)
        return error;
    if (strcmp(name, "*") == 0) {
        event->otherwise = priority;
        return OK;
    }
    struct rule_event_class *class = &event->classes[event->classes_count++];
    (void)snprintf(class->name, sizeof(class->name), "%s", name);
    class->priority = priority;
    return OK;
}

enum err rule_parse_event(struct rule_reader *reader)
{
    const json_t *classes = reader_get(reader, "classes");
    struct rule_event *event = &reader->rule->event;
    size_t count = json_object_size(classes);
    const char *name;
    json_t *value;

    if (!json_is_object(classes) || count == 0 || count > EVENT_CLASSES_MAX)
        return reader_refuse_value(
            reader, "classes", classes,
            "an object of 1 to 64 classes and their priorities, with \"*\" for all others");
    event->classes = slab_take_zeroed(count * sizeof event->classes[0]);
    json_object_foreach((json_t *)(uintptr_t)classes, name, value)
    {
        enum err error = take_class(reader, name, value);
        if (error != OK)
            return error;
    }
    if (event->otherwise == PRIORITY_NONE)
        return reader_refuse(reader, "classes", "no \"*\"",
                             "\"*\": the priority of every class that is not named");
    if (!classes_fit(event))
        return reader_refuse(reader, "classes", "long names", "at most 2,000 bytes of names in all");
    qsort(event->classes, event->classes_count, sizeof event->classes[0], compare_classes);
    return OK;
}
