/* parameter: the table of what can be measured, its codes, units and bands, made from the rows of
 * config/parameters.def, config/codes.def and config/units.def (PARAMETERS.md is the specification).
 * Threads: constants after parameter_init(), which runs once before any thread. */
#ifndef VIGIE_MODEL_PARAMETER_H
#define VIGIE_MODEL_PARAMETER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/decimal.h"
#include "daemon/base/err.h"

enum parameter {
#define PARAMETER(id, name, loinc, unit, possible_min, possible_max, expected_min, expected_max, class,      \
                  live_within, en, fr)                                                                       \
    PARAMETER_##id,
#include "config/parameters.def"
#undef PARAMETER
    PARAMETER_COUNT
};

enum parameter_class {
    CLASS_CONTINUOUS,
    CLASS_SPOT,
    CLASS_DERIVED,
    CLASS_LAB,
    CLASS_DAY,
    CLASS_SESSION,
    CLASS_TECHNICAL
};

struct parameter_row {
    const char *name, *loinc, *unit; /* loinc: the one that events and tables show, NULL without */
    int64_t possible_min, possible_max, expected_min, expected_max; /* millionths, ends included */
    enum parameter_class class;
    int64_t live_within_ms;
    const char *en, *fr;
    enum parameter whole; /* of a phase of a session the parameter itself: body-weight for
                             body-weight@session-start */
};

/* REFID: the reference identifier of MDC, "MDC_PULS_OXIM_SAT_O2", which HL7 v2 sends beside the number. */
enum code_system { CODE_LOINC, CODE_MDC, CODE_TAASIP, CODE_SNOMED, CODE_NCIT, CODE_NAME, CODE_REFID };
enum unit_system { UNIT_UCUM, UNIT_MDC, UNIT_REFID };

/* How a code was resolved. */
enum code_match { CODE_MATCH, CODE_UNKNOWN, CODE_NEVER_PATIENT /* control solution, perfusion, clock ... */ };

MUST_CHECK enum err parameter_init(void);
const struct parameter_row *parameter_row(enum parameter parameter);
MUST_CHECK enum err parameter_by_name(const char *name, size_t size, enum parameter *ret);

/* By code; an MDC code is its decimal text. */
enum code_match parameter_by_code(enum code_system system, const char *code, size_t size,
                                  enum parameter *ret);

/* As written in `code` of INTERFACES.md section 4: LOINC, "mdc:147842", "taasip:MED-969", or a name. */
enum code_match parameter_by_text(const char *text, size_t size, enum parameter *ret);

/* The conversion of `unit` to the canonical unit of `parameter`.
 * ERR_NOT_FOUND: no parameter knows that unit; ERR_REFUSED: the unit belongs to other parameters. */
MUST_CHECK enum err parameter_unit(enum parameter parameter, enum unit_system system, const char *unit,
                                   size_t size, const struct decimal_conversion **ret);

/* A molar unit on a mass code that PARAMETERS.md sends to quarantine (cholesterol-ldl). */
bool parameter_unit_quarantined(enum parameter parameter, const char *unit, size_t size);

/* Differences (rise, fall, hysteresis) convert by the factor alone. */
int64_t parameter_difference(const struct decimal_conversion *conversion, int64_t millionths);

#endif
