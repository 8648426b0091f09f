/* readings: /v1/readings to the letter of INTERFACES.md section 4, through decoder, admission and answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/instant.h"
#include "daemon/ingest/doors.h"
#include "daemon/ingest/readings/readings.h"
#include "daemon/model/parameter.h"
#include "tests/unit/cbor_translate.h"
#include "tests/unit/ingest_fixture.h"
#include "tests/unit/unit.h"

/* Sends JSON; and before it, as if it had not been, its translations into CBOR, which must do the same. */
static int post(const char *source, const char *body)
{
    static struct cbor_outcome outcomes[4];
    size_t count = sizeof outcomes / sizeof *outcomes;
    for (size_t i = 0; i < count; i++)
        cbor_outcome_of(source, (struct slice){body, strlen(body)}, i, &outcomes[i]);
    int status = fixture_send(source, "/v1/readings", body)->status;
    for (size_t i = 0; i < count; i++)
        if (!cbor_outcome_is_last(&outcomes[i])) {
            printf("body %s: JSON %s\n", body, fixture_text());
            CU_FAIL("the same message as CBOR had another outcome");
        }
    return status;
}

/* One reading, refused with that code and status. */
static void refused(const char *source, const char *body, const char *code, int status)
{
    char fragment[96];
    snprintf(fragment, sizeof fragment, "{\"message\":0,\"reading\":0,\"code\":\"%s\",\"text\":\"", code);
    int found = post(source, body);
    if (found != status || !fixture_says(fragment)) {
        printf("body %s: status %d, answer %s\n", body, found, fixture_text());
        CU_FAIL("refused otherwise than expected");
    }
    CU_ASSERT_TRUE(fixture_says("\"accepted\":0,\"duplicate\":0,\"quarantined\":0,"));
    CU_ASSERT_EQUAL(fixture_reading(0)->next, READING_CHAIN_END);
}

#define ONE(reading)                                                                                         \
    "{\"patient\":\"P-1\",\"device\":\"SN-1\",\"time\":\"2026-11-21T08:30:00+01:00\",\"readings\":[" reading \
    "]}"
#define WEIGHT(more) ONE("{\"code\":\"29463-7\",\"value\":71.4,\"unit\":\"kg\"" more "}")

static void test_accepted(void)
{
    fixture_forget();
    CU_ASSERT_EQUAL(post("dev", WEIGHT(",\"id\":\"m-1\",\"sensor\":\"left\"")), 200);
    CU_ASSERT_STRING_EQUAL(fixture_text(),
                           "{\"accepted\":1,\"duplicate\":0,\"quarantined\":0,\"rejected\":[]}");
    const struct reading *reading = fixture_reading(0);
    CU_ASSERT_EQUAL(reading->parameter, PARAMETER_BODY_WEIGHT);
    CU_ASSERT_EQUAL(reading->value, 71400000);
    CU_ASSERT_EQUAL(reading->measured_at_ms, 1795246200000);
    CU_ASSERT_EQUAL(reading->utc_offset_min, 60);
    CU_ASSERT_TRUE(reading->patient_id == 1 && reading->device_id == 11 && reading->source_id == 100);
    CU_ASSERT_TRUE(reading->status == STATUS_FINAL && reading->origin == ORIGIN_AUTOMATIC &&
                   reading->alias_hash != 0);
    CU_ASSERT_EQUAL(reading->issued_ms, INSTANT_NONE);
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_KEY_DEVICE, "SN-1") && fixture_tail_is(0, TAIL_SENSOR, "left"));
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_ALIAS, "m-1") && fixture_tail_is(0, TAIL_TEXT, "71.4"));
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_UNIT, "kg") && fixture_tail_is(0, TAIL_CODE, "29463-7"));
    /* The same measurement in another unit, under another id, by another source of the same device. */
    CU_ASSERT_EQUAL(
        post("gw", ONE("{\"code\":\"body-weight\",\"value\":71400,\"unit\":\"g\",\"sensor\":\"left\"}")),
        200);
    CU_ASSERT_TRUE(fixture_says("{\"accepted\":0,\"duplicate\":1,"));
}

