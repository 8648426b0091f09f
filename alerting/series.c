/* series: in order a reading is an append; late it is one memmove. Amendments are rare: their keys and
 * aliases are kept aside, and only what they may concern is resolved as a whole. */
#include "alerting/series.h"

#include <stdlib.h>
#include <string.h>

#include "alerting/grow.h"
#include "alerting/series_resolve.h"

enum { NAMES_SWEEP_MIN = 1024 };

void names_deinit(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        slab_give(names->items[i]);
    slab_give(names->items);
    *names = (struct names){0};
}

static size_t free_place(struct names *names)
{
    if (names->used < names->count)
        for (size_t i = 0; i < names->count; i++)
            if (names->items[i] == NULL)
                return i;
    names->items = grow_short(names->items, names->count + 1, &names->capacity, sizeof names->items[0]);
    return names->count++;
}

uint32_t names_intern(struct names *names, struct slice name)
{
    if (name.size == 0)
        return 0;
    for (size_t i = names->count; i > 0; i--) {
        const char *known = names->items[i - 1];
        if (known != NULL && strncmp(known, name.data, name.size) == 0 && known[name.size] == '\0')
            return (uint32_t)i;
    }
    size_t place = free_place(names);
    char *text = zeroed(name.size + 1);
    memcpy(text, name.data, name.size);
    names->items[place] = text;
    names->used++;
    return (uint32_t)place + 1;
}

const char *names_text(const struct names *names, uint32_t number)
{
    ensure(number <= names->count && (number == 0 || names->items[number - 1] != NULL));
    return number == 0 ? "" : names->items[number - 1];
}

bool names_are_many(const struct names *names)
{
    return names->used >= NAMES_SWEEP_MIN && names->used >= names->sweep_at;
}

void names_sweep(struct names *names, const bool *named)
{
    for (size_t i = 0; i < names->count; i++) {
        if (names->items[i] == NULL || named[i + 1])
            continue;
        slab_give(names->items[i]);
        names->items[i] = NULL;
        names->used--;
    }
    names->sweep_at = 2 * names->used;
}

static void series_unchanged(struct series *series)
{
    series->brought_ms = INT64_MAX;
    series->dirty = series->changed = false;
    series->changed_from_ms = INT64_MAX;
    series->changed_to_ms = INT64_MIN;
}

struct series *series_new(enum parameter parameter)
{
    struct series *series = zeroed(sizeof *series);
    series->parameter = parameter;
    series->cut_ms = INT64_MIN;
    series_unchanged(series);
    return series;
}

void series_free(struct series *series)
{
    if (series == NULL)
        return;
    series_free(series->aside);
    held_deinit(&series->held);
    slab_give(series->marks);
    slab_give(series);
}

