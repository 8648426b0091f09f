/* publisher_archive: a mailbox with three states. FREE and ANSWERED belong to the publisher, ASKED to the
 * helper; each hands the box over with a release that the other's acquire meets. */
#include "alerting/publisher_archive.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "storage/postgres.h"
#include "storage/sql_parameters.h"

enum { SERVER_SILENCE_MS = 20000, COMPLAIN_MS = 60000 };
enum box { BOX_FREE, BOX_ASKED, BOX_ANSWERED };
enum column {
    ID,
    EPISODE,
    SEQUENCE,
    EVENT,
    DECIDED,
    POSITION,
    PAYLOAD,
    PATIENT,
    ORGANIZATION,
    PRIORITY,
    COLUMNS
};

static const char read_events[] =
    "SELECT event_id, episode_id, sequence, event, decided_at, position, payload, payload->>'patient', "
    "payload->>'organization', payload->>'priority' FROM vigie.alert_event "
    "WHERE shard = $1 AND position >= $2 AND position < $3 ORDER BY position LIMIT 128";
_Static_assert(ARCHIVE_ROWS_MAX == 128, "the limit of the statement");

static const char read_cursor[] = "SELECT position FROM vigie.journal_cursor WHERE node = $1 AND shard = $2";

struct archive {
    struct archive_options options;
    _Atomic int box; /* enum box */
    struct archive_question question;
    struct archive_answer answer;
    enum err error;

    bool forgotten; /* the publisher's: the answer is for nobody */
    bool running;
    pthread_t thread;

    struct wakeup helper_bell;
    _Atomic bool stop; /* set by archive_free() */
    struct postgres *postgres;
    int64_t complained_ms;
};

/* --- the helper ------------------------------------------------------------------------------------------
 */

static enum err complain(struct archive *archive, enum err error, const char *what)
{
    int64_t now_ms = clock_monotonic_ms();
    const char *sqlstate = postgres_sqlstate(archive->postgres);
    if (archive->complained_ms == 0 || now_ms - archive->complained_ms >= COMPLAIN_MS) {
        log_write(LOG_WARNING, "kafka",
                  "%s shard=%" PRIu32 " sqlstate=%s hint=\"events that the journal has no more wait for "
                  "PostgreSQL; the other shards go on\"",
                  what, archive->question.shard, sqlstate[0] != '\0' ? sqlstate : "none");
        archive->complained_ms = now_ms;
    }
    return error == ERR_REFUSED ? ERR_UNAVAILABLE : error;
}

static enum err connect(struct archive *archive)
{
    const struct postgres_options options = {.conninfo = archive->options.conninfo,
                                             .application = "vigied publisher",
                                             .timeout_ms = SERVER_SILENCE_MS,
                                             .quit_fd = archive->helper_bell.fd};
    if (archive->postgres != NULL)
        return OK;
    enum err error = postgres_open(&options, &archive->postgres);
    if (error == OK)
        error = postgres_command(archive->postgres, "SET statement_timeout = '15s'");
    return error == OK ? OK : complain(archive, error, "cannot connect to PostgreSQL");
}

static enum err ask_cursor(struct archive *archive, uint64_t *ret_loaded)
{
    struct sql_parameters parameters = {0};
    PGresult *result = NULL;
    sql_int8(&parameters, (int64_t)archive->options.node);
    sql_int4(&parameters, (int32_t)archive->question.shard);
    struct postgres_parameters view = sql_view(&parameters);
    enum err error = postgres_query(archive->postgres, read_cursor, &view, &result);
    if (error != OK)
        return complain(archive, error, "cannot read vigie.journal_cursor");
    *ret_loaded = PQntuples(result) == 1 ? (uint64_t)sql_get_int64(PQgetvalue(result, 0, 0)) : 0;
    PQclear(result);
    return OK;
}

/* The cursor first: what it says is then true of the events too. */
static enum err answer(struct archive *archive, struct archive_answer *ret_answer)
{
    struct sql_parameters parameters = {0};
    enum err error = connect(archive);
    if (error == OK)
        error = ask_cursor(archive, &ret_answer->loaded);
    if (error != OK)
        return error;
    sql_int4(&parameters, (int32_t)archive->question.shard);
    sql_int8(&parameters, (int64_t)archive->question.from);
    sql_int8(&parameters, (int64_t)archive->question.until);
    struct postgres_parameters view = sql_view(&parameters);
    error = postgres_query(archive->postgres, read_events, &view, &ret_answer->rows);
    return error == OK ? OK : complain(archive, error, "cannot read vigie.alert_event");
}

static void *archive_main(void *argument)
{
    struct archive *archive = argument;
    for (;;) {
        wakeup_wait(&archive->helper_bell, -1); /* silent from here on, it means stop to postgres.h */
        if (atomic_load_explicit(&archive->stop, memory_order_acquire))
            return NULL;
        if (atomic_load_explicit(&archive->box, memory_order_acquire) != BOX_ASKED)
            continue;
        archive->answer = (struct archive_answer){0};
        archive->error = answer(archive, &archive->answer);
        if (archive->error == OK) {
            archive->complained_ms = 0;
        } else {
            postgres_close(archive->postgres);
            archive->postgres = NULL;
        }
        atomic_store_explicit(&archive->box, BOX_ANSWERED, memory_order_release);
        wakeup_ring(archive->options.bell);
    }
}

