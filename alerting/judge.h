/* judge: the automata that walk one side of one rule over a series, instant by instant (RULES.md section 3).
 * Their state is explicit and copyable, so that late data can start again from a checkpoint. A kind is a row
 * of a table (judge.c): what it keeps beside the head that all have is its own, and is there only while it
 * says something: a rule that never saw a breach keeps nothing.
 * Owner:   tracks hold the states. Threads: the shard's alone. Pure: no clock, no output but the outcome.
 * Choices: versions change limits, counts and priorities under a state that goes on. `limit` counts runs for
 * every priority; a level that the version lacks counts as one that every reading is inside of. A kind of one
 * priority (Q, that of the version in force; A is the active one) counts breaches and non-breaches whatever
 * their priority was:
 *   `change`, `reference`, `rate`: a breach that is the count-th or a later one raises or escalates to Q when
 *   Q > A; else a non-breach that is the clear_count-th clears; else, when A > Q, A is left for Q at the
 *   clear_count-th judged instant inside of A, which under a version of another priority every one is.
 *   `occurrences`: one with n >= N raises or escalates to Q when Q > A; else `in` false with n < N clears;
 *   else A > Q is left for Q at once. `in` and what was counted go on, each as its own version judged it.
 * So what is open under a lower priority is never cleared by a breach. The end of a rule resets runs, `in`
 * and what was counted; windows of readings stay. */
#ifndef VIGIE_ALERTING_JUDGE_H
#define VIGIE_ALERTING_JUDGE_H

#include "alerting/ledger.h"
#include "alerting/references.h"

struct judge_state {
    int64_t at_ms;       /* judged up to here, INT64_MIN at first */
    int64_t previous_ms; /* previous instant of the series, INSTANT_NONE at first */
    void *own;           /* of the kind; NULL: as at the beginning */
    enum priority active;
};

void judge_state_init(struct judge_state *state);
void judge_state_deinit(struct judge_state *state, enum rule_kind kind);
void judge_state_copy(struct judge_state *to, const struct judge_state *from, enum rule_kind kind);
/* The rule ends here: nothing is active, runs begin anew. */
void judge_end(struct judge_state *state, enum rule_kind kind);

struct judge_outcome {
    enum event_kind kind;   /* RAISED, ESCALATED, DEESCALATED, CLEARED; EVENT_COUNT: nothing changed */
    enum priority priority; /* after it; of a clearing: before it */
    bool breach;            /* the instant breaches (any level) */
    bool settled;           /* occurrences: the instant alone says what `in` is */
    enum basis basis;       /* what the decision rests on */
    struct reading_key first, began; /* began: of a raised, what began the episode */
    uint32_t in_breach;              /* of a raised: the breaches that made it */
    const struct held *deciding;     /* the value of the instant that decided */
};

struct judge_input {
    const struct rule *rule; /* NULL: no version in force, the instant is only remembered */
    enum rule_side side;
    const struct instant *instant;
    int64_t window_max_ms; /* longest window of any version */
    enum parameter parameter;
    const struct references *references; /* of the patient */
};

/* Of a kind that judges readings. */
bool judges_readings(enum rule_kind kind);
/* Its own, which is missing; whether what it has says nothing and should be missing. */
void judge_make_own(struct judge_state *state, enum rule_kind kind);
bool judge_is_blank(const struct judge_state *state, enum rule_kind kind);
/* One instant. */
void judge_step(enum rule_kind kind, struct judge_state *state, const struct judge_input *input,
                struct judge_outcome *ret);
/* What the instant that was stepped over last was held against; for explanations alone. */
enum compared_with {
    COMPARED_NOTHING,
    COMPARED_EXTREME,   /* of the window of `change` */
    COMPARED_REFERENCE, /* the patient's, in force then */
    COMPARED_SLOPE,     /* millionths a minute, rounded towards zero */
    COMPARED_COUNT,     /* occurrences counted, as they are */
};
struct judge_compared {
    enum compared_with with;
    int64_t value;
};
struct judge_compared judge_compared(enum rule_kind kind, const struct judge_state *state,
                                     const struct judge_input *input);
/* How far it looks back for readings; 0: no further than its runs. */
int64_t judge_window_ms(const struct rule *rule);

/* Every key that a state names. */
typedef void judge_visit(void *context, const struct reading_key *key);
void judge_each_key(const struct judge_state *state, enum rule_kind kind, judge_visit *visit, void *context);

#endif
