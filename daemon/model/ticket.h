/* ticket: one message on its way through the shards, DESIGN.md section 2.
 * A loop decodes a message into the ticket's heads and tails, chains the admitted readings of each shard into
 * one part, pushes the parts, and answers when every part has come back durable.
 * Owner:   the loop's pool. Between ring_push() and its return a part's readings belong to the shard.
 * Threads: the loop; each shard on the readings of its own part.
 * Holds:   count <= MESSAGE_READINGS_MAX; parts_left counts the parts that have not come back. */
#ifndef VIGIE_MODEL_TICKET_H
#define VIGIE_MODEL_TICKET_H

#include "daemon/base/limits.h"
#include "daemon/model/reading.h"
#include "daemon/model/verdict.h"

enum job_kind {
    JOB_READINGS, /* struct part */
    JOB_COMMAND,  /* struct command */
};

/* What travels in the rings; first member of part and command. */
struct job {
    enum job_kind kind;
    enum err result; /* by the shard: OK = durable; else nothing of it was kept and the sender may retry */
};

struct part {
    struct job job;
    struct ticket *ticket;
    uint32_t first, last; /* chain through reading.next; READING_CHAIN_END when empty */
    uint32_t count;
};

struct ticket {
    struct ticket *next_free;
    void *exchange; /* the request that waits for the answer; the loop's */
    struct reading *heads;
    uint8_t *tails;
    uint32_t count, capacity;
    uint32_t tails_size, tails_capacity;
    uint32_t parts_left;
    int64_t started_ns; /* when the message was complete, for vigie_ack_seconds */
    struct part parts[SHARDS_MAX];
};

/* A pool of `count` tickets, warm for small messages; gives. Grown buffers stay with their ticket. */
struct ticket_pool;
struct ticket_pool *ticket_pool_new(uint32_t count);
void ticket_pool_free(struct ticket_pool *pool);
struct ticket *ticket_get(struct ticket_pool *pool); /* empty and reset; NULL when all are in flight */
void ticket_put(struct ticket_pool *pool, struct ticket *ticket);

/* A zeroed head and its empty tail; NULL at MESSAGE_READINGS_MAX. Pointers are valid until the next call. */
struct reading *ticket_add_reading(struct ticket *ticket);
bool ticket_tail_put(struct ticket *ticket, struct reading *reading, enum tail_tag tag, const void *bytes,
                     size_t size);

/* Puts reading `index` at the end of the part of `shard`. */
void ticket_chain(struct ticket *ticket, uint32_t index, uint32_t shard);

static inline const uint8_t *ticket_tail(const struct ticket *ticket, const struct reading *reading)
{
    return ticket->tails + reading->tail_offset;
}

/* The shard of a patient, for ever: changing it is `vigiectl journal reshard`. */
static inline uint32_t ticket_shard(int64_t patient_id, uint32_t shards)
{
    return (uint32_t)(hash_mix64((uint64_t)patient_id) % shards);
}

#endif
