/* connection: bytes in, bytes out, and everything in order.
 * A read callback decrypts what has come and feeds requests until the connection has to pause: a request
 * waits for a ticket, sixteen are under way, or the peer does not read its answers. What is left then is
 * kept, undecrypted as far as possible, and read on when the pause ends. Answers are written at the end of a
 * turn, all that are ready in one record and one write. Nothing is freed but in libuv's close callback
 * (PITFALLS U2, O2). */
#include "daemon/ingest/connection.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/slab.h"
#include "daemon/ingest/connection_internal.h"
#include "daemon/ingest/loop.h"
#include "daemon/ingest/tls_record.h"

enum { HANDSHAKE_SHARE_NS = 1000000 };

static const bool legal[CONNECTION_STATES][CONNECTION_STATES] = {
    [CONNECTION_HANDSHAKE] = {[CONNECTION_OPEN] = true, [CONNECTION_CLOSING] = true},
    [CONNECTION_OPEN] = {[CONNECTION_DRAINING] = true, [CONNECTION_CLOSING] = true},
    [CONNECTION_DRAINING] = {[CONNECTION_LINGER] = true, [CONNECTION_CLOSING] = true},
    [CONNECTION_LINGER] = {[CONNECTION_CLOSING] = true},
};

void connection__set_state(struct connection *conn, enum connection_state state)
{
    ensure(legal[conn->state][state]);
    conn->state = state;
}

void connection_mark(struct connection *conn)
{
    if (conn->marked || conn->state == CONNECTION_CLOSING)
        return;
    conn->marked = true;
    conn->next_marked = conn->loop->marked;
    conn->loop->marked = conn;
}

/* The FIFO of requests. */

static struct request *begin_request(struct connection *conn)
{
    struct request *request = request_new(conn->loop, conn);
    if (conn->last != NULL)
        conn->last->next = request;
    else
        conn->first = request;
    conn->last = request;
    conn->requests++;
    conn->wait_request = NULL;
    return request;
}

struct request *connection__pop_request(struct connection *conn)
{
    struct request *request = conn->first;
    conn->first = request->next;
    if (conn->first == NULL)
        conn->last = NULL;
    conn->requests--;
    return request;
}

/* Takes out the request that is still coming in: a message cut off is never processed. */
static void drop_reading(struct connection *conn)
{
    struct request *request = conn->last, *before = conn->first;
    if (connection__reading(conn) == NULL)
        return;
    if (before == request) {
        connection__pop_request(conn);
    } else {
        while (before->next != request)
            before = before->next;
        before->next = NULL;
        conn->last = before;
        conn->requests--;
    }
    request_release(conn->loop, request);
}

/* Birth and death. */

static void unlink_from_all(struct connection *conn)
{
    if (conn->loop->recheck_next == conn)
        conn->loop->recheck_next = conn->next;
    if (conn->previous != NULL)
        conn->previous->next = conn->next;
    else
        conn->loop->all = conn->next;
    if (conn->next != NULL)
        conn->next->previous = conn->previous;
}

static void recycle(struct connection *conn)
{
    unlink_from_all(conn);
    conn->next = conn->loop->free_connections;
    conn->loop->free_connections = conn;
}

static void on_closed(uv_handle_t *handle)
{
    struct connection *conn = (struct connection *)handle;
    ensure(conn->state == CONNECTION_CLOSING && conn->requests == 0 && !conn->marked && !conn->rearmed);
    tls_free(conn->tls);
    slab_give(conn->names);
    buffer_deinit(&conn->partial);
    buffer_deinit(&conn->held_plain);
    buffer_deinit(&conn->held_sealed);
    buffer_deinit(&conn->pushed);
    buffer_deinit(&conn->writing);
    buffer_deinit(&conn->backlog);
    recycle(conn);
}

static void unqueue(struct connection *conn)
{
    if (conn->is_queued)
        TAILQ_REMOVE(&conn->loop->handshakes, conn, handshake);
    conn->is_queued = false;
}

