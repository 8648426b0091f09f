/* admit: the pipelines are the tables `steps` and `event_steps`, read them first; each step either passes or
 * words a refusal. */
#include "daemon/ingest/admit.h"

#include <endian.h>
#include <string.h>

#include "daemon/registry/registry.h"

#define DAY_MS  INT64_C(86400000)
#define LAST_MS INT64_C(253402300799999) /* of the year 9999: the calendar of texts ends there */

#define FOREIGN(id, word, help)                                                                              \
    static_assert((int)COUNTER_FOREIGN_##id - (int)COUNTER_FOREIGN_DEVICE == (int)FOREIGN_##id,              \
                  "counters follow foreign.def");
#include "daemon/registry/foreign.def"
#undef FOREIGN

struct pipeline {
    struct admit *admit;
    const struct claim *claim;             /* of a reading */
    const struct event_claim *event_claim; /* of a device event; the other one is NULL */
    struct reading *reading;
    struct refusal *refusal;
    const struct registry_patient *patient;
    int64_t asked_at_ms; /* when the device's assignment is asked for */
};

static bool refuse(struct refusal *out, struct refusal refusal)
{
    ensure(refusal.verdict >= VERDICT_MALFORMED);
    *out = refusal;
    return false;
}

/* ---- claims on what is not the source's: counted and traced, whatever the sender hears ---- */

static uint64_t claim_of(const struct admit *admit, enum foreign_kind kind)
{
    const struct admit_party *party = &admit->party;
    bool device = kind == FOREIGN_DEVICE || kind == FOREIGN_DEVICE_ELSEWHERE;
    struct slice text = device ? party->device_text : party->patient_text;
    const char *system = device ? "device" : "patient";
    uint8_t hash[SHA256_BYTES];
    uint64_t claim = party->patient_claim;
    if (!device && claim != 0)
        return claim;
    registry_identifier_hash(admit->loop->identifier_key, system, strlen(system),
                             text.size > 0 ? text.data : "", text.size, hash);
    memcpy(&claim, hash, sizeof claim);
    return be64toh(claim);
}

static void note_foreign(struct admit *admit, enum foreign_kind kind)
{
    if (admit->foreign & (1u << kind))
        return;
    admit->foreign |= 1u << kind;
    counter_add(admit->loop->counters, COUNTER_FOREIGN_DEVICE + kind, 1);
    foreign_inbox_put(admit->loop->foreign, &(struct foreign_claim){.source_id = admit->source->source_id,
                                                                    .claim = claim_of(admit, kind),
                                                                    .at_ms = admit->loop->engine_now_ms,
                                                                    .kind = kind});
}

/* The device or patient named is unknown to the source: perhaps because it is another organisation's. */
static void note_unknown_device(struct admit *admit)
{
    struct slice text = admit->party.device_text;
    if (text.size > 0 && registry_device_elsewhere(admit->loop->registry, admit->source->organization_id,
                                                   text.data, text.size))
        note_foreign(admit, FOREIGN_DEVICE_ELSEWHERE);
}

static void note_unknown_patient(struct admit *admit)
{
    const struct admit_party *party = &admit->party;
    struct slice text = party->patient_text;
    if (party->patient_elsewhere ||
        (text.size > 0 && registry_patient_elsewhere(admit->loop->registry, admit->source->organization_id,
                                                     text.data, text.size)))
        note_foreign(admit, FOREIGN_PATIENT_ELSEWHERE);
}

/* ---- steps 1 and 2, once a message ---- */

/* The device of the message, or the refusal of naming it. */
static bool check_device(struct admit *admit)
{
    struct admit_party *party = &admit->party;
    const struct registry_source *source = admit->source;
    bool is_bound = source->kind == SOURCE_DEVICE || source->kind == SOURCE_GATEWAY;
    if (!party->device_named && source->kind == SOURCE_DEVICE && source->devices_count == 1) {
        party->device = source->devices[0];
        return true;
    }
    if (!is_bound)
        return true;
    if (!party->device_named)
        return refuse(&admit->refusal, (struct refusal){.verdict = VERDICT_UNKNOWN_DEVICE,
                                                        .field = FIELD_DEVICE,
                                                        .text = "a gateway names the device that measured"});
    if (party->device == NULL) {
        note_unknown_device(admit);
        return refuse(&admit->refusal, (struct refusal){.verdict = VERDICT_UNKNOWN_DEVICE,
                                                        .field = FIELD_DEVICE,
                                                        .found = party->device_text});
    }
    if (!registry_source_has_device(source, party->device)) {
        note_foreign(admit, FOREIGN_DEVICE);
        return refuse(&admit->refusal, (struct refusal){.verdict = VERDICT_FORBIDDEN,
                                                        .field = FIELD_DEVICE,
                                                        .text = "this source may not speak for the device",
                                                        .found = party->device_text});
    }
    return true;
}

