/* registry_build: collects rows and freezes them into one snapshot.
 * Owner:   registry_builder_new() gives; registry_build() takes the builder and gives the snapshot, which
 *          registry_free() takes. Strings and zones of rows are borrowed until the build; zones for the
 *          snapshot's life.
 * Threads: one at a time. Order of rows is free; a row whose partner never comes is left out, and counted.
 * Fails:   memory is ensure(); nothing else can fail. */
#ifndef VIGIE_DAEMON_REGISTRY_BUILD_H
#define VIGIE_DAEMON_REGISTRY_BUILD_H

#include "daemon/registry/registry.h"

struct registry_builder;

struct build_device {
    int64_t device_id;
    const char *ref, *serial; /* serial may be NULL */
};

struct build_assignment {
    int64_t device_id, patient_id, from_ms, to_ms;
};

struct build_source {
    int64_t source_id, organization_id; /* organization_id 0: that of its patient, or of its device */
    const char *ref, *certificate;      /* certificate may be NULL */
    enum source_kind kind;
    int64_t patient_id;        /* kind patient */
    const int64_t *device_ids; /* copied */
    uint32_t devices_count;
    uint8_t token_sha256[SHA256_BYTES];
    bool has_token;
};

struct registry_builder *registry_builder_new(int64_t version);
void registry_builder_free(struct registry_builder *builder);

void registry_add_patient(struct registry_builder *builder, const struct registry_patient *patient);
void registry_add_identifier(struct registry_builder *builder, int64_t patient_id,
                             const uint8_t hash[SHA256_BYTES]);
void registry_add_device(struct registry_builder *builder, const struct build_device *device);
void registry_add_assignment(struct registry_builder *builder, const struct build_assignment *assignment);
void registry_add_source(struct registry_builder *builder, const struct build_source *source);

/* Takes the builder. *ret_left_out: rows that named a patient or device that is not there, or that would have
 * crossed organisations (never NULL). */
struct registry *registry_build(struct registry_builder **builder, uint32_t *ret_left_out);
void registry_free(struct registry *registry);

#endif
