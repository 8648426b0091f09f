/* fhir_observation: what one Observation says, in the order: may it be read at all, whom does it speak of,
 * when and in which version; then its own value and those of its components, each a claim of its own. */
#include <stdio.h>
#include <string.h>

#include "daemon/ingest/fhir.h"
#include "daemon/ingest/slice.h"

/* Elements that decide something; then those that R4 has and nobody asks for. Component is a subset. */
#define OBSERVATION_ELEMENTS(ELEMENT)                                                                        \
    ELEMENT(RESOURCE_TYPE, "resourceType")                                                                   \
    ELEMENT(META, "meta")                                                                                    \
    ELEMENT(IMPLICIT_RULES, "implicitRules")                                                                 \
    ELEMENT(MODIFIER_EXTENSION, "modifierExtension")                                                         \
    ELEMENT(CONTAINED, "contained")                                                                          \
    ELEMENT(IDENTIFIER, "identifier")                                                                        \
    ELEMENT(STATUS, "status")                                                                                \
    ELEMENT(CODE, "code")                                                                                    \
    ELEMENT(SUBJECT, "subject")                                                                              \
    ELEMENT(EFFECTIVE_DATE_TIME, "effectiveDateTime")                                                        \
    ELEMENT(EFFECTIVE_PERIOD, "effectivePeriod")                                                             \
    ELEMENT(EFFECTIVE_INSTANT, "effectiveInstant")                                                           \
    ELEMENT(EFFECTIVE_TIMING, "effectiveTiming")                                                             \
    ELEMENT(ISSUED, "issued")                                                                                \
    ELEMENT(VALUE_QUANTITY, "valueQuantity")                                                                 \
    ELEMENT(VALUE_INTEGER, "valueInteger")                                                                   \
    ELEMENT(VALUE_SAMPLED_DATA, "valueSampledData")                                                          \
    ELEMENT(VALUE_CODEABLE_CONCEPT, "valueCodeableConcept")                                                  \
    ELEMENT(VALUE_STRING, "valueString")                                                                     \
    ELEMENT(VALUE_BOOLEAN, "valueBoolean")                                                                   \
    ELEMENT(VALUE_RANGE, "valueRange")                                                                       \
    ELEMENT(VALUE_RATIO, "valueRatio")                                                                       \
    ELEMENT(VALUE_TIME, "valueTime")                                                                         \
    ELEMENT(VALUE_DATE_TIME, "valueDateTime")                                                                \
    ELEMENT(VALUE_PERIOD, "valuePeriod")                                                                     \
    ELEMENT(DATA_ABSENT_REASON, "dataAbsentReason")                                                          \
    ELEMENT(DEVICE, "device")                                                                                \
    ELEMENT(COMPONENT, "component")                                                                          \
    ELEMENT(ID, "id")                                                                                        \
    ELEMENT(LANGUAGE, "language")                                                                            \
    ELEMENT(TEXT, "text")                                                                                    \
    ELEMENT(EXTENSION, "extension")                                                                          \
    ELEMENT(BASED_ON, "basedOn")                                                                             \
    ELEMENT(PART_OF, "partOf")                                                                               \
    ELEMENT(CATEGORY, "category")                                                                            \
    ELEMENT(FOCUS, "focus")                                                                                  \
    ELEMENT(ENCOUNTER, "encounter")                                                                          \
    ELEMENT(PERFORMER, "performer")                                                                          \
    ELEMENT(INTERPRETATION, "interpretation")                                                                \
    ELEMENT(NOTE, "note")                                                                                    \
    ELEMENT(BODY_SITE, "bodySite")                                                                           \
    ELEMENT(METHOD, "method")                                                                                \
    ELEMENT(SPECIMEN, "specimen")                                                                            \
    ELEMENT(REFERENCE_RANGE, "referenceRange")                                                               \
    ELEMENT(HAS_MEMBER, "hasMember")                                                                         \
    ELEMENT(DERIVED_FROM, "derivedFrom")

