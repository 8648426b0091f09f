/* registry_postgres: rows from and to PostgreSQL, for the registry thread and for programs.
 * Owner:   the connection is borrowed. Threads: the connection's.
 * Fails:   ERR_UNAVAILABLE: close the connection, nothing is known; ERR_REFUSED: the server refused,
 *          postgres_message() says why; ERR_STALE: another program wrote meanwhile: load and try again. */
#ifndef VIGIE_DAEMON_REGISTRY_POSTGRES_H
#define VIGIE_DAEMON_REGISTRY_POSTGRES_H

#include "daemon/registry/registry_changes.h"
#include "storage/postgres.h"

MUST_CHECK enum err registry_postgres_version(struct postgres *postgres, int64_t *ret_version);

/* Brings `rows`, which hold version *version, to what the database has now. Rights that were deleted there
 * (assignments, sources, identifiers) are removed; rules and patients never vanish by absence:
 * *ret_lacking of them are in force and not in the database. */
MUST_CHECK enum err registry_postgres_load(struct postgres *postgres, struct rows *rows,
                                           struct row_changes *changes, int64_t *version,
                                           int64_t *ret_lacking);

/* One transaction: begin, then write what `changes` made of rows that hold version *version, then commit. The
 * write sets the version of the rows it wrote. ERR_STALE when somebody else wrote since *version was loaded.
 */
MUST_CHECK enum err registry_postgres_begin(struct postgres *postgres);
MUST_CHECK enum err registry_postgres_write(struct postgres *postgres, struct row_changes *changes,
                                            int64_t *version);
MUST_CHECK enum err registry_postgres_commit(struct postgres *postgres);
/* A transaction of its own: the commits that shards gave to rules and patients, of rows marked `unwritten`,
 * whose mark it takes away. *version follows unless somebody else wrote too, then the next load brings both.
 */
MUST_CHECK enum err registry_postgres_write_commits(struct postgres *postgres, struct rows *rows,
                                                    int64_t *version);
void registry_postgres_rollback(struct postgres *postgres);

/* New numbers for rows of a table with an id; a number not used is lost, which costs nothing. */
MUST_CHECK enum err registry_postgres_next_ids(struct postgres *postgres, enum row_table table,
                                               unsigned count, int64_t *ids);

/* Whether a reading of that device and patient, measured in [from_ms, to_ms), has been received.
 * INSTANT_NONE: open. */
struct reading_span {
    int64_t device_id, patient_id, from_ms, to_ms;
};
MUST_CHECK enum err registry_postgres_has_readings(struct postgres *postgres, const struct reading_span *span,
                                                   bool *ret);

#endif
