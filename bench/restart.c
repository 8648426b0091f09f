/* bench restart: what a start of one shard costs: by its whole journal, and by a snapshot. The state is made
 * through a real shard (enrolments, rules, readings, one journal); each phase is a process of its own, so
 * that its memory is its own. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "daemon/base/clock.h"
#include "daemon/model/command.h"
#include "daemon/model/parameter.h"
#include "daemon/shard.h"

static const char help[] =
    "vigie-bench restart: time and memory of a start by the whole journal and by a snapshot\n"
    "\n"
    "  --directory DIR   where to write; default .; what is made stays there\n"
    "  --patients N      default 20000, each with 4 parameters\n"
    "  --held N          readings held a parameter; default 16\n";

enum { PARAMETERS = 4, MESSAGE_PATIENTS = 1000, ROOM_MS = 60000 };
static const char *const names[PARAMETERS] = {"body-weight", "glucose-blood", "body-temperature", "spo2"};
static const int64_t values[PARAMETERS] = {72, 110, 37, 97};

struct work {
    char directory[2048], journal[2200], snapshot[2200];
    int64_t patients, held;
    struct cipher_keys keys;
    struct counters *counters;
    struct node_state node;
    _Atomic int64_t now_ms;
    struct snapshot_figures figures;
    struct shard *shard;
    struct inlet inlet;
    struct wakeup bell;
};

static void no_trim(void *context, uint32_t shard)
{
}

static void on_durable(void *context, bool events)
{
}

static double seconds_since(int64_t begin_ns)
{
    return (double)(clock_monotonic_ns() - begin_ns) / 1e9;
}

static double resident_mb(void)
{
    struct rusage usage;
    ensure(getrusage(RUSAGE_SELF, &usage) == 0);
    return (double)usage.ru_maxrss / 1024;
}

static void open_shard(struct work *work, uint64_t snapshot_bytes)
{
    struct shard_options options = {
        .engine = {.lookback_ms = 35 * INT64_C(86400000),
                   .lookback_continuous_ms = 16 * INT64_C(86400000),
                   .future_tolerance_ms = 300000,
                   .test_mode = true,
                   .node = "bench"},
        .journal = {.directory = work->journal, .node = 1, .segment_bytes = 64 << 20, .keys = &work->keys},
        .test_mode = true,
        .node = &work->node,
        .engine_now_ms = &work->now_ms,
        .counters = work->counters,
        .memory_bytes = (size_t)64 << 30,
        .snapshot_directory = work->snapshot,
        .snapshot_bytes = snapshot_bytes,
        .snapshot = &work->figures,
        .trim = no_trim,
        .durable = on_durable,
        .context = work,
    };
    ensure(shard_new(&options, &work->shard) == OK);
    ensure(wakeup_open(&work->bell) == OK);
    ensure(inlet_init(&work->inlet, shard_bell(work->shard), &work->bell) == OK);
    shard_add_inlet(work->shard, &work->inlet);
}

static void start_shard(struct work *work)
{
    struct engine_time time;
    engine_time_start(&time, shard_last_tick_ms(work->shard), shard_last_pace(work->shard), clock_wall_ms(),
                      clock_monotonic_ms(), INSTANT_NONE);
    ensure(shard_start(work->shard, &time) == OK);
}

static void exchange(struct work *work, struct job *job)
{
    inlet_send(&work->inlet, job);
    while (inlet_collect(&work->inlet) == NULL)
        wakeup_wait(&work->bell, ROOM_MS);
    ensure(job->result == OK);
}

static void order(struct work *work, enum command_kind kind, const char *json)
{
    struct command command = {.job = {.kind = JOB_COMMAND}, .kind = kind};
    buffer_text(&command.json, json);
    exchange(work, &command.job);
    ensure(command.outcome == OK);
    buffer_deinit(&command.json);
    buffer_deinit(&command.reply);
}

static void enrol(struct work *work)
{
    static const char *const rules[] = {
        "{\"id\":\"b.silence\",\"line\":\"b\",\"kind\":\"silence\",\"max_gap\":\"31d\",\"parameters\":"
        "[\"body-weight\"],\"priority\":\"low\"}",
        "{\"id\":\"b.weight\",\"line\":\"b\",\"kind\":\"change\",\"parameter\":\"body-weight\",\"unit\":"
        "\"kg\","
        "\"rise\":2,\"within\":\"84h\",\"priority\":\"medium\"}",
        "{\"id\":\"b.glucose\",\"line\":\"b\",\"kind\":\"limit\",\"parameter\":\"glucose-blood\",\"unit\":"
        "\"mg/dL\",\"levels\":[{\"priority\":\"high\",\"below\":54,\"above\":250}]}",
        "{\"id\":\"b.spo2\",\"line\":\"b\",\"kind\":\"limit\",\"parameter\":\"spo2\",\"unit\":\"%\","
        "\"levels\":[{\"priority\":\"high\",\"below\":88}]}",
    };
    char json[1024];
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        snprintf(json, sizeof json,
                 "{\"command\":\"rule\",\"layer\":\"line\",\"scope\":\"b\",\"version\":%zu,\"author\":\"a\","
                 "\"role\":\"system\",\"reason\":\"r\",\"rule\":%s}",
                 i + 1, rules[i]);
        order(work, COMMAND_RULE, json);
    }
    struct command *batch = calloc(1000, sizeof *batch);
    for (int64_t id = 1; id <= work->patients;) {
        unsigned sent = 0, back = 0;
        for (; sent < 1000 && id <= work->patients; sent++, id++) {
            batch[sent] = (struct command){.job = {.kind = JOB_COMMAND}, .kind = COMMAND_PATIENT};
            buffer_printf(&batch[sent].json,
                          "{\"command\":\"patient\",\"patient_id\":%lld,\"ref\":\"P-%lld\",\"organization\":"
                          "\"O\",\"line\":\"b\",\"team\":\"T\",\"time_zone\":\"Europe/Paris\","
                          "\"enrolled_at\":\"2020-01-01T00:00:00Z\"}",
                          (long long)id, (long long)id);
            inlet_send(&work->inlet, &batch[sent].job);
        }
        while (back < sent) {
            if (inlet_collect(&work->inlet) != NULL)
                back++;
            else
                wakeup_wait(&work->bell, ROOM_MS);
        }
        for (unsigned i = 0; i < sent; i++) {
            ensure(batch[i].outcome == OK);
            buffer_deinit(&batch[i].json);
            buffer_deinit(&batch[i].reply);
        }
    }
    free(batch);
}

static void add_readings(struct ticket *ticket, int64_t patient_id, int64_t day, int64_t at_ms)
{
    for (unsigned i = 0; i < PARAMETERS; i++) {
        enum parameter parameter;
        ensure(parameter_by_name(names[i], strlen(names[i]), &parameter) == OK);
        struct reading *reading = ticket_add_reading(ticket);
        ensure(reading != NULL);
        reading->patient_id = patient_id;
        reading->source_id = 1;
        reading->parameter = (uint16_t)parameter;
        reading->value = values[i] * 1000000 + (patient_id * 7 + day * 13) % 9 * 100000;
        reading->measured_at_ms = at_ms + patient_id % 3600000;
        reading->issued_ms = INSTANT_NONE;
        reading->status = STATUS_FINAL;
        ensure(ticket_tail_put(ticket, reading, TAIL_KEY_DEVICE, "scale-1", 7));
        reading_identify(reading, ticket_tail(ticket, reading), &(struct sip_key){1, 2});
        ticket_chain(ticket, ticket->count - 1, 0);
    }
}

static void send_readings(struct work *work)
{
    struct ticket_pool *pool = ticket_pool_new(1);
    int64_t begin_ms = clock_wall_ms() - INT64_C(15) * 86400000 - 7200000;
    for (int64_t day = 0; day < work->held; day++)
        for (int64_t id = 1; id <= work->patients;) {
            struct ticket *ticket = ticket_get(pool);
            for (unsigned i = 0; i < MESSAGE_PATIENTS && id <= work->patients; i++, id++)
                add_readings(ticket, id, day, begin_ms + day * INT64_C(15) * 86400000 / work->held);
            ticket->parts[0].job.kind = JOB_READINGS;
            ticket->parts[0].ticket = ticket;
            exchange(work, &ticket->parts[0].job);
            ensure(ticket->heads[0].verdict == VERDICT_ACCEPTED);
            ticket_put(pool, ticket);
        }
    ticket_pool_free(pool);
}

/* ---- phases ---- */

