/* hl7_order: what rows of one OBR have in common. OBX-4 is a path, MDS.VMD.CHAN.METRIC with zeros behind in
 * device rows ("1.16.0.0"), or a path as long as it is deep ("1.0.1"): without the zeros, a device row is
 * above every row whose path goes on behind its own. */
#include <string.h>

#include "daemon/ingest/hl7/hl7_message.h"
#include "daemon/ingest/pull/slice.h"
#include "daemon/registry/registry.h"

enum { DEVICE_NAMES_MAX = 12 };

static struct slice first_component(const struct hl7 *hl7, struct slice field)
{
    return hl7_part(field, hl7->text.component, 1);
}

/* ---- device rows ---- */

void hl7_open_order(struct hl7 *hl7, struct slice segment)
{
    hl7_split(&hl7->text, segment, hl7->order.fields, OBR_FIELDS);
    hl7->order.rows_count = 0;
    hl7->order.groups_count = 0;
}

void hl7_add_row(struct hl7 *hl7, const struct hl7_obx *obx)
{
    struct hl7_order *order = &hl7->order;
    struct hl7_row row = {obx->path, first_component(hl7, obx->fields[OBX_TIME]), obx->fields[OBX_DEVICE]};
    if (row.time.data == NULL && row.device.data == NULL)
        return;
    if (row.path.size > TAIL_BYTES_MAX || row.time.size > TAIL_BYTES_MAX || row.device.size > TAIL_BYTES_MAX)
        hl7->overflow = "path, time and device of a device row have at most 512 bytes each";
    else if (order->rows_count == HL7_DEVICE_ROWS_MAX)
        hl7->overflow = "one OBR has at most 64 device rows";
    else
        order->rows[order->rows_count++] = row;
}

static bool is_above(struct slice above, struct slice path)
{
    if (above.size == 0)
        return path.size > 0;
    return path.size > above.size && path.data[above.size] == '.' &&
           memcmp(above.data, path.data, above.size) == 0;
}

static bool has_time(const struct hl7_row *row)
{
    return row->time.data != NULL;
}

static bool has_offset(const struct hl7_row *row)
{
    struct hl7_time time;
    return row->time.data != NULL && hl7_time_read(row->time, &time) && time.offset.data != NULL;
}

static bool has_device(const struct hl7_row *row)
{
    return row->device.data != NULL;
}

static const struct hl7_row *nearest(const struct hl7_order *order, struct slice path,
                                     bool (*has)(const struct hl7_row *row))
{
    const struct hl7_row *found = NULL;
    for (unsigned i = 0; i < order->rows_count; i++) {
        const struct hl7_row *row = &order->rows[i];
        if (has(row) && is_above(row->path, path) && (found == NULL || row->path.size >= found->path.size))
            found = row;
    }
    return found;
}

/* ---- time ---- */

static struct slice offset_of(const struct hl7 *hl7, struct slice field)
{
    struct hl7_time time;
    field = first_component(hl7, field);
    return hl7_time_read(field, &time) ? time.offset : (struct slice){NULL, 0};
}

/* The offset of the next above that has one; `from`: the path of what has none, NULL: of the OBR itself. */
static struct slice inherited_offset(const struct hl7 *hl7, const struct slice *from)
{
    const struct hl7_row *row = from != NULL ? nearest(&hl7->order, *from, has_offset) : NULL;
    if (row != NULL)
        return offset_of(hl7, row->time);
    struct slice offset = offset_of(hl7, hl7->order.fields[OBR_TIME]);
    return offset.data != NULL ? offset : offset_of(hl7, hl7->msh[MSH_TIME]);
}

static bool refuse_time(struct slice found, enum claim_field field, struct refusal *ret_refusal)
{
    *ret_refusal = (struct refusal){.verdict = VERDICT_MALFORMED,
                                    .field = field,
                                    .text = "not a time: YYYYMMDD[HHMM[SS[.S]]][+/-ZZZZ]",
                                    .found = found};
    return false;
}

bool hl7_find_time(struct hl7 *hl7, struct hl7_obx *obx, struct slice *ret_time, struct refusal *ret_refusal)
{
    struct slice field = first_component(hl7, obx->fields[OBX_TIME]);
    const struct slice *path = &obx->path;
    struct hl7_time time;
    *ret_time = (struct slice){NULL, 0};
    if (field.data == NULL) {
        const struct hl7_row *row = nearest(&hl7->order, obx->path, has_time);
        path = row != NULL ? &row->path : NULL;
        field = row != NULL ? row->time : first_component(hl7, hl7->order.fields[OBR_TIME]);
    }
    if (field.data == NULL)
        return true;
    if (!hl7_time_read(field, &time))
        return refuse_time(field, FIELD_TIME, ret_refusal);
    struct slice offset = time.offset;
    if (offset.data == NULL && !hl7_time_is_day(&time)) {
        offset = inherited_offset(hl7, path);
        obx->time_offset = offset.data != NULL ? "inherited" : NULL;
    }
    if (hl7_offset_is_unknown(offset))
        obx->time_offset = "unknown";
    *ret_time = (struct slice){obx->iso, hl7_time_iso(&time, offset, obx->iso)};
    return true;
}

