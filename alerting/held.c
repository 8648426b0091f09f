/* held: three words a reading.
 *
 *   time    low bits of milliseconds since the origin
 *   value   bit 0: in thousands; a signed number of 31 bits above it
 *   rest    what it is (RULES.md section 1), its sender, how long it took to come:
 *
 *   | delay 20 | in a list 1 | time high 1 | sender 3 | new sign final member eligible 5 | comparator 2 |
 *
 * A delay is that of the reception behind the measured time, from five minutes before it to twelve after, or
 * the number of the reception in a list: what is uploaded at once is received at once. Comparator 3 says that
 * the reading is kept whole, value being its place. The origin moves when a reading lies beyond its 99 days.
 */
#include "alerting/held.h"

#include <string.h>

#include "alerting/grow.h"

enum {
    COMPARATOR_MASK = 3,
    WHOLE = HELD_WHOLE,
    BIT_FINAL = HELD_AMENDS << HELD_FLAGS_SHIFT, /* an amendment is kept whole: its bit is free */
    SENDER_SHIFT = 7,
    SENDERS = 8,
    BIT_TIME = 1 << HELD_TIME_SHIFT,
    BIT_LISTED = 1 << 11,
    DELAY_SHIFT = 12,
    DELAYS = 1 << 20,
    DELAY_FROM_MS = -300000,
    LISTED_SPARE = 16, /* receptions that nothing names any more: so many, and an eighth of the readings */
};
static const uint64_t TIMES = UINT64_C(1) << 33;

struct held_list { /* of receptions */
    int64_t *items;
    size_t count, capacity, collect_at;
};

struct held_rare {
    struct held_sender senders[SENDERS]; /* from number 1; number 0 is the array's own */
    unsigned senders_count;              /* with number 0 */
    bool senders_full; /* all were taken when last looked at, and nothing was let go since */
    struct held_list receptions;
    struct held *whole; /* a free place has the next one in its value */
    size_t whole_count, whole_capacity;
    uint32_t whole_free; /* place + 1 */
    struct held *room;
    size_t room_capacity;
};

static struct held_rare *rare_of(struct held_array *held)
{
    if (held->rare == NULL) {
        held->rare = zeroed(sizeof *held->rare);
        held->rare->senders_count = 1;
    }
    return held->rare;
}

void held_deinit(struct held_array *held)
{
    if (held->rare != NULL) {
        slab_give(held->rare->receptions.items);
        slab_give(held->rare->whole);
        slab_give(held->rare->room);
    }
    slab_give(held->rare);
    slab_give(held->items);
    slab_give(held->aliases);
    *held = (struct held_array){0};
}

static struct held_packed *at(const struct held_array *held, size_t index)
{
    return held->items + held->start + index;
}

static bool is_whole(const struct held_packed *item)
{
    return (item->rest & COMPARATOR_MASK) == WHOLE;
}

static int64_t ms_of(const struct held_array *held, const struct held_packed *item)
{
    return held_ms(held, (size_t)(item - held->items) - held->start);
}

/* ---- senders ---- */

static const struct held_sender *sender_of(const struct held_array *held, const struct held_packed *item)
{
    unsigned number = item->rest >> SENDER_SHIFT & (SENDERS - 1);
    return number == 0 ? &held->sender : &held->rare->senders[number];
}

static bool is_sender(const struct held_sender *sender, const struct reading_key *key)
{
    return sender->device == key->device && sender->sensor == key->sensor;
}

/* A number that no reading has; SENDERS when all are taken. */
static unsigned free_sender(struct held_array *held, struct held_rare *rare)
{
    unsigned taken = 0;
    if (rare->senders_count < SENDERS)
        return rare->senders_count++;
    if (rare->senders_full)
        return SENDERS;
    for (size_t i = 0; i < held->count; i++)
        if (!is_whole(at(held, i)))
            taken |= 1u << (at(held, i)->rest >> SENDER_SHIFT & (SENDERS - 1));
    for (unsigned number = 0; number < SENDERS; number++)
        if (!(taken & 1u << number))
            return number;
    rare->senders_full = true;
    return SENDERS;
}

