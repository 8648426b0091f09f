/* history_play: readings from a cursor of the server, a request at a time, between the items that are in
 * memory. A quarantined reading is a row of its own table; the engine quarantines it again, or is told why it
 * was. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/limits.h"
#include "daemon/history/history_internal.h"
#include "daemon/model/parameter.h"
#include "storage/sql_parameters.h"

enum { FETCH_ROWS = 4096 };

enum column {
    COLUMN_PATIENT,
    COLUMN_ID,
    COLUMN_PARAMETER,
    COLUMN_MEASURED,
    COLUMN_RECEIVED,
    COLUMN_VALUE,
    COLUMN_COMPARATOR,
    COLUMN_DEVICE,
    COLUMN_SENSOR,
    COLUMN_STATUS,
    COLUMN_FLAGS,
    COLUMN_SOURCE,
    COLUMN_ALIAS,
    COLUMN_ISSUED,
    COLUMN_PRECISION,
    COLUMN_KEY_DEVICE,
    COLUMN_POSITION,
    COLUMN_REASON,
};

static const char reading_columns[] =
    "SELECT patient_id, reading_id, parameter_id::bigint, measured_at, received_at, value, comparator, "
    "device_id, "
    "sensor, status, flags::bigint, source_id, alias, issued, time_precision, key_device, "
    "coalesce(request_position, 0) AS position, NULL::text AS reason, coalesce(request_index, 0) AS index "
    "FROM vigie.reading WHERE (flags & 256) = 0 AND "; /* FLAG_RELEASED: the command `release` is played */

static const char quarantine_columns[] =
    "SELECT patient_id, reading_id, parameter_id::bigint, measured_at, received_at, value, "
    "original->>'comparator', device_id, coalesce(original->>'sensor', ''), status, "
    "(original->>'flags')::bigint, "
    "(original->>'source_id')::bigint, original->>'alias', issued, original->>'time_precision', "
    "coalesce(original->>'key_device', ''), coalesce(request_position, 0), reason, coalesce(request_index, "
    "0) "
    "FROM vigie.quarantine WHERE ";

/* A message of a device's own alarm: the device's name of it in place of a sensor, its class of an alias. */
static const char device_columns[] =
    "SELECT patient_id, device_event_id, 0::bigint, measured_at, received_at, "
    "(array_position(ARRAY['start', 'continue', 'end'], phase) - 1)::bigint, '', device_id, episode, "
    "'final', "
    "flags::bigint, source_id, class, NULL::timestamptz, 'time', key_device, request_position, quarantine, "
    "request_index "
    "FROM vigie.device_event WHERE ";

/* Resends that were dropped: the engine counts them as it did. */
static const char resend_columns[] =
    "SELECT patient_id, '00000000-0000-0000-0000-000000000000', parameter_id::bigint, measured_at, "
    "received_at, value, "
    "comparator, NULL::bigint, '', 'final', 0::bigint, 0::bigint, NULL, NULL::timestamptz, 'time', '', "
    "request_position, NULL, request_index FROM vigie.late_resend CROSS JOIN LATERAL generate_series(1, "
    "readings) n "
    "WHERE ";

/* What the engine sets again by itself. */
enum { FLAGS_OF_ENGINE = FLAG_SAME_INSTANT | FLAG_LATE_UNJUDGED | FLAG_CHECK_OLDER };

struct request {
    struct buffer readings, tails; /* struct reading */
    uint32_t count;
    int64_t patient_id;
    struct place place;
};

struct play {
    struct history *history;
    const struct history_span *span;
    const struct history_player *player;
    const struct past *pasts;
    size_t count, at; /* the past that is being played */
    struct feeder *feeder;
    size_t item; /* of its items, the next */
    struct request request;
};

/* ---- one reading ---- */

static uint8_t word_number(const char *word, const char *(*text)(int), int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(text(i), word) == 0)
            return (uint8_t)i;
    return 0;
}

static const char *comparator_text(int comparator)
{
    return reading_comparator_text((enum comparator)comparator);
}

static const char *status_text(int status)
{
    return reading_status_text((enum reading_status)status);
}

static const char *quarantine_text(int reason)
{
    return reason == QUARANTINE_NONE ? "" : reading_quarantine_text((enum quarantine_reason)reason);
}

static void put_tail(struct request *request, struct reading *reading, enum tail_tag tag,
                     const PGresult *rows, int row, enum column column)
{
    uint8_t *tail = (uint8_t *)request->tails.data + reading->tail_offset;
    size_t size = (size_t)PQgetlength(rows, row, (int)column);
    if (size > 0 || tag == TAIL_KEY_DEVICE)
        (void)tail_put(tail, TAIL_BYTES_MAX, &reading->tail_size, tag, row_text(rows, row, (int)column),
                       size);
}

