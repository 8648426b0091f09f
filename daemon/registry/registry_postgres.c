/* One statement a table in each direction. Rows go in as one JSON array, which jsonb_to_recordset() turns
 * into rows: a file of 100,000 patients is a dozen round trips. What changed is found by `changed` > version,
 * in a repeatable read, so that version and rows belong together; a trigger of the schema keeps `changed`. */
#include "daemon/registry/registry_postgres.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/buffer.h"
#include "daemon/base/instant.h"
#include "daemon/base/limits.h"
#include "daemon/base/log.h"
#include "daemon/registry/registry_json.h"

enum { ROWS_A_STATEMENT = 2000 }; /* some 0.3 s each with its triggers on a busy machine */

#define EPOCH_MS(expression) "floor(extract(epoch FROM " expression ") * 1000)::bigint"

/* ---- statements, made from the shapes ---- */

static void select_column(struct buffer *sql, const struct row_column *column)
{
    const char *name = column->name;
    switch (column->type) {
    case COLUMN_TIME: /* infinity is no instant: open */
        buffer_printf(sql, ", CASE WHEN isfinite(t.%s) THEN " EPOCH_MS("t.%s") " END", name, name);
        break;
    case COLUMN_HEX:
        buffer_printf(sql, ", encode(t.%s, 'hex')", name);
        break;
    case COLUMN_NAME:
        buffer_printf(sql, ", (SELECT p.name FROM vigie.parameter p WHERE p.parameter_id = t.%s)", name);
        break;
    case COLUMN_LIST:
        buffer_text(
            sql,
            ", (SELECT string_agg(d.device_id::text, ',' ORDER BY d.device_id) FROM vigie.source_device d"
            " WHERE d.source_id = t.source_id)");
        break;
    case COLUMN_SECRET:
        buffer_text(sql, ", NULL");
        break;
    default:
        buffer_printf(sql, ", t.%s", name);
        break;
    }
}

static void select_statement(struct buffer *sql, const struct row_shape *shape)
{
    buffer_text(sql, "SELECT t.changed, " EPOCH_MS("t.changed_at"));
    for (unsigned i = 0; i < shape->columns_count; i++)
        select_column(sql, &shape->columns[i]);
    buffer_printf(sql, " FROM %s t WHERE t.changed > $1 ORDER BY t.changed", shape->sql);
    buffer_append(sql, "", 1);
}

static const char *cast_of(enum column_type type)
{
    static const char *const casts[] = {
        [COLUMN_NUMBER] = "r.%s::bigint",
        [COLUMN_TEXT] = "r.%s",
        [COLUMN_TIME] = "r.%s::timestamptz",
        [COLUMN_HEX] = "decode(r.%s, 'hex')",
        [COLUMN_JSON] = "r.%s::json",
        [COLUMN_EXACT] = "r.%s::numeric",
        [COLUMN_NAME] = "(SELECT p.parameter_id FROM vigie.parameter p WHERE p.name = r.%s)",
        [COLUMN_SECRET] = "r.%s",
    };
    ensure(casts[type] != NULL);
    return casts[type];
}

static void append_cast(struct buffer *sql, const struct row_column *column)
{
    const char *cast = cast_of(column->type), *hole = strstr(cast, "%s");
    buffer_append(sql, cast, (size_t)(hole - cast));
    buffer_text(sql, column->name);
    buffer_text(sql, hole + 2);
}

enum part { NAMES, TYPES, CASTS, CONFLICT, UPDATES };

/* A comma-separated list over the columns of a table. */
static unsigned list_columns(struct buffer *sql, const struct row_shape *shape, enum part part)
{
    unsigned count = 0;
    bool has_id = shape->columns[0].role == COLUMN_ID;
    for (unsigned i = 0; i < shape->columns_count; i++) {
        const struct row_column *column = &shape->columns[i];
        bool conflict = has_id ? column->role == COLUMN_ID : column->role == COLUMN_KEY;
        if (column->type == COLUMN_LIST || (part == CONFLICT && !conflict) ||
            (part == UPDATES && column->role != COLUMN_FREE))
            continue;
        if (count++ > 0)
            buffer_text(sql, ", ");
        if (part == CASTS)
            append_cast(sql, column);
        else if (part == TYPES)
            buffer_printf(sql, "%s %s", column->name, column->type == COLUMN_NUMBER ? "bigint" : "text");
        else if (part == UPDATES)
            buffer_printf(sql, "%s = excluded.%s", column->name, column->name);
        else
            buffer_text(sql, column->name);
    }
    return count;
}

