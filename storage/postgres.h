/* postgres: one connection, used from one thread that may wait: every wait is a poll with a deadline.
 * Owner:   postgres_open() gives; postgres_close() takes. Threads: one at a time.
 * Fails:   ERR_UNAVAILABLE: the link is lost or silent beyond the deadline, the outcome of what was sent is
 * unknown, close it (PITFALLS P10, P11, P13); ERR_REFUSED: the server said no, postgres_sqlstate() says why.
 *          Nothing that the server writes is printed: its texts can hold row values (PITFALLS P20). */
#ifndef VIGIE_STORAGE_POSTGRES_H
#define VIGIE_STORAGE_POSTGRES_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

struct postgres_options {
    const char *conninfo;
    const char *application; /* application_name unless conninfo has one */
    int64_t timeout_ms;      /* longest silence of the server while we wait for it */
    int quit_fd;             /* readable: at most QUIT_GRACE_MS more are waited for; -1 without */
};

enum { POSTGRES_QUIT_GRACE_MS = 2000 };

struct postgres;

/* Gives an object that postgres_close() takes also when it fails: its message says why. */
MUST_CHECK enum err postgres_open(const struct postgres_options *options, struct postgres **ret_postgres);
void postgres_close(struct postgres *postgres);

/* One or more statements without parameters; results are dropped. */
MUST_CHECK enum err postgres_command(struct postgres *postgres, const char *sql);

struct postgres_parameters {
    int count;
    const char *const *values;
    const int *lengths, *formats; /* NULL: all are text */
    bool binary_result;
};

/* One statement; *ret_result is the caller's to PQclear(). */
MUST_CHECK enum err postgres_query(struct postgres *postgres, const char *sql,
                                   const struct postgres_parameters *parameters, PGresult **ret_result);

/* COPY … FROM STDIN of bytes that are encoded already, in chunks (PITFALLS P1, P2, P3). */
MUST_CHECK enum err postgres_copy_in(struct postgres *postgres, const char *sql, const char *data,
                                     size_t size);

/* Of the last error: five characters, "" when the link was lost. */
const char *postgres_sqlstate(const struct postgres *postgres);
/* Primary message of the last error, for operators at a terminal only. */
const char *postgres_message(const struct postgres *postgres);
/* True when the server warned since the last call: a commit that a synchronous standby does not have
 * (PITFALLS P15). */
bool postgres_take_warning(struct postgres *postgres);

/* To be polled while idle: readable means the server spoke or left. */
int postgres_fd(const struct postgres *postgres);
/* Reads what an idle server said; false when it left. */
bool postgres_is_alive(struct postgres *postgres);
/* For those who need libpq itself (LISTEN); borrowed. */
PGconn *postgres_connection(struct postgres *postgres);

#endif
