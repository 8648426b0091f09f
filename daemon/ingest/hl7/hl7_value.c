/* hl7_value: numbers as HL7 v2 writes them. NM has a sign, leading zeros and a bare point where JSON has not,
 * and no exponent; SN has a comparator in a component of its own, ST in front of the number. */
#include <string.h>

#include "daemon/ingest/hl7/hl7_message.h"
#include "daemon/ingest/pull/slice.h"

static const struct comparator_row {
    const char *text;
    enum comparator comparator; /* <= and >= as < and >: at worst an alert at the limit itself */
} comparators[] = {
    {"<=", COMPARATOR_LESS},   {">=", COMPARATOR_GREATER}, {"<", COMPARATOR_LESS},
    {">", COMPARATOR_GREATER}, {"=", COMPARATOR_NONE},
};

static struct slice trim(struct slice text)
{
    while (text.size > 0 && *text.data == ' ') {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && text.data[text.size - 1] == ' ')
        text.size--;
    return text;
}

static size_t count_digits(struct slice text)
{
    size_t count = 0;
    while (count < text.size && text.data[count] >= '0' && text.data[count] <= '9')
        count++;
    return count;
}

static struct slice skip(struct slice text, size_t count)
{
    return (struct slice){text.data + count, text.size - count};
}

/* As JSON writes it; 0: no number, or a longer one than anybody measures. */
static size_t normalize(struct slice text, char out[HL7_NUMBER_MAX])
{
    size_t size = 0;
    text = trim(text);
    if (text.size == 0 || text.size + 2 > HL7_NUMBER_MAX)
        return 0;
    if (*text.data == '-')
        out[size++] = '-';
    if (*text.data == '-' || *text.data == '+')
        text = skip(text, 1);
    size_t whole = count_digits(text), zeros = 0;
    while (zeros + 1 < whole && text.data[zeros] == '0')
        zeros++;
    if (whole == 0)
        out[size++] = '0';
    memcpy(out + size, text.data + zeros, whole - zeros);
    size += whole - zeros;
    text = skip(text, whole);
    size_t fraction = 0;
    if (text.size > 0 && *text.data == '.') {
        fraction = count_digits(skip(text, 1));
        if (fraction > 0) {
            memcpy(out + size, text.data, fraction + 1);
            size += fraction + 1;
        }
        text = skip(text, fraction + 1);
    }
    return text.size == 0 && whole + fraction > 0 ? size : 0;
}

static bool read_comparator(struct slice text, struct claim *claim)
{
    if (text.data == NULL)
        return true;
    for (size_t i = 0; i < sizeof comparators / sizeof *comparators; i++)
        if (slice_is(text, comparators[i].text)) {
            claim->comparator = comparators[i].comparator;
            return true;
        }
    return false;
}

/* comparator ^ number; with a separator and a second number it is a range, a ratio or a category. */
static bool read_structured(const struct hl7 *hl7, struct slice value, struct claim *claim,
                            struct slice *ret_number)
{
    struct slice parts[4] = {{NULL, 0}}, part;
    for (unsigned i = 0; i < 4 && hl7_next_part(&value, hl7->text.component, &part); i++)
        parts[i] = part;
    *ret_number = parts[1];
    return parts[2].data == NULL && parts[3].data == NULL && value.data == NULL &&
           read_comparator(parts[0], claim);
}

static struct slice take_comparator(struct slice text, struct claim *claim)
{
    text = trim(text);
    for (size_t i = 0; i < sizeof comparators / sizeof *comparators; i++) {
        size_t size = strlen(comparators[i].text);
        if (text.size > size && memcmp(text.data, comparators[i].text, size) == 0) {
            claim->comparator = comparators[i].comparator;
            return skip(text, size);
        }
    }
    return text;
}

static bool read_number(const struct hl7 *hl7, const struct hl7_obx *obx, struct claim *claim,
                        struct slice *ret_number)
{
    struct slice type = obx->fields[OBX_TYPE], value = obx->fields[OBX_VALUE];
    *ret_number = value;
    if (slice_is(type, "NM"))
        return true;
    if (slice_is(type, "SN"))
        return read_structured(hl7, value, claim, ret_number);
    if (slice_is(type, "ST")) {
        struct slice plain;
        if (!hl7_plain(&hl7->text, value, hl7->scratch, &plain))
            return false;
        *ret_number = take_comparator(plain, claim);
        return true;
    }
    return false;
}

bool hl7_read_value(const struct hl7 *hl7, const struct hl7_obx *obx, char out[HL7_NUMBER_MAX],
                    struct claim *claim, struct refusal *ret_refusal)
{
    struct slice number;
    claim->value = obx->fields[OBX_VALUE];
    size_t size = read_number(hl7, obx, claim, &number) ? normalize(number, out) : 0;
    if (size == 0) {
        *ret_refusal = (struct refusal){.verdict = VERDICT_VALUE_INVALID,
                                        .field = FIELD_VALUE,
                                        .text = "a value is one number, of type NM, SN or ST",
                                        .found = obx->fields[OBX_VALUE]};
        return false;
    }
    claim->value = (struct slice){out, size};
    claim->text = number; /* as it was sent */
    return true;
}
