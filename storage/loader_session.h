/* loader_session: one connection of the loader that holds the lease of the database: what was asked and
 * checked when it was made, and the partitions known to exist. Owner:   loader_session_open() gives;
 * loader_session_close() takes. Threads: the loader's. Fails:   ERR_UNAVAILABLE PostgreSQL is away; ERR_STALE
 * another node or a newer start has the database; ERR_CONFIG schema, rights or parameters are not what this
 * program needs. Each is logged here. */
#ifndef VIGIE_STORAGE_LOADER_SESSION_H
#define VIGIE_STORAGE_LOADER_SESSION_H

#include "daemon/model/parameter.h"
#include "storage/loader.h"
#include "storage/postgres.h"

enum { WEEKS_KNOWN = 64, PARTITION_WEEKS_AHEAD = 2 };

struct loader_session {
    struct postgres *postgres;
    const struct loader_options *options;
    int16_t parameter_ids[PARAMETER_COUNT];
    int64_t weeks[WEEKS_KNOWN]; /* partitions that exist, by week number; the oldest entry is overwritten */
    unsigned weeks_count, weeks_next;
    bool quiet; /* the same trouble as a moment ago: say it at debug level */
};

struct loader_session_options {
    const struct loader_options *loader;
    int quit_fd; /* readable when the loader is to end */
    bool quiet;
};

/* Where loading goes on in a shard. */
struct loader_place {
    uint64_t position;
    int64_t engine_ms; /* of the newest tick before it, INSTANT_NONE without */
};

/* Connects, checks, takes the lease and the cursors at the loader's epoch; places[shards]. */
MUST_CHECK enum err loader_session_open(const struct loader_session_options *options,
                                        struct loader_place *places, struct loader_session **ret_session);
void loader_session_close(struct loader_session *session);

/* One node a database (DESIGN.md section 3): ERR_STALE, after a line that says so, when it is another's. All
 * else is the running loader's to wait for. Blocks for seconds at most. */
MUST_CHECK enum err loader_session_claim(const struct loader_options *options);

/* Rows of vigie.quarantine that are neither released nor discarded. */
MUST_CHECK enum err loader_session_count_quarantine(struct loader_session *session, uint64_t *ret_rows);

/* Makes the partition of an engine time, and those `ahead` weeks behind it, unless known. Outside of a
 * transaction. */
MUST_CHECK enum err loader_session_need_week(struct loader_session *session, int64_t engine_ms, int ahead);
/* Asks again for every partition the next time. */
void loader_session_forget_weeks(struct loader_session *session);

#endif
