/* shard_snapshot: a snapshot is taken in steps, a bounded part at the end of a turn or in a quiet moment, and
 * only when the buffer is back from the thread that writes it: a turn never waits for one.
 *
 * At a step all turns are committed and nothing due is left undecided, so the state is true for the durable
 * position. References to shared rules bind a snapshot to them: a rule added for a team, an organisation or a
 * line ends the one under way, as does a confirmed jump of the clock, which moves the timers of all; another
 * begins at once. */
#include <stdio.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/shard_internal.h"

enum {
    STEP_PATIENTS_MAX = 512,
    STEP_BYTES_MAX = 256 << 10, /* about half a millisecond */
    STEP_BYTES_MIN = 1 << 10,
    STEP_PART = 256,          /* of snapshot_bytes: a small journal has small steps */
    QUIET_MS = 10000,         /* nothing but ticks for so long: a quiet moment */
    QUIET_PART = 64,          /* worth it when this part of snapshot_bytes has been written since */
    HOUR_MS = 3600000,        /* or at most once an hour */
    OLDEST_MS = 24 * HOUR_MS, /* and once a day in any case: the journal forgets behind a snapshot */
};

void shard__saving_count(struct shard *shard, uint64_t bytes, bool changed)
{
    struct saving *saving = &shard->saving;
    saving->grown_bytes += bytes;
    if (!changed)
        return;
    saving->changed = true;
    saving->changed_monotonic_ms = shard->ticked_monotonic_ms;
}

static bool is_wanted(struct shard *shard, int64_t monotonic_ms)
{
    const struct saving *saving = &shard->saving;
    uint64_t bytes = shard->options.snapshot_bytes;
    int64_t quiet_ms = monotonic_ms - saving->changed_monotonic_ms;
    int64_t age_ms = monotonic_ms - saving->began_monotonic_ms;
    bool worth = saving->grown_bytes >= bytes / QUIET_PART || age_ms >= HOUR_MS;
    if (!saving->changed || !journal_accepting(shard->journal)) /* its reserve is for what is acknowledged */
        return false;
    return saving->grown_bytes >= bytes || (quiet_ms >= QUIET_MS && worth) || age_ms >= OLDEST_MS;
}

static void put_frame(struct buffer *out, size_t at, const struct snapshot_frame *frame)
{
    memcpy(out->data + at, frame, sizeof *frame);
}

/* A frame's head is filled in when its bytes are there. */
static size_t open_frame(struct buffer *out)
{
    size_t at = out->size;
    memset(buffer_reserve(out, sizeof(struct snapshot_frame)), 0, sizeof(struct snapshot_frame));
    out->size += sizeof(struct snapshot_frame);
    return at;
}

static void begin(struct shard *shard, int64_t monotonic_ms, struct buffer *out)
{
    struct saving *saving = &shard->saving;
    struct snapshot_head head = {
        .engine_format = ENGINE_SNAPSHOT_FORMAT,
        .node = shard->options.journal.node,
        .position = journal_durable(shard->journal),
        .tick_ms = engine_now_ms(shard->engine),
        .shard = shard->options.engine.shard,
        .pace = (uint32_t)shard->time.pace,
        .engine = VIGIE_VERSION,
    };
    snapshot_head_seal(&head);
    buffer_append(out, &head, sizeof head);
    size_t at = open_frame(out);
    engine_save_shared(saving->archive, out);
    put_frame(out, at,
              &(struct snapshot_frame){.kind = SNAPSHOT_SHARED,
                                       .position = head.position,
                                       .size = out->size - at - sizeof(struct snapshot_frame)});
    saving->under_way = true;
    saving->changed = false;
    saving->grown_bytes = 0;
    saving->began_monotonic_ms = monotonic_ms;
    saving->bound_to = engine_snapshot_bond(shard->engine);
    saving->last_id = INT64_MIN;
    saving->saved = 0;
}

static size_t step_bytes(const struct shard *shard)
{
    uint64_t bytes = shard->options.snapshot_bytes / STEP_PART;
    return bytes > STEP_BYTES_MAX ? STEP_BYTES_MAX : bytes < STEP_BYTES_MIN ? STEP_BYTES_MIN : (size_t)bytes;
}

