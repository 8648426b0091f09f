/* alert_event: one published fact about an episode, RULES.md section 5, INTERFACES.md section 5.
 * The head is what the publisher and the loader need without opening the JSON; the JSON is rendered once by
 * the engine and passed on unchanged by everyone. Threads: value type. */
#ifndef VIGIE_MODEL_ALERT_EVENT_H
#define VIGIE_MODEL_ALERT_EVENT_H

#include <stdint.h>

#include "daemon/base/hash.h"
#include "daemon/base/limits.h"

enum priority { PRIORITY_NONE, PRIORITY_LOW, PRIORITY_MEDIUM, PRIORITY_HIGH, PRIORITY_COUNT };
enum alert_class { ALERT_CLINICAL, ALERT_TECHNICAL, ALERT_SILENCE, ALERT_DEVICE };

#define EVENT_ROWS(EVENT)                                                                                    \
    EVENT(RAISED, "raised")                                                                                  \
    EVENT(LIVE, "live")                                                                                      \
    EVENT(ESCALATED, "escalated")                                                                            \
    EVENT(DEESCALATED, "deescalated")                                                                        \
    EVENT(CLEARED, "cleared")                                                                                \
    EVENT(ACKNOWLEDGED, "acknowledged")                                                                      \
    EVENT(HANDLED, "handled")                                                                                \
    EVENT(SHELVED, "shelved")                                                                                \
    EVENT(UNSHELVED, "unshelved")                                                                            \
    EVENT(SUSPENDED, "suspended")                                                                            \
    EVENT(RESUMED, "resumed")                                                                                \
    EVENT(AMENDED, "amended")                                                                                \
    EVENT(CANCELLED, "cancelled")                                                                            \
    EVENT(CLOSED, "closed")

enum event_kind {
#define EVENT_ENUM(id, word) EVENT_##id,
    EVENT_ROWS(EVENT_ENUM)
#undef EVENT_ENUM
        EVENT_COUNT
};

struct alert_event {
    uint8_t event_id[UUID_BYTES], episode_id[UUID_BYTES];
    int64_t patient_id; /* 0: no patient */
    int64_t decided_at_ms;
    uint32_t sequence;
    uint8_t kind, priority, class, reserved; /* event_kind, priority, alert_class */
    uint8_t key_size, organization_size;     /* Kafka key: patient ref, or the node's name */
    char key[REF_BYTES_MAX], organization[REF_BYTES_MAX];
    uint8_t padding[6];
};

const char *event_word(enum event_kind kind);
const char *priority_word(enum priority priority);
enum priority priority_from_word(const char *word); /* PRIORITY_NONE when it is none */
const char *alert_class_word(enum alert_class class);

#endif
