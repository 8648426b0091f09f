/* mqtt_decode: the fields of a packet out of its bytes, one function a type. A cursor takes fields from the
 * front; its first fault sticks, so a function takes all its fields and looks once. */
#include <string.h>

#include "daemon/ingest/mqtt/mqtt_packet.h"
#include "daemon/ingest/pull/pull.h"
#include "daemon/ingest/pull/slice.h"

enum packet_set {
    IN_CONNECT = 1,
    IN_WILL = 2,
    IN_PUBLISH = 4,
    IN_ACK = 8,
    IN_SUBSCRIBE = 16,
    IN_UNSUBSCRIBE = 32,
    IN_DISCONNECT = 64,
    IN_AUTH = 128,
    IN_ANY = 255
};

enum property_type { TYPE_FLAG, TYPE_TWO, TYPE_FOUR, TYPE_VARINT, TYPE_TEXT, TYPE_BINARY, TYPE_PAIR };

enum property_id {
#define PROPERTY(id, name, type, packets, repeats) PROPERTY_##name = id,
#include "daemon/ingest/mqtt/mqtt_property.def"
#undef PROPERTY
    PROPERTY_IDS = 0x28
};

static const struct property_row {
    uint8_t type, packets;
    bool repeats;
} rows[PROPERTY_IDS] = {
#define PROPERTY(id, name, type, packets, repeats) [id] = {TYPE_##type, packets, repeats},
#include "daemon/ingest/mqtt/mqtt_property.def"
#undef PROPERTY
};

struct cursor {
    const uint8_t *at;
    size_t left;
    struct mqtt_fault fault; /* reason 0: none so far */
};

static void fail(struct cursor *cursor, uint8_t reason, const char *text)
{
    if (cursor->fault.reason == 0)
        cursor->fault = (struct mqtt_fault){reason, text};
    cursor->left = 0;
}

/* `size` bytes from the front; NULL when there are fewer. */
static const uint8_t *take(struct cursor *cursor, size_t size)
{
    const uint8_t *at = cursor->at;
    if (cursor->left < size) {
        fail(cursor, MQTT_MALFORMED, "the packet ends inside of a field");
        return NULL;
    }
    cursor->at += size;
    cursor->left -= size;
    return at;
}

static uint32_t take_number(struct cursor *cursor, size_t size)
{
    const uint8_t *at = take(cursor, size);
    uint32_t value = 0;
    for (size_t i = 0; at != NULL && i < size; i++)
        value = value << 8 | at[i];
    return value;
}

static uint32_t take_varint(struct cursor *cursor)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < 4; i++) {
        uint32_t byte = take_number(cursor, 1);
        value |= (byte & 0x7f) << (7 * i);
        if (byte == 0 && i > 0)
            break;
        if (byte < 0x80)
            return value;
    }
    fail(cursor, MQTT_MALFORMED, "a length has at most four bytes and is as short as it can be");
    return 0;
}

static struct slice take_binary(struct cursor *cursor)
{
    size_t size = take_number(cursor, 2);
    const uint8_t *at = take(cursor, size);
    return at != NULL ? (struct slice){(const char *)at, size} : (struct slice){"", 0};
}

static struct slice take_text(struct cursor *cursor)
{
    struct slice text = take_binary(cursor);
    const uint8_t *bytes = (const uint8_t *)text.data;
    for (size_t at = 0, length; at < text.size; at += length) {
        length = bytes[at] < 0x80 ? bytes[at] != 0 : pull_utf8_length(bytes + at, text.size - at);
        if (length == 0) {
            fail(cursor, MQTT_MALFORMED, "a text is not UTF-8, or has a NUL");
            return (struct slice){"", 0};
        }
    }
    return text;
}

/* Properties. */

static uint32_t take_value(struct cursor *cursor, enum property_type type)
{
    switch (type) {
    case TYPE_FLAG:
        return take_number(cursor, 1);
    case TYPE_TWO:
        return take_number(cursor, 2);
    case TYPE_FOUR:
        return take_number(cursor, 4);
    case TYPE_VARINT:
        return take_varint(cursor);
    case TYPE_BINARY:
        take_binary(cursor);
        return 1;
    case TYPE_PAIR:
        take_text(cursor);
        take_text(cursor);
        return 1;
    case TYPE_TEXT:
        take_text(cursor);
        return 1;
    default:
        ensure_unreachable();
    }
}

