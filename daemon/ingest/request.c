/* request: the story of one exchange, whatever its protocol: its body grows as bytes come; request_dispatch()
 * takes the whole message in, in the order of exchange.h, or parks it until a ticket is free; then the door
 * decodes, the parts travel, and the last one back brings the answer. */
#include "daemon/ingest/request.h"

#include <string.h>

#include "daemon/base/slab.h"
#include "daemon/ingest/doors.h"
#include "daemon/ingest/loop.h"

static const struct exchange_fault refusals[] = {
    [REFUSE_UNAUTHENTICATED] = {401, "unauthenticated",
                                "a known bearer token or client certificate is needed"},
    [REFUSE_TOO_LARGE] = {413, "too-large", "the body is larger than 1 MiB"},
    [REFUSE_SLOW] = {408, "bad-request", "the request did not come to its end in time"},
    [REFUSE_NOT_ACCEPTING] = {503, "overloaded", "readings are not accepted at the moment, try again"},
    [REFUSE_BUSY] = {503, "overloaded", "too many messages are under way, try again"},
    [REFUSE_NOT_DURABLE] = {503, "overloaded", "not everything could be kept, send it again"},
    [REFUSE_QUOTA] = {429, "too-many-requests", "this source sends more than its quota, see Retry-After"},
};

const struct exchange_fault *request_fault(enum request_refusal refusal)
{
    return &refusals[refusal];
}

enum { RETRY_NOT_ACCEPTING_S = 5, RETRY_BUSY_S = 1 };

/* The pool. A large body is linked through its first bytes while it is free. */

static char *large_body_get(struct request_pool *pool)
{
    char *body = pool->large_free;
    if (body != NULL) {
        memcpy(&pool->large_free, body, sizeof(char *));
        return body;
    }
    if (pool->large_made == LARGE_BODIES_MAX)
        return NULL;
    pool->large_made++;
    return slab_take(BODY_LARGE + 1);
}

static void large_body_put(struct request_pool *pool, char *body)
{
    memcpy(body, &pool->large_free, sizeof(char *));
    pool->large_free = body;
}

static void request_free(struct request *request)
{
    buffer_deinit(&request->exchange.out);
    buffer_deinit(&request->exchange.state);
    http_reader_deinit(&request->reader);
    mqtt_reader_deinit(&request->mqtt.reader);
    slab_give(request->small_body);
    slab_give(request);
}

void request_pool_deinit(struct request_pool *pool)
{
    for (struct request *next, *request = pool->free; request != NULL; request = next) {
        next = request->next;
        request_free(request);
    }
    while (pool->large_free != NULL)
        slab_give(large_body_get(pool));
    *pool = (struct request_pool){0};
}

/* Ready for another exchange; keeps its memory. */
static void request_reset(struct request *request)
{
    struct exchange *exchange = &request->exchange;
    buffer_clear(&exchange->out);
    buffer_clear(&exchange->state);
    *exchange = (struct exchange){.body = exchange->body,
                                  .out = exchange->out,
                                  .state = exchange->state,
                                  .out_type = "application/json",
                                  .last_modified_ms = INSTANT_NONE};
    http_reader_reset(&request->reader);
    mqtt_reader_reset(&request->mqtt.reader, 0);
    request->connection = NULL;
    request->state = REQUEST_READING;
    request->keep_alive = request->head_only = request->wants_continue = request->part_failed = false;
    request->phase = 0;
    request->refusal = (struct exchange_fault){0};
    request->next = request->next_parked = NULL;
}

struct request *request_new(struct loop *loop, struct connection *connection)
{
    struct request_pool *pool = &loop->requests;
    struct request *request = pool->free;
    if (request != NULL) {
        pool->free = request->next;
        pool->kept--;
    } else {
        request = slab_take_zeroed(sizeof(*request));
        request->small_body = slab_take(BODY_FIRST + 1);
        request->small_capacity = BODY_FIRST;
        request->exchange.body = request->small_body;
    }
    request_reset(request);
    request->connection = connection;
    request->exchange.connection = connection;
    request->protocol = connection->listener->protocol;
    return request;
}

