/* episodes: a set of episodes, as the evaluator finds them or as a reader of the topic has them.
 * Owner:   episodes_deinit() frees. Threads: value types. */
#ifndef VIGIE_TESTS_REFERENCE_EPISODES_H
#define VIGIE_TESTS_REFERENCE_EPISODES_H

#include "tests/reference/facts.h"

enum episode_state { OPEN, CLEARED, ENDED /* closed: the patient left */ };
struct episode {
    int rule;
    enum fact_side side; /* BOTH: none */
    enum episode_state state;
    int64_t raised_at, ended_at; /* NO_TIME while open */
    uint32_t steps_first, steps; /* in episodes.step */
    bool begins_with_day;
    int64_t began_at; /* measured time of the key, first day's number, or last_seen */
    uint8_t began_device, began_sensor;
};

struct step {
    int64_t at;
    int priority;
};

struct episodes {
    struct episode *episode;
    size_t count, room;
    struct step *step;
    size_t steps, steps_room;
};

/* By rule, side, raised_at, end, priorities. */
void episodes_sort(struct episodes *episodes);
void episodes_deinit(struct episodes *episodes);

#endif
