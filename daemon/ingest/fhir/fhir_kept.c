/* fhir_kept: both look at the payload a second time, and only when there is something to find. */
#include "daemon/ingest/fhir/fhir_kept.h"

#include <string.h>

#include "daemon/ingest/pull/slice.h"

/* ---- what was refused ---- */

static bool is_partly_refused(const struct ticket *ticket, const struct note *entry)
{
    uint32_t taken = 0;
    for (uint32_t i = entry->head; i < entry->head + entry->count; i++)
        taken += ticket->heads[i].verdict == VERDICT_ACCEPTED;
    return taken > 0 && taken < entry->count;
}

/* Code and text are our own words; the original says what was found. */
static void keep(struct fhir *fhir, const struct note *note, struct slice original)
{
    const char *code = verdict_code(note->verdict);
    const char *text = note->text != NULL ? note->text : verdict_text(note->verdict);
    const struct rejection rejection = {
        .source_id = fhir->exchange->source->source_id,
        .code = code,
        .text = {text, strlen(text)},
        .original = original,
    };
    bool is_kept = ticket_reject(fhir->exchange->ticket, &rejection);
    ensure(is_kept); /* one record a head at most, and each byte of the message once */
}

void fhir_keep_refused(struct fhir *fhir, size_t place, const struct pull_field *components, struct slice own)
{
    static const struct pull_name list[] = {FHIR_NAME("id")};
    static const struct pull_names names = {list, 1, '\0'};
    size_t count, at = place + 1;
    const struct note *notes = notes_of(fhir->exchange, &count);
    struct pull_unknown unknown;
    struct pull_field id;
    struct slice raw;
    struct pull pull;
    if (!is_partly_refused(fhir->exchange->ticket, &notes[place]))
        return;
    if (at < count && notes[at].item == NOTE_NONE && own.data != NULL)
        keep(fhir, &notes[at], own);
    if (!fhir_open_array(fhir, components, &pull))
        return;
    for (uint32_t i = 0; at < count && fhir_next_object(&pull, &names, &id, &unknown, &raw); i++) {
        while (at < count && (notes[at].item == NOTE_NONE || notes[at].item < i))
            at++;
        if (at < count && notes[at].item == i && notes[at].kind == NOTE_REFUSED)
            keep(fhir, &notes[at], raw);
    }
}

/* ---- clocks ---- */

bool fhir_is_clock(struct slice code)
{
    return slice_is(code, "mdc:67975") || slice_is(code, "mdc:67976");
}

enum { OBSERVATION_CODE, OBSERVATION_ABSENT, OBSERVATION_DEVICE, OBSERVATION_COUNT };
static const struct pull_name observation_list[] = {FHIR_NAME("code"), FHIR_NAME("dataAbsentReason"),
                                                    FHIR_NAME("device")};
static const struct pull_names observation_names = {observation_list, OBSERVATION_COUNT, '\0'};

static struct slice reference_of(struct fhir *fhir, const struct pull_field *device)
{
    static const struct pull_name list[] = {FHIR_NAME("reference")};
    static const struct pull_names names = {list, 1, '\0'};
    struct pull_field reference;
    return fhir_read(fhir, device, &names, &reference) && reference.kind == PULL_STRING
               ? reference.text
               : (struct slice){NULL, 0};
}

static void find_fault(struct fhir *fhir, struct slice resource)
{
    const struct pull_field field = {PULL_OBJECT, resource};
    struct pull_field fields[OBSERVATION_COUNT];
    struct claim claim;
    fhir_read(fhir, &field, &observation_names, fields);
    fhir_read_code(fhir, &fields[OBSERVATION_CODE], &claim);
    struct slice device = reference_of(fhir, &fields[OBSERVATION_DEVICE]);
    if (fhir_is_clock(claim.code) && fields[OBSERVATION_ABSENT].kind != PULL_NONE && device.data != NULL)
        fhir->clock_faults[fhir->clock_faults_count++] = device;
}

void fhir_find_clock_faults(struct fhir *fhir)
{
    const struct exchange *exchange = fhir->exchange;
    if (memmem(exchange->body, exchange->body_size, "\"6797", 5) == NULL)
        return;
    for (uint32_t i = 0; i < fhir->entries_count && fhir->clock_faults_count < CLOCK_FAULTS_MAX; i++)
        if (fhir->doors->entries[i].kind == RESOURCE_OBSERVATION &&
            fhir->doors->entries[i].resource.data != NULL)
            find_fault(fhir, fhir->doors->entries[i].resource);
}

struct slice fhir_clock_context(struct fhir *fhir, const struct pull_field *device)
{
    static const char context[] = "{\"clock\":\"fault\"}";
    struct slice reference = {NULL, 0};
    if (fhir->clock_faults_count > 0)
        reference = reference_of(fhir, device);
    for (uint32_t i = 0; i < fhir->clock_faults_count; i++)
        if (slice_equal(reference, fhir->clock_faults[i]))
            return (struct slice){context, sizeof context - 1};
    return (struct slice){NULL, 0};
}
