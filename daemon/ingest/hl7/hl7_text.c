/* hl7_text: from bytes to pieces. Everything is found by one scan for the separator at hand. */
#include "daemon/ingest/hl7/hl7_text.h"

#include <string.h>

#include "daemon/base/buffer.h"
#include "daemon/ingest/pull/slice.h"

enum { MSH_HEAD = 4 /* "MSH|" */, SEPARATORS_MIN = 2 /* component and repetition */, HEX_DIGITS_MAX = 512 };

static const char *const segment_names[] = {
    [HL7_MSH] = "MSH", [HL7_PID] = "PID", [HL7_OBR] = "OBR", [HL7_OBX] = "OBX", [HL7_OTHER] = ""};

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Printable, no letter or digit, and none of those before. */
static bool can_separate(char c, const char *before, size_t count)
{
    return c > ' ' && c < 0x7f && !is_alphanumeric(c) && memchr(before, c, count) == NULL;
}

bool hl7_open(struct slice message, struct hl7_text *ret_text)
{
    char found[6] = {0};
    size_t count = 1;
    if (message.size < MSH_HEAD + SEPARATORS_MIN || memcmp(message.data, "MSH", 3) != 0 ||
        !can_separate(message.data[3], found, 0))
        return false;
    found[0] = message.data[3];
    for (size_t at = MSH_HEAD; at < message.size && message.data[at] != found[0]; at++) {
        if (message.data[at] == '\r' || message.data[at] == '\n')
            break;
        if (count == sizeof found || !can_separate(message.data[at], found, count))
            return false;
        found[count++] = message.data[at];
    }
    if (count < 1 + SEPARATORS_MIN)
        return false;
    *ret_text = (struct hl7_text){.field = found[0],
                                  .component = found[1],
                                  .repetition = found[2],
                                  .escape = found[3],
                                  .subcomponent = found[4], /* found[5] truncates, from 2.7 on */
                                  .rest = message};
    return true;
}

bool hl7_next(struct hl7_text *text, struct slice *ret_segment)
{
    struct slice *rest = &text->rest;
    while (rest->size > 0 && (*rest->data == '\r' || *rest->data == '\n')) {
        rest->data++;
        rest->size--;
    }
    if (rest->size == 0)
        return false;
    size_t size = 0;
    while (size < rest->size && rest->data[size] != '\r' && rest->data[size] != '\n')
        size++;
    *ret_segment = (struct slice){rest->data, size};
    *rest = (struct slice){rest->data + size, rest->size - size};
    return true;
}

enum hl7_segment hl7_segment_of(struct slice segment)
{
    enum hl7_segment i = HL7_MSH;
    if (segment.size < 3 || (segment.size > 3 && is_alphanumeric(segment.data[3])))
        return HL7_OTHER;
    while (i < HL7_OTHER && memcmp(segment.data, segment_names[i], 3) != 0)
        i++;
    return i;
}

const char *hl7_segment_name(enum hl7_segment segment)
{
    ensure(segment <= HL7_OTHER);
    return segment_names[segment];
}

static struct slice valued(const char *data, size_t size)
{
    if (size == 0 || (size == 2 && data[0] == '"' && data[1] == '"'))
        return (struct slice){NULL, 0};
    return (struct slice){data, size};
}

void hl7_split(const struct hl7_text *text, struct slice segment, struct slice *fields, unsigned count)
{
    const char *at = segment.data, *end = segment.data + segment.size;
    unsigned i = 0;
    bool is_msh = hl7_segment_of(segment) == HL7_MSH;
    while (i < count) {
        const char *from = at;
        while (at < end && *at != text->field)
            at++;
        fields[i++] = valued(from, (size_t)(at - from));
        if (is_msh && i == 1 && i < count && at < end)
            fields[i++] = (struct slice){at, 1};
        if (at == end)
            break;
        at++;
    }
    while (i < count)
        fields[i++] = (struct slice){NULL, 0};
}

bool hl7_next_part(struct slice *rest, char separator, struct slice *ret_part)
{
    if (rest->data == NULL)
        return false;
    const char *found = rest->size > 0 ? memchr(rest->data, separator, rest->size) : NULL;
    size_t size = found != NULL ? (size_t)(found - rest->data) : rest->size;
    *ret_part = valued(rest->data, size);
    *rest = found != NULL ? (struct slice){found + 1, rest->size - size - 1} : (struct slice){NULL, 0};
    return true;
}

struct slice hl7_part(struct slice text, char separator, unsigned index)
{
    struct slice part = {NULL, 0};
    ensure(index > 0);
    for (; index > 0; index--)
        if (!hl7_next_part(&text, separator, &part))
            return (struct slice){NULL, 0};
    return part;
}

enum hl7_charset hl7_charset_of(struct slice field)
{
    static const struct {
        const char *name;
        enum hl7_charset charset;
    } rows[] = {{"ASCII", HL7_ASCII}, {"8859/1", HL7_LATIN1}, {"UNICODE UTF-8", HL7_UTF8}};
    if (field.data == NULL)
        return HL7_ASCII;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strlen(rows[i].name) == field.size && strncasecmp(rows[i].name, field.data, field.size) == 0)
            return rows[i].charset;
    return HL7_CHARSET_UNKNOWN;
}

/* ---- what a piece stands for ---- */

struct writer {
    const struct hl7_text *text;
    char *out;
    size_t size;
};

