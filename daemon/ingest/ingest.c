/* ingest: the loop's story. It binds its own sockets on ports that all loops share (SO_REUSEPORT, PITFALLS
 * U4), so the kernel spreads connections and loops share nothing. A turn:
 *
 *   wake      loop_begin_turn(): clocks and mail, once
 *   take      bell: parts that the shards have done        -> requests_collect()
 *             sockets: new connections and bytes           -> connection.c, request.c
 *   settle    end_turn(): answers leave, parked requests get tickets, deadlines
 *
 * The end of a turn runs before libuv sleeps and after it has polled, whichever comes first after a callback.
 */
#include "daemon/ingest/ingest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/slab.h"
#include "daemon/ingest/doors.h"
#include "daemon/ingest/loop.h"
#include "daemon/ingest/mqtt/mqtt_session.h"

enum {
    LINGER_MS = 5000,
    DRAIN_MS = 5000,          /* answers get this long to leave at a stop */
    DRAIN_TICKETS_MS = 30000, /* and the shards this long to give tickets back: a sync may stall as long */
};

struct ingest {
    struct loop loop;
    uv_prepare_t before_sleep;
    pthread_t thread;
};

static const int64_t ns_per_ms = 1000000;

/* A turn. */

static void read_date(struct loop *loop)
{
    int64_t now_ms = clock_wall_ms();
    if (now_ms / 1000 == loop->date_second || now_ms < 0)
        return;
    loop->date_second = now_ms / 1000;
    http_format_date(now_ms, loop->date);
}

static void set_waits(struct loop *loop)
{
    const struct ingest_settings *settings = loop->settings;
    loop->waits[WAIT_HANDSHAKE].length_ns = settings->handshake_timeout_ms * ns_per_ms;
    loop->waits[WAIT_FIRST].length_ns = settings->first_byte_timeout_ms * ns_per_ms;
    loop->waits[WAIT_MESSAGE].length_ns = settings->message_timeout_ms * ns_per_ms;
    loop->waits[WAIT_WRITE].length_ns = settings->message_timeout_ms * ns_per_ms;
    loop->waits[WAIT_IDLE].length_ns = settings->idle_timeout_ms * ns_per_ms;
    loop->waits[WAIT_LINGER].length_ns = LINGER_MS * ns_per_ms;
}

/* A connection that waits already keeps its deadline; the next one is set by the new length. */
static void take_settings(struct loop *loop)
{
    if (atomic_load_explicit(&loop->settings_waiting, memory_order_relaxed) == NULL)
        return;
    struct ingest_settings *taken =
        atomic_exchange_explicit(&loop->settings_waiting, NULL, memory_order_acq_rel);
    if (taken == NULL)
        return;
    ingest_settings_free(loop->settings);
    loop->settings = taken;
    set_waits(loop);
    connections_recheck_begin(loop);
}

/* Between two callbacks nothing borrows the snapshot or the settings. */
static void take_mail(struct loop *loop)
{
    loop->context.registry = mailbox_take(loop->options.mailbox, loop->context.registry);
    take_settings(loop);
}

void loop_begin_turn(struct loop *loop)
{
    const struct node_state *node = loop->options.node;
    if (loop->in_turn)
        return;
    loop->in_turn = true;
    heartbeat_beat();
    loop->context.now_ns = clock_monotonic_ns();
    int64_t held_ms = atomic_load_explicit(&node->engine_held_ms, memory_order_relaxed);
    int64_t offset_ms = atomic_load_explicit(&node->engine_offset_ms, memory_order_relaxed);
    loop->context.engine_now_ms =
        held_ms != INSTANT_NONE ? held_ms : loop->context.now_ns / ns_per_ms + offset_ms;
    take_mail(loop);
    read_date(loop);
}

static void on_handle_closed(uv_handle_t *handle)
{
    ensure(uv_is_closing(handle));
}

static void close_handle(uv_handle_t *handle)
{
    if (handle->type != UV_UNKNOWN_HANDLE && !uv_is_closing(handle))
        uv_close(handle, on_handle_closed);
}

/* Without handles libuv's loop ends. */
static void close_handles(struct ingest *ingest)
{
    struct loop *loop = &ingest->loop;
    listeners_close(loop);
    close_handle((uv_handle_t *)&loop->bell_poll);
    close_handle((uv_handle_t *)&loop->handshake_turn);
    close_handle((uv_handle_t *)&loop->end_of_turn);
    close_handle((uv_handle_t *)&loop->deadline);
    close_handle((uv_handle_t *)&ingest->before_sleep);
}

/* Stopping: nothing new comes in, what is in flight is answered, then the rest is closed. */
static void begin_drain(struct loop *loop)
{
    loop->draining = true;
    loop->drain_until_ns = loop->context.now_ns + DRAIN_MS * ns_per_ms;
    listeners_close(loop);
    for (struct connection *conn = loop->all; conn != NULL; conn = conn->next)
        if (conn->requests == 0 && !conn->write_busy)
            connection_close(conn);
        else
            connection_drain(conn);
}