static void test_words(void)
{
    fixture_forget();
    CU_ASSERT_EQUAL(
        post("dev",
             WEIGHT(",\"status\":\"corrected\",\"issued\":\"2026-11-21T09:00:00Z\",\"comparator\":\">\","
                    "\"origin\":\"carer\"")),
        200);
    const struct reading *reading = fixture_reading(0);
    CU_ASSERT_TRUE(reading->status == STATUS_CORRECTED && reading->comparator == COMPARATOR_GREATER);
    CU_ASSERT_TRUE(reading->origin == ORIGIN_CARER && reading->issued_ms == 1795251600000);
    CU_ASSERT_EQUAL(post("dev", WEIGHT(",\"status\":\"void\"")), 200);
    CU_ASSERT_EQUAL(fixture_reading(0)->status, STATUS_VOID);
    refused("dev", WEIGHT(",\"status\":\"corrected\""), "version-missing", 422);
    refused("dev", WEIGHT(",\"status\":\"amended\""), "status-unsupported", 422);
    refused("dev", WEIGHT(",\"comparator\":\"<=\""), "malformed", 422);
    refused("dev", WEIGHT(",\"origin\":\"nurse\""), "malformed", 422);
    refused("dev", WEIGHT(",\"issued\":\"2026-11-21\""), "malformed", 422);
    refused("dev", WEIGHT(",\"issued\":\"2026-11-21T09:00:00\""), "time-offset", 422);
}

static void test_numbers(void)
{
    fixture_forget();
    CU_ASSERT_EQUAL(post("dev", ONE("{\"code\":\"29463-7\",\"value\":7.110e1,\"unit\":\"kg\"}")), 200);
    CU_ASSERT_EQUAL(fixture_reading(0)->value, 71100000);
    CU_ASSERT_EQUAL(post("dev", ONE("{\"code\":\"15074-8\",\"value\":6.3,\"unit\":\"mmol/L\"}")), 200);
    CU_ASSERT_EQUAL(fixture_reading(0)->value, 113498280);
    refused("dev", ONE("{\"code\":\"29463-7\",\"value\":1e19,\"unit\":\"kg\"}"), "value-invalid", 422);
    refused("dev", ONE("{\"code\":\"29463-7\",\"value\":99999999999999,\"unit\":\"kg\"}"), "value-invalid",
            422);
    refused("dev", ONE("{\"code\":\"29463-7\",\"value\":\"71\",\"unit\":\"kg\"}"), "value-invalid", 422);
    refused("dev", ONE("{\"code\":\"29463-7\",\"unit\":\"kg\"}"), "value-missing", 422);
    refused("dev", ONE("{\"code\":\"29463-7\",\"value\":null,\"unit\":\"kg\"}"), "value-missing", 422);
    refused("dev", ONE("{\"code\":\"29463-7\",\"value\":71}"), "unit-missing", 422);
    refused("dev", ONE("{\"code\":\"29463-7\",\"value\":71,\"unit\":\"Kg\"}"), "unit-unknown", 422);
    refused("dev", ONE("{\"code\":\"29463-7\",\"value\":71,\"unit\":\"cm\"}"), "unit-mismatch", 422);
    refused("dev", ONE("{\"code\":\"0-0\",\"value\":71,\"unit\":\"kg\"}"), "unknown-code", 422);
    refused("dev", ONE("{\"code\":\"mdc:160208\",\"value\":71,\"unit\":\"mg/dL\"}"), "unknown-code", 422);
    refused("dev", ONE("{\"value\":71,\"unit\":\"kg\"}"), "unknown-code", 422);
    refused("dev", ONE("{\"code\":\"72514-3\",\"value\":5}"), "unit-missing", 422);
}

