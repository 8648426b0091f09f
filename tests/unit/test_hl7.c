/* hl7: rows of ORU^R01 and ORU^R40 through decoder, admission and answer. */
#include "daemon/ingest/hl7/hl7.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/instant.h"
#include "tests/unit/hl7_fixture.h"
#include "tests/unit/unit.h"

static int64_t at(const char *text)
{
    struct instant_parsed parsed;
    CU_ASSERT_EQUAL_FATAL(instant_parse(text, strlen(text), &parsed), INSTANT_GOOD);
    return parsed.ms;
}

/* One row under patient and order, and what becomes of it: the reading's fields or the refusal. */
static const struct row {
    const char *obx;
    const char *ack;  /* "CA", or a fragment of the acknowledgement */
    const char *text; /* of value; NULL: no reading */
    int64_t value;    /* millionths */
    enum reading_status status;
    enum comparator comparator;
} rows[] = {
#define HR  "147842^MDC_ECG_HEART_RATE^MDC|1.2.1"
#define BPM "264864^MDC_DIM_BEAT_PER_MIN^MDC"
    {"OBX|1|NM|" HR "|89|" BPM "|||||F", "MSA|CA|", "89", 89000000, STATUS_FINAL, 0},
    {"OBX|1|NM|" HR "|+089.50|" BPM "|||||F", "MSA|CA|", "+089.50", 89500000, STATUS_FINAL, 0},
    {"OBX|1|NM|" HR "| 89. |" BPM "|||||f", "MSA|CA|", " 89. ", 89000000, STATUS_FINAL, 0},
    {"OBX|1|NM|" HR "|89|" BPM "|||||R", "MSA|CA|", "89", 89000000, STATUS_PRELIMINARY, 0},
    {"OBX|1|NM|" HR "|89|" BPM "|||||p", "MSA|CA|", "89", 89000000, STATUS_PRELIMINARY, 0},
    {"OBX|1|NM|" HR "|89|" BPM "|||||C", "MSA|CA|", "89", 89000000, STATUS_CORRECTED, 0},
    {"OBX|1|NM|" HR "|89|" BPM "|||||D", "MSA|CA|", "89", 89000000, STATUS_VOID, 0},
    {"OBX|1|NM|" HR "|89|" BPM "|||||W", "MSA|CA|", "89", 89000000, STATUS_VOID, 0},
    {"OBX|1|NM|" HR "|89|" BPM "", "MSA|CA|", "89", 89000000, STATUS_FINAL, 0},
    {"OBX|1|SN|" HR "|>^89|" BPM "|||||F", "MSA|CA|", "89", 89000000, STATUS_FINAL, COMPARATOR_GREATER},
    {"OBX|1|SN|" HR "|^89|" BPM "|||||F", "MSA|CA|", "89", 89000000, STATUS_FINAL, 0},
    {"OBX|1|ST|" HR "|<=89|" BPM "|||||F", "MSA|CA|", "89", 89000000, STATUS_FINAL, COMPARATOR_LESS},
    {"OBX|1|NM|" HR "|89|" BPM "||<|||F", "MSA|CA|", "89", 89000000, STATUS_FINAL, COMPARATOR_LESS},
    {"OBX|1|NM|" HR "|89|/min^/min^UCUM|||||F", "MSA|CA|", "89", 89000000, STATUS_FINAL, 0},
    {"OBX|1|NM|" HR "|89|/min|||||F", "MSA|CA|", "89", 89000000, STATUS_FINAL, 0},
    {"OBX|1|NM|x^y^99X^8867-4^HR^LN|1|89|/min|||||F", "MSA|CA|", "89", 89000000, STATUS_FINAL, 0},
    {"OBX|1|NM|150344^MDC_TEMP^MDC|1|98.6|268160^MDC_DIM_FAHR^MDC|||||F", "|0^Message accepted^HL70357|W|",
     "98.6", 37000000, STATUS_FINAL, 0},
    {"OBX|1|NM|150017^MDC_PRESS_BLD_NONINV_SYS^MDC|1|128|266016^MDC_DIM_MMHG^MDC|||||F",
     "ERR||OBX^1^3|0^Message accepted^HL70357|W|", "128", 128000000, STATUS_FINAL, 0},
    {"OBX|1|NM|188736^MDC_MASS_BODY_ACTUAL^MDC|1|0|263875^^MDC|||||D", "MSA|CA|", "0", 0, STATUS_VOID, 0},
    /* refused */
    {"OBX|1|NM|150021^MDC_PULS_OXIM_SAT_O2^MDC|1|98|262688^^MDC|||||F",
     "|unknown-code^the code and its reference identifier name two different things^", NULL, 0, 0, 0},
    {"OBX|1|NM|150344^MDC_TEMP^MDC|1|98.6|268192^MDC_DIM_FAHR^MDC|||||F", "|unit-mismatch^", NULL, 0, 0, 0},
    {"OBX|1|NM|" HR "|89||||||F", "ERR||OBX^1^6|101^Required field missing^HL70357|E|unit-missing^", NULL, 0,
     0, 0},
    {"OBX|1|NM|" HR "|89|bpm|||||F", "ERR||OBX^1^6|103^", NULL, 0, 0, 0},
    {"OBX|1|NM|" HR "|89|/min^^ISO+|||||F", "ERR||OBX^1^6|103^", NULL, 0, 0, 0},
    {"OBX|1|NM|" HR "|89|kg^^UCUM|||||F", "|unit-mismatch^", NULL, 0, 0, 0},
    {"OBX|1|NM|" HR "|1e2|" BPM "|||||F", "ERR||OBX^1^5|102^Data type error^HL70357|E|value-invalid^", NULL,
     0, 0, 0},
    {"OBX|1|NM|" HR "|89~90|" BPM "|||||F", "|value-invalid^", NULL, 0, 0, 0},
    {"OBX|1|SN|" HR "|^89^-^90|" BPM "|||||F", "|value-invalid^", NULL, 0, 0, 0},
    {"OBX|1|SN|" HR "|<>^89|" BPM "|||||F", "|value-invalid^", NULL, 0, 0, 0},
    {"OBX|1|ST|" HR "|high|" BPM "|||||F", "|value-invalid^", NULL, 0, 0, 0},
    {"OBX|1|TX|" HR "|89|" BPM "|||||F", "|value-invalid^", NULL, 0, 0, 0},
    {"OBX|1|NM|" HR "|89|" BPM "|||||Q",
     "ERR||OBX^1^11|103^Table value not found^HL70357|E|status-unsupported^", NULL, 0, 0, 0},
    {"OBX|1|NM|" HR "||" BPM "|||||D", "|value-missing^", NULL, 0, 0, 0},
    {"OBX|1|NM|150468^MDC_PULS_OXIM_SAT_O2_DIFF^MDC|1|0|262688^^MDC|||||F", "ERR||OBX^1^3|103^", NULL, 0, 0,
     0},
    {"OBX|1|NM|" HR "|89|" BPM "|||||F|||2026", "ERR||OBX^1^14|102^Data type error^HL70357|E|malformed^",
     NULL, 0, 0, 0},
    {"OBX|1|NM|" HR "|89|" BPM "|||||F|||20260231120000+0100", "|malformed^", NULL, 0, 0, 0},
    /* skipped */
    {"OBX|1|NM|" HR "||" BPM "|||||F", "MSA|CA|C-1\n", NULL, 0, 0, 0},
    {"OBX|1|NM|" HR "|\"\"|" BPM "|||||F", "MSA|CA|C-1\n", NULL, 0, 0, 0},
    {"OBX|1|NM|" HR "|89|" BPM "|||||x", "MSA|CA|C-1\n", NULL, 0, 0, 0},
    {"OBX|1|NM|" HR "|89|" BPM "|||||I", "MSA|CA|C-1\n", NULL, 0, 0, 0},
    {"OBX|1|NM|" HR "|89|" BPM "||NAV|||F", "MSA|CA|C-1\n", NULL, 0, 0, 0},
    {"OBX|1|NM|" HR "|89|" BPM "||H~INV|||F", "MSA|CA|C-1\n", NULL, 0, 0, 0},
    {"OBX|1|NM|" HR "|89|" BPM "||DEMO|||F", "MSA|CA|C-1\n", NULL, 0, 0, 0},
    {"OBX|1|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1|8388607|262688^^MDC|||||F", "MSA|CA|C-1\n", NULL, 0, 0, 0},
    {"OBX|1|NM|188736^MDC_MASS_BODY_ACTUAL^MDC|1|0.0|263875^^MDC|||||F", "MSA|CA|C-1\n", NULL, 0, 0, 0},
    {"OBX|1|NM|160324^MDC_SPO2_SIGNAL_QUALITY_INDEX^MDC|1|3.5|262688^^MDC|||||F", "MSA|CA|C-1\n", NULL, 0, 0,
     0},
    {"OBX|1|CNE|2453^COMEN_POS_BODY^99COMEN|1|2821^SIT^99COMEN||||||F", "MSA|CA|C-1\n", NULL, 0, 0, 0},
};

