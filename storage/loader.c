/* The thread: connect and take the lease; then gather what is durable into a batch, write it as one
 * transaction, again. A batch is what one transaction holds: batch_rows rows, or what came within 250 ms of
 * its first record.
 *
 * After any failure but a refused row the session is closed and the batch forgotten; the next session reads
 * the cursors and goes on from there, so it does not matter whether the last commit arrived (PITFALLS P13).
 * Waiting is done on two bells: `work` is rung by the shards at every turn, `quit` once. A loader without
 * work sleeps in poll(). */
#include "storage/loader.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "storage/loader_rejected.h"
#include "storage/loader_session.h"
#include "storage/loader_write.h"
#include "storage/sqlstate.h"

enum {
    BATCH_MS = 250, /* the longest that a record waits for company, PITFALLS P3 */
    BACKOFF_MS_MIN = 250,
    BACKOFF_MS_MAX = 5000,
    FAILURES_A_LINE = 60, /* the same trouble is logged once and then every five minutes */
    CURSOR_MS = 60000,    /* records without rows move the cursor in the database this often */
    PARTITION_CHECK_MS = 3600000,
    FORGET_CHECK_MS = 3600000,
};

struct loader_shard {
    struct journal_reader *reader;
    uint64_t taken, written; /* records of the journal before the batch's end, before PostgreSQL's cursor */
};

struct loader {
    struct loader_options options;
    pthread_t thread;
    struct wakeup work, quit;
    _Atomic bool quitting; /* set by loader_stop(), read by the thread */

    /* the thread's */
    struct loader_session *session;
    struct loader_writer writer;
    struct loader_batch batch;
    struct loader_shard shards[SHARDS_MAX];
    int64_t backoff_ms, idle_since_ms, behind_since_ms;
    int64_t forget_ms; /* engine time at which old rows of vigie.rejected are looked for */
    unsigned failures;
};

static bool is_quitting(const struct loader *loader)
{
    return atomic_load_explicit(&loader->quitting, memory_order_acquire);
}

static int64_t engine_now_ms(const struct loader *loader)
{
    return atomic_load_explicit(loader->options.engine_now_ms, memory_order_relaxed);
}

static void set_state(struct loader *loader, enum sink_state state)
{
    atomic_store_explicit(&loader->options.figures->state, (int)state, memory_order_relaxed);
}

/* Sleeps unless or until the loader is to end. The bell stays rung: whatever waits after it sees it too. */
static void pause_ms(const struct loader *loader, int64_t ms)
{
    struct pollfd quit = {.fd = loader->quit.fd, .events = POLLIN};
    enum heartbeat_doing doing = heartbeat_does(HEARTBEAT_AWAITS);
    (void)poll(&quit, 1, (int)ms);
    (void)heartbeat_does(doing);
}

/* ---- figures */

static void update_figures(struct loader *loader)
{
    struct sink_figures *figures = loader->options.figures;
    uint64_t lag = 0;
    for (uint32_t i = 0; i < loader->options.shards; i++) {
        struct journal_figures journal;
        journal_figures(loader->options.journals[i], &journal);
        lag += journal.records > loader->shards[i].written ? journal.records - loader->shards[i].written : 0;
    }
    if (lag == 0)
        loader->behind_since_ms = INSTANT_NONE;
    else if (loader->batch.oldest_ms != INSTANT_NONE)
        loader->behind_since_ms = loader->batch.oldest_ms;
    else if (loader->behind_since_ms == INSTANT_NONE)
        loader->behind_since_ms = engine_now_ms(loader);
    atomic_store_explicit(&figures->records_lag, lag, memory_order_relaxed);
    atomic_store_explicit(&figures->oldest_ms, loader->behind_since_ms, memory_order_relaxed);
}

/* The batch is in PostgreSQL, or needs not be: it has no rows. */
static void count_written(struct loader *loader)
{
    uint64_t records = 0;
    for (uint32_t i = 0; i < loader->options.shards; i++) {
        struct loader_shard *shard = &loader->shards[i];
        records += shard->taken > shard->written ? shard->taken - shard->written : 0;
        shard->written = shard->taken;
    }
    counter_add(loader->options.counters, COUNTER_SINK_RECORDS, records);
    update_figures(loader);
}

