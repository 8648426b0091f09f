/* publisher_feed: which event goes where, and what moves the cursor.
 *
 *   stream ── hold ──┬── send ──> in flight ── report ──> cursor
 *                    ├── parked already: passed over
 *                    └── topic missing: the topic falls behind, passed over
 *
 * One broken topic or event costs only itself.
 *
 * Topics. With a template, a topic that is missing falls behind at the event that would have been next: its
 * shard goes on and passes over that topic's events from there; the place is kept in the cursor. When the
 * topic is there a stream of its own catches up from that place, with that topic's events alone, until it
 * meets the shard's; then they are one again. Order per patient holds, nothing is lost however long it takes,
 * and it needs no memory. Without template all events wait for the one topic.
 *
 * Events that the brokers refuse for their size are parked (PITFALLS S10). A whole batch is refused, so what
 * was in flight goes again one by one, and then the refusal names the event. Beyond PARKED_MAX the cursor
 * stands: a topic that takes no events is for an operator, not for a list. A parked event is tried again at
 * the start and every ten minutes, alone: mending the topic is enough. It then comes late and out of its
 * patient's order, which `sequence` tells. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "alerting/publisher_internal.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "storage/journal_position.h"

enum {
    FEED_MAX = 256,     /* events of one stream between two looks at the reports */
    SCAN_MAX = 4096,    /* events passed over likewise */
    PARKED_MS = 600000, /* from one attempt at a parked event that is refused to the next */
    PROBE_MAX = 16,     /* missing topics asked for in one round: a metadata question each */
};

/* 31 days: an older event says nothing about us, but that a clock was set. */
#define LATENCY_MS_MAX (INT64_C(31) * 86400 * 1000)

/* --- reports ---------------------------------------------------------------------------------------------
 */

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

/* The place in the cursor that a stream moves. */
static uint64_t *place_of(struct publisher *publisher, const struct stream *stream)
{
    for (uint32_t index = 0; index < publisher->cursor.behind_count; index++)
        if (publisher->behind[index].stream == stream)
            return &publisher->cursor.behind[index].position;
    ensure(stream == &publisher->shards[stream->options.shard].stream);
    return &publisher->cursor.position[stream->options.shard];
}

static void complete(struct publisher *publisher, struct flight *flight)
{
    struct stream *stream = flight->stream;
    uint64_t after, *place = place_of(publisher, stream);
    publisher->progress_ms = publisher->now_ms;
    if (!flights_complete(&stream->flights, flight, &after))
        return;
    ensure(after > *place);
    *place = after;
    publisher->dirty = true;
}

static void end_retry(struct publisher *publisher)
{
    if (publisher->parked != NULL)
        stream_deinit(publisher->parked);
    free(publisher->parked);
    publisher->parked = NULL;
}

/* The topic takes it now; the next one may be tried at once. */
static void unpark(struct publisher *publisher, const struct flight *flight)
{
    struct publisher_cursor *cursor = &publisher->cursor;
    uint32_t shard = flight->stream->options.shard;
    log_write(LOG_NOTICE, "kafka", "a parked event was delivered shard=%" PRIu32 " position=%" PRIu64, shard,
              flight->position);
    for (uint32_t index = 0; index < cursor->parked_count; index++)
        if (cursor->parked[index].shard == shard && cursor->parked[index].position == flight->position)
            cursor->parked[index] = cursor->parked[--cursor->parked_count];
    publisher->dirty = true;
    publisher->parked_ms = publisher->now_ms;
    end_retry(publisher);
}

void publisher__delivered(void *context, struct flight *flight)
{
    struct publisher *publisher = context;
    count_latency(publisher, flight);
    counter_add(publisher->options.counters, COUNTER_SINK_RECORDS, 1);
    if (flight->stream == publisher->parked)
        unpark(publisher, flight);
    else
        complete(publisher, flight);
}

