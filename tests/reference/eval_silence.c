/* eval_silence: non-transmission, RULES.md section 4: receptions, the clock and up time alone. First what
 * counts as a sign of life; then all moments at which max_gap or missed_days may fall due; then they meet in
 * order. */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ensure.h"
#include "tests/reference/eval_internal.h"
#include "tests/reference/evaluator.h"

/* ---- up time ---- */

struct holes { /* what is not up time, in order, apart */
    struct fact_span *span;
    size_t count;
};

static int sort_spans(const void *left, const void *right)
{
    const struct fact_span *a = left, *b = right;
    return (a->from > b->from) - (a->from < b->from);
}

static struct holes holes_of(const struct facts *facts, int rule)
{
    struct holes holes = {calloc(facts->outages + facts->suspensions + 1, sizeof *holes.span), 0};
    ensure(holes.span != NULL);
    size_t count = 0, merged = 0;
    for (size_t i = 0; i < facts->outages; i++)
        holes.span[count++] = facts->outage[i];
    for (size_t i = 0; i < facts->suspensions; i++)
        if (facts->suspension[i].rule == rule)
            holes.span[count++] = facts->suspension[i];
    qsort(holes.span, count, sizeof *holes.span, sort_spans);
    for (size_t i = 0; i < count; i++) {
        if (merged > 0 && holes.span[i].from <= holes.span[merged - 1].until) {
            if (holes.span[i].until > holes.span[merged - 1].until)
                holes.span[merged - 1].until = holes.span[i].until;
        } else {
            holes.span[merged++] = holes.span[i];
        }
    }
    holes.count = merged;
    return holes;
}

/* The first instant at which `amount` of up time has passed since `start`. */
static int64_t up_reach(const struct holes *holes, int64_t start, int64_t amount)
{
    int64_t now = start;
    for (size_t i = 0; i < holes->count; i++) {
        const struct fact_span *hole = &holes->span[i];
        if (hole->until <= now || (amount == 0 && hole->from >= now))
            continue;
        if (hole->from > now) {
            if (hole->from - now >= amount)
                return now + amount;
            amount -= hole->from - now;
        }
        now = hole->until;
    }
    return now + amount;
}

/* ---- receptions ---- */

struct reception {
    int64_t received_at, measured_at;
};
struct quiet {
    const struct walk *walk;
    struct holes holes;
    struct reception *filling; /* first receptions of a key: they fill days */
    int64_t *sign;             /* receptions that are a sign of life, in order */
    size_t fillings, signs;
    int64_t activation, end;
};

static int sort_receptions(const void *left, const void *right)
{
    const struct fact_reading *a = *(const struct fact_reading *const *)left,
                              *b = *(const struct fact_reading *const *)right;
    if (a->received_at != b->received_at)
        return a->received_at < b->received_at ? -1 : 1;
    return (a->request > b->request) - (a->request < b->request);
}

static int sort_keys(const void *left, const void *right)
{
    const struct fact_reading *a = *(const struct fact_reading *const *)left,
                              *b = *(const struct fact_reading *const *)right;
    if (a->measured_at != b->measured_at)
        return a->measured_at < b->measured_at ? -1 : 1;
    int key_a = a->parameter << 16 | a->device << 8 | a->sensor,
        key_b = b->parameter << 16 | b->device << 8 | b->sensor;
    if (key_a != key_b)
        return key_a < key_b ? -1 : 1;
    return sort_receptions(left, right);
}

/* Those stored and of the listed parameters, the first of each key alone; in order of reception. One older
 * than what is held cannot be told from a resend: it is no sign of life (alerting/silence.h). */
static size_t first_receptions(const struct facts *facts, unsigned parameters,
                               const struct fact_reading **list)
{
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < facts->readings; i++) {
        const struct fact_reading *reading = &facts->reading[i];
        if ((parameters >> reading->parameter & 1) != 0 && !reading->quarantined && !reading->test &&
            reading->status != VOID &&
            reading->received_at - reading->measured_at <= 2 * facts_lookback(facts, reading->parameter))
            list[count++] = reading;
    }
    qsort(list, count, sizeof *list, sort_keys);
    for (size_t i = 0; i < count; i++) {
        const struct fact_reading *last = kept == 0 ? NULL : list[kept - 1], *one = list[i];
        if (last == NULL || last->measured_at != one->measured_at || last->parameter != one->parameter ||
            last->device != one->device || last->sensor != one->sensor)
            list[kept++] = one;
    }
    qsort(list, kept, sizeof *list, sort_receptions);
    return kept;
}

