/* A row is found by what the reading is and when it was received, not by its number: a journal that is loaded
 * again into another database gives other numbers. Who said so, and why, goes to audit.event in the same
 * transaction: once, however often the journal is read again. */
#include "storage/loader_quarantine.h"

#include "storage/sql_parameters.h"

#define SETTLE(column, action)                                                                               \
    "WITH command (c) AS (SELECT $2::json), settled AS ("                                                    \
    "UPDATE vigie.quarantine q SET " column " = $1 FROM command "                                            \
    "WHERE q.patient_id = (c->>'patient_id')::bigint AND q.measured_at = (c->>'measured_at')::timestamptz "  \
    "AND q.received_at = (c->>'received_at')::timestamptz AND q.reading_id = (c->>'reading_id')::uuid "      \
    "AND q.status = c->>'status' AND q.issued IS NOT DISTINCT FROM (c->>'issued')::timestamptz "             \
    "AND q.released_at IS NULL AND q.discarded_at IS NULL "                                                  \
    "RETURNING q.quarantine_id, q.patient_id) "                                                              \
    "SELECT audit.append(coalesce(c->>'author', ''), 'person', '" action "', "                               \
    "coalesce(a.ref, settled.patient_id::text), json_build_object("                                          \
    "'quarantine_id', quarantine_id, 'by', c->>'by', 'reason', c->>'reason')) "                              \
    "FROM settled LEFT JOIN vigie.patient a USING (patient_id), command"

static const char release[] = SETTLE("released_at", "quarantine.release"),
                  discard[] = SETTLE("discarded_at", "quarantine.discard");

enum err loader_settle_quarantine(struct postgres *postgres, struct loader_batch *batch)
{
    enum err error = OK;
    for (uint32_t i = 0; i < batch->settled_count && error == OK; i++) {
        const struct batch_settled *settled = &batch->settled[i];
        bool released = settled->reading != UINT32_MAX;
        unsigned rows = 0;
        struct sql_parameters parameters = {0};
        sql_time(&parameters, settled->engine_ms);
        sql_bytes(&parameters, batch->bytes.data + settled->json_offset, settled->json_size);
        error = sql_run(postgres, released ? release : discard, &parameters, &rows);
        if (error == OK && released && rows == 0)
            batch->dropped[settled->reading] = true;
    }
    return error;
}
