/* readings_item: one reading or one event of a message: its fields become a claim, which is admitted or
 * refused. */
#include <string.h>

#include "daemon/ingest/pull/slice.h"
#include "daemon/ingest/readings/readings_internal.h"

bool readings__refuse(struct refusal *out, enum verdict verdict, const char *text, struct slice found)
{
    *out = (struct refusal){.verdict = verdict, .text = text, .found = found};
    return false;
}

bool readings__check_types(const struct reader_keys *keys, const struct pull_field *fields,
                           struct refusal *ret_refusal)
{
    static const enum pull_kind kinds[] = {[KEY_TEXT] = PULL_STRING,
                                           [KEY_TIME] = PULL_STRING,
                                           [KEY_NUMBER] = PULL_NUMBER,
                                           [KEY_ARRAY] = PULL_ARRAY};
    for (unsigned i = 0; i < keys->names.count; i++) {
        bool is_number = keys->types[i] == KEY_NUMBER;
        if (fields[i].kind != PULL_NONE && fields[i].kind != kinds[keys->types[i]] &&
            (fields[i].kind != PULL_INSTANT || keys->types[i] != KEY_TIME))
            return readings__refuse(ret_refusal, is_number ? VERDICT_VALUE_INVALID : VERDICT_MALFORMED,
                                    is_number ? "a value is a number" : "the key has the wrong type",
                                    (struct slice){keys->names.list[i].text, keys->names.list[i].size});
    }
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
        return readings__refuse(ret_refusal, VERDICT_STATUS_UNSUPPORTED,
                                "status is preliminary, final, corrected or void",
                                fields[READING_STATUS].text);
    if (!read_word(comparators, &fields[READING_COMPARATOR], &comparator))
        return readings__refuse(ret_refusal, VERDICT_MALFORMED, "comparator is < or >",
                                fields[READING_COMPARATOR].text);
    if (!read_word(origins, &fields[READING_ORIGIN], &origin))
        return readings__refuse(ret_refusal, VERDICT_MALFORMED,
                                "origin is automatic, patient, carer or professional",
                                fields[READING_ORIGIN].text);
    claim->status = (enum reading_status)status;
    claim->comparator = (enum comparator)comparator;
    claim->origin = (enum origin)origin;
    return true;
}

static struct slice text_of(const struct pull_field *field)
{
    bool has_text = field->kind != PULL_NONE && field->kind != PULL_INSTANT && field->text.size > 0;
    return has_text ? field->text : (struct slice){NULL, 0};
}

/* The time of an item, else of its message. */
static const struct pull_field *time_of(const struct decode *decode, const struct pull_field *own)
{
    return own->kind != PULL_NONE ? own : &decode->fields[MESSAGE_TIME];
}

static bool read_issued(const struct pull_field *field, int64_t *ret_ms, struct refusal *ret_refusal)
{
    if (field->kind == PULL_INSTANT)
        *ret_ms = pull_instant_ms(field);
    return field->kind == PULL_NONE || field->kind == PULL_INSTANT ||
           admit_parse_issued(field->text, ret_ms, ret_refusal);
}

static bool read_claim(struct decode *decode, const struct pull_field *fields, struct claim *claim,
                       struct refusal *ret_refusal)
{
    const struct pull_field *time = time_of(decode, &fields[READING_TIME]);
    bool own_id = fields[READING_ID].kind != PULL_NONE;
    *claim = (struct claim){
        .match = CODE_UNKNOWN,
        .issued_ms = INSTANT_NONE,
        .code = text_of(&fields[READING_CODE]),
        .value = text_of(&fields[READING_VALUE]),
        .unit = text_of(&fields[READING_UNIT]),
        .time = text_of(time),
        .is_instant = time->kind == PULL_INSTANT,
        .instant_ms = time->kind == PULL_INSTANT ? pull_instant_ms(time) : 0,
        .sensor = text_of(&fields[READING_SENSOR]),
        .alias = text_of(own_id ? &fields[READING_ID] : &decode->fields[MESSAGE_ID]),
    };
    if (!readings__check_types(&readings_reading_keys, fields, ret_refusal))
        return false;
    if (own_id && claim->alias.data == NULL)
        return readings__refuse(ret_refusal, VERDICT_MALFORMED, "an id is not empty",
                                (struct slice){NULL, 0});
    if (claim->code.data != NULL)
        claim->match = parameter_by_text(claim->code.data, claim->code.size, &claim->parameter);
    if (claim->match == CODE_MATCH && !own_id && decode->fields[MESSAGE_ID].kind != PULL_NONE) {
        if (decode->by_message_id[claim->parameter])
            readings__refuse(
                &decode->refusal, VERDICT_MALFORMED,
                "an id names one measurement: two readings of one parameter need ids of their own",
                claim->alias);
        decode->by_message_id[claim->parameter] = true;
    }
    return read_issued(&fields[READING_ISSUED], &claim->issued_ms, ret_refusal) &&
           read_words(fields, claim, ret_refusal);
}

