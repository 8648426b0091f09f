/* publisher: against librdkafka's mock cluster, which makes faults and repeats but cannot judge exactly-once,
 * TLS or SASL (PITFALLS section 2.1); tests/kafka does that on a real broker. rd_kafka_new() is taken over
 * here, by the linker, to get at the publisher's handle and count how many were made. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alerting/kafka_admin.h"
#include "alerting/publisher_cursor.h"
#include "alerting/publisher_flight.h"
#include "daemon/base/clock.h"
#include "daemon/base/file.h"
#include "daemon/base/instant.h"
#include "daemon/model/alert_event.h"
#include "tests/harness/fatal_producer.h"
#include "tests/harness/test_keys.h"
#include "tests/unit/publisher_fixture.h"
#include "tests/unit/unit.h"

enum { EVENTS_MAX = 2000, WAIT_MS = 20000 };

_Atomic int cluster_producers_made; /* but the mock cluster's own */
_Atomic int cluster_producers_refused;
_Atomic int cluster_threads_refused;

rd_kafka_t *rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *fault, size_t size)
{
    rd_kafka_t *(*real)(rd_kafka_type_t, rd_kafka_conf_t *, char *, size_t);
    *(void **)&real = dlsym(RTLD_NEXT, "rd_kafka_new");
    bool counts = type == RD_KAFKA_PRODUCER && conf != NULL;
    if (counts && cluster_producers_refused > 0) {
        cluster_producers_refused--;
        snprintf(fault, size, "as a test");
        return NULL;
    }
    rd_kafka_t *handle = real(type, conf, fault, size);
    if (counts && handle != NULL)
        cluster_producers_made++;
    return handle;
}

static void (*log_callback)(const rd_kafka_t *, int, const char *, const char *);
static void (*error_callback)(rd_kafka_t *, int, const char *, void *);

void rd_kafka_conf_set_log_cb(rd_kafka_conf_t *conf,
                              void (*log_cb)(const rd_kafka_t *, int, const char *, const char *))
{
    void (*real)(rd_kafka_conf_t *, void (*)(const rd_kafka_t *, int, const char *, const char *));
    *(void **)&real = dlsym(RTLD_NEXT, "rd_kafka_conf_set_log_cb");
    log_callback = log_cb;
    real(conf, log_cb);
}

void rd_kafka_conf_set_error_cb(rd_kafka_conf_t *conf,
                                void (*error_cb)(rd_kafka_t *, int, const char *, void *))
{
    void (*real)(rd_kafka_conf_t *, void (*)(rd_kafka_t *, int, const char *, void *));
    *(void **)&real = dlsym(RTLD_NEXT, "rd_kafka_conf_set_error_cb");
    error_callback = error_cb;
    real(conf, error_cb);
}

void cluster_says(const char *text)
{
    log_callback(NULL, 3, "TEST", text);
}

void cluster_errs(struct cluster_fixture *fixture, int code, const char *reason, void *producer)
{
    error_callback(fixture->owner, code, reason, producer);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    if (cluster_threads_refused > 0) {
        cluster_threads_refused--;
        return EAGAIN;
    }
    return real(thread, attributes, run, argument);
}

void cluster_make_fatal(void)
{
    fatal_wanted = true;
}

/* --- a cluster, two journals, a publisher
 * ------------------------------------------------------------------- */

void cluster_remove_tree(const char *path)
{
    DIR *listing = opendir(path);
    if (listing == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        char inner[512];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(inner, sizeof(inner), "%.200s/%.255s", path, entry->d_name);
        if (unlink(inner) != 0)
            cluster_remove_tree(inner);
    }
    closedir(listing);
    rmdir(path);
}

static void open_journals(struct cluster_fixture *fixture)
{
    for (uint32_t shard = 0; shard < CLUSTER_SHARDS; shard++) {
        char directory[160];
        snprintf(directory, sizeof(directory), "%s/%u", fixture->journal_directory, shard);
        struct journal_options options = {
            .directory = directory, .shard = shard, .node = 1, .segment_bytes = 65536, .keys = test_keys()};
        CU_ASSERT_EQUAL_FATAL(journal_open(&options, &fixture->journals[shard]), OK);
    }
}

