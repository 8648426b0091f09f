/* file: small files of the control plane, replaced whole or not at all (PITFALLS F2).
 * Threads: any; not on the path of a reading. */
#ifndef VIGIE_BASE_FILE_H
#define VIGIE_BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "daemon/base/buffer.h"
#include "daemon/base/err.h"

/* Writes path.new, syncs it, renames it over `path`, syncs the directory. */
MUST_CHECK enum err file_replace(const char *path, const void *data, size_t size, mode_t mode);

/* Appends the whole file to `buffer`; ERR_LIMIT beyond `size_max`. */
MUST_CHECK enum err file_read(const char *path, size_t size_max, struct buffer *buffer);

/* Makes names created, renamed or removed in a directory durable. */
MUST_CHECK enum err file_sync_directory(const char *directory);
/* The same for the directory that holds `path`. */
MUST_CHECK enum err file_sync_directory_of(const char *path);

/* Writes all of it, over short writes and EINTR. */
MUST_CHECK enum err file_write_all(int fd, const void *data, size_t size);

#endif