static unsigned sender_number(struct held_array *held, const struct reading_key *key)
{
    if (held->count == 0)
        held->sender = (struct held_sender){key->device, key->sensor};
    if (is_sender(&held->sender, key))
        return 0;
    struct held_rare *rare = rare_of(held);
    for (unsigned number = 1; number < rare->senders_count; number++)
        if (is_sender(&rare->senders[number], key))
            return number;
    unsigned number = free_sender(held, rare);
    if (number < SENDERS)
        *(number == 0 ? &held->sender : &rare->senders[number]) =
            (struct held_sender){key->device, key->sensor};
    return number;
}

/* ---- receptions ---- */

/* Forgets receptions that no reading names. */
static void collect_receptions(struct held_array *held, struct held_list *list)
{
    struct held_list kept = {0};
    uint32_t *moved = zeroed((list->count + 1) * sizeof *moved); /* number + 1 */
    for (size_t i = 0; i < held->count; i++) {
        struct held_packed *item = at(held, i);
        if (is_whole(item) || !(item->rest & BIT_LISTED))
            continue;
        uint32_t *number = &moved[item->rest >> DELAY_SHIFT];
        if (*number == 0) {
            kept.items = grow(kept.items, kept.count + 1, &kept.capacity, sizeof kept.items[0]);
            kept.items[kept.count++] = list->items[item->rest >> DELAY_SHIFT];
            *number = (uint32_t)kept.count;
        }
        item->rest = (item->rest & ((1u << DELAY_SHIFT) - 1)) | (*number - 1) << DELAY_SHIFT;
    }
    kept.collect_at = kept.count + held->count / 8 + LISTED_SPARE;
    slab_give(moved);
    slab_give(list->items);
    *list = kept;
}

/* Its number in the list; DELAYS when there is none left. */
static uint32_t reception_number(struct held_array *held, int64_t received_ms)
{
    struct held_list *list = &rare_of(held)->receptions;
    if (list->count > 0 && list->items[list->count - 1] == received_ms)
        return (uint32_t)list->count - 1;
    if (list->count >= list->collect_at)
        collect_receptions(held, list);
    if (list->count == DELAYS)
        return DELAYS;
    list->items = grow(list->items, list->count + 1, &list->capacity, sizeof list->items[0]);
    list->items[list->count] = received_ms;
    return (uint32_t)list->count++;
}

static int64_t received_of(const struct held_array *held, const struct held_packed *item)
{
    uint32_t number = item->rest >> DELAY_SHIFT;
    if (item->rest & BIT_LISTED)
        return held->rare->receptions.items[number];
    return (int64_t)((uint64_t)ms_of(held, item) + number + (uint64_t)DELAY_FROM_MS);
}

/* ---- times ---- */

/* A new origin, so that `ms` and all that is held lie within reach of it; false: they lie too far apart. */
static bool move_origin(struct held_array *held, int64_t ms)
{
    int64_t low = ms, high = ms;
    for (size_t i = 0; i < held->count; i++) {
        if (is_whole(at(held, i)))
            continue;
        int64_t item_ms = held_ms(held, i);
        low = item_ms < low ? item_ms : low;
        high = item_ms > high ? item_ms : high;
    }
    uint64_t span = (uint64_t)high - (uint64_t)low;
    if (span >= TIMES)
        return false;
    uint64_t origin = (uint64_t)low - (TIMES - 1 - span) / 2;
    for (size_t i = 0; i < held->count; i++) {
        struct held_packed *item = at(held, i);
        if (is_whole(item))
            continue;
        uint64_t offset = (uint64_t)held_ms(held, i) - origin;
        item->time = (uint32_t)offset;
        item->rest = (item->rest & ~(uint32_t)BIT_TIME) | (offset >> 32 ? BIT_TIME : 0);
    }
    held->origin_ms = (int64_t)origin;
    return true;
}

static bool reaches(struct held_array *held, int64_t ms)
{
    if (held->count == 0)
        held->origin_ms = (int64_t)((uint64_t)ms - TIMES / 2);
    return (uint64_t)ms - (uint64_t)held->origin_ms < TIMES || move_origin(held, ms);
}

