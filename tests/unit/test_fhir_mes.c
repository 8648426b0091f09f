/* fhir_mes, fhir_kept: every condition of the MES feed, what is kept beside, and what a clock's fault leaves.
 */
#include <stdio.h>
#include <string.h>

#include "daemon/base/counters.h"
#include "daemon/ingest/fhir/fhir_mes.h"
#include "tests/unit/ingest_fixture.h"
#include "tests/unit/unit.h"

#define HEAD                "{\"resourceType\":\"Observation\",\"status\":\"final\","
#define TIME                "\"effectiveDateTime\":\"2026-11-21T08:30:00+01:00\","
#define SUBJECT             "\"subject\":{\"identifier\":{\"system\":\"Patient\",\"value\":\"p1\"}},"
#define CODED(system, code) "\"code\":{\"coding\":[{\"system\":\"" system "\",\"code\":\"" code "\"}]},"
#define LOINC(code)         CODED("http://loinc.org", code)
#define TRE_LOINC(code)     CODED("https://mos.esante.gouv.fr/NOS/TRE_A04-Loinc/FHIR/TRE-A04-Loinc", code)
#define TAASIP(code)        CODED("https://mos.esante.gouv.fr/NOS/TRE_R308-TAASIP/FHIR/TRE-R308-TAASIP", code)
#define VALUE(value, unit)                                                                                   \
    "\"valueQuantity\":{\"value\":" value ",\"system\":\"http://unitsofmeasure.org\",\"code\":\"" unit "\"}"
#define WEIGHT HEAD LOINC("29463-7") SUBJECT TIME

#define POST(resource, type, more)                                                                           \
    "{\"resource\":" resource ",\"request\":{\"method\":\"POST\",\"url\":\"" type "\"" more "}}"
#define TRANSACTION(entries) "{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[" entries "]}"
#define DEVICE               "{\"resourceType\":\"Device\",\"id\":\"d1\",\"identifier\":[{\"value\":\"SN-1\"}]}"
#define BY                   "\"device\":{\"reference\":\"Device/d1\"},"
#define SEARCH               ",\"ifNoneExist\":\"identifier=urn:oid:1.2.840.10004.1.1.1.0.0.1.0.0.1.2680|FE-ED-AB\""

#define MES_PROFILE(id) "\"meta\":{\"profile\":[\"http://other/x\",\"" id "\"]},"
#define MES_GLUCOSE                                                                                          \
    MES_PROFILE(                                                                                             \
        "https://interop.esante.gouv.fr/ig/fhir/mesures/StructureDefinition/mesures-observation-glucose")
#define MES_GLUCOSE_OLD                                                                                      \
    MES_PROFILE("http://esante.gouv.fr/ci-sis/fhir/StructureDefinition/MesObservationGlucose")
#define EXTENSION(name)                                                                                      \
    "\"extension\":[{\"url\":\"https://interop.esante.gouv.fr/ig/fhir/mesures/StructureDefinition/" name     \
    "\"}],"
#define MOMENT EXTENSION("mesures-moment-of-measurement")
#define DAYS   EXTENSION("mesures-number-of-days")
#define MG     SUBJECT TIME VALUE("110", "mg/dL") "}"