static void check_reading(const struct row *row, const char *ack)
{
    const struct reading *reading = fixture_reading(0);
    CU_ASSERT_EQUAL(reading->value, row->value);
    CU_ASSERT_EQUAL(reading->status, row->status);
    CU_ASSERT_EQUAL(reading->comparator, row->comparator);
    CU_ASSERT_EQUAL(reading->patient_id, 1);
    CU_ASSERT_EQUAL(reading->issued_ms, row->status == STATUS_CORRECTED || row->status == STATUS_VOID
                                            ? at("2026-07-26T12:00:00+02:00")
                                            : INSTANT_NONE);
    if (!fixture_tail_is(0, TAIL_TEXT, row->text))
        printf("row %s: another text\n%s", row->obx, ack);
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_TEXT, row->text));
}

static void test_rows(void)
{
    char message[1024];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture_forget();
        snprintf(message, sizeof message, "%s%s%s%s\n", MSH, PID, OBR, rows[i].obx);
        const char *ack = hl7_send("sys", message);
        if (!hl7_says(ack, rows[i].ack, NULL) || hl7_good() != (rows[i].text != NULL)) {
            printf("row %zu: %s\n", i, rows[i].obx);
            CU_FAIL("otherwise than expected");
        } else if (rows[i].text != NULL) {
            check_reading(&rows[i], ack);
        }
    }
}

