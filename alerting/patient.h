/* patient: one patient's rules, series and timers held together.
 * Owner:   the engine. Threads: the shard's alone.
 * Holds:   tracks are sorted by rule id; every change of what decides about rules ends in patient_refresh().
 */
#ifndef VIGIE_ALERTING_PATIENT_H
#define VIGIE_ALERTING_PATIENT_H

#include "alerting/engine_state.h"

struct patient *patient_new(struct engine *engine, int64_t patient_id, const char *ref,
                            const char *organization);
void patient_free(struct patient *patient, struct engine *engine);

/* The series of a parameter; made when missing, NULL when it is only asked for. */
struct series *patient_series(const struct patient *patient, enum parameter parameter);
struct series *patient_add_series(struct patient *patient, enum parameter parameter);
/* Which tracks judge which series, anew: after either changed. */
void patient_link(struct patient *patient);
/* The id of a held reading, made anew: its identity is held. */
void patient_reading_id(const struct engine *engine, const struct patient *patient, enum parameter parameter,
                        const struct held *held, uint8_t ret_id[UUID_BYTES]);
/* Lets go of what is older than 2 L, or beyond what is held of a series. */
bool patient_lets_go(const struct engine *engine, const struct series *series); /* would it? */
void patient_let_go(struct engine *engine, struct patient *patient, struct series *series);

struct track *patient_track(const struct patient *patient, const char *rule_id);
struct rule_subject patient_subject(const struct engine *engine, const struct patient *patient);
const struct membership *patient_membership(const struct patient *patient, int64_t ms);
int64_t engine_lookback_ms(const struct engine *engine,
                           enum parameter parameter); /* PARAMETER_COUNT: of none */

/* Brings one rule, or all that may concern the patient, up to date with the versions, and judges again what
 * that changes. */
void patient_refresh_rule(struct engine *engine, struct patient *patient, const char *rule_id);
void patient_refresh(struct engine *engine, struct patient *patient);

/* Takes a reference value and judges again what it changes. */
void patient_refer(struct engine *engine, struct patient *patient, const struct reference *reference);

/* Forgets names that nothing names any more; between units only. */
void patient_sweep_names(struct patient *patient);

/* What a unit of readings has brought is judged and listened to, once all of it is held. */
void patient_take_in(struct engine *engine, struct patient *patient);
/* Judges the series that this unit touched. */
void patient_judge(struct engine *engine, struct patient *patient, struct series *series);

/* Timers: the earliest that the patient waits for, INT64_MAX without; sets it. */
int64_t patient_due_ms(const struct patient *patient);
void patient_schedule(struct engine *engine, struct patient *patient);
/* After a request: what it touched may be due earlier. What is due later now stays where it is in the heap,
 * for that costs nothing before its time comes (engine.c). */
void patient_schedule_touched(struct engine *engine, struct patient *patient);
/* Decides the earliest thing due. */
void patient_expire(struct engine *engine, struct patient *patient);

/* Priority of the most urgent rule in force on the parameter, low without. */
enum priority patient_urgency(const struct patient *patient, enum parameter parameter, int64_t ms);

#endif
