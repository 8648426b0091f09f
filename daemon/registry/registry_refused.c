/* registry_refused: a short list, for people mend what it holds. */
#include "daemon/registry/registry_refused.h"

#include <stdlib.h>

#include "daemon/base/ensure.h"

static bool has(const struct registry_refused *refused, const struct row *row)
{
    for (uint32_t i = 0; i < refused->count; i++)
        if (refused->items[i] == row)
            return true;
    return false;
}

void refused_add(struct registry_refused *refused, const struct row *row)
{
    if (has(refused, row))
        return;
    if (refused->count == refused->capacity) {
        refused->capacity = refused->capacity == 0 ? 16 : 2 * refused->capacity;
        refused->items = realloc(refused->items, refused->capacity * sizeof(refused->items[0]));
        ensure(refused->items != NULL);
    }
    refused->items[refused->count++] = row;
}

static bool goes(const struct row_changes *changes, const struct row *row)
{
    for (uint32_t i = 0; i < changes->count; i++)
        if (changes->items[i].before == row)
            return true;
    return false;
}

void refused_forget(struct registry_refused *refused, const struct row_changes *changes)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < refused->count; i++)
        if (!goes(changes, refused->items[i]))
            refused->items[kept++] = refused->items[i];
    refused->count = kept;
}

static bool is_replaced(const struct registry_refused *refused, const struct rows *rows,
                        const struct row *row)
{
    if (row->table != ROW_RULE)
        return false;
    const struct row_rule *rule = (const struct row_rule *)row;
    const struct row_rule *latest = rows_rule_latest(rows, rule->layer, rule->scope, rule->rule_id);
    return latest != NULL && latest->version > rule->version && !has(refused, &latest->row);
}

void refused_forget_replaced(struct registry_refused *refused, const struct rows *rows)
{
    uint32_t count = refused->count, kept = 0;
    bool *replaced = calloc(count + 1, sizeof(replaced[0]));
    ensure(replaced != NULL);
    for (uint32_t i = 0; i < count; i++)
        replaced[i] = is_replaced(refused, rows, refused->items[i]);
    for (uint32_t i = 0; i < count; i++)
        if (!replaced[i])
            refused->items[kept++] = refused->items[i];
    refused->count = kept;
    free(replaced);
}

void refused_deinit(struct registry_refused *refused)
{
    free(refused->items);
    *refused = (struct registry_refused){.items = NULL};
}
