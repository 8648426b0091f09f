/* ticket: the pool and the growth of its tickets.
 * Tickets are given back to the front of the free list: the few that a loop really needs stay warm in the
 * cache, and the buffers that a large message grew are found again by the next one. */
#include "daemon/model/ticket.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/slab.h"

#include "daemon/base/ensure.h"

enum {
    WARM_READINGS = 16, /* a common message; more grows, once for each ticket */
    WARM_TAIL_BYTES =
        16 * 96 + TAIL_BYTES_MAX, /* a tail is some 80 bytes; one full tail always fits behind */
    REJECTED_KEPT_BYTES = 4096,   /* a ticket gives back what is more: few messages are rejected */
};

struct ticket_pool {
    struct ticket *free;
    uint32_t count, in_flight;
    struct ticket tickets[];
};

static bool ticket_init(struct ticket *ticket)
{
    ticket->heads = slab_take(WARM_READINGS * sizeof(*ticket->heads));
    ticket->tails = slab_take(WARM_TAIL_BYTES);
    ticket->capacity = WARM_READINGS;
    ticket->tails_capacity = WARM_TAIL_BYTES;
    return ticket->heads != NULL && ticket->tails != NULL;
}

struct ticket_pool *ticket_pool_new(uint32_t count)
{
    ensure(count > 0 && count <= TICKETS_PER_LOOP);
    struct ticket_pool *pool = calloc(1, sizeof(*pool) + count * sizeof(pool->tickets[0]));
    if (pool == NULL)
        return NULL;
    pool->count = count;
    for (uint32_t i = 0; i < count; i++) {
        if (!ticket_init(&pool->tickets[i]))
            goto fail_free;
        pool->tickets[i].next_free = pool->free;
        pool->free = &pool->tickets[i];
    }
    return pool;

fail_free:
    ticket_pool_free(pool);
    return NULL;
}

void ticket_pool_free(struct ticket_pool *pool)
{
    if (pool == NULL)
        return;
    for (uint32_t i = 0; i < pool->count; i++) {
        slab_give(pool->tickets[i].heads);
        slab_give(pool->tickets[i].tails);
        slab_give(pool->tickets[i].rejected_records);
    }
    free(pool);
}

struct ticket *ticket_get(struct ticket_pool *pool)
{
    struct ticket *ticket = pool->free;
    if (ticket == NULL)
        return NULL;
    pool->free = ticket->next_free;
    pool->in_flight++;
    ticket->next_free = NULL;
    ticket->exchange = NULL;
    ticket->count = ticket->tails_size = ticket->parts_left = 0;
    ticket->started_ns = 0;
    for (uint32_t i = 0; i < SHARDS_MAX; i++)
        ticket->parts[i] = (struct part){
            .job = {.kind = JOB_READINGS, .result = OK},
            .ticket = ticket,
            .first = READING_CHAIN_END,
            .last = READING_CHAIN_END,
        };
    ticket->rejected = (struct part){.job = {.kind = JOB_REJECTED, .result = OK}, .ticket = ticket};
    ticket_reject_nothing(ticket);
    return ticket;
}

void ticket_put(struct ticket_pool *pool, struct ticket *ticket)
{
    if (ticket == NULL)
        return;
    ensure(ticket >= pool->tickets && ticket < pool->tickets + pool->count);
    ensure(ticket->parts_left == 0 && pool->in_flight > 0 && ticket->next_free == NULL);
    pool->in_flight--;
    if (ticket->rejected_capacity > REJECTED_KEPT_BYTES) {
        slab_give(ticket->rejected_records);
        ticket->rejected_records = NULL;
        ticket->rejected_capacity = 0;
    }
    ticket->next_free = pool->free;
    pool->free = ticket;
}