static void fill(struct work *work)
{
    int64_t begin_ns = clock_monotonic_ns();
    open_shard(work, UINT64_MAX);
    start_shard(work);
    enrol(work);
    send_readings(work);
    struct journal_figures figures;
    journal_figures(shard_journal(work->shard), &figures);
    shard_stop(work->shard);
    printf("fill: %lld patients, %lld readings, %.1f s, journal %.0f MB, resident %.0f MB\n",
           (long long)work->patients, (long long)(work->patients * PARAMETERS * work->held),
           seconds_since(begin_ns), (double)figures.bytes / 1e6, resident_mb());
}

static void replay(struct work *work)
{
    int64_t begin_ns = clock_monotonic_ns();
    open_shard(work, 1);
    double seconds = seconds_since(begin_ns);
    printf("whole journal: %.2f s, %.0f records/s, resident %.0f MB, differences %llu\n", seconds,
           (double)atomic_load(&work->figures.replayed) / seconds, resident_mb(),
           (unsigned long long)atomic_load(&work->figures.differences));
    begin_ns = clock_monotonic_ns();
    start_shard(work);
    while (atomic_load(&work->figures.made) == 0)
        wakeup_wait(&work->bell, 2);
    seconds = seconds_since(begin_ns);
    double bytes = (double)atomic_load(&work->figures.bytes);
    printf("snapshot: %.0f MB, %.1f bytes a held reading, taken in %.2f s while the shard turned\n",
           bytes / 1e6, bytes / (double)(work->patients * PARAMETERS * work->held), seconds);
    shard_stop(work->shard);
}