static void test_bands(void)
{
    fixture_forget();
    CU_ASSERT_EQUAL(post("dev", ONE("{\"code\":\"29463-7\",\"value\":0,\"unit\":\"kg\"}")), 200);
    CU_ASSERT_TRUE(fixture_says("\"quarantined\":1,") &&
                   fixture_reading(0)->quarantine == QUARANTINE_IMPOSSIBLE);
    CU_ASSERT_EQUAL(post("dev", ONE("{\"code\":\"2708-6\",\"value\":101,\"unit\":\"%\"}")), 200);
    CU_ASSERT_EQUAL(fixture_reading(0)->quarantine, QUARANTINE_IMPOSSIBLE);
    CU_ASSERT_EQUAL(post("dev", ONE("{\"code\":\"2708-6\",\"value\":100,\"unit\":\"%\"}")), 200);
    CU_ASSERT_TRUE(fixture_reading(0)->quarantine == QUARANTINE_NONE && fixture_reading(0)->flags == 0);
    CU_ASSERT_EQUAL(post("dev", ONE("{\"code\":\"2708-6\",\"value\":59.9,\"unit\":\"%\"}")), 200);
    CU_ASSERT_TRUE(fixture_reading(0)->quarantine == QUARANTINE_NONE &&
                   fixture_reading(0)->flags == FLAG_VERIFY);
    CU_ASSERT_EQUAL(
        post("dev", ONE("{\"code\":\"2339-0\",\"value\":5000,\"unit\":\"mg/dL\",\"comparator\":\">\"}")),
        200);
    CU_ASSERT_EQUAL(fixture_reading(0)->quarantine, QUARANTINE_NONE);
    CU_ASSERT_EQUAL(post("dev", ONE("{\"code\":\"2089-1\",\"value\":3.1,\"unit\":\"mmol/L\"}")), 200);
    CU_ASSERT_EQUAL(fixture_reading(0)->quarantine, QUARANTINE_UNIT);
    CU_ASSERT_EQUAL(
        post("dev", ONE("{\"code\":\"29463-7\",\"value\":0,\"unit\":\"kg\",\"status\":\"void\"}")), 200);
    CU_ASSERT_EQUAL(fixture_reading(0)->quarantine, QUARANTINE_NONE);
}

#define AT(time)                                                                                             \
    "{\"device\":\"SN-1\",\"readings\":[{\"code\":\"29463-7\",\"value\":70,\"unit\":\"kg\"" time "}]}"

static void test_times(void)
{
    fixture_forget();
    refused("dev", AT(""), "time-missing", 422);
    refused("dev", AT(",\"time\":\"2026-11-21T08:30:00\""), "time-offset", 422);
    refused("dev", AT(",\"time\":\"21/11/2026\""), "malformed", 422);
    refused("dev", AT(",\"time\":5"), "malformed", 422);
    CU_ASSERT_EQUAL(post("dev", AT(",\"time\":\"2026-07-14\"")), 200);
    CU_ASSERT_EQUAL(fixture_reading(0)->precision, PRECISION_DAY);
    CU_ASSERT_EQUAL(fixture_reading(0)->measured_at_ms, 1783980000000); /* 2026-07-13T22:00:00Z */
    CU_ASSERT_EQUAL(post("dev", AT(",\"time\":\"1969-07-20\"")), 422);  /* before its first assignment */
    CU_ASSERT_EQUAL(
        post("sys", "{\"patient\":\"P-1\",\"readings\":[{\"code\":\"29463-7\",\"value\":70,\"unit\":\"kg\","
                    "\"time\":\"1969-07-20\"}]}"),
        200);
    CU_ASSERT_EQUAL(fixture_reading(0)->measured_at_ms,
                    -14259600000); /* 1969-07-19T23:00:00Z: CET all year */
}

