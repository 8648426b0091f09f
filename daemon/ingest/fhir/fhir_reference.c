/* fhir_reference: from a Reference to what the registry knows. A Device is looked for in the payload first
 * (contained, then the bundle's entries: by fullUrl, with or without "urn:uuid:" and "urn:oid:", by Type/id,
 * by id alone), and everything it is called by is a candidate: identifiers and serialNumber against `ref`,
 * then against `serial`. Two devices, or two patients, by one name are neither. */
#include <string.h>

#include "daemon/ingest/admit_identity.h"
#include "daemon/ingest/fhir/fhir.h"
#include "daemon/ingest/pull/slice.h"
#include "daemon/registry/registry.h"

enum { CANDIDATES_MAX = 24, HOPS_MAX = 3 /* DeviceMetric, its source, one to spare */ };

struct candidates {
    struct slice list[CANDIDATES_MAX];
    unsigned count;
    struct slice literal; /* the reference itself */
};

enum { REFERENCE_REFERENCE, REFERENCE_IDENTIFIER, REFERENCE_COUNT };
static const struct pull_name reference_list[] = {FHIR_NAME("reference"), FHIR_NAME("identifier")};
static const struct pull_names reference_names = {reference_list, REFERENCE_COUNT, '\0'};

enum { IDENTIFIER_SYSTEM, IDENTIFIER_VALUE, IDENTIFIER_COUNT };
static const struct pull_name identifier_list[] = {FHIR_NAME("system"), FHIR_NAME("value")};
static const struct pull_names identifier_names = {identifier_list, IDENTIFIER_COUNT, '\0'};

enum { RESOURCE_TYPE, RESOURCE_ID, RESOURCE_IDENTIFIER, RESOURCE_SERIAL, RESOURCE_SOURCE, RESOURCE_FIELDS };
static const struct pull_name resource_list[] = {FHIR_NAME("resourceType"), FHIR_NAME("id"),
                                                 FHIR_NAME("identifier"), FHIR_NAME("serialNumber"),
                                                 FHIR_NAME("source")};
static const struct pull_names resource_names = {resource_list, RESOURCE_FIELDS, '\0'};

static struct slice after(struct slice text, size_t count)
{
    return (struct slice){text.data + count, text.size - count};
}

static bool starts_with(struct slice text, const char *prefix)
{
    size_t size = strlen(prefix);
    return text.size >= size && memcmp(text.data, prefix, size) == 0;
}

static struct slice last_part(struct slice text)
{
    const char *slash = text.size > 0 ? memrchr(text.data, '/', text.size) : NULL;
    return slash != NULL ? after(text, (size_t)(slash + 1 - text.data)) : text;
}

/* ---- resources of the payload ---- */

static bool find_contained(struct fhir *fhir, struct slice id, struct pull_field *ret_resource)
{
    static const struct pull_name id_list[] = {FHIR_NAME("id")};
    static const struct pull_names id_names = {id_list, 1, '\0'};
    const struct pull_field contained = {fhir->contained.data != NULL ? PULL_ARRAY : PULL_NONE,
                                         fhir->contained};
    struct pull_field field;
    struct pull pull;
    if (!fhir_open_array(fhir, &contained, &pull))
        return false;
    while (pull_next_item(&pull)) {
        ret_resource->kind = pull_take(&pull, &ret_resource->text);
        if (fhir_read(fhir, ret_resource, &id_names, &field) && field.kind == PULL_STRING &&
            slice_equal(field.text, id))
            return true;
    }
    return false;
}

