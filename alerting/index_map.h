/* index_map: from 64-bit keys to borrowed pointers, open addressing with linear probing.
 * Owner:   the struct lives in its holder; index_map_deinit() frees what it grew to. Threads: one at a time.
 * Holds:   at most half full; a value is never NULL; order of iteration is never used for anything. */
#ifndef VIGIE_ALERTING_INDEX_MAP_H
#define VIGIE_ALERTING_INDEX_MAP_H

#include <stddef.h>
#include <stdint.h>

struct index_map_slot {
    uint64_t key;
    void *value;
};

struct index_map {
    struct index_map_slot *slots;
    size_t count, capacity; /* capacity: a power of two */
};

void index_map_deinit(struct index_map *map);
void *index_map_get(const struct index_map *map, uint64_t key); /* NULL without */
/* Where looking for the key begins, to fetch it ahead; NULL in an empty map. */
const void *index_map_place(const struct index_map *map, uint64_t key);
void index_map_put(struct index_map *map, uint64_t key, void *value);
void index_map_remove(struct index_map *map, uint64_t key);

#endif
