/* exact_json: JSON whose numbers keep their text, for the control plane: rules, imports, commands.
 * jansson turns 1.10 into a double; a limit must be exactly what was written (RULES.md section 1). Here a
 * number is loaded as a string that begins with a mark no other string can begin with. Owner:   jansson's
 * counts. Threads: pure functions. Fails:   ERR_FORMAT with the reason: no JSON, a key given twice, a string
 * that begins with the mark. */
#ifndef VIGIE_ALERTING_EXACT_JSON_H
#define VIGIE_ALERTING_EXACT_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "daemon/base/buffer.h"
#include "daemon/base/err.h"

/* An object or array of `size` bytes; gives it. json_is_number() is never true of what is in it, and
 * json_is_string() is true of numbers too: ask exact_json_number() and exact_json_string(). */
MUST_CHECK enum err exact_json_load(const char *text, size_t size, json_t **ret_json, char *why,
                                    size_t why_size);

/* The text of a number as it was written, e.g. "1.10"; NULL when the value is none (NULL included). */
const char *exact_json_number(const json_t *value);

/* The text of a string; NULL when the value is none, a number included. */
const char *exact_json_string(const json_t *value);

/* The value as compact JSON, numbers as they were written, keys in their order. */
void exact_json_render(struct buffer *buffer, const json_t *value);

/* The same as text of its own; slab_give() it. */
char *exact_json_text(const json_t *value);

#endif
