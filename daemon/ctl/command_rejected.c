/* rejected lists what senders who cannot be told have sent in vain, and shows one: the payload is opened
 * here, with the journal's key, and goes to standard output to the byte. */
#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "daemon/ctl/listing.h"
#include "storage/rejected_seal.h"

static const struct listing_column columns[] = {
    {"rejected_id", 11, LISTING_NUMBER}, {"received_at", 24, LISTING_TEXT}, {"source", 16, LISTING_TEXT},
    {"code", 18, LISTING_TEXT},          {"bytes", 8, LISTING_NUMBER},      {"text", 60, LISTING_TEXT},
};

/* A head of 52 bytes: storage/rejected_seal.h. */
static const char list_query[] =
    "SELECT rejected_id, to_char(received_at AT TIME ZONE 'UTC', f), s.ref, code, octet_length(original) - "
    "52, "
    "text FROM vigie.rejected LEFT JOIN vigie.source s USING (source_id), " LISTING_TIMES
    " WHERE $1 = '' OR s.ref = $1 ORDER BY rejected_id";

static const char show_query[] =
    "SELECT to_char(received_at AT TIME ZONE 'UTC', f), (extract(epoch FROM received_at) * 1000)::bigint, "
    "s.ref, "
    "coalesce(source_id, 0), code, text, encode(original, 'hex') "
    "FROM vigie.rejected LEFT JOIN vigie.source s USING (source_id), " LISTING_TIMES
    " WHERE rejected_id = $1::bigint";
enum { SHOW_AT, SHOW_AT_MS, SHOW_SOURCE, SHOW_SOURCE_ID, SHOW_CODE, SHOW_TEXT, SHOW_ORIGINAL };

int ctl_rejected_list(struct ctl *ctl, int argc, char **argv)
{
    bool json = false;
    const char *source = NULL;
    const struct ctl_option options[] = {
        {"source", &source, NULL}, {"json", NULL, &json}, {NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    if (ctl_parse(argc, argv, options, &arguments) != OK)
        return EX_USAGE;
    if (arguments.count > 0)
        return ctl_fail(ERR_USAGE, "arguments", arguments.items[0], "options alone",
                        "vigiectl rejected list --source REF");
    const char *const values[] = {source == NULL ? "" : source};
    const struct listing listing = {.columns = columns,
                                    .count = sizeof(columns) / sizeof(columns[0]),
                                    .query = list_query,
                                    .parameters = {.count = 1, .values = values},
                                    .json = json};
    return listing_run(ctl, &listing);
}

static void report_fault(void *context, const char *line)
{
    fprintf(stderr, "vigiectl: %s\n", line);
}

/* Out of the hexadecimal text of PostgreSQL. */
static enum err open_original(const struct ctl *ctl, const PGresult *result, struct buffer *original)
{
    const char *hex = PQgetvalue(result, 0, SHOW_ORIGINAL);
    size_t size = strlen(hex) / 2;
    const struct rejected_place place = {strtoll(PQgetvalue(result, 0, SHOW_AT_MS), NULL, 10),
                                         strtoll(PQgetvalue(result, 0, SHOW_SOURCE_ID), NULL, 10)};
    struct cipher_keys keys;
    if (config_keys(ctl->config, report_fault, NULL, &keys) != OK)
        return ERR_CONFIG;
    struct buffer sealed = {0};
    uint8_t *bytes = (uint8_t *)buffer_reserve(&sealed, size + 1);
    for (size_t i = 0; i < size; i++)
        sscanf(hex + 2 * i, "%2hhx", &bytes[i]);
    enum err error = rejected_unseal(&keys, &place, bytes, size, original);
    buffer_deinit(&sealed);
    cipher_keys_clear(&keys);
    return error;
}

static void print_json(const PGresult *result, const char *id, const struct buffer *original)
{
    char *base64 = malloc((original->size + 2) / 3 * 4 + 1);
    ensure(base64 != NULL);
    EVP_EncodeBlock((unsigned char *)base64, (const unsigned char *)original->data, (int)original->size);
    bool known = !PQgetisnull(result, 0, SHOW_SOURCE);
    json_t *text = json_stringn(original->data, original->size); /* NULL: not UTF-8 */
    json_t *shown =
        json_pack("{s:I,s:s,s:s?,s:s,s:s,s:o?,s:s}", "rejected_id", (json_int_t)strtoll(id, NULL, 10),
                  "received_at", PQgetvalue(result, 0, SHOW_AT), "source",
                  known ? PQgetvalue(result, 0, SHOW_SOURCE) : NULL, "code", PQgetvalue(result, 0, SHOW_CODE),
                  "text", PQgetvalue(result, 0, SHOW_TEXT), "original", text, "original_base64", base64);
    ensure(shown != NULL);
    json_dumpf(shown, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(shown);
    free(base64);
}

static int show(const struct ctl *ctl, const PGresult *result, const char *id, bool json)
{
    struct buffer original = {0};
    if (PQntuples(result) == 0)
        return ctl_fail(ERR_NOT_FOUND, "rejected", id, "an id that vigiectl rejected list shows",
                        "rows are deleted after 30 days");
    (void)buffer_reserve(&original, 1);
    enum err error = open_original(ctl, result, &original);
    int status = EX_OK;
    if (error != OK)
        status = ctl_fail(error, "original", err_text(error), "bytes that a key of this configuration sealed",
                          "the key before belongs into [journal] old_keys");
    else if (json)
        print_json(result, id, &original);
    else
        fwrite(original.data, 1, original.size, stdout);
    buffer_deinit(&original);
    return status;
}

int ctl_rejected_show(struct ctl *ctl, int argc, char **argv)
{
    bool json = false;
    const struct ctl_option options[] = {{"json", NULL, &json}, {NULL, NULL, NULL}};
    struct ctl_arguments arguments;
    if (ctl_parse(argc, argv, options, &arguments) != OK)
        return EX_USAGE;
    if (arguments.count != 1 || arguments.items[0][strspn(arguments.items[0], "0123456789")] != '\0')
        return ctl_fail(ERR_USAGE, "arguments", "no number", "one id",
                        "vigiectl rejected list shows the ids");
    const struct listing listing = {.query = show_query,
                                    .parameters = {.count = 1, .values = arguments.items}};
    struct postgres *postgres = NULL;
    PGresult *result = NULL;
    enum err error = listing_query(ctl, &listing, &postgres, &result);
    int status = error == OK ? show(ctl, result, arguments.items[0], json) : err_sysexit(error);
    PQclear(result);
    postgres_close(postgres);
    return status;
}
