/* device: devices' own alarms (RULES.md section 3, kind `event`): implants, monitors. The maker has
 * classified them; here nothing is measured again. A message enters as a reading does, with
 * FLAG_DEVICE_EVENT; for each rule the messages of one device episode are one alarm with a ledger of its own.
 *
 *   walk    the held messages in order of time, phase, class, from the base: what was true before them.
 *           The first that a version in force judges raises; each gives the priority of its class
 *   last    when the last message is an `end` the episode is cleared at it; the end of the rule ends it
 *   settle  against what was published, as episodes_settle.c does for replays
 *
 * Owner:   tracks own their alarms, patients their log. Threads: the shard's alone.
 * Choices: `start, end, continue` is one open episode, in whatever order they come; a message that no version
 * in force judges is no message of it. An `end` judges its class as any message does. A message of a day
 * without time is refused at the door; one from the future is kept aside, quarantined, for its place in the
 * order is not known; it raises the technical alert. Matching is within one device episode. What `handled`
 * closed stays closed while the device goes on telling; a `start` measured later, or a higher priority, opens
 * it again. What ended twice the look-back ago is over: the same name is a new episode then, of the next
 * generation. Messages don't count for silence. */
#ifndef VIGIE_ALERTING_DEVICE_H
#define VIGIE_ALERTING_DEVICE_H

#include "alerting/engine_state.h"

/* RULES.md section 3: of every class of device event. */
#define DEVICE_LIVE_WITHIN_MS (INT64_C(48) * 3600 * 1000)

/* Takes one message of a request in: verdict, quarantine and flags. */
void device_take(struct engine *engine, struct patient *patient, struct reading *message,
                 const uint8_t *tail);
/* Judges the device episodes that this unit changed. */
void device_judge(struct engine *engine, struct patient *patient);

/* Judges every device episode again, by versions that changed. */
void device_replay(struct engine *engine, struct track *track, int64_t clock_ms);
/* The clock alone: ends what ended at or before clock_ms. */
void device_pass(struct engine *engine, struct track *track, int64_t clock_ms);
/* When the clock ends an open episode; INT64_MAX. */
int64_t device_due_ms(const struct track *track);

/* The most urgent of the rule's classes. */
enum priority device_urgency(const struct rule_event *rule);
/* What decided is a message: it stands in a transition as `deciding` (time, device, episode), class in
 * first.device, phase in `value`. */
void device_rest_on(struct transition *transition, const struct device_message *message);

#endif
