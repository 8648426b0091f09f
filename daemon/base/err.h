/* err: the one type of operating errors, made from err.def.
 * Functions that can fail in operation return enum err and are MUST_CHECK; the layer that decides logs
 * once, lower ones only return. Threads: any. */
#ifndef VIGIE_BASE_ERR_H
#define VIGIE_BASE_ERR_H

#include "daemon/base/ensure.h"

enum err {
#define ERR(id, sysexit, text) ERR_##id,
#include "daemon/base/err.def"
#undef ERR
    ERR_COUNT
};

#define OK ERR_OK

/* English text of the error; static storage. */
const char *err_text(enum err error);

/* Name of the row, e.g. "NO_SPACE"; static storage. */
const char *err_name(enum err error);

/* Exit status for a program that ends because of the error (sysexits.h). */
int err_sysexit(enum err error);

/* The error that an errno value stands for (ENOSPC -> ERR_NO_SPACE, ...). */
enum err err_from_errno(int number);

#endif
