/* fuzz_fhir: any bytes through the FHIR doors, as four kinds of source, with and without If-None-Exist and
 * the device of a topic. What must hold, besides no crash:
 * - the status is one that the interface knows, and the answer is an OperationOutcome or a Bundle that
 * jansson takes, with one entry for each that was sent;
 * - a reading is admitted for a patient whom the payload calls by an identifier, or who has a device that it
 *   names, or who is the source's; and where a single Observation names its subject by a plain reference, for
 *   that one and nobody else;
 * - the notes cover every head once, in order, and a refused one has a refusing verdict;
 * - a transaction that is refused has nothing admitted, and keeps nothing aside. */
#include <jansson.h>
#include <string.h>

#include "daemon/base/ensure.h"
#include "daemon/ingest/fhir/fhir.h"
#include "tests/unit/ingest_fixture.c" /* a fuzz target is one file and the library */

/* What the fixture's world calls whom; devices as of any time. */
static const struct {
    const char *name;
    int64_t patient_id;
} names[] = {
    {"p1", 1},
    {"p2", 2},
    {"abc", 2},
    {"SN-1", 1},
    {"S1", 1},
    {"SN-2", 2},
    {"SN-4", 1},
    {"{{idPe}}", 1},
    {"example", 1},
    {"f001", 1},
    {"example-glucometer-metric", 1},
};

/* Whether a string contains the name as a whole word of a reference. */
static bool calls(const char *text, const char *name)
{
    for (const char *at = strstr(text, name); at != NULL; at = strstr(at + 1, name)) {
        char before = at == text ? '/' : at[-1], after = at[strlen(name)];
        if (strchr("/|:#=%C", before) != NULL && (after == '\0' || after == '/' || after == '|'))
            return true;
    }
    return false;
}

static bool is_called(json_t *node, int64_t patient_id)
{
    const char *key;
    json_t *item;
    size_t i;
    if (json_is_string(node)) {
        for (i = 0; i < sizeof names / sizeof *names; i++)
            if (names[i].patient_id == patient_id && calls(json_string_value(node), names[i].name))
                return true;
        return false;
    }
    json_array_foreach(node, i, item) if (is_called(item, patient_id)) return true;
    json_object_foreach(node, key, item) if (is_called(item, patient_id)) return true;
    return false;
}

/* The patient whom "Patient/x" of a single Observation names, with no identifier beside; 0: not so plain. */
static int64_t plain_subject(json_t *body)
{
    json_t *subject = json_object_get(body, "subject");
    const char *reference = json_string_value(json_object_get(subject, "reference"));
    if (reference == NULL || json_object_get(subject, "identifier") != NULL)
        return 0;
    return strcmp(reference, "Patient/p1") == 0 ? 1 : strcmp(reference, "Patient/p2") == 0 ? 2 : 0;
}

static void check_patients(const char *source, const char *topic, json_t *body, bool is_single)
{
    const struct ticket *ticket = world.exchange.ticket;
    int64_t bound = strcmp(source, "dev") == 0 || strcmp(source, "pat") == 0 ? 1 : 0;
    int64_t subject = is_single ? plain_subject(body) : 0;
    for (uint32_t i = 0; i < ticket->count; i++) {
        int64_t patient_id = ticket->heads[i].patient_id;
        if (ticket->heads[i].verdict > VERDICT_QUARANTINED)
            continue;
        ensure(patient_id > 0 && patient_id != 9); /* 9 is another organisation's */
        ensure(bound == 0 || patient_id == bound);
        ensure(subject == 0 || patient_id == subject);
        ensure(patient_id == bound || (topic != NULL && patient_id == 1) || is_called(body, patient_id));
    }
}

static void check_notes(void)
{
    const struct ticket *ticket = world.exchange.ticket;
    size_t count;
    const struct note *notes = notes_of(&world.exchange, &count);
    uint32_t head = 0;
    for (size_t i = 0; i < count; i++) {
        if (notes[i].kind == NOTE_ENTRY) {
            ensure(notes[i].head == head);
            head += notes[i].count;
        } else if (notes[i].kind == NOTE_REFUSED) {
            ensure(notes[i].head < ticket->count &&
                   ticket->heads[notes[i].head].verdict >= VERDICT_MALFORMED);
        }
    }
    ensure(head == ticket->count);
}

static void check_answer(json_t *body)
{
    static const int known[] = {200, 201, 400, 403, 412, 413, 422};
    const struct exchange *exchange = &world.exchange;
    json_error_t error;
    size_t i = 0;
    while (i < sizeof known / sizeof *known && exchange->status != known[i])
        i++;
    ensure(i < sizeof known / sizeof *known);
    json_t *answer = json_loads(fixture_text(), JSON_REJECT_DUPLICATES, &error);
    const char *type = json_string_value(json_object_get(answer, "resourceType"));
    ensure(type != NULL);
    if (strcmp(type, "Bundle") == 0) {
        size_t sent = json_array_size(json_object_get(body, "entry"));
        ensure(exchange->status == 200 && json_array_size(json_object_get(answer, "entry")) == sent);
    } else {
        ensure(strcmp(type, "OperationOutcome") == 0);
        ensure(json_array_size(json_object_get(answer, "issue")) > 0);
    }
    if (exchange->status < 300)
        check_notes();
    json_decref(answer);
}

static void check_refused(json_t *body)
{
    const char *type = json_string_value(json_object_get(body, "type"));
    const struct ticket *ticket = world.exchange.ticket;
    if (world.exchange.status < 300 || type == NULL || strcmp(type, "transaction") != 0 ||
        json_string_value(json_object_get(body, "resourceType")) == NULL ||
        strcmp(json_string_value(json_object_get(body, "resourceType")), "Bundle") != 0)
        return;
    ensure(ticket->rejected.count == 0);
    for (uint32_t i = 0; i < ticket->count; i++)
        ensure(ticket->heads[i].verdict >= VERDICT_MALFORMED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bits of the first byte: door (2), source (2), If-None-Exist (1). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"/fhir/Observation", "/fhir"};
    static const char *const sources[] = {"dev", "gw", "sys", "pat"};
    if (size < 1)
        return 0;
    unsigned door = data[0] & 3;
    const char *source = sources[data[0] >> 2 & 3], *topic = door == 3 ? "SN-1" : NULL;
    const char *search = data[0] & 16 ? "identifier=urn:x|1" : NULL;
    char *text = strndup((const char *)data + 1, size - 1);
    ensure(text != NULL);
    fixture_forget();
    if (door < 2)
        fixture_send_as(source, paths[door], search, (const char *)data + 1, size - 1);
    else
        fixture_publish(source, &fhir_resource_door, topic, text);
    /* Numbers that jansson cannot hold are its own affair: what it refuses is looked at no further. */
    bool has_mark = size > 3 && memcmp(data + 1, "\xef\xbb\xbf", 3) == 0;
    json_t *body = json_loadb((const char *)data + 1 + (has_mark ? 3 : 0), size - 1 - (has_mark ? 3 : 0),
                              JSON_DECODE_INT_AS_REAL, NULL);
    bool is_bundle = door == 1 || json_object_get(body, "entry") != NULL;
    if (body != NULL) {
        check_patients(source, topic, body, !is_bundle);
        check_answer(body);
        check_refused(body);
    }
    json_decref(body);
    free(text);
    return 0;
}
