/* fhir_value: SampledData sample by sample, units and numbers as FHIR writes them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ingest/fhir/fhir.h"
#include "tests/unit/ingest_fixture.h"
#include "tests/unit/unit.h"

#define START_MS INT64_C(1795246200000) /* 2026-11-21T08:30:00+01:00 */
#define START                                                                                                \
    "\"effectivePeriod\":{\"start\":\"2026-11-21T08:30:00+01:00\",\"end\":\"2026-11-21T09:30:00+01:00\"}"
#define MGDL   "\"system\":\"http://unitsofmeasure.org\",\"code\":\"mg/dL\""
#define ORIGIN "\"origin\":{\"value\":0," MGDL "}"
#define PLAIN  "\"period\":300000,\"dimensions\":1," ORIGIN

/* One Observation of interstitial glucose; `samples` is inside valueSampledData, `more` beside it. */
static int post(const char *samples, const char *time, const char *more, const char *code)
{
    static char body[1 << 18];
    int size =
        snprintf(body, sizeof body,
                 "{\"resourceType\":\"Observation\",\"status\":\"final\",\"code\":{\"coding\":[{\"system\":"
                 "\"http://loinc.org\",\"code\":\"%s\"}]},\"subject\":{\"reference\":\"Patient/p1\"},%s%s,"
                 "\"valueSampledData\":{%s}}",
                 code, time, more, samples);
    CU_ASSERT_TRUE_FATAL(size > 0 && (size_t)size < sizeof body);
    return fixture_send("sys", "/fhir/Observation", body)->status;
}

static int sampled(const char *samples)
{
    fixture_forget();
    return post(samples, START, "", "99504-3");
}

static void is_reading(uint32_t index, int64_t millionths, enum comparator comparator, int64_t after_ms)
{
    const struct reading *reading = fixture_reading(index);
    CU_ASSERT_EQUAL(reading->value, millionths);
    CU_ASSERT_EQUAL(reading->comparator, comparator);
    CU_ASSERT_EQUAL(reading->measured_at_ms, START_MS + after_ms);
    CU_ASSERT_EQUAL(reading->verdict, VERDICT_ACCEPTED);
    CU_ASSERT_EQUAL(reading->utc_offset_min, 60);
}

static void test_letters(void)
{
    CU_ASSERT_EQUAL(sampled(PLAIN ",\"lowerLimit\":40,\"upperLimit\":400,\"data\":\"100 L E U  55.5\\n\""),
                    201);
    CU_ASSERT_EQUAL_FATAL(fixture_loop() != NULL, true);
    is_reading(0, 100000000, COMPARATOR_NONE, 0);
    is_reading(1, 40000000, COMPARATOR_LESS, 300000);
    is_reading(2, 400000000, COMPARATOR_GREATER, 900000);
    is_reading(3, 55500000, COMPARATOR_NONE, 1200000);
    CU_ASSERT_TRUE(fixture_tail_is(1, TAIL_TEXT, "40") && fixture_tail_is(1, TAIL_UNIT, "mg/dL"));
    CU_ASSERT_TRUE(fixture_reading(0)->group_id == 0 && fixture_tail_is(3, TAIL_TEXT, "55.5"));
    /* Without limits a letter still arrives: beyond everything that is possible. */
    CU_ASSERT_EQUAL(sampled("\"period\":300000,\"dimensions\":1,\"origin\":{\"value\":0,\"system\":"
                            "\"http://unitsofmeasure.org\",\"code\":\"mmol/L\"},\"data\":\"L U\""),
                    201);
    is_reading(0, 0, COMPARATOR_LESS, 0);
    is_reading(1, 1000000000, COMPARATOR_GREATER, 300000);
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_TEXT, "L") && fixture_tail_is(1, TAIL_TEXT, "U"));
    CU_ASSERT_EQUAL(sampled(PLAIN ",\"data\":\"E E\""), 200);
    CU_ASSERT_TRUE(fixture_says("\"severity\":\"information\""));
}

