/* registry_json: a row as a flat JSON object, the columns of registry_rows.def in order, nothing for NULL;
 * the form in which rows lie in the file and travel to PostgreSQL. Threads: pure functions. */
#ifndef VIGIE_DAEMON_REGISTRY_JSON_H
#define VIGIE_DAEMON_REGISTRY_JSON_H

#include <jansson.h>

#include "daemon/base/buffer.h"
#include "daemon/registry/registry_rows.h"

/* The columns alone, into an object that is open; `secrets`: with the columns of type SECRET. */
void row_render_columns(struct row *row, bool secrets, struct buffer *buffer);
/* The reverse; ERR_FORMAT when a value has the wrong type. Gives the row. */
MUST_CHECK enum err row_read_columns(enum row_table table, const json_t *object, struct row **ret_row);

#endif
