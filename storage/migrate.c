/* Order: roles (cluster-wide, whenever missing), schema and table of migrations, the migrations that are not
 * in the table, the parameters, the grants to the daemon's login. The advisory lock makes two runs follow
 * each other; lock_timeout keeps a run from queueing in front of the loader (PITFALLS P17). */
#include "storage/migrate.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/buffer.h"
#include "daemon/base/hash.h"
#include "daemon/model/parameter.h"
#include "storage/migrations.h"
#include "storage/postgres.h"

enum { TIMEOUT_MS = 120000 };

static const char opening[] = "BEGIN;"
                              "SET LOCAL lock_timeout = '20s';"
                              "SELECT pg_advisory_xact_lock(hashtext('vigie.migrate'));"
                              "SET LOCAL lock_timeout = '3s';";

static const char foundation[] =
    "SET LOCAL ROLE vigie_owner;"
    "CREATE SCHEMA IF NOT EXISTS vigie;"
    "CREATE TABLE IF NOT EXISTS vigie.migration (number integer PRIMARY KEY, "
    "name text NOT NULL, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());";

__attribute__((format(printf, 2, 3))) static void say(const struct migrate_report *report, const char *format,
                                                      ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    report->line(report->context, line);
}

/* One line `what, found, expected, hint`. */
static enum err complain(const struct migrate_report *report, struct postgres *postgres, const char *what,
                         enum err error)
{
    const char *sqlstate = postgres_sqlstate(postgres);
    bool busy = strcmp(sqlstate, "55P03") == 0 || strcmp(sqlstate, "40P01") == 0;
    const char *hint = error == ERR_UNAVAILABLE ? "check conninfo and that the server runs"
                       : busy                   ? "another session holds a lock: run it again"
                              : "migrate_conninfo must own the database and have CREATEROLE";
    say(report, "%s, found: %s (SQLSTATE %s), expected: success, hint: %s", what, postgres_message(postgres),
        sqlstate[0] != '\0' ? sqlstate : "none", hint);
    return busy ? ERR_BUSY : error;
}

static enum err connect_to(const char *conninfo, const struct migrate_report *report,
                           struct postgres **ret_postgres)
{
    struct postgres_options options = {
        .conninfo = conninfo, .application = "vigiectl", .timeout_ms = TIMEOUT_MS, .quit_fd = -1};
    enum err error = postgres_open(&options, ret_postgres);
    if (error != OK) {
        (void)complain(report, *ret_postgres, "cannot connect to PostgreSQL", error);
        postgres_close(*ret_postgres);
        *ret_postgres = NULL;
    }
    return error;
}

static void fingerprint(const struct migration *migration, char out[2 * SHA256_BYTES + 1])
{
    uint8_t digest[SHA256_BYTES];
    hash_sha256(migration->text, strlen(migration->text), digest);
    hex_format(digest, sizeof(digest), out);
}

static enum err read_login(const char *conninfo, const struct migrate_report *report, char *login,
                           size_t size)
{
    struct postgres *postgres = NULL;
    PGresult *result = NULL;
    enum err error = connect_to(conninfo, report, &postgres);
    if (error != OK)
        return error;
    error = postgres_query(postgres, "SELECT session_user", NULL, &result);
    if (error == OK) {
        snprintf(login, size, "%s", PQgetvalue(result, 0, 0));
        PQclear(result);
    } else {
        error = complain(report, postgres, "cannot ask for the daemon's login", error);
    }
    postgres_close(postgres);
    return error;
}

