/* hl7_ack: acknowledgements, table H8 of INTEROP.md section 3.3. What is wanted:
 *
 *   MSH-15     MSH-16     answer
 *   empty      empty      original mode: AA, AE, AR
 *   AL ER SU   any        CA, CE, CR: always, of errors alone, of success alone
 *   NE, empty  AL ER SU   AA, AE, AR likewise
 *   else                  nothing
 *
 * One message, one answer: with AL in both fields the commit says all there is to say, for it leaves when
 * everything is durable. A word that HL7 does not know counts as AL.
 * A: something was taken, or nothing was claimed; E: the content was refused; R: type, event, version or
 * processing id, and whatever may be sent again. Refused rows beside good ones are ERR with severity W. Error
 * code 207 stands for "send it again" and for nothing else; ERR with code 0 and severity W tells of a row
 * that was stored. ERR-5 has our own code and words, ERR-7 what was found. */
#include <string.h>

#include "daemon/ingest/hl7/hl7_message.h"
#include "daemon/ingest/pull/slice.h"

enum level { LEVEL_ACCEPT, LEVEL_ERROR, LEVEL_REJECT };

enum { CODE_AGAIN = 207, CODE_FORM = 102, ECHO_BYTES_MAX = 1024 };

/* Table 0357. */
static const struct code_row {
    int code;
    const char *text;
    enum level level;
} codes[] = {
    {0, "Message accepted", LEVEL_ACCEPT},
    {100, "Segment sequence error", LEVEL_REJECT},
    {101, "Required field missing", LEVEL_ERROR},
    {102, "Data type error", LEVEL_ERROR},
    {103, "Table value not found", LEVEL_ERROR},
    {200, "Unsupported message type", LEVEL_REJECT},
    {201, "Unsupported event code", LEVEL_REJECT},
    {202, "Unsupported processing id", LEVEL_REJECT},
    {203, "Unsupported version id", LEVEL_REJECT},
    {204, "Unknown key identifier", LEVEL_ERROR},
    {CODE_AGAIN, "Application internal error", LEVEL_REJECT},
};

static const struct code_row *code_row(int code)
{
    size_t i = 0;
    while (codes[i].code != code)
        ensure(++i < sizeof codes / sizeof *codes);
    return &codes[i];
}

static int code_of(const struct note *note)
{
    int code = 0;
    if (note->kind != NOTE_REFUSED)
        return 0;
    if (note->issue == NULL || *note->issue < '0' || *note->issue > '9')
        return verdict_hl7(note->verdict);
    for (const char *digit = note->issue; *digit != '\0'; digit++)
        code = 10 * code + (*digit - '0');
    return code;
}

/* ---- what is wanted ---- */

static bool is_word(struct slice text, const char *word)
{
    return text.size == strlen(word) && strncasecmp(text.data, word, text.size) == 0;
}

static bool is_wanted(struct slice condition, bool is_error)
{
    if (condition.data == NULL || is_word(condition, "NE"))
        return false;
    return !is_word(condition, is_error ? "SU" : "ER");
}

char hl7_ack_wanted(const struct slice *msh, bool is_error)
{
    struct slice accept = msh[MSH_ACCEPT_ACK], application = msh[MSH_APPLICATION_ACK];
    if (accept.data == NULL && application.data == NULL)
        return 'A';
    if (accept.data != NULL && !is_word(accept, "NE"))
        return is_wanted(accept, is_error) ? 'C' : '\0';
    return is_wanted(application, is_error) ? 'A' : '\0';
}

/* ---- the message ---- */

struct ack {
    const struct loop_context *loop;
    struct exchange *exchange;
    struct hl7_text text;
    struct slice msh[MSH_FIELDS]; /* of the message; all empty when it has none */
    struct buffer *out;
};

static void open_ack(struct ack *ack, const struct loop_context *loop, struct exchange *exchange)
{
    struct slice segment;
    *ack = (struct ack){.loop = loop, .exchange = exchange, .out = &exchange->out};
    if (hl7_open((struct slice){exchange->body, exchange->body_size}, &ack->text) &&
        hl7_next(&ack->text, &segment))
        hl7_split(&ack->text, segment, ack->msh, MSH_FIELDS);
}

static void append_field(struct ack *ack, struct slice field)
{
    buffer_append(ack->out, "|", 1);
    if (field.data != NULL && field.size <= ECHO_BYTES_MAX)
        hl7_append_field(ack->out, &ack->text, field);
}

