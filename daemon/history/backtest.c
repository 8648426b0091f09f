/* backtest: workers take chunks of patients; a chunk is one query of published episodes, one cursor of
 * readings and an engine a patient. Results are put in order at the end, so that the number of workers does
 * not show. */
#include "daemon/history/backtest.h"

#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/limits.h"
#include "daemon/history/history_internal.h"

enum { CHUNK = 32, DAYS_HELD = 130 };
static const int64_t DAY_MS = 86400000;

struct told { /* an episode, published or as it follows */
    struct backtest_episode episode;
    int64_t patient_id;
    bool cancelled, matched;
};

struct told_list {
    struct told *items;
    size_t count, capacity;
};

struct run {
    const struct backtest_options *options;
    struct history_span span;
    _Atomic uint32_t next; /* patient that no worker has taken */
};

struct worker {
    struct run *run;
    struct history *history;
    struct told_list published, follows; /* of the chunk; of the patient */
    const struct past *past;
    uint64_t readings;
    pthread_t thread;
    bool refused;
    enum err error;
    struct backtest_result result; /* of its patients */
};

static struct told *add_told(struct told_list *list)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        list->items = realloc(list->items, list->capacity * sizeof(*list->items));
        ensure(list->items != NULL);
    }
    list->items[list->count] = (struct told){.episode = {.verdict = BACKTEST_ADDED}};
    return &list->items[list->count++];
}

static void copy(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text == NULL ? "" : text);
}

static bool is_candidate(const struct backtest_options *options, const char *rule_id)
{
    for (size_t i = 0; i < options->rules_count; i++)
        if (strcmp(options->rules[i].id, rule_id) == 0)
            return true;
    return false;
}

/* ---- what was published ---- */

static enum err read_published(struct worker *worker, const struct past *pasts, size_t count)
{
    const struct backtest_options *options = worker->run->options;
    struct buffer sql = {0};
    PGresult *rows = NULL;
    buffer_text(
        &sql,
        "SELECT patient_id, episode_id, rule_id, side, priority, raised_at, cleared_at, "
        "coalesce(handled_outcome, '') FROM vigie.alert WHERE state <> 'cancelled' AND raised_at IS NOT "
        "NULL AND patient_id IN (0");
    for (size_t i = 0; i < count; i++)
        buffer_printf(&sql, ",%" PRId64, pasts[i].patient_id);
    buffer_text(&sql, ") ORDER BY patient_id, raised_at, episode_id");
    buffer_append(&sql, "", 1);
    enum err error = history__query(worker->history, sql.data, &rows);
    buffer_deinit(&sql);
    worker->published.count = 0;
    for (int row = 0; error == OK && row < PQntuples(rows); row++) {
        if (!is_candidate(options, row_text(rows, row, 2)))
            continue;
        struct told *told = add_told(&worker->published);
        int64_t cleared_ms = row_time(rows, row, 6);
        told->patient_id = row_int8(rows, row, 0, 0);
        memcpy(told->episode.episode_id, PQgetvalue(rows, row, 1), UUID_BYTES);
        copy(told->episode.rule_id, sizeof(told->episode.rule_id), row_text(rows, row, 2));
        copy(told->episode.side, sizeof(told->episode.side), row_text(rows, row, 3));
        copy(told->episode.priority, sizeof(told->episode.priority), row_text(rows, row, 4));
        told->episode.raised_ms = row_time(rows, row, 5);
        told->episode.cleared_ms =
            cleared_ms == INSTANT_NONE || cleared_ms > worker->run->span.end.at_ms ? INT64_MAX : cleared_ms;
        told->episode.relevant = strcmp(row_text(rows, row, 7), "relevant") == 0;
    }
    PQclear(rows);
    return error;
}

/* ---- what follows ---- */

static int64_t time_of(const json_t *event, const char *key, int64_t absent_ms)
{
    const char *text = json_string_value(json_object_get(event, key));
    struct instant_parsed parsed;
    bool good = text != NULL && instant_parse(text, strlen(text), &parsed) == INSTANT_GOOD;
    return good ? parsed.ms : absent_ms;
}

