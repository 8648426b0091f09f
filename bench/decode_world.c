/* decode_world: see the header. The CBOR batch has integer keys, decimal fractions and milliseconds, as a
 * gateway that counts bytes sends it; JSON has texts for all of them. The Observation is one of a scale, with
 * the elements that the French profiles ask for; the ORU is a monitor's, as IHE PCD-01 has it: three rows of
 * containers, four of values. */
#include "bench/decode_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cbor_write.h"
#include "config/config.h"
#include "daemon/base/zone.h"
#include "daemon/ingest/doors.h"
#include "daemon/ingest/hl7/hl7.h"
#include "daemon/ingest/readings/readings.h"
#include "daemon/model/parameter.h"
#include "daemon/model/ticket.h"
#include "daemon/registry/registry_build.h"

enum { REF_BYTES = 32, STEP_MS = 60000 };

static const int64_t BEGIN_MS = 1795000000000;

struct message {
    size_t at, size; /* in the texts of its form */
};

struct decode_world {
    struct decode_options options;
    struct config config;
    struct zone *zone;
    struct loop_context loop;
    struct ticket_pool *tickets;
    struct exchange exchange;
    const struct registry_source *source;
    char (*refs)[REF_BYTES]; /* of the patients, then of their devices */
    struct buffer texts[DECODE_FORMS];
    struct message *messages[DECODE_FORMS];
};

enum { HL7_READINGS = 4 };

/* path NULL: no path, but the door of a listener. */
static const struct form {
    const char *name, *path, *content_type;
} forms[DECODE_FORMS] = {
    [DECODE_CBOR] = {"cbor", "/v1/readings", readings_cbor_type},
    [DECODE_JSON] = {"json", "/v1/readings", "application/json"},
    [DECODE_FHIR] = {"fhir", "/fhir/Observation", "application/fhir+json"},
    [DECODE_HL7] = {"hl7", NULL, NULL},
};

/* What a gateway's batch goes through in turn: code, unit, lowest value and spread in tenths. */
static const struct measured {
    const char *code, *unit;
    unsigned low_tenths, spread_tenths;
} measured[] = {
    {"99504-3", "mg/dL", 900, 600},
    {"8867-4", "/min", 600, 250},
    {"29463-7", "kg", 700, 10},
    {"59408-5", "%", 950, 40},
};

/* ---- messages ---- */

static unsigned tenths_of(unsigned patient, unsigned index)
{
    const struct measured *row = &measured[index % (sizeof measured / sizeof *measured)];
    return row->low_tenths + (patient * 31 + index * 17) % row->spread_tenths;
}

static int64_t time_of(unsigned patient, unsigned index)
{
    return BEGIN_MS + (int64_t)index * STEP_MS + patient;
}

static void write_cbor(const struct decode_world *world, unsigned patient, struct buffer *out)
{
    cbor_write_head(out, CBOR_MAP, 3);
    cbor_write_text(out, 0, world->refs[patient]);
    cbor_write_text(out, 1, world->refs[world->options.patients + patient]);
    cbor_write_head(out, CBOR_UNSIGNED, 4);
    cbor_write_head(out, CBOR_ARRAY, world->options.readings);
    for (unsigned i = 0; i < world->options.readings; i++) {
        const struct measured *row = &measured[i % (sizeof measured / sizeof *measured)];
        cbor_write_reading(out, row->code, tenths_of(patient, i), row->unit, time_of(patient, i));
    }
}

static void write_json(const struct decode_world *world, unsigned patient, struct buffer *out)
{
    char time[INSTANT_TEXT_MAX];
    buffer_printf(out, "{\"patient\":\"%s\",\"device\":\"%s\",\"readings\":[", world->refs[patient],
                  world->refs[world->options.patients + patient]);
    for (unsigned i = 0; i < world->options.readings; i++) {
        const struct measured *row = &measured[i % (sizeof measured / sizeof *measured)];
        unsigned tenths = tenths_of(patient, i);
        instant_format(time_of(patient, i), time);
        buffer_printf(out, "%s{\"code\":\"%s\",\"value\":%u.%u,\"unit\":\"%s\",\"time\":\"%s\"}",
                      i == 0 ? "" : ",", row->code, tenths / 10, tenths % 10, row->unit, time);
    }
    buffer_text(out, "]}");
}

