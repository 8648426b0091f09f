/* Order: schema as this program needs it, parameters by name, lease, cursors, partitions. The cursors carry
 * our epoch from then on: whatever an older loader still has in flight fails on it (PITFALLS P14). */
#include "storage/loader_session.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "storage/copy_binary.h"
#include "storage/sql_parameters.h"
#include "storage/sqlstate.h"

enum {
    SERVER_SILENCE_MS = 60000,
    CLAIM_SILENCE_MS = 5000, /* a start does not wait longer for a server that hangs */
    WEEK_MS = 7 * 86400000,
    MONDAY_OFFSET_MS = 3 * 86400000 /* 1970-01-01: Thursday */
};

static enum err explain(struct loader_session *session, const char *what)
{
    const char *sqlstate = postgres_sqlstate(session->postgres);
    if (sqlstate_action(sqlstate) == SQLSTATE_STOP) {
        log_write(session->quiet ? LOG_DEBUG : LOG_ERROR, "loader",
                  "%s sqlstate=%s hint=run vigiectl db migrate with this version, check conninfo", what,
                  sqlstate);
        return ERR_CONFIG;
    }
    log_write(session->quiet ? LOG_DEBUG : LOG_WARNING, "loader", "%s sqlstate=%s", what,
              sqlstate[0] != '\0' ? sqlstate : "none");
    return ERR_UNAVAILABLE;
}

/* Every column of the COPY must be there with its type: binary COPY would misread another (PITFALLS P8). */
static enum err check_columns(struct loader_session *session)
{
    PGresult *result = NULL;
    enum err error = postgres_query(session->postgres,
                                    "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute "
                                    "WHERE attrelid = 'vigie.reading'::regclass AND attnum > 0",
                                    NULL, &result);
    if (error != OK)
        return explain(session, "cannot read the columns of vigie.reading");
    unsigned good = 0;
    for (unsigned i = 0; i < copy_columns_count; i++)
        for (int row = 0; row < PQntuples(result); row++)
            good += strcmp(PQgetvalue(result, row, 0), copy_columns[i].name) == 0 &&
                    strcmp(PQgetvalue(result, row, 1), copy_columns[i].type) == 0;
    PQclear(result);
    if (good == copy_columns_count)
        return OK;
    log_write(session->quiet ? LOG_DEBUG : LOG_ERROR, "loader",
              "vigie.reading has other columns found=%u expected=%u hint=run vigiectl db migrate", good,
              copy_columns_count);
    return ERR_CONFIG;
}

static enum err read_parameters(struct loader_session *session)
{
    PGresult *result = NULL;
    enum err error =
        postgres_query(session->postgres, "SELECT name, parameter_id FROM vigie.parameter", NULL, &result);
    if (error != OK)
        return explain(session, "cannot read vigie.parameter");
    unsigned found = 0;
    for (int row = 0; row < PQntuples(result); row++) {
        const char *name = PQgetvalue(result, row, 0);
        enum parameter parameter;
        if (parameter_by_name(name, strlen(name), &parameter) != OK)
            continue;
        session->parameter_ids[parameter] = (int16_t)atoi(PQgetvalue(result, row, 1));
        found++;
    }
    PQclear(result);
    if (found == PARAMETER_COUNT)
        return OK;
    log_write(session->quiet ? LOG_DEBUG : LOG_ERROR, "loader",
              "vigie.parameter lacks rows found=%u expected=%u hint=run vigiectl db migrate", found,
              (unsigned)PARAMETER_COUNT);
    return ERR_CONFIG;
}

static enum err take_lease(struct loader_session *session)
{
    unsigned rows = 0;
    struct sql_parameters parameters = {0};
    sql_int8(&parameters, (int64_t)session->options->node);
    sql_int8(&parameters, (int64_t)session->options->epoch);
    enum err error =
        sql_run(session->postgres,
                "INSERT INTO vigie.node_lease AS l (node, epoch) VALUES ($1, $2) ON CONFLICT (one) DO UPDATE "
                "SET epoch = $2, taken_at = now() WHERE l.node = $1 AND l.epoch <= $2",
                &parameters, &rows);
    if (error != OK)
        return explain(session, "cannot take the lease");
    if (rows == 1)
        return OK;
    log_write(session->quiet ? LOG_DEBUG : LOG_ERROR, "loader",
              "the database belongs to another node or a newer start of this one "
              "hint=one node a database: stop the other, then delete the row of vigie.node_lease");
    return ERR_STALE;
}

