/* model: tails, identities, tickets, commands, words. */
#include <string.h>

#include "daemon/model/alert_event.h"
#include "daemon/model/command.h"
#include "daemon/model/parameter.h"
#include "daemon/model/ticket.h"
#include "storage/journal.h"
#include "tests/unit/unit.h"

static void test_tail(void)
{
    uint8_t tail[TAIL_BYTES_MAX];
    char big[TAIL_BYTES_MAX];
    uint16_t size = 0;

    memset(big, 'x', sizeof(big));
    CU_ASSERT_TRUE(tail_put(tail, sizeof(tail), &size, TAIL_KEY_DEVICE, "SN-42", 5));
    CU_ASSERT_TRUE(tail_put(tail, sizeof(tail), &size, TAIL_TEXT, "", 0));
    CU_ASSERT_TRUE(tail_put(tail, sizeof(tail), &size, TAIL_UNIT, big, 300));
    CU_ASSERT_EQUAL(size, 5 + 300 + 9);
    CU_ASSERT_FALSE(tail_put(tail, sizeof(tail), &size, TAIL_CONTEXT, big, 196));
    CU_ASSERT_EQUAL(size, 5 + 300 + 9);
    CU_ASSERT_TRUE(tail_put(tail, sizeof(tail), &size, TAIL_CONTEXT, big, 195));
    CU_ASSERT_EQUAL(size, TAIL_BYTES_MAX);
    CU_ASSERT_FALSE(tail_put(tail, sizeof(tail), &size, TAIL_CODE, "", 0));
    struct slice device = tail_get(tail, size, TAIL_KEY_DEVICE), text = tail_get(tail, size, TAIL_TEXT);
    CU_ASSERT_TRUE(device.size == 5 && memcmp(device.data, "SN-42", 5) == 0);
    CU_ASSERT_TRUE(text.size == 0 && text.data != NULL);
    CU_ASSERT_EQUAL(tail_get(tail, size, TAIL_UNIT).size, 300);
    CU_ASSERT_PTR_NULL(tail_get(tail, size, TAIL_SENSOR).data);
}

/* Changes one thing of a reading; its id must change with it, or not. */
static void test_identity(void)
{
    const struct sip_key key = {1, 2};
    uint8_t tail[64];
    uint16_t size = 0;
    struct reading one = {.patient_id = 7,
                          .parameter = PARAMETER_BODY_WEIGHT,
                          .value = 71400000,
                          .measured_at_ms = 1795246200000},
                   two;

    CU_ASSERT_EQUAL_FATAL(parameter_init(), OK);
    CU_ASSERT_TRUE(tail_put(tail, sizeof(tail), &size, TAIL_KEY_DEVICE, "ab", 2));
    one.tail_size = size;
    reading_identify(&one, tail, &key);
    CU_ASSERT_EQUAL(one.reading_id[6] >> 4, 8);
    CU_ASSERT_EQUAL(one.reading_id[8] >> 6, 2);
    two = one;
    two.received_at_ms = 5; /* the message is no part of the measurement */
    two.alias_hash = 9;
    two.device_id = 3;
    reading_identify(&two, tail, &key);
    CU_ASSERT_EQUAL(memcmp(one.reading_id, two.reading_id, UUID_BYTES), 0);

    struct reading others[] = {one, one, one, one, one};
    others[0].patient_id++;
    others[1].parameter = PARAMETER_BODY_HEIGHT;
    others[2].value++;
    others[3].measured_at_ms++;
    others[4].comparator = COMPARATOR_LESS;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        reading_identify(&others[i], tail, &key);
        CU_ASSERT_NOT_EQUAL(memcmp(one.reading_id, others[i].reading_id, UUID_BYTES), 0);
    }
    /* device "a" with sensor "b" is not device "ab" */
    size = 0;
    CU_ASSERT_TRUE(tail_put(tail, sizeof(tail), &size, TAIL_KEY_DEVICE, "a", 1));
    CU_ASSERT_TRUE(tail_put(tail, sizeof(tail), &size, TAIL_SENSOR, "b", 1));
    two = one;
    two.tail_size = size;
    reading_identify(&two, tail, &key);
    CU_ASSERT_NOT_EQUAL(memcmp(one.reading_id, two.reading_id, UUID_BYTES), 0);
}

