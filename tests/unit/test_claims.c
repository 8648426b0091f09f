/* claims: a million messages of random sources about random persons and devices, through the JSON and the
 * FHIR door, each judged by the oracle too (claims_oracle.h): no reading under a person that the oracle does
 * not name, and every refusal the oracle's. The world changes every few thousand messages: assignments begin
 * and end, persons leave, names and devices go to somebody else, sources list other devices; each is a new
 * snapshot, as in the daemon. A failure prints the seed of its world and the message.
 * VIGIE_CLAIMS=N in the environment sends another number, VIGIE_CLAIMS_SEED begins elsewhere. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/instant.h"
#include "daemon/registry/registry_build.h"
#include "tests/unit/claims_oracle.h"
#include "tests/unit/ingest_fixture.h"
#include "tests/unit/unit.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { CLAIMS = 100000 }; /* ten times slower; the walk is the same */
#else
enum { CLAIMS = 1000000 };
#endif
enum { CLAIMS_A_WORLD = 4000, CHANGES_A_WORLD = 5, FAILURES_SHOWN = 5, ORGANIZATIONS = 3 };

#define HOUR      INT64_C(3600000)
#define DAY       (24 * HOUR)
#define BEGINNING INT64_C(1767225600000) /* 2026-01-01 */

static const int offsets_min[] = {0, 180, -300, 780};
static const char *const zone_names[] = {"UTC", "Etc/GMT-3", "Etc/GMT+5", "Etc/GMT-13"};
enum { ZONES = 4 };

static struct {
    uint64_t state;
    struct oracle_world world;
    struct zone *zones[ZONES];
    uint64_t sent, admitted, wrong_person, wrong_otherwise, refused[VERDICT_COUNT];
} run;

/* ---- chance ---- */

static uint64_t draw(void)
{
    return hash_mix64(run.state += UINT64_C(0x9e3779b97f4a7c15));
}

static int below(int count)
{
    return (int)(draw() % (uint64_t)count);
}

static bool chance(int percent)
{
    return below(100) < percent;
}

/* ---- worlds ---- */

static void make_ins(char out[24])
{
    static const char *const departments[] = {"75", "2A", "2B", "99", "01"};
    char body[14];
    snprintf(body, sizeof body, "%d%02d%02d%s%03d%03d", 1 + below(2), below(100), 1 + below(12),
             departments[below(5)], below(1000), below(1000));
    snprintf(out, 24, "%s%02d", body, oracle_ins_key(body));
}

static void add_name(int person)
{
    static const char *const systems[] = {"urn:oid:1.2.250.1.213.1.4.8", "urn:oid:1.2.250.1.213.1.4.9",
                                          "Patient", "urn:oid:1.2.3", "MR"};
    struct oracle_world *world = &run.world;
    if (world->names_count == NAMES_MAX)
        return;
    struct oracle_name *name = &world->names[world->names_count];
    int system = below(5);
    name->person = person;
    snprintf(name->system, sizeof name->system, "%s", systems[system]);
    if (system < 2)
        make_ins(name->value);
    else
        snprintf(name->value, sizeof name->value, "n%d", below(60));
    for (int i = 0; i < world->names_count; i++) /* unique within an organisation */
        if (strcmp(world->names[i].system, name->system) == 0 &&
            strcmp(world->names[i].value, name->value) == 0 &&
            world->persons[world->names[i].person].organization == world->persons[person].organization)
            return;
    world->names_count++;
}

static int64_t some_instant(void)
{
    return BEGINNING + below(60) * DAY + below(24) * HOUR + (chance(20) ? below(3600000) : 0);
}

