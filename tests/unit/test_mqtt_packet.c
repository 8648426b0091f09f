/* mqtt: what is taken, what is refused, and that neither depends on how the bytes were cut; what is sent. */
#include <stdlib.h>
#include <string.h>

#include "daemon/ingest/mqtt/mqtt_encode.h"
#include "daemon/ingest/mqtt/mqtt_reader.h"
#include "tests/unit/unit.h"

static void tell_packet(struct buffer *story, const struct mqtt_packet *packet)
{
    buffer_printf(story, "%d q%d%s%s", packet->type, packet->qos, packet->dup ? "d" : "",
                  packet->retain ? "r" : "");
    if (packet->type == MQTT_CONNECT)
        buffer_printf(story, " v%d c%d k%u [%.*s] [%.*s] [%.*s] x%u m%u%s", packet->level, packet->clean,
                      packet->keep_alive, (int)packet->client.size, packet->client.data,
                      (int)packet->user.size, packet->user.data, (int)packet->password.size,
                      packet->password.data, packet->properties.session_expiry, packet->properties.packet_max,
                      packet->properties.forbids_reason ? " no-reason" : "");
    if (packet->type == MQTT_PUBLISH)
        buffer_printf(story, " [%.*s]", (int)packet->topic.size, packet->topic.data);
    if (packet->type != MQTT_CONNECT)
        buffer_printf(story, " #%u r%02x", packet->id, packet->reason);
    struct slice filters = packet->filters, filter;
    uint8_t options;
    while (mqtt_next_filter(&filters, packet->type == MQTT_SUBSCRIBE, &filter, &options))
        buffer_printf(story, " (%.*s %d)", (int)filter.size, filter.data, options);
}

/* What a feed came to, as text. */
static void feed(struct slice bytes, uint8_t level, size_t cut, struct buffer *story)
{
    struct mqtt_reader reader = {0};
    size_t at = 0;
    enum read_step step = READ_MORE;
    buffer_clear(story);
    mqtt_reader_reset(&reader, level);
    while (step != READ_DONE && step != READ_FAULT) {
        size_t used, offered = bytes.size - at < cut ? bytes.size - at : cut;
        step = mqtt_reader_feed(&reader, bytes.data + at, offered, &used);
        at += used;
        if (step == READ_BODY)
            buffer_append(story, reader.piece.data, reader.piece.size);
        if (step == READ_HEAD || (step == READ_DONE && reader.packet.type != MQTT_PUBLISH))
            tell_packet(story, &reader.packet);
        if (step == READ_HEAD)
            buffer_text(story, ":");
        if (step == READ_MORE && at == bytes.size)
            break;
    }
    if (step == READ_FAULT)
        buffer_printf(story, "fault %02x", reader.fault.reason);
    if (step == READ_MORE)
        buffer_text(story, "|more");
    if (step == READ_DONE && at < bytes.size)
        buffer_printf(story, "|left %zu", bytes.size - at);
    buffer_append(story, "", 1);
    mqtt_reader_deinit(&reader);
}

#define BYTES(text) text, sizeof text - 1

