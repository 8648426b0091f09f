/* libpq in non-blocking mode under a poll of our own, so that a server that is stopped, unplugged or
 * partitioned costs a deadline and never the thread. Options that we set come before the operator's conninfo,
 * which wins. */
#include "storage/postgres.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/heartbeat.h"
#include "daemon/base/log.h"

enum { COPY_CHUNK_BYTES = 64 << 10 };

struct postgres {
    PGconn *connection;
    int64_t timeout_ms;
    int quit_fd;
    bool warned;
    char sqlstate[6], message[256];
};

static void on_notice(void *context, const PGresult *result)
{
    struct postgres *postgres = context;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (severity == NULL || strcmp(severity, "WARNING") != 0)
        return;
    postgres->warned = true;
    log_write(LOG_WARNING, "postgres", "server warns sqlstate=%s", sqlstate != NULL ? sqlstate : "");
}

static void note_error(struct postgres *postgres, const PGresult *result)
{
    const char *sqlstate = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *message = result != NULL ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    if (message == NULL)
        message = PQerrorMessage(postgres->connection);
    snprintf(postgres->sqlstate, sizeof(postgres->sqlstate), "%s", sqlstate != NULL ? sqlstate : "");
    snprintf(postgres->message, sizeof(postgres->message), "%s", message);
    postgres->message[strcspn(postgres->message, "\n")] = '\0';
}

static enum err lost(struct postgres *postgres, const char *why)
{
    postgres->sqlstate[0] = '\0';
    snprintf(postgres->message, sizeof(postgres->message), "%s", why);
    return ERR_UNAVAILABLE;
}

/* Waits for `events` on the connection until the deadline, which a quit shortens. */
static enum err wait_socket(struct postgres *postgres, short events, int64_t *deadline_ms)
{
    for (;;) {
        struct pollfd fds[2] = {{.fd = PQsocket(postgres->connection), .events = events},
                                {.fd = postgres->quit_fd, .events = POLLIN}};
        int64_t now_ms = clock_monotonic_ms();
        if (now_ms >= *deadline_ms)
            return lost(postgres, "the server is silent");
        enum heartbeat_doing doing = heartbeat_does(HEARTBEAT_AWAITS);
        int count = poll(fds, postgres->quit_fd >= 0 ? 2 : 1, (int)(*deadline_ms - now_ms));
        (void)heartbeat_does(doing);
        if (count < 0 && errno != EINTR)
            return lost(postgres, "poll failed");
        if (count <= 0)
            continue;
        if (fds[0].revents != 0)
            return OK;
        if (*deadline_ms > now_ms + POSTGRES_QUIT_GRACE_MS)
            *deadline_ms = now_ms + POSTGRES_QUIT_GRACE_MS;
        postgres->quit_fd = -1; /* seen; it stays readable */
    }
}

static enum err finish_connecting(struct postgres *postgres)
{
    int64_t deadline_ms = clock_monotonic_ms() + postgres->timeout_ms;
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK) {
        enum err error =
            wait_socket(postgres, status == PGRES_POLLING_READING ? POLLIN : POLLOUT, &deadline_ms);
        if (error != OK)
            return error;
        status = PQconnectPoll(postgres->connection);
        if (status == PGRES_POLLING_FAILED) {
            note_error(postgres, NULL);
            return ERR_UNAVAILABLE;
        }
    }
    return OK;
}

enum err postgres_open(const struct postgres_options *options, struct postgres **ret_postgres)
{
    const char *const keywords[] = {"keepalives_idle",
                                    "keepalives_interval",
                                    "keepalives_count",
                                    "tcp_user_timeout",
                                    "target_session_attrs",
                                    "client_encoding",
                                    "fallback_application_name",
                                    "dbname",
                                    NULL};
    const char *const values[] = {
        "5", "2", "3", "10000", "read-write", "UTF8", options->application, options->conninfo, NULL};
    struct postgres *postgres = calloc(1, sizeof(*postgres));
    ensure(postgres != NULL);
    postgres->timeout_ms = options->timeout_ms;
    postgres->quit_fd = options->quit_fd;
    *ret_postgres = postgres;
    enum heartbeat_doing doing = heartbeat_does(HEARTBEAT_AWAITS); /* a resolver, PITFALLS P10 */
    postgres->connection = PQconnectStartParams(keywords, values, 1);
    (void)heartbeat_does(doing);
    if (postgres->connection == NULL || PQstatus(postgres->connection) == CONNECTION_BAD) {
        note_error(postgres, NULL);
        return ERR_UNAVAILABLE;
    }
    PQsetErrorVerbosity(postgres->connection, PQERRORS_SQLSTATE);
    PQsetNoticeReceiver(postgres->connection, on_notice, postgres);
    enum err error = finish_connecting(postgres);
    if (error == OK && PQsetnonblocking(postgres->connection, 1) != 0)
        error = lost(postgres, "cannot make the link non-blocking");
    return error;
}

void postgres_close(struct postgres *postgres)
{
    if (postgres == NULL)
        return;
    PQfinish(postgres->connection);
    free(postgres);
}

