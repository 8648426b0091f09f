/* archive_rules: rulebooks, and references to their versions from timelines and episodes: a version has the
 * number of its place in the walk over its book (rule_version.number_in_archive), which holds as long as
 * nothing is added to the book. */
#include <stdlib.h>

#include "alerting/archive.h"
#include "alerting/grow.h"

static void archive_levels(struct archive *a, struct rule_levels *levels)
{
    archive_unsigned(a, &levels->count, LEVELS_PER_SIDE_MAX + 1);
    for (unsigned i = 0; i < levels->count; i++) {
        ARCHIVE_ENUM(a, levels->level[i].priority, PRIORITY_COUNT);
        archive_signed(a, &levels->level[i].limit);
    }
}

static void archive_bound(struct archive *a, struct rule_bound *bound)
{
    for (unsigned side = 0; side < SIDE_COUNT; side++) {
        archive_bool(a, &bound->has[side]);
        archive_signed(a, &bound->limit[side]);
    }
}

static void archive_difference(struct archive *a, struct rule_difference *difference)
{
    for (unsigned side = 0; side < SIDE_COUNT; side++) {
        archive_bool(a, &difference->has[side]);
        archive_bool(a, &difference->percent[side]);
        archive_signed(a, &difference->amount[side]);
    }
}

static void archive_minutes(struct archive *a, int *minutes)
{
    unsigned value = (unsigned)*minutes;
    archive_unsigned(a, &value, 24 * 60);
    *minutes = (int)value;
}

static void archive_days(struct archive *a, struct rule_days *day)
{
    ARCHIVE_ENUM(a, day->statistic, DAY_STATISTIC_COUNT);
    archive_minutes(a, &day->day_start_min);
    archive_unsigned(a, &day->min_readings, SERIES_HELD_CONTINUOUS_MAX + 1);
    archive_signed(a, &day->grace_ms);
}

static void archive_limit(struct archive *a, struct rule *rule)
{
    struct rule_limit *limit = &rule->limit;
    for (unsigned side = 0; side < SIDE_COUNT; side++)
        archive_levels(a, &limit->side[side]);
    archive_signed(a, &limit->hysteresis);
    archive_signed(a, &limit->for_ms);
    archive_signed(a, &limit->max_gap_ms);
}

static void archive_occurrences(struct archive *a, struct rule *rule)
{
    struct rule_occurrences *occurrences = &rule->occurrences;
    archive_bound(a, &occurrences->bound);
    archive_signed(a, &occurrences->rearm);
    archive_bool(a, &occurrences->sample);
    archive_unsigned(a, &occurrences->times, OCCURRENCES_MAX + 1);
    archive_signed(a, &occurrences->within_ms);
}

static void archive_change(struct archive *a, struct rule *rule)
{
    archive_difference(a, &rule->change.difference);
    archive_signed(a, &rule->change.within_ms);
}

static void archive_reference(struct archive *a, struct rule *rule)
{
    archive_difference(a, &rule->reference.difference);
    archive_chars(a, rule->reference.name, sizeof rule->reference.name);
}

static void archive_rate(struct archive *a, struct rule *rule)
{
    archive_difference(a, &rule->rate.per_minute);
    archive_signed(a, &rule->rate.within_ms);
    archive_unsigned(a, &rule->rate.readings, SERIES_HELD_MAX + 1);
}

static void archive_daily(struct archive *a, struct rule *rule)
{
    archive_days(a, &rule->daily.day);
    archive_bound(a, &rule->daily.bound);
    archive_unsigned(a, &rule->daily.days, 1 << 16);
    archive_bool(a, &rule->daily.skip);
}

static void archive_variation(struct archive *a, struct rule *rule)
{
    archive_days(a, &rule->variation.day);
    archive_difference(a, &rule->variation.difference);
    archive_bool(a, &rule->variation.has_minimum);
    archive_signed(a, &rule->variation.minimum);
}

