/* alerts lists the episodes that PostgreSQL has; with --follow it hands over to command_follow.c. alert ack
 * speaks to the daemon: an acknowledgement is a command, journaled and published like everything else. */
#include <string.h>
#include <sysexits.h>

#include "daemon/base/hash.h"
#include "daemon/ctl/ctl_daemon.h"
#include "daemon/ctl/follow.h"
#include "storage/postgres.h"

enum { POSTGRES_TIMEOUT_MS = 60000 };

/* Columns in the order of the query below; those of width 0 are for --json alone. */
static const struct {
    const char *key;
    int width;
    bool number, boolean;
} columns[] = {
    {"episode_id", 36, false, false},     {"patient", 16, false, false},
    {"rule_id", 28, false, false},        {"side", 4, false, false},
    {"priority", 8, false, false},        {"state", 9, false, false},
    {"raised_at", 24, false, false},      {"cleared_at", 24, false, false},
    {"acknowledged_at", 0, false, false}, {"acknowledged_by", 0, false, false},
    {"class", 0, false, false},           {"rule_version", 0, true, false},
    {"retrospective", 0, false, true},    {"readings_in_breach", 0, true, false},
    {"last_sequence", 0, true, false},
};
enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

#define INSTANT(column) "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
static const char query[] =
    "SELECT episode_id, patient, rule_id, side, priority, state, " INSTANT("raised_at") ", " INSTANT(
        "cleared_at") ", " INSTANT("acknowledged_at") ", acknowledged_by, class, rule_version, "
                                                      "retrospective, readings_in_breach, last_sequence"
                                                      " FROM vigie.alert_history WHERE ($1 = '' OR patient = "
                                                      "$1) AND ($2 = '' OR state = $2)"
                                                      " ORDER BY raised_at NULLS FIRST, episode_id";

static void print_table(const PGresult *result)
{
    for (unsigned c = 0; c < COLUMNS && columns[c].width > 0; c++)
        printf("%-*s ", columns[c].width, columns[c].key);
    printf("\n");
    for (int row = 0; row < PQntuples(result); row++) {
        for (unsigned c = 0; c < COLUMNS && columns[c].width > 0; c++)
            printf("%-*s ", columns[c].width, PQgetvalue(result, row, (int)c));
        printf("\n");
    }
}

static void render_field(struct buffer *json, const PGresult *result, int row, unsigned column)
{
    const char *text = PQgetvalue(result, row, (int)column);
    render_key(json, columns[column].key);
    if (PQgetisnull(result, row, (int)column))
        render_null(json);
    else if (columns[column].boolean)
        render_boolean(json, text[0] == 't');
    else if (columns[column].number)
        render_raw(json, text, strlen(text));
    else
        render_text(json, text);
}

static void print_json(const PGresult *result)
{
    struct buffer json = {.data = NULL};
    render_open(&json, '[');
    for (int row = 0; row < PQntuples(result); row++) {
        render_open(&json, '{');
        for (unsigned c = 0; c < COLUMNS; c++)
            render_field(&json, result, row, c);
        render_close(&json, '}');
    }
    render_close(&json, ']');
    printf("%.*s\n", (int)json.size, json.data);
    buffer_deinit(&json);
}

static int list_alerts(const struct ctl *ctl, const char *patient, bool open, bool json)
{
    const struct postgres_options options = {.conninfo = ctl->config->postgres_conninfo,
                                             .application = "vigiectl",
                                             .timeout_ms = POSTGRES_TIMEOUT_MS,
                                             .quit_fd = -1};
    const char *const values[] = {patient == NULL ? "" : patient, open ? "open" : ""};
    const struct postgres_parameters parameters = {.count = 2, .values = values};
    struct postgres *postgres;
    PGresult *result = NULL;
    enum err error = postgres_open(&options, &postgres);
    if (error == OK)
        error = postgres_query(postgres, query, &parameters, &result);
    int status = EX_OK;
    if (error != OK)
        status =
            ctl_fail(error, "PostgreSQL", postgres_message(postgres), "the database of [postgres] conninfo",
                     "vigiectl db status shows whether the schema is there");
    else if (json)
        print_json(result);
    else
        print_table(result);
    PQclear(result);
    postgres_close(postgres);
    return status;
}

int ctl_alerts(struct ctl *ctl, int argc, char **argv)
{
    bool follow = false, open = false, json = false;
    const char *patient = NULL;
    const struct ctl_option options[] = {{"follow", NULL, &follow},
                                         {"open", NULL, &open},
                                         {"json", NULL, &json},
                                         {"patient", &patient, NULL},
                                         {NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    if (ctl_parse(argc, argv, options, &arguments) != OK)
        return EX_USAGE;
    if (arguments.count > 0)
        return ctl_fail(ERR_USAGE, "arguments", arguments.items[0], "options alone",
                        "vigiectl alerts --patient REF");
    const struct follow_options wanted = {.patient = patient, .open = open, .json = json};
    return follow ? follow_alerts(ctl, &wanted) : list_alerts(ctl, patient, open, json);
}

int ctl_alert_ack(struct ctl *ctl, int argc, char **argv)
{
    const char *author = NULL, *note = NULL;
    const struct ctl_option options[] = {
        {"author", &author, NULL}, {"note", &note, NULL}, {NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    uint8_t episode[UUID_BYTES];
    char target[UUID_TEXT + 32], text[UUID_TEXT + 1];
    if (ctl_parse(argc, argv, options, &arguments) != OK)
        return EX_USAGE;
    if (arguments.count != 1 || uuid_parse(arguments.items[0], strlen(arguments.items[0]), episode) != OK)
        return ctl_fail(ERR_USAGE, "arguments", arguments.count == 1 ? arguments.items[0] : "another number",
                        "the id of one episode", "vigiectl alerts --open shows them");
    uuid_format(episode, text);
    snprintf(target, sizeof(target), "/v1/alerts/%s/ack", text);
    struct buffer body = {.data = NULL};
    render_open(&body, '{');
    if (author != NULL) {
        render_key(&body, "author");
        render_text(&body, author);
    }
    if (note != NULL) {
        render_key(&body, "note");
        render_text(&body, note);
    }
    render_close(&body, '}');
    const struct ctl_call call = {.method = "POST",
                                  .target = target,
                                  .content_type = "application/json",
                                  .body = body.data,
                                  .body_size = body.size};
    struct admin_reply reply;
    int status = EX_OK;
    enum err error = ctl_ask_daemon(ctl, &call, &reply, &status);
    buffer_deinit(&body);
    if (error == ERR_NOT_FOUND)
        return ctl_daemon_is_down(ctl);
    if (error == OK)
        buffer_deinit(&reply.body);
    return status;
}
