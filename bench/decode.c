/* bench decode: what a reading costs from the bytes of its message to its admitted head and tail, on one
 * core: the door's handle() over a registry in memory, as an ingest loop calls it, without network and
 * shards; and beside it the decoder alone, and memcpy of the same bytes. Messages of many patients are
 * prepared and taken in turn, so that registry and messages are no warmer than on a loop. Processor time of
 * the thread. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/decode_world.h"
#include "daemon/base/clock.h"
#include "daemon/ingest/doors.h"
#include "daemon/ingest/readings/readings_keys.h"

static const char help[] =
    "vigie-bench decode: readings decoded a second on one core: CBOR and JSON batches, FHIR\n"
    "Observations, HL7 v2 observation reports\n"
    "\n"
    "  --patients N      default 10000, each with a device and one message prepared\n"
    "  --readings N      readings of a CBOR or JSON message; default 50\n"
    "  --seconds N       each measurement, three times; the best counts; default 1\n"
    "  --only FORM       cbor, json, fhir or hl7 alone\n"
    "  --way N           0 memcpy, 1 decode or 2 decode and admit alone (for a profiler)\n"
    "  --json FILE       write the result as JSON; - is standard output\n";

enum { RUNS = 3, WAYS = 3 };

/* What is done with a message. */
static const char *const ways[WAYS] = {"memcpy", "decode", "decode and admit"};

struct result {
    double ns[WAYS]; /* a reading */
    double bytes;    /* a message */
};

struct work {
    struct decode_options options;
    double seconds;
    int way; /* -1: each */
    const char *only, *json;
    struct decode_world *world;
    char *copy;
    struct result results[DECODE_FORMS];
};

/* The decoder alone: every field of a batch, as readings.c asks for them. */
static unsigned read_batch(struct decode_world *world, const struct reader_syntax *syntax, struct slice body)
{
    struct reader message = {.syntax = syntax}, items = {.syntax = syntax};
    struct pull_field fields[MESSAGE_KEYS_COUNT], reading[READING_KEYS_COUNT];
    struct pull_unknown unknown;
    struct doors *doors = doors_of(decode_world_loop(world));
    unsigned count = 0;
    syntax->open(&message, body, doors);
    syntax->enter(&message);
    ensure(syntax->read_fields(&message, &readings_message_keys, fields, &unknown) &&
           syntax->finish(&message));
    syntax->open_raw(&items, fields[MESSAGE_READINGS].text, &message);
    syntax->enter(&items);
    size_t mark = doors->scratch.size;
    for (; syntax->next_item(&items); count++) {
        doors->scratch.size = mark;
        syntax->enter(&items);
        ensure(syntax->read_fields(&items, &readings_reading_keys, reading, &unknown));
        ensure(reading[READING_VALUE].kind == PULL_NUMBER);
    }
    return count;
}

/* And of FHIR its tokens: what they mean is found while they are admitted. */
static unsigned read_tokens(struct decode_world *world, struct slice body)
{
    struct pull pull;
    struct doors *doors = doors_of(decode_world_loop(world));
    pull_open(&pull, body, &doors->scratch, &doors->keys);
    pull_skip(&pull);
    ensure(pull_finish(&pull));
    return 1;
}

static unsigned run_one(struct work *work, enum decode_form form, unsigned way, unsigned index)
{
    struct slice body = decode_world_body(work->world, form, index);
    if (way == 0) {
        memcpy(work->copy, body.data, body.size);
        __asm__ volatile("" : : "r"(work->copy) : "memory"); /* it is not optimised away */
        return decode_world_readings(work->world, form);
    }
    if (way == 2)
        return decode_world_admit(work->world, form, index);
    return form == DECODE_FHIR
               ? read_tokens(work->world, body)
               : read_batch(work->world, form == DECODE_CBOR ? &reader_cbor : &reader_json, body);
}

static double measure_once(struct work *work, enum decode_form form, unsigned way)
{
    uint64_t readings = 0;
    unsigned index = 0;
    int64_t begin_ns = clock_thread_ns(), spent_ns;
    do {
        for (unsigned i = 0; i < 100; i++)
            readings += run_one(work, form, way, index++ % work->options.patients);
        spent_ns = clock_thread_ns() - begin_ns;
    } while ((double)spent_ns < work->seconds * 1e9);
    return (double)spent_ns / (double)readings;
}

