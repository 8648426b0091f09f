/* ingest_fixture: see the header for the world; fixture_send_as() plays network side and shard. */
#include "tests/unit/ingest_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/zone.h"
#include "daemon/ingest/doors.h"
#include "daemon/ingest/hl7/hl7.h"
#include "daemon/model/parameter.h"
#include "daemon/registry/registry_build.h"

enum { HELD_MAX = 4096, SHARDS = 2 };

#define YEAR_2010  INT64_C(1262304000000)
#define YEAR_2020  INT64_C(1577836800000)
#define SIX_HOURS  INT64_C(21600000)
#define YEAR_2021  INT64_C(1609459200000)
#define YEAR_2026  INT64_C(1767225600000)
#define MARCH_2026 INT64_C(1772323200000)

static struct world {
    bool made;
    struct config config;
    struct zone *zone;
    struct counters counters;
    struct loop_context loop;
    struct ticket_pool *tickets;
    struct exchange exchange;
    char *body;
    uint8_t held[HELD_MAX][UUID_BYTES];
    uint32_t held_count;
} world;

static const struct source_row {
    const char *ref;
    enum source_kind kind;
    int64_t organization_id, patient_id, devices[4];
    uint32_t devices_count;
} source_rows[] = {
    {"dev", SOURCE_DEVICE, 1, 0, {11}, 1},  {"gw", SOURCE_GATEWAY, 1, 0, {11, 12, 13, 14}, 4},
    {"sys", SOURCE_SYSTEM, 1, 0, {0}, 0},   {"pat", SOURCE_PATIENT, 1, 1, {0}, 0},
    {"other", SOURCE_SYSTEM, 2, 0, {0}, 0}, {"glucometer", SOURCE_DEVICE, 1, 0, {21}, 1},
    {"cgm", SOURCE_DEVICE, 1, 0, {22}, 1},  {"fev", SOURCE_DEVICE, 1, 0, {23}, 1},
};

static void token_of(const char *ref, uint8_t sha256[SHA256_BYTES])
{
    hash_sha256(ref, strlen(ref), sha256);
}

static void add_identifier(struct registry_builder *builder, int64_t patient_id, const char *system,
                           const char *value)
{
    uint8_t hash[SHA256_BYTES];
    registry_identifier_hash(world.loop.identifier_key, system, strlen(system), value, strlen(value), hash);
    registry_add_identifier(builder, patient_id, hash);
}

static void add_patients(struct registry_builder *builder)
{
    static const struct {
        const char *ref;
        int64_t organization_id, left_at_ms;
    } rows[] = {
        {"P-1", 1, INSTANT_NONE}, {"P-2", 1, INSTANT_NONE}, {"P-3", 1, MARCH_2026}, {"P-9", 2, INSTANT_NONE}};
    static const char *const literals[] = {
        "p1",
        "ExamplefrPatient001",
        "example-mes-fr-patient-001",
        "ExamplefrCorePatient001",
        "example",
        "sisansarahId.1.2.3.4.5.6.7.8.10",
        "f001",
        "patientExample",
        "uc1ACMEPatient",
    };
    static const int64_t ids[] = {1, 2, 3, 9};
    for (size_t i = 0; i < 4; i++) {
        struct registry_patient patient = {.patient_id = ids[i],
                                           .organization_id = rows[i].organization_id,
                                           .ref = rows[i].ref,
                                           .zone = world.zone,
                                           .enrolled_at_ms = YEAR_2010,
                                           .left_at_ms = rows[i].left_at_ms};
        registry_add_patient(builder, &patient);
    }
    for (size_t i = 0; i < sizeof literals / sizeof *literals; i++)
        add_identifier(builder, 1, "Patient", literals[i]);
    add_identifier(builder, 1, "urn:oid:1.2.840.10004.1.1.1.0.0.1.0.0.1.2560", "{{idPe}}");
    add_identifier(builder, 1, "urn:oid:1.2.250.1.213.1.4.8", "255081416802538");
    add_identifier(builder, 1, "urn:oid:1.2.250.1.213.1.4.10", "279035121518989");
    add_identifier(builder, 2, "urn:oid:1.2.250.1.213.1.4.9", "190012A00400163");
    add_identifier(builder, 1, "", "12345");
    add_identifier(builder, 1, "A", "12345");
    add_identifier(builder, 2, "", "222");
    add_identifier(builder, 2, "Patient", "p2");
    add_identifier(builder, 2, "urn:oid:1.2.3", "abc");
    add_identifier(builder, 4, "Patient", "p9");
}

