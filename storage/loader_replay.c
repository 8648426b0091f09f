/* Commands go by COPY: an enrolment brings several a patient. Starts are one a shard and process. */
#include "storage/loader_replay.h"

#include <string.h>

#include "storage/sql_parameters.h"

static const char copy_commands[] = "COPY vigie.journal_command (shard, position, decided_at, payload) "
                                    "FROM STDIN (FORMAT binary)";

static const char insert_start[] =
    "INSERT INTO vigie.engine_start (shard, position, since, engine_at, up_ms, kind) "
    "VALUES ($1, $2, $3, $4, $5, $6)";

enum { COMMAND_COLUMNS = 4, FIXED_BYTES = 2 + 4 + 4 + 4 + 8 + 4 + 8 + 4 };

static void copy_command(struct buffer *out, const struct loader_batch *batch,
                         const struct batch_command *command)
{
    char *at = buffer_reserve(out, FIXED_BYTES + command->json_size), *start = at;
    sql_put_int16(at, COMMAND_COLUMNS);
    sql_put_int32(at + 2, 4);
    sql_put_int32(at + 6, (int32_t)command->shard);
    sql_put_int32(at + 10, 8);
    sql_put_int64(at + 14, (int64_t)command->position);
    sql_put_int32(at + 22, 8);
    sql_put_int64(at + 26, sql_time_from_ms(command->engine_ms));
    sql_put_int32(at + 34, (int32_t)command->json_size);
    at += FIXED_BYTES;
    memcpy(at, batch->bytes.data + command->json_offset, command->json_size);
    ensure(at - start == FIXED_BYTES);
    out->size += FIXED_BYTES + command->json_size;
}

enum err loader_replay_commands(struct postgres *postgres, const struct loader_batch *batch, uint32_t first,
                                uint32_t end, struct buffer *copy)
{
    ensure(first <= end && end <= batch->commands_count);
    if (first == end)
        return OK;
    buffer_clear(copy);
    copy_begin(copy);
    for (uint32_t i = first; i < end; i++)
        copy_command(copy, batch, &batch->commands[i]);
    copy_end(copy);
    return postgres_copy_in(postgres, copy_commands, copy->data, copy->size);
}

enum err loader_replay_starts(struct postgres *postgres, const struct loader_batch *batch)
{
    enum err error = OK;
    for (uint32_t i = 0; i < batch->starts_count && error == OK; i++) {
        const struct batch_start *start = &batch->starts[i];
        struct sql_parameters parameters = {0};
        sql_int4(&parameters, (int32_t)start->shard);
        sql_int8(&parameters, (int64_t)start->position);
        sql_time(&parameters, start->since_ms);
        sql_time(&parameters, start->tick.engine_ms);
        sql_int8(&parameters, start->tick.up_ms);
        sql_int2(&parameters, start->tick.start);
        error = sql_run(postgres, insert_start, &parameters, NULL);
    }
    return error;
}

static const char insert_resend[] =
    "INSERT INTO vigie.late_resend (patient_id, parameter_id, measured_at, received_at, value, comparator, "
    "readings, request_position, request_index) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

static bool same_place(const struct loader_batch *batch, uint32_t i, uint32_t j)
{
    return batch->dropped[i] && batch->dropped[j] && batch->places[i].request == batch->places[j].request &&
           batch->readings[i].patient_id == batch->readings[j].patient_id &&
           batch->readings[i].parameter == batch->readings[j].parameter;
}

/* Readings of a request are neighbours. */
static uint32_t count_from(const struct loader_batch *batch, uint32_t first)
{
    uint32_t count = 0, end = first;
    for (; end < batch->readings_count && batch->places[end].request == batch->places[first].request; end++)
        count += same_place(batch, first, end);
    return count;
}

static bool is_first(const struct loader_batch *batch, uint32_t index)
{
    for (uint32_t i = index; i > 0 && batch->places[i - 1].request == batch->places[index].request; i--)
        if (same_place(batch, i - 1, index))
            return false;
    return true;
}

enum err loader_replay_resends(struct postgres *postgres, const struct loader_batch *batch,
                               const int16_t *parameter_ids)
{
    enum err error = OK;
    for (uint32_t i = 0; i < batch->readings_count && error == OK; i++) {
        const struct reading *reading = &batch->readings[i];
        if (!batch->dropped[i] || reading->quarantine != QUARANTINE_NONE ||
            (reading->flags & FLAG_RELEASED) || !is_first(batch, i))
            continue;
        struct sql_parameters parameters = {0};
        sql_int8(&parameters, reading->patient_id);
        sql_int2(&parameters, parameter_ids[reading->parameter]);
        sql_time(&parameters, reading->measured_at_ms);
        sql_time(&parameters, reading->received_at_ms);
        sql_int8(&parameters, reading->value);
        sql_text(&parameters, reading_comparator_text(reading->comparator));
        sql_int4(&parameters, (int32_t)count_from(batch, i));
        sql_int8(&parameters, (int64_t)batch->places[i].request);
        sql_int2(&parameters, batch->places[i].index);
        error = sql_run(postgres, insert_resend, &parameters, NULL);
    }
    return error;
}
