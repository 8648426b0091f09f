/* command_quarantine: the reading is built anew from the command's fields, with its tail, and goes the way of
 * all readings but for the quarantine: admission_release(). */
#include "alerting/command_quarantine.h"

#include <string.h>

#include "alerting/admission.h"
#include "alerting/patient.h"

/* The number of a word of an enum; `count` when it is none. */
static unsigned word_of(struct fields *fields, const char *key, const char *(*text)(unsigned), unsigned first,
                        unsigned end)
{
    const char *word = field_text(fields, key, "");
    for (unsigned i = first; i < end; i++)
        if (strcmp(text(i), word) == 0)
            return i;
    fields_refuse(fields, key, word, "a word of this field", NULL);
    return first;
}

static const char *comparator_text(unsigned value)
{
    return reading_comparator_text((enum comparator)value);
}

static const char *status_text(unsigned value)
{
    return reading_status_text((enum reading_status)value);
}

static const char *origin_text(unsigned value)
{
    return reading_origin_text((enum origin)value);
}

static const char *reason_text(unsigned value)
{
    return reading_quarantine_text((enum quarantine_reason)value);
}

static void read_tail(struct fields *fields, struct reading *reading, uint8_t tail[TAIL_BYTES_MAX])
{
    static const struct {
        enum tail_tag tag;
        const char *key;
    } rows[] = {{TAIL_KEY_DEVICE, "key_device"}, {TAIL_SENSOR, "sensor"},      {TAIL_ALIAS, "alias"},
                {TAIL_TEXT, "original_text"},    {TAIL_UNIT, "original_unit"}, {TAIL_CODE, "original_code"},
                {TAIL_CONTEXT, "context"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *text = field_text(fields, rows[i].key, "");
        if (text[0] == '\0' && rows[i].tag != TAIL_KEY_DEVICE)
            continue;
        if (!tail_put(tail, TAIL_BYTES_MAX, &reading->tail_size, rows[i].tag, text, strlen(text)))
            fields_refuse(fields, rows[i].key, "a long text", "texts of 512 bytes together", NULL);
    }
}

static void read_head(struct fields *fields, struct reading *reading)
{
    const char *id = field_text(fields, "reading_id", NULL);
    enum parameter parameter = field_parameter(fields, "parameter");
    *reading = (struct reading){
        .patient_id = field_integer(fields, "patient_id", 0),
        .device_id = field_signed(fields, "device_id"),
        .source_id = field_signed(fields, "source_id"),
        .value = field_value(fields, parameter),
        .measured_at_ms = field_instant(fields, "measured_at", INSTANT_NONE),
        .received_at_ms = field_instant(fields, "received_at", INSTANT_NONE),
        .issued_ms = field_instant(fields, "issued", INSTANT_NONE),
        .group_id = (uint64_t)field_signed(fields, "group_id"),
        .next = READING_CHAIN_END,
        .parameter = (uint16_t)parameter,
        .flags = (uint16_t)field_signed(fields, "flags"),
        .utc_offset_min = (int16_t)field_signed(fields, "utc_offset_min"),
        .comparator = (uint8_t)word_of(fields, "comparator", comparator_text, 0, COMPARATOR_GREATER + 1),
        .origin = (uint8_t)word_of(fields, "origin", origin_text, 0, ORIGIN_PROFESSIONAL + 1),
        .status = (uint8_t)word_of(fields, "status", status_text, 0, STATUS_VOID + 1),
        .quarantine =
            (uint8_t)word_of(fields, "quarantine", reason_text, QUARANTINE_IMPOSSIBLE, QUARANTINE_UNIT + 1),
    };
    const char *precision = field_text(fields, "time_precision", "time");
    reading->precision = strcmp(precision, "day") == 0 ? PRECISION_DAY : PRECISION_TIME;
    if (fields_are_good(fields) && uuid_parse(id, strlen(id), reading->reading_id) != OK)
        fields_refuse(fields, "reading_id", id, "a UUID", NULL);
    if (fields_are_good(fields) &&
        (reading->measured_at_ms == INSTANT_NONE || reading->received_at_ms == INSTANT_NONE))
        fields_refuse(fields, "measured_at", "nothing", "when it was measured and received", NULL);
}

/* The reading, with who says what of it; the engine's scratch holds it until the next one. False: answered.
 */
static struct patient *read_command(struct engine *engine, struct fields *fields)
{
    struct reading *reading = &engine->released;
    const char *author = field_text(fields, "author", NULL);
    read_head(fields, reading);
    read_tail(fields, reading, engine->released_tail);
    const char *alias = field_text(fields, "alias", "");
    if (alias[0] != '\0')
        reading->alias_hash = engine_alias_hash(engine, reading, (struct slice){alias, strlen(alias)});
    struct patient *patient = engine_patient(engine, reading->patient_id);
    if (fields_are_good(fields) && author[0] == '\0')
        fields_refuse(fields, "author", author, "who says so", NULL);
    if (fields_are_good(fields) && patient == NULL)
        fields_not_found(fields, "patient_id");
    if (fields_are_good(fields) && patient->dormant)
        fields_pass(fields);
    return fields_are_good(fields) ? patient : NULL;
}

/* What may not be released, or not yet. */
static void refuse_release(struct fields *fields, const struct engine *engine)
{
    const struct reading *reading = &engine->released;
    char when[INSTANT_TEXT_MAX];
    when[instant_format(reading->measured_at_ms, when)] = '\0';
    if (reading->quarantine == QUARANTINE_UNIT)
        fields_refuse(fields, "unit", "a unit that the code does not take",
                      "a number in a unit of the parameter", "discard it and have it sent in a mass unit");
    else if (reading->measured_at_ms - engine->unit.now_ms > engine->settings.future_tolerance_ms)
        fields_refuse(fields, "measured_at", when, "a time that has come",
                      "release it then, or discard it and have the device's clock set right");
}

static void answer(struct fields *fields)
{
    fields_answer(fields, fields->commit_ms, fields->commit_ms, false);
}

static void refuse_settled(struct fields *fields, unsigned settled)
{
    fields_refuse(fields, "reading", settled & HELD_DISCARDED ? "discarded already" : "released already",
                  "one that waits in quarantine", "vigiectl quarantine list shows which do");
}

void command_release(struct engine *engine, struct fields *fields)
{
    struct patient *patient = read_command(engine, fields);
    if (patient == NULL)
        return;
    refuse_release(fields, engine);
    if (!fields_are_good(fields))
        return;
    engine->unit.cause = "late-data";
    engine->unit.of_rules = false; /* a reading like any other, not the act of a rule */
    engine->arrivals_count = engine->touched_count = 0;
    unsigned settled = admission_release(engine, patient, &engine->released, engine->released_tail);
    if (settled != 0) {
        refuse_settled(fields, settled);
        return;
    }
    patient_take_in(engine, patient);
    answer(fields);
}

void command_discard(struct engine *engine, struct fields *fields)
{
    struct patient *patient = read_command(engine, fields);
    if (patient == NULL)
        return;
    unsigned settled = admission_discard(patient, &engine->released, engine->released_tail);
    if (settled != 0)
        refuse_settled(fields, settled);
    else
        answer(fields);
}