static void append_text(struct ack *ack, const char *text)
{
    hl7_append_escaped(ack->out, (struct slice){text, strlen(text)});
}

static void append_time(struct ack *ack)
{
    char text[INSTANT_TEXT_MAX];
    instant_format(ack->loop->engine_now_ms, text);
    const char *const pieces[] = {text, text + 5, text + 8, text + 11, text + 14, text + 17};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        buffer_append(ack->out, pieces[i], i == 0 ? 4 : 2);
    buffer_append(ack->out, text + 19, 4); /* ".mmm" */
    buffer_text(ack->out, "+0000");
}

/* Our own control id: of the time, the message and the place in memory that answers it. */
static void append_control_id(struct ack *ack)
{
    const struct {
        int64_t engine_now_ms, now_ns;
        const void *exchange;
        uint64_t body;
    } unique = {ack->loop->engine_now_ms, ack->loop->now_ns, ack->exchange,
                hash_xxh64(ack->exchange->body, ack->exchange->body_size)};
    static const char digits[] = "0123456789ABCDEF";
    uint64_t hash = hash_sip64(&ack->loop->reading_key, &unique, sizeof unique);
    char text[16];
    for (size_t i = 0; i < sizeof text; i++, hash >>= 4)
        text[i] = digits[hash & 15];
    buffer_append(ack->out, text, sizeof text);
}

static void append_header(struct ack *ack)
{
    static const char ours[] = "VIGIE";
    const struct slice *msh = ack->msh;
    struct slice event = hl7_part(msh[MSH_TYPE], ack->text.component, 2);
    buffer_text(ack->out, "MSH|^~\\&");
    if (msh[MSH_RECEIVER].data != NULL)
        append_field(ack, msh[MSH_RECEIVER]);
    else
        append_field(ack, (struct slice){ours, sizeof ours - 1});
    append_field(ack, msh[MSH_RECEIVER + 1]);
    append_field(ack, msh[MSH_SENDER]);
    append_field(ack, msh[MSH_SENDER + 1]);
    buffer_text(ack->out, "|");
    append_time(ack);
    buffer_text(ack->out, "||ACK");
    if (event.data != NULL && event.size <= ECHO_BYTES_MAX) {
        buffer_text(ack->out, "^");
        hl7_append_field(ack->out, &ack->text, event);
        buffer_text(ack->out, "^ACK");
    }
    buffer_text(ack->out, "|");
    append_control_id(ack);
    append_field(ack, msh[MSH_PROCESSING_ID].data != NULL ? msh[MSH_PROCESSING_ID] : (struct slice){"P", 1});
    append_field(ack, msh[MSH_VERSION].data != NULL ? msh[MSH_VERSION] : (struct slice){"2.6", 3});
    if (msh[MSH_CHARSET].data != NULL) {
        buffer_text(ack->out, "|||||");
        append_field(ack, msh[MSH_CHARSET]);
    }
    buffer_text(ack->out, "\r");
}

/* False: nothing is wanted of this outcome. */
static bool append_head(struct ack *ack, enum level level)
{
    static const char letters[] = {'A', 'E', 'R'};
    char mode = hl7_ack_wanted(ack->msh, level != LEVEL_ACCEPT);
    ack->exchange->status = level == LEVEL_ACCEPT ? 200 : 422;
    ack->exchange->out_type = "application/hl7-v2";
    buffer_clear(ack->out);
    if (mode == '\0') {
        counter_add(ack->loop->counters, COUNTER_HL7_UNANSWERED, 1);
        return false;
    }
    append_header(ack);
    buffer_text(ack->out, "MSA|");
    buffer_append(ack->out, (char[]){mode, letters[level]}, 2);
    append_field(ack, ack->msh[MSH_CONTROL_ID]);
    buffer_text(ack->out, "\r");
    return true;
}

static void append_number(struct ack *ack, uint32_t number)
{
    char text[DECIMAL_TEXT_MAX];
    size_t size = decimal_format((int64_t)number * DECIMAL_ONE, text);
    buffer_append(ack->out, text, size);
}

