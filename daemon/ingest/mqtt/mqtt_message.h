/* mqtt_message: what MQTT keeps of one message beside its exchange; a part of struct request.
 * Owner:   the request; the reader's memory stays with it. Threads: the loop's. */
#ifndef VIGIE_DAEMON_INGEST_MQTT_MESSAGE_H
#define VIGIE_DAEMON_INGEST_MQTT_MESSAGE_H

#include "daemon/ingest/mqtt/mqtt_reader.h"

enum { MQTT_TEXT_MAX = 200 };

/* What is done with a PUBLISH. */
enum mqtt_topic {
    MQTT_TOPIC_READINGS,
    MQTT_TOPIC_FHIR,
    MQTT_TOPIC_IGNORED, /* acknowledged, nothing kept: what a bridge says of itself */
    MQTT_TOPIC_FOREIGN,
};

struct mqtt_message {
    struct mqtt_reader reader;
    enum mqtt_topic topic;
    const struct door *door; /* that decodes the payload */
    int64_t source_id;
    uint8_t level;       /* of the connection, which may be gone when the answer comes */
    uint8_t reason, end; /* of the acknowledgement; of a DISCONNECT behind it, 0: none */
    bool is_decoding;    /* door->handle() runs */
    bool is_settled;     /* its answer is known before its rejected record is durable: in exchange.state */
    bool is_withheld;    /* must not be acknowledged: it is not durable and the client cannot be told */
    const char *code;    /* of what was refused; NULL: nothing was */
    char text[MQTT_TEXT_MAX];
    size_t words; /* bytes of it that are our own and quote nothing of the payload: what is kept in clear */
};

#endif
