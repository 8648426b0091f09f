/* fhir_bundle: a batch is a list of requests, a transaction is one decision: its readings are of one patient,
 * so they are one part of one shard, and any entry that is refused refuses them all. Devices and patients are
 * matched. */
#include <stdio.h>
#include <string.h>

#include "daemon/ingest/fhir/fhir_kept.h"
#include "daemon/ingest/fhir/fhir_mes.h"
#include "daemon/ingest/pull/slice.h"
#include "daemon/registry/registry.h"

static const char fhir_type[] = "application/fhir+json";

static struct slice text_of(const struct pull_field *field)
{
    return field->kind == PULL_STRING ? field->text : (struct slice){NULL, 0};
}

/* ---- the entries ---- */

enum { ENTRY_FULL_URL, ENTRY_RESOURCE, ENTRY_REQUEST, ENTRY_COUNT };
static const struct pull_name entry_list[] = {FHIR_NAME("fullUrl"), FHIR_NAME("resource"),
                                              FHIR_NAME("request")};
static const struct pull_names entry_names = {entry_list, ENTRY_COUNT, '\0'};

enum { REQUEST_METHOD, REQUEST_URL, REQUEST_IF_NONE_EXIST, REQUEST_COUNT };
static const struct pull_name request_list[] = {FHIR_NAME("method"), FHIR_NAME("url"),
                                                FHIR_NAME("ifNoneExist")};
static const struct pull_names request_names = {request_list, REQUEST_COUNT, '\0'};

enum { HEAD_TYPE, HEAD_ID, HEAD_COUNT };
static const struct pull_name head_list[] = {FHIR_NAME("resourceType"), FHIR_NAME("id")};
static const struct pull_names head_names = {head_list, HEAD_COUNT, '\0'};

static enum fhir_resource resource_kind(struct slice type)
{
    if (slice_is(type, "Observation"))
        return RESOURCE_OBSERVATION;
    if (slice_is(type, "Device"))
        return RESOURCE_DEVICE;
    return slice_is(type, "Patient") ? RESOURCE_PATIENT : RESOURCE_OTHER;
}

/* The type that a request's URL names: up to '/', '?' or the end. */
static struct slice type_of_url(struct slice url)
{
    size_t size = 0;
    while (size < url.size && url.data[size] != '/' && url.data[size] != '?')
        size++;
    return (struct slice){url.data, size};
}

static void read_entry(struct fhir *fhir, const struct pull_field *fields, struct fhir_entry *entry)
{
    struct pull_field request[REQUEST_COUNT], head[HEAD_COUNT];
    fhir_read(fhir, &fields[ENTRY_REQUEST], &request_names, request);
    fhir_read(fhir, &fields[ENTRY_RESOURCE], &head_names, head);
    *entry = (struct fhir_entry){
        .full_url = text_of(&fields[ENTRY_FULL_URL]),
        .type = text_of(&head[HEAD_TYPE]),
        .id = text_of(&head[HEAD_ID]),
        .method = text_of(&request[REQUEST_METHOD]),
        .url = text_of(&request[REQUEST_URL]),
        .if_none_exist = text_of(&request[REQUEST_IF_NONE_EXIST]),
    };
    if (fields[ENTRY_RESOURCE].kind == PULL_OBJECT)
        entry->resource = fields[ENTRY_RESOURCE].text;
    if (entry->type.data == NULL)
        entry->type = type_of_url(entry->url);
    entry->kind = resource_kind(entry->type);
}

/* False after answering 413. */
static bool read_entries(struct fhir *fhir, const struct pull_field *array)
{
    struct pull_field fields[ENTRY_COUNT];
    struct pull_unknown unknown;
    struct pull pull;
    if (!fhir_open_array(fhir, array, &pull))
        return true;
    while (fhir_next_object(&pull, &entry_names, fields, &unknown, NULL)) {
        if (fhir->entries_count == BUNDLE_ENTRIES_MAX) {
            fhir_refuse(fhir->exchange, 413, "too-long", "a bundle has at most 1,000 entries");
            return false;
        }
        read_entry(fhir, fields, &fhir->doors->entries[fhir->entries_count++]);
    }
    return true;
}

