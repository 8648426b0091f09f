/* rulebook: the versions of rules by layer and scope, and what they make for one patient: a timeline of the
 * version in force at each instant (RULES.md section 2). Owner:   the engine has one for team, organisation
 * and line; each patient has one for its own layer. Threads: the shard's alone. Versions are immutable and
 * live as long as their book. Choices: a team or organisation version that names a line counts for patients
 * of that line only; a confirmation is in force from its commit at the earliest, and confirms what was
 * committed by its commit; silence never ends by inherit: without anything beneath it the last version stays
 * in force. */
#ifndef VIGIE_ALERTING_RULEBOOK_H
#define VIGIE_ALERTING_RULEBOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "alerting/rule_fields.h"

enum rule_layer {
    LAYER_PATIENT,
    LAYER_TEAM,
    LAYER_ORGANIZATION,
    LAYER_LINE,
    LAYER_COUNT
}; /* most specific first */
const char *rule_layer_word(enum rule_layer layer);
enum rule_layer rule_layer_from_word(const char *word); /* LAYER_COUNT when it is none */

struct rule_version {
    struct rule *rule;
    enum rule_layer layer;
    int64_t number, commit_ms, valid_from_ms;
    uint64_t ordinal;     /* the how-manieth version of its book: the order of commits of one millisecond */
    bool moved;           /* valid_from was moved to the commit (or cut) */
    bool needs_physician; /* it or an earlier version of its layer requires validation */
    char *author, *role, *reason;
    uint32_t number_in_archive; /* of the snapshot being written: archive.h */
};

struct definition { /* one rule id in one layer and scope */
    enum rule_layer layer;
    char *scope; /* line, organisation ref, "ORG/TEAM"; "" in a patient's own book */
    char rule_id[RULE_ID_BYTES_MAX + 1];
    struct rule_version **versions; /* in order of commit */
    size_t count, capacity;
};

struct rulebook {
    struct definition **items; /* sorted by (layer, scope, rule id) */
    uint32_t count, capacity;
    uint64_t versions; /* ever added: tells whether the book is as it was */
};

void rulebook_deinit(struct rulebook *book);
struct definition *rulebook_find(const struct rulebook *book, enum rule_layer layer, const char *scope,
                                 const char *rule_id);
/* The definitions of a scope are neighbours: the first at or after (layer, scope). */
size_t rulebook_first(const struct rulebook *book, enum rule_layer layer, const char *scope);
/* Adds a version (takes it) to its definition, which is made when missing. */
void rulebook_add(struct rulebook *book, const char *scope, struct rule_version *version);
void rule_version_free(struct rule_version *version);

/* What of a patient decides about its rules. */
struct membership { /* from a commit on */
    int64_t from_ms;
    const char *line, *team; /* words of the engine; team "" without */
};
struct confirmation {
    int64_t from_ms, commit_ms;
    int64_t asked_ms; /* `from` as it was given: the same confirmation again has the same */
    uint64_t
        versions; /* of the shared book at its commit: what came later in that millisecond is not confirmed */
    const char *line; /* a word of the engine */
    char *author;
};
struct rule_subject {
    const struct rulebook *shared, *own;
    const char *organization;
    int64_t enrolled_at_ms, left_at_ms; /* left_at_ms INT64_MAX: still here */
    const struct membership *memberships;
    size_t memberships_count;
    const struct confirmation *confirmations;
    size_t confirmations_count;
};

enum segment_state { SEGMENT_NONE, SEGMENT_ON, SEGMENT_OFF, SEGMENT_LEFT };
struct segment {
    int64_t from_ms;
    const struct rule_version *version; /* ON; OFF when a version says enabled: false; else NULL */
    enum segment_state state;
};
struct timeline {
    struct segment *items;
    uint32_t count, capacity;
};

/* Rebuilds the timeline of a rule for the subject. */
void timeline_build(struct timeline *timeline, const struct rule_subject *subject, const char *rule_id);
void timeline_deinit(struct timeline *timeline);
/* The segment in force at the instant; NULL before the first. */
const struct segment *timeline_at(const struct timeline *timeline, int64_t ms);
/* The first segment that begins later than the instant; NULL without. */
const struct segment *timeline_after(const struct timeline *timeline, int64_t ms);
/* First instant at which a version was in force; INT64_MAX without. */
int64_t timeline_activation_ms(const struct timeline *timeline);

/* Membership of the subject at an instant. */
const struct membership *subject_membership(const struct rule_subject *subject, int64_t ms);
/* The scope of a layer for a member, "" when it has none; `text` holds it for a team. */
const char *subject_scope(const struct rule_subject *subject, enum rule_layer layer,
                          const struct membership *member, char text[2 * REF_BYTES_MAX + 2]);

#endif
