/* readings: a message is read in two passes: first its keys, with `readings` and `events` as raw text, then
 * those. So the order of keys does not matter, and a reading is admitted as soon as it is read. */
#include "daemon/ingest/readings.h"

#include <stdio.h>
#include <string.h>

#include "daemon/ingest/doors.h"
#include "daemon/ingest/note.h"
#include "daemon/ingest/slice.h"
#include "daemon/registry/registry.h"

#define MESSAGE_KEYS(KEY)                                                                                    \
    KEY(PATIENT, "patient", PULL_STRING)                                                                     \
    KEY(DEVICE, "device", PULL_STRING)                                                                       \
    KEY(ID, "id", PULL_STRING)                                                                               \
    KEY(TIME, "time", PULL_STRING)                                                                           \
    KEY(READINGS, "readings", PULL_ARRAY)                                                                    \
    KEY(EVENTS, "events", PULL_ARRAY)

#define READING_KEYS(KEY)                                                                                    \
    KEY(CODE, "code", PULL_STRING)                                                                           \
    KEY(VALUE, "value", PULL_NUMBER)                                                                         \
    KEY(UNIT, "unit", PULL_STRING)                                                                           \
    KEY(TIME, "time", PULL_STRING)                                                                           \
    KEY(ID, "id", PULL_STRING)                                                                               \
    KEY(STATUS, "status", PULL_STRING)                                                                       \
    KEY(COMPARATOR, "comparator", PULL_STRING)                                                               \
    KEY(ORIGIN, "origin", PULL_STRING)                                                                       \
    KEY(SENSOR, "sensor", PULL_STRING)                                                                       \
    KEY(ISSUED, "issued", PULL_STRING)

#define EVENT_KEYS(KEY)                                                                                      \
    KEY(CLASS, "class", PULL_STRING)                                                                         \
    KEY(EPISODE, "episode", PULL_STRING)                                                                     \
    KEY(PHASE, "phase", PULL_STRING)                                                                         \
    KEY(TIME, "time", PULL_STRING)

#define KEY_NAME(id, name, kind) {name, sizeof name - 1},
#define KEY_KIND(id, name, kind) kind,

enum message_key {
#define MESSAGE_ENUM(id, name, kind) MESSAGE_##id,
    MESSAGE_KEYS(MESSAGE_ENUM)
#undef MESSAGE_ENUM
        MESSAGE_KEYS_COUNT
};

enum reading_key {
#define READING_ENUM(id, name, kind) READING_##id,
    READING_KEYS(READING_ENUM)
#undef READING_ENUM
        READING_KEYS_COUNT
};

enum event_key {
#define EVENT_ENUM(id, name, kind) EVENT_KEY_##id,
    EVENT_KEYS(EVENT_ENUM)
#undef EVENT_ENUM
        EVENT_KEYS_COUNT
};

static const struct pull_name message_list[] = {MESSAGE_KEYS(KEY_NAME)},
                              reading_list[] = {READING_KEYS(KEY_NAME)},
                              event_list[] = {EVENT_KEYS(KEY_NAME)};
static const enum pull_kind message_kinds[] = {MESSAGE_KEYS(KEY_KIND)},
                            reading_kinds[] = {READING_KEYS(KEY_KIND)},
                            event_kinds[] = {EVENT_KEYS(KEY_KIND)};
static const struct pull_names message_names = {message_list, MESSAGE_KEYS_COUNT, '\0'};
static const struct pull_names reading_names = {reading_list, READING_KEYS_COUNT, '\0'};
static const struct pull_names event_names = {event_list, EVENT_KEYS_COUNT, '\0'};

/* One HTTP message on its way. */
struct decode {
    const struct loop_context *loop;
    struct exchange *exchange;
    struct doors *doors;
    struct admit admit;
    struct pull_field fields[MESSAGE_KEYS_COUNT]; /* of the message at hand */
    struct refusal refusal;                       /* of the message at hand as a whole */
    uint32_t message;
    size_t entry_note; /* its NOTE_ENTRY, then its NOTE_EVENTS */
    bool by_message_id[PARAMETER_COUNT];
    bool is_full;
};

