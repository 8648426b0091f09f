/* hl7: the door. MSH says whether the message may be read at all; then one pass over its segments: PID whom
 * it speaks of, OBR what belongs together, OBX the rows. hl7_obx.c and hl7_alarm.c make claims of them. */
#include "daemon/ingest/hl7/hl7.h"

#include <string.h>

#include "daemon/ingest/admit_identity.h"
#include "daemon/ingest/hl7/hl7_message.h"
#include "daemon/ingest/pull/slice.h"
#include "daemon/model/ins.h"

enum { PIDS_MAX = 1000, IDENTIFIERS_MAX = 32 }; /* each costs a hash; nobody has as many names */

/* ---- refusals ---- */

static void reject(struct hl7 *hl7, enum verdict verdict, const char *text, struct slice original)
{
    if (text == NULL)
        text = verdict_text(verdict);
    struct rejection rejection = {.source_id = hl7->exchange->source->source_id,
                                  .code = verdict_code(verdict),
                                  .text = {text, strlen(text)},
                                  .original = original};
    bool is_kept = ticket_reject(hl7->exchange->ticket, &rejection);
    ensure(is_kept); /* each of them a part of one message, once */
}

void hl7_note_refused(struct hl7 *hl7, struct note place, const struct refusal *refusal)
{
    place.head = hl7->exchange->ticket->count - 1;
    note_add_refusal(hl7->exchange, place, refusal);
    if (hl7->part.data != NULL)
        reject(hl7, refusal->verdict, refusal->text, hl7->part);
}

void hl7_refuse_part(struct hl7 *hl7, struct note place, const struct refusal *refusal)
{
    struct admit admit = {
        .loop = hl7->loop, .ticket = hl7->exchange->ticket, .source = hl7->exchange->source};
    if (admit_refused(&admit, refusal->verdict) == NULL)
        hl7->overflow = "a message has at most 10,000 readings";
    else
        hl7_note_refused(hl7, place, refusal);
}

void hl7_skip_row(struct hl7 *hl7)
{
    counter_add(hl7->loop->counters, COUNTER_HL7_ROWS_SKIPPED, 1);
}

/* More than one message may have: all of it is refused, in one line. */
static void refuse_overflow(struct hl7 *hl7)
{
    struct exchange *exchange = hl7->exchange;
    struct refusal refusal = {.verdict = VERDICT_TOO_MANY, .text = hl7->overflow};
    for (uint32_t i = 0; i < exchange->ticket->count; i++)
        exchange->ticket->heads[i].verdict = VERDICT_TOO_MANY;
    buffer_clear(&exchange->state);
    ticket_reject_nothing(exchange->ticket);
    hl7->part = (struct slice){NULL, 0};
    if (exchange->ticket->count == 0)
        hl7_refuse_part(hl7, hl7_place(HL7_OBX, hl7->at[HL7_OBX], 0), &refusal);
    else
        hl7_note_refused(hl7, hl7_place(HL7_OBX, hl7->at[HL7_OBX], 0), &refusal);
}

/* ---- MSH ---- */

struct header_check {
    bool (*holds)(struct hl7 *hl7, struct slice field);
    unsigned field;
    enum verdict verdict;
    const char *issue; /* error code of table 0357 where it is not the verdict's */
    const char *text;
};

static struct slice component(const struct hl7 *hl7, struct slice field, unsigned index)
{
    return hl7_part(field, hl7->text.component, index);
}

static bool is_oru(struct hl7 *hl7, struct slice field)
{
    return slice_is(component(hl7, field, 1), "ORU");
}

static bool is_known_event(struct hl7 *hl7, struct slice field)
{
    hl7->is_alarm = slice_is(component(hl7, field, 2), "R40");
    return hl7->is_alarm || slice_is(component(hl7, field, 2), "R01");
}

static bool is_known_version(struct hl7 *hl7, struct slice field)
{
    static const char *const versions[] = {"2.3", "2.3.1", "2.4", "2.5",   "2.5.1", "2.6",
                                           "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2"};
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
        if (slice_is(component(hl7, field, 1), versions[i]))
            return true;
    return false;
}

static bool is_wanted_processing(struct hl7 *hl7, struct slice field)
{
    struct slice id = component(hl7, field, 1);
    hl7->is_test = slice_is(id, "D") || slice_is(id, "T");
    return slice_is(id, "P") || (hl7->is_test && hl7->loop->config->node_mode == MODE_TEST);
}

static bool is_known_charset(struct hl7 *hl7, struct slice field)
{
    hl7->text.charset = hl7_charset_of(hl7_part(field, hl7->text.repetition, 1));
    return hl7->text.charset != HL7_CHARSET_UNKNOWN;
}

static bool is_there(struct hl7 *hl7, struct slice field)
{
    (void)hl7;
    return field.data != NULL;
}