/* ---- one reading ---- */

static bool pack_value(int64_t value, uint32_t *ret)
{
    const int64_t end = INT64_C(1) << 30;
    bool thousands = value < -end || value >= end;
    if (thousands && value % 1000 != 0)
        return false;
    value = thousands ? value / 1000 : value;
    *ret = (uint32_t)value << 1 | thousands;
    return value >= -end && value < end;
}

static int64_t value_of(const struct held_packed *item)
{
    int64_t value = (int32_t)item->value >> 1;
    return item->value & 1 ? value * 1000 : value;
}

static uint32_t pack_flags(unsigned flags)
{
    return (uint32_t)(flags & HELD_FLAGS) << HELD_FLAGS_SHIFT;
}

/* False: it must be kept whole. */
static bool pack(struct held_array *held, const struct held *reading, struct held_packed *ret)
{
    uint64_t delay = (uint64_t)reading->received_ms - (uint64_t)reading->key.ms - (uint64_t)DELAY_FROM_MS;
    if (reading->status > STATUS_FINAL || reading->flags & ~(unsigned)HELD_FLAGS ||
        !pack_value(reading->value, &ret->value) || !reaches(held, reading->key.ms))
        return false;
    unsigned sender = sender_number(held, &reading->key);
    uint32_t listed = delay < DELAYS ? 0 : BIT_LISTED;
    uint32_t number = listed ? reception_number(held, reading->received_ms) : (uint32_t)delay;
    uint64_t offset = (uint64_t)reading->key.ms - (uint64_t)held->origin_ms;
    ret->time = (uint32_t)offset;
    ret->rest = reading->comparator | (reading->status == STATUS_FINAL ? BIT_FINAL : 0u) |
                pack_flags(reading->flags) | sender << SENDER_SHIFT | (offset >> 32 ? BIT_TIME : 0u) |
                listed | number << DELAY_SHIFT;
    return sender < SENDERS && number < DELAYS;
}

static void keep_whole(struct held_array *held, const struct held *reading, struct held_packed *ret)
{
    struct held_rare *rare = rare_of(held);
    size_t place = rare->whole_count;
    if (rare->whole_free > 0) {
        place = rare->whole_free - 1;
        rare->whole_free = (uint32_t)rare->whole[place].value;
    } else {
        rare->whole = grow(rare->whole, place + 1, &rare->whole_capacity, sizeof rare->whole[0]);
        rare->whole_count++;
    }
    rare->whole[place] = *reading;
    if (reading->status <= STATUS_FINAL)
        rare->whole[place].issued_ms = INSTANT_NONE;
    *ret = (struct held_packed){.value = (uint32_t)place, .rest = WHOLE};
}

static void forget_whole(struct held_array *held, const struct held_packed *item)
{
    if (!is_whole(item))
        return;
    held->rare->whole[item->value].value = held->rare->whole_free;
    held->rare->whole_free = item->value + 1;
}

void held_get(const struct held_array *held, size_t index, struct held *ret)
{
    const struct held_packed *item = at(held, index);
    if (is_whole(item)) {
        *ret = held->rare->whole[item->value];
        return;
    }
    const struct held_sender *sender = sender_of(held, item);
    *ret = (struct held){
        .key = {ms_of(held, item), sender->device, sender->sensor},
        .value = value_of(item),
        .received_ms = received_of(held, item),
        .issued_ms = INSTANT_NONE,
        .alias = held->aliases == NULL ? 0 : held->aliases[held->start + index],
        .comparator = item->rest & COMPARATOR_MASK,
        .status = item->rest & BIT_FINAL ? STATUS_FINAL : STATUS_PRELIMINARY,
        .flags = item->rest >> HELD_FLAGS_SHIFT & HELD_FLAGS,
    };
}

void held_key(const struct held_array *held, size_t index, struct reading_key *ret)
{
    const struct held_packed *item = at(held, index);
    if (is_whole(item)) {
        *ret = held->rare->whole[item->value].key;
        return;
    }
    const struct held_sender *sender = sender_of(held, item);
    *ret = (struct reading_key){ms_of(held, item), sender->device, sender->sensor};
}

