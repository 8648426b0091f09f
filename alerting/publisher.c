/* publisher: reads events behind the durable position of each shard, hands them to a producer, moves the
 * cursor.
 *
 *   journal ── next_event ──> held ── send ──> in flight ── report ──> cursor ── once a second ──>
 * kafka.cursor
 *
 * Whatever goes wrong has one answer: what is not behind the cursor is sent again, from the journal, with the
 * same bytes. Without broker or topic nothing is taken from the journal but the one event that is held; a
 * failed report, a fatal producer (PITFALLS K6) or a stall throw the producer away, and reading starts again
 * at the cursor. Nothing is ever left out, so an event that a broker refuses for good (a topic whose
 * max.message.bytes is below 16 KB) stops its shard, loudly, until the topic is mended; the loader has it in
 * PostgreSQL meanwhile. */
#include "alerting/publisher.h"

#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerting/publisher_cursor.h"
#include "alerting/publisher_producer.h"
#include "daemon/base/clock.h"
#include "daemon/base/instant.h"
#include "daemon/base/log.h"
#include "daemon/model/alert_event.h"
#include "storage/journal_position.h"

enum {
    FEED_MAX = 256,      /* events of one shard between two looks at the reports */
    SAVE_MS = 1000,      /* the cursor is written at most this often */
    RETRY_MS = 1000,     /* from one attempt at broker or topic to the next */
    COMPLAIN_MS = 60000, /* the same complaint is repeated this often */
    STALL_MS = 300000,   /* in flight and no report for so long: a new producer (PITFALLS K27) */
    IDLE_MS = 10000,     /* nothing is due; bells end the wait earlier */
    FLUSH_MS = 3000,     /* at the stop */
};

/* 31 days: an older event says nothing about us, but that a clock was set. */
#define LATENCY_MS_MAX (INT64_C(31) * 86400 * 1000)

_Static_assert((int)EVENT_COUNT <= (int)EVENT_KINDS && (int)PRIORITY_COUNT <= (int)PRIORITIES,
               "every event has its counter");

struct publisher_shard {
    struct journal_reader *reader; /* NULL: to be opened at `resume` */
    uint64_t resume;               /* behind the event read last */
    struct record record;          /* the held event, in the reader's memory */
    bool held;
    bool broken; /* the journal could not be read at the last attempt */
    struct flights flights;
};

struct publisher {
    struct publisher_options options;
    pthread_t thread;
    struct wakeup bell;
    _Atomic bool stop;

    /* the thread's */
    struct producer *producer; /* NULL: none can be made, or none is wanted */
    bool idle;                 /* no broker is configured */
    struct publisher_cursor cursor;
    bool dirty;   /* the cursor moved since it was saved */
    bool waiting; /* for a broker or a topic, at the last look */
    int64_t now_ms, saved_ms, retry_ms, complained_ms, progress_ms;
    struct publisher_shard shards[];
};

/* --- complaints
 * ---------------------------------------------------------------------------------------------- */

static bool may_complain(struct publisher *publisher)
{
    bool may = publisher->complained_ms == 0 || publisher->now_ms - publisher->complained_ms >= COMPLAIN_MS;
    if (may)
        publisher->complained_ms = publisher->now_ms;
    return may;
}

static void wait_for(struct publisher *publisher, enum err error)
{
    publisher->retry_ms = publisher->now_ms + RETRY_MS;
    publisher->waiting = true;
    if (!may_complain(publisher))
        return;
    if (error == ERR_NOT_FOUND)
        log_write(LOG_WARNING, "kafka", "topic is missing topic=%s hint=\"vigiectl kafka create\"",
                  publisher->options.topic);
    else
        log_write(LOG_WARNING, "kafka",
                  "no broker answers bootstrap=%s hint=\"alerts wait in the journal; check "
                  "[kafka] bootstrap and the network\"",
                  publisher->options.bootstrap);
}

/* --- reports
 * ------------------------------------------------------------------------------------------------- */

/* From the decision to the report. Engine time follows the wall clock but for a test clock: then, from the
 * reading. */
static void count_latency(struct publisher *publisher, const struct flight *flight)
{
    int64_t ms = clock_wall_ms() - flight->decided_at_ms,
            since_read_ms = publisher->now_ms - flight->read_at_ms;
    if (ms < since_read_ms || ms > LATENCY_MS_MAX)
        ms = since_read_ms;
    histogram_add_us(&publisher->options.counters->histogram[HISTOGRAM_DELIVERY], (uint64_t)ms * 1000);
}