/* What PostgreSQL was seen to have. */
static void tell_loaded(struct loader *loader, uint32_t shard, uint64_t position)
{
    atomic_store_explicit(&loader->options.figures->loaded[shard], position, memory_order_release);
}

/* ---- session */

static void close_readers(struct loader *loader)
{
    for (uint32_t i = 0; i < loader->options.shards; i++) {
        journal_reader_close(loader->shards[i].reader);
        loader->shards[i].reader = NULL;
    }
}

static void drop_session(struct loader *loader)
{
    loader_session_close(loader->session);
    loader->session = NULL;
    close_readers(loader);
}

/* Where the database says, or not at all: a cursor that the journal does not reach means that one of them was
 * put back, and loading on would leave a hole or write twice. */
static enum err open_reader(struct loader *loader, uint32_t index, const struct loader_place *place)
{
    uint64_t position = place->position;
    struct loader_shard *shard = &loader->shards[index];
    char directory[4096];
    uint64_t durable = journal_durable(loader->options.journals[index]);
    snprintf(directory, sizeof(directory), "%s/%u", loader->options.journal_directory, index);
    const struct cipher_keys *keys = journal_keys(loader->options.journals[index]);
    enum err error =
        position > durable ? ERR_CORRUPT : journal_reader_open(directory, keys, position, &shard->reader);
    if (error != OK) {
        log_write(LOG_ERROR, "loader",
                  "the journal does not hold the place of vigie.journal_cursor shard=%u error=%s "
                  "hint=journal or database was restored from a copy",
                  index, err_name(error));
        return error;
    }
    loader_batch_seek(&loader->batch, index, position, place->engine_ms);
    tell_loaded(loader, index, position);
    return OK;
}

static enum err count_quarantine(struct loader *loader)
{
    uint64_t rows = 0;
    enum err error = loader_session_count_quarantine(loader->session, &rows);
    if (error == OK)
        atomic_store_explicit(&loader->options.figures->quarantine_rows, rows, memory_order_relaxed);
    return error;
}

static enum err open_session(struct loader *loader)
{
    struct loader_place places[SHARDS_MAX] = {{0}};
    struct loader_session_options options = {.loader = &loader->options,
                                             .quit_fd = loader->quit.fd,
                                             .quiet = loader->failures % FAILURES_A_LINE != 0};
    enum err error = loader_session_open(&options, places, &loader->session);
    if (error != OK)
        return error;
    for (uint32_t i = 0; i < loader->options.shards && error == OK; i++)
        error = open_reader(loader, i, &places[i]);
    if (error == OK)
        error = count_quarantine(loader);
    if (error != OK) {
        drop_session(loader);
        return error;
    }
    loader_batch_clear(&loader->batch);
    loader->writer.session = loader->session;
    loader->backoff_ms = BACKOFF_MS_MIN;
    loader->failures = 0;
    set_state(loader, SINK_CONNECTED);
    log_write(LOG_NOTICE, "loader", "loading into PostgreSQL shards=%u", loader->options.shards);
    return OK;
}

/* Away is waited for; what needs an operator is shown as stuck, and tried again as well. */
static void fail_session(struct loader *loader, enum err error)
{
    drop_session(loader);
    counter_add(loader->options.counters, COUNTER_SINK_ERRORS, 1);
    loader->failures++;
    set_state(loader, error == ERR_UNAVAILABLE ? SINK_WAITING : SINK_STUCK);
    update_figures(loader);
    pause_ms(loader, loader->backoff_ms);
    loader->backoff_ms = loader->backoff_ms * 2 < BACKOFF_MS_MAX ? loader->backoff_ms * 2 : BACKOFF_MS_MAX;
}

/* ---- work */

