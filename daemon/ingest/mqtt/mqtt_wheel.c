/* mqtt_wheel: the ring. */
#include "daemon/ingest/mqtt/mqtt_wheel.h"

#include <stddef.h>

#include "daemon/base/ensure.h"

static const int64_t second_ns = 1000000000;

/* The second at whose beginning the deadline has passed. */
static int64_t second_of(int64_t until_ns)
{
    return (until_ns + second_ns - 1) / second_ns;
}

void wheel_init(struct wheel *wheel, int64_t now_ns)
{
    *wheel = (struct wheel){.looked_s = now_ns / second_ns + 1};
    for (unsigned i = 0; i < WHEEL_SECONDS; i++)
        LIST_INIT(&wheel->second[i]);
}

static void place(struct wheel *wheel, struct wheel_entry *entry)
{
    int64_t second = second_of(entry->until_ns), last = wheel->looked_s + WHEEL_SECONDS - 1;
    second = second < wheel->looked_s ? wheel->looked_s : second > last ? last : second;
    LIST_INSERT_HEAD(&wheel->second[second % WHEEL_SECONDS], entry, link);
}

void wheel_add(struct wheel *wheel, struct wheel_entry *entry, int64_t until_ns)
{
    ensure(!entry->linked);
    entry->until_ns = until_ns;
    entry->linked = true;
    wheel->entries++;
    place(wheel, entry);
}

void wheel_remove(struct wheel *wheel, struct wheel_entry *entry)
{
    if (!entry->linked)
        return;
    LIST_REMOVE(entry, link);
    entry->linked = false;
    wheel->entries--;
}

struct wheel_entry *wheel_take_due(struct wheel *wheel, int64_t now_ns)
{
    int64_t now_s = now_ns / second_ns;
    if (wheel->entries == 0 && wheel->looked_s <= now_s)
        wheel->looked_s = now_s + 1;
    for (; wheel->looked_s <= now_s; wheel->looked_s++) {
        struct wheel_entry *entry, *next;
        for (entry = LIST_FIRST(&wheel->second[wheel->looked_s % WHEEL_SECONDS]); entry != NULL;
             entry = next) {
            next = LIST_NEXT(entry, link);
            if (second_of(entry->until_ns) <= wheel->looked_s) {
                wheel_remove(wheel, entry);
                return entry;
            }
            LIST_REMOVE(entry, link);
            place(wheel, entry); /* not here: the last place of the ring is a second short of a round */
        }
    }
    return NULL;
}

int64_t wheel_next_ns(const struct wheel *wheel)
{
    for (int64_t second = wheel->looked_s; wheel->entries > 0 && second < wheel->looked_s + WHEEL_SECONDS;
         second++)
        if (!LIST_EMPTY(&wheel->second[second % WHEEL_SECONDS]))
            return second * second_ns;
    return INT64_MAX;
}
