/* fhir_outcome: OperationOutcome in every form: errors of the network side, refusals, warnings, information.
 * An issue names the element by FHIRPath and, in `details`, the code that /v1/readings would have answered.
 */
#include <stdio.h>
#include <string.h>

#include "daemon/ingest/fhir/fhir.h"
#include "daemon/ingest/readings/readings.h"

static const char fhir_type[] = "application/fhir+json";

enum { EXPRESSION_MAX = 128, DIAGNOSTICS_MAX = 512 };

/* ---- issues ---- */

static void render_diagnostics(struct buffer *out, const struct note *note)
{
    const char *text = note->text != NULL ? note->text : verdict_text(note->verdict);
    const char *between = note->found_size == 0 || note->found_is_rest ? "" : "; found ";
    char said[DIAGNOSTICS_MAX];
    int size = snprintf(said, sizeof said, "%.300s%s%.*s", text, between, (int)note->found_size, note->found);
    render_key(out, "diagnostics");
    render_string(out, said, (size_t)size);
}

void fhir_render_issue(struct buffer *out, const char *severity, const char *code, const struct note *note,
                       const char *expression)
{
    render_open(out, '{');
    render_key(out, "severity");
    render_text(out, severity);
    render_key(out, "code");
    render_text(out, code);
    if (note->kind == NOTE_REFUSED && note->verdict >= VERDICT_MALFORMED) {
        render_key(out, "details");
        render_open(out, '{');
        render_key(out, "text");
        render_text(out, verdict_code(note->verdict));
        render_close(out, '}');
    }
    render_diagnostics(out, note);
    if (expression[0] != '\0') {
        render_key(out, "expression");
        render_open(out, '[');
        render_text(out, expression);
        render_close(out, ']');
    }
    render_close(out, '}');
}

static void open_outcome(struct buffer *out)
{
    render_open(out, '{');
    render_key(out, "resourceType");
    render_text(out, "OperationOutcome");
    render_key(out, "issue");
    render_open(out, '[');
}

static void close_outcome(struct buffer *out)
{
    render_close(out, ']');
    render_close(out, '}');
}

/* FHIRPath of what the note is about; `is_bundle`: below an entry. */
static void express(const struct note *note, bool is_bundle, char out[EXPRESSION_MAX])
{
    static const char *const fields[] = {
        [FIELD_NONE] = "",
        [FIELD_PATIENT] = ".subject",
        [FIELD_DEVICE] = ".device",
        [FIELD_CODE] = ".code",
        [FIELD_VALUE] = ".valueQuantity",
        [FIELD_UNIT] = ".valueQuantity",
        [FIELD_TIME] = ".effective",
        [FIELD_STATUS] = ".status",
        [FIELD_ISSUED] = ".issued",
        [FIELD_SAMPLES] = ".valueSampledData",
    };
    bool of_component =
        note->item != NOTE_NONE &&
        (note->field == FIELD_CODE || note->field == FIELD_VALUE || note->field == FIELD_UNIT ||
         note->field == FIELD_SAMPLES || note->field == FIELD_NONE);
    char component[32] = "", root[48] = "Observation";
    if (of_component)
        snprintf(component, sizeof component, ".component[%u]", note->item);
    if (is_bundle && note->entry == NOTE_NONE)
        snprintf(root, sizeof root, "Bundle");
    else if (is_bundle)
        snprintf(root, sizeof root, "Bundle.entry[%u].resource", note->entry);
    snprintf(out, EXPRESSION_MAX, "%s%s%s", root, component, fields[note->field]);
}

static const char *issue_of(const struct note *note)
{
    return note->issue != NULL ? note->issue : verdict_issue(note->verdict);
}

/* ---- what became of the readings of one entry ---- */