static void on_delivered(void *context, struct flight *flight)
{
    struct publisher *publisher = context;
    struct publisher_shard *shard = &publisher->shards[flight->shard];
    struct counters *counters = publisher->options.counters;
    uint64_t after;
    count_latency(publisher, flight);
    counter_add(counters, COUNTER_SINK_RECORDS, 1);
    if (flight->kind < EVENT_KINDS && flight->priority < PRIORITIES)
        atomic_fetch_add_explicit(&counters->alerts[flight->kind][flight->priority], 1, memory_order_relaxed);
    publisher->progress_ms = publisher->now_ms;
    if (!flights_complete(&shard->flights, flight, &after))
        return;
    ensure(after > publisher->cursor.position[flight->shard]);
    publisher->cursor.position[flight->shard] = after;
    publisher->dirty = true;
}

static uint64_t in_flight(const struct publisher *publisher)
{
    uint64_t count = 0;
    for (uint32_t index = 0; index < publisher->options.shards; index++)
        count += flights_count(&publisher->shards[index].flights);
    return count;
}

/* --- the cursor
 * ---------------------------------------------------------------------------------------------- */

/* Where nothing is open, passing over readings moves the cursor too; a segment at a time, to spare the disk.
 */
static void advance_idle(struct publisher *publisher, uint32_t index, bool any)
{
    struct publisher_shard *shard = &publisher->shards[index];
    uint64_t *cursor = &publisher->cursor.position[index];
    if (shard->reader == NULL || shard->held || flights_count(&shard->flights) > 0)
        return;
    uint64_t here = journal_reader_position(shard->reader);
    if (here <= *cursor || (!any && position_segment(here) == position_segment(*cursor)))
        return;
    *cursor = here;
    publisher->dirty = true;
}

static void save_cursor(struct publisher *publisher)
{
    publisher->saved_ms = publisher->now_ms;
    if (!publisher->dirty)
        return;
    enum err error = publisher_cursor_save(&publisher->cursor, publisher->options.state_dir);
    publisher->dirty = error != OK;
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
    if (seen == 0 || seen == known)
        return;
    if (known != 0)
        log_write(LOG_WARNING, "kafka",
                  "the topic's partitions changed topic=%s found=%" PRIu32 " expected=%" PRIu32
                  " hint=\"events of one patient may be read out of order across the change\"",
                  publisher->options.topic, seen, known);
    publisher->cursor.partitions = seen;
    publisher->dirty = true;
}

/* --- reading
 * ------------------------------------------------------------------------------------------------- */

static enum err open_reader(struct publisher *publisher, uint32_t index)
{
    struct publisher_shard *shard = &publisher->shards[index];
    char directory[PATH_MAX];
    int length =
        snprintf(directory, sizeof(directory), "%s/%" PRIu32, publisher->options.journal_directory, index);
    ensure(length < (int)sizeof(directory));
    if (shard->resume > journal_durable(publisher->options.journals[index])) {
        log_write(LOG_ERROR, "kafka",
                  "the cursor lies behind the journal's end shard=%" PRIu32 " found=%" PRIu64
                  " hint=\"was another journal put here? all its events are published\"",
                  index, shard->resume);
        shard->resume = publisher->cursor.position[index] = 0;
    }
    return journal_reader_open(directory, shard->resume, &shard->reader);
}

static void report_broken(struct publisher *publisher, uint32_t index, enum err error)
{
    struct publisher_shard *shard = &publisher->shards[index];
    journal_reader_close(shard->reader);
    shard->reader = NULL;
    shard->broken = true;
    publisher->retry_ms = publisher->now_ms + RETRY_MS;
    if (may_complain(publisher))
        log_write(LOG_ERROR, "kafka",
                  "cannot read the journal shard=%" PRIu32 " position=%" PRIu64 " error=%s "
                  "hint=\"vigiectl journal verify\"",
                  index, shard->resume, err_name(error));
}

/* Holds the shard's next event; false when there is none now. */
static bool hold_event(struct publisher *publisher, uint32_t index)
{
    struct publisher_shard *shard = &publisher->shards[index];
    enum err error = OK;
    if (shard->held)
        return true;
    if (shard->broken && publisher->now_ms < publisher->retry_ms)
        return false;
    if (shard->reader == NULL)
        error = open_reader(publisher, index);
    if (error == OK)
        error = journal_reader_next_event(shard->reader, journal_durable(publisher->options.journals[index]),
                                          &shard->record);
    if (error == OK && shard->record.size < sizeof(struct alert_event))
        error = ERR_CORRUPT;
    shard->held = error == OK;
    if (error != OK && error != ERR_EMPTY)
        report_broken(publisher, index, error);
    else
        shard->broken = false;
    if (shard->held)
        shard->resume = journal_reader_position(shard->reader);
    else
        advance_idle(publisher, index, false);
    return shard->held;
}