static void add_devices(struct registry_builder *builder)
{
    static const struct build_device devices[] = {
        {11, "SN-1", "S1"},
        {12, "SN-2", NULL},
        {13, "SN-3", NULL},
        {14, "SN-4", NULL},
        {19, "SN-9", NULL},
        {21, "example-glucometer-metric", NULL},
        {22, "example-devicemetric-cgm", NULL},
        {23, "example-device-peak-flow-meter", NULL},
    };
    static const struct build_assignment assignments[] = {
        {11, 1, YEAR_2010, INSTANT_NONE},          {12, 2, YEAR_2026, INSTANT_NONE},
        {14, 1, YEAR_2020 + SIX_HOURS, YEAR_2021}, {19, 9, YEAR_2010, INSTANT_NONE},
        {21, 1, YEAR_2010, INSTANT_NONE},          {22, 1, YEAR_2010, INSTANT_NONE},
        {23, 1, YEAR_2010, INSTANT_NONE},
    };
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        registry_add_device(builder, &devices[i]);
    for (size_t i = 0; i < sizeof assignments / sizeof *assignments; i++)
        registry_add_assignment(builder, &assignments[i]);
}

static void add_sources(struct registry_builder *builder)
{
    for (size_t i = 0; i < sizeof source_rows / sizeof *source_rows; i++) {
        const struct source_row *row = &source_rows[i];
        struct build_source source = {.source_id = 100 + (int64_t)i,
                                      .organization_id = row->organization_id,
                                      .ref = row->ref,
                                      .kind = row->kind,
                                      .patient_id = row->patient_id,
                                      .device_ids = row->devices,
                                      .devices_count = row->devices_count,
                                      .has_token = true};
        token_of(row->ref, source.token_sha256);
        registry_add_source(builder, &source);
    }
}

static void make_world(void)
{
    uint32_t left_out;
    enum err error = parameter_init();
    ensure(error == OK);
    error = zone_load("Europe/Paris", &world.zone);
    ensure(error == OK);
    world.config.alerting_assignment_grace = 3600000;
    world.config.node_mode = MODE_PRODUCTION;
    world.loop = (struct loop_context){
        .config = &world.config, .counters = &world.counters, .reading_key = {1, 2}, .shards = SHARDS};
    memset(world.loop.identifier_key, 7, sizeof world.loop.identifier_key);
    struct registry_builder *builder = registry_builder_new(1);
    add_patients(builder);
    add_devices(builder);
    add_sources(builder);
    world.loop.registry = registry_build(&builder, &left_out);
    ensure(left_out == 1); /* the identifier of patient 4, who is not there */
    error = doors_new(&world.loop, &world.loop.doors);
    ensure(error == OK);
    world.tickets = ticket_pool_new(1);
    ensure(world.tickets != NULL);
    world.made = true;
}

struct loop_context *fixture_loop(void)
{
    if (!world.made)
        make_world();
    return &world.loop;
}

void fixture_set_mode(enum config_mode mode)
{
    fixture_loop();
    world.config.node_mode = mode;
}

void fixture_forget(void)
{
    world.held_count = 0;
}

uint32_t fixture_held(void)
{
    return world.held_count;
}

void fixture_hold(uint32_t count)
{
    ensure(count <= world.held_count);
    world.held_count = count;
}

/* ---- the shard ---- */

static bool is_held(const uint8_t id[UUID_BYTES])
{
    for (uint32_t i = 0; i < world.held_count; i++)
        if (memcmp(world.held[i], id, UUID_BYTES) == 0)
            return true;
    return false;
}

static void decide(struct reading *reading)
{
    if (is_held(reading->reading_id)) {
        reading->verdict = VERDICT_DUPLICATE;
        return;
    }
    reading->verdict = reading->quarantine != QUARANTINE_NONE ? VERDICT_QUARANTINED : VERDICT_ACCEPTED;
    if (world.held_count < HELD_MAX)
        memcpy(world.held[world.held_count++], reading->reading_id, UUID_BYTES);
}

