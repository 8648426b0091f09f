/* publisher: one thread that serves librdkafka, feeds it (publisher_feed.c) and keeps the cursor.
 *
 *   journal, vigie.alert_event ──> streams ──> in flight ── report ──> cursor ── once a second ──>
 * kafka.cursor
 *
 * Whatever goes wrong has one answer: what is not behind the cursor is sent again, with the same bytes.
 * Without broker or topic nothing is taken from the journal but the one event that is held; a failed report,
 * a fatal producer (PITFALLS K6) or a stall throw the producer away, and reading starts again at the cursor.
 */
#include "alerting/publisher_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/instant.h"
#include "daemon/base/log.h"

enum {
    SAVE_MS = 1000,      /* the cursor is written at most this often */
    COMPLAIN_MS = 60000, /* the same complaint is repeated this often */
    CARE_MS = 5000,      /* one by one for at least so long: what waits for PostgreSQL comes too */
    STALL_MS = 300000,   /* in flight and no report for so long: a new producer (PITFALLS K27) */
    IDLE_MS = 10000,     /* nothing is due; bells end the wait earlier */
    FLUSH_MS = 3000,     /* at the stop */
};

bool publisher__may_complain(struct publisher *publisher)
{
    bool may = publisher->complained_ms == 0 || publisher->now_ms - publisher->complained_ms >= COMPLAIN_MS;
    if (may)
        publisher->complained_ms = publisher->now_ms;
    return may;
}

uint64_t publisher__in_flight(const struct publisher *publisher)
{
    uint64_t count = 0;
    for (uint32_t index = 0; index < publisher->options.shards; index++)
        count += flights_count(&publisher->shards[index].stream.flights);
    for (uint32_t index = 0; index < publisher->cursor.behind_count; index++)
        if (publisher->behind[index].stream != NULL)
            count += flights_count(&publisher->behind[index].stream->flights);
    if (publisher->parked != NULL)
        count += flights_count(&publisher->parked->flights);
    return count;
}

/* --- the cursor ------------------------------------------------------------------------------------------
 */

static void save_cursor(struct publisher *publisher)
{
    publisher->saved_ms = publisher->now_ms;
    if (!publisher->dirty)
        return;
    enum err error = publisher_cursor_save(&publisher->cursor, publisher->options.state_dir);
    publisher->dirty = error != OK;
    publisher->urgent = false;
    if (error != OK)
        log_write(LOG_ERROR, "kafka",
                  "cannot save the cursor file=%s/kafka.cursor error=%s hint=\"events will be "
                  "published again after a restart\"",
                  publisher->options.state_dir, err_name(error));
}

/* PITFALLS K26: a patient's partition depends on their number. */
static void note_partitions(struct publisher *publisher)
{
    uint32_t seen = producer_partitions(publisher->producer), known = publisher->cursor.partitions;
    if (publisher->template || seen == 0 || seen == known)
        return;
    if (known != 0)
        log_write(LOG_WARNING, "kafka",
                  "the topic's partitions changed topic=%s found=%" PRIu32 " expected=%" PRIu32
                  " hint=\"events of one patient may be read out of order across the change\"",
                  publisher->options.topic, seen, known);
    publisher->cursor.partitions = seen;
    publisher->dirty = true;
}

/* --- the producer
 * -------------------------------------------------------------------------------------------- */

static enum err make_producer(struct publisher *publisher, char fault[KAFKA_FAULT_MAX])
{
    struct producer_options options = {
        .endpoint = {publisher->options.bootstrap, publisher->options.extra},
        .source = publisher->options.node_name,
        .bell_fd = publisher->bell.fd,
        .counters = publisher->options.counters,
        .alone = publisher->careful,
        .delivered = publisher__delivered,
        .refused = publisher__refused,
        .context = publisher,
    };
    enum err error = producer_new(&options, &publisher->producer, fault);
    if (error == OK)
        atomic_fetch_add_explicit(&publisher->options.more->generation, 1, memory_order_relaxed);
    return error;
}