static void close_journals(struct cluster_fixture *fixture)
{
    for (uint32_t shard = 0; shard < CLUSTER_SHARDS; shard++)
        journal_close(fixture->journals[shard]);
}

void cluster_setup(struct cluster_fixture *fixture, const char *topic, bool make_topic)
{
    *fixture = (struct cluster_fixture){.topic = topic};
    snprintf(fixture->state_dir, sizeof(fixture->state_dir), "%s/vigie-publisher-%d",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
    snprintf(fixture->journal_directory, sizeof(fixture->journal_directory), "%s/journal",
             fixture->state_dir);
    cluster_remove_tree(fixture->state_dir);
    CU_ASSERT_EQUAL_FATAL(mkdir(fixture->state_dir, 0700), 0);
    char fault[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", fault, sizeof(fault));
    fixture->owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, fault, sizeof(fault));
    fixture->cluster = rd_kafka_mock_cluster_new(fixture->owner, 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(fixture->cluster);
    fixture->bootstrap = rd_kafka_mock_cluster_bootstraps(fixture->cluster);
    if (make_topic)
        rd_kafka_mock_topic_create(fixture->cluster, topic, CLUSTER_PARTITIONS, 1);
    fixture->counters = aligned_alloc(64, sizeof(*fixture->counters));
    memset(fixture->counters, 0, sizeof(*fixture->counters));
    open_journals(fixture);
}

void publisher_begin(struct cluster_fixture *fixture)
{
    static const char *const extra[] = {"topic.metadata.refresh.interval.ms", "1000", NULL};
    struct publisher_options options = {
        .bootstrap = fixture->bootstrap,
        .topic = fixture->topic,
        .extra = extra,
        .node_name = "node-1",
        .state_dir = fixture->state_dir,
        .shards = CLUSTER_SHARDS,
        .journals = fixture->journals,
        .journal_directory = fixture->journal_directory,
        .counters = fixture->counters,
        .figures = &fixture->figures,
        .more = &fixture->more,
        .conninfo = "host=127.0.0.1 port=1",
        .node = 1,
    };
    cluster_producers_made = 0;
    CU_ASSERT_EQUAL_FATAL(publisher_start(&options, &fixture->publisher), OK);
}

void publisher_end(struct cluster_fixture *fixture)
{
    publisher_stop(fixture->publisher);
    fixture->publisher = NULL;
}

void cluster_teardown(struct cluster_fixture *fixture)
{
    publisher_end(fixture);
    close_journals(fixture);
    rd_kafka_mock_cluster_destroy(fixture->cluster);
    rd_kafka_destroy(fixture->owner);
    free(fixture->counters);
    cluster_remove_tree(fixture->state_dir);
}

/* --- events
 * -------------------------------------------------------------------------------------------------- */

void cluster_make_event(uint32_t serial, struct alert_event *event, char json[256])
{
    *event = (struct alert_event){
        .patient_id = serial % 7 + 1,
        .decided_at_ms = INT64_C(1780000000000) + serial,
        .sequence = 1,
        .kind = serial % 2 == 0 ? EVENT_RAISED : EVENT_CLEARED,
        .priority = PRIORITY_HIGH,
    };
    memcpy(event->event_id, &serial, sizeof(serial));
    event->episode_id[0] = 0xee;
    event->key_size = (uint8_t)sprintf(event->key, "P-%u", serial % 7);
    event->organization_size = (uint8_t)sprintf(event->organization, "%s", serial % 2 == 0 ? "CHU-X" : "A/B");
    snprintf(json, 256, "{\"serial\":%u,\"text\":\"h\u00f4pital\"}", serial);
}

/* Turns of a tick, four readings and an event; shards in turn. */
void cluster_write(struct cluster_fixture *fixture, uint32_t count)
{
    for (uint32_t left = count; left > 0; left--) {
        struct journal *journal = fixture->journals[fixture->written % CLUSTER_SHARDS];
        struct alert_event event;
        char json[256], reading[200] = "reading";
        cluster_make_event(fixture->written++, &event, json);
        struct journal_bytes parts[] = {{&event, sizeof(event)}, {json, (uint32_t)strlen(json)}};
        for (int index = 0; index < 4; index++)
            journal_append(journal, RECORD_READING, &(struct journal_bytes){reading, sizeof(reading)}, 1);
        journal_append(journal, RECORD_EVENT, parts, 2);
        CU_ASSERT_EQUAL_FATAL(journal_commit(journal), OK);
    }
    if (fixture->publisher != NULL)
        publisher_wake(fixture->publisher);
}

/* Figures are told once a round, so a lag of 0 may be an old one: count what was delivered first. */
bool cluster_delivers(struct cluster_fixture *fixture, uint64_t wanted)
{
    for (int waited = 0; waited < WAIT_MS; waited += 10) {
        if (atomic_load(&fixture->counters->value[COUNTER_SINK_RECORDS]) >= wanted &&
            atomic_load(&fixture->figures.records_lag) == 0)
            return true;
        clock_sleep_ms(10);
    }
    return false;
}

bool cluster_lag_becomes(struct cluster_fixture *fixture, uint64_t wanted)
{
    for (int waited = 0; waited < WAIT_MS; waited += 10) {
        if (atomic_load(&fixture->figures.records_lag) == wanted)
            return true;
        clock_sleep_ms(10);
    }
    return false;
}

/* --- what a consumer sees
 * ------------------------------------------------------------------------------------ */

struct harvest {
    unsigned seen[EVENTS_MAX]; /* by serial */
    unsigned total, wrong;
};

static bool header_is(const rd_kafka_headers_t *headers, const char *name, const char *wanted)
{
    const void *value;
    size_t size;
    if (rd_kafka_header_get_last(headers, name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    return size == strlen(wanted) && memcmp(value, wanted, size) == 0;
}

static bool headers_are_good(const rd_kafka_message_t *message, const struct alert_event *event)
{
    rd_kafka_headers_t *headers = NULL;
    char id[UUID_TEXT + 1], episode[UUID_TEXT + 1], time[INSTANT_TEXT_MAX];
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    uuid_format(event->event_id, id);
    uuid_format(event->episode_id, episode);
    time[instant_format(event->decided_at_ms, time)] = '\0';
    bool raised = event->kind == EVENT_RAISED;
    return rd_kafka_header_cnt(headers) == 7 && header_is(headers, "ce_specversion", "1.0") &&
           header_is(headers, "ce_id", id) && header_is(headers, "ce_source", "node-1") &&
           header_is(headers, "ce_type", raised ? "fr.vigie.alert.raised.v1" : "fr.vigie.alert.cleared.v1") &&
           header_is(headers, "ce_time", time) && header_is(headers, "ce_subject", episode) &&
           header_is(headers, "content-type", "application/json");
}

static void take_message(const rd_kafka_message_t *message, struct harvest *harvest)
{
    unsigned serial = EVENTS_MAX;
    struct alert_event event;
    char json[256];
    harvest->total++;
    if (message->len < 12 || sscanf(message->payload, "{\"serial\":%u", &serial) != 1 ||
        serial >= EVENTS_MAX) {
        harvest->wrong++;
        return;
    }
    cluster_make_event(serial, &event, json);
    bool good = message->len == strlen(json) && memcmp(message->payload, json, message->len) == 0 &&
                message->key_len == event.key_size && memcmp(message->key, event.key, event.key_size) == 0;
    harvest->wrong += !good || !headers_are_good(message, &event);
    harvest->seen[serial]++;
}

/* Reads a topic from its beginning until `wanted` different events came and nothing more does. */
static struct harvest harvest_topic(struct cluster_fixture *fixture, const char *topic, unsigned wanted)
{
    struct harvest harvest = {.total = 0};
    char fault[512];
    unsigned different = 0;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", fixture->bootstrap, fault, sizeof(fault));
    rd_kafka_conf_set(conf, "group.id", "test", fault, sizeof(fault));
    rd_kafka_conf_set(conf, "auto.offset.reset", "earliest", fault, sizeof(fault));
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, fault, sizeof(fault));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(CLUSTER_PARTITIONS);
    for (int partition = 0; partition < CLUSTER_PARTITIONS; partition++)
        rd_kafka_topic_partition_list_add(list, topic, partition)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(consumer, list);
    int64_t until_ms = clock_monotonic_ms() + WAIT_MS;
    while (clock_monotonic_ms() < until_ms) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 300);
        if (message == NULL && different >= wanted)
            break;
        if (message == NULL)
            continue;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            take_message(message, &harvest);
        rd_kafka_message_destroy(message);
        different = 0;
        for (unsigned serial = 0; serial < EVENTS_MAX; serial++)
            different += harvest.seen[serial] > 0;
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return harvest;
}

/* Serials [0, count) at least once, byte-equal; exactly once when `once`. */
void cluster_expect_all(struct cluster_fixture *fixture, uint32_t count, bool once)
{
    struct harvest harvest = harvest_topic(fixture, fixture->topic, count);
    unsigned missing = 0;
    for (uint32_t serial = 0; serial < count; serial++)
        missing += harvest.seen[serial] == 0;
    CU_ASSERT_EQUAL(missing, 0);
    CU_ASSERT_EQUAL(harvest.wrong, 0);
    if (once)
        CU_ASSERT_EQUAL(harvest.total, count);
}

/* --- tests
 * --------------------------------------------------------------------------------------------------- */

static void test_flights(void)
{
    struct flights *flights = calloc(1, sizeof(*flights));
    struct flight *flight[4];
    uint64_t after = 0;
    for (int index = 0; index < 4; index++) {
        flight[index] = flights_add(flights);
        flight[index]->after = 10 + (uint64_t)index;
    }
    CU_ASSERT(!flights_complete(flights, flight[1], &after));
    CU_ASSERT(!flights_complete(flights, flight[2], &after));
    CU_ASSERT_PTR_EQUAL(flights_oldest(flights), flight[0]);
    CU_ASSERT(flights_complete(flights, flight[0], &after));
    CU_ASSERT_EQUAL(after, 12);
    CU_ASSERT_EQUAL(flights_count(flights), 1);
    while (!flights_are_full(flights))
        flights_add(flights);
    CU_ASSERT_EQUAL(flights_count(flights), FLIGHTS_MAX);
    flights_undo(flights);
    CU_ASSERT(!flights_are_full(flights));
    free(flights);
}

static void test_cursor(void)
{
    struct publisher_cursor cursor = {.shards = 2, .partitions = 12, .position = {7, UINT64_C(1) << 33}},
                            found;
    char directory[96], path[128];
    snprintf(directory, sizeof(directory), "/tmp/vigie-cursor-%d", (int)getpid());
    snprintf(path, sizeof(path), "%s/kafka.cursor", directory);
    cluster_remove_tree(directory);
    mkdir(directory, 0700);
    publisher_cursor_load(&found, directory, 2);
    CU_ASSERT(found.position[0] == 0 && found.position[1] == 0);
    CU_ASSERT_EQUAL(publisher_cursor_save(&cursor, directory), OK);
    publisher_cursor_load(&found, directory, 2);
    CU_ASSERT(found.position[0] == 7 && found.position[1] == UINT64_C(1) << 33 && found.partitions == 12);
    struct buffer text = {0};
    CU_ASSERT_EQUAL(file_read(path, 4096, &text), OK);
    for (size_t at = 0; at + 1 < text.size; at++) { /* the last byte is the line's end */
        text.data[at] ^= 1;
        CU_ASSERT_EQUAL(file_replace(path, text.data, text.size, 0600), OK);
        publisher_cursor_load(&found, directory, 2);
        CU_ASSERT(found.position[0] == 0 && found.position[1] == 0);
        text.data[at] ^= 1;
    }
    buffer_deinit(&text);
    cluster_remove_tree(directory);
}

static void test_delivery_and_restart(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "vigie.alerts", true);
    cluster_write(&fixture, 300);
    publisher_begin(&fixture);
    cluster_write(&fixture, 300);
    CU_ASSERT(cluster_delivers(&fixture, 600));
    CU_ASSERT_EQUAL(atomic_load(&fixture.figures.state), SINK_CONNECTED);
    CU_ASSERT_EQUAL(atomic_load(&fixture.figures.oldest_ms), INSTANT_NONE);
    CU_ASSERT_EQUAL(fixture.counters->value[COUNTER_SINK_RECORDS], 600);
    cluster_expect_all(&fixture, 600, true);

    publisher_end(&fixture);
    close_journals(&fixture);
    open_journals(&fixture);
    publisher_begin(&fixture);
    CU_ASSERT(cluster_delivers(&fixture, 600));
    cluster_write(&fixture, 50);
    CU_ASSERT(cluster_delivers(&fixture, 650));
    CU_ASSERT_EQUAL(fixture.counters->value[COUNTER_SINK_RECORDS], 650);
    cluster_expect_all(&fixture, 650, true);
    cluster_teardown(&fixture);
}

/* The mock makes every topic that is asked for, whatever the question says: missing is an answer set by hand.
 */
void cluster_set_missing(struct cluster_fixture *fixture, const char *topic, bool missing)
{
    rd_kafka_mock_topic_set_error(fixture->cluster, topic,
                                  missing ? RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
                                          : RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void test_missing_topic(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "vigie.late", true);
    cluster_set_missing(&fixture, "vigie.late", true);
    cluster_write(&fixture, 20);
    publisher_begin(&fixture);
    CU_ASSERT(cluster_lag_becomes(&fixture, 20));
    clock_sleep_ms(2500);
    CU_ASSERT_EQUAL(atomic_load(&fixture.figures.records_lag), 20);
    CU_ASSERT_EQUAL(atomic_load(&fixture.figures.state), SINK_WAITING);
    CU_ASSERT_EQUAL(atomic_load(&fixture.figures.oldest_ms), INT64_C(1780000000000));
    cluster_set_missing(&fixture, "vigie.late", false);
    CU_ASSERT(cluster_delivers(&fixture, 20));
    CU_ASSERT_EQUAL(atomic_load(&fixture.figures.state), SINK_CONNECTED);
    cluster_expect_all(&fixture, 20, true);
    cluster_teardown(&fixture);
}

/* PITFALLS K6: a fatal producer is thrown away; what was in doubt comes again, byte-equal. */
static void test_fatal_producer(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "vigie.alerts", true);
    publisher_begin(&fixture);
    cluster_write(&fixture, 100);
    CU_ASSERT(cluster_delivers(&fixture, 100));
    CU_ASSERT_EQUAL(cluster_producers_made, 1);
    fatal_wanted = true;
    cluster_write(&fixture, 100);
    CU_ASSERT(cluster_delivers(&fixture, 200));
    CU_ASSERT_EQUAL(cluster_producers_made, 2);
    cluster_expect_all(&fixture, 200, false);
    cluster_teardown(&fixture);
}

/* A report of failure: nothing is lost, the producer is made anew. */
static void test_failed_report(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "vigie.alerts", true);
    publisher_begin(&fixture);
    cluster_write(&fixture, 10);
    CU_ASSERT(cluster_delivers(&fixture, 10));
    rd_kafka_mock_push_request_errors(fixture.cluster, 0 /* Produce */, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    cluster_write(&fixture, 100);
    CU_ASSERT(cluster_delivers(&fixture, 110));
    CU_ASSERT(cluster_producers_made >= 2);
    cluster_expect_all(&fixture, 110, false);
    cluster_teardown(&fixture);
}

static void test_broker_away(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "vigie.alerts", true);
    publisher_begin(&fixture);
    cluster_write(&fixture, 10);
    CU_ASSERT(cluster_delivers(&fixture, 10));
    rd_kafka_mock_broker_set_down(fixture.cluster, 1);
    cluster_write(&fixture, 200);
    CU_ASSERT(cluster_lag_becomes(&fixture, 200));
    clock_sleep_ms(1500);
    CU_ASSERT_EQUAL(atomic_load(&fixture.figures.records_lag), 200);
    publisher_end(&fixture); /* bounded, with the broker away */
    publisher_begin(&fixture);
    CU_ASSERT(cluster_lag_becomes(&fixture, 200));
    rd_kafka_mock_broker_set_up(fixture.cluster, 1);
    CU_ASSERT(cluster_delivers(&fixture, 210));
    cluster_expect_all(&fixture, 210, false);
    cluster_teardown(&fixture);
}

