/* archive_series: held readings are most of a snapshot, so they are packed: times as differences to the item
 * before, absent fields by a bit. What the unit at hand brought is not written: between units there is none.
 */
#include <stdlib.h>

#include "alerting/archive.h"
#include "alerting/grow.h"

void archive_names(struct archive *a, struct names *names)
{
    size_t count = archive_count(a, names->count);
    if (!a->writing && count > 0)
        names->items = grow_short(NULL, count, &names->capacity, sizeof names->items[0]);
    for (size_t i = 0; i < count && !a->bad; i++) {
        if (a->writing) {
            archive_text_of(a, names->items[i] == NULL ? "" : names->items[i]);
            continue;
        }
        const char *text = archive_text_at(a);
        names->items[i] = text == NULL || text[0] == '\0' ? NULL : copied(text);
        names->used += names->items[i] != NULL;
        names->count = i + 1;
    }
    uint64_t sweep_at = names->sweep_at;
    archive_number(a, &sweep_at);
    if (sweep_at > UINT32_MAX)
        archive_fault(a);
    names->sweep_at = (uint32_t)sweep_at;
}

void archive_name(struct archive *a, uint32_t *number)
{
    archive_u32(a, number);
    if (a->writing || *number == 0)
        return;
    const struct names *names = &a->patient->names;
    if (*number > names->count || names->items[*number - 1] == NULL) {
        archive_fault(a);
        *number = 0;
    }
}

void archive_key(struct archive *a, struct reading_key *key)
{
    archive_instant(a, &key->ms);
    if (a->patient == NULL)
        return; /* of the node: an instant alone */
    archive_name(a, &key->device);
    archive_name(a, &key->sensor);
}

enum held_bit { /* of the first byte; status and comparator below */
                BIT_ISSUED = 1 << 4,
                BIT_ALIAS = 1 << 5,
                BIT_SAME_NAMES = 1 << 6,
                COMPARATOR_SHIFT = 2,
                TWO_BITS = 3,
};

static unsigned head_of(const struct held *held, const struct held *before)
{
    unsigned head = held->status | (unsigned)held->comparator << COMPARATOR_SHIFT;
    ensure(held->status <= STATUS_VOID && held->comparator <= COMPARATOR_GREATER);
    if (held->issued_ms != INSTANT_NONE) /* an unmarked one has none */
        head |= BIT_ISSUED;
    if (held->alias != 0)
        head |= BIT_ALIAS;
    if (held->key.device == before->key.device && held->key.sensor == before->key.sensor)
        head |= BIT_SAME_NAMES;
    return head;
}

/* The difference of two instants modulo 2^64: no pair of them overflows. */
static void archive_difference(struct archive *a, int64_t *value, int64_t base)
{
    int64_t difference = (int64_t)((uint64_t)*value - (uint64_t)base);
    archive_signed(a, &difference);
    *value = (int64_t)((uint64_t)base + (uint64_t)difference);
}

/* There is one way to say it, and nothing is said that no reading is. */
static bool is_sound(const struct held *held, unsigned head, const struct held *before)
{
    return head == head_of(held, before) && (held->issued_ms == INSTANT_NONE || held->status > STATUS_FINAL);
}

static void archive_held(struct archive *a, struct held *held, const struct held *before)
{
    unsigned head = a->writing ? head_of(held, before) : 0;
    uint32_t flags = held->flags;
    archive_unsigned(a, &head, BIT_SAME_NAMES << 1);
    held->status = head & TWO_BITS;
    held->comparator = head >> COMPARATOR_SHIFT & TWO_BITS;
    if (held->comparator > COMPARATOR_GREATER)
        archive_fault(a);
    archive_u32(a, &flags);
    if (!a->writing && (flags & HELD_NEW || flags >= HELD_DISCARDED << 1))
        archive_fault(a);
    held->flags = (uint16_t)flags;
    archive_difference(a, &held->key.ms, before->key.ms);
    if (head & BIT_SAME_NAMES) {
        held->key.device = before->key.device;
        held->key.sensor = before->key.sensor;
    } else {
        archive_name(a, &held->key.device);
        archive_name(a, &held->key.sensor);
    }
    archive_signed(a, &held->value);
    archive_difference(a, &held->received_ms, held->key.ms);
    if (head & BIT_ISSUED)
        archive_difference(a, &held->issued_ms, held->key.ms);
    if (head & BIT_ALIAS)
        archive_bytes(a, &held->alias, sizeof held->alias);
    if (!a->writing && !a->bad && !is_sound(held, head, before))
        archive_fault(a);
}

/* Instants of several readings want room to be laid out. */
static void need_room(struct held_array *held)
{
    size_t run = 1, longest = 1;
    struct reading_key key, before;
    for (size_t i = 0; i < held->count; i++, before = key) {
        held_key(held, i, &key);
        run = i > 0 && reading_key_equal(&key, &before) ? run + 1 : 1;
        longest = run > longest ? run : longest;
    }
    if (longest > 1)
        held_need_room(held, longest);
}

static void archive_items(struct archive *a, struct series *series)
{
    struct held before = {.key = {.ms = 0}}, held;
    size_t count = archive_count(a, series_count(series));
    for (size_t i = 0; i < count && !a->bad; i++, before = held) {
        held = (struct held){.issued_ms = INSTANT_NONE};
        if (a->writing)
            series_item(series, i, &held);
        archive_held(a, &held, &before);
        if (a->writing || a->bad)
            continue;
        if (i > 0 && held.key.ms < before.key.ms)
            archive_fault(a);
        else
            held_put(&series->held, i, &held);
    }
    if (!a->writing)
        need_room(&series->held);
}

static void archive_marks(struct archive *a, struct series *series)
{
    size_t count = archive_count(a, series->marks_count);
    if (!a->writing && count > 0)
        series->marks = grow(NULL, count, &series->marks_capacity, sizeof series->marks[0]);
    for (size_t i = 0; i < count && !a->bad; i++) {
        if (!a->writing)
            series->marks[i] = (struct series_mark){0};
        archive_number(a, &series->marks[i].alias);
        archive_key(a, &series->marks[i].key);
        series->marks_count = i + 1;
    }
}

static void archive_one(struct archive *a, struct series *series)
{
    archive_instant(a, &series->cut_ms);
    archive_bool(a, &series->dirty);
    archive_bool(a, &series->changed);
    archive_bool(a, &series->has_tip);
    if (series->has_tip)
        archive_key(a, &series->tip);
    archive_marks(a, series);
    archive_items(a, series);
    if (series_first(series) > 0) /* else nothing is held on, and nobody asks */
        archive_instant(a, &series->meant_until_ms);
}

struct series *archive_series(struct archive *a, struct series *series)
{
    enum parameter parameter = a->writing ? series->parameter : PARAMETER_COUNT;
    archive_parameter(a, &parameter);
    if (parameter == PARAMETER_COUNT)
        archive_fault(a);
    if (a->bad)
        return NULL;
    if (!a->writing)
        series = series_new(parameter);
    archive_one(a, series);
    bool aside = series->aside != NULL;
    archive_bool(a, &aside);
    if (aside && !a->writing)
        series->aside = series_new(parameter);
    if (aside)
        archive_one(a, series->aside);
    return series;
}
