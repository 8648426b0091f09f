/* rule_parse_readings: the kinds that judge readings against others: occurrences, change, reference, rate
 * (RULES.md section 3). */
#include <stdio.h>
#include <string.h>

#include "alerting/exact_json.h"
#include "alerting/rule_reader.h"

static enum err take_rearm(struct rule_reader *reader, struct rule_occurrences *occurrences)
{
    const json_t *value = reader_get(reader, "rearm");
    if (value == NULL)
        return OK;
    enum err error = reader_difference(reader, "rearm", value, 0, &occurrences->rearm);
    for (enum rule_side side = SIDE_LOW; error == OK && side < SIDE_COUNT; side++)
        if (occurrences->bound.has[side])
            error = reader_check_way_back(reader, "rearm", side, occurrences->bound.limit[side],
                                          occurrences->rearm);
    return error;
}

static enum err take_mode(struct rule_reader *reader, bool *ret_sample)
{
    static const char *const modes[] = {"crossing", "sample"};
    static const struct reader_words words = {modes, 2, false, "crossing or sample"};
    unsigned mode = 0;
    enum err error = reader_word(reader, "mode", &words, &mode);
    *ret_sample = mode == 1;
    return error;
}

enum err rule_parse_occurrences(struct rule_reader *reader)
{
    static const unsigned bounds[2] = {1, OCCURRENCES_MAX};
    struct rule_occurrences *occurrences = &reader->rule->occurrences;

    enum err error = reader_bound(reader, &occurrences->bound);
    if (error == OK)
        error = take_rearm(reader, occurrences);
    if (error == OK)
        error = take_mode(reader, &occurrences->sample);
    if (error == OK && reader_get(reader, "times") == NULL)
        error = reader_refuse(reader, "times", "nothing", "how many occurrences raise the alert, 1 to 256");
    if (error == OK)
        error = reader_whole(reader, "times", bounds, &occurrences->times);
    if (error == OK)
        error = reader_window(reader, "within", &occurrences->within_ms);
    return error == OK ? reader_own_priority(reader) : error;
}

enum err rule_parse_change(struct rule_reader *reader)
{
    enum err error = reader_amounts(reader, &reader->rule->change.difference);
    if (error == OK)
        error = reader_window(reader, "within", &reader->rule->change.within_ms);
    return error == OK ? reader_own_priority(reader) : error;
}

/* The name is part of events and of what physicians type: any text of one line. */
static enum err take_reference_name(struct rule_reader *reader, char name[REF_BYTES_MAX + 1])
{
    const json_t *value = reader_get(reader, "reference");
    const char *text = exact_json_string(value);
    if (value == NULL)
        text = "reference";
    if (text == NULL || text[0] == '\0' || strlen(text) > REF_BYTES_MAX)
        return reader_refuse_value(reader, "reference", value,
                                   "the name of a reference, 1 to 64 bytes, such as dry-weight");
    (void)snprintf(name, REF_BYTES_MAX + 1, "%s", text);
    return OK;
}

enum err rule_parse_reference(struct rule_reader *reader)
{
    enum err error = reader_amounts(reader, &reader->rule->reference.difference);
    if (error == OK)
        error = take_reference_name(reader, reader->rule->reference.name);
    return error == OK ? reader_own_priority(reader) : error;
}

enum err rule_parse_rate(struct rule_reader *reader)
{
    static const unsigned bounds[2] = {2, SERIES_HELD_MAX};
    struct rule_rate *rate = &reader->rule->rate;

    enum err error = reader_rates(reader, &rate->per_minute);
    if (error == OK)
        error = reader_window(reader, "within", &rate->within_ms);
    rate->readings = 2;
    if (error == OK)
        error = reader_whole(reader, "readings", bounds, &rate->readings);
    return error == OK ? reader_own_priority(reader) : error;
}