static const struct alert_event *held_event(const struct publisher_shard *shard)
{
    return (const struct alert_event *)(const void *)shard->record.data;
}

static enum err send_held(struct publisher *publisher, uint32_t index)
{
    struct publisher_shard *shard = &publisher->shards[index];
    const struct alert_event *event = held_event(shard);
    struct flight *flight = flights_add(&shard->flights);
    *flight = (struct flight){
        .after = shard->resume,
        .decided_at_ms = event->decided_at_ms,
        .read_at_ms = publisher->now_ms,
        .shard = index,
        .kind = event->kind,
        .priority = event->priority,
    };
    enum err error = producer_send(publisher->producer, event, (const char *)(event + 1),
                                   shard->record.size - (uint32_t)sizeof(*event), flight);
    if (error == OK)
        shard->held = false;
    else
        flights_undo(&shard->flights);
    return error;
}

/* Hands over what a shard has; true when there may be more at once. */
static bool feed_shard(struct publisher *publisher, uint32_t index)
{
    struct publisher_shard *shard = &publisher->shards[index];
    for (int count = 0; count < FEED_MAX; count++) {
        if (!hold_event(publisher, index) || flights_are_full(&shard->flights))
            return false;
        enum err error = producer_probe(publisher->producer, held_event(shard));
        if (error != OK) {
            wait_for(publisher, error);
            return false;
        }
        publisher->waiting = false;
        if (in_flight(publisher) == 0)
            publisher->progress_ms = publisher->now_ms;
        if (send_held(publisher, index) != OK)
            return false; /* full: a report rings; failed: the next round makes a new producer */
    }
    return true;
}

static bool feed(struct publisher *publisher)
{
    bool more = false,
         may_send = publisher->producer != NULL && producer_failure(publisher->producer) == NULL;
    for (uint32_t index = 0; index < publisher->options.shards; index++) {
        if (may_send && publisher->now_ms >= publisher->retry_ms)
            more |= feed_shard(publisher, index);
        else
            hold_event(publisher, index); /* the oldest that waits is what the lag is measured by */
    }
    return more;
}

/* --- the producer
 * -------------------------------------------------------------------------------------------- */

static enum err make_producer(struct publisher *publisher, char fault[KAFKA_FAULT_MAX])
{
    struct producer_options options = {
        .endpoint = {publisher->options.bootstrap, publisher->options.extra},
        .topic = publisher->options.topic,
        .source = publisher->options.node_name,
        .bell_fd = publisher->bell.fd,
        .counters = publisher->options.counters,
        .delivered = on_delivered,
        .context = publisher,
    };
    return producer_new(&options, &publisher->producer, fault);
}

/* All that is not behind the cursor is in doubt: it is read and sent again. */
static void rewind_to_cursor(struct publisher *publisher)
{
    for (uint32_t index = 0; index < publisher->options.shards; index++) {
        struct publisher_shard *shard = &publisher->shards[index];
        journal_reader_close(shard->reader);
        shard->reader = NULL;
        shard->held = false;
        shard->resume = publisher->cursor.position[index];
        flights_reset(&shard->flights);
    }
}

static void drop_producer(struct publisher *publisher, const char *reason)
{
    log_write(LOG_WARNING, "kafka", "makes a new producer in_flight=%" PRIu64 " reason=\"%s\"",
              in_flight(publisher), reason);
    producer_free(publisher->producer);
    publisher->producer = NULL;
    publisher->retry_ms = publisher->now_ms + RETRY_MS;
    publisher->progress_ms = publisher->now_ms;
    rewind_to_cursor(publisher);
}

/* Serves the producer; replaces one that is of no use any more; asks again for broker and topic while they
 * are away. */
static void tend_producer(struct publisher *publisher)
{
    char fault[KAFKA_FAULT_MAX] = "";
    if (publisher->idle)
        return;
    if (publisher->producer != NULL) {
        producer_serve(publisher->producer);
        const char *failure = producer_failure(publisher->producer);
        if (failure == NULL && in_flight(publisher) > 0 &&
            publisher->now_ms - publisher->progress_ms > STALL_MS)
            failure = "no report for five minutes";
        if (failure != NULL)
            drop_producer(publisher, failure);
    }
    if (publisher->now_ms < publisher->retry_ms)
        return;
    if (publisher->producer == NULL && make_producer(publisher, fault) != OK) {
        publisher->retry_ms = publisher->now_ms + RETRY_MS;
        if (may_complain(publisher))
            log_write(LOG_ERROR, "kafka", "cannot make a producer reason=\"%s\"", fault);
        return;
    }
    if (producer_is_connected(publisher->producer) && !publisher->waiting)
        return;
    enum err error = producer_probe(publisher->producer, NULL);
    publisher->now_ms = clock_monotonic_ms();
    if (error != OK) {
        wait_for(publisher, error);
        return;
    }
    publisher->waiting = false;
    publisher->complained_ms = 0;
}