/* Values that the standard forbids by name. */
static void check_value(struct cursor *cursor, enum property_id id, uint32_t value)
{
    bool must_be_more = id == PROPERTY_RECEIVE_MAXIMUM || id == PROPERTY_MAXIMUM_PACKET_SIZE ||
                        id == PROPERTY_SUBSCRIPTION_IDENTIFIER;
    if (cursor->fault.reason != 0)
        return;
    if (rows[id].type == TYPE_FLAG && value > 1)
        fail(cursor, MQTT_PROTOCOL_ERROR, "a property is neither 0 nor 1");
    else if (must_be_more && value == 0)
        fail(cursor, MQTT_PROTOCOL_ERROR, "a property must not be 0");
    else if (id == PROPERTY_TOPIC_ALIAS)
        fail(cursor, MQTT_BAD_TOPIC_ALIAS, "topic aliases are not served");
}

static void keep_value(struct mqtt_properties *properties, enum property_id id, uint32_t value)
{
    if (id == PROPERTY_SESSION_EXPIRY) {
        properties->session_expiry = value;
        properties->has_session_expiry = true;
    }
    if (id == PROPERTY_MAXIMUM_PACKET_SIZE)
        properties->packet_max = value;
    if (id == PROPERTY_REQUEST_PROBLEM)
        properties->forbids_reason = value == 0;
    if (id == PROPERTY_AUTH_METHOD)
        properties->has_auth_method = true;
}

static void take_properties(struct cursor *cursor, enum packet_set packet, struct mqtt_properties *properties)
{
    struct cursor inner = {.left = take_varint(cursor)};
    uint64_t seen = 0;
    inner.at = take(cursor, inner.left);
    if (inner.at == NULL)
        return;
    while (inner.left > 0) {
        uint32_t id = take_varint(&inner);
        if (id >= PROPERTY_IDS || (rows[id].packets & packet) == 0) {
            fail(&inner, MQTT_MALFORMED, "a property is unknown or not of its packet");
            break;
        }
        if ((seen >> id & 1) != 0 && !rows[id].repeats)
            fail(&inner, MQTT_PROTOCOL_ERROR, "a property stands twice");
        seen |= (uint64_t)1 << id;
        uint32_t value = take_value(&inner, rows[id].type);
        check_value(&inner, id, value);
        keep_value(properties, id, value);
    }
    if ((seen >> PROPERTY_AUTH_DATA & 1) != 0 && (seen >> PROPERTY_AUTH_METHOD & 1) == 0)
        fail(&inner, MQTT_PROTOCOL_ERROR, "authentication data without a method");
    if (inner.fault.reason != 0)
        fail(cursor, inner.fault.reason, inner.fault.text);
}

/* Packets. */

static uint16_t take_id(struct cursor *cursor)
{
    uint32_t id = take_number(cursor, 2);
    if (id == 0)
        fail(cursor, MQTT_PROTOCOL_ERROR, "a packet identifier is not 0");
    return (uint16_t)id;
}

enum connect_flag {
    FLAG_RESERVED = 0x01,
    FLAG_CLEAN = 0x02,
    FLAG_WILL = 0x04,
    FLAG_WILL_QOS = 0x18,
    FLAG_WILL_RETAIN = 0x20,
    FLAG_PASSWORD = 0x40,
    FLAG_USER = 0x80
};

static void check_connect_flags(struct cursor *cursor, uint8_t level, unsigned flags)
{
    if ((flags & FLAG_RESERVED) != 0)
        fail(cursor, MQTT_MALFORMED, "the reserved flag of CONNECT is set");
    if ((flags & FLAG_WILL_QOS) == FLAG_WILL_QOS)
        fail(cursor, MQTT_MALFORMED, "a will of QoS 3");
    if ((flags & FLAG_WILL) == 0 && (flags & (FLAG_WILL_QOS | FLAG_WILL_RETAIN)) != 0)
        fail(cursor, MQTT_MALFORMED, "will flags without a will");
    if (level == MQTT_LEVEL_3_1_1 && (flags & FLAG_PASSWORD) != 0 && (flags & FLAG_USER) == 0)
        fail(cursor, MQTT_MALFORMED, "a password without a user name");
}

