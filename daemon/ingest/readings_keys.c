/* readings_keys: the tables from the rows. */
#include "daemon/ingest/readings_keys.h"

#define KEY_NAME(id, name, type) {name, sizeof name - 1},
#define KEY_TYPE(id, name, type) KEY_##type,

static const struct pull_name message_list[] = {MESSAGE_KEYS(KEY_NAME)},
                              reading_list[] = {READING_KEYS(KEY_NAME)},
                              event_list[] = {EVENT_KEYS(KEY_NAME)};
static const enum key_type message_types[] = {MESSAGE_KEYS(KEY_TYPE)},
                           reading_types[] = {READING_KEYS(KEY_TYPE)}, event_types[] = {EVENT_KEYS(KEY_TYPE)};

const struct reader_keys readings_message_keys = {{message_list, MESSAGE_KEYS_COUNT, '\0'}, message_types},
                         readings_reading_keys = {{reading_list, READING_KEYS_COUNT, '\0'}, reading_types},
                         readings_event_keys = {{event_list, EVENT_KEYS_COUNT, '\0'}, event_types};
