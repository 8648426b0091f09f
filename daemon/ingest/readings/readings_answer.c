/* readings_answer: what became of the readings, as INTERFACES.md section 4 words it. A message of accepted
 * readings costs four counts; only what was refused is named. */
#include <string.h>

#include "daemon/ingest/note.h"
#include "daemon/ingest/readings/readings.h"

static const char json_type[] = "application/json";

static void render_said(struct buffer *out, const struct note *note)
{
    const char *text = note->text != NULL ? note->text : verdict_text(note->verdict);
    if (note->found_size == 0) {
        render_text(out, text);
        return;
    }
    char said[512];
    size_t size = strnlen(text, sizeof said - NOTE_FOUND_MAX - 8);
    memcpy(said, text, size);
    memcpy(said + size, "; found ", 8);
    memcpy(said + size + 8, note->found, note->found_size);
    render_string(out, said, size + 8 + note->found_size);
}

static void render_place(struct buffer *out, const char *key, uint32_t index)
{
    render_key(out, key);
    if (index == NOTE_NONE)
        render_null(out);
    else
        render_integer(out, index);
}

/* What is being rendered. */
struct list {
    const struct ticket *ticket;
    struct buffer *out;
    size_t bytes_max; /* of `out`; what would begin behind it is only counted */
    uint32_t left_out;
};

static void render_rejected(struct list *list, const struct note *note, bool is_event)
{
    struct buffer *out = list->out;
    if (out->size >= list->bytes_max) {
        list->left_out++;
        return;
    }
    render_open(out, '{');
    render_place(out, "message", note->entry);
    render_place(out, "reading", is_event ? NOTE_NONE : note->item);
    if (is_event)
        render_place(out, "event", note->item);
    render_key(out, "code");
    render_text(out, verdict_code(note->verdict));
    render_key(out, "text");
    render_said(out, note);
    render_close(out, '}');
}

/* The refused readings, or events, of one message; a shard may have refused what the loop admitted: that head
 * has no note. Gives the index of the note behind the last one used. */
static size_t render_items(struct list *list, const struct note *notes, size_t count, size_t entry)
{
    size_t next = entry + 1;
    bool is_event = notes[entry].kind == NOTE_EVENTS;
    for (uint32_t i = 0; i < notes[entry].count; i++) {
        uint32_t head = notes[entry].head + i;
        struct note note = {.entry = notes[entry].entry, .item = i, .head = head};
        note.verdict = (enum verdict)list->ticket->heads[head].verdict;
        if (note.verdict < VERDICT_MALFORMED)
            continue;
        bool is_noted = next < count && notes[next].kind == NOTE_REFUSED && notes[next].head == head;
        render_rejected(list, is_noted ? &notes[next] : &note, is_event);
        next += is_noted;
    }
    return next;
}

uint32_t readings_render_rejected(struct buffer *out, struct exchange *exchange, size_t bytes_max)
{
    struct list list = {exchange->ticket, out,
                        bytes_max < SIZE_MAX - out->size ? out->size + bytes_max : SIZE_MAX, 0};
    size_t count;
    const struct note *notes = notes_of(exchange, &count);
    if (list.ticket->count == 0) /* a whole message that could not be read: notes of it mean nothing */
        count = 0;
    render_open(out, '[');
    for (size_t i = 0; i < count;) {
        if (notes[i].kind != NOTE_REFUSED) {
            i = render_items(&list, notes, count, i);
        } else { /* behind the items of a message: the message as a whole */
            render_rejected(&list, &notes[i], false);
            i++;
        }
    }
    render_close(out, ']');
    return list.left_out;
}

static void render_counts(struct buffer *out, const uint32_t counts[4])
{
    static const char *const names[] = {"accepted", "duplicate", "quarantined"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        render_key(out, names[i]);
        render_integer(out, counts[i]);
    }
}

void readings_answer(struct loop_context *loop, struct exchange *exchange)
{
    (void)loop;
    const struct ticket *ticket = exchange->ticket;
    uint32_t counts[4] = {0};
    enum verdict first = VERDICT_ACCEPTED;
    ensure(ticket->count > 0);
    for (uint32_t i = 0; i < ticket->count; i++) {
        enum verdict verdict = (enum verdict)ticket->heads[i].verdict;
        counts[verdict < VERDICT_MALFORMED ? verdict : 3]++;
        if (verdict >= VERDICT_MALFORMED && first == VERDICT_ACCEPTED)
            first = verdict;
    }
    bool any = counts[0] + counts[1] + counts[2] > 0;
    struct buffer *out = &exchange->out;
    exchange->status = any ? 200 : verdict_http(first);
    exchange->out_type = json_type;
    render_open(out, '{');
    render_counts(out, counts);
    render_key(out, "rejected");
    (void)readings_render_rejected(out, exchange, SIZE_MAX);
    if (!any) { /* the form of every other error, beside */
        render_key(out, "code");
        render_text(out, verdict_code(first));
        render_key(out, "text");
        render_text(out, verdict_text(first));
    }
    render_close(out, '}');
}

void readings_error(struct exchange *exchange, int status, const char *code, const char *text)
{
    buffer_clear(&exchange->out);
    exchange->status = status;
    exchange->out_type = json_type;
    render_open(&exchange->out, '{');
    render_key(&exchange->out, "code");
    render_text(&exchange->out, code);
    render_key(&exchange->out, "text");
    render_text(&exchange->out, text);
    render_close(&exchange->out, '}');
}