static const struct {
    uint8_t level;
    const char *bytes;
    size_t size;
    const char *story;
} rows[] = {
    /* CONNECT */
    {0, BYTES("\x10\x0d\0\4MQTT\4\2\0\x3c\0\1a"), "1 q0 v4 c1 k60 [a] [] [] x0 m0"},
    {0, BYTES("\x10\x13\0\4MQTT\4\xc0\0\x3c\0\1a\0\1u\0\1p"), "1 q0 v4 c0 k60 [a] [u] [p] x0 m0"},
    {0, BYTES("\x10\x0d\0\4MQTT\x84\2\0\x3c\0\1a"), "1 q0 v4 c1 k60 [a] [] [] x0 m0"},
    {0, BYTES("\x10\x0e\0\4MQTT\5\2\0\x3c\0\0\1a"), "1 q0 v5 c1 k60 [a] [] [] x0 m0"},
    {0, BYTES("\x10\x11\0\4MQTT\5\x40\0\x3c\0\0\1a\0\1p"), "1 q0 v5 c0 k60 [a] [] [p] x0 m0"},
    {0, BYTES("\x10\x1a\0\4MQTT\5\2\0\x3c\x0c\x11\0\0\0\x78\x17\0\x27\0\1\0\0\0\1a"),
     "1 q0 v5 c1 k60 [a] [] [] x120 m65536 no-reason"},
    {0, BYTES("\x10\x17\0\4MQTT\5\6\0\x3c\0\0\1a\0\0\1t\0\3wil"), "1 q0 v5 c1 k60 [a] [] [] x0 m0"},
    {0, BYTES("\x10\x0f\0\6MQIsdp\3\2\0\x3c\0\1a"), "fault 84"},
    {0, BYTES("\x10\x0d\0\4MQTT\6\2\0\x3c\0\1a"), "fault 84"},
    {0, BYTES("\x10\x0d\0\4MQTX\4\2\0\x3c\0\1a"), "fault 84"},
    {0, BYTES("\x10\x0d\0\4MQTT\4\3\0\x3c\0\1a"), "fault 81"},
    {0, BYTES("\x10\x0d\0\4MQTT\4\x08\0\x3c\0\1a"), "fault 81"},
    {0, BYTES("\x10\x0d\0\4MQTT\4\x1c\0\x3c\0\1a"), "fault 81"},
    {0, BYTES("\x10\x10\0\4MQTT\4\x40\0\x3c\0\1a\0\1p"), "fault 81"},
    {0, BYTES("\x10\x0e\0\4MQTT\4\2\0\x3c\0\1ab"), "fault 81"},
    {0, BYTES("\x10\x0c\0\4MQTT\4\2\0\x3c\0\1"), "fault 81"},
    {0, BYTES("\x10\x0d\0\4MQTT\4\2\0\x3c\0\1\0"), "fault 81"},
    {0, BYTES("\x10\x0f\0\4MQTT\4\2\0\x3c\0\3\xed\xa0\x80"), "fault 81"},
    {0, BYTES("\x10\x0e\0\4MQTT\4\2\0\x3c\0\2\xc0\x80"), "fault 81"},
    {0, BYTES("\x10\x11\0\4MQTT\5\2\0\x3c\3\x21\0\0\0\1a"), "fault 82"},
    {0, BYTES("\x10\x14\0\4MQTT\5\2\0\x3c\6\x21\0\1\x21\0\1\0\1a"), "fault 82"},
    {0, BYTES("\x10\x10\0\4MQTT\5\2\0\x3c\2\x17\2\0\1a"), "fault 82"},
    {0, BYTES("\x10\x11\0\4MQTT\5\2\0\x3c\3\x23\0\1\0\1a"), "fault 81"},
    {0, BYTES("\x11\x0d\0\4MQTT\4\2\0\x3c\0\1a"), "fault 81"},
    {0, BYTES("\x10\x81\x08"), "fault 95"},
    {0, BYTES("\x10\0"), "fault 81"},
    {0, BYTES("\xc0\0"), "fault 82"},
    {0, BYTES("GET / HTTP/1.1\r\n"), "fault 82"},
    /* PUBLISH */
    {4, BYTES("\x32\x09\0\3t/x\0\7{}"), "3 q1 [t/x] #7 r00:{}"},
    {4, BYTES("\x3b\x09\0\3t/x\0\7{}\xc0"), "3 q1dr [t/x] #7 r00:{}|left 1"},
    {4, BYTES("\x30\x05\0\3t/x"), "3 q0 [t/x] #0 r00:"},
    {4, BYTES("\x30\x06\0\3t/x"), "3 q0 [t/x] #0 r00:|more"},
    {5, BYTES("\x34\x0a\0\3t/x\0\7\0{}"), "3 q2 [t/x] #7 r00:{}"},
    {5, BYTES("\x34\x11\0\3t/x\0\7\7\1\1\x26\0\1k\0\0{}"), "fault 81"},
    {5, BYTES("\x34\x12\0\3t/x\0\7\x08\1\1\x26\0\1k\0\0{}"), "3 q2 [t/x] #7 r00:{}"},
    {5, BYTES("\x34\x0d\0\3t/x\0\7\3\x23\0\1{}"), "fault 94"},
    {5, BYTES("\x34\x0c\0\3t/x\0\7\2\x0b\1{}"), "fault 81"},
    {5, BYTES("\x34\x0c\0\3t/x\0\7\2\1\2{}"), "fault 82"},
    {4, BYTES("\x36\x09\0\3t/x\0\7{}"), "fault 81"},
    {4, BYTES("\x38\x05\0\3t/x"), "fault 81"},
    {4, BYTES("\x32\x09\0\3t/x\0\0{}"), "fault 82"},
    {4, BYTES("\x32\x06\0\3t/x\0"), "fault 81"},
    {4, BYTES("\x30\x05\0\3t/#"), "fault 81"},
    {4, BYTES("\x30\x05\0\3+/x"), "fault 81"},
    {4, BYTES("\x30\x02\0\0"), "fault 82"},
    {4, BYTES("\x30\x02\0\3"), "fault 81"},
    {4, BYTES("\x30\xff\xff\xff\xff"), "fault 95"},
    {4, BYTES("\x30\xff\xff\xff\x7f"), "fault 95"},
    {4, BYTES("\xc0\x80\0"), "fault 81"},
    /* the others */
    {4, BYTES("\x62\2\0\7"), "6 q1 #7 r00"},
    {5, BYTES("\x62\3\0\7\x92"), "6 q1 #7 r92"},
    {5, BYTES("\x62\4\0\7\0\0"), "6 q1 #7 r00"},
    {4, BYTES("\x62\3\0\7\0"), "fault 81"},
    {4, BYTES("\x60\2\0\7"), "fault 81"},
    {4, BYTES("\x82\x0b\0\7\0\2a/\1\0\1#\2"), "8 q1 #7 r00 (a/ 1) (# 2)"},
    {4, BYTES("\x82\x08\0\7\0\3a/b\3"), "fault 81"},
    {4, BYTES("\x82\x08\0\7\0\3a/b\4"), "fault 81"},
    {5, BYTES("\x82\x0b\0\7\2\x0b\1\0\3a/b\x2d"), "8 q1 #7 r00 (a/b 45)"},
    {5, BYTES("\x82\x0b\0\7\2\x0b\0\0\3a/b\1"), "fault 82"},
    {5, BYTES("\x82\x09\0\7\0\0\3a/b\x31"), "fault 82"},
    {4, BYTES("\x82\2\0\7"), "fault 82"},
    {4, BYTES("\x82\5\0\7\0\0\1"), "fault 81"},
    {4, BYTES("\xa2\7\0\7\0\3a/b"), "10 q1 #7 r00 (a/b 0)"},
    {4, BYTES("\xc0\0"), "12 q0 #0 r00"},
    {4, BYTES("\xc0\1\0"), "fault 81"},
    {4, BYTES("\xe0\0"), "14 q0 #0 r00"},
    {4, BYTES("\xe0\1\0"), "fault 81"},
    {5, BYTES("\xe0\1\4"), "14 q0 #0 r04"},
    {5, BYTES("\xe0\7\0\5\x11\0\0\0\x3c"), "14 q0 #0 r00"},
    {5, BYTES("\xf0\0"), "15 q0 #0 r00"},
    {4, BYTES("\xf0\0"), "fault 81"},
    {4, BYTES("\x40\2\0\7"), "fault 82"},
    {4, BYTES("\x20\2\0\0"), "fault 82"},
    {4, BYTES("\0\0"), "fault 81"},
    {4, BYTES(""), "|more"},
    {4, BYTES("\x82\xc1\x40"), "fault 95"},
};