static void test_decimals(void)
{
    CU_ASSERT_EQUAL(
        sampled("\"period\":300000.0,\"dimensions\":1,\"factor\":0.1,\"origin\":{\"value\":40," MGDL
                "},\"data\":\"835 -1\""),
        201);
    is_reading(0, 123500000, COMPARATOR_NONE, 0);
    is_reading(1, 39900000, COMPARATOR_NONE, 300000);
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_TEXT, "123.5"));
    /* Rounded once, in the canonical unit: 0.1 x 63 mmol/L x 18.0156. */
    CU_ASSERT_EQUAL(
        sampled("\"period\":300000,\"dimensions\":1,\"factor\":1e-1,\"origin\":{\"value\":0.0,\"system\":"
                "\"http://unitsofmeasure.org\",\"code\":\"mmol/L\"},\"data\":\"63\""),
        201);
    is_reading(0, 113498280, COMPARATOR_NONE, 0);
    /* Fractions of a millisecond add up before they are cut. */
    CU_ASSERT_EQUAL(sampled("\"period\":333.3335,\"dimensions\":1," ORIGIN ",\"data\":\"1 2 3 4\""), 201);
    is_reading(2, 3000000, COMPARATOR_NONE, 666);
    is_reading(3, 4000000, COMPARATOR_NONE, 1000);
}

