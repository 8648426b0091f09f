/* alert_event: the words of events, priorities and classes, as INTERFACES.md section 5 spells them. */
#include "daemon/model/alert_event.h"

#include <string.h>

static const char *const event_words[EVENT_COUNT] = {
#define EVENT_WORD(id, word) word,
    EVENT_ROWS(EVENT_WORD)
#undef EVENT_WORD
};

static const char *const priority_words[PRIORITY_COUNT] = {"none", "low", "medium", "high"};
static const char *const class_words[] = {"clinical", "technical", "silence", "device"};

const char *event_word(enum event_kind kind)
{
    ensure(kind < EVENT_COUNT);
    return event_words[kind];
}

const char *priority_word(enum priority priority)
{
    ensure(priority < PRIORITY_COUNT);
    return priority_words[priority];
}

enum priority priority_from_word(const char *word)
{
    for (enum priority priority = PRIORITY_LOW; priority < PRIORITY_COUNT; priority++)
        if (strcmp(priority_words[priority], word) == 0)
            return priority;
    return PRIORITY_NONE;
}

const char *alert_class_word(enum alert_class class)
{
    ensure(class <= ALERT_DEVICE);
    return class_words[class];
}
