/* fhir_mes: canonical URLs have changed with the generations of the guide ("MesObservationGlucose",
 * "mesures-observation-glucose", "ENS_ObservationGlucose"): they are compared in small letters alone. */
#include "daemon/ingest/fhir/fhir_mes.h"

#include <string.h>

static const struct mes_row rows[] = {
#define ENFORCED                         true
#define TOLERATED                        false
#define MES(id, http, issue, what, text) {http, issue, text, what},
#include "daemon/ingest/fhir/fhir_mes.def"
#undef MES
#undef ENFORCED
#undef TOLERATED
};

const struct mes_row *fhir_mes(enum mes_condition condition)
{
    ensure(condition < MES_CONDITIONS);
    return &rows[condition];
}

bool fhir_mes_refuse(enum mes_condition condition, enum verdict verdict, enum claim_field field,
                     struct refusal *ret_refusal)
{
    const struct mes_row *row = fhir_mes(condition);
    ensure(row->is_enforced && verdict_http(verdict) == row->http);
    *ret_refusal =
        (struct refusal){.verdict = verdict, .field = field, .text = row->text, .issue = row->issue};
    return false;
}

size_t fhir_mes_not_acceptable(struct slice type, struct slice method, char out[MES_TEXT_MAX])
{
    const struct slice blanks[] = {note_cut(type, 40), note_cut(method, 40)};
    const char *rest = rows[MES_NOT_ACCEPTABLE].text, *blank;
    size_t size = 0;
    for (size_t i = 0; (blank = strstr(rest, "<>")) != NULL; i++, rest = blank + 2) {
        ensure(i < sizeof blanks / sizeof *blanks);
        memcpy(out + size, rest, (size_t)(blank - rest));
        size += (size_t)(blank - rest);
        if (blanks[i].size > 0)
            memcpy(out + size, blanks[i].data, blanks[i].size);
        size += blanks[i].size;
    }
    ensure(size + strlen(rest) < MES_TEXT_MAX);
    memcpy(out + size, rest, strlen(rest) + 1);
    return size + strlen(rest);
}

enum { LETTERS_MAX = 200 };

/* Small letters, digits, '.' and '/' of a URL. */
static size_t letters_of(struct slice url, char out[LETTERS_MAX])
{
    size_t size = 0;
    for (size_t i = 0; i < url.size && size < LETTERS_MAX; i++) {
        char c = url.data[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '/')
            out[size++] = c;
    }
    return size;
}

static bool has(const char *letters, size_t size, const char *part)
{
    return memmem(letters, size, part, strlen(part)) != NULL;
}

static bool is_mes_glucose(struct fhir *fhir, const struct pull_field *meta)
{
    static const struct pull_name list[] = {FHIR_NAME("profile")};
    static const struct pull_names names = {list, 1, '\0'};
    struct pull_field profiles;
    struct slice url;
    struct pull pull;
    char letters[LETTERS_MAX];
    if (!fhir_read(fhir, meta, &names, &profiles) || !fhir_open_array(fhir, &profiles, &pull))
        return false;
    while (pull_next_item(&pull)) {
        size_t size = pull_take(&pull, &url) == PULL_STRING ? letters_of(url, letters) : 0;
        if (has(letters, size, "esante.gouv.fr/") && has(letters, size, "observationglucose"))
            return true;
    }
    return false;
}

static bool has_extension(struct fhir *fhir, const struct pull_field *extension, const char *name)
{
    static const struct pull_name list[] = {FHIR_NAME("url")};
    static const struct pull_names names = {list, 1, '\0'};
    struct pull_unknown unknown;
    struct pull_field url;
    struct pull pull;
    char letters[LETTERS_MAX];
    if (!fhir_open_array(fhir, extension, &pull))
        return false;
    while (fhir_next_object(&pull, &names, &url, &unknown, NULL))
        if (url.kind == PULL_STRING && has(letters, letters_of(url.text, letters), name))
            return true;
    return false;
}

bool fhir_mes_check_glucose(struct fhir *fhir, const struct pull_field *meta,
                            const struct pull_field *extension, const struct claim *claim,
                            struct refusal *ret_refusal)
{
    bool is_blood = claim->parameter == PARAMETER_GLUCOSE_BLOOD;
    bool is_period = claim->parameter == PARAMETER_GLUCOSE_INTERSTITIAL || claim->parameter == PARAMETER_GMI;
    if (claim->match != CODE_MATCH || (!is_blood && !is_period) || !is_mes_glucose(fhir, meta))
        return true;
    if (is_blood && !has_extension(fhir, extension, "momentofmeasurement"))
        return fhir_mes_refuse(MES_MOMENT_MISSING, VERDICT_VALUE_MISSING, FIELD_NONE, ret_refusal);
    if (is_period && !has_extension(fhir, extension, "numberofdays"))
        return fhir_mes_refuse(MES_DAYS_MISSING, VERDICT_VALUE_MISSING, FIELD_NONE, ret_refusal);
    return true;
}
