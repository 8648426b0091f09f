/* fhir_mes: the feed of Mon Espace Sante as published: its closed table (fhir_mes.def), and the one condition
 * that is of a profile. The extension of a glucose is asked of an Observation that says in meta.profile that
 * it is a MES glucose: whoever does not is not in that feed, and the measure is known by code and unit.
 * Threads: pure functions, and the loop's. */
#ifndef VIGIE_INGEST_FHIR_MES_H
#define VIGIE_INGEST_FHIR_MES_H

#include "daemon/ingest/fhir/fhir.h"

enum mes_condition {
#define MES(id, http, issue, what, text) MES_##id,
#include "daemon/ingest/fhir/fhir_mes.def"
#undef MES
    MES_CONDITIONS
};

struct mes_row {
    int http;
    const char *issue, *text;
    bool is_enforced;
};
const struct mes_row *fhir_mes(enum mes_condition condition);

/* Words the refusal of an enforced condition; always false. */
bool fhir_mes_refuse(enum mes_condition condition, enum verdict verdict, enum claim_field field,
                     struct refusal *ret_refusal);

enum { MES_TEXT_MAX = 192 };
/* The words of NOT_ACCEPTABLE, its two <> filled with at most 40 bytes each; returns the length, zero-ended.
 */
size_t fhir_mes_not_acceptable(struct slice type, struct slice method, char out[MES_TEXT_MAX]);

/* `meta` and `extension` are those of the Observation. */
bool fhir_mes_check_glucose(struct fhir *fhir, const struct pull_field *meta,
                            const struct pull_field *extension, const struct claim *claim,
                            struct refusal *ret_refusal);

#endif
