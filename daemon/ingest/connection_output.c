/* connection_output: answers leave in the order of their requests, all that are ready in one record and one
 * write. libuv keeps pointers into what is being written (PITFALLS U1), so what comes meanwhile waits apart,
 * and a connection that is written to is not read: a peer that does not read its answers sends nothing more,
 * and its deadline runs (PITFALLS U3, U10). */
#include <sys/socket.h>

#include "daemon/ingest/connection_internal.h"
#include "daemon/ingest/loop.h"

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
void connection__write_sealed(struct connection *conn)
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
    connection__write_sealed(conn);
    if (!sealed)
        connection_close(conn);
}

bool connection_push(struct connection *conn, const char *data, size_t size)
{
    if (conn->state != CONNECTION_OPEN || conn->pushed.size + size > PUSHED_BYTES_MAX)
        return false;
    buffer_append(&conn->pushed, data, size);
    connection_mark(conn);
    return true;
}

/* Renders every answer that is due, in the order of the requests. */
void connection__flush_answers(struct connection *conn)
{
    const struct protocol *protocol = conn->listener->protocol;
    struct loop *loop = conn->loop;
    buffer_clear(&loop->answers);
    while (conn->first != NULL && conn->first->state == REQUEST_READY) {
        struct request *request = connection__pop_request(conn);
        request->keep_alive = request->keep_alive && !loop->draining;
        bool keep_alive = request->keep_alive;
        protocol->append_answer(loop, request, &loop->answers);
        request_release(loop, request);
        if (!keep_alive)
            connection_drain(conn);
    }
    if (protocol->append_interim != NULL && conn->first != NULL && conn->first->state == REQUEST_READING)
        protocol->append_interim(conn->first, &loop->answers);
    if (conn->pushed.size > 0) {
        buffer_append(&loop->answers, conn->pushed.data, conn->pushed.size);
        buffer_deinit(&conn->pushed);
    }
    if (loop->answers.size > 0)
        write_answers(conn, &loop->answers);
}

/* Shuts our side once everything has left; the peer's end closes it. */
void connection__end_output(struct connection *conn)
{
    int fd;
    if (conn->tls != NULL) {
        tls_set_window(conn->tls, NULL, 0, &conn->loop->sealed);
        tls_end(conn->tls);
        connection__write_sealed(conn);
    }
    if (conn->state == CONNECTION_CLOSING || conn->write_busy)
        return;
    if (conn->ended || uv_fileno((uv_handle_t *)&conn->tcp, &fd) != 0 || shutdown(fd, SHUT_WR) != 0) {
        connection_close(conn);
        return;
    }
    connection__set_state(conn, CONNECTION_LINGER);
}
