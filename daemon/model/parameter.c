/* parameter: the rows of the three tables, and quick look-ups over them.
 *
 * Codes and units are found through open-addressing tables that parameter_init() fills once:
 *
 *   codes  key (system, code text)               -> parameter, or "never a patient value"
 *   units  key (system, unit text, parameter)    -> conversion
 *          key (system, unit text, none)         -> "some parameter knows this unit"
 *
 * A slot keeps the hash and the text; a hit compares both. The tables are at most half full, so a look-up is
 * one hash and one or two comparisons. No sender chooses what is in them, so the hash needs no key. */
#include "daemon/model/parameter.h"

#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/instant.h"

enum { CODE_SLOTS = 512, UNIT_SLOTS = 2048, NO_PARAMETER = PARAMETER_COUNT };

struct bands {
    const char *possible_min, *possible_max, *expected_min, *expected_max, *live_within;
};

static struct parameter_row rows[PARAMETER_COUNT] = {
#define PARAMETER(id, name, loinc, unit, possible_min, possible_max, expected_min, expected_max, class,      \
                  live_within, en, fr)                                                                       \
    {name, loinc, unit, 0, 0, 0, 0, CLASS_##class, 0, en, fr, PARAMETER_##id},
#include "config/parameters.def"
#undef PARAMETER
};

static const struct bands bands[PARAMETER_COUNT] = {
#define PARAMETER(id, name, loinc, unit, possible_min, possible_max, expected_min, expected_max, class,      \
                  live_within, en, fr)                                                                       \
    {possible_min, possible_max, expected_min, expected_max, live_within},
#include "config/parameters.def"
#undef PARAMETER
};

static const struct code_row {
    enum code_system system;
    const char *code;
    uint16_t parameter; /* NO_PARAMETER: never a patient value */
} code_rows[] = {
#define CODE(system, code, parameter) {CODE_##system, code, PARAMETER_##parameter},
#define NEVER_PATIENT(system, code)   {CODE_##system, code, NO_PARAMETER},
#include "config/codes.def"
#undef CODE
#undef NEVER_PATIENT
};

enum unit_family {
#define FAMILY(family) FAMILY_##family,
#define MEMBER(family, parameter)
#define UNIT(family, system, text, multiply, add, divide)
#include "config/units.def"
#undef FAMILY
#undef MEMBER
#undef UNIT
    FAMILY_COUNT
};

static const struct member_row {
    enum unit_family family;
    uint16_t parameter;
} member_rows[] = {
#define FAMILY(family)
#define MEMBER(family, parameter) {FAMILY_##family, PARAMETER_##parameter},
#define UNIT(family, system, text, multiply, add, divide)
#include "config/units.def"
#undef FAMILY
#undef MEMBER
#undef UNIT
};

