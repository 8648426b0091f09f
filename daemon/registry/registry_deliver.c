/* Commands go out to all shards at once, in order within each, and at most COMMANDS_IN_FLIGHT_MAX to one.
 * What a shard could not make durable (its disk is at low water) goes out again, with what was refused behind
 * it. */
#include "daemon/registry/registry_deliver.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/heartbeat.h"
#include "daemon/base/instant.h"
#include "daemon/base/log.h"
#include "daemon/registry/registry_build.h"

enum { RETRY_MS = 200, TAKEN_POLL_MS = 1, TAKEN_WARN_MS = 10000 };

/* ---- snapshots ---- */

static void build_source(struct registry_builder *builder, const struct row_source *row)
{
    static const char *const kinds[] = {"device", "gateway", "system", "patient"};
    int64_t *ids = NULL;
    struct build_source source = {.source_id = row->source_id,
                                  .organization_id = row->organization_id,
                                  .ref = row->ref,
                                  .certificate = row->certificate_cn,
                                  .patient_id = row->patient_id};
    while (source.kind < SOURCE_PATIENT && strcmp(kinds[source.kind], row->kind) != 0)
        source.kind++;
    source.has_token = row->token_sha256 != NULL && hex_parse(row->token_sha256, strlen(row->token_sha256),
                                                              source.token_sha256, SHA256_BYTES) == OK;
    if (row->devices != NULL) {
        ids = calloc(strlen(row->devices) / 2 + 1, sizeof(*ids)); /* a number and a comma each */
        ensure(ids != NULL);
        for (char *at = row->devices; *at != '\0'; at += *at == ',')
            ids[source.devices_count++] = strtoll(at, &at, 10);
    }
    source.device_ids = ids;
    registry_add_source(builder, &source);
    free(ids);
}

static void build_patient(struct registry_builder *builder, struct rows *rows, const struct row_patient *row)
{
    const struct zone *zone = rows_zone(rows, row->time_zone);
    if (zone == NULL) {
        log_write(LOG_ERROR, "registry",
                  "patient left out patient_id=%lld found=%s expected=a time zone of this system "
                  "hint=install tzdata",
                  (long long)row->patient_id, row->time_zone);
        return;
    }
    registry_add_patient(builder, &(struct registry_patient){.patient_id = row->patient_id,
                                                             .organization_id = row->organization_id,
                                                             .ref = row->ref,
                                                             .zone = zone,
                                                             .enrolled_at_ms = row->enrolled_at,
                                                             .left_at_ms = row->left_at});
}

static void build_identifier(struct registry_builder *builder, const struct row_identifier *row)
{
    uint8_t hash[SHA256_BYTES];
    if (hex_parse(row->hash, strlen(row->hash), hash, sizeof(hash)) == OK)
        registry_add_identifier(builder, row->patient_id, hash);
}

static struct registry *build_snapshot(struct deliver *deliver)
{
    struct rows *rows = deliver->rows;
    struct registry_builder *builder = registry_builder_new(++deliver->serial);
    uint32_t left_out;
    for (struct row *row = rows_first(rows, ROW_PATIENT); row != NULL; row = row->next)
        if (!row->waiting)
            build_patient(builder, rows, (const struct row_patient *)row);
    for (struct row *row = rows_first(rows, ROW_IDENTIFIER); row != NULL; row = row->next)
        build_identifier(builder, (const struct row_identifier *)row);
    for (struct row *row = rows_first(rows, ROW_DEVICE); row != NULL; row = row->next) {
        const struct row_device *device = (const struct row_device *)row;
        registry_add_device(builder, &(struct build_device){device->device_id, device->ref, device->serial});
    }
    for (struct row *row = rows_first(rows, ROW_ASSIGNMENT); row != NULL; row = row->next) {
        const struct row_assignment *assignment = (const struct row_assignment *)row;
        registry_add_assignment(builder,
                                &(struct build_assignment){assignment->device_id, assignment->patient_id,
                                                           assignment->from_at, assignment->to_at});
    }
    for (struct row *row = rows_first(rows, ROW_SOURCE); row != NULL; row = row->next)
        build_source(builder, (const struct row_source *)row);
    struct registry *made = registry_build(&builder, &left_out);
    log_write(LOG_DEBUG, "registry", "snapshot serial=%lld rows_left_out=%u", (long long)deliver->serial,
              left_out);
    return made;
}

