/* mqtt_encode: a packet's body is put together behind its place, then the fixed header in front of it. */
#include "daemon/ingest/mqtt/mqtt_encode.h"

#include <string.h>

enum { SMALL_BODY_MAX = 1024, TEXT_BYTES_MAX = 512 };

/* The body of a small packet. */
struct body {
    uint8_t bytes[SMALL_BODY_MAX];
    size_t size;
};

static void put(struct body *body, const void *bytes, size_t size)
{
    ensure(body->size + size <= sizeof(body->bytes));
    if (size > 0)
        memcpy(body->bytes + body->size, bytes, size);
    body->size += size;
}

static void put_number(struct body *body, uint32_t value, size_t size)
{
    uint8_t bytes[4];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> 8 * (size - 1 - i));
    put(body, bytes, size);
}

static size_t varint(uint32_t value, uint8_t out[4])
{
    size_t size = 0;
    do {
        out[size] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (out[size++] >= 0x80);
    return size;
}

static void put_text(struct body *body, struct slice text)
{
    put_number(body, (uint32_t)text.size, 2);
    put(body, text.data, text.size);
}

static void put_properties(struct body *body, const struct body *properties)
{
    uint8_t length[4];
    put(body, length, varint((uint32_t)properties->size, length));
    put(body, properties->bytes, properties->size);
}

static void put_reason_text(struct body *body, const char *text)
{
    struct body properties;
    properties.size = 0;
    if (text != NULL) {
        put_number(&properties, 0x1f, 1);
        put_text(&properties, (struct slice){text, strnlen(text, TEXT_BYTES_MAX)});
    }
    put_properties(body, &properties);
}

static void append_header(struct buffer *out, uint8_t first, size_t size)
{
    uint8_t header[5] = {first};
    buffer_append(out, header, 1 + varint((uint32_t)size, header + 1));
}

static void append(struct buffer *out, uint8_t first, const struct body *body)
{
    append_header(out, first, body->size);
    buffer_append(out, body->bytes, body->size);
}

static void put_connack_properties(struct body *body, const struct mqtt_connack *connack)
{
    struct body properties;
    properties.size = 0;
    if (connack->reason == MQTT_SUCCESS) {
        put_number(&properties, 0x21, 1);
        put_number(&properties, connack->receive_max, 2);
        put_number(&properties, 0x27, 1);
        put_number(&properties, connack->packet_max, 4);
        put_number(&properties, 0x2500, 2); /* retain: not available */
        put_number(&properties, 0x2900, 2); /* subscription identifiers: not available */
        put_number(&properties, 0x2a00, 2); /* shared subscriptions: not available */
    }
    if (connack->session_expiry >= 0) {
        put_number(&properties, 0x11, 1);
        put_number(&properties, (uint32_t)connack->session_expiry, 4);
    }
    if (connack->keep_alive >= 0) {
        put_number(&properties, 0x13, 1);
        put_number(&properties, (uint32_t)connack->keep_alive, 2);
    }
    if (connack->assigned.size > 0) {
        put_number(&properties, 0x12, 1);
        put_text(&properties, connack->assigned);
    }
    put_properties(body, &properties);
}

void mqtt_append_connack(struct buffer *out, const struct mqtt_connack *connack)
{
    struct body body;
    body.size = 0;
    put_number(&body, connack->session_present, 1);
    put_number(&body, connack->reason, 1);
    if (connack->level == MQTT_LEVEL_5)
        put_connack_properties(&body, connack);
    append(out, MQTT_CONNACK << 4, &body);
}

/* A success without words is the id alone, in both versions. */
void mqtt_append_ack(struct buffer *out, const struct mqtt_ack *ack)
{
    struct body body;
    body.size = 0;
    put_number(&body, ack->id, 2);
    if (ack->level == MQTT_LEVEL_5 && ack->reason != MQTT_SUCCESS) {
        put_number(&body, ack->reason, 1);
        if (ack->text != NULL)
            put_reason_text(&body, ack->text);
    }
    append(out, (uint8_t)(ack->type << 4), &body);
}

void mqtt_append_suback(struct buffer *out, enum mqtt_type type, uint8_t level, uint16_t id,
                        struct slice reasons)
{
    struct body body;
    bool has_reasons = type == MQTT_SUBACK || level == MQTT_LEVEL_5;
    body.size = 0;
    put_number(&body, id, 2);
    if (level == MQTT_LEVEL_5)
        put_number(&body, 0, 1);
    append_header(out, (uint8_t)(type << 4), body.size + (has_reasons ? reasons.size : 0));
    buffer_append(out, body.bytes, body.size);
    if (has_reasons)
        buffer_append(out, reasons.data, reasons.size);
}

void mqtt_append_pingresp(struct buffer *out)
{
    append_header(out, MQTT_PINGRESP << 4, 0);
}

void mqtt_append_disconnect(struct buffer *out, uint8_t reason, const char *text)
{
    struct body body;
    body.size = 0;
    put_number(&body, reason, 1);
    if (text != NULL)
        put_reason_text(&body, text);
    append(out, MQTT_DISCONNECT << 4, &body);
}

void mqtt_append_publish(struct buffer *out, uint8_t level, struct slice topic, struct slice payload)
{
    struct body body;
    body.size = 0;
    put_text(&body, topic);
    if (level == MQTT_LEVEL_5)
        put_number(&body, 0, 1);
    append_header(out, MQTT_PUBLISH << 4, body.size + payload.size);
    buffer_append(out, body.bytes, body.size);
    buffer_append(out, payload.data, payload.size);
}
