/* topic: what a reader of the alert topic alone makes of the events, INTERFACES.md section 5, and whether the
 * stream keeps its laws: sequences, ids, one open episode, states that agree with the events. Owner:
 * topic_new() and topic_free(). Threads: one at a time. */
#ifndef VIGIE_TESTS_REFERENCE_TOPIC_H
#define VIGIE_TESTS_REFERENCE_TOPIC_H

#include "daemon/model/alert_event.h"
#include "tests/reference/episodes.h"

struct topic;

struct topic *topic_new(void);
void topic_free(struct topic *topic);

/* A unit of decision begins. Events of a request or command are in order; a tick decides one thing after the
 * other, each at its time. */
void topic_begin_unit(struct topic *topic, int64_t now_ms, bool ordered);
void topic_take(struct topic *topic, const struct alert_event *head, const char *json, size_t size);

/* The first law that was broken, empty when none was. */
const char *topic_broken(const struct topic *topic);

/* The episodes of rules test.r<n> of a patient that stand, in any order. */
void topic_episodes(const struct topic *topic, const char *patient, struct episodes *out);
uint64_t topic_events(const struct topic *topic);

/* A kept episode's id must be the one that its beginning gives with some generation (RULES.md section 5). */
bool topic_has_id(const struct topic *topic, const char *patient, const struct episode *episode,
                  int parameter);

extern const char *const topic_devices[], *const topic_sensors[];

#endif