static void write_fhir(const struct decode_world *world, unsigned patient, struct buffer *out)
{
    char time[INSTANT_TEXT_MAX];
    unsigned tenths = tenths_of(patient, 2);
    instant_format(time_of(patient, 2), time);
    buffer_printf(
        out,
        "{\"resourceType\":\"Observation\",\"meta\":{\"source\":\"urn:oid:1.2.250.1.999.1\",\"profile\":["
        "\"https://interop.esante.gouv.fr/ig/fhir/mesures/StructureDefinition/"
        "mesures-fr-observation-body-weight\"]},\"status\":\"final\",\"category\":[{\"coding\":[{\"system\":"
        "\"http://terminology.hl7.org/CodeSystem/observation-category\",\"code\":\"vital-signs\",\"display\":"
        "\"Vital Signs\"}]}],\"code\":{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"29463-7\","
        "\"display\":\"Body weight\"},{\"system\":\"urn:iso:std:iso:11073:10101\",\"code\":\"188736\"}]},"
        "\"subject\":{\"identifier\":{\"system\":\"urn:oid:1.2.3\",\"value\":\"%s\"}},\"effectiveDateTime\":"
        "\"%s\",\"performer\":[{\"reference\":\"Patient/x\"}],\"valueQuantity\":{\"value\":%u.%u,\"unit\":"
        "\"kg\",\"system\":\"http://unitsofmeasure.org\",\"code\":\"kg\"},\"device\":{\"identifier\":"
        "{\"system\":\"urn:oid:1.2.840.10004.1.1.1.0.0.1.0.0.1.2680\",\"value\":\"%s\"}}}",
        world->refs[patient], time, tenths / 10, tenths % 10, world->refs[world->options.patients + patient]);
}

static void write_hl7(const struct decode_world *world, unsigned patient, struct buffer *out)
{
    const char *device = world->refs[world->options.patients + patient];
    unsigned minute = patient / 60 % 60, second = patient % 60;
    buffer_printf(
        out,
        "MSH|^~\\&|GW^080019FFFE3ED02D^EUI-64|HOSPITAL|||20261118100000+0000||ORU^R01^ORU_R01|M%u|P|2.6|||"
        "AL|NE||UNICODE UTF-8|||PCD_DEC_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO\r"
        "PID|||%s^^^&1.2.3&ISO^MR||DOE^JANE^^^^^L\r"
        "OBR|1|O%u^GW|O%u^GW|182777000^monitoring of patient^SCT|||2026111809%02u%02u+0000\r"
        "OBX|1||69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC|1.0.0.0|||||||X\r"
        "OBX|2||70686^MDC_DEV_PRESS_BLD_NONINV_VMD^MDC|1.16.0.0|||||||X\r"
        "OBX|3||70687^MDC_DEV_PRESS_BLD_NONINV_CHAN^MDC|1.16.1.0|||||||X\r",
        patient, world->refs[patient], patient, patient, minute, second);
    static const char *const rows[HL7_READINGS][2] = {
        {"150021^MDC_PRESS_BLD_NONINV_SYS^MDC", "mm[Hg]^mm[Hg]^UCUM"},
        {"150022^MDC_PRESS_BLD_NONINV_DIA^MDC", "mm[Hg]^mm[Hg]^UCUM"},
        {"150023^MDC_PRESS_BLD_NONINV_MEAN^MDC", "mm[Hg]^mm[Hg]^UCUM"},
        {"149546^MDC_PULS_RATE_NON_INV^MDC", "{beat}/min^{beat}/min^UCUM"},
    };
    for (unsigned i = 0; i < HL7_READINGS; i++)
        buffer_printf(out, "OBX|%u|NM|%s|1.16.1.%u|%u|%s|||||R|||2026111809%02u%02u||||%s^GW\r", i + 4,
                      rows[i][0], i + 1, 75 + tenths_of(patient, i) % 25, rows[i][1], minute, second, device);
}

unsigned decode_world_readings(const struct decode_world *world, enum decode_form form)
{
    return form == DECODE_FHIR ? 1 : form == DECODE_HL7 ? HL7_READINGS : world->options.readings;
}

static void write_messages(struct decode_world *world)
{
    void (*const writers[DECODE_FORMS])(const struct decode_world *, unsigned,
                                        struct buffer *) = {write_cbor, write_json, write_fhir, write_hl7};
    for (unsigned form = 0; form < DECODE_FORMS; form++) {
        struct buffer *texts = &world->texts[form];
        world->messages[form] = calloc(world->options.patients, sizeof *world->messages[form]);
        ensure(world->messages[form] != NULL);
        for (unsigned i = 0; i < world->options.patients; i++) {
            size_t at = texts->size;
            writers[form](world, i, texts);
            world->messages[form][i] = (struct message){at, texts->size - at};
            buffer_append(texts, "", 1); /* a body ends in a readable NUL */
        }
    }
}

/* ---- registry and loop ---- */

