/* sealed_file: see the header. Whole files go through the streams, so there is one format and one place that
 * checks it. */
#include "daemon/base/sealed_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "daemon/base/file.h"
#include "daemon/base/hash.h"
#include "daemon/base/log.h"

enum { FILE_FORMAT = 1, FILE_HEADER_BYTES = 64, CHUNK_HEADER_BYTES = 24 };

static const char file_magic[8] = {'V', 'I', 'G', 'I', 'E', 'S', 'L', 'D'};

struct file_header {
    char magic[8];
    uint32_t format, key_id;
    uint8_t salt[CIPHER_SALT_BYTES], padding[16];
};

struct chunk_header {
    uint32_t length, last;
    uint8_t tag[CIPHER_TAG_BYTES];
};

/* What a chunk's tag covers beside its bytes. */
struct chunk_place {
    struct file_header file;
    char label[SEALED_LABEL_MAX + 1];
    uint64_t number;
    uint32_t length, last;
};

_Static_assert(sizeof(struct file_header) == FILE_HEADER_BYTES, "the header is fixed");
_Static_assert(sizeof(struct chunk_header) == CHUNK_HEADER_BYTES, "the header is fixed");
_Static_assert(sizeof(struct chunk_place) == FILE_HEADER_BYTES + SEALED_LABEL_MAX + 1 + 16, "no hole");

/* Both directions: the file, and the chunk that is being filled or emptied. */
struct stream {
    char path[PATH_MAX], label[SEALED_LABEL_MAX + 1];
    int fd;
    struct file_header header;
    struct cipher *cipher;
    uint64_t number;
    struct {
        struct chunk_header header;
        uint8_t data[SEALED_CHUNK_MAX];
    } chunk;
};

struct sealed_writer {
    struct stream stream;
    char target[PATH_MAX];
    uint32_t filled;
};

struct sealed_reader {
    struct stream stream;
    uint32_t taken;
    bool ended;
};

static enum err stream_init(struct stream *stream, const char *path, const char *suffix, const char *label)
{
    ensure(strlen(label) > 0 && strlen(label) <= SEALED_LABEL_MAX);
    stream->fd = -1;
    snprintf(stream->label, sizeof(stream->label), "%s", label);
    int size = snprintf(stream->path, sizeof(stream->path), "%s%s", path, suffix);
    return size > 0 && size < (int)sizeof(stream->path) ? OK : ERR_LIMIT;
}

static void stream_deinit(struct stream *stream)
{
    if (stream->fd >= 0)
        close(stream->fd);
    cipher_close(stream->cipher);
    OPENSSL_cleanse(stream->chunk.data, sizeof(stream->chunk.data));
}

static enum err stream_key(struct stream *stream, const struct cipher_keys *keys)
{
    char label[SEALED_LABEL_MAX + 12];
    snprintf(label, sizeof(label), "vigie file %s", stream->label);
    return cipher_open(keys, stream->header.key_id, stream->header.salt, label, &stream->cipher);
}

static struct chunk_place stream_place(const struct stream *stream)
{
    struct chunk_place place = {.file = stream->header,
                                .number = stream->number,
                                .length = stream->chunk.header.length,
                                .last = stream->chunk.header.last};
    memcpy(place.label, stream->label, sizeof(place.label));
    return place;
}

/* --- writing ----------------------------------------------------------------------------------------------
 */

