/* admin: the HTTP server of health, metrics and control: the port [listen] admin and state_dir/admin.sock, on
 * the loop of main. /healthz, /readyz and /metrics are open; all else needs a role: by bearer token on the
 * port; on the socket root and our own uid have every role (INTERFACES.md section 7). Owner:   service starts
 * and stops it; routes, options and what they point to outlive it. Threads: the loop's alone; admin_answer()
 * too. Fails:   admin_start() with what cannot be bound, logged with the hint. */
#ifndef VIGIE_DAEMON_ADMIN_ADMIN_H
#define VIGIE_DAEMON_ADMIN_ADMIN_H

#include <uv.h>

#include "daemon/admin/metrics.h"
#include "daemon/ingest/exchange.h"

#define ADMIN_ROLE_ROWS(ROLE)                                                                                \
    ROLE(PHYSICIAN, "physician")                                                                             \
    ROLE(NURSE, "nurse")                                                                                     \
    ROLE(OPERATOR, "operator")                                                                               \
    ROLE(ADMINISTRATOR, "administrator")                                                                     \
    ROLE(AUDITOR, "auditor")                                                                                 \
    ROLE(SYSTEM, "system")

enum admin_role_index {
#define ADMIN_ROLE_ENUM(id, word) ADMIN_ROLE_INDEX_##id,
    ADMIN_ROLE_ROWS(ADMIN_ROLE_ENUM)
#undef ADMIN_ROLE_ENUM
        ADMIN_ROLE_COUNT
};

/* Roles are bits: a token may have several. */
enum admin_role {
#define ADMIN_ROLE_BIT(id, word) ADMIN_ROLE_##id = 1 << ADMIN_ROLE_INDEX_##id,
    ADMIN_ROLE_ROWS(ADMIN_ROLE_BIT)
#undef ADMIN_ROLE_BIT
        ADMIN_ROLE_ANY = (1 << ADMIN_ROLE_COUNT) - 1
};

/* The bit of a word; 0 when it is no role. */
unsigned admin_role_from_word(const char *word);

/* A control call; the handler's until admin_answer(), whatever becomes of the connection. */
struct admin_request {
    enum exchange_method method;
    struct slice path, query;
    struct slice rest; /* behind the route's path when that ends in '*' */
    char *body;        /* NUL-terminated */
    size_t body_size;
    unsigned roles;                 /* bits that the caller has */
    char author[REF_BYTES_MAX + 1]; /* "uid:0" on the socket, the token's name on the port */
    void *owner;                    /* the handler's own */
};

/* The body is copied. `body` is JSON when `type` is NULL. */
void admin_answer(struct admin_request *request, int status, const char *type, const struct buffer *body);
/* The body {"code","text"}. */
void admin_refuse(struct admin_request *request, int status, const char *code, const char *text);

struct admin_route {
    enum exchange_method method;
    const char *path; /* exact, or a prefix that ends in '*' */
    unsigned roles;   /* any of these bits */
    void (*handle)(void *context, struct admin_request *request);
};

struct admin_options {
    const struct config *config;
    const struct admin_route *routes; /* ends with path NULL */
    /* Roles of a token and its name for `author`; 0: unknown. NULL: no token is known. */
    unsigned (*roles_of_token)(void *context, const uint8_t sha256[SHA256_BYTES],
                               char author[REF_BYTES_MAX + 1]);
    /* False while starting and stopping: routes that need a role are answered 503. */
    bool (*is_serving)(void *context);
    /* Appends JSON strings of what is away or late while readings are accepted all the same. */
    void (*tell_degraded)(void *context, struct buffer *json);
    /* True when readings are accepted; else appends JSON strings of what is not ready to the open array. */
    bool (*is_ready)(void *context, struct buffer *json);
    void (*read_metrics)(void *context, struct metrics_sources *ret);
    void *context;
};

struct admin;
MUST_CHECK enum err admin_start(uv_loop_t *loop, const struct admin_options *options,
                                struct admin **ret_admin);
int admin_port(const struct admin *admin); /* 0 when only the socket is open */
/* Closes everything; the loop must run until its handles are closed, then admin_free(). */
void admin_stop(struct admin *admin);
void admin_free(struct admin *admin);

#endif
