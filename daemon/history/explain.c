/* explain: the replay and the comparison. Steps are those of the last walk of the judge: a walk that begins
 * again further back replaces what was seen from there on. */
#include "daemon/history/explain.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/history/history_internal.h"
#include "daemon/history/reading_ids.h"
#include "daemon/model/parameter.h"

enum { STEPS_BEFORE = 5 }; /* readings in front of the beginning that are shown */

static void *grown(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity == 0 ? 64 : *capacity * 2;
    void *more = realloc(array, *capacity * size);
    ensure(more != NULL);
    return more;
}

struct explaining {
    struct explanation *of;
    const struct engine_settings *settings;
    struct published *published; /* of the patient */
    size_t published_count;
    struct place end;
    struct reading_ids ids;
    bool judged; /* steps come from the judge */
    bool was_again;
    int64_t walk_ms;
};

/* ---- what was published ---- */

static struct explained_event *event_of(struct explanation *explanation, int64_t sequence)
{
    for (size_t i = 0; i < explanation->events_count; i++)
        if (explanation->events[i].sequence == sequence)
            return &explanation->events[i];
    explanation->events = grown(explanation->events, explanation->events_count, &explanation->events_capacity,
                                sizeof(*explanation->events));
    struct explained_event *event = &explanation->events[explanation->events_count++];
    *event = (struct explained_event){.sequence = sequence};
    return event;
}

static enum err read_episode(struct history *history, struct explaining *explaining, int64_t *ret_patient)
{
    struct explanation *explanation = explaining->of;
    char id[UUID_TEXT + 1], sql[512];
    PGresult *rows = NULL;
    uuid_format(explanation->episode_id, id);
    snprintf(
        sql, sizeof(sql),
        "SELECT e.sequence::bigint, e.payload::text, e.decided_at, e.position, coalesce(a.patient_id, 0) "
        "FROM vigie.alert_event e JOIN vigie.alert a USING (episode_id) WHERE e.episode_id = '%s' "
        "ORDER BY e.decided_at, e.position",
        id);
    enum err error = history__query(history, sql, &rows);
    if (error != OK)
        return error;
    int count = PQntuples(rows);
    for (int row = 0; row < count; row++) {
        struct explained_event *event = event_of(explanation, row_int8(rows, row, 0, 0));
        free(event->published);
        event->published = strdup(row_text(rows, row, 1));
        explaining->end = (struct place){row_time(rows, row, 2), (uint64_t)row_int8(rows, row, 3, 0)};
        *ret_patient = row_int8(rows, row, 4, 0);
    }
    if (count > 0)
        explanation->last = json_loads(row_text(rows, count - 1, 1), 0, NULL);
    PQclear(rows);
    return count == 0 ? ERR_NOT_FOUND : explanation->last == NULL ? ERR_CORRUPT : OK;
}

static enum err read_published(struct history *history, struct explaining *explaining, int64_t patient_id)
{
    char sql[512];
    PGresult *rows = NULL;
    snprintf(sql, sizeof(sql),
             "SELECT e.event_id, e.decided_at, e.position FROM vigie.alert_event e JOIN vigie.alert a USING "
             "(episode_id) WHERE coalesce(a.patient_id, 0) = %" PRId64 " ORDER BY e.decided_at, e.position",
             patient_id);
    enum err error = history__query(history, sql, &rows);
    if (error != OK)
        return error;
    explaining->published_count = (size_t)PQntuples(rows);
    explaining->published = calloc(explaining->published_count + 1, sizeof(*explaining->published));
    ensure(explaining->published != NULL);
    for (size_t i = 0; i < explaining->published_count; i++) {
        int row = (int)i;
        memcpy(explaining->published[i].event_id, PQgetvalue(rows, row, 0), UUID_BYTES);
        explaining->published[i].place =
            (struct place){row_time(rows, row, 1), (uint64_t)row_int8(rows, row, 2, 0)};
    }
    PQclear(rows);
    return OK;
}

/* ---- what the engine gives ---- */

static void take_event(void *context, const struct alert_event *event, const char *json, uint32_t json_size)
{
    const struct explaining *explaining = context;
    struct explanation *explanation = explaining->of;
    if (memcmp(event->episode_id, explanation->episode_id, UUID_BYTES) != 0)
        return;
    struct explained_event *known = event_of(explanation, event->sequence);
    free(known->again);
    known->again = strndup(json, json_size);
    reading_ids_restore(&explaining->ids, known->again, json_size);
}

static struct explained_step *add_step(struct explanation *explanation)
{
    explanation->steps = grown(explanation->steps, explanation->steps_count, &explanation->steps_capacity,
                               sizeof(*explanation->steps));
    return &explanation->steps[explanation->steps_count++];
}