static void archive_baseline(struct archive *a, struct rule *rule)
{
    archive_days(a, &rule->baseline.day);
    archive_difference(a, &rule->baseline.difference);
    archive_unsigned(a, &rule->baseline.over, 1 << 16);
    archive_unsigned(a, &rule->baseline.min_days, 1 << 16);
    archive_unsigned(a, &rule->baseline.days, 1 << 16);
}

static void archive_silence_rule(struct archive *a, struct rule *rule)
{
    struct rule_silence *silence = &rule->silence;
    archive_signed(a, &silence->max_gap_ms);
    archive_unsigned(a, &silence->missed_days, 1 << 16);
    archive_signed(a, &silence->grace_ms);
    archive_minutes(a, &silence->day_start_min);
    archive_unsigned(a, &silence->parameters_count, PARAMETER_COUNT + 1);
    for (unsigned i = 0; i < silence->parameters_count; i++)
        archive_parameter(a, &silence->parameters[i]);
}

static void archive_event_rule(struct archive *a, struct rule *rule)
{
    struct rule_event *event = &rule->event;
    archive_unsigned(a, &event->classes_count, EVENT_CLASSES_MAX + 1);
    if (!a->writing)
        event->classes = zeroed((event->classes_count + 1) * sizeof event->classes[0]);
    for (unsigned i = 0; i < event->classes_count; i++) {
        archive_chars(a, event->classes[i].name, sizeof event->classes[i].name);
        ARCHIVE_ENUM(a, event->classes[i].priority, PRIORITY_COUNT);
    }
    ARCHIVE_ENUM(a, event->otherwise, PRIORITY_COUNT);
}

static void (*const kinds[RULE_KIND_COUNT])(struct archive *, struct rule *) = {
    [RULE_LIMIT] = archive_limit,
    [RULE_OCCURRENCES] = archive_occurrences,
    [RULE_CHANGE] = archive_change,
    [RULE_REFERENCE] = archive_reference,
    [RULE_RATE] = archive_rate,
    [RULE_DAILY] = archive_daily,
    [RULE_VARIATION] = archive_variation,
    [RULE_BASELINE] = archive_baseline,
    [RULE_SILENCE] = archive_silence_rule,
    [RULE_EVENT] = archive_event_rule,
};

static void archive_rule(struct archive *a, struct rule *rule)
{
    archive_chars(a, rule->id, sizeof rule->id);
    archive_chars(a, rule->line, sizeof rule->line);
    ARCHIVE_ENUM(a, rule->kind, RULE_KIND_COUNT);
    archive_bool(a, &rule->enabled);
    archive_bool(a, &rule->inherit);
    archive_bool(a, &rule->requires_validation);
    archive_parameter(a, &rule->parameter);
    ARCHIVE_ENUM(a, rule->priority, PRIORITY_COUNT);
    archive_unsigned(a, &rule->count, SERIES_HELD_MAX + 1);
    archive_unsigned(a, &rule->clear_count, SERIES_HELD_MAX + 1);
    if (!a->writing && !rule->inherit &&
        (rule->parameter != PARAMETER_COUNT) != rule_kind_has_parameter(rule->kind))
        archive_fault(a);
    kinds[rule->kind](a, rule);
    archive_owned(a, &rule->text_fr, false);
    archive_owned(a, &rule->text_en, false);
    archive_owned(a, &rule->parameters_json, false);
}

static void archive_version_itself(struct archive *a, struct rule_version *version)
{
    if (!a->writing)
        version->rule = zeroed(sizeof *version->rule);
    archive_rule(a, version->rule);
    archive_signed(a, &version->number);
    archive_instant(a, &version->commit_ms);
    archive_instant(a, &version->valid_from_ms);
    archive_bool(a, &version->moved);
    archive_number(a, &version->ordinal);
    archive_owned(a, &version->author, false);
    archive_owned(a, &version->role, false);
    archive_owned(a, &version->reason, false);
}

/* Numbers the version; `needs_physician` follows from the order, rulebook_add() finds it again. */
static void number_version(struct archive_versions *versions, struct rule_version *version)
{
    versions->items =
        grow(versions->items, versions->count + 1, &versions->capacity, sizeof versions->items[0]);
    versions->items[versions->count++] = version;
    version->number_in_archive = (uint32_t)versions->count;
}

