/* engine: decides alerts for the patients of one shard, RULES.md. Pure: no I/O, no clock, no thread of its
 * own; its state is a function of the calls made in order, so replaying a journal gives the same events byte
 * for byte. Owner:   the shard makes and frees it. Threads: the shard's alone. Holds:   every event handed to
 * engine_out.event() is a published fact; engine_out may not call back in. Fails:   bad rules and commands
 * are answers (struct command.outcome); memory is ensure(). */
#ifndef VIGIE_ALERTING_ENGINE_H
#define VIGIE_ALERTING_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/model/alert_event.h"
#include "daemon/model/command.h"
#include "daemon/model/reading.h"

struct engine_settings {
    int64_t lookback_ms, lookback_continuous_ms; /* L, RULES.md section 1: 35 d, 16 d */
    int64_t future_tolerance_ms;                 /* measured later than received + this: quarantine; 5 min */
    struct sip_key reading_key;   /* of reading ids, which are made anew when an event names one */
    uint32_t shard;               /* shard 0 journals alerts without a patient */
    bool test_mode;               /* events carry "test": true */
    char node[REF_BYTES_MAX + 1]; /* key of alerts without a patient */
};

/* What the judge of one side of a rule saw in one instant of a series. Late data make it walk again, from the
 * first instant that it holds: `again` says so, at every step of such a walk. Pointers are good for the call.
 */
struct engine_step {
    int64_t patient_id, decided_ms;
    const char *rule_id, *side; /* "low", "high" */
    int64_t version, in_force_from_ms;
    const char *layer; /* NULL: no version was in force, the instant was only remembered */
    uint16_t parameter;
    int64_t measured_ms, received_ms, value;
    uint8_t comparator, status;
    bool again, breach;
    const char
        *compared;   /* "extreme", "reference", "slope" (per minute), "counted"; NULL: with limits alone */
    int64_t against; /* what of that; millionths, but for counted */
    const char *decided;    /* "raised", "escalated", "deescalated", "cleared"; NULL: nothing changed */
    enum priority priority; /* of the episode that is open behind it; NONE without */
};

/* Where decided events go, in order. `event` is complete but for nothing: the shard journals it as it is. */
struct engine_out {
    void (*event)(void *context, const struct alert_event *event, const char *json, uint32_t json_size);
    /* How long after it was due a silence was raised; NULL: nobody asks. */
    void (*silence_late)(void *context, int64_t late_ms);
    void (*step)(void *context, const struct engine_step *step); /* NULL in a shard: for explanations */
    void *context;
};

struct engine;
struct patient; /* opaque: one patient's rules, series, episodes, timers */

struct engine *engine_new(const struct engine_settings *settings, const struct engine_out *out);
void engine_free(struct engine *engine);

/* A unit of decision without readings: moves engine time to now_ms (never backwards) and decides everything
 * due strictly before now_ms, in order, at most TICK_EXPIRIES_MAX; true: more is due (call again with the
 * same now_ms and up_ms 0). TICK_START: first tick of a process: what the up_ms of it did not gain since the
 * tick before was an outage of our own. Between starts all time is up time: engine time may be slewed against
 * up time, which is no outage. TICK_SKIPPED: an operator confirmed a wall clock ahead; what was skipped is an
 * outage of our own, and the days that it touches neither count as missed nor end a run. */
enum tick_kind { TICK_RUNNING, TICK_START, TICK_SKIPPED };
bool engine_tick(struct engine *engine, int64_t now_ms, int64_t up_ms, enum tick_kind kind);

/* The earliest instant at which a timer falls due while up, INT64_MAX without; it is decided by a tick later
 * than it. */
int64_t engine_next_due_ms(struct engine *engine);

/* Carries out a command at engine time now_ms: fills outcome and reply; decides what follows from it. */
void engine_command(struct engine *engine, struct command *command, int64_t now_ms);

/* The patient's state, NULL when no command has enrolled it here. */
struct patient *engine_patient(struct engine *engine, int64_t patient_id);

/* A unit of decision: the readings of one request for one patient, chained by reading.next from `first`
 * (READING_CHAIN_END ends it); received_at_ms of each is set. Sets verdict, quarantine, flags and revision of
 * each: duplicates of held readings are found here, and only here; a reading refused or a duplicate changes
 * nothing. Then takes the difference between the new episodes and what was published, once, and publishes it.
 */
void engine_decide(struct engine *engine, struct patient *patient, struct reading *heads,
                   const uint8_t *tails, uint32_t first, int64_t now_ms);

/* After a command `release` was carried out (outcome OK): the reading as it entered, for the journal;
 * borrowed until the next command. */
const struct reading *engine_released(const struct engine *engine, const uint8_t **ret_tail);
/* What reading.alias_hash must be here for a sender's identifier. */
uint64_t engine_alias_hash(const struct engine *engine, const struct reading *reading, struct slice alias);

/* Before: a unit that engine_decide() will be called with after ENGINE_FORESIGHT others, so that its
 * patient's memory is at hand then. Changes nothing; it need not be called, nor the unit come. */
enum { ENGINE_FORESIGHT = 6 };
void engine_foresee(struct engine *engine, const struct reading *heads, uint32_t first);

/* Registry version up to which this engine has everything (COMMAND_REGISTRY), 0 at first. */
int64_t engine_registry_version(const struct engine *engine);
int64_t engine_now_ms(const struct engine *engine);
/* Patients whom rules do not watch because no physician has confirmed them. */
uint32_t engine_unconfirmed_count(const struct engine *engine);

/* For `vigiectl rules show`: effective rules as JSON, each with layer, version, in_force_from. */
void engine_show(struct engine *engine, int64_t patient_id, struct buffer *out);

#endif
