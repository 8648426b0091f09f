/* json_pull: a streaming JSON decoder that the caller pulls: strict RFC 8259 over a complete buffer, number
 * text kept, duplicate keys refused, nothing allocated. A byte order mark in front is skipped. Refused beyond
 * the grammar: text that is not UTF-8, lone surrogates, \u0000 (no database keeps it), nesting beyond
 * JSON_DEPTH_MAX, more than PULL_KEYS_MAX keys in the objects that are open at once.
 * Use:     a value is taken by pull_value() (enters containers) or pull_take() (gives a container as raw
 * text); inside an object pull_next_key() comes before each value, inside an array pull_next_item(). Owner:
 * all borrowed: slices point into the text, or into the scratch when they had escapes. Threads: one at a
 * time. Fails:   errors stick: after one every call gives PULL_NONE or false, so the caller may look once, at
 * the end. */
#ifndef VIGIE_INGEST_JSON_PULL_H
#define VIGIE_INGEST_JSON_PULL_H

#include "daemon/base/limits.h"
#include "daemon/ingest/pull/pull.h"

/* Where the containers of a text end, noted while it is checked, so that reading it again jumps over them.
 * Rows go by the place where a container begins; of two with one row the one that ends later has it, and the
 * other is passed over by its brackets. What an earlier text left is never met: each container of this one
 * has written its row. All zero at first; belongs to one scratch. */
enum { PULL_SPANS = 4096 };
struct pull_spans {
    struct slice text; /* the last that pull_open() was given */
    struct {
        uint32_t start, end;
    } rows[PULL_SPANS];
};

struct pull_frame {
    struct pull_keys_mark keys;
    size_t start;
    bool is_object, begun;
};

struct pull {
    const char *text;
    size_t size, at;
    const char *error; /* NULL while good; static English text */
    size_t error_at;   /* offset in bytes */
    struct pull_scratch *scratch;
    struct pull_keys *keys;   /* NULL: text that was checked before */
    struct pull_spans *spans; /* NULL: none, or not of this text */
    size_t offset;            /* of `text` in that of the spans */
    unsigned depth;
    struct pull_frame frames[JSON_DEPTH_MAX];
};

void pull_open(struct pull *pull, struct slice text, struct pull_scratch *scratch, struct pull_keys *keys);
/* Over raw text that pull_take() gave: keys are not checked a second time. It lies in the text of the last
 * pull_open() with this scratch, or in none that lives where that one does. */
void pull_open_raw(struct pull *pull, struct slice raw, struct pull_scratch *scratch);

/* What kind of value stands next, by its first character; PULL_NONE at the end and for what starts no value.
 */
enum pull_kind pull_peek(struct pull *pull);
/* String: its unescaped text; number: its text as sent; container: entered, *ret untouched. */
enum pull_kind pull_value(struct pull *pull, struct slice *ret);
/* The same, but a container is passed over and given as raw text. */
enum pull_kind pull_take(struct pull *pull, struct slice *ret);
void pull_skip(struct pull *pull);

/* False at the end of the container, which is left, and on an error. */
bool pull_next_key(struct pull *pull, struct slice *ret_key);
bool pull_next_item(struct pull *pull);

/* True when the value was whole and nothing but white space follows. */
bool pull_finish(struct pull *pull);

/* Reads the object that was entered to its end: fields[i] is the value of list[i], PULL_NONE when absent or
 * null; *ret_unknown: the keys that are in no list. False on an error. */
bool pull_read_fields(struct pull *pull, const struct pull_names *names, struct pull_field *fields,
                      struct pull_unknown *ret_unknown);
/* The same of text that was checked before, where no key stands twice, and of the names alone: stops when it
 * has them all, so the object is not left. */
bool pull_find_fields(struct pull *pull, const struct pull_names *names, struct pull_field *fields);

#endif