enum element {
#define ELEMENT_ENUM(id, text) ELEMENT_##id,
    OBSERVATION_ELEMENTS(ELEMENT_ENUM)
#undef ELEMENT_ENUM
        ELEMENTS
};

static const struct pull_name element_list[] = {
#define ELEMENT_NAME(id, text) FHIR_NAME(text),
    OBSERVATION_ELEMENTS(ELEMENT_NAME)
#undef ELEMENT_NAME
};
static const struct pull_names element_names = {element_list, ELEMENTS, '_'};

enum {
    QUANTITY_VALUE,
    QUANTITY_COMPARATOR,
    QUANTITY_SYSTEM,
    QUANTITY_CODE,
    QUANTITY_REST,
    QUANTITY_COUNT = 7
};
static const struct pull_name quantity_list[] = {
    FHIR_NAME("value"), FHIR_NAME("comparator"), FHIR_NAME("system"),   FHIR_NAME("code"),
    FHIR_NAME("unit"),  FHIR_NAME("id"),         FHIR_NAME("extension")};
static const struct pull_names quantity_names = {quantity_list, QUANTITY_COUNT, '_'};

struct observation {
    struct fhir *fhir;
    struct admit admit;
    struct claim common;  /* what all its readings share */
    struct refusal whole; /* refuses every reading of it; VERDICT_ACCEPTED without */
    bool lacks_value;     /* a known code and no value at all */
    bool seen[PARAMETER_COUNT];
    uint32_t first; /* head */
};

/* ---- refusals ---- */

static void note_refused(struct fhir *fhir, uint32_t component, const struct refusal *refusal)
{
    struct note note = {.entry = fhir->entry, .item = component, .head = fhir->exchange->ticket->count - 1};
    note_add_refusal(fhir->exchange, note, refusal);
}

void fhir_refuse_entry(struct fhir *fhir, const struct refusal *refusal)
{
    struct admit admit = {
        .loop = fhir->loop, .ticket = fhir->exchange->ticket, .source = fhir->exchange->source};
    if (admit_refused(&admit, refusal->verdict) == NULL)
        fhir->is_full = true;
    else
        note_refused(fhir, NOTE_NONE, refusal);
}

static void refuse_measure(struct observation *at, uint32_t component, const struct refusal *refusal)
{
    if (admit_refused(&at->admit, refusal->verdict) == NULL)
        at->fhir->is_full = true;
    else
        note_refused(at->fhir, component, refusal);
}

static bool refuse(struct refusal *out, enum verdict verdict, enum claim_field field, const char *text)
{
    *out = (struct refusal){.verdict = verdict, .field = field, .text = text};
    return false;
}

static struct slice text_of(const struct pull_field *field)
{
    return field->kind == PULL_STRING && field->text.size > 0 ? field->text : (struct slice){NULL, 0};
}

/* ---- a value ---- */

static bool read_comparator(const struct pull_field *field, struct claim *claim, struct refusal *ret_refusal)
{
    if (field->kind == PULL_NONE)
        return true;
    bool less = slice_is(text_of(field), "<") || slice_is(text_of(field), "<=");
    bool greater = slice_is(text_of(field), ">") || slice_is(text_of(field), ">=");
    if (!less && !greater)
        return refuse(ret_refusal, VERDICT_MALFORMED, FIELD_VALUE, "a comparator is <, <=, > or >=");
    claim->comparator = less ? COMPARATOR_LESS : COMPARATOR_GREATER;
    return true;
}

