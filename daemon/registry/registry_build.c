/* A build has two halves: rows are copied into growing lists while they come, by id; then everything is
 * counted, one block is taken, and rows become structs that point at each other. Ids are resolved by binary
 * search in the lists sorted by id, so the order in which rows came does not matter.
 *
 *   block: | struct registry | patients | identifiers | devices | assignments | sources | device lists |
 *          | certificates | organisations | slots of the six tables | strings |
 */
#include "daemon/registry/registry_build.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/instant.h"
#include "daemon/registry/registry_frozen.h"

struct list {
    void *items;
    size_t item_size;
    uint32_t count, capacity;
};

struct identifier_row {
    int64_t patient_id;
    uint8_t hash[SHA256_BYTES];
};

struct registry_builder {
    int64_t version;
    struct list patients, identifiers, devices, assignments, sources, source_devices, organizations;
    size_t strings_size;
    /* while freezing */
    struct registry *made;
    char *next; /* where the next piece of the block begins */
    uint32_t left_out;
};

static void *list_add(struct list *list)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        list->items = realloc(list->items, list->capacity * list->item_size);
        ensure(list->items != NULL);
    }
    return memset((char *)list->items + list->count++ * list->item_size, 0, list->item_size);
}

static size_t string_size(const char *text)
{
    return text == NULL ? 0 : strlen(text) + 1;
}

struct registry_builder *registry_builder_new(int64_t version)
{
    struct registry_builder *builder = calloc(1, sizeof(*builder));
    ensure(builder != NULL);
    builder->version = version;
    builder->patients.item_size = sizeof(struct registry_patient);
    builder->identifiers.item_size = sizeof(struct identifier_row);
    builder->devices.item_size = sizeof(struct build_device);
    builder->assignments.item_size = sizeof(struct build_assignment);
    builder->sources.item_size = sizeof(struct build_source);
    builder->source_devices.item_size = sizeof(int64_t);
    builder->organizations.item_size = sizeof(int64_t);
    return builder;
}

void registry_builder_free(struct registry_builder *builder)
{
    if (builder == NULL)
        return;
    free(builder->patients.items);
    free(builder->identifiers.items);
    free(builder->devices.items);
    free(builder->assignments.items);
    free(builder->sources.items);
    free(builder->source_devices.items);
    free(builder->organizations.items);
    free(builder);
}

/* Kept sorted, each once: there are few. */
static void add_organization(struct registry_builder *builder, int64_t organization_id)
{
    const int64_t *known = builder->organizations.items;
    uint32_t low = 0, high = builder->organizations.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (known[middle] < organization_id)
            low = middle + 1;
        else
            high = middle;
    }
    if (organization_id == 0 || (low < builder->organizations.count && known[low] == organization_id))
        return;
    list_add(&builder->organizations);
    int64_t *items = builder->organizations.items;
    memmove(items + low + 1, items + low, (builder->organizations.count - 1 - low) * sizeof(*items));
    items[low] = organization_id;
}

void registry_add_patient(struct registry_builder *builder, const struct registry_patient *patient)
{
    ensure(patient->patient_id > 0 && patient->ref != NULL && patient->zone != NULL);
    *(struct registry_patient *)list_add(&builder->patients) = *patient;
    builder->strings_size += string_size(patient->ref);
    add_organization(builder, patient->organization_id);
}

void registry_add_identifier(struct registry_builder *builder, int64_t patient_id,
                             const uint8_t hash[SHA256_BYTES])
{
    struct identifier_row *row = list_add(&builder->identifiers);
    row->patient_id = patient_id;
    memcpy(row->hash, hash, SHA256_BYTES);
}

void registry_add_device(struct registry_builder *builder, const struct build_device *device)
{
    ensure(device->device_id > 0 && device->ref != NULL);
    *(struct build_device *)list_add(&builder->devices) = *device;
    builder->strings_size += string_size(device->ref) + string_size(device->serial);
}

void registry_add_assignment(struct registry_builder *builder, const struct build_assignment *assignment)
{
    *(struct build_assignment *)list_add(&builder->assignments) = *assignment;
}

