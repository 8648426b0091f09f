/* hl7_ack: table H8, and what an acknowledgement says. */
#include <stdio.h>
#include <string.h>

#include "daemon/ingest/hl7/hl7.h"
#include "tests/unit/hl7_fixture.h"
#include "tests/unit/unit.h"

/* The letters of MSA-1 for what is stored, wrong in its content, refused; "" for nothing. */
static const struct {
    const char *accept, *application, *letters[3];
} rows[] = {
    {"", "", {"AA", "AE", "AR"}},   {"AL", "NE", {"CA", "CE", "CR"}}, {"NE", "AL", {"AA", "AE", "AR"}},
    {"NE", "NE", {"", "", ""}},     {"AL", "AL", {"CA", "CE", "CR"}}, {"AL", "", {"CA", "CE", "CR"}},
    {"ER", "NE", {"", "CE", "CR"}}, {"SU", "NE", {"CA", "", ""}},     {"", "AL", {"AA", "AE", "AR"}},
    {"", "ER", {"", "AE", "AR"}},   {"", "SU", {"AA", "", ""}},       {"", "NE", {"", "", ""}},
    {"NE", "", {"", "", ""}},       {"al", "ne", {"CA", "CE", "CR"}}, {"??", "NE", {"CA", "CE", "CR"}},
};

static void test_table(void)
{
    static const struct {
        const char *type, *rest;
    } messages[] = {{"ORU^R01", PID OBR SPO2}, {"ORU^R01", "PID|||nobody\n" OBR SPO2}, {"ADT^A01", PID}};
    char message[1024], wanted[32];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t k = 0; k < 3; k++) {
            fixture_forget();
            snprintf(message, sizeof message,
                     "MSH|^~\\&|DEV||||20260726120000+0200||%s|C-1|P|2.6|||%s|%s\n%s", messages[k].type,
                     rows[i].accept, rows[i].application, messages[k].rest);
            const char *ack = hl7_send("sys", message);
            snprintf(wanted, sizeof wanted, "MSA|%s|C-1\n", rows[i].letters[k]);
            CU_ASSERT_EQUAL(hl7_good(), k == 0);
            if (*rows[i].letters[k] == '\0' ? *ack != '\0' : !hl7_says(ack, wanted, NULL)) {
                printf("row %zu, outcome %zu\n", i, k);
                CU_FAIL("another acknowledgement");
            }
        }
}

/* Who wants no answer is told nothing: what is refused is kept. */
static void test_kept_when_untold(void)
{
    hl7_send("sys", MSH_OF("ORU^R01", "P", "2.6", "|||NE|NE") "PID|||nobody\n" OBR SPO2);
    struct exchange *exchange =
        fixture_send_as("sys", FIXTURE_HL7, NULL, "MSH|^~\\&|||||||||||||NE|NE\r", 26);
    CU_ASSERT_EQUAL(exchange->ticket->rejected.count, 1);
    CU_ASSERT_EQUAL(exchange->out.size, 0);
    static const char told[] = "MSH|^~\\&|D||||20260726120000+0200||ORU^R01|C-1|P|2.6\rPID|||nobody\r"
                               "OBR|1||||||20260726120500+0200\rOBX|2|NM|150456^^MDC|1|97|262688^^MDC\r";
    exchange = fixture_send_as("sys", FIXTURE_HL7, NULL, told, sizeof told - 1);
    CU_ASSERT_TRUE(fixture_says("MSA|AE|C-1\r"));
    CU_ASSERT_EQUAL(exchange->ticket->rejected.count, 0);
}

