/* ticket: one message on its way through the shards, DESIGN.md section 2.
 * A loop decodes a message into the ticket's heads and tails, chains the admitted readings of each shard into
 * one part, pushes the parts, and answers when every part has come back durable.
 * Owner:   the loop's pool. Between ring_push() and its return a part's readings belong to the shard.
 * Threads: the loop; each shard on the readings of its own part.
 * Holds:   count <= MESSAGE_READINGS_MAX; parts_left counts the parts that have not come back. */
#ifndef VIGIE_MODEL_TICKET_H
#define VIGIE_MODEL_TICKET_H

#include "daemon/base/limits.h"
#include "daemon/model/rejected.h"
#include "daemon/model/verdict.h"

enum job_kind {
    JOB_READINGS, /* struct part */
    JOB_REJECTED, /* struct part too: ticket->rejected */
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
    struct part rejected;      /* what ticket_reject() put: count of it */
    int64_t rejected_source;   /* which chooses the shard that keeps it */
    uint8_t *rejected_records; /* struct rejected and its texts, one after the other */
    uint32_t rejected_size, rejected_capacity;
    uint32_t rejected_originals; /* bytes */
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

/* Keeps what its sender cannot be told of (rejected.h): durable with the readings of the same message, or
 * with nothing else. Copies; `code` is that of a verdict or of an error of the network side, of the text the
 * first REJECTED_TEXT_BYTES_MAX bytes are kept. All records of a ticket are of one source. False:
 * MESSAGE_READINGS_MAX records or MESSAGE_BYTES_MAX of originals would be passed, and nothing was put: a
 * message that is whole in those bounds and names each of its bytes once never meets them. */
struct rejection {
    int64_t source_id;
    const char *code;
    struct slice text, original;
};
MUST_CHECK bool ticket_reject(struct ticket *ticket, const struct rejection *rejection);
/* Forgets them: the sender is told after all. */
void ticket_reject_nothing(struct ticket *ticket);

/* The shard that keeps the rejected records of a source. */
static inline uint32_t ticket_rejected_shard(const struct ticket *ticket, uint32_t shards)
{
    return (uint32_t)(hash_mix64((uint64_t)ticket->rejected_source) % shards);
}

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
