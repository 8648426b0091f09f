/* ingest: `vigie-bench ingest`: JSON or CBOR over TLS against a running vigied; readings acknowledged a
 * second (an acknowledgement means durable and decided) and the latency of the acknowledgement. */
#include "bench/bench.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/client.h"
#include "bench/payload.h"
#include "daemon/base/clock.h"
#include "daemon/base/hash.h"
#include "daemon/base/instant.h"
#include "daemon/ingest/readings/readings.h"

static const char help[] =
    "vigie-bench ingest: load a vigied with readings over TLS 1.3 and measure its acknowledgements\n"
    "\n"
    "  --cohort               print the import lines of the cohort (vigiectl import) and end\n"
    "  --protocol NAME        https or mqtt (MQTT 5 over TLS, QoS 1; default https)\n"
    "  --port N               port of [listen] https or mqtts on 127.0.0.1 (state_dir/ports.json names it)\n"
    "  --token TEXT           bearer token of the source `bench` (default bench-token)\n"
    "  --patients N           cohort BENCH-0 ... (default 10000)\n"
    "  --readings N           readings a message (default 50)\n"
    "  --format F             json (default) or cbor\n"
    "  --connections N        keep-alive connections (default 64)\n"
    "  --rate N               messages a second, open loop: latency counts from when a message was due;\n"
    "                         0: each connection sends its next message when the last is answered (default "
    "0)\n"
    "  --seconds N            length of the measurement (default 10)\n"
    "  --breach-permille N    readings beyond the presets' limits (default 10)\n"
    "  --start TIME           measured time of the first readings (default now: rules in force judge them)\n"
    "  --json FILE            write the result as JSON; - is standard output\n";

struct options {
    struct client_options client;
    struct payload_options payload;
    double seconds, rate;
    const char *json;
    bool cohort;
};

enum option_id {
    O_COHORT,
    O_PROTOCOL,
    O_PORT,
    O_TOKEN,
    O_PATIENTS,
    O_READINGS,
    O_FORMAT,
    O_CONNECTIONS,
    O_RATE,
    O_SECONDS,
    O_BREACH,
    O_START,
    O_JSON,
    O_HELP
};

static const struct option table[] = {
    {"cohort", no_argument, NULL, O_COHORT},
    {"protocol", required_argument, NULL, O_PROTOCOL},
    {"port", required_argument, NULL, O_PORT},
    {"token", required_argument, NULL, O_TOKEN},
    {"patients", required_argument, NULL, O_PATIENTS},
    {"readings", required_argument, NULL, O_READINGS},
    {"format", required_argument, NULL, O_FORMAT},
    {"connections", required_argument, NULL, O_CONNECTIONS},
    {"rate", required_argument, NULL, O_RATE},
    {"seconds", required_argument, NULL, O_SECONDS},
    {"breach-permille", required_argument, NULL, O_BREACH},
    {"start", required_argument, NULL, O_START},
    {"json", required_argument, NULL, O_JSON},
    {"help", no_argument, NULL, O_HELP},
    {NULL, 0, NULL, 0},
};

static bool take_option(struct options *options, int id, const char *value)
{
    unsigned number = value == NULL ? 0 : (unsigned)strtoul(value, NULL, 10);
    struct instant_parsed start;
    switch (id) {
    case O_COHORT:
        options->cohort = true;
        return true;
    case O_PROTOCOL:
        options->client.is_mqtt = strcmp(value, "mqtt") == 0;
        return options->client.is_mqtt || strcmp(value, "https") == 0;
    case O_PORT:
        options->client.port = (int)number;
        return true;
    case O_TOKEN:
        options->client.token = value;
        return true;
    case O_PATIENTS:
        options->payload.patients = number;
        return number > 0;
    case O_READINGS:
        options->payload.readings = number;
        return number > 0;
    case O_FORMAT:
        options->payload.cbor = strcmp(value, "cbor") == 0;
        options->client.content_type = options->payload.cbor ? readings_cbor_type : NULL;
        return options->payload.cbor || strcmp(value, "json") == 0;
    case O_CONNECTIONS:
        options->client.connections = number;
        return number > 0;
    case O_RATE:
        options->rate = strtod(value, NULL);
        return options->rate >= 0;
    case O_SECONDS:
        options->seconds = strtod(value, NULL);
        return options->seconds > 0;
    case O_BREACH:
        options->payload.breach_permille = number;
        return number <= 1000;
    case O_START:
        if (instant_parse(value, strlen(value), &start) != INSTANT_GOOD)
            return false;
        options->payload.start_ms = start.ms;
        return true;
    case O_JSON:
        options->json = value;
        return true;
    default:
        return false;
    }
}