void connection_close(struct connection *conn)
{
    if (conn->state == CONNECTION_CLOSING)
        return;
    if (conn->state == CONNECTION_HANDSHAKE)
        counter_add(conn->loop->context.counters, COUNTER_HANDSHAKES_FAILED, 1);
    connection__wait_unlink(conn);
    connection__set_state(conn, CONNECTION_CLOSING);
    while (conn->first != NULL)
        request_release(conn->loop, connection__pop_request(conn));
    if (conn->is_opened && conn->listener->protocol->close != NULL)
        conn->listener->protocol->close(conn);
    conn->is_opened = false;
    counter_add(conn->loop->context.counters, COUNTER_CONNECTIONS_CLOSED, 1);
    connection__uncount(conn);
    connection__know(conn);
    unqueue(conn);
    uv_close((uv_handle_t *)&conn->tcp, on_closed);
}

void connection__opened(struct connection *conn)
{
    const struct protocol *protocol = conn->listener->protocol;
    conn->is_opened = true;
    if (protocol->open != NULL)
        protocol->open(conn);
}

void connection_drain(struct connection *conn)
{
    if (conn->state == CONNECTION_HANDSHAKE) {
        connection_close(conn);
        return;
    }
    if (conn->state != CONNECTION_OPEN)
        return;
    drop_reading(conn);
    connection__set_state(conn, CONNECTION_DRAINING);
    connection_mark(conn);
}

struct connection *connection__new(struct loop *loop)
{
    struct connection *conn = loop->free_connections;
    if (conn != NULL)
        loop->free_connections = conn->next;
    else
        conn = slab_take(sizeof(*conn));
    memset(conn, 0, sizeof(*conn));
    conn->loop = loop;
    conn->next = loop->all;
    if (loop->all != NULL)
        loop->all->previous = conn;
    loop->all = conn;
    return conn;
}

/* Reading. */

static bool is_parked(const struct connection *conn)
{
    return conn->last != NULL &&
           (conn->last->state == REQUEST_PARKED || conn->last->state == REQUEST_WAITING);
}

static bool may_read(const struct connection *conn)
{
    bool open = conn->state == CONNECTION_HANDSHAKE || conn->state == CONNECTION_OPEN;
    bool room = conn->requests < conn->listener->protocol->pipeline_max || connection__reading(conn) != NULL;
    return open && room && !conn->is_queued && !conn->write_busy && !is_parked(conn);
}

/* Feeds plain bytes; returns how many were taken before a pause or the end. */
static size_t parse(struct connection *conn, const char *data, size_t size)
{
    size_t at = 0;
    while (at < size && may_read(conn)) {
        struct request *request = connection__reading(conn) != NULL ? conn->last : begin_request(conn);
        size_t used;
        enum read_step step =
            conn->listener->protocol->feed(conn->loop, request, data + at, size - at, &used);
        at += used;
        if (step == READ_FAULT || (step == READ_DONE && !request->keep_alive))
            connection_drain(conn);
    }
    return at;
}

/* The peer sends nothing more. */
static void input_ended(struct connection *conn)
{
    conn->ended = true;
    if (conn->state == CONNECTION_LINGER)
        connection_close(conn);
    else
        connection_drain(conn);
    connection_mark(conn);
}

/* A device that is refused cannot tell its operator why. Who it is does not belong into a log. */
static void tell_certificate(struct connection *conn)
{
    const char *fault = tls_certificate_fault(conn->tls);
    if (fault == NULL)
        return;
    counter_add(conn->loop->context.counters, COUNTER_CERTIFICATES_REFUSED, 1);
    log_write(LOG_WARNING, "ingest", "client certificate refused reason=\"%s\"", fault);
}