/* ---- one entry ---- */

/* Its words are in what was found: they repeat what was sent. */
static void refuse_request(struct fhir *fhir, const struct fhir_entry *entry)
{
    char text[MES_TEXT_MAX];
    struct refusal refusal;
    struct slice method = entry->method.size > 0 ? entry->method : (struct slice){"none", 4};
    fhir_mes_refuse(MES_NOT_ACCEPTABLE, VERDICT_NOT_SUPPORTED, FIELD_NONE, &refusal);
    refusal.found.size = fhir_mes_not_acceptable(note_cut(entry->type, 24), note_cut(method, 12), text);
    refusal.found.data = text;
    refusal.text = "";
    fhir_refuse_entry(fhir, &refusal);
    size_t count;
    struct note *notes = notes_of(fhir->exchange, &count);
    notes[count - 1].found_is_rest = true;
}

static bool is_acceptable(const struct fhir_entry *entry)
{
    if (!slice_is(entry->method, "POST") || entry->resource.data == NULL ||
        !slice_equal(entry->url, entry->type))
        return false;
    return entry->kind == RESOURCE_OBSERVATION || entry->kind == RESOURCE_DEVICE ||
           (entry->kind == RESOURCE_PATIENT && entry->if_none_exist.size > 0);
}

static void note_information(struct fhir *fhir, const char *text)
{
    struct note note = {
        .kind = NOTE_INFORMATION, .entry = fhir->entry, .item = NOTE_NONE, .head = NOTE_NONE, .text = text};
    note_add(fhir->exchange, &note);
}

/* The location is the name by which the device is known here, enrolled or not: a client waits for one. */
static void decode_device(struct fhir *fhir, const struct fhir_entry *entry, size_t place)
{
    struct refusal refusal;
    struct slice system, value;
    bool is_enrolled;
    size_t count;
    if (entry->if_none_exist.size > 0 && !fhir_read_search(fhir, entry->if_none_exist, &system, &value)) {
        fhir_mes_refuse(MES_DEVICE_SEARCH, VERDICT_MALFORMED, FIELD_NONE, &refusal);
        fhir_refuse_entry(fhir, &refusal);
        return;
    }
    struct slice name = fhir_match_device(fhir, entry, &is_enrolled);
    note_set_found(&notes_of(fhir->exchange, &count)[place], name);
    if (!is_enrolled)
        note_information(fhir, "this device is not enrolled, and never is by a message");
}

enum { SEVERAL_PATIENTS = -1 };

static void decode_patient(struct fhir *fhir, const struct fhir_entry *entry)
{
    struct admit_party party = {.refusal = {.verdict = VERDICT_ACCEPTED}};
    fhir_match_patient(fhir, entry, &party);
    if (party.refusal.verdict == VERDICT_ACCEPTED && party.patient == NULL)
        party.refusal = (struct refusal){.verdict = VERDICT_UNKNOWN_PATIENT};
    if (party.refusal.verdict != VERDICT_ACCEPTED) {
        fhir_refuse_entry(fhir, &party.refusal);
        return;
    }
    int64_t patient_id = party.patient->patient_id;
    bool is_another = fhir->patient_id != 0 && fhir->patient_id != patient_id;
    fhir->patient_id = is_another ? SEVERAL_PATIENTS : patient_id;
    note_information(fhir, "matched with an enrolled patient");
}

static void decode_other(struct fhir *fhir, const struct fhir_entry *entry)
{
    uint32_t head = fhir->exchange->ticket->count;
    size_t place, count;
    struct note note = {
        .kind = NOTE_ENTRY, .entry = fhir->entry, .item = (uint32_t)entry->kind, .head = head};
    notes_of(fhir->exchange, &place);
    note_add(fhir->exchange, &note);
    if (!is_acceptable(entry))
        refuse_request(fhir, entry);
    else if (entry->kind == RESOURCE_DEVICE)
        decode_device(fhir, entry, place);
    else
        decode_patient(fhir, entry);
    notes_of(fhir->exchange, &count)[place].count = fhir->exchange->ticket->count - head;
}

