/* loader_drive: a journal and a loader under the hand of a test: one command a line on standard input, an
 * answer a line. loader_drive DIRECTORY CONNINFO MIGRATE_CONNINFO migrate | start EPOCH BATCH_ROWS | stop |
 * commit | wait SECONDS reading KEY=VALUE…   shard patient value measured received status flags issued seed
 * sensor text context quarantine many COUNT FIRST_MS  readings of 50 patients, one turn a thousand event
 * EPISODE SEQUENCE KIND JSON rejected SOURCE CODE ORIGINAL clock MS */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/model/alert_event.h"
#include "daemon/model/parameter.h"
#include "daemon/model/rejected.h"
#include "storage/loader.h"
#include "storage/migrate.h"
#include "tests/harness/test_keys.h"

enum { SHARDS = 2, NODE = 77 };

static struct journal *journals[SHARDS];
static struct loader *loader;
static struct counters counters;
static struct sink_figures figures;
static _Atomic int64_t engine_now_ms;
static char journal_directory[4000];
static const char *conninfo, *migrate_conninfo;

static void say(void *context, const char *text)
{
    printf("%s; ", text);
}

static void open_journals(const char *directory)
{
    snprintf(journal_directory, sizeof(journal_directory), "%s/journal", directory);
    for (uint32_t i = 0; i < SHARDS; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%u", journal_directory, i);
        struct journal_options options = {
            .directory = path, .shard = i, .node = NODE, .segment_bytes = 1 << 20, .keys = test_keys()};
        ensure(journal_open(&options, &journals[i]) == OK);
    }
}

/* A turn begins with its tick. */
static void append(uint32_t shard, enum record_type type, const struct journal_bytes *parts, unsigned count)
{
    if (journal_turn_is_empty(journals[shard])) {
        struct record_tick tick = {.engine_ms = engine_now_ms};
        struct journal_bytes bytes = {.data = &tick, .size = sizeof(tick)};
        journal_append(journals[shard], RECORD_TICK, &bytes, 1);
    }
    journal_append(journals[shard], type, parts, count);
}

static void commit(void)
{
    for (uint32_t i = 0; i < SHARDS; i++)
        if (!journal_turn_is_empty(journals[i]))
            ensure(journal_commit(journals[i]) == OK);
    if (loader != NULL)
        loader_wake(loader);
}

static void append_reading(uint32_t shard, struct reading *reading, const uint8_t *tail)
{
    static const struct sip_key key = {1, 2};
    reading_identify(reading, tail, &key);
    struct journal_bytes parts[2] = {{.data = reading, .size = sizeof(*reading)},
                                     {.data = tail, .size = reading->tail_size}};
    append(shard, RECORD_READING, parts, 2);
}

static void set_field(struct reading *reading, uint8_t *tail, const char *name, const char *value)
{
    int64_t number = strtoll(value, NULL, 10);
    if (strcmp(name, "patient") == 0)
        reading->patient_id = number;
    else if (strcmp(name, "parameter") == 0)
        reading->parameter = (uint16_t)number;
    else if (strcmp(name, "value") == 0)
        reading->value = number;
    else if (strcmp(name, "measured") == 0)
        reading->measured_at_ms = number;
    else if (strcmp(name, "received") == 0)
        reading->received_at_ms = number;
    else if (strcmp(name, "status") == 0)
        reading->status = (uint8_t)number;
    else if (strcmp(name, "flags") == 0)
        reading->flags = (uint16_t)number;
    else if (strcmp(name, "issued") == 0)
        reading->issued_ms = number;
    else if (strcmp(name, "revision") == 0)
        reading->revision = (uint16_t)number;
    else if (strcmp(name, "following") == 0)
        reading->next = (uint32_t)number;
    else if (strcmp(name, "quarantine") == 0)
        reading->quarantine = (uint8_t)number;
    else if (strcmp(name, "alias") == 0)
        ensure(tail_put(tail, TAIL_BYTES_MAX, &reading->tail_size, TAIL_ALIAS, value, strlen(value)));
    else if (strcmp(name, "sensor") == 0)
        ensure(tail_put(tail, TAIL_BYTES_MAX, &reading->tail_size, TAIL_SENSOR, value, strlen(value)));
    else if (strcmp(name, "context") == 0)
        ensure(tail_put(tail, TAIL_BYTES_MAX, &reading->tail_size, TAIL_CONTEXT, value, strlen(value)));
    else
        ensure_unreachable();
}

static void command_reading(char *fields)
{
    uint8_t tail[TAIL_BYTES_MAX];
    struct reading reading = {.source_id = 5, .issued_ms = INSTANT_NONE, .status = STATUS_FINAL};
    ensure(tail_put(tail, sizeof(tail), &reading.tail_size, TAIL_KEY_DEVICE, "SN-1", 4));
    char *rest = fields;
    for (char *field = strsep(&rest, " "); field != NULL; field = strsep(&rest, " ")) {
        char *equals = strchr(field, '=');
        ensure(equals != NULL);
        *equals = '\0';
        set_field(&reading, tail, field, equals + 1);
    }
    engine_now_ms = reading.received_at_ms;
    append_reading((uint32_t)(reading.patient_id % SHARDS), &reading, tail);
}

static void command_many(const char *fields)
{
    int64_t count = 0, first_ms = 0;
    ensure(sscanf(fields, "%" SCNd64 " %" SCNd64, &count, &first_ms) == 2);
    for (int64_t i = 0; i < count; i++) {
        uint8_t tail[TAIL_BYTES_MAX];
        struct reading reading = {.source_id = 5, .issued_ms = INSTANT_NONE, .status = STATUS_FINAL};
        ensure(tail_put(tail, sizeof(tail), &reading.tail_size, TAIL_KEY_DEVICE, "SN-2", 4));
        reading.patient_id = 1 + i % 50;
        reading.value = i;
        reading.measured_at_ms = reading.received_at_ms = first_ms + i;
        engine_now_ms = reading.received_at_ms;
        append_reading((uint32_t)(reading.patient_id % SHARDS), &reading, tail);
        if (i % 1000 == 999)
            commit();
    }
    commit();
}