/* The patients that follow, or the end when there are none. */
static bool put_patients(struct shard *shard, struct buffer *out)
{
    struct saving *saving = &shard->saving;
    size_t at = open_frame(out);
    unsigned count =
        engine_save_patients(saving->archive, &saving->last_id, STEP_PATIENTS_MAX, step_bytes(shard), out);
    saving->saved += count;
    put_frame(out, at,
              &(struct snapshot_frame){.kind = count > 0 ? SNAPSHOT_PATIENTS : SNAPSHOT_END,
                                       .count = count > 0 ? count : saving->saved,
                                       .position = journal_durable(shard->journal),
                                       .last_id = saving->last_id,
                                       .size = out->size - at - sizeof(struct snapshot_frame)});
    return count > 0;
}

bool shard__saving_is_due(struct shard *shard, int64_t monotonic_ms)
{
    const struct saving *saving = &shard->saving;
    if (saving->writer == NULL || snapshot_writer_buffer(saving->writer) == NULL)
        return false;
    return saving->under_way || is_wanted(shard, monotonic_ms);
}

void shard__save_step(struct shard *shard, int64_t monotonic_ms)
{
    struct saving *saving = &shard->saving;
    if (!shard__saving_is_due(shard, monotonic_ms))
        return;
    ensure(journal_turn_is_empty(shard->journal));
    if (saving->under_way && snapshot_writer_outcome(saving->writer) != OK) {
        saving->under_way = false; /* said by the thread; what it waits for is more to save */
        saving->changed = true;
        return;
    }
    bool broken = saving->under_way && saving->bound_to != engine_snapshot_bond(shard->engine);
    struct buffer *out = snapshot_writer_buffer(saving->writer);
    enum snapshot_part part = SNAPSHOT_MORE;
    if (!saving->under_way || broken) {
        begin(shard, monotonic_ms, out);
        part = SNAPSHOT_FIRST;
    }
    if (!put_patients(shard, out)) {
        saving->under_way = false;
        part = part == SNAPSHOT_FIRST ? SNAPSHOT_ONLY : SNAPSHOT_LAST;
    }
    snapshot_writer_give(saving->writer, part);
}

/* ---- life ---- */

static void options_of(struct shard *shard, struct snapshot_options *ret_options)
{
    *ret_options = (struct snapshot_options){
        .directory = shard->options.snapshot_directory,
        .keys = shard->options.journal.keys,
        .shard = shard->options.engine.shard,
        .bell = &shard->bell,
        .figures = shard->options.snapshot,
        .trim = shard->options.trim,
        .context = shard->options.context,
    };
}

enum err shard__saving_start(struct shard *shard)
{
    struct snapshot_options options;
    options_of(shard, &options);
    shard->saving.archive = engine_archive_new(shard->engine);
    return snapshot_writer_start(&options, &shard->saving.writer);
}

void shard__saving_stop(struct shard *shard)
{
    snapshot_writer_stop(shard->saving.writer);
    engine_archive_free(shard->saving.archive);
    shard->saving = (struct saving){.under_way = false};
}

/* ---- a start ---- */

static enum err check_head(const struct shard *shard, const struct snapshot_head *head)
{
    if (head->engine_format != ENGINE_SNAPSHOT_FORMAT)
        return ERR_FORMAT;
    if (head->node != shard->options.journal.node || head->shard != shard->options.engine.shard)
        return ERR_REFUSED;
    return head->position <= journal_durable(shard->journal) ? OK : ERR_STALE;
}

static enum err load_frame(struct shard *shard, struct archive *archive, const struct snapshot_frame *frame,
                           const void *bytes)
{
    struct loaded *loaded = shard->loaded;
    if ((frame->kind == SNAPSHOT_SHARED) != (loaded->frames++ == 0))
        return ERR_CORRUPT;
    if (frame->position < loaded->position || frame->position > journal_durable(shard->journal))
        return ERR_CORRUPT;
    if (frame->kind == SNAPSHOT_SHARED)
        return engine_load_shared(archive, bytes, (size_t)frame->size);
    loaded->position = frame->position;
    struct loaded_group group = {frame->position, frame->last_id};
    buffer_append(&loaded->groups, &group, sizeof group);
    return engine_load_patients(archive, frame->count, bytes, (size_t)frame->size);
}

static enum err load_frames(struct shard *shard, struct snapshot_reader *reader)
{
    struct archive *archive = engine_archive_new(shard->engine);
    struct snapshot_frame frame;
    const void *bytes = NULL;
    bool ended = false;
    enum err error = OK;
    while (error == OK && !ended) {
        error = snapshot_reader_next(reader, &frame, &bytes);
        ended = error == OK && frame.kind == SNAPSHOT_END;
        if (error == OK && !ended)
            error = load_frame(shard, archive, &frame, bytes);
        if (ended && frame.count != engine_patients_count(shard->engine))
            error = ERR_CORRUPT;
    }
    engine_archive_free(archive);
    return error;
}

