/* mqtt_wheel: deadlines of thousands of keep-alives that move with every packet, exact to a second.
 * A ring of 64 seconds, a list each. A deadline that moves away only says so: its place in the ring stays,
 * and when its second comes it is put where it belongs now. So a packet costs one store, a second what it
 * holds. Owner:   entries lie in their holders. Threads: one. Holds:   an entry stands at or before the
 * second of its deadline; a ticking wheel never sleeps over one. */
#ifndef VIGIE_DAEMON_INGEST_MQTT_WHEEL_H
#define VIGIE_DAEMON_INGEST_MQTT_WHEEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum { WHEEL_SECONDS = 64 };

struct wheel_entry {
    LIST_ENTRY(wheel_entry) link;
    int64_t until_ns; /* may be moved away at any time, never nearer */
    bool linked;
};

struct wheel {
    LIST_HEAD(, wheel_entry) second[WHEEL_SECONDS];
    int64_t looked_s; /* all seconds before it have been looked at */
    uint32_t entries;
};

void wheel_init(struct wheel *wheel, int64_t now_ns);
void wheel_add(struct wheel *wheel, struct wheel_entry *entry, int64_t until_ns);
void wheel_remove(struct wheel *wheel, struct wheel_entry *entry); /* one that is not in it: nothing */
/* An entry whose deadline has passed, taken out; NULL: none (more). */
struct wheel_entry *wheel_take_due(struct wheel *wheel, int64_t now_ns);
/* When to look again; INT64_MAX: nothing waits. */
int64_t wheel_next_ns(const struct wheel *wheel);

#endif
