/* pull: the stack of keys is searched only when a key's bit was seen before; the bound on keys bounds what a
 * hostile sender can make of it. */
#include "daemon/ingest/pull/pull.h"

#include <string.h>

char *pull_scratch_take(struct pull_scratch *scratch, size_t size)
{
    if (scratch->capacity - scratch->size < size)
        return NULL;
    char *taken = scratch->data + scratch->size;
    scratch->size += size;
    return taken;
}

size_t pull_utf8_length(const uint8_t *p, size_t left)
{
    if (p[0] < 0xc2)
        return 0;
    if (p[0] < 0xe0)
        return left >= 2 && (p[1] & 0xc0) == 0x80 ? 2 : 0;
    if (p[0] < 0xf0) {
        if (left < 3 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80)
            return 0;
        if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f))
            return 0;
        return 3;
    }
    if (p[0] > 0xf4 || left < 4 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80 || (p[3] & 0xc0) != 0x80)
        return 0;
    return (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f) ? 0 : 4;
}

static uint32_t hash_key(struct slice key)
{
    uint64_t hash = key.size * 0x9e3779b97f4a7c15;
    size_t at = 0;
    for (; at + 8 <= key.size; at += 8) {
        uint64_t word;
        memcpy(&word, key.data + at, sizeof word);
        hash = (hash ^ word) * 0xff51afd7ed558ccd;
        hash ^= hash >> 32;
    }
    uint64_t rest = 0;
    for (; at < key.size; at++)
        rest = rest << 8 | (uint8_t)key.data[at];
    hash = (hash ^ rest) * 0xff51afd7ed558ccd;
    return (uint32_t)(hash >> 32);
}

struct pull_keys_mark pull_keys_open(const struct pull_keys *keys)
{
    return (struct pull_keys_mark){.base = keys != NULL ? keys->count : 0};
}

void pull_keys_close(struct pull_keys *keys, const struct pull_keys_mark *mark)
{
    if (keys != NULL)
        keys->count = mark->base;
}

const char *pull_keys_add(struct pull_keys *keys, struct pull_keys_mark *mark, struct slice key)
{
    uint32_t hash = hash_key(key);
    uint64_t bit = UINT64_C(1) << (hash & 63);
    if (mark->seen & bit) {
        for (uint32_t i = mark->base; i < keys->count; i++)
            if (keys->known[i].hash == hash && keys->known[i].size == key.size &&
                memcmp(keys->known[i].data, key.data, key.size) == 0)
                return "a key that stands twice in one object";
    }
    if (keys->count == PULL_KEYS_MAX)
        return "too many keys";
    mark->seen |= bit;
    keys->known[keys->count].data = key.data;
    keys->known[keys->count].size = (uint32_t)key.size;
    keys->known[keys->count].hash = hash;
    keys->count++;
    return NULL;
}

unsigned pull_find_name(const struct pull_names *names, struct slice key)
{
    unsigned i = 0;
    if (key.size == 0) /* no name is empty */
        return names->count;
    while (i < names->count && (names->list[i].size != key.size || *names->list[i].text != *key.data ||
                                memcmp(names->list[i].text, key.data, key.size) != 0))
        i++;
    return i;
}