static struct told *follows_of(struct worker *worker, const uint8_t id[UUID_BYTES])
{
    for (size_t i = worker->follows.count; i > 0; i--)
        if (memcmp(worker->follows.items[i - 1].episode.episode_id, id, UUID_BYTES) == 0)
            return &worker->follows.items[i - 1];
    struct told *told = add_told(&worker->follows);
    memcpy(told->episode.episode_id, id, UUID_BYTES);
    return told;
}

/* An event is the episode as it stands: the last one counts. */
static void take_event(void *context, const struct alert_event *event, const char *json, uint32_t json_size)
{
    struct worker *worker = context;
    if (event->class == ALERT_TECHNICAL || event->patient_id == 0)
        return;
    json_t *shown = json_loadb(json, json_size, 0, NULL);
    const char *rule_id = json_string_value(json_object_get(json_object_get(shown, "rule"), "id"));
    if (rule_id != NULL && is_candidate(worker->run->options, rule_id)) {
        struct told *told = follows_of(worker, event->episode_id);
        const char *state = json_string_value(json_object_get(shown, "state"));
        told->patient_id = event->patient_id;
        told->cancelled = state != NULL && strcmp(state, "cancelled") == 0;
        copy(told->episode.rule_id, sizeof(told->episode.rule_id), rule_id);
        copy(told->episode.side, sizeof(told->episode.side),
             json_string_value(json_object_get(shown, "side")));
        copy(told->episode.priority, sizeof(told->episode.priority),
             priority_word((enum priority)event->priority));
        told->episode.raised_ms = time_of(shown, "raised_at", INT64_MIN);
        told->episode.cleared_ms = time_of(shown, "cleared_at", INT64_MAX);
    }
    json_decref(shown);
}

/* ---- one against the other ---- */

static bool share_an_instant(const struct backtest_episode *a, const struct backtest_episode *b)
{
    if (strcmp(a->rule_id, b->rule_id) != 0 || strcmp(a->side, b->side) != 0)
        return false;
    return a->raised_ms == b->raised_ms || (a->raised_ms < b->cleared_ms && b->raised_ms < a->cleared_ms);
}

static bool is_asked_for(const struct worker *worker, const struct told *told)
{
    const struct backtest_options *options = worker->run->options;
    return told->episode.raised_ms >= options->from_ms && told->episode.raised_ms < options->to_ms;
}

static void report(struct worker *worker, struct told *told, enum backtest_verdict verdict)
{
    struct backtest_result *result = &worker->result;
    told->episode.verdict = verdict;
    copy(told->episode.patient, sizeof(told->episode.patient), worker->past->ref);
    if (result->count == result->capacity) {
        result->capacity = result->capacity == 0 ? 256 : result->capacity * 2;
        result->episodes = realloc(result->episodes, result->capacity * sizeof(*result->episodes));
        ensure(result->episodes != NULL);
    }
    result->episodes[result->count++] = told->episode;
}

static int by_beginning(const void *a, const void *b)
{
    const struct told *x = a, *y = b;
    return (x->episode.raised_ms > y->episode.raised_ms) - (x->episode.raised_ms < y->episode.raised_ms);
}

/* The published one that an episode takes: the earliest that matches and is not taken. */
static struct told *find_match(struct worker *worker, const struct told *follows)
{
    for (size_t i = 0; i < worker->published.count; i++) {
        struct told *published = &worker->published.items[i];
        if (published->patient_id == worker->past->patient_id && !published->matched &&
            share_an_instant(&published->episode, &follows->episode))
            return published;
    }
    return NULL;
}

static void match_one(struct worker *worker, struct told *follows)
{
    struct told *published = find_match(worker, follows);
    follows->episode.after = is_asked_for(worker, follows);
    if (published == NULL) {
        if (follows->episode.after)
            report(worker, follows, BACKTEST_ADDED);
        return;
    }
    published->matched = true;
    published->episode.before = is_asked_for(worker, published);
    published->episode.after = follows->episode.after;
    published->episode.changed = published->episode.raised_ms != follows->episode.raised_ms ||
                                 published->episode.cleared_ms != follows->episode.cleared_ms ||
                                 strcmp(published->episode.priority, follows->episode.priority) != 0;
    if (published->episode.before || published->episode.after)
        report(worker, published, BACKTEST_UNCHANGED);
}

