/* Numbers are written where they are kept, so a statement costs no allocation; see PITFALLS P8 for the
 * format. */
#include "storage/sql_parameters.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/instant.h"

enum { EPOCH_2000_S = 946684800 }; /* 2000-01-01T00:00:00Z in seconds since 1970 */

void sql_put_int16(char *out, int16_t value)
{
    uint16_t big = htobe16((uint16_t)value);
    memcpy(out, &big, sizeof(big));
}

void sql_put_int32(char *out, int32_t value)
{
    uint32_t big = htobe32((uint32_t)value);
    memcpy(out, &big, sizeof(big));
}

void sql_put_int64(char *out, int64_t value)
{
    uint64_t big = htobe64((uint64_t)value);
    memcpy(out, &big, sizeof(big));
}

int64_t sql_get_int64(const char *in)
{
    uint64_t big;
    memcpy(&big, in, sizeof(big));
    return (int64_t)be64toh(big);
}

int32_t sql_get_int32(const char *in)
{
    uint32_t big;
    memcpy(&big, in, sizeof(big));
    return (int32_t)be32toh(big);
}

int64_t sql_time_from_ms(int64_t ms)
{
    return (ms - (int64_t)EPOCH_2000_S * 1000) * 1000;
}

int64_t sql_ms_from_time(int64_t time)
{
    return time / 1000 + (int64_t)EPOCH_2000_S * 1000;
}

/* A parameter of `size` bytes that live in the struct itself; where to write them. */
static char *add_space(struct sql_parameters *parameters, int size)
{
    ensure(parameters->count < SQL_PARAMETERS_MAX);
    int i = parameters->count++;
    parameters->values[i] = parameters->space[i];
    parameters->lengths[i] = size;
    parameters->formats[i] = 1;
    return parameters->space[i];
}

void sql_null(struct sql_parameters *parameters)
{
    (void)add_space(parameters, 0);
    parameters->values[parameters->count - 1] = NULL;
}

void sql_int2(struct sql_parameters *parameters, int16_t value)
{
    sql_put_int16(add_space(parameters, 2), value);
}

void sql_int4(struct sql_parameters *parameters, int32_t value)
{
    sql_put_int32(add_space(parameters, 4), value);
}

void sql_int8(struct sql_parameters *parameters, int64_t value)
{
    sql_put_int64(add_space(parameters, 8), value);
}

void sql_time(struct sql_parameters *parameters, int64_t ms)
{
    if (ms == INSTANT_NONE)
        sql_null(parameters);
    else
        sql_int8(parameters, sql_time_from_ms(ms));
}

void sql_bytes(struct sql_parameters *parameters, const void *data, size_t size)
{
    (void)add_space(parameters, (int)size);
    parameters->values[parameters->count - 1] = data;
}

void sql_uuid(struct sql_parameters *parameters, const uint8_t uuid[16])
{
    sql_bytes(parameters, uuid, 16);
}

void sql_text(struct sql_parameters *parameters, const char *text)
{
    sql_bytes(parameters, text, text != NULL ? strlen(text) : 0);
}

struct postgres_parameters sql_view(const struct sql_parameters *parameters)
{
    return (struct postgres_parameters){.count = parameters->count,
                                        .values = parameters->values,
                                        .lengths = parameters->lengths,
                                        .formats = parameters->formats,
                                        .binary_result = true};
}

enum err sql_run(struct postgres *postgres, const char *sql, const struct sql_parameters *parameters,
                 unsigned *ret_rows)
{
    struct postgres_parameters view = sql_view(parameters);
    PGresult *result = NULL;
    enum err error = postgres_query(postgres, sql, &view, &result);
    if (error != OK)
        return error;
    if (ret_rows != NULL)
        *ret_rows = (unsigned)strtoul(PQcmdTuples(result), NULL, 10);
    PQclear(result);
    return OK;
}

void sql_array_begin(struct buffer *array, enum sql_type type, uint32_t count)
{
    buffer_clear(array);
    char *out = buffer_reserve(array, 20);
    sql_put_int32(out, 1);     /* dimensions */
    sql_put_int32(out + 4, 0); /* no NULL in it */
    sql_put_int32(out + 8, (int32_t)type);
    sql_put_int32(out + 12, (int32_t)count);
    sql_put_int32(out + 16, 1); /* first index */
    array->size += 20;
}

void sql_array_int8(struct buffer *array, int64_t value)
{
    char *out = buffer_reserve(array, 12);
    sql_put_int32(out, 8);
    sql_put_int64(out + 4, value);
    array->size += 12;
}

void sql_array_uuid(struct buffer *array, const uint8_t uuid[16])
{
    char *out = buffer_reserve(array, 20);
    sql_put_int32(out, 16);
    memcpy(out + 4, uuid, 16);
    array->size += 20;
}
