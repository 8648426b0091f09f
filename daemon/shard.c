/* shard: the hot path of Vigie, to be read from shard_turn() upwards.
 *
 *   drain        take the messages that wait in the inlets, up to a bound
 *   decide       per message and patient: the engine finds duplicates, judges, and gives the events that
 * follow append       readings and the events they caused, into the same turn of the journal sync         one
 * write and one fdatasync for the whole turn; what arrives meanwhile forms the next one release      answers
 * go back, sinks are woken
 *
 * No lock, no allocation after warm-up; the clock is asked once a turn. */
#include "daemon/shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/shard_internal.h"

/* The engine's way out: events of the unit at hand wait until its readings are in the turn. */
static void collect_event(void *context, const struct alert_event *event, const char *json,
                          uint32_t json_size)
{
    struct shard *shard = context;
    ensure(json_size <= EVENT_JSON_BYTES_MAX);
    if (shard->replay != NULL) {
        shard__replay_event(shard->replay, event, json, json_size);
        return;
    }
    struct decided_event head = {.event = *event, .json_size = json_size};
    buffer_append(&shard->decided, &head, sizeof head);
    buffer_append(&shard->decided, json, json_size);
}

_Static_assert((int)EVENT_COUNT <= (int)EVENT_KINDS && (int)PRIORITY_COUNT <= (int)PRIORITIES,
               "every event has its counter");

static void note_lateness(void *context, int64_t late_ms)
{
    struct shard *shard = context;
    if (shard->replay == NULL)
        histogram_add_us(&shard->options.counters->histogram[HISTOGRAM_SILENCE_LATENESS],
                         (uint64_t)late_ms * 1000);
}

/* ---- append ---- */

static void append_events(struct shard *shard)
{
    size_t offset = 0;
    while (offset < shard->decided.size) {
        struct decided_event head;
        memcpy(&head, shard->decided.data + offset, sizeof head);
        const struct journal_bytes parts[] = {
            {&head.event, sizeof head.event},
            {shard->decided.data + offset + sizeof head, head.json_size},
        };
        journal_append(shard->journal, RECORD_EVENT, parts, 2);
        _Atomic uint64_t *count = &shard->options.counters->alerts[head.event.kind][head.event.priority];
        atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
                              memory_order_relaxed);
        offset += sizeof head + head.json_size;
        shard->turn.events = true;
    }
    ensure(offset == shard->decided.size);
    buffer_clear(&shard->decided);
}

static void append_tick(struct shard *shard, int64_t up_ms, enum tick_kind kind)
{
    struct record_tick tick = {
        .engine_ms = shard->turn.now_ms,
        .up_ms = up_ms,
        .accepting = journal_accepting(shard->journal),
        .start = (uint8_t)kind,
        .held = (uint8_t)shard->time.pace,
    };
    const struct journal_bytes part = {&tick, sizeof tick};
    journal_append(shard->journal, RECORD_TICK, &part, 1);
    shard->ticked_ms = shard->turn.now_ms;
}

static bool is_kept(const struct reading *reading)
{
    return reading->verdict == VERDICT_ACCEPTED || reading->verdict == VERDICT_QUARANTINED;
}

/* On disk `next` says how many readings of the same unit follow: replay decides by the same units. */
static void append_unit(struct shard *shard, const struct ticket *ticket, const struct unit *unit)
{
    uint32_t kept = 0;
    for (uint32_t i = unit->first; i != READING_CHAIN_END; i = ticket->heads[i].next)
        kept += is_kept(&ticket->heads[i]);
    for (uint32_t i = unit->first; i != READING_CHAIN_END; i = ticket->heads[i].next) {
        if (!is_kept(&ticket->heads[i]))
            continue;
        struct reading head = ticket->heads[i];
        head.next = --kept;
        head.tail_offset = 0;
        const struct journal_bytes parts[] = {
            {&head, sizeof head},
            {ticket_tail(ticket, &ticket->heads[i]), head.tail_size},
        };
        bool is_event = head.flags & FLAG_DEVICE_EVENT;
        journal_append(shard->journal, is_event ? RECORD_DEVICE : RECORD_READING, parts, 2);
    }
    ensure(kept == 0);
}

