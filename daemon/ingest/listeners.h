/* listeners: the doors to the network, a row each: the key in [listen], which is also the name in ports.json
 * and the label `protocol` of vigie_connections; whether it is TLS; what it speaks. Threads: constants. */
#ifndef VIGIE_DAEMON_INGEST_LISTENERS_H
#define VIGIE_DAEMON_INGEST_LISTENERS_H

/*       id     name   TLS    protocol */
#define LISTENER_ROWS(ROW)                                                                                   \
    ROW(HTTPS, https, true, http_protocol)                                                                   \
    ROW(HTTP, http, false, http_protocol)                                                                    \
    ROW(MQTTS, mqtts, true, mqtt_protocol)                                                                   \
    ROW(MQTT, mqtt, false, mqtt_protocol)                                                                    \
    ROW(MLLPS, mllps, true, mllp_protocol)                                                                   \
    ROW(MLLP, mllp, false, mllp_protocol)

enum ingest_listener {
#define LISTENER_ENUM(id, name, with_tls, protocol) LISTENER_##id,
    LISTENER_ROWS(LISTENER_ENUM)
#undef LISTENER_ENUM
        LISTENERS
};

struct config;

const char *listener_name(enum ingest_listener listener);
/* ADDRESS:PORT, "off" or "" of [listen]. */
const char *listener_setting(enum ingest_listener listener, const struct config *config);

#endif