/* Spans one behind the other, touching or with a gap; the last one open or not. */
static void make_spans(struct oracle_device *device)
{
    int64_t at = some_instant();
    int home = below(run.world.persons_count);
    device->spans_count = chance(10) ? 0 : 1 + below(SPANS_MAX);
    for (int i = 0; i < device->spans_count; i++) {
        struct oracle_span *span = &device->spans[i];
        bool open = i == device->spans_count - 1 && chance(60);
        span->person = below(run.world.persons_count);
        /* Few devices change the organisation, as few do. */
        while (chance(95) &&
               run.world.persons[span->person].organization != run.world.persons[home].organization)
            span->person = below(run.world.persons_count);
        span->from_ms = at;
        at += (1 + below(20)) * 6 * HOUR;
        span->to_ms = open ? NEVER : at;
        at += chance(50) ? 0 : below(5) * HOUR;
    }
}

static void fill_list(struct oracle_source *source)
{
    source->listed_count = source->kind == 'd' ? 1 : source->kind == 'g' ? 1 + below(LISTED_MAX) : 0;
    for (int i = 0; i < source->listed_count; i++)
        source->listed[i] = below(run.world.devices_count);
}

static void make_world(void)
{
    struct oracle_world *world = &run.world;
    *world = (struct oracle_world){
        .persons_count = 12 + below(20), .devices_count = 12 + below(20), .sources_count = 16 + below(24)};
    world->grace_ms = fixture_loop()->config->alerting_assignment_grace;
    for (int i = 0; i < world->persons_count; i++) {
        struct oracle_person *person = &world->persons[i];
        *person = (struct oracle_person){.id = 1000 + i,
                                         .organization = 1 + below(ORGANIZATIONS),
                                         .left_ms = chance(20) ? some_instant() : NEVER,
                                         .offset_min = offsets_min[below(ZONES)]};
        snprintf(person->ref, sizeof person->ref, "P-%d", i);
    }
    for (int i = 0; i < 2 * world->persons_count; i++)
        add_name(below(world->persons_count));
    for (int i = 0; i < world->devices_count; i++) {
        struct oracle_device *device = &world->devices[i];
        device->id = 2000 + i;
        snprintf(device->ref, sizeof device->ref, "SN-%d", i);
        snprintf(device->serial, sizeof device->serial, "S%d", below(3 * world->devices_count / 2));
        make_spans(device);
    }
    for (int i = 0; i < world->sources_count; i++) {
        struct oracle_source *source = &world->sources[i];
        *source = (struct oracle_source){.id = 3000 + i, .kind = "dgsp"[below(4)]};
        snprintf(source->ref, sizeof source->ref, "source-%d", i);
        source->person = below(world->persons_count);
        fill_list(source);
        source->organization =
            source->kind == 'p' ? world->persons[source->person].organization : 1 + below(ORGANIZATIONS);
    }
}

static void change_world(void)
{
    struct oracle_world *world = &run.world;
    for (int i = 0; i < CHANGES_A_WORLD; i++) {
        struct oracle_source *source = &world->sources[below(world->sources_count)];
        switch (below(5)) {
        case 0:
            make_spans(&world->devices[below(world->devices_count)]);
            break;
        case 1:
            world->persons[below(world->persons_count)].left_ms = chance(50) ? some_instant() : NEVER;
            break;
        case 2:
            fill_list(source);
            break;
        case 3: /* a name goes, and may go to somebody else */
            if (world->names_count > 0)
                world->names[below(world->names_count)] = world->names[world->names_count - 1];
            world->names_count -= world->names_count > 0;
            add_name(below(world->persons_count));
            break;
        case 4:
            add_name(below(world->persons_count));
            break;
        }
    }
}

/* ---- the registry that the product sees ---- */

