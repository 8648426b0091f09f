/* fhir: the samples of other people's, each as EXPECTED.jsonl has it; then bundles, answers and refusals of
 * our own. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/file.h"
#include "daemon/base/zone.h"
#include "daemon/ingest/doors.h"
#include "daemon/ingest/fhir/fhir.h"
#include "daemon/model/parameter.h"
#include "tests/unit/ingest_fixture.h"
#include "tests/unit/unit.h"

#define SAMPLES "../shared/samples/"

static int post(const char *source, const char *body)
{
    return fixture_send(source, "/fhir/Observation", body)->status;
}

static int bundle(const char *source, const char *body)
{
    return fixture_send(source, "/fhir", body)->status;
}

/* ---- the samples ---- */

static const char *source_of(const char *file)
{
    if (strstr(file, "glucose-nosubject") != NULL)
        return "glucometer";
    if (strstr(file, "hddt-cgm") != NULL)
        return "cgm";
    return strstr(file, "fev1") != NULL ? "fev" : "sys";
}

/* Half of the last digit of the number as the table writes it. */
static void check_value(json_t *expected, int64_t millionths)
{
    char *text = json_dumps(expected, JSON_ENCODE_ANY);
    const char *point = strchr(text, '.');
    int64_t value, half = DECIMAL_ONE / 2;
    CU_ASSERT_EQUAL_FATAL(decimal_parse(text, strlen(text), NULL, &value), OK);
    for (const char *digit = point != NULL ? point + 1 : ""; *digit != '\0'; digit++)
        half = half > 10 ? half / 10 : 1;
    if (llabs(value - millionths) > half) {
        printf("value: expected %s, found %lld millionths\n", text, (long long)millionths);
        CU_FAIL("canonical value");
    }
    free(text);
}

static void check_reading(json_t *expected, const struct reading *reading)
{
    const char *name = json_string_value(json_object_get(expected, "parameter"));
    const char *time = json_string_value(json_object_get(expected, "effective"));
    struct instant_parsed parsed;
    struct zone *zone;
    CU_ASSERT_STRING_EQUAL(parameter_row(reading->parameter)->name, name);
    check_value(json_object_get(expected, "canonical_value"), reading->value);
    CU_ASSERT_EQUAL_FATAL(instant_parse(time, strlen(time), &parsed), INSTANT_GOOD);
    CU_ASSERT_EQUAL(reading->precision, parsed.precision);
    if (parsed.precision == PRECISION_DAY) {
        CU_ASSERT_EQUAL_FATAL(zone_load("Europe/Paris", &zone), OK);
        parsed.ms = zone_day_start_ms(zone, parsed.ms / 86400000, 0);
        zone_free(zone);
    }
    CU_ASSERT_EQUAL(reading->measured_at_ms, parsed.ms);
    CU_ASSERT_TRUE(reading->patient_id == 1 && reading->verdict == VERDICT_ACCEPTED);
}

static void check_accepted(json_t *row, const struct exchange *exchange, bool is_bundle)
{
    json_t *expected, *readings = json_object_get(row, "readings");
    size_t i;
    CU_ASSERT_EQUAL(exchange->status, is_bundle ? 200 : 201);
    CU_ASSERT_EQUAL_FATAL(exchange->ticket->count, json_array_size(readings));
    json_array_foreach(readings, i, expected) check_reading(expected, fixture_reading((uint32_t)i));
    for (i = 1; i < exchange->ticket->count; i++)
        CU_ASSERT_TRUE(fixture_reading((uint32_t)i)->group_id != 0 &&
                       fixture_reading((uint32_t)i)->group_id == fixture_reading(0)->group_id);
    CU_ASSERT_TRUE(is_bundle ? fixture_says("\"status\":\"201 Created\",\"location\":\"Observation/")
                             : strncmp(exchange->location, "Observation/", 12) == 0);
}

/* SampledData: the numbers are in the payload, the row says how many there are and when. */
static void check_series(const char *body, size_t size, const struct exchange *exchange)
{
    json_t *payload = json_loadb(body, size, 0, NULL), *series = json_object_get(payload, "valueSampledData");
    json_int_t period = json_integer_value(json_object_get(series, "period"));
    char *numbers = strdup(json_string_value(json_object_get(series, "data"))), *number = numbers;
    CU_ASSERT_EQUAL(exchange->status, 201);
    CU_ASSERT_EQUAL_FATAL(exchange->ticket->count, 12);
    for (uint32_t i = 0; i < 12; i++) {
        const struct reading *reading = fixture_reading(i);
        CU_ASSERT_STRING_EQUAL(parameter_row(reading->parameter)->name, "glucose-interstitial");
        CU_ASSERT_EQUAL(reading->value, strtol(number, &number, 10) * DECIMAL_ONE);
        CU_ASSERT_EQUAL(reading->measured_at_ms, 1758902400000 + i * period);
        CU_ASSERT_TRUE(reading->patient_id == 1 && reading->verdict == VERDICT_ACCEPTED);
        CU_ASSERT_EQUAL(reading->group_id, 0);
    }
    CU_ASSERT_TRUE(fixture_reading(0)->value == 123 * DECIMAL_ONE &&
                   fixture_reading(11)->value == 133 * DECIMAL_ONE);
    free(numbers);
    json_decref(payload);
}

