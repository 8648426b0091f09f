/* admit: who may say what about whom: every kind of source against every kind of claim. */
#include <stdio.h>
#include <string.h>

#include "daemon/ingest/doors.h"
#include "tests/unit/ingest_fixture.h"
#include "tests/unit/unit.h"

/* Patient and device as named (NULL: not), the time; what comes of it: "" is accepted. */
static const struct admit_row {
    const char *source, *patient, *device, *time, *code;
    int status;
} rows[] = {
    {"dev", NULL, NULL, "2026-11-21T08:00:00Z", "", 200},
    {"dev", "P-1", "SN-1", "2026-11-21T08:00:00Z", "", 200},
    {"dev", "P-1", NULL, "2026-11-21T08:00:00Z", "", 200},
    {"dev", NULL, "SN-2", "2026-11-21T08:00:00Z", "forbidden", 403},
    {"dev", NULL, "SN-9", "2026-11-21T08:00:00Z", "unknown-device", 422},
    {"dev", NULL, "nope", "2026-11-21T08:00:00Z", "unknown-device", 422},
    {"dev", "P-2", NULL, "2026-11-21T08:00:00Z", "patient-mismatch", 422},
    {"dev", "P-9", NULL, "2026-11-21T08:00:00Z", "unknown-patient", 422},
    {"gw", NULL, "SN-1", "2026-11-21T08:00:00Z", "", 200},
    {"gw", NULL, NULL, "2026-11-21T08:00:00Z", "unknown-device", 422},
    {"gw", "P-1", NULL, "2026-11-21T08:00:00Z", "unknown-device", 422},
    {"gw", NULL, "SN-3", "2026-11-21T08:00:00Z", "not-assigned", 422},
    {"gw", NULL, "SN-4", "2020-06-01T08:00:00Z", "", 200},
    {"gw", NULL, "SN-4", "2021-06-01T08:00:00Z", "not-assigned", 422},
    {"gw", NULL, "SN-4", "2020-12-31T23:59:59.999Z", "", 200},
    {"gw", NULL, "SN-4", "2021-01-01T00:00:00Z", "not-assigned", 422},
    {"gw", NULL, "SN-4", "2020-01-01", "", 200}, /* noon counts */
    {"gw", NULL, "SN-4", "2019-12-31", "not-assigned", 422},
    {"gw", NULL, "SN-2", "2025-12-31T23:00:00Z", "", 200},
    {"gw", NULL, "SN-2", "2025-12-31T22:59:59.999Z", "not-assigned", 422},
    {"gw", NULL, "SN-2", "2026-01-01", "", 200},
    {"gw", NULL, "SN-2", "2025-12-31", "not-assigned", 422},
    {"gw", "P-1", "SN-2", "2026-11-21T08:00:00Z", "patient-mismatch", 422},
    {"gw", NULL, "example-glucometer-metric", "2026-11-21T08:00:00Z", "forbidden", 403},
    {"sys", "P-1", NULL, "2026-11-21T08:00:00Z", "", 200},
    {"sys", "P-1", "whatever", "2026-11-21T08:00:00Z", "", 200},
    {"sys", NULL, "SN-1", "2026-11-21T08:00:00Z", "", 200},
    {"sys", "P-2", "SN-1", "2026-11-21T08:00:00Z", "patient-mismatch", 422},
    {"sys", NULL, NULL, "2026-11-21T08:00:00Z", "unknown-patient", 422},
    {"sys", NULL, "nope", "2026-11-21T08:00:00Z", "unknown-patient", 422},
    {"sys", "P-9", NULL, "2026-11-21T08:00:00Z", "unknown-patient", 422},
    {"sys", "p1", NULL, "2026-11-21T08:00:00Z", "unknown-patient", 422},
    {"sys", "P-3", NULL, "2026-02-28T23:59:59Z", "", 200},
    {"sys", "P-3", NULL, "2026-03-01T00:00:00Z", "not-assigned", 422},
    {"other", "P-9", NULL, "2026-11-21T08:00:00Z", "", 200},
    {"other", "P-1", NULL, "2026-11-21T08:00:00Z", "unknown-patient", 422},
    {"other", "P-9", "SN-1", "2026-11-21T08:00:00Z", "",
     200}, /* another organisation's: text, like any unknown one */
    {"pat", NULL, NULL, "2026-11-21T08:00:00Z", "", 200},
    {"pat", "P-1", NULL, "2026-11-21T08:00:00Z", "", 200},
    {"pat", "P-2", NULL, "2026-11-21T08:00:00Z", "forbidden", 403},
    {"pat", "P-9", NULL, "2026-11-21T08:00:00Z", "unknown-patient", 422},
    {"pat", NULL, "SN-1", "2026-11-21T08:00:00Z", "", 200},
    {"pat", NULL, "SN-2", "2026-11-21T08:00:00Z", "forbidden", 403},
    {"pat", NULL, "SN-3", "2026-11-21T08:00:00Z", "not-assigned", 422},
};

static size_t put(char *out, size_t room, const char *key, const char *value)
{
    return value == NULL ? 0 : (size_t)snprintf(out, room, "\"%s\":\"%s\",", key, value);
}

