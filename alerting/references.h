/* references: the dated reference values of a patient: a dry weight, a personal best (RULES.md section 3,
 * `reference`). Owner:   the patient. Threads: the shard's alone. Holds:   sorted by (parameter, name, from).
 * Choices: one `from` has one value: a later commit for the same (parameter, name, from) takes its place. A
 * phase of a session without a reference of its own in force has that of the parameter itself: the dry weight
 * is set once, for body-weight. */
#ifndef VIGIE_ALERTING_REFERENCES_H
#define VIGIE_ALERTING_REFERENCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/model/parameter.h"

struct reference {
    enum parameter parameter;
    int64_t value, from_ms; /* in force from then until the next one of its name */
    char *name, *author;
};

struct references {
    struct reference *items;
    uint32_t count, capacity;
};

void references_deinit(struct references *references);
/* Copies the texts of `reference`. False: it is held already, nothing changes. */
bool references_set(struct references *references, const struct reference *reference);
/* In force at the instant; NULL without. */
const struct reference *references_at(const struct references *references, enum parameter parameter,
                                      const char *name, int64_t ms);
/* Whether rules of the parameter may be judged by it. */
bool reference_serves(const struct reference *reference, enum parameter parameter);
/* By (parameter, name, from), as strcmp(). */
int reference_compare(const struct reference *a, const struct reference *b);

#endif