static void test_shapes(void)
{
    refused("dev", WEIGHT(",\"comparater\":\"<\""), "unknown-key", 422);
    CU_ASSERT_TRUE(fixture_says("found comparater"));
    refused("dev", WEIGHT(",\"sensor\":1"), "malformed", 422);
    refused("dev", WEIGHT(",\"id\":\"\""), "malformed", 422);
    refused("dev", "{\"device\":\"SN-1\",\"readings\":[7]}", "malformed", 422);
    refused("dev", "{\"foo\":1,\"device\":\"SN-1\",\"readings\":[{}]}", "unknown-key", 422);
    refused("dev", "{\"device\":5,\"readings\":[{}]}", "malformed", 422);
    CU_ASSERT_EQUAL(post("dev", "{\"device\":\"SN-1\",\"readings\":[]}"), 422);
    CU_ASSERT_TRUE(fixture_says("{\"message\":0,\"reading\":null,\"code\":\"value-missing\""));
    CU_ASSERT_EQUAL(post("dev", "[]"), 422);
    CU_ASSERT_TRUE(fixture_says("\"code\":\"value-missing\""));
    CU_ASSERT_EQUAL(post("dev", "{}"), 422);
    CU_ASSERT_EQUAL(post("dev", "[1]"), 422);
    CU_ASSERT_TRUE(fixture_says("{\"message\":0,\"reading\":null,\"code\":\"malformed\""));
    CU_ASSERT_EQUAL(post("dev", "{\"device\":\"SN-1\",\"readings\":{}}"), 422);
    static const char *const bad[] = {"",
                                      "7",
                                      "\"x\"",
                                      "{",
                                      "{\"a\":NaN}",
                                      "{\"a\":1,\"a\":2}",
                                      "{\"patient\":\"\xff\"}",
                                      "{\"readings\":[{\"value\":Infinity}]}",
                                      WEIGHT("") "x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_EQUAL(post("dev", bad[i]), 400);
        CU_ASSERT_TRUE(fixture_says("{\"code\":\"bad-request\",\"text\":\""));
    }
}

/* Order of keys, escapes in them, a byte order mark: none of it matters. */
static void test_order_of_keys(void)
{
    fixture_forget();
    CU_ASSERT_EQUAL(
        post("gw",
             "\xef\xbb\xbf[{\"readings\":[{\"unit\":\"kg\",\"v\\u0061lue\":70,\"code\":\"29463\\u002d7\"}],"
             "\"time\":\"2026-11-21T08:30:00Z\",\"device\":\"SN\\u002d1\"}]"),
        200);
    CU_ASSERT_TRUE(fixture_says("{\"accepted\":1,"));
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_CODE, "29463-7"));
}

/* A message with an id and two readings; each may have more keys. */
#define TWO(more, code, unit, other)                                                                         \
    "{\"device\":\"SN-1\",\"id\":\"m\",\"time\":\"2026-11-21T08:30:00Z\",\"readings\":[{\"code\":\"29463-"   \
    "7\","                                                                                                   \
    "\"value\":70,\"unit\":\"kg\"" more "},{\"code\":\"" code "\",\"value\":71,\"unit\":\"" unit "\"" other  \
    "}]}"

static void test_message_id(void)
{
    fixture_forget();
    CU_ASSERT_EQUAL(post("dev", TWO("", "29463-7", "kg", "")), 422);
    CU_ASSERT_TRUE(fixture_says("\"reading\":0,\"code\":\"malformed\"") &&
                   fixture_says("\"reading\":1,\"code\":\"malformed\""));
    CU_ASSERT_EQUAL(post("dev", TWO("", "8867-4", "/min", "")), 200);
    CU_ASSERT_TRUE(fixture_says("\"accepted\":2,") && fixture_tail_is(1, TAIL_ALIAS, "m"));
    CU_ASSERT_NOT_EQUAL(fixture_reading(0)->alias_hash, fixture_reading(1)->alias_hash);
    fixture_forget();
    CU_ASSERT_EQUAL(post("dev", TWO(",\"id\":\"a\"", "29463-7", "kg", ",\"id\":\"b\"")), 200);
    CU_ASSERT_TRUE(fixture_says("\"accepted\":2,") && fixture_tail_is(0, TAIL_ALIAS, "a"));
}

