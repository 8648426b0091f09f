/* doctor, PostgreSQL: the database of [postgres] conninfo as the daemon will find it. */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/ctl/doctor.h"
#include "daemon/identity.h"
#include "storage/migrate.h"
#include "storage/postgres.h"

enum { POSTGRES_TIMEOUT_MS = 10000, CLOCK_WARN_MS = 1000, CLOCK_FAIL_MS = 60000 };

/* One row of one column as text; "" for NULL. False after the check was told as failed. */
static bool ask(struct doctor *doctor, struct postgres *postgres, const struct doctor_check *check,
                const char *sql, char *out, size_t size)
{
    static const struct postgres_parameters none;
    PGresult *result = NULL;
    enum err error = postgres_query(postgres, sql, &none, &result);
    if (error == OK)
        snprintf(out, size, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    else
        doctor_tell(doctor, check, DOCTOR_FAIL, "%s", postgres_message(postgres));
    PQclear(result);
    return error == OK;
}

static void drop_line(void *context, const char *text)
{
    unsigned *pending = context;
    *pending += strstr(text, " pending") != NULL;
}

static bool look_at_schema(struct doctor *doctor)
{
    static const struct doctor_check check = {"postgres.schema", "no migration pending",
                                              "vigiectl db migrate"};
    unsigned pending = 0;
    enum err error =
        migrate_status(doctor->config->postgres_conninfo, &(struct migrate_report){drop_line, &pending});
    bool good = error == OK && pending == 0;
    if (error != OK && error != ERR_STALE)
        doctor_tell(doctor, &check, DOCTOR_FAIL, "%s", err_text(error));
    else
        doctor_tell(doctor, &check, good ? DOCTOR_OK : DOCTOR_FAIL, "%u pending", pending);
    return good;
}

/* Each gives what is wrong, "" when nothing is. */
static const struct {
    struct doctor_check check;
    const char *sql;
    enum doctor_state bad;
} privilege_rows[] = {
    {{"postgres.roles", "the five roles of the schema", "vigiectl db migrate, as a login with CREATEROLE"},
     "SELECT string_agg(wanted || ' is missing', ', ') FROM unnest(ARRAY['vigie_owner', 'vigie_loader', "
     "'vigie_registry', 'vigie_identity', 'vigie_reader']) wanted "
     "WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted)",
     DOCTOR_FAIL},
    {{"postgres.login", "a member of vigie_loader, vigie_registry and vigie_identity",
      "vigiectl db migrate grants them"},
     "SELECT string_agg('not a member of ' || rolname, ', ') FROM pg_roles WHERE rolname IN ('vigie_loader', "
     "'vigie_registry', 'vigie_identity') AND NOT pg_has_role(current_user, oid, 'MEMBER')",
     DOCTOR_FAIL},
    {{"postgres.superuser", "a login of its own without SUPERUSER",
      "CREATE ROLE vigied LOGIN; grants come by vigiectl db "
      "migrate"},
     "SELECT 'superuser ' || rolname FROM pg_roles WHERE rolname = current_user AND rolsuper",
     DOCTOR_WARN},
    {{"postgres.grants", "what db migrate grants, no more and no less",
      "somebody has granted or revoked: vigiectl db "
      "migrate, and look who may do what"},
     "SELECT string_agg(role || CASE WHEN wanted THEN ' may not ' ELSE ' may ' END || privilege || ' ' || "
     "relation, ', ') "
     "FROM (VALUES ('vigie_loader', 'vigie.reading', 'INSERT', true), ('vigie_loader', 'vigie.reading', "
     "'UPDATE', false), "
     "('vigie_loader', 'vigie.reading', 'DELETE', false), ('vigie_loader', 'vigie.alert_event', 'INSERT', "
     "true), "
     "('vigie_loader', 'vigie.alert_event', 'UPDATE', false), ('vigie_loader', 'vigie.alert_event', "
     "'DELETE', false), "
     "('vigie_loader', 'vigie.journal_cursor', 'UPDATE', true), ('vigie_registry', 'vigie.rule_version', "
     "'INSERT', true), "
     "('vigie_registry', 'vigie.rule_version', 'DELETE', false), ('vigie_registry', 'vigie.patient', "
     "'UPDATE', true), "
     "('vigie_reader', 'vigie.reading', 'SELECT', false), ('vigie_reader', 'vigie.reading', 'INSERT', "
     "false), "
     "('vigie_registry', 'audit.event', 'DELETE', false), ('vigie_loader', 'audit.event', 'UPDATE', false)) "
     "AS expected(role, relation, privilege, wanted) WHERE has_table_privilege(role, relation, privilege) <> "
     "wanted",
     DOCTOR_FAIL},
};

static void look_at_privileges(struct doctor *doctor, struct postgres *postgres)
{
    char wrong[600];
    for (size_t i = 0; i < sizeof privilege_rows / sizeof privilege_rows[0]; i++) {
        const struct doctor_check *check = &privilege_rows[i].check;
        if (!ask(doctor, postgres, check, privilege_rows[i].sql, wrong, sizeof wrong))
            return;
        bool good = *wrong == '\0';
        doctor_tell(doctor, check, good ? DOCTOR_OK : privilege_rows[i].bad, "%s",
                    good ? check->expected : wrong);
    }
}

static void look_at_clock(struct doctor *doctor, struct postgres *postgres)
{
    static const struct doctor_check check = {"postgres.clock", "at most 1 s apart from this host",
                                              "let NTP discipline both hosts"};
    char text[64];
    int64_t before_ms = clock_wall_ms();
    if (!ask(doctor, postgres, &check, "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint", text,
             sizeof text))
        return;
    int64_t apart_ms = strtoll(text, NULL, 10) - (before_ms + clock_wall_ms()) / 2;
    int64_t size_ms = apart_ms < 0 ? -apart_ms : apart_ms;
    doctor_tell(doctor, &check,
                size_ms > CLOCK_FAIL_MS   ? DOCTOR_FAIL
                : size_ms > CLOCK_WARN_MS ? DOCTOR_WARN
                                          : DOCTOR_OK,
                "%+.3f s", (double)apart_ms / 1e3);
}

/* One node a database: the loader of another would have fenced us off. */
static void look_at_lease(struct doctor *doctor, struct postgres *postgres)
{
    static const struct doctor_check check = {
        "postgres.lease", "this node",
        "another node writes to this database: stop it, or give this one its own database"};
    struct identity identity;
    char node[64];
    if (!ask(doctor, postgres, &check, "SELECT node FROM vigie.node_lease", node, sizeof node))
        return;
    bool known = identity_read(doctor->config->node_state_dir, &identity) == OK;
    if (*node == '\0')
        doctor_tell(doctor, &check, DOCTOR_OK, "nobody yet");
    else if (known && strtoull(node, NULL, 10) == identity.node)
        doctor_tell(doctor, &check, DOCTOR_OK, "this node, %016llx", (unsigned long long)identity.node);
    else
        doctor_tell(doctor, &check, DOCTOR_FAIL, "node %016llx", strtoull(node, NULL, 10));
}

void doctor_postgres(struct doctor *doctor)
{
    static const struct doctor_check check = {
        "postgres.reachable", "a server that lets us in",
        "check [postgres] conninfo, pg_hba.conf and the network: readings wait in "
        "the journal meanwhile"};
    const struct postgres_options options = {.conninfo = doctor->config->postgres_conninfo,
                                             .application = "vigiectl doctor",
                                             .timeout_ms = POSTGRES_TIMEOUT_MS,
                                             .quit_fd = -1};
    struct postgres *postgres;
    char version[64];
    if (postgres_open(&options, &postgres) != OK)
        doctor_tell(doctor, &check, DOCTOR_FAIL, "%s", postgres_message(postgres));
    else if (ask(doctor, postgres, &check, "SHOW server_version", version, sizeof version)) {
        doctor_tell(doctor, &check, DOCTOR_OK, "PostgreSQL %s", version);
        look_at_clock(doctor, postgres);
        if (look_at_schema(doctor)) {
            look_at_privileges(doctor, postgres);
            look_at_lease(doctor, postgres);
        }
    }
    postgres_close(postgres);
}
