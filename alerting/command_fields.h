/* command_fields: the JSON of a command, read field by field; the first thing that is wrong is the answer.
 * Owner:   the struct lives in its holder; texts are borrowed from it. Threads: one at a time. */
#ifndef VIGIE_ALERTING_COMMAND_FIELDS_H
#define VIGIE_ALERTING_COMMAND_FIELDS_H

#include <jansson.h>

#include "daemon/model/command.h"
#include "daemon/model/parameter.h"

struct fields {
    struct command *command;
    json_t *json;
    int64_t commit_ms; /* the smaller of committed_at, when given, and now */
    bool good;
};

void fields_init(struct fields *fields, struct command *command, int64_t now_ms);
void fields_deinit(struct fields *fields);
static inline bool fields_are_good(const struct fields *fields)
{
    return fields->good;
}

/* Bytes of a text as JSON, without its quotes. */
size_t rendered_size(const char *text);

/* `missing` NULL: the field is mandatory. A null is a missing field. A text is at most 2,000 bytes as JSON; a
 * ref is a text of 1 to REF_BYTES_MAX bytes. */
const char *field_text(struct fields *fields, const char *key, const char *missing);
const char *field_ref(struct fields *fields, const char *key, const char *missing);
int64_t field_integer(struct fields *fields, const char *key, int64_t missing); /* missing 0: mandatory */
int64_t field_signed(struct fields *fields, const char *key);                   /* mandatory */
int64_t field_instant(struct fields *fields, const char *key, int64_t missing);
enum parameter field_parameter(struct fields *fields, const char *key);
/* "value" in "unit", in millionths of the parameter's canonical unit. */
int64_t field_value(struct fields *fields, enum parameter parameter);

void fields_refuse(struct fields *fields, const char *what, const char *found, const char *expected,
                   const char *hint);
/* It is done already: the state that was loaded has it. */
void fields_pass(struct fields *fields);
void fields_not_found(struct fields *fields, const char *what);
void fields_answer(struct fields *fields, int64_t commit_ms, int64_t in_force_from_ms, bool moved);

#endif
