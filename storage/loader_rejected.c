/* One INSERT a row: senders that cannot be told are few, and what they send is seldom rejected. */
#include "storage/loader_rejected.h"

#include <string.h>

#include "storage/rejected_seal.h"
#include "storage/sql_parameters.h"

enum { FORGET_ROWS_MAX = 1000 }; /* a call: some tens of milliseconds */

static const char insert_rejected[] =
    "INSERT INTO vigie.rejected (received_at, source_id, code, text, original) VALUES ($1, $2, $3, $4, $5)";

enum err loader_reject(struct postgres *postgres, const struct cipher_keys *keys,
                       const struct rejected_view *rejected)
{
    const struct rejected *head = &rejected->head;
    const struct rejected_place place = {head->received_at_ms, head->source_id};
    struct buffer sealed = {0};
    ensure(rejected_seal(keys, &place, rejected->original.data, rejected->original.size, &sealed) == OK);
    struct sql_parameters parameters = {0};
    sql_time(&parameters, head->received_at_ms);
    if (head->source_id != 0)
        sql_int8(&parameters, head->source_id);
    else
        sql_null(&parameters);
    sql_bytes(&parameters, rejected->code.data, rejected->code.size);
    sql_bytes(&parameters, rejected->text.data, rejected->text.size);
    sql_bytes(&parameters, sealed.data, sealed.size);
    enum err error = sql_run(postgres, insert_rejected, &parameters, NULL);
    buffer_deinit(&sealed);
    return error;
}

void loader_rejected_view(const struct loader_batch *batch, uint32_t index, struct rejected_view *ret)
{
    ensure(index < batch->rejected_count);
    const struct batch_rejected *rejected = &batch->rejected[index];
    rejected_read((const uint8_t *)batch->bytes.data + rejected->offset, rejected->size, ret);
}

enum err loader_forget_rejected(struct postgres *postgres, int64_t engine_ms, bool *ret_more)
{
    struct sql_parameters parameters = {0};
    PGresult *result = NULL;
    sql_time(&parameters, engine_ms);
    sql_int4(&parameters, FORGET_ROWS_MAX);
    struct postgres_parameters view = sql_view(&parameters);
    enum err error = postgres_query(postgres, "SELECT vigie.forget_rejected($1, $2)", &view, &result);
    if (error == OK)
        *ret_more = sql_get_int32(PQgetvalue(result, 0, 0)) == FORGET_ROWS_MAX;
    PQclear(result);
    return error;
}
