/* publisher_feed: which event goes where, step by step: a publisher without its thread, whose rounds the test
 * makes, against the mock cluster. What only the thread does stands at the end. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alerting/kafka_admin.h"
#include "alerting/publisher_internal.h"
#include "daemon/base/buffer.h"
#include "daemon/base/clock.h"
#include "daemon/base/file.h"
#include "daemon/base/hash.h"
#include "tests/unit/publisher_fixture.h"
#include "tests/unit/unit.h"

#define TEMPLATE "alerts.{organization}"

/* --- a publisher by hand --- */

static struct publisher *by_hand(struct cluster_fixture *fixture, const char *const *extra)
{
    char fault[KAFKA_FAULT_MAX];
    struct publisher *publisher =
        calloc(1, sizeof(*publisher) + CLUSTER_SHARDS * sizeof(publisher->shards[0]));
    publisher->options = (struct publisher_options){.bootstrap = fixture->bootstrap,
                                                    .topic = fixture->topic,
                                                    .shards = CLUSTER_SHARDS,
                                                    .counters = fixture->counters};
    publisher->template = kafka_topic_is_template(fixture->topic);
    publisher->cursor.shards = CLUSTER_SHARDS;
    publisher->now_ms = clock_monotonic_ms();
    CU_ASSERT_EQUAL_FATAL(wakeup_open(&publisher->bell), OK);
    publisher->archive = archive_new(&(struct archive_options){
        .conninfo = "host=127.0.0.1 port=1", .node = 1, .node_name = "node-1", .bell = &publisher->bell});
    for (uint32_t shard = 0; shard < CLUSTER_SHARDS; shard++)
        stream_init(&publisher->shards[shard].stream,
                    &(struct stream_options){.shard = shard,
                                             .journal = fixture->journals[shard],
                                             .journal_directory = fixture->journal_directory,
                                             .archive = publisher->archive},
                    0);
    struct producer_options options = {.endpoint = {fixture->bootstrap, extra},
                                       .source = "node-1",
                                       .bell_fd = publisher->bell.fd,
                                       .counters = fixture->counters,
                                       .delivered = publisher__delivered,
                                       .refused = publisher__refused,
                                       .context = publisher};
    CU_ASSERT_EQUAL_FATAL(producer_new(&options, &publisher->producer, fault), OK);
    return publisher;
}

static void by_hand_free(struct publisher *publisher)
{
    publisher__free_streams(publisher);
    producer_free(publisher->producer);
    archive_free(publisher->archive);
    wakeup_close(&publisher->bell);
    free(publisher);
}

static bool round_of(struct publisher *publisher)
{
    producer_serve(publisher->producer);
    publisher->now_ms = clock_monotonic_ms();
    return publisher__feed(publisher);
}

static uint64_t sent(const struct publisher *publisher)
{
    return publisher->options.counters->value[COUNTER_SINK_RECORDS];
}

static bool sends(struct publisher *publisher, uint64_t wanted)
{
    for (int count = 0; count < 2000 && sent(publisher) < wanted; count++) {
        (void)round_of(publisher);
        clock_sleep_ms(5);
    }
    return sent(publisher) == wanted;
}

/* An event of `size` bytes of JSON; gives its position. */
static uint64_t put(struct cluster_fixture *fixture, uint32_t shard, const char *organization, uint32_t size)
{
    struct alert_event event;
    char short_json[256], *json = malloc(size);
    cluster_make_event(fixture->written++, &event, short_json);
    event.organization_size = (uint8_t)sprintf(event.organization, "%s", organization);
    memset(json, 'x', size);
    struct journal_bytes parts[] = {{&event, sizeof(event)}, {json, size}};
    uint64_t position = journal_append(fixture->journals[shard], RECORD_EVENT, parts, 2);
    CU_ASSERT_EQUAL_FATAL(journal_commit(fixture->journals[shard]), OK);
    free(json);
    return position;
}

/* A topic that waits from `position` on, and is not asked for before the test says so. */
static void wait_from(struct publisher *publisher, const char *topic, uint64_t position)
{
    uint32_t index = publisher->cursor.behind_count++;
    publisher->cursor.behind[index] = (struct cursor_behind){.shard = 0, .position = position};
    snprintf(publisher->cursor.behind[index].topic, KAFKA_TOPIC_MAX + 2, "%s", topic);
    publisher->behind[index].retry_ms = INT64_MAX;
}

static struct stream *catch_up(struct publisher *publisher, uint32_t index)
{
    struct stream *stream = malloc(sizeof(*stream));
    stream_init(stream, &publisher->shards[0].stream.options, publisher->cursor.behind[index].position);
    publisher->behind[index].stream = stream;
    return stream;
}

static void fill(struct flights *flights)
{
    while (!flights_are_full(flights))
        flights_add(flights);
}

/* --- parked events --- */

static void test_complaints(void)
{
    struct publisher publisher = {.now_ms = 1000};
    CU_ASSERT(publisher__may_complain(&publisher));
    publisher.now_ms = 60999;
    CU_ASSERT(!publisher__may_complain(&publisher));
    publisher.now_ms = 61000;
    CU_ASSERT(publisher__may_complain(&publisher));
}

/* Each event is parked once; when no more may, the cursor stands and says so once a minute. */
static void test_parked_full(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "vigie.alerts", true);
    struct publisher *publisher = by_hand(&fixture, NULL);
    struct flight *flight = flights_add(&publisher->shards[0].stream.flights);
    publisher->careful = true;
    for (uint32_t count = 1; count <= PARKED_MAX; count++) {
        *flight = (struct flight){.position = count, .stream = &publisher->shards[0].stream};
        publisher__refused(publisher, flight, "as a test");
        publisher__refused(publisher, flight, "as a test");
        CU_ASSERT_EQUAL(publisher->cursor.parked_count, count);
    }
    CU_ASSERT_EQUAL(publisher->complained_ms, 0);
    flight->position = PARKED_MAX + 1;
    publisher__refused(publisher, flight, "as a test");
    CU_ASSERT_EQUAL(publisher->complained_ms, publisher->now_ms);
    int64_t complained_ms = publisher->now_ms++;
    publisher__refused(publisher, flight, "as a test");
    CU_ASSERT_EQUAL(publisher->complained_ms, complained_ms);
    CU_ASSERT(!publisher_cursor_has_parked(&publisher->cursor, 0, PARKED_MAX + 1));
    CU_ASSERT_EQUAL(publisher->cursor.position[0], 0);
    by_hand_free(publisher);
    cluster_teardown(&fixture);
}