static const struct header_check checks[] = {
    {is_oru, MSH_TYPE, VERDICT_NOT_SUPPORTED, "200", "this listener takes ORU messages"},
    {is_known_event, MSH_TYPE, VERDICT_NOT_SUPPORTED, "201", "of ORU messages R01 and R40 are taken"},
    {is_known_version, MSH_VERSION, VERDICT_NOT_SUPPORTED, "203", "versions 2.3 to 2.8 are taken"},
    {is_wanted_processing, MSH_PROCESSING_ID, VERDICT_NOT_SUPPORTED, "202",
     "production data have the processing id P; test and training data are for an installation in mode=test"},
    {is_known_charset, MSH_CHARSET, VERDICT_NOT_SUPPORTED, "103",
     "character sets taken: ASCII (when empty), UNICODE UTF-8 and 8859/1"},
    {is_there, MSH_CONTROL_ID, VERDICT_MALFORMED, "101", "a message has a control id"},
};

static bool check_header(struct hl7 *hl7)
{
    static const struct refusal no_header = {.verdict = VERDICT_MALFORMED,
                                             .text = "not an HL7 v2 message: it begins with MSH and its "
                                                     "separators",
                                             .issue = "100"};
    struct exchange *exchange = hl7->exchange;
    struct slice segment;
    hl7->at[HL7_MSH] = 1;
    if (!hl7_open((struct slice){exchange->body, exchange->body_size}, &hl7->text) ||
        !hl7_next(&hl7->text, &segment)) {
        hl7_refuse_part(hl7, hl7_place(HL7_MSH, 1, 0), &no_header);
        return false;
    }
    hl7_split(&hl7->text, segment, hl7->msh, MSH_FIELDS);
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        const struct header_check *check = &checks[i];
        if (check->holds(hl7, hl7->msh[check->field]))
            continue;
        struct refusal refusal = {.verdict = check->verdict,
                                  .text = check->text,
                                  .issue = check->issue,
                                  .found = hl7->msh[check->field]};
        hl7_refuse_part(hl7, hl7_place(HL7_MSH, 1, check->field), &refusal);
        return false;
    }
    return true;
}

/* ---- PID ---- */

/* CX: the system is "urn:oid:" and CX-4.2 when CX-4.3 says ISO, else CX-4.1, else empty (INTERFACES.md). */
static bool read_identifier(struct hl7 *hl7, struct slice cx, struct slice *ret_system,
                            struct slice *ret_value)
{
    static const char urn[] = "urn:oid:";
    const struct hl7_text *text = &hl7->text;
    struct slice authority = hl7_part(cx, text->component, 4);
    struct slice oid = hl7_part(authority, text->subcomponent, 2);
    bool is_iso = oid.data != NULL && slice_is(hl7_part(authority, text->subcomponent, 3), "ISO");
    struct slice piece = is_iso ? oid : hl7_part(authority, text->subcomponent, 1);
    *ret_system = (struct slice){NULL, 0};
    if (piece.data != NULL && !hl7_plain(text, piece, hl7->scratch, ret_system))
        return false;
    if (is_iso) {
        char *joined = pull_scratch_take(hl7->scratch, sizeof urn - 1 + ret_system->size);
        if (joined == NULL)
            return false;
        memcpy(joined, urn, sizeof urn - 1);
        memcpy(joined + sizeof urn - 1, ret_system->data, ret_system->size);
        *ret_system = (struct slice){joined, sizeof urn - 1 + ret_system->size};
    }
    return hl7_plain(text, hl7_part(cx, text->component, 1), hl7->scratch, ret_value);
}

static bool says_validated(const struct hl7 *hl7, struct slice reliability)
{
    struct slice code;
    if (reliability.data == NULL)
        return true;
    while (hl7_next_part(&reliability, hl7->text.repetition, &code))
        if (slice_is(code, "VALI"))
            return true;
    return false;
}

static void refuse_patient(struct hl7 *hl7, const char *text)
{
    if (hl7->patient.refusal.verdict == VERDICT_ACCEPTED)
        hl7->patient.refusal =
            (struct refusal){.verdict = VERDICT_MALFORMED, .field = FIELD_PATIENT, .text = text};
}

static void open_patient(struct hl7 *hl7, struct slice segment)
{
    struct slice fields[PID_FIELDS], cx, system, value;
    hl7_split(&hl7->text, segment, fields, PID_FIELDS);
    struct slice list = fields[PID_IDENTIFIERS];
    bool is_validated = says_validated(hl7, fields[PID_RELIABILITY]);
    hl7->patient = (struct admit_party){.refusal = {.verdict = VERDICT_ACCEPTED}};
    hl7->admit_is_open = false;
    for (unsigned i = 0; hl7_next_part(&list, hl7->text.repetition, &cx); i++) {
        if (hl7_part(cx, hl7->text.component, 1).data == NULL)
            continue;
        if (i == IDENTIFIERS_MAX) {
            refuse_patient(hl7, "PID-3 has at most 32 identifiers");
            return;
        }
        if (!read_identifier(hl7, cx, &system, &value))
            refuse_patient(hl7, "PID-3 is no text of the character set in MSH-18");
        else if (is_validated || ins_kind_of(system) == INS_NONE)
            admit_identify(hl7->loop, hl7->exchange->source, system, value, &hl7->patient);
        else
            hl7->patient.patient_named = true; /* by what nobody has checked: it names nobody here */
    }
}