/* ---- decide ---- */

static struct unit *find_unit(struct units *units, int64_t patient_id)
{
    uint64_t probe = hash_mix64((uint64_t)patient_id);
    for (;; probe++) {
        uint32_t slot = (uint32_t)probe & (UNIT_SLOTS - 1);
        if (units->slot[slot].stamp != units->stamp) {
            ensure(units->count < MESSAGE_READINGS_MAX);
            units->slot[slot].stamp = units->stamp;
            units->slot[slot].index = units->count;
            struct unit *unit = &units->list[units->count++];
            *unit = (struct unit){
                .patient_id = patient_id, .first = READING_CHAIN_END, .last = READING_CHAIN_END};
            return unit;
        }
        if (units->list[units->slot[slot].index].patient_id == patient_id)
            return &units->list[units->slot[slot].index];
    }
}

/* Splits the part's chain into one chain a patient, in order of first appearance. */
static void gather_units(struct shard *shard, struct part *part)
{
    struct units *units = &shard->units;
    struct reading *heads = part->ticket->heads;
    units->count = 0;
    if (++units->stamp == 0) { /* once in four thousand million messages */
        memset(units->slot, 0, sizeof units->slot);
        units->stamp = 1;
    }
    for (uint32_t i = part->first, next; i != READING_CHAIN_END; i = next) {
        next = heads[i].next;
        heads[i].next = READING_CHAIN_END;
        heads[i].received_at_ms = shard->turn.now_ms;
        struct unit *unit = find_unit(units, heads[i].patient_id);
        if (unit->first == READING_CHAIN_END)
            unit->first = i;
        else
            heads[unit->last].next = i;
        unit->last = i;
        unit->count++;
    }
}

/* A reading of a patient that this shard does not know cannot happen by the order of DESIGN.md section 4;
 * should it, the sender hears it, and nothing is kept that nobody judged. */
static void refuse_unit(struct part *part, const struct unit *unit)
{
    for (uint32_t i = unit->first; i != READING_CHAIN_END; i = part->ticket->heads[i].next)
        part->ticket->heads[i].verdict = VERDICT_UNKNOWN_PATIENT;
    log_write(LOG_ERROR, "shard", "reading of an unknown patient patient_id=%lld",
              (long long)unit->patient_id);
}

static void decide_part(struct shard *shard, struct part *part)
{
    struct ticket *ticket = part->ticket;
    gather_units(shard, part);
    for (uint32_t u = 0; u < shard->units.count && u < ENGINE_FORESIGHT; u++)
        engine_foresee(shard->engine, ticket->heads, shard->units.list[u].first);
    for (uint32_t u = 0; u < shard->units.count; u++) {
        if (u + ENGINE_FORESIGHT < shard->units.count)
            engine_foresee(shard->engine, ticket->heads, shard->units.list[u + ENGINE_FORESIGHT].first);
        const struct unit *unit = &shard->units.list[u];
        struct patient *patient = engine_patient(shard->engine, unit->patient_id);
        if (patient == NULL) {
            refuse_unit(part, unit);
            continue;
        }
        engine_decide(shard->engine, patient, ticket->heads, ticket->tails, unit->first, shard->turn.now_ms);
        append_unit(shard, ticket, unit);
        append_events(shard);
    }
    shard->turn.readings += part->count;
}

