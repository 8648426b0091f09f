/* command_rule: reads the version, refuses what may not follow what is there, moves its valid_from, adds it
 * and brings the patients in scope up to date. */
#include "alerting/command_rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerting/grow.h"
#include "alerting/patient.h"
#include "alerting/rule_scope.h"

enum { RULE_RENDERED_MAX = 4096 };

struct addition {
    enum rule_layer layer;
    struct patient *patient; /* layer patient */
    struct rulebook *book;
    const char *scope;
    struct rule *rule;
    int64_t number;
};

static void read_scope(struct engine *engine, struct fields *fields, struct addition *addition)
{
    const char *word = field_text(fields, "layer", NULL);
    addition->layer = rule_layer_from_word(word);
    if (fields_are_good(fields) && addition->layer == LAYER_COUNT)
        fields_refuse(fields, "layer", word, "patient, team, organization or line", NULL);
    if (!fields_are_good(fields))
        return;
    addition->book = &engine->rules;
    if (addition->layer != LAYER_PATIENT) {
        addition->scope = field_text(fields, "scope", NULL);
        return;
    }
    addition->scope = "";
    addition->patient = index_map_get(&engine->patients_by_id, (uint64_t)field_integer(fields, "scope", 0));
    if (fields_are_good(fields) && addition->patient == NULL)
        fields_not_found(fields, "scope");
    else if (fields_are_good(fields) && addition->patient->dormant)
        fields_pass(fields);
    if (addition->patient != NULL)
        addition->book = &addition->patient->own;
}

static void read_rule(const struct engine *engine, struct fields *fields, struct addition *addition)
{
    struct rule_fault fault;
    struct rule_bounds bounds = {engine->settings.lookback_ms, engine->settings.lookback_continuous_ms};
    if (rule_parse(json_object_get(fields->json, "rule"), &bounds, &addition->rule, &fault) == OK)
        return;
    addition->rule = NULL;
    fields_refuse(fields, fault.key, fault.found, fault.expected, NULL);
}

static const struct rule *last_rule(const struct definition *definition)
{
    for (size_t i = definition->count; i > 0; i--)
        if (!definition->versions[i - 1]->rule->inherit)
            return definition->versions[i - 1]->rule;
    return NULL;
}

/* Kind, parameter, sides, day_start never change under one id, in whatever layer. */
static void check_book(struct fields *fields, const struct rulebook *book, const struct rule *rule)
{
    struct rule_fault fault;
    for (size_t i = 0; i < book->count && fields_are_good(fields); i++) {
        if (strcmp(book->items[i]->rule_id, rule_id(rule)) != 0)
            continue;
        const struct rule *old = last_rule(book->items[i]);
        if (old != NULL && !rule_may_follow(old, rule, &fault))
            fields_refuse(fields, fault.key, fault.found, fault.expected, "take another id for another rule");
    }
}

/* Texts and parameters go into every event, which has 16 KB in all. */
static void check_size(struct fields *fields, const struct rule *rule)
{
    if (rule->inherit)
        return;
    size_t size = rendered_size(rule->text_fr) + rendered_size(rule->text_en) + strlen(rule->parameters_json);
    if (size > RULE_RENDERED_MAX)
        fields_refuse(fields, "text", "more than 4,096 bytes with the parameters", "at most 4,096 bytes",
                      NULL);
}

/* Is the patient, now or before, in the scope of the addition? */
static bool concerns(const struct engine *engine, const struct addition *addition,
                     const struct patient *patient)
{
    struct rule_subject subject = patient_subject(engine, patient);
    char text[2 * REF_BYTES_MAX + 2];
    for (size_t m = 0; m < patient->memberships_count; m++)
        if (strcmp(subject_scope(&subject, addition->layer, &patient->memberships[m], text),
                   addition->scope) == 0)
            return true;
    return false;
}

static void check_count_of(const struct engine *engine, struct fields *fields,
                           const struct addition *addition, const struct patient *patient)
{
    struct rule_subject subject = patient_subject(engine, patient);
    char hint[REF_BYTES_MAX + 32];
    if (rule_scope_count(&subject, patient_membership(patient, fields->commit_ms), rule_id(addition->rule)) <=
        RULES_PER_PATIENT_MAX)
        return;
    (void)snprintf(hint, sizeof hint, "patient %s has 64 already", patient->ref);
    fields_refuse(fields, "rule", rule_id(addition->rule), "at most 64 rules a patient", hint);
}

