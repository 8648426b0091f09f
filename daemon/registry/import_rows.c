/* The types of an import and what each does to the rows. A handler may rely on the forms of its keys; it
 * looks up what the line names, says no with one fault, or puts rows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerting/exact_json.h"
#include "daemon/base/decimal.h"
#include "daemon/model/parameter.h"
#include "daemon/registry/identifier.h"
#include "daemon/registry/import_private.h"
#include "daemon/registry/registry.h"

static enum err new_id(struct import *import, enum row_table table, int64_t *ret_id)
{
    return import->options->next_id(import->options->context, table, ret_id);
}

static struct row_organization *find_organization(struct import *import)
{
    const char *ref = import_text(import, "organization");
    struct row_organization *organization = rows_find(import->rows, ROW_ORGANIZATION, "%s", ref);
    if (organization == NULL)
        import_refuse(import, "organization", ref, "an organisation that exists",
                      "add a line of type organization before this one");
    return organization;
}

static enum err find_parameter(struct import *import, enum parameter *ret)
{
    const char *name = import_text(import, "parameter");
    if (parameter_by_name(name, strlen(name), ret) == OK)
        return OK;
    return import_refuse(import, "parameter", name, "a name of PARAMETERS.md", "for example body-weight");
}

/* A copy of the row with that ref to change, or a new one with a number. */
static enum err row_to_change(struct import *import, enum row_table table, void *ret_row)
{
    const char *ref = import_text(import, "ref");
    struct row *old = rows_find(import->rows, table, "%s", ref), *row;
    if (old != NULL) {
        row = row_copy(old);
    } else {
        int64_t id;
        enum err error = new_id(import, table, &id);
        if (error != OK)
            return error;
        row = row_new(table);
        const struct row_column *columns = row_shape(table)->columns;
        ensure(columns[0].role == COLUMN_ID && columns[1].role == COLUMN_KEY);
        *row_number(row, &columns[0]) = id;
        row_set_text(row_text(row, &columns[1]), ref);
    }
    memcpy(ret_row, &row, sizeof(row));
    return OK;
}

/* ---- organisations, patients, devices ---- */

static enum err apply_organization(struct import *import)
{
    struct row_organization *row;
    enum err error = row_to_change(import, ROW_ORGANIZATION, &row);
    if (error != OK)
        return error;
    if (import_text(import, "name") != NULL)
        row_set_text(&row->name, import_text(import, "name"));
    import_put(import, row);
    return OK;
}

static enum err check_patient(struct import *import, const struct row_patient *old, int64_t organization_id)
{
    const char *ref = import_text(import, "ref"), *zone = import_text(import, "time_zone");
    if (import_ref_is_nir(ref)) /* the number itself must not travel further, not even in our answer */
        return import_refuse(import, "ref", "the shape of a NIR",
                             "a reference of your own that is no identity number",
                             "enrol the number as a line of type identifier");
    if (old != NULL && old->organization_id != organization_id)
        return import_refuse(import, "organization", import_text(import, "organization"),
                             "the patient's organisation",
                             "a patient does not change organisation: enrol a new ref there");
    if (rows_zone(import->rows, zone) == NULL)
        return import_refuse(import, "time_zone", zone, "a time zone of this system",
                             "for example Europe/Paris");
    return OK;
}

/* A full pool refuses enrolment, never a reading: before anything is committed, so that every row that stands
 * is in force. */
static enum err check_room(struct import *import)
{
    char found[96];
    if (!import->options->bounds_enrolment || import->enrolled++ < import->options->enrolments_max)
        return OK;
    snprintf(found, sizeof(found), "room for %llu more patients",
             (unsigned long long)import->options->enrolments_max);
    return import_refuse(import, "patient", found, "at most 90 % of [node] max_memory in use after it",
                         "raise [node] max_memory: 8 KB a patient, 96 bytes a held reading");
}

