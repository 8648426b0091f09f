/* publisher_flight: events of one shard that are with Kafka and not yet reported, in the order of the
 * journal. Reports come in any order across partitions (PITFALLS K4), so the cursor follows the oldest one
 * that is open.
 *
 *      | done | open | done | done | open |  free ...
 *        tail: the cursor may pass it          head
 *
 * Owner:   the publisher. Threads: the publisher's.
 * Holds:   tail <= head <= tail + FLIGHTS_MAX; a flight stays where it is until the tail has passed it. */
#ifndef VIGIE_ALERTING_PUBLISHER_FLIGHT_H
#define VIGIE_ALERTING_PUBLISHER_FLIGHT_H

#include <stdbool.h>
#include <stdint.h>

enum { FLIGHTS_MAX = 4096 }; /* a power of two; 4,096 events of at most 16 KB bound what librdkafka holds */

struct stream;

struct flight {
    uint64_t position, after;          /* of the event in the journal; behind it */
    int64_t decided_at_ms, read_at_ms; /* engine time; monotonic */
    struct stream *stream;             /* which the slot belongs to */
    bool done;
};

struct flights {
    struct flight slots[FLIGHTS_MAX];
    uint64_t head, tail; /* run free */
};

void flights_reset(struct flights *flights);
bool flights_are_full(const struct flights *flights);
uint64_t flights_count(const struct flights *flights);
/* A slot at the head, to be filled; it is in flight from now on. */
struct flight *flights_add(struct flights *flights);
/* Takes back the slot added last. */
void flights_undo(struct flights *flights);
/* Marks one as delivered; true when the tail moved: *ret_after is the new cursor. */
bool flights_complete(struct flights *flights, struct flight *flight, uint64_t *ret_after);
/* The oldest that is open, NULL without. */
const struct flight *flights_oldest(const struct flights *flights);

#endif
