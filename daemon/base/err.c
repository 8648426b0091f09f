/* err: the rows of err.def as text, name, exit status, and the rows that errno values stand for. */
#include "daemon/base/err.h"

#include <errno.h>
#include <stddef.h>

static const struct {
    const char *name, *text;
    int sysexit;
} rows[ERR_COUNT] = {
#define ERR(id, sysexit, text) {#id, text, sysexit},
#include "daemon/base/err.def"
#undef ERR
};

static const struct {
    int number;
    enum err error;
} errno_rows[] = {
    {ENOSPC, ERR_NO_SPACE},
    {EDQUOT, ERR_NO_SPACE},
    {ENOMEM, ERR_NO_MEMORY},
    {ENOENT, ERR_NOT_FOUND},
    {EEXIST, ERR_EXISTS},
    {EACCES, ERR_PERMISSION},
    {EPERM, ERR_PERMISSION},
    {EROFS, ERR_PERMISSION},
    {EIO, ERR_IO},
    {EAGAIN, ERR_BUSY},
    {EBUSY, ERR_BUSY},
    {EADDRINUSE, ERR_BUSY},
    {ECONNREFUSED, ERR_UNAVAILABLE},
    {ETIMEDOUT, ERR_UNAVAILABLE},
    {ENETUNREACH, ERR_UNAVAILABLE},
    {EPIPE, ERR_CLOSED},
    {ECONNRESET, ERR_CLOSED},
    {EMFILE, ERR_LIMIT},
    {ENFILE, ERR_LIMIT},
    {EFBIG, ERR_LIMIT},
};

const char *err_text(enum err error)
{
    ensure(error < ERR_COUNT);
    return rows[error].text;
}

const char *err_name(enum err error)
{
    ensure(error < ERR_COUNT);
    return rows[error].name;
}

int err_sysexit(enum err error)
{
    ensure(error < ERR_COUNT);
    return rows[error].sysexit;
}

enum err err_from_errno(int number)
{
    ensure(number != 0);
    for (size_t i = 0; i < sizeof(errno_rows) / sizeof(errno_rows[0]); i++)
        if (errno_rows[i].number == number)
            return errno_rows[i].error;
    return ERR_OS;
}
