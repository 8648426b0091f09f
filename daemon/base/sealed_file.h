/* sealed_file: files below state_dir that could hold a reading, a rule or an identifier: encrypted and
 * authenticated, replaced whole or not at all (PITFALLS F2).
 *
 *   file:   | header 64: magic, format, key id, salt | chunk | chunk | ...
 *   chunk:  | length 4, last 4, tag 16 | ciphertext, at most 1 MiB
 *
 * Each file has a key of its own (cipher.h); a chunk's nonce is its number; its tag covers the header, the
 * label, number, length and whether it is the last one. So bytes changed, chunks cut off, repeated, exchanged
 * or brought from another file, and a file under another label are all refused. What can't be told: that an
 * older whole version of the same file was put back. Lengths are visible.
 * Threads: any; a writer or reader has one owner. Not on the path of a reading.
 * Fails:   ERR_KEY_MISSING and ERR_CORRUPT are logged here with path, found and hint; ERR_FORMAT: no sealed
 *          file at all; ERR_NOT_FOUND and other errors of the file system are only returned. */
#ifndef VIGIE_BASE_SEALED_FILE_H
#define VIGIE_BASE_SEALED_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "daemon/base/buffer.h"
#include "daemon/base/cipher.h"
#include "daemon/base/err.h"

enum { SEALED_CHUNK_MAX = 1 << 20, SEALED_LABEL_MAX = 31 };

/* Whole files. The label says what the file is ("registry", "snapshot 3"), at most SEALED_LABEL_MAX bytes. */
MUST_CHECK enum err sealed_file_replace(const char *path, const struct cipher_keys *keys, const char *label,
                                        const void *data, size_t size, mode_t mode);
/* Appends to `buffer`, which is as before after an error; ERR_LIMIT beyond `size_max`. */
MUST_CHECK enum err sealed_file_read(const char *path, const struct cipher_keys *keys, const char *label,
                                     size_t size_max, struct buffer *buffer);

/* Streams: for what is not wanted in memory at once. */
struct sealed_writer;
/* Writes PATH.new; `path` is untouched until sealed_writer_finish(). */
MUST_CHECK enum err sealed_writer_open(const char *path, const struct cipher_keys *keys, const char *label,
                                       mode_t mode, struct sealed_writer **ret_writer);
/* Copies; a chunk goes to the disk when it is full. An error is final: abandon. */
MUST_CHECK enum err sealed_writer_write(struct sealed_writer *writer, const void *data, size_t size);
/* Waits until the chunks written are on the disk, so that the finish of a large file finds little to wait
 * for.
 */
MUST_CHECK enum err sealed_writer_sync(struct sealed_writer *writer);
/* Last chunk, sync, rename, sync of the directory; takes the writer whatever it returns. */
MUST_CHECK enum err sealed_writer_finish(struct sealed_writer **writer);
void sealed_writer_abandon(struct sealed_writer *writer); /* removes PATH.new; NULL is taken */

struct sealed_reader;
MUST_CHECK enum err sealed_reader_open(const char *path, const struct cipher_keys *keys, const char *label,
                                       struct sealed_reader **ret_reader);
/* Fills `data`; less than `size` (maybe 0) only behind the last chunk, so a whole file has been verified when
 * the end shows. Bytes given are authentic; a file cut at a chunk's end shows only there. */
MUST_CHECK enum err sealed_reader_read(struct sealed_reader *reader, void *data, size_t size,
                                       size_t *ret_size);
void sealed_reader_close(struct sealed_reader *reader);

#endif