static enum err apply_patient(struct import *import)
{
    struct row_organization *organization = find_organization(import);
    struct row_patient *old = rows_find(import->rows, ROW_PATIENT, "%s", import_text(import, "ref")), *row;
    enum err error =
        organization == NULL ? ERR_REFUSED : check_patient(import, old, organization->organization_id);
    if (error == OK && old == NULL)
        error = check_room(import);
    if (error == OK)
        error = row_to_change(import, ROW_PATIENT, &row);
    if (error != OK)
        return error;
    row->organization_id = organization->organization_id;
    row_set_text(&row->line, import_text(import, "line"));
    row_set_text(&row->team, import_text(import, "team"));
    row_set_text(&row->time_zone, import_text(import, "time_zone"));
    if (import_time(import, "enrolled_at") != INSTANT_NONE)
        row->enrolled_at = import_time(import, "enrolled_at");
    if (old != NULL && old->left_at != INSTANT_NONE && !row_equal(&old->row, &row->row)) {
        row_free(row);
        return import_refuse(import, "patient", "one who has left", "a patient who is followed",
                             "enrol the person again under a new ref");
    }
    import_put(import, row);
    return OK;
}

static enum err apply_left(struct import *import)
{
    struct row_patient *patient = import_patient(import, "patient");
    int64_t at_ms = import_time(import, "at");
    if (patient == NULL)
        return ERR_REFUSED;
    if (patient->left_at == at_ms)
        return OK;
    if (patient->left_at != INSTANT_NONE)
        return import_refuse(import, "at", import_text(import, "at"), "the instant at which the patient left",
                             "the patient has left already: episodes are closed and stay so");
    if (patient->enrolled_at != INSTANT_NONE && at_ms < patient->enrolled_at)
        return import_refuse(import, "at", import_text(import, "at"), "an instant after enrolled_at",
                             "check the date");
    struct row_patient *row = row_copy(patient);
    row->left_at = at_ms;
    row_set_text(&row->left_reason, import_text(import, "reason"));
    import_put(import, row);
    return OK;
}

/* Says why the identifier cannot be enrolled, and never what it is: what refuses travels further than what is
 * kept. */
static enum err refuse_identifier(struct import *import, enum identifier_fault fault)
{
    switch (fault) {
    case IDENTIFIER_IS_TEST:
        return import_refuse(import, "system", "the OID of INS of the test or demonstration domain",
                             "in mode=production an OID of real persons: 1.2.250.1.213.1.4.8 or .9",
                             "nobody real has such a number: [node] mode=test takes it");
    case IDENTIFIER_BAD_SHAPE:
        return import_refuse(import, "value", "no matricule INS",
                             "its 13 characters and the 2 digits of its key, spaced or not",
                             "enrol it as INSi gives it; without its key it cannot be checked");
    case IDENTIFIER_BAD_KEY:
        return import_refuse(import, "value", "a matricule INS with another key",
                             "the key that follows from its number: 97 - (number mod 97), 2A as 19, 2B as 18",
                             "a character of it is wrong: enrol it as INSi gives it");
    default:
        return import_refuse(import, "value", "another length", "1 to 1024 bytes with its system",
                             "check the value");
    }
}

/* What is kept in clear is the spelling that was hashed. */
static void set_clear(struct row_identifier *row, const struct identifier *identifier, const char *value)
{
    char text[IDENTIFIER_BYTES_MAX + 1];
    snprintf(text, sizeof text, "%.*s", (int)identifier->system.size, identifier->system.data);
    row_set_text(&row->system, text);
    snprintf(text, sizeof text, "%.*s", INS_BYTES, identifier->ins);
    row_set_text(&row->value, identifier->is_ins ? text : value);
}

