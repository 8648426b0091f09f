/* cbor_translate: walks the JSON by json_pull and writes as it goes; a count that is known only at the end is
 * written into the eight bytes that were kept for it. */
#include "tests/unit/cbor_translate.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/decimal.h"
#include "daemon/base/instant.h"
#include "daemon/base/shortest.h"
#include "daemon/ingest/pull/json_pull.h"
#include "daemon/ingest/pull/slice.h"
#include "tests/unit/ingest_fixture.h"

struct translation {
    struct buffer *out;
    uint64_t seed;
    bool is_exact;
};

static const char *const keys[] = {"patient",    "device", "id",     "time",   "readings",
                                   "code",       "value",  "unit",   NULL,     "status",
                                   "comparator", "origin", "sensor", "events", "issued"};

static bool draw(struct translation *to, unsigned one_in)
{
    to->seed = to->seed * 6364136223846793005u + 1442695040888963407u;
    return (to->seed >> 33) % one_in == 0;
}

static void put_byte(struct translation *to, unsigned byte)
{
    uint8_t value = (uint8_t)byte;
    buffer_append(to->out, &value, 1);
}

static void put_bytes(struct translation *to, uint64_t number, int size)
{
    while (size-- > 0)
        put_byte(to, (unsigned)(number >> (8 * size)) & 0xff);
}

/* The shortest head, or any longer one. */
static void put_head(struct translation *to, unsigned major, uint64_t number)
{
    int log = number < 24 ? -1 : number < 0x100 ? 0 : number < 0x10000 ? 1 : number < 0x100000000 ? 2 : 3;
    while (log < 3 && draw(to, 8))
        log++;
    put_byte(to, major << 5 | (log < 0 ? (unsigned)number : 24u + (unsigned)log));
    if (log >= 0)
        put_bytes(to, number, 1 << log);
}

static void put_text(struct translation *to, struct slice text)
{
    bool is_ascii = true;
    for (size_t i = 0; i < text.size; i++)
        is_ascii &= (uint8_t)text.data[i] < 0x80;
    if (is_ascii && draw(to, 8)) { /* in two pieces */
        size_t half = text.size / 2;
        put_byte(to, 0x7f);
        put_head(to, 3, half);
        buffer_append(to->out, text.data, half);
        put_head(to, 3, text.size - half);
        buffer_append(to->out, text.data + half, text.size - half);
        put_byte(to, 0xff);
        return;
    }
    put_head(to, 3, text.size);
    buffer_append(to->out, text.data, text.size);
}

static void put_key(struct translation *to, struct slice key)
{
    for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i] != NULL && slice_is(key, keys[i]) && !draw(to, 3)) {
            put_head(to, 0, i);
            return;
        }
    put_text(to, key);
}

/* A text that is a float's shortest, as that float. */
static bool put_float(struct translation *to, const char *text)
{
    char worded[SHORTEST_TEXT_MAX];
    double number = strtod(text, NULL);
    float single = (float)number;
    uint64_t bits;
    uint32_t single_bits;
    if (number > 1e15 || number < -1e15)
        return false;
    shortest_format((double)single, SHORTEST_SINGLE, worded);
    if (strcmp(worded, text) == 0 && draw(to, 2)) {
        memcpy(&single_bits, &single, sizeof single_bits);
        put_byte(to, 0xfa);
        put_bytes(to, single_bits, 4);
        return true;
    }
    shortest_format(number, SHORTEST_DOUBLE, worded);
    if (strcmp(worded, text) != 0)
        return false;
    memcpy(&bits, &number, sizeof bits);
    put_byte(to, 0xfb);
    put_bytes(to, bits, 8);
    return true;
}

static void put_integer(struct translation *to, bool negative, uint64_t magnitude)
{
    if (draw(to, 8)) { /* as a bignum */
        put_head(to, 6, negative ? 3 : 2);
        put_head(to, 2, 8);
        put_bytes(to, magnitude - negative, 8);
    } else {
        put_head(to, negative, magnitude - negative);
    }
}

static void put_number(struct translation *to, struct slice number)
{
    char text[48], digits[48], *end;
    size_t count = 0, places = 0;
    bool negative = *number.data == '-', point = false;
    if (number.size > 20) {
        to->is_exact = false;
        number.size = 1;
        number.data = "0";
    }
    memcpy(text, number.data, number.size);
    text[number.size] = '\0';
    for (size_t i = negative; i < number.size; i++) {
        if (text[i] == '.')
            point = true;
        else
            digits[count++] = text[i];
        places += point && text[i] != '.';
    }
    digits[count] = '\0';
    uint64_t magnitude = strtoull(digits, &end, 10);
    to->is_exact &= *end == '\0' && count < 20 && places <= 18 && (magnitude > 0 || !negative);
    negative &= magnitude > 0;
    if (to->is_exact && draw(to, 2) && put_float(to, text))
        return;
    if (places > 0 || draw(to, 8)) {
        put_head(to, 6, 4);
        put_head(to, 4, 2);
        put_head(to, places > 0, places > 0 ? places - 1 : 0);
    }
    put_integer(to, negative, magnitude);
}

