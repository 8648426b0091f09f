/* registry_file: state_dir/registry, from which vigied starts and serves without PostgreSQL.
 *   one JSON object a line: {"table":"patient","changed":12,"changed_at":"…Z","patient_id":17,…}
 *   last line:              {"version":12,"rows":4711,"checksum":"<16 hex digits>"}
 * Valid when the last line is there, the rows are as many and the checksum (XXH3 of all bytes before, mixed
 * with the version) holds. A crash while writing leaves the file before: the new one is written aside,
 * synced, renamed over it, and the directory synced. It holds hashes of identifiers and tokens only, never
 * what they are hashes of. Threads: one at a time. */
#ifndef VIGIE_DAEMON_REGISTRY_FILE_H
#define VIGIE_DAEMON_REGISTRY_FILE_H

#include "daemon/registry/registry_rows.h"

MUST_CHECK enum err registry_file_write(const char *path, const struct rows *rows, int64_t version);
/* ERR_NOT_FOUND: there is none; ERR_CORRUPT: torn or damaged, nothing of it is used. Gives the rows. */
MUST_CHECK enum err registry_file_read(const char *path, struct rows **ret_rows, int64_t *ret_version);

#endif