bool hl7_version_time(struct hl7 *hl7, int64_t *ret_ms, struct refusal *ret_refusal)
{
    struct slice field = first_component(hl7, hl7->msh[MSH_TIME]);
    struct hl7_time time;
    char iso[HL7_ISO_MAX];
    *ret_refusal = (struct refusal){.verdict = VERDICT_VERSION_MISSING, .field = FIELD_ISSUED};
    if (field.data == NULL)
        return false;
    if (!hl7_time_read(field, &time))
        return refuse_time(field, FIELD_ISSUED, ret_refusal);
    size_t size = hl7_time_iso(&time, time.offset, iso);
    if (admit_parse_issued((struct slice){iso, size}, ret_ms, ret_refusal))
        return true;
    ret_refusal->found = field; /* as it was sent */
    return false;
}

/* ---- device and patient ---- */

/* The identifiers of an EI: its own, and the universal one. */
static unsigned device_names(struct hl7 *hl7, struct slice field, struct slice *names, bool *ret_is_text)
{
    unsigned count = 0;
    struct slice repetition;
    *ret_is_text = true;
    while (hl7_next_part(&field, hl7->text.repetition, &repetition))
        for (unsigned i = 1; i <= 3; i += 2) {
            struct slice piece = hl7_part(repetition, hl7->text.component, i), name;
            if (piece.data == NULL || count == DEVICE_NAMES_MAX)
                continue;
            if (hl7_plain(&hl7->text, piece, hl7->scratch, &name) && name.size > 0)
                names[count++] = name;
            else
                *ret_is_text = false;
        }
    return count;
}

static void find_device(struct hl7 *hl7, struct slice field, struct admit_party *party)
{
    const struct registry *registry = hl7->loop->registry;
    int64_t organization_id = hl7->exchange->source->organization_id;
    struct slice names[DEVICE_NAMES_MAX];
    bool is_text;
    unsigned count = device_names(hl7, field, names, &is_text);
    party->device_named = count > 0;
    if (count > 0)
        party->device_text = names[0];
    if (!is_text && party->refusal.verdict == VERDICT_ACCEPTED)
        party->refusal = (struct refusal){.verdict = VERDICT_MALFORMED,
                                          .field = FIELD_DEVICE,
                                          .text = "OBX-18 is no text of the character set in MSH-18"};
    for (unsigned i = 0; party->device == NULL && i < count; i++)
        party->device = registry_device_by_ref(registry, organization_id, names[i].data, names[i].size);
    for (unsigned i = 0; party->device == NULL && i < count; i++)
        party->device = registry_device_by_serial(registry, organization_id, names[i].data, names[i].size);
}

void hl7_open_party(struct hl7 *hl7, const struct hl7_obx *obx)
{
    struct slice device = obx->fields[OBX_DEVICE];
    if (device.data == NULL) {
        const struct hl7_row *row = nearest(&hl7->order, obx->path, has_device);
        device = row != NULL ? row->device : device;
    }
    if (hl7->admit_is_open && slice_equal(device, hl7->device))
        return;
    struct admit_party party = hl7->patient;
    if (device.data != NULL)
        find_device(hl7, device, &party);
    admit_open(&hl7->admit, hl7->loop, hl7->exchange, &party);
    hl7->device = device;
    hl7->admit_is_open = true;
}

/* ---- groups ---- */

static struct slice parent_of(struct slice path)
{
    const char *dot = path.size > 0 ? memrchr(path.data, '.', path.size) : NULL;
    return (struct slice){path.data, dot != NULL ? (size_t)(dot - path.data) : 0};
}

static unsigned pressure_of(const struct reading *reading)
{
    switch (reading->parameter) {
    case PARAMETER_BP_SYSTOLIC:
        return 1;
    case PARAMETER_BP_DIASTOLIC:
        return 2;
    case PARAMETER_BP_MEAN:
        return 4;
    default:
        return 0;
    }
}

static bool is_one_measurement(const struct reading *a, const struct reading *b)
{
    return a->patient_id == b->patient_id && a->device_id == b->device_id &&
           a->measured_at_ms == b->measured_at_ms && a->precision == b->precision;
}

/* A group is a bigint, and never "no group". */
static void join(struct reading *first, struct reading *second)
{
    if (first->group_id == 0) {
        memcpy(&first->group_id, first->reading_id, sizeof first->group_id);
        first->group_id = (first->group_id & INT64_MAX) | 1;
    }
    second->group_id = first->group_id;
}

void hl7_join_group(struct hl7 *hl7, const struct hl7_obx *obx, uint32_t head)
{
    struct reading *heads = hl7->exchange->ticket->heads;
    struct hl7_order *order = &hl7->order;
    struct slice parent = parent_of(obx->path);
    unsigned pressure = pressure_of(&heads[head]);
    if (pressure == 0)
        return;
    for (unsigned i = 0; i < HL7_GROUPS_MAX && i < order->groups_count; i++) {
        struct hl7_group *group = &order->groups[i];
        if ((group->seen & pressure) != 0 || !slice_equal(group->parent, parent) ||
            !is_one_measurement(&heads[group->head], &heads[head]))
            continue;
        join(&heads[group->head], &heads[head]);
        group->seen |= pressure;
        return;
    }
    order->groups[order->groups_count++ % HL7_GROUPS_MAX] = (struct hl7_group){parent, head, pressure};
}