static void test_not_taken(void)
{
    static const struct {
        const char *samples, *issue, *expression;
    } rows[] = {
        {"\"period\":1000,\"dimensions\":1,\"data\":\"1\"", "required", "Observation.valueSampledData"},
        {"\"period\":1000,\"dimensions\":1,\"origin\":{" MGDL "},\"data\":\"1\"", "value",
         "Observation.valueSampledData"},
        {"\"period\":1000,\"dimensions\":1,\"origin\":{\"value\":0,\"unit\":\"mg/dL\"},\"data\":\"1\"",
         "required", "Observation.valueQuantity"},
        {"\"period\":1000,\"dimensions\":2," ORIGIN ",\"data\":\"1\"", "not-supported",
         "Observation.valueSampledData"},
        {"\"period\":1000," ORIGIN ",\"data\":\"1\"", "value", "Observation.valueSampledData"},
        {"\"period\":0,\"dimensions\":1," ORIGIN ",\"data\":\"1\"", "value", "Observation.valueSampledData"},
        {"\"period\":\"5\",\"dimensions\":1," ORIGIN ",\"data\":\"1\"", "value",
         "Observation.valueSampledData"},
        {"\"dimensions\":1," ORIGIN ",\"data\":\"1\"", "value", "Observation.valueSampledData"},
        {PLAIN, "required", "Observation.valueSampledData"},
        {PLAIN ",\"data\":\"\"", "required", "Observation.valueSampledData"},
        {PLAIN ",\"data\":[1]", "required", "Observation.valueSampledData"},
        {PLAIN ",\"factor\":\"2\",\"data\":\"1\"", "value", "Observation.valueSampledData"},
        {PLAIN ",\"lowerLimit\":\"40\",\"data\":\"L\"", "value", "Observation.valueSampledData"},
        {PLAIN ",\"lowerlimit\":40,\"data\":\"L\"", "structure", "Observation.valueQuantity"},
        {PLAIN ",\"data\":\"one two\"", "value", "Observation.valueSampledData"},
        {"\"period\":30000000000,\"dimensions\":1," ORIGIN ",\"factor\":2,\"data\":\"x 2 3\"", "value",
         "Observation.valueSampledData"},
        {"\"period\":1000,\"dimensions\":1,\"origin\":{\"value\":0,\"system\":\"http://"
         "unitsofmeasure.org\",\"code\":"
         "\"kg\"},\"data\":\"L\"",
         "business-rule", "Observation.valueSampledData"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char code[64], path[96];
        snprintf(code, sizeof code, "\"code\":\"%s\"", rows[i].issue);
        snprintf(path, sizeof path, "\"expression\":[\"%s\"]", rows[i].expression);
        int status = sampled(rows[i].samples);
        bool is_first = strstr(rows[i].samples, "x 2 3") != NULL; /* the second sample is good */
        if (status != (is_first ? 201 : 422) || !fixture_says(code) || !fixture_says(path)) {
            printf("%s: status %d, %s\n", rows[i].samples, status, fixture_text());
            CU_FAIL("refused otherwise than expected");
        }
    }
    /* One bad word refuses its sample alone, once in words. */
    CU_ASSERT_EQUAL(sampled(PLAIN ",\"data\":\"90 x y 91\""), 201);
    CU_ASSERT_EQUAL(fixture_reading(1)->verdict, VERDICT_VALUE_INVALID);
    is_reading(3, 91000000, COMPARATOR_NONE, 900000);
    const char *first = strstr(fixture_text(), "\"severity\":\"warning\"");
    CU_ASSERT_TRUE(first != NULL && strstr(first + 1, "\"severity\":\"warning\"") == NULL);
}

static void test_waveforms(void)
{
    CU_ASSERT_EQUAL(sampled("\"period\":0.5,\"dimensions\":1," ORIGIN ",\"data\":\"1 2\""), 200);
    CU_ASSERT_TRUE(fixture_says("a waveform is no reading"));
    CU_ASSERT_EQUAL(post(PLAIN ",\"data\":\"1 2\"", START, "", "131329"), 200);
    CU_ASSERT_TRUE(fixture_says("a waveform is no reading"));
}

static void test_starts(void)
{
    static const char data[] = PLAIN ",\"data\":\"90 91\"";
    fixture_forget();
    CU_ASSERT_EQUAL(post(data, "\"effectiveDateTime\":\"2026-11-21T08:30:00+01:00\"", "", "99504-3"), 201);
    is_reading(1, 91000000, COMPARATOR_NONE, 300000);
    CU_ASSERT_EQUAL(post(data, "\"effectiveInstant\":\"2026-11-21T08:30:00.0+01:00\"", "", "99504-3"), 200);
    CU_ASSERT_EQUAL(post(data, "\"effectivePeriod\":{\"end\":\"2026-11-21T08:30:00+01:00\"}", "", "99504-3"),
                    422);
    CU_ASSERT_TRUE(fixture_says("\"code\":\"required\"") && fixture_says("Observation.effective"));
    CU_ASSERT_EQUAL(post(data, "\"effectiveDateTime\":\"2026-11-21\"", "", "99504-3"), 422);
    CU_ASSERT_TRUE(fixture_says("begin at an instant"));
    CU_ASSERT_EQUAL(post(data, "\"effectiveDateTime\":\"2026-11-21T08:30:00\"", "", "99504-3"), 422);
    CU_ASSERT_EQUAL(post(data, "\"effectiveDateTime\":\"9999-12-31T23:59:59Z\"", "", "99504-3"), 201);
    CU_ASSERT_EQUAL(fixture_reading(1)->verdict, VERDICT_MALFORMED);
    CU_ASSERT_EQUAL(post(data, START ",\"effectiveDateTime\":\"2026-11-21T08:30:00+01:00\"", "", "99504-3"),
                    422);
    CU_ASSERT_TRUE(fixture_says("one effective time"));
}

/* An identifier names one measurement: each sample has its own. */
static void test_aliases(void)
{
    fixture_forget();
    CU_ASSERT_EQUAL(post(PLAIN ",\"data\":\"90 E 91\"", START,
                         ",\"identifier\":[{\"system\":\"s\",\"value\":\"v\"}]", "99504-3"),
                    201);
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_ALIAS, "s|v[0]") && fixture_tail_is(1, TAIL_ALIAS, "s|v[2]"));
}