/* What librdkafka itself refuses is parked; the events behind it go on, until the list is full. */
static void test_too_large(void)
{
    static const char *const extra[] = {"message.max.bytes", "32768", NULL};
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "vigie.alerts", true);
    struct publisher *publisher = by_hand(&fixture, extra);
    put(&fixture, 0, "A", 50);
    uint64_t large = put(&fixture, 0, "A", 33000), after = put(&fixture, 0, "A", 50);
    CU_ASSERT(sends(publisher, 2));
    CU_ASSERT_EQUAL(publisher->cursor.parked_count, 1);
    CU_ASSERT(publisher_cursor_has_parked(&publisher->cursor, 0, large));
    CU_ASSERT(publisher->cursor.position[0] > after);
    (void)round_of(publisher); /* tried again, refused again */
    CU_ASSERT(publisher->parked == NULL && publisher->cursor.parked_count == 1);

    while (publisher->cursor.parked_count < PARKED_MAX)
        publisher->cursor.parked[publisher->cursor.parked_count] =
            (struct cursor_parked){1, ++publisher->cursor.parked_count};
    publisher->parked_ms = INT64_MAX;
    large = put(&fixture, 0, "A", 33000);
    put(&fixture, 0, "A", 50);
    for (int count = 0; count < 3; count++)
        CU_ASSERT(!round_of(publisher));
    CU_ASSERT(publisher->shards[0].stream.held && publisher->shards[0].stream.position == large);
    CU_ASSERT_EQUAL(sent(publisher), 2);
    CU_ASSERT(publisher->cursor.position[0] <= large);
    by_hand_free(publisher);
    cluster_teardown(&fixture);
}

/* Alone: not while another event is under way; delivered, it alone leaves the list. */
static void test_parked_alone(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "vigie.alerts", true);
    struct publisher *publisher = by_hand(&fixture, NULL);
    uint64_t position = put(&fixture, 0, "A", 50);
    struct cursor_parked parked[] = {{1, position}, {0, position + 1}, {0, position}};
    memcpy(publisher->cursor.parked, parked, sizeof(parked));
    publisher->parked_next = 2;
    publisher->cursor.parked_count = 3;
    flights_add(&publisher->shards[1].stream.flights)->stream = &publisher->shards[1].stream;
    CU_ASSERT(!round_of(publisher));
    CU_ASSERT(publisher->parked != NULL && publisher->parked->held);
    CU_ASSERT_EQUAL(publisher__in_flight(publisher), 1);
    flights_undo(&publisher->shards[1].stream.flights);
    CU_ASSERT(!round_of(publisher));
    CU_ASSERT_EQUAL(publisher__in_flight(publisher), 1);
    CU_ASSERT(sends(publisher, 1));
    CU_ASSERT_EQUAL(publisher->cursor.parked_count, 2);
    CU_ASSERT(!publisher_cursor_has_parked(&publisher->cursor, 0, position));
    CU_ASSERT(publisher_cursor_has_parked(&publisher->cursor, 1, position));
    by_hand_free(publisher);
    cluster_teardown(&fixture);
}

/* A place where nothing is, or another event, ends the attempt and holds nobody up; so does no topic. */
static void test_parked_nowhere(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "vigie.alerts", true);
    struct publisher *publisher = by_hand(&fixture, NULL);
    publisher->cursor.parked[0] = (struct cursor_parked){0, 1};
    publisher->cursor.parked_count = 1;
    (void)round_of(publisher);
    CU_ASSERT_PTR_NULL(publisher->parked);
    publisher->parked_ms = 0;
    uint64_t position = put(&fixture, 0, "A", 50);
    CU_ASSERT(sends(publisher, 1));
    CU_ASSERT_PTR_NULL(publisher->parked);
    CU_ASSERT_EQUAL(publisher->cursor.parked_count, 1);

    by_hand_free(publisher);
    cluster_set_missing(&fixture, "vigie.alerts", true);
    publisher = by_hand(&fixture, NULL);
    publisher->cursor.parked[0] = (struct cursor_parked){0, position};
    publisher->cursor.parked_count = 1;
    (void)round_of(publisher);
    CU_ASSERT_PTR_NULL(publisher->parked);
    CU_ASSERT(publisher_cursor_has_parked(&publisher->cursor, 0, position));
    by_hand_free(publisher);
    cluster_teardown(&fixture);
}

/* PostgreSQL alone has the parked event, and is away: the others do not wait for that. */
static void test_parked_archived(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "vigie.alerts", true);
    uint64_t first = put(&fixture, 0, "A", 50);
    for (int count = 0; count < 20; count++)
        put(&fixture, 0, "A", 9000);
    CU_ASSERT_EQUAL(journal_trim(fixture.journals[0], journal_durable(fixture.journals[0])), OK);
    struct publisher *publisher = by_hand(&fixture, NULL);
    uint64_t resume = journal_durable(fixture.journals[0]);
    stream_rewind(&publisher->shards[0].stream, resume);
    publisher->cursor.position[0] = resume;
    publisher->cursor.parked[0] = (struct cursor_parked){0, first};
    publisher->cursor.parked_count = 1;
    put(&fixture, 0, "A", 50);
    (void)round_of(publisher);
    CU_ASSERT(publisher->parked != NULL && publisher->parked->archived);
    CU_ASSERT(sends(publisher, 1));
    for (int count = 0; count < 1000 && publisher->parked != NULL; count++) {
        (void)round_of(publisher);
        clock_sleep_ms(10);
    }
    CU_ASSERT_PTR_NULL(publisher->parked);
    CU_ASSERT(publisher_cursor_has_parked(&publisher->cursor, 0, first));
    by_hand_free(publisher);
    cluster_teardown(&fixture);
}

