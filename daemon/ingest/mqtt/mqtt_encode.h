/* mqtt_encode: the control packets that a server sends, appended to a buffer.
 * Owner:   the caller's buffer. Threads: one at a time.
 * Holds:   `level` is 4 or 5; what MQTT 5 alone has is left out for 4. */
#ifndef VIGIE_DAEMON_INGEST_MQTT_ENCODE_H
#define VIGIE_DAEMON_INGEST_MQTT_ENCODE_H

#include "daemon/ingest/mqtt/mqtt_packet.h"

/* What CONNACK says; absent properties are those that say no more than the standard's default. */
struct mqtt_connack {
    uint8_t level, reason; /* reason: of MQTT 5, or a return code of 3.1.1 */
    bool session_present;
    uint16_t receive_max;
    uint32_t packet_max;
    int64_t session_expiry; /* seconds granted, -1: what the client asked for */
    int32_t keep_alive;     /* seconds, -1: what the client asked for */
    struct slice assigned;  /* client identifier, {NULL, 0} without */
};
void mqtt_append_connack(struct buffer *out, const struct mqtt_connack *connack);

/* PUBACK, PUBREC, PUBCOMP; `text` NULL: no Reason String. */
struct mqtt_ack {
    enum mqtt_type type;
    uint8_t level, reason;
    uint16_t id;
    const char *text;
};
void mqtt_append_ack(struct buffer *out, const struct mqtt_ack *ack);

/* SUBACK, and UNSUBACK whose reasons 3.1.1 does not have. */
void mqtt_append_suback(struct buffer *out, enum mqtt_type type, uint8_t level, uint16_t id,
                        struct slice reasons);
void mqtt_append_pingresp(struct buffer *out);
/* Of MQTT 5 alone; `text` may be NULL. */
void mqtt_append_disconnect(struct buffer *out, uint8_t reason, const char *text);
/* QoS 0, never retained. */
void mqtt_append_publish(struct buffer *out, uint8_t level, struct slice topic, struct slice payload);

#endif