static void test_rows(void)
{
    struct buffer story = {0};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t cut = 1; cut < 40; cut += cut < 8 ? 1 : 16) {
            feed((struct slice){rows[i].bytes, rows[i].size}, rows[i].level, cut, &story);
            if (strcmp(story.data, rows[i].story) != 0)
                printf("\n    row %zu cut %zu: found \"%s\", expected \"%s\"\n", i, cut, story.data,
                       rows[i].story);
            CU_ASSERT_STRING_EQUAL(story.data, rows[i].story);
        }
    buffer_deinit(&story);
}

/* A payload of 1 MiB is taken, one byte more is not; neither makes the reader hold it. */
static void test_large(void)
{
    static const char head[] = "\0\3t/x\0\7";
    struct mqtt_reader reader = {0};
    for (size_t more = 0; more < 2; more++) {
        size_t remaining = MESSAGE_BYTES_MAX + 7 + more, used;
        const uint8_t fixed[] = {0x32, (uint8_t)(remaining | 0x80), (uint8_t)(remaining >> 7 | 0x80),
                                 (uint8_t)(remaining >> 14)};
        mqtt_reader_reset(&reader, 4);
        CU_ASSERT_EQUAL(mqtt_reader_feed(&reader, (const char *)fixed, 4, &used), READ_MORE);
        enum read_step step = mqtt_reader_feed(&reader, head, 7, &used);
        CU_ASSERT_EQUAL(step, more ? READ_FAULT : READ_HEAD);
        CU_ASSERT(!more || reader.fault.reason == MQTT_PACKET_TOO_LARGE);
        CU_ASSERT(reader.head.capacity <= 256);
    }
    mqtt_reader_deinit(&reader);
}

