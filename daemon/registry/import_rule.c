/* Rules of an import: whose layer and scope, whether the rule can be loaded and may follow what its id means
 * already, whether it says anything new. Versions are immutable: what differs is the next version, what is
 * the same is nothing. A line given with valid_from may stand in the file together with its successors, so it
 * is held against every version; one without is held against the newest alone, else a rule could never be set
 * back to what it was. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerting/exact_json.h"
#include "daemon/registry/import_private.h"

static const char preset_author[] = "preset", preset_role[] = "system";

/* What the line defines, resolved. */
struct definition {
    const char *layer;
    char scope[2 * REF_BYTES_MAX + 2];
    const struct row_patient *patient; /* layer patient */
    const json_t *json;
    struct rule *rule;
    int64_t valid_from;
    const char *author, *role, *reason;
};

/* ---- scope ---- */

/* The organisation of a team named without one: that of its patients, if they all belong to one. */
static enum err find_team(struct import *import, const char *team, char *scope, size_t size)
{
    int64_t organization_id = 0;
    for (struct row *row = rows_first(import->rows, ROW_PATIENT); row != NULL; row = row->next) {
        const struct row_patient *patient = (const struct row_patient *)row;
        if (patient->team == NULL || strcmp(patient->team, team) != 0 ||
            patient->organization_id == organization_id)
            continue;
        if (organization_id != 0)
            return import_refuse(import, "team", team, "a team of one organisation",
                                 "write ORGANISATION/TEAM");
        organization_id = patient->organization_id;
    }
    const struct row_organization *organization =
        rows_find_id(import->rows, ROW_ORGANIZATION, organization_id);
    if (organization == NULL)
        return import_refuse(import, "team", team, "a team that has a patient",
                             "enrol its patients first, or write ORGANISATION/TEAM");
    snprintf(scope, size, "%s/%s", organization->ref, team);
    return OK;
}

static enum err check_organization(struct import *import, const char *ref, size_t size)
{
    if (rows_find(import->rows, ROW_ORGANIZATION, "%.*s", (int)size, ref) != NULL)
        return OK;
    return import_refuse(import, "organization", ref, "an organisation that exists",
                         "add a line of type organization before this one");
}

static enum err resolve_scope(struct import *import, struct definition *definition)
{
    static const char *const layers[] = {"patient", "team", "organization", "line"};
    unsigned given = 0;
    for (unsigned i = 0; i < 4; i++) {
        if (json_object_get(import->object, layers[i]) == NULL)
            continue;
        definition->layer = layers[i];
        given++;
    }
    if (given != 1)
        return import_refuse(import, "layer", given == 0 ? NULL : "several",
                             "one of patient, team, organization, line", "a rule belongs to one layer");
    const char *scope = import_text(import, definition->layer), *slash = strchr(scope, '/');
    snprintf(definition->scope, sizeof(definition->scope), "%s", scope);
    if (strcmp(definition->layer, "patient") == 0) {
        definition->patient = import_patient(import, "patient");
        return definition->patient == NULL ? ERR_REFUSED : OK;
    }
    if (strcmp(definition->layer, "organization") == 0)
        return check_organization(import, scope, strlen(scope));
    if (strcmp(definition->layer, "team") != 0)
        return OK;
    return slash != NULL ? check_organization(import, scope, (size_t)(slash - scope))
                         : find_team(import, scope, definition->scope, sizeof(definition->scope));
}

/* ---- content ---- */

static bool inherits(const json_t *rule)
{
    return json_is_true(json_object_get(rule, "inherit"));
}

static json_t *parse_stored(const struct row_rule *row)
{
    json_t *json;
    char why[160];
    return exact_json_load(row->rule, strlen(row->rule), &json, why, sizeof(why)) == OK ? json : NULL;
}

bool import_rule_is_silence(const struct row_rule *rule)
{
    json_t *json = parse_stored(rule);
    const char *kind = exact_json_string(json_object_get(json, "kind"));
    bool silence = kind != NULL && strcmp(kind, "silence") == 0;
    json_decref(json);
    return silence;
}

/* The newest version of the scope that defines something; NULL: none. */
static struct row_rule *newest_defining(const struct rows *rows, const char *layer, const char *scope,
                                        const char *id)
{
    struct row_rule *row = rows_rule_latest(rows, layer, scope, id);
    while (row != NULL) {
        json_t *json = parse_stored(row);
        bool defines = json != NULL && !inherits(json);
        json_decref(json);
        if (defines)
            break;
        row = rows_find(rows, ROW_RULE, "%s\037%s\037%s\037%lld", layer, scope, id,
                        (long long)row->version - 1);
    }
    return row;
}

