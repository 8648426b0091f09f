/* publisher_cursor: how far each shard's events are known to be in Kafka, in state_dir/kafka.cursor.
 *
 *   vigie-kafka-cursor 1
 *   partitions 12
 *   shard 0 4294967552                         all before it is delivered, but for what follows
 *   shard 1 4294968144
 *   behind 1 4294967900 1796083200000 TOPIC    but that topic's events from this position on; decided at
 *   parked 0 4294967300                        but this event, which the brokers refuse for its size
 *   check 0123456789abcdef          XXH3-64 of all lines before
 *
 * Owner:   the publisher. Threads: the publisher's.
 * Fails:   a missing file is a first start; a damaged one is told and taken as none: events are repeated
 * then, byte-equal, which consumers drop by ce_id; a guessed cursor could lose one. */
#ifndef VIGIE_ALERTING_PUBLISHER_CURSOR_H
#define VIGIE_ALERTING_PUBLISHER_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "alerting/kafka_topic.h"
#include "daemon/base/err.h"
#include "daemon/base/limits.h"

enum {
    BEHIND_MAX = 256, /* missing topics times shards: organisations of one node */
    PARKED_MAX = 256, /* so many are no poison: the topic takes no events */
};

struct cursor_behind {
    uint32_t shard;
    uint64_t position;
    int64_t decided_at_ms; /* of the first event that waits */
    char topic[KAFKA_TOPIC_MAX + 2];
};

struct cursor_parked {
    uint32_t shard;
    uint64_t position;
};

struct publisher_cursor {
    uint64_t position[SHARDS_MAX]; /* behind the last event of a contiguous row of delivered ones */
    uint32_t shards;
    uint32_t partitions; /* of the topic; 0: not seen yet. PITFALLS K26: they never change */
    uint32_t behind_count, parked_count;
    struct cursor_behind behind[BEHIND_MAX];
    struct cursor_parked parked[PARKED_MAX];
};

void publisher_cursor_load(struct publisher_cursor *cursor, const char *state_dir, uint32_t shards);
MUST_CHECK enum err publisher_cursor_save(const struct publisher_cursor *cursor, const char *state_dir);

bool publisher_cursor_has_parked(const struct publisher_cursor *cursor, uint32_t shard, uint64_t position);

#endif
