/* bench decide: what a decision costs, the engine alone on one core, and beside it what it costs merely to
 * touch the memory that the same decisions need: the reading's head, the patient, its series with the newest
 * held reading, its rules' states, each cache line read once and the newest written, in the same order and in
 * turns with the decisions. Patients come in an order that no cache foresees, as on a shard. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerting/engine.h"
#include "alerting/state.h"
#include "bench/bench.h"
#include "daemon/base/clock.h"
#include "daemon/base/slab.h"

static const char help[] =
    "vigie-bench decide: readings decided a second on one core, beside touching the same memory; bytes an "
    "idle\n"
    "patient and a held reading; a late reading in a dense series\n"
    "\n"
    "  --patients N      default 100000, each with 4 series\n"
    "  --rounds N        readings of each series that are measured; default 8, after 16 that fill it\n"
    "  --kinds all       a rule of every kind beside the silence, change and three limit rules\n"
    "  --json FILE       write the result as JSON; - is standard output\n";

enum {
    SERIES = 4,
    FILLING = 16, /* readings of each series held before anything is measured */
    DENSE = 9216, /* two times 16 days of one in five minutes */
    LATE = 64,
    TAIL_ROOM = 64,
    LINE_BYTES = 64,
};

static const int64_t BEGIN_MS = 1780272000000;
static const int64_t STEP_MS = 3600000, DENSE_STEP_MS = 300000;

/* A rule's parameter and what is typical of it. */
static const struct {
    const char *parameter;
    int64_t usual, step; /* millionths */
} measured[SERIES] = {
    {"body-weight", 72000000, 100000},
    {"glucose-blood", 110000000, 1000000},
    {"bp-systolic", 128000000, 1000000},
    {"spo2", 96000000, 1000000},
};

static const char *const rules[] = {
    "{\"id\":\"b.silence\",\"line\":\"b\",\"kind\":\"silence\",\"max_gap\":\"31d\",\"parameters\":"
    "[\"body-weight\"],\"priority\":\"low\"}",
    "{\"id\":\"b.weight-3d\",\"line\":\"b\",\"kind\":\"change\",\"parameter\":\"body-weight\",\"unit\":"
    "\"kg\","
    "\"rise\":2,\"within\":\"84h\",\"priority\":\"medium\"}",
    "{\"id\":\"b.glucose\",\"line\":\"b\",\"kind\":\"limit\",\"parameter\":\"glucose-blood\",\"unit\":\"mg/"
    "dL\","
    "\"levels\":[{\"priority\":\"high\",\"below\":54},{\"priority\":\"medium\",\"below\":70},"
    "{\"priority\":\"high\",\"above\":250}],\"hysteresis\":5}",
    "{\"id\":\"b.pressure\",\"line\":\"b\",\"kind\":\"limit\",\"parameter\":\"bp-systolic\",\"unit\":"
    "\"mm[Hg]\",\"levels\":[{\"priority\":\"high\",\"below\":90,\"above\":180},{\"priority\":\"medium\","
    "\"above\":160}],\"count\":2}",
    "{\"id\":\"b.spo2\",\"line\":\"b\",\"kind\":\"limit\",\"parameter\":\"spo2\",\"unit\":\"%\","
    "\"levels\":[{\"priority\":\"high\",\"below\":88}]}",
};

/* The other kinds, each on one of the series: --kinds all. */
static const char *const further_rules[] = {
    "{\"id\":\"b.lows\",\"line\":\"b\",\"kind\":\"occurrences\",\"parameter\":\"glucose-blood\",\"unit\":"
    "\"mg/dL\",\"below\":70,\"times\":3,\"within\":\"14d\",\"priority\":\"medium\"}",
    "{\"id\":\"b.dry-weight\",\"line\":\"b\",\"kind\":\"reference\",\"parameter\":\"body-weight\",\"unit\":"
    "\"kg\",\"rise\":2.5,\"priority\":\"medium\"}",
    "{\"id\":\"b.falling\",\"line\":\"b\",\"kind\":\"rate\",\"parameter\":\"spo2\",\"unit\":\"%\","
    "\"fall_per\":1,\"within\":\"6h\",\"readings\":3,\"priority\":\"medium\"}",
    "{\"id\":\"b.pressure-week\",\"line\":\"b\",\"kind\":\"daily\",\"parameter\":\"bp-systolic\",\"unit\":"
    "\"mm[Hg]\",\"statistic\":\"mean\",\"above\":150,\"days\":7,\"priority\":\"low\"}",
    "{\"id\":\"b.weight-day\",\"line\":\"b\",\"kind\":\"variation\",\"parameter\":\"body-weight\",\"unit\":"
    "\"kg\",\"statistic\":\"median\",\"rise\":1.5,\"priority\":\"low\"}",
    "{\"id\":\"b.spo2-usual\",\"line\":\"b\",\"kind\":\"baseline\",\"parameter\":\"spo2\",\"unit\":\"%\","
    "\"statistic\":\"median\",\"fall\":4,\"over\":14,\"min_days\":5,\"priority\":\"low\"}",
    "{\"id\":\"b.device\",\"line\":\"b\",\"kind\":\"event\",\"classes\":{\"*\":\"low\"}}",
};

