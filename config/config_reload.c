/* config_reload: what SIGHUP cannot change, told by the rows of options.def. */
#include <stdio.h>
#include <string.h>

#include "config/config.h"

enum takes { TAKES_no, TAKES_yes };

static bool same_TEXT(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static bool same_number(int64_t a, int64_t b)
{
    return a == b;
}

#define same_INTEGER    same_number
#define same_BYTES      same_number
#define same_DURATION   same_number
#define same_BOOLEAN    same_number
#define same_INSTANT    same_number
#define same_MODE       same_number
#define same_LOG_LEVEL  same_number
#define same_LOG_FORMAT same_number

static bool same_rdkafka(const struct config *a, const struct config *b)
{
    size_t i = 0;
    for (; a->kafka_rdkafka[i] != NULL && b->kafka_rdkafka[i] != NULL; i++)
        if (strcmp(a->kafka_rdkafka[i], b->kafka_rdkafka[i]) != 0)
            return false;
    return a->kafka_rdkafka[i] == b->kafka_rdkafka[i]; /* both at their end */
}

unsigned config_fixed_changes(const struct config *in_force, const struct config *offered,
                              void (*report)(void *context, const char *line), void *context)
{
    const struct {
        const char *section, *key;
        enum takes takes;
        bool same;
    } rows[] = {
#define OPTION(section, key, type, initial, unit, reload, help)                                              \
    {#section, #key, TAKES_##reload, same_##type(in_force->section##_##key, offered->section##_##key)},
#include "config/options.def"
#undef OPTION
        {"kafka", "rdkafka.*", TAKES_no, same_rdkafka(in_force, offered)},
    };
    unsigned changes = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char line[512];
        if (rows[i].takes == TAKES_yes || rows[i].same)
            continue;
        changes++;
        snprintf(line, sizeof(line),
                 "%s: [%s] %s, found another value than at the start, expected the same, hint: this option "
                 "needs a restart; nothing of the file was taken",
                 offered->path, rows[i].section, rows[i].key);
        report(context, line);
    }
    return changes;
}
