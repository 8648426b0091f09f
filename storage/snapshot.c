/* snapshot: reading and the paths; the thread that writes is snapshot_writer.c. */
#include "storage/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/sealed_file.h"
#include "storage/snapshot_internal.h"

static const char magic[8] = {'V', 'I', 'G', 'I', 'E', 'S', 'N', 'P'};
static const uint64_t FRAME_BYTES_MAX = UINT64_C(4) << 30;

struct snapshot_reader {
    struct sealed_reader *sealed;
    struct buffer bytes;
    bool ended;
};

void snapshot__path(const struct snapshot_options *options, unsigned generation, char out[SNAPSHOT_PATH_MAX])
{
    int size = snprintf(out, SNAPSHOT_PATH_MAX, "%s/%u.%u", options->directory, (unsigned)options->shard,
                        generation);
    ensure(size > 0 && size < SNAPSHOT_PATH_MAX);
}

void snapshot__label(const struct snapshot_options *options, char out[SEALED_LABEL_MAX + 1])
{
    snprintf(out, SEALED_LABEL_MAX + 1, "snapshot %u", (unsigned)options->shard);
}

void snapshot_head_seal(struct snapshot_head *head)
{
    memcpy(head->magic, magic, sizeof magic);
    head->format = SNAPSHOT_FORMAT;
}

static enum err read_exactly(struct snapshot_reader *reader, void *data, size_t size)
{
    size_t got;
    enum err error = sealed_reader_read(reader->sealed, data, size, &got);
    return error != OK ? error : got == size ? OK : ERR_CORRUPT;
}

enum err snapshot_reader_open(const struct snapshot_options *options, unsigned generation,
                              struct snapshot_reader **ret_reader, struct snapshot_head *ret_head)
{
    char path[SNAPSHOT_PATH_MAX], label[SEALED_LABEL_MAX + 1];
    struct snapshot_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return ERR_NO_MEMORY;
    snapshot__path(options, generation, path);
    snapshot__label(options, label);
    enum err error = sealed_reader_open(path, options->keys, label, &reader->sealed);
    if (error != OK)
        goto fail_free;
    error = read_exactly(reader, ret_head, sizeof *ret_head);
    if (error == OK && memcmp(ret_head->magic, magic, sizeof magic) != 0)
        error = ERR_CORRUPT;
    if (error == OK && ret_head->format != SNAPSHOT_FORMAT)
        error = ERR_FORMAT;
    if (error != OK)
        goto fail_close;
    ret_head->engine[sizeof ret_head->engine - 1] = '\0';
    *ret_reader = reader;
    return OK;

fail_close:
    sealed_reader_close(reader->sealed);
fail_free:
    free(reader);
    return error;
}

/* Nothing may follow the END: only so has the whole file been verified. */
static enum err check_end(struct snapshot_reader *reader)
{
    char byte;
    size_t got;
    enum err error = sealed_reader_read(reader->sealed, &byte, 1, &got);
    reader->ended = true;
    return error != OK ? error : got == 0 ? OK : ERR_CORRUPT;
}

enum err snapshot_reader_next(struct snapshot_reader *reader, struct snapshot_frame *ret_frame,
                              const void **ret_bytes)
{
    if (reader->ended)
        return ERR_EMPTY;
    enum err error = read_exactly(reader, ret_frame, sizeof *ret_frame);
    if (error != OK)
        return error;
    if (ret_frame->kind < SNAPSHOT_SHARED || ret_frame->kind > SNAPSHOT_END ||
        ret_frame->size > FRAME_BYTES_MAX || (ret_frame->kind == SNAPSHOT_END && ret_frame->size != 0))
        return ERR_CORRUPT;
    if (ret_frame->kind == SNAPSHOT_END)
        return check_end(reader);
    buffer_clear(&reader->bytes);
    char *bytes = buffer_reserve(&reader->bytes, (size_t)ret_frame->size);
    *ret_bytes = bytes;
    return read_exactly(reader, bytes, (size_t)ret_frame->size);
}

void snapshot_reader_close(struct snapshot_reader *reader)
{
    if (reader == NULL)
        return;
    sealed_reader_close(reader->sealed);
    buffer_deinit(&reader->bytes);
    free(reader);
}

uint64_t snapshot_trim_position(const struct snapshot_figures *figures)
{
    uint64_t a = atomic_load_explicit(&figures->position[0], memory_order_acquire);
    uint64_t b = atomic_load_explicit(&figures->position[1], memory_order_acquire);
    return a < b ? a : b;
}