static void add_sources(struct registry_builder *builder)
{
    static const enum source_kind kinds[] = {
        ['d'] = SOURCE_DEVICE, ['g'] = SOURCE_GATEWAY, ['s'] = SOURCE_SYSTEM, ['p'] = SOURCE_PATIENT};
    static int64_t lists[SOURCES_MAX][LISTED_MAX];
    for (int i = 0; i < run.world.sources_count; i++) {
        const struct oracle_source *from = &run.world.sources[i];
        struct build_source source = {.source_id = from->id,
                                      .organization_id = from->organization,
                                      .ref = from->ref,
                                      .kind = kinds[(int)from->kind],
                                      .device_ids = lists[i],
                                      .has_token = true};
        source.patient_id = from->kind == 'p' ? run.world.persons[from->person].id : 0;
        for (int j = 0; j < from->listed_count; j++) /* PostgreSQL lists a device once */
            if (j == 0 || run.world.devices[from->listed[j]].id != lists[i][source.devices_count - 1])
                lists[i][source.devices_count++] = run.world.devices[from->listed[j]].id;
        hash_sha256(from->ref, strlen(from->ref), source.token_sha256);
        registry_add_source(builder, &source);
    }
}

static struct registry *build(void)
{
    const struct oracle_world *world = &run.world;
    struct registry_builder *builder = registry_builder_new(1);
    uint32_t left_out;
    for (int i = 0; i < world->persons_count; i++) {
        const struct oracle_person *from = &world->persons[i];
        unsigned zone = 0;
        while (offsets_min[zone] != from->offset_min)
            zone++;
        registry_add_patient(
            builder,
            &(struct registry_patient){.patient_id = from->id,
                                       .organization_id = from->organization,
                                       .ref = from->ref,
                                       .zone = run.zones[zone],
                                       .enrolled_at_ms = BEGINNING,
                                       .left_at_ms = from->left_ms == NEVER ? INSTANT_NONE : from->left_ms});
    }
    for (int i = 0; i < world->names_count; i++) {
        const struct oracle_name *name = &world->names[i];
        uint8_t hash[SHA256_BYTES];
        registry_identifier_hash(fixture_loop()->identifier_key, name->system, strlen(name->system),
                                 name->value, strlen(name->value), hash);
        registry_add_identifier(builder, world->persons[name->person].id, hash);
    }
    for (int i = 0; i < world->devices_count; i++) {
        const struct oracle_device *device = &world->devices[i];
        registry_add_device(builder, &(struct build_device){device->id, device->ref, device->serial});
        for (int j = 0; j < device->spans_count; j++)
            registry_add_assignment(
                builder, &(struct build_assignment){
                             device->id, world->persons[device->spans[j].person].id, device->spans[j].from_ms,
                             device->spans[j].to_ms == NEVER ? INSTANT_NONE : device->spans[j].to_ms});
    }
    add_sources(builder);
    return registry_build(&builder, &left_out);
}

/* ---- messages ---- */

struct texts { /* that a claim's pointers lie in */
    char values[CALLED_MAX][48], systems[CALLED_MAX][64];
    char device[48], person[48];
};

/* Somebody whom the source could mean, mostly; then anybody. */
static int some_person(const struct oracle_source *source)
{
    int person = below(run.world.persons_count);
    if (source->kind == 'p' && chance(50))
        return source->person;
    for (int i = 0; i < 4 && chance(80) && run.world.persons[person].organization != source->organization;
         i++)
        person = below(run.world.persons_count);
    return person;
}

static int some_device(const struct oracle_source *source)
{
    if (source->listed_count > 0 && chance(70))
        return source->listed[below(source->listed_count)];
    return below(run.world.devices_count);
}

/* The name as it is, or nearly. */
static const char *spell(const char *name, char out[48])
{
    static const char *const forms[] = {"%s", "%s",  "%s",  "%s",   "%s", "%s",
                                        "%s", "%sx", "x%s", "%.3s", "%s1"};
    int form = below((int)(sizeof forms / sizeof *forms));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(out, 48, forms[form], name);
#pragma GCC diagnostic pop
    return out;
}