static void go_on_draining(struct loop *loop)
{
    bool late = loop->context.now_ns >= loop->drain_until_ns;
    if (late)
        for (struct connection *conn = loop->all; conn != NULL; conn = conn->next)
            connection_close(conn);
    bool given_up = loop->context.now_ns >= loop->drain_until_ns + DRAIN_TICKETS_MS * ns_per_ms;
    if (loop->all == NULL && ((loop->tickets_out == 0 && mqtt_loop_is_idle(loop)) || given_up))
        close_handles((struct ingest *)loop); /* loop is its first member */
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void on_deadline(uv_timer_t *timer);

/* Sets the timer only when the next deadline comes before what it is set to: deadlines move away all the
 * time. */
static void set_deadline(struct loop *loop, int64_t due_ns)
{
    if (loop->draining)
        due_ns = earlier(due_ns, loop->context.now_ns + 50 * ns_per_ms);
    if (due_ns >= loop->deadline_ns || uv_is_closing((uv_handle_t *)&loop->deadline))
        return;
    int64_t delay_ms = (due_ns - loop->context.now_ns) / ns_per_ms + 1;
    loop->deadline_ns = due_ns;
    uv_update_time(&loop->uv); /* PITFALLS U12 */
    (void)uv_timer_start(&loop->deadline, on_deadline, delay_ms > 0 ? (uint64_t)delay_ms : 1, 0);
}

/* Work that waits for its share of the next turn: the loop polls its sockets first, but does not sleep. */
static void on_backlog(uv_idle_t *idle)
{
    loop_begin_turn(idle->data);
}

static bool loop_has_backlog(const struct loop *loop)
{
    return !TAILQ_EMPTY(&loop->handshakes) || loop->recheck_next != NULL;
}

static void wake_again(struct loop *loop, bool wanted)
{
    if (uv_is_closing((uv_handle_t *)&loop->handshake_turn))
        return;
    if (wanted)
        (void)uv_idle_start(&loop->handshake_turn, on_backlog);
    else
        (void)uv_idle_stop(&loop->handshake_turn);
}

static void end_turn(struct loop *loop)
{
    if (!loop->in_turn)
        return;
    connections_settle(loop);
    requests_resume(loop);
    handshakes_go_on(loop);
    connections_recheck(loop);
    int64_t due_ns = earlier(connections_expire(loop, loop->context.now_ns), mqtt_loop_expire(loop));
    connections_settle(loop);
    if (loop->draining)
        go_on_draining(loop);
    due_ns = earlier(due_ns, listeners_resume(loop));
    set_deadline(loop, earlier(due_ns, requests_deadline_ns(loop)));
    wake_again(loop, loop_has_backlog(loop));
    loop->in_turn = false;
}

static void on_deadline(uv_timer_t *timer)
{
    struct loop *loop = timer->data;
    loop->deadline_ns = INT64_MAX;
    loop_begin_turn(loop);
    end_turn(loop);
}

static void on_end_of_turn(uv_check_t *check)
{
    end_turn(check->data);
}

static void on_before_sleep(uv_prepare_t *prepare)
{
    end_turn(prepare->data);
}

static void on_bell(uv_poll_t *poll, int status, int events)
{
    struct loop *loop = poll->data;
    loop_begin_turn(loop);
    wakeup_wait(loop->options.bell, 0);
    take_mail(loop); /* it may have come after the turn began: nothing else would ring for it */
    requests_collect(loop);
    mqtt_loop_collect(loop);
    if (atomic_load_explicit(&loop->stopping, memory_order_acquire) && !loop->draining)
        begin_drain(loop);
}

/* Start and stop. */

static void init_handles(struct ingest *ingest)
{
    struct loop *loop = &ingest->loop;
    ensure(uv_poll_init(&loop->uv, &loop->bell_poll, loop->options.bell->fd) == 0);
    ensure(uv_check_init(&loop->uv, &loop->end_of_turn) == 0);
    ensure(uv_prepare_init(&loop->uv, &ingest->before_sleep) == 0);
    ensure(uv_timer_init(&loop->uv, &loop->deadline) == 0);
    ensure(uv_idle_init(&loop->uv, &loop->handshake_turn) == 0);
    loop->bell_poll.data = loop->end_of_turn.data = ingest->before_sleep.data = loop->deadline.data = loop;
    loop->handshake_turn.data = loop;
    ensure(uv_poll_start(&loop->bell_poll, UV_READABLE, on_bell) == 0);
    ensure(uv_check_start(&loop->end_of_turn, on_end_of_turn) == 0);
    ensure(uv_prepare_start(&ingest->before_sleep, on_before_sleep) == 0);
}

static void fill_context(struct loop *loop)
{
    const struct ingest_options *options = &loop->options;
    struct loop_context *context = &loop->context;
    *context = (struct loop_context){
        .config = options->config,
        .node = options->node,
        .counters = options->counters,
        .foreign = options->foreign,
        .reading_key = options->reading_key,
        .shards = options->shards,
    };
    memcpy(context->identifier_key, options->identifier_key, sizeof(context->identifier_key));
}

static void *run(void *context)
{
    struct ingest *ingest = context;
    slab_use(ingest->loop.slab);
    heartbeat_adopt(&ingest->loop.options.counters->heartbeat);
    loop_begin_turn(&ingest->loop); /* takes the first mail */
    uv_run(&ingest->loop.uv, UV_RUN_DEFAULT);
    return NULL;
}

static void ingest_free(struct ingest *ingest)
{
    struct loop *loop = &ingest->loop;
    close_handles(ingest);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    ensure(uv_loop_close(&loop->uv) == 0);
    for (struct connection *next, *conn = loop->free_connections; conn != NULL; conn = next) {
        next = conn->next;
        slab_give(conn);
    }
    request_pool_deinit(&loop->requests);
    buffer_deinit(&loop->answers);
    buffer_deinit(&loop->sealed);
    mqtt_loop_free(loop);
    ingest_settings_free(loop->settings);
    ingest_settings_free(atomic_load_explicit(&loop->settings_waiting, memory_order_acquire));
    if (loop->context.doors != NULL)
        doors_free(loop->context.doors);
    /* Tickets that a shard never gave back stay: it may still write into them. */
    if (loop->tickets != NULL && loop->tickets_out == 0)
        ticket_pool_free(loop->tickets);
    free(ingest); /* its slab stays: OpenSSL keeps tables there */
}

/* What a loop holds by plan; beside max_memory, and only what is used is ever taken. */
static size_t plan_memory(const struct ingest_options *options)
{
    size_t sum = 0;
    sum += (size_t)options->config->listen_connections_max * CONNECTION_BYTES_PLANNED; /* all on one loop */
    sum += (size_t)LARGE_BODIES_MAX * BODY_LARGE;
    sum += (size_t)TICKETS_PER_LOOP * TICKET_BYTES_PLANNED;
    sum += (size_t)REQUESTS_KEPT_MAX * (sizeof(struct request) + BODY_SMALL);
    return sum;
}

enum err ingest_start(const struct ingest_options *options, struct ingest **ret_ingest)
{
    struct ingest *ingest = calloc(1, sizeof(*ingest));
    if (ingest == NULL) {
        ingest_settings_free(options->settings);
        return ERR_NO_MEMORY;
    }
    struct loop *loop = &ingest->loop;
    loop->options = *options;
    loop->settings = options->settings;
    TAILQ_INIT(&loop->handshakes);
    TAILQ_INIT(&loop->strangers);
    loop->deadline_ns = INT64_MAX;
    loop->date_second = -1;
    ensure(uv_loop_init(&loop->uv) == 0);
    fill_context(loop);
    init_handles(ingest);
    set_waits(loop);
    enum err error = slab_new(plan_memory(options), &loop->slab);
    if (error != OK)
        goto fail_free;
    error = ERR_NO_MEMORY;
    slab_use(loop->slab); /* a ticket that grows later grows there, not in the system's memory */
    loop->tickets = ticket_pool_new(TICKETS_PER_LOOP);
    slab_use(NULL);
    if (loop->tickets == NULL)
        goto fail_free;
    error = doors_new(&loop->context, &loop->context.doors);
    if (error != OK)
        goto fail_free;
    error = mqtt_loop_new(loop);
    if (error != OK)
        goto fail_free;
    error = listeners_open(loop);
    if (error != OK)
        goto fail_free;
    error = pthread_create(&ingest->thread, NULL, run, ingest) == 0 ? OK : ERR_OS;
    if (error != OK)
        goto fail_free;
    char name[16];
    snprintf(name, sizeof(name), "ingest-%u", options->index % 100);
    (void)pthread_setname_np(ingest->thread, name);
    *ret_ingest = ingest;
    return OK;
fail_free:
    ingest_free(ingest);
    return error;
}

int ingest_port(const struct ingest *ingest, enum ingest_listener listener)
{
    return ingest->loop.listeners[listener].port;
}

void ingest_reconfigure(struct ingest *ingest, struct ingest_settings *settings)
{
    struct loop *loop = &ingest->loop;
    /* release: the loop that takes the pointer sees what it points to; one it has not looked at goes */
    ingest_settings_free(atomic_exchange_explicit(&loop->settings_waiting, settings, memory_order_acq_rel));
    wakeup_ring(loop->options.bell);
}

int64_t ingest_generation(const struct ingest *ingest)
{
    return atomic_load_explicit(&ingest->loop.settled_generation, memory_order_acquire);
}

void ingest_stop(struct ingest *ingest)
{
    if (ingest == NULL)
        return;
    atomic_store_explicit(&ingest->loop.stopping, true, memory_order_release);
    wakeup_ring(ingest->loop.options.bell);
    ensure(pthread_join(ingest->thread, NULL) == 0);
    ingest_free(ingest);
}