static enum err apply_identifier(struct import *import)
{
    struct row_patient *patient = import_patient(import, "patient");
    const char *system = import_text(import, "system"), *value = import_text(import, "value");
    const struct identifier_key key = {import->options->identifier_key, import->options->test_mode};
    struct identifier identifier;
    char hex[2 * SHA256_BYTES + 1];
    if (patient == NULL)
        return ERR_REFUSED;
    enum identifier_fault fault = identifier_read(key, (struct slice){system, strlen(system)},
                                                  (struct slice){value, strlen(value)}, &identifier);
    if (fault != IDENTIFIER_GOOD)
        return refuse_identifier(import, fault);
    hex_format(identifier.hash, sizeof(identifier.hash), hex);
    struct row_identifier *old =
        rows_find(import->rows, ROW_IDENTIFIER, "%lld\037%s", (long long)patient->organization_id, hex);
    if (old != NULL && old->patient_id != patient->patient_id)
        return import_refuse(import, "value", "an identifier of another patient", "one patient an identifier",
                             "it is unique within an organisation: check which of the two is meant");
    if (old != NULL)
        return OK;
    struct row_identifier *row = row_new(ROW_IDENTIFIER);
    row->organization_id = patient->organization_id;
    row->patient_id = patient->patient_id;
    row_set_text(&row->hash, hex);
    set_clear(row, &identifier, value);
    import_put(import, row);
    return OK;
}

static enum err apply_device(struct import *import)
{
    struct row_device *row;
    enum err error = row_to_change(import, ROW_DEVICE, &row);
    if (error != OK)
        return error;
    row_set_text(&row->kind, import_text(import, "kind"));
    row_set_text(&row->manufacturer, import_text(import, "manufacturer"));
    row_set_text(&row->model, import_text(import, "model"));
    row_set_text(&row->serial, import_text(import, "serial"));
    import_put(import, row);
    return OK;
}

/* ---- sources ---- */

static int compare_numbers(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* "3,17,29": sorted and each once, as PostgreSQL gives it back. NULL when there is none. */
static enum err device_list(struct import *import, char **ret_list)
{
    const json_t *devices = json_object_get(import->object, "devices");
    size_t count = json_array_size(devices);
    struct buffer list = {.data = NULL};
    enum err error = OK;
    int64_t *ids = calloc(count + 1, sizeof(*ids));
    ensure(ids != NULL);
    for (size_t i = 0; error == OK && i < count; i++) {
        const char *ref = exact_json_string(json_array_get(devices, i));
        const struct row_device *device = rows_find(import->rows, ROW_DEVICE, "%s", ref);
        if (device == NULL)
            error = import_refuse(import, "devices", ref, "devices that exist",
                                  "add a line of type device before this one");
        else
            ids[i] = device->device_id;
    }
    qsort(ids, count, sizeof(*ids), compare_numbers);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || ids[i] != ids[i - 1])
            buffer_printf(&list, "%s%lld", list.size == 0 ? "" : ",", (long long)ids[i]);
    free(ids);
    if (list.size > 0)
        buffer_append(&list, "", 1);
    *ret_list = list.data;
    return error;
}

static enum err check_source(struct import *import, const char *kind)
{
    const json_t *devices = json_object_get(import->object, "devices");
    size_t count = json_array_size(devices);
    bool device = strcmp(kind, "device") == 0, gateway = strcmp(kind, "gateway") == 0;
    bool patient = strcmp(kind, "patient") == 0, system = strcmp(kind, "system") == 0;
    if (!device && !gateway && !system && !patient)
        return import_refuse(import, "kind", kind, "device, gateway, system or patient",
                             "see INTERFACES.md section 4");
    if (device && count != 1)
        return import_refuse(import, "devices", count == 0 ? "none" : "several",
                             "exactly one for kind device",
                             "several devices behind one source are a gateway");
    if (!device && !gateway && count > 0)
        return import_refuse(import, "devices", "a list", "none for this kind",
                             "only device and gateway list devices");
    if (patient != (import_text(import, "patient") != NULL))
        return import_refuse(import, "patient", import_text(import, "patient"),
                             "a patient for kind patient, and only there",
                             "a source of kind patient speaks for itself");
    if ((gateway || system) && import_text(import, "organization") == NULL)
        return import_refuse(import, "organization", NULL, "the organisation that the source speaks for",
                             "it is mandatory for kinds gateway and system");
    return OK;
}

