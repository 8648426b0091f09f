/* One function a kind renders the command's JSON from its row; a table says which table makes which kind and
 * whom it concerns. */
#include "daemon/registry/registry_commands.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/instant.h"

enum rank {
    RANK_SHARED_RULE,
    RANK_PATIENT,
    RANK_PATIENT_RULE,
    RANK_CONFIRMATION,
    RANK_REFERENCE,
    RANK_SUSPENSION,
    RANK_LEFT
};

/* ---- JSON ---- */

static void raw(struct buffer *json, const char *key, const char *value)
{
    render_key(json, key);
    render_raw(json, value, strlen(value));
}

static void render_patient(const struct rows *rows, const struct row *row, struct buffer *json)
{
    const struct row_patient *patient = (const struct row_patient *)row;
    const struct row_organization *organization =
        rows_find_id(rows, ROW_ORGANIZATION, patient->organization_id);
    ensure(organization != NULL);
    render_integer_member(json, "patient_id", patient->patient_id);
    render_text_member(json, "ref", patient->ref);
    render_text_member(json, "organization", organization->ref);
    render_text_member(json, "line", patient->line);
    render_text_member(json, "team", patient->team);
    render_text_member(json, "time_zone", patient->time_zone);
    render_instant_member(json, "enrolled_at", patient->enrolled_at);
}

static void render_left(const struct rows *rows, const struct row *row, struct buffer *json)
{
    const struct row_patient *patient = (const struct row_patient *)row;
    render_integer_member(json, "patient_id", patient->patient_id);
    render_instant_member(json, "at", patient->left_at);
    render_text_member(json, "reason", patient->left_reason);
}

static int64_t rule_patient(const struct rows *rows, const struct row *row)
{
    const struct row_rule *rule = (const struct row_rule *)row;
    const struct row_patient *patient =
        strcmp(rule->layer, "patient") == 0 ? rows_find(rows, ROW_PATIENT, "%s", rule->scope) : NULL;
    return patient == NULL ? 0 : patient->patient_id;
}

static void render_rule(const struct rows *rows, const struct row *row, struct buffer *json)
{
    const struct row_rule *rule = (const struct row_rule *)row;
    render_text_member(json, "layer", rule->layer);
    if (strcmp(rule->layer, "patient") == 0)
        render_integer_member(json, "scope", rule_patient(rows, row));
    else
        render_text_member(json, "scope", rule->scope);
    render_integer_member(json, "version", rule->version);
    render_text_member(json, "author", rule->author);
    render_text_member(json, "role", rule->role);
    render_text_member(json, "reason", rule->reason);
    render_instant_member(json, "valid_from",
                          rule->valid_from != INSTANT_NONE ? rule->valid_from : rule->requested_from);
    raw(json, "rule", rule->rule);
}

static void render_confirmation(const struct rows *rows, const struct row *row, struct buffer *json)
{
    const struct row_confirmation *confirmation = (const struct row_confirmation *)row;
    render_integer_member(json, "patient_id", confirmation->patient_id);
    render_text_member(json, "line", confirmation->line);
    render_instant_member(json, "from", confirmation->from_at);
    render_text_member(json, "author", confirmation->author);
    render_text_member(json, "role", confirmation->role);
}

static void render_reference(const struct rows *rows, const struct row *row, struct buffer *json)
{
    const struct row_reference *reference = (const struct row_reference *)row;
    render_integer_member(json, "patient_id", reference->patient_id);
    render_text_member(json, "parameter", reference->parameter_id);
    render_text_member(json, "name", reference->name);
    raw(json, "value", reference->value);
    render_text_member(json, "unit", reference->unit);
    render_instant_member(json, "from", reference->from_at);
    render_text_member(json, "author", reference->author);
}

static void render_suspension(const struct rows *rows, const struct row *row, struct buffer *json)
{
    const struct row_suspension *suspension = (const struct row_suspension *)row;
    render_integer_member(json, "patient_id", suspension->patient_id);
    render_text_member(json, "rule", suspension->rule_id);
    render_instant_member(json, "from", suspension->from_at);
    render_instant_member(json, "until", suspension->until_at);
    render_text_member(json, "author", suspension->author);
    render_text_member(json, "role", suspension->role == NULL ? "" : suspension->role);
    render_text_member(json, "reason", suspension->reason);
}

