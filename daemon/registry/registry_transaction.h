/* registry_transaction: an import or a new token as one transaction of PostgreSQL over rows in memory; the
 * registry thread and, with the daemon down, vigiectl run the same.
 * Owner:   connection and rows are borrowed. On success `changes` holds what was committed, for
 *          changes_keep().
 * Threads: the caller's.
 * Fails:   ERR_REFUSED fills the fault; ERR_UNAVAILABLE: PostgreSQL is away or went away, whether it
 *          committed is not known; ERR_STALE: others wrote, load and do it again; ERR_NOT_FOUND: no such
 *          source. Rows are then as they were. */
#ifndef VIGIE_DAEMON_REGISTRY_TRANSACTION_H
#define VIGIE_DAEMON_REGISTRY_TRANSACTION_H

#include "config/config.h"
#include "daemon/base/hash.h"
#include "daemon/registry/import.h"
#include "storage/postgres.h"

struct registry_transaction {
    struct postgres *postgres;
    struct rows *rows;
    int64_t *version; /* of the rows; follows */
    const struct config *config;
    const uint8_t *identifier_key;
    const struct slab *const *slabs; /* [shards]; shards 0: enrolment is not bounded */
    uint32_t shards;
    struct row_changes *changes;
    /* The shards' word on readings that PostgreSQL may not have yet; NULL: no daemon runs, PostgreSQL knows.
     */
    enum err (*ask_received)(void *context, int64_t patient_id, const char *device,
                             const int64_t from_to_ms[2], bool *ret);
    void *ask_context;
    struct import_result result;
    struct import_fault fault;
};

enum { TOKEN_TEXT_MAX = 44 }; /* 256 bits as base64url without padding */

/* 256 random bits as text, and what is stored of them. */
MUST_CHECK enum err registry_new_token(char token[TOKEN_TEXT_MAX], uint8_t digest[SHA256_BYTES]);
MUST_CHECK enum err registry_import(struct registry_transaction *transaction, const char *ndjson,
                                    size_t size);
MUST_CHECK enum err registry_issue_token(struct registry_transaction *transaction, const char *source,
                                         char token[TOKEN_TEXT_MAX]);
/* The presets of presets_dir as versions of the line layer; a preset that cannot be loaded is logged and left
 * out. */
MUST_CHECK enum err registry_load_presets(struct registry_transaction *transaction);

#endif