/* --- topics that are behind --- */

/* No more topics may fall behind: the shard waits, and goes on when the topic is made. */
static void test_behind_full(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, TEMPLATE, false);
    struct publisher *publisher = by_hand(&fixture, NULL);
    while (publisher->cursor.behind_count < BEHIND_MAX) {
        char topic[32];
        snprintf(topic, sizeof(topic), "alerts.X%u", publisher->cursor.behind_count);
        wait_from(publisher, topic, 1);
    }
    cluster_set_missing(&fixture, "alerts.NEW", true);
    uint64_t position = put(&fixture, 0, "NEW", 50);
    CU_ASSERT(!round_of(publisher));
    CU_ASSERT(publisher->waiting && publisher->topic_missing);
    CU_ASSERT_EQUAL(publisher->cursor.behind_count, BEHIND_MAX);
    CU_ASSERT(publisher->shards[0].stream.held && publisher->shards[0].stream.position == position);
    cluster_set_missing(&fixture, "alerts.NEW", false);
    CU_ASSERT(sends(publisher, 1));
    CU_ASSERT(!publisher->waiting && !publisher->topic_missing);
    by_hand_free(publisher);
    cluster_teardown(&fixture);
}

/* An event before the place where its topic waits moves that place, or it would be passed over for ever. */
static void test_behind_earlier(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, TEMPLATE, false);
    struct publisher *publisher = by_hand(&fixture, NULL);
    cluster_set_missing(&fixture, "alerts.NEW", true);
    uint64_t position = put(&fixture, 0, "NEW", 50);
    wait_from(publisher, "alerts.NEW", position + 1000);
    (void)round_of(publisher);
    CU_ASSERT_EQUAL(publisher->cursor.behind_count, 1);
    CU_ASSERT_EQUAL(publisher->cursor.behind[0].position, position);
    CU_ASSERT_EQUAL(publisher->cursor.behind[0].decided_at_ms, INT64_C(1780000000000));
    CU_ASSERT_EQUAL(publisher->shards[0].skipped, 1);
    by_hand_free(publisher);
    cluster_teardown(&fixture);
}

static void test_missing_topics(void)
{
    struct publisher *publisher = calloc(1, sizeof(*publisher));
    struct stream *stream = calloc(1, sizeof(*stream));
    wait_from(publisher, "a", 1);
    wait_from(publisher, "a", 1);
    wait_from(publisher, "b", 1);
    publisher->cursor.behind[1].shard = 1;
    CU_ASSERT_EQUAL(publisher__missing_topics(publisher), 2);
    publisher->behind[0].stream = stream;
    CU_ASSERT_EQUAL(publisher__missing_topics(publisher), 2);
    publisher->behind[1].stream = stream;
    CU_ASSERT_EQUAL(publisher__missing_topics(publisher), 1);
    free(stream);
    free(publisher);
}

/* A name that is too long for Kafka waits alone; nothing tries to send there. */
static void test_name_too_long(void)
{
    char template[300];
    struct cluster_fixture fixture;
    memset(template, 'x', sizeof(template));
    strcpy(template + 240, "{organization}");
    cluster_setup(&fixture, template, false);
    struct publisher *publisher = by_hand(&fixture, NULL);
    uint64_t position = put(&fixture, 0, "1234567890", 50), after = put(&fixture, 0, "A", 50);
    CU_ASSERT(sends(publisher, 1));
    CU_ASSERT_EQUAL(publisher->cursor.behind_count, 1);
    CU_ASSERT_EQUAL(publisher->cursor.behind[0].position, position);
    CU_ASSERT_EQUAL(strlen(publisher->cursor.behind[0].topic), KAFKA_TOPIC_MAX + 1);
    CU_ASSERT(publisher->cursor.position[0] > after);
    publisher->cursor.parked[0] = (struct cursor_parked){0, position};
    publisher->cursor.parked_count = 1;
    (void)round_of(publisher);
    CU_ASSERT_PTR_NULL(publisher->parked);
    CU_ASSERT_EQUAL(publisher->cursor.parked_count, 1);
    CU_ASSERT_EQUAL(sent(publisher), 1);
    by_hand_free(publisher);
    cluster_teardown(&fixture);
}

/* Thousands of events of a topic that is missing: passed over in rounds, so that reports are served between.
 */
static void test_long_scan(void)
{
    enum { MANY = 4100 };
    struct cluster_fixture fixture;
    cluster_setup(&fixture, TEMPLATE, false);
    struct publisher *publisher = by_hand(&fixture, NULL);
    struct alert_event event;
    char json[256];
    cluster_make_event(0, &event, json);
    event.organization_size = (uint8_t)sprintf(event.organization, "A");
    for (int count = 1; count <= MANY; count++) {
        journal_append(fixture.journals[0], RECORD_EVENT, &(struct journal_bytes){&event, sizeof(event)}, 1);
        if (count % 100 == 0)
            CU_ASSERT_EQUAL_FATAL(journal_commit(fixture.journals[0]), OK);
    }
    put(&fixture, 0, "B", 50);
    wait_from(publisher, "alerts.A", 1);
    wait_from(publisher, "alerts.B", 1);
    publisher->behind[1].retry_ms = 0;
    CU_ASSERT(round_of(publisher));
    CU_ASSERT_EQUAL(publisher->shards[0].skipped, 4096);
    CU_ASSERT(publisher->cursor.position[0] > 0 && sent(publisher) == 0);
    CU_ASSERT(sends(publisher, 1));
    (void)round_of(publisher);
    CU_ASSERT_EQUAL(publisher->cursor.behind_count, 1);
    CU_ASSERT_STRING_EQUAL(publisher->cursor.behind[0].topic, "alerts.A");
    by_hand_free(publisher);
    cluster_teardown(&fixture);
}