static void upsert_statement(struct buffer *sql, const struct row_shape *shape)
{
    buffer_printf(sql, "INSERT INTO %s (", shape->sql);
    list_columns(sql, shape, NAMES);
    buffer_text(sql, ") SELECT ");
    list_columns(sql, shape, CASTS);
    buffer_text(sql, " FROM jsonb_to_recordset($1::jsonb) AS r(");
    list_columns(sql, shape, TYPES);
    buffer_text(sql, ") ON CONFLICT (");
    list_columns(sql, shape, CONFLICT);
    buffer_text(sql, ") DO UPDATE SET ");
    unsigned updates = list_columns(sql, shape, UPDATES);
    ensure(updates > 0);
    buffer_append(sql, "", 1);
}

/* ---- reading ---- */

static int64_t result_number(const PGresult *result, int row, int column, int64_t absent)
{
    return PQgetisnull(result, row, column) ? absent : strtoll(PQgetvalue(result, row, column), NULL, 10);
}

static struct row *row_of_result(enum row_table table, const PGresult *result, int number)
{
    const struct row_shape *shape = row_shape(table);
    struct row *row = row_new(table);
    row->changed = result_number(result, number, 0, 0);
    row->changed_at = result_number(result, number, 1, INSTANT_NONE);
    for (unsigned i = 0; i < shape->columns_count; i++) {
        const struct row_column *column = &shape->columns[i];
        int at = (int)i + 2;
        if (column_is_number(column->type))
            *row_number(row, column) =
                result_number(result, number, at, column->type == COLUMN_TIME ? INSTANT_NONE : 0);
        else if (!PQgetisnull(result, number, at))
            row_set_text(row_text(row, column), PQgetvalue(result, number, at));
    }
    return row;
}

static enum err query_one(struct postgres *postgres, const char *sql, const char *parameter,
                          PGresult **ret_result)
{
    const char *const values[] = {parameter};
    const struct postgres_parameters parameters = {.count = parameter == NULL ? 0 : 1, .values = values};
    return postgres_query(postgres, sql, &parameters, ret_result);
}

static enum err query_number(struct postgres *postgres, const char *sql, const char *parameter, int64_t *ret)
{
    PGresult *result;
    enum err error = query_one(postgres, sql, parameter, &result);
    if (error != OK)
        return error;
    if (PQntuples(result) == 1)
        *ret = result_number(result, 0, 0, 0);
    else
        error = ERR_REFUSED;
    PQclear(result);
    return error;
}

enum err registry_postgres_version(struct postgres *postgres, int64_t *ret_version)
{
    return query_number(postgres, "SELECT version FROM vigie.registry_state", NULL, ret_version);
}

static enum err select_since(struct postgres *postgres, enum row_table table, int64_t since,
                             PGresult **ret_result)
{
    struct buffer sql = {.data = NULL};
    char version[24];
    snprintf(version, sizeof(version), "%" PRId64, since);
    select_statement(&sql, row_shape(table));
    enum err error = query_one(postgres, sql.data, version, ret_result);
    buffer_deinit(&sql);
    return error;
}

/* The shards' word on commits is kept until PostgreSQL has it. A row of another history with our number gives
 * way. */
static void keep_ours(struct rows *rows, struct row_changes *changes, struct row *row)
{
    struct row *ours = rows_find_same_key(rows, row);
    if (ours == NULL && row_shape(row->table)->columns[0].role == COLUMN_ID)
        ours = rows_find_id(rows, row->table, *row_number(row, &row_shape(row->table)->columns[0]));
    if (ours == NULL)
        return;
    if (rows_find_same_key(rows, row) == NULL) {
        changes_remove(changes, rows, ours);
        return;
    }
    struct row_rule *rule = (struct row_rule *)row, *our_rule = (struct row_rule *)ours;
    struct row_patient *patient = (struct row_patient *)row, *our_patient = (struct row_patient *)ours;
    if (row->table == ROW_RULE && rule->committed_at == INSTANT_NONE) {
        rule->committed_at = our_rule->committed_at;
        rule->valid_from = our_rule->valid_from;
    }
    if (row->table == ROW_PATIENT && patient->enrolled_at == INSTANT_NONE)
        patient->enrolled_at = our_patient->enrolled_at;
    row->unwritten = ours->unwritten;
}