/* By system and code, never by what is displayed; a unit without a system is nobody's. */
static bool read_unit(const struct pull_field *quantity, struct claim *claim, struct refusal *ret_refusal)
{
    struct slice system = text_of(&quantity[QUANTITY_SYSTEM]);
    claim->unit = text_of(&quantity[QUANTITY_CODE]);
    if (claim->unit.data == NULL || system.data == NULL)
        return refuse(ret_refusal, VERDICT_UNIT_MISSING, FIELD_UNIT,
                      "a quantity has the system and the code of its unit");
    if (slice_is(system, "http://unitsofmeasure.org") || slice_is(system, "urn:oid:2.16.840.1.113883.6.8"))
        claim->unit_system = UNIT_UCUM;
    else if (slice_is(system, "urn:iso:std:iso:11073:10101"))
        claim->unit_system = UNIT_MDC;
    else {
        refuse(ret_refusal, VERDICT_UNIT_UNKNOWN, FIELD_UNIT, "units are of UCUM or of ISO/IEEE 11073-10101");
        ret_refusal->found = system;
        return false;
    }
    return true;
}

static bool read_quantity(struct fhir *fhir, const struct pull_field *field, struct claim *claim,
                          struct refusal *ret_refusal)
{
    struct pull_field quantity[QUANTITY_COUNT];
    struct pull_unknown unknown;
    struct pull pull;
    struct slice ignored;
    if (field->kind != PULL_OBJECT)
        return refuse(ret_refusal, VERDICT_MALFORMED, FIELD_VALUE, "a quantity is an object");
    pull_open_raw(&pull, field->text, &fhir->doors->scratch);
    pull_value(&pull, &ignored);
    bool is_read = pull_read_fields(&pull, &quantity_names, quantity, &unknown);
    ensure(is_read);
    if (unknown.count > 0) {
        refuse(ret_refusal, VERDICT_UNKNOWN_KEY, FIELD_VALUE, "an element that a quantity does not have");
        ret_refusal->found = unknown.first;
        return false;
    }
    if (quantity[QUANTITY_VALUE].kind == PULL_NONE) {
        refuse(ret_refusal, VERDICT_VALUE_MISSING, FIELD_VALUE, "Observation value quantity not provided.");
        ret_refusal->issue = "value";
        return false;
    }
    if (quantity[QUANTITY_VALUE].kind != PULL_NUMBER)
        return refuse(ret_refusal, VERDICT_VALUE_INVALID, FIELD_VALUE, "a value is a JSON number");
    claim->value = quantity[QUANTITY_VALUE].text;
    return read_comparator(&quantity[QUANTITY_COMPARATOR], claim, ret_refusal) &&
           read_unit(quantity, claim, ret_refusal);
}

static bool read_value(struct observation *at, const struct pull_field *fields, struct claim *claim,
                       struct refusal *ret_refusal)
{
    if (fields[ELEMENT_VALUE_SAMPLED_DATA].kind != PULL_NONE)
        return refuse(ret_refusal, VERDICT_NOT_SUPPORTED, FIELD_VALUE, "SampledData is not served yet");
    if (fields[ELEMENT_VALUE_QUANTITY].kind != PULL_NONE)
        return read_quantity(at->fhir, &fields[ELEMENT_VALUE_QUANTITY], claim, ret_refusal);
    if (fields[ELEMENT_VALUE_INTEGER].kind != PULL_NUMBER)
        return refuse(ret_refusal, VERDICT_VALUE_INVALID, FIELD_VALUE, "an integer is a JSON number");
    claim->value = fields[ELEMENT_VALUE_INTEGER].text;
    claim->unit = (struct slice){"1", 1};
    claim->unit_system = UNIT_UCUM;
    claim->unit_is_implied = true;
    return true;
}

/* A second reading of one parameter in one Observation comes from another sensor of the device. */
static void set_sensor(struct observation *at, struct claim *claim, uint32_t component)
{
    char text[32];
    if (claim->match != CODE_MATCH)
        return;
    if (at->seen[claim->parameter] && component != NOTE_NONE) {
        snprintf(text, sizeof text, "component[%u]", component);
        claim->sensor = fhir_join(at->fhir, (struct slice){text, strlen(text)}, "", (struct slice){NULL, 0});
    }
    at->seen[claim->parameter] = true;
}

