/* Fuzz target: the decoder of a snapshot's bytes. What it is given is authentic in operation, so this is
 * about defects: whatever the bytes, it says ERR_CORRUPT or gives a state; and what gives a state is the one
 * way of writing it: saved again it is the same bytes (with our tables of words). The input: two bytes for
 * the length of the shared state, one for the number of patients. The first run begins from a real state,
 * made below. */
#include <stdlib.h>
#include <string.h>

#include "alerting/engine_snapshot.h"
#include "daemon/base/buffer.h"
#include "daemon/base/decimal.h"
#include "daemon/model/command.h"
#include "daemon/model/parameter.h"

static void no_event(void *context, const struct alert_event *event, const char *json, uint32_t size)
{
}

static struct engine *make_engine(void)
{
    struct engine_settings settings = {.lookback_ms = 864000000,
                                       .lookback_continuous_ms = 345600000,
                                       .future_tolerance_ms = 300000,
                                       .node = "node-1"};
    return engine_new(&settings, &(struct engine_out){.event = no_event});
}

static void save(struct engine *engine, struct buffer *shared, struct buffer *patients)
{
    struct archive *archive = engine_archive_new(engine);
    int64_t last_id = INT64_MIN;
    engine_save_shared(archive, shared);
    engine_save_patients(archive, &last_id, UINT32_MAX, SIZE_MAX, patients);
    engine_archive_free(archive);
}

static void check_same(const struct buffer *bytes, const uint8_t *data, size_t size)
{
    ensure(bytes->size == size && (size == 0 || memcmp(bytes->data, data, size) == 0));
}

static void decode(const uint8_t *data, size_t shared_size, size_t size, unsigned count)
{
    struct engine *engine = make_engine();
    struct archive *archive = engine_archive_new(engine);
    enum err error = engine_load_shared(archive, data, shared_size);
    if (error == OK)
        error = engine_load_patients(archive, count, data + shared_size, size - shared_size);
    ensure(error == OK || error == ERR_CORRUPT);
    engine_archive_free(archive);
    if (error == OK) {
        struct buffer shared = {0}, patients = {0};
        save(engine, &shared, &patients);
        /* Its tables of words may be another version's: numbers are others then. */
        if (shared.size == shared_size && memcmp(shared.data, data, shared_size) == 0)
            check_same(&patients, data + shared_size, size - shared_size);
        buffer_deinit(&shared);
        buffer_deinit(&patients);
        engine_wake_patients(engine, INT64_MIN, INT64_MAX);
    }
    engine_free(engine);
}

/* ---- a seed: one patient with an episode of each kind ---- */

static void order(struct engine *engine, enum command_kind kind, const char *json, int64_t now_ms)
{
    struct command command = {.kind = kind};
    buffer_text(&command.json, json);
    engine_command(engine, &command, now_ms);
    ensure(command.outcome == OK);
    buffer_deinit(&command.json);
    buffer_deinit(&command.reply);
}

static void send(struct engine *engine, int64_t value, int64_t now_ms)
{
    uint8_t tail[32];
    uint16_t size = 0;
    enum parameter weight;
    ensure(parameter_by_name("body-weight", 11, &weight) == OK);
    struct reading reading = {.patient_id = 7,
                              .source_id = 1,
                              .value = value * DECIMAL_ONE,
                              .parameter = (uint16_t)weight,
                              .measured_at_ms = now_ms,
                              .received_at_ms = now_ms,
                              .issued_ms = INSTANT_NONE,
                              .status = STATUS_FINAL,
                              .quarantine = value > 200 ? QUARANTINE_IMPOSSIBLE : QUARANTINE_NONE,
                              .next = READING_CHAIN_END};
    ensure(tail_put(tail, sizeof tail, &size, TAIL_KEY_DEVICE, "D", 1));
    reading.tail_size = size;
    reading_identify(&reading, tail, &(struct sip_key){1, 2});
    engine_tick(engine, now_ms, 1000, TICK_RUNNING);
    engine_decide(engine, engine_patient(engine, 7), &reading, tail, 0, now_ms);
}

/* A message of a device's own alarm. */
static void tell(struct engine *engine, const char *class, enum device_phase phase, int64_t now_ms)
{
    uint8_t tail[64];
    struct reading event = {.patient_id = 7,
                            .source_id = 1,
                            .flags = FLAG_DEVICE_EVENT,
                            .parameter = READING_NO_PARAMETER,
                            .value = phase,
                            .measured_at_ms = now_ms,
                            .received_at_ms = now_ms,
                            .issued_ms = INSTANT_NONE,
                            .next = READING_CHAIN_END};
    ensure(tail_put(tail, sizeof tail, &event.tail_size, TAIL_KEY_DEVICE, "D", 1));
    ensure(tail_put(tail, sizeof tail, &event.tail_size, TAIL_EPISODE, "E", 1));
    ensure(tail_put(tail, sizeof tail, &event.tail_size, TAIL_CLASS, class, strlen(class)));
    engine_tick(engine, now_ms, 1000, TICK_RUNNING);
    engine_decide(engine, engine_patient(engine, 7), &event, tail, 0, now_ms);
}

#define OWN_RULE(version, fields)                                                                            \
    "{\"command\":\"rule\",\"layer\":\"patient\",\"scope\":7,\"version\":" version                           \
    ",\"author\":\"a\",\"role\":\"physician\",\"reason\":\"r\",\"rule\":{\"parameter\":\"body-weight\","     \
    "\"unit\":\"kg\",\"priority\":\"low\"," fields "}}"