static const struct {
    enum mes_condition condition;
    const char *path, *body;
} rows[] = {
    {MES_NO_BUNDLE, "/fhir", WEIGHT VALUE("70", "kg") "}"},
    {MES_NOT_ACCEPTABLE, "/fhir", TRANSACTION(POST("{\"resourceType\":\"Group\"}", "Group", ""))},
    {MES_NOT_ACCEPTABLE, "/fhir/Observation", "{\"resourceType\":\"Group\"}"},
    {MES_NO_OBSERVATION, "/fhir", TRANSACTION(POST(DEVICE, "Device", SEARCH))},
    {MES_DEVICE_SEARCH, "/fhir",
     TRANSACTION(POST(WEIGHT BY VALUE("70", "kg") "}", "Observation",
                      "") "," POST(DEVICE, "Device", ",\"ifNoneExist\":\"name=x\""))},
    {MES_DEVICE_UNREFERENCED, "/fhir",
     TRANSACTION(POST(WEIGHT VALUE("70", "kg") "}", "Observation", "") "," POST(DEVICE, "Device", SEARCH))},
    {MES_DEVICE_NOT_LINKED, "/fhir",
     TRANSACTION(POST(WEIGHT "\"device\":{\"reference\":\"Device/d2\"}," VALUE("70", "kg") "}", "Observation",
                      "") "," POST(DEVICE, "Device", SEARCH))},
    {MES_SUBJECT_MISSING, "/fhir/Observation", HEAD LOINC("29463-7") TIME VALUE("70", "kg") "}"},
    {MES_VALUE_MISSING, "/fhir/Observation", WEIGHT "\"id\":\"x\"}"},
    {MES_VALUE_MISSING, "/fhir/Observation", WEIGHT "\"valueQuantity\":{\"unit\":\"kg\"}}"},
    {MES_MOMENT_MISSING, "/fhir/Observation", HEAD MES_GLUCOSE TRE_LOINC("2345-7") MG},
    {MES_MOMENT_MISSING, "/fhir/Observation", HEAD MES_GLUCOSE_OLD DAYS LOINC("2339-0") MG},
    {MES_DAYS_MISSING, "/fhir/Observation", HEAD MES_GLUCOSE MOMENT TAASIP("MED-969") MG},
    {MES_DAYS_MISSING, "/fhir/Observation",
     HEAD MES_GLUCOSE TAASIP("MED-972") SUBJECT TIME VALUE("6.5", "%") "}"},
    /* tolerated */
    {MES_DEVICE_CONDITIONAL, "/fhir",
     TRANSACTION(POST(WEIGHT BY VALUE("70", "kg") "}", "Observation", "") "," POST(DEVICE, "Device", ""))},
    {MES_OBSERVATION_ALONE, "/fhir",
     TRANSACTION(POST(WEIGHT VALUE("70", "kg") "}", "Observation", "") "," POST(WEIGHT VALUE("71", "kg") "}",
                                                                                "Observation", ""))},
    {MES_PROFILE_MISSING, "/fhir/Observation", WEIGHT VALUE("70", "kg") "}"},
    {MES_PROFILE_MISSING, "/fhir/Observation", HEAD LOINC("2345-7") MG},
    {MES_PROFILE_MISSING, "/fhir/Observation", HEAD TRE_LOINC("2345-7") MG},
    {MES_PROFILE_MISSING, "/fhir/Observation", HEAD TAASIP("MED-969") MG},
    {MES_PROFILE_MISSING, "/fhir/Observation", HEAD CODED("urn:oid:1.2.250.1.213.1.1.4.322", "MED-969") MG},
    {MES_PROFILE_MISSING, "/fhir/Observation", HEAD CODED("urn:oid:2.16.840.1.113883.6.1", "2345-7") MG},
    {MES_SUBJECT_REFERENCE, "/fhir/Observation",
     HEAD LOINC("29463-7") TIME "\"subject\":{\"reference\":\"Patient/p1\"}," VALUE("70", "kg") "}"},
    {MES_SOURCE_OID, "/fhir/Observation",
     WEIGHT "\"meta\":{\"source\":\"urn:oid:1.2.3\"}," VALUE("70", "kg") "}"},
    {MES_MOMENT_MISPLACED, "/fhir/Observation",
     HEAD MES_GLUCOSE
     "\"extension\":[{\"url\":\"x/mesures-moment-of-measurement\"},{\"url\":\"x/MesNumberOfDays\"}]," TAASIP(
         "MED-969") MG},
    {MES_DAYS_MISPLACED, "/fhir/Observation",
     HEAD MES_GLUCOSE "\"extension\":[{\"url\":\"x/mesures-moment-of-measurement\"},{\"url\":\"x/"
                      "MesNumberOfDays\"}]," TRE_LOINC("2345-7") MG},
    {MES_BMI, "/fhir/Observation", HEAD LOINC("39156-5") SUBJECT TIME VALUE("24.5", "kg/m2") "}"},
};