/* A walk that begins again takes the place of what was seen from its first reading on. */
static void begin_walk(struct explaining *explaining, const struct engine_step *step)
{
    struct explanation *explanation = explaining->of;
    const struct explained_step *steps = explanation->steps;
    size_t count = explanation->steps_count;
    bool goes_on = explaining->was_again && explaining->walk_ms == step->decided_ms && count > 0 &&
                   steps[count - 1].measured_ms <= step->measured_ms;
    explaining->was_again = step->again;
    explaining->walk_ms = step->decided_ms;
    if (!step->again || goes_on)
        return;
    while (count > 0 && steps[count - 1].measured_ms >= step->measured_ms)
        count--;
    explanation->steps_count = count;
}

static void take_step(void *context, const struct engine_step *step)
{
    struct explaining *explaining = context;
    struct explanation *explanation = explaining->of;
    if (!explaining->judged || strcmp(step->rule_id, explanation->rule_id) != 0 ||
        strcmp(step->side, explanation->side) != 0)
        return;
    begin_walk(explaining, step);
    *add_step(explanation) = (struct explained_step){
        .source = STEP_JUDGED,
        .measured_ms = step->measured_ms,
        .received_ms = step->received_ms,
        .value = step->value,
        .parameter = step->parameter,
        .comparator = step->comparator,
        .status = step->status,
        .compared = step->compared,
        .against = step->against,
        .breach = step->breach,
        .version = step->version,
        .in_force_from_ms = step->in_force_from_ms,
        .layer = step->layer,
        .decided = step->decided,
        .priority = step->priority,
    };
}

/* Whether receptions of the parameter say something about the episode. */
static bool is_of_parameter(const struct explanation *explanation, const struct reading *reading)
{
    const json_t *parameter = json_object_get(explanation->last, "parameter");
    const json_t *listed = json_object_get(
        json_object_get(json_object_get(explanation->last, "rule"), "parameters"), "parameters");
    if (reading->parameter >= PARAMETER_COUNT)
        return strcmp(explanation->class, "device") == 0;
    const char *name = parameter_row((enum parameter)reading->parameter)->name;
    const char *own = json_string_value(json_object_get(parameter, "name"));
    size_t index;
    json_t *one;
    if (own != NULL)
        return strcmp(own, name) == 0;
    json_array_foreach(listed, index,
                       one) if (json_is_string(one) && strcmp(json_string_value(one), name) == 0) return true;
    return false;
}

static void take_request(void *context, const struct reading *readings, uint32_t count, const uint8_t *tails)
{
    struct explaining *explaining = context;
    struct explanation *explanation = explaining->of;
    for (uint32_t i = 0; i < count; i++)
        reading_ids_add(&explaining->ids, &readings[i], tails + readings[i].tail_offset);
    for (uint32_t i = 0; i < count && !explaining->judged; i++)
        if (is_of_parameter(explanation, &readings[i]))
            *add_step(explanation) = (struct explained_step){
                .source = STEP_RECEIVED,
                .measured_ms = readings[i].measured_at_ms,
                .received_ms = readings[i].received_at_ms,
                .value = readings[i].value,
                .parameter = readings[i].parameter,
                .comparator = readings[i].comparator,
                .status = readings[i].status,
                .quarantine = readings[i].quarantine,
                .in_force_from_ms = INSTANT_NONE,
            };
}

/* ---- the steps that are shown ---- */

static int64_t shown_ms(const struct explained_step *step)
{
    return step->source == STEP_RECEIVED ? step->received_ms : step->measured_ms;
}

static void count_runs(struct explanation *explanation)
{
    uint32_t run = 0;
    int64_t earliest_ms = INT64_MAX;
    for (size_t i = 0; i < explanation->steps_count; i++) {
        run = explanation->steps[i].breach ? run + 1 : 0;
        explanation->steps[i].run = run;
    }
    for (size_t i = explanation->steps_count; i > 0; i--) {
        struct explained_step *step = &explanation->steps[i - 1];
        step->late = step->source == STEP_JUDGED && step->received_ms > earliest_ms;
        earliest_ms = step->received_ms < earliest_ms ? step->received_ms : earliest_ms;
    }
}

static int64_t time_of(const json_t *event, const char *key)
{
    const char *text = json_string_value(json_object_get(event, key));
    struct instant_parsed parsed;
    bool good = text != NULL && instant_parse(text, strlen(text), &parsed) == INSTANT_GOOD;
    return good ? parsed.ms : INSTANT_NONE;
}

/* From a few readings in front of the beginning (of the run, if it has one) to the end. */
static void cut_steps(struct explanation *explanation)
{
    int64_t raised_ms = time_of(explanation->last, "raised_at");
    size_t first = 0;
    while (first < explanation->steps_count && shown_ms(&explanation->steps[first]) < raised_ms)
        first++;
    while (first > 0 && first < explanation->steps_count && explanation->steps[first].run > 1)
        first--;
    first = first < STEPS_BEFORE ? 0 : first - STEPS_BEFORE;
    explanation->steps_count -= first;
    if (first > 0)
        memmove(explanation->steps, explanation->steps + first,
                explanation->steps_count * sizeof(explanation->steps[0]));
}

