/* The registry thread sleeps on its bell, on the connection that LISTENs, and for a second at most. What it
 * is woken for ends in one of two ways: a load of what others wrote, or a transaction of its own; both give a
 * set of changes, and every set goes the same way: to shards and loops (registry_deliver.c), commits back to
 * PostgreSQL, the version to the shards, the file, and then the answer. Rows in memory are the truth of the
 * moment: without PostgreSQL they stay as the file had them, and nothing that reads them can tell. */
#include "daemon/registry/registry_service.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/ring.h"
#include "daemon/registry/registry_deliver.h"
#include "daemon/registry/registry_file.h"
#include "daemon/registry/registry_postgres.h"
#include "daemon/registry/registry_quarantine.h"
#include "daemon/registry/registry_transaction.h"
#include "storage/postgres.h"

enum {
    REQUESTS_MAX = 64, /* asked by one admin loop and not yet answered */
    QUIET_MS = 3000,   /* without a change: time to make the file anew */
    SLICE_MS = 20,     /* of that at once: a change waits for no more */
    POLL_MS = 1000,    /* "taken over within 1 s" even if a notification is lost */
    POSTGRES_TIMEOUT_MS = 10000,
    STALE_TRIES_MAX = 5
};

struct registry_service {
    const struct config *config;
    uint8_t identifier_key[32];
    const struct slab *const *slabs; /* of the shards */
    struct wakeup *bell;
    struct heartbeat *heartbeat;
    struct ring *requests; /* pushed by the admin loop, popped by the thread */
    pthread_t thread;
    atomic_bool stopping; /* written by registry_service_stop() */
    bool is_up;           /* PostgreSQL answers */
    struct wakeup quit;   /* rung at the stop: a wait for PostgreSQL ends */
    /* the thread's own */
    struct postgres *postgres;
    struct rows *rows;
    int64_t version, version_sent; /* of the rows; last told to the shards */
    bool presets_are_loaded;
    struct deliver deliver;
    struct admin_tokens *tokens;
    struct foreign_inbox *const *foreign; /* of the loops */
    struct foreign_trace *trace;
    struct registry_file *file;
    struct registry_figures *figures;
    bool is_served;                     /* false: neither PostgreSQL nor the file gave a registry */
    bool commits_wait;                  /* PostgreSQL lacks commits of earlier sets */
    int64_t shard_versions[SHARDS_MAX]; /* after recovery */
    int64_t quiet_since_ms;
};

/* ---- connection ---- */

static void disconnect(struct registry_service *service)
{
    if (service->is_up)
        log_write(LOG_WARNING, "registry",
                  "PostgreSQL is away hint=the registry stays as it is until it comes back");
    service->is_up = false;
    postgres_close(service->postgres);
    service->postgres = NULL;
}

static bool connect_postgres(struct registry_service *service)
{
    if (service->postgres != NULL)
        return true;
    const struct postgres_options options = {.conninfo = service->config->postgres_conninfo,
                                             .application = "vigied registry",
                                             .timeout_ms = POSTGRES_TIMEOUT_MS,
                                             .quit_fd = service->quit.fd};
    enum err error = postgres_open(&options, &service->postgres);
    if (error == OK)
        error = postgres_command(service->postgres, "LISTEN vigie_registry");
    if (error != OK) {
        log_write(LOG_DEBUG, "registry", "cannot connect to PostgreSQL error=%s", err_text(error));
        postgres_close(service->postgres);
        service->postgres = NULL;
        return false;
    }
    service->is_up = true;
    log_write(LOG_NOTICE, "registry", "connected to PostgreSQL");
    return true;
}

/* The server said no to something that is ours to do: the schema is not there, or a right is missing. */
static void note_failure(struct registry_service *service, const char *what, enum err error)
{
    log_write(LOG_WARNING, "registry",
              "%s found=%s sqlstate=%s expected=the schema of this program hint=vigiectl db "
              "migrate",
              what, err_text(error), postgres_sqlstate(service->postgres));
    if (error == ERR_UNAVAILABLE)
        disconnect(service);
}

/* ---- after a set of changes ---- */