/* Into shard->engine, which must be new; after an error it has to be replaced. */
static enum err load(struct shard *shard, const struct snapshot_options *options, unsigned generation)
{
    struct snapshot_reader *reader;
    struct snapshot_head head;
    enum err error = snapshot_reader_open(options, generation, &reader, &head);
    if (error != OK)
        return error;
    error = check_head(shard, &head);
    shard->loaded->position = head.position;
    if (error == OK)
        error = load_frames(shard, reader);
    snapshot_reader_close(reader);
    if (error != OK)
        return error;
    shard->loaded->position = head.position;
    shard->last_tick_ms = head.tick_ms;
    shard->last_pace = (enum engine_pace)head.pace;
    atomic_store(&options->figures->taken_ms, head.tick_ms);
    log_write(LOG_NOTICE, "recovery", "snapshot loaded shard=%u position=%llx patients=%zu engine=%s",
              (unsigned)options->shard, (unsigned long long)head.position,
              engine_patients_count(shard->engine), head.engine);
    return OK;
}

static void refuse(struct shard *shard, unsigned generation, enum err error)
{
    atomic_fetch_add(&shard->options.snapshot->damaged, 1);
    log_write(
        LOG_ERROR, "recovery",
        "a snapshot cannot be used file=%s/%u.%u found=%s expected=a whole snapshot of this node that its "
        "journal reaches hint=an older one or the journal is taken instead; find out what damaged it",
        shard->options.snapshot_directory, (unsigned)shard->options.engine.shard, generation,
        err_text(error));
}

/* Positions of both, 0 for what cannot be used; a damaged one is said loudly. */
static void look(struct shard *shard, const struct snapshot_options *options, uint64_t positions[])
{
    for (unsigned i = 0; i < SNAPSHOT_GENERATIONS; i++) {
        struct snapshot_reader *reader;
        struct snapshot_head head;
        positions[i] = 0;
        enum err error = snapshot_reader_open(options, i, &reader, &head);
        if (error == OK) {
            positions[i] = head.position;
            snapshot_reader_close(reader);
        } else if (error != ERR_NOT_FOUND) {
            refuse(shard, i, error);
        }
    }
}

/* Does the journal hold all that follows? */
static bool is_reached(const struct shard *shard, uint64_t position)
{
    const struct journal_options *journal = &shard->options.journal;
    struct journal_reader *reader;
    if (journal_reader_open(journal->directory, journal->keys, position, &reader) != OK)
        return false;
    journal_reader_close(reader);
    return true;
}

/* What one that turned out damaged has left behind. */
static void start_over(struct shard *shard)
{
    shard__renew_engine(shard);
    buffer_clear(&shard->loaded->groups);
    shard->loaded->frames = 0;
}

bool shard__load_snapshot(struct shard *shard, uint64_t *ret_position)
{
    struct snapshot_options options;
    uint64_t positions[SNAPSHOT_GENERATIONS];
    bool any = false;
    options_of(shard, &options);
    look(shard, &options, positions);
    while (!any && (positions[0] != 0 || positions[1] != 0)) {
        unsigned newest = positions[0] >= positions[1] ? 0 : 1;
        enum err error = is_reached(shard, positions[newest]) ? load(shard, &options, newest) : ERR_STALE;
        any = error == OK;
        if (any) {
            *ret_position = positions[newest];
        } else {
            refuse(shard, newest, error);
            positions[newest] = 0;
            start_over(shard);
        }
    }
    for (unsigned i = 0; i < SNAPSHOT_GENERATIONS; i++)
        atomic_store(&options.figures->position[i], positions[i]);
    return any;
}

void shard__wake_patients(struct shard *shard, uint64_t position)
{
    struct loaded *loaded = shard->loaded;
    const struct loaded_group *group = (const void *)loaded->groups.data;
    size_t count = loaded->groups.size / sizeof *group;
    while (loaded->woken < count && group[loaded->woken].position <= position) {
        int64_t after = loaded->woken == 0 ? INT64_MIN : group[loaded->woken - 1].last_id;
        engine_wake_patients(shard->engine, after, group[loaded->woken].last_id);
        loaded->woken++;
    }
}
