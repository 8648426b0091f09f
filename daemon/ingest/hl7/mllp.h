/* mllp: HL7 v2 over TCP, the minimal lower layer protocol: 0x0B message 0x1C 0x0D, any number of messages on
 * a connection, each answered on it, in order (INTEROP.md section 3.3 H1). As a protocol of the listeners:
 * mllp_protocol (protocol.h).
 *
 *   BETWEEN ──0x0B──> INSIDE ──0x1C──> ENDING ──0x0D──> the message is whole
 *                     INSIDE ──0x0B──> INSIDE, from the beginning: the sender has begun anew
 *
 * Threads: pure functions.
 * Holds:   a message counts from 0x0B to 0x1C 0x0D or not at all; at most MESSAGE_BYTES_MAX.
 * Choices: CR, LF and spaces between frames are passed over; of anything else MLLP_JUNK_BYTES_MAX between two
 *          frames close the connection. 0x1C without 0x0D behind it closes it too: where the message ends
 *          cannot be known then. Who speaks is known before anything is read: a peer without a certificate
 *          of an enrolled source is closed after the handshake. */
#ifndef VIGIE_INGEST_MLLP_H
#define VIGIE_INGEST_MLLP_H

#include "daemon/ingest/exchange.h"

enum { MLLP_JUNK_BYTES_MAX = 1024 };

enum mllp_phase { MLLP_BETWEEN, MLLP_INSIDE, MLLP_ENDING };

/* What is done with the bytes that one step took. */
enum mllp_event {
    MLLP_MORE,  /* they have been passed over, or `piece` belongs to the message */
    MLLP_BEGIN, /* the message begins, maybe anew */
    MLLP_WHOLE,
    MLLP_BROKEN,
};

struct mllp_reader {
    enum mllp_phase phase;
    size_t junk;        /* bytes between frames since the last */
    struct slice piece; /* of the message, in the bytes that were fed; {NULL, 0} without */
};

/* One step: *ret_used bytes are taken, at least one of `size` > 0. */
enum mllp_event mllp_step(struct mllp_reader *reader, const char *data, size_t size, size_t *ret_used);

#endif