static void take_connect_payload(struct cursor *cursor, unsigned flags, struct mqtt_packet *packet)
{
    bool is_5 = packet->level == MQTT_LEVEL_5;
    packet->client = take_text(cursor);
    if ((flags & FLAG_WILL) != 0) {
        struct mqtt_properties ignored = {0};
        if (is_5)
            take_properties(cursor, IN_WILL, &ignored);
        take_text(cursor);
        take_binary(cursor);
    }
    packet->has_user = (flags & FLAG_USER) != 0;
    packet->has_password = (flags & FLAG_PASSWORD) != 0;
    if (packet->has_user)
        packet->user = take_text(cursor);
    if (packet->has_password)
        packet->password = take_binary(cursor);
}

/* mosquitto sets the highest bit of the level when it bridges. A level that is not served ends the decoding:
 * what follows is not ours to understand. */
static void take_connect(struct cursor *cursor, struct mqtt_packet *packet)
{
    struct slice name = take_text(cursor);
    uint32_t level = take_number(cursor, 1);
    bool is_3_1 = slice_is(name, "MQIsdp") && (level & 0x7f) == MQTT_LEVEL_3_1;
    if (cursor->fault.reason != 0)
        return;
    if (!slice_is(name, "MQTT") && !is_3_1) {
        fail(cursor, MQTT_UNSUPPORTED_VERSION, "the protocol is not named MQTT");
        return;
    }
    packet->level = (uint8_t)((level & 0x7f) == MQTT_LEVEL_3_1_1 ? MQTT_LEVEL_3_1_1 : level);
    if (packet->level != MQTT_LEVEL_3_1_1 && packet->level != MQTT_LEVEL_5) {
        fail(cursor, MQTT_UNSUPPORTED_VERSION, "MQTT 3.1.1 and 5 are served");
        return;
    }
    unsigned flags = take_number(cursor, 1);
    check_connect_flags(cursor, packet->level, flags);
    packet->clean = (flags & FLAG_CLEAN) != 0;
    packet->keep_alive = (uint16_t)take_number(cursor, 2);
    if (packet->level == MQTT_LEVEL_5)
        take_properties(cursor, IN_CONNECT, &packet->properties);
    take_connect_payload(cursor, flags, packet);
}

static void take_publish(struct cursor *cursor, uint8_t level, struct mqtt_packet *packet)
{
    if (packet->qos == 3)
        fail(cursor, MQTT_MALFORMED, "QoS 3");
    if (packet->dup && packet->qos == 0)
        fail(cursor, MQTT_MALFORMED, "QoS 0 and sent again");
    packet->topic = take_text(cursor);
    if (packet->qos > 0)
        packet->id = take_id(cursor);
    if (level == MQTT_LEVEL_5)
        take_properties(cursor, IN_PUBLISH, &packet->properties);
    if (memchr(packet->topic.data, '+', packet->topic.size) != NULL ||
        memchr(packet->topic.data, '#', packet->topic.size) != NULL)
        fail(cursor, MQTT_MALFORMED, "a topic name has no wildcards");
    if (packet->topic.size == 0)
        fail(cursor, MQTT_PROTOCOL_ERROR, "an empty topic name");
}

/* Packet id, then in MQTT 5 a reason and properties unless they are left out. */
static void take_release(struct cursor *cursor, uint8_t level, struct mqtt_packet *packet)
{
    packet->id = take_id(cursor);
    if (level == MQTT_LEVEL_5 && cursor->left > 0)
        packet->reason = (uint8_t)take_number(cursor, 1);
    if (level == MQTT_LEVEL_5 && cursor->left > 0)
        take_properties(cursor, IN_ACK, &packet->properties);
}

static void take_end(struct cursor *cursor, uint8_t level, enum packet_set in, struct mqtt_packet *packet)
{
    if (level == MQTT_LEVEL_5 && cursor->left > 0)
        packet->reason = (uint8_t)take_number(cursor, 1);
    if (level == MQTT_LEVEL_5 && cursor->left > 0)
        take_properties(cursor, in, &packet->properties);
}

