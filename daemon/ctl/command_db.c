/* db migrate and db status: straight to PostgreSQL. A migration also brings the presets in, so that a line
 * can be enrolled on before the daemon has ever run. */
#include <string.h>
#include <sysexits.h>

#include "daemon/base/buffer.h"
#include "daemon/ctl/ctl.h"
#include "daemon/registry/registry_postgres.h"
#include "daemon/registry/registry_transaction.h"
#include "storage/migrate.h"

enum { POSTGRES_TIMEOUT_MS = 60000, TRIES_MAX = 5 };

static void print_line(void *context, const char *text)
{
    fprintf(context, "%s\n", text);
}

static int no_arguments(int argc, char **argv)
{
    const struct ctl_option options[] = {{NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    if (ctl_parse(argc, argv, options, &arguments) != OK)
        return EX_USAGE;
    return arguments.count == 0 ? EX_OK
                                : ctl_fail(ERR_USAGE, "arguments", arguments.items[0], "none",
                                           "see --help behind the command");
}

static enum err load_presets(struct registry_transaction *transaction)
{
    int64_t lacking;
    enum err error = ERR_STALE;
    for (unsigned i = 0; error == ERR_STALE && i < TRIES_MAX; i++) {
        struct row_changes loaded = {.items = NULL};
        error = registry_postgres_load(transaction->postgres, transaction->rows, &loaded,
                                       transaction->version, &lacking);
        changes_keep(&loaded);
        if (error == OK)
            error = registry_load_presets(transaction);
    }
    return error;
}

static int migrate_presets(const struct ctl *ctl)
{
    const struct postgres_options options = {.conninfo = ctl->config->postgres_conninfo,
                                             .application = "vigiectl",
                                             .timeout_ms = POSTGRES_TIMEOUT_MS,
                                             .quit_fd = -1};
    static const uint8_t no_key[32]; /* a preset names no person */
    struct row_changes changes = {.items = NULL};
    int64_t version = 0;
    struct registry_transaction transaction = {.rows = rows_new(),
                                               .version = &version,
                                               .config = ctl->config,
                                               .identifier_key = no_key,
                                               .changes = &changes};
    int status = EX_OK;
    enum err error = postgres_open(&options, &transaction.postgres);
    if (error == OK)
        error = load_presets(&transaction);
    if (error == OK)
        printf("presets: %u rule versions new\n", changes.count);
    else
        status = ctl_fail(error, "presets",
                          error == ERR_REFUSED ? postgres_message(transaction.postgres) : err_text(error),
                          "to be written as rules of their lines", "the daemon tries it again at its start");
    changes_keep(&changes);
    rows_free(transaction.rows);
    postgres_close(transaction.postgres);
    return status;
}

int ctl_db_migrate(struct ctl *ctl, int argc, char **argv)
{
    int status = no_arguments(argc, argv);
    if (status != EX_OK)
        return status;
    const struct migrate_report report = {print_line, stderr};
    enum err error =
        migrate_run(ctl->config->postgres_conninfo, ctl->config->postgres_migrate_conninfo, &report);
    return error == OK ? migrate_presets(ctl) : err_sysexit(error);
}

static void append_line(void *context, const char *text)
{
    struct buffer *lines = context;
    buffer_printf(lines, "%s\n", text);
}

/* Lines are "NAME APPLIED_AT" or "NAME pending". */
static void print_status_json(char *lines)
{
    struct buffer json = {.data = NULL};
    render_open(&json, '[');
    for (char *rest = lines, *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0';) {
        char *at = strchr(line, ' ');
        size_t size = at == NULL ? strlen(line) : (size_t)(at - line);
        bool applied = at != NULL && strcmp(at + 1, "pending") != 0;
        render_open(&json, '{');
        render_key(&json, "migration");
        render_string(&json, line, size);
        render_key(&json, "applied_at");
        if (applied)
            render_text(&json, at + 1);
        else
            render_null(&json);
        render_close(&json, '}');
    }
    render_close(&json, ']');
    printf("%.*s\n", (int)json.size, json.data);
    buffer_deinit(&json);
}

int ctl_db_status(struct ctl *ctl, int argc, char **argv)
{
    bool json = false;
    const struct ctl_option options[] = {{"json", NULL, &json}, {NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    if (ctl_parse(argc, argv, options, &arguments) != OK)
        return EX_USAGE;
    if (arguments.count != 0)
        return ctl_fail(ERR_USAGE, "arguments", arguments.items[0], "none", "see --help behind the command");
    struct buffer lines = {.data = NULL};
    const struct migrate_report report = {append_line, &lines};
    enum err error = migrate_status(ctl->config->postgres_conninfo, &report);
    buffer_append(&lines, "", 1);
    if (error != OK && error != ERR_STALE) /* what could not be read */
        fputs(lines.data, stderr);
    else if (json)
        print_status_json(lines.data);
    else
        fputs(lines.data, stdout);
    buffer_deinit(&lines);
    return err_sysexit(error);
}
