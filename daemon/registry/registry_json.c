/* Times are ISO 8601 text, numbers are numbers, everything else is text as it is, the JSON of a rule
 * included: its bytes matter, so it travels as a string. */
#include "daemon/registry/registry_json.h"

#include <string.h>

#include "daemon/base/instant.h"

void row_render_columns(struct row *row, bool secrets, struct buffer *buffer)
{
    const struct row_shape *shape = row_shape(row->table);
    for (unsigned i = 0; i < shape->columns_count; i++) {
        const struct row_column *column = &shape->columns[i];
        bool number = column_is_number(column->type);
        if (column->type == COLUMN_SECRET && !secrets)
            continue;
        if (number ? *row_number(row, column) == (column->type == COLUMN_TIME ? INSTANT_NONE : 0)
                   : *row_text(row, column) == NULL)
            continue;
        render_key(buffer, column->name);
        if (column->type == COLUMN_TIME)
            render_instant(buffer, *row_number(row, column));
        else if (number)
            render_integer(buffer, *row_number(row, column));
        else
            render_text(buffer, *row_text(row, column));
    }
}

static enum err read_time(const json_t *value, int64_t *ret_ms)
{
    struct instant_parsed parsed;
    if (!json_is_string(value) ||
        instant_parse(json_string_value(value), json_string_length(value), &parsed) != INSTANT_GOOD)
        return ERR_FORMAT;
    *ret_ms = parsed.ms;
    return OK;
}

static enum err read_column(struct row *row, const struct row_column *column, const json_t *value)
{
    if (column->type == COLUMN_TIME)
        return read_time(value, row_number(row, column));
    if (column->type == COLUMN_NUMBER) {
        if (!json_is_integer(value))
            return ERR_FORMAT;
        *row_number(row, column) = json_integer_value(value);
        return OK;
    }
    if (!json_is_string(value))
        return ERR_FORMAT;
    row_set_text(row_text(row, column), json_string_value(value));
    return OK;
}

enum err row_read_columns(enum row_table table, const json_t *object, struct row **ret_row)
{
    const struct row_shape *shape = row_shape(table);
    struct row *row = row_new(table);
    for (unsigned i = 0; i < shape->columns_count; i++) {
        const struct row_column *column = &shape->columns[i];
        const json_t *value = json_object_get(object, column->name);
        enum err error = value == NULL ? OK : read_column(row, column, value);
        if (error != OK) {
            row_free(row);
            return error;
        }
    }
    if (!rows_takes(row)) {
        row_free(row);
        return ERR_FORMAT;
    }
    *ret_row = row;
    return OK;
}
