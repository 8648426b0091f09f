/* Three chained hash tables over one set of rows (by key, by id, by parent) and a list a table. Chains grow
 * with the set, so a look-up stays a few comparisons at a million rows. */
#include "daemon/registry/registry_rows.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/instant.h"
#include "daemon/base/limits.h"

enum { KEY_TEXT_MAX = 200, KEY_BYTES_MAX = 1024 }; /* at most four columns, as import.c bounds them */

/* A chained table: `buckets` is a power of two and doubles with the set. */
struct chains {
    struct row **heads;
    uint32_t buckets, count;
};

enum chain { BY_KEY, BY_ID, BY_PARENT, CHAINS };

struct zone_entry {
    struct zone *zone;
    struct zone_entry *next;
};

struct rows {
    struct chains chains[CHAINS];
    struct row *first[ROW_TABLES], *last[ROW_TABLES];
    uint32_t counts[ROW_TABLES];
    struct zone_entry *zones;
};

static const char *text_of(const struct row *row, const struct row_column *column)
{
    return *(char *const *)((const char *)row + column->offset);
}

static int64_t number_of(const struct row *row, const struct row_column *column)
{
    return *(const int64_t *)((const char *)row + column->offset);
}

bool rows_takes(const struct row *row)
{
    const struct row_shape *shape = row_shape(row->table);
    for (unsigned i = 0; i < shape->columns_count; i++) {
        const struct row_column *column = &shape->columns[i];
        if (column->role != COLUMN_KEY || column_is_number(column->type))
            continue;
        size_t size_max = strcmp(column->name, "ref") == 0 ? REF_BYTES_MAX : KEY_TEXT_MAX;
        const char *text = text_of(row, column);
        if (text == NULL || strlen(text) > size_max)
            return false;
    }
    return true;
}

static void key_of(const struct row *row, char out[KEY_BYTES_MAX])
{
    const struct row_shape *shape = row_shape(row->table);
    size_t size = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < shape->columns_count; i++) {
        const struct row_column *column = &shape->columns[i];
        if (column->role != COLUMN_KEY)
            continue;
        const char *separator = size == 0 ? "" : "\037";
        int written;
        if (column_is_number(column->type))
            written = snprintf(out + size, KEY_BYTES_MAX - size, "%s%lld", separator,
                               (long long)number_of(row, column));
        else
            written = snprintf(out + size, KEY_BYTES_MAX - size, "%s%s", separator, text_of(row, column));
        ensure(written > 0 && size + (size_t)written < KEY_BYTES_MAX);
        size += (size_t)written;
    }
}

static uint64_t hash_key(enum row_table table, const char *key)
{
    return hash_xxh64(key, strlen(key)) ^ hash_mix64((uint64_t)table + 1);
}

static uint64_t hash_id(enum row_table table, int64_t id)
{
    return hash_mix64((uint64_t)id * ROW_TABLES + table);
}

/* 0: the row has no id. */
static int64_t row_id(const struct row *row)
{
    const struct row_column *first = &row_shape(row->table)->columns[0];
    return first->role == COLUMN_ID ? number_of(row, first) : 0;
}

/* Rules of line, organisation and team with one id lie together: the id means one thing in all of them. Those
 * of patients are many and lie by patient. */
static uint64_t hash_rule(const char *layer, const char *scope, const char *rule_id)
{
    uint64_t hash = hash_mix64(hash_xxh64(rule_id, strlen(rule_id)) + 1);
    return strcmp(layer, "patient") == 0 ? hash ^ hash_xxh64(scope, strlen(scope)) : hash;
}

/* The hash of what a row belongs to; 0: nothing. */
static uint64_t hash_parent(const struct row *row)
{
    const struct row_rule *rule = (const struct row_rule *)row;
    switch (row->table) {
    case ROW_ASSIGNMENT:
        return hash_id(ROW_DEVICE, ((const struct row_assignment *)row)->device_id);
    case ROW_SUSPENSION:
        return hash_id(ROW_PATIENT, ((const struct row_suspension *)row)->patient_id);
    case ROW_RULE:
        return hash_rule(rule->layer, rule->scope, rule->rule_id);
    default:
        return 0;
    }
}