static void compare(struct worker *worker)
{
    if (worker->follows.count > 1)
        qsort(worker->follows.items, worker->follows.count, sizeof(struct told), by_beginning);
    for (size_t i = 0; i < worker->follows.count; i++)
        if (!worker->follows.items[i].cancelled)
            match_one(worker, &worker->follows.items[i]);
    for (size_t i = 0; i < worker->published.count; i++) {
        struct told *told = &worker->published.items[i];
        if (told->patient_id != worker->past->patient_id || told->matched || !is_asked_for(worker, told))
            continue;
        told->episode.before = true;
        report(worker, told, BACKTEST_REMOVED);
    }
}

/* ---- one patient ---- */

/* How long the patient was watched in the time asked for. */
static int64_t watched_ms(const struct backtest_options *options, const struct past *past)
{
    int64_t from_ms = past->enrolled_ms > options->from_ms ? past->enrolled_ms : options->from_ms;
    int64_t to_ms =
        past->left_ms != INSTANT_NONE && past->left_ms < options->to_ms ? past->left_ms : options->to_ms;
    return to_ms > from_ms ? to_ms - from_ms : 0;
}

static void feed_candidates(struct worker *worker, const struct past *past, struct feeder *feeder)
{
    const struct backtest_options *options = worker->run->options;
    struct place place = {worker->run->span.from_ms, 0};
    if (past->count > 0 && past->items[0]->place.at_ms < place.at_ms)
        place.at_ms = past->items[0]->place.at_ms;
    for (size_t i = 0; i < options->rules_count; i++) {
        const struct backtest_rule *rule = &options->rules[i];
        worker->refused =
            worker->refused || feeder_command(feeder, &place, rule->command, strlen(rule->command)) != OK;
    }
}

static struct feeder *begin(void *context, const struct past *past)
{
    struct worker *worker = context;
    struct engine_settings settings = *worker->run->options->settings;
    settings.shard = past->shard;
    struct feeder *feeder =
        feeder_new(&settings, &(struct engine_out){.event = take_event, .context = worker});
    worker->past = past;
    worker->follows.count = 0;
    worker->readings = 0;
    feed_candidates(worker, past, feeder);
    if (!worker->refused)
        return feeder;
    feeder_free(feeder);
    return NULL;
}

/* A candidate stands in the place of all versions of its id in the line. */
static bool is_wanted(void *context, const struct past_item *item)
{
    const struct worker *worker = context;
    const struct backtest_options *options = worker->run->options;
    if (item->json != NULL && command_kind_of(item->json, item->json_size) == COMMAND_REGISTRY)
        return false; /* what waits for a physician is no alert of a rule */
    for (size_t i = 0; item->json != NULL && strcmp(item->layer, "line") == 0 && i < options->rules_count;
         i++)
        if (strcmp(options->rules[i].id, item->rule_id) == 0 &&
            strcmp(options->rules[i].line, item->scope) == 0)
            return false;
    return true;
}

static void count_readings(void *context, const struct reading *readings, uint32_t count,
                           const uint8_t *tails)
{
    struct worker *worker = context;
    worker->readings += count;
    atomic_fetch_add_explicit(&worker->run->options->progress->readings, count, memory_order_relaxed);
}

static void end(void *context, const struct past *past, struct feeder *feeder)
{
    struct worker *worker = context;
    const struct backtest_options *options = worker->run->options;
    feeder_free(feeder);
    if (past == NULL)
        return;
    compare(worker);
    worker->result.watched_ms += watched_ms(options, past);
    worker->result.readings += worker->readings;
    worker->result.patients++;
    atomic_fetch_add_explicit(&options->progress->patients_done, 1, memory_order_relaxed);
}

/* ---- workers ---- */