static void decode_entries(struct fhir *fhir)
{
    fhir_find_clock_faults(fhir);
    size_t mark = fhir->doors->scratch.size; /* nothing that an entry unescaped outlives it */
    for (uint32_t i = 0; i < fhir->entries_count && !fhir->is_full; i++) {
        const struct fhir_entry *entry = &fhir->doors->entries[i];
        fhir->doors->scratch.size = mark;
        fhir->entry = i;
        if (entry->kind == RESOURCE_OBSERVATION && is_acceptable(entry))
            fhir_decode_observation(fhir, entry->resource, entry->if_none_exist);
        else
            decode_other(fhir, entry);
    }
}

/* ---- a transaction is one decision ---- */

/* Why the first entry that is refused is; VERDICT_ACCEPTED when none is. */
static enum verdict find_refusal(struct exchange *exchange)
{
    size_t count;
    const struct note *notes = notes_of(exchange, &count);
    for (size_t i = 0; i < count; i++) {
        if (notes[i].kind != NOTE_ENTRY)
            continue;
        struct fhir_summary summary = fhir_summarize(exchange->ticket, &notes[i]);
        if (summary.first == NOTE_NONE && summary.refused > 0)
            return summary.refusal;
    }
    return VERDICT_ACCEPTED;
}

/* All its readings fall with one: none is sent, each is counted as refused, and the sender is told. */
static void refuse_all(struct exchange *exchange, enum verdict verdict)
{
    ticket_reject_nothing(exchange->ticket);
    for (uint32_t i = 0; i < exchange->ticket->count; i++)
        exchange->ticket->heads[i].verdict = (uint8_t)verdict;
}

/* Of its Patient entries and its readings together: an Observation of somebody else than the Patient beside
 * it is a mix-up, whatever its subject says. */
static bool concerns_one_patient(const struct fhir *fhir)
{
    const struct ticket *ticket = fhir->exchange->ticket;
    int64_t patient_id = fhir->patient_id;
    if (patient_id == SEVERAL_PATIENTS)
        return false;
    for (uint32_t i = 0; i < ticket->count; i++) {
        if (ticket->heads[i].verdict != VERDICT_ACCEPTED)
            continue;
        if (patient_id != 0 && ticket->heads[i].patient_id != patient_id)
            return false;
        patient_id = ticket->heads[i].patient_id;
    }
    return true;
}

static void refuse_bundle(struct exchange *exchange, enum mes_condition condition)
{
    const struct mes_row *row = fhir_mes(condition);
    fhir_refuse(exchange, row->http, row->issue, row->text);
}

/* False after answering. */
static bool check_transaction(struct fhir *fhir)
{
    struct exchange *exchange = fhir->exchange;
    enum verdict refusal = find_refusal(exchange);
    bool has_observation = false;
    for (uint32_t i = 0; i < fhir->entries_count; i++)
        has_observation |= fhir->doors->entries[i].kind == RESOURCE_OBSERVATION;
    if (refusal != VERDICT_ACCEPTED) {
        refuse_all(exchange, refusal);
        return true; /* the answer tells them all */
    }
    if (!has_observation) {
        refuse_bundle(exchange, MES_NO_OBSERVATION);
        return false;
    }
    if (!concerns_one_patient(fhir)) {
        refuse_all(exchange, VERDICT_PATIENT_MISMATCH);
        fhir_refuse(exchange, 422, "business-rule", "a transaction concerns one patient: send a batch");
        return false;
    }
    return true;
}

enum { BUNDLE_RESOURCE_TYPE, BUNDLE_TYPE, BUNDLE_ENTRY, BUNDLE_COUNT };