const struct held *held__whole(const struct held_array *held, const struct held_packed *item)
{
    return &held->rare->whole[item->value];
}

void held_set_flag(struct held_array *held, size_t index, enum held_flag flag, bool set)
{
    struct held_packed *item = at(held, index);
    ensure(flag == HELD_MEMBER || flag == HELD_NEW || (flag == HELD_AIMED && is_whole(item)));
    if (is_whole(item)) {
        uint16_t *flags = &held->rare->whole[item->value].flags;
        *flags = (uint16_t)(set ? *flags | flag : *flags & ~flag);
    } else {
        item->rest = set ? item->rest | pack_flags(flag) : item->rest & ~pack_flags(flag);
    }
}

/* ---- the array ---- */

/* Room for one more. What was let go at the front is used again once it is an eighth of the rest: eight moves
 * of 12 bytes a reading. Else it grows by a half while it is short, for most series are short and there are
 * many of them, then by an eighth. */
static void make_room(struct held_array *held)
{
    if (held->start + held->count < held->capacity)
        return;
    if (held->start > 0 && held->start >= held->count / 8) {
        memmove(held->items, at(held, 0), held->count * sizeof held->items[0]);
        if (held->aliases != NULL)
            memmove(held->aliases, held->aliases + held->start, held->count * sizeof held->aliases[0]);
        held->start = 0;
        return;
    }
    uint32_t more = held->capacity < 8 ? 4 : held->capacity < 64 ? held->capacity / 2 : held->capacity / 8;
    size_t fit = slab_fit((held->capacity + more) * sizeof held->items[0]) / sizeof held->items[0];
    ensure(fit <= UINT32_MAX);
    held->capacity = (uint32_t)fit;
    held->items = slab_resize(held->items, held->capacity * sizeof held->items[0]);
    if (held->aliases != NULL)
        held->aliases = slab_resize(held->aliases, held->capacity * sizeof held->aliases[0]);
}

static void put_alias(struct held_array *held, size_t place, uint64_t alias)
{
    if (held->aliases == NULL) {
        if (alias == 0)
            return;
        held->aliases = zeroed(held->capacity * sizeof held->aliases[0]);
    }
    uint64_t *to = held->aliases + held->start + place;
    memmove(to + 1, to, (held->count - place) * sizeof *to);
    *to = alias;
}

void held_put(struct held_array *held, size_t place, const struct held *reading)
{
    struct held_packed item;
    ensure(place <= held->count && reading->comparator <= COMPARATOR_GREATER);
    if (!pack(held, reading, &item))
        keep_whole(held, reading, &item);
    make_room(held);
    put_alias(held, place, is_whole(&item) ? 0 : reading->alias);
    struct held_packed *to = at(held, place);
    memmove(to + 1, to, (held->count - place) * sizeof *to);
    *to = item;
    held->count++;
}

void held_remove(struct held_array *held, size_t index)
{
    struct held_packed *from = at(held, index);
    ensure(index < held->count);
    forget_whole(held, from);
    size_t behind = --held->count - index;
    memmove(from, from + 1, behind * sizeof *from);
    if (held->aliases != NULL)
        memmove(held->aliases + held->start + index, held->aliases + held->start + index + 1,
                behind * sizeof held->aliases[0]);
    if (held->rare != NULL)
        held->rare->senders_full = false;
}

void held_drop(struct held_array *held, size_t count)
{
    ensure(count <= held->count);
    for (size_t i = 0; held->rare != NULL && i < count; i++)
        forget_whole(held, at(held, i));
    held->start += (uint32_t)count;
    held->count -= (uint32_t)count;
    if (held->rare != NULL)
        held->rare->senders_full = false;
}

void held_need_room(struct held_array *held, size_t count)
{
    struct held_rare *rare = rare_of(held);
    rare->room = grow(rare->room, count, &rare->room_capacity, sizeof rare->room[0]);
}

struct held *held_room(const struct held_array *held, size_t count)
{
    ensure(held->rare != NULL && count <= held->rare->room_capacity);
    return held->rare->room;
}
