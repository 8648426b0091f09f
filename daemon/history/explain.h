/* explain: an episode decided again from what is stored, and held against what was published.
 * Everything of the patient that came before the last event of the episode is played into an engine; the
 * events that the engine gives for the episode are compared with the published ones byte by byte. Beside
 * them: the steps, what the judge of the rule saw in each reading, or what was received when the kind judges
 * no readings. Owner:   explain_episode() gives, explanation_free() takes. Threads: one. Fails:
 * ERR_NOT_FOUND: there is no such episode; ERR_CORRUPT: the patient's history is not whole (it began before
 * migration 008, or rows are missing); else as history.h. */
#ifndef VIGIE_DAEMON_HISTORY_EXPLAIN_H
#define VIGIE_DAEMON_HISTORY_EXPLAIN_H

#include <jansson.h>

#include "daemon/history/history.h"

enum step_source {
    STEP_JUDGED,   /* a reading, as the judge of the rule saw it */
    STEP_RECEIVED, /* a reading or a device's message, as it was received: silence, event, technical alerts */
};

struct explained_step {
    enum step_source source;
    int64_t measured_ms, received_ms, value;
    uint16_t parameter;
    uint8_t comparator, status, quarantine;
    const char *compared; /* engine_step; NULL: with limits alone */
    int64_t against;
    bool breach, late; /* late: something measured later had been received before */
    uint32_t run;      /* breaches in a row, this one included */
    int64_t version, in_force_from_ms;
    const char *layer, *decided; /* NULL: no version in force; nothing changed */
    enum priority priority;      /* of the episode that is open behind it */
};

struct explained_event {
    int64_t sequence;
    char *published, *again; /* NULL: there is none of this sequence */
};

struct explanation {
    uint8_t episode_id[UUID_BYTES];
    const struct past *past; /* of the history's */
    json_t *last;            /* the newest published event */
    const char *rule_id, *side, *kind, *class;
    struct explained_event *events;
    size_t events_count, events_capacity;
    struct explained_step *steps; /* in order */
    size_t steps_count, steps_capacity;
    bool equal;
    json_t *author; /* the command that brought the version in force; NULL: built-in */
};

MUST_CHECK enum err explain_episode(struct history *history, const struct engine_settings *settings,
                                    const uint8_t episode_id[UUID_BYTES],
                                    struct explanation **ret_explanation);
void explanation_free(struct explanation *explanation);

/* {"episode_id","equal","events","steps",…} (INTERFACES.md section 2). */
void explanation_render(const struct explanation *explanation, struct buffer *json);

#endif