static void check_row(json_t *row, const char *body, size_t size)
{
    const char *file = json_string_value(json_object_get(row, "file"));
    const char *verdict = json_string_value(json_object_get(row, "verdict"));
    bool is_bundle = memmem(body, size, "\"Bundle\"", 8) != NULL;
    unsigned before = CU_get_number_of_failures();
    fixture_forget();
    struct exchange *exchange =
        fixture_send_as(source_of(file), is_bundle ? "/fhir" : "/fhir/Observation", NULL, body, size);
    if (strstr(file, "cgm-12x5min") != NULL) {
        check_series(body, size, exchange);
    } else if (strcmp(verdict, "accept") == 0 || strcmp(verdict, "bound") == 0) {
        check_accepted(row, exchange, is_bundle);
    } else if (strcmp(verdict, "ignore") == 0) {
        CU_ASSERT_TRUE(exchange->status == 200 && exchange->ticket->count == 0);
        CU_ASSERT_TRUE(fixture_says("\"severity\":\"information\"") && exchange->location[0] == '\0');
    } else {
        CU_ASSERT_STRING_EQUAL(verdict, "reject");
        CU_ASSERT_TRUE(exchange->status == 422 && fixture_says("\"severity\":\"error\""));
        for (uint32_t i = 0; i < exchange->ticket->count; i++)
            CU_ASSERT_TRUE(fixture_reading(i)->verdict >= VERDICT_MALFORMED);
    }
    if (CU_get_number_of_failures() != before)
        printf("%s: status %d, %s\n", file, exchange->status, fixture_text());
}

static void test_samples(void)
{
    struct buffer table = {0}, body = {0};
    unsigned rows = 0;
    if (file_read(SAMPLES "EXPECTED.jsonl", 1 << 20, &table) != OK) {
        printf("samples are not here: skipped\n");
        CU_ASSERT_PTR_NULL(getenv("CI"));
        return;
    }
    buffer_append(&table, "", 1);
    char *rest = table.data;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0';) {
        char path[256];
        json_t *row = json_loads(line, 0, NULL);
        const char *verdict = json_string_value(json_object_get(row, "verdict"));
        CU_ASSERT_PTR_NOT_NULL_FATAL(verdict);
        if (strcmp(json_string_value(json_object_get(row, "iface")), "fhir") == 0 &&
            strcmp(verdict, "reference") != 0) {
            snprintf(path, sizeof path, SAMPLES "%s", json_string_value(json_object_get(row, "file")));
            buffer_clear(&body);
            CU_ASSERT_EQUAL_FATAL(file_read(path, 1 << 20, &body), OK);
            check_row(row, body.data, body.size);
            rows++;
        }
        json_decref(row);
    }
    CU_ASSERT_TRUE(rows > 30);
    buffer_deinit(&table);
    buffer_deinit(&body);
}

/* ---- one Observation ---- */

#define CODE    "\"code\":{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"29463-7\"}]},"
#define VALUE   "\"valueQuantity\":{\"value\":70.5,\"system\":\"http://unitsofmeasure.org\",\"code\":\"kg\"}"
#define SUBJECT "\"subject\":{\"reference\":\"Patient/p1\"},"
#define TIME    "\"effectiveDateTime\":\"2026-11-21T08:30:00+01:00\","
#define HEAD    "{\"resourceType\":\"Observation\","
#define FINAL   "\"status\":\"final\","
#define WEIGHT  HEAD FINAL CODE SUBJECT TIME VALUE "}"

static void refused(const char *body, int status, const char *issue, const char *expression)
{
    char code[64], path[96];
    snprintf(code, sizeof code, "{\"severity\":\"error\",\"code\":\"%s\"", issue);
    snprintf(path, sizeof path, "\"expression\":[\"%s\"]", expression);
    int found = post("sys", body);
    if (found != status || !fixture_says(code) || !fixture_says(path)) {
        printf("%s: status %d, %s\n", body, found, fixture_text());
        CU_FAIL("refused otherwise than expected");
    }
}

static void test_answers(void)
{
    char location[160];
    fixture_forget();
    struct exchange *exchange = fixture_send("sys", "/fhir/Observation", WEIGHT);
    CU_ASSERT_EQUAL(exchange->status, 201);
    CU_ASSERT_EQUAL(strlen(exchange->location), strlen("Observation/") + 36);
    CU_ASSERT_STRING_EQUAL(exchange->etag, "W/\"1\"");
    CU_ASSERT_STRING_EQUAL(exchange->out_type, "application/fhir+json");
    strcpy(location, exchange->location);
    exchange = fixture_send("sys", "/fhir/Observation", WEIGHT);
    CU_ASSERT_EQUAL(exchange->status, 200);
    CU_ASSERT_STRING_EQUAL(exchange->location, location);
    CU_ASSERT_TRUE(fixture_says("\"code\":\"duplicate\""));
    CU_ASSERT_EQUAL(post("sys",
                         HEAD FINAL CODE SUBJECT TIME "\"valueQuantity\":{\"value\":0,\"system\":"
                                                      "\"http://unitsofmeasure.org\",\"code\":\"kg\"}}"),
                    201);
    CU_ASSERT_TRUE(fixture_says("\"severity\":\"warning\",\"code\":\"business-rule\""));
    CU_ASSERT_EQUAL(post("sys", "{"), 400);
    CU_ASSERT_TRUE(fixture_says("OperationOutcome") && fixture_says("\"code\":\"structure\""));
    CU_ASSERT_EQUAL(post("sys", "[]"), 400);
    CU_ASSERT_EQUAL(post("sys", "{\"resourceType\":\"Patient\"}"), 422);
    CU_ASSERT_TRUE(fixture_says("Resource of type Patient is not acceptable with method POST"));
}

