/* registry_file: state_dir/registry and state_dir/registry.delta, from which vigied starts and serves without
 * PostgreSQL. Both are sealed (daemon/base/sealed_file.h) and hold hashes of identifiers and tokens only.
 *   base    one JSON object a line: {"table":"patient","changed":12,"changed_at":"…Z","patient_id":17,…}
 *   delta   the same for every row changed since the base, in order; {"table":…,"gone":true,…}: a row taken
 * out both end with {"version":12,"rows":4711,"serial":"<16 hex digits>"}; a delta belongs to the base with
 * its serial So a change among 100,000 patients costs a file of its own size; the base is made anew when the
 * delta has grown. Crash: each file is replaced whole. A new base has a new serial, so a delta of the one
 * before, whose rows it holds, is passed by. A base without a delta is whole. Owner:   the registry service.
 * Threads: one at a time. Fails:   damaged, sealed under a key that is gone, or of another form: nothing of
 * it is used, never an empty registry; the caller says so. */
#ifndef VIGIE_DAEMON_REGISTRY_FILE_H
#define VIGIE_DAEMON_REGISTRY_FILE_H

#include "daemon/base/cipher.h"
#include "daemon/registry/registry_changes.h"

struct registry_file;

/* `keys` is borrowed. */
struct registry_file *registry_file_new(const char *path, const struct cipher_keys *keys);
void registry_file_free(struct registry_file *file);

/* ERR_NOT_FOUND: there is none; any other error: it is there and cannot be used. Gives the rows. */
MUST_CHECK enum err registry_file_load(struct registry_file *file, struct rows **ret_rows,
                                       int64_t *ret_version);
/* The set is already in `rows` and not yet kept; after an error the next save writes everything. */
MUST_CHECK enum err registry_file_save(struct registry_file *file, const struct rows *rows,
                                       const struct row_changes *changes, int64_t version);
/* Whether the delta is worth a new base at a quiet moment; registry_file_renew() makes it. */
bool registry_file_is_grown(const struct registry_file *file);
MUST_CHECK enum err registry_file_renew(struct registry_file *file, const struct rows *rows, int64_t version);

#endif
