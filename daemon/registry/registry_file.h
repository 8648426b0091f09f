/* registry_file: state_dir/registry and state_dir/registry.delta, from which vigied starts and serves without
 * PostgreSQL. Both are sealed (daemon/base/sealed_file.h) and hold hashes of identifiers and tokens only.
 *   base    one JSON object a line: {"table":"patient","changed":12,"changed_at":"…Z","patient_id":17,…}
 *   delta   the same for every row changed since the base, in order; {"table":…,"gone":true,…}: a row taken
 * out both end with {"version":12,"rows":4711,"serial":"<16 hex digits>"}; a delta belongs to the base with
 * its serial. So a change among 100,000 patients costs a file of its own size.
 *
 * A base is made anew when the delta has grown, in slices between changes: a change never waits for one.
 * While it is made, every set goes to the delta of the base before, as ever, and as lines to the end of the
 * new base so far. A line says what a row is at the moment of writing, so the lines of one row stand in the
 * order of its states and the last one holds: the base is whole in the instant that it is finished, whatever
 * changed in the making, and needs no delta. Crash: in the making only <base>.new exists besides the old
 * pair, which holds every change answered; it is passed by and overwritten. The finish is one rename, synced:
 * before it the old pair counts, after it the new base, whose serial is new, so that the delta of the one
 * before, whose rows it holds, is passed by. Each file is replaced whole. One set beyond 4 MiB (some 10,000
 * rows) is written as a base at once, which its own answer waits for. Owner:   the registry service. Threads:
 * one at a time. Fails:   damaged, sealed under a key that is gone, or of another form: nothing of it is
 * used, never an empty registry; the caller says so. */
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
/* The set is already in `rows` and not yet kept. After an error the next save writes it too. */
MUST_CHECK enum err registry_file_save(struct registry_file *file, const struct rows *rows,
                                       const struct row_changes *changes, int64_t version);
/* The same without writing yet: the next save does, whatever its set. */
void registry_file_add(struct registry_file *file, const struct row_changes *changes);
/* Whether the delta is worth a new base: at a quiet moment, or at once. */
bool registry_file_is_grown(const struct registry_file *file, bool quiet);
/* Between sets: begins a base or goes on with it for some `slice_ms` (a table's keys are noted in one go: 10
 * ms at 100,000), until registry_file_is_renewing() says no. An error abandons it; the old pair goes on. */
MUST_CHECK enum err registry_file_renew_some(struct registry_file *file, const struct rows *rows,
                                             int64_t version, int64_t slice_ms);
bool registry_file_is_renewing(const struct registry_file *file);
/* The whole base at once. */
MUST_CHECK enum err registry_file_renew(struct registry_file *file, const struct rows *rows, int64_t version);

#endif