static enum err start_file(struct stream *stream, const struct cipher_keys *keys, mode_t mode)
{
    memcpy(stream->header.magic, file_magic, sizeof(file_magic));
    stream->header.format = FILE_FORMAT;
    stream->header.key_id = cipher_keys_sealing(keys);
    enum err error = hash_random(stream->header.salt, sizeof(stream->header.salt));
    if (error == OK)
        error = stream_key(stream, keys);
    if (error != OK)
        return error;
    stream->fd = open(stream->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (stream->fd < 0)
        return err_from_errno(errno);
    return file_write_all(stream->fd, &stream->header, sizeof(stream->header));
}

enum err sealed_writer_open(const char *path, const struct cipher_keys *keys, const char *label, mode_t mode,
                            struct sealed_writer **ret_writer)
{
    struct sealed_writer *writer = calloc(1, sizeof(*writer));
    ensure(writer != NULL);
    enum err error = stream_init(&writer->stream, path, ".new", label);
    if (error == OK) {
        snprintf(writer->target, sizeof(writer->target), "%s", path);
        error = start_file(&writer->stream, keys, mode);
    }
    if (error == OK)
        *ret_writer = writer;
    else
        sealed_writer_abandon(writer);
    return error;
}

static enum err write_chunk(struct sealed_writer *writer, bool last)
{
    struct stream *stream = &writer->stream;
    stream->chunk.header = (struct chunk_header){.length = writer->filled, .last = last};
    struct chunk_place place = stream_place(stream);
    const struct cipher_message message = {.counter = stream->number,
                                           .aad = &place,
                                           .aad_size = sizeof(place),
                                           .data = stream->chunk.data,
                                           .size = writer->filled};
    cipher_seal(stream->cipher, &message, stream->chunk.header.tag);
    stream->number++;
    size_t size = CHUNK_HEADER_BYTES + writer->filled;
    writer->filled = 0;
    return file_write_all(stream->fd, &stream->chunk, size);
}

enum err sealed_writer_write(struct sealed_writer *writer, const void *data, size_t size)
{
    const uint8_t *from = data;
    while (size > 0) {
        if (writer->filled == SEALED_CHUNK_MAX) { /* not before: the last chunk is never empty but alone */
            enum err error = write_chunk(writer, false);
            if (error != OK)
                return error;
        }
        size_t room = SEALED_CHUNK_MAX - writer->filled, part = size < room ? size : room;
        memcpy(writer->stream.chunk.data + writer->filled, from, part);
        writer->filled += (uint32_t)part;
        from += part;
        size -= part;
    }
    return OK;
}

enum err sealed_writer_sync(struct sealed_writer *writer)
{
    return fdatasync(writer->stream.fd) == 0 ? OK : err_from_errno(errno);
}

enum err sealed_writer_finish(struct sealed_writer **writer)
{
    struct sealed_writer *taken = *writer;
    struct stream *stream = &taken->stream;
    *writer = NULL;
    enum err error = write_chunk(taken, true);
    if (error == OK && fsync(stream->fd) != 0)
        error = err_from_errno(errno);
    if (error == OK && rename(stream->path, taken->target) != 0)
        error = err_from_errno(errno);
    if (error != OK) {
        sealed_writer_abandon(taken);
        return error;
    }
    error = file_sync_directory_of(taken->target);
    stream_deinit(stream);
    free(taken);
    return error;
}

void sealed_writer_abandon(struct sealed_writer *writer)
{
    if (writer == NULL)
        return;
    if (writer->stream.fd >= 0)
        unlink(writer->stream.path);
    stream_deinit(&writer->stream);
    free(writer);
}

/* --- reading ----------------------------------------------------------------------------------------------
 */

/* Short only at the end of the file. */
static enum err read_fully(int fd, void *data, size_t size, size_t *ret_size)
{
    size_t at = 0;
    while (at < size) {
        ssize_t got = read(fd, (char *)data + at, size - at);
        if (got < 0 && errno != EINTR)
            return err_from_errno(errno);
        if (got == 0)
            break;
        at += got > 0 ? (size_t)got : 0;
    }
    *ret_size = at;
    return OK;
}

static enum err report_damage(const struct stream *stream)
{
    log_write(LOG_ERROR, "state",
              "sealed file is damaged file=%s chunk=%" PRIu64 " hint=\"restore the file\"", stream->path,
              stream->number);
    return ERR_CORRUPT;
}

static enum err start_reading(struct stream *stream, const struct cipher_keys *keys)
{
    size_t got;
    stream->fd = open(stream->path, O_RDONLY | O_CLOEXEC);
    if (stream->fd < 0)
        return err_from_errno(errno);
    enum err error = read_fully(stream->fd, &stream->header, sizeof(stream->header), &got);
    if (error != OK)
        return error;
    if (got < sizeof(stream->header) || memcmp(stream->header.magic, file_magic, sizeof(file_magic)) != 0 ||
        stream->header.format != FILE_FORMAT)
        return ERR_FORMAT;
    error = stream_key(stream, keys);
    if (error == ERR_KEY_MISSING)
        log_write(LOG_ERROR, "state",
                  "sealed file needs another master key file=%s found_key_id=%08" PRIx32
                  " expected_key_id=%08" PRIx32 " hint=\"put the old key into [journal] old_keys\"",
                  stream->path, stream->header.key_id, cipher_keys_sealing(keys));
    return error;
}

enum err sealed_reader_open(const char *path, const struct cipher_keys *keys, const char *label,
                            struct sealed_reader **ret_reader)
{
    struct sealed_reader *reader = calloc(1, sizeof(*reader));
    ensure(reader != NULL);
    enum err error = stream_init(&reader->stream, path, "", label);
    if (error == OK)
        error = start_reading(&reader->stream, keys);
    if (error == OK)
        *ret_reader = reader;
    else
        sealed_reader_close(reader);
    return error;
}

/* Bytes behind the last chunk belong to nobody. */
static enum err check_end(struct stream *stream)
{
    uint8_t byte;
    size_t got;
    enum err error = read_fully(stream->fd, &byte, 1, &got);
    if (error != OK)
        return error;
    return got == 0 ? OK : report_damage(stream);
}

static enum err next_chunk(struct sealed_reader *reader)
{
    struct stream *stream = &reader->stream;
    struct chunk_header *header = &stream->chunk.header;
    size_t got;
    reader->taken = 0;
    enum err error = read_fully(stream->fd, header, sizeof(*header), &got);
    if (error != OK)
        return error;
    if (got < sizeof(*header) || header->length > SEALED_CHUNK_MAX || header->last > 1)
        goto damaged;
    error = read_fully(stream->fd, stream->chunk.data, header->length, &got);
    if (error != OK)
        return error;
    struct chunk_place place = stream_place(stream);
    const struct cipher_message message = {.counter = stream->number,
                                           .aad = &place,
                                           .aad_size = sizeof(place),
                                           .data = stream->chunk.data,
                                           .size = header->length};
    if (got < header->length || cipher_unseal(stream->cipher, &message, header->tag) != OK)
        goto damaged;
    stream->number++;
    reader->ended = header->last == 1;
    return reader->ended ? check_end(stream) : OK;

damaged:
    header->length = 0;
    return report_damage(stream);
}

enum err sealed_reader_read(struct sealed_reader *reader, void *data, size_t size, size_t *ret_size)
{
    uint8_t *into = data;
    size_t at = 0;
    while (at < size) {
        const struct chunk_header *chunk = &reader->stream.chunk.header;
        size_t left = chunk->length - reader->taken, part = size - at < left ? size - at : left;
        if (part > 0)
            memcpy(into + at, reader->stream.chunk.data + reader->taken, part);
        at += part;
        reader->taken += (uint32_t)part;
        if (at == size || reader->ended)
            break;
        enum err error = next_chunk(reader);
        if (error != OK)
            return error;
    }
    *ret_size = at;
    return OK;
}

void sealed_reader_close(struct sealed_reader *reader)
{
    if (reader == NULL)
        return;
    stream_deinit(&reader->stream);
    free(reader);
}

/* --- whole files ------------------------------------------------------------------------------------------
 */

enum err sealed_file_replace(const char *path, const struct cipher_keys *keys, const char *label,
                             const void *data, size_t size, mode_t mode)
{
    struct sealed_writer *writer;
    enum err error = sealed_writer_open(path, keys, label, mode, &writer);
    if (error != OK)
        return error;
    error = sealed_writer_write(writer, data, size);
    if (error == OK)
        return sealed_writer_finish(&writer);
    sealed_writer_abandon(writer);
    return error;
}

enum err sealed_file_read(const char *path, const struct cipher_keys *keys, const char *label,
                          size_t size_max, struct buffer *buffer)
{
    struct sealed_reader *reader;
    size_t start = buffer->size, got = 1;
    enum err error = sealed_reader_open(path, keys, label, &reader);
    if (error != OK)
        return error;
    while (error == OK && got > 0) {
        char *into = buffer_reserve(buffer, SEALED_CHUNK_MAX);
        error = sealed_reader_read(reader, into, SEALED_CHUNK_MAX, &got);
        buffer->size += error == OK ? got : 0;
        if (error == OK && buffer->size - start > size_max)
            error = ERR_LIMIT;
    }
    if (error != OK)
        buffer->size = start;
    sealed_reader_close(reader);
    return error;
}
