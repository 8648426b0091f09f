/* hl7_obx: one OBX row of ORU^R01: is it a result at all, of what, how much; then it is a claim like any
 * other. hl7.h says which rows claim nothing. */
#include <string.h>

#include "daemon/ingest/hl7/hl7_message.h"
#include "daemon/ingest/pull/slice.h"

enum row_means { MEANS_RESULT, MEANS_AMENDS, MEANS_NOTHING };

/* Table 0085. */
static const struct status_row {
    char letter;
    enum row_means means;
    enum reading_status status;
} statuses[] = {
    {'F', MEANS_RESULT, STATUS_FINAL},       {'U', MEANS_RESULT, STATUS_FINAL},
    {'R', MEANS_RESULT, STATUS_PRELIMINARY}, {'P', MEANS_RESULT, STATUS_PRELIMINARY},
    {'S', MEANS_RESULT, STATUS_PRELIMINARY}, {'C', MEANS_AMENDS, STATUS_CORRECTED},
    {'D', MEANS_AMENDS, STATUS_VOID},        {'W', MEANS_AMENDS, STATUS_VOID},
    {'X', MEANS_NOTHING, STATUS_FINAL},      {'I', MEANS_NOTHING, STATUS_FINAL},
    {'O', MEANS_NOTHING, STATUS_FINAL},      {'N', MEANS_NOTHING, STATUS_FINAL},
};

/* What OBX-8 may say beside "high" and "low" (IHE PCD TF-2, table B.8). */
enum row_flag { ROW_NO_VALUE = 1, ROW_TEST = 2, ROW_BELOW = 4, ROW_ABOVE = 8 };
static const struct flag_row {
    const char *text;
    enum row_flag flag;
} flags[] = {
    {"INV", ROW_NO_VALUE}, {"NAV", ROW_NO_VALUE}, {"CAL", ROW_NO_VALUE}, {"CALIB", ROW_NO_VALUE},
    {"TEST", ROW_TEST},    {"DEMO", ROW_TEST},    {"<", ROW_BELOW},      {">", ROW_ABOVE},
};

/* Not a number, not at this resolution, infinities of ISO/IEEE 11073-20601, as numbers. */
static const char *const specials[] = {"8388607", "-8388608", "8388606", "-8388606", "-8388607"};

struct obx_claim {
    struct hl7 *hl7;
    struct hl7_obx *obx;
    const struct status_row *status; /* NULL: none that we know */
    unsigned flags;                  /* enum row_flag */
    struct claim claim;
    struct hl7_code code;
    bool unit_by_name;
    char number[HL7_NUMBER_MAX], alias[TAIL_BYTES_MAX];
    struct refusal refusal; /* the first; VERDICT_ACCEPTED: none so far */
};

static bool refuse(struct obx_claim *row, enum verdict verdict, enum claim_field field, const char *text)
{
    row->refusal = (struct refusal){.verdict = verdict, .field = field, .text = text};
    return false;
}

static const struct status_row *find_status(struct slice field)
{
    if (field.data == NULL)
        return &statuses[0];
    for (size_t i = 0; field.size == 1 && i < sizeof statuses / sizeof *statuses; i++)
        if ((*field.data & ~0x20) == statuses[i].letter)
            return &statuses[i];
    return NULL;
}

static unsigned find_flags(const struct hl7 *hl7, struct slice field)
{
    unsigned found = 0;
    struct slice repetition;
    while (hl7_next_part(&field, hl7->text.repetition, &repetition)) {
        struct slice flag = hl7_part(repetition, hl7->text.component, 1);
        for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
            if (slice_is(flag, flags[i].text))
                found |= flags[i].flag;
    }
    return found;
}

/* ---- what is no claim ---- */

static bool is_special(const struct claim *claim)
{
    int64_t value;
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++)
        if (slice_is(claim->value, specials[i]))
            return true;
    return (claim->parameter == PARAMETER_BODY_WEIGHT || claim->parameter == PARAMETER_BODY_HEIGHT) &&
           claim->status != STATUS_VOID &&
           decimal_parse(claim->value.data, claim->value.size, NULL, &value) == OK && value == 0;
}

