/* The delta's lines stay in memory: the next change is appended to them, and all are sealed and replaced
 * whole. A base is made in slices: the keys of a table are noted, then their rows written one by one as they
 * are by then; see registry_file.h for the format and the crash argument. */
#include "daemon/registry/registry_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/hash.h"
#include "daemon/base/instant.h"
#include "daemon/base/sealed_file.h"
#include "daemon/registry/registry_json.h"

enum {
    FILE_BYTES_MAX = 1 << 30, /* 1 M patients with device, source and identifier: about 950 MB */
    SEAL_BYTES_MAX = 128,     /* three numbers and their names */
    DELTA_BYTES_MAX =
        4 << 20, /* sealed and synced in some 10 ms; a whole base of 100,000 patients takes seconds */
    DELTA_BYTES_GROWN = 1 << 18, /* read back in a few ms; about 700 rows */
    FLUSH_BYTES = 1 << 16,       /* lines given to the sealed writer at once */
    ROWS_A_LOOK = 64             /* rows between two looks at the clock: some 100 us */
};

struct lines {
    struct buffer text;
    int64_t count;
};

/* A base under way. */
struct making {
    struct sealed_writer *writer; /* NULL: none is under way */
    struct lines lines;           /* text not yet given to the writer; count of all */
    struct buffer keys;           /* of the table at hand, each ended by a NUL */
    size_t at;                    /* next of them */
    unsigned tables;              /* whose keys were noted */
    uint64_t serial;
};

struct registry_file {
    const struct cipher_keys *keys;
    uint64_t serial; /* of the base on disk, 0: none that can be built on */
    struct lines delta;
    bool lags; /* the delta on disk lacks lines that `delta` has */
    struct making making;
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

static void making_end(struct making *making)
{
    sealed_writer_abandon(making->writer);
    buffer_deinit(&making->lines.text);
    buffer_deinit(&making->keys);
    *making = (struct making){.writer = NULL};
}

void registry_file_free(struct registry_file *file)
{
    if (file == NULL)
        return;
    making_end(&file->making);
    buffer_deinit(&file->delta.text);
    free(file);
}

/* ---- lines ---- */

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

static void add_seal(struct lines *lines, int64_t version, uint64_t serial)
{
    buffer_printf(&lines->text, "{\"version\":%lld,\"rows\":%lld,\"serial\":\"%016llx\"}\n",
                  (long long)version, (long long)lines->count, (unsigned long long)serial);
}

/* ---- the base ---- */

static enum err begin_base(struct registry_file *file)
{
    struct making *making = &file->making;
    enum err error = hash_random(&making->serial, sizeof(making->serial));
    making->serial |= 1; /* 0 says none */
    return error == OK ? sealed_writer_open(file->base_path, file->keys, "registry", 0600, &making->writer)
                       : error;
}

/* Rows may come, go and be replaced until their turn; keys cannot dangle. */
static void note_keys(struct making *making, const struct rows *rows)
{
    buffer_clear(&making->keys);
    making->at = 0;
    for (struct row *row = rows_first(rows, making->tables); row != NULL; row = row->next)
        buffer_append(&making->keys, row->key, strlen(row->key) + 1);
    making->tables++;
}

/* True when every row has been written. */
static bool add_some(struct making *making, const struct rows *rows)
{
    for (unsigned i = 0; i < ROWS_A_LOOK; i++) {
        while (making->at == making->keys.size && making->tables < ROW_TABLES)
            note_keys(making, rows);
        if (making->at == making->keys.size)
            return true;
        const char *key = making->keys.data + making->at;
        making->at += strlen(key) + 1;
        struct row *row = rows_find(rows, making->tables - 1, "%s", key);
        if (row != NULL) /* else it was taken out: a line said so */
            add_row(&making->lines, row, false);
    }
    return false;
}

static enum err flush(struct making *making)
{
    enum err error = sealed_writer_write(making->writer, making->lines.text.data, making->lines.text.size);
    buffer_clear(&making->lines.text);
    return error;
}

/* Whether the rename came to the disk is not known after an error: nothing is built on either base then. */
static enum err finish_base(struct registry_file *file, int64_t version)
{
    struct making *making = &file->making;
    add_seal(&making->lines, version, making->serial);
    enum err error = flush(making);
    if (error != OK)
        return error;
    error = sealed_writer_finish(&making->writer);
    file->serial = error == OK ? making->serial : 0;
    if (error == OK) {
        buffer_clear(&file->delta.text);
        file->delta.count = 0;
        file->lags = false;
        making_end(making);
    }
    return error;
}

static enum err make_some(struct registry_file *file, const struct rows *rows, int64_t version,
                          int64_t until_ns)
{
    struct making *making = &file->making;
    bool is_whole = false;
    enum err error = making->writer == NULL ? begin_base(file) : OK;
    while (error == OK && !is_whole) {
        is_whole = add_some(making, rows);
        if (making->lines.text.size >= FLUSH_BYTES)
            error = flush(making);
        if (clock_monotonic_ns() >= until_ns)
            break;
    }
    if (error == OK)
        error = is_whole ? finish_base(file, version) : sealed_writer_sync(making->writer);
    if (error != OK)
        making_end(making);
    return error;
}

enum err registry_file_renew_some(struct registry_file *file, const struct rows *rows, int64_t version,
                                  int64_t slice_ms)
{
    return make_some(file, rows, version, clock_monotonic_ns() + slice_ms * 1000000);
}

enum err registry_file_renew(struct registry_file *file, const struct rows *rows, int64_t version)
{
    return make_some(file, rows, version, INT64_MAX);
}

bool registry_file_is_renewing(const struct registry_file *file)
{
    return file->making.writer != NULL;
}

bool registry_file_is_grown(const struct registry_file *file, bool quiet)
{
    return file->serial == 0 || file->lags ||
           file->delta.text.size > (size_t)(quiet ? DELTA_BYTES_GROWN : DELTA_BYTES_MAX);
}

/* ---- the delta ---- */

void registry_file_add(struct registry_file *file, const struct row_changes *changes)
{
    add_changes(&file->delta, changes);
    file->lags = file->lags || changes->count > 0;
    if (file->making.writer != NULL)
        add_changes(&file->making.lines, changes);
}

enum err registry_file_save(struct registry_file *file, const struct rows *rows,
                            const struct row_changes *changes, int64_t version)
{
    struct buffer *text = &file->delta.text;
    size_t size = text->size;
    registry_file_add(file, changes);
    if (file->serial == 0 || text->size - size > DELTA_BYTES_MAX)
        return registry_file_renew(file, rows, version);
    size = text->size;
    add_seal(&file->delta, version, file->serial);
    enum err error =
        sealed_file_replace(file->delta_path, file->keys, "registry delta", text->data, text->size, 0600);
    text->size = size;
    file->lags = error != OK;
    return error;
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