/* A reading of a date alone fills the day that begins on its date: an instant of that day. */
static int64_t filled_at(const struct quiet *quiet, const struct fact_reading *reading)
{
    enum fact_zone zone = quiet->walk->facts->zone;
    if (!reading->day_only)
        return reading->measured_at;
    int64_t day = reading->measured_at / MS_DAY - 2;
    while (evaluate_day_begin(zone, day + 1, 0) <= reading->measured_at)
        day++;
    return evaluate_day_begin(zone, day,
                              versions_at(quiet->walk->timeline, quiet->activation)->day_start_min);
}

static void gather(struct quiet *quiet, unsigned parameters)
{
    const struct facts *facts = quiet->walk->facts;
    const struct fact_reading **list = calloc(facts->readings + 1, sizeof *list);
    quiet->filling = calloc(facts->readings + 1, sizeof *quiet->filling);
    quiet->sign = calloc(facts->readings + 1, sizeof *quiet->sign);
    ensure(list != NULL && quiet->filling != NULL && quiet->sign != NULL);
    size_t count = first_receptions(facts, parameters, list);
    int64_t last_seen = quiet->activation;
    for (size_t i = 0, end; i < count; i = end) {
        const struct fact_rule *rule = versions_at(quiet->walk->timeline, list[i]->received_at);
        bool one_day_test = rule != NULL && rule->max_gap_ms > 0, counts = false;
        for (end = i; end < count && list[end]->request == list[i]->request; end++) {
            quiet->filling[quiet->fillings++] =
                (struct reception){list[end]->received_at, filled_at(quiet, list[end])};
            counts = counts || !one_day_test || list[end]->measured_at > last_seen - MS_DAY;
        }
        if (counts) {
            quiet->sign[quiet->signs++] = list[i]->received_at;
            last_seen = list[i]->received_at > last_seen ? list[i]->received_at : last_seen;
        }
    }
    free(list);
}

/* ---- missed days ---- */

struct due {
    int64_t at;
    int priority;
};
struct dues {
    struct due *list;
    size_t count, room;
};

static void add_due(struct dues *dues, int64_t at, int priority)
{
    if (dues->count == dues->room) {
        dues->room = dues->room == 0 ? 16 : 2 * dues->room;
        dues->list = realloc(dues->list, dues->room * sizeof *dues->list);
        ensure(dues->list != NULL);
    }
    dues->list[dues->count++] = (struct due){at, priority};
}

struct closed {
    int64_t closing, begin, end;
};

static bool is_filled(const struct quiet *quiet, const struct closed *day, int64_t by)
{
    for (size_t i = 0; i < quiet->fillings; i++)
        if (quiet->filling[i].received_at <= by && quiet->filling[i].measured_at >= day->begin &&
            quiet->filling[i].measured_at < day->end)
            return true;
    return false;
}

/* The last `needed` of the days are empty at `moment`, and nobody was heard since the last one's end. */
static bool is_missed(const struct quiet *quiet, const struct closed *days, size_t count, int needed,
                      int64_t moment)
{
    if (needed <= 0 || count < (size_t)needed)
        return false;
    for (size_t i = count - (size_t)needed; i < count; i++)
        if (is_filled(quiet, &days[i], moment))
            return false;
    for (size_t i = 0; i < quiet->signs; i++)
        if (quiet->sign[i] >= days[count - 1].end && quiet->sign[i] <= moment)
            return false;
    return true;
}

static bool is_suspended(const struct quiet *quiet, int64_t begin, int64_t end)
{
    const struct facts *facts = quiet->walk->facts;
    for (size_t i = 0; i < facts->suspensions; i++)
        if (facts->suspension[i].rule == quiet->walk->rule && facts->suspension[i].from < end &&
            facts->suspension[i].until > begin)
            return true;
    return false;
}

/* A day closes at its end + grace of up time by the version in force when it begins. A new version for which
 * the days already closed are enough raises when it begins. */