static void spell_ins(const char *value, char out[48])
{
    int size = 0;
    for (const char *at = value; *at != '\0'; at++) {
        if (chance(5))
            out[size++] = ' ';
        out[size++] = (*at == 'A' || *at == 'B') && chance(50) ? (char)(*at - 'A' + 'a') : *at;
    }
    if (chance(15)) /* a digit of the key or of the number is wrong */
        out[size - 1 - below(4)] = (char)('0' + below(10));
    if (chance(3))
        size -= 2;
    out[size] = '\0';
}

static void call_by(int person, struct oracle_claim *claim, struct texts *texts)
{
    static const char *const prefixes[] = {"urn:oid:", "", "URN:OID:"};
    const struct oracle_world *world = &run.world;
    const struct oracle_name *name = &world->names[below(world->names_count)];
    int at = claim->called_count++;
    for (int i = 0; i < 30 && name->person != person; i++)
        name = &world->names[below(world->names_count)];
    if (strstr(name->system, ".213.1.4.") != NULL) {
        const char *oid = chance(5) ? "1.2.250.1.213.1.4.10" : strrchr(name->system, ':') + 1;
        snprintf(texts->systems[at], sizeof texts->systems[at], "%s%s", prefixes[below(3)], oid);
        spell_ins(name->value, texts->values[at]);
    } else {
        snprintf(texts->systems[at], sizeof texts->systems[at], "%s", name->system);
        spell(name->value, texts->values[at]);
    }
    claim->systems[at] = texts->systems[at];
    claim->values[at] = texts->values[at];
}

/* At, right before and right behind the instants at which something begins or ends, or anywhere. */
static int64_t some_time(const struct oracle_device *device)
{
    static const int64_t nudges[] = {0,     -1,        1,         1000,       -1000,
                                     -HOUR, -HOUR - 1, -HOUR + 1, -12 * HOUR, 12 * HOUR};
    int64_t at = some_instant();
    if (device != NULL && device->spans_count > 0 && chance(70)) {
        const struct oracle_span *span = &device->spans[below(device->spans_count)];
        at = span->to_ms != NEVER && chance(50) ? span->to_ms : span->from_ms;
    } else if (chance(20)) {
        const struct oracle_person *person = &run.world.persons[below(run.world.persons_count)];
        at = person->left_ms == NEVER ? at : person->left_ms;
    }
    return at + nudges[below(10)];
}

static struct oracle_claim make_claim(const struct oracle_source *source, struct texts *texts)
{
    struct oracle_claim claim = {.fhir = chance(40)};
    int device = chance(source->kind == 's' || source->kind == 'p' ? 40 : 80) ? some_device(source) : -1;
    if (device >= 0) {
        const struct oracle_device *named = &run.world.devices[device];
        claim.device = spell(claim.fhir && chance(40) ? named->serial : named->ref, texts->device);
    }
    claim.at_ms = some_time(device >= 0                ? &run.world.devices[device]
                            : source->listed_count > 0 ? &run.world.devices[source->listed[0]]
                                                       : NULL);
    claim.date_alone = chance(15);
    if (claim.date_alone)
        claim.at_ms -= claim.at_ms % DAY;
    if (!chance(source->kind == 's' ? 85 : 45))
        return claim;
    int person = some_person(source);
    if (!claim.fhir)
        claim.person = spell(run.world.persons[person].ref, texts->person);
    for (int count = 1 + (chance(30) ? below(3) : 0); claim.fhir && run.world.names_count > 0 && count > 0;
         count--)
        call_by(chance(90) ? person : some_person(source), &claim, texts);
    return claim;
}

static void write_time(const struct oracle_claim *claim, char out[64])
{
    char text[INSTANT_TEXT_MAX];
    int offset_min = (below(3) - 1) * below(14) * 60;
    instant_format(claim->at_ms + offset_min * INT64_C(60000), text);
    if (claim->date_alone)
        snprintf(out, 64, "%.10s", text);
    else if (offset_min == 0)
        snprintf(out, 64, "%s", text);
    else
        snprintf(out, 64, "%.*s%c%02d:00", (int)strlen(text) - 1, text, offset_min < 0 ? '-' : '+',
                 abs(offset_min) / 60);
    if (claim->date_alone) { /* the date as said, not as it is at the offset */
        instant_format(claim->at_ms, text);
        snprintf(out, 64, "%.10s", text);
    }
}