static void test_several(void)
{
    fixture_forget();
    CU_ASSERT_EQUAL(post("gw", "[" WEIGHT("") "," WEIGHT(
                                   "") ",{\"device\":\"SN-1\",\"x\":1,\"readings\":[{},{}]},"
                                       "{\"device\":\"nope\",\"time\":\"2026-11-21T08:30:00Z\",\"readings\":["
                                       "{\"code\":\"29463-7\","
                                       "\"value\":70,\"unit\":\"kg\"}],\"events\":[{\"class\":\"x\"}]}]"),
                    200);
    CU_ASSERT_TRUE(fixture_says(
        "{\"accepted\":1,\"duplicate\":1,\"quarantined\":0,\"rejected\":[{\"message\":2,\"reading\":0,"));
    CU_ASSERT_TRUE(fixture_says("{\"message\":2,\"reading\":1,\"code\":\"unknown-key\""));
    CU_ASSERT_TRUE(fixture_says("{\"message\":3,\"reading\":0,\"code\":\"unknown-device\""));
    CU_ASSERT_TRUE(fixture_says("{\"message\":3,\"reading\":null,\"event\":0,\"code\":\"unknown-device\""));
    CU_ASSERT_FALSE(
        fixture_says("\"code\":\"unknown-key\",\"text\":\"a key that is not known here; found x\"}]"));
}

/* Each refused reading is named once, in its order. */
static void test_answer(void)
{
    fixture_forget();
    CU_ASSERT_EQUAL(
        post("dev", ONE("{\"code\":\"x\"},{\"code\":\"29463-7\",\"value\":70,\"unit\":\"kg\"},{\"y\":1}")),
        200);
    CU_ASSERT_STRING_EQUAL(
        fixture_text(),
        "{\"accepted\":1,\"duplicate\":0,\"quarantined\":0,\"rejected\":["
        "{\"message\":0,\"reading\":0,\"code\":\"unknown-code\",\"text\":\"the code is not of a known "
        "parameter; found x\"},"
        "{\"message\":0,\"reading\":2,\"code\":\"unknown-key\",\"text\":\"a key that is not known here; "
        "found y\"}]}");
    CU_ASSERT_EQUAL(post("dev", "{\"device\":\"SN-1\",\"readings\":[{\"y\":1}]}"), 422);
    CU_ASSERT_TRUE(
        fixture_says("found y\"}],\"code\":\"unknown-key\",\"text\":\"a key that is not known here\"}"));
}

#define EVENTS(list) "{\"device\":\"SN-1\",\"time\":\"2026-11-21T08:30:00+01:00\",\"events\":[" list "]}"
#define EVENT(class, episode, phase, more)                                                                   \
    "{\"class\":\"" class "\",\"episode\":\"" episode "\",\"phase\":\"" phase "\"" more "}"

