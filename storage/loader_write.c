/* The fast way has one COPY. When the server refuses a row the whole transaction is rolled back and done
 * again the careful way: every step under a savepoint, a refused range cut in halves until the one row is
 * found, which goes to vigie.rejected with its bytes; the rest loads (PITFALLS P5, W28). Cursor and rows are
 * one transaction both ways. */
#include "storage/loader_write.h"

#include <string.h>

#include "daemon/base/log.h"
#include "storage/copy_binary.h"
#include "storage/loader_older.h"
#include "storage/loader_quarantine.h"
#include "storage/loader_rejected.h"
#include "storage/loader_replay.h"
#include "storage/sql_parameters.h"
#include "storage/sqlstate.h"

static const char move_cursor[] =
    "UPDATE vigie.journal_cursor SET position = $5, engine_at = coalesce($6, engine_at) "
    "WHERE node = $1 AND shard = $2 AND epoch = $3 AND position = $4";

static const char insert_quarantine[] = "INSERT INTO vigie.quarantine (received_at, patient_id, "
                                        "parameter_id, measured_at, value, device_id, reason, "
                                        "original, reading_id, status, issued, revision, request_position, "
                                        "request_index) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, "
                                        "$11, $12, $13, $14)";

/* One that was sent again beyond what the shard holds is here already. */
static const char insert_device_event[] =
    "INSERT INTO vigie.device_event (device_event_id, patient_id, measured_at, received_at, key_device, "
    "device_id, episode, class, phase, source_id, utc_offset_min, flags, quarantine, request_position, "
    "request_index) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) "
    "ON CONFLICT (device_event_id) DO NOTHING";

static const char store_event[] = "SELECT vigie.store_event($1, $2, $3, $4, $5, $6, $7, $8, $9)";

void loader_writer_deinit(struct loader_writer *writer)
{
    buffer_deinit(&writer->copy);
    buffer_deinit(&writer->statement);
}

static struct postgres *server(const struct loader_writer *writer)
{
    return writer->session->postgres;
}

static const char not_storable[] = "not-storable";

static bool row_is_refused(const struct loader_writer *writer, enum err error)
{
    return error == ERR_REFUSED && sqlstate_action(postgres_sqlstate(server(writer))) == SQLSTATE_BISECT;
}

/* Back to before the row, keeping why it was refused: a good statement clears nothing, but another refusal
 * would. */
static enum err undo_row(struct loader_writer *writer, char sqlstate[6])
{
    memcpy(sqlstate, postgres_sqlstate(server(writer)), 6);
    return postgres_command(server(writer), "ROLLBACK TO row");
}

static enum err move_cursors(struct loader_writer *writer, const struct loader_batch *batch)
{
    const struct loader_options *options = writer->session->options;
    for (uint32_t shard = 0; shard < batch->shards; shard++) {
        if (batch->to[shard] == batch->from[shard])
            continue;
        unsigned rows = 0;
        struct sql_parameters parameters = {0};
        sql_int8(&parameters, (int64_t)options->node);
        sql_int4(&parameters, (int32_t)shard);
        sql_int8(&parameters, (int64_t)options->epoch);
        sql_int8(&parameters, (int64_t)batch->from[shard]);
        sql_int8(&parameters, (int64_t)batch->to[shard]);
        sql_time(&parameters, batch->engine_ms[shard]);
        enum err error = sql_run(server(writer), move_cursor, &parameters, &rows);
        if (error != OK)
            return error;
        if (rows != 1)
            return ERR_STALE;
    }
    return OK;
}

static enum err copy_range(struct loader_writer *writer, const struct loader_batch *batch, uint32_t first,
                           uint32_t end)
{
    uint32_t rows = 0;
    buffer_clear(&writer->copy);
    copy_begin(&writer->copy);
    for (uint32_t i = first; i < end; i++) {
        uint32_t index = batch->order[i];
        const struct reading *reading = &batch->readings[index];
        if (reading->quarantine != QUARANTINE_NONE)
            continue;
        copy_reading(&writer->copy, reading, loader_batch_tail(batch, reading),
                     writer->session->parameter_ids, &batch->places[index]);
        rows++;
    }
    copy_end(&writer->copy);
    if (rows == 0)
        return OK;
    if (writer->statement.size == 0)
        copy_statement(&writer->statement);
    return postgres_copy_in(server(writer), writer->statement.data, writer->copy.data, writer->copy.size);
}

static const struct cipher_keys *keys_of(const struct loader_writer *writer)
{
    return journal_keys(writer->session->options->journals[0]);
}

struct aside {
    const char *sqlstate;
    int64_t received_at_ms, source_id;
    const void *head, *rest;
    size_t head_size, rest_size;
};