static int write_json(const struct oracle_claim *claim, char *out, size_t size)
{
    char time[64], who[160] = "";
    int used = 0;
    write_time(claim, time);
    if (claim->device != NULL)
        used += snprintf(who, sizeof who, "\"device\":\"%s\",", claim->device);
    if (claim->person != NULL)
        snprintf(who + used, sizeof who - (size_t)used, "\"patient\":\"%s\",", claim->person);
    return snprintf(
        out, size,
        "{%s\"time\":\"%s\",\"readings\":[{\"code\":\"body-weight\",\"value\":70,\"unit\":\"kg\"}]}", who,
        time);
}

/* One name as subject.identifier or as a literal reference, several as those of a contained Patient. */
static int write_subject(const struct oracle_claim *claim, char *out, size_t size)
{
    int used = 0;
    if (claim->called_count == 0)
        return snprintf(out, size, "%s", "");
    if (claim->called_count == 1 && strcmp(claim->systems[0], "Patient") == 0)
        return snprintf(out, size, "\"subject\":{\"reference\":\"Patient/%s\"},", claim->values[0]);
    if (claim->called_count == 1)
        return snprintf(out, size, "\"subject\":{\"identifier\":{\"system\":\"%s\",\"value\":\"%s\"}},",
                        claim->systems[0], claim->values[0]);
    used = snprintf(
        out, size,
        "\"subject\":{\"reference\":\"#p\"},\"contained\":[{\"resourceType\":\"Patient\",\"id\":\"p\","
        "\"identifier\":[");
    for (int i = 0; i < claim->called_count; i++)
        used += snprintf(out + used, size - (size_t)used, "%s{\"system\":\"%s\",\"value\":\"%s\"}",
                         i > 0 ? "," : "", claim->systems[i], claim->values[i]);
    return used + snprintf(out + used, size - (size_t)used, "]}],");
}

static int write_fhir(const struct oracle_claim *claim, char *out, size_t size)
{
    char time[64], subject[800], device[120] = "";
    write_time(claim, time);
    write_subject(claim, subject, sizeof subject);
    if (claim->device != NULL)
        snprintf(device, sizeof device,
                 chance(50) ? "\"device\":{\"reference\":\"Device/%s\"},"
                            : "\"device\":{\"identifier\":{\"value\":\"%s\"}},",
                 claim->device);
    return snprintf(
        out, size,
        "{\"resourceType\":\"Observation\",\"status\":\"final\",%s%s\"code\":{\"coding\":[{\"system\":"
        "\"http://loinc.org\",\"code\":\"29463-7\"}]},\"effectiveDateTime\":\"%s\",\"valueQuantity\":{"
        "\"value\":70,\"system\":\"http://unitsofmeasure.org\",\"code\":\"kg\"}}",
        subject, device, time);
}

/* ---- the comparison ---- */

static void compare(const struct oracle_source *source, const struct oracle_ruling *ruling, uint64_t seed,
                    const char *body)
{
    const struct reading *reading = fixture_reading(0);
    bool admitted = reading->verdict < VERDICT_MALFORMED;
    const char *code = admitted ? "admitted" : verdict_code(reading->verdict);
    const char *expected = ruling->code == NULL ? "admitted" : ruling->code;
    bool wrong_person = admitted && (ruling->code != NULL || reading->patient_id != ruling->person_id);
    bool wrong_otherwise =
        strcmp(code, expected) != 0 ||
        (admitted && (reading->device_id != ruling->device_id ||
                      reading->measured_at_ms != ruling->measured_ms || reading->source_id != source->id));
    run.admitted += admitted;
    run.refused[reading->verdict] += !admitted;
    run.wrong_person += wrong_person;
    run.wrong_otherwise += wrong_otherwise && !wrong_person;
    if ((wrong_person || wrong_otherwise) && run.wrong_person + run.wrong_otherwise <= FAILURES_SHOWN)
        printf("\nseed %" PRIu64 ": source %s of kind %c: found %s %lld, expected %s %lld\n%s\n", seed,
               source->ref, source->kind, code, (long long)reading->patient_id, expected,
               (long long)ruling->person_id, body);
}

