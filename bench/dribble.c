/* dribble: one epoll loop over all peers. OpenSSL works on bytes in memory; what it wants to send is kept and
 * goes out whole, or byte by byte when the peer's kind says so. */
#include "bench/dribble.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/buffer.h"
#include "daemon/base/clock.h"
#include "daemon/base/ensure.h"

enum { EVENTS_MAX = 512, BYTE_MS = 1000, OPENS_PER_TICK = 10, NICE = 15, TICK_MS = 10, AGAIN_MS = 50 };

struct peer {
    enum dribble_kind kind;
    int fd;   /* -1: to be opened again at next_ms */
    SSL *ssl; /* NULL for those that only play back a first record */
    struct buffer out;
    size_t sent, body_at;
    bool established, connected;
    int64_t next_ms;
};

struct dribble {
    struct dribble_options options;
    struct dribble_figures figures;
    SSL_CTX *context;
    struct buffer hello, request; /* a first record; header and body of a good message */
    size_t header_size;
    struct peer *peers;
    unsigned count;
    int epoll;
    _Atomic bool stopping;
    pthread_t thread;
};

static SSL *new_client(struct dribble *dribble)
{
    SSL *ssl = SSL_new(dribble->context);
    ensure(ssl != NULL);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl);
    return ssl;
}

static void take_output(SSL *ssl, struct buffer *out)
{
    char piece[4096];
    for (int size; (size = BIO_read(SSL_get_wbio(ssl), piece, sizeof piece)) > 0;)
        buffer_append(out, piece, (size_t)size);
    ERR_clear_error();
}

static void close_peer(struct dribble *dribble, struct peer *peer, bool was_cut, int64_t now_ms)
{
    close(peer->fd);
    peer->fd = -1;
    SSL_free(peer->ssl);
    peer->ssl = NULL;
    buffer_deinit(&peer->out);
    atomic_fetch_sub(&dribble->figures.open, 1);
    if (peer->established)
        atomic_fetch_sub(&dribble->figures.established, 1);
    if (was_cut)
        atomic_fetch_add(&dribble->figures.cut[peer->kind], 1);
    peer->established = peer->connected = false;
    peer->next_ms = now_ms + (peer->kind == DRIBBLE_FLOOD ? 0 : AGAIN_MS);
}

static void open_peer(struct dribble *dribble, struct peer *peer, int64_t now_ms)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)dribble->options.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    peer->next_ms = now_ms + AGAIN_MS;
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (peer->fd < 0)
        return;
    int one = 1;
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = peer};
    if ((connect(peer->fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS) ||
        epoll_ctl(dribble->epoll, EPOLL_CTL_ADD, peer->fd, &event) != 0) {
        close(peer->fd);
        peer->fd = -1;
        return;
    }
    atomic_fetch_add(&dribble->figures.open, 1);
    peer->sent = peer->body_at = 0;
    if (peer->kind == DRIBBLE_HELLO || peer->kind == DRIBBLE_FLOOD) {
        buffer_append(&peer->out, dribble->hello.data, dribble->hello.size);
    } else {
        peer->ssl = new_client(dribble);
        (void)SSL_do_handshake(peer->ssl);
        take_output(peer->ssl, &peer->out);
    }
    peer->next_ms = now_ms + rand() % BYTE_MS;
}

/* Whether what waits goes out at once. */
static bool is_in_a_hurry(const struct peer *peer)
{
    if (peer->kind == DRIBBLE_HELLO)
        return false;
    return peer->kind != DRIBBLE_FINISH || !peer->established;
}

static bool send_bytes(struct peer *peer, size_t size)
{
    ssize_t wrote = send(peer->fd, peer->out.data + peer->sent, size, MSG_NOSIGNAL);
    if (wrote > 0)
        peer->sent += (size_t)wrote;
    if (peer->sent == peer->out.size) {
        peer->sent = 0;
        buffer_clear(&peer->out);
    }
    return wrote >= 0 || errno == EAGAIN;
}

/* One byte of whatever this kind dribbles. */
static bool dribble_byte(struct dribble *dribble, struct peer *peer)
{
    bool in_records = peer->kind == DRIBBLE_HEADER || peer->kind == DRIBBLE_BODY;
    if (in_records && peer->established && peer->body_at < dribble->request.size) {
        (void)SSL_write(peer->ssl, dribble->request.data + peer->body_at++, 1);
        take_output(peer->ssl, &peer->out);
    }
    size_t left = peer->out.size - peer->sent;
    return left == 0 || send_bytes(peer, is_in_a_hurry(peer) ? left : 1);
}

static void finish_handshake(struct dribble *dribble, struct peer *peer)
{
    peer->established = true;
    atomic_fetch_add(&dribble->figures.established, 1);
    if (peer->kind != DRIBBLE_BODY)
        return;
    (void)SSL_write(peer->ssl, dribble->request.data, (int)dribble->header_size);
    peer->body_at = dribble->header_size;
}