static enum err load_table(struct postgres *postgres, enum row_table table, int64_t since, struct rows *rows,
                           struct row_changes *changes)
{
    PGresult *result;
    enum err error = select_since(postgres, table, since, &result);
    if (error != OK)
        return error;
    for (int i = 0; i < PQntuples(result); i++) {
        struct row *row = row_of_result(table, result, i);
        if (!rows_takes(row)) {
            log_write(LOG_ERROR, "registry",
                      "a row is left out table=%s found=a ref or name that is missing or too long "
                      "expected=refs of at most %d bytes hint=correct it",
                      row_shape(table)->sql, REF_BYTES_MAX);
            row_free(row);
            continue;
        }
        keep_ours(rows, changes, row);
        changes_put(changes, rows, row, 0);
    }
    PQclear(result);
    return OK;
}

/* Removes the rows that the database no longer has. */
static enum err load_removals(struct postgres *postgres, enum row_table table, struct rows *rows,
                              struct row_changes *changes)
{
    PGresult *result;
    enum err error = select_since(postgres, table, -1, &result);
    if (error != OK)
        return error;
    struct rows *present = rows_new();
    for (int i = 0; i < PQntuples(result); i++) {
        struct row *row = row_of_result(table, result, i);
        row_free(rows_takes(row) ? rows_put(present, row) : row);
    }
    PQclear(result);
    for (struct row *row = rows_first(rows, table), *next; row != NULL; row = next) {
        next = row->next;
        if (rows_find_same_key(present, row) == NULL)
            changes_remove(changes, rows, row);
    }
    rows_free(present);
    return OK;
}

static bool is_a_right(enum row_table table)
{
    return table == ROW_ASSIGNMENT || table == ROW_SOURCE || table == ROW_IDENTIFIER;
}

static enum err count_rows(struct postgres *postgres, enum row_table table, int64_t *ret)
{
    char sql[96];
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", row_shape(table)->sql);
    return query_number(postgres, sql, NULL, ret);
}

static enum err load_tables(struct postgres *postgres, int64_t since, struct rows *rows,
                            struct row_changes *changes, int64_t *ret_lacking)
{
    enum err error = OK;
    *ret_lacking = 0;
    for (unsigned table = 0; error == OK && table < ROW_TABLES; table++)
        error = load_table(postgres, table, since, rows, changes);
    for (unsigned table = 0; error == OK && table < ROW_TABLES; table++) {
        int64_t count;
        bool stays = table == ROW_PATIENT || table == ROW_RULE;
        if (!is_a_right(table) && !stays)
            continue;
        error = count_rows(postgres, table, &count);
        if (error != OK || count >= rows_count(rows, table))
            continue;
        if (stays)
            *ret_lacking += rows_count(rows, table) - count;
        else
            error = load_removals(postgres, table, rows, changes);
    }
    return error;
}

