/* history: what of a past is journaled. Rules of line, organisation and team and the starts of the node are
 * read once a shard and shared by all its patients; of a patient's own rows there are few, read for a whole
 * chunk of patients at a time. */
#include "daemon/history/history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/history/history_internal.h"
#include "daemon/model/parameter.h"
#include "storage/sql_parameters.h"

enum { SERVER_SILENCE_MS = 600000 }; /* sorting years of readings takes its time */

int64_t row_int8(const PGresult *result, int row, int column, int64_t absent)
{
    return PQgetisnull(result, row, column) ? absent : sql_get_int64(PQgetvalue(result, row, column));
}

int64_t row_time(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column)
               ? INSTANT_NONE
               : sql_ms_from_time(sql_get_int64(PQgetvalue(result, row, column)));
}

enum err history__query(struct history *history, const char *sql, PGresult **ret_result)
{
    static const struct postgres_parameters binary = {.binary_result = true};
    return postgres_query(history->postgres, sql, &binary, ret_result);
}

static enum err read_parameters(struct history *history)
{
    PGresult *result = NULL;
    enum err error =
        history__query(history, "SELECT parameter_id::bigint, name FROM vigie.parameter", &result);
    if (error != OK)
        return error;
    for (size_t i = 0; i < PARAMETER_IDS_MAX; i++)
        history->parameters[i] = PARAMETER_COUNT;
    for (int row = 0; row < PQntuples(result); row++) {
        int64_t id = row_int8(result, row, 0, 0);
        const char *name = row_text(result, row, 1);
        enum parameter parameter;
        if (id > 0 && id < PARAMETER_IDS_MAX && parameter_by_name(name, strlen(name), &parameter) == OK)
            history->parameters[id] = (uint16_t)parameter;
    }
    PQclear(result);
    return OK;
}

enum err history_open(const char *conninfo, int quit_fd, struct history **ret_history)
{
    struct history *history = calloc(1, sizeof(*history));
    ensure(history != NULL);
    const struct postgres_options options = {
        .conninfo = conninfo, .application = "vigiectl", .timeout_ms = SERVER_SILENCE_MS, .quit_fd = quit_fd};
    *ret_history = history;
    enum err error = postgres_open(&options, &history->postgres);
    return error == OK ? read_parameters(history) : error;
}

static void stored_deinit(struct stored *stored)
{
    PQclear(stored->result);
    free(stored->items);
    *stored = (struct stored){.result = NULL};
}

void history_clear(struct history *history)
{
    for (size_t i = 0; i < history->pasts_count; i++) {
        stored_deinit(&history->own[i]);
        free(history->pasts[i].items);
    }
    free(history->own);
    free(history->pasts);
    PQclear(history->patients);
    history->own = NULL;
    history->pasts = NULL;
    history->patients = NULL;
    history->pasts_count = 0;
}

void history_close(struct history *history)
{
    if (history == NULL)
        return;
    history_clear(history);
    for (unsigned i = 0; i < SHARDS_MAX; i++)
        stored_deinit(&history->shared[i]);
    postgres_close(history->postgres);
    free(history);
}

struct postgres *history_postgres(struct history *history)
{
    return history->postgres;
}

const char *history_message(const struct history *history)
{
    return postgres_message(history->postgres);
}

/* ---- items ---- */

/* Both kinds of rows under the same columns, in order. */
#define COMMAND_COLUMNS                                                                                      \
    "SELECT c.decided_at, c.position, c.payload::text, "                                                     \
    "coalesce(c.payload->>'layer', c.payload->>'organization', ''), "                                        \
    "coalesce(c.payload->>'scope', c.payload->>'line', ''), coalesce(c.payload->'rule'->>'id', ''), "        \
    "NULL::timestamptz, 0::bigint, "                                                                         \
    "0::bigint FROM vigie.journal_command c "
#define START_COLUMNS                                                                                        \
    "SELECT engine_at, position, NULL, '', '', '', since, up_ms, kind::bigint FROM vigie.engine_start "

static enum err read_items(struct history *history, struct buffer *sql, struct stored *ret)
{
    PGresult *result = NULL;
    buffer_append(sql, "", 1);
    enum err error = history__query(history, sql->data, &result);
    if (error != OK)
        return error;
    ret->result = result;
    ret->count = (size_t)PQntuples(result);
    ret->items = calloc(ret->count + 1, sizeof(*ret->items));
    ensure(ret->items != NULL);
    for (size_t i = 0; i < ret->count; i++) {
        int row = (int)i;
        ret->items[i] = (struct past_item){
            .place = {row_time(result, row, 0), (uint64_t)row_int8(result, row, 1, 0)},
            .json = PQgetisnull(result, row, 2) ? NULL : row_text(result, row, 2),
            .json_size = (size_t)PQgetlength(result, row, 2),
            .layer = row_text(result, row, 3),
            .scope = row_text(result, row, 4),
            .rule_id = row_text(result, row, 5),
            .since_ms = row_time(result, row, 6),
            .up_ms = row_int8(result, row, 7, 0),
            .kind = (enum tick_kind)row_int8(result, row, 8, 0),
        };
    }
    return OK;
}

static enum err read_shared(struct history *history, uint32_t shard)
{
    ensure(shard < SHARDS_MAX);
    if (history->shared_known[shard])
        return OK;
    struct buffer sql = {0};
    buffer_printf(&sql,
                  COMMAND_COLUMNS
                  "WHERE shard = %" PRIu32 " AND patient_id IS NULL AND episode_id IS NULL AND "
                  "command IN ('rule', 'registry') UNION ALL " START_COLUMNS "WHERE shard = %" PRIu32
                  " ORDER BY 1, 2",
                  shard, shard);
    enum err error = read_items(history, &sql, &history->shared[shard]);
    buffer_deinit(&sql);
    history->shared_known[shard] = error == OK;
    return error;
}

