/* claims_oracle: see the header. */
#include "tests/unit/claims_oracle.h"

#include <stdio.h>
#include <string.h>

#define HOUR INT64_C(3600000)

/* ---- whose is what ---- */

static int64_t organization_of_device(const struct oracle_world *world, int device)
{
    const struct oracle_device *it = &world->devices[device];
    if (it->spans_count > 0)
        return world->persons[it->spans[it->spans_count - 1].person].organization;
    for (int i = 0; i < world->sources_count; i++)
        for (int j = 0; j < world->sources[i].listed_count; j++)
            if (world->sources[i].listed[j] == device)
                return world->sources[i].organization;
    return 0;
}

static bool lists(const struct oracle_world *world, const struct oracle_source *source, int device)
{
    for (int i = 0; i < source->listed_count; i++)
        if (source->listed[i] == device)
            return organization_of_device(world, device) == source->organization;
    return false;
}

bool oracle_source_speaks(const struct oracle_world *world, const struct oracle_source *source)
{
    return source->kind != 'd' || lists(world, source, source->listed[0]);
}

static int device_by_ref(const struct oracle_world *world, int64_t organization, const char *ref)
{
    for (int i = 0; i < world->devices_count; i++)
        if (strcmp(world->devices[i].ref, ref) == 0 && organization_of_device(world, i) == organization)
            return i;
    return -1;
}

static int device_by_serial(const struct oracle_world *world, int64_t organization, const char *serial)
{
    int found = -1;
    for (int i = 0; i < world->devices_count; i++)
        if (strcmp(world->devices[i].serial, serial) == 0 &&
            organization_of_device(world, i) == organization) {
            if (found >= 0)
                return -1; /* two have it: it names neither */
            found = i;
        }
    return found;
}

static int person_by_ref(const struct oracle_world *world, int64_t organization, const char *ref)
{
    for (int i = 0; i < world->persons_count; i++)
        if (strcmp(world->persons[i].ref, ref) == 0 && world->persons[i].organization == organization)
            return i;
    return -1;
}

static int owner_at(const struct oracle_world *world, const struct oracle_device *device, int64_t at_ms)
{
    for (int i = 0; i < device->spans_count; i++)
        if (at_ms >= device->spans[i].from_ms && at_ms < device->spans[i].to_ms)
            return device->spans[i].person;
    if (device->spans_count > 0 && at_ms < device->spans[0].from_ms &&
        at_ms >= device->spans[0].from_ms - world->grace_ms)
        return device->spans[0].person;
    return -1;
}

/* ---- what persons are called ---- */

int oracle_ins_key(const char *body)
{
    int rest = 0;
    for (int i = 0; i < 13; i++) {
        int digit = body[i] - '0';
        if (i == 5 && (body[6] == 'A' || body[6] == 'B'))
            digit = 1; /* 2A is 19, 2B is 18 */
        if (i == 6 && body[6] == 'A')
            digit = 9;
        if (i == 6 && body[6] == 'B')
            digit = 8;
        rest = (rest * 10 + digit) % 97;
    }
    return 97 - rest;
}

enum { IS_ORDINARY, IS_REAL_INS, IS_TEST_INS };

static int kind_of_system(const char *system)
{
    const char *oid =
        strncmp(system, "urn:oid:", 8) == 0 || strncmp(system, "URN:OID:", 8) == 0 ? system + 8 : system;
    if (strcmp(oid, "1.2.250.1.213.1.4.8") == 0 || strcmp(oid, "1.2.250.1.213.1.4.9") == 0)
        return IS_REAL_INS;
    if (strcmp(oid, "1.2.250.1.213.1.4.10") == 0 || strcmp(oid, "1.2.250.1.213.1.4.11") == 0)
        return IS_TEST_INS;
    return IS_ORDINARY;
}

/* The value without spaces, in capitals; whether it is a number with its key. */
static bool read_ins(const char *value, char out[16])
{
    int size = 0;
    for (; *value != '\0'; value++)
        if (*value != ' ') {
            if (size == 15)
                return false;
            out[size++] = *value == 'a' || *value == 'b' ? (char)(*value - 'a' + 'A') : *value;
        }
    out[size] = '\0';
    if (size != 15 || strspn(out, "0123456789AB") != 15)
        return false;
    return oracle_ins_key(out) == (out[13] - '0') * 10 + out[14] - '0';
}