static void test_refusals(void)
{
    refused(HEAD FINAL CODE SUBJECT VALUE "}", 422, "required", "Observation.effective");
    refused(HEAD FINAL CODE TIME VALUE "}", 422, "invalid", "Observation.subject");
    CU_ASSERT_TRUE(fixture_says("Observation.subject.identifier missing"));
    refused(HEAD FINAL CODE "\"subject\":{\"reference\":\"Patient/p9\"}," TIME VALUE "}", 422, "not-found",
            "Observation.subject");
    refused(HEAD FINAL CODE "\"subject\":{\"reference\":\"P-1\"}," TIME VALUE "}", 422, "not-found",
            "Observation.subject");
    refused(HEAD CODE SUBJECT TIME VALUE "}", 422, "required", "Observation.status");
    refused(HEAD "\"status\":\"unknown\"," CODE SUBJECT TIME VALUE "}", 422, "not-supported",
            "Observation.status");
    refused(HEAD "\"status\":\"amended\"," CODE SUBJECT TIME VALUE "}", 422, "required",
            "Observation.issued");
    refused(HEAD FINAL CODE SUBJECT TIME "\"id\":\"x\"}", 422, "value", "Observation.valueQuantity");
    CU_ASSERT_TRUE(fixture_says("Observation value quantity not provided."));
    refused(HEAD FINAL CODE SUBJECT TIME "\"valueQuantity\":{\"value\":7,\"unit\":\"kg\"}}", 422, "required",
            "Observation.valueQuantity");
    refused(HEAD FINAL CODE SUBJECT TIME
            "\"valueQuantity\":{\"value\":7,\"system\":\"http://unitsofmeasure.org\",\"code\":\"cm\"}}",
            422, "business-rule", "Observation.valueQuantity");
    refused(HEAD FINAL CODE SUBJECT TIME "\"valueQuantity\":{\"value\":7,\"comparatr\":\"<\",\"system\":"
                                         "\"http://unitsofmeasure.org\",\"code\":\"kg\"}}",
            422, "structure", "Observation.valueQuantity");
    refused(HEAD FINAL CODE SUBJECT TIME "\"valueInteger\":70}", 422, "required",
            "Observation.valueQuantity");
    refused(HEAD FINAL
            "\"code\":{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"1-1\"}]}," SUBJECT TIME VALUE
            "}",
            422, "code-invalid", "Observation.code");
    refused(HEAD FINAL CODE SUBJECT "\"effectiveDateTime\":\"2026-11-21T08:30:00\"," VALUE "}", 422, "value",
            "Observation.effective");
    refused(HEAD FINAL CODE SUBJECT "\"effectiveDateTime\":\"2026-11\"," VALUE "}", 422, "structure",
            "Observation.effective");
    refused(HEAD FINAL CODE SUBJECT TIME VALUE ",\"dataAbsentReason\":{\"text\":\"x\"}}", 422, "structure",
            "Observation.valueQuantity");
    refused(HEAD FINAL CODE SUBJECT TIME VALUE ",\"valueString\":\"x\"}", 422, "structure",
            "Observation.valueQuantity");
    refused(HEAD FINAL CODE SUBJECT TIME VALUE ",\"modifierExtension\":[{\"url\":\"x\"}]}", 422,
            "not-supported", "Observation");
    refused(HEAD FINAL CODE SUBJECT TIME "\"valueQuanity\":1," VALUE "}", 422, "structure", "Observation");
    refused(HEAD "\"status\":\"entered-in-error\"," CODE SUBJECT TIME
                 "\"dataAbsentReason\":{\"text\":\"x\"}}",
            422, "value", "Observation.valueQuantity");
    CU_ASSERT_EQUAL(fixture_send("pat", "/fhir/Observation",
                                 HEAD FINAL CODE "\"subject\":{\"reference\":\"Patient/p2\"}," TIME VALUE "}")
                        ->status,
                    403);
    CU_ASSERT_TRUE(fixture_says("\"code\":\"forbidden\""));
}

static void test_no_reading(void)
{
    static const char *const bodies[] = {
        HEAD "\"status\":\"cancelled\"," CODE SUBJECT TIME VALUE "}",
        HEAD "\"status\":\"registered\"," CODE "\"id\":\"x\"}",
        HEAD FINAL CODE SUBJECT TIME "\"dataAbsentReason\":{\"text\":\"x\"}}",
        HEAD FINAL CODE SUBJECT TIME "\"valueString\":\"heavy\"}",
        HEAD FINAL
        "\"code\":{\"coding\":[{\"system\":\"urn:iso:std:iso:11073:10101\",\"code\":\"160208\"},{\"system\":"
        "\"http://loinc.org\",\"code\":\"2339-0\"}]}," SUBJECT TIME
        "\"valueQuantity\":{\"value\":100,\"system\":\"http://unitsofmeasure.org\",\"code\":\"mg/dL\"}}",
        HEAD FINAL "\"code\":{\"text\":\"?\"}}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct exchange *exchange = fixture_send("sys", "/fhir/Observation", bodies[i]);
        CU_ASSERT_EQUAL(exchange->status, 200);
        CU_ASSERT_TRUE(exchange->ticket->count == 0 && fixture_says("\"severity\":\"information\""));
    }
}

