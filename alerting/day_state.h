/* day_state: what a rule of a patient that judges days keeps, as values. What is done with them:
 * alerting/day_track.h, alerting/day_figures.h. Owner:   the track. Threads: the shard's alone. */
#ifndef VIGIE_ALERTING_DAY_STATE_H
#define VIGIE_ALERTING_DAY_STATE_H

#include "alerting/day_judge.h"

struct day_figures { /* of one day after the other; those in front that have no data are left out */
    struct day_figure *items;
    uint32_t count, capacity;
    int32_t first; /* day of items[0] */
};

struct days {          /* of a rule that judges days: day_track.h; days by their number since 1970 */
    uint8_t statistic; /* enum day_statistic */
    bool started;
    int16_t day_start_min;
    int32_t start_day;       /* the base began before this day */
    int32_t base_day;        /* days before it are final */
    int32_t next_day;        /* days before it are closed */
    int64_t open_ms, due_ms; /* next_day begins, closes (INT64_MAX: nothing waits for it) */
    struct day_figures figures;
    struct day_state tip[SIDE_COUNT], base[SIDE_COUNT];
};

#endif
