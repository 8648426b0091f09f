/* hl7_alarm: ORU^R40, a device's own alarm as IHE PCD-04 (ACM) tells it: each OBR one message of one alarm,
 * its OBX rows what it is and how it stands. It becomes a message of a device event:
 *
 *   class    what the alarm is, the first row that is no attribute: its reference identifier
 *            ("MDC_EVT_SENSOR_DISCONN"), else "mdc:" and its code, else the maker's code
 *   episode  OBR-29, the alarm that this message goes on with, else OBR-3: identifiers joined by "^"
 *   phase    68481: start, tpoint -> start · continue, update, escalate, de-escalate -> continue · end, reset
 *            -> end. Without it 68482: active, latched -> continue · inactive -> end
 *   time     OBX-14 of the row that says what it is, else as for readings
 *
 * What is open, decided here:
 * - An `end` whose state (68482) is still latched is `continue`: the device has not let go of the alarm.
 * - A point in time is a `start` without an end: it stays open until somebody has handled it.
 * - The maker's priority (68484) and type (68485) are not part of the class: a rule gives each class its
 *   priority, and a class that nobody thought of has that of "*".
 * - The watchdog (MDC_EVT_WATCHDOG) is acknowledged and nothing else.
 * - Without a row that says what the alarm is: not a shape that we know (AR/CR, 201). */
#include <string.h>

#include "daemon/ingest/hl7/hl7_message.h"
#include "daemon/ingest/pull/slice.h"

#define WATCHDOG "MDC_EVT_WATCHDOG"

enum { EPISODE_PARTS_MAX = 4 };

static bool starts_with(struct slice text, const char *prefix)
{
    size_t size = strlen(prefix);
    return text.size >= size && memcmp(text.data, prefix, size) == 0;
}

void hl7_open_alarm(struct hl7 *hl7)
{
    struct slice code = hl7->order.fields[OBR_CODE];
    hl7->alert = (struct hl7_alert){
        .is_watchdog = slice_is(hl7_part(code, hl7->text.component, 2), WATCHDOG),
    };
}

/* ---- rows ---- */

struct row_code {
    struct slice id, name, system;
};

static struct row_code code_of(const struct hl7 *hl7, struct slice field)
{
    char separator = hl7->text.component;
    return (struct row_code){hl7_part(field, separator, 1), hl7_part(field, separator, 2),
                             hl7_part(field, separator, 3)};
}

/* Rows that say something of the alarm, not what it is. */
static bool is_attribute(const struct row_code *code)
{
    return starts_with(code->name, "MDC_ATTR_") || (code->id.size == 5 && starts_with(code->id, "6848"));
}

void hl7_take_attribute(struct hl7 *hl7, struct hl7_obx *obx)
{
    struct hl7_alert *alert = &hl7->alert;
    struct row_code code = code_of(hl7, obx->fields[OBX_CODE]);
    struct slice value = hl7_part(obx->fields[OBX_VALUE], hl7->text.component, 1);
    if (slice_is(code.name, WATCHDOG))
        alert->is_watchdog = true;
    if (obx->fields[OBX_TYPE].data == NULL && obx->fields[OBX_VALUE].data == NULL) {
        hl7_add_row(hl7, obx);
        return;
    }
    if (slice_is(code.id, "68481"))
        alert->phase = value;
    else if (slice_is(code.id, "68482"))
        alert->state = value;
    if (is_attribute(&code)) {
        alert->has_attributes = true;
        return;
    }
    bool is_named = starts_with(code.name, "MDC_EVT_");
    if (code.id.data == NULL && !is_named)
        return;
    if (!alert->has_event || (is_named && !alert->is_named)) {
        alert->event = *obx;
        alert->has_event = true;
        alert->is_named = is_named;
    }
}

/* ---- one alarm ---- */

static bool is_word(struct slice text, const char *word)
{
    return text.size == strlen(word) && strncasecmp(text.data, word, text.size) == 0;
}

static enum device_phase phase_of(const struct hl7_alert *alert)
{
    static const struct {
        const char *word;
        enum device_phase phase;
    } phases[] = {{"start", PHASE_START},     {"tpoint", PHASE_START},      {"continue", PHASE_CONTINUE},
                  {"update", PHASE_CONTINUE}, {"escalate", PHASE_CONTINUE}, {"de-escalate", PHASE_CONTINUE},
                  {"end", PHASE_END},         {"reset", PHASE_END}},
      states[] = {{"active", PHASE_CONTINUE}, {"latched", PHASE_CONTINUE}, {"inactive", PHASE_END}};
    bool is_latched = is_word(alert->state, "latched");
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++)
        if (is_word(alert->phase, phases[i].word))
            return phases[i].phase == PHASE_END && is_latched ? PHASE_CONTINUE : phases[i].phase;
    for (size_t i = 0; alert->phase.data == NULL && i < sizeof states / sizeof *states; i++)
        if (is_word(alert->state, states[i].word))
            return states[i].phase;
    return PHASE_COUNT;
}