static bool read_bundle(struct fhir *fhir, const struct pull_field *root, enum fhir_form *ret_form)
{
    static const struct pull_name list[] = {FHIR_NAME("resourceType"), FHIR_NAME("type"), FHIR_NAME("entry")};
    static const struct pull_names names = {list, BUNDLE_COUNT, '\0'};
    struct pull_field fields[BUNDLE_COUNT];
    fhir_read(fhir, root, &names, fields);
    if (!slice_is(text_of(&fields[BUNDLE_RESOURCE_TYPE]), "Bundle")) {
        refuse_bundle(fhir->exchange, MES_NO_BUNDLE);
        return false;
    }
    bool is_transaction = slice_is(text_of(&fields[BUNDLE_TYPE]), "transaction");
    if (!is_transaction && !slice_is(text_of(&fields[BUNDLE_TYPE]), "batch")) {
        fhir_refuse(fhir->exchange, 422, "not-supported", "a bundle has type transaction or batch");
        return false;
    }
    if (!read_entries(fhir, &fields[BUNDLE_ENTRY]))
        return false;
    if (fhir->entries_count == 0) {
        fhir_refuse(fhir->exchange, 422, "invalid", "the bundle has no entry");
        return false;
    }
    *ret_form = is_transaction ? FORM_TRANSACTION : FORM_BATCH;
    return true;
}

static enum door_step bundle_take(struct fhir *fhir, const struct pull_field *root)
{
    struct exchange *exchange = fhir->exchange;
    enum fhir_form form;
    if (!read_bundle(fhir, root, &form))
        return DOOR_ANSWERED;
    note_add(exchange, &(struct note){.kind = NOTE_FORM, .item = (uint32_t)form, .head = NOTE_NONE});
    decode_entries(fhir);
    if (fhir->is_full) {
        refuse_all(exchange, VERDICT_TOO_MANY);
        fhir_refuse(exchange, 422, verdict_issue(VERDICT_TOO_MANY), "a message has at most 10,000 readings");
        return DOOR_ANSWERED;
    }
    if (form == FORM_TRANSACTION && !check_transaction(fhir))
        return DOOR_ANSWERED;
    if (admit_chain(fhir->loop, exchange->ticket) > 0)
        return DOOR_SUBMITTED;
    fhir_bundle_answer(NULL, exchange);
    return DOOR_ANSWERED;
}

enum door_step fhir_bundle_handle(struct loop_context *loop, struct exchange *exchange)
{
    struct fhir fhir = {.loop = loop, .exchange = exchange, .doors = doors_of(loop)};
    struct pull_field root;
    if (!fhir_check_accept(exchange) || !fhir_read_body(&fhir, &root))
        return DOOR_ANSWERED;
    return bundle_take(&fhir, &root);
}

static enum door_step resource_handle(struct loop_context *loop, struct exchange *exchange)
{
    static const struct pull_name list[] = {FHIR_NAME("resourceType")};
    static const struct pull_names names = {list, 1, '\0'};
    struct fhir fhir = {.loop = loop, .exchange = exchange, .doors = doors_of(loop)};
    struct pull_field root, type;
    if (!fhir_read_body(&fhir, &root))
        return DOOR_ANSWERED;
    fhir_read(&fhir, &root, &names, &type);
    return slice_is(text_of(&type), "Bundle") ? bundle_take(&fhir, &root)
                                              : fhir_observation_take(&fhir, &root);
}

static void resource_answer(struct loop_context *loop, struct exchange *exchange)
{
    size_t count;
    const struct note *notes = notes_of(exchange, &count);
    ensure(count > 0);
    (notes[0].kind == NOTE_FORM ? fhir_bundle_answer : fhir_observation_answer)(loop, exchange);
}

const struct door fhir_resource_door = {"fhir",     METHOD_POST,     "POST",          false,
                                        fhir_takes, resource_handle, resource_answer, fhir_error};

/* ---- the answer ---- */

static const char *status_line(int status)
{
    switch (status) {
    case 200:
        return "200 OK";
    case 201:
        return "201 Created";
    case 403:
        return "403 Forbidden";
    case 412:
        return "412 Precondition Failed";
    default:
        return "422 Unprocessable Entity";
    }
}

