/* readings_keys: the keys of a message, a reading and an event, INTERFACES.md section 4. Threads: constants.
 */
#ifndef VIGIE_INGEST_READINGS_KEYS_H
#define VIGIE_INGEST_READINGS_KEYS_H

#include "daemon/ingest/readings/readings_reader.h"

/* Numbers from KEYS_NUMBERED on are ours, of keys that CBOR has as texts alone. */
enum { KEYS_NUMBERED = 15, KEYS_NUMBERS = KEYS_NUMBERED + 3 };

#define MESSAGE_KEYS(KEY)                                                                                    \
    KEY(PATIENT, 0, "patient", TEXT)                                                                         \
    KEY(DEVICE, 1, "device", TEXT)                                                                           \
    KEY(ID, 2, "id", TEXT)                                                                                   \
    KEY(TIME, 3, "time", TIME)                                                                               \
    KEY(READINGS, 4, "readings", ARRAY)                                                                      \
    KEY(EVENTS, 13, "events", ARRAY)

enum message_key {
#define MESSAGE_ENUM(id, number, name, type) MESSAGE_##id,
    MESSAGE_KEYS(MESSAGE_ENUM)
#undef MESSAGE_ENUM
        MESSAGE_KEYS_COUNT
};

#define READING_KEYS(KEY)                                                                                    \
    KEY(CODE, 5, "code", TEXT)                                                                               \
    KEY(VALUE, 6, "value", NUMBER)                                                                           \
    KEY(UNIT, 7, "unit", TEXT)                                                                               \
    KEY(TIME, 3, "time", TIME)                                                                               \
    KEY(ID, 2, "id", TEXT)                                                                                   \
    KEY(STATUS, 9, "status", TEXT)                                                                           \
    KEY(COMPARATOR, 10, "comparator", TEXT)                                                                  \
    KEY(ORIGIN, 11, "origin", TEXT)                                                                          \
    KEY(SENSOR, 12, "sensor", TEXT)                                                                          \
    KEY(ISSUED, 14, "issued", TIME)

#define EVENT_KEYS(KEY)                                                                                      \
    KEY(CLASS, KEYS_NUMBERED, "class", TEXT)                                                                 \
    KEY(EPISODE, KEYS_NUMBERED + 1, "episode", TEXT)                                                         \
    KEY(PHASE, KEYS_NUMBERED + 2, "phase", TEXT)                                                             \
    KEY(TIME, 3, "time", TIME)

enum reading_key {
#define READING_ENUM(id, number, name, type) READING_##id,
    READING_KEYS(READING_ENUM)
#undef READING_ENUM
        READING_KEYS_COUNT
};

enum event_key {
#define EVENT_ENUM(id, number, name, type) EVENT_KEY_##id,
    EVENT_KEYS(EVENT_ENUM)
#undef EVENT_ENUM
        EVENT_KEYS_COUNT
};

extern const struct reader_keys readings_message_keys, readings_reading_keys, readings_event_keys;

#endif