/* Before its value is looked at. */
static bool claims_nothing(const struct obx_claim *row)
{
    const struct hl7 *hl7 = row->hl7;
    struct slice type = row->obx->fields[OBX_TYPE];
    bool amends = row->status != NULL && row->status->means == MEANS_AMENDS;
    bool is_number = slice_is(type, "NM") || slice_is(type, "SN");
    if (row->claim.match == CODE_NEVER_PATIENT ||
        (row->status != NULL && row->status->means == MEANS_NOTHING))
        return true;
    if ((row->flags & ROW_TEST) != 0 && hl7->loop->config->node_mode != MODE_TEST)
        return true;
    if (row->claim.match != CODE_MATCH && row->refusal.verdict == VERDICT_ACCEPTED && !is_number)
        return true;
    bool has_value = row->obx->fields[OBX_VALUE].data != NULL && (row->flags & ROW_NO_VALUE) == 0;
    return !has_value && !(amends && row->claim.match == CODE_MATCH);
}

/* ---- the claim ---- */

static bool read_sensor(struct obx_claim *row)
{
    struct slice path = row->obx->fields[OBX_PATH];
    if (path.data != NULL && !hl7_plain(&row->hl7->text, path, row->hl7->scratch, &row->claim.sensor))
        return refuse(row, VERDICT_MALFORMED, FIELD_NONE, "OBX-4 is no text of the character set in MSH-18");
    return true;
}

static bool put_alias(struct obx_claim *row, struct slice piece, const char *between)
{
    struct slice plain;
    size_t size = row->claim.alias.size, more = strlen(between);
    if (!hl7_plain(&row->hl7->text, piece, row->hl7->scratch, &plain) ||
        size + more + plain.size > sizeof row->alias)
        return refuse(row, VERDICT_MALFORMED, FIELD_NONE, "OBX-21 is no text, or too long");
    memcpy(row->alias + size, between, more);
    memcpy(row->alias + size + more, plain.data, plain.size);
    row->claim.alias = (struct slice){row->alias, size + more + plain.size};
    return true;
}

/* OBX-21 names the measurement: "namespace|identifier", the universal one before the local one. */
static bool read_alias(struct obx_claim *row)
{
    const struct hl7_text *text = &row->hl7->text;
    struct slice field = row->obx->fields[OBX_INSTANCE], id = hl7_part(field, text->component, 1),
                 space = hl7_part(field, text->component, 3);
    if (space.data == NULL)
        space = hl7_part(field, text->component, 2);
    if (id.data == NULL)
        return space.data == NULL || put_alias(row, space, "");
    if (space.data == NULL)
        return put_alias(row, id, "");
    return put_alias(row, space, "") && put_alias(row, id, "|");
}

static bool read_status(struct obx_claim *row)
{
    struct refusal refusal;
    if (row->status == NULL) {
        refuse(row, VERDICT_STATUS_UNSUPPORTED, FIELD_STATUS, "OBX-11 is not of HL7 table 0085");
        row->refusal.found = row->obx->fields[OBX_STATUS];
        return false;
    }
    row->claim.status = row->status->status;
    if (row->status->means != MEANS_AMENDS || hl7_version_time(row->hl7, &row->claim.issued_ms, &refusal) ||
        row->claim.status == STATUS_VOID)
        return true;
    row->refusal = refusal;
    return false;
}

static bool read_value(struct obx_claim *row)
{
    if (row->obx->fields[OBX_VALUE].data == NULL)
        return refuse(row, VERDICT_VALUE_MISSING, FIELD_VALUE, "what corrects or takes back a value has one");
    if (!hl7_read_value(row->hl7, row->obx, row->number, &row->claim, &row->refusal))
        return false;
    if (row->claim.comparator == COMPARATOR_NONE && (row->flags & (ROW_BELOW | ROW_ABOVE)) != 0)
        row->claim.comparator = (row->flags & ROW_BELOW) != 0 ? COMPARATOR_LESS : COMPARATOR_GREATER;
    return row->claim.match != CODE_MATCH || hl7_read_unit(row->hl7, row->obx->fields[OBX_UNIT], &row->claim,
                                                           &row->unit_by_name, &row->refusal);
}

static bool read_claim(struct obx_claim *row)
{
    return read_status(row) && read_sensor(row) && read_alias(row) &&
           hl7_find_time(row->hl7, row->obx, &row->claim.time, &row->refusal);
}

/* ---- what becomes of it ---- */

static unsigned field_of(enum claim_field field)
{
    switch (field) {
    case FIELD_DEVICE:
        return OBX_DEVICE;
    case FIELD_CODE:
        return OBX_CODE;
    case FIELD_VALUE:
        return OBX_VALUE;
    case FIELD_UNIT:
        return OBX_UNIT;
    case FIELD_TIME:
        return OBX_TIME;
    case FIELD_STATUS:
        return OBX_STATUS;
    default:
        return 0;
    }
}

