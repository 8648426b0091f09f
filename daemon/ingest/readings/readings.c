/* readings: a message is read in two passes: first its keys, with `readings` and `events` raw, then those. So
 * the order of keys does not matter, and a reading is admitted as soon as it is read. */
#include "daemon/ingest/readings/readings.h"

#include <stdio.h>
#include <string.h>

#include "daemon/ingest/pull/slice.h"
#include "daemon/ingest/readings/readings_internal.h"
#include "daemon/registry/registry.h"

const char readings_cbor_type[] = "application/cbor";

/* ---- one message ---- */

/* A message without a key of ours, or with several that are not, is another maker's shape, not a slip of the
 * pen. */
static bool is_vendor_shape(const struct pull_field *fields, const struct pull_unknown *unknown)
{
    if (fields[MESSAGE_READINGS].kind != PULL_NONE || fields[MESSAGE_EVENTS].kind != PULL_NONE)
        return false;
    bool any_known = false;
    for (unsigned i = 0; i < MESSAGE_KEYS_COUNT; i++)
        any_known |= fields[i].kind != PULL_NONE;
    return unknown->count > 1 || (unknown->count == 1 && !any_known);
}

static void check_message(struct decode *decode, const struct pull_unknown *unknown)
{
    static const enum message_key texts[] = {MESSAGE_PATIENT, MESSAGE_DEVICE, MESSAGE_ID};
    const struct pull_names *names = &readings_message_keys.names;
    const struct pull_field *fields = decode->fields;
    struct refusal *refusal = &decode->refusal;
    if (is_vendor_shape(fields, unknown)) {
        readings__refuse(
            refusal, VERDICT_NOT_SUPPORTED,
            "not the structure of /v1/readings; shapes of other makers (Open mHealth, IoMT) are not served",
            unknown->first);
        return;
    }
    if (unknown->count > 0) {
        readings__refuse(refusal, VERDICT_UNKNOWN_KEY, NULL, unknown->first);
        return;
    }
    if (!readings__check_types(&readings_message_keys, fields, refusal))
        return;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (fields[texts[i]].kind != PULL_NONE && fields[texts[i]].text.size == 0)
            readings__refuse(refusal, VERDICT_MALFORMED, "patient, device and id are not empty",
                             (struct slice){names->list[texts[i]].text, names->list[texts[i]].size});
}

/* By the message, else by the transport. */
static struct slice named_device(const struct decode *decode)
{
    const struct pull_field *field = &decode->fields[MESSAGE_DEVICE];
    return field->kind == PULL_STRING ? field->text : decode->exchange->device;
}

/* A message that the transport gives to one device and its own words to another belongs to nobody. */
static void check_device(struct decode *decode)
{
    const struct pull_field *field = &decode->fields[MESSAGE_DEVICE];
    struct slice device = decode->exchange->device;
    if (decode->refusal.verdict == VERDICT_ACCEPTED && device.data != NULL && field->kind == PULL_STRING &&
        !slice_equal(device, field->text))
        readings__refuse(&decode->refusal, VERDICT_MALFORMED, "the device is not that of the topic",
                         field->text);
}

static void open_message(struct decode *decode)
{
    const struct registry *registry = decode->loop->registry;
    int64_t organization_id = decode->exchange->source->organization_id;
    struct admit_party party = {
        .device_text = named_device(decode),
        .patient_named = decode->fields[MESSAGE_PATIENT].kind == PULL_STRING,
    };
    party.device_named = party.device_text.data != NULL;
    if (party.device_named) {
        party.device =
            registry_device_by_ref(registry, organization_id, party.device_text.data, party.device_text.size);
    }
    if (party.patient_named) {
        party.patient_text = decode->fields[MESSAGE_PATIENT].text;
        party.patient = registry_patient_by_ref(registry, organization_id, party.patient_text.data,
                                                party.patient_text.size);
    }
    admit_open(&decode->admit, decode->loop, decode->exchange, &party);
}

