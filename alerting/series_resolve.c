/* series_resolve: the versions of readings.
 *
 * Amendments (corrections, voids) and unmarked readings (preliminary, final) are joined into readings:
 *   an amendment with an alias that unmarked readings carry      means them (several: those with its key);
 *   any other                                                    means every unmarked reading of its key;
 *   what means a preliminary                                     means the finals that take its place too;
 *   amendments of one alias that no unmarked reading carries     are of one reading;
 *   an amendment that means its key                              competes with corrections that stand there.
 * Of the amendments of one such set the winner has the latest version time; equal or missing: the void, then
 * the greater value. A winning correction is the member, a winning void leaves none. Sets are kept by
 * union-find over item numbers; this runs only when an amendment is concerned, so O(n log n) and its memory
 * are fine. */
#include "alerting/series_resolve.h"

#include <stdlib.h>

#include "alerting/grow.h"

struct carrier {
    uint64_t alias;
    uint32_t item;
};

struct resolution {
    const struct series *series;
    struct held *items;       /* of the series, laid out */
    uint32_t *parent;         /* union-find */
    uint32_t *winner;         /* of a root: item of its winning amendment, UINT32_MAX without */
    struct carrier *carriers; /* sorted by alias, item */
    size_t carriers_count, count;
};

/* A reading that amendments may mean. */
static bool unmarked(const struct held *held)
{
    return held->status <= STATUS_FINAL && !(held->flags & HELD_MUTE);
}

/* A final takes the place of a preliminary of its key unless both have identifiers and they differ. */
static bool displaces(const struct held *final, const struct held *preliminary)
{
    return final->status == STATUS_FINAL && (final->flags & HELD_ELIGIBLE) &&
           preliminary->status == STATUS_PRELIMINARY &&
           (final->alias == 0 || preliminary->alias == 0 || final->alias == preliminary->alias);
}

static bool is_displaced(const struct held *items, size_t low, size_t high, const struct held *held)
{
    for (size_t i = low; i < high && held->status == STATUS_PRELIMINARY; i++)
        if (displaces(&items[i], held))
            return true;
    return false;
}

void series__note_change(struct series *series, const struct names *names, const struct reading_key *key)
{
    series->changed = true;
    series->changed_from_ms = key->ms < series->changed_from_ms ? key->ms : series->changed_from_ms;
    series->changed_to_ms = key->ms > series->changed_to_ms ? key->ms : series->changed_to_ms;
    series->dirty |= series__is_judged(series, names, key);
}

static void set_member(struct series *series, const struct names *names, size_t index,
                       const struct held *held, bool member)
{
    if (((held->flags & HELD_MEMBER) != 0) == member)
        return;
    held_set_flag(&series->held, index, HELD_MEMBER, member);
    series__note_change(series, names, &held->key);
}

void series__resolve_key(struct series *series, const struct names *names, size_t low, size_t high)
{
    struct held one, *items = high - low == 1 ? &one : held_room(&series->held, high - low);
    for (size_t i = low; i < high; i++)
        series_item(series, i, &items[i - low]);
    for (size_t i = 0; i < high - low; i++)
        set_member(series, names, low + i, &items[i],
                   (items[i].flags & HELD_ELIGIBLE) && unmarked(&items[i]) &&
                       !is_displaced(items, 0, high - low, &items[i]));
}

static uint32_t find_root(struct resolution *r, uint32_t item)
{
    while (r->parent[item] != item)
        item = r->parent[item] = r->parent[r->parent[item]];
    return item;
}

static void join(struct resolution *r, size_t a, size_t b)
{
    r->parent[find_root(r, (uint32_t)a)] = find_root(r, (uint32_t)b);
}

/* The items of the key of `item`: [*ret_low, *ret_high). */
static void key_range(const struct resolution *r, size_t item, size_t *ret_low, size_t *ret_high)
{
    size_t low = item, high = item + 1;
    while (low > 0 && reading_key_equal(&r->items[low - 1].key, &r->items[item].key))
        low--;
    while (high < r->count && reading_key_equal(&r->items[high].key, &r->items[item].key))
        high++;
    *ret_low = low;
    *ret_high = high;
}

/* The amendment means this unmarked reading, and so the finals that take its place. */
static void mean(struct resolution *r, size_t amendment, size_t target)
{
    size_t low, high;
    join(r, amendment, target);
    if (r->items[target].status != STATUS_PRELIMINARY)
        return;
    key_range(r, target, &low, &high);
    for (size_t i = low; i < high; i++)
        if (displaces(&r->items[i], &r->items[target]))
            join(r, amendment, i);
}

static void mean_key(struct resolution *r, size_t amendment)
{
    size_t low, high;
    key_range(r, amendment, &low, &high);
    for (size_t i = low; i < high; i++)
        if (unmarked(&r->items[i]))
            mean(r, amendment, i);
        else if (r->items[i].flags & HELD_AMENDS)
            join(r, amendment, i);
}

static int compare_carriers(const void *left, const void *right)
{
    const struct carrier *a = left, *b = right;
    if (a->alias != b->alias)
        return a->alias < b->alias ? -1 : 1;
    return a->item < b->item ? -1 : a->item > b->item;
}