static void test_components(void)
{
    fixture_forget();
    CU_ASSERT_EQUAL(
        fixture_send("sys", "/fhir/Observation",
                     "{\"resourceType\":\"Observation\",\"status\":\"final\",\"code\":{\"text\":\"two\"},"
                     "\"subject\":{\"reference\":\"Patient/p1\"}," START
                     ",\"component\":[{\"code\":{\"coding\":[{"
                     "\"system\":\"http://loinc.org\",\"code\":\"99504-3\"}]},\"valueSampledData\":{" PLAIN
                     ",\"data\":\"90 "
                     "L\"}},{\"code\":{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"99504-3\"}"
                     "]},\"valueSampledData\":{" PLAIN ",\"data\":\"bad\"}}]}")
            ->status,
        201);
    CU_ASSERT_EQUAL_FATAL(fixture_reading(2)->verdict, VERDICT_VALUE_INVALID);
    is_reading(0, 90000000, COMPARATOR_NONE, 0);
    is_reading(1, 0, COMPARATOR_LESS, 300000);
    CU_ASSERT_TRUE(fixture_says("Observation.component[1].valueSampledData"));
}

static void test_bound(void)
{
    char *data = malloc(128 + 3 * (MESSAGE_READINGS_MAX + 1));
    for (unsigned more = 0; more < 2; more++) {
        size_t size = (size_t)sprintf(data, "\"period\":1000,\"dimensions\":1," ORIGIN ",\"data\":\"");
        for (unsigned i = 0; i < MESSAGE_READINGS_MAX + more; i++)
            size += (size_t)sprintf(data + size, "90 ");
        sprintf(data + size, "\"");
        CU_ASSERT_EQUAL(sampled(data), more == 0 ? 201 : 422);
        CU_ASSERT_TRUE(more == 0 || fixture_says("at most 10,000 readings"));
    }
    free(data);
}

#define WEIGHT(quantity)                                                                                     \
    "{\"resourceType\":\"Observation\",\"status\":\"final\",\"code\":{\"coding\":[{\"system\":"              \
    "\"http://loinc.org\",\"code\":\"29463-7\"}]},\"subject\":{\"reference\":\"Patient/p1\"},"               \
    "\"effectiveDateTime\":\"2026-11-21T08:30:00+01:00\",\"valueQuantity\":{" quantity "}}"

static void test_units(void)
{
    static const struct {
        const char *body;
        int status;
        int64_t millionths;
    } rows[] = {
        {WEIGHT("\"value\":7.05e1,\"system\":\"http://unitsofmeasure.org\",\"code\":\"kg\""), 201, 70500000},
        {WEIGHT("\"value\":70500E-3,\"unit\":\"Kg\",\"system\":\"urn:oid:2.16.840.1.113883.6.8\",\"code\":"
                "\"kg\""),
         201, 70500000},
        {WEIGHT("\"value\":70.5,\"system\":\"urn:iso:std:iso:11073:10101\",\"code\":\"263875\""), 201,
         70500000},
        {WEIGHT("\"value\":70.5,\"system\":\"urn:oid:2.16.840.1.113883.6.24\",\"code\":\"263875\""), 201,
         70500000},
        {WEIGHT("\"value\":70.5,\"system\":\"urn:iso:std:iso:11073:10101\",\"code\":\"kg\""), 422, 0},
        {WEIGHT("\"value\":70.5,\"system\":\"http://unitsofmeasure.org\",\"code\":\"263875\""), 422, 0},
        {WEIGHT("\"value\":70.5,\"unit\":\"kg\",\"code\":\"kg\""), 422, 0},
        {WEIGHT("\"value\":70.5,\"system\":\"http://example.org\",\"code\":\"kg\""), 422, 0},
        {WEIGHT("\"value\":1e19,\"system\":\"http://unitsofmeasure.org\",\"code\":\"kg\""), 422, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture_forget();
        CU_ASSERT_EQUAL(fixture_send("sys", "/fhir/Observation", rows[i].body)->status, rows[i].status);
        CU_ASSERT_TRUE(rows[i].status != 201 || fixture_reading(0)->value == rows[i].millionths);
    }
}

SUITE(fhir_value) = {
    {"letters of sampled data", test_letters},
    {"decimals of sampled data", test_decimals},
    {"sampled data that are not taken", test_not_taken},
    {"waveforms", test_waveforms},
    {"starts of sampled data", test_starts},
    {"aliases of samples", test_aliases},
    {"sampled data in components", test_components},
    {"bound of samples", test_bound},
    {"units", test_units},
    {NULL, NULL},
};
