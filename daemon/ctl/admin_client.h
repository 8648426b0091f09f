/* admin_client: one HTTP/1.1 exchange with a running daemon over state_dir/admin.sock.
 * Owner:   the answer's body is the caller's to free (buffer_deinit). Threads: any; blocks.
 * Fails:   ERR_NOT_FOUND: nobody listens, the daemon is down; ERR_PERMISSION; ERR_FORMAT: the answer is no
 *          HTTP; ERR_UNAVAILABLE: it left or stayed silent. */
#ifndef VIGIE_DAEMON_CTL_ADMIN_CLIENT_H
#define VIGIE_DAEMON_CTL_ADMIN_CLIENT_H

#include <stddef.h>

#include "daemon/base/buffer.h"
#include "daemon/base/err.h"

struct admin_exchange {
    const char *state_dir;
    const char *method, *target, *content_type;
    const void *body;
    size_t body_size;
    int timeout_s; /* an import of a large cohort takes its time */
};

struct admin_reply {
    int status;
    struct buffer body; /* ends with a zero byte that body.size does not count */
};

MUST_CHECK enum err admin_exchange(const struct admin_exchange *exchange, struct admin_reply *ret_reply);

#endif
