/* rule: one alert rule, parsed from JSON and checked, RULES.md sections 2, 3 and 6.
 * Owner:   rule_parse() gives; rule_free() takes; immutable in between. Threads: any may read.
 * Fails:   a rule that cannot be loaded is refused with key, found, expected; nothing is half loaded. */
#ifndef VIGIE_ALERTING_RULE_H
#define VIGIE_ALERTING_RULE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/buffer.h"
#include "daemon/base/err.h"
#include "daemon/base/limits.h"

struct rule; /* fields: alerting/rule_fields.h, for the engine */

struct rule_fault {
    char key[64], found[160], expected[200];
};

struct rule_bounds {
    int64_t lookback_ms, lookback_continuous_ms;
};

/* Parses and checks the "rule" object of an import line, command or preset, as exact_json_load() gives it:
 * numbers are their text. ERR_REFUSED fills *ret_fault. Where RULES.md leaves a choice: a level may have both
 * sides; equal limits of two priorities pass; a hysteresis that puts the way back outside the possible band
 * is refused, for such an alert never clears; a missing text is the rule's id. */
MUST_CHECK enum err rule_parse(const json_t *exact, const struct rule_bounds *bounds, struct rule **ret_rule,
                               struct rule_fault *ret_fault);
void rule_free(struct rule *rule);

const char *rule_id(const struct rule *rule);
const char *rule_kind(const struct rule *rule);
bool rule_is_silence(const struct rule *rule);
bool rule_requires_validation(const struct rule *rule); /* never silence: in force from enrolment */

/* Two versions that differ in text, source or tag alone are the same act (RULES.md section 2, confirmation).
 */
bool rule_same_but_words(const struct rule *a, const struct rule *b);
/* Kind, parameter, sides, statistic and day_start never change under one id. */
bool rule_may_follow(const struct rule *old, const struct rule *next, struct rule_fault *ret_fault);

#endif
