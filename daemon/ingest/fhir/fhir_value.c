/* fhir_value: by system and code of the unit, from the text of the number: nothing here is a double. */
#include "daemon/ingest/fhir/fhir_value.h"

#include <stdio.h>
#include <string.h>

#include "daemon/ingest/fhir/fhir_mes.h"
#include "daemon/ingest/pull/slice.h"

static bool refuse(struct refusal *out, enum verdict verdict, enum claim_field field, const char *text)
{
    *out = (struct refusal){.verdict = verdict, .field = field, .text = text};
    return false;
}

static struct slice text_of(const struct pull_field *field)
{
    return field->kind == PULL_STRING && field->text.size > 0 ? field->text : (struct slice){NULL, 0};
}

/* Reads an object that has no other elements than those named. */
static bool read_closed(struct fhir *fhir, const struct pull_field *field, const struct pull_names *names,
                        struct pull_field *fields, struct refusal *ret_refusal)
{
    struct pull_unknown unknown;
    struct slice ignored;
    struct pull pull;
    if (field->kind != PULL_OBJECT)
        return refuse(ret_refusal, VERDICT_MALFORMED, FIELD_VALUE, "a quantity is an object");
    memset(fields, 0, names->count * sizeof *fields);
    pull_open_raw(&pull, field->text, &fhir->doors->scratch);
    pull_value(&pull, &ignored);
    bool is_read = pull_read_fields(&pull, names, fields, &unknown);
    ensure(is_read);
    if (unknown.count == 0)
        return true;
    refuse(ret_refusal, VERDICT_UNKNOWN_KEY, FIELD_VALUE, "an element that the value does not have in R4");
    ret_refusal->found = unknown.first;
    return false;
}

/* ---- quantity and integer ---- */

enum { QUANTITY_VALUE, QUANTITY_COMPARATOR, QUANTITY_SYSTEM, QUANTITY_CODE, QUANTITY_COUNT = 7 };
static const struct pull_name quantity_list[] = {
    FHIR_NAME("value"), FHIR_NAME("comparator"), FHIR_NAME("system"),   FHIR_NAME("code"),
    FHIR_NAME("unit"),  FHIR_NAME("id"),         FHIR_NAME("extension")};
static const struct pull_names quantity_names = {quantity_list, QUANTITY_COUNT, '_'};

static bool read_comparator(const struct pull_field *field, struct claim *claim, struct refusal *ret_refusal)
{
    if (field->kind == PULL_NONE)
        return true;
    bool less = slice_is(text_of(field), "<") || slice_is(text_of(field), "<=");
    bool greater = slice_is(text_of(field), ">") || slice_is(text_of(field), ">=");
    if (!less && !greater)
        return refuse(ret_refusal, VERDICT_MALFORMED, FIELD_VALUE, "a comparator is <, <=, > or >=");
    claim->comparator = less ? COMPARATOR_LESS : COMPARATOR_GREATER;
    return true;
}

static const struct {
    const char *url;
    enum unit_system system;
} unit_systems[] = {
    {"http://unitsofmeasure.org", UNIT_UCUM},
    {"urn:oid:2.16.840.1.113883.6.8", UNIT_UCUM},
    {"urn:iso:std:iso:11073:10101", UNIT_MDC},
    {"urn:oid:2.16.840.1.113883.6.24", UNIT_MDC},
};

/* By system and code, never by what is displayed; a unit without a system is nobody's. */
static bool read_unit(const struct pull_field *quantity, struct claim *claim, struct refusal *ret_refusal)
{
    struct slice system = text_of(&quantity[QUANTITY_SYSTEM]);
    claim->unit = text_of(&quantity[QUANTITY_CODE]);
    if (claim->unit.data == NULL || system.data == NULL)
        return refuse(ret_refusal, VERDICT_UNIT_MISSING, FIELD_UNIT,
                      "a quantity has the system and the code of its unit");
    for (size_t i = 0; i < sizeof unit_systems / sizeof *unit_systems; i++)
        if (slice_is(system, unit_systems[i].url)) {
            claim->unit_system = unit_systems[i].system;
            return true;
        }
    refuse(ret_refusal, VERDICT_UNIT_UNKNOWN, FIELD_UNIT, "units are of UCUM or of ISO/IEEE 11073-10101");
    ret_refusal->found = system;
    return false;
}