/* Part of no decision, durable with the turn. */
static void append_rejected(struct shard *shard, const struct part *part)
{
    const struct ticket *ticket = part->ticket;
    uint32_t offset = 0;
    for (uint32_t i = 0; i < part->count; i++) {
        struct rejected_view view;
        rejected_read(ticket->rejected_records + offset, ticket->rejected_size - offset, &view);
        offset += (uint32_t)rejected_size(&view.head);
        view.head.received_at_ms = shard->turn.now_ms;
        const struct journal_bytes parts[] = {
            {&view.head, sizeof view.head},
            {view.code.data, (uint32_t)(rejected_size(&view.head) - sizeof view.head)},
        };
        journal_append(shard->journal, RECORD_REJECTED, parts, 2);
    }
    ensure(offset == ticket->rejected_size);
    shard->turn.readings += part->count;
}

/* For the loader, which stores it. In front of its command, which is what a replay decides by, and of the
 * events that follow from that. */
static void append_released(struct shard *shard)
{
    const uint8_t *tail;
    struct reading head = *engine_released(shard->engine, &tail);
    ensure((head.flags & FLAG_RELEASED) && head.verdict == VERDICT_ACCEPTED);
    head.next = 0; /* alone of its request */
    const struct journal_bytes parts[] = {{&head, sizeof head}, {tail, head.tail_size}};
    journal_append(shard->journal, RECORD_READING, parts, 2);
}

static void decide_command(struct shard *shard, struct command *command)
{
    engine_command(shard->engine, command, shard->turn.now_ms);
    if (command->outcome == OK && command_is_journaled(command->kind)) {
        const struct journal_bytes part = {command->json.data, (uint32_t)command->json.size};
        if (command->kind == COMMAND_RELEASE)
            append_released(shard);
        journal_append(shard->journal, RECORD_COMMAND, &part, 1);
    }
    append_events(shard);
}

/* ---- sync and release ---- */

static void commit_turn(struct shard *shard)
{
    if (journal_turn_is_empty(shard->journal))
        return;
    shard__saving_count(shard, journal_turn_bytes(shard->journal),
                        shard->turn.jobs > 0 || shard->turn.events);
    int64_t before_ns = clock_monotonic_ns();
    enum heartbeat_doing doing = heartbeat_does(HEARTBEAT_SYNCS);
    enum err error = journal_commit(shard->journal);
    (void)heartbeat_does(doing);
    if (error != OK) { /* PITFALLS F1: nothing in memory can be trusted to be on disk */
        log_write(LOG_ERROR, "journal",
                  "cannot write or sync; found=%s expected=a durable turn hint=check the disk; "
                  "nothing unsynced was acknowledged, a restart recovers what is on it",
                  err_text(error));
        _exit(err_sysexit(error));
    }
    uint64_t sync_us = (uint64_t)(clock_monotonic_ns() - before_ns) / 1000;
    histogram_add_us(&shard->options.counters->histogram[HISTOGRAM_SYNC], sync_us);
    counter_add(shard->options.counters, COUNTER_TURNS, 1);
    atomic_store_explicit(&shard->options.counters->unconfirmed, engine_unconfirmed_count(shard->engine),
                          memory_order_relaxed);
    shard->options.durable(shard->options.context, shard->turn.events);
    shard->turn.events = false;
}

static void release_jobs(struct shard *shard)
{
    for (unsigned i = 0; i < shard->turn.jobs; i++)
        inlet_give_back(shard->turn.from[i], shard->turn.job[i]);
    shard->turn.jobs = 0;
    shard->turn.readings = 0;
}

/* ---- time ---- */

static void publish_time(struct shard *shard)
{
    if (shard->options.engine.shard != 0)
        return;
    struct node_state *node = shard->options.node;
    int64_t held = shard->time.pace == PACE_HELD ? shard->time.last_ms : INSTANT_NONE;
    atomic_store_explicit(&node->engine_offset_ms, shard->time.offset_ms, memory_order_relaxed);
    atomic_store_explicit(&node->engine_held_ms, held, memory_order_relaxed);
    atomic_store_explicit(&node->clock_jump_ms, shard->time.jump_ms, memory_order_relaxed);
    atomic_store_explicit(&node->clock_pace, (int)shard->time.pace, memory_order_relaxed);
    atomic_store_explicit(&node->clock_catching_up, shard->time.confirmed_ms != INSTANT_NONE,
                          memory_order_relaxed);
    atomic_store_explicit(shard->options.engine_now_ms, shard->turn.now_ms, memory_order_relaxed);
}

