/* backtest: reads and checks the rule file, finds the patients in scope, shows how far the workers are, and
 * prints what they found. Ctrl-C is told to the workers through a flag and a pipe, which ends their waits for
 * the server. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "alerting/exact_json.h"
#include "daemon/base/clock.h"
#include "daemon/base/file.h"
#include "daemon/base/slab.h"
#include "daemon/ctl/ctl.h"
#include "daemon/history/backtest.h"
#include "storage/sql_parameters.h"

enum {
    FILE_BYTES_MAX = 64 << 20,
    RULES_MAX = 4096,
    JOBS_MAX = 64,
    LOOK_MS = 20,
    LOOKS_A_LINE = 12,
    POSTGRES_TIMEOUT_MS = 60000
};
static const double MONTH_MS = 365.25 / 12 * 86400000; /* a month on average */

struct asked {
    const char *rules, *from, *to, *patients, *line, *jobs;
    bool json;
};

struct backtest {
    const struct ctl *ctl;
    struct asked asked;
    struct backtest_options options;
    struct backtest_rule *rules;
    int64_t *patients;
    struct backtest_progress progress;
    struct backtest_result result;
    int64_t began_ms;
    _Atomic bool over; /* the workers have ended */
    enum err error;
};

static int quit_pipe[2] = {-1, -1};

static void on_interrupt(int number)
{
    int before = errno;
    (void)!write(quit_pipe[1], "", 1);
    errno = before;
}

/* ---- rules ---- */

static bool take_rule(struct backtest *backtest, json_t *json, size_t row)
{
    const struct rule_bounds bounds = {backtest->ctl->config->alerting_lookback,
                                       backtest->ctl->config->alerting_lookback_continuous};
    struct rule_fault fault = {.key = ""};
    struct rule *parsed;
    const char *id = exact_json_string(json_object_get(json, "id")),
               *line = exact_json_string(json_object_get(json, "line"));
    if (line == NULL)
        line = backtest->asked.line; /* of a rule that names none */
    enum err error = rule_parse(json, &bounds, &parsed, &fault);
    if (error != OK || id == NULL || line == NULL) {
        fprintf(stderr, "%s:rule %zu %s: %s, found %s, expected %s, see RULES.md sections 2 and 3\n",
                backtest->asked.rules, row, id == NULL ? "" : id, error != OK ? fault.key : "line",
                error != OK ? fault.found : "nothing", error != OK ? fault.expected : "the line of the rule");
        if (error == OK)
            rule_free(parsed);
        return false;
    }
    rule_free(parsed);
    struct backtest_rule *rule = &backtest->rules[backtest->options.rules_count++];
    struct buffer command = {.data = NULL};
    (void)json_object_del(json, "requires_validation"); /* as if confirmed */
    snprintf(rule->id, sizeof(rule->id), "%s", id);
    snprintf(rule->line, sizeof(rule->line), "%s", line);
    buffer_printf(&command, "{\"command\":\"rule\",\"layer\":\"line\",\"scope\":");
    render_text(&command, line);
    buffer_printf(&command,
                  ",\"version\":%zu,\"author\":\"backtest\",\"role\":\"system\",\"reason\":\"backtest\","
                  "\"valid_from\":null,\"rule\":",
                  backtest->options.rules_count);
    exact_json_render(&command, json);
    buffer_append(&command, "}", 2);
    rule->command = command.data;
    return true;
}

/* A preset, an array of rules, or one rule. */
static int read_rules(struct backtest *backtest)
{
    struct buffer file = {.data = NULL};
    char why[120] = "";
    json_t *json = NULL, *rules, *one;
    size_t index;
    enum err error = file_read(backtest->asked.rules, FILE_BYTES_MAX, &file);
    if (error == OK)
        error = exact_json_load(file.data, file.size, &json, why, sizeof(why));
    buffer_deinit(&file);
    if (error != OK)
        return ctl_fail(error, backtest->asked.rules, *why == '\0' ? err_text(error) : why,
                        "a preset, a rule or an array of rules", "vigiectl rules check names what is wrong");
    rules = json_is_array(json) ? json_incref(json) : json_incref(json_object_get(json, "rules"));
    if (rules == NULL)
        rules = json_pack("[O]", json);
    bool good = json_array_size(rules) > 0 && json_array_size(rules) <= RULES_MAX;
    backtest->rules = calloc(RULES_MAX, sizeof(*backtest->rules));
    ensure(backtest->rules != NULL);
    json_array_foreach(rules, index, one) good = good && take_rule(backtest, one, index + 1);
    json_decref(rules);
    json_decref(json);
    backtest->options.rules = backtest->rules;
    return good ? EX_OK : EX_DATAERR;
}