static void test_conditions(void)
{
    bool seen[MES_CONDITIONS] = {[MES_OID_CONFLICT] = true}; /* no token here has an OID */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct mes_row *row = fhir_mes(rows[i].condition);
        char issue[64];
        fixture_forget();
        struct exchange *exchange = fixture_send("sys", rows[i].path, rows[i].body);
        snprintf(issue, sizeof issue, "\"code\":\"%s\"", row->issue);
        const char *words = rows[i].condition == MES_NOT_ACCEPTABLE
                                ? "Resource of type Group is not acceptable with method POST"
                                : row->text;
        bool is_refused = exchange->status == row->http && fixture_says(issue) && fixture_says(words);
        bool is_taken = exchange->status / 100 == 2 && exchange->ticket->count > 0 &&
                        fixture_reading(0)->verdict == VERDICT_ACCEPTED;
        if (!(row->is_enforced ? is_refused : is_taken)) {
            printf("%s: status %d, %s\n", row->text, exchange->status, fixture_text());
            CU_FAIL("condition");
        }
        seen[rows[i].condition] = true;
    }
    for (unsigned i = 0; i < MES_CONDITIONS; i++)
        CU_ASSERT_TRUE(seen[i]);
}

/* ---- what is kept of what was refused ---- */

#define PART(code, value)                                                                                    \
    "{\"code\":{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"" code "\"}]}," value "}"
#define PANEL(parts) HEAD SUBJECT TIME "\"code\":{\"text\":\"panel\"},\"component\":[" parts "]}"
#define GOOD         PART("8480-6", VALUE("120", "mm[Hg]"))
#define BAD_UNIT     PART("8462-4", VALUE("80", "kg"))
#define BAD_CODE     PART("1-1", VALUE("80", "kg"))

static void kept_is(const struct ticket *ticket, uint32_t index, const char *code, const char *original)
{
    struct rejected_view view;
    size_t at = 0;
    for (uint32_t i = 0;; i++, at += rejected_size(&view.head)) {
        CU_ASSERT_TRUE_FATAL(at < ticket->rejected_size);
        rejected_read(ticket->rejected_records + at, ticket->rejected_size - at, &view);
        if (i == index)
            break;
    }
    CU_ASSERT_TRUE(view.code.size == strlen(code) && memcmp(view.code.data, code, view.code.size) == 0);
    CU_ASSERT_TRUE(view.original.size == strlen(original) &&
                   memcmp(view.original.data, original, view.original.size) == 0);
}

static void test_kept(void)
{
    fixture_forget();
    struct exchange *exchange =
        fixture_send("sys", "/fhir/Observation", PANEL(BAD_CODE "," GOOD " , " BAD_UNIT));
    CU_ASSERT_EQUAL(exchange->status, 201);
    CU_ASSERT_EQUAL_FATAL(exchange->ticket->rejected.count, 2);
    kept_is(exchange->ticket, 0, "unknown-code", BAD_CODE);
    kept_is(exchange->ticket, 1, "unit-mismatch", BAD_UNIT);
    /* Refused as a whole, or good as a whole: nothing is kept. */
    exchange = fixture_send("sys", "/fhir/Observation", PANEL(BAD_CODE "," BAD_UNIT));
    CU_ASSERT_TRUE(exchange->status == 422 && exchange->ticket->rejected.count == 0);
    exchange = fixture_send("sys", "/fhir/Observation", PANEL(GOOD));
    CU_ASSERT_TRUE(exchange->status == 200 && exchange->ticket->rejected.count == 0);
    /* A transaction that falls is told so; a batch keeps of each entry. */
    exchange = fixture_send("sys", "/fhir",
                            TRANSACTION(POST(PANEL(GOOD "," BAD_UNIT), "Observation", "") "," POST(
                                WEIGHT VALUE("\"x\"", "kg") "}", "Observation", "")));
    CU_ASSERT_TRUE(exchange->status == 422 && exchange->ticket->rejected.count == 0);
    exchange = fixture_send("sys", "/fhir",
                            "{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[" POST(
                                PANEL(GOOD "," BAD_UNIT), "Observation",
                                "") "," POST(WEIGHT VALUE("\"x\"", "kg") "}", "Observation", "") "]}");
    CU_ASSERT_TRUE(exchange->status == 200 && exchange->ticket->rejected.count == 1);
    kept_is(exchange->ticket, 0, "unit-mismatch", BAD_UNIT);
}

