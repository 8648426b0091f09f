/* hl7_code: which parameter and which unit a coded element names: (identifier, text, coding system), and the
 * same again as an alternate. In the nomenclature MDC the text is the reference identifier
 * ("MDC_PULS_OXIM_SAT_O2"), which says the same as the number and must: some monitors send a wrong number
 * beside it, and a number that nobody knows is decided by the name. */
#include <string.h>

#include "daemon/ingest/hl7/hl7_message.h"
#include "daemon/ingest/pull/slice.h"

enum { TRIPLES = 2, PARTS = 3 * TRIPLES };

struct coded {
    struct slice id, name, system;
};

static const struct code_system_row {
    const char *name;
    enum code_system system;
    const char *prefix; /* in front of the code as it is kept */
} code_systems[] = {
    {"MDC", CODE_MDC, "mdc:"},    {"LN", CODE_LOINC, ""},      {"LOINC", CODE_LOINC, ""},
    {"SCT", CODE_SNOMED, "sct:"}, {"NCI", CODE_NCIT, "ncit:"},
};

static void read_coded(const struct hl7 *hl7, struct slice field, struct coded triples[TRIPLES])
{
    struct slice parts[PARTS] = {{NULL, 0}}, part;
    for (unsigned i = 0; i < PARTS && hl7_next_part(&field, hl7->text.component, &part); i++)
        parts[i] = part;
    for (unsigned i = 0; i < TRIPLES; i++)
        triples[i] = (struct coded){parts[3 * i], parts[3 * i + 1], parts[3 * i + 2]};
}

/* ---- codes ---- */

static enum code_match find_code(enum code_system system, struct slice text, enum parameter *ret)
{
    return text.data != NULL ? parameter_by_code(system, text.data, text.size, ret) : CODE_UNKNOWN;
}

static enum code_match judge_code(const struct code_system_row *row, const struct coded *coded,
                                  enum parameter *ret, bool *ret_by_name, bool *ret_disagrees)
{
    enum parameter other = PARAMETER_COUNT;
    enum code_match match = find_code(row->system, coded->id, ret);
    enum code_match named =
        row->system == CODE_MDC ? find_code(CODE_REFID, coded->name, &other) : CODE_UNKNOWN;
    *ret_by_name = match == CODE_UNKNOWN && named != CODE_UNKNOWN;
    *ret_disagrees = match != CODE_UNKNOWN && named != CODE_UNKNOWN &&
                     (match != named || (match == CODE_MATCH && *ret != other));
    if (*ret_by_name)
        *ret = other;
    return *ret_by_name ? named : match;
}

/* What is unknown and too long for the buffer is named by its number alone. */
static void set_text(struct claim *claim, struct hl7_code *code, const char *prefix, struct slice id)
{
    size_t prefix_size = strlen(prefix);
    claim->code = id;
    if (prefix_size == 0 || id.data == NULL || prefix_size + id.size > sizeof code->text)
        return;
    memcpy(code->text, prefix, prefix_size);
    memcpy(code->text + prefix_size, id.data, id.size);
    claim->code = (struct slice){code->text, prefix_size + id.size};
}

bool hl7_read_code(const struct hl7 *hl7, struct slice field, struct claim *claim, struct hl7_code *ret,
                   struct refusal *ret_refusal)
{
    struct coded triples[TRIPLES];
    bool by_name, disagrees;
    read_coded(hl7, field, triples);
    claim->match = CODE_UNKNOWN;
    claim->code = triples[0].id;
    ret->by_name = false;
    for (size_t i = 0; i < sizeof code_systems / sizeof *code_systems; i++)
        for (unsigned t = 0; t < TRIPLES; t++) {
            const struct code_system_row *row = &code_systems[i];
            if (!slice_is(triples[t].system, row->name))
                continue;
            enum code_match match = judge_code(row, &triples[t], &claim->parameter, &by_name, &disagrees);
            if (disagrees) {
                *ret_refusal = (struct refusal){
                    .verdict = VERDICT_UNKNOWN_CODE,
                    .field = FIELD_CODE,
                    .text = "the code and its reference identifier name two different things",
                    .found = field};
                return false;
            }
            if (match == CODE_UNKNOWN)
                continue;
            set_text(claim, ret, row->prefix, by_name ? triples[t].name : triples[t].id);
            claim->match = match;
            ret->by_name = by_name;
            return true;
        }
    return true;
}

/* ---- units ---- */

static bool is_same(const struct decimal_conversion *a, const struct decimal_conversion *b)
{
    return a->multiply == b->multiply && a->add == b->add && a->divide == b->divide;
}

/* The number against its name; what both leave open is admission's to refuse. */
static bool read_mdc_unit(const struct coded *coded, struct claim *claim, bool *ret_by_name,
                          struct refusal *ret_refusal)
{
    const struct decimal_conversion *by_code = NULL, *by_name = NULL;
    enum err code = ERR_NOT_FOUND, name = ERR_NOT_FOUND;
    if (coded->id.data != NULL)
        code = parameter_unit(claim->parameter, UNIT_MDC, coded->id.data, coded->id.size, &by_code);
    if (coded->name.data != NULL)
        name = parameter_unit(claim->parameter, UNIT_REFID, coded->name.data, coded->name.size, &by_name);
    if (name != ERR_NOT_FOUND && code != ERR_NOT_FOUND &&
        (name != code || (code == OK && !is_same(by_code, by_name)))) {
        *ret_refusal = (struct refusal){.verdict = VERDICT_UNIT_MISMATCH,
                                        .field = FIELD_UNIT,
                                        .text = "the unit and its reference identifier disagree",
                                        .found = coded->name};
        return false;
    }
    *ret_by_name = code == ERR_NOT_FOUND && name != ERR_NOT_FOUND;
    claim->unit = *ret_by_name ? coded->name : coded->id;
    claim->unit_system = *ret_by_name ? UNIT_REFID : UNIT_MDC;
    return true;
}

bool hl7_read_unit(const struct hl7 *hl7, struct slice field, struct claim *claim, bool *ret_by_name,
                   struct refusal *ret_refusal)
{
    struct coded triples[TRIPLES];
    read_coded(hl7, field, triples);
    *ret_by_name = false;
    claim->unit = (struct slice){NULL, 0};
    for (unsigned t = 0; t < TRIPLES; t++) {
        const struct coded *coded = &triples[t];
        if (coded->id.data == NULL && coded->name.data == NULL)
            continue;
        if (slice_is(coded->system, "MDC"))
            return read_mdc_unit(coded, claim, ret_by_name, ret_refusal);
        if (coded->system.data == NULL || slice_is(coded->system, "UCUM")) {
            claim->unit = coded->id;
            claim->unit_system = UNIT_UCUM;
            return true;
        }
    }
    if (triples[0].id.data == NULL && triples[1].id.data == NULL)
        return true; /* unit-missing */
    *ret_refusal = (struct refusal){.verdict = VERDICT_UNIT_UNKNOWN,
                                    .field = FIELD_UNIT,
                                    .text = "units are of UCUM or of MDC",
                                    .found = triples[0].system};
    return false;
}
