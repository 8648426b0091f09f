/* fhir_element: elements of a resource, read from raw text when they are asked for; codes and search texts.
 */
#include <string.h>

#include "daemon/ingest/fhir/fhir.h"
#include "daemon/ingest/pull/slice.h"

bool fhir_read(struct fhir *fhir, const struct pull_field *field, const struct pull_names *names,
               struct pull_field *fields)
{
    struct pull pull;
    struct slice ignored;
    memset(fields, 0, names->count * sizeof *fields);
    if (field->kind != PULL_OBJECT)
        return false;
    pull_open_raw(&pull, field->text, &fhir->doors->scratch);
    pull_value(&pull, &ignored);
    bool is_read = pull_find_fields(&pull, names, fields);
    ensure(is_read); /* the text was checked, and the scratch has room for every level once: doors.h */
    return true;
}

bool fhir_open_array(struct fhir *fhir, const struct pull_field *field, struct pull *ret_pull)
{
    struct slice ignored;
    if (field->kind != PULL_ARRAY)
        return false;
    pull_open_raw(ret_pull, field->text, &fhir->doors->scratch);
    return pull_value(ret_pull, &ignored) == PULL_ARRAY;
}

bool fhir_next_object(struct pull *pull, const struct pull_names *names, struct pull_field *fields,
                      struct pull_unknown *ret_unknown, struct slice *ret_raw)
{
    struct slice ignored;
    if (!pull_next_item(pull)) {
        ensure(pull->error == NULL);
        return false;
    }
    memset(fields, 0, names->count * sizeof *fields);
    *ret_unknown = (struct pull_unknown){.count = 0};
    bool is_object = pull_peek(pull) == PULL_OBJECT; /* which stands at the value itself */
    size_t start = pull->at;
    if (is_object) {
        pull_value(pull, &ignored);
        pull_read_fields(pull, names, fields, ret_unknown);
    } else {
        pull_skip(pull);
    }
    ensure(pull->error == NULL);
    if (ret_raw != NULL)
        *ret_raw = (struct slice){pull->text + start, pull->at - start};
    return true;
}

struct slice fhir_join(struct fhir *fhir, struct slice a, const char *between, struct slice b)
{
    struct pull_scratch *scratch = &fhir->doors->scratch;
    size_t middle = strlen(between), size = a.size + middle + b.size;
    ensure(scratch->capacity - scratch->size >= size);
    char *out = scratch->data + scratch->size;
    if (a.size > 0)
        memcpy(out, a.data, a.size);
    memcpy(out + a.size, between, middle);
    if (b.size > 0)
        memcpy(out + a.size + middle, b.data, b.size);
    scratch->size += size;
    return (struct slice){out, size};
}

static int hex_value(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)((at - digits) & 15) : -1;
}

static struct slice percent_decode(struct fhir *fhir, struct slice text)
{
    struct slice copy = fhir_join(fhir, text, "", (struct slice){NULL, 0});
    char *out = fhir->doors->scratch.data + fhir->doors->scratch.size - copy.size;
    size_t size = 0;
    for (size_t i = 0; i < copy.size; i++) {
        int high = copy.data[i] == '%' && i + 2 < copy.size ? hex_value(copy.data[i + 1]) : -1;
        int low = high >= 0 ? hex_value(copy.data[i + 2]) : -1;
        if (low >= 0 && (high | low) != 0) {
            out[size++] = (char)(high << 4 | low);
            i += 2;
        } else {
            out[size++] = copy.data[i];
        }
    }
    return (struct slice){copy.data, size};
}

bool fhir_read_search(struct fhir *fhir, struct slice search, struct slice *ret_system,
                      struct slice *ret_value)
{
    static const char key[] = "identifier=";
    const char *query = search.size > 0 ? memchr(search.data, '?', search.size) : NULL;
    if (query != NULL) /* "Observation?identifier=..." */
        search = (struct slice){query + 1, search.size - (size_t)(query + 1 - search.data)};
    if (search.size <= sizeof key - 1 || memcmp(search.data, key, sizeof key - 1) != 0 ||
        memchr(search.data, '&', search.size) != NULL)
        return false;
    struct slice text =
        percent_decode(fhir, (struct slice){search.data + sizeof key - 1, search.size - sizeof key + 1});
    const char *bar = text.size > 0 ? memchr(text.data, '|', text.size) : NULL;
    *ret_system =
        bar != NULL ? (struct slice){text.data, (size_t)(bar - text.data)} : (struct slice){NULL, 0};
    *ret_value = bar != NULL ? (struct slice){bar + 1, text.size - (size_t)(bar + 1 - text.data)} : text;
    return ret_value->size > 0;
}