/* False: the list is full, the cursor stands. */
static bool park(struct publisher *publisher, uint32_t shard, uint64_t position, const char *why)
{
    struct publisher_cursor *cursor = &publisher->cursor;
    if (publisher_cursor_has_parked(cursor, shard, position))
        return true;
    if (cursor->parked_count == PARKED_MAX) {
        if (publisher__may_complain(publisher))
            log_write(LOG_ERROR, "kafka",
                      "the topic refuses events parked=%" PRIu32
                      " reason=\"%s\" hint=\"alerts wait; the topic's "
                      "max.message.bytes must be 32768 or more\"",
                      cursor->parked_count, why);
        return false;
    }
    cursor->parked[cursor->parked_count++] = (struct cursor_parked){shard, position};
    publisher->dirty = publisher->urgent = true;
    log_write(
        LOG_ERROR, "kafka",
        "an event is refused and was parked shard=%" PRIu32 " position=%" PRIu64 " parked=%" PRIu32
        " reason=\"%s\" hint=\"vigie.alert_event has it; raise the topic's max.message.bytes to 32768 or "
        "more\"",
        shard, position, cursor->parked_count, why);
    return true;
}

/* In company it may be for the company: all that is in flight goes again, one by one. */
void publisher__refused(void *context, struct flight *flight, const char *why)
{
    struct publisher *publisher = context;
    if (flight->stream == publisher->parked)
        return; /* still */
    if (publisher->careful) {
        (void)park(publisher, flight->stream->options.shard, flight->position, why);
        return;
    }
    publisher->careful = true;
    publisher->careful_ms = publisher->now_ms;
    for (uint32_t index = 0; index < publisher->options.shards; index++)
        publisher->shards[index].careful = publisher->shards[index].stream.resume;
}

/* --- topics that are behind ------------------------------------------------------------------------------
 */

static struct cursor_behind *find_behind(struct publisher *publisher, uint32_t shard, const char *topic)
{
    for (uint32_t index = 0; index < publisher->cursor.behind_count; index++) {
        struct cursor_behind *behind = &publisher->cursor.behind[index];
        if (behind->shard == shard && strcmp(behind->topic, topic) == 0)
            return behind;
    }
    return NULL;
}

/* The held event's topic falls behind there; false when no more may. */
static bool fall_behind(struct publisher *publisher, const struct stream *stream, const char *topic)
{
    struct publisher_cursor *cursor = &publisher->cursor;
    struct cursor_behind *behind = find_behind(publisher, stream->options.shard, topic);
    if (behind == NULL && cursor->behind_count == BEHIND_MAX)
        return false;
    if (behind == NULL) {
        publisher->behind[cursor->behind_count] =
            (struct publisher_behind){.retry_ms = publisher->now_ms + PUBLISHER_RETRY_MS};
        behind = &cursor->behind[cursor->behind_count++];
        *behind = (struct cursor_behind){.shard = stream->options.shard, .position = UINT64_MAX};
        memcpy(behind->topic, topic, strlen(topic) + 1);
        log_write(LOG_WARNING, "kafka",
                  "topic is missing topic=%s shard=%" PRIu32 " hint=\"vigiectl kafka create\"", topic,
                  stream->options.shard);
    }
    ensure(stream->position < behind->position); /* or it was passed over */
    behind->position = stream->position;
    behind->decided_at_ms = stream->event.decided_at_ms;
    publisher->dirty = publisher->urgent = true;
    return true;
}

static void free_stream(struct publisher_behind *behind)
{
    if (behind->stream != NULL)
        stream_deinit(behind->stream);
    free(behind->stream);
    behind->stream = NULL;
}

static void forget_behind(struct publisher *publisher, uint32_t index)
{
    struct publisher_cursor *cursor = &publisher->cursor;
    free_stream(&publisher->behind[index]);
    uint32_t last = --cursor->behind_count;
    cursor->behind[index] = cursor->behind[last];
    publisher->behind[index] = publisher->behind[last];
    publisher->behind[last] = (struct publisher_behind){.stream = NULL};
    publisher->dirty = true;
}

/* Several shards may wait for one topic. */
uint32_t publisher__missing_topics(const struct publisher *publisher)
{
    uint32_t count = publisher->topic_missing;
    for (uint32_t index = 0; index < publisher->cursor.behind_count; index++) {
        bool first = publisher->behind[index].stream == NULL;
        for (uint32_t before = 0; first && before < index; before++)
            first =
                publisher->behind[before].stream != NULL ||
                strcmp(publisher->cursor.behind[before].topic, publisher->cursor.behind[index].topic) != 0;
        count += first;
    }
    return count;
}