/* One byte of the message's character set; ISO 8859-1 becomes one or two bytes. */
static void put_byte(struct writer *writer, uint8_t byte)
{
    if (writer->text->charset == HL7_LATIN1 && byte >= 0x80) {
        writer->out[writer->size++] = (char)(0xc0 | byte >> 6);
        byte = 0x80 | (byte & 0x3f);
    }
    writer->out[writer->size++] = (char)byte;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool put_hex(struct writer *writer, struct slice digits)
{
    size_t before = writer->size;
    if (digits.size == 0 || digits.size % 2 != 0 || digits.size > HEX_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < digits.size; i += 2) {
        int high = hex_digit(digits.data[i]), low = hex_digit(digits.data[i + 1]);
        if (high < 0 || low < 0) {
            writer->size = before;
            return false;
        }
        put_byte(writer, (uint8_t)(high << 4 | low));
    }
    return true;
}

/* The character that an escape sequence between two escape characters stands for; false: none. */
static bool put_escape(struct writer *writer, struct slice inside)
{
    const struct hl7_text *text = writer->text;
    const char letters[] = {'F', 'S', 'T', 'R', 'E'};
    const char stands[] = {text->field, text->component, text->subcomponent, text->repetition, text->escape};
    if (inside.size > 1 && inside.data[0] == 'X')
        return put_hex(writer, (struct slice){inside.data + 1, inside.size - 1});
    const char *letter = inside.size == 1 ? memchr(letters, inside.data[0], sizeof letters) : NULL;
    if (letter == NULL || stands[letter - letters] == '\0')
        return false;
    put_byte(writer, (uint8_t)stands[letter - letters]);
    return true;
}

/* No sequence is shorter than what it stands for but a byte of ISO 8859-1. */
static void write_plain(struct writer *writer, struct slice piece)
{
    for (size_t at = 0; at < piece.size;) {
        const char *close = NULL;
        if (piece.data[at] == writer->text->escape && at + 1 < piece.size)
            close = memchr(piece.data + at + 1, writer->text->escape, piece.size - at - 1);
        struct slice inside = {piece.data + at + 1,
                               close != NULL ? (size_t)(close - piece.data) - at - 1 : 0};
        if (close != NULL && put_escape(writer, inside))
            at += inside.size + 2;
        else
            put_byte(writer, (uint8_t)piece.data[at++]);
    }
}

static bool is_text(const struct hl7_text *text, struct slice plain)
{
    for (size_t at = 0; at < plain.size;) {
        uint8_t byte = (uint8_t)plain.data[at];
        size_t length = 1;
        if (byte >= 0x80)
            length = text->charset == HL7_ASCII
                         ? 0
                         : pull_utf8_length((const uint8_t *)plain.data + at, plain.size - at);
        if (byte == 0 || length == 0)
            return false;
        at += length;
    }
    return true;
}

bool hl7_plain(const struct hl7_text *text, struct slice piece, struct pull_scratch *scratch,
               struct slice *ret_plain)
{
    bool stands_for_itself = true;
    for (size_t i = 0; i < piece.size; i++)
        stands_for_itself &=
            (int8_t)piece.data[i] > 0 && (piece.data[i] != text->escape || text->escape == '\0');
    *ret_plain = piece;
    if (stands_for_itself)
        return true;
    struct writer writer = {.text = text, .out = pull_scratch_take(scratch, 2 * piece.size)};
    if (writer.out == NULL)
        return false;
    write_plain(&writer, piece);
    ensure(writer.size <= 2 * piece.size);
    scratch->size -= 2 * piece.size - writer.size;
    *ret_plain = (struct slice){writer.out, writer.size};
    return is_text(text, *ret_plain);
}

/* ---- what we send ---- */

static void append_byte(struct buffer *out, char byte)
{
    static const char ours[] = "|^&~\\", letters[] = "FSTRE";
    const char *found = byte != '\0' ? strchr(ours, byte) : NULL;
    if (found != NULL)
        buffer_append(out, (char[]){'\\', letters[found - ours], '\\'}, 3);
    else if ((uint8_t)byte < ' ')
        buffer_append(out, " ", 1);
    else
        buffer_append(out, &byte, 1);
}

void hl7_append_escaped(struct buffer *out, struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        append_byte(out, text.data[i]);
}

void hl7_append_field(struct buffer *out, const struct hl7_text *text, struct slice field)
{
    bool same = text->field == '|' && text->component == '^' && text->repetition == '~' &&
                text->escape == '\\' && text->subcomponent == '&';
    if (same) {
        char *copy = memcpy(buffer_reserve(out, field.size), field.data, field.size);
        for (size_t i = 0; i < field.size; i++)
            if ((uint8_t)copy[i] < ' ')
                copy[i] = ' ';
        out->size += field.size;
        return;
    }
    for (size_t i = 0; i < field.size; i++) {
        char byte = field.data[i];
        if (byte != '\0' && byte == text->component)
            buffer_append(out, "^", 1);
        else if (byte != '\0' && byte == text->repetition)
            buffer_append(out, "~", 1);
        else if (byte != '\0' && byte == text->subcomponent)
            buffer_append(out, "&", 1);
        else if (byte != '\0' && byte == text->escape)
            buffer_append(out, "\\", 1);
        else
            append_byte(out, byte);
    }
}