static void note_refused(struct obx_claim *row, const struct refusal *refusal)
{
    struct hl7 *hl7 = row->hl7;
    struct note place = hl7_place(HL7_OBX, row->obx->at, field_of(refusal->field));
    if (refusal->field == FIELD_PATIENT && hl7->admit.refusal.verdict != VERDICT_ACCEPTED)
        place = hl7_place(HL7_PID, hl7->at[HL7_PID], PID_IDENTIFIERS);
    if (refusal->field == FIELD_ISSUED)
        place = hl7_place(HL7_MSH, 1, MSH_TIME);
    hl7_note_refused(hl7, place, refusal);
}

static void note_by_name(struct obx_claim *row, unsigned field, const char *text)
{
    struct note note = hl7_place(HL7_OBX, row->obx->at, field);
    note.kind = NOTE_INFORMATION;
    note.head = row->hl7->exchange->ticket->count - 1;
    note.text = text;
    note_add(row->hl7->exchange, &note);
}

static char *put_member(char *at, bool first, const char *key, const char *word)
{
    const char *const pieces[] = {first ? "{\"" : ",\"", key, "\":\"", word, "\""};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        at = stpcpy(at, pieces[i]);
    return at;
}

/* What was inferred is told with the reading. */
static bool put_context(struct obx_claim *row, struct reading *reading)
{
    const struct {
        const char *key, *word;
    } members[] = {{"time_offset", row->obx->time_offset},
                   {"code", row->code.by_name ? "by-reference-identifier" : NULL},
                   {"unit", row->unit_by_name ? "by-reference-identifier" : NULL}};
    char json[160], *at = json;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (members[i].word != NULL)
            at = put_member(at, at == json, members[i].key, members[i].word);
    if (at == json)
        return true;
    *at++ = '}';
    return ticket_tail_put(row->hl7->exchange->ticket, reading, TAIL_CONTEXT, json, (size_t)(at - json));
}

static void conclude(struct obx_claim *row, struct reading *reading)
{
    struct hl7 *hl7 = row->hl7;
    if (!put_context(row, reading)) {
        refuse(row, VERDICT_MALFORMED, FIELD_NONE, "what is kept of the row exceeds 512 bytes");
        reading->verdict = (uint8_t)row->refusal.verdict;
        note_refused(row, &row->refusal);
        return;
    }
    if (hl7->is_test || (row->flags & ROW_TEST) != 0)
        reading->flags |= FLAG_TEST;
    if (row->code.by_name)
        note_by_name(row, OBX_CODE, "the code is not known: decided by its reference identifier, and stored");
    if (row->unit_by_name)
        note_by_name(row, OBX_UNIT, "the unit is not known: decided by its reference identifier, and stored");
    hl7_join_group(hl7, row->obx, hl7->exchange->ticket->count - 1);
}

static void submit(struct obx_claim *row)
{
    struct hl7 *hl7 = row->hl7;
    hl7_open_party(hl7, row->obx);
    bool is_ours = row->refusal.verdict != VERDICT_ACCEPTED && hl7->admit.refusal.verdict == VERDICT_ACCEPTED;
    struct refusal refusal = row->refusal;
    struct reading *reading = is_ours ? admit_refused(&hl7->admit, refusal.verdict)
                                      : admit_reading(&hl7->admit, &row->claim, &refusal);
    if (reading == NULL)
        hl7->overflow = "a message has at most 10,000 readings";
    else if (refusal.verdict != VERDICT_ACCEPTED)
        note_refused(row, &refusal);
    else
        conclude(row, reading);
}

void hl7_take_reading(struct hl7 *hl7, struct hl7_obx *obx)
{
    struct obx_claim row = {.hl7 = hl7,
                            .obx = obx,
                            .status = find_status(obx->fields[OBX_STATUS]),
                            .flags = find_flags(hl7, obx->fields[OBX_FLAGS]),
                            .claim = {.issued_ms = INSTANT_NONE, .status = STATUS_FINAL},
                            .refusal = {.verdict = VERDICT_ACCEPTED}};
    if (obx->fields[OBX_TYPE].data == NULL && obx->fields[OBX_VALUE].data == NULL) {
        hl7_add_row(hl7, obx);
        return;
    }
    bool is_read = hl7_read_code(hl7, obx->fields[OBX_CODE], &row.claim, &row.code, &row.refusal);
    if (claims_nothing(&row)) {
        hl7_skip_row(hl7);
        return;
    }
    is_read = is_read && read_claim(&row) && read_value(&row);
    if (is_read && is_special(&row.claim)) {
        hl7_skip_row(hl7);
        return;
    }
    submit(&row);
}
