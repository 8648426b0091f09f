/* The file is written and read whole; see registry_file.h for the format and the crash argument. */
#include "daemon/registry/registry_file.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/file.h"
#include "daemon/base/hash.h"
#include "daemon/base/instant.h"
#include "daemon/registry/registry_json.h"

enum {
    FILE_BYTES_MAX = 1 << 30, /* 1 M patients with device, source and identifier: about 700 MB */
    SEAL_BYTES_MAX = 128,     /* two numbers of 20 digits, a checksum and their names */
};

/* The last line; the checksum covers the version too. */
static int render_seal(char line[SEAL_BYTES_MAX], int64_t version, int64_t rows, const char *body,
                       size_t size)
{
    unsigned long long checksum = hash_xxh64(body, size) ^ hash_mix64((uint64_t)version);
    return snprintf(line, SEAL_BYTES_MAX, "{\"version\":%lld,\"rows\":%lld,\"checksum\":\"%016llx\"}\n",
                    (long long)version, (long long)rows, checksum);
}

static void render_row(struct row *row, struct buffer *buffer)
{
    render_open(buffer, '{');
    render_key(buffer, "table");
    render_text(buffer, row_shape(row->table)->name);
    render_key(buffer, "changed");
    render_integer(buffer, row->changed);
    if (row->changed_at != INSTANT_NONE) {
        render_key(buffer, "changed_at");
        render_instant(buffer, row->changed_at);
    }
    row_render_columns(row, false, buffer);
    render_close(buffer, '}');
    buffer_append(buffer, "\n", 1);
}

enum err registry_file_write(const char *path, const struct rows *rows, int64_t version)
{
    struct buffer buffer = {.data = NULL};
    int64_t count = 0;
    for (unsigned table = 0; table < ROW_TABLES; table++) {
        for (struct row *row = rows_first(rows, table); row != NULL; row = row->next, count++)
            render_row(row, &buffer);
    }
    char seal[SEAL_BYTES_MAX];
    int size = render_seal(seal, version, count, buffer.data, buffer.size);
    buffer_append(&buffer, seal, (size_t)size);
    enum err error = file_replace(path, buffer.data, buffer.size, 0600);
    buffer_deinit(&buffer);
    return error;
}

/* The last line and what it promises; false when it is not there or does not hold. */
static bool read_seal(const struct buffer *buffer, size_t *ret_body, int64_t *ret_version, int64_t *ret_rows)
{
    if (buffer->size < 2 || buffer->data[buffer->size - 1] != '\n')
        return false;
    const char *before = memrchr(buffer->data, '\n', buffer->size - 1);
    size_t body = before == NULL ? 0 : (size_t)(before + 1 - buffer->data);
    long long version, rows;
    char line[SEAL_BYTES_MAX], expected[SEAL_BYTES_MAX];
    size_t size = buffer->size - body;
    if (size >= sizeof(line))
        return false;
    memcpy(line, buffer->data + body, size);
    line[size] = '\0';
    if (sscanf(line, "{\"version\":%lld,\"rows\":%lld,", &version, &rows) != 2)
        return false;
    render_seal(expected, version, rows, buffer->data, body);
    if (strcmp(line, expected) != 0)
        return false;
    *ret_body = body;
    *ret_version = version;
    *ret_rows = rows;
    return true;
}

static enum err read_row(const char *line, size_t size, struct rows *rows)
{
    json_t *object = json_loadb(line, size, JSON_REJECT_DUPLICATES, NULL);
    const char *name = json_string_value(json_object_get(object, "table"));
    enum err error = ERR_CORRUPT;
    for (unsigned table = 0; name != NULL && table < ROW_TABLES; table++) {
        struct row *row;
        if (strcmp(name, row_shape(table)->name) != 0 || row_read_columns(table, object, &row) != OK)
            continue;
        struct instant_parsed at;
        const char *changed_at = json_string_value(json_object_get(object, "changed_at"));
        row->changed = json_integer_value(json_object_get(object, "changed"));
        if (changed_at != NULL && instant_parse(changed_at, strlen(changed_at), &at) == INSTANT_GOOD)
            row->changed_at = at.ms;
        row_free(rows_put(rows, row));
        error = OK;
    }
    json_decref(object);
    return error;
}

static enum err read_rows(const char *data, size_t size, struct rows *rows, int64_t *ret_count)
{
    int64_t count = 0;
    for (const char *at = data, *end = data + size; at < end; count++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        enum err error = newline == NULL ? ERR_CORRUPT : read_row(at, (size_t)(newline - at), rows);
        if (error != OK)
            return error;
        at = newline + 1;
    }
    *ret_count = count;
    return OK;
}

enum err registry_file_read(const char *path, struct rows **ret_rows, int64_t *ret_version)
{
    struct buffer buffer = {.data = NULL};
    struct rows *rows = rows_new();
    size_t body;
    int64_t version, promised, count;
    enum err error = file_read(path, FILE_BYTES_MAX, &buffer);
    if (error != OK)
        goto fail;
    error = ERR_CORRUPT;
    if (!read_seal(&buffer, &body, &version, &promised) || read_rows(buffer.data, body, rows, &count) != OK ||
        count != promised)
        goto fail;
    buffer_deinit(&buffer);
    *ret_rows = rows;
    *ret_version = version;
    return OK;
fail:
    buffer_deinit(&buffer);
    rows_free(rows);
    return error;
}
