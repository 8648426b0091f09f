/* admin: few connections, one request at a time on each, plain HTTP. A call lives on its own, apart from its
 * connection, because its handler may answer much later (an import waits for shards and PostgreSQL) and the
 * caller may have gone by then.
 *
 *   bytes ──> http_reader ──> open routes                ──> admin_answer()
 *                        └──> roles? ──> handler ... ──────> admin_answer()      meanwhile nothing is read
 */
#include "daemon/admin/admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/ingest/http.h"

enum {
    CONNECTIONS_MAX = 256,
    BACKLOG = 64,
    BODY_BYTES_MAX = 256 << 20, /* an import of 100,000 patients with everything is below 100 MB */
    PASSED_BYTES_MAX = 1 << 20,
    READ_SIZE = 65536,
    IDLE_MS = 60000,
};

struct admin_connection;

struct call {
    struct admin_request request; /* first: handlers hold its address */
    struct admin *admin;
    struct admin_connection *conn; /* NULL: it went away */
    bool keep_alive, head_only;
    bool refused;    /* its body passes by, so that a small one does not reset the answer away */
    unsigned others; /* methods that the path would take */
    size_t passed;   /* bytes of the body so far */
    struct buffer body;
    struct http_reader reader;
};

struct admin_connection {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } socket;
    uv_timer_t idle;
    struct admin *admin;
    struct admin_connection *next, *previous;
    bool is_local; /* on admin.sock */
    unsigned roles;
    char author[REF_BYTES_MAX + 1];
    struct call *call; /* the one being read or answered */
    bool handled;      /* it is with its handler */
    bool feeding;      /* feed() is on the stack */
    bool ended, closing;
    unsigned handles_open;
    struct buffer held; /* came in behind the request that is being handled */
};

struct admin {
    uv_loop_t *loop;
    struct admin_options options;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
    int port;
    char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    struct admin_connection *connections;
    int64_t connections_count;
    char received[READ_SIZE];
};

struct answer_write {
    uv_write_t write; /* first */
    struct buffer bytes;
    bool closes;
};

/* Roles. */

static const char *const role_words[] = {
#define ADMIN_ROLE_WORD(id, word) word,
    ADMIN_ROLE_ROWS(ADMIN_ROLE_WORD)
#undef ADMIN_ROLE_WORD
};

unsigned admin_role_from_word(const char *word)
{
    for (unsigned i = 0; i < ADMIN_ROLE_COUNT; i++)
        if (strcmp(word, role_words[i]) == 0)
            return 1u << i;
    return 0;
}

/* Calls. */

static struct call *call_new(struct admin_connection *conn)
{
    struct call *call = calloc(1, sizeof(*call));
    ensure(call != NULL);
    call->admin = conn->admin;
    call->conn = conn;
    http_reader_reset(&call->reader);
    return call;
}

static void call_free(struct call *call)
{
    if (call == NULL)
        return;
    buffer_deinit(&call->body);
    http_reader_deinit(&call->reader);
    free(call);
}

/* Connections. */

static void on_handle_closed(uv_handle_t *handle)
{
    struct admin_connection *conn = handle->data;
    if (--conn->handles_open > 0)
        return;
    buffer_deinit(&conn->held);
    free(conn);
}

static void conn_close(struct admin_connection *conn)
{
    struct admin *admin = conn->admin;
    if (conn->closing)
        return;
    conn->closing = true;
    if (conn->call != NULL && conn->handled)
        conn->call->conn = NULL; /* the handler answers nobody */
    else
        call_free(conn->call);
    conn->call = NULL;
    if (conn->previous != NULL)
        conn->previous->next = conn->next;
    else
        admin->connections = conn->next;
    if (conn->next != NULL)
        conn->next->previous = conn->previous;
    admin->connections_count--;
    uv_close(&conn->socket.handle, on_handle_closed);
    uv_close((uv_handle_t *)&conn->idle, on_handle_closed);
}

static void on_idle(uv_timer_t *timer)
{
    conn_close(timer->data);
}

static void start_idle(struct admin_connection *conn)
{
    (void)uv_timer_start(&conn->idle, on_idle, IDLE_MS, 0);
}

/* Answers. */