/* One tick of the engine at turn.now_ms, its record in front of the events it causes; true: more is due. */
static bool tick(struct shard *shard, int64_t up_ms, enum tick_kind kind)
{
    append_tick(shard, up_ms, kind);
    bool more = engine_tick(shard->engine, shard->turn.now_ms, up_ms, kind);
    append_events(shard);
    return more;
}

/* Everything due before turn.now_ms, in turns of timers alone; the last tick opens the turn that requests
 * enter. */
static void tick_until_due_is_done(struct shard *shard, enum tick_kind kind)
{
    int64_t up_ms = kind != TICK_RUNNING ? 0 : shard->turn.now_ms - shard->ticked_ms;
    bool more = tick(shard, up_ms, kind);
    while (more) {
        commit_turn(shard);
        more = tick(shard, 0, TICK_RUNNING);
    }
}

/* ---- test clock, mode=test alone ---- */

/* Decides all that is due before `target_ms`, each at 1 ms after the instant at which it was due. */
static void step_clock_to(struct shard *shard, int64_t target_ms)
{
    unsigned steps = 0;
    for (int64_t due; (due = engine_next_due_ms(shard->engine)) < target_ms;) {
        if (due + 1 > shard->turn.now_ms)
            shard->turn.now_ms = due + 1 < target_ms ? due + 1 : target_ms;
        shard->time.last_ms = shard->turn.now_ms;
        tick_until_due_is_done(shard, TICK_RUNNING);
        if (++steps % CLOCK_STEPS_PER_TURN == 0)
            commit_turn(shard);
        if (shard->turn.now_ms == target_ms)
            break;
    }
    shard->turn.now_ms = target_ms;
}

/* {"command":"clock","set":ms} holds there, {"command":"clock","run":true} runs on: the JSON is ours, so a
 * scan does. */
static void set_clock(struct shard *shard, struct command *command)
{
    ensure(shard->options.test_mode);
    buffer_append(&command->json, "", 1);
    const char *set = strstr(command->json.data, "\"set\":");
    if (set == NULL) {
        engine_time_run(&shard->time, clock_monotonic_ms());
    } else {
        int64_t target_ms = strtoll(set + 6, NULL, 10);
        if (target_ms < shard->turn.now_ms) {
            command->outcome = ERR_REFUSED;
            return;
        }
        step_clock_to(shard, target_ms);
        engine_time_hold(&shard->time, target_ms);
    }
    tick_until_due_is_done(shard, TICK_RUNNING);
    publish_time(shard);
    command->outcome = OK;
}

/* ---- the wall clock is confirmed ---- */

static int64_t number_behind(const char *json, const char *key)
{
    const char *at = strstr(json, key);
    return at == NULL ? 0 : strtoll(at + strlen(key), NULL, 10);
}

/* {"command":"clock-accept","wall":ms,"monotonic":ms,"author":…}: the numbers stand first. Every shard gets
 * the same pair, so all go on with the same offset. The command is in the journal ahead of the tick. */
static void accept_clock(struct shard *shard, struct command *command)
{
    buffer_append(&command->json, "", 1);
    int64_t wall_ms = number_behind(command->json.data, "\"wall\":");
    int64_t monotonic_ms = number_behind(command->json.data, "\"monotonic\":");
    command->json.size--;
    if (!engine_time_accept(&shard->time, monotonic_ms, wall_ms)) {
        command->outcome = ERR_REFUSED;
        return;
    }
    decide_command(shard, command);
    if (shard->time.last_ms > shard->turn.now_ms) {
        shard->turn.now_ms = shard->time.last_ms;
        tick_until_due_is_done(shard, TICK_SKIPPED);
    }
    publish_time(shard);
}

/* ---- the turn ---- */

