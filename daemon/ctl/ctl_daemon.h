/* ctl_daemon: asks the running daemon and turns its refusals into an error line and an exit status.
 * Owner:   the reply is the caller's, buffer_deinit(&reply->body). Threads: one. */
#ifndef VIGIE_DAEMON_CTL_CTL_DAEMON_H
#define VIGIE_DAEMON_CTL_CTL_DAEMON_H

#include "daemon/ctl/admin_client.h"
#include "daemon/ctl/ctl.h"

struct ctl_call {
    const char *method, *target;
    const char *content_type; /* NULL: no body */
    const void *body;
    size_t body_size;
    const char *file; /* named in the error line of a refusal; NULL without */
};

/* OK with a 2xx answer. ERR_NOT_FOUND and no line printed: the daemon is down. Else *ret_status is the exit
 * status and the line is printed. */
MUST_CHECK enum err ctl_ask_daemon(const struct ctl *ctl, const struct ctl_call *call,
                                   struct admin_reply *ret_reply, int *ret_status);
/* For commands that need it: true with a 2xx answer, else the line is printed and *ret_status is the exit
 * status. */
MUST_CHECK bool ctl_need_daemon(const struct ctl *ctl, const struct ctl_call *call,
                                struct admin_reply *ret_reply, int *ret_status);

#endif
