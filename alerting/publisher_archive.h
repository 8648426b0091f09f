/* publisher_archive: events that the journal has no more, read back from vigie.alert_event. Trim waits for
 * PostgreSQL (DESIGN.md section 2), so what lies before the oldest segment is there, with the same bytes.
 * Owner:   the publisher. Threads: a helper of its own, made with the first question, waits for PostgreSQL,
 * so that the publisher goes on serving librdkafka (PITFALLS K2, P10); the two meet in one mailbox of one
 *          question at a time.
 * Holds:   an answer is at most ARCHIVE_ROWS_MAX events of 16 KB.
 * Fails:   archive_take() says ERR_UNAVAILABLE after a line in the log; the same question may be asked again.
 */
#ifndef VIGIE_ALERTING_PUBLISHER_ARCHIVE_H
#define VIGIE_ALERTING_PUBLISHER_ARCHIVE_H

#include <libpq-fe.h>

#include "daemon/base/wakeup.h"
#include "daemon/model/alert_event.h"

enum { ARCHIVE_ROWS_MAX = 128 };

struct archive_options {
    const char *conninfo;
    uint64_t node;         /* whose cursor says how far PostgreSQL was loaded */
    const char *node_name; /* key of events without patient */
    struct wakeup *bell;   /* rung with an answer */
};

struct archive;
struct archive *archive_new(const struct archive_options *options);
void archive_free(struct archive *archive);

/* Events of a shard with from <= position < until, in their order. */
struct archive_question {
    const void *asker; /* whom the answer is for */
    uint32_t shard;
    uint64_t from, until;
};

struct archive_answer {
    PGresult *rows;  /* the taker's to PQclear() */
    uint64_t loaded; /* every record before this position is in PostgreSQL */
};

/* Asks unless a question is open. */
void archive_ask(struct archive *archive, const struct archive_question *question);
/* ERR_EMPTY: nothing for this asker yet. */
MUST_CHECK enum err archive_take(struct archive *archive, const void *asker,
                                 struct archive_answer *ret_answer);
/* The asker wants its answer no more. */
void archive_forget(struct archive *archive, const void *asker);

struct archive_event {
    struct alert_event head;
    uint64_t position;
    const char *json; /* in the rows */
    uint32_t json_size;
};
/* One row of an answer; ERR_FORMAT: not what this version writes. */
MUST_CHECK enum err archive_read(const struct archive *archive, const PGresult *rows, int row,
                                 struct archive_event *ret_event);

#endif
