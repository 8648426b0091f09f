/* mqtt_reader: control packets out of bytes as they come. What is refused never depends on how the bytes were
 * cut.
 *
 *   first byte | remaining length 1-4 | head                                      | payload
 *                                       PUBLISH: topic, packet id, properties       PUBLISH alone, given in
 * pieces every other packet: all of it
 *
 * Owner:   struct mqtt_reader lives in its holder; slices of `packet` point into its head, which stays until
 * the next mqtt_reader_reset(). Threads: one at a time. Holds:   memory grows with the bytes that have come,
 * never by a claimed length. Fails:   READ_FAULT and `fault`: such a connection cannot go on. */
#ifndef VIGIE_DAEMON_INGEST_MQTT_READER_H
#define VIGIE_DAEMON_INGEST_MQTT_READER_H

#include "daemon/ingest/mqtt/mqtt_packet.h"

enum mqtt_frame_state { MQTT_IN_TYPE, MQTT_IN_LENGTH, MQTT_IN_HEAD, MQTT_IN_PAYLOAD, MQTT_AFTER };

struct mqtt_reader {
    enum mqtt_frame_state state;
    uint8_t level; /* 0: before CONNECT; kept by mqtt_reader_reset() */
    uint8_t first, length_bytes;
    uint32_t left; /* bytes of the packet that have not come */
    struct buffer head;
    struct slice piece; /* of the payload, in the bytes that were fed */
    struct mqtt_fault fault;
    struct mqtt_packet packet;
};

/* Begins another packet of a connection that speaks `level`; the first time the reader is zeroed. */
void mqtt_reader_reset(struct mqtt_reader *reader, uint8_t level);
void mqtt_reader_deinit(struct mqtt_reader *reader);
/* Consumes some of `size` bytes; call again with the rest until READ_MORE, READ_DONE or READ_FAULT. READ_HEAD
 * and READ_BODY: of PUBLISH alone; the packet's fields are there from READ_HEAD on, of others at READ_DONE.
 */
enum read_step mqtt_reader_feed(struct mqtt_reader *reader, const char *data, size_t size, size_t *ret_used);
/* Whether a byte of the packet has come. */
bool mqtt_reader_has_begun(const struct mqtt_reader *reader);

#endif