static void drop_producer(struct publisher *publisher, const char *reason)
{
    log_write(LOG_WARNING, "kafka", "makes a new producer in_flight=%" PRIu64 " reason=\"%s\"",
              publisher__in_flight(publisher), reason);
    producer_free(publisher->producer);
    publisher->producer = NULL;
    publisher->retry_ms = publisher->now_ms + PUBLISHER_RETRY_MS;
    publisher->progress_ms = publisher->now_ms;
    publisher__rewind(publisher);
}

static void note_failure(struct publisher *publisher)
{
    producer_serve(publisher->producer);
    const char *failure = producer_failure(publisher->producer);
    if (failure == NULL && publisher__in_flight(publisher) > 0 &&
        publisher->now_ms - publisher->progress_ms > STALL_MS)
        failure = "no report for five minutes";
    if (failure != NULL)
        drop_producer(publisher, failure);
}

/* What was refused in company has gone one by one: back to batches. */
static void end_care(struct publisher *publisher)
{
    for (uint32_t index = 0; index < publisher->options.shards; index++)
        if (publisher->cursor.position[index] < publisher->shards[index].careful)
            return;
    if (publisher__in_flight(publisher) > 0 || publisher->now_ms - publisher->careful_ms < CARE_MS)
        return;
    publisher->careful = false;
    for (uint32_t index = 0; index < publisher->options.shards; index++)
        publisher->shards[index].careful = 0;
    producer_free(publisher->producer);
    publisher->producer = NULL;
}

/* Serves the producer; replaces one that is of no use any more; asks again for broker and topic while they
 * are away. */
static void tend_producer(struct publisher *publisher)
{
    char fault[KAFKA_FAULT_MAX] = "";
    if (publisher->idle)
        return;
    if (publisher->producer != NULL)
        note_failure(publisher);
    if (publisher->producer != NULL && publisher->careful)
        end_care(publisher);
    if (publisher->now_ms < publisher->retry_ms)
        return;
    if (publisher->producer == NULL && make_producer(publisher, fault) != OK) {
        publisher->retry_ms = publisher->now_ms + PUBLISHER_RETRY_MS;
        if (publisher__may_complain(publisher))
            log_write(LOG_ERROR, "kafka", "cannot make a producer reason=\"%s\"", fault);
        return;
    }
    if (producer_is_connected(publisher->producer) && !publisher->waiting)
        return;
    const char *topic = publisher->template ? NULL : publisher->options.topic;
    enum err error = producer_probe(publisher->producer, topic);
    publisher->now_ms = clock_monotonic_ms();
    if (error != OK) {
        publisher__wait_for(publisher, error, publisher->options.topic);
        return;
    }
    publisher->waiting = publisher->topic_missing = false;
    publisher->complained_ms = 0;
}

/* --- figures ---------------------------------------------------------------------------------------------
 */

static void note_oldest(int64_t *oldest_ms, int64_t ms)
{
    if (*oldest_ms == INSTANT_NONE || ms < *oldest_ms)
        *oldest_ms = ms;
}

/* Events of a stream that wait; adds up the oldest. */
static uint64_t lag_of(const struct publisher *publisher, uint32_t index, int64_t *oldest_ms)
{
    const struct publisher_shard *shard = &publisher->shards[index];
    const struct flight *flight = flights_oldest(&shard->stream.flights);
    struct journal_figures journal;
    journal_figures(publisher->options.journals[index], &journal);
    uint64_t before = stream_events_before(&shard->stream);
    if (flight != NULL)
        note_oldest(oldest_ms, flight->decided_at_ms);
    else if (shard->stream.held)
        note_oldest(oldest_ms, shard->stream.event.decided_at_ms);
    return flights_count(&shard->stream.flights) + shard->stream.held +
           (journal.events > before ? journal.events - before : 0);
}

/* Topics that are behind count what was passed over for them; after a restart at least one each. */
static uint64_t lag_behind(struct publisher *publisher, int64_t *oldest_ms)
{
    uint64_t skipped = 0;
    const struct publisher_cursor *cursor = &publisher->cursor;
    for (uint32_t index = 0; index < cursor->behind_count; index++)
        note_oldest(oldest_ms, cursor->behind[index].decided_at_ms);
    for (uint32_t index = 0; index < publisher->options.shards; index++) {
        if (cursor->behind_count == 0)
            publisher->shards[index].skipped = 0;
        skipped += publisher->shards[index].skipped;
    }
    return skipped > cursor->behind_count ? skipped : cursor->behind_count;
}

