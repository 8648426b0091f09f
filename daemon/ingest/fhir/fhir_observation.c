/* fhir_observation: what one Observation says, in the order: may it be read at all, whom does it speak of,
 * when and in which version; then its own value and those of its components, each a claim of its own. */
#include <stdio.h>
#include <string.h>

#include "daemon/ingest/fhir/fhir_kept.h"
#include "daemon/ingest/fhir/fhir_mes.h"
#include "daemon/ingest/fhir/fhir_value.h"
#include "daemon/ingest/pull/slice.h"

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

struct observation {
    struct fhir *fhir;
    struct admit admit;
    struct claim common;  /* what all its readings share */
    struct refusal whole; /* refuses every reading of it; VERDICT_ACCEPTED without */
    struct slice start;   /* of sampled data */
    bool lacks_value;     /* a known code and no value at all */
    bool is_series;       /* it has sampled data that were taken */
    bool has_waveform;
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

static bool read_value(struct observation *at, const struct pull_field *fields, struct claim *claim,
                       struct refusal *ret_refusal)
{
    if (fields[ELEMENT_VALUE_QUANTITY].kind != PULL_NONE)
        return fhir_read_quantity(at->fhir, &fields[ELEMENT_VALUE_QUANTITY], claim, ret_refusal);
    return fhir_read_integer(&fields[ELEMENT_VALUE_INTEGER], claim, ret_refusal);
}

/* A second reading of one parameter in one Observation comes from another sensor of the device, and its name
 * is another one. */
static void set_sensor(struct observation *at, struct claim *claim, uint32_t component)
{
    char text[32];
    if (claim->match != CODE_MATCH)
        return;
    if (at->seen[claim->parameter] && component != NOTE_NONE) {
        snprintf(text, sizeof text, "component[%u]", component);
        claim->sensor = fhir_join(at->fhir, (struct slice){text, strlen(text)}, "", (struct slice){NULL, 0});
        if (claim->alias.size > 0 && claim->alias.size <= TAIL_BYTES_MAX) /* beyond, it is refused anyway */
            claim->alias = fhir_join(at->fhir, claim->alias, "#", claim->sensor);
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

static void admit_claim(struct observation *at, const struct claim *claim, uint32_t component)
{
    struct refusal refusal;
    if (admit_reading(&at->admit, claim, &refusal) == NULL)
        at->fhir->is_full = true;
    else if (refusal.verdict != VERDICT_ACCEPTED)
        note_refused(at->fhir, component, &refusal);
}

/* Each sample is a reading; why some are refused is said once, of the first. */
static void admit_samples(struct observation *at, struct fhir_samples *samples, const struct claim *common,
                          uint32_t component)
{
    struct pull_scratch *scratch = &at->fhir->doors->scratch;
    size_t mark = scratch->size;
    struct refusal refusal;
    struct claim claim;
    enum fhir_sample what;
    bool is_told = false;
    while (!at->fhir->is_full &&
           (what = fhir_next_sample(at->fhir, samples, common, &claim, &refusal)) != SAMPLE_END) {
        struct reading *reading = NULL;
        if (what == SAMPLE_VALUE)
            reading = admit_reading(&at->admit, &claim, &refusal);
        else if (what == SAMPLE_REFUSED)
            reading = admit_refused(&at->admit, refusal.verdict);
        at->fhir->is_full = reading == NULL && what != SAMPLE_NOTHING;
        if (reading != NULL && refusal.verdict != VERDICT_ACCEPTED && !is_told) {
            if (refusal.field == FIELD_VALUE || refusal.field == FIELD_UNIT)
                refusal.field = FIELD_SAMPLES;
            note_refused(at->fhir, component, &refusal);
            is_told = true;
        }
        scratch->size = mark;
    }
}

static void decode_samples(struct observation *at, const struct pull_field *fields, struct claim *claim,
                           uint32_t component)
{
    struct fhir_samples samples;
    struct refusal refusal;
    claim->time = at->start;
    if (!fhir_open_samples(at->fhir, &fields[ELEMENT_VALUE_SAMPLED_DATA], claim, &samples, &refusal)) {
        refuse_measure(at, component, &refusal);
        return;
    }
    at->has_waveform |= samples.is_waveform;
    if (samples.is_waveform)
        return;
    at->is_series = true;
    admit_samples(at, &samples, claim, component);
}

/* What refuses a value without looking at it. */
static bool check_measure(const struct observation *at, const struct pull_field *fields, uint32_t component,
                          struct refusal *ret_refusal)
{
    *ret_refusal = at->whole;
    if (at->whole.verdict != VERDICT_ACCEPTED)
        return false;
    if (count_values(fields) > 1)
        return refuse(ret_refusal, VERDICT_MALFORMED, FIELD_VALUE, "an Observation has one value");
    if (fields[ELEMENT_DATA_ABSENT_REASON].kind != PULL_NONE)
        return refuse(ret_refusal, VERDICT_MALFORMED, FIELD_VALUE,
                      "a value and the reason why there is none: which of them holds?");
    return fields[ELEMENT_MODIFIER_EXTENSION].kind == PULL_NONE || component == NOTE_NONE ||
           refuse(ret_refusal, VERDICT_NOT_SUPPORTED, FIELD_NONE,
                  "a modifierExtension may change the meaning of the rest");
}

/* The value of the Observation itself (`component` NOTE_NONE) or of one component. */
static void decode_measure(struct observation *at, const struct pull_field *fields, uint32_t component)
{
    struct claim claim = at->common;
    struct refusal refusal;
    bool is_sampled = fields[ELEMENT_VALUE_SAMPLED_DATA].kind != PULL_NONE;
    bool is_number =
        fields[ELEMENT_VALUE_QUANTITY].kind != PULL_NONE || fields[ELEMENT_VALUE_INTEGER].kind != PULL_NONE;
    fhir_read_code(at->fhir, &fields[ELEMENT_CODE], &claim);
    if (count_values(fields) == 0)
        at->lacks_value |= claim.match == CODE_MATCH && fields[ELEMENT_DATA_ABSENT_REASON].kind == PULL_NONE;
    at->has_waveform |= is_sampled && claim.match != CODE_MATCH;
    if ((!is_number && !(is_sampled && claim.match == CODE_MATCH)) || claim.match == CODE_NEVER_PATIENT)
        return;
    set_sensor(at, &claim, component);
    if (!check_measure(at, fields, component, &refusal) ||
        (component == NOTE_NONE && !fhir_mes_check_glucose(at->fhir, &fields[ELEMENT_META],
                                                           &fields[ELEMENT_EXTENSION], &claim, &refusal)))
        refuse_measure(at, component, &refusal);
    else if (is_sampled)
        decode_samples(at, fields, &claim, component);
    else if (read_value(at, fields, &claim, &refusal))
        admit_claim(at, &claim, component);
    else
        refuse_measure(at, component, &refusal);
}

static void decode_components(struct observation *at, const struct pull_field *components)
{
    struct pull_field fields[ELEMENTS];
    struct pull_unknown unknown;
    struct pull pull;
    size_t mark = at->fhir->doors->scratch.size; /* nothing that a component unescaped outlives it */
    if (!fhir_open_array(at->fhir, components, &pull))
        return;
    for (uint32_t i = 0;
         !at->fhir->is_full && fhir_next_object(&pull, &element_names, fields, &unknown, NULL);
         i++, at->fhir->doors->scratch.size = mark) {
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

/* A period is over at its end, but sampled data begin at its start. */
static bool read_time(struct observation *at, const struct pull_field *fields, struct refusal *ret_refusal)
{
    static const struct pull_name period_list[] = {FHIR_NAME("end"), FHIR_NAME("start")};
    static const struct pull_names period_names = {period_list, 2, '\0'};
    struct pull_field period[2];
    unsigned times = 0;
    for (unsigned i = ELEMENT_EFFECTIVE_DATE_TIME; i <= ELEMENT_EFFECTIVE_TIMING; i++)
        times += fields[i].kind != PULL_NONE;
    if (times > 1)
        return refuse(ret_refusal, VERDICT_MALFORMED, FIELD_TIME, "an Observation has one effective time");
    if (fields[ELEMENT_EFFECTIVE_TIMING].kind != PULL_NONE)
        return refuse(ret_refusal, VERDICT_NOT_SUPPORTED, FIELD_TIME, "effectiveTiming is not served");
    fhir_read(at->fhir, &fields[ELEMENT_EFFECTIVE_PERIOD], &period_names, period);
    const struct pull_field *candidates[] = {&fields[ELEMENT_EFFECTIVE_DATE_TIME],
                                             &fields[ELEMENT_EFFECTIVE_INSTANT], &period[0], &period[1]};
    for (size_t i = 0; at->common.time.data == NULL && i < sizeof candidates / sizeof *candidates; i++)
        at->common.time = text_of(candidates[i]);
    at->start = text_of(&period[1]).data != NULL   ? text_of(&period[1])
                : text_of(&period[0]).data == NULL ? at->common.time
                                                   : (struct slice){NULL, 0};
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
    while (claim->alias.data == NULL && fhir_next_object(&pull, &names, fields, &unknown, NULL))
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
        fhir_mes_refuse(MES_SUBJECT_MISSING, VERDICT_UNKNOWN_PATIENT, FIELD_PATIENT, refusal);
    if (refusal->verdict == VERDICT_ACCEPTED && !fhir->device_is_entry && bundle_has_device(fhir)) {
        fhir_mes_refuse(party.device_named ? MES_DEVICE_NOT_LINKED : MES_DEVICE_UNREFERENCED,
                        VERDICT_UNKNOWN_DEVICE, FIELD_DEVICE, refusal);
    }
}

/* ---- the Observation ---- */

static void set_group(struct observation *at)
{
    struct ticket *ticket = at->fhir->exchange->ticket;
    uint64_t group = 0;
    unsigned admitted = 0;
    for (uint32_t i = at->first; !at->is_series && i < ticket->count; i++)
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
        fhir_mes_refuse(MES_VALUE_MISSING, VERDICT_VALUE_MISSING, FIELD_VALUE, &refusal);
        if (is_void)
            refusal.text = "a void repeats the value that it takes back";
        refuse_measure(at, NOTE_NONE, &refusal);
        return;
    }
    struct note note = {.kind = NOTE_INFORMATION,
                        .entry = at->fhir->entry,
                        .item = NOTE_NONE,
                        .head = NOTE_NONE,
                        .text = "no reading in this Observation: nothing stored"};
    if (at->has_waveform)
        note.text = "a waveform is no reading: nothing stored";
    if (fhir_is_clock(claim.code) && fields[ELEMENT_DATA_ABSENT_REASON].kind != PULL_NONE) {
        note.text = "the device reports a fault of its clock: nothing stored";
        counter_add(at->fhir->loop->counters, COUNTER_DEVICE_CLOCK_FAULTS, 1);
    }
    note_add(at->fhir->exchange, &note);
}

static void decode_elements(struct observation *at, const struct pull_field *fields, struct slice search,
                            const struct pull_unknown *unknown)
{
    const struct status_row *status = find_status(&fields[ELEMENT_STATUS]);
    struct fhir *fhir = at->fhir;
    at->common = (struct claim){.issued_ms = INSTANT_NONE,
                                .status = status->status,
                                .context = fhir_clock_context(fhir, &fields[ELEMENT_DEVICE])};
    open_party(at, fields);
    if (check_whole(fields, unknown, &at->whole) && read_time(at, fields, &at->whole) &&
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
    if (!fhir->is_full)
        fhir_keep_refused(fhir, place, &fields[ELEMENT_COMPONENT], fields[ELEMENT_VALUE_SAMPLED_DATA].text);
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

enum door_step fhir_observation_take(struct fhir *fhir, const struct pull_field *root)
{
    static const struct pull_name list[] = {FHIR_NAME("resourceType")};
    static const struct pull_names names = {list, 1, '\0'};
    struct exchange *exchange = fhir->exchange;
    struct pull_field type;
    char text[MES_TEXT_MAX];
    fhir_read(fhir, root, &names, &type);
    struct slice found = note_cut(text_of(&type), 40);
    if (found.size == 0) {
        fhir_refuse(exchange, 422, "structure", "no resourceType: not a FHIR resource");
        return DOOR_ANSWERED;
    }
    if (!slice_is(found, "Observation")) {
        fhir_mes_not_acceptable(found, (struct slice){"POST", 4}, text);
        fhir_refuse(exchange, 422, "not-supported", text);
        return DOOR_ANSWERED;
    }
    fhir_decode_observation(fhir, root->text, exchange->if_none_exist);
    if (fhir->is_full) {
        fhir_refuse(exchange, 422, verdict_issue(VERDICT_TOO_MANY), "a message has at most 10,000 readings");
        return DOOR_ANSWERED;
    }
    if (admit_chain(fhir->loop, exchange->ticket) > 0)
        return DOOR_SUBMITTED;
    fhir_observation_answer(NULL, exchange);
    return DOOR_ANSWERED;
}

enum door_step fhir_observation_handle(struct loop_context *loop, struct exchange *exchange)
{
    struct fhir fhir = {.loop = loop, .exchange = exchange, .doors = doors_of(loop)};
    struct pull_field root;
    if (!fhir_check_accept(exchange) || !fhir_read_body(&fhir, &root))
        return DOOR_ANSWERED;
    return fhir_observation_take(&fhir, &root);
}