static void on_written(uv_write_t *write, int status)
{
    struct answer_write *answer = (struct answer_write *)write;
    struct admin_connection *conn = write->handle->data;
    if (status != 0 || answer->closes || (conn->ended && !conn->handled))
        conn_close(conn);
    buffer_deinit(&answer->bytes);
    free(answer);
}

static void conn_write(struct admin_connection *conn, struct buffer *bytes, bool closes)
{
    struct answer_write *answer = calloc(1, sizeof(*answer));
    ensure(answer != NULL);
    answer->bytes = *bytes; /* takes */
    answer->closes = closes;
    uv_buf_t piece = uv_buf_init(bytes->data, (unsigned)bytes->size);
    if (uv_write(&answer->write, &conn->socket.stream, &piece, 1, on_written) != 0) {
        buffer_deinit(&answer->bytes);
        free(answer);
        conn_close(conn);
    }
}

static void feed(struct admin_connection *conn);

static void write_answer(struct call *call, int status, const char *type, const struct buffer *body)
{
    struct admin_connection *conn = call->conn;
    struct exchange exchange = {.status = status, .out_type = type, .last_modified_ms = INSTANT_NONE};
    struct buffer bytes = {0};
    char date[HTTP_DATE_TEXT];
    bool keep_alive = call->keep_alive && !conn->ended;
    if (body != NULL)
        exchange.out = *body; /* lent */
    if (status == 405)
        exchange.allow = call->others == METHOD_GET    ? "GET"
                         : call->others == METHOD_POST ? "POST"
                                                       : "GET, POST";
    http_format_date(clock_wall_ms(), date);
    http_append_answer(&bytes, &exchange, &(struct http_answer){date, keep_alive, call->head_only});
    conn_write(conn, &bytes, !keep_alive);
    if (!keep_alive)
        conn->ended = true;
}

void admin_answer(struct admin_request *request, int status, const char *type, const struct buffer *body)
{
    struct call *call = (struct call *)request; /* request is its first member */
    struct admin_connection *conn = call->conn;
    if (conn != NULL) {
        ensure(conn->call == call);
        write_answer(call, status, type != NULL ? type : "application/json", body);
        conn->call = NULL;
        conn->handled = false;
    }
    call_free(call);
    if (conn == NULL || conn->closing)
        return;
    start_idle(conn);
    if (!conn->feeding)
        feed(conn);
}

void admin_refuse(struct admin_request *request, int status, const char *code, const char *text)
{
    struct buffer body = {0};
    render_open(&body, '{');
    render_key(&body, "code");
    render_text(&body, code);
    render_key(&body, "text");
    render_text(&body, text);
    render_close(&body, '}');
    admin_answer(request, status, NULL, &body);
    buffer_deinit(&body);
}

/* Open routes. */

static void show_health(void *context, struct admin_request *request)
{
    static char text[] = "{\"status\":\"alive\"}";
    admin_answer(request, 200, NULL, &(struct buffer){text, sizeof(text) - 1, 0});
}

static void show_readiness(void *context, struct admin_request *request)
{
    struct admin *admin = context;
    struct buffer body = {0}, faults = {0};
    render_open(&faults, '[');
    bool ready = admin->options.is_ready(admin->options.context, &faults);
    render_close(&faults, ']');
    render_open(&body, '{');
    render_key(&body, "ready");
    render_boolean(&body, ready);
    render_key(&body, "not_ready");
    render_raw(&body, faults.data, faults.size);
    buffer_clear(&faults);
    render_open(&faults, '[');
    admin->options.tell_degraded(admin->options.context, &faults);
    render_close(&faults, ']');
    render_key(&body, "degraded");
    render_raw(&body, faults.data, faults.size);
    render_close(&body, '}');
    admin_answer(request, ready ? 200 : 503, NULL, &body);
    buffer_deinit(&faults);
    buffer_deinit(&body);
}

