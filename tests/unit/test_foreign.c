/* foreign: every kind of claim on what is not the source's, through the doors, counted once a message; then
 * the bounds of the trace: the first at once, repetitions once a minute, so many rows and no more. */
#include <stdio.h>
#include <string.h>

#include "daemon/base/instant.h"
#include "daemon/registry/foreign.h"
#include "tests/unit/ingest_fixture.h"
#include "tests/unit/unit.h"

static uint64_t counted(enum foreign_kind kind)
{
    return atomic_load(&fixture_loop()->counters->value[COUNTER_FOREIGN_DEVICE + (unsigned)kind]);
}

static uint64_t counted_all(void)
{
    uint64_t sum = 0;
    for (unsigned kind = 0; kind < FOREIGN_KINDS; kind++)
        sum += counted(kind);
    return sum;
}

/* Sends two readings of that message as the source; the claim that it was traced for, kind FOREIGN_KINDS
 * without one. */
static struct foreign_claim traced(const char *source, const char *who, int status)
{
    static const char form[] = "{%s,\"time\":\"2026-02-21T08:30:00Z\",\"readings\":["
                               "{\"code\":\"body-weight\",\"value\":70,\"unit\":\"kg\"},"
                               "{\"code\":\"heart-rate\",\"value\":70,\"unit\":\"/min\"}]}";
    struct loop_context *loop = fixture_loop();
    struct foreign_inbox *inbox = foreign_inbox_new();
    struct foreign_trace *trace = foreign_trace_new();
    struct rows *rows = rows_new();
    struct foreign_row row = {.claim = {.kind = FOREIGN_KINDS}};
    char body[400];
    uint64_t before = counted_all();
    snprintf(body, sizeof body, form, who);
    loop->foreign = inbox;
    fixture_forget();
    int found = fixture_send(source, "/v1/readings", body)->status;
    if (found != status)
        printf("%s says %s: %d\n", source, who, found);
    CU_ASSERT_EQUAL(found, status);
    loop->foreign = NULL;
    foreign_trace_take(trace, inbox, rows);
    bool any = foreign_trace_next(trace, 1000, false, &row);
    if (any)
        foreign_trace_written(trace, 1000);
    CU_ASSERT_EQUAL(counted_all() - before, any ? 1 : 0); /* once a message, not once a reading */
    CU_ASSERT_TRUE(!any || row.messages == 1);
    CU_ASSERT_FALSE(foreign_trace_next(trace, 1000, true, &row));
    foreign_trace_free(trace);
    foreign_inbox_free(inbox);
    rows_free(rows);
    return row.claim;
}

