/* connection_source: who speaks. By the token of a request, else by the names of the certificate that the
 * handshake has verified; what was found is kept as long as the registry's version stays. */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/slab.h"
#include "daemon/ingest/connection_internal.h"
#include "daemon/ingest/loop.h"

enum { RECHECKS_PER_TURN = 8 }; /* some 200 us each: two signatures are verified */

void connection__know(struct connection *conn)
{
    if (conn->is_stranger)
        TAILQ_REMOVE(&conn->loop->strangers, conn, stranger);
    conn->is_stranger = false;
}

void connection__keep_names(struct connection *conn)
{
    char names[NAMES_MAX];
    conn->names_size = tls_peer_names(conn->tls, names, sizeof(names), &conn->names_until_s);
    if (conn->names_size == 0)
        return;
    conn->names = slab_take(conn->names_size);
    memcpy(conn->names, names, conn->names_size);
}

/* Certificates after a reload. The walk goes along the list of all; who comes meanwhile is put in front of it
 * and has been judged by the new context, who goes moves the mark on (connection.c). */

void connections_recheck_begin(struct loop *loop)
{
    loop->recheck_next = loop->all;
}

void connections_recheck(struct loop *loop)
{
    int64_t generation = loop->settings->generation;
    for (int judged = 0; loop->recheck_next != NULL && judged < RECHECKS_PER_TURN;) {
        struct connection *conn = loop->recheck_next;
        loop->recheck_next = conn->next;
        if (conn->names == NULL || conn->state == CONNECTION_CLOSING)
            continue;
        judged++;
        if (tls_peer_holds(conn->tls, loop->settings->tls))
            continue;
        counter_add(loop->context.counters, COUNTER_CERTIFICATES_REFUSED, 1);
        connection_close(conn);
    }
    if (loop->recheck_next != NULL ||
        atomic_load_explicit(&loop->settled_generation, memory_order_relaxed) == generation)
        return;
    atomic_store_explicit(&loop->settled_generation, generation, memory_order_release);
    wakeup_ring(loop->options.settled_bell);
}

/* A certificate that has ended since the handshake names nobody. */
static bool names_hold(const struct connection *conn)
{
    return conn->names_size > 0 && conn->loop->date_second < conn->names_until_s;
}

static const struct registry_source *resolve(struct connection *conn, struct slice authorization)
{
    const struct registry *registry = conn->loop->context.registry;
    const struct registry_source *source = NULL;
    struct slice token = http_bearer(authorization);
    uint8_t digest[SHA256_BYTES];
    if (authorization.size > 0) {
        if (token.data == NULL)
            return NULL;
        hash_sha256(token.data, token.size, digest);
        return registry_source_by_token(registry, digest);
    }
    for (size_t at = 0; names_hold(conn) && at < conn->names_size && source == NULL;
         at += strlen(conn->names + at) + 1)
        source = registry_source_by_certificate(registry, conn->names + at);
    return source;
}

/* The header's text is the key: a kept connection costs no digest a message. */
const struct registry_source *connection_source(struct connection *conn, struct slice authorization)
{
    int64_t version = registry_version(conn->loop->context.registry);
    bool keepable = authorization.size <= TOKEN_KEPT_MAX;
    bool same = conn->source != NULL && conn->source_version == version && keepable &&
                conn->token_size == authorization.size &&
                (authorization.size == 0 ? names_hold(conn)
                                         : memcmp(conn->token, authorization.data, authorization.size) == 0);
    if (same)
        return conn->source;
    const struct registry_source *source = resolve(conn, authorization);
    if (source != NULL)
        connection__know(conn);
    conn->source = keepable ? source : NULL;
    conn->source_version = version;
    conn->token_size = keepable ? authorization.size : 0;
    if (keepable && authorization.size > 0)
        memcpy(conn->token, authorization.data, authorization.size);
    return source;
}

const struct registry_source *connection_source_by_ref(struct connection *conn, const char *ref)
{
    const struct registry *registry = conn->loop->context.registry;
    if (conn->source != NULL && conn->source_version == registry_version(registry))
        return conn->source;
    conn->source = registry_source_by_ref(registry, ref);
    conn->source_version = registry_version(registry);
    if (conn->source != NULL)
        connection__know(conn);
    return conn->source;
}