static enum err gather_shard(struct loader *loader, uint32_t index)
{
    struct loader_batch *batch = &loader->batch;
    struct loader_shard *shard = &loader->shards[index];
    uint64_t durable = journal_durable(loader->options.journals[index]), events;
    struct record record;
    enum err error = OK;
    while (!loader_batch_is_full(batch, loader->options.batch_rows) || loader_batch_is_inside(batch, index)) {
        error = journal_reader_next(shard->reader, durable, &record);
        if (error != OK)
            break;
        loader_batch_take(batch, index, &record);
    }
    batch->to[index] = journal_reader_position(shard->reader);
    shard->taken = journal_reader_count(shard->reader, &events);
    return error;
}

/* Takes what is durable, up to a batch. ERR_CORRUPT and other failures of a reader end the session. */
static enum err gather(struct loader *loader)
{
    for (uint32_t i = 0; i < loader->options.shards; i++) {
        enum err error = gather_shard(loader, i);
        if (error != OK && error != ERR_EMPTY) {
            log_write(LOG_ERROR, "loader",
                      "cannot read the journal shard=%u error=%s hint=vigiectl journal verify", i,
                      err_name(error));
            return error;
        }
    }
    return OK;
}

static bool cursors_moved(const struct loader *loader)
{
    for (uint32_t i = 0; i < loader->options.shards; i++)
        if (loader->batch.to[i] != loader->batch.from[i])
            return true;
    return false;
}

static enum err write_batch(struct loader *loader)
{
    loader->writer.careful = false;
    enum err error = loader_write(&loader->writer, &loader->batch);
    if (error == ERR_REFUSED) {
        const char *sqlstate = postgres_sqlstate(loader->session->postgres);
        enum sqlstate_action action = sqlstate_action(sqlstate);
        log_write(LOG_WARNING, "loader", "a batch was refused sqlstate=%s rows=%u", sqlstate,
                  loader_batch_rows(&loader->batch));
        if (action != SQLSTATE_BISECT)
            return action == SQLSTATE_RETRY ? ERR_UNAVAILABLE : ERR_CONFIG;
        error = postgres_command(loader->session->postgres, "ROLLBACK");
        loader->writer.careful = true;
        if (error == OK)
            error = loader_write(&loader->writer, &loader->batch);
        if (error == ERR_REFUSED)
            error = ERR_UNAVAILABLE;
    }
    if (error == OK && loader_batch_has_quarantine(&loader->batch))
        error = count_quarantine(loader);
    if (error != OK)
        return error;
    loader_batch_clear(&loader->batch);
    for (uint32_t i = 0; i < loader->options.shards; i++)
        tell_loaded(loader, i, loader->batch.from[i]);
    loader->idle_since_ms = clock_monotonic_ms();
    count_written(loader);
    return OK;
}

/* Sleeps until there is work, PostgreSQL speaks or leaves, or it is time to look at cursor and partitions. */
static enum err wait_idle(struct loader *loader, int64_t timeout_ms)
{
    struct pollfd fds[3] = {{.fd = loader->work.fd, .events = POLLIN},
                            {.fd = postgres_fd(loader->session->postgres), .events = POLLIN},
                            {.fd = loader->quit.fd, .events = POLLIN}};
    if (poll(fds, 3, (int)timeout_ms) > 0 && fds[1].revents != 0 &&
        !postgres_is_alive(loader->session->postgres)) {
        log_write(LOG_WARNING, "loader", "PostgreSQL has gone");
        return ERR_UNAVAILABLE;
    }
    wakeup_wait(&loader->work, 0);
    return OK;
}

/* Nothing to store: the cursor follows from time to time, and partitions are made ahead. */
static enum err rest(struct loader *loader)
{
    bool moved = cursors_moved(loader);
    int64_t idle_ms = clock_monotonic_ms() - loader->idle_since_ms;
    if (moved && (idle_ms >= CURSOR_MS || is_quitting(loader)))
        return write_batch(loader);
    enum err error = loader_session_need_week(loader->session, engine_now_ms(loader), PARTITION_WEEKS_AHEAD);
    if (error != OK || is_quitting(loader))
        return error;
    loader->batch.oldest_ms = INSTANT_NONE;
    count_written(loader);
    return wait_idle(loader, moved ? CURSOR_MS - idle_ms : PARTITION_CHECK_MS);
}

