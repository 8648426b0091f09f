/* A version of a reading is its reading_id, status and, for corrections and voids, version time: a final that
 * comes again is a duplicate whatever `issued` says, a void of the same identity is a version of its own
 * (RULES.md section 1). Revisions go on from the highest that is stored. A released reading is in the
 * quarantine, and is not a duplicate of that. */
#include "storage/loader_older.h"

#include <stdlib.h>
#include <string.h>

#include "storage/sql_parameters.h"

struct version {
    const uint8_t *reading_id;
    int64_t issued_ms;
    uint32_t index; /* of the reading in the batch; the stored ones come first */
    uint8_t status;
    bool stored, aside; /* aside: in the quarantine */
    uint16_t revision;
};

struct versions {
    struct version *list;
    uint32_t count;
};

/* OFFSET 0 keeps the look-up a look-up: one index search a row, never a join over all partitions. */
static const char look_up[] =
    "SELECT w.n, s.status, s.issued, s.revision, s.aside FROM unnest($1::bigint[], $2::timestamptz[], "
    "$3::uuid[]) "
    "WITH ORDINALITY w (patient_id, measured_at, reading_id, n) CROSS JOIN LATERAL ("
    "(SELECT r.status, r.issued, r.revision, 0 AS aside FROM vigie.reading r WHERE r.patient_id = "
    "w.patient_id "
    "AND r.measured_at = w.measured_at AND r.reading_id = w.reading_id OFFSET 0) UNION ALL "
    "(SELECT q.status, q.issued, q.revision, 1 FROM vigie.quarantine q WHERE q.patient_id = w.patient_id "
    "AND q.measured_at = w.measured_at AND q.reading_id = w.reading_id OFFSET 0)) s";

static uint32_t count_older(const struct loader_batch *batch)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->readings_count; i++)
        count += (batch->readings[i].flags & FLAG_CHECK_OLDER) != 0;
    return count;
}

static enum err ask(struct postgres *postgres, const struct loader_batch *batch, uint32_t count,
                    PGresult **ret_result)
{
    struct buffer patients = {0}, times = {0}, ids = {0};
    sql_array_begin(&patients, SQL_TYPE_INT8, count);
    sql_array_begin(&times, SQL_TYPE_TIMESTAMPTZ, count);
    sql_array_begin(&ids, SQL_TYPE_UUID, count);
    for (uint32_t i = 0; i < batch->readings_count; i++) {
        const struct reading *reading = &batch->readings[i];
        if ((reading->flags & FLAG_CHECK_OLDER) == 0)
            continue;
        sql_array_int8(&patients, reading->patient_id);
        sql_array_int8(&times, sql_time_from_ms(reading->measured_at_ms));
        sql_array_uuid(&ids, reading->reading_id);
    }
    struct sql_parameters parameters = {0};
    sql_bytes(&parameters, patients.data, patients.size);
    sql_bytes(&parameters, times.data, times.size);
    sql_bytes(&parameters, ids.data, ids.size);
    struct postgres_parameters view = sql_view(&parameters);
    enum err error = postgres_query(postgres, look_up, &view, ret_result);
    buffer_deinit(&patients);
    buffer_deinit(&times);
    buffer_deinit(&ids);
    return error;
}

static uint8_t status_of(const char *word, int size)
{
    for (int status = STATUS_PRELIMINARY; status <= STATUS_VOID; status++) {
        const char *text = reading_status_text((enum reading_status)status);
        if (strlen(text) == (size_t)size && memcmp(text, word, (size_t)size) == 0)
            return (uint8_t)status;
    }
    return STATUS_FINAL;
}

