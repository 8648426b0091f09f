/* rule_reader: what the parts that read a rule share: the JSON at hand, the rule that is filled, the one
 * reason why not, and the values that kinds have in common (RULES.md sections 2 and 3).
 * Owner:   rule_parse() has one on its stack. Threads: pure functions of it. Fails:   ERR_REFUSED fills the
 * fault with key, found, expected; what was filled before stays and is thrown away with the rule. */
#ifndef VIGIE_ALERTING_RULE_READER_H
#define VIGIE_ALERTING_RULE_READER_H

#include "alerting/rule_fields.h"

/* How limits and differences are read: as values of the parameter, as sums of them, as plain numbers. */
enum reader_scale { SCALE_VALUE, SCALE_SUM, SCALE_COUNT };

struct rule_reader {
    const json_t *json; /* the rule; numbers are their text: exact_json.h */
    const struct rule_bounds *bounds;
    struct rule *rule;
    struct rule_fault *fault;
    const struct decimal_conversion *conversion; /* of the rule's unit */
    enum reader_scale scale;
    char unit[64];
};

MUST_CHECK enum err reader_refuse(struct rule_reader *reader, const char *key, const char *found,
                                  const char *expected);
MUST_CHECK enum err reader_refuse_value(struct rule_reader *reader, const char *key, const json_t *value,
                                        const char *expected);
const json_t *reader_get(const struct rule_reader *reader, const char *key);

/* Values by key; without the key *ret stays. Bounds are included. */
MUST_CHECK enum err reader_boolean(struct rule_reader *reader, const char *key, bool *ret);
MUST_CHECK enum err reader_whole(struct rule_reader *reader, const char *key, const unsigned bounds[2],
                                 unsigned *ret);
MUST_CHECK enum err reader_duration(struct rule_reader *reader, const char *key, const int64_t bounds[2],
                                    int64_t *ret_ms);
/* One of some words, as its number. */
struct reader_words {
    const char *const *items;
    unsigned count;
    bool mandatory;
    const char *expected;
};
MUST_CHECK enum err reader_word(struct rule_reader *reader, const char *key, const struct reader_words *words,
                                unsigned *ret);
MUST_CHECK enum err reader_day_start(struct rule_reader *reader, int *ret_min);
/* A mandatory window, at most the look-back of the parameter. */
MUST_CHECK enum err reader_window(struct rule_reader *reader, const char *key, int64_t *ret_ms);
int64_t reader_lookback_ms(const struct rule_reader *reader);

/* Values in millionths of the canonical unit: a limit within the possible band, a difference in [min, its
 * width] (SCALE_VALUE); at most six decimals as written. */
MUST_CHECK enum err reader_limit(struct rule_reader *reader, const char *key, const json_t *value,
                                 int64_t *ret);
MUST_CHECK enum err reader_difference(struct rule_reader *reader, const char *key, const json_t *value,
                                      int64_t min, int64_t *ret);
MUST_CHECK enum err reader_check_way_back(struct rule_reader *reader, const char *key, enum rule_side side,
                                          int64_t limit, int64_t margin);
MUST_CHECK enum err reader_priority(struct rule_reader *reader, const char *key, const json_t *value,
                                    enum priority *ret);
MUST_CHECK enum err reader_own_priority(struct rule_reader *reader); /* the key `priority`, mandatory */

/* below and above; rise and fall, or in percent; rise_per and fall_per: at least one of them. */
MUST_CHECK enum err reader_bound(struct rule_reader *reader, struct rule_bound *bound);
MUST_CHECK enum err reader_amounts(struct rule_reader *reader, struct rule_difference *difference);
MUST_CHECK enum err reader_rates(struct rule_reader *reader, struct rule_difference *difference);

/* The kinds: each fills its part of the rule. */
MUST_CHECK enum err rule_parse_limit(struct rule_reader *reader);
MUST_CHECK enum err rule_parse_occurrences(struct rule_reader *reader);
MUST_CHECK enum err rule_parse_change(struct rule_reader *reader);
MUST_CHECK enum err rule_parse_reference(struct rule_reader *reader);
MUST_CHECK enum err rule_parse_rate(struct rule_reader *reader);
MUST_CHECK enum err rule_parse_daily(struct rule_reader *reader);
MUST_CHECK enum err rule_parse_variation(struct rule_reader *reader);
MUST_CHECK enum err rule_parse_baseline(struct rule_reader *reader);
MUST_CHECK enum err rule_parse_silence(struct rule_reader *reader);
MUST_CHECK enum err rule_parse_event(struct rule_reader *reader);

#endif