/* ---- the time and the patients ---- */

static int read_time(const char *name, const char *text, int64_t *ret_ms)
{
    struct instant_parsed parsed;
    if (text == NULL || instant_parse(text, strlen(text), &parsed) != INSTANT_GOOD)
        return ctl_fail(ERR_USAGE, name, text == NULL ? "nothing" : text, "a date or a time with offset",
                        "as 2026-01-01 or 2026-01-31T08:00:00+01:00");
    *ret_ms = parsed.ms;
    return EX_OK;
}

static int read_times(struct backtest *backtest)
{
    struct backtest_options *options = &backtest->options;
    int status = read_time("--from", backtest->asked.from, &options->from_ms);
    if (status == EX_OK)
        status = read_time("--to", backtest->asked.to, &options->to_ms);
    if (status == EX_OK && options->to_ms <= options->from_ms)
        status = ctl_fail(ERR_USAGE, "--to", backtest->asked.to, "a time after --from",
                          "dates begin at 00:00 UTC");
    return status;
}

/* Texts as an array of PostgreSQL. */
static void put_element(struct buffer *array, const char *text, size_t size)
{
    buffer_text(array, array->size > 1 ? ",\"" : "\"");
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"' || text[i] == '\\')
            buffer_append(array, "\\", 1);
        buffer_append(array, &text[i], 1);
    }
    buffer_text(array, "\"");
}

static void put_scope(const struct backtest *backtest, struct buffer *refs, struct buffer *lines)
{
    buffer_text(refs, "{");
    buffer_text(lines, "{");
    for (const char *at = backtest->asked.patients; at != NULL && *at != '\0';) {
        size_t size = strcspn(at, ",");
        put_element(refs, at, size);
        at += size + (at[size] == ',');
    }
    if (backtest->asked.line != NULL)
        put_element(lines, backtest->asked.line, strlen(backtest->asked.line));
    for (size_t i = 0; backtest->asked.line == NULL && i < backtest->options.rules_count; i++)
        put_element(lines, backtest->rules[i].line, strlen(backtest->rules[i].line));
    buffer_append(refs, "}", 2);
    buffer_append(lines, "}", 2);
}

static const char find_patients[] =
    "SELECT p.patient_id FROM vigie.patient p WHERE ($1::text[] = '{}' OR p.ref = ANY ($1::text[])) "
    "AND p.line = ANY ($2::text[]) AND EXISTS (SELECT FROM vigie.journal_command c WHERE c.patient_id = "
    "p.patient_id) "
    "ORDER BY 1";

static int read_patients(struct backtest *backtest)
{
    const struct postgres_options connect = {.conninfo = backtest->ctl->config->postgres_conninfo,
                                             .application = "vigiectl",
                                             .timeout_ms = POSTGRES_TIMEOUT_MS,
                                             .quit_fd = quit_pipe[0]};
    struct buffer refs = {.data = NULL}, lines = {.data = NULL};
    put_scope(backtest, &refs, &lines);
    const char *const values[] = {refs.data, lines.data};
    const struct postgres_parameters parameters = {.count = 2, .values = values};
    struct postgres *postgres;
    PGresult *rows = NULL;
    enum err error = postgres_open(&connect, &postgres);
    if (error == OK)
        error = postgres_query(postgres, find_patients, &parameters, &rows);
    int status = EX_OK, count = error == OK ? PQntuples(rows) : 0;
    if (error != OK)
        status =
            ctl_fail(error, "PostgreSQL", postgres_message(postgres), "the database of [postgres] conninfo",
                     "vigiectl db status shows whether the schema is there");
    else if (count == 0)
        status =
            ctl_fail(ERR_NOT_FOUND, "patients", "none", "patients of the rules' line with a history",
                     "vigiectl alerts and rules show name patients; --line, --patients narrow the scope");
    backtest->patients = calloc((size_t)count + 1, sizeof(*backtest->patients));
    ensure(backtest->patients != NULL);
    for (int row = 0; row < count; row++)
        backtest->patients[row] = strtoll(PQgetvalue(rows, row, 0), NULL, 10);
    backtest->options.patients = backtest->patients;
    backtest->options.patients_count = (uint32_t)count;
    PQclear(rows);
    postgres_close(postgres);
    buffer_deinit(&refs);
    buffer_deinit(&lines);
    return status;
}