/* --- reading ---------------------------------------------------------------------------------------------
 */

static void report_trouble(struct publisher *publisher, const struct stream *stream)
{
    /* publisher_archive.h speaks for PostgreSQL */
    if (!stream->archived && publisher__may_complain(publisher))
        log_write(LOG_ERROR, "kafka",
                  "cannot read the journal shard=%" PRIu32 " position=%" PRIu64
                  " error=%s hint=\"vigiectl journal "
                  "verify\"",
                  stream->options.shard, stream->resume, err_name(stream->trouble));
}

/* Fills in where the held event goes; true when that stream has to pass over it. */
static bool is_not_for(struct publisher *publisher, const struct stream *stream, const char *only,
                       char *topic)
{
    const struct alert_event *event = &stream->event;
    /* A name that is too long is cut, and no topic has it: it is missing, and waits alone. */
    if (kafka_topic_name(publisher->options.topic, event->organization, event->organization_size, topic) !=
        OK)
        ensure(topic[KAFKA_TOPIC_MAX] != '\0');
    if (publisher_cursor_has_parked(&publisher->cursor, stream->options.shard, stream->position))
        return true;
    if (only != NULL)
        return strcmp(only, topic) != 0;
    if (publisher->cursor.behind_count == 0)
        return false;
    const struct cursor_behind *behind = find_behind(publisher, stream->options.shard, topic);
    return behind != NULL && stream->position >= behind->position;
}

/* Holds the next event that is for this stream. ERR_FULL: enough was passed over for one round. */
static enum err hold(struct publisher *publisher, struct stream *stream, const char *only, int64_t *retry_ms,
                     char *topic)
{
    if (stream->trouble != OK && stream->trouble != ERR_BUSY && publisher->now_ms < *retry_ms)
        return ERR_EMPTY;
    for (int count = 0; count < SCAN_MAX; count++) {
        enum err error = stream_hold(stream);
        if (error != OK) {
            if (error != ERR_EMPTY && error != ERR_BUSY) {
                *retry_ms = publisher->now_ms + PUBLISHER_RETRY_MS;
                report_trouble(publisher, stream);
            }
            return ERR_EMPTY;
        }
        if (!is_not_for(publisher, stream, only, topic))
            return OK;
        publisher->shards[stream->options.shard].skipped += only == NULL;
        stream_take(stream);
    }
    return ERR_FULL;
}

void publisher__advance_idle(struct publisher *publisher, uint32_t index, bool any)
{
    struct stream *stream = &publisher->shards[index].stream;
    uint64_t *cursor = &publisher->cursor.position[index], here = stream_position(stream);
    if (stream->held || flights_count(&stream->flights) > 0 || here <= *cursor)
        return;
    if (!any && position_segment(here) == position_segment(*cursor))
        return;
    *cursor = here;
    publisher->dirty = true;
}

/* --- sending ---------------------------------------------------------------------------------------------
 */

static enum err send_held(struct publisher *publisher, struct stream *stream, const char *topic)
{
    const struct producer_event event = {
        .topic = topic, .head = &stream->event, .json = stream->json, .json_size = stream->json_size};
    if (publisher__in_flight(publisher) == 0)
        publisher->progress_ms = publisher->now_ms;
    struct flight *flight = flights_add(&stream->flights);
    *flight = (struct flight){
        .position = stream->position,
        .after = stream->resume,
        .decided_at_ms = stream->event.decided_at_ms,
        .read_at_ms = publisher->now_ms,
        .stream = stream,
    };
    enum err error = producer_send(publisher->producer, &event, flight);
    if (error != OK)
        flights_undo(&stream->flights);
    if (error == ERR_LIMIT &&
        park(publisher, stream->options.shard, stream->position, "too large for librdkafka"))
        error = OK;
    if (error == OK)
        stream_take(stream);
    return error;
}

