/* registry_shape: what a row of each table is: its struct and columns, made from registry_rows.def, so that
 * the file, PostgreSQL and comparisons treat every table alike. Owner:   row_new() and row_copy() give a row
 * with its texts; row_free() takes it. Threads: one at a time. Holds:   a number or text not set is NULL in
 * PostgreSQL: 0, INSTANT_NONE for times, NULL for texts. */
#ifndef VIGIE_DAEMON_REGISTRY_SHAPE_H
#define VIGIE_DAEMON_REGISTRY_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/ensure.h"

enum row_table {
#define TABLE(id, name, sql) ROW_##id,
#define COLUMN(table, name, type, role)
#define TABLE_END(id)
#include "daemon/registry/registry_rows.def"
#undef TABLE
#undef COLUMN
#undef TABLE_END
    ROW_TABLES
};

enum column_type {
    COLUMN_NUMBER,
    COLUMN_TEXT,
    COLUMN_TIME,
    COLUMN_HEX,
    COLUMN_JSON,
    COLUMN_EXACT,
    COLUMN_NAME,
    COLUMN_LIST,
    COLUMN_SECRET
};
enum column_role { COLUMN_ID, COLUMN_KEY, COLUMN_FIXED, COLUMN_FREE };

/* Head of every row: struct row_patient and the others begin with it. */
struct row {
    enum row_table table;
    bool waiting;       /* patient: no shard has it yet, so no snapshot shows it */
    bool unwritten;     /* patient, rule: PostgreSQL does not have its commit yet */
    int64_t changed;    /* registry version that wrote it */
    int64_t changed_at; /* time of that transaction, INSTANT_NONE while unknown */
    char *key;          /* of its KEY columns; set by rows_put() */
    uint32_t change;    /* 1 + its place in the change set under way (registry_changes.h) */
    struct row *next_by_key, *next_by_id, *next_by_parent, *next, *previous; /* of the set */
};

#define row_type_NUMBER int64_t
#define row_type_TIME   int64_t
#define row_type_TEXT   char *
#define row_type_HEX    char *
#define row_type_JSON   char *
#define row_type_EXACT  char *
#define row_type_NAME   char *
#define row_type_LIST   char *
#define row_type_SECRET char *
#define TABLE(id, name, sql)                                                                                 \
    struct row_##name {                                                                                      \
        struct row row;
#define COLUMN(table, name, type, role) row_type_##type name;
#define TABLE_END(id)                                                                                        \
    }                                                                                                        \
    ;
#include "daemon/registry/registry_rows.def"
#undef TABLE
#undef COLUMN
#undef TABLE_END

struct row_column {
    const char *name;
    enum column_type type;
    enum column_role role;
    size_t offset;
};

struct row_shape {
    const char *name, *sql;
    size_t size;
    const struct row_column *columns;
    unsigned columns_count;
};

const struct row_shape *row_shape(enum row_table table);
static inline int64_t *row_number(struct row *row, const struct row_column *column)
{
    return (int64_t *)((char *)row + column->offset);
}
static inline char **row_text(struct row *row, const struct row_column *column)
{
    return (char **)((char *)row + column->offset);
}
bool column_is_number(enum column_type type); /* NUMBER and TIME; the others are text */

void *row_new(enum row_table table); /* times are INSTANT_NONE */
void *row_copy(const void *row);
void row_free(void *row);
void row_set_text(char **field, const char *text);        /* copies; NULL empties */
bool row_equal(const struct row *a, const struct row *b); /* in every column but SECRET */

#endif