static unsigned count_values(const struct pull_field *fields)
{
    unsigned count = 0;
    for (unsigned i = ELEMENT_VALUE_QUANTITY; i <= ELEMENT_VALUE_PERIOD; i++)
        count += fields[i].kind != PULL_NONE;
    return count;
}

/* The value of the Observation itself (`component` NOTE_NONE) or of one component. */
static void decode_measure(struct observation *at, const struct pull_field *fields, uint32_t component)
{
    struct claim claim = at->common;
    struct refusal refusal = {.verdict = VERDICT_ACCEPTED};
    unsigned values = count_values(fields);
    bool is_sampled = fields[ELEMENT_VALUE_SAMPLED_DATA].kind != PULL_NONE;
    bool is_number =
        fields[ELEMENT_VALUE_QUANTITY].kind != PULL_NONE || fields[ELEMENT_VALUE_INTEGER].kind != PULL_NONE;
    fhir_read_code(at->fhir, &fields[ELEMENT_CODE], &claim);
    if (values == 0)
        at->lacks_value |= claim.match == CODE_MATCH && fields[ELEMENT_DATA_ABSENT_REASON].kind == PULL_NONE;
    if ((!is_number && !(is_sampled && claim.match == CODE_MATCH)) || claim.match == CODE_NEVER_PATIENT)
        return;
    set_sensor(at, &claim, component);
    if (at->whole.verdict != VERDICT_ACCEPTED)
        refusal = at->whole;
    else if (values > 1)
        refuse(&refusal, VERDICT_MALFORMED, FIELD_VALUE, "an Observation has one value");
    else if (fields[ELEMENT_MODIFIER_EXTENSION].kind != PULL_NONE && component != NOTE_NONE)
        refuse(&refusal, VERDICT_NOT_SUPPORTED, FIELD_NONE,
               "a modifierExtension may change the meaning of the rest");
    else if (read_value(at, fields, &claim, &refusal)) {
        if (admit_reading(&at->admit, &claim, &refusal) == NULL)
            at->fhir->is_full = true;
        else if (refusal.verdict != VERDICT_ACCEPTED)
            note_refused(at->fhir, component, &refusal);
        return;
    }
    refuse_measure(at, component, &refusal);
}

static void decode_components(struct observation *at, const struct pull_field *components)
{
    struct pull_field fields[ELEMENTS];
    struct pull_unknown unknown;
    struct pull pull;
    if (!fhir_open_array(at->fhir, components, &pull))
        return;
    for (uint32_t i = 0; !at->fhir->is_full && fhir_next_object(&pull, &element_names, fields, &unknown);
         i++) {
        if (unknown.count == 0) {
            decode_measure(at, fields, i);
            continue;
        }
        struct refusal refusal = {.verdict = VERDICT_UNKNOWN_KEY,
                                  .text = "an element that R4 does not have",
                                  .found = unknown.first};
        refuse_measure(at, i, &refusal);
    }
}

/* ---- what all readings of an Observation share ---- */

enum status_means { MEANS_READING, MEANS_NOTHING, MEANS_UNSUPPORTED };

static const struct status_row {
    const char *word;
    enum status_means means;
    enum reading_status status;
} status_rows[] = {
    {"final", MEANS_READING, STATUS_FINAL},           {"preliminary", MEANS_READING, STATUS_PRELIMINARY},
    {"amended", MEANS_READING, STATUS_CORRECTED},     {"corrected", MEANS_READING, STATUS_CORRECTED},
    {"entered-in-error", MEANS_READING, STATUS_VOID}, {"cancelled", MEANS_NOTHING, STATUS_FINAL},
    {"registered", MEANS_NOTHING, STATUS_FINAL},      {NULL, MEANS_UNSUPPORTED, STATUS_FINAL},
};

static const struct status_row *find_status(const struct pull_field *field)
{
    const struct status_row *row = status_rows;
    while (row->word != NULL && !slice_is(text_of(field), row->word))
        row++;
    return row;
}