#define QUANTITY(text)                                                                                       \
    "\"valueQuantity\":{\"value\":" text ",\"system\":\"http://unitsofmeasure.org\",\"code\":\"mm[Hg]\"}"
#define PART(code, value)                                                                                    \
    "{\"code\":{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"" code "\"}]}," value "}"

static void test_components(void)
{
    fixture_forget();
    CU_ASSERT_EQUAL(
        post("sys", HEAD FINAL
             "\"component\":[" PART("8480-6", QUANTITY("120")) "," PART("9-9", QUANTITY("1")) "," PART(
                 "8462-4",
                 "\"dataAbsentReason\":{}") "," PART("8462-4",
                                                     QUANTITY(
                                                         "80")) "," PART("8480-6",
                                                                         QUANTITY(
                                                                             "121")) "]," SUBJECT
                 TIME "\"code\":{\"coding\":[{\"system\":"
                                                                                     "\"http://"
                                                                                     "loinc.org\",\"code\":"
                                                                                     "\"85354-9\"}]}}"),
        201);
    CU_ASSERT_TRUE(fixture_says("\"severity\":\"warning\",\"code\":\"code-invalid\"") &&
                   fixture_says("[\"Observation.component[1].code\"]"));
    CU_ASSERT_TRUE(fixture_reading(0)->verdict == VERDICT_ACCEPTED &&
                   fixture_reading(1)->verdict == VERDICT_UNKNOWN_CODE);
    CU_ASSERT_TRUE(fixture_reading(2)->group_id == fixture_reading(0)->group_id &&
                   fixture_reading(1)->group_id == 0);
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_SENSOR, "") && fixture_tail_is(3, TAIL_SENSOR, "component[4]"));
    refused(HEAD FINAL "\"component\":[" PART("9-9", QUANTITY("1")) "," PART(
                "8480-6", QUANTITY("\"x\"")) "]," SUBJECT TIME "\"id\":\"x\"}",
            422, "code-invalid", "Observation.component[0].code");
    CU_ASSERT_TRUE(fixture_says("Observation.component[1].valueQuantity"));
}

#define PRESSURE(high)                                                                                       \
    HEAD FINAL SUBJECT TIME                                                                                  \
        "\"code\":{},\"component\":[" PART("8480-6", QUANTITY(high)) "," PART("8462-4", QUANTITY("80")) "]}"

/* One group a measurement, the same when it comes again; a value alone is in none. */
static void test_groups(void)
{
    fixture_forget();
    CU_ASSERT_EQUAL(post("sys", PRESSURE("130")), 201);
    uint64_t group = fixture_reading(0)->group_id;
    CU_ASSERT_TRUE(group != 0 && group <= INT64_MAX && fixture_reading(1)->group_id == group);
    CU_ASSERT_EQUAL(post("sys", PRESSURE("131")), 201);
    CU_ASSERT_TRUE(fixture_reading(0)->group_id != group &&
                   fixture_reading(1)->group_id == fixture_reading(0)->group_id);
    CU_ASSERT_EQUAL(post("sys", PRESSURE("130")), 200);
    CU_ASSERT_EQUAL(fixture_reading(0)->group_id, group);
    CU_ASSERT_EQUAL(post("sys", WEIGHT), 201);
    CU_ASSERT_EQUAL(fixture_reading(0)->group_id, 0);
}

static void test_versions_and_identifiers(void)
{
    fixture_forget();
    CU_ASSERT_EQUAL(
        post("sys", HEAD
             "\"status\":\"corrected\",\"meta\":{\"lastUpdated\":\"2026-11-21T09:00:00Z\"}," CODE SUBJECT TIME
             "\"identifier\":[{\"value\":\"v1\"},{\"system\":\"s\",\"value\":\"v2\"}]," VALUE "}"),
        201);
    CU_ASSERT_TRUE(fixture_reading(0)->status == STATUS_CORRECTED &&
                   fixture_reading(0)->issued_ms == 1795251600000);
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_ALIAS, "|v1"));
    uint64_t alias = fixture_reading(0)->alias_hash;
    struct exchange *exchange =
        fixture_send_as("sys", "/fhir/Observation", "identifier=%7Cv1", WEIGHT, sizeof WEIGHT - 1);
    CU_ASSERT_EQUAL(exchange->status, 200);
    CU_ASSERT_EQUAL(fixture_reading(0)->alias_hash, alias);
    exchange = fixture_send_as("sys", "/fhir/Observation", "code=1", WEIGHT, sizeof WEIGHT - 1);
    CU_ASSERT_EQUAL(exchange->status, 422);
    CU_ASSERT_EQUAL(post("sys", HEAD "\"status\":\"entered-in-error\"," CODE SUBJECT TIME VALUE "}"), 200);
    CU_ASSERT_EQUAL(fixture_reading(0)->status, STATUS_VOID);
}