/* ---- the message ---- */

static void take_obx(struct hl7 *hl7, struct slice segment)
{
    struct hl7_obx obx = {.at = hl7->at[HL7_OBX]};
    hl7_split(&hl7->text, segment, obx.fields, OBX_FIELDS);
    obx.path = obx.fields[OBX_PATH];
    while (obx.path.size > 2 && memcmp(obx.path.data + obx.path.size - 2, ".0", 2) == 0)
        obx.path.size -= 2;
    (hl7->is_alarm ? hl7_take_attribute : hl7_take_reading)(hl7, &obx);
}

/* The alarm of the order before, if there is one. */
static void close_order(struct hl7 *hl7)
{
    if (hl7->is_alarm && hl7->order_is_open)
        hl7_close_alarm(hl7);
    hl7->order_is_open = false;
}

static void open_order(struct hl7 *hl7, struct slice segment)
{
    hl7_open_order(hl7, segment);
    hl7_open_alarm(hl7);
    hl7->order_is_open = true;
    hl7->admit_is_open = false;
}

/* What is kept if it is refused: a row, or all of an alarm. */
static void set_part(struct hl7 *hl7, enum hl7_segment kind, struct slice segment)
{
    if (hl7->is_alarm && kind == HL7_OBX && hl7->part.data != NULL)
        hl7->part.size = (size_t)(segment.data + segment.size - hl7->part.data);
    else
        hl7->part = segment;
}

static void take_segment(struct hl7 *hl7, struct slice segment)
{
    enum hl7_segment kind = hl7_segment_of(segment);
    if (kind == HL7_OTHER)
        return;
    if (kind != HL7_OBX)
        close_order(hl7);
    hl7->at[kind]++;
    set_part(hl7, kind, segment);
    if (kind == HL7_PID && hl7->at[HL7_PID] > PIDS_MAX) {
        hl7->overflow = "a message has at most 1,000 patients";
    } else if (kind == HL7_PID) {
        open_patient(hl7, segment);
        hl7->order = (struct hl7_order){.rows_count = 0};
    } else if (kind == HL7_OBR) {
        open_order(hl7, segment);
    } else if (kind == HL7_OBX && hl7->at[HL7_OBX] > HL7_ROWS_MAX) {
        hl7->overflow = "a message has at most 10,000 OBX rows";
    } else if (kind == HL7_OBX) {
        take_obx(hl7, segment);
    }
}

static void take_message(struct hl7 *hl7)
{
    static const struct refusal no_order = {
        .verdict = VERDICT_NOT_SUPPORTED, .text = "an alarm as IHE PCD-04 has it has an OBR", .issue = "201"};
    struct slice segment;
    while (hl7->overflow == NULL && hl7_next(&hl7->text, &segment))
        take_segment(hl7, segment);
    if (hl7->overflow != NULL)
        return;
    close_order(hl7);
    if (hl7->is_alarm && hl7->at[HL7_OBR] == 0)
        hl7_refuse_part(hl7, hl7_place(HL7_OBR, 1, 0), &no_order);
}

/* ---- what the sender is not told ---- */

/* A refused row beside good ones stays kept aside; a message that is refused is told so, and then nothing of
 * it is kept, unless its sender wants no answer. */
static void conclude_rejected(struct hl7 *hl7)
{
    struct exchange *exchange = hl7->exchange;
    const struct ticket *ticket = exchange->ticket;
    size_t count;
    const struct note *notes = notes_of(exchange, &count);
    for (uint32_t i = 0; i < ticket->count; i++)
        if (ticket->heads[i].verdict == VERDICT_ACCEPTED)
            return;
    ticket_reject_nothing(exchange->ticket);
    if (ticket->count > 0 && hl7_ack_wanted(hl7->msh, true) == '\0')
        reject(hl7, notes[0].verdict, notes[0].text, (struct slice){exchange->body, exchange->body_size});
}

static enum door_step handle(struct loop_context *loop, struct exchange *exchange)
{
    struct hl7 hl7 = {.loop = loop, .exchange = exchange, .scratch = &doors_of(loop)->scratch};
    ensure(exchange->ticket != NULL && exchange->ticket->count == 0 && exchange->state.size == 0);
    if (check_header(&hl7))
        take_message(&hl7);
    if (hl7.overflow != NULL)
        refuse_overflow(&hl7);
    conclude_rejected(&hl7);
    if (admit_chain(loop, exchange->ticket) > 0)
        return DOOR_SUBMITTED;
    hl7_answer(loop, exchange);
    return DOOR_ANSWERED;
}

const struct door hl7_door = {.methods = METHOD_POST, .handle = handle, .answer = hl7_answer};