/* What was found only when its readings were read takes back what was admitted of them. */
static void take_back(struct decode *decode, uint32_t first)
{
    struct exchange *exchange = decode->exchange;
    exchange->state.size = (decode->entry_note + 1) * sizeof(struct note);
    for (uint32_t i = first; i < exchange->ticket->count; i++) {
        struct note note = {.entry = decode->message, .item = i - first, .head = i};
        exchange->ticket->heads[i].verdict = (uint8_t)decode->refusal.verdict;
        note_add_refusal(exchange, note, &decode->refusal);
    }
}

/* A note of where the heads begin that follow; close_note() says how many they were. */
static void open_note(struct decode *decode, enum note_kind kind)
{
    struct exchange *exchange = decode->exchange;
    struct note note = {.kind = kind, .entry = decode->message, .head = exchange->ticket->count};
    notes_of(exchange, &decode->entry_note);
    note_add(exchange, &note);
}

static void close_note(struct decode *decode, uint32_t count)
{
    size_t notes;
    notes_of(decode->exchange, &notes)[decode->entry_note].count = count;
}

static void decode_message(struct decode *decode, struct reader *reader)
{
    struct exchange *exchange = decode->exchange;
    struct pull_unknown unknown;
    if (!reader->syntax->read_fields(reader, &readings_message_keys, decode->fields, &unknown))
        return;
    decode->refusal = (struct refusal){.verdict = VERDICT_ACCEPTED};
    memset(decode->by_message_id, 0, sizeof decode->by_message_id);
    check_message(decode, &unknown);
    check_device(decode);
    open_message(decode);
    uint32_t first = exchange->ticket->count;
    open_note(decode, NOTE_ENTRY);
    struct refusal whole = decode->refusal; /* decode->refusal may come while its readings are read */
    uint32_t readings = readings__decode_array(decode, reader, &decode->fields[MESSAGE_READINGS],
                                               &readings__reading_item, &whole);
    if (decode->refusal.verdict != VERDICT_ACCEPTED && whole.verdict == VERDICT_ACCEPTED)
        take_back(decode, first);
    close_note(decode, readings);
    uint32_t events = 0;
    if (decode->fields[MESSAGE_EVENTS].kind == PULL_ARRAY) {
        open_note(decode, NOTE_EVENTS);
        events = readings__decode_array(decode, reader, &decode->fields[MESSAGE_EVENTS],
                                        &readings__event_item, &decode->refusal);
        close_note(decode, events);
    }
    if (readings + events == 0) {
        if (decode->refusal.verdict == VERDICT_ACCEPTED)
            readings__refuse(&decode->refusal, VERDICT_VALUE_MISSING, "a message without readings or events",
                             (struct slice){NULL, 0});
        readings__refuse_item(decode, NOTE_NONE, &decode->refusal);
    }
}

/* ---- the body ---- */

/* What is no message has no fields, and belongs to whoever sends. */
static void refuse_no_message(struct decode *decode, enum verdict verdict, const char *text)
{
    struct refusal refusal = {.verdict = verdict, .text = text};
    memset(decode->fields, 0, sizeof decode->fields);
    open_message(decode);
    readings__refuse_item(decode, NOTE_NONE, &refusal);
}

static void decode_item(struct decode *decode, struct reader *reader)
{
    decode->doors->scratch.size = 0; /* nothing that a message put there outlives it */
    if (reader->syntax->peek(reader) == PULL_OBJECT) {
        reader->syntax->enter(reader);
        decode_message(decode, reader);
        return;
    }
    reader->syntax->skip(reader);
    struct note note = {
        .kind = NOTE_ENTRY, .entry = decode->message, .head = decode->exchange->ticket->count};
    note_add(decode->exchange, &note);
    refuse_no_message(decode, VERDICT_MALFORMED, "a message is an object");
}