struct result {
    double idle_bytes, active_bytes;  /* a patient: nothing held, one reading of each series */
    double held_bytes, dense_bytes;   /* a further reading, one of a dense series */
    double decide_ns[2], touch_ns[2]; /* a reading; units of one reading, units of one a series */
    double dense_ns, late_ns;         /* a reading of one dense series: in order, late */
};

struct work {
    const char *json;
    bool all_kinds;
    unsigned patients, rounds;
    struct slab *slab;
    struct engine *engine;
    enum parameter parameters[SERIES];
    unsigned *order;         /* patients, shuffled */
    struct reading *heads;   /* SERIES of each patient, in that order */
    uint8_t tail[TAIL_ROOM]; /* the same of all */
    uint16_t tail_size;
    uint64_t events, sum; /* of what was touched: looked at, so that it is not left out */
    struct result result;
};

static void on_event(void *context, const struct alert_event *event, const char *json, uint32_t size)
{
    ((struct work *)context)->events++;
}

static uint64_t used_bytes(const struct work *work)
{
    struct slab_figures figures;
    slab_read(work->slab, &figures);
    return figures.used_bytes;
}

/* --- the engine's patients --------------------------------------------------------------------------------
 */

static void order_engine(struct work *work, enum command_kind kind, const char *json)
{
    struct command command = {.kind = kind};
    buffer_text(&command.json, json);
    engine_command(work->engine, &command, BEGIN_MS);
    if (command.outcome != OK)
        fprintf(stderr, "vigie-bench: %s\n%.*s\n", json, (int)command.reply.size, command.reply.data);
    ensure(command.outcome == OK);
    buffer_deinit(&command.json);
    buffer_deinit(&command.reply);
}

static void enrol(struct work *work, int64_t patient_id)
{
    char json[512];
    snprintf(
        json, sizeof json,
        "{\"command\":\"patient\",\"patient_id\":%lld,\"ref\":\"P-%lld\",\"organization\":\"O\",\"line\":"
        "\"b\",\"team\":\"T\",\"time_zone\":\"Europe/Paris\",\"enrolled_at\":\"2020-01-01T00:00:00Z\"}",
        (long long)patient_id, (long long)patient_id);
    order_engine(work, COMMAND_PATIENT, json);
}

static void order_rules(struct work *work, const char *const *list, size_t count, size_t version)
{
    char json[1024];
    for (size_t i = 0; i < count; i++) {
        snprintf(json, sizeof json,
                 "{\"command\":\"rule\",\"layer\":\"line\",\"scope\":\"b\",\"version\":%zu,\"author\":\"a\","
                 "\"role\":\"system\",\"reason\":\"r\",\"rule\":%s}",
                 version + i, list[i]);
        order_engine(work, COMMAND_RULE, json);
    }
}

static void open_engine(struct work *work)
{
    struct engine_settings settings = {
        .lookback_ms = 35 * INT64_C(86400000),
        .lookback_continuous_ms = 16 * INT64_C(86400000),
        .future_tolerance_ms = 300000,
        .node = "bench",
    };
    struct engine_out out = {.event = on_event, .context = work};
    work->engine = engine_new(&settings, &out);
    engine_tick(work->engine, BEGIN_MS, 0, TICK_START);
    order_rules(work, rules, sizeof rules / sizeof rules[0], 1);
    if (work->all_kinds)
        order_rules(work, further_rules, sizeof further_rules / sizeof further_rules[0], 100);
    uint64_t before = used_bytes(work);
    for (unsigned i = 1; i <= work->patients; i++)
        enrol(work, i);
    work->result.idle_bytes = (double)(used_bytes(work) - before) / work->patients;
}

