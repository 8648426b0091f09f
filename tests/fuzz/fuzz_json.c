/* fuzz_json: json_pull against jansson. Both must accept the same texts, and read the same strings and
 * numbers. Where they may differ, by design: a byte order mark (we skip it), depth and number of keys (ours
 * are bounded lower), numbers that jansson cannot hold (we keep their text), a raw NUL byte (jansson loses
 * some, we refuse them all). */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ensure.h"
#include "daemon/ingest/pull/json_pull.h"

/* Walks both at once: the order of an object's keys is looked up, the rest must be equal step by step. */
static void compare(struct pull *pull, json_t *other)
{
    struct slice text, key;
    size_t count = 0;
    switch (pull_value(pull, &text)) {
    case PULL_OBJECT:
        ensure(json_is_object(other));
        for (; pull_next_key(pull, &key); count++) {
            char *name = strndup(key.data, key.size);
            ensure(strlen(name) == key.size);
            json_t *value = json_object_get(other, name);
            ensure(value != NULL);
            free(name);
            compare(pull, value);
        }
        ensure(count == json_object_size(other));
        break;
    case PULL_ARRAY:
        ensure(json_is_array(other));
        for (; pull_next_item(pull); count++)
            compare(pull, json_array_get(other, count));
        ensure(count == json_array_size(other));
        break;
    case PULL_STRING:
        ensure(json_is_string(other) && json_string_length(other) == text.size &&
               memcmp(json_string_value(other), text.data, text.size) == 0);
        break;
    case PULL_NUMBER:
        ensure(json_is_number(other));
        if (json_is_integer(other))
            ensure(strtoll(text.data, NULL, 10) == json_integer_value(other));
        break;
    case PULL_TRUE:
    case PULL_FALSE:
        ensure(json_is_boolean(other));
        break;
    case PULL_NULL:
        ensure(json_is_null(other));
        break;
    case PULL_NONE:
    case PULL_OTHER:
        ensure_unreachable();
    }
}

/* Passing over a container by what was noted of its end, and by its brackets, gives the same; at each level.
 */
static void compare_jumps(struct pull *pull)
{
    struct slice text;
    enum pull_kind kind = pull_peek(pull);
    if (kind != PULL_OBJECT && kind != PULL_ARRAY) {
        pull_skip(pull);
        return;
    }
    struct pull jumping = *pull, walking = *pull;
    walking.spans = NULL;
    pull_skip(&jumping);
    pull_skip(&walking);
    ensure(jumping.at == walking.at);
    pull_value(pull, &text);
    while (kind == PULL_OBJECT && pull_next_key(pull, &text))
        compare_jumps(pull);
    while (kind == PULL_ARRAY && pull_next_item(pull))
        compare_jumps(pull);
}

static bool is_ours_alone(const struct pull *pull)
{
    return strcmp(pull->error, "nested too deep") == 0 || strcmp(pull->error, "too many keys") == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char memory[1 << 20];
    static struct pull_keys keys;
    static struct pull_spans spans;
    struct pull_scratch scratch = {.data = memory, .capacity = sizeof memory, .spans = &spans};
    if (size > sizeof memory / 4)
        return 0;
    char *copy = malloc(size + 1);
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    struct pull pull;
    pull_open(&pull, (struct slice){copy, size}, &scratch, &keys);
    size_t mark = pull.at;
    pull_skip(&pull);
    bool taken = pull_finish(&pull);

    json_error_t error;
    json_t *other = json_loadb(copy + mark, size - mark, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (memchr(copy, '\0', size) != NULL)
        ensure(!taken);
    else if (taken && other == NULL)
        ensure(json_error_code(&error) == json_error_numeric_overflow);
    else if (!taken && other != NULL)
        ensure(is_ours_alone(&pull));
    if (taken && other != NULL) {
        pull_open(&pull, (struct slice){copy, size}, &scratch, &keys);
        compare(&pull, other);
        ensure(pull_finish(&pull));
        pull_open_raw(&pull, (struct slice){copy + mark, size - mark}, &scratch);
        compare(&pull, other);
        scratch.size = 0;
        pull_open_raw(&pull, (struct slice){copy + mark, size - mark}, &scratch);
        compare_jumps(&pull);
    }
    json_decref(other);
    free(copy);
    return 0;
}