/* A time, where it comes from, and the context that tells so. */
static void test_times(void)
{
    static const struct {
        const char *obr, *rows, *own, *time, *context;
    } cases[] = {
        {"20260726120500+0200", "", "20260726110000+0100", "2026-07-26T10:00:00Z", ""},
        {"20260726120500+0200", "", "", "2026-07-26T10:05:00Z", ""},
        {"20260726120500+0200", "", "20260726120400", "2026-07-26T10:04:00Z",
         "{\"time_offset\":\"inherited\"}"},
        {"20260726120500-0000", "", "", "2026-07-26T12:05:00Z", "{\"time_offset\":\"unknown\"}"},
        {"20260726120500", "", "", "2026-07-26T10:05:00Z", "{\"time_offset\":\"inherited\"}"},
        {"20260726120500+0200",
         "OBX|1||69965^MDC_DEV^MDC|1.0.0.0|||||||X|||20260726120300+0200\n"
         "OBX|2||70686^MDC_VMD^MDC|1.2.0.0|||||||X|||20260726120200+0200\n"
         "OBX|3||70686^MDC_VMD^MDC|1.3.0.0|||||||X|||20260726120100+0200\n",
         "", "2026-07-26T10:02:00Z", ""},
        {"20260726120500+0200",
         "OBX|1||69965^MDC_DEV^MDC|1.0.0.0|||||||X|||20260726120300+0400\n"
         "OBX|2||70686^MDC_VMD^MDC|1.2.0.0|||||||X|||20260726120200\n",
         "", "2026-07-26T08:02:00Z", "{\"time_offset\":\"inherited\"}"},
        {"20260726120500+0200", "OBX|1||69965^MDC_DEV^MDC|1.|||||||X|||20260726120300+0200\n", "",
         "2026-07-26T10:05:00Z", ""},
        {"", "", "", NULL, "ERR||OBX^1^14|101^Required field missing^HL70357|E|time-missing^"},
        {"20260726", "", "", "2026-07-25T22:00:00Z", ""},
    };
    char message[2048];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_forget();
        snprintf(message, sizeof message,
                 MSH PID "OBR|1||||||%s\n%sOBX|9|NM|" HR ".4|89|" BPM "|||||F|||%s\n", cases[i].obr,
                 cases[i].rows, cases[i].own);
        const char *ack = hl7_send("sys", message);
        if (cases[i].time == NULL) {
            CU_ASSERT_TRUE(hl7_says(ack, cases[i].context, NULL));
            continue;
        }
        if (hl7_good() != 1 || fixture_reading(0)->measured_at_ms != at(cases[i].time) ||
            !fixture_tail_is(0, TAIL_CONTEXT, cases[i].context)) {
            printf("case %zu: %s", i, ack);
            CU_FAIL("another time");
        }
    }
}

