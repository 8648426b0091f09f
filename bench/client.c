/* client: see the header. Open loop: a message has the time at which it was due, and waits for a free
 * connection if there is none; its latency counts from that time, so that a stalled server cannot hide its
 * stall. */
#include "bench/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/client_mqtt.h"
#include "daemon/base/clock.h"

enum { ANSWER_MAX = 65536, EVENTS_MAX = 256 };

struct connection {
    SSL *ssl;
    int fd;
    bool busy;
    int64_t due_ns;
    size_t sent;
    struct buffer request;
    char answer[ANSWER_MAX];
    size_t answer_size;
    struct connection *next_idle;
};

struct client {
    struct client_options options;
    SSL_CTX *context;
    int epoll;
    struct connection *connections, *idle, *idle_last; /* in turn: none stays silent */
    struct buffer body;
    struct client_result *result;
    unsigned in_flight;
};

static void close_connection(struct connection *connection)
{
    SSL_free(connection->ssl);
    connection->ssl = NULL;
    if (connection->fd >= 0)
        close(connection->fd);
    connection->fd = -1;
}

static void add_idle(struct client *client, struct connection *connection)
{
    connection->next_idle = NULL;
    if (client->idle != NULL)
        client->idle_last->next_idle = connection;
    else
        client->idle = connection;
    client->idle_last = connection;
}

/* Blocking connect and handshake, then non-blocking for the load. */
static enum err open_connection(struct client *client, struct connection *connection)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)client->options.port)};
    inet_pton(AF_INET, client->options.host, &address.sin_addr);
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 || connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0)
        goto fail_close;
    int one = 1;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connection->ssl = SSL_new(client->context);
    SSL_set_fd(connection->ssl, connection->fd);
    if (SSL_connect(connection->ssl) != 1)
        goto fail_close;
    if (client->options.is_mqtt &&
        !client_mqtt_connect(connection->ssl, (unsigned)(connection - client->connections),
                             client->options.token))
        goto fail_close;
    fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(client->epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0)
        goto fail_close;
    connection->busy = false;
    connection->answer_size = 0;
    add_idle(client, connection);
    return OK;

fail_close:
    close_connection(connection);
    return ERR_UNAVAILABLE;
}

/* One that was closed while it was idle is there already. */
static void drop_idle(struct client *client, struct connection *connection)
{
    struct connection *rest = client->idle;
    client->idle = client->idle_last = NULL;
    for (struct connection *next; rest != NULL; rest = next) {
        next = rest->next_idle;
        if (rest != connection)
            add_idle(client, rest);
    }
}

static void reopen(struct client *client, struct connection *connection)
{
    client->result->errors++;
    client->in_flight -= connection->busy;
    drop_idle(client, connection);
    close_connection(connection);
    if (open_connection(client, connection) != OK)
        fprintf(stderr, "vigie-bench: connection lost and not opened again; found=%s\n", strerror(errno));
}

static bool wants_more(const struct connection *connection, int result)
{
    int why = SSL_get_error(connection->ssl, result);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
}

static void push_request(struct client *client, struct connection *connection)
{
    while (connection->sent < connection->request.size) {
        ERR_clear_error();
        int wrote = SSL_write(connection->ssl, connection->request.data + connection->sent,
                              (int)(connection->request.size - connection->sent));
        if (wrote > 0) {
            connection->sent += (size_t)wrote;
            continue;
        }
        if (!wants_more(connection, wrote)) {
            reopen(client, connection);
            return;
        }
        break;
    }
    bool left = connection->sent < connection->request.size;
    struct epoll_event event = {.events = EPOLLIN | (left ? EPOLLOUT : 0), .data.ptr = connection};
    epoll_ctl(client->epoll, EPOLL_CTL_MOD, connection->fd, &event);
}

static void append_post(const struct client *client, struct buffer *request)
{
    buffer_printf(request,
                  "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\n"
                  "Content-Length: %zu\r\n\r\n",
                  client->options.path, client->options.host, client->options.token,
                  client->options.content_type != NULL ? client->options.content_type : "application/json",
                  client->body.size);
    buffer_append(request, client->body.data, client->body.size);
}

static void send_message(struct client *client, struct connection *connection, int64_t due_ns)
{
    buffer_clear(&connection->request);
    if (client->options.is_mqtt)
        client_mqtt_append(&connection->request, client->options.path, &client->body);
    else
        append_post(client, &connection->request);
    connection->sent = 0;
    connection->answer_size = 0;
    connection->busy = true;
    connection->due_ns = due_ns;
    client->in_flight++;
    push_request(client, connection);
}