/* PITFALLS O3: reads until OpenSSL wants more, then always sends what it has to say. */
static void unseal(struct connection *conn, const char *data, size_t size)
{
    struct loop *loop = conn->loop;
    enum tls_step step = TLS_DATA;
    tls_set_window(conn->tls, data, size, &loop->sealed);
    while (step == TLS_DATA && may_read(conn)) {
        size_t read;
        step = tls_read(conn->tls, loop->plain, sizeof(loop->plain), &read);
        if (conn->state == CONNECTION_HANDSHAKE && tls_is_established(conn->tls)) {
            connection__set_state(conn, CONNECTION_OPEN);
            connection__keep_names(conn);
            connection__opened(conn);
        }
        if (step != TLS_DATA)
            break;
        size_t used = parse(conn, loop->plain, read);
        buffer_append(&conn->held_plain, loop->plain + used, read - used);
    }
    size_t left = tls_input_left(conn->tls);
    if (step == TLS_DATA)
        buffer_append(&conn->held_sealed, data + size - left, left);
    connection__write_sealed(conn);
    if (step == TLS_FAILED && conn->state == CONNECTION_HANDSHAKE)
        tell_certificate(conn);
    if (step == TLS_FAILED)
        connection_close(conn);
    else if (step == TLS_CLOSED)
        input_ended(conn);
}

/* Takes the whole records out of what has come; empty without any. The caller frees them. */
static struct buffer take_records(struct connection *conn)
{
    struct buffer records = {0};
    size_t whole = tls_record_whole(conn->partial.data, conn->partial.size);
    if (whole == 0)
        return records;
    records = conn->partial;
    conn->partial = (struct buffer){0};
    buffer_append(&conn->partial, records.data + whole, records.size - whole);
    records.size = whole;
    return records;
}

/* OpenSSL sees whole records only: of a record that comes slowly it would pin a buffer of 16 KB. What has
 * come of the next one waits here; its memory goes with the record. */
static void unseal_records(struct connection *conn, const char *data, size_t size)
{
    if (conn->partial.size == 0) {
        size_t whole = tls_record_whole(data, size);
        buffer_append(&conn->partial, data + whole, size - whole);
        if (whole > 0)
            unseal(conn, data, whole);
        return;
    }
    buffer_append(&conn->partial, data, size);
    struct buffer records = take_records(conn);
    if (records.size > 0)
        unseal(conn, records.data, records.size);
    buffer_deinit(&records);
}

/* Many a small sender writes head and body apart and has Nagle's algorithm on: without an acknowledgement now
 * it holds the body back until our delayed one comes, 40 ms later. */