/* The token in clear is for tests: a file that holds it would have to be kept like a key. */
static enum err set_token(struct import *import, struct row_source *row)
{
    const char *clear = import_text(import, "token"), *digest = import_text(import, "token_sha256");
    char hex[2 * SHA256_BYTES + 1];
    uint8_t sha256[SHA256_BYTES];
    if (clear != NULL && digest != NULL)
        return import_refuse(import, "token", "both token and token_sha256", "one of them",
                             "leave token out");
    if (clear != NULL && !import->options->test_mode)
        return import_refuse(import, "token", "a token in clear", "token_sha256 unless mode=test",
                             "give the SHA-256 of the token, or use vigiectl token issue");
    if (clear == NULL && digest == NULL)
        return OK; /* the token in force stays */
    if (clear != NULL)
        hash_sha256(clear, strlen(clear), sha256);
    else if (hex_parse(digest, strlen(digest), sha256, sizeof(sha256)) != OK)
        return import_refuse(import, "token_sha256", digest, "64 hex digits", "see INTERFACES.md section 2");
    hex_format(sha256, sizeof(sha256), hex);
    row_set_text(&row->token_sha256, hex);
    return OK;
}

static enum err set_speaks_for(struct import *import, struct row_source *row)
{
    const struct row_patient *patient = NULL;
    const struct row_organization *organization = NULL;
    if (import_text(import, "patient") != NULL && (patient = import_patient(import, "patient")) == NULL)
        return ERR_REFUSED;
    if (import_text(import, "organization") != NULL && (organization = find_organization(import)) == NULL)
        return ERR_REFUSED;
    if (patient != NULL && organization != NULL && patient->organization_id != organization->organization_id)
        return import_refuse(import, "organization", organization->ref, "the patient's organisation",
                             "leave the key out for kind patient");
    row->patient_id = patient == NULL ? 0 : patient->patient_id;
    row->organization_id = organization != NULL ? organization->organization_id
                           : patient != NULL    ? patient->organization_id
                                                : 0;
    return OK;
}

static enum err apply_source(struct import *import)
{
    const char *kind = import_text(import, "kind");
    struct row_source *row;
    char *devices = NULL;
    enum err error = check_source(import, kind);
    if (error == OK)
        error = row_to_change(import, ROW_SOURCE, &row);
    if (error != OK)
        return error;
    error = device_list(import, &devices);
    if (error == OK)
        error = set_speaks_for(import, row);
    if (error == OK)
        error = set_token(import, row);
    if (error != OK) {
        free(devices);
        row_free(row);
        return error;
    }
    row_set_text(&row->kind, kind);
    row_set_text(&row->certificate_cn, import_text(import, "certificate_cn"));
    free(row->devices);
    row->devices = devices;
    import_put(import, row);
    return OK;
}

/* ---- what physicians and nurses say about a patient ---- */

static enum err apply_confirmation(struct import *import)
{
    struct row_patient *patient = import_patient(import, "patient");
    const char *line = import_text(import, "line"), *role = import_text(import, "role");
    if (patient == NULL)
        return ERR_REFUSED;
    if (strcmp(role, "physician") != 0)
        return import_refuse(import, "role", role, "physician",
                             "only a physician puts a line's rules in force for a patient");
    if (strcmp(patient->line, line) != 0)
        return import_refuse(import, "line", line, patient->line, "the line that the patient is enrolled on");
    struct row_confirmation *row = row_new(ROW_CONFIRMATION);
    row->patient_id = patient->patient_id;
    row->from_at = import_time(import, "from");
    row_set_text(&row->line, line);
    row_set_text(&row->author, import_text(import, "author"));
    row_set_text(&row->role, role);
    import_put(import, row);
    return OK;
}