static enum err take_cursor(struct loader_session *session, uint32_t shard, struct loader_place *ret_place)
{
    struct sql_parameters parameters = {0};
    sql_int8(&parameters, (int64_t)session->options->node);
    sql_int4(&parameters, (int32_t)shard);
    sql_int8(&parameters, (int64_t)session->options->epoch);
    struct postgres_parameters view = sql_view(&parameters);
    PGresult *result = NULL;
    enum err error =
        postgres_query(session->postgres,
                       "INSERT INTO vigie.journal_cursor AS c (node, shard, epoch, position) "
                       "VALUES ($1, $2, $3, 0) ON CONFLICT (node, shard) DO UPDATE SET epoch = $3 "
                       "WHERE c.epoch <= $3 RETURNING position, engine_at",
                       &view, &result);
    if (error != OK)
        return explain(session, "cannot take a cursor");
    bool taken = PQntuples(result) == 1;
    if (taken) {
        bool no_time = PQgetisnull(result, 0, 1);
        ret_place->position = (uint64_t)sql_get_int64(PQgetvalue(result, 0, 0));
        ret_place->engine_ms =
            no_time ? INSTANT_NONE : sql_ms_from_time(sql_get_int64(PQgetvalue(result, 0, 1)));
    }
    PQclear(result);
    if (!taken)
        log_write(session->quiet ? LOG_DEBUG : LOG_ERROR, "loader",
                  "a newer start of this node loads already shard=%u", shard);
    return taken ? OK : ERR_STALE;
}

static int64_t week_of(int64_t ms)
{
    int64_t shifted = ms + MONDAY_OFFSET_MS;
    return shifted >= 0 ? shifted / WEEK_MS : -((-shifted + WEEK_MS - 1) / WEEK_MS);
}

static bool week_is_known(const struct loader_session *session, int64_t week)
{
    for (unsigned i = 0; i < session->weeks_count; i++)
        if (session->weeks[i] == week)
            return true;
    return false;
}

static void remember_week(struct loader_session *session, int64_t week)
{
    if (week_is_known(session, week))
        return;
    session->weeks[session->weeks_next] = week;
    session->weeks_next = (session->weeks_next + 1) % WEEKS_KNOWN;
    if (session->weeks_count < WEEKS_KNOWN)
        session->weeks_count++;
}

enum err loader_session_need_week(struct loader_session *session, int64_t engine_ms, int ahead)
{
    int64_t week = week_of(engine_ms);
    if (week_is_known(session, week) && week_is_known(session, week + ahead))
        return OK;
    struct sql_parameters parameters = {0};
    sql_time(&parameters, engine_ms);
    sql_int4(&parameters, ahead);
    sql_text(&parameters, session->options->index_open_partition ? "true" : "false");
    enum err error = sql_run(session->postgres, "SELECT vigie.make_partitions($1, $2, $3::text::boolean)",
                             &parameters, NULL);
    if (error != OK)
        return explain(session, "cannot make partitions ahead");
    for (int i = 0; i <= ahead; i++)
        remember_week(session, week + i);
    return OK;
}

void loader_session_forget_weeks(struct loader_session *session)
{
    session->weeks_count = session->weeks_next = 0;
}

static enum err prepare(struct loader_session *session, struct loader_place *places)
{
    const struct loader_options *options = session->options;
    if (postgres_command(session->postgres, "SET statement_timeout = '50s'; SET lock_timeout = '10s'; "
                                            "SET idle_in_transaction_session_timeout = '30s'") != OK)
        return explain(session, "cannot prepare the session");
    enum err error = check_columns(session);
    if (error == OK)
        error = read_parameters(session);
    if (error == OK)
        error = take_lease(session);
    for (uint32_t shard = 0; shard < options->shards && error == OK; shard++)
        error = take_cursor(session, shard, &places[shard]);
    if (error == OK)
        error = loader_session_need_week(session,
                                         atomic_load_explicit(options->engine_now_ms, memory_order_relaxed),
                                         PARTITION_WEEKS_AHEAD);
    return error;
}

enum err loader_session_open(const struct loader_session_options *options, struct loader_place *places,
                             struct loader_session **ret_session)
{
    struct loader_session *session = calloc(1, sizeof(*session));
    ensure(session != NULL);
    session->options = options->loader;
    session->quiet = options->quiet;
    struct postgres_options connect = {.conninfo = options->loader->conninfo,
                                       .application = "vigied loader",
                                       .timeout_ms = SERVER_SILENCE_MS,
                                       .quit_fd = options->quit_fd};
    enum err error = postgres_open(&connect, &session->postgres);
    if (error != OK)
        error = explain(session, "cannot connect to PostgreSQL");
    else
        error = prepare(session, places);
    if (error != OK) {
        loader_session_close(session);
        return error;
    }
    *ret_session = session;
    return OK;
}

enum err loader_session_count_quarantine(struct loader_session *session, uint64_t *ret_rows)
{
    PGresult *result = NULL;
    enum err error = postgres_query(
        session->postgres,
        "SELECT count(*) FROM vigie.quarantine WHERE released_at IS NULL AND discarded_at IS NULL", NULL,
        &result);
    if (error != OK)
        return explain(session, "cannot count vigie.quarantine");
    *ret_rows = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return OK;
}

enum err loader_session_claim(const struct loader_options *options)
{
    struct loader_session session = {.options = options};
    const struct postgres_options connect = {.conninfo = options->conninfo,
                                             .application = "vigied loader",
                                             .timeout_ms = CLAIM_SILENCE_MS,
                                             .quit_fd = -1};
    enum err error = postgres_open(&connect, &session.postgres);
    if (error == OK)
        error = take_lease(&session);
    postgres_close(session.postgres);
    return error == ERR_STALE ? ERR_STALE : OK;
}

void loader_session_close(struct loader_session *session)
{
    if (session == NULL)
        return;
    postgres_close(session->postgres);
    free(session);
}
