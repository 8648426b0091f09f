/* readings_cbor: the reader of CBOR. Keys are texts or the numbers of INTERFACES.md section 4. */
#include "daemon/ingest/readings/readings_keys.h"

#include <string.h>

#include "daemon/base/ensure.h"

#define NAME(text)                                                                                           \
    {                                                                                                        \
        text, sizeof text - 1                                                                                \
    }

static const struct pull_name numbers[KEYS_NUMBERED] = {
    [0] = NAME("patient"),  [1] = NAME("device"),      [2] = NAME("id"),      [3] = NAME("time"),
    [4] = NAME("readings"), [5] = NAME("code"),        [6] = NAME("value"),   [7] = NAME("unit"),
    [9] = NAME("status"),   [10] = NAME("comparator"), [11] = NAME("origin"), [12] = NAME("sensor"),
    [13] = NAME("events"),  [14] = NAME("issued"),
};

static void cbor_reader_open(struct reader *reader, struct slice text, struct doors *doors)
{
    cbor_open(&reader->cbor, text, &doors->scratch, &doors->keys, numbers, KEYS_NUMBERED);
}

static void cbor_reader_open_raw(struct reader *reader, struct slice raw, const struct reader *of)
{
    cbor_open_raw(&reader->cbor, raw, &of->cbor);
}

static enum pull_kind cbor_reader_peek(struct reader *reader)
{
    return cbor_peek(&reader->cbor);
}

static void cbor_reader_enter(struct reader *reader)
{
    struct slice none;
    enum pull_kind kind = cbor_value(&reader->cbor, &none);
    ensure(kind == PULL_OBJECT || kind == PULL_ARRAY || reader->cbor.error != NULL);
}

static bool cbor_reader_next_item(struct reader *reader)
{
    return cbor_next_item(&reader->cbor);
}

static void cbor_reader_skip(struct reader *reader)
{
    cbor_skip(&reader->cbor);
}

static bool take(struct cbor *cbor, enum key_type type, struct pull_field *field)
{
    if (type == KEY_NUMBER)
        field->kind = cbor_take_number(cbor, &field->text);
    else if (type == KEY_TIME)
        field->kind = cbor_take_time(cbor, &field->text);
    else
        field->kind = cbor_take(cbor, &field->text);
    if (field->kind == PULL_NULL)
        field->kind = PULL_NONE;
    return cbor->error == NULL;
}

/* The index of the key's name, names.count when it is none. */
static unsigned find_key(const struct reader_keys *keys, int number, struct slice text)
{
    if (number < 0)
        return pull_find_name(&keys->names, text);
    return keys->by_number[number] > 0 ? keys->by_number[number] - 1u : keys->names.count;
}

static bool cbor_reader_read_fields(struct reader *reader, const struct reader_keys *keys,
                                    struct pull_field *fields, struct pull_unknown *ret_unknown)
{
    struct cbor *cbor = &reader->cbor;
    struct slice key;
    memset(fields, 0, keys->names.count * sizeof *fields);
    *ret_unknown = (struct pull_unknown){.count = 0};
    while (cbor_next_key(cbor, &key)) {
        unsigned i = find_key(keys, cbor->key_number, key);
        if (i < keys->names.count) {
            if (!take(cbor, keys->types[i], &fields[i]))
                return false;
            continue;
        }
        if (ret_unknown->count++ == 0)
            ret_unknown->first = key;
        cbor_skip(cbor);
    }
    return cbor->error == NULL;
}

static bool cbor_reader_finish(struct reader *reader)
{
    return cbor_finish(&reader->cbor);
}

static const char *cbor_reader_error(const struct reader *reader, size_t *ret_at)
{
    *ret_at = reader->cbor.error_at;
    return reader->cbor.error;
}

const struct reader_syntax reader_cbor = {
    .name = "CBOR as RFC 8949 has it",
    .open = cbor_reader_open,
    .open_raw = cbor_reader_open_raw,
    .peek = cbor_reader_peek,
    .enter = cbor_reader_enter,
    .next_item = cbor_reader_next_item,
    .skip = cbor_reader_skip,
    .read_fields = cbor_reader_read_fields,
    .finish = cbor_reader_finish,
    .error = cbor_reader_error,
};