bool fhir_read_quantity(struct fhir *fhir, const struct pull_field *field, struct claim *claim,
                        struct refusal *ret_refusal)
{
    struct pull_field quantity[QUANTITY_COUNT];
    if (!read_closed(fhir, field, &quantity_names, quantity, ret_refusal))
        return false;
    if (quantity[QUANTITY_VALUE].kind == PULL_NONE)
        return fhir_mes_refuse(MES_VALUE_MISSING, VERDICT_VALUE_MISSING, FIELD_VALUE, ret_refusal);
    if (quantity[QUANTITY_VALUE].kind != PULL_NUMBER)
        return refuse(ret_refusal, VERDICT_VALUE_INVALID, FIELD_VALUE, "a value is a JSON number");
    claim->value = quantity[QUANTITY_VALUE].text;
    return read_comparator(&quantity[QUANTITY_COMPARATOR], claim, ret_refusal) &&
           read_unit(quantity, claim, ret_refusal);
}

bool fhir_read_integer(const struct pull_field *field, struct claim *claim, struct refusal *ret_refusal)
{
    if (field->kind != PULL_NUMBER)
        return refuse(ret_refusal, VERDICT_VALUE_INVALID, FIELD_VALUE, "an integer is a JSON number");
    claim->value = field->text;
    claim->unit = (struct slice){"1", 1};
    claim->unit_system = UNIT_UCUM;
    claim->unit_is_implied = true;
    return true;
}

/* ---- samples ---- */

enum {
    SAMPLED_ORIGIN,
    SAMPLED_PERIOD,
    SAMPLED_FACTOR,
    SAMPLED_LOWER,
    SAMPLED_UPPER,
    SAMPLED_DIMENSIONS,
    SAMPLED_DATA,
    SAMPLED_COUNT = 9
};
static const struct pull_name sampled_list[] = {
    FHIR_NAME("origin"),     FHIR_NAME("period"),     FHIR_NAME("factor"),
    FHIR_NAME("lowerLimit"), FHIR_NAME("upperLimit"), FHIR_NAME("dimensions"),
    FHIR_NAME("data"),       FHIR_NAME("id"),         FHIR_NAME("extension")};
static const struct pull_names sampled_names = {sampled_list, SAMPLED_COUNT, '_'};

static const struct decimal_exact exact_one = {1, 0}, exact_zero = {0, 0};

static bool is_exactly(const struct decimal_exact *a, const struct decimal_exact *b)
{
    return a->mantissa == b->mantissa && a->places == b->places;
}

static bool read_exact(const struct pull_field *field, const struct decimal_exact *absent,
                       struct decimal_exact *ret, struct refusal *ret_refusal)
{
    if (field->kind == PULL_NONE && absent != NULL) {
        *ret = *absent;
        return true;
    }
    if (field->kind == PULL_NUMBER && decimal_parse_exact(field->text.data, field->text.size, ret) == OK)
        return true;
    refuse(ret_refusal, VERDICT_VALUE_INVALID, FIELD_SAMPLES,
           "origin, factor and dimensions are numbers of at most 18 digits");
    ret_refusal->found = field->kind == PULL_NUMBER ? field->text : (struct slice){NULL, 0};
    return false;
}

static bool read_limit(const struct pull_field *field, struct slice *ret, struct refusal *ret_refusal)
{
    *ret = field->kind == PULL_NUMBER ? field->text : (struct slice){NULL, 0};
    return field->kind == PULL_NONE || field->kind == PULL_NUMBER ||
           refuse(ret_refusal, VERDICT_VALUE_INVALID, FIELD_SAMPLES, "a limit is a JSON number");
}

