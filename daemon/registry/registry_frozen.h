/* registry_frozen: what a snapshot is made of; shared by registry.c (looks up) and registry_build.c (makes)
 * alone. One block of memory holds everything: the structs that registry.h shows, their strings, and six
 * hash tables of indices. A table has a power of two of slots, at most half full; a slot is index + 1, 0 is
 * empty, and a probe goes on to the next slot. Nothing is ever removed: a change is a new snapshot. */
#ifndef VIGIE_DAEMON_REGISTRY_FROZEN_H
#define VIGIE_DAEMON_REGISTRY_FROZEN_H

#include "daemon/registry/registry.h"

struct registry_index {
    uint32_t *slots;
    uint32_t mask;
};

struct registry_identifier {
    const struct registry_patient *patient;
    uint8_t hash[SHA256_BYTES];
};

struct registry {
    int64_t version;
    struct registry_patient *patients;
    struct registry_identifier *identifiers;
    struct registry_device *devices;
    struct registry_assignment *assignments;
    struct registry_source *sources;
    int64_t *organizations;    /* of patients and sources, each once */
    const char **certificates; /* [sources]; NULL without */
    uint32_t patients_count, identifiers_count, devices_count, assignments_count, sources_count,
        organizations_count;
    struct registry_index by_patient, by_identifier, by_device, by_serial, by_token, by_certificate;
};

/* Keys of the tables: organisation-scoped names, and digests that are hashes already. */
uint64_t registry__hash_name(int64_t organization_id, const char *name, size_t size);
uint64_t registry__hash_digest(int64_t organization_id, const uint8_t digest[SHA256_BYTES]);

#endif