static void test_template(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "alerts.{organization}", false);
    rd_kafka_mock_topic_create(fixture.cluster, "alerts.CHU-X", CLUSTER_PARTITIONS, 1);
    rd_kafka_mock_topic_create(fixture.cluster, "alerts.A_2fB", CLUSTER_PARTITIONS, 1);
    publisher_begin(&fixture);
    cluster_write(&fixture, 40);
    CU_ASSERT(cluster_delivers(&fixture, 40));
    struct harvest even = harvest_topic(&fixture, "alerts.CHU-X", 20);
    struct harvest odd = harvest_topic(&fixture, "alerts.A_2fB", 20);
    for (uint32_t serial = 0; serial < 40; serial++)
        CU_ASSERT(even.seen[serial] == (serial % 2 == 0) && odd.seen[serial] == (serial % 2 == 1));
    CU_ASSERT(even.wrong == 0 && odd.wrong == 0);
    cluster_teardown(&fixture);
}

static void test_names(void)
{
    char name[KAFKA_TOPIC_MAX + 2], template[300];
    static const char *const rows[][2] = {{"CHU-X", "a.CHU-X"}, {"a_b", "a.a_5fb"},
                                          {"a.b", "a.a_2eb"},   {"a_5fb", "a.a_5f5fb"},
                                          {"", "a._"},          {"a@=~:", "a.a_40_3d_7e_3a"}};
    for (size_t index = 0; index < sizeof(rows) / sizeof(rows[0]); index++) {
        CU_ASSERT_EQUAL(kafka_topic_name("a.{organization}", rows[index][0], strlen(rows[index][0]), name),
                        OK);
        CU_ASSERT_STRING_EQUAL(name, rows[index][1]);
        CU_ASSERT(kafka_topic_fits("a.{organization}", name));
    }
    CU_ASSERT(!kafka_topic_fits("a.{organization}", "a.") && !kafka_topic_fits("a.{organization}", "b.x"));
    CU_ASSERT(!kafka_topic_fits("a.{organization}", "a.x.y") && kafka_topic_fits("a", "a"));
    memset(template, 'x', sizeof(template));
    strcpy(template + 240, "{organization}");
    CU_ASSERT_EQUAL(kafka_topic_name(template, "123456789", 9, name), OK);
    CU_ASSERT_EQUAL(strlen(name), KAFKA_TOPIC_MAX);
    CU_ASSERT_EQUAL(kafka_topic_name(template, "1234567890", 10, name), ERR_LIMIT);
}

