/* An import goes through its lines once. A line is parsed with exact numbers, its keys are held against the
 * row of its type in import_types.def, then the type's handler turns it into rows. What a line names must
 * stand before it, in the file or in the registry; what concerns the whole (a line of care has its silence
 * rule, a token is one source's) is checked at the end, when everything has its place. The first fault ends
 * it and undoes all. */
#include "daemon/registry/import.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerting/exact_json.h"
#include "daemon/base/hash.h"
#include "daemon/base/heartbeat.h"
#include "daemon/base/instant.h"
#include "daemon/base/slab.h"
#include "daemon/model/ins.h"
#include "daemon/registry/import_private.h"

enum { LINE_BYTES_MAX = 64 * 1024, NAME_BYTES_MAX = 200, TEXT_BYTES_MAX = 1000 };

/* ---- refusal ---- */

/* One line of UTF-8, whatever a sender wrote: control bytes and what was cut in the middle of a character go.
 */
static void set_text(char *out, size_t size, const char *text)
{
    bool cut = snprintf(out, size, "%s", text == NULL ? "nothing" : text) >= (int)size;
    size_t end = strlen(out);
    while (cut && end > 0 && ((unsigned char)out[end - 1] & 0xc0) == 0x80)
        end--;
    if (cut && end > 0 && (unsigned char)out[end - 1] >= 0xc0)
        end--;
    out[end] = '\0';
    for (char *at = out; *at != '\0'; at++)
        if (iscntrl((unsigned char)*at))
            *at = '?';
}

enum err import_refuse(struct import *import, const char *what, const char *found, const char *expected,
                       const char *hint)
{
    struct import_fault *fault = import->fault;
    fault->line = import->line;
    set_text(fault->what, sizeof(fault->what), what);
    set_text(fault->found, sizeof(fault->found), found);
    set_text(fault->expected, sizeof(fault->expected), expected);
    set_text(fault->hint, sizeof(fault->hint), hint);
    return ERR_REFUSED;
}

void import_fault_line(const struct import_fault *fault, const char *file, char *out, size_t size)
{
    char place[300] = "";
    if (fault->line > 0)
        snprintf(place, sizeof(place), "%.250s:%u: ", file, fault->line);
    snprintf(out, size, "%s%s, found %s, expected %s, %s", place, fault->what, fault->found, fault->expected,
             fault->hint);
}

void import_fault_render(const struct import_fault *fault, struct buffer *out)
{
    render_open(out, '{');
    render_key(out, "what");
    render_text(out, fault->what);
    render_key(out, "found");
    render_text(out, fault->found);
    render_key(out, "expected");
    render_text(out, fault->expected);
    render_key(out, "hint");
    render_text(out, fault->hint);
    render_key(out, "line");
    render_integer(out, fault->line);
    render_close(out, '}');
}

/* ---- refs ---- */

bool import_ref_is_good(const char *ref)
{
    static const char others[] = "._:-@=~";
    size_t size = strlen(ref);
    if (size == 0 || size > REF_BYTES_MAX || !isalnum((unsigned char)ref[0]) || (unsigned char)ref[0] > 127)
        return false;
    for (const char *at = ref; *at != '\0'; at++)
        if ((unsigned char)*at > 127 || (!isalnum((unsigned char)*at) && strchr(others, *at) == NULL))
            return false;
    return true;
}

bool import_ref_is_nir(const char *ref)
{
    char text[INS_BYTES];
    size_t count = 0;
    for (const char *at = ref; *at != '\0'; at++) {
        if (strchr("._:-~=@", *at) != NULL)
            continue;
        if (count == INS_BYTES)
            return false;
        text[count++] = *at == 'a' ? 'A' : *at == 'b' ? 'B' : *at;
    }
    bool with_key =
        count == INS_BYTES && isdigit((unsigned char)text[13]) && isdigit((unsigned char)text[14]);
    return (count == INS_BODY_BYTES || with_key) && ins_is_body(text);
}

/* ---- forms ---- */