static void read_definition(struct archive *a, struct rulebook *book, struct archive_versions *versions)
{
    enum rule_layer layer = LAYER_COUNT;
    char *scope = NULL;
    unsigned number = 0;
    archive_unsigned(a, &number, LAYER_COUNT);
    layer = (enum rule_layer)number;
    archive_owned(a, &scope, false);
    if (!a->bad && (a->patient != NULL) != (layer == LAYER_PATIENT))
        archive_fault(a);
    size_t before = book->count, count = archive_count(a, 0);
    if (count == 0)
        archive_fault(a);
    for (size_t i = 0; i < count && !a->bad; i++) {
        struct rule_version *version = zeroed(sizeof *version);
        version->layer = layer;
        archive_version_itself(a, version);
        if (a->bad || rule_id(version->rule)[0] == '\0') {
            archive_fault(a);
            rule_version_free(version);
            break;
        }
        uint64_t ordinal = version->ordinal;
        rulebook_add(book, scope, version);
        version->ordinal = ordinal;
        number_version(versions, version);
        /* Two definitions of one rule, two rules in one, or not in their order. */
        const struct definition *last = book->items[book->count - 1];
        if (book->count != before + 1 || last->versions[last->count - 1] != version)
            archive_fault(a);
    }
    slab_give(scope);
}

void archive_rulebook(struct archive *a, struct rulebook *book, struct archive_versions *versions)
{
    size_t count = archive_count(a, book->count);
    versions->count = 0;
    for (size_t i = 0; i < count && !a->bad; i++) {
        if (!a->writing) {
            read_definition(a, book, versions);
            continue;
        }
        struct definition *definition = book->items[i];
        unsigned layer = definition->layer;
        archive_unsigned(a, &layer, LAYER_COUNT);
        archive_text_of(a, definition->scope);
        (void)archive_count(a, definition->count);
        for (size_t v = 0; v < definition->count; v++) {
            archive_version_itself(a, definition->versions[v]);
            number_version(versions, definition->versions[v]);
        }
    }
}

void archive_version(struct archive *a, const struct rule_version **version)
{
    uint64_t code = 0;
    if (a->writing && *version != NULL)
        code = (uint64_t)(*version)->number_in_archive << 1 | ((*version)->layer == LAYER_PATIENT);
    ensure(!a->writing || *version == NULL || code > 1);
    archive_number(a, &code);
    if (a->writing)
        return;
    const struct archive_versions *versions = (code & 1) != 0 ? &a->own : &a->shared;
    *version = NULL;
    if (code != 0 && (code >> 1) - 1 >= versions->count)
        archive_fault(a);
    else if (code != 0)
        *version = versions->items[(code >> 1) - 1];
}

static bool segment_is_good(const struct timeline *timeline, size_t index)
{
    const struct segment *segment = &timeline->items[index];
    bool on = segment->state == SEGMENT_ON;
    if (index > 0 && timeline->items[index - 1].from_ms > segment->from_ms)
        return false;
    return on ? segment->version != NULL && !segment->version->rule->inherit
              : segment->state == SEGMENT_OFF || segment->version == NULL;
}

void archive_timeline(struct archive *a, struct timeline *timeline)
{
    size_t count = archive_count(a, timeline->count);
    if (!a->writing && count > 0)
        timeline->items = grow_short(NULL, count, &timeline->capacity, sizeof timeline->items[0]);
    for (size_t i = 0; i < count && !a->bad; i++) {
        struct segment *segment = &timeline->items[i];
        if (!a->writing)
            *segment = (struct segment){0};
        archive_instant(a, &segment->from_ms);
        ARCHIVE_ENUM(a, segment->state, SEGMENT_LEFT + 1);
        archive_version(a, &segment->version);
        if (a->writing)
            continue;
        timeline->count = i + 1;
        if (!a->bad && !segment_is_good(timeline, i))
            archive_fault(a);
    }
}