static void test_mixed(void)
{
    static const char mixed[] =
        "MSH|^~\\&|D||||20260726120000+0200||ORU^R01|C-1|P|2.6\rPID|||12345\r"
        "OBR|1||||||20260726120500+0200\r"
        "OBX|1|NM|150456^^MDC|1|97|262688^^MDC|||||F\rOBX|2|NM|150456^^MDC|1|9x|262688^^MDC\r";
    struct exchange *exchange = fixture_send_as("sys", FIXTURE_HL7, NULL, mixed, sizeof mixed - 1);
    CU_ASSERT_TRUE(fixture_says("MSA|AA|C-1\r"));
    CU_ASSERT_TRUE(fixture_says("ERR||OBX^2^5|102^Data type error^HL70357|W|value-invalid^"));
    CU_ASSERT_EQUAL(exchange->ticket->rejected.count, 1);
    struct rejected_view view;
    rejected_read(exchange->ticket->rejected_records, exchange->ticket->rejected_size, &view);
    static const char row[] = "OBX|2|NM|150456^^MDC|1|9x|262688^^MDC";
    CU_ASSERT_EQUAL_FATAL(view.original.size, sizeof row - 1);
    CU_ASSERT_EQUAL(memcmp(view.original.data, row, sizeof row - 1), 0);
}

static void test_headers(void)
{
    static const struct {
        const char *message, *first, *second;
    } cases[] = {
        {"", "MSA|AR|\n", "ERR||MSH^1|100^Segment sequence error^HL70357|E|malformed^"},
        {"PID|||1\n", "MSA|AR|\n", "|100^"},
        {MSH_OF("ADT^A01^ADT_A01", "D", "2.5", ""), "||ACK^A01^ACK|",
         "ERR||MSH^1^9|200^Unsupported message type"},
        {MSH_OF("ORU^R30", "P", "2.6", ""), "MSA|AR|C-1\n", "ERR||MSH^1^9|201^"},
        {MSH_OF("ORU^R01", "P", "2.2", ""), "MSA|AR|C-1\n", "ERR||MSH^1^12|203^"},
        {MSH_OF("ORU^R01", "P", "", ""), "MSA|AR|C-1\n", "ERR||MSH^1^12|203^"},
        {MSH_OF("ORU^R01", "", "2.6", ""), "MSA|AR|C-1\n", "ERR||MSH^1^11|202^"},
        {MSH_OF("ORU^R01", "P", "2.6", "||||||UNICODE UTF-16"), "MSA|AE|C-1\n", "ERR||MSH^1^18|103^"},
        {"MSH|^~\\&|D||||20260726120000||ORU^R01||P|2.6\n", "MSA|AE|\n",
         "ERR||MSH^1^10|101^Required field missing"},
        {"MSH|^~\\&|APP^1^EUI-64|FAC|ME|HERE|20260726120000||ORU^R01^ORU_R01|X2|P|2.5^FRA^2.11||||||8859/1\n",
         "MSH|^~\\&|ME|HERE|APP^1^EUI-64|FAC|19700101000000.000+0000||ACK^R01^ACK|",
         "|P|2.5^FRA^2.11||||||8859/1\nMSA|AA|X2\n"},
        {"MSH$%*!@$A%B$$$$20260726120000$$ORU%R01$C$P$2.6\n", "MSH|^~\\&|VIGIE||A^B|", "MSA|AA|C\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CU_ASSERT_TRUE(hl7_says(hl7_send("sys", cases[i].message), cases[i].first, cases[i].second));
}

static void test_network_side(void)
{
    static const struct exchange_fault busy = {503, "overloaded", "try again"},
                                       large = {413, "too-large", "1 MiB"};
    char body[] = "MSH|^~\\&|D||||||ORU^R01|C-9|P|2.6|||AL|NE\rPID";
    struct exchange exchange = {.body = body, .body_size = sizeof body - 1};
    hl7_refuse(fixture_loop(), &exchange, &busy);
    buffer_append(&exchange.out, "", 1);
    CU_ASSERT_EQUAL(exchange.status, 503);
    CU_ASSERT_PTR_NOT_NULL(strstr(exchange.out.data,
                                  "MSA|CR|C-9\rERR|||207^Application internal error^HL70357|E|"
                                  "overloaded^try again^99VIGIE\r"));
    hl7_refuse(fixture_loop(), &exchange, &large);
    buffer_append(&exchange.out, "", 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(exchange.out.data, "MSA|CE|C-9\rERR|||102^"));
    buffer_deinit(&exchange.out);
}

SUITE(hl7_ack) = {
    {"which acknowledgement is wanted", test_table},
    {"what nobody is told is kept", test_kept_when_untold},
    {"refused beside good", test_mixed},
    {"headers", test_headers},
    {"words of the network side", test_network_side},
    {NULL, NULL},
};