/* ---- one reading ---- */

static bool refuse_value(struct refusal *out, enum verdict verdict, const char *text, struct slice found)
{
    *out = (struct refusal){.verdict = verdict, .text = text, .found = found};
    return false;
}

/* Each field that is there has the kind that its row wants; a value of another kind is no number. */
static bool check_kinds(const struct pull_names *names, const enum pull_kind *kinds,
                        const struct pull_field *fields, struct refusal *ret_refusal)
{
    for (unsigned i = 0; i < names->count; i++)
        if (fields[i].kind != PULL_NONE && fields[i].kind != kinds[i])
            return refuse_value(
                ret_refusal, kinds[i] == PULL_NUMBER ? VERDICT_VALUE_INVALID : VERDICT_MALFORMED,
                kinds[i] == PULL_NUMBER ? "a value is a JSON number" : "the key has the wrong type",
                (struct slice){names->list[i].text, names->list[i].size});
    return true;
}

struct word {
    const char *text;
    int value;
};

/* The value of a word of the table, which ends with {NULL}; an absent field keeps *ret. */
static bool read_word(const struct word *words, const struct pull_field *field, int *ret)
{
    if (field->kind == PULL_NONE)
        return true;
    while (words->text != NULL && !slice_is(field->text, words->text))
        words++;
    if (words->text == NULL)
        return false;
    *ret = words->value;
    return true;
}

static bool read_words(const struct pull_field *fields, struct claim *claim, struct refusal *ret_refusal)
{
    static const struct word statuses[] = {{"final", STATUS_FINAL},
                                           {"preliminary", STATUS_PRELIMINARY},
                                           {"corrected", STATUS_CORRECTED},
                                           {"void", STATUS_VOID},
                                           {NULL, 0}};
    static const struct word comparators[] = {{"<", COMPARATOR_LESS}, {">", COMPARATOR_GREATER}, {NULL, 0}};
    static const struct word origins[] = {{"automatic", ORIGIN_AUTOMATIC},
                                          {"patient", ORIGIN_PATIENT},
                                          {"carer", ORIGIN_CARER},
                                          {"professional", ORIGIN_PROFESSIONAL},
                                          {NULL, 0}};
    int status = STATUS_FINAL, comparator = COMPARATOR_NONE, origin = ORIGIN_AUTOMATIC;
    if (!read_word(statuses, &fields[READING_STATUS], &status))
        return refuse_value(ret_refusal, VERDICT_STATUS_UNSUPPORTED,
                            "status is preliminary, final, corrected or void", fields[READING_STATUS].text);
    if (!read_word(comparators, &fields[READING_COMPARATOR], &comparator))
        return refuse_value(ret_refusal, VERDICT_MALFORMED, "comparator is < or >",
                            fields[READING_COMPARATOR].text);
    if (!read_word(origins, &fields[READING_ORIGIN], &origin))
        return refuse_value(ret_refusal, VERDICT_MALFORMED,
                            "origin is automatic, patient, carer or professional",
                            fields[READING_ORIGIN].text);
    claim->status = (enum reading_status)status;
    claim->comparator = (enum comparator)comparator;
    claim->origin = (enum origin)origin;
    return true;
}

static struct slice text_of(const struct pull_field *field)
{
    return field->kind != PULL_NONE && field->text.size > 0 ? field->text : (struct slice){NULL, 0};
}

