/* slow: `vigie-bench slow`: honest senders alone, then beside thousands of connections that dribble or flood,
 * then alone again, all in one run: their latency is compared with itself, and the daemon's memory is read
 * from /proc. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/bench.h"
#include "bench/client.h"
#include "bench/dribble.h"
#include "bench/payload.h"
#include "daemon/base/clock.h"
#include "daemon/base/ensure.h"

static const char help[] =
    "vigie-bench slow: latency of honest senders beside dribbling or flooding ones, memory a connection\n"
    "\n"
    "  --port N --token TEXT  as vigie-bench ingest, whose --cohort must be imported\n"
    "  --pid N                the daemon: its resident memory is read from /proc\n"
    "  --slow N               dribbling connections, a quarter of each kind (default 5000)\n"
    "  --only WORD            hello, finish, header or body: dribblers of one kind alone\n"
    "  --flood N              connections that begin handshakes as fast as they can (default 0)\n"
    "  --honest N             honest connections (default 200)\n"
    "  --rate N               honest messages a second over all of them, open loop (default 200)\n"
    "  --patients N           of the cohort (default 1000)\n"
    "  --seconds N            length of each of the three measurements (default 10)\n";

struct options {
    struct client_options client;
    struct dribble_options dribble;
    unsigned patients;
    double seconds, rate;
    long pid;
};

enum option_id {
    O_PORT,
    O_TOKEN,
    O_PID,
    O_SLOW,
    O_ONLY,
    O_FLOOD,
    O_HONEST,
    O_RATE,
    O_PATIENTS,
    O_SECONDS,
    O_HELP
};

static const struct option table[] = {
    {"port", required_argument, NULL, O_PORT},
    {"token", required_argument, NULL, O_TOKEN},
    {"pid", required_argument, NULL, O_PID},
    {"slow", required_argument, NULL, O_SLOW},
    {"only", required_argument, NULL, O_ONLY},
    {"flood", required_argument, NULL, O_FLOOD},
    {"honest", required_argument, NULL, O_HONEST},
    {"rate", required_argument, NULL, O_RATE},
    {"patients", required_argument, NULL, O_PATIENTS},
    {"seconds", required_argument, NULL, O_SECONDS},
    {"help", no_argument, NULL, O_HELP},
    {NULL, 0, NULL, 0},
};

static bool keep_only(unsigned count[DRIBBLE_KINDS], const char *word)
{
    static const char *const words[] = {"hello", "finish", "header", "body"};
    bool known = false;
    for (int kind = DRIBBLE_HELLO; kind <= DRIBBLE_BODY; kind++) {
        bool kept = strcmp(word, words[kind]) == 0;
        count[kind] *= kept ? 4 : 0;
        known = known || kept;
    }
    return known;
}

static bool take_option(struct options *options, int id, const char *value)
{
    unsigned number = value != NULL ? (unsigned)strtoul(value, NULL, 10) : 0;
    switch (id) {
    case O_PORT:
        options->client.port = options->dribble.port = (int)number;
        return true;
    case O_TOKEN:
        options->client.token = options->dribble.token = value;
        return true;
    case O_PID:
        options->pid = (long)number;
        return true;
    case O_SLOW:
        for (int kind = DRIBBLE_HELLO; kind <= DRIBBLE_BODY; kind++)
            options->dribble.count[kind] = number / 4;
        return true;
    case O_ONLY:
        return keep_only(options->dribble.count, value);
    case O_FLOOD:
        options->dribble.count[DRIBBLE_FLOOD] = number;
        return true;
    case O_HONEST:
        options->client.connections = number;
        return number > 0;
    case O_RATE:
        options->rate = strtod(value, NULL);
        return true;
    case O_PATIENTS:
        options->patients = number;
        return number > 0;
    case O_SECONDS:
        options->seconds = strtod(value, NULL);
        return options->seconds > 0;
    default:
        return false;
    }
}

static int64_t resident_bytes(long pid)
{
    char path[64];
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%ld/statm", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%*s %ld", &pages) != 1)
        pages = 0;
    fclose(file);
    return (int64_t)pages * 4096;
}

static void append_message(void *context, struct buffer *out)
{
    payload_message(context, out);
}

static void put(struct buffer *json, const char *key, uint64_t value)
{
    render_key(json, key);
    render_integer(json, (int64_t)value);
}

/* One measurement of the honest. */
static void measure(const struct options *options, struct client *client, struct payload *payload,
                    const char *name, struct buffer *json)
{
    struct client_result *result = calloc(1, sizeof *result);
    ensure(result != NULL);
    client_run(client, options->seconds, options->rate, append_message, payload, result);
    render_key(json, name);
    render_open(json, '{');
    put(json, "requests", result->requests);
    put(json, "refused", result->refused);
    put(json, "errors", result->errors);
    put(json, "p50_us", latencies_quantile_us(&result->latencies, 500));
    put(json, "p99_us", latencies_quantile_us(&result->latencies, 990));
    put(json, "max_us", result->latencies.max_us);
    render_close(json, '}');
    free(result);
}

