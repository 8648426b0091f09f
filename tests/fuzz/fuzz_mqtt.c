/* Fuzz target: a connection's packets, from CONNECT on, fed whole and the same bytes fed in pieces (the first
 * input byte says how large) must come to the same story; and every packet that is understood is asked for
 * all it has. */
#include <stdlib.h>
#include <string.h>

#include "daemon/ingest/mqtt/mqtt_reader.h"

static void tell_filters(struct buffer *story, const struct mqtt_packet *packet)
{
    struct slice filters = packet->filters, filter;
    uint8_t options;
    while (mqtt_next_filter(&filters, packet->type == MQTT_SUBSCRIBE, &filter, &options)) {
        buffer_append(story, filter.data, filter.size);
        buffer_append(story, &options, 1);
    }
}

static void tell_packet(struct buffer *story, const struct mqtt_packet *packet)
{
    buffer_printf(story, "%d %d %d %u %u %d %d %d %d %u|", packet->type, packet->qos, packet->reason,
                  packet->id, packet->keep_alive, packet->level, packet->dup, packet->clean,
                  packet->has_password, packet->properties.session_expiry);
    buffer_append(story, packet->topic.data, packet->topic.size);
    if (packet->type == MQTT_CONNECT)
        buffer_append(story, packet->client.data, packet->client.size);
    if (packet->has_password)
        buffer_append(story, packet->password.data, packet->password.size);
    tell_filters(story, packet);
}

/* Packet by packet until the bytes or the connection end. */
static size_t tell(const char *data, size_t size, size_t cut, struct buffer *story)
{
    struct mqtt_reader reader = {0};
    uint8_t level = 0;
    size_t at = 0;
    enum read_step step = READ_DONE;
    do {
        size_t used, offered = size - at < cut ? size - at : cut;
        if (step == READ_DONE)
            mqtt_reader_reset(&reader, level);
        step = mqtt_reader_feed(&reader, data + at, offered, &used);
        ensure(used <= offered && reader.head.capacity <= 2 * MQTT_HEAD_BYTES_MAX);
        at += used;
        if (step == READ_BODY)
            buffer_append(story, reader.piece.data, reader.piece.size);
        if (step == READ_HEAD || (step == READ_DONE && reader.packet.type != MQTT_PUBLISH))
            tell_packet(story, &reader.packet);
        if (step == READ_DONE && reader.packet.type == MQTT_CONNECT)
            level = reader.packet.level;
        if (step == READ_FAULT)
            buffer_printf(story, "fault %d %s", reader.fault.reason, reader.fault.text);
    } while (step != READ_FAULT && (at < size || step == READ_HEAD || step == READ_BODY));
    mqtt_reader_deinit(&reader);
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct buffer whole = {0}, pieces = {0};
    size_t whole_at = tell((const char *)data + 1, size - 1, SIZE_MAX, &whole);
    size_t pieces_at = tell((const char *)data + 1, size - 1, 1 + data[0] % 32, &pieces);
    ensure(whole_at == pieces_at && whole.size == pieces.size);
    ensure(whole.size == 0 || memcmp(whole.data, pieces.data, whole.size) == 0);
    buffer_deinit(&whole);
    buffer_deinit(&pieces);
    return 0;
}