static enum err apply_schedule(struct import *import)
{
    struct row_patient *patient = import_patient(import, "patient");
    const char *every = import_text(import, "every");
    enum parameter parameter;
    int64_t every_ms;
    enum err error = patient == NULL ? ERR_REFUSED : find_parameter(import, &parameter);
    if (error != OK)
        return error;
    if (instant_parse_duration(every, strlen(every), &every_ms) != OK || every_ms <= 0)
        return import_refuse(import, "every", every, "a duration as 12h or 1d",
                             "a whole number and ms, s, m, h or d");
    const char *count = exact_json_number(json_object_get(import->object, "count"));
    struct row_schedule *row = row_new(ROW_SCHEDULE);
    row->patient_id = patient->patient_id;
    row->count = count == NULL ? 1 : atoi(count);
    row_set_text(&row->parameter_id, import_text(import, "parameter"));
    row_set_text(&row->every, every);
    import_put(import, row);
    return OK;
}

/* The value as given, written the shortest way, so that PostgreSQL gives back the same text. */
static enum err reference_value(struct import *import, enum parameter parameter, char out[32])
{
    const char *text = exact_json_number(json_object_get(import->object, "value")),
               *unit = import_text(import, "unit");
    const struct decimal_conversion *conversion;
    const struct parameter_row *row = parameter_row(parameter);
    int64_t plain, canonical;
    if (parameter_unit(parameter, UNIT_UCUM, unit, strlen(unit), &conversion) != OK)
        return import_refuse(import, "unit", unit, row->unit, "a UCUM unit of that parameter");
    if (!decimal_fits_six_places(text, strlen(text)) ||
        decimal_parse(text, strlen(text), NULL, &plain) != OK ||
        decimal_parse(text, strlen(text), conversion, &canonical) != OK)
        return import_refuse(import, "value", text, "a number with at most six decimals",
                             "round it as you mean it");
    if (canonical < row->possible_min || canonical > row->possible_max)
        return import_refuse(import, "value", text, "a possible value of that parameter",
                             "check value and unit");
    decimal_format(plain, out);
    return OK;
}

static enum err apply_reference(struct import *import)
{
    struct row_patient *patient = import_patient(import, "patient");
    enum parameter parameter;
    char value[32];
    enum err error = patient == NULL ? ERR_REFUSED : find_parameter(import, &parameter);
    if (error == OK)
        error = reference_value(import, parameter, value);
    if (error != OK)
        return error;
    const char *name = import_text(import, "name");
    struct row_reference *row = row_new(ROW_REFERENCE);
    row->patient_id = patient->patient_id;
    row->from_at = import_time(import, "from");
    row_set_text(&row->parameter_id, import_text(import, "parameter"));
    row_set_text(&row->name, name == NULL ? "reference" : name);
    row_set_text(&row->value, value);
    row_set_text(&row->unit, import_text(import, "unit"));
    row_set_text(&row->author, import_text(import, "author"));
    import_put(import, row);
    return OK;
}

/* ---- the table ---- */

#define TYPE(name)            static const struct import_key keys_##name[] = {
#define KEY(name, form, need) {#name, FORM_##form, need},
#define TYPE_END(name)                                                                                       \
    }                                                                                                        \
    ;
#define MUST true
#define MAY  false
#include "daemon/registry/import_types.def"
#undef TYPE
#undef KEY
#undef TYPE_END

#define apply_assignment import_apply_assignment
#define apply_rule       import_apply_rule
#define apply_suspension import_apply_suspension
static const struct import_type types[] = {
#define TYPE(name) {#name, keys_##name, sizeof(keys_##name) / sizeof(keys_##name[0]), apply_##name},
#define KEY(name, form, need)
#define TYPE_END(name)
#include "daemon/registry/import_types.def"
#undef TYPE
#undef KEY
#undef TYPE_END
};

const struct import_type *import_type_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

const char *import_types_text(void)
{
#define TYPE(name) #name " "
#define KEY(name, form, need)
#define TYPE_END(name)
    return
#include "daemon/registry/import_types.def"
        "(one of them)";
#undef TYPE
#undef KEY
#undef TYPE_END
}