static enum err put_aside(struct loader_writer *writer, const struct aside *aside)
{
    struct buffer original = {0};
    buffer_append(&original, aside->head, aside->head_size);
    buffer_append(&original, aside->rest, aside->rest_size);
    const struct rejected_view rejected = {
        .head = {.received_at_ms = aside->received_at_ms, .source_id = aside->source_id},
        .code = {not_storable, strlen(not_storable)},
        .text = {aside->sqlstate, strlen(aside->sqlstate)},
        .original = {original.data, original.size}};
    enum err error = loader_reject(server(writer), keys_of(writer), &rejected);
    buffer_deinit(&original);
    if (error != OK)
        return error;
    writer->put_aside++;
    log_write(LOG_ERROR, "loader",
              "a row cannot be stored and was put aside sqlstate=%s hint=see vigie.rejected",
              aside->sqlstate);
    return OK;
}

static struct aside reading_aside(const struct loader_batch *batch, const struct reading *reading)
{
    return (struct aside){.received_at_ms = reading->received_at_ms,
                          .source_id = reading->source_id,
                          .head = reading,
                          .head_size = sizeof(*reading),
                          .rest = loader_batch_tail(batch, reading),
                          .rest_size = reading->tail_size};
}

/* One row stands between begin_row() and end_row(): the careful way it has a savepoint, and is put aside when
 * the server refuses it. */
static enum err begin_row(const struct loader_writer *writer)
{
    return writer->careful ? postgres_command(server(writer), "SAVEPOINT row") : OK;
}

static enum err end_row(struct loader_writer *writer, enum err error, struct aside aside)
{
    char sqlstate[6];
    if (!writer->careful)
        return error;
    if (error == OK)
        return postgres_command(server(writer), "RELEASE row");
    if (!row_is_refused(writer, error))
        return error;
    error = undo_row(writer, sqlstate);
    aside.sqlstate = sqlstate;
    return error == OK ? put_aside(writer, &aside) : error;
}

/* Halves a refused range until the row is found; at most log2(batch) deep. Only the careful way leads here.
 */
static enum err copy_careful(struct loader_writer *writer, const struct loader_batch *batch, uint32_t first,
                             uint32_t end)
{
    char sqlstate[6];
    enum err error = begin_row(writer);
    if (error == OK)
        error = copy_range(writer, batch, first, end);
    if (error == OK || end - first == 1)
        return end_row(writer, error, reading_aside(batch, &batch->readings[batch->order[first]]));
    if (!row_is_refused(writer, error))
        return error;
    error = undo_row(writer, sqlstate);
    if (error != OK)
        return error;
    uint32_t middle = first + (end - first) / 2;
    error = copy_careful(writer, batch, first, middle);
    return error == OK ? copy_careful(writer, batch, middle, end) : error;
}

static void render_slice(struct buffer *json, const char *key, struct slice text)
{
    render_key(json, key);
    if (text.data == NULL)
        render_null(json);
    else
        render_string(json, text.data, text.size);
}

/* What vigie.reading has and vigie.quarantine has not, under the same names. */
static void render_original(struct buffer *json, const struct reading *reading, const uint8_t *tail)
{
    size_t size = reading->tail_size;
    struct slice context = tail_get(tail, size, TAIL_CONTEXT);
    render_open(json, '{');
    render_key(json, "comparator");
    render_text(json, reading_comparator_text(reading->comparator));
    render_slice(json, "sensor", tail_get(tail, size, TAIL_SENSOR));
    render_key(json, "origin");
    render_text(json, reading_origin_text(reading->origin));
    render_key(json, "flags");
    render_integer(json, reading->flags);
    render_key(json, "source_id");
    render_integer(json, reading->source_id);
    render_slice(json, "alias", tail_get(tail, size, TAIL_ALIAS));
    render_key(json, "group_id");
    render_integer(json, (int64_t)reading->group_id);
    render_key(json, "time_precision");
    render_text(json, reading->precision == PRECISION_DAY ? "day" : "time");
    render_key(json, "utc_offset_min");
    render_integer(json, reading->utc_offset_min);
    render_slice(json, "original_text", tail_get(tail, size, TAIL_TEXT));
    render_slice(json, "original_unit", tail_get(tail, size, TAIL_UNIT));
    render_slice(json, "original_code", tail_get(tail, size, TAIL_CODE));
    render_slice(json, "key_device", tail_get(tail, size, TAIL_KEY_DEVICE));
    render_key(json, "context");
    if (context.data == NULL)
        render_null(json);
    else
        render_raw(json, context.data, context.size);
    render_close(json, '}');
}

