/* migrate: brings schema, roles and parameters of a database to what this program needs.
 * One transaction under an advisory lock: all or nothing, again and again, beside a running daemon.
 * Threads: programs of the control plane; blocks.
 * Fails:   ERR_UNAVAILABLE no connection; ERR_BUSY somebody holds a lock, try again; ERR_CORRUPT a migration
 * that ran here had another text; ERR_REFUSED the server said no; each after one line through `report`. */
#ifndef VIGIE_STORAGE_MIGRATE_H
#define VIGIE_STORAGE_MIGRATE_H

#include "daemon/base/err.h"

struct migrate_report {
    void (*line)(void *context, const char *text);
    void *context;
};

/* `conninfo` is the login that gets the roles of the daemon; `migrate_conninfo` the one that makes them ("":
 * the same). Needs parameter_init(). */
MUST_CHECK enum err migrate_run(const char *conninfo, const char *migrate_conninfo,
                                const struct migrate_report *report);

/* One line a migration: number, name, applied_at or "pending". OK when none is pending, ERR_STALE otherwise.
 */
MUST_CHECK enum err migrate_status(const char *conninfo, const struct migrate_report *report);

#endif
