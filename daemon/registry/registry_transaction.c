/* Checks run on rows that are current, inside the transaction that will hold their result; another program's
 * write in between shows as a version that does not follow ours: ERR_STALE, and the caller loads and does it
 * again. */
#include "daemon/registry/registry_transaction.h"

#include <stdio.h>
#include <string.h>

#include "alerting/preset.h"
#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/base/slab.h"
#include "daemon/registry/registry_postgres.h"

enum { IDS_AT_ONCE = 64 };

/* Numbers for new rows, fetched by the handful. */
struct id_pool {
    const struct registry_transaction *transaction;
    int64_t ids[ROW_TABLES][IDS_AT_ONCE];
    unsigned left[ROW_TABLES];
};

static enum err next_id(void *context, enum row_table table, int64_t *ret_id)
{
    struct id_pool *pool = context;
    if (pool->left[table] == 0) {
        enum err error =
            registry_postgres_next_ids(pool->transaction->postgres, table, IDS_AT_ONCE, pool->ids[table]);
        if (error != OK)
            return error;
        pool->left[table] = IDS_AT_ONCE;
    }
    *ret_id = pool->ids[table][IDS_AT_ONCE - pool->left[table]--];
    return OK;
}

static enum err has_readings(void *context, int64_t device_id, int64_t patient_id,
                             const int64_t from_to_ms[2], bool *ret)
{
    const struct id_pool *pool = context;
    const struct reading_span span = {device_id, patient_id, from_to_ms[0], from_to_ms[1]};
    const struct registry_transaction *transaction = pool->transaction;
    const struct row_device *device = rows_find_id(transaction->rows, ROW_DEVICE, device_id);
    enum err error = registry_postgres_has_readings(transaction->postgres, &span, ret);
    if (error == OK && !*ret && transaction->ask_received != NULL && device != NULL)
        error = transaction->ask_received(transaction->ask_context, patient_id, device->ref, from_to_ms, ret);
    return error;
}

/* Patients go to shards by hash: the fullest one bounds all. */
static uint64_t enrolments_max(const struct registry_transaction *transaction)
{
    uint64_t room_min = UINT64_MAX;
    for (uint32_t i = 0; i < transaction->shards; i++) {
        struct slab_figures figures;
        slab_read(transaction->slabs[i], &figures);
        uint64_t high = figures.planned_bytes / 100 * MEMORY_ENROL_PERCENT;
        uint64_t room = figures.held_bytes < high ? high - figures.held_bytes : 0;
        room_min = room < room_min ? room : room_min;
    }
    return transaction->shards == 0 ? UINT64_MAX : room_min / PATIENT_BYTES_PLANNED * transaction->shards;
}

static struct import_options import_options(const struct registry_transaction *transaction,
                                            struct id_pool *pool)
{
    const struct config *config = transaction->config;
    return (struct import_options){
        .identifier_key = transaction->identifier_key,
        .test_mode = config->node_mode == MODE_TEST,
        .bounds = {.lookback_ms = config->alerting_lookback,
                   .lookback_continuous_ms = config->alerting_lookback_continuous},
        .assignment_grace_ms = config->alerting_assignment_grace,
        .bounds_enrolment = transaction->shards > 0,
        .enrolments_max = enrolments_max(transaction),
        .next_id = next_id,
        .has_readings = has_readings,
        .context = pool,
    };
}

/* What the server refuses although the checks passed: a constraint that another program's rows broke, or a
 * missing right. */
static enum err refused_by_server(struct registry_transaction *transaction)
{
    struct import_fault *fault = &transaction->fault;
    *fault = (struct import_fault){.line = 0};
    snprintf(fault->what, sizeof(fault->what), "PostgreSQL refused (SQLSTATE %s)",
             postgres_sqlstate(transaction->postgres));
    snprintf(fault->found, sizeof(fault->found), "%.200s", postgres_message(transaction->postgres));
    snprintf(fault->expected, sizeof(fault->expected), "rows that the constraints of the schema allow");
    snprintf(fault->hint, sizeof(fault->hint),
             "vigiectl db status shows whether the schema is the program's");
    return ERR_REFUSED;
}

typedef enum err transaction_work(struct registry_transaction *transaction, void *context);

static enum err run(struct registry_transaction *transaction, transaction_work *work, void *context)
{
    struct postgres *postgres = transaction->postgres;
    int64_t version = *transaction->version;
    enum err error = registry_postgres_begin(postgres);
    if (error != OK)
        return error;
    error = work(transaction, context);
    bool ours = error != OK; /* the work's own refusal; later ones are the server's */
    if (error == OK)
        error = registry_postgres_write(postgres, transaction->changes, &version);
    if (error == OK)
        error = registry_postgres_commit(postgres);
    if (error == OK) {
        *transaction->version = version;
        return OK;
    }
    if (error == ERR_REFUSED && !ours)
        error = refused_by_server(transaction);
    registry_postgres_rollback(postgres);
    changes_undo(transaction->changes, transaction->rows);
    return error;
}

