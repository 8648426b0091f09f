/* exact_json: one pass over the text puts each number between quotes, behind the mark U+0001, written as an
 * escape because a raw control byte is no JSON. A sender's string that begins with the same escape is
 * refused, so the mark cannot be forged; a raw one is refused by jansson. A number that stands as a key is
 * refused here, for with quotes around it jansson would take it. */
#include "alerting/exact_json.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/decimal.h"

enum { MARK = 0x01 };

static const char mark_escape[] = "\\u0001";

struct pass {
    const char *at, *end;
    struct buffer *out;
    const char *fault; /* NULL: none */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Copies a string with its quotes; an unfinished one is copied as it is, for jansson to refuse. */
static void pass_string(struct pass *pass)
{
    const char *start = pass->at++;
    if (pass->end - pass->at >= 6 && memcmp(pass->at, mark_escape, 6) == 0)
        pass->fault = "a string begins with a control character";
    while (pass->at < pass->end && *pass->at != '"')
        pass->at += *pass->at == '\\' && pass->at + 1 < pass->end ? 2 : 1;
    if (pass->at < pass->end)
        pass->at++;
    buffer_append(pass->out, start, (size_t)(pass->at - start));
}

static void pass_number(struct pass *pass)
{
    const char *start = pass->at, *next;
    int64_t ignored;

    while (pass->at < pass->end &&
           (strchr("+-.eE", *pass->at) != NULL || (*pass->at >= '0' && *pass->at <= '9')) &&
           *pass->at != '\0')
        pass->at++;
    if (decimal_parse(start, (size_t)(pass->at - start), NULL, &ignored) == ERR_FORMAT)
        pass->fault = "a number is not written as JSON writes numbers";
    for (next = pass->at; next < pass->end && is_blank(*next); next++)
        ;
    if (next < pass->end && *next == ':')
        pass->fault = "a key is not a string";
    buffer_text(pass->out, "\"");
    buffer_text(pass->out, mark_escape);
    buffer_append(pass->out, start, (size_t)(pass->at - start));
    buffer_text(pass->out, "\"");
}

static const char *mark_numbers(const char *text, size_t size, struct buffer *out)
{
    struct pass pass = {.at = text, .end = text + size, .out = out};
    while (pass.at < pass.end && pass.fault == NULL) {
        if (*pass.at == '"') {
            pass_string(&pass);
        } else if (*pass.at == '-' || (*pass.at >= '0' && *pass.at <= '9')) {
            pass_number(&pass);
        } else {
            buffer_append(out, pass.at, 1);
            pass.at++;
        }
    }
    return pass.fault;
}

enum err exact_json_load(const char *text, size_t size, json_t **ret_json, char *why, size_t why_size)
{
    struct buffer marked = {0};
    json_error_t error;
    json_t *json = NULL;

    buffer_reserve(&marked, size + 1); /* json_loadb() wants memory for an empty text too */
    const char *fault = mark_numbers(text, size, &marked);
    if (fault == NULL) {
        json = json_loadb(marked.data, marked.size, JSON_REJECT_DUPLICATES, &error);
        fault = error.text;
    }
    if (json == NULL)
        (void)snprintf(why, why_size, "%s", fault);
    else
        *ret_json = json;
    buffer_deinit(&marked);
    return json == NULL ? ERR_FORMAT : OK;
}

const char *exact_json_number(const json_t *value)
{
    const char *text = json_string_value(value);
    return text != NULL && *text == MARK ? text + 1 : NULL;
}

const char *exact_json_string(const json_t *value)
{
    const char *text = json_string_value(value);
    return text != NULL && *text == MARK ? NULL : text;
}

static void render_object(struct buffer *buffer, const json_t *value)
{
    const char *key;
    json_t *member;
    render_open(buffer, '{');
    json_object_foreach((json_t *)(uintptr_t)value, key, member) /* jansson's iterators take no const */
    {
        render_key(buffer, key);
        exact_json_render(buffer, member);
    }
    render_close(buffer, '}');
}

static void render_array(struct buffer *buffer, const json_t *value)
{
    render_open(buffer, '[');
    for (size_t i = 0; i < json_array_size(value); i++)
        exact_json_render(buffer, json_array_get(value, i));
    render_close(buffer, ']');
}

static void render_by_type(struct buffer *buffer, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        render_string(buffer, json_string_value(value), json_string_length(value));
        break;
    case JSON_OBJECT:
        render_object(buffer, value);
        break;
    case JSON_ARRAY:
        render_array(buffer, value);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        render_boolean(buffer, json_is_true(value));
        break;
    default:
        render_null(buffer);
    }
}

void exact_json_render(struct buffer *buffer, const json_t *value)
{
    const char *number = exact_json_number(value);
    if (value == NULL)
        render_null(buffer);
    else if (number != NULL)
        render_raw(buffer, number, strlen(number));
    else
        render_by_type(buffer, value);
}

char *exact_json_text(const json_t *value)
{
    struct buffer buffer = {0};
    exact_json_render(&buffer, value);
    buffer_append(&buffer, "", 1);
    return buffer.data;
}
