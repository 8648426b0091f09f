/* db migrate and db status: straight to PostgreSQL. A migration also brings the presets in, so that a line
 * can be enrolled on before the daemon has ever run. */
#include <sysexits.h>

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
    enum err error = ERR_STALE;
    for (unsigned i = 0; error == ERR_STALE && i < TRIES_MAX; i++) {
        struct row_changes loaded = {.items = NULL};
        error =
            registry_postgres_load(transaction->postgres, transaction->rows, &loaded, transaction->version);
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

int ctl_db_status(struct ctl *ctl, int argc, char **argv)
{
    int status = no_arguments(argc, argv);
    if (status != EX_OK)
        return status;
    const struct migrate_report report = {print_line, stdout};
    return err_sysexit(migrate_status(ctl->config->postgres_conninfo, &report));
}
