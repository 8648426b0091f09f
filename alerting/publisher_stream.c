/* publisher_stream: two sources in a row; whichever is read, a held event looks the same. */
#include "alerting/publisher_stream.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/ensure.h"
#include "daemon/base/log.h"

void stream_init(struct stream *stream, const struct stream_options *options, uint64_t resume)
{
    memset(stream, 0, sizeof(*stream));
    stream->options = *options;
    stream->resume = resume;
}

static void close_sources(struct stream *stream)
{
    journal_reader_close(stream->reader);
    stream->reader = NULL;
    PQclear(stream->rows);
    stream->rows = NULL;
    archive_forget(stream->options.archive, stream);
    stream->archived = stream->held = false;
}

void stream_deinit(struct stream *stream)
{
    close_sources(stream);
}

void stream_rewind(struct stream *stream, uint64_t resume)
{
    close_sources(stream);
    stream->resume = resume;
    flights_reset(&stream->flights);
}

/* --- PostgreSQL ------------------------------------------------------------------------------------------
 */

static void enter_archive(struct stream *stream)
{
    struct journal_figures journal;
    close_sources(stream);
    journal_figures(stream->options.journal, &journal);
    stream->archived = true;
    stream->seam = journal.oldest;
    log_write(LOG_NOTICE, "kafka",
              "goes on from vigie.alert_event, the journal has no more shard=%" PRIu32 " from=%" PRIu64
              " until=%" PRIu64,
              stream->options.shard, stream->resume, stream->seam);
}

/* Back to the journal. PostgreSQL that lost what it once had (a failover, PITFALLS P15) cannot give it back:
 * newer alerts do not wait for that. */
static void leave_archive(struct stream *stream, uint64_t loaded)
{
    if (loaded < stream->seam)
        log_write(LOG_ERROR, "kafka",
                  "PostgreSQL lacks events that the journal has no more shard=%" PRIu32 " found=%" PRIu64
                  " expected=%" PRIu64 " hint=\"was it restored or failed over? restore it, then repeat from "
                  "vigie.alert_event\"",
                  stream->options.shard, loaded, stream->seam);
    log_write(LOG_NOTICE, "kafka", "goes on from the journal shard=%" PRIu32 " from=%" PRIu64,
              stream->options.shard, stream->seam);
    stream->archived = false;
    if (stream->resume < stream->seam)
        stream->resume = stream->seam;
}

/* Gets the next rows; OK also when that ended the archive. */
static enum err turn_page(struct stream *stream)
{
    struct archive_answer answer;
    enum err error = archive_take(stream->options.archive, stream, &answer);
    if (error == ERR_EMPTY) {
        archive_ask(stream->options.archive, &(struct archive_question){.asker = stream,
                                                                        .shard = stream->options.shard,
                                                                        .from = stream->resume,
                                                                        .until = stream->seam});
        return ERR_BUSY;
    }
    if (error != OK)
        return error;
    if (PQntuples(answer.rows) == 0) {
        PQclear(answer.rows);
        leave_archive(stream, answer.loaded);
        return OK;
    }
    stream->rows = answer.rows;
    stream->row = 0;
    return OK;
}

static enum err next_archived(struct stream *stream)
{
    struct archive_event event;
    if (stream->rows != NULL && stream->row == PQntuples(stream->rows)) {
        PQclear(stream->rows);
        stream->rows = NULL;
    }
    if (stream->rows == NULL) {
        enum err error = turn_page(stream);
        if (error != OK || !stream->archived)
            return error;
    }
    enum err error = archive_read(stream->options.archive, stream->rows, stream->row, &event);
    if (error != OK)
        return error;
    ensure(event.position >= stream->resume && event.position < stream->seam);
    stream->row++;
    stream->event = event.head;
    stream->position = event.position;
    stream->json = event.json;
    stream->json_size = event.json_size;
    stream->resume = event.position + 1; /* a reader goes on at the first record from there */
    stream->held = true;
    return OK;
}

/* --- the journal -----------------------------------------------------------------------------------------
 */

/* To a reader 0 means the oldest there is; to us all there ever was. */
static enum err open_reader(struct stream *stream)
{
    const struct stream_options *options = &stream->options;
    uint64_t from = stream->resume > 0 ? stream->resume : 1;
    char directory[PATH_MAX];
    int length =
        snprintf(directory, sizeof(directory), "%s/%" PRIu32, options->journal_directory, options->shard);
    ensure(length < (int)sizeof(directory));
    return journal_reader_open(directory, journal_keys(options->journal), from, &stream->reader);
}

static enum err next_journaled(struct stream *stream)
{
    struct record record;
    enum err error = stream->reader == NULL ? open_reader(stream) : OK;
    if (error == OK)
        error = journal_reader_next_event(stream->reader, journal_durable(stream->options.journal), &record);
    if (error == ERR_NOT_FOUND) {
        enter_archive(stream);
        return OK;
    }
    if (error == OK && record.size < sizeof(struct alert_event))
        error = ERR_CORRUPT;
    if (error != OK)
        return error;
    memcpy(&stream->event, record.data, sizeof(stream->event));
    stream->position = record.position;
    stream->json = (const char *)record.data + sizeof(stream->event);
    stream->json_size = record.size - (uint32_t)sizeof(stream->event);
    stream->resume = journal_reader_position(stream->reader);
    stream->held = true;
    return OK;
}

enum err stream_hold(struct stream *stream)
{
    enum err error = OK;
    for (int sources = 0; !stream->held && error == OK && sources < 3; sources++)
        error = stream->archived ? next_archived(stream) : next_journaled(stream);
    if (error == OK && !stream->held)
        error = ERR_BUSY; /* trimmed as fast as we read: another round */
    stream->trouble = error == ERR_EMPTY ? OK : error;
    if (error != OK && error != ERR_EMPTY && error != ERR_BUSY) {
        journal_reader_close(stream->reader);
        stream->reader = NULL;
    }
    return error;
}

uint64_t stream_position(const struct stream *stream)
{
    if (stream->held || stream->reader == NULL)
        return stream->resume;
    uint64_t here = journal_reader_position(stream->reader);
    return here > stream->resume ? here : stream->resume;
}

uint64_t stream_events_before(const struct stream *stream)
{
    uint64_t events = 0;
    if (stream->reader != NULL)
        journal_reader_count(stream->reader, &events);
    return events;
}
