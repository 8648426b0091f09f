/* judge: the automata that walk one side of one rule over a series, instant by instant (RULES.md section 3).
 * Their state is explicit and copyable, so that late data can start again from a checkpoint.
 * Owner:   tracks hold the states. Threads: the shard's alone. Pure: no clock, no output but the outcome.
 * Choices: runs are counted for every priority, a level that the version lacks counts as one that every
 * reading is inside of; a `change` whose new version has another priority takes it at the next judged breach.
 */
#ifndef VIGIE_ALERTING_JUDGE_H
#define VIGIE_ALERTING_JUDGE_H

#include "alerting/rule_fields.h"
#include "alerting/series.h"

struct judge_run {
    struct reading_key first;
    uint32_t count;
};

struct window_item {
    struct reading_key key;
    int64_t value;
};

/* Candidates for the extreme of a window, oldest first, each more extreme than all behind it are: the extreme
 * of any window that ends now is its first candidate inside. */
struct window {
    struct window_item *items;
    size_t start, count, capacity;
    struct window_item pending; /* of the newest moment: no window sees it before time moves on */
    bool has_pending;
};

struct judge_state {
    int64_t at_ms;       /* judged up to here, INT64_MIN at first */
    int64_t previous_ms; /* previous instant of the series, INSTANT_NONE at first */
    enum priority active;
    struct judge_run run[PRIORITY_COUNT];   /* limit: by priority; change: [PRIORITY_LOW] */
    struct judge_run clear[PRIORITY_COUNT]; /* likewise */
    struct window window;                   /* change */
};

void judge_state_init(struct judge_state *state);
void judge_state_deinit(struct judge_state *state);
void judge_state_copy(struct judge_state *to, const struct judge_state *from);
void judge_reset_runs(struct judge_state *state);

struct judge_outcome {
    enum event_kind kind;   /* RAISED, ESCALATED, DEESCALATED, CLEARED; EVENT_COUNT: nothing changed */
    enum priority priority; /* after it; of a clearing: before it */
    bool breach;            /* the instant breaches (any level) */
    bool judged;
    bool pair; /* it rests on two readings: first and the one at hand; else on a stretch from first */
    struct reading_key first;
    const struct held *deciding; /* the value of the instant that decided */
};

struct judge_input {
    const struct rule *rule; /* NULL: no version in force, the instant is only remembered */
    enum rule_side side;
    const struct instant *instant;
    int64_t window_max_ms; /* longest window of any version */
    enum parameter parameter;
};

/* One step per kind; RULE_SILENCE has none. */
void judge_limit(struct judge_state *state, const struct judge_input *input, struct judge_outcome *ret);
void judge_change(struct judge_state *state, const struct judge_input *input, struct judge_outcome *ret);

/* The sides that a rule has. */
bool judge_has_side(const struct rule *rule, enum rule_side side);

#endif