#define SPAN_MS_MAX (INT64_C(366) * 86400000) /* of a series: more is a wrong period */

static bool read_period(const struct pull_field *field, struct fhir_samples *samples,
                        struct refusal *ret_refusal)
{
    if (field->kind != PULL_NUMBER ||
        decimal_parse(field->text.data, field->text.size, NULL, &samples->period_ns) != OK ||
        samples->period_ns <= 0 || samples->period_ns / DECIMAL_ONE > SPAN_MS_MAX)
        return refuse(ret_refusal, VERDICT_VALUE_INVALID, FIELD_SAMPLES,
                      "a period is a number of milliseconds above 0, at most a year");
    samples->is_waveform = samples->period_ns < DECIMAL_ONE;
    return true;
}

static bool read_origin(struct fhir *fhir, const struct pull_field *field, struct claim *claim,
                        struct fhir_samples *samples, struct refusal *ret_refusal)
{
    struct pull_field quantity[QUANTITY_COUNT];
    if (field->kind == PULL_NONE)
        return refuse(ret_refusal, VERDICT_UNIT_MISSING, FIELD_SAMPLES,
                      "sampled data have an origin, which has their unit");
    if (!read_closed(fhir, field, &quantity_names, quantity, ret_refusal))
        return false;
    if (quantity[QUANTITY_COMPARATOR].kind != PULL_NONE)
        return refuse(ret_refusal, VERDICT_MALFORMED, FIELD_SAMPLES, "an origin has no comparator");
    return read_exact(&quantity[QUANTITY_VALUE], NULL, &samples->origin, ret_refusal) &&
           read_unit(quantity, claim, ret_refusal);
}

static bool check_time(const struct claim *claim, struct refusal *ret_refusal)
{
    struct instant_parsed parsed;
    if (claim->time.data == NULL)
        return refuse(ret_refusal, VERDICT_TIME_MISSING, FIELD_TIME, NULL);
    return instant_parse(claim->time.data, claim->time.size, &parsed) != INSTANT_GOOD ||
           parsed.precision == PRECISION_TIME ||
           refuse(ret_refusal, VERDICT_MALFORMED, FIELD_TIME, "sampled data begin at an instant, not a day");
}