static const char *const rules[] = {
    OWN_RULE("11", "\"id\":\"o\",\"kind\":\"occurrences\",\"above\":80,\"times\":2,\"within\":\"9h\","
                   "\"mode\":\"sample\""),
    OWN_RULE("12", "\"id\":\"r\",\"kind\":\"reference\",\"rise\":3,\"reference\":\"dry\",\"clear_count\":2"),
    OWN_RULE("13", "\"id\":\"v\",\"kind\":\"rate\",\"rise_per\":0.01,\"within\":\"3h\""),
};
static const char event_rule[] =
    "{\"command\":\"rule\",\"layer\":\"patient\",\"scope\":7,\"version\":14,\"author\":\"a\",\"role\":"
    "\"physician\",\"reason\":\"r\",\"rule\":{\"id\":\"e\",\"kind\":\"event\",\"classes\":{\"*\":\"low\","
    "\"lead\":\"high\"}}}";
static const char *const references[] = {
    "{\"command\":\"reference\",\"patient_id\":7,\"parameter\":\"body-weight\",\"name\":\"dry\","
    "\"value\":75,\"unit\":\"kg\",\"from\":\"2026-01-01T00:00:00Z\",\"author\":\"A\"}",
    "{\"command\":\"reference\",\"patient_id\":7,\"parameter\":\"body-weight\",\"name\":\"dry\","
    "\"value\":85,\"unit\":\"kg\",\"from\":\"2026-06-01T04:30:00Z\",\"author\":\"B\"}",
};

static size_t make_seed(uint8_t *data, size_t size_max)
{
    static const int64_t begin_ms = 1780272000000, step_ms = 3600000;
    struct buffer shared = {0}, patients = {0};
    struct engine *engine = make_engine();
    engine_tick(engine, begin_ms, 0, TICK_START);
    order(
        engine, COMMAND_RULE,
        "{\"command\":\"rule\",\"layer\":\"line\",\"scope\":\"t\",\"version\":1,\"author\":\"a\",\"role\":"
        "\"system\",\"reason\":\"r\",\"rule\":{\"id\":\"s\",\"line\":\"t\",\"kind\":\"silence\",\"max_gap\":"
        "\"36h\",\"parameters\":[\"body-weight\"],\"priority\":\"low\"}}",
        begin_ms);
    order(engine, COMMAND_PATIENT,
          "{\"command\":\"patient\",\"patient_id\":7,\"ref\":\"P\",\"organization\":\"O\",\"line\":\"t\","
          "\"team\":\"T\",\"time_zone\":\"UTC\",\"enrolled_at\":null}",
          begin_ms);
    order(engine, COMMAND_RULE,
          "{\"command\":\"rule\",\"layer\":\"patient\",\"scope\":7,\"version\":2,\"author\":\"a\",\"role\":"
          "\"physician\",\"reason\":\"r\",\"rule\":{\"id\":\"l\",\"kind\":\"limit\",\"parameter\":"
          "\"body-weight\",\"unit\":\"kg\",\"levels\":[{\"priority\":\"low\",\"above\":80}]}}",
          begin_ms);
    order(engine, COMMAND_RULE,
          "{\"command\":\"rule\",\"layer\":\"patient\",\"scope\":7,\"version\":3,\"author\":\"a\",\"role\":"
          "\"physician\",\"reason\":\"r\",\"rule\":{\"id\":\"c\",\"kind\":\"change\",\"parameter\":"
          "\"body-weight\",\"unit\":\"kg\",\"rise\":2,\"within\":\"84h\",\"priority\":\"medium\"}}",
          begin_ms);
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        order(engine, COMMAND_RULE, rules[i], begin_ms);
    for (unsigned i = 0; i < 2; i++)
        order(engine, COMMAND_REFERENCE, references[i], begin_ms);
    for (int i = 1; i < 8; i++)
        send(engine, i == 5 ? 500 : 70 + 3 * i, begin_ms + i * step_ms);
    order(engine, COMMAND_RULE, event_rule, begin_ms + 8 * step_ms);
    tell(engine, "battery", PHASE_START, begin_ms + 9 * step_ms);
    tell(engine, "lead", PHASE_CONTINUE, begin_ms + 600 * step_ms); /* the first is let go */
    tell(engine, "battery", PHASE_CONTINUE, begin_ms + 601 * step_ms);
    save(engine, &shared, &patients);
    ensure(3 + shared.size + patients.size <= size_max);
    data[0] = (uint8_t)shared.size;
    data[1] = (uint8_t)(shared.size >> 8);
    data[2] = 1;
    memcpy(data + 3, shared.data, shared.size);
    memcpy(data + 3 + shared.size, patients.data, patients.size);
    size_t size = 3 + shared.size + patients.size;
    buffer_deinit(&shared);
    buffer_deinit(&patients);
    engine_free(engine);
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ensure(parameter_init() == OK);
    if (size < 3)
        return 0;
    size_t shared_size = data[0] | (size_t)data[1] << 8;
    if (shared_size <= size - 3)
        decode(data + 3, shared_size, size - 3, data[2]);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    ensure(parameter_init() == OK);
    if (size < 16 || seed % 64 == 0)
        size = make_seed(data, size_max);
    if (seed % 4096 == 0)
        return size;
    /* Behind the table of words, which is long and says little. */
    if (seed % 3 != 0 && size > 3)
        return 3 + LLVMFuzzerMutate(data + 3, size - 3, size_max - 3);
    for (unsigned i = 0; i < 1 + seed % 3; i++)
        data[3 + (seed * 2654435761u + i * 40503u) % (size - 3)] ^= (uint8_t)(1u << (seed + i) % 8);
    return size;
}