static void put_texts(struct request *request, struct reading *reading, const PGresult *rows, int row)
{
    bool is_event = reading->flags & FLAG_DEVICE_EVENT;
    (void)buffer_reserve(&request->tails, TAIL_BYTES_MAX);
    put_tail(request, reading, TAIL_KEY_DEVICE, rows, row, COLUMN_KEY_DEVICE);
    put_tail(request, reading, is_event ? TAIL_EPISODE : TAIL_SENSOR, rows, row, COLUMN_SENSOR);
    put_tail(request, reading, is_event ? TAIL_CLASS : TAIL_ALIAS, rows, row, COLUMN_ALIAS);
    request->tails.size += reading->tail_size;
}

static void take_reading(struct play *play, const PGresult *rows, int row)
{
    struct request *request = &play->request;
    int64_t id = row_int8(rows, row, COLUMN_PARAMETER, 0);
    struct reading reading = {
        .patient_id = request->patient_id,
        .device_id = row_int8(rows, row, COLUMN_DEVICE, 0),
        .source_id = row_int8(rows, row, COLUMN_SOURCE, 0),
        .value = row_int8(rows, row, COLUMN_VALUE, 0),
        .measured_at_ms = row_time(rows, row, COLUMN_MEASURED),
        .received_at_ms = row_time(rows, row, COLUMN_RECEIVED),
        .issued_ms = row_time(rows, row, COLUMN_ISSUED),
        .tail_offset = (uint32_t)request->tails.size,
        .parameter = id > 0 && id < PARAMETER_IDS_MAX ? play->history->parameters[id] : PARAMETER_COUNT,
        .flags = (uint16_t)(row_int8(rows, row, COLUMN_FLAGS, 0) & ~FLAGS_OF_ENGINE),
        .comparator =
            word_number(row_text(rows, row, COLUMN_COMPARATOR), comparator_text, COMPARATOR_GREATER + 1),
        .status = word_number(row_text(rows, row, COLUMN_STATUS), status_text, STATUS_VOID + 1),
        .precision =
            strcmp(row_text(rows, row, COLUMN_PRECISION), "day") == 0 ? PRECISION_DAY : PRECISION_TIME,
        .quarantine = word_number(row_text(rows, row, COLUMN_REASON), quarantine_text, QUARANTINE_UNIT + 1),
    };
    if (reading.flags & FLAG_DEVICE_EVENT)
        reading.parameter = READING_NO_PARAMETER;
    if (reading.parameter == PARAMETER_COUNT)
        return; /* of a newer program: no rule of this one can judge it */
    if (reading.quarantine == QUARANTINE_FUTURE)
        reading.quarantine = QUARANTINE_NONE; /* the engine's own finding */
    memcpy(reading.reading_id, PQgetvalue(rows, row, COLUMN_ID), UUID_BYTES);
    put_texts(request, &reading, rows, row);
    buffer_append(&request->readings, &reading, sizeof(reading));
    request->count++;
}

/* ---- the order of it all ---- */

static bool stands_before(const struct place *a, const struct place *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->position < b->position;
}

static bool is_played(const struct play *play, const struct past_item *item)
{
    return !stands_before(&play->span->end, &item->place) &&
           (play->player->wanted == NULL || play->player->wanted(play->player->context, item));
}

/* Items before the place. The engine refuses now what it took then only if something else was changed. */
static void play_items(struct play *play, const struct place *until)
{
    const struct past *past = &play->pasts[play->at];
    for (; play->item < past->count && stands_before(&past->items[play->item]->place, until); play->item++) {
        const struct past_item *item = past->items[play->item];
        if (!is_played(play, item))
            continue;
        if (item->json == NULL)
            feeder_start(play->feeder, &item->place, item->since_ms, item->up_ms, item->kind);
        else if (feeder_command(play->feeder, &item->place, item->json, item->json_size) != OK)
            continue;
    }
}

static enum err begin_past(struct play *play)
{
    play->item = 0;
    play->feeder = play->player->begin(play->player->context, &play->pasts[play->at]);
    return play->feeder == NULL ? ERR_CLOSED : OK;
}

static void end_past(struct play *play)
{
    const struct place behind = {play->span->end.at_ms, play->span->end.position + 1};
    play_items(play, &behind);
    feeder_finish(play->feeder, &play->span->end);
    play->player->end(play->player->context, &play->pasts[play->at], play->feeder);
    play->feeder = NULL;
    play->at++;
}

/* Ends the pasts before the patient's and begins the patient's. */
static enum err go_to_patient(struct play *play, int64_t patient_id)
{
    while (play->at < play->count) {
        if (play->feeder == NULL) {
            enum err error = begin_past(play);
            if (error != OK)
                return error;
        }
        if (play->pasts[play->at].patient_id >= patient_id)
            return OK;
        end_past(play);
    }
    return OK;
}

static void clear_request(struct request *request)
{
    buffer_clear(&request->readings);
    buffer_clear(&request->tails);
    request->count = 0;
}