static bool is_plain_text(const json_t *value, size_t size_max)
{
    const char *text = exact_json_string(value);
    if (text == NULL || strlen(text) > size_max)
        return false;
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

static bool is_ref(const json_t *value)
{
    const char *text = exact_json_string(value);
    return text != NULL && import_ref_is_good(text);
}

/* A team: its name, or ORGANISATION/NAME. */
static bool is_scope(const json_t *value)
{
    const char *text = exact_json_string(value), *slash = text == NULL ? NULL : strchr(text, '/');
    char organization[REF_BYTES_MAX + 1];
    if (slash == NULL)
        return is_ref(value);
    if ((size_t)(slash - text) >= sizeof(organization))
        return false;
    snprintf(organization, sizeof(organization), "%.*s", (int)(slash - text), text);
    return import_ref_is_good(organization) && import_ref_is_good(slash + 1);
}

static bool is_name(const json_t *value)
{
    return is_plain_text(value, NAME_BYTES_MAX) && *exact_json_string(value) != '\0';
}

static bool is_text(const json_t *value)
{
    return is_plain_text(value, TEXT_BYTES_MAX);
}

/* INSTANT_NONE: it is none. */
static int64_t time_of(const json_t *value)
{
    const char *text = exact_json_string(value);
    struct instant_parsed parsed;
    if (text == NULL || instant_parse(text, strlen(text), &parsed) != INSTANT_GOOD ||
        parsed.precision != PRECISION_TIME)
        return INSTANT_NONE;
    return parsed.ms;
}

static bool is_time(const json_t *value)
{
    return time_of(value) != INSTANT_NONE;
}

static bool is_number(const json_t *value)
{
    return exact_json_number(value) != NULL;
}

static bool is_count(const json_t *value)
{
    const char *text = exact_json_number(value);
    return text != NULL && strspn(text, "0123456789") == strlen(text) && strlen(text) < 6 && atoi(text) > 0;
}

static bool is_refs(const json_t *value)
{
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!is_ref(json_array_get(value, i)))
            return false;
    return json_is_array(value);
}

static bool is_object(const json_t *value)
{
    return json_is_object(value);
}

static bool is_digest(const json_t *value)
{
    const char *text = exact_json_string(value);
    return text != NULL && strlen(text) == 2 * SHA256_BYTES &&
           strspn(text, "0123456789abcdefABCDEF") == 2 * SHA256_BYTES;
}

static bool is_role(const json_t *value)
{
    static const char *const roles[] = {"physician",     "nurse",   "operator",
                                        "administrator", "auditor", "system"};
    const char *text = exact_json_string(value);
    for (size_t i = 0; text != NULL && i < sizeof(roles) / sizeof(roles[0]); i++)
        if (strcmp(text, roles[i]) == 0)
            return true;
    return false;
}

static const struct {
    bool (*fits)(const json_t *value);
    bool null_too;
    const char *expected;
} forms[FORMS] = {
    [FORM_REF] = {is_ref, false, "letters, digits and . _ : - @ = ~, at most 64, a letter or digit first"},
    [FORM_REF_OR_NULL] = {is_ref, true, "letters, digits and . _ : - @ = ~, at most 64, or null"},
    [FORM_SCOPE] = {is_scope, false, "the name of a team, or ORGANISATION/NAME"},
    [FORM_NAME] = {is_name, false, "a text of 1 to 200 bytes without control characters"},
    [FORM_NAME_OR_NULL] = {is_name, true, "a text of 1 to 200 bytes without control characters, or null"},
    [FORM_TEXT] = {is_text, false, "a text of at most 1000 bytes without control characters"},
    [FORM_TIME] = {is_time, false, "a time with offset, as 2026-01-31T08:00:00Z"},
    [FORM_TIME_OR_NULL] = {is_time, true, "a time with offset, as 2026-01-31T08:00:00Z, or null"},
    [FORM_NUMBER] = {is_number, false, "a number"},
    [FORM_COUNT] = {is_count, false, "a whole number from 1 to 99999"},
    [FORM_REFS] = {is_refs, false, "an array of refs"},
    [FORM_OBJECT] = {is_object, false, "an object"},
    [FORM_DIGEST] = {is_digest, false, "64 hex digits: the SHA-256 of the token's ASCII text"},
    [FORM_ROLE] = {is_role, false, "physician, nurse, operator, administrator, auditor or system"},
};

/* ---- the line at hand ---- */

const char *import_text(const struct import *import, const char *key)
{
    return exact_json_string(json_object_get(import->object, key));
}

int64_t import_time(const struct import *import, const char *key)
{
    return time_of(json_object_get(import->object, key));
}

void import_put(struct import *import, void *row)
{
    if (changes_put(import->changes, import->rows, row, import->line))
        import->result->changed++;
}

