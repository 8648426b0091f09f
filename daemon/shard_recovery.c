/* shard_recovery: state = f(journal). Loads a snapshot, if there is one, and replays every record behind it
 * into the engine in order; the events that the engine decides again are compared with those that the journal
 * holds. Published events are facts: a difference is counted and shown, it never stops a start and is never
 * published twice. That is why a snapshot of an older version of Vigie is taken too: it is what was
 * published, and the journal before it may be gone; only its format must be known.
 *
 * A patient of the snapshot is dormant up to the position it is true for. Meanwhile ticks have less to decide
 * than they had, so the ticks of one instant share it otherwise: events are compared as the set of all that
 * those ticks brought. */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/shard_internal.h"

enum { PROGRESS_MS = 2000 };

struct replay {
    struct shard *shard;
    struct buffer heads, tails; /* the unit being gathered */
    uint32_t readings;
    struct buffer decided, met; /* uint64_t digests of events: decided, in the journal; of one cause */
    bool ticks; /* the cause is a tick, or several of one instant while patients are dormant */
    int64_t now_ms, progress_ms;
    uint64_t records;
    uint64_t first_segment; /* of what is replayed; 0: not met yet */
};

static uint64_t event_digest(const struct alert_event *event, const void *json, size_t json_size)
{
    return hash_xxh64(event, sizeof *event) ^ hash_mix64(hash_xxh64(json, json_size));
}

void shard__replay_event(struct replay *replay, const struct alert_event *event, const char *json,
                         uint32_t json_size)
{
    uint64_t digest = event_digest(event, json, json_size);
    buffer_append(&replay->decided, &digest, sizeof digest);
}

static int compare_digests(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/* In order, but for ticks that shared their events otherwise. */
static void settle(struct replay *replay, bool in_order)
{
    size_t decided = replay->decided.size / sizeof(uint64_t), met = replay->met.size / sizeof(uint64_t);
    uint64_t *a = (void *)replay->decided.data, *b = (void *)replay->met.data;
    if (!in_order && decided > 1)
        qsort(a, decided, sizeof *a, compare_digests);
    if (!in_order && met > 1)
        qsort(b, met, sizeof *b, compare_digests);
    for (size_t i = 0; i < decided || i < met; i++)
        replay->shard->differences += i >= decided || i >= met || a[i] != b[i];
    buffer_clear(&replay->decided);
    buffer_clear(&replay->met);
}

/* A further tick of the same instant. */
static bool goes_on(const struct replay *replay, const struct record *record)
{
    struct record_tick tick;
    if (record->type != RECORD_TICK || !replay->ticks || record->size != sizeof tick)
        return false;
    memcpy(&tick, record->data, sizeof tick);
    return tick.engine_ms == replay->now_ms && tick.up_ms == 0;
}

static void replay_tick(struct replay *replay, const struct record *record)
{
    struct record_tick tick;
    ensure(record->size == sizeof tick);
    memcpy(&tick, record->data, sizeof tick);
    replay->now_ms = tick.engine_ms;
    replay->shard->last_tick_ms = tick.engine_ms;
    replay->shard->last_pace = (enum engine_pace)tick.held;
    (void)engine_tick(replay->shard->engine, tick.engine_ms, tick.up_ms, (enum tick_kind)tick.start);
}

static void decide_unit(struct replay *replay)
{
    struct reading *heads = (struct reading *)(void *)replay->heads.data;
    for (uint32_t i = 0; i < replay->readings; i++)
        heads[i].next = i + 1 < replay->readings ? i + 1 : READING_CHAIN_END;
    struct patient *patient = engine_patient(replay->shard->engine, heads[0].patient_id);
    ensure(patient != NULL);
    if (!engine_is_dormant(patient))
        engine_decide(replay->shard->engine, patient, heads, (const uint8_t *)replay->tails.data, 0,
                      replay->now_ms);
    buffer_clear(&replay->heads);
    buffer_clear(&replay->tails);
    replay->readings = 0;
}

static void replay_reading(struct replay *replay, const struct record *record)
{
    struct reading head;
    ensure(record->size >= sizeof head);
    memcpy(&head, record->data, sizeof head);
    ensure(record->size == sizeof head + head.tail_size);
    if (head.flags & FLAG_RELEASED)
        return; /* its command, which follows, decides */
    uint32_t follow = head.next;
    head.tail_offset = (uint32_t)replay->tails.size;
    buffer_append(&replay->heads, &head, sizeof head);
    buffer_append(&replay->tails, record->data + sizeof head, head.tail_size);
    replay->readings++;
    if (follow == 0)
        decide_unit(replay);
}

static void replay_command(struct replay *replay, const struct record *record)
{
    struct command command = {.kind = command_kind_of((const char *)record->data, record->size)};
    ensure(command.kind != COMMAND_COUNT);
    buffer_append(&command.json, record->data, record->size);
    engine_command(replay->shard->engine, &command, replay->now_ms);
    buffer_deinit(&command.json);
    buffer_deinit(&command.reply);
}

static void replay_journaled_event(struct replay *replay, const struct record *record)
{
    struct alert_event event;
    ensure(record->size >= sizeof event);
    memcpy(&event, record->data, sizeof event);
    uint64_t digest = event_digest(&event, record->data + sizeof event, record->size - sizeof event);
    const struct patient *patient = engine_patient(replay->shard->engine, event.patient_id);
    if (patient == NULL || !engine_is_dormant(patient))
        buffer_append(&replay->met, &digest, sizeof digest);
}

static void replay_record(struct replay *replay, const struct record *record)
{
    struct shard *shard = replay->shard;
    bool dormant = engine_dormant_count(shard->engine) > 0;
    if (record->type != RECORD_EVENT && !(dormant && goes_on(replay, record))) {
        settle(replay, !dormant);
        shard__wake_patients(shard, record->position);
        replay->ticks = record->type == RECORD_TICK;
    }
    uint64_t bond = engine_snapshot_bond(shard->engine);
    switch (record->type) {
    case RECORD_TICK:
        replay_tick(replay, record);
        break;
    case RECORD_READING:
    case RECORD_DEVICE:
        replay_reading(replay, record);
        break;
    case RECORD_COMMAND:
        replay_command(replay, record);
        break;
    case RECORD_EVENT:
        replay_journaled_event(replay, record);
        break;
    case RECORD_REJECTED:
    case RECORD_TYPES_END:
        break;
    }
    replay->records++;
    /* Who saved it began anew at such a record, so none lies between its positions. */
    ensure(engine_dormant_count(shard->engine) == 0 || bond == engine_snapshot_bond(shard->engine));
    shard__saving_count(shard, record->size, record->type != RECORD_TICK);
}

/* In bytes of the journal, from the first record that is replayed. */
static void tell_percent(struct replay *replay, const struct record *record, uint64_t durable)
{
    const struct shard_options *options = &replay->shard->options;
    uint64_t done = record->position >> 32, whole = durable >> 32, part = (uint32_t)record->position;
    if (options->replayed_percent == NULL)
        return;
    if (replay->first_segment == 0)
        replay->first_segment = done;
    done = (done - replay->first_segment) * options->journal.segment_bytes + part;
    whole = (whole - replay->first_segment) * options->journal.segment_bytes + (uint32_t)durable;
    uint64_t percent = whole == 0 ? 0 : done * 100 / whole;
    atomic_store_explicit(options->replayed_percent, percent < 100 ? (unsigned)percent : 99,
                          memory_order_relaxed);
}

static void report_progress(struct replay *replay, const struct record *record, uint64_t durable)
{
    if ((replay->records & 0xfff) != 0)
        return;
    tell_percent(replay, record, durable);
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms - replay->progress_ms < PROGRESS_MS)
        return;
    replay->progress_ms = now_ms;
    log_write(LOG_NOTICE, "recovery", "replaying shard=%u records=%llu position=%llx of=%llx",
              (unsigned)replay->shard->options.engine.shard, (unsigned long long)replay->records,
              (unsigned long long)record->position, (unsigned long long)durable);
}