static void send_claim(uint64_t seed)
{
    char body[1600];
    struct texts texts;
    const struct oracle_source *source = &run.world.sources[below(run.world.sources_count)];
    if (!oracle_source_speaks(&run.world, source)) { /* its token is nobody's: 401 at the listener */
        uint8_t sha256[SHA256_BYTES];
        hash_sha256(source->ref, strlen(source->ref), sha256);
        run.wrong_otherwise += registry_source_by_token(fixture_loop()->registry, sha256) != NULL;
        return;
    }
    struct oracle_claim claim = make_claim(source, &texts);
    int size = claim.fhir ? write_fhir(&claim, body, sizeof body) : write_json(&claim, body, sizeof body);
    ensure(size > 0 && (size_t)size < sizeof body);
    struct oracle_ruling ruling = oracle_judge(&run.world, source, &claim);
    fixture_forget();
    fixture_send_as(source->ref, claim.fhir ? "/fhir/Observation" : "/v1/readings", NULL, body, (size_t)size);
    compare(source, &ruling, seed, body);
    run.sent++;
}

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

/* What came of them; a claim that could not fail would prove nothing, so each way to fail must have been met.
 */
static void report(void)
{
    static const enum verdict met[] = {VERDICT_MALFORMED, VERDICT_UNKNOWN_PATIENT, VERDICT_UNKNOWN_DEVICE,
                                       VERDICT_FORBIDDEN, VERDICT_NOT_ASSIGNED,    VERDICT_PATIENT_MISMATCH};
    printf("%" PRIu64 " claims, %" PRIu64 " admitted", run.sent, run.admitted);
    for (size_t i = 0; i < sizeof met / sizeof *met; i++) {
        printf(", %" PRIu64 " %s", run.refused[met[i]], verdict_code(met[i]));
        CU_ASSERT_TRUE(run.refused[met[i]] * 200 > run.sent);
    }
    printf("; %" PRIu64 " under a wrong patient, %" PRIu64 " otherwise wrong ", run.wrong_person,
           run.wrong_otherwise);
    CU_ASSERT_TRUE(run.admitted * 10 > run.sent);
}

static void test_million(void)
{
    struct loop_context *loop = fixture_loop();
    const struct registry *kept = loop->registry;
    uint64_t count = number_of("VIGIE_CLAIMS", CLAIMS), seed = number_of("VIGIE_CLAIMS_SEED", 1);
    memset(&run, 0, sizeof run);
    for (int i = 0; i < ZONES; i++)
        CU_ASSERT_EQUAL_FATAL(zone_load(zone_names[i], &run.zones[i]), OK);
    for (; run.sent < count; seed++) {
        run.state = hash_mix64(seed);
        make_world();
        for (int change = 0; change < 4; change++) {
            struct registry *registry = build();
            loop->registry = registry;
            for (uint64_t end = run.sent + CLAIMS_A_WORLD / 4; run.sent < end && run.sent < count;)
                send_claim(seed);
            loop->registry = kept;
            registry_free(registry);
            change_world();
        }
    }
    for (int i = 0; i < ZONES; i++)
        zone_free(run.zones[i]);
    report();
    CU_ASSERT_EQUAL(run.wrong_person, 0);
    CU_ASSERT_EQUAL(run.wrong_otherwise, 0);
}

SUITE(claims) = {
    {"a million claims on patients", test_million},
    {NULL, NULL},
};
