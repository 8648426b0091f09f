/* import: enrolment as NDJSON (INTERFACES.md section 2) applied to rows: checked line by line, whole or not
 * at all.
 * Owner:   the caller holds rows and changes; on refusal the changes made so far are undone.
 * Threads: one at a time. Asks the outside (numbers for new rows, readings received) through import_options
 *          only.
 * Fails:   ERR_REFUSED fills *ret_fault; other errors are those of the callbacks. */
#ifndef VIGIE_DAEMON_REGISTRY_IMPORT_H
#define VIGIE_DAEMON_REGISTRY_IMPORT_H

#include "alerting/rule.h"
#include "daemon/registry/registry_changes.h"

struct import_fault {
    unsigned line; /* of the file, from 1; 0: the whole */
    char what[120], found[240], expected[240], hint[240];
};

struct import_options {
    const uint8_t *identifier_key; /* 32 bytes */
    bool test_mode;
    struct rule_bounds bounds;
    int64_t assignment_grace_ms;
    bool bounds_enrolment; /* refuses the patient beyond those: the memory for readings is used up */
    uint64_t enrolments_max;
    enum err (*next_id)(void *context, enum row_table table, int64_t *ret_id);
    /* Whether readings of the device were received for that patient in [from_ms, to_ms). */
    enum err (*has_readings)(void *context, int64_t device_id, int64_t patient_id,
                             const int64_t from_to_ms[2], bool *ret);
    void *context;
};

struct import_result {
    unsigned lines, changed;
};

MUST_CHECK enum err import_apply(struct rows *rows, struct row_changes *changes,
                                 const struct import_options *options, const char *ndjson, size_t size,
                                 struct import_result *ret_result, struct import_fault *ret_fault);

/* One rule of a preset, as the line layer's newest version unless the preset said the same before. An
 * operator's own version of the line stands until the preset itself changes. */
MUST_CHECK enum err import_preset_rule(struct rows *rows, struct row_changes *changes,
                                       const struct import_options *options, const char *line,
                                       const char *rule_json, struct import_fault *ret_fault);

/* "what, found …, expected …, hint …" for a terminal or a log. */
void import_fault_line(const struct import_fault *fault, const char *file, char *out, size_t size);
/* {"what","found","expected","hint","line"} */
void import_fault_render(const struct import_fault *fault, struct buffer *out);

/* Refs: letters, digits and . _ : - @ = ~, beginning with a letter or digit, at most REF_BYTES_MAX. */
bool import_ref_is_good(const char *ref);
/* The shape of a NIR or NIA (daemon/model/ins.h), spaced or not, with or without its key, right or wrong. */
bool import_ref_is_nir(const char *ref);

#endif