static enum err replay_all(struct replay *replay, struct journal_reader *reader)
{
    uint64_t durable = journal_durable(replay->shard->journal);
    struct record record;
    enum err error;
    while ((error = journal_reader_next(reader, durable, &record)) == OK) {
        replay_record(replay, &record);
        report_progress(replay, &record, durable);
    }
    settle(replay, engine_dormant_count(replay->shard->engine) == 0);
    shard__wake_patients(replay->shard, durable);
    ensure(error != ERR_EMPTY || replay->readings == 0);
    return error == ERR_EMPTY ? OK : error;
}

/* The journal from the snapshot on; the whole of it without one, and then it must be whole: a position before
 * all others is found in that alone. Never is a start silently empty. */
static enum err open_journal(struct shard *shard, uint64_t position, struct journal_reader **ret_reader)
{
    const struct journal_options *journal = &shard->options.journal;
    enum err error =
        journal_reader_open(journal->directory, journal->keys, position == 0 ? 1 : position, ret_reader);
    if (error != ERR_NOT_FOUND)
        return error;
    log_write(
        LOG_ERROR, "recovery",
        "the journal has been trimmed and no snapshot can be used shard=%u found=none that is whole in %s "
        "expected=one that the journal reaches hint=restore the snapshots beside the journal",
        (unsigned)shard->options.engine.shard, shard->options.snapshot_directory);
    return ERR_CORRUPT;
}

static enum err replay_from(struct shard *shard, uint64_t position)
{
    struct replay replay = {.shard = shard, .progress_ms = clock_monotonic_ms()};
    struct journal_reader *reader;
    enum err error = open_journal(shard, position, &reader);
    if (error != OK)
        return error;
    shard->replay = &replay;
    error = replay_all(&replay, reader);
    shard->replay = NULL;
    journal_reader_close(reader);
    buffer_deinit(&replay.heads);
    buffer_deinit(&replay.tails);
    buffer_deinit(&replay.decided);
    buffer_deinit(&replay.met);
    atomic_store(&shard->options.snapshot->replayed, replay.records);
    atomic_store(&shard->options.snapshot->differences, shard->differences);
    if (shard->differences > 0)
        log_write(LOG_WARNING, "recovery",
                  "replayed decisions differ from journaled events shard=%u differences=%llu "
                  "hint=journaled events stay in force; compare engine versions",
                  (unsigned)shard->options.engine.shard, (unsigned long long)shard->differences);
    return error;
}

enum err shard__recover(struct shard *shard)
{
    struct loaded loaded = {.woken = 0};
    uint64_t position = 0;
    shard->loaded = &loaded;
    bool any = shard__load_snapshot(shard, &position);
    enum err error = replay_from(shard, any ? position : 0);
    ensure(error != OK || engine_dormant_count(shard->engine) == 0);
    shard->loaded = NULL;
    buffer_deinit(&loaded.groups);
    return error;
}