static void shuffle(struct work *work)
{
    uint64_t random = 88172645463325252u;
    work->order = calloc(work->patients, sizeof *work->order);
    ensure(work->order != NULL);
    for (unsigned i = 0; i < work->patients; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        unsigned place = (unsigned)(random % (i + 1));
        work->order[i] = work->order[place];
        work->order[place] = i + 1;
    }
}

/* --- readings ---------------------------------------------------------------------------------------------
 */

static void fill_reading(const struct work *work, struct reading *reading, unsigned patient, unsigned series,
                         int64_t round, int64_t measured_ms)
{
    *reading = (struct reading){
        .patient_id = patient,
        .source_id = 1,
        .value = measured[series].usual + (patient * 7 + round * 13) % 9 * measured[series].step,
        .measured_at_ms = measured_ms,
        .received_at_ms = measured_ms + 2000,
        .issued_ms = INSTANT_NONE,
        .next = READING_CHAIN_END,
        .tail_size = work->tail_size,
        .parameter = (uint16_t)work->parameters[series],
        .status = STATUS_FINAL,
    };
    memcpy(reading->reading_id, &patient, sizeof patient);
}

/* One reading of every series of every patient, as it comes out of the decoders. */
static int64_t fill_round(struct work *work, int64_t round)
{
    int64_t at_ms = BEGIN_MS + (round + 1) * STEP_MS;
    for (unsigned i = 0; i < work->patients; i++)
        for (unsigned s = 0; s < SERIES; s++)
            fill_reading(work, &work->heads[i * SERIES + s], work->order[i], s, round, at_ms);
    return at_ms + 2000;
}

/* `unit` readings a unit of decision: one request of one patient. */
static double decide_round(struct work *work, int64_t now_ms, unsigned unit)
{
    size_t count = (size_t)work->patients * SERIES;
    for (size_t i = 0; i < count; i++)
        work->heads[i].next = i % unit == unit - 1 ? READING_CHAIN_END : (uint32_t)i + 1;
    int64_t begun = clock_thread_ns();
    for (size_t i = 0; i < count && i < ENGINE_FORESIGHT * unit; i += unit)
        engine_foresee(work->engine, work->heads, (uint32_t)i);
    for (size_t i = 0; i < count; i += unit) {
        if (i + ENGINE_FORESIGHT * unit < count)
            engine_foresee(work->engine, work->heads, (uint32_t)(i + ENGINE_FORESIGHT * unit));
        struct patient *patient = engine_patient(work->engine, work->heads[i].patient_id);
        engine_decide(work->engine, patient, work->heads, work->tail, (uint32_t)i, now_ms);
    }
    double spent = (double)(clock_thread_ns() - begun) / (double)count;
    for (size_t i = 0; i < count; i++)
        ensure(work->heads[i].verdict == VERDICT_ACCEPTED);
    return spent;
}

/* --- touching ---------------------------------------------------------------------------------------------
 */

static uint64_t touch(const void *memory, size_t size)
{
    uint64_t sum = 0;
    for (size_t at = 0; at < size; at += LINE_BYTES)
        sum += *(const volatile uint8_t *)((const uint8_t *)memory + at);
    return sum;
}

static uint64_t touch_track(const struct track *track)
{
    uint64_t sum = touch(track, sizeof *track) +
                   touch(track->timeline.items, track->timeline.count * sizeof track->timeline.items[0]);
    for (unsigned side = 0; side < SIDE_COUNT; side++)
        if (track->side[side] != NULL)
            sum += touch(&track->side[side]->tip, sizeof track->side[side]->tip);
    return sum;
}

static uint64_t touch_series(const struct patient *patient, enum parameter parameter)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < patient->series_count; i++) {
        struct series *series = patient->series[i].series;
        if (patient->series[i].parameter != parameter)
            continue;
        sum += touch(series, sizeof *series);
        const struct held_array *held = &series->held;
        volatile uint8_t *newest = (volatile uint8_t *)(held->items + held->start + held->count - 1);
        *newest = *newest;
    }
    for (size_t i = 0; i < patient->tracks_count; i++)
        if (patient->tracks[i]->parameter == parameter)
            sum += touch_track(patient->tracks[i]);
    return sum;
}