static void decode_items(struct decode *decode, struct reader *reader)
{
    size_t ignored;
    if (reader->syntax->peek(reader) == PULL_OBJECT) {
        decode_item(decode, reader);
        return;
    }
    reader->syntax->enter(reader);
    for (; !decode->is_full && reader->syntax->next_item(reader); decode->message++)
        decode_item(decode, reader);
    if (!decode->is_full && decode->message == 0 && reader->syntax->error(reader, &ignored) == NULL)
        refuse_no_message(decode, VERDICT_VALUE_MISSING, "an array without messages");
}

/* More readings than a message may have: all of it is refused, in one line. */
static void refuse_full(struct decode *decode)
{
    struct exchange *exchange = decode->exchange;
    struct refusal refusal = {.verdict = VERDICT_TOO_MANY, .text = "a message has at most 10,000 readings"};
    for (uint32_t i = 0; i < exchange->ticket->count; i++)
        exchange->ticket->heads[i].verdict = VERDICT_TOO_MANY;
    buffer_clear(&exchange->state);
    note_add_refusal(exchange, (struct note){.entry = decode->message, .item = NOTE_NONE, .head = NOTE_NONE},
                     &refusal);
}

static enum door_step refuse_text(struct exchange *exchange, const struct reader *reader)
{
    char text[128];
    size_t at;
    const char *error = reader->syntax->error(reader, &at);
    exchange->ticket->count = 0;
    snprintf(text, sizeof text, "not %s: %s at byte %zu", reader->syntax->name, error, at);
    readings_error(exchange, 400, "bad-request", text);
    return DOOR_ANSWERED;
}

enum door_step readings_handle(struct loop_context *loop, struct exchange *exchange)
{
    bool is_cbor = content_type_is(exchange->content_type, readings_cbor_type);
    struct reader reader = {.syntax = is_cbor ? &reader_cbor : &reader_json};
    struct decode decode = {.loop = loop, .exchange = exchange, .doors = doors_of(loop)};
    ensure(exchange->ticket != NULL && exchange->ticket->count == 0 && exchange->state.size == 0);
    reader.syntax->open(&reader, (struct slice){exchange->body, exchange->body_size}, decode.doors);
    enum pull_kind kind = reader.syntax->peek(&reader);
    if (kind == PULL_OBJECT || kind == PULL_ARRAY)
        decode_items(&decode, &reader);
    else
        reader.syntax->skip(&reader);
    if (decode.is_full)
        refuse_full(&decode);
    else if (!reader.syntax->finish(&reader))
        return refuse_text(exchange, &reader);
    else if (kind != PULL_OBJECT && kind != PULL_ARRAY) {
        readings_error(exchange, 400, "bad-request", "a message is an object or an array of them");
        return DOOR_ANSWERED;
    }
    if (admit_chain(loop, exchange->ticket) > 0)
        return DOOR_SUBMITTED;
    exchange->door->answer(loop, exchange);
    return DOOR_ANSWERED;
}

bool content_type_is(struct slice content_type, const char *type)
{
    size_t size = strlen(type);
    if (content_type.size < size || strncasecmp(content_type.data, type, size) != 0)
        return false;
    struct slice rest = {content_type.data + size, content_type.size - size};
    while (rest.size > 0 && (*rest.data == ' ' || *rest.data == ';')) {
        rest.data++;
        rest.size--;
    }
    if (rest.size == 0)
        return true;
    if (rest.data == content_type.data + size)
        return false;
    if (rest.size < 8 || strncasecmp(rest.data, "charset=", 8) != 0)
        return true; /* fhirVersion and other parameters */
    bool quoted = rest.size > 8 && rest.data[8] == '"';
    return rest.size - 8 >= 5u + quoted && strncasecmp(rest.data + 8 + quoted, "utf-8", 5) == 0;
}

bool readings_take(struct slice content_type)
{
    return content_type_is(content_type, "application/json") ||
           content_type_is(content_type, readings_cbor_type);
}