/* Reads the records of a ticket back; the last one's view. */
static uint32_t walk_rejected(const struct ticket *ticket, struct rejected_view *ret)
{
    uint32_t offset = 0;
    for (uint32_t i = 0; i < ticket->rejected.count; i++) {
        rejected_read(ticket->rejected_records + offset, ticket->rejected_size - offset, ret);
        offset += (uint32_t)rejected_size(&ret->head);
    }
    return offset;
}

static bool slice_says(struct slice slice, const char *text)
{
    return slice.size == strlen(text) && memcmp(slice.data, text, slice.size) == 0;
}

static void test_ticket_rejected(void)
{
    struct ticket_pool *pool = ticket_pool_new(1);
    struct ticket *ticket = ticket_get(pool);
    static char original[MESSAGE_BYTES_MAX];
    struct rejected_view view;
    struct rejection rejection = {.source_id = 7,
                                  .code = "unit-mismatch",
                                  .text = {"poids \xe9tag\xe8re\n", 14},
                                  .original = {"a\0b", 3}};
    CU_ASSERT_TRUE(ticket_reject(ticket, &rejection));
    rejection.code = "malformed";
    rejection.text.size = 0;
    rejection.original = (struct slice){NULL, 0};
    CU_ASSERT_TRUE(ticket_reject(ticket, &rejection));
    CU_ASSERT_EQUAL(walk_rejected(ticket, &view), ticket->rejected_size);
    CU_ASSERT_TRUE(slice_says(view.code, "malformed") && view.text.size == 0 && view.original.size == 0);
    ticket->rejected.count = 1;
    (void)walk_rejected(ticket, &view);
    CU_ASSERT_TRUE(view.head.source_id == 7 && slice_says(view.code, "unit-mismatch"));
    CU_ASSERT_TRUE(slice_says(view.text, "poids ?tag?re?"));
    CU_ASSERT_TRUE(view.original.size == 3 && memcmp(view.original.data, "a\0b", 3) == 0);

    /* Bounds: nothing is put beyond them, and what was put stands. */
    ticket_reject_nothing(ticket);
    memset(original, 'x', sizeof(original));
    rejection.text = (struct slice){original, 5000};
    rejection.original = (struct slice){original, MESSAGE_BYTES_MAX - 1};
    CU_ASSERT_TRUE(ticket_reject(ticket, &rejection));
    rejection.original.size = 2;
    CU_ASSERT_FALSE(ticket_reject(ticket, &rejection));
    rejection.original.size = 1;
    CU_ASSERT_TRUE(ticket_reject(ticket, &rejection));
    rejection.original.size = 0;
    while (ticket->rejected.count < MESSAGE_READINGS_MAX)
        CU_ASSERT_TRUE_FATAL(ticket_reject(ticket, &rejection));
    CU_ASSERT_FALSE(ticket_reject(ticket, &rejection));
    CU_ASSERT_EQUAL(walk_rejected(ticket, &view), ticket->rejected_size);
    CU_ASSERT_EQUAL(view.text.size, REJECTED_TEXT_BYTES_MAX);
    CU_ASSERT_TRUE(ticket->rejected_size < JOURNAL_TURN_BYTES_MAX / 3);

    /* A large buffer does not stay, and the next message begins without records. */
    ticket_put(pool, ticket);
    CU_ASSERT_PTR_NULL(ticket->rejected_records);
    CU_ASSERT_TRUE(ticket_get(pool)->rejected.count == 0 && ticket->rejected.job.kind == JOB_REJECTED);
    ticket_put(pool, ticket);
    ticket_pool_free(pool);
}