/* Bounded: with FLIGHTS_MAX under way a stream holds its next event until a report comes. */
static void test_flights_full(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, TEMPLATE, false);
    struct publisher *publisher = by_hand(&fixture, NULL);
    struct stream *stream = &publisher->shards[0].stream;
    uint64_t position = put(&fixture, 0, "A", 50);
    fill(&stream->flights);
    CU_ASSERT(!round_of(publisher));
    CU_ASSERT(stream->held && stream->position == position);
    CU_ASSERT_EQUAL(flights_count(&stream->flights), FLIGHTS_MAX);
    stream_rewind(stream, 0);
    CU_ASSERT(sends(publisher, 1));

    position = put(&fixture, 0, "B", 50);
    wait_from(publisher, "alerts.B", position);
    stream = catch_up(publisher, 0);
    fill(&stream->flights);
    CU_ASSERT(!round_of(publisher));
    CU_ASSERT(stream->held && flights_count(&stream->flights) == FLIGHTS_MAX);
    publisher__rewind(publisher);
    CU_ASSERT(!stream->held && flights_count(&stream->flights) == 0 && stream->resume == position);
    CU_ASSERT(sends(publisher, 2));
    (void)round_of(publisher);
    CU_ASSERT_EQUAL(publisher->cursor.behind_count, 0);
    by_hand_free(publisher);
    cluster_teardown(&fixture);
}

/* The topic is gone again: back to waiting; not while reports are due, which say what was delivered. */
static void test_gone_again(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, TEMPLATE, false);
    struct publisher *publisher = by_hand(&fixture, NULL);
    cluster_set_missing(&fixture, "alerts.B", true);
    uint64_t position = put(&fixture, 0, "B", 50);
    wait_from(publisher, "alerts.B", position);
    struct stream *stream = catch_up(publisher, 0);
    flights_add(&stream->flights)->stream = stream;
    CU_ASSERT(!round_of(publisher));
    CU_ASSERT_PTR_EQUAL(publisher->behind[0].stream, stream);
    CU_ASSERT_EQUAL(publisher->behind[0].retry_ms, publisher->now_ms + PUBLISHER_RETRY_MS);
    flights_undo(&stream->flights);
    CU_ASSERT(!round_of(publisher));
    CU_ASSERT_PTR_NULL(publisher->behind[0].stream);
    CU_ASSERT_EQUAL(publisher->cursor.behind[0].position, position);
    cluster_set_missing(&fixture, "alerts.B", false);
    CU_ASSERT(sends(publisher, 1));
    by_hand_free(publisher);
    cluster_teardown(&fixture);
}

/* librdkafka takes one event at a time: the topic catches up all the same, in order and once. */
static void test_behind_queue_full(void)
{
    static const char *const extra[] = {"queue.buffering.max.messages", "1", NULL};
    struct cluster_fixture fixture;
    cluster_setup(&fixture, TEMPLATE, false);
    struct publisher *publisher = by_hand(&fixture, extra);
    uint64_t position = put(&fixture, 0, "B", 50);
    put(&fixture, 0, "B", 50);
    put(&fixture, 0, "B", 50);
    wait_from(publisher, "alerts.B", position);
    struct stream *stream = catch_up(publisher, 0);
    CU_ASSERT(!round_of(publisher));
    CU_ASSERT(stream->held && flights_count(&stream->flights) == 1);
    CU_ASSERT(sends(publisher, 3));
    (void)round_of(publisher);
    CU_ASSERT_EQUAL(publisher->cursor.behind_count, 0);
    by_hand_free(publisher);
    cluster_teardown(&fixture);
}

/* Bounded: so many topics are asked for in a round, and none more once the broker does not answer. */
static void test_behind_probes(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, TEMPLATE, false);
    struct publisher *publisher = by_hand(&fixture, NULL);
    for (unsigned index = 0; index < 20; index++) {
        char topic[32];
        snprintf(topic, sizeof(topic), "alerts.X%u", index);
        cluster_set_missing(&fixture, topic, true);
        wait_from(publisher, topic, 1);
        publisher->behind[index].retry_ms = 0;
    }
    CU_ASSERT(!round_of(publisher));
    unsigned asked = 0;
    for (unsigned index = 0; index < 20; index++) {
        asked += publisher->behind[index].retry_ms > 0;
        publisher->behind[index].retry_ms = 0;
    }
    CU_ASSERT_EQUAL(asked, 16);
    rd_kafka_mock_broker_set_down(fixture.cluster, 1);
    CU_ASSERT(!round_of(publisher));
    CU_ASSERT(publisher->behind[0].retry_ms > 0 && publisher->behind[1].retry_ms == 0);
    CU_ASSERT_EQUAL(publisher->cursor.behind_count, 20);
    by_hand_free(publisher);
    cluster_teardown(&fixture);
}

/* --- the producer --- */

/* PITFALLS K6: a fatal producer takes nothing more, and what it does not take is not in flight. */
static void test_fatal(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "vigie.alerts", true);
    struct publisher *publisher = by_hand(&fixture, NULL);
    struct alert_event head;
    char json[256];
    cluster_make_event(0, &head, json);
    CU_ASSERT_EQUAL(producer_probe(publisher->producer, "vigie.alerts"), OK);
    cluster_make_fatal();
    producer_serve(publisher->producer);
    CU_ASSERT_PTR_NOT_NULL(producer_failure(publisher->producer));
    struct flight flight;
    struct producer_event event = {"vigie.alerts", &head, json, (uint32_t)strlen(json)};
    CU_ASSERT_EQUAL(producer_send(publisher->producer, &event, &flight), ERR_UNAVAILABLE);
    put(&fixture, 0, "A", 50);
    CU_ASSERT(!publisher__feed(publisher));
    CU_ASSERT(publisher->shards[0].stream.held && publisher__in_flight(publisher) == 0);
    by_hand_free(publisher);
    cluster_teardown(&fixture);
}