struct fhir_summary fhir_summarize(const struct ticket *ticket, const struct note *entry)
{
    struct fhir_summary summary = {.first = NOTE_NONE, .refusal = VERDICT_ACCEPTED};
    for (uint32_t i = entry->head; i < entry->head + entry->count; i++) {
        enum verdict verdict = (enum verdict)ticket->heads[i].verdict;
        summary.stored += verdict == VERDICT_ACCEPTED || verdict == VERDICT_QUARANTINED;
        summary.quarantined += verdict == VERDICT_QUARANTINED;
        summary.duplicate += verdict == VERDICT_DUPLICATE;
        summary.refused += verdict >= VERDICT_MALFORMED;
        summary.several_match |=
            verdict == VERDICT_DUPLICATE && (ticket->heads[i].flags & FLAG_SEVERAL_MATCH) != 0;
        if (verdict < VERDICT_MALFORMED && summary.first == NOTE_NONE)
            summary.first = i;
        if (verdict >= VERDICT_MALFORMED && summary.refusal == VERDICT_ACCEPTED)
            summary.refusal = verdict;
    }
    return summary;
}

/* A duplicate was stored before, at a time that is not looked up. */
int64_t fhir_modified(const struct reading *reading)
{
    bool is_new = reading->verdict == VERDICT_ACCEPTED || reading->verdict == VERDICT_QUARANTINED;
    return is_new ? reading->received_at_ms : INSTANT_NONE;
}

int fhir_status(const struct fhir_summary *summary)
{
    if (summary->stored > 0)
        return 201;
    if (summary->several_match)
        return 412;
    if (summary->duplicate > 0 || summary->refused == 0)
        return 200;
    return verdict_http(summary->refusal);
}

static void render_own(struct buffer *out, const char *severity, const char *code, const char *text)
{
    const struct note note = {.kind = NOTE_INFORMATION, .text = text};
    fhir_render_issue(out, severity, code, &note, "");
}

/* The same words about the same element of one entry are said once. */
static bool is_repeated(const struct note *note, const struct note *before)
{
    bool shared = note->field == FIELD_PATIENT || note->field == FIELD_DEVICE || note->field == FIELD_TIME ||
                  note->field == FIELD_STATUS || note->field == FIELD_ISSUED;
    return shared && before->kind == note->kind && before->verdict == note->verdict &&
           before->field == note->field;
}

static void render_notes(struct exchange *exchange, const struct note *notes, size_t count, size_t first,
                         bool is_error)
{
    bool is_bundle = notes[0].kind == NOTE_FORM;
    char expression[EXPRESSION_MAX];
    for (size_t i = first; i < count && notes[i].kind >= NOTE_REFUSED; i++) {
        if (i > first && is_repeated(&notes[i], &notes[i - 1]))
            continue;
        express(&notes[i], is_bundle, expression);
        if (notes[i].kind == NOTE_INFORMATION)
            fhir_render_issue(&exchange->out, "information", "informational", &notes[i], expression);
        else
            fhir_render_issue(&exchange->out, is_error ? "error" : "warning", issue_of(&notes[i]), &notes[i],
                              expression);
    }
}

static bool is_transaction(const struct note *notes)
{
    return notes[0].kind == NOTE_FORM && notes[0].item == FORM_TRANSACTION;
}

/* The outcome of the entry whose NOTE_ENTRY stands at `entry`. */
void fhir_render_outcome(struct exchange *exchange, const struct note *notes, size_t count, size_t entry)
{
    struct fhir_summary summary = fhir_summarize(exchange->ticket, &notes[entry]);
    bool is_error = summary.first == NOTE_NONE && summary.refused > 0;
    bool has_notes = entry + 1 < count && notes[entry + 1].kind >= NOTE_REFUSED;
    open_outcome(&exchange->out);
    if (summary.quarantined > 0)
        render_own(&exchange->out, "warning", verdict_issue(VERDICT_QUARANTINED),
                   verdict_text(VERDICT_QUARANTINED));
    if (summary.stored > summary.quarantined)
        render_own(&exchange->out, "information", verdict_issue(VERDICT_ACCEPTED), "stored");
    if (summary.several_match)
        render_own(&exchange->out,
                   fhir_status(&summary) == 412 && !is_transaction(notes) ? "error" : "warning",
                   "multiple-matches", "several readings carry the identifier of If-None-Exist");
    else if (summary.duplicate > 0)
        render_own(&exchange->out, "information", verdict_issue(VERDICT_DUPLICATE),
                   verdict_text(VERDICT_DUPLICATE));
    render_notes(exchange, notes, count, entry + 1, is_error);
    if (is_error && !has_notes) /* a shard's refusal */
        render_own(&exchange->out, "error", verdict_issue(summary.refusal), verdict_text(summary.refusal));
    if (summary.first == NOTE_NONE && summary.refused == 0 && !has_notes)
        render_own(&exchange->out, "information", "informational", "nothing to store");
    close_outcome(&exchange->out);
}