struct row_patient *import_patient(struct import *import, const char *key)
{
    const char *ref = import_text(import, key);
    struct row_patient *patient = rows_find(import->rows, ROW_PATIENT, "%s", ref);
    if (patient == NULL)
        import_refuse(import, "patient", ref, "an enrolled patient", "enrol it on a line before this one");
    return patient;
}

static const struct import_key *find_key(const struct import_type *type, const char *name)
{
    for (unsigned i = 0; i < type->keys_count; i++)
        if (strcmp(type->keys[i].name, name) == 0)
            return &type->keys[i];
    return NULL;
}

static enum err refuse_key(struct import *import, const struct import_type *type, const char *key)
{
    char expected[240] = "";
    for (unsigned i = 0; i < type->keys_count; i++) {
        size_t size = strlen(expected);
        snprintf(expected + size, sizeof(expected) - size, "%s%s", i == 0 ? "" : ", ", type->keys[i].name);
    }
    return import_refuse(import, "unknown key", key, expected,
                         "keys are spelt as INTERFACES.md section 2 has them");
}

static enum err check_keys(struct import *import, const struct import_type *type)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)import->object, name, value)
    {
        if (strcmp(name, "type") == 0)
            continue;
        const struct import_key *key = find_key(type, name);
        if (key == NULL)
            return refuse_key(import, type, name);
        if ((forms[key->form].null_too && json_is_null(value)) || forms[key->form].fits(value))
            continue;
        char *found = exact_json_text(value);
        enum err error = import_refuse(import, name, found, forms[key->form].expected, "correct the value");
        slab_give(found);
        return error;
    }
    for (unsigned i = 0; i < type->keys_count; i++)
        if (type->keys[i].mandatory && json_object_get(import->object, type->keys[i].name) == NULL)
            return import_refuse(import, type->keys[i].name, NULL, forms[type->keys[i].form].expected,
                                 "the key is mandatory for this type");
    return OK;
}

static enum err apply_object(struct import *import)
{
    if (!is_object(import->object))
        return import_refuse(import, "line", "another JSON value", "one object a line",
                             "see INTERFACES.md section 2");
    const char *name = import_text(import, "type");
    const struct import_type *type = name == NULL ? NULL : import_type_by_name(name);
    if (type == NULL)
        return import_refuse(import, "type", name, import_types_text(), "every line says what it is");
    enum err error = check_keys(import, type);
    return error == OK ? type->apply(import) : error;
}

static enum err apply_line(struct import *import, const char *line, size_t size)
{
    char why[160];
    if (size > LINE_BYTES_MAX)
        return import_refuse(import, "line", "more than 64 KiB", "one object a line",
                             "split the file into lines");
    json_t *object;
    if (exact_json_load(line, size, &object, why, sizeof(why)) != OK) {
        for (char *byte = why; *byte != '\0'; byte++) /* it may quote what is not UTF-8 */
            *byte = (unsigned char)*byte < 128 ? *byte : '?';
        return import_refuse(import, "line", why, "one JSON object a line, keys given once",
                             "check quotes and commas");
    }
    import->object = object;
    enum err error = apply_object(import);
    import->object = NULL;
    json_decref(object);
    import->result->lines++;
    return error;
}

static bool is_blank(const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
            return false;
    return true;
}

static enum err apply_lines(struct import *import, const char *ndjson, size_t size)
{
    const char *at = ndjson, *end = ndjson + size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline == NULL ? end : newline;
        import->line++;
        heartbeat_beat(); /* 100,000 patients take a while */
        enum err error = is_blank(at, (size_t)(stop - at)) ? OK : apply_line(import, at, (size_t)(stop - at));
        if (error != OK)
            return error;
        at = stop + 1;
    }
    return import_check_whole(import);
}

enum err import_apply(struct rows *rows, struct row_changes *changes, const struct import_options *options,
                      const char *ndjson, size_t size, struct import_result *ret_result,
                      struct import_fault *ret_fault)
{
    struct import_result result = {.lines = 0};
    struct import import = {
        .rows = rows, .changes = changes, .options = options, .fault = ret_fault, .result = &result};
    *ret_fault = (struct import_fault){.line = 0};
    enum err error = apply_lines(&import, ndjson, size);
    if (error != OK) {
        changes_undo(changes, rows);
        return error;
    }
    *ret_result = result;
    return OK;
}