static void test_devices(void)
{
    static const struct {
        const char *device, *key;
    } rows[] = {
        {"\"device\":{\"reference\":\"Device/SN-1\"},", "SN-1"},
        {"\"device\":{\"identifier\":{\"system\":\"x\",\"value\":\"SN-1\"}},", "SN-1"},
        {"\"device\":{\"reference\":\"#d\"},\"contained\":[{\"resourceType\":\"Device\",\"id\":\"d\","
         "\"serialNumber\":\"S1\"}],",
         "SN-1"},
        {"\"device\":{\"reference\":\"#m\"},\"contained\":[{\"resourceType\":\"DeviceMetric\",\"id\":\"m\","
         "\"source\":{\"reference\":\"#d\"}},"
         "{\"resourceType\":\"Device\",\"id\":\"d\",\"identifier\":[{\"value\":\"no\"},{\"value\":\"SN-1\"}]}"
         "],",
         "SN-1"},
        {"\"device\":{\"reference\":\"#m\"},\"contained\":[{\"resourceType\":\"DeviceMetric\",\"id\":\"m\","
         "\"source\":{\"reference\":\"#m\"}}],",
         "#m"}, /* a loop of references ends */
        {"\"device\":{\"reference\":\"Device/zz\"},", "Device/zz"},
        {"\"device\":{\"display\":\"a scale\"},", "sys"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char body[1024];
        fixture_forget();
        snprintf(body, sizeof body, HEAD FINAL CODE SUBJECT TIME "%s" VALUE "}", rows[i].device);
        CU_ASSERT_EQUAL(post("sys", body), 201);
        CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_KEY_DEVICE, rows[i].key));
    }
    CU_ASSERT_EQUAL(fixture_send("gw", "/fhir/Observation",
                                 HEAD FINAL CODE TIME "\"device\":{\"reference\":\"Device/zz\"}," VALUE "}")
                        ->status,
                    422);
    fixture_forget();
    CU_ASSERT_EQUAL(fixture_send("gw", "/fhir/Observation",
                                 HEAD FINAL CODE TIME "\"device\":{\"reference\":\"Device/SN-1\"}," VALUE "}")
                        ->status,
                    201);
}

