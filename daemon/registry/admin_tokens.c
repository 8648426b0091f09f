/* The file is the table as text, sealed, a line a token: SHA-256 in hex, role, name. Few rows: found by
 * walking.
 *
 *   registry thread: table ──> set ──exchange──> offered ──exchange──> held :admin loop
 */
#include "daemon/registry/admin_tokens.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/sealed_file.h"

enum { FILE_BYTES_MAX = 1 << 20, NAME_HEX = 12 };

struct token_set {
    unsigned count;
    struct admin_token items[];
};

struct admin_tokens {
    _Atomic(struct token_set *) offered; /* by the registry thread; NULL: the admin loop has taken it */
    struct token_set *held;              /* the admin loop's */
    struct buffer text;                  /* the registry thread's: the file's content */
    const struct cipher_keys *keys;
    char path[4200];
};

static size_t count_lines(const struct buffer *text)
{
    size_t lines = 0;
    for (size_t i = 0; i < text->size; i++)
        lines += text->data[i] == '\n';
    return lines;
}

static void parse(const struct buffer *text, struct token_set *set)
{
    for (const char *at = text->data, *end = at + text->size; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        char line[256], hex[2 * SHA256_BYTES + 1];
        struct admin_token token;
        if (newline == NULL)
            break;
        snprintf(line, sizeof(line), "%.*s", (int)(newline - at), at);
        at = newline + 1;
        if (sscanf(line, "%64s %15s %64s", hex, token.role, token.name) == 3 &&
            hex_parse(hex, strlen(hex), token.sha256, sizeof(token.sha256)) == OK)
            set->items[set->count++] = token;
    }
}

static void take(struct admin_tokens *tokens, struct buffer *text)
{
    struct token_set *set = calloc(1, sizeof(*set) + count_lines(text) * sizeof(set->items[0]));
    ensure(set != NULL);
    parse(text, set);
    free(atomic_exchange(&tokens->offered, set)); /* one that nobody took */
    buffer_deinit(&tokens->text);
    tokens->text = *text; /* takes */
}

struct admin_tokens *admin_tokens_new(const char *path, const struct cipher_keys *keys)
{
    struct admin_tokens *tokens = calloc(1, sizeof(*tokens));
    struct buffer text = {.data = NULL};
    ensure(tokens != NULL);
    snprintf(tokens->path, sizeof(tokens->path), "%s", path);
    tokens->keys = keys;
    enum err error = sealed_file_read(path, keys, "admin-tokens", FILE_BYTES_MAX, &text);
    if (error == OK) {
        take(tokens, &text);
        return tokens;
    }
    buffer_deinit(&text);
    if (error != ERR_NOT_FOUND)
        log_write(LOG_WARNING, "registry",
                  "the tokens of the admin port cannot be read path=%s error=%s hint=PostgreSQL has them",
                  path, err_text(error));
    return tokens;
}

void admin_tokens_free(struct admin_tokens *tokens)
{
    if (tokens == NULL)
        return;
    free(atomic_load(&tokens->offered));
    free(tokens->held);
    buffer_deinit(&tokens->text);
    free(tokens);
}

bool admin_tokens_find(struct admin_tokens *tokens, const uint8_t sha256[SHA256_BYTES],
                       struct admin_token *ret)
{
    struct token_set *newer = atomic_exchange(&tokens->offered, NULL);
    if (newer != NULL) {
        free(tokens->held);
        tokens->held = newer;
    }
    for (unsigned i = 0; tokens->held != NULL && i < tokens->held->count; i++) {
        if (memcmp(tokens->held->items[i].sha256, sha256, SHA256_BYTES) != 0)
            continue;
        *ret = tokens->held->items[i];
        return true;
    }
    return false;
}

enum err admin_tokens_load(struct admin_tokens *tokens, struct postgres *postgres)
{
    PGresult *result = NULL;
    struct buffer text = {.data = NULL};
    enum err error = postgres_query(
        postgres,
        "SELECT encode(token_sha256, 'hex'), role, name FROM vigie.admin_token ORDER BY token_sha256", NULL,
        &result);
    if (error != OK)
        return error;
    for (int row = 0; row < PQntuples(result); row++)
        buffer_printf(&text, "%s %s %s\n", PQgetvalue(result, row, 0), PQgetvalue(result, row, 1),
                      PQgetvalue(result, row, 2));
    PQclear(result);
    if (text.size == tokens->text.size &&
        (text.size == 0 || memcmp(text.data, tokens->text.data, text.size) == 0)) {
        buffer_deinit(&text);
        return OK;
    }
    take(tokens, &text);
    error = sealed_file_replace(tokens->path, tokens->keys, "admin-tokens", tokens->text.data,
                                tokens->text.size, 0600);
    if (error != OK)
        log_write(LOG_ERROR, "registry",
                  "cannot write the tokens of the admin port path=%s error=%s hint=a start without "
                  "PostgreSQL would "
                  "know the ones before",
                  tokens->path, err_text(error));
    return OK;
}

enum err admin_tokens_issue(struct postgres *postgres, const char *role, const char *author,
                            char token[TOKEN_TEXT_MAX])
{
    uint8_t digest[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1], name[64];
    PGresult *result = NULL;
    enum err error = registry_new_token(token, digest);
    if (error != OK)
        return error;
    hex_format(digest, sizeof(digest), hex);
    snprintf(name, sizeof(name), "%.15s-%.*s", role, NAME_HEX, hex);
    const char *values[] = {hex, role, name, author};
    const struct postgres_parameters parameters = {.count = 4, .values = values};
    error = postgres_query(postgres,
                           "INSERT INTO vigie.admin_token (token_sha256, role, name, issued_by) "
                           "VALUES (decode($1, 'hex'), $2, $3, $4)",
                           &parameters, &result);
    if (error == OK)
        PQclear(result);
    return error;
}
