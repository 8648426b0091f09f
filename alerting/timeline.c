/* timeline: the version in force at each instant for one patient. The instants at which it may change are few
 * (versions, confirmations, memberships, enrolment, departure), so each is asked "what is in force here?". */
#include <stdlib.h>
#include <string.h>

#include "alerting/grow.h"
#include "alerting/rulebook.h"

const struct membership *subject_membership(const struct rule_subject *subject, int64_t ms)
{
    const struct membership *member = NULL;
    for (size_t i = 0; i < subject->memberships_count && subject->memberships[i].from_ms <= ms; i++)
        member = &subject->memberships[i];
    return member;
}

const char *subject_scope(const struct rule_subject *subject, enum rule_layer layer,
                          const struct membership *member, char text[2 * REF_BYTES_MAX + 2])
{
    switch (layer) {
    case LAYER_LINE:
        return member->line;
    case LAYER_ORGANIZATION:
        return subject->organization;
    case LAYER_TEAM:
        if (member->team[0] == '\0')
            return "";
        ensure(strlen(subject->organization) <= REF_BYTES_MAX && strlen(member->team) <= REF_BYTES_MAX);
        stpcpy(stpcpy(stpcpy(text, subject->organization), "/"), member->team);
        return text;
    default:
        return "";
    }
}

static const struct definition *definition_of(const struct rule_subject *subject, enum rule_layer layer,
                                              const struct membership *member, const char *rule_id)
{
    char text[2 * REF_BYTES_MAX + 2];
    if (layer == LAYER_PATIENT)
        return rulebook_find(subject->own, layer, "", rule_id);
    const char *scope = subject_scope(subject, layer, member, text);
    return scope[0] == '\0' ? NULL : rulebook_find(subject->shared, layer, scope, rule_id);
}

static bool patient_has_version(const struct rule_subject *subject, const char *rule_id, int64_t ms)
{
    const struct definition *own = rulebook_find(subject->own, LAYER_PATIENT, "", rule_id);
    for (size_t i = 0; own != NULL && i < own->count; i++)
        if (own->versions[i]->valid_from_ms <= ms)
            return true;
    return false;
}

static bool is_confirmed(const struct rule_subject *subject, const struct rule_version *version,
                         const char *line, int64_t ms)
{
    for (size_t i = 0; i < subject->confirmations_count; i++) {
        const struct confirmation *c = &subject->confirmations[i];
        bool committed_by_then = version->commit_ms != c->commit_ms ? version->commit_ms < c->commit_ms
                                                                    : version->ordinal <= c->versions;
        if (c->from_ms <= ms && committed_by_then && strcmp(c->line, line) == 0)
            return true;
    }
    return false;
}

/* May the version be in force for the subject, as far as a physician must say so? */
static bool is_valid(const struct rule_subject *subject, const struct definition *definition, size_t index,
                     int64_t ms)
{
    const struct rule_version *version = definition->versions[index];
    const struct membership *member = subject_membership(subject, ms);
    if (version->layer < LAYER_ORGANIZATION || !version->needs_physician || rule_is_silence(version->rule) ||
        is_confirmed(subject, version, member->line, ms) ||
        patient_has_version(subject, definition->rule_id, ms))
        return true;
    /* The same act in other words as the confirmed version in force when it was committed. */
    const struct rule_version *confirmed = NULL;
    member = subject_membership(subject, version->commit_ms);
    for (size_t i = 0; i < index && member != NULL; i++) {
        const struct rule_version *earlier = definition->versions[i];
        if (earlier->valid_from_ms <= version->commit_ms &&
            is_confirmed(subject, earlier, member->line, version->commit_ms) &&
            (confirmed == NULL || earlier->valid_from_ms >= confirmed->valid_from_ms))
            confirmed = earlier;
    }
    return confirmed != NULL && rule_same_but_words(confirmed->rule, version->rule);
}

/* What was replaced while it waited stays replaced: a version whose valid_from lies ahead is given up when a
 * later commit comes into force before it, for that is the author's latest word. */
static bool is_replaced(const struct rule_subject *subject, const struct definition *definition, size_t index)
{
    int64_t waits_until_ms = definition->versions[index]->valid_from_ms;
    for (size_t i = index + 1; i < definition->count; i++)
        if (definition->versions[i]->valid_from_ms < waits_until_ms &&
            is_valid(subject, definition, i, waits_until_ms - 1))
            return true;
    return false;
}

/* The version of one layer in force: of those in force the latest valid_from, then the later commit. */
static const struct rule_version *version_of(const struct rule_subject *subject,
                                             const struct definition *definition, int64_t ms)
{
    const struct rule_version *best = NULL;
    for (size_t i = 0; definition != NULL && i < definition->count; i++) {
        const struct rule_version *version = definition->versions[i];
        if (version->valid_from_ms <= ms && (best == NULL || version->valid_from_ms >= best->valid_from_ms) &&
            is_valid(subject, definition, i, ms) && !is_replaced(subject, definition, i))
            best = version;
    }
    return best;
}