static const struct unit_row {
    enum unit_family family;
    enum unit_system system;
    const char *text;
    struct decimal_conversion conversion;
} unit_rows[] = {
#define FAMILY(family)
#define MEMBER(family, parameter)
#define UNIT(family, system, text, multiply, add, divide)                                                    \
    {FAMILY_##family, UNIT_##system, text, {multiply, add, divide}},
#include "config/units.def"
#undef FAMILY
#undef MEMBER
#undef UNIT
};

struct slot {
    uint64_t hash;
    const char *text; /* NULL: free */
    const void *row;  /* struct code_row or struct decimal_conversion */
    uint16_t scope;   /* system, and for units the parameter */
    uint16_t size;    /* of the text */
};

static struct slot code_slots[CODE_SLOTS], unit_slots[UNIT_SLOTS];
static bool initialised;

static uint16_t unit_scope(enum unit_system system, unsigned parameter)
{
    return (uint16_t)(parameter << 2 | (unsigned)system);
}

/* The slot of the key, or the free one where it belongs. */
static struct slot *find(struct slot *slots, size_t count, uint16_t scope, const char *text, size_t size)
{
    uint64_t hash = hash_xxh64(text, size) ^ hash_mix64(scope);
    for (size_t i = hash & (count - 1);; i = (i + 1) & (count - 1)) {
        struct slot *slot = &slots[i];
        if (slot->text == NULL) {
            slot->hash = hash;
            return slot;
        }
        if (slot->hash == hash && slot->scope == scope && slot->size == size &&
            memcmp(slot->text, text, size) == 0)
            return slot;
    }
}

static const void *look_up(const struct slot *slots, size_t count, uint16_t scope, const char *text,
                           size_t size)
{
    uint64_t hash = hash_xxh64(text, size) ^ hash_mix64(scope);
    for (size_t i = hash & (count - 1); slots[i].text != NULL; i = (i + 1) & (count - 1))
        if (slots[i].hash == hash && slots[i].scope == scope && slots[i].size == size &&
            memcmp(slots[i].text, text, size) == 0)
            return slots[i].row;
    return NULL;
}

/* `replace`: the same key may come again (several families know one unit). */
static void insert(struct slot *slots, size_t count, struct slot entry, bool replace)
{
    struct slot *slot = find(slots, count, entry.scope, entry.text, strlen(entry.text));
    ensure(slot->text == NULL || replace); /* a code or a unit of a parameter stands in the tables once */
    entry.hash = slot->hash;
    entry.size = (uint16_t)strlen(entry.text);
    *slot = entry;
}

static enum err parse_row(struct parameter_row *row, const struct bands *texts)
{
    const struct {
        const char *text;
        int64_t *ret;
    } numbers[] = {
        {texts->possible_min, &row->possible_min},
        {texts->possible_max, &row->possible_max},
        {texts->expected_min, &row->expected_min},
        {texts->expected_max, &row->expected_max},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        enum err error = decimal_parse(numbers[i].text, strlen(numbers[i].text), NULL, numbers[i].ret);
        if (error != OK)
            return error;
    }
    if (row->possible_min > row->expected_min || row->expected_min > row->expected_max ||
        row->expected_max > row->possible_max)
        return ERR_CONFIG;
    return instant_parse_duration(texts->live_within, strlen(texts->live_within), &row->live_within_ms);
}

static void fill_codes(void)
{
    size_t count = sizeof(code_rows) / sizeof(code_rows[0]);
    ensure((count + PARAMETER_COUNT) * 2 <= CODE_SLOTS);
    for (size_t i = 0; i < count; i++)
        insert(code_slots, CODE_SLOTS,
               (struct slot){
                   .text = code_rows[i].code, .row = &code_rows[i], .scope = (uint16_t)code_rows[i].system},
               false);
    static struct code_row names[PARAMETER_COUNT];
    for (unsigned i = 0; i < PARAMETER_COUNT; i++) {
        names[i] = (struct code_row){CODE_NAME, rows[i].name, (uint16_t)i};
        insert(code_slots, CODE_SLOTS,
               (struct slot){.text = rows[i].name, .row = &names[i], .scope = CODE_NAME}, false);
    }
}

static void fill_units(void)
{
    size_t used = 0;
    for (size_t u = 0; u < sizeof(unit_rows) / sizeof(unit_rows[0]); u++) {
        const struct unit_row *unit = &unit_rows[u];
        struct slot entry = {.text = unit->text, .row = &unit->conversion};
        entry.scope = unit_scope(unit->system, NO_PARAMETER);
        insert(unit_slots, UNIT_SLOTS, entry, true);
        used++;
        for (size_t m = 0; m < sizeof(member_rows) / sizeof(member_rows[0]); m++) {
            if (member_rows[m].family != unit->family)
                continue;
            entry.scope = unit_scope(unit->system, member_rows[m].parameter);
            insert(unit_slots, UNIT_SLOTS, entry, false);
            used++;
        }
    }
    ensure(used * 2 <= UNIT_SLOTS);
}

enum err parameter_init(void)
{
    if (initialised)
        return OK;
    for (unsigned i = 0; i < PARAMETER_COUNT; i++) {
        enum err error = parse_row(&rows[i], &bands[i]);
        if (error != OK)
            return error;
    }
    fill_codes();
    fill_units();
    for (unsigned i = 0; i < PARAMETER_COUNT; i++) {
        size_t size = strcspn(rows[i].name, "@");
        ensure(parameter_by_name(rows[i].name, size, &rows[i].whole) == OK);
        const struct decimal_conversion *conversion = NULL;
        enum err error = parameter_unit(i, UNIT_UCUM, rows[i].unit, strlen(rows[i].unit), &conversion);
        ensure(error == OK && conversion->multiply == conversion->divide && conversion->add == 0);
    }
    initialised = true;
    return OK;
}

const struct parameter_row *parameter_row(enum parameter parameter)
{
    ensure(parameter < PARAMETER_COUNT);
    return &rows[parameter];
}

enum code_match parameter_by_code(enum code_system system, const char *code, size_t size, enum parameter *ret)
{
    const struct code_row *row = look_up(code_slots, CODE_SLOTS, (uint16_t)system, code, size);
    if (row == NULL)
        return CODE_UNKNOWN;
    if (row->parameter == NO_PARAMETER)
        return CODE_NEVER_PATIENT;
    *ret = row->parameter;
    return CODE_MATCH;
}

enum err parameter_by_name(const char *name, size_t size, enum parameter *ret)
{
    return parameter_by_code(CODE_NAME, name, size, ret) == CODE_MATCH ? OK : ERR_NOT_FOUND;
}

enum code_match parameter_by_text(const char *text, size_t size, enum parameter *ret)
{
    static const struct {
        const char *prefix;
        enum code_system system;
    } systems[] = {{"mdc:", CODE_MDC}, {"taasip:", CODE_TAASIP}, {"vigie:", CODE_NAME}};

    for (size_t i = 0; i < sizeof(systems) / sizeof(systems[0]); i++) {
        size_t prefix_size = strlen(systems[i].prefix);
        if (size > prefix_size && memcmp(text, systems[i].prefix, prefix_size) == 0)
            return parameter_by_code(systems[i].system, text + prefix_size, size - prefix_size, ret);
    }
    enum code_match match = parameter_by_code(CODE_LOINC, text, size, ret);
    return match == CODE_UNKNOWN ? parameter_by_code(CODE_NAME, text, size, ret) : match;
}

enum err parameter_unit(enum parameter parameter, enum unit_system system, const char *unit, size_t size,
                        const struct decimal_conversion **ret)
{
    ensure(parameter < PARAMETER_COUNT);
    const void *row = look_up(unit_slots, UNIT_SLOTS, unit_scope(system, parameter), unit, size);
    if (row != NULL) {
        *ret = row;
        return OK;
    }
    row = look_up(unit_slots, UNIT_SLOTS, unit_scope(system, NO_PARAMETER), unit, size);
    return row == NULL ? ERR_NOT_FOUND : ERR_REFUSED;
}

bool parameter_unit_quarantined(enum parameter parameter, const char *unit, size_t size)
{
    static const char molar[] = "mmol/L"; /* 2089-1 is a mass code that is seen with a molar unit */
    return parameter == PARAMETER_CHOLESTEROL_LDL && size == sizeof(molar) - 1 &&
           memcmp(unit, molar, size) == 0;
}

int64_t parameter_difference(const struct decimal_conversion *conversion, int64_t millionths)
{
    if (conversion == NULL)
        return millionths;
    __int128 product = (__int128)millionths * conversion->multiply, divisor = conversion->divide;
    bool negative = product < 0;
    if (negative)
        product = -product;
    __int128 quotient = product / divisor, twice = product % divisor * 2;
    if (twice > divisor || (twice == divisor && quotient % 2 != 0))
        quotient++;
    ensure(quotient <= INT64_MAX);
    return negative ? -(int64_t)quotient : (int64_t)quotient;
}
