/* readings_keys: the tables from the rows. */
#include "daemon/ingest/readings/readings_keys.h"

#define KEY_NAME(id, number, name, type) {name, sizeof name - 1},
#define KEY_TYPE(id, number, name, type) KEY_##type,

static const struct pull_name message_list[] = {MESSAGE_KEYS(KEY_NAME)},
                              reading_list[] = {READING_KEYS(KEY_NAME)},
                              event_list[] = {EVENT_KEYS(KEY_NAME)};
static const enum key_type message_types[] = {MESSAGE_KEYS(KEY_TYPE)},
                           reading_types[] = {READING_KEYS(KEY_TYPE)}, event_types[] = {EVENT_KEYS(KEY_TYPE)};

#define MESSAGE_NUMBER(id, number, name, type) [number] = 1 + MESSAGE_##id,
#define READING_NUMBER(id, number, name, type) [number] = 1 + READING_##id,
#define EVENT_NUMBER(id, number, name, type)   [number] = 1 + EVENT_KEY_##id,

static const uint8_t message_numbers[KEYS_NUMBERS] = {MESSAGE_KEYS(MESSAGE_NUMBER)},
                     reading_numbers[KEYS_NUMBERS] = {READING_KEYS(READING_NUMBER)},
                     event_numbers[KEYS_NUMBERS] = {EVENT_KEYS(EVENT_NUMBER)};

const struct reader_keys
    readings_message_keys = {{message_list, MESSAGE_KEYS_COUNT, '\0'}, message_types, message_numbers},
    readings_reading_keys = {{reading_list, READING_KEYS_COUNT, '\0'}, reading_types, reading_numbers},
    readings_event_keys = {{event_list, EVENT_KEYS_COUNT, '\0'}, event_types, event_numbers};
