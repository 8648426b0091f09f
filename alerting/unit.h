/* unit: one unit of decision (RULES.md section 5): what it is about, and the events that it brings about,
 * which are sorted, rendered and handed out together at its end. Owner:   the engine has one and uses it
 * again. Threads: the shard's alone. Holds:   an event is rendered from its episode as it stood after it: the
 * first `prefix` transitions. */
#ifndef VIGIE_ALERTING_UNIT_H
#define VIGIE_ALERTING_UNIT_H

#include "alerting/state.h"

struct pending {
    struct ledger *ledger;
    struct episode *episode;
    enum event_kind kind;
    enum priority priority;
    int64_t order_ms; /* measured time, never before an earlier event of the episode in this unit */
    uint32_t sequence, in_breach;
    size_t prefix;
    bool retrospective, reopened, cancelled;
    const char *reason; /* NULL without */
    uint8_t into[UUID_BYTES];
    bool has_into;
    struct transition basis; /* what the event rests on */
    const char *author,
        *note; /* of a command or a condition; NULL without; borrowed until the end of the unit */
    enum outcome outcome;
    int64_t until_ms; /* of a suspension or a shelf; INSTANT_NONE without */
};

struct unit {
    uint32_t number;
    int64_t now_ms;
    bool kept;         /* a reading of it is kept: it will be journaled */
    bool of_rules;     /* a command: what it makes is retrospective */
    const char *cause; /* why something published may exist no longer */
    struct pending *items;
    size_t count, capacity;
};

void unit_begin(struct unit *unit, int64_t now_ms, const char *cause, bool of_rules);
struct pending *unit_add(struct unit *unit, struct ledger *ledger, struct episode *episode,
                         enum event_kind kind);

struct engine;
/* Sorts, renders and hands out what the unit brought about. */
void unit_publish(struct engine *engine);

#endif