static void test_without_any_offset(void)
{
    const char *ack = hl7_send("sys", "MSH|^~\\&|DEV||||20260726120000||ORU^R01|C-1|P|2.4\n" PID
                                      "OBR|1||||||20260726120500\nOBX|1|NM|" HR "|89|" BPM "|||||F\n");
    CU_ASSERT_TRUE(hl7_says(ack, "MSA|AE|C-1\n", "ERR||OBX^1^14|102^Data type error^HL70357|E|time-offset^"));
    ack = hl7_send("sys", "MSH|^~\\&|DEV||||||ORU^R01|C-1|P|2.4\n" PID
                          "OBR|1||||||20260726120500+0100\nOBX|1|NM|" HR "|89|" BPM "|||||C\n");
    CU_ASSERT_TRUE(
        hl7_says(ack, "MSA|AE|C-1\n", "ERR||MSH^1^7|101^Required field missing^HL70357|E|version-missing^"));
    ack = hl7_send("sys", "MSH|^~\\&|DEV||||20260726120000||ORU^R01|C-1|P|2.4\n" PID
                          "OBR|1||||||20260726120500+0100\nOBX|1|NM|" HR "|89|" BPM "|||||C\n");
    CU_ASSERT_TRUE(hl7_says(ack, "ERR||MSH^1^7|102^Data type error^HL70357|E|time-offset^",
                            "^99VIGIE||20260726120000\n"));
}

#define BP(n, name, code, value)                                                                             \
    "OBX|1|NM|" code "^MDC_PRESS_BLD_NONINV_" name "^MDC|1.16.1." n "|" value                                \
    "|266016^MDC_DIM_MMHG^MDC|||||F\n"
#define THREE BP("1", "SYS", "150021", "120") BP("2", "DIA", "150022", "80") BP("3", "MEAN", "150023", "93")

static void test_group(void)
{
    hl7_send("sys", MSH PID OBR THREE SPO2 "OBR|2||||||20260726130500+0200\n" THREE);
    CU_ASSERT_EQUAL_FATAL(hl7_good(), 7);
    uint64_t first = fixture_reading(0)->group_id, second = fixture_reading(4)->group_id;
    CU_ASSERT_TRUE(first != 0 && second != 0 && first != second);
    for (unsigned i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(fixture_reading(i)->group_id, first);
        CU_ASSERT_EQUAL(fixture_reading(4 + i)->group_id, second);
    }
    CU_ASSERT_EQUAL(fixture_reading(3)->group_id, 0);
    hl7_send("sys", MSH PID OBR BP("1", "SYS", "150021", "120") BP("2", "SYS", "150021", "121"));
    CU_ASSERT_EQUAL(fixture_reading(1)->group_id, 0); /* two of a kind are two measurements */
}

/* Same code, other OBX-4: two sensors. Sent again: duplicates, and acknowledged again. */
static void test_sensors(void)
{
    static const char two[] = MSH PID OBR SPO2
        "OBX|1|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.3.2.1|97|262688^MDC_DIM_PERCENT^MDC|||||F\n";
    fixture_forget();
    CU_ASSERT_TRUE(hl7_says(hl7_send("sys", two), "MSA|CA|C-1\n", NULL));
    CU_ASSERT_EQUAL(fixture_reading(0)->verdict, VERDICT_ACCEPTED);
    CU_ASSERT_EQUAL(fixture_reading(1)->verdict, VERDICT_ACCEPTED);
    CU_ASSERT_TRUE(fixture_tail_is(1, TAIL_SENSOR, "1.3.2.1"));
    CU_ASSERT_TRUE(fixture_tail_is(1, TAIL_CODE, "mdc:150456"));
    CU_ASSERT_TRUE(hl7_says(hl7_send("sys", two), "MSA|CA|C-1\n", NULL));
    CU_ASSERT_EQUAL(fixture_reading(1)->verdict, VERDICT_DUPLICATE);
}