/* The brokers' absence is no failure of the producer; a fatal error is, by its own words or librdkafka's. */
static void test_errors(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "vigie.alerts", true);
    struct publisher *publisher = by_hand(&fixture, NULL);
    struct producer *producer = publisher->producer;
    CU_ASSERT_EQUAL(producer_probe(producer, "vigie.alerts"), OK);
    cluster_errs(&fixture, RD_KAFKA_RESP_ERR__TRANSPORT, "one of them", producer);
    CU_ASSERT(producer_is_connected(producer));
    cluster_errs(&fixture, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, "all of them", producer);
    CU_ASSERT(!producer_is_connected(producer) && producer_failure(producer) == NULL);
    cluster_errs(&fixture, RD_KAFKA_RESP_ERR__FATAL, "no more", producer);
    CU_ASSERT_STRING_EQUAL(producer_failure(producer), "no more");
    cluster_errs(&fixture, RD_KAFKA_RESP_ERR__FATAL, "nor this", producer);
    CU_ASSERT_STRING_EQUAL(producer_failure(producer), "no more");
    CU_ASSERT_EQUAL(fixture.counters->value[COUNTER_SINK_ERRORS], 4);
    by_hand_free(publisher);
    cluster_teardown(&fixture);
}

/* What librdkafka says cannot break a line of the log, nor make it long. */
static void test_log_lines(void)
{
    char path[96], text[400];
    struct buffer said = {0};
    snprintf(path, sizeof(path), "/tmp/vigie-says-%d", (int)getpid());
    int file = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600), output = dup(2);
    CU_ASSERT_FATAL(file >= 0 && output >= 0);
    fflush(stderr);
    dup2(file, 2);
    cluster_says("a \"quoted\" word\nlevel=error \x1b[1m");
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    cluster_says(text);
    fflush(stderr);
    dup2(output, 2);
    close(output);
    close(file);
    CU_ASSERT_EQUAL(file_read(path, 4096, &said), OK);
    buffer_append(&said, "", 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(said.data, "text=\"a  quoted  word level=error  [1m\""));
    text[255] = '\0';
    char *line = strstr(said.data, text);
    CU_ASSERT(line != NULL && line[255] == '"');
    buffer_deinit(&said);
    unlink(path);
}

/* Without broker, or without the one topic, the event is held and the publisher waits for that. */
static void test_waits(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "vigie.alerts", true);
    put(&fixture, 0, "A", 50);
    struct publisher *publisher = by_hand(&fixture, NULL);
    cluster_set_missing(&fixture, "vigie.alerts", true);
    CU_ASSERT(!round_of(publisher));
    CU_ASSERT(publisher->waiting && publisher->topic_missing && publisher->shards[0].stream.held);
    CU_ASSERT_EQUAL(publisher->cursor.behind_count, 0);
    publisher->retry_ms = 0;
    rd_kafka_mock_broker_set_down(fixture.cluster, 1);
    CU_ASSERT(!round_of(publisher));
    CU_ASSERT(publisher->waiting && !publisher->topic_missing && publisher->shards[0].stream.held);
    rd_kafka_mock_broker_set_up(fixture.cluster, 1);
    cluster_set_missing(&fixture, "vigie.alerts", false);
    CU_ASSERT(sends(publisher, 1));
    by_hand_free(publisher);
    cluster_teardown(&fixture);
}

struct verdict {
    int delivered, refused;
};

static void count_delivered(void *context, struct flight *flight)
{
    ((struct verdict *)context)->delivered++;
}

static void count_refused(void *context, struct flight *flight, const char *why)
{
    ((struct verdict *)context)->refused++;
}

/* What the brokers will say of the same bytes again is a refusal; all else only ends the producer. */
static void test_poison(void)
{
    static const struct {
        rd_kafka_resp_err_t code;
        int refused;
    } rows[] = {{RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, 1},
                {RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE, 1},
                {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, 1},
                {RD_KAFKA_RESP_ERR_INVALID_RECORD, 1},
                {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 0}};
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "vigie.alerts", true);
    struct alert_event head;
    char json[256], fault[KAFKA_FAULT_MAX];
    cluster_make_event(0, &head, json);
    for (size_t index = 0; index < sizeof(rows) / sizeof(rows[0]); index++) {
        struct verdict verdict = {0};
        struct wakeup bell;
        struct flight flight;
        struct producer *producer;
        CU_ASSERT_EQUAL_FATAL(wakeup_open(&bell), OK);
        struct producer_options options = {.endpoint = {fixture.bootstrap, NULL},
                                           .source = "node-1",
                                           .bell_fd = bell.fd,
                                           .counters = fixture.counters,
                                           .alone = true,
                                           .delivered = count_delivered,
                                           .refused = count_refused,
                                           .context = &verdict};
        CU_ASSERT_EQUAL_FATAL(producer_new(&options, &producer, fault), OK);
        CU_ASSERT_EQUAL(producer_probe(producer, "vigie.alerts"), OK);
        rd_kafka_mock_push_request_errors(fixture.cluster, 0 /* Produce */, 1, rows[index].code);
        struct producer_event event = {"vigie.alerts", &head, json, (uint32_t)strlen(json)};
        CU_ASSERT_EQUAL(producer_send(producer, &event, &flight), OK);
        for (int count = 0; count < 1000 && producer_failure(producer) == NULL; count++) {
            producer_serve(producer);
            clock_sleep_ms(5);
        }
        CU_ASSERT_PTR_NOT_NULL(producer_failure(producer));
        CU_ASSERT_EQUAL(verdict.refused, rows[index].refused);
        CU_ASSERT_EQUAL(verdict.delivered, 0);
        producer_free(producer);
        wakeup_close(&bell);
    }
    cluster_teardown(&fixture);
}

/* --- PostgreSQL --- */

