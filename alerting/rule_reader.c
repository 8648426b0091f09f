/* rule_reader: see rule_reader.h. Numbers are their text (exact_json.h) and are converted once, limits as
 * values, differences by the factor alone. */
#include "alerting/rule_reader.h"

#include <stdio.h>
#include <string.h>

#include "alerting/exact_json.h"
#include "daemon/base/instant.h"
#include "daemon/base/slab.h"

static const int64_t PLAIN_MAX =
    (int64_t)1000000000 * DECIMAL_ONE; /* a difference in any unit stays below this */

/* Copies what fits; a character that would be cut in its middle is left out whole. */
static void put_words(char *out, size_t size, const char *text)
{
    size_t length = strlen(text);
    if (length >= size) {
        length = size - 1;
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
            length--;
    }
    memcpy(out, text, length);
    out[length] = '\0';
}

enum err reader_refuse(struct rule_reader *reader, const char *key, const char *found, const char *expected)
{
    put_words(reader->fault->key, sizeof(reader->fault->key), key);
    put_words(reader->fault->found, sizeof(reader->fault->found), found);
    put_words(reader->fault->expected, sizeof(reader->fault->expected), expected);
    return ERR_REFUSED;
}

enum err reader_refuse_value(struct rule_reader *reader, const char *key, const json_t *value,
                             const char *expected)
{
    if (value == NULL)
        return reader_refuse(reader, key, "nothing", expected);
    char *found = exact_json_text(value);
    ensure(found != NULL);
    enum err error = reader_refuse(reader, key, found, expected);
    slab_give(found);
    return error;
}

const json_t *reader_get(const struct rule_reader *reader, const char *key)
{
    return json_object_get(reader->json, key);
}

enum err reader_boolean(struct rule_reader *reader, const char *key, bool *ret)
{
    const json_t *value = reader_get(reader, key);
    if (value == NULL)
        return OK;
    if (!json_is_boolean(value))
        return reader_refuse_value(reader, key, value, "true or false");
    *ret = json_is_true(value);
    return OK;
}

/* A whole number in [min, max]; without the key *ret stays. */
enum err reader_whole(struct rule_reader *reader, const char *key, const unsigned bounds[2], unsigned *ret)
{
    const json_t *value = reader_get(reader, key);
    const char *text = exact_json_number(value);
    char expected[80];
    int64_t millionths;

    if (value == NULL)
        return OK;
    (void)snprintf(expected, sizeof(expected), "a whole number from %u to %u", bounds[0], bounds[1]);
    if (text == NULL || decimal_parse(text, strlen(text), NULL, &millionths) != OK ||
        !decimal_fits_six_places(text, strlen(text)) || millionths % DECIMAL_ONE != 0 ||
        millionths < (int64_t)bounds[0] * DECIMAL_ONE || millionths > (int64_t)bounds[1] * DECIMAL_ONE)
        return reader_refuse_value(reader, key, value, expected);
    *ret = (unsigned)(millionths / DECIMAL_ONE);
    return OK;
}

/* A duration in [min, max]; without the key *ret stays. */
enum err reader_duration(struct rule_reader *reader, const char *key, const int64_t bounds[2],
                         int64_t *ret_ms)
{
    const json_t *value = reader_get(reader, key);
    const char *text = exact_json_string(value);
    char expected[160];
    int64_t ms;

    if (value == NULL)
        return OK;
    if (text == NULL || instant_parse_duration(text, strlen(text), &ms) != OK)
        return reader_refuse_value(reader, key, value,
                                   "a duration in quotes: a whole number and ms, s, m, h or d, such as 84h");
    (void)snprintf(expected, sizeof(expected), "a duration %s and at most %lld h",
                   bounds[0] > 0 ? "above 0" : "of 0 or more", (long long)(bounds[1] / 3600000));
    if (ms < bounds[0] || ms > bounds[1])
        return reader_refuse_value(reader, key, value, expected);
    *ret_ms = ms;
    return OK;
}

/* A number with at most six decimals, in millionths of the unit written. */
static enum err take_plain(struct rule_reader *reader, const char *key, const json_t *value, int64_t *ret)
{
    const char *text = exact_json_number(value);
    if (text == NULL)
        return reader_refuse_value(reader, key, value, "a number");
    if (!decimal_fits_six_places(text, strlen(text)))
        return reader_refuse_value(reader, key, value, "at most six decimals");
    if (decimal_parse(text, strlen(text), NULL, ret) != OK)
        return reader_refuse_value(reader, key, value, "a number of millionths within 64 bits");
    return OK;
}