static void decide_parts(struct ticket *ticket)
{
    for (uint32_t shard = 0; shard < SHARDS; shard++)
        for (uint32_t i = ticket->parts[shard].first; i != READING_CHAIN_END; i = ticket->heads[i].next)
            decide(&ticket->heads[i]);
}

/* ---- the network side ---- */

static struct slice slice_of(const char *text)
{
    return text == NULL ? (struct slice){NULL, 0} : (struct slice){text, strlen(text)};
}

static void open_exchange(const char *source, const char *path, const char *if_none_exist,
                          const char *content_type)
{
    struct exchange *exchange = &world.exchange;
    struct buffer state = exchange->state, out = exchange->out;
    uint8_t sha256[SHA256_BYTES];
    ticket_put(world.tickets, exchange->ticket);
    buffer_clear(&state);
    buffer_clear(&out);
    bool is_hl7 = strcmp(path, FIXTURE_HL7) == 0;
    *exchange = (struct exchange){.door = is_hl7 ? &hl7_door : doors_find(slice_of(path)),
                                  .path = slice_of(path),
                                  .if_none_exist = slice_of(if_none_exist),
                                  .content_type = slice_of(content_type),
                                  .last_modified_ms = INSTANT_NONE,
                                  .state = state,
                                  .out = out};
    ensure(exchange->door != NULL);
    exchange->method = exchange->door->methods & METHOD_POST ? METHOD_POST : METHOD_GET;
    if (source != NULL) {
        token_of(source, sha256);
        exchange->source = registry_source_by_token(world.loop.registry, sha256);
        ensure(exchange->source != NULL);
    }
    if (exchange->method == METHOD_POST)
        exchange->ticket = ticket_get(world.tickets);
}

static struct exchange *dispatch(const char *body, size_t size)
{
    struct exchange *exchange = &world.exchange;
    free(world.body);
    world.body = malloc(size + 1);
    ensure(world.body != NULL);
    memcpy(world.body, body, size);
    world.body[size] = '\0';
    exchange->body = world.body;
    exchange->body_size = size;
    if (exchange->door->handle(&world.loop, exchange) == DOOR_SUBMITTED) {
        exchange->source = NULL;
        decide_parts(exchange->ticket);
        buffer_clear(&exchange->out);
        exchange->door->answer(&world.loop, exchange);
    }
    ensure(exchange->status != 0 && exchange->out_type != NULL);
    return exchange;
}

static struct exchange *send_typed(const char *source, const char *path, const char *if_none_exist,
                                   const char *content_type, const char *body, size_t size)
{
    fixture_loop();
    open_exchange(source, path, if_none_exist, content_type);
    return dispatch(body, size);
}

struct exchange *fixture_send_as(const char *source, const char *path, const char *if_none_exist,
                                 const char *body, size_t size)
{
    return send_typed(source, path, if_none_exist, NULL, body, size);
}

struct exchange *fixture_send_cbor(const char *source, const void *body, size_t size)
{
    return send_typed(source, "/v1/readings", NULL, "application/cbor", body, size);
}

struct exchange *fixture_publish(const char *source, const struct door *door, const char *device,
                                 const char *body)
{
    fixture_loop();
    open_exchange(source, "/fhir", NULL, NULL);
    world.exchange.door = door;
    world.exchange.device = slice_of(device);
    return dispatch(body, strlen(body));
}

struct exchange *fixture_send(const char *source, const char *path, const char *body)
{
    return fixture_send_as(source, path, NULL, body, strlen(body));
}

const struct exchange *fixture_exchange(void)
{
    return &world.exchange;
}

const char *fixture_text(void)
{
    *buffer_reserve(&world.exchange.out, 1) = '\0';
    return world.exchange.out.data;
}

bool fixture_says(const char *fragment)
{
    return strstr(fixture_text(), fragment) != NULL;
}

const struct reading *fixture_reading(uint32_t index)
{
    ensure(index < world.exchange.ticket->count);
    return &world.exchange.ticket->heads[index];
}

bool fixture_tail_is(uint32_t index, enum tail_tag tag, const char *text)
{
    const struct reading *reading = fixture_reading(index);
    struct slice field = tail_get(ticket_tail(world.exchange.ticket, reading), reading->tail_size, tag);
    return field.size == strlen(text) && (field.size == 0 || memcmp(field.data, text, field.size) == 0);
}