static void run_job(struct shard *shard, struct job *job)
{
    job->result = OK;
    if (job->kind != JOB_COMMAND) {
        struct part *part = (struct part *)job;
        if (!journal_accepting(shard->journal))
            job->result = ERR_NO_SPACE;
        else if (job->kind == JOB_READINGS)
            decide_part(shard, part);
        else
            append_rejected(shard, part);
        return;
    }
    struct command *command = (struct command *)job;
    if (command->kind == COMMAND_CLOCK)
        set_clock(shard, command);
    else if (command->kind == COMMAND_CLOCK_ACCEPT)
        accept_clock(shard, command);
    else
        decide_command(shard, command);
}

static bool turn_is_full(const struct shard *shard)
{
    return shard->turn.readings >= TURN_READINGS_MAX ||
           journal_turn_bytes(shard->journal) >= JOURNAL_TURN_BYTES_MAX / 2;
}

/* Takes what waits, one job of each inlet in turn, so that no sender starves another. */
static void drain(struct shard *shard)
{
    for (unsigned round = 0; round < TURN_JOBS_PER_INLET; round++) {
        unsigned jobs_before = shard->turn.jobs;
        for (unsigned i = 0; i < shard->inlets_count && !turn_is_full(shard); i++) {
            struct job *job = inlet_take(shard->inlets[i]);
            if (job == NULL)
                continue;
            shard->turn.job[shard->turn.jobs] = job;
            shard->turn.from[shard->turn.jobs++] = shard->inlets[i];
            run_job(shard, job);
        }
        if (shard->turn.jobs == jobs_before)
            return;
    }
}

static void shard_turn(struct shard *shard, enum tick_kind kind)
{
    int64_t monotonic_ms = clock_monotonic_ms();
    shard->turn.now_ms = engine_time_now(&shard->time, monotonic_ms, clock_wall_ms());
    shard->ticked_monotonic_ms = monotonic_ms;
    publish_time(shard);
    tick_until_due_is_done(shard, kind);
    drain(shard);
    commit_turn(shard);
    release_jobs(shard);
    shard__save_step(shard, monotonic_ms);
}

static bool work_waits(const struct shard *shard)
{
    for (unsigned i = 0; i < shard->inlets_count; i++)
        if (!ring_is_empty(shard->inlets[i]->in))
            return true;
    return false;
}

/* Sleeps until a sender rings, a timer is due, or the heartbeat. */
static void shard_sleep(struct shard *shard)
{
    int64_t wait_ms = HEARTBEAT_MS;
    if (shard->time.pace == PACE_HELD) {
        wait_ms = -1;
    } else {
        int64_t due_ms = engine_next_due_ms(shard->engine);
        int64_t now_ms = clock_monotonic_ms() + shard->time.offset_ms;
        if (due_ms <= now_ms)
            wait_ms = 1;
        else if (due_ms - now_ms < wait_ms)
            wait_ms = due_ms - now_ms + 1;
    }
    wakeup_wait(&shard->bell, wait_ms);
}

/* A turn is worth a sync when a sender waits, something is due, or the heartbeat is. */
static bool turn_is_wanted(struct shard *shard)
{
    if (work_waits(shard))
        return true;
    if (shard->time.pace == PACE_HELD)
        return false;
    int64_t monotonic_ms = clock_monotonic_ms();
    return engine_next_due_ms(shard->engine) < monotonic_ms + shard->time.offset_ms ||
           monotonic_ms - shard->ticked_monotonic_ms >= HEARTBEAT_MS;
}

static void *run(void *argument)
{
    struct shard *shard = argument;
    slab_use(shard->slab);
    heartbeat_adopt(&shard->options.counters->heartbeat);
    shard_turn(shard, TICK_START);
    while (!atomic_load_explicit(&shard->stopping, memory_order_acquire)) {
        heartbeat_beat();
        if (turn_is_wanted(shard))
            shard_turn(shard, TICK_RUNNING);
        else if (shard__saving_is_due(shard, shard->ticked_monotonic_ms))
            shard__save_step(shard, shard->ticked_monotonic_ms);
        else
            shard_sleep(shard);
    }
    shard_turn(shard, TICK_RUNNING);
    return NULL;
}