static bool read_time(struct fhir *fhir, const struct pull_field *fields, struct claim *claim,
                      struct refusal *ret_refusal)
{
    static const struct pull_name period_list[] = {FHIR_NAME("end"), FHIR_NAME("start")};
    static const struct pull_names period_names = {period_list, 2, '\0'};
    struct pull_field period[2];
    if (fields[ELEMENT_EFFECTIVE_TIMING].kind != PULL_NONE)
        return refuse(ret_refusal, VERDICT_NOT_SUPPORTED, FIELD_TIME, "effectiveTiming is not served");
    fhir_read(fhir, &fields[ELEMENT_EFFECTIVE_PERIOD], &period_names, period);
    const struct pull_field *candidates[] = {&fields[ELEMENT_EFFECTIVE_DATE_TIME],
                                             &fields[ELEMENT_EFFECTIVE_INSTANT], &period[0], &period[1]};
    for (size_t i = 0; claim->time.data == NULL && i < sizeof candidates / sizeof *candidates; i++)
        claim->time = text_of(candidates[i]);
    return true;
}

static bool read_version(struct fhir *fhir, const struct pull_field *fields, struct claim *claim,
                         struct refusal *ret_refusal)
{
    static const struct pull_name meta_list[] = {FHIR_NAME("lastUpdated")};
    static const struct pull_names meta_names = {meta_list, 1, '\0'};
    struct pull_field updated;
    struct slice text = text_of(&fields[ELEMENT_ISSUED]);
    fhir_read(fhir, &fields[ELEMENT_META], &meta_names, &updated);
    if (text.data == NULL)
        text = text_of(&updated);
    return text.data == NULL || admit_parse_issued(text, &claim->issued_ms, ret_refusal);
}

/* The sender's own name for the measurement, "system|value". */
static bool read_alias(struct fhir *fhir, const struct pull_field *identifiers, struct slice search,
                       struct claim *claim, struct refusal *ret_refusal)
{
    static const struct pull_name list[] = {FHIR_NAME("system"), FHIR_NAME("value")};
    static const struct pull_names names = {list, 2, '\0'};
    struct slice system, value;
    struct pull_field fields[2];
    struct pull_unknown unknown;
    struct pull pull;
    if (search.size > 0) {
        if (!fhir_read_search(fhir, search, &system, &value))
            return refuse(ret_refusal, VERDICT_NOT_SUPPORTED, FIELD_NONE,
                          "If-None-Exist is served for identifier=system|value");
        claim->alias = fhir_join(fhir, system, "|", value);
        claim->if_none_exist = true;
        return true;
    }
    if (!fhir_open_array(fhir, identifiers, &pull))
        return true;
    while (claim->alias.data == NULL && fhir_next_object(&pull, &names, fields, &unknown))
        if (text_of(&fields[1]).data != NULL)
            claim->alias = fhir_join(fhir, text_of(&fields[0]), "|", text_of(&fields[1]));
    return true;
}

static bool check_whole(const struct pull_field *fields, const struct pull_unknown *unknown,
                        struct refusal *ret_refusal)
{
    if (unknown->count > 0) {
        refuse(ret_refusal, VERDICT_UNKNOWN_KEY, FIELD_NONE, "an element that R4 does not have");
        ret_refusal->found = unknown->first;
        return false;
    }
    if (fields[ELEMENT_MODIFIER_EXTENSION].kind != PULL_NONE ||
        fields[ELEMENT_IMPLICIT_RULES].kind != PULL_NONE)
        return refuse(ret_refusal, VERDICT_NOT_SUPPORTED, FIELD_NONE,
                      "modifierExtension and implicitRules may change the meaning of the rest");
    if (find_status(&fields[ELEMENT_STATUS])->means != MEANS_UNSUPPORTED)
        return true;
    refuse(ret_refusal, VERDICT_STATUS_UNSUPPORTED, FIELD_STATUS,
           fields[ELEMENT_STATUS].kind == PULL_NONE ? "Observation.status missing" : NULL);
    ret_refusal->issue = fields[ELEMENT_STATUS].kind == PULL_NONE ? "required" : NULL;
    ret_refusal->found = text_of(&fields[ELEMENT_STATUS]);
    return false;
}