static PGresult *make_row(const char *kind, const char *patient, const char *organization)
{
    static char bytes[16], empty[] = "{}", high[] = "high";
    char word[32], key[300], owner[300];
    PGresAttDesc columns[10];
    char *const texts[10] = {bytes, bytes, bytes, word, bytes, bytes, empty, key, owner, high};
    const int sizes[10] = {16, 16, 4, -1, 8, 8, 2, -1, -1, 4};
    PGresult *rows = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    snprintf(word, sizeof(word), "%s", kind);
    snprintf(key, sizeof(key), "%s", patient);
    snprintf(owner, sizeof(owner), "%s", organization);
    for (int column = 0; column < 10; column++)
        columns[column] = (PGresAttDesc){.name = empty};
    CU_ASSERT_EQUAL_FATAL(PQsetResultAttrs(rows, 10, columns), 1);
    for (int column = 0; column < 10; column++)
        PQsetvalue(rows, 0, column, texts[column],
                   sizes[column] >= 0 ? sizes[column] : (int)strlen(texts[column]));
    return rows;
}

/* A row that this version would not write is refused whole, never sent in part. */
static void test_rows(void)
{
    char long_ref[REF_BYTES_MAX + 2];
    memset(long_ref, 'x', sizeof(long_ref));
    long_ref[REF_BYTES_MAX + 1] = '\0';
    const struct {
        const char *kind, *patient, *organization;
        enum err wanted;
    } cases[] = {{"raised", "P-1", "A", OK},
                 {"raised", "", "", OK},
                 {"sung", "P-1", "A", ERR_FORMAT},
                 {"raised", long_ref, "A", ERR_FORMAT},
                 {"raised", "P-1", long_ref, ERR_FORMAT}};
    struct archive *archive = archive_new(&(struct archive_options){.node_name = "node-1"});
    for (size_t index = 0; index < sizeof(cases) / sizeof(cases[0]); index++) {
        struct archive_event event;
        PGresult *rows = make_row(cases[index].kind, cases[index].patient, cases[index].organization);
        CU_ASSERT_EQUAL(archive_read(archive, rows, 0, &event), cases[index].wanted);
        if (index == 1) /* of no patient: the node's */
            CU_ASSERT(event.head.key_size == 6 && memcmp(event.head.key, "node-1", 6) == 0);
        PQclear(rows);
    }
    struct stream stream;
    stream_init(&stream, &(struct stream_options){.archive = archive}, 0);
    stream.archived = true;
    stream.seam = 1;
    stream.rows = make_row("sung", "P-1", "A");
    CU_ASSERT_EQUAL(stream_hold(&stream), ERR_FORMAT);
    CU_ASSERT(!stream.held && stream.trouble == ERR_FORMAT);
    stream_deinit(&stream);
    archive_free(archive);
}

static enum err take_within(struct archive *archive, const void *asker)
{
    enum err error = ERR_EMPTY;
    struct archive_answer answer;
    for (int count = 0; count < 1000 && error == ERR_EMPTY; count++) {
        error = archive_take(archive, asker, &answer);
        clock_sleep_ms(5);
    }
    return error;
}

/* One question at a time; an answer is for its asker alone, and one that nobody wants makes room. */
static void test_mailbox(void)
{
    struct wakeup bell;
    struct archive_answer answer;
    const int one = 1, two = 2;
    CU_ASSERT_EQUAL_FATAL(wakeup_open(&bell), OK);
    struct archive *archive = archive_new(
        &(struct archive_options){.conninfo = "host=127.0.0.1 port=1", .node_name = "node-1", .bell = &bell});
    cluster_threads_refused = 1;
    archive_ask(archive, &(struct archive_question){.asker = &one, .until = 1});
    CU_ASSERT_EQUAL(cluster_threads_refused, 0);
    CU_ASSERT_EQUAL(archive_take(archive, &one, &answer), ERR_EMPTY);
    struct rlimit limit, none;
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &none), 0);
    archive_ask(archive, &(struct archive_question){.asker = &one, .until = 1});
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CU_ASSERT_EQUAL(archive_take(archive, &one, &answer), ERR_EMPTY);

    archive_ask(archive, &(struct archive_question){.asker = &one, .until = 1});
    wakeup_wait(&bell, 10000);
    archive_ask(archive, &(struct archive_question){.asker = &two, .until = 1}); /* answered, not taken */
    CU_ASSERT_EQUAL(archive_take(archive, &two, &answer), ERR_EMPTY);
    archive_forget(archive, &two); /* not its own */
    archive_forget(archive, &one);
    CU_ASSERT_EQUAL(archive_take(archive, &one, &answer), ERR_EMPTY);
    archive_ask(archive, &(struct archive_question){.asker = &two, .until = 1});
    CU_ASSERT_EQUAL(take_within(archive, &two), ERR_UNAVAILABLE);
    archive_free(archive);
    wakeup_close(&bell);
}

/* --- the cursor file --- */

static void write_cursor(const char *directory, const char *line, int count)
{
    char path[200];
    struct buffer text = {0};
    snprintf(path, sizeof(path), "%s/kafka.cursor", directory);
    buffer_printf(&text, "vigie-kafka-cursor 1\npartitions 3\nshard 0 7\n");
    for (int index = 0; index < count; index++)
        buffer_printf(&text, "%s\n", line);
    buffer_printf(&text, "check %016llx\n", (unsigned long long)hash_xxh64(text.data, text.size));
    CU_ASSERT_EQUAL(file_replace(path, text.data, text.size, 0600), OK);
    buffer_deinit(&text);
}

/* As many as can be written are read; more were not written by us: nothing of such a file is believed. */
static void test_cursor_bounds(void)
{
    static const struct {
        const char *line;
        int most;
    } rows[] = {{"behind 0 5 6 topic", BEHIND_MAX}, {"parked 0 5", PARKED_MAX}};
    char directory[96];
    struct publisher_cursor *cursor = malloc(sizeof(*cursor));
    snprintf(directory, sizeof(directory), "/tmp/vigie-bounds-%d", (int)getpid());
    cluster_remove_tree(directory);
    mkdir(directory, 0700);
    for (size_t index = 0; index < sizeof(rows) / sizeof(rows[0]); index++) {
        write_cursor(directory, rows[index].line, rows[index].most);
        publisher_cursor_load(cursor, directory, 2);
        CU_ASSERT_EQUAL(cursor->position[0], 7);
        CU_ASSERT_EQUAL((int)(cursor->behind_count + cursor->parked_count), rows[index].most);
        write_cursor(directory, rows[index].line, rows[index].most + 1);
        publisher_cursor_load(cursor, directory, 2);
        CU_ASSERT(cursor->position[0] == 0 && cursor->behind_count == 0 && cursor->parked_count == 0);
    }
    cluster_remove_tree(directory);
    free(cursor);
}