static bool check_patient(struct admit *admit)
{
    struct admit_party *party = &admit->party;
    const struct registry_source *source = admit->source;
    if (party->patient_named && party->patient == NULL) {
        note_unknown_patient(admit);
        return refuse(&admit->refusal, (struct refusal){.verdict = VERDICT_UNKNOWN_PATIENT,
                                                        .field = FIELD_PATIENT,
                                                        .found = party->patient_text});
    }
    if (source->kind == SOURCE_PATIENT) {
        if (party->patient_named && party->patient != source->patient) {
            note_foreign(admit, FOREIGN_PATIENT);
            return refuse(&admit->refusal, (struct refusal){.verdict = VERDICT_FORBIDDEN,
                                                            .field = FIELD_PATIENT,
                                                            .text = "a patient speaks for nobody else",
                                                            .found = party->patient_text});
        }
        party->patient = source->patient;
    }
    if (party->patient == NULL && party->device == NULL)
        return refuse(&admit->refusal,
                      (struct refusal){.verdict = VERDICT_UNKNOWN_PATIENT,
                                       .field = FIELD_PATIENT,
                                       .issue = "invalid",
                                       .text = "neither a patient nor an enrolled device is named"});
    return true;
}

void admit_open(struct admit *admit, const struct loop_context *loop, const struct exchange *exchange,
                const struct admit_party *party)
{
    ensure(exchange->source != NULL && exchange->ticket != NULL);
    *admit = (struct admit){.loop = loop,
                            .ticket = exchange->ticket,
                            .source = exchange->source,
                            .party = *party,
                            .refusal = party->refusal};
    if (admit->refusal.verdict == VERDICT_PATIENT_MISMATCH)
        note_foreign(admit, FOREIGN_MISMATCH);
    if (admit->refusal.verdict == VERDICT_ACCEPTED && check_device(admit))
        check_patient(admit);
}

/* ---- the pipeline, once a reading ---- */

static bool step_party(struct pipeline *at)
{
    if (at->admit->refusal.verdict != VERDICT_ACCEPTED)
        return refuse(at->refusal, at->admit->refusal);
    return true;
}

static bool step_time(struct pipeline *at)
{
    struct slice text = at->claim != NULL ? at->claim->time : at->event_claim->time;
    bool is_instant = at->claim != NULL ? at->claim->is_instant : at->event_claim->is_instant;
    struct instant_parsed parsed;
    if (is_instant) {
        at->reading->measured_at_ms = at->claim != NULL ? at->claim->instant_ms : at->event_claim->instant_ms;
        at->reading->precision = PRECISION_TIME;
        at->asked_at_ms = at->reading->measured_at_ms;
        return true;
    }
    if (text.data == NULL)
        return refuse(at->refusal, (struct refusal){.verdict = VERDICT_TIME_MISSING, .field = FIELD_TIME});
    enum instant_fault fault = instant_parse(text.data, text.size, &parsed);
    if (fault == INSTANT_NO_OFFSET)
        return refuse(at->refusal,
                      (struct refusal){.verdict = VERDICT_TIME_OFFSET, .field = FIELD_TIME, .found = text});
    if (fault != INSTANT_GOOD)
        return refuse(at->refusal, (struct refusal){.verdict = VERDICT_MALFORMED,
                                                    .field = FIELD_TIME,
                                                    .text = "not a time: ISO 8601 with an offset, or a date",
                                                    .found = text});
    parsed.ms += at->claim != NULL ? at->claim->after_ms : 0;
    if (parsed.ms > LAST_MS)
        return refuse(at->refusal, (struct refusal){.verdict = VERDICT_MALFORMED,
                                                    .field = FIELD_TIME,
                                                    .text = "a time beyond the year 9999",
                                                    .found = text});
    at->reading->measured_at_ms = parsed.ms;
    at->reading->utc_offset_min = parsed.utc_offset_min;
    at->reading->precision = (uint8_t)parsed.precision;
    at->asked_at_ms = parsed.precision == PRECISION_DAY ? parsed.ms + DAY_MS / 2 : parsed.ms;
    return true;
}