static enum err write_quarantined(struct loader_writer *writer, const struct loader_batch *batch,
                                  uint32_t index)
{
    const struct reading *reading = &batch->readings[index];
    const struct copy_place *place = &batch->places[index];
    struct buffer json = {0};
    render_original(&json, reading, loader_batch_tail(batch, reading));
    struct sql_parameters parameters = {0};
    sql_time(&parameters, reading->received_at_ms);
    sql_int8(&parameters, reading->patient_id);
    sql_int2(&parameters, writer->session->parameter_ids[reading->parameter]);
    sql_time(&parameters, reading->measured_at_ms);
    sql_int8(&parameters, reading->value);
    if (reading->device_id != 0)
        sql_int8(&parameters, reading->device_id);
    else
        sql_null(&parameters);
    sql_text(&parameters, reading_quarantine_text(reading->quarantine));
    sql_bytes(&parameters, json.data, json.size);
    sql_uuid(&parameters, reading->reading_id);
    sql_text(&parameters, reading_status_text(reading->status));
    sql_time(&parameters, reading->issued_ms);
    sql_int4(&parameters, reading->revision);
    sql_int8(&parameters, (int64_t)place->request);
    sql_int2(&parameters, place->index);
    enum err error = sql_run(server(writer), insert_quarantine, &parameters, NULL);
    buffer_deinit(&json);
    return error;
}

static enum err write_quarantine(struct loader_writer *writer, const struct loader_batch *batch)
{
    enum err error = OK;
    for (uint32_t i = 0; i < batch->order_count && error == OK; i++) {
        const struct reading *reading = &batch->readings[batch->order[i]];
        if (reading->quarantine == QUARANTINE_NONE)
            continue;
        error = begin_row(writer);
        if (error == OK)
            error = end_row(writer, write_quarantined(writer, batch, batch->order[i]),
                            reading_aside(batch, reading));
    }
    return error;
}

static void sql_slice(struct sql_parameters *parameters, struct slice text)
{
    ensure(text.data != NULL);
    sql_bytes(parameters, text.data, text.size);
}

static enum err write_device_event(struct loader_writer *writer, const struct loader_batch *batch,
                                   const struct batch_device *device)
{
    const struct reading *event = &device->event;
    const uint8_t *tail = loader_batch_tail(batch, event);
    struct sql_parameters parameters = {0};
    sql_uuid(&parameters, event->reading_id);
    sql_int8(&parameters, event->patient_id);
    sql_time(&parameters, event->measured_at_ms);
    sql_time(&parameters, event->received_at_ms);
    sql_slice(&parameters, tail_get(tail, event->tail_size, TAIL_KEY_DEVICE));
    if (event->device_id != 0)
        sql_int8(&parameters, event->device_id);
    else
        sql_null(&parameters);
    sql_slice(&parameters, tail_get(tail, event->tail_size, TAIL_EPISODE));
    sql_slice(&parameters, tail_get(tail, event->tail_size, TAIL_CLASS));
    sql_text(&parameters, reading_phase_text((enum device_phase)event->value));
    sql_int8(&parameters, event->source_id);
    sql_int2(&parameters, event->utc_offset_min);
    sql_int4(&parameters, event->flags);
    sql_text(&parameters, reading_quarantine_text(event->quarantine));
    sql_int8(&parameters, (int64_t)device->place.request);
    sql_int2(&parameters, device->place.index);
    return sql_run(server(writer), insert_device_event, &parameters, NULL);
}

static enum err write_device_events(struct loader_writer *writer, const struct loader_batch *batch)
{
    enum err error = OK;
    for (uint32_t i = 0; i < batch->devices_count && error == OK; i++) {
        const struct batch_device *device = &batch->devices[i];
        error = begin_row(writer);
        if (error == OK)
            error = end_row(writer, write_device_event(writer, batch, device),
                            reading_aside(batch, &device->event));
    }
    return error;
}

static enum err write_rejected(struct loader_writer *writer, const struct loader_batch *batch)
{
    enum err error = OK;
    for (uint32_t i = 0; i < batch->rejected_count && error == OK; i++) {
        struct rejected_view view;
        loader_rejected_view(batch, i, &view);
        const struct aside aside = {.received_at_ms = view.head.received_at_ms,
                                    .source_id = view.head.source_id,
                                    .rest = view.original.data,
                                    .rest_size = view.original.size};
        error = begin_row(writer);
        if (error == OK)
            error = end_row(writer, loader_reject(server(writer), keys_of(writer), &view), aside);
    }
    return error;
}

