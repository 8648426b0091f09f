/* day_figures: the figures of a track's days, one after the other, taken from the held readings.
 * Owner:   struct days of a track. Threads: the shard's alone. Holds:   items[0] is of `first`; they reach up
 * to the last closed day. Days before the first that has data are not kept: they have none. */
#ifndef VIGIE_ALERTING_DAY_FIGURES_H
#define VIGIE_ALERTING_DAY_FIGURES_H

#include "alerting/engine_state.h"

struct day_source {
    struct engine *engine; /* has the scratch */
    const struct track *track;
    const struct series *series; /* NULL: there is none */
};

/* From the readings that are held; the points stay in engine->day_points. *ret_brought (may be NULL): this
 * unit brought one of them. */
struct day_figure day_take(const struct day_source *source, int64_t day, bool *ret_brought);
/* Whether all readings that the series ever had of the day are held. */
bool day_is_held(const struct day_source *source, int64_t day);
/* The day's, NULL when it is not kept. */
static inline const struct day_figure *day_figures_at(const struct day_figures *figures, int64_t day)
{
    bool kept = day >= figures->first && day < figures->first + (int64_t)figures->count;
    return kept ? &figures->items[day - figures->first] : NULL;
}
/* Sets the figure of a day up to the first behind them. */
void day_figures_set(struct day_figures *figures, int64_t day, const struct day_figure *figure);
/* Takes those of the days [from, first) that are missing in front. */
void day_figures_extend(struct day_figures *figures, const struct day_source *source, int64_t from);
/* Forgets those before `from`; those from `end` on. */
void day_figures_forget(struct day_figures *figures, int64_t from);
void day_figures_cut(struct day_figures *figures, int64_t end);
/* The newest reception of a reading of the day; INSTANT_NONE without. */
int64_t day_received_ms(const struct day_source *source, int64_t day);

#endif