bool fhir_open_samples(struct fhir *fhir, const struct pull_field *field, struct claim *claim,
                       struct fhir_samples *ret, struct refusal *ret_refusal)
{
    struct pull_field fields[SAMPLED_COUNT];
    struct decimal_exact dimensions;
    *ret = (struct fhir_samples){.index = 0};
    if (!read_closed(fhir, field, &sampled_names, fields, ret_refusal) ||
        !read_period(&fields[SAMPLED_PERIOD], ret, ret_refusal) ||
        !read_exact(&fields[SAMPLED_DIMENSIONS], NULL, &dimensions, ret_refusal) ||
        !read_origin(fhir, &fields[SAMPLED_ORIGIN], claim, ret, ret_refusal) ||
        !read_exact(&fields[SAMPLED_FACTOR], &exact_one, &ret->factor, ret_refusal) ||
        !read_limit(&fields[SAMPLED_LOWER], &ret->lower, ret_refusal) ||
        !read_limit(&fields[SAMPLED_UPPER], &ret->upper, ret_refusal) || !check_time(claim, ret_refusal))
        return false;
    if (!is_exactly(&dimensions, &exact_one))
        return refuse(ret_refusal, VERDICT_NOT_SUPPORTED, FIELD_SAMPLES,
                      "sampled data of one dimension are served");
    ret->data = text_of(&fields[SAMPLED_DATA]);
    if (ret->data.data == NULL)
        return refuse(ret_refusal, VERDICT_VALUE_MISSING, FIELD_SAMPLES, "sampled data without data");
    ret->is_plain = is_exactly(&ret->origin, &exact_zero) && is_exactly(&ret->factor, &exact_one);
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool take_word(struct slice *data, struct slice *ret)
{
    size_t start = 0;
    while (start < data->size && is_space(data->data[start]))
        start++;
    size_t end = start;
    while (end < data->size && !is_space(data->data[end]))
        end++;
    *ret = (struct slice){data->data + start, end - start};
    *data = (struct slice){data->data + end, data->size - end};
    return end > start;
}

static struct slice keep(struct fhir *fhir, const char *text, size_t size)
{
    return fhir_join(fhir, (struct slice){text, size}, "", (struct slice){NULL, 0});
}

/* "L" or "U". The unit must be good before another one takes its place. */
static void claim_beyond(struct fhir *fhir, struct slice limit, struct claim *claim)
{
    const struct parameter_row *row = parameter_row(claim->parameter);
    const struct decimal_conversion *conversion;
    bool is_low = claim->comparator == COMPARATOR_LESS;
    char text[DECIMAL_TEXT_MAX];
    claim->text = limit.data == NULL ? (struct slice){is_low ? "L" : "U", 1} : limit;
    claim->value = claim->text;
    if (limit.data != NULL)
        return;
    claim->value = (struct slice){"0", 1};
    if (parameter_unit(claim->parameter, claim->unit_system, claim->unit.data, claim->unit.size,
                       &conversion) != OK)
        return; /* admission refuses it */
    size_t size = decimal_format(is_low ? row->possible_min : row->possible_max, text);
    claim->value = keep(fhir, text, size);
    claim->unit = (struct slice){row->unit, strlen(row->unit)};
    claim->unit_system = UNIT_UCUM;
}

static enum fhir_sample claim_number(struct fhir *fhir, const struct fhir_samples *samples, struct slice word,
                                     struct claim *claim, struct refusal *ret_refusal)
{
    struct decimal_exact sample;
    char text[DECIMAL_LINE_MAX];
    size_t size;
    claim->value = word;
    if (samples->is_plain)
        return SAMPLE_VALUE;
    if (decimal_parse_exact(word.data, word.size, &sample) == OK &&
        decimal_line(&samples->origin, &samples->factor, &sample, text, &size) == OK) {
        claim->value = keep(fhir, text, size);
        return SAMPLE_VALUE;
    }
    *ret_refusal = (struct refusal){.verdict = VERDICT_VALUE_INVALID, .field = FIELD_SAMPLES, .found = word};
    return SAMPLE_REFUSED;
}

enum fhir_sample fhir_next_sample(struct fhir *fhir, struct fhir_samples *samples, const struct claim *common,
                                  struct claim *ret, struct refusal *ret_refusal)
{
    struct slice word;
    char index[16];
    if (!take_word(&samples->data, &word))
        return SAMPLE_END;
    *ret = *common;
    ret->after_ms = (int64_t)((__int128)samples->period_ns * samples->index / DECIMAL_ONE);
    if (common->alias.size > 0 && common->alias.size <= TAIL_BYTES_MAX) { /* beyond, it is refused anyway */
        snprintf(index, sizeof index, "[%u]", samples->index);
        ret->alias = fhir_join(fhir, common->alias, index, (struct slice){NULL, 0});
    }
    samples->index++;
    if (slice_is(word, "E"))
        return SAMPLE_NOTHING;
    if (ret->after_ms > SPAN_MS_MAX) {
        refuse(ret_refusal, VERDICT_VALUE_INVALID, FIELD_SAMPLES, "sampled data span at most a year");
        return SAMPLE_REFUSED;
    }
    if (!slice_is(word, "L") && !slice_is(word, "U"))
        return claim_number(fhir, samples, word, ret, ret_refusal);
    bool is_low = *word.data == 'L';
    ret->comparator = is_low ? COMPARATOR_LESS : COMPARATOR_GREATER;
    claim_beyond(fhir, is_low ? samples->lower : samples->upper, ret);
    return SAMPLE_VALUE;
}
