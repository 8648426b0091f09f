/* What has a beginning and an end: whose a device is, and when silence is suspended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/registry/import_private.h"

#define HOUR_MS 3600000LL
#define DAY_MS  (24 * HOUR_MS)

enum { SPANS_MAX = 512 }; /* assignments of one device, suspensions of one patient and rule */

struct span {
    int64_t patient_id, from_ms, to_ms; /* to_ms INT64_MAX: open */
};

static int64_t end_of(int64_t to_ms)
{
    return to_ms == INSTANT_NONE ? INT64_MAX : to_ms;
}

static int compare_spans(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    return (x->from_ms > y->from_ms) - (x->from_ms < y->from_ms);
}

static int compare_instants(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* ---- assignments ---- */

/* The assignments of a device by their beginning; `but` begins at that instant and is left out (INSTANT_NONE:
 * none). */
static unsigned list_assignments(const struct rows *rows, int64_t device_id, int64_t but,
                                 struct span spans[SPANS_MAX])
{
    unsigned count = 0;
    struct row_assignment *row = NULL;
    while ((row = rows_assignments(rows, device_id, row)) != NULL && count < SPANS_MAX - 1)
        if (row->from_at != but)
            spans[count++] = (struct span){row->patient_id, row->from_at, end_of(row->to_at)};
    qsort(spans, count, sizeof(spans[0]), compare_spans);
    return count;
}

/* As registry_assigned_to() has it, the grace before the very first included; 0: nobody's. */
static int64_t owner_at(const struct span *spans, unsigned count, int64_t at_ms, int64_t grace_ms)
{
    for (unsigned i = 0; i < count; i++) {
        int64_t from_ms = i == 0 ? spans[i].from_ms - grace_ms : spans[i].from_ms;
        if (at_ms >= from_ms && at_ms < spans[i].to_ms)
            return spans[i].patient_id;
    }
    return 0;
}

static unsigned add_edges(const struct span *spans, unsigned count, int64_t grace_ms, int64_t *edges)
{
    unsigned added = 0;
    for (unsigned i = 0; i < count; i++) {
        edges[added++] = i == 0 ? spans[i].from_ms - grace_ms : spans[i].from_ms;
        if (i == 0)
            edges[added++] = spans[i].from_ms;
        edges[added++] = spans[i].to_ms;
    }
    return added;
}

/* Between two edges the device has one owner before and one after: where they differ, no reading of the one
 * before may have been received. */
static enum err check_owners(struct import *import, int64_t device_id, const struct span *before,
                             unsigned before_count, const struct span *after, unsigned after_count)
{
    int64_t edges[4 * SPANS_MAX + 4];
    const struct import_options *options = import->options;
    int64_t grace_ms = options->assignment_grace_ms;
    unsigned count = add_edges(before, before_count, grace_ms, edges);
    count += add_edges(after, after_count, grace_ms, edges + count);
    qsort(edges, count, sizeof(edges[0]), compare_instants);
    for (unsigned i = 0; i < count && edges[i] != INT64_MAX; i++) {
        int64_t owner = owner_at(before, before_count, edges[i], grace_ms);
        int64_t from_to_ms[2] = {edges[i],
                                 i + 1 == count || edges[i + 1] == INT64_MAX ? INSTANT_NONE : edges[i + 1]};
        bool received = false;
        if (owner == 0 || from_to_ms[0] == from_to_ms[1] ||
            owner == owner_at(after, after_count, edges[i], grace_ms))
            continue;
        enum err error = options->has_readings(options->context, device_id, owner, from_to_ms, &received);
        if (error != OK)
            return error;
        if (received)
            return import_refuse(import, "assignment",
                                 "readings received in the time that would change its owner",
                                 "a change that leaves received readings with their patient",
                                 "end the assignment after its last reading");
    }
    return OK;
}

static enum err check_assignment(struct import *import, const struct row_assignment *row)
{
    struct span before[SPANS_MAX], after[SPANS_MAX];
    unsigned after_count = list_assignments(import->rows, row->device_id, row->from_at, after);
    unsigned before_count = list_assignments(import->rows, row->device_id, INSTANT_NONE, before);
    struct span wanted = {row->patient_id, row->from_at, end_of(row->to_at)};
    if (before_count >= SPANS_MAX - 2)
        return import_refuse(import, "assignment", "more than 500", "fewer of one device",
                             "enrol a new device");
    for (unsigned i = 0; i < after_count; i++)
        if (wanted.from_ms < after[i].to_ms && after[i].from_ms < wanted.to_ms)
            return import_refuse(import, "assignment", "an overlap with another assignment of the device",
                                 "one patient at a time",
                                 "end the other first: the same line with its \"to\"");
    after[after_count++] = wanted;
    qsort(after, after_count, sizeof(after[0]), compare_spans);
    return check_owners(import, row->device_id, before, before_count, after, after_count);
}

enum err import_apply_assignment(struct import *import)
{
    const char *ref = import_text(import, "device");
    const struct row_device *device = rows_find(import->rows, ROW_DEVICE, "%s", ref);
    const struct row_patient *patient = import_patient(import, "patient");
    int64_t from_ms = import_time(import, "from"), to_ms = import_time(import, "to");
    if (patient == NULL)
        return ERR_REFUSED;
    if (device == NULL)
        return import_refuse(import, "device", ref, "a device that exists",
                             "add a line of type device before this one");
    if (to_ms != INSTANT_NONE && to_ms <= from_ms)
        return import_refuse(import, "to", import_text(import, "to"), "an instant after from",
                             "leave it null while open");
    const struct row_assignment *old = rows_find(import->rows, ROW_ASSIGNMENT, "%lld\037%lld",
                                                 (long long)device->device_id, (long long)from_ms);
    if (old != NULL && old->patient_id != patient->patient_id)
        return import_refuse(import, "assignment", "an overlap with another patient's",
                             "one patient at a time", "end the other first: the same line with its \"to\"");
    struct row_assignment *row = row_new(ROW_ASSIGNMENT);
    row->device_id = device->device_id;
    row->patient_id = patient->patient_id;
    row->from_at = from_ms;
    row->to_at = to_ms;
    enum err error = old != NULL && row_equal(&old->row, &row->row) ? OK : check_assignment(import, row);
    if (error != OK) {
        row_free(row);
        return error;
    }
    import_put(import, row);
    return OK;
}

/* ---- suspensions ---- */

/* The longest time suspended within any 62 days, `wanted` included. A window that ends with a suspension is
 * enough: moving its end to the next one never loses any of it. */
static int64_t suspended_ms(const struct rows *rows, const struct row_suspension *wanted)
{
    struct span spans[SPANS_MAX];
    unsigned count = 1;
    int64_t most_ms = 0;
    spans[0] = (struct span){0, wanted->from_at, wanted->until_at};
    struct row_suspension *row = NULL;
    while ((row = rows_suspensions(rows, wanted->patient_id, row)) != NULL && count < SPANS_MAX)
        if (strcmp(row->rule_id, wanted->rule_id) == 0 && row->from_at != wanted->from_at)
            spans[count++] = (struct span){0, row->from_at, row->until_at};
    qsort(spans, count, sizeof(spans[0]), compare_spans);
    for (unsigned last = 0; last < count; last++) {
        int64_t window_ms = spans[last].to_ms - 62 * DAY_MS, sum_ms = 0, covered_ms = INT64_MIN;
        for (unsigned i = 0; i < count; i++) {
            int64_t from_ms = spans[i].from_ms > window_ms ? spans[i].from_ms : window_ms;
            int64_t to_ms = spans[i].to_ms < spans[last].to_ms ? spans[i].to_ms : spans[last].to_ms;
            from_ms = from_ms > covered_ms ? from_ms : covered_ms;
            if (to_ms <= from_ms)
                continue;
            sum_ms += to_ms - from_ms;
            covered_ms = to_ms;
        }
        most_ms = sum_ms > most_ms ? sum_ms : most_ms;
    }
    return most_ms;
}

static enum err check_suspension(struct import *import, const struct row_suspension *row)
{
    if (row->until_at <= row->from_at)
        return import_refuse(import, "until", import_text(import, "until"), "an instant after from",
                             "check the dates");
    if (row->until_at - row->from_at > 31 * DAY_MS)
        return import_refuse(import, "until", import_text(import, "until"), "at most 31 days after from",
                             "a suspension always ends: suspend again when it does");
    if (row->reason[0] == '\0')
        return import_refuse(import, "reason", "nothing", "why transmission is not expected",
                             "for example hospital stay");
    if (strcmp(row->role, "physician") != 0 && suspended_ms(import->rows, row) > 31 * DAY_MS)
        return import_refuse(import, "role", row->role, "physician for more than 31 days in 62",
                             "a physician decides on it: \"role\": \"physician\"");
    return OK;
}

enum err import_apply_suspension(struct import *import)
{
    const struct row_patient *patient = import_patient(import, "patient");
    const char *rule_id = import_text(import, "rule"), *role = import_text(import, "role");
    if (patient == NULL)
        return ERR_REFUSED;
    const struct row_rule *rule = import_rule_of_patient(import, patient, rule_id);
    if (rule == NULL || !import_rule_is_silence(rule))
        return import_refuse(import, "rule", rule_id, "the id of a silence rule of the patient",
                             "only the expectation of transmissions can be suspended");
    struct row_suspension *row = row_new(ROW_SUSPENSION);
    row->patient_id = patient->patient_id;
    row->from_at = import_time(import, "from");
    row->until_at = import_time(import, "until");
    row_set_text(&row->rule_id, rule_id);
    row_set_text(&row->author, import_text(import, "author"));
    row_set_text(&row->role, role == NULL ? "" : role);
    row_set_text(&row->reason, import_text(import, "reason"));
    enum err error = check_suspension(import, row);
    if (error != OK) {
        row_free(row);
        return error;
    }
    import_put(import, row);
    return OK;
}
