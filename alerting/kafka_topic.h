/* kafka_topic: the topic of an organisation's events, from `[kafka] topic`.
 *
 * A template's {organization} is replaced by the organisation's ref. Letters, digits and '-' stand for
 * themselves; any other byte is "_hh", two hex digits, and so is '_' itself: two refs never share a topic.
 * '.' is written that way too, because Kafka refuses a.b beside a_b. Events of the node itself, which belong
 * to no organisation, go to "_", which no ref can become. Threads: pure. Fails: ERR_LIMIT: the name is longer
 * than Kafka takes. */
#ifndef VIGIE_ALERTING_KAFKA_TOPIC_H
#define VIGIE_ALERTING_KAFKA_TOPIC_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/err.h"

enum { KAFKA_TOPIC_MAX = 249 };

bool kafka_topic_is_template(const char *topic);
/* `organization` of no bytes: the node's own. On ERR_LIMIT the name is cut, and no topic can have it. */
MUST_CHECK enum err kafka_topic_name(const char *template, const char *organization, size_t organization_size,
                                     char ret_name[KAFKA_TOPIC_MAX + 2]);
/* True when the template makes this name for some organisation. */
bool kafka_topic_fits(const char *template, const char *name);

#endif
