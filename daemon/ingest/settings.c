/* settings: copies, so that the configuration they came from may go. */
#include "daemon/ingest/settings.h"

#include <stdlib.h>
#include <string.h>

enum err ingest_settings_new(const struct config *config, int64_t generation,
                             struct ingest_settings **ret_settings)
{
    struct ingest_settings *settings = calloc(1, sizeof(*settings));
    if (settings == NULL)
        return ERR_NO_MEMORY;
    *settings = (struct ingest_settings){
        .generation = generation,
        .connections_max = config->listen_connections_max,
        .handshake_timeout_ms = config->listen_handshake_timeout,
        .first_byte_timeout_ms = config->listen_first_byte_timeout,
        .message_timeout_ms = config->listen_message_timeout,
        .idle_timeout_ms = config->listen_idle_timeout,
        .pause_max_ms = config->listen_pause_max,
        .keepalive_max_ms = config->listen_keepalive_max,
        .session_max_ms = config->listen_session_max,
        .quota = {config->listen_quota_messages, config->listen_quota_readings},
    };
    enum err error = OK;
    if (config_listeners(config, true) > 0)
        error = tls_server_new(config, &settings->tls);
    if (error == OK)
        *ret_settings = settings;
    else
        ingest_settings_free(settings);
    return error;
}

void ingest_settings_free(struct ingest_settings *settings)
{
    if (settings == NULL)
        return;
    tls_server_free(settings->tls);
    free(settings);
}
