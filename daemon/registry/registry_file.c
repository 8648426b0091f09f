/* Lines are appended to one buffer, which is sealed and replaced whole; see registry_file.h for the format
 * and the crash argument. The delta's lines stay in memory: the next change is appended to them. */
#include "daemon/registry/registry_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/instant.h"
#include "daemon/base/sealed_file.h"
#include "daemon/registry/registry_json.h"

enum {
    FILE_BYTES_MAX = 1 << 30, /* 1 M patients with device, source and identifier: about 950 MB */
    SEAL_BYTES_MAX = 128,     /* three numbers and their names */
    DELTA_BYTES_MAX =
        4 << 20, /* sealed and synced in some 10 ms; a new base of 100,000 patients takes a second */
    DELTA_BYTES_GROWN = 1 << 18 /* read back in a few ms; about 700 rows */
};

struct lines {
    struct buffer text;
    int64_t count;
};

struct registry_file {
    const struct cipher_keys *keys;
    uint64_t serial; /* of the base on disk, 0: none that can be built on */
    struct lines delta;
    char base_path[4200], delta_path[4208];
};

struct registry_file *registry_file_new(const char *path, const struct cipher_keys *keys)
{
    struct registry_file *file = calloc(1, sizeof(*file));
    ensure(file != NULL);
    file->keys = keys;
    snprintf(file->base_path, sizeof(file->base_path), "%s", path);
    snprintf(file->delta_path, sizeof(file->delta_path), "%s.delta", path);
    return file;
}

void registry_file_free(struct registry_file *file)
{
    if (file == NULL)
        return;
    buffer_deinit(&file->delta.text);
    free(file);
}

/* ---- writing ---- */

static void add_row(struct lines *lines, struct row *row, bool gone)
{
    struct buffer *text = &lines->text;
    render_open(text, '{');
    render_key(text, "table");
    render_text(text, row_shape(row->table)->name);
    if (gone) {
        render_key(text, "gone");
        render_raw(text, "true", 4);
    }
    render_key(text, "changed");
    render_integer(text, row->changed);
    if (row->changed_at != INSTANT_NONE) {
        render_key(text, "changed_at");
        render_instant(text, row->changed_at);
    }
    row_render_columns(row, false, text);
    render_close(text, '}');
    buffer_append(text, "\n", 1);
    lines->count++;
}

static void add_changes(struct lines *lines, const struct row_changes *changes)
{
    for (uint32_t i = 0; i < changes->count; i++) {
        const struct row_change *change = &changes->items[i];
        if (change->after != NULL)
            add_row(lines, change->after, false);
        else if (change->before != NULL)
            add_row(lines, change->before, true);
    }
}

/* Puts the last line behind the lines, seals and replaces, and takes it off again. */
static enum err write_lines(const struct registry_file *file, const char *path, const char *label,
                            struct lines *lines, int64_t version, uint64_t serial)
{
    size_t size = lines->text.size;
    buffer_printf(&lines->text, "{\"version\":%lld,\"rows\":%lld,\"serial\":\"%016llx\"}\n",
                  (long long)version, (long long)lines->count, (unsigned long long)serial);
    enum err error = sealed_file_replace(path, file->keys, label, lines->text.data, lines->text.size, 0600);
    lines->text.size = size;
    return error;
}

enum err registry_file_renew(struct registry_file *file, const struct rows *rows, int64_t version)
{
    struct lines lines = {.count = 0};
    uint64_t serial = 0;
    for (unsigned table = 0; table < ROW_TABLES; table++) {
        for (struct row *row = rows_first(rows, table); row != NULL; row = row->next)
            add_row(&lines, row, false);
    }
    enum err error = hash_random(&serial, sizeof(serial));
    serial |= 1; /* 0 says none */
    if (error == OK)
        error = write_lines(file, file->base_path, "registry", &lines, version, serial);
    buffer_deinit(&lines.text);
    file->serial = error == OK ? serial : 0;
    buffer_clear(&file->delta.text);
    file->delta.count = 0;
    return error;
}

