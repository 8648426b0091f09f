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

#include "daemon/ingest/loop.h"

enum { USER_TIMEOUT_MS = 30000 };

static const bool legal[CONNECTION_STATES][CONNECTION_STATES] = {
    [CONNECTION_HANDSHAKE] = {[CONNECTION_OPEN] = true, [CONNECTION_CLOSING] = true},
    [CONNECTION_OPEN] = {[CONNECTION_DRAINING] = true, [CONNECTION_CLOSING] = true},
    [CONNECTION_DRAINING] = {[CONNECTION_LINGER] = true, [CONNECTION_CLOSING] = true},
    [CONNECTION_LINGER] = {[CONNECTION_CLOSING] = true},
};

static void set_state(struct connection *conn, enum connection_state state)
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

/* Deadlines: a list a kind, each in order because all of it wait equally long. */

static void wait_unlink(struct connection *conn)
{
    struct wait_list *list = &conn->loop->waits[conn->wait];
    if (conn->wait == WAIT_NONE)
        return;
    if (conn->wait_previous != NULL)
        conn->wait_previous->wait_next = conn->wait_next;
    else
        list->first = conn->wait_next;
    if (conn->wait_next != NULL)
        conn->wait_next->wait_previous = conn->wait_previous;
    else
        list->last = conn->wait_previous;
    conn->wait_next = conn->wait_previous = NULL;
    conn->wait = WAIT_NONE;
}

static void wait_link(struct connection *conn, enum wait_kind kind)
{
    struct wait_list *list = &conn->loop->waits[kind];
    conn->wait = kind;
    if (kind == WAIT_NONE)
        return;
    conn->wait_until_ns = conn->loop->context.now_ns + list->length_ns;
    conn->wait_previous = list->last;
    if (list->last != NULL)
        list->last->wait_next = conn;
    else
        list->first = conn;
    list->last = conn;
}

static const struct request *reading_request(const struct connection *conn)
{
    return conn->last != NULL && conn->last->state == REQUEST_READING ? conn->last : NULL;
}

static enum wait_kind wait_due(const struct connection *conn)
{
    if (conn->write_busy)
        return WAIT_WRITE;
    if (conn->state == CONNECTION_HANDSHAKE)
        return WAIT_HANDSHAKE;
    if (conn->state == CONNECTION_LINGER)
        return WAIT_LINGER;
    if (conn->state == CONNECTION_OPEN && reading_request(conn) != NULL)
        return WAIT_MESSAGE;
    return conn->requests > 0 ? WAIT_NONE : WAIT_IDLE;
}