static void acknowledge_now(struct connection *conn)
{
    int fd, on = 1;
    if ((conn->state == CONNECTION_HANDSHAKE || connection__reading(conn) != NULL || conn->fresh) &&
        uv_fileno((uv_handle_t *)&conn->tcp, &fd) == 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
    conn->fresh = conn->state == CONNECTION_HANDSHAKE;
}

/* The handshake's whole records wait for their share of the turn. */
static void queue_handshake(struct connection *conn, const char *data, size_t size)
{
    buffer_append(&conn->partial, data, size);
    struct buffer records = take_records(conn);
    if (records.size == 0)
        return;
    buffer_append(&conn->held_sealed, records.data, records.size);
    buffer_deinit(&records);
    if (!conn->is_queued)
        TAILQ_INSERT_TAIL(&conn->loop->handshakes, conn, handshake);
    conn->is_queued = true;
}

/* A full handshake costs as much as some twenty messages: a turn spends so much on them, whoever comes. */
void handshakes_go_on(struct loop *loop)
{
    int64_t until_ns = clock_monotonic_ns() + HANDSHAKE_SHARE_NS;
    for (struct connection *conn; (conn = TAILQ_FIRST(&loop->handshakes)) != NULL;) {
        unqueue(conn);
        bool in_clear = conn->tls == NULL || tls_is_1_3(conn->tls);
        bool good = !in_clear || tls_record_claim_is_good(conn->held_sealed.data, conn->held_sealed.size);
        if (good && conn->tls == NULL)
            conn->tls = tls_new(loop->settings->tls);
        if (!good || conn->tls == NULL)
            connection_close(conn);
        connection_mark(conn);
        connections_settle(loop);
        if (clock_monotonic_ns() >= until_ns)
            break;
    }
}

static void take_bytes(struct connection *conn, const char *data, size_t size)
{
    if (conn->state == CONNECTION_HANDSHAKE) {
        queue_handshake(conn, data, size);
        return;
    }
    if (conn->tls != NULL) {
        unseal_records(conn, data, size);
        return;
    }
    size_t used = parse(conn, data, size);
    buffer_append(&conn->held_plain, data + used, size - used);
}

/* Reads on what was held back; true when there was something. Its memory goes: pauses are rare. */
static bool take_held(struct connection *conn)
{
    struct buffer plain = conn->held_plain, sealed = conn->held_sealed;
    if (!may_read(conn) || plain.size + sealed.size == 0)
        return false;
    conn->held_plain = conn->held_sealed = (struct buffer){0};
    size_t used = parse(conn, plain.data, plain.size);
    buffer_append(&conn->held_plain, plain.data + used, plain.size - used);
    if (conn->held_plain.size == 0 && may_read(conn) && sealed.size > 0)
        unseal(conn, sealed.data, sealed.size);
    else
        buffer_append(&conn->held_sealed, sealed.data, sealed.size);
    buffer_deinit(&plain);
    buffer_deinit(&sealed);
    return true;
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct connection *conn = handle->data;
    *ret = uv_buf_init(conn->loop->received, READ_BYTES_MAX);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf);

static void update_reading(struct connection *conn)
{
    bool wanted = (may_read(conn) && conn->held_plain.size + conn->held_sealed.size == 0) ||
                  conn->state == CONNECTION_LINGER;
    wanted = wanted && !conn->ended && !conn->rearmed;
    if (wanted == conn->reads)
        return;
    conn->reads = wanted;
    if (wanted)
        (void)uv_read_start((uv_stream_t *)&conn->tcp, on_allocate, on_read);
    else
        (void)uv_read_stop((uv_stream_t *)&conn->tcp);
}

/* A full read means that more is waiting: libuv would read on up to 32 times (PITFALLS U11), others first. */
static void rearm_later(struct connection *conn)
{
    conn->rearmed = true;
    conn->next_rearmed = conn->loop->rearmed;
    conn->loop->rearmed = conn;
    conn->reads = false;
    (void)uv_read_stop((uv_stream_t *)&conn->tcp);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct connection *conn = stream->data;
    if (size == 0 || conn->state == CONNECTION_CLOSING)
        return;
    loop_begin_turn(conn->loop);
    conn->touched = true;
    if (size == UV_EOF) {
        input_ended(conn);
    } else if (size < 0) {
        connection_close(conn);
    } else if (conn->state == CONNECTION_LINGER) {
        conn->lingered += (size_t)size;
        if (conn->lingered > LINGER_BYTES_MAX)
            connection_close(conn);
    } else {
        take_bytes(conn, buf->base, (size_t)size);
        acknowledge_now(conn);
    }
    if (size == READ_BYTES_MAX && conn->state != CONNECTION_CLOSING)
        rearm_later(conn);
    connection_mark(conn);
}

/* The end of a turn. */

static void settle(struct connection *conn)
{
    do {
        if (!conn->write_busy && conn->state != CONNECTION_CLOSING)
            connection__flush_answers(conn);
    } while (take_held(conn));
    if (conn->state == CONNECTION_DRAINING && conn->requests == 0 && !conn->write_busy)
        connection__end_output(conn);
    if (conn->state == CONNECTION_CLOSING)
        return;
    update_reading(conn);
    connection__update_wait(conn);
}

void connections_settle(struct loop *loop)
{
    while (loop->rearmed != NULL) {
        struct connection *conn = loop->rearmed;
        loop->rearmed = conn->next_rearmed;
        conn->rearmed = false;
        connection_mark(conn);
    }
    while (loop->marked != NULL) {
        struct connection *conn = loop->marked;
        loop->marked = conn->next_marked;
        conn->marked = false;
        if (conn->state != CONNECTION_CLOSING)
            settle(conn);
    }
}