static void report_figures(struct publisher *publisher)
{
    uint64_t lag = 0;
    uint32_t archived = 0;
    int64_t oldest_ms = INSTANT_NONE;
    bool broken = false, away = false,
         connected = publisher->producer != NULL && producer_is_connected(publisher->producer);
    for (uint32_t index = 0; index < publisher->options.shards; index++) {
        const struct stream *stream = &publisher->shards[index].stream;
        bool trouble = stream->trouble != OK && stream->trouble != ERR_BUSY;
        lag += lag_of(publisher, index, &oldest_ms);
        archived += stream->archived;
        away |= trouble && stream->archived;
        broken |= trouble && !stream->archived;
    }
    lag += lag_behind(publisher, &oldest_ms);
    struct sink_figures *figures = publisher->options.figures;
    struct publisher_figures *more = publisher->options.more;
    atomic_store_explicit(&figures->records_lag, lag, memory_order_relaxed);
    atomic_store_explicit(&figures->oldest_ms, oldest_ms, memory_order_relaxed);
    atomic_store_explicit(&more->broker_reachable, connected, memory_order_relaxed);
    connected = connected && !publisher->waiting;
    int state = broken ? SINK_STUCK : connected ? SINK_CONNECTED : SINK_WAITING;
    atomic_store_explicit(&figures->state, state, memory_order_relaxed);
    atomic_store_explicit(&more->topics_missing, publisher__missing_topics(publisher), memory_order_relaxed);
    atomic_store_explicit(&more->parked, publisher->cursor.parked_count, memory_order_relaxed);
    atomic_store_explicit(&more->archived, archived, memory_order_relaxed);
    atomic_store_explicit(&more->archive_away, away, memory_order_relaxed);
}

/* --- the thread ------------------------------------------------------------------------------------------
 */

/* How long nothing is due. */
static int64_t rest_ms(const struct publisher *publisher)
{
    int64_t rest = IDLE_MS, until_ms = INT64_MAX;
    if (publisher->dirty)
        until_ms = publisher->saved_ms + SAVE_MS;
    if (publisher->retry_ms > publisher->now_ms && publisher->retry_ms < until_ms)
        until_ms = publisher->retry_ms;
    for (uint32_t index = 0; index < publisher->options.shards; index++)
        if (publisher->shards[index].retry_ms > publisher->now_ms &&
            publisher->shards[index].retry_ms < until_ms)
            until_ms = publisher->shards[index].retry_ms;
    if (publisher->cursor.parked_count > 0 && publisher->parked_ms < until_ms)
        until_ms = publisher->parked_ms;
    if (publisher->careful && publisher->careful_ms + CARE_MS < until_ms)
        until_ms = publisher->careful_ms + CARE_MS;
    if (publisher->cursor.behind_count > 0 && publisher->now_ms + PUBLISHER_RETRY_MS < until_ms)
        until_ms = publisher->now_ms + PUBLISHER_RETRY_MS;
    if (until_ms - publisher->now_ms < rest)
        rest = until_ms - publisher->now_ms;
    return rest > 0 ? rest : 1;
}

/* PITFALLS S9: bounded; what was not reported is sent again at the next start. */
static void finish(struct publisher *publisher)
{
    if (publisher->producer != NULL && publisher__in_flight(publisher) > 0 &&
        producer_is_connected(publisher->producer))
        producer_flush(publisher->producer, FLUSH_MS);
    for (uint32_t index = 0; index < publisher->options.shards; index++)
        publisher__advance_idle(publisher, index, true);
    save_cursor(publisher);
    report_figures(publisher);
    publisher__free_streams(publisher);
}