static void write_commits(struct registry_service *service)
{
    if (service->postgres == NULL || !service->commits_wait)
        return;
    enum err error = registry_postgres_write_commits(service->postgres, service->rows, &service->version);
    service->commits_wait = error != OK;
    if (error != OK)
        note_failure(service, "commits cannot be written back", error);
}

static void note_file(enum err error)
{
    if (error != OK)
        log_write(
            LOG_ERROR, "registry",
            "cannot write the registry file error=%s hint=free disk space below state_dir: a start without "
            "PostgreSQL would serve the one before",
            err_text(error));
}

/* Everything of a set is in force by now. Commits first: if we die in between, the shards are told again and
 * answer the same. The file comes before the answer: a right that was withdrawn stays so over a crash, with
 * PostgreSQL away too. */
static void settle(struct registry_service *service, const struct row_changes *changes)
{
    write_commits(service);
    if (service->version != service->version_sent)
        deliver_version(&service->deliver, service->version);
    service->version_sent = service->version;
    int64_t began_ns = clock_monotonic_ns();
    note_file(registry_file_save(service->file, service->rows, changes, service->version));
    atomic_store(&service->figures->file_us, (clock_monotonic_ns() - began_ns) / 1000);
    atomic_store(&service->figures->version, service->version);
    service->quiet_since_ms = clock_monotonic_ms();
}

static void deliver_and_settle(struct registry_service *service, struct row_changes *changes,
                               struct deliver_result *result)
{
    int64_t began_ns = clock_monotonic_ns();
    deliver_changes(&service->deliver, changes, result);
    atomic_store(&service->figures->change_us, (clock_monotonic_ns() - began_ns) / 1000);
    service->commits_wait = service->commits_wait || result->commits;
    settle(service, changes);
    changes_keep(changes);
}

/* What the shards know is worth nothing when PostgreSQL has gone back behind it: versions are used again. */
static void choose_known(const struct registry_service *service, int64_t known[SHARDS_MAX])
{
    for (uint32_t i = 0; i < service->deliver.shards; i++) {
        known[i] = service->shard_versions[i];
        if (known[i] <= service->version)
            continue;
        log_write(LOG_WARNING, "registry",
                  "the registry is behind the journal found=version %lld expected=%lld or more "
                  "hint=rules that only the journal has stay in force",
                  (long long)service->version, (long long)known[i]);
        if (atomic_load(&service->figures->behind) == 0)
            atomic_store(&service->figures->behind, 1);
        known[i] = -1;
    }
}

/* What the rows of the file lacked goes to the file with the first registry. */
static void keep_first(struct registry_service *service, struct row_changes *changes)
{
    registry_file_add(service->file, changes);
    changes_keep(changes);
}

/* The first registry of this process: every row that a shard lacks, then the first snapshot. */
static void deliver_first(struct registry_service *service)
{
    const struct row_changes none = {.items = NULL};
    struct deliver_result result = {.refused = false};
    int64_t known[SHARDS_MAX];
    choose_known(service, known);
    deliver_everything(&service->deliver, known, &result);
    service->is_served = true;
    atomic_store(&service->figures->unserved, 0);
    service->commits_wait = result.commits;
    settle(service, &none);
    buffer_deinit(&result.moved);
}

/* ---- what others wrote ---- */

/* Failed over to a server that lags, or rows were deleted: what it lacks stays in force. */
static void note_behind(struct registry_service *service, int64_t before, int64_t lacking)
{
    if (service->version < before && lacking == 0)
        lacking = 1;
    if (lacking != 0 && lacking != atomic_load(&service->figures->behind))
        log_write(
            LOG_WARNING, "registry",
            "PostgreSQL lacks what is in force found=version %lld, %lld rule versions and patients fewer "
            "expected=version %lld or more hint=they stay in force; restore the rows or write them again",
            (long long)service->version, (long long)lacking, (long long)before);
    atomic_store(&service->figures->behind, lacking);
}

static enum err load_changes(struct registry_service *service, struct row_changes *changes)
{
    int64_t before = service->version, lacking = 0;
    enum err error =
        registry_postgres_load(service->postgres, service->rows, changes, &service->version, &lacking);
    if (error != OK) {
        changes_undo(changes, service->rows);
        note_failure(service, "the registry cannot be read", error);
        return error;
    }
    note_behind(service, before, lacking);
    return OK;
}