/* ---- which row says what to whom ---- */

/* Of every such row the patient's number is the first column. */
static int64_t first_number(const struct rows *rows, const struct row *row)
{
    return *row_number((struct row *)(uintptr_t)row, &row_shape(row->table)->columns[0]);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_always(const struct row_change *change)
{
    return true;
}

static bool is_patient_changed(const struct row_change *change)
{
    const struct row_patient *old = (const struct row_patient *)change->before;
    const struct row_patient *new = (const struct row_patient *)change->after;
    return old == NULL || old->organization_id != new->organization_id ||
           old->enrolled_at != new->enrolled_at || !same_text(old->line, new->line) ||
           !same_text(old->team, new->team) || !same_text(old->time_zone, new->time_zone);
}

static bool is_left(const struct row_change *change)
{
    const struct row_patient *old = (const struct row_patient *)change->before;
    const struct row_patient *new = (const struct row_patient *)change->after;
    return new->left_at != INSTANT_NONE && (old == NULL || old->left_at != new->left_at);
}

/* A version never changes: what is filled in later came from the shards. */
static bool is_new_rule(const struct row_change *change)
{
    return change->before == NULL;
}

static const struct maker {
    enum row_table table;
    enum command_kind kind;
    enum rank rank;
    bool (*wanted)(const struct row_change *change);
    int64_t (*patient)(const struct rows *rows, const struct row *row); /* 0: it concerns every shard */
    void (*render)(const struct rows *rows, const struct row *row, struct buffer *json);
} makers[] = {
    {ROW_PATIENT, COMMAND_PATIENT, RANK_PATIENT, is_patient_changed, first_number, render_patient},
    {ROW_PATIENT, COMMAND_LEFT, RANK_LEFT, is_left, first_number, render_left},
    {ROW_RULE, COMMAND_RULE, RANK_SHARED_RULE, is_new_rule, rule_patient, render_rule},
    {ROW_CONFIRMATION, COMMAND_CONFIRMATION, RANK_CONFIRMATION, is_always, first_number, render_confirmation},
    {ROW_REFERENCE, COMMAND_REFERENCE, RANK_REFERENCE, is_always, first_number, render_reference},
    {ROW_SUSPENSION, COMMAND_SUSPENSION, RANK_SUSPENSION, is_always, first_number, render_suspension},
};

/* ---- the list ---- */

static struct registry_command *add(struct registry_commands *commands, enum command_kind kind,
                                    uint32_t shard)
{
    if (commands->count == commands->capacity) {
        commands->capacity = commands->capacity == 0 ? 64 : commands->capacity * 2;
        commands->items = realloc(commands->items, commands->capacity * sizeof(struct registry_command *));
        ensure(commands->items != NULL);
    }
    struct registry_command *item = calloc(1, sizeof(*item));
    ensure(item != NULL);
    item->command.job.kind = JOB_COMMAND;
    item->command.kind = kind;
    item->command.owner = item;
    item->shard = shard;
    item->commit_ms = INSTANT_NONE;
    commands->items[commands->count++] = item;
    render_open(&item->command.json, '{');
    render_text_member(&item->command.json, "command", command_word(kind));
    return item;
}

static int64_t commit_time(const struct row *row)
{
    const struct row_rule *rule = (const struct row_rule *)row;
    return row->table == ROW_RULE && rule->committed_at != INSTANT_NONE ? rule->committed_at
                                                                        : row->changed_at;
}

static void add_one(struct registry_commands *commands, const struct registry_targets *targets,
                    const struct row_change *change, const struct maker *maker, uint32_t shard)
{
    struct registry_command *item = add(commands, maker->kind, shard);
    bool own_rule = maker->kind == COMMAND_RULE && maker->patient(targets->rows, change->after) != 0;
    item->row = change->after;
    item->line = change->line;
    item->rank = own_rule ? RANK_PATIENT_RULE : (int)maker->rank;
    maker->render(targets->rows, change->after, &item->command.json);
    if (targets->known != NULL && commit_time(change->after) != INSTANT_NONE) {
        item->commit_ms = commit_time(change->after);
        render_instant_member(&item->command.json, "committed_at", item->commit_ms);
    }
    render_close(&item->command.json, '}');
}

static bool is_of_patient_layer(const struct row *row)
{
    return row->table == ROW_RULE && strcmp(((const struct row_rule *)row)->layer, "patient") == 0;
}

void registry_commands_add(struct registry_commands *commands, const struct registry_targets *targets,
                           const struct row_change *change)
{
    if (change->after == NULL)
        return;
    for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
        const struct maker *maker = &makers[i];
        if (maker->table != change->after->table || !maker->wanted(change))
            continue;
        int64_t patient_id = maker->patient(targets->rows, change->after);
        if (patient_id == 0 && is_of_patient_layer(change->after))
            continue; /* another program wrote a scope that is nobody's ref */
        for (uint32_t shard = 0; shard < targets->shards; shard++) {
            bool concerned = patient_id == 0 || ticket_shard(patient_id, targets->shards) == shard;
            if (concerned && (targets->known == NULL || change->after->changed > targets->known[shard]))
                add_one(commands, targets, change, maker, shard);
        }
    }
}

