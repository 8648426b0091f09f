/* episode_act: what people do to an episode, and the clock to a shelf (RULES.md section 5): acknowledged,
 * handled, shelved, unshelved. They are three different things and neither is a clearing.
 * Owner:   ledgers own the episodes; the engine lists those that are shelved, wherever their ledgers are.
 * Threads: the shard's alone.
 * Choices: what is over may still be acknowledged, handled and shelved, what was cancelled may not; the same
 * again is no second event, other words or another outcome of a handling are one; handling again is asked for
 * by whatever asks for acknowledgement again. A shelf of a later end takes the place of the one before, each
 * at most 7 days from its command; `raised` {reinstated} and `amended` {reopened} end a shelf themselves,
 * without an `unshelved`; the end of a shelf is told of a cancelled episode too. A handling of a device's own
 * alarm that is open closes it at its instant. */
#ifndef VIGIE_ALERTING_EPISODE_ACT_H
#define VIGIE_ALERTING_EPISODE_ACT_H

#include "alerting/engine_state.h"

struct act {
    const char *author, *note, *reason; /* NULL without; borrowed until the end of the unit */
    enum outcome outcome;
    int64_t until_ms; /* of a shelf */
};

void episode_acknowledge(struct engine *engine, struct ledger *ledger, struct episode *episode,
                         const struct act *act);
void episode_handle(struct engine *engine, struct ledger *ledger, struct episode *episode,
                    const struct act *act);
void episode_shelve(struct engine *engine, struct ledger *ledger, struct episode *episode,
                    const struct act *act);
/* One that is shelved. */
void episode_unshelve(struct engine *engine, struct ledger *ledger, struct episode *episode,
                      const struct act *act);

const char *outcome_word(enum outcome outcome);   /* NULL: none */
enum outcome outcome_from_word(const char *word); /* OUTCOME_NONE when it is none */
bool episode_is_shelved(const struct episode *episode);

/* What asks for acknowledgement again asks for handling again; what raises or opens again ends the shelf. */
void episode_ask_again(struct episode *episode);
void episode_leave_shelf(struct engine *engine, struct episode *episode);

/* The engine's list: an episode that is shelved enters it, one that is let go leaves it. */
void shelves_add(struct engine *engine, struct ledger *ledger, struct episode *episode);
void shelves_remove(struct engine *engine, const struct episode *episode);
/* After patients were woken: the list counts those that are awake. */
void shelves_refresh(struct engine *engine);
/* The first shelf to end ends: an event of the tick. */
void shelves_expire(struct engine *engine);

#endif