bool mqtt_next_filter(struct slice *filters, bool with_options, struct slice *ret_filter,
                      uint8_t *ret_options)
{
    struct cursor cursor = {(const uint8_t *)filters->data, filters->size, {0}};
    if (cursor.left == 0)
        return false;
    *ret_filter = take_text(&cursor);
    *ret_options = with_options ? (uint8_t)take_number(&cursor, 1) : 0;
    ensure(cursor.fault.reason == 0); /* take_filters() has seen them */
    *filters = (struct slice){(const char *)cursor.at, cursor.left};
    return true;
}

/* Options: QoS; in MQTT 5 also no local, retain as published, retain handling. */
static void check_options(struct cursor *cursor, uint8_t level, unsigned options)
{
    unsigned reserved = level == MQTT_LEVEL_5 ? 0xc0 : 0xfc;
    if ((options & 0x03) == 3 || (options & reserved) != 0)
        fail(cursor, MQTT_MALFORMED, "subscription options with reserved bits, or QoS 3");
    if ((options & 0x30) == 0x30)
        fail(cursor, MQTT_PROTOCOL_ERROR, "retain handling 3");
}

static void take_filters(struct cursor *cursor, uint8_t level, struct mqtt_packet *packet)
{
    bool subscribes = packet->type == MQTT_SUBSCRIBE;
    packet->id = take_id(cursor);
    if (level == MQTT_LEVEL_5)
        take_properties(cursor, subscribes ? IN_SUBSCRIBE : IN_UNSUBSCRIBE, &packet->properties);
    packet->filters = (struct slice){(const char *)cursor->at, cursor->left};
    if (cursor->left == 0)
        fail(cursor, MQTT_PROTOCOL_ERROR, "no topic filter");
    while (cursor->left > 0) {
        if (take_text(cursor).size == 0)
            fail(cursor, MQTT_MALFORMED, "an empty topic filter");
        if (subscribes)
            check_options(cursor, level, take_number(cursor, 1));
    }
}

/* The four low bits of the first byte; of PUBLISH they are flags. */
static bool flags_hold(enum mqtt_type type, unsigned flags)
{
    bool is_two = type == MQTT_PUBREL || type == MQTT_SUBSCRIBE || type == MQTT_UNSUBSCRIBE;
    return type == MQTT_PUBLISH || flags == (is_two ? 2u : 0u);
}

static void take_packet(struct cursor *cursor, uint8_t level, struct mqtt_packet *packet)
{
    switch (packet->type) {
    case MQTT_CONNECT:
        take_connect(cursor, packet);
        break;
    case MQTT_PUBLISH:
        take_publish(cursor, level, packet);
        break;
    case MQTT_PUBREL:
        take_release(cursor, level, packet);
        break;
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
        take_filters(cursor, level, packet);
        break;
    case MQTT_PINGREQ:
        break;
    case MQTT_DISCONNECT:
        take_end(cursor, level, IN_DISCONNECT, packet);
        break;
    case MQTT_AUTH:
        take_end(cursor, level, IN_AUTH, packet);
        break;
    default:
        fail(cursor, MQTT_PROTOCOL_ERROR, "a packet that a client does not send");
    }
}

bool mqtt_decode(uint8_t first, uint8_t level, struct slice head, struct mqtt_packet *ret_packet,
                 struct mqtt_fault *ret_fault)
{
    struct cursor cursor = {(const uint8_t *)(head.size > 0 ? head.data : ""), head.size, {0}};
    *ret_packet = (struct mqtt_packet){
        .type = (enum mqtt_type)(first >> 4),
        .qos = first >> 1 & 3,
        .dup = (first & 8) != 0,
        .retain = (first & 1) != 0,
        .topic = {"", 0},
    };
    if (ret_packet->type == 0 || (ret_packet->type == MQTT_AUTH && level != MQTT_LEVEL_5) ||
        !flags_hold(ret_packet->type, first & 15))
        fail(&cursor, MQTT_MALFORMED, "the first byte of a packet is none that exists");
    else
        take_packet(&cursor, level, ret_packet);
    if (cursor.fault.reason == 0 && cursor.left > 0)
        fail(&cursor, MQTT_MALFORMED, "bytes behind the end of a packet");
    *ret_fault = cursor.fault;
    return cursor.fault.reason == 0;
}
