/* accept: listeners, and who may come in.
 * A listener is a socket of ours that the loop polls, so that accepting can be bounded and can stop:
 *
 *   a turn takes at most ACCEPTS_PER_TURN, so that a storm of newcomers never holds up those who are in;
 *   at 90 % of the process's descriptors nobody is accepted, newcomers wait in the kernel's queue (PITFALLS
 *   U6: libuv's way would accept and close every one of them); the rest is for journal, PostgreSQL and Kafka;
 *   at connections_max, counted over all loops, a newcomer takes the place of the stranger of this loop who
 *   has had the longest to say who he is; without one here the newcomer is closed, and may find another loop
 *   when it comes again: sessions lose nothing. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/ingest/connection_internal.h"
#include "daemon/ingest/loop.h"

enum {
    BACKLOG = 1024,
    ACCEPTS_PER_TURN = 32,
    USER_TIMEOUT_MS = 30000,
    ACCEPT_AGAIN_MS = 100, /* without descriptors: other loops and threads may have freed some by then */
};

static _Atomic int64_t *open_count(const struct listener *listener)
{
    return &listener->loop->options.shared->connections[listener->kind];
}

void connection__uncount(struct connection *conn)
{
    atomic_fetch_sub_explicit(open_count(conn->listener), 1, memory_order_relaxed);
}

/* Accepting. */

static void set_socket_options(int fd)
{
    int on = 1;
    unsigned timeout_ms = USER_TIMEOUT_MS;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    /* What is sent and not acknowledged ends the connection; a peer that only waits is judged by our
     * deadlines (PITFALLS U10). */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
}

/* Counts a newcomer; false: the listener is full and nobody here has to make room. */
static bool take_place(const struct listener *listener)
{
    struct loop *loop = listener->loop;
    int64_t open = atomic_fetch_add_explicit(open_count(listener), 1, memory_order_relaxed);
    if (open < loop->settings->connections_max)
        return true;
    struct connection *stranger = TAILQ_FIRST(&loop->strangers);
    while (stranger != NULL && stranger->listener != listener)
        stranger = TAILQ_NEXT(stranger, stranger);
    if (stranger != NULL) {
        counter_add(loop->context.counters, COUNTER_CONNECTIONS_SHED, 1);
        connection_close(stranger);
        return true;
    }
    atomic_fetch_sub_explicit(open_count(listener), 1, memory_order_relaxed);
    counter_add(loop->context.counters, COUNTER_CONNECTIONS_REFUSED, 1);
    return false;
}

static void welcome(struct listener *listener, int fd)
{
    struct loop *loop = listener->loop;
    if (loop->draining || !take_place(listener)) {
        close(fd);
        return;
    }
    struct connection *conn = connection__new(loop);
    conn->listener = listener;
    conn->tcp.data = conn;
    set_socket_options(fd);
    ensure(uv_tcp_init(&loop->uv, &conn->tcp) == 0 && uv_tcp_open(&conn->tcp, fd) == 0);
    conn->fresh = true;
    conn->state = listener->with_tls ? CONNECTION_HANDSHAKE : CONNECTION_OPEN;
    if (!listener->with_tls)
        connection__opened(conn);
    conn->is_stranger = true;
    TAILQ_INSERT_TAIL(&loop->strangers, conn, stranger);
    counter_add(loop->context.counters, COUNTER_CONNECTIONS_OPENED, 1);
    connection_mark(conn);
}

/* How many descriptors may still be taken: the kernel gives the lowest free one, so its number says. */
static int descriptors_left(const struct listener *listener)
{
    int probe = dup(listener->fd);
    if (probe < 0)
        return 0;
    close(probe);
    return probe < listener->loop->descriptors_max ? listener->loop->descriptors_max - probe : 0;
}

static void pause_listeners(struct loop *loop)
{
    log_write(LOG_WARNING, "ingest",
              "no descriptors left, newcomers wait limit=%d hint=\"raise LimitNOFILE=, or lower [listen] "
              "connections_max\"",
              loop->descriptors_max);
    loop->accept_again_ns = loop->context.now_ns + ACCEPT_AGAIN_MS * (int64_t)1000000;
    for (size_t i = 0; i < LISTENERS; i++)
        if (loop->listeners[i].open)
            (void)uv_poll_stop(&loop->listeners[i].poll);
}