/* ---- running ---- */

static double seconds_since(int64_t began_ms)
{
    double seconds = (double)(clock_monotonic_ms() - began_ms) / 1000;
    return seconds > 0.001 ? seconds : 0.001;
}

static void show_progress(const struct backtest *backtest)
{
    double readings = (double)atomic_load(&backtest->progress.readings);
    fprintf(stderr, "\r%" PRIu32 " of %" PRIu32 " patients, %.0f readings/s ",
            atomic_load(&backtest->progress.patients_done), backtest->options.patients_count,
            readings / seconds_since(backtest->began_ms));
    fflush(stderr);
}

static void *run_all(void *context)
{
    struct backtest *backtest = context;
    backtest->error = backtest_run(&backtest->options, &backtest->result);
    atomic_store(&backtest->over, true);
    return NULL;
}

static bool is_interrupted(void)
{
    struct timespec now = {.tv_sec = 0};
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(quit_pipe[0], &readable);
    return pselect(quit_pipe[0] + 1, &readable, NULL, NULL, &now, NULL) > 0;
}

static void wait_for_workers(struct backtest *backtest)
{
    bool shows = isatty(STDERR_FILENO);
    for (unsigned looks = 0; !atomic_load(&backtest->over); looks++) {
        clock_sleep_ms(LOOK_MS);
        if (is_interrupted())
            atomic_store(&backtest->progress.stop, true);
        if (shows && looks % LOOKS_A_LINE == 0)
            show_progress(backtest);
    }
    if (shows)
        fputs("\n", stderr);
}

static int run(struct backtest *backtest)
{
    pthread_t thread;
    const struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    backtest->began_ms = clock_monotonic_ms();
    if (pthread_create(&thread, NULL, run_all, backtest) != 0)
        return ctl_fail(ERR_OS, "thread", strerror(errno), "a thread", "see ulimit -u");
    wait_for_workers(backtest);
    pthread_join(thread, NULL);
    if (is_interrupted())
        return ctl_fail(ERR_BUSY, "backtest", "an interrupt", "its end", "nothing was changed; run it again");
    if (backtest->error == ERR_REFUSED)
        return ctl_fail(backtest->error, backtest->asked.rules,
                        "a rule that the engine refuses beside the stored ones",
                        "a kind, parameter and sides as under its id before", "give it a new id");
    if (backtest->error == ERR_CORRUPT)
        return ctl_fail(backtest->error, "history", "readings of a patient whom no command enrolled",
                        "a history that is whole in PostgreSQL", "it is kept since migration 008");
    if (backtest->error != OK)
        return ctl_fail(backtest->error, "PostgreSQL", backtest->result.fault,
                        "the database of [postgres] conninfo",
                        "vigiectl db status shows whether the schema is there");
    return EX_OK;
}

/* ---- what was found ---- */

struct counts {
    unsigned before, after, of[3], changed, relevant;
    double months, seconds;
};

static struct counts count_result(const struct backtest *backtest)
{
    const struct backtest_result *result = &backtest->result;
    struct counts counts = {.months = (double)result->watched_ms / MONTH_MS,
                            .seconds = seconds_since(backtest->began_ms)};
    for (size_t i = 0; i < result->count; i++) {
        const struct backtest_episode *episode = &result->episodes[i];
        counts.before += episode->before;
        counts.after += episode->after;
        counts.of[episode->verdict]++;
        counts.changed += episode->verdict == BACKTEST_UNCHANGED && episode->changed;
        counts.relevant += episode->verdict == BACKTEST_REMOVED && episode->relevant;
    }
    return counts;
}

