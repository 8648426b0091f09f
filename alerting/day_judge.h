/* day_judge: the automata of daily, variation and baseline: they walk the closed days of one side of one rule
 * in order (RULES.md sections 3 and 3.3). Owner:   tracks of days hold the states. Threads: the shard's
 * alone. Pure: no clock, no output but the outcome. Choices: data of the days before are told from none by
 * min_readings of the version that judges; a day that is not judged (no data, nothing to compare with) ends
 * the run of `variation` and `baseline` and of `daily` with `break`; `skip` bridges `days` + 7 of them.
 * Versions: as the kinds of one priority in judge.h, with `days` as count and a clear_count of 1. The median
 * of a baseline is over all statistics with data; one that lies beyond all numbers sorts there, and a median
 * that is no number judges nothing. */
#ifndef VIGIE_ALERTING_DAY_JUDGE_H
#define VIGIE_ALERTING_DAY_JUDGE_H

#include "alerting/day_statistic.h"
#include "alerting/rule_fields.h"

enum { DAYS_BRIDGED_MORE = 7 };

struct day_state {
    int64_t passed_ms; /* ends of the rule up to here are passed, INT64_MIN at first */
    int32_t first;     /* first day of the run; 0 without */
    uint32_t run;      /* breaching days of it */
    int32_t data_day;  /* the newest day with data */
    uint16_t bridged;  /* days in a row without data since its last */
    uint8_t active;    /* enum priority */
    bool data_breach;  /* data_day breached */
};
void day_state_init(struct day_state *state);
/* The rule ends: nothing is active, no run. */
void day_state_end(struct day_state *state);

struct day_input {
    const struct rule *rule; /* NULL: no version judges this day */
    enum rule_side side;
    int64_t day;
    const struct day_figure *figures; /* of the days before it, then its own: figures[before] */
    size_t before;
};

struct day_outcome {
    enum event_kind kind;   /* RAISED, ESCALATED, DEESCALATED, CLEARED; EVENT_COUNT: nothing changed */
    enum priority priority; /* after it; of a clearing: before it */
    bool judged, breach;
    int64_t first; /* the decision rests on the days from here on */
};

void day_judge(struct day_state *state, const struct day_input *input, struct day_outcome *ret);

/* How many days before a day its judgement looks at. */
unsigned day_reach(const struct rule *rule);

#endif