/* ---- codes ---- */

static const struct code_system_row {
    const char *url;
    enum code_system system;
    const char *prefix; /* in front of the code as it is kept */
} code_systems[] = {
    {"urn:iso:std:iso:11073:10101", CODE_MDC, "mdc:"},
    {"urn:oid:2.16.840.1.113883.6.24", CODE_MDC, "mdc:"},
    {"http://loinc.org", CODE_LOINC, ""},
    {"https://mos.esante.gouv.fr/NOS/TRE_A04-Loinc/FHIR/TRE-A04-Loinc", CODE_LOINC, ""},
    {"urn:oid:2.16.840.1.113883.6.1", CODE_LOINC, ""},
    {"https://mos.esante.gouv.fr/NOS/TRE_R308-TAASIP/FHIR/TRE-R308-TAASIP", CODE_TAASIP, "taasip:"},
    {"urn:oid:1.2.250.1.213.1.1.4.322", CODE_TAASIP, "taasip:"},
    {"http://snomed.info/sct", CODE_SNOMED, "sct:"},
    {"urn:oid:2.16.840.1.113883.6.96", CODE_SNOMED, "sct:"},
    {"http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl", CODE_NCIT, "ncit:"},
    {"https://mos.esante.gouv.fr/NOS/TRE_R307-NCIT/FHIR/TRE-R307-NCIT", CODE_NCIT, "ncit:"},
    {"urn:oid:2.16.840.1.113883.3.26.1.1", CODE_NCIT, "ncit:"},
    {"urn:vigie:parameter", CODE_NAME, ""},
};

/* Rows stand in order of preference: a lower row is better. */
static size_t find_system(struct slice url)
{
    size_t i = 0;
    while (i < sizeof code_systems / sizeof *code_systems && !slice_is(url, code_systems[i].url))
        i++;
    return i;
}

void fhir_read_code(struct fhir *fhir, const struct pull_field *field, struct claim *claim)
{
    static const struct pull_name concept_list[] = {FHIR_NAME("coding")};
    static const struct pull_name coding_list[] = {FHIR_NAME("system"), FHIR_NAME("code")};
    static const struct pull_names concept_names = {concept_list, 1, '\0'},
                                   coding_names = {coding_list, 2, '\0'};
    const size_t systems = sizeof code_systems / sizeof *code_systems;
    struct pull_field concept, coding[2];
    struct pull_unknown unknown;
    struct pull pull;
    size_t best = systems;
    claim->match = CODE_UNKNOWN;
    claim->code = (struct slice){NULL, 0};
    if (!fhir_read(fhir, field, &concept_names, &concept) || !fhir_open_array(fhir, &concept, &pull))
        return;
    while (fhir_next_object(&pull, &coding_names, coding, &unknown, NULL)) {
        if (coding[1].kind != PULL_STRING)
            continue;
        size_t row = coding[0].kind == PULL_STRING ? find_system(coding[0].text) : systems;
        enum parameter parameter = PARAMETER_COUNT;
        enum code_match match = CODE_UNKNOWN;
        if (row < systems)
            match = parameter_by_code(code_systems[row].system, coding[1].text.data, coding[1].text.size,
                                      &parameter);
        bool better = match == CODE_NEVER_PATIENT || (match == CODE_MATCH && row < best);
        if (claim->match != CODE_NEVER_PATIENT && (better || claim->code.data == NULL)) {
            const char *prefix = row < systems ? code_systems[row].prefix : "";
            claim->code = *prefix == '\0'
                              ? coding[1].text
                              : fhir_join(fhir, (struct slice){prefix, strlen(prefix)}, "", coding[1].text);
            if (better) {
                claim->match = match;
                claim->parameter = parameter;
                best = row;
            }
        }
    }
}