static bool bundle_has_device(const struct fhir *fhir)
{
    for (uint32_t i = 0; i < fhir->entries_count; i++)
        if (fhir->doors->entries[i].kind == RESOURCE_DEVICE)
            return true;
    return false;
}

/* Step 1 of admission, and the MES condition that a Device sent along is the one that measured. */
static void open_party(struct observation *at, const struct pull_field *fields)
{
    struct fhir *fhir = at->fhir;
    struct admit_party party = {.device_named = false};
    fhir->contained = fields[ELEMENT_CONTAINED].kind == PULL_ARRAY ? fields[ELEMENT_CONTAINED].text
                                                                   : (struct slice){NULL, 0};
    fhir_find_device(fhir, &fields[ELEMENT_DEVICE], &party);
    fhir_find_patient(fhir, &fields[ELEMENT_SUBJECT], &party);
    admit_open(&at->admit, fhir->loop, fhir->exchange, &party);
    struct refusal *refusal = &at->admit.refusal;
    if (refusal->verdict == VERDICT_UNKNOWN_PATIENT && !party.patient_named)
        refusal->text = "Observation.subject.identifier missing";
    if (refusal->verdict == VERDICT_ACCEPTED && !fhir->device_is_entry && bundle_has_device(fhir)) {
        refuse(refusal, VERDICT_UNKNOWN_DEVICE, FIELD_DEVICE,
               party.device_named ? "Observation.device.reference not linked to Device.id"
                                  : "Observation.device.reference missing");
        refusal->issue = "invalid";
    }
}

/* ---- the Observation ---- */

static void set_group(struct observation *at)
{
    struct ticket *ticket = at->fhir->exchange->ticket;
    uint64_t group = 0;
    unsigned admitted = 0;
    for (uint32_t i = at->first; i < ticket->count; i++)
        admitted += ticket->heads[i].verdict == VERDICT_ACCEPTED;
    for (uint32_t i = at->first; admitted > 1 && i < ticket->count; i++) {
        if (ticket->heads[i].verdict != VERDICT_ACCEPTED)
            continue;
        if (group == 0) {
            memcpy(&group, ticket->heads[i].reading_id, sizeof group);
            group = (group & INT64_MAX) | 1; /* a bigint, and never "no group" */
        }
        ticket->heads[i].group_id = group;
    }
}

/* Nothing was claimed: is that in order? */
static void conclude_empty(struct observation *at, const struct pull_field *fields, bool is_void)
{
    struct refusal refusal = {.verdict = VERDICT_ACCEPTED};
    struct claim claim;
    fhir_read_code(at->fhir, &fields[ELEMENT_CODE], &claim);
    if (at->lacks_value || (is_void && claim.match == CODE_MATCH)) {
        refuse(&refusal, VERDICT_VALUE_MISSING, FIELD_VALUE,
               is_void ? "a void repeats the value that it takes back"
                       : "Observation value quantity not provided.");
        refusal.issue = "value";
        refuse_measure(at, NOTE_NONE, &refusal);
        return;
    }
    struct note note = {.kind = NOTE_INFORMATION,
                        .entry = at->fhir->entry,
                        .item = NOTE_NONE,
                        .head = NOTE_NONE,
                        .text = "no reading in this Observation: nothing stored"};
    note_add(at->fhir->exchange, &note);
}

