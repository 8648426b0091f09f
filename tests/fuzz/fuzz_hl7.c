/* MLLP and HL7 v2 from a stranger: frames whole against cut anywhere, each message through the door. The
 * first byte chooses the source, the second where the stream is cut. What holds: the same messages however
 * the bytes come; an answer is empty or one acknowledgement of ours; what is admitted has a patient. */
#include <string.h>

#include "daemon/ingest/hl7/hl7_text.h"
#include "daemon/ingest/hl7/mllp.h"
#include "daemon/ingest/pull/slice.h"
#include "tests/unit/ingest_fixture.c" /* a fuzz target is one file and the library */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The messages of a stream, each with 0x1c behind; then how it ended. */
static void frames(const char *data, size_t size, size_t cut, struct buffer *out)
{
    struct mllp_reader reader = {.phase = MLLP_BETWEEN};
    size_t begin = 0;
    enum mllp_event event = MLLP_MORE;
    buffer_clear(out);
    for (size_t at = 0; at < size && event != MLLP_BROKEN;) {
        size_t used, offered = at < cut && cut < size ? cut - at : size - at;
        event = mllp_step(&reader, data + at, offered, &used);
        ensure(used <= offered && (used > 0 || event == MLLP_BROKEN));
        at += used;
        if (event == MLLP_BEGIN)
            out->size = begin;
        if (reader.piece.size > 0)
            buffer_append(out, reader.piece.data, reader.piece.size);
        if (event == MLLP_WHOLE) {
            buffer_append(out, "\x1c", 1);
            begin = out->size;
        }
    }
    /* What was passed over between frames need not be equally far when it is broken. */
    buffer_append(out, event == MLLP_BROKEN ? "\x02" : "\x01", 1);
    if (event != MLLP_BROKEN)
        buffer_append(out, &(char){(char)reader.phase}, 1);
}

static void check_answer(const struct exchange *exchange)
{
    struct slice segment, answer = {exchange->out.data, exchange->out.size};
    struct hl7_text text;
    ensure(exchange->status == 200 || exchange->status == 422);
    if (answer.size == 0)
        return;
    bool is_open = hl7_open(answer, &text);
    ensure(is_open && text.field == '|');
    for (size_t i = 0; hl7_next(&text, &segment); i++) {
        static const char *const names[] = {"MSH", "MSA"};
        const char *name = i < 2 ? names[i] : "ERR";
        ensure(segment.size > 4 && memcmp(segment.data, name, 3) == 0 && segment.data[3] == '|');
    }
    for (size_t i = 0; i < answer.size; i++)
        ensure(answer.data[i] != 0x0b && answer.data[i] != 0x1c);
    for (uint32_t i = 0; i < exchange->ticket->count; i++)
        ensure(exchange->ticket->heads[i].verdict > VERDICT_QUARANTINED ||
               exchange->ticket->heads[i].patient_id > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const sources[] = {"dev", "gw", "sys", "pat"};
    static struct buffer whole, split;
    if (size < 2)
        return 0;
    fixture_set_mode(data[0] & 4 ? MODE_TEST : MODE_PRODUCTION);
    const char *stream = (const char *)data + 2;
    frames(stream, size - 2, SIZE_MAX, &whole);
    frames(stream, size - 2, 1 + data[1], &split);
    ensure(whole.size == split.size && memcmp(whole.data, split.data, whole.size) == 0);
    fixture_forget();
    check_answer(fixture_send_as(sources[data[0] & 3], FIXTURE_HL7, NULL, stream, size - 2));
    for (size_t at = 0; at < whole.size;) {
        const char *end = memchr(whole.data + at, 0x1c, whole.size - at);
        if (end == NULL)
            break;
        check_answer(fixture_send_as(sources[data[0] & 3], FIXTURE_HL7, NULL, whole.data + at,
                                     (size_t)(end - whole.data) - at));
        at = (size_t)(end - whole.data) + 1;
    }
    return 0;
}
