/* connection_wait: deadlines. One list a kind, each in order because all of it wait equally long: linking,
 * unlinking and finding the earliest cost the same with ten connections and ten thousand. */
#include "daemon/ingest/connection_internal.h"
#include "daemon/ingest/loop.h"

void connection__wait_unlink(struct connection *conn)
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

static enum wait_kind wait_due(const struct connection *conn)
{
    if (conn->write_busy)
        return WAIT_WRITE;
    if (conn->state == CONNECTION_HANDSHAKE)
        return WAIT_HANDSHAKE;
    if (conn->state == CONNECTION_LINGER)
        return WAIT_LINGER;
    if (conn->state == CONNECTION_OPEN && connection__reading(conn) != NULL)
        return WAIT_MESSAGE;
    if (conn->requests > 0)
        return WAIT_NONE;
    if (conn->is_stranger)
        return WAIT_FIRST;
    return conn->listener->protocol->keeps_idle_time ? WAIT_NONE : WAIT_IDLE;
}

void connection__update_wait(struct connection *conn)
{
    enum wait_kind due = wait_due(conn);
    const struct request *request = due == WAIT_MESSAGE ? connection__reading(conn) : NULL;
    bool same = due == conn->wait && request == conn->wait_request && !(due == WAIT_IDLE && conn->touched);
    conn->touched = false;
    if (same)
        return;
    connection__wait_unlink(conn);
    wait_link(conn, due);
    conn->wait_request = request;
}

static void expire(struct connection *conn)
{
    if (conn->wait == WAIT_MESSAGE) {
        request_time_out(conn->loop, conn->last);
        connection_drain(conn);
        connection__wait_unlink(conn);
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