static double per_month(unsigned alerts, double months)
{
    return months > 0 ? alerts / months : 0;
}

static void thousandths_member(struct buffer *json, const char *key, double value)
{
    render_key(json, key);
    render_decimal(json, (int64_t)(value * 1000 + 0.5) * 1000);
}

static void render_episode(struct buffer *json, const struct backtest_episode *episode)
{
    char id[UUID_TEXT + 1];
    uuid_format(episode->episode_id, id);
    render_open(json, '{');
    render_text_member(json, "episode_id", id);
    render_text_member(json, "patient", episode->patient);
    render_text_member(json, "rule", episode->rule_id);
    render_text_member(json, "side", episode->side);
    render_text_member(json, "priority", episode->priority);
    render_key(json, "raised_at");
    render_instant(json, episode->raised_ms);
    render_key(json, "cleared_at");
    render_instant(json, episode->cleared_ms == INT64_MAX ? INSTANT_NONE : episode->cleared_ms);
    if (episode->verdict == BACKTEST_UNCHANGED) {
        render_key(json, "changed");
        render_boolean(json, episode->changed);
    }
    if (episode->verdict == BACKTEST_REMOVED) {
        render_key(json, "handled_as_relevant");
        render_boolean(json, episode->relevant);
    }
    render_close(json, '}');
}

static void render_list(struct buffer *json, const char *key, const struct backtest_result *result,
                        enum backtest_verdict verdict)
{
    render_key(json, key);
    render_open(json, '[');
    for (size_t i = 0; i < result->count; i++)
        if (result->episodes[i].verdict == verdict)
            render_episode(json, &result->episodes[i]);
    render_close(json, ']');
}

static void render_relevant(struct buffer *json, const struct backtest_result *result)
{
    char id[UUID_TEXT + 1];
    render_key(json, "removed_relevant");
    render_open(json, '[');
    for (size_t i = 0; i < result->count; i++) {
        if (result->episodes[i].verdict != BACKTEST_REMOVED || !result->episodes[i].relevant)
            continue;
        uuid_format(result->episodes[i].episode_id, id);
        render_text(json, id);
    }
    render_close(json, ']');
}

static void print_json(const struct backtest *backtest, const struct counts *counts)
{
    struct buffer json = {.data = NULL};
    render_open(&json, '{');
    render_key(&json, "from");
    render_instant(&json, backtest->options.from_ms);
    render_key(&json, "to");
    render_instant(&json, backtest->options.to_ms);
    render_key(&json, "rules");
    render_open(&json, '[');
    for (size_t i = 0; i < backtest->options.rules_count; i++)
        render_text(&json, backtest->rules[i].id);
    render_close(&json, ']');
    render_integer_member(&json, "patients", backtest->result.patients);
    thousandths_member(&json, "patient_months", counts->months);
    render_integer_member(&json, "alerts_before", counts->before);
    render_integer_member(&json, "alerts_after", counts->after);
    thousandths_member(&json, "per_patient_month_before", per_month(counts->before, counts->months));
    thousandths_member(&json, "per_patient_month_after", per_month(counts->after, counts->months));
    render_list(&json, "added", &backtest->result, BACKTEST_ADDED);
    render_list(&json, "removed", &backtest->result, BACKTEST_REMOVED);
    render_relevant(&json, &backtest->result);
    render_list(&json, "unchanged", &backtest->result, BACKTEST_UNCHANGED);
    render_integer_member(&json, "readings", (int64_t)backtest->result.readings);
    thousandths_member(&json, "seconds", counts->seconds);
    render_close(&json, '}');
    printf("%.*s\n", (int)json.size, json.data);
    buffer_deinit(&json);
}