/* Reads what the server says; false: the connection is over. */
static bool hear(struct dribble *dribble, struct peer *peer)
{
    char piece[16384];
    for (ssize_t size; (size = recv(peer->fd, piece, sizeof piece, 0)) != 0;) {
        if (size < 0)
            return errno == EAGAIN || errno == EINPROGRESS;
        if (peer->ssl == NULL)
            return peer->kind != DRIBBLE_FLOOD; /* the flood has cost the server what it wanted to */
        BIO_write(SSL_get_rbio(peer->ssl), piece, (int)size);
        if (peer->established)
            continue;
        ERR_clear_error();
        if (SSL_do_handshake(peer->ssl) == 1)
            finish_handshake(dribble, peer);
        take_output(peer->ssl, &peer->out);
    }
    return false;
}

static void serve_events(struct dribble *dribble)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(dribble->epoll, events, EVENTS_MAX, TICK_MS);
    int64_t now_ms = clock_monotonic_ms();
    for (int i = 0; i < count; i++) {
        struct peer *peer = events[i].data.ptr;
        if (peer->fd < 0)
            continue;
        uint32_t seen = events[i].events;
        peer->connected = peer->connected || (seen & EPOLLOUT) != 0;
        bool alive = (seen & EPOLLIN) == 0 || hear(dribble, peer);
        alive = alive && (seen & (EPOLLERR | EPOLLHUP)) == 0;
        size_t left = peer->out.size - peer->sent;
        if (alive && peer->connected && left > 0 && is_in_a_hurry(peer))
            alive = send_bytes(peer, left);
        if (!alive)
            close_peer(dribble, peer, true, now_ms);
    }
}

static void tick(struct dribble *dribble)
{
    int64_t now_ms = clock_monotonic_ms();
    unsigned opened = 0;
    for (unsigned i = 0; i < dribble->count; i++) {
        struct peer *peer = &dribble->peers[i];
        if (peer->next_ms > now_ms)
            continue;
        if (peer->fd < 0) {
            if (opened++ < OPENS_PER_TICK || peer->kind == DRIBBLE_FLOOD)
                open_peer(dribble, peer, now_ms);
            continue;
        }
        peer->next_ms = now_ms + BYTE_MS;
        if (peer->connected && !dribble_byte(dribble, peer))
            close_peer(dribble, peer, true, now_ms);
    }
}

static void *run(void *context)
{
    struct dribble *dribble = context;
    int64_t ticked_ms = 0;
    /* In life these peers have processors of their own: here they shall not take the server's. */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    while (!atomic_load(&dribble->stopping)) {
        serve_events(dribble);
        int64_t now_ms = clock_monotonic_ms();
        if (now_ms - ticked_ms >= TICK_MS)
            tick(dribble);
        ticked_ms = now_ms - ticked_ms >= TICK_MS ? now_ms : ticked_ms;
    }
    for (unsigned i = 0; i < dribble->count; i++)
        if (dribble->peers[i].fd >= 0)
            close_peer(dribble, &dribble->peers[i], false, 0);
    return NULL;
}

static void make_peers(struct dribble *dribble)
{
    for (int kind = 0; kind < DRIBBLE_KINDS; kind++)
        dribble->count += dribble->options.count[kind];
    dribble->peers = calloc(dribble->count, sizeof *dribble->peers);
    ensure(dribble->peers != NULL || dribble->count == 0);
    unsigned at = 0;
    for (int kind = 0; kind < DRIBBLE_KINDS; kind++)
        for (unsigned i = 0; i < dribble->options.count[kind]; i++)
            dribble->peers[at++] = (struct peer){.kind = (enum dribble_kind)kind, .fd = -1};
}

struct dribble *dribble_start(const struct dribble_options *options)
{
    struct dribble *dribble = calloc(1, sizeof *dribble);
    ensure(dribble != NULL);
    dribble->options = *options;
    dribble->epoll = epoll_create1(EPOLL_CLOEXEC);
    dribble->context = SSL_CTX_new(TLS_client_method());
    ensure(dribble->epoll >= 0 && dribble->context != NULL);
    SSL_CTX_set_mode(dribble->context, SSL_MODE_RELEASE_BUFFERS);
    SSL *ssl = new_client(dribble);
    (void)SSL_do_handshake(ssl);
    take_output(ssl, &dribble->hello);
    SSL_free(ssl);
    buffer_printf(&dribble->request,
                  "POST /v1/readings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: "
                  "application/json\r\nContent-Length: 4000\r\n\r\n",
                  options->token);
    dribble->header_size = dribble->request.size;
    for (int i = 0; i < 4000; i++)
        buffer_append(&dribble->request, " ", 1);
    make_peers(dribble);
    ensure(pthread_create(&dribble->thread, NULL, run, dribble) == 0);
    return dribble;
}

const struct dribble_figures *dribble_figures(const struct dribble *dribble)
{
    return &dribble->figures;
}

void dribble_stop(struct dribble *dribble)
{
    if (dribble == NULL)
        return;
    atomic_store(&dribble->stopping, true);
    pthread_join(dribble->thread, NULL);
    SSL_CTX_free(dribble->context);
    close(dribble->epoll);
    free(dribble->peers);
    buffer_deinit(&dribble->hello);
    buffer_deinit(&dribble->request);
    free(dribble);
}
