/* registry_refused: changes found in PostgreSQL that a shard refused and nothing has replaced since.
 * Owner:   registry_deliver has one; it borrows the rows, and hears of every one that goes.
 * Threads: the registry thread.
 * Holds:   a row once, however many shards refused it; gone with the row, and of a rule with a later version
 *          of it that no shard refused. */
#ifndef VIGIE_DAEMON_REGISTRY_REFUSED_H
#define VIGIE_DAEMON_REGISTRY_REFUSED_H

#include "daemon/registry/registry_changes.h"

struct registry_refused {
    const struct row **items;
    uint32_t count, capacity;
};

void refused_add(struct registry_refused *refused, const struct row *row);
/* Before the rows that a set of changes replaces or takes out are freed. */
void refused_forget(struct registry_refused *refused, const struct row_changes *changes);
/* After a set of changes was delivered. */
void refused_forget_replaced(struct registry_refused *refused, const struct rows *rows);
void refused_deinit(struct registry_refused *refused);

#endif
