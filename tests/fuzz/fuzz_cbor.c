/* fuzz_cbor: the first byte says what the rest is.
 *
 *   0  CBOR against libcbor: what we take, it takes, and both read the same; what we refuse, it refuses too
 * or has what we do not take: text that is not UTF-8 or has U+0000, NaN, infinity, a key that is no text and
 *      no integer, a key twice, depth, more keys than we hold.
 *   1  CBOR through the door /v1/readings: a status and an answer that the interface knows.
 *   2  JSON, and 3 JSON made of words of the interface: its translation into CBOR has the same outcome. */
#include <cbor.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/cbor_translate.c" /* a fuzz target is one file and the library */
#include "tests/unit/ingest_fixture.c"

#include "daemon/ingest/pull/cbor_pull.h"

enum { SCRATCH_BYTES = 1 << 20 };

/* ---- against libcbor ---- */

/* The text of a key of libcbor's as cbor_pull has it; NULL: it is none for us. */
static char *key_text(const cbor_item_t *key)
{
    char *text = NULL;
    if (cbor_isa_string(key) && cbor_string_is_definite(key))
        text = strndup((const char *)cbor_string_handle(key), cbor_string_length(key));
    else if (cbor_isa_string(key)) {
        text = calloc(1, 1);
        for (size_t i = 0; i < cbor_string_chunk_count(key); i++) {
            const cbor_item_t *chunk = cbor_string_chunks_handle(key)[i];
            size_t size = strlen(text), more = cbor_string_length(chunk);
            text = realloc(text, size + more + 1);
            memcpy(text + size, cbor_string_handle(chunk), more);
            text[size + more] = '\0';
        }
    } else if (cbor_is_int(key)) {
        text = malloc(DECIMAL_TEXT_MAX);
        uint64_t number = cbor_get_int(key);
        if (cbor_isa_negint(key) && number == UINT64_MAX)
            memcpy(text, "-18446744073709551616", sizeof "-18446744073709551616");
        else
            decimal_write(cbor_isa_negint(key), number + cbor_isa_negint(key), 0, text);
    }
    return text;
}

static bool is_clean_string(const cbor_item_t *item)
{
    if (!cbor_string_is_definite(item)) {
        for (size_t i = 0; i < cbor_string_chunk_count(item); i++)
            if (!is_clean_string(cbor_string_chunks_handle(item)[i]))
                return false;
        return true;
    }
    const uint8_t *text = cbor_string_handle(item);
    size_t size = cbor_string_length(item);
    if (memchr(text, 0, size) != NULL)
        return false;
    /* jansson's judgement of UTF-8 is not ours */
    json_t *judged = json_stringn((const char *)text, size);
    json_decref(judged);
    return judged != NULL;
}

static bool is_clean(const cbor_item_t *item, unsigned depth, size_t keys_open);

static bool is_clean_map(const cbor_item_t *item, unsigned depth, size_t keys_open)
{
    const struct cbor_pair *pairs = cbor_map_handle(item);
    size_t count = cbor_map_size(item);
    bool is_good = keys_open + count <= PULL_KEYS_MAX;
    json_t *seen = json_object();
    for (size_t i = 0; is_good && i < count; i++) {
        char *text =
            (cbor_isa_string(pairs[i].key) && !is_clean_string(pairs[i].key)) ? NULL : key_text(pairs[i].key);
        is_good = text != NULL && json_object_get(seen, text) == NULL &&
                  is_clean(pairs[i].value, depth, keys_open + i + 1);
        if (text != NULL)
            json_object_set_new(seen, text, json_null());
        free(text);
    }
    json_decref(seen);
    return is_good;
}

static bool is_clean(const cbor_item_t *item, unsigned depth, size_t keys_open)
{
    switch (cbor_typeof(item)) {
    case CBOR_TYPE_STRING:
        return is_clean_string(item);
    case CBOR_TYPE_ARRAY:
        for (size_t i = 0; i < cbor_array_size(item); i++)
            if (!is_clean(cbor_array_handle(item)[i], depth + 1, keys_open))
                return false;
        return depth < JSON_DEPTH_MAX;
    case CBOR_TYPE_MAP:
        return depth < JSON_DEPTH_MAX && is_clean_map(item, depth + 1, keys_open);
    case CBOR_TYPE_TAG: {
        cbor_item_t *inner = cbor_tag_item(item);
        bool is_good = is_clean(inner, depth, keys_open);
        cbor_decref(&inner);
        return is_good;
    }
    case CBOR_TYPE_FLOAT_CTRL:
        return cbor_float_ctrl_is_ctrl(item) ? cbor_ctrl_value(item) >= 20
                                             : isfinite(cbor_float_get_float(item));
    default:
        return true;
    }
}