enum err registry_postgres_load(struct postgres *postgres, struct rows *rows, struct row_changes *changes,
                                int64_t *version, int64_t *ret_lacking)
{
    int64_t found;
    enum err error = postgres_command(postgres, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    if (error == OK)
        error = registry_postgres_version(postgres, &found);
    /* A version behind ours is another history (a failover that lost commits): everything is compared. */
    if (error == OK)
        error = load_tables(postgres, found < *version ? -1 : *version, rows, changes, ret_lacking);
    if (error != OK) {
        registry_postgres_rollback(postgres);
        return error;
    }
    *version = found;
    return postgres_command(postgres, "COMMIT");
}

/* ---- writing ---- */

enum err registry_postgres_begin(struct postgres *postgres)
{
    return postgres_command(postgres, "BEGIN");
}

enum err registry_postgres_commit(struct postgres *postgres)
{
    return postgres_command(postgres, "COMMIT");
}

void registry_postgres_rollback(struct postgres *postgres)
{
    /* Without a link the server rolls back by itself; the next statement will find out. */
    if (postgres_command(postgres, "ROLLBACK") != OK)
        return;
}

static enum err execute(struct postgres *postgres, const char *sql, const struct buffer *rows)
{
    PGresult *result;
    enum err error = query_one(postgres, sql, rows->data, &result);
    if (error == OK)
        PQclear(result);
    return error;
}

/* The next rows of a table, from change *next on, at most ROWS_A_STATEMENT: the server answers each statement
 * within the time after which it counts as silent, however large the file. */
static bool render_changed(const struct row_changes *changes, enum row_table table, uint32_t *next,
                           struct buffer *json)
{
    unsigned count = 0;
    buffer_clear(json);
    render_open(json, '[');
    for (; *next < changes->count && count < ROWS_A_STATEMENT; (*next)++) {
        struct row *row = changes->items[*next].after;
        if (row == NULL || row->table != table)
            continue;
        render_open(json, '{');
        row_render_columns(row, true, json);
        render_close(json, '}');
        count++;
    }
    render_close(json, ']');
    buffer_append(json, "", 1);
    return count > 0;
}

static enum err write_table(struct postgres *postgres, const struct row_changes *changes,
                            enum row_table table)
{
    static const char delete_devices[] =
        "DELETE FROM vigie.source_device d USING jsonb_to_recordset($1::jsonb) AS r(source_id bigint, "
        "devices text)"
        " WHERE d.source_id = r.source_id"
        " AND d.device_id <> ALL (string_to_array(coalesce(r.devices, ''), ',')::bigint[])";
    static const char insert_devices[] = "INSERT INTO vigie.source_device (source_id, device_id)"
                                         " SELECT r.source_id, d::bigint FROM jsonb_to_recordset($1::jsonb) "
                                         "AS r(source_id bigint, devices text)"
                                         " CROSS JOIN LATERAL unnest(string_to_array(r.devices, ',')) AS d"
                                         " WHERE NOT EXISTS (SELECT FROM vigie.source_device o WHERE "
                                         "o.source_id = r.source_id AND o.device_id = d::bigint)";
    struct buffer sql = {.data = NULL}, json = {.data = NULL};
    enum err error = OK;
    uint32_t next = 0;
    upsert_statement(&sql, row_shape(table));
    while (error == OK && render_changed(changes, table, &next, &json)) {
        error = execute(postgres, sql.data, &json);
        if (error == OK && table == ROW_SOURCE)
            error = execute(postgres, delete_devices, &json);
        if (error == OK && table == ROW_SOURCE)
            error = execute(postgres, insert_devices, &json);
    }
    buffer_deinit(&sql);
    buffer_deinit(&json);
    return error;
}

/* Identifiers in clear have gone where they belong; memory keeps the hash. */
static void forget_secrets(struct row *row)
{
    const struct row_shape *shape = row_shape(row->table);
    for (unsigned i = 0; i < shape->columns_count; i++) {
        if (shape->columns[i].type != COLUMN_SECRET)
            continue;
        char **field = row_text(row, &shape->columns[i]);
        if (*field != NULL)
            explicit_bzero(*field, strlen(*field));
        row_set_text(field, NULL);
    }
}

enum err registry_postgres_write(struct postgres *postgres, struct row_changes *changes, int64_t *version)
{
    int64_t written, at_ms;
    enum err error = OK;
    for (unsigned table = 0; error == OK && table < ROW_TABLES; table++)
        error = write_table(postgres, changes, table);
    if (error == OK)
        error = registry_postgres_version(postgres, &written);
    if (error == OK)
        error = query_number(postgres, "SELECT " EPOCH_MS("transaction_timestamp()"), NULL, &at_ms);
    if (error != OK)
        return error;
    /* Our first write took the one row lock that all writers take, so its version follows what we read, or
     * not. */
    if (written > *version + 1)
        return ERR_STALE;
    for (uint32_t i = 0; i < changes->count; i++) {
        struct row *row = changes->items[i].after;
        if (row == NULL)
            continue;
        row->changed = written;
        row->changed_at = at_ms;
        forget_secrets(row);
    }
    *version = written;
    return OK;
}

/* ---- commits ---- */

/* The next unwritten rows from *next on, as render_changed() does it. */
static bool render_commits(struct row **next, struct buffer *json)
{
    unsigned count = 0;
    buffer_clear(json);
    render_open(json, '[');
    for (; *next != NULL && count < ROWS_A_STATEMENT; *next = (*next)->next) {
        if (!(*next)->unwritten)
            continue;
        render_open(json, '{');
        row_render_columns(*next, false, json);
        render_close(json, '}');
        count++;
    }
    render_close(json, ']');
    buffer_append(json, "", 1);
    return count > 0;
}

static enum err write_commits(struct postgres *postgres, struct rows *rows, enum row_table table,
                              const char *sql)
{
    struct buffer json = {.data = NULL};
    struct row *next = rows_first(rows, table);
    enum err error = OK;
    while (error == OK && render_commits(&next, &json))
        error = execute(postgres, sql, &json);
    buffer_deinit(&json);
    return error;
}

static void clear_unwritten(struct rows *rows, enum row_table table)
{
    for (struct row *row = rows_first(rows, table); row != NULL; row = row->next)
        row->unwritten = false;
}

enum err registry_postgres_write_commits(struct postgres *postgres, struct rows *rows, int64_t *version)
{
    static const char patients[] =
        "UPDATE vigie.patient p SET enrolled_at = r.enrolled_at::timestamptz"
        " FROM jsonb_to_recordset($1::jsonb) AS r(patient_id bigint, enrolled_at text)"
        " WHERE p.patient_id = r.patient_id AND p.enrolled_at IS NULL";
    static const char rules[] =
        "UPDATE vigie.rule_version v SET valid_from = r.valid_from::timestamptz, committed_at = "
        "r.committed_at::timestamptz"
        " FROM jsonb_to_recordset($1::jsonb) AS r(layer text, scope text, rule_id text, version bigint, "
        "valid_from text,"
        " committed_at text) WHERE v.layer = r.layer AND v.scope = r.scope AND v.rule_id = r.rule_id"
        " AND v.version = r.version AND v.committed_at IS NULL";
    int64_t written;
    enum err error = registry_postgres_begin(postgres);
    if (error == OK)
        error = write_commits(postgres, rows, ROW_PATIENT, patients);
    if (error == OK)
        error = write_commits(postgres, rows, ROW_RULE, rules);
    if (error == OK)
        error = registry_postgres_version(postgres, &written);
    if (error == OK)
        error = registry_postgres_commit(postgres);
    if (error != OK) {
        registry_postgres_rollback(postgres);
        return error;
    }
    clear_unwritten(rows, ROW_PATIENT);
    clear_unwritten(rows, ROW_RULE);
    if (written <= *version + 1)
        *version = written;
    return OK;
}

/* ---- questions of an import ---- */

enum err registry_postgres_next_ids(struct postgres *postgres, enum row_table table, unsigned count,
                                    int64_t *ids)
{
    const struct row_shape *shape = row_shape(table);
    ensure(shape->columns[0].role == COLUMN_ID);
    char sql[160], wanted[16];
    PGresult *result;
    snprintf(sql, sizeof(sql),
             "SELECT nextval(pg_get_serial_sequence('%s', '%s')) FROM generate_series(1, $1::integer)",
             shape->sql, shape->columns[0].name);
    snprintf(wanted, sizeof(wanted), "%u", count);
    enum err error = query_one(postgres, sql, wanted, &result);
    if (error != OK)
        return error;
    ensure(PQntuples(result) == (int)count);
    for (unsigned i = 0; i < count; i++)
        ids[i] = result_number(result, (int)i, 0, 0);
    PQclear(result);
    return OK;
}

enum err registry_postgres_has_readings(struct postgres *postgres, const struct reading_span *span, bool *ret)
{
    static const char question[] = "SELECT (EXISTS (SELECT FROM vigie.reading r WHERE r.patient_id = "
                                   "$1::bigint AND r.device_id = $2::bigint"
                                   " AND r.measured_at >= to_timestamp($3::numeric / 1000) AND r.measured_at "
                                   "< to_timestamp($4::numeric / 1000))"
                                   " OR EXISTS (SELECT FROM vigie.quarantine r WHERE r.patient_id = "
                                   "$1::bigint AND r.device_id = $2::bigint"
                                   " AND r.measured_at >= to_timestamp($3::numeric / 1000) AND r.measured_at "
                                   "< to_timestamp($4::numeric / 1000))"
                                   " OR EXISTS (SELECT FROM vigie.device_event r WHERE r.patient_id = "
                                   "$1::bigint AND r.device_id = $2::bigint"
                                   " AND r.measured_at >= to_timestamp($3::numeric / 1000) AND r.measured_at "
                                   "< to_timestamp($4::numeric / 1000)))"
                                   "::integer";
    char numbers[4][24];
    const int64_t year_0_ms = -62167219200000, year_9999_ms = 253402300799999;
    const int64_t given[4] = {span->patient_id, span->device_id,
                              span->from_ms == INSTANT_NONE ? year_0_ms : span->from_ms,
                              span->to_ms == INSTANT_NONE ? year_9999_ms : span->to_ms};
    const char *values[4];
    for (unsigned i = 0; i < 4; i++) {
        snprintf(numbers[i], sizeof(numbers[i]), "%" PRId64, given[i]);
        values[i] = numbers[i];
    }
    const struct postgres_parameters parameters = {.count = 4, .values = values};
    PGresult *result;
    enum err error = postgres_query(postgres, question, &parameters, &result);
    if (error != OK)
        return error;
    *ret = result_number(result, 0, 0, 0) != 0;
    PQclear(result);
    return OK;
}
