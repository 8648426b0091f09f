/* listeners: the rows as functions. */
#include "daemon/ingest/listeners.h"

#include "config/config.h"
#include "daemon/base/ensure.h"

const char *listener_name(enum ingest_listener listener)
{
    static const char *const names[] = {
#define LISTENER_NAME(id, name, with_tls, protocol) #name,
        LISTENER_ROWS(LISTENER_NAME)
#undef LISTENER_NAME
    };
    ensure(listener < LISTENERS);
    return names[listener];
}

const char *listener_setting(enum ingest_listener listener, const struct config *config)
{
    switch (listener) {
#define LISTENER_CASE(id, name, with_tls, protocol)                                                          \
    case LISTENER_##id:                                                                                      \
        return config->listen_##name;
        LISTENER_ROWS(LISTENER_CASE)
#undef LISTENER_CASE
    default:
        ensure_unreachable();
    }
}
