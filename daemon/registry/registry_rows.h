/* registry_rows: the registry as rows in memory: what PostgreSQL or the file was read into, what an import
 * works on, and what snapshots and commands are made from.
 * Owner:   rows_new() gives; rows_free() takes. A row in `rows` belongs to it; rows_put() takes a row and
 *          gives back the one it replaced. Rows are never changed in place: a change is a copy that is put.
 * Threads: one at a time (the registry thread, or a program).
 * Holds:   one row a table and key; children of a parent are linked in no order. */
#ifndef VIGIE_DAEMON_REGISTRY_ROWS_H
#define VIGIE_DAEMON_REGISTRY_ROWS_H

#include "daemon/base/zone.h"
#include "daemon/registry/registry_shape.h"

struct rows;
struct rows *rows_new(void);
void rows_free(struct rows *rows);
/* Whether the row can be put: its key is whole and of a bearable length, which other programs may not have
 * seen to. */
bool rows_takes(const struct row *row);
struct row *rows_put(struct rows *rows, struct row *row); /* gives what it replaced, or NULL */
void rows_take_out(struct rows *rows, struct row *row);   /* gives the row back to the caller */
uint32_t rows_count(const struct rows *rows, enum row_table table);

/* By key: the KEY columns, U+001F between, numbers in decimal. NULL when there is none. */
void *rows_find(const struct rows *rows, enum row_table table, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void *rows_find_same_key(const struct rows *rows, struct row *row);
void *rows_find_id(const struct rows *rows, enum row_table table, int64_t id);
void *rows_first(const struct rows *rows, enum row_table table); /* then row.next */

/* Walks: assignments of a device, suspensions of a patient, versions of an id in line, organisation and team.
 */
struct row_assignment *rows_assignments(const struct rows *rows, int64_t device_id,
                                        struct row_assignment *after);
struct row_suspension *rows_suspensions(const struct rows *rows, int64_t patient_id,
                                        struct row_suspension *after);
struct row_rule *rows_shared_rules(const struct rows *rows, const char *rule_id, struct row_rule *after);
struct row_rule *rows_rule_latest(const struct rows *rows, const char *layer, const char *scope,
                                  const char *rule_id);

/* Zones are loaded once and live as long as `rows`; NULL for a name that the system does not have. */
const struct zone *rows_zone(struct rows *rows, const char *name);

#endif