/* A limit of what is not one value: no band bounds it. */
static enum err take_unbounded(struct rule_reader *reader, const char *key, const json_t *value,
                               const struct decimal_conversion *conversion, int64_t *ret)
{
    const char *text = exact_json_number(value);
    if (decimal_parse(text, strlen(text), conversion, ret) != OK)
        return reader_refuse_value(reader, key, value, "a number of millionths within 64 bits");
    return OK;
}

enum err reader_limit(struct rule_reader *reader, const char *key, const json_t *value, int64_t *ret)
{
    const struct parameter_row *row = parameter_row(reader->rule->parameter);
    char expected[160], min[24], max[24];
    int64_t plain, limit;

    enum err error = take_plain(reader, key, value, &plain);
    if (error != OK)
        return error;
    if (reader->scale == SCALE_COUNT)
        return take_unbounded(reader, key, value, NULL, ret);
    if (reader->scale == SCALE_SUM)
        return take_unbounded(reader, key, value, reader->conversion, ret);
    const char *text = exact_json_number(value);
    decimal_format(row->possible_min, min);
    decimal_format(row->possible_max, max);
    (void)snprintf(expected, sizeof(expected), "a possible %s: %s to %s %s", row->name, min, max, row->unit);
    if (decimal_parse(text, strlen(text), reader->conversion, &limit) != OK || limit < row->possible_min ||
        limit > row->possible_max)
        return reader_refuse_value(reader, key, value, expected);
    *ret = limit;
    return OK;
}

/* What of a sum or a count may differ is not bounded by the band of one reading. */
static enum err take_plain_difference(struct rule_reader *reader, const char *key, const json_t *value,
                                      int64_t plain, int64_t min, int64_t *ret)
{
    *ret = reader->scale == SCALE_COUNT ? plain : parameter_difference(reader->conversion, plain);
    if (plain < min || plain > PLAIN_MAX || *ret < min)
        return reader_refuse_value(reader, key, value,
                                   min > 0 ? "a difference above 0 and at most 1,000,000,000"
                                           : "a difference of 0 or more and at most 1,000,000,000");
    return OK;
}

enum err reader_difference(struct rule_reader *reader, const char *key, const json_t *value, int64_t min,
                           int64_t *ret)
{
    const struct parameter_row *row = parameter_row(reader->rule->parameter);
    char expected[160], width[24];
    int64_t plain;

    enum err error = take_plain(reader, key, value, &plain);
    if (error != OK)
        return error;
    if (reader->scale != SCALE_VALUE)
        return take_plain_difference(reader, key, value, plain, min, ret);
    decimal_format(row->possible_max - row->possible_min, width);
    (void)snprintf(expected, sizeof(expected), "a difference %s and at most %s %s",
                   min > 0 ? "above 0" : "of 0 or more", width, row->unit);
    if (plain < min || plain > PLAIN_MAX)
        return reader_refuse_value(reader, key, value, expected);
    int64_t difference = parameter_difference(reader->conversion, plain);
    if (difference < min || difference > row->possible_max - row->possible_min)
        return reader_refuse_value(reader, key, value, expected);
    *ret = difference;
    return OK;
}

enum err reader_priority(struct rule_reader *reader, const char *key, const json_t *value, enum priority *ret)
{
    const char *word = exact_json_string(value);
    enum priority priority = word == NULL ? PRIORITY_NONE : priority_from_word(word);
    if (priority == PRIORITY_NONE)
        return reader_refuse_value(reader, key, value, "low, medium or high");
    *ret = priority;
    return OK;
}

enum err reader_own_priority(struct rule_reader *reader)
{
    return reader_priority(reader, "priority", reader_get(reader, "priority"), &reader->rule->priority);
}

enum err reader_word(struct rule_reader *reader, const char *key, const struct reader_words *words,
                     unsigned *ret)
{
    const json_t *value = reader_get(reader, key);
    const char *text = exact_json_string(value);
    if (value == NULL && !words->mandatory)
        return OK;
    for (unsigned i = 0; text != NULL && i < words->count; i++)
        if (strcmp(words->items[i], text) == 0) {
            *ret = i;
            return OK;
        }
    return reader_refuse_value(reader, key, value, words->expected);
}

enum err reader_window(struct rule_reader *reader, const char *key, int64_t *ret_ms)
{
    const int64_t window[2] = {1, reader_lookback_ms(reader)};
    if (reader_get(reader, key) == NULL)
        return reader_refuse(reader, key, "nothing", "the window, such as 84h");
    return reader_duration(reader, key, window, ret_ms);
}

