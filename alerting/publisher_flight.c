/* publisher_flight: a ring of fixed slots; librdkafka carries a pointer to the slot as the message's opaque.
 */
#include "alerting/publisher_flight.h"

#include <stddef.h>

#include "daemon/base/ensure.h"

_Static_assert((FLIGHTS_MAX & (FLIGHTS_MAX - 1)) == 0, "indices run free and are masked");

void flights_reset(struct flights *flights)
{
    flights->head = flights->tail = 0;
}

uint64_t flights_count(const struct flights *flights)
{
    return flights->head - flights->tail;
}

bool flights_are_full(const struct flights *flights)
{
    return flights_count(flights) == FLIGHTS_MAX;
}

struct flight *flights_add(struct flights *flights)
{
    ensure(!flights_are_full(flights));
    struct flight *flight = &flights->slots[flights->head++ & (FLIGHTS_MAX - 1)];
    *flight = (struct flight){0};
    return flight;
}

void flights_undo(struct flights *flights)
{
    ensure(flights->head > flights->tail);
    flights->head--;
}

bool flights_complete(struct flights *flights, struct flight *flight, uint64_t *ret_after)
{
    bool moved = false;
    ensure(!flight->done);
    flight->done = true;
    while (flights->tail < flights->head && flights->slots[flights->tail & (FLIGHTS_MAX - 1)].done) {
        *ret_after = flights->slots[flights->tail++ & (FLIGHTS_MAX - 1)].after;
        moved = true;
    }
    return moved;
}

const struct flight *flights_oldest(const struct flights *flights)
{
    return flights_count(flights) > 0 ? &flights->slots[flights->tail & (FLIGHTS_MAX - 1)] : NULL;
}
