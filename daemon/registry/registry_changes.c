/* A row that changes twice in one set keeps its first `before`: what others see is the difference between
 * before and after the whole transaction. */
#include "daemon/registry/registry_changes.h"

#include <stdlib.h>

static struct row_change *add(struct row_changes *changes)
{
    if (changes->count == changes->capacity) {
        changes->capacity = changes->capacity == 0 ? 16 : changes->capacity * 2;
        changes->items = realloc(changes->items, changes->capacity * sizeof(*changes->items));
        ensure(changes->items != NULL);
    }
    struct row_change *change = &changes->items[changes->count++];
    *change = (struct row_change){.before = NULL};
    return change;
}

bool changes_put(struct row_changes *changes, struct rows *rows, struct row *row, unsigned line)
{
    struct row *same = rows_find_same_key(rows, row);
    if (same != NULL && row_equal(same, row)) {
        if (row->changed > same->changed) {
            same->changed = row->changed;
            same->changed_at = row->changed_at;
        }
        row_free(row);
        return false;
    }
    struct row *old = rows_put(rows, row);
    if (old != NULL && old->change != 0) {
        struct row_change *change = &changes->items[old->change - 1];
        ensure(change->after == old);
        row->change = old->change;
        row->waiting = old->waiting;
        change->after = row;
        change->line = line;
        row_free(old);
        return true;
    }
    struct row_change *change = add(changes);
    *change = (struct row_change){.before = old, .after = row, .line = line};
    row->change = changes->count;
    row->waiting = old != NULL ? old->waiting : row->table == ROW_PATIENT;
    return true;
}

void changes_remove(struct row_changes *changes, struct rows *rows, struct row *row)
{
    rows_take_out(rows, row);
    if (row->change != 0) {
        changes->items[row->change - 1].after = NULL;
        row_free(row);
        return;
    }
    add(changes)->before = row;
}

static void finish(struct row_changes *changes)
{
    free(changes->items);
    *changes = (struct row_changes){.items = NULL};
}

void changes_keep(struct row_changes *changes)
{
    for (uint32_t i = 0; i < changes->count; i++) {
        row_free(changes->items[i].before);
        if (changes->items[i].after != NULL)
            changes->items[i].after->change = 0;
    }
    finish(changes);
}

void changes_undo(struct row_changes *changes, struct rows *rows)
{
    for (uint32_t i = changes->count; i-- > 0;) {
        struct row_change *change = &changes->items[i];
        if (change->after != NULL) {
            rows_take_out(rows, change->after);
            row_free(change->after);
        }
        if (change->before != NULL) {
            struct row *replaced = rows_put(rows, change->before);
            ensure(replaced == NULL);
        }
    }
    finish(changes);
}