static void print_list(const struct backtest_result *result, enum backtest_verdict verdict, const char *word)
{
    for (size_t i = 0; i < result->count; i++) {
        const struct backtest_episode *episode = &result->episodes[i];
        char id[UUID_TEXT + 1], raised[INSTANT_TEXT_MAX], cleared[INSTANT_TEXT_MAX] = "open";
        if (episode->verdict != verdict)
            continue;
        uuid_format(episode->episode_id, id);
        raised[instant_format(episode->raised_ms, raised)] = '\0';
        if (episode->cleared_ms != INT64_MAX)
            cleared[instant_format(episode->cleared_ms, cleared)] = '\0';
        printf("%s  %s  %-16s %-28s %-4s %-6s %s  %s%s\n", word, id, episode->patient, episode->rule_id,
               episode->side, episode->priority, raised, cleared,
               episode->relevant ? "  handled as relevant" : "");
    }
}

static void print_text(const struct backtest *backtest, const struct counts *counts)
{
    const struct backtest_result *result = &backtest->result;
    print_list(result, BACKTEST_ADDED, "added  ");
    print_list(result, BACKTEST_REMOVED, "removed");
    printf("%s%u added, %u removed, %u unchanged (%u of them begin, end or weigh otherwise)\n",
           counts->of[BACKTEST_ADDED] + counts->of[BACKTEST_REMOVED] > 0 ? "\n" : "",
           counts->of[BACKTEST_ADDED], counts->of[BACKTEST_REMOVED], counts->of[BACKTEST_UNCHANGED],
           counts->changed);
    printf("alerts per patient-month: %.3f before, %.3f after (%u and %u alerts, %" PRIu32
           " patients, %.1f months)\n",
           per_month(counts->before, counts->months), per_month(counts->after, counts->months),
           counts->before, counts->after, result->patients, counts->months);
    if (counts->relevant > 0)
        printf("%u of the removed were handled as relevant: these rules would have missed them\n",
               counts->relevant);
    printf("%" PRIu64 " readings in %.1f s\n", result->readings, counts->seconds);
}

static int backtest(struct backtest *backtest)
{
    int status = read_times(backtest);
    if (status == EX_OK)
        status = read_rules(backtest);
    if (status == EX_OK)
        status = read_patients(backtest);
    if (status == EX_OK)
        status = run(backtest);
    if (status != EX_OK)
        return status;
    struct counts counts = count_result(backtest);
    if (backtest->asked.json)
        print_json(backtest, &counts);
    else
        print_text(backtest, &counts);
    return EX_OK;
}

static void deinit(struct backtest *backtest)
{
    for (size_t i = 0; i < backtest->options.rules_count; i++)
        free(backtest->rules[i].command);
    free(backtest->rules);
    free(backtest->patients);
    backtest_result_deinit(&backtest->result);
}

int ctl_backtest(struct ctl *ctl, int argc, char **argv)
{
    struct backtest state = {.ctl = ctl};
    struct asked *asked = &state.asked;
    const struct ctl_option options[] = {{"rules", &asked->rules, NULL}, {"from", &asked->from, NULL},
                                         {"to", &asked->to, NULL},       {"patients", &asked->patients, NULL},
                                         {"line", &asked->line, NULL},   {"jobs", &asked->jobs, NULL},
                                         {"json", NULL, &asked->json},   {NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int jobs;
    if (ctl_parse(argc, argv, options, &arguments) != OK ||
        ctl_number("--jobs", asked->jobs, cores > 1 && cores < JOBS_MAX ? (int)cores : 1, &jobs) != OK)
        return EX_USAGE;
    if (arguments.count > 0 || asked->rules == NULL || jobs > JOBS_MAX)
        return ctl_fail(ERR_USAGE, "arguments",
                        arguments.count > 0 ? arguments.items[0] : "no --rules, or too many --jobs",
                        "--rules FILE --from T --to T, at most 64 jobs", "see --help behind the command");
    if (pipe(quit_pipe) != 0)
        return ctl_fail(err_from_errno(errno), "pipe", strerror(errno), "two descriptors", "see ulimit -n");
    struct engine_settings settings = ctl_engine_settings(ctl->config);
    json_object_seed(0); /* before there are threads */
    state.options = (struct backtest_options){.conninfo = ctl->config->postgres_conninfo,
                                              .settings = &settings,
                                              .jobs = (unsigned)jobs,
                                              .quit_fd = quit_pipe[0],
                                              .progress = &state.progress};
    int status = backtest(&state);
    deinit(&state);
    return status;
}