static void update_wait(struct connection *conn)
{
    enum wait_kind due = wait_due(conn);
    const struct request *request = due == WAIT_MESSAGE ? reading_request(conn) : NULL;
    bool same = due == conn->wait && request == conn->wait_request && !(due == WAIT_IDLE && conn->touched);
    conn->touched = false;
    if (same)
        return;
    wait_unlink(conn);
    wait_link(conn, due);
    conn->wait_request = request;
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

static struct request *pop_request(struct connection *conn)
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
    if (reading_request(conn) == NULL)
        return;
    if (before == request) {
        pop_request(conn);
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
    if (conn->previous != NULL)
        conn->previous->next = conn->next;
    else
        conn->loop->all = conn->next;
    if (conn->next != NULL)
        conn->next->previous = conn->previous;
}

static void on_closed(uv_handle_t *handle)
{
    struct connection *conn = (struct connection *)handle;
    struct loop *loop = conn->loop;
    ensure(conn->state == CONNECTION_CLOSING && conn->requests == 0 && !conn->marked && !conn->rearmed);
    tls_free(conn->tls);
    free(conn->names);
    buffer_deinit(&conn->held_plain);
    buffer_deinit(&conn->held_sealed);
    buffer_deinit(&conn->writing);
    buffer_deinit(&conn->backlog);
    unlink_from_all(conn);
    conn->next = loop->free_connections;
    loop->free_connections = conn;
}

void connection_close(struct connection *conn)
{
    if (conn->state == CONNECTION_CLOSING)
        return;
    if (conn->state == CONNECTION_HANDSHAKE)
        counter_add(conn->loop->context.counters, COUNTER_HANDSHAKES_FAILED, 1);
    wait_unlink(conn);
    set_state(conn, CONNECTION_CLOSING);
    while (conn->first != NULL)
        request_release(conn->loop, pop_request(conn));
    counter_add(conn->loop->context.counters, COUNTER_CONNECTIONS_CLOSED, 1);
    atomic_fetch_sub_explicit(&conn->listener->connections, 1, memory_order_relaxed);
    uv_close((uv_handle_t *)&conn->tcp, on_closed);
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
    set_state(conn, CONNECTION_DRAINING);
    connection_mark(conn);
}

static struct connection *connection_new(struct loop *loop)
{
    struct connection *conn = loop->free_connections;
    if (conn != NULL)
        loop->free_connections = conn->next;
    else
        conn = malloc(sizeof(*conn));
    ensure(conn != NULL);
    memset(conn, 0, sizeof(*conn));
    conn->loop = loop;
    conn->next = loop->all;
    if (loop->all != NULL)
        loop->all->previous = conn;
    loop->all = conn;
    return conn;
}

/* Writing. */

static void on_written(uv_write_t *write, int status);

/* libuv keeps pointers into `writing` until it calls back (PITFALLS U1); what comes meanwhile goes to
 * `backlog`. */
static void write_rest(struct connection *conn)
{
    uv_buf_t piece = uv_buf_init(conn->writing.data, (unsigned)conn->writing.size);
    conn->write_busy = true;
    if (uv_write(&conn->write, (uv_stream_t *)&conn->tcp, &piece, 1, on_written) != 0)
        connection_close(conn);
}

static void on_written(uv_write_t *write, int status)
{
    struct connection *conn = write->handle->data;
    conn->write_busy = false;
    buffer_clear(&conn->writing);
    if (conn->state == CONNECTION_CLOSING)
        return;
    loop_begin_turn(conn->loop);
    if (status != 0) {
        connection_close(conn);
        return;
    }
    struct buffer empty = conn->writing;
    conn->writing = conn->backlog;
    conn->backlog = empty;
    if (conn->writing.size > 0)
        write_rest(conn);
    connection_mark(conn);
}

static void write_bytes(struct connection *conn, const struct buffer *bytes)
{
    size_t done = 0;
    if (bytes->size == 0 || conn->state == CONNECTION_CLOSING)
        return;
    if (conn->write_busy) {
        buffer_append(&conn->backlog, bytes->data, bytes->size);
        return;
    }
    uv_buf_t piece = uv_buf_init(bytes->data, (unsigned)bytes->size);
    int written = uv_try_write((uv_stream_t *)&conn->tcp, &piece, 1);
    if (written < 0 && written != UV_EAGAIN) {
        connection_close(conn);
        return;
    }
    done = written > 0 ? (size_t)written : 0;
    if (done == bytes->size)
        return;
    buffer_append(&conn->writing, bytes->data + done, bytes->size - done);
    write_rest(conn);
}

/* Sends what OpenSSL has put into the shared output buffer. */
static void write_sealed(struct connection *conn)
{
    write_bytes(conn, &conn->loop->sealed);
    buffer_clear(&conn->loop->sealed);
}

static void write_answers(struct connection *conn, const struct buffer *answers)
{
    if (conn->tls == NULL) {
        write_bytes(conn, answers);
        return;
    }
    tls_set_window(conn->tls, NULL, 0, &conn->loop->sealed);
    bool sealed = tls_write(conn->tls, answers->data, answers->size);
    write_sealed(conn);
    if (!sealed)
        connection_close(conn);
}

/* Renders every answer that is due, in the order of the requests. */
static void flush_answers(struct connection *conn)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct loop *loop = conn->loop;
    buffer_clear(&loop->answers);
    while (conn->first != NULL && conn->first->state == REQUEST_READY) {
        struct request *request = pop_request(conn);
        bool keep_alive = request->keep_alive && !loop->draining;
        struct http_answer answer = {loop->date, keep_alive, request->head_only};
        http_append_answer(&loop->answers, &request->exchange, &answer);
        request_release(loop, request);
        if (!keep_alive)
            connection_drain(conn);
    }
    if (conn->first != NULL && conn->first->wants_continue && conn->first->state == REQUEST_READING) {
        conn->first->wants_continue = false;
        buffer_text(&loop->answers, go_on);
    }
    if (loop->answers.size > 0)
        write_answers(conn, &loop->answers);
}