static int64_t oldest_taken(const struct deliver *deliver)
{
    int64_t oldest = INT64_MAX;
    for (unsigned i = 0; i < deliver->loops; i++) {
        int64_t taken = mailbox_taken(&deliver->mailboxes[i]);
        oldest = taken < oldest ? taken : oldest;
    }
    return oldest;
}

void deliver_free_snapshots(struct deliver *deliver, bool all)
{
    int64_t taken = oldest_taken(deliver);
    struct deliver_snapshot **at = &deliver->snapshots;
    while (*at != NULL && !all && registry_version((*at)->registry) >= taken)
        at = &(*at)->older;
    while (*at != NULL) {
        struct deliver_snapshot *old = *at;
        *at = old->older;
        registry_free(old->registry);
        free(old);
    }
}

/* Returns when every loop uses it: an answer that says "in force" must be true on each. */
static void wait_until_taken(const struct deliver *deliver)
{
    int64_t since_ms = clock_monotonic_ms();
    while (deliver->loops_run && oldest_taken(deliver) < deliver->serial && !atomic_load(deliver->stopping)) {
        clock_sleep_ms(TAKEN_POLL_MS);
        heartbeat_beat(); /* loops and shards have heartbeats of their own */
        if (clock_monotonic_ms() - since_ms < TAKEN_WARN_MS)
            continue;
        since_ms = clock_monotonic_ms();
        log_write(LOG_WARNING, "registry",
                  "a loop has not taken the registry found=serial %lld expected=%lld "
                  "hint=an ingest loop is stuck",
                  (long long)oldest_taken(deliver), (long long)deliver->serial);
    }
}

static void post_snapshot(struct deliver *deliver)
{
    struct deliver_snapshot *snapshot = malloc(sizeof(*snapshot));
    ensure(snapshot != NULL);
    int64_t began_ns = clock_monotonic_ns();
    *snapshot = (struct deliver_snapshot){.registry = build_snapshot(deliver), .older = deliver->snapshots};
    deliver->snapshots = snapshot;
    atomic_fetch_add(&deliver->figures->snapshots, 1);
    atomic_store(&deliver->figures->snapshot_us, (clock_monotonic_ns() - began_ns) / 1000);
    for (unsigned i = 0; i < deliver->loops; i++)
        mailbox_post(&deliver->mailboxes[i], snapshot->registry);
    wait_until_taken(deliver);
    deliver_free_snapshots(deliver, false);
}

/* ---- answers ---- */

static int64_t reply_time(const json_t *reply, const char *key)
{
    const json_t *value = json_object_get(reply, key);
    struct instant_parsed parsed;
    if (!json_is_string(value) ||
        instant_parse(json_string_value(value), json_string_length(value), &parsed) != INSTANT_GOOD)
        return INSTANT_NONE;
    return parsed.ms;
}

static void note_moved(struct deliver_result *result, unsigned line, int64_t asked_ms, int64_t got_ms)
{
    if (line == 0 || asked_ms == INSTANT_NONE || got_ms == INSTANT_NONE || asked_ms == got_ms)
        return;
    render_open(&result->moved, '{');
    render_key(&result->moved, "line");
    render_integer(&result->moved, line);
    render_key(&result->moved, "valid_from");
    render_instant(&result->moved, got_ms);
    render_close(&result->moved, '}');
}

static void take_rule_commit(struct row_rule *rule, unsigned line, const json_t *reply,
                             struct deliver_result *result)
{
    if (rule->committed_at != INSTANT_NONE)
        return; /* another shard's answer, or known before */
    int64_t commit_ms = reply_time(reply, "commit"), from_ms = reply_time(reply, "in_force_from");
    if (commit_ms == INSTANT_NONE)
        return;
    if (from_ms == INSTANT_NONE)
        from_ms = rule->requested_from > commit_ms ? rule->requested_from : commit_ms;
    rule->committed_at = commit_ms;
    rule->valid_from = from_ms;
    rule->row.unwritten = result->commits = true;
    note_moved(result, line, rule->requested_from, from_ms);
}

static void take_commit(const struct registry_command *item, struct deliver_result *result)
{
    json_t *reply = json_loadb(item->command.reply.data, item->command.reply.size, 0, NULL);
    struct row_patient *patient = (struct row_patient *)item->row;
    switch (item->command.kind) {
    case COMMAND_RULE:
        take_rule_commit((struct row_rule *)item->row, item->line, reply, result);
        break;
    case COMMAND_PATIENT:
        patient->row.waiting = false;
        if (patient->enrolled_at == INSTANT_NONE && reply_time(reply, "commit") != INSTANT_NONE) {
            patient->enrolled_at = reply_time(reply, "commit");
            patient->row.unwritten = result->commits = true;
        }
        break;
    case COMMAND_SUSPENSION:
        note_moved(result, item->line, ((const struct row_suspension *)item->row)->from_at,
                   reply_time(reply, "in_force_from"));
        break;
    default:
        break;
    }
    json_decref(reply);
}