static void test_ticket(void)
{
    struct ticket_pool *pool = ticket_pool_new(2);
    struct ticket *ticket = ticket_get(pool), *other = ticket_get(pool);
    char text[16], big[500];

    CU_ASSERT_PTR_NULL(ticket_get(pool));
    memset(big, 'x', sizeof(big));
    for (uint32_t i = 0; i < MESSAGE_READINGS_MAX; i++) {
        struct reading *reading = ticket_add_reading(ticket);
        CU_ASSERT_PTR_NOT_NULL_FATAL(reading);
        reading->patient_id = i;
        int size = snprintf(text, sizeof(text), "D-%u", i);
        CU_ASSERT_TRUE(ticket_tail_put(ticket, reading, TAIL_KEY_DEVICE, text, (size_t)size));
        if (i % 3 == 0)
            CU_ASSERT_TRUE(ticket_tail_put(ticket, reading, TAIL_CONTEXT, big, 450));
        ticket_chain(ticket, i, i % 5);
    }
    CU_ASSERT_PTR_NULL(ticket_add_reading(ticket));
    uint32_t seen = 0;
    for (uint32_t shard = 0; shard < 5; shard++) {
        const struct part *part = &ticket->parts[shard];
        CU_ASSERT_EQUAL(part->count, MESSAGE_READINGS_MAX / 5);
        for (uint32_t i = part->first, expected = shard; i != READING_CHAIN_END; i = ticket->heads[i].next) {
            const struct reading *reading = &ticket->heads[i];
            struct slice device = tail_get(ticket_tail(ticket, reading), reading->tail_size, TAIL_KEY_DEVICE);
            int size = snprintf(text, sizeof(text), "D-%u", expected);
            CU_ASSERT_EQUAL_FATAL(i, expected);
            CU_ASSERT_TRUE_FATAL(device.size == (size_t)size && memcmp(device.data, text, device.size) == 0);
            expected += 5;
            seen++;
        }
    }
    CU_ASSERT_EQUAL(seen, MESSAGE_READINGS_MAX);
    CU_ASSERT_EQUAL(ticket->parts[5].first, READING_CHAIN_END);
    ticket_put(pool, ticket);
    CU_ASSERT_PTR_EQUAL(ticket_get(pool), ticket); /* the warm one comes first */
    CU_ASSERT_EQUAL(ticket->count, 0);
    CU_ASSERT_EQUAL(ticket->parts[0].count, 0);
    ticket_put(pool, ticket);
    ticket_put(pool, other);
    ticket_put(pool, NULL);
    ticket_pool_free(pool);
    ticket_pool_free(NULL);
}

static void test_commands(void)
{
    static const struct {
        const char *json;
        enum command_kind kind;
    } rows[] = {
        {"{\"command\":\"patient\",\"patient_id\":1}", COMMAND_PATIENT},
        {" { \"command\" : \"acknowledge\" }", COMMAND_ACKNOWLEDGE},
        {"{\"command\":\"show\"}", COMMAND_SHOW},
        {"{\"command\":\"sho\"}", COMMAND_COUNT},
        {"{\"x\":1,\"command\":\"show\"}", COMMAND_COUNT},
        {"{\"command\":\"show", COMMAND_COUNT},
        {"", COMMAND_COUNT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        CU_ASSERT_EQUAL(command_kind_of(rows[i].json, strlen(rows[i].json)), rows[i].kind);
    CU_ASSERT_STRING_EQUAL(command_word(COMMAND_CONFIRMATION), "confirmation");
    CU_ASSERT_TRUE(command_is_journaled(COMMAND_RULE));
    CU_ASSERT_FALSE(command_is_journaled(COMMAND_CLOCK));
}

static void test_words(void)
{
    CU_ASSERT_STRING_EQUAL(event_word(EVENT_DEESCALATED), "deescalated");
    CU_ASSERT_STRING_EQUAL(event_word(EVENT_CLOSED), "closed");
    CU_ASSERT_EQUAL(priority_from_word("high"), PRIORITY_HIGH);
    CU_ASSERT_EQUAL(priority_from_word("none"), PRIORITY_NONE);
    CU_ASSERT_EQUAL(priority_from_word("High"), PRIORITY_NONE);
    CU_ASSERT_STRING_EQUAL(priority_word(PRIORITY_MEDIUM), "medium");
    CU_ASSERT_STRING_EQUAL(alert_class_word(ALERT_SILENCE), "silence");
    CU_ASSERT_STRING_EQUAL(reading_status_text(STATUS_VOID), "void");
    CU_ASSERT_STRING_EQUAL(reading_comparator_text(COMPARATOR_GREATER), ">");
    CU_ASSERT_STRING_EQUAL(reading_origin_text(ORIGIN_CARER), "carer");
    CU_ASSERT_STRING_EQUAL(reading_quarantine_text(QUARANTINE_FUTURE), "future");
    CU_ASSERT_STRING_EQUAL(verdict_code(VERDICT_UNIT_MISMATCH), "unit-mismatch");
    CU_ASSERT_EQUAL(verdict_http(VERDICT_FORBIDDEN), 403);
    CU_ASSERT_STRING_EQUAL(verdict_issue(VERDICT_TOO_MANY), "too-costly");
}

SUITE(model) = {
    {"tails", test_tail},
    {"identity", test_identity},
    {"tickets", test_ticket},
    {"rejected records", test_ticket_rejected},
    {"commands", test_commands},
    {"words", test_words},
    {NULL, NULL},
};