/* The device's patient at that time; `whose` must agree with who is named and with who speaks. */
static bool find_owner(struct pipeline *at)
{
    struct admit *admit = at->admit;
    const struct admit_party *party = &admit->party;
    const struct registry_patient *owner =
        registry_assigned_to(party->device, at->asked_at_ms, admit->loop->config->alerting_assignment_grace);
    bool elsewhere = owner != NULL && owner->organization_id != admit->source->organization_id;
    if (elsewhere)
        note_foreign(admit, FOREIGN_DEVICE_ELSEWHERE);
    if (owner == NULL || elsewhere)
        return refuse(at->refusal, (struct refusal){.verdict = VERDICT_NOT_ASSIGNED, .field = FIELD_DEVICE});
    if (admit->source->kind == SOURCE_PATIENT && owner != admit->source->patient) {
        note_foreign(admit, FOREIGN_DEVICE);
        return refuse(at->refusal, (struct refusal){.verdict = VERDICT_FORBIDDEN,
                                                    .field = FIELD_DEVICE,
                                                    .text = "the device was somebody else's",
                                                    .found = party->device_text});
    }
    if (party->patient != NULL && party->patient != owner) {
        note_foreign(admit, FOREIGN_MISMATCH);
        return refuse(at->refusal, (struct refusal){.verdict = VERDICT_PATIENT_MISMATCH,
                                                    .field = FIELD_PATIENT,
                                                    .found = party->patient_text});
    }
    at->patient = owner;
    return true;
}

static bool step_patient(struct pipeline *at)
{
    struct reading *reading = at->reading;
    at->patient = at->admit->party.patient;
    if (at->admit->party.device != NULL && !find_owner(at))
        return false;
    ensure(at->patient != NULL);
    if (reading->precision == PRECISION_DAY) { /* until here midnight UTC: a whole number of days */
        ensure(reading->measured_at_ms % DAY_MS == 0);
        reading->measured_at_ms = zone_day_start_ms(at->patient->zone, reading->measured_at_ms / DAY_MS, 0);
    }
    if (at->patient->left_at_ms != INSTANT_NONE && reading->measured_at_ms >= at->patient->left_at_ms)
        return refuse(at->refusal, (struct refusal){.verdict = VERDICT_NOT_ASSIGNED,
                                                    .field = FIELD_PATIENT,
                                                    .text = "the patient had left at that time"});
    reading->patient_id = at->patient->patient_id;
    reading->device_id = at->admit->party.device != NULL ? at->admit->party.device->device_id : 0;
    return true;
}

static bool step_parameter(struct pipeline *at)
{
    static const char *const texts[] = {
        [CODE_UNKNOWN] = NULL,
        [CODE_NEVER_PATIENT] = "the code is never a patient's value",
    };
    if (at->claim->match != CODE_MATCH)
        return refuse(at->refusal,
                      (struct refusal){.verdict = VERDICT_UNKNOWN_CODE,
                                       .field = FIELD_CODE,
                                       .text = at->claim->code.data == NULL ? "a code is mandatory"
                                                                            : texts[at->claim->match],
                                       .found = at->claim->code});
    at->reading->parameter = (uint16_t)at->claim->parameter;
    return true;
}

static bool refuse_unit(struct pipeline *at, enum err error)
{
    if (at->claim->unit_is_implied)
        return refuse(at->refusal, (struct refusal){.verdict = VERDICT_UNIT_MISSING,
                                                    .field = FIELD_UNIT,
                                                    .text = "a number without a unit is a score alone"});
    return refuse(at->refusal, (struct refusal){.verdict = error == ERR_REFUSED ? VERDICT_UNIT_MISMATCH
                                                                                : VERDICT_UNIT_UNKNOWN,
                                                .field = FIELD_UNIT,
                                                .found = at->claim->unit});
}

static bool step_value(struct pipeline *at)
{
    const struct claim *claim = at->claim;
    const struct decimal_conversion *conversion = NULL;
    if (claim->value.data == NULL)
        return refuse(at->refusal, (struct refusal){.verdict = VERDICT_VALUE_MISSING, .field = FIELD_VALUE});
    if (claim->unit.data == NULL)
        return refuse(at->refusal, (struct refusal){.verdict = VERDICT_UNIT_MISSING, .field = FIELD_UNIT});
    enum err error =
        parameter_unit(claim->parameter, claim->unit_system, claim->unit.data, claim->unit.size, &conversion);
    if (error != OK) {
        if (!parameter_unit_quarantined(claim->parameter, claim->unit.data, claim->unit.size))
            return refuse_unit(at, error);
        at->reading->quarantine = QUARANTINE_UNIT;
        conversion = NULL;
    }
    if (decimal_parse(claim->value.data, claim->value.size, conversion, &at->reading->value) != OK)
        return refuse(
            at->refusal,
            (struct refusal){.verdict = VERDICT_VALUE_INVALID, .field = FIELD_VALUE, .found = claim->value});
    at->reading->comparator = (uint8_t)claim->comparator;
    return true;
}

