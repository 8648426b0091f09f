/* vigiectl: one row of the table below is a command: its words, arguments, what the list says of it and what
 * its help teaches. main finds the row with the most words in common with the command line, loads the
 * configuration if the row asks for it, and hands the rest over. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "daemon/base/log.h"
#include "daemon/ctl/ctl.h"
#include "daemon/model/parameter.h"

static const struct ctl_command commands[] = {
    {"db migrate", "", "make or update the schema and the roles, load the presets",
     "Brings the database of [postgres] conninfo to what this program needs: roles without passwords, "
     "tables, views,\n"
     "parameters, and the rules of [alerting] presets_dir. One transaction, again and again, also beside a "
     "running\n"
     "daemon. [postgres] migrate_conninfo names the owner if the login of conninfo may not create roles.\n",
     true, ctl_db_migrate},
    {"db status", "[--json]", "list the migrations and when they were applied",
     "One line a migration. Exit 0 when none is pending, 75 otherwise.\n", true, ctl_db_status},
    {"import", "FILE.ndjson", "enrol patients, devices, sources and rules",
     "One JSON object a line; its \"type\" is organization, patient, identifier, device, assignment, source, "
     "rule,\n"
     "confirmation, reference, schedule, suspension or left. The file is one transaction: a line that is "
     "refused (exit\n"
     "65, with its number) leaves everything as it was. The same line again changes nothing. While the "
     "daemon runs the\n"
     "command returns when the change is in force on every loop and shard; with the daemon down it writes to "
     "PostgreSQL\n"
     "alone and the next start takes it over. \"-\" reads standard input. --json prints the daemon's "
     "answer.\n\n"
     "  {\"type\":\"organization\",\"ref\":\"CHU-X\",\"name\":\"Hospital X\"}\n"
     "  "
     "{\"type\":\"patient\",\"ref\":\"P-1\",\"organization\":\"CHU-X\",\"line\":\"heart-failure\",\"time_"
     "zone\":\"Europe/Paris\"}\n"
     "  {\"type\":\"device\",\"ref\":\"SN-42\",\"kind\":\"scale\"}\n"
     "  "
     "{\"type\":\"assignment\",\"device\":\"SN-42\",\"patient\":\"P-1\",\"from\":\"2026-01-01T00:00:00Z\","
     "\"to\":null}\n"
     "  "
     "{\"type\":\"source\",\"ref\":\"gw-1\",\"kind\":\"gateway\",\"devices\":[\"SN-42\"],\"organization\":"
     "\"CHU-X\"}\n",
     true, ctl_import},
    {"token issue", "SOURCE | --admin ROLE", "make a new token for a source; the old one ends at once",
     "256 random bits, printed once and stored as SHA-256. The source sends it as \"Authorization: Bearer "
     "TOKEN\".\n"
     "Exit 66 when there is no such source. --admin: a token for the admin port with one role: physician, "
     "nurse,\n"
     "operator, administrator, auditor or system.\n",
     true, ctl_token_issue},
    {"rules check", "FILE...", "check rules, presets or import files without loading them",
     "A file is a preset, one rule, an array of rules, or NDJSON of an import. Each fault is one line with "
     "file and row,\n"
     "key, found and expected. Exit 65 when anything is refused. The page RULES.md beside the README "
     "(installed in\n"
     "/usr/share/doc/vigie) has an example of each kind.\n",
     true, ctl_rules_check},
    {"rules show", "PATIENT [--json]", "the rules in force for a patient, each with its layer",
     "Asks the running daemon: what its shard judges by now, with layer (patient, team, organization or "
     "line), version\n"
     "and in_force_from.\n",
     true, ctl_rules_show},
    {"rules unconfirmed", "[--json]", "patients whom rules do not watch: no physician has confirmed them",
     "Asks the running daemon: each patient with line and the rules that wait, the first 1,000 a shard; the "
     "total is\n"
     "that of all (metric vigie_unconfirmed_patients). A line of type confirmation in an import puts a "
     "line's "
     "rules in force.\n",
     true, ctl_rules_unconfirmed},
    {"alerts", "[--follow] [--open] [--patient REF] [--json]",
     "list alerts from PostgreSQL, or live from Kafka",
     "Without --follow: the episodes in PostgreSQL, newest last; --open those that are open. --follow reads "
     "the topic of\n"
     "[kafka] from its end and prints each event as it arrives; --json prints one JSON object a line.\n",
     true, ctl_alerts},
    {"alert ack", "EPISODE [--author A] [--note T]", "acknowledge an episode",
     "Acknowledging is not handling and does not clear; an escalation asks again. Needs the running daemon. "
     "Exit 65 when\n"
     "the rules refuse it, 66 when there is no such episode.\n",
     true, ctl_alert_ack},
    {"alert handle", "EPISODE --outcome relevant|not-relevant|technical [--author A] [--note T]",
     "say what came of an episode",
     "Handling is not acknowledging and does not clear; a device's own alarm that is open is closed by it. "
     "Again with another\n"
     "outcome or note is a new event. Needs the running daemon. Exit 65 when the rules refuse it, 66 when "
     "there "
     "is no such\n"
     "episode.\n",
     true, ctl_alert_handle},
    {"alert shelve", "EPISODE --until T --reason T [--author A] [--note T]",
     "put an episode aside for at most 7 days",
     "Not for silence. The end of the shelf is an event, also when the episode has cleared by then; an "
     "episode "
     "that is raised or\n"
     "opened again leaves its shelf. --until is a time like 2026-12-01T08:00:00Z. Needs the running daemon. "
     "Exit 65 when the\n"
     "rules refuse it, 66 when there is no such episode.\n",
     true, ctl_alert_shelve},
    {"alert unshelve", "EPISODE [--author A] [--note T]", "end a shelf before its time",
     "Needs the running daemon. Exit 65 when the episode is not shelved, 66 when there is no such episode.\n",
     true, ctl_alert_unshelve},
    {"explain", "EPISODE [--json] [--lang fr|en]",
     "decide an episode again from what is stored, step by step",
     "Plays everything of the patient that came before the last event of the episode, readings, rule "
     "versions,\n"
     "confirmations, suspensions, outages, into an engine of its own and compares what it gives with what "
     "was\n"
     "published, byte by byte. Shows the rule and who put it in force, each reading with what it decided, "
     "late and\n"
     "corrected ones by name, in the patient's time. --json: {\"episode_id\", \"equal\", \"events\", "
     "\"steps\"}. Reads\n"
     "PostgreSQL alone. Exit 0 equal, 1 different, 66 no such episode.\n",
     true, ctl_explain},
    {"backtest", "--rules FILE --from T --to T [--patients REF,...] [--line L] [--json] [--jobs N]",
     "try rules against stored history: alerts added, removed, unchanged",
     "FILE is a preset, a rule or an array of rules, as rules check takes it. For every patient of their "
     "lines (or of\n"
     "--line, or those of --patients) the stored history is judged again with these rules in the place of "
     "the line's\n"
     "rules of the same ids, as if in force and confirmed since long before --from; rules of the patient, "
     "the team and\n"
     "the organisation stand above them as they did. The episodes raised in [--from, --to) are held against "
     "those that\n"
     "were published. An episode that was handled as relevant and would be gone is named. Nothing is "
     "changed; only\n"
     "PostgreSQL is read. Patients run in parallel (--jobs, default: the cores). Ctrl-C ends it (75).\n\n"
     "  vigiectl backtest --rules stricter.json --from 2026-01-01 --to 2026-07-01 --line heart-failure\n\n"
     "Exit 0 when it ran, 65 when a rule is refused, 66 without patients.\n",
     true, ctl_backtest},
    {"quarantine list", "[--patient REF] [--all] [--json]", "readings that were kept aside",
     "Not a possible value, a time in the future, or a unit that the code does not take (then the number "
     "stands as it "
     "was sent):\n"
     "accepted, stored aside, judged by no rule. Those that wait, oldest first; --all shows also those that "
     "were "
     "released or\n"
     "discarded, with --json who did it and why. Reads PostgreSQL alone.\n",
     true, ctl_quarantine_list},
    {"quarantine release", "ID... [--author A] [--reason T]", "it is a reading after all: store and judge it",
     "The reading enters with its original times, is judged by the rules like any other if it is younger "
     "than the "
     "look-back,\n"
     "and may raise alerts. One of the future is released once its time has come; one in a unit that its "
     "code does not "
     "take\n"
     "never: discard it and have it sent in a mass unit. Needs the running daemon and PostgreSQL. Journaled "
     "with author "
     "and\n"
     "reason. Exit 65 when it is refused or settled already, 66 when there is no such row.\n",
     true, ctl_quarantine_release},
    {"quarantine discard", "ID... [--author A] [--reason T]",
     "it is no reading: keep the row, judge it never",
     "A resend of it stays a duplicate. Needs the running daemon and PostgreSQL. Journaled with author and "
     "reason. Exit "
     "65 when\n"
     "it is settled already, 66 when there is no such row.\n",
     true, ctl_quarantine_discard},
    {"rejected list", "[--source REF] [--json]", "what senders who cannot be told have sent in vain",
     "MQTT 3.1.1 and QoS 0 know no refusal, and a message of several readings may be refused in part: such "
     "bytes "
     "are kept for 30\n"
     "days, encrypted, in vigie.rejected with the reason. Rows of code not-storable are the loader's own: "
     "PostgreSQL refused\n"
     "them with the SQLSTATE in text. Reads PostgreSQL alone.\n",
     true, ctl_rejected_list},
    {"rejected show", "ID [--json]", "decrypt one to standard output, to the byte",
     "Needs the journal's key ([journal] key or old_keys), so run it as root or as the daemon's user. "
     "--json: code, text, "
     "source and\n"
     "the bytes as base64, as text too if they are UTF-8. It shows what a patient's device sent: mind where "
     "the output "
     "goes.\n"
     "Exit 66 when there is no such row.\n",
     true, ctl_rejected_show},
    {"clock status", "[--json]", "engine time beside the wall clock",
     "Decisions rest on engine time, which follows the wall clock but no jump of more than 60 s. States: "
     "following, jump,\n"
     "catching-up (a confirmed wall clock lies behind), held, moved (test clock). Exit 75 when it is jump.\n",
     true, ctl_clock_status},
    {"clock accept", "[--author A] [--json]", "confirm a wall clock that jumped",
     "Look at the clock first (date, timedatectl): a wrong one makes readings unjudged. A clock ahead is "
     "taken "
     "at once, and\n"
     "the time skipped counts as an outage of ours; a clock behind is approached at half speed. Exit 65 when "
     "there is nothing\n"
     "to confirm. Journaled with its author.\n",
     true, ctl_clock_accept},
    {"journal status", "[--json]", "size, positions and backlog of the journal",
     "Per shard: segments, bytes, oldest and newest position; the disk, hours left at the present rate; how "
     "far "
     "the sinks are. Works beside a "
     "running daemon.\n",
     true, ctl_journal_status},
    {"journal verify", "[--json]", "check every block of the journal",
     "Reads all segments and checks headers, checksums and order. Exit 65 with one line a finding.\n", true,
     ctl_journal_verify},
    {"journal dump", "[--json] [--shard N] [--from POSITION]",
     "print every record of the journal as JSON lines",
     "Shows readings in clear: mind where the output goes. Positions are those of vigie.reading and of "
     "messages "
     "of the log.\n"
     "Exit 65 when the journal is damaged, 66 when POSITION was trimmed.\n",
     true, ctl_journal_dump},
    {"kafka check", "[--json]", "whether the brokers answer and the topic is there",
     "Exit 0 when every topic is there and each partition has a leader; 69 without broker; 78 when a topic "
     "is missing.\n",
     true, ctl_kafka_check},
    {"kafka create", "[--partitions 12] [--replication 1]", "make the topic",
     "vigied never makes a topic: this does. One that exists is left as it is.\n", true, ctl_kafka_create},
    {"doctor", "[--json]", "look at clock, disk, keys, certificates, servers and daemon at once",
     "One line a check: ok, warn or fail, what was found, what is expected and a hint. Exit 0 when nothing "
     "fails\n"
     "(warnings are no failure), 1 otherwise. Run it as root: keys and state_dir are closed to others.\n",
     true, ctl_doctor},
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const char default_config[] = "/etc/vigie/vigie.conf";

static void print_usage(FILE *out)
{
    fprintf(out,
            "usage: vigiectl [--config FILE] COMMAND [ARGUMENTS]\n\n"
            "  --config FILE   default %s\n  --help          this list; behind a command: what it does\n"
            "  --version\n\n",
            default_config);
    for (unsigned i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-18s %s\n", commands[i].words, commands[i].summary);
    fprintf(out,
            "\nExit status: 0, or one of sysexits.h; errors are one line: what, found, expected, hint.\n");
}

static void print_help(const struct ctl_command *command)
{
    printf("usage: vigiectl [--config FILE] %s %s\n\n%s\n", command->words, command->arguments,
           command->help);
}

/* How many of the words given are those of the command; 0: not this one. */
static int words_matched(const struct ctl_command *command, int argc, char **argv)
{
    const char *words = command->words;
    int count = 0;
    while (*words != '\0') {
        size_t size = strcspn(words, " ");
        if (count == argc || strlen(argv[count]) != size || strncmp(argv[count], words, size) != 0)
            return 0;
        count++;
        words += size + (words[size] == ' ');
    }
    return count;
}