static enum err run_chunk(struct worker *worker, uint32_t first, uint32_t count)
{
    const struct backtest_options *options = worker->run->options;
    const struct history_player player = {.begin = begin,
                                          .wanted = is_wanted,
                                          .request = count_readings,
                                          .end = end,
                                          .stop = &options->progress->stop,
                                          .context = worker};
    struct past *pasts = NULL;
    size_t pasts_count = 0;
    enum err error = history_load(worker->history, options->patients + first, count, &pasts, &pasts_count);
    if (error == OK)
        error = read_published(worker, pasts, pasts_count);
    return error == OK ? history_play(worker->history, pasts, pasts_count, &worker->run->span, &player)
                       : error;
}

static void give_up(struct worker *worker, enum err error)
{
    worker->error = worker->refused ? ERR_REFUSED : error;
    copy(worker->result.fault, sizeof(worker->result.fault), history_message(worker->history));
    atomic_store(&worker->run->options->progress->stop, true);
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct run *run = worker->run;
    const struct backtest_options *options = run->options;
    enum err error = history_open(options->conninfo, options->quit_fd, &worker->history);
    uint32_t first;
    while (error == OK && (first = atomic_fetch_add(&run->next, CHUNK)) < options->patients_count) {
        uint32_t left = options->patients_count - first;
        error = atomic_load(&options->progress->stop) ? ERR_CLOSED
                                                      : run_chunk(worker, first, left < CHUNK ? left : CHUNK);
    }
    if (error != OK)
        give_up(worker, error);
    history_close(worker->history);
    free(worker->published.items);
    free(worker->follows.items);
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    const struct backtest_episode *x = a, *y = b;
    int order = strcmp(x->patient, y->patient);
    if (order == 0)
        order = strcmp(x->rule_id, y->rule_id);
    if (order == 0)
        order = strcmp(x->side, y->side);
    if (order == 0)
        order = (x->raised_ms > y->raised_ms) - (x->raised_ms < y->raised_ms);
    return order != 0 ? order : (int)x->verdict - (int)y->verdict;
}

static void take_result(struct backtest_result *all, const struct backtest_result *part)
{
    if (part->count > 0) {
        all->capacity = all->count + part->count;
        all->episodes = realloc(all->episodes, all->capacity * sizeof(*all->episodes));
        ensure(all->episodes != NULL);
        memcpy(all->episodes + all->count, part->episodes, part->count * sizeof(*all->episodes));
        all->count += part->count;
    }
    all->watched_ms += part->watched_ms;
    all->readings += part->readings;
    all->patients += part->patients;
}

enum err backtest_run(const struct backtest_options *options, struct backtest_result *result)
{
    const struct engine_settings *settings = options->settings;
    int64_t lookback_ms = settings->lookback_ms > settings->lookback_continuous_ms
                              ? settings->lookback_ms
                              : settings->lookback_continuous_ms;
    struct run run = {.options = options};
    /* days look back 130 days, everything else a look-back */
    run.span = (struct history_span){.from_ms = options->from_ms - DAYS_HELD * DAY_MS - lookback_ms,
                                     .end = {options->to_ms + lookback_ms, UINT64_MAX >> 1}};
    struct worker *workers = calloc(options->jobs, sizeof(*workers));
    ensure(workers != NULL && options->jobs > 0);
    unsigned started = 0;
    for (; started < options->jobs; started++) {
        workers[started].run = &run;
        if (pthread_create(&workers[started].thread, NULL, work, &workers[started]) != 0)
            break;
    }
    enum err error = started == 0 ? ERR_OS : OK;
    for (unsigned i = 0; i < started; i++) {
        pthread_join(workers[i].thread, NULL);
        take_result(result, &workers[i].result);
        /* ERR_CLOSED is what the others say of the first that failed */
        if (workers[i].error != OK && (error == OK || error == ERR_CLOSED)) {
            error = workers[i].error;
            copy(result->fault, sizeof(result->fault), workers[i].result.fault);
        }
        backtest_result_deinit(&workers[i].result);
    }
    free(workers);
    if (result->count > 1)
        qsort(result->episodes, result->count, sizeof(result->episodes[0]), by_name);
    return error;
}

void backtest_result_deinit(struct backtest_result *result)
{
    free(result->episodes);
    *result = (struct backtest_result){.episodes = NULL};
}