static int compare_integers(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_names(const struct names *names, uint32_t a, uint32_t b)
{
    return a == b ? 0 : strcmp(names_text(names, a), names_text(names, b));
}

static int compare_keys(const struct names *names, const struct reading_key *a, const struct reading_key *b)
{
    int order = compare_integers(a->ms, b->ms);
    if (order == 0)
        order = compare_names(names, a->device, b->device);
    return order != 0 ? order : compare_names(names, a->sensor, b->sensor);
}

/* Item `index` against a key. */
static int compare_to_key(const struct series *series, const struct names *names, size_t index,
                          const struct reading_key *key)
{
    struct reading_key own;
    int order = compare_integers(held_ms(&series->held, index), key->ms);
    if (order != 0)
        return order;
    held_key(&series->held, index, &own);
    return compare_keys(names, &own, key);
}

/* Identity order, which is series order. */
static int compare_to_reading(const struct series *series, const struct names *names, size_t index,
                              const struct held *reading)
{
    struct held own;
    int order = compare_to_key(series, names, index, &reading->key);
    if (order != 0)
        return order;
    series_item(series, index, &own);
    order = compare_integers(own.value, reading->value);
    return order != 0 ? order : (int)own.comparator - (int)reading->comparator;
}

static bool is_of_key(const struct series *series, size_t index, const struct reading_key *key)
{
    struct reading_key own;
    if (held_ms(&series->held, index) != key->ms)
        return false;
    held_key(&series->held, index, &own);
    return reading_key_equal(&own, key);
}

size_t series_find(const struct series *series, const struct names *names, const struct reading_key *key)
{
    size_t low = 0, high = series_count(series);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_to_key(series, names, middle, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Where a reading goes: behind all that sort at or before it; most come at the end. */
static size_t find_place(const struct series *series, const struct names *names, const struct held *reading)
{
    size_t low = 0, high = series_count(series);
    if (high > 0 && compare_to_reading(series, names, high - 1, reading) <= 0)
        return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_to_reading(series, names, middle, reading) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The same identity is held in the same or a higher rank. The original of a correction that came first may
 * mean something else to a later amendment: it is a version, not a duplicate, else the order of arrival would
 * count.
 */
static bool is_duplicate(const struct held *held, const struct held *reading)
{
    if (held->status == STATUS_FINAL && reading->status == STATUS_PRELIMINARY)
        return true;
    if (held->status != reading->status)
        return false;
    return reading->status <= STATUS_FINAL ||
           (held->issued_ms == reading->issued_ms && held->alias == reading->alias);
}

/* What the held readings of its key, items [low, high), say about it. */
static void judge_arrival(const struct series *series, size_t low, size_t high, const struct held *reading,
                          struct series_arrival *ret)
{
    *ret = (struct series_arrival){.first_of_key = (reading->flags & HELD_SIGN) != 0};
    for (size_t i = low; i < high; i++) {
        struct held held;
        series_item(series, i, &held);
        bool same = held.value == reading->value && held.comparator == reading->comparator;
        ret->duplicate |= same && is_duplicate(&held, reading);
        ret->revision += same;
        ret->same_instant |= !same && held.status <= STATUS_FINAL && reading->status <= STATUS_FINAL;
        ret->first_of_key &= !(held.flags & HELD_SIGN);
    }
    if (ret->duplicate) /* not one more, but the newest of those that are held */
        ret->revision--;
}

/* May an amendment that is held concern this reading? */
static bool is_marked(const struct series *series, const struct held *reading)
{
    for (size_t i = 0; i < series->marks_count; i++)
        if ((reading->alias != 0 && reading->alias == series->marks[i].alias) ||
            reading_key_equal(&reading->key, &series->marks[i].key))
            return true;
    return false;
}

static void mark(struct series *series, const struct held *reading)
{
    series->marks =
        grow(series->marks, series->marks_count + 1, &series->marks_capacity, sizeof series->marks[0]);
    series->marks[series->marks_count++] = (struct series_mark){reading->alias, reading->key};
}

/* Where the reading goes, and the items [*ret_low, *ret_high) of its key. */
static size_t locate(const struct series *series, const struct names *names, const struct held *reading,
                     size_t *ret_low, size_t *ret_high)
{
    size_t place = find_place(series, names, reading), low = place, high = place;
    while (low > 0 && is_of_key(series, low - 1, &reading->key))
        low--;
    while (high < series_count(series) && is_of_key(series, high, &reading->key))
        high++;
    *ret_low = low;
    *ret_high = high;
    return place;
}

void series_look_up(const struct series *series, const struct names *names, const struct held *reading,
                    struct series_arrival *ret)
{
    size_t low, high;
    (void)locate(series, names, reading, &low, &high);
    judge_arrival(series, low, high, reading, ret);
}

unsigned series_by_alias(const struct series *series, uint64_t alias, struct held *ret)
{
    struct reading_key key;
    unsigned count = 0;
    bool has_key = false;
    for (size_t i = series == NULL ? 0 : series_count(series); i > 0 && count < 2; i--) {
        struct held held;
        if (!held_is_named(&series->held, i - 1, alias))
            continue;
        series_item(series, i - 1, &held);
        if (count == 0)
            *ret = held;
        bool is_other = has_key && (held.key.ms != key.ms || held.key.device != key.device ||
                                    held.key.sensor != key.sensor);
        if (held.status <= STATUS_FINAL) { /* an amendment is no measurement of its own */
            key = held.key;
            has_key = true;
        }
        count = count == 0 || !is_other || held.status > STATUS_FINAL ? 1 : 2;
    }
    return count;
}

void series_remove_oldest(struct series *series)
{
    size_t oldest = 0;
    int64_t oldest_ms = INT64_MAX;
    for (size_t i = 0; i < series_count(series); i++) {
        struct held held;
        series_item(series, i, &held);
        if (held.received_ms < oldest_ms) {
            oldest_ms = held.received_ms;
            oldest = i;
        }
    }
    held_remove(&series->held, oldest);
}

/* The version of a reading that is held, which a resend of it would be told by; the count without. */
static size_t find_version(const struct series *series, const struct names *names, const struct held *reading,
                           struct held *ret)
{
    size_t low, high;
    (void)locate(series, names, reading, &low, &high);
    for (size_t i = low; i < high; i++) {
        series_item(series, i, ret);
        if (ret->value == reading->value && ret->comparator == reading->comparator &&
            is_duplicate(ret, reading))
            return i;
    }
    return series_count(series);
}

unsigned series_settled(const struct series *aside, const struct names *names, const struct held *reading)
{
    struct held held;
    if (aside == NULL || find_version(aside, names, reading, &held) == series_count(aside))
        return 0;
    return held.flags & (HELD_RELEASED | HELD_DISCARDED);
}

void series_set_settled(struct series *aside, const struct names *names, const struct held *reading,
                        enum held_flag flag)
{
    struct held held;
    size_t index = aside == NULL ? 0 : find_version(aside, names, reading, &held);
    if (aside == NULL || index == series_count(aside))
        return;
    held.flags |= (uint16_t)flag;
    held_remove(&aside->held, index);
    held_put(&aside->held, index, &held);
}

/* A final and a preliminary of one identity are one reading, with the final's identifier: what the
 * preliminary was called is forgotten with it, as it is when it comes behind. It is held on to count
 * versions. */
static void mute_preliminary(struct series *series, const struct names *names, size_t low, size_t high,
                             const struct held *final)
{
    struct held held;
    for (size_t i = low; i < high; i++) {
        series_item(series, i, &held);
        if (held.status != STATUS_PRELIMINARY || held.value != final->value ||
            held.comparator != final->comparator || held.flags & HELD_MUTE)
            continue;
        if (held.flags & HELD_MEMBER)
            series__note_change(series, names, &held.key);
        held.flags = (uint16_t)((held.flags & HELD_SIGN) | HELD_MUTE);
        held_remove(&series->held, i);
        held_put(&series->held, i, &held);
    }
}

void series_insert(struct series *series, const struct names *names, const struct held *reading,
                   struct series_arrival *ret)
{
    size_t low, high, place = locate(series, names, reading, &low, &high);
    judge_arrival(series, low, high, reading, ret);
    if (ret->duplicate)
        return;

    bool alone = low == high;
    held_put(&series->held, place, reading);
    if (!alone)
        held_need_room(&series->held, high + 1 - low);
    if (reading->flags & HELD_ELIGIBLE) {
        held_set_flag(&series->held, place, HELD_NEW, true);
        series->brought_ms = reading->key.ms < series->brought_ms ? reading->key.ms : series->brought_ms;
    }
    if (reading->status == STATUS_FINAL && reading->flags & HELD_ELIGIBLE)
        mute_preliminary(series, names, low, high + 1, reading);
    if (reading->flags & HELD_AMENDS)
        mark(series, reading);
    if (series->marks_count > 0 && (!alone || is_marked(series, reading)))
        series__resolve_all(series, names);
    else
        series__resolve_key(series, names, low, high + 1);
}

bool series_has_next(const struct series *series, size_t index)
{
    for (; index < series_count(series); index++)
        if (held_flags(&series->held, index) & HELD_MEMBER)
            return true;
    return false;
}

/* Lays the items [low, high) of one key out. */
static void lay_out(const struct series *series, size_t low, size_t high, struct instant *ret)
{
    struct held *to = high - low == 1 ? &ret->one : held_room(&series->held, high - low);
    for (size_t i = low; i < high; i++)
        series_item(series, i, &to[i - low]);
    ret->key = to->key;
    ret->first = to;
    ret->end = to + (high - low);
}

bool series_next(const struct series *series, size_t *index, struct instant *ret)
{
    size_t count = series_count(series);
    while (*index < count) {
        size_t low = *index;
        struct reading_key key;
        held_key(&series->held, low, &key);
        bool member = (held_flags(&series->held, low) & HELD_MEMBER) != 0;
        for (++*index; *index < count && is_of_key(series, *index, &key); ++*index)
            member |= (held_flags(&series->held, *index) & HELD_MEMBER) != 0;
        if (member) {
            lay_out(series, low, *index, ret);
            return true;
        }
    }
    return false;
}

bool series_newest(const struct series *series, struct held *ret)
{
    for (size_t i = series_count(series); i > 0; i--)
        if (held_flags(&series->held, i - 1) & HELD_MEMBER) {
            series_item(series, i - 1, ret);
            return true;
        }
    return false;
}

static bool holds_mark(const struct series *series, size_t count, const struct series_mark *mark)
{
    struct held held;
    for (size_t i = 0; i < count; i++) {
        series_item(series, i, &held);
        if (held.alias == mark->alias && reading_key_equal(&held.key, &mark->key))
            return true;
    }
    return false;
}

static void drop_marks(struct series *series, size_t held_on)
{
    size_t kept = 0;
    for (size_t i = 0; i < series->marks_count; i++)
        if (series->marks[i].key.ms >= series->cut_ms || holds_mark(series, held_on, &series->marks[i]))
            series->marks[kept++] = series->marks[i];
    series->marks_count = kept;
}

/* Which of the first `count` items are to be held on. Those that are already are looked at again when one of
 * them may be over, and when others may join them: not at every reading that comes. */
static void choose_kept(struct series *series, size_t count, int64_t cut_ms, bool *kept)
{
    size_t first = series_first(series);
    bool again = first > 0 && series->meant_until_ms < cut_ms;
    for (size_t i = first; i < count && !again; i++)
        again = (held_flags(&series->held, i) & HELD_AMENDS) != 0;
    for (size_t i = 0; i < first; i++)
        kept[i] = true;
    if (again)
        series->meant_until_ms = series__find_meant(series, count, kept);
}

/* The amendments that name the alias of a reading that is let go have had their reading. */
static void aim(struct series *series, uint64_t alias)
{
    struct held held;
    bool any = false;
    for (size_t i = 0; i < series->marks_count && !any; i++)
        any = series->marks[i].alias == alias;
    for (size_t i = 0; any && i < series_count(series); i++) {
        series_item(series, i, &held);
        if (held.flags & HELD_AMENDS && held.alias == alias)
            held_set_flag(&series->held, i, HELD_AIMED, true);
    }
}

static void aim_amendments(struct series *series, size_t count)
{
    struct held held;
    for (size_t i = 0; i < count; i++) {
        series_item(series, i, &held);
        if (held.alias != 0 && held.status <= STATUS_FINAL && !(held.flags & HELD_MUTE))
            aim(series, held.alias);
    }
}

void series_drop(struct series *series, size_t count, int64_t cut_ms)
{
    size_t held_on = 0;
    bool *kept = zeroed(count * sizeof *kept);
    struct held *items = NULL;
    if (series->marks_count > 0) {
        choose_kept(series, count, cut_ms, kept);
        aim_amendments(series, count);
    }
    for (size_t i = 0; i < count; i++)
        held_on += kept[i];
    if (held_on > 0)
        items = zeroed(held_on * sizeof *items);
    for (size_t i = 0, n = 0; i < count; i++)
        if (kept[i])
            series_item(series, i, &items[n++]);
    held_drop(&series->held, count);
    for (size_t i = 0; i < held_on; i++) {
        items[i].flags &= HELD_AMENDS | HELD_AIMED;
        held_put(&series->held, i, &items[i]);
    }
    series->cut_ms = cut_ms;
    drop_marks(series, held_on);
    slab_give(items);
    slab_give(kept);
}

size_t series_first(const struct series *series)
{
    size_t index = 0;
    while (index < series_count(series) && held_ms(&series->held, index) < series->cut_ms)
        index++;
    return index;
}

size_t series_behind_tip(const struct series *series, const struct names *names)
{
    size_t index = series_count(series);
    if (!series->has_tip)
        return 0;
    for (unsigned steps = 0; steps < 8; steps++, index--) /* mostly the tip is the last but one */
        if (index == 0 || compare_to_key(series, names, index - 1, &series->tip) <= 0)
            return index;
    index = series_find(series, names, &series->tip);
    while (index < series_count(series) && is_of_key(series, index, &series->tip))
        index++;
    return index;
}

void series_look_behind(struct series *series, const struct names *names)
{
    size_t index = series_behind_tip(series, names);
    while (index < series_count(series) && !(held_flags(&series->held, index) & HELD_MEMBER))
        index++;
    series->behind = (uint32_t)index;
    series->behind_ms = index < series_count(series) ? held_ms(&series->held, index) : INT64_MAX;
}

bool series__is_judged(const struct series *series, const struct names *names, const struct reading_key *key)
{
    return series->has_tip && compare_keys(names, key, &series->tip) <= 0;
}

void series_settle(struct series *series)
{
    for (size_t i = series_count(series); i > 0; i--)
        if (held_flags(&series->held, i - 1) & HELD_MEMBER) {
            series->has_tip = true;
            held_key(&series->held, i - 1, &series->tip);
            break;
        }
    for (size_t i = series_count(series); i > 0 && held_ms(&series->held, i - 1) >= series->brought_ms; i--)
        held_set_flag(&series->held, i - 1, HELD_NEW, false);
    series_unchanged(series);
}
