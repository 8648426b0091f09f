/* reading: tails, words and the identity.
 *
 * Identity, the bytes under the SipHash (integers little-endian), RULES.md section 1:
 *
 *   patient 8 | parameter name, zero-ended | key device: size 2, bytes | sensor: size 2, bytes |
 *   measured_at 8 | value 8 | comparator 1
 *
 * and of a device event:
 *
 *   patient 8 | "device event", zero-ended | key device, episode, class: size 2, bytes each |
 *   measured_at 8 | phase 1
 *
 * Each text is preceded by its size or ends in a zero, so that no two identities share their bytes. The
 * parameter goes in by name: its number changes when a row is added to the table, the id of a measurement
 * never does; no parameter has a blank in its name. */
#include "daemon/model/reading.h"

#include <string.h>

#include "daemon/base/limits.h"
#include "daemon/model/parameter.h"

enum {
    FIELD_HEAD = 3,
    PARAMETER_NAME_MAX = 64,
    IDENTITY_BYTES_MAX = 8 + PARAMETER_NAME_MAX + TAIL_BYTES_MAX + 32
};

static size_t field_size(const uint8_t *field)
{
    return (size_t)field[1] | (size_t)field[2] << 8;
}

struct slice tail_get(const uint8_t *tail, size_t tail_size, enum tail_tag tag)
{
    size_t at = 0;
    while (at + FIELD_HEAD <= tail_size) {
        size_t size = field_size(tail + at);
        ensure(at + FIELD_HEAD + size <=
               tail_size); /* tail_put() alone writes tails; the disk is checksummed */
        if (tail[at] == tag)
            return (struct slice){(const char *)tail + at + FIELD_HEAD, size};
        at += FIELD_HEAD + size;
    }
    ensure(at == tail_size);
    return (struct slice){NULL, 0};
}

bool tail_put(uint8_t *tail, size_t capacity, uint16_t *size, enum tail_tag tag, const void *bytes,
              size_t count)
{
    size_t limit = capacity < TAIL_BYTES_MAX ? capacity : TAIL_BYTES_MAX;
    ensure(*size <= limit);
    if (count > limit || *size + FIELD_HEAD + count > limit)
        return false;
    uint8_t *field = tail + *size;
    field[0] = (uint8_t)tag;
    field[1] = (uint8_t)(count & 0xff);
    field[2] = (uint8_t)(count >> 8);
    if (count > 0)
        memcpy(field + FIELD_HEAD, bytes, count);
    *size = (uint16_t)(*size + FIELD_HEAD + count);
    return true;
}

const char *reading_comparator_text(enum comparator comparator)
{
    static const char *const texts[] = {"", "<", ">"};
    ensure(comparator <= COMPARATOR_GREATER);
    return texts[comparator];
}

const char *reading_origin_text(enum origin origin)
{
    static const char *const texts[] = {"automatic", "patient", "carer", "professional"};
    ensure(origin <= ORIGIN_PROFESSIONAL);
    return texts[origin];
}

const char *reading_status_text(enum reading_status status)
{
    static const char *const texts[] = {"preliminary", "final", "corrected", "void"};
    ensure(status <= STATUS_VOID);
    return texts[status];
}

const char *reading_quarantine_text(enum quarantine_reason reason)
{
    static const char *const texts[] = {"", "impossible", "future", "unit"};
    ensure(reason <= QUARANTINE_UNIT);
    return texts[reason];
}

const char *reading_phase_text(enum device_phase phase)
{
    static const char *const texts[] = {"start", "continue", "end"};
    ensure(phase < PHASE_COUNT);
    return texts[phase];
}

struct identity {
    uint8_t bytes[IDENTITY_BYTES_MAX];
    size_t size;
};

static void put(struct identity *identity, const void *bytes, size_t size)
{
    ensure(identity->size + size <= sizeof(identity->bytes));
    if (size > 0)
        memcpy(identity->bytes + identity->size, bytes, size);
    identity->size += size;
}

static void put_slice(struct identity *identity, struct slice slice)
{
    uint16_t size = (uint16_t)slice.size;
    put(identity, &size, sizeof(size));
    put(identity, slice.data, slice.size);
}

void reading_identity_id(const struct reading_identity *of, const struct sip_key *key,
                         uint8_t ret_id[UUID_BYTES])
{
    struct identity identity;
    const char *name = parameter_row(of->parameter)->name;
    const uint8_t comparator = (uint8_t)of->comparator;

    identity.size = 0; /* the bytes are written as they come */
    put(&identity, &of->patient_id, sizeof(of->patient_id));
    put(&identity, name, strlen(name) + 1);
    put_slice(&identity, of->device);
    put_slice(&identity, of->sensor);
    put(&identity, &of->measured_at_ms, sizeof(of->measured_at_ms));
    put(&identity, &of->value, sizeof(of->value));
    put(&identity, &comparator, sizeof(comparator));
    hash_sip128(key, identity.bytes, identity.size, ret_id);
    uuid_make_v8(ret_id);
}

void reading_identify(struct reading *reading, const uint8_t *tail, const struct sip_key *key)
{
    struct reading_identity identity = {
        .patient_id = reading->patient_id,
        .measured_at_ms = reading->measured_at_ms,
        .value = reading->value,
        .parameter = (enum parameter)reading->parameter,
        .comparator = (enum comparator)reading->comparator,
        .device = tail_get(tail, reading->tail_size, TAIL_KEY_DEVICE),
        .sensor = tail_get(tail, reading->tail_size, TAIL_SENSOR),
    };
    reading_identity_id(&identity, key, reading->reading_id);
}

uint64_t reading_alias_hash(const struct sip_key *key, int64_t source_id, enum parameter parameter,
                            struct slice alias)
{
    struct {
        int64_t source_id;
        uint64_t parameter;
        char alias[TAIL_BYTES_MAX];
    } scope = {.source_id = source_id, .parameter = (uint64_t)parameter};
    size_t head = sizeof scope - sizeof scope.alias;
    ensure(alias.size <= sizeof scope.alias);
    memcpy(scope.alias, alias.data, alias.size);
    uint64_t hash = hash_sip64(key, &scope, head + alias.size);
    return hash != 0 ? hash : 1;
}

void reading_identify_event(struct reading *reading, const uint8_t *tail, const struct sip_key *key)
{
    static const char name[] = "device event";
    static const enum tail_tag texts[] = {TAIL_KEY_DEVICE, TAIL_EPISODE, TAIL_CLASS};
    struct identity identity;
    uint8_t phase = (uint8_t)reading->value;

    ensure((reading->flags & FLAG_DEVICE_EVENT) && reading->value >= 0 && reading->value < PHASE_COUNT);
    identity.size = 0;
    put(&identity, &reading->patient_id, sizeof(reading->patient_id));
    put(&identity, name, sizeof name);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        put_slice(&identity, tail_get(tail, reading->tail_size, texts[i]));
    put(&identity, &reading->measured_at_ms, sizeof(reading->measured_at_ms));
    put(&identity, &phase, sizeof phase);
    hash_sip128(key, identity.bytes, identity.size, reading->reading_id);
    uuid_make_v8(reading->reading_id);
}