static enum err read_own(struct history *history, const struct past *past, struct stored *ret)
{
    struct buffer sql = {0};
    if (past->patient_id == 0)
        buffer_printf(&sql,
                      COMMAND_COLUMNS "WHERE shard = 0 AND command = 'condition' OR episode_id IN (SELECT "
                                      "episode_id FROM vigie.alert WHERE patient_id IS NULL) ORDER BY 1, 2");
    else
        buffer_printf(&sql,
                      COMMAND_COLUMNS
                      "WHERE c.patient_id = %" PRId64 " UNION ALL " COMMAND_COLUMNS
                      "JOIN vigie.alert a ON a.episode_id = c.episode_id WHERE a.patient_id = "
                      "%" PRId64 " ORDER BY 1, 2",
                      past->patient_id, past->patient_id);
    enum err error = read_items(history, &sql, ret);
    buffer_deinit(&sql);
    return error;
}

/* Whether a shared rule can ever concern the patient: of a line, an organisation or a team that it was of. */
static bool concerns(const struct stored *own, const struct past_item *item)
{
    if (item->json == NULL || command_kind_of(item->json, item->json_size) == COMMAND_REGISTRY)
        return true;
    for (size_t i = 0; i < own->count; i++) {
        const struct past_item *patient = &own->items[i];
        const char *organization = patient->layer, *line = patient->scope;
        if (command_kind_of(patient->json, patient->json_size) != COMMAND_PATIENT)
            continue;
        size_t size = strlen(organization);
        bool of_line = strcmp(item->layer, "line") == 0 && strcmp(item->scope, line) == 0;
        bool of_house = strcmp(item->layer, "line") != 0 && strncmp(item->scope, organization, size) == 0 &&
                        (item->scope[size] == '\0' || item->scope[size] == '/');
        if (of_line || of_house)
            return true;
    }
    return false;
}

static bool stands_before(const struct past_item *a, const struct past_item *b)
{
    return a->place.at_ms != b->place.at_ms ? a->place.at_ms < b->place.at_ms
                                            : a->place.position < b->place.position;
}

static void merge(const struct stored *shared, const struct stored *own, struct past *past)
{
    past->items = calloc(shared->count + own->count + 1, sizeof(*past->items));
    ensure(past->items != NULL);
    for (size_t s = 0, o = 0; s < shared->count || o < own->count;) {
        bool own_first =
            s == shared->count || (o < own->count && stands_before(&own->items[o], &shared->items[s]));
        const struct past_item *item = own_first ? &own->items[o++] : &shared->items[s++];
        if (own_first || concerns(own, item))
            past->items[past->count++] = item;
    }
}

/* ---- patients ---- */

static enum err read_patients(struct history *history, const int64_t *patients, size_t count)
{
    struct buffer sql = {0};
    buffer_text(
        &sql,
        "SELECT p.patient_id, c.shard::bigint, p.ref, o.ref, p.line, p.time_zone, p.enrolled_at, p.left_at "
        "FROM vigie.patient p JOIN vigie.organization o USING (organization_id) JOIN LATERAL (SELECT shard "
        "FROM vigie.journal_command j WHERE j.patient_id = p.patient_id AND j.command = 'patient' "
        "ORDER BY position LIMIT 1) c ON true WHERE p.patient_id IN (0");
    for (size_t i = 0; i < count; i++)
        buffer_printf(&sql, ",%" PRId64, patients[i]);
    buffer_text(&sql, ") ORDER BY 1");
    buffer_append(&sql, "", 1);
    enum err error = history__query(history, sql.data, &history->patients);
    buffer_deinit(&sql);
    return error;
}

static void take_patients(struct history *history, bool node)
{
    const PGresult *rows = history->patients;
    size_t count = node ? 1 : (size_t)PQntuples(rows);
    history->pasts = calloc(count + 1, sizeof(*history->pasts));
    history->own = calloc(count + 1, sizeof(*history->own));
    ensure(history->pasts != NULL && history->own != NULL);
    history->pasts_count = count;
    if (node)
        history->pasts[0] = (struct past){.ref = "",
                                          .organization = "",
                                          .line = "",
                                          .zone = "UTC",
                                          .enrolled_ms = INSTANT_NONE,
                                          .left_ms = INSTANT_NONE};
    for (size_t i = 0; !node && i < count; i++) {
        int row = (int)i;
        history->pasts[i] = (struct past){
            .patient_id = row_int8(rows, row, 0, 0),
            .shard = (uint32_t)row_int8(rows, row, 1, 0),
            .ref = row_text(rows, row, 2),
            .organization = row_text(rows, row, 3),
            .line = row_text(rows, row, 4),
            .zone = row_text(rows, row, 5),
            .enrolled_ms = row_time(rows, row, 6),
            .left_ms = row_time(rows, row, 7),
        };
    }
}

enum err history_load(struct history *history, const int64_t *patients, size_t count, struct past **ret_pasts,
                      size_t *ret_count)
{
    history_clear(history);
    bool node = count == 1 && patients[0] == 0;
    enum err error = node ? OK : read_patients(history, patients, count);
    if (error == OK)
        take_patients(history, node);
    for (size_t i = 0; i < history->pasts_count && error == OK; i++) {
        struct past *past = &history->pasts[i];
        error = read_shared(history, past->shard);
        if (error == OK)
            error = read_own(history, past, &history->own[i]);
        if (error == OK)
            merge(&history->shared[past->shard], &history->own[i], past);
    }
    if (error != OK) {
        history_clear(history);
        return error;
    }
    *ret_pasts = history->pasts;
    *ret_count = history->pasts_count;
    return OK;
}