static void test_kinds(void)
{
    static const struct {
        const char *source, *who;
        int status;
        enum foreign_kind kind;
    } rows[] = {
        {"dev", "\"device\":\"SN-2\"", 403, FOREIGN_DEVICE},
        {"gw", "\"device\":\"example-devicemetric-cgm\"", 403, FOREIGN_DEVICE},
        {"pat", "\"device\":\"SN-2\"", 403, FOREIGN_DEVICE},
        {"pat", "\"patient\":\"P-2\"", 403, FOREIGN_PATIENT},
        {"gw", "\"device\":\"SN-9\"", 422, FOREIGN_DEVICE_ELSEWHERE},
        {"dev", "\"device\":\"SN-9\"", 422, FOREIGN_DEVICE_ELSEWHERE},
        {"sys", "\"patient\":\"P-9\"", 422, FOREIGN_PATIENT_ELSEWHERE},
        {"pat", "\"patient\":\"P-9\"", 422, FOREIGN_PATIENT_ELSEWHERE},
        {"other", "\"patient\":\"P-1\"", 422, FOREIGN_PATIENT_ELSEWHERE},
        {"dev", "\"patient\":\"P-2\"", 422, FOREIGN_MISMATCH},
        {"gw", "\"device\":\"SN-2\",\"patient\":\"P-1\"", 422, FOREIGN_MISMATCH},
        {"sys", "\"device\":\"SN-2\",\"patient\":\"P-1\"", 422, FOREIGN_MISMATCH},
        /* of nobody, or rightly: no claim */
        {"sys", "\"patient\":\"P-77\"", 422, FOREIGN_KINDS},
        {"gw", "\"device\":\"SN-77\"", 422, FOREIGN_KINDS},
        {"gw", "\"device\":\"SN-3\"", 422, FOREIGN_KINDS},
        {"sys", "\"patient\":\"P-2\",\"device\":\"SN-9\"", 200,
         FOREIGN_KINDS}, /* a text to this organisation */
        {"dev", "\"patient\":\"P-1\"", 200, FOREIGN_KINDS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CU_ASSERT_EQUAL(traced(rows[i].source, rows[i].who, rows[i].status).kind, rows[i].kind);
}

/* The hash is keyed and of the thing alone, whoever names it; ids of the source and the time go beside it. */
static void test_claim(void)
{
    struct loop_context *loop = fixture_loop();
    loop->engine_now_ms = 1234;
    struct foreign_claim gateway = traced("gw", "\"device\":\"SN-9\"", 422),
                         device = traced("dev", "\"device\":\"SN-9\"", 422),
                         person = traced("sys", "\"patient\":\"P-9\"", 422);
    CU_ASSERT_TRUE(gateway.claim == device.claim && gateway.claim != 0 && gateway.claim != person.claim);
    CU_ASSERT_NOT_EQUAL(gateway.source_id, device.source_id);
    CU_ASSERT_EQUAL(gateway.at_ms, 1234);
    loop->identifier_key[0] ^= 1;
    CU_ASSERT_NOT_EQUAL(traced("gw", "\"device\":\"SN-9\"", 422).claim, gateway.claim);
    loop->identifier_key[0] ^= 1;
}

/* Of an identifier the trace has the head of its hash in the registry. */
static void test_identifier_claim(void)
{
    static const char body[] =
        "{\"resourceType\":\"Observation\",\"status\":\"final\",\"subject\":{\"reference\":\"Patient/p1\"},"
        "\"code\":{\"coding\":[{\"system\":\"http://"
        "loinc.org\",\"code\":\"29463-7\"}]},\"effectiveDateTime\":"
        "\"2026-02-21T08:30:00Z\",\"valueQuantity\":{\"value\":70,\"system\":\"http://unitsofmeasure.org\","
        "\"code\":\"kg\"}}";
    struct loop_context *loop = fixture_loop();
    struct foreign_trace *trace = foreign_trace_new();
    struct rows *rows = rows_new();
    struct foreign_row row;
    uint8_t hash[SHA256_BYTES];
    char head[17], claim[17];
    loop->foreign = foreign_inbox_new();
    CU_ASSERT_EQUAL(fixture_send("other", "/fhir/Observation", body)->status, 422);
    foreign_trace_take(trace, loop->foreign, rows);
    CU_ASSERT_TRUE_FATAL(foreign_trace_next(trace, 0, false, &row));
    CU_ASSERT_EQUAL(row.claim.kind, FOREIGN_PATIENT_ELSEWHERE);
    registry_identifier_hash(loop->identifier_key, "Patient", 7, "p1", 2, hash);
    hex_format(hash, 8, head);
    snprintf(claim, sizeof claim, "%016llx", (unsigned long long)row.claim.claim);
    CU_ASSERT_STRING_EQUAL(claim, head);
    foreign_inbox_free(loop->foreign);
    loop->foreign = NULL;
    foreign_trace_free(trace);
    rows_free(rows);
}

struct bounds {
    struct foreign_inbox *inbox;
    struct foreign_trace *trace;
    struct rows *rows;
};

static void put(struct bounds *at, uint64_t claim, int64_t at_ms)
{
    foreign_inbox_put(at->inbox, &(struct foreign_claim){7, claim, at_ms, FOREIGN_MISMATCH});
}

/* Rows written at that time, and the messages that they stand for. */
static unsigned written(struct bounds *at, int64_t now_ms, bool all, uint64_t *ret_messages)
{
    struct foreign_row row;
    unsigned count = 0;
    *ret_messages = 0;
    foreign_trace_take(at->trace, at->inbox, at->rows);
    for (; foreign_trace_next(at->trace, now_ms, all, &row); count++) {
        *ret_messages += row.messages;
        foreign_trace_written(at->trace, now_ms);
    }
    return count;
}

static void test_bounds(void)
{
    struct bounds at = {foreign_inbox_new(), foreign_trace_new(), rows_new()};
    uint64_t messages, sum = 0;
    put(&at, 1, 10);
    CU_ASSERT_EQUAL(written(&at, 1000, false, &messages), 1);
    for (int i = 0; i < 100; i++)
        put(&at, 1, 20 + i);
    CU_ASSERT_EQUAL(written(&at, 2000, false, &messages), 0); /* repeated: waits for its minute */
    CU_ASSERT_EQUAL(written(&at, 60999, false, &messages), 0);
    CU_ASSERT_EQUAL(written(&at, 61000, false, &messages), 1);
    CU_ASSERT_EQUAL(messages, 100);
    /* A flood of claims, each another: 256 fit an inbox, the table has 256 rows, a minute 60. */
    for (uint64_t i = 0; i < 1000; i++)
        put(&at, 1000 + i, 200);
    unsigned rows = written(&at, 200000, false, &messages);
    sum += messages;
    CU_ASSERT_EQUAL(rows, 60 + 1); /* and one for the rest */
    for (uint64_t i = 0; i < 300; i++)
        put(&at, 5000 + i, 300);
    CU_ASSERT_EQUAL(written(&at, 210000, false, &messages), 0);
    rows = written(&at, 261000, false, &messages);
    sum += messages;
    CU_ASSERT_EQUAL(rows, 60 + 1);
    rows = written(&at, 262000, true, &messages); /* at a stop nothing waits */
    sum += messages;
    CU_ASSERT_TRUE(rows <= 256);
    CU_ASSERT_EQUAL(sum, 1300); /* nobody was forgotten */
    CU_ASSERT_EQUAL(written(&at, 400000, true, &messages), 0);
    foreign_inbox_free(at.inbox);
    foreign_trace_free(at.trace);
    rows_free(at.rows);
}

static void test_not_written_stays(void)
{
    struct bounds at = {foreign_inbox_new(), foreign_trace_new(), rows_new()};
    struct foreign_row row;
    put(&at, 1, 10);
    foreign_trace_take(at.trace, at.inbox, at.rows);
    CU_ASSERT_TRUE(foreign_trace_next(at.trace, 0, false, &row)); /* PostgreSQL went away here */
    put(&at, 1, 90);
    foreign_trace_take(at.trace, at.inbox, at.rows);
    CU_ASSERT_TRUE(foreign_trace_next(at.trace, 500000, false, &row));
    CU_ASSERT_TRUE(row.messages == 2 && row.claim.at_ms == 10 && row.last_ms == 90);
    CU_ASSERT_STRING_EQUAL(foreign_word(row.claim.kind), "mismatch");
    foreign_inbox_put(NULL, &row.claim);
    foreign_inbox_free(at.inbox);
    foreign_trace_free(at.trace);
    rows_free(at.rows);
}

SUITE(foreign) = {
    {"every kind, once a message", test_kinds},
    {"what is claimed, as a keyed hash", test_claim},
    {"an identifier's hash", test_identifier_claim},
    {"bounds of the trace", test_bounds},
    {"what is not written stays", test_not_written_stays},
    {NULL, NULL},
};