static void on_waiting(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = poll->data;
    loop_begin_turn(listener->loop);
    int left = descriptors_left(listener);
    for (int i = 0; i < ACCEPTS_PER_TURN && i < left; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
            left = 0;
        if (fd < 0 && errno != ECONNABORTED && errno != EINTR)
            break;
        if (fd >= listener->loop->descriptors_max)
            left = 0; /* other loops accept at the same time */
        if (fd >= 0)
            welcome(listener, fd);
    }
    if (left == 0)
        pause_listeners(listener->loop);
}

int64_t listeners_resume(struct loop *loop)
{
    if (loop->accept_again_ns == 0 || loop->draining)
        return INT64_MAX;
    if (loop->context.now_ns < loop->accept_again_ns)
        return loop->accept_again_ns;
    loop->accept_again_ns = 0;
    for (size_t i = 0; i < LISTENERS; i++)
        if (loop->listeners[i].open)
            (void)uv_poll_start(&loop->listeners[i].poll, UV_READABLE, on_waiting);
    return INT64_MAX;
}

/* Binding. */

static int port_of(const struct sockaddr_storage *address)
{
    return ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
                                                : ((const struct sockaddr_in *)address)->sin_port);
}

static void set_port(struct sockaddr_storage *address, int port)
{
    if (address->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)address)->sin_port = htons((uint16_t)port);
}

/* A socket bound to the shared port; -1 with errno. */
static int bind_shared(const struct sockaddr_storage *address)
{
    int on = 1;
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0 &&
        bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static enum err listen_on(struct listener *listener, int fd)
{
    struct loop *loop = listener->loop;
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0 || listen(fd, BACKLOG) != 0 ||
        uv_poll_init(&loop->uv, &listener->poll, fd) != 0) {
        close(fd);
        return ERR_OS;
    }
    listener->fd = fd;
    listener->open = true;
    listener->port = port_of(&address);
    listener->poll.data = listener;
    return uv_poll_start(&listener->poll, UV_READABLE, on_waiting) == 0 ? OK : ERR_OS;
}

static enum err open_listener(struct listener *listener, const char *setting)
{
    struct sockaddr_storage address;
    enum err error = config_address(setting, &address);
    if (error == ERR_EMPTY)
        return OK;
    ensure(error == OK); /* the configuration is checked */
    if (port_of(&address) == 0)
        set_port(&address, listener->loop->options.shared_ports[listener->kind]);
    int fd = bind_shared(&address);
    if (fd >= 0)
        return listen_on(listener, fd);
    log_write(LOG_ERROR, "ingest",
              "cannot bind listener=%s address=%s error=\"%s\" hint=\"is the port in use?\"",
              listener_name(listener->kind), setting, strerror(errno));
    return errno == EACCES ? ERR_PERMISSION : ERR_UNAVAILABLE;
}

static int descriptors_max(void)
{
    struct rlimit limit;
    ensure(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    rlim_t usable = limit.rlim_cur < INT32_MAX ? limit.rlim_cur : INT32_MAX;
    return (int)(usable - usable / 10);
}

enum err listeners_open(struct loop *loop)
{
    static const struct {
        bool with_tls;
        const struct protocol *protocol;
    } rows[] = {
#define LISTENER_ROW(id, name, tls, speaks) [LISTENER_##id] = {tls, &speaks},
        LISTENER_ROWS(LISTENER_ROW)
#undef LISTENER_ROW
    };
    enum err error = OK;
    loop->descriptors_max = descriptors_max();
    for (enum ingest_listener i = 0; error == OK && i < LISTENERS; i++) {
        loop->listeners[i] = (struct listener){
            .loop = loop, .kind = i, .with_tls = rows[i].with_tls, .protocol = rows[i].protocol};
        error = open_listener(&loop->listeners[i], listener_setting(i, loop->options.config));
    }
    return error;
}

/* The socket is closed when the loop has let go of it. */
static void on_listener_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    close(listener->fd);
}

void listeners_close(struct loop *loop)
{
    for (size_t i = 0; i < LISTENERS; i++) {
        struct listener *listener = &loop->listeners[i];
        if (listener->open)
            uv_close((uv_handle_t *)&listener->poll, on_listener_closed);
        listener->open = false;
    }
}