static const struct ctl_command *find_command(int argc, char **argv, int *ret_words)
{
    for (unsigned i = 0; i < COMMANDS; i++) {
        *ret_words = words_matched(&commands[i], argc, argv);
        if (*ret_words > 0)
            return &commands[i];
    }
    return NULL;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

static void report_fault(void *context, const char *line)
{
    fprintf(stderr, "vigiectl: %s\n", line);
}

static int run(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv)
{
    if (asks_for_help(argc, argv)) {
        print_help(command);
        return EX_OK;
    }
    if (parameter_init() != OK)
        return ctl_fail(ERR_OS, "parameter table", "a row that cannot be read", "a whole table",
                        "install the program again");
    enum err error =
        command->needs_config ? config_load(ctl->config_path, report_fault, NULL, &ctl->config) : OK;
    if (error != OK)
        return error == ERR_CONFIG ? err_sysexit(error)
                                   : ctl_fail(error, "configuration", err_text(error), "a readable file",
                                              "name it with --config FILE");
    int status = command->run(ctl, argc, argv);
    config_free(ctl->config);
    return status;
}

int main(int argc, char **argv)
{
    struct ctl ctl = {.config_path = default_config};
    int at = 1, words;
    signal(SIGPIPE, SIG_IGN);
    log_configure(LOG_ERROR, LOG_FORMAT_TEXT);
    if (argc > 2 && strcmp(argv[1], "--config") == 0) {
        ctl.config_path = argv[2];
        at = 3;
    } else if (argc > 1 && strncmp(argv[1], "--config=", 9) == 0) {
        ctl.config_path = argv[1] + 9;
        at = 2;
    }
    if (at < argc && strcmp(argv[at], "--version") == 0) {
        printf("vigiectl %s\n", VIGIE_VERSION);
        return EX_OK;
    }
    const struct ctl_command *command = at < argc ? find_command(argc - at, argv + at, &words) : NULL;
    if (command != NULL)
        return run(&ctl, command, argc - at - words, argv + at + words);
    if (asks_for_help(argc - at, argv + at)) {
        print_usage(stdout);
        return EX_OK;
    }
    if (at < argc)
        return ctl_fail(ERR_USAGE, "command", argv[at], "a command of the list", "vigiectl --help shows it");
    print_usage(stderr);
    return EX_USAGE;
}
