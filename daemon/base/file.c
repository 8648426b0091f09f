/* file: see the header. */
#include "daemon/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum err file_write_all(int fd, const void *data, size_t size)
{
    const char *from = data;
    while (size > 0) {
        ssize_t wrote = write(fd, from, size);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return err_from_errno(errno);
        from += wrote;
        size -= (size_t)wrote;
    }
    return OK;
}

enum err file_sync_directory(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    enum err error = fsync(fd) == 0 ? OK : err_from_errno(errno);
    close(fd);
    return error;
}

enum err file_sync_directory_of(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        snprintf(directory, sizeof directory, ".");
    else
        snprintf(directory, sizeof directory, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    return file_sync_directory(directory);
}

enum err file_replace(const char *path, const void *data, size_t size, mode_t mode)
{
    char fresh[PATH_MAX];
    if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
        return ERR_LIMIT;
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return err_from_errno(errno);
    enum err error = file_write_all(fd, data, size);
    if (error == OK && fsync(fd) != 0)
        error = err_from_errno(errno);
    close(fd);
    if (error == OK && rename(fresh, path) != 0)
        error = err_from_errno(errno);
    if (error == OK)
        return file_sync_directory_of(path);
    unlink(fresh);
    return error;
}

static enum err read_to_end(int fd, size_t size_max, struct buffer *buffer)
{
    size_t start = buffer->size;
    for (;;) {
        char *into = buffer_reserve(buffer, 65536);
        ssize_t got = read(fd, into, 65536);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_from_errno(errno);
        if (got == 0)
            return OK;
        buffer->size += (size_t)got;
        if (buffer->size - start > size_max)
            return ERR_LIMIT;
    }
}

enum err file_read(const char *path, size_t size_max, struct buffer *buffer)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    enum err error = read_to_end(fd, size_max, buffer);
    close(fd);
    return error;
}