/* Sends what is queued; reads meanwhile, or a server that waits for us to read would never take it. */
static enum err flush(struct postgres *postgres)
{
    int64_t deadline_ms = clock_monotonic_ms() + postgres->timeout_ms;
    int left;
    while ((left = PQflush(postgres->connection)) != 0) {
        if (left < 0)
            return lost(postgres, "cannot send");
        enum err error = wait_socket(postgres, POLLIN | POLLOUT, &deadline_ms);
        if (error != OK)
            return error;
        if (!PQconsumeInput(postgres->connection))
            return lost(postgres, "cannot receive");
    }
    return OK;
}

static enum err next_result(struct postgres *postgres, PGresult **ret_result)
{
    int64_t deadline_ms = clock_monotonic_ms() + postgres->timeout_ms;
    while (PQisBusy(postgres->connection)) {
        enum err error = wait_socket(postgres, POLLIN, &deadline_ms);
        if (error != OK)
            return error;
        if (!PQconsumeInput(postgres->connection))
            return lost(postgres, "cannot receive");
    }
    *ret_result = PQgetResult(postgres->connection);
    return OK;
}

/* Every result of what was sent, to the NULL at the end; keeps the last good one for the caller. */
static enum err collect(struct postgres *postgres, PGresult **ret_last)
{
    enum err outcome = flush(postgres);
    if (outcome != OK)
        return outcome;
    PGresult *last = NULL, *result = NULL;
    for (;;) {
        enum err error = next_result(postgres, &result);
        if (error != OK) {
            PQclear(last);
            return error;
        }
        if (result == NULL)
            break;
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY) {
            PQclear(last);
            last = result;
            continue;
        }
        if (status == PGRES_COPY_IN) { /* stays in this state until the data are sent */
            PQclear(last);
            last = result;
            break;
        }
        note_error(postgres, result);
        PQclear(result);
        outcome = PQstatus(postgres->connection) == CONNECTION_OK ? ERR_REFUSED : ERR_UNAVAILABLE;
    }
    if (outcome == OK && ret_last != NULL && last != NULL) {
        *ret_last = last;
        return OK;
    }
    PQclear(last);
    return outcome;
}

enum err postgres_command(struct postgres *postgres, const char *sql)
{
    if (!PQsendQuery(postgres->connection, sql))
        return lost(postgres, "cannot send");
    return collect(postgres, NULL);
}

enum err postgres_query(struct postgres *postgres, const char *sql,
                        const struct postgres_parameters *parameters, PGresult **ret_result)
{
    static const struct postgres_parameters none;
    if (parameters == NULL)
        parameters = &none;
    if (!PQsendQueryParams(postgres->connection, sql, parameters->count, NULL, parameters->values,
                           parameters->lengths, parameters->formats, parameters->binary_result))
        return lost(postgres, "cannot send");
    PGresult *result = NULL;
    enum err error = collect(postgres, &result);
    if (error == OK && result == NULL)
        return lost(postgres, "no result");
    if (error == OK)
        *ret_result = result;
    return error;
}

static enum err put_copy_data(struct postgres *postgres, const char *data, size_t size)
{
    for (size_t sent = 0; sent < size;) {
        size_t chunk = size - sent < COPY_CHUNK_BYTES ? size - sent : COPY_CHUNK_BYTES;
        int queued = PQputCopyData(postgres->connection, data + sent, (int)chunk);
        if (queued < 0)
            return lost(postgres, "cannot send");
        if (queued > 0)
            sent += chunk;
        enum err error = flush(postgres);
        if (error != OK)
            return error;
    }
    return OK;
}

enum err postgres_copy_in(struct postgres *postgres, const char *sql, const char *data, size_t size)
{
    PGresult *opened = NULL;
    if (!PQsendQuery(postgres->connection, sql))
        return lost(postgres, "cannot send");
    enum err error = collect(postgres, &opened);
    if (error != OK)
        return error;
    bool open = opened != NULL && PQresultStatus(opened) == PGRES_COPY_IN;
    PQclear(opened);
    ensure(open);
    error = put_copy_data(postgres, data, size);
    if (error != OK)
        return error;
    int ended;
    while ((ended = PQputCopyEnd(postgres->connection, NULL)) == 0) {
        error = flush(postgres);
        if (error != OK)
            return error;
    }
    if (ended < 0)
        return lost(postgres, "cannot send");
    return collect(postgres, NULL);
}

const char *postgres_sqlstate(const struct postgres *postgres)
{
    return postgres->sqlstate;
}

const char *postgres_message(const struct postgres *postgres)
{
    return postgres->message;
}

bool postgres_take_warning(struct postgres *postgres)
{
    bool warned = postgres->warned;
    postgres->warned = false;
    return warned;
}

int postgres_fd(const struct postgres *postgres)
{
    return PQsocket(postgres->connection);
}

bool postgres_is_alive(struct postgres *postgres)
{
    return PQconsumeInput(postgres->connection) && PQstatus(postgres->connection) == CONNECTION_OK;
}

PGconn *postgres_connection(struct postgres *postgres)
{
    return postgres->connection;
}