static void compare_number(struct cbor *cbor, const cbor_item_t *other)
{
    struct slice text;
    char copy[64];
    enum pull_kind kind = cbor_take_number(cbor, &text);
    ensure(kind == PULL_NUMBER && text.size < sizeof copy);
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (cbor_is_int(other)) {
        char *expected = key_text(other);
        ensure(strcmp(copy, expected) == 0);
        free(expected);
    } else {
        double number = cbor_float_get_float(other), read = strtod(copy, NULL);
        if (cbor_float_get_width(other) == CBOR_FLOAT_32)
            ensure((double)strtof(copy, NULL) == number);
        else if (cbor_float_get_width(other) == CBOR_FLOAT_64)
            ensure(read == number);
        else
            ensure(fabs(read - number) <= fabs(number) / 2048 || fabs(read - number) <= 0x1p-25);
        ensure(signbit(read) == signbit(number));
    }
}

static void compare(struct cbor *cbor, const cbor_item_t *other)
{
    struct slice text, key;
    size_t count = 0;
    enum pull_kind kind = cbor_peek(cbor);
    if (kind == PULL_NUMBER) {
        compare_number(cbor, other);
        return;
    }
    kind = cbor_value(cbor, &text);
    if (kind == PULL_OBJECT) {
        ensure(cbor_isa_map(other));
        for (; cbor_next_key(cbor, &key); count++) {
            char *expected = key_text(cbor_map_handle(other)[count].key);
            ensure(slice_is(key, expected));
            free(expected);
            compare(cbor, cbor_map_handle(other)[count].value);
        }
        ensure(count == cbor_map_size(other));
    } else if (kind == PULL_ARRAY) {
        ensure(cbor_isa_array(other));
        for (; cbor_next_item(cbor); count++)
            compare(cbor, cbor_array_handle(other)[count]);
        ensure(count == cbor_array_size(other));
    } else if (kind == PULL_STRING) {
        char *expected = cbor_isa_string(other) ? key_text(other) : NULL;
        ensure(expected != NULL && slice_is(text, expected));
        free(expected);
    } else if (kind == PULL_OTHER) {
        ensure(cbor_isa_tag(other) || cbor_isa_bytestring(other));
    } else {
        ensure(cbor_isa_float_ctrl(other) && cbor_float_ctrl_is_ctrl(other));
        uint8_t control = cbor_ctrl_value(other);
        ensure(kind == PULL_TRUE    ? control == CBOR_CTRL_TRUE
               : kind == PULL_FALSE ? control == CBOR_CTRL_FALSE
                                    : control == CBOR_CTRL_NULL || control == CBOR_CTRL_UNDEF);
    }
}

/* libcbor allocates what the head of an array or map claims: what may claim too much is not shown to it. */
static bool may_claim_too_much(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i + 5 <= size; i++)
        if ((data[i] & 0xde) == 0x9a && (data[i + 1] | data[i + 2]) != 0) /* 9a, 9b, ba, bb */
            return true;
    for (size_t i = 0; i + 9 <= size; i++)
        if ((data[i] & 0xdf) == 0x9b && (data[i + 3] | data[i + 4] | data[i + 5] | data[i + 6]) != 0)
            return true;
    return false;
}

/* libcbor refuses the tags 6 to 20 in their one byte, which RFC 8949 calls well-formed. */
static bool may_have_unassigned_tag(const uint8_t *data, size_t size)
{
    while (size > 0 && (*data < 0xc6 || *data > 0xd4)) {
        data++;
        size--;
    }
    return size > 0;
}

