/* reading_ids: an engine makes the id of a reading from its identity and a secret of the node when an event
 * names one (engine_settings.reading_key). Whoever decides again has no need of the secret: the engine gets
 * another key, and the ids that it makes are put back to those that are stored. Owner: the struct lives in
 * its holder. Threads: one at a time. */
#ifndef VIGIE_DAEMON_HISTORY_READING_IDS_H
#define VIGIE_DAEMON_HISTORY_READING_IDS_H

#include "daemon/base/hash.h"
#include "daemon/model/reading.h"

struct reading_id_pair {
    uint8_t made[UUID_BYTES], stored[UUID_BYTES];
};

struct reading_ids {
    struct sip_key key;            /* of the engine */
    struct reading_id_pair *pairs; /* open addressing; a pair of zeros is free */
    size_t count, capacity;
};

void reading_ids_deinit(struct reading_ids *ids);
/* A stored reading is about to be given to the engine. */
void reading_ids_add(struct reading_ids *ids, const struct reading *reading, const uint8_t *tail);
/* Puts back every id of an event. */
void reading_ids_restore(const struct reading_ids *ids, char *json, size_t size);

#endif