struct row_rule *import_rule_of_patient(const struct import *import, const struct row_patient *patient,
                                        const char *rule_id)
{
    const struct row_organization *organization =
        rows_find_id(import->rows, ROW_ORGANIZATION, patient->organization_id);
    char team[2 * REF_BYTES_MAX + 2];
    ensure(organization != NULL);
    snprintf(team, sizeof(team), "%s/%s", organization->ref, patient->team == NULL ? "" : patient->team);
    struct row_rule *rule = newest_defining(import->rows, "patient", patient->ref, rule_id);
    if (rule == NULL)
        rule = newest_defining(import->rows, "team", team, rule_id);
    if (rule == NULL)
        rule = newest_defining(import->rows, "organization", organization->ref, rule_id);
    return rule != NULL ? rule : newest_defining(import->rows, "line", patient->line, rule_id);
}

/* The line's own definition of the id: of the patient's line, of the line that the rule names, or of any. */
static struct row_rule *definition_of_line(struct import *import, const struct definition *definition)
{
    const char *id = rule_id(definition->rule),
               *named = exact_json_string(json_object_get(definition->json, "line"));
    if (definition->patient != NULL)
        return newest_defining(import->rows, "line", definition->patient->line, id);
    if (named != NULL)
        return newest_defining(import->rows, "line", named, id);
    struct row_rule *rule = NULL;
    while ((rule = rows_shared_rules(import->rows, id, rule)) != NULL)
        if (strcmp(rule->layer, "line") == 0)
            return newest_defining(import->rows, "line", rule->scope, id);
    return NULL;
}

/* What the id means already, anywhere above the patients or in the patient's own rules. */
static const struct row_rule *any_definition(struct import *import, const struct definition *definition)
{
    const char *id = rule_id(definition->rule);
    const struct row_rule *found = newest_defining(import->rows, definition->layer, definition->scope, id);
    struct row_rule *rule = NULL;
    while (found == NULL && (rule = rows_shared_rules(import->rows, id, rule)) != NULL)
        found = newest_defining(import->rows, rule->layer, rule->scope, id);
    return found;
}

static enum err refuse_rule(struct import *import, const struct rule_fault *fault, const char *hint)
{
    char what[80];
    snprintf(what, sizeof(what), "rule.%s", fault->key);
    return import_refuse(import, what, fault->found, fault->expected, hint);
}

static enum err check_follows(struct import *import, const struct definition *definition,
                              const struct row_rule *old_row)
{
    struct rule *old;
    struct rule_fault fault = {.key = ""};
    json_t *json = parse_stored(old_row);
    enum err error = OK;
    if (json != NULL && rule_parse(json, &import->options->bounds, &old, &fault) == OK) {
        if (!rule_may_follow(old, definition->rule, &fault))
            error =
                refuse_rule(import, &fault, "what a rule judges never changes under one id: use a new id");
        rule_free(old);
    }
    json_decref(json);
    return error;
}

/* Above its line a silence rule may differ in these alone (RULES.md section 4). */
static bool may_differ_in_silence(const char *key)
{
    static const char *const keys[] = {"max_gap", "missed_days",         "priority", "text", "source",
                                       "tag",     "requires_validation", "line"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

/* The first key of `a` that `b` lacks or has otherwise; NULL: none. */
static const char *differing_key(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)a, key, value)
    {
        if (!may_differ_in_silence(key) && !json_equal(value, json_object_get(b, key)))
            return key;
    }
    return NULL;
}

static enum err check_silence(struct import *import, const struct definition *definition,
                              const struct row_rule *of_line)
{
    static const char hint[] =
        "layers may change only max_gap, missed_days and priority of a line's silence rule";
    if (strcmp(definition->layer, "line") == 0 || inherits(definition->json) || of_line == NULL ||
        !import_rule_is_silence(of_line))
        return OK;
    json_t *base = parse_stored(of_line);
    const char *key = differing_key(definition->json, base);
    if (key == NULL)
        key = differing_key(base, definition->json);
    enum err error = OK;
    if (key != NULL) {
        char what[120];
        snprintf(what, sizeof(what), "rule.%.100s", key);
        error = import_refuse(import, what, "another value than the line's", "the value of the line's rule",
                              hint);
    }
    json_decref(base);
    return error;
}

static enum err check_definition(struct import *import, const struct definition *definition)
{
    const char *line = exact_json_string(json_object_get(definition->json, "line"));
    bool line_layer = strcmp(definition->layer, "line") == 0;
    if (line_layer && line != NULL && strcmp(line, definition->scope) != 0)
        return import_refuse(import, "rule.line", line, definition->scope,
                             "a rule of a line names that line");
    if (line_layer && inherits(definition->json))
        return import_refuse(import, "rule.inherit", "true", "a definition", "nothing lies beneath a line");
    const struct row_rule *old = any_definition(import, definition);
    enum err error = check_silence(import, definition, definition_of_line(import, definition));
    if (error != OK || old == NULL || inherits(definition->json))
        return error;
    return check_follows(import, definition, old);
}