/* Whether the row takes part in the chain, with which hash and through which link. */
static bool chain_place(struct row *row, enum chain chain, uint64_t *ret_hash, struct row ***ret_link)
{
    switch (chain) {
    case BY_KEY:
        *ret_hash = hash_key(row->table, row->key);
        *ret_link = &row->next_by_key;
        return true;
    case BY_ID:
        *ret_hash = hash_id(row->table, row_id(row));
        *ret_link = &row->next_by_id;
        return row_id(row) != 0;
    default:
        *ret_hash = hash_parent(row);
        *ret_link = &row->next_by_parent;
        return *ret_hash != 0;
    }
}

static void chain_insert(struct chains *chains, enum chain chain, struct row *row)
{
    uint64_t hash;
    struct row **link;
    if (!chain_place(row, chain, &hash, &link))
        return;
    struct row **head = &chains->heads[hash & (chains->buckets - 1)];
    *link = *head;
    *head = row;
    chains->count++;
}

static void chains_grow(struct rows *rows, enum chain chain)
{
    struct chains *chains = &rows->chains[chain];
    if (chains->count < chains->buckets)
        return;
    uint32_t buckets = chains->buckets == 0 ? 1024 : chains->buckets * 2;
    free(chains->heads);
    *chains = (struct chains){.heads = calloc(buckets, sizeof(struct row *)), .buckets = buckets};
    ensure(chains->heads != NULL);
    for (unsigned table = 0; table < ROW_TABLES; table++)
        for (struct row *row = rows->first[table]; row != NULL; row = row->next)
            chain_insert(chains, chain, row);
}

static void chain_remove(struct rows *rows, enum chain chain, struct row *row)
{
    uint64_t hash;
    struct row **link;
    if (!chain_place(row, chain, &hash, &link))
        return;
    struct chains *chains = &rows->chains[chain];
    struct row **at = &chains->heads[hash & (chains->buckets - 1)];
    while (*at != row) {
        ensure(*at != NULL);
        uint64_t unused;
        struct row **next;
        chain_place(*at, chain, &unused, &next);
        at = next;
    }
    *at = *link;
    *link = NULL;
    chains->count--;
}

struct rows *rows_new(void)
{
    struct rows *rows = calloc(1, sizeof(*rows));
    ensure(rows != NULL);
    for (enum chain chain = 0; chain < CHAINS; chain++)
        chains_grow(rows, chain);
    return rows;
}

void rows_free(struct rows *rows)
{
    if (rows == NULL)
        return;
    for (unsigned table = 0; table < ROW_TABLES; table++) {
        for (struct row *row = rows->first[table], *next; row != NULL; row = next) {
            next = row->next;
            row_free(row);
        }
    }
    for (struct zone_entry *entry = rows->zones, *next; entry != NULL; entry = next) {
        next = entry->next;
        zone_free(entry->zone);
        free(entry);
    }
    for (enum chain chain = 0; chain < CHAINS; chain++)
        free(rows->chains[chain].heads);
    free(rows);
}

static void *find_by_key(const struct rows *rows, enum row_table table, const char *key)
{
    const struct chains *chains = &rows->chains[BY_KEY];
    struct row *row = chains->heads[hash_key(table, key) & (chains->buckets - 1)];
    while (row != NULL && (row->table != table || strcmp(row->key, key) != 0))
        row = row->next_by_key;
    return row;
}