static bool read_claim(struct decode *decode, const struct pull_field *fields, struct claim *claim,
                       struct refusal *ret_refusal)
{
    const struct pull_field *time =
        fields[READING_TIME].kind != PULL_NONE ? &fields[READING_TIME] : &decode->fields[MESSAGE_TIME];
    bool own_id = fields[READING_ID].kind != PULL_NONE;
    *claim = (struct claim){
        .match = CODE_UNKNOWN,
        .issued_ms = INSTANT_NONE,
        .code = text_of(&fields[READING_CODE]),
        .value = text_of(&fields[READING_VALUE]),
        .unit = text_of(&fields[READING_UNIT]),
        .time = text_of(time),
        .sensor = text_of(&fields[READING_SENSOR]),
        .alias = text_of(own_id ? &fields[READING_ID] : &decode->fields[MESSAGE_ID]),
    };
    if (!check_kinds(&reading_names, reading_kinds, fields, ret_refusal))
        return false;
    if (own_id && claim->alias.data == NULL)
        return refuse_value(ret_refusal, VERDICT_MALFORMED, "an id is not empty", (struct slice){NULL, 0});
    if (claim->code.data != NULL)
        claim->match = parameter_by_text(claim->code.data, claim->code.size, &claim->parameter);
    if (claim->match == CODE_MATCH && !own_id && decode->fields[MESSAGE_ID].kind != PULL_NONE) {
        if (decode->by_message_id[claim->parameter])
            refuse_value(&decode->refusal, VERDICT_MALFORMED,
                         "an id names one measurement: two readings of one parameter need ids of their own",
                         claim->alias);
        decode->by_message_id[claim->parameter] = true;
    }
    if (fields[READING_ISSUED].kind != PULL_NONE &&
        !admit_parse_issued(fields[READING_ISSUED].text, &claim->issued_ms, ret_refusal))
        return false;
    return read_words(fields, claim, ret_refusal);
}

static void note_refused(struct decode *decode, uint32_t item, const struct refusal *refusal)
{
    struct note note = {.entry = decode->message, .item = item, .head = decode->exchange->ticket->count - 1};
    note_add_refusal(decode->exchange, note, refusal);
}

static void refuse_item(struct decode *decode, uint32_t item, const struct refusal *refusal)
{
    if (admit_refused(&decode->admit, refusal->verdict) == NULL)
        decode->is_full = true;
    else
        note_refused(decode, item, refusal);
}

/* What is done with the fields of one item of an array. */
struct item_kind {
    const struct pull_names *names;
    const char *no_object;
    /* Admits it: NULL when the message is full or *ret_refusal came first. */
    struct reading *(*take)(struct decode *decode, const struct pull_field *fields,
                            struct refusal *ret_refusal);
};

enum { ITEM_KEYS_MAX = READING_KEYS_COUNT };

static struct reading *take_reading(struct decode *decode, const struct pull_field *fields,
                                    struct refusal *ret_refusal)
{
    struct claim claim;
    return read_claim(decode, fields, &claim, ret_refusal)
               ? admit_reading(&decode->admit, &claim, ret_refusal)
               : NULL;
}

static void decode_item_of(struct decode *decode, struct pull *pull, const struct item_kind *kind,
                           uint32_t item)
{
    struct pull_field fields[ITEM_KEYS_MAX];
    struct pull_unknown unknown;
    struct slice ignored;
    struct refusal refusal = {.verdict = VERDICT_ACCEPTED};
    struct reading *reading = NULL;
    if (pull_peek(pull) != PULL_OBJECT) {
        pull_skip(pull);
        refuse_value(&refusal, VERDICT_MALFORMED, kind->no_object, (struct slice){NULL, 0});
        refuse_item(decode, item, &refusal);
        return;
    }
    pull_value(pull, &ignored);
    if (!pull_read_fields(pull, kind->names, fields, &unknown))
        return;
    if (unknown.count > 0)
        refuse_value(&refusal, VERDICT_UNKNOWN_KEY, NULL, unknown.first);
    else
        reading = kind->take(decode, fields, &refusal);
    if (reading == NULL && refusal.verdict == VERDICT_ACCEPTED)
        decode->is_full = true;
    else if (reading == NULL)
        refuse_item(decode, item, &refusal);
    else if (refusal.verdict != VERDICT_ACCEPTED)
        note_refused(decode, item, &refusal);
}

/* ---- one message of a device's own alarm ---- */