static void show_metrics(void *context, struct admin_request *request)
{
    struct admin *admin = context;
    struct metrics_sources sources = {0};
    struct buffer body = {0};
    admin->options.read_metrics(admin->options.context, &sources);
    sources.admin_connections = admin->connections_count;
    metrics_render(&body, &sources);
    admin_answer(request, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
    buffer_deinit(&body);
}

static const struct admin_route open_routes[] = {
    {METHOD_GET, "/healthz", 0, show_health},
    {METHOD_GET, "/readyz", 0, show_readiness},
    {METHOD_GET, "/metrics", 0, show_metrics},
    {0, NULL, 0, NULL},
};

/* Finding the route. */

static bool path_fits(const char *pattern, struct slice path, struct slice *ret_rest)
{
    size_t size = strlen(pattern);
    bool prefix = pattern[size - 1] == '*';
    size -= prefix;
    if (path.size < size || (!prefix && path.size != size) || memcmp(path.data, pattern, size) != 0)
        return false;
    *ret_rest = (struct slice){path.data + size, path.size - size};
    return true;
}

/* The route of path and method; *others gains the methods that the path has beside. */
static const struct admin_route *find_route(const struct admin_route *routes, struct admin_request *request,
                                            unsigned *others)
{
    struct slice rest;
    for (const struct admin_route *route = routes; route->path != NULL; route++) {
        if (!path_fits(route->path, request->path, &rest))
            continue;
        if (route->method == request->method) {
            request->rest = rest;
            return route;
        }
        *others |= route->method;
    }
    return NULL;
}

/* What a call will be answered with, decided at its head. */
struct verdict_of_head {
    const struct admin_route *route;
    void *context;
    int status; /* 0: the route's */
    const char *code, *text;
};

static void find_caller(struct call *call)
{
    const struct admin_options *options = &call->admin->options;
    struct slice token = http_bearer(call->reader.request.authorization);
    uint8_t digest[SHA256_BYTES];
    call->request.roles = call->conn->roles;
    memcpy(call->request.author, call->conn->author, sizeof(call->request.author));
    if (call->conn->is_local || token.data == NULL || options->roles_of_token == NULL)
        return;
    hash_sha256(token.data, token.size, digest);
    call->request.roles = options->roles_of_token(options->context, digest, call->request.author);
}

static struct verdict_of_head judge(struct call *call)
{
    struct admin *admin = call->admin;
    const struct http_request *head = &call->reader.request;
    call->others = 0;
    const struct admin_route *route = find_route(open_routes, &call->request, &call->others);
    if (route != NULL)
        return (struct verdict_of_head){.route = route, .context = admin};
    if (call->others != 0)
        return (struct verdict_of_head){.status = 405, .code = "method", .text = "this path takes GET"};
    if (!admin->options.is_serving(admin->options.context))
        return (struct verdict_of_head){.status = 503,
                                        .code = "overloaded",
                                        .text = "vigied is starting or stopping: /readyz says how far"};
    find_caller(call);
    if (call->request.roles == 0 && !call->conn->is_local)
        return (struct verdict_of_head){
            .status = 401, .code = "unauthenticated", .text = "a bearer token with a role is needed"};
    route = find_route(admin->options.routes, &call->request, &call->others);
    if (route == NULL && call->others != 0)
        return (struct verdict_of_head){
            .status = 405, .code = "method", .text = "this path takes another method"};
    if (route == NULL)
        return (struct verdict_of_head){
            .status = 404, .code = "not-found", .text = "nothing is served at this path"};
    if ((route->roles & call->request.roles) == 0)
        return (struct verdict_of_head){
            .status = 403, .code = "forbidden", .text = "the caller's roles do not allow it"};
    if (head->method == METHOD_POST && head->content_length < 0 && !head->chunked)
        return (struct verdict_of_head){.status = 411, .code = "length", .text = "Content-Length is needed"};
    if (head->content_length > BODY_BYTES_MAX)
        return (struct verdict_of_head){.status = 413, .code = "too-large", .text = "the body is too large"};
    return (struct verdict_of_head){.route = route, .context = admin->options.context};
}

/* Reading. */

static void refuse_now(struct call *call, int status, const char *code, const char *text)
{
    call->keep_alive = false;
    call->conn->handled = true;
    admin_refuse(&call->request, status, code, text);
}

/* False when the call is over already. */
static bool take_head(struct call *call)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const struct http_request *head = &call->reader.request;
    struct verdict_of_head verdict;
    call->request.method = head->is_head ? METHOD_GET : head->method; /* probes of load balancers */
    call->request.path = head->path;
    call->request.query = head->query;
    call->keep_alive = head->keep_alive;
    call->head_only = head->is_head;
    verdict = judge(call);
    call->refused = verdict.status != 0;
    if (call->refused && (head->content_length > PASSED_BYTES_MAX || head->expects_continue)) {
        refuse_now(call, verdict.status, verdict.code, verdict.text);
        return false;
    }
    if (head->expects_continue) {
        struct buffer bytes = {0};
        buffer_text(&bytes, go_on);
        conn_write(call->conn, &bytes, false);
    }
    return !call->conn->closing;
}