/* As the engine at hand hashes the sender's identifiers. */
static void hash_aliases(const struct play *play, struct reading *readings, const uint8_t *tails)
{
    for (uint32_t i = 0; i < play->request.count; i++) {
        struct slice alias = tail_get(tails + readings[i].tail_offset, readings[i].tail_size, TAIL_ALIAS);
        if (alias.data != NULL)
            readings[i].alias_hash = engine_alias_hash(feeder_engine(play->feeder), &readings[i], alias);
    }
}

static enum err play_request(struct play *play)
{
    struct request *request = &play->request;
    const struct history_player *player = play->player;
    enum err error = OK;
    if (request->count > 0)
        error = go_to_patient(play, request->patient_id);
    if (request->count > 0 && error == OK && play->at < play->count &&
        play->pasts[play->at].patient_id == request->patient_id) {
        struct reading *readings = (void *)request->readings.data;
        const uint8_t *tails = (const uint8_t *)request->tails.data;
        play_items(play, &request->place);
        hash_aliases(play, readings, tails);
        if (player->request != NULL)
            player->request(player->context, readings, request->count, tails);
        if (feeder_request(play->feeder, &request->place, readings, request->count, tails) != OK)
            error = ERR_CORRUPT; /* readings of a patient whom no command enrolled */
    }
    clear_request(request);
    return error;
}

static enum err play_rows(struct play *play, const PGresult *rows)
{
    struct request *request = &play->request;
    for (int row = 0; row < PQntuples(rows); row++) {
        struct place place = {row_time(rows, row, COLUMN_RECEIVED),
                              (uint64_t)row_int8(rows, row, COLUMN_POSITION, 0)};
        int64_t patient_id = row_int8(rows, row, COLUMN_PATIENT, 0);
        bool goes_on = patient_id == request->patient_id && place.at_ms == request->place.at_ms &&
                       place.position == request->place.position;
        if (!goes_on) {
            enum err error = play_request(play);
            if (error != OK)
                return error;
        }
        request->patient_id = patient_id;
        request->place = place;
        if (!stands_before(&play->span->end, &place))
            take_reading(play, rows, row);
    }
    return OK;
}

/* ---- the cursor ---- */

static void put_where(struct buffer *sql, const struct play *play)
{
    buffer_text(sql, "patient_id IN (0");
    for (size_t i = 0; i < play->count; i++)
        buffer_printf(sql, ",%" PRId64, play->pasts[i].patient_id);
    buffer_printf(sql, ") AND received_at <= to_timestamp(%" PRId64 " / 1000.0)", play->span->end.at_ms + 1);
    if (play->span->from_ms != INT64_MIN)
        buffer_printf(sql, " AND received_at >= to_timestamp(%" PRId64 " / 1000.0)", play->span->from_ms);
}

static enum err open_cursor(struct play *play)
{
    struct buffer sql = {0};
    buffer_text(&sql, "DECLARE past NO SCROLL CURSOR FOR ");
    buffer_text(&sql, reading_columns);
    put_where(&sql, play);
    buffer_text(&sql, " UNION ALL ");
    buffer_text(&sql, quarantine_columns);
    put_where(&sql, play);
    buffer_text(&sql, " UNION ALL ");
    buffer_text(&sql, device_columns);
    put_where(&sql, play);
    buffer_text(&sql, " UNION ALL ");
    buffer_text(&sql, resend_columns);
    put_where(&sql, play);
    buffer_text(&sql, " ORDER BY patient_id, received_at, position, index");
    buffer_append(&sql, "", 1);
    enum err error = postgres_command(play->history->postgres,
                                      "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
    if (error == OK)
        error = postgres_command(play->history->postgres, sql.data);
    buffer_deinit(&sql);
    return error;
}

static bool is_stopped(const struct play *play)
{
    return play->player->stop != NULL && atomic_load_explicit(play->player->stop, memory_order_relaxed);
}

static enum err play_cursor(struct play *play)
{
    char fetch[64];
    int rows = FETCH_ROWS;
    snprintf(fetch, sizeof(fetch), "FETCH %d FROM past", FETCH_ROWS);
    while (rows == FETCH_ROWS) {
        PGresult *result = NULL;
        if (is_stopped(play))
            return ERR_CLOSED;
        enum err error = history__query(play->history, fetch, &result);
        if (error != OK)
            return error;
        rows = PQntuples(result);
        error = play_rows(play, result);
        PQclear(result);
        if (error != OK)
            return error;
    }
    enum err error = play_request(play);
    return error == OK ? go_to_patient(play, INT64_MAX) : error;
}

enum err history_play(struct history *history, const struct past *pasts, size_t count,
                      const struct history_span *span, const struct history_player *player)
{
    struct play play = {.history = history, .pasts = pasts, .count = count, .span = span, .player = player};
    enum err error = open_cursor(&play);
    if (error == OK)
        error = play_cursor(&play);
    if (play.feeder != NULL)
        player->end(player->context, NULL, play.feeder);
    enum err closed = postgres_command(history->postgres, "ROLLBACK");
    buffer_deinit(&play.request.readings);
    buffer_deinit(&play.request.tails);
    return error == OK ? closed : error;
}
