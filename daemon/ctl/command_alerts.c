/* alerts lists the episodes that PostgreSQL has; with --follow it hands over to command_follow.c. What
 * a person says of an episode goes to the daemon: a command, journaled and published like everything else. */
#include <string.h>
#include <sysexits.h>

#include "daemon/base/hash.h"
#include "daemon/ctl/ctl_daemon.h"
#include "daemon/ctl/follow.h"
#include "daemon/ctl/listing.h"

/* In the order of the query below. */
static const struct listing_column columns[] = {
    {"episode_id", 36, LISTING_TEXT},
    {"patient", 16, LISTING_TEXT},
    {"rule_id", 28, LISTING_TEXT},
    {"side", 4, LISTING_TEXT},
    {"priority", 8, LISTING_TEXT},
    {"state", 9, LISTING_TEXT},
    {"raised_at", 24, LISTING_TEXT},
    {"cleared_at", 24, LISTING_TEXT},
    {"acknowledged_at", 0, LISTING_TEXT},
    {"acknowledged_by", 0, LISTING_TEXT},
    {"class", 0, LISTING_TEXT},
    {"rule_version", 0, LISTING_NUMBER},
    {"retrospective", 0, LISTING_BOOLEAN},
    {"readings_in_breach", 0, LISTING_NUMBER},
    {"last_sequence", 0, LISTING_NUMBER},
    {"handled_at", 0, LISTING_TEXT},
    {"handled_by", 0, LISTING_TEXT},
    {"handled_outcome", 0, LISTING_TEXT},
    {"shelved_until", 0, LISTING_TEXT},
};

static const char query[] =
    "SELECT episode_id, patient, rule_id, side, priority, state, to_char(raised_at AT TIME ZONE 'UTC', f), "
    "to_char(cleared_at AT TIME ZONE 'UTC', f), to_char(acknowledged_at AT TIME ZONE 'UTC', f), "
    "acknowledged_by, class, rule_version, retrospective, readings_in_breach, last_sequence, "
    "to_char(handled_at AT TIME ZONE 'UTC', f), handled_by, handled_outcome, "
    "to_char(shelved_until AT TIME ZONE 'UTC', f) "
    "FROM vigie.alert_history, " LISTING_TIMES
    " WHERE ($1 = '' OR patient = $1) AND ($2 = '' OR state = $2) ORDER BY raised_at NULLS FIRST, episode_id";

static int list_alerts(const struct ctl *ctl, const char *patient, bool open, bool json)
{
    const char *const values[] = {patient == NULL ? "" : patient, open ? "open" : ""};
    const struct listing listing = {.columns = columns,
                                    .count = sizeof(columns) / sizeof(columns[0]),
                                    .query = query,
                                    .parameters = {.count = 2, .values = values},
                                    .json = json};
    return listing_run(ctl, &listing);
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

/* What a person says of an episode, as the daemon's JSON; it says what is missing. */
struct words {
    const char *author, *note, *outcome, *until, *reason;
};

static void render_words(struct buffer *json, const struct words *words)
{
    const char *const pairs[][2] = {{"author", words->author},
                                    {"note", words->note},
                                    {"outcome", words->outcome},
                                    {"until", words->until},
                                    {"reason", words->reason}};
    render_open(json, '{');
    for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if (pairs[i][1] != NULL) {
            render_key(json, pairs[i][0]);
            render_text(json, pairs[i][1]);
        }
    render_close(json, '}');
}

static int ask_of_episode(struct ctl *ctl, const char *verb, const uint8_t episode[UUID_BYTES],
                          const struct words *words)
{
    char target[UUID_TEXT + 32], text[UUID_TEXT + 1];
    struct buffer body = {.data = NULL};
    uuid_format(episode, text);
    snprintf(target, sizeof(target), "/v1/alerts/%s/%s", text, verb);
    render_words(&body, words);
    const struct ctl_call call = {.method = "POST",
                                  .target = target,
                                  .content_type = "application/json",
                                  .body = body.data,
                                  .body_size = body.size};
    struct admin_reply reply;
    int status = EX_OK;
    if (ctl_need_daemon(ctl, &call, &reply, &status))
        buffer_deinit(&reply.body);
    buffer_deinit(&body);
    return status;
}

/* The options of the verb are those of the table in main.c; another one is a usage error. */
static int act(struct ctl *ctl, const char *verb, int argc, char **argv)
{
    struct words words = {NULL};
    bool handle = strcmp(verb, "handle") == 0, shelve = strcmp(verb, "shelve") == 0;
    struct ctl_option options[6] = {{"author", &words.author, NULL}, {"note", &words.note, NULL}};
    unsigned count = 2;
    if (handle)
        options[count++] = (struct ctl_option){"outcome", &words.outcome, NULL};
    if (shelve) {
        options[count++] = (struct ctl_option){"until", &words.until, NULL};
        options[count++] = (struct ctl_option){"reason", &words.reason, NULL};
    }
    struct ctl_arguments arguments;
    uint8_t episode[UUID_BYTES];
    if (ctl_parse(argc, argv, options, &arguments) != OK)
        return EX_USAGE;
    if (arguments.count != 1)
        return ctl_fail(ERR_USAGE, "arguments", "another number", "the id of one episode",
                        "vigiectl alerts --open shows them");
    if (uuid_parse(arguments.items[0], strlen(arguments.items[0]), episode) != OK)
        return ctl_fail(ERR_NOT_FOUND, "episode", arguments.items[0], "the id of an episode",
                        "vigiectl alerts --open shows them");
    return ask_of_episode(ctl, verb, episode, &words);
}

int ctl_alert_ack(struct ctl *ctl, int argc, char **argv)
{
    return act(ctl, "ack", argc, argv);
}

int ctl_alert_handle(struct ctl *ctl, int argc, char **argv)
{
    return act(ctl, "handle", argc, argv);
}

int ctl_alert_shelve(struct ctl *ctl, int argc, char **argv)
{
    return act(ctl, "shelve", argc, argv);
}

int ctl_alert_unshelve(struct ctl *ctl, int argc, char **argv)
{
    return act(ctl, "unshelve", argc, argv);
}
