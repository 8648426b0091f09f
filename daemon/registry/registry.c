/* Lookups in a snapshot. Every question of admission is one probe sequence in one table and touches nothing
 * that another thread writes; refs, identifiers and serials are asked for inside one organisation, so that
 * what another has is simply not found (INTERFACES.md section 4). */
#include "daemon/registry/registry.h"

#include <string.h>

#include "daemon/base/instant.h"
#include "daemon/registry/registry_frozen.h"

uint64_t registry__hash_name(int64_t organization_id, const char *name, size_t size)
{
    return hash_xxh64(name, size) ^ hash_mix64((uint64_t)organization_id);
}

uint64_t registry__hash_digest(int64_t organization_id, const uint8_t digest[SHA256_BYTES])
{
    uint64_t head;
    memcpy(&head, digest, sizeof(head)); /* a cryptographic digest is as good as any hash of it */
    return head ^ hash_mix64((uint64_t)organization_id);
}

/* A walk over the candidates of one hash. */
struct probe {
    const struct registry_index *index;
    uint64_t at;
};

static struct probe probe_start(const struct registry_index *index, uint64_t hash)
{
    return (struct probe){.index = index, .at = hash};
}

/* Index of the next candidate, -1 at the first empty slot. */
static int64_t probe_next(struct probe *probe)
{
    uint32_t slot = probe->index->slots[probe->at & probe->index->mask];
    probe->at++;
    return (int64_t)slot - 1;
}

static bool name_equals(const char *name, const char *wanted, size_t size)
{
    return strncmp(name, wanted, size) == 0 && name[size] == '\0';
}

int64_t registry_version(const struct registry *registry)
{
    return registry->version;
}

const struct registry_source *registry_source_by_token(const struct registry *registry,
                                                       const uint8_t sha256[SHA256_BYTES])
{
    struct probe probe = probe_start(&registry->by_token, registry__hash_digest(0, sha256));
    for (int64_t i; (i = probe_next(&probe)) >= 0;)
        if (memcmp(registry->sources[i].token_sha256, sha256, SHA256_BYTES) == 0)
            return &registry->sources[i];
    return NULL;
}

const struct registry_source *registry_source_by_ref(const struct registry *registry, const char *ref)
{
    for (uint32_t i = 0; i < registry->sources_count; i++)
        if (strcmp(registry->sources[i].ref, ref) == 0)
            return &registry->sources[i];
    return NULL;
}

const struct registry_source *registry_source_by_certificate(const struct registry *registry,
                                                             const char *name)
{
    size_t size = strlen(name);
    struct probe probe = probe_start(&registry->by_certificate, registry__hash_name(0, name, size));
    for (int64_t i; (i = probe_next(&probe)) >= 0;)
        if (name_equals(registry->certificates[i], name, size))
            return &registry->sources[i];
    return NULL;
}

const struct registry_patient *registry_patient_by_ref(const struct registry *registry,
                                                       int64_t organization_id, const char *ref, size_t size)
{
    struct probe probe = probe_start(&registry->by_patient, registry__hash_name(organization_id, ref, size));
    for (int64_t i; (i = probe_next(&probe)) >= 0;) {
        const struct registry_patient *patient = &registry->patients[i];
        if (patient->organization_id == organization_id && name_equals(patient->ref, ref, size))
            return patient;
    }
    return NULL;
}

const struct registry_patient *registry_patient_by_identifier(const struct registry *registry,
                                                              int64_t organization_id,
                                                              const uint8_t hash[SHA256_BYTES])
{
    struct probe probe = probe_start(&registry->by_identifier, registry__hash_digest(organization_id, hash));
    for (int64_t i; (i = probe_next(&probe)) >= 0;) {
        const struct registry_identifier *identifier = &registry->identifiers[i];
        if (identifier->patient->organization_id == organization_id &&
            memcmp(identifier->hash, hash, SHA256_BYTES) == 0)
            return identifier->patient;
    }
    return NULL;
}

