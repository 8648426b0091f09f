/* What only the whole file can show: a patient's line has a silence rule (RULES.md section 4: enrolment
 * without one is refused), a token or certificate names one source, a device speaks in its own organisation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/registry/import_private.h"

/* ---- lines of care ---- */

enum line_state { LINE_UNKNOWN, LINE_WITHOUT_SILENCE, LINE_GOOD };

static enum line_state line_state(const struct rows *rows, const char *line)
{
    enum line_state state = LINE_UNKNOWN;
    for (struct row *row = rows_first(rows, ROW_RULE); row != NULL && state != LINE_GOOD; row = row->next) {
        const struct row_rule *rule = (const struct row_rule *)row;
        if (strcmp(rule->layer, "line") != 0 || strcmp(rule->scope, line) != 0)
            continue;
        state = import_rule_is_silence(rule) ? LINE_GOOD : LINE_WITHOUT_SILENCE;
    }
    return state;
}

static enum err check_line(struct import *import, const struct row_patient *patient)
{
    switch (line_state(import->rows, patient->line)) {
    case LINE_UNKNOWN:
        return import_refuse(import, "line", patient->line, "a line that a preset or a rule names",
                             "load its preset (vigiectl db migrate) or import its rules first");
    case LINE_WITHOUT_SILENCE:
        return import_refuse(import, "line", patient->line, "a line with a rule of kind silence",
                             "nobody is followed on a line that would not notice that transmissions stop");
    default:
        return OK;
    }
}

static enum err check_lines(struct import *import)
{
    const char *good = ""; /* most files enrol on one line */
    for (uint32_t i = 0; i < import->changes->count; i++) {
        const struct row_change *change = &import->changes->items[i];
        const struct row_patient *patient = (const struct row_patient *)change->after;
        if (change->after == NULL || change->after->table != ROW_PATIENT || strcmp(patient->line, good) == 0)
            continue;
        import->line = change->line;
        enum err error = check_line(import, patient);
        if (error != OK)
            return error;
        good = patient->line;
    }
    return OK;
}

/* ---- sources ---- */

static int compare_tokens(const void *a, const void *b)
{
    const struct row_source *const *x = a, *const *y = b;
    return strcmp((*x)->token_sha256, (*y)->token_sha256);
}

static int compare_certificates(const void *a, const void *b)
{
    const struct row_source *const *x = a, *const *y = b;
    return strcmp((*x)->certificate_cn, (*y)->certificate_cn);
}

static enum err refuse_shared(struct import *import, const struct row_source *a, const struct row_source *b,
                              const char *what)
{
    char found[160];
    const struct row_source *changed = b->row.change != 0 ? b : a;
    import->line = changed->row.change == 0 ? 0 : import->changes->items[changed->row.change - 1].line;
    snprintf(found, sizeof(found), "that of source %s", (changed == a ? b : a)->ref);
    return import_refuse(import, what, found, "one of its own for every source",
                         "make a new one: vigiectl token issue");
}

/* Sorted by what must be unique, equals are neighbours. */
static enum err check_unique(struct import *import, const char *what,
                             char *const *(*field)(const struct row_source *),
                             int (*compare)(const void *, const void *))
{
    uint32_t count = 0;
    const struct row_source **sources =
        calloc(rows_count(import->rows, ROW_SOURCE) + 1, sizeof(const struct row_source *));
    ensure(sources != NULL);
    for (struct row *row = rows_first(import->rows, ROW_SOURCE); row != NULL; row = row->next)
        if (*field((const struct row_source *)row) != NULL)
            sources[count++] = (const struct row_source *)row;
    qsort(sources, count, sizeof(const struct row_source *), compare);
    enum err error = OK;
    for (uint32_t i = 1; error == OK && i < count; i++)
        if (compare(&sources[i - 1], &sources[i]) == 0)
            error = refuse_shared(import, sources[i - 1], sources[i], what);
    free(sources);
    return error;
}

static char *const *token_of(const struct row_source *source)
{
    return &source->token_sha256;
}

static char *const *certificate_of(const struct row_source *source)
{
    return &source->certificate_cn;
}

/* The organisation of the patient whom the device was given to last; 0: of nobody. */
static int64_t device_organization(const struct rows *rows, int64_t device_id)
{
    const struct row_assignment *last = NULL;
    struct row_assignment *row = NULL;
    while ((row = rows_assignments(rows, device_id, row)) != NULL)
        if (last == NULL || row->from_at > last->from_at)
            last = row;
    const struct row_patient *patient =
        last == NULL ? NULL : rows_find_id(rows, ROW_PATIENT, last->patient_id);
    return patient == NULL ? 0 : patient->organization_id;
}

static enum err check_device_source(struct import *import, const struct row_source *source)
{
    int64_t organization_id = device_organization(import->rows, strtoll(source->devices, NULL, 10));
    if (source->organization_id == 0 && organization_id == 0)
        return import_refuse(import, "organization", NULL, "the organisation that the device speaks for",
                             "give it, or assign the device to a patient first");
    if (source->organization_id != 0 && organization_id != 0 && source->organization_id != organization_id)
        return import_refuse(import, "organization", "another than that of the device's patient",
                             "the organisation of the patient", "leave the key out for kind device");
    return OK;
}

static enum err check_sources(struct import *import)
{
    bool any = false;
    for (uint32_t i = 0; i < import->changes->count; i++) {
        const struct row_change *change = &import->changes->items[i];
        const struct row_source *source = (const struct row_source *)change->after;
        if (change->after == NULL || change->after->table != ROW_SOURCE)
            continue;
        any = true;
        import->line = change->line;
        enum err error = strcmp(source->kind, "device") == 0 ? check_device_source(import, source) : OK;
        if (error != OK)
            return error;
    }
    if (!any)
        return OK;
    enum err error = check_unique(import, "token_sha256", token_of, compare_tokens);
    return error == OK ? check_unique(import, "certificate_cn", certificate_of, compare_certificates) : error;
}

enum err import_check_whole(struct import *import)
{
    enum err error = check_lines(import);
    return error == OK ? check_sources(import) : error;
}