void registry_add_source(struct registry_builder *builder, const struct build_source *source)
{
    ensure(source->ref != NULL);
    *(struct build_source *)list_add(&builder->sources) = *source;
    for (uint32_t i = 0; i < source->devices_count; i++)
        *(int64_t *)list_add(&builder->source_devices) = source->device_ids[i];
    builder->strings_size += string_size(source->ref) + string_size(source->certificate);
    add_organization(builder, source->organization_id);
}

/* Every row but an assignment and an identifier begins with its id; those begin with what they belong to. */
static int compare_ids(const void *a, const void *b)
{
    int64_t x, y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

static int compare_assignments(const void *a, const void *b)
{
    const struct build_assignment *x = a, *y = b;
    if (x->device_id != y->device_id)
        return x->device_id < y->device_id ? -1 : 1;
    return (x->from_ms > y->from_ms) - (x->from_ms < y->from_ms);
}

static int compare_pointers(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (const struct registry_device *const *)a;
    uintptr_t y = (uintptr_t) * (const struct registry_device *const *)b;
    return (x > y) - (x < y);
}

static void list_sort(struct list *list, int (*compare)(const void *, const void *))
{
    if (list->count > 1)
        qsort(list->items, list->count, list->item_size, compare);
}

static const struct registry_patient *find_patient(const struct registry *registry, int64_t patient_id)
{
    return registry->patients_count == 0 ? NULL
                                         : bsearch(&patient_id, registry->patients, registry->patients_count,
                                                   sizeof(*registry->patients), compare_ids);
}

static struct registry_device *find_device(const struct registry *registry, int64_t device_id)
{
    return registry->devices_count == 0 ? NULL
                                        : bsearch(&device_id, registry->devices, registry->devices_count,
                                                  sizeof(*registry->devices), compare_ids);
}

static uint32_t slots_for(uint32_t count)
{
    uint32_t slots = 16;
    while (slots < 2 * count)
        slots *= 2;
    return slots;
}

static size_t padded(size_t size)
{
    return (size + 15) & ~(size_t)15;
}

static void *take(struct registry_builder *builder, size_t size)
{
    void *piece = builder->next;
    builder->next += padded(size);
    return piece;
}

static void take_index(struct registry_builder *builder, struct registry_index *index, uint32_t count)
{
    index->mask = slots_for(count) - 1;
    index->slots = take(builder, ((size_t)index->mask + 1) * sizeof(uint32_t));
}

static void index_put(struct registry_index *index, uint64_t hash, uint32_t position)
{
    while (index->slots[hash & index->mask] != 0)
        hash++;
    index->slots[hash & index->mask] = position + 1;
}

/* Strings come last in the block and are not padded: `next` counts bytes there. */
static const char *take_string(struct registry_builder *builder, const char *text)
{
    if (text == NULL)
        return NULL;
    size_t size = strlen(text) + 1;
    char *copy = memcpy(builder->next, text, size);
    builder->next += size;
    return copy;
}

static size_t block_size(const struct registry_builder *b)
{
    size_t size = padded(sizeof(struct registry));
    size += padded(b->patients.count * sizeof(struct registry_patient));
    size += padded(b->identifiers.count * sizeof(struct registry_identifier));
    size += padded(b->devices.count * sizeof(struct registry_device));
    size += padded(b->assignments.count * sizeof(struct registry_assignment));
    size += padded(b->sources.count * sizeof(struct registry_source));
    size += padded(b->source_devices.count * sizeof(struct registry_device *));
    size += padded(b->sources.count * sizeof(char *));
    size += padded(b->organizations.count * sizeof(int64_t));
    const uint32_t counts[] = {b->patients.count, b->identifiers.count, b->devices.count,
                               b->devices.count,  b->sources.count,     b->sources.count};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        size += padded(slots_for(counts[i]) * sizeof(uint32_t));
    return size + b->strings_size;
}

static const struct registry_device **lay_out(struct registry_builder *b)
{
    size_t size = block_size(b);
    b->next = calloc(1, size);
    ensure(b->next != NULL);
    struct registry *made = b->made = take(b, sizeof(*made));
    made->version = b->version;
    made->patients = take(b, b->patients.count * sizeof(*made->patients));
    made->identifiers = take(b, b->identifiers.count * sizeof(*made->identifiers));
    made->devices = take(b, b->devices.count * sizeof(*made->devices));
    made->assignments = take(b, b->assignments.count * sizeof(*made->assignments));
    made->sources = take(b, b->sources.count * sizeof(*made->sources));
    const struct registry_device **device_lists = take(b, b->source_devices.count * sizeof(*device_lists));
    made->certificates = take(b, b->sources.count * sizeof(*made->certificates));
    made->organizations_count = b->organizations.count;
    made->organizations = take(b, b->organizations.count * sizeof(int64_t));
    if (b->organizations.count > 0)
        memcpy(made->organizations, b->organizations.items, b->organizations.count * sizeof(int64_t));
    take_index(b, &made->by_patient, b->patients.count);
    take_index(b, &made->by_identifier, b->identifiers.count);
    take_index(b, &made->by_device, b->devices.count);
    take_index(b, &made->by_serial, b->devices.count);
    take_index(b, &made->by_token, b->sources.count);
    take_index(b, &made->by_certificate, b->sources.count);
    ensure(b->next + b->strings_size == (char *)made + size);
    return device_lists;
}

static void freeze_patients(struct registry_builder *b)
{
    struct registry *made = b->made;
    const struct registry_patient *rows = b->patients.items;
    list_sort(&b->patients, compare_ids);
    for (uint32_t i = 0; i < b->patients.count; i++) {
        struct registry_patient *patient = &made->patients[made->patients_count];
        *patient = rows[i];
        patient->ref = take_string(b, rows[i].ref);
        index_put(&made->by_patient,
                  registry__hash_name(patient->organization_id, patient->ref, strlen(patient->ref)),
                  made->patients_count++);
    }
}

static void freeze_identifiers(struct registry_builder *b)
{
    struct registry *made = b->made;
    const struct identifier_row *rows = b->identifiers.items;
    for (uint32_t i = 0; i < b->identifiers.count; i++) {
        const struct registry_patient *patient = find_patient(made, rows[i].patient_id);
        if (patient == NULL) {
            b->left_out++;
            continue;
        }
        struct registry_identifier *identifier = &made->identifiers[made->identifiers_count];
        identifier->patient = patient;
        memcpy(identifier->hash, rows[i].hash, SHA256_BYTES);
        index_put(&made->by_identifier, registry__hash_digest(patient->organization_id, identifier->hash),
                  made->identifiers_count++);
    }
}

static void freeze_devices(struct registry_builder *b)
{
    struct registry *made = b->made;
    const struct build_device *rows = b->devices.items;
    list_sort(&b->devices, compare_ids);
    for (uint32_t i = 0; i < b->devices.count; i++) {
        made->devices[made->devices_count++] = (struct registry_device){
            .device_id = rows[i].device_id,
            .ref = take_string(b, rows[i].ref),
            .serial = take_string(b, rows[i].serial),
        };
    }
}

/* Assignments of one device lie together. Its organisation is that of the last patient it was given to. */
static void freeze_assignments(struct registry_builder *b)
{
    struct registry *made = b->made;
    const struct build_assignment *rows = b->assignments.items;
    list_sort(&b->assignments, compare_assignments);
    for (uint32_t i = 0; i < b->assignments.count; i++) {
        struct registry_device *device = find_device(made, rows[i].device_id);
        const struct registry_patient *patient = find_patient(made, rows[i].patient_id);
        if (device == NULL || patient == NULL) {
            b->left_out++;
            continue;
        }
        struct registry_assignment *assignment = &made->assignments[made->assignments_count++];
        *assignment = (struct registry_assignment){rows[i].from_ms, rows[i].to_ms, patient};
        if (device->assignments == NULL)
            device->assignments = assignment;
        device->assignments_count++;
        device->organization_id = patient->organization_id;
    }
}

/* The organisation of a source that does not name one: of its patient, or of its device's patient. */
static int64_t source_organization(const struct registry *made, const struct build_source *row,
                                   const int64_t *devices)
{
    const struct registry_patient *patient =
        row->kind == SOURCE_PATIENT ? find_patient(made, row->patient_id) : NULL;
    if (patient != NULL)
        return patient->organization_id;
    if (row->organization_id == 0 && row->kind == SOURCE_DEVICE && row->devices_count > 0) {
        const struct registry_device *device = find_device(made, devices[0]);
        return device == NULL ? 0 : device->organization_id;
    }
    return row->organization_id;
}

/* A device without a patient belongs to the organisation of a source that lists it. */
static void claim_devices(struct registry_builder *b)
{
    const struct build_source *rows = b->sources.items;
    const int64_t *devices = b->source_devices.items;
    for (uint32_t i = 0; i < b->sources.count; devices += rows[i++].devices_count) {
        int64_t organization_id = source_organization(b->made, &rows[i], devices);
        for (uint32_t j = 0; j < rows[i].devices_count; j++) {
            struct registry_device *device = find_device(b->made, devices[j]);
            if (device != NULL && device->organization_id == 0)
                device->organization_id = organization_id;
        }
    }
}

static void index_devices(struct registry *made)
{
    for (uint32_t i = 0; i < made->devices_count; i++) {
        const struct registry_device *device = &made->devices[i];
        if (device->organization_id == 0)
            continue; /* unknown to everybody */
        index_put(&made->by_device,
                  registry__hash_name(device->organization_id, device->ref, strlen(device->ref)), i);
        if (device->serial != NULL)
            index_put(&made->by_serial,
                      registry__hash_name(device->organization_id, device->serial, strlen(device->serial)),
                      i);
    }
}

/* The devices of the source's own organisation: one that went to another takes no reading through it any
 * more. */
static uint32_t source_devices(struct registry_builder *b, const struct registry_source *source,
                               const struct build_source *row, const int64_t *ids)
{
    const struct registry_device **list = (const struct registry_device **)(uintptr_t)source->devices;
    uint32_t count = 0;
    for (uint32_t i = 0; i < row->devices_count; i++) {
        const struct registry_device *device = find_device(b->made, ids[i]);
        if (device != NULL && device->organization_id == source->organization_id)
            list[count++] = device;
        else
            b->left_out++;
    }
    if (count > 1)
        qsort(list, count, sizeof(*list), compare_pointers);
    return count;
}

static bool source_is_whole(const struct registry_source *source)
{
    if (source->organization_id == 0)
        return false;
    if (source->kind == SOURCE_PATIENT)
        return source->patient != NULL;
    return source->kind != SOURCE_DEVICE || source->devices_count == 1;
}

static void freeze_sources(struct registry_builder *b, const struct registry_device **device_lists)
{
    struct registry *made = b->made;
    const struct build_source *rows = b->sources.items;
    const int64_t *ids = b->source_devices.items;
    for (uint32_t i = 0; i < b->sources.count; ids += rows[i++].devices_count) {
        struct registry_source *source = &made->sources[made->sources_count];
        *source = (struct registry_source){
            .source_id = rows[i].source_id,
            .organization_id = source_organization(made, &rows[i], ids),
            .kind = rows[i].kind,
            .patient = rows[i].kind == SOURCE_PATIENT ? find_patient(made, rows[i].patient_id) : NULL,
            .devices = device_lists,
            .has_token = rows[i].has_token,
        };
        source->devices_count = source_devices(b, source, &rows[i], ids);
        if (!source_is_whole(source)) {
            b->left_out++;
            continue;
        }
        device_lists += source->devices_count;
        source->ref = take_string(b, rows[i].ref);
        made->certificates[made->sources_count] = take_string(b, rows[i].certificate);
        memcpy(source->token_sha256, rows[i].token_sha256, SHA256_BYTES);
        made->sources_count++;
    }
}

static void index_sources(struct registry *made)
{
    for (uint32_t i = 0; i < made->sources_count; i++) {
        const char *certificate = made->certificates[i];
        if (made->sources[i].has_token)
            index_put(&made->by_token, registry__hash_digest(0, made->sources[i].token_sha256), i);
        if (certificate != NULL)
            index_put(&made->by_certificate, registry__hash_name(0, certificate, strlen(certificate)), i);
    }
}

struct registry *registry_build(struct registry_builder **builder, uint32_t *ret_left_out)
{
    struct registry_builder *b = *builder;
    const struct registry_device **device_lists = lay_out(b);
    freeze_patients(b);
    freeze_identifiers(b);
    freeze_devices(b);
    freeze_assignments(b);
    claim_devices(b);
    index_devices(b->made);
    freeze_sources(b, device_lists);
    index_sources(b->made);
    struct registry *made = b->made;
    *ret_left_out = b->left_out;
    registry_builder_free(b);
    *builder = NULL;
    return made;
}

void registry_free(struct registry *registry)
{
    free(registry); /* one block */
}
