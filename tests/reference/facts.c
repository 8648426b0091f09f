/* facts: see facts.h. */
#include "tests/reference/facts.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/ensure.h"
#include "tests/reference/episodes.h"

const struct fact_parameter fact_parameters[PARAMETERS] = {
    {"body-weight", "kg", false, false},
    {"heart-rate", "/min", true, false},
    {"glucose-blood", "mg/dL", false, true},
    {"glucose-interstitial", "mg/dL", true, true},
    {"bp-systolic", "mm[Hg]", false, false},
    {"creatinine", "mg/dL", false, false},
    {"ventilation-leak-total", "L/min", true, false},
};

const char *const fact_zone_names[ZONES] = {"UTC",          "Europe/Paris",        "America/New_York",
                                            "Asia/Kolkata", "Australia/Lord_Howe", "America/Santiago"};

const char *const fact_kind_names[KINDS] = {"limit", "occurrences", "change",   "reference", "rate",
                                            "daily", "variation",   "baseline", "silence",   "event"};

#define FACT_ADDER(name, type)                                                                               \
    struct type *facts_add_##name(struct facts *facts, struct type value)                                    \
    {                                                                                                        \
        if (facts->name##s == facts->name##_room) {                                                          \
            facts->name##_room = facts->name##_room == 0 ? 16 : 2 * facts->name##_room;                      \
            facts->name = realloc(facts->name, facts->name##_room * sizeof *facts->name);                    \
            ensure(facts->name != NULL);                                                                     \
        }                                                                                                    \
        facts->name[facts->name##s] = value;                                                                 \
        return &facts->name[facts->name##s++];                                                               \
    }
FACT_ARRAYS(FACT_ADDER)
#undef FACT_ADDER

void facts_init(struct facts *facts)
{
    memset(facts, 0, sizeof *facts);
    facts->left_at = NEVER;
    facts->lookback = 35 * MS_DAY;
    facts->lookback_continuous = 16 * MS_DAY;
}

void facts_deinit(struct facts *facts)
{
#define FACT_FREE(name, type) free(facts->name);
    FACT_ARRAYS(FACT_FREE)
#undef FACT_FREE
}

int64_t facts_lookback(const struct facts *facts, int parameter)
{
    return fact_parameters[parameter].continuous ? facts->lookback_continuous : facts->lookback;
}

static int order_of(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_episodes(const void *left, const void *right, void *context)
{
    const struct episode *a = left, *b = right;
    const struct step *step = context;
    int order = order_of(a->rule, b->rule);
    order = order != 0 ? order : order_of(a->side, b->side);
    order = order != 0 ? order : order_of(a->raised_at, b->raised_at);
    order = order != 0 ? order : order_of(a->ended_at, b->ended_at);
    order = order != 0 ? order : order_of(a->steps, b->steps);
    for (uint32_t i = 0; order == 0 && i < a->steps; i++) {
        const struct step *x = &step[a->steps_first + i], *y = &step[b->steps_first + i];
        order = x->at != y->at ? order_of(x->at, y->at) : order_of(x->priority, y->priority);
    }
    return order;
}

void episodes_sort(struct episodes *episodes)
{
    qsort_r(episodes->episode, episodes->count, sizeof *episodes->episode, compare_episodes, episodes->step);
}

void episodes_deinit(struct episodes *episodes)
{
    free(episodes->episode);
    free(episodes->step);
    *episodes = (struct episodes){.count = 0};
}