static void command_event(const char *fields)
{
    int episode = 0, sequence = 0, kind = 0, json_at = 0;
    ensure(sscanf(fields, "%d %d %d %n", &episode, &sequence, &kind, &json_at) == 3);
    struct alert_event event = {.sequence = (uint32_t)sequence, .kind = (uint8_t)kind, .patient_id = 1};
    event.episode_id[0] = (uint8_t)episode;
    event.event_id[0] = (uint8_t)episode;
    event.event_id[1] = (uint8_t)sequence;
    event.decided_at_ms = engine_now_ms + sequence * 1000;
    struct journal_bytes parts[2] = {{.data = &event, .size = sizeof(event)},
                                     {.data = fields + json_at, .size = (uint32_t)strlen(fields + json_at)}};
    append(1, RECORD_EVENT, parts, 2);
}

static void command_command(const char *json)
{
    struct journal_bytes part = {.data = json, .size = (uint32_t)strlen(json)};
    append(1, RECORD_COMMAND, &part, 1);
}

/* The first tick of a process, seconds behind the one before. */
static void command_tick(const char *fields)
{
    engine_now_ms = engine_now_ms + atoi(fields) * 1000LL;
    struct record_tick tick = {.engine_ms = engine_now_ms, .accepting = 1, .start = 1};
    struct journal_bytes part = {.data = &tick, .size = sizeof(tick)};
    journal_append(journals[1], RECORD_TICK, &part, 1);
}

static void command_rejected(char *fields)
{
    static const char words[] = "words of ours";
    uint8_t record[1024];
    char *source = strsep(&fields, " "), *code = strsep(&fields, " ");
    struct rejected_view view = {.head = {.received_at_ms = engine_now_ms,
                                          .source_id = strtoll(source, NULL, 10),
                                          .code_size = (uint16_t)strlen(code),
                                          .text_size = sizeof(words) - 1,
                                          .original_size = (uint32_t)strlen(fields)},
                                 .code = {code, strlen(code)},
                                 .text = {words, sizeof(words) - 1},
                                 .original = {fields, strlen(fields)}};
    ensure(rejected_size(&view.head) <= sizeof(record));
    rejected_write(&view, record);
    struct journal_bytes part = {.data = record, .size = (uint32_t)rejected_size(&view.head)};
    append(1, RECORD_REJECTED, &part, 1);
}

static void command_start(const char *fields)
{
    unsigned long long epoch = 0;
    unsigned batch_rows = 0;
    ensure(sscanf(fields, "%llu %u", &epoch, &batch_rows) == 2);
    struct loader_options options = {.conninfo = conninfo,
                                     .node = NODE,
                                     .epoch = epoch,
                                     .shards = SHARDS,
                                     .journals = journals,
                                     .journal_directory = journal_directory,
                                     .batch_rows = batch_rows,
                                     .index_open_partition = true,
                                     .engine_now_ms = &engine_now_ms,
                                     .counters = &counters,
                                     .figures = &figures};
    ensure(loader_start(&options, &loader) == OK);
}

static void command_wait(const char *fields)
{
    int64_t end_ms = clock_monotonic_ms() + atoi(fields) * 1000LL;
    for (int calm = 0; clock_monotonic_ms() < end_ms && calm < 3; clock_sleep_ms(20))
        calm = figures.records_lag == 0 && figures.state == SINK_CONNECTED ? calm + 1 : 0;
}

static void obey(char *line)
{
    char *fields = strchr(line, ' ');
    if (fields != NULL)
        *fields++ = '\0';
    if (strcmp(line, "migrate") == 0) {
        struct migrate_report report = {.line = say};
        printf("%s ", err_name(migrate_run(conninfo, migrate_conninfo, &report)));
        printf("%s ", err_name(migrate_status(conninfo, &report)));
    } else if (strcmp(line, "start") == 0) {
        command_start(fields);
    } else if (strcmp(line, "stop") == 0) {
        loader_stop(loader);
        loader = NULL;
    } else if (strcmp(line, "reading") == 0) {
        command_reading(fields);
    } else if (strcmp(line, "many") == 0) {
        command_many(fields);
    } else if (strcmp(line, "event") == 0) {
        command_event(fields);
    } else if (strcmp(line, "command") == 0) {
        command_command(fields);
    } else if (strcmp(line, "rejected") == 0) {
        command_rejected(fields);
    } else if (strcmp(line, "clock") == 0) {
        engine_now_ms = strtoll(fields, NULL, 10);
        loader_wake(loader);
    } else if (strcmp(line, "tick") == 0) {
        command_tick(fields);
    } else if (strcmp(line, "commit") == 0) {
        commit();
    } else if (strcmp(line, "wait") == 0) {
        command_wait(fields);
    }
    printf("lag=%" PRIu64 " state=%d\n", figures.records_lag, figures.state);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    ensure(argc == 4 && parameter_init() == OK);
    conninfo = argv[2];
    migrate_conninfo = argv[3];
    engine_now_ms = 1796083200000; /* 2026-12-01 */
    figures.records_lag = 1;
    open_journals(argv[1]);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    while ((size = getline(&line, &capacity, stdin)) > 0) {
        line[size - 1] = '\0';
        obey(line);
    }
    loader_stop(loader);
    for (uint32_t i = 0; i < SHARDS; i++)
        journal_close(journals[i]);
    free(line);
    return 0;
}
