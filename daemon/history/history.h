/* history: the past of patients as PostgreSQL has it: commands as they were journaled, starts of the node,
 * readings by request (migration 008), played into engines of the caller's. Readings come through a cursor of
 * the server, so memory is bounded whatever is stored.
 * Owner:   history_open() gives, history_close() takes; pasts and their texts live until history_clear().
 * Threads: one connection and its history, one thread.
 * Fails:   ERR_UNAVAILABLE and ERR_REFUSED are PostgreSQL's: history_message() says what it said;
 *          ERR_NOT_FOUND: no such patient, or nothing of it was journaled into this database.
 * Choices: readings stored before requests were kept count as one request a time of reception. */
#ifndef VIGIE_DAEMON_HISTORY_HISTORY_H
#define VIGIE_DAEMON_HISTORY_HISTORY_H

#include "daemon/history/feeder.h"
#include "storage/postgres.h"

struct history;
/* quit_fd: readable when it is to end soon (postgres.h), -1 without. */
MUST_CHECK enum err history_open(const char *conninfo, int quit_fd, struct history **ret_history);
void history_close(struct history *history);
struct postgres *history_postgres(struct history *history);
const char *history_message(const struct history *history);

/* A command, or a start of the node (json NULL). */
struct past_item {
    struct place place;
    const char *json;
    size_t json_size;
    const char *layer, *scope, *rule_id; /* of a rule; of a patient its organisation and line; else "" */
    int64_t since_ms, up_ms;             /* of a start */
    enum tick_kind kind;
};

struct past {
    int64_t patient_id; /* 0: the node itself */
    uint32_t shard;
    const char *ref, *organization, *line, *zone; /* as they are now */
    int64_t enrolled_ms, left_ms;                 /* INSTANT_NONE: not yet */
    const struct past_item **items;               /* in order */
    size_t count;
};

/* The pasts of patients, by their numbers, which are in order; those of whom nothing was journaled are left
 * out. `patients` {0}: the node's. */
MUST_CHECK enum err history_load(struct history *history, const int64_t *patients, size_t count,
                                 struct past **ret_pasts, size_t *ret_count);
void history_clear(struct history *history);

struct history_span { /* of receptions */
    int64_t from_ms;  /* readings received before are left out; INT64_MIN: none */
    struct place end; /* what stands behind is left out */
};

struct history_player {
    /* Gives the feeder of a patient; NULL ends it all. */
    struct feeder *(*begin)(void *context, const struct past *past);
    /* Whether an item is played; NULL: all are. */
    bool (*wanted)(void *context, const struct past_item *item);
    /* Before a request; readings may be looked at. NULL: nobody does. */
    void (*request)(void *context, const struct reading *readings, uint32_t count, const uint8_t *tails);
    /* Everything of the patient was played. */
    void (*end)(void *context, const struct past *past, struct feeder *feeder);
    const _Atomic bool *stop; /* set: no more is played (ERR_STOPPED); NULL: never */
    void *context;
};

/* Plays the pasts, patient by patient. */
MUST_CHECK enum err history_play(struct history *history, const struct past *pasts, size_t count,
                                 const struct history_span *span, const struct history_player *player);

#endif