static void load(struct work *work)
{
    int64_t begin_ns = clock_monotonic_ns();
    open_shard(work, UINT64_MAX);
    double seconds = seconds_since(begin_ns);
    printf("snapshot and replay: %.2f s, %.0f held readings/s, records replayed %llu, resident %.0f MB, "
           "differences %llu\n",
           seconds, (double)(work->patients * PARAMETERS * work->held) / seconds,
           (unsigned long long)atomic_load(&work->figures.replayed), resident_mb(),
           (unsigned long long)atomic_load(&work->figures.differences));
}

static int in_a_process(struct work *work, void (*phase)(struct work *work))
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        phase(work);
        fflush(stdout);
        _exit(0);
    }
    ensure(child > 0 && waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 70;
}

static bool take_options(struct work *work, int argc, char **argv)
{
    static const struct option options[] = {{"directory", required_argument, NULL, 'd'},
                                            {"patients", required_argument, NULL, 'p'},
                                            {"held", required_argument, NULL, 'h'},
                                            {"help", no_argument, NULL, '?'},
                                            {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'd')
            snprintf(work->directory, sizeof work->directory, "%s", optarg);
        else if (option == 'p')
            work->patients = strtoll(optarg, NULL, 10);
        else if (option == 'h')
            work->held = strtoll(optarg, NULL, 10);
        else
            return false;
    }
    return work->patients > 0 && work->held > 0;
}

int bench_restart(int argc, char **argv)
{
    static struct work work = {.directory = ".", .patients = 20000, .held = 16};
    uint8_t master[CIPHER_KEY_BYTES] = {1};
    if (!take_options(&work, argc, argv)) {
        fputs(help, stdout);
        return 64;
    }
    snprintf(work.journal, sizeof work.journal, "%s/journal", work.directory);
    snprintf(work.snapshot, sizeof work.snapshot, "%s/snapshot", work.directory);
    work.counters = aligned_alloc(64, sizeof *work.counters);
    ensure(work.counters != NULL && parameter_init() == OK);
    memset(work.counters, 0, sizeof *work.counters);
    ensure(cipher_keys_add(&work.keys, master) == OK);
    int status = in_a_process(&work, fill);
    if (status == 0)
        status = in_a_process(&work, replay);
    if (status == 0)
        status = in_a_process(&work, load);
    return status;
}
