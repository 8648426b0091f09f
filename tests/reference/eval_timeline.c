/* eval_timeline: which version of a rule is in force for the patient, moment by moment, RULES.md section 2.
 * Each version has a beginning: its valid_from as moved, enrolment for what is not the patient's own, and the
 * physician's word where it is needed. Between two beginnings nothing changes: one segment. */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ensure.h"
#include "tests/reference/eval_internal.h"
#include "tests/reference/evaluator.h"

enum { VERSIONS_MAX = 512 };

struct candidate {
    const struct fact_version *version;
    int64_t ready, begin; /* begin: ready, and the patient is enrolled */
    bool replaced;
};

struct candidates {
    struct candidate list[VERSIONS_MAX];
    size_t count;
};

int64_t evaluate_moved(const struct facts *facts, const struct fact_version *version)
{
    bool first = version->layer == LAYER_PATIENT;
    for (size_t i = 0; i < facts->versions; i++)
        if (facts->version[i].rule == version->rule && facts->version[i].layer == LAYER_PATIENT &&
            facts->version[i].order < version->order)
            first = false;
    bool has_parameter = version->body.kind != SILENCE && version->body.kind != EVENT;
    int64_t lookback = has_parameter ? facts_lookback(facts, version->body.parameter) : facts->lookback;
    int64_t earliest = first ? version->commit - lookback : version->commit;
    return version->valid_from < earliest ? earliest : version->valid_from;
}

/* The same act: nothing differs but text, source, tag. */
static bool is_same_act(const struct fact_version *a, const struct fact_version *b)
{
    struct fact_rule left = a->body, right = b->body;
    left.words = right.words = 0;
    return memcmp(&left, &right, sizeof left) == 0;
}

/* When a physician has put `version` in force, NEVER without; only confirmations before `order` count. */
static int64_t confirmed_at(const struct facts *facts, const struct fact_version *version, int order)
{
    int64_t at = NEVER;
    for (size_t i = 0; i < facts->confirmations; i++) {
        const struct fact_confirmation *confirmation = &facts->confirmation[i];
        int64_t from = confirmation->from > confirmation->commit ? confirmation->from : confirmation->commit;
        if (confirmation->order > version->order && confirmation->order < order && from < at)
            at = from;
    }
    return at;
}

static int64_t patients_own(const struct facts *facts, int rule)
{
    int64_t at = NEVER;
    for (size_t i = 0; i < facts->versions; i++)
        if (facts->version[i].rule == rule && facts->version[i].layer == LAYER_PATIENT &&
            facts->version[i].valid_from < at)
            at = facts->version[i].valid_from;
    return at;
}

/* The candidate of `layer` with the latest valid_from that has begun at `moment`, none: NULL. */
static const struct candidate *latest(const struct candidates *all, enum fact_layer layer, int64_t moment)
{
    const struct candidate *best = NULL;
    for (size_t i = 0; i < all->count; i++) {
        const struct candidate *one = &all->list[i];
        if (one->version->layer != layer || one->replaced || one->begin > moment)
            continue;
        if (best == NULL || one->version->valid_from > best->version->valid_from ||
            (one->version->valid_from == best->version->valid_from &&
             one->version->order > best->version->order))
            best = one;
    }
    return best;
}

/* Does the version wait for a physician? `all` holds those committed before it. */
static bool waits(const struct facts *facts, const struct candidates *all, const struct fact_version *version)
{
    bool required = version->body.requires_validation;
    struct candidates confirmed = {.count = 0};
    if (version->layer < LAYER_ORGANIZATION || version->body.kind == SILENCE)
        return false;
    for (size_t i = 0; i < all->count; i++) {
        if (all->list[i].version->layer != version->layer)
            continue;
        required = required || all->list[i].version->body.requires_validation;
        if (confirmed_at(facts, all->list[i].version, version->order) <= version->commit)
            confirmed.list[confirmed.count++] = all->list[i];
    }
    const struct candidate *before = latest(&confirmed, version->layer, version->commit);
    return required && (before == NULL || !is_same_act(before->version, version));
}

/* A later word of the layer, given while this one waited for its valid_from, was in force before it. */
static bool is_replaced(const struct candidates *all, const struct candidate *one)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct candidate *other = &all->list[i];
        if (other->version->layer == one->version->layer && other->version->order > one->version->order &&
            other->version->commit < one->version->valid_from &&
            other->version->valid_from <= one->version->valid_from && other->ready < one->ready)
            return true;
    }
    return false;
}

static void collect(const struct facts *facts, int rule, struct candidates *all)
{
    int64_t own = patients_own(facts, rule);
    all->count = 0;
    for (size_t i = 0; i < facts->versions; i++) { /* in order of commit */
        const struct fact_version *version = &facts->version[i];
        if (version->rule != rule)
            continue;
        int64_t ready = version->valid_from;
        if (waits(facts, all, version)) {
            int64_t word = confirmed_at(facts, version, facts->orders + 1);
            word = own < word ? own : word;
            ready = ready > word ? ready : word;
        }
        bool others = version->layer != LAYER_PATIENT;
        int64_t begin = others && ready < facts->enrolled_at ? facts->enrolled_at : ready;
        ensure(all->count < VERSIONS_MAX);
        all->list[all->count++] = (struct candidate){version, ready, begin, false};
        for (size_t k = 0; k < all->count; k++)
            all->list[k].replaced = is_replaced(all, &all->list[k]);
    }
}

static const struct fact_rule *in_force(const struct candidates *all, int64_t moment)
{
    for (enum fact_layer layer = LAYER_PATIENT; layer <= LAYER_LINE; layer++) {
        const struct candidate *best = latest(all, layer, moment);
        if (best != NULL && !best->version->body.inherit)
            return best->version->body.disabled ? NULL : &best->version->body;
    }
    return NULL;
}

static int sort_moments(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

struct timeline versions_make(const struct facts *facts, int rule)
{
    static struct candidates all;
    int64_t moments[VERSIONS_MAX + 1];
    size_t count = 0;
    struct timeline timeline = {.first = NEVER};
    collect(facts, rule, &all);
    for (size_t i = 0; i < all.count; i++)
        if (all.list[i].begin < NEVER && all.list[i].begin < facts->left_at)
            moments[count++] = all.list[i].begin;
    if (facts->left_at < NEVER)
        moments[count++] = facts->left_at;
    qsort(moments, count, sizeof moments[0], sort_moments);
    timeline.segment = calloc(count + 1, sizeof *timeline.segment);
    ensure(timeline.segment != NULL);
    for (size_t i = 0; i < count; i++) {
        const struct fact_rule *body = moments[i] >= facts->left_at ? NULL : in_force(&all, moments[i]);
        timeline.segment[timeline.count++] = (struct segment){moments[i], body};
        if (body != NULL && timeline.first == NEVER)
            timeline.first = moments[i];
    }
    return timeline;
}

void versions_free(struct timeline *timeline)
{
    free(timeline->segment);
}

const struct fact_rule *versions_at(const struct timeline *timeline, int64_t moment)
{
    const struct fact_rule *body = NULL;
    for (size_t i = 0; i < timeline->count && timeline->segment[i].from <= moment; i++)
        body = timeline->segment[i].body;
    return body;
}

int64_t versions_end_after(const struct timeline *timeline, int64_t after)
{
    for (size_t i = 1; i < timeline->count; i++)
        if (timeline->segment[i].from > after && timeline->segment[i].body == NULL &&
            timeline->segment[i - 1].body != NULL)
            return timeline->segment[i].from;
    return NEVER;
}