/* What the topic names: the device of a message that names none, or one that nobody enrolled. */
static void test_transport(void)
{
    static const struct {
        const char *topic, *device, *key;
    } rows[] = {
        {"SN-1", "", "SN-1"},
        {"SN-1", "\"device\":{\"reference\":\"Device/zz\"},", "SN-1"},
        {"SN-1", "\"device\":{\"reference\":\"Device/SN-1\"},", "SN-1"},
        {"SN-1", "\"device\":{\"identifier\":{\"value\":\"S1\"}},", "SN-1"},
        {"SN-2", "\"device\":{\"reference\":\"Device/SN-1\"},", NULL},
        {"zz", "\"device\":{\"reference\":\"Device/SN-1\"},", NULL},
        {"zz", "", NULL},
        {NULL, "\"device\":{\"reference\":\"Device/SN-1\"},", "SN-1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char body[1024];
        fixture_forget();
        snprintf(body, sizeof body, HEAD FINAL CODE TIME "%s" VALUE "}", rows[i].device);
        struct exchange *exchange = fixture_publish("gw", &fhir_resource_door, rows[i].topic, body);
        CU_ASSERT_EQUAL(exchange->status, rows[i].key != NULL ? 201 : 422);
        CU_ASSERT_TRUE(rows[i].key == NULL || fixture_tail_is(0, TAIL_KEY_DEVICE, rows[i].key));
    }
    fixture_publish("gw", &fhir_resource_door, "SN-2",
                    HEAD FINAL CODE TIME "\"device\":{\"reference\":\"Device/SN-1\"}," VALUE "}");
    CU_ASSERT_TRUE(fixture_reading(0)->verdict == VERDICT_MALFORMED && fixture_says("not that of the topic"));
    CU_ASSERT_EQUAL(fixture_publish("gw", &fhir_resource_door, "SN-1", "{}")->status, 422);
    CU_ASSERT_EQUAL(fixture_publish("gw", &fhir_resource_door, "SN-1", "{")->status, 400);
}

/* ---- bundles ---- */

#define POST(resource, type, more)                                                                           \
    "{" more "\"resource\":" resource ",\"request\":{\"method\":\"POST\",\"url\":\"" type "\"}}"
#define TRANSACTION(entries) "{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[" entries "]}"
#define BATCH(entries)       "{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[" entries "]}"
#define OBSERVATION(subject, value, more)                                                                    \
    HEAD FINAL CODE TIME "\"subject\":{" subject "}," more "\"valueQuantity\":{\"value\":" value             \
                         ",\"system\":\"http://unitsofmeasure.org\",\"code\":\"kg\"}}"
#define P1 "\"reference\":\"Patient/p1\""
#define P2 "\"reference\":\"Patient/p2\""

static void test_transaction(void)
{
    fixture_forget();
    CU_ASSERT_EQUAL(bundle("sys", TRANSACTION(POST(OBSERVATION(P1, "70", ""), "Observation", "") "," POST(
                                      OBSERVATION(P1, "71", ""), "Observation", ""))),
                    200);
    CU_ASSERT_TRUE(fixture_says("{\"resourceType\":\"Bundle\",\"type\":\"transaction-response\",\"entry\":[{"
                                "\"response\":{\"status\":\"201 Created\","));
    CU_ASSERT_EQUAL(bundle("sys", TRANSACTION(POST(OBSERVATION(P1, "70", ""), "Observation", "") "," POST(
                                      OBSERVATION(P1, "72", ""), "Observation", ""))),
                    200);
    CU_ASSERT_TRUE(fixture_says("\"status\":\"200 OK\",\"location\":\"Observation/") &&
                   fixture_says("\"status\":\"201 Created\""));
    /* One bad entry: nothing is sent to a shard, and both are counted as refused. */
    CU_ASSERT_EQUAL(bundle("sys", TRANSACTION(POST(OBSERVATION(P1, "73", ""), "Observation", "") "," POST(
                                      OBSERVATION(P1, "\"x\"", ""), "Observation", ""))),
                    422);
    CU_ASSERT_TRUE(fixture_says("OperationOutcome") &&
                   fixture_says("Bundle.entry[1].resource.valueQuantity"));
    CU_ASSERT_TRUE(fixture_reading(0)->verdict == VERDICT_VALUE_INVALID &&
                   fixture_reading(0)->next == READING_CHAIN_END);
    CU_ASSERT_EQUAL(bundle("sys", TRANSACTION(POST(OBSERVATION(P1, "73", ""), "Observation", ""))), 200);
    CU_ASSERT_TRUE(fixture_says("201 Created")); /* so it was not stored before */
    CU_ASSERT_EQUAL(bundle("sys", TRANSACTION(POST(OBSERVATION(P1, "74", ""), "Observation", "") "," POST(
                                      OBSERVATION(P2, "75", ""), "Observation", ""))),
                    422);
    CU_ASSERT_TRUE(fixture_says("\"code\":\"business-rule\"") && fixture_says("batch"));
    CU_ASSERT_EQUAL(bundle("sys", TRANSACTION(POST("{\"resourceType\":\"Device\"}", "Device", ""))), 422);
    CU_ASSERT_TRUE(fixture_says("no Observation"));
    CU_ASSERT_EQUAL(bundle("sys", WEIGHT), 422);
    CU_ASSERT_TRUE(fixture_says("\"code\":\"invalid\",\"diagnostics\":\"No bundle provided.\""));
    CU_ASSERT_EQUAL(bundle("sys", "{\"resourceType\":\"Bundle\",\"type\":\"collection\"}"), 422);
    CU_ASSERT_EQUAL(bundle("sys", TRANSACTION("")), 422);
    CU_ASSERT_EQUAL(bundle("sys", "{"), 400);
}

static void test_not_acceptable(void)
{
    CU_ASSERT_EQUAL(
        bundle("sys", TRANSACTION(POST(OBSERVATION(P1, "80", ""), "Observation",
                                       "") ",{\"request\":{\"method\":\"DELETE\",\"url\":\"Patient/1\"}}")),
        422);
    CU_ASSERT_TRUE(fixture_says("\"code\":\"not-supported\"") &&
                   fixture_says("Resource of type Patient is not acceptable with method DELETE"));
    CU_ASSERT_EQUAL(bundle("sys", BATCH(POST("{\"resourceType\":\"Patient\"}", "Patient",
                                             "") ",{\"resource\":" WEIGHT "}")),
                    200);
    CU_ASSERT_TRUE(fixture_says("Resource of type Patient is not acceptable with method POST"));
    CU_ASSERT_TRUE(fixture_says("Resource of type Observation is not acceptable with method none"));
}

static void test_batch(void)
{
    fixture_forget();
    CU_ASSERT_EQUAL(
        bundle("sys", BATCH(POST(OBSERVATION(P1, "70", ""), "Observation", "") "," POST(
                          OBSERVATION(P2, "0", ""), "Observation",
                          "") "," POST(OBSERVATION("\"reference\":\"Patient/p9\"", "70", ""), "Observation",
                                       "") "," POST(HEAD FINAL "\"valueString\":\"x\"}", "Observation", ""))),
        200);
    json_t *answer = json_loads(fixture_text(), 0, NULL);
    static const char *const statuses[] = {"201 Created", "201 Created", "422 Unprocessable Entity",
                                           "200 OK"};
    static const char *const severities[] = {NULL, "warning", "error", "information"};
    json_t *entries = json_object_get(answer, "entry");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(answer, "type")), "batch-response");
    CU_ASSERT_EQUAL_FATAL(json_array_size(entries), 4);
    for (size_t i = 0; i < 4; i++) {
        json_t *response = json_object_get(json_array_get(entries, i), "response");
        json_t *issues = json_object_get(json_object_get(response, "outcome"), "issue");
        const char *severity = json_string_value(json_object_get(json_array_get(issues, 0), "severity"));
        CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(response, "status")), statuses[i]);
        CU_ASSERT_TRUE(severities[i] == NULL ? severity == NULL
                                             : severity != NULL && strcmp(severity, severities[i]) == 0);
        CU_ASSERT_EQUAL(json_object_get(response, "location") != NULL, i < 2);
    }
    json_decref(answer);
}

#define DEVICE(value)                                                                                        \
    "{\"resourceType\":\"Device\",\"id\":\"d1\",\"identifier\":[{\"system\":\"urn:oid:1\",\"value\":"        \
    "\"" value "\"}]}"
#define BY(reference) "\"device\":{\"reference\":\"" reference "\"},"