/* "urn:uuid:x" and "urn:oid:x" are x, for those who leave the scheme out. */
static struct slice without_urn(struct slice text)
{
    static const char *const schemes[] = {"urn:uuid:", "urn:oid:"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (starts_with(text, schemes[i]))
            return after(text, strlen(schemes[i]));
    return text;
}

/* "Device/x/_history/2" is Device/x: there is one version of a device here. */
static struct slice without_version(struct slice text)
{
    static const char history[] = "/_history/";
    const char *at = text.size > 0 ? memmem(text.data, text.size, history, sizeof history - 1) : NULL;
    return at != NULL ? (struct slice){text.data, (size_t)(at - text.data)} : text;
}

static bool is_called(const struct fhir_entry *entry, struct slice reference)
{
    struct slice url = entry->full_url, id = last_part(reference);
    if (entry->resource.data == NULL)
        return false;
    if (url.size > 0 && slice_equal(url, reference))
        return true;
    if (id.size == reference.size) { /* an urn, or an id alone */
        id = without_urn(reference);
        return id.size > 0 && (slice_equal(without_urn(url), id) || slice_equal(entry->id, id));
    }
    struct slice type = {reference.data, reference.size - id.size - 1};
    return id.size > 0 && slice_equal(last_part(type), entry->type) &&
           (slice_equal(entry->id, id) || slice_equal(last_part(without_urn(url)), id));
}

/* An entry of the kind that is meant: an Observation may have the id of a Device. Of several with one name
 * the last one is given in *ret_other. */
static const struct fhir_entry *find_entry(struct fhir *fhir, struct slice reference, enum fhir_resource kind,
                                           const struct fhir_entry **ret_other)
{
    const struct fhir_entry *found = NULL;
    *ret_other = NULL;
    for (uint32_t i = 0; i < fhir->entries_count; i++) {
        const struct fhir_entry *entry = &fhir->doors->entries[i];
        if (entry->kind != kind || !is_called(entry, reference))
            continue;
        if (found != NULL)
            *ret_other = entry;
        else
            found = entry;
    }
    return found;
}

/* ---- devices ---- */

static void add_candidate(struct candidates *candidates, struct slice text)
{
    if (text.size > 0 && candidates->count < CANDIDATES_MAX)
        candidates->list[candidates->count++] = text;
}

static void add_identifiers(struct fhir *fhir, const struct pull_field *identifiers,
                            struct candidates *candidates)
{
    struct pull_field fields[IDENTIFIER_COUNT];
    struct pull_unknown unknown;
    struct pull pull;
    if (!fhir_open_array(fhir, identifiers, &pull))
        return;
    while (fhir_next_object(&pull, &identifier_names, fields, &unknown, NULL))
        if (fields[IDENTIFIER_VALUE].kind == PULL_STRING)
            add_candidate(candidates, fields[IDENTIFIER_VALUE].text);
}

static void collect_reference(struct fhir *fhir, const struct pull_field *field,
                              struct candidates *candidates, unsigned hops);

static void collect_resource(struct fhir *fhir, struct slice resource, struct candidates *candidates,
                             unsigned hops)
{
    const struct pull_field field = {PULL_OBJECT, resource};
    struct pull_field fields[RESOURCE_FIELDS];
    if (!fhir_read(fhir, &field, &resource_names, fields))
        return;
    if (fields[RESOURCE_TYPE].kind == PULL_STRING && slice_is(fields[RESOURCE_TYPE].text, "DeviceMetric")) {
        collect_reference(fhir, &fields[RESOURCE_SOURCE], candidates, hops + 1);
        return;
    }
    add_identifiers(fhir, &fields[RESOURCE_IDENTIFIER], candidates);
    if (fields[RESOURCE_SERIAL].kind == PULL_STRING)
        add_candidate(candidates, fields[RESOURCE_SERIAL].text);
}

/* The search of a conditional create names the device as its identifiers do. */
static void collect_entry(struct fhir *fhir, const struct fhir_entry *entry, struct candidates *candidates)
{
    struct slice system, value;
    collect_resource(fhir, entry->resource, candidates, 0);
    if (fhir_read_search(fhir, entry->if_none_exist, &system, &value))
        add_candidate(candidates, value);
}

static void collect_literal(struct fhir *fhir, struct slice reference, struct candidates *candidates,
                            unsigned hops)
{
    struct pull_field contained;
    unsigned before = candidates->count;
    if (candidates->literal.data == NULL)
        candidates->literal = reference;
    const struct fhir_entry *other, *entry = find_entry(fhir, reference, RESOURCE_DEVICE, &other);
    if (reference.size > 0 && reference.data[0] == '#') {
        if (find_contained(fhir, after(reference, 1), &contained))
            collect_resource(fhir, contained.text, candidates, hops);
    } else if (entry != NULL) {
        fhir->device_is_entry = true;
        collect_entry(fhir, entry, candidates);
        if (other != NULL) /* if they are two devices, match() sees it */
            collect_entry(fhir, other, candidates);
    }
    if (candidates->count == before) {
        add_candidate(candidates, reference);
        add_candidate(candidates, last_part(reference));
    }
}

static void collect_reference(struct fhir *fhir, const struct pull_field *field,
                              struct candidates *candidates, unsigned hops)
{
    struct pull_field fields[REFERENCE_COUNT], identifier[IDENTIFIER_COUNT];
    if (hops > HOPS_MAX || !fhir_read(fhir, field, &reference_names, fields))
        return;
    if (fhir_read(fhir, &fields[REFERENCE_IDENTIFIER], &identifier_names, identifier) &&
        identifier[IDENTIFIER_VALUE].kind == PULL_STRING)
        add_candidate(candidates, identifier[IDENTIFIER_VALUE].text);
    if (fields[REFERENCE_REFERENCE].kind == PULL_STRING)
        collect_literal(fhir, without_version(fields[REFERENCE_REFERENCE].text), candidates, hops);
}

typedef const struct registry_device *find_device(const struct registry *registry, int64_t organization_id,
                                                  const char *text, size_t size);

/* By `ref`, else by `serial`. Names of two devices name neither: *ret_is_one is false. */
static const struct registry_device *match(struct fhir *fhir, const struct candidates *candidates,
                                           bool *ret_is_one)
{
    static find_device *const ways[] = {registry_device_by_ref, registry_device_by_serial};
    int64_t organization_id = fhir->exchange->source->organization_id;
    const struct registry_device *found = NULL;
    *ret_is_one = true;
    for (size_t way = 0; found == NULL && way < sizeof ways / sizeof *ways; way++)
        for (unsigned i = 0; i < candidates->count; i++) {
            const struct registry_device *device = ways[way](
                fhir->loop->registry, organization_id, candidates->list[i].data, candidates->list[i].size);
            *ret_is_one &= device == NULL || found == NULL || device == found;
            found = device != NULL ? device : found;
        }
    return found;
}

static void refuse_device(struct admit_party *party, const char *text)
{
    party->refusal = (struct refusal){.verdict = VERDICT_MALFORMED, .field = FIELD_DEVICE, .text = text};
}

/* The device that the transport names (an MQTT topic) stands for one that is not enrolled, and bears no other
 * beside it. */
static void heed_transport(struct fhir *fhir, struct admit_party *party)
{
    struct slice name = fhir->exchange->device;
    if (name.data == NULL)
        return;
    if (party->device != NULL && !slice_is(name, party->device->ref)) {
        refuse_device(party, "the device is not that of the topic");
        return;
    }
    party->device_named = true;
    party->device_text = name;
    party->device = registry_device_by_ref(fhir->loop->registry, fhir->exchange->source->organization_id,
                                           name.data, name.size);
}

void fhir_find_device(struct fhir *fhir, const struct pull_field *reference, struct admit_party *party)
{
    struct candidates candidates = {.count = 0};
    bool is_one;
    fhir->device_is_entry = false;
    collect_reference(fhir, reference, &candidates, 0);
    party->device_named = candidates.count > 0;
    party->device = match(fhir, &candidates, &is_one);
    if (party->device_named) /* the first is the steadiest name: a reference inside a bundle is new each time
                              */
        party->device_text = candidates.list[0];
    if (!is_one)
        refuse_device(party, "the identifiers are those of two devices");
    else
        heed_transport(fhir, party);
}

struct slice fhir_match_device(struct fhir *fhir, const struct fhir_entry *entry, bool *ret_is_enrolled)
{
    struct candidates candidates = {.count = 0};
    bool is_one;
    collect_entry(fhir, entry, &candidates);
    const struct registry_device *device = match(fhir, &candidates, &is_one);
    *ret_is_enrolled = device != NULL && is_one;
    if (*ret_is_enrolled)
        return (struct slice){device->ref, strlen(device->ref)};
    return candidates.count > 0 ? candidates.list[0] : (struct slice){NULL, 0};
}

/* ---- patients: everything they are called by is taken, so that two names of two patients are noticed ----
 */

static void take_identifier(struct fhir *fhir, struct slice system, struct slice value,
                            struct admit_party *party)
{
    admit_identify(fhir->loop, fhir->exchange->source, system, value, party);
}

static void take_fields(struct fhir *fhir, const struct pull_field *identifier, struct admit_party *party)
{
    const struct pull_field *system = &identifier[IDENTIFIER_SYSTEM], *value = &identifier[IDENTIFIER_VALUE];
    if (value->kind == PULL_STRING)
        take_identifier(fhir, system->kind == PULL_STRING ? system->text : (struct slice){NULL, 0},
                        value->text, party);
}

static void take_resource(struct fhir *fhir, struct slice resource, struct admit_party *party)
{
    const struct pull_field field = {PULL_OBJECT, resource};
    struct pull_field fields[RESOURCE_FIELDS], identifier[IDENTIFIER_COUNT];
    struct pull_unknown unknown;
    struct pull pull;
    if (!fhir_read(fhir, &field, &resource_names, fields) || fields[RESOURCE_TYPE].kind != PULL_STRING ||
        !slice_is(fields[RESOURCE_TYPE].text, "Patient") ||
        !fhir_open_array(fhir, &fields[RESOURCE_IDENTIFIER], &pull))
        return;
    while (fhir_next_object(&pull, &identifier_names, identifier, &unknown, NULL))
        take_fields(fhir, identifier, party);
}

static void take_search(struct fhir *fhir, struct slice search, struct admit_party *party)
{
    struct slice system, value;
    if (fhir_read_search(fhir, search, &system, &value))
        take_identifier(fhir, system, value, party);
}

void fhir_match_patient(struct fhir *fhir, const struct fhir_entry *entry, struct admit_party *party)
{
    party->patient_named = true;
    take_resource(fhir, entry->resource, party);
    take_search(fhir, entry->if_none_exist, party);
}

static void take_reference(struct fhir *fhir, struct slice reference, struct admit_party *party)
{
    struct pull_field contained;
    struct slice value = last_part(reference);
    const struct fhir_entry *other, *entry = find_entry(fhir, reference, RESOURCE_PATIENT, &other);
    if (reference.size > 0 && reference.data[0] == '#') {
        if (find_contained(fhir, after(reference, 1), &contained))
            take_resource(fhir, contained.text, party);
    } else if (entry != NULL) {
        fhir_match_patient(fhir, entry, party);
        if (other != NULL)
            fhir_match_patient(fhir, other, party);
    } else if (starts_with(reference, "Patient?")) {
        take_search(fhir, reference, party);
    } else if (value.size != reference.size) {
        take_identifier(fhir, (struct slice){reference.data, reference.size - value.size - 1}, value, party);
    }
}

void fhir_find_patient(struct fhir *fhir, const struct pull_field *reference, struct admit_party *party)
{
    struct pull_field fields[REFERENCE_COUNT], identifier[IDENTIFIER_COUNT];
    fhir_read(fhir, reference, &reference_names, fields);
    if (fhir_read(fhir, &fields[REFERENCE_IDENTIFIER], &identifier_names, identifier) &&
        identifier[IDENTIFIER_VALUE].kind == PULL_STRING)
        take_fields(fhir, identifier, party);
    if (fields[REFERENCE_REFERENCE].kind == PULL_STRING) {
        party->patient_named = true;
        if (!starts_with(fields[REFERENCE_REFERENCE].text, "Patient?")) /* an identifier is not answered */
            party->patient_text = fields[REFERENCE_REFERENCE].text;
        take_reference(fhir, without_version(fields[REFERENCE_REFERENCE].text), party);
    }
}