static void measure_form(struct work *work, enum decode_form form)
{
    struct result *result = &work->results[form];
    for (unsigned run = 0; run < RUNS; run++)
        for (unsigned way = 0; way < WAYS; way++) {
            bool is_wanted = work->way < 0 || way == (unsigned)work->way;
            if (!is_wanted || (form == DECODE_HL7 && way == 1)) /* HL7 is admitted as it is read */
                continue;
            double ns = measure_once(work, form, way);
            if (run == 0 || ns < result->ns[way])
                result->ns[way] = ns;
        }
    for (unsigned i = 0; i < work->options.patients; i++)
        result->bytes += (double)decode_world_body(work->world, form, i).size / work->options.patients;
}

static void print_result(const struct work *work)
{
    for (unsigned form = 0; form < DECODE_FORMS; form++) {
        const struct result *result = &work->results[form];
        if (result->bytes == 0)
            continue;
        printf("%s, %.0f bytes a message:", decode_form_name(form), result->bytes);
        for (unsigned way = 0; way < WAYS; way++)
            if (result->ns[way] > 0)
                printf(" %s %.1f ns a reading (%.2f M/s)", ways[way], result->ns[way], 1e3 / result->ns[way]);
        putchar('\n');
    }
}

static int write_json(const struct work *work)
{
    FILE *file = strcmp(work->json, "-") == 0 ? stdout : fopen(work->json, "we");
    if (file == NULL) {
        fprintf(stderr, "vigie-bench: cannot write --json FILE, found %s, expected a writable path\n",
                work->json);
        return 73;
    }
    fprintf(file, "{\"patients\":%u,\"readings_per_message\":%u,\"rows\":[", work->options.patients,
            work->options.readings);
    const char *comma = "";
    for (unsigned form = 0; form < DECODE_FORMS; form++) {
        const struct result *result = &work->results[form];
        if (result->bytes == 0)
            continue;
        fprintf(file,
                "%s{\"form\":\"%s\",\"message_bytes\":%.0f,\"memcpy_ns\":%.2f,\"decode_ns\":%.1f,\"admit_"
                "ns\":%.1f}",
                comma, decode_form_name(form), result->bytes, result->ns[0], result->ns[1], result->ns[2]);
        comma = ",";
    }
    fputs("]}\n", file);
    if (file != stdout)
        fclose(file);
    return 0;
}

static int measure(struct work *work)
{
    work->world = decode_world_new(&work->options);
    work->copy = malloc(MESSAGE_BYTES_MAX);
    ensure(work->copy != NULL);
    for (unsigned form = 0; form < DECODE_FORMS; form++)
        if (work->only == NULL || strcmp(work->only, decode_form_name(form)) == 0)
            measure_form(work, form);
    int status = work->json != NULL ? write_json(work) : 0;
    if (work->json == NULL || strcmp(work->json, "-") != 0)
        print_result(work);
    free(work->copy);
    decode_world_free(work->world);
    return status;
}

int bench_decode(int argc, char **argv)
{
    static const struct option table[] = {
        {"patients", required_argument, NULL, 'p'}, {"readings", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'},  {"only", required_argument, NULL, 'o'},
        {"way", required_argument, NULL, 'w'},      {"json", required_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    struct work work = {.options = {.patients = 10000, .readings = 50}, .seconds = 1, .way = -1};
    for (int id; (id = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        if (id == 'h') {
            fputs(help, stdout);
            return 0;
        }
        if (id == 'p')
            work.options.patients = (unsigned)strtoul(optarg, NULL, 10);
        else if (id == 'r')
            work.options.readings = (unsigned)strtoul(optarg, NULL, 10);
        else if (id == 's')
            work.seconds = strtod(optarg, NULL);
        else if (id == 'w')
            work.way = (int)strtol(optarg, NULL, 10);
        else if (id == 'o')
            work.only = optarg;
        else if (id == 'j')
            work.json = optarg;
        if (id == '?' || work.options.patients == 0 || work.options.patients > 1000000 ||
            work.options.readings == 0 || work.options.readings > 1000 || work.seconds <= 0) {
            fprintf(stderr, "vigie-bench: wrong option, hint: vigie-bench decode --help\n");
            return 64;
        }
    }
    return measure(&work);
}
