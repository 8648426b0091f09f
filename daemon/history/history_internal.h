/* history_internal: shared by history.c (what is journaled) and history_play.c (readings, and the order of it
 * all) alone. */
#ifndef VIGIE_DAEMON_HISTORY_HISTORY_INTERNAL_H
#define VIGIE_DAEMON_HISTORY_HISTORY_INTERNAL_H

#include "daemon/base/buffer.h"
#include "daemon/history/history.h"

enum { PARAMETER_IDS_MAX = 4096 };

struct stored { /* rows of journal_command and engine_start: their texts are the result's */
    PGresult *result;
    struct past_item *items;
    size_t count;
};

struct history {
    struct postgres *postgres;
    uint16_t parameters[PARAMETER_IDS_MAX]; /* enum parameter by parameter_id; PARAMETER_COUNT: not ours */
    struct stored shared[SHARDS_MAX];       /* rules of everyone and starts, by shard */
    bool shared_known[SHARDS_MAX];
    struct stored *own; /* of each loaded past */
    struct past *pasts;
    PGresult *patients;
    size_t pasts_count;
};

/* Columns of results in the binary format. */
int64_t row_int8(const PGresult *result, int row, int column, int64_t absent);
int64_t row_time(const PGresult *result, int row, int column);
static inline const char *row_text(const PGresult *result, int row, int column)
{
    return PQgetvalue(result, row, column);
}

MUST_CHECK enum err history__query(struct history *history, const char *sql, PGresult **ret_result);

#endif