/* Room for one more head and one more full tail. */
static void grow(struct ticket *ticket)
{
    if (ticket->count == ticket->capacity) {
        uint32_t capacity =
            ticket->capacity * 2 < MESSAGE_READINGS_MAX ? ticket->capacity * 2 : MESSAGE_READINGS_MAX;
        ticket->heads = slab_resize(ticket->heads, capacity * sizeof(*ticket->heads));
        ensure(ticket->heads != NULL);
        ticket->capacity = capacity;
    }
    if (ticket->tails_capacity - ticket->tails_size < TAIL_BYTES_MAX) {
        ticket->tails_capacity *= 2;
        ticket->tails = slab_resize(ticket->tails, ticket->tails_capacity);
        ensure(ticket->tails != NULL);
    }
}

struct reading *ticket_add_reading(struct ticket *ticket)
{
    if (ticket->count == MESSAGE_READINGS_MAX)
        return NULL;
    grow(ticket);
    struct reading *reading = &ticket->heads[ticket->count++];
    memset(reading, 0, sizeof(*reading));
    reading->issued_ms = INSTANT_NONE;
    reading->next = READING_CHAIN_END;
    reading->tail_offset = ticket->tails_size;
    return reading;
}

bool ticket_tail_put(struct ticket *ticket, struct reading *reading, enum tail_tag tag, const void *bytes,
                     size_t size)
{
    /* Only the last reading can grow its tail: the next one's begins right behind it. */
    ensure(ticket->count > 0 && reading == &ticket->heads[ticket->count - 1]);
    ensure(reading->tail_offset + reading->tail_size == ticket->tails_size);
    uint32_t room = ticket->tails_capacity - reading->tail_offset;
    ensure(room >= TAIL_BYTES_MAX);
    if (!tail_put(ticket->tails + reading->tail_offset, room, &reading->tail_size, tag, bytes, size))
        return false;
    ticket->tails_size = reading->tail_offset + reading->tail_size;
    return true;
}

void ticket_chain(struct ticket *ticket, uint32_t index, uint32_t shard)
{
    ensure(index < ticket->count && shard < SHARDS_MAX);
    struct part *part = &ticket->parts[shard];
    ticket->heads[index].next = READING_CHAIN_END;
    if (part->count == 0)
        part->first = index;
    else
        ticket->heads[part->last].next = index;
    part->last = index;
    part->count++;
}

static void reserve_rejected(struct ticket *ticket, uint32_t size)
{
    uint32_t capacity = ticket->rejected_capacity > 0 ? ticket->rejected_capacity : REJECTED_KEPT_BYTES;
    while (capacity < size)
        capacity *= 2;
    if (capacity == ticket->rejected_capacity)
        return;
    ticket->rejected_records = slab_resize(ticket->rejected_records, capacity);
    ticket->rejected_capacity = capacity;
}

bool ticket_reject(struct ticket *ticket, const struct rejection *rejection)
{
    size_t code = strlen(rejection->code), text = rejection->text.size, original = rejection->original.size;
    ensure(code > 0 && code <= REJECTED_CODE_BYTES_MAX);
    ensure(ticket->rejected.count == 0 || ticket->rejected_source == rejection->source_id);
    if (ticket->rejected.count == MESSAGE_READINGS_MAX ||
        original > MESSAGE_BYTES_MAX - ticket->rejected_originals)
        return false;
    struct rejected_view view = {
        .head = {.source_id = rejection->source_id,
                 .original_size = (uint32_t)original,
                 .code_size = (uint16_t)code,
                 .text_size = (uint16_t)(text < REJECTED_TEXT_BYTES_MAX ? text : REJECTED_TEXT_BYTES_MAX)},
        .code = {rejection->code, code},
        .text = rejection->text,
        .original = rejection->original};
    uint32_t size = (uint32_t)rejected_size(&view.head);
    reserve_rejected(ticket, ticket->rejected_size + size);
    rejected_write(&view, ticket->rejected_records + ticket->rejected_size);
    ticket->rejected_size += size;
    ticket->rejected_originals += (uint32_t)original;
    ticket->rejected_source = rejection->source_id;
    ticket->rejected.count++;
    return true;
}

void ticket_reject_nothing(struct ticket *ticket)
{
    ticket->rejected.count = 0;
    ticket->rejected_source = 0;
    ticket->rejected_size = ticket->rejected_originals = 0;
}