#define SERIES                                                                                               \
    "{\"period\":300000,\"dimensions\":1,\"origin\":{\"value\":0,\"system\":"                                \
    "\"http://unitsofmeasure.org\",\"code\":\"mg/dL\"},\"data\":\"90 bad 91 worse\"}"

static void test_kept_series(void)
{
    fixture_forget();
    struct exchange *exchange = fixture_send(
        "sys", "/fhir/Observation", HEAD LOINC("99504-3") SUBJECT TIME "\"valueSampledData\":" SERIES "}");
    CU_ASSERT_EQUAL(exchange->status, 201);
    CU_ASSERT_EQUAL_FATAL(exchange->ticket->rejected.count, 1);
    kept_is(exchange->ticket, 0, "value-invalid", SERIES);
}

/* ---- clocks ---- */

#define FAULT(code, device)                                                                                  \
    HEAD CODED("urn:iso:std:iso:11073:10101", code)                                                          \
    SUBJECT TIME "\"dataAbsentReason\":{\"text\":\"Sensor Time Fault\"},\"device\":{\"reference\":\"" device \
                 "\"}}"

static void test_clock_faults(void)
{
    struct counters *counters = fixture_loop()->counters;
    uint64_t before = atomic_load(&counters->value[COUNTER_DEVICE_CLOCK_FAULTS]);
    CU_ASSERT_EQUAL(fixture_send("sys", "/fhir/Observation", FAULT("67975", "Device/SN-1"))->status, 200);
    CU_ASSERT_TRUE(fixture_says("fault of its clock") && fixture_says("\"severity\":\"information\""));
    CU_ASSERT_EQUAL(atomic_load(&counters->value[COUNTER_DEVICE_CLOCK_FAULTS]), before + 1);
    fixture_forget();
    CU_ASSERT_EQUAL(
        fixture_send(
            "sys", "/fhir",
            TRANSACTION(POST(WEIGHT "\"device\":{\"reference\":\"Device/SN-1\"}," VALUE("70", "kg") "}",
                             "Observation",
                             "") "," POST(WEIGHT VALUE("71", "kg") "}", "Observation",
                                          "") "," POST(FAULT("67975", "Device/SN-1"), "Observation", "")))
            ->status,
        200);
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_CONTEXT, "{\"clock\":\"fault\"}") &&
                   fixture_tail_is(1, TAIL_CONTEXT, ""));
    /* Of another device, or without a fault: nothing is said. */
    CU_ASSERT_EQUAL(
        fixture_send(
            "sys", "/fhir",
            TRANSACTION(POST(WEIGHT "\"device\":{\"reference\":\"Device/SN-1\"}," VALUE("72", "kg") "}",
                             "Observation",
                             "") "," POST(FAULT("67975", "Device/SN-4"), "Observation",
                                          "") "," POST(FAULT("67974", "Device/SN-1"), "Observation", "")))
            ->status,
        200);
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_CONTEXT, ""));
}

SUITE(fhir_mes) = {
    {"conditions of the feed", test_conditions},
    {"what is kept of what was refused", test_kept},
    {"what is kept of a series", test_kept_series},
    {"faults of clocks", test_clock_faults},
    {NULL, NULL},
};