static size_t first_carrier(const struct resolution *r, uint64_t alias)
{
    size_t low = 0, high = r->carriers_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->carriers[middle].alias < alias)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* What the amendment means by its alias; false: nothing, its key counts. */
static bool mean_alias(struct resolution *r, size_t amendment)
{
    const struct held *items = r->items;
    uint64_t alias = items[amendment].alias;
    size_t first = first_carrier(r, alias), readings = 0, here = 0;
    bool one_key = true;
    const struct held *previous = NULL;
    for (size_t i = first; i < r->carriers_count && r->carriers[i].alias == alias; i++) {
        const struct held *held = &items[r->carriers[i].item];
        if (!unmarked(held)) {
            join(r, amendment, r->carriers[i].item);
            continue;
        }
        one_key &= previous == NULL || reading_key_equal(&previous->key, &held->key);
        here += reading_key_equal(&held->key, &items[amendment].key);
        previous = held;
        readings++;
    }
    if (readings == 0 || (!one_key && here == 0))
        return (items[amendment].flags & HELD_AIMED) != 0;
    for (size_t i = first; i < r->carriers_count && r->carriers[i].alias == alias; i++) {
        const struct held *held = &items[r->carriers[i].item];
        if (unmarked(held) && (one_key || reading_key_equal(&held->key, &items[amendment].key)))
            mean(r, amendment, r->carriers[i].item);
    }
    return true;
}

/* True when `a` wins over `b`, both amendments of one reading. */
static bool amendment_wins(const struct held *a, const struct held *b)
{
    bool a_void = a->status == STATUS_VOID, b_void = b->status == STATUS_VOID;
    bool comparable = a->issued_ms != INSTANT_NONE && b->issued_ms != INSTANT_NONE;
    if (a_void != b_void && (!comparable || a->issued_ms == b->issued_ms))
        return a_void;
    if (a->issued_ms != b->issued_ms)
        return a_void && b_void && !comparable ? a->issued_ms == INSTANT_NONE : a->issued_ms > b->issued_ms;
    return a->value != b->value ? a->value > b->value : a->comparator > b->comparator;
}

static void prepare(struct resolution *r)
{
    size_t count = r->count = series_count(r->series);
    r->items = zeroed((count + 1) * sizeof *r->items);
    r->parent = zeroed((count + 1) * sizeof *r->parent);
    r->winner = zeroed((count + 1) * sizeof *r->winner);
    r->carriers = zeroed((count + 1) * sizeof *r->carriers);
    for (size_t i = 0; i < count; i++) {
        series_item(r->series, i, &r->items[i]);
        r->parent[i] = (uint32_t)i;
        r->winner[i] = UINT32_MAX;
        if (r->items[i].alias != 0 && (unmarked(&r->items[i]) || (r->items[i].flags & HELD_AMENDS)))
            r->carriers[r->carriers_count++] = (struct carrier){r->items[i].alias, (uint32_t)i};
    }
    qsort(r->carriers, r->carriers_count, sizeof *r->carriers, compare_carriers);
}

static void choose_winners(struct resolution *r)
{
    for (size_t i = 0; i < r->count; i++) {
        if (!(r->items[i].flags & HELD_AMENDS))
            continue;
        uint32_t root = find_root(r, (uint32_t)i);
        if (r->winner[root] == UINT32_MAX || amendment_wins(&r->items[i], &r->items[r->winner[root]]))
            r->winner[root] = (uint32_t)i;
    }
}

static void join_all(struct resolution *r)
{
    prepare(r);
    for (size_t i = 0; i < r->count; i++)
        if ((r->items[i].flags & HELD_AMENDS) && (r->items[i].alias == 0 || !mean_alias(r, i)))
            mean_key(r, i);
}

static void finish(struct resolution *r)
{
    slab_give(r->items);
    slab_give(r->parent);
    slab_give(r->winner);
    slab_give(r->carriers);
}

int64_t series__find_meant(const struct series *series, size_t count, bool *meant)
{
    struct resolution r = {.series = series};
    int64_t until_ms = INT64_MAX;
    join_all(&r);
    for (size_t i = count; i < r.count; i++)
        r.winner[find_root(&r, (uint32_t)i)] = (uint32_t)i;
    for (size_t i = 0; i < count; i++) {
        uint32_t last = r.winner[find_root(&r, (uint32_t)i)];
        meant[i] = (r.items[i].flags & HELD_AMENDS) && last != UINT32_MAX;
        if (meant[i] && r.items[last].key.ms < until_ms)
            until_ms = r.items[last].key.ms;
    }
    finish(&r);
    return until_ms;
}

void series__resolve_all(struct series *series, const struct names *names)
{
    struct resolution r = {.series = series};
    join_all(&r);
    choose_winners(&r);
    for (size_t i = 0; i < r.count; i++) {
        const struct held *held = &r.items[i];
        uint32_t winner = r.winner[find_root(&r, (uint32_t)i)];
        bool member = (held->flags & HELD_ELIGIBLE) != 0;
        if (unmarked(held) && member) {
            size_t low, high;
            key_range(&r, i, &low, &high);
            member = winner == UINT32_MAX && !is_displaced(r.items, low, high, held);
        } else {
            member = member && held->status == STATUS_CORRECTED && winner == i;
        }
        set_member(series, names, i, held, member);
    }
    finish(&r);
}