static void test_events_alone(void)
{
    fixture_forget();
    CU_ASSERT_EQUAL(post("dev", EVENTS(EVENT("lead-integrity", "E-7", "start", "") "," EVENT(
                                    "lead-integrity", "E-7", "end", ",\"time\":\"2026-11-21T09:00:00Z\""))),
                    200);
    CU_ASSERT_STRING_EQUAL(fixture_text(),
                           "{\"accepted\":2,\"duplicate\":0,\"quarantined\":0,\"rejected\":[]}");
    const struct reading *event = fixture_reading(0);
    CU_ASSERT_TRUE((event->flags & FLAG_DEVICE_EVENT) && event->parameter == READING_NO_PARAMETER);
    CU_ASSERT_TRUE(event->patient_id == 1 && event->device_id == 11 && event->source_id == 100);
    CU_ASSERT_TRUE(event->value == PHASE_START && event->measured_at_ms == 1795246200000 &&
                   event->utc_offset_min == 60);
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_KEY_DEVICE, "SN-1") && fixture_tail_is(0, TAIL_EPISODE, "E-7") &&
                   fixture_tail_is(0, TAIL_CLASS, "lead-integrity"));
    CU_ASSERT_TRUE(fixture_reading(1)->value == PHASE_END &&
                   fixture_reading(1)->measured_at_ms == 1795251600000);
    /* The same again, by another source of the same device. */
    CU_ASSERT_EQUAL(post("gw", EVENTS(EVENT("lead-integrity", "E-7", "start", ""))), 200);
    CU_ASSERT_TRUE(fixture_says("{\"accepted\":0,\"duplicate\":1,"));
}

/* Whatever tells messages apart is part of their identity; whose they are too. */
static void test_events_identity(void)
{
    fixture_forget();
    CU_ASSERT_EQUAL(
        post(
            "dev",
            EVENTS(EVENT("a", "1", "start", "") "," EVENT("b", "1", "start", "") "," EVENT(
                "a", "2", "start",
                "") "," EVENT("a", "1", "continue",
                              "") "," EVENT("a", "1", "start",
                                            ",\"time\":\"2026-11-21T08:30:00.001+01:00\"") "," EVENT("1", "a",
                                                                                                     "start",
                                                                                                     ""))),
        200);
    CU_ASSERT_TRUE(fixture_says("{\"accepted\":6,\"duplicate\":0,"));
    CU_ASSERT_EQUAL(
        post("sys", "{\"patient\":\"P-1\",\"time\":\"2026-11-21T08:30:00+01:00\",\"events\":[" EVENT(
                        "a", "1", "start", "") "]}"),
        200);
    CU_ASSERT_TRUE(fixture_says("{\"accepted\":1,") && fixture_tail_is(0, TAIL_KEY_DEVICE, "sys"));
}

/* Each refused event is named once, in its order, behind the readings of its message. */
static void test_events_refused(void)
{
    fixture_forget();
    CU_ASSERT_EQUAL(
        post(
            "dev",
            "[{\"device\":\"SN-1\",\"time\":\"2026-11-21T08:30:00+01:00\",\"readings\":[{\"code\":\"x\"}],"
            "\"events\":[" EVENT("a", "1", "start", "") ",{\"class\":\"a\",\"episode\":\"1\"}," EVENT("a", "1", "stop", "") "," EVENT(
                "a", "", "end",
                "") "," EVENT("a", "1", "end",
                              ",\"x\":1") ",7," EVENT("a", "1", "end",
                                                      ",\"time\":\"2026-11-21\"") "," EVENT("a", "1", "end",
                                                                                            ",\"time\":"
                                                                                            "\"2026-11-21T08:"
                                                                                            "30:00\"") ","
                                                                                                       "{\"cl"
                                                                                                       "ass\""
                                                                                                       ":1,"
                                                                                                       "\"epi"
                                                                                                       "sode"
                                                                                                       "\":"
                                                                                                       "\"1\""
                                                                                                       ",\"ph"
                                                                                                       "ase\""
                                                                                                       ":\"en"
                                                                                                       "d\"}]"
                                                                                                       "}"
                                                                                                       "," EVENTS(
                                                                                                           "") "]"),
        200);
    CU_ASSERT_TRUE(
        fixture_says("{\"accepted\":1,\"duplicate\":0,\"quarantined\":0,\"rejected\":[{\"message\":0,"
                     "\"reading\":0,\"code\":\"unknown-code\","));
    CU_ASSERT_TRUE(fixture_says("{\"message\":0,\"reading\":null,\"event\":1,\"code\":\"value-missing\""));
    CU_ASSERT_TRUE(
        fixture_says("\"event\":2,\"code\":\"malformed\",\"text\":\"phase is start, continue or end; found "
                     "stop\"}"));
    CU_ASSERT_TRUE(fixture_says("\"event\":3,\"code\":\"value-missing\""));
    CU_ASSERT_TRUE(fixture_says("\"event\":4,\"code\":\"unknown-key\""));
    CU_ASSERT_TRUE(fixture_says("\"event\":5,\"code\":\"malformed\""));
    CU_ASSERT_TRUE(fixture_says("\"event\":6,\"code\":\"malformed\""));
    CU_ASSERT_TRUE(fixture_says("\"event\":7,\"code\":\"time-offset\""));
    CU_ASSERT_TRUE(fixture_says("\"event\":8,\"code\":\"malformed\""));
    CU_ASSERT_TRUE(fixture_says("{\"message\":1,\"reading\":null,\"code\":\"value-missing\""));
    CU_ASSERT_FALSE(fixture_says("\"event\":0,") || fixture_says("\"event\":9,"));
    CU_ASSERT_EQUAL(post("dev", "{\"device\":\"SN-1\",\"events\":[" EVENT("a", "1", "end", "") "]}"), 422);
    CU_ASSERT_TRUE(fixture_says("\"event\":0,\"code\":\"time-missing\""));
    CU_ASSERT_EQUAL(post("gw", "{\"events\":[" EVENT("a", "1", "end", "") "]}"), 422);
    CU_ASSERT_TRUE(fixture_says("\"event\":0,\"code\":\"unknown-device\""));
    CU_ASSERT_EQUAL(post("pat", "{\"patient\":\"P-2\",\"time\":\"2026-11-21T08:30:00Z\",\"events\":[" EVENT(
                                    "a", "1", "end", "") "]}"),
                    403);
}

