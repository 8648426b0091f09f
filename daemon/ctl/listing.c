/* listing: a row is a line or an object. */
#include "daemon/ctl/listing.h"

#include <string.h>
#include <sysexits.h>

enum { POSTGRES_TIMEOUT_MS = 60000 };

static void print_table(const struct listing *listing, const PGresult *result)
{
    const struct listing_column *columns = listing->columns;
    for (unsigned c = 0; c < listing->count && columns[c].width > 0; c++)
        printf("%-*s ", columns[c].width, columns[c].key);
    printf("\n");
    for (int row = 0; row < PQntuples(result); row++) {
        for (unsigned c = 0; c < listing->count && columns[c].width > 0; c++)
            printf("%-*s ", columns[c].width, PQgetvalue(result, row, (int)c));
        printf("\n");
    }
}

static void render_field(struct buffer *json, const struct listing_column *column, const PGresult *result,
                         int row, int c)
{
    const char *text = PQgetvalue(result, row, c);
    render_key(json, column->key);
    if (PQgetisnull(result, row, c))
        render_null(json);
    else if (column->kind == LISTING_BOOLEAN)
        render_boolean(json, text[0] == 't');
    else if (column->kind == LISTING_TEXT)
        render_text(json, text);
    else
        render_raw(json, text, strlen(text));
}

static void print_json(const struct listing *listing, const PGresult *result)
{
    struct buffer json = {.data = NULL};
    render_open(&json, '[');
    for (int row = 0; row < PQntuples(result); row++) {
        render_open(&json, '{');
        for (unsigned c = 0; c < listing->count; c++)
            render_field(&json, &listing->columns[c], result, row, (int)c);
        render_close(&json, '}');
    }
    render_close(&json, ']');
    printf("%.*s\n", (int)json.size, json.data);
    buffer_deinit(&json);
}

enum err listing_query(const struct ctl *ctl, const struct listing *listing, struct postgres **ret_postgres,
                       PGresult **ret_result)
{
    const struct postgres_options options = {.conninfo = ctl->config->postgres_conninfo,
                                             .application = "vigiectl",
                                             .timeout_ms = POSTGRES_TIMEOUT_MS,
                                             .quit_fd = -1};
    enum err error = postgres_open(&options, ret_postgres);
    if (error == OK)
        error = postgres_query(*ret_postgres, listing->query, &listing->parameters, ret_result);
    if (error != OK)
        (void)ctl_fail(error, "PostgreSQL", postgres_message(*ret_postgres),
                       "the database of [postgres] conninfo",
                       "vigiectl db status shows whether the schema is there");
    return error;
}

int listing_run(const struct ctl *ctl, const struct listing *listing)
{
    struct postgres *postgres = NULL;
    PGresult *result = NULL;
    enum err error = listing_query(ctl, listing, &postgres, &result);
    if (error == OK && listing->json)
        print_json(listing, result);
    else if (error == OK)
        print_table(listing, result);
    PQclear(result);
    postgres_close(postgres);
    return error == OK ? EX_OK : err_sysexit(error);
}