/* Nobody has more than 64 rules, of all layers together. */
static void check_count(const struct engine *engine, struct fields *fields, const struct addition *addition)
{
    if (addition->patient != NULL) {
        check_count_of(engine, fields, addition, addition->patient);
        return;
    }
    if (rulebook_find(addition->book, addition->layer, addition->scope, rule_id(addition->rule)) != NULL)
        return;
    for (size_t i = 0; i < engine->patients_count && fields_are_good(fields); i++)
        if (concerns(engine, addition, engine->patients[i]))
            check_count_of(engine, fields, addition, engine->patients[i]);
}

static void check(const struct engine *engine, struct fields *fields, const struct addition *addition)
{
    check_size(fields, addition->rule);
    check_book(fields, &engine->rules, addition->rule);
    if (addition->patient != NULL)
        check_book(fields, &addition->patient->own, addition->rule);
    if (addition->layer == LAYER_LINE && !addition->rule->inherit &&
        strcmp(addition->rule->line, addition->scope) != 0 && addition->rule->line[0] != '\0')
        fields_refuse(fields, "line", addition->rule->line, addition->scope, "the rule names another line");
    if (addition->layer == LAYER_LINE && addition->rule->inherit)
        fields_refuse(fields, "inherit", "true", "a rule: nothing lies beneath a line", NULL);
    if (fields_are_good(fields))
        check_count(engine, fields, addition);
}

static const struct rule_version *same_version(const struct addition *addition)
{
    const struct definition *definition =
        rulebook_find(addition->book, addition->layer, addition->scope, rule_id(addition->rule));
    for (size_t i = 0; definition != NULL && i < definition->count; i++)
        if (definition->versions[i]->number == addition->number)
            return definition->versions[i];
    return NULL;
}

/* The first version of a rule in the patient layer may reach back by the look-back; all others begin now. */
static void set_times(const struct engine *engine, struct fields *fields, const struct addition *addition,
                      struct rule_version *version)
{
    bool first = addition->layer == LAYER_PATIENT &&
                 rulebook_find(addition->book, LAYER_PATIENT, "", rule_id(addition->rule)) == NULL;
    enum parameter parameter = addition->rule->parameter; /* COUNT: none, as with inherit */
    int64_t asked_ms = field_instant(fields, "valid_from", fields->commit_ms);
    int64_t earliest_ms = fields->commit_ms - (first ? engine_lookback_ms(engine, parameter) : 0);
    version->commit_ms = fields->commit_ms;
    version->moved = asked_ms < earliest_ms;
    version->valid_from_ms = version->moved ? earliest_ms : asked_ms;
}

static void refresh_one(struct engine *engine, struct patient *patient, const char *id)
{
    patient_refresh_rule(engine, patient, id);
    patient_schedule(engine, patient);
}

/* Everybody in scope, now or before, in the order of their numbers. */
static void refresh(struct engine *engine, const struct addition *addition, const char *id)
{
    if (addition->patient !=
        NULL) { /* an enrolment brings one such rule a patient: no walk over all of them */
        refresh_one(engine, addition->patient, id);
        return;
    }
    for (size_t i = 0; i < engine->patients_count; i++)
        if (concerns(engine, addition, engine->patients[i]))
            refresh_one(engine, engine->patients[i], id);
}

void command_rule(struct engine *engine, struct fields *fields)
{
    struct addition addition = {.number = field_integer(fields, "version", 0)};
    const char *author = field_text(fields, "author", ""), *role = field_text(fields, "role", "");
    const char *reason = field_text(fields, "reason", "");
    read_scope(engine, fields, &addition);
    if (fields_are_good(fields))
        read_rule(engine, fields, &addition);
    const struct rule_version *same = fields_are_good(fields) ? same_version(&addition) : NULL;
    if (fields_are_good(fields) && same == NULL)
        check(engine, fields, &addition);
    if (!fields_are_good(fields) || same != NULL) {
        if (same != NULL)
            fields_answer(fields, same->commit_ms, same->valid_from_ms, same->moved);
        rule_free(addition.rule);
        return;
    }
    struct rule_version *version = zeroed(sizeof *version);
    version->rule = addition.rule;
    version->layer = addition.layer;
    version->number = addition.number;
    version->author = copied(author);
    version->role = copied(role);
    version->reason = copied(reason);
    set_times(engine, fields, &addition, version);
    rulebook_add(addition.book, addition.scope, version);
    refresh(engine, &addition, rule_id(version->rule));
    fields_answer(fields, version->commit_ms, version->valid_from_ms, version->moved);
}