enum err registry_file_save(struct registry_file *file, const struct rows *rows,
                            const struct row_changes *changes, int64_t version)
{
    if (file->serial == 0)
        return registry_file_renew(file, rows, version);
    add_changes(&file->delta, changes);
    if (file->delta.text.size > DELTA_BYTES_MAX)
        return registry_file_renew(file, rows, version);
    enum err error =
        write_lines(file, file->delta_path, "registry delta", &file->delta, version, file->serial);
    if (error != OK)
        file->serial = 0;
    return error;
}

bool registry_file_is_grown(const struct registry_file *file)
{
    return file->serial == 0 || file->delta.text.size > DELTA_BYTES_GROWN;
}

/* ---- reading ---- */

struct seal {
    int64_t version, rows;
    uint64_t serial;
    size_t body; /* bytes in front of the last line */
};

static bool read_seal(const struct buffer *text, struct seal *ret)
{
    if (text->size < 2 || text->data[text->size - 1] != '\n')
        return false;
    const char *before = memrchr(text->data, '\n', text->size - 1);
    size_t body = before == NULL ? 0 : (size_t)(before + 1 - text->data);
    long long version, rows;
    unsigned long long serial;
    char line[SEAL_BYTES_MAX];
    if (text->size - body >= sizeof(line))
        return false;
    memcpy(line, text->data + body, text->size - body);
    line[text->size - body] = '\0';
    if (sscanf(line, "{\"version\":%lld,\"rows\":%lld,\"serial\":\"%16llx\"}", &version, &rows, &serial) != 3)
        return false;
    *ret = (struct seal){.version = version, .rows = rows, .serial = serial, .body = body};
    return true;
}

static void take_row(struct rows *rows, struct row *row, bool gone)
{
    struct row *old = gone ? rows_find_same_key(rows, row) : NULL;
    if (!gone) {
        row_free(rows_put(rows, row));
        return;
    }
    if (old != NULL) {
        rows_take_out(rows, old);
        row_free(old);
    }
    row_free(row);
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
        take_row(rows, row, json_is_true(json_object_get(object, "gone")));
        error = OK;
    }
    json_decref(object);
    return error;
}

static enum err read_rows(const char *data, const struct seal *seal, struct rows *rows)
{
    int64_t count = 0;
    for (const char *at = data, *end = data + seal->body; at < end; count++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        enum err error = newline == NULL ? ERR_CORRUPT : read_row(at, (size_t)(newline - at), rows);
        if (error != OK)
            return error;
        at = newline + 1;
    }
    return count == seal->rows ? OK : ERR_CORRUPT;
}

static enum err read_base(struct registry_file *file, struct rows *rows, struct seal *ret)
{
    struct buffer text = {.data = NULL};
    enum err error = sealed_file_read(file->base_path, file->keys, "registry", FILE_BYTES_MAX, &text);
    if (error == OK)
        error = read_seal(&text, ret) ? read_rows(text.data, ret, rows) : ERR_CORRUPT;
    buffer_deinit(&text);
    return error;
}

/* Keeps the lines: the next change goes behind them. */
static enum err read_delta(struct registry_file *file, struct rows *rows, struct seal *base)
{
    struct buffer *text = &file->delta.text;
    struct seal seal;
    enum err error = sealed_file_read(file->delta_path, file->keys, "registry delta", FILE_BYTES_MAX, text);
    if (error == ERR_NOT_FOUND)
        return OK;
    if (error == OK)
        error = read_seal(text, &seal) ? OK : ERR_CORRUPT;
    if (error == OK && seal.serial != base->serial) {
        buffer_clear(text); /* of the base before: this one holds its rows */
        return OK;
    }
    if (error == OK)
        error = read_rows(text->data, &seal, rows);
    if (error != OK) {
        buffer_clear(text);
        return error;
    }
    text->size = seal.body;
    file->delta.count = seal.rows;
    base->version = seal.version;
    return OK;
}

enum err registry_file_load(struct registry_file *file, struct rows **ret_rows, int64_t *ret_version)
{
    struct rows *rows = rows_new();
    struct seal seal;
    enum err error = read_base(file, rows, &seal);
    if (error == OK) {
        error = read_delta(file, rows, &seal);
        error = error == ERR_NOT_FOUND ? ERR_CORRUPT : error;
    }
    if (error != OK) {
        rows_free(rows);
        return error;
    }
    file->serial = seal.serial;
    *ret_rows = rows;
    *ret_version = seal.version;
    return OK;
}