static void test_bundle_references(void)
{
    static const struct {
        const char *url, *reference;
    } rows[] = {
        {"\"fullUrl\":\"urn:uuid:aa\",", "urn:uuid:aa"},
        {"\"fullUrl\":\"urn:uuid:aa\",", "Device/aa"},
        {"", "Device/d1"},
        {"\"fullUrl\":\"aa\",", "aa"},
        {"\"fullUrl\":\"http://x/fhir/Device/9\",", "Device/9"},
        {"\"fullUrl\":\"http://x/fhir/Device/9\",", "http://x/fhir/Device/9"},
        {"\"fullUrl\":\"http://x/fhir/Device/9\",", "http://x/fhir/Device/9/_history/3"},
        {"\"fullUrl\":\"urn:oid:1.2.3\",", "urn:oid:1.2.3"},
        {"\"fullUrl\":\"1.2.3\",", "urn:oid:1.2.3"},
        {"\"fullUrl\":\"urn:oid:1.2.3\",", "1.2.3"},
        {"", "http://elsewhere/base/Device/d1"},
        {"", "urn:uuid:d1"},
    };
    char body[2048];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture_forget();
        snprintf(body, sizeof body,
                 TRANSACTION(POST(OBSERVATION(P1, "70", BY("%s")), "Observation",
                                  "") "," POST(DEVICE("SN-1"), "Device", "%s")),
                 rows[i].reference, rows[i].url);
        CU_ASSERT_EQUAL(bundle("gw", body), 200);
        CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_KEY_DEVICE, "SN-1") &&
                       fixture_says("\"location\":\"Device/SN-1\""));
    }
    /* Not enrolled: text for a system, refused for a gateway; never enrolled by a message. */
    fixture_forget();
    CU_ASSERT_EQUAL(bundle("sys", TRANSACTION(POST(OBSERVATION(P1, "70", BY("Device/d1")), "Observation",
                                                   "") "," POST(DEVICE("zz"), "Device", ""))),
                    200);
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_KEY_DEVICE, "zz"));
    CU_ASSERT_TRUE(fixture_says("{\"status\":\"200 OK\",\"location\":\"Device/zz\",\"outcome\":") &&
                   fixture_says("not enrolled"));
    CU_ASSERT_EQUAL(bundle("sys", BATCH(POST(DEVICE("a b/\\u00e9"), "Device", ""))), 200);
    CU_ASSERT_TRUE(fixture_says("\"location\":\"Device/a%20b%2F%C3%A9\""));
    CU_ASSERT_EQUAL(bundle("sys", BATCH(POST(DEVICE("SN-1"), "Device", ""))), 200);
    CU_ASSERT_TRUE(fixture_says("{\"status\":\"200 OK\",\"location\":\"Device/SN-1\"}"));
    CU_ASSERT_EQUAL(bundle("gw", TRANSACTION(POST(OBSERVATION(P1, "70", BY("Device/d1")), "Observation",
                                                  "") "," POST(DEVICE("zz"), "Device", ""))),
                    422);
    CU_ASSERT_EQUAL(bundle("sys", TRANSACTION(POST(OBSERVATION(P1, "70", ""), "Observation",
                                                   "") "," POST(DEVICE("SN-1"), "Device", ""))),
                    422);
    CU_ASSERT_TRUE(fixture_says("Observation.device.reference missing"));
    /* A patient of the bundle. */
    fixture_forget();
    CU_ASSERT_EQUAL(
        bundle("sys", TRANSACTION(
                          POST(OBSERVATION("\"reference\":\"urn:uuid:pp\"", "70", ""), "Observation",
                               "") ",{\"fullUrl\":\"urn:uuid:pp\",\"resource\":{\"resourceType\":\"Patient\"}"
                                   ",\"request\":{\"method\":\"POST\","
                                   "\"url\":\"Patient\",\"ifNoneExist\":\"identifier=urn:oid:1.2.3|abc\"}}")),
        200);
    CU_ASSERT_EQUAL(fixture_reading(0)->patient_id, 2);
#define PATIENT(search)                                                                                      \
    "{\"resource\":{\"resourceType\":\"Patient\"},\"request\":{\"method\":\"POST\","                         \
    "\"url\":\"Patient\",\"ifNoneExist\":\"identifier=" search "\"}}"
    /* It and the subjects are one person, in a transaction. */
    CU_ASSERT_EQUAL(bundle("sys", TRANSACTION(POST(OBSERVATION(P1, "76", ""), "Observation",
                                                   "") "," PATIENT("urn:oid:1.2.3|abc"))),
                    422);
    CU_ASSERT_TRUE(fixture_says("\"code\":\"business-rule\"") && fixture_says("batch"));
    CU_ASSERT_EQUAL(bundle("sys", TRANSACTION(PATIENT("Patient|p1") "," PATIENT("urn:oid:1.2.3|abc") "," POST(
                                      OBSERVATION(P2, "76", ""), "Observation", ""))),
                    422);
    CU_ASSERT_TRUE(fixture_says("\"code\":\"business-rule\"") && fixture_says("batch"));
    CU_ASSERT_EQUAL(bundle("sys", TRANSACTION(POST(OBSERVATION(P1, "76", ""), "Observation",
                                                   "") "," PATIENT("Patient|p1"))),
                    200);
    CU_ASSERT_EQUAL(bundle("sys", BATCH(POST(OBSERVATION(P1, "77", ""), "Observation",
                                             "") "," PATIENT("urn:oid:1.2.3|abc"))),
                    200);
#undef PATIENT
}