/* --- figures
 * ------------------------------------------------------------------------------------------------- */

static void report_figures(struct publisher *publisher)
{
    uint64_t lag = 0;
    int64_t oldest_ms = INSTANT_NONE;
    bool broken = false,
         connected = publisher->producer != NULL && producer_is_connected(publisher->producer);
    connected = connected && !publisher->waiting;
    for (uint32_t index = 0; index < publisher->options.shards; index++) {
        const struct publisher_shard *shard = &publisher->shards[index];
        const struct flight *flight = flights_oldest(&shard->flights);
        struct journal_figures journal;
        uint64_t events = 0;
        journal_figures(publisher->options.journals[index], &journal);
        if (shard->reader != NULL)
            journal_reader_count(shard->reader, &events);
        lag += flights_count(&shard->flights) + shard->held +
               (journal.events > events ? journal.events - events : 0);
        broken |= shard->broken;
        if (flight == NULL && !shard->held)
            continue;
        int64_t ms = flight != NULL ? flight->decided_at_ms : held_event(shard)->decided_at_ms;
        if (oldest_ms == INSTANT_NONE || ms < oldest_ms)
            oldest_ms = ms;
    }
    struct sink_figures *figures = publisher->options.figures;
    atomic_store_explicit(&figures->records_lag, lag, memory_order_relaxed);
    atomic_store_explicit(&figures->oldest_ms, oldest_ms, memory_order_relaxed);
    int state = broken ? SINK_STUCK : connected ? SINK_CONNECTED : SINK_WAITING;
    atomic_store_explicit(&figures->state, state, memory_order_relaxed);
}

/* --- the thread
 * ---------------------------------------------------------------------------------------------- */

/* How long nothing is due. */
static int64_t rest_ms(const struct publisher *publisher)
{
    int64_t rest = IDLE_MS;
    if (publisher->dirty && publisher->saved_ms + SAVE_MS - publisher->now_ms < rest)
        rest = publisher->saved_ms + SAVE_MS - publisher->now_ms;
    if (publisher->retry_ms > publisher->now_ms && publisher->retry_ms - publisher->now_ms < rest)
        rest = publisher->retry_ms - publisher->now_ms;
    return rest > 0 ? rest : 1;
}

/* PITFALLS S9: bounded; what was not reported is sent again at the next start. */
static void finish(struct publisher *publisher)
{
    if (publisher->producer != NULL && in_flight(publisher) > 0 && producer_is_connected(publisher->producer))
        producer_flush(publisher->producer, FLUSH_MS);
    for (uint32_t index = 0; index < publisher->options.shards; index++)
        advance_idle(publisher, index, true);
    save_cursor(publisher);
    report_figures(publisher);
    rewind_to_cursor(publisher);
}

static void *publisher_main(void *argument)
{
    struct publisher *publisher = argument;
    while (!atomic_load_explicit(&publisher->stop, memory_order_acquire)) {
        publisher->now_ms = clock_monotonic_ms();
        tend_producer(publisher);
        bool more = feed(publisher);
        if (publisher->producer != NULL)
            note_partitions(publisher);
        if (publisher->now_ms - publisher->saved_ms >= SAVE_MS)
            save_cursor(publisher);
        report_figures(publisher);
        if (!more)
            wakeup_wait(&publisher->bell, rest_ms(publisher));
    }
    publisher->now_ms = clock_monotonic_ms();
    finish(publisher);
    return NULL;
}

static struct publisher *new_publisher(const struct publisher_options *options)
{
    struct publisher *publisher =
        calloc(1, sizeof(*publisher) + options->shards * sizeof(publisher->shards[0]));
    ensure(publisher != NULL);
    publisher->options = *options;
    publisher->idle = !kafka_conf_names_broker(&(struct kafka_endpoint){options->bootstrap, options->extra});
    publisher_cursor_load(&publisher->cursor, options->state_dir, options->shards);
    for (uint32_t index = 0; index < options->shards; index++)
        publisher->shards[index].resume = publisher->cursor.position[index];
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
        goto fail_close_bell;
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
fail_close_bell:
    wakeup_close(&publisher->bell);
fail_free:
    free(publisher);
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
    wakeup_close(&publisher->bell);
    free(publisher);
}
