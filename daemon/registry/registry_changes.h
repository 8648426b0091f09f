/* registry_changes: what one transaction does to the rows, with the way back.
 * Owner:   the struct lives in its holder; changes_keep() or changes_undo() ends every set. `before` rows
 *          belong to the set, `after` rows to `rows`. Threads: one at a time.
 * Holds:   one entry a row, in the order of its first change; before NULL: new, after NULL: gone. */
#ifndef VIGIE_DAEMON_REGISTRY_CHANGES_H
#define VIGIE_DAEMON_REGISTRY_CHANGES_H

#include "daemon/registry/registry_rows.h"

struct row_change {
    struct row *before, *after;
    unsigned line; /* of the import that made it, 0 without */
};

struct row_changes {
    struct row_change *items;
    uint32_t count, capacity;
};

/* Takes `row` and puts it in the place of the one with its key, unless that says the same: then it is freed.
 */
bool changes_put(struct row_changes *changes, struct rows *rows, struct row *row, unsigned line);
void changes_remove(struct row_changes *changes, struct rows *rows, struct row *row);
void changes_keep(struct row_changes *changes);
void changes_undo(struct row_changes *changes, struct rows *rows);

#endif