#define INS      "255081416802538^^^ASIP&1.2.250.1.213.1.4.8&ISO^INS"
#define UNTIL_32 "|||||||||||||||||||||||||||||"

static void test_patients(void)
{
    static const struct {
        const char *source, *pid, *device, *says; /* says: NULL: accepted */
        int64_t patient_id;
    } cases[] = {
        {"sys", "12345", "", NULL, 1},
        {"sys", "12345^^^A^MR", "", NULL, 1},
        {"sys", "nobody^^^H~abc^^^X&1.2.3&ISO^PI", "", NULL, 2},
        {"sys", "12345^^^A~222", "", "ERR||PID^1^3|204^Unknown key identifier^HL70357|E|patient-mismatch^",
         0},
        {"sys", "12345^^^A&1.9.9&GUID^MR", "", NULL, 1},
        {"sys", INS, "", NULL, 1},
        {"sys", INS UNTIL_32 "VALI", "", NULL, 1},
        {"sys", INS UNTIL_32 "PROV", "", "|unknown-patient^", 0},
        {"sys", INS "~12345" UNTIL_32 "PROV", "", NULL, 1},
        {"sys", "nobody", "", "ERR||PID^1^3|204^Unknown key identifier^HL70357|E|unknown-patient^", 0},
        {"sys", "", "", "|unknown-patient^", 0},
        {"sys", "", "SN-1^X", NULL, 1},
        {"sys", "", "x^^SN-1^Y", NULL, 1},
        {"sys", "", "S1", NULL, 1},
        {"dev", "", "", NULL, 1},
        {"dev", "222", "", "|patient-mismatch^", 0},
        {"dev", "", "SN-2", "|forbidden^", 0},
        {"gw", "", "", "|unknown-device^", 0},
        {"gw", "222", "SN-2", NULL, 2},
        {"gw", "", "SN-3", "ERR||OBX^2^18|204^Unknown key identifier^HL70357|E|not-assigned^", 0},
        {"other", "12345", "", "|unknown-patient^", 0},
    };
    char message[1024];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_forget();
        snprintf(message, sizeof message,
                 MSH "PID|||%s\n" OBR "OBX|1||69965^MDC_DEV^MDC|1.0.0.0|||||||X|||||||%s\nOBX|2|NM|" HR
                     "|89|" BPM "|||||F\n",
                 cases[i].pid, cases[i].device);
        const char *ack = hl7_send(cases[i].source, message);
        bool as_expected = cases[i].says == NULL
                               ? hl7_good() == 1 && fixture_reading(0)->patient_id == cases[i].patient_id
                               : hl7_good() == 0 && hl7_says(ack, "MSA|CE|C-1\n", cases[i].says);
        if (!as_expected) {
            printf("case %zu:\n%s", i, ack);
            CU_FAIL("another patient");
        }
    }
}

static void test_several_patients(void)
{
    const char *ack = hl7_send("sys", MSH PID OBR SPO2 "PID|||222\n" OBR SPO2 "PID|||nobody\n" OBR SPO2 SPO2);
    CU_ASSERT_EQUAL(hl7_good(), 2);
    CU_ASSERT_EQUAL(fixture_reading(0)->patient_id, 1);
    CU_ASSERT_EQUAL(fixture_reading(1)->patient_id, 2);
    CU_ASSERT_TRUE(
        hl7_says(ack, "MSA|CA|C-1\n",
                 "ERR||PID^3^3|204^Unknown key identifier^HL70357|W|unknown-patient^no such patient is "
                 "enrolled^99VIGIE\n"));
    CU_ASSERT_PTR_NULL(strstr(strstr(ack, "ERR") + 3, "ERR")); /* once, not once a row */
}