/* Percent-encodes what a URI does not have as it is; gives `out`. */
static const char *uri_of(const char *text, size_t size, char out[3 * NOTE_FOUND_MAX + 1])
{
    static const char hex[] = "0123456789ABCDEF",
                      plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:|";
    size_t at = 0;
    for (size_t i = 0; i < size; i++) {
        uint8_t c = (uint8_t)text[i];
        if (memchr(plain, c, sizeof plain - 1) != NULL) {
            out[at++] = (char)c;
            continue;
        }
        out[at++] = '%';
        out[at++] = hex[c >> 4];
        out[at++] = hex[c & 15];
    }
    out[at] = '\0';
    return out;
}

static void render_place(struct exchange *exchange, const struct note *entry,
                         const struct fhir_summary *summary)
{
    char text[3 * NOTE_FOUND_MAX + 16], name[3 * NOTE_FOUND_MAX + 1], id[UUID_TEXT + 1];
    struct buffer *out = &exchange->out;
    if (fhir_status(summary) == 412)
        return;
    if (summary->first != NOTE_NONE) {
        const struct reading *reading = &exchange->ticket->heads[summary->first];
        uuid_format(reading->reading_id, id);
        snprintf(text, sizeof text, "Observation/%s", id);
        render_key(out, "location");
        render_text(out, text);
        snprintf(text, sizeof text, "W/\"%u\"", reading->revision + 1u);
        render_key(out, "etag");
        render_text(out, text);
        if (fhir_modified(reading) != INSTANT_NONE) {
            char modified[INSTANT_TEXT_MAX];
            instant_format(fhir_modified(reading), modified);
            render_key(out, "lastModified");
            render_text(out, modified);
        }
    } else if (entry->item == RESOURCE_DEVICE && entry->found_size > 0) {
        int size = snprintf(text, sizeof text, "Device/%s", uri_of(entry->found, entry->found_size, name));
        render_key(out, "location");
        render_string(out, text, (size_t)size);
    }
}

/* A transaction has stored its other entries by now: an identifier that several carry is one that exists. */
static void render_entry(struct exchange *exchange, const struct note *notes, size_t count, size_t entry,
                         bool is_transaction)
{
    struct fhir_summary summary = fhir_summarize(exchange->ticket, &notes[entry]);
    struct buffer *out = &exchange->out;
    bool has_notes = entry + 1 < count && notes[entry + 1].kind >= NOTE_REFUSED;
    bool is_plain =
        (summary.stored > 0 && summary.duplicate == 0 && summary.quarantined == 0 && summary.refused == 0) ||
        (notes[entry].found_size > 0 && !has_notes);
    summary.several_match &= !is_transaction;
    render_open(out, '{');
    render_key(out, "response");
    render_open(out, '{');
    render_key(out, "status");
    render_text(out, status_line(fhir_status(&summary)));
    render_place(exchange, &notes[entry], &summary);
    if (!is_plain) {
        render_key(out, "outcome");
        fhir_render_outcome(exchange, notes, count, entry);
    }
    render_close(out, '}');
    render_close(out, '}');
}

void fhir_bundle_answer(struct loop_context *loop, struct exchange *exchange)
{
    (void)loop;
    size_t count;
    const struct note *notes = notes_of(exchange, &count);
    struct buffer *out = &exchange->out;
    ensure(count > 0 && notes[0].kind == NOTE_FORM);
    bool is_transaction = notes[0].item == FORM_TRANSACTION;
    enum verdict refusal = is_transaction ? find_refusal(exchange) : VERDICT_ACCEPTED;
    exchange->out_type = fhir_type;
    exchange->status = refusal == VERDICT_ACCEPTED ? 200 : verdict_http(refusal);
    if (refusal != VERDICT_ACCEPTED) {
        fhir_render_refusals(exchange, notes, count, refusal);
        return;
    }
    render_open(out, '{');
    render_key(out, "resourceType");
    render_text(out, "Bundle");
    render_key(out, "type");
    render_text(out, is_transaction ? "transaction-response" : "batch-response");
    render_key(out, "entry");
    render_open(out, '[');
    for (size_t i = 0; i < count; i++)
        if (notes[i].kind == NOTE_ENTRY)
            render_entry(exchange, notes, count, i, is_transaction);
    render_close(out, ']');
    render_close(out, '}');
}