static bool counts_for_line(const struct rule_version *version, const struct membership *member)
{
    return version->layer == LAYER_PATIENT || version->layer == LAYER_LINE ||
           version->rule->line[0] == '\0' || strcmp(version->rule->line, member->line) == 0;
}

static struct segment in_force(const struct rule_subject *subject, const char *rule_id, int64_t ms)
{
    struct segment none = {ms, NULL, SEGMENT_NONE};
    if (ms >= subject->left_at_ms)
        return (struct segment){ms, NULL, SEGMENT_LEFT};
    const struct membership *member = subject_membership(subject, ms);
    for (unsigned layer = LAYER_PATIENT; member != NULL && layer < LAYER_COUNT; layer++) {
        if (layer != LAYER_PATIENT && ms < subject->enrolled_at_ms)
            continue;
        const struct rule_version *version =
            version_of(subject, definition_of(subject, (enum rule_layer)layer, member, rule_id), ms);
        if (version == NULL || version->rule->inherit || !counts_for_line(version, member))
            continue;
        return (struct segment){ms, version, version->rule->enabled ? SEGMENT_ON : SEGMENT_OFF};
    }
    return none;
}

struct instants {
    int64_t *items;
    size_t count, capacity;
};

static void add_instant(struct instants *instants, int64_t ms)
{
    instants->items =
        grow(instants->items, instants->count + 1, &instants->capacity, sizeof instants->items[0]);
    instants->items[instants->count++] = ms;
}

static int compare_instants(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

static void collect(struct instants *instants, const struct rule_subject *subject, const char *rule_id)
{
    add_instant(instants, subject->enrolled_at_ms);
    if (subject->left_at_ms != INT64_MAX)
        add_instant(instants, subject->left_at_ms);
    for (size_t i = 0; i < subject->confirmations_count; i++)
        add_instant(instants, subject->confirmations[i].from_ms);
    for (size_t m = 0; m < subject->memberships_count; m++) {
        const struct membership *member = &subject->memberships[m];
        if (m > 0)
            add_instant(instants, member->from_ms);
        for (unsigned layer = 0; layer < LAYER_COUNT; layer++) {
            const struct definition *d = definition_of(subject, (enum rule_layer)layer, member, rule_id);
            for (size_t i = 0; d != NULL && i < d->count; i++)
                add_instant(instants, d->versions[i]->valid_from_ms);
        }
    }
    qsort(instants->items, instants->count, sizeof instants->items[0], compare_instants);
}

/* Silence is never without a version once it had one, but by a change of line (RULES.md section 4). */
static bool silence_goes_on(const struct rule_subject *subject, const struct segment *last, int64_t ms)
{
    return last->version != NULL && rule_is_silence(last->version->rule) &&
           strcmp(subject_membership(subject, last->from_ms)->line, subject_membership(subject, ms)->line) ==
               0;
}

/* Kind, parameter and sides never change under one id: what does not fit what was in force is never in force.
 */
static bool fits(const struct timeline *timeline, const struct segment *next)
{
    struct rule_fault fault;
    for (size_t i = 0; next->version != NULL && i < timeline->count; i++)
        if (timeline->items[i].state == SEGMENT_ON)
            return rule_may_follow(timeline->items[i].version->rule, next->version->rule, &fault);
    return true;
}

void timeline_build(struct timeline *timeline, const struct rule_subject *subject, const char *rule_id)
{
    struct instants instants = {0};
    collect(&instants, subject, rule_id);
    timeline->count = 0;
    for (size_t i = 0; i < instants.count; i++) {
        struct segment next = in_force(subject, rule_id, instants.items[i]);
        const struct segment *last = timeline->count > 0 ? &timeline->items[timeline->count - 1] : NULL;
        if (last == NULL && next.state == SEGMENT_NONE)
            continue;
        if (last != NULL && last->state == next.state && last->version == next.version)
            continue;
        if (last != NULL && next.state == SEGMENT_NONE && silence_goes_on(subject, last, next.from_ms))
            continue;
        if (!fits(timeline, &next))
            continue;
        timeline->items =
            grow_short(timeline->items, timeline->count + 1, &timeline->capacity, sizeof timeline->items[0]);
        timeline->items[timeline->count++] = next;
        if (next.state == SEGMENT_LEFT)
            break;
    }
    slab_give(instants.items);
}

void timeline_deinit(struct timeline *timeline)
{
    slab_give(timeline->items);
    *timeline = (struct timeline){0};
}

const struct segment *timeline_at(const struct timeline *timeline, int64_t ms)
{
    const struct segment *segment = NULL;
    for (size_t i = timeline->count; i > 0 && segment == NULL; i--)
        if (timeline->items[i - 1].from_ms <= ms)
            segment = &timeline->items[i - 1];
    return segment;
}

const struct segment *timeline_after(const struct timeline *timeline, int64_t ms)
{
    for (size_t i = 0; i < timeline->count; i++)
        if (timeline->items[i].from_ms > ms)
            return &timeline->items[i];
    return NULL;
}

int64_t timeline_activation_ms(const struct timeline *timeline)
{
    for (size_t i = 0; i < timeline->count; i++)
        if (timeline->items[i].state == SEGMENT_ON)
            return timeline->items[i].from_ms;
    return INT64_MAX;
}