void publisher__wait_for(struct publisher *publisher, enum err error, const char *topic)
{
    publisher->retry_ms = publisher->now_ms + PUBLISHER_RETRY_MS;
    publisher->waiting = true;
    publisher->topic_missing = error == ERR_NOT_FOUND;
    if (!publisher__may_complain(publisher))
        return;
    if (error == ERR_NOT_FOUND)
        log_write(LOG_WARNING, "kafka", "topic is missing topic=%s hint=\"vigiectl kafka create\"", topic);
    else
        log_write(LOG_WARNING, "kafka",
                  "no broker answers bootstrap=%s hint=\"alerts wait in the journal; check "
                  "[kafka] bootstrap and the network\"",
                  publisher->options.bootstrap);
}

/* What the topic's absence means; true when the stream may go on without it. */
static bool go_on_without(struct publisher *publisher, struct stream *stream, enum err error,
                          const char *topic)
{
    if (error == ERR_NOT_FOUND && publisher->template && fall_behind(publisher, stream, topic)) {
        publisher->shards[stream->options.shard].skipped++;
        stream_take(stream);
        return true;
    }
    publisher__wait_for(publisher, error, topic);
    return false;
}

/* True when there may be more at once. */
static bool feed_shard(struct publisher *publisher, struct publisher_shard *shard)
{
    char topic[KAFKA_TOPIC_MAX + 2];
    struct stream *stream = &shard->stream;
    for (int count = 0; count < FEED_MAX; count++) {
        enum err error = hold(publisher, stream, NULL, &shard->retry_ms, topic);
        if (error != OK) {
            publisher__advance_idle(publisher, stream->options.shard, error == ERR_FULL);
            return error == ERR_FULL;
        }
        if (flights_are_full(&stream->flights))
            return false;
        error = producer_probe(publisher->producer, topic);
        if (error != OK && !go_on_without(publisher, stream, error, topic))
            return false;
        if (error != OK)
            continue;
        publisher->waiting = publisher->topic_missing = false;
        if (send_held(publisher, stream, topic) != OK)
            return false; /* full: a report rings; failed: the next round makes a new producer */
    }
    return true;
}

/* --- catching up -----------------------------------------------------------------------------------------
 */

/* The topic is there again: a stream of its own. */
static void start_behind(struct publisher *publisher, uint32_t index)
{
    const struct cursor_behind *behind = &publisher->cursor.behind[index];
    struct publisher_behind *more = &publisher->behind[index];
    more->stream = malloc(sizeof(*more->stream));
    ensure(more->stream != NULL);
    stream_init(more->stream, &publisher->shards[behind->shard].stream.options, behind->position);
    log_write(LOG_NOTICE, "kafka", "topic catches up topic=%s shard=%" PRIu32 " from=%" PRIu64, behind->topic,
              behind->shard, behind->position);
}

/* Until the stream meets the shard's; then, all reported, the shard's takes over. */
static bool feed_behind(struct publisher *publisher, uint32_t index)
{
    struct publisher_behind *more = &publisher->behind[index];
    struct cursor_behind *behind = &publisher->cursor.behind[index];
    const uint64_t meets = publisher->shards[behind->shard].stream.resume;
    char topic[KAFKA_TOPIC_MAX + 2];
    for (int count = 0; count < FEED_MAX; count++) {
        enum err error = hold(publisher, more->stream, behind->topic, &more->retry_ms, topic);
        if (error == ERR_FULL)
            return true;
        bool met = error == OK ? more->stream->position >= meets : more->stream->trouble == OK;
        if (met && flights_count(&more->stream->flights) == 0) {
            log_write(LOG_NOTICE, "kafka", "topic has caught up topic=%s shard=%" PRIu32, behind->topic,
                      behind->shard);
            forget_behind(publisher, index);
            return true;
        }
        if (met || error != OK || flights_are_full(&more->stream->flights))
            return false;
        behind->decided_at_ms = more->stream->event.decided_at_ms;
        error = producer_probe(publisher->producer, behind->topic);
        if (error == ERR_NOT_FOUND && flights_count(&more->stream->flights) == 0)
            free_stream(more); /* gone again */
        if (error != OK || send_held(publisher, more->stream, topic) != OK) {
            more->retry_ms = publisher->now_ms + PUBLISHER_RETRY_MS;
            return false;
        }
    }
    return true;
}