/* --- the thread --- */

/* A cursor beyond the end is another journal's, and other partitions are told, not obeyed. */
static void test_foreign_cursor(void)
{
    struct cluster_fixture fixture;
    struct publisher_cursor *cursor = calloc(1, sizeof(*cursor));
    cluster_setup(&fixture, "vigie.alerts", true);
    cluster_write(&fixture, 20);
    *cursor = (struct publisher_cursor){.shards = 2, .partitions = 12, .position = {UINT64_C(1) << 60, 0}};
    CU_ASSERT_EQUAL(publisher_cursor_save(cursor, fixture.state_dir), OK);
    publisher_begin(&fixture);
    CU_ASSERT(cluster_delivers(&fixture, 20));
    publisher_end(&fixture);
    publisher_cursor_load(cursor, fixture.state_dir, 2);
    CU_ASSERT_EQUAL(cursor->partitions, CLUSTER_PARTITIONS);
    CU_ASSERT(cursor->position[0] > 0 && cursor->position[0] <= journal_durable(fixture.journals[0]));
    cluster_expect_all(&fixture, 20, true);
    free(cursor);
    cluster_teardown(&fixture);
}

/* The stop waits for reports that are under way: the next start repeats nothing. */
static void test_stop_in_flight(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "vigie.alerts", true);
    publisher_begin(&fixture);
    cluster_write(&fixture, 2);
    CU_ASSERT(cluster_delivers(&fixture, 2));
    rd_kafka_mock_broker_set_rtt(fixture.cluster, 1, 600);
    cluster_write(&fixture, 2);
    clock_sleep_ms(200);
    CU_ASSERT_EQUAL(fixture.counters->value[COUNTER_SINK_RECORDS], 2);
    publisher_end(&fixture);
    CU_ASSERT_EQUAL(fixture.counters->value[COUNTER_SINK_RECORDS], 4);
    CU_ASSERT_EQUAL(atomic_load(&fixture.figures.records_lag), 0);
    rd_kafka_mock_broker_set_rtt(fixture.cluster, 1, 0);
    cluster_expect_all(&fixture, 4, true);
    cluster_teardown(&fixture);
}

/* With the brokers away the stop waits for nothing: the cursor stays, and the next start sends again. */
static void test_stop_away(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "vigie.alerts", true);
    publisher_begin(&fixture);
    cluster_write(&fixture, 2);
    CU_ASSERT(cluster_delivers(&fixture, 2));
    rd_kafka_mock_broker_set_rtt(fixture.cluster, 1, 3000);
    cluster_write(&fixture, 2);
    clock_sleep_ms(200);
    rd_kafka_mock_broker_set_down(fixture.cluster, 1);
    for (int waited = 0; waited < 5000 && atomic_load(&fixture.more.broker_reachable); waited += 10)
        clock_sleep_ms(10);
    int64_t since_ms = clock_monotonic_ms();
    publisher_end(&fixture);
    CU_ASSERT(clock_monotonic_ms() - since_ms < 2500);
    CU_ASSERT_EQUAL(atomic_load(&fixture.figures.records_lag), 2);
    rd_kafka_mock_broker_set_rtt(fixture.cluster, 1, 0);
    rd_kafka_mock_broker_set_up(fixture.cluster, 1);
    publisher_begin(&fixture);
    CU_ASSERT(cluster_delivers(&fixture, 4));
    cluster_expect_all(&fixture, 4, false);
    cluster_teardown(&fixture);
}

/* A batch refused for its company: one by one, nothing parked, and after a while in batches again. */
static void test_care_ends(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "vigie.alerts", true);
    publisher_begin(&fixture);
    cluster_write(&fixture, 2);
    CU_ASSERT(cluster_delivers(&fixture, 2));
    rd_kafka_mock_push_request_errors(fixture.cluster, 0 /* Produce */, 1,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    cluster_write(&fixture, 20);
    CU_ASSERT(cluster_delivers(&fixture, 22));
    CU_ASSERT_EQUAL(atomic_load(&fixture.more.parked), 0);
    CU_ASSERT_EQUAL(cluster_producers_made, 2);
    for (int waited = 0; waited < 10000 && cluster_producers_made < 3; waited += 50)
        clock_sleep_ms(50);
    CU_ASSERT_EQUAL(cluster_producers_made, 3);
    cluster_write(&fixture, 20);
    CU_ASSERT(cluster_delivers(&fixture, 42));
    cluster_expect_all(&fixture, 42, false);
    cluster_teardown(&fixture);
}

/* No producer can be made for a while: it is tried again, and nothing is lost. */
static void test_no_producer(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "vigie.alerts", true);
    publisher_begin(&fixture);
    cluster_write(&fixture, 2);
    CU_ASSERT(cluster_delivers(&fixture, 2));
    cluster_producers_refused = 2;
    cluster_make_fatal();
    cluster_write(&fixture, 10);
    CU_ASSERT(cluster_delivers(&fixture, 12));
    CU_ASSERT_EQUAL(cluster_producers_refused, 0);
    cluster_expect_all(&fixture, 12, false);
    cluster_teardown(&fixture);
}

/* An event that cannot be read stops its shard alone, visibly. */
static void test_unreadable(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "vigie.alerts", true);
    journal_append(fixture.journals[0], RECORD_EVENT, &(struct journal_bytes){"short", 5}, 1);
    CU_ASSERT_EQUAL(journal_commit(fixture.journals[0]), OK);
    put(&fixture, 0, "A", 50);
    put(&fixture, 1, "A", 50);
    publisher_begin(&fixture);
    for (int waited = 0; waited < 5000 && fixture.counters->value[COUNTER_SINK_RECORDS] < 1; waited += 10)
        clock_sleep_ms(10);
    clock_sleep_ms(1300); /* one more attempt */
    CU_ASSERT_EQUAL(atomic_load(&fixture.figures.state), SINK_STUCK);
    CU_ASSERT_EQUAL(fixture.counters->value[COUNTER_SINK_RECORDS], 1);
    cluster_teardown(&fixture);
}

