/* quota: a second's worth at once, then as fast as configured; a source has its own, readings may overdraw.
 */
#include "daemon/ingest/quota.h"

#include "tests/unit/unit.h"

static const int64_t second = 1000000000;

/* Messages that come in between `from` and `to`, one tried every millisecond. */
static int let_in(struct quota *quota, const struct quota_rates *rates, int64_t source, int64_t from,
                  int64_t to)
{
    int count = 0;
    for (int64_t now = from; now < to; now += 1000000)
        count += quota_take_message(quota, rates, source, now) == 0;
    return count;
}

static void test_messages(void)
{
    struct quota *quota = quota_new();
    const struct quota_rates rates = {.messages = 10};
    int64_t start = 5 * second;
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(quota_take_message(quota, &rates, 1, start), 0);
    CU_ASSERT_EQUAL(quota_take_message(quota, &rates, 1, start), 1);
    CU_ASSERT_EQUAL(quota_take_message(quota, &rates, 2, start), 0); /* another source */
    CU_ASSERT_EQUAL(let_in(quota, &rates, 1, start, start + 10 * second), 99);
    /* silence saves up one second's worth, no more */
    CU_ASSERT_EQUAL(let_in(quota, &rates, 1, start + 100 * second, start + 101 * second), 10 + 9);
    quota_free(quota);
}

static void test_readings_overdraw(void)
{
    struct quota *quota = quota_new();
    const struct quota_rates rates = {.readings = 100};
    int64_t start = 5 * second;
    CU_ASSERT_EQUAL(quota_take_message(quota, &rates, 1, start), 0);
    quota_charge_readings(quota, &rates, 1, 1000, start); /* a backlog goes through and is paid by waiting */
    CU_ASSERT_EQUAL(quota_take_message(quota, &rates, 1, start), 10);
    CU_ASSERT_EQUAL(quota_take_message(quota, &rates, 1, start + 5 * second), 5);
    CU_ASSERT_EQUAL(quota_take_message(quota, &rates, 1, start + 10 * second), 0);
    quota_free(quota);
}

static void test_off_and_full(void)
{
    struct quota *quota = quota_new();
    const struct quota_rates off = {0}, one = {.messages = 1};
    CU_ASSERT_EQUAL(let_in(quota, &off, 1, second, 2 * second), 1000);
    CU_ASSERT_EQUAL(quota_take_message(NULL, &one, 1, second), 0);
    for (int64_t source = 1; source <= QUOTA_SOURCES_MAX + 1000; source++)
        CU_ASSERT_EQUAL(quota_take_message(quota, &one, source, second), 0);
    quota_free(quota);
}

SUITE(quota) = {
    {"a second's worth of messages, then the rate", test_messages},
    {"readings may overdraw", test_readings_overdraw},
    {"off; more sources than buckets", test_off_and_full},
    {NULL, NULL},
};