/* ---- life ---- */

void shard__renew_engine(struct shard *shard)
{
    engine_free(shard->engine);
    shard->engine = engine_new(
        &shard->options.engine,
        &(struct engine_out){.event = collect_event, .silence_late = note_lateness, .context = shard});
}

enum err shard_new(const struct shard_options *options, struct shard **ret_shard)
{
    struct shard *shard = calloc(1, sizeof *shard);
    if (shard == NULL)
        return ERR_NO_MEMORY;
    shard->options = *options;
    shard->last_tick_ms = INSTANT_NONE;
    enum err error = slab_new(options->memory_bytes, &shard->slab);
    if (error != OK)
        goto fail_free;
    error = wakeup_open(&shard->bell);
    if (error != OK)
        goto fail_free;
    error = journal_open(&options->journal, &shard->journal);
    if (error != OK)
        goto fail_close_bell;
    slab_use(shard->slab);
    shard__renew_engine(shard);
    (void)buffer_reserve(&shard->decided, DECIDED_BYTES);
    error = shard__recover(shard);
    if (error == OK)
        error = shard__saving_start(shard);
    if (error != OK)
        goto fail_free_engine;
    slab_use(NULL);
    *ret_shard = shard;
    return OK;

fail_free_engine:
    shard__saving_stop(shard);
    engine_free(shard->engine);
    buffer_deinit(&shard->decided);
    slab_use(NULL);
    journal_close(shard->journal);
fail_close_bell:
    wakeup_close(&shard->bell);
fail_free:
    free(shard);
    return error;
}

void shard_free(struct shard *shard)
{
    if (shard == NULL)
        return;
    ensure(!shard->started);
    slab_use(shard->slab);
    shard__saving_stop(shard);
    engine_free(shard->engine);
    buffer_deinit(&shard->decided);
    slab_use(NULL);
    journal_close(shard->journal);
    wakeup_close(&shard->bell);
    free(shard); /* its slab stays, slab.h says why */
}

struct wakeup *shard_bell(struct shard *shard)
{
    return &shard->bell;
}

void shard_add_inlet(struct shard *shard, struct inlet *inlet)
{
    ensure(!shard->started && shard->inlets_count < SHARD_INLETS_MAX);
    ensure(inlet->shard_bell == &shard->bell);
    shard->inlets[shard->inlets_count++] = inlet;
}

int64_t shard_last_tick_ms(const struct shard *shard)
{
    return shard->last_tick_ms;
}

enum engine_pace shard_last_pace(const struct shard *shard)
{
    return shard->last_pace;
}

uint64_t shard_differences(const struct shard *shard)
{
    return shard->differences;
}

int64_t shard_registry_version(const struct shard *shard)
{
    return engine_registry_version(shard->engine);
}

struct journal *shard_journal(const struct shard *shard)
{
    return shard->journal;
}

const struct slab *shard_slab(const struct shard *shard)
{
    return shard->slab;
}

enum err shard_start(struct shard *shard, const struct engine_time *time)
{
    shard->time = *time;
    shard->ticked_ms = time->last_ms;
    if (pthread_create(&shard->thread, NULL, run, shard) != 0)
        return ERR_OS;
    char name[16];
    snprintf(name, sizeof name, "shard-%u", (unsigned)shard->options.engine.shard);
    pthread_setname_np(shard->thread, name);
    shard->started = true;
    return OK;
}

void shard_stop(struct shard *shard)
{
    if (shard == NULL || !shard->started)
        return;
    atomic_store_explicit(&shard->stopping, true, memory_order_release);
    wakeup_ring(&shard->bell);
    pthread_join(shard->thread, NULL);
    shard->started = false;
}
