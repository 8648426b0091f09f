/* The longest matching prefix of the table decides; what is in no row is tried again. */
#include "storage/sqlstate.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *prefix;
    enum sqlstate_action action;
} rows[] = {
    {"0A", SQLSTATE_STOP},   /* feature not supported */
    {"22", SQLSTATE_BISECT}, /* data exception */
    {"23", SQLSTATE_BISECT}, /* integrity constraint; also a row without a partition */
    {"28", SQLSTATE_STOP},   /* login refused */
    {"3D", SQLSTATE_STOP},   /* no such database */
    {"3F", SQLSTATE_STOP},   /* no such schema */
    {"42", SQLSTATE_STOP},   /* no such table or column, no right */
    {"54", SQLSTATE_BISECT}, /* a row over a limit of the server */
};

enum sqlstate_action sqlstate_action(const char *sqlstate)
{
    enum sqlstate_action action = SQLSTATE_RETRY;
    size_t best = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t size = strlen(rows[i].prefix);
        if (size > best && strncmp(sqlstate, rows[i].prefix, size) == 0) {
            best = size;
            action = rows[i].action;
        }
    }
    return action;
}
