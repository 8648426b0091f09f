/* admit_identity: whom the identifiers of a payload name, through the FHIR door: one patient by every
 * spelling, nobody by a wrong key, neither of two. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/ingest_fixture.h"
#include "tests/unit/unit.h"

#define NIR        "urn:oid:1.2.250.1.213.1.4.8"
#define NIA        "urn:oid:1.2.250.1.213.1.4.9"
#define TEST       "urn:oid:1.2.250.1.213.1.4.10"
#define DEMO       "urn:oid:1.2.250.1.213.1.4.11"
#define OF_P1      "255081416802538"
#define OF_P2      "190012A00400163"
#define NOBODYS    "185057512345673"
#define WRONG      "255081416802539"
#define ID(s, v)   "{\"system\":\"" s "\",\"value\":\"" v "\"}"
#define SUBJECT(x) "\"subject\":{" x "}"
#define BY_ID(x)   SUBJECT("\"identifier\":" x)
#define PATIENT(x)                                                                                           \
    SUBJECT("\"reference\":\"#p\"")                                                                          \
    ",\"contained\":[{\"resourceType\":\"Patient\",\"id\":\"p\",\"identifier\":[" x "]}]"

/* Sends an Observation with that subject; its patient, 0 when refused. */
static int64_t send_subject(const char *source, const char *subject)
{
    static const char form[] =
        "{\"resourceType\":\"Observation\",\"status\":\"final\",%s,\"code\":{\"coding\":[{\"system\":"
        "\"http://loinc.org\",\"code\":\"29463-7\"}]},\"effectiveDateTime\":\"2026-02-21T08:30:00Z\","
        "\"valueQuantity\":{\"value\":70,\"system\":\"http://unitsofmeasure.org\",\"code\":\"kg\"}}";
    char body[1600];
    int size = snprintf(body, sizeof body, form, subject);
    ensure(size > 0 && (size_t)size < sizeof body);
    fixture_forget();
    struct exchange *exchange = fixture_send(source, "/fhir/Observation", body);
    return exchange->status == 201 ? fixture_reading(0)->patient_id : 0;
}

static void refused(const char *subject, const char *issue, const char *text)
{
    char code[64];
    snprintf(code, sizeof code, "\"code\":\"%s\"", issue);
    CU_ASSERT_EQUAL(send_subject("sys", subject), 0);
    if (!fixture_says(code) || !fixture_says(text) || !fixture_says("Observation.subject")) {
        printf("%s: %s\n", subject, fixture_text());
        CU_FAIL("refused otherwise than expected");
    }
    CU_ASSERT_FALSE(fixture_says("2550814") || fixture_says("1900120") || fixture_says("2790351"));
}

static void test_every_spelling(void)
{
    CU_ASSERT_EQUAL(send_subject("sys", BY_ID(ID(NIR, OF_P1))), 1);
    CU_ASSERT_EQUAL(send_subject("sys", BY_ID(ID("1.2.250.1.213.1.4.8", "2 55 08 14 168 025 38"))), 1);
    CU_ASSERT_EQUAL(send_subject("sys", BY_ID(ID("URN:OID:1.2.250.1.213.1.4.9", "190012a00400163"))), 2);
    CU_ASSERT_EQUAL(send_subject("sys", SUBJECT("\"reference\":\"Patient?identifier=" NIR "|" OF_P1 "\"")),
                    1);
    CU_ASSERT_EQUAL(send_subject("sys", PATIENT(ID(NIR, OF_P1))), 1);
    CU_ASSERT_EQUAL(send_subject("other", BY_ID(ID(NIR, OF_P1))), 0); /* unknown to another organisation */
    CU_ASSERT_TRUE(fixture_says("\"code\":\"not-found\""));
}

static void test_faults(void)
{
    static const char shape[] = "a matricule INS is 13 characters", key[] = "the key of the matricule INS";
    refused(BY_ID(ID(NIR, WRONG)), "structure", key);
    refused(BY_ID(ID(NIA, "2550814168025")), "structure", shape);
    refused(SUBJECT("\"reference\":\"Patient?identifier=" NIR "|" WRONG "\""), "structure", key);
    refused(BY_ID(ID(NIR, OF_P1 OF_P1)), "structure", shape);
    refused(BY_ID(ID(NIA, OF_P1)), "not-found", ""); /* its number, but of another kind */
    refused(BY_ID(ID(NIR, NOBODYS)), "not-found", "");
    refused(BY_ID(ID(NIR, "")), "not-found", "");
}

static void test_several(void)
{
    CU_ASSERT_EQUAL(send_subject("sys", PATIENT(ID(NIR, NOBODYS) "," ID("Patient", "p1"))), 1);
    CU_ASSERT_EQUAL(
        send_subject("sys", PATIENT(ID("urn:oid:9.9", "ipp") "," ID(NIR, OF_P1) "," ID("Patient", "p1"))), 1);
    refused(PATIENT(ID(NIR, OF_P1) "," ID(NIA, OF_P2)), "business-rule", "those of two patients");
    refused(PATIENT(ID("Patient", "p1") "," ID(NIR, WRONG)), "structure", "the key");
    refused(PATIENT(ID("Patient", "p1") "," ID(TEST, "279035121518989")), "not-found", "test domain");
    refused(SUBJECT("\"identifier\":" ID(NIR, OF_P1) ",\"reference\":\"Patient/p2\""), "business-rule",
            "those of two patients");
    CU_ASSERT_EQUAL(
        send_subject("sys", SUBJECT("\"identifier\":" ID(NIR, OF_P1) ",\"reference\":\"Patient/p1\"")), 1);
}

/* A device that speaks of somebody: its assignment decides, and a name that is wrong is refused all the same.
 */
static void test_beside_a_device(void)
{
    CU_ASSERT_EQUAL(send_subject("dev", BY_ID(ID(NIR, OF_P1))), 1);
    CU_ASSERT_EQUAL(send_subject("dev", BY_ID(ID(NIA, OF_P2))), 0);
    CU_ASSERT_TRUE(fixture_says("business-rule"));
    CU_ASSERT_EQUAL(send_subject("dev", BY_ID(ID(NIR, WRONG))), 0);
    CU_ASSERT_TRUE(fixture_says("\"code\":\"structure\""));
    CU_ASSERT_EQUAL(send_subject("dev", BY_ID(ID(TEST, "279035121518989"))), 0);
}

static void test_test_domain(void)
{
    struct loop_context *loop = fixture_loop();
    const struct config *production = loop->config;
    struct config test = *production;
    refused(BY_ID(ID(TEST, "279035121518989")), "not-found", "test domain");
    refused(BY_ID(ID(DEMO, "279035121518989")), "not-found", "test domain");
    test.node_mode = MODE_TEST;
    loop->config = &test;
    CU_ASSERT_EQUAL(send_subject("sys", BY_ID(ID(TEST, "279035121518989"))), 1);
    refused(BY_ID(ID(DEMO, "279035121518989")), "not-found", "");
    refused(BY_ID(ID(TEST, "279035121518988")), "structure", "the key");
    loop->config = production;
}

SUITE(admit_identity) = {
    {"every spelling of one number", test_every_spelling},
    {"keys and shapes", test_faults},
    {"several identifiers", test_several},
    {"beside a device", test_beside_a_device},
    {"the test domain", test_test_domain},
    {NULL, NULL},
};
