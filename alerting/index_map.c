/* index_map: removal moves later entries of the probe run back, so there are no tombstones. */
#include "alerting/index_map.h"

#include <stdlib.h>

#include "alerting/grow.h"
#include "daemon/base/hash.h"

void index_map_deinit(struct index_map *map)
{
    slab_give(map->slots);
    *map = (struct index_map){0};
}

/* The slot of the key, or the empty one where it would go. */
static size_t slot_of(const struct index_map *map, uint64_t key)
{
    size_t index = hash_mix64(key) & (map->capacity - 1);
    while (map->slots[index].value != NULL && map->slots[index].key != key)
        index = (index + 1) & (map->capacity - 1);
    return index;
}

void *index_map_get(const struct index_map *map, uint64_t key)
{
    return map->capacity == 0 ? NULL : map->slots[slot_of(map, key)].value;
}

const void *index_map_place(const struct index_map *map, uint64_t key)
{
    return map->capacity == 0 ? NULL : &map->slots[hash_mix64(key) & (map->capacity - 1)];
}

static void widen(struct index_map *map)
{
    struct index_map old = *map;
    map->capacity = old.capacity == 0 ? 16 : old.capacity * 2;
    map->slots = zeroed(map->capacity * sizeof map->slots[0]);
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i].value != NULL)
            map->slots[slot_of(map, old.slots[i].key)] = old.slots[i];
    slab_give(old.slots);
}

void index_map_put(struct index_map *map, uint64_t key, void *value)
{
    ensure(value != NULL);
    if ((map->count + 1) * 2 > map->capacity)
        widen(map);
    struct index_map_slot *slot = &map->slots[slot_of(map, key)];
    map->count += slot->value == NULL;
    *slot = (struct index_map_slot){key, value};
}

void index_map_remove(struct index_map *map, uint64_t key)
{
    if (map->capacity == 0)
        return;
    size_t mask = map->capacity - 1, hole = slot_of(map, key);
    if (map->slots[hole].value == NULL)
        return;
    map->count--;
    for (size_t next = (hole + 1) & mask; map->slots[next].value != NULL; next = (next + 1) & mask) {
        size_t home = hash_mix64(map->slots[next].key) & mask;
        if (((next - home) & mask) < ((next - hole) & mask))
            continue; /* it lies between its home and here: the hole is not on its way */
        map->slots[hole] = map->slots[next];
        hole = next;
    }
    map->slots[hole] = (struct index_map_slot){0};
}