static void note_refused(struct decode *decode, uint32_t item, const struct refusal *refusal)
{
    struct note note = {.entry = decode->message, .item = item, .head = decode->exchange->ticket->count - 1};
    note_add_refusal(decode->exchange, note, refusal);
}

void readings__refuse_item(struct decode *decode, uint32_t item, const struct refusal *refusal)
{
    if (admit_refused(&decode->admit, refusal->verdict) == NULL)
        decode->is_full = true;
    else
        note_refused(decode, item, refusal);
}

/* What is done with the fields of one item of an array. */
struct item_kind {
    const struct reader_keys *keys;
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

static void decode_item_of(struct decode *decode, struct reader *reader, const struct item_kind *kind,
                           uint32_t item)
{
    struct pull_field fields[ITEM_KEYS_MAX];
    struct pull_unknown unknown;
    struct refusal refusal = {.verdict = VERDICT_ACCEPTED};
    struct reading *reading = NULL;
    if (reader->syntax->peek(reader) != PULL_OBJECT) {
        reader->syntax->skip(reader);
        readings__refuse(&refusal, VERDICT_MALFORMED, kind->no_object, (struct slice){NULL, 0});
        readings__refuse_item(decode, item, &refusal);
        return;
    }
    reader->syntax->enter(reader);
    if (!reader->syntax->read_fields(reader, kind->keys, fields, &unknown))
        return;
    if (unknown.count > 0)
        readings__refuse(&refusal, VERDICT_UNKNOWN_KEY, NULL, unknown.first);
    else
        reading = kind->take(decode, fields, &refusal);
    if (reading == NULL && refusal.verdict == VERDICT_ACCEPTED)
        decode->is_full = true;
    else if (reading == NULL)
        readings__refuse_item(decode, item, &refusal);
    else if (refusal.verdict != VERDICT_ACCEPTED)
        note_refused(decode, item, &refusal);
}

/* ---- one message of a device's own alarm ---- */

static bool read_event(struct decode *decode, const struct pull_field *fields, struct event_claim *claim,
                       struct refusal *ret_refusal)
{
    static const struct word phases[] = {
        {"start", PHASE_START}, {"continue", PHASE_CONTINUE}, {"end", PHASE_END}, {NULL, 0}};
    const struct pull_field *time = time_of(decode, &fields[EVENT_KEY_TIME]);
    int phase = PHASE_COUNT; /* missing */
    if (!readings__check_types(&readings_event_keys, fields, ret_refusal))
        return false;
    if (!read_word(phases, &fields[EVENT_KEY_PHASE], &phase))
        return readings__refuse(ret_refusal, VERDICT_MALFORMED, "phase is start, continue or end",
                                fields[EVENT_KEY_PHASE].text);
    *claim = (struct event_claim){
        .class = text_of(&fields[EVENT_KEY_CLASS]),
        .episode = text_of(&fields[EVENT_KEY_EPISODE]),
        .time = text_of(time),
        .is_instant = time->kind == PULL_INSTANT,
        .instant_ms = time->kind == PULL_INSTANT ? pull_instant_ms(time) : 0,
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

const struct item_kind readings__reading_item = {&readings_reading_keys, "a reading is an object",
                                                 take_reading},
                       readings__event_item = {&readings_event_keys, "an event is an object", take_event};

/* ---- arrays ---- */

uint32_t readings__decode_array(struct decode *decode, const struct reader *message,
                                const struct pull_field *field, const struct item_kind *kind,
                                const struct refusal *refusal)
{
    struct reader reader = {.syntax = message->syntax};
    struct pull_scratch *scratch = &decode->doors->scratch;
    size_t mark = scratch->size, ignored;
    uint32_t count = 0;
    if (field->kind != PULL_ARRAY)
        return 0;
    reader.syntax->open_raw(&reader, field->text, message);
    reader.syntax->enter(&reader);
    for (; !decode->is_full && reader.syntax->next_item(&reader); count++) {
        scratch->size = mark; /* nothing that an item put there outlives it */
        if (refusal->verdict == VERDICT_ACCEPTED) {
            decode_item_of(decode, &reader, kind, count);
        } else {
            reader.syntax->skip(&reader);
            readings__refuse_item(decode, count, refusal);
        }
    }
    ensure(reader.syntax->error(&reader, &ignored) == NULL); /* checked when it was taken, and the scratch has
                                                                room for an item */
    return count;
}