/* Texts that are joined: each piece as what it stands for. */
struct joined {
    char text[TAIL_BYTES_MAX];
    size_t size;
    bool is_good;
};

static void join(struct hl7 *hl7, struct joined *joined, const char *between, struct slice piece)
{
    struct slice plain;
    size_t more = joined->size > 0 ? strlen(between) : 0;
    joined->is_good = joined->is_good && hl7_plain(&hl7->text, piece, hl7->scratch, &plain) &&
                      joined->size + more + plain.size <= sizeof joined->text;
    if (!joined->is_good || piece.data == NULL)
        return;
    memcpy(joined->text + joined->size, between, more);
    memcpy(joined->text + joined->size + more, plain.data, plain.size);
    joined->size += more + plain.size;
}

static struct slice text_of(const struct joined *joined)
{
    return joined->size > 0 ? (struct slice){joined->text, joined->size} : (struct slice){NULL, 0};
}

static void join_class(struct hl7 *hl7, struct joined *joined)
{
    struct row_code code = code_of(hl7, hl7->alert.event.fields[OBX_CODE]);
    if (starts_with(code.name, "MDC_")) {
        join(hl7, joined, "", code.name);
        return;
    }
    if (slice_is(code.system, "MDC"))
        join(hl7, joined, "", (struct slice){"mdc", 3});
    join(hl7, joined, ":", code.id);
}

/* An entity identifier, divided by components, or by subcomponents inside of OBR-29. */
static void join_identifier(struct hl7 *hl7, struct joined *joined, struct slice identifier, char separator)
{
    struct slice part;
    for (unsigned i = 0; i < EPISODE_PARTS_MAX && hl7_next_part(&identifier, separator, &part); i++)
        if (part.data != NULL)
            join(hl7, joined, "^", part);
}

static void join_episode(struct hl7 *hl7, struct joined *joined)
{
    const struct slice *fields = hl7->order.fields;
    char component = hl7->text.component;
    for (unsigned i = 2; joined->size == 0 && i >= 1;
         i--) /* the filler's name of the parent, then the placer's */
        join_identifier(hl7, joined, hl7_part(fields[OBR_PARENT], component, i), hl7->text.subcomponent);
    if (joined->size == 0)
        join_identifier(hl7, joined, fields[OBR_FILLER], component);
}

static struct note place_of(const struct hl7 *hl7, const struct refusal *refusal)
{
    if (refusal->field == FIELD_PATIENT && hl7->admit.refusal.verdict != VERDICT_ACCEPTED)
        return hl7_place(HL7_PID, hl7->at[HL7_PID], PID_IDENTIFIERS);
    return hl7_place(HL7_OBR, hl7->at[HL7_OBR], refusal->field == FIELD_TIME ? OBR_TIME : 0);
}

static void submit(struct hl7 *hl7, const struct event_claim *claim, struct refusal refusal)
{
    hl7_open_party(hl7, &hl7->alert.event);
    if (refusal.verdict != VERDICT_ACCEPTED && hl7->admit.refusal.verdict == VERDICT_ACCEPTED) {
        hl7_refuse_part(hl7, place_of(hl7, &refusal), &refusal);
        return;
    }
    struct reading *message = admit_event(&hl7->admit, claim, &refusal);
    if (message == NULL) {
        hl7->overflow = "a message has at most 10,000 alarms";
    } else if (refusal.verdict != VERDICT_ACCEPTED) {
        hl7_note_refused(hl7, place_of(hl7, &refusal), &refusal);
    } else if (hl7->is_test) {
        message->flags |= FLAG_TEST;
    }
}

void hl7_close_alarm(struct hl7 *hl7)
{
    static const struct refusal no_shape = {
        .verdict = VERDICT_NOT_SUPPORTED,
        .text = "not an alarm as IHE PCD-04 has it: no row says what the alarm is",
        .issue = "201"};
    struct hl7_alert *alert = &hl7->alert;
    struct joined class = {.is_good = true}, episode = {.is_good = true};
    struct event_claim claim = {.phase = phase_of(alert)};
    struct refusal refusal = {.verdict = VERDICT_ACCEPTED};
    if (alert->is_watchdog)
        return;
    if (!alert->has_event || (!alert->is_named && !alert->has_attributes)) {
        hl7_refuse_part(hl7, place_of(hl7, &no_shape), &no_shape);
        return;
    }
    join_class(hl7, &class);
    join_episode(hl7, &episode);
    claim.class = text_of(&class);
    claim.episode = text_of(&episode);
    if (!class.is_good || !episode.is_good)
        refusal = (struct refusal){.verdict = VERDICT_MALFORMED,
                                   .text = "class or episode of the alarm is no text, or too long"};
    else
        (void)hl7_find_time(hl7, &alert->event, &claim.time, &refusal);
    submit(hl7, &claim, refusal);
}
