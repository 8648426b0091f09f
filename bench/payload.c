/* payload: see the header. Values wander within the expected bands by a small generator of our own: the same
 * options give the same bytes. */
#include "bench/payload.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/cbor_write.h"
#include "daemon/base/ensure.h"
#include "daemon/base/instant.h"

struct payload {
    struct payload_options options;
    int64_t *next_ms; /* measured time of each patient's next reading */
    unsigned patient,
        round; /* round: messages that every patient has sent; single readings take parameters in turn */
    uint64_t state;
};

/* What the cohort measures: code, unit, lowest value in tenths, spread in tenths, breaching value in tenths.
 */
static const struct measured {
    const char *code, *unit;
    unsigned low_tenths, spread_tenths, breach_tenths;
} measured[] = {
    {"99504-3", "mg/dL", 900, 600, 3000},
    {"8867-4", "/min", 600, 250, 1800},
    {"29463-7", "kg", 700, 10, 795},
    {"59408-5", "%", 950, 40, 820},
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
    int64_t time_ms = payload->next_ms[payload->patient];
    if (index % MEASURED == MEASURED - 1)
        payload->next_ms[payload->patient] += payload->options.step_ms;
    bool is_breach = draw(payload, 1000) < payload->options.breach_permille;
    unsigned tenths = is_breach ? row->breach_tenths : row->low_tenths + draw(payload, row->spread_tenths);
    if (payload->options.cbor) {
        cbor_write_reading(out, row->code, tenths, row->unit, time_ms);
        return;
    }
    instant_format(time_ms, time);
    buffer_printf(out, "{\"code\":\"%s\",\"value\":%u.%u,\"unit\":\"%s\",\"time\":\"%s\"}", row->code,
                  tenths / 10, tenths % 10, row->unit, time);
}

static void append_readings(struct payload *payload, struct buffer *out)
{
    for (unsigned i = 0; i < payload->options.readings; i++) {
        if (i > 0 && !payload->options.cbor)
            buffer_append(out, ",", 1);
        append_reading(payload, payload->round + i, out);
    }
}

void payload_message(struct payload *payload, struct buffer *out)
{
    char patient[32];
    snprintf(patient, sizeof patient, "BENCH-%u", payload->patient);
    if (payload->options.cbor) {
        cbor_write_head(out, CBOR_MAP, 2);
        cbor_write_text(out, 0, patient);
        cbor_write_head(out, CBOR_UNSIGNED, 4);
        cbor_write_head(out, CBOR_ARRAY, payload->options.readings);
        append_readings(payload, out);
    } else {
        buffer_printf(out, "{\"patient\":\"%s\",\"readings\":[", patient);
        append_readings(payload, out);
        buffer_text(out, "]}");
    }
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