/* Size of the whole answer once its head is here, 0 before. */
static size_t answer_total(struct connection *connection)
{
    connection->answer[connection->answer_size] = '\0';
    char *end = strstr(connection->answer, "\r\n\r\n");
    if (end == NULL)
        return 0;
    char *length = strcasestr(connection->answer, "\r\ncontent-length:");
    size_t body = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
    return (size_t)(end + 4 - connection->answer) + body;
}

static void take_answer(struct client *client, struct connection *connection)
{
    struct client_result *result = client->result;
    result->requests++;
    latencies_add(&result->latencies, (uint64_t)(clock_monotonic_ns() - connection->due_ns) / 1000);
    const char *accepted = client->options.is_mqtt ? NULL : strstr(connection->answer, "\"accepted\":");
    if (client->options.is_mqtt && client_mqtt_is_good(connection->answer, connection->answer_size))
        result->accepted += client->options.readings;
    else if (accepted != NULL && strncmp(connection->answer, "HTTP/1.1 200", 12) == 0)
        result->accepted += strtoull(accepted + 11, NULL, 10);
    else
        result->refused++;
    connection->busy = false;
    client->in_flight--;
    add_idle(client, connection);
}

static void pull_answer(struct client *client, struct connection *connection)
{
    for (;;) {
        ERR_clear_error();
        int got = SSL_read(connection->ssl, connection->answer + connection->answer_size,
                           (int)(ANSWER_MAX - 1 - connection->answer_size));
        if (got <= 0) {
            if (!wants_more(connection, got))
                reopen(client, connection);
            return;
        }
        connection->answer_size += (size_t)got;
        size_t total = client->options.is_mqtt
                           ? client_mqtt_total(connection->answer, connection->answer_size)
                           : answer_total(connection);
        if (connection->busy && total > 0 && connection->answer_size >= total)
            take_answer(client, connection);
    }
}

enum err client_open(const struct client_options *options, struct client **ret_client)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return ERR_NO_MEMORY;
    client->options = *options;
    client->epoll = epoll_create1(EPOLL_CLOEXEC);
    client->context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(client->context, options->tls13_only ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_mode(client->context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    client->connections = calloc(options->connections, sizeof *client->connections);
    for (unsigned i = 0; i < options->connections; i++)
        client->connections[i].fd = -1;
    for (unsigned i = 0; i < options->connections; i++) {
        enum err error = open_connection(client, &client->connections[i]);
        if (error != OK) {
            client_close(client);
            return error;
        }
    }
    *ret_client = client;
    return OK;
}

void client_close(struct client *client)
{
    if (client == NULL)
        return;
    for (unsigned i = 0; i < client->options.connections; i++) {
        close_connection(&client->connections[i]);
        buffer_deinit(&client->connections[i].request);
    }
    free(client->connections);
    SSL_CTX_free(client->context);
    close(client->epoll);
    buffer_deinit(&client->body);
    free(client);
}

static void serve_events(struct client *client, int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(client->epoll, events, EVENTS_MAX, timeout_ms);
    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;
        if ((events[i].events & EPOLLOUT) != 0 && connection->ssl != NULL)
            push_request(client, connection);
        if (connection->ssl != NULL)
            pull_answer(client, connection);
    }
}

void client_run(struct client *client, double seconds, double rate,
                void (*message)(void *context, struct buffer *out), void *context, struct client_result *ret)
{
    client->result = ret;
    int64_t start_ns = clock_monotonic_ns(), end_ns = start_ns + (int64_t)(seconds * 1e9);
    double due = 0; /* messages sent so far */
    for (int64_t now_ns; (now_ns = clock_monotonic_ns()) < end_ns;) {
        while (client->idle != NULL) {
            int64_t due_ns = rate > 0 ? start_ns + (int64_t)(due * 1e9 / rate) : now_ns;
            if (due_ns > now_ns)
                break;
            struct connection *connection = client->idle;
            client->idle = connection->next_idle;
            buffer_clear(&client->body);
            message(context, &client->body);
            send_message(client, connection, due_ns);
            due += 1;
        }
        serve_events(client, 1);
    }
    for (int64_t until_ns = clock_monotonic_ns() + 10000000000;
         client->in_flight > 0 && clock_monotonic_ns() < until_ns;)
        serve_events(client, 10);
}
