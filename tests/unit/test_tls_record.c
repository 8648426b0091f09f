/* tls_record: only whole records count, however the bytes come; what is none counts as whole. */
#include <string.h>

#include "daemon/ingest/tls_record.h"
#include "tests/unit/unit.h"

static size_t record(char *out, int type, size_t body)
{
    out[0] = (char)type;
    out[1] = 3;
    out[2] = 3;
    out[3] = (char)(body >> 8);
    out[4] = (char)body;
    memset(out + 5, 7, body);
    return 5 + body;
}

static void test_whole_records(void)
{
    static char data[40000];
    size_t first = record(data, 22, 300), second = first + record(data + first, 23, 16384 + 256);
    for (size_t size = 0; size <= second; size++) {
        size_t expected = size < first ? 0 : size < second ? first : second;
        if (tls_record_whole(data, size) != expected)
            CU_FAIL_FATAL("whole records were counted wrongly");
    }
    CU_ASSERT_EQUAL(tls_record_whole(data, second), second);
}

static void test_what_is_none(void)
{
    static char data[20];
    memcpy(data, "GET / HTTP/1.1\r\n\r\n", 18);
    CU_ASSERT_EQUAL(tls_record_whole(data, 1), 1);
    CU_ASSERT_EQUAL(tls_record_whole(data, 18), 18);
    (void)record(data, 23, 10);
    data[1] = 2;
    CU_ASSERT_EQUAL(tls_record_whole(data, 6), 6);
    (void)record(data, 22, 0);
    data[3] = (char)0xff; /* longer than any record: nobody waits for it */
    CU_ASSERT_EQUAL(tls_record_whole(data, 5), 5);
}

SUITE(tls_record) = {
    {"whole records are counted at every size", test_whole_records},
    {"what is no record is OpenSSL's to refuse", test_what_is_none},
    {NULL, NULL},
};
