/* client_mqtt: see the header. Every message has packet id 1: a connection has one under way. */
#include "bench/client_mqtt.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void append_number(struct buffer *out, unsigned value)
{
    const uint8_t bytes[] = {(uint8_t)(value >> 8), (uint8_t)value};
    buffer_append(out, bytes, sizeof bytes);
}

static void append_text(struct buffer *out, const char *text)
{
    append_number(out, (unsigned)strlen(text));
    buffer_text(out, text);
}

static void append_length(struct buffer *out, size_t size)
{
    do {
        uint8_t byte = (uint8_t)((size & 0x7f) | (size > 0x7f ? 0x80 : 0));
        buffer_append(out, &byte, 1);
        size >>= 7;
    } while (size > 0);
}

bool client_mqtt_connect(SSL *ssl, unsigned number, const char *token)
{
    struct buffer body = {0}, packet = {0};
    char name[32], answer[256];
    snprintf(name, sizeof name, "bench-%u", number);
    append_text(&body, "MQTT");
    buffer_append(&body, "\x05\xc2\0\0\0",
                  5); /* clean start, user and password, no keep-alive, no properties */
    append_text(&body, name);
    append_text(&body, "bench");
    append_text(&body, token);
    buffer_append(&packet, "\x10", 1);
    append_length(&packet, body.size);
    buffer_append(&packet, body.data, body.size);
    bool sent = SSL_write(ssl, packet.data, (int)packet.size) == (int)packet.size;
    int got = sent ? SSL_read(ssl, answer, sizeof answer) : 0;
    buffer_deinit(&body);
    buffer_deinit(&packet);
    return got >= 4 && answer[0] == 0x20 && answer[3] == 0;
}

void client_mqtt_append(struct buffer *request, const char *topic, const struct buffer *body)
{
    buffer_append(request, "\x32", 1);
    append_length(request, 2 + strlen(topic) + 2 + 1 + body->size);
    append_text(request, topic);
    append_number(request, 1);
    buffer_append(request, "\0", 1);
    buffer_append(request, body->data, body->size);
}

size_t client_mqtt_total(const char *answer, size_t size)
{
    bool is_whole = size >= 2 && (uint8_t)answer[1] < 0x80 && size >= 2 + (size_t)answer[1];
    return is_whole ? 2 + (size_t)answer[1] : 0;
}

bool client_mqtt_is_good(const char *answer, size_t total)
{
    return answer[0] == 0x40 && (total == 4 || answer[4] == 0);
}
