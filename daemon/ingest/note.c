/* note: appended while a message is decoded, read back when it is answered. */
#include "daemon/ingest/note.h"

#include <string.h>

void note_add(struct exchange *exchange, const struct note *note)
{
    ensure(exchange->state.size % sizeof *note == 0);
    buffer_append(&exchange->state, note, sizeof *note);
}

/* Continuation bytes go with their first byte. */
struct slice note_cut(struct slice text, size_t max)
{
    size_t size = text.size < max ? text.size : max;
    if (size < text.size)
        while (size > 0 && ((uint8_t)text.data[size] & 0xc0) == 0x80)
            size--;
    return (struct slice){text.data, size};
}

void note_set_found(struct note *note, struct slice found)
{
    struct slice cut = note_cut(found, NOTE_FOUND_MAX);
    if (cut.size > 0)
        memcpy(note->found, cut.data, cut.size);
    note->found_size = (uint8_t)cut.size;
}

void note_add_refusal(struct exchange *exchange, struct note note, const struct refusal *refusal)
{
    ensure(refusal->verdict >= VERDICT_MALFORMED);
    note.kind = NOTE_REFUSED;
    note.verdict = refusal->verdict;
    note.field = refusal->field;
    note.text = refusal->text;
    note.issue = refusal->issue;
    note_set_found(&note, refusal->found);
    note_add(exchange, &note);
}

struct note *notes_of(struct exchange *exchange, size_t *ret_count)
{
    *ret_count = exchange->state.size / sizeof(struct note);
    return (struct note *)(void *)exchange->state.data;
}
