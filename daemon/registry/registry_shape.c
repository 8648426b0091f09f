/* Rows are made, copied, compared and freed by their columns; only the code that means something by a row
 * knows its struct. */
#include "daemon/registry/registry_shape.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/instant.h"

#define TABLE(id, name, sql) static const struct row_column columns_##id[] = {
#define COLUMN(table, name, type, role)                                                                      \
    {#name, COLUMN_##type, COLUMN_##role, offsetof(struct row_##table, name)},
#define TABLE_END(id)                                                                                        \
    }                                                                                                        \
    ;
#include "daemon/registry/registry_rows.def"
#undef TABLE
#undef COLUMN
#undef TABLE_END

static const struct row_shape shapes[ROW_TABLES] = {
#define TABLE(id, name, sql)                                                                                 \
    [ROW_##id] = {#name, sql, sizeof(struct row_##name), columns_##id,                                       \
                  sizeof(columns_##id) / sizeof(columns_##id[0])},
#define COLUMN(table, name, type, role)
#define TABLE_END(id)
#include "daemon/registry/registry_rows.def"
#undef TABLE
#undef COLUMN
#undef TABLE_END
};

const struct row_shape *row_shape(enum row_table table)
{
    ensure(table < ROW_TABLES);
    return &shapes[table];
}

bool column_is_number(enum column_type type)
{
    return type == COLUMN_NUMBER || type == COLUMN_TIME;
}

void *row_new(enum row_table table)
{
    const struct row_shape *shape = row_shape(table);
    struct row *row = calloc(1, shape->size);
    ensure(row != NULL);
    row->table = table;
    row->changed_at = INSTANT_NONE;
    for (unsigned i = 0; i < shape->columns_count; i++)
        if (shape->columns[i].type == COLUMN_TIME)
            *row_number(row, &shape->columns[i]) = INSTANT_NONE;
    return row;
}

void row_set_text(char **field, const char *text)
{
    char *copy = text == NULL ? NULL : strdup(text);
    ensure(text == NULL || copy != NULL);
    free(*field);
    *field = copy;
}

void *row_copy(const void *original)
{
    const struct row *from = original;
    const struct row_shape *shape = row_shape(from->table);
    struct row *copy = malloc(shape->size);
    ensure(copy != NULL);
    memcpy(copy, from, shape->size);
    copy->key = NULL;
    copy->change = 0;
    copy->next_by_key = copy->next_by_id = copy->next_by_parent = copy->next = copy->previous = NULL;
    for (unsigned i = 0; i < shape->columns_count; i++) {
        if (column_is_number(shape->columns[i].type))
            continue;
        char **field = row_text(copy, &shape->columns[i]);
        const char *text = *field;
        *field = NULL;
        row_set_text(field, text);
    }
    return copy;
}

void row_free(void *taken)
{
    struct row *row = taken;
    if (row == NULL)
        return;
    const struct row_shape *shape = row_shape(row->table);
    for (unsigned i = 0; i < shape->columns_count; i++)
        if (!column_is_number(shape->columns[i].type))
            free(*row_text(row, &shape->columns[i]));
    free(row->key);
    free(row);
}

static const char *text_of(const struct row *row, const struct row_column *column)
{
    return *(char *const *)((const char *)row + column->offset);
}

static int64_t number_of(const struct row *row, const struct row_column *column)
{
    return *(const int64_t *)((const char *)row + column->offset);
}

bool row_equal(const struct row *a, const struct row *b)
{
    ensure(a->table == b->table);
    const struct row_shape *shape = row_shape(a->table);
    for (unsigned i = 0; i < shape->columns_count; i++) {
        const struct row_column *column = &shape->columns[i];
        if (column->type == COLUMN_SECRET)
            continue;
        if (column_is_number(column->type)) {
            if (number_of(a, column) != number_of(b, column))
                return false;
            continue;
        }
        const char *x = text_of(a, column), *y = text_of(b, column);
        if ((x == NULL) != (y == NULL) || (x != NULL && strcmp(x, y) != 0))
            return false;
    }
    return true;
}