/* Reading. */

static bool is_parked(const struct connection *conn)
{
    return conn->last != NULL && conn->last->state == REQUEST_PARKED;
}

static bool may_read(const struct connection *conn)
{
    bool open = conn->state == CONNECTION_HANDSHAKE || conn->state == CONNECTION_OPEN;
    bool room = conn->requests < PIPELINE_MAX || reading_request(conn) != NULL;
    return open && room && !conn->write_busy && !is_parked(conn);
}

/* Feeds plain bytes; returns how many were taken before a pause or the end. */
static size_t parse(struct connection *conn, const char *data, size_t size)
{
    size_t at = 0;
    while (at < size && may_read(conn)) {
        struct request *request = reading_request(conn) != NULL ? conn->last : begin_request(conn);
        size_t used;
        enum http_step step = request_feed(conn->loop, request, data + at, size - at, &used);
        at += used;
        if (step == READ_FAULT || (step == READ_DONE && !request->keep_alive))
            connection_drain(conn);
    }
    return at;
}

static void keep_names(struct connection *conn)
{
    char names[NAMES_MAX];
    conn->names_size = tls_peer_names(conn->tls, names, sizeof(names));
    if (conn->names_size == 0)
        return;
    conn->names = malloc(conn->names_size);
    ensure(conn->names != NULL);
    memcpy(conn->names, names, conn->names_size);
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
            set_state(conn, CONNECTION_OPEN);
            keep_names(conn);
        }
        if (step != TLS_DATA)
            break;
        size_t used = parse(conn, loop->plain, read);
        buffer_append(&conn->held_plain, loop->plain + used, read - used);
    }
    size_t left = tls_input_left(conn->tls);
    if (step == TLS_DATA)
        buffer_append(&conn->held_sealed, data + size - left, left);
    write_sealed(conn);
    if (step == TLS_FAILED)
        connection_close(conn);
    else if (step == TLS_CLOSED)
        input_ended(conn);
}

/* Many a small sender writes head and body apart and has Nagle's algorithm on: without an acknowledgement now
 * it holds the body back until our delayed one comes, 40 ms later. */