/* "" when it never ran here. */
static enum err recorded(struct postgres *postgres, const struct migration *migration, char *sha256,
                         size_t size)
{
    char number[16];
    snprintf(number, sizeof(number), "%d", migration->number);
    const char *values[] = {number};
    struct postgres_parameters parameters = {.count = 1, .values = values};
    PGresult *result = NULL;
    enum err error = postgres_query(postgres, "SELECT sha256 FROM vigie.migration WHERE number = $1::integer",
                                    &parameters, &result);
    if (error != OK)
        return error;
    snprintf(sha256, size, "%s", PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return OK;
}

static enum err record(struct postgres *postgres, const struct migration *migration, const char *sha256)
{
    char number[16];
    snprintf(number, sizeof(number), "%d", migration->number);
    const char *values[] = {number, migration->name, sha256};
    struct postgres_parameters parameters = {.count = 3, .values = values};
    PGresult *result = NULL;
    enum err error = postgres_query(postgres, "INSERT INTO vigie.migration VALUES ($1::integer, $2, $3)",
                                    &parameters, &result);
    if (error == OK)
        PQclear(result);
    return error;
}

static enum err apply(struct postgres *postgres, const struct migration *migration,
                      const struct migrate_report *report)
{
    char found[2 * SHA256_BYTES + 1], wanted[2 * SHA256_BYTES + 1];
    fingerprint(migration, wanted);
    enum err error = recorded(postgres, migration, found, sizeof(found));
    if (error != OK)
        return complain(report, postgres, "cannot read vigie.migration", error);
    if (strcmp(found, wanted) == 0)
        return OK;
    if (found[0] != '\0') {
        say(report,
            "migration %s, found: sha256 %.12s in the database, expected: %.12s, hint: this database was "
            "made "
            "by another version of the file; use a new database or the program that made it",
            migration->name, found, wanted);
        return ERR_CORRUPT;
    }
    error = postgres_command(postgres, migration->text);
    if (error == OK)
        error = record(postgres, migration, wanted);
    if (error != OK)
        return complain(report, postgres, migration->name, error);
    say(report, "applied %s", migration->name);
    return OK;
}

/* A parameter keeps the number that it was given first. */
static enum err fill_parameters(struct postgres *postgres, const struct migrate_report *report)
{
    for (int i = 0; i < PARAMETER_COUNT; i++) {
        const struct parameter_row *row = parameter_row((enum parameter)i);
        const char *values[] = {row->name, row->loinc, row->unit, row->en, row->fr};
        struct postgres_parameters parameters = {.count = 5, .values = values};
        PGresult *result = NULL;
        enum err error = postgres_query(
            postgres,
            "INSERT INTO vigie.parameter AS p (parameter_id, name, loinc, unit, text_en, text_fr) "
            "SELECT coalesce(max(parameter_id), 0) + 1, $1, $2, $3, $4, $5 FROM vigie.parameter "
            "ON CONFLICT (name) DO UPDATE SET loinc = $2, unit = $3, text_en = $4, text_fr = $5 "
            "WHERE (p.loinc, p.unit, p.text_en, p.text_fr) IS DISTINCT FROM ($2, $3, $4, $5)",
            &parameters, &result);
        if (error != OK)
            return complain(report, postgres, "cannot fill vigie.parameter", error);
        PQclear(result);
    }
    return OK;
}

static enum err grant_login(struct postgres *postgres, const char *login, const struct migrate_report *report)
{
    char *name = PQescapeIdentifier(postgres_connection(postgres), login, strlen(login));
    ensure(name != NULL);
    struct buffer sql = {0};
    buffer_text(&sql, "RESET ROLE; GRANT vigie_loader, vigie_registry, vigie_identity TO ");
    buffer_text(&sql, name);
    buffer_append(&sql, "", 1);
    PQfreemem(name);
    enum err error = postgres_command(postgres, sql.data);
    buffer_deinit(&sql);
    if (error != OK)
        return complain(report, postgres, "cannot grant the daemon's roles to its login", error);
    return OK;
}

static enum err run_inside(struct postgres *postgres, const char *login, const struct migrate_report *report)
{
    enum err error = postgres_command(postgres, opening);
    if (error == OK)
        error = postgres_command(postgres, migrations[0].text);
    if (error == OK)
        error = postgres_command(postgres, foundation);
    if (error != OK)
        return complain(report, postgres, "cannot prepare roles and schema", error);
    for (unsigned i = 1; i < migrations_count && error == OK; i++)
        error = apply(postgres, &migrations[i], report);
    if (error == OK)
        error = fill_parameters(postgres, report);
    if (error == OK)
        error = grant_login(postgres, login, report);
    if (error != OK)
        return error;
    error = postgres_command(postgres, "COMMIT");
    return error == OK ? OK : complain(report, postgres, "cannot commit", error);
}

enum err migrate_run(const char *conninfo, const char *migrate_conninfo, const struct migrate_report *report)
{
    char login[128];
    ensure(migrations[0].number == 0);
    enum err error = read_login(conninfo, report, login, sizeof(login));
    if (error != OK)
        return error;
    struct postgres *postgres = NULL;
    error = connect_to(migrate_conninfo != NULL && migrate_conninfo[0] != '\0' ? migrate_conninfo : conninfo,
                       report, &postgres);
    if (error != OK)
        return error;
    error = run_inside(postgres, login, report); /* without COMMIT the close rolls back */
    postgres_close(postgres);
    return error;
}

static enum err status_of(struct postgres *postgres, const struct migration *migration,
                          const struct migrate_report *report)
{
    char number[16];
    snprintf(number, sizeof(number), "%d", migration->number);
    const char *values[] = {number};
    struct postgres_parameters parameters = {.count = 1, .values = values};
    PGresult *result = NULL;
    enum err error = postgres_query(
        postgres, "SELECT applied_at FROM vigie.migration WHERE number = $1::integer", &parameters, &result);
    if (error != OK && strcmp(postgres_sqlstate(postgres), "42P01") != 0) /* no table: nothing has run yet */
        return complain(report, postgres, "cannot read vigie.migration", error);
    bool applied = error == OK && PQntuples(result) == 1;
    say(report, "%s %s", migration->name, applied ? PQgetvalue(result, 0, 0) : "pending");
    if (error == OK)
        PQclear(result);
    return applied ? OK : ERR_STALE;
}

enum err migrate_status(const char *conninfo, const struct migrate_report *report)
{
    struct postgres *postgres = NULL;
    enum err error = connect_to(conninfo, report, &postgres);
    for (unsigned i = 1;
         error != ERR_UNAVAILABLE && error != ERR_REFUSED && i < migrations_count && postgres != NULL; i++) {
        enum err one = status_of(postgres, &migrations[i], report);
        if (one != OK)
            error = one;
    }
    postgres_close(postgres);
    return error;
}