static void miss_days(struct quiet *quiet, struct dues *dues)
{
    const struct timeline *timeline = quiet->walk->timeline;
    const struct fact_rule *first = versions_at(timeline, quiet->activation);
    enum fact_zone zone = quiet->walk->facts->zone;
    int64_t from = quiet->activation / MS_DAY - 2, to = quiet->end / MS_DAY + 2;
    struct closed *days = calloc((size_t)(to - from + 2), sizeof *days);
    ensure(days != NULL);
    size_t count = 0;
    for (int64_t day = from; day <= to; day++) {
        struct closed one = {0, evaluate_day_begin(zone, day, first->day_start_min),
                             evaluate_day_begin(zone, day + 1, first->day_start_min)};
        if (one.end > quiet->end)
            break;
        if (one.begin < quiet->activation || is_suspended(quiet, one.begin, one.end))
            continue;
        const struct fact_rule *rule = versions_at(timeline, one.begin);
        one.closing = up_reach(&quiet->holes, one.end, rule->grace_ms);
        days[count++] = one;
        if (one.closing <= quiet->end && is_missed(quiet, days, count, rule->missed_days, one.closing))
            add_due(dues, one.closing, 0);
    }
    for (size_t i = 0; i < timeline->count; i++) {
        int64_t begin = timeline->segment[i].from;
        if (begin <= quiet->activation || begin > quiet->end || timeline->segment[i].body == NULL ||
            timeline->segment[i].body == timeline->segment[i - 1].body)
            continue;
        size_t before = 0;
        while (before < count && days[before].closing < begin)
            before++;
        if (before > 0 && is_missed(quiet, days, before, timeline->segment[i].body->missed_days, begin))
            add_due(dues, begin, 0);
    }
    free(days);
}

/* When max_gap is reached after last_seen, by the version in force then. */
static int64_t gap_due(const struct quiet *quiet, int64_t last_seen)
{
    const struct timeline *timeline = quiet->walk->timeline;
    for (size_t i = 0; i < timeline->count; i++) {
        int64_t until = i + 1 < timeline->count ? timeline->segment[i + 1].from : NEVER;
        const struct fact_rule *rule = timeline->segment[i].body;
        if (rule == NULL || rule->max_gap_ms == 0)
            continue;
        int64_t at = up_reach(&quiet->holes, last_seen, rule->max_gap_ms);
        at = at > timeline->segment[i].from ? at : timeline->segment[i].from;
        if (at < until)
            return at;
    }
    return NEVER;
}

static int sort_dues(const void *left, const void *right)
{
    const struct due *a = left, *b = right;
    return (a->at > b->at) - (a->at < b->at);
}

/* From `last_seen` until `until` (before it when a reception is there: readings come before timers). */
static void raise_due(struct walk *walk, const struct quiet *quiet, const struct dues *dues,
                      int64_t last_seen, int64_t until)
{
    int64_t at = gap_due(quiet, last_seen);
    for (size_t i = 0; i < dues->count; i++)
        if (dues->list[i].at >= last_seen && dues->list[i].at < at)
            at = dues->list[i].at;
    const struct fact_rule *rule = versions_at(walk->timeline, at);
    if (at >= until || walk->active != 0 || rule == NULL)
        return;
    struct episode *episode = walk_raise(walk, at, rule->priority);
    episode->began_at = last_seen;
}

void walk_silence(struct walk *walk)
{
    const struct facts *facts = walk->facts;
    if (walk->timeline->first == NEVER)
        return;
    struct quiet quiet = {.walk = walk,
                          .holes = holes_of(facts, walk->rule),
                          .activation = walk->timeline->first,
                          .end = facts->clock < facts->left_at ? facts->clock : facts->left_at - 1};
    if (quiet.activation < facts->enrolled_at)
        quiet.activation = facts->enrolled_at; /* also of a version that reaches back */
    struct dues dues = {.count = 0};
    gather(&quiet, versions_at(walk->timeline, quiet.activation)->parameters);
    miss_days(&quiet, &dues);
    qsort(dues.list, dues.count, sizeof *dues.list, sort_dues);
    int64_t last_seen = quiet.activation;
    for (size_t i = 0; i < quiet.signs; i++) {
        raise_due(walk, &quiet, &dues, last_seen, quiet.sign[i]);
        if (walk->active != 0)
            walk_clear(walk, quiet.sign[i], CLEARED);
        last_seen = quiet.sign[i] > last_seen ? quiet.sign[i] : last_seen;
    }
    raise_due(walk, &quiet, &dues, last_seen, quiet.end + 1);
    if (walk->active != 0 && facts->left_at <= facts->clock)
        walk_clear(walk, facts->left_at, ENDED);
    free(quiet.holes.span);
    free(quiet.filling);
    free(quiet.sign);
    free(dues.list);
}