static void test_instance_and_texts(void)
{
    hl7_send("sys", MSH_OF("ORU^R01", "P", "2.6", "|||AL|NE||8859/1") PID OBR
             "OBX|1|NM|" HR "\\T\\caf\xe9|89|" BPM "|||||F|||||||lit \xe0 c\xf4t\xe9^^X|||a1^ns^1.2.3^ISO\n");
    CU_ASSERT_EQUAL_FATAL(hl7_good(), 1);
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_SENSOR, "1.2.1&caf\xc3\xa9"));
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_KEY_DEVICE, "lit \xc3\xa0 c\xc3\xb4t\xc3\xa9"));
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_ALIAS, "1.2.3|a1"));
    CU_ASSERT_TRUE(fixture_reading(0)->alias_hash != 0);
    const char *ack = hl7_send("sys", MSH PID OBR "OBX|1|NM|" HR "\xe9|89|" BPM "|||||F\n");
    CU_ASSERT_TRUE(hl7_says(ack, "MSA|CE|", "|malformed^"));
}

static void test_test_data(void)
{
    static const char test[] = MSH_OF("ORU^R01", "T", "2.6", "") PID OBR SPO2;
    CU_ASSERT_TRUE(
        hl7_says(hl7_send("sys", test), "MSA|AR|C-1\n", "ERR||MSH^1^11|202^Unsupported processing id"));
    fixture_set_mode(MODE_TEST);
    fixture_forget();
    CU_ASSERT_TRUE(hl7_says(hl7_send("sys", test), "MSA|AA|C-1\n", NULL));
    CU_ASSERT_TRUE(fixture_reading(0)->flags & FLAG_TEST);
    fixture_forget();
    hl7_send("sys", MSH PID OBR "OBX|1|NM|" HR "|89|" BPM "||TEST|||F\n" SPO2);
    CU_ASSERT_EQUAL(hl7_good(), 2);
    CU_ASSERT_TRUE(fixture_reading(0)->flags & FLAG_TEST);
    CU_ASSERT_FALSE(fixture_reading(1)->flags & FLAG_TEST);
    fixture_set_mode(MODE_PRODUCTION);
}

static void test_bounds(void)
{
    struct buffer message = {0};
    buffer_text(&message, MSH PID OBR);
    for (unsigned i = 0; i < 10001; i++)
        buffer_text(&message, "OBX|1|CE|x|1|y\n");
    buffer_append(&message, "", 1);
    const char *ack = hl7_send("sys", message.data);
    CU_ASSERT_TRUE(hl7_says(ack, "MSA|CE|C-1\n", "|102^Data type error^HL70357|E|too-many^"));
    buffer_clear(&message);
    buffer_text(&message, MSH PID OBR SPO2);
    for (unsigned i = 0; i < 65; i++)
        buffer_printf(&message, "OBX|1||x|1.%u.0|||||||X|||20260726120500+0200\n", i);
    buffer_append(&message, "", 1);
    ack = hl7_send("sys", message.data);
    CU_ASSERT_TRUE(hl7_says(ack, "MSA|CE|C-1\n", "|too-many^one OBR has at most 64 device rows"));
    CU_ASSERT_EQUAL(hl7_good(), 0);
    buffer_deinit(&message);
}

/* ---- alarms ---- */

#define ALARM_OBR              "OBR|1||A7^SYS^0001^EUI-64|196616^MDC_EVT_ALARM^MDC|||20260726120500+0200\n"
#define ALARM_ROW              "OBX|1|ST|196916^MDC_EVT_SENSOR_DISCONN^MDC|1.1.1.1|CO2 unplugged||||||F\n"
#define ATTRIBUTE(code, value) "OBX|2|ST|" code "^MDC_ATTR_X^MDC|1.1.1.2|" value "||||||F\n"

