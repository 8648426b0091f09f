/* reading: what flows. An open struct: it crosses the hot path, the rings and the disk as it is.
 * The fixed head is what judging and COPY need; the tail (bounded by TAIL_BYTES_MAX) holds texts.
 * Threads: whoever holds the ticket. */
#ifndef VIGIE_MODEL_READING_H
#define VIGIE_MODEL_READING_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/hash.h"
#include "daemon/base/instant.h"
#include "daemon/model/parameter.h"

enum comparator { COMPARATOR_NONE, COMPARATOR_LESS, COMPARATOR_GREATER }; /* in series order */
enum origin { ORIGIN_AUTOMATIC, ORIGIN_PATIENT, ORIGIN_CARER, ORIGIN_PROFESSIONAL };

/* In rising rank, RULES.md section 1; CORRECTED and VOID share a rank. */
enum reading_status { STATUS_PRELIMINARY, STATUS_FINAL, STATUS_CORRECTED, STATUS_VOID };

enum reading_flag {
    FLAG_VERIFY = 1 << 0,        /* possible but not expected: judged, flagged */
    FLAG_SAME_INSTANT = 1 << 1,  /* same key as another reading, other value, no mark of correction */
    FLAG_LATE_UNJUDGED = 1 << 2, /* received more than the look-back after it was measured */
    FLAG_CHECK_OLDER = 1 << 3,   /* older than the held readings: the loader looks for its duplicate */
    FLAG_TEST = 1 << 4,          /* test or demo data (mode=test) */
    FLAG_DEVICE_TEXT = 1 << 5,   /* the key's device is text of the payload, not an enrolled device */
    FLAG_IF_NONE_EXIST = 1 << 6, /* only if its alias is new; the engine takes it off: never on disk */
    FLAG_DEVICE_EVENT = 1 << 7,  /* no measurement: a message of a device's own alarm, see below */
    FLAG_RELEASED = 1 << 8,      /* from quarantine: the command `release` behind it in the journal decided */
    FLAG_SEVERAL_MATCH = 1 << 9, /* of a duplicate by FLAG_IF_NONE_EXIST: several carry its alias; never on
                                    disk, for no duplicate is */
};

enum quarantine_reason { QUARANTINE_NONE, QUARANTINE_IMPOSSIBLE, QUARANTINE_FUTURE, QUARANTINE_UNIT };

enum { READING_CHAIN_END = 0xffffffffu };

/* A device's own alarm is told in messages, which travel as readings do, with FLAG_DEVICE_EVENT: `value` is
 * the phase, the tail has TAIL_EPISODE and TAIL_CLASS, and there is no parameter. In order of phase. */
enum device_phase { PHASE_START, PHASE_CONTINUE, PHASE_END, PHASE_COUNT };
enum { READING_NO_PARAMETER = 0xffff };

struct reading {
    int64_t patient_id, device_id, source_id; /* device_id 0: none enrolled */
    int64_t value;                            /* millionths of the canonical unit */
    int64_t measured_at_ms;         /* PRECISION_DAY: first instant of the day in the patient's zone */
    int64_t received_at_ms;         /* engine time of the turn; set by the shard */
    int64_t issued_ms;              /* version time, INSTANT_NONE without */
    uint8_t reading_id[UUID_BYTES]; /* set by the loop from the identity */
    uint64_t alias_hash;            /* of (source, parameter, sender's identifier); 0 without */
    uint64_t group_id;              /* readings of one measurement (components); 0 without */
    uint32_t next;                  /* index of the next reading of the same part, or READING_CHAIN_END */
    uint32_t tail_offset;           /* in the ticket's tails; meaningless on disk */
    uint16_t tail_size;
    uint16_t parameter; /* enum parameter */
    uint16_t flags;     /* enum reading_flag */
    int16_t utc_offset_min;
    uint8_t comparator, origin, status, precision;
    uint8_t verdict;    /* enum verdict: by the loop if refused, else by the shard */
    uint8_t quarantine; /* enum quarantine_reason */
    uint16_t revision;  /* 0,1,2... among the accepted versions of reading_id; by the shard */
};

static_assert(sizeof(struct reading) == 112, "the head is fixed: it is written to the journal as it is");
static_assert(offsetof(struct reading, next) == 88, "no hole in front of the small fields");

/* Tail: a sequence of (tag byte, length low byte, length high byte, bytes). */
enum tail_tag {
    TAIL_KEY_DEVICE =
        1,        /* the key's "device or source": device ref, device text, or source ref; always there */
    TAIL_SENSOR,  /* OBX-4, component path */
    TAIL_ALIAS,   /* sender's identifier, "system|value" */
    TAIL_TEXT,    /* value as sent */
    TAIL_UNIT,    /* unit as sent */
    TAIL_CODE,    /* code as sent, e.g. "mdc:149530" */
    TAIL_CONTEXT, /* JSON object */
    TAIL_EPISODE, /* of a device event: the device's name of its alarm */
    TAIL_CLASS,   /* of a device event: as the maker classified it */
};

struct slice {
    const char *data; /* NULL when absent */
    size_t size;
};

/* The field `tag` of a tail; absent: {NULL, 0}. */
struct slice tail_get(const uint8_t *tail, size_t tail_size, enum tail_tag tag);

/* Appends a field at tail[*size]; false when TAIL_BYTES_MAX or `capacity` would be passed (nothing written).
 */
bool tail_put(uint8_t *tail, size_t capacity, uint16_t *size, enum tail_tag tag, const void *bytes,
              size_t count);

const char *reading_comparator_text(enum comparator comparator); /* "", "<", ">" */
const char *reading_origin_text(enum origin origin);
const char *reading_status_text(enum reading_status status);
const char *reading_quarantine_text(enum quarantine_reason reason); /* "impossible", "future", "unit" */
const char *reading_phase_text(enum device_phase phase);            /* "start", "continue", "end" */

/* reading_id: UUID v8 from SipHash-128 of the identity: patient, parameter, key device, sensor,
 * measured_at_ms, value, comparator (RULES.md section 1). The same measurement has the same id for ever. */
struct reading_identity {
    int64_t patient_id, measured_at_ms, value;
    enum parameter parameter;
    enum comparator comparator;
    struct slice device, sensor;
};
void reading_identity_id(const struct reading_identity *of, const struct sip_key *key,
                         uint8_t ret_id[UUID_BYTES]);
void reading_identify(struct reading *reading, const uint8_t *tail, const struct sip_key *key);
/* alias_hash of a sender's identifier: equal in one source and parameter, and only there; never 0. */
uint64_t reading_alias_hash(const struct sip_key *key, int64_t source_id, enum parameter parameter,
                            struct slice alias);
/* Of a device event: patient, key device, episode, class, measured_at_ms, phase. */
void reading_identify_event(struct reading *reading, const uint8_t *tail, const struct sip_key *key);

#endif
