/* feeder: an engine of its own, driven through a past: the same calls in the same order as the shard made
 * them (alerting/engine.h), so that it decides the same. Requests and commands come as they are stored; ticks
 * are not stored, and need not be: what a tick decides depends on what is due before it, its own time stands
 * only in `decided_at`, and the events that it decided say that time. Owner:   feeder_new() gives,
 * feeder_free() takes. Threads: one at a time. Holds:   places are given in order. What is followed, and what
 * is fed, is borrowed until the call returns; the list of feeder_follow() until the feeder is freed. */
#ifndef VIGIE_DAEMON_HISTORY_FEEDER_H
#define VIGIE_DAEMON_HISTORY_FEEDER_H

#include "alerting/engine.h"

/* Where something stands in a past: engine time, and the position in the journal among equals. */
struct place {
    int64_t at_ms;
    uint64_t position;
};

/* An event that was published. */
struct published {
    uint8_t event_id[UUID_BYTES];
    struct place place; /* at_ms: decided_at */
};

struct feeder;
struct feeder *feeder_new(const struct engine_settings *settings, const struct engine_out *out);
void feeder_free(struct feeder *feeder);

/* Ticks are where these events (by place) say that they were: for a past that is to be decided again to the
 * byte. Without it there is a tick behind every instant at which something is due, as a shard has them within
 * a second. */
void feeder_follow(struct feeder *feeder, const struct published *events, size_t count);

/* A tick at which time was found that was no up time; since_ms INSTANT_NONE: the first of a node. */
void feeder_start(struct feeder *feeder, const struct place *place, int64_t since_ms, int64_t up_ms,
                  enum tick_kind kind);
/* A journaled command; ERR_REFUSED and ERR_NOT_FOUND are the engine's. */
MUST_CHECK enum err feeder_command(struct feeder *feeder, const struct place *place, const char *json,
                                   size_t json_size);
/* The readings of one request for one patient; ERR_NOT_FOUND: nobody enrolled the patient. */
MUST_CHECK enum err feeder_request(struct feeder *feeder, const struct place *place, struct reading *readings,
                                   uint32_t count, const uint8_t *tails);
/* The end: what was published by then, or is due before. */
void feeder_finish(struct feeder *feeder, const struct place *place);

/* For questions about what the engine holds; borrowed. */
struct engine *feeder_engine(const struct feeder *feeder);

#endif