enum err reader_day_start(struct rule_reader *reader, int *ret_min)
{
    static const char expected[] = "a local time, 00:00 to 23:59";
    const json_t *value = reader_get(reader, "day_start");
    const char *text = exact_json_string(value);
    if (value == NULL)
        return OK;
    if (text == NULL || strlen(text) != 5 || text[2] != ':' || strspn(text, "0123456789:") != 5 ||
        text[0] == ':' || text[1] == ':' || text[3] == ':' || text[4] == ':')
        return reader_refuse_value(reader, "day_start", value, expected);
    int hour = (text[0] - '0') * 10 + text[1] - '0', minute = (text[3] - '0') * 10 + text[4] - '0';
    if (hour > 23 || minute > 59)
        return reader_refuse_value(reader, "day_start", value, expected);
    *ret_min = hour * 60 + minute;
    return OK;
}

int64_t reader_lookback_ms(const struct rule_reader *reader)
{
    bool continuous = parameter_row(reader->rule->parameter)->class == CLASS_CONTINUOUS;
    return continuous ? reader->bounds->lookback_continuous_ms : reader->bounds->lookback_ms;
}

enum err reader_bound(struct rule_reader *reader, struct rule_bound *bound)
{
    static const char *const keys[SIDE_COUNT] = {"below", "above"};
    for (enum rule_side side = SIDE_LOW; side < SIDE_COUNT; side++) {
        const json_t *value = reader_get(reader, keys[side]);
        bound->has[side] = value != NULL;
        if (value == NULL)
            continue;
        enum err error = reader_limit(reader, keys[side], value, &bound->limit[side]);
        if (error != OK)
            return error;
    }
    return bound->has[SIDE_LOW] || bound->has[SIDE_HIGH]
               ? OK
               : reader_refuse(reader, "above", "nothing", "below or above");
}

static enum err take_amount(struct rule_reader *reader, enum rule_side side, const char *absolute,
                            const char *percent, struct rule_difference *difference)
{
    const json_t *amount = reader_get(reader, absolute);
    const json_t *share = percent == NULL ? NULL : reader_get(reader, percent);

    difference->has[side] = amount != NULL || share != NULL;
    difference->percent[side] = share != NULL;
    if (amount != NULL && share != NULL)
        return reader_refuse(reader, percent, "both percent and absolute", "one of them on a side");
    if (amount != NULL)
        return reader_difference(reader, absolute, amount, 1, &difference->amount[side]);
    if (share == NULL)
        return OK;
    enum err error = take_plain(reader, percent, share, &difference->amount[side]);
    if (error == OK && (difference->amount[side] <= 0 || difference->amount[side] > PLAIN_MAX))
        error = reader_refuse_value(reader, percent, share, "a percentage above 0");
    return error;
}

enum err reader_amounts(struct rule_reader *reader, struct rule_difference *difference)
{
    enum err error = take_amount(reader, SIDE_LOW, "fall", "fall_percent", difference);
    if (error == OK)
        error = take_amount(reader, SIDE_HIGH, "rise", "rise_percent", difference);
    if (error == OK && !difference->has[SIDE_LOW] && !difference->has[SIDE_HIGH])
        error = reader_refuse(reader, "rise", "nothing", "rise or fall, or one of them in percent");
    return error;
}

enum err reader_rates(struct rule_reader *reader, struct rule_difference *difference)
{
    enum err error = take_amount(reader, SIDE_LOW, "fall_per", NULL, difference);
    if (error == OK)
        error = take_amount(reader, SIDE_HIGH, "rise_per", NULL, difference);
    if (error == OK && !difference->has[SIDE_LOW] && !difference->has[SIDE_HIGH])
        error = reader_refuse(reader, "rise_per", "nothing", "rise_per or fall_per, in the unit a minute");
    return error;
}

/* The way back of a limit is a possible value, else the alert could never clear. */
enum err reader_check_way_back(struct rule_reader *reader, const char *key, enum rule_side side,
                               int64_t limit, int64_t margin)
{
    const struct parameter_row *row = parameter_row(reader->rule->parameter);
    int64_t inside = side == SIDE_LOW ? limit + margin : limit - margin;
    if (inside < row->possible_min || inside > row->possible_max)
        return reader_refuse_value(reader, key, reader_get(reader, key),
                                   "a margin after which a possible value clears the alert");
    return OK;
}
