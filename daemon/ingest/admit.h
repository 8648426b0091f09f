/* admit: who may say this about whom, and is it a reading: steps 1 to 6 of DESIGN.md section 4 as one
 * pipeline. Owner:   struct admit is one message's, on the caller's stack; everything is borrowed. Threads:
 * the loop's. Holds:   a reading that passes has every field of its head that is not the shard's, its tail
 * and its reading_id; one that does not has its verdict, and is chained nowhere.
 *
 * What the rules leave open, decided here:
 * - A source of kind gateway names the device; one of kind device need not, it has one.
 * - A patient named beside a device must be the device's (patient-mismatch); a source of kind patient that
 * names somebody else of its organisation, or sends by a device that is somebody else's, is told `forbidden`.
 * - A device that was another organisation's at the time of the reading was, for this source, nobody's.
 * - From the instant at which a patient has left, nothing is admitted for them: `not-assigned`.
 * - A reading with a date alone belongs to whoever had the device at noon UTC of that date.
 * - A void is never quarantined: what it takes back may have been impossible, and it must reach its target.
 *   It repeats the value that it takes back; without a value it is refused.
 * - The future is the shard's to judge: it alone knows engine time when the reading is received.
 * - An event of a device's own alarm belongs to whoever its device was assigned to, as a reading does; a
 * source without a device is its own. Its time is an instant: an alarm on some day cannot be put in order.
 * Class and episode are kept as the maker has them, bounded by the tail alone. */
#ifndef VIGIE_INGEST_ADMIT_H
#define VIGIE_INGEST_ADMIT_H

#include "daemon/base/instant.h"
#include "daemon/ingest/exchange.h"
#include "daemon/model/parameter.h"
#include "daemon/model/ticket.h"
#include "daemon/registry/foreign.h"

/* Which part of the payload a refusal is about. */
enum claim_field {
    FIELD_NONE,
    FIELD_PATIENT,
    FIELD_DEVICE,
    FIELD_CODE,
    FIELD_VALUE,
    FIELD_UNIT,
    FIELD_TIME,
    FIELD_STATUS,
    FIELD_ISSUED,
    FIELD_SAMPLES, /* FHIR SampledData */
};

struct refusal {
    enum verdict verdict; /* VERDICT_ACCEPTED: none */
    enum claim_field field;
    const char *text;   /* static English; NULL: verdict_text() */
    const char *issue;  /* FHIR issue code where it is not verdict_issue(); static, NULL without */
    struct slice found; /* what was sent; {NULL, 0} without */
};

/* Whom a message names, already looked up in the registry within the source's organisation. */
struct admit_party {
    bool device_named, patient_named;
    const struct registry_device *device;   /* NULL: no such device is enrolled */
    const struct registry_patient *patient; /* NULL: no such patient is enrolled */
    struct slice device_text, patient_text; /* as named */
    uint64_t patient_claim; /* of the identifier that named the patient, for the trace; or 0 */
    bool patient_elsewhere; /* an identifier is that of another organisation's patient */
    struct refusal refusal; /* of naming them (admit_identity.h); VERDICT_ACCEPTED: none */
};

/* A reading as its sender worded it; absent texts are {NULL, 0}. */
struct claim {
    enum code_match match;
    enum parameter parameter;
    enum unit_system unit_system;
    bool unit_is_implied; /* FHIR valueInteger: unit "1" for a score alone */
    bool if_none_exist;   /* FHIR conditional create: nothing is stored when the alias is known */
    enum comparator comparator;
    enum origin origin;
    enum reading_status status;
    int64_t issued_ms; /* INSTANT_NONE without */
    int64_t after_ms;  /* added to `time`: a sample of a series */
    bool is_instant;   /* the time came as a number, instant_ms, in UTC; else it is the text `time` */
    int64_t instant_ms;
    struct slice code, value, unit, time, sensor, alias;
    struct slice text;    /* kept as what was sent; {NULL, 0}: `value` */
    struct slice context; /* a JSON object that is kept beside; {NULL, 0} without */
};

/* A message of a device's own alarm as its sender worded it. */
struct event_claim {
    bool is_instant; /* as in a claim */
    int64_t instant_ms;
    struct slice class, episode, time;
    enum device_phase phase; /* PHASE_COUNT: missing */
};

struct admit {
    const struct loop_context *loop;
    struct ticket *ticket;
    const struct registry_source *source;
    struct admit_party party;
    struct refusal refusal; /* of the party: every reading of the message gets it */
    unsigned foreign;       /* bits of enum foreign_kind: noted once a message */
};

/* Steps 1 and 2 as far as they concern the whole message. */
void admit_open(struct admit *admit, const struct loop_context *loop, const struct exchange *exchange,
                const struct admit_party *party);

/* Adds a head for the reading and admits it; false: refused, *ret_refusal says why. NULL head: the message is
 * full. */
struct reading *admit_reading(struct admit *admit, const struct claim *claim, struct refusal *ret_refusal);

/* The same for a message of a device's own alarm. */
struct reading *admit_event(struct admit *admit, const struct event_claim *claim,
                            struct refusal *ret_refusal);

/* Adds a head that is refused and only counted. NULL: the message is full. */
struct reading *admit_refused(struct admit *admit, enum verdict verdict);

/* Chains every admitted head of the ticket to its patient's shard; returns how many there are, with the
 * records of ticket_reject(): 0, and the message has nothing to be submitted. */
uint32_t admit_chain(const struct loop_context *loop, struct ticket *ticket);

/* Parses `text` as a version time: an instant, never a date. */
bool admit_parse_issued(struct slice text, int64_t *ret_ms, struct refusal *ret_refusal);

#endif