static bool take_body(struct call *call)
{
    call->passed += call->reader.piece.size;
    if (call->passed > (call->refused ? PASSED_BYTES_MAX : BODY_BYTES_MAX)) {
        refuse_now(call, 413, "too-large", "the body is too large");
        return false;
    }
    if (!call->refused)
        buffer_append(&call->body, call->reader.piece.data, call->reader.piece.size);
    return true;
}

static void take_call(struct admin_connection *conn)
{
    struct call *call = conn->call;
    struct verdict_of_head verdict = judge(call);
    conn->handled = true;
    (void)uv_timer_stop(&conn->idle);
    buffer_append(&call->body, "", 1);
    call->request.body = call->body.data;
    call->request.body_size = call->body.size - 1;
    if (verdict.status != 0)
        admin_refuse(&call->request, verdict.status, verdict.code, verdict.text);
    else
        verdict.route->handle(verdict.context, &call->request);
}

/* Feeds one piece of the held bytes; false when nothing more can be done with them now. */
static bool feed_once(struct admin_connection *conn, size_t *at)
{
    if (conn->call == NULL && *at == conn->held.size)
        return false;
    if (conn->call == NULL)
        conn->call = call_new(conn);
    struct call *call = conn->call;
    size_t used;
    enum read_step step =
        http_reader_feed(&call->reader, conn->held.data + *at, conn->held.size - *at, &used);
    *at += used;
    switch (step) {
    case READ_MORE:
        return false;
    case READ_HEAD:
        return take_head(call);
    case READ_BODY:
        return take_body(call);
    case READ_DONE:
        take_call(conn);
        return true;
    case READ_FAULT:
        refuse_now(call, call->reader.fault.status, call->reader.fault.code, call->reader.fault.text);
        return false;
    }
    ensure_unreachable();
}

static void feed(struct admin_connection *conn)
{
    size_t at = 0;
    conn->feeding = true;
    while (!conn->closing && !conn->handled && !conn->ended && feed_once(conn, &at))
        ;
    conn->feeding = false;
    memmove(conn->held.data, conn->held.data + at, conn->held.size - at);
    conn->held.size -= at;
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct admin_connection *conn = handle->data;
    *ret = uv_buf_init(conn->admin->received, READ_SIZE);
}

/* A caller that has shut its side still gets its answer. */
static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct admin_connection *conn = stream->data;
    if (size == 0 || conn->closing)
        return;
    if (size > 0 && conn->held.size + (size_t)size <= 2 * READ_SIZE) {
        buffer_append(&conn->held, buf->base, (size_t)size);
        feed(conn);
    } else if (size == UV_EOF && (conn->handled || uv_stream_get_write_queue_size(stream) > 0)) {
        conn->ended = true;
        (void)uv_read_stop(stream);
    } else {
        conn_close(conn);
    }
}

/* Accepting. */

static bool init_socket(struct admin_connection *conn)
{
    int result = conn->is_local ? uv_pipe_init(conn->admin->loop, &conn->socket.pipe, 0)
                                : uv_tcp_init(conn->admin->loop, &conn->socket.tcp);
    return result == 0 && uv_timer_init(conn->admin->loop, &conn->idle) == 0;
}

/* Root and our own uid have every role on the socket; others whom its mode lets in have none. */
static void find_peer(struct admin_connection *conn)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    int fd;
    if (!conn->is_local || uv_fileno(&conn->socket.handle, &fd) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return;
    snprintf(conn->author, sizeof(conn->author), "uid:%u", (unsigned)peer.uid);
    if (peer.uid == 0 || peer.uid == geteuid())
        conn->roles = ADMIN_ROLE_ANY;
}

