/* readings_json: the reader of JSON. */
#include "daemon/ingest/readings/readings_reader.h"

#include "daemon/base/ensure.h"

static void json_open(struct reader *reader, struct slice text, struct doors *doors)
{
    pull_open(&reader->json, text, &doors->scratch, &doors->keys);
}

static void json_open_raw(struct reader *reader, struct slice raw, const struct reader *of)
{
    pull_open_raw(&reader->json, raw, of->json.scratch);
}

static enum pull_kind json_peek(struct reader *reader)
{
    return pull_peek(&reader->json);
}

static void json_enter(struct reader *reader)
{
    struct slice none;
    enum pull_kind kind = pull_value(&reader->json, &none);
    ensure(kind == PULL_OBJECT || kind == PULL_ARRAY || reader->json.error != NULL);
}

static bool json_next_item(struct reader *reader)
{
    return pull_next_item(&reader->json);
}

static void json_skip(struct reader *reader)
{
    pull_skip(&reader->json);
}

static bool json_read_fields(struct reader *reader, const struct reader_keys *keys, struct pull_field *fields,
                             struct pull_unknown *ret_unknown)
{
    return pull_read_fields(&reader->json, &keys->names, fields, ret_unknown);
}

static bool json_finish(struct reader *reader)
{
    return pull_finish(&reader->json);
}

static const char *json_error(const struct reader *reader, size_t *ret_at)
{
    *ret_at = reader->json.error_at;
    return reader->json.error;
}

const struct reader_syntax reader_json = {
    .name = "JSON as RFC 8259 has it",
    .open = json_open,
    .open_raw = json_open_raw,
    .peek = json_peek,
    .enter = json_enter,
    .next_item = json_next_item,
    .skip = json_skip,
    .read_fields = json_read_fields,
    .finish = json_finish,
    .error = json_error,
};
