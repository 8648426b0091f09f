/* device_log: the held messages of the alarms of a patient's devices (RULES.md section 3, `event`), as series
 * hold readings: twice the look-back, at most DEVICE_MESSAGES_MAX. Messages of one device and its episode are
 * a device episode; they lie together, in order of time, phase, class, whatever their order of arrival.
 * Owner:   the patient's; names are the patient's. Threads: the shard's alone. */
#ifndef VIGIE_ALERTING_DEVICE_LOG_H
#define VIGIE_ALERTING_DEVICE_LOG_H

#include "alerting/series.h"

enum { DEVICE_MESSAGES_MAX = 8192 };

struct device_message {
    int64_t ms, received_ms;
    uint32_t device, episode, class; /* names */
    uint32_t unit;                   /* number of the unit of decision that brought it */
    uint8_t phase;                   /* enum device_phase */
    bool judged;                     /* else held to know a resend: late, test data, of the future */
};
static_assert(sizeof(struct device_message) == 40, "the size that memory planning counts with");

struct device_log {
    struct device_message *items; /* by device, episode, time, phase, class */
    size_t count, capacity;
    int64_t cut_ms;    /* measured before it: let go, INT64_MIN at first */
    int64_t oldest_ms; /* no held message was measured before it, INT64_MAX without any */
    bool changed;      /* by the unit at hand */
};

struct device_log *device_log_new(void);
void device_log_free(struct device_log *log);

/* True when such a message is held: the same in everything that tells messages apart. */
bool device_log_has(const struct device_log *log, const struct names *names,
                    const struct device_message *message);
/* Takes in one that is not held. */
void device_log_insert(struct device_log *log, const struct names *names,
                       const struct device_message *message);

/* Of a snapshot: takes in one that lies behind all that are held; false: it does not. */
bool device_log_append(struct device_log *log, const struct names *names,
                       const struct device_message *message);

struct device_episode { /* its messages: [first, end) */
    uint32_t device, episode;
    const struct device_message *first, *end;
};
/* A log NULL holds nothing. The next device episode at or behind item *index; moves *index behind it. False
 * at the end. */
bool device_log_next(const struct device_log *log, size_t *index, struct device_episode *ret);
/* The messages of that device episode, none at all included. */
struct device_episode device_log_find(const struct device_log *log, uint32_t device, uint32_t episode);

/* Whether a message of a device of that name, measured in [from, to), is held. */
bool device_log_has_from(const struct device_log *log, const struct names *names, const char *device,
                         const int64_t from_to_ms[2]);

/* The instant before which messages are to be let go, so that at most the bound stays; `cut_ms` or later. */
int64_t device_log_bound_ms(const struct device_log *log, int64_t cut_ms);
/* Lets go of what was measured before it. */
void device_log_drop(struct device_log *log, int64_t cut_ms);

#endif
