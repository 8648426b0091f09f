/* mqtt_reader: a state a part of the packet. How long the head of a PUBLISH is shows only as it comes: the
 * topic's length, then that of the properties, say how many bytes are wanted next. */
#include "daemon/ingest/mqtt/mqtt_reader.h"

#include <string.h>

enum { REMAINING_BYTES_MAX = 4, HEAD_KEPT_MAX = 1024 };

void mqtt_reader_reset(struct mqtt_reader *reader, uint8_t level)
{
    struct buffer head = reader->head;
    if (head.capacity > HEAD_KEPT_MAX)
        buffer_deinit(&head);
    buffer_clear(&head);
    *reader = (struct mqtt_reader){.head = head, .level = level};
}

void mqtt_reader_deinit(struct mqtt_reader *reader)
{
    buffer_deinit(&reader->head);
}

bool mqtt_reader_has_begun(const struct mqtt_reader *reader)
{
    return reader->state != MQTT_IN_TYPE;
}

static enum read_step fail(struct mqtt_reader *reader, uint8_t reason, const char *text)
{
    reader->fault = (struct mqtt_fault){reason, text};
    return READ_FAULT;
}

static enum mqtt_type type_of(const struct mqtt_reader *reader)
{
    return (enum mqtt_type)(reader->first >> 4);
}

static enum read_step take_type(struct mqtt_reader *reader, uint8_t byte)
{
    reader->first = byte;
    reader->state = MQTT_IN_LENGTH;
    if (reader->level == 0 && type_of(reader) != MQTT_CONNECT)
        return fail(reader, MQTT_PROTOCOL_ERROR, "the first packet is CONNECT");
    return READ_MORE;
}

static enum read_step take_length(struct mqtt_reader *reader, uint8_t byte)
{
    uint32_t max = reader->level == 0 ? MQTT_FIRST_BYTES_MAX : MQTT_PACKET_BYTES_MAX;
    reader->left |= (uint32_t)(byte & 0x7f) << (7 * reader->length_bytes++);
    if (byte >= 0x80 && reader->length_bytes == REMAINING_BYTES_MAX)
        return fail(reader, MQTT_MALFORMED, "a remaining length has at most four bytes");
    if (byte == 0 && reader->length_bytes > 1)
        return fail(reader, MQTT_MALFORMED, "a remaining length is as short as it can be");
    if (reader->left > max)
        return fail(reader, MQTT_PACKET_TOO_LARGE, "the packet is too large");
    if (byte < 0x80)
        reader->state = MQTT_IN_HEAD;
    return READ_MORE;
}

/* Bytes of the head of a PUBLISH as far as can be said by now: once it has as many it is whole. */
static size_t publish_head(const struct mqtt_reader *reader)
{
    const uint8_t *head = (const uint8_t *)reader->head.data;
    size_t have = reader->head.size, want = 2;
    if (have < want)
        return want;
    want += (size_t)(head[0] << 8 | head[1]);
    want += (reader->first & 0x06) != 0 ? 2 : 0;
    if (have < want || reader->level != MQTT_LEVEL_5)
        return want;
    size_t properties = 0;
    for (unsigned i = 0; i < REMAINING_BYTES_MAX; i++) {
        want++;
        if (have < want)
            return want;
        properties |= (size_t)(head[want - 1] & 0x7f) << (7 * i);
        if (head[want - 1] < 0x80)
            return want + properties;
    }
    return want; /* five bytes of length: the decoder says so */
}

static enum read_step end_head(struct mqtt_reader *reader)
{
    struct slice head = {reader->head.data, reader->head.size};
    if (!mqtt_decode(reader->first, reader->level, head, &reader->packet, &reader->fault))
        return READ_FAULT;
    bool is_publish = type_of(reader) == MQTT_PUBLISH;
    if (is_publish && reader->left > MESSAGE_BYTES_MAX)
        return fail(reader, MQTT_PACKET_TOO_LARGE, "a message has at most 1 MiB");
    reader->state = is_publish ? MQTT_IN_PAYLOAD : MQTT_AFTER;
    return is_publish ? READ_HEAD : READ_DONE;
}

/* Takes what is wanted of `size` bytes; READ_MORE: all were taken and it is not whole. */
static enum read_step take_head(struct mqtt_reader *reader, const char *data, size_t size, size_t *ret_used)
{
    size_t used = 0;
    for (;;) {
        size_t whole =
            type_of(reader) == MQTT_PUBLISH ? publish_head(reader) : reader->head.size + reader->left;
        size_t wanted = whole - reader->head.size, piece = wanted < size - used ? wanted : size - used;
        *ret_used = used;
        if (wanted > reader->left)
            return fail(reader, MQTT_MALFORMED, "the packet ends inside of its head");
        if (whole > MQTT_HEAD_BYTES_MAX)
            return fail(reader, MQTT_PACKET_TOO_LARGE,
                        "topic and properties, or a packet without payload, are too long");
        if (wanted == 0)
            return end_head(reader);
        if (piece == 0)
            return READ_MORE;
        buffer_append(&reader->head, data + used, piece);
        reader->left -= (uint32_t)piece;
        used += piece;
    }
}

static enum read_step take_payload(struct mqtt_reader *reader, const char *data, size_t size,
                                   size_t *ret_used)
{
    if (reader->left == 0) {
        reader->state = MQTT_AFTER;
        return READ_DONE;
    }
    size_t piece = size < reader->left ? size : reader->left;
    reader->piece = (struct slice){data, piece};
    reader->left -= (uint32_t)piece;
    *ret_used = piece;
    return piece > 0 ? READ_BODY : READ_MORE;
}

enum read_step mqtt_reader_feed(struct mqtt_reader *reader, const char *data, size_t size, size_t *ret_used)
{
    size_t at = 0, piece = 0;
    enum read_step step = READ_MORE;
    ensure(reader->state != MQTT_AFTER);
    *ret_used = 0;
    for (; reader->state <= MQTT_IN_LENGTH && at < size && step == READ_MORE; at++)
        step = (reader->state == MQTT_IN_TYPE ? take_type : take_length)(reader, (uint8_t)data[at]);
    if (step == READ_MORE && reader->state == MQTT_IN_HEAD)
        step = take_head(reader, data + at, size - at, &piece);
    else if (step == READ_MORE && reader->state == MQTT_IN_PAYLOAD)
        step = take_payload(reader, data + at, size - at, &piece);
    *ret_used = at + piece;
    return step;
}