/* A large body goes back at once: there are few. */
static void drop_large_body(struct request_pool *pool, struct request *request)
{
    if (request->exchange.body != request->small_body)
        large_body_put(pool, request->exchange.body);
    request->exchange.body = request->small_body;
}

static void unpark(struct request_pool *pool, struct request *request)
{
    struct request *previous = NULL, *at = pool->parked_first;
    while (at != request) {
        previous = at;
        at = at->next_parked;
        ensure(at != NULL);
    }
    if (previous != NULL)
        previous->next_parked = request->next_parked;
    else
        pool->parked_first = request->next_parked;
    if (pool->parked_last == request)
        pool->parked_last = previous;
    request->next_parked = NULL;
}

void request_release(struct loop *loop, struct request *request)
{
    struct request_pool *pool = &loop->requests;
    request->connection = NULL;
    request->exchange.connection = NULL;
    if (request->state == REQUEST_SUBMITTED)
        return;
    if (request->state == REQUEST_PARKED)
        unpark(pool, request);
    ensure(request->exchange.ticket == NULL);
    drop_large_body(pool, request);
    if (pool->kept == REQUESTS_KEPT_MAX) {
        request_free(request);
        return;
    }
    request->next = pool->free;
    pool->free = request;
    pool->kept++;
}

/* Answers. */

void request_ready(struct request *request)
{
    ensure(request->exchange.status != 0 && request->exchange.ticket == NULL);
    request->state = REQUEST_READY;
    if (request->connection != NULL)
        connection_mark(request->connection);
}

void request_refuse(struct loop *loop, struct request *request, const struct exchange_fault *fault)
{
    struct exchange *exchange = &request->exchange;
    (void)loop;
    buffer_clear(&exchange->out);
    request->protocol->refuse(exchange, fault);
    if (fault->status == 503)
        exchange->retry_after_s =
            fault->text == refusals[REFUSE_NOT_ACCEPTING].text ? RETRY_NOT_ACCEPTING_S : RETRY_BUSY_S;
    request_ready(request);
}

void request_time_out(struct loop *loop, struct request *request)
{
    request->keep_alive = false;
    request_refuse(loop, request, &refusals[REFUSE_SLOW]);
}

/* The body. */

/* A body grows as its bytes come, so that one who sends them slowly holds no more than they are; what it grew
 * to stays with the request. */
static void small_body_grow(struct request *request, size_t size)
{
    size_t capacity = 2 * request->small_capacity > size ? 2 * request->small_capacity : size;
    request->small_capacity = capacity < BODY_SMALL ? capacity : BODY_SMALL;
    request->small_body = slab_resize(request->small_body, request->small_capacity + 1);
    request->exchange.body = request->small_body;
}

bool request_body_reserve(struct loop *loop, struct request *request, size_t size)
{
    if (request->exchange.body != request->small_body || size <= request->small_capacity)
        return true;
    if (size <= BODY_SMALL) {
        small_body_grow(request, size);
        return true;
    }
    char *large = large_body_get(&loop->requests);
    if (large == NULL)
        return false;
    memcpy(large, request->small_body, request->exchange.body_size);
    request->exchange.body = large;
    return true;
}

bool request_body_append(struct loop *loop, struct request *request, const char *data, size_t size)
{
    struct exchange *exchange = &request->exchange;
    if (!request_body_reserve(loop, request, exchange->body_size + size))
        return false;
    memcpy(exchange->body + exchange->body_size, data, size);
    exchange->body_size += size;
    return true;
}

/* The door and the shards. */

static void put_ticket(struct loop *loop, struct request *request)
{
    if (request->exchange.ticket != NULL)
        ticket_put(loop->tickets, request->exchange.ticket);
    request->exchange.ticket = NULL;
}

