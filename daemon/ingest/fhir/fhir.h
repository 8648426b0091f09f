/* fhir: FHIR R4 over the doors /fhir, /fhir/Observation and /fhir/metadata: INTERFACES.md section 4,
 * INTEROP.md sections 1.3, 1.4 and 3.1. Shared by the fhir_*.c files and the table of doors. Owner:   struct
 * fhir is one HTTP message's, on the stack of its handle(). Threads: the loop's. Holds:   each Observation
 * has one head a reading, or one head when it is refused as a whole; none when it carries no reading.
 * Elements nest as raw text and are read when they are asked for.
 *
 * What the specifications leave open, decided here:
 * - Of several codings MDC goes before LOINC, then TAASIP, SNOMED CT, NCIt; one that is never a patient's
 * value makes the whole code so.
 * - `<=` and `>=` are taken as `<` and `>`: at worst an alert at the limit itself, never one too few.
 * - A component whose parameter came before in the same Observation has "component[n]" as its sensor.
 * - The alias is the identifier of If-None-Exist, else the first of Observation.identifier.
 * - A reference "BASE/id" that nothing in the payload resolves names a patient by the identifier system BASE
 *   ("Patient/x": system "Patient"), and a device by the whole text or by its last part.
 * - Elements that R4 does not have are refused like unknown keys elsewhere; those with `_` in front are
 * passed over; modifierExtension and implicitRules are refused: nobody may ignore them.
 * - A known code without value and without dataAbsentReason is refused, as Mon Espace Sante does; so are a
 *   value beside a dataAbsentReason, and two effective[x]: which of them holds? */
#ifndef VIGIE_INGEST_FHIR_H
#define VIGIE_INGEST_FHIR_H

#include "daemon/ingest/admit.h"
#include "daemon/ingest/doors.h"
#include "daemon/ingest/exchange.h"
#include "daemon/ingest/note.h"

enum fhir_form { FORM_OBSERVATION, FORM_BATCH, FORM_TRANSACTION };
enum fhir_resource { RESOURCE_OBSERVATION, RESOURCE_DEVICE, RESOURCE_PATIENT, RESOURCE_OTHER };

struct fhir_entry {
    struct slice full_url, resource, type, id, method, url, if_none_exist; /* resource: raw */
    enum fhir_resource kind;
};

enum { CLOCK_FAULTS_MAX = 8 }; /* of one bundle; those beyond say nothing new */

struct fhir {
    const struct loop_context *loop;
    struct exchange *exchange;
    struct doors *doors;
    uint32_t entries_count; /* in doors->entries; 0: no bundle */
    uint32_t entry;         /* at hand */
    bool is_full;
    struct slice contained; /* of the resource at hand, raw; {NULL, 0} without */
    bool device_is_entry;   /* the device at hand was found in the bundle */
    int64_t patient_id;     /* of the Patient entries so far; 0 without, -1 of several */
    uint32_t clock_faults_count;
    struct slice clock_faults[CLOCK_FAULTS_MAX]; /* references of devices: fhir_kept.h */
};

#define FHIR_NAME(text)                                                                                      \
    {                                                                                                        \
        text, sizeof text - 1                                                                                \
    }

/* fhir_element.c: reads elements of raw text. Fields are all PULL_NONE when the field is no object. */
bool fhir_read(struct fhir *fhir, const struct pull_field *field, const struct pull_names *names,
               struct pull_field *fields);
/* Steps over an array of objects: open once, then next until false. */
bool fhir_open_array(struct fhir *fhir, const struct pull_field *field, struct pull *ret_pull);
bool fhir_next_object(struct pull *pull, const struct pull_names *names, struct pull_field *fields,
                      struct pull_unknown *ret_unknown, struct slice *ret_raw /* may be NULL */);
struct slice fhir_join(struct fhir *fhir, struct slice a, const char *between, struct slice b);
/* "identifier=system|value", percent-encoded or not; false for any other search. */
bool fhir_read_search(struct fhir *fhir, struct slice search, struct slice *ret_system,
                      struct slice *ret_value);
/* The code of a CodeableConcept into the claim: match, parameter, code. */
void fhir_read_code(struct fhir *fhir, const struct pull_field *field, struct claim *claim);

/* fhir_reference.c: whom a resource speaks of, looked up within the source's organisation. */
void fhir_find_device(struct fhir *fhir, const struct pull_field *reference, struct admit_party *party);
void fhir_find_patient(struct fhir *fhir, const struct pull_field *reference, struct admit_party *party);
/* What the Device of an entry is called here: the `ref` of an enrolled one, else as its readings keep it. */
struct slice fhir_match_device(struct fhir *fhir, const struct fhir_entry *entry, bool *ret_is_enrolled);
/* Takes what a Patient entry is called by into the party (admit_identity.h). */
void fhir_match_patient(struct fhir *fhir, const struct fhir_entry *entry, struct admit_party *party);

/* fhir_observation.c: adds the heads and notes of one Observation; `search` is its If-None-Exist. */
void fhir_decode_observation(struct fhir *fhir, struct slice resource, struct slice search);
/* One head that stands for the whole entry, and its note. */
void fhir_refuse_entry(struct fhir *fhir, const struct refusal *refusal);

/* fhir_outcome.c: OperationOutcomes and what readings came to. */
struct fhir_summary {
    uint32_t stored, duplicate, quarantined, refused; /* stored: accepted or quarantined */
    uint32_t first;       /* head of the location; NOTE_NONE when all is refused */
    enum verdict refusal; /* the first */
    bool several_match;   /* what If-None-Exist searches: 412, nothing was stored */
};
struct fhir_summary fhir_summarize(const struct ticket *ticket, const struct note *entry);
int fhir_status(const struct fhir_summary *summary);
int64_t fhir_modified(const struct reading *reading); /* when it was stored; INSTANT_NONE: not now */
void fhir_render_issue(struct buffer *out, const char *severity, const char *code, const struct note *note,
                       const char *expression);
void fhir_render_outcome(struct exchange *exchange, const struct note *notes, size_t count, size_t entry);
/* Every reason for which a transaction is refused; `refusal` when no note has one. */
void fhir_render_refusals(struct exchange *exchange, const struct note *notes, size_t count,
                          enum verdict refusal);
void fhir_error(struct exchange *exchange, int status, const char *code, const char *text);
/* The same with an issue code of our choice. */
void fhir_refuse(struct exchange *exchange, int status, const char *issue, const char *text);
/* False after answering 406 for a client that takes no JSON. */
bool fhir_check_accept(struct exchange *exchange);

bool fhir_takes(struct slice content_type);
enum door_step fhir_observation_handle(struct loop_context *loop, struct exchange *exchange);
void fhir_observation_answer(struct loop_context *loop, struct exchange *exchange);
enum door_step fhir_bundle_handle(struct loop_context *loop, struct exchange *exchange);
void fhir_bundle_answer(struct loop_context *loop, struct exchange *exchange);
enum door_step fhir_metadata_handle(struct loop_context *loop, struct exchange *exchange);

/* Takes an Observation or a Bundle, whatever comes: of transports without paths (MQTT), in no table. */
extern const struct door fhir_resource_door;

/* The rest of handle() once the body is read. */
enum door_step fhir_observation_take(struct fhir *fhir, const struct pull_field *root);
/* Reads the body as JSON of one object; false after answering 400. */
bool fhir_read_body(struct fhir *fhir, struct pull_field *ret_root);

#endif