/* Texts of any length that a tail holds are kept; longer ones are refused, never cut. */
static void test_events_long(void)
{
    char body[1200], class[520];
    fixture_forget();
    for (size_t size = 480; size < 519; size += 19) {
        memset(class, 'c', size);
        class[size] = '\0';
        snprintf(body, sizeof body, EVENTS(EVENT("%s", "1", "start", "")), class);
        CU_ASSERT_EQUAL(post("dev", body), size == 480 ? 200 : 422);
        CU_ASSERT_TRUE(fixture_says(size == 480 ? "{\"accepted\":1," : "\"event\":0,\"code\":\"malformed\""));
    }
}

static void test_vendor_shapes(void)
{
    static const char *const shapes[] = {
        "{\"body_weight\":{\"value\":50}}",
        "{\"Body\":{\"systolic\":\"123\"},\"Properties\":{},\"SystemProperties\":{}}",
        "{\"time\":\"2022-07-01T12:02:00Z\",\"device\":\"d\",\"patient\":\"p\",\"encounter\":\"e\","
        "\"heartRate\":66}",
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        CU_ASSERT_EQUAL(post("sys", shapes[i]), 422);
        CU_ASSERT_TRUE(fixture_says("\"code\":\"not-supported\""));
        CU_ASSERT_TRUE(fixture_reading(0)->verdict == VERDICT_NOT_SUPPORTED); /* counted */
    }
}

static void test_too_many(void)
{
    for (unsigned count = MESSAGE_READINGS_MAX; count <= MESSAGE_READINGS_MAX + 1; count++) {
        char *body = malloc(64 + count * 64u);
        size_t size =
            (size_t)sprintf(body, "{\"device\":\"SN-1\",\"time\":\"2026-11-21T08:30:00Z\",\"readings\":[");
        for (unsigned i = 0; i < count; i++)
            size += (size_t)sprintf(body + size, "%s{\"code\":\"2708-6\",\"value\":9%u.%u,\"unit\":\"%%\"}",
                                    i == 0 ? "" : ",", i % 10, i);
        sprintf(body + size, "]}");
        fixture_forget();
        CU_ASSERT_EQUAL(post("dev", body), count == MESSAGE_READINGS_MAX ? 200 : 422);
        CU_ASSERT_TRUE(
            fixture_says(count == MESSAGE_READINGS_MAX ? "{\"accepted\":" : "\"code\":\"too-many\""));
        free(body);
    }
    CU_ASSERT_EQUAL(fixture_reading(0)->verdict, VERDICT_TOO_MANY);
}

