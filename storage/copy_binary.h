/* copy_binary: readings as rows of COPY vigie.reading … (FORMAT binary), PITFALLS P8. The format: a
 * signature, then a row = int16 number of columns and for each column int32 length (-1: NULL) and bytes, at
 * the end int16 -1. Types are exact and big endian. Threads: pure on the caller's buffer. Holds:   every text
 * it writes is UTF-8 without zero bytes, whatever the tail holds: bytes that PostgreSQL would refuse become
 * U+FFFD, so that a text never costs a reading. */
#ifndef VIGIE_STORAGE_COPY_BINARY_H
#define VIGIE_STORAGE_COPY_BINARY_H

#include <stdint.h>

#include "daemon/base/buffer.h"
#include "daemon/model/reading.h"

/* In the order of the COPY; types as PostgreSQL names them. */
#define COPY_COLUMNS(COLUMN)                                                                                 \
    COLUMN(reading_id, "uuid")                                                                               \
    COLUMN(revision, "integer")                                                                              \
    COLUMN(patient_id, "bigint")                                                                             \
    COLUMN(parameter_id, "smallint")                                                                         \
    COLUMN(measured_at, "timestamp with time zone")                                                          \
    COLUMN(received_at, "timestamp with time zone")                                                          \
    COLUMN(value, "bigint")                                                                                  \
    COLUMN(comparator, "text")                                                                               \
    COLUMN(device_id, "bigint")                                                                              \
    COLUMN(sensor, "text")                                                                                   \
    COLUMN(origin, "text")                                                                                   \
    COLUMN(status, "text")                                                                                   \
    COLUMN(flags, "integer")                                                                                 \
    COLUMN(source_id, "bigint")                                                                              \
    COLUMN(alias, "text")                                                                                    \
    COLUMN(issued, "timestamp with time zone")                                                               \
    COLUMN(group_id, "bigint")                                                                               \
    COLUMN(time_precision, "text")                                                                           \
    COLUMN(utc_offset_min, "smallint")                                                                       \
    COLUMN(original_text, "text")                                                                            \
    COLUMN(original_unit, "text")                                                                            \
    COLUMN(original_code, "text")                                                                            \
    COLUMN(key_device, "text")                                                                               \
    COLUMN(context, "json")                                                                                  \
    COLUMN(request_position, "bigint")                                                                       \
    COLUMN(request_index, "smallint")

struct copy_column {
    const char *name, *type;
};
extern const struct copy_column copy_columns[];
extern const unsigned copy_columns_count;

/* The statement that takes what follows, as a C string. */
void copy_statement(struct buffer *out);

/* Where a reading came in: the journal's position of the first of its request, and its number there. */
struct copy_place {
    uint64_t request;
    int16_t index;
};

void copy_begin(struct buffer *out);
/* `parameter_ids` maps enum parameter to vigie.parameter.parameter_id. */
void copy_reading(struct buffer *out, const struct reading *reading, const uint8_t *tail,
                  const int16_t *parameter_ids, const struct copy_place *place);
void copy_end(struct buffer *out);

#endif
