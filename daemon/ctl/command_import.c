/* import and token issue: through the daemon while it runs, else straight to PostgreSQL with the code that
 * the daemon would have run; the next start takes it over. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/admin/admin.h"
#include "daemon/base/file.h"
#include "daemon/ctl/ctl_daemon.h"
#include "daemon/registry/admin_tokens.h"
#include "daemon/registry/registry_postgres.h"
#include "daemon/registry/registry_transaction.h"

enum { FILE_BYTES_MAX = 1 << 30, POSTGRES_TIMEOUT_MS = 60000, TRIES_MAX = 5, READ_BYTES = 64 * 1024 };

/* ---- without the daemon ---- */

/* Rows and connection of a change that vigiectl makes itself. */
struct direct {
    struct postgres *postgres;
    struct rows *rows;
    int64_t version;
    uint8_t identifier_key[32];
    struct row_changes changes;
    struct registry_transaction transaction;
};

static int fail_postgres(const struct direct *direct, enum err error)
{
    char found[400];
    snprintf(found, sizeof(found), "%.380s",
             direct->postgres == NULL ? err_text(error) : postgres_message(direct->postgres));
    found[strcspn(found, "\n")] = '\0';
    return ctl_fail(error, "PostgreSQL", found, "the database of [postgres] conninfo with our schema",
                    "vigiectl db status shows what is missing");
}

static void direct_close(struct direct *direct)
{
    changes_keep(&direct->changes);
    rows_free(direct->rows);
    postgres_close(direct->postgres);
    explicit_bzero(direct->identifier_key, sizeof(direct->identifier_key));
}

static enum err direct_load(struct direct *direct)
{
    int64_t lacking;
    struct row_changes loaded = {.items = NULL};
    enum err error =
        registry_postgres_load(direct->postgres, direct->rows, &loaded, &direct->version, &lacking);
    changes_keep(&loaded);
    return error;
}

/* Prints the fault itself. */
static enum err direct_open(const struct ctl *ctl, struct direct *direct, int *ret_status)
{
    const struct postgres_options options = {.conninfo = ctl->config->postgres_conninfo,
                                             .application = "vigiectl",
                                             .timeout_ms = POSTGRES_TIMEOUT_MS,
                                             .quit_fd = -1};
    *direct = (struct direct){.version = 0};
    enum err error = config_secret(ctl->config, ctl->config->auth_identifier_key, "identifier-key",
                                   direct->identifier_key);
    if (error != OK) {
        *ret_status = ctl_fail(ERR_CONFIG, "identifier-key", err_text(error),
                               "the key under which the daemon matches identifiers",
                               "let the daemon do it, or set [auth] identifier_key to the file");
        return error;
    }
    direct->rows = rows_new();
    error = postgres_open(&options, &direct->postgres);
    if (error == OK)
        error = direct_load(direct);
    if (error != OK) {
        *ret_status = fail_postgres(direct, error);
        direct_close(direct);
        return error;
    }
    direct->transaction = (struct registry_transaction){.postgres = direct->postgres,
                                                        .rows = direct->rows,
                                                        .version = &direct->version,
                                                        .config = ctl->config,
                                                        .identifier_key = direct->identifier_key,
                                                        .changes = &direct->changes};
    return OK;
}

static int direct_fail(const struct direct *direct, enum err error, const char *file)
{
    char line[1000];
    if (error != ERR_REFUSED)
        return fail_postgres(direct, error);
    import_fault_line(&direct->transaction.fault, file, line, sizeof(line));
    fprintf(stderr, "%s%s\n", direct->transaction.fault.line == 0 ? "vigiectl: " : "", line);
    return EX_DATAERR;
}

/* ---- import ---- */

static void print_moved(const json_t *moved, const char *file)
{
    size_t index;
    const json_t *item;
    json_array_foreach(moved, index, item)
    {
        printf("%s:%lld: in force from %s: valid_from was moved, it lies before the commit\n", file,
               (long long)json_integer_value(json_object_get(item, "line")),
               json_string_value(json_object_get(item, "valid_from")));
    }
}

static int print_import(const struct admin_reply *reply, const char *file, bool json)
{
    json_t *body = json_loadb(reply->body.data, reply->body.size, 0, NULL);
    if (json) {
        printf("%s\n", reply->body.data);
    } else {
        print_moved(json_object_get(body, "moved"), file);
        printf("%lld lines, %lld changed, in force as version %lld\n",
               (long long)json_integer_value(json_object_get(body, "lines")),
               (long long)json_integer_value(json_object_get(body, "changed")),
               (long long)json_integer_value(json_object_get(body, "version")));
    }
    json_decref(body);
    return EX_OK;
}

static int import_directly(const struct ctl *ctl, const struct buffer *file, const char *name, bool json)
{
    struct direct direct;
    int status;
    enum err error = direct_open(ctl, &direct, &status);
    if (error != OK)
        return status;
    error = ERR_STALE;
    for (unsigned i = 0; error == ERR_STALE && i < TRIES_MAX; i++) {
        error = registry_import(&direct.transaction, file->data, file->size);
        if (error == ERR_STALE && (error = direct_load(&direct)) == OK)
            error = ERR_STALE;
    }
    const struct import_result *result = &direct.transaction.result;
    status = EX_OK;
    if (error != OK)
        status = direct_fail(&direct, error, name);
    else if (json)
        printf("{\"lines\":%u,\"changed\":%u,\"version\":%lld,\"moved\":[]}\n", result->lines,
               result->changed, (long long)direct.version);
    else
        printf("%u lines, %u changed, in PostgreSQL as version %lld: in force when vigied starts\n",
               result->lines, result->changed, (long long)direct.version);
    direct_close(&direct);
    return status;
}