static bool read_event(struct decode *decode, const struct pull_field *fields, struct event_claim *claim,
                       struct refusal *ret_refusal)
{
    static const struct word phases[] = {
        {"start", PHASE_START}, {"continue", PHASE_CONTINUE}, {"end", PHASE_END}, {NULL, 0}};
    const struct pull_field *own_time = &fields[EVENT_KEY_TIME];
    int phase = PHASE_COUNT; /* missing */
    if (!check_kinds(&event_names, event_kinds, fields, ret_refusal))
        return false;
    if (!read_word(phases, &fields[EVENT_KEY_PHASE], &phase))
        return refuse_value(ret_refusal, VERDICT_MALFORMED, "phase is start, continue or end",
                            fields[EVENT_KEY_PHASE].text);
    *claim = (struct event_claim){
        .class = text_of(&fields[EVENT_KEY_CLASS]),
        .episode = text_of(&fields[EVENT_KEY_EPISODE]),
        .time = text_of(own_time->kind != PULL_NONE ? own_time : &decode->fields[MESSAGE_TIME]),
        .phase = (enum device_phase)phase,
    };
    return true;
}

static struct reading *take_event(struct decode *decode, const struct pull_field *fields,
                                  struct refusal *ret_refusal)
{
    struct event_claim claim;
    return read_event(decode, fields, &claim, ret_refusal) ? admit_event(&decode->admit, &claim, ret_refusal)
                                                           : NULL;
}

static const struct item_kind reading_item = {&reading_names, "a reading is an object", take_reading},
                              event_item = {&event_names, "an event is an object", take_event};

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
    const struct pull_field *fields = decode->fields;
    struct refusal *refusal = &decode->refusal;
    if (is_vendor_shape(fields, unknown)) {
        refuse_value(
            refusal, VERDICT_NOT_SUPPORTED,
            "not the structure of /v1/readings; shapes of other makers (Open mHealth, IoMT) are not served",
            unknown->first);
        return;
    }
    if (unknown->count > 0) {
        refuse_value(refusal, VERDICT_UNKNOWN_KEY, NULL, unknown->first);
        return;
    }
    if (!check_kinds(&message_names, message_kinds, fields, refusal))
        return;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (fields[texts[i]].kind != PULL_NONE && fields[texts[i]].text.size == 0)
            refuse_value(refusal, VERDICT_MALFORMED, "patient, device and id are not empty",
                         (struct slice){message_list[texts[i]].text, message_list[texts[i]].size});
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
        refuse_value(&decode->refusal, VERDICT_MALFORMED, "the device is not that of the topic", field->text);
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

