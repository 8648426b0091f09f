/* preset: the rules that come with the product, one file a line (RULES.md section 7), checked when loaded.
 * File: {"preset", "line", "version", "date", "rules": [RULES.md section 2]}. Every rule names its line, the
 * source of its numbers and its tag, and waits for a physician (silence excepted); a file that does not is
 * refused whole. Owner:   preset_load() and presets_load() give, the free functions take. Threads: not on the
 * path of a reading. Fails:   ERR_REFUSED or ERR_FORMAT with file, key, found, expected; errors of the file
 * system as they are. */
#ifndef VIGIE_ALERTING_PRESET_H
#define VIGIE_ALERTING_PRESET_H

#include "alerting/rule.h"

struct preset_rule {
    char *json; /* compact, numbers as written: what a rule version stores */
    struct rule *rule;
};

struct preset {
    char name[REF_BYTES_MAX + 1], line[REF_BYTES_MAX + 1], date[16];
    unsigned version;
    size_t rules_count;
    struct preset_rule *rules;
};

struct presets {
    size_t count;
    struct preset **items; /* by file name */
};

struct preset_fault {
    char file[256], rule[RULE_ID_BYTES_MAX + 1]; /* rule "" when the fault lies outside the rules */
    struct rule_fault fault;
};

MUST_CHECK enum err preset_load(const char *path, const struct rule_bounds *bounds,
                                struct preset **ret_preset, struct preset_fault *ret_fault);
void preset_free(struct preset *preset);

/* Every *.json of the directory; one rule id twice, in whatever files, is refused. */
MUST_CHECK enum err presets_load(const char *directory, const struct rule_bounds *bounds,
                                 struct presets *ret_presets, struct preset_fault *ret_fault);
void presets_free(struct presets *presets);

#endif