static void test_room(void)
{
    char fault[KAFKA_FAULT_MAX];
    static const char *const good[] = {"queue.buffering.max.messages", "8", NULL};
    static const char *const rows[][3] = {{"message.max.bytes", "1000", NULL},
                                          {"queue.buffering.max.kbytes", "8", NULL},
                                          {"no.such", "1", NULL}};
    CU_ASSERT_EQUAL(kafka_conf_check(&(struct kafka_endpoint){"127.0.0.1:1", good}, fault), OK);
    for (size_t index = 0; index < sizeof(rows) / sizeof(rows[0]); index++)
        CU_ASSERT_EQUAL(kafka_conf_check(&(struct kafka_endpoint){"127.0.0.1:1", rows[index]}, fault),
                        ERR_CONFIG);
}

/* A topic that is missing holds back nobody else's; it catches up, also over a restart. */
static void test_topic_behind(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "alerts.{organization}", false);
    rd_kafka_mock_topic_create(fixture.cluster, "alerts.CHU-X", CLUSTER_PARTITIONS, 1);
    rd_kafka_mock_topic_create(fixture.cluster, "alerts.A_2fB", CLUSTER_PARTITIONS, 1);
    cluster_set_missing(&fixture, "alerts.A_2fB", true);
    publisher_begin(&fixture);
    cluster_write(&fixture, 400);
    struct harvest even = harvest_topic(&fixture, "alerts.CHU-X", 200);
    CU_ASSERT(even.total == 200 && even.wrong == 0);
    CU_ASSERT_EQUAL(atomic_load(&fixture.more.topics_missing), 1);
    CU_ASSERT(cluster_lag_becomes(&fixture, 200));
    CU_ASSERT_EQUAL(atomic_load(&fixture.figures.oldest_ms), INT64_C(1780000000001));
    publisher_end(&fixture);
    publisher_begin(&fixture);
    cluster_write(&fixture, 100);
    clock_sleep_ms(500);
    cluster_set_missing(&fixture, "alerts.A_2fB", false);
    CU_ASSERT(cluster_delivers(&fixture, 500));
    cluster_write(&fixture, 100);
    CU_ASSERT(cluster_delivers(&fixture, 600));
    CU_ASSERT_EQUAL(atomic_load(&fixture.more.topics_missing), 0);
    even = harvest_topic(&fixture, "alerts.CHU-X", 300);
    struct harvest odd = harvest_topic(&fixture, "alerts.A_2fB", 300);
    CU_ASSERT(even.total == 300 && odd.total == 300);
    CU_ASSERT(even.wrong == 0 && odd.wrong == 0);
    for (uint32_t serial = 0; serial < 600; serial++)
        CU_ASSERT(even.seen[serial] == (serial % 2 == 0) && odd.seen[serial] == (serial % 2 == 1));
    cluster_teardown(&fixture);
}