static void count_readings(struct loop *loop, const struct ticket *ticket, bool durable)
{
    uint64_t counts[4] = {0};
    for (uint32_t i = 0; i < ticket->count; i++) {
        unsigned verdict = ticket->heads[i].verdict;
        counts[verdict < VERDICT_MALFORMED ? verdict : 3]++;
    }
    static_assert(VERDICT_ACCEPTED == 0 && VERDICT_DUPLICATE == 1 && VERDICT_QUARANTINED == 2 &&
                      VERDICT_MALFORMED == 3,
                  "verdicts are counted by their order");
    static const enum counter_id ids[] = {COUNTER_READINGS_ACCEPTED, COUNTER_READINGS_DUPLICATE,
                                          COUNTER_READINGS_QUARANTINED, COUNTER_READINGS_REJECTED};
    for (size_t i = durable ? 0 : 3; i < 4; i++)
        if (counts[i] > 0)
            counter_add(loop->context.counters, ids[i], counts[i]);
}

/* True when the source has sent too much: answered with the time after which to try again. */
static bool refuse_by_quota(struct loop *loop, struct request *request)
{
    const struct registry_source *source = request->protocol->source(request);
    unsigned wait_s = source == NULL ? 0
                                     : quota_take_message(loop->options.shared->quota, &loop->settings->quota,
                                                          source->source_id, loop->context.now_ns);
    if (wait_s == 0)
        return false;
    counter_add(loop->context.counters, COUNTER_QUOTA_REFUSALS, 1);
    request->exchange.retry_after_s = (int)wait_s;
    request_refuse(loop, request, &refusals[REFUSE_QUOTA]);
    return true;
}

static void submit(struct loop *loop, struct request *request)
{
    struct ticket *ticket = request->exchange.ticket;
    uint32_t shards = loop->context.shards;
    ensure(ticket != NULL);
    ticket->exchange = request;
    ticket->parts_left = 0;
    for (uint32_t shard = 0; shard < shards; shard++)
        ticket->parts_left += ticket->parts[shard].count > 0;
    ticket->parts_left += ticket->rejected.count > 0;
    ensure(ticket->parts_left > 0);
    request->state = REQUEST_SUBMITTED;
    loop->tickets_out++;
    for (uint32_t shard = 0; shard < shards; shard++)
        if (ticket->parts[shard].count > 0)
            inlet_send(&loop->options.inlets[shard], &ticket->parts[shard].job);
    if (ticket->rejected.count > 0)
        inlet_send(&loop->options.inlets[ticket_rejected_shard(ticket, shards)], &ticket->rejected.job);
}

static void open_door(struct loop *loop, struct request *request)
{
    struct exchange *exchange = &request->exchange;
    const struct door *door = exchange->door;
    exchange->source = door->open ? NULL : request->protocol->source(request);
    if (!door->open && exchange->source == NULL) { /* the registry has changed since the head came */
        put_ticket(loop, request);
        request_refuse(loop, request, &refusals[REFUSE_UNAUTHENTICATED]);
        return;
    }
    exchange->body[exchange->body_size] = '\0';
    if (exchange->ticket != NULL)
        exchange->ticket->started_ns = loop->context.now_ns;
    counter_add(loop->context.counters, COUNTER_MESSAGES, exchange->ticket != NULL);
    int64_t source_id = exchange->source != NULL ? exchange->source->source_id : 0;
    enum door_step step = door->handle(&loop->context, exchange);
    exchange->source = NULL;
    if (exchange->ticket != NULL)
        quota_charge_readings(loop->options.shared->quota, &loop->settings->quota, source_id,
                              exchange->ticket->count, loop->context.now_ns);
    if (step == DOOR_SUBMITTED) {
        submit(loop, request);
        return;
    }
    if (exchange->ticket != NULL)
        count_readings(loop, exchange->ticket, false);
    put_ticket(loop, request);
    request_ready(request);
}

