/* mqtt_packet: what a control packet of MQTT 3.1.1 or 5 says, and its decoding out of whole bytes: reserved
 * bits, UTF-8, properties where they belong (mqtt_property.def), nothing behind the end. Of PUBLISH these
 * bytes are the head alone: topic, packet id, properties. Owner:   slices point into the bytes. Threads: pure
 * functions. Fails:   false with the reason code of MQTT 5 and a text: such a connection cannot go on. */
#ifndef VIGIE_DAEMON_INGEST_MQTT_PACKET_H
#define VIGIE_DAEMON_INGEST_MQTT_PACKET_H

#include "daemon/ingest/exchange.h"

enum mqtt_type {
    MQTT_CONNECT = 1,
    MQTT_CONNACK,
    MQTT_PUBLISH,
    MQTT_PUBACK,
    MQTT_PUBREC,
    MQTT_PUBREL,
    MQTT_PUBCOMP,
    MQTT_SUBSCRIBE,
    MQTT_SUBACK,
    MQTT_UNSUBSCRIBE,
    MQTT_UNSUBACK,
    MQTT_PINGREQ,
    MQTT_PINGRESP,
    MQTT_DISCONNECT,
    MQTT_AUTH
};

/* Reason codes of MQTT 5 that are used here. */
enum mqtt_reason {
    MQTT_SUCCESS = 0x00,
    MQTT_DISCONNECT_WITH_WILL = 0x04,
    MQTT_NO_SUBSCRIPTION_EXISTED = 0x11,
    MQTT_UNSPECIFIED = 0x80,
    MQTT_MALFORMED = 0x81,
    MQTT_PROTOCOL_ERROR = 0x82,
    MQTT_IMPLEMENTATION_ERROR = 0x83,
    MQTT_UNSUPPORTED_VERSION = 0x84,
    MQTT_BAD_CLIENT_ID = 0x85,
    MQTT_NOT_AUTHORIZED = 0x87,
    MQTT_SERVER_UNAVAILABLE = 0x88,
    MQTT_SHUTTING_DOWN = 0x8b,
    MQTT_BAD_AUTHENTICATION_METHOD = 0x8c,
    MQTT_KEEP_ALIVE_TIMEOUT = 0x8d,
    MQTT_TAKEN_OVER = 0x8e,
    MQTT_BAD_FILTER = 0x8f,
    MQTT_UNKNOWN_PACKET_ID = 0x92,
    MQTT_RECEIVE_MAXIMUM_EXCEEDED = 0x93,
    MQTT_BAD_TOPIC_ALIAS = 0x94,
    MQTT_PACKET_TOO_LARGE = 0x95,
    MQTT_QUOTA_EXCEEDED = 0x97,
    MQTT_BAD_PAYLOAD = 0x99,
    MQTT_SHARED_NOT_SUPPORTED = 0x9e,
};

enum {
    MQTT_LEVEL_3_1 = 3,
    MQTT_LEVEL_3_1_1 = 4,
    MQTT_LEVEL_5 = 5,
    MQTT_FIRST_BYTES_MAX = 1024, /* before anybody has said who he is: FAULTS.md section 2 */
    MQTT_HEAD_BYTES_MAX = 8192,  /* as the head of an HTTP request */
    /* The Maximum Packet Size that is announced: a payload of 1 MiB, its head, the fixed header. */
    MQTT_PACKET_BYTES_MAX = MESSAGE_BYTES_MAX + MQTT_HEAD_BYTES_MAX + 5,
};

/* What matters of the properties; the others are checked and passed over. */
struct mqtt_properties {
    uint32_t session_expiry; /* seconds; 0 without */
    uint32_t packet_max;     /* Maximum Packet Size of the client; 0 without */
    bool has_session_expiry;
    bool has_auth_method;
    bool forbids_reason; /* Request Problem Information is 0 */
};

struct mqtt_packet {
    enum mqtt_type type;
    uint8_t qos, reason;     /* reason: of DISCONNECT, PUBREL and AUTH */
    uint16_t id, keep_alive; /* seconds */
    uint8_t level; /* CONNECT: 4, also of mosquitto's bridge (0x84), or 5; 3 and others are refused */
    bool dup, retain, clean, has_user, has_password;
    struct slice topic;                  /* PUBLISH */
    struct slice client, user, password; /* CONNECT */
    struct slice filters;                /* SUBSCRIBE, UNSUBSCRIBE: for mqtt_next_filter() */
    struct mqtt_properties properties;
};

struct mqtt_fault {
    uint8_t reason;
    const char *text;
};
/* `first`: the first byte of the packet; `level`: of the connection, 0 before its CONNECT. */
MUST_CHECK bool mqtt_decode(uint8_t first, uint8_t level, struct slice head, struct mqtt_packet *ret_packet,
                            struct mqtt_fault *ret_fault);

/* The next filter of SUBSCRIBE or UNSUBSCRIBE with its options byte; false behind the last one. */
bool mqtt_next_filter(struct slice *filters, bool with_options, struct slice *ret_filter,
                      uint8_t *ret_options);

#endif