static bool step_status(struct pipeline *at)
{
    const struct claim *claim = at->claim;
    if (claim->status == STATUS_CORRECTED && claim->issued_ms == INSTANT_NONE)
        return refuse(at->refusal,
                      (struct refusal){.verdict = VERDICT_VERSION_MISSING, .field = FIELD_ISSUED});
    at->reading->status = (uint8_t)claim->status;
    at->reading->origin = (uint8_t)claim->origin;
    at->reading->issued_ms = claim->issued_ms;
    return true;
}

/* Two bands, DESIGN.md section 4.5. A comparator is judged, never kept aside. */
static bool step_band(struct pipeline *at)
{
    struct reading *reading = at->reading;
    const struct parameter_row *row = parameter_row(at->claim->parameter);
    bool possible = reading->value >= row->possible_min && reading->value <= row->possible_max;
    bool expected = reading->value >= row->expected_min && reading->value <= row->expected_max;
    if (reading->comparator != COMPARATOR_NONE || reading->status == STATUS_VOID)
        reading->quarantine = QUARANTINE_NONE;
    else if (!possible && reading->quarantine == QUARANTINE_NONE)
        reading->quarantine = QUARANTINE_IMPOSSIBLE;
    else if (!expected && reading->quarantine == QUARANTINE_NONE)
        reading->flags |= FLAG_VERIFY;
    return true;
}

static struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static struct slice key_device(struct pipeline *at)
{
    const struct admit_party *party = &at->admit->party;
    if (party->device != NULL)
        return slice_of(party->device->ref);
    if (!party->device_named)
        return slice_of(at->admit->source->ref);
    at->reading->flags |= FLAG_DEVICE_TEXT;
    return party->device_text;
}

struct tail_field {
    enum tail_tag tag;
    struct slice text;
};

static bool put_texts(struct pipeline *at, const struct tail_field *fields, size_t count,
                      const char *too_long)
{
    for (size_t i = 0; i < count; i++)
        if ((fields[i].text.size > 0 || fields[i].tag == TAIL_KEY_DEVICE) &&
            !ticket_tail_put(at->admit->ticket, at->reading, fields[i].tag, fields[i].text.data,
                             fields[i].text.size))
            return refuse(at->refusal, (struct refusal){.verdict = VERDICT_MALFORMED, .text = too_long});
    return true;
}

static bool step_texts(struct pipeline *at)
{
    const struct claim *claim = at->claim;
    struct slice text = claim->text.data != NULL ? claim->text : claim->value;
    const struct tail_field fields[] = {
        {TAIL_KEY_DEVICE, key_device(at)}, {TAIL_SENSOR, claim->sensor},
        {TAIL_ALIAS, claim->alias},        {TAIL_TEXT, text},
        {TAIL_UNIT, claim->unit},          {TAIL_CODE, claim->code},
        {TAIL_CONTEXT, claim->context},
    };
    return put_texts(at, fields, sizeof fields / sizeof *fields,
                     "device, sensor, id, value, unit and code exceed 512 bytes");
}

static bool step_identity(struct pipeline *at)
{
    if (at->claim->alias.size > 0)
        at->reading->alias_hash =
            reading_alias_hash(&at->admit->loop->reading_key, at->admit->source->source_id,
                               (enum parameter)at->reading->parameter, at->claim->alias);
    if (at->claim->if_none_exist)
        at->reading->flags |= FLAG_IF_NONE_EXIST;
    reading_identify(at->reading, ticket_tail(at->admit->ticket, at->reading), &at->admit->loop->reading_key);
    return true;
}