static void park(struct loop *loop, struct request *request)
{
    struct request_pool *pool = &loop->requests;
    request->state = REQUEST_PARKED;
    request->parked_until_ns = loop->context.now_ns + loop->settings->pause_max_ms * 1000000;
    if (pool->parked_last != NULL)
        pool->parked_last->next_parked = request;
    else
        pool->parked_first = request;
    pool->parked_last = request;
    counter_add(loop->context.counters, COUNTER_CONNECTIONS_PAUSED, 1);
}

void request_dispatch(struct loop *loop, struct request *request)
{
    bool accepting = atomic_load_explicit(&loop->options.node->accepting, memory_order_relaxed);
    if (request->refusal.status != 0) {
        struct exchange_fault fault = request->refusal;
        request_refuse(loop, request, &fault);
    } else if (request->exchange.method != METHOD_POST) {
        open_door(loop, request);
    } else if (!accepting || loop->draining) {
        request_refuse(loop, request, &refusals[REFUSE_NOT_ACCEPTING]);
    } else if (refuse_by_quota(loop, request)) {
        return;
    } else if (loop->requests.parked_first != NULL ||
               (request->exchange.ticket = ticket_get(loop->tickets)) == NULL) {
        park(loop, request);
    } else {
        open_door(loop, request);
    }
}

/* What comes back. */

static void finish(struct loop *loop, struct request *request)
{
    struct exchange *exchange = &request->exchange;
    struct ticket *ticket = exchange->ticket;
    loop->tickets_out--;
    if (request->part_failed) {
        put_ticket(loop, request);
        request_refuse(loop, request, &refusals[REFUSE_NOT_DURABLE]);
    } else {
        buffer_clear(&exchange->out);
        exchange->door->answer(&loop->context, exchange);
        count_readings(loop, ticket, true);
        histogram_add_us(&loop->context.counters->histogram[HISTOGRAM_ACK],
                         (uint64_t)(loop->context.now_ns - ticket->started_ns) / 1000);
        put_ticket(loop, request);
        request_ready(request);
    }
    if (request->connection == NULL)
        request_release(loop, request);
}

void requests_collect(struct loop *loop)
{
    for (uint32_t shard = 0; shard < loop->context.shards; shard++)
        for (struct job *job; (job = inlet_collect(&loop->options.inlets[shard])) != NULL;) {
            ensure(job->kind == JOB_READINGS || job->kind == JOB_REJECTED);
            struct part *part = (struct part *)job; /* job is its first member */
            struct ticket *ticket = part->ticket;
            struct request *request = ticket->exchange;
            request->part_failed = request->part_failed || job->result != OK;
            ensure(request->state == REQUEST_SUBMITTED && ticket->parts_left > 0);
            if (--ticket->parts_left == 0)
                finish(loop, request);
        }
}

static struct request *parked_pop(struct request_pool *pool)
{
    struct request *request = pool->parked_first;
    unpark(pool, request);
    request->state = REQUEST_READING;
    return request;
}

void requests_resume(struct loop *loop)
{
    struct request_pool *pool = &loop->requests;
    while (pool->parked_first != NULL) {
        struct ticket *ticket = ticket_get(loop->tickets);
        if (ticket == NULL)
            break;
        struct request *request = parked_pop(pool);
        request->exchange.ticket = ticket;
        connection_mark(request->connection);
        open_door(loop, request);
    }
    while (pool->parked_first != NULL && pool->parked_first->parked_until_ns <= loop->context.now_ns)
        request_refuse(loop, parked_pop(pool), &refusals[REFUSE_BUSY]);
}

int64_t requests_deadline_ns(const struct loop *loop)
{
    return loop->requests.parked_first != NULL ? loop->requests.parked_first->parked_until_ns : INT64_MAX;
}