static void test_no_broker(void)
{
    struct cluster_fixture fixture;
    cluster_setup(&fixture, "vigie.alerts", false);
    fixture.bootstrap = "";
    cluster_write(&fixture, 5);
    publisher_begin(&fixture);
    CU_ASSERT(cluster_lag_becomes(&fixture, 5));
    CU_ASSERT_EQUAL(atomic_load(&fixture.figures.state), SINK_WAITING);
    CU_ASSERT_EQUAL(cluster_producers_made, 0);
    cluster_teardown(&fixture);
}

static void test_refused_property(void)
{
    struct cluster_fixture fixture;
    static const char *const extra[] = {"no.such.property", "1", NULL};
    cluster_setup(&fixture, "vigie.alerts", false);
    struct publisher_options options = {.bootstrap = fixture.bootstrap,
                                        .topic = "vigie.alerts",
                                        .extra = extra,
                                        .node_name = "node-1",
                                        .state_dir = fixture.state_dir,
                                        .shards = CLUSTER_SHARDS,
                                        .journals = fixture.journals,
                                        .journal_directory = fixture.journal_directory,
                                        .counters = fixture.counters,
                                        .figures = &fixture.figures,
                                        .more = &fixture.more,
                                        .conninfo = ""};
    CU_ASSERT_EQUAL(publisher_start(&options, &fixture.publisher), ERR_CONFIG);
    fixture.publisher = NULL;
    cluster_teardown(&fixture);
}

