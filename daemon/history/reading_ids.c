/* reading_ids: a table by the id that the engine will make. Ids stand in events as "id":"<36 characters>". */
#include "daemon/history/reading_ids.h"

#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 1024 };

void reading_ids_deinit(struct reading_ids *ids)
{
    free(ids->pairs);
    *ids = (struct reading_ids){.pairs = NULL};
}

/* The pair of an id, or the free one where it would stand. */
static struct reading_id_pair *find(const struct reading_ids *ids, const uint8_t made[UUID_BYTES])
{
    static const uint8_t none[UUID_BYTES];
    uint64_t probe;
    memcpy(&probe, made, sizeof(probe));
    for (;; probe++) {
        struct reading_id_pair *pair = &ids->pairs[probe & (ids->capacity - 1)];
        if (memcmp(pair->made, made, UUID_BYTES) == 0 || memcmp(pair->made, none, UUID_BYTES) == 0)
            return pair;
    }
}

static void make_room(struct reading_ids *ids)
{
    struct reading_ids old = *ids;
    if (ids->count * 2 < ids->capacity)
        return;
    ids->capacity = old.capacity == 0 ? CAPACITY_MIN : old.capacity * 2;
    ids->pairs = calloc(ids->capacity, sizeof(*ids->pairs));
    ensure(ids->pairs != NULL);
    for (size_t i = 0; i < old.capacity; i++)
        *find(ids, old.pairs[i].made) = old.pairs[i];
    free(old.pairs);
}

void reading_ids_add(struct reading_ids *ids, const struct reading *reading, const uint8_t *tail)
{
    struct reading made = *reading;
    if (reading->flags & FLAG_DEVICE_EVENT)
        return; /* events do not name it */
    make_room(ids);
    reading_identify(&made, tail, &ids->key);
    struct reading_id_pair *pair = find(ids, made.reading_id);
    if (memcmp(pair->made, made.reading_id, UUID_BYTES) == 0)
        return;
    memcpy(pair->made, made.reading_id, UUID_BYTES);
    memcpy(pair->stored, reading->reading_id, UUID_BYTES);
    ids->count++;
}

void reading_ids_restore(const struct reading_ids *ids, char *json, size_t size)
{
    static const char mark[] = "\"id\":\"";
    enum { MARK = sizeof(mark) - 1 };
    for (char *at = json;
         ids->count > 0 && (at = memmem(at, size - (size_t)(at - json), mark, MARK)) != NULL;) {
        uint8_t id[UUID_BYTES];
        char text[UUID_TEXT + 1];
        at += MARK;
        if (size - (size_t)(at - json) < UUID_TEXT || uuid_parse(at, UUID_TEXT, id) != OK)
            continue;
        const struct reading_id_pair *pair = find(ids, id);
        if (memcmp(pair->made, id, UUID_BYTES) != 0)
            continue;
        uuid_format(pair->stored, text);
        memcpy(at, text, UUID_TEXT);
    }
}