static enum err ask_received(void *context, int64_t patient_id, const char *device,
                             const int64_t from_to_ms[2], bool *ret)
{
    struct registry_service *service = context;
    return deliver_ask_received(&service->deliver, patient_id, device, from_to_ms, ret);
}

static struct registry_transaction transaction_of(struct registry_service *service,
                                                  struct row_changes *changes)
{
    return (struct registry_transaction){
        .postgres = service->postgres,
        .rows = service->rows,
        .version = &service->version,
        .config = service->config,
        .identifier_key = service->identifier_key,
        .slabs = service->slabs,
        .shards = service->deliver.shards,
        .changes = changes,
        .ask_received = ask_received,
        .ask_context = service,
    };
}

static void load_presets(struct registry_service *service, struct row_changes *changes)
{
    struct registry_transaction transaction = transaction_of(service, changes);
    enum err error = registry_load_presets(&transaction);
    if (error != OK && error != ERR_STALE)
        note_failure(service, "presets cannot be loaded", error);
    service->presets_are_loaded = error != ERR_STALE && error != ERR_UNAVAILABLE;
}

static void load_tokens(struct registry_service *service)
{
    enum err error = admin_tokens_load(service->tokens, service->postgres);
    if (error != OK)
        note_failure(service, "the tokens of the admin port cannot be read", error);
}

/* Takes over what is new; true when the rows are those of the database. */
static bool sync_with_postgres(struct registry_service *service)
{
    int64_t version;
    if (!connect_postgres(service))
        return false;
    enum err error = registry_postgres_version(service->postgres, &version);
    if (error != OK) {
        note_failure(service, "the registry cannot be read", error);
        return false;
    }
    struct row_changes changes = {.items = NULL};
    struct deliver_result result = {.refused = false};
    if (version != service->version || !service->is_served) {
        if (load_changes(service, &changes) != OK)
            return false;
        if (service->is_served) {
            deliver_and_settle(service, &changes, &result);
        } else {
            keep_first(service, &changes);
            deliver_first(service);
        }
    }
    if (!service->presets_are_loaded) {
        load_presets(service, &changes);
        if (changes.count > 0)
            deliver_and_settle(service, &changes, &result);
    }
    write_commits(service);
    buffer_deinit(&result.moved);
    if (service->postgres != NULL)
        load_tokens(service);
    return service->postgres != NULL;
}

/* ---- requests ---- */

static void answer_fault(struct registry_request *request, int status, const struct import_fault *fault)
{
    request->status = status;
    import_fault_render(fault, &request->reply);
}

static void answer_unavailable(struct registry_request *request)
{
    answer_fault(request, 503,
                 &(struct import_fault){.what = "PostgreSQL",
                                        .found = "no connection",
                                        .expected = "the registry to be writable",
                                        .hint = "send it again when PostgreSQL is back"});
}

static void answer_refusal(struct registry_request *request, const struct deliver_result *result)
{
    struct import_fault fault = {.line = result->refused_line,
                                 .what = "a shard refused the change",
                                 .expected = "a change that the rules allow",
                                 .hint = "the row stands in PostgreSQL and is not in force: correct it"};
    snprintf(fault.found, sizeof(fault.found), "%.200s", result->refusal);
    for (char *at = fault.found; *at != '\0'; at++)
        *at = (unsigned char)*at < 128 ? *at : '?';
    answer_fault(request, 422, &fault);
}

static void answer_import(struct registry_request *request, const struct registry_transaction *transaction,
                          const struct deliver_result *result)
{
    struct buffer *reply = &request->reply;
    request->status = 200;
    render_open(reply, '{');
    render_key(reply, "lines");
    render_integer(reply, transaction->result.lines);
    render_key(reply, "changed");
    render_integer(reply, transaction->result.changed);
    render_key(reply, "version");
    render_integer(reply, *transaction->version);
    render_key(reply, "moved");
    render_open(reply, '[');
    if (result->moved.size > 0)
        render_raw(reply, result->moved.data, result->moved.size);
    render_close(reply, ']');
    render_close(reply, '}');
}

static void answer_token(struct registry_request *request, const char *token)
{
    request->status = 200;
    render_open(&request->reply, '{');
    render_key(&request->reply, request->kind == REGISTRY_TOKEN ? "source" : "admin");
    render_string(&request->reply, request->body, request->body_size);
    render_key(&request->reply, "token");
    render_text(&request->reply, token);
    render_close(&request->reply, '}');
}