/* ---- import ---- */

struct body {
    const char *ndjson;
    size_t size;
};

static enum err work_import(struct registry_transaction *transaction, void *context)
{
    const struct body *body = context;
    struct id_pool pool = {.transaction = transaction};
    struct import_options options = import_options(transaction, &pool);
    return import_apply(transaction->rows, transaction->changes, &options, body->ndjson, body->size,
                        &transaction->result, &transaction->fault);
}

enum err registry_import(struct registry_transaction *transaction, const char *ndjson, size_t size)
{
    struct body body = {ndjson, size};
    return run(transaction, work_import, &body);
}

/* ---- tokens ---- */

/* base64url (RFC 4648 section 5) of 32 bytes: 43 characters, which HTTP and MQTT carry as they are. */
static void token_text(const uint8_t bytes[32], char token[TOKEN_TEXT_MAX])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned held = 0, size = 0;
    for (unsigned i = 0; i < 32; i++) {
        bits = bits << 8 | bytes[i];
        for (held += 8; held >= 6; held -= 6)
            token[size++] = alphabet[bits >> (held - 6) & 63];
    }
    token[size++] = alphabet[bits << (6 - held) & 63];
    ensure(size == TOKEN_TEXT_MAX - 1);
    token[size] = '\0';
}

enum err registry_new_token(char token[TOKEN_TEXT_MAX], uint8_t digest[SHA256_BYTES])
{
    uint8_t bytes[32];
    enum err error = hash_random(bytes, sizeof(bytes));
    if (error != OK)
        return error;
    token_text(bytes, token);
    hash_sha256(token, strlen(token), digest);
    explicit_bzero(bytes, sizeof(bytes));
    return OK;
}

struct issue {
    const char *source;
    char *token;
};

static enum err work_token(struct registry_transaction *transaction, void *context)
{
    const struct issue *issue = context;
    const struct row_source *old = rows_find(transaction->rows, ROW_SOURCE, "%s", issue->source);
    uint8_t digest[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1];
    if (old == NULL)
        return ERR_NOT_FOUND;
    enum err error = registry_new_token(issue->token, digest);
    if (error != OK)
        return error;
    hex_format(digest, sizeof(digest), hex);
    struct row_source *row = row_copy(old);
    row_set_text(&row->token_sha256, hex);
    changes_put(transaction->changes, transaction->rows, &row->row, 0);
    return OK;
}

enum err registry_issue_token(struct registry_transaction *transaction, const char *source,
                              char token[TOKEN_TEXT_MAX])
{
    struct issue issue = {source, token};
    return run(transaction, work_token, &issue);
}

/* ---- presets ---- */

static void log_preset(const char *file, const char *key, const char *found, const char *expected)
{
    log_write(LOG_ERROR, "registry",
              "a preset is refused, what was in force stays so file=%s key=%s found=%s expected=%s", file,
              key, found, expected);
}

static enum err add_preset(struct registry_transaction *transaction, const struct import_options *options,
                           const struct preset *preset)
{
    enum err error = OK;
    for (size_t i = 0; (error == OK || error == ERR_REFUSED) && i < preset->rules_count; i++) {
        error = import_preset_rule(transaction->rows, transaction->changes, options, preset->line,
                                   preset->rules[i].json, &transaction->fault);
        if (error == ERR_REFUSED)
            log_preset(preset->name, transaction->fault.what, transaction->fault.found,
                       transaction->fault.expected);
    }
    return error == ERR_REFUSED ? OK : error;
}

static enum err work_presets(struct registry_transaction *transaction, void *context)
{
    const struct presets *presets = context;
    struct id_pool pool = {.transaction = transaction};
    struct import_options options = import_options(transaction, &pool);
    enum err error = OK;
    for (size_t i = 0; error == OK && i < presets->count; i++)
        error = add_preset(transaction, &options, presets->items[i]);
    return error;
}

enum err registry_load_presets(struct registry_transaction *transaction)
{
    const struct config *config = transaction->config;
    const struct rule_bounds bounds = {.lookback_ms = config->alerting_lookback,
                                       .lookback_continuous_ms = config->alerting_lookback_continuous};
    struct presets presets;
    struct preset_fault fault = {.file = ""};
    enum err error = presets_load(config->alerting_presets_dir, &bounds, &presets, &fault);
    if (error != OK) {
        log_preset(fault.file[0] == '\0' ? config->alerting_presets_dir : fault.file, fault.fault.key,
                   fault.fault.found[0] == '\0' ? err_text(error) : fault.fault.found, fault.fault.expected);
        return OK;
    }
    error = run(transaction, work_presets, &presets);
    presets_free(&presets);
    return error;
}