static void alarm(const char *order, const char *rows_text, const char *episode, const char *class, int phase)
{
    char message[2048];
    fixture_forget();
    snprintf(message, sizeof message, MSH_R40 PID "%s%s", order, rows_text);
    const char *ack = hl7_send("sys", message);
    if (hl7_good() != 1 || !hl7_says(ack, "||ACK^R40^ACK|", "MSA|CA|C-1\n")) {
        printf("%s", ack);
        CU_FAIL("no alarm");
        return;
    }
    CU_ASSERT_TRUE(fixture_reading(0)->flags & FLAG_DEVICE_EVENT);
    CU_ASSERT_EQUAL(fixture_reading(0)->value, phase);
    CU_ASSERT_EQUAL(fixture_reading(0)->measured_at_ms, at("2026-07-26T10:05:00Z"));
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_EPISODE, episode));
    CU_ASSERT_TRUE(fixture_tail_is(0, TAIL_CLASS, class));
}

static void test_alarms(void)
{
    static const char follows[] = "OBR|1||A9^SYS^0001^EUI-64|196616^MDC_EVT_ALARM^MDC|||20260726120500+0200"
                                  "||||||||||||||||||||||^A7&SYS&0001&EUI-64\n";
    static const char name[] = "A7^SYS^0001^EUI-64", class[] = "MDC_EVT_SENSOR_DISCONN";
    alarm(ALARM_OBR, ALARM_ROW ATTRIBUTE("68481", "start"), name, class, PHASE_START);
    alarm(follows, ALARM_ROW ATTRIBUTE("68481", "update"), name, class, PHASE_CONTINUE);
    alarm(follows, ALARM_ROW ATTRIBUTE("68481", "end"), name, class, PHASE_END);
    alarm(follows, ALARM_ROW ATTRIBUTE("68481", "end") ATTRIBUTE("68482", "latched"), name, class,
          PHASE_CONTINUE);
    alarm(follows, ALARM_ROW ATTRIBUTE("68482", "inactive"), name, class, PHASE_END);
    alarm(ALARM_OBR, "OBX|1|ST|196916^x^MDC||y||||||F\n" ATTRIBUTE("68482", "active"), name, "mdc:196916",
          PHASE_CONTINUE);
    alarm(ALARM_OBR, "OBX|1|ST|L7^leak^99MAKER||y||||||F\n" ATTRIBUTE("68481", "tpoint"), name, "L7",
          PHASE_START);
}

static void test_alarms_refused(void)
{
    const char *ack = hl7_send("sys", MSH_R40 PID ALARM_OBR SPO2);
    CU_ASSERT_TRUE(
        hl7_says(ack, "MSA|CR|C-1\n", "ERR||OBR^1|201^Unsupported event code^HL70357|E|not-supported^"));
    ack = hl7_send("sys", MSH_R40 PID);
    CU_ASSERT_TRUE(hl7_says(ack, "MSA|CR|C-1\n", "|201^"));
    ack = hl7_send("sys", MSH_R40 PID ALARM_OBR ALARM_ROW);
    CU_ASSERT_TRUE(hl7_says(ack, "MSA|CE|C-1\n", "|101^Required field missing^HL70357|E|value-missing^"));
    ack = hl7_send("sys", MSH_R40 PID ALARM_OBR "OBX|1|NM|0^MDC_EVT_WATCHDOG^MDC|1|30|s^^UCUM|||||F\n");
    CU_ASSERT_TRUE(hl7_says(ack, "MSA|CA|C-1\n", NULL));
    CU_ASSERT_EQUAL(hl7_good(), 0);
    ack = hl7_send("sys", MSH_R40 PID ALARM_OBR ALARM_ROW ATTRIBUTE("68481", "start") "OBR|2\n" ALARM_ROW);
    CU_ASSERT_EQUAL(hl7_good(), 1);
    CU_ASSERT_TRUE(
        hl7_says(ack, "MSA|CA|C-1\n", "ERR||OBR^2^7|101^Required field missing^HL70357|W|time-missing^"));
}

SUITE(hl7) = {
    {"rows: taken, refused, skipped", test_rows},
    {"times and their offsets", test_times},
    {"no offset anywhere", test_without_any_offset},
    {"blood pressures are a group", test_group},
    {"sensors and duplicates", test_sensors},
    {"patients and devices", test_patients},
    {"several patients", test_several_patients},
    {"instance, device and sensor texts", test_instance_and_texts},
    {"test data", test_test_data},
    {"bounds", test_bounds},
    {"alarms", test_alarms},
    {"alarms refused", test_alarms_refused},
    {NULL, NULL},
};