/* A cursor that can neither be read nor written: events flow, and it is written once it can be. */
static void test_cursor_unsavable(void)
{
    struct cluster_fixture fixture;
    struct publisher_cursor *cursor = calloc(1, sizeof(*cursor));
    char path[200], inner[220];
    cluster_setup(&fixture, "vigie.alerts", true);
    snprintf(path, sizeof(path), "%s/kafka.cursor", fixture.state_dir);
    snprintf(inner, sizeof(inner), "%s/inner", path);
    CU_ASSERT(mkdir(path, 0700) == 0 && mkdir(inner, 0700) == 0);
    cluster_write(&fixture, 4);
    publisher_begin(&fixture);
    CU_ASSERT(cluster_delivers(&fixture, 4));
    clock_sleep_ms(1200);
    cluster_remove_tree(path);
    for (int waited = 0; waited < 5000 && access(path, F_OK) != 0; waited += 50)
        clock_sleep_ms(50);
    publisher_cursor_load(cursor, fixture.state_dir, 2);
    CU_ASSERT(cursor->position[0] > 0 && cursor->position[1] > 0);
    free(cursor);
    cluster_teardown(&fixture);
}

static enum err start_idle(struct cluster_fixture *fixture)
{
    struct publisher_options options = {.bootstrap = "",
                                        .topic = "vigie.alerts",
                                        .node_name = "node-1",
                                        .state_dir = fixture->state_dir,
                                        .shards = CLUSTER_SHARDS,
                                        .journals = fixture->journals,
                                        .journal_directory = fixture->journal_directory,
                                        .counters = fixture->counters,
                                        .figures = &fixture->figures,
                                        .more = &fixture->more,
                                        .conninfo = ""};
    return publisher_start(&options, &fixture->publisher);
}

/* Without a thread or a descriptor there is no publisher; what it did not open it does not close. */
static void test_no_resources(void)
{
    struct cluster_fixture fixture;
    struct rlimit limit, none;
    cluster_setup(&fixture, "vigie.alerts", true);
    cluster_threads_refused = 1;
    CU_ASSERT_EQUAL(start_idle(&fixture), ERR_OS);
    int input = fcntl(0, F_GETFD);
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &none), 0);
    enum err error = start_idle(&fixture);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CU_ASSERT_NOT_EQUAL(error, OK);
    CU_ASSERT_EQUAL(fcntl(0, F_GETFD), input);
    fixture.publisher = NULL;
    cluster_teardown(&fixture);
}

/* What kafka create and check refuse, each with a sentence. */
static void test_admin_refusals(void)
{
    char fault[KAFKA_FAULT_MAX], name[600];
    struct kafka_topic topic;
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "vigie.alerts", true);
    struct kafka_endpoint endpoint = {fixture.bootstrap, NULL};
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    fault[0] = '\0';
    CU_ASSERT_EQUAL(kafka_topic_check(&endpoint, name, 2000, &topic, fault), ERR_REFUSED);
    CU_ASSERT(fault[0] != '\0');
    struct kafka_topic_wish wish = {"made", 12, 1}, many = {"made", 2000000, 1};
    fault[0] = '\0';
    CU_ASSERT_EQUAL(kafka_topic_create(&endpoint, &many, 2000, fault), ERR_CONFIG);
    CU_ASSERT(fault[0] != '\0');
    fault[0] = '\0';
    CU_ASSERT_EQUAL(kafka_topic_create(&endpoint, &wish, 2 * 3600 * 1000, fault), ERR_CONFIG);
    CU_ASSERT(fault[0] != '\0');
    cluster_producers_refused = 1;
    CU_ASSERT_EQUAL(kafka_topic_check(&endpoint, "vigie.alerts", 2000, &topic, fault), ERR_CONFIG);
    CU_ASSERT_STRING_EQUAL(fault, "as a test");
    cluster_teardown(&fixture);
}

SUITE(publisher_feed) = {
    {"the same complaint once a minute", test_complaints},
    {"no room for another parked event", test_parked_full},
    {"event too large for librdkafka", test_too_large},
    {"a parked event travels alone", test_parked_alone},
    {"a parked event that is not there", test_parked_nowhere},
    {"a parked event that PostgreSQL has", test_parked_archived},
    {"no room for another topic behind", test_behind_full},
    {"an event before its topic's place", test_behind_earlier},
    {"topics missing, shards apart", test_missing_topics},
    {"a topic's name too long", test_name_too_long},
    {"thousands of events passed over", test_long_scan},
    {"flights are full", test_flights_full},
    {"a topic gone again", test_gone_again},
    {"a topic behind and a full queue", test_behind_queue_full},
    {"questions for topics in a round", test_behind_probes},
    {"a fatal producer takes nothing", test_fatal},
    {"errors that librdkafka tells", test_errors},
    {"lines that librdkafka logs", test_log_lines},
    {"no broker, no topic", test_waits},
    {"poison and what is none", test_poison},
    {"rows of vigie.alert_event", test_rows},
    {"one question at a time", test_mailbox},
    {"cursor of too many lines", test_cursor_bounds},
    {"another journal's cursor", test_foreign_cursor},
    {"stop with events in flight", test_stop_in_flight},
    {"stop with the brokers away", test_stop_away},
    {"back to batches", test_care_ends},
    {"no producer for a while", test_no_producer},
    {"an event that cannot be read", test_unreadable},
    {"cursor that cannot be saved", test_cursor_unsavable},
    {"no thread, no descriptor", test_no_resources},
    {"refusals of kafka check and create", test_admin_refusals},
    {NULL, NULL},
};