static void add_patient(struct decode_world *world, struct registry_builder *builder, unsigned index)
{
    unsigned patients = world->options.patients;
    char *ref = world->refs[index], *device = world->refs[patients + index];
    int64_t id = 1 + (int64_t)index;
    uint8_t hash[SHA256_BYTES];
    snprintf(ref, REF_BYTES, "P-%06u", index);
    snprintf(device, REF_BYTES, "SN-%06u", index);
    registry_add_patient(builder, &(struct registry_patient){.patient_id = id,
                                                             .organization_id = 1,
                                                             .ref = ref,
                                                             .zone = world->zone,
                                                             .enrolled_at_ms = 0,
                                                             .left_at_ms = INSTANT_NONE});
    registry_identifier_hash(world->loop.identifier_key, "urn:oid:1.2.3", 13, ref, strlen(ref), hash);
    registry_add_identifier(builder, id, hash);
    registry_add_device(builder, &(struct build_device){.device_id = id, .ref = device});
    registry_add_assignment(builder, &(struct build_assignment){id, id, 0, INSTANT_NONE});
}

static void make_registry(struct decode_world *world)
{
    struct registry_builder *builder = registry_builder_new(1);
    int64_t *devices = calloc(world->options.patients, sizeof *devices);
    uint32_t left_out;
    ensure(devices != NULL);
    for (unsigned i = 0; i < world->options.patients; i++) {
        add_patient(world, builder, i);
        devices[i] = 1 + (int64_t)i;
    }
    struct build_source source = {.source_id = 1,
                                  .organization_id = 1,
                                  .ref = "gw-1",
                                  .kind = SOURCE_GATEWAY,
                                  .device_ids = devices,
                                  .devices_count = world->options.patients,
                                  .has_token = true};
    registry_add_source(builder, &source);
    world->loop.registry = registry_build(&builder, &left_out);
    world->source = registry_source_by_token(world->loop.registry, source.token_sha256);
    ensure(left_out == 0 && world->source != NULL);
    free(devices);
}

struct decode_world *decode_world_new(const struct decode_options *options)
{
    struct decode_world *world = calloc(1, sizeof *world);
    ensure(world != NULL);
    world->options = *options;
    world->refs = calloc(2 * (size_t)options->patients, sizeof *world->refs);
    ensure(world->refs != NULL && parameter_init() == OK && zone_load("Europe/Paris", &world->zone) == OK);
    world->loop = (struct loop_context){.config = &world->config, .reading_key = {1, 2}, .shards = 1};
    ensure(doors_new(&world->loop, &world->loop.doors) == OK);
    world->tickets = ticket_pool_new(1);
    ensure(world->tickets != NULL);
    make_registry(world);
    write_messages(world);
    return world;
}

void decode_world_free(struct decode_world *world)
{
    if (world == NULL)
        return;
    for (unsigned form = 0; form < DECODE_FORMS; form++) {
        buffer_deinit(&world->texts[form]);
        free(world->messages[form]);
    }
    buffer_deinit(&world->exchange.state);
    buffer_deinit(&world->exchange.out);
    ticket_pool_free(world->tickets);
    doors_free(world->loop.doors);
    registry_free((struct registry *)(uintptr_t)world->loop.registry);
    zone_free(world->zone);
    free(world->refs);
    free(world);
}

const char *decode_form_name(enum decode_form form)
{
    return forms[form].name;
}

const struct loop_context *decode_world_loop(const struct decode_world *world)
{
    return &world->loop;
}

struct slice decode_world_body(const struct decode_world *world, enum decode_form form, unsigned patient)
{
    const struct message *message = &world->messages[form][patient];
    return (struct slice){world->texts[form].data + message->at, message->size};
}

static struct slice slice_of(const char *text)
{
    return text == NULL ? (struct slice){NULL, 0} : (struct slice){text, strlen(text)};
}

unsigned decode_world_admit(struct decode_world *world, enum decode_form form, unsigned patient)
{
    const struct message *message = &world->messages[form][patient];
    struct exchange *exchange = &world->exchange;
    struct buffer state = exchange->state, out = exchange->out;
    buffer_clear(&state);
    buffer_clear(&out);
    *exchange = (struct exchange){.path = slice_of(forms[form].path),
                                  .method = METHOD_POST,
                                  .content_type = slice_of(forms[form].content_type),
                                  .source = world->source,
                                  .body = world->texts[form].data + message->at,
                                  .body_size = message->size,
                                  .ticket = ticket_get(world->tickets),
                                  .last_modified_ms = INSTANT_NONE,
                                  .state = state,
                                  .out = out};
    exchange->door = form == DECODE_HL7 ? &hl7_door : doors_find(exchange->path);
    ensure(exchange->door->handle(&world->loop, exchange) == DOOR_SUBMITTED);
    unsigned count = exchange->ticket->parts[0].count;
    ensure(count == exchange->ticket->count && count == decode_world_readings(world, form));
    ticket_put(world->tickets, exchange->ticket);
    return count;
}