static void *publisher_main(void *argument)
{
    struct publisher *publisher = argument;
    heartbeat_adopt(&publisher->options.counters->heartbeat);
    while (!atomic_load_explicit(&publisher->stop, memory_order_acquire)) {
        heartbeat_beat();
        publisher->now_ms = clock_monotonic_ms();
        tend_producer(publisher);
        bool more = publisher__feed(publisher);
        if (publisher->producer != NULL)
            note_partitions(publisher);
        if (publisher->urgent || publisher->now_ms - publisher->saved_ms >= SAVE_MS)
            save_cursor(publisher);
        report_figures(publisher);
        if (!more)
            wakeup_wait(&publisher->bell, rest_ms(publisher));
    }
    publisher->now_ms = clock_monotonic_ms();
    finish(publisher);
    return NULL;
}

/* A cursor beyond the journal's end is another journal's. */
static void init_stream(struct publisher *publisher, uint32_t index)
{
    uint64_t *position = &publisher->cursor.position[index];
    const struct stream_options options = {.shard = index,
                                           .journal = publisher->options.journals[index],
                                           .journal_directory = publisher->options.journal_directory,
                                           .archive = publisher->archive};
    if (*position > journal_durable(options.journal)) {
        log_write(LOG_ERROR, "kafka",
                  "the cursor lies behind the journal's end shard=%" PRIu32 " found=%" PRIu64
                  " hint=\"was another journal put here? all its events are published\"",
                  index, *position);
        *position = 0;
    }
    stream_init(&publisher->shards[index].stream, &options, *position);
}

static void free_publisher(struct publisher *publisher)
{
    archive_free(publisher->archive);
    wakeup_close(&publisher->bell);
    free(publisher);
}

static struct publisher *new_publisher(const struct publisher_options *options)
{
    struct publisher *publisher =
        calloc(1, sizeof(*publisher) + options->shards * sizeof(publisher->shards[0]));
    ensure(publisher != NULL);
    publisher->options = *options;
    publisher->bell.fd = -1;
    publisher->idle = !kafka_conf_names_broker(&(struct kafka_endpoint){options->bootstrap, options->extra});
    publisher_cursor_load(&publisher->cursor, options->state_dir, options->shards);
    publisher->template = kafka_topic_is_template(options->topic);
    publisher->archive = archive_new(&(struct archive_options){.conninfo = options->conninfo,
                                                               .node = options->node,
                                                               .node_name = options->node_name,
                                                               .bell = &publisher->bell});
    for (uint32_t index = 0; index < options->shards; index++)
        init_stream(publisher, index);
    return publisher;
}

enum err publisher_start(const struct publisher_options *options, struct publisher **ret_publisher)
{
    char fault[KAFKA_FAULT_MAX] = "";
    ensure(options->shards > 0 && options->shards <= SHARDS_MAX);
    struct publisher *publisher = new_publisher(options);
    enum err error = wakeup_open(&publisher->bell);
    if (error != OK)
        goto fail_free;
    if (publisher->idle)
        log_write(LOG_WARNING, "kafka",
                  "no broker is configured hint=\"alerts wait in the journal; set [kafka] bootstrap\"");
    else
        error = make_producer(publisher, fault);
    if (error != OK) {
        log_write(LOG_ERROR, "kafka", "librdkafka refuses the configuration reason=\"%s\"", fault);
        goto fail_free;
    }
    if (pthread_create(&publisher->thread, NULL, publisher_main, publisher) != 0) {
        error = ERR_OS;
        goto fail_free_producer;
    }
    pthread_setname_np(publisher->thread, "vigie-publish");
    *ret_publisher = publisher;
    return OK;

fail_free_producer:
    producer_free(publisher->producer);
fail_free:
    free_publisher(publisher);
    return error;
}

void publisher_wake(struct publisher *publisher)
{
    wakeup_ring(&publisher->bell);
}

void publisher_stop(struct publisher *publisher)
{
    if (publisher == NULL)
        return;
    atomic_store_explicit(&publisher->stop, true, memory_order_release);
    wakeup_ring(&publisher->bell);
    pthread_join(publisher->thread, NULL);
    producer_free(publisher->producer);
    free_publisher(publisher);
}