void *rows_find(const struct rows *rows, enum row_table table, const char *format, ...)
{
    char key[KEY_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(key, sizeof(key), format, arguments);
    va_end(arguments);
    return size >= 0 && size < KEY_BYTES_MAX ? find_by_key(rows, table, key) : NULL;
}

void *rows_find_same_key(const struct rows *rows, struct row *row)
{
    char key[KEY_BYTES_MAX];
    key_of(row, key);
    return find_by_key(rows, row->table, key);
}

void *rows_find_id(const struct rows *rows, enum row_table table, int64_t id)
{
    const struct chains *chains = &rows->chains[BY_ID];
    struct row *row = chains->heads[hash_id(table, id) & (chains->buckets - 1)];
    while (row != NULL && (row->table != table || row_id(row) != id))
        row = row->next_by_id;
    return id == 0 ? NULL : row;
}

void rows_take_out(struct rows *rows, struct row *row)
{
    for (enum chain chain = 0; chain < CHAINS; chain++)
        chain_remove(rows, chain, row);
    *(row->previous == NULL ? &rows->first[row->table] : &row->previous->next) = row->next;
    *(row->next == NULL ? &rows->last[row->table] : &row->next->previous) = row->previous;
    row->next = row->previous = NULL;
    rows->counts[row->table]--;
}

struct row *rows_put(struct rows *rows, struct row *row)
{
    char key[KEY_BYTES_MAX];
    key_of(row, key);
    struct row *old = find_by_key(rows, row->table, key);
    ensure(old != row);
    if (old != NULL)
        rows_take_out(rows, old);
    row_set_text(&row->key, key);
    row->previous = rows->last[row->table];
    row->next = NULL;
    *(row->previous == NULL ? &rows->first[row->table] : &row->previous->next) = row;
    rows->last[row->table] = row;
    rows->counts[row->table]++;
    for (enum chain chain = 0; chain < CHAINS; chain++) {
        chain_insert(&rows->chains[chain], chain, row);
        chains_grow(rows, chain);
    }
    return old;
}

uint32_t rows_count(const struct rows *rows, enum row_table table)
{
    return rows->counts[table];
}

void *rows_first(const struct rows *rows, enum row_table table)
{
    return rows->first[table];
}

/* The next row of `table` in the chain of a parent, from `row` on; the caller checks that it is the parent's.
 */
static struct row *sibling(struct row *row, enum row_table table)
{
    while (row != NULL && row->table != table)
        row = row->next_by_parent;
    return row;
}

static struct row *children(const struct rows *rows, uint64_t hash)
{
    const struct chains *chains = &rows->chains[BY_PARENT];
    return chains->heads[hash & (chains->buckets - 1)];
}

struct row_assignment *rows_assignments(const struct rows *rows, int64_t device_id,
                                        struct row_assignment *after)
{
    struct row *row =
        after == NULL ? children(rows, hash_id(ROW_DEVICE, device_id)) : after->row.next_by_parent;
    for (row = sibling(row, ROW_ASSIGNMENT); row != NULL; row = sibling(row->next_by_parent, ROW_ASSIGNMENT))
        if (((struct row_assignment *)row)->device_id == device_id)
            break;
    return (struct row_assignment *)row;
}

struct row_suspension *rows_suspensions(const struct rows *rows, int64_t patient_id,
                                        struct row_suspension *after)
{
    struct row *row =
        after == NULL ? children(rows, hash_id(ROW_PATIENT, patient_id)) : after->row.next_by_parent;
    for (row = sibling(row, ROW_SUSPENSION); row != NULL; row = sibling(row->next_by_parent, ROW_SUSPENSION))
        if (((struct row_suspension *)row)->patient_id == patient_id)
            break;
    return (struct row_suspension *)row;
}

struct row_rule *rows_rule_latest(const struct rows *rows, const char *layer, const char *scope,
                                  const char *rule_id)
{
    struct row_rule *latest = NULL;
    struct row *row = sibling(children(rows, hash_rule(layer, scope, rule_id)), ROW_RULE);
    for (; row != NULL; row = sibling(row->next_by_parent, ROW_RULE)) {
        struct row_rule *rule = (struct row_rule *)row;
        if (strcmp(rule->layer, layer) == 0 && strcmp(rule->scope, scope) == 0 &&
            strcmp(rule->rule_id, rule_id) == 0 && (latest == NULL || rule->version > latest->version))
            latest = rule;
    }
    return latest;
}

struct row_rule *rows_shared_rules(const struct rows *rows, const char *rule_id, struct row_rule *after)
{
    struct row *row = after == NULL ? children(rows, hash_rule("", "", rule_id)) : after->row.next_by_parent;
    for (row = sibling(row, ROW_RULE); row != NULL; row = sibling(row->next_by_parent, ROW_RULE)) {
        const struct row_rule *rule = (const struct row_rule *)row;
        if (strcmp(rule->layer, "patient") != 0 && strcmp(rule->rule_id, rule_id) == 0)
            break;
    }
    return (struct row_rule *)row;
}

const struct zone *rows_zone(struct rows *rows, const char *name)
{
    struct zone *zone;
    for (const struct zone_entry *entry = rows->zones; entry != NULL; entry = entry->next)
        if (strcmp(zone_name(entry->zone), name) == 0)
            return entry->zone;
    if (zone_load(name, &zone) != OK)
        return NULL;
    struct zone_entry *entry = malloc(sizeof(*entry));
    ensure(entry != NULL);
    *entry = (struct zone_entry){.zone = zone, .next = rows->zones};
    rows->zones = entry;
    return zone;
}