/* ERR-2: segment ^ which of them ^ field. */
static void append_place(struct ack *ack, const struct note *note)
{
    if (note->entry >= HL7_OTHER)
        return;
    buffer_text(ack->out, hl7_segment_name((enum hl7_segment)note->entry));
    buffer_text(ack->out, "^");
    append_number(ack, note->item);
    if (note->count == 0)
        return;
    buffer_text(ack->out, "^");
    append_number(ack, note->count);
}

static void append_error(struct ack *ack, const struct note *note, const char *code, const char *text,
                         const char *severity)
{
    const struct code_row *row = code_row(code_of(note));
    buffer_text(ack->out, "ERR||");
    append_place(ack, note);
    buffer_text(ack->out, "|");
    append_number(ack, (uint32_t)row->code);
    buffer_text(ack->out, "^");
    append_text(ack, row->text);
    buffer_text(ack->out, "^HL70357|");
    buffer_text(ack->out, severity);
    buffer_text(ack->out, "|");
    append_text(ack, code);
    buffer_text(ack->out, "^");
    append_text(ack, text);
    buffer_text(ack->out, "^99VIGIE");
    if (note->found_size > 0) {
        buffer_text(ack->out, "||");
        hl7_append_escaped(ack->out, (struct slice){note->found, note->found_size});
    }
    buffer_text(ack->out, "\r");
}

static void append_note(struct ack *ack, const struct note *note, bool any_good)
{
    bool is_refused = note->kind == NOTE_REFUSED;
    const char *text = note->text != NULL ? note->text : verdict_text(note->verdict);
    append_error(ack, note, is_refused ? verdict_code(note->verdict) : "stored", text,
                 is_refused && !any_good ? "E" : "W");
}

/* All rows of a patient who is refused have one reason and one place. */
static bool says_the_same(const struct note *a, const struct note *b)
{
    return a->kind == NOTE_REFUSED && b->kind == NOTE_REFUSED && a->verdict == b->verdict &&
           a->entry == b->entry && a->item == b->item && a->count == b->count && a->text == b->text;
}

static void append_errors(struct ack *ack, bool any_good)
{
    const struct ticket *ticket = ack->exchange->ticket;
    size_t count, next = 0;
    const struct note *notes = notes_of(ack->exchange, &count);
    for (uint32_t head = 0; head < ticket->count; head++) {
        bool is_noted = false;
        for (; next < count && notes[next].head == head; next++) {
            is_noted |= notes[next].kind == NOTE_REFUSED;
            if (next == 0 || !says_the_same(&notes[next - 1], &notes[next]))
                append_note(ack, &notes[next], any_good);
        }
        enum verdict verdict = (enum verdict)ticket->heads[head].verdict;
        if (verdict >= VERDICT_MALFORMED && !is_noted) /* a shard has refused what the loop admitted */
            append_note(ack, &(struct note){.kind = NOTE_REFUSED, .entry = HL7_OTHER, .verdict = verdict},
                        any_good);
    }
}

static enum level level_of(struct exchange *exchange, bool any_good)
{
    const struct ticket *ticket = exchange->ticket;
    size_t count;
    const struct note *notes = notes_of(exchange, &count);
    if (any_good || ticket->count == 0)
        return LEVEL_ACCEPT;
    for (size_t i = 0; i < count; i++)
        if (notes[i].kind == NOTE_REFUSED)
            return code_row(code_of(&notes[i]))->level;
    return LEVEL_ERROR;
}

void hl7_answer(struct loop_context *loop, struct exchange *exchange)
{
    struct ack ack;
    bool any_good = false;
    for (uint32_t i = 0; i < exchange->ticket->count; i++)
        any_good |= exchange->ticket->heads[i].verdict < VERDICT_MALFORMED;
    open_ack(&ack, loop, exchange);
    if (append_head(&ack, level_of(exchange, any_good)))
        append_errors(&ack, any_good);
}

void hl7_refuse(const struct loop_context *loop, struct exchange *exchange,
                const struct exchange_fault *fault)
{
    bool for_good = fault->status == 413; /* too large: the same message will be so again */
    struct note note = {.kind = NOTE_REFUSED, .entry = HL7_OTHER, .issue = for_good ? "102" : "207"};
    struct ack ack;
    open_ack(&ack, loop, exchange);
    if (append_head(&ack, for_good ? LEVEL_ERROR : LEVEL_REJECT))
        append_error(&ack, &note, fault->code, fault->text, "E");
    exchange->status = fault->status;
}