void registry_commands_add_version(struct registry_commands *commands, uint32_t shards, int64_t version)
{
    for (uint32_t shard = 0; shard < shards; shard++) {
        struct registry_command *item = add(commands, COMMAND_REGISTRY, shard);
        render_integer_member(&item->command.json, "version", version);
        render_close(&item->command.json, '}');
    }
}

const struct registry_command *registry_commands_add_received(struct registry_commands *commands,
                                                              uint32_t shard, int64_t patient_id,
                                                              const char *device, const int64_t from_to_ms[2])
{
    struct registry_command *item = add(commands, COMMAND_RECEIVED, shard);
    struct buffer *json = &item->command.json;
    render_integer_member(json, "patient_id", patient_id);
    render_text_member(json, "device", device);
    if (from_to_ms[0] != INSTANT_NONE)
        render_instant_member(json, "from", from_to_ms[0]);
    if (from_to_ms[1] != INSTANT_NONE)
        render_instant_member(json, "to", from_to_ms[1]);
    render_close(json, '}');
    return item;
}

static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int64_t rule_number(const struct registry_command *item)
{
    return item->command.kind == COMMAND_RULE ? ((const struct row_rule *)item->row)->version : 0;
}

/* Shared rules, then patients, then what names a patient. */
static int class_of(const struct registry_command *item)
{
    return item->rank < RANK_PATIENT ? 0 : item->rank == RANK_PATIENT ? 1 : 2;
}

static int compare_commands(const void *a, const void *b)
{
    const struct registry_command *x = *(const struct registry_command *const *)a;
    const struct registry_command *y = *(const struct registry_command *const *)b;
    const int64_t keys[][2] = {
        {class_of(x), class_of(y)}, {x->commit_ms, y->commit_ms},     {x->row->changed, y->row->changed},
        {x->rank, y->rank},         {rule_number(x), rule_number(y)}, {x->line, y->line},
    };
    int order = 0;
    for (size_t i = 0; order == 0 && i < sizeof(keys) / sizeof(keys[0]); i++)
        order = compare_numbers(keys[i][0], keys[i][1]);
    return order;
}

void registry_commands_sort(struct registry_commands *commands)
{
    if (commands->count > 1)
        qsort(commands->items, commands->count, sizeof(struct registry_command *), compare_commands);
}

void registry_commands_deinit(struct registry_commands *commands)
{
    for (uint32_t i = 0; i < commands->count; i++) {
        buffer_deinit(&commands->items[i]->command.json);
        buffer_deinit(&commands->items[i]->command.reply);
        free(commands->items[i]);
    }
    free(commands->items);
    *commands = (struct registry_commands){.items = NULL};
}
