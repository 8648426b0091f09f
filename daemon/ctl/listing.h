/* listing: what PostgreSQL answers, as a table for people or as JSON.
 * Threads: one. Holds: columns are in the order of the query, times as text that it has formatted; those of
 * width 0 are for JSON alone and stand behind the others. */
#ifndef VIGIE_DAEMON_CTL_LISTING_H
#define VIGIE_DAEMON_CTL_LISTING_H

#include "daemon/ctl/ctl.h"
#include "storage/postgres.h"

enum listing_kind { LISTING_TEXT, LISTING_NUMBER, LISTING_BOOLEAN, LISTING_JSON };

struct listing_column {
    const char *key;
    int width;
    enum listing_kind kind;
};

struct listing {
    const struct listing_column *columns;
    unsigned count;
    const char *query;
    struct postgres_parameters parameters;
    bool json; /* an array of objects */
};

/* How a query shows a time: to_char(… AT TIME ZONE 'UTC', f). */
#define LISTING_TIMES "(VALUES ('YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')) AS shown (f)"

/* The caller's: postgres_close() and PQclear() whatever it says. A failure has printed its line. */
MUST_CHECK enum err listing_query(const struct ctl *ctl, const struct listing *listing,
                                  struct postgres **ret_postgres, PGresult **ret_result);
/* Asks and prints; the exit status. */
int listing_run(const struct ctl *ctl, const struct listing *listing);

#endif