/* What a device event has in place of code, value and unit. */
static bool step_event(struct pipeline *at)
{
    const struct event_claim *claim = at->event_claim;
    const struct tail_field fields[] = {
        {TAIL_KEY_DEVICE, key_device(at)}, {TAIL_EPISODE, claim->episode}, {TAIL_CLASS, claim->class}};
    if (claim->class.data == NULL || claim->episode.data == NULL || claim->phase == PHASE_COUNT)
        return refuse(at->refusal, (struct refusal){.verdict = VERDICT_VALUE_MISSING,
                                                    .field = FIELD_VALUE,
                                                    .text = "an event has a class, an episode and a phase"});
    if (at->reading->precision != PRECISION_TIME)
        return refuse(at->refusal, (struct refusal){.verdict = VERDICT_MALFORMED,
                                                    .field = FIELD_TIME,
                                                    .text = "the time of an event is an instant with offset",
                                                    .found = claim->time});
    at->reading->flags |= FLAG_DEVICE_EVENT;
    at->reading->parameter = READING_NO_PARAMETER;
    at->reading->status = STATUS_FINAL;
    at->reading->value = claim->phase;
    return put_texts(at, fields, sizeof fields / sizeof *fields,
                     "device, class and episode exceed 512 bytes");
}

static bool step_event_identity(struct pipeline *at)
{
    reading_identify_event(at->reading, ticket_tail(at->admit->ticket, at->reading),
                           &at->admit->loop->reading_key);
    return true;
}

typedef bool step_function(struct pipeline *at);

static step_function *const steps[] = {
    step_party,     /* 1, 2  who speaks, of whom */
    step_time,      /* 6     when, which the assignment hangs on */
    step_patient,   /* 2     whose the device was then */
    step_parameter, /* 3     what */
    step_value,     /* 3     how much, in which unit */
    step_status,    /* 4     which version */
    step_band,      /* 5     can it be, is it likely */
    step_texts,     /*       what is kept beside */
    step_identity,  /* 7     reading_id and alias, by which duplicates and corrections are found */
};

static step_function *const event_steps[] = {
    step_party,          step_time, step_patient, /* as above */
    step_event,                                   /* what is kept: nothing of it is judged here */
    step_event_identity,                          /* by which a resend is found */
};

struct reading *admit_refused(struct admit *admit, enum verdict verdict)
{
    ensure(verdict >= VERDICT_MALFORMED);
    struct reading *reading = ticket_add_reading(admit->ticket);
    if (reading == NULL)
        return NULL;
    reading->source_id = admit->source->source_id;
    reading->verdict = (uint8_t)verdict;
    return reading;
}

static struct reading *admit_by(struct pipeline *at, step_function *const *list, size_t count)
{
    struct reading *reading = ticket_add_reading(at->admit->ticket);
    *at->refusal = (struct refusal){.verdict = VERDICT_ACCEPTED};
    if (reading == NULL)
        return NULL;
    reading->source_id = at->admit->source->source_id;
    at->reading = reading;
    for (size_t i = 0; i < count; i++)
        if (!list[i](at)) {
            reading->verdict = (uint8_t)at->refusal->verdict;
            return reading;
        }
    ensure(reading->verdict == VERDICT_ACCEPTED && reading->patient_id != 0);
    return reading;
}

struct reading *admit_reading(struct admit *admit, const struct claim *claim, struct refusal *ret_refusal)
{
    struct pipeline at = {.admit = admit, .claim = claim, .refusal = ret_refusal};
    return admit_by(&at, steps, sizeof steps / sizeof *steps);
}

struct reading *admit_event(struct admit *admit, const struct event_claim *claim, struct refusal *ret_refusal)
{
    struct pipeline at = {.admit = admit, .event_claim = claim, .refusal = ret_refusal};
    return admit_by(&at, event_steps, sizeof event_steps / sizeof *event_steps);
}

uint32_t admit_chain(const struct loop_context *loop, struct ticket *ticket)
{
    uint32_t chained = 0;
    for (uint32_t i = 0; i < ticket->count; i++) {
        if (ticket->heads[i].verdict != VERDICT_ACCEPTED)
            continue;
        ticket_chain(ticket, i, ticket_shard(ticket->heads[i].patient_id, loop->shards));
        chained++;
    }
    return chained + ticket->rejected.count;
}

bool admit_parse_issued(struct slice text, int64_t *ret_ms, struct refusal *ret_refusal)
{
    struct instant_parsed parsed;
    enum instant_fault fault = instant_parse(text.data, text.size, &parsed);
    if (fault == INSTANT_NO_OFFSET)
        return refuse(ret_refusal,
                      (struct refusal){.verdict = VERDICT_TIME_OFFSET, .field = FIELD_ISSUED, .found = text});
    if (fault != INSTANT_GOOD || parsed.precision != PRECISION_TIME)
        return refuse(ret_refusal, (struct refusal){.verdict = VERDICT_MALFORMED,
                                                    .field = FIELD_ISSUED,
                                                    .text = "a version time is an instant with offset",
                                                    .found = text});
    *ret_ms = parsed.ms;
    return true;
}