static void check_sent(struct buffer *out, const char *bytes, size_t size)
{
    CU_ASSERT_EQUAL(out->size, size);
    CU_ASSERT(out->size == size && memcmp(out->data, bytes, size) == 0);
    buffer_clear(out);
}

static void test_encode(void)
{
    struct buffer out = {0};
    struct mqtt_connack connack = {
        .level = 4, .session_present = true, .session_expiry = -1, .keep_alive = -1};
    mqtt_append_connack(&out, &connack);
    check_sent(&out, BYTES("\x20\2\1\0"));
    connack = (struct mqtt_connack){.level = 5, .reason = 0x87, .session_expiry = -1, .keep_alive = -1};
    mqtt_append_connack(&out, &connack);
    check_sent(&out, BYTES("\x20\3\0\x87\0"));
    connack = (struct mqtt_connack){5, 0, false, 32, 0x10000, 60, 300, {"ab", 2}};
    mqtt_append_connack(&out, &connack);
    check_sent(
        &out,
        BYTES("\x20\x1e\0\0\x1b\x21\0\x20\x27\0\1\0\0\x25\0\x29\0\x2a\0\x11\0\0\0\x3c\x13\1\x2c\x12\0\2ab"));
    mqtt_append_ack(&out, &(struct mqtt_ack){MQTT_PUBACK, 5, 0, 7, "text"});
    check_sent(&out, BYTES("\x40\2\0\7"));
    mqtt_append_ack(&out, &(struct mqtt_ack){MQTT_PUBREC, 5, 0x99, 7, "bad"});
    check_sent(&out, BYTES("\x50\x0a\0\7\x99\6\x1f\0\3bad"));
    mqtt_append_ack(&out, &(struct mqtt_ack){MQTT_PUBCOMP, 5, 0x92, 7, NULL});
    check_sent(&out, BYTES("\x70\3\0\7\x92"));
    mqtt_append_ack(&out, &(struct mqtt_ack){MQTT_PUBACK, 4, 0x99, 7, "bad"});
    check_sent(&out, BYTES("\x40\2\0\7"));
    mqtt_append_suback(&out, MQTT_SUBACK, 5, 7, (struct slice){"\0\x87", 2});
    check_sent(&out, BYTES("\x90\5\0\7\0\0\x87"));
    mqtt_append_suback(&out, MQTT_UNSUBACK, 4, 7, (struct slice){"\0", 1});
    check_sent(&out, BYTES("\xb0\2\0\7"));
    mqtt_append_pingresp(&out);
    check_sent(&out, BYTES("\xd0\0"));
    mqtt_append_disconnect(&out, 0x8e, NULL);
    check_sent(&out, BYTES("\xe0\1\x8e"));
    mqtt_append_publish(&out, 5, (struct slice){"t", 1}, (struct slice){"{}", 2});
    check_sent(&out, BYTES("\x30\6\0\1t\0{}"));
    buffer_deinit(&out);
}

SUITE(mqtt_packet) = {
    {"each packet whole and in pieces", test_rows},
    {"a payload of 1 MiB and one more", test_large},
    {"what is sent", test_encode},
    {NULL, NULL},
};