static void put_string(struct translation *to, struct slice text, bool is_time)
{
    struct instant_parsed parsed;
    char worded[INSTANT_TEXT_MAX];
    if (is_time && instant_parse(text.data, text.size, &parsed) == INSTANT_GOOD &&
        text.size == instant_format(parsed.ms, worded) && memcmp(worded, text.data, text.size) == 0 &&
        draw(to, 2)) {
        bool negative = parsed.ms < 0;
        if (parsed.ms % 1000 == 0 && draw(to, 2)) { /* seconds */
            put_head(to, 6, 1);
            parsed.ms /= 1000;
        }
        put_head(to, negative, (uint64_t)(negative ? -1 - parsed.ms : parsed.ms));
        return;
    }
    if (is_time && draw(to, 4))
        put_head(to, 6, 0);
    put_text(to, text);
}

static void put_value(struct translation *to, struct pull *pull, bool is_time)
{
    struct slice text;
    uint64_t count = 0;
    enum pull_kind kind = pull_value(pull, &text);
    if (kind == PULL_OBJECT || kind == PULL_ARRAY) {
        bool is_open = draw(to, 3), is_map = kind == PULL_OBJECT;
        put_byte(to, (is_map ? 0xa0 : 0x80) | (is_open ? 31 : 27));
        size_t at = to->out->size;
        if (!is_open)
            put_bytes(to, 0, 8);
        for (; is_map ? pull_next_key(pull, &text) : pull_next_item(pull); count++) {
            if (is_map)
                put_key(to, text);
            put_value(to, pull, is_map && (slice_is(text, "time") || slice_is(text, "issued")));
        }
        if (is_open)
            put_byte(to, 0xff);
        for (int i = 0; !is_open && i < 8; i++)
            to->out->data[at + (size_t)i] = (char)(count >> (56 - 8 * i));
    } else if (kind == PULL_STRING) {
        put_string(to, text, is_time);
    } else if (kind == PULL_NUMBER) {
        to->is_exact &= !is_time; /* in CBOR a number is a time */
        put_number(to, text);
    } else {
        put_byte(to, kind == PULL_TRUE ? 0xf5 : kind == PULL_FALSE ? 0xf4 : 0xf6);
    }
}

bool cbor_translate(struct slice json, uint64_t seed, struct buffer *out)
{
    static struct pull_keys pull_keys;
    struct pull pull;
    struct translation to = {.out = out, .seed = seed, .is_exact = true};
    struct pull_scratch scratch = {.data = malloc(json.size + 1), .capacity = json.size + 1};
    pull_open(&pull, json, &scratch, &pull_keys);
    put_value(&to, &pull, false);
    bool is_whole = pull_finish(&pull);
    free(scratch.data);
    return is_whole && to.is_exact;
}

static void take_outcome(const struct exchange *exchange, struct cbor_outcome *ret)
{
    const struct ticket *ticket = exchange->ticket;
    ret->status = exchange->status;
    buffer_clear(&ret->bytes);
    buffer_text(&ret->bytes, fixture_text());
    for (uint32_t i = 0; i < ticket->count; i++) {
        struct reading head = ticket->heads[i];
        head.tail_offset = 0;
        buffer_append(&ret->bytes, &head, sizeof head);
        buffer_append(&ret->bytes, ticket_tail(ticket, &ticket->heads[i]), head.tail_size);
    }
}

void cbor_outcome_of(const char *source, struct slice json, uint64_t seed, struct cbor_outcome *ret)
{
    struct buffer body = {0};
    uint32_t held = fixture_held();
    ret->is_exact = cbor_translate(json, seed, &body);
    if (ret->is_exact) {
        take_outcome(fixture_send_cbor(source, body.data, body.size), ret);
        fixture_hold(held);
    }
    buffer_deinit(&body);
}

bool cbor_outcome_is_last(const struct cbor_outcome *outcome)
{
    static struct cbor_outcome last;
    if (!outcome->is_exact)
        return true;
    take_outcome(fixture_exchange(), &last);
    return last.status == outcome->status && last.bytes.size == outcome->bytes.size &&
           memcmp(last.bytes.data, outcome->bytes.data, last.bytes.size) == 0;
}
