/* registry_quarantine: PostgreSQL renders the object: numbers of its columns are exact, times have their
 * milliseconds. */
#include "daemon/registry/registry_quarantine.h"

#include <string.h>

#include "daemon/registry/import.h"

#define TIME(column) "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"

static const char query[] = "SELECT coalesce(" TIME("released_at") ", ''), coalesce(" TIME(
    "discarded_at") ", ''), json_build_object("
                    "'patient_id', patient_id, 'reading_id', reading_id, 'quarantine_id', quarantine_id, "
                    "'quarantine', reason, 'parameter', p.name, 'value', trim_scale(value::numeric / "
                    "1000000), "
                    "'unit', p.unit, 'comparator', original->>'comparator', 'measured_at', " TIME(
                        "measured_at") ", "
                                       "'received_at', " TIME("received_at") ", 'issued', " TIME(
                                           "issued") ", 'status', status, "
                                                     "'origin', original->>'origin', 'flags', "
                                                     "original->'flags', 'source_id', original->'source_id', "
                                                     "'device_id', coalesce(device_id, 0), 'group_id', "
                                                     "original->'group_id', "
                                                     "'time_precision', original->>'time_precision', "
                                                     "'utc_offset_min', original->'utc_offset_min', "
                                                     "'key_device', original->>'key_device', 'sensor', "
                                                     "original->>'sensor', 'alias', original->>'alias', "
                                                     "'original_text', original->>'original_text', "
                                                     "'original_unit', original->>'original_unit', "
                                                     "'original_code', original->>'original_code', "
                                                     "'context', original->>'context')::text "
                                                     "FROM vigie.quarantine q JOIN vigie.parameter p USING "
                                                     "(parameter_id) WHERE quarantine_id = $1::bigint";
enum { COLUMN_RELEASED, COLUMN_DISCARDED, COLUMN_OBJECT };

static int refuse(struct buffer *reply, int status, const char *found, const char *at)
{
    struct import_fault fault = {.what = "quarantine",
                                 .expected = "one that waits in quarantine",
                                 .hint = "vigiectl quarantine list shows which do"};
    snprintf(fault.found, sizeof(fault.found), "%s%s", found, at);
    import_fault_render(&fault, reply);
    return status;
}

enum err registry_quarantine_read(struct postgres *postgres, const char *id, int *ret_status,
                                  struct buffer *reply)
{
    const char *const values[] = {id};
    const struct postgres_parameters parameters = {.count = 1, .values = values};
    PGresult *result = NULL;
    enum err error = postgres_query(postgres, query, &parameters, &result);
    if (error != OK) {
        PQclear(result);
        return error;
    }
    if (PQntuples(result) == 0) {
        *ret_status = refuse(reply, 404, "no such id: ", id);
    } else if (PQgetlength(result, 0, COLUMN_RELEASED) > 0) {
        *ret_status = refuse(reply, 422, "released already at ", PQgetvalue(result, 0, COLUMN_RELEASED));
    } else if (PQgetlength(result, 0, COLUMN_DISCARDED) > 0) {
        *ret_status = refuse(reply, 422, "discarded already at ", PQgetvalue(result, 0, COLUMN_DISCARDED));
    } else {
        *ret_status = 200;
        buffer_append(reply, PQgetvalue(result, 0, COLUMN_OBJECT),
                      (size_t)PQgetlength(result, 0, COLUMN_OBJECT));
    }
    PQclear(result);
    return OK;
}