static void answer_error(struct registry_service *service, struct registry_request *request,
                         const struct registry_transaction *transaction, enum err error)
{
    if (error == ERR_REFUSED) {
        answer_fault(request, 422, &transaction->fault);
    } else if (error == ERR_NOT_FOUND) {
        answer_fault(request, 404,
                     &(struct import_fault){.what = "source",
                                            .found = "no such ref",
                                            .expected = "a source that is enrolled",
                                            .hint = "import a line of type source first"});
    } else {
        note_failure(service, "a change of the registry failed", error);
        answer_unavailable(request);
    }
}

static enum err run_request(struct registry_request *request, struct registry_transaction *transaction,
                            char token[TOKEN_TEXT_MAX])
{
    char source[REF_BYTES_MAX + 1];
    if (request->kind == REGISTRY_IMPORT)
        return registry_import(transaction, request->body, request->body_size);
    if (request->body_size > REF_BYTES_MAX)
        return ERR_NOT_FOUND;
    memcpy(source, request->body, request->body_size);
    source[request->body_size] = '\0';
    return registry_issue_token(transaction, source, token);
}

static void change_on_request(struct registry_service *service, struct registry_request *request)
{
    struct row_changes changes = {.items = NULL};
    struct deliver_result result = {.refused = false};
    struct registry_transaction transaction = transaction_of(service, &changes);
    char token[TOKEN_TEXT_MAX];
    enum err error = ERR_STALE;
    for (unsigned i = 0; error == ERR_STALE && i < STALE_TRIES_MAX; i++) {
        if (!sync_with_postgres(service)) {
            answer_unavailable(request);
            return;
        }
        transaction.postgres = service->postgres;
        error = run_request(request, &transaction, token);
    }
    if (error != OK) {
        answer_error(service, request, &transaction, error);
        return;
    }
    deliver_and_settle(service, &changes, &result);
    if (result.refused)
        answer_refusal(request, &result);
    else if (request->kind == REGISTRY_IMPORT)
        answer_import(request, &transaction, &result);
    else
        answer_token(request, token);
    explicit_bzero(token, sizeof(token));
    buffer_deinit(&result.moved);
}

static void issue_admin_token(struct registry_service *service, struct registry_request *request)
{
    char role[REF_BYTES_MAX + 1], token[TOKEN_TEXT_MAX];
    if (!sync_with_postgres(service)) {
        answer_unavailable(request);
        return;
    }
    snprintf(role, sizeof(role), "%.*s", (int)request->body_size, request->body);
    enum err error = admin_tokens_issue(service->postgres, role, request->author, token);
    if (error == OK) {
        load_tokens(service);
        answer_token(request, token);
    } else {
        note_failure(service, "a token of the admin port cannot be written", error);
        answer_unavailable(request);
    }
    explicit_bzero(token, sizeof(token));
}

static void read_quarantine(struct registry_service *service, struct registry_request *request)
{
    char id[24];
    snprintf(id, sizeof(id), "%.*s", (int)request->body_size, request->body);
    enum err error = !connect_postgres(service)
                         ? ERR_UNAVAILABLE
                         : registry_quarantine_read(service->postgres, id, &request->status, &request->reply);
    if (error == OK)
        return;
    if (service->postgres != NULL)
        note_failure(service, "a row of the quarantine cannot be read", error);
    answer_fault(request, 503,
                 &(struct import_fault){.what = "PostgreSQL",
                                        .found = "no connection",
                                        .expected = "the quarantine to be readable",
                                        .hint = "send it again when PostgreSQL is back"});
}

static void serve(struct registry_service *service, struct registry_request *request)
{
    buffer_clear(&request->reply);
    if (atomic_load(&service->stopping)) {
        answer_unavailable(request);
    } else if (request->kind == REGISTRY_ADMIN_TOKEN) {
        issue_admin_token(service, request);
    } else if (request->kind == REGISTRY_QUARANTINE) {
        read_quarantine(service, request);
    } else if (request->kind != REGISTRY_SYNC) {
        change_on_request(service, request);
    } else if (sync_with_postgres(service)) {
        request->status = 200;
        render_open(&request->reply, '{');
        render_key(&request->reply, "version");
        render_integer(&request->reply, service->version);
        render_close(&request->reply, '}');
    } else {
        answer_unavailable(request);
    }
    request->done(request);
}