static bool same_oid(const char *a, const char *b)
{
    return strcmp(strrchr(a, ':') == NULL ? a : strrchr(a, ':') + 1,
                  strrchr(b, ':') == NULL ? b : strrchr(b, ':') + 1) == 0;
}

static int person_called(const struct oracle_world *world, int64_t organization, const char *system,
                         const char *value)
{
    char ins[16];
    bool is_ins = kind_of_system(system) != IS_ORDINARY;
    if (is_ins && !read_ins(value, ins))
        return -1;
    for (int i = 0; i < world->names_count; i++) {
        const struct oracle_name *name = &world->names[i];
        bool same = is_ins ? kind_of_system(name->system) != IS_ORDINARY && same_oid(name->system, system) &&
                                 strcmp(name->value, ins) == 0
                           : strcmp(name->system, system) == 0 && strcmp(name->value, value) == 0;
        if (same && world->persons[name->person].organization == organization)
            return name->person;
    }
    return -1;
}

/* The person, -1 for nobody; or the first fault in the order of what was sent. */
static int find_called(const struct oracle_world *world, int64_t organization,
                       const struct oracle_claim *claim, const char **ret_code)
{
    int found = -1;
    char ins[16];
    for (int i = 0; i < claim->called_count && *ret_code == NULL; i++) {
        int kind = kind_of_system(claim->systems[i]);
        if (kind == IS_TEST_INS && claim->values[i][0] != '\0') {
            *ret_code = "unknown-patient"; /* in production nobody's */
        } else if (kind == IS_REAL_INS && claim->values[i][0] != '\0' && !read_ins(claim->values[i], ins)) {
            *ret_code = "malformed";
        } else {
            int person = person_called(world, organization, claim->systems[i], claim->values[i]);
            if (person >= 0 && found >= 0 && person != found)
                *ret_code = "patient-mismatch";
            else if (person >= 0)
                found = person;
        }
    }
    return found;
}

/* ---- the ruling ---- */

static struct oracle_ruling no(const char *code)
{
    return (struct oracle_ruling){.code = code};
}

static struct oracle_ruling yes(const struct oracle_world *world, const struct oracle_claim *claim,
                                int person, int device)
{
    const struct oracle_person *it = &world->persons[person];
    int64_t measured = claim->date_alone ? claim->at_ms - it->offset_min * INT64_C(60000) : claim->at_ms;
    if (measured >= it->left_ms)
        return no("not-assigned");
    return (struct oracle_ruling){.person_id = it->id,
                                  .device_id = device < 0 ? 0 : world->devices[device].id,
                                  .measured_ms = measured};
}

struct oracle_ruling oracle_judge(const struct oracle_world *world, const struct oracle_source *source,
                                  const struct oracle_claim *claim)
{
    int64_t organization = source->organization;
    bool bound = source->kind == 'd' || source->kind == 'g';
    bool named = claim->fhir ? claim->called_count > 0 : claim->person != NULL;
    const char *fault = NULL;
    int device = claim->device == NULL ? -1 : device_by_ref(world, organization, claim->device);
    if (claim->fhir && claim->device != NULL && device < 0)
        device = device_by_serial(world, organization, claim->device);
    int person = claim->fhir ? find_called(world, organization, claim, &fault)
                 : named     ? person_by_ref(world, organization, claim->person)
                             : -1;
    if (fault != NULL)
        return no(fault);
    if (source->kind == 'd' && claim->device == NULL)
        device = source->listed[0];
    else if (bound && device < 0)
        return no("unknown-device");
    else if (bound && !lists(world, source, device))
        return no("forbidden");
    if (named && person < 0)
        return no("unknown-patient");
    if (source->kind == 'p' && named && person != source->person)
        return no("forbidden");
    if (source->kind == 'p')
        person = source->person;
    if (device < 0)
        return person < 0 ? no("unknown-patient") : yes(world, claim, person, -1);
    int64_t asked = claim->date_alone ? claim->at_ms + 12 * HOUR : claim->at_ms;
    int owner = owner_at(world, &world->devices[device], asked);
    if (owner < 0 || world->persons[owner].organization != organization)
        return no("not-assigned");
    if (source->kind == 'p' && owner != source->person)
        return no("forbidden");
    if (person >= 0 && person != owner)
        return no("patient-mismatch");
    return yes(world, claim, owner, device);
}