static void test_admin(void)
{
    struct cluster_fixture fixture;
    char fault[KAFKA_FAULT_MAX];
    struct kafka_topic topic;
    cluster_setup(&fixture, "vigie.alerts", true);
    struct kafka_endpoint endpoint = {fixture.bootstrap, NULL}, nobody = {"127.0.0.1:1", NULL},
                          unset = {"", NULL};
    CU_ASSERT_EQUAL(kafka_topic_check(&endpoint, "vigie.alerts", 5000, &topic, fault), OK);
    CU_ASSERT(topic.exists && topic.partitions == CLUSTER_PARTITIONS && topic.replication == 1 &&
              topic.brokers == 1);
    CU_ASSERT_EQUAL(topic.without_leader, 0);
    cluster_set_missing(&fixture, "other", true);
    CU_ASSERT_EQUAL(kafka_topic_check(&endpoint, "other", 5000, &topic, fault), OK);
    CU_ASSERT(!topic.exists);
    CU_ASSERT_EQUAL(kafka_topic_check(&nobody, "other", 500, &topic, fault), ERR_UNAVAILABLE);
    CU_ASSERT_EQUAL(kafka_topic_check(&unset, "other", 500, &topic, fault), ERR_CONFIG);
    struct kafka_topic_wish wish = {"made", 12, 1}, wrong = {"made", 0, 1};
    CU_ASSERT_EQUAL(kafka_topic_create(&nobody, &wish, 500, fault), ERR_UNAVAILABLE);
    CU_ASSERT_EQUAL(kafka_topic_create(&endpoint, &wrong, 500, fault), ERR_CONFIG);
    cluster_teardown(&fixture);
}

SUITE(publisher) = {
    {"flights", test_flights},
    {"cursor file", test_cursor},
    {"delivery and restart", test_delivery_and_restart},
    {"missing topic", test_missing_topic},
    {"fatal producer", test_fatal_producer},
    {"failed report", test_failed_report},
    {"broker away", test_broker_away},
    {"topic of each organisation", test_template},
    {"topic's name", test_names},
    {"properties too small for an event", test_room},
    {"missing topic of one organisation", test_topic_behind},
    {"no broker configured", test_no_broker},
    {"property that librdkafka refuses", test_refused_property},
    {"looking at the topic", test_admin},
    {NULL, NULL},
};