static enum err read_input(const char *name, struct buffer *file)
{
    if (strcmp(name, "-") != 0)
        return file_read(name, FILE_BYTES_MAX, file);
    for (ssize_t count; file->size < FILE_BYTES_MAX;) {
        count = read(STDIN_FILENO, buffer_reserve(file, READ_BYTES), READ_BYTES);
        if (count <= 0)
            return count == 0 ? OK : ERR_IO;
        file->size += (size_t)count;
    }
    return ERR_LIMIT;
}

int ctl_import(struct ctl *ctl, int argc, char **argv)
{
    bool json = false;
    const struct ctl_option options[] = {{"json", NULL, &json}, {NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    if (ctl_parse(argc, argv, options, &arguments) != OK)
        return EX_USAGE;
    if (arguments.count != 1)
        return ctl_fail(ERR_USAGE, "arguments", "another number", "one file", "vigiectl import FILE.ndjson");
    const char *name = arguments.items[0];
    struct buffer file = {.data = NULL};
    enum err error = read_input(name, &file);
    if (error != OK) {
        buffer_deinit(&file);
        return ctl_fail(error, name, err_text(error), "a readable file", "\"-\" reads standard input");
    }
    const struct ctl_call call = {.method = "POST",
                                  .target = "/v1/import",
                                  .content_type = "application/x-ndjson",
                                  .body = file.data,
                                  .body_size = file.size,
                                  .file = name};
    struct admin_reply reply;
    int status = EX_OK;
    error = ctl_ask_daemon(ctl, &call, &reply, &status);
    if (error == OK) {
        status = print_import(&reply, name, json);
        buffer_deinit(&reply.body);
    } else if (error == ERR_NOT_FOUND) {
        status = import_directly(ctl, &file, name, json);
    }
    buffer_deinit(&file);
    return status;
}

/* ---- token issue ---- */

static int no_such_source(const char *source)
{
    return ctl_fail(ERR_NOT_FOUND, "source", source, "a source that is enrolled",
                    "import a line of type source first");
}

static enum err issue_once(struct direct *direct, const char *source, const char *role,
                           char token[TOKEN_TEXT_MAX])
{
    if (source != NULL)
        return registry_issue_token(&direct->transaction, source, token);
    char author[32];
    snprintf(author, sizeof(author), "uid:%u", (unsigned)getuid());
    enum err error = admin_tokens_issue(direct->postgres, role, author, token);
    return error == ERR_REFUSED ? ERR_CONFIG : error; /* the role is good: the schema is not ours */
}

static int issue_directly(const struct ctl *ctl, const char *source, const char *role)
{
    struct direct direct;
    char token[TOKEN_TEXT_MAX];
    int status;
    enum err error = direct_open(ctl, &direct, &status);
    if (error != OK)
        return status;
    error = ERR_STALE;
    for (unsigned i = 0; error == ERR_STALE && i < TRIES_MAX; i++) {
        error = issue_once(&direct, source, role, token);
        if (error == ERR_STALE && (error = direct_load(&direct)) == OK)
            error = ERR_STALE;
    }
    status = EX_OK;
    if (error == ERR_NOT_FOUND)
        status = no_such_source(source);
    else if (error != OK)
        status = direct_fail(&direct, error, "token");
    else
        printf("%s\n", token);
    explicit_bzero(token, sizeof(token));
    direct_close(&direct);
    return status;
}

static int check_token_arguments(const struct ctl_arguments *arguments, const char *role)
{
    if (role != NULL && (arguments->count != 0 || admin_role_from_word(role) == 0))
        return ctl_fail(ERR_USAGE, "role", arguments->count == 0 ? role : "a source beside it",
                        "physician, nurse, operator, administrator, auditor or system",
                        "vigiectl token issue --admin ROLE");
    if (role == NULL && (arguments->count != 1 || !import_ref_is_good(arguments->items[0])))
        return ctl_fail(ERR_USAGE, "arguments",
                        arguments->count == 1 ? arguments->items[0] : "another number",
                        "the ref of one source", "vigiectl token issue SOURCE, or --admin ROLE");
    return EX_OK;
}

int ctl_token_issue(struct ctl *ctl, int argc, char **argv)
{
    const char *role = NULL;
    const struct ctl_option options[] = {{"admin", &role, NULL}, {NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    if (ctl_parse(argc, argv, options, &arguments) != OK)
        return EX_USAGE;
    int status = check_token_arguments(&arguments, role);
    if (status != EX_OK)
        return status;
    const char *source = role == NULL ? arguments.items[0] : NULL;
    struct buffer body = {.data = NULL};
    render_open(&body, '{');
    render_key(&body, role == NULL ? "source" : "admin");
    render_text(&body, role == NULL ? source : role);
    render_close(&body, '}');
    const struct ctl_call call = {.method = "POST",
                                  .target = "/v1/token",
                                  .content_type = "application/json",
                                  .body = body.data,
                                  .body_size = body.size};
    struct admin_reply reply;
    enum err error = ctl_ask_daemon(ctl, &call, &reply, &status);
    if (error == OK) {
        json_t *answer = json_loadb(reply.body.data, reply.body.size, 0, NULL);
        const char *token = json_string_value(json_object_get(answer, "token"));
        printf("%s\n", token == NULL ? "" : token);
        json_decref(answer);
        explicit_bzero(reply.body.data, reply.body.size);
        buffer_deinit(&reply.body);
    } else if (error == ERR_NOT_FOUND) {
        status = issue_directly(ctl, source, role);
    }
    buffer_deinit(&body);
    return status;
}