/* ---- the thread ---- */

static bool take_notifications(struct registry_service *service)
{
    bool any = false;
    if (service->postgres == NULL)
        return false;
    for (PGnotify *notify; (notify = PQnotifies(postgres_connection(service->postgres))) != NULL; any = true)
        PQfreemem(notify);
    return any;
}

static void wait_for_something(struct registry_service *service)
{
    struct pollfd polled[2] = {{.fd = service->bell->fd, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
    if (service->postgres != NULL)
        polled[1].fd = postgres_fd(service->postgres);
    if (poll(polled, 2, registry_file_is_renewing(service->file) ? 0 : POLL_MS) < 0)
        ensure(errno == EINTR);
    wakeup_wait(service->bell, 0);
    if (service->postgres != NULL && !postgres_is_alive(service->postgres))
        disconnect(service);
}

/* A slice a turn; turns do not sleep meanwhile. */
static void renew_file(struct registry_service *service)
{
    bool quiet = clock_monotonic_ms() - service->quiet_since_ms >= QUIET_MS;
    if (!service->is_served ||
        (!registry_file_is_renewing(service->file) && !registry_file_is_grown(service->file, quiet)))
        return;
    note_file(registry_file_renew_some(service->file, service->rows, service->version, SLICE_MS));
    if (!registry_file_is_renewing(service->file))
        service->quiet_since_ms = clock_monotonic_ms();
}

/* Claims that loops have noted, into the table and from there to audit.event. `all`: at the stop. */
static void trace_foreign(struct registry_service *service, bool all)
{
    for (unsigned i = 0; i < service->deliver.loops; i++)
        foreign_trace_take(service->trace, service->foreign[i], service->rows);
    if (service->postgres == NULL)
        return;
    enum err error =
        foreign_trace_write(service->trace, service->postgres, service->rows, clock_monotonic_ms(), all);
    if (error != OK)
        note_failure(service, "claims on what is not a source's cannot be traced", error);
}

static void *registry_thread(void *argument)
{
    struct registry_service *service = argument;
    heartbeat_adopt(service->heartbeat);
    int64_t synced_ms = clock_monotonic_ms();
    bool notified = false;
    while (!atomic_load(&service->stopping)) {
        heartbeat_beat();
        if (!notified)
            wait_for_something(service);
        for (struct registry_request *request; (request = ring_pop(service->requests)) != NULL;)
            serve(service, request);
        notified = take_notifications(service) || notified;
        if (notified || clock_monotonic_ms() - synced_ms >= POLL_MS) {
            if (!atomic_load(&service->stopping))
                sync_with_postgres(service);
            synced_ms = clock_monotonic_ms();
            /* what was notified while we read lies in libpq, and no socket wakes us for it */
            notified = take_notifications(service);
            trace_foreign(service, false);
        }
        renew_file(service);
        deliver_free_snapshots(&service->deliver, false);
    }
    for (struct registry_request *request; (request = ring_pop(service->requests)) != NULL;)
        serve(service, request);
    trace_foreign(service, true);
    return NULL;
}

/* ---- start and stop ---- */

/* A file that cannot be used, whatever is wrong with it, is none: PostgreSQL has the registry. */
static bool load_file(struct registry_service *service)
{
    enum err error = registry_file_load(service->file, &service->rows, &service->version);
    if (error == OK)
        return true;
    if (error != ERR_NOT_FOUND)
        log_write(
            LOG_ERROR, "registry",
            "the registry file cannot be used found=%s expected=the file that this state_dir and key wrote "
            "hint=PostgreSQL has the registry; until it answers, readings are refused with 503",
            err_text(error));
    service->rows = rows_new();
    service->version = 0;
    return false;
}

/* With neither PostgreSQL nor a file nobody is known, which is not the same as unknown: a sender that hears
 * unknown-patient may throw its reading away. No snapshot is posted, and loops answer 503 until there is one.
 */
static void start_rows(struct registry_service *service, bool has_file)
{
    struct row_changes changes = {.items = NULL};
    if (connect_postgres(service) && load_changes(service, &changes) == OK) {
        keep_first(service, &changes);
        load_presets(service, &changes);
        keep_first(service, &changes);
        if (service->postgres != NULL)
            load_tokens(service);
    } else if (has_file) {
        log_write(LOG_WARNING, "registry",
                  "no PostgreSQL at the start: the registry of the file is served version=%lld",
                  (long long)service->version);
    } else {
        log_write(LOG_ERROR, "registry",
                  "no registry found=neither PostgreSQL nor a file expected=one of them hint=readings are "
                  "refused with "
                  "503 until PostgreSQL answers; rules of the journal stay in force");
        atomic_store(&service->figures->unserved, 1);
        return;
    }
    deliver_first(service);
}

static struct registry_service *service_new(const struct registry_options *options)
{
    struct registry_service *service = calloc(1, sizeof(*service));
    ensure(service != NULL);
    service->config = options->config;
    service->bell = options->bell;
    service->figures = options->figures;
    service->slabs = options->slabs;
    service->version_sent = -1;
    service->heartbeat = options->heartbeat;
    service->foreign = options->foreign;
    service->trace = foreign_trace_new();
    memcpy(service->identifier_key, options->identifier_key, sizeof(service->identifier_key));
    memcpy(service->shard_versions, options->shard_versions, options->shards * sizeof(int64_t));
    char path[4200];
    snprintf(path, sizeof(path), "%s/admin-tokens", options->config->node_state_dir);
    service->tokens = admin_tokens_new(path, options->keys);
    snprintf(path, sizeof(path), "%s/registry", options->config->node_state_dir);
    service->file = registry_file_new(path, options->keys);
    service->deliver = (struct deliver){.shards = options->shards,
                                        .loops = options->loops,
                                        .inlets = options->inlets,
                                        .bell = options->bell,
                                        .mailboxes = options->mailboxes,
                                        .figures = options->figures,
                                        .stopping = &service->stopping};
    return service;
}

static void service_free(struct registry_service *service)
{
    deliver_free_snapshots(&service->deliver, true);
    refused_deinit(&service->deliver.refused);
    rows_free(service->rows);
    postgres_close(service->postgres);
    admin_tokens_free(service->tokens);
    registry_file_free(service->file);
    foreign_trace_free(service->trace);
    ring_free(service->requests);
    wakeup_close(&service->quit);
    explicit_bzero(service->identifier_key, sizeof(service->identifier_key));
    free(service);
}

enum err registry_service_start(const struct registry_options *options, struct registry_service **ret_service)
{
    struct registry_service *service = service_new(options);
    enum err error = wakeup_open(&service->quit);
    if (error != OK) {
        admin_tokens_free(service->tokens);
        registry_file_free(service->file);
        foreign_trace_free(service->trace);
        free(service);
        return error;
    }
    service->requests = ring_new(REQUESTS_MAX);
    ensure(service->requests != NULL);
    bool has_file = load_file(service);
    service->deliver.rows = service->rows;
    start_rows(service, has_file);
    service->deliver.loops_run = true;
    if (pthread_create(&service->thread, NULL, registry_thread, service) != 0) {
        service_free(service);
        return ERR_OS;
    }
    (void)pthread_setname_np(service->thread, "registry");
    *ret_service = service;
    return OK;
}

void registry_service_stop(struct registry_service *service)
{
    if (service == NULL)
        return;
    atomic_store(&service->stopping, true);
    wakeup_ring(&service->quit);
    wakeup_ring(service->bell);
    pthread_join(service->thread, NULL);
    service_free(service);
}

void registry_request(struct registry_service *service, struct registry_request *request)
{
    bool was_empty;
    if (ring_push(service->requests, request, &was_empty) == OK) {
        wakeup_ring(service->bell);
        return;
    }
    buffer_clear(&request->reply);
    answer_fault(request, 503,
                 &(struct import_fault){.what = "registry",
                                        .found = "too many requests at once",
                                        .expected = "at most 64",
                                        .hint = "send it again later"});
    request->done(request);
}

bool registry_find_admin_token(struct registry_service *service, const uint8_t sha256[SHA256_BYTES],
                               struct admin_token *ret)
{
    return admin_tokens_find(service->tokens, sha256, ret);
}