/* --- the publisher's side --------------------------------------------------------------------------------
 */

struct archive *archive_new(const struct archive_options *options)
{
    struct archive *archive = calloc(1, sizeof(*archive));
    ensure(archive != NULL);
    archive->options = *options;
    return archive;
}

static bool start_helper(struct archive *archive)
{
    if (archive->running)
        return true;
    if (wakeup_open(&archive->helper_bell) != OK)
        return false;
    archive->running = pthread_create(&archive->thread, NULL, archive_main, archive) == 0;
    if (archive->running)
        pthread_setname_np(archive->thread, "vigie-archive");
    else
        wakeup_close(&archive->helper_bell);
    return archive->running;
}

static bool box_is(const struct archive *archive, enum box box)
{
    return atomic_load_explicit(&archive->box, memory_order_acquire) == (int)box;
}

static void empty_box(struct archive *archive)
{
    PQclear(archive->answer.rows);
    archive->answer.rows = NULL;
    archive->forgotten = false;
    atomic_store_explicit(&archive->box, BOX_FREE, memory_order_relaxed);
}

void archive_ask(struct archive *archive, const struct archive_question *question)
{
    if (box_is(archive, BOX_ANSWERED) && archive->forgotten)
        empty_box(archive);
    if (!box_is(archive, BOX_FREE) || !start_helper(archive))
        return;
    archive->question = *question;
    atomic_store_explicit(&archive->box, BOX_ASKED, memory_order_release);
    wakeup_ring(&archive->helper_bell);
}

enum err archive_take(struct archive *archive, const void *asker, struct archive_answer *ret_answer)
{
    if (!box_is(archive, BOX_ANSWERED) || archive->forgotten || archive->question.asker != asker)
        return ERR_EMPTY;
    enum err error = archive->error;
    if (error == OK) {
        *ret_answer = archive->answer;
        archive->answer.rows = NULL;
    }
    empty_box(archive);
    return error;
}

void archive_forget(struct archive *archive, const void *asker)
{
    if (!box_is(archive, BOX_FREE) && archive->question.asker == asker)
        archive->forgotten = true;
}

void archive_free(struct archive *archive)
{
    if (archive == NULL)
        return;
    if (archive->running) {
        atomic_store_explicit(&archive->stop, true, memory_order_release);
        wakeup_ring(&archive->helper_bell);
        pthread_join(archive->thread, NULL);
        wakeup_close(&archive->helper_bell);
    }
    postgres_close(archive->postgres);
    PQclear(archive->answer.rows);
    free(archive);
}

/* --- rows ------------------------------------------------------------------------------------------------
 */

static bool copy_ref(const PGresult *rows, int row, enum column column, char out[REF_BYTES_MAX],
                     uint8_t *ret_size)
{
    int size = PQgetlength(rows, row, column);
    if (size > REF_BYTES_MAX)
        return false;
    memcpy(out, PQgetvalue(rows, row, column), (size_t)size);
    *ret_size = (uint8_t)size;
    return true;
}

static uint8_t kind_of(const char *word)
{
    uint8_t kind = 0;
    while (kind < EVENT_COUNT && strcmp(event_word((enum event_kind)kind), word) != 0)
        kind++;
    return kind;
}

enum err archive_read(const struct archive *archive, const PGresult *rows, int row,
                      struct archive_event *ret_event)
{
    const char *node = archive->options.node_name;
    ensure(PQnfields(rows) == COLUMNS && row < PQntuples(rows));
    *ret_event = (struct archive_event){
        .head = {.decided_at_ms = sql_ms_from_time(sql_get_int64(PQgetvalue(rows, row, DECIDED))),
                 .sequence = (uint32_t)sql_get_int32(PQgetvalue(rows, row, SEQUENCE)),
                 .kind = kind_of(PQgetvalue(rows, row, EVENT)),
                 .priority = (uint8_t)priority_from_word(PQgetvalue(rows, row, PRIORITY))},
        .position = (uint64_t)sql_get_int64(PQgetvalue(rows, row, POSITION)),
        .json = PQgetvalue(rows, row, PAYLOAD),
        .json_size = (uint32_t)PQgetlength(rows, row, PAYLOAD),
    };
    struct alert_event *head = &ret_event->head;
    memcpy(head->event_id, PQgetvalue(rows, row, ID), UUID_BYTES);
    memcpy(head->episode_id, PQgetvalue(rows, row, EPISODE), UUID_BYTES);
    bool good = head->kind < EVENT_COUNT && copy_ref(rows, row, PATIENT, head->key, &head->key_size) &&
                copy_ref(rows, row, ORGANIZATION, head->organization, &head->organization_size);
    if (head->key_size == 0) {
        head->key_size = (uint8_t)strlen(node);
        memcpy(head->key, node, head->key_size);
    }
    return good ? OK : ERR_FORMAT;
}