/* The flagged readings of the batch by their place among the flagged, as the answer names them. */
static void add_stored(struct versions *versions, const struct loader_batch *batch, PGresult *result)
{
    uint32_t *flagged = malloc((batch->readings_count + 1) * sizeof(*flagged)), count = 0;
    ensure(flagged != NULL);
    for (uint32_t i = 0; i < batch->readings_count; i++)
        if (batch->readings[i].flags & FLAG_CHECK_OLDER)
            flagged[count++] = i;
    for (int row = 0; row < PQntuples(result); row++) {
        int64_t n = sql_get_int64(PQgetvalue(result, row, 0));
        ensure(n >= 1 && n <= count);
        bool no_time = PQgetisnull(result, row, 2);
        versions->list[versions->count++] = (struct version){
            .reading_id = batch->readings[flagged[n - 1]].reading_id,
            .issued_ms = no_time ? INSTANT_NONE : sql_ms_from_time(sql_get_int64(PQgetvalue(result, row, 2))),
            .status = status_of(PQgetvalue(result, row, 1), PQgetlength(result, row, 1)),
            .revision = (uint16_t)sql_get_int32(PQgetvalue(result, row, 3)),
            .stored = true,
            .aside = sql_get_int32(PQgetvalue(result, row, 4)) == 1,
        };
    }
    free(flagged);
}

static void add_batch(struct versions *versions, const struct loader_batch *batch)
{
    for (uint32_t i = 0; i < batch->readings_count; i++) {
        const struct reading *reading = &batch->readings[i];
        versions->list[versions->count++] = (struct version){.reading_id = reading->reading_id,
                                                             .issued_ms = reading->issued_ms,
                                                             .index = i,
                                                             .status = reading->status,
                                                             .revision = reading->revision};
    }
}

/* By reading, stored ones first, then as they came. */
static int compare(const void *a, const void *b)
{
    const struct version *v = a, *w = b;
    int order = memcmp(v->reading_id, w->reading_id, UUID_BYTES);
    if (order != 0)
        return order;
    if (v->stored != w->stored)
        return v->stored ? -1 : 1;
    return (v->index > w->index) - (v->index < w->index);
}

static bool same_version(const struct version *v, const struct version *w)
{
    if (v->status != w->status)
        return false;
    return v->status < STATUS_CORRECTED || v->issued_ms == w->issued_ms;
}

/* Settles version `at` against those of its reading before it, which begin at `first`. */
static void settle(struct versions *versions, struct loader_batch *batch, uint32_t first, uint32_t at)
{
    struct version *version = &versions->list[at];
    if (version->stored || (batch->readings[version->index].flags & FLAG_CHECK_OLDER) == 0)
        return;
    bool released = batch->readings[version->index].flags & FLAG_RELEASED;
    int highest = -1;
    for (uint32_t i = first; i < at; i++) {
        const struct version *before = &versions->list[i];
        if ((!before->stored && batch->dropped[before->index]) || (released && before->aside))
            continue;
        if (same_version(before, version)) {
            batch->dropped[version->index] = true;
            return;
        }
        if (before->revision > highest)
            highest = before->revision;
    }
    version->revision = batch->readings[version->index].revision = (uint16_t)(highest + 1);
}

enum err loader_older_settle(struct postgres *postgres, struct loader_batch *batch)
{
    uint32_t older = count_older(batch);
    if (older == 0)
        return OK;
    PGresult *result = NULL;
    enum err error = ask(postgres, batch, older, &result);
    if (error != OK)
        return error;
    struct versions versions = {0};
    versions.list = calloc((size_t)PQntuples(result) + batch->readings_count, sizeof(*versions.list));
    ensure(versions.list != NULL);
    add_stored(&versions, batch, result);
    add_batch(&versions, batch);
    qsort(versions.list, versions.count, sizeof(*versions.list), compare);
    for (uint32_t at = 0, first = 0; at < versions.count; at++) {
        if (memcmp(versions.list[at].reading_id, versions.list[first].reading_id, UUID_BYTES) != 0)
            first = at;
        settle(&versions, batch, first, at);
    }
    free(versions.list);
    PQclear(result);
    return OK;
}
