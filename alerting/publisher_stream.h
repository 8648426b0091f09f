/* publisher_stream: the alert events of one shard behind a position, one after another: out of the journal
 * where it reaches, out of vigie.alert_event where it was trimmed.
 *
 *        vigie.alert_event          |           journal
 *   ... e e e e e e e e e e e e e e | e e e e e e e e e (durable)
 *        resume ──>            oldest segment
 *
 * The seam is the beginning of the oldest segment, as it was when PostgreSQL was asked: rows before it,
 * records from it on. If more is trimmed meanwhile, the journal says so and PostgreSQL is asked again, from
 * `resume`. Owner:   the publisher. Threads: the publisher's. Holds:   positions given only grow between two
 * rewinds; `resume` is behind the event given last. Fails:   ERR_EMPTY nothing now; ERR_BUSY PostgreSQL is
 * being asked; ERR_UNAVAILABLE it is away; else the journal cannot be read. The stream stays where it is and
 * may be asked again. */
#ifndef VIGIE_ALERTING_PUBLISHER_STREAM_H
#define VIGIE_ALERTING_PUBLISHER_STREAM_H

#include "alerting/publisher_archive.h"
#include "alerting/publisher_flight.h"
#include "storage/journal.h"

struct stream_options {
    uint32_t shard;
    struct journal *journal;
    const char *journal_directory; /* of all shards */
    struct archive *archive;       /* borrowed */
};

struct stream {
    struct stream_options options;
    struct journal_reader *reader; /* NULL: none is open */
    uint64_t resume;

    bool archived; /* PostgreSQL is asked for what lies before `seam` */
    uint64_t seam;
    PGresult *rows; /* the answer being given */
    int row;

    bool held; /* the event below was given and not yet taken */
    struct alert_event event;
    uint64_t position;
    const char *json; /* valid while held */
    uint32_t json_size;

    enum err trouble; /* of the last attempt: OK, or why nothing could be read */
    struct flights flights;
};

void stream_init(struct stream *stream, const struct stream_options *options, uint64_t resume);
void stream_deinit(struct stream *stream);
/* Forgets what was read and sent; goes on behind `resume`. */
void stream_rewind(struct stream *stream, uint64_t resume);

/* Holds the next event unless one is held. */
MUST_CHECK enum err stream_hold(struct stream *stream);
static inline void stream_take(struct stream *stream)
{
    stream->held = false;
}
/* How far nothing is left to be read: `resume`, or farther when only readings followed. */
uint64_t stream_position(const struct stream *stream);
/* Events of the journal before the stream, 0 when that is not known. */
uint64_t stream_events_before(const struct stream *stream);

#endif