/* ---- all together ---- */

static struct feeder *begin(void *context, const struct past *past)
{
    struct explaining *explaining = context;
    struct engine_settings settings = *explaining->settings;
    const struct engine_out out = {.event = take_event, .step = take_step, .context = explaining};
    settings.shard = past->shard;
    settings.reading_key = explaining->ids.key;
    struct feeder *feeder = feeder_new(&settings, &out);
    feeder_follow(feeder, explaining->published, explaining->published_count);
    return feeder;
}

static void end(void *context, const struct past *past, struct feeder *feeder)
{
    feeder_free(feeder);
}

static int by_sequence(const void *a, const void *b)
{
    const struct explained_event *x = a, *y = b;
    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

static void compare(struct explanation *explanation)
{
    if (explanation->events_count > 1)
        qsort(explanation->events, explanation->events_count, sizeof(explanation->events[0]), by_sequence);
    explanation->equal = true;
    for (size_t i = 0; i < explanation->events_count; i++) {
        const struct explained_event *event = &explanation->events[i];
        explanation->equal = explanation->equal && event->published != NULL && event->again != NULL &&
                             strcmp(event->published, event->again) == 0;
    }
}

/* Kinds that judge readings one by one show what they saw. */
static bool judges_readings_of(const char *kind)
{
    static const char *const kinds[] = {"limit", "occurrences", "change", "reference", "rate"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i], kind) == 0)
            return true;
    return false;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

static void name_rule(struct explaining *explaining)
{
    struct explanation *explanation = explaining->of;
    const json_t *rule = json_object_get(explanation->last, "rule");
    explanation->rule_id = text_of(rule, "id");
    explanation->kind = text_of(rule, "kind");
    explanation->side = text_of(explanation->last, "side");
    explanation->class = text_of(explanation->last, "class");
    explaining->judged = judges_readings_of(explanation->kind);
}

/* The command that brought the version: who decided it, and why. */
static void find_author(struct explanation *explanation)
{
    const json_t *rule = json_object_get(explanation->last, "rule");
    const char *layer = text_of(rule, "layer");
    json_int_t version = json_integer_value(json_object_get(rule, "version"));
    for (size_t i = 0; i < explanation->past->count; i++) {
        const struct past_item *item = explanation->past->items[i];
        if (item->json == NULL || strcmp(item->rule_id, explanation->rule_id) != 0 ||
            strcmp(item->layer, layer) != 0)
            continue;
        json_t *command = json_loadb(item->json, item->json_size, 0, NULL);
        if (json_integer_value(json_object_get(command, "version")) == version) {
            json_decref(explanation->author);
            explanation->author = command;
        } else {
            json_decref(command);
        }
    }
}

static enum err replay(struct history *history, struct explaining *explaining, int64_t patient_id)
{
    struct explanation *explanation = explaining->of;
    struct past *pasts = NULL;
    size_t count = 0;
    const struct history_span span = {.from_ms = INT64_MIN, .end = explaining->end};
    const struct history_player player = {
        .begin = begin, .request = take_request, .end = end, .context = explaining};
    enum err error = history_load(history, &patient_id, 1, &pasts, &count);
    if (error == OK && count == 0)
        error = ERR_CORRUPT;
    if (error != OK)
        return error;
    explanation->past = &pasts[0];
    find_author(explanation);
    return history_play(history, pasts, count, &span, &player);
}

enum err explain_episode(struct history *history, const struct engine_settings *settings,
                         const uint8_t episode_id[UUID_BYTES], struct explanation **ret_explanation)
{
    struct explanation *explanation = calloc(1, sizeof(*explanation));
    ensure(explanation != NULL);
    struct explaining explaining = {.of = explanation, .settings = settings};
    int64_t patient_id = 0;
    memcpy(explanation->episode_id, episode_id, UUID_BYTES);
    enum err error = read_episode(history, &explaining, &patient_id);
    if (error == OK) {
        name_rule(&explaining);
        error = read_published(history, &explaining, patient_id);
    }
    if (error == OK)
        error = replay(history, &explaining, patient_id);
    free(explaining.published);
    reading_ids_deinit(&explaining.ids);
    if (error != OK) {
        explanation_free(explanation);
        return error;
    }
    count_runs(explanation);
    cut_steps(explanation);
    compare(explanation);
    *ret_explanation = explanation;
    return OK;
}

void explanation_free(struct explanation *explanation)
{
    if (explanation == NULL)
        return;
    for (size_t i = 0; i < explanation->events_count; i++) {
        free(explanation->events[i].published);
        free(explanation->events[i].again);
    }
    free(explanation->events);
    free(explanation->steps);
    json_decref(explanation->last);
    json_decref(explanation->author);
    free(explanation);
}