/* Once an hour of engine time, and as often as there is more: a call deletes a bounded number of rows. */
static enum err forget_rejected(struct loader *loader)
{
    int64_t now_ms = engine_now_ms(loader);
    bool more = false;
    if (now_ms < loader->forget_ms || is_quitting(loader))
        return OK;
    enum err error = loader_forget_rejected(loader->session->postgres, now_ms, &more);
    if (error == ERR_UNAVAILABLE)
        return error;
    loader->forget_ms = more ? now_ms : now_ms + FORGET_CHECK_MS;
    if (error != OK) /* loading goes on */
        log_write(LOG_WARNING, "loader",
                  "cannot delete old rows of vigie.rejected sqlstate=%s hint=run vigiectl db migrate",
                  postgres_sqlstate(loader->session->postgres));
    return OK;
}

/* One batch, or one sleep. */
static enum err work_once(struct loader *loader)
{
    enum err error = forget_rejected(loader);
    if (error == OK)
        error = gather(loader);
    if (error != OK)
        return error;
    uint32_t rows = loader_batch_rows(&loader->batch);
    if (rows == 0)
        return rest(loader);
    if (!loader_batch_is_full(&loader->batch, loader->options.batch_rows) && !is_quitting(loader)) {
        pause_ms(loader, BATCH_MS);
        error = gather(loader);
        if (error != OK)
            return error;
    }
    update_figures(loader);
    return write_batch(loader);
}

static void *run(void *context)
{
    struct loader *loader = context;
    bool ending = false;
    heartbeat_adopt(&loader->options.counters->heartbeat);
    while (!ending) {
        heartbeat_beat();
        ending = is_quitting(loader); /* one last batch of what is durable by now */
        enum err error = loader->session == NULL ? open_session(loader) : OK;
        if (error == OK)
            error = work_once(loader);
        if (error != OK)
            fail_session(loader, error);
    }
    drop_session(loader);
    return NULL;
}

enum err loader_start(const struct loader_options *options, struct loader **ret_loader)
{
    ensure(options->shards > 0 && options->shards <= SHARDS_MAX && options->batch_rows > 0);
    struct loader *loader = calloc(1, sizeof(*loader));
    if (loader == NULL)
        return ERR_NO_MEMORY;
    loader->options = *options;
    loader->backoff_ms = BACKOFF_MS_MIN;
    loader->behind_since_ms = INSTANT_NONE;
    loader->idle_since_ms = clock_monotonic_ms();
    loader_batch_init(&loader->batch, options->shards);
    set_state(loader, SINK_WAITING);
    atomic_store_explicit(&options->figures->oldest_ms, INSTANT_NONE, memory_order_relaxed);
    enum err error = wakeup_open(&loader->work);
    if (error != OK)
        goto fail_free;
    error = wakeup_open(&loader->quit);
    if (error != OK)
        goto fail_close_work;
    if (pthread_create(&loader->thread, NULL, run, loader) != 0) {
        error = ERR_OS;
        goto fail_close_quit;
    }
    pthread_setname_np(loader->thread, "loader");
    *ret_loader = loader;
    return OK;

fail_close_quit:
    wakeup_close(&loader->quit);
fail_close_work:
    wakeup_close(&loader->work);
fail_free:
    loader_batch_deinit(&loader->batch);
    free(loader);
    return error;
}

void loader_wake(struct loader *loader)
{
    uint64_t none = 0; /* until the thread has counted: nobody may read "nothing is behind" now */
    atomic_compare_exchange_strong_explicit(&loader->options.figures->records_lag, &none, 1,
                                            memory_order_relaxed, memory_order_relaxed);
    wakeup_ring(&loader->work);
}

void loader_knock(struct loader *loader)
{
    wakeup_ring(&loader->work);
}

void loader_stop(struct loader *loader)
{
    if (loader == NULL)
        return;
    atomic_store_explicit(&loader->quitting, true, memory_order_release);
    wakeup_ring(&loader->quit);
    wakeup_ring(&loader->work);
    pthread_join(loader->thread, NULL);
    wakeup_close(&loader->quit);
    wakeup_close(&loader->work);
    loader_writer_deinit(&loader->writer);
    loader_batch_deinit(&loader->batch);
    free(loader);
}
