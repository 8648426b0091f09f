/* sql_parameters: the parameters of one statement in PostgreSQL's binary format, and arrays of them: exact,
 * and nothing to quote. Owner: the caller's memory; borrows texts. Threads: one at a time. Holds: at most
 * SQL_PARAMETERS_MAX; types must be those that the statement infers. */
#ifndef VIGIE_STORAGE_SQL_PARAMETERS_H
#define VIGIE_STORAGE_SQL_PARAMETERS_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/buffer.h"
#include "storage/postgres.h"

enum { SQL_PARAMETERS_MAX = 20 };

struct sql_parameters {
    int count;
    const char *values[SQL_PARAMETERS_MAX];
    int lengths[SQL_PARAMETERS_MAX], formats[SQL_PARAMETERS_MAX];
    char space[SQL_PARAMETERS_MAX][8];
};

void sql_null(struct sql_parameters *parameters);
void sql_int2(struct sql_parameters *parameters, int16_t value);
void sql_int4(struct sql_parameters *parameters, int32_t value);
void sql_int8(struct sql_parameters *parameters, int64_t value);
void sql_time(struct sql_parameters *parameters, int64_t ms); /* INSTANT_NONE is NULL */
void sql_uuid(struct sql_parameters *parameters, const uint8_t uuid[16]);
void sql_bytes(struct sql_parameters *parameters, const void *data,
               size_t size); /* bytea, text, json; NULL is NULL */
void sql_text(struct sql_parameters *parameters, const char *text);

struct postgres_parameters sql_view(const struct sql_parameters *parameters);

/* Runs and drops the rows; *ret_rows (may be NULL) are those affected or returned. */
MUST_CHECK enum err sql_run(struct postgres *postgres, const char *sql,
                            const struct sql_parameters *parameters, unsigned *ret_rows);

/* Big endian, as PostgreSQL reads. */
void sql_put_int16(char *out, int16_t value);
void sql_put_int32(char *out, int32_t value);
void sql_put_int64(char *out, int64_t value);
int64_t sql_get_int64(const char *in);
int32_t sql_get_int32(const char *in);
int64_t sql_time_from_ms(int64_t ms); /* microseconds since 2000-01-01 */
int64_t sql_ms_from_time(int64_t time);

/* One-dimensional arrays, built in a buffer. Type numbers are PostgreSQL's, fixed for ever. */
enum sql_type { SQL_TYPE_INT8 = 20, SQL_TYPE_TIMESTAMPTZ = 1184, SQL_TYPE_UUID = 2950 };
void sql_array_begin(struct buffer *array, enum sql_type type, uint32_t count);
void sql_array_int8(struct buffer *array, int64_t value); /* int8, timestamptz */
void sql_array_uuid(struct buffer *array, const uint8_t uuid[16]);

#endif