static void against_libcbor(const uint8_t *data, size_t size)
{
    static char memory[SCRATCH_BYTES];
    static struct pull_keys pull_keys;
    struct pull_scratch scratch = {.data = memory, .capacity = sizeof memory};
    struct cbor cbor;
    struct slice text = {(const char *)data, size};
    struct cbor_load_result result;
    cbor_open(&cbor, text, &scratch, &pull_keys, NULL, 0);
    size_t mark = cbor.at;
    cbor_skip(&cbor);
    bool taken = cbor_finish(&cbor);
    if (may_claim_too_much(data + mark, size - mark))
        return;
    cbor_item_t *other = cbor_load(data + mark, size - mark, &result);
    bool is_whole = other != NULL && result.read == size - mark;
    if (taken) {
        bool nests_tags = result.error.code == CBOR_ERR_MEMERROR && size > CBOR_MAX_STACK_SIZE;
        ensure(is_whole || nests_tags || may_have_unassigned_tag(data + mark, size - mark));
        if (is_whole)
            ensure(is_clean(other, 0, 0));
    } else {
        ensure(!is_whole || !is_clean(other, 0, 0));
    }
    if (taken && is_whole) {
        cbor_open(&cbor, text, &scratch, &pull_keys, NULL, 0);
        compare(&cbor, other);
        ensure(cbor_finish(&cbor));
        struct cbor raw;
        cbor_open_raw(&raw, (struct slice){text.data + mark, size - mark}, &cbor);
        compare(&raw, other);
        ensure(cbor_finish(&raw));
    }
    if (other != NULL)
        cbor_decref(&other);
}

/* ---- through the door ---- */

static const char *const sources[] = {"dev", "gw", "sys", "pat"};

static void through_the_door(const char *source, const uint8_t *data, size_t size)
{
    fixture_forget();
    const struct exchange *exchange = fixture_send_cbor(source, data, size);
    ensure(exchange->status == 200 || exchange->status == 400 || exchange->status == 403 ||
           exchange->status == 422);
    json_error_t error;
    json_t *answer = json_loads(fixture_text(), JSON_REJECT_DUPLICATES, &error);
    ensure(json_is_object(answer));
    json_decref(answer);
    for (uint32_t i = 0; i < exchange->ticket->count; i++)
        ensure(exchange->ticket->heads[i].verdict > VERDICT_QUARANTINED ||
               exchange->ticket->heads[i].patient_id > 0);
}

static void same_outcome(const char *source, struct slice json, uint64_t seed)
{
    static struct cbor_outcome outcome;
    fixture_forget();
    cbor_outcome_of(source, json, seed, &outcome);
    fixture_send_as(source, "/v1/readings", NULL, json.data, json.size);
    ensure(cbor_outcome_is_last(&outcome));
}

static void same_outcome_of_words(const char *source, const uint8_t *data, size_t size, uint64_t seed)
{
    static const char *const words[] = {
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"patient\":\"P-1\"",
        "\"device\":\"SN-1\"",
        "\"device\":\"SN-2\"",
        "\"id\":\"m\"",
        "\"time\":\"2026-11-21T08:30:00+01:00\"",
        "\"time\":\"2026-11-21T07:30:00.000Z\"",
        "\"time\":\"2026-11-21T07:30:00.001Z\"",
        "\"time\":\"2026-11-21\"",
        "\"readings\":[",
        "\"events\":[",
        "\"code\":\"29463-7\"",
        "\"code\":\"mdc:149530\"",
        "\"code\":\"x\"",
        "\"value\":71.4",
        "\"value\":-0.001",
        "\"value\":72",
        "\"value\":12345678901234567890",
        "\"value\":0.30000000000000004",
        "\"value\":\"1\"",
        "\"unit\":\"kg\"",
        "\"unit\":\"/min\"",
        "\"status\":\"corrected\"",
        "\"status\":\"void\"",
        "\"comparator\":\"<\"",
        "\"origin\":\"patient\"",
        "\"sensor\":\"\\u00e9\"",
        "\"issued\":\"2026-11-21T09:00:00.000Z\"",
        "\"class\":\"a\"",
        "\"episode\":\"e\"",
        "\"phase\":\"start\"",
        "\"other\":",
        "1",
        "null",
        "true",
        "\"text\"",
        "{\"code\":\"29463-7\",\"value\":71.4,\"unit\":\"kg\"",
        "{\"patient\":\"P-1\",\"time\":\"2026-11-21T07:30:00.000Z\"",
    };
    static struct buffer text;
    buffer_clear(&text);
    for (size_t i = 0; i < size; i++)
        buffer_text(&text, words[data[i] % (sizeof words / sizeof *words)]);
    if (text.size > 0)
        same_outcome(source, (struct slice){text.data, text.size}, seed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const char *source = sources[data[0] >> 2 & 3];
    uint64_t seed = data[1];
    switch (data[0] & 3) {
    case 0:
        against_libcbor(data + 1, size - 1);
        break;
    case 1:
        through_the_door(source, data + 1, size - 1);
        break;
    case 2:
        same_outcome(source, (struct slice){(const char *)data + 2, size - 2}, seed);
        break;
    default:
        same_outcome_of_words(source, data + 2, size - 2, seed);
    }
    return 0;
}