static void acknowledge_now(struct connection *conn)
{
    int fd, on = 1;
    if ((conn->state == CONNECTION_HANDSHAKE || reading_request(conn) != NULL || conn->fresh) &&
        uv_fileno((uv_handle_t *)&conn->tcp, &fd) == 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
    conn->fresh = conn->state == CONNECTION_HANDSHAKE;
}

static void take_bytes(struct connection *conn, const char *data, size_t size)
{
    if (conn->tls != NULL) {
        unseal(conn, data, size);
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

/* Shuts our side once everything has left; the peer's end closes it. */
static void end_output(struct connection *conn)
{
    int fd;
    if (conn->tls != NULL) {
        tls_set_window(conn->tls, NULL, 0, &conn->loop->sealed);
        tls_end(conn->tls);
        write_sealed(conn);
    }
    if (conn->state == CONNECTION_CLOSING || conn->write_busy)
        return;
    if (conn->ended || uv_fileno((uv_handle_t *)&conn->tcp, &fd) != 0 || shutdown(fd, SHUT_WR) != 0) {
        connection_close(conn);
        return;
    }
    set_state(conn, CONNECTION_LINGER);
}

static void settle(struct connection *conn)
{
    do {
        if (!conn->write_busy && conn->state != CONNECTION_CLOSING)
            flush_answers(conn);
    } while (take_held(conn));
    if (conn->state == CONNECTION_DRAINING && conn->requests == 0 && !conn->write_busy)
        end_output(conn);
    if (conn->state == CONNECTION_CLOSING)
        return;
    update_reading(conn);
    update_wait(conn);
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

static void expire(struct connection *conn)
{
    if (conn->wait == WAIT_MESSAGE) {
        request_time_out(conn->loop, conn->last);
        connection_drain(conn);
        wait_unlink(conn);
    } else {
        connection_close(conn);
    }
}

int64_t connections_expire(struct loop *loop, int64_t now_ns)
{
    int64_t earliest = INT64_MAX;
    for (size_t kind = WAIT_NONE + 1; kind < WAIT_COUNT; kind++) {
        struct wait_list *list = &loop->waits[kind];
        while (list->first != NULL && list->first->wait_until_ns <= now_ns)
            expire(list->first);
        if (list->first != NULL && list->first->wait_until_ns < earliest)
            earliest = list->first->wait_until_ns;
    }
    return earliest;
}

/* Accepting. */

static void on_refused(uv_handle_t *handle)
{
    struct connection *conn = (struct connection *)handle;
    unlink_from_all(conn);
    conn->next = conn->loop->free_connections;
    conn->loop->free_connections = conn;
}

static void set_socket_options(struct connection *conn)
{
    int fd;
    unsigned timeout_ms = USER_TIMEOUT_MS;
    (void)uv_tcp_nodelay(&conn->tcp, 1);
    /* What is sent and not acknowledged ends the connection; a peer that only waits is judged by our
     * deadlines. */
    if (uv_fileno((uv_handle_t *)&conn->tcp, &fd) == 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
}

void connection_accept(struct listener *listener)
{
    struct loop *loop = listener->loop;
    struct connection *conn = connection_new(loop);
    ensure(uv_tcp_init(&loop->uv, &conn->tcp) == 0);
    conn->tcp.data = conn;
    conn->listener = listener;
    bool accepted = uv_accept((uv_stream_t *)&listener->tcp, (uv_stream_t *)&conn->tcp) == 0;
    bool room = atomic_load_explicit(&listener->connections, memory_order_relaxed) < loop->connections_max;
    if (accepted && room && !loop->draining && listener->with_tls)
        conn->tls = tls_new(loop->tls);
    if (!accepted || !room || loop->draining || (listener->with_tls && conn->tls == NULL)) {
        conn->state = CONNECTION_CLOSING;
        uv_close((uv_handle_t *)&conn->tcp, on_refused);
        return;
    }
    conn->fresh = true;
    conn->state = listener->with_tls ? CONNECTION_HANDSHAKE : CONNECTION_OPEN;
    set_socket_options(conn);
    counter_add(loop->context.counters, COUNTER_CONNECTIONS_OPENED, 1);
    atomic_fetch_add_explicit(&listener->connections, 1, memory_order_relaxed);
    connection_mark(conn);
}

/* Who speaks. */

static const struct registry_source *resolve(struct connection *conn, struct slice authorization)
{
    const struct registry *registry = conn->loop->context.registry;
    const struct registry_source *source = NULL;
    struct slice token = http_bearer(authorization);
    uint8_t digest[SHA256_BYTES];
    if (authorization.data != NULL) {
        if (token.data == NULL)
            return NULL;
        hash_sha256(token.data, token.size, digest);
        return registry_source_by_token(registry, digest);
    }
    for (size_t at = 0; at < conn->names_size && source == NULL; at += strlen(conn->names + at) + 1)
        source = registry_source_by_certificate(registry, conn->names + at);
    return source;
}

/* The header's text is the key: a kept connection costs no digest a message. */
const struct registry_source *connection_source(struct connection *conn, struct slice authorization)
{
    int64_t version = registry_version(conn->loop->context.registry);
    bool keepable = authorization.size <= TOKEN_KEPT_MAX;
    bool same = conn->source != NULL && conn->source_version == version && keepable &&
                conn->token_size == authorization.size &&
                (authorization.size == 0 || memcmp(conn->token, authorization.data, authorization.size) == 0);
    if (same)
        return conn->source;
    const struct registry_source *source = resolve(conn, authorization);
    conn->source = keepable ? source : NULL;
    conn->source_version = version;
    conn->token_size = keepable ? authorization.size : 0;
    if (keepable && authorization.size > 0)
        memcpy(conn->token, authorization.data, authorization.size);
    return source;
}
