/* judge_own: what each kind keeps of its own, for the judges, and for who writes it into a snapshot. */
#ifndef VIGIE_ALERTING_JUDGE_OWN_H
#define VIGIE_ALERTING_JUDGE_OWN_H

#include "alerting/judge.h"

struct judge_run {
    struct reading_key first;
    uint32_t count;
};

/* `limit`: by priority, from PRIORITY_LOW. Clearing runs are kept while an episode is open: before, none is
 * ever asked for that the opening breach would not have broken. */
enum { LEVELS = PRIORITY_COUNT - PRIORITY_LOW };
struct limit_own {
    struct judge_run run[LEVELS], clear[LEVELS];
};

/* Runs of a kind of one priority. */
struct judge_tally {
    struct judge_run run; /* judged breaches */
    uint32_t clear, left; /* while open: judged non-breaches; judged instants inside of the active level */
};

struct window_item {
    struct reading_key key;
    int64_t value;
};

struct window { /* oldest first */
    struct window_item *items;
    size_t start, count, capacity;
};

struct change_own {
    struct judge_tally tally;
    struct window window;       /* candidates for the extreme, each more extreme than all behind it */
    struct window_item pending; /* of the newest moment: no window sees it before time moves on */
    bool has_pending;
};

struct reference_own {
    struct judge_tally tally;
};

/* No value of a reading is near it: what keeps the sums in 128 bits. */
#define RATE_VALUE_MAX ((int64_t)1 << 56)
struct rate_own {
    struct judge_tally tally;
    struct window window;
    /* Sums over the newest `summed` readings of the window, which are those of (t - sums_ms, t]; x is
     * milliseconds after origin_ms. Nothing that is not in the window: sums_ms 0 says to sum anew. */
    size_t summed;
    int64_t sums_ms, origin_ms;
    __int128 x, xx, y, xy;
};

struct occurrences_own {
    bool in;
    struct reading_key *items; /* oldest first, as far back as any version looks */
    size_t start, count, capacity;
};

/* Of the state, made when missing. */
void *judge_own(struct judge_state *state, size_t size);
/* The episode is now of the priority; NONE: cleared. */
void judge_become(struct judge_state *state, enum priority priority, struct judge_outcome *ret);
void judge_count_run(struct judge_run *run, bool goes_on, const struct reading_key *key);
/* A judged instant of a kind of one priority: counts it and decides. ret->breach is set. */
void judge_tally(struct judge_state *state, struct judge_tally *tally, const struct judge_input *input,
                 struct judge_outcome *ret);
bool judge_tally_is_blank(const struct judge_state *state, const struct judge_tally *tally);
void judge_tally_keys(const struct judge_tally *tally, judge_visit *visit, void *context);

void window_push(struct window *window, const struct window_item *item);
void window_drop_oldest(struct window *window);
void window_copy(struct window *to, const struct window *from);
static inline const struct window_item *window_at(const struct window *window, size_t index)
{
    return &window->items[window->start + index];
}

/* Values of an instant. Any of them may breach: the number that goes furthest. In windows it has one: the
 * first number in series order. NULL: comparators alone. */
const struct held *instant_furthest(const struct instant *instant, enum rule_side side);
const struct held *instant_number(const struct instant *instant);
/* Is a comparator of the parameter (LO, HI) the end of the measuring range? */
bool value_ends_range(enum parameter parameter);
const struct held *instant_first(const struct instant *instant); /* member of any sort */

/* RULES.md section 3, comparators: a value against a bound, and whether it is back inside by a margin. */
bool value_breaches(const struct judge_input *input, const struct held *held, int64_t limit);
bool value_is_inside(const struct judge_input *input, const struct held *held, int64_t limit, int64_t margin);
/* A value against an older one: difference or percent; false in *ret_judged for a percent of 0. */
bool difference_breaches(const struct rule_difference *difference, enum rule_side side, int64_t value,
                         int64_t old, bool *ret_judged);

/* A row of the table. */
struct judge_kind {
    size_t size;
    int64_t (*window_ms)(const struct rule *rule); /* NULL: none */
    void (*step)(struct judge_state *state, const struct judge_input *input, struct judge_outcome *ret);
    struct judge_compared (*compared)(const void *own, const struct judge_input *input); /* NULL: nothing */
    void (*end)(void *own);                                                              /* the rule ends */
    bool (*is_blank)(const struct judge_state *state); /* its own says nothing */
    void (*copy)(void *to, const void *from);          /* arrays behind a copied struct; NULL: none */
    void (*deinit)(void *own);                         /* likewise */
    void (*each_key)(const void *own, judge_visit *visit, void *context);
};
extern const struct judge_kind judge_limit, judge_occurrences, judge_change, judge_reference, judge_rate;

void occurrences_push(struct occurrences_own *own, const struct reading_key *key);
/* How many of the newest occurrences lie in (ms - within_ms, ms]. */
size_t occurrences_counted(const struct occurrences_own *own, int64_t ms, int64_t within_ms);

#endif
