/* quarantine lists what PostgreSQL has of it; what a person says of a row goes to the daemon: a command,
 * journaled like everything else, and a reading that is released goes the way of all readings. */
#include <string.h>
#include <sysexits.h>

#include "daemon/ctl/ctl_daemon.h"
#include "daemon/ctl/listing.h"

enum { ID_DIGITS_MAX = 18 };

static const struct listing_column columns[] = {
    {"quarantine_id", 13, LISTING_NUMBER}, {"received_at", 24, LISTING_TEXT},
    {"patient", 16, LISTING_TEXT},         {"parameter", 24, LISTING_TEXT},
    {"value", 16, LISTING_NUMBER},         {"unit", 10, LISTING_TEXT},
    {"measured_at", 24, LISTING_TEXT},     {"reason", 10, LISTING_TEXT},
    {"device", 16, LISTING_TEXT},          {"settled", 10, LISTING_TEXT},
    {"released_at", 0, LISTING_TEXT},      {"discarded_at", 0, LISTING_TEXT},
    {"settled_by", 0, LISTING_TEXT},       {"settled_reason", 0, LISTING_TEXT},
    {"reading_id", 0, LISTING_TEXT},       {"status", 0, LISTING_TEXT},
    {"original", 0, LISTING_JSON},
};

/* Who settled a row, and why, are in its command. A unit that the code does not take leaves the number
 * without one: it is shown as it was sent. */
static const char query[] =
    "SELECT quarantine_id, to_char(q.received_at AT TIME ZONE 'UTC', f), a.ref, p.name, "
    "trim_scale(value::numeric / 1000000), "
    "CASE WHEN reason = 'unit' THEN original->>'original_unit' ELSE p.unit END, "
    "to_char(q.measured_at AT TIME ZONE 'UTC', f), reason, original->>'key_device', "
    "CASE WHEN released_at IS NOT NULL THEN 'released' WHEN discarded_at IS NOT NULL THEN 'discarded' END, "
    "to_char(released_at AT TIME ZONE 'UTC', f), to_char(discarded_at AT TIME ZONE 'UTC', f), "
    "c.payload->>'author', c.payload->>'reason', reading_id, q.status, original "
    "FROM " LISTING_TIMES ", vigie.quarantine q JOIN vigie.parameter p USING (parameter_id) "
    "JOIN vigie.patient a USING (patient_id) "
    "LEFT JOIN vigie.journal_command c ON c.patient_id = q.patient_id AND c.command IN ('release', "
    "'discard') "
    "AND (c.payload->>'quarantine_id')::bigint = quarantine_id "
    "AND c.decided_at = coalesce(released_at, discarded_at) "
    "WHERE ($1 = '' OR a.ref = $1) AND ($2 <> '' OR (released_at IS NULL AND discarded_at IS NULL)) "
    "ORDER BY quarantine_id";

int ctl_quarantine_list(struct ctl *ctl, int argc, char **argv)
{
    bool all = false, json = false;
    const char *patient = NULL;
    const struct ctl_option options[] = {
        {"patient", &patient, NULL}, {"all", NULL, &all}, {"json", NULL, &json}, {NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    if (ctl_parse(argc, argv, options, &arguments) != OK)
        return EX_USAGE;
    if (arguments.count > 0)
        return ctl_fail(ERR_USAGE, "arguments", arguments.items[0], "options alone",
                        "vigiectl quarantine list --patient REF");
    const char *const values[] = {patient == NULL ? "" : patient, all ? "all" : ""};
    const struct listing listing = {.columns = columns,
                                    .count = sizeof(columns) / sizeof(columns[0]),
                                    .query = query,
                                    .parameters = {.count = 2, .values = values},
                                    .json = json};
    return listing_run(ctl, &listing);
}

/* OK: done, and said so. */
static int settle_one(const struct ctl *ctl, const char *verb, const char *id, const struct buffer *body)
{
    char target[64];
    snprintf(target, sizeof(target), "/v1/quarantine/%s/%s", id, verb);
    const struct ctl_call call = {.method = "POST",
                                  .target = target,
                                  .content_type = "application/json",
                                  .body = body->data,
                                  .body_size = body->size};
    struct admin_reply reply;
    int status = EX_OK;
    if (!ctl_need_daemon(ctl, &call, &reply, &status))
        return status;
    buffer_deinit(&reply.body);
    printf("%s %s\n", id, strcmp(verb, "release") == 0 ? "released" : "discarded");
    return EX_OK;
}

/* All are tried; the first that fails gives the exit status. */
static int settle(const struct ctl *ctl, const char *verb, int argc, char **argv)
{
    const char *author = NULL, *reason = NULL;
    const struct ctl_option options[] = {
        {"author", &author, NULL}, {"reason", &reason, NULL}, {NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    if (ctl_parse(argc, argv, options, &arguments) != OK)
        return EX_USAGE;
    if (arguments.count == 0)
        return ctl_fail(ERR_USAGE, "arguments", "no id", "ID... [--author A] [--reason T]",
                        "vigiectl quarantine list shows the ids");
    for (int i = 0; i < arguments.count; i++)
        if (arguments.items[i][strspn(arguments.items[i], "0123456789")] != '\0' ||
            strlen(arguments.items[i]) > ID_DIGITS_MAX)
            return ctl_fail(ERR_USAGE, "id", arguments.items[i], "a number",
                            "vigiectl quarantine list shows the ids");
    struct buffer body = {0};
    render_open(&body, '{');
    if (author != NULL)
        render_text_member(&body, "author", author);
    if (reason != NULL)
        render_text_member(&body, "reason", reason);
    render_close(&body, '}');
    int status = EX_OK;
    for (int i = 0; i < arguments.count; i++) {
        int one = settle_one(ctl, verb, arguments.items[i], &body);
        status = status == EX_OK ? one : status;
    }
    buffer_deinit(&body);
    return status;
}

int ctl_quarantine_release(struct ctl *ctl, int argc, char **argv)
{
    return settle(ctl, "release", argc, argv);
}

int ctl_quarantine_discard(struct ctl *ctl, int argc, char **argv)
{
    return settle(ctl, "discard", argc, argv);
}
