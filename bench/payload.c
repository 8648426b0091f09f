/* payload: see the header. Values wander within the expected bands by a small generator of our own: the same
 * options give the same bytes. */
#include "bench/payload.h"

#include <stdlib.h>

#include "daemon/base/ensure.h"
#include "daemon/base/instant.h"

struct payload {
    struct payload_options options;
    int64_t *next_ms; /* measured time of each patient's next reading */
    unsigned patient,
        round; /* round: messages that every patient has sent; single readings take parameters in turn */
    uint64_t state;
};

/* What the cohort measures: code, unit, lowest value in tenths, spread in tenths, breaching value. */
static const struct measured {
    const char *code, *unit;
    unsigned low_tenths, spread_tenths;
    const char *breach;
} measured[] = {
    {"99504-3", "mg/dL", 900, 600, "300"},
    {"8867-4", "/min", 600, 250, "180"},
    {"29463-7", "kg", 700, 10, "79.5"},
    {"59408-5", "%", 950, 40, "82"},
};

enum { MEASURED = sizeof measured / sizeof measured[0] };

struct payload *payload_new(const struct payload_options *options)
{
    ensure(options->patients > 0 && options->readings > 0);
    struct payload *payload = calloc(1, sizeof *payload);
    ensure(payload != NULL);
    payload->options = *options;
    payload->state = 0x9e3779b97f4a7c15u;
    payload->next_ms = malloc(options->patients * sizeof *payload->next_ms);
    ensure(payload->next_ms != NULL);
    for (unsigned i = 0; i < options->patients; i++)
        payload->next_ms[i] = options->start_ms + i;
    return payload;
}

void payload_free(struct payload *payload)
{
    if (payload == NULL)
        return;
    free(payload->next_ms);
    free(payload);
}

static uint32_t draw(struct payload *payload, uint32_t bound)
{
    payload->state = payload->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((payload->state >> 33) % bound);
}

static void append_reading(struct payload *payload, unsigned index, struct buffer *out)
{
    const struct measured *row = &measured[index % MEASURED];
    char time[INSTANT_TEXT_MAX];
    instant_format(payload->next_ms[payload->patient], time);
    if (index % MEASURED == MEASURED - 1)
        payload->next_ms[payload->patient] += payload->options.step_ms;
    if (draw(payload, 1000) < payload->options.breach_permille) {
        buffer_printf(out, "{\"code\":\"%s\",\"value\":%s,\"unit\":\"%s\",\"time\":\"%s\"}", row->code,
                      row->breach, row->unit, time);
        return;
    }
    unsigned tenths = row->low_tenths + draw(payload, row->spread_tenths);
    buffer_printf(out, "{\"code\":\"%s\",\"value\":%u.%u,\"unit\":\"%s\",\"time\":\"%s\"}", row->code,
                  tenths / 10, tenths % 10, row->unit, time);
}

void payload_message(struct payload *payload, struct buffer *out)
{
    buffer_printf(out, "{\"patient\":\"BENCH-%u\",\"readings\":[", payload->patient);
    for (unsigned i = 0; i < payload->options.readings; i++) {
        if (i > 0)
            buffer_append(out, ",", 1);
        append_reading(payload, payload->round + i, out);
    }
    buffer_text(out, "]}");
    /* One reading a message: each message must be new in time, whatever its parameter. */
    if (payload->options.readings % MEASURED != 0)
        payload->next_ms[payload->patient] += payload->options.step_ms;
    payload->patient = (payload->patient + 1) % payload->options.patients;
    if (payload->patient == 0 && payload->options.readings % MEASURED != 0)
        payload->round++;
}

void payload_cohort(const struct payload_options *options, const char *token_sha256, struct buffer *out)
{
    buffer_text(out, "{\"type\":\"organization\",\"ref\":\"BENCH\",\"name\":\"Bench\"}\n");
    buffer_printf(out,
                  "{\"type\":\"source\",\"ref\":\"bench\",\"kind\":\"system\",\"organization\":\"BENCH\","
                  "\"token_sha256\":\"%s\"}\n",
                  token_sha256);
    char enrolled[INSTANT_TEXT_MAX];
    instant_format(options->start_ms, enrolled);
    for (unsigned i = 0; i < options->patients; i++) {
        const char *line = i % 2 == 0 ? "diabetes" : "heart-failure";
        buffer_printf(out,
                      "{\"type\":\"patient\",\"ref\":\"BENCH-%u\",\"organization\":\"BENCH\",\"line\":\"%s\","
                      "\"time_zone\":\"Europe/Paris\",\"enrolled_at\":\"%s\"}\n",
                      i, line, enrolled);
        buffer_printf(
            out,
            "{\"type\":\"confirmation\",\"patient\":\"BENCH-%u\",\"line\":\"%s\",\"author\":\"Dr Bench\","
            "\"role\":\"physician\",\"from\":\"%s\"}\n",
            i, line, enrolled);
    }
}