static void test_long_texts(void)
{
    char device[600], body[1024];
    memset(device, 'd', sizeof device);
    snprintf(body, sizeof body,
             "{\"patient\":\"P-1\",\"device\":\"%.560s\",\"time\":\"2026-11-21T08:30:00Z\",\"readings\":["
             "{\"code\":\"29463-7\",\"value\":70,\"unit\":\"kg\"}]}",
             device);
    refused("sys", body, "malformed", 422);
}

static void test_content_types(void)
{
    const struct {
        const char *type;
        bool taken;
    } rows[] = {{"application/json", true},
                {"application/json; charset=utf-8", true},
                {"Application/JSON;charset=\"UTF-8\"", true},
                {"application/jsonx", false},
                {"text/plain", false},
                {"application/json; charset=latin1", false},
                {"application/cbor", true},
                {"application/cbor-seq", false},
                {"", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CU_ASSERT_EQUAL(readings_take((struct slice){rows[i].type, strlen(rows[i].type)}), rows[i].taken);
}

/* Each number stands for its name: both in one map are one key twice; 8 stands for none. */
static void test_cbor_keys(void)
{
    static const char *const names[] = {"patient",    "device", "id",     "time",   "readings",
                                        "code",       "value",  "unit",   NULL,     "status",
                                        "comparator", "origin", "sensor", "events", "issued"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        char body[32];
        const char *name = names[i] == NULL ? "8" : names[i];
        int size =
            snprintf(body, sizeof body, "\xa2%c\xf6%c%s\xf6", (int)i, (int)(0x60 + strlen(name)), name);
        CU_ASSERT_EQUAL(fixture_send_cbor("dev", body, (size_t)size)->status, 400);
        CU_ASSERT_TRUE(fixture_says("a key that stands twice in one object"));
    }
}

/* What JSON does not have. */
static void test_cbor_values(void)
{
    static const struct {
        const char *value, *code; /* of weights in kg */
    } rows[] = {{"\xf7", "value-missing"},
                {"\x41\x01", "value-invalid"},
                {"\xd8\x20\x61\x31", "value-invalid"},
                {"\xa1\x01\x01", "value-invalid"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char body[64], fragment[64];
        int size = snprintf(body, sizeof body,
                            "\xa3\x67patient\x63P-1\x03\x01\x04\x81\xa3\x05\x67%s\x07\x62kg\x06%s", "29463-7",
                            rows[i].value);
        snprintf(fragment, sizeof fragment, "\"reading\":0,\"code\":\"%s\"", rows[i].code);
        CU_ASSERT_EQUAL(fixture_send_cbor("sys", body, (size_t)size)->status, 422);
        CU_ASSERT_TRUE(fixture_says(fragment));
    }
}

SUITE(readings) = {
    {"accepted", test_accepted},
    {"words", test_words},
    {"numbers", test_numbers},
    {"bands", test_bands},
    {"times", test_times},
    {"shapes", test_shapes},
    {"order of keys", test_order_of_keys},
    {"message id", test_message_id},
    {"several messages", test_several},
    {"answer", test_answer},
    {"events alone", test_events_alone},
    {"events and their identity", test_events_identity},
    {"events refused", test_events_refused},
    {"events of long texts", test_events_long},
    {"vendor shapes", test_vendor_shapes},
    {"too many", test_too_many},
    {"long texts", test_long_texts},
    {"content types", test_content_types},
    {"keys of CBOR", test_cbor_keys},
    {"values of CBOR", test_cbor_values},
    {NULL, NULL},
};