static bool feed_all_behind(struct publisher *publisher)
{
    bool more = false;
    int probes = 0;
    for (uint32_t index = 0; index < publisher->cursor.behind_count; index++) {
        struct publisher_behind *behind = &publisher->behind[index];
        if (behind->stream == NULL) {
            if (publisher->now_ms < behind->retry_ms || ++probes > PROBE_MAX)
                continue;
            behind->retry_ms = publisher->now_ms + PUBLISHER_RETRY_MS;
            enum err error = producer_probe(publisher->producer, publisher->cursor.behind[index].topic);
            if (error == ERR_UNAVAILABLE)
                return false;
            if (error == OK)
                start_behind(publisher, index);
        }
        if (behind->stream != NULL)
            more |= feed_behind(publisher, index);
    }
    return more;
}

/* --- parked events, again --- */

/* Starts an attempt when one is due; false: none is under way. */
static bool attempt_is_open(struct publisher *publisher)
{
    const struct publisher_cursor *cursor = &publisher->cursor;
    if (publisher->parked != NULL)
        return true;
    if (cursor->parked_count == 0 || publisher->now_ms < publisher->parked_ms || publisher->careful)
        return false;
    const struct cursor_parked *next = &cursor->parked[publisher->parked_next++ % cursor->parked_count];
    publisher->parked_ms = publisher->now_ms + PARKED_MS;
    publisher->parked = malloc(sizeof(*publisher->parked));
    ensure(publisher->parked != NULL);
    stream_init(publisher->parked, &publisher->shards[next->shard].stream.options, next->position);
    return true;
}

/* True while nothing else may be sent: the event travels alone, so that a refusal is its own. */
static bool retry_parked(struct publisher *publisher)
{
    char topic[KAFKA_TOPIC_MAX + 2];
    if (!attempt_is_open(publisher))
        return false;
    struct stream *stream = publisher->parked;
    if (flights_count(&stream->flights) > 0)
        return true;
    enum err error = stream_hold(stream);
    if (error == ERR_BUSY)
        return false;
    if (error != OK ||
        !publisher_cursor_has_parked(&publisher->cursor, stream->options.shard, stream->position)) {
        end_retry(publisher);
        return false;
    }
    if (publisher__in_flight(publisher) > 0)
        return true;
    error = kafka_topic_name(publisher->options.topic, stream->event.organization,
                             stream->event.organization_size, topic);
    if (error == OK)
        error = producer_probe(publisher->producer, topic);
    if (error == OK)
        error = send_held(publisher, stream, topic);
    if (error == OK && flights_count(&stream->flights) > 0)
        return true;
    end_retry(publisher);
    return false;
}

/* --- all -------------------------------------------------------------------------------------------------
 */

bool publisher__feed(struct publisher *publisher)
{
    bool more = false,
         may_send = publisher->producer != NULL && producer_failure(publisher->producer) == NULL;
    char topic[KAFKA_TOPIC_MAX + 2];
    if (may_send && publisher->now_ms >= publisher->retry_ms && retry_parked(publisher))
        return false; /* its report rings */
    for (uint32_t index = 0; index < publisher->options.shards; index++) {
        struct publisher_shard *shard = &publisher->shards[index];
        if (may_send && publisher->now_ms >= publisher->retry_ms)
            more |= feed_shard(publisher, shard);
        else /* the oldest that waits is what the lag is measured by */
            (void)(hold(publisher, &shard->stream, NULL, &shard->retry_ms, topic) == OK);
    }
    if (may_send && publisher->now_ms >= publisher->retry_ms)
        more |= feed_all_behind(publisher);
    return more;
}

void publisher__rewind(struct publisher *publisher)
{
    end_retry(publisher);
    for (uint32_t index = 0; index < publisher->options.shards; index++)
        stream_rewind(&publisher->shards[index].stream, publisher->cursor.position[index]);
    for (uint32_t index = 0; index < publisher->cursor.behind_count; index++)
        if (publisher->behind[index].stream != NULL)
            stream_rewind(publisher->behind[index].stream, publisher->cursor.behind[index].position);
}

void publisher__free_streams(struct publisher *publisher)
{
    end_retry(publisher);
    for (uint32_t index = 0; index < publisher->options.shards; index++)
        stream_deinit(&publisher->shards[index].stream);
    for (uint32_t index = 0; index < publisher->cursor.behind_count; index++)
        free_stream(&publisher->behind[index]);
}
