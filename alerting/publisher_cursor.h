/* publisher_cursor: how far each shard's events are known to be in Kafka, in state_dir/kafka.cursor.
 *
 *   vigie-kafka-cursor 1
 *   partitions 12
 *   shard 0 4294967552
 *   shard 1 4294968144
 *   check 0123456789abcdef          XXH3-64 of all lines before
 *
 * Owner:   the publisher. Threads: the publisher's.
 * Fails:   a missing file is a first start; a damaged one is told and taken as none: events are repeated
 * then, byte-equal, which consumers drop by ce_id; a guessed cursor could lose one. */
#ifndef VIGIE_ALERTING_PUBLISHER_CURSOR_H
#define VIGIE_ALERTING_PUBLISHER_CURSOR_H

#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/base/limits.h"

struct publisher_cursor {
    uint64_t position[SHARDS_MAX]; /* behind the last event of a contiguous row of delivered ones */
    uint32_t shards;
    uint32_t partitions; /* of the topic; 0: not seen yet. PITFALLS K26: they never change */
};

void publisher_cursor_load(struct publisher_cursor *cursor, const char *state_dir, uint32_t shards);
MUST_CHECK enum err publisher_cursor_save(const struct publisher_cursor *cursor, const char *state_dir);

#endif