static void take_refusal(struct deliver *deliver, const struct registry_command *item,
                         struct deliver_result *result)
{
    const struct buffer *reply = &item->command.reply;
    log_write(LOG_ERROR, "registry",
              "a shard refused a change and goes on without it command=%s shard=%u answer=%.*s "
              "hint=correct the row in PostgreSQL",
              command_word(item->command.kind), item->shard, (int)reply->size,
              reply->size == 0 ? "" : reply->data);
    if (item->row != NULL)
        refused_add(&deliver->refused, item->row);
    if (result->refused)
        return;
    result->refused = true;
    result->refused_line = item->line;
    snprintf(result->refusal, sizeof(result->refusal), "%.*s", (int)reply->size,
             reply->size == 0 ? "" : reply->data);
}

/* ---- commands ---- */

/* One walk over the list for one shard. */
struct route {
    uint32_t next, out; /* next of the list to look at; commands out */
    bool failed;        /* something was not made durable */
};

static void send_some(struct deliver *deliver, const struct registry_commands *commands, uint32_t shard,
                      struct route *route)
{
    for (; route->next < commands->count && route->out < COMMANDS_IN_FLIGHT_MAX; route->next++) {
        struct registry_command *item = commands->items[route->next];
        if (item->shard != shard || item->done)
            continue;
        buffer_clear(&item->command.reply);
        item->command.outcome = OK;
        item->command.job.result = OK;
        inlet_send(&deliver->inlets[shard], &item->command.job);
        route->out++;
    }
}

static void collect_some(struct deliver *deliver, uint32_t shard, struct route *route,
                         struct deliver_result *result)
{
    for (struct job *job; (job = inlet_collect(&deliver->inlets[shard])) != NULL; route->out--) {
        struct registry_command *item = ((struct command *)job)->owner;
        route->failed = route->failed || job->result != OK;
        item->done = job->result == OK && item->command.outcome == OK;
        if (item->done)
            take_commit(item, result);
    }
}

/* Sends all that is not done and waits until nothing is out: shards give every command back. */
static void send_round(struct deliver *deliver, const struct registry_commands *commands,
                       struct route routes[SHARDS_MAX], struct deliver_result *result)
{
    memset(routes, 0, SHARDS_MAX * sizeof(routes[0]));
    bool under_way = true;
    while (under_way) {
        under_way = false;
        heartbeat_beat();
        for (uint32_t shard = 0; shard < deliver->shards; shard++) {
            collect_some(deliver, shard, &routes[shard], result);
            send_some(deliver, commands, shard, &routes[shard]);
            under_way = under_way || routes[shard].out > 0;
        }
        if (under_way)
            wakeup_wait(deliver->bell, RETRY_MS);
    }
}

static void send_commands(struct deliver *deliver, const struct registry_commands *commands,
                          struct deliver_result *result)
{
    struct route routes[SHARDS_MAX];
    bool again = commands->count > 0;
    while (again) {
        send_round(deliver, commands, routes, result);
        again = false;
        for (uint32_t i = 0; i < commands->count; i++) {
            struct registry_command *item = commands->items[i];
            if (item->done)
                continue;
            if (routes[item->shard].failed) { /* a refusal may be for want of what failed: both go again */
                again = true;
            } else {
                take_refusal(deliver, item, result);
                item->done = true;
            }
        }
        if (!again || atomic_load(deliver->stopping))
            return;
        log_write(
            LOG_WARNING, "registry",
            "changes wait found=a shard that cannot make them durable expected=room in the journal hint=free "
            "disk space");
        clock_sleep_ms(RETRY_MS);
    }
}

static void note_refused(struct deliver *deliver)
{
    refused_forget_replaced(&deliver->refused, deliver->rows);
    atomic_store(&deliver->figures->refused, deliver->refused.count);
}