static enum err write_event(struct loader_writer *writer, const struct loader_batch *batch,
                            const struct batch_event *event)
{
    const struct alert_event *head = &event->head;
    const char *json = batch->bytes.data + event->json_offset;
    struct sql_parameters parameters = {0};
    sql_uuid(&parameters, head->event_id);
    sql_uuid(&parameters, head->episode_id);
    sql_int4(&parameters, (int32_t)head->sequence);
    sql_text(&parameters, event_word(head->kind));
    sql_time(&parameters, head->decided_at_ms);
    sql_int4(&parameters, (int32_t)event->shard);
    sql_int8(&parameters, (int64_t)event->position);
    sql_bytes(&parameters, json, event->json_size);
    if (head->patient_id != 0)
        sql_int8(&parameters, head->patient_id);
    else
        sql_null(&parameters);
    return sql_run(server(writer), store_event, &parameters, NULL);
}

static enum err write_events(struct loader_writer *writer, const struct loader_batch *batch)
{
    enum err error = OK;
    for (uint32_t i = 0; i < batch->events_count && error == OK; i++) {
        const struct batch_event *event = &batch->events[i];
        const struct aside aside = {.received_at_ms = event->head.decided_at_ms,
                                    .head = &event->head,
                                    .head_size = sizeof(event->head),
                                    .rest = batch->bytes.data + event->json_offset,
                                    .rest_size = event->json_size};
        error = begin_row(writer);
        if (error == OK)
            error = end_row(writer, write_event(writer, batch, event), aside);
    }
    return error;
}

/* As write_events(): one command after another once one was refused. */
static enum err write_commands(struct loader_writer *writer, const struct loader_batch *batch)
{
    if (!writer->careful)
        return loader_replay_commands(server(writer), batch, 0, batch->commands_count, &writer->copy);
    enum err error = OK;
    for (uint32_t i = 0; i < batch->commands_count && error == OK; i++) {
        const struct batch_command *command = &batch->commands[i];
        const struct aside aside = {.received_at_ms = command->engine_ms,
                                    .rest = batch->bytes.data + command->json_offset,
                                    .rest_size = command->json_size};
        error = begin_row(writer);
        if (error == OK)
            error = end_row(writer, loader_replay_commands(server(writer), batch, i, i + 1, &writer->copy),
                            aside);
    }
    return error;
}

/* Partitions of every week that the batch has readings of; one is always known but at a jump of engine time.
 */
static enum err need_weeks(struct loader_writer *writer, const struct loader_batch *batch)
{
    if (writer->careful)
        loader_session_forget_weeks(writer->session);
    for (uint32_t i = 0; i < batch->readings_count; i++) {
        enum err error = loader_session_need_week(writer->session, batch->readings[i].received_at_ms, 0);
        if (error != OK)
            return error;
    }
    return OK;
}

static enum err write_rows(struct loader_writer *writer, struct loader_batch *batch)
{
    enum err error = loader_older_settle(server(writer), batch);
    if (error != OK)
        return error;
    loader_batch_sort(batch);
    error = write_quarantine(writer, batch);
    if (error == OK)
        error = loader_settle_quarantine(server(writer), batch);
    loader_batch_sort(batch);
    if (error == OK && batch->order_count > 0)
        error = writer->careful ? copy_careful(writer, batch, 0, batch->order_count)
                                : copy_range(writer, batch, 0, batch->order_count);
    if (error == OK)
        error = write_device_events(writer, batch);
    if (error == OK)
        error = write_rejected(writer, batch);
    if (error == OK)
        error = write_commands(writer, batch);
    if (error == OK)
        error = loader_replay_starts(server(writer), batch);
    if (error == OK)
        error = loader_replay_resends(server(writer), batch, writer->session->parameter_ids);
    return error == OK ? write_events(writer, batch) : error;
}

enum err loader_write(struct loader_writer *writer, struct loader_batch *batch)
{
    writer->put_aside = 0;
    for (uint32_t i = 0; i < batch->readings_count; i++)
        batch->dropped[i] = false;
    enum err error = need_weeks(writer, batch);
    if (error != OK)
        return error;
    error = postgres_command(server(writer), "BEGIN");
    if (error == OK)
        error = move_cursors(writer, batch);
    if (error == OK)
        error = write_rows(writer, batch);
    (void)postgres_take_warning(server(writer));
    if (error == OK)
        error = postgres_command(server(writer), "COMMIT");
    if (error != OK)
        return error;
    if (postgres_take_warning(
            server(writer))) /* committed here, not on the standby that was to have it: PITFALLS P15 */
        log_write(LOG_WARNING, "loader", "a commit was not confirmed by the synchronous standby");
    return OK;
}
