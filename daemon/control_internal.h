/* control_internal: how a route of the admin port asks the shards or the registry thread: shared by control.c
 * and its neighbours alone. Threads: the loop of main. */
#ifndef VIGIE_DAEMON_CONTROL_INTERNAL_H
#define VIGIE_DAEMON_CONTROL_INTERNAL_H

#include <jansson.h>

#include "daemon/service_internal.h"

/* A control call that waits for every shard. */
struct fanout {
    struct control *control;
    struct admin_request *request;
    void (*finish)(struct fanout *fanout);
    void (*done)(void *context, bool taken); /* of control_tell_node() */
    void *context;
    unsigned shards, outstanding;
    struct command command[SHARDS_MAX];
};

/* A registry request and the call that it answers; `registry` comes first. */
struct registry_call {
    struct registry_request registry;
    struct admin_request *request;
    json_t *body; /* owns the strings lent to `registry` */
    void (*finish)(struct control *control, struct registry_call *call);
};

/* Sends the command `json` to every shard; finish() answers when all are back. Takes the buffer's content. */
void control__fanout(struct control *control, struct admin_request *request, enum command_kind kind,
                     struct buffer *json, void (*finish)(struct fanout *fanout));
/* The answer of the shard that the command concerns. */
void control__answer_command(struct fanout *fanout);

/* Takes `body`. finish() answers, or sends the call on; NULL: the registry's reply is the answer. */
void control__ask_registry(struct control *control, struct admin_request *request,
                           const struct registry_request *asked, json_t *body,
                           void (*finish)(struct control *control, struct registry_call *call));

/* POST /v1/quarantine/ID/release|discard {"author","reason"} */
void control__settle_quarantine(void *context, struct admin_request *request);

#endif
