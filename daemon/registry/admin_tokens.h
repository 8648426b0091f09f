/* admin_tokens: who may call the admin port: SHA-256 of a token, its role and its name (INTERFACES.md section
 * 7). The rows of vigie.admin_token, kept in a file of state_dir so that a start without PostgreSQL knows
 * them. Owner:   the registry service. Threads: the registry thread loads, the admin loop alone finds;
 * between them goes a set that never changes. Fails:   what cannot be loaded leaves what was known. */
#ifndef VIGIE_DAEMON_REGISTRY_ADMIN_TOKENS_H
#define VIGIE_DAEMON_REGISTRY_ADMIN_TOKENS_H

#include <stdbool.h>

#include "daemon/base/cipher.h"
#include "daemon/base/hash.h"
#include "daemon/base/limits.h"
#include "daemon/registry/registry_transaction.h"

struct admin_token {
    uint8_t sha256[SHA256_BYTES];
    char role[16];
    char name[REF_BYTES_MAX + 1]; /* author of what is done with it */
};

struct admin_tokens;

/* Reads the file at `path` if there is one; `keys` is borrowed. */
struct admin_tokens *admin_tokens_new(const char *path, const struct cipher_keys *keys);
void admin_tokens_free(struct admin_tokens *tokens);

bool admin_tokens_find(struct admin_tokens *tokens, const uint8_t sha256[SHA256_BYTES],
                       struct admin_token *ret);

/* Takes over the table; writes the file when it differs. */
MUST_CHECK enum err admin_tokens_load(struct admin_tokens *tokens, struct postgres *postgres);

/* A new token of a role, into the table alone. ERR_REFUSED: the table takes no such role. */
MUST_CHECK enum err admin_tokens_issue(struct postgres *postgres, const char *role, const char *author,
                                       char token[TOKEN_TEXT_MAX]);

#endif
