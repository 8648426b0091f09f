/* hl7_text: HL7 v2 in its vertical bar encoding: a message is segments that end with CR, a segment fields, a
 * field repetitions of components of subcomponents; MSH-1 and MSH-2 say by which characters (INTEROP.md
 * section 3.3 H1, H2). Nothing is copied: pieces are slices of the message, as sent; hl7_plain() gives the
 * text that a piece stands for.
 * Owner:   all borrowed; texts lie in the message or in the scratch. Threads: one at a time.
 * Holds:   one pass over the message: the cost is linear in its bytes, whatever it says.
 * Choices: segments may end with LF or CRLF too, and empty ones are passed over. A field `""` (delete it) is
 *          as one that is empty. An escape sequence that is none of \F\ \S\ \T\ \R\ \E\ \Xhh\ stands for
 * itself: at worst an identifier matches nobody. A text with a NUL, or one that is not of its character set,
 *          is no text: no database keeps it. */
#ifndef VIGIE_INGEST_HL7_TEXT_H
#define VIGIE_INGEST_HL7_TEXT_H

#include "daemon/base/buffer.h"
#include "daemon/ingest/pull/pull.h"

/* By MSH-18: empty is ASCII. */
enum hl7_charset { HL7_ASCII, HL7_LATIN1, HL7_UTF8, HL7_CHARSET_UNKNOWN };

/* Segments that decide something; HL7_OTHER are passed over. */
enum hl7_segment { HL7_MSH, HL7_PID, HL7_OBR, HL7_OBX, HL7_OTHER };

struct hl7_text {
    char field, component, repetition, escape, subcomponent; /* '\0': the message has none */
    enum hl7_charset charset;
    struct slice rest; /* segments to come */
};

/* Reads the separators at the beginning of the message; false: it does not begin with a usable MSH. The first
 * segment that comes next is MSH. */
bool hl7_open(struct slice message, struct hl7_text *ret_text);

/* The next segment without its end; false: there is none. */
bool hl7_next(struct hl7_text *text, struct slice *ret_segment);
enum hl7_segment hl7_segment_of(struct slice segment);
const char *hl7_segment_name(enum hl7_segment segment);

/* fields[i] is field i (0: the segment's name) for i < count, {NULL, 0} where it is empty. MSH counts its
 * separator as field 1. */
void hl7_split(const struct hl7_text *text, struct slice segment, struct slice *fields, unsigned count);

/* Piece `index` (from 1) of a text divided by `separator`; {NULL, 0} where it is empty. */
struct slice hl7_part(struct slice text, char separator, unsigned index);
/* The pieces one after the other: false behind the last. */
bool hl7_next_part(struct slice *rest, char separator, struct slice *ret_part);

enum hl7_charset hl7_charset_of(struct slice field);

/* The text that a piece stands for, in UTF-8: the piece itself where it stands for itself, else in the
 * scratch. False: it is no text. */
bool hl7_plain(const struct hl7_text *text, struct slice piece, struct pull_scratch *scratch,
               struct slice *ret_plain);

/* Appends a text as a piece of a message of ours: separators |^~\& and control characters escaped. */
void hl7_append_escaped(struct buffer *out, struct slice text);
/* A field of the message as a field of ours: the same structure with our separators. */
void hl7_append_field(struct buffer *out, const struct hl7_text *text, struct slice field);

#endif
