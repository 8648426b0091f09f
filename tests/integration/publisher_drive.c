/* publisher_drive: two journals, a publisher and a loader under the hand of a test: one command a line on
 * standard input, an answer a line.
 *
 *   publisher_drive DIRECTORY CONNINFO
 *
 *   events COUNT FIRST BYTES ORGANISATION  serials from FIRST on, of 17 patients, JSON of BYTES
 *   start BOOTSTRAP TOPIC [NAME VALUE]...  the publisher; stop
 *   load EPOCH                             the loader until all is loaded, then it ends
 *   trim SHARD                             all segments but the newest two go; both must be stopped
 *   fatal                                  tests/harness/fatal_producer.h, at the next poll
 *   figures                                NAME=VALUE...
 *   payload SERIAL BYTES ORGANISATION      what that event's JSON is */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alerting/publisher.h"
#include "daemon/base/cipher.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/model/alert_event.h"
#include "daemon/model/parameter.h"
#include "storage/loader.h"
#include "tests/harness/fatal_producer.h"
#include "tests/harness/test_keys.h"

enum { SHARDS = 2, NODE = 78, PATIENTS = 17, WORDS_MAX = 16, LOAD_MS = 60000, JSON_MAX = 20000 };

static struct journal *journals[SHARDS];
static struct publisher *publisher;
static struct counters counters, loader_counters;
static struct sink_figures figures, loader_figures;
static struct publisher_figures more;
static _Atomic int64_t engine_now_ms;
static char directory[2000], journal_directory[2100];
static const char *conninfo;

static void shard_path(uint32_t shard, char path[2200])
{
    snprintf(path, 2200, "%s/%u", journal_directory, shard);
}

static void open_journal(uint32_t shard)
{
    char path[2200];
    shard_path(shard, path);
    struct journal_options options = {
        .directory = path, .shard = shard, .node = NODE, .segment_bytes = 1 << 18, .keys = test_keys()};
    ensure(journal_open(&options, &journals[shard]) == OK);
}

static void make_event(uint32_t serial, uint32_t bytes, const char *organization, struct alert_event *event,
                       char *json)
{
    *event = (struct alert_event){.decided_at_ms = INT64_C(1796083200000) + serial,
                                  .sequence = 1,
                                  .kind = serial % 2 == 0 ? EVENT_RAISED : EVENT_CLEARED,
                                  .priority = PRIORITY_HIGH};
    memcpy(event->event_id, &serial, sizeof(serial));
    memcpy(event->episode_id, &serial, sizeof(serial));
    event->episode_id[15] = 0xee;
    event->key_size = (uint8_t)snprintf(event->key, sizeof(event->key), "P-%u", serial % PATIENTS);
    event->organization_size =
        (uint8_t)snprintf(event->organization, sizeof(event->organization), "%s", organization);
    int size = snprintf(
        json, JSON_MAX,
        "{\"serial\": %u,\"patient\":\"%s\", \"organization\":\"%s\",\"priority\":\"high\",\"state\":"
        "\"open\",\"class\":\"clinical\",\"raised_at\":\"2026-12-01T00:00:00Z\",\"pad\":\"h\u00f4pital ",
        serial, event->key, organization);
    while (size < (int)bytes - 2)
        json[size++] = 'x';
    memcpy(json + size, "\"}", 3);
}

static void append_tick(uint32_t shard)
{
    struct record_tick tick = {.engine_ms = engine_now_ms};
    if (journal_turn_is_empty(journals[shard]))
        journal_append(journals[shard], RECORD_TICK, &(struct journal_bytes){&tick, sizeof(tick)}, 1);
}

static void commit(void)
{
    for (uint32_t shard = 0; shard < SHARDS; shard++)
        if (!journal_turn_is_empty(journals[shard]))
            ensure(journal_commit(journals[shard]) == OK);
    figures.records_lag = UINT64_MAX; /* until the publisher looked again */
    if (publisher != NULL)
        publisher_wake(publisher);
}

static void write_events(char **words)
{
    uint32_t count = (uint32_t)atoi(words[1]), first = (uint32_t)atoi(words[2]);
    for (uint32_t serial = first; serial < first + count; serial++) {
        struct alert_event event;
        char json[JSON_MAX];
        make_event(serial, (uint32_t)atoi(words[3]), words[4], &event, json);
        uint32_t shard = serial % PATIENTS % SHARDS;
        struct journal_bytes parts[] = {{&event, sizeof(event)}, {json, (uint32_t)strlen(json)}};
        append_tick(shard);
        journal_append(journals[shard], RECORD_EVENT, parts, 2);
        if (serial % 20 == 19)
            commit();
    }
    commit();
}