/* ---- changes ---- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool assignment_shrinks(const struct row_assignment *old, const struct row_assignment *new)
{
    return old->patient_id != new->patient_id ||
           (new->to_at != INSTANT_NONE && (old->to_at == INSTANT_NONE || new->to_at < old->to_at));
}

/* Whether the change takes a right away from somebody. */
static bool removes(const struct row_change *change)
{
    if (change->before == NULL)
        return false;
    if (change->after == NULL)
        return true;
    const struct row_patient *old = (const struct row_patient *)change->before;
    const struct row_patient *new = (const struct row_patient *)change->after;
    switch (change->after->table) {
    case ROW_PATIENT:
        return old->left_at != new->left_at || old->organization_id != new->organization_id ||
               !same_text(old->ref, new->ref);
    case ROW_ASSIGNMENT:
        return assignment_shrinks((const struct row_assignment *)change->before,
                                  (const struct row_assignment *)change->after);
    case ROW_SOURCE:
    case ROW_IDENTIFIER:
    case ROW_DEVICE:
        return true;
    default:
        return false;
    }
}

/* Whether snapshots are made from the row: rules and what else shards alone judge by leave the loops as they
 * are, so a change of a limit costs no snapshot of everybody. */
static bool concerns_loops(const struct row_change *change)
{
    switch ((change->after != NULL ? change->after : change->before)->table) {
    case ROW_PATIENT:
    case ROW_IDENTIFIER:
    case ROW_DEVICE:
    case ROW_ASSIGNMENT:
    case ROW_SOURCE:
        return true;
    default:
        return false;
    }
}

void deliver_changes(struct deliver *deliver, const struct row_changes *changes,
                     struct deliver_result *result)
{
    struct registry_commands commands = {.items = NULL};
    const struct registry_targets targets = {.rows = deliver->rows, .shards = deliver->shards};
    bool removal = false, snapshot = false;
    for (uint32_t i = 0; i < changes->count; i++) {
        removal = removal || removes(&changes->items[i]);
        snapshot = snapshot || concerns_loops(&changes->items[i]);
        registry_commands_add(&commands, &targets, &changes->items[i]);
    }
    registry_commands_sort(&commands);
    refused_forget(&deliver->refused, changes);
    if (removal && commands.count > 0)
        post_snapshot(deliver); /* without the patients that are new: they wait for their shards */
    send_commands(deliver, &commands, result);
    note_refused(deliver);
    if (snapshot)
        post_snapshot(deliver);
    registry_commands_deinit(&commands);
}

void deliver_everything(struct deliver *deliver, const int64_t *known, struct deliver_result *result)
{
    struct registry_commands commands = {.items = NULL};
    const struct registry_targets targets = {
        .rows = deliver->rows, .shards = deliver->shards, .known = known};
    for (unsigned table = 0; table < ROW_TABLES; table++) {
        for (struct row *row = rows_first(deliver->rows, table); row != NULL; row = row->next)
            registry_commands_add(&commands, &targets, &(struct row_change){.after = row});
    }
    for (struct row *row = rows_first(deliver->rows, ROW_PATIENT); row != NULL; row = row->next) {
        int64_t patient_id = ((const struct row_patient *)row)->patient_id;
        row->waiting = row->changed > known[ticket_shard(patient_id, deliver->shards)];
    }
    registry_commands_sort(&commands);
    send_commands(deliver, &commands, result);
    note_refused(deliver);
    post_snapshot(deliver);
    registry_commands_deinit(&commands);
}

void deliver_version(struct deliver *deliver, int64_t version)
{
    struct registry_commands commands = {.items = NULL};
    struct deliver_result result = {.refused = false};
    registry_commands_add_version(&commands, deliver->shards, version);
    send_commands(deliver, &commands, &result);
    registry_commands_deinit(&commands);
    buffer_deinit(&result.moved);
}

enum err deliver_ask_received(struct deliver *deliver, int64_t patient_id, const char *device,
                              const int64_t from_to_ms[2], bool *ret)
{
    struct registry_commands commands = {.items = NULL};
    struct deliver_result result = {.refused = false};
    uint32_t shard = ticket_shard(patient_id, deliver->shards);
    struct route routes[SHARDS_MAX];
    const struct registry_command *item =
        registry_commands_add_received(&commands, shard, patient_id, device, from_to_ms);
    send_round(deliver, &commands, routes, &result);
    const struct buffer *reply = &item->command.reply;
    enum err error = item->command.outcome == ERR_NOT_FOUND ? OK : item->command.outcome;
    *ret = item->done && memmem(reply->data, reply->size, "true", 4) != NULL;
    registry_commands_deinit(&commands);
    return error;
}