static void wait_for_peers(const struct dribble_figures *figures, uint64_t wanted)
{
    for (int i = 0; i < 300 && atomic_load(&figures->open) < wanted * 95 / 100; i++)
        clock_sleep_ms(100);
    clock_sleep_ms(2000);
}

static void put_peers(const struct dribble_figures *figures, struct buffer *json)
{
    static const char *const kinds[DRIBBLE_KINDS] = {"cut_hello", "cut_finish", "cut_header", "cut_body",
                                                     "handshakes_of_the_flood"};
    put(json, "open", atomic_load(&figures->open));
    put(json, "established", atomic_load(&figures->established));
    for (int kind = 0; kind < DRIBBLE_KINDS; kind++)
        put(json, kinds[kind], atomic_load(&figures->cut[kind]));
}

static void run(const struct options *options, struct client *client, struct buffer *json)
{
    const struct payload_options payload_options = {
        .patients = options->patients, .readings = 1, .step_ms = 20, .start_ms = clock_wall_ms()};
    struct payload *payload = payload_new(&payload_options);
    uint64_t peers = 0;
    for (int kind = 0; kind < DRIBBLE_KINDS; kind++)
        peers += options->dribble.count[kind];
    render_open(json, '{');
    measure(options, client, payload, "quiet_before", json);
    int64_t before = resident_bytes(options->pid);
    struct dribble *dribble = dribble_start(&options->dribble);
    wait_for_peers(dribble_figures(dribble), peers);
    measure(options, client, payload, "beside", json);
    int64_t beside = resident_bytes(options->pid);
    put_peers(dribble_figures(dribble), json);
    put(json, "resident_before", (uint64_t)before);
    put(json, "resident_beside", (uint64_t)beside);
    put(json, "bytes_a_connection", beside > before && peers > 0 ? (uint64_t)(beside - before) / peers : 0);
    dribble_stop(dribble);
    clock_sleep_ms(2000);
    measure(options, client, payload, "quiet_after", json);
    render_close(json, '}');
    buffer_append(json, "\n", 1);
    payload_free(payload);
}

int bench_slow(int argc, char **argv)
{
    struct options options = {
        .client = {.host = "127.0.0.1", .path = "/v1/readings", .token = "bench-token", .connections = 200},
        .dribble = {.token = "bench-token"},
        .patients = 1000,
        .seconds = 10,
        .rate = 200,
    };
    (void)take_option(&options, O_SLOW, "5000");
    for (int id; (id = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        if (id == O_HELP) {
            fputs(help, stdout);
            return 0;
        }
        if (!take_option(&options, id, optarg)) {
            fprintf(stderr, "vigie-bench: wrong option, hint: vigie-bench slow --help\n");
            return 64;
        }
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    struct client *client;
    if (client_open(&options.client, &client) != OK) {
        fprintf(stderr, "vigie-bench: no TLS answer, found 127.0.0.1:%d closed, expected a vigied\n",
                options.client.port);
        return 69;
    }
    struct buffer json = {0};
    run(&options, client, &json);
    fwrite(json.data, 1, json.size, stdout);
    buffer_deinit(&json);
    client_close(client);
    return 0;
}