static void append_message(void *context, struct buffer *out)
{
    payload_message(context, out);
}

static void render_result(const struct options *options, const struct client_result *result, double seconds,
                          struct buffer *out)
{
    const struct latencies *latencies = &result->latencies;
    render_open(out, '{');
    const struct {
        const char *key;
        int64_t value;
    } rows[] = {
        {"patients", options->payload.patients},
        {"readings_per_message", options->payload.readings},
        {"connections", options->client.connections},
        {"rate_messages_per_s", (int64_t)options->rate},
        {"seconds_ms", (int64_t)(seconds * 1000)},
        {"requests", (int64_t)result->requests},
        {"readings_accepted", (int64_t)result->accepted},
        {"answers_refused", (int64_t)result->refused},
        {"connection_errors", (int64_t)result->errors},
        {"readings_per_s", (int64_t)((double)result->accepted / seconds)},
        {"requests_per_s", (int64_t)((double)result->requests / seconds)},
        {"ack_p50_us", (int64_t)latencies_quantile_us(latencies, 500)},
        {"ack_p99_us", (int64_t)latencies_quantile_us(latencies, 990)},
        {"ack_p999_us", (int64_t)latencies_quantile_us(latencies, 999)},
        {"ack_max_us", (int64_t)latencies->max_us},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        render_key(out, rows[i].key);
        render_integer(out, rows[i].value);
    }
    render_close(out, '}');
    buffer_append(out, "\n", 1);
}

static int print_cohort(const struct options *options)
{
    uint8_t digest[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1];
    hash_sha256(options->client.token, strlen(options->client.token), digest);
    hex_format(digest, sizeof digest, hex);
    struct buffer out = {0};
    payload_cohort(&options->payload, hex, &out);
    fwrite(out.data, 1, out.size, stdout);
    buffer_deinit(&out);
    return 0;
}

static int write_result(const char *path, const struct buffer *json)
{
    if (path == NULL)
        return 0;
    FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    if (file == NULL) {
        fprintf(stderr, "vigie-bench: cannot write --json FILE, found %s, expected a writable path\n", path);
        return 73;
    }
    fwrite(json->data, 1, json->size, file);
    if (file != stdout)
        fclose(file);
    return 0;
}

static int measure(const struct options *options)
{
    struct client *client;
    if (client_open(&options->client, &client) != OK) {
        fprintf(stderr,
                "vigie-bench: no TLS answer, found 127.0.0.1:%d closed, expected a vigied, hint: --port of "
                "state_dir/ports.json\n",
                options->client.port);
        return 69;
    }
    static struct client_result result;
    struct payload *payload = payload_new(&options->payload);
    int64_t start_ns = clock_monotonic_ns();
    client_run(client, options->seconds, options->rate, append_message, payload, &result);
    double seconds = (double)(clock_monotonic_ns() - start_ns) / 1e9;
    struct buffer json = {0};
    render_result(options, &result, seconds, &json);
    fprintf(stderr,
            "%u readings a message, %u connections: %.0f readings/s acknowledged, p50 %.1f ms, p99 %.1f ms; "
            "%llu refused, %llu connection errors\n",
            options->payload.readings, options->client.connections, (double)result.accepted / seconds,
            (double)latencies_quantile_us(&result.latencies, 500) / 1000,
            (double)latencies_quantile_us(&result.latencies, 990) / 1000, (unsigned long long)result.refused,
            (unsigned long long)result.errors);
    int status = write_result(options->json, &json);
    buffer_deinit(&json);
    payload_free(payload);
    client_close(client);
    return status != 0 ? status : result.requests > 0 && result.refused == 0 && result.errors == 0 ? 0 : 1;
}

int bench_ingest(int argc, char **argv)
{
    struct options options = {
        .client = {.host = "127.0.0.1",
                   .path = "/v1/readings",
                   .token = "bench-token",
                   .connections = 64,
                   .tls13_only = true},
        .payload = {.patients = 10000,
                    .readings = 50,
                    .breach_permille = 10,
                    .step_ms = 20,
                    .start_ms = clock_wall_ms()},
        .seconds = 10,
    };
    for (int id; (id = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        if (id == O_HELP) {
            fputs(help, stdout);
            return 0;
        }
        if (!take_option(&options, id, optarg)) {
            fprintf(stderr, "vigie-bench: wrong option, hint: vigie-bench ingest --help\n");
            return 64;
        }
    }
    options.client.readings = options.payload.readings;
    if (options.client.is_mqtt)
        options.client.path = "vigie/v1/bench/readings"; /* a system's device may be any text */
    return options.cohort ? print_cohort(&options) : measure(&options);
}