const struct registry_device *registry_device_by_ref(const struct registry *registry, int64_t organization_id,
                                                     const char *ref, size_t size)
{
    struct probe probe = probe_start(&registry->by_device, registry__hash_name(organization_id, ref, size));
    for (int64_t i; (i = probe_next(&probe)) >= 0;) {
        const struct registry_device *device = &registry->devices[i];
        if (device->organization_id == organization_id && name_equals(device->ref, ref, size))
            return device;
    }
    return NULL;
}

/* Makers reuse serial numbers: one that two devices of an organisation carry names neither. */
const struct registry_device *registry_device_by_serial(const struct registry *registry,
                                                        int64_t organization_id, const char *serial,
                                                        size_t size)
{
    const struct registry_device *found = NULL;
    struct probe probe =
        probe_start(&registry->by_serial, registry__hash_name(organization_id, serial, size));
    for (int64_t i; (i = probe_next(&probe)) >= 0;) {
        const struct registry_device *device = &registry->devices[i];
        if (device->organization_id != organization_id || !name_equals(device->serial, serial, size))
            continue;
        if (found != NULL)
            return NULL;
        found = device;
    }
    return found;
}

/* ---- elsewhere: the same questions, put for every other organisation ---- */

bool registry_patient_elsewhere(const struct registry *registry, int64_t organization_id, const char *ref,
                                size_t size)
{
    for (uint32_t i = 0; i < registry->organizations_count; i++)
        if (registry->organizations[i] != organization_id &&
            registry_patient_by_ref(registry, registry->organizations[i], ref, size) != NULL)
            return true;
    return false;
}

bool registry_identifier_elsewhere(const struct registry *registry, int64_t organization_id,
                                   const uint8_t hash[SHA256_BYTES])
{
    for (uint32_t i = 0; i < registry->organizations_count; i++)
        if (registry->organizations[i] != organization_id &&
            registry_patient_by_identifier(registry, registry->organizations[i], hash) != NULL)
            return true;
    return false;
}

bool registry_device_elsewhere(const struct registry *registry, int64_t organization_id, const char *ref,
                               size_t size)
{
    for (uint32_t i = 0; i < registry->organizations_count; i++)
        if (registry->organizations[i] != organization_id &&
            registry_device_by_ref(registry, registry->organizations[i], ref, size) != NULL)
            return true;
    return false;
}

bool registry_source_has_device(const struct registry_source *source, const struct registry_device *device)
{
    uint32_t low = 0, high = source->devices_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (source->devices[middle] == device)
            return true;
        if ((uintptr_t)source->devices[middle] < (uintptr_t)device)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

const struct registry_patient *registry_assigned_to(const struct registry_device *device,
                                                    int64_t measured_at_ms, int64_t grace_ms)
{
    uint32_t low = 0, high = device->assignments_count; /* the first that begins later than the instant */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (device->assignments[middle].from_ms <= measured_at_ms)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0) {
        bool graced =
            device->assignments_count > 0 && measured_at_ms >= device->assignments[0].from_ms - grace_ms;
        return graced ? device->assignments[0].patient : NULL;
    }
    const struct registry_assignment *last = &device->assignments[low - 1];
    return last->to_ms == INSTANT_NONE || measured_at_ms < last->to_ms ? last->patient : NULL;
}

void registry_identifier_hash(const uint8_t key[32], const char *system, size_t system_size,
                              const char *value, size_t value_size, uint8_t out[SHA256_BYTES])
{
    char text[IDENTIFIER_BYTES_MAX + 1];
    memset(out, 0, SHA256_BYTES);
    if (system_size > IDENTIFIER_BYTES_MAX || value_size > IDENTIFIER_BYTES_MAX - system_size)
        return; /* nobody's: no digest is zero, and an import refuses what is longer */
    memcpy(text, system, system_size);
    text[system_size] = '\x1f'; /* U+001F: neither part may contain it */
    memcpy(text + system_size + 1, value, value_size);
    hash_hmac_sha256(key, 32, text, system_size + 1 + value_size, out);
}