static double touch_round(struct work *work, unsigned unit)
{
    size_t count = (size_t)work->patients * SERIES;
    uint64_t sum = 0;
    int64_t begun = clock_thread_ns();
    for (size_t i = 0; i < count; i++) {
        const struct reading *reading = &work->heads[i];
        const struct patient *patient = engine_patient(work->engine, reading->patient_id);
        sum += touch(reading, sizeof *reading) + touch_series(patient, (enum parameter)reading->parameter);
        if (i % unit == 0)
            sum += touch(patient, sizeof *patient);
    }
    double spent = (double)(clock_thread_ns() - begun) / (double)count;
    work->sum += sum;
    return spent;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

static void measure_shard(struct work *work)
{
    double *decide = calloc(work->rounds, sizeof *decide), *touched = calloc(work->rounds, sizeof *touched);
    int64_t round = 0;
    ensure(decide != NULL && touched != NULL);
    uint64_t before = used_bytes(work);
    decide_round(work, fill_round(work, round++), SERIES);
    uint64_t active = used_bytes(work);
    work->result.active_bytes = work->result.idle_bytes + (double)(active - before) / work->patients;
    for (; round < FILLING; round++)
        decide_round(work, fill_round(work, round), SERIES);
    work->result.held_bytes =
        (double)(used_bytes(work) - active) / ((double)work->patients * SERIES * (FILLING - 1));
    for (unsigned shape = 0; shape < 2; shape++) {
        unsigned unit = shape == 0 ? 1 : SERIES;
        for (unsigned i = 0; i < work->rounds; i++, round++) {
            int64_t now_ms = fill_round(work, round);
            decide[i] = decide_round(work, now_ms, unit);
            touched[i] = touch_round(work, unit);
        }
        work->result.decide_ns[shape] = median(decide, work->rounds);
        work->result.touch_ns[shape] = median(touched, work->rounds);
    }
    free(decide);
    free(touched);
}

/* --- a dense series ---------------------------------------------------------------------------------------
 */

static double decide_one(struct work *work, struct reading *reading, int64_t now_ms)
{
    struct patient *patient = engine_patient(work->engine, reading->patient_id);
    reading->received_at_ms = now_ms;
    int64_t begun = clock_monotonic_ns();
    engine_decide(work->engine, patient, reading, work->tail, 0, now_ms);
    double spent = (double)(clock_monotonic_ns() - begun);
    ensure(reading->verdict == VERDICT_ACCEPTED);
    return spent;
}

/* Patients of a sensor that measures every five minutes: what is held, a reading in order, a late one. */
static void measure_dense(struct work *work)
{
    const unsigned series = SERIES - 1; /* spo2, of class continuous */
    static double spent[DENSE], late[LATE];
    struct reading reading;
    unsigned patient = work->patients + 1;
    int64_t begin_ms = engine_now_ms(work->engine), at_ms = begin_ms;
    enrol(work, patient);
    uint64_t before = used_bytes(work);
    for (int64_t i = 0; i < DENSE; i++) {
        at_ms = begin_ms + (i + 1) * DENSE_STEP_MS;
        fill_reading(work, &reading, patient, series, i, at_ms);
        spent[i] = decide_one(work, &reading, at_ms + 2000);
    }
    work->result.dense_bytes = (double)(used_bytes(work) - before) / DENSE;
    work->result.dense_ns = median(spent, DENSE);
    for (unsigned i = 0; i < LATE; i++) {
        fill_reading(work, &reading, patient, series, i,
                     at_ms - (i + 1) * (DENSE / 3 / LATE) * DENSE_STEP_MS + 60000);
        late[i] = decide_one(work, &reading, at_ms + 2000);
    }
    work->result.late_ns = median(late, LATE);
}

/* --- command ----------------------------------------------------------------------------------------------
 */

static void print_result(const struct work *work)
{
    const struct result *r = &work->result;
    for (unsigned shape = 0; shape < 2; shape++)
        printf("decide, units of %u: %.0f ns a reading, %.2f M readings/s; touching the same %.0f ns; ratio "
               "%.2f\n",
               shape == 0 ? 1 : SERIES, r->decide_ns[shape], 1e3 / r->decide_ns[shape], r->touch_ns[shape],
               r->decide_ns[shape] / r->touch_ns[shape]);
    printf("dense series, %d held: %.0f ns a reading in order, %.0f ns a late one\n", DENSE, r->dense_ns,
           r->late_ns);
    printf("bytes: %.0f an idle patient, %.0f with a reading of each series; a held reading %.1f of %d, %.1f "
           "of %d "
           "(%.0f KB)\n",
           r->idle_bytes, r->active_bytes, r->held_bytes, FILLING, r->dense_bytes, DENSE,
           r->dense_bytes * DENSE / 1024);
}

static int write_json(const struct work *work)
{
    const struct result *r = &work->result;
    FILE *file = strcmp(work->json, "-") == 0 ? stdout : fopen(work->json, "we");
    if (file == NULL) {
        fprintf(stderr, "vigie-bench: cannot write --json FILE, found %s, expected a writable path\n",
                work->json);
        return 73;
    }
    fprintf(file, "{\"patients\":%u,\"series\":%d,\"rows\":[", work->patients, SERIES);
    for (unsigned shape = 0; shape < 2; shape++)
        fprintf(file, "%s{\"unit\":%u,\"decide_ns\":%.1f,\"touch_ns\":%.1f,\"ratio\":%.3f}",
                shape == 0 ? "" : ",", shape == 0 ? 1 : SERIES, r->decide_ns[shape], r->touch_ns[shape],
                r->decide_ns[shape] / r->touch_ns[shape]);
    fprintf(file,
            "],\"dense_ns\":%.1f,\"late_ns\":%.1f,\"idle_bytes\":%.1f,\"active_bytes\":%.1f,\"held_bytes\":%."
            "2f,\"dense_bytes\":%."
            "2f}\n",
            r->dense_ns, r->late_ns, r->idle_bytes, r->active_bytes, r->held_bytes, r->dense_bytes);
    if (file != stdout)
        fclose(file);
    return 0;
}

static int measure(struct work *work)
{
    size_t heads = (size_t)work->patients * SERIES * sizeof(struct reading);
    ensure(parameter_init() == OK && slab_new((size_t)64 << 30, &work->slab) == OK);
    for (unsigned s = 0; s < SERIES; s++)
        ensure(parameter_by_name(measured[s].parameter, strlen(measured[s].parameter),
                                 &work->parameters[s]) == OK);
    ensure(tail_put(work->tail, TAIL_ROOM, &work->tail_size, TAIL_KEY_DEVICE, "monitor-1", 9));
    work->heads = calloc(1, heads);
    ensure(work->heads != NULL);
    slab_use(work->slab);
    shuffle(work);
    open_engine(work);
    measure_shard(work);
    measure_dense(work);
    engine_free(work->engine);
    slab_use(NULL);
    slab_free(work->slab);
    free(work->heads);
    free(work->order);
    return 0;
}

int bench_decide(int argc, char **argv)
{
    static const struct option table[] = {
        {"patients", required_argument, NULL, 'p'}, {"rounds", required_argument, NULL, 'r'},
        {"kinds", required_argument, NULL, 'k'},    {"json", required_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    static struct work work = {.patients = 100000, .rounds = 8};
    for (int id; (id = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        if (id == 'h') {
            fputs(help, stdout);
            return 0;
        }
        if (id == 'p')
            work.patients = (unsigned)strtoul(optarg, NULL, 10);
        else if (id == 'r')
            work.rounds = (unsigned)strtoul(optarg, NULL, 10);
        else if (id == 'k')
            work.all_kinds = strcmp(optarg, "all") == 0;
        else if (id == 'j')
            work.json = optarg;
        if (id == '?' || (id == 'k' && !work.all_kinds) || work.patients == 0 || work.patients > 4000000 ||
            work.rounds == 0 || work.rounds > 200) {
            fprintf(stderr, "vigie-bench: wrong option, hint: vigie-bench decide --help\n");
            return 64;
        }
    }
    int status = measure(&work);
    if (work.json == NULL || strcmp(work.json, "-") != 0)
        print_result(&work);
    return status == 0 && work.json != NULL ? write_json(&work) : status;
}