static void check(const struct admit_row *row, size_t index)
{
    char body[512], code[64];
    size_t size = (size_t)snprintf(body, sizeof body, "{");
    size += put(body + size, sizeof body - size, "patient", row->patient);
    size += put(body + size, sizeof body - size, "device", row->device);
    size += put(body + size, sizeof body - size, "time", row->time);
    snprintf(body + size, sizeof body - size,
             "\"readings\":[{\"code\":\"29463-7\",\"value\":70,\"unit\":\"kg\"}]}");
    fixture_forget();
    int status = fixture_send(row->source, "/v1/readings", body)->status;
    snprintf(code, sizeof code, "\"code\":\"%s\"", row->code);
    if (status != row->status || (row->code[0] != '\0') != fixture_says(code)) {
        printf("row %zu: %s -> %d %s\n", index, body, status, fixture_text());
        CU_FAIL("admitted otherwise than expected");
    }
}

static void test_rows(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check(&rows[i], i);
}

#define BODY(device)                                                                                         \
    "{\"patient\":\"P-1\"," device                                                                           \
    "\"time\":\"2026-11-21T08:00:00Z\",\"readings\":[{\"code\":\"29463-7\",\"value\":70,\"unit\":\"kg\"}]}"

static void test_key_device(void)
{
    fixture_forget();
    fixture_send("sys", "/v1/readings", BODY(""));
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_KEY_DEVICE, "sys") && fixture_reading(0)->device_id == 0);
    CU_ASSERT_EQUAL(fixture_reading(0)->flags & FLAG_DEVICE_TEXT, 0);
    fixture_send("sys", "/v1/readings", BODY("\"device\":\"scale at home\","));
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_KEY_DEVICE, "scale at home") &&
                   fixture_reading(0)->device_id == 0);
    CU_ASSERT_TRUE(fixture_reading(0)->flags & FLAG_DEVICE_TEXT);
    fixture_send("sys", "/v1/readings", BODY("\"device\":\"SN-1\","));
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_KEY_DEVICE, "SN-1") && fixture_reading(0)->device_id == 11);
    CU_ASSERT_EQUAL(fixture_reading(0)->flags & FLAG_DEVICE_TEXT, 0);
}

/* One id for one measurement, whoever brings it and in which unit; an alias is the source's own. */
static void test_identity(void)
{
    uint8_t id[UUID_BYTES];
    uint64_t alias;
    fixture_forget();
    fixture_send("dev", "/v1/readings",
                 "{\"id\":\"a\",\"time\":\"2026-11-21T08:00:00Z\",\"readings\":[{\"code\":\"29463-7\","
                 "\"value\":70,\"unit\":\"kg\"}]}");
    memcpy(id, fixture_reading(0)->reading_id, sizeof id);
    alias = fixture_reading(0)->alias_hash;
    CU_ASSERT_TRUE(alias != 0 && (id[6] >> 4) == 8);
    fixture_send("gw", "/v1/readings",
                 "{\"device\":\"SN-1\",\"id\":\"a\",\"time\":\"2026-11-21T09:00:00+01:00\",\"readings\":[{"
                 "\"code\":\"mdc:188736\",\"value\":7e4,\"unit\":\"g\"}]}");
    CU_ASSERT_EQUAL(fixture_reading(0)->verdict, VERDICT_DUPLICATE);
    CU_ASSERT_TRUE(memcmp(id, fixture_reading(0)->reading_id, sizeof id) == 0);
    CU_ASSERT_NOT_EQUAL(alias, fixture_reading(0)->alias_hash);
    fixture_send("dev", "/v1/readings",
                 "{\"time\":\"2026-11-21T08:00:00.001Z\",\"readings\":[{\"code\":\"29463-7\",\"value\":70,"
                 "\"unit\":\"kg\"}]}");
    CU_ASSERT_TRUE(memcmp(id, fixture_reading(0)->reading_id, sizeof id) != 0);
    CU_ASSERT_EQUAL(fixture_reading(0)->alias_hash, 0);
}

/* Each admitted reading is in the chain of its patient's shard, once. */
static void test_chains(void)
{
    fixture_forget();
    struct exchange *exchange =
        fixture_send("sys", "/v1/readings",
                     "[{\"patient\":\"P-1\",\"time\":\"2026-11-21T08:00:00Z\",\"readings\":[{\"code\":"
                     "\"29463-7\",\"value\":70,\"unit\":\"kg\"},{\"code\":\"x\"},"
                     "{\"code\":\"8867-4\",\"value\":70,\"unit\":\"/"
                     "min\"}]},{\"patient\":\"P-2\",\"time\":\"2026-11-21T08:00:00Z\",\"readings\":"
                     "[{\"code\":\"29463-7\",\"value\":70,\"unit\":\"kg\"}]}]");
    const struct ticket *ticket = exchange->ticket;
    uint32_t chained = 0;
    for (uint32_t shard = 0; shard < fixture_loop()->shards; shard++)
        for (uint32_t i = ticket->parts[shard].first; i != READING_CHAIN_END;
             i = ticket->heads[i].next, chained++)
            CU_ASSERT_EQUAL(ticket_shard(ticket->heads[i].patient_id, fixture_loop()->shards), shard);
    CU_ASSERT_EQUAL(ticket->count, 4);
    CU_ASSERT_EQUAL(chained, 3);
    CU_ASSERT_EQUAL(ticket->heads[1].verdict, VERDICT_UNKNOWN_CODE);
}

SUITE(admit) = {
    {"sources and claims", test_rows},
    {"key device", test_key_device},
    {"identity", test_identity},
    {"chains", test_chains},
    {NULL, NULL},
};
