/* technical: alerts of built-in rules, made from technical.def.
 * Owner:   patients hold theirs, the engine holds the node's. Threads: the shard's alone. */
#ifndef VIGIE_ALERTING_TECHNICAL_H
#define VIGIE_ALERTING_TECHNICAL_H

#include "alerting/engine_state.h"

enum technical_id {
#define TECHNICAL(id, rule_id, subject, priority, begins, fr, en, raised_when, cleared_when) TECHNICAL_##id,
#include "alerting/technical.def"
#undef TECHNICAL
    TECHNICAL_COUNT
};

struct technical_row {
    const char *rule_id;
    enum priority priority; /* PRIORITY_NONE: of the patient's most urgent rule on the parameter */
    enum beginning beginning;
    bool of_node; /* else of a patient */
    const char *fr, *en, *raised_when, *cleared_when;
};
const struct technical_row *technical_row(int id);
/* The row of an alert about the node by its rule id; -1 when it is none. */
int technical_find(const char *rule_id);

/* A quarantined reading, or one that came too late: raises, or counts while raised. */
void technical_quarantine(struct engine *engine, struct patient *patient, const struct held *held,
                          enum parameter parameter, enum quarantine_reason reason);
void technical_late(struct engine *engine, struct patient *patient, const struct held *held,
                    enum parameter parameter);
/* What the node found of itself (command `condition`): raised, of another priority, or over (PRIORITY_NONE).
 * The truth of it is in the journaled command, so replay asks nobody. */
struct technical_words {
    const char *reason, *note, *author; /* NULL without; borrowed until the end of the unit */
};
void technical_condition(struct engine *engine, int id, enum priority priority,
                         const struct technical_words *words);
/* A suspension that a physician made longer than 31 days in 62: until its end. */
void technical_suspended(struct engine *engine, struct patient *patient, int64_t until_ms);
/* More readings than a series holds: its look-back is what is held. */
void technical_dense(struct engine *engine, struct patient *patient, enum parameter parameter);
/* Something of a parameter that silence listens to arrived: did it count as a sign of life? */
void technical_device_clock(struct engine *engine, struct patient *patient, enum parameter parameter,
                            bool counted);
/* A fact about a patient that holds at the instant or not, and is looked at again (unconfirmed.h) at
 * again_ms. */
void technical_fact(struct engine *engine, struct patient *patient, int id, bool holds, int64_t at_ms,
                    int64_t again_ms);
/* Time that was not up time: an episode from the last tick before to the start. */
void technical_outage(struct engine *engine, int64_t from_ms, int64_t to_ms);

/* What is due at or before the instant; the next due instant of the patient's, INT64_MAX without. */
void technical_expire(struct engine *engine, struct patient *patient, int64_t due_ms);
int64_t technical_due_ms(const struct patient *patient);
/* Closes what is open: the patient leaves. */
void technical_close(struct engine *engine, struct patient *patient, int64_t at_ms);

/* One that is not raised; `detail` is a text of technical_detail(), or NULL. */
struct technical *technical_new(int row, struct patient *patient, enum parameter parameter,
                                const char *detail);
/* The row of a rule id, -1 without; the one text that stands for a detail, NULL when it is none. */
int technical_row_of(const char *rule_id);
const char *technical_detail(const struct engine *engine, const char *text);

void technical_free_node(struct engine *engine);
void technical_free(struct technical *technical, struct engine *engine);

#endif
