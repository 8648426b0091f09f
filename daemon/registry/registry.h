/* registry: who may say what about whom: an immutable snapshot that the ingest loops admit readings by.
 * Owner:   the registry thread builds and frees snapshots; a loop borrows the one it was handed last until
 *          it has answered the next (DESIGN.md section 3). Threads: any may read.
 * Holds:   identifiers only as HMAC-SHA-256(system U+001F value); tokens only as SHA-256. */
#ifndef VIGIE_DAEMON_REGISTRY_REGISTRY_H
#define VIGIE_DAEMON_REGISTRY_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/hash.h"
#include "daemon/base/zone.h"

enum source_kind { SOURCE_DEVICE, SOURCE_GATEWAY, SOURCE_SYSTEM, SOURCE_PATIENT };

struct registry_patient {
    int64_t patient_id, organization_id;
    const char *ref;
    const struct zone *zone;
    int64_t enrolled_at_ms, left_at_ms; /* INSTANT_NONE: still here */
};

struct registry_assignment {
    int64_t from_ms, to_ms; /* to_ms INSTANT_NONE: open */
    const struct registry_patient *patient;
};

struct registry_device {
    int64_t device_id;
    int64_t organization_id;  /* of its patient, else of a source that lists it; 0: unknown to everybody */
    const char *ref, *serial; /* serial may be NULL */
    const struct registry_assignment *assignments; /* by from_ms, without overlap */
    uint32_t assignments_count;
};

struct registry_source {
    int64_t source_id, organization_id;
    const char *ref;
    enum source_kind kind;
    const struct registry_patient *patient;       /* kind patient */
    const struct registry_device *const *devices; /* kinds device (one) and gateway, sorted by pointer */
    uint32_t devices_count;
    uint8_t token_sha256[SHA256_BYTES];
    bool has_token;
};

struct registry; /* the snapshot */

int64_t registry_version(const struct registry *registry);

/* NULL when unknown. A device or patient of another organisation is unknown to the caller (INTERFACES section
 * 4). */
const struct registry_source *registry_source_by_token(const struct registry *registry,
                                                       const uint8_t sha256[SHA256_BYTES]);
/* Walks along all of them: whoever asks keeps what is found. */
const struct registry_source *registry_source_by_ref(const struct registry *registry, const char *ref);
const struct registry_source *registry_source_by_certificate(const struct registry *registry,
                                                             const char *name);
const struct registry_patient *registry_patient_by_ref(const struct registry *registry,
                                                       int64_t organization_id, const char *ref, size_t size);
const struct registry_patient *registry_patient_by_identifier(const struct registry *registry,
                                                              int64_t organization_id,
                                                              const uint8_t hash[SHA256_BYTES]);
const struct registry_device *registry_device_by_ref(const struct registry *registry, int64_t organization_id,
                                                     const char *ref, size_t size);
const struct registry_device *registry_device_by_serial(const struct registry *registry,
                                                        int64_t organization_id, const char *serial,
                                                        size_t size);

/* Whether an organisation other than the caller's has it: tells "another's" from "nobody's" for traces, never
 * for answers. Asks each organisation. */
bool registry_patient_elsewhere(const struct registry *registry, int64_t organization_id, const char *ref,
                                size_t size);
bool registry_identifier_elsewhere(const struct registry *registry, int64_t organization_id,
                                   const uint8_t hash[SHA256_BYTES]);
bool registry_device_elsewhere(const struct registry *registry, int64_t organization_id, const char *ref,
                               size_t size);

bool registry_source_has_device(const struct registry_source *source, const struct registry_device *device);

/* Whose the device was at the instant; `grace_ms` reaches before its very first assignment. NULL: nobody's.
 */
const struct registry_patient *registry_assigned_to(const struct registry_device *device,
                                                    int64_t measured_at_ms, int64_t grace_ms);

/* The hash that all matching uses. What is longer than IDENTIFIER_BYTES_MAX hashes to zeros, which match
 * nobody. */
enum { IDENTIFIER_BYTES_MAX = 1024 }; /* system and value together */
void registry_identifier_hash(const uint8_t key[32], const char *system, size_t system_size,
                              const char *value, size_t value_size, uint8_t out[SHA256_BYTES]);

#endif