/* Two of one name are neither, and an id is that of a resource of the kind that is meant. */
static void test_ambiguous(void)
{
    static const char two_devices[] =
        TRANSACTION(POST(OBSERVATION(P1, "70", BY("urn:uuid:a")), "Observation", "") "," POST(
            DEVICE("SN-1"), "Device", "\"fullUrl\":\"urn:uuid:a\",") "," POST(DEVICE("SN-4"), "Device",
                                                                              "\"fullUrl\":\"urn:uuid:a\",")),
                      one_device[] = TRANSACTION(POST(
                          OBSERVATION(P1, "70", BY("urn:uuid:a") "\"identifier\":[{\"value\":\"SN-4\"}],"),
                          "Observation",
                          "\"fullUrl\":\"urn:uuid:a\",") "," POST(DEVICE("SN-1"), "Device",
                                                                  "\"fullUrl\":\"urn:uuid:a\","));
    fixture_forget();
    CU_ASSERT_EQUAL(bundle("sys", two_devices), 422);
    CU_ASSERT_TRUE(fixture_says("those of two devices"));
    CU_ASSERT_EQUAL(bundle("sys", one_device), 200);
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_KEY_DEVICE, "SN-1"));
    CU_ASSERT_EQUAL(post("sys", HEAD FINAL CODE SUBJECT TIME
                         "\"device\":{\"reference\":\"#d\"},\"contained\":[{\"resourceType\":\"Device\","
                         "\"id\":\"d\",\"identifier\":[{\"value\":\"SN-1\"},{\"value\":\"SN-4\"}]}]," VALUE
                         "}"),
                    422);
    CU_ASSERT_TRUE(fixture_says("those of two devices"));
    CU_ASSERT_EQUAL(
        bundle("sys",
               TRANSACTION(POST(OBSERVATION("\"reference\":\"urn:uuid:p\"", "70", ""), "Observation",
                                "") ",{\"fullUrl\":\"urn:uuid:p\",\"resource\":{\"resourceType\":"
                                    "\"Patient\"},\"request\":{\"method\":\"POST\",\"url\":\"Patient\","
                                    "\"ifNoneExist\":\"identifier=urn:oid:1.2.3|abc\"}},{\"fullUrl\":"
                                    "\"urn:uuid:p\",\"resource\":{\"resourceType\":\"Patient\"},\"request\":"
                                    "{\"method\":\"POST\",\"url\":\"Patient\",\"ifNoneExist\":"
                                    "\"identifier=Patient|p1\"}}")),
        422);
    CU_ASSERT_TRUE(fixture_says("patient-mismatch"));
}

static void test_entries_bound(void)
{
    static const char entry[] = POST(HEAD FINAL "\"valueString\":\"x\"}", "Observation", "");
    for (unsigned count = BUNDLE_ENTRIES_MAX; count <= BUNDLE_ENTRIES_MAX + 1; count++) {
        char *body = malloc(128 + count * sizeof entry);
        size_t size = (size_t)sprintf(body, "{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[");
        for (unsigned i = 0; i < count; i++)
            size += (size_t)sprintf(body + size, "%s%s", i == 0 ? "" : ",", entry);
        sprintf(body + size, "]}");
        CU_ASSERT_EQUAL(bundle("sys", body), count == BUNDLE_ENTRIES_MAX ? 200 : 413);
        free(body);
    }
}

static void test_doors(void)
{
    struct exchange *exchange = fixture_send(NULL, "/fhir/metadata", "");
    json_t *statement = json_loads(fixture_text(), 0, NULL);
    CU_ASSERT_EQUAL(exchange->status, 200);
    CU_ASSERT_PTR_NOT_NULL_FATAL(statement);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(statement, "resourceType")),
                           "CapabilityStatement");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(statement, "fhirVersion")), "4.0.1");
    json_decref(statement);
    CU_ASSERT_PTR_NULL(doors_find((struct slice){"/fhir/Patient", 13}));
    exchange->path = (struct slice){"/fhir/Patient", 13};
    doors_error(exchange, 404, "not-found", "no such path");
    CU_ASSERT_TRUE(exchange->status == 404 && fixture_says("OperationOutcome") &&
                   fixture_says("\"code\":\"not-found\""));
    exchange->path = (struct slice){"/fhirx", 6};
    doors_error(exchange, 404, "not-found", "no such path");
    CU_ASSERT_STRING_EQUAL(fixture_text(), "{\"code\":\"not-found\",\"text\":\"no such path\"}");
    exchange->accept = (struct slice){"application/xml", 15};
    CU_ASSERT_FALSE(fhir_check_accept(exchange));
    CU_ASSERT_EQUAL(exchange->status, 406);
}

SUITE(fhir) = {
    {"samples", test_samples},
    {"answers", test_answers},
    {"refusals", test_refusals},
    {"no reading", test_no_reading},
    {"components", test_components},
    {"groups", test_groups},
    {"versions and identifiers", test_versions_and_identifiers},
    {"devices", test_devices},
    {"transaction", test_transaction},
    {"not acceptable", test_not_acceptable},
    {"batch", test_batch},
    {"references in a bundle", test_bundle_references},
    {"ambiguous references", test_ambiguous},
    {"what the transport names", test_transport},
    {"bound of entries", test_entries_bound},
    {"doors", test_doors},
    {NULL, NULL},
};