static void on_connection(uv_stream_t *server, int status)
{
    struct admin *admin = server->data;
    if (status < 0)
        return;
    struct admin_connection *conn = calloc(1, sizeof(*conn));
    ensure(conn != NULL);
    conn->admin = admin;
    conn->is_local = server == (uv_stream_t *)&admin->pipe;
    ensure(init_socket(conn));
    conn->socket.handle.data = conn;
    conn->idle.data = conn;
    conn->handles_open = 2;
    conn->next = admin->connections;
    if (admin->connections != NULL)
        admin->connections->previous = conn;
    admin->connections = conn;
    admin->connections_count++;
    if (uv_accept(server, &conn->socket.stream) != 0 || admin->connections_count > CONNECTIONS_MAX ||
        uv_read_start(&conn->socket.stream, on_allocate, on_read) != 0) {
        conn_close(conn);
        return;
    }
    find_peer(conn);
    start_idle(conn);
}

/* Start and stop. */

static enum err cannot_bind(const char *what, int result)
{
    log_write(LOG_ERROR, "admin",
              "cannot bind address=%s error=\"%s\" hint=\"is it in use, or state_dir not ours?\"", what,
              uv_strerror(result));
    return result == UV_EACCES || result == UV_EPERM ? ERR_PERMISSION : ERR_UNAVAILABLE;
}

static enum err open_port(struct admin *admin)
{
    const char *setting = admin->options.config->listen_admin;
    struct sockaddr_storage address;
    int size = sizeof(address);
    enum err error = config_address(setting, &address);
    if (error == ERR_EMPTY)
        return OK;
    ensure(error == OK); /* the configuration is checked */
    int result = uv_tcp_bind(&admin->tcp, (const struct sockaddr *)&address, 0);
    if (result == 0)
        result = uv_listen((uv_stream_t *)&admin->tcp, BACKLOG, on_connection);
    if (result == 0)
        result = uv_tcp_getsockname(&admin->tcp, (struct sockaddr *)&address, &size);
    if (result != 0)
        return cannot_bind(setting, result);
    admin->port = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                                      : ((struct sockaddr_in *)&address)->sin_port);
    return OK;
}

/* state_dir is locked by now: a socket that lies there is a dead daemon's. Nobody connects before
 * uv_listen(), so the mode is right from the first moment on. */
static enum err open_socket(struct admin *admin)
{
    int size = snprintf(admin->socket_path, sizeof(admin->socket_path), "%s/admin.sock",
                        admin->options.config->node_state_dir);
    if (size < 0 || (size_t)size >= sizeof(admin->socket_path)) {
        admin->socket_path[0] = '\0';
        log_write(LOG_ERROR, "admin", "state_dir is too long for a socket in it hint=\"at most %zu bytes\"",
                  sizeof(admin->socket_path) - sizeof("/admin.sock"));
        return ERR_CONFIG;
    }
    (void)unlink(admin->socket_path);
    int result = uv_pipe_bind(&admin->pipe, admin->socket_path);
    if (result == 0 && chmod(admin->socket_path, 0660) != 0)
        result = uv_translate_sys_error(errno);
    if (result == 0)
        result = uv_listen((uv_stream_t *)&admin->pipe, BACKLOG, on_connection);
    return result == 0 ? OK : cannot_bind(admin->socket_path, result);
}

enum err admin_start(uv_loop_t *loop, const struct admin_options *options, struct admin **ret_admin)
{
    struct admin *admin = calloc(1, sizeof(*admin));
    if (admin == NULL)
        return ERR_NO_MEMORY;
    admin->loop = loop;
    admin->options = *options;
    ensure(uv_tcp_init(loop, &admin->tcp) == 0 && uv_pipe_init(loop, &admin->pipe, 0) == 0);
    admin->tcp.data = admin->pipe.data = admin;
    enum err error = open_socket(admin);
    if (error == OK)
        error = open_port(admin);
    if (error != OK)
        goto fail_stop;
    *ret_admin = admin;
    return OK;
fail_stop:
    admin_stop(admin);
    uv_run(loop, UV_RUN_NOWAIT); /* closes the two handles */
    admin_free(admin);
    return error;
}

int admin_port(const struct admin *admin)
{
    return admin->port;
}

void admin_stop(struct admin *admin)
{
    while (admin->connections != NULL)
        conn_close(admin->connections);
    uv_close((uv_handle_t *)&admin->tcp, NULL);
    uv_close((uv_handle_t *)&admin->pipe, NULL); /* unlinks the socket */
}

void admin_free(struct admin *admin)
{
    free(admin);
}