void fhir_render_refusals(struct exchange *exchange, const struct note *notes, size_t count,
                          enum verdict refusal)
{
    bool any = false;
    open_outcome(&exchange->out);
    for (size_t i = 0; i < count; i++) {
        bool begins = notes[i].kind == NOTE_ENTRY && i + 1 < count && notes[i + 1].kind == NOTE_REFUSED;
        if (begins)
            render_notes(exchange, notes, count, i + 1, true);
        any |= begins;
    }
    if (!any)
        render_own(&exchange->out, "error", verdict_issue(refusal), verdict_text(refusal));
    close_outcome(&exchange->out);
}

/* ---- errors ---- */

static const struct error_row {
    const char *code, *issue;
} error_rows[] = {
    {"bad-request", "structure"},
    {"unauthenticated", "login"},
    {"forbidden", "forbidden"},
    {"not-found", "not-found"},
    {"method", "not-supported"},
    {"length", "required"},
    {"too-large", "too-long"},
    {"media-type", "not-supported"},
    {"too-many-requests", "throttled"},
    {"overloaded", "transient"},
    {NULL, "processing"},
};

void fhir_refuse(struct exchange *exchange, int status, const char *issue, const char *text)
{
    buffer_clear(&exchange->out);
    exchange->status = status;
    exchange->out_type = fhir_type;
    open_outcome(&exchange->out);
    render_own(&exchange->out, "error", issue, text);
    close_outcome(&exchange->out);
}

void fhir_error(struct exchange *exchange, int status, const char *code, const char *text)
{
    const struct error_row *row = error_rows;
    while (row->code != NULL && strcmp(row->code, code) != 0)
        row++;
    fhir_refuse(exchange, status, row->issue, text);
}

bool fhir_takes(struct slice content_type)
{
    return content_type_is(content_type, "application/fhir+json") ||
           content_type_is(content_type, "application/json");
}

bool fhir_check_accept(struct exchange *exchange)
{
    struct slice accept = exchange->accept;
    static const char *const taken[] = {"json", "*/*", "application/*"};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (accept.size == 0 || memmem(accept.data, accept.size, taken[i], strlen(taken[i])) != NULL)
            return true;
    fhir_refuse(exchange, 406, "not-supported", "answers are application/fhir+json");
    return false;
}

/* ---- the answer to one Observation ---- */

void fhir_observation_answer(struct loop_context *loop, struct exchange *exchange)
{
    (void)loop;
    size_t count, entry = 0;
    const struct note *notes = notes_of(exchange, &count);
    while (entry < count && notes[entry].kind != NOTE_ENTRY)
        entry++;
    ensure(entry < count);
    struct fhir_summary summary = fhir_summarize(exchange->ticket, &notes[entry]);
    exchange->status = fhir_status(&summary);
    exchange->out_type = fhir_type;
    if (summary.first != NOTE_NONE && exchange->status != 412) {
        const struct reading *reading = &exchange->ticket->heads[summary.first];
        char id[UUID_TEXT + 1];
        exchange->last_modified_ms = fhir_modified(reading);
        uuid_format(reading->reading_id, id);
        snprintf(exchange->location, sizeof exchange->location, "Observation/%s", id);
        snprintf(exchange->etag, sizeof exchange->etag, "W/\"%u\"", reading->revision + 1u);
    }
    fhir_render_outcome(exchange, notes, count, entry);
}