static void decode_elements(struct observation *at, const struct pull_field *fields, struct slice search,
                            const struct pull_unknown *unknown)
{
    const struct status_row *status = find_status(&fields[ELEMENT_STATUS]);
    struct fhir *fhir = at->fhir;
    at->common = (struct claim){.issued_ms = INSTANT_NONE, .status = status->status};
    open_party(at, fields);
    if (check_whole(fields, unknown, &at->whole) && read_time(fhir, fields, &at->common, &at->whole) &&
        read_version(fhir, fields, &at->common, &at->whole))
        read_alias(fhir, &fields[ELEMENT_IDENTIFIER], search, &at->common, &at->whole);
    if (status->means != MEANS_NOTHING) {
        decode_measure(at, fields, NOTE_NONE);
        decode_components(at, &fields[ELEMENT_COMPONENT]);
    }
    if (fhir->exchange->ticket->count > at->first)
        set_group(at);
    else if (status->means == MEANS_UNSUPPORTED || unknown->count > 0)
        refuse_measure(at, NOTE_NONE, &at->whole);
    else if (!fhir->is_full)
        conclude_empty(at, fields, status->status == STATUS_VOID && status->means == MEANS_READING);
}

void fhir_decode_observation(struct fhir *fhir, struct slice resource, struct slice search)
{
    struct exchange *exchange = fhir->exchange;
    struct observation at = {.fhir = fhir, .first = exchange->ticket->count};
    struct pull_field fields[ELEMENTS];
    struct pull_unknown unknown;
    struct pull pull;
    struct slice ignored;
    size_t place, count;
    notes_of(exchange, &place);
    struct note note = {
        .kind = NOTE_ENTRY, .entry = fhir->entry, .item = RESOURCE_OBSERVATION, .head = at.first};
    note_add(exchange, &note);
    pull_open_raw(&pull, resource, &fhir->doors->scratch);
    pull_value(&pull, &ignored);
    bool is_read = pull_read_fields(&pull, &element_names, fields, &unknown);
    ensure(is_read); /* checked text, and scratch for all of it */
    decode_elements(&at, fields, search, &unknown);
    notes_of(exchange, &count)[place].count = exchange->ticket->count - at.first;
}

bool fhir_read_body(struct fhir *fhir, struct pull_field *ret_root)
{
    struct exchange *exchange = fhir->exchange;
    char text[128];
    struct pull pull;
    pull_open(&pull, (struct slice){exchange->body, exchange->body_size}, &fhir->doors->scratch,
              &fhir->doors->keys);
    ret_root->kind = pull_take(&pull, &ret_root->text);
    if (!pull_finish(&pull)) {
        snprintf(text, sizeof text, "not JSON as RFC 8259 has it: %s at byte %zu", pull.error, pull.error_at);
        fhir_refuse(exchange, 400, "structure", text);
        return false;
    }
    if (ret_root->kind != PULL_OBJECT) {
        fhir_refuse(exchange, 400, "structure", "a resource is a JSON object");
        return false;
    }
    return true;
}

enum door_step fhir_observation_handle(struct loop_context *loop, struct exchange *exchange)
{
    static const struct pull_name list[] = {FHIR_NAME("resourceType")};
    static const struct pull_names names = {list, 1, '\0'};
    struct fhir fhir = {.loop = loop, .exchange = exchange, .doors = doors_of(loop)};
    struct pull_field root, type;
    char text[128];
    if (!fhir_check_accept(exchange) || !fhir_read_body(&fhir, &root))
        return DOOR_ANSWERED;
    fhir_read(&fhir, &root, &names, &type);
    struct slice found = note_cut(text_of(&type), 40);
    if (!slice_is(found, "Observation")) {
        snprintf(text, sizeof text, "Resource of type %.*s is not acceptable with method POST",
                 (int)found.size, found.size > 0 ? found.data : "");
        fhir_refuse(exchange, 422, "not-supported", text);
        return DOOR_ANSWERED;
    }
    fhir_decode_observation(&fhir, root.text, exchange->if_none_exist);
    if (fhir.is_full) {
        fhir_refuse(exchange, 422, verdict_issue(VERDICT_TOO_MANY), "a message has at most 10,000 readings");
        return DOOR_ANSWERED;
    }
    if (admit_chain(loop, exchange->ticket) > 0)
        return DOOR_SUBMITTED;
    exchange->door->answer(loop, exchange);
    return DOOR_ANSWERED;
}