/* ---- versions ---- */

static bool same_act(const struct row_rule *row, const struct definition *definition)
{
    if (row->requested_from != definition->valid_from || strcmp(row->author, definition->author) != 0 ||
        strcmp(row->role, definition->role) != 0 || strcmp(row->reason, definition->reason) != 0)
        return false;
    json_t *json = parse_stored(row);
    bool same = json_equal(json, definition->json);
    json_decref(json);
    return same;
}

static bool says_nothing_new(struct import *import, const struct definition *definition,
                             const struct row_rule *latest)
{
    if (latest == NULL || definition->valid_from == INSTANT_NONE)
        return latest != NULL && same_act(latest, definition);
    for (int64_t version = latest->version; version > 0; version--) {
        const struct row_rule *row =
            rows_find(import->rows, ROW_RULE, "%s\037%s\037%s\037%lld", definition->layer, definition->scope,
                      rule_id(definition->rule), (long long)version);
        if (row != NULL && same_act(row, definition))
            return true;
    }
    return false;
}

static void put_version(struct import *import, const struct definition *definition,
                        const struct row_rule *latest)
{
    const char *line = exact_json_string(json_object_get(definition->json, "line"));
    bool line_layer = strcmp(definition->layer, "line") == 0;
    struct row_rule *row = row_new(ROW_RULE);
    row_set_text(&row->layer, definition->layer);
    row_set_text(&row->scope, definition->scope);
    row_set_text(&row->rule_id, rule_id(definition->rule));
    row_set_text(&row->line, line_layer ? definition->scope : line);
    row_set_text(&row->author, definition->author);
    row_set_text(&row->role, definition->role);
    row_set_text(&row->reason, definition->reason);
    row->version = latest == NULL ? 1 : latest->version + 1;
    row->requested_from = definition->valid_from;
    row->rule = exact_json_text(definition->json);
    ensure(row->rule != NULL);
    import_put(import, row);
}

static enum err define(struct import *import, struct definition *definition)
{
    struct rule_fault fault = {.key = ""};
    if (rule_parse(definition->json, &import->options->bounds, &definition->rule, &fault) != OK)
        return refuse_rule(import, &fault, "see RULES.md sections 2 and 3");
    const struct row_rule *latest =
        rows_rule_latest(import->rows, definition->layer, definition->scope, rule_id(definition->rule));
    enum err error = OK;
    if (!says_nothing_new(import, definition, latest)) {
        error = check_definition(import, definition);
        if (error == OK)
            put_version(import, definition, latest);
    }
    rule_free(definition->rule);
    return error;
}

enum err import_apply_rule(struct import *import)
{
    struct definition definition = {
        .json = json_object_get(import->object, "rule"),
        .valid_from = import_time(import, "valid_from"),
        .author = import_text(import, "author"),
        .role = import_text(import, "role"),
        .reason = import_text(import, "reason"),
    };
    enum err error = resolve_scope(import, &definition);
    return error == OK ? define(import, &definition) : error;
}

/* ---- presets ---- */

/* What the preset said last, whatever an operator made of the line since. */
static const struct row_rule *last_of_preset(const struct rows *rows, const char *line, const char *id)
{
    const struct row_rule *row = rows_rule_latest(rows, "line", line, id);
    while (row != NULL && strcmp(row->author, preset_author) != 0)
        row = rows_find(rows, ROW_RULE, "line\037%s\037%s\037%lld", line, id, (long long)row->version - 1);
    return row;
}

enum err import_preset_rule(struct rows *rows, struct row_changes *changes,
                            const struct import_options *options, const char *line, const char *rule_json,
                            struct import_fault *ret_fault)
{
    struct import_result result = {.lines = 0};
    struct import import = {
        .rows = rows, .changes = changes, .options = options, .fault = ret_fault, .result = &result};
    char why[160];
    json_t *json;
    if (exact_json_load(rule_json, strlen(rule_json), &json, why, sizeof(why)) != OK)
        return import_refuse(&import, "preset", why, "a rule", "see RULES.md section 2");
    struct definition definition = {.layer = "line",
                                    .json = json,
                                    .valid_from = INSTANT_NONE,
                                    .author = preset_author,
                                    .role = preset_role,
                                    .reason = "preset of the line"};
    snprintf(definition.scope, sizeof(definition.scope), "%s", line);
    const char *id = exact_json_string(json_object_get(json, "id"));
    const struct row_rule *last = id == NULL ? NULL : last_of_preset(rows, line, id);
    enum err error = last != NULL && same_act(last, &definition) ? OK : define(&import, &definition);
    json_decref(json);
    return error;
}
