/* readings_keys: the keys of a message, a reading and an event, INTERFACES.md section 4. Threads: constants.
 */
#ifndef VIGIE_INGEST_READINGS_KEYS_H
#define VIGIE_INGEST_READINGS_KEYS_H

#include "daemon/ingest/readings_reader.h"

#define MESSAGE_KEYS(KEY)                                                                                    \
    KEY(PATIENT, "patient", TEXT)                                                                            \
    KEY(DEVICE, "device", TEXT)                                                                              \
    KEY(ID, "id", TEXT)                                                                                      \
    KEY(TIME, "time", TIME)                                                                                  \
    KEY(READINGS, "readings", ARRAY)                                                                         \
    KEY(EVENTS, "events", ARRAY)

enum message_key {
#define MESSAGE_ENUM(id, name, type) MESSAGE_##id,
    MESSAGE_KEYS(MESSAGE_ENUM)
#undef MESSAGE_ENUM
        MESSAGE_KEYS_COUNT
};

#define READING_KEYS(KEY)                                                                                    \
    KEY(CODE, "code", TEXT)                                                                                  \
    KEY(VALUE, "value", NUMBER)                                                                              \
    KEY(UNIT, "unit", TEXT)                                                                                  \
    KEY(TIME, "time", TIME)                                                                                  \
    KEY(ID, "id", TEXT)                                                                                      \
    KEY(STATUS, "status", TEXT)                                                                              \
    KEY(COMPARATOR, "comparator", TEXT)                                                                      \
    KEY(ORIGIN, "origin", TEXT)                                                                              \
    KEY(SENSOR, "sensor", TEXT)                                                                              \
    KEY(ISSUED, "issued", TIME)

#define EVENT_KEYS(KEY)                                                                                      \
    KEY(CLASS, "class", TEXT)                                                                                \
    KEY(EPISODE, "episode", TEXT)                                                                            \
    KEY(PHASE, "phase", TEXT)                                                                                \
    KEY(TIME, "time", TIME)

enum reading_key {
#define READING_ENUM(id, name, type) READING_##id,
    READING_KEYS(READING_ENUM)
#undef READING_ENUM
        READING_KEYS_COUNT
};

enum event_key {
#define EVENT_ENUM(id, name, type) EVENT_KEY_##id,
    EVENT_KEYS(EVENT_ENUM)
#undef EVENT_ENUM
        EVENT_KEYS_COUNT
};

extern const struct reader_keys readings_message_keys, readings_reading_keys, readings_event_keys;

#endif