/* Reads each value of the array as an item of the kind, or refuses each with `refusal`. */
static uint32_t decode_array(struct decode *decode, const struct pull_field *field,
                             const struct item_kind *kind, const struct refusal *refusal)
{
    struct pull pull;
    struct slice ignored;
    uint32_t count = 0;
    if (field->kind != PULL_ARRAY)
        return 0;
    pull_open_raw(&pull, field->text, &decode->doors->scratch);
    pull_value(&pull, &ignored);
    for (; !decode->is_full && pull_next_item(&pull); count++) {
        if (refusal->verdict == VERDICT_ACCEPTED) {
            decode_item_of(decode, &pull, kind, count);
        } else {
            pull_skip(&pull);
            refuse_item(decode, count, refusal);
        }
    }
    ensure(pull.error == NULL); /* checked when it was taken, and the scratch has room for every level once */
    return count;
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

static void decode_message(struct decode *decode, struct pull *pull)
{
    struct exchange *exchange = decode->exchange;
    struct pull_unknown unknown;
    if (!pull_read_fields(pull, &message_names, decode->fields, &unknown))
        return;
    decode->refusal = (struct refusal){.verdict = VERDICT_ACCEPTED};
    memset(decode->by_message_id, 0, sizeof decode->by_message_id);
    check_message(decode, &unknown);
    check_device(decode);
    open_message(decode);
    uint32_t first = exchange->ticket->count;
    open_note(decode, NOTE_ENTRY);
    struct refusal whole = decode->refusal; /* decode->refusal may come while its readings are read */
    uint32_t readings = decode_array(decode, &decode->fields[MESSAGE_READINGS], &reading_item, &whole);
    if (decode->refusal.verdict != VERDICT_ACCEPTED && whole.verdict == VERDICT_ACCEPTED)
        take_back(decode, first);
    close_note(decode, readings);
    uint32_t events = 0;
    if (decode->fields[MESSAGE_EVENTS].kind == PULL_ARRAY) {
        open_note(decode, NOTE_EVENTS);
        events = decode_array(decode, &decode->fields[MESSAGE_EVENTS], &event_item, &decode->refusal);
        close_note(decode, events);
    }
    if (readings + events == 0) {
        if (decode->refusal.verdict == VERDICT_ACCEPTED)
            refuse_value(&decode->refusal, VERDICT_VALUE_MISSING, "a message without readings or events",
                         (struct slice){NULL, 0});
        refuse_item(decode, NOTE_NONE, &decode->refusal);
    }
}

/* ---- the HTTP message ---- */

static void decode_item(struct decode *decode, struct pull *pull)
{
    struct slice ignored;
    decode->doors->scratch.size = 0; /* nothing that a message unescaped outlives it */
    if (pull_peek(pull) == PULL_OBJECT) {
        pull_value(pull, &ignored);
        decode_message(decode, pull);
        return;
    }
    pull_skip(pull);
    struct note note = {
        .kind = NOTE_ENTRY, .entry = decode->message, .head = decode->exchange->ticket->count};
    note_add(decode->exchange, &note);
    struct refusal refusal = {.verdict = VERDICT_MALFORMED, .text = "a message is an object"};
    memset(decode->fields, 0, sizeof decode->fields);
    open_message(decode);
    refuse_item(decode, NOTE_NONE, &refusal);
}

static void decode_items(struct decode *decode, struct pull *pull)
{
    struct slice ignored;
    if (pull_peek(pull) == PULL_OBJECT) {
        decode_item(decode, pull);
        return;
    }
    pull_value(pull, &ignored);
    for (; !decode->is_full && pull_next_item(pull); decode->message++)
        decode_item(decode, pull);
    if (!decode->is_full && decode->message == 0 && pull->error == NULL) {
        struct refusal refusal = {.verdict = VERDICT_VALUE_MISSING, .text = "an array without messages"};
        memset(decode->fields, 0, sizeof decode->fields);
        open_message(decode);
        refuse_item(decode, NOTE_NONE, &refusal);
    }
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

static enum door_step refuse_text(struct exchange *exchange, const struct pull *pull)
{
    char text[128];
    exchange->ticket->count = 0;
    snprintf(text, sizeof text, "not JSON as RFC 8259 has it: %s at byte %zu", pull->error, pull->error_at);
    readings_error(exchange, 400, "bad-request", text);
    return DOOR_ANSWERED;
}

enum door_step readings_handle(struct loop_context *loop, struct exchange *exchange)
{
    struct pull pull;
    struct decode decode = {.loop = loop, .exchange = exchange, .doors = doors_of(loop)};
    ensure(exchange->ticket != NULL && exchange->ticket->count == 0 && exchange->state.size == 0);
    pull_open(&pull, (struct slice){exchange->body, exchange->body_size}, &decode.doors->scratch,
              &decode.doors->keys);
    enum pull_kind kind = pull_peek(&pull);
    if (kind == PULL_OBJECT || kind == PULL_ARRAY)
        decode_items(&decode, &pull);
    else
        pull_skip(&pull);
    if (decode.is_full)
        refuse_full(&decode);
    else if (!pull_finish(&pull))
        return refuse_text(exchange, &pull);
    else if (kind != PULL_OBJECT && kind != PULL_ARRAY) {
        readings_error(exchange, 400, "bad-request", "a message is a JSON object or an array of them");
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
    return content_type_is(content_type, "application/json");
}