static enum err start(char **words)
{
    static char kept[WORDS_MAX][200];
    static const char *extra[WORDS_MAX + 1];
    int count = 0;
    for (; words[count + 1] != NULL; count++)
        snprintf(kept[count], sizeof(kept[count]), "%s", words[count + 1]);
    for (int index = 2; index <= count; index++)
        extra[index - 2] = index < count ? kept[index] : NULL;
    struct publisher_options options = {.bootstrap = kept[0],
                                        .topic = kept[1],
                                        .extra = extra,
                                        .node_name = "drive",
                                        .state_dir = directory,
                                        .conninfo = conninfo,
                                        .node = NODE,
                                        .shards = SHARDS,
                                        .journals = journals,
                                        .journal_directory = journal_directory,
                                        .counters = &counters,
                                        .figures = &figures,
                                        .more = &more};
    more.generation = 0;
    figures.records_lag = UINT64_MAX;
    return publisher_start(&options, &publisher);
}

static enum err load(uint64_t epoch)
{
    struct loader *loader;
    struct loader_options options = {.conninfo = conninfo,
                                     .node = NODE,
                                     .epoch = epoch,
                                     .shards = SHARDS,
                                     .journals = journals,
                                     .journal_directory = journal_directory,
                                     .batch_rows = 10000,
                                     .engine_now_ms = &engine_now_ms,
                                     .counters = &loader_counters,
                                     .figures = &loader_figures};
    loader_figures.records_lag = UINT64_MAX;
    enum err error = loader_start(&options, &loader);
    if (error != OK)
        return error;
    for (int waited = 0; loader_figures.records_lag != 0 && waited < LOAD_MS; waited += 20)
        clock_sleep_ms(20);
    loader_stop(loader);
    return loader_figures.records_lag == 0 ? OK : ERR_UNAVAILABLE;
}

/* All that may go; ERR_EMPTY when none did. */
static enum err trim(uint32_t shard)
{
    struct journal_figures before, after;
    journal_figures(journals[shard], &before);
    enum err error = journal_trim(journals[shard], journal_durable(journals[shard]));
    journal_figures(journals[shard], &after);
    return error != OK || after.oldest > before.oldest ? error : ERR_EMPTY;
}

static void print_figures(void)
{
    struct timespec cpu;
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    ensure(file != NULL && fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    printf("delivered=%" PRIu64 " lag=%" PRIu64 " state=%d reachable=%d missing=%u parked=%u generation=%u "
           "archived=%u away=%d cpu_ms=%ld resident_kb=%ld\n",
           counters.value[COUNTER_SINK_RECORDS], figures.records_lag, figures.state, more.broker_reachable,
           more.topics_missing, more.parked, more.generation, more.archived, more.archive_away,
           cpu.tv_sec * 1000 + cpu.tv_nsec / 1000000, pages * sysconf(_SC_PAGESIZE) / 1024);
}

static void obey(char **words)
{
    const char *verb = words[0];
    enum err error = OK;
    if (strcmp(verb, "figures") == 0) {
        print_figures();
        return;
    }
    if (strcmp(verb, "payload") == 0) {
        struct alert_event event;
        char json[JSON_MAX];
        make_event((uint32_t)atoi(words[1]), (uint32_t)atoi(words[2]), words[3], &event, json);
        printf("%s\n", json);
        return;
    }
    if (strcmp(verb, "events") == 0)
        write_events(words);
    else if (strcmp(verb, "start") == 0)
        error = start(words);
    else if (strcmp(verb, "load") == 0)
        error = load(strtoull(words[1], NULL, 10));
    else if (strcmp(verb, "trim") == 0)
        error = trim((uint32_t)atoi(words[1]));
    else if (strcmp(verb, "fatal") == 0)
        fatal_wanted = true;
    else if (strcmp(verb, "stop") == 0) {
        publisher_stop(publisher);
        publisher = NULL;
    } else
        error = ERR_USAGE;
    printf("%s\n", err_name(error));
}

int main(int argc, char **argv)
{
    char line[4000];
    ensure(argc == 3 && parameter_init() == OK);
    snprintf(directory, sizeof(directory), "%s", argv[1]);
    snprintf(journal_directory, sizeof(journal_directory), "%s/journal", directory);
    conninfo = argv[2];
    engine_now_ms = INT64_C(1796083200000);
    for (uint32_t shard = 0; shard < SHARDS; shard++)
        open_journal(shard);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        char *words[WORDS_MAX + 1] = {NULL}, *rest = NULL;
        int count = 0;
        for (char *word = strtok_r(line, " \n", &rest); word != NULL && count < WORDS_MAX;
             word = strtok_r(NULL, " \n", &rest))
            words[count++] = word;
        obey(words);
        fflush(stdout);
    }
    publisher_stop(publisher);
    for (uint32_t shard = 0; shard < SHARDS; shard++)
        journal_close(journals[shard]);
    return 0;
}
